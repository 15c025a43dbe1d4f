/**
 * Carries out what is wanted of the jobs. `docs/spec.md`, section A.
 *
 * What is wanted lies in {@link AgentState}; the runner compares it with what is going on and takes the one step that
 * brings the two together ({@link Runner.#steer}), whenever either changes. So a repeated, late or lost message, a restart
 * and a finished run are the same case: look, and steer. It needs no connection: jobs go on while the hub is away.
 */
import { JOB_ERRORS } from "../schema/errors.ts";
import {
  ZERO_TOTALS,
  jobConfig,
  type DesiredState,
  type JobConfig,
  type JobError,
  type JobReport,
  type JobTotals,
} from "../schema/job.ts";
import type { Applied, JobEvent, Result } from "../schema/protocol.ts";
import { Bell } from "./bell.ts";
import { TransferError, type Destination, type Source } from "./connectors/connector.ts";
import { lineSettingsOf, NO_LINE_SETTINGS } from "./engine/line-limit.ts";
import type { Run, RunInput, RunProgress, SharedLimits } from "./engine/run.ts";
import type { Lease } from "./lease.ts";
import { onlyListName } from "./only-failed.ts";
import type { WrittenManifest } from "./manifest-upload.ts";
import type { Platform } from "./platform.ts";
import { retentionOf } from "./purge.ts";
import { redact } from "./redact.ts";
import type { Work } from "./session.ts";
import type { AgentState, Epoch, JobState, Retention, Wanted } from "./state.ts";

/** Jobs that are worked on at once; the others wait in the order in which they came. */
export const RUNS_MAX = 4;
const MESSAGE_CHARACTERS_MAX = 1_000;

export interface RunnerInput {
  readonly platform: Platform;
  readonly state: AgentState;
  readonly startRun: (input: RunInput) => Run;
  /** Why this agent does not take a job, or null. Asked when it comes, and again before each run. */
  readonly refusal: (config: JobConfig) => JobError | null;
  /** Opens both ends of a job. `signal` is aborted when its run is over; `onStale` puts the run down. */
  readonly connect: (job: Epoch & { config: JobConfig; signal: AbortSignal; onStale: () => void }) => {
    source: Source;
    destination: Destination;
    heldUp?: RunInput["heldUp"];
  };
  readonly shared: SharedLimits;
  /** Without it no epoch is begun and no source file removed; fenced, nothing is done at all. */
  readonly lease: Lease;
  /** Whether somebody at this machine allows that source files of such a job are removed. Asked before each is. */
  readonly mayRemove: (config: JobConfig) => boolean;
  /** Folders that exist, without a separator at the end. */
  readonly folders: { readonly journals: string; readonly manifests: string };
  /** Told of each manifest before the result that names it is written down; after a crash perhaps twice. */
  readonly manifestWritten?: (manifest: WrittenManifest) => void;
}

/** A run that is going on. */
interface Active extends Epoch {
  readonly run: Run;
  readonly life: AbortController;
  /** What the run was told last. */
  asked: DesiredState;
  /** Resolves when it has let go of everything, once it was told to. */
  stopping: Promise<void> | null;
}

export class Runner implements Work {
  readonly #input: RunnerInput;
  readonly #active = new Map<string, Active>();
  /** Ids of jobs that wait for one of the {@link RUNS_MAX} places. */
  #queue: string[] = [];
  /** Epochs the control plane did not know any more; they rest until it speaks of them again, or a restart. */
  readonly #stale = new Map<string, number>();
  readonly #bell = new Bell();
  #closing = false;

  constructor(input: RunnerInput) {
    this.#input = input;
    input.lease.watch({ granted: () => this.#goOn(), fenced: () => this.#halt() });
  }

  /** Goes on with everything that was not finished when the program ended. */
  start(): void {
    this.#sweepJournals();
    for (const job of this.#input.state.unfinished()) this.#steer(job.jobId);
  }

  /** Stops all runs without an end; their journals hold the rest. */
  async suspend(): Promise<void> {
    this.#closing = true;
    await Promise.all([...this.#active.values()].map((active) => this.#stop(active)));
  }

  /** Whether no job is being worked on or waits for its turn; those that are paused may stay so. */
  get isIdle(): boolean {
    return this.#queue.length === 0 && [...this.#active.values()].every(({ asked }) => asked === "pause");
  }

  // --- what the session asks ---

  applied(): Record<string, [number, number]> {
    return this.#input.state.applied();
  }

  /** Durable before it acts, and before it answers. */
  apply(wanted: Wanted): Applied {
    const { state, platform } = this.#input;
    const { jobId, epoch, rev } = wanted;
    const held = state.find(jobId);
    const answer = { type: "applied", jobId, epoch, rev } as const;
    if (held !== null && (epoch < held.epoch || (epoch === held.epoch && rev <= held.rev))) {
      if (epoch === held.epoch && this.#stale.delete(jobId)) this.#steer(jobId);
      return epoch === held.epoch && held.refusal !== null
        ? refused(answer, held.refusal)
        : { ...answer, result: "ok" };
    }
    if (held?.epoch === epoch) {
      // Within an epoch nothing but the limits of the line changes (R5), and after a cancel nothing at all.
      const isSame = sameConfig(wanted.config, held.config);
      if (!isSame && (wanted.state === "run" || wanted.state === "finish")) {
        return refused(answer, { code: "CONFIG_REFUSED", message: "The job changed within an epoch" });
      }
      const config = isSame ? wanted.config : undefined;
      state.accept({ ...wanted, config, state: held.state === "cancel" ? "cancel" : wanted.state }, null);
      this.#limitLine(jobId, config);
    } else {
      const refusal = wanted.state === "cancel" ? null : this.#refusal(wanted.config);
      const report = refusal === null ? null : this.#emptyReport("failed", refusal);
      state.accept(wanted, refusal === null || report === null ? null : { refusal, report });
      // That of a run which still has to let go is dropped when it has.
      if (held !== null && !this.#active.has(jobId)) this.#dropJournal(held);
      platform.log(refusal === null ? "job_taken" : "job_refused", {
        jobId,
        epoch,
        rev,
        code: refusal?.code,
      });
    }
    this.#stale.delete(jobId);
    this.#steer(jobId);
    this.#bell.ring();
    const { refusal } = state.find(jobId) as JobState;
    return refusal === null ? { ...answer, result: "ok" } : refused(answer, refusal);
  }

  resume(eventSeqHeld: number): void {
    this.#input.state.alignEvents(eventSeqHeld);
    this.acknowledge(eventSeqHeld);
  }

  acknowledge(eventSeq: number): void {
    const { state } = this.#input;
    // First the journals: cut in between, the result is still in the outbox, and this comes again.
    for (const ended of state.unackedResults(eventSeq)) this.#dropJournal(ended);
    state.acknowledge(eventSeq);
  }

  events(aboveEventSeq: number, limit: number): (JobEvent | Result)[] {
    return this.#input.state.events(aboveEventSeq, limit);
  }

  progress(): (Epoch & { progress: RunProgress })[] {
    return [...this.#active.values()]
      .filter(({ asked, stopping }) => (asked === "run" || asked === "finish") && stopping === null)
      .map((active) => {
        const progress = active.run.progress();
        this.#healPhase(active, progress);
        return { jobId: active.jobId, epoch: active.epoch, progress };
      });
  }

  nextProgressSeq(epoch: Epoch): number {
    return this.#input.state.nextProgressSeq(epoch);
  }

  async news(): Promise<void> {
    await this.#bell.heard();
  }

  // --- steering ---

  /** Another has this agent's place: everything rests as when the program stops, and the journals hold the rest. */
  #halt(): void {
    this.#input.platform.log("runs_halted", { runs: this.#active.size });
    // All come back in the order in which they came.
    this.#queue = [];
    for (const active of this.#active.values()) void this.#stop(active);
  }

  #goOn(): void {
    for (const job of this.#input.state.unfinished()) this.#steer(job.jobId);
  }

  get #isHalted(): boolean {
    return this.#closing || this.#input.lease.isFenced;
  }

  #steer(jobId: string): void {
    if (this.#isHalted) return;
    const job = this.#input.state.find(jobId);
    const active = this.#active.get(jobId);
    if (job === null) return;
    if (active !== undefined) {
      // When it has stopped, this is asked again.
      if (active.stopping === null) this.#steerActive(active, job);
      return;
    }
    if (job.finished || this.#stale.has(jobId)) return this.#leaveQueue(jobId);
    switch (job.state) {
      case "run":
      case "finish":
        if (!this.#queue.includes(jobId)) this.#queue.push(jobId);
        return this.#fill();
      case "pause":
        this.#leaveQueue(jobId);
        if (!job.started) this.#tell(job, { kind: "phase", phase: "paused", totals: ZERO_TOTALS });
        // The program ended before it was told; only the journal knows the totals.
        else if (job.phase !== "paused") this.#begin(job, "pause");
        return;
      case "cancel":
        this.#leaveQueue(jobId);
        if (job.started) this.#begin(job, "cancel");
        else this.#finish(job, this.#emptyReport("cancelled", null));
        return;
    }
  }

  #steerActive(active: Active, job: JobState): void {
    if (active.epoch !== job.epoch || job.finished) {
      void this.#stop(active);
      return;
    }
    if (active.asked === job.state) return;
    active.asked = job.state;
    switch (job.state) {
      case "run":
        return active.run.resume();
      case "finish":
        active.run.finish();
        return active.run.resume();
      case "pause":
        return active.run.pause();
      case "cancel":
        return active.run.cancel();
    }
  }

  #limitLine(jobId: string, config: unknown): void {
    const parsed = jobConfig.safeParse(config);
    if (parsed.success) this.#active.get(jobId)?.run.limitLine(lineSettingsOf(parsed.data));
  }

  #leaveQueue(jobId: string): void {
    this.#queue = this.#queue.filter((waiting) => waiting !== jobId);
  }

  #fill(): void {
    if (this.#isHalted) return;
    while (this.#active.size < RUNS_MAX) {
      // Those that wait for the lease keep their places.
      const jobId = this.#queue.find((waiting) => this.#mayBegin(waiting));
      if (jobId === undefined) return;
      this.#leaveQueue(jobId);
      const job = this.#input.state.find(jobId);
      if (job !== null && !job.finished) this.#begin(job, job.state);
    }
  }

  #mayBegin(jobId: string): boolean {
    return this.#input.lease.isLive || this.#input.state.find(jobId)?.started !== false;
  }

  // --- runs ---

  #begin(job: JobState, asked: Active["asked"]): void {
    const { platform, state, startRun, connect } = this.#input;
    const { jobId, epoch } = job;
    const config = jobConfig.safeParse(job.config);
    const refusal = this.#refusal(job.config);
    if (!config.success || refusal !== null) {
      return this.#finish(job, this.#emptyReport("failed", refusal ?? jobErrorOf("CONFIG_REFUSED")));
    }
    const life = new AbortController();
    let run: Run;
    try {
      state.markStarted(job);
      const ends = connect({
        jobId,
        epoch,
        config: config.data,
        signal: life.signal,
        onStale: () => this.#putDown(job),
      });
      run = startRun({
        jobId,
        epoch,
        config: config.data,
        ...ends,
        platform,
        shared: this.#input.shared,
        mayRemove: () => this.#input.mayRemove(config.data),
        hasLease: () => this.#input.lease.isLive,
        journalPath: this.#journalPath(job),
        manifestPath: `${this.#input.folders.manifests}${platform.disk.separator}${jobId}.${epoch}.jsonl`,
        tell: (event) => this.#tell(job, event),
      });
    } catch (error) {
      life.abort();
      return this.#finish(job, this.#emptyReport("failed", errorOf(error)));
    }
    const active: Active = { jobId, epoch, run, life, asked, stopping: null };
    this.#active.set(jobId, active);
    platform.log("run_begun", { jobId, epoch, asked });
    if (asked === "pause") run.pause();
    if (asked === "cancel") run.cancel();
    if (asked === "finish") run.finish();
    run.finished.then(
      (report) => this.#ended(active, report),
      (error: unknown) => {
        if (active.stopping === null) this.#ended(active, this.#failedReport(active, error));
      },
    );
  }

  #ended(active: Active, report: JobReport): void {
    // One that has let go says nothing any more.
    if (this.#active.get(active.jobId) !== active) return;
    if (active.stopping === null) this.#active.delete(active.jobId);
    active.life.abort();
    this.#finish(active, report);
  }

  /** Lets a run go without an end. What becomes of the job is decided when it has let go. */
  async #stop(active: Active): Promise<void> {
    active.stopping ??= this.#letGo(active);
    await active.stopping;
  }

  async #letGo(active: Active): Promise<void> {
    try {
      await active.run.suspend();
    } catch (error) {
      this.#logFailure("run_not_suspended", active, error);
    }
    active.life.abort();
    this.#active.delete(active.jobId);
    const job = this.#input.state.find(active.jobId);
    if (job?.epoch !== active.epoch) this.#dropJournal(active);
    this.#steer(active.jobId);
    this.#fill();
  }

  /** The control plane does not know this epoch: it was replaced or removed, and a newer wish is on its way, or none. */
  #putDown({ jobId, epoch }: Epoch): void {
    const active = this.#active.get(jobId);
    if (active?.epoch !== epoch) return;
    this.#input.platform.log("run_stale", { jobId, epoch });
    this.#stale.set(jobId, epoch);
    void this.#stop(active);
  }

  #tell(job: Epoch, event: Parameters<RunInput["tell"]>[0]): void {
    const { state, platform } = this.#input;
    const at = new Date(platform.clock.now()).toISOString();
    state.tell({ jobId: job.jobId, epoch: job.epoch, at, event });
    this.#bell.ring();
    const active = this.#active.get(job.jobId);
    if (event.kind === "phase" && event.phase === "paused" && active?.asked === "pause") {
      // A paused job holds no place, no memory and no open file; the journal has everything. Not from within its call.
      queueMicrotask(() => {
        if (active.asked === "pause" && active.stopping === null) void this.#stop(active);
      });
    }
  }

  /**
   * A program killed just after a pause was told may have lost that from the journal, not from here. The run that goes on
   * later then thinks that its phase is known, and nobody would hear that the pause is over.
   */
  #healPhase(job: Epoch, { phase, totals }: RunProgress): void {
    if (phase === "paused" || this.#input.state.find(job.jobId)?.phase !== "paused") return;
    this.#tell(job, { kind: "phase", phase, totals });
  }

  #finish({ jobId, epoch }: Epoch, report: JobReport): void {
    this.#input.platform.log("run_ended", {
      jobId,
      epoch,
      outcome: report.outcome,
      code: report.error?.code,
    });
    if (report.manifest !== null) {
      const config = jobConfig.safeParse(this.#input.state.find(jobId)?.config);
      const line = config.success ? lineSettingsOf(config.data) : NO_LINE_SETTINGS;
      this.#input.manifestWritten?.({ jobId, epoch, ...report.manifest, line });
    }
    try {
      this.#input.state.finish({
        jobId,
        epoch,
        report,
        retention: this.#retentionOf({ jobId, epoch }, report),
      });
    } catch (error) {
      // Not written: the job counts as unfinished, and the next start of the program comes back to it.
      this.#logFailure("result_not_stored", { jobId, epoch }, error);
    }
    this.#bell.ring();
    this.#leaveQueue(jobId);
    this.#fill();
  }

  #retentionOf({ jobId, epoch }: Epoch, report: JobReport): Retention | null {
    const job = this.#input.state.find(jobId);
    const config = jobConfig.safeParse(job?.config);
    if (!config.success || (job?.started !== true && epoch === 1)) return null;
    return retentionOf(config.data, epoch, report);
  }

  // --- files ---

  #journalPath(epoch: Epoch): string {
    return this.#besideJournals(journalName(epoch));
  }

  #besideJournals(name: string): string {
    return `${this.#input.folders.journals}${this.#input.platform.disk.separator}${name}`;
  }

  #dropJournal(epoch: Epoch): void {
    this.#input.platform.removeDatabase(this.#journalPath(epoch));
    this.#input.platform.removeDatabase(this.#besideJournals(onlyListName(epoch)));
  }

  /** Removes what a crash left behind: journals of replaced epochs, and of results that were acked. */
  #sweepJournals(): void {
    const { platform, state, folders } = this.#input;
    const epochs = [...state.unfinished(), ...state.unackedResults()];
    const needed = new Set(epochs.flatMap((epoch) => [journalName(epoch), onlyListName(epoch)]));
    for (const { name } of platform.disk.readFolder(folders.journals)) {
      const base = /^(job_[0-9a-z]+\.[0-9]+\.(?:db|only\.json))(-wal|-shm)?$/.exec(name)?.[1];
      if (base === undefined || needed.has(base)) continue;
      platform.removeDatabase(`${folders.journals}${platform.disk.separator}${base}`);
    }
  }

  // --- reports without a run ---

  #refusal(config: unknown): JobError | null {
    const parsed = jobConfig.safeParse(config);
    return parsed.success ? this.#input.refusal(parsed.data) : jobErrorOf("CONFIG_REFUSED");
  }

  #failedReport(active: Active, error: unknown): JobReport {
    this.#logFailure("run_broke", active, error);
    return { ...this.#emptyReport("failed", errorOf(error)), totals: totalsOf(active.run) };
  }

  #emptyReport(outcome: JobReport["outcome"], error: JobError | null): JobReport {
    const at = new Date(this.#input.platform.clock.now()).toISOString();
    return {
      outcome,
      error,
      totals: ZERO_TOTALS,
      startedAt: at,
      finishedAt: at,
      activeMs: 0,
      verification: "sent",
      manifest: null,
    };
  }

  #logFailure(event: string, { jobId, epoch }: Epoch, error: unknown): void {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#input.platform.log(event, { jobId, epoch, reason });
  }
}

function journalName({ jobId, epoch }: Epoch): string {
  return `${jobId}.${epoch}.db`;
}

function refused(
  answer: Omit<Applied, "result">,
  { code, message }: { code: string; message: string },
): Applied {
  return { ...answer, result: "refused", code, message: message.slice(0, 500) };
}

/** Compared as they are understood, so that the order of keys and left-out defaults do not count; without the line. */
function sameConfig(left: unknown, right: unknown): boolean {
  const [one, other] = [jobConfig.safeParse(left), jobConfig.safeParse(right)];
  return one.success && other.success && withoutLine(one.data) === withoutLine(other.data);
}

function withoutLine(config: JobConfig): string {
  return JSON.stringify({ ...config, schedule: null, options: { ...config.options, bandwidthMbps: null } });
}

function jobErrorOf(code: keyof typeof JOB_ERRORS): JobError {
  return { code, message: JOB_ERRORS[code] };
}

/** An expected failure keeps its code; anything else is a defect, said as one. */
function errorOf(error: unknown): JobError {
  const text = redact(error instanceof Error ? error.message : String(error));
  if (error instanceof TransferError && error.problem.scope === "job") {
    return { code: error.problem.code, message: text.slice(0, MESSAGE_CHARACTERS_MAX) };
  }
  return {
    code: "AGENT_ERROR",
    message: `${JOB_ERRORS.AGENT_ERROR}: ${text}`.slice(0, MESSAGE_CHARACTERS_MAX),
  };
}

function totalsOf(run: Run): JobTotals {
  try {
    return run.progress().totals;
  } catch {
    // It broke; the totals of the last progress stand at the hub, which takes the higher ones.
    return ZERO_TOTALS;
  }
}
