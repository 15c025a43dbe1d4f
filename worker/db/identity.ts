/**
 * The questions that come before there is an organization: who a sign-in token, a session or a registration code belongs
 * to. One of the two files that may ask D1 without a scope.
 */
import { and, eq, gt, isNull, lt } from "drizzle-orm";
import type { Role } from "../../schema/api.ts";
import { systemDb } from "../../schema/scoped-db.ts";
import {
  organizations,
  registrationCodes,
  sessions,
  signInRefusals,
  usedTokens,
  users,
} from "../../schema/tables.ts";
import type { HubIdentity } from "../auth/hub-token.ts";
import { USED_TOKEN_MS } from "../auth/hub-token.ts";
import { sha256Hex } from "../secrets.ts";
import { makeId } from "./ids.ts";

export const SESSION_IDLE_MS = 8 * 3_600_000;
export const SESSION_MS_MAX = 24 * 3_600_000;
/** How exactly idleness is known; each step is a row written. */
const SEEN_STEP_MS = 5 * 60_000;

export interface SignedIn {
  readonly sessionId: string;
  readonly orgId: string;
  readonly orgName: string;
  readonly userId: string;
  readonly userName: string;
  readonly email: string;
  readonly role: Role;
  readonly expiresAtMs: number;
}

/** Uses up a token; false when it was used before. One insert decides, however many try at once. */
export async function consumeToken(database: D1Database, jti: string, nowMs: number): Promise<boolean> {
  const db = systemDb(database);
  const row = { jtiHash: await sha256Hex(jti), expiresAt: nowMs + USED_TOKEN_MS };
  const [, inserted] = await db.batch([
    db.delete(usedTokens).where(lt(usedTokens.expiresAt, nowMs)),
    db.insert(usedTokens).values(row).onConflictDoNothing(),
  ]);
  return inserted.meta.changes === 1;
}

export async function recordRefusal(
  database: D1Database,
  refusal: { reason: string; jti: string | null; address: string | null; nowMs: number },
): Promise<void> {
  await systemDb(database)
    .insert(signInRefusals)
    .values({
      id: makeId("audit"),
      at: refusal.nowMs,
      reason: refusal.reason,
      jtiHash: refusal.jti === null ? null : await sha256Hex(refusal.jti),
      address: refusal.address,
    });
}

/** Creates or updates organization and user as the token tells them. A user is known by issuer and Hub id, never by e-mail. */
export async function signIn(
  database: D1Database,
  identity: HubIdentity,
  tokenHash: string,
  nowMs: number,
): Promise<{ orgId: string; userId: string }> {
  const db = systemDb(database);
  const { issuer, tenantId: hubTenantId, tenantSlug: slug, tenantName } = identity;
  const [organization] = await db
    .insert(organizations)
    .values({ orgId: makeId("organization"), issuer, hubTenantId, slug, name: tenantName, createdAt: nowMs })
    .onConflictDoUpdate({
      target: [organizations.issuer, organizations.hubTenantId],
      set: { slug, name: tenantName },
    })
    .returning({ orgId: organizations.orgId });
  const orgId = (organization as { orgId: string }).orgId;
  const { hubUserId, name, email, role } = identity;
  const [user] = await db
    .insert(users)
    .values({
      orgId,
      id: makeId("user"),
      issuer,
      hubUserId,
      name,
      email,
      role,
      createdAt: nowMs,
      updatedAt: nowMs,
    })
    .onConflictDoUpdate({
      target: [users.orgId, users.issuer, users.hubUserId],
      set: { name, email, role, updatedAt: nowMs },
    })
    .returning({ id: users.id });
  const userId = (user as { id: string }).id;
  await db.insert(sessions).values({
    orgId,
    id: makeId("session"),
    userId,
    tokenHash,
    createdAt: nowMs,
    lastSeenAt: nowMs,
    expiresAt: nowMs + SESSION_MS_MAX,
  });
  return { orgId, userId };
}

/** Whose session this is, with the role as it is now; null when it lapsed, idled out or was revoked. */
export async function findSession(
  database: D1Database,
  tokenHash: string,
  nowMs: number,
): Promise<SignedIn | null> {
  const db = systemDb(database);
  const [row] = await db
    .select({
      sessionId: sessions.id,
      orgId: sessions.orgId,
      orgName: organizations.name,
      userId: users.id,
      userName: users.name,
      email: users.email,
      role: users.role,
      expiresAtMs: sessions.expiresAt,
      lastSeenAt: sessions.lastSeenAt,
    })
    .from(sessions)
    .innerJoin(users, and(eq(users.orgId, sessions.orgId), eq(users.id, sessions.userId)))
    .innerJoin(organizations, eq(organizations.orgId, sessions.orgId))
    .where(
      and(
        eq(sessions.tokenHash, tokenHash),
        isNull(sessions.revokedAt),
        gt(sessions.expiresAt, nowMs),
        gt(sessions.lastSeenAt, nowMs - SESSION_IDLE_MS),
      ),
    );
  if (row === undefined) return null;
  const { lastSeenAt, ...signedIn } = row;
  if (nowMs - lastSeenAt >= SEEN_STEP_MS) {
    await db.update(sessions).set({ lastSeenAt: nowMs }).where(eq(sessions.tokenHash, tokenHash));
  }
  return signedIn;
}

export interface AgentFacts {
  readonly name: string;
  readonly host: string;
  readonly os: string;
  readonly arch: string;
  readonly version: string;
}

/**
 * Uses up a registration code and makes its agent, together or not at all; null when the code is unknown, used, lapsed
 * or revoked. The second statement's condition is the first one's, so a code makes one agent however many try at once.
 */
export async function registerAgent(
  database: D1Database,
  codeHash: string,
  facts: AgentFacts,
  nowMs: number,
): Promise<{ orgId: string; orgName: string; agentId: string } | null> {
  const db = systemDb(database);
  const agentId = makeId("agent");
  // By hand, because drizzle cannot put an `insert … select` into a batch.
  const open = "code_hash = ?1 and used_at is null and revoked_at is null and expires_at > ?2";
  const insert = database.prepare(`
    insert into agents (org_id, id, name, host, os, arch, version, label, status, created_at)
    select org_id, ?3, ?4, ?5, ?6, ?7, ?8, label, 'offline', ?2 from registration_codes where ${open}`);
  const use = database.prepare(`update registration_codes set used_at = ?2, agent_id = ?3 where ${open}`);
  await database.batch([
    insert.bind(codeHash, nowMs, agentId, facts.name, facts.host, facts.os, facts.arch, facts.version),
    use.bind(codeHash, nowMs, agentId),
  ]);
  const [made] = await db
    .select({ orgId: registrationCodes.orgId, orgName: organizations.name })
    .from(registrationCodes)
    .innerJoin(organizations, eq(organizations.orgId, registrationCodes.orgId))
    .where(and(eq(registrationCodes.codeHash, codeHash), eq(registrationCodes.agentId, agentId)));
  return made === undefined ? null : { ...made, agentId };
}
