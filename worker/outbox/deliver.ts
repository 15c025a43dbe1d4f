/**
 * Takes what is due out of the outbox and hands it over: to the Bus, to webhooks, by mail, to Hub Billing.
 *
 * An entry is leased by compare-and-set, so no two deliverers work on it at once; it is done when the row says so. Whoever
 * dies between sending and noting leaves a lease behind, and when that is over the same thing is sent again with the same
 * key, by which the receiver knows it. So everything arrives at least once, and with a receiver that looks at keys once.
 *
 * Receivers are served side by side, and each one in the order of what is due; one that is away is left alone for a while,
 * so that it takes nobody else's time.
 */
import { eq } from "drizzle-orm";
import { scopedDb, type ScopedDb, type Write } from "../../schema/scoped-db.ts";
import { webhooks } from "../../schema/tables.ts";
import {
  failed,
  lease,
  postponeWebhook,
  sent,
  webhookFails,
  webhookWorks,
  type Leased,
} from "../db/outbox.ts";
import { findDueEntries, postponeKind } from "../db/sweep.ts";
import { unseal } from "../secrets.ts";
import { announce, isHappening, settled } from "./announce.ts";
import { tellBus, type BusEvent } from "./bus.ts";
import { sendUsage } from "./billing.ts";
import type { DayUsage, DueEntry, WebhookMessage } from "./entries.ts";
import { sendMail, type Mail } from "./mail.ts";
import type { Delivery, PostWorld } from "./post.ts";
import { isTooOld } from "./retry.ts";
import type { OutboxSettings } from "./settings.ts";
import { callWebhook, placeOfWebhook, type WebhookDelivery } from "./webhook.ts";

export interface OutboxWorld extends PostWorld {
  readonly database: D1Database;
  readonly settings: OutboxSettings;
  readonly random: () => number;
  readonly log: (event: string, fields: Record<string, string | number | null>) => void;
}

/** Looked at together; receivers in it are served side by side. */
const ENTRIES_MAX = 100;
/** A Worker has six connections at once; some are left for the database. */
const LANES = 4;
/** Nothing is begun after this, so that one run of the sweep does not pile up on the next. */
const RUN_MS_MAX = 30_000;
/** No longer than this do others wait because one met a receiver that is away. */
const POSTPONED_MS_MAX = 5 * 60_000;

/** Delivers what is due, of one organization or of all; resolves with how many entries were done with. */
export async function deliverDue(world: OutboxWorld, orgId: string | null): Promise<number> {
  const untilMs = world.now() + RUN_MS_MAX;
  let done = 0;
  while (world.now() < untilMs) {
    const due = await findDueEntries(world.database, { nowMs: world.now(), limit: ENTRIES_MAX, orgId });
    const happenings = due.filter(isHappening);
    const receivers = Map.groupBy(
      due.filter((entry) => !isHappening(entry)),
      receiverOf,
    );
    const work = [
      async () => await announceAll(world, happenings, untilMs),
      ...Array.from(receivers.values(), (entries) => async () => await serve(world, entries, untilMs)),
    ];
    const handled = await inLanes(work);
    done += handled;
    // What was announced is due now; a page that was full may have another behind it. A round that did nothing is the last.
    if (handled === 0 || (due.length < ENTRIES_MAX && happenings.length === 0)) break;
  }
  return done;
}

/** Entries with the same receiver wait for one another. */
function receiverOf({ kind, target }: DueEntry): string {
  return kind === "webhook" ? `webhook/${target}` : kind;
}

async function inLanes(work: readonly (() => Promise<number>)[]): Promise<number> {
  const rest = [...work];
  let sum = 0;
  const lane = async () => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) sum += await next();
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return sum;
}

async function announceAll(
  world: OutboxWorld,
  happenings: readonly DueEntry[],
  untilMs: number,
): Promise<number> {
  let done = 0;
  for (const happening of happenings) {
    if (world.now() >= untilMs) break;
    const db = scopedDb(world.database, happening.orgId);
    const leased = await lease(db, happening, world.now());
    if (leased === null) continue;
    await guarded(world, leased, async () => {
      const { writes, next } = await announce(db, world.settings, leased, world.now());
      await db.batch([settled(db, leased.id, next, world.now()), ...writes]);
      done++;
    });
  }
  return done;
}

/** One receiver's entries, one after the other, until it is away. */
async function serve(world: OutboxWorld, entries: readonly DueEntry[], untilMs: number): Promise<number> {
  let done = 0;
  for (const entry of entries) {
    if (world.now() >= untilMs) break;
    const db = scopedDb(world.database, entry.orgId);
    const leased = await lease(db, entry, world.now());
    if (leased === null) continue;
    let isAway = false;
    await guarded(world, leased, async () => {
      const delivery = await hand(world, db, leased);
      // If this is where it ends, the lease runs out, and it is sent again with the same key.
      isAway = (await note(world, db, leased, delivery)) === "away";
      done++;
    });
    if (isAway) break;
  }
  return done;
}

/** What one entry does wrong is no other's trouble; it keeps its lease, and is tried again after it. */
async function guarded(world: OutboxWorld, entry: Leased, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    world.log("outbox_broke", { id: entry.id, kind: entry.kind, reason: String(error) });
  }
}

async function hand(world: OutboxWorld, db: ScopedDb, entry: Leased): Promise<WebhookDelivery> {
  const { settings } = world;
  const off = (what: string): Delivery => ({ kind: "never", reason: `${what} is not set up any more` });
  switch (entry.kind) {
    case "bus":
      return settings.bus === null
        ? off("The Bus")
        : await tellBus(world, settings.bus, { key: entry.id, event: entry.payload as BusEvent });
    case "webhook":
      return await handToWebhook(world, db, entry);
    case "mail":
      // It may have arrived long ago, with the answer lost, and the provider has forgotten its key by now.
      if (entry.attempts > 1 && isTooOld("mail", world.now() - entry.createdAt))
        return { kind: "never", reason: "It could not be sent in time" };
      return await sendMail(world, settings.mail, { id: entry.id, mail: entry.payload as Mail });
    case "billing":
      // Never off for good: usage is kept until somebody takes it.
      return settings.billing === null
        ? { kind: "away", reason: "Hub Billing is not set up" }
        : await sendUsage(world, settings.billing, entry.payload as DayUsage);
  }
}

async function handToWebhook(world: OutboxWorld, db: ScopedDb, entry: Leased): Promise<WebhookDelivery> {
  const id = entry.target ?? "";
  const fields = {
    url: webhooks.url,
    sealedSecret: webhooks.sealedSecret,
    disabledAt: webhooks.disabledAt,
  };
  const row = await db.first(fields, webhooks, { where: eq(webhooks.id, id) });
  if (row === null) return { kind: "never", reason: "The webhook was deleted" };
  if (row.disabledAt !== null) return { kind: "never", reason: "The webhook is disabled" };
  const { secretsKeys, isDevelopment } = world.settings;
  const secret = await unseal(secretsKeys, placeOfWebhook(db.orgId, id), row.sealedSecret);
  const { body } = entry.payload as WebhookMessage;
  return await callWebhook(world, { url: row.url, secret, isDevelopment }, { id: entry.id, body });
}

/** Writes down what became of it. */
async function note(
  world: OutboxWorld,
  db: ScopedDb,
  entry: Leased,
  delivery: WebhookDelivery,
): Promise<"away" | "there"> {
  const nowMs = world.now();
  const isWebhook = entry.kind === "webhook" && entry.target !== null;
  if (delivery.kind === "accepted") {
    const works = isWebhook ? [webhookWorks(db, entry.target)] : [];
    await db.batch([sent(db, entry, nowMs), ...works]);
    return "there";
  }
  const { reason } = delivery;
  const isFinal = delivery.kind === "never" || delivery.kind === "gone";
  const random = world.random();
  const failure = failed(db, entry, {
    reason,
    // Usage is owed, whatever is said of it.
    isFinal: isFinal && entry.kind !== "billing",
    nowMs,
    random,
  });
  const isAway = delivery.kind === "away";
  const untilMs = Math.min(failure.dueAt ?? Number.POSITIVE_INFINITY, nowMs + POSTPONED_MS_MAX);
  const more: Write[] = [];
  if (isWebhook && (isAway || delivery.kind === "gone")) {
    more.push(...webhookFails(db, entry.target, { reason, isGone: delivery.kind === "gone", nowMs }));
  }
  if (isWebhook && isAway) more.push(postponeWebhook(db, entry.target, { nowMs, untilMs }));
  await db.batch([failure.write, ...more]);
  if (isAway && entry.kind !== "webhook") {
    await postponeKind(world.database, entry.kind, { nowMs, untilMs });
  }
  world.log("outbox_failed", {
    id: entry.id,
    kind: entry.kind,
    attempts: entry.attempts,
    reason,
    next: failure.dueAt,
  });
  return isAway ? "away" : "there";
}
