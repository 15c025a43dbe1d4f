/** What became, after a job's end, of the files it had moved into its quarantine: told by its agent, kept in its report. */
import { and, eq, inArray, sql } from "drizzle-orm";
import { FINAL_STATUSES, isFinal, type QuarantineCheck } from "../../schema/job.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { jobs } from "../../schema/tables.ts";
import { notFound, Problem } from "../problems.ts";
import { auditIf, type Actor } from "./audit.ts";

/**
 * Keeps the newest of what was told, and tells the audit log where the numbers are others than before. What is not newer
 * changes nothing, nor is there a place for it in a report that tells of no removal; both are answered like any other, so
 * that the agent can let go.
 */
export async function recordQuarantine(
  db: ScopedDb,
  actor: Actor,
  { jobId, epoch }: { readonly jobId: string; readonly epoch: number },
  told: QuarantineCheck,
): Promise<QuarantineCheck> {
  await assertOver(db, actor, { jobId, epoch });
  // A clock that runs ahead must not shut out what comes after it.
  const checkedMs = Math.min(Date.parse(told.checkedAt), Date.now());
  const check = { ...told, checkedAt: new Date(checkedMs).toISOString() };
  const { filesLeft, filesPurged } = check;
  const isNews = sql`json_type(report, '$.removal') = 'object' and coalesce(json_extract(report, '$.removal.quarantine.checkedAt'), '') < ${check.checkedAt}`;
  const differs = sql`(json_extract(report, '$.removal.quarantine.filesLeft') is not ${filesLeft} or json_extract(report, '$.removal.quarantine.filesPurged') is not ${filesPurged})`;
  const finals = sql.raw(FINAL_STATUSES.map((status) => `'${status}'`).join(", "));
  const isToBeTold = sql`exists (select 1 from jobs where org_id = ${db.orgId} and id = ${jobId} and agent_id = ${actor.id} and epoch = ${epoch} and status in (${finals}) and ${isNews} and ${differs})`;
  await db.batch([
    // Before the change, which it compares with.
    auditIf(
      db,
      actor,
      { action: "job.quarantine_checked", objectId: jobId, details: { epoch, filesLeft, filesPurged } },
      isToBeTold,
    ),
    db.update(
      jobs,
      {
        report: sql`json_set(${jobs.report}, '$.removal.quarantine', json(${JSON.stringify(check)}))`,
      },
      and(
        eq(jobs.id, jobId),
        eq(jobs.agentId, actor.id ?? ""),
        eq(jobs.epoch, epoch),
        inArray(jobs.status, [...FINAL_STATUSES]),
        isNews,
      ),
    ),
  ]);
  return check;
}

async function assertOver(
  db: ScopedDb,
  actor: Actor,
  { jobId, epoch }: { readonly jobId: string; readonly epoch: number },
): Promise<void> {
  const row = await db.first(
    { epoch: jobs.epoch, status: jobs.status, isReported: sql<number>`${jobs.report} is not null` },
    jobs,
    { where: and(eq(jobs.id, jobId), eq(jobs.agentId, actor.id ?? "")) },
  );
  if (row === null) throw notFound();
  const { status } = row;
  if (row.epoch !== epoch || !isFinal(status) || row.isReported === 0) {
    throw new Problem("CONFLICT", "This run of the job has not ended, or another came after it", {
      status,
      epoch: row.epoch,
    });
  }
}
