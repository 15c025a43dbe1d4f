/** The counts of the dashboard's first page and its set-up checklist. */
import { sql } from "drizzle-orm";
import type { MovedTotals, Overview } from "../../schema/api.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { agents, clients, jobs, organizations, projects, storageConnections } from "../../schema/tables.ts";
import { invalid } from "../problems.ts";

const DAY_MS = 86_400_000;
const WEEK_DAYS = 7;
/** Nowhere is today further from what it is in UTC. */
const TODAY_OFF_MS = 2 * DAY_MS;

/** `today`: the day in UTC that counts as that. */
export async function readOverview(db: ScopedDb, today: string, nowMs: number): Promise<Overview> {
  if (Math.abs(Date.parse(today) - nowMs) > TODAY_OFF_MS)
    throw invalid({ today: "This is not today, anywhere" });
  const count = { count: sql<number>`count(*)` };
  // Of jobs there are far more than of anything else, most of them completed: those are what is left of all.
  const jobsThatAre = (status: string) =>
    sql<number>`(select count(*) from jobs o where o.org_id = ${db.orgId} and o.status ${sql.raw(status)})`;
  const [agentRows, connectionRows, clientRows, projectRows, jobRows, moved] = await Promise.all([
    db.select(
      {
        total: sql<number>`count(case when ${agents.status} <> 'revoked' then 1 end)`,
        online: sql<number>`count(case when ${agents.status} = 'online' then 1 end)`,
      },
      agents,
    ),
    db.select(count, storageConnections),
    db.select(count, clients),
    db.select(count, projects),
    db.select(
      {
        active: jobsThatAre("in ('created', 'scanning', 'ready', 'running', 'paused')"),
        failed: jobsThatAre("= 'failed'"),
        cancelled: jobsThatAre("= 'cancelled'"),
        all: sql<number>`count(*)`,
        bytesCompleted: sql<number>`coalesce(sum(${jobs.bytesCompleted}), 0)`,
        filesCompleted: sql<number>`coalesce(sum(${jobs.filesCompleted}), 0)`,
      },
      jobs,
    ),
    readMoved(db, today),
  ]);
  // An aggregate without grouping has exactly one row.
  const { all, active, failed, cancelled, ...completed } = jobRows[0] as (typeof jobRows)[number];
  return {
    agents: agentRows[0] as (typeof agentRows)[number],
    connections: connectionRows[0]?.count ?? 0,
    clients: clientRows[0]?.count ?? 0,
    projects: projectRows[0]?.count ?? 0,
    jobs: { active, completed: all - active - failed - cancelled, failed, cancelled },
    ...completed,
    ...moved,
  };
}

/**
 * What was uploaded and which jobs ended, from the rows of a week. Usage counts from the beginning of a run, so a day's own
 * is what was added since the last day before it that has a row; whatever ended since then was written since then.
 */
async function readMoved(db: ScopedDb, today: string): Promise<{ today: MovedTotals; week: MovedTotals }> {
  const todayMs = Date.parse(today);
  const firstMs = todayMs - (WEEK_DAYS - 1) * DAY_MS;
  const firstDay = new Date(firstMs).toISOString().slice(0, 10);
  const before = (column: string) =>
    `coalesce((select max(p.${column}) from job_usage p where p.org_id = u.org_id and p.job_id = u.job_id and p.epoch = u.epoch and p.day < u.day), 0)`;
  const added = (column: string) => sql.raw(`max(0, u.${column} - ${before(column)})`);
  const days = sql`select u.day as day, ${added("bytes_sent")} as bytes, ${added("files_completed")} as files from job_usage u indexed by job_usage_day where u.org_id = ${db.orgId} and u.day >= ${firstDay}`;
  const ended = sql`select j.status as status, j.finished_at as at from jobs j indexed by jobs_activity where j.org_id = ${db.orgId} and j.updated_at >= ${firstMs} and j.status in ('completed', 'failed') and j.finished_at >= ${firstMs}`;
  const row = await db.first(
    {
      used: sql<string>`(select json_object('bytes', coalesce(sum(bytes), 0), 'files', coalesce(sum(files), 0), 'bytesToday', coalesce(sum(case when day >= ${today} then bytes end), 0), 'filesToday', coalesce(sum(case when day >= ${today} then files end), 0)) from (${days}))`,
      ends: sql<string>`(select json_object('completed', count(case when status = 'completed' then 1 end), 'failed', count(case when status = 'failed' then 1 end), 'completedToday', count(case when status = 'completed' and at >= ${todayMs} then 1 end), 'failedToday', count(case when status = 'failed' and at >= ${todayMs} then 1 end)) from (${ended}))`,
    },
    organizations,
  );
  const used = JSON.parse(row?.used ?? "{}") as Record<string, number>;
  const ends = JSON.parse(row?.ends ?? "{}") as Record<string, number>;
  const totals = (suffix: "" | "Today"): MovedTotals => ({
    bytes: used[`bytes${suffix}`] ?? 0,
    files: used[`files${suffix}`] ?? 0,
    jobsCompleted: ends[`completed${suffix}`] ?? 0,
    jobsFailed: ends[`failed${suffix}`] ?? 0,
  });
  return { today: totals("Today"), week: totals("") };
}
