/** Keys of an organization for programs: what a request may hold and what an answer holds. */
import * as z from "zod";
import { apiKeyId } from "./ids.ts";

export const API_KEY_DAYS_MAX = 3_650;

export const apiKeyRole = z.enum(["admin", "member", "viewer"]);

export const apiKeyCreate = z.strictObject({
  name: z.string().trim().min(1, "Give a name").max(200),
  role: apiKeyRole,
  /** Null = until it is revoked. */
  validDays: z.int().min(1).max(API_KEY_DAYS_MAX).nullable().default(null),
});
export type ApiKeyCreate = z.input<typeof apiKeyCreate>;

export const apiKey = z.object({
  id: apiKeyId,
  name: z.string(),
  role: apiKeyRole,
  status: z.enum(["active", "expired", "revoked"]),
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
  /** To the minute. */
  lastUsedAt: z.iso.datetime().nullable(),
});
export type ApiKey = z.infer<typeof apiKey>;

/** The only answer that ever holds the key itself. */
export const apiKeyMade = apiKey.extend({ key: z.string() });
export type ApiKeyMade = z.infer<typeof apiKeyMade>;
