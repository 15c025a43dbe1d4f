import { desc, eq } from "drizzle-orm";
import type { Connection, Page } from "../../schema/api.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { storageConnections } from "../../schema/tables.ts";
import type { StorageAccount, StorageSecret } from "../azure/storage-account.ts";
import { notFound } from "../problems.ts";
import { seal, unseal, type SealedPlace } from "../secrets.ts";
import { audit, type Actor } from "./audit.ts";
import { createOnce } from "./create.ts";
import { makeId } from "./ids.ts";
import { behind, iso, isoOrNull, limitOf, pageOfRows, type PageQuery } from "./paging.ts";

/** No column of the secret: only {@link openConnection} reads it. */
const FIELDS = {
  id: storageConnections.id,
  name: storageConnections.name,
  kind: storageConnections.kind,
  account: storageConnections.account,
  blobEndpoint: storageConnections.blobEndpoint,
  container: storageConnections.container,
  expiresAt: storageConnections.expiresAt,
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

export async function createConnection(
  db: ScopedDb,
  actor: Actor & { id: string },
  keys: string | undefined,
  name: string,
  account: StorageAccount,
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

/** The connection with its secret, for signing and asking. It must not leave the Worker. */
export async function openConnection(
  db: ScopedDb,
  keys: string | undefined,
  id: string,
): Promise<StorageAccount> {
  const fields = { ...FIELDS, sealedSecret: storageConnections.sealedSecret };
  const row = await db.first(fields, storageConnections, { where: eq(storageConnections.id, id) });
  if (row === null) throw notFound();
  const secret = JSON.parse(await unseal(keys, placeOf(db, id), row.sealedSecret)) as StorageSecret;
  return {
    account: row.account,
    blobEndpoint: row.blobEndpoint,
    container: row.container,
    expiresAtMs: row.expiresAt,
    secret,
  };
}

function placeOf(db: ScopedDb, id: string): SealedPlace {
  return { table: "storage_connections", column: "sealed_secret", orgId: db.orgId, id };
}

type ConnectionRow = Omit<Connection, "createdAt" | "expiresAt"> & {
  createdAt: number;
  expiresAt: number | null;
};

function show(row: ConnectionRow): Connection {
  return { ...row, createdAt: iso(row.createdAt), expiresAt: isoOrNull(row.expiresAt) };
}
