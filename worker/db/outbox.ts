/** The outbox of one organization, as deliverers change it. */
import { and, eq, isNull, lte, sql } from "drizzle-orm";
import type { ScopedDb, Write } from "../../schema/scoped-db.ts";
import { outbox, webhooks } from "../../schema/tables.ts";
import type { DueEntry } from "../outbox/entries.ts";
import { delayAfter, isTooOld, WEBHOOK_FAILS_MS_MAX } from "../outbox/retry.ts";
import { auditIfChanged } from "./audit.ts";
import { newOutboxId } from "../../durable-objects/happenings.ts";

/** Longer than any delivery takes. Whoever took an entry and is heard of no more has lost it when this is over. */
export const LEASE_MS = 2 * 60_000;
const REASON_LENGTH_MAX = 300;

/** An entry that this deliverer alone works on, until its lease is over. */
export interface Leased extends DueEntry {
  readonly leasedUntil: number;
}

/** Takes an entry; null when somebody else has it, or had it. */
export async function lease(db: ScopedDb, entry: DueEntry, nowMs: number): Promise<Leased | null> {
  const leasedUntil = nowMs + LEASE_MS;
  const attempts = entry.attempts + 1;
  const isAsSeen = and(
    eq(outbox.id, entry.id),
    eq(outbox.attempts, entry.attempts),
    eq(outbox.dueAt, entry.dueAt),
    isNull(outbox.sentAt),
  );
  const [changed] = await db.batch([db.update(outbox, { attempts, dueAt: leasedUntil }, isAsSeen)]);
  return changed === 1 ? { ...entry, attempts, leasedUntil } : null;
}

/** It was accepted: that is so, whoever has it by now. */
export function sent(db: ScopedDb, { id }: DueEntry, nowMs: number): Write {
  return db.update(outbox, { sentAt: nowMs, dueAt: null, lastError: null }, eq(outbox.id, id));
}

/** It was not accepted. It comes again, unless it is too old by then, or can never be. */
export function failed(
  db: ScopedDb,
  entry: Leased,
  { reason, isFinal, nowMs, random }: { reason: string; isFinal: boolean; nowMs: number; random: number },
): { write: Write; dueAt: number | null } {
  const isOver = isFinal || isTooOld(entry.kind, nowMs - entry.createdAt);
  const dueAt = isOver ? null : nowMs + delayAfter(entry.kind, entry.attempts, random);
  const set = {
    dueAt,
    givenUpAt: isOver ? nowMs : null,
    lastError: reason.slice(0, REASON_LENGTH_MAX),
  };
  const isStillOurs = and(
    eq(outbox.id, entry.id),
    eq(outbox.attempts, entry.attempts),
    eq(outbox.dueAt, entry.leasedUntil),
  );
  return { write: db.update(outbox, set, isStillOurs), dueAt };
}

/**
 * How a webhook is doing is an entry of its own that is never due: since when it fails, and why. It is there while it fails,
 * and stays with one that was disabled.
 */
export function webhookStateKey(webhookId: string): string {
  return `${webhookId}/state`;
}

export function webhookWorks(db: ScopedDb, webhookId: string): Write {
  return db.delete(outbox, isState(webhookId));
}

/** Notes the failure, and disables the webhook when it has failed for too long, or at once. */
export function webhookFails(
  db: ScopedDb,
  webhookId: string,
  { reason, isGone, nowMs }: { reason: string; isGone: boolean; nowMs: number },
): Write[] {
  const state = {
    id: newOutboxId(nowMs),
    kind: "webhook" as const,
    key: webhookStateKey(webhookId),
    target: webhookId,
    payload: {},
    createdAt: nowMs,
    attempts: 0,
    dueAt: null,
    lastError: reason,
  };
  const since = nowMs - WEBHOOK_FAILS_MS_MAX;
  const isFailing = sql`exists (select 1 from outbox s where s.org_id = ${db.orgId} and s.kind = 'webhook' and s.key = ${state.key} and s.created_at <= ${since})`;
  const system = { kind: "system", id: null, address: null } as const;
  return [
    db.insert(outbox, state, { ignoreConflict: true }),
    db.update(outbox, { lastError: reason.slice(0, REASON_LENGTH_MAX) }, isState(webhookId)),
    db.update(
      webhooks,
      { disabledAt: nowMs },
      and(eq(webhooks.id, webhookId), isNull(webhooks.disabledAt), isGone ? undefined : isFailing),
    ),
    auditIfChanged(db, system, "webhook.disabled", webhookId, { reason }),
  ];
}

/** Others for the same webhook wait as well. */
export function postponeWebhook(
  db: ScopedDb,
  webhookId: string,
  { nowMs, untilMs }: { nowMs: number; untilMs: number },
): Write {
  return db.update(
    outbox,
    { dueAt: untilMs },
    and(eq(outbox.kind, "webhook"), eq(outbox.target, webhookId), lte(outbox.dueAt, nowMs)),
  );
}

function isState(webhookId: string) {
  return sql`${outbox.kind} = 'webhook' and ${outbox.key} = ${webhookStateKey(webhookId)}`;
}
