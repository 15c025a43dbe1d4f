/** Makes good what was lost between D1 and an agent's object. Everything it does may be done twice. */
import { scopedDb } from "../schema/scoped-db.ts";
import { desiredOf, readJob } from "./db/jobs.ts";
import { findOnline, findUnconfirmed } from "./db/sweep.ts";
import type { Env } from "./env.ts";

export async function sweep(env: Env, nowMs: number): Promise<void> {
  const [unconfirmed, online] = await Promise.all([
    findUnconfirmed(env.DB, nowMs),
    findOnline(env.DB, nowMs),
  ]);
  const calls = [
    ...unconfirmed.map(async ({ orgId, jobId }) => {
      const job = await readJob(scopedDb(env.DB, orgId), jobId);
      await env.AGENT.getByName(job.agentId).setDesired(orgId, desiredOf(job));
    }),
    ...online.map(({ orgId, agentId }) => env.AGENT.getByName(agentId).checkPresence(orgId)),
  ];
  for (const result of await Promise.allSettled(calls)) {
    if (result.status === "rejected") {
      console.error(JSON.stringify({ event: "sweep_failed", reason: String(result.reason) }));
    }
  }
}
