import { and, eq, sql } from "drizzle-orm";
import type * as z from "zod";
import type { Client, clientCreate, clientUpdate, Page } from "../../schema/api.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { agents, clients } from "../../schema/tables.ts";
import { invalid, notFound, Problem } from "../problems.ts";
import { audit, auditIfChanged, type Actor } from "./audit.ts";
import { createOnce } from "./create.ts";
import { differs } from "./differs.ts";
import { makeId } from "./ids.ts";
import { chosen, iso, pageOfSorted, type Listing, type SortedQuery } from "./paging.ts";

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

const LISTING: Listing = {
  table: clients,
  name: "clients",
  keys: {
    created: null,
    name: (t) => `${t}.name_key`,
    activity: (t) => `${t}.updated_at`,
    status: (t) => `${t}.status`,
  },
};

export interface ClientListQuery extends SortedQuery {
  readonly status?: Client["status"] | undefined;
}

export async function listClients(db: ScopedDb, query: ClientListQuery): Promise<Page<Client>> {
  const { sortKey, ...options } = chosen(db, LISTING, query, {
    index: `clients_${query.sort ?? "created"}`,
    filters: query.status === undefined ? [] : [sql`t.status = ${query.status}`],
  });
  return pageOfSorted(await db.select({ ...FIELDS, sortKey }, clients, options), query, show);
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

/** Archiving is refused while its jobs are at work: nobody would look at them any more. */
export async function updateClient(
  db: ScopedDb,
  actor: Actor,
  id: string,
  body: z.output<typeof clientUpdate>,
): Promise<Client> {
  await readClient(db, id);
  const where = and(
    eq(clients.id, id),
    differs(clients, body),
    body.status === "archived" ? sql`not ${hasActiveJobs(db, id)}` : undefined,
  );
  await db.batch([
    db.update(clients, { ...body, updatedAt: Date.now() }, where),
    auditIfChanged(db, actor, "client.changed", id, {
      fields: Object.keys(body),
      ...(body.status === undefined ? {} : { status: body.status }),
    }),
  ]);
  const client = await readClient(db, id);
  if (body.status === "archived" && client.status !== "archived") {
    throw new Problem(
      "CONFLICT",
      "The client has jobs that are not finished; let them end, or cancel them, first",
    );
  }
  return client;
}

function hasActiveJobs(db: ScopedDb, clientId: string) {
  return sql`exists (select 1 from projects p join jobs j indexed by jobs_project on j.org_id = p.org_id and j.project_id = p.id and j.status in ('created', 'scanning', 'ready', 'running', 'paused') where p.org_id = ${db.orgId} and p.client_id = ${clientId})`;
}

/** Only one without projects: what was done for a client stays told. Agents that stood with it stand with none. */
export async function deleteClient(db: ScopedDb, actor: Actor, id: string): Promise<void> {
  const { name } = await readClient(db, id);
  const unused = sql`not exists (select 1 from projects p where p.org_id = ${db.orgId} and p.client_id = ${id})`;
  const [, removed] = await db.batch([
    db.update(agents, { clientId: null }, and(eq(agents.clientId, id), unused)),
    db.delete(clients, sql`${clients.id} = ${id} and ${unused}`),
    auditIfChanged(db, actor, "client.deleted", id, { name }),
  ]);
  if (removed === 0) throw new Problem("CONFLICT", "The client has projects; archive it instead");
}

/** For a reference in a body: one that cannot be used is that field's error, the same for missing and foreign. */
export async function assertOpenClient(db: ScopedDb, id: string): Promise<void> {
  const where = and(eq(clients.id, id), eq(clients.status, "active"));
  if ((await db.first({ id: clients.id }, clients, { where })) === null) {
    throw invalid({ clientId: "There is no such client, or it is archived" });
  }
}

type ClientRow = Omit<Client, "createdAt" | "updatedAt"> & { createdAt: number; updatedAt: number };

function show({ sortKey: _, ...row }: ClientRow & { sortKey?: unknown }): Client {
  return { ...row, createdAt: iso(row.createdAt), updatedAt: iso(row.updatedAt) };
}
