/** The audit log: who did what to which thing. Only ever added to; `details` never holds a secret. */
import type { ScopedDb, Write } from "../../schema/scoped-db.ts";
import { auditLog } from "../../schema/tables.ts";
import { makeId } from "./ids.ts";

export interface Actor {
  readonly kind: "user" | "agent" | "system";
  readonly id: string | null;
  readonly address: string | null;
}

/** The entry, to be written in the same batch as what it tells of. */
export function audit(
  db: ScopedDb,
  actor: Actor,
  action: string,
  objectId: string | null,
  details: Record<string, unknown> | null = null,
): Write {
  return db.insert(auditLog, {
    id: makeId("audit"),
    at: Date.now(),
    actorKind: actor.kind,
    actorId: actor.id,
    address: actor.address,
    action,
    objectId,
    details,
  });
}
