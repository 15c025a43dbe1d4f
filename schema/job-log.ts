/** What happened to a job, as everybody who may see the job is told it. */
import * as z from "zod";
import { LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, pageOf } from "./api.ts";
import { ACTOR_KINDS } from "./audit.ts";

const time = z.iso.datetime();

/**
 * What happened: the actions of the audit log that are about the job, and the happenings that others are told of. Open where
 * it is read: a newer control plane may tell more.
 */
export const JOB_LOG_EVENTS = [
  "job.created",
  "job.changed",
  "job.moved",
  "job.started",
  "job.pause",
  "job.resume",
  "job.finish",
  "job.cancel",
  "job.retry",
  "job.completed",
  "job.failed",
  "job.cancelled",
  "job.refused_by_agent",
  "job.sources_removed",
  "job.quarantine_checked",
  "manifest.stored",
  "agent.offline",
  "agent.online",
] as const;
export type JobLogEvent = (typeof JOB_LOG_EVENTS)[number];

export const jobLogEntry = z.object({
  at: time,
  event: z.string(),
  /** Who did it; null where nobody did. Never their address. */
  actor: z.object({ kind: z.enum(ACTOR_KINDS), name: z.string().nullable() }).nullable(),
  /** The run it is about, where it is about one. */
  epoch: z.int().nullable(),
  /** What a person may want to know besides; only what stands here is told. */
  details: z
    .object({
      /** Of a change: the fields. */
      fields: z.array(z.string()),
      bandwidthMbps: z.number().nullable(),
      startAt: time.nullable(),
      /** Of a move: the agents' names. */
      from: z.string().nullable(),
      to: z.string().nullable(),
      /** Of a retry. */
      moves: z.enum(["failed", "everything"]),
      message: z.string().nullable(),
      files: z.int(),
      filesLeft: z.int(),
      filesPurged: z.int(),
      rows: z.int(),
    })
    .partial(),
});
export type JobLogEntry = z.infer<typeof jobLogEntry>;

/** Newest first. A page may hold less than asked for, even nothing, and still be followed by others. */
export const jobLog = pageOf(jobLogEntry);
export type JobLog = z.infer<typeof jobLog>;

export const jobLogQuery = z.strictObject({
  cursor: z
    .string()
    .regex(/^aud_[0-7][0-9a-hjkmnp-tv-z]{25}$/, "Not a cursor of this list")
    .optional(),
  limit: z.coerce.number().int().min(1).max(LIST_LIMIT_MAX).default(LIST_LIMIT_DEFAULT),
});
export type JobLogQuery = z.output<typeof jobLogQuery>;
