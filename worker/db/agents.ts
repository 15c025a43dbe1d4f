import { and, desc, eq, isNull, sql } from "drizzle-orm";
import type * as z from "zod";
import type { Agent, agentUpdate, Page } from "../../schema/api.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { agents } from "../../schema/tables.ts";
import { invalid, notFound } from "../problems.ts";
import { audit, type Actor } from "./audit.ts";
import { assertOpenClient } from "./clients.ts";
import { behind, iso, isoOrNull, limitOf, pageOfRows, type PageQuery } from "./paging.ts";

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
  createdAt: agents.createdAt,
  activeJobCount: sql<number>`(select count(*) from jobs j where j.org_id = "agents"."org_id" and j.agent_id = "agents"."id" and j.status in ('created','scanning','ready','running','paused'))`,
};

export async function listAgents(db: ScopedDb, query: PageQuery): Promise<Page<Agent>> {
  const options = { where: behind(agents.id, query), orderBy: desc(agents.id), limit: limitOf(query) };
  return pageOfRows(await db.select(FIELDS, agents, options), query, show);
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
    db.update(agents, body, eq(agents.id, id)),
    audit(db, actor, "agent.changed", id, { fields: Object.keys(body) }),
  ]);
  return await readAgent(db, id);
}

export async function revokeAgent(db: ScopedDb, actor: Actor, id: string): Promise<Agent> {
  await readAgent(db, id);
  const live = and(eq(agents.id, id), isNull(agents.revokedAt));
  await db.batch([
    db.update(agents, { status: "revoked", revokedAt: Date.now() }, live),
    audit(db, actor, "agent.revoked", id),
  ]);
  return await readAgent(db, id);
}

/** For a reference in a body. */
export async function assertUsableAgent(db: ScopedDb, id: string): Promise<void> {
  const where = and(eq(agents.id, id), isNull(agents.revokedAt));
  if ((await db.first({ id: agents.id }, agents, { where })) === null) {
    throw invalid({ agentId: "There is no such agent, or it was revoked" });
  }
}

type AgentRow = Omit<Agent, "lastSeenAt" | "createdAt"> & { lastSeenAt: number | null; createdAt: number };

function show(row: AgentRow): Agent {
  return { ...row, lastSeenAt: isoOrNull(row.lastSeenAt), createdAt: iso(row.createdAt) };
}
