/**
 * The journal's SQLite file: pages, a log of what happened since they were written, and single facts.
 *
 * Every text carries a check, so that a flipped bit is found where it matters and not believed. What is written between
 * {@link JournalFile.begin} and {@link JournalFile.commit} is there whole after a crash, or not at all.
 */
import { type Database, DiskError, type Platform } from "../platform.ts";
import { Page } from "./page.ts";

export const SCHEMA_VERSION = 2;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS fact (key TEXT PRIMARY KEY, value TEXT NOT NULL, checked INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS listed (page INTEGER PRIMARY KEY, value TEXT NOT NULL, checked INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS held (page INTEGER PRIMARY KEY, value TEXT NOT NULL, checked INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS outcomes (
    page INTEGER PRIMARY KEY,
    pending INTEGER NOT NULL,
    awaiting INTEGER NOT NULL,
    checked INTEGER NOT NULL,
    value TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS pending ON outcomes (page) WHERE pending > 0;
  CREATE INDEX IF NOT EXISTS awaiting ON outcomes (page) WHERE awaiting > 0;
  CREATE TABLE IF NOT EXISTS log (number INTEGER PRIMARY KEY, value TEXT NOT NULL, checked INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS removal (page INTEGER PRIMARY KEY, value TEXT NOT NULL, checked INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS vanished (number INTEGER PRIMARY KEY, value TEXT NOT NULL, checked INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS failure (number INTEGER PRIMARY KEY, value TEXT NOT NULL, checked INTEGER NOT NULL);
`;

/** The journal cannot be read or written. */
export class JournalError extends Error {
  override readonly name = "JournalError";
}

/** The disk has no room for the journal just now. Nothing is lost: what was to be written still is. */
export class JournalFull extends Error {
  override readonly name = "JournalFull";
}

type Table = "fact" | "listed" | "held" | "outcomes" | "log" | "removal" | "vanished" | "failure";

export class JournalFile {
  readonly #database: Database;
  readonly #checksum: (text: string) => number;
  readonly #statements: ReturnType<typeof statementsOf>;

  private constructor(database: Database, checksum: (text: string) => number) {
    this.#database = database;
    this.#checksum = checksum;
    this.#statements = statementsOf(database);
  }

  /** Opens what is there, or makes it. Throws {@link JournalError} or {@link JournalFull}. */
  static open(platform: Platform, path: string): JournalFile {
    return guard("open", () => {
      const database = platform.openDatabase(path, { exclusive: true });
      try {
        database.execute(SCHEMA);
        return new JournalFile(database, (text) => platform.checksum(text));
      } catch (error) {
        database.close();
        throw error;
      }
    });
  }

  close(): void {
    this.#database.close();
  }

  // --- reading -----------------------------------------------------------------------------------------------------

  fact(key: string): string | null {
    return this.#text("fact", key);
  }

  /** Null when there is no page of this number. */
  page(number: number): Page | null {
    return guard("read", () => {
      const listed = this.#text("listed", number);
      if (listed === null) return null;
      const texts = { listed, held: this.#text("held", number), outcomes: this.#text("outcomes", number) };
      return Page.read(number, texts);
    });
  }

  /** What became of the sources of a page's entries; null while nobody has begun to remove them. */
  removals(page: number): string | null {
    return this.#text("removal", page);
  }

  /** A group of what was to be removed at the destination; null when there is none of this number. */
  vanished(number: number): string | null {
    return this.#text("vanished", number);
  }
  vanishedCount(): number {
    return this.#number(this.#statements.vanishedCount.get());
  }

  pageCount(): number {
    return this.#number(this.#statements.pageCount.get());
  }

  /** The first page from this number on that still has entries without an outcome, or that wait for their proof. */
  nextPage(from: number, what: "pending" | "awaiting"): number | null {
    const found = guard("read", () => this.#statements.next[what].get(from))?.["page"];
    return found === undefined || found === null ? null : Number(found);
  }

  log(): readonly string[] {
    return guard("read", () =>
      Array.from(this.#statements.logRows.iterate(), (row) =>
        this.#checked("log", String(row["value"]), row["checked"]),
      ),
    );
  }

  failures(from: number, countMax: number): readonly string[] {
    return guard("read", () =>
      Array.from(this.#statements.failureRows.iterate(from, countMax), (row) =>
        this.#checked("failure", String(row["value"]), row["checked"]),
      ),
    );
  }

  // --- writing, inside of `transaction` ----------------------------------------------------------------------------

  /** All that `work` writes, or nothing. Throws {@link JournalError} or {@link JournalFull}. */
  transaction(work: () => void): void {
    guard("write", () => {
      this.#database.execute("BEGIN IMMEDIATE");
      try {
        work();
        this.#database.execute("COMMIT");
      } catch (error) {
        try {
          this.#database.execute("ROLLBACK");
        } catch {
          // The first error says more; SQLite has rolled back by itself, or does when the file is opened next.
        }
        throw error;
      }
    });
  }

  writeFact(key: string, value: string): void {
    this.#statements.write.fact.run(key, value, this.#checksum(value));
  }
  writeListed(page: Page): void {
    const text = page.listedText();
    this.#statements.write.listed.run(page.number, text, this.#checksum(text));
  }
  writeHeld(page: Page): void {
    const text = page.heldText();
    this.#statements.write.held.run(page.number, text, this.#checksum(text));
  }
  writeOutcomes(page: Page): void {
    const text = page.outcomesText();
    const { pending, awaiting } = page.count();
    this.#statements.writeOutcomes.run(page.number, text, this.#checksum(text), pending, awaiting);
  }
  writeRemovals(page: number, value: string): void {
    this.#statements.write.removal.run(page, value, this.#checksum(value));
  }
  writeVanished(number: number, value: string): void {
    this.#statements.write.vanished.run(number, value, this.#checksum(value));
  }
  writeFailure(number: number, value: string): void {
    this.#statements.write.failure.run(number, value, this.#checksum(value));
  }
  appendLog(value: string): void {
    this.#statements.appendLog.run(value, this.#checksum(value));
  }
  clearLog(): void {
    this.#statements.clear.log.run();
  }
  /** Forgets how far the listing was, and of the pages what only the pass needed that made them. */
  endPass(): void {
    const { clear } = this.#statements;
    for (const table of [clear.held, clear.log, clear.scan]) table.run();
  }

  // --- checks ------------------------------------------------------------------------------------------------------

  #text(table: Exclude<Table, "log" | "failure">, key: string | number): string | null {
    const row = guard("read", () => this.#statements.read[table].get(key));
    return row === undefined ? null : this.#checked(table, String(row["value"]), row["checked"]);
  }

  #checked(table: Table, value: string, checked: unknown): string {
    if (this.#checksum(value) !== checked)
      throw new JournalError(`Cannot read journal: a row of "${table}" is damaged`);
    return value;
  }

  #number(row: Readonly<Record<string, unknown>> | undefined): number {
    return Number(row?.["count"] ?? 0);
  }
}

function statementsOf(database: Database) {
  const prepare = (sql: string) => database.prepare(sql);
  const read = (table: Table, key: string) => prepare(`SELECT value, checked FROM ${table} WHERE ${key} = ?`);
  const write = (table: Table, key: string) =>
    prepare(`INSERT OR REPLACE INTO ${table} (${key}, value, checked) VALUES (?, ?, ?)`);
  // A page without a row of outcomes has none yet.
  const next = (column: "pending" | "awaiting") =>
    prepare(`SELECT page FROM outcomes WHERE page >= ? AND ${column} > 0 ORDER BY page LIMIT 1`);
  return {
    read: {
      fact: read("fact", "key"),
      listed: read("listed", "page"),
      held: read("held", "page"),
      outcomes: read("outcomes", "page"),
      removal: read("removal", "page"),
      vanished: read("vanished", "number"),
    },
    write: {
      fact: write("fact", "key"),
      listed: write("listed", "page"),
      held: write("held", "page"),
      removal: write("removal", "page"),
      vanished: write("vanished", "number"),
      failure: write("failure", "number"),
    },
    writeOutcomes: prepare(
      "INSERT OR REPLACE INTO outcomes (page, value, checked, pending, awaiting) VALUES (?, ?, ?, ?, ?)",
    ),
    next: { pending: next("pending"), awaiting: next("awaiting") },
    pageCount: prepare("SELECT count(*) AS count FROM listed"),
    vanishedCount: prepare("SELECT count(*) AS count FROM vanished"),
    logRows: prepare("SELECT value, checked FROM log ORDER BY number"),
    appendLog: prepare("INSERT INTO log (value, checked) VALUES (?, ?)"),
    clear: {
      log: prepare("DELETE FROM log"),
      held: prepare("DELETE FROM held"),
      scan: prepare(
        "DELETE FROM fact WHERE key IN ('scan_done', 'scan_cursor', 'block_bytes', 'next_pass_at')",
      ),
    },
    failureRows: prepare("SELECT value, checked FROM failure WHERE number >= ? ORDER BY number LIMIT ?"),
  };
}

export function guard<Result>(action: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof JournalError || error instanceof JournalFull) throw error;
    const message = `Cannot ${action} journal: ${error instanceof Error ? error.message : String(error)}`;
    if (error instanceof DiskError && error.code === "no_space")
      throw new JournalFull(message, { cause: error });
    throw new JournalError(message, { cause: error });
  }
}
