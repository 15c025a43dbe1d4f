import { and, desc, eq, sql } from "drizzle-orm";
import type * as z from "zod";
import type { Client, clientCreate, clientUpdate, Page } from "../../schema/api.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { clients } from "../../schema/tables.ts";
import { invalid, notFound } from "../problems.ts";
import { audit, type Actor } from "./audit.ts";
import { createOnce } from "./create.ts";
import { makeId } from "./ids.ts";
import { behind, iso, limitOf, pageOfRows, type PageQuery } from "./paging.ts";

const FIELDS = {
  id: clients.id,
  name: clients.name,
  contactName: clients.contactName,
  contactEmail: clients.contactEmail,
  psaCompanyId: clients.psaCompanyId,
  status: clients.status,
  createdAt: clients.createdAt,
  updatedAt: clients.updatedAt,
  projectCount: sql<number>`(select count(*) from projects p where p.org_id = "clients"."org_id" and p.client_id = "clients"."id")`,
};

export async function listClients(db: ScopedDb, query: PageQuery): Promise<Page<Client>> {
  const options = { where: behind(clients.id, query), orderBy: desc(clients.id), limit: limitOf(query) };
  return pageOfRows(await db.select(FIELDS, clients, options), query, show);
}

export async function readClient(db: ScopedDb, id: string): Promise<Client> {
  const row = await db.first(FIELDS, clients, { where: eq(clients.id, id) });
  if (row === null) throw notFound();
  return show(row);
}

export async function createClient(
  db: ScopedDb,
  actor: Actor & { id: string },
  body: z.output<typeof clientCreate>,
  idempotencyKey: string | null,
): Promise<Client> {
  const id = makeId("client");
  const now = Date.now();
  const row = {
    ...body,
    id,
    status: "active" as const,
    createdBy: actor.id,
    createdAt: now,
    updatedAt: now,
    idempotencyKey,
  };
  return await readClient(db, await createOnce(db, clients, row, audit(db, actor, "client.created", id)));
}

export async function updateClient(
  db: ScopedDb,
  actor: Actor,
  id: string,
  body: z.output<typeof clientUpdate>,
): Promise<Client> {
  await readClient(db, id);
  await db.batch([
    db.update(clients, { ...body, updatedAt: Date.now() }, eq(clients.id, id)),
    audit(db, actor, "client.changed", id, { fields: Object.keys(body) }),
  ]);
  return await readClient(db, id);
}

/** For a reference in a body: one that cannot be used is that field's error, the same for missing and foreign. */
export async function assertOpenClient(db: ScopedDb, id: string): Promise<void> {
  const where = and(eq(clients.id, id), eq(clients.status, "active"));
  if ((await db.first({ id: clients.id }, clients, { where })) === null) {
    throw invalid({ clientId: "There is no such client, or it is archived" });
  }
}

type ClientRow = Omit<Client, "createdAt" | "updatedAt"> & { createdAt: number; updatedAt: number };

function show(row: ClientRow): Client {
  return { ...row, createdAt: iso(row.createdAt), updatedAt: iso(row.updatedAt) };
}
