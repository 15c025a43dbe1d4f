import { beforeAll, describe, expect, test } from "vitest";
import type { Page } from "../../schema/api.ts";
import { memberPage, sessionPage, type Member, type SessionEntry } from "../../schema/sessions.ts";
import { ID_RANDOM_BYTES, newId } from "../../schema/ids.ts";
import { Browser, controlPlane, hubToken, signIn, unique, type ControlPlane } from "./harness.ts";
import { beyondOrganization, withoutIndex } from "./statements.ts";

const HOUR_MS = 3_600_000;
let plane: ControlPlane;
beforeAll(async () => {
  plane = await controlPlane();
});

/** Somebody of an organization, in as many browsers as one likes. */
function person(role: string, tenantId = `tenant-${unique()}`) {
  const claims = {
    tenantId,
    orgRole: role,
    hub_user_id: `hub-${unique()}`,
    email: `${role}@example.com`,
    name: role,
  };
  return { tenantId, claims, signIn: () => signIn(claims) };
}

async function sessionsOf(browser: Browser, query = ""): Promise<SessionEntry[]> {
  return (await browser.get<Page<SessionEntry>>(`/api/sessions${query}`)).items;
}

async function currentOf(browser: Browser): Promise<string> {
  return (await sessionsOf(browser)).find(({ current }) => current)?.id ?? "";
}

const isAlive = async (browser: Browser) => (await browser.json("GET", "/api/session")).status === 200;

describe("the list", () => {
  test("[V9] everybody sees their own sessions, newest first, with the one they are in marked", async () => {
    const olivia = person("viewer");
    const [one, two] = [await olivia.signIn(), await olivia.signIn()];
    await person("owner", olivia.tenantId).signIn();
    const page = sessionPage.parse(await two.get("/api/sessions"));
    expect(page.items.map(({ current }) => current)).toEqual([true, false]);
    expect(page.items.every(({ user }) => user.name === "viewer")).toBe(true);
    expect((await sessionsOf(one)).map(({ current }) => current)).toEqual([false, true]);
    expect(await currentOf(one)).toBe(page.items[1]?.id);
  });

  test("[V9] an admin sees everybody's, nobody below does", async () => {
    const admin = person("admin");
    const others = ["owner", "member", "viewer"].map((role) => person(role, admin.tenantId));
    const browser = await admin.signIn();
    const browsers = await Promise.all(others.map((one) => one.signIn()));
    expect((await sessionsOf(browser, "?all=1")).map(({ user }) => user.name).sort()).toEqual([
      "admin",
      "member",
      "owner",
      "viewer",
    ]);
    expect((await sessionsOf(browser)).length).toBe(1);
    for (const below of browsers.slice(1)) {
      expect(await below.json("GET", "/api/sessions?all=1")).toMatchObject({
        status: 403,
        body: { code: "FORBIDDEN" },
      });
    }
    expect((await browser.json("GET", "/api/sessions?all=2")).status).toBe(400);
  });

  test("[V9] it tells from where and with what a session was begun, without what acts on a screen or is a secret", async () => {
    const { claims } = person("owner");
    const browser = new Browser(plane.origin);
    await browser.fetch("/sso/start");
    const agent = `Firefox/140 Bearer abcdefghijklmnop\t${"x".repeat(400)}`;
    await browser.fetch(`/sso?token=${await hubToken(claims)}`, {
      headers: { "user-agent": agent, "cf-connecting-ip": "203.0.113.7" },
    });
    const [session] = await sessionsOf(browser);
    expect(session?.userAgent).toMatch(/^Firefox\/140 Bearer \[redacted\] x+$/);
    expect(session?.userAgent?.length).toBe(300);
    expect(session?.address).not.toBe("");
    const began = Date.parse(session?.beganAt ?? "");
    expect(Math.abs(Date.now() - began)).toBeLessThan(60_000);
    expect(Date.parse(session?.expiresAt ?? "")).toBe(began + 24 * HOUR_MS);
  });

  test("[V9] sessions that ended, idled out or lapsed are not in it, and it is paged", async () => {
    const olivia = person("owner");
    const browsers: Browser[] = [];
    for (let count = 0; count < 5; count++) browsers.push(await olivia.signIn());
    const [first, second, third, fourth, last] = browsers as [Browser, Browser, Browser, Browser, Browser];
    const ids = await Promise.all(browsers.map(currentOf));
    await first.json("DELETE", "/api/session");
    const set = (column: string, value: number, id: string | undefined) =>
      plane.database.prepare(`update sessions set ${column} = ? where id = ?`).bind(value, id).run();
    await set("last_seen_at", Date.now() - 8 * HOUR_MS, ids[1]);
    await set("expires_at", Date.now(), ids[2]);
    for (const dead of [second, third]) expect(await isAlive(dead)).toBe(false);
    const page = await last.get<Page<SessionEntry>>("/api/sessions?limit=1");
    expect(page.items.map(({ id }) => id)).toEqual([ids[4]]);
    const rest = await last.get<Page<SessionEntry>>(`/api/sessions?limit=1&cursor=${page.nextCursor}`);
    expect(rest.items.map(({ id }) => id)).toEqual([ids[3]]);
    expect(rest.nextCursor).toBeNull();
    expect(await isAlive(fourth)).toBe(true);
  });
});

describe("revoking", () => {
  test("[V10] one's own session ends at once, and its cookie is worth nothing", async () => {
    const olivia = person("viewer");
    const [one, two] = [await olivia.signIn(), await olivia.signIn()];
    expect((await two.json("POST", `/api/sessions/${await currentOf(one)}/revoke`)).status).toBe(204);
    expect(await isAlive(one)).toBe(false);
    expect(await isAlive(two)).toBe(true);
  });

  test("[V10] an admin ends anybody's; a member's try at another's is answered as at none", async () => {
    const admin = person("admin");
    const member = person("member", admin.tenantId);
    const viewer = person("viewer", admin.tenantId);
    const [a, m, v] = await Promise.all([admin.signIn(), member.signIn(), viewer.signIn()]);
    const target = await currentOf(v);
    const refused = await m.json("POST", `/api/sessions/${target}/revoke`);
    expect(refused.status).toBe(404);
    expect(refused).toEqual(await m.json("POST", `/api/sessions/ses_${"0".repeat(26)}/revoke`));
    expect(await isAlive(v)).toBe(true);
    expect((await a.json("POST", `/api/sessions/${target}/revoke`)).status).toBe(204);
    expect(await isAlive(v)).toBe(false);
  });

  test("[V10] all others of mine end at once; nobody else's", async () => {
    const olivia = person("member");
    const other = await person("member", olivia.tenantId).signIn();
    const [one, two, three] = [await olivia.signIn(), await olivia.signIn(), await olivia.signIn()];
    expect(await two.post("/api/sessions/revoke-others")).toEqual({ revoked: 2 });
    expect(await Promise.all([one, two, three, other].map(isAlive))).toEqual([false, true, false, true]);
    expect(await two.post("/api/sessions/revoke-others")).toEqual({ revoked: 0 });
  });

  test("[V10] somebody else's page cannot make a browser revoke anything", async () => {
    const browser = await person("owner").signIn();
    for (const path of ["revoke-others", `${await currentOf(browser)}/revoke`]) {
      const headers = { "sec-fetch-site": "cross-site", origin: "https://evil.example" };
      expect((await browser.json("POST", `/api/sessions/${path}`, undefined, headers)).status).toBe(403);
    }
    expect(await isAlive(browser)).toBe(true);
  });
});

describe("what is over", () => {
  const DAY_MS = 24 * HOUR_MS;
  /** A time at which the sweep looks at sessions. */
  const hourly = () => Math.floor(Date.now() / HOUR_MS) * HOUR_MS + 45 * 60_000;
  const rowsOf = async (userId: string) => {
    const asked = plane.database.prepare(
      "select id, last_seen_at as seen from sessions where user_id = ? order by id",
    );
    return (await asked.bind(userId).all<{ id: string; seen: number }>()).results;
  };

  /** Signs in once for each, and lets that have been as long ago. */
  async function signedIn(...days: readonly number[]) {
    const olivia = person("owner");
    const browsers: Browser[] = [];
    for (const _ of days) browsers.push(await olivia.signIn());
    const ids = await Promise.all(browsers.map(currentOf));
    const aged: string[] = [];
    for (const [index, ago] of days.entries()) {
      const beganMs = Date.now() - ago * DAY_MS;
      const id = newId("session", beganMs, crypto.getRandomValues(new Uint8Array(ID_RANDOM_BYTES)));
      await plane.database
        .prepare("update sessions set id = ?, created_at = ?, last_seen_at = ?, expires_at = ? where id = ?")
        .bind(id, beganMs, beganMs + HOUR_MS, beganMs + DAY_MS, ids[index])
        .run();
      aged.push(id);
    }
    const user = await plane.database
      .prepare("select user_id as id, org_id as org from sessions where id = ?")
      .bind(aged[0])
      .first<{ id: string; org: string }>();
    return { browsers, ids: aged, userId: user?.id ?? "", orgId: user?.org ?? "" };
  }

  test("[V14] sessions that have lapsed are thrown away by the sweep, and no other", async () => {
    const { browsers, ids, userId } = await signedIn(40, 2, 1.01, 0.3, 0.01);
    await plane.sweep(hourly() - 60_000);
    expect((await rowsOf(userId)).map(({ id }) => id)).toEqual(ids);
    await plane.sweep(hourly());
    expect((await rowsOf(userId)).map(({ id }) => id)).toEqual(ids.slice(3));
    expect(await Promise.all(browsers.slice(3).map(isAlive))).toEqual([true, true]);
  });

  test("[V14] when somebody was there last is known for good", async () => {
    const { ids, userId } = await signedIn(40, 30, 20);
    // Was begun first, and used for longer.
    const seen = Date.now() - 19 * DAY_MS;
    await plane.database
      .prepare("update sessions set last_seen_at = ? where id = ?")
      .bind(seen, ids[1])
      .run();
    for (let hour = 0; hour < 2; hour++) await plane.sweep(hourly());
    const left = await rowsOf(userId);
    expect(left.map(({ id }) => id)).toEqual(ids.slice(1));
    expect(Math.max(...left.map((row) => row.seen))).toBe(seen);
  });

  test("[V14] one that a sign-in with Microsoft still names stays, and holds up no other", async () => {
    const { ids, userId, orgId } = await signedIn(3, 2, 1.5, 0.01);
    const named = newId("oauthState", Date.now(), crypto.getRandomValues(new Uint8Array(ID_RANDOM_BYTES)));
    await plane.database
      .prepare(
        "insert into oauth_states (org_id, id, state_hash, session_id, sealed_verifier, created_at, expires_at) values (?, ?, ?, ?, 'x', 0, 0)",
      )
      .bind(orgId, named, unique(), ids[1])
      .run();
    await plane.sweep(hourly());
    expect((await rowsOf(userId)).map(({ id }) => id)).toEqual([ids[1], ids[3]]);
    await plane.database
      .prepare("update oauth_states set id = ? where id = ?")
      .bind(`oas_${"0".repeat(26)}`, named)
      .run();
    for (let hour = 0; hour < 2; hour++) await plane.sweep(hourly());
    expect((await rowsOf(userId)).map(({ id }) => id)).toEqual([ids[3]]);
  });

  test("[J25] what the sweep drops it finds by an index, organization by organization", async () => {
    await plane.sweep(hourly());
    const statements = (await plane.statements()).filter((text) =>
      /^delete from (sessions|oauth_states)/.test(text),
    );
    expect(statements).toHaveLength(2);
    expect(withoutIndex(statements)).toEqual([]);
    expect(beyondOrganization(statements)).toEqual([]);
  });
});

describe("members", () => {
  test("[V11] everybody sees who belongs to the organization, with role and when they were there last", async () => {
    const owner = person("owner");
    const viewer = person("viewer", owner.tenantId);
    await owner.signIn();
    const browser = await viewer.signIn();
    const { items } = memberPage.parse(await browser.get("/api/members"));
    expect(items.map(({ name, email, role }) => `${name} ${email} ${role}`).sort()).toEqual([
      "owner owner@example.com owner",
      "viewer viewer@example.com viewer",
    ]);
    for (const member of items) expect(Date.now() - Date.parse(member.lastSeenAt ?? "")).toBeLessThan(60_000);
    const page = await browser.get<Page<Member>>("/api/members?limit=1");
    const rest = await browser.get<Page<Member>>(`/api/members?limit=1&cursor=${page.nextCursor}`);
    expect([...page.items, ...rest.items].map(({ id }) => id)).toEqual(items.map(({ id }) => id));
  });
});
