/** Addresses that are told of events. Only people manage them: one that a key made would go on telling after the key's end. */
import { Hono, type Context } from "hono";
import { listQuery } from "../../schema/api.ts";
import { webhookId } from "../../schema/ids.ts";
import { webhookCreate, type WebhookMade, type WebhookTested } from "../../schema/webhooks.ts";
import { claimOnce } from "../claims.ts";
import { actorOf, readBody, readId, readQuery, type App } from "../context.ts";
import { makeId } from "../db/ids.ts";
import { createWebhook, deleteWebhook, enableWebhook, listWebhooks, openWebhook } from "../db/webhooks.ts";
import { outboxWorld } from "../outbox/world.ts";
import { callWebhook, newWebhookSecret, webhookBody } from "../outbox/webhook.ts";
import { refusalOfAddress } from "../outbox/webhook-address.ts";
import { invalid, Problem } from "../problems.ts";

/** Of each organization; a test makes the Worker call somebody. */
const TESTS = { count: 20, windowMs: 60_000 } as const;

export const webhookRoutes = new Hono<App>()
  .get("/", async (c) => c.json(await listWebhooks(c.get("db"), readQuery(c, listQuery))))
  .post("/", async (c) => {
    const { url, events } = await readBody(c, webhookCreate);
    const refusal = refusalOfAddress(url, { isDevelopment: c.env.ENVIRONMENT === "development" });
    if (refusal !== null) throw invalid({ url: refusal });
    const made = await claimOnce(c, "webhooks", { id: makeId("webhook"), secret: newWebhookSecret() });
    const shown = await createWebhook(c.get("db"), actorOf(c), c.env.SECRETS_KEYS, { ...made, url, events });
    return c.json({ ...shown, secret: made.secret } satisfies WebhookMade, 201);
  })
  .delete("/:id", async (c) => {
    await deleteWebhook(c.get("db"), actorOf(c), readId(c, webhookId));
    return c.body(null, 204);
  })
  .post("/:id/enable", async (c) =>
    c.json(await enableWebhook(c.get("db"), actorOf(c), readId(c, webhookId))),
  )
  .post("/:id/test", async (c) => c.json(await test(c, readId(c, webhookId))));

/** Sends an event that tells of nothing, signed like any other, and says what became of it. */
async function test(c: Context<App>, id: string): Promise<WebhookTested> {
  const webhook = await openWebhook(c.get("db"), c.env.SECRETS_KEYS, id);
  const { orgId } = c.get("db");
  const use = await c.env.LIMITS.getByName(`webhook-tests/${orgId}`).use("all", TESTS);
  if (!use.allowed) {
    const retryAfterSeconds = Math.max(1, Math.ceil((use.resetMs - Date.now()) / 1_000));
    throw new Problem("RATE_LIMIT_EXCEEDED", "Too many test deliveries; wait a moment", {
      retryAfterSeconds,
    });
  }
  const world = outboxWorld(c.env, Date.now());
  const startMs = Date.now();
  const body = webhookBody("webhook.test", startMs, {
    title: "A test of this webhook",
    detail: "Somebody asked for it in the dashboard. Nothing has happened.",
  });
  const { isDevelopment } = world.settings;
  const delivery = await callWebhook(world, { ...webhook, isDevelopment }, { id: makeId("outbox"), body });
  return {
    delivered: delivery.kind === "accepted",
    reason: delivery.kind === "accepted" ? null : delivery.reason,
    durationMs: Date.now() - startMs,
  };
}
