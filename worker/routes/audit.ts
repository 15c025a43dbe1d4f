/** The audit log, to be read and taken along. There is no route that changes or deletes an entry. */
import { Hono } from "hono";
import { auditQuery, entryLine, EXPORT_VERSION, headLine } from "../../schema/audit.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { actorOf, readQuery, type App } from "../context.ts";
import { audit } from "../db/audit.ts";
import { listAudit, readChain, readHead, sealAudit } from "../db/audit-chain.ts";
import { iso } from "../db/paging.ts";
import { sha256Hex } from "../secrets.ts";

const EXPORT_ROWS = 500;

export const auditRoutes = new Hono<App>()
  .get("/", async (c) => {
    const query = readQuery(c, auditQuery);
    await sealAudit(c.get("db"));
    return c.json(await listAudit(c.get("db"), query));
  })
  .get("/export", async (c) => {
    const db = c.get("db");
    // First the entry, so that the export tells of itself.
    await db.batch([audit(db, actorOf(c), "audit.exported", null)]);
    await sealAudit(db);
    const head = await readHead(db);
    const first = {
      kind: "audit_export",
      version: EXPORT_VERSION,
      organizationId: db.orgId,
      exportedAt: iso(Date.now()),
      head,
    } as const;
    const day = first.exportedAt.slice(0, 10);
    return c.body(chainLines(db, await headLine(first, sha256Hex), head.number), 200, {
      "Content-Type": "application/x-ndjson; charset=utf-8",
      "Content-Disposition": `attachment; filename="audit-${db.orgId}-${day}.jsonl"`,
    });
  });

/** The file, a page of it in memory at a time; it ends where the chain ended when it was begun. */
function chainLines(db: ScopedDb, first: string, last: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let number = 0;
  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(encoder.encode(`${first}\n`)),
    async pull(controller) {
      const limit = Math.min(EXPORT_ROWS, last - number);
      const entries = limit === 0 ? [] : await readChain(db, number, limit);
      if (entries.length > 0)
        controller.enqueue(encoder.encode(entries.map((entry) => `${entryLine(entry)}\n`).join("")));
      number += entries.length;
      if (number >= last || entries.length < limit) controller.close();
    },
  });
}
