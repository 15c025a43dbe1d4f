/**
 * The agent replaces itself: executables of three versions, built from this source, signed and published as an operator does
 * it, and an agent that is started again whenever it ends otherwise than asked, as a service manager does it.
 */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Agent, Page } from "../../schema/api.ts";
import { NODE, ROOT } from "../../tools/environment.ts";
import { makeKeys } from "../../tools/release-sign.ts";
import { startAgent, type AgentProcess } from "../../tools/stack/agent-process.ts";
import { makePlainTree, sha256 } from "./source-tree.ts";
import { startStorageProxy, type StorageProxy } from "./storage-proxy.ts";
import { World } from "./world.ts";

const MIB = 1024 * 1024;
const BUILD_LIMIT_MS = 180_000;
const TARGET = `${process.arch === "arm64" ? "aarch64" : "x86_64"}-unknown-linux-gnu`;
const folder = mkdtempSync(join(tmpdir(), "migrate-update-"));
const keys = join(folder, "keys");
const { rootKey } = makeKeys(keys, Date.now());

/** By version; null without a base for `deno compile` (DENORT_BIN, or the internet). */
const executables = buildAll();
const isMissing = executables === null;

let world: World;
let proxy: StorageProxy;
let service: Service;
beforeAll(async () => {
  if (isMissing) return;
  world = await World.start();
  proxy = await startStorageProxy(world.connectionString);
  world.onStop(() => proxy.stop());
});
afterAll(async () => {
  await service?.stop();
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test.skipIf(isMissing)(
  `[A123] [A124] [A125] an agent waits for its job, becomes the next version, and takes one back that does not work${isMissing ? " (skipped: no base for deno compile)" : ""}`,
  async () => {
    const { first, next, broken } = executables as Executables;
    service = new Service(first, {
      REGISTER_CODE: await world.newCode(),
      MIGRATE_API_URL: world.controlPlane.url,
    });
    const { id: agentId } = await agentThat(({ status }) => status === "online");

    // A job that does not end before the release has been seen.
    const tree = makePlainTree(join(world.folder, "files"), [20 * MIB, 1_000, 2_000]);
    proxy.delayMs = 2_000;
    const project = await world.makeProject("updated", proxy.connectionString);
    const job = await world.makeJob(project, agentId, tree.root, {
      options: { concurrency: 2, chunkSizeMiB: 1 },
    });
    await world.jobUntil(job.id, "running", ({ status }) => status === "running");
    await publish("9.0.1", next);
    await service.said("it is installed when no job runs");
    expect(sha256(readFileSync(service.executable))).toBe(sha256(readFileSync(first)));
    proxy.delayMs = 0;
    expect((await world.finalJob(job.id)).status).toBe("completed");
    expect(await world.downloadAll("updated")).toEqual(tree.expected);

    await agentThat(({ status, version }) => status === "online" && version === "9.0.1");
    await service.said('update_proved version="?9\\.0\\.1');
    expect(sha256(readFileSync(service.executable))).toBe(sha256(readFileSync(next)));
    expect(sha256(readFileSync(`${service.executable}.previous`))).toBe(sha256(readFileSync(first)));
    expect(service.exitCodes).toEqual([8]);

    await publish("9.0.2", broken);
    await service.said('update_taken_back version="?9\\.0\\.2');
    await service.said("failed_before");
    await agentThat(({ status, version }) => status === "online" && version === "9.0.1");
    expect(sha256(readFileSync(service.executable))).toBe(sha256(readFileSync(next)));
    // Replaced, three starts in vain, and taken back at the fourth.
    expect(service.exitCodes).toEqual([8, 8, 1, 1, 1, 8]);

    const again = await world.makeJob(project, agentId, tree.root, { destination: { prefix: "again" } });
    expect((await world.finalJob(again.id)).status).toBe("completed");
  },
  300_000,
);

interface Executables {
  readonly first: string;
  readonly next: string;
  readonly broken: string;
}

function buildAll(): Executables | null {
  try {
    return {
      first: build("9.0.0"),
      next: build("9.0.1"),
      broken: build("9.0.2", [
        "agent/main.ts",
        "  const world = { platform,",
        '  if (folder !== "" && trial.kind === "on_trial") throw new Error("this version does not work");\n  const world = { platform,',
      ]),
    };
  } catch (error) {
    // In CI the base is there, so a failure is one.
    if (process.env["DENORT_BIN"] !== undefined) throw error;
    return null;
  }
}

/** This source, with another version, a root key, and less patience. */
function build(version: string, ...changes: (readonly [string, string, string])[]): string {
  const source = join(folder, version);
  mkdirSync(source);
  for (const part of ["agent", "schema"]) cpSync(join(ROOT, part), join(source, part), { recursive: true });
  for (const file of ["deno.json", "package.json"]) copyFileSync(join(ROOT, file), join(source, file));
  symlinkSync(join(ROOT, "node_modules"), join(source, "node_modules"));
  for (const [file, from, to] of [
    ["schema/version.ts", /VERSION = "[^"]+"/, `VERSION = "${version}"`],
    ["agent/update/root-key.ts", "= null;", `= "${rootKey}";`],
    ["agent/update/updates.ts", "CHECK_EVERY_MS = 6 * HOUR_MS", "CHECK_EVERY_MS = 2_000"],
    ["agent/update/updates.ts", "FIRST_CHECK_MS_MAX = 10 * 60_000", "FIRST_CHECK_MS_MAX = 2_000"],
    ["agent/update/updates.ts", "LOOK_MS = 15_000", "LOOK_MS = 200"],
    ...changes,
  ] as const) {
    const path = join(source, file);
    const text = readFileSync(path, "utf8");
    const changed = text.replace(from, to);
    if (changed === text) throw new Error(`${file} has nothing like ${from}`);
    writeFileSync(path, changed);
  }
  const output = join(folder, `migrate-agent-${version}`);
  execFileSync(NODE, [join(ROOT, "tools/build-agent.ts"), "--source", source, "--output", output], {
    stdio: "pipe",
    timeout: BUILD_LIMIT_MS,
  });
  return output;
}

async function publish(version: string, executable: string): Promise<void> {
  const executables = join(folder, `built-${version}`);
  mkdirSync(executables);
  copyFileSync(executable, join(executables, `migrate-agent-${TARGET}`));
  await world.publishRelease({ executables, keys, version });
}

async function agentThat(isMeant: (agent: Agent) => boolean): Promise<Agent> {
  let found: Agent | undefined;
  await expect
    .poll(
      async () => {
        found = (await world.api.get<Page<Agent>>("/api/agents")).items.find(isMeant);
        return found !== undefined;
      },
      { timeout: 60_000, interval: 200 },
    )
    .toBe(true);
  return found as Agent;
}

/** Starts the agent again whenever it ends with another code than 0, as systemd does with `Restart=on-failure`. */
class Service {
  readonly executable: string;
  readonly exitCodes: number[] = [];
  readonly #log: string;
  #agent: AgentProcess;
  #isStopping = false;

  constructor(executable: string, environment: Readonly<Record<string, string>>) {
    const home = join(world.folder, "installed");
    mkdirSync(home);
    this.executable = join(home, "migrate-agent");
    copyFileSync(executable, this.executable);
    this.#log = join(home, "agent.log");
    const start = () =>
      startAgent({
        arguments: ["start", "--service"],
        stateDir: join(home, "state"),
        logFile: this.#log,
        executable: this.executable,
        environment,
      });
    this.#agent = start();
    const keepRunning = async () => {
      for (;;) {
        const code = await this.#agent.exited;
        if (this.#isStopping || code === 0) return;
        this.exitCodes.push(code);
        this.#agent = start();
      }
    };
    void keepRunning();
  }

  /** Waits until a line of its log fits. */
  async said(pattern: string): Promise<void> {
    const log = () => (existsSync(this.#log) ? readFileSync(this.#log, "utf8") : "");
    await expect.poll(log, { timeout: 90_000, interval: 200 }).toMatch(new RegExp(pattern));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#agent.stop();
  }
}
