/** Who is signed in where, and who belongs to the organization, as the API tells it. */
import * as z from "zod";
import { listQuery, pageOf, role } from "./api.ts";
import { sessionId, userId } from "./ids.ts";

const time = z.iso.datetime();

/** `all=1`: those of everybody, for admins. */
export const sessionQuery = listQuery.extend({ all: z.literal("1").optional() });

export const sessionEntry = z.object({
  id: sessionId,
  /** Whether it is the one that asks. */
  current: z.boolean(),
  user: z.object({ id: userId, name: z.string(), email: z.string() }),
  /** Where it was begun; null for one begun before that was kept. */
  address: z.string().nullable(),
  userAgent: z.string().nullable(),
  beganAt: time,
  lastSeenAt: time,
  expiresAt: time,
});
export type SessionEntry = z.infer<typeof sessionEntry>;
export const sessionPage = pageOf(sessionEntry);

export const sessionsRevoked = z.object({ revoked: z.int() });
export type SessionsRevoked = z.infer<typeof sessionsRevoked>;

export const member = z.object({
  id: userId,
  name: z.string(),
  email: z.string(),
  role,
  /** When one of the newest sessions was used last. */
  lastSeenAt: time.nullable(),
});
export type Member = z.infer<typeof member>;
export const memberPage = pageOf(member);
