import { and, desc, eq, isNotNull, sql } from "drizzle-orm";
import type { Page } from "../../schema/api.ts";
import type { ScopedDb, Write } from "../../schema/scoped-db.ts";
import { webhooks } from "../../schema/tables.ts";
import { WEBHOOKS_MAX, type EventType, type Webhook } from "../../schema/webhooks.ts";
import { placeOfWebhook } from "../outbox/webhook.ts";
import { invalid, notFound, Problem } from "../problems.ts";
import { seal, unseal } from "../secrets.ts";
import { auditIfChanged, type Actor } from "./audit.ts";
import { webhookWorks } from "./outbox.ts";
import { behind, iso, isoOrNull, limitOf, pageOfRows, type PageQuery } from "./paging.ts";

/** Of the entry that says how it is doing (`outbox.ts`). */
function ofState(column: "created_at" | "last_error") {
  return sql.raw(
    `(select s.${column} from outbox s where s.org_id = "webhooks"."org_id" and s.kind = 'webhook' and s.key = "webhooks"."id" || '/state')`,
  );
}

const FIELDS = {
  id: webhooks.id,
  url: webhooks.url,
  events: webhooks.events,
  createdBy: webhooks.createdBy,
  createdAt: webhooks.createdAt,
  disabledAt: webhooks.disabledAt,
  failingSince: sql<number | null>`${ofState("created_at")}`,
  reason: sql<string | null>`${ofState("last_error")}`,
};

export async function listWebhooks(db: ScopedDb, query: PageQuery): Promise<Page<Webhook>> {
  const options = { where: behind(webhooks.id, query), orderBy: desc(webhooks.id), limit: limitOf(query) };
  return pageOfRows(await db.select(FIELDS, webhooks, options), query, show);
}

async function readWebhook(db: ScopedDb, id: string): Promise<Webhook> {
  const row = await db.first(FIELDS, webhooks, { where: eq(webhooks.id, id) });
  if (row === null) throw notFound();
  return show(row);
}

/** One per address. */
export async function createWebhook(
  db: ScopedDb,
  actor: Actor & { id: string },
  keys: string | undefined,
  made: {
    readonly id: string;
    readonly secret: string;
    readonly url: string;
    readonly events: readonly EventType[];
  },
): Promise<Webhook> {
  const { id, secret, url, events } = made;
  const row = {
    id,
    url,
    events: [...events],
    sealedSecret: await seal(keys, placeOfWebhook(db.orgId, id), secret),
    createdBy: actor.id,
    createdAt: Date.now(),
  };
  const ofOrg = sql`from webhooks w where w.org_id = ${db.orgId}`;
  const isNew = sql`(select count(*) ${ofOrg}) < ${WEBHOOKS_MAX} and not exists (select 1 ${ofOrg} and w.url = ${url})`;
  const [inserted] = await db.batch([
    db.insertIf(webhooks, row, isNew),
    // The path may hold what is as good as a key.
    auditIfChanged(db, actor, "webhook.created", id, { host: new URL(url).host, events }),
  ]);
  if (inserted === 0) {
    const same = await db.first({ id: webhooks.id }, webhooks, { where: eq(webhooks.url, url) });
    if (same === null) {
      throw new Problem("CONFLICT", `There are ${WEBHOOKS_MAX} webhooks already; delete one first`);
    }
    // Its own id is that of a request that is made again, because its answer was lost.
    if (same.id !== id) {
      throw invalid({ url: "There is a webhook to this address already; delete it to get a new secret" });
    }
  }
  return await readWebhook(db, id);
}

export async function deleteWebhook(db: ScopedDb, actor: Actor, id: string): Promise<void> {
  const { url } = await readWebhook(db, id);
  await db.batch([
    db.delete(webhooks, eq(webhooks.id, id)),
    auditIfChanged(db, actor, "webhook.deleted", id, { host: new URL(url).host }),
    webhookWorks(db, id),
  ]);
}

/** It gets what happens from now on; what was given up meanwhile stays given up. */
export async function enableWebhook(db: ScopedDb, actor: Actor, id: string): Promise<Webhook> {
  await readWebhook(db, id);
  const writes: [Write, ...Write[]] = [
    db.update(webhooks, { disabledAt: null }, and(eq(webhooks.id, id), isNotNull(webhooks.disabledAt))),
    auditIfChanged(db, actor, "webhook.enabled", id),
    webhookWorks(db, id),
  ];
  await db.batch(writes);
  return await readWebhook(db, id);
}

/** With its secret, which must not leave the Worker. */
export async function openWebhook(
  db: ScopedDb,
  keys: string | undefined,
  id: string,
): Promise<{ url: string; secret: string }> {
  const fields = { url: webhooks.url, sealedSecret: webhooks.sealedSecret };
  const row = await db.first(fields, webhooks, { where: eq(webhooks.id, id) });
  if (row === null) throw notFound();
  const secret = await unseal(keys, placeOfWebhook(db.orgId, id), row.sealedSecret);
  return { url: row.url, secret };
}

type WebhookRow = Omit<Webhook, "events" | "status" | "failingSince" | "createdAt" | "disabledAt"> & {
  readonly events: string[];
  readonly failingSince: number | null;
  readonly createdAt: number;
  readonly disabledAt: number | null;
};

function show(row: WebhookRow): Webhook {
  const isFailing = row.failingSince !== null;
  return {
    ...row,
    events: row.events as EventType[],
    status: row.disabledAt !== null ? "disabled" : isFailing ? "failing" : "active",
    failingSince: isoOrNull(row.failingSince),
    createdAt: iso(row.createdAt),
    disabledAt: isoOrNull(row.disabledAt),
  };
}
