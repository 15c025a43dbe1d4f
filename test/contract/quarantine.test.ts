/** What agents tell of a quarantine after a job's end, and what the report, the audit log and the job's log make of it. */
import { beforeAll, describe, expect, test } from "vitest";
import { ZERO_TOTALS, type JobReport } from "../../schema/job.ts";
import {
  asMachine,
  controlPlane,
  makeJob,
  makeOrganization,
  registerAgent,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

const REMOVAL = { files: 5, bytes: 500, dryRun: false, filesPurged: 1, stays: {} };
const REPORT: JobReport = {
  outcome: "completed",
  error: null,
  totals: ZERO_TOTALS,
  startedAt: "2026-11-20T00:00:00.000Z",
  finishedAt: "2026-11-20T01:00:00.000Z",
  activeMs: 1,
  verification: "chain",
  manifest: null,
  removal: REMOVAL,
};
const FIRST = { epoch: 1, filesLeft: 3, filesPurged: 1, checkedAt: "2026-11-21T00:00:00.000Z" };

let plane: ControlPlane;
let org: Organization;
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
});

async function ended(report: JobReport | null, status = "completed"): Promise<string> {
  const { id } = await makeJob(org.people.owner, { projectId: org.projectId, agentId: org.agentId });
  await plane.database
    .prepare("update jobs set status = ?, report = ? where id = ?")
    .bind(status, report === null ? null : JSON.stringify(report), id)
    .run();
  return id;
}

const tell = (id: string, told: object, key = org.agentKey) =>
  asMachine("POST", `/api/agent/jobs/${id}/quarantine`, told, key);

async function removalOf(id: string): Promise<unknown> {
  return (await org.people.viewer.get<{ report: JobReport }>(`/api/jobs/${id}`)).report.removal;
}

async function entriesOf(id: string): Promise<unknown[]> {
  const { results } = await plane.database
    .prepare(
      "select actor_kind, actor_id, details from audit_log where object_id = ? and action = 'job.quarantine_checked' order by id",
    )
    .bind(id)
    .all<{ actor_kind: string; actor_id: string; details: string }>();
  return results.map(({ details, ...actor }) => ({ ...actor, ...(JSON.parse(details) as object) }));
}

describe("what an agent tells of a quarantine", () => {
  test("[R15] the newest stands in the report; each change in the audit log and the job's log, once", async () => {
    const id = await ended(REPORT);
    for (const told of [
      FIRST,
      FIRST,
      // Looked again, the same was found.
      { ...FIRST, checkedAt: "2026-11-22T00:00:00.000Z" },
      { ...FIRST, filesLeft: 0, filesPurged: 4, checkedAt: "2026-11-22T12:00:00.000Z" },
      // Late, on a slow way.
      { ...FIRST, filesLeft: 5, filesPurged: 0, checkedAt: "2026-11-20T12:00:00.000Z" },
    ])
      expect(await tell(id, told)).toMatchObject({ status: 200 });
    expect(await removalOf(id)).toEqual({
      ...REMOVAL,
      quarantine: { filesLeft: 0, filesPurged: 4, checkedAt: "2026-11-22T12:00:00.000Z" },
    });
    const agent = { actor_kind: "agent", actor_id: org.agentId, epoch: 1 };
    expect(await entriesOf(id)).toEqual([
      { ...agent, filesLeft: 3, filesPurged: 1 },
      { ...agent, filesLeft: 0, filesPurged: 4 },
    ]);
    const log = await org.people.viewer.get<{ items: { event: string; details: object }[] }>(
      `/api/jobs/${id}/log`,
    );
    expect(log.items.filter(({ event }) => event === "job.quarantine_checked")).toMatchObject([
      { details: { filesLeft: 0, filesPurged: 4 } },
      { details: { filesLeft: 3, filesPurged: 1 } },
    ]);
    const csv = await (await org.people.viewer.fetch(`/api/jobs/${id}/report.csv`)).text();
    expect(csv).toContain("Gone for good,5");
    expect(csv).toContain("Left in quarantine,0,As of 2026-11-22T12:00:00.000Z");
  });

  test("[R15] a clock that runs ahead does not shut out what comes after it", async () => {
    const id = await ended(REPORT);
    expect((await tell(id, { ...FIRST, checkedAt: "2036-01-01T00:00:00.000Z" })).status).toBe(200);
    const later = new Date(Date.now() + 5).toISOString();
    await expect
      .poll(async () => {
        await tell(id, { ...FIRST, filesLeft: 2, checkedAt: later });
        return await removalOf(id);
      })
      .toMatchObject({ quarantine: { filesLeft: 2 } });
  });

  test("[R15] only the job's agent tells it, only of the run that ended; a report without a removal stays as it is", async () => {
    const id = await ended(REPORT);
    const other = await registerAgent(org.people.owner, "another");
    expect((await tell(id, FIRST, other.key)).status).toBe(404);
    expect((await tell(id, { ...FIRST, epoch: 2 })).status).toBe(409);
    for (const wrong of [
      { ...FIRST, filesLeft: -1 },
      { ...FIRST, filesPurged: 1.5 },
      { ...FIRST, checkedAt: "yesterday" },
      { ...FIRST, more: 1 },
    ])
      expect((await tell(id, wrong)).status).toBe(400);
    expect(await removalOf(id)).toEqual(REMOVAL);
    for (const status of ["running", "paused", "created"])
      expect([status, (await tell(await ended(REPORT, status), FIRST)).status]).toEqual([status, 409]);
    expect((await tell(await ended(null, "cancelled"), FIRST)).status).toBe(409);
    const { removal: _, ...bare } = REPORT;
    const without = await ended(bare);
    expect((await tell(without, FIRST)).status).toBe(200);
    expect(await removalOf(without)).toBeUndefined();
    expect([...(await entriesOf(id)), ...(await entriesOf(without))]).toEqual([]);
  });
});
