/**
 * Whose session each live socket belongs to, and whether that still holds. A socket is looked at once a minute, with one
 * question for all that are due, and closed when its session ended or its user's role is another one now.
 */
import { and, eq, gt, inArray, isNull } from "drizzle-orm";
import type { Role } from "../schema/api.ts";
import { LIVE_CLOSE } from "../schema/live.ts";
import { scopedDb, type ScopedDb } from "../schema/scoped-db.ts";
import { sessions, users } from "../schema/tables.ts";
import { ORG_HEADER, ROLE_HEADER, SESSION_HEADER } from "./socket-headers.ts";

/** How late an ended session or a changed role is noticed at a socket that is open: within a minute. */
const CHECK_SECONDS = 55;
/** After a look that failed. */
const CHECK_AGAIN_MS = 5_000;
/** D1 binds no more than a hundred values in one question. */
const IDS_MAX = 80;

/** Part of what is remembered with a viewer's socket, also while the object hibernates. */
export interface ViewerSession {
  readonly orgId: string;
  readonly sessionId: string;
  readonly role: string;
  readonly checkMs: number;
}

export interface ViewerSessionEnv {
  readonly DB: D1Database;
  /** How often a live socket's session is looked at; 55 unless said. */
  readonly LIVE_CHECK_SECONDS?: string;
}

/** As the Worker tells it, which has looked at the session a moment ago. */
export function viewerSessionOf(headers: Headers, env: ViewerSessionEnv, nowMs: number): ViewerSession {
  return {
    orgId: headers.get(ORG_HEADER) ?? "",
    sessionId: headers.get(SESSION_HEADER) ?? "",
    role: headers.get(ROLE_HEADER) ?? "",
    checkMs: nowMs + checkEveryMs(env),
  };
}

export function sessionOfSocket(socket: WebSocket): ViewerSession {
  return socket.deserializeAttachment() as ViewerSession;
}

/** Looks at the sockets that are due, and closes those whose session does not hold. */
export async function checkSockets(
  sockets: readonly WebSocket[],
  env: ViewerSessionEnv,
  nowMs: number,
): Promise<void> {
  const due = sockets.filter((socket) => sessionOfSocket(socket).checkMs <= nowMs);
  const [first] = due;
  if (first === undefined) return;
  const ids = [...new Set(due.map((socket) => sessionOfSocket(socket).sessionId))];
  let roles: Map<string, Role>;
  try {
    // All viewers of an object are of one organization: it was asked for when they came.
    roles = await rolesOf(scopedDb(env.DB, sessionOfSocket(first).orgId), ids, nowMs);
  } catch (error) {
    console.error(JSON.stringify({ event: "session_check_failed", reason: String(error) }));
    for (const socket of due) checkAgain(socket, nowMs + CHECK_AGAIN_MS);
    return;
  }
  for (const socket of due) {
    const session = sessionOfSocket(socket);
    const role = roles.get(session.sessionId);
    if (role === undefined) socket.close(LIVE_CLOSE.signedOut, "signed out");
    else if (role !== session.role) socket.close(LIVE_CLOSE.checkSession, "role changed");
    else checkAgain(socket, nowMs + checkEveryMs(env));
  }
}

function checkEveryMs({ LIVE_CHECK_SECONDS }: ViewerSessionEnv): number {
  return (Number(LIVE_CHECK_SECONDS ?? CHECK_SECONDS) || CHECK_SECONDS) * 1_000;
}

function checkAgain(socket: WebSocket, checkMs: number): void {
  socket.serializeAttachment({ ...sessionOfSocket(socket), checkMs });
}

/** Closes the sockets of sessions that were ended this moment. */
export function closeSocketsOf(sockets: readonly WebSocket[], sessionIds: readonly string[]): void {
  for (const socket of sockets) {
    if (sessionIds.includes(sessionOfSocket(socket).sessionId))
      socket.close(LIVE_CLOSE.signedOut, "signed out");
  }
}

/** When the next look is due; null without sockets. */
export function nextCheckMs(sockets: readonly WebSocket[]): number | null {
  const due = sockets.map((socket) => sessionOfSocket(socket).checkMs);
  return due.length === 0 ? null : Math.min(...due);
}

/** The roles of those sessions that hold. */
async function rolesOf(db: ScopedDb, ids: readonly string[], nowMs: number): Promise<Map<string, Role>> {
  const parts: string[][] = [];
  for (let from = 0; from < ids.length; from += IDS_MAX) parts.push(ids.slice(from, from + IDS_MAX));
  const rows = await Promise.all(
    parts.map((part) =>
      db.select({ id: sessions.id, role: users.role }, sessions, {
        join: [{ table: users, on: eq(users.id, sessions.userId) }],
        where: and(inArray(sessions.id, part), isNull(sessions.revokedAt), gt(sessions.expiresAt, nowMs)),
      }),
    ),
  );
  return new Map(rows.flat().map(({ id, role }) => [id, role]));
}
