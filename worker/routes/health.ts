import { Hono } from "hono";
import type { Health } from "../../schema/api.ts";
import type { App } from "../context.ts";
import { misconfigurations } from "../env.ts";
import { VERSION } from "../../schema/version.ts";

export const health = new Hono<App>().get("/", (c) => {
  const wrong = misconfigurations(c.env);
  // The sentences are for the operator, who reads the log; the world is only told that something is wrong.
  if (wrong.length > 0) console.error(JSON.stringify({ event: "misconfigured", wrong }));
  const body: Health = {
    status: wrong.length === 0 ? "ok" : "misconfigured",
    product: "The One Migrate",
    version: VERSION,
  };
  return c.json(body, wrong.length === 0 ? 200 : 503);
});
