/**
 * Things whose secret is shown once, made once: a repeat with the same `Idempotency-Key` gets what the first one made, the
 * secret included. It rests sealed, for a day, outside the database that knows its hash.
 */
import type { Context } from "hono";
import { readIdempotencyKey, type App } from "./context.ts";
import { seal, sha256Hex, unseal, type SealedPlace } from "./secrets.ts";

export interface Made {
  readonly id: string;
  readonly secret: string;
}

/** The given one, or what was made under the request's key before. Whoever gets it stores it, unless it is there already. */
export async function claimOnce(
  c: Context<App>,
  kind: "registration_codes" | "api_keys",
  made: Made,
): Promise<Made> {
  const requestKey = readIdempotencyKey(c);
  if (requestKey === null) return made;
  const { orgId } = c.get("db");
  const key = await sha256Hex(`${kind}:${requestKey}`);
  const place: SealedPlace = { table: kind, column: "claim", orgId, id: key };
  const sealed = await seal(c.env.SECRETS_KEYS, place, JSON.stringify(made));
  const held = await c.env.CLAIMS.getByName(orgId).claim(orgId, key, sealed);
  return JSON.parse(await unseal(c.env.SECRETS_KEYS, place, held)) as Made;
}
