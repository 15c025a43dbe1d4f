/**
 * What an agent's object writes into D1, and when: presence, applied revisions, phases, failures, results, and totals at
 * most once per {@link PROGRESS_ROW_MS} and job. Every write is guarded by the epoch and by the agent the job is assigned
 * to, and harmless when repeated. What others are told of it (`happenings.ts`), and what the day's bill counts, is written
 * in the same batch.
 */
import { and, desc, eq, isNotNull, isNull, lt, lte, ne, notInArray, or, sql, type SQL } from "drizzle-orm";
import { FAILURES_KEPT_MAX, FINAL_STATUSES, isFinal, type JobTotals } from "../schema/job.ts";
import type { LiveJob } from "../schema/live.ts";
import { LIVE_JOBS_MAX } from "../schema/live.ts";
import type { Applied, Hello, JobEvent, Progress, Result } from "../schema/protocol.ts";
import type { ScopedDb, Write } from "../schema/scoped-db.ts";
import { agents, jobFailures, jobs, jobUsage } from "../schema/tables.ts";
import { audit, auditIfChanged } from "./audit-entry.ts";
import {
  agentComing,
  agentGoing,
  jobCancelled,
  jobEnding,
  jobStarting,
  projectCompleted,
} from "./happenings.ts";

/** `docs/spec.md` L7: one row per running job in this time at most, whatever the number of files. */
export const PROGRESS_ROW_MS = 30_000;

export type JobRecord = ReturnType<typeof jobRecord>;

export function jobRecord(db: ScopedDb, agentId: string) {
  const ofEpoch = (message: { jobId: string; epoch: number }) =>
    and(eq(jobs.id, message.jobId), eq(jobs.epoch, message.epoch), eq(jobs.agentId, agentId));

  /**
   * What a run has used up to this day, counted from its beginning, so that a report that comes again changes nothing. A run
   * that was overtaken by a retry has used it all the same. `condition` is in terms of `j`, the job.
   */
  function used(
    { jobId, epoch }: { jobId: string; epoch: number },
    { bytesSent, filesCompleted }: JobTotals,
    nowMs: number,
    condition: SQL = sql`1`,
  ): Write[] {
    if (bytesSent === 0 && filesCompleted === 0) return [];
    const day = new Date(nowMs).toISOString().slice(0, 10);
    const isOurs = sql`exists (select 1 from jobs j where j.org_id = ${db.orgId} and j.id = ${jobId} and j.agent_id = ${agentId} and j.epoch >= ${epoch} and ${condition})`;
    const isThere = sql`exists (select 1 from job_usage u where u.org_id = ${db.orgId} and u.job_id = ${jobId} and u.epoch = ${epoch} and u.day = ${day})`;
    return [
      db.update(
        jobUsage,
        {
          bytesSent: sql`max(${jobUsage.bytesSent}, ${bytesSent})`,
          filesCompleted: sql`max(${jobUsage.filesCompleted}, ${filesCompleted})`,
        },
        and(
          eq(jobUsage.jobId, jobId),
          eq(jobUsage.epoch, epoch),
          eq(jobUsage.day, day),
          or(lt(jobUsage.bytesSent, bytesSent), lt(jobUsage.filesCompleted, filesCompleted)),
          isOurs,
        ),
      ),
      db.insertIf(
        jobUsage,
        { jobId, epoch, day, bytesSent, filesCompleted },
        sql`${isOurs} and not ${isThere}`,
      ),
    ];
  }

  /** Behind the write of a report that was not known before: what it says was removed at the source. */
  function removed({ jobId, epoch, report }: Result, nowMs: number): Write[] {
    const { removal, manifest } = report;
    if (removal === null || removal === undefined) return [];
    const { files, bytes, dryRun, filesPurged } = removal;
    const details = { epoch, files, bytes, dryRun, filesPurged, manifestSha256: manifest?.sha256 ?? null };
    return [auditIfChanged(db, "job.sources_removed", jobId, details, nowMs)];
  }

  return {
    async online(hello: Hello, nowMs: number): Promise<void> {
      const facts = { host: hello.host, os: hello.os, arch: hello.arch, version: hello.agentVersion };
      const connection = hello.connection ?? null;
      await db.batch([
        agentComing(db, agentId, nowMs),
        db.update(
          agents,
          { ...facts, connection, status: "online", lastSeenAt: nowMs, freeDiskBytes: hello.freeDiskBytes },
          and(eq(agents.id, agentId), isNull(agents.revokedAt), ne(agents.status, "locked")),
        ),
      ]);
    },

    async offline(lastSeenMs: number): Promise<void> {
      const where = and(eq(agents.id, agentId), eq(agents.status, "online"));
      await db.batch([
        agentGoing(db, agentId, lastSeenMs),
        db.update(agents, { status: "offline", lastSeenAt: lastSeenMs }, where),
      ]);
    },

    /** There are two of it; `hello` is what the one said that came with an old generation. */
    async locked(hello: Hello, nowMs: number): Promise<void> {
      const where = and(eq(agents.id, agentId), isNull(agents.revokedAt), ne(agents.status, "locked"));
      await db.batch([
        agentGoing(db, agentId, nowMs),
        db.update(agents, { status: "locked" }, where),
        auditIfChanged(db, "agent.locked", agentId, { host: hello.host }, nowMs),
      ]);
    },

    async keyRotated(nowMs: number): Promise<void> {
      await db.batch([audit(db, "agent.key_rotated", agentId, null, nowMs)]);
    },

    /** Another program of this agent took over from one that was connected. */
    async superseded(hello: Hello, nowMs: number): Promise<void> {
      await db.batch([audit(db, "agent.superseded", agentId, { host: hello.host }, nowMs)]);
    },

    /** The agent will not do what is wanted of a job. */
    async refused({ jobId, epoch, code, message }: Applied, nowMs: number): Promise<void> {
      if ((await db.first({ id: jobs.id }, jobs, { where: ofEpoch({ jobId, epoch }) })) === null) return;
      const details = { agentId, code: code ?? null, message: message ?? null };
      await db.batch([audit(db, "job.refused_by_agent", jobId, details, nowMs)]);
    },

    async applied(message: Pick<Applied, "jobId" | "epoch" | "rev">, nowMs: number): Promise<void> {
      const where = and(ofEpoch(message), lt(jobs.appliedRev, message.rev));
      await db.batch([
        db.update(jobs, { appliedRev: message.rev, updatedAt: nowMs }, where),
        // A job may have been cancelled together with its whole project.
        jobCancelled(db, { ...message, actorId: null }, nowMs),
      ]);
    },

    /** This agent is at work on it no more: the one that has it now need not wait. Only the next epoch waits for this one. */
    async stopped({ jobId, epoch }: Pick<Applied, "jobId" | "epoch">): Promise<void> {
      const waits = and(eq(jobs.id, jobId), eq(jobs.epoch, epoch + 1), isNotNull(jobs.heldUntil));
      await db.batch([db.update(jobs, { heldUntil: null }, waits)]);
    },

    async phase(message: JobEvent, nowMs: number): Promise<void> {
      if (message.event.kind !== "phase") return;
      const { phase, totals, preview } = message.event;
      // That of the pass before says nothing of the one that begins; a phase that says none leaves what was said.
      const previewed = phase === "scanning" ? { preview: null } : preview === undefined ? {} : { preview };
      const startedAt = sql`coalesce(${jobs.startedAt}, ${Date.parse(message.at)})`;
      await db.batch([
        jobStarting(db, { ...message, agentId }, nowMs),
        db.update(
          jobs,
          { status: phase, ...risen(totals), ...previewed, startedAt, updatedAt: nowMs },
          and(ofEpoch(message), notFinal),
        ),
        ...used(message, totals, nowMs),
      ]);
    },

    async failures(message: JobEvent): Promise<void> {
      if (message.event.kind !== "files_failed") return;
      const { first, failures } = message.event;
      if ((await db.first({ id: jobs.id }, jobs, { where: ofEpoch(message) })) === null) return;
      const writes = failures
        .map((failure, index) => ({ ...failure, number: first + index }))
        .filter((failure) => failure.number < FAILURES_KEPT_MAX)
        .map((failure) => {
          const row = { jobId: message.jobId, epoch: message.epoch, ...failure };
          return db.insert(jobFailures, row, { ignoreConflict: true });
        });
      const [head, ...tail] = writes;
      if (head !== undefined) await db.batch([head, ...tail]);
    },

    /** A row that was written a moment ago, for whatever reason, is new enough: so L7 also holds over reconnects. */
    async progress(message: Progress, nowMs: number): Promise<void> {
      const due = lte(jobs.updatedAt, nowMs - PROGRESS_ROW_MS);
      const where = and(ofEpoch(message), notFinal, lt(jobs.progressSeq, message.seq), due);
      await db.batch([
        db.update(jobs, { ...risen(message.totals), progressSeq: message.seq, updatedAt: nowMs }, where),
        // With that row or not at all.
        ...used(
          message,
          message.totals,
          nowMs,
          sql`j.progress_seq = ${message.seq} and j.updated_at = ${nowMs}`,
        ),
      ]);
    },

    /** The end of an epoch. After a cancel it only adds the counts: the job stays cancelled. */
    async result(message: Result, nowMs: number): Promise<void> {
      const { report } = message;
      const common = { ...risen(report.totals), report, updatedAt: nowMs };
      const unreported = and(ofEpoch(message), isNull(jobs.report));
      const of = { jobId: message.jobId, epoch: message.epoch, agentId };
      await db.batch([
        jobEnding(db, of, report, nowMs),
        // Of an epoch that has ended its agent need not hear any more that it is cancelled.
        db.update(
          jobs,
          { ...common, appliedRev: jobs.desiredRev },
          and(unreported, eq(jobs.status, "cancelled")),
        ),
        ...removed(message, nowMs),
        db.update(
          jobs,
          {
            ...common,
            status: report.outcome,
            error: report.error,
            startedAt: sql`coalesce(${jobs.startedAt}, ${Date.parse(report.startedAt)})`,
            finishedAt: nowMs,
          },
          and(unreported, notFinal),
        ),
        ...removed(message, nowMs),
        jobCancelled(db, { ...of, actorId: null }, nowMs),
        projectCompleted(db, of, nowMs),
        ...used(message, report.totals, nowMs),
      ]);
    },

    async live(jobId: string): Promise<LiveJob | null> {
      return (await selectLive(db, and(eq(jobs.id, jobId), eq(jobs.agentId, agentId)), 1))[0] ?? null;
    },
  };
}

/** The organization's jobs that are not final, newest first, as D1 knows them. */
export async function activeJobs(db: ScopedDb): Promise<LiveJob[]> {
  return await selectLive(db, notFinal, LIVE_JOBS_MAX);
}

const notFinal = notInArray(jobs.status, [...FINAL_STATUSES]);

async function selectLive(db: ScopedDb, where: ReturnType<typeof and>, limit: number): Promise<LiveJob[]> {
  const rows = await db.select({ ...LIVE_FIELDS, agentStatus: agents.status }, jobs, {
    join: [{ table: agents, on: eq(agents.id, jobs.agentId) }],
    where,
    orderBy: desc(jobs.id),
    limit,
  });
  return rows.map(({ agentStatus, updatedAt, ...row }) => ({
    jobId: row.jobId,
    agentId: row.agentId,
    epoch: row.epoch,
    status: row.status,
    desiredState: row.desiredState,
    totals: totalsOf(row),
    bytesInFlight: 0,
    bytesPerSecond: 0,
    secondsRemaining: null,
    currentPath: null,
    waiting: null,
    error: isFinal(row.status) ? row.error : null,
    agentOnline: agentStatus === "online",
    updatedAt: new Date(updatedAt).toISOString(),
  }));
}

/** The columns of the totals, to be read with {@link totalsOf}. */
export const TOTAL_FIELDS = {
  filesTotal: jobs.filesTotal,
  filesCompleted: jobs.filesCompleted,
  filesFailed: jobs.filesFailed,
  filesSkipped: jobs.filesSkipped,
  filesVerified: jobs.filesVerified,
  filesReadBack: jobs.filesReadBack,
  filesDeleted: jobs.filesDeleted,
  bytesTotal: jobs.bytesTotal,
  bytesCompleted: jobs.bytesCompleted,
  bytesFailed: jobs.bytesFailed,
  bytesSkipped: jobs.bytesSkipped,
  bytesSent: jobs.bytesSent,
};

const LIVE_FIELDS = {
  jobId: jobs.id,
  agentId: jobs.agentId,
  epoch: jobs.epoch,
  status: jobs.status,
  desiredState: jobs.desiredState,
  error: jobs.error,
  updatedAt: jobs.updatedAt,
  ...TOTAL_FIELDS,
};

/** The totals among a row's columns. */
export function totalsOf(row: JobTotals): JobTotals {
  return {
    filesTotal: row.filesTotal,
    filesCompleted: row.filesCompleted,
    filesFailed: row.filesFailed,
    filesSkipped: row.filesSkipped,
    filesVerified: row.filesVerified,
    filesReadBack: row.filesReadBack,
    filesDeleted: row.filesDeleted,
    bytesTotal: row.bytesTotal,
    bytesCompleted: row.bytesCompleted,
    bytesFailed: row.bytesFailed,
    bytesSkipped: row.bytesSkipped,
    bytesSent: row.bytesSent,
  };
}

/**
 * Totals as column values that cannot fall: an event that was kept back while the link was down may be older than the
 * progress that overtook it (I-03).
 */
function risen(totals: JobTotals) {
  const risen: Record<string, unknown> = {};
  for (const key of Object.keys(totals) as (keyof JobTotals)[]) {
    risen[key] = sql`max(${jobs[key]}, ${totals[key]})`;
  }
  return risen as Record<keyof JobTotals, ReturnType<typeof sql>>;
}
