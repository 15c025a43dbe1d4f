/** What every route finds in its Hono context, and the small things all routes do alike. */
import type { Context } from "hono";
import type * as z from "zod";
import type { Use } from "../durable-objects/limit-book.ts";
import { IDEMPOTENCY_HEADER, idempotencyKey } from "../schema/api.ts";
import type { ScopedDb } from "../schema/scoped-db.ts";
import type { Actor } from "./db/audit.ts";
import type { SignedIn } from "./db/identity.ts";
import type { Env } from "./env.ts";
import { invalid, notFound, parse } from "./problems.ts";

export interface App {
  Bindings: Env;
  Variables: {
    /** Set on all routes. */
    requestId: string;
    /** Set on routes of users. */
    user: SignedIn;
    /** Set where an organization's API key calls; `user` is then the person who made it, with the key's role. */
    apiKeyId: string | undefined;
    /** Set where calls are counted. */
    rate: Use | undefined;
    /** Set on routes of agents. */
    agent: { readonly orgId: string; readonly agentId: string; readonly keyHash: string };
    /** Set on both: D1 as far as it belongs to the caller's organization. */
    db: ScopedDb;
  };
}

/** Reads and checks a JSON body. */
export async function readBody<Output>(c: Context<App>, schema: z.ZodType<Output>): Promise<Output> {
  if (!(c.req.header("content-type") ?? "").startsWith("application/json")) {
    throw invalid({ "": "Send JSON, with the content type application/json" });
  }
  const text = await c.req.text();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid({ "": "The body is not JSON" });
  }
  return parse(schema, value);
}

export function readQuery<Output>(c: Context<App>, schema: z.ZodType<Output>): Output {
  return parse(schema, c.req.query());
}

/** The id in the path. One of another form is the same as one that is not there. */
export function readId(c: Context<App>, schema: z.ZodType<string>): string {
  const id = schema.safeParse(c.req.param("id"));
  if (!id.success) throw notFound();
  return id.data;
}

export function readIdempotencyKey(c: Context<App>): string | null {
  const header = c.req.header(IDEMPOTENCY_HEADER);
  if (header === undefined) return null;
  const key = idempotencyKey.safeParse(header);
  if (!key.success) throw invalid({ [IDEMPOTENCY_HEADER]: "8 to 128 characters" });
  return key.data;
}

/** The signed-in user, or the API key that calls, as the audit log names them. */
export function actorOf(c: Context<App>): Actor & { id: string } {
  const actor = { id: c.get("user").userId, address: addressOf(c) };
  const apiKeyId = c.get("apiKeyId");
  return apiKeyId === undefined ? { ...actor, kind: "user" } : { ...actor, kind: "api_key", apiKeyId };
}

export function addressOf(c: Context<App>): string | null {
  return c.req.header("cf-connecting-ip") ?? null;
}
