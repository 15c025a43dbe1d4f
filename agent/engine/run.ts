/** One epoch of one job, from the first listing to the report. What the runner sees of the engine. */
import type { JobErrorCode } from "../../schema/errors.ts";
import {
  FAILURES_KEPT_MAX,
  type FileFailure,
  type JobConfig,
  type JobError,
  type JobNote,
  type JobPreview,
  type JobReport,
  type JobTotals,
  type NoteCode,
  type Repetition,
  ZERO_TOTALS,
} from "../../schema/job.ts";
import {
  type AgentPhase,
  FAILURES_PER_EVENT_MAX,
  type Progress,
  type Waiting,
} from "../../schema/protocol.ts";
import { type Destination, type Held, type Source, TransferError } from "../connectors/connector.ts";
import type { Digests } from "../digests.ts";
import type { Platform } from "../platform.ts";
import { BufferPool } from "./buffers.ts";
import { Changes } from "./changes.ts";
import { cleanUp, LEASE_LOOK_MS, LEASE_WAIT_MS_MAX } from "./cleanup.ts";
import { Control, forEachOf, Stopped } from "./control.ts";
import { find, Inventory } from "./existing.ts";
import type { AccountGate, AccountGates } from "./gate.ts";
import { Journal, type VanishedGroup } from "./journal.ts";
import { JournalError, JournalFull } from "./journal-file.ts";
import { Line } from "./line.ts";
import { LineLimit, type LineSettings, lineSettingsOf } from "./line-limit.ts";
import { writeManifest } from "./manifest.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import { makePlan, type Plan } from "./plan.ts";
import { ProofPlan } from "./proof-plan.ts";
import { Retry } from "./retry.ts";
import { scan } from "./scan.ts";
import type { Throttle } from "./throttle.ts";
import { transfer } from "./transfer.ts";
import { Uploader } from "./upload.ts";
import { Verifier } from "./verify.ts";

export interface RunInput {
  readonly jobId: string;
  readonly epoch: number;
  readonly config: JobConfig;
  readonly source: Source;
  readonly destination: Destination;
  /** What keeps the destination's credential away, when that is for a person to change; else null. */
  readonly heldUp?: (() => Waiting | null) | undefined;
  readonly platform: Platform;
  readonly shared: SharedLimits;
  /** Whether source files of this job may be removed, as of now: somebody at this machine has a say in that. */
  readonly mayRemove: () => boolean;
  /** Whether the agent holds its place, as of now. Without that nothing is removed, neither here nor there. */
  readonly hasLease: () => boolean;
  /** The file of this epoch's journal; what it holds is continued. */
  readonly journalPath: string;
  /** Where the manifest is written, one JSON line per entry. */
  readonly manifestPath: string;
  /**
   * Told in order; each is durable when the call returns. Said once over all restarts, or twice when the program died
   * right after: a phase twice is the same phase, failures carry the number of their first.
   */
  readonly tell: (event: RunEvent) => void;
}

/** What all jobs of an agent have in common. */
export interface SharedLimits {
  /** The site's line. */
  readonly throttle: Throttle;
  /** What each storage account takes. */
  readonly gates: AccountGates;
  /** The machine's memory, as far as it is ours. */
  readonly memory: MemoryBudget;
}

export type RunEvent =
  | {
      readonly kind: "phase";
      readonly phase: AgentPhase;
      readonly totals: JobTotals;
      /** From the end of the scan on. */
      readonly preview?: JobPreview;
    }
  | { readonly kind: "files_failed"; readonly first: number; readonly failures: readonly FileFailure[] };

/** Running totals and speed, without what only the session adds. */
export type RunProgress = Omit<Progress, "type" | "jobId" | "epoch" | "seq">;

export interface Run {
  /**
   * Resolves with the report, also for a failed or cancelled run, and again with the same one when a run that ended is
   * started once more. Never resolves for a run that was suspended.
   */
  readonly finished: Promise<JobReport>;
  pause(): void;
  resume(): void;
  cancel(): void;
  /** A job that repeats itself ends, as completed, with the pass it is in. For any other it is nothing. */
  finish(): void;
  /** The limits of the line as they are now wanted. */
  limitLine(line: LineSettings): void;
  /** Stops working without an end, because the program stops; a later run goes on from the journal. */
  suspend(): Promise<void>;
  progress(): RunProgress;
}

/** Begins a run, or goes on with what its journal holds. */
export function startRun(input: RunInput): Run {
  try {
    return openRun(input);
  } catch (error) {
    if (!(error instanceof JournalFull)) throw error;
    return new UnopenedRun(input, error);
  }
}

/** Throws {@link JournalFull} when there is no room for a journal. */
function openRun(input: RunInput): Run {
  try {
    return new JournalledRun(input, Journal.open(input.platform, input.journalPath));
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    return brokenRun(input, error);
  }
}

/** Of what is to be removed at the destination, noted together. */
const VANISHED_GROUP = 500;
/** Requests that ask, besides those that send. */
const REQUESTS_BESIDE = 4;
/** How often the wall clock is looked at between two passes. */
const PASS_LOOK_MS = 30_000;
/** How often a disk without room is looked at again. */
const ROOM_MS = 5_000;
/** A failure that the next try mends is nobody's business. */
const UNREACHABLE_MS = 15_000;
const CURRENT_PATH_LENGTH_MAX = 200;
const MESSAGE_LENGTH_MAX = 1_000;
/** A few failures are told together, but none waits longer than this for others. */
const TELL_MS = 1_000;

class JournalledRun implements Run {
  readonly finished: Promise<JobReport>;
  readonly #input: RunInput;
  readonly #journal: Journal;
  readonly #control: Control;
  readonly #limit: LineLimit;
  readonly #line: Line;
  #retry: Retry | null = null;
  #gate: AccountGate | null = null;
  /** Aborted when no further pass is wanted. */
  readonly #finishing = new AbortController();
  /** Until when files that are locked are left alone; null when none wait. */
  #lockedUntilMs: number | null = null;
  readonly #ended: Promise<void>;
  #uploader: Uploader | null = null;
  #removal: JobReport["removal"] = null;
  /** What it does when it is not paused. */
  #activity: Exclude<AgentPhase, "paused"> = "scanning";
  #phaseTold: AgentPhase | null;
  #failuresTold: number;
  #toldMs = -Infinity;
  #currentPath: string | null = null;

  constructor(input: RunInput, journal: Journal) {
    const { clock } = input.platform;
    this.#input = input;
    this.#journal = journal;
    this.#control = new Control(clock, journal.workedMs);
    this.#limit = new LineLimit(input.shared.throttle, clock, lineSettingsOf(input.config));
    this.#line = new Line(clock, this.#limit);
    this.#phaseTold = journal.phaseTold;
    this.#failuresTold = journal.failuresTold;
    journal.activeMs = () => this.#control.activeMs;
    journal.onCommit = () => this.#tellFailures("when_due");
    journal.onBroken = (error) => this.#control.fail(error);
    const report = this.#run();
    this.#ended = report.then(
      () => {},
      () => {},
    );
    // A suspended run has no end.
    this.finished = report.then((ended) => ended ?? new Promise<never>(() => {}));
  }

  pause(): void {
    if (this.#control.paused || this.#control.stopped.aborted) return;
    this.#control.pause();
    this.#limit.rest();
    this.#line.reset();
    this.#control.settled().then(
      () => {
        if (this.#control.paused && !this.#control.stopped.aborted) this.#tellPhase("paused");
      },
      () => {},
    );
  }

  resume(): void {
    if (!this.#control.paused) return;
    this.#control.resume();
    this.#limit.hold();
    if (this.#phaseTold === "paused") this.#tellPhase(this.#activity);
  }

  cancel(): void {
    this.#control.stop("cancelled");
  }

  finish(): void {
    this.#finishing.abort();
  }

  limitLine(line: LineSettings): void {
    this.#limit.change(line);
  }

  async suspend(): Promise<void> {
    this.#control.stop("suspended");
    await this.#ended;
  }

  progress(): RunProgress {
    const { totals, aheadBytes } = this.#journal;
    const bytesInFlight = aheadBytes + (this.#uploader?.acceptedBytes ?? 0) + this.#line.inFlightBytes;
    const bytesPerSecond = this.#control.paused ? 0 : this.#line.bytesPerSecond();
    const { bytesTotal, bytesCompleted, bytesFailed, bytesSkipped } = totals;
    const bytesLeft = Math.max(0, bytesTotal - bytesCompleted - bytesFailed - bytesSkipped - bytesInFlight);
    return {
      phase: this.#control.paused ? "paused" : this.#activity,
      totals,
      bytesInFlight,
      bytesPerSecond,
      secondsRemaining:
        this.#activity === "running" && bytesPerSecond > 0 ? bytesLeft / bytesPerSecond : null,
      currentPath: this.#currentPath === null ? null : shorten(this.#currentPath, CURRENT_PATH_LENGTH_MAX),
      waiting: this.#control.paused ? null : this.#waiting(),
    };
  }

  /** The strongest reason first. */
  #waiting(): Waiting | null {
    const { clock } = this.#input.platform;
    const full = this.#journal.waiting;
    if (full !== null) return { reason: "disk_full", untilMs: null, message: full };
    const heldUp = this.#input.heldUp?.() ?? null;
    if (heldUp !== null) return heldUp;
    const throttledUntilMs = this.#gate?.state.throttledUntilMs ?? null;
    if (throttledUntilMs !== null) return { reason: "throttled", untilMs: throttledUntilMs, message: null };
    const failingSinceMs = this.#retry?.failingSinceMs ?? null;
    if (failingSinceMs !== null && clock.monotonic() - failingSinceMs > UNREACHABLE_MS)
      return { reason: "unreachable", untilMs: null, message: null };
    const nextPassAtMs = this.#journal.nextPassAtMs;
    if (nextPassAtMs !== null) return { reason: "next_pass", untilMs: nextPassAtMs, message: null };
    if (this.#lockedUntilMs !== null)
      return { reason: "locked", untilMs: this.#lockedUntilMs, message: null };
    return this.#activity === "running" ? this.#limit.waiting : null;
  }

  /** Null when it was suspended. */
  async #run(): Promise<JobReport | null> {
    try {
      const already = this.#journal.report;
      if (already !== null) return already;
      // Nothing is told while the caller does not have its run in hand yet.
      await Promise.resolve();
      return await this.#finish(await this.#work());
    } catch (error) {
      if (error instanceof Stopped && error.stop === "suspended") {
        await this.#journal.noteStopped();
        return null;
      }
      return this.#reportWithoutJournal(endOf(error));
    } finally {
      this.#limit.leave();
      this.#journal.close();
    }
  }

  /** Everything up to the end, whatever that is; throws only when it was suspended, or when nothing can be written any more. */
  async #work(): Promise<End> {
    const { config, destination, shared } = this.#input;
    const account = `${config.destination.kind} ${config.destination.account}`;
    const membership = shared.gates.join(account, config.options.concurrency + REQUESTS_BESIDE);
    try {
      await this.#control.ready();
      const retry = new Retry({
        platform: this.#input.platform,
        control: this.#control,
        gate: membership.gate,
        ready: (signal) => destination.ready(signal),
      });
      this.#retry = retry;
      this.#gate = membership.gate;
      await this.#passes(retry);
      return { outcome: "completed", error: null };
    } catch (error) {
      const end = endOf(error);
      if (end.error?.code === "AGENT_ERROR") this.#logDefect(error);
      // What is still going on must end before the totals are final.
      this.#control.fail(error);
      return end;
    } finally {
      membership.leave();
    }
  }

  /** One pass, or one after the other. */
  async #passes(retry: Retry): Promise<void> {
    const journal = this.#journal;
    const { repetition } = this.#input.config.options;
    for (;;) {
      if (journal.nextPassAtMs === null) await this.#pass(retry);
      if (repetition === null) return;
      if (journal.nextPassAtMs === null) await journal.notePassEnded(this.#nextPassAtMs(repetition));
      await this.#waitForPass();
      if (this.#finishing.signal.aborted) return;
      await journal.beginPass();
    }
  }

  async #pass(retry: Retry): Promise<void> {
    const vanished = await this.#scan(retry);
    await this.#transfer(retry);
    // Never is a job called complete that has left something undone, whatever we did wrong.
    const { pendingFiles, awaitingFiles } = this.#journal;
    if (pendingFiles + awaitingFiles > 0)
      throw new Error(`Cannot end: ${pendingFiles} files were not moved, ${awaitingFiles} not proved`);
    await this.#removeVanished(vanished, retry);
    await this.#removeSources(retry);
  }

  /** The files that were moved leave the source, where the job and this machine say so. */
  async #removeSources(retry: Retry): Promise<void> {
    const { config, source, destination, platform, jobId, mayRemove, hasLease } = this.#input;
    const { deletion } = config.options;
    const quarantine = source.quarantine ?? null;
    if (deletion === null || quarantine === null) return;
    const journal = this.#journal;
    const control = this.#control;
    const plan = this.#plan();
    const result = await cleanUp({
      destination,
      control,
      retry,
      jobId,
      options: config.options,
      quarantine,
      journal,
      platform,
      plan,
      proofPlan: this.#proofPlan(plan),
      mayGoOn: () => !control.paused && !control.stopped.aborted && hasLease(),
      isAllowed: mayRemove,
    });
    const { removed, wouldRemove, purgedFiles, keptFiles, stays } = result;
    const moved = deletion.dryRun ? wouldRemove : removed;
    this.#removal = {
      ...moved,
      dryRun: deletion.dryRun,
      filesPurged: purgedFiles,
      ...(keptFiles === 0 ? {} : { filesKept: keptFiles }),
      stays: { ...stays },
    };
    platform.log("sources_removed", {
      jobId,
      files: moved.files,
      purged: purgedFiles,
      stays: JSON.stringify(stays),
    });
  }

  #plan(): Plan {
    const { config, destination, shared } = this.#input;
    const { largestBytes, blockBytes } = this.#journal;
    const memoryBytes = shared.memory.availableBytes;
    return makePlan(config.options, destination.limits, { largestBytes, memoryBytes, blockBytes });
  }

  #proofPlan(plan: Plan): ProofPlan {
    const { config, platform } = this.#input;
    return new ProofPlan(config, plan, { checksum: platform.checksum, firstPage: this.#journal.firstPage });
  }

  /** Agents of one site must not all come at once. */
  #nextPassAtMs({ everyMinutes }: Repetition): number {
    const { clock, random } = this.#input.platform;
    return Math.round(clock.now() + everyMinutes * 60_000 * (0.75 + random.next() / 2));
  }

  async #waitForPass(): Promise<void> {
    const { clock } = this.#input.platform;
    this.#currentPath = null;
    while (!this.#finishing.signal.aborted) {
      // By the wall clock, looked at often: a laptop may have slept meanwhile.
      const leftMs = (this.#journal.nextPassAtMs ?? 0) - clock.now();
      if (leftMs <= 0) return;
      await this.#control.attempt(this.#control.stopped, async (signal) => {
        const either = AbortSignal.any([signal, this.#finishing.signal]);
        await clock.sleep(Math.min(leftMs, PASS_LOOK_MS), either).catch(() => signal.throwIfAborted());
      });
    }
  }

  /** Resolves with what the source has no more, as far as that is looked for. */
  async #scan(retry: Retry): Promise<readonly Held[]> {
    const { source, destination, config } = this.#input;
    const journal = this.#journal;
    const control = this.#control;
    let changes: Changes | null = null;
    let known: ReadonlySet<string> = new Set();
    if (!journal.scan.done) {
      this.#enter("scanning");
      if (journal.pass === 1) this.#input.platform.prepareDigests();
      if (journal.pass > 1) {
        known = new Set(journal.failures(0, FAILURES_KEPT_MAX).map(({ path }) => path));
        changes = new Changes({ destination, control, retry }, journal.scan.cursor);
      }
      await scan({ config, source, destination, journal, control, changes, known });
    }
    if (this.#phaseTold === "scanning") this.#enter("ready");
    this.#enter("running");
    return changes?.vanished ?? [];
  }

  async #removeVanished(vanished: readonly Held[], retry: Retry): Promise<void> {
    const { config, destination, platform, jobId } = this.#input;
    if (config.options.repetition?.vanished !== "remove") return;
    const journal = this.#journal;
    const signal = this.#control.stopped;
    // Of a pass that was cut off it is not known what is gone.
    for (const group of journal.vanishedGroups())
      if (!group.settled) await this.#settleVanished(group, new Set(), retry);
    if (vanished.length === 0) return;
    const removed = new Set<Held>();
    for (let from = 0; from < vanished.length; from += VANISHED_GROUP) {
      const group = await journal.beginVanished(vanished.slice(from, from + VANISHED_GROUP));
      await forEachOf(group.blobs, REQUESTS_BESIDE, async (held) => {
        // What nobody removes now has vanished at the next pass, too.
        if (!(await this.#leased())) return;
        try {
          const call = { action: "remove", passage: null, signal } as const;
          await retry.call((stop) => destination.remove(held.path, held.etag, stop), call);
          removed.add(held);
        } catch (error) {
          // Somebody has replaced or removed it, or keeps it by a policy: it is not ours to insist.
          if (!(error instanceof TransferError) || error.problem.scope === "job") throw error;
        }
      });
      await this.#settleVanished(group, removed, retry);
    }
    platform.log("vanished_removed", { jobId, found: vanished.length, removed: removed.size });
  }

  /** Notes what of a group is gone; what is not in `removed` is asked for, since an answer may have been lost. */
  async #settleVanished(group: VanishedGroup, removed: ReadonlySet<Held>, retry: Retry): Promise<void> {
    const { destination, platform } = this.#input;
    const asking = { destination, control: this.#control, retry };
    const found = new Set<Held>();
    await forEachOf(group.blobs, REQUESTS_BESIDE, async (held) => {
      if (!removed.has(held) && (await find(asking, held.path)) !== null) found.add(held);
    });
    const gone = group.blobs.filter((held) => !found.has(held));
    const early = gone.filter(({ feeUntilMs = 0 }) => feeUntilMs > platform.clock.now());
    await this.#journal.settleVanished(group, gone, early.length);
  }

  /** Waits for the lease; false when it is not to be had. Throws when the run was stopped. */
  async #leased(): Promise<boolean> {
    const { hasLease, platform } = this.#input;
    const untilMs = platform.clock.monotonic() + LEASE_WAIT_MS_MAX;
    while (!hasLease()) {
      if (platform.clock.monotonic() >= untilMs) return false;
      await this.#control.attempt(this.#control.stopped, (signal) =>
        platform.clock.sleep(LEASE_LOOK_MS, signal),
      );
    }
    return true;
  }

  async #transfer(retry: Retry): Promise<void> {
    const { platform, shared } = this.#input;
    if (this.#journal.nextPage(0, "pending") === null && this.#journal.nextPage(0, "awaiting") === null)
      return;
    const plan = this.#plan();
    const giveBack = shared.memory.take(plan.buffers * plan.blockBytes);
    // What is cut in one way must not be looked for in another after a restart.
    if (this.#journal.blockBytes === null) await this.#journal.noteBlockBytes(plan.blockBytes);
    const digests = platform.digests({ count: plan.buffers, bytesEach: plan.blockBytes });
    try {
      await this.#transferWith(plan, digests, retry);
    } finally {
      digests.close();
      giveBack();
      this.#uploader = null;
    }
  }

  async #transferWith(plan: Plan, digests: Digests, retry: Retry): Promise<void> {
    const { config, source, destination, platform, shared } = this.#input;
    const { clock } = platform;
    const journal = this.#journal;
    const control = this.#control;
    const line = this.#line;
    const takeInventory = () => new Inventory({ destination, control, retry }, journal.pendingFiles);
    const buffers = new BufferPool(digests.buffers);
    const common = { destination, journal, control, retry, plan, digests, buffers, line };
    const proofPlan = this.#proofPlan(plan);
    const bodiesMax = () => shared.throttle.bodiesMax;
    const uploader = new Uploader({ ...common, config, source, platform, proofPlan, bodiesMax });
    this.#uploader = uploader;
    const verifier = config.options.verify ? new Verifier({ ...common, clock, proofPlan, uploader }) : null;
    const onBegin = (path: string) => (this.#currentPath = path);
    const onLocked = (untilMs: number | null) => (this.#lockedUntilMs = untilMs);
    await transfer({ ...common, clock, source, takeInventory, uploader, verifier, onBegin, onLocked });
  }

  async #finish(end: End): Promise<JobReport> {
    const journal = this.#journal;
    this.#currentPath = null;
    await journal.flush();
    this.#tellFailures("now");
    const manifest = await this.#writeManifest();
    const report: JobReport = { ...this.#summary(end), manifest };
    await journal.finish(report);
    return report;
  }

  /** Null when it cannot be written: the files are moved all the same, and the report shows that it is missing. */
  async #writeManifest(): Promise<JobReport["manifest"]> {
    const { destination, platform, manifestPath } = this.#input;
    try {
      return await writeManifest({ journal: this.#journal, destination, platform, path: manifestPath });
    } catch (error) {
      if (error instanceof JournalError) throw error;
      platform.log("manifest_failed", { jobId: this.#input.jobId, message: messageOf(error) });
      return null;
    }
  }

  /** The journal is broken: the totals are the last that it held. */
  #reportWithoutJournal(end: End): JobReport {
    return { ...this.#summary(end), manifest: null };
  }

  #summary(end: End): Omit<JobReport, "manifest"> {
    return {
      ...end,
      totals: this.#journal.totals,
      startedAt: new Date(this.#journal.startedAtMs).toISOString(),
      finishedAt: new Date(this.#input.platform.clock.now()).toISOString(),
      activeMs: this.#control.activeMs,
      verification: levelOf(this.#input.config),
      removal: this.#removal,
      notes: notesOf(this.#journal),
    };
  }

  #enter(phase: Exclude<AgentPhase, "paused">): void {
    this.#activity = phase;
    if (!this.#control.paused) this.#tellPhase(phase);
  }

  #tellPhase(phase: AgentPhase): void {
    if (this.#phaseTold === phase) return;
    this.#tellFailures("now");
    const { totals, preview } = this.#journal;
    this.#input.tell({ kind: "phase", phase, totals, ...(preview === null ? {} : { preview }) });
    this.#phaseTold = phase;
    this.#journal.notePhaseTold(phase);
  }

  /** Tells what the journal holds and nobody was told; only the first {@link FAILURES_KEPT_MAX} are told at all. */
  #tellFailures(when: "now" | "when_due"): void {
    const known = Math.min(this.#journal.failureCount, FAILURES_KEPT_MAX);
    const waiting = known - this.#failuresTold;
    if (waiting === 0) return;
    const nowMs = this.#input.platform.clock.monotonic();
    if (when === "when_due" && waiting < FAILURES_PER_EVENT_MAX && nowMs - this.#toldMs < TELL_MS) return;
    this.#toldMs = nowMs;
    while (this.#failuresTold < known) {
      const failures = this.#journal.failures(this.#failuresTold, FAILURES_PER_EVENT_MAX);
      this.#input.tell({ kind: "files_failed", first: this.#failuresTold, failures });
      this.#failuresTold += failures.length;
    }
    this.#journal.noteFailuresTold(this.#failuresTold);
  }

  #logDefect(error: unknown): void {
    const { jobId, epoch, platform } = this.#input;
    platform.log("run_defect", {
      jobId,
      epoch,
      message: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
  }
}

/** The numbers are those that are durable, as the totals are. */
function notesOf({ preview, noted, totals }: Journal): JobNote[] {
  if (preview !== null && totals.filesTotal === 0) return [{ code: "source_empty" satisfies NoteCode }];
  const { filtered = 0, links = 0, special = 0, unreadable = 0, mapped = 0 } = preview ?? {};
  // Over all passes, nothing came along that the filters let through.
  const isUnmatched = totals.filesTotal === filtered + links + special + unreadable;
  const counts: readonly (readonly [NoteCode, number])[] = [
    ["filters_match_nothing", isUnmatched ? filtered : 0],
    ["names_mapped", mapped],
    ["archived_left", noted.archivedLeft],
    ["archived_replaced", noted.archivedReplaced],
    ["early_deletion", noted.earlyDeletions],
    ["vanished_removed", noted.vanishedRemoved],
  ];
  return counts.filter(([, count]) => count > 0).map(([code, count]) => ({ code, count }));
}

function levelOf({ options }: JobConfig): JobReport["verification"] {
  if (!options.verify) return "sent";
  return options.readbackPercent > 0 ? "readback" : "chain";
}

type End = Pick<JobReport, "outcome" | "error">;

/** Throws the error again when it means that the program stops. */
function endOf(error: unknown): End {
  if (error instanceof Stopped) {
    switch (error.stop) {
      case "cancelled":
        return { outcome: "cancelled", error: null };
      case "failed":
        return endOf(error.cause);
      case "suspended":
        throw error;
    }
  }
  return { outcome: "failed", error: jobErrorOf(error) };
}

function jobErrorOf(error: unknown): JobError {
  return { code: codeOf(error), message: shorten(messageOf(error), MESSAGE_LENGTH_MAX) };
}

function codeOf(error: unknown): JobErrorCode {
  if (error instanceof JournalError) return "JOURNAL_BROKEN";
  if (error instanceof TransferError && error.problem.scope === "job") return error.problem.code;
  return "AGENT_ERROR";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Cuts between characters, not inside one. */
function shorten(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  return `${text
    .slice(0, lengthMax - 1)
    .toWellFormed()
    .replace(/\ufffd$/, "")}…`;
}

/** A run whose journal has no room on the disk yet. It looks again until it has; what it is told meanwhile is told on. */
class UnopenedRun implements Run {
  readonly finished: Promise<JobReport>;
  readonly #input: RunInput;
  readonly #full: JournalFull;
  readonly #stopping = new AbortController();
  /** What it was told, in order, to be said again to the run itself. */
  readonly #told: ((run: Run) => void)[] = [];
  #run: Run | null = null;

  constructor(input: RunInput, full: JournalFull) {
    this.#input = input;
    this.#full = full;
    this.finished = this.#open();
  }

  pause(): void {
    this.#tell((run) => run.pause());
  }
  resume(): void {
    this.#tell((run) => run.resume());
  }
  cancel(): void {
    this.#tell((run) => run.cancel());
  }
  finish(): void {
    this.#tell((run) => run.finish());
  }
  limitLine(line: LineSettings): void {
    this.#tell((run) => run.limitLine(line));
  }

  async suspend(): Promise<void> {
    this.#stopping.abort();
    await this.#run?.suspend();
  }

  progress(): RunProgress {
    const waiting: Waiting = { reason: "disk_full", untilMs: null, message: this.#full.message };
    return this.#run?.progress() ?? { ...NO_PROGRESS, waiting };
  }

  #tell(say: (run: Run) => void): void {
    if (this.#run === null) this.#told.push(say);
    else say(this.#run);
  }

  async #open(): Promise<JobReport> {
    for (;;) {
      try {
        await this.#input.platform.clock.sleep(ROOM_MS, this.#stopping.signal);
      } catch {
        // Suspended: such a run has no end.
        return await new Promise<never>(() => {});
      }
      try {
        const run = (this.#run = openRun(this.#input));
        for (const say of this.#told) say(run);
        return await run.finished;
      } catch (error) {
        if (!(error instanceof JournalFull)) throw error;
      }
    }
  }
}

const NO_PROGRESS: RunProgress = {
  phase: "scanning",
  totals: ZERO_TOTALS,
  bytesInFlight: 0,
  bytesPerSecond: 0,
  secondsRemaining: null,
  currentPath: null,
};

/** A run whose journal cannot be opened. Nothing was done, and nothing is touched. */
function brokenRun(input: RunInput, error: JournalError): Run {
  const now = new Date(input.platform.clock.now()).toISOString();
  const report: JobReport = {
    outcome: "failed",
    error: jobErrorOf(error),
    totals: ZERO_TOTALS,
    startedAt: now,
    finishedAt: now,
    activeMs: 0,
    verification: levelOf(input.config),
    manifest: null,
  };
  const nothing = () => {};
  return {
    finished: Promise.resolve(report),
    pause: nothing,
    resume: nothing,
    cancel: nothing,
    finish: nothing,
    limitLine: nothing,
    suspend: () => Promise.resolve(),
    progress: () => NO_PROGRESS,
  };
}
