/**
 * What happened that others are told of, written into the outbox in the same batch as what it tells of.
 *
 * A happening is one row with little in it: what, of which thing, when. Who is told, and in which words, is decided when it
 * is taken up (`worker/outbox/`), so whoever writes one here knows neither the Bus nor webhooks nor mails. Each is one
 * statement with the condition under which it is true, so it is written with the change it tells of or not at all, and its
 * key makes a second writing of the same happening nothing.
 */
import { sql, type SQL } from "drizzle-orm";
import { ID_RANDOM_BYTES, newId } from "../schema/ids.ts";
import type { JobError, JobReport } from "../schema/job.ts";
import type { ScopedDb, Write } from "../schema/scoped-db.ts";
import { outbox } from "../schema/tables.ts";

/** The target of an entry that is a happening: everybody who wants to know. */
export const EVERYBODY = "everybody";

/** What the end of a run leaves to be told, as it was then: a retry begins with new numbers. */
export type ReportedEnd = Pick<JobReport, "totals" | "activeMs" | "verification"> & {
  readonly error: JobError | null;
};

export type Happening =
  | { readonly type: "job.started"; readonly jobId: string; readonly epoch: number; readonly atMs: number }
  | {
      readonly type: "job.completed" | "job.failed";
      readonly jobId: string;
      readonly epoch: number;
      readonly atMs: number;
      readonly end: ReportedEnd;
    }
  | {
      readonly type: "job.cancelled";
      readonly jobId: string;
      readonly epoch: number;
      readonly atMs: number;
      /** Who did it, where that is known. */
      readonly actorId: string | null;
    }
  | {
      readonly type: "agent.online" | "agent.offline";
      readonly agentId: string;
      readonly atMs: number;
    }
  /** Of the project of the job that was the last one to complete. */
  | {
      readonly type: "project.completed";
      readonly jobId: string;
      readonly epoch: number;
      readonly atMs: number;
    }
  /** Of each project that uses the connection; `after` is the last one that was told of already. */
  | {
      readonly type: "project.auth_required";
      readonly connectionId: string;
      readonly atMs: number;
      readonly after?: string;
    };

interface OfJob {
  readonly jobId: string;
  readonly epoch: number;
  readonly agentId: string;
}

/** A cancel older than this was told when it was made; its agent may come back and confirm it much later. */
const CANCEL_TOLD_MS = 7 * 86_400_000;

/** Before the job's status is changed to that of its first phase. */
export function jobStarting(db: ScopedDb, { jobId, epoch, agentId }: OfJob, atMs: number): Write {
  const isNew = ofJob(
    db,
    jobId,
    sql`j.epoch = ${epoch} and j.agent_id = ${agentId} and j.status = 'created'`,
  );
  return tell(db, { type: "job.started", jobId, epoch, atMs }, isNew);
}

/** Before the job's status is changed to that of its report. */
export function jobEnding(
  db: ScopedDb,
  { jobId, epoch, agentId }: OfJob,
  { outcome, totals, activeMs, verification, error }: JobReport,
  atMs: number,
): Write {
  const isOpen = ofJob(
    db,
    jobId,
    sql`j.epoch = ${epoch} and j.agent_id = ${agentId} and j.report is null and j.status not in ('completed', 'failed', 'cancelled')`,
  );
  const what = { jobId, epoch, atMs };
  if (outcome === "cancelled") return tell(db, { type: "job.cancelled", ...what, actorId: null }, isOpen);
  const end = { totals, activeMs, verification, error };
  return tell(db, { type: `job.${outcome}`, ...what, end }, isOpen);
}

/** Behind the change that cancelled the job, or later: told once, whoever says it first. */
export function jobCancelled(
  db: ScopedDb,
  { jobId, epoch, actorId }: { jobId: string; epoch: number; actorId: string | null },
  atMs: number,
): Write {
  const isCancelled = ofJob(
    db,
    jobId,
    sql`j.epoch = ${epoch} and j.status = 'cancelled' and j.finished_at > ${atMs - CANCEL_TOLD_MS}`,
  );
  return tell(db, { type: "job.cancelled", jobId, epoch, atMs, actorId }, isCancelled);
}

/** Behind the change that completed a job: its project is complete when all of its jobs are. */
export function projectCompleted(
  db: ScopedDb,
  { jobId, epoch }: Omit<OfJob, "agentId">,
  atMs: number,
): Write {
  const project = sql`exists (select 1 from projects p where p.org_id = j.org_id and p.id = j.project_id and p.cancelled_at is null)`;
  const others = sql`exists (select 1 from jobs o indexed by jobs_project where o.org_id = j.org_id and o.project_id = j.project_id and o.status <> 'completed')`;
  const isLast = ofJob(
    db,
    jobId,
    sql`j.epoch = ${epoch} and j.status = 'completed' and j.finished_at = ${atMs} and ${project} and not ${others}`,
  );
  return tell(db, { type: "project.completed", jobId, epoch, atMs }, isLast);
}

/** Before the agent's status is changed. */
export function agentComing(db: ScopedDb, agentId: string, atMs: number): Write {
  const isAway = ofAgent(db, agentId, sql`a.status <> 'online' and a.revoked_at is null`);
  return tell(db, { type: "agent.online", agentId, atMs }, isAway);
}

/** Before the agent's status is changed. */
export function agentGoing(db: ScopedDb, agentId: string, atMs: number): Write {
  return tell(db, { type: "agent.offline", agentId, atMs }, ofAgent(db, agentId, sql`a.status = 'online'`));
}

/** Behind the change that marked the connection as refused. */
export function connectionRefused(db: ScopedDb, connectionId: string, refusedAtMs: number): Write {
  const isRefused = sql`exists (select 1 from storage_connections s where s.org_id = ${db.orgId} and s.id = ${connectionId} and s.refused_at = ${refusedAtMs})`;
  return tell(db, { type: "project.auth_required", connectionId, atMs: refusedAtMs }, isRefused);
}

export function newOutboxId(atMs: number): string {
  return newId("outbox", atMs, crypto.getRandomValues(new Uint8Array(ID_RANDOM_BYTES)));
}

function tell(db: ScopedDb, happening: Happening, condition: SQL): Write {
  const key = keyOf(happening);
  const { atMs } = happening;
  const isToldAlready = sql`exists (select 1 from outbox o where o.org_id = ${db.orgId} and o.kind = 'bus' and o.key = ${key})`;
  return db.insertIf(
    outbox,
    {
      id: newOutboxId(atMs),
      kind: "bus",
      key,
      target: EVERYBODY,
      payload: happening,
      createdAt: atMs,
      attempts: 0,
      dueAt: atMs,
    },
    sql`${condition} and not ${isToldAlready}`,
  );
}

/** The same for the same happening, however often it is written. */
function keyOf(happening: Happening): string {
  const { type } = happening;
  switch (type) {
    case "agent.online":
    case "agent.offline":
      return `${type}/${happening.agentId}/${happening.atMs}`;
    case "project.auth_required":
      return `${type}/${happening.connectionId}/${happening.atMs}`;
    case "job.started":
    case "job.completed":
    case "job.failed":
    case "job.cancelled":
    case "project.completed":
      return `${type}/${happening.jobId}/${happening.epoch}`;
  }
}

/** In terms of `j`, the job. */
function ofJob(db: ScopedDb, jobId: string, condition: SQL): SQL {
  return sql`exists (select 1 from jobs j where j.org_id = ${db.orgId} and j.id = ${jobId} and ${condition})`;
}

/** In terms of `a`, the agent. */
function ofAgent(db: ScopedDb, agentId: string, condition: SQL): SQL {
  return sql`exists (select 1 from agents a where a.org_id = ${db.orgId} and a.id = ${agentId} and ${condition})`;
}
