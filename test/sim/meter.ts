/**
 * Counts what the platform would charge for, while production code runs in the simulator, and makes a bill of it.
 *
 * SQLite does not tell how many rows a statement wrote in the sense of the bill, so it is worked out: each row that changed,
 * and each index of its table that holds a column which was set; D1's own `rows_written` says the same of the statements
 * that count here. Rows read are taken too high on purpose: ten for every
 * statement and for every row it gave back; a row read costs a thousandth of a row written.
 */
import type { DatabaseSync } from "node:sqlite";
import { type Charged, MESSAGES_PER_REQUEST, OBJECT_GIGABYTES, PRICES } from "./prices.ts";

export interface Use {
  /** Asked of the Worker by an agent or a person. */
  workerRequests: number;
  /** Calls of objects and alarms that rang. */
  objectRequests: number;
  /** Messages that an object had to take; heartbeats are beside them, because the platform answers those. */
  messages: number;
  heartbeats: number;
  /** How long objects were busy. */
  objectMs: number;
  rowsRead: number;
  rowsWritten: number;
  /** Of the latter, those that only told how far a job is, each as one. */
  progressRows: number;
  objectRowsWritten: number;
  alarmsSet: number;
  bucketWrites: number;
}

const NOTHING: Readonly<Use> = {
  workerRequests: 0,
  objectRequests: 0,
  messages: 0,
  heartbeats: 0,
  objectMs: 0,
  rowsRead: 0,
  rowsWritten: 0,
  progressRows: 0,
  objectRowsWritten: 0,
  alarmsSet: 0,
  bucketWrites: 0,
};

/** Of a statement that was carried out. */
export interface CarriedOut {
  readonly sqlite: DatabaseSync;
  readonly sql: string;
  readonly rows: number;
  readonly changes: number;
}

export class Meter {
  readonly use: Use = { ...NOTHING };

  add(what: keyof Use, count = 1): void {
    this.use[what] += count;
  }

  /** Of D1. */
  statement(done: CarriedOut): void {
    this.add("rowsRead", rowsRead(done));
    this.add("rowsWritten", rowsWritten(done));
    const isProgress = /^update "jobs" set [^;]*"progress_seq" = /.test(done.sql.split(" where ")[0] ?? "");
    if (isProgress) this.add("progressRows", done.changes);
  }

  /** Of an object's own SQLite. */
  ownStatement(done: CarriedOut): void {
    this.add("rowsRead", rowsRead(done));
    this.add("objectRowsWritten", rowsWritten(done));
  }
}

function rowsRead({ rows }: CarriedOut): number {
  return 10 * (1 + rows);
}

const WRITES =
  /^\s*(?<verb>insert|update|delete|replace)\s+(?:or\s+\w+\s+)?(?:into\s+|from\s+)?"?(?<table>\w+)"?/i;

function rowsWritten({ sqlite, sql, changes }: CarriedOut): number {
  const { verb = "", table = "" } = WRITES.exec(sql)?.groups ?? {};
  if (changes === 0 || verb === "") return 0;
  const set = verb.toLowerCase() === "update" ? columnsSet(sql) : null;
  const touched = indexesOf(sqlite, table).filter(
    (columns) => set === null || columns.some((column) => set.has(column)),
  );
  return changes * (1 + touched.length);
}

function columnsSet(sql: string): Set<string> {
  return new Set(Array.from(sql.matchAll(/(?<![.\w"])"?(\w+)"? = /g), ([, column = ""]) => column));
}

const known = new WeakMap<DatabaseSync, Map<string, string[][]>>();

/** Of each index of a table the columns it depends on: of one that holds only some rows, those that decide which. */
function indexesOf(sqlite: DatabaseSync, table: string): string[][] {
  const ofDatabase = known.get(sqlite) ?? new Map<string, string[][]>();
  known.set(sqlite, ofDatabase);
  const found = ofDatabase.get(table);
  if (found !== undefined) return found;
  const list = sqlite
    .prepare(
      "SELECT l.name, m.sql FROM pragma_index_list(?) l LEFT JOIN sqlite_master m ON m.name = l.name AND m.type = 'index'",
    )
    .all(table);
  const indexes = list.map(({ name, sql }) => {
    const [, condition] = String(sql ?? "").split(/\bwhere\b/i);
    if (condition !== undefined) return condition.match(/\w+/g) ?? [];
    return sqlite
      .prepare("SELECT name FROM pragma_index_info(?)")
      .all(name as string)
      .map((row) => String(row["name"]));
  });
  ofDatabase.set(table, indexes);
  return indexes;
}

// --- the bill ---

/** What many agents use together: each use, and how many there are of it. */
export function together(parts: readonly (readonly [use: Readonly<Use>, count: number])[]): Use {
  const sum: Use = { ...NOTHING };
  for (const [use, count] of parts)
    for (const what of Object.keys(sum) as (keyof Use)[]) sum[what] += use[what] * count;
  return sum;
}

/** CPU of a request to the Worker, taken rather high. */
const REQUEST_CPU_MS = 5;

/** By what is charged, and in all; `days` days of it make the month. */
export function billOf(use: Readonly<Use>, days = 30): Record<Charged, { listed: number; billed: number }> {
  const amounts: Record<Charged, number> = {
    workerRequests: use.workerRequests,
    workerCpuMs: use.workerRequests * REQUEST_CPU_MS,
    // The documentation does not say that a message is free because the platform answers it, so heartbeats count.
    objectRequests: use.objectRequests + (use.messages + use.heartbeats) / MESSAGES_PER_REQUEST,
    objectGigabyteSeconds: (use.objectMs / 1_000) * OBJECT_GIGABYTES,
    rowsRead: use.rowsRead,
    rowsWritten: use.rowsWritten + use.objectRowsWritten + use.alarmsSet,
    bucketWrites: use.bucketWrites,
  };
  const bill = Object.entries(amounts).map(([name, ofDay]) => {
    const { dollarsPerMillion, included } = PRICES[name as Charged];
    const dollars = (count: number) => (count * dollarsPerMillion) / 1_000_000;
    const ofMonth = ofDay * days;
    return [name, { listed: dollars(ofMonth), billed: dollars(Math.max(0, ofMonth - included)) }];
  });
  return Object.fromEntries(bill) as Record<Charged, { listed: number; billed: number }>;
}

export function sumOf(bill: ReturnType<typeof billOf>, kind: "listed" | "billed"): number {
  return Object.values(bill).reduce((sum, part) => sum + part[kind], 0);
}
