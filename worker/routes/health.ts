/** `GET /api/health`: 200 while people and agents are served, 503 when they cannot be. */
import { Hono } from "hono";
import type { Health } from "../../schema/health.ts";
import { VERSION } from "../../schema/version.ts";
import type { App } from "../context.ts";
import { cronRecord } from "../cron.ts";
import { checkDatabase } from "../db/health.ts";
import { isoOrNull } from "../db/paging.ts";
import { misconfigurations, type Env } from "../env.ts";
import { isKeyRing } from "../secrets.ts";

const CHECK_LIMIT_MS = 3_000;
/** The sweep runs once a minute; a few may be lost. */
const CRON_LATE_MS = 10 * 60_000;

export const health = new Hono<App>().get("/", async (c) => {
  const wrong = misconfigurations(c.env);
  // The sentences are for the operator, who reads the log; the world is only told that something is wrong.
  if (wrong.length > 0) console.error(JSON.stringify({ event: "misconfigured", wrong }));
  const checks = await checkAll(c.env, Date.now());
  const status = statusOf(checks, wrong.length > 0);
  const body: Health = { status, product: "The One Migrate", version: VERSION, checks };
  return c.json(body, status === "ok" || status === "degraded" ? 200 : 503);
});

function statusOf(checks: Health["checks"], isMisconfigured: boolean): Health["status"] {
  if (isMisconfigured || checks.keyRing.state !== "ok") return "misconfigured";
  if (checks.database.state !== "ok" || checks.durableObjects.state !== "ok") return "unavailable";
  const isBehind = checks.cron.state === "late" || checks.objectStorage.state === "unreachable";
  return isBehind ? "degraded" : "ok";
}

async function checkAll(env: Env, nowMs: number): Promise<Health["checks"]> {
  const [database, lastRunMs, objectStorage] = await Promise.all([
    within(checkDatabase(env.DB), { state: "unreachable", migration: null } as const),
    within(cronRecord(env).lastRunMs(), undefined),
    within(checkObjectStorage(env), "unreachable" as const),
  ]);
  return {
    database,
    durableObjects: { state: lastRunMs === undefined ? "unreachable" : "ok" },
    objectStorage: { state: objectStorage },
    keyRing: { state: isKeyRing(env.SECRETS_KEYS) ? "ok" : "missing" },
    cron: { state: cronState(lastRunMs, nowMs), lastRunAt: isoOrNull(lastRunMs ?? null) },
  };
}

function cronState(lastRunMs: number | null | undefined, nowMs: number): Health["checks"]["cron"]["state"] {
  if (lastRunMs === undefined) return "unreachable";
  if (lastRunMs === null) return "waiting";
  return nowMs - lastRunMs > CRON_LATE_MS ? "late" : "ok";
}

/** Every bucket that is bound is asked for something that is not there. */
async function checkObjectStorage(env: Env): Promise<"ok" | "not_bound"> {
  const buckets = Object.values(env).filter(isBucket);
  await Promise.all(buckets.map((bucket) => bucket.head("health")));
  return buckets.length === 0 ? "not_bound" : "ok";
}

function isBucket(binding: unknown): binding is R2Bucket {
  return typeof binding === "object" && binding !== null && binding.constructor.name === "R2Bucket";
}

/** A dependency that fails or does not answer in time counts as `otherwise`. */
async function within<Answer, Otherwise>(
  asked: Promise<Answer>,
  otherwise: Otherwise,
): Promise<Answer | Otherwise> {
  const answered = new AbortController();
  try {
    const late = scheduler.wait(CHECK_LIMIT_MS, { signal: answered.signal }).then(() => otherwise);
    return await Promise.race([asked, late]);
  } catch (error) {
    console.error(JSON.stringify({ event: "health_failed", reason: String(error) }));
    return otherwise;
  } finally {
    answered.abort();
  }
}
