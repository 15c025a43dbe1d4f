/**
 * Every page there is, in a real browser over the real product, with an organization in which everything has happened once:
 * three sizes, both themes, what accessibility asks for, and pictures of all of it. A page of the router without a line in
 * {@link VISITS} does not pass the type check.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ROOT } from "../../tools/environment.ts";
import { ApiClient, type Person } from "../../tools/stack/api-client.ts";
import { launchBrowser } from "../../tools/stack/browser.ts";
import type { Role } from "../../schema/api.ts";
import { parsePath, pathOf, type Route, type SettingsPart } from "../../ui/models/router.ts";
import { mayAct, POLICIES } from "../../worker/auth/policy.ts";
import { runAxe } from "./axe.ts";
import { examinePage, watchFocus } from "./page-checks.ts";
import { PEOPLE, seedOrganization, type Seeded } from "./seed.ts";
import { World } from "./world.ts";

const PICTURES = join(ROOT, "test-results/pages");
const SIZES = [
  { name: "phone", width: 360, height: 780 },
  { name: "tablet", width: 820, height: 1_180 },
  { name: "desk", width: 1_440, height: 900 },
] as const;
const THEMES = ["dark", "light"] as const;
const LOAD_MS_MAX = 10_000;
const NOWHERE = "01m84fwy9a3czrhnfn7hrfty17";

const SETTINGS_PARTS: Readonly<Record<SettingsPart, true>> = {
  storage: true,
  members: true,
  sessions: true,
  codes: true,
  "api-keys": true,
  webhooks: true,
  audit: true,
};

type Visits = Readonly<Record<string, Route>>;
/** Of each page, what of it is looked at, by the name of its picture. */
const VISITS: { readonly [Name in Route["page"]]: (seeded: Seeded) => Visits } = {
  dashboard: () => ({ dashboard: { page: "dashboard" } }),
  clients: () => ({ clients: { page: "clients" } }),
  "client-new": () => ({ "client-new": { page: "client-new" } }),
  client: ({ clientIds: [first = "", , , fourth = ""] }) => ({
    client: { page: "client", id: first },
    "client-odd": { page: "client", id: fourth },
    "client-missing": { page: "client", id: `cli_${NOWHERE}` },
  }),
  "client-edit": ({ clientIds }) => ({ "client-edit": { page: "client-edit", id: clientIds[4] ?? "" } }),
  projects: () => ({ projects: { page: "projects" } }),
  "project-new": ({ clientIds }) => ({
    "project-new": { page: "project-new", clientId: clientIds[3] ?? null },
  }),
  project: ({ projectId, emptyProjectId }) => ({
    project: { page: "project", id: projectId },
    "project-empty": { page: "project", id: emptyProjectId },
  }),
  "project-edit": ({ emptyProjectId }) => ({ "project-edit": { page: "project-edit", id: emptyProjectId } }),
  jobs: () => ({
    jobs: { page: "jobs", state: "all" },
    "jobs-active": { page: "jobs", state: "active" },
    "jobs-ended": { page: "jobs", state: "final" },
  }),
  "job-new": ({ projectId }) => ({ "job-new": { page: "job-new", projectId } }),
  job: ({ jobIds }) =>
    Object.fromEntries(Object.entries(jobIds).map(([name, id]) => [`job-${name}`, { page: "job", id }])),
  "job-print": ({ jobIds }) => ({
    "job-print": { page: "job-print", id: jobIds.completed },
    "job-print-failures": { page: "job-print", id: jobIds.failures },
  }),
  agents: () => ({ agents: { page: "agents" } }),
  "agent-register": () => ({ "agent-register": { page: "agent-register" } }),
  agent: ({ agentId, offlineAgentId }) => ({
    agent: { page: "agent", id: agentId },
    "agent-offline": { page: "agent", id: offlineAgentId },
  }),
  reports: () => ({ reports: { page: "reports" } }),
  downloads: () => ({ downloads: { page: "downloads" } }),
  settings: () => ({ settings: { page: "settings" } }),
  "settings-part": () =>
    Object.fromEntries(
      (Object.keys(SETTINGS_PARTS) as SettingsPart[]).map((part) => [
        `settings-${part}`,
        { page: "settings-part", part },
      ]),
    ),
  "connection-new": () => ({ "connection-new": { page: "connection-new" } }),
  "connection-return": () => ({
    "connection-refused": { page: "connection-return", outcome: "azure", value: "access_denied" },
  }),
  "not-found": () => ({ "not-found": { page: "not-found", path: "/nowhere" } }),
};
const PAGES = Object.keys(VISITS) as Route["page"][];

/** The request that a page is there for, by which the policy says whom it is for; null = it only shows. */
const WRITES: Readonly<Record<Route["page"], string | null>> = {
  dashboard: null,
  clients: null,
  "client-new": "POST /api/clients",
  client: null,
  "client-edit": "PATCH /api/clients/:id",
  projects: null,
  "project-new": "POST /api/projects",
  project: null,
  "project-edit": "PATCH /api/projects/:id",
  jobs: null,
  "job-new": "POST /api/jobs",
  job: null,
  "job-print": null,
  agents: null,
  "agent-register": "POST /api/registration-codes",
  agent: null,
  reports: null,
  downloads: null,
  settings: null,
  "settings-part": null,
  "connection-new": "POST /api/storage-connections",
  "connection-return": null,
  "not-found": null,
};
/** What a part of the settings asks for before it shows anything. */
const READS: Readonly<Record<SettingsPart, string>> = {
  storage: "GET /api/storage-connections",
  members: "GET /api/members",
  sessions: "GET /api/sessions",
  codes: "GET /api/registration-codes",
  "api-keys": "GET /api/api-keys",
  webhooks: "GET /api/webhooks",
  audit: "GET /api/audit",
};

let world: World;
let seeded: Seeded;
let browser: Browser;
let owner: Page;
const complaints: string[] = [];

beforeAll(async () => {
  rmSync(PICTURES, { recursive: true, force: true });
  mkdirSync(PICTURES, { recursive: true });
  world = await World.start();
  seeded = await seedOrganization(world);
  browser = await launchBrowser();
  owner = await open();
});
afterAll(async () => {
  await browser?.close();
  await world?.stop();
});

beforeEach(() => void complaints.splice(0));

/** A browser of its own, signed in; what it complains about is kept. */
async function open(person: Person = {}): Promise<Page> {
  const context = await browser.newContext({ reducedMotion: "reduce", colorScheme: "dark" });
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(`${String(error)} (${page.url()})`));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`${message.text()} (${page.url()})`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`blocked by ${event.violatedDirective}: ${event.blockedURI}`),
    );
  });
  await page.goto(ApiClient.signInLink(world.controlPlane.url, world.devSecret, person));
  await page.waitForURL(`${world.controlPlane.url}/`);
  return page;
}

async function visit(page: Page, path: string): Promise<void> {
  await page.goto(world.controlPlane.url + path);
  await page.waitForFunction(
    () =>
      document.querySelector("h1") !== null &&
      document.querySelector('main [aria-busy="true"], .skeleton, .blank') === null,
    null,
    { timeout: LOAD_MS_MAX },
  );
}

test.for(PAGES)(
  "[U81] %s: three sizes, both themes, accessible, nothing cut and nothing blocked",
  async (name) => {
    const wrong: string[] = [];
    for (const [picture, route] of Object.entries(VISITS[name](seeded))) {
      const path = pathOf(route);
      expect(parsePath(path).page).toBe(name);
      await visit(owner, path);
      for (const { name: size, width, height } of SIZES) {
        // A tablet has the colours of the two others.
        for (const colorScheme of size === "tablet" ? (["dark"] as const) : THEMES) {
          const tell = (what: string) => wrong.push(`${picture}, ${size}, ${colorScheme}: ${what}`);
          await owner.setViewportSize({ width, height });
          await owner.emulateMedia({ colorScheme });
          if (colorScheme === "dark") (await owner.evaluate(examinePage, size)).forEach(tell);
          // As tall as the page, or bars that stay in place would cover what can be scrolled to.
          const tall = await owner.evaluate(() => document.documentElement.scrollHeight);
          await owner.setViewportSize({ width, height: Math.max(height, tall) });
          (await runAxe(owner, colorScheme === "dark" ? "all" : "colours")).forEach(tell);
          await owner.screenshot({ path: join(PICTURES, `${picture}-${size}-${colorScheme}.png`) });
        }
      }
      const [{ width, height }] = SIZES;
      await owner.setViewportSize({ width, height });
      for (const what of await pressTab(owner)) wrong.push(`${picture}, phone: ${what}`);
    }
    expect([...wrong, ...unexpected()]).toEqual([]);
  },
);

test.for(["viewer", "member"] as const)(
  "[U83] a %s finds no way to what it may not do, on any page, and no page asks for what it may not have",
  async (role) => {
    const page = await open(PEOPLE.find((person) => person.role === role));
    const wrong: string[] = [];
    let place = "";
    page.on("request", (request) => {
      const { pathname } = new URL(request.url());
      if (!pathname.startsWith("/api/")) return;
      const asked = `${request.method()} ${pathname}`;
      if (!isAllowed(asked, role)) wrong.push(`${place}: asks for ${asked}`);
    });
    for (const name of PAGES) {
      for (const [picture, route] of Object.entries(VISITS[name](seeded))) {
        place = picture;
        await visit(page, pathOf(route));
        for (const path of await linksOf(page)) {
          if (!isFor(parsePath(path), role)) wrong.push(`${place}: a link to ${path}`);
        }
        if (!isFor(route, role)) {
          const controls = await page.locator("main").locator("button, input, select, textarea").count();
          if (controls > 0) wrong.push(`${place}: ${controls} controls on a page that is not for a ${role}`);
        } else if (role === "viewer") {
          wrong.push(...(await pressButtons(page, place, pathOf(route))));
        }
      }
    }
    expect([...wrong, ...unexpected()]).toEqual([]);
    await page.context().close();
  },
);

test("[U84] by the keyboard alone a person signs in, makes a client and opens it", async () => {
  const context = await browser.newContext({ reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(world.controlPlane.url);
  await tabTo(page, /^Sign in$/);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/dev\/hub/);
  await page.keyboard.press("Tab");
  await page.keyboard.type(world.devSecret);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${world.controlPlane.url}/`);
  await page.getByRole("heading", { name: "Dashboard" }).waitFor();
  await tabTo(page, /^Clients$/);
  await page.keyboard.press("Enter");
  await tabTo(page, /New client/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "New client" }).waitFor();
  await tabTo(page, /^Name$/);
  await page.keyboard.type("Typed & Sons");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/clients\/cli_/);
  const address = page.url();
  await tabTo(page, /^Clients$/, "Shift+Tab");
  await page.keyboard.press("Enter");
  await tabTo(page, /^Typed & Sons/);
  await page.keyboard.press("Enter");
  await page.waitForURL(address);
  await page.getByRole("heading", { name: "Typed & Sons" }).waitFor();
  await context.close();
  expect(unexpected()).toEqual([]);
});

/** What browsers complained about since the last call, but for the answers to what was asked for on purpose. */
function unexpected(): string[] {
  // What is not there is answered with 404, which a browser notes as an error.
  return [...new Set(complaints.splice(0))].filter(
    (text) => !/\b404\b/.test(text) || !text.includes(NOWHERE),
  );
}

/** Whether the policy lets the role do what was asked, such as `GET /api/clients/cli_1`. */
function isAllowed(asked: string, role: Role): boolean {
  const patternOf = (route: string) => new RegExp(`^${route.replace(/:\w+/g, "[^/]+")}$`);
  // Fixed routes stand before those with an id in them.
  const routes = Object.keys(POLICIES).filter((route) => patternOf(route).test(asked));
  const policy = POLICIES[routes.find((route) => !route.includes(":")) ?? routes[0] ?? ""];
  if (policy === undefined || policy === "agent") return false;
  return policy === "public" || mayAct(role, policy);
}

function isFor(route: Route, role: Role): boolean {
  const needed = route.page === "settings-part" ? READS[route.part] : WRITES[route.page];
  return needed === null || isAllowed(needed, role);
}

async function linksOf(page: Page): Promise<string[]> {
  return await page
    .locator("main a[href]")
    .evaluateAll((links) =>
      (links as HTMLAnchorElement[])
        .filter((link) => link.origin === location.origin && !link.pathname.startsWith("/api/"))
        .map((link) => link.pathname + link.search),
    );
}

/** Presses each button there is; what it asks for is looked at by whoever watches the requests. No form may open. */
async function pressButtons(page: Page, place: string, path: string): Promise<string[]> {
  const wrong: string[] = [];
  const buttons = page.locator("main button:enabled");
  for (let index = 0; index < (await buttons.count()); index++) {
    const button = buttons.nth(index);
    const name = await button.innerText();
    await button.click();
    await page.waitForTimeout(30);
    if ((await page.locator("main form, dialog form").count()) > 0)
      wrong.push(`${place}: "${name}" opens a form`);
    const { pathname, search } = new URL(page.url());
    if ((await page.locator("dialog[open]").count()) > 0 || pathname + search !== path)
      await visit(page, path);
  }
  return wrong;
}

/** Presses Tab until what has the focus is called so. */
async function tabTo(page: Page, name: RegExp, key: "Tab" | "Shift+Tab" = "Tab"): Promise<void> {
  const seen: string[] = [];
  for (let step = 0; step < 80; step++) {
    await page.keyboard.press(key);
    const focused = await page.evaluate(() => {
      const one = document.activeElement as HTMLElement & { labels?: NodeListOf<HTMLElement> };
      return (one.labels?.[0]?.innerText ?? one.getAttribute("aria-label") ?? one.innerText).trim();
    });
    if (name.test(focused)) return;
    seen.push(focused);
  }
  throw new Error(`Cannot reach ${String(name)} with ${key}: ${seen.join(", ")}`);
}

/** Goes through the page by Tab: whatever takes the focus shows it, and is not hidden behind a bar. */
async function pressTab(page: Page): Promise<string[]> {
  const count = await page.evaluate(watchFocus);
  for (let step = 0; step < count; step++) await page.keyboard.press("Tab");
  return await page.evaluate(() => (globalThis as unknown as { focusFaults: string[] }).focusFaults);
}
