/**
 * The settings in a real browser against the real Worker: each page at three sizes in both themes, and what a person does
 * there: keys, webhooks, sessions, storage by signing in with Microsoft (its emulator), agents to approve, and the log of it.
 */
import { createHmac, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runAxe } from "./axe.ts";
import type { RegistrationCodeMade } from "../../schema/api.ts";
import { startMicrosoft, type MicrosoftEmulator } from "../../tools/emulators/microsoft.ts";
import { ROOT } from "../../tools/environment.ts";
import { ApiClient, type Person } from "../../tools/stack/api-client.ts";
import { startAzurite } from "../../tools/stack/azurite.ts";
import { launchBrowser } from "../../tools/stack/browser.ts";
import { waitFor } from "../../tools/stack/children.ts";
import { startControlPlane, type ControlPlane } from "../../tools/stack/control-plane.ts";
import { findPort } from "../../tools/stack/ports.ts";

const SCREENSHOTS = join(ROOT, "test-results/settings");
const SIZES = [
  { name: "phone", width: 360, height: 780 },
  { name: "tablet", width: 820, height: 1_180 },
  { name: "desk", width: 1_440, height: 900 },
] as const;
const OWNER = { tenant: "settings", name: "Olivia Owner", email: "olivia@msp.example" };
const VIEWER = { tenant: "settings", name: "Victor Viewer", email: "victor@msp.example", role: "viewer" };
const FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0";

let folder: string;
let plane: ControlPlane;
let microsoft: MicrosoftEmulator;
let devSecret: string;
let browser: Browser;
let api: ApiClient;
let owner: Page;
const complaints: string[] = [];
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "migrate-settings-"));
  mkdirSync(SCREENSHOTS, { recursive: true });
  const azurite = await startAzurite({ dataDir: join(folder, "azurite") });
  stops.push(() => azurite.stop());
  microsoft = await startMicrosoft({ storage: async () => new URL(azurite.blobEndpoint).origin });
  stops.push(() => microsoft.stop());
  const secret = () => randomBytes(32).toString("hex");
  devSecret = secret();
  plane = await startControlPlane({
    dataDir: join(folder, "control-plane"),
    port: await findPort(),
    secrets: {
      PORTAL_SSO_SECRET: secret(),
      CODE_PEPPER: secret(),
      SECRETS_KEYS: `k1:${randomBytes(32).toString("base64")}`,
      DEV_HUB_SECRET: devSecret,
      ...microsoft.variables,
    },
  });
  stops.push(() => plane.stop());
  browser = await launchBrowser();
  stops.push(() => browser.close());
  api = new ApiClient(plane.url);
  await api.signIn(devSecret, OWNER);
  await api.post("/api/clients", { name: "Acme Corp" });
  await api.post("/api/registration-codes", { label: "Head office" });
  owner = await open(OWNER);
});
afterAll(async () => {
  for (const stop of stops.toReversed()) await stop();
  rmSync(folder, { recursive: true, force: true });
});

const see = (testId: string, page = owner) => page.getByTestId(testId);
const go = (path: string, page = owner) => page.goto(plane.url + path);
const button = (name: string | RegExp) => owner.getByRole("button", { name });

/** A browser of its own, signed in; what it complains about is kept. */
async function open(person: Person, context: Parameters<Browser["newContext"]>[0] = {}): Promise<Page> {
  const own: BrowserContext = await browser.newContext({
    viewport: { width: 1_440, height: 900 },
    colorScheme: "dark",
    // Else a picture may show a colour on its way to another.
    reducedMotion: "reduce",
    ...context,
  });
  const page = await own.newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`${message.text()} (${page.url()})`);
  });
  await page.goto(ApiClient.signInLink(plane.url, devSecret, person));
  await page.waitForURL(`${plane.url}/`);
  return page;
}

async function toast(text: RegExp): Promise<void> {
  await see("toast").filter({ hasText: text }).first().waitFor();
}

/** Where the focus is, as the page's own words; nothing when it is lost. */
const focused = () =>
  owner.evaluate(() =>
    document.activeElement === document.body ? "" : (document.activeElement?.textContent ?? ""),
  );

/** At the end of each test: nothing was blocked, nothing failed that should not have. */
function expectNoComplaint(expected: RegExp | null = null): void {
  expect(complaints.splice(0).filter((text) => expected?.test(text) !== true)).toEqual([]);
}

test("[U33] a viewer is shown what everybody may see and no way to what only admins may", async () => {
  const viewer = await open(VIEWER);
  const links = async (page: Page) => {
    await go("/settings", page);
    await see("settings-sections", page).waitFor();
    return (await page.locator(".section strong").allTextContents()).length;
  };
  expect(await links(owner)).toBe(7);
  expect(await links(viewer)).toBe(3);
  for (const part of ["codes", "api-keys", "webhooks", "audit"]) {
    await go(`/settings/${part}`, viewer);
    await see("admins-only", viewer).waitFor();
  }
  await go("/settings/storage", viewer);
  await viewer.getByText("An admin or the owner adds it").waitFor();
  expect(await see("connection-add", viewer).count()).toBe(0);
  await go("/settings/members", viewer);
  await see("members", viewer).getByText("olivia@msp.example").waitFor();
  expect(await viewer.locator("main button").count()).toBe(0);
  await viewer.context().close();
  expectNoComplaint();
});

test("[U36] an API key is shown once, works, is seen to be used, and is refused once revoked", async () => {
  await go("/settings/api-keys");
  await see("new-api-key").click();
  await see("save-api-key").click();
  await owner.getByText("Give a name").waitFor();
  await owner.locator("#field-name:focus").waitFor();
  await owner.keyboard.press("Escape");
  await see("api-key-dialog").waitFor({ state: "detached" });
  await expect.poll(focused).toBe("New key");
  await owner.keyboard.press("Enter");
  await see("api-key-name").fill("Ticket sync");
  await see("api-key-role-viewer").check();
  await see("save-api-key").click();
  const key = (await see("api-key").textContent())?.trim() ?? "";
  expect(key.length).toBeGreaterThan(40);
  await expect.poll(focused).toBe('Key "Ticket sync" is made');
  await owner.screenshot({ path: join(SCREENSHOTS, "api-key-shown-desk-dark.png") });
  await see("kept-api-key").click();
  await see("api-key").waitFor({ state: "detached" });
  expect(await owner.content()).not.toContain(key);

  const ask = (path: string, method = "GET") =>
    fetch(plane.url + path, { method, headers: { authorization: `Bearer ${key}` } });
  expect((await ask("/api/clients")).status).toBe(200);
  expect((await ask("/api/clients", "POST")).status).toBe(403);
  await owner.reload();
  await waitFor(
    "The key's use",
    async () => {
      await owner.reload();
      await see("api-key-used").waitFor();
      return (await see("api-key-used").textContent()) === "Never" ? undefined : true;
    },
    { limitMs: 20_000 },
  );
  await see("revoke-api-key").click();
  await see("confirm-revoke-api-key").click();
  await toast(/revoked/);
  await expect.poll(() => see("api-key-status").textContent()).toBe("Revoked");
  await expect.poll(focused).toBe("API keys");
  expect((await ask("/api/clients")).status).toBe(401);
  expectNoComplaint();
});

test("[U37] a webhook's secret is shown once, its test arrives signed with it, and a refused one says why", async () => {
  const receiver = await startReceiver();
  await go("/settings/webhooks");
  await see("new-webhook").click();
  await see("webhook-url").fill("http://10.0.0.1/hook");
  await see("save-webhook").click();
  await owner.getByText("Only https addresses are called").waitFor();
  await see("webhook-url").fill(`${receiver.url}/hook`);
  await see("event-job.started").uncheck();
  await see("save-webhook").click();
  const secret = (await see("webhook-secret").textContent())?.trim() ?? "";
  expect(secret).toMatch(/^whsec_/);
  await see("kept-webhook-secret").click();
  await see("test-webhook").click();
  await owner.getByText(/Test delivered in/).waitFor();
  const [delivery] = receiver.heard;
  expect(JSON.parse(delivery?.body ?? "")).toMatchObject({ type: "webhook.test" });
  const {
    "webhook-id": id,
    "webhook-timestamp": time,
    "webhook-signature": signature,
  } = delivery?.headers ?? {};
  const made = createHmac("sha256", Buffer.from(secret.slice("whsec_".length), "base64"))
    .update(`${String(id)}.${String(time)}.${delivery?.body}`)
    .digest("base64");
  expect(signature).toBe(`v1,${made}`);

  receiver.status = 500;
  await see("test-webhook").click();
  await owner.getByText(/Test not delivered: .*500/).waitFor();
  await pictures("webhooks-tested", null);
  await see("delete-webhook").click();
  await see("confirm-delete-webhook").click();
  await owner.getByText("No webhooks yet").waitFor();
  // The refused address is an answer of 400, which a browser notes as an error.
  expectNoComplaint(/\b400\b/);
});

test("[U35] a session is ended from another browser, which is signed out at once; then all the others", async () => {
  const other = await open(OWNER, { userAgent: FIREFOX });
  await go("/clients", other);
  await go("/settings/sessions");
  const row = see("sessions").locator("tr", { hasText: "Firefox on Windows" });
  await row.waitFor();
  expect(await see("session-current").count()).toBe(1);
  await row.getByTestId("revoke-session").click();
  await see("confirm-revoke-session").click();
  await toast(/Signed out there/);
  await row.waitFor({ state: "detached" });
  await other.getByRole("link", { name: "Projects" }).click();
  await other.getByRole("link", { name: /Sign in/ }).waitFor();
  await see("sessions-everybody").click();
  await see("sessions").getByText("Victor Viewer").waitFor();
  await see("revoke-others").click();
  await see("confirm-revoke-others").click();
  await toast(/Signed out of/);
  await see("sessions-mine").click();
  await expect.poll(() => see("sessions").locator("tbody tr").count()).toBe(1);
  await other.context().close();
  // The one that was ended is told so by a 401, which a browser notes as an error.
  expectNoComplaint(/\b401\b/);
  await api.signIn(devSecret, OWNER);
});

test("[U34] storage is connected by signing in with Microsoft: chosen from lists, or typed where listing is refused", async () => {
  await go("/settings/storage/new");
  await signInAs("olivia");
  await see("consent-subscription").selectOption({ label: "Subscription 1" });
  await see("consent-account").selectOption({ label: "devstoreaccount1 (westeurope)" });
  await see("consent-containers").waitFor();
  expect(await see("consent-name").inputValue()).toBe("devstoreaccount1");
  await pictures("consent", null);
  await see("consent-name").fill("Contoso's storage");
  await see("save-consent").click();
  await owner.waitForURL(/\/settings\/storage$/);
  await see("connections").getByText("Contoso's storage").waitFor();
  expect(await see("connection-state").allTextContents()).toEqual(["Active"]);

  // So short that Microsoft is asked again whenever the connection is used.
  microsoft.tokenSeconds = 200;
  await go("/settings/storage/new");
  await signInAs("bob");
  await see("consent-note").waitFor();
  expect(await see("consent-note").textContent()).toMatch(/Reader.*type the account's name/);
  await pictures("consent-typed", null);
  await see("consent-account-name").fill("devstoreaccount1");
  await see("look-inside").click();
  await see("consent-containers").waitFor();
  await see("consent-name").fill("Typed by Bob");
  await see("save-consent").click();
  await see("connections").getByText("Typed by Bob").waitFor();

  // Somebody who may see accounts and use none.
  await go("/settings/storage/new");
  await signInAs("rita");
  await see("account-typed").check();
  await see("consent-account-name").fill("devstoreaccount1");
  await see("consent-name").fill("Not allowed");
  await see("save-consent").click();
  await owner.locator("#field-account-note.field-error").waitFor();

  await go("/settings/storage/new");
  await see("sign-in-microsoft").click();
  // Our own form has a button of that name as well.
  await owner.waitForURL(/oauth2/);
  await button("Cancel").click();
  await see("consent-fault").waitFor();
  expect(await see("consent-fault").textContent()).toMatch(/cancelled/);
  await go("/settings?consent=oas_00000000000000000000000000");
  await owner.getByText("This sign-in is over").waitFor();
  // Refused forms and lapsed consents are answers of 400 and 404, which a browser notes as errors.
  expectNoComplaint(/\b(400|404)\b/);
});

test("[U34] a connection that Microsoft refuses says so, and works again after another sign-in", async () => {
  microsoft.revoke("bob");
  const connections = await api.list<{ id: string; name: string }>("/api/storage-connections");
  const { id } = connections.find(({ name }) => name === "Typed by Bob") ?? { id: "" };
  await api.get(`/api/storage-connections/${id}/containers`).catch(() => undefined);
  await go("/settings/storage");
  const row = see("connections").locator("tr", { hasText: "Typed by Bob" });
  await row.getByText("Needs reconnecting").waitFor();
  await pictures("storage-refused", "/settings/storage");
  await row.getByTestId("reconnect").click();
  await button("bob@contoso.example").click();
  await see("connected").waitFor();
  await row.getByText("Active").waitFor();
  expect(await see("connected").textContent()).toContain("Typed by Bob");
  expectNoComplaint();
});

test("[U39] agents that wait are approved or refused above the list of agents", async () => {
  const names = ["FS01-BERLIN", "UNKNOWN-PC"];
  await guessTooOften();
  for (const host of names) {
    const { code } = await api.post<RegistrationCodeMade>("/api/registration-codes", {});
    expect(await register(code, "198.51.100.7", host)).toBe(201);
  }
  await go("/agents");
  await see("approvals").waitFor();
  await pictures("approvals", "/agents");
  await see("approvals").locator("tr", { hasText: "FS01" }).getByTestId("approve-agent").click();
  await toast(/FS01-BERLIN is approved/);
  await see("approvals").locator("tr", { hasText: "UNKNOWN" }).getByTestId("refuse-agent").click();
  await see("confirm-refuse-agent").click();
  await see("approvals").waitFor({ state: "detached" });
  expectNoComplaint();
});

test("[U38] the audit log tells all of it in words, filtered, proved, and as a table and a sealed file", async () => {
  await go("/settings/audit");
  await see("audit").getByText("Olivia Owner").first().waitFor();
  const told = await see("audit").innerText();
  for (const words of [
    "Made an API key",
    "Revoked an API key",
    "Made a webhook",
    "Deleted a webhook",
    "Ended a session",
    "Connected storage",
    "Connected storage anew",
    "Approved an agent",
    "Refused an agent",
    "Olivia Owner",
  ]) {
    expect(told).toContain(words);
  }
  expect(await see("audit-head").textContent()).toMatch(/Sealed up to entry \d+/);
  await see("audit-action").selectOption({ label: "Made an API key" });
  await expect.poll(() => see("audit").locator("tbody tr").count()).toBe(1);
  const [table] = await Promise.all([owner.waitForEvent("download"), see("audit-csv").click()]);
  expect(readFileSync(await table.path(), "utf8").split("\r\n")[1]).toContain("Made an API key");
  await button("Show everything").click();
  await see("audit-proof").locator("summary").click();
  const [file] = await Promise.all([owner.waitForEvent("download"), see("audit-export").click()]);
  expect(readFileSync(await file.path(), "utf8")).toContain((await see("audit-hash").textContent()) ?? "-");
  expectNoComplaint();
});

test("[U33] every page of the settings fits a phone, a tablet and a desk, in both themes, without a complaint", async () => {
  await api.post("/api/api-keys", { name: "Ticket system", role: "member", validDays: 90 });
  await api.post("/api/webhooks", {
    url: "https://hooks.msp-tools.com/a/very/long/path/that/does/not/break/by/itself?x=1",
  });
  for (const part of [
    "",
    "storage",
    "storage/new",
    "members",
    "sessions",
    "codes",
    "api-keys",
    "webhooks",
    "audit",
  ]) {
    await pictures(
      part === "" ? "home" : part.replace("/", "-"),
      `/settings${part === "" ? "" : `/${part}`}`,
    );
  }
  expectNoComplaint();
});

// --- what a person does ---

async function signInAs(person: string): Promise<void> {
  await see("sign-in-microsoft").click();
  await button(`${person}@contoso.example`).click();
  await see("consent").waitFor();
  await see("save-consent").waitFor();
}

/** A picture in each size and theme; none may be wider than the screen. */
async function pictures(name: string, path: string | null): Promise<void> {
  if (path !== null) await go(path);
  for (const { name: size, width, height } of SIZES) {
    await owner.setViewportSize({ width, height });
    for (const colorScheme of ["dark", "light"] as const) {
      await owner.emulateMedia({ colorScheme });
      await owner.waitForLoadState("networkidle");
      await owner.screenshot({
        path: join(SCREENSHOTS, `${name}-${size}-${colorScheme}.png`),
        fullPage: true,
      });
    }
    const scrollWidth = await owner.evaluate(() => document.documentElement.scrollWidth);
    expect(scrollWidth, `${name} at ${size}`).toBeLessThanOrEqual(width);
    if (size === "desk") expect(await runAxe(owner, "all_but_targets"), name).toEqual([]);
  }
  await owner.emulateMedia({ colorScheme: "dark" });
}

interface Receiver {
  readonly url: string;
  readonly heard: { headers: IncomingHttpHeaders; body: string }[];
  status: number;
}

async function startReceiver(): Promise<Receiver> {
  const receiver = { url: "", heard: [] as Receiver["heard"], status: 200 };
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      receiver.heard.push({ headers: request.headers, body });
      response.writeHead(receiver.status).end();
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  stops.push(async () => void server.close());
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return receiver;
}

async function register(code: string, address: string, host = "PC"): Promise<number> {
  const response = await fetch(`${plane.url}/api/agent/register`, {
    method: "POST",
    headers: { "content-type": "application/json", "cf-connecting-ip": address },
    body: JSON.stringify({ code, host, os: "windows 10.0.20348", arch: "x64", version: "0.1.0" }),
  });
  await response.arrayBuffer();
  return response.status;
}

/** After 1,000 wrong codes, ten from each address at most, agents wait for approval. */
async function guessTooOften(): Promise<void> {
  const addresses = Array.from({ length: 1_000 }, (_, index) => `203.0.${Math.floor(index / 10)}.1`);
  for (let from = 0; from < addresses.length; from += 25) {
    const part = addresses.slice(from, from + 25).map((address) => register("AAAAAAAA", address));
    for (const status of await Promise.all(part)) expect(status).toBe(403);
  }
}

test("[U34] a connection that no project uses is deleted, once its name was typed below what is destroyed", async () => {
  await go("/settings/storage");
  const row = see("connections").locator("tr", { hasText: "Contoso's storage" });
  await row.waitFor();
  await row.getByTestId("delete-connection").click();
  await owner.getByText(/stored credentials of "Contoso's storage"/).waitFor();
  await pictures("storage-delete", null);
  for (const typed of ["", "Contoso", "contoso's storage"]) {
    await see("typed-name").fill(typed);
    expect(await see("confirm-delete-connection").isDisabled()).toBe(true);
  }
  await see("typed-name").fill("Contoso's storage");
  await see("confirm-delete-connection").click();
  await toast(/Connection deleted/);
  await row.waitFor({ state: "detached" });
  expectNoComplaint();
});
