import { and, eq, isNotNull, isNull, sql } from "drizzle-orm";
import type * as z from "zod";
import type { Agent, agentUpdate, Page } from "../../schema/api.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { agentKeys, agents, registrationCodes } from "../../schema/tables.ts";
import { invalid, notFound, Problem } from "../problems.ts";
import { auditIfChanged, type Actor } from "./audit.ts";
import { assertOpenClient } from "./clients.ts";
import { differs } from "./differs.ts";
import { chosen, iso, isoOrNull, pageOfSorted, type Listing, type SortedQuery } from "./paging.ts";

const FIELDS = {
  id: agents.id,
  name: agents.name,
  host: agents.host,
  os: agents.os,
  arch: agents.arch,
  version: agents.version,
  label: agents.label,
  clientId: agents.clientId,
  status: agents.status,
  lastSeenAt: agents.lastSeenAt,
  freeDiskBytes: agents.freeDiskBytes,
  connection: agents.connection,
  createdAt: agents.createdAt,
  activeJobCount: sql<number>`(select count(*) from jobs j where j.org_id = "agents"."org_id" and j.agent_id = "agents"."id" and j.status in ('created','scanning','ready','running','paused'))`,
};

const LISTING: Listing = {
  table: agents,
  name: "agents",
  keys: {
    created: null,
    name: (t) => `${t}.name_key`,
    activity: (t) => `${t}.active_at`,
    status: (t) => `${t}.status`,
  },
};

export interface AgentListQuery extends SortedQuery {
  readonly status?: Agent["status"] | undefined;
}

export async function listAgents(db: ScopedDb, query: AgentListQuery): Promise<Page<Agent>> {
  const { sortKey, ...options } = chosen(db, LISTING, query, {
    index: query.status === undefined ? `agents_${query.sort ?? "created"}` : "agents_status",
    filters: query.status === undefined ? [] : [sql`t.status = ${query.status}`],
  });
  return pageOfSorted(await db.select({ ...FIELDS, sortKey }, agents, options), query, show);
}

export async function readAgent(db: ScopedDb, id: string): Promise<Agent> {
  const row = await db.first(FIELDS, agents, { where: eq(agents.id, id) });
  if (row === null) throw notFound();
  return show(row);
}

export async function updateAgent(
  db: ScopedDb,
  actor: Actor,
  id: string,
  body: z.output<typeof agentUpdate>,
): Promise<Agent> {
  const present = await readAgent(db, id);
  if (Object.keys(body).length === 0) return present;
  if (typeof body.clientId === "string") await assertOpenClient(db, body.clientId);
  await db.batch([
    db.update(agents, body, and(eq(agents.id, id), differs(agents, body))),
    auditIfChanged(db, actor, "agent.changed", id, { fields: Object.keys(body) }),
  ]);
  return await readAgent(db, id);
}

export async function revokeAgent(db: ScopedDb, actor: Actor, id: string): Promise<Agent> {
  await readAgent(db, id);
  const live = and(eq(agents.id, id), isNull(agents.revokedAt));
  await db.batch([
    db.update(agents, { status: "revoked", revokedAt: Date.now() }, live),
    auditIfChanged(db, actor, "agent.revoked", id),
  ]);
  return await readAgent(db, id);
}

/** Only one that was revoked and never had a job: reports name their agents for good. */
export async function deleteAgent(db: ScopedDb, actor: Actor, id: string): Promise<void> {
  const { name } = await readAgent(db, id);
  const unused = sql`exists (select 1 from agents a where a.org_id = ${db.orgId} and a.id = ${id} and a.revoked_at is not null) and not exists (select 1 from jobs j where j.org_id = ${db.orgId} and j.agent_id = ${id})`;
  const [, , removed] = await db.batch([
    db.update(registrationCodes, { agentId: null }, and(eq(registrationCodes.agentId, id), unused)),
    db.update(agentKeys, { agentId: null }, and(eq(agentKeys.agentId, id), unused)),
    db.delete(agents, sql`${agents.id} = ${id} and ${isNotNull(agents.revokedAt)} and ${unused}`),
    auditIfChanged(db, actor, "agent.deleted", id, { name }),
  ]);
  if (removed === 0) {
    throw new Problem(
      "CONFLICT",
      "Only an agent that was revoked and never had a job can be deleted; revoke it instead",
    );
  }
}

/** What waited for approval may work from now on. */
export async function approveAgent(db: ScopedDb, actor: Actor, id: string): Promise<Agent> {
  const pending = and(eq(agents.id, id), eq(agents.status, "pending"));
  await db.batch([
    db.update(agents, { status: "offline" }, pending),
    auditIfChanged(db, actor, "agent.approved", id),
  ]);
  return await readAgent(db, id);
}

/** What was locked because there were two of it; the one that connects next is the agent. */
export async function unlockAgent(db: ScopedDb, actor: Actor, id: string): Promise<Agent> {
  await db.batch([
    db.update(agents, { status: "offline" }, and(eq(agents.id, id), eq(agents.status, "locked"))),
    auditIfChanged(db, actor, "agent.unlocked", id),
  ]);
  return await readAgent(db, id);
}

export async function refuseAgent(db: ScopedDb, actor: Actor, id: string): Promise<Agent> {
  const pending = and(eq(agents.id, id), eq(agents.status, "pending"));
  await db.batch([
    db.update(agents, { status: "revoked", revokedAt: Date.now() }, pending),
    auditIfChanged(db, actor, "agent.refused", id),
  ]);
  return await readAgent(db, id);
}

/** For a reference in a body. */
export async function assertUsableAgent(db: ScopedDb, id: string): Promise<void> {
  const where = and(eq(agents.id, id), isNull(agents.revokedAt));
  const row = await db.first({ status: agents.status }, agents, { where });
  if (row === null) throw invalid({ agentId: "There is no such agent, or it was revoked" });
  if (row.status === "pending") throw invalid({ agentId: "This agent waits for approval; approve it first" });
  if (row.status === "locked") throw invalid({ agentId: "This agent is locked; unlock or revoke it first" });
}

type AgentRow = Omit<Agent, "lastSeenAt" | "createdAt"> & { lastSeenAt: number | null; createdAt: number };

function show({ sortKey: _, ...row }: AgentRow & { sortKey?: unknown }): Agent {
  return { ...row, lastSeenAt: isoOrNull(row.lastSeenAt), createdAt: iso(row.createdAt) };
}
