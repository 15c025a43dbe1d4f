/**
 * `npm run bench:dashboard`: how quick is the dashboard where it is hard for it? On a slow phone (Chromium with a CPU four
 * times slower, 1.6 Mbps, 150 ms): how long until the first page shows what runs, and how long from an agent's message to
 * the screen. At a desk with hundreds of running jobs, each told of once a second: how busy is the page's main thread, and
 * does its memory stay the same?
 *
 * The Worker is the real one, the agents speak the real protocol over real sockets (`spoken-agent.ts`), and the page is the
 * built one. `--only phone,many`, `--jobs 500`, `--minutes 1`, `--path /`.
 */
import { createServer, request, type Server } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createGzip } from "node:zlib";
import type { Browser, BrowserContext, CDPSession, Page } from "playwright-core";
import type { Project } from "../schema/api.ts";
import { World } from "../test/e2e/world.ts";
import { ApiClient } from "../tools/stack/api-client.ts";
import { launchBrowser } from "../tools/stack/browser.ts";
import { waitFor } from "../tools/stack/children.ts";
import { SpokenAgent } from "./spoken-agent.ts";

const PHONE = { viewport: { width: 360, height: 780 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const PHONE_CPU_SLOWDOWN = 4;
const PHONE_LINE = { latency: 150, bytesPerSecond: 1_600_000 / 8 };
const PHONE_JOBS = 10;
const PHONE_ROUNDS = 5;
const MESSAGES_TIMED = 40;
const JOBS_PER_AGENT = 25;
const MEASURED_SECONDS = 60;
const MIB = 1024 * 1024;

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "phone,many" },
    jobs: { type: "string", default: "500" },
    minutes: { type: "string", default: "1" },
    path: { type: "string", default: "/" },
  },
});

const world = await World.start(async () => ({ SESSION_REQUESTS_PER_MINUTE: "100000" }));
const browser = await launchBrowser();
const edge = await startEdge(world.controlPlane.url);
const agents: SpokenAgent[] = [];
try {
  const project = await world.makeProject("dashboard");
  if (options.only.includes("phone")) {
    await makeRunning(project, PHONE_JOBS);
    await measurePhone(browser);
  }
  if (options.only.includes("many")) {
    await makeRunning(project, Number(options.jobs) - agents.length * PHONE_JOBS);
    await measureMany(browser, Number(options.minutes));
  }
} finally {
  for (const agent of agents) agent.stop();
  await browser.close();
  edge.stop();
  await world.stop();
}

// --- what runs ---

/** So many more jobs, of as many agents as it takes, all running. */
async function makeRunning(project: Project, count: number): Promise<void> {
  const beganMs = performance.now();
  for (let made = 0; made < count; made += JOBS_PER_AGENT) {
    const agent = await SpokenAgent.start(
      world.controlPlane.url,
      await world.newCode(),
      `FS${agents.length + 1}`,
    );
    const jobs = Math.min(JOBS_PER_AGENT, count - made);
    for (let index = 0; index < jobs; index++) {
      const prefix = `agent-${agents.length}/job-${index}`;
      const more = { name: `Share ${index + 1} of FS${agents.length + 1}`, destination: { prefix } };
      await world.makeJob(project, agent.agentId, "/srv/share", more);
    }
    agents.push(agent);
    await waitFor("The jobs' start", async () => (agent.running === jobs ? true : undefined), {
      limitMs: 60_000,
    });
  }
  console.log(`${count} jobs run, made in ${((performance.now() - beganMs) / 1000).toFixed(0)} s`);
}

/** Each agent tells of all its jobs once a second, as real ones do; each at its own moment. */
function reportEverySecond(): () => void {
  const beganMs = Date.now();
  const timers = agents.map((agent, index) => {
    const report = () => agent.report(Math.round((Date.now() - beganMs) * 12_500 * (1 + index / 100)));
    return setTimeout(() => timers.push(setInterval(report, 1_000)), (index / agents.length) * 1_000);
  });
  return () => timers.forEach((timer) => clearTimeout(timer));
}

// --- the slow phone ---

async function measurePhone(chromium: Browser): Promise<void> {
  const context = await signedIn(chromium, PHONE);
  const usableMs: number[] = [];
  const blockedMs: number[] = [];
  const receivedBytes: number[] = [];
  const stopReports = reportEverySecond();
  for (let round = 0; round < PHONE_ROUNDS; round++) {
    const { page, protocol } = await slowPage(context);
    let bytes = 0;
    protocol.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
    await page.goto(edge.url, { waitUntil: "commit" });
    const usable = await page.waitForFunction(() => performance.getEntriesByName("usable")[0]?.startTime);
    usableMs.push((await usable.jsonValue()) ?? NaN);
    await sleep(3_000);
    blockedMs.push(await page.evaluate(() => (globalThis as unknown as { blockedMs: number }).blockedMs));
    receivedBytes.push(bytes);
    await page.close();
  }
  stopReports();
  console.log(
    `slow phone, first view usable: ${figures(usableMs, "ms")}; blocked: ${figures(blockedMs, "ms")}; ` +
      `received: ${(median(receivedBytes) / 1024).toFixed(0)} KiB`,
  );
  const { page } = await slowPage(context);
  await page.goto(edge.url);
  await page.locator(".active-job").first().waitFor();
  await sleep(3_000);
  console.log(
    `slow phone, from the agent's message to the screen: ${figures(await timeMessages(page), "ms")}`,
  );
  await context.close();
}

async function slowPage(context: BrowserContext): Promise<{ page: Page; protocol: CDPSession }> {
  const page = await context.newPage();
  const protocol = await context.newCDPSession(page);
  await protocol.send("Network.enable");
  await protocol.send("Network.setCacheDisabled", { cacheDisabled: true });
  await protocol.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: PHONE_LINE.latency,
    downloadThroughput: PHONE_LINE.bytesPerSecond,
    uploadThroughput: PHONE_LINE.bytesPerSecond,
  });
  await protocol.send("Emulation.setCPUThrottlingRate", { rate: PHONE_CPU_SLOWDOWN });
  await page.addInitScript(() => {
    const noted = globalThis as unknown as { blockedMs: number };
    noted.blockedMs = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) noted.blockedMs += Math.max(0, duration - 50);
    }).observe({ type: "longtask", buffered: true });
    const look = () => {
      const isUsable =
        document.querySelector("h1") !== null && document.querySelector(".active-job") !== null;
      if (isUsable) requestAnimationFrame(() => performance.mark("usable"));
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  return { page, protocol };
}

/** Sends single messages, and waits until what each says stands on the screen. */
async function timeMessages(page: Page): Promise<number[]> {
  const agent = agents[0];
  if (agent === undefined) throw new Error("Cannot time messages: there is no agent");
  const times: number[] = [];
  for (let index = 1; index <= MESSAGES_TIMED; index++) {
    // In steps, so that each is another text.
    const percent = 10 + index * 2;
    const shown = page.evaluate(
      (text) =>
        new Promise<number>((resolve) => {
          const look = () => {
            const isShown = document.querySelector(".active-jobs")?.textContent?.includes(text) ?? false;
            // The frame after the change is the one that is painted.
            if (isShown) requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()));
            else requestAnimationFrame(look);
          };
          look();
        }),
      `${percent}.0%`,
    );
    await sleep(150 + Math.random() * 300);
    const sentMs = performance.timeOrigin + performance.now();
    agent.report(percent * 10_000_000_000);
    times.push((await shown) - sentMs);
  }
  return times;
}

// --- many jobs ---

async function measureMany(chromium: Browser, minutes: number): Promise<void> {
  const context = await signedIn(chromium, { viewport: { width: 1_440, height: 900 } });
  const page = await context.newPage();
  const protocol = await context.newCDPSession(page);
  await page.goto(edge.url + options.path);
  await page.locator("h1").waitFor();
  const stopReports = reportEverySecond();
  await sleep(10_000);
  const perSecond = await countMessages(protocol, 10);
  await protocol.send("Performance.enable");
  const before = await metricsOf(protocol);
  await sleep(MEASURED_SECONDS * 1_000);
  const after = await metricsOf(protocol);
  const seconds = after.Timestamp - before.Timestamp;
  const share = (name: MetricName) => `${(((after[name] - before[name]) / seconds) * 100).toFixed(1)} %`;
  console.log(
    `${options.jobs} jobs at ${options.path}, ${perSecond.toFixed(0)} messages a second: main thread busy ${share("TaskDuration")} ` +
      `(script ${share("ScriptDuration")}, style ${share("RecalcStyleDuration")}, layout ${share("LayoutDuration")})`,
  );
  const heaps: number[] = [];
  for (let minute = 0; minute <= minutes; minute++) {
    if (minute > 0) await sleep(60_000);
    await protocol.send("HeapProfiler.collectGarbage");
    heaps.push((await metricsOf(protocol)).JSHeapUsedSize);
  }
  stopReports();
  console.log(`JS heap, minute by minute: ${heaps.map((bytes) => (bytes / MIB).toFixed(2)).join("  ")} MiB`);
  await context.close();
}

type MetricName =
  | "Timestamp"
  | "TaskDuration"
  | "ScriptDuration"
  | "RecalcStyleDuration"
  | "LayoutDuration"
  | "JSHeapUsedSize";

async function metricsOf(protocol: CDPSession): Promise<Record<MetricName, number>> {
  const { metrics } = await protocol.send("Performance.getMetrics");
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value])) as Record<MetricName, number>;
}

/** What comes through the page's socket; not while anything else is measured, for counting costs too. */
async function countMessages(protocol: CDPSession, seconds: number): Promise<number> {
  let count = 0;
  protocol.on("Network.webSocketFrameReceived", () => count++);
  await protocol.send("Network.enable");
  await sleep(seconds * 1_000);
  await protocol.send("Network.disable");
  return count / seconds;
}

// --- around it ---

async function signedIn(
  chromium: Browser,
  context: Parameters<Browser["newContext"]>[0],
): Promise<BrowserContext> {
  const own = await chromium.newContext({ colorScheme: "dark", ...context });
  const page = await own.newPage();
  await page.goto(ApiClient.signInLink(edge.url, world.devSecret));
  await page.waitForURL(`${edge.url}/`);
  await page.close();
  return own;
}

interface Edge {
  readonly url: string;
  stop(): void;
}

/** Compresses answers as Cloudflare's edge does, which `wrangler dev` does not; sockets go through as they are. */
async function startEdge(target: string): Promise<Edge> {
  const { hostname, port } = new URL(target);
  const server: Server = createServer((incoming, outgoing) => {
    const { url, method, headers } = incoming;
    const asked = request({ hostname, port, path: url, method, headers }, (answer) => {
      const isText = /^(text|application\/(json|javascript))/.test(answer.headers["content-type"] ?? "");
      const isPlain = answer.headers["content-encoding"] === undefined && method === "GET";
      if (!isText || !isPlain) {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        return answer.pipe(outgoing);
      }
      const { "content-length": _, ...rest } = answer.headers;
      outgoing.writeHead(answer.statusCode ?? 502, { ...rest, "content-encoding": "gzip" });
      return answer.pipe(createGzip()).pipe(outgoing);
    });
    asked.on("error", () => outgoing.destroy());
    incoming.pipe(asked);
  });
  server.on("upgrade", (incoming, socket, head) => {
    const inner = connect(Number(port), hostname, () => {
      const lines = incoming.rawHeaders.flatMap((text, index, all) =>
        index % 2 === 0 ? [`${text}: ${all[index + 1]}`] : [],
      );
      inner.write([`${incoming.method} ${incoming.url} HTTP/1.1`, ...lines, "", ""].join("\r\n"));
      inner.write(head);
      inner.pipe(socket).pipe(inner);
    });
    inner.on("error", () => socket.destroy());
    socket.on("error", () => inner.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? NaN;
}

function figures(values: readonly number[], unit: string): string {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number) => (sorted[Math.ceil(share * sorted.length) - 1] ?? NaN).toFixed(0);
  return `median ${at(0.5)} ${unit}, p95 ${at(0.95)} ${unit}, worst ${at(1)} ${unit}`;
}
