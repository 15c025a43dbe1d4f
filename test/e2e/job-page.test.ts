/**
 * The page of one job in real browsers, with a real agent behind it: two people who watch one job, a connection that is cut
 * in the middle, every way a job can end or wait, what failed, what may be changed, and the report on paper.
 */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Agent, Job, Project } from "../../schema/api.ts";
import { ROOT } from "../../tools/environment.ts";
import type { AgentProcess } from "../../tools/stack/agent-process.ts";
import { ApiClient } from "../../tools/stack/api-client.ts";
import { launchBrowser } from "../../tools/stack/browser.ts";
import { waitFor } from "../../tools/stack/children.ts";
import { runAxe } from "./axe.ts";
import { makePlainTree } from "./source-tree.ts";
import { startStorageProxy, type StorageProxy } from "./storage-proxy.ts";
import { World } from "./world.ts";

const MIB = 1024 * 1024;
const SCREENSHOTS = join(ROOT, "test-results/job-page");
const SIZES = [
  { name: "phone", width: 360, height: 780 },
  { name: "tablet", width: 820, height: 1_180 },
  { name: "desk", width: 1_440, height: 900 },
] as const;
const OWNER = { tenant: "job-page", name: "Olivia Owner", email: "olivia@msp.example" };
const VIEWER = { tenant: "job-page", name: "Victor Viewer", email: "victor@msp.example", role: "viewer" };

let world: World;
let storage: StorageProxy;
let browser: Browser;
let owner: Page;
let agentId: string;
const complaints: string[] = [];

beforeAll(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true });
  world = await World.start();
  await world.api.signIn(world.devSecret, OWNER);
  storage = await startStorageProxy(world.connectionString);
  world.onStop(() => storage.stop());
  browser = await launchBrowser();
  ({ agentId } = await world.registerAgent("office"));
  owner = await open(OWNER);
});
afterAll(async () => {
  await browser?.close();
  await world?.stop();
});

const see = (testId: string, page = owner) => page.getByTestId(testId);
const shown = async (testId: string, page = owner) => (await see(testId, page).textContent())?.trim() ?? "";
const goTo = (job: Job, page = owner, url = world.controlPlane.url) => page.goto(`${url}/jobs/${job.id}`);
const stepState = (name: string, page = owner) => see(`step-${name}`, page).getAttribute("data-state");

async function open(person: typeof OWNER, url = world.controlPlane.url): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1_440, height: 900 },
    colorScheme: "dark",
    reducedMotion: "reduce",
    acceptDownloads: true,
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`${message.text()} (${page.url()})`);
  });
  await page.goto(ApiClient.signInLink(url, world.devSecret, person));
  await page.waitForURL(`${url}/`);
  return page;
}

/** At all sizes, where it says so in one theme only; nothing is wider than its screen. */
async function pictures(name: string, themes: "both themes" | "dark" = "both themes"): Promise<void> {
  const page = owner;
  for (const { name: size, ...viewport } of SIZES) {
    await page.setViewportSize(viewport);
    for (const colorScheme of themes === "both themes" ? (["light", "dark"] as const) : (["dark"] as const)) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({
        path: join(SCREENSHOTS, `${name}-${size}-${colorScheme}.png`),
        fullPage: true,
      });
    }
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width, `${name}, ${size}`).toBeLessThanOrEqual(viewport.width);
    if (size === "desk") expect(await runAxe(page, "all_but_targets"), name).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: "dark" });
}

function expectNoComplaint(expected: RegExp | null = null): void {
  expect(complaints.splice(0).filter((text) => expected?.test(text) !== true)).toEqual([]);
}

function folder(name: string): string {
  const path = join(world.folder, name);
  mkdirSync(path);
  return path;
}

/** A way to the control plane that can be cut. */
async function startWay(): Promise<{ url: string; cut(): void; mend(): void }> {
  const target = new URL(world.controlPlane.url);
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((incoming) => {
    if (isCut) return void incoming.destroy();
    const outgoing = connect(Number(target.port), target.hostname);
    for (const socket of [incoming, outgoing]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        incoming.destroy();
        outgoing.destroy();
      });
    }
    incoming.pipe(outgoing).pipe(incoming);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  world.onStop(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      isCut = false;
    },
  };
}

async function percentOf(page: Page): Promise<number> {
  return Number(/^([\d.]+)\s*%/.exec(await shown("job-percent", page))?.[1] ?? Number.NaN);
}

test("[U65] [U66] [U67] two people watch one job, one of them over a connection that is cut in the middle", async () => {
  const tree = makePlainTree(folder("watched"), [120 * MIB, 100, 200]);
  storage.delayMs = 150;
  const project = await world.makeProject("watched", storage.connectionString);
  const job = await world.makeJob(project, agentId, tree.root, {
    options: { concurrency: 2, chunkSizeMiB: 1, bandwidthMbps: 60 },
  });
  const way = await startWay();
  const viewer = await open(VIEWER, way.url);
  await Promise.all([goTo(job), goTo(job, viewer, way.url)]);

  await see("step-upload").waitFor();
  await expect.poll(() => stepState("upload"), { timeout: 20_000 }).toBe("current");
  expect(await stepState("scan")).toBe("done");
  expect(await stepState("done")).toBe("waiting");
  expect(await shown("job-limit")).toBe("Limited to 60\u00a0Mbps");
  await expect.poll(() => shown("job-announcement")).toBe("Running: uploading.");
  // What is wrong with the chart's library would be wrong here: a policy that forbids what it does.
  const canvas = see("speed-chart").locator("canvas");
  await canvas.waitFor();
  await expect
    .poll(() => see("speed-chart").getByRole("img").getAttribute("aria-label"))
    .toMatch(/^Speed over the last .+: now [\d.,]+ Mbps, on average .+ The limit is 60\sMbps\.$/);
  expect(await canvasIsPainted(owner)).toBe(true);

  // Nothing but looking is offered to who may only look.
  await see("job-percent", viewer).waitFor();
  for (const button of ["pause-job", "cancel-job", "duplicate-job", "edit-limit"])
    expect(await see(button, viewer).count(), button).toBe(0);

  way.cut();
  await expect.poll(() => shown("live-state", viewer), { timeout: 10_000 }).toBe("Reconnecting…");
  const before = await percentOf(viewer);
  const ownersBefore = await percentOf(owner);
  await expect.poll(() => percentOf(owner), { timeout: 20_000 }).toBeGreaterThan(ownersBefore + 3);
  expect(await percentOf(viewer)).toBe(before);
  way.mend();
  await expect.poll(() => shown("live-state", viewer), { timeout: 35_000 }).toBe("Live");
  await expect.poll(() => percentOf(viewer), { timeout: 5_000 }).toBeGreaterThan(before);
  expect(Math.abs((await percentOf(viewer)) - (await percentOf(owner)))).toBeLessThan(8);
  await pictures("running");

  await see("pause-job").click();
  for (const page of [owner, viewer]) {
    await expect.poll(() => shown("job-status", page), { timeout: 15_000 }).toBe("Paused");
    await expect.poll(() => shown("paused", page)).toMatch(/^Paused\. Nothing is sent until/);
  }
  expect(await stepState("upload")).toBe("current");
  await expect
    .poll(() => see("log-entry").allTextContents(), { timeout: 10_000 })
    .toEqual(
      expect.arrayContaining([
        expect.stringMatching(/Pause asked for · Olivia Owner$/),
        expect.stringMatching(/Started$/),
        expect.stringMatching(/Job created · Olivia Owner$/),
      ]),
    );
  await pictures("paused");
  storage.delayMs = 0;
  await see("resume-job").click();
  await see("report").waitFor({ timeout: 60_000 });
  await expect.poll(() => shown("job-announcement", viewer), { timeout: 10_000 }).toBe("Completed.");
  expect(await stepState("done", viewer)).toBe("done");
  await viewer.context().close();
  // The cut connection is complained about by the browser itself, and by nothing of ours.
  expectNoComplaint(/ERR_|WebSocket|Failed to load resource/);
}, 120_000);

/** Whether anything stands in the chart's canvas. */
async function canvasIsPainted(page: Page): Promise<boolean> {
  return await page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('[data-testid="speed-chart"] canvas');
    const pixels = canvas?.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels !== undefined && pixels.some((value) => value !== 0);
  });
}

test("[U69] [U71] [U72] failed files stand by cause with what helps, are retried alone, and the report on paper says all of it", async () => {
  const tree = makePlainTree(folder("failing"), [4_000, 5_000, 6_000]);
  const secret = join(tree.root, "payroll <img src=x>.xlsx");
  writeFileSync(secret, "private");
  chmodSync(secret, 0o000);
  const [taken = ""] = tree.expected.keys();
  const project = await world.makeProject("failing");
  await world.container("failing").getBlockBlobClient(taken).upload("other", 5);
  const job = await world.makeJob(project, agentId, tree.root, { name: "Share of the office" });
  await world.finalJob(job.id);

  await goTo(job);
  await see("cause").first().waitFor();
  expect(await shown("failures")).toMatch(/^2 files not moved/);
  const causes = await see("cause").allTextContents();
  expect(causes).toEqual([
    expect.stringMatching(
      /Something else with their names is at the destination.*1 file.*Move what is there away/,
    ),
    expect.stringMatching(/The agent's account may not read them.*1 file.*the right to read them/),
  ]);
  expect((await see("failure").allTextContents()).sort().map((text) => text.slice(0, 6))).toEqual(
    [taken.slice(0, 6), "payrol"].sort(),
  );
  await pictures("failed-files");
  await expectPaper(job);

  // Both causes are mended; only those two files are moved again.
  await goTo(job);
  chmodSync(secret, 0o644);
  await world.container("failing").deleteBlob(taken);
  await see("retry-failed").click();
  const again = await world.jobUntil(
    job.id,
    "run 2",
    ({ epoch, status }) => epoch === 2 && status === "completed",
  );
  expect(again.totals).toMatchObject({ filesCompleted: 2, filesFailed: 0 });
  await expect.poll(() => see("failures").count(), { timeout: 10_000 }).toBe(0);
  await expect
    .poll(() => see("log-entry").allTextContents(), { timeout: 10_000 })
    .toEqual(expect.arrayContaining([expect.stringMatching(/Failed files started again · Olivia Owner$/)]));
  expect(await see("retry-failed").count()).toBe(0);
  expect(await see("retry-job").count()).toBe(0);
  expectNoComplaint();
}, 120_000);

async function expectPaper(job: Job): Promise<void> {
  await see("print-report").click();
  await see("paper").waitFor();
  const paper = await shown("paper");
  const told = await world.job(job.id);
  for (const words of [
    "Client of failing",
    "Share of the office",
    "2 of 2 moved files verified",
    "The agent's account may not read them: 1 file",
    "payroll <img src=x>.xlsx",
    told.report?.manifest?.sha256 ?? "no manifest",
    "How to check it yourself",
  ])
    expect(paper, words).toContain(words);
  await pictures("paper");
  const printed = await shown("paper-digest");
  const [saved] = await Promise.all([owner.waitForEvent("download"), see("save-json").click()]);
  const bytes = readFileSync((await saved.path()) ?? "");
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(printed);
  expect(JSON.parse(bytes.toString())).toMatchObject({ kind: "job_report", job: { id: job.id } });

  await owner.emulateMedia({ media: "print", colorScheme: "dark" });
  for (const chrome of [".hub-bar", ".places", ".print-tools"])
    expect(await owner.locator(chrome).isVisible(), chrome).toBe(false);
  const { background, color } = await see("paper").evaluate((element) => {
    const style = getComputedStyle(element);
    return { background: style.backgroundColor, color: style.color };
  });
  expect([background, color]).toEqual(["rgb(255, 255, 255)", "rgb(22, 24, 29)"]);
  await owner.setViewportSize({ width: 680, height: 960 });
  await owner.screenshot({ path: join(SCREENSHOTS, "paper-printed.png"), fullPage: true });
  const pdf = await owner.pdf({
    path: join(SCREENSHOTS, "paper.pdf"),
    preferCSSPageSize: true,
    printBackground: true,
  });
  // A4 in points, as the style sheet asks for.
  expect(pdf.toString("latin1")).toMatch(/\/MediaBox\s*\[0 0 59[456][.\d]* 84[123][.\d]*\]/);
  await owner.emulateMedia({ media: "screen", colorScheme: "dark" });
}

test("[U66] [U68] [U71] a job says how it ended or what it waits for, and what has not begun can be changed", async () => {
  const project = await world.makeProject("waiting");
  const nowhere = await world.makeJob(project, agentId, join(world.folder, "nowhere"), {
    destination: { prefix: "nowhere" },
  });
  await world.finalJob(nowhere.id);
  await goTo(nowhere);
  await see("job-error").waitFor();
  expect(await shown("job-error")).toMatch(/The source folder does not exist/);
  expect(await stepState("scan")).toBe("stopped");
  expect(await shown("job-announcement")).toBe("Failed.");
  await see("retry-job").click();
  await owner.getByText(/Start run 2 of this job\?/).waitFor();
  await pictures("retry", "dark");
  await owner.keyboard.press("Escape");

  const tree = makePlainTree(folder("waiting"), [1_000, 2_000]);
  const later = await planned(project, tree.root);
  await goTo(later);
  await expect.poll(() => shown("scheduled")).toMatch(/^Starts on .+\.$/);
  await pictures("scheduled", "dark");
  const { agent: away, agentId: awayId } = await agentThatLeft();
  await see("move-job").click();
  await see("change-agent").selectOption(awayId);
  await pictures("move", "dark");
  await see("save-move").click();
  await expect
    .poll(() => shown("agent-offline"), { timeout: 10_000 })
    .toMatch(/^Agent offline since .+\. The job starts when it is back/);
  expect(away.exitCode).not.toBeNull();
  await pictures("offline", "dark");
  expect((await world.job(later.id)).agentName).toBe("gone home");

  await see("move-job").click();
  await see("change-agent").selectOption(agentId);
  await see("save-move").click();
  await expect.poll(() => see("agent-offline").count(), { timeout: 10_000 }).toBe(0);
  await see("duplicate-job").click();
  await see("duplicate-name").fill("The same once more");
  await see("duplicate-prefix").fill("second");
  await pictures("duplicate", "dark");
  await see("save-duplicate").click();
  await owner.getByRole("heading", { name: "The same once more" }).waitFor();
  await see("report").waitFor({ timeout: 30_000 });

  await goTo(later);
  await see("change-start").click();
  await see("start-date").fill("");
  await see("start-time").fill("");
  await see("save-start").click();
  await see("report").waitFor({ timeout: 30_000 });
  expect(await world.downloadAll("waiting")).toHaveLength(4);
  expectNoComplaint();
}, 120_000);

function planned(project: Project, root: string): Promise<Job> {
  const startAt = new Date(Date.now() + 3 * 86_400_000).toISOString();
  return world.makeJob(project, agentId, root, { startAt, destination: { prefix: "first" } });
}

async function agentThatLeft(): Promise<{ agent: AgentProcess; agentId: string }> {
  const registered = await world.registerAgent("gone home");
  await registered.agent.stop();
  await waitFor(
    "The agent to be offline",
    async () => {
      const { status } = await world.api.get<Agent>(`/api/agents/${registered.agentId}`);
      return status === "offline" ? true : undefined;
    },
    { limitMs: 60_000, stepMs: 200 },
  );
  return registered;
}

test("[U66] [U68] [U71] a job whose agent goes away says so, goes on with it, asks before it is cancelled and before it is repeated", async () => {
  const tree = makePlainTree(folder("stopped"), [60 * MIB]);
  storage.delayMs = 200;
  const project = await world.makeProject("stopped", storage.connectionString);
  const { agent, agentId: ownId } = await world.registerAgent("coming back");
  const job = await world.makeJob(project, ownId, tree.root, {
    options: { concurrency: 1, chunkSizeMiB: 1 },
  });
  await goTo(job);
  await expect.poll(() => stepState("upload"), { timeout: 20_000 }).toBe("current");
  await agent.stop();
  await expect
    .poll(() => shown("agent-offline"), { timeout: 30_000 })
    .toMatch(/^Agent offline since .+ The job goes on/);
  expect(await shown("job-announcement")).toBe("Running. The agent is offline.");
  expect(await owner.getByTestId("job-speed").count()).toBe(0);
  await pictures("agent-away", "dark");
  world.runAgent("coming back", ["start"]);
  await expect.poll(() => see("agent-offline").count(), { timeout: 30_000 }).toBe(0);
  await expect.poll(() => shown("job-speed"), { timeout: 15_000 }).toMatch(/Mbps/);
  await see("cancel-job").click();
  await owner.getByText(/What is already at the destination stays there/).waitFor();
  await see("confirm-cancel").click();
  await expect.poll(() => shown("job-status"), { timeout: 10_000 }).toBe("Cancelled");
  expect(await stepState("upload")).toBe("stopped");
  await expect.poll(() => shown("job-announcement")).toBe("Cancelled.");
  await see("report").waitFor({ timeout: 20_000 });
  await pictures("cancelled");
  storage.delayMs = 0;
  await see("retry-job").click();
  await see("confirm-retry").click();
  await expect.poll(() => shown("job-status"), { timeout: 30_000 }).toBe("Completed");
  expect((await world.job(job.id)).epoch).toBe(2);
  expectNoComplaint();
}, 120_000);
