/**
 * Hands what is wanted of jobs to their agents' objects at once. It is stored already, with its revision, so a word that is
 * lost on this way, or not said because there are too many, is said by the sweep.
 */
import type { Context } from "hono";
import type { Job } from "../schema/api.ts";
import type { App } from "./context.ts";
import { desiredOf, isScheduled, listJobs, type JobListQuery, type Released } from "./db/jobs.ts";

/** Of one project, at once: each is a call of its own, and a request may make only so many. */
const POKES_MAX = 50;

export async function poke(c: Context<App>, job: Job): Promise<void> {
  // When its time has come, the sweep does it.
  if (isScheduled(job, Date.now())) return;
  try {
    await c.env.AGENT.getByName(job.agentId).setDesired(c.get("user").orgId, desiredOf(job));
  } catch (error) {
    console.error(JSON.stringify({ event: "poke_failed", jobId: job.id, reason: String(error) }));
  }
}

/** After a change that concerns all jobs of a project: those whose agents have not confirmed the newest revision. */
export async function pokeProject(c: Context<App>, projectId: string): Promise<void> {
  await pokeUnconfirmed(c, { projectId, state: "active" });
}

/** After all jobs of a project were cancelled; those that were changed last come first. */
export async function pokeCancelled(c: Context<App>, projectId: string): Promise<void> {
  await pokeUnconfirmed(c, { projectId, status: "cancelled", sort: "activity" });
}

async function pokeUnconfirmed(c: Context<App>, of: Omit<JobListQuery, "limit">): Promise<void> {
  const { items } = await listJobs(c.get("db"), { ...of, limit: POKES_MAX });
  const unconfirmed = items.filter((job) => job.desiredRev > job.appliedRev);
  await Promise.all(unconfirmed.map((job) => poke(c, job)));
}

/** Tells an agent that an epoch is not its any more. Whoever missed it is given no grant for it, and so does nothing. */
export async function release(c: Context<App>, { agentId, desired }: Released): Promise<void> {
  try {
    await c.env.AGENT.getByName(agentId).release(c.get("user").orgId, desired);
  } catch (error) {
    console.error(JSON.stringify({ event: "release_failed", jobId: desired.jobId, reason: String(error) }));
  }
}
