/**
 * Whole migrations behind the proxies that sites have. Control plane and storage are https, by an authority that only these
 * tests know. `npm run proxies` waits the real minute of a proxy that ends idle connections; else two seconds are that minute.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GENUINE, GENUINE_AUTHORITY, INSPECTING_AUTHORITY } from "../../agent/commands/fakes/certificates.ts";
import type { Agent } from "../../schema/api.ts";
import { debianProgram } from "../../tools/debian-program.ts";
import { startAgent, type AgentProcess } from "../../tools/stack/agent-process.ts";
import { startChild, waitFor } from "../../tools/stack/children.ts";
import { findPort } from "../../tools/stack/ports.ts";
import { makePlainTree } from "./source-tree.ts";
import { SiteProxy, startTlsFront, type Rules } from "./site-proxy.ts";
import { World } from "./world.ts";

const MIB = 1024 * 1024;
const IS_LONG = process.env["PROXIES"] === "long";
const IDLE_MS = IS_LONG ? 60_000 : 2_000;
const REFUSED = 2;
const UNREACHABLE = 3;

const tinyproxy = await debianProgram("tinyproxy-bin", "usr/bin/tinyproxy").catch(String);
const hasTinyproxy = tinyproxy.startsWith("/");

const folder = mkdtempSync(join(tmpdir(), "migrate-proxies-"));
/** PEM files: who vouches for the servers, and for what a proxy shows that inspects. */
const genuine = join(folder, "genuine.pem");
const inspecting = join(folder, "inspecting.pem");
const source = join(folder, "source");

let world: World;
/** Origin of the control plane, host and port of the storage. */
let hub: string;
let storage: string;
let expected: ReadonlyMap<string, string>;

beforeAll(async () => {
  writeFileSync(genuine, GENUINE_AUTHORITY);
  writeFileSync(inspecting, INSPECTING_AUTHORITY);
  mkdirSync(source);
  ({ expected } = makePlainTree(source, [3 * MIB, 100, 200]));
  const certificate = { certFile: join(folder, "server.pem"), keyFile: join(folder, "server.key") };
  writeFileSync(certificate.certFile, GENUINE.cert);
  writeFileSync(certificate.keyFile, GENUINE.key);
  // The control plane asks the storage, and so does this process, to see what has arrived.
  setDefaultCACertificates([...getCACertificates(), GENUINE_AUTHORITY]);
  process.env["NODE_EXTRA_CA_CERTS"] = genuine;
  world = await World.start(async () => ({}), certificate);
  delete process.env["NODE_EXTRA_CA_CERTS"];
  storage = new URL(/BlobEndpoint=([^;]+)/.exec(world.connectionString)?.[1] ?? "").host;
  const front = await startTlsFront(new URL(world.controlPlane.url));
  world.onStop(() => front.stop());
  hub = front.origin;
});
afterAll(async () => {
  await world?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function startProxy(rules: Rules): Promise<SiteProxy> {
  const proxy = await SiteProxy.start(rules);
  world.onStop(() => proxy.stop());
  return proxy;
}

/** Registers and runs an agent; `network` is its `network.json`. */
async function startBehind(
  name: string,
  environment: Readonly<Record<string, string>>,
  { network }: { network?: object } = {},
): Promise<AgentProcess> {
  const stateDir = join(world.folder, name);
  mkdirSync(stateDir, { mode: 0o700 });
  if (network !== undefined) writeFileSync(join(stateDir, "network.json"), JSON.stringify(network));
  const agent = startAgent({
    arguments: ["--register", await world.newCode(), "--url", hub, "--name", name],
    stateDir,
    logFile: join(world.folder, `${name}.log`),
    executable: null,
    environment,
  });
  world.onStop(() => agent.stop());
  return agent;
}

async function online(name: string, child: AgentProcess): Promise<Agent> {
  const isIt = (one: Agent) => one.name === name && one.status === "online";
  return await waitFor(`Agent ${name}`, async () => (await world.api.list<Agent>("/api/agents")).find(isIt), {
    limitMs: 60_000,
    child,
    stepMs: 200,
  });
}

async function begin(name: string, agentId: string): Promise<string> {
  const project = await world.makeProject(name);
  const options = { concurrency: 2, chunkSizeMiB: 1 };
  return (await world.makeJob(project, agentId, source, { options })).id;
}

async function migrate(name: string, child: AgentProcess): Promise<Agent> {
  const agent = await online(name, child);
  const { status, report } = await world.finalJob(await begin(name, agent.id));
  expect(status, JSON.stringify(report)).toBe("completed");
  expect(await world.downloadAll(name)).toEqual(expected);
  return agent;
}

/** Nothing went around it. */
function expectThrough(places: ReadonlyMap<string, number>): void {
  expect([...places.keys()].toSorted()).toEqual([new URL(hub).host, storage].toSorted());
}

test.skipIf(!hasTinyproxy)(
  `[X10] a whole migration passes through tinyproxy, which wants a name and a password${hasTinyproxy ? "" : ` (${tinyproxy})`}`,
  async () => {
    const port = await findPort(0);
    const config = join(folder, "tinyproxy.conf");
    const log = join(folder, "tinyproxy-requests.log");
    const lines = [
      `Port ${port}`,
      "Listen 127.0.0.1",
      "BasicAuth site secret",
      `LogFile "${log}"`,
      "LogLevel Connect",
    ];
    writeFileSync(config, `${lines.join("\n")}\nTimeout 600\n`);
    const proxy = startChild({
      command: tinyproxy,
      arguments: ["-d", "-c", config],
      logFile: join(folder, "tinyproxy.log"),
    });
    world.onStop(() => proxy.stop());
    const environment = { HTTPS_PROXY: `http://site:secret@127.0.0.1:${port}`, DENO_CERT: genuine };
    await migrate("tiny", await startBehind("tiny", environment));
    const asked = readFileSync(log, "utf8");
    for (const place of [new URL(hub).host, storage]) expect(asked).toContain(`CONNECT ${place}`);
  },
);

test("[X11] a whole migration passes where TLS is inspected, with proxy and authority from network.json, and NO_PROXY is heeded", async () => {
  const proxy = await startProxy({ inspects: true, credentials: "site:pass word" });
  const network = { proxy: proxy.address("site:pass%20word"), caFile: inspecting };
  await migrate("inspected", await startBehind("inspected", {}, { network }));
  expectThrough(proxy.tunnels);
  // Reached directly the servers show their own certificates, which this authority does not vouch for.
  const direct = await startBehind("direct", { NO_PROXY: "127.0.0.1" }, { network });
  expect(await direct.exited).toBe(UNREACHABLE);
  expect(direct.output()).toContain('issued by "Example Root, Example Trust"');
});

test("[X12] TLS that is inspected by somebody who is not trusted is refused, and the error names host and issuer", async () => {
  const proxy = await startProxy({ inspects: true });
  const agent = await startBehind("distrusting", { HTTPS_PROXY: proxy.address(), DENO_CERT: genuine });
  expect(await agent.exited).toBe(UNREACHABLE);
  expect(agent.output()).toMatch(
    /Cannot reach 127\.0\.0\.1:\d+: 127\.0\.0\.1 shows a certificate that this machine does not trust: made out to "localhost", issued by "Contoso Inspection CA, Contoso Security"\. .*exempt 127\.0\.0\.1 from TLS inspection/,
  );
});

test("[X12] a proxy that wants a name and password says so, whether there is none or a wrong one, and no password is repeated", async () => {
  const proxy = await startProxy({ credentials: "site:secret" });
  const none = await startBehind("none", { HTTPS_PROXY: proxy.address(), DENO_CERT: genuine });
  const wrong = await startBehind("wrong", {
    HTTPS_PROXY: proxy.address("site:hunter2"),
    DENO_CERT: genuine,
  });
  expect([await none.exited, await wrong.exited]).toEqual([UNREACHABLE, UNREACHABLE]);
  expect(none.output()).toMatch(
    /asks for a name and password \(status 407; it takes Basic\)\. Set HTTPS_PROXY=/,
  );
  expect(wrong.output()).toMatch(/does not accept the name and password \(status 407; it takes Basic\)/);
  expect(wrong.output()).not.toContain("hunter2");
  expect(proxy.tunnels.size).toBe(0);
});

test("[X13] a certificate file that is none is refused before anything is sent", async () => {
  const agent = await startBehind("torn", { DENO_CERT: join(folder, "server.key") });
  expect(await agent.exited).toBe(REFUSED);
  expect(agent.output()).toMatch(
    /^Cannot trust the certificates of ".*server\.key" .*: it holds no certificate in PEM form$/m,
  );
});

test(
  `[X14] a whole migration passes through a proxy that ends connections on which nothing moved for ${IDLE_MS / 1_000} s`,
  async () => {
    const proxy = await startProxy({ idleMs: IDLE_MS });
    const environment = { HTTPS_PROXY: proxy.address(), DENO_CERT: genuine };
    const child = await startBehind("idle", environment);
    await migrate("idle", child);
    expectThrough(proxy.tunnels);
    const place = new URL(hub).host;
    if (IS_LONG) {
      await wait(2.5 * IDLE_MS);
      // Heartbeats keep the connection; requests have theirs.
      expect(child.output()).not.toContain("session_lost");
    } else {
      await waitFor("The agent's connection to be ended", async () => proxy.idled.get(place), {
        limitMs: 30_000,
        child,
      });
    }
    const again = (await online("idle", child)).id;
    expect((await world.finalJob(await begin("idle-again", again))).status).toBe("completed");
    expect(await world.downloadAll("idle-again")).toEqual(expected);
  },
  IS_LONG ? 400_000 : 120_000,
);

test("[X15] a whole migration passes where TLS is inspected and upgrades are refused", async () => {
  const proxy = await startProxy({ inspects: true, refusesUpgrades: true });
  const environment = { HTTPS_PROXY: proxy.address(), DENO_CERT: inspecting };
  const agent = await migrate("polling", await startBehind("polling", environment));
  expect(agent.connection).toBe("long_poll");
  expectThrough(proxy.tunnels);
  expect(proxy.refusedUpgrades).toBeGreaterThan(0);
});

const PAGE = "<!DOCTYPE html><html><head><title>Guest network</title></head><body>Sign in</body></html>";
const PORTALS = {
  "a page with status 200": `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${PAGE.length}\r\nConnection: close\r\n\r\n${PAGE}`,
  "a redirect": `HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
};

test("[X16] a login page is never taken for data: the agent says what it met, waits, and goes on when the page is gone", async () => {
  const proxy = await startProxy({ inspects: true });
  const environment = { HTTPS_PROXY: proxy.address(), DENO_CERT: inspecting };
  const child = await startBehind("portal", environment);
  const { id: agentId } = await online("portal", child);
  for (const [kind, answer] of Object.entries(PORTALS)) {
    const name = `portal-${answer.slice(9, 12)}`;
    const seen = child.output().length;
    const jobId = await begin(name, agentId);
    proxy.portal = answer;
    await waitFor(
      `The agent to say that it met ${kind}`,
      async () =>
        /way_blocked .*Something else answers in place of 127\.0\.0\.1/.exec(child.output().slice(seen))?.[0],
      { limitMs: 60_000, child, stepMs: 200 },
    );
    expect(child.exitCode).toBeNull();
    proxy.portal = null;
    const { status, report } = await world.finalJob(jobId);
    expect(status, JSON.stringify(report)).toBe("completed");
    expect(await world.downloadAll(name)).toEqual(expected);
  }
  expect(child.output()).toMatch(/a page called \\"Guest network\\"/);
  expect(child.output()).toMatch(/leads to \\"login\.example\\"/);

  proxy.portal = PORTALS["a page with status 200"];
  const stranger = await startBehind("stranger", environment);
  expect(await stranger.exited).toBe(UNREACHABLE);
  expect(stranger.output()).toMatch(/Something else answers in place of .*a page called "Guest network"/);
});
