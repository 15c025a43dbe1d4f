/**
 * Hands what is wanted of jobs to their agents' objects at once. It is stored already, with its revision, so a word that is
 * lost on this way, or not said because there are too many, is said by the sweep.
 */
import type { Context } from "hono";
import type { Job } from "../schema/api.ts";
import type { App } from "./context.ts";
import {
  desiredOf,
  heldUntilOf,
  isScheduled,
  letGo,
  listJobs,
  readJob,
  type JobListQuery,
  type Released,
} from "./db/jobs.ts";

/** Of one project, at once: each is a call of its own, and a request may make only so many. */
const POKES_MAX = 50;

export async function poke(c: Context<App>, job: Job): Promise<void> {
  // When its time has come, the sweep does it.
  if (isScheduled(job, Date.now()) || (await isHeld(c, job))) return;
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

/**
 * Tells an agent that an epoch is not its any more. Whoever missed it is given no grant for it, and so does nothing. The agent
 * that has the job now hears of it when the other is surely at work on it no more: at once, soon, or by the sweep.
 */
export async function release(c: Context<App>, job: Job, released: Released): Promise<void> {
  const { agentId, desired, heldUntil, isMoved } = released;
  try {
    const untilMs = await c.env.AGENT.getByName(agentId).release(c.get("user").orgId, desired);
    if (isMoved) await letGo(c.get("db"), job, untilMs, heldUntil);
  } catch (error) {
    // It waits as long as it may take.
    console.error(JSON.stringify({ event: "release_failed", jobId: desired.jobId, reason: String(error) }));
  }
  await poke(c, job);
  if (isMoved) c.executionCtx.waitUntil(pokeWhenFree(c, job));
}

/** An agent that is there confirms within a moment. */
const FREE_TRIES = 5;
const FREE_LOOK_MS = 1_000;

async function pokeWhenFree(c: Context<App>, job: Job): Promise<void> {
  for (let tries = 0; tries < FREE_TRIES && (await isHeld(c, job)); tries++) {
    await new Promise((resolve) => setTimeout(resolve, FREE_LOOK_MS));
    // Not if it was moved on meanwhile, which pokes by itself.
    await poke(c, await readJob(c.get("db"), job.id));
  }
}

/** Only a job that has not begun, and not in its first epoch, may have been another agent's. */
async function isHeld(c: Context<App>, { id, status, epoch }: Job): Promise<boolean> {
  if (status !== "created" || epoch === 1) return false;
  return ((await heldUntilOf(c.get("db"), id)) ?? 0) > Date.now();
}
