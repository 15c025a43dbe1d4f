import { Hono, type Context } from "hono";
import { jobCreate, jobListQuery, jobUpdate, listQuery, type Job } from "../../schema/api.ts";
import { jobId } from "../../schema/ids.ts";
import { actorOf, readBody, readId, readIdempotencyKey, readQuery, type App } from "../context.ts";
import {
  createJob,
  desiredOf,
  listFailures,
  listJobs,
  readJob,
  renameJob,
  steerJob,
  type JobAction,
} from "../db/jobs.ts";

export const jobs = new Hono<App>()
  .get("/", async (c) => c.json(await listJobs(c.get("db"), readQuery(c, jobListQuery))))
  .post("/", async (c) => {
    const body = await readBody(c, jobCreate);
    const job = await createJob(c.get("db"), actorOf(c), body, readIdempotencyKey(c));
    await poke(c, job);
    return c.json(job, 201);
  })
  .get("/:id", async (c) => c.json(await readJob(c.get("db"), readId(c, jobId))))
  .patch("/:id", async (c) => {
    const { name } = await readBody(c, jobUpdate);
    return c.json(await renameJob(c.get("db"), actorOf(c), readId(c, jobId), name));
  })
  .post("/:id/pause", async (c) => await steer(c, "pause"))
  .post("/:id/resume", async (c) => await steer(c, "resume"))
  .post("/:id/cancel", async (c) => await steer(c, "cancel"))
  .post("/:id/retry", async (c) => await steer(c, "retry"))
  .get("/:id/failures", async (c) =>
    c.json(await listFailures(c.get("db"), readId(c, jobId), readQuery(c, listQuery))),
  );

async function steer(c: Context<App>, action: JobAction): Promise<Response> {
  const job = await steerJob(c.get("db"), actorOf(c), readId(c, jobId), action);
  await poke(c, job);
  return c.json(job);
}

/** Hands the wish to the agent's object at once. It is stored already, so a lost poke is made good by the sweep. */
async function poke(c: Context<App>, job: Job): Promise<void> {
  try {
    await c.env.AGENT.getByName(job.agentId).setDesired(c.get("user").orgId, desiredOf(job));
  } catch (error) {
    console.error(JSON.stringify({ event: "poke_failed", jobId: job.id, reason: String(error) }));
  }
}
