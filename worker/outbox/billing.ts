/**
 * Hub Billing: each organization's usage of the day before, from 01:15 UTC on.
 *
 * It hangs on the minute's sweep and not on a cron of its own, because a cron that was missed does not come again, while the
 * sweep asks each minute which days are not written yet: a day that was missed is caught up by the next minute there is.
 */
import { sql } from "drizzle-orm";
import { scopedDb, type ScopedDb, type Write } from "../../schema/scoped-db.ts";
import { organizations } from "../../schema/tables.ts";
import { findUnbilled, type Unbilled } from "../db/sweep.ts";
import { writeEntry, type DayUsage } from "./entries.ts";
import { judge, post, type Delivery, type PostWorld } from "./post.ts";

const DAY_MS = 86_400_000;
/** After midnight in UTC. What a job had sent by then has long been reported. */
const DUE_MS = 75 * 60_000;
/** How far back missed days are caught up. */
const DAYS_MAX = 40;
const ORGANIZATIONS_MAX = 100;
const GIGABYTE = 1_000_000_000;

/** Writes the days that are due and not written yet; resolves with how many organizations it looked at. */
export async function writeUsage(database: D1Database, nowMs: number): Promise<number> {
  // At 01:15 of a day the day before is due.
  const lastDay = dayOf(nowMs - DUE_MS - DAY_MS);
  const unbilled = await findUnbilled(database, lastDay, ORGANIZATIONS_MAX);
  for (const organization of unbilled) {
    const db = scopedDb(database, organization.orgId);
    const days = daysDue(organization, lastDay);
    const bytes = await bytesByDay(db, days[0] ?? lastDay, lastDay);
    const writes = days.map((day) => {
      const payload = usageOf(organization, day, bytes[day] ?? 0);
      return writeEntry(db, { kind: "billing", key: day, target: null, payload }, nowMs);
    });
    const [first, ...rest] = writes;
    if (first !== undefined) await db.batch([first, ...rest] satisfies [Write, ...Write[]]);
  }
  return unbilled.length;
}

export async function sendUsage(
  world: PostWorld,
  billing: { readonly url: string; readonly key: string | null },
  usage: DayUsage,
): Promise<Delivery> {
  const key = `${usage.organization_id}/${usage.day}`;
  const authorization: Record<string, string> =
    billing.key === null ? {} : { authorization: `Bearer ${billing.key}` };
  const answer = await post(world, {
    url: `${billing.url}/usage`,
    headers: { "idempotency-key": key, ...authorization },
    body: JSON.stringify(usage),
  });
  return judge(answer);
}

function daysDue({ createdAt, lastDay: written }: Unbilled, lastDay: string): string[] {
  const lastMs = Date.parse(lastDay);
  const afterMs = written === null ? Date.parse(dayOf(createdAt)) : Date.parse(written) + DAY_MS;
  const firstMs = Math.max(afterMs, lastMs - (DAYS_MAX - 1) * DAY_MS);
  const count = Math.max(0, Math.round((lastMs - firstMs) / DAY_MS) + 1);
  return Array.from({ length: count }, (_, index) => dayOf(firstMs + index * DAY_MS));
}

/**
 * Rows count from the beginning of a run, so a day's own is what was added since the last day before it that has a row.
 */
async function bytesByDay(
  db: ScopedDb,
  firstDay: string,
  lastDay: string,
): Promise<Readonly<Record<string, number>>> {
  const before = sql`coalesce((select max(p.bytes_sent) from job_usage p where p.org_id = u.org_id and p.job_id = u.job_id and p.epoch = u.epoch and p.day < u.day), 0)`;
  const days = sql`select u.day as day, sum(max(0, u.bytes_sent - ${before})) as bytes from job_usage u indexed by job_usage_day where u.org_id = ${db.orgId} and u.day >= ${firstDay} and u.day <= ${lastDay} group by u.day`;
  const used = sql<string>`(select json_group_object(day, bytes) from (${days}))`;
  const row = await db.first({ used }, organizations);
  return JSON.parse(row?.used ?? "{}") as Record<string, number>;
}

function usageOf({ orgId, tenantId }: Unbilled, day: string, bytes: number): DayUsage {
  return {
    source: "migrate",
    organization_id: orgId,
    tenant_id: tenantId,
    day,
    gb_transferred: bytes / GIGABYTE,
    bytes_transferred: bytes,
    // No mailbox can be moved yet.
    mailbox_count: 0,
  };
}

function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}
