/**
 * Reports and lists to be taken along, and what clients and projects have used. That something was taken is written down
 * before its first byte leaves.
 */
import { Hono, type Context } from "hono";
import type * as z from "zod";
import { clientId, jobId, projectId } from "../../schema/ids.ts";
import { MANIFEST_LINE_BYTES_MAX } from "../../schema/manifest.ts";
import {
  filesQuery,
  manifestDownloadQuery,
  noQuery,
  tableQuery,
  type ReportedJob,
} from "../../schema/reports.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { actorOf, readId, readQuery, type App } from "../context.ts";
import { audit } from "../db/audit.ts";
import { findManifest, type StoredManifest } from "../db/manifests.ts";
import { iso } from "../db/paging.ts";
import {
  JOBS_PER_QUESTION,
  jobsInScope,
  readJobReport,
  readReportedJobs,
  readScope,
  type ReportScope,
} from "../db/reports.ts";
import { usageOfClient, usageOfProject } from "../db/usage.ts";
import { attachmentHeaders } from "../exports/attachment.ts";
import { BYTE_ORDER_MARK } from "../exports/csv.ts";
import { openManifest } from "../exports/manifest-store.ts";
import { linesOf, streamOf, unpack } from "../exports/stream.ts";
import { filesTable, jobsJson, jobsTable, jobTable } from "../exports/tables.ts";
import { Problem } from "../problems.ts";

const CSV = "text/csv; charset=utf-8; header=present";
const JSON_TYPE = "application/json; charset=utf-8";

export const jobReports = new Hono<App>()
  .get("/:id/report.json", async (c) => {
    readQuery(c, noQuery);
    const report = await reportOf(c);
    await taken(c, report.job.id, { what: "report", format: "json", epoch: report.job.epoch });
    const file = { kind: "report", name: report.job.name, ending: "json", type: JSON_TYPE };
    return c.body(JSON.stringify(report), 200, attachmentHeaders(file));
  })
  .get("/:id/report.csv", async (c) => {
    const query = readQuery(c, tableQuery);
    const report = await reportOf(c);
    await taken(c, report.job.id, { what: "report", format: "csv", epoch: report.job.epoch });
    const text = markOf(query) + [...jobTable(report)].join("");
    const file = { kind: "report", name: report.job.name, ending: "csv", type: CSV };
    return c.body(text, 200, attachmentHeaders(file));
  })
  .get("/:id/manifest", async (c) => {
    const { job, stored, object } = await manifestOf(c, readQuery(c, manifestDownloadQuery));
    await taken(c, job.id, { what: "manifest", format: "jsonl", epoch: stored.epoch });
    const name = `${job.name} run ${stored.epoch}`;
    const file = { kind: "manifest", name, ending: "jsonl.gz", type: "application/gzip" };
    return c.body(object.body, 200, {
      ...attachmentHeaders(file),
      "Content-Length": String(object.size),
      // Of the list itself, as the report has it, not of the packed form.
      "X-Manifest-SHA-256": stored.sha256,
      "X-Manifest-Rows": String(stored.rows),
    });
  })
  .get("/:id/files.csv", async (c) => {
    const query = readQuery(c, filesQuery);
    const { job, stored, object } = await manifestOf(c, query);
    await taken(c, job.id, { what: "files", format: "csv", epoch: stored.epoch });
    const lines = linesOf(unpack(object.body), MANIFEST_LINE_BYTES_MAX);
    const name = `${job.name} run ${stored.epoch}`;
    const file = { kind: "files", name, ending: "csv", type: CSV };
    return c.body(streamOf(behindMark(query, filesTable(lines))), 200, {
      ...attachmentHeaders(file),
      "X-Manifest-SHA-256": stored.sha256,
    });
  });

export const projectReports = new Hono<App>()
  .get("/:id/report.json", async (c) => await takeJson(c, { kind: "project", id: readId(c, projectId) }))
  .get("/:id/report.csv", async (c) => await takeTable(c, { kind: "project", id: readId(c, projectId) }))
  .get("/:id/usage", async (c) => c.json(await usageOfProject(c.get("db"), readId(c, projectId))));

export const clientReports = new Hono<App>()
  .get("/:id/report.json", async (c) => await takeJson(c, { kind: "client", id: readId(c, clientId) }))
  .get("/:id/report.csv", async (c) => await takeTable(c, { kind: "client", id: readId(c, clientId) }))
  .get("/:id/usage", async (c) => c.json(await usageOfClient(c.get("db"), readId(c, clientId))));

async function reportOf(c: Context<App>) {
  return await readJobReport(c.get("db"), organizationOf(c), readId(c, jobId));
}

async function takeJson(c: Context<App>, scope: ReportScope): Promise<Response> {
  readQuery(c, noQuery);
  const { client, project } = await readScope(c.get("db"), scope);
  const ids = await jobsInScope(c.get("db"), scope);
  await taken(c, scope.id, { what: "report", format: "json", jobs: ids.length });
  const head = {
    kind: `${scope.kind}_report`,
    madeAt: iso(Date.now()),
    organization: organizationOf(c),
    client,
    project,
  } as const;
  const file = { kind: "report", name: (project ?? client).name, ending: "json", type: JSON_TYPE };
  return c.body(streamOf(jobsJson(head, pagesOf(c.get("db"), ids))), 200, attachmentHeaders(file));
}

async function takeTable(c: Context<App>, scope: ReportScope): Promise<Response> {
  const query = readQuery(c, tableQuery);
  const { client, project } = await readScope(c.get("db"), scope);
  const ids = await jobsInScope(c.get("db"), scope);
  await taken(c, scope.id, { what: "report", format: "csv", jobs: ids.length });
  const file = { kind: "report", name: (project ?? client).name, ending: "csv", type: CSV };
  const table = behindMark(query, jobsTable(pagesOf(c.get("db"), ids)));
  return c.body(streamOf(table), 200, attachmentHeaders(file));
}

async function* pagesOf(db: ScopedDb, ids: readonly string[]): AsyncGenerator<ReportedJob[], void> {
  for (let from = 0; from < ids.length; from += JOBS_PER_QUESTION) {
    yield await readReportedJobs(db, ids.slice(from, from + JOBS_PER_QUESTION));
  }
}

/** The job as far as a file is named after it, and its packed list. */
async function manifestOf(
  c: Context<App>,
  { epoch }: { epoch?: number | undefined },
): Promise<{ job: { id: string; name: string }; stored: StoredManifest; object: R2ObjectBody }> {
  const { job } = await reportOf(c);
  const stored = await findManifest(c.get("db"), job.id, epoch);
  const object = stored === null ? null : await openManifest(c.env.MANIFESTS, stored.objectKey);
  if (stored === null || object === null) {
    throw new Problem(
      "NOT_FOUND",
      "The list of files is not here yet; the agent brings it after the end of a run, so try again in a while",
    );
  }
  return { job, stored, object };
}

async function taken(c: Context<App>, objectId: string, details: Record<string, unknown>): Promise<void> {
  const db = c.get("db");
  await db.batch([audit(db, actorOf(c), "export.taken", objectId, details)]);
}

function organizationOf(c: Context<App>) {
  const { orgId, orgName } = c.get("user");
  return { id: orgId, name: orgName };
}

function markOf({ bom }: z.output<typeof tableQuery>): string {
  return bom === "1" ? BYTE_ORDER_MARK : "";
}

async function* behindMark(
  query: z.output<typeof tableQuery>,
  texts: AsyncIterable<string>,
): AsyncGenerator<string, void> {
  const mark = markOf(query);
  if (mark !== "") yield mark;
  yield* texts;
}
