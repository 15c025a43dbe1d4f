/** The journal's tables and statements. */
import type { Held } from "../connectors/connector.ts";
import type { Database, SqlRow, Statement } from "../platform.ts";

export const SCHEMA_VERSION = 1;

/**
 * Rows lie in path order, so that claims, the destination's listing and the manifest all walk the file from front to end.
 * Paths are compared by their bytes.
 */
export const SCHEMA = `
  CREATE TABLE IF NOT EXISTS fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS entry (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    modified REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    code TEXT,
    message TEXT,
    sha256 TEXT,
    etag TEXT,
    attempt BLOB,
    block_bytes INTEGER,
    held_etag TEXT,
    held_size INTEGER,
    held_sha256 TEXT,
    held_modified REAL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS block (
    path TEXT NOT NULL,
    number INTEGER NOT NULL,
    md5 BLOB NOT NULL,
    PRIMARY KEY (path, number)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS failure (number INTEGER PRIMARY KEY, path TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL);
`;

export interface Statements {
  readonly read: Statement;
  readonly write: Statement;
  readonly add: Statement;
  readonly entry: Statement;
  readonly largest: Statement;
  readonly pendingCount: Statement;
  readonly inState: Statement;
  readonly page: Statement;
  readonly setState: Statement;
  readonly settle: Statement;
  readonly resize: Statement;
  readonly noteHeld: Statement;
  readonly setAttempt: Statement;
  readonly addBlock: Statement;
  readonly dropBlocks: Statement;
  readonly blocks: Statement;
  readonly addFailure: Statement;
  readonly failures: Statement;
}

export function statementsOf(database: Database): Statements {
  const prepare = (sql: string) => database.prepare(sql);
  return {
    read: prepare("SELECT value FROM fact WHERE key = ?"),
    write: prepare(
      "INSERT INTO fact (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    ),
    add: prepare(
      "INSERT INTO entry (path, size, modified) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
    ),
    entry: prepare("SELECT * FROM entry WHERE path = ?"),
    largest: prepare("SELECT max(size) AS size FROM entry WHERE state NOT IN ('failed', 'skipped')"),
    pendingCount: prepare(
      "SELECT count(*) AS count FROM (SELECT 1 FROM entry WHERE state = 'pending' LIMIT ?)",
    ),
    inState: prepare("SELECT * FROM entry WHERE state = ? AND path > ? ORDER BY path LIMIT ?"),
    page: prepare("SELECT * FROM entry WHERE path > ? ORDER BY path LIMIT ?"),
    setState: prepare("UPDATE entry SET state = ? WHERE path = ?"),
    settle: prepare("UPDATE entry SET state = ?, code = ?, message = ?, sha256 = ?, etag = ? WHERE path = ?"),
    resize: prepare("UPDATE entry SET size = ?, modified = ? WHERE path = ?"),
    noteHeld: prepare(
      "UPDATE entry SET held_etag = ?, held_size = ?, held_sha256 = ?, held_modified = ? WHERE path = ? AND state = 'pending'",
    ),
    setAttempt: prepare("UPDATE entry SET attempt = ?, block_bytes = ? WHERE path = ?"),
    addBlock: prepare("INSERT OR REPLACE INTO block (path, number, md5) VALUES (?, ?, ?)"),
    dropBlocks: prepare("DELETE FROM block WHERE path = ?"),
    blocks: prepare("SELECT number, md5 FROM block WHERE path = ?"),
    addFailure: prepare("INSERT INTO failure (number, path, code, message) VALUES (?, ?, ?, ?)"),
    failures: prepare("SELECT path, code, message FROM failure WHERE number >= ? ORDER BY number LIMIT ?"),
  };
}

export type EntryState = "pending" | "started" | "uploaded" | "completed" | "failed" | "skipped";

export interface EntryRow {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly state: EntryState;
  readonly code: string | null;
  readonly message: string | null;
  readonly sha256: string | null;
  readonly etag: string | null;
  /** Of a large file: the random bytes of this attempt's block ids, and their size. */
  readonly attempt: Uint8Array | null;
  readonly blockBytes: number;
  /** What was at the destination before the first upload of this epoch. */
  readonly held: Held | null;
}

export function readEntry(row: SqlRow): EntryRow {
  const text = (name: string) => (row[name] === null ? null : String(row[name]));
  const heldEtag = text("held_etag");
  return {
    path: String(row["path"]),
    sizeBytes: Number(row["size"]),
    modifiedMs: Number(row["modified"]),
    state: row["state"] as EntryState,
    code: text("code"),
    message: text("message"),
    sha256: text("sha256"),
    etag: text("etag"),
    attempt: row["attempt"] as Uint8Array | null,
    blockBytes: Number(row["block_bytes"]),
    held:
      heldEtag === null
        ? null
        : {
            path: String(row["path"]),
            etag: heldEtag,
            sizeBytes: Number(row["held_size"]),
            sha256: text("held_sha256"),
            modifiedMs: row["held_modified"] === null ? null : Number(row["held_modified"]),
          },
  };
}
