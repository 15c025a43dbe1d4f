/**
 * What a dashboard hears over `/api/live`, one socket per page. `?job=<id>` watches one job, at its agent's object;
 * without it the socket hears of all active jobs of the organization, at its feed.
 *
 * A frame is a list of messages, oldest first. First comes a `snapshot`, then the newest state of whatever changed. Every
 * message is whole, none is a delta, so a viewer that missed some is right again with the next.
 *
 * The viewer says two things: the heartbeat `p`, answered `q`, and now and then how much it has read (`live-window.ts`).
 */
import * as z from "zod";
import { agentId, jobId } from "./ids.ts";
import { desiredState, jobError, jobStatus, jobTotals } from "./job.ts";
import { waiting } from "./protocol.ts";

export const LIVE_JOBS_MAX = 500;
/** The server lets a session's socket live this long before it looks at the session again. */
export const LIVE_SOCKET_MS_MAX = 15 * 60_000;
/** Why a live socket is closed. */
export const LIVE_CLOSE = { signedOut: 4401, checkSession: 4402 } as const;

export const liveJob = z.object({
  jobId,
  agentId,
  epoch: z.int(),
  status: jobStatus,
  desiredState,
  totals: jobTotals,
  bytesInFlight: z.int(),
  bytesPerSecond: z.number(),
  secondsRemaining: z.number().nullable(),
  currentPath: z.string().nullable(),
  /** What holds the job up, as its agent said last; null or absent = nothing that is known. */
  waiting: waiting.nullable().optional(),
  error: jobError.nullable(),
  agentOnline: z.boolean(),
  /** When the hub learned this; the viewer keeps the newer of two. */
  updatedAt: z.iso.datetime(),
});
export type LiveJob = z.infer<typeof liveJob>;

export const liveMessage = z.discriminatedUnion("type", [
  z.object({ type: z.literal("snapshot"), jobs: z.array(liveJob).max(LIVE_JOBS_MAX) }),
  z.object({ type: z.literal("job"), job: liveJob }),
  z.object({ type: z.literal("agent"), agentId, online: z.boolean() }),
]);
export type LiveMessage = z.infer<typeof liveMessage>;

/** One frame from the server. */
export type LiveFrame = readonly LiveMessage[];
