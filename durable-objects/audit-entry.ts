/** Entries of the audit log about what the control plane did by itself (`docs/spec.md`, section V), in the batch of the deed. */
import { ID_RANDOM_BYTES, newId } from "../schema/ids.ts";
import { redact } from "../schema/redact.ts";
import type { ScopedDb, Write } from "../schema/scoped-db.ts";
import { auditLog } from "../schema/tables.ts";

/** What an agent says may be as long as it likes. */
const TEXT_LENGTH_MAX = 500;

type Details = Readonly<Record<string, string | number | boolean | null>> | null;

export function audit(db: ScopedDb, action: string, objectId: string, details: Details, atMs: number): Write {
  return db.insert(auditLog, entry(action, objectId, details, atMs));
}

/** The same, left out when the write right before it changed nothing. */
export function auditIfChanged(
  db: ScopedDb,
  action: string,
  objectId: string,
  details: Details,
  atMs: number,
): Write {
  return db.insertIfChanged(auditLog, entry(action, objectId, details, atMs));
}

function entry(action: string, objectId: string, details: Details, atMs: number) {
  const told = Object.entries(details ?? {}).map(([name, value]) => [
    name,
    typeof value === "string" ? redact(value).slice(0, TEXT_LENGTH_MAX) : value,
  ]);
  return {
    id: newId("audit", atMs, crypto.getRandomValues(new Uint8Array(ID_RANDOM_BYTES))),
    at: atMs,
    actorKind: "system" as const,
    actorId: null,
    address: null,
    action,
    objectId,
    details: details === null ? null : (Object.fromEntries(told) as Record<string, unknown>),
    number: null,
    hash: null,
  };
}
