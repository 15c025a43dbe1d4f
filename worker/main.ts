/** The Worker: the API, the pages around signing in, the Durable Objects, and once a minute the sweep. */
import { createApp } from "./app.ts";
import type { Env } from "./env.ts";
import { redactConsole } from "./log.ts";
import { sweep } from "./sweep.ts";

export { AgentObject } from "../durable-objects/agent-object.ts";
export { Claims } from "../durable-objects/claims.ts";
export { CronRecord } from "../durable-objects/cron-record.ts";
export { Limits } from "../durable-objects/limits.ts";
export { OrganizationFeed } from "../durable-objects/organization-feed.ts";

redactConsole(console);
const app = createApp();

export default {
  fetch: app.fetch,
  async scheduled(controller, env) {
    await sweep(env, controller.scheduledTime);
  },
} satisfies ExportedHandler<Env>;
