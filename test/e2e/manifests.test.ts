/** A real agent's manifest, from its disk through the control plane into storage. */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { JobReportDocument, Usage } from "../../schema/reports.ts";
import { makePlainTree } from "./source-tree.ts";
import { World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await World.start();
});
afterAll(async () => await world?.stop());

test("[H6] every run's manifest is stored by its agent, as the report tells of it and as it stays on the agent's disk", async () => {
  const { agentId } = await world.registerAgent("listed");
  const root = join(world.folder, "listed-files");
  mkdirSync(root);
  const tree = makePlainTree(
    root,
    Array.from({ length: 50 }, (_, index) => 100 + index),
  );
  const project = await world.makeProject("listed");
  const job = await world.makeJob(project, agentId, tree.root);
  const { report } = await world.finalJob(job.id);
  expect(report?.manifest?.rows).toBe(50);

  const storedReport = async () => await world.api.get<JobReportDocument>(`/api/jobs/${job.id}/report.json`);
  await expect
    .poll(async () => (await storedReport()).manifest, { timeout: 30_000 })
    .toMatchObject({ ...report?.manifest, stored: { sizeBytes: expect.any(Number) } });

  const folder = join(world.folder, "listed", "manifests");
  await expect.poll(() => readdirSync(folder), { timeout: 10_000 }).toEqual([`${job.id}.1.jsonl`]);
  const bytes = readFileSync(join(folder, `${job.id}.1.jsonl`));
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(report?.manifest?.sha256);

  const used = await world.api.get<Usage>(`/api/projects/${project.id}/usage`);
  expect(used).toMatchObject({
    filesTransferred: 50,
    bytesTransferred: report?.totals.bytesSent,
    jobs: { completed: 1 },
  });
}, 120_000);
