/**
 * What needs a person now. Each kind is looked for in an index that holds what it is found by, and only so many are read;
 * what is computed from other rows is computed for those alone.
 */
import { desc, eq, sql, type SQL } from "drizzle-orm";
import {
  NOTIFICATIONS_MAX,
  NOTIFIED_DAYS,
  WAITING_PROJECTS_MAX,
  type Notification,
  type Notifications,
} from "../../schema/notifications.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { agents, clients, jobs, projects, storageConnections } from "../../schema/tables.ts";
import { iso, isoOrNull } from "./paging.ts";

const DAY_MS = 86_400_000;
/** A refresh token that nobody uses for so long is void ("Refresh tokens in the Microsoft identity platform"). */
const REFRESH_TOKEN_IDLE_MS = 90 * DAY_MS;
/** One more than is told, to know whether there are more. */
const LIMIT = NOTIFICATIONS_MAX + 1;

export async function readNotifications(db: ScopedDb, nowMs: number): Promise<Notifications> {
  const kinds = await Promise.all([
    refusedConnections(db),
    troubledAgents(db, nowMs),
    lapsingConnections(db, nowMs),
    failedJobs(db, nowMs),
  ]);
  return {
    items: kinds.flatMap((items) => items.slice(0, NOTIFICATIONS_MAX)),
    more: kinds.some((items) => items.length > NOTIFICATIONS_MAX),
  };
}

async function refusedConnections(db: ScopedDb): Promise<Notification[]> {
  // As a project's status is derived: one whose jobs are all completed needs no storage any more.
  const end = (which: "min" | "max") =>
    `(select ${which}(j.status) from jobs j where j.org_id = p.org_id and j.project_id = p.id)`;
  const waiting = sql.raw(
    `from projects p indexed by projects_connection where p.org_id = "storage_connections"."org_id" and p.connection_id = "storage_connections"."id" and p.cancelled_at is null and not (${end("min")} is 'completed' and ${end("max")} is 'completed')`,
  );
  const named = sql`select p.id as id, p.name as name ${waiting} order by p.id desc limit ${WAITING_PROJECTS_MAX}`;
  const rows = await db.select(
    {
      id: storageConnections.id,
      name: storageConnections.name,
      refusedAt: storageConnections.refusedAt,
      projects: sql<string>`(select json_group_array(json_object('id', id, 'name', name)) from (${named}))`,
      projectCount: sql<number>`(select count(*) ${waiting})`,
    },
    storageConnections,
    {
      where: sql`${storageConnections.refusedAt} is not null`,
      orderBy: desc(storageConnections.id),
      limit: LIMIT,
    },
  );
  return rows.map(({ id, name, refusedAt, projects: waitingProjects, projectCount }) => ({
    kind: "connection_refused",
    connectionId: id,
    name,
    at: iso(refusedAt ?? 0),
    projects: JSON.parse(waitingProjects) as { id: string; name: string }[],
    projectCount,
  }));
}

async function troubledAgents(db: ScopedDb, nowMs: number): Promise<Notification[]> {
  // What is to start later needs no agent yet.
  const waiting = (agent: SQL) =>
    sql`from jobs j indexed by jobs_agent where j.org_id = ${agent}.org_id and j.agent_id = ${agent}.id and j.status in ('created', 'scanning', 'ready', 'running', 'paused') and (j.start_at is null or j.start_at <= ${nowMs})`;
  const troubled = (status: "locked" | "offline" | "pending") => {
    const needed = status === "offline" ? sql` and exists (select 1 ${waiting(sql`t`)})` : sql``;
    return sql`select * from (select t.id as id from agents t indexed by agents_status where t.org_id = ${db.orgId} and t.status = ${status}${needed} order by t.id desc limit ${LIMIT})`;
  };
  const rows = await db.select(
    {
      id: agents.id,
      name: agents.name,
      status: agents.status,
      lastSeenAt: agents.lastSeenAt,
      activeJobCount: sql<number>`(select count(*) ${waiting(sql`"agents"`)})`,
    },
    agents,
    {
      where: sql`${agents.id} in (${troubled("locked")} union all ${troubled("offline")} union all ${troubled("pending")})`,
      // Locked, offline, pending: what holds up work comes first.
      orderBy: [sql`instr('lop', substr(${agents.status}, 1, 1))`, desc(agents.id)],
      limit: LIMIT,
    },
  );
  return rows.flatMap(({ id, name, status, lastSeenAt, activeJobCount }) =>
    status === "locked" || status === "offline" || status === "pending"
      ? [{ kind: "agent", agentId: id, name, status, lastSeenAt: isoOrNull(lastSeenAt), activeJobCount }]
      : [],
  );
}

async function lapsingConnections(db: ScopedDb, nowMs: number): Promise<Notification[]> {
  const { kind, expiresAt, refreshedAt, refusedAt } = storageConnections;
  const lapsesAt = sql<
    number | null
  >`case when ${kind} = 'oauth' then ${refreshedAt} + ${REFRESH_TOKEN_IDLE_MS} else ${expiresAt} end`;
  const rows = await db.select(
    { id: storageConnections.id, name: storageConnections.name, lapsesAt },
    storageConnections,
    {
      where: sql`${refusedAt} is null and ${lapsesAt} <= ${nowMs + NOTIFIED_DAYS * DAY_MS}`,
      orderBy: sql`${lapsesAt}`,
      limit: LIMIT,
    },
  );
  return rows.map(({ id, name, lapsesAt: at }) => ({
    kind: "connection_lapses",
    connectionId: id,
    name,
    at: iso(at ?? 0),
  }));
}

async function failedJobs(db: ScopedDb, nowMs: number): Promise<Notification[]> {
  const since = nowMs - NOTIFIED_DAYS * DAY_MS;
  // Whatever ended since then was written since then.
  const recent = sql`select t.id from jobs t indexed by jobs_activity where t.org_id = ${db.orgId} and t.updated_at >= ${since} and t.status = 'failed' and t.finished_at >= ${since} order by t.updated_at desc limit ${LIMIT}`;
  const rows = await db.select(
    {
      id: jobs.id,
      name: jobs.name,
      clientName: sql<string>`${clients.name}`,
      finishedAt: jobs.finishedAt,
      error: jobs.error,
    },
    jobs,
    {
      join: [
        { table: projects, on: eq(projects.id, jobs.projectId) },
        { table: clients, on: eq(clients.id, projects.clientId) },
      ],
      where: sql`${jobs.id} in (${recent})`,
      orderBy: [sql`${jobs.finishedAt} desc`, desc(jobs.id)],
      limit: LIMIT,
    },
  );
  return rows.map(({ id, name, clientName, finishedAt, error }) => ({
    kind: "job_failed",
    jobId: id,
    name,
    clientName,
    at: iso(finishedAt ?? 0),
    error,
  }));
}
