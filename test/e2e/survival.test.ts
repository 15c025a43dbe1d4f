/** What an agent lives through on its machine and its line: stood still, cut off, a disk without room, a folder it cannot write. */
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Agent } from "../../schema/api.ts";
import type { LiveJob } from "../../schema/live.ts";
import { startAgent, type AgentProcess } from "../../tools/stack/agent-process.ts";
import { startChild, waitFor } from "../../tools/stack/children.ts";
import { HubLine } from "../faults/hub-line.ts";
import { makePlainTree, type SourceTree } from "./source-tree.ts";
import { startStorageProxy, type StorageProxy } from "./storage-proxy.ts";
import { World } from "./world.ts";

const MIB = 1024 * 1024;
/** A small disk of its own needs a mount, in a namespace that goes with its last process (util-linux, root). */
const canMount = spawnSync("unshare", ["-m", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]).status === 0;
const whyNot = canMount ? "" : " (skipped: no right to mount a small disk here)";

let world: World;
let storage: StorageProxy;
beforeAll(async () => {
  world = await World.start();
  storage = await startStorageProxy(world.connectionString);
  world.onStop(() => storage.stop());
});
afterAll(async () => await world?.stop());

type Source = Pick<SourceTree, "root" | "expected">;

function source(name: string): Source {
  const folder = join(world.folder, `${name}-source`);
  mkdirSync(folder);
  return makePlainTree(folder, [16 * MIB, ...Array.from({ length: 40 }, (_, index) => 1_000 + index)]);
}

async function begin(name: string, agentId: string, { root }: Source): Promise<string> {
  const project = await world.makeProject(name, storage.connectionString);
  const options = { concurrency: 2, chunkSizeMiB: 1 };
  const { id } = await world.makeJob(project, agentId, root, { options });
  storage.delayMs = 150;
  const before = storage.acceptedBytes();
  await waitFor("The first bytes", async () => storage.acceptedBytes() > before || undefined, {
    limitMs: 60_000,
  });
  return id;
}

async function expectWhole(name: string, jobId: string, { expected }: Source): Promise<void> {
  storage.delayMs = 0;
  const { status, report } = await world.finalJob(jobId);
  expect(status, JSON.stringify(report)).toBe("completed");
  expect(await world.downloadAll(name)).toEqual(expected);
}

test("[X24] a machine that stands still in the middle of a job goes on by itself when it wakes, with the same process", async () => {
  const { agent, agentId } = await world.registerAgent("sleeper");
  const tree = source("sleeper");
  const jobId = await begin("sleeper", agentId, tree);
  agent.kill("SIGSTOP");
  const sent = storage.acceptedBytes();
  await new Promise((done) => setTimeout(done, 5_000));
  expect(storage.acceptedBytes() - sent).toBeLessThan(4 * MIB);
  agent.kill("SIGCONT");
  await expectWhole("sleeper", jobId, tree);
  expect(agent.exitCode).toBeNull();
});

test("[X25] a network that is gone and comes back in the middle of a job is waited for, and nothing is lost", async () => {
  const line = await HubLine.start(world.controlPlane.url);
  const blobs = await HubLine.start(
    new URL(/BlobEndpoint=([^;]+)/.exec(storage.connectionString)?.[1] ?? "").origin,
  );
  for (const one of [line, blobs]) world.onStop(() => one.stop());
  const { agent, agentId } = await world.registerAgent("roaming", null, line.url);
  const tree = source("roaming");
  const project = await world.makeProject(
    "roaming",
    storage.connectionString.replace(/BlobEndpoint=http:\/\/[^/]+/, `BlobEndpoint=${blobs.url}`),
  );
  storage.delayMs = 150;
  const options = { concurrency: 2, chunkSizeMiB: 1 };
  const { id: jobId } = await world.makeJob(project, agentId, tree.root, { options });
  const before = storage.acceptedBytes();
  await waitFor("The first bytes", async () => storage.acceptedBytes() > before || undefined, {
    limitMs: 60_000,
  });
  for (const one of [line, blobs]) {
    one.calm();
    one.always({ kind: "reset", way: "up", afterBytes: 0 });
  }
  await waitFor(
    "The agent to say what is in the way",
    async () => /way_blocked /.test(agent.output()) || undefined,
    { limitMs: 60_000, child: agent },
  );
  for (const one of [line, blobs]) one.calm();
  await expectWhole("roaming", jobId, tree);
  expect(agent.exitCode).toBeNull();
});

test.skipIf(!canMount)(
  `[X22, X26] a disk that is full at registration or fills up under a job is said and waited for, through a kill too; one that is read-only ends the agent with 2${whyNot}`,
  async () => {
    const stateDir = join(world.folder, "cramped");
    mkdirSync(stateDir, { mode: 0o700 });
    const disk = startChild({
      command: "unshare",
      arguments: [
        "-m",
        "sh",
        "-c",
        `mount -t tmpfs -o size=16m,mode=0700 none "${stateDir}" && exec sleep 600`,
      ],
      logFile: join(world.folder, "disk.log"),
    });
    world.onStop(() => disk.stop());
    const seen = `/proc/${disk.pid}/root${stateDir}`;
    await waitFor(
      "The small disk",
      async () => statfsSync(seen).blocks * statfsSync(seen).bsize === 16 * MIB || undefined,
      {
        limitMs: 20_000,
        child: disk,
      },
    );
    const run = async (words: readonly string[]): Promise<AgentProcess> => {
      const agent = startAgent({
        arguments: words,
        stateDir,
        logFile: join(world.folder, "cramped.log"),
        executable: null,
        wrapper: ["nsenter", "-t", String(disk.pid), "-m"],
      });
      world.onStop(() => agent.stop());
      return agent;
    };
    const ballast = join(seen, "ballast");
    fill(ballast);
    const words = ["--register", await world.newCode(), "--url", world.controlPlane.url, "--name", "cramped"];
    const agent = await run(words);
    await waitFor(
      "The agent to say that it has no room",
      async () => /state_has_no_room reason=/.test(agent.output()) || undefined,
      { limitMs: 60_000, child: agent },
    );
    expect(agent.output().match(/log_not_written/g)).toHaveLength(1);
    rmSync(ballast);
    const { id: agentId } = await waitFor(
      "Agent cramped",
      async () =>
        (await world.api.list<Agent>("/api/agents")).find(
          (one) => one.name === "cramped" && one.status === "online",
        ),
      { limitMs: 60_000, child: agent, stepMs: 200 },
    );
    const tree = source("cramped");
    const jobId = await begin("cramped", agentId, tree);
    const told: LiveJob[] = [];
    const live = world.api.watch(jobId, (message) => {
      if (message.type === "job") told.push(message.job);
    });
    world.onStop(async () => live.close());
    // Whatever is let go of is taken at once, the agent's own reserve too.
    const filling = setInterval(() => fill(ballast), 100);
    try {
      await waitFor(
        "The job to be held up by its disk",
        async () => told.at(-1)?.waiting?.reason === "disk_full" || undefined,
        { limitMs: 60_000, child: agent },
      );
      expect((await world.job(jobId)).status).toBe("running");
      agent.kill("SIGKILL");
      await agent.exited;
      const again = await run(["start"]);
      await waitFor(
        "The agent to say why it is not connected",
        async () => /session_lost .*Make room on that disk/.test(again.output()) || undefined,
        { limitMs: 60_000, child: again },
      );
      expect(again.output()).not.toContain("websocket_blocked");
      clearInterval(filling);
      rmSync(ballast);
      await expectWhole("cramped", jobId, tree);
      expect(again.exitCode, again.lastLines()).toBeNull();

      // [X26] Read-only: one sentence, and an end after which systemd starts nothing (RestartPreventExitStatus).
      await again.stop();
      spawnSync("nsenter", ["-t", String(disk.pid), "-m", "mount", "-o", "remount,ro", stateDir]);
      const refused = await run(["start"]);
      expect(await refused.exited).toBe(2);
      expect(refused.output()).toMatch(
        /^Cannot use the state folder ".*": .*Read-only file system.*Give another with --state/m,
      );
    } finally {
      clearInterval(filling);
    }
  },
);

/** To the last byte. */
function fill(file: string): void {
  for (const size of [MIB, 4096, 1]) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(size), { flag: "a" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }
}
