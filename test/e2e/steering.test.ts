/** Pause, resume, cancel, retry and refused storage, on the real processes, through the public API. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Agent, Project } from "../../schema/api.ts";
import { makePlainTree, sha256 } from "./source-tree.ts";
import { startStorageProxy, type StorageProxy } from "./storage-proxy.ts";
import { World } from "./world.ts";

const MIB = 1024 * 1024;

let world: World;
let proxy: StorageProxy;
let agentId: string;
beforeAll(async () => {
  world = await World.start();
  proxy = await startStorageProxy(world.connectionString);
  world.onStop(() => proxy.stop());
  ({ agentId } = await world.registerAgent("steered"));
});
afterAll(async () => await world?.stop());

function source(name: string): string {
  const folder = join(world.folder, name);
  mkdirSync(folder);
  return folder;
}

function slowProject(container: string): Promise<Project> {
  return world.makeProject(container, proxy.connectionString);
}

test("[K2] a paused job sends nothing, and resumed it completes with nothing sent twice", async () => {
  const tree = makePlainTree(source("paused"), [30 * MIB, 100, 200]);
  proxy.delayMs = 100;
  const job = await world.makeJob(await slowProject("paused"), agentId, tree.root, {
    options: { concurrency: 2, chunkSizeMiB: 1 },
  });
  await world.jobUntil(job.id, "running", ({ status }) => status === "running");
  await expect.poll(() => proxy.acceptedBytes(), { timeout: 20_000 }).toBeGreaterThan(3 * MIB);
  await world.api.post(`/api/jobs/${job.id}/pause`);
  await world.jobUntil(job.id, "paused", ({ status }) => status === "paused", 10_000);

  const begun = proxy.begunWrites();
  await new Promise((done) => setTimeout(done, 1_500));
  expect(proxy.begunWrites()).toBe(begun);

  await world.api.post(`/api/jobs/${job.id}/resume`);
  proxy.delayMs = 0;
  const final = await world.finalJob(job.id);
  expect(final.status).toBe("completed");
  expect(await world.downloadAll("paused")).toEqual(tree.expected);
  const again = [...proxy.accepted].filter(([key, times]) => key.includes("/paused/") && times > 1);
  expect(again.length).toBeLessThanOrEqual(2);
}, 120_000);

test("[K3] a cancelled job is cancelled at once, stops sending, and leaves no half file; retried it skips what is there", async () => {
  const tree = makePlainTree(source("cancelled"), [
    30 * MIB,
    ...Array.from({ length: 20 }, (_, index) => 1_000 + index),
  ]);
  proxy.delayMs = 100;
  const job = await world.makeJob(await slowProject("cancelled"), agentId, tree.root, {
    options: { concurrency: 2, chunkSizeMiB: 1 },
  });
  await world.jobUntil(job.id, "running", ({ status }) => status === "running");
  await expect.poll(() => proxy.acceptedBytes(), { timeout: 20_000 }).toBeGreaterThan(40 * MIB);
  expect((await world.api.post<{ status: string }>(`/api/jobs/${job.id}/cancel`)).status).toBe("cancelled");
  const cancelled = await world.finalJob(job.id);
  expect(cancelled).toMatchObject({ status: "cancelled", report: { outcome: "cancelled" } });
  // What was on its way when it was cancelled may still arrive; nothing new may begin.
  const begun = proxy.begunWrites();
  await new Promise((done) => setTimeout(done, 1_000));
  expect(proxy.begunWrites()).toBe(begun);
  for (const [name, digest] of await world.downloadAll("cancelled"))
    expect(tree.expected.get(name)).toBe(digest);

  proxy.delayMs = 0;
  await world.api.post(`/api/jobs/${job.id}/retry`);
  const retried = await world.jobUntil(
    job.id,
    "completed",
    ({ status, epoch }) => status === "completed" && epoch === 2,
  );
  expect(retried.totals.filesCompleted + retried.totals.filesSkipped).toBe(21);
  expect(await world.downloadAll("cancelled")).toEqual(tree.expected);
}, 120_000);

test("[K4] storage that denies access fails the job with a code and a sentence, and the agent stays up", async () => {
  const tree = makePlainTree(source("denied"), [1_000, 2_000]);
  const project = await slowProject("denied");
  proxy.denied = true;
  const job = await world.makeJob(project, agentId, tree.root);
  const failed = await world.finalJob(job.id);
  proxy.denied = false;
  expect(failed).toMatchObject({ status: "failed", error: { code: "DESTINATION_DENIED" } });
  expect(failed.error?.message).toMatch(/denies access|may not|AuthorizationFailure/);
  expect((await world.api.get<Agent>(`/api/agents/${agentId}`)).status).toBe("online");

  await world.api.post(`/api/jobs/${job.id}/retry`);
  const retried = await world.jobUntil(
    job.id,
    "completed",
    ({ status, epoch }) => status === "completed" && epoch === 2,
  );
  expect(retried.totals).toMatchObject({ filesCompleted: 2, filesFailed: 0 });
}, 120_000);

test("[K5] a source that is not there fails the job with a code and a sentence", async () => {
  const job = await world.makeJob(await slowProject("nowhere"), agentId, join(world.folder, "nowhere"));
  const failed = await world.finalJob(job.id);
  expect(failed).toMatchObject({ status: "failed", error: { code: "SOURCE_NOT_FOUND" } });
}, 60_000);

test("[K6] what is there and identical is skipped, and what is there and different is never overwritten unasked", async () => {
  const tree = makePlainTree(source("again"), [1_000, 2_000, 3_000]);
  const project = await slowProject("again");
  const first = await world.finalJob((await world.makeJob(project, agentId, tree.root)).id);
  expect(first.totals.filesCompleted).toBe(3);
  const [changed = ""] = tree.expected.keys();
  writeFileSync(join(tree.root, changed), "different now");

  const second = await world.finalJob((await world.makeJob(project, agentId, tree.root)).id);
  expect(second.totals).toMatchObject({ filesSkipped: 2, filesFailed: 1, filesCompleted: 0 });
  const failures = await world.api.get<{ items: unknown[] }>(`/api/jobs/${second.id}/failures`);
  expect(failures.items).toMatchObject([{ path: changed, code: "destination_exists" }]);
  expect((await world.downloadAll("again")).get(changed)).toBe(tree.expected.get(changed));

  const overwrite = { options: { existing: "overwrite" } };
  const third = await world.finalJob((await world.makeJob(project, agentId, tree.root, overwrite)).id);
  expect(third.totals.filesFailed).toBe(0);
  expect((await world.downloadAll("again")).get(changed)).toBe(sha256(Buffer.from("different now")));
}, 60_000);

test("[K7] an unknown, a used and a malformed code get one same answer, exit code 2 and a sentence", async () => {
  const used = await world.newCode();
  const first = world.runAgent("code-first", ["--register", used, "--url", world.controlPlane.url]);
  await expect.poll(async () => first.output(), { timeout: 20_000 }).toMatch(/Demo MSP/);
  await first.stop();
  const answers: string[] = [];
  for (const [name, code] of [
    ["code-used", used],
    ["code-unknown", "ABCD-EFGH"],
    ["code-nonsense", "no"],
  ] as const) {
    const agent = world.runAgent(name, ["--register", code, "--url", world.controlPlane.url]);
    expect(await agent.exited).toBe(2);
    answers.push(agent.output().trim());
  }
  expect(new Set(answers).size).toBe(1);
  expect(answers[0]).toMatch(/registration code was refused/);
}, 60_000);

test("[K8] a second agent on the same state folder refuses to start", async () => {
  const { agent } = await world.registerAgent("twin");
  const second = world.runAgent("twin", ["start"]);
  expect(await second.exited).toBe(4);
  expect(agent.exitCode).toBeNull();
}, 60_000);
