/**
 * The whole way in a real browser with real processes: sign in, code, agent, client, project, job, live progress, report.
 * Then the storage is read by Azure's own library and compared with the source. Once with the agent from source and once
 * with the compiled executable.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NODE, ROOT } from "../../tools/environment.ts";
import { launchBrowser } from "../../tools/stack/browser.ts";
import { ApiClient } from "../../tools/stack/api-client.ts";
import { waitFor } from "../../tools/stack/children.ts";
import { makeSourceTree } from "./source-tree.ts";
import { World } from "./world.ts";

const LARGE_BYTES = 200 * 1024 * 1024;
const SCREENSHOTS = join(ROOT, "test-results/screenshots");
const PHONE = { width: 360, height: 780 };
const DESK = { width: 1440, height: 900 };

let world: World;
let browser: Browser;
beforeAll(async () => {
  world = await World.start();
  browser = await launchBrowser();
  mkdirSync(SCREENSHOTS, { recursive: true });
});
afterAll(async () => {
  await browser?.close();
  await world?.stop();
});

describe.for([
  { kind: "from source", name: "source" },
  { kind: "compiled", name: "compiled" },
])("an agent $kind", ({ kind, name }) => {
  // Without a base for `deno compile` (DENORT_BIN, or the internet) there is no executable to test.
  const executable = kind === "compiled" ? buildExecutable() : null;
  const isMissing = kind === "compiled" && executable === null;

  test.skipIf(isMissing)(
    `[K9] a person migrates a folder in the browser, ${kind}${isMissing ? " (skipped: no base for deno compile)" : ""}`,
    async () => {
      const source = join(world.folder, `tree-${name}`);
      mkdirSync(source);
      const tree = makeSourceTree(source, { largeBytes: LARGE_BYTES });
      const container = `browser-${name}`;
      const page = await browser.newPage({ viewport: DESK, colorScheme: "dark" });
      const complaints = watchComplaints(page);
      const see = page.getByTestId.bind(page);

      // Each run is an organization of its own, so the set-up checklist is whole again.
      const person = { tenant: `tenant-${name}`, name: "Tess Technician", email: "tess@example.com" };
      await page.goto(ApiClient.signInLink(world.controlPlane.url, world.devSecret, person));
      await page.waitForURL(`${world.controlPlane.url}/`);
      await expectVisible(page, "setup");

      await page.goto(`${world.controlPlane.url}/agents/register`);
      await see("generate-code").click();
      const code = (await see("registration-code").textContent())?.trim() ?? "";
      expect(code).toMatch(/^[0-9A-Z]{4}-[0-9A-Z]{4}$/);
      const words = ["--register", code, "--url", world.controlPlane.url, "--name", `PC ${name}`];
      const agent = world.runAgent(`browser-${name}`, words, executable);
      await expectVisible(page, "agent-registered", 60_000);

      await page.goto(`${world.controlPlane.url}/clients`);
      await see("new-client").first().click();
      await see("client-name").fill("Acme Corp");
      await see("save-client").click();
      await page.waitForURL(/clients\/cli_/);

      await page.goto(`${world.controlPlane.url}/projects/new`);
      await see("connection-add").click();
      await see("connection-name").fill("Acme's storage");
      await see("connection-string").fill(world.connectionString);
      await see("save-connection").click();
      await see("connection-dialog").waitFor({ state: "detached" });
      await see("project-name").fill("Files to Azure");
      await see("project-client").selectOption({ label: "Acme Corp" });
      // Until the containers are listed it is not known whether there is one to choose.
      await page
        .locator('[data-testid="container-name"], [data-testid="container-select"]:enabled')
        .waitFor();
      if (await see("container-new").isVisible()) await see("container-new").click();
      await see("container-name").fill(container);
      await see("save-project").click();
      await page.waitForURL(/projects\/prj_/);

      await see("new-job").first().click();
      await see("job-name").fill("All files");
      await see("job-source").fill(source);
      await see("save-job").click();
      await page.waitForURL(/jobs\/job_/);
      const jobUrl = page.url();
      const moved = await watchPercent(page);
      await page.screenshot({ path: join(SCREENSHOTS, `job-${name}-desk.png`), fullPage: true });

      expect(moved.filter((percent) => percent > 0 && percent < 100).length).toBeGreaterThanOrEqual(2);
      expect(moved).toEqual(moved.toSorted((a, b) => a - b));
      await expectVisible(page, "report");
      const count = tree.expected.size;
      expect(await see("report-files").textContent()).toBe(String(count));
      expect(await see("report-failed").textContent()).toBe("1");
      expect(await see("report-verified").textContent()).toBe(String(count));
      expect(await see("failure").allTextContents()).toEqual([
        expect.stringContaining("private/unreadable.txt"),
      ]);

      const blobs = await world.downloadAll(container);
      expect(blobs).toEqual(tree.expected);
      expect(blobs.size).toBeGreaterThanOrEqual(300);
      expect(agent.exitCode).toBeNull();

      await page.setViewportSize(PHONE);
      for (const path of [
        "/",
        "/clients",
        "/projects",
        "/projects/new",
        "/jobs",
        "/jobs/new",
        "/agents",
        "/agents/register",
        "/settings",
        new URL(jobUrl).pathname,
      ]) {
        await page.goto(world.controlPlane.url + path);
        await page.waitForLoadState("networkidle");
        await page.screenshot({
          path: join(SCREENSHOTS, `phone${path.replaceAll("/", "-")}.png`.replace(/job_\w+/, "job")),
          fullPage: true,
        });
        expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(
          PHONE.width,
        );
      }
      expect(complaints).toEqual([]);
      await page.close();
    },
    240_000,
  );
});

async function expectVisible(page: Page, testId: string, limitMs = 20_000): Promise<void> {
  await page.getByTestId(testId).first().waitFor({ state: "visible", timeout: limitMs });
}

/** The distinct percentages a person sees until the report is there. */
async function watchPercent(page: Page): Promise<number[]> {
  const seen: number[] = [];
  await waitFor(
    "The report",
    async () => {
      const text = await page.getByTestId("job-percent").textContent();
      const percent = /^([\d.]+)\s*%/.exec(text ?? "")?.[1];
      if (percent !== undefined && Number(percent) !== seen.at(-1)) seen.push(Number(percent));
      return (await page.getByTestId("report").isVisible()) ? true : undefined;
    },
    { limitMs: 180_000, stepMs: 50 },
  );
  return seen;
}

/** What the browser complains about: scripts that failed, content it blocked. */
function watchComplaints(page: Page): string[] {
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  return complaints;
}

function buildExecutable(): string | null {
  try {
    execFileSync(NODE, [join(ROOT, "tools/build-agent.ts")], { stdio: "pipe", timeout: 180_000 });
  } catch (error) {
    // In CI the base is there, so a failure is one.
    if (process.env["DENORT_BIN"] !== undefined) throw error;
    return null;
  }
  const file = join(ROOT, "dist/agent/migrate-agent");
  chmodSync(file, 0o755);
  return file;
}
