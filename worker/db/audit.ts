/**
 * The audit log: who did what to which thing. Only ever added to, in the same batch as what it tells of. An entry gets its
 * place in the organization's chain a moment later (`audit-chain.ts`), so that nobody's write waits for a place.
 */
import type { SQL } from "drizzle-orm";
import type { ScopedDb, Write } from "../../schema/scoped-db.ts";
import { redact } from "../../schema/redact.ts";
import { auditLog } from "../../schema/tables.ts";
import { makeId } from "./ids.ts";

export interface Actor {
  readonly kind: "user" | "agent" | "api_key" | "system";
  readonly id: string | null;
  readonly address: string | null;
  /** Of kind `api_key`: the key that acts, which the log names; `id` is then the person who made it. */
  readonly apiKeyId?: string;
}

const TEXT_LENGTH_MAX = 500;

/** The entry, to be written in the same batch as what it tells of. `details` never holds a secret; a net is below it. */
export function audit(
  db: ScopedDb,
  actor: Actor,
  action: string,
  objectId: string | null,
  details: Record<string, unknown> | null = null,
): Write {
  return db.insert(auditLog, entry(actor, action, objectId, details));
}

/** The same, for a write that may change nothing: it must stand right behind that write, and is left out with it. */
export function auditIfChanged(
  db: ScopedDb,
  actor: Actor,
  action: string,
  objectId: string | null,
  details: Record<string, unknown> | null = null,
): Write {
  return db.insertIfChanged(auditLog, entry(actor, action, objectId, details));
}

/** The same, if a condition holds in that moment; the condition names the organization itself. */
export function auditIf(
  db: ScopedDb,
  actor: Actor,
  { action, objectId, details }: { action: string; objectId: string; details: Record<string, unknown> },
  condition: SQL,
): Write {
  return db.insertIf(auditLog, entry(actor, action, objectId, details), condition);
}

function entry(
  actor: Actor,
  action: string,
  objectId: string | null,
  details: Record<string, unknown> | null,
) {
  return {
    id: makeId("audit"),
    at: Date.now(),
    actorKind: actor.kind,
    actorId: actor.apiKeyId ?? actor.id,
    address: actor.address,
    action,
    objectId,
    details: details === null ? null : storable(details),
    number: null,
    hash: null,
  };
}

/** What people typed, as it may stand in a file for years: without secrets, and no longer than a line. */
function storable(details: Record<string, unknown>): Record<string, unknown> {
  const text = JSON.stringify(details, (_key, value: unknown) =>
    typeof value === "string" ? shortened(redact(value)) : value,
  );
  return JSON.parse(text) as Record<string, unknown>;
}

function shortened(text: string): string {
  return text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX)}…`;
}
