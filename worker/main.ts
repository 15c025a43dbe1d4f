/** The Worker: the API, the pages around signing in, the Durable Objects, and once a minute the sweep. */
import { createApp } from "./app.ts";
import type { Env } from "./env.ts";
import { sweep } from "./sweep.ts";

export { AgentObject } from "../durable-objects/agent-object.ts";
export { OrganizationFeed } from "../durable-objects/organization-feed.ts";

const app = createApp();

export default {
  fetch: app.fetch,
  async scheduled(controller, env) {
    await sweep(env, controller.scheduledTime);
  },
} satisfies ExportedHandler<Env>;
