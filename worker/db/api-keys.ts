import { and, desc, eq, isNull } from "drizzle-orm";
import type * as z from "zod";
import type { Page } from "../../schema/api.ts";
import type { ApiKey, apiKeyCreate } from "../../schema/api-keys.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { apiKeys } from "../../schema/tables.ts";
import { notFound } from "../problems.ts";
import { sha256Hex } from "../secrets.ts";
import { auditIfChanged, type Actor } from "./audit.ts";
import { behind, iso, isoOrNull, limitOf, pageOfRows, type PageQuery } from "./paging.ts";

const DAY_MS = 86_400_000;

const FIELDS = {
  id: apiKeys.id,
  name: apiKeys.name,
  role: apiKeys.role,
  createdBy: apiKeys.createdBy,
  createdAt: apiKeys.createdAt,
  expiresAt: apiKeys.expiresAt,
  lastUsedAt: apiKeys.lastUsedAt,
  revokedAt: apiKeys.revokedAt,
};

export async function listApiKeys(db: ScopedDb, query: PageQuery): Promise<Page<ApiKey>> {
  const options = { where: behind(apiKeys.id, query), orderBy: desc(apiKeys.id), limit: limitOf(query) };
  return pageOfRows(await db.select(FIELDS, apiKeys, options), query, show);
}

export async function readApiKey(db: ScopedDb, id: string): Promise<ApiKey> {
  const row = await db.first(FIELDS, apiKeys, { where: eq(apiKeys.id, id) });
  if (row === null) throw notFound();
  return show(row);
}

/** Stores a key that was made; one that is there already stays as it is. */
export async function createApiKey(
  db: ScopedDb,
  actor: Actor & { id: string },
  { id, secret }: { readonly id: string; readonly secret: string },
  { name, role, validDays }: z.output<typeof apiKeyCreate>,
): Promise<ApiKey> {
  const createdAt = Date.now();
  const row = {
    id,
    name,
    role,
    keyHash: await sha256Hex(secret),
    createdBy: actor.id,
    createdAt,
    expiresAt: validDays === null ? null : createdAt + validDays * DAY_MS,
  };
  await db.batch([
    db.insert(apiKeys, row, { ignoreConflict: true }),
    auditIfChanged(db, actor, "api_key.generated", id, { role }),
  ]);
  return await readApiKey(db, id);
}

export async function revokeApiKey(db: ScopedDb, actor: Actor, id: string): Promise<ApiKey> {
  await readApiKey(db, id);
  await db.batch([
    db.update(apiKeys, { revokedAt: Date.now() }, and(eq(apiKeys.id, id), isNull(apiKeys.revokedAt))),
    auditIfChanged(db, actor, "api_key.revoked", id),
  ]);
  return await readApiKey(db, id);
}

type ApiKeyRow = Omit<ApiKey, "status" | "createdAt" | "expiresAt" | "lastUsedAt"> & {
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly lastUsedAt: number | null;
  readonly revokedAt: number | null;
};

function show({ revokedAt, ...row }: ApiKeyRow): ApiKey {
  const isOver = row.expiresAt !== null && row.expiresAt <= Date.now();
  return {
    ...row,
    status: revokedAt !== null ? "revoked" : isOver ? "expired" : "active",
    createdAt: iso(row.createdAt),
    expiresAt: isoOrNull(row.expiresAt),
    lastUsedAt: isoOrNull(row.lastUsedAt),
  };
}
