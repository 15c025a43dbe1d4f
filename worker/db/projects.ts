import { and, eq, isNotNull, isNull, notInArray, sql } from "drizzle-orm";
import type * as z from "zod";
import type { Page, Project, projectCreate, projectUpdate } from "../../schema/api.ts";
import { FINAL_STATUSES, type AccessTier, type BandwidthSchedule } from "../../schema/job.ts";
import type { ScopedDb, Write } from "../../schema/scoped-db.ts";
import { clients, jobs, projects, storageConnections } from "../../schema/tables.ts";
import { invalid, notFound, Problem } from "../problems.ts";
import { audit, auditIfChanged, type Actor } from "./audit.ts";
import { assertOpenClient } from "./clients.ts";
import { createOnce } from "./create.ts";
import { differs } from "./differs.ts";
import { makeId } from "./ids.ts";
import { chosen, iso, pageOfSorted, type Listing, type SortedQuery } from "./paging.ts";

const FIELDS = {
  id: projects.id,
  clientId: projects.clientId,
  clientName: sql<string>`${clients.name}`,
  type: projects.type,
  name: projects.name,
  description: projects.description,
  psaTicketId: projects.psaTicketId,
  psaProjectId: projects.psaProjectId,
  connectionId: projects.connectionId,
  connectionName: sql<string | null>`${storageConnections.name}`,
  account: sql<string | null>`${storageConnections.account}`,
  container: projects.container,
  tier: projects.tier,
  prefix: projects.prefix,
  bandwidthSchedule: projects.bandwidthSchedule,
  cancelledAt: projects.cancelledAt,
  refusedAt: sql<number | null>`${storageConnections.refusedAt}`,
  createdAt: projects.createdAt,
  updatedAt: projects.updatedAt,
  jobCount: countJobs("1"),
  startedJobCount: countJobs("j.status <> 'created'"),
  completedJobCount: countJobs("j.status = 'completed'"),
  failedJobCount: countJobs("j.status = 'failed'"),
};

function countJobs(condition: string) {
  const of = `j.org_id = "projects"."org_id" and j.project_id = "projects"."id"`;
  return sql<number>`${sql.raw(`(select count(*) from jobs j where ${of} and ${condition})`)}`;
}

const JOIN = [
  { table: clients, on: eq(clients.id, projects.clientId) },
  { table: storageConnections, on: eq(storageConnections.id, projects.connectionId), kind: "left" },
] as const;

/**
 * As {@link statusOf}, in the order in which the statuses are sorted. The least and the greatest status among a project's
 * jobs tell whether all are the same, and the index over a project's jobs has them at its two ends.
 */
const statusRank = (t: string) => {
  const { isCancelled, isCompleted, isRefused, isPlanned } = statusParts(t);
  return `case when ${isCancelled} then 4 when ${isCompleted} then 3 when ${isRefused} then 0 when ${isPlanned} then 2 else 1 end`;
};

/** For each rank what holds of a project that has it. Each case begins with what is looked up soonest. */
const STATUS_VALUES: readonly ((t: string) => string)[] = [
  (t) => {
    const { isCancelled, isRefused, isCompleted } = statusParts(t);
    return `case when ${isCancelled} then 0 when ${isRefused} then not ${isCompleted} else 0 end`;
  },
  (t) => {
    const { isCancelled, isRefused, isPlanned, isCompleted } = statusParts(t);
    return `case when ${isCancelled} or ${isRefused} then 0 when ${isPlanned} then 0 else not ${isCompleted} end`;
  },
  (t) => {
    const { isCancelled, isPlanned, isRefused } = statusParts(t);
    return `case when ${isCancelled} then 0 when ${isPlanned} then not ${isRefused} else 0 end`;
  },
  (t) => {
    const { isCancelled, isCompleted } = statusParts(t);
    return `case when ${isCancelled} then 0 else ${isCompleted} end`;
  },
  (t) => statusParts(t).isCancelled,
];

function statusParts(t: string) {
  const end = (which: "min" | "max") =>
    `(select ${which}(j.status) from jobs j where j.org_id = ${t}.org_id and j.project_id = ${t}.id)`;
  // Never null, so that it can be negated.
  const all = (status: string) => `(${end("min")} is '${status}' and ${end("max")} is '${status}')`;
  return {
    isCancelled: `(${t}.cancelled_at is not null)`,
    isCompleted: all("completed"),
    isRefused: `exists (select 1 from storage_connections s where s.org_id = ${t}.org_id and s.id = ${t}.connection_id and s.refused_at is not null)`,
    isPlanned: `(${end("min")} is null or ${all("created")})`,
  };
}

const LISTING: Listing = {
  table: projects,
  name: "projects",
  keys: {
    created: null,
    name: (t) => `${t}.name_key`,
    activity: (t) => `${t}.updated_at`,
    status: statusRank,
  },
  values: { sort: "status", conditions: STATUS_VALUES },
};

export interface ProjectListQuery extends SortedQuery {
  readonly clientId?: string | undefined;
}

export async function listProjects(db: ScopedDb, query: ProjectListQuery): Promise<Page<Project>> {
  const { sortKey, ...options } = chosen(db, LISTING, query, {
    index: query.clientId === undefined ? `projects_${query.sort ?? "created"}` : "projects_client",
    filters: query.clientId === undefined ? [] : [sql`t.client_id = ${query.clientId}`],
  });
  const rows = await db.select({ ...FIELDS, sortKey }, projects, { join: JOIN, ...options });
  return pageOfSorted(rows, query, show);
}

export async function readProject(db: ScopedDb, id: string): Promise<Project> {
  const row = await db.first(FIELDS, projects, { join: JOIN, where: eq(projects.id, id) });
  if (row === null) throw notFound();
  return show(row);
}

export async function createProject(
  db: ScopedDb,
  actor: Actor & { id: string },
  body: z.output<typeof projectCreate>,
  idempotencyKey: string | null,
): Promise<Project> {
  await assertOpenClient(db, body.clientId);
  if (body.storage === null && body.type !== "rockrms_import") {
    throw invalid({ storage: "Choose where the files go" });
  }
  await assertStorage(db, body.storage);
  const { storage, ...fields } = body;
  const id = makeId("project");
  const now = Date.now();
  const row = {
    ...fields,
    ...storage,
    id,
    createdBy: actor.id,
    createdAt: now,
    updatedAt: now,
    idempotencyKey,
  };
  return await readProject(db, await createOnce(db, projects, row, audit(db, actor, "project.created", id)));
}

export async function updateProject(
  db: ScopedDb,
  actor: Actor,
  id: string,
  body: z.output<typeof projectUpdate>,
): Promise<Project> {
  await readProject(db, id);
  await assertStorage(db, body.storage ?? null);
  const { storage, ...others } = body;
  const fields = { ...others, ...storage };
  const writes: [Write, ...Write[]] = [
    db.update(
      projects,
      { ...fields, updatedAt: Date.now() },
      and(eq(projects.id, id), differs(projects, fields)),
    ),
    auditIfChanged(db, actor, "project.changed", id, { fields: Object.keys(body) }),
  ];
  // In front, because it looks at the schedule there was.
  if (body.bandwidthSchedule !== undefined) writes.unshift(reviseJobs(db, id, body.bandwidthSchedule));
  await db.batch(writes);
  return await readProject(db, id);
}

/** The project and all its jobs that are not final, at once. */
export async function cancelProject(db: ScopedDb, actor: Actor, id: string): Promise<Project> {
  await readProject(db, id);
  const now = Date.now();
  const open = and(eq(jobs.projectId, id), notInArray(jobs.status, [...FINAL_STATUSES]));
  await db.batch([
    db.update(
      jobs,
      {
        desiredState: "cancel",
        status: "cancelled",
        desiredRev: sql`${jobs.desiredRev} + 1`,
        finishedAt: now,
        updatedAt: now,
      },
      open,
    ),
    db.update(
      projects,
      { cancelledAt: now, updatedAt: now },
      and(eq(projects.id, id), isNull(projects.cancelledAt)),
    ),
    auditIfChanged(db, actor, "project.cancelled", id),
  ]);
  return await readProject(db, id);
}

/** Its jobs stay as they are; those that were cancelled can be retried. */
export async function reopenProject(db: ScopedDb, actor: Actor, id: string): Promise<Project> {
  await readProject(db, id);
  const cancelled = and(eq(projects.id, id), isNotNull(projects.cancelledAt));
  await db.batch([
    db.update(projects, { cancelledAt: null, updatedAt: Date.now() }, cancelled),
    auditIfChanged(db, actor, "project.reopened", id),
  ]);
  return await readProject(db, id);
}

/** Only one that never had a job: what was moved stays told. */
export async function deleteProject(db: ScopedDb, actor: Actor, id: string): Promise<void> {
  const { name } = await readProject(db, id);
  const unused = sql`not exists (select 1 from jobs j where j.org_id = ${db.orgId} and j.project_id = ${id})`;
  const [removed] = await db.batch([
    db.delete(projects, sql`${projects.id} = ${id} and ${unused}`),
    auditIfChanged(db, actor, "project.deleted", id, { name }),
  ]);
  if (removed === 0) throw new Problem("CONFLICT", "The project has jobs; cancel it instead");
}

/** The schedule is a part of the jobs' configs: where it changes, their agents are to have a new revision. */
function reviseJobs(db: ScopedDb, projectId: string, schedule: BandwidthSchedule | null): Write {
  const present = sql`(select p.bandwidth_schedule from projects p where p.org_id = ${db.orgId} and p.id = ${projectId})`;
  const changes = sql`${present} is not ${schedule === null ? null : JSON.stringify(schedule)}`;
  return db.update(
    jobs,
    { desiredRev: sql`${jobs.desiredRev} + 1`, updatedAt: Date.now() },
    and(eq(jobs.projectId, projectId), notInArray(jobs.status, [...FINAL_STATUSES]), changes),
  );
}

async function assertStorage(
  db: ScopedDb,
  storage: { connectionId: string; container: string } | null,
): Promise<void> {
  if (storage === null) return;
  const where = eq(storageConnections.id, storage.connectionId);
  const found = await db.first({ container: storageConnections.container }, storageConnections, { where });
  if (found === null) throw invalid({ "storage.connectionId": "There is no such storage connection" });
  if (found.container !== null && found.container !== storage.container) {
    throw invalid({ "storage.container": `This connection opens the container "${found.container}" only` });
  }
}

type ProjectRow = Omit<Project, "storage" | "status" | "createdAt" | "updatedAt"> & {
  connectionId: string | null;
  connectionName: string | null;
  account: string | null;
  container: string | null;
  tier: AccessTier | null;
  prefix: string | null;
  cancelledAt: number | null;
  refusedAt: number | null;
  createdAt: number;
  updatedAt: number;
  startedJobCount: number;
  completedJobCount: number;
};

function show(row: ProjectRow): Project {
  const { connectionId, connectionName, account, container, tier } = row;
  const connected =
    connectionId !== null &&
    connectionName !== null &&
    account !== null &&
    container !== null &&
    tier !== null;
  return {
    id: row.id,
    clientId: row.clientId,
    clientName: row.clientName,
    type: row.type,
    name: row.name,
    description: row.description,
    psaTicketId: row.psaTicketId,
    psaProjectId: row.psaProjectId,
    storage: connected
      ? { connectionId, connectionName, account, container, tier, prefix: row.prefix ?? "" }
      : null,
    bandwidthSchedule: row.bandwidthSchedule,
    status: statusOf(row),
    jobCount: row.jobCount,
    failedJobCount: row.failedJobCount,
    createdAt: iso(row.createdAt),
    updatedAt: iso(row.updatedAt),
  };
}

/**
 * Derived from the jobs (`docs/spec.md`, C4) and the connection. All final but some failed stays `in_progress`, with the
 * failed counted. A completed project needs no storage any more.
 */
function statusOf(row: ProjectRow): Project["status"] {
  if (row.cancelledAt !== null) return "cancelled";
  if (row.startedJobCount > 0 && row.completedJobCount === row.jobCount) return "completed";
  if (row.refusedAt !== null) return "auth_required";
  return row.startedJobCount === 0 ? "planning" : "in_progress";
}
