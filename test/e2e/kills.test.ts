/** What a job survives: its agent killed three times, the control plane killed once, on the real processes. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { digestFolder, makePlainTree } from "./source-tree.ts";
import { startStorageProxy } from "./storage-proxy.ts";
import { waitFor } from "../../tools/stack/children.ts";
import { World } from "./world.ts";

const MIB = 1024 * 1024;
const CONCURRENCY = 4;

let world: World;
beforeAll(async () => {
  world = await World.start();
});
afterAll(async () => await world?.stop());

test("[K1] a job whose agent is killed three times and whose control plane once completes, and nothing is sent twice but the blocks in flight", async () => {
  const source = join(world.folder, "source");
  mkdirSync(source);
  // One file of 40 blocks, some of a few, many of one.
  const tree = makePlainTree(source, [
    40 * MIB,
    ...Array.from({ length: 6 }, () => 3 * MIB + 7),
    ...Array.from({ length: 60 }, () => 100_000),
  ]);
  const proxy = await startStorageProxy(world.connectionString);
  world.onStop(() => proxy.stop());
  proxy.delayMs = 120;
  const project = await world.makeProject("kills", proxy.connectionString);
  const registered = await world.registerAgent("survivor");
  let { agent } = registered;
  const job = await world.makeJob(project, registered.agentId, source, {
    options: { concurrency: CONCURRENCY, chunkSizeMiB: 1 },
  });

  const writes = () => [...proxy.accepted.values()].reduce((sum, times) => sum + times, 0);
  const total = 40 + 6 * 4 + 60;
  for (const share of [0.2, 0.4, 0.6]) {
    await waitFor("Progress", async () => (writes() >= total * share ? true : undefined), {
      limitMs: 60_000,
      child: agent,
    });
    agent.kill("SIGKILL");
    await agent.exited;
    agent = world.runAgent("survivor", ["start"]);
  }
  await waitFor("Progress", async () => (writes() >= total * 0.75 ? true : undefined), {
    limitMs: 60_000,
    child: agent,
  });
  await world.restartControlPlane();
  proxy.delayMs = 0;

  const final = await world.finalJob(job.id);
  expect(final.status).toBe("completed");
  expect(final.totals).toMatchObject({
    filesTotal: 67,
    filesCompleted: 67,
    filesFailed: 0,
    filesSkipped: 0,
    filesVerified: 67,
    bytesTotal: tree.bytes,
    bytesCompleted: tree.bytes,
  });
  expect(await world.downloadAll("kills")).toEqual(tree.expected);
  // Each kill may cut off an answer per stream; a write whose answer was cut off is the only one that may come again.
  const again = writes() - proxy.accepted.size;
  expect(again).toBeLessThanOrEqual(3 * CONCURRENCY);
  expect(proxy.accepted.size).toBe(total);
  expect(digestFolder(source)).toEqual(tree.expected);
}, 240_000);
