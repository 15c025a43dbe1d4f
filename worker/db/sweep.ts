/**
 * Once a minute, over all organizations: wishes that never reached their agent, and agents that count as online while
 * their object may know better. The other file that may ask D1 without a scope.
 */
import { and, eq, gt, isNotNull, lt, or, sql } from "drizzle-orm";
import { systemDb } from "../../schema/scoped-db.ts";
import { agents, jobs } from "../../schema/tables.ts";

const ROWS_MAX = 100;
/** A wish this young is still on its ordinary way. */
const YOUNG_MS = 10_000;

/** Jobs with a wish their agent has not confirmed. An agent that is offline gets it from its object when it is back. */
export async function findUnconfirmed(
  database: D1Database,
  nowMs: number,
): Promise<{ orgId: string; jobId: string }[]> {
  return await systemDb(database)
    .select({ orgId: jobs.orgId, jobId: jobs.id })
    .from(jobs)
    .innerJoin(agents, and(eq(agents.orgId, jobs.orgId), eq(agents.id, jobs.agentId)))
    .where(
      and(
        gt(jobs.desiredRev, jobs.appliedRev),
        lt(jobs.updatedAt, nowMs - YOUNG_MS),
        or(eq(agents.status, "online"), gt(jobs.updatedAt, nowMs - 24 * 3_600_000)),
        sql`${jobs.report} is null`,
      ),
    )
    // At random behind those that can be helped now: otherwise a hundred that stay as they are would hide the next one.
    .orderBy(sql`${agents.status} = 'online' desc, random()`)
    .limit(ROWS_MAX);
}

/** Agents that D1 calls online; when there are many, others each time. */
export async function findOnline(
  database: D1Database,
  nowMs: number,
): Promise<{ orgId: string; agentId: string }[]> {
  return await systemDb(database)
    .select({ orgId: agents.orgId, agentId: agents.id })
    .from(agents)
    .where(
      and(eq(agents.status, "online"), isNotNull(agents.lastSeenAt), lt(agents.lastSeenAt, nowMs - YOUNG_MS)),
    )
    .orderBy(sql`random()`)
    .limit(ROWS_MAX);
}
