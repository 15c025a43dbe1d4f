/**
 * D1 as the product sees it, over SQLite in memory, with the real tables: statements wait their turn, a batch is carried out
 * whole or not at all, and a call may fail before anything was done, or after all of it, with the answer lost.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { CarriedOut } from "./meter.ts";

const MIGRATIONS = fileURLToPath(new URL("../../schema/migrations/", import.meta.url).href);
const SCHEMA = readdirSync(MIGRATIONS)
  .filter((name) => name.endsWith(".sql"))
  .toSorted()
  .map((name) => readFileSync(MIGRATIONS + name, "utf8"))
  .join("\n");

/** Told of each statement that was carried out. */
export type NoteStatement = (done: CarriedOut) => void;

/** What happens to one call; throws where it fails. `act` does all of it, at once. */
export type CallD1 = <Result>(act: () => Result) => Promise<Result>;

interface Outcome {
  readonly success: true;
  readonly results: unknown[];
  readonly meta: { readonly changes: number };
}

/** One for all stories, emptied for each: to make the tables, and to prepare each statement anew, takes a third of a story. */
let shared: { readonly sqlite: DatabaseSync; readonly prepared: Map<string, StatementSync> } | null = null;
/** What SQLite's `random()` draws from. */
let draw: () => number = () => 0;

function emptied(): NonNullable<typeof shared> {
  if (shared === null) {
    const sqlite = new DatabaseSync(":memory:");
    sqlite.function("random", { deterministic: false }, () => Math.floor(draw() * 2 ** 31));
    sqlite.exec(SCHEMA);
    shared = { sqlite, prepared: new Map() };
  }
  const { sqlite } = shared;
  if (sqlite.isTransaction) sqlite.exec("ROLLBACK");
  sqlite.exec("PRAGMA foreign_keys = OFF");
  for (const row of sqlite.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all())
    sqlite.exec(`DELETE FROM "${String(row["name"])}"`);
  sqlite.exec("PRAGMA foreign_keys = ON");
  return shared;
}

export class SimulatedD1 {
  readonly sqlite: DatabaseSync;
  readonly #prepared: Map<string, StatementSync>;
  readonly #call: CallD1;

  constructor(call: CallD1, random: () => number) {
    this.#call = call;
    draw = random;
    ({ sqlite: this.sqlite, prepared: this.#prepared } = emptied());
  }

  prepare(sql: string): SimulatedStatement {
    return new SimulatedStatement(this, sql, []);
  }

  /** The same database for somebody whose statements are told of. */
  noted(note: NoteStatement): Pick<SimulatedD1, "prepare" | "batch"> {
    return {
      prepare: (sql) => new SimulatedStatement(this, sql, [], note),
      batch: (statements) => this.batch(statements),
    };
  }

  async batch(statements: readonly SimulatedStatement[]): Promise<Outcome[]> {
    return await this.#call(() => {
      this.sqlite.exec("BEGIN");
      try {
        const outcomes = statements.map((statement) => statement.carryOut());
        this.sqlite.exec("COMMIT");
        return outcomes;
      } catch (error) {
        this.sqlite.exec("ROLLBACK");
        throw error;
      }
    });
  }

  async one<Result>(act: () => Result): Promise<Result> {
    return await this.#call(act);
  }

  statement(sql: string): StatementSync {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.sqlite.prepare(sql);
    this.#prepared.set(sql, statement);
    return statement;
  }
}

class SimulatedStatement {
  readonly #database: SimulatedD1;
  readonly #sql: string;
  readonly #parameters: readonly SQLInputValue[];
  readonly #note: NoteStatement | null;

  constructor(
    database: SimulatedD1,
    sql: string,
    parameters: readonly SQLInputValue[],
    note: NoteStatement | null = null,
  ) {
    this.#database = database;
    this.#sql = sql;
    this.#parameters = parameters;
    this.#note = note;
  }

  bind(...parameters: readonly (SQLInputValue | boolean)[]): SimulatedStatement {
    const plain = parameters.map((value) => (typeof value === "boolean" ? Number(value) : value));
    return new SimulatedStatement(this.#database, this.#sql, plain, this.#note);
  }

  async all(): Promise<Outcome> {
    return await this.#database.one(() => this.carryOut());
  }

  async run(): Promise<Outcome> {
    return await this.all();
  }

  async first(): Promise<unknown> {
    return (await this.all()).results[0] ?? null;
  }

  async raw(): Promise<unknown[]> {
    return await this.#database.one(() => {
      const statement = this.#database.statement(this.#sql);
      // By place, because columns of two tables may have one name.
      statement.setReturnArrays(true);
      if (this.#note === null) return statement.all(...this.#parameters);
      const before = this.#changes();
      const rows = statement.all(...this.#parameters);
      this.#tell(rows.length, this.#changes() - before);
      return rows;
    });
  }

  carryOut(): Outcome {
    const statement = this.#database.statement(this.#sql);
    statement.setReturnArrays(false);
    const before = this.#changes();
    const results = statement.all(...this.#parameters);
    const changes = this.#changes() - before;
    this.#tell(results.length, changes);
    return { success: true, results, meta: { changes } };
  }

  #tell(rows: number, changes: number): void {
    this.#note?.({ sqlite: this.#database.sqlite, sql: this.#sql, rows, changes });
  }

  #changes(): number {
    return this.#database.statement("SELECT total_changes() AS n").get()?.["n"] as number;
  }
}
