/** One epoch of one job, from the first listing to the report. What the runner sees of the engine. */
import type { JobErrorCode } from "../../schema/errors.ts";
import {
  FAILURES_KEPT_MAX,
  type FileFailure,
  type JobConfig,
  type JobError,
  type JobReport,
  type JobTotals,
  ZERO_TOTALS,
} from "../../schema/job.ts";
import { type AgentPhase, FAILURES_PER_EVENT_MAX, type Progress } from "../../schema/protocol.ts";
import { type Destination, type Source, TransferError } from "../connectors/connector.ts";
import type { Digests } from "../digests.ts";
import type { Platform } from "../platform.ts";
import { BufferPool } from "./buffers.ts";
import { Control, Stopped } from "./control.ts";
import { Inventory } from "./existing.ts";
import type { AccountGate, AccountGates } from "./gate.ts";
import { Journal } from "./journal.ts";
import { JournalError } from "./journal-file.ts";
import { Line } from "./line.ts";
import { writeManifest } from "./manifest.ts";
import { makePlan, type Plan } from "./plan.ts";
import { Retry } from "./retry.ts";
import { scan } from "./scan.ts";
import type { Share, Throttle } from "./throttle.ts";
import { transfer } from "./transfer.ts";
import { Uploader } from "./upload.ts";
import { Verifier } from "./verify.ts";

export interface RunInput {
  readonly jobId: string;
  readonly epoch: number;
  readonly config: JobConfig;
  readonly source: Source;
  readonly destination: Destination;
  readonly platform: Platform;
  readonly shared: SharedLimits;
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
}

export type RunEvent =
  | { readonly kind: "phase"; readonly phase: AgentPhase; readonly totals: JobTotals }
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
  /** Stops working without an end, because the program stops; a later run goes on from the journal. */
  suspend(): Promise<void>;
  progress(): RunProgress;
}

/** Begins a run, or goes on with what its journal holds. */
export function startRun(input: RunInput): Run {
  try {
    return new JournalledRun(input, Journal.open(input.platform, input.journalPath));
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    return brokenRun(input, error);
  }
}

/** Requests that ask, besides those that send. */
const REQUESTS_BESIDE = 4;
const CURRENT_PATH_LENGTH_MAX = 200;
const MESSAGE_LENGTH_MAX = 1_000;
/** A few failures are told together, but none waits longer than this for others. */
const TELL_MS = 1_000;

class JournalledRun implements Run {
  readonly finished: Promise<JobReport>;
  readonly #input: RunInput;
  readonly #journal: Journal;
  readonly #control: Control;
  readonly #share: Share;
  readonly #line: Line;
  readonly #ended: Promise<void>;
  #uploader: Uploader | null = null;
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
    this.#share = input.shared.throttle.join(null);
    this.#line = new Line(clock, this.#share);
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
    if (this.#phaseTold === "paused") this.#tellPhase(this.#activity);
  }

  cancel(): void {
    this.#control.stop("cancelled");
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
    };
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
      this.#share.leave();
      this.#journal.close();
    }
  }

  /** Everything up to the end, whatever that is; throws only when it was suspended, or when nothing can be written any more. */
  async #work(): Promise<End> {
    try {
      await this.#control.ready();
      await this.#scan();
      await this.#transfer();
      return { outcome: "completed", error: null };
    } catch (error) {
      const end = endOf(error);
      if (end.error?.code === "AGENT_ERROR") this.#logDefect(error);
      // What is still going on must end before the totals are final.
      this.#control.fail(error);
      return end;
    }
  }

  async #scan(): Promise<void> {
    const { source, destination, config } = this.#input;
    const journal = this.#journal;
    if (!journal.scan.done) {
      this.#enter("scanning");
      await scan({ config, source, destination, journal, control: this.#control });
    }
    if (this.#phaseTold === "scanning") this.#enter("ready");
    this.#enter("running");
  }

  async #transfer(): Promise<void> {
    const { config, destination, platform, shared } = this.#input;
    const plan = makePlan(config.options, destination.limits, this.#journal.largestBytes);
    const account = `${config.destination.kind} ${config.destination.account}`;
    const membership = shared.gates.join(account, plan.streams + REQUESTS_BESIDE);
    const digests = platform.digests({ count: plan.buffers, bytesEach: plan.blockBytes });
    try {
      await this.#transferWith(plan, digests, membership.gate);
    } finally {
      digests.close();
      membership.leave();
    }
  }

  async #transferWith(plan: Plan, digests: Digests, gate: AccountGate): Promise<void> {
    const { config, source, destination, platform } = this.#input;
    const { clock } = platform;
    const journal = this.#journal;
    const control = this.#control;
    const line = this.#line;
    const retry = new Retry({ platform, control, gate, ready: (signal) => destination.ready(signal) });
    const inventory = new Inventory({ destination, control, retry }, journal.pendingFiles);
    const buffers = new BufferPool(digests.buffers);
    const common = { destination, journal, control, retry, plan, digests, buffers, line };
    const landingTier = () => config.destination.tier;
    const uploader = new Uploader({ ...common, config, source, platform, landingTier });
    this.#uploader = uploader;
    const isReadBack = () => false;
    const tierAfterProof = () => null;
    const verifier = config.options.verify
      ? new Verifier({ ...common, clock, isReadBack, tierAfterProof })
      : null;
    const onBegin = (path: string) => (this.#currentPath = path);
    await transfer({ journal, control, plan, inventory, uploader, verifier, onBegin });
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
      verification: this.#input.config.options.verify ? "chain" : "sent",
    };
  }

  #enter(phase: Exclude<AgentPhase, "paused">): void {
    this.#activity = phase;
    if (!this.#control.paused) this.#tellPhase(phase);
  }

  #tellPhase(phase: AgentPhase): void {
    if (this.#phaseTold === phase) return;
    this.#tellFailures("now");
    this.#input.tell({ kind: "phase", phase, totals: this.#journal.totals });
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
    verification: input.config.options.verify ? "chain" : "sent",
    manifest: null,
  };
  const nothing = () => {};
  return {
    finished: Promise.resolve(report),
    pause: nothing,
    resume: nothing,
    cancel: nothing,
    suspend: () => Promise.resolve(),
    progress: () => ({
      phase: "scanning",
      totals: ZERO_TOTALS,
      bytesInFlight: 0,
      bytesPerSecond: 0,
      secondsRemaining: null,
      currentPath: null,
    }),
  };
}
