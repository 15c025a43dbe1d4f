/**
 * The log of one job, put together from what is written anyway: the audit log's entries about the job, without addresses and
 * with few of their details, and the happenings that others are told of, as far as they are still kept. The job's own row
 * tells when its present run began and ended, however long ago that was.
 *
 * No index leads from a thing to its audit entries, so a page looks through a bounded number of them, newest first, back to
 * when the job was made; a page without entries may therefore be followed by others.
 */
import { and, desc, eq, gte, inArray, lt, sql, type SQL } from "drizzle-orm";
import { CROCKFORD, newId } from "../../schema/ids.ts";
import { isFinal } from "../../schema/job.ts";
import type { JobLog, JobLogEntry, JobLogQuery } from "../../schema/job-log.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { agents, auditLog, jobs, outbox, users } from "../../schema/tables.ts";
import { notFound } from "../problems.ts";
import { iso, limitOf } from "./paging.ts";

/** How many of the organization's entries one page looks through. */
const WALK_MAX = 5_000;
/** Of how often an agent came and went, on one page. */
const PRESENCE_MAX = 100;
/** Of runs; a job that was begun anew more often than this tells of the newest ones. */
const RUNS_MAX = 50;
/** The job's row and its first entry are written by one request, by two looks at the clock. */
const SLACK_MS = 1_000;

const SHOWN = [
  "job.created",
  "job.changed",
  "job.moved",
  "job.pause",
  "job.resume",
  "job.finish",
  "job.cancel",
  "job.retry",
  "job.refused_by_agent",
  "job.sources_removed",
  "job.quarantine_checked",
  "manifest.stored",
];

export async function readJobLog(db: ScopedDb, id: string, query: JobLogQuery): Promise<JobLog> {
  const job = await findJob(db, id, query.cursor);
  if (job === null) throw notFound();
  const { items, next } = await readEntries(db, job, query);
  const window = {
    fromMs: next === null ? 0 : timeOf(next),
    untilMs: query.cursor === undefined ? Number.MAX_SAFE_INTEGER : timeOf(query.cursor),
  };
  const happened = await readHappenings(db, job, window);
  // A person who cancelled it has an entry, which says who.
  const cancels = new Set(items.filter(({ event }) => event === "job.cancel").map(({ epoch }) => epoch));
  const told = happened.filter(({ event, epoch }) => event !== "job.cancelled" || !cancels.has(epoch));
  return {
    items: [...items, ...told].toSorted((one, other) => Date.parse(other.at) - Date.parse(one.at)),
    nextCursor: next,
  };
}

type Job = NonNullable<Awaited<ReturnType<typeof findJob>>>;

/** The job, and where a page that begins behind `cursor` ends at the latest. */
async function findJob(db: ScopedDb, id: string, cursor: string | undefined) {
  const behind = cursor === undefined ? sql`1` : sql`e.id < ${cursor}`;
  return await db.first(
    {
      id: jobs.id,
      agentId: jobs.agentId,
      status: jobs.status,
      epoch: jobs.epoch,
      createdAt: jobs.createdAt,
      startedAt: jobs.startedAt,
      finishedAt: jobs.finishedAt,
      floor: sql<
        string | null
      >`(select e.id from audit_log e where e.org_id = ${db.orgId} and ${behind} order by e.id desc limit 1 offset ${WALK_MAX})`,
    },
    jobs,
    { where: eq(jobs.id, id) },
  );
}

interface Entries {
  readonly items: readonly JobLogEntry[];
  readonly next: string | null;
}

async function readEntries(db: ScopedDb, job: Job, query: JobLogQuery): Promise<Entries> {
  const first = newId("audit", job.createdAt - SLACK_MS, new Uint8Array());
  const lowest = job.floor !== null && job.floor > first ? job.floor : first;
  const rows = await db.select(
    {
      id: auditLog.id,
      at: auditLog.at,
      actorKind: auditLog.actorKind,
      actorId: auditLog.actorId,
      action: auditLog.action,
      details: auditLog.details,
    },
    auditLog,
    {
      where: and(
        gte(auditLog.id, lowest),
        query.cursor === undefined ? undefined : lt(auditLog.id, query.cursor),
        eq(auditLog.objectId, job.id),
        inArray(auditLog.action, SHOWN),
      ),
      orderBy: desc(auditLog.id),
      limit: limitOf(query),
    },
  );
  const shown = rows.slice(0, query.limit);
  const names = await readNames(db, shown);
  const next = rows.length > query.limit ? (shown.at(-1)?.id ?? null) : lowest === first ? null : lowest;
  return { items: shown.map((row) => show(row, names)), next };
}

type Row = Pick<typeof auditLog.$inferSelect, "at" | "actorKind" | "actorId" | "action" | "details">;
type Names = ReadonlyMap<string, string>;

/** Of people and agents; an API key is one for everybody, whatever it is called. */
async function readNames(db: ScopedDb, rows: readonly Row[]): Promise<Names> {
  const ids = JSON.stringify([
    ...new Set(rows.flatMap(({ actorId, details }) => [actorId, details?.["from"], details?.["to"]])),
  ]);
  const named = (id: SQL) => sql`${id} in (select value from json_each(${ids}))`;
  const [people, machines] = await Promise.all([
    db.select({ id: users.id, name: users.name }, users, { where: named(users.id.getSQL()) }),
    db.select({ id: agents.id, name: agents.name }, agents, { where: named(agents.id.getSQL()) }),
  ]);
  return new Map([...people, ...machines].map(({ id, name }) => [id, name]));
}

function show({ at, actorKind, actorId, action, details }: Row, names: Names): JobLogEntry {
  const name = actorId === null ? null : (names.get(actorId) ?? null);
  const epoch = details?.["epoch"];
  return {
    at: iso(at),
    event: action,
    actor: { kind: actorKind, name },
    epoch: typeof epoch === "number" ? epoch : null,
    details: shownDetails(details ?? {}, names),
  };
}

/** Nothing passes that is not named here, so that an action which tells more one day tells no viewer more. */
function shownDetails(details: Readonly<Record<string, unknown>>, names: Names): JobLogEntry["details"] {
  const { fields, bandwidthMbps, startAt, from, to, moves, message, files, filesLeft, filesPurged, rows } =
    details;
  const named = (id: string) => names.get(id) ?? null;
  return {
    ...(Array.isArray(fields) ? { fields: fields.map(String) } : {}),
    ...(typeof bandwidthMbps === "number" || bandwidthMbps === null ? { bandwidthMbps } : {}),
    ...(typeof startAt === "string" || startAt === null ? { startAt } : {}),
    ...(typeof from === "string" ? { from: named(from) } : {}),
    ...(typeof to === "string" ? { to: named(to) } : {}),
    ...(moves === "failed" || moves === "everything" ? { moves } : {}),
    ...(typeof message === "string" ? { message } : {}),
    ...(typeof files === "number" ? { files } : {}),
    ...(typeof filesLeft === "number" ? { filesLeft } : {}),
    ...(typeof filesPurged === "number" ? { filesPurged } : {}),
    ...(typeof rows === "number" ? { rows } : {}),
  };
}

interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * What nobody did: runs that began and ended, and how the agent came and went during the present one. Before that the job may
 * have been another agent's.
 */
async function readHappenings(db: ScopedDb, job: Job, page: Span): Promise<JobLogEntry[]> {
  const { startedAt, finishedAt, agentId } = job;
  const during = {
    fromMs: Math.max(startedAt ?? Number.MAX_SAFE_INTEGER, page.fromMs),
    untilMs: Math.min(finishedAt ?? Number.MAX_SAFE_INTEGER, page.untilMs),
  };
  const [runs, went, came] = await Promise.all([
    readRuns(db, job),
    readPresence(db, `agent.offline/${agentId}/`, during),
    readPresence(db, `agent.online/${agentId}/`, during),
  ]);
  return [...runs, ...went, ...came]
    .filter(({ atMs }) => atMs >= page.fromMs && atMs < page.untilMs)
    .map(({ event, atMs, epoch }) => ({ at: iso(atMs), event, actor: null, epoch, details: {} }));
}

interface Happened {
  readonly event: string;
  readonly atMs: number;
  readonly epoch: number | null;
}

async function readRuns(db: ScopedDb, job: Job): Promise<Happened[]> {
  const { id, epoch, status, startedAt, finishedAt } = job;
  const now: Happened[] = [
    ...(startedAt === null ? [] : [{ event: "job.started", atMs: startedAt, epoch }]),
    ...(finishedAt === null || !isFinal(status) ? [] : [{ event: `job.${status}`, atMs: finishedAt, epoch }]),
  ];
  const before = Array.from({ length: Math.min(RUNS_MAX, epoch - 1) }, (_, index) => epoch - 1 - index);
  if (before.length === 0) return now;
  const keys = before.flatMap((run) =>
    ["started", "completed", "failed", "cancelled"].map((what) => `job.${what}/${id}/${run}`),
  );
  const rows = await readKept(
    db,
    sql`${outbox.key} in (select value from json_each(${JSON.stringify(keys)}))`,
    keys.length,
  );
  return [...now, ...rows.map(({ event, atMs, last }) => ({ event, atMs, epoch: Number(last) }))];
}

/** Its key ends with the moment, so keys are in order of time. */
async function readPresence(db: ScopedDb, key: string, { fromMs, untilMs }: Span): Promise<Happened[]> {
  if (fromMs >= untilMs) return [];
  // Digits as many as a moment has until the year 2286.
  const until = Math.min(untilMs, 9_999_999_999_999);
  const isWithin = and(gte(outbox.key, `${key}${fromMs}`), lt(outbox.key, `${key}${until}`));
  const rows = await readKept(db, isWithin, PRESENCE_MAX);
  return rows.map(({ event, atMs }) => ({ event, atMs, epoch: null }));
}

async function readKept(db: ScopedDb, where: SQL | undefined, limit: number) {
  const rows = await db.select({ key: outbox.key, createdAt: outbox.createdAt }, outbox, {
    where: and(eq(outbox.kind, "bus"), where),
    orderBy: desc(outbox.key),
    limit,
  });
  return rows.map(({ key, createdAt }) => {
    const [event = "", , last = ""] = key.split("/");
    return { event, atMs: createdAt, last };
  });
}

/** The moment an id was made at: the first 48 of its bits. */
function timeOf(id: string): number {
  let timeMs = 0;
  for (const letter of id.slice(4, 14).toUpperCase()) timeMs = timeMs * 32 + CROCKFORD.indexOf(letter);
  return timeMs;
}
