/**
 * Jobs as users see and steer them. What is wanted changes here, with a new revision; what was reached is written by the
 * agent's object (`durable-objects/job-record.ts`).
 */
import { and, eq, inArray, isNotNull, isNull, lte, ne, notInArray, or, gt, sql, type SQL } from "drizzle-orm";
import type * as z from "zod";
import { jobCancelled } from "../../durable-objects/happenings.ts";
import { LEASE_SURELY_OVER_MS } from "../../durable-objects/hub.ts";
import { TOTAL_FIELDS, totalsOf } from "../../durable-objects/job-record.ts";
import {
  jobCreate,
  type Job,
  type jobDuplicate,
  type JobRetried,
  type jobUpdate,
  type Page,
  type Project,
} from "../../schema/api.ts";
import { JOB_ERRORS, type FileFailureCode } from "../../schema/errors.ts";
import {
  ADMITTED_JOB_TYPES,
  CONFIG_CHARACTERS_MAX,
  FAILURES_KEPT_MAX,
  FINAL_STATUSES,
  isFinal,
  PURGE_DAYS_MAX,
  repetition,
  transferOptions,
  ZERO_TOTALS,
  type BandwidthSchedule,
  type FileFailure,
  type JobConfig,
  type JobStatus,
  type TransferOptions,
} from "../../schema/job.ts";
import type { Desired } from "../../schema/protocol.ts";
import type { ScopedDb, Write } from "../../schema/scoped-db.ts";
import { agents, clients, jobFailures, jobs, projects } from "../../schema/tables.ts";
import { canDelete, deletingOption, type GrantPurpose } from "../azure/grants.ts";
import { invalid, notFound, parse, Problem } from "../problems.ts";
import { assertUsableAgent } from "./agents.ts";
import { auditIfChanged, type Actor } from "./audit.ts";
import { openConnection } from "./connections.ts";
import { createOnceIf } from "./create.ts";
import { makeId } from "./ids.ts";
import {
  chosen,
  iso,
  isoOrNull,
  limitOf,
  pageOfSorted,
  type Listing,
  type PageQuery,
  type SortedQuery,
} from "./paging.ts";
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
  preview: jobs.preview,
  error: jobs.error,
  report: jobs.report,
  onlyFailedOf: jobs.onlyFailedOf,
  createdAt: jobs.createdAt,
  startAt: jobs.startAt,
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
/** The other ones by name, because an index finds what is named. */
const ACTIVE = "('created', 'scanning', 'ready', 'running', 'paused')";

const LISTING: Listing = {
  table: jobs,
  name: "jobs",
  keys: {
    created: null,
    name: (t) => `${t}.name_key`,
    activity: (t) => `${t}.updated_at`,
    status: (t) => `${t}.status`,
  },
};

export interface JobListQuery extends SortedQuery {
  readonly projectId?: string | undefined;
  readonly agentId?: string | undefined;
  readonly state?: "active" | "final" | undefined;
  readonly status?: Job["status"] | undefined;
}

export async function listJobs(db: ScopedDb, query: JobListQuery): Promise<Page<Job>> {
  const { projectId, agentId, state, status } = query;
  const filters: SQL[] = [];
  if (projectId !== undefined) filters.push(sql`t.project_id = ${projectId}`);
  if (agentId !== undefined) filters.push(sql`t.agent_id = ${agentId}`);
  if (state === "active") filters.push(sql.raw(`t.status in ${ACTIVE}`));
  if (state === "final") filters.push(sql.raw(`t.status not in ${ACTIVE}`));
  if (status !== undefined) filters.push(sql`t.status = ${status}`);
  const { sortKey, ...options } = chosen(db, LISTING, query, { index: indexFor(query), filters });
  const rows = await db.select({ ...FIELDS, sortKey }, jobs, { join: JOIN, ...options });
  return pageOfSorted(rows, query, show);
}

/** What leaves the fewest rows; of finished jobs there are so many that their order is the better guide. */
function indexFor({ projectId, agentId, state, status, sort }: JobListQuery): string {
  if (projectId !== undefined) return "jobs_project";
  if (agentId !== undefined) return "jobs_agent";
  if (status !== undefined || state === "active") return "jobs_status";
  return `jobs_${sort ?? "created"}`;
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
    startAt: body.startAt === null ? null : Date.parse(body.startAt),
    idempotencyKey,
  };
  const { deletion } = config.options;
  const details = deletion === null ? null : { deletion: { path: config.source.path, ...deletion } };
  const place = destinationOf(config.destination);
  const made = await createOnceIf(db, jobs, row, {
    audit: auditIfChanged(db, actor, "job.created", id, details),
    condition: sql`${isOpenProject(db, body.projectId)} and not ${isTaken(db, place, id)}`,
  });
  if (made === null) throw await refusalToBegin(db, { id, projectId: body.projectId, place });
  return await readJob(db, made);
}

/** Another job like one there is. What the rules ask of a new job is asked again, of what it is now. */
export async function duplicateJob(
  db: ScopedDb,
  actor: Actor & { id: string },
  { keys, mayDelete }: { keys: string | undefined; mayDelete: (options: TransferOptions) => void },
  id: string,
  changes: z.output<typeof jobDuplicate>,
  idempotencyKey: string | null,
): Promise<Job> {
  const { projectId, agentId, name, config } = await readJob(db, id);
  const { destination, ...others } = changes;
  const body = parse(jobCreate, {
    projectId,
    agentId,
    name: `${name.slice(0, NAME_LENGTH_MAX - COPY.length)}${COPY}`,
    type: config.type,
    source: config.source,
    options: config.options,
    ...others,
    destination: { prefix: config.destination.prefix, tier: config.destination.tier, ...destination },
  });
  mayDelete(body.options);
  return await createJob(db, actor, keys, body, idempotencyKey);
}

const NAME_LENGTH_MAX = 200;
const COPY = " (copy)";

export interface JobChange {
  readonly job: Job;
  /** The agent that knew of an epoch which is not its any more. */
  readonly released: Released | null;
}
export interface Released {
  readonly agentId: string;
  readonly desired: Desired;
  /** Until when the job waited for another agent already. */
  readonly heldUntil: number | null;
  /** It has another agent now. */
  readonly isMoved: boolean;
}

/**
 * Changes name, limit, agent and start. A changed limit is another config, so the agent is to have a new revision of the
 * same epoch. Another agent or start is a new epoch, and only of a job whose agent was given nothing yet: so no epoch ever
 * has two agents (I-08).
 */
export async function updateJob(
  db: ScopedDb,
  actor: Actor,
  id: string,
  body: z.output<typeof jobUpdate>,
): Promise<JobChange> {
  const before = await readJob(db, id);
  const { name, bandwidthMbps, agentId, startAt } = body;
  const refusal = new Problem("CONFLICT", "The limit of a finished job cannot be changed");
  if (bandwidthMbps !== undefined && isFinal(before.status)) throw refusal;
  const limits = bandwidthMbps !== undefined && bandwidthMbps !== before.config.options.bandwidthMbps;
  const moves = agentId !== undefined && agentId !== before.agentId;
  const renames = name !== undefined && name !== before.name;
  const replans = moves || (startAt !== undefined && timeOf(startAt) !== timeOf(before.startAt ?? null));
  if (moves) await assertUsableAgent(db, agentId);
  const heldUntil = moves ? await heldUntilOf(db, id) : null;
  if (!renames && !limits && !replans) return { job: before, released: null };
  const set = {
    ...(renames ? { name } : {}),
    ...(limits ? limitedTo(bandwidthMbps) : {}),
    ...(replans
      ? {
          ...(moves ? { agentId, heldUntil: heldAtLeast(LEASE_SURELY_OVER_MS) } : {}),
          ...plannedFor(startAt),
        }
      : {}),
    ...(limits || replans ? { desiredRev: sql`${jobs.desiredRev} + 1` } : {}),
    updatedAt: Date.now(),
  };
  const where = replans ? notBegun(before) : limits ? notFinal : undefined;
  const [changed] = await db.batch([
    db.update(jobs, set, and(eq(jobs.id, id), where)),
    auditIfChanged(db, actor, moves ? "job.moved" : "job.changed", id, {
      fields: Object.keys(body),
      ...(limits ? { bandwidthMbps } : {}),
      ...(moves ? { from: before.agentId, to: agentId } : {}),
      ...(replans && startAt !== undefined ? { startAt } : {}),
    }),
  ]);
  if (changed === 0) throw replans ? new Problem("CONFLICT", HAS_BEGUN) : refusal;
  const job = await readJob(db, id);
  return { job, released: replans ? { ...releasedOf(before, job), heldUntil, isMoved: moves } : null };
}

const HAS_BEGUN =
  "The job has begun, or is finished: its agent and its start cannot be changed any more; cancel it and duplicate it instead";

/** Nobody was given a credential for this epoch ({@link findGrantable}), so nobody can have written anything. */
function notBegun({ agentId, epoch }: Job): SQL | undefined {
  return and(
    eq(jobs.status, "created"),
    isNull(jobs.startedAt),
    eq(jobs.agentId, agentId),
    eq(jobs.epoch, epoch),
  );
}

/** Whoever was to wait already waits no less. */
function heldAtLeast(ms: number): SQL {
  return sql`max(coalesce(${jobs.heldUntil}, 0), ${Date.now() + ms})`;
}

/** When the agent that had the job is surely at work on it no more, as its object knows better; null = it is not. */
export async function letGo(
  db: ScopedDb,
  { id, epoch }: Job,
  untilMs: number | null,
  before: number | null,
): Promise<void> {
  const heldUntil = Math.max(untilMs ?? 0, before ?? 0);
  const where = and(eq(jobs.id, id), eq(jobs.epoch, epoch), isNotNull(jobs.heldUntil));
  await db.batch([db.update(jobs, { heldUntil: heldUntil === 0 ? null : heldUntil }, where)]);
}

/** Until when another agent may be at work on a job that this one has not begun. */
export async function heldUntilOf(db: ScopedDb, id: string): Promise<number | null> {
  const row = await db.first({ heldUntil: jobs.heldUntil }, jobs, { where: eq(jobs.id, id) });
  return row?.heldUntil ?? null;
}

function plannedFor(startAt: string | null | undefined) {
  return {
    epoch: sql`${jobs.epoch} + 1`,
    progressSeq: 0,
    ...(startAt === undefined ? {} : { startAt: timeOf(startAt) }),
  };
}

function releasedOf(before: Job, after: Job): Pick<Released, "agentId" | "desired"> {
  const desired = { ...desiredOf(before), state: "cancel", rev: after.desiredRev } as const;
  return { agentId: before.agentId, desired };
}

function timeOf(at: string | null): number | null {
  return at === null ? null : Date.parse(at);
}

/** Whether its time has not come yet: until then its agent is not told of it. */
export function isScheduled({ status, startAt }: Job, nowMs: number): boolean {
  return status === "created" && typeof startAt === "string" && Date.parse(startAt) > nowMs;
}

function limitedTo(bandwidthMbps: number | null) {
  // As JSON text: a bound number would be stored as 20.0.
  const limit = sql`json(${JSON.stringify(bandwidthMbps)})`;
  return {
    config: sql`json_set(${jobs.config}, '$.options.bandwidthMbps', ${limit})`,
  };
}

export type JobAction = "pause" | "resume" | "cancel" | "finish";

/**
 * Changes what is wanted of a job. The condition in the update decides, so of two people who press different buttons at
 * once each gets an answer that is true. Asking for what is wanted already is fine and changes nothing.
 */
export async function steerJob(db: ScopedDb, actor: Actor, id: string, action: JobAction): Promise<Job> {
  const before = await readJob(db, id);
  if (action === "finish" && before.config.type !== "sync") {
    throw new Problem(
      "CONFLICT",
      "Only a job that repeats itself can be told to finish; this one ends by itself",
    );
  }
  const { set, where } = STEERING[action](Date.now());
  const writes: [Write, ...Write[]] = [
    db.update(
      jobs,
      { ...set, desiredRev: sql`${jobs.desiredRev} + 1`, updatedAt: Date.now() },
      and(eq(jobs.id, id), where),
    ),
    auditIfChanged(db, actor, `job.${action}`, id, { epoch: before.epoch }),
    ...(action === "cancel"
      ? [jobCancelled(db, { jobId: id, epoch: before.epoch, actorId: actor.id }, Date.now())]
      : []),
  ];
  // Together, because the agent is told only after this.
  const { changes, row } = await db.batchThenFirst(writes, FIELDS, jobs, {
    join: JOIN,
    where: eq(jobs.id, id),
  });
  if (row === null) throw notFound();
  const after = show(row);
  if (changes[0] === 0 && !isAsWanted(after, action)) {
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
};

const REFUSALS: Readonly<Record<JobAction, string>> = {
  pause: "A finished job cannot be paused",
  resume: "A finished job cannot be resumed; retry it instead",
  finish: "The job is finished already",
  cancel: "A finished job cannot be cancelled",
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
  }
}

/**
 * Begins a new epoch, with new totals: of everything, or only of the files that failed, where the control plane knows each
 * of them.
 */
export async function retryJob(
  db: ScopedDb,
  actor: Actor,
  id: string,
  only: "failed" | undefined,
  claim: (retry: RetryClaim) => Promise<RetryClaim>,
): Promise<JobRetried> {
  const before = await readJob(db, id);
  if (before.agentStatus === "revoked") {
    throw new Problem("CONFLICT", "The job's agent was revoked; duplicate the job to another agent");
  }
  const reason = only === undefined ? null : await whyEverything(db, before);
  const moves = only === undefined || reason !== null ? "everything" : "failed";
  const first = await claim({ epoch: before.epoch, moves, reason });
  // Asked a second time, because the answer to the first was lost.
  if (first.epoch !== before.epoch) return { ...before, retry: { moves: first.moves, reason: first.reason } };
  const place = destinationOf(before.config.destination);
  const retriable = or(
    inArray(jobs.status, ["failed", "cancelled"]),
    and(eq(jobs.status, "completed"), gt(jobs.filesFailed, 0)),
  );
  const begun = {
    desiredState: "run" as const,
    status: "created" as const,
    epoch: sql`${jobs.epoch} + 1`,
    desiredRev: sql`${jobs.desiredRev} + 1`,
    progressSeq: 0,
    ...ZERO_TOTALS,
    preview: null,
    error: null,
    report: null,
    onlyFailedOf: moves === "failed" ? before.epoch : null,
    startAt: null,
    startedAt: null,
    finishedAt: null,
    updatedAt: Date.now(),
  };
  const [changed] = await db.batch([
    db.update(
      jobs,
      begun,
      and(
        eq(jobs.id, id),
        eq(jobs.epoch, before.epoch),
        retriable,
        isOpenProject(db, before.projectId),
        sql`not ${isTaken(db, place, id)}`,
      ),
    ),
    auditIfChanged(db, actor, "job.retry", id, { epoch: before.epoch, moves }),
  ]);
  const job = await readJob(db, id);
  if (changed === 0) {
    const isRetriable =
      job.status === "failed" ||
      job.status === "cancelled" ||
      (job.status === "completed" && job.totals.filesFailed > 0);
    if (isRetriable && job.epoch === before.epoch) {
      throw await refusalToBegin(db, { id, projectId: job.projectId, place });
    }
    throw new Problem("CONFLICT", NOT_RETRIABLE, { status: job.status });
  }
  return { ...job, retry: { moves, reason } };
}

/** What a retry was going to do, and of which epoch. */
export interface RetryClaim {
  readonly epoch: number;
  readonly moves: "everything" | "failed";
  readonly reason: string | null;
}

const NOT_RETRIABLE = "Only a failed or cancelled job, or one with failed files, can be retried";

/** Null where the failed files are all known: then no other file is left to do. */
async function whyEverything(
  db: ScopedDb,
  { id, epoch, status, totals, config }: Job,
): Promise<string | null> {
  if (status !== "completed") {
    return "The job did not get to its end, so there may be files it never came to: everything is looked at again, and what is there already is skipped";
  }
  if (config.type === "sync") {
    return "A job that repeats itself compares everything in each of its passes";
  }
  const count = { count: sql<number>`count(*)` };
  const where = and(eq(jobFailures.jobId, id), eq(jobFailures.epoch, epoch));
  const kept = (await db.first(count, jobFailures, { where }))?.count ?? 0;
  if (totals.filesFailed <= kept) return null;
  return `Of ${totals.filesFailed} failed files only the first ${Math.min(kept, FAILURES_KEPT_MAX)} are known here: everything is looked at again, and what is there already is skipped`;
}

/** What a run that moves only failed files asks for, in the order in which they failed. */
export async function listOnlyPaths(
  db: ScopedDb,
  agentId: string,
  { jobId, epoch, after, limit }: { jobId: string; epoch: number | undefined; after: number; limit: number },
): Promise<{ paths: string[]; next: number | null }> {
  const fields = { epoch: jobs.epoch, status: jobs.status, onlyFailedOf: jobs.onlyFailedOf };
  const job = await db.first(fields, jobs, { where: and(eq(jobs.id, jobId), eq(jobs.agentId, agentId)) });
  if (job === null) throw notFound();
  if (job.epoch !== epoch || isFinal(job.status) || job.onlyFailedOf === null) {
    throw new Problem("CONFLICT", "This run of the job is over", { status: job.status, epoch: job.epoch });
  }
  const ofEpoch = and(eq(jobFailures.jobId, jobId), eq(jobFailures.epoch, job.onlyFailedOf));
  const rows = await db.select({ number: jobFailures.number, path: jobFailures.path }, jobFailures, {
    where: and(ofEpoch, gt(jobFailures.number, after)),
    orderBy: jobFailures.number.getSQL(),
    limit: limit + 1,
  });
  const shown = rows.slice(0, limit);
  return {
    paths: shown.map(({ path }) => path),
    next: rows.length > limit ? (shown.at(-1)?.number ?? null) : null,
  };
}

// --- who else writes where (I-09) ---

/**
 * As `jobs.destination` has it: each folder with a slash behind it. Two jobs in one place would throw away each other's
 * uncommitted blocks, so of jobs that are not final no destination lies in another's.
 */
function destinationOf({ account, container, prefix }: JobConfig["destination"]): string {
  return `${account}/${container}/${prefix === "" ? "" : `${prefix}/`}`;
}

/** The folders around a place, the container first, and the place itself. */
function around(place: string): string[] {
  const parts = place.split("/").slice(0, -1);
  return parts.slice(1).map((_, index) => `${parts.slice(0, index + 2).join("/")}/`);
}

/** In terms of `o`, one condition for what lies around the place and one for what lies in it: each is a look into an index. */
function overlapping(db: ScopedDb, place: string, exceptId: string): [SQL, SQL] {
  const others = sql`o.org_id = ${db.orgId} and o.status in ${sql.raw(ACTIVE)} and o.id <> ${exceptId}`;
  // The slash at the end is followed by "0" in the order of characters.
  const behind = `${place.slice(0, -1)}0`;
  return [
    sql`${others} and o.destination in (select value from json_each(${JSON.stringify(around(place))}))`,
    sql`${others} and o.destination > ${place} and o.destination < ${behind}`,
  ];
}

function isTaken(db: ScopedDb, place: string, exceptId: string): SQL {
  const [outer, inner] = overlapping(db, place, exceptId);
  const found = (condition: SQL) =>
    sql`exists (select 1 from jobs o indexed by jobs_destination where ${condition})`;
  return sql`(${found(outer)} or ${found(inner)})`;
}

/** Not cancelled, and of a client that is not archived. */
function isOpenProject(db: ScopedDb, projectId: string): SQL {
  return sql`exists (select 1 from projects p join clients c on c.org_id = p.org_id and c.id = p.client_id where p.org_id = ${db.orgId} and p.id = ${projectId} and p.cancelled_at is null and c.status = 'active')`;
}

/** Why a job may not begin, as far as others are the reason; asked after the write, which alone decides. */
async function refusalToBegin(
  db: ScopedDb,
  { id, projectId, place }: { id: string; projectId: string; place: string },
): Promise<Problem> {
  const [outer, inner] = overlapping(db, place, id);
  const found = (condition: SQL) =>
    sql`${jobs.id} in (select o.id from jobs o indexed by jobs_destination where ${condition} limit 1)`;
  const named = { id: jobs.id, name: jobs.name };
  const other =
    (await db.first(named, jobs, { where: found(outer) })) ??
    (await db.first(named, jobs, { where: found(inner) }));
  if (other !== null) {
    return new Problem(
      "CONFLICT",
      `The job "${other.name}" is not finished and writes to the same place; choose another prefix, or wait until it ends`,
      { jobId: other.id, jobName: other.name },
    );
  }
  const project = await readProject(db, projectId);
  return project.status === "cancelled"
    ? new Problem("CONFLICT", "The project is cancelled; reopen it first")
    : new Problem("CONFLICT", "The project's client is archived, or something else changed; look again");
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

const DAY_MS = 86_400_000;

/**
 * The connection a grant for this job is made from, and what the grant is for. Only for the agent it is assigned to, only in
 * its newest epoch; when that is over, only for the purge.
 */
export async function findGrantable(
  db: ScopedDb,
  agentId: string,
  { jobId, epoch }: { readonly jobId: string; readonly epoch: number },
  nowMs: number,
): Promise<{ connectionId: string; config: StoredConfig; purpose: GrantPurpose }> {
  // From now on the job has begun, and stays with this agent ({@link updateJob}); written before anything is given.
  const begins = and(
    eq(jobs.id, jobId),
    eq(jobs.agentId, agentId),
    eq(jobs.epoch, epoch),
    isNull(jobs.startedAt),
  );
  const isDue = or(isNull(jobs.startAt), lte(jobs.startAt, nowMs));
  const isFree = or(isNull(jobs.heldUntil), lte(jobs.heldUntil, nowMs));
  await db.batch([db.update(jobs, { startedAt: nowMs }, and(begins, notFinal, isDue, isFree))]);
  const row = await db.first(
    {
      epoch: jobs.epoch,
      status: jobs.status,
      startedAt: jobs.startedAt,
      config: jobs.config,
      filesDeleted: jobs.filesDeleted,
      finishedAt: jobs.finishedAt,
      isReported: sql<number>`${jobs.report} is not null`,
      connectionId: projects.connectionId,
    },
    jobs,
    {
      join: [{ table: projects, on: eq(projects.id, jobs.projectId) }],
      where: and(eq(jobs.id, jobId), eq(jobs.agentId, agentId)),
    },
  );
  if (row === null) throw notFound();
  const { status, config, connectionId } = row;
  const isOver = isFinal(status);
  // Not begun by the write above: its time has not come, or another may still be at work on it.
  const isEarly = !isOver && row.startedAt === null;
  if (row.epoch !== epoch || isEarly || (isOver && !mayPurge(row, nowMs))) {
    throw new Problem("CONFLICT", "This run of the job is over", { status, epoch: row.epoch });
  }
  if (connectionId === null) throw new Problem("NO_AZURE_CONNECTION", JOB_ERRORS.NO_AZURE_CONNECTION);
  return { connectionId, config, purpose: isOver ? "purge" : "transfer" };
}

/** Whether the agent may still have files of this job, which is over, to remove for good. */
function mayPurge(
  row: {
    readonly epoch: number;
    readonly status: JobStatus;
    readonly config: StoredConfig;
    readonly filesDeleted: number;
    readonly finishedAt: number | null;
    readonly isReported: number;
  },
  nowMs: number,
): boolean {
  // Rows may be older than the option.
  const deletion = row.config.options.deletion ?? null;
  if (deletion === null || deletion.dryRun || row.finishedAt === null) return false;
  // A run whose agent has not heard of its cancel yet is put down by a refusal, as ever.
  if (row.isReported === 0) return false;
  // What an earlier epoch has moved is counted nowhere any more.
  if (row.status !== "completed" && row.filesDeleted === 0 && row.epoch === 1) return false;
  return nowMs < row.finishedAt + (deletion.retentionDays + PURGE_DAYS_MAX) * DAY_MS;
}

/** The schedule is the project's, and put in when the config is shown or sent. */
type StoredConfig = Omit<JobConfig, "schedule" | "only">;
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

type JobRow = Omit<
  Job,
  "config" | "totals" | "createdAt" | "startAt" | "startedAt" | "finishedAt" | "agentLastSeenAt"
> &
  Job["totals"] & {
    config: StoredConfig;
    bandwidthSchedule: BandwidthSchedule | null;
    onlyFailedOf: number | null;
    createdAt: number;
    startAt: number | null;
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
      ...(row.onlyFailedOf === null ? {} : { only: "failed" as const }),
    },
    status: row.status,
    desiredState: row.desiredState,
    desiredRev: row.desiredRev,
    appliedRev: row.appliedRev,
    epoch: row.epoch,
    totals: totalsOf(row),
    preview: row.preview,
    error: row.error,
    report: row.report === null ? null : { ...row.report, totals: { ...ZERO_TOTALS, ...row.report.totals } },
    createdAt: iso(row.createdAt),
    startAt: isoOrNull(row.startAt),
    startedAt: isoOrNull(row.startedAt),
    finishedAt: isoOrNull(row.finishedAt),
  };
}
