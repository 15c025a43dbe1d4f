/**
 * The questions that come before there is an organization: who a sign-in token, a session or a registration code belongs
 * to. One of the two files that may ask D1 without a scope.
 */
import { and, eq, gt, isNull, lt } from "drizzle-orm";
import type { Role } from "../../schema/api.ts";
import { redact } from "../../schema/redact.ts";
import { scopedDb, systemDb, type Write } from "../../schema/scoped-db.ts";
import {
  apiKeys,
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
import { audit, type Actor } from "./audit.ts";
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
  browser: { readonly tokenHash: string; readonly address: string | null; readonly userAgent: string | null },
  nowMs: number,
): Promise<void> {
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
  const known = and(eq(users.orgId, orgId), eq(users.issuer, issuer), eq(users.hubUserId, hubUserId));
  const [earlier] = await db.select({ role: users.role }).from(users).where(known);
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
  const { tokenHash, address, userAgent } = browser;
  const scoped = scopedDb(database, orgId);
  const actor: Actor = { kind: "user", id: userId, address };
  const sessionId = makeId("session");
  const changes: Write[] =
    earlier === undefined || earlier.role === role
      ? []
      : [audit(scoped, actor, "role.changed", userId, { from: earlier.role, to: role })];
  await scoped.batch([
    scoped.insert(sessions, {
      id: sessionId,
      userId,
      tokenHash,
      address,
      userAgent: userAgent === null ? null : printable(userAgent),
      createdAt: nowMs,
      lastSeenAt: nowMs,
      expiresAt: nowMs + SESSION_MS_MAX,
    }),
    audit(scoped, actor, "session.began", userId, { sessionId, jtiHash: await sha256Hex(identity.jti) }),
    ...changes,
  ]);
}

const USER_AGENT_LENGTH_MAX = 300;

/** A header is what somebody sent: it is shown to people, so without what acts on a screen or is a secret. */
function printable(text: string): string {
  return redact(text.replaceAll(/[\p{Cc}\p{Cf}]/gu, " ")).slice(0, USER_AGENT_LENGTH_MAX);
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

/** How exactly the last use of a key is known; each step is a row written. */
const USED_STEP_MS = 60_000;

/** The API key there is with this hash, as the person who made it with the key's role; null when it lapsed or was revoked. */
export async function findApiKey(
  database: D1Database,
  keyHash: string,
  nowMs: number,
): Promise<{ apiKeyId: string; user: SignedIn } | null> {
  const db = systemDb(database);
  const [row] = await db
    .select({
      id: apiKeys.id,
      orgId: apiKeys.orgId,
      orgName: organizations.name,
      name: apiKeys.name,
      role: apiKeys.role,
      createdBy: apiKeys.createdBy,
      expiresAt: apiKeys.expiresAt,
      lastUsedAt: apiKeys.lastUsedAt,
    })
    .from(apiKeys)
    .innerJoin(organizations, eq(organizations.orgId, apiKeys.orgId))
    .where(and(eq(apiKeys.keyHash, keyHash), isNull(apiKeys.revokedAt)));
  if (row === undefined || (row.expiresAt !== null && row.expiresAt <= nowMs)) return null;
  if (row.lastUsedAt === null || nowMs - row.lastUsedAt >= USED_STEP_MS) {
    await db.update(apiKeys).set({ lastUsedAt: nowMs }).where(eq(apiKeys.keyHash, keyHash));
  }
  const { orgId, orgName, role } = row;
  const expiresAtMs = row.expiresAt ?? Number.MAX_SAFE_INTEGER;
  // No session and no mail: the routes that show those are for people only.
  const user = { sessionId: "", orgId, orgName, userId: row.createdBy, userName: row.name, email: "", role };
  return { apiKeyId: row.id, user: { ...user, expiresAtMs } };
}

export interface AgentFacts {
  readonly name: string;
  readonly host: string;
  readonly os: string;
  readonly arch: string;
  readonly version: string;
  /** Where it registered from. */
  readonly address: string | null;
  /** `pending`: it waits for an admin to approve it. */
  readonly status: "offline" | "pending";
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
    select org_id, ?3, ?4, ?5, ?6, ?7, ?8, label, ?9, ?2 from registration_codes where ${open}`);
  const use = database.prepare(`update registration_codes set used_at = ?2, agent_id = ?3 where ${open}`);
  const log = database.prepare(`
    insert into audit_log (org_id, id, at, actor_kind, actor_id, address, action, object_id, details)
    select org_id, ?4, ?2, 'agent', ?3, ?5, 'agent.registered', ?3, json_object('codeId', id)
    from registration_codes where code_hash = ?1 and agent_id = ?3`);
  // Of a code that never was nobody knows whose it could be.
  const refuse = database.prepare(`
    insert into audit_log (org_id, id, at, actor_kind, actor_id, address, action, object_id, details)
    select org_id, ?4, ?2, 'system', null, ?5, 'code.refused', id, json_object('reason',
      case when revoked_at is not null then 'revoked' when used_at is not null then 'used' else 'expired' end)
    from registration_codes where code_hash = ?1 and agent_id is not ?3`);
  await database.batch([
    insert.bind(
      codeHash,
      nowMs,
      agentId,
      facts.name,
      facts.host,
      facts.os,
      facts.arch,
      facts.version,
      facts.status,
    ),
    use.bind(codeHash, nowMs, agentId),
    log.bind(codeHash, nowMs, agentId, makeId("audit"), facts.address),
    refuse.bind(codeHash, nowMs, agentId, makeId("audit"), facts.address),
  ]);
  const [made] = await db
    .select({ orgId: registrationCodes.orgId, orgName: organizations.name })
    .from(registrationCodes)
    .innerJoin(organizations, eq(organizations.orgId, registrationCodes.orgId))
    .where(and(eq(registrationCodes.codeHash, codeHash), eq(registrationCodes.agentId, agentId)));
  return made === undefined ? null : { ...made, agentId };
}
