/**
 * Makes good what was lost between D1 and an agent's object, and hands out what others are to be told. Everything it does
 * may be done twice.
 */
import type { MiddlewareHandler } from "hono";
import { scopedDb } from "../schema/scoped-db.ts";
import { cronRecord } from "./cron.ts";
import { sealAudit } from "./db/audit-chain.ts";
import { desiredOf, readJob } from "./db/jobs.ts";
import {
  dropEndedSessions,
  dropOldConsents,
  dropOldEntries,
  dropOldRefusals,
  findOnline,
  findUnconfirmed,
  findUnsealed,
} from "./db/sweep.ts";
import type { App } from "./context.ts";
import type { Env } from "./env.ts";
import { writeUsage } from "./outbox/billing.ts";
import { deliverDue } from "./outbox/deliver.ts";
import { warnOfLapses } from "./outbox/lapses.ts";
import { outboxWorld } from "./outbox/world.ts";

export async function sweep(env: Env, nowMs: number): Promise<void> {
  const [unconfirmed, online, unsealed] = await Promise.all([
    findUnconfirmed(env.DB, nowMs),
    findOnline(env.DB, nowMs),
    findUnsealed(env.DB),
  ]);
  const calls = [
    ...unconfirmed.map(async ({ orgId, jobId }) => {
      const job = await readJob(scopedDb(env.DB, orgId), jobId);
      await env.AGENT.getByName(job.agentId).setDesired(orgId, desiredOf(job));
    }),
    ...online.map(({ orgId, agentId }) => env.AGENT.getByName(agentId).checkPresence(orgId)),
    ...unsealed.map((orgId) => sealAudit(scopedDb(env.DB, orgId))),
    dropOldRefusals(env.DB, nowMs),
    dropOldConsents(env.DB, nowMs),
    // By the clock that judges whether a session has lapsed, however late this run is.
    ...(isMinute(nowMs, SESSIONS_MINUTE) ? [dropEndedSessions(env.DB, Date.now())] : []),
    cronRecord(env).ran(nowMs),
    tellOthers(env, nowMs),
  ];
  for (const result of await Promise.allSettled(calls)) {
    if (result.status === "rejected") {
      console.error(JSON.stringify({ event: "sweep_failed", reason: String(result.reason) }));
    }
  }
}

/** Once an hour, because it looks at the last session of each person there is. */
const SESSIONS_MINUTE = 45;
/** Once an hour, because it reads every connection there is; a quarter past, as billing begins then too. */
const LAPSES_MINUTE = 15;

function isMinute(nowMs: number, minute: number): boolean {
  return new Date(nowMs).getUTCMinutes() === minute;
}

async function tellOthers(env: Env, nowMs: number): Promise<void> {
  const world = { ...outboxWorld(env, nowMs), database: env.DB };
  if (world.settings.billing !== null) await writeUsage(env.DB, nowMs);
  if (isMinute(nowMs, LAPSES_MINUTE)) await warnOfLapses(env.DB, world.settings, nowMs);
  await deliverDue(world, null);
  await dropOldEntries(env.DB, nowMs);
}

/** What a request has left to be told is told behind its answer; what is cut off there, the sweep does. */
export const deliverBehind: MiddlewareHandler<App> = async (c, next) => {
  await next();
  const db = c.get("db") as { orgId: string } | undefined;
  if (db === undefined || c.req.method === "GET" || c.res.status >= 400 || c.get("agent") !== undefined) {
    return;
  }
  const { env } = c;
  const world = { ...outboxWorld(env, Date.now()), database: env.DB };
  const delivered = deliverDue(world, db.orgId).catch((error: unknown) => {
    console.error(JSON.stringify({ event: "outbox_failed", reason: String(error) }));
  });
  c.executionCtx.waitUntil(delivered);
};
