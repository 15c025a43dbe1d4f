import { and, asc, desc, eq, sql } from "drizzle-orm";
import type { Connection, Page } from "../../schema/api.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { oauthStates, projects, storageConnections } from "../../schema/tables.ts";
import type { PastedSecret, SealedSecret, StorageAccount } from "../azure/storage-account.ts";
import { notFound, Problem } from "../problems.ts";
import { isSealedUnderNewest, seal, unseal, type SealedPlace } from "../secrets.ts";
import { audit, auditIfChanged, type Actor } from "./audit.ts";
import { createOnce } from "./create.ts";
import { makeId } from "./ids.ts";
import { behind, iso, isoOrNull, limitOf, pageOfRows, type PageQuery } from "./paging.ts";

/** Enough to know whether there is more than one. */
const USERS_NAMED_MAX = 2;

/** No column of the secret: only {@link openConnection} reads it. */
const FIELDS = {
  id: storageConnections.id,
  name: storageConnections.name,
  kind: storageConnections.kind,
  account: storageConnections.account,
  blobEndpoint: storageConnections.blobEndpoint,
  container: storageConnections.container,
  expiresAt: storageConnections.expiresAt,
  tenantId: storageConnections.tenantId,
  principal: storageConnections.principal,
  hierarchical: storageConnections.hierarchical,
  refusedAt: storageConnections.refusedAt,
  refreshedAt: storageConnections.refreshedAt,
  createdAt: storageConnections.createdAt,
};

export async function listConnections(db: ScopedDb, query: PageQuery): Promise<Page<Connection>> {
  const where = behind(storageConnections.id, query);
  const options = { where, orderBy: desc(storageConnections.id), limit: limitOf(query) };
  return pageOfRows(await db.select(FIELDS, storageConnections, options), query, show);
}

export async function readConnection(db: ScopedDb, id: string): Promise<Connection> {
  const row = await db.first(FIELDS, storageConnections, { where: eq(storageConnections.id, id) });
  if (row === null) throw notFound();
  return show(row);
}

/** Only one that no project uses: its secret goes with it, and nothing could be moved or read back any more. */
export async function deleteConnection(db: ScopedDb, actor: Actor, id: string): Promise<void> {
  const { name, account } = await readConnection(db, id);
  const isUnused = sql`not exists (select 1 from projects p where p.org_id = ${db.orgId} and p.connection_id = ${id})`;
  const [removed] = await db.batch([
    db.delete(storageConnections, sql`${eq(storageConnections.id, id)} and ${isUnused}`),
    auditIfChanged(db, actor, "storage.deleted", id, { name, account }),
    // Somebody may be at Microsoft just now, to connect it anew.
    db.delete(oauthStates, sql`${eq(oauthStates.connectionId, id)} and ${isUnused}`),
  ]);
  if (removed !== 0) return;
  const [first, ...others] = await db.select({ name: projects.name }, projects, {
    where: eq(projects.connectionId, id),
    orderBy: asc(projects.id),
    limit: USERS_NAMED_MAX,
  });
  // Deleted by somebody else in this moment.
  if (first === undefined) throw notFound();
  const more = others.length === 0 ? "" : " and by others";
  throw new Problem(
    "CONFLICT",
    `The connection is used by the project "${first.name}"${more}; choose another connection there first`,
  );
}

export async function createConnection(
  db: ScopedDb,
  actor: Actor & { id: string },
  keys: string | undefined,
  name: string,
  account: StorageAccount<PastedSecret>,
  idempotencyKey: string | null,
): Promise<Connection> {
  const id = makeId("connection");
  const { secret } = account;
  const row = {
    id,
    name,
    kind: secret.kind,
    account: account.account,
    blobEndpoint: account.blobEndpoint,
    container: account.container,
    sealedSecret: await seal(keys, placeOf(db, id), JSON.stringify(secret)),
    expiresAt: account.expiresAtMs,
    createdBy: actor.id,
    createdAt: Date.now(),
    idempotencyKey,
  };
  const entry = audit(db, actor, "storage.connected", id, { account: account.account, kind: secret.kind });
  return await readConnection(db, await createOnce(db, storageConnections, row, entry));
}

/** A connection with its secret. It must not leave the Worker. */
export interface OpenedConnection extends StorageAccount<SealedSecret> {
  /** The secret as it rests, by which it is known whether somebody else has changed it since. */
  readonly sealed: string;
  readonly tenantId: string | null;
  readonly principal: string | null;
  readonly hierarchical: boolean;
  readonly refusedAtMs: number | null;
}

/** What was sealed under an older key of the ring is sealed anew. */
export async function openConnection(
  db: ScopedDb,
  keys: string | undefined,
  id: string,
): Promise<OpenedConnection> {
  const fields = { ...FIELDS, sealedSecret: storageConnections.sealedSecret };
  const row = await db.first(fields, storageConnections, { where: eq(storageConnections.id, id) });
  if (row === null) throw notFound();
  const text = await unseal(keys, placeOf(db, id), row.sealedSecret);
  return {
    sealed: await renewSeal(db, keys, { id, text, sealed: row.sealedSecret }),
    tenantId: row.tenantId,
    principal: row.principal,
    hierarchical: row.hierarchical === true,
    refusedAtMs: row.refusedAt,
    account: row.account,
    blobEndpoint: row.blobEndpoint,
    container: row.container,
    expiresAtMs: row.expiresAt,
    secret: JSON.parse(text) as SealedSecret,
  };
}

async function renewSeal(
  db: ScopedDb,
  keys: string | undefined,
  { id, text, sealed }: { id: string; text: string; sealed: string },
): Promise<string> {
  if (isSealedUnderNewest(keys, sealed)) return sealed;
  const anew = await seal(keys, placeOf(db, id), text);
  const [changed] = await db.batch([
    db.update(storageConnections, { sealedSecret: anew }, isStill(id, sealed)),
  ]);
  return changed === 1 ? anew : sealed;
}

/** The connection, if its secret is the one that was read. */
export function isStill(id: string, sealed: string) {
  return and(eq(storageConnections.id, id), eq(storageConnections.sealedSecret, sealed));
}

export function placeOf(db: ScopedDb, id: string): SealedPlace {
  return { table: "storage_connections", column: "sealed_secret", orgId: db.orgId, id };
}

type ConnectionRow = Omit<Connection, "createdAt" | "expiresAt" | "consent"> & {
  createdAt: number;
  expiresAt: number | null;
  tenantId: string | null;
  principal: string | null;
  hierarchical: boolean | null;
  refusedAt: number | null;
  refreshedAt: number | null;
};

function show(row: ConnectionRow): Connection {
  const { tenantId, principal, hierarchical, refusedAt, refreshedAt, ...rest } = row;
  const shown = { ...rest, createdAt: iso(row.createdAt), expiresAt: isoOrNull(row.expiresAt) };
  if (tenantId === null || principal === null) return shown;
  const times = { refusedAt: isoOrNull(refusedAt), refreshedAt: isoOrNull(refreshedAt) };
  return { ...shown, consent: { tenantId, principal, hierarchical, ...times } };
}
