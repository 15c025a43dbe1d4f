/**
 * Hands what is wanted of jobs to their agents' objects at once. It is stored already, with its revision, so a word that is
 * lost on this way, or not said because there are too many, is said by the sweep.
 */
import type { Context } from "hono";
import type { Job } from "../schema/api.ts";
import type { App } from "./context.ts";
import { desiredOf, listJobs } from "./db/jobs.ts";

/** Of one project, at once: each is a call of its own, and a request may make only so many. */
const POKES_MAX = 50;

export async function poke(c: Context<App>, job: Job): Promise<void> {
  try {
    await c.env.AGENT.getByName(job.agentId).setDesired(c.get("user").orgId, desiredOf(job));
  } catch (error) {
    console.error(JSON.stringify({ event: "poke_failed", jobId: job.id, reason: String(error) }));
  }
}

/** After a change that concerns all jobs of a project: those whose agents have not confirmed the newest revision. */
export async function pokeProject(c: Context<App>, projectId: string): Promise<void> {
  const active = await listJobs(c.get("db"), { projectId, state: "active", limit: POKES_MAX });
  const unconfirmed = active.items.filter((job) => job.desiredRev > job.appliedRev);
  await Promise.all(unconfirmed.map((job) => poke(c, job)));
}
