/**
 * The long poll of an agent: what came goes to the agent's object at once, and while nothing waits there the request is held
 * here. An object in which a request is open is paid for by the second; a Worker that waits costs nothing. So it looks
 * every few seconds at what D1 knows of the agent, and asks the object again only when that has changed.
 */
import { eq, sql } from "drizzle-orm";
import type { AgentObject, SyncCall, SyncReply } from "../durable-objects/agent-object.ts";
import type { ScopedDb } from "../schema/scoped-db.ts";
import { agents } from "../schema/tables.ts";

/** So a word reaches the agent after half of this, on average. */
export const LOOK_MS = 5_000;
const BEHIND_MS = 500;

export async function syncAgent(
  { hub, db, agentId }: { hub: DurableObjectStub<AgentObject>; db: ScopedDb; agentId: string },
  call: SyncCall,
  waitSeconds: number,
): Promise<SyncReply> {
  const untilMs = Date.now() + waitSeconds * 1_000;
  // Before the object is asked, so that nothing can be said between the two looks unseen.
  const before = waitSeconds === 0 ? null : await readMark(db, agentId);
  const reply = await hub.sync(call);
  if (reply.frames.length > 0 || reply.closed !== null) return reply;
  while (Date.now() + LOOK_MS <= untilMs) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    if ((await readMark(db, agentId)) === before) continue;
    const poll = { ...call, frame: null, spareKey: null, close: null };
    const news = await hub.sync(poll);
    if (news.frames.length > 0 || news.closed !== null) return news;
    // D1 is told first, so the word may be on its way there still.
    await new Promise((resolve) => setTimeout(resolve, BEHIND_MS));
    return await hub.sync(poll);
  }
  return reply;
}

/** Changes whenever something is wanted of the agent, or it is revoked, locked, or connected otherwise. */
async function readMark(db: ScopedDb, agentId: string): Promise<string | null> {
  const wishes = sql`(select sum(j.epoch * 1000000 + j.desired_rev) from jobs j where j.org_id = ${agents.orgId} and j.agent_id = ${agents.id} and j.desired_rev > j.applied_rev and j.report is null)`;
  const mark = sql<string>`${agents.status} || ' ' || coalesce(${agents.lastSeenAt}, 0) || ' ' || coalesce(${wishes}, 0)`;
  return (await db.first({ mark }, agents, { where: eq(agents.id, agentId) }))?.mark ?? null;
}
