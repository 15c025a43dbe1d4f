/**
 * A webhook's delivery, signed as Standard Webhooks 1.0.0 has it: HMAC-SHA-256 over id, time of the try and body, in the
 * headers `webhook-id`, `webhook-timestamp` and `webhook-signature`. The id stays the same however often it is tried.
 */
import { base64, fromBase64, hmacSha256, type SealedPlace } from "../secrets.ts";
import type { BusEvent } from "./bus.ts";
import { judge, post, type Delivery, type PostWorld } from "./post.ts";
import { refusalOfAddress } from "./webhook-address.ts";

const PREFIX = "whsec_";
const SECRET_BYTES = 32;

export function newWebhookSecret(): string {
  return `${PREFIX}${base64(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)))}`;
}

export function placeOfWebhook(orgId: string, id: string): SealedPlace {
  return { table: "webhooks", column: "sealed_secret", orgId, id };
}

/** What is sent: the event's own time stays, however late it comes. */
export function webhookBody(type: string, atMs: number, data: unknown): string {
  return JSON.stringify({ type, timestamp: new Date(atMs).toISOString(), data });
}

/** Webhooks are their organization's own, so what names it is left out. */
export function webhookData({ source: _source, type: _type, tenant_id: _tenant, ...facts }: BusEvent) {
  return facts;
}

export type WebhookDelivery =
  | Delivery
  /** The receiver wants no more, ever. */
  | { readonly kind: "gone"; readonly reason: string };

export async function callWebhook(
  world: PostWorld,
  to: { readonly url: string; readonly secret: string; readonly isDevelopment: boolean },
  message: { readonly id: string; readonly body: string },
): Promise<WebhookDelivery> {
  // Judged again: what was allowed when it was made may not be any more.
  const refusal = refusalOfAddress(to.url, to);
  if (refusal !== null) return { kind: "never", reason: refusal };
  const timestamp = String(Math.floor(world.now() / 1_000));
  const headers = {
    "webhook-id": message.id,
    "webhook-timestamp": timestamp,
    "webhook-signature": await signature(to.secret, message, timestamp),
  };
  const answer = await post(world, { url: to.url, headers, body: message.body });
  if (answer.kind === "status" && answer.status === 410) return { kind: "gone", reason: "It answered 410" };
  const delivery = judge(answer);
  // It is people's to mend, whatever it says; after three days of it the webhook is disabled.
  return delivery.kind === "accepted" ? delivery : { kind: "away", reason: delivery.reason };
}

async function signature(
  secret: string,
  { id, body }: { readonly id: string; readonly body: string },
  timestamp: string,
): Promise<string> {
  const key = fromBase64(secret.slice(PREFIX.length));
  return `v1,${base64(await hmacSha256(key, `${id}.${timestamp}.${body}`))}`;
}
