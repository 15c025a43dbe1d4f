/** Makes good what was lost between D1 and an agent's object. Everything it does may be done twice. */
import { scopedDb } from "../schema/scoped-db.ts";
import { cronRecord } from "./cron.ts";
import { sealAudit } from "./db/audit-chain.ts";
import { desiredOf, readJob } from "./db/jobs.ts";
import { dropOldConsents, dropOldRefusals, findOnline, findUnconfirmed, findUnsealed } from "./db/sweep.ts";
import type { Env } from "./env.ts";

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
    cronRecord(env).ran(nowMs),
  ];
  for (const result of await Promise.allSettled(calls)) {
    if (result.status === "rejected") {
      console.error(JSON.stringify({ event: "sweep_failed", reason: String(result.reason) }));
    }
  }
}
