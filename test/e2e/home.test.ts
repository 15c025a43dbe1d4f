/**
 * What stands around every page, and the first one, in a real browser over the real product: setting up, registering an
 * agent by the very line that is shown, the dashboard of an organization at work, search, notifications, downloads, a session
 * that ends, and what is typed and not saved.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { POLICY_FILE } from "../../agent/policy.ts";
import type { Overview } from "../../schema/api.ts";
import type { Notifications } from "../../schema/notifications.ts";
import { ROOT } from "../../tools/environment.ts";
import { makeKeys } from "../../tools/release-sign.ts";
import { ApiClient, type Person } from "../../tools/stack/api-client.ts";
import { launchBrowser } from "../../tools/stack/browser.ts";
import { AGENT_FILES } from "../../ui/views/agent-facts.ts";
import { runAxe } from "./axe.ts";
import { examinePage } from "./page-checks.ts";
import { seedOrganization, type Seeded } from "./seed.ts";
import { World } from "./world.ts";

const PICTURES = join(ROOT, "test-results/home");
const SIZES = [
  { name: "phone", width: 360, height: 780 },
  { name: "tablet", width: 820, height: 1_180 },
  { name: "desk", width: 1_440, height: 900 },
] as const;
const DESK = { width: 1_440, height: 900 };
const NEWCOMER = { tenant: "newcomer", name: "Nora Newcomer", email: "nora@msp.example" };
const VIEWER = { name: "Victor Viewer", email: "victor@example.com", role: "viewer" };

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
const heading = (page = owner) => page.locator("h1").first().textContent();

/** A browser of its own, signed in; what it complains about is kept. */
async function open(person: Person = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: DESK, colorScheme: "dark", reducedMotion: "reduce" });
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`${message.text()} (${page.url()})`);
  });
  await signIn(page, person);
  return page;
}

async function signIn(page: Page, person: Person = {}): Promise<void> {
  await page.goto(ApiClient.signInLink(world.controlPlane.url, world.devSecret, person));
  await page.waitForURL(`${world.controlPlane.url}/`);
}

/** What has the focus, by its id or its text. */
const focused = () =>
  owner.evaluate(() => document.activeElement?.id || document.activeElement?.textContent?.trim());

/** In the page: gives the focus to the field as soon as it is in the document, as the fastest of all people would. */
function focusOnSight(selector: string): void {
  const observer = new MutationObserver(() => {
    const field = document.querySelector<HTMLElement>(selector);
    if (field === null) return;
    observer.disconnect();
    field.focus();
  });
  observer.observe(document.body, { childList: true, subtree: true });
}

/** In the page: whatever is done after painting was done by then. */
async function threeFrames(): Promise<void> {
  for (let count = 0; count < 3; count++) await new Promise(requestAnimationFrame);
}

/** Publishes a release with a program for one kind of machine. */
async function publishLinux(): Promise<{ bytes: Buffer; sha256: string }> {
  const [executables, keys] = [join(world.folder, "built"), join(world.folder, "keys")];
  const bytes = randomBytes(3_000_000);
  mkdirSync(executables);
  writeFileSync(join(executables, "migrate-agent-x86_64-unknown-linux-gnu"), bytes);
  makeKeys(keys, Date.now());
  await world.publishRelease({ executables, keys, version: "9.8.7" });
  return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** At the end of each test: nothing was blocked, nothing failed that should not have. */
function expectNoComplaint(expected: RegExp | null = null): void {
  expect(complaints.splice(0).filter((text) => expected?.test(text) !== true)).toEqual([]);
}

/** The page as it stands, at each size in both themes: nothing too wide, nothing too small to hit, all of it accessible. */
async function pictures(name: string, page = owner): Promise<void> {
  const wrong: string[] = [];
  for (const { name: size, ...viewport } of SIZES) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(PICTURES, `${name}-${size}-${colorScheme}.png`), fullPage: true });
      // A size changes what stands where, a theme nothing but colours.
      if (colorScheme === "light" && size !== "desk") continue;
      wrong.push(
        ...(await runAxe(page, "all_but_targets")).map((what) => `${name}, ${size}, ${colorScheme}: ${what}`),
      );
    }
    const faults = await page.evaluate(examinePage, size);
    // A dialog stands before the page, in which nothing else can be read meanwhile.
    const isDialog = (await page.locator("dialog[open]").count()) > 0;
    const real = faults.filter((what) => !isDialog || !what.startsWith("h2 after h0"));
    wrong.push(...real.map((what) => `${name}, ${size}: ${what}`));
  }
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize(DESK);
  expect(wrong).toEqual([]);
}

test("[U24] a new organization is led through the set-up, and a viewer is told who does it", async () => {
  const newcomer = await open(NEWCOMER);
  await see("setup", newcomer).getByText("1 of 5 done").waitFor();
  await see("setup", newcomer).getByText("newcomer").waitFor();
  await see("active-jobs", newcomer).getByText("Finish the set-up above").waitFor();
  await pictures("set-up", newcomer);
  await see("notifications", newcomer).click();
  await newcomer.getByText("Nothing needs you now").waitFor();
  await pictures("notifications-none", newcomer);
  await newcomer.context().close();
  const viewer = await open({ ...VIEWER, tenant: "newcomer" });
  await see("setup-agent", viewer).getByText("An admin does this").waitFor();
  expect(await see("setup", viewer).locator("a").count()).toBe(0);
  await viewer.context().close();
  expectNoComplaint();
});

test("[U76] the line that is shown registers an agent, which appears, and keeps the files it is said to keep", async () => {
  await go("/agents/register");
  await see("generate-code").click();
  const code = (await see("registration-code").textContent())?.trim() ?? "";
  await see("copy-code").waitFor();
  await see("code-countdown").waitFor();
  await pictures("register");
  await see("system-linux").click();
  const shown = (await see("command-try").textContent())?.trim() ?? "";
  expect(shown).toContain(code);
  const words = shown.split("\n").at(-1)?.split(" ").slice(1) ?? [];
  world.runAgent("shown-line", [...words, "--name", "From the shown line"]);
  await see("agent-registered").getByText("From the shown line").waitFor({ timeout: 60_000 });
  for (const { name } of AGENT_FILES.filter((file) => file.name.includes(".") && file.name !== POLICY_FILE))
    expect(existsSync(join(world.folder, "shown-line", name)), name).toBe(true);
  expect(AGENT_FILES.map(({ name }) => name)).toContain(POLICY_FILE);
  expectNoComplaint();
});

test("[U75] the dashboard shows what runs first, on a phone too, then what was moved today, in a week, in all", async () => {
  await go("/");
  await see("totals").waitFor();
  const overview = await world.api.get<Overview>("/api/overview");
  expect(overview.today.files).toBeGreaterThanOrEqual(12);
  expect(overview.today).toEqual(overview.week);
  expect(await see("today-failed").textContent()).toBe("1");
  expect(await see("total-completed").textContent()).toBe(String(overview.jobs.completed));
  await owner.locator(`.active-job[data-id="${seeded.jobIds.running}"]`).getByText(/Mbps/).waitFor();
  await pictures("dashboard");
  await owner.setViewportSize({ width: 360, height: 780 });
  const top = async (testId: string) => (await see(testId).boundingBox())?.y ?? 0;
  expect(await top("active-jobs")).toBeLessThan(200);
  expect(await top("active-jobs")).toBeLessThan(await top("totals"));
  await owner.setViewportSize(DESK);
  expectNoComplaint();
});

test("[U73] search opens by its keys, finds by name, and opens what is chosen", async () => {
  await go("/projects");
  await expect.poll(() => heading()).toBe("Projects");
  await owner.keyboard.press("/");
  await see("search-text").fill("home");
  await see("search-job").getByText("Home folders").waitFor();
  await owner.keyboard.press("Escape");
  await see("search").waitFor({ state: "detached" });
  await owner.keyboard.press("Control+k");
  await see("search-text").fill("o");
  await owner.locator("#search-hits [role=option]").nth(6).waitFor();
  await pictures("search");
  const chosen = () => owner.locator(".search-hit-chosen .search-name").textContent();
  const first = await chosen();
  await owner.keyboard.press("ArrowDown");
  expect(await chosen()).not.toBe(first);
  await owner.keyboard.press("ArrowUp");
  await see("search-text").fill("home folders");
  await see("search-client").waitFor({ state: "detached" });
  await owner.keyboard.press("Enter");
  await owner.waitForURL(/\/jobs\/job_/);
  await see("search").waitFor({ state: "detached" });
  await expect.poll(() => heading()).toBe("Home folders");

  await see("search-open").click();
  await see("search-text").fill("nobody is called so");
  await owner.getByText("Nothing is called that").waitFor();
  await owner.getByRole("button", { name: "Close" }).click();
  await expect
    .poll(() => owner.evaluate(() => document.activeElement?.getAttribute("data-testid")))
    .toBe("search-open");
  // In a field the stroke is a letter.
  await go("/clients/new");
  await see("client-name").fill("a");
  await owner.keyboard.press("/");
  expect(await see("client-name").inputValue()).toBe("a/");
  await see("client-name").fill("");
  expectNoComplaint();
});

test("[U86] a page that opens has the focus at its name, and takes it from no field that has it by then", async () => {
  await go("/clients");
  for (const _ of ["its code is fetched", "its code is there"]) {
    await see("new-client").click();
    await expect.poll(() => focused()).toBe("New client");
    await owner.goBack();
    await see("new-client").waitFor();
  }
  await go("/clients");
  for (const _ of ["its code is fetched", "its code is there"]) {
    await owner.evaluate(focusOnSight, "#field-name");
    await see("new-client").click();
    await see("client-name").waitFor();
    await owner.evaluate(threeFrames);
    expect(await focused()).toBe("field-name");
    await owner.goBack();
    await see("new-client").waitFor();
  }
  expectNoComplaint();
});

test("[U74] the bell counts what needs a person, each with its link and next step, and hears of more at once", async () => {
  await go("/");
  const { items } = await world.api.get<Notifications>("/api/notifications");
  expect(items.map(({ kind }) => kind)).toEqual(["agent", "job_failed"]);
  await expect.poll(() => see("notifications-badge").textContent()).toBe("2");
  await see("notifications").click();
  await pictures("notifications");
  await see("notification-job_failed").click();
  await owner.waitForURL(`**/jobs/${seeded.jobIds.failed}`);
  expect(await see("notifications-list").isVisible()).toBe(false);

  const viewer = await open(VIEWER);
  await see("notifications", viewer).click();
  expect(await see("notification-job_failed", viewer).textContent()).not.toContain("retry");
  await viewer.keyboard.press("Escape");
  expect(await see("notifications-list", viewer).isVisible()).toBe(false);
  await viewer.context().close();

  await go("/");
  await see("active-jobs").waitFor();
  const project = await world.api.get<Parameters<World["makeJob"]>[0]>(`/api/projects/${seeded.projectId}`);
  const { id } = await world.makeJob(project, seeded.agentId, join(world.folder, "nowhere either"), {
    destination: { prefix: "elsewhere" },
  });
  await world.finalJob(id);
  await expect.poll(() => see("notifications-badge").textContent(), { timeout: 15_000 }).toBe("3");
  expectNoComplaint();
});

test("[U77] the downloads page says what there is, and what a firewall has to let through", async () => {
  await go("/downloads");
  await see("no-download").getByText("no finished download").waitFor();
  await see("hosts").getByText(new URL(world.controlPlane.url).port).waitFor();
  expect(await see("hosts").locator("dt").count()).toBe(2);
  await pictures("downloads");
  await see("system-linux").click();
  await see("facts-linux").getByText("sha256sum ./migrate-agent").waitFor();
  await pictures("downloads-linux");
  const { bytes, sha256 } = await publishLinux();
  await owner.reload();
  await see("system-linux").click();
  await see("release-version").getByText("9.8.7").waitFor();
  await see("facts-linux").getByText(sha256).waitFor();
  // That of the other machine is not in the release.
  await see("no-download").getByText("does not have every program").waitFor();
  await pictures("downloads-release");
  const taking = owner.waitForEvent("download");
  await see("take-x86_64-unknown-linux-gnu").click();
  const download = await taking;
  expect(download.suggestedFilename()).toBe("migrate-agent");
  expect(readFileSync(await download.path()).equals(bytes)).toBe(true);
  expectNoComplaint();
});

test("[U79] what is typed is not lost by a link, by going back, or by closing, unless it is said so", async () => {
  await go("/clients");
  await see("new-client").first().click();
  await see("client-name").fill("Not saved yet");
  await owner.getByRole("link", { name: "Projects" }).click();
  await see("leave").waitFor();
  await pictures("leave");
  await see("leave-stay").click();
  expect(await see("client-name").inputValue()).toBe("Not saved yet");
  const asked: string[] = [];
  owner.once("dialog", (dialog) => {
    asked.push(dialog.type());
    void dialog.dismiss();
  });
  await owner.evaluate(() => setTimeout(() => location.reload(), 0));
  await expect.poll(() => asked).toEqual(["beforeunload"]);
  await owner.goBack();
  await see("leave").waitFor();
  expect(owner.url()).toMatch(/\/clients\/new$/);
  expect(await see("client-name").inputValue()).toBe("Not saved yet");
  await see("leave-discard").click();
  await expect.poll(() => heading()).toBe("Clients");
  expect(owner.url()).toMatch(/\/clients$/);
  // Saved, nobody is asked.
  await see("new-client").first().click();
  await see("client-name").fill("Saved");
  await see("save-client").click();
  await expect.poll(() => heading()).toBe("Saved");
  await owner.getByRole("link", { name: "Projects" }).click();
  await expect.poll(() => heading()).toBe("Projects");
  // What is chosen with a button counts like what is typed; looking at a form does not.
  await go("/projects/new");
  await see("schedule-add").waitFor();
  await owner.getByRole("link", { name: "Clients" }).click();
  await expect.poll(() => heading()).toBe("Clients");
  await go("/projects/new");
  await see("schedule-add").click();
  await see("window-add").waitFor();
  await owner.getByRole("link", { name: "Clients" }).click();
  await see("leave-discard").click();
  await expect.poll(() => heading()).toBe("Clients");
  expectNoComplaint();
});

test("[U78] a session that ends takes nothing along: what is typed stays, and signing in leads back to the same page", async () => {
  const context: BrowserContext = owner.context();
  await go("/clients/new");
  await see("client-name").fill("Typed before the session ended");
  await world.api.post("/api/sessions/revoke-others");
  // Not by the mouse: the live socket may have told the page first, and what it says covers the button.
  await see("save-client").dispatchEvent("click");
  await see("session-over").waitFor();
  await pictures("session-over");
  await see("signed-in-again").click();
  await see("session-over").getByText("Nobody is signed in yet").waitFor();
  const [tab] = await Promise.all([context.waitForEvent("page"), see("sign-in-again").click()]);
  await tab.getByRole("button", { name: "Sign in" }).click();
  await tab.waitForURL(`${world.controlPlane.url}/`);
  await tab.close();
  await see("signed-in-again").click();
  await see("session-over").waitFor({ state: "detached" });
  expect(await see("client-name").inputValue()).toBe("Typed before the session ended");
  await see("save-client").click();
  await expect.poll(() => heading()).toBe("Typed before the session ended");

  await go("/jobs?state=final");
  await expect.poll(() => heading()).toBe("Jobs");
  // The live socket is told.
  await world.api.post("/api/sessions/revoke-others");
  await owner.getByText("Your session has ended").waitFor();
  await pictures("signed-out");
  await see("sign-in").click();
  await owner.getByRole("button", { name: "Sign in" }).click();
  await expect.poll(() => heading()).toBe("Jobs");
  expect(owner.url()).toMatch(/\/jobs\?state=final$/);
  // Each session that ended is told so by a 401, which a browser notes as an error.
  expectNoComplaint(/\b401\b/);
});
