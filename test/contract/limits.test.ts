/** Caps on guessing, limits on asking, API keys, and sockets that end with their session: at the real Worker. */
import { crc32 } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import {
  asMachine,
  Browser,
  controlPlane,
  hubToken,
  MACHINE,
  makeOrganization,
  randomAddress,
  signIn,
  startControlPlane,
  unique,
  upgrade,
  type Answer,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

let plane: ControlPlane;
let org: Organization;
let owner: Browser;
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
  ({ owner } = org.people);
});

interface Full extends Answer {
  readonly headers: Headers;
}

async function send(
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: unknown,
  origin = plane.origin,
): Promise<Full> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(origin + path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    redirect: "manual",
    ...sent,
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  return {
    status: response.status,
    text,
    body: isJson ? JSON.parse(text) : null,
    headers: response.headers,
  };
}

const newCode = async (label = "x") =>
  await owner.post<{ id: string; code: string }>("/api/registration-codes", { label });
const register = async (code: string, address: string, origin = plane.origin) =>
  await send(
    "POST",
    "/api/agent/register",
    { "cf-connecting-ip": address },
    { code, ...MACHINE, name: "guest" },
    origin,
  );
const WRONG = { status: 403, body: { code: "REGISTRATION_REFUSED" } };
const BLOCKED = { status: 429, body: { code: "RATE_LIMIT_EXCEEDED" } };

describe("registration codes", () => {
  test("[I1] an address gets ten wrong codes an hour, one after the other or all at once; then not even a right one", async () => {
    const [slow, fast] = [randomAddress(), randomAddress()];
    for (let tries = 0; tries < 10; tries++) expect(await register("AAAAAAAA", slow)).toMatchObject(WRONG);
    const { code } = await newCode();
    const blocked = await register(code, slow);
    expect(blocked).toMatchObject(BLOCKED);
    expect(Number(blocked.headers.get("retry-after"))).toBeGreaterThan(3_500);
    const answers = await Promise.all(Array.from({ length: 40 }, () => register("AAAAAAAA", fast)));
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(10);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(30);
    expect((await register(code, randomAddress())).status).toBe(201);
  });

  test("[I1] right codes do not count: forty agents of one site register at once", async () => {
    const address = randomAddress();
    const codes = await Promise.all(Array.from({ length: 40 }, () => newCode()));
    const answers = await Promise.all(codes.map(({ code }) => register(code, address)));
    expect(answers.map(({ status }) => status)).toEqual(codes.map(() => 201));
  });

  test("[I1] an IPv6 line is one address, whichever of its many it takes", async () => {
    const net = `2001:db8:${unique().slice(0, 4)}:1`;
    const answers = [];
    for (let index = 0; index < 11; index++) answers.push(await register("AAAAAAAA", `${net}::${index}`));
    expect(answers.map(({ status }) => status)).toEqual([...Array.from({ length: 10 }, () => 403), 429]);
  });
});

describe("approval by hand", () => {
  let capped: Awaited<ReturnType<typeof startControlPlane>>;
  let admin: Browser;
  beforeAll(async () => {
    // A control plane of its own: from here on every registration there waits.
    capped = await startControlPlane({
      secrets: {
        PORTAL_SSO_SECRET: "contract-sso-secret-0123456789-0123456789",
        SECRETS_KEYS: "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        CODE_PEPPER: "contract-code-pepper-0123456789-0123456789",
        SESSION_REQUESTS_PER_MINUTE: "20",
      },
    });
    admin = await signInAt(capped.origin);
    const guesses = Array.from({ length: 1_000 }, (_, index) => `203.0.${Math.floor(index / 10)}.1`);
    for (let from = 0; from < guesses.length; from += 50) {
      const part = guesses
        .slice(from, from + 50)
        .map((address) => register("AAAAAAAA", address, capped.origin));
      for (const { status } of await Promise.all(part)) expect(status).toBe(403);
    }
    return async () => await capped.close();
  });

  async function signInAt(origin: string): Promise<Browser> {
    const browser = new Browser(origin);
    await browser.fetch("/sso/start");
    await browser.fetch(`/sso?token=${await hubToken()}`);
    return browser;
  }

  async function waiting(): Promise<{ agentId: string; key: string }> {
    const { code } = await admin.post<{ code: string }>("/api/registration-codes", {});
    const { status, body } = await register(code, randomAddress(), capped.origin);
    expect(status).toBe(201);
    expect(body).toMatchObject({ pending: true });
    return body as { agentId: string; key: string };
  }
  const ask = async (key: string) =>
    await send(
      "POST",
      "/api/agent/grants",
      { authorization: `Bearer ${key}` },
      { jobId: `job_${"0".repeat(26)}`, epoch: 1 },
      capped.origin,
    );
  const PENDING = { status: 403, body: { code: "AGENT_PENDING" } };

  test("[I2] [I3] after 1,000 wrong codes in all a right one makes an agent that gets nothing until an admin approves it", async () => {
    const { agentId, key } = await waiting();
    expect(await admin.get(`/api/agents/${agentId}`)).toMatchObject({ status: "pending" });
    expect(await ask(key)).toMatchObject(PENDING);
    const session = await send(
      "GET",
      "/api/agent/session",
      { authorization: `Bearer ${key}` },
      undefined,
      capped.origin,
    );
    expect(session).toMatchObject(PENDING);
    expect(await admin.post(`/api/agents/${agentId}/approve`)).toMatchObject({ status: "offline" });
    expect((await ask(key)).status).toBe(404);
    expect(await admin.post(`/api/agents/${agentId}/approve`)).toMatchObject({ status: "offline" });
    expect((await admin.json("POST", `/api/agents/${agentId}/refuse`)).status).toBe(409);
  });

  test("[I3] a refused agent is revoked for good", async () => {
    const { agentId, key } = await waiting();
    expect(await admin.post(`/api/agents/${agentId}/refuse`)).toMatchObject({ status: "revoked" });
    expect((await ask(key)).status).toBe(401);
    expect((await admin.json("POST", `/api/agents/${agentId}/approve`)).status).toBe(409);
  });

  test("[I5] a session is limited by itself, says so on every answer, and others of its organization go on", async () => {
    const tenantId = `tenant-${unique()}`;
    const [one, other] = [new Browser(capped.origin), new Browser(capped.origin)];
    for (const browser of [one, other]) {
      await browser.fetch("/sso/start");
      await browser.fetch(`/sso?token=${await hubToken({ tenantId })}`);
    }
    const answers: Response[] = [];
    for (let index = 0; index < 22; index++) answers.push(await one.fetch("/api/session"));
    expect(answers.map(({ status }) => status)).toEqual([...Array.from({ length: 20 }, () => 200), 429, 429]);
    expect(answers.map(({ headers }) => headers.get("x-ratelimit-remaining"))).toEqual([
      ...Array.from({ length: 20 }, (_, index) => String(19 - index)),
      "0",
      "0",
    ]);
    expect(Number(answers.at(-1)?.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await other.fetch("/api/session")).status).toBe(200);
  });
});

describe("other caps", () => {
  test("[I4] keys made up for agents are looked at a thousand times an hour and address, and a good key elsewhere goes on", async () => {
    const key = (index: number) => {
      const text = `mig_agt1_${org.agentId}_${String(index).padStart(43, "A")}`;
      return `${text}_${crc32(text).toString(16).padStart(8, "0")}`;
    };
    const address = randomAddress();
    const body = { jobId: org.jobId, epoch: 1 };
    const ask = async (bearer: string, from: string) =>
      (
        await send(
          "POST",
          "/api/agent/grants",
          { authorization: `Bearer ${bearer}`, "cf-connecting-ip": from },
          body,
        )
      ).status;
    for (let from = 0; from < 1_000; from += 50) {
      const statuses = await Promise.all(
        Array.from({ length: 50 }, (_, index) => ask(key(from + index), address)),
      );
      expect(new Set(statuses)).toEqual(new Set([401]));
    }
    expect(await ask(key(1_000), address)).toBe(429);
    expect(await ask(org.agentKey, address)).toBe(429);
    expect(await ask(org.agentKey, randomAddress())).toBe(200);
  });

  test("[I4] an address signs in sixty times a minute, and is then asked to wait, on a page", async () => {
    const browser = new Browser(plane.origin);
    const answers = await Promise.all(Array.from({ length: 65 }, () => browser.fetch("/sso?token=x")));
    expect(answers.filter(({ status }) => status === 400)).toHaveLength(60);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(5);
    expect(refused[0]?.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(await refused[0]?.text()).toContain("Wait a minute");
    expect((await new Browser(plane.origin).fetch("/sso?token=x")).status).toBe(400);
  });

  test("[I4] refused sign-ins are kept for thirty days", async () => {
    await new Browser(plane.origin).fetch("/sso?token=x");
    const count = async () =>
      (
        await plane.database
          .prepare("select count(*) as n from sign_in_refusals where at > ?")
          .bind(0)
          .first<{ n: number }>()
      )?.n;
    expect(await count()).toBeGreaterThan(0);
    await plane.sweep(Date.now() + 29 * 86_400_000);
    expect(await count()).toBeGreaterThan(0);
    await plane.sweep(Date.now() + 30 * 86_400_000 + 1_000);
    expect(await count()).toBe(0);
  });
});

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly rest: Buffer;
}

/** The first whole frame of a server, which masks nothing; null until there is one. */
function nextFrame(bytes: Buffer): Frame | null {
  if (bytes.length < 2) return null;
  const short = (bytes[1] ?? 0) & 0x7f;
  const head = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < head) return null;
  const length =
    short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (bytes.length < head + length) return null;
  const payload = bytes.subarray(head, head + length);
  return { opcode: (bytes[0] ?? 0) & 0x0f, payload, rest: bytes.subarray(head + length) };
}

interface Key {
  readonly id: string;
  readonly key: string;
}
const makeKey = async (role: string, browser = owner, more = {}) =>
  await browser.post<Key>("/api/api-keys", { name: `for ${role}`, role, ...more });
const withKey = async (
  key: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
) => await send(method, path, { authorization: `Bearer ${key}`, ...headers }, body);

describe("API keys", () => {
  test("[I7] a key is shown once, kept as a hash only, and acts with its role", async () => {
    const [viewer, member] = [await makeKey("viewer"), await makeKey("member")];
    expect(viewer.key).toMatch(/^mig_api1_apk_/);
    expect((await owner.json("GET", "/api/api-keys")).text).not.toContain(viewer.key);
    const { results } = await plane.database
      .prepare("select * from api_keys where id = ?")
      .bind(viewer.id)
      .all();
    expect(JSON.stringify(results)).not.toContain(viewer.key.slice(-30));
    expect((await withKey(viewer.key, "GET", "/api/clients")).status).toBe(200);
    expect(await withKey(viewer.key, "POST", "/api/clients", { name: "x" })).toMatchObject({ status: 403 });
    const made = await withKey(member.key, "POST", "/api/clients", { name: "by a program" });
    expect(made.status).toBe(201);
    const entry = await plane.database
      .prepare("select * from audit_log where object_id = ?")
      .bind((made.body as { id: string }).id)
      .first();
    expect(entry).toMatchObject({ actor_kind: "api_key", actor_id: member.id });
    expect((await withKey(member.key, "GET", "/api/registration-codes")).status).toBe(403);
  });

  test("[I7] a revoked key and a lapsed one are worth nothing from that moment", async () => {
    const [revoked, lapsed] = [await makeKey("viewer"), await makeKey("viewer", owner, { validDays: 1 })];
    for (const { key } of [revoked, lapsed]) {
      expect((await withKey(key, "GET", "/api/clients")).status).toBe(200);
    }
    expect(await owner.post(`/api/api-keys/${revoked.id}/revoke`)).toMatchObject({ status: "revoked" });
    await plane.database
      .prepare("update api_keys set expires_at = ? where id = ?")
      .bind(Date.now(), lapsed.id)
      .run();
    for (const { key } of [revoked, lapsed]) {
      expect((await withKey(key, "GET", "/api/clients")).status).toBe(401);
    }
    expect(await owner.get(`/api/api-keys/${lapsed.id}`)).toMatchObject({ status: "expired" });
  });

  test("[I7] its last use is known to the minute, and written no more often", async () => {
    const { id, key } = await makeKey("viewer");
    const used = async () =>
      (await owner.get<{ lastUsedAt: string | null }>(`/api/api-keys/${id}`)).lastUsedAt;
    expect(await used()).toBeNull();
    await withKey(key, "GET", "/api/clients");
    const first = await used();
    expect(first).not.toBeNull();
    await withKey(key, "GET", "/api/clients");
    expect(await used()).toBe(first);
  });

  test("[I8] what is for people only is closed to every key", async () => {
    const { key } = await makeKey("admin");
    for (const [method, path] of [
      ["GET", "/api/session"],
      ["DELETE", "/api/session"],
      ["GET", "/api/sessions"],
      ["GET", "/api/api-keys"],
      ["POST", "/api/api-keys"],
      ["GET", "/api/live"],
    ] as const) {
      expect([path, await withKey(key, method, path)]).toMatchObject([path, { status: 403 }]);
    }
    const job = {
      projectId: org.projectId,
      agentId: org.agentId,
      name: "x",
      type: "migrate_files",
      source: { kind: "local", path: "/only/once" },
      destination: { prefix: unique() },
      options: { deletion: {} },
      confirmDeletionOf: "/only/once",
    };
    expect(await withKey(key, "POST", "/api/jobs", job)).toMatchObject({
      status: 403,
      body: { details: { fields: { "options.deletion": expect.any(String) } } },
    });
    const kept = { ...job, options: {}, confirmDeletionOf: undefined };
    expect(await withKey(key, "POST", "/api/jobs", kept)).toMatchObject({ status: 201 });
  });

  test("[I7] a key that was made up, one from a browser's page, and one beside a good cookie open nothing by themselves", async () => {
    const { key } = await makeKey("viewer");
    const text = `mig_api1_apk_${"0".repeat(26)}_${"A".repeat(43)}`;
    const madeUp = `${text}_${crc32(text).toString(16).padStart(8, "0")}`;
    for (const bad of ["", "x", madeUp, key.slice(0, -1), org.agentKey]) {
      const beside = { cookie: owner.cookieHeader };
      expect((await withKey(bad, "GET", "/api/clients", undefined, beside)).status).toBe(401);
    }
    expect((await withKey(key, "GET", "/api/clients", undefined, { origin: plane.origin })).status).toBe(401);
  });

  test("[I6] all keys of an organization share 100 requests a minute; sessions and other organizations do not feel it", async () => {
    const fresh = await makeOrganization();
    const keys = [await makeKey("viewer", fresh.people.owner), await makeKey("viewer", fresh.people.owner)];
    const answers = await Promise.all(
      Array.from({ length: 130 }, (_, index) => withKey(keys[index % 2]?.key ?? "", "GET", "/api/clients")),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(100);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(30);
    for (const { headers, body } of refused) {
      expect(body).toMatchObject({ code: "RATE_LIMIT_EXCEEDED" });
      expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
      expect(headers.get("x-ratelimit-limit")).toBe("100");
      expect(headers.get("x-ratelimit-remaining")).toBe("0");
      expect(Number(headers.get("x-ratelimit-reset"))).toBeGreaterThan(Date.now() / 1000);
    }
    expect((await fresh.people.owner.json("GET", "/api/clients")).status).toBe(200);
    expect((await withKey((await makeKey("viewer")).key, "GET", "/api/clients")).status).toBe(200);
  });

  test.each([
    ["/api/api-keys", { name: "once", role: "viewer" }],
    ["/api/registration-codes", { label: "once" }],
  ])(
    "[C5] POST %s with one key, 20 times at once, makes one, and each is told its secret",
    async (path, body) => {
      const headers = { "idempotency-key": crypto.randomUUID() };
      const answers = await Promise.all(Array.from({ length: 20 }, () => owner.post(path, body, headers)));
      const made = answers.map((answer) => answer as { id: string; key?: string; code?: string });
      expect(new Set(made.map(({ id }) => id)).size).toBe(1);
      expect(new Set(made.map(({ key, code }) => key ?? code)).size).toBe(1);
      const elsewhere = await makeOrganization();
      const other = await elsewhere.people.owner.post<{ id: string }>(path, body, headers);
      expect(other.id).not.toBe(made[0]?.id);
    },
  );
});

describe("live sockets", () => {
  /** Resolves with the code of the server's close frame, read from the bytes: what the client makes of it is its own affair. */
  const watch = async (browser: Browser, path: string) => {
    const { promise, resolve } = Promise.withResolvers<number>();
    const { status } = await upgrade(
      path,
      { cookie: browser.cookieHeader, origin: plane.origin },
      (socket) => {
        let held: Buffer = Buffer.alloc(0);
        socket.on("data", (bytes: Buffer) => {
          held = Buffer.concat([held, bytes]);
          for (let frame = nextFrame(held); frame !== null; frame = nextFrame(held)) {
            if (frame.opcode === 8) {
              resolve(frame.payload.readUInt16BE(0));
              return socket.destroy();
            }
            held = frame.rest;
          }
        });
      },
    );
    expect(status).toBe(101);
    return promise;
  };
  /** The sockets are open a moment after they were asked for. */
  const untilWatching = async () => await new Promise((resolve) => setTimeout(resolve, 500));
  const stillOpenAfter = async (closed: Promise<number>, ms: number) =>
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, ms, "open"))]);

  test.each([
    ["the organization", () => "/api/live"],
    ["a job", () => `/api/live?job=${org.jobId}`],
  ])("[I9] signing out closes the socket that watches %s at once, and no other", async (_what, path) => {
    const claims = { tenantId: org.tenantId, tenantName: org.canary, hub_user_id: `hub-${unique()}` };
    const [one, other] = [await signIn(claims), await signIn(claims)];
    const [ours, theirs] = [{ closed: watch(one, path()) }, { closed: watch(other, path()) }];
    await untilWatching();
    await one.json("DELETE", "/api/session");
    // Before anybody looks at the session again, which is after four seconds here.
    expect(await stillOpenAfter(ours.closed, 2_000)).toBe(4401);
    expect(await stillOpenAfter(theirs.closed, 300)).toBe("open");
  });

  test("[I9] ending another session, or all others, closes their sockets at once", async () => {
    const claims = { tenantId: org.tenantId, tenantName: org.canary, hub_user_id: `hub-${unique()}` };
    const [here, one, two, three] = [
      await signIn(claims),
      await signIn(claims),
      await signIn(claims),
      await signIn(claims),
    ];
    const [mine, first, second, third] = [here, one, two, three].map((browser) => ({
      closed: watch(browser, "/api/live"),
    }));
    await untilWatching();
    const { items } = await one.get<{ items: { id: string; current: boolean }[] }>("/api/sessions");
    await here.post(`/api/sessions/${items.find(({ current }) => current)?.id}/revoke`);
    expect(await stillOpenAfter(first?.closed ?? Promise.resolve(0), 2_000)).toBe(4401);
    expect(await stillOpenAfter(second?.closed ?? Promise.resolve(0), 100)).toBe("open");
    await here.post("/api/sessions/revoke-others");
    expect(await stillOpenAfter(second?.closed ?? Promise.resolve(0), 2_000)).toBe(4401);
    expect(await stillOpenAfter(third?.closed ?? Promise.resolve(0), 2_000)).toBe(4401);
    expect(await stillOpenAfter(mine?.closed ?? Promise.resolve(0), 300)).toBe("open");
  });

  test.each([
    ["the organization", () => "/api/live"],
    ["a job", () => `/api/live?job=${org.jobId}`],
  ])("[I9] a session that was ended, or whose role changed, loses its socket at %s", async (_what, path) => {
    const claims = { tenantId: org.tenantId, tenantName: org.canary };
    const [ended, lowered, stays] = [`hub-${unique()}`, `hub-${unique()}`, `hub-${unique()}`];
    const browsers = await Promise.all(
      [ended, lowered, stays].map(async (hub_user_id) => await signIn({ ...claims, hub_user_id })),
    );
    const lines = browsers.map((browser) => ({ closed: watch(browser, path()) }));
    await untilWatching();
    await plane.database
      .prepare(
        "update sessions set revoked_at = 1 where user_id in (select id from users where hub_user_id = ?)",
      )
      .bind(ended)
      .run();
    await plane.database
      .prepare("update users set role = 'viewer' where hub_user_id = ?")
      .bind(lowered)
      .run();
    expect(await lines[0]?.closed).toBe(4401);
    expect(await lines[1]?.closed).toBe(4402);
    expect(await stillOpenAfter(lines[2]?.closed ?? Promise.resolve(0), 1_000)).toBe("open");
    expect((await upgrade(path(), { origin: plane.origin })).status).toBe(401);
  });
});

test("[I1] asking as a machine, without an address, is counted as one", async () => {
  expect((await asMachine("POST", "/api/agent/register", { code: "AAAAAAAA", ...MACHINE })).status).toBe(403);
});
