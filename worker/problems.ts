/** Refusals: thrown anywhere below a route, turned into the one error body by `app.ts`. */
import * as z from "zod";
import type { ApiCode, ErrorBody } from "../schema/errors.ts";

/** With which status each code is answered. */
export const STATUS = {
  VALIDATION_ERROR: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  RATE_LIMIT_EXCEEDED: 429,
  REGISTRATION_REFUSED: 403,
  AGENT_PENDING: 403,
  AGENT_LOCKED: 423,
  NO_AZURE_CONNECTION: 409,
  STORAGE_UNREACHABLE: 502,
  STORAGE_DENIED: 409,
  // Not 404 or 409, by which an agent learns that its run is over: this one goes on when somebody has signed in again.
  AZURE_AUTH_EXPIRED: 403,
  NOT_CONFIGURED: 503,
  INTERNAL_ERROR: 500,
} as const satisfies Record<ApiCode, number>;

export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ApiCode;
  readonly details: Record<string, unknown> | null;
  constructor(code: ApiCode, message: string, details: Record<string, unknown> | null = null) {
    super(message);
    this.code = code;
    this.details = details;
  }
  get status() {
    return STATUS[this.code];
  }
  get body(): ErrorBody {
    return { error: this.message, code: this.code, details: this.details };
  }
}

/** The same whether a thing is missing or another organization's. */
export function notFound(): Problem {
  return new Problem("NOT_FOUND", "There is nothing here by this name");
}

/** A refused body, with a message for each field. */
export function invalid(fields: Record<string, string>): Problem {
  return new Problem("VALIDATION_ERROR", "Some fields need another look", { fields });
}

/** Parses what came in; throws {@link invalid} with one message per field. */
export function parse<Output>(schema: z.ZodType<Output>, value: unknown): Output {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  // A map, because what was sent may have a key "constructor" or "__proto__".
  const fields = new Map<string, string>();
  for (const issue of parsed.error.issues) {
    const places =
      issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
    const message = issue.code === "unrecognized_keys" ? "There is no such field" : issue.message;
    for (const place of places) if (!fields.has(place.join("."))) fields.set(place.join("."), message);
  }
  throw invalid(Object.fromEntries(fields));
}
