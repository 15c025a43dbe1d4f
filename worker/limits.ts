/**
 * How much anybody may ask for, and where it is counted. The counting is exact and done in `durable-objects/limits.ts`: one
 * object per organization and kind of caller, and a fixed number of them for addresses, so that nobody outside decides how
 * many objects there are. `docs/decisions/0008-limits.md`.
 */
import type { Context } from "hono";
import type { GuessLimits, Limit, Use } from "../durable-objects/limit-book.ts";
import type { Guess, Limits } from "../durable-objects/limits.ts";
import { networkOf } from "./auth/network.ts";
import { addressOf, type App } from "./context.ts";
import type { Env } from "./env.ts";
import { Problem } from "./problems.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** Of all API keys of an organization together. */
export const API_KEY_LIMIT: Limit = { count: 100, windowMs: MINUTE_MS };
/** Of each session: a page that is used fast stays far below. */
const SESSION_COUNT = 600;
/** Of each agent: it asks for a grant per job and half hour, and connects again after a lost line. */
export const AGENT_LIMIT: Limit = { count: 300, windowMs: MINUTE_MS };
/** Of each address: a whole office signs in through one. */
export const SIGN_IN_LIMIT: Limit = { count: 60, windowMs: MINUTE_MS };
/** Keys of agents that were wrong, of each address; a hundred revoked agents behind one line stay below. */
export const BAD_KEY_LIMIT: Limit = { count: 1_000, windowMs: HOUR_MS };
export const CODE_GUESS_LIMITS: GuessLimits = { perKey: { count: 10, windowMs: HOUR_MS }, inAll: 1_000 };

const SHARDS = 16;

/** Counts a request of somebody who is known, and remembers what the answer's headers say of it; refuses the one too many. */
export async function limitCaller(
  c: Context<App>,
  caller: { readonly kind: "session" | "api-keys" | "agent"; readonly orgId: string; readonly id: string },
): Promise<void> {
  const limit = limitOf(c.env, caller.kind);
  let use: Use;
  try {
    use = await c.env.LIMITS.getByName(`${caller.kind}/${caller.orgId}`).use(caller.id, limit);
  } catch (error) {
    // Known callers are not turned away because nobody counts.
    console.error(JSON.stringify({ event: "limit_not_counted", kind: caller.kind, reason: String(error) }));
    return;
  }
  c.set("rate", use);
  if (!use.allowed) throw tooMany("Too many requests; wait a moment", use.resetMs);
}

/** Counts a try to sign in, whatever comes of it. */
export async function limitSignIn(c: Context<App>): Promise<"allowed" | "refused"> {
  const { stub, key } = byAddress(c, "sign-in");
  const use = await stub.use(key, SIGN_IN_LIMIT);
  if (use.allowed) return "allowed";
  c.header("Retry-After", String(secondsUntil(use.resetMs)));
  return "refused";
}

/** Before an agent's object is woken for a key: whether this address made up too many already. */
export async function limitBadKeys(c: Context<App>): Promise<void> {
  const { stub, key } = byAddress(c, "agent-keys");
  const use = await stub.look(key, BAD_KEY_LIMIT);
  if (!use.allowed) throw tooMany("Too many wrong keys from this address", use.resetMs);
}

export async function countBadKey(c: Context<App>): Promise<void> {
  const { stub, key } = byAddress(c, "agent-keys");
  await stub.use(key, BAD_KEY_LIMIT);
}

/**
 * Looks at a registration code with `guess`, which tells whether it was right; not at all when the address had too many
 * wrong ones. A guess that breaks off has failed.
 */
export async function guessCode<Result>(
  c: Context<App>,
  guess: (approval: Pick<Extract<Guess, { kind: "open" }>, "byHand">) => Promise<Result | null>,
): Promise<Result | null> {
  const stub = c.env.LIMITS.getByName("registration");
  const begun = await stub.beginGuess(networkOf(addressOf(c)), CODE_GUESS_LIMITS);
  if (begun.kind === "blocked") {
    throw tooMany("Too many wrong registration codes from this address; try again later", begun.untilMs);
  }
  const result = await guess(begun);
  await stub.endGuess(begun.id, result === null ? "wrong" : "right");
  return result;
}

/** What every answer to a caller says, also a refusal. */
export function showLimit(c: Context<App>): void {
  const use = c.get("rate");
  if (use !== undefined) {
    c.header("X-RateLimit-Limit", String(use.limit));
    c.header("X-RateLimit-Remaining", String(use.remaining));
    c.header("X-RateLimit-Reset", String(Math.ceil(use.resetMs / 1_000)));
  }
  if (c.error instanceof Problem && c.error.code === "RATE_LIMIT_EXCEEDED") {
    const seconds = c.error.details?.["retryAfterSeconds"];
    if (typeof seconds === "number") c.header("Retry-After", String(seconds));
  }
}

function limitOf(env: Env, kind: "session" | "api-keys" | "agent"): Limit {
  switch (kind) {
    case "session":
      return {
        count: Number(env.SESSION_REQUESTS_PER_MINUTE ?? SESSION_COUNT) || SESSION_COUNT,
        windowMs: MINUTE_MS,
      };
    case "api-keys":
      return API_KEY_LIMIT;
    case "agent":
      return AGENT_LIMIT;
  }
}

function tooMany(message: string, untilMs: number): Problem {
  return new Problem("RATE_LIMIT_EXCEEDED", message, { retryAfterSeconds: secondsUntil(untilMs) });
}

function secondsUntil(atMs: number): number {
  return Math.max(1, Math.ceil((atMs - Date.now()) / 1_000));
}

function byAddress(c: Context<App>, purpose: string): { stub: DurableObjectStub<Limits>; key: string } {
  const key = networkOf(addressOf(c));
  // FNV-1a: any spread will do, and the same address always comes to the same object.
  let hash = 0x811c_9dc5;
  for (const character of key) hash = Math.imul(hash ^ character.charCodeAt(0), 0x0100_0193) >>> 0;
  return { stub: c.env.LIMITS.getByName(`${purpose}/${hash % SHARDS}`), key };
}
