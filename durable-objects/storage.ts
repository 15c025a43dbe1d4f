/**
 * The SQLite of one agent's object, behind the interface the hub knows: who the agent is, its session, what is wanted of
 * it. Nothing is written while the agent is idle, and nothing at all before the agent is registered: an object that was
 * only asked about a key that somebody made up leaves no trace.
 */
import type { Desired } from "../schema/protocol.ts";
import type { HubStore, Identity } from "./hub.ts";

const SCHEMA_VERSION = 4;

export function hubStore(sql: SqlStorage): HubStore {
  let isMade = sql.exec("SELECT name FROM sqlite_master WHERE name = 'version'").toArray().length > 0;
  if (isMade) migrate(sql);
  return {
    identity() {
      if (!isMade) return null;
      const row = sql.exec<IdentityRow>("SELECT * FROM identity").toArray()[0];
      if (row === undefined) return null;
      return {
        orgId: row.org_id,
        agentId: row.agent_id,
        keyHash: row.key_hash,
        keyMadeMs: row.key_made_ms,
        nextKeyHash: row.next_key_hash,
        revoked: row.revoked === 1,
        pending: row.pending === 1,
        generation: row.generation,
        offered: row.offered,
        locked: row.locked === 1,
      };
    },
    setIdentity(identity: Identity) {
      if (!isMade) migrate(sql);
      isMade = true;
      sql.exec(
        `INSERT OR REPLACE INTO identity
          (one, org_id, agent_id, key_hash, key_made_ms, next_key_hash, revoked, pending, generation, offered, locked)
          VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        identity.orgId,
        identity.agentId,
        identity.keyHash,
        identity.keyMadeMs,
        identity.nextKeyHash,
        identity.revoked ? 1 : 0,
        identity.pending ? 1 : 0,
        identity.generation,
        identity.offered,
        identity.locked ? 1 : 0,
      );
    },
    session() {
      const row = sql.exec<SessionRow>("SELECT * FROM session").one();
      const { told_facts: facts, told_ms: atMs } = row;
      const told = facts === null || atMs === null ? null : { facts, atMs };
      return { epoch: row.epoch, eventSeq: row.event_seq, offlineDueMs: row.offline_due_ms, told };
    },
    setSession(session) {
      sql.exec(
        "UPDATE session SET epoch = ?, event_seq = ?, offline_due_ms = ?, told_facts = ?, told_ms = ?",
        session.epoch,
        session.eventSeq,
        session.offlineDueMs,
        session.told?.facts ?? null,
        session.told?.atMs ?? null,
      );
    },
    desired() {
      return sql
        .exec<DesiredRow>("SELECT * FROM desired ORDER BY job_id")
        .toArray()
        .map((row) => ({ desired: JSON.parse(row.message) as Desired, applied: row.applied === 1 }));
    },
    setDesired({ desired, applied }) {
      sql.exec(
        "INSERT OR REPLACE INTO desired (job_id, message, applied) VALUES (?, ?, ?)",
        desired.jobId,
        JSON.stringify(desired),
        applied ? 1 : 0,
      );
    },
    dropDesired(jobId) {
      sql.exec("DELETE FROM desired WHERE job_id = ?", jobId);
    },
  };
}

type IdentityRow = {
  org_id: string;
  agent_id: string;
  key_hash: string;
  key_made_ms: number | null;
  next_key_hash: string | null;
  revoked: number;
  pending: number;
  generation: number | null;
  offered: number | null;
  locked: number;
};
type SessionRow = {
  epoch: number;
  event_seq: number;
  offline_due_ms: number | null;
  told_facts: string | null;
  told_ms: number | null;
};
type DesiredRow = { job_id: string; message: string; applied: number };

function migrate(sql: SqlStorage): void {
  sql.exec("CREATE TABLE IF NOT EXISTS version (number INTEGER NOT NULL)");
  const version = sql.exec<{ number: number }>("SELECT number FROM version").toArray()[0]?.number;
  if (version === SCHEMA_VERSION) return;
  if (version !== undefined) {
    if (version < 2) sql.exec("ALTER TABLE identity ADD COLUMN pending INTEGER NOT NULL DEFAULT 0");
    if (version < 3)
      sql.exec(`
        ALTER TABLE identity ADD COLUMN key_made_ms INTEGER;
        ALTER TABLE identity ADD COLUMN next_key_hash TEXT;
        ALTER TABLE identity ADD COLUMN generation INTEGER;
        ALTER TABLE identity ADD COLUMN offered INTEGER;
        ALTER TABLE identity ADD COLUMN locked INTEGER NOT NULL DEFAULT 0;
      `);
    sql.exec(`
      ALTER TABLE session ADD COLUMN told_facts TEXT;
      ALTER TABLE session ADD COLUMN told_ms INTEGER;
      UPDATE version SET number = ${SCHEMA_VERSION};
    `);
    return;
  }
  sql.exec(`
    CREATE TABLE identity (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      org_id TEXT NOT NULL, agent_id TEXT NOT NULL, key_hash TEXT NOT NULL, revoked INTEGER NOT NULL,
      pending INTEGER NOT NULL, key_made_ms INTEGER, next_key_hash TEXT, generation INTEGER,
      offered INTEGER, locked INTEGER NOT NULL
    );
    CREATE TABLE session (
      epoch INTEGER NOT NULL, event_seq INTEGER NOT NULL, offline_due_ms INTEGER, told_facts TEXT, told_ms INTEGER
    );
    INSERT INTO session VALUES (0, 0, NULL, NULL, NULL);
    CREATE TABLE desired (job_id TEXT PRIMARY KEY, message TEXT NOT NULL, applied INTEGER NOT NULL);
    INSERT INTO version VALUES (${SCHEMA_VERSION});
  `);
}
