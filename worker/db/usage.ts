/**
 * What jobs have used, over all their runs. A run's bytes are counted from its beginning, so of all that was written of it
 * (`job_usage` by day, and the job's own row while it is the present run) the highest is true, however often or late a
 * report comes.
 */
import { eq, sql, type SQL } from "drizzle-orm";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { clients, projects } from "../../schema/tables.ts";
import { usageOf, type Usage } from "../../schema/reports.ts";
import { JOB_STATUSES, type JobStatus } from "../../schema/job.ts";
import { notFound } from "../problems.ts";
import { iso } from "./paging.ts";

/** Of the row of `jobs` by this name. */
export function usedBy(name: "j" | "jobs", column: "bytes_sent" | "files_completed"): SQL<number> {
  const of = `u.org_id = "${name}"."org_id" and u.job_id = "${name}"."id"`;
  const earlier = `select max(u.${column}) as most from job_usage u where ${of} and u.epoch <> "${name}"."epoch" group by u.epoch`;
  const present = `select max(u.${column}) from job_usage u where ${of} and u.epoch = "${name}"."epoch"`;
  return sql<number>`${sql.raw(
    `(coalesce((select sum(most) from (${earlier})), 0) + max("${name}"."${column}", coalesce((${present}), 0)))`,
  )}`;
}

export async function usageOfProject(db: ScopedDb, id: string): Promise<Usage> {
  const jobsOf = sql`jobs j indexed by jobs_project where j.org_id = ${db.orgId} and j.project_id = ${id}`;
  const row = await db.first({ updatedAt: projects.updatedAt, ...sums(jobsOf) }, projects, {
    where: eq(projects.id, id),
  });
  return show(row);
}

export async function usageOfClient(db: ScopedDb, id: string): Promise<Usage> {
  const jobsOf = sql`projects p indexed by projects_client join jobs j indexed by jobs_project on j.org_id = p.org_id and j.project_id = p.id where p.org_id = ${db.orgId} and p.client_id = ${id}`;
  const row = await db.first({ updatedAt: clients.updatedAt, ...sums(jobsOf) }, clients, {
    where: eq(clients.id, id),
  });
  return show(row);
}

function sums(jobsOf: SQL) {
  const bytes = usedBy("j", "bytes_sent");
  const files = usedBy("j", "files_completed");
  const used = sql`select json_object('bytes', coalesce(sum(${bytes}), 0), 'files', coalesce(sum(${files}), 0), 'changed', max(j.updated_at)) from ${jobsOf}`;
  const statuses = sql`select json_group_object(status, jobs) from (select j.status as status, count(*) as jobs from ${jobsOf} group by j.status)`;
  return { used: sql<string>`(${used})`, statuses: sql<string>`(${statuses})` };
}

function show(row: { updatedAt: number; used: string; statuses: string } | null): Usage {
  if (row === null) throw notFound();
  const used = JSON.parse(row.used) as { bytes: number; files: number; changed: number | null };
  const statuses = JSON.parse(row.statuses) as Partial<Record<JobStatus, number>>;
  return {
    ...usageOf(used),
    jobs: countsByStatus(statuses),
    lastActivityAt: iso(Math.max(row.updatedAt, used.changed ?? 0)),
  };
}

export function countsByStatus(counts: Partial<Record<JobStatus, number>>): Record<JobStatus, number> {
  return Object.fromEntries(JOB_STATUSES.map((status) => [status, counts[status] ?? 0])) as Record<
    JobStatus,
    number
  >;
}

/** The columns beside those of a job. */
export const USED_FIELDS = {
  usedBytes: usedBy("jobs", "bytes_sent"),
  usedFiles: usedBy("jobs", "files_completed"),
};
export type UsedRow = { readonly [Field in keyof typeof USED_FIELDS]: number };
