/** What stands in the outbox, and how one is written: as one statement, beside what it tells of. */
import { newOutboxId } from "../../durable-objects/happenings.ts";
import type { ScopedDb, Write } from "../../schema/scoped-db.ts";
import { outbox } from "../../schema/tables.ts";
import type { BusEvent } from "./bus.ts";
import type { Mail } from "./mail.ts";
import type { OutboxKind } from "./retry.ts";

/** A day's usage of an organization, as Hub Billing takes it. */
export interface DayUsage {
  readonly source: "migrate";
  readonly organization_id: string;
  /** The organization, as the Hub knows it. */
  readonly tenant_id: string;
  /** `2026-11-23`, in UTC. */
  readonly day: string;
  /** GB are 10⁹ bytes that were really uploaded. */
  readonly gb_transferred: number;
  readonly bytes_transferred: number;
  readonly mailbox_count: number;
}

/** A webhook's body as it is signed and sent. */
export interface WebhookMessage {
  readonly body: string;
}

export type NewEntry = { readonly key: string } & (
  | { readonly kind: "bus"; readonly target: null; readonly payload: BusEvent }
  | { readonly kind: "webhook"; readonly target: string; readonly payload: WebhookMessage }
  | { readonly kind: "mail"; readonly target: string; readonly payload: Mail }
  | { readonly kind: "billing"; readonly target: null; readonly payload: DayUsage }
);

/** A row that is due. */
export interface DueEntry {
  readonly orgId: string;
  readonly id: string;
  readonly kind: OutboxKind;
  readonly key: string;
  readonly target: string | null;
  readonly payload: unknown;
  readonly createdAt: number;
  readonly attempts: number;
  readonly dueAt: number;
}

/** Writes an entry; one with the same key that is there already stays as it is. */
export function writeEntry(db: ScopedDb, entry: NewEntry, atMs: number): Write {
  const row = { ...entry, id: newOutboxId(atMs), createdAt: atMs, attempts: 0, dueAt: atMs };
  return db.insert(outbox, row, { ignoreConflict: true });
}
