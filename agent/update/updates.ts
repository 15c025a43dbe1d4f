/**
 * Keeps this agent at the newest release that is meant for it, and takes a release back that does not work.
 *
 * {@link keepUpdated} asks now and then, downloads beside the executable, waits until no job runs, and puts the new one in
 * the old one's place. The program then ends with a code of its own, and whoever keeps it running starts the new one.
 * {@link beginTrial} is what each start begins with: a new version is on trial until the hub has welcomed it. One that is not
 * welcomed in {@link TRIAL_LIMIT_MS}, or has not come so far in {@link TRIAL_STARTS_MAX} starts, takes itself back and is
 * remembered as one that is never tried again.
 *
 * What it cannot do: take back an executable that does not run at all, since nobody else is there to do it.
 * `docs/decisions/0017-self-update.md`.
 */
import {
  SIGNED_RELEASE_CHARACTERS_MAX,
  type ReleaseChannel,
  type ReleaseFile,
} from "../../schema/release.ts";
import { ApiUnreachable } from "../api.ts";
import type { AgentConfig } from "../config.ts";
import { DiskError, type Platform } from "../platform.ts";
import { download } from "./download.ts";
import type { Executable } from "./executable.ts";
import { parseUpdateMemory, type UpdateMemory, UpdateMemoryError, withFailed } from "./memory.ts";
import { judgeRelease, type UpdateRefusalCode } from "./verify.ts";

const HOUR_MS = 3_600_000;
export const CHECK_EVERY_MS = 6 * HOUR_MS;
/** Agents that were started together do not ask together. */
export const FIRST_CHECK_MS_MAX = 10 * 60_000;
export const TRIAL_LIMIT_MS = 5 * 60_000;
export const TRIAL_STARTS_MAX = 3;
const MANIFEST_LIMIT_MS = 30_000;
/** 512 MB at 1.2 Mbit/s. */
export const DOWNLOAD_LIMIT_MS = HOUR_MS;
const LOOK_MS = 15_000;
/** What is waited for longer is asked for anew: the release may have been replaced. */
const SAFE_POINT_WAIT_MS = HOUR_MS;

/** Nothing is wrong then. */
const QUIET: readonly UpdateRefusalCode[] = ["not_newer", "not_in_rollout"];

export interface UpdateStore {
  /** The text of `update.json`, or null. */
  read(): string | null;
  /** Durable when it returns. Throws {@link DiskError}. */
  write(text: string): void;
}

export interface TrialInput {
  readonly platform: Platform;
  readonly store: UpdateStore;
  readonly version: string;
  /** Null where this is no executable of its own. */
  readonly executable: Executable | null;
}

export interface UpdatesInput extends TrialInput {
  readonly config: AgentConfig;
  readonly agentId: string;
  /** Null in builds without one: nothing is believed then. */
  readonly rootKey: string | null;
  readonly channel: ReleaseChannel;
  readonly target: string;
  /** Whether somebody starts this program again when it has ended with the code for it. */
  readonly isKeptRunning: boolean;
  /** Whether somebody at this machine allows it, as of now. */
  readonly mayUpdate: () => boolean;
  /** Whether no job is being worked on. */
  readonly isIdle: () => boolean;
}

// --- trial -------------------------------------------------------------------------------------------------------

export type TrialBegun =
  | { readonly kind: "none" }
  | { readonly kind: "on_trial"; readonly trial: VersionTrial }
  /** The previous one is in its place again; to be ended, so that it is started. */
  | { readonly kind: "taken_back"; readonly version: string };

/** To be called once, as early in a start as there is a folder for state. */
export function beginTrial(input: TrialInput): TrialBegun {
  const { store, version, executable, platform } = input;
  try {
    const memory = parseUpdateMemory(store.read());
    const { trial } = memory;
    if (trial === null) return { kind: "none" };
    if (trial.version !== version || trial.executable !== executable?.path) {
      // The one before is back although the new one was started: it, or somebody here, found it wanting.
      const isBack = trial.previous === version && trial.starts > 0;
      write(store, { ...(isBack ? withFailed(memory, trial.version) : memory), trial: null });
      return { kind: "none" };
    }
    const onTrial = new VersionTrial({ ...input, executable });
    if (memory.failed.includes(version) || trial.starts >= TRIAL_STARTS_MAX)
      return onTrial.takeBack("it was started in vain too often")
        ? { kind: "taken_back", version: trial.previous }
        : { kind: "none" };
    write(store, { ...memory, trial: { ...trial, starts: trial.starts + 1 } });
    return { kind: "on_trial", trial: onTrial };
  } catch (error) {
    if (!(error instanceof DiskError || error instanceof UpdateMemoryError)) throw error;
    // An agent that runs is worth more than one that counts.
    platform.log("update_memory_failed", { reason: error.message });
    return { kind: "none" };
  }
}

/** A version between its first start and its proof. */
export class VersionTrial {
  readonly #input: TrialInput & { readonly executable: Executable };
  readonly #proved = Promise.withResolvers<"proved">();

  constructor(input: TrialInput & { readonly executable: Executable }) {
    this.#input = input;
  }

  /** The hub has welcomed this version. */
  prove(): void {
    if (this.#change(() => ({ trial: null })))
      this.#input.platform.log("update_proved", { version: this.#input.version });
    this.#proved.resolve("proved");
  }

  /** Somebody stops the program before its time was over, which is no fault of the version. */
  withdraw(): void {
    this.#change(({ trial }) => ({ trial: trial && { ...trial, starts: Math.max(0, trial.starts - 1) } }));
  }

  /** Waits for the proof as long as it may take from now on, and takes the version back without it. */
  async watch(signal: AbortSignal): Promise<"proved" | "taken_back" | "kept" | "stopped"> {
    const { clock } = this.#input.platform;
    const over = new AbortController();
    const late = clock.sleep(TRIAL_LIMIT_MS, AbortSignal.any([signal, over.signal])).then(
      () => "late" as const,
      () => "stopped" as const,
    );
    const end = await Promise.race([this.#proved.promise, late]);
    over.abort();
    if (end !== "late") return end;
    return this.takeBack("the control plane did not welcome it in time") ? "taken_back" : "kept";
  }

  /** Whether the previous one is in its place again. */
  takeBack(reason: string): boolean {
    const { executable, version, platform } = this.#input;
    // Before it goes, so that it is not tried again; on a full disk the one before finds it out by itself.
    this.#change((memory) => withFailed(memory, version));
    try {
      executable.restore();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      platform.log("update_not_taken_back", { version, reason: error.message });
      this.#change(() => ({ trial: null }));
      return false;
    }
    platform.log("update_taken_back", { version, reason });
    return true;
  }

  #change(change: (memory: UpdateMemory) => Partial<UpdateMemory>): boolean {
    const { store, platform, version } = this.#input;
    try {
      const memory = parseUpdateMemory(store.read());
      if (memory.trial?.version !== version) return false;
      write(store, { ...memory, ...change(memory) });
      return true;
    } catch (error) {
      if (!(error instanceof DiskError || error instanceof UpdateMemoryError)) throw error;
      platform.log("update_memory_failed", { reason: error.message });
      return false;
    }
  }
}

// --- keeping up --------------------------------------------------------------------------------------------------

/** Returns when a new version is in place, to be started; or when the signal says so. */
export async function keepUpdated(
  input: UpdatesInput,
  signal: AbortSignal,
): Promise<"installed" | "stopped"> {
  const { platform, rootKey } = input;
  if (rootKey === null) {
    platform.log("updates_off", { reason: "this build holds no key to tell releases by" });
    return "stopped";
  }
  const round = new UpdateRounds(input, rootKey);
  let restMs = FIRST_CHECK_MS_MAX * platform.random.next();
  for (;;) {
    try {
      await platform.clock.sleep(restMs, signal);
      if ((await round.go(signal)) === "installed") return "installed";
    } catch (error) {
      if (signal.aborted) return "stopped";
      // Nothing of this may stop the jobs; there is another round.
      platform.log("update_round_failed", { reason: error instanceof Error ? error.message : String(error) });
    }
    restMs = CHECK_EVERY_MS * (0.75 + platform.random.next() / 2);
  }
}

class UpdateRounds {
  readonly #input: UpdatesInput;
  readonly #rootKey: string;
  /** Versions a person was told of. */
  readonly #told = new Set<string>();

  constructor(input: UpdatesInput, rootKey: string) {
    this.#input = input;
    this.#rootKey = rootKey;
  }

  async go(signal: AbortSignal): Promise<"installed" | "nothing"> {
    const { platform, agentId, channel, target, version: installed, mayUpdate } = this.#input;
    if (!mayUpdate()) return "nothing";
    const text = await this.#fetchRelease(signal);
    if (text === null) return "nothing";
    const memory = this.#memory();
    const verdict = await judgeRelease({
      text,
      rootKey: this.#rootKey,
      nowMs: platform.clock.now(),
      channel,
      target,
      agentId,
      installed,
      seen: memory.seen,
      failed: memory.failed,
    });
    // Before anything is done with it.
    if (verdict.seen !== null) write(this.#input.store, { ...memory, seen: verdict.seen });
    if (verdict.kind === "refused") {
      if (!QUIET.includes(verdict.code))
        platform.log("update_refused", { code: verdict.code, reason: verdict.message });
      return "nothing";
    }
    return await this.#bringIn(verdict, signal);
  }

  async #bringIn(
    { version, file }: { version: string; file: ReleaseFile },
    signal: AbortSignal,
  ): Promise<"installed" | "nothing"> {
    const { executable, isKeptRunning, platform, mayUpdate } = this.#input;
    if (executable === null)
      return this.#leave(version, "this agent does not run as an executable of its own");
    if (!isKeptRunning)
      return this.#leave(
        version,
        "nothing starts this agent again by itself; install it by hand, or run start --service",
      );
    if (!(await this.#isStaged(executable, file, signal))) {
      const refusal = await this.#download(executable, file, signal);
      if (refusal !== null) return this.#leave(version, refusal);
      if (!(await this.#isStaged(executable, file, signal))) {
        executable.dropStaged();
        platform.log("update_refused", {
          code: "wrong_executable",
          reason: "What was sent is not the executable of the release: its size or its SHA-256 differs",
        });
        return "nothing";
      }
    }
    if (!(await this.#untilIdle(version, signal))) return "nothing";
    // It may have lain there for an hour.
    if (!mayUpdate() || !(await this.#isStaged(executable, file, signal))) return "nothing";
    if (!this.#input.isIdle()) return "nothing";
    return this.#install(executable, version);
  }

  #install(executable: Executable, version: string): "installed" {
    const { store, version: previous, platform } = this.#input;
    const memory = this.#memory();
    const trial = { version, previous, executable: executable.path, starts: 0 };
    write(store, { ...memory, trial });
    try {
      executable.install();
    } catch (error) {
      write(store, { ...memory, trial: null });
      throw error;
    }
    platform.log("update_installed", { version, previous });
    return "installed";
  }

  async #fetchRelease(signal: AbortSignal): Promise<string | null> {
    const { platform, config, channel } = this.#input;
    const decoder = new TextDecoder();
    let text = "";
    const isThere = await download(
      platform,
      config,
      {
        path: `/api/agent/release?channel=${channel}`,
        bytesMax: SIGNED_RELEASE_CHARACTERS_MAX,
        limitMs: MANIFEST_LIMIT_MS,
        take: (piece) => (text += decoder.decode(piece, { stream: true })),
      },
      signal,
    );
    return isThere ? text : null;
  }

  /** Why it cannot be brought in here, or null. Throws what is no reason to give up for good. */
  async #download(executable: Executable, file: ReleaseFile, signal: AbortSignal): Promise<string | null> {
    const { platform, config } = this.#input;
    let staged;
    try {
      staged = executable.stage();
    } catch (error) {
      if (!(error instanceof DiskError) || error.code === "no_space") throw error;
      return `its folder cannot be written by this account: ${error.message}`;
    }
    let isWhole = false;
    try {
      const path = `/api/agent/release/executable?path=${encodeURIComponent(file.path)}`;
      const bytes = { bytesMax: file.sizeBytes, limitMs: DOWNLOAD_LIMIT_MS };
      isWhole = await download(
        platform,
        config,
        { path, ...bytes, take: (piece) => staged.write(piece) },
        signal,
      );
    } finally {
      staged.finish();
      // A part of it only takes room.
      if (!isWhole) executable.dropStaged();
    }
    if (!isWhole) throw new ApiUnreachable("The control plane does not have the executable of the release");
    return null;
  }

  async #isStaged(executable: Executable, file: ReleaseFile, signal: AbortSignal): Promise<boolean> {
    const staged = await executable.staged(signal);
    return staged !== null && staged.sizeBytes === file.sizeBytes && staged.sha256 === file.sha256;
  }

  async #untilIdle(version: string, signal: AbortSignal): Promise<boolean> {
    const { platform, isIdle } = this.#input;
    const untilMs = platform.clock.monotonic() + SAFE_POINT_WAIT_MS;
    while (!isIdle()) {
      this.#tell(version, "it is installed when no job runs");
      if (platform.clock.monotonic() >= untilMs) return false;
      await platform.clock.sleep(LOOK_MS, signal);
    }
    return true;
  }

  #leave(version: string, reason: string): "nothing" {
    this.#tell(version, reason);
    return "nothing";
  }

  /** Once; `status` shows it as well. */
  #tell(version: string, reason: string): void {
    if (this.#told.has(version)) return;
    this.#told.add(version);
    this.#input.platform.log("update_available", { version, reason });
  }

  #memory(): UpdateMemory {
    return parseUpdateMemory(this.#input.store.read());
  }
}

function write(store: UpdateStore, memory: UpdateMemory): void {
  store.write(`${JSON.stringify(memory)}\n`);
}
