/**
 * Consents on their way: begun, brought back once within ten minutes by the same session, and kept with their tokens for
 * half an hour until an account was chosen. Of `state` only the hash is kept; verifier and tokens rest sealed, bound to
 * their row and column.
 */
import { and, eq, gt, isNotNull, isNull, lt } from "drizzle-orm";
import * as z from "zod";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { oauthStates } from "../../schema/tables.ts";
import { notFound } from "../problems.ts";
import { seal, sha256Hex, unseal } from "../secrets.ts";
import { audit, type Actor } from "./audit.ts";
import { makeId } from "./ids.ts";

export const STATE_MS = 10 * 60_000;
export const PENDING_MS = 30 * 60_000;

/** What only this attempt knows. */
export interface Attempt {
  readonly verifier: string;
  readonly nonce: string;
  readonly redirectUri: string;
  /** The tenant it is held to; null = any. */
  readonly tenantId: string | null;
}

/** A sign-in that came back and waits for the choice of an account. */
export interface Pending {
  readonly refreshToken: string;
  readonly management: { readonly token: string; readonly expiresAtMs: number } | null;
  readonly tenantId: string;
  readonly principal: string;
}

const attemptShape = z.object({
  verifier: z.string(),
  nonce: z.string(),
  redirectUri: z.string(),
  tenantId: z.string().nullable(),
});
const pendingShape = z.object({
  refreshToken: z.string(),
  management: z.object({ token: z.string(), expiresAtMs: z.number() }).nullable(),
  tenantId: z.string(),
  principal: z.string(),
});

export async function beginConsent(
  db: ScopedDb,
  actor: Actor & { id: string },
  keys: string | undefined,
  begun: { state: string; attempt: Attempt; sessionId: string; connectionId: string | null },
): Promise<{ id: string; expiresAtMs: number }> {
  const id = makeId("oauthState");
  const nowMs = Date.now();
  const expiresAtMs = nowMs + STATE_MS;
  const row = {
    id,
    stateHash: await sha256Hex(begun.state),
    sessionId: begun.sessionId,
    connectionId: begun.connectionId,
    sealedVerifier: await seal(keys, placeOf(db, id, "sealed_verifier"), JSON.stringify(begun.attempt)),
    createdAt: nowMs,
    expiresAt: expiresAtMs,
  };
  const details = { connectionId: begun.connectionId };
  await db.batch([db.insert(oauthStates, row), audit(db, actor, "storage.consent_begun", id, details)]);
  return { id, expiresAtMs };
}

export interface Returned {
  readonly id: string;
  readonly connectionId: string | null;
  readonly attempt: Attempt;
}

/**
 * Uses up a state; null when it is unknown, used, lapsed, or was begun in another session or organization. One update
 * decides, however many come at once.
 */
export async function takeState(
  db: ScopedDb,
  keys: string | undefined,
  { state, sessionId }: { state: string; sessionId: string },
): Promise<Returned | null> {
  const stateHash = await sha256Hex(state);
  const nowMs = Date.now();
  const isOurs = and(eq(oauthStates.stateHash, stateHash), eq(oauthStates.sessionId, sessionId));
  const isOpen = and(isOurs, isNull(oauthStates.usedAt), gt(oauthStates.expiresAt, nowMs));
  const [used] = await db.batch([db.update(oauthStates, { usedAt: nowMs }, isOpen)]);
  if (used !== 1) return null;
  const { id, connectionId, sealedVerifier } = oauthStates;
  const row = await db.first({ id, connectionId, sealedVerifier }, oauthStates, { where: isOurs });
  if (row === null) return null;
  const text = await unseal(keys, placeOf(db, row.id, "sealed_verifier"), row.sealedVerifier);
  return { id: row.id, connectionId: row.connectionId, attempt: attemptShape.parse(JSON.parse(text)) };
}

export async function keepPending(
  db: ScopedDb,
  actor: Actor,
  keys: string | undefined,
  { id, pending }: { id: string; pending: Pending },
): Promise<void> {
  const sealedTokens = await sealPending(db, keys, id, pending);
  const { tenantId, principal } = pending;
  await db.batch([
    db.update(oauthStates, { sealedTokens, expiresAt: Date.now() + PENDING_MS }, eq(oauthStates.id, id)),
    audit(db, actor, "storage.consented", id, { tenantId, principal }),
  ]);
}

export interface OpenedConsent {
  readonly id: string;
  readonly expiresAtMs: number;
  readonly pending: Pending;
  /** As it rests: what is done with it holds only while it is still that. */
  readonly sealed: string;
}

/** A pending consent, to the session that began it. */
export async function openConsent(
  db: ScopedDb,
  keys: string | undefined,
  { id, sessionId }: { id: string; sessionId: string },
): Promise<OpenedConsent> {
  const { sealedTokens, expiresAt } = oauthStates;
  const row = await db.first({ sealedTokens, expiresAt }, oauthStates, {
    where: and(
      eq(oauthStates.id, id),
      eq(oauthStates.sessionId, sessionId),
      isNotNull(oauthStates.sealedTokens),
      gt(oauthStates.expiresAt, Date.now()),
    ),
  });
  if (row === null || row.sealedTokens === null) throw notFound();
  const text = await unseal(keys, placeOf(db, id, "sealed_tokens"), row.sealedTokens);
  const pending = pendingShape.parse(JSON.parse(text));
  return { id, expiresAtMs: row.expiresAt, pending, sealed: row.sealedTokens };
}

/** Keeps refreshed tokens, unless somebody was quicker: then theirs are as good. */
export async function replacePending(
  db: ScopedDb,
  keys: string | undefined,
  consent: OpenedConsent,
  pending: Pending,
): Promise<void> {
  const sealedTokens = await sealPending(db, keys, consent.id, pending);
  await db.batch([db.update(oauthStates, { sealedTokens }, isStill(consent))]);
}

/** The write that ends a consent; its tokens live in a connection from now on. */
export function endConsent(db: ScopedDb, id: string) {
  return db.update(oauthStates, { sealedTokens: null, expiresAt: 0 }, eq(oauthStates.id, id));
}

/** The write that forgets tokens of consents nobody went on with, and a refused sign-in's. */
export function forgetLapsed(db: ScopedDb) {
  const isLapsed = and(isNotNull(oauthStates.sealedTokens), lt(oauthStates.expiresAt, Date.now()));
  return db.update(oauthStates, { sealedTokens: null }, isLapsed);
}

function isStill({ id, sealed }: OpenedConsent) {
  return and(eq(oauthStates.id, id), eq(oauthStates.sealedTokens, sealed));
}

function sealPending(db: ScopedDb, keys: string | undefined, id: string, pending: Pending): Promise<string> {
  return seal(keys, placeOf(db, id, "sealed_tokens"), JSON.stringify(pending));
}

function placeOf(db: ScopedDb, id: string, column: "sealed_verifier" | "sealed_tokens") {
  return { table: "oauth_states", column, orgId: db.orgId, id };
}
