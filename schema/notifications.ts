/** What needs a person now, as `GET /api/notifications` tells it. */
import * as z from "zod";
import { agentId, connectionId, jobId, projectId } from "./ids.ts";
import { jobError } from "./job.ts";

/** Of each kind. Whoever has more begins with these. */
export const NOTIFICATIONS_MAX = 20;
/** A connection is told of so long before it lapses, and a failed job so long after it ended. */
export const NOTIFIED_DAYS = 7;
/** Of the projects that wait for a connection, so many are named. */
export const WAITING_PROJECTS_MAX = 3;

const time = z.iso.datetime();

export const notification = z.discriminatedUnion("kind", [
  /** Microsoft asks for a new sign-in; the projects that need it are `auth_required` until then. */
  z.object({
    kind: z.literal("connection_refused"),
    connectionId,
    name: z.string(),
    at: time,
    projects: z.array(z.object({ id: projectId, name: z.string() })),
    projectCount: z.int(),
  }),
  /** `at` may be over. */
  z.object({ kind: z.literal("connection_lapses"), connectionId, name: z.string(), at: time }),
  /** `offline` only with jobs that wait for it. */
  z.object({
    kind: z.literal("agent"),
    agentId,
    name: z.string(),
    status: z.enum(["pending", "locked", "offline"]),
    lastSeenAt: time.nullable(),
    activeJobCount: z.int(),
  }),
  z.object({
    kind: z.literal("job_failed"),
    jobId,
    name: z.string(),
    clientName: z.string(),
    at: time,
    error: jobError.nullable(),
  }),
]);
export type Notification = z.infer<typeof notification>;

export const notifications = z.object({
  items: z.array(notification),
  /** There are more of some kind than are told. */
  more: z.boolean(),
});
export type Notifications = z.infer<typeof notifications>;
