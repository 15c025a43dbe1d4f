import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { health, type Health } from "../../schema/health.ts";
import { Browser, controlPlane, signIn, startControlPlane, unique, type ControlPlane } from "./harness.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await controlPlane();
});

const SECRETS = {
  PORTAL_SSO_SECRET: "health-sso-secret-0123456789-0123456789",
  SECRETS_KEYS: "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
  CODE_PEPPER: "health-code-pepper-0123456789-0123456789",
};

describe("health", () => {
  test("[V12] it tells each dependency's state, and when the sweep ran last", async () => {
    const before = Date.now();
    await plane.sweep();
    const response = await new Browser(plane.origin).fetch("/api/health");
    expect(response.status).toBe(200);
    const body = health.parse(await response.json());
    expect(body.status).toBe("ok");
    expect(body.checks).toMatchObject({
      database: { state: "ok", migration: expect.stringMatching(/^\d{4}_\w+$/) },
      durableObjects: { state: "ok" },
      keyRing: { state: "ok" },
      cron: { state: "ok" },
    });
    expect(Date.parse(body.checks.cron.lastRunAt ?? "")).toBeGreaterThanOrEqual(before - 1_000);
  });

  describe("of a deployment of its own", () => {
    let own: Awaited<ReturnType<typeof startControlPlane>>;
    beforeAll(async () => {
      own = await startControlPlane({ secrets: SECRETS });
    });
    afterAll(() => own.close());
    const ask = async (): Promise<{ status: number; body: Health; text: string }> => {
      const response = await own.fetch("/api/health");
      const text = await response.text();
      return { status: response.status, text, body: health.parse(JSON.parse(text)) };
    };

    test("[V12] before its first sweep it is ok and waits; a database without the newest migration, or without any, makes it 503", async () => {
      expect(await ask()).toMatchObject({
        status: 200,
        body: { status: "ok", checks: { cron: { state: "waiting", lastRunAt: null } } },
      });
      const run = (sql: string) => own.database.prepare(sql).bind().run();
      await run("create table kept as select * from d1_migrations");
      await run("delete from d1_migrations where id = (select max(id) from d1_migrations)");
      expect(await ask()).toMatchObject({
        status: 503,
        body: { status: "unavailable", checks: { database: { state: "behind" } } },
      });
      await run(
        "insert into d1_migrations select * from kept where id not in (select id from d1_migrations)",
      );
      await run("insert into d1_migrations (name, applied_at) values ('9999_later.sql', 'x')");
      expect(await ask()).toMatchObject({
        status: 200,
        body: { checks: { database: { migration: "9999_later" } } },
      });
      await run("drop table d1_migrations");
      const gone = await ask();
      expect(gone).toMatchObject({ status: 503, body: { checks: { database: { state: "unreachable" } } } });
      for (const secret of [...Object.values(SECRETS), "no such table", "d1_migrations"])
        expect(gone.text).not.toContain(secret);
    });

    test("[V12] a sweep that has not run for ten minutes degrades it, and it still serves", async () => {
      await own.sweep(Date.now() - 11 * 60_000);
      const { status, body } = await ask();
      expect(body.checks.cron.state).toBe("late");
      expect([status, body.status]).toEqual(
        body.checks.database.state === "ok" ? [200, "degraded"] : [503, "unavailable"],
      );
    });
  });

  test("[V12] without keys to seal with it is misconfigured", async () => {
    const own = await startControlPlane({ secrets: { ...SECRETS, SECRETS_KEYS: "k1:short" } });
    try {
      const response = await own.fetch("/api/health");
      expect(response.status).toBe(503);
      const body = health.parse(await response.json());
      expect(body).toMatchObject({ status: "misconfigured", checks: { keyRing: { state: "missing" } } });
    } finally {
      await own.close();
    }
  });
});

describe("requests", () => {
  const lines = () =>
    plane.logs().flatMap((text) => {
      try {
        return [JSON.parse(text) as Record<string, unknown>];
      } catch {
        return [];
      }
    });

  async function lineOf(id: string | null): Promise<Record<string, unknown> | undefined> {
    for (let tries = 0; tries < 50; tries++) {
      const line = lines().find(({ event, requestId }) => event === "request" && requestId === id);
      if (line !== undefined) return line;
      await new Promise((done) => setTimeout(done, 50));
    }
    return undefined;
  }

  test("[V13] each answer carries an id of our own making, and the log has one line with it", async () => {
    const browser = await signIn({ tenantId: `tenant-${unique()}` });
    const { organization } = await browser.get<{ organization: { id: string } }>("/api/session");
    const cases: [string, RequestInit, number, string | null, string | null][] = [
      ["/api/clients?limit=3", {}, 200, "/api/clients", organization.id],
      [`/api/clients/cli_${"0".repeat(26)}`, {}, 404, "/api/clients/:id", organization.id],
      ["/api/clients", { method: "POST", body: "{" }, 400, "/api/clients", organization.id],
      ["/api/nothing/somebody@example.com", {}, 404, null, null],
      ["/sso?token=a.b.c", {}, 401, "/sso", null],
    ];
    const ids = new Set<string | null>();
    for (const [path, init, status, route, orgId] of cases) {
      const response = await browser.fetch(path, { ...init, headers: { "x-request-id": "mine" } });
      await response.text();
      const id = response.headers.get("x-request-id");
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      ids.add(id);
      const line = await lineOf(id);
      expect(line, path).toEqual({
        event: "request",
        requestId: id,
        method: init.method ?? "GET",
        route,
        status: response.status,
        durationMs: expect.any(Number),
        orgId,
      });
      if (path !== "/sso?token=a.b.c") expect(response.status).toBe(status);
      expect(lines().filter(({ event, requestId }) => event === "request" && requestId === id).length).toBe(
        1,
      );
    }
    expect(ids.size).toBe(cases.length);
  });
});
