/**
 * What is done once though it is asked for twice, and has no row to look the `Idempotency-Key` up in: a repeat within a day
 * gets what the first one was given.
 */
import type { Context } from "hono";
import { readIdempotencyKey, type App } from "./context.ts";
import { seal, sha256Hex, unseal, type SealedPlace } from "./secrets.ts";

export interface Made {
  readonly id: string;
  readonly secret: string;
}

/**
 * For things whose secret is shown once: the given one, or what was made under the request's key before, the secret included.
 * It rests sealed, outside the database that knows its hash. Whoever gets it stores it, unless it is there already.
 */
export async function claimOnce(
  c: Context<App>,
  kind: "registration_codes" | "api_keys" | "webhooks",
  made: Made,
): Promise<Made> {
  const key = await keyOf(c, kind);
  if (key === null) return made;
  const place: SealedPlace = { table: kind, column: "claim", orgId: c.get("db").orgId, id: key };
  const held = await claim(c, key, await seal(c.env.SECRETS_KEYS, place, JSON.stringify(made)));
  return JSON.parse(await unseal(c.env.SECRETS_KEYS, place, held)) as Made;
}

/** The given text, which holds no secret, or what was given first under the request's key and for the same `what`. */
export async function firstClaim(c: Context<App>, what: string, text: string): Promise<string> {
  const key = await keyOf(c, what);
  return key === null ? text : await claim(c, key, text);
}

async function keyOf(c: Context<App>, what: string): Promise<string | null> {
  const requestKey = readIdempotencyKey(c);
  return requestKey === null ? null : await sha256Hex(`${what}:${requestKey}`);
}

async function claim(c: Context<App>, key: string, value: string): Promise<string> {
  const { orgId } = c.get("db");
  return await c.env.CLAIMS.getByName(orgId).claim(orgId, key, value);
}
