/**
 * Once a minute, over all organizations: wishes that never reached their agent, and agents that count as online while
 * their object may know better. The other file that may ask D1 without a scope.
 */
import { and, eq, gt, isNull, lt, lte, ne, or, sql, type SQL } from "drizzle-orm";
import { systemDb } from "../../schema/scoped-db.ts";
import { newId } from "../../schema/ids.ts";
import { agents, jobs, organizations, outbox, signInRefusals } from "../../schema/tables.ts";
import { EVERYBODY } from "../../durable-objects/happenings.ts";
import type { DueEntry } from "../outbox/entries.ts";
import { SESSION_MS_MAX } from "./identity.ts";

const ROWS_MAX = 100;
const CONSENTS_KEPT_MS = 60 * 60_000;
const SESSIONS_DROPPED_MAX = 5_000;
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
        // Nor is one that another agent may still be at work on.
        or(isNull(jobs.heldUntil), lte(jobs.heldUntil, nowMs), ne(jobs.status, "created")),
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
 * Sessions that are over since they would have lapsed anyway. The one in which a person was seen last stays, because it tells
 * when that was; so does one that a consent still on its way names. Of each organization only what is old is looked at.
 */
export async function dropEndedSessions(database: D1Database, nowMs: number): Promise<void> {
  const oldest = newId("session", nowMs - SESSION_MS_MAX, new Uint8Array());
  const wasSeenLater =
    "exists (select 1 from sessions n where n.org_id = s.org_id and n.user_id = s.user_id and n.id > s.id and n.last_seen_at >= s.last_seen_at)";
  const isNamed = "exists (select 1 from oauth_states c where c.org_id = s.org_id and c.session_id = s.id)";
  const old = `select s.org_id, s.id from organizations o cross join sessions s on s.org_id = o.org_id and s.id < ?1 where s.expires_at <= ?2 and ${wasSeenLater} and not ${isNamed} limit ${SESSIONS_DROPPED_MAX}`;
  await database.prepare(`delete from sessions where (org_id, id) in (${old})`).bind(oldest, nowMs).run();
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

// --- the outbox (`worker/outbox/`) ---

/** How long entries stay that are done; of webhooks that fail the reason stays longer. */
const OUTBOX_KEPT_MS = 30 * 86_400_000;
const OUTBOX_DROPPED_MAX = 1_000;

/** Entries that are due, the longest first; of one organization, or of all. */
export async function findDueEntries(
  database: D1Database,
  { nowMs, limit, orgId }: { nowMs: number; limit: number; orgId: string | null },
): Promise<DueEntry[]> {
  const rows = await systemDb(database)
    .select({
      orgId: outbox.orgId,
      id: outbox.id,
      kind: outbox.kind,
      key: outbox.key,
      target: outbox.target,
      payload: outbox.payload,
      createdAt: outbox.createdAt,
      attempts: outbox.attempts,
      dueAt: sql<number>`${outbox.dueAt}`,
    })
    .from(outbox)
    .where(and(lte(outbox.dueAt, nowMs), orgId === null ? undefined : eq(outbox.orgId, orgId)))
    // Of what is due at the same moment, what was written first.
    .orderBy(outbox.dueAt, sql`rowid`)
    .limit(limit);
  return rows;
}

/** All that is for one receiver that is away waits: trying each would only take the time of those who can be reached. */
export async function postponeKind(
  database: D1Database,
  kind: "bus" | "mail" | "billing",
  { nowMs, untilMs }: { nowMs: number; untilMs: number },
): Promise<void> {
  const isTold = sql`${outbox.target} is not ${EVERYBODY}`;
  await systemDb(database)
    .update(outbox)
    .set({ dueAt: untilMs })
    .where(and(eq(outbox.kind, kind), isTold, lte(outbox.dueAt, nowMs)));
}

export interface Unbilled {
  readonly orgId: string;
  readonly tenantId: string;
  readonly createdAt: number;
  /** The last day that was written; null when none was. */
  readonly lastDay: string | null;
}

/** Organizations whose usage of a day is not written yet; each is looked at by one step into an index. */
export async function findUnbilled(database: D1Database, day: string, limit: number): Promise<Unbilled[]> {
  const ofOrg = sql`b.org_id = ${organizations.orgId} and b.kind = 'billing'`;
  const dayEndsMs = Date.parse(day) + 86_400_000;
  return await systemDb(database)
    .select({
      orgId: organizations.orgId,
      tenantId: organizations.hubTenantId,
      createdAt: organizations.createdAt,
      lastDay: sql<string | null>`(select max(b.key) from outbox b where ${ofOrg})`,
    })
    .from(organizations)
    .where(
      and(
        lt(organizations.createdAt, dayEndsMs),
        sql`not exists (select 1 from outbox b where ${ofOrg} and b.key = ${day})`,
      ),
    )
    .limit(limit);
}

export interface Lapsing {
  readonly orgId: string;
  readonly id: string;
  readonly name: string;
  readonly account: string;
  readonly kind: "connection_string" | "container_sas" | "oauth";
  readonly lapsesAtMs: number;
  readonly userId: string;
  readonly personName: string;
  readonly email: string;
}

/**
 * Connections that lapse soon and whose makers were not told of it. It reads each connection there is, organization by
 * organization, so it is asked once an hour.
 */
export async function findLapsing(
  database: D1Database,
  { nowMs, withinMs, idleMs, limit }: { nowMs: number; withinMs: number; idleMs: number; limit: number },
): Promise<Lapsing[]> {
  const lapse = "case when s.kind = 'oauth' then s.refreshed_at + ?1 else s.expires_at end";
  const { results } = await database
    .prepare(
      `select s.org_id as orgId, s.id as id, s.name as name, s.account as account, s.kind as kind, ${lapse} as lapsesAtMs,
         u.id as userId, u.name as personName, u.email as email
       from organizations o
       cross join storage_connections s on s.org_id = o.org_id
       cross join users u on u.org_id = s.org_id and u.id = s.created_by
       where s.refused_at is null and ${lapse} > ?2 and ${lapse} <= ?3 and instr(u.email, '@') > 0
         and not exists (
           select 1 from outbox m
           where m.org_id = s.org_id and m.kind = 'mail' and m.key = 'connection.lapses/' || s.id || '/' || (${lapse}))
       limit ?4`,
    )
    .bind(idleMs, nowMs, nowMs + withinMs, limit)
    .all<Lapsing>();
  return results;
}

/** Mails of the development server, newest first, over all organizations. */
export async function listDevelopmentMails(
  database: D1Database,
  limit: number,
): Promise<{ id: string; payload: unknown; sentAt: number | null }[]> {
  const { results } = await database
    .prepare(
      `select m.id as id, m.payload as payload, m.sent_at as sentAt
       from organizations o cross join outbox m on m.org_id = o.org_id and m.kind = 'mail'
       order by m.id desc limit ?1`,
    )
    .bind(limit)
    .all<{ id: string; payload: string; sentAt: number | null }>();
  return results.map((row) => ({ ...row, payload: JSON.parse(row.payload) as unknown }));
}

/** Entries that are done since long ago. One step into each organization's key, because ids begin with their time. */
export async function dropOldEntries(database: D1Database, nowMs: number): Promise<void> {
  const oldest = newId("outbox", nowMs - OUTBOX_KEPT_MS, new Uint8Array());
  // Days that were billed stay as long as a missed one may be caught up; how a webhook fails stays with it.
  const oldestDay = newId("outbox", nowMs - 3 * OUTBOX_KEPT_MS, new Uint8Array());
  const isOver =
    "b.due_at is null and (b.kind <> 'billing' or b.id < ?2) and not (b.kind = 'webhook' and b.key like '%/state')";
  const old = `select b.org_id, b.id from organizations o cross join outbox b on b.org_id = o.org_id and b.id < ?1 where ${isOver} limit ${OUTBOX_DROPPED_MAX}`;
  await database.prepare(`delete from outbox where (org_id, id) in (${old})`).bind(oldest, oldestDay).run();
}
