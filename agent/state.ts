/**
 * `agent.db`: what the agent must not forget between two starts. Per job what is wanted and how far that got, and the
 * outbox of the event lane: every event and result, numbered when it is written, kept until the hub has acked it.
 *
 * The engine's journals are databases of their own, so a crash can fall between the two. The engine then tells an event
 * again; here a repeat is known as one (a phase that was the last one told, failures by their number) and dropped.
 */
import * as z from "zod";
import {
  FAILURES_KEPT_MAX,
  desiredState,
  jobReport,
  type DesiredState,
  type FileFailure,
  type JobReport,
} from "../schema/job.ts";
import {
  agentPhase,
  FAILURES_PER_EVENT_MAX,
  jobEvent,
  result,
  type Desired,
  type JobEvent,
  type Result,
} from "../schema/protocol.ts";
import type { RunEvent } from "./engine/run.ts";
import { type Database, DiskError, type SqlRow, type Statement } from "./platform.ts";

/** Finished jobs remembered, so that a late repeat of what was wanted of them is known as one. */
export const FINISHED_KEPT_MAX = 1_000;
/** Jobs named in `hello`, so that it fits into a frame. The hub says again what it cannot see there. */
export const HELLO_JOBS_MAX = 2_000;
/** An event stays well within a frame; 50 long paths would not. */
export const EVENT_CHARACTERS_MAX = 48 * 1024;
/** As in `fileFailure`. */
const PATH_CHARACTERS_MAX = 4_096;
const MESSAGE_CHARACTERS_MAX = 500;
/** Sequence numbers of progress reserved with one write, so that they rise over restarts without a write each. */
export const PROGRESS_SEQS_RESERVED = 1_000;

/** A desired state whose config was not looked at yet. */
export type Wanted = Omit<Desired, "config"> & { readonly config: unknown };

export interface Refusal {
  readonly code: string;
  readonly message: string;
}

const refusal = z.object({ code: z.string(), message: z.string() });
const row = z.object({
  job_id: z.string(),
  epoch: z.int(),
  rev: z.int(),
  state: desiredState,
  config: z.string(),
  started: z.int(),
  finished: z.int(),
  phase: agentPhase.nullable(),
  refusal: z.string().nullable(),
});

export interface JobState {
  readonly jobId: string;
  readonly epoch: number;
  readonly rev: number;
  readonly state: DesiredState;
  /** As it came; the runner parses it. */
  readonly config: unknown;
  /** A run of this epoch was begun, so there may be a journal. */
  readonly started: boolean;
  /** The result is in the outbox, or was acked. */
  readonly finished: boolean;
  /** The phase told last. */
  readonly phase: "scanning" | "ready" | "running" | "paused" | null;
  readonly refusal: Refusal | null;
}

export interface Epoch {
  readonly jobId: string;
  readonly epoch: number;
}

/** When to come back to what a job has left in a quarantine. */
export interface Retention {
  /** Not before this. */
  readonly dueMs: number;
  /** Not after this any more. */
  readonly untilMs: number;
}

/** A job whose files may lie in a quarantine yet; `epoch` is its newest that has ended. */
export interface Retained extends Epoch, Retention {
  /** As it came. */
  readonly config: unknown;
  /** Removed for good since that epoch's end. */
  readonly filesPurged: number;
}

type Unnumbered = Omit<JobEvent, "eventSeq"> | Omit<Result, "eventSeq">;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    state TEXT NOT NULL,
    config TEXT NOT NULL,
    -- Place in the queue: grows with every new epoch.
    arrival INTEGER NOT NULL,
    started INTEGER NOT NULL DEFAULT 0,
    finished INTEGER NOT NULL DEFAULT 0,
    phase TEXT,
    failures_told INTEGER NOT NULL DEFAULT 0,
    progress_reserved INTEGER NOT NULL DEFAULT 0,
    refusal TEXT
  ) STRICT;
  CREATE TABLE IF NOT EXISTS outbox (
    event_seq INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    is_result INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT;
  -- Kept apart from the jobs, of which only the newest are remembered once they are finished.
  CREATE TABLE IF NOT EXISTS quarantines (
    job_id TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    config TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    files_purged INTEGER NOT NULL DEFAULT 0
  ) STRICT;
`;
const VERSION = "1";

/** Room on the disk that is kept for the worst moment. */
export interface Reserve {
  /** Makes it free; false when there is none any more. */
  release(): boolean;
}
const NO_RESERVE: Reserve = { release: () => false };

export class AgentState {
  readonly #database: Database;
  readonly #statements = new Map<string, Statement>();
  readonly #progressSeq = new Map<string, { epoch: number; next: number; reserved: number }>();

  readonly #reserve: Reserve;

  /**
   * `database` is opened exclusively: it is also what keeps a second agent out. `reserve` is given up when the disk is full:
   * what has happened must be written down even then, and then the journals wait for room.
   */
  constructor(database: Database, reserve: Reserve = NO_RESERVE) {
    this.#database = database;
    this.#reserve = reserve;
    database.execute(SCHEMA);
    this.#addPurgeCounts();
    const version = this.#meta("version");
    if (version === null) this.#setMeta("version", VERSION);
    else if (version !== VERSION)
      throw new Error(`Cannot use agent.db: its version is ${version}, this agent knows ${VERSION}`);
  }

  close(): void {
    this.#database.close();
  }

  /** Makes this the memory of one agent. What another identity left behind can be told to nobody, and goes. */
  claim(agentId: string): void {
    const present = this.#meta("agent_id");
    if (present === agentId) return;
    this.#transaction(() => {
      if (present !== null) {
        this.#sql("DELETE FROM jobs").run();
        this.#sql("DELETE FROM outbox").run();
        // Nobody else is given a grant for these jobs, so what lies there stays.
        this.#sql("DELETE FROM quarantines").run();
        this.#setMeta("event_seq", "0");
        this.#setMeta("generation", "0");
      }
      this.#setMeta("agent_id", agentId);
    });
  }

  /** Which of its connections this agent remembers; 0 before the first. The hub knows a copy by its being behind. */
  get generation(): number {
    return Number(this.#meta("generation") ?? 0);
  }

  storeGeneration(generation: number): void {
    this.#setMeta("generation", String(generation));
  }

  // --- jobs ---

  find(jobId: string): JobState | null {
    const found = this.#sql("SELECT * FROM jobs WHERE job_id = ?").get(jobId);
    return found === undefined ? null : jobOf(found);
  }

  /** Jobs without a result, in the order in which they came. */
  unfinished(): JobState[] {
    return [...this.#sql("SELECT * FROM jobs WHERE finished = 0 ORDER BY arrival").iterate()].map(jobOf);
  }

  /** For `hello`: the newest epoch and revision of each job, unfinished ones first. */
  applied(): Record<string, [number, number]> {
    const rows = this.#sql("SELECT * FROM jobs ORDER BY finished, arrival DESC LIMIT ?").iterate(
      HELLO_JOBS_MAX,
    );
    return Object.fromEntries([...rows].map(jobOf).map((job) => [job.jobId, [job.epoch, job.rev]]));
  }

  /** Writes what is wanted. A new epoch begins anew; with `refused` it ends in the same step. */
  accept(wanted: Wanted, refused: { refusal: Refusal; report: JobReport } | null): void {
    const { jobId, epoch, rev, state } = wanted;
    this.#transaction(() => {
      if (this.#epochOf(jobId) === epoch) {
        // Of the config only the limits of the line change, which whoever calls has made sure of.
        this.#sql("UPDATE jobs SET rev = ?, state = ?, config = coalesce(?, config) WHERE job_id = ?").run(
          rev,
          state,
          wanted.config === undefined ? null : JSON.stringify(wanted.config),
          jobId,
        );
      } else {
        const refusalText = refused === null ? null : JSON.stringify(refused.refusal);
        this.#sql(
          `INSERT OR REPLACE INTO jobs (job_id, epoch, rev, state, config, arrival, refusal)
           VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(arrival), 0) + 1 FROM jobs), ?)`,
        ).run(jobId, epoch, rev, state, JSON.stringify(wanted.config ?? null), refusalText);
      }
      if (refused !== null) this.#finish({ jobId, epoch, report: refused.report });
    });
  }

  /** Written before a run begins, so that its journal is looked for afterwards. */
  markStarted({ jobId, epoch }: Epoch): void {
    this.#transaction(() => {
      this.#sql("UPDATE jobs SET started = 1 WHERE job_id = ? AND epoch = ?").run(jobId, epoch);
    });
  }

  /** The next sequence number for a progress of this epoch; it rises over restarts too. */
  nextProgressSeq({ jobId, epoch }: Epoch): number {
    const held = this.#progressSeq.get(jobId);
    if (held?.epoch === epoch && held.next <= held.reserved) return held.next++;
    const present = this.#sql("SELECT progress_reserved FROM jobs WHERE job_id = ? AND epoch = ?").get(
      jobId,
      epoch,
    );
    const before = Number(present?.["progress_reserved"] ?? 0);
    const reserved = before + PROGRESS_SEQS_RESERVED;
    this.#transaction(() => {
      this.#sql("UPDATE jobs SET progress_reserved = ? WHERE job_id = ? AND epoch = ?").run(
        reserved,
        jobId,
        epoch,
      );
    });
    this.#progressSeq.set(jobId, { epoch, next: before + 2, reserved });
    return before + 1;
  }

  // --- what is told ---

  /** Durable when it returns. What was told before, and what belongs to a replaced epoch, is dropped. */
  tell({ jobId, epoch, at, event }: Epoch & { at: string; event: RunEvent }): void {
    this.#transaction(() => {
      const present = this.#sql("SELECT * FROM jobs WHERE job_id = ? AND epoch = ? AND finished = 0").get(
        jobId,
        epoch,
      );
      if (present === undefined) return;
      if (event.kind === "phase") {
        if (event.phase === present["phase"]) return;
        this.#sql("UPDATE jobs SET phase = ? WHERE job_id = ?").run(event.phase, jobId);
        this.#post({ jobId, epoch, isResult: 0, body: { type: "event", jobId, epoch, at, event } });
        return;
      }
      const told = Number(present["failures_told"]);
      const end = event.first + event.failures.length;
      if (end <= told) return;
      this.#sql("UPDATE jobs SET failures_told = ? WHERE job_id = ?").run(end, jobId);
      const first = Math.max(event.first, told);
      // The control plane keeps so many and no more; the manifest has them all.
      const kept = Math.max(0, FAILURES_KEPT_MAX - event.first);
      const failures = event.failures.slice(first - event.first, kept).map(fitted);
      for (const part of splitFailures(first, failures)) {
        this.#post({ jobId, epoch, isResult: 0, body: { type: "event", jobId, epoch, at, event: part } });
      }
    });
  }

  /** The end of an epoch, and what is to be done about what it has left. A second one, and one of a replaced epoch, changes nothing. */
  finish(ended: Epoch & { report: JobReport; retention?: Retention | null }): void {
    this.#transaction(() => this.#finish(ended));
  }

  /** Events above `eventSeq`, in order. */
  events(eventSeq: number, limit: number): (JobEvent | Result)[] {
    const rows = this.#sql("SELECT * FROM outbox WHERE event_seq > ? ORDER BY event_seq LIMIT ?").iterate(
      eventSeq,
      limit,
    );
    return [...rows].map((found) => {
      const message = { ...JSON.parse(String(found["body"])), eventSeq: Number(found["event_seq"]) };
      return found["is_result"] === 1 ? result.parse(message) : jobEvent.parse(message);
    });
  }

  /** Epochs whose result is not acked yet, up to this event. */
  unackedResults(eventSeqMax = Number.MAX_SAFE_INTEGER): Epoch[] {
    const rows = this.#sql("SELECT job_id, epoch FROM outbox WHERE is_result = 1 AND event_seq <= ?").iterate(
      eventSeqMax,
    );
    return [...rows].map((found) => ({ jobId: String(found["job_id"]), epoch: Number(found["epoch"]) }));
  }

  /** The hub holds everything up to here. */
  acknowledge(eventSeq: number): void {
    this.#transaction(() => {
      this.#sql("DELETE FROM outbox WHERE event_seq <= ?").run(eventSeq);
      this.#sql(
        `DELETE FROM jobs WHERE finished = 1 AND job_id NOT IN (SELECT job_id FROM outbox) AND job_id NOT IN
           (SELECT job_id FROM jobs WHERE finished = 1 ORDER BY arrival DESC LIMIT ?)`,
      ).run(FINISHED_KEPT_MAX);
    });
  }

  /**
   * Brings the numbering in line with what the hub says it holds: it takes only the event that comes next. The two
   * differ when one side lost its memory (a folder put back from a backup, a database restored); then what waits is
   * numbered anew, because telling twice is harmless and not telling is not.
   */
  alignEvents(eventSeqHeld: number): void {
    const last = Number(this.#meta("event_seq") ?? 0);
    const first = Number(
      this.#sql("SELECT min(event_seq) AS first FROM outbox").get()?.["first"] ?? last + 1,
    );
    if (first <= eventSeqHeld + 1 && eventSeqHeld <= last) return;
    this.#transaction(() => {
      const waiting = [...this.#sql("SELECT * FROM outbox ORDER BY event_seq").iterate()];
      this.#sql("DELETE FROM outbox").run();
      this.#setMeta("event_seq", String(eventSeqHeld));
      for (const found of waiting) {
        const { job_id: jobId, epoch, is_result: isResult, body } = found;
        this.#insert(String(jobId), Number(epoch), isResult === 1 ? 1 : 0, String(body));
      }
    });
  }

  // --- quarantines ---

  /** Jobs whose days are over, those first that have waited longest. */
  dueQuarantines(nowMs: number, limit: number): Epoch[] {
    const rows = this.#sql(
      "SELECT job_id, epoch FROM quarantines WHERE due_ms <= ? ORDER BY due_ms LIMIT ?",
    ).iterate(nowMs, limit);
    return [...rows].map((found) => ({ jobId: String(found["job_id"]), epoch: Number(found["epoch"]) }));
  }

  findQuarantine(jobId: string): Retained | null {
    const found = this.#sql("SELECT * FROM quarantines WHERE job_id = ?").get(jobId);
    if (found === undefined) return null;
    return {
      jobId,
      epoch: Number(found["epoch"]),
      config: JSON.parse(String(found["config"])),
      dueMs: Number(found["due_ms"]),
      untilMs: Number(found["until_ms"]),
      filesPurged: Number(found["files_purged"]),
    };
  }

  /** Unless a later epoch has ended meanwhile, which may have left something itself. */
  postponeQuarantine({ jobId, epoch }: Epoch, dueMs: number): void {
    this.#transaction(() => {
      this.#sql("UPDATE quarantines SET due_ms = ? WHERE job_id = ? AND epoch = ?").run(dueMs, jobId, epoch);
    });
  }

  /** One more file is gone for good. As {@link postponeQuarantine}. */
  countPurged({ jobId, epoch }: Epoch): void {
    this.#transaction(() => {
      this.#sql("UPDATE quarantines SET files_purged = files_purged + 1 WHERE job_id = ? AND epoch = ?").run(
        jobId,
        epoch,
      );
    });
  }

  /** As {@link postponeQuarantine}. */
  forgetQuarantine({ jobId, epoch }: Epoch): void {
    this.#transaction(() => {
      this.#sql("DELETE FROM quarantines WHERE job_id = ? AND epoch = ?").run(jobId, epoch);
    });
  }

  /** Files of the first version have no such column. */
  #addPurgeCounts(): void {
    const columns = [...this.#sql("SELECT name FROM pragma_table_info('quarantines')").iterate()];
    if (columns.some(({ name }) => name === "files_purged")) return;
    this.#database.execute("ALTER TABLE quarantines ADD COLUMN files_purged INTEGER NOT NULL DEFAULT 0");
  }

  #finish({
    jobId,
    epoch,
    report,
    retention = null,
  }: Epoch & { report: JobReport; retention?: Retention | null }): void {
    const present = this.#sql("SELECT 1 FROM jobs WHERE job_id = ? AND epoch = ? AND finished = 0").get(
      jobId,
      epoch,
    );
    if (present === undefined) return;
    this.#sql("UPDATE jobs SET finished = 1 WHERE job_id = ?").run(jobId);
    if (retention !== null) this.#retain(jobId, retention);
    // Parsed, so that what cannot be sent fails here, with the journal still there.
    const body: Omit<Result, "eventSeq"> = { type: "result", jobId, epoch, report: jobReport.parse(report) };
    this.#post({ jobId, epoch, isResult: 1, body });
  }

  /** What an earlier epoch has left is due as it was. */
  #retain(jobId: string, { dueMs, untilMs }: Retention): void {
    this.#sql(
      `INSERT INTO quarantines (job_id, epoch, config, due_ms, until_ms)
       SELECT job_id, epoch, config, ?, ? FROM jobs WHERE job_id = ?
       ON CONFLICT (job_id) DO UPDATE SET epoch = excluded.epoch, config = excluded.config, files_purged = 0,
         due_ms = min(due_ms, excluded.due_ms), until_ms = max(until_ms, excluded.until_ms)`,
    ).run(dueMs, untilMs, jobId);
  }

  #post({ jobId, epoch, isResult, body }: Epoch & { isResult: 0 | 1; body: Unnumbered }): void {
    this.#insert(jobId, epoch, isResult, JSON.stringify(body));
  }

  #insert(jobId: string, epoch: number, isResult: 0 | 1, body: string): void {
    // The number is kept apart from the rows: the outbox is empty most of the time.
    const eventSeq = Number(this.#meta("event_seq") ?? 0) + 1;
    this.#setMeta("event_seq", String(eventSeq));
    this.#sql("INSERT INTO outbox (event_seq, job_id, epoch, is_result, body) VALUES (?, ?, ?, ?, ?)").run(
      eventSeq,
      jobId,
      epoch,
      isResult,
      body,
    );
  }

  #epochOf(jobId: string): number | null {
    return this.find(jobId)?.epoch ?? null;
  }

  #meta(name: string): string | null {
    const found = this.#sql("SELECT value FROM meta WHERE name = ?").get(name);
    return found === undefined ? null : String(found["value"]);
  }

  #setMeta(name: string, value: string): void {
    this.#sql("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)").run(name, value);
  }

  #sql(text: string): Statement {
    let statement = this.#statements.get(text);
    if (statement === undefined) this.#statements.set(text, (statement = this.#database.prepare(text)));
    return statement;
  }

  #transaction(work: () => void): void {
    try {
      this.#tryTransaction(work);
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== "no_space" || !this.#reserve.release()) throw error;
      this.#tryTransaction(work);
    }
  }

  #tryTransaction(work: () => void): void {
    this.#database.execute("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.execute("COMMIT");
    } catch (error) {
      try {
        this.#database.execute("ROLLBACK");
      } catch {
        // A disk that is full has rolled it back by itself; any other trouble is in the first error.
      }
      throw error;
    }
  }
}

function jobOf(found: SqlRow): JobState {
  const parsed = row.parse(found);
  return {
    jobId: parsed.job_id,
    epoch: parsed.epoch,
    rev: parsed.rev,
    state: parsed.state,
    config: JSON.parse(parsed.config),
    started: parsed.started === 1,
    finished: parsed.finished === 1,
    phase: parsed.phase,
    refusal: parsed.refusal === null ? null : refusal.parse(JSON.parse(parsed.refusal)),
  };
}

/** Cut to what the wire takes; whole in the manifest. */
function fitted({ path, code, message }: FileFailure): FileFailure {
  return {
    path: path.slice(0, PATH_CHARACTERS_MAX),
    code,
    message: message.slice(0, MESSAGE_CHARACTERS_MAX),
  };
}

function* splitFailures(first: number, failures: readonly FileFailure[]) {
  let part: FileFailure[] = [];
  let characters = 0;
  let start = first;
  for (const failure of failures) {
    const more = JSON.stringify(failure).length;
    if (
      part.length > 0 &&
      (characters + more > EVENT_CHARACTERS_MAX || part.length === FAILURES_PER_EVENT_MAX)
    ) {
      yield { kind: "files_failed", first: start, failures: part } as const;
      start += part.length;
      part = [];
      characters = 0;
    }
    part.push(failure);
    characters += more;
  }
  if (part.length > 0) yield { kind: "files_failed", first: start, failures: part } as const;
}
