/** Sessions that are alive, their end before their time, and the organization's people. */
import { and, desc, eq, gt, isNull, ne, sql, type SQL } from "drizzle-orm";
import type { Page } from "../../schema/api.ts";
import { ID_RANDOM_BYTES, newId } from "../../schema/ids.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import type { Member, SessionEntry } from "../../schema/sessions.ts";
import { sessions, users } from "../../schema/tables.ts";
import { notFound } from "../problems.ts";
import { auditIfChanged, type Actor } from "./audit.ts";
import { SESSION_IDLE_MS, SESSION_MS_MAX } from "./identity.ts";
import { behind, iso, isoOrNull, limitOf, pageOfRows, type PageQuery } from "./paging.ts";

/** Whose live sockets are closed at once; those of others close within a minute. */
const SESSIONS_TOLD_MAX = 100;

const FIELDS = {
  id: sessions.id,
  userId: users.id,
  name: users.name,
  email: users.email,
  address: sessions.address,
  userAgent: sessions.userAgent,
  createdAt: sessions.createdAt,
  lastSeenAt: sessions.lastSeenAt,
  expiresAt: sessions.expiresAt,
};

export interface SessionsOf {
  /** Whose; null = everybody's. */
  readonly userId: string | null;
  /** The one that asks. */
  readonly currentId: string;
}

export async function listSessions(
  db: ScopedDb,
  of: SessionsOf,
  query: PageQuery,
): Promise<Page<SessionEntry>> {
  const rows = await db.select(FIELDS, sessions, {
    join: [{ table: users, on: eq(users.id, sessions.userId) }],
    where: and(alive(Date.now()), ofUser(of.userId), behind(sessions.id, query)),
    orderBy: desc(sessions.id),
    limit: limitOf(query),
  });
  return pageOfRows(rows, query, ({ id, userId, name, email, address, userAgent, ...times }) => ({
    id,
    current: id === of.currentId,
    user: { id: userId, name, email },
    address,
    userAgent,
    beganAt: iso(times.createdAt),
    lastSeenAt: iso(times.lastSeenAt),
    expiresAt: iso(times.expiresAt),
  }));
}

/** Ends one session. With `userId`, only if it is theirs; another's is then the same as none. */
export async function revokeSession(
  db: ScopedDb,
  actor: Actor,
  id: string,
  userId: string | null,
): Promise<void> {
  const where = and(eq(sessions.id, id), ofUser(userId));
  const row = await db.first({ userId: sessions.userId }, sessions, { where });
  if (row === null) throw notFound();
  await db.batch([
    db.update(sessions, { revokedAt: Date.now() }, and(where, isNull(sessions.revokedAt))),
    auditIfChanged(db, actor, "session.revoked", id, { userId: row.userId }),
  ]);
}

/** Ends all sessions of the asker but the one that asks; resolves with how many, and with the ids of the newest of them. */
export async function revokeOthers(
  db: ScopedDb,
  actor: Actor & { id: string },
  currentId: string,
): Promise<{ readonly revoked: number; readonly ids: readonly string[] }> {
  const nowMs = Date.now();
  const others = and(eq(sessions.userId, actor.id), ne(sessions.id, currentId), alive(nowMs));
  const [revoked = 0] = await db.batch([
    db.update(sessions, { revokedAt: nowMs }, others),
    auditIfChanged(db, actor, "session.others_revoked", actor.id),
  ]);
  const rows = await db.select({ id: sessions.id }, sessions, {
    where: and(eq(sessions.userId, actor.id), eq(sessions.revokedAt, nowMs)),
    orderBy: desc(sessions.id),
    limit: SESSIONS_TOLD_MAX,
  });
  return { revoked, ids: rows.map(({ id }) => id) };
}

export async function listMembers(db: ScopedDb, query: PageQuery): Promise<Page<Member>> {
  const rows = await db.select(MEMBER_FIELDS, users, {
    where: behind(users.id, query),
    orderBy: desc(users.id),
    limit: limitOf(query),
  });
  return pageOfRows(rows, query, (row) => ({ ...row, lastSeenAt: isoOrNull(row.lastSeenAt) }));
}

/** Among the last few begun: somebody may have thousands in a day. */
const MEMBER_FIELDS = {
  id: users.id,
  name: users.name,
  email: users.email,
  role: users.role,
  lastSeenAt: sql<
    number | null
  >`(select max(l.last_seen_at) from (select s.last_seen_at from sessions s where s.org_id = "users"."org_id" and s.user_id = "users"."id" order by s.id desc limit 10) l)`,
};

/** No session is older than a day, and ids sort by time, so only the newest rows are looked at. */
function alive(nowMs: number): SQL | undefined {
  const oldest = newId("session", nowMs - SESSION_MS_MAX, new Uint8Array(ID_RANDOM_BYTES));
  return and(
    gt(sessions.id, oldest),
    isNull(sessions.revokedAt),
    gt(sessions.expiresAt, nowMs),
    gt(sessions.lastSeenAt, nowMs - SESSION_IDLE_MS),
  );
}

function ofUser(userId: string | null): SQL | undefined {
  return userId === null ? undefined : eq(sessions.userId, userId);
}
