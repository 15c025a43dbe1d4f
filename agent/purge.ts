/**
 * Removes for good, once their days are over, the files that finished jobs have left in a quarantine.
 *
 * A run of a job may be long gone when that time comes, so the jobs are remembered in {@link AgentState}, and about once a
 * day all that are due are gone through, one after the other. Each file has to pass the last of the fourteen conditions
 * anew (`engine/delete-gate.ts`): the destination holds just what was proved, and what lies here is just that. Besides:
 * - Somebody at this machine still allows it, and no other program has this agent's place; asked before each file.
 * - The control plane has given a grant for this job within {@link PROOF_MS_MAX}. It gives none to an agent that was
 *   revoked, and none for an epoch that was replaced; so this is what the lease is to a run. A session would prove less:
 *   it knows of the agent, not of the job, and without the grant the destination cannot be asked anyway.
 * - They are due by the control plane's clock, too, so that a clock that runs wrong costs nobody the days to undo.
 *
 * What a round found is told to the control plane; until it has heard of it, the job is neither forgotten nor put off.
 * A round that saw only a part, or nothing at all, tells nothing.
 *
 * What cannot be confirmed stays, with a line in the log, and is tried again the next day, for {@link PURGE_DAYS_MAX}.
 * Killed at any point, the next round finds in the quarantine what is left.
 */
import type { QuarantineReport } from "../schema/api.ts";
import type { Grant } from "../schema/connector.ts";
import {
  type JobConfig,
  jobConfig,
  type JobDestination,
  type JobReport,
  PURGE_DAYS_MAX,
} from "../schema/job.ts";
import { ApiRefusal, ApiUnreachable } from "./api.ts";
import {
  type Destination,
  type GrantProvider,
  type PurgeEnd,
  type Purged,
  type PurgeOptions,
  TransferError,
} from "./connectors/connector.ts";
import { confirmPurge } from "./engine/cleanup.ts";
import { Control } from "./engine/control.ts";
import type { AccountGates } from "./engine/gate.ts";
import { Retry } from "./engine/retry.ts";
import type { Given } from "./grants.ts";
import { type Clock, DiskError, type Platform } from "./platform.ts";
import type { AgentState, Epoch, Retained, Retention } from "./state.ts";

const DAY_MS = 86_400_000;
/** The first round is not in the way of a start, and agents that were started together do not come together. */
export const FIRST_ROUND_MS_MAX = 10 * 60_000;
/** How often the wall clock is looked at: a laptop may have slept meanwhile. */
const LOOK_MS = 10 * 60_000;
/** A grant that is older proves nothing of the agent any more. */
export const PROOF_MS_MAX = 30 * 60_000;
/** The rest comes the next day. */
const JOBS_PER_ROUND_MAX = 1_000;
/** Files that are named in the log in one round of one job; the others are counted. */
const KEPT_LOGGED_MAX = 10;

export interface PurgerInput {
  readonly platform: Platform;
  readonly state: AgentState;
  readonly gates: AccountGates;
  /** As of a run: whether somebody at this machine allows it, as of now. */
  readonly mayRemove: (config: JobConfig) => boolean;
  /** Another has this agent's place. */
  readonly isFenced: () => boolean;
  /** Asks once for a grant. Throws {@link ApiRefusal}, {@link ApiUnreachable} or {@link TransferError}. */
  readonly askGrant: (
    job: Epoch & { readonly destination: JobDestination },
    signal: AbortSignal,
  ) => Promise<Given>;
  /** Tells the control plane once how a quarantine stands. Throws {@link ApiRefusal} or {@link ApiUnreachable}. */
  readonly report: (
    told: QuarantineReport & { readonly jobId: string },
    signal: AbortSignal,
  ) => Promise<void>;
  readonly openDestination: (config: JobConfig["destination"], grants: GrantProvider) => Destination;
  /** Goes through what one job has left. `absent` and `closed`: nothing of it is there, perhaps or for certain. */
  readonly purge: (
    job: { readonly jobId: string; readonly source: JobConfig["source"] },
    options: PurgeOptions & { readonly permit: () => Promise<void> },
  ) => Promise<PurgeEnd | "absent" | "closed">;
}

/** When to come back to what an epoch has left in a quarantine; null when it can have left nothing. */
export function retentionOf(
  { options: { deletion } }: JobConfig,
  epoch: number,
  { totals, removal, finishedAt }: JobReport,
): Retention | null {
  if (deletion === null || deletion.dryRun) return null;
  // Who ended in the middle had no time to count; and what an earlier epoch has left is a matter of the newest one.
  const isSettled = epoch === 1 && removal !== null && removal !== undefined;
  if (isSettled && totals.filesDeleted <= removal.filesPurged) return null;
  // Whatever was moved was moved before the end.
  const dueMs = Date.parse(finishedAt) + deletion.retentionDays * DAY_MS;
  return { dueMs, untilMs: dueMs + PURGE_DAYS_MAX * DAY_MS };
}

/** Goes through what is due, shortly after the start and then about once a day. Returns when the signal says so. */
export async function keepPurging(input: PurgerInput, signal: AbortSignal): Promise<void> {
  const { clock, random, log } = input.platform;
  for (let restMs = FIRST_ROUND_MS_MAX * random.next(); ; restMs = DAY_MS * (0.9 + random.next() / 5)) {
    try {
      await rest(clock, restMs, signal);
      await purgeDue(input, signal);
    } catch (error) {
      if (signal.aborted) return;
      // Nothing of this may stop the jobs; the next day is another day.
      log("purge_round_broke", { reason: wordsOf(error) });
    }
  }
}

/** By whichever clock has gone further. */
async function rest(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const [nowMs, monotonicMs] = [clock.now(), clock.monotonic()];
  for (;;) {
    const leftMs = Math.ceil(ms - Math.max(clock.now() - nowMs, clock.monotonic() - monotonicMs));
    if (leftMs <= 0) return signal.throwIfAborted();
    await clock.sleep(Math.min(leftMs, LOOK_MS), signal);
  }
}

/** One round. */
export async function purgeDue(input: PurgerInput, signal: AbortSignal): Promise<void> {
  const { state, platform } = input;
  for (const { jobId } of state.dueQuarantines(platform.clock.now(), JOBS_PER_ROUND_MAX)) {
    signal.throwIfAborted();
    const retained = state.findQuarantine(jobId);
    if (retained === null) continue;
    const result = await new JobPurge(input, retained).run(signal);
    // Nor would the others get one.
    if (result === "no_control_plane") return;
  }
}

class JobPurge {
  readonly #input: PurgerInput;
  readonly #job: Retained;
  readonly #counts: Record<Purged, number> = {
    purged: 0,
    absent: 0,
    not_due: 0,
    unconfirmed: 0,
    changed: 0,
    failed: 0,
  };
  #nextDueMs = Infinity;

  constructor(input: PurgerInput, job: Retained) {
    this.#input = input;
    this.#job = job;
  }

  async run(signal: AbortSignal): Promise<"done" | "no_control_plane"> {
    const { platform, mayRemove, state } = this.#input;
    const config = jobConfig.safeParse(this.#job.config).data;
    // Its run moves files there itself; when it ends it is remembered anew.
    if (this.#isBusy()) return "done";
    if (platform.clock.now() >= this.#job.untilMs) {
      state.forgetQuarantine(this.#job);
      this.#logKept("given_up");
      return "done";
    }
    if (config === undefined) this.#logKept("config_unknown");
    else if (!mayRemove(config)) this.#logKept("not_allowed");
    else return await this.#attempt(config, signal);
    return "done";
  }

  async #attempt(config: JobConfig, signal: AbortSignal): Promise<"done" | "no_control_plane"> {
    try {
      const end = await this.#purge(config, signal);
      this.#logResult();
      await this.#conclude(end, config, signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#logResult();
      this.#logKept(reasonOf(error), wordsOf(error));
      if (error instanceof ApiUnreachable) return "no_control_plane";
    }
    return "done";
  }

  async #purge(config: JobConfig, signal: AbortSignal): Promise<PurgeEnd | "absent" | "closed"> {
    const { platform, gates, openDestination, purge, mayRemove, isFenced } = this.#input;
    const { kind, account } = config.destination;
    const control = new Control(platform.clock, 0);
    const stop = () => control.stop("suspended");
    signal.addEventListener("abort", stop, { once: true });
    const membership = gates.join(`${kind} ${account}`, 1);
    try {
      const { jobId, epoch } = this.#job;
      const proof = new Proof(this.#input, { jobId, epoch, destination: config.destination });
      const destination = openDestination(config.destination, proof);
      const retry = new Retry({
        platform,
        control,
        gate: membership.gate,
        ready: (attempt) => destination.ready(attempt),
      });
      return await purge(
        { jobId, source: config.source },
        {
          nowMs: platform.clock.now(),
          mayGoOn: () => !this.#isBusy() && !isFenced() && mayRemove(config),
          permit: () => proof.renew(signal),
          confirm: async (note) => {
            // Reading it may have taken hours.
            await proof.renew(signal);
            const nowMs = Math.min(platform.clock.now(), proof.serverNowMs);
            return await confirmPurge({ destination, control, retry }, note, nowMs);
          },
          onSettled: ({ name, purgeAfter }, purged) => this.#count(name, purged, Date.parse(purgeAfter)),
          signal,
        },
      );
    } finally {
      signal.removeEventListener("abort", stop);
      // Ends its watch as well.
      control.stop("suspended");
      membership.leave();
    }
  }

  async #conclude(
    end: PurgeEnd | "absent" | "closed",
    config: JobConfig,
    signal: AbortSignal,
  ): Promise<void> {
    const { state, mayRemove } = this.#input;
    switch (end) {
      case "closed":
      case "empty":
        if (await this.#report(0, signal)) state.forgetQuarantine(this.#job);
        return;
      case "absent":
        // It may be that its volume is not there today.
        return;
      case "interrupted":
        if (!mayRemove(config)) this.#logKept("not_allowed");
        return;
      case "left": {
        const { unconfirmed, changed, failed, not_due: waiting } = this.#counts;
        const filesLeft = unconfirmed + changed + failed + waiting;
        // Its list could not be read, which says nothing of the files.
        if (filesLeft === 0) return;
        if (!(await this.#report(filesLeft, signal))) return;
        if (filesLeft === waiting && this.#nextDueMs < Infinity)
          state.postponeQuarantine(this.#job, this.#nextDueMs);
      }
    }
  }

  /** Whether the control plane has heard of it. Throws {@link ApiUnreachable}. */
  async #report(filesLeft: number, signal: AbortSignal): Promise<boolean> {
    const { platform, state, report } = this.#input;
    const { jobId, epoch } = this.#job;
    const retained = state.findQuarantine(jobId);
    // A later run has ended meanwhile, and answers for all.
    if (retained?.epoch !== epoch) return false;
    const checkedAt = new Date(platform.clock.now()).toISOString();
    try {
      await report({ jobId, epoch, filesLeft, filesPurged: retained.filesPurged, checkedAt }, signal);
      return true;
    } catch (error) {
      if (!(error instanceof ApiRefusal)) throw error;
      this.#logKept("report_refused", wordsOf(error));
      return false;
    }
  }

  #isBusy(): boolean {
    return this.#input.state.find(this.#job.jobId)?.finished === false;
  }

  #count(name: string, purged: Purged, dueMs: number): void {
    this.#counts[purged]++;
    switch (purged) {
      case "purged":
        return this.#input.state.countPurged(this.#job);
      case "absent":
        return;
      case "not_due":
        this.#nextDueMs = Math.min(this.#nextDueMs, dueMs);
        return;
      case "unconfirmed":
      case "changed":
      case "failed": {
        const { unconfirmed, changed, failed } = this.#counts;
        if (unconfirmed + changed + failed > KEPT_LOGGED_MAX) return;
        this.#input.platform.log("quarantine_file_kept", {
          jobId: this.#job.jobId,
          name,
          reason: purged,
        });
      }
    }
  }

  #logResult(): void {
    const { purged, unconfirmed, changed, failed, not_due: waiting } = this.#counts;
    if (purged + unconfirmed + changed + failed === 0) return;
    const { jobId, epoch } = this.#job;
    this.#input.platform.log("quarantine_purged", {
      jobId,
      epoch,
      purged,
      unconfirmed,
      changed,
      failed,
      waiting,
    });
  }

  #logKept(reason: string, message?: string): void {
    const { jobId, epoch } = this.#job;
    this.#input.platform.log("quarantine_kept", { jobId, epoch, reason, message });
  }
}

/** The grant by which the destination is asked, and which proves that the agent is still this job's. Never kept for long. */
class Proof implements GrantProvider {
  readonly #input: PurgerInput;
  readonly #job: Epoch & { readonly destination: JobDestination };
  #given: Given | null = null;

  constructor(input: PurgerInput, job: Epoch & { readonly destination: JobDestination }) {
    this.#input = input;
    this.#job = job;
  }

  /** Makes sure that it is young enough. Throws what asking throws. */
  async renew(signal: AbortSignal): Promise<void> {
    const nowMs = this.#input.platform.clock.monotonic();
    if (this.#given !== null && nowMs - this.#given.askedMs < PROOF_MS_MAX) return;
    this.#given = null;
    this.#given = await this.#input.askGrant(this.#job, signal);
  }

  get serverNowMs(): number {
    if (this.#given === null) return -Infinity;
    const { serverNowMs, askedMs } = this.#given;
    return serverNowMs + (this.#input.platform.clock.monotonic() - askedMs);
  }

  current(): Grant {
    if (this.#given === null) throw denied("Cannot ask the storage account: there is no grant");
    return this.#given.grant;
  }

  replace(): Promise<Grant> {
    return Promise.reject(denied("Cannot ask the storage account: it does not take the grant"));
  }
}

function denied(message: string): TransferError {
  return new TransferError({ scope: "job", code: "DESTINATION_DENIED" }, message, {
    retry: { kind: "never" },
  });
}

function reasonOf(error: unknown): string {
  if (error instanceof ApiRefusal) return "grant_refused";
  if (error instanceof ApiUnreachable) return "control_plane_unreachable";
  if (error instanceof TransferError && error.problem.scope === "job") return error.problem.code;
  if (error instanceof DiskError) return error.code;
  return "unexpected";
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
