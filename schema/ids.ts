/**
 * Identifiers: `<prefix>_<26 characters>`, sortable by the time they were made.
 *
 * The 26 characters are a 48-bit time in milliseconds and 80 random bits in Crockford's base 32, lower case
 * (the layout of a ULID), so that a list ordered by id is a list ordered by creation, and a cursor is an id.
 */
import * as z from "zod";

/** The kinds of things that carry an id, and the prefix each id begins with. */
export const ID_PREFIXES = {
  organization: "org",
  user: "usr",
  session: "ses",
  client: "cli",
  project: "prj",
  connection: "con",
  agent: "agt",
  registrationCode: "rgc",
  agentKey: "key",
  job: "job",
  audit: "aud",
  oauthState: "oas",
  apiKey: "apk",
  webhook: "whk",
  outbox: "out",
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

export const ID_RANDOM_BYTES = 10;
/** Crockford's base 32: no I, L, O or U. */
export const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

export const organizationId = idOf("organization");
export const userId = idOf("user");
export const clientId = idOf("client");
export const projectId = idOf("project");
export const connectionId = idOf("connection");
export const agentId = idOf("agent");
export const registrationCodeId = idOf("registrationCode");
export const jobId = idOf("job");
export const sessionId = idOf("session");
export const oauthStateId = idOf("oauthState");
export const apiKeyId = idOf("apiKey");
export const webhookId = idOf("webhook");
export const outboxId = idOf("outbox");

/** Makes an id. `random` must hold {@link ID_RANDOM_BYTES} bytes from a cryptographic source. */
export function newId(kind: IdKind, nowMs: number, random: Uint8Array): string {
  let bits = BigInt(Math.floor(nowMs)) & 0xffff_ffff_ffffn;
  for (let index = 0; index < ID_RANDOM_BYTES; index++) bits = (bits << 8n) | BigInt(random[index] ?? 0);
  let text = "";
  for (let place = 0; place < 26; place++) {
    text = (CROCKFORD[Number(bits & 31n)] as string).toLowerCase() + text;
    bits >>= 5n;
  }
  return `${ID_PREFIXES[kind]}_${text}`;
}

function idOf(kind: IdKind) {
  return z.string().regex(new RegExp(`^${ID_PREFIXES[kind]}_[0-9a-hjkmnp-tv-z]{26}$`), `Not a ${kind} id`);
}
