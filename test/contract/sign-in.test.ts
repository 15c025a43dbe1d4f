import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  Browser,
  controlPlane,
  DEV_HUB_SECRET,
  hubToken,
  signIn,
  SSO_SECRET,
  startControlPlane,
  unique,
  type Claims,
  type ControlPlane,
} from "./harness.ts";

const SESSION = "__Host-mig_s";
const HOUR_MS = 3_600_000;

interface Session {
  readonly user: {
    readonly id: string;
    readonly name: string;
    readonly email: string;
    readonly role: string;
  };
  readonly organization: { readonly id: string; readonly name: string };
}

let plane: ControlPlane;
beforeAll(async () => {
  plane = await controlPlane();
});

/** A browser that has begun to sign in. */
async function begun(): Promise<Browser> {
  const browser = new Browser(plane.origin);
  await browser.fetch("/sso/start");
  return browser;
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Buffer.from(digest).toString("hex");
}

async function sessionRows(hubUserId: string): Promise<Record<string, unknown>[]> {
  const { results } = await plane.database
    .prepare(
      "select s.* from sessions s join users u on u.org_id = s.org_id and u.id = s.user_id where u.hub_user_id = ?",
    )
    .bind(hubUserId)
    .all<Record<string, unknown>>();
  return results;
}

describe("tokens", () => {
  test("[S1] a good token signs in, and the address is clean afterwards", async () => {
    const browser = await begun();
    const tenantId = `tenant-${unique()}`;
    const response = await browser.fetch(
      `/sso?token=${await hubToken({ tenantId, tenantName: "Acme MSP" })}`,
    );
    expect(response.status).toBe(303);
    expect(response.headers.get("location")).toBe("/");
    expect(await browser.get<Session>("/api/session")).toMatchObject({
      user: { name: "Olivia Owner", email: "olivia@example.com", role: "owner" },
      organization: { name: "Acme MSP" },
    });
  });

  test("[S1] a token may also come as a form", async () => {
    const browser = await begun();
    const response = await browser.fetch("/sso", {
      method: "POST",
      body: new URLSearchParams({ token: await hubToken() }),
    });
    expect(response.status).toBe(303);
    expect(browser.cookies.has(SESSION)).toBe(true);
  });

  const now = () => Math.floor(Date.now() / 1000);
  test.each<[string, number, string, () => Promise<string> | string]>([
    ["no token", 400, "malformed", () => ""],
    ["a token that is none", 400, "malformed", () => "abc"],
    ["a token that lapsed", 401, "bad_token", () => hubToken({ iat: now() - 120 })],
    ["a token from tomorrow", 401, "bad_token", () => hubToken({ iat: now() + 86_400 })],
    ["a token of somebody else", 401, "bad_token", () => hubToken({ iss: "another-hub" })],
    [
      "a token with another signature",
      401,
      "bad_token",
      async () => (await hubToken()).replace(/[^.]+$/, "A".repeat(43)),
    ],
    ["a token without a tenant", 401, "bad_token", () => hubToken({ tenantId: undefined })],
    ["a token for another product", 403, "other_platform", () => hubToken({ platform: "crawl" })],
    ["a token without our entitlement", 403, "no_entitlement", () => hubToken({ entitlements: ["crawl"] })],
  ])("[S2] %s is answered %i, and only our records say why: %s", async (_what, status, reason, make) => {
    const before = await refusals();
    const browser = await begun();
    const token = await make();
    const response = await browser.fetch(`/sso?token=${token}`);
    expect(response.status).toBe(status);
    expect(browser.cookies.has(SESSION)).toBe(false);
    expect(plain(await response.text())).toBe(
      plain(await (await (await begun()).fetch("/sso?token=x")).text()),
    );
    expect((await refusals()).slice(0, -before.length || undefined).map((row) => row.reason)).toContain(
      reason,
    );
  });

  /** A page without the style's nonce, which is another each time. */
  const plain = (text: string) => text.replace(/nonce="[^"]+"/, "");

  async function refusals(): Promise<{ reason: string }[]> {
    const { results } = await plane.database
      .prepare("select reason from sign_in_refusals where at > ? order by id desc")
      .bind(0)
      .all<{ reason: string }>();
    return results;
  }

  test("[S3] a token signs in once, though 30 browsers try it at the same moment", async () => {
    const token = await hubToken();
    const browsers = await Promise.all(Array.from({ length: 30 }, begun));
    const answers = await Promise.all(browsers.map((browser) => browser.fetch(`/sso?token=${token}`)));
    expect(answers.filter(({ status }) => status === 303)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(29);
    expect(browsers.filter((browser) => browser.cookies.has(SESSION))).toHaveLength(1);
  });

  test("[S3] a token that was used signs in nowhere a second time, not even in the same browser", async () => {
    const token = await hubToken();
    const browser = await begun();
    expect((await browser.fetch(`/sso?token=${token}`)).status).toBe(303);
    await browser.fetch("/sso/start");
    expect((await browser.fetch(`/sso?token=${token}`)).status).toBe(401);
  });
});

describe("people", () => {
  test("[S4] name, e-mail and role follow the newest token of the same person", async () => {
    const claims = { tenantId: `tenant-${unique()}`, hub_user_id: `hub-${unique()}` };
    const first = await (await signIn({ ...claims, orgRole: "owner" })).get<Session>("/api/session");
    const browser = await signIn({
      ...claims,
      orgRole: "viewer",
      name: "Olivia Other",
      email: "other@example.com",
    });
    const second = await browser.get<Session>("/api/session");
    expect(second.user).toEqual({
      id: first.user.id,
      name: "Olivia Other",
      email: "other@example.com",
      role: "viewer",
    });
  });

  test("[S4] a role that is taken away is gone from the sessions there are", async () => {
    const claims = { tenantId: `tenant-${unique()}`, hub_user_id: `hub-${unique()}` };
    const before = await signIn({ ...claims, orgRole: "owner" });
    await signIn({ ...claims, orgRole: "viewer" });
    expect((await before.json("POST", "/api/clients", { name: "Acme" })).status).toBe(403);
  });

  test("[S4] an e-mail address that was given to somebody else opens nothing of its former owner", async () => {
    const tenantId = `tenant-${unique()}`;
    const email = `${unique()}@example.com`;
    const first = await (await signIn({ tenantId, email })).get<Session>("/api/session");
    const second = await (await signIn({ tenantId, email })).get<Session>("/api/session");
    expect(second.user.id).not.toBe(first.user.id);
  });

  test("[S4] the same person in two tenants is two users in two organizations", async () => {
    const hub_user_id = `hub-${unique()}`;
    const [one, two] = await Promise.all([signIn({ hub_user_id }), signIn({ hub_user_id })]);
    const [first, second] = [await one.get<Session>("/api/session"), await two.get<Session>("/api/session")];
    expect(first.organization.id).not.toBe(second.organization.id);
    expect(first.user.id).not.toBe(second.user.id);
  });

  test("[S4] a role we do not know may only look", async () => {
    const browser = await signIn({ orgRole: "superuser" });
    expect((await browser.get<Session>("/api/session")).user.role).toBe("viewer");
    expect((await browser.json("POST", "/api/clients", { name: "Acme" })).status).toBe(403);
  });

  test("[S4] people who sign in for the first time at the same moment share one organization", async () => {
    const tenantId = `tenant-${unique()}`;
    const browsers = await Promise.all(Array.from({ length: 8 }, () => signIn({ tenantId })));
    const sessions = await Promise.all(browsers.map((browser) => browser.get<Session>("/api/session")));
    expect(new Set(sessions.map((session) => session.organization.id)).size).toBe(1);
    expect(new Set(sessions.map((session) => session.user.id)).size).toBe(8);
  });
});

describe("sessions", () => {
  test("[S5] the cookie is opaque, 256 bits, and out of reach of scripts, other hosts and plain connections", async () => {
    const browser = await begun();
    const response = await browser.fetch(`/sso?token=${await hubToken()}`);
    const [line = ""] = response.headers.getSetCookie().filter((cookie) => cookie.startsWith(SESSION));
    const [pair, ...attributes] = line.split("; ");
    expect(pair).toMatch(/^__Host-mig_s=[\w-]{43}$/);
    expect(attributes.sort()).toEqual(["HttpOnly", "Max-Age=86400", "Path=/", "SameSite=Lax", "Secure"]);
  });

  test("[S5] only the SHA-256 of the cookie is kept", async () => {
    const hub_user_id = `hub-${unique()}`;
    const token = (await signIn({ hub_user_id })).cookies.get(SESSION) ?? "";
    const [row] = await sessionRows(hub_user_id);
    expect(row?.["token_hash"]).toBe(await sha256(token));
    expect(JSON.stringify(row)).not.toContain(token);
  });

  test("[S5] each sign-in makes a session of its own", async () => {
    const claims: Claims = { hub_user_id: `hub-${unique()}`, tenantId: `tenant-${unique()}` };
    const [one, two] = [await signIn(claims), await signIn(claims)];
    expect(one.cookies.get(SESSION)).not.toBe(two.cookies.get(SESSION));
    expect((await one.json("DELETE", "/api/session")).status).toBe(204);
    expect((await two.json("GET", "/api/session")).status).toBe(200);
  });

  test.each<[string, string, number, number]>([
    ["idle for just under 8 hours still holds", "last_seen_at", 8 * HOUR_MS - 60_000, 200],
    ["idle for 8 hours has ended", "last_seen_at", 8 * HOUR_MS, 401],
  ])("[S5] a session %s", async (_what, column, agoMs, status) => {
    const hub_user_id = `hub-${unique()}`;
    const browser = await signIn({ hub_user_id });
    const [row] = await sessionRows(hub_user_id);
    await plane.database
      .prepare(`update sessions set ${column} = ? where id = ?`)
      .bind(Date.now() - agoMs, row?.["id"])
      .run();
    expect((await browser.json("GET", "/api/session")).status).toBe(status);
  });

  test("[S5] using a session keeps it from idling out, but never beyond 24 hours", async () => {
    const hub_user_id = `hub-${unique()}`;
    const browser = await signIn({ hub_user_id });
    const [row] = await sessionRows(hub_user_id);
    expect(row?.["expires_at"]).toBe((row?.["created_at"] as number) + 24 * HOUR_MS);
    await plane.database
      .prepare("update sessions set last_seen_at = ? where id = ?")
      .bind(Date.now() - 7 * HOUR_MS, row?.["id"])
      .run();
    await browser.get("/api/session");
    const [seen] = await sessionRows(hub_user_id);
    expect(Date.now() - (seen?.["last_seen_at"] as number)).toBeLessThan(60_000);
    expect(seen?.["expires_at"]).toBe(row?.["expires_at"]);
    await plane.database
      .prepare("update sessions set expires_at = ? where id = ?")
      .bind(Date.now(), row?.["id"])
      .run();
    expect((await browser.json("GET", "/api/session")).status).toBe(401);
  });

  test("[S5] after signing out the cookie is worth nothing, also to somebody who kept a copy", async () => {
    const browser = await signIn();
    const copy = new Browser(plane.origin);
    copy.cookies.set(SESSION, browser.cookies.get(SESSION) ?? "");
    expect((await browser.json("DELETE", "/api/session")).status).toBe(204);
    expect(browser.cookies.has(SESSION)).toBe(false);
    expect((await copy.json("GET", "/api/session")).status).toBe(401);
  });

  test("[S5] a made-up cookie, an empty one and the stored hash open nothing", async () => {
    const hub_user_id = `hub-${unique()}`;
    await signIn({ hub_user_id });
    const [row] = await sessionRows(hub_user_id);
    for (const value of ["", "x", "A".repeat(43), String(row?.["token_hash"])]) {
      const browser = new Browser(plane.origin);
      browser.cookies.set(SESSION, value);
      expect((await browser.json("GET", "/api/session")).status).toBe(401);
    }
  });
});

describe("confirmation", () => {
  const shown = async (response: Response) => ({ status: response.status, text: await response.text() });
  const asks = { status: 200, text: expect.stringContaining("Continue as") };

  test("[S6] in a browser that did not begin, the person is asked first, and then it is the same token that is used", async () => {
    const browser = new Browser(plane.origin);
    const token = await hubToken({ name: "Olivia <b>Owner</b>" });
    const page = await shown(await browser.fetch(`/sso?token=${token}`));
    expect(page).toEqual(asks);
    expect(page.text).toContain("Olivia &lt;b&gt;Owner&lt;/b&gt;");
    expect(browser.cookies.has(SESSION)).toBe(false);
    const confirmed = await browser.fetch("/sso", { method: "POST", body: new URLSearchParams({ token }) });
    expect(confirmed.status).toBe(303);
    expect((await browser.json("GET", "/api/session")).status).toBe(200);
  });

  test("[S6] opening the same link twice is no confirmation", async () => {
    const browser = new Browser(plane.origin);
    const token = await hubToken();
    for (let times = 0; times < 3; times++) {
      expect(await shown(await browser.fetch(`/sso?token=${token}`))).toEqual(asks);
    }
    expect(browser.cookies.has(SESSION)).toBe(false);
  });

  test("[S6] a form on somebody else's page is no confirmation", async () => {
    const browser = new Browser(plane.origin);
    const token = await hubToken();
    await browser.fetch(`/sso?token=${token}`);
    for (const site of ["cross-site", "same-site"]) {
      const form = {
        method: "POST",
        body: new URLSearchParams({ token }),
        headers: { "sec-fetch-site": site },
      };
      expect(await shown(await browser.fetch("/sso", form))).toEqual(asks);
    }
    expect(browser.cookies.has(SESSION)).toBe(false);
  });

  test("[S6] the confirmation of one token does not stand for another", async () => {
    const browser = new Browser(plane.origin);
    await browser.fetch(`/sso?token=${await hubToken()}`);
    const other = new URLSearchParams({ token: await hubToken() });
    expect(await shown(await browser.fetch("/sso", { method: "POST", body: other }))).toEqual(asks);
  });

  test("[S6] a page of somebody else's that leads to the sign-in has not begun it", async () => {
    const browser = new Browser(plane.origin);
    const response = await browser.fetch("/sso/start", { headers: { "sec-fetch-site": "cross-site" } });
    expect(response.status).toBe(303);
    expect(await shown(await browser.fetch(`/sso?token=${await hubToken()}`))).toEqual(asks);
  });

  test("[S6] one beginning lets one token in", async () => {
    const browser = await begun();
    expect((await browser.fetch(`/sso?token=${await hubToken()}`)).status).toBe(303);
    expect(await shown(await browser.fetch(`/sso?token=${await hubToken()}`))).toEqual(asks);
  });

  test("[S6] asking uses no token up, and does not show it to a reader over the shoulder", async () => {
    const token = await hubToken();
    await new Browser(plane.origin).fetch(`/sso?token=${token}`);
    expect((await (await begun()).fetch(`/sso?token=${token}`)).status).toBe(303);
  });
});

describe("the development Hub", () => {
  test("[S7] in development, with its secret, it signs in as whom one likes", async () => {
    const browser = new Browser(plane.origin);
    const first = await browser.fetch(
      `/dev/hub/sign-in?secret=${DEV_HUB_SECRET}&role=viewer&tenant=${unique()}`,
    );
    expect(first.status).toBe(303);
    const second = await browser.fetch(first.headers.get("location") ?? "");
    expect([second.status, second.headers.get("location")]).toEqual([303, "/"]);
    expect((await browser.get<Session>("/api/session")).user.role).toBe("viewer");
  });

  test("[S7] without the right secret it mints nothing", async () => {
    for (const secret of ["", "x", DEV_HUB_SECRET.slice(1), `${DEV_HUB_SECRET} `]) {
      const response = await new Browser(plane.origin).fetch(
        `/dev/hub/sign-in?secret=${encodeURIComponent(secret)}`,
      );
      expect(response.status).toBe(403);
      expect(response.headers.get("location")).toBeNull();
    }
  });

  test("[S7] the sign-in begins at it in development", async () => {
    const response = await new Browser(plane.origin).fetch("/sso/start");
    expect(response.headers.get("location")).toBe("/dev/hub");
  });
});

describe("production", () => {
  let production: Awaited<ReturnType<typeof startControlPlane>>;
  beforeAll(async () => {
    // No secret for the Hub's tokens, and one for the development Hub that must not do anything.
    production = await startControlPlane({ env: "production", secrets: { DEV_HUB_SECRET } });
  });
  afterAll(() => production.close());

  const at = (path: string, init?: RequestInit) =>
    production.fetch(`https://app.theonemigrate.app${path}`, { redirect: "manual", ...init });

  test("[S7] in production there is no development Hub, though its secret is set", async () => {
    for (const path of [
      "/dev/hub",
      "/dev/hub/sign-in",
      `/dev/hub?secret=${DEV_HUB_SECRET}`,
      `/dev/hub/sign-in?secret=${DEV_HUB_SECRET}`,
    ]) {
      expect((await at(path)).status, path).toBe(404);
    }
    const form = new URLSearchParams({ secret: DEV_HUB_SECRET });
    expect((await at("/dev/hub", { method: "POST", body: form })).status).toBe(404);
  });

  test("[S7] in production the sign-in begins at the Hub", async () => {
    const response = await at("/sso/start");
    expect(response.headers.get("location")).toBe("https://my.theonestack.com/login?redirect=migrate");
  });

  test("[S7] a secret that does not belong into production is reported by the health check, without its name or value", async () => {
    const response = await at("/api/health");
    const text = await response.text();
    expect(response.status).toBe(503);
    expect(JSON.parse(text)).toMatchObject({ status: "misconfigured" });
    expect(text).not.toMatch(/secret|hub/i);
  });

  test("[S2] without the shared secret every sign-in is answered 503", async () => {
    for (const token of ["", "x", await hubToken()])
      expect((await at(`/sso?token=${token}`)).status).toBe(503);
  });
});

test("[S7] the development plane is configured in full, so its health check is content", async () => {
  expect(SSO_SECRET.length).toBeGreaterThanOrEqual(32);
  expect(await new Browser(plane.origin).get("/api/health")).toMatchObject({ status: "ok" });
});
