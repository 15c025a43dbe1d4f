import { Hono, type Context } from "hono";
import type * as z from "zod";
import {
  jobCreate,
  jobDuplicate,
  jobListQuery,
  jobRetry,
  jobUpdate,
  listQuery,
  type Role,
} from "../../schema/api.ts";
import { jobId } from "../../schema/ids.ts";
import { jobLogQuery } from "../../schema/job-log.ts";
import type { TransferOptions } from "../../schema/job.ts";
import { mayAct } from "../auth/policy.ts";
import { firstClaim } from "../claims.ts";
import { actorOf, readBody, readId, readIdempotencyKey, readQuery, type App } from "../context.ts";
import {
  createJob,
  duplicateJob,
  listFailures,
  listJobs,
  readJob,
  retryJob,
  steerJob,
  updateJob,
  type JobAction,
  type RetryClaim,
} from "../db/jobs.ts";
import { readJobLog } from "../db/job-log.ts";
import { parse, Problem } from "../problems.ts";
import { poke, release } from "../wishes.ts";

export const jobs = new Hono<App>()
  .get("/", async (c) => c.json(await listJobs(c.get("db"), readQuery(c, jobListQuery))))
  .post("/", async (c) => {
    const body = await readBody(c, jobCreate);
    assertMayDelete(c.get("user").role, body.options);
    assertConfirmedByPerson(c, body.options);
    const { SECRETS_KEYS } = c.env;
    const job = await createJob(c.get("db"), actorOf(c), SECRETS_KEYS, body, readIdempotencyKey(c));
    await poke(c, job);
    return c.json(job, 201);
  })
  .get("/:id", async (c) => c.json(await readJob(c.get("db"), readId(c, jobId))))
  .patch("/:id", async (c) => {
    const body = await readBody(c, jobUpdate);
    const { job, released } = await updateJob(c.get("db"), actorOf(c), readId(c, jobId), body);
    if (released !== null) await release(c, job, released);
    else if (body.bandwidthMbps !== undefined) await poke(c, job);
    return c.json(job);
  })
  .post("/:id/pause", async (c) => await steer(c, "pause"))
  .post("/:id/resume", async (c) => await steer(c, "resume"))
  .post("/:id/cancel", async (c) => await steer(c, "cancel"))
  .post("/:id/finish", async (c) => await steer(c, "finish"))
  .post("/:id/retry", async (c) => {
    const { only } = await readOptionalBody(c, jobRetry);
    const id = readId(c, jobId);
    const job = await retryJob(c.get("db"), actorOf(c), id, only, async (retry) => {
      const first = await firstClaim(c, `job_retries:${id}`, JSON.stringify(retry));
      return JSON.parse(first) as RetryClaim;
    });
    await poke(c, job);
    return c.json(job);
  })
  .post("/:id/duplicate", async (c) => {
    const body = await readOptionalBody(c, jobDuplicate);
    const rights = {
      keys: c.env.SECRETS_KEYS,
      mayDelete: (options: TransferOptions) => {
        assertMayDelete(c.get("user").role, options);
        assertConfirmedByPerson(c, options);
      },
    };
    const id = readId(c, jobId);
    const job = await duplicateJob(c.get("db"), actorOf(c), rights, id, body, readIdempotencyKey(c));
    await poke(c, job);
    return c.json(job, 201);
  })
  .get("/:id/failures", async (c) =>
    c.json(await listFailures(c.get("db"), readId(c, jobId), readQuery(c, listQuery))),
  )
  .get("/:id/log", async (c) =>
    c.json(await readJobLog(c.get("db"), readId(c, jobId), readQuery(c, jobLogQuery))),
  );

async function steer(c: Context<App>, action: JobAction): Promise<Response> {
  const job = await steerJob(c.get("db"), actorOf(c), readId(c, jobId), action);
  await poke(c, job);
  return c.json(job);
}

/** Of a request that needs none: nothing at all is an empty object. */
async function readOptionalBody<Output>(c: Context<App>, schema: z.ZodType<Output>): Promise<Output> {
  return c.req.header("content-type") === undefined ? parse(schema, {}) : await readBody(c, schema);
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

function assertConfirmedByPerson(c: Context<App>, { deletion }: TransferOptions): void {
  if (deletion === null || c.get("apiKeyId") === undefined) return;
  throw new Problem(
    "FORBIDDEN",
    "Letting source files be removed is confirmed by a person who is signed in",
    {
      fields: { "options.deletion": "An API key may not confirm this; leave it out, or use the dashboard" },
    },
  );
}
