/**
 * Connections that work with somebody's Microsoft sign-in: made, connected anew, refreshed, refused. A secret that rests is
 * replaced only while it is the one that was read, so that a slow request never undoes what a quicker one did.
 */
import { and, eq, isNull } from "drizzle-orm";
import { connectionRefused } from "../../durable-objects/happenings.ts";
import type { Connection } from "../../schema/api.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { storageConnections } from "../../schema/tables.ts";
import type { Tokens } from "../azure/entra.ts";
import type { SealedSecret } from "../azure/storage-account.ts";
import { seal } from "../secrets.ts";
import { audit, auditIfChanged, type Actor } from "./audit.ts";
import { isStill, placeOf, readConnection } from "./connections.ts";
import { createOnce } from "./create.ts";
import { makeId } from "./ids.ts";
import { endConsent } from "./oauth-states.ts";

/** Who consented, with tokens of the Blob service. */
export interface Consented {
  readonly tenantId: string;
  readonly principal: string;
  readonly tokens: Tokens;
}

export async function createOauthConnection(
  db: ScopedDb,
  actor: Actor & { id: string },
  keys: string | undefined,
  made: Consented & {
    readonly consentId: string;
    readonly name: string;
    readonly account: string;
    readonly blobEndpoint: string;
    /** Null where nobody could tell. */
    readonly hierarchical: boolean | null;
    readonly idempotencyKey: string | null;
  },
): Promise<Connection> {
  const id = makeId("connection");
  const { tenantId, principal, account } = made;
  const nowMs = Date.now();
  const row = {
    id,
    name: made.name,
    kind: "oauth" as const,
    account,
    blobEndpoint: made.blobEndpoint,
    container: null,
    sealedSecret: await sealTokens(db, keys, id, made.tokens),
    expiresAt: null,
    tenantId,
    principal,
    hierarchical: made.hierarchical,
    refreshedAt: nowMs,
    createdBy: actor.id,
    createdAt: nowMs,
    idempotencyKey: made.idempotencyKey,
  };
  const details = { account, kind: row.kind, tenantId, principal };
  const entry = audit(db, actor, "storage.connected", id, details);
  const kept = await createOnce(db, storageConnections, row, entry);
  await db.batch([endConsent(db, made.consentId)]);
  return await readConnection(db, kept);
}

/** A new sign-in for a connection there is; what was refused goes on. */
export async function reconnect(
  db: ScopedDb,
  actor: Actor,
  keys: string | undefined,
  { id, consentId, ...consented }: Consented & { readonly id: string; readonly consentId: string },
): Promise<void> {
  const { tenantId, principal } = consented;
  const sealedSecret = await sealTokens(db, keys, id, consented.tokens);
  const set = { sealedSecret, tenantId, principal, refusedAt: null, refreshedAt: Date.now() };
  await db.batch([
    db.update(storageConnections, set, eq(storageConnections.id, id)),
    auditIfChanged(db, actor, "storage.reconnected", id, { tenantId, principal }),
    endConsent(db, consentId),
  ]);
}

/** Keeps what a refresh brought; false when the connection has another secret by now. */
export async function keepRefreshed(
  db: ScopedDb,
  keys: string | undefined,
  { id, sealed, tokens }: { id: string; sealed: string; tokens: Tokens },
): Promise<boolean> {
  const set = {
    sealedSecret: await sealTokens(db, keys, id, tokens),
    refreshedAt: Date.now(),
    refusedAt: null,
  };
  const [changed] = await db.batch([db.update(storageConnections, set, isStill(id, sealed))]);
  return changed === 1;
}

/** Microsoft wants a new sign-in; false when the connection has another secret by now. */
export async function refuseConnection(
  db: ScopedDb,
  { id, sealed, reason }: { id: string; sealed: string; reason: string },
): Promise<boolean> {
  const isNew = and(isStill(id, sealed), isNull(storageConnections.refusedAt));
  const system = { kind: "system", id: null, address: null } as const;
  const nowMs = Date.now();
  const [changed] = await db.batch([
    db.update(storageConnections, { refusedAt: nowMs }, isNew),
    auditIfChanged(db, system, "storage.refused", id, { reason }),
    connectionRefused(db, id, nowMs),
  ]);
  return changed === 1;
}

function sealTokens(db: ScopedDb, keys: string | undefined, id: string, tokens: Tokens): Promise<string> {
  const secret: SealedSecret = {
    kind: "oauth",
    refreshToken: tokens.refreshToken,
    access: { token: tokens.accessToken, expiresAtMs: tokens.expiresAtMs },
  };
  return seal(keys, placeOf(db, id), JSON.stringify(secret));
}
