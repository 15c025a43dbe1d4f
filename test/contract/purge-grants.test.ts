/** Grants for jobs that are over, whose agent still has files of theirs to remove for good. */
import { BlobServiceClient, ContainerClient, ContainerSASPermissions } from "@azure/storage-blob";
import { beforeAll, describe, expect, test } from "vitest";
import {
  asMachine,
  azurite,
  controlPlane,
  makeJob,
  makeOrganization,
  registerAgent,
  type Answer,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

const DAY_MS = 86_400_000;
const RETENTION_DAYS = 7;
const REPORT = JSON.stringify({ outcome: "completed", totals: {} });

let plane: ControlPlane;
let org: Organization;
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
});

interface Row {
  readonly status?: string;
  readonly epoch?: number;
  readonly filesDeleted?: number;
  readonly report?: string | null;
  readonly finishedDaysAgo?: number;
}

/** A job as it stands in the table after its run. */
async function overJob(row: Row = {}, options: object = { deletion: { retentionDays: RETENTION_DAYS } }) {
  const { status = "completed", epoch = 1, filesDeleted = 3, report = REPORT, finishedDaysAgo = 8 } = row;
  const confirmed = "deletion" in options ? { confirmDeletionOf: "/srv/files" } : {};
  const job = { projectId: org.projectId, agentId: org.agentId, options, ...confirmed };
  const { id } = await makeJob(org.people.owner, job);
  const finishedAt = Date.now() - finishedDaysAgo * DAY_MS;
  await plane.database
    .prepare(
      "update jobs set status = ?, epoch = ?, files_deleted = ?, report = ?, started_at = ?, finished_at = ? where id = ?",
    )
    .bind(status, epoch, filesDeleted, report, finishedAt, finishedAt, id)
    .run();
  return id;
}

const ask = (jobId: string, epoch = 1, key = org.agentKey): Promise<Answer> =>
  asMachine("POST", "/api/agent/grants", { jobId, epoch }, key);
const OVER = { status: 409, body: { code: "CONFLICT" } };

describe("after its end a job that has moved source files away gets a grant", () => {
  test.each<[string, Row]>([
    ["completed", {}],
    ["completed, and none is counted", { filesDeleted: 0 }],
    ["failed", { status: "failed" }],
    ["cancelled", { status: "cancelled" }],
    [
      "cancelled again, after an epoch whose counts are gone",
      { status: "cancelled", filesDeleted: 0, epoch: 2 },
    ],
    ["completed today", { finishedDaysAgo: 0 }],
    ["completed just within the time", { finishedDaysAgo: RETENTION_DAYS + 60 - 0.01 }],
  ])("[G5] %s", async (_what, row) => {
    const id = await overJob(row);
    expect(await ask(id, row.epoch)).toMatchObject({ status: 200 });
  });

  test("[G5] it reads and lists, and changes nothing; the audit log says so", async () => {
    const id = await overJob();
    const { containerUrl, sas } = (await ask(id)).body as { containerUrl: string; sas: string };
    expect(new URLSearchParams(sas).get("sp")).toBe("rl");
    const container = new ContainerClient(`${containerUrl}?${sas}`);
    const blob = container.getBlockBlobClient("not-there.txt");
    expect(await blob.exists()).toBe(false);
    await expect(blob.upload("hello", 5)).rejects.toMatchObject({ statusCode: 403 });
    await expect(blob.stageBlock("AAAA", "hello", 5)).rejects.toMatchObject({ statusCode: 403 });
    await expect(blob.delete()).rejects.toMatchObject({ statusCode: 403 });
    await expect(container.delete()).rejects.toMatchObject({ statusCode: 403 });
    const { results } = await plane.database
      .prepare("select details from audit_log where object_id = ? and action = 'grant.made'")
      .bind(id)
      .all<{ details: string }>();
    expect(results.map(({ details }) => JSON.parse(details) as unknown)).toMatchObject([
      { epoch: 1, permissions: "rl" },
    ]);
  });

  test("[G5] a job that had to delete blobs may not any more", async () => {
    const id = await overJob({}, { deletion: {}, existing: "overwrite", archived: "replace" });
    const { sas } = (await ask(id)).body as { sas: string };
    expect(new URLSearchParams(sas).get("sp")).toBe("rl");
  });

  test("[G5] a container's SAS is handed on as it is, also one that may not delete what the job had to", async () => {
    const { connectionString } = await azurite();
    const service = BlobServiceClient.fromConnectionString(connectionString);
    const containerSasUrl = await service.getContainerClient(org.container).generateSasUrl({
      permissions: ContainerSASPermissions.parse("rcwl"),
      expiresOn: new Date(Date.now() + 3_600_000),
      version: "2022-11-02",
    });
    const { owner } = org.people;
    const made = { kind: "container_sas", name: "narrow", containerSasUrl };
    const { id: connectionId } = await owner.post<{ id: string }>("/api/storage-connections", made);
    const id = await overJob({}, { deletion: {}, existing: "overwrite", archived: "replace" });
    const storage = { connectionId, container: org.container };
    await owner.patch(`/api/projects/${org.projectId}`, { storage });
    try {
      const { sas } = (await ask(id)).body as { sas: string };
      expect(new URLSearchParams(sas).get("sp")).toBe("rcwl");
    } finally {
      await owner.patch(`/api/projects/${org.projectId}`, {
        storage: { ...storage, connectionId: org.connectionId },
      });
    }
  });
});

describe("every other job that is over gets none", () => {
  test.each<[string, Row, object]>([
    ["it does not remove its source", {}, {}],
    ["it only said what it would remove", {}, { deletion: { dryRun: true } }],
    ["it failed before it moved anything", { status: "failed", filesDeleted: 0 }, { deletion: {} }],
    ["it was cancelled before it moved anything", { status: "cancelled", filesDeleted: 0 }, { deletion: {} }],
    [
      "it was cancelled, and its run has not said its end",
      { status: "cancelled", report: null },
      { deletion: {} },
    ],
    ["it is too long ago", { finishedDaysAgo: RETENTION_DAYS + 60 + 0.01 }, { deletion: {} }],
    ["it is too long ago, without days to wait", { finishedDaysAgo: 61 }, { deletion: { retentionDays: 0 } }],
  ])("[G5] %s", async (_what, row, options) => {
    expect(await ask(await overJob(row, options))).toMatchObject(OVER);
  });

  test("[G5] another epoch, earlier or later, is over or not begun", async () => {
    const id = await overJob({ epoch: 2 });
    for (const epoch of [1, 3]) expect(await ask(id, epoch)).toMatchObject(OVER);
    expect((await ask(id, 2)).status).toBe(200);
  });

  test("[G5] for another agent it is not there, in the same organization and in another", async () => {
    const id = await overJob();
    const neighbour = await registerAgent(org.people.owner, "neighbour");
    const stranger = await makeOrganization();
    for (const key of [neighbour.key, stranger.agentKey])
      expect(await ask(id, 1, key)).toMatchObject({ status: 404 });
  });

  test("[G5] a revoked agent gets none, whatever it has left", async () => {
    const { agentId, key } = await registerAgent(org.people.owner, "revoked");
    const id = await overJob();
    await plane.database.prepare("update jobs set agent_id = ? where id = ?").bind(agentId, id).run();
    expect((await ask(id, 1, key)).status).toBe(200);
    await org.people.owner.post(`/api/agents/${agentId}/revoke`);
    expect((await ask(id, 1, key)).status).toBe(401);
  });
});
