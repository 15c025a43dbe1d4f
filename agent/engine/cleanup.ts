/**
 * Removes the source of what was proved, once everything is: walks through the journal's pages, lets each completed entry
 * pass the gate, and moves what passes into the quarantine.
 *
 * In batches, so that a million files do not wait for three disk flushes each:
 *
 *     ask the destination anew ─▶ intents in the journal ─▶ lines in the undo list ─▶ look, rename, look ─▶ results
 *                                    (durable)                 (durable)                                    (durable)
 *
 * Whenever the program dies, a file is at its place, in the quarantine, or was purged after its proof; an intent without a
 * result is settled by looking at both places. Whatever goes wrong with one file, it stays, with the reason; the
 * destination is never told to change anything.
 */
import { type Deletion, FAILURES_KEPT_MAX, type StayCode, type TransferOptions } from "../../schema/job.ts";
import {
  type Held,
  type PurgeEnd,
  type Quarantine,
  type QuarantineFolder,
  TransferError,
  type UndoNote,
} from "../connectors/connector.ts";
import { DiskError, type Platform } from "../platform.ts";
import { forEachOf } from "./control.ts";
import {
  type Blocks,
  type Condition,
  type Facts,
  type Failure,
  firstFailure,
  isRacy,
  purgeFailure,
} from "./delete-gate.ts";
import { type Asking, find } from "./existing.ts";
import type { Journal } from "./journal.ts";
import type { Outcome, Page } from "./page.ts";
import type { Plan } from "./plan.ts";
import { compareBlocks } from "./proof.ts";
import type { ProofPlan } from "./proof-plan.ts";
import { readRemovals, type Removal, type Removals, writeRemovals } from "./removal.ts";

/** Files that share the flushes, and the time between proof and rename. */
export const BATCH_FILES = 64;
const ASKS_AT_ONCE = 8;
const TAG_BYTES = 6;
export const LEASE_LOOK_MS = 1_000;
/** As long as an outage may last. */
export const LEASE_WAIT_MS_MAX = 24 * 3_600_000;
const DAY_MS = 86_400_000;

export interface CleanupInput extends Asking {
  readonly jobId: string;
  readonly options: TransferOptions;
  readonly quarantine: Quarantine;
  readonly journal: Journal;
  readonly platform: Platform;
  readonly plan: Plan;
  readonly proofPlan: ProofPlan;
  /** The job is wanted and its lease is live, as of now. */
  readonly mayGoOn: () => boolean;
  /** This machine's own policy allows removal from this source, as of now. */
  readonly isAllowed: () => boolean;
}

export interface CleanupResult {
  /** Moved into the quarantine, also those that were purged since. */
  readonly removed: Sum;
  /** Of a dry run. */
  readonly wouldRemove: Sum;
  readonly purgedFiles: number;
  /** In the quarantine, though not what was proved, because something else is at their place. */
  readonly keptFiles: number;
  readonly stays: Readonly<Partial<Record<StayCode, number>>>;
  /** The first {@link FAILURES_KEPT_MAX} of those that stay, or are kept. */
  readonly listed: readonly Stay[];
}

export interface Sum {
  readonly files: number;
  readonly bytes: number;
}

export interface Stay extends Failure {
  readonly path: string;
}

/** Ends when each completed entry has its result; goes on with what the journal holds. Throws what ends the run. */
export async function cleanUp(input: CleanupInput): Promise<CleanupResult> {
  const { deletion } = input.options;
  if (deletion !== null) await new Cleanup(input, deletion).run();
  return readCleanup(input.journal);
}

type Completed = Extract<Outcome, { state: "completed" }>;

/** An entry that passed everything but the move. */
interface Proved {
  readonly index: number;
  readonly outcome: Completed;
  readonly version: string;
  readonly facts: Facts;
}

class Cleanup {
  readonly #input: CleanupInput;
  readonly #deletion: Deletion;
  #folder: QuarantineFolder | null = null;
  #filesLeft: number;
  /** Nobody wanted it for as long as we wait. */
  #isGivenUp = false;

  constructor(input: CleanupInput, deletion: Deletion) {
    this.#input = input;
    this.#deletion = deletion;
    this.#filesLeft = deletion.filesMax ?? Infinity;
  }

  async run(): Promise<void> {
    const { journal } = this.#input;
    this.#filesLeft -= countCapped(journal);
    for (let number = journal.firstPage; number < journal.pageCount; number++) {
      const page = journal.open(number);
      try {
        await this.#cleanPage(page);
      } finally {
        journal.release(page);
      }
    }
    if (this.#deletion.dryRun) return;
    await this.#removeFolders();
    if (this.#deletion.retentionDays === 0) await this.#purge();
  }

  // --- one page ----------------------------------------------------------------------------------------------------

  async #cleanPage(page: Page): Promise<void> {
    const removals = readRemovals(this.#input.journal.removals(page.number));
    await this.#settleIntents(page, removals);
    for (;;) {
      const undecided = Array.from(page.paths, (_, index) => index).filter((index) => {
        const state = removals.get(index)?.state;
        return page.outcome(index)?.state === "completed" && (state === undefined || state === "withdrawn");
      });
      if (undecided.length === 0) return;
      await this.#permission();
      const countMax = this.#filesLeft > 0 ? Math.min(BATCH_FILES, this.#filesLeft) : BATCH_FILES;
      await this.#cleanBatch(page, removals, undecided.slice(0, countMax));
    }
  }

  /** What an earlier start meant to move lies at one of two places. */
  async #settleIntents(page: Page, removals: Removals): Promise<void> {
    const intended = Array.from(removals).filter(([, { state }]) => state === "intended");
    if (intended.length === 0) return;
    await this.#permission();
    let removed = 0;
    for (const [index, removal] of intended) {
      const outcome = page.outcome(index);
      if (removal.state !== "intended" || outcome?.state !== "completed" || outcome.version === null)
        continue;
      const settled = this.#settle(page, index, removal.tag, outcome.version);
      removals.set(index, settled.state === "stays" ? afterCrash(settled) : settled);
      if (settled.state === "removed") removed++;
    }
    this.#filesLeft -= removed;
    this.#guarded("quarantine_sync_failed", () => this.#folder?.sync());
    await this.#note(page, removals, removed);
  }

  async #cleanBatch(page: Page, removals: Removals, batch: readonly number[]): Promise<void> {
    const proved: Proved[] = [];
    await forEachOf(batch, ASKS_AT_ONCE, async (index) => {
      const judged = await this.#judge(page, index);
      if ("condition" in judged) removals.set(index, { state: "stays", ...judged });
      else proved.push(judged);
    });
    proved.sort((a, b) => a.index - b.index);
    if (this.#deletion.dryRun || proved.length === 0) {
      for (const { index } of proved) removals.set(index, { state: "would_remove" });
      this.#filesLeft -= proved.length;
      return await this.#note(page, removals, 0);
    }
    const tag = this.#input.platform.random.bytes(TAG_BYTES).toHex();
    for (const { index } of proved) removals.set(index, { state: "intended", tag });
    await this.#note(page, removals, 0);
    const isRecorded = this.#record(page, proved, tag);
    let removed = 0;
    try {
      for (const one of proved) {
        const removal = await this.#remove(page, one, { tag, isRecorded });
        removals.set(one.index, removal);
        if (removal.state === "removed") removed++;
      }
    } finally {
      // Also when the run was stopped in the middle: after a cancel nobody comes back to settle what is done.
      this.#filesLeft -= removed;
      this.#guarded("quarantine_sync_failed", () => this.#folder?.sync());
      await this.#note(page, removals, removed);
    }
  }

  // --- one file ----------------------------------------------------------------------------------------------------

  /** Everything but the move: first what costs nothing, then the destination, then, where times prove nothing, the content. */
  async #judge(page: Page, index: number): Promise<Proved | Failure> {
    const { quarantine, control } = this.#input;
    const outcome = page.outcome(index);
    let facts = this.#factsOf(page, index, outcome);
    const refused = firstFailure(facts, 3);
    if (refused !== null) return refused;
    const path = page.path(index);
    const version = outcome?.state === "completed" ? outcome.version : null;
    facts = { ...facts, lying: quarantine.look(path, version ?? "") };
    const unfit = firstFailure(facts, 8);
    if (unfit !== null || outcome?.state !== "completed" || version === null)
      return unfit ?? { condition: 5, code: "identity_unknown" };
    facts = { ...facts, ...(await this.#ask(page, index, outcome)) };
    if (isRacy(facts) && firstFailure(facts, 10) === null) {
      const rehashed = await orNull(
        control.attempt(control.stopped, (signal) => quarantine.digest(path, signal)),
      );
      facts = { ...facts, rehashed };
    }
    return firstFailure(facts, 11) ?? { index, outcome, version, facts };
  }

  #factsOf(page: Page, index: number, outcome: Outcome | null): Facts {
    const { options, proofPlan, journal } = this.#input;
    return {
      isAsked: options.deletion !== null && options.verify,
      filesLeft: this.#filesLeft,
      isAllowed: this.#input.isAllowed(),
      isWanted: !this.#isGivenUp,
      lying: null,
      sizeBytes: page.sizeBytes(index),
      outcome,
      held: undefined,
      blocks: null,
      provedIn: proofPlan.landingTier(page, index),
      readAfterMs: journal.startedAtMs,
      rehashed: null,
      isRecorded: false,
      isMovedSame: null,
      purge: null,
    };
  }

  /** What the destination holds just now: never what the journal says of it. */
  async #ask(
    page: Page,
    index: number,
    outcome: Completed,
  ): Promise<{ readonly held: Held | "unreadable" | null; readonly blocks: Blocks | null }> {
    const path = outcome.as ?? page.path(index);
    try {
      const held = await find(this.#input, path);
      const isOfBlocks = page.sizeBytes(index) > this.#input.plan.wholeBytesMax;
      return {
        held,
        blocks: held !== null && isOfBlocks ? await this.#askBlocks(page, index, outcome) : null,
      };
    } catch (error) {
      if (!(error instanceof TransferError) || error.problem.scope === "job") throw error;
      return { held: "unreadable", blocks: null };
    }
  }

  async #askBlocks(page: Page, index: number, outcome: Completed): Promise<Blocks> {
    const { destination, retry, control, plan, journal } = this.#input;
    const path = outcome.as ?? page.path(index);
    const committed = await retry.call((signal) => destination.committedBlocks(path, signal), {
      action: "committed_blocks",
      passage: null,
      signal: control.stopped,
    });
    if (committed === null) return "untold";
    if (committed.etag !== outcome.etag) return "wrong";
    const sizeBytes = page.sizeBytes(index);
    return compareBlocks(committed.blocks, { salt: journal.salt, sizeBytes, blockBytes: plan.blockBytes });
  }

  /** Nothing comes between the look and the rename. */
  async #remove(
    page: Page,
    { index, outcome, version, facts }: Proved,
    { tag, isRecorded }: { readonly tag: string; readonly isRecorded: boolean },
  ): Promise<Removal> {
    if (!this.#mayMove()) return { state: "withdrawn" };
    const { quarantine, isAllowed } = this.#input;
    const path = page.path(index);
    const lying = quarantine.look(path, version);
    const now = { ...facts, lying, isAllowed: isAllowed(), isRecorded };
    const failure = firstFailure(now, 12);
    if (failure !== null || this.#folder === null)
      return { state: "stays", ...(failure ?? { condition: 12, code: "not_recorded" }) };
    try {
      const refused = this.#folder.take(path, nameOf(page, index, tag));
      const settled = this.#settle(page, index, tag, version);
      if (settled.state === "stays" && refused !== null) {
        const condition = refused === "other_volume" || refused === "source_vanished" ? 4 : 12;
        return { state: "stays", code: refused, condition };
      }
      if (settled.state !== "removed" || !isRacy(now)) return settled;
    } catch (error) {
      return this.#unsettled(error, tag);
    }
    return await this.#hashMoved(page, { index, outcome, version, facts }, tag);
  }

  /** Its time proves nothing, so what was moved is read once more. */
  async #hashMoved(page: Page, { index, outcome }: Proved, tag: string): Promise<Removal> {
    const { control } = this.#input;
    const folder = this.#openFolder();
    const name = nameOf(page, index, tag);
    const found = await orNull(control.attempt(control.stopped, (signal) => folder.digest(name, signal)));
    if (found === outcome.sha256) return { state: "removed", tag };
    try {
      return removalOf(folder.putBack(page.path(index), name), tag);
    } catch (error) {
      return this.#unsettled(error, tag);
    }
  }

  /** Looks at both places. */
  #settle(page: Page, index: number, tag: string, version: string): Removal {
    try {
      const settled = this.#openFolder().settle(page.path(index), nameOf(page, index, tag), version);
      return removalOf(settled, tag);
    } catch (error) {
      return this.#unsettled(error, tag);
    }
  }

  /** It stays an intent, so that a later start looks again. */
  #unsettled(error: unknown, tag: string): Removal {
    if (!(error instanceof DiskError)) throw error;
    this.#log("removal_unsettled", error);
    return { state: "intended", tag };
  }

  // --- quarantine --------------------------------------------------------------------------------------------------

  #openFolder(): QuarantineFolder {
    this.#folder ??= this.#input.quarantine.open(this.#input.jobId);
    return this.#folder;
  }

  /** Writes the undo list; false when it cannot be written. */
  #record(page: Page, proved: readonly Proved[], tag: string): boolean {
    const nowMs = this.#input.platform.clock.now();
    const movedAt = new Date(nowMs).toISOString();
    const purgeAfter = new Date(nowMs + this.#deletion.retentionDays * DAY_MS).toISOString();
    try {
      this.#openFolder().note(
        proved.map((one) =>
          this.#noteOf(page, one, { name: nameOf(page, one.index, tag), movedAt, purgeAfter }),
        ),
      );
      return true;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#log("undo_list_failed", error);
      return false;
    }
  }

  #noteOf(
    page: Page,
    { index, outcome, version }: Proved,
    named: Pick<UndoNote, "name" | "movedAt" | "purgeAfter">,
  ): UndoNote {
    const path = page.path(index);
    const storedAs = outcome.as ?? path;
    const blob = this.#input.destination.name(storedAs);
    return {
      ...named,
      path,
      sizeBytes: page.sizeBytes(index),
      modifiedMs: page.modifiedMs(index),
      sha256: outcome.sha256,
      blob: blob.kind === "named" ? blob.name : storedAs,
      storedAs,
      etag: outcome.etag,
      version,
    };
  }

  /** Folders that became empty because of us, from the innermost out. Entries come in the order of their paths. */
  async #removeFolders(): Promise<void> {
    const { journal, quarantine } = this.#input;
    const open: string[] = [];
    const leave = (path: string) => {
      for (let last = open.at(-1); last !== undefined && !path.startsWith(`${last}/`); last = open.at(-1)) {
        quarantine.removeEmptyFolder(last);
        open.pop();
      }
    };
    for (let number = journal.firstPage; number < journal.pageCount; number++) {
      const removals = readRemovals(journal.removals(number));
      if (!Array.from(removals.values()).some(isGone)) continue;
      await this.#permission();
      if (this.#isGivenUp) return;
      const page = journal.read(number);
      for (const [index, path] of page.paths.entries()) {
        if (!isGone(removals.get(index))) continue;
        leave(path);
        const segments = path.split("/").slice(0, -1);
        for (let depth = open.length; depth < segments.length; depth++)
          open.push(segments.slice(0, depth + 1).join("/"));
      }
    }
    leave("");
  }

  async #purge(): Promise<void> {
    const { journal } = this.#input;
    if (journal.totals.filesDeleted === 0) return;
    for (let end: PurgeEnd = "interrupted"; end === "interrupted";) {
      await this.#permission();
      if (this.#isGivenUp) return;
      end = await this.#purgeOnce();
    }
  }

  async #purgeOnce(): Promise<PurgeEnd> {
    const { control, platform, journal } = this.#input;
    let end: PurgeEnd = "left";
    let open: { readonly number: number; readonly removals: Removals } | null = null;
    const write = async () => {
      if (open !== null) await journal.noteRemovals(open.number, writeRemovals(open.removals), 0);
    };
    try {
      end = await this.#openFolder().purge({
        nowMs: platform.clock.now(),
        mayGoOn: () => this.#mayMove(),
        confirm: (note) => confirmPurge(this.#input, note, platform.clock.now()),
        onSettled: async (note, purged) => {
          const place = placeOf(note.name);
          if ((purged !== "purged" && purged !== "absent") || place === null) return;
          if (open?.number !== place.number) {
            await write();
            open = { number: place.number, removals: readRemovals(journal.removals(place.number)) };
          }
          const { tag } = place;
          const removal = open.removals.get(place.index);
          if (removal?.state === "removed" && removal.tag === tag)
            open.removals.set(place.index, { state: "purged", tag });
        },
        signal: control.stopped,
      });
    } catch (error) {
      // What cannot be purged now waits in the quarantine.
      if (!(error instanceof DiskError)) throw error;
      this.#log("purge_failed", error);
    }
    await write();
    // Only now: an earlier death must find the list again.
    if (end === "empty")
      this.#guarded("undo_list_not_closed", () => this.#openFolder().closeList(platform.clock.now()));
    return end;
  }

  // --- permission --------------------------------------------------------------------------------------------------

  #mayMove(): boolean {
    const { control, mayGoOn } = this.#input;
    return !control.paused && !control.stopped.aborted && mayGoOn();
  }

  /** Waits while the job is paused or its lease is lost. Throws when it was stopped. */
  async #permission(): Promise<void> {
    const { control, platform, mayGoOn } = this.#input;
    const sinceMs = platform.clock.monotonic();
    await control.ready();
    while (!mayGoOn() && !this.#isGivenUp) {
      this.#isGivenUp = platform.clock.monotonic() - sinceMs > LEASE_WAIT_MS_MAX;
      await control.attempt(control.stopped, (signal) => platform.clock.sleep(LEASE_LOOK_MS, signal));
    }
  }

  async #note(page: Page, removals: Removals, removed: number): Promise<void> {
    await this.#input.journal.noteRemovals(page.number, writeRemovals(removals), removed);
  }

  /** What may fail without harm: after a power cut a move is there or not, and the journal's word is only a count. */
  #guarded(event: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#log(event, error);
    }
  }

  #log(event: string, error: DiskError): void {
    const { platform, jobId } = this.#input;
    platform.log(event, { jobId, code: error.code, message: error.message });
  }
}

/** The last condition, asked anew: the days of a file are over, and the destination holds just what was proved. */
export async function confirmPurge(asking: Asking, note: UndoNote, nowMs: number): Promise<boolean> {
  try {
    const held = await find(asking, note.storedAs);
    const isHeld =
      held?.etag === note.etag && held.sizeBytes === note.sizeBytes && held.sha256 === note.sha256;
    const isDue = nowMs >= Date.parse(note.purgeAfter);
    return purgeFailure({ isDue, isHeld }) === null;
  } catch (error) {
    if (!(error instanceof TransferError) || error.problem.scope === "job") throw error;
    return false;
  }
}

/** The name of a file in the quarantine: which attempt, and which entry. */
function nameOf(page: Page, index: number, tag: string): string {
  return `${tag}-${page.number}-${index}`;
}

function placeOf(
  name: string,
): { readonly tag: string; readonly number: number; readonly index: number } | null {
  const [, tag, number, index] = /^([0-9a-f]+)-(\d+)-(\d+)$/.exec(name) ?? [];
  return tag === undefined ? null : { tag, number: Number(number), index: Number(index) };
}

function removalOf(settled: ReturnType<QuarantineFolder["settle"]>, tag: string): Removal {
  switch (settled) {
    case "removed":
    case "kept":
      return { state: settled, tag };
    case "back":
      return { state: "stays", condition: 13, code: "changed_since_upload" };
    case "gone":
      return { state: "stays", condition: 4, code: "source_vanished" };
  }
}

/** Nothing in the quarantine, something at its place: as if nobody had begun, and all is asked anew. */
function afterCrash(settled: Extract<Removal, { state: "stays" }>): Removal {
  return settled.code === "changed_since_upload" ? { state: "withdrawn" } : settled;
}

function isGone(removal: Removal | undefined): boolean {
  return removal?.state === "removed" || removal?.state === "purged";
}

async function orNull(digest: Promise<string>): Promise<string | null> {
  try {
    return await digest;
  } catch (error) {
    if (error instanceof TransferError || error instanceof DiskError) return null;
    throw error;
  }
}

/** What counts against the job's limit. */
function countCapped(journal: Journal): number {
  let count = journal.totals.filesDeleted;
  for (let number = 0; number < journal.pageCount; number++)
    for (const removal of readRemovals(journal.removals(number)).values())
      if (removal.state === "would_remove") count++;
  return count;
}

const KEPT: Failure = { condition: 13 satisfies Condition, code: "changed_since_upload" };

/** What the journal holds of the removals of all passes, ended or not: the same after any number of restarts. */
export function readCleanup(journal: Journal): CleanupResult {
  const removed = { files: 0, bytes: 0 };
  const wouldRemove = { files: 0, bytes: 0 };
  const stays: Partial<Record<StayCode, number>> = {};
  const listed: Stay[] = [];
  let purgedFiles = 0;
  let keptFiles = 0;
  const stay = (path: string, { condition, code }: Failure) => {
    if (listed.length < FAILURES_KEPT_MAX) listed.push({ path, condition, code });
  };
  for (let number = 0; number < journal.pageCount; number++) {
    const removals = readRemovals(journal.removals(number));
    if (removals.size === 0) continue;
    const page = journal.read(number);
    for (const [index, removal] of Array.from(removals).sort(([a], [b]) => a - b)) {
      const sum = isGone(removal) ? removed : removal.state === "would_remove" ? wouldRemove : null;
      if (sum !== null) {
        sum.files++;
        sum.bytes += page.sizeBytes(index);
      }
      if (removal.state === "purged") purgedFiles++;
      if (removal.state === "kept") {
        keptFiles++;
        stay(page.path(index), KEPT);
      }
      const failure =
        removal.state === "stays"
          ? removal
          : removal.state === "intended"
            ? { condition: 13 as const, code: "unsettled" as const }
            : null;
      if (failure === null) continue;
      stays[failure.code] = (stays[failure.code] ?? 0) + 1;
      stay(page.path(index), failure);
    }
  }
  return { removed, wouldRemove, purgedFiles, keptFiles, stays, listed };
}
