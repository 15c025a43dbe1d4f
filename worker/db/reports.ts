/** What reports tell, read from where the dashboard reads it: totals of the jobs' own rows, failures as they were kept. */
import { and, asc, eq, sql } from "drizzle-orm";
import { TOTAL_FIELDS, totalsOf } from "../../durable-objects/job-record.ts";
import { FILE_FAILURES, type FileFailureCode } from "../../schema/errors.ts";
import { FAILURES_KEPT_MAX, type FileFailure, type JobReport } from "../../schema/job.ts";
import {
  successRateOf,
  usageOf,
  VERIFICATION_WORDS,
  wordsOfNote,
  type JobReportDocument,
  type ReportedJob,
} from "../../schema/reports.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { agents, clients, jobFailures, jobs, projects } from "../../schema/tables.ts";
import { notFound } from "../problems.ts";
import { findManifest } from "./manifests.ts";
import { iso, isoOrNull } from "./paging.ts";
import { USED_FIELDS } from "./usage.ts";

const FIELDS = {
  id: jobs.id,
  name: jobs.name,
  status: jobs.status,
  epoch: jobs.epoch,
  config: jobs.config,
  ...TOTAL_FIELDS,
  error: jobs.error,
  report: jobs.report,
  createdAt: jobs.createdAt,
  startedAt: jobs.startedAt,
  finishedAt: jobs.finishedAt,
  projectId: jobs.projectId,
  projectName: sql<string>`${projects.name}`,
  projectType: projects.type,
  clientId: sql<string>`${clients.id}`,
  clientName: sql<string>`${clients.name}`,
  contactName: clients.contactName,
  agentId: jobs.agentId,
  agentName: sql<string>`${agents.name}`,
  agentHost: agents.host,
  agentOs: agents.os,
  agentVersion: agents.version,
  ...USED_FIELDS,
};

const JOIN = [
  { table: projects, on: eq(projects.id, jobs.projectId) },
  { table: clients, on: eq(clients.id, projects.clientId) },
  { table: agents, on: eq(agents.id, jobs.agentId) },
] as const;

type Row = NonNullable<Awaited<ReturnType<typeof findRow>>>;

async function findRow(db: ScopedDb, id: string) {
  return await db.first(FIELDS, jobs, { join: JOIN, where: eq(jobs.id, id) });
}

// --- one job -----------------------------------------------------------------------------------------------------

export async function readJobReport(
  db: ScopedDb,
  organization: { id: string; name: string },
  id: string,
): Promise<JobReportDocument> {
  const row = await findRow(db, id);
  if (row === null) throw notFound();
  const failures = await readFailures(db, id, row.epoch);
  const { config, report } = row;
  const { account, container, prefix, tier } = config.destination;
  return {
    kind: "job_report",
    madeAt: iso(Date.now()),
    organization,
    client: { id: row.clientId, name: row.clientName, contactName: row.contactName },
    project: { id: row.projectId, name: row.projectName, type: row.projectType },
    job: {
      id: row.id,
      name: row.name,
      type: config.type,
      status: row.status,
      epoch: row.epoch,
      source: config.source.path,
      destination: { account, container, prefix, tier },
    },
    agent: {
      id: row.agentId,
      name: row.agentName,
      host: row.agentHost,
      os: row.agentOs,
      version: row.agentVersion,
    },
    times: { ...timesOf(row), activeMs: report?.activeMs ?? null },
    totals: totalsOf(row),
    usage: usageOf({ bytes: row.usedBytes, files: row.usedFiles }),
    successRate: successRateOf(row),
    error: row.error,
    verification: verificationOf(report),
    notes: (report?.notes ?? []).map(({ code, count }) => ({
      code,
      count: count ?? null,
      words: wordsOfNote(code, count),
    })),
    removal: report?.removal ?? null,
    failures: {
      total: row.filesFailed,
      listed: failures.length,
      groups: grouped(failures),
    },
    manifest: report?.manifest ? await manifestOf(db, row, report.manifest) : null,
  };
}

async function manifestOf(db: ScopedDb, { id, epoch }: Row, told: NonNullable<JobReport["manifest"]>) {
  const found = await findManifest(db, id, epoch);
  const stored = found === null ? null : { sizeBytes: found.sizeBytes, storedAt: iso(found.storedAt) };
  return { ...told, stored };
}

async function readFailures(db: ScopedDb, id: string, epoch: number): Promise<FileFailure[]> {
  const rows = await db.select(
    { path: jobFailures.path, code: jobFailures.code, message: jobFailures.message },
    jobFailures,
    {
      where: and(eq(jobFailures.jobId, id), eq(jobFailures.epoch, epoch)),
      orderBy: asc(jobFailures.number),
      limit: FAILURES_KEPT_MAX,
    },
  );
  return rows.map((row) => ({ ...row, code: row.code as FileFailureCode }));
}

/** By cause, the most frequent first. */
function grouped(failures: readonly FileFailure[]): JobReportDocument["failures"]["groups"] {
  const groups = Map.groupBy(failures, ({ code }) => code);
  return [...groups]
    .map(([code, files]) => ({
      code,
      words: wordsOfFailure(code),
      listed: files.length,
      files: files.map(({ path, message }) => ({ path, message })),
    }))
    .toSorted((one, other) => other.listed - one.listed || (one.code < other.code ? -1 : 1));
}

/** A code that a newer agent says stands for itself. */
export function wordsOfFailure(code: string): string {
  return Object.hasOwn(FILE_FAILURES, code) ? FILE_FAILURES[code as FileFailureCode] : code;
}

// --- all jobs of a project, or of a client -----------------------------------------------------------------------

export type ReportScope =
  | { readonly kind: "project"; readonly id: string }
  | { readonly kind: "client"; readonly id: string };

/** Their ids, oldest first, read at once: what is made or removed while a report is written does not shift it. */
export async function jobsInScope(db: ScopedDb, scope: ReportScope): Promise<string[]> {
  const rows =
    scope.kind === "project"
      ? await db.select({ id: jobs.id }, jobs, { where: eq(jobs.projectId, scope.id) })
      : await db.select({ id: jobs.id }, projects, {
          join: [{ table: jobs, on: eq(jobs.projectId, projects.id) }],
          where: eq(projects.clientId, scope.id),
        });
  return rows.map(({ id }) => id).toSorted();
}

export const JOBS_PER_QUESTION = 200;

/** The jobs by their ids, in that order. */
export async function readReportedJobs(db: ScopedDb, ids: readonly string[]): Promise<ReportedJob[]> {
  // One parameter: a statement of D1 may have no more than a hundred.
  const where = sql`${jobs.id} in (select value from json_each(${JSON.stringify(ids)}))`;
  const rows = await db.select(FIELDS, jobs, { join: JOIN, where, orderBy: asc(jobs.id) });
  return rows.map(reportedJobOf);
}

function reportedJobOf(row: Row): ReportedJob {
  const { id, name, clientName, projectId, projectName, projectType, agentName, status, epoch } = row;
  return {
    id,
    name,
    clientName,
    projectId,
    projectName,
    projectType,
    agentName,
    status,
    epoch,
    type: row.config.type,
    ...timesOf(row),
    activeMs: row.report?.activeMs ?? null,
    totals: totalsOf(row),
    successRate: successRateOf(row),
    verification: verificationOf(row.report),
    error: row.error,
    ...usageOf({ bytes: row.usedBytes, files: row.usedFiles }),
  };
}

/** What a report stands under. */
export async function readScope(db: ScopedDb, scope: ReportScope) {
  if (scope.kind === "client") {
    const client = await db.first({ id: clients.id, name: clients.name }, clients, {
      where: eq(clients.id, scope.id),
    });
    if (client === null) throw notFound();
    return { client, project: null };
  }
  const found = await db.first(
    {
      id: projects.id,
      name: projects.name,
      type: projects.type,
      clientId: projects.clientId,
      clientName: sql<string>`${clients.name}`,
    },
    projects,
    { join: [{ table: clients, on: eq(clients.id, projects.clientId) }], where: eq(projects.id, scope.id) },
  );
  if (found === null) throw notFound();
  const { clientId, clientName, ...project } = found;
  return { client: { id: clientId, name: clientName }, project };
}

function timesOf(row: { createdAt: number; startedAt: number | null; finishedAt: number | null }) {
  return {
    createdAt: iso(row.createdAt),
    startedAt: isoOrNull(row.startedAt),
    finishedAt: isoOrNull(row.finishedAt),
  };
}

function verificationOf(report: JobReport | null) {
  if (report === null) return null;
  return { level: report.verification, words: VERIFICATION_WORDS[report.verification] };
}
