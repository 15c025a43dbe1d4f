/**
 * Jobs as users see and steer them. What is wanted changes here, with a new revision; what was reached is written by the
 * agent's object (`durable-objects/job-record.ts`).
 */
import { and, desc, eq, inArray, ne, notInArray, or, gt, sql, type SQL } from "drizzle-orm";
import type * as z from "zod";
import { TOTAL_FIELDS, totalsOf } from "../../durable-objects/job-record.ts";
import type { Job, jobCreate, jobUpdate, Page, Project } from "../../schema/api.ts";
import { JOB_ERRORS, type FileFailureCode } from "../../schema/errors.ts";
import {
  ADMITTED_JOB_TYPES,
  CONFIG_CHARACTERS_MAX,
  FINAL_STATUSES,
  isFinal,
  repetition,
  transferOptions,
  ZERO_TOTALS,
  type BandwidthSchedule,
  type FileFailure,
  type JobConfig,
  type TransferOptions,
} from "../../schema/job.ts";
import type { Desired } from "../../schema/protocol.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { agents, clients, jobFailures, jobs, projects } from "../../schema/tables.ts";
import { canDelete, deletingOption } from "../azure/grants.ts";
import { invalid, notFound, Problem } from "../problems.ts";
import { assertUsableAgent } from "./agents.ts";
import { audit, type Actor } from "./audit.ts";
import { openConnection } from "./connections.ts";
import { createOnce } from "./create.ts";
import { makeId } from "./ids.ts";
import { behind, iso, isoOrNull, limitOf, pageOfRows, type PageQuery } from "./paging.ts";
import { readProject } from "./projects.ts";

const FIELDS = {
  id: jobs.id,
  name: jobs.name,
  projectId: jobs.projectId,
  projectName: sql<string>`${projects.name}`,
  clientId: sql<string>`${clients.id}`,
  clientName: sql<string>`${clients.name}`,
  agentId: jobs.agentId,
  agentName: sql<string>`${agents.name}`,
  agentStatus: agents.status,
  agentLastSeenAt: agents.lastSeenAt,
  config: jobs.config,
  bandwidthSchedule: projects.bandwidthSchedule,
  status: jobs.status,
  desiredState: jobs.desiredState,
  desiredRev: jobs.desiredRev,
  appliedRev: jobs.appliedRev,
  epoch: jobs.epoch,
  ...TOTAL_FIELDS,
  error: jobs.error,
  report: jobs.report,
  createdAt: jobs.createdAt,
  startedAt: jobs.startedAt,
  finishedAt: jobs.finishedAt,
};

const JOIN = [
  { table: projects, on: eq(projects.id, jobs.projectId) },
  { table: clients, on: eq(clients.id, projects.clientId) },
  { table: agents, on: eq(agents.id, jobs.agentId) },
] as const;

const FINAL = [...FINAL_STATUSES];
const notFinal = notInArray(jobs.status, FINAL);

export interface JobListQuery extends PageQuery {
  readonly projectId?: string | undefined;
  readonly agentId?: string | undefined;
  readonly state?: "active" | "final" | undefined;
}

export async function listJobs(db: ScopedDb, query: JobListQuery): Promise<Page<Job>> {
  const state = { active: notFinal, final: inArray(jobs.status, FINAL), any: undefined }[
    query.state ?? "any"
  ];
  const where = and(
    behind(jobs.id, query),
    query.projectId === undefined ? undefined : eq(jobs.projectId, query.projectId),
    query.agentId === undefined ? undefined : eq(jobs.agentId, query.agentId),
    state,
  );
  const options = { join: JOIN, where, orderBy: desc(jobs.id), limit: limitOf(query) };
  return pageOfRows(await db.select(FIELDS, jobs, options), query, show);
}

export async function readJob(db: ScopedDb, id: string): Promise<Job> {
  const row = await db.first(FIELDS, jobs, { join: JOIN, where: eq(jobs.id, id) });
  if (row === null) throw notFound();
  return show(row);
}

export async function createJob(
  db: ScopedDb,
  actor: Actor & { id: string },
  keys: string | undefined,
  body: z.output<typeof jobCreate>,
  idempotencyKey: string | null,
): Promise<Job> {
  const storage = await storageFor(db, body);
  const config = configOf(storage, body);
  // The project's schedule, of a few thousand letters at most, has its place in the frame besides.
  if (JSON.stringify(config).length > CONFIG_CHARACTERS_MAX) {
    throw invalid({
      "options.filters": "The patterns are too long in all; use fewer, or a shorter one for many",
    });
  }
  await assertDeletes(db, keys, storage.connectionId, config.options);
  await assertUsableAgent(db, body.agentId);
  const id = makeId("job");
  const now = Date.now();
  const row = {
    id,
    projectId: body.projectId,
    agentId: body.agentId,
    name: body.name,
    config,
    status: "created" as const,
    desiredState: "run" as const,
    desiredRev: 1,
    appliedRev: 0,
    epoch: 1,
    progressSeq: 0,
    ...ZERO_TOTALS,
    createdBy: actor.id,
    createdAt: now,
    updatedAt: now,
    idempotencyKey,
  };
  const { deletion } = config.options;
  const details = deletion === null ? null : { deletion: { path: config.source.path, ...deletion } };
  return await readJob(db, await createOnce(db, jobs, row, audit(db, actor, "job.created", id, details)));
}

/** Changes name and limit. A changed limit is another config, so the agent is to have a new revision of the same epoch. */
export async function updateJob(
  db: ScopedDb,
  actor: Actor,
  id: string,
  body: z.output<typeof jobUpdate>,
): Promise<Job> {
  const before = await readJob(db, id);
  const { name, bandwidthMbps } = body;
  const refusal = new Problem("CONFLICT", "The limit of a finished job cannot be changed");
  if (bandwidthMbps !== undefined && isFinal(before.status)) throw refusal;
  const limits = bandwidthMbps !== undefined && bandwidthMbps !== before.config.options.bandwidthMbps;
  if (name === undefined && !limits) return before;
  const set = {
    ...(name === undefined ? {} : { name }),
    ...(limits ? limitedTo(bandwidthMbps) : {}),
    updatedAt: Date.now(),
  };
  const [changed] = await db.batch([
    db.update(jobs, set, and(eq(jobs.id, id), limits ? notFinal : undefined)),
    audit(db, actor, "job.changed", id, {
      fields: Object.keys(body),
      ...(limits ? { bandwidthMbps } : {}),
    }),
  ]);
  if (changed === 0) throw refusal;
  return await readJob(db, id);
}

function limitedTo(bandwidthMbps: number | null) {
  // As JSON text: a bound number would be stored as 20.0.
  const limit = sql`json(${JSON.stringify(bandwidthMbps)})`;
  return {
    config: sql`json_set(${jobs.config}, '$.options.bandwidthMbps', ${limit})`,
    desiredRev: sql`${jobs.desiredRev} + 1`,
  };
}

export type JobAction = "pause" | "resume" | "cancel" | "finish" | "retry";

/**
 * Changes what is wanted of a job. The condition in the update decides, so of two people who press different buttons at
 * once each gets an answer that is true. Asking for what is wanted already is fine and changes nothing.
 */
export async function steerJob(db: ScopedDb, actor: Actor, id: string, action: JobAction): Promise<Job> {
  const before = await readJob(db, id);
  if (action === "retry" && before.agentStatus === "revoked") {
    throw new Problem("CONFLICT", "The job's agent was revoked; make a new job on another agent");
  }
  if (action === "finish" && before.config.type !== "sync") {
    throw new Problem(
      "CONFLICT",
      "Only a job that repeats itself can be told to finish; this one ends by itself",
    );
  }
  const { set, where } = STEERING[action](Date.now());
  const [changed] = await db.batch([
    db.update(
      jobs,
      { ...set, desiredRev: sql`${jobs.desiredRev} + 1`, updatedAt: Date.now() },
      and(eq(jobs.id, id), where),
    ),
    audit(db, actor, `job.${action}`, id, { epoch: before.epoch }),
  ]);
  const after = await readJob(db, id);
  if (changed === 0 && !isAsWanted(after, action)) {
    throw new Problem("CONFLICT", refusalOf(after, action), { status: after.status });
  }
  return after;
}

const STEERING: Readonly<
  Record<JobAction, (nowMs: number) => { set: Record<string, unknown>; where: SQL | undefined }>
> = {
  pause: () => ({ set: { desiredState: "pause" }, where: and(notFinal, eq(jobs.desiredState, "run")) }),
  resume: () => ({ set: { desiredState: "run" }, where: and(notFinal, eq(jobs.desiredState, "pause")) }),
  finish: () => ({
    set: { desiredState: "finish" },
    where: and(notFinal, inArray(jobs.desiredState, ["run", "pause"])),
  }),
  cancel: (nowMs) => ({
    set: { desiredState: "cancel", status: "cancelled", finishedAt: nowMs },
    where: and(notFinal, ne(jobs.desiredState, "cancel")),
  }),
  retry: () => ({
    set: {
      desiredState: "run",
      status: "created",
      epoch: sql`${jobs.epoch} + 1`,
      progressSeq: 0,
      ...ZERO_TOTALS,
      error: null,
      report: null,
      startedAt: null,
      finishedAt: null,
    },
    where: or(
      inArray(jobs.status, ["failed", "cancelled"]),
      and(eq(jobs.status, "completed"), gt(jobs.filesFailed, 0)),
    ),
  }),
};

const REFUSALS: Readonly<Record<JobAction, string>> = {
  pause: "A finished job cannot be paused",
  resume: "A finished job cannot be resumed; retry it instead",
  finish: "The job is finished already",
  cancel: "A finished job cannot be cancelled",
  retry: "Only a failed or cancelled job, or one with failed files, can be retried",
};

function refusalOf(job: Job, action: JobAction): string {
  const isFinishing = job.desiredState === "finish" && !isFinal(job.status);
  if (action === "pause" && isFinishing) {
    return "The job is in its last pass, which cannot be paused; let it end, or cancel it";
  }
  return REFUSALS[action];
}

function isAsWanted(job: Job, action: JobAction): boolean {
  switch (action) {
    case "pause":
      return job.desiredState === "pause" && job.status !== "cancelled";
    case "resume":
      // A last pass goes on already, and stays the last one.
      return (job.desiredState === "run" || job.desiredState === "finish") && !isFinal(job.status);
    case "finish":
      return job.desiredState === "finish" && !isFinal(job.status);
    case "cancel":
      return job.status === "cancelled";
    case "retry":
      return false;
  }
}

/** What the agent is told. */
export function desiredOf(job: Job): Desired {
  return {
    type: "desired",
    jobId: job.id,
    epoch: job.epoch,
    rev: job.desiredRev,
    state: job.desiredState,
    config: job.config,
  };
}

/** Failed files of the job's present epoch; the cursor is the number of the last one seen. */
export async function listFailures(db: ScopedDb, id: string, query: PageQuery): Promise<Page<FileFailure>> {
  const job = await db.first({ epoch: jobs.epoch }, jobs, { where: eq(jobs.id, id) });
  if (job === null) throw notFound();
  const { epoch } = job;
  const after = query.cursor === undefined ? -1 : Number(query.cursor);
  if (!Number.isSafeInteger(after)) throw invalid({ cursor: "Not a cursor of this list" });
  const rows = await db.select(
    {
      number: jobFailures.number,
      path: jobFailures.path,
      code: jobFailures.code,
      message: jobFailures.message,
    },
    jobFailures,
    {
      where: and(eq(jobFailures.jobId, id), eq(jobFailures.epoch, epoch), gt(jobFailures.number, after)),
      orderBy: jobFailures.number.getSQL(),
      limit: limitOf(query),
    },
  );
  const shown = rows.slice(0, query.limit);
  return {
    items: shown.map(({ path, code, message }) => ({ path, code: code as FileFailureCode, message })),
    nextCursor: rows.length > query.limit ? String(shown.at(-1)?.number) : null,
  };
}

/** The connection a grant for this job is made from. Only for the agent it is assigned to, only in its live epoch. */
export async function findGrantable(
  db: ScopedDb,
  agentId: string,
  jobId: string,
  epoch: number,
): Promise<{ connectionId: string; config: StoredConfig }> {
  const row = await db.first(
    { epoch: jobs.epoch, status: jobs.status, config: jobs.config, connectionId: projects.connectionId },
    jobs,
    {
      join: [{ table: projects, on: eq(projects.id, jobs.projectId) }],
      where: and(eq(jobs.id, jobId), eq(jobs.agentId, agentId)),
    },
  );
  if (row === null) throw notFound();
  if (row.epoch !== epoch || isFinal(row.status)) {
    throw new Problem("CONFLICT", "This run of the job is over", { status: row.status, epoch: row.epoch });
  }
  if (row.connectionId === null) throw new Problem("NO_AZURE_CONNECTION", JOB_ERRORS.NO_AZURE_CONNECTION);
  return { connectionId: row.connectionId, config: row.config };
}

/** The schedule is the project's, and put in when the config is shown or sent. */
type StoredConfig = Omit<JobConfig, "schedule">;
type ProjectStorage = NonNullable<Project["storage"]>;

/** The storage of the job's project, which must be one that takes such a job. */
async function storageFor(db: ScopedDb, body: z.output<typeof jobCreate>): Promise<ProjectStorage> {
  const project = await readProject(db, body.projectId).catch((error: unknown) => {
    if (error instanceof Problem) throw invalid({ projectId: "There is no such project" });
    throw error;
  });
  if (project.status === "cancelled") throw new Problem("CONFLICT", "The project is cancelled");
  if (!ADMITTED_JOB_TYPES[project.type].includes(body.type)) {
    throw invalid({ type: `A project of type "${project.type}" does not admit jobs of type "${body.type}"` });
  }
  if (project.storage === null) throw new Problem("NO_AZURE_CONNECTION", JOB_ERRORS.NO_AZURE_CONNECTION);
  return project.storage;
}

function configOf(storage: ProjectStorage, body: z.output<typeof jobCreate>): StoredConfig {
  const repeats = body.type === "sync";
  return {
    type: body.type,
    name: body.name,
    source: body.source,
    destination: {
      kind: "azure_blob",
      account: storage.account,
      container: storage.container,
      prefix: body.destination.prefix ?? storage.prefix,
      tier: body.destination.tier ?? storage.tier,
    },
    options: {
      ...body.options,
      repetition: repeats ? (body.options.repetition ?? repetition.parse({})) : null,
    },
  };
}

/** A SAS that was pasted is all there is: better said now than by a job that fails on its way. */
async function assertDeletes(
  db: ScopedDb,
  keys: string | undefined,
  connectionId: string,
  options: TransferOptions,
): Promise<void> {
  const option = deletingOption(options);
  if (option === null || canDelete(await openConnection(db, keys, connectionId))) return;
  throw invalid({
    [`options.${option}`]:
      'For this, blobs must be deleted, and the SAS of the project\'s storage does not allow it; choose another rule, or connect a SAS with "d" in sp',
  });
}

const DEFAULT_OPTIONS = transferOptions.parse({});

type JobRow = Omit<Job, "config" | "totals" | "createdAt" | "startedAt" | "finishedAt" | "agentLastSeenAt"> &
  Job["totals"] & {
    config: StoredConfig;
    bandwidthSchedule: BandwidthSchedule | null;
    createdAt: number;
    startedAt: number | null;
    finishedAt: number | null;
    agentLastSeenAt: number | null;
  };

/** Rows may be older than some fields of what they hold. */
function show(row: JobRow): Job {
  return {
    id: row.id,
    name: row.name,
    projectId: row.projectId,
    projectName: row.projectName,
    clientId: row.clientId,
    clientName: row.clientName,
    agentId: row.agentId,
    agentName: row.agentName,
    agentStatus: row.agentStatus,
    agentLastSeenAt: isoOrNull(row.agentLastSeenAt),
    config: {
      ...row.config,
      options: { ...DEFAULT_OPTIONS, ...row.config.options },
      schedule: row.bandwidthSchedule,
    },
    status: row.status,
    desiredState: row.desiredState,
    desiredRev: row.desiredRev,
    appliedRev: row.appliedRev,
    epoch: row.epoch,
    totals: totalsOf(row),
    error: row.error,
    report: row.report === null ? null : { ...row.report, totals: { ...ZERO_TOTALS, ...row.report.totals } },
    createdAt: iso(row.createdAt),
    startedAt: isoOrNull(row.startedAt),
    finishedAt: isoOrNull(row.finishedAt),
  };
}
