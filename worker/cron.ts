/** The record of the minute's sweep: one object for the whole deployment, which the sweep writes and the health check reads. */
import type { Env } from "./env.ts";

const NAME = "sweep";

export function cronRecord(env: Env) {
  return env.CRON.getByName(NAME);
}
