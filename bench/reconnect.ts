/**
 * `npm run bench:reconnect`: two thousand agents connected to one workerd on this machine, beating. What do they cost while
 * they wait? Then workerd is killed without warning and started again: how long until all are back, each waiting as agents
 * wait (`agent/backoff.ts`), and how much of it does D1 see? `--agents 2000`, `--idle 30` (seconds).
 *
 * The Worker is the one of the contract tests, which is the product's own and counts what each object asks of D1.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { backoffMs } from "../agent/backoff.ts";
import type { RegistrationCodeMade } from "../schema/api.ts";
import { recordingConfig, WAKES_PATH, type Wakes } from "../test/contract/statements.ts";
import { ApiClient } from "../tools/stack/api-client.ts";
import { startControlPlane } from "../tools/stack/control-plane.ts";
import { findPort } from "../tools/stack/ports.ts";
import { figures } from "./figures.ts";
import { processesOf } from "./processes.ts";
import { SpokenAgent, type SpokenIdentity } from "./spoken-agent.ts";

const AT_ONCE = 10;
const BACK_LIMIT_MS = 240_000;
const ASKED_OF = 50;
const MIB = 1024 * 1024;

const { values: options } = parseArgs({
  options: { agents: { type: "string", default: "2000" }, idle: { type: "string", default: "30" } },
});
const count = Number(options.agents);

const folder = mkdtempSync(join(tmpdir(), "migrate-reconnect-"));
const devSecret = randomBytes(32).toString("hex");
const start = {
  dataDir: folder,
  port: await findPort(),
  configPath: recordingConfig(),
  secrets: {
    PORTAL_SSO_SECRET: randomBytes(32).toString("hex"),
    CODE_PEPPER: randomBytes(32).toString("hex"),
    SECRETS_KEYS: `k1:${randomBytes(32).toString("base64")}`,
    DEV_HUB_SECRET: devSecret,
    SESSION_REQUESTS_PER_MINUTE: "100000",
  },
};
let plane = await startControlPlane(start);
const connected = new Set<SpokenAgent>();
let isOver = false;
/** Of each agent how long it was away after the kill. */
const awayMs: number[] = [];
let killedMs = Number.NaN;
let refusals = 0;
/** How lines ended before the kill, where none should. */
const endings = new Map<number, number>();
try {
  const api = new ApiClient(plane.url);
  await api.signIn(devSecret);
  const identities = await registerAll(api);
  const empty = processesOf(plane.pid, "workerd").residentBytes();
  await inParts(identities, async (identity) => await connect(identity));
  console.log(`${connected.size} are connected`);
  await measureIdle(empty);
  await plane.killHard();
  killedMs = performance.now();
  console.log(`workerd was killed; ${connected.size} agents are connected still`);
  plane = await startControlPlane(start);
  const startedMs = performance.now();
  console.log(`it is there again after ${((startedMs - killedMs) / 1_000).toFixed(1)} s`);
  while (awayMs.length < count && performance.now() < startedMs + BACK_LIMIT_MS) await sleep(100);
  const seconds = awayMs.map((ms) => ms / 1_000);
  console.log(
    `${awayMs.length} of ${count} are back, after the kill: ${figures(seconds, "s")}; ${refusals} tries failed`,
  );
  await askD1(identities);
} finally {
  isOver = true;
  for (const agent of connected) agent.stop();
  await plane.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function registerAll(api: ApiClient): Promise<SpokenIdentity[]> {
  const beganMs = performance.now();
  const names = Array.from({ length: count }, (_, index) => `FS${index + 1}`);
  const identities: SpokenIdentity[] = [];
  await inParts(names, async (name) => {
    const { code } = await api.post<RegistrationCodeMade>("/api/registration-codes", {});
    identities.push(await SpokenAgent.register(plane.url, code, name));
  });
  console.log(`${count} agents registered in ${((performance.now() - beganMs) / 1_000).toFixed(0)} s`);
  return identities;
}

/** Connects, and when the line breaks connects again as an agent does, until the benchmark is over. */
async function connect(identity: SpokenIdentity): Promise<void> {
  for (let tries = 0; !isOver; tries++) {
    if (tries > 0) await sleep(backoffMs(tries - 1, Math.random()));
    try {
      const agent = await SpokenAgent.connect(plane.url, identity, "FS");
      connected.add(agent);
      if (!Number.isNaN(killedMs)) awayMs.push(performance.now() - killedMs);
      agent.onClosed = (code) => {
        connected.delete(agent);
        if (Number.isNaN(killedMs)) endings.set(code, (endings.get(code) ?? 0) + 1);
        void reconnect(identity);
      };
      return;
    } catch {
      refusals++;
    }
  }
}

async function reconnect(identity: SpokenIdentity): Promise<void> {
  if (isOver) return;
  // The first wait after a line that was good.
  await sleep(backoffMs(0, Math.random()));
  await connect(identity);
}

async function measureIdle(emptyBytes: number): Promise<void> {
  const workerd = processesOf(plane.pid, "workerd");
  // Hello and its writes are over, and objects have been taken out of memory.
  await sleep(15_000);
  const [cpuMs, beganMs] = [workerd.cpuMs(), performance.now()];
  await sleep(Number(options.idle) * 1_000);
  const busy = ((workerd.cpuMs() - cpuMs) / (performance.now() - beganMs)) * 100;
  const bytes = workerd.residentBytes();
  console.log(
    `${connected.size} agents wait and beat: workerd ${busy.toFixed(1)} % of a core, ${(bytes / MIB).toFixed(0)} MiB ` +
      `(${((bytes - emptyBytes) / count / 1024).toFixed(0)} KiB for each agent); ` +
      `lines that ended before: ${endings.size === 0 ? "none" : JSON.stringify([...endings])}`,
  );
}

/** The counts began anew with workerd, so they are those of coming back. */
async function askD1(identities: readonly SpokenIdentity[]): Promise<void> {
  const statements: number[] = [];
  for (const { agentId } of identities.slice(0, ASKED_OF)) {
    const answer = await fetch(`${plane.url}${WAKES_PATH}?agent=${agentId}`);
    statements.push(((await answer.json()) as Wakes).d1Statements);
  }
  console.log(`statements to D1 for each agent that came back: ${figures(statements, "statements")}`);
}

async function inParts<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of queue) await act(item);
    }),
  );
}
