/** The counts of the dashboard's first page and its set-up checklist. */
import { sql } from "drizzle-orm";
import type { Overview } from "../../schema/api.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { agents, clients, jobs, projects, storageConnections } from "../../schema/tables.ts";

export async function readOverview(db: ScopedDb): Promise<Overview> {
  const count = { count: sql<number>`count(*)` };
  const [agentRows, connectionRows, clientRows, projectRows, jobRows] = await Promise.all([
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
        completed: sql<number>`count(case when ${jobs.status} = 'completed' then 1 end)`,
        failed: sql<number>`count(case when ${jobs.status} = 'failed' then 1 end)`,
        cancelled: sql<number>`count(case when ${jobs.status} = 'cancelled' then 1 end)`,
        all: sql<number>`count(*)`,
        bytesCompleted: sql<number>`coalesce(sum(${jobs.bytesCompleted}), 0)`,
        filesCompleted: sql<number>`coalesce(sum(${jobs.filesCompleted}), 0)`,
      },
      jobs,
    ),
  ]);
  // An aggregate without grouping has exactly one row.
  const job = jobRows[0] as (typeof jobRows)[number];
  return {
    agents: agentRows[0] as (typeof agentRows)[number],
    connections: connectionRows[0]?.count ?? 0,
    clients: clientRows[0]?.count ?? 0,
    projects: projectRows[0]?.count ?? 0,
    jobs: {
      active: job.all - job.completed - job.failed - job.cancelled,
      completed: job.completed,
      failed: job.failed,
      cancelled: job.cancelled,
    },
    bytesCompleted: job.bytesCompleted,
    filesCompleted: job.filesCompleted,
  };
}
