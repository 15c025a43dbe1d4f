/**
 * What the Worker logs: one line per request, and no secret in any line, whoever wrote it. The net hangs on `console`
 * itself, which all of this script shares, Durable Objects included.
 */
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { redact } from "../schema/redact.ts";
import type { App } from "./context.ts";

export const REQUEST_ID_HEADER = "X-Request-Id";

const METHODS = ["debug", "log", "info", "warn", "error"] as const;

/** From now on everything that is logged goes through the redactor. */
export function redactConsole(target: Pick<Console, (typeof METHODS)[number]>): void {
  for (const method of METHODS) {
    const write = target[method].bind(target);
    target[method] = (...values: unknown[]) => write(...values.map(textOf));
  }
}

/** Gives each request an id, which its answer carries, and logs one line when it is answered. */
export const requestLog: MiddlewareHandler<App> = async (c, next) => {
  const startMs = Date.now();
  // Our own, not one that was sent: an id must not be somebody else's to choose.
  const requestId = crypto.randomUUID();
  c.set("requestId", requestId);
  await next();
  // The answer to an upgrade is the runtime's and cannot be changed.
  if (c.res.status !== 101) c.header(REQUEST_ID_HEADER, requestId);
  const line = {
    event: "request",
    requestId,
    method: c.req.method,
    // The pattern and not the address, in which there may be anything.
    route: matchedRoutes(c).findLast(({ method }) => method !== "ALL")?.path ?? null,
    status: c.res.status,
    durationMs: Date.now() - startMs,
    // Unset where nobody was let in.
    orgId: (c.get("db") as { orgId: string } | undefined)?.orgId ?? null,
  };
  console.log(JSON.stringify(line));
};

function textOf(value: unknown): string {
  if (value instanceof Error) return redact(String(value.stack ?? value));
  return redact(typeof value === "string" ? value : (JSON.stringify(value) ?? String(value)));
}
