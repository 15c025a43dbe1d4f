/** Events that others are told of, and the addresses an organization wants to have told: shapes of requests and answers. */
import * as z from "zod";
import { webhookId } from "./ids.ts";

export const EVENT_TYPES = [
  "job.started",
  "job.completed",
  "job.failed",
  "job.cancelled",
  "agent.online",
  "agent.offline",
  "project.auth_required",
  "project.completed",
] as const;
export const eventType = z.enum(EVENT_TYPES);
export type EventType = z.infer<typeof eventType>;

export const WEBHOOKS_MAX = 20;
export const WEBHOOK_URL_LENGTH_MAX = 1_000;

export const webhookCreate = z.strictObject({
  /** What is allowed is more than a shape can say; the route refuses the rest with a sentence. */
  url: z.string().min(1, "Give an address").max(WEBHOOK_URL_LENGTH_MAX),
  events: z
    .array(eventType)
    .min(1, "Choose at least one event")
    .max(EVENT_TYPES.length)
    .refine((events) => new Set(events).size === events.length, "Name each event once")
    .default([...EVENT_TYPES]),
});
export type WebhookCreate = z.input<typeof webhookCreate>;

export const webhook = z.object({
  id: webhookId,
  url: z.string(),
  events: z.array(eventType),
  /** `failing`: the newest deliveries failed and are tried again; `disabled`: that went on for too long. */
  status: z.enum(["active", "failing", "disabled"]),
  /** Since when nothing gets through, and why; null while it does. */
  failingSince: z.iso.datetime().nullable(),
  reason: z.string().nullable(),
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
  disabledAt: z.iso.datetime().nullable(),
});
export type Webhook = z.infer<typeof webhook>;

/** The only answer that ever holds the secret that deliveries are signed with. */
export const webhookMade = webhook.extend({ secret: z.string() });
export type WebhookMade = z.infer<typeof webhookMade>;

/** What became of a delivery that was asked for. Nothing of what the receiver answered is in it but its status. */
export const webhookTested = z.object({
  delivered: z.boolean(),
  reason: z.string().nullable(),
  durationMs: z.int().nonnegative(),
});
export type WebhookTested = z.infer<typeof webhookTested>;
