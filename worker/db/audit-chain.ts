/**
 * Gives each audit entry its number and hash, in one order per organization, and reads the chain.
 *
 * D1 itself settles races. An entry is numbered only while the entry before it carries the very hash that was built upon,
 * nothing has its number, and it has none; the unique index over `(org_id, number)` stands behind that. Two sealers at once
 * therefore write the same chain or nothing. A Durable Object per organization would order them too, but the entries are
 * written into D1 together with what they tell of, so the object would have to ask D1 all the same, and be one more thing
 * that can be away when somebody wants to read.
 */
import { and, asc, desc, eq, gt, gte, isNotNull, isNull, lt, lte, sql, type SQL } from "drizzle-orm";
import {
  entryHash,
  firstHash,
  type AuditEntry,
  type AuditHead,
  type AuditPage,
  type AuditQuery,
} from "../../schema/audit.ts";
import type { ScopedDb, Write } from "../../schema/scoped-db.ts";
import { auditLog } from "../../schema/tables.ts";
import { sha256Hex } from "../secrets.ts";
import { iso } from "./paging.ts";

const SEAL_ROWS = 50;
/** How much one request or one sweep seals of one organization; what is left is sealed by the next. */
const SEAL_BATCHES_MAX = 20;
/** How far one page looks through entries that its filter leaves out. No index serves a filter, so this bounds the walk. */
const WALK_MAX = 5_000;
/** Entries are numbered at most this long after their moment, so order and time differ by no more. */
const SEAL_LAG_MS = 3_600_000;

const FIELDS = {
  number: auditLog.number,
  id: auditLog.id,
  at: auditLog.at,
  actorKind: auditLog.actorKind,
  actorId: auditLog.actorId,
  address: auditLog.address,
  action: auditLog.action,
  objectId: auditLog.objectId,
  details: auditLog.details,
  hash: auditLog.hash,
};

/** Seals what waits, oldest first; resolves with how many it sealed. */
export async function sealAudit(db: ScopedDb): Promise<number> {
  let sealed = 0;
  // A turn that another sealer won is taken again.
  for (let batch = 0; batch < SEAL_BATCHES_MAX; batch++) {
    const waiting = await db.select(FIELDS, auditLog, {
      where: isNull(auditLog.number),
      orderBy: asc(auditLog.id),
      limit: SEAL_ROWS,
    });
    // The head after the entries: one that was sealed in between is then behind us, and the condition refuses the rest.
    let previous = await readHead(db);
    const writes: Write[] = [];
    for (const row of waiting) {
      const number = previous.number + 1;
      const hash = await entryHash(previous.hash, { ...row, at: iso(row.at), number }, sha256Hex);
      writes.push(db.update(auditLog, { number, hash }, and(eq(auditLog.id, row.id), follows(db, previous))));
      previous = { number, hash };
    }
    const [first, ...rest] = writes;
    if (first === undefined) break;
    const written = (await db.batch([first, ...rest])).reduce((sum, changed) => sum + changed, 0);
    sealed += written;
    if (waiting.length < SEAL_ROWS && written === waiting.length) break;
  }
  return sealed;
}

/** Holds while the chain ends with `previous`; the row to be written is not numbered yet. */
function follows(db: ScopedDb, previous: AuditHead): SQL | undefined {
  const there = (number: number) =>
    sql`(select e.hash from audit_log e where e.org_id = ${db.orgId} and e.number = ${number})`;
  return and(
    isNull(auditLog.number),
    previous.number === 0 ? undefined : sql`${there(previous.number)} = ${previous.hash}`,
    sql`${there(previous.number + 1)} is null`,
  );
}

export async function readHead(db: ScopedDb): Promise<AuditHead> {
  const row = await db.first({ number: auditLog.number, hash: auditLog.hash }, auditLog, {
    where: isNotNull(auditLog.number),
    orderBy: desc(auditLog.number),
  });
  if (row === null) return { number: 0, hash: await firstHash(db.orgId, sha256Hex) };
  return { number: row.number as number, hash: row.hash as string };
}

/** Newest first. A page may hold less than asked for, even nothing, and still be followed by others: see {@link WALK_MAX}. */
export async function listAudit(db: ScopedDb, query: AuditQuery): Promise<AuditPage> {
  const head = await readHead(db);
  const before = Math.min(query.cursor ?? Infinity, head.number + 1);
  const lowest = Math.max(1, before - WALK_MAX);
  const rows = await db.select(FIELDS, auditLog, {
    where: and(lt(auditLog.number, before), gte(auditLog.number, lowest), ...filters(query)),
    orderBy: desc(auditLog.number),
    limit: query.limit + 1,
  });
  const items = rows.slice(0, query.limit).map(show);
  const next = rows.length > query.limit ? (items.at(-1)?.number ?? lowest) : lowest;
  const ends = next <= 1 || (await isBeyond(db, query, next));
  return { items, nextCursor: ends ? null : String(next), head };
}

function filters({ action, actor, from, to }: AuditQuery): SQL[] {
  return [
    ...(action === undefined ? [] : [eq(auditLog.action, action)]),
    ...(actor === undefined ? [] : [eq(auditLog.actorId, actor)]),
    ...(from === undefined ? [] : [gte(auditLog.at, Date.parse(from))]),
    ...(to === undefined ? [] : [lte(auditLog.at, Date.parse(to))]),
  ];
}

/** Whether all that is further back is older than what is asked for. */
async function isBeyond(db: ScopedDb, { from }: AuditQuery, number: number): Promise<boolean> {
  if (from === undefined) return false;
  const row = await db.first({ at: auditLog.at }, auditLog, { where: eq(auditLog.number, number) });
  return row !== null && row.at < Date.parse(from) - SEAL_LAG_MS;
}

/** Up to `limit` entries behind `number`, oldest first. */
export async function readChain(db: ScopedDb, number: number, limit: number): Promise<AuditEntry[]> {
  const rows = await db.select(FIELDS, auditLog, {
    where: gt(auditLog.number, number),
    orderBy: asc(auditLog.number),
    limit,
  });
  return rows.map(show);
}

type Row = Omit<AuditEntry, "number" | "hash" | "at"> & {
  number: number | null;
  hash: string | null;
  at: number;
};

function show(row: Row): AuditEntry {
  return { ...row, number: row.number as number, hash: row.hash as string, at: iso(row.at) };
}
