/**
 * Once a minute, over all organizations: wishes that never reached their agent, and agents that count as online while
 * their object may know better. The other file that may ask D1 without a scope.
 */
import { and, eq, gt, isNull, lt, lte, ne, or, sql, type SQL } from "drizzle-orm";
import { systemDb } from "../../schema/scoped-db.ts";
import { newId } from "../../schema/ids.ts";
import { agents, jobs, organizations, signInRefusals } from "../../schema/tables.ts";

const ROWS_MAX = 100;
const CONSENTS_KEPT_MS = 60 * 60_000;
const REFUSALS_KEPT_MS = 30 * 86_400_000;
const REFUSALS_KEPT_MAX = 100_000;
const REFUSALS_DROPPED_MAX = 5_000;
/** A wish this young is still on its ordinary way. */
const YOUNG_MS = 10_000;

/** Jobs with a wish their agent has not confirmed. An agent that is offline gets it from its object when it is back. */
export async function findUnconfirmed(
  database: D1Database,
  nowMs: number,
): Promise<{ orgId: string; jobId: string }[]> {
  return await systemDb(database)
    .select({ orgId: jobs.orgId, jobId: jobs.id })
    .from(jobs)
    .innerJoin(agents, and(eq(agents.orgId, jobs.orgId), eq(agents.id, jobs.agentId)))
    .where(
      and(
        gt(jobs.desiredRev, jobs.appliedRev),
        lt(jobs.updatedAt, nowMs - YOUNG_MS),
        or(eq(agents.status, "online"), gt(jobs.updatedAt, nowMs - 24 * 3_600_000)),
        sql`${jobs.report} is null`,
        // One that is to start later is not wanted of its agent yet.
        or(isNull(jobs.startAt), lte(jobs.startAt, nowMs), ne(jobs.status, "created")),
      ),
    )
    // At random behind those that can be helped now: otherwise a hundred that stay as they are would hide the next one.
    .orderBy(sql`${agents.status} = 'online' desc, random()`)
    .limit(ROWS_MAX);
}

/** Agents that D1 calls online; when there are many, others each time. */
export async function findOnline(
  database: D1Database,
  nowMs: number,
): Promise<{ orgId: string; agentId: string }[]> {
  return await systemDb(database)
    .select({ orgId: agents.orgId, agentId: agents.id })
    .from(agents)
    .where(
      // As in the index, word for word; a value that is bound is not known when the index is chosen.
      and(sql`${agents.status} = 'online'`, lt(agents.lastSeenAt, nowMs - YOUNG_MS)),
    )
    .orderBy(sql`random()`)
    .limit(ROWS_MAX);
}

/**
 * Organizations whose audit log has entries without a place in its chain. Each organization is looked at by one step into
 * the index over `(org_id, number)`, so this costs as much as there are organizations, not entries.
 */
export async function findUnsealed(database: D1Database): Promise<string[]> {
  const open = sql`exists (select 1 from audit_log e where e.org_id = ${organizations.orgId} and e.number is null)`;
  const rows = await systemDb(database)
    .select({ orgId: organizations.orgId })
    .from(organizations)
    .where(open)
    .limit(ROWS_MAX);
  return rows.map(({ orgId }) => orgId);
}

/**
 * Consents nobody went on with, and their tokens. They live less than an hour, and ids begin with the time they were made, so
 * this is one step into the key of each organization.
 */
export async function dropOldConsents(database: D1Database, nowMs: number): Promise<void> {
  const oldest = newId("oauthState", nowMs - CONSENTS_KEPT_MS, new Uint8Array());
  const old = `select s.org_id, s.id from organizations o join oauth_states s on s.org_id = o.org_id and s.id < ?1 limit ${ROWS_MAX}`;
  await database.prepare(`delete from oauth_states where (org_id, id) in (${old})`).bind(oldest).run();
}

/**
 * Refused sign-ins that are too old, or too many: anybody can make them. Ids begin with the time they were made, and rows are
 * numbered in the order they came, so neither question looks at what stays.
 */
export async function dropOldRefusals(
  database: D1Database,
  nowMs: number,
  keptMax: number = REFUSALS_KEPT_MAX,
): Promise<void> {
  const oldest = newId("audit", nowMs - REFUSALS_KEPT_MS, new Uint8Array());
  const db = systemDb(database);
  const drop = (which: SQL) =>
    db.run(
      sql`delete from sign_in_refusals where rowid in (select rowid from sign_in_refusals where ${which} limit ${REFUSALS_DROPPED_MAX})`,
    );
  await drop(sql`${signInRefusals.id} < ${oldest}`);
  await drop(sql`rowid <= (select max(rowid) from sign_in_refusals) - ${keptMax}`);
}
