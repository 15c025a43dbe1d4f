/**
 * What happened in one epoch, durable: the only truth about a run.
 *
 * A SQLite file with one row per entry. Changes are queued and written in groups, one transaction for all that came in
 * meanwhile, so that thousands of small files do not wait for a disk flush each. The totals are written in the same
 * transaction as the rows they count, and {@link Journal.totals} shows only what is durable: whoever is told a number
 * will never be told a smaller one after a crash.
 *
 * States of an entry:
 *
 *     pending ──▶ started ──▶ uploaded ──▶ completed      (`uploaded`: accepted, but not proved yet)
 *        └───────────┴────────────┴──────▶ failed, skipped
 *
 * `started` is written before the first request for an entry goes out. So after a crash only those entries, a few
 * hundred at most, may be at the destination without our knowing.
 */
import {
  FAILURES_KEPT_MAX,
  type FileFailure,
  jobReport,
  type JobReport,
  type JobTotals,
  ZERO_TOTALS,
} from "../../schema/job.ts";
import type { FileFailureCode, FileSkipCode } from "../../schema/errors.ts";
import type { AgentPhase } from "../../schema/protocol.ts";
import type { Held, Listed } from "../connectors/connector.ts";
import type { Database, Platform, SqlRow } from "../platform.ts";
import { Group } from "./group.ts";
import {
  type EntryRow,
  readEntry,
  SCHEMA,
  SCHEMA_VERSION,
  statementsOf,
  type Statements,
} from "./journal-schema.ts";

/** As the schema of a failure has it. */
const MESSAGE_LENGTH_MAX = 500;

/** The journal cannot be read or written. */
export class JournalError extends Error {
  override readonly name = "JournalError";
}

/** What became of one entry. */
export type Outcome =
  | { readonly state: "uploaded"; readonly sha256: string; readonly etag: string }
  | {
      readonly state: "completed";
      readonly sha256: string;
      readonly etag: string;
      readonly verified: "yes" | "no";
    }
  | {
      readonly state: "skipped";
      readonly code: FileSkipCode;
      readonly sha256: string | null;
      readonly etag: string | null;
    }
  | { readonly state: "failed"; readonly code: FileFailureCode; readonly message: string };

/** What a scan found, after the filters. */
export type Scanned =
  | Listed
  | {
      readonly kind: "filtered";
      readonly path: string;
      readonly sizeBytes: number;
      readonly modifiedMs: number;
    };

/** What the rows add up to, kept with them. */
interface Summary {
  readonly totals: { -readonly [Key in keyof JobTotals]: JobTotals[Key] };
  awaitingFiles: number;
  awaitingBytes: number;
  failures: number;
  activeMs: number;
}

export class Journal {
  readonly #database: Database;
  readonly #statements: Statements;
  readonly #group: Group;
  /** As it is on the disk. */
  #summary: Readonly<Summary>;
  /** Inside a transaction: as it will be. */
  #draft: Summary;
  #closed = false;
  /** Asked at each commit. */
  activeMs: () => number = () => this.#summary.activeMs;
  /** Called after each commit. */
  onCommit: () => void = () => {};
  readonly startedAtMs: number;

  private constructor(platform: Platform, database: Database) {
    this.#database = database;
    this.#statements = statementsOf(database);
    if (this.#read("version") === null) {
      this.#write("version", String(SCHEMA_VERSION));
      this.#write("started_at", String(platform.clock.now()));
    } else if (this.#read("version") !== String(SCHEMA_VERSION)) {
      throw new JournalError(`Cannot read journal: it is of version ${this.#read("version")}`);
    }
    this.startedAtMs = Number(this.#read("started_at"));
    const summary = this.#read("summary");
    this.#summary = summary === null ? NOTHING_YET : (JSON.parse(summary) as Summary);
    this.#draft = copyOf(this.#summary);
    this.#group = new Group(platform.clock, (changes) => {
      this.#commit(changes);
      this.onCommit();
    });
  }

  /** Opens what is there, or begins. Throws {@link JournalError}. */
  static open(platform: Platform, path: string): Journal {
    return guard("open", () => {
      const database = platform.openDatabase(path, { exclusive: true });
      try {
        const check = database.prepare("PRAGMA quick_check(1)").get();
        if (check === undefined || Object.values(check)[0] !== "ok") throw new Error("its check failed");
        database.execute(SCHEMA);
        return new Journal(platform, database);
      } catch (error) {
        database.close();
        throw error;
      }
    });
  }

  // --- what is durable ---------------------------------------------------------------------------------------------

  get totals(): JobTotals {
    return this.#summary.totals;
  }
  /** Uploaded, but not proved yet. */
  get awaiting(): { readonly files: number; readonly bytes: number } {
    return { files: this.#summary.awaitingFiles, bytes: this.#summary.awaitingBytes };
  }
  get failureCount(): number {
    return this.#summary.failures;
  }
  get workedMs(): number {
    return this.#summary.activeMs;
  }
  get scan(): { readonly cursor: string | null; readonly done: boolean } {
    const done = this.#read("scan_done") !== null;
    const cursor = this.#read("scan_cursor");
    return { cursor: cursor === null ? null : (JSON.parse(cursor) as string), done };
  }
  get inventoryDone(): boolean {
    return this.#read("inventory_done") !== null;
  }
  get phaseTold(): AgentPhase | null {
    return this.#read("phase_told") as AgentPhase | null;
  }
  get failuresTold(): number {
    return Number(this.#read("failures_told") ?? 0);
  }
  /** The report, once there is one. */
  get report(): JobReport | null {
    const text = this.#read("report");
    return text === null ? null : jobReport.parse(JSON.parse(text));
  }

  entry(path: string): EntryRow | null {
    const row = guard("read", () => this.#statements.entry.get(path));
    return row === undefined ? null : readEntry(row);
  }
  /** The size of the largest entry that is to be moved. */
  largestBytes(): number {
    return Number(guard("read", () => this.#statements.largest.get())?.["size"] ?? 0);
  }
  pendingCount(countMax: number): number {
    return Number(guard("read", () => this.#statements.pendingCount.get(countMax))?.["count"] ?? 0);
  }
  /** The first pending entries, in path order. */
  pending(countMax: number): readonly EntryRow[] {
    return this.#rows(() => this.#statements.inState.iterate("pending", "", countMax));
  }
  /** Entries that a crash or a stop left in the middle. */
  started(): readonly EntryRow[] {
    return this.#rows(() => this.#statements.inState.iterate("started", "", -1));
  }
  /** Uploaded entries behind `after`, in path order. */
  uploaded(after: string, countMax: number): readonly EntryRow[] {
    return this.#rows(() => this.#statements.inState.iterate("uploaded", after, countMax));
  }
  /** All entries behind `after`, in path order. */
  page(after: string, countMax: number): readonly EntryRow[] {
    return this.#rows(() => this.#statements.page.iterate(after, countMax));
  }
  blocks(path: string): ReadonlyMap<number, Uint8Array> {
    return guard("read", () => {
      const blocks = new Map<number, Uint8Array>();
      for (const row of this.#statements.blocks.iterate(path)) {
        blocks.set(Number(row["number"]), row["md5"] as Uint8Array);
      }
      return blocks;
    });
  }
  failures(from: number, countMax: number): readonly FileFailure[] {
    return guard("read", () =>
      Array.from(this.#statements.failures.iterate(from, countMax), (row) => ({
        path: String(row["path"]),
        code: row["code"] as FileFailureCode,
        message: String(row["message"]),
      })),
    );
  }

  // --- changes, each resolving once it is durable ------------------------------------------------------------------

  /** A page of the source's listing. */
  addPage(items: readonly Scanned[], cursor: string | null): Promise<void> {
    return this.#group.addMany(() => {
      for (const item of items) this.#addListed(item);
      if (cursor === null) this.#write("scan_done", "1");
      else this.#write("scan_cursor", JSON.stringify(cursor));
    });
  }

  /** Marks the next pending entries as started, and hands them out once that is durable. */
  async claim(after: string, countMax: number): Promise<readonly EntryRow[]> {
    const rows = this.#rows(() => this.#statements.inState.iterate("pending", after, countMax));
    if (rows.length === 0) return rows;
    await this.#group.addMany(() => {
      for (const row of rows) this.#statements.setState.run("started", row.path);
    });
    return rows;
  }

  /** What the destination holds, as its listing says. */
  noteHeld(items: readonly Held[]): Promise<void> {
    return this.#group.addMany(() => {
      for (const held of items) {
        this.#statements.noteHeld.run(held.etag, held.sizeBytes, held.sha256, held.modifiedMs, held.path);
      }
    });
  }

  /** A new attempt at a large file; what an earlier one sent is forgotten. */
  beginAttempt(path: string, attempt: Uint8Array, blockBytes: number): Promise<void> {
    return this.#group.add(() => {
      this.#statements.dropBlocks.run(path);
      this.#statements.setAttempt.run(attempt, blockBytes, path);
    });
  }

  acceptBlock(path: string, index: number, md5: Uint8Array, sizeBytes: number): Promise<void> {
    return this.#group.add(() => {
      this.#statements.addBlock.run(path, index, md5);
      this.#count({ bytesSent: sizeBytes });
    });
  }

  /** An entry that changed since it was listed. */
  resize(path: string, sizeBytes: number, modifiedMs: number): Promise<void> {
    return this.#group.add(() => {
      const row = this.entry(path);
      if (row === null) return;
      this.#statements.resize.run(sizeBytes, modifiedMs, path);
      const moreBytes = sizeBytes - row.sizeBytes;
      // Totals never fall: what a shrunken file has lost stays in the total, with the skipped bytes.
      if (moreBytes >= 0) this.#count({ bytesTotal: moreBytes });
      else this.#count({ bytesSkipped: -moreBytes });
    });
  }

  /** Ends an entry, or brings it to `uploaded`. `sentBytes` is the body that was accepted for it just now. */
  settle(path: string, outcome: Outcome, sentBytes = 0): Promise<void> {
    return this.#group.add(() => {
      this.#count({ bytesSent: sentBytes });
      this.#settle(path, outcome);
    });
  }

  settleAll(outcomes: ReadonlyMap<string, Outcome>): Promise<void> {
    if (outcomes.size === 0) return Promise.resolve();
    return this.#group.addMany(() => {
      for (const [path, outcome] of outcomes) this.#settle(path, outcome);
    });
  }

  /** What is at the destination was not made of the blocks of an attempt. */
  dropAttempt(path: string): Promise<void> {
    return this.#group.add(() => {
      this.#statements.dropBlocks.run(path);
      this.#statements.setAttempt.run(null, null, path);
    });
  }

  noteInventoryDone(): Promise<void> {
    return this.#group.add(() => this.#write("inventory_done", "1"));
  }
  notePhaseTold(phase: AgentPhase): Promise<void> {
    return this.#group.add(() => this.#write("phase_told", phase));
  }
  noteFailuresTold(count: number): Promise<void> {
    return this.#group.add(() => this.#write("failures_told", String(count)));
  }
  finish(report: JobReport): Promise<void> {
    return this.#group.add(() => this.#write("report", JSON.stringify(report)));
  }
  /** Writes the time worked, and waits for all that was queued. */
  flush(): Promise<void> {
    return this.#group.add(() => {});
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#group.close();
    this.#database.close();
  }

  // --- inside a transaction ----------------------------------------------------------------------------------------

  #commit(changes: readonly (() => void)[]): void {
    this.#draft = copyOf(this.#summary);
    guard("write", () => {
      this.#database.execute("BEGIN IMMEDIATE");
      try {
        for (const change of changes) change();
        this.#draft.activeMs = Math.max(this.#draft.activeMs, this.activeMs());
        this.#write("summary", JSON.stringify(this.#draft));
        this.#database.execute("COMMIT");
      } catch (error) {
        try {
          this.#database.execute("ROLLBACK");
        } catch {
          // The first error says more; a transaction that cannot be rolled back is dropped when the file is opened next.
        }
        throw error;
      }
    });
    this.#summary = this.#draft;
  }

  #addListed(item: Scanned): void {
    const entry = item.kind === "file" ? item.entry : { sizeBytes: 0, modifiedMs: 0, ...item };
    // A path that is listed twice is one entry.
    if (this.#statements.add.get(entry.path, entry.sizeBytes, entry.modifiedMs) === undefined) return;
    this.#count({ filesTotal: 1, bytesTotal: entry.sizeBytes });
    switch (item.kind) {
      case "file":
        return;
      case "filtered":
        this.#applyOutcome(entry.path, entry.sizeBytes, {
          state: "skipped",
          code: "filtered",
          sha256: null,
          etag: null,
        });
        return;
      case "skipped":
        this.#applyOutcome(entry.path, 0, { state: "skipped", code: item.code, sha256: null, etag: null });
        return;
      case "failed":
        this.#applyOutcome(entry.path, entry.sizeBytes, {
          state: "failed",
          code: item.code,
          message: item.message,
        });
        return;
    }
  }

  #settle(path: string, outcome: Outcome): void {
    const row = this.entry(path);
    if (row === null || isSettled(row)) return;
    if (row.state === "uploaded") this.#await(-1, -row.sizeBytes);
    this.#applyOutcome(path, row.sizeBytes, outcome);
    if (outcome.state !== "uploaded" && row.attempt !== null) this.#statements.dropBlocks.run(path);
  }

  #applyOutcome(path: string, sizeBytes: number, outcome: Outcome): void {
    switch (outcome.state) {
      case "uploaded":
        this.#statements.settle.run("uploaded", null, null, outcome.sha256, outcome.etag, path);
        this.#await(1, sizeBytes);
        return;
      case "completed":
        this.#statements.settle.run("completed", null, null, outcome.sha256, outcome.etag, path);
        this.#count({
          filesCompleted: 1,
          bytesCompleted: sizeBytes,
          filesVerified: outcome.verified === "yes" ? 1 : 0,
        });
        return;
      case "skipped":
        this.#statements.settle.run("skipped", outcome.code, null, outcome.sha256, outcome.etag, path);
        this.#count({ filesSkipped: 1, bytesSkipped: sizeBytes });
        return;
      case "failed":
        this.#statements.settle.run("failed", outcome.code, outcome.message, null, null, path);
        this.#count({ filesFailed: 1, bytesFailed: sizeBytes });
        this.#addFailure(path, outcome);
        return;
    }
  }

  #addFailure(path: string, outcome: Extract<Outcome, { state: "failed" }>): void {
    const number = this.#draft.failures++;
    if (number >= FAILURES_KEPT_MAX) return;
    this.#statements.addFailure.run(number, path, outcome.code, outcome.message.slice(0, MESSAGE_LENGTH_MAX));
  }

  #await(files: number, bytes: number): void {
    this.#draft.awaitingFiles += files;
    this.#draft.awaitingBytes += bytes;
  }

  #count(more: Partial<JobTotals>): void {
    const { totals } = this.#draft;
    for (const key of Object.keys(more) as (keyof JobTotals)[]) totals[key] += more[key] ?? 0;
  }

  #rows(query: () => Iterable<SqlRow>): readonly EntryRow[] {
    return guard("read", () => Array.from(query(), readEntry));
  }
  #read(key: string): string | null {
    const row = guard("read", () => this.#statements.read.get(key));
    return row === undefined ? null : String(row["value"]);
  }
  #write(key: string, value: string): void {
    this.#statements.write.run(key, value);
  }
}

const NOTHING_YET: Readonly<Summary> = {
  totals: ZERO_TOTALS,
  awaitingFiles: 0,
  awaitingBytes: 0,
  failures: 0,
  activeMs: 0,
};

function copyOf(summary: Readonly<Summary>): Summary {
  return { ...summary, totals: { ...summary.totals } };
}

function isSettled(row: EntryRow): boolean {
  return row.state === "completed" || row.state === "failed" || row.state === "skipped";
}

function guard<Result>(action: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof JournalError) throw error;
    throw new JournalError(
      `Cannot ${action} journal: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}
