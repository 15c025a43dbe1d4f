/** The lists in a real browser over the real product: found, filtered, sorted, with all of it in the address; and the roll-ups. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Client, Page as ListPage } from "../../schema/api.ts";
import { ROOT } from "../../tools/environment.ts";
import { ApiClient, type Person } from "../../tools/stack/api-client.ts";
import { launchBrowser } from "../../tools/stack/browser.ts";
import { runAxe } from "./axe.ts";
import { examinePage } from "./page-checks.ts";
import { seedOrganization, type Seeded } from "./seed.ts";
import { World } from "./world.ts";

const PICTURES = join(ROOT, "test-results/lists");
const SIZES = [
  { name: "phone", width: 360, height: 780 },
  { name: "tablet", width: 820, height: 1_180 },
  { name: "desk", width: 1_440, height: 900 },
] as const;
const DESK = { width: 1_440, height: 900 };

let world: World;
let seeded: Seeded;
let browser: Browser;
let owner: Page;
const complaints: string[] = [];

beforeAll(async () => {
  mkdirSync(PICTURES, { recursive: true });
  world = await World.start();
  [browser, seeded] = await Promise.all([launchBrowser(), seedOrganization(world)]);
  owner = await open();
});
afterAll(async () => {
  await browser?.close();
  await world?.stop();
});

const see = (testId: string, page = owner) => page.getByTestId(testId);
const go = (path: string, page = owner) => page.goto(world.controlPlane.url + path);
const address = (page = owner) => new URL(page.url()).pathname + new URL(page.url()).search;
const names = async (list: string, page = owner) =>
  (await see(list, page).locator("tbody .row-link").allTextContents()).map((name) => name.trim());

const ids = async (list: string) =>
  await see(list)
    .locator("tbody tr")
    .evaluateAll((rows) => rows.map((row) => row.getAttribute("data-id")));

async function open(person: Person = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: DESK, colorScheme: "dark", reducedMotion: "reduce" });
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`${message.text()} (${page.url()})`);
  });
  await page.goto(ApiClient.signInLink(world.controlPlane.url, world.devSecret, person));
  await page.waitForURL(`${world.controlPlane.url}/`);
  return page;
}

async function pictures(name: string): Promise<void> {
  const wrong: string[] = [];
  for (const { name: size, ...viewport } of SIZES) {
    await owner.setViewportSize(viewport);
    for (const colorScheme of ["dark", "light"] as const) {
      await owner.emulateMedia({ colorScheme });
      await owner.screenshot({ path: join(PICTURES, `${name}-${size}-${colorScheme}.png`) });
    }
    const faults = await owner.evaluate(examinePage, size);
    wrong.push(...faults.map((fault) => `${name} at ${size}: ${fault}`));
    if (size === "desk") wrong.push(...(await runAxe(owner, "all_but_targets")));
  }
  await owner.setViewportSize(DESK);
  expect(wrong).toEqual([]);
  expect(complaints.splice(0)).toEqual([]);
}

test("[U60] a list that is searched and filtered stands in the address, survives a reload, and says what to loosen", async () => {
  await go("/clients");
  await see("clients").waitFor();
  const all = await names("clients");
  await see("list-search").pressSequentially("rocket");
  await expect.poll(() => names("clients")).toHaveLength(1);
  expect(address()).toBe("/clients?q=rocket");
  // Who types goes on typing.
  expect(await see("list-search").evaluate((field) => field === document.activeElement)).toBe(true);
  await owner.reload();
  await see("clients").waitFor();
  expect(await names("clients")).toHaveLength(1);
  expect(await see("list-search").inputValue()).toBe("rocket");
  await see("list-search").press("Escape");
  await expect.poll(() => names("clients")).toEqual(all);
  expect(address()).toBe("/clients");

  await see("list-search").fill("nobody is called so");
  await owner.getByText("No clients match “nobody is called so”").waitFor();
  await pictures("nothing-found");
  await see("clear-list").click();
  await expect.poll(() => names("clients")).toEqual(all);

  await see("list-filter").selectOption("archived");
  await expect.poll(() => address()).toBe("/clients?status=archived");
  await owner.goBack();
  expect(new URL(owner.url()).pathname).not.toBe("/clients");
});

test("[U61] a head that is pressed sorts the list by the server, and a phone has the same in a field", async () => {
  await go("/clients");
  await see("clients").waitFor();
  const head = owner.getByRole("columnheader", { name: "Client", exact: true });
  await see("sort-name").click();
  await expect.poll(() => head.getAttribute("aria-sort")).toBe("ascending");
  const sorted = await world.api.get<ListPage<Client>>("/api/clients?sort=name&order=ascending");
  const rising = sorted.items.map(({ id }) => id);
  await expect.poll(() => ids("clients")).toEqual(rising);
  await see("sort-name").click();
  await expect.poll(() => ids("clients")).toEqual(rising.toReversed());
  expect(address()).toBe("/clients?sort=name&order=descending");
  await pictures("clients");
  await owner.setViewportSize({ width: 360, height: 780 });
  await see("list-sort").selectOption("name");
  await expect.poll(() => ids("clients")).toEqual(rising);
  await owner.setViewportSize(DESK);
});

test("[U60] jobs by their state, agents by theirs, projects by name: each address opens the same again", async () => {
  await go("/jobs");
  await see("jobs").waitFor();
  await pictures("jobs");
  await see("jobs-failed").click();
  await expect.poll(() => address()).toBe("/jobs?status=failed");
  await expect.poll(() => see("jobs").locator("tbody tr").count()).toBe(1);
  expect(await see("jobs").locator("tbody tr").getAttribute("data-id")).toBe(seeded.jobIds.failed);
  await go("/agents?status=offline");
  await see("agents").waitFor();
  await expect.poll(() => see("agents").locator("tbody tr").count()).toBe(1);
  expect(await see("agents").locator("tbody tr").getAttribute("data-id")).toBe(seeded.offlineAgentId);
  await pictures("agents");
  await go("/projects?sort=name");
  await see("projects").waitFor();
  await pictures("projects");
});

test("[U62] finished jobs have their reports on one page, what ended last first, reached on a phone under More", async () => {
  await owner.setViewportSize({ width: 360, height: 780 });
  await go("/");
  await see("more-places").click();
  await owner.getByRole("link", { name: "Reports" }).filter({ visible: true }).click();
  await see("reports").waitFor();
  await owner.setViewportSize(DESK);
  const { jobIds } = seeded;
  const ended = [jobIds.completed, jobIds.failures, jobIds.failed, jobIds.cancelled];
  const shown = await see("reports")
    .locator("tbody tr")
    .evaluateAll((rows) => rows.map((row) => row.getAttribute("data-id")));
  expect(new Set(shown)).toEqual(new Set(ended));
  await pictures("reports");
  await see("list-filter").selectOption("failed");
  await expect.poll(() => see("reports").locator("tbody tr").count()).toBe(1);
  await see("reports").locator(".row-link").first().click();
  await expect.poll(() => address()).toBe(`/jobs/${jobIds.failed}/report`);
});

test("[U63] a client and a project say what they have moved; what is destroyed is said first, and only what is empty can go", async () => {
  await go(`/clients/${seeded.clientIds[0]}`);
  await see("usage").waitFor();
  expect(await see("usage-files").textContent()).toBe("12");
  expect(await see("delete-client").count()).toBe(0);
  await pictures("client");
  const [download] = await Promise.all([owner.waitForEvent("download"), see("report-csv").click()]);
  expect(download.suggestedFilename()).toMatch(/\.csv$/);
  await go(`/projects/${seeded.projectId}`);
  await see("usage").waitFor();
  await pictures("project");

  const { id } = await world.api.post<{ id: string }>("/api/clients", { name: "To go" });
  await go(`/clients/${id}`);
  await see("delete-client").click();
  await see("typed-name").fill("to go");
  expect(await see("confirm-delete-client").isDisabled()).toBe(true);
  await see("typed-name").fill("To go");
  await see("confirm-delete-client").click();
  await see("clients").waitFor();
  expect(await names("clients")).not.toContain("To go");

  await go(`/projects/${seeded.emptyProjectId}`);
  await see("cancel-project").click();
  await see("confirm-cancel-project").click();
  await see("reopen-project").click();
  await see("cancel-project").waitFor();
  const viewer = await open({ name: "Victor Viewer", email: "victor@example.com", role: "viewer" });
  await go(`/projects/${seeded.emptyProjectId}`, viewer);
  await viewer.getByText("No jobs yet").waitFor();
  expect(await viewer.locator(".page-actions button, .page-actions a").count()).toBe(0);
  await viewer.context().close();
  expect(complaints.splice(0)).toEqual([]);
});
