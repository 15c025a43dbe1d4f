import { Hono, type Context } from "hono";
import { jobCreate, jobListQuery, jobUpdate, listQuery, type Role } from "../../schema/api.ts";
import { jobId } from "../../schema/ids.ts";
import type { TransferOptions } from "../../schema/job.ts";
import { mayAct } from "../auth/policy.ts";
import { actorOf, readBody, readId, readIdempotencyKey, readQuery, type App } from "../context.ts";
import {
  createJob,
  listFailures,
  listJobs,
  readJob,
  steerJob,
  updateJob,
  type JobAction,
} from "../db/jobs.ts";
import { Problem } from "../problems.ts";
import { poke } from "../wishes.ts";

export const jobs = new Hono<App>()
  .get("/", async (c) => c.json(await listJobs(c.get("db"), readQuery(c, jobListQuery))))
  .post("/", async (c) => {
    const body = await readBody(c, jobCreate);
    assertMayDelete(c.get("user").role, body.options);
    const { SECRETS_KEYS } = c.env;
    const job = await createJob(c.get("db"), actorOf(c), SECRETS_KEYS, body, readIdempotencyKey(c));
    await poke(c, job);
    return c.json(job, 201);
  })
  .get("/:id", async (c) => c.json(await readJob(c.get("db"), readId(c, jobId))))
  .patch("/:id", async (c) => {
    const body = await readBody(c, jobUpdate);
    const job = await updateJob(c.get("db"), actorOf(c), readId(c, jobId), body);
    if (body.bandwidthMbps !== undefined) await poke(c, job);
    return c.json(job);
  })
  .post("/:id/pause", async (c) => await steer(c, "pause"))
  .post("/:id/resume", async (c) => await steer(c, "resume"))
  .post("/:id/cancel", async (c) => await steer(c, "cancel"))
  .post("/:id/finish", async (c) => await steer(c, "finish"))
  .post("/:id/retry", async (c) => await steer(c, "retry"))
  .get("/:id/failures", async (c) =>
    c.json(await listFailures(c.get("db"), readId(c, jobId), readQuery(c, listQuery))),
  );

async function steer(c: Context<App>, action: JobAction): Promise<Response> {
  const job = await steerJob(c.get("db"), actorOf(c), readId(c, jobId), action);
  await poke(c, job);
  return c.json(job);
}

/** More than the route's policy asks: what is removed at a source cannot be had back from us. */
function assertMayDelete(role: Role, { deletion }: TransferOptions): void {
  if (deletion === null || mayAct(role, "admin")) return;
  throw new Problem("FORBIDDEN", 'Letting source files be removed needs the role "admin"', {
    fields: {
      "options.deletion":
        "Only admins and owners may let source files be removed; leave this out, or ask one of them",
    },
  });
}
