/**
 * Two organizations with one of everything each, and every route there is, walked from the policy table: a route that is
 * added without telling here how it is called makes these tests fail.
 */
import { crc32 } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { POLICIES, type Policy } from "../../worker/auth/policy.ts";
import {
  asMachine,
  Browser,
  controlPlane,
  makeOrganization,
  registerAgent,
  ROLES,
  signIn,
  unique,
  upgrade,
  type Answer,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

let plane: ControlPlane;
let ours: Organization;
let theirs: Organization;
beforeAll(async () => {
  plane = await controlPlane();
  [ours, theirs] = await Promise.all([makeOrganization(), makeOrganization()]);
});

interface Route {
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly policy: Policy;
}

const ROUTES: readonly Route[] = Object.entries(POLICIES).map(([key, policy]) => {
  const [method = "", path = ""] = key.split(" ");
  return { key, method, path, policy };
});
const USER_ROUTES = ROUTES.filter(({ policy }) => policy !== "public" && policy !== "agent");

/** What stands for `:id` below each resource. */
const IDS: Readonly<Record<string, (of: Organization) => string>> = {
  clients: (of) => of.clientId,
  "storage-connections": (of) => of.connectionId,
  projects: (of) => of.projectId,
  "registration-codes": (of) => of.openCodeId,
  "api-keys": (of) => of.apiKeyId,
  agents: (of) => of.agentId,
  jobs: (of) => of.jobId,
  sessions: (of) => of.sessionId,
  // Below the agents' own routes, too, an id is a job's.
  agent: (of) => of.jobId,
  azure: (of) => of.consentId,
  webhooks: (of) => of.webhookId,
};

/** A body each route takes, with references into an organization. */
const BODIES: Readonly<Record<string, (of: Organization) => unknown>> = {
  "POST /api/clients": () => ({ name: "Acme" }),
  "PATCH /api/clients/:id": () => ({ name: "Renamed" }),
  "POST /api/storage-connections": () => ({ kind: "connection_string", name: "x", connectionString: "none" }),
  "POST /api/storage-connections/:id/containers": () => ({ name: "container" }),
  "POST /api/projects": (of) => ({
    clientId: of.clientId,
    type: "file_migration",
    name: "Project",
    storage: { connectionId: of.connectionId, container: of.container },
  }),
  "POST /api/azure/consents": (of) => ({ connectionId: of.connectionId }),
  "POST /api/azure/consents/:id/connection": () => ({ name: "x", account: "devstoreaccount1" }),
  "PATCH /api/projects/:id": (of) => ({
    name: "Renamed",
    bandwidthSchedule: { timeZone: "UTC", windows: [], outsideMbps: 5 },
    storage: { connectionId: of.connectionId, container: of.container },
  }),
  "POST /api/registration-codes": () => ({ label: null }),
  "PATCH /api/registration-codes/:id": () => ({ label: "Renamed" }),
  "POST /api/registration-codes/:id/revoke": () => undefined,
  "POST /api/api-keys": () => ({ name: "Key", role: "viewer" }),
  "POST /api/api-keys/:id/revoke": () => undefined,
  "POST /api/webhooks": () => ({ url: `https://hooks.example.com/${unique()}` }),
  "POST /api/webhooks/:id/enable": () => undefined,
  "POST /api/webhooks/:id/test": () => undefined,
  "POST /api/agents/:id/unlock": () => undefined,
  "POST /api/agents/:id/approve": () => undefined,
  "POST /api/agents/:id/refuse": () => undefined,
  "PATCH /api/agents/:id": (of) => ({ name: "Renamed", clientId: of.clientId }),
  "POST /api/agents/:id/revoke": () => undefined,
  "POST /api/jobs": (of) => ({
    projectId: of.projectId,
    agentId: of.agentId,
    name: "Job",
    type: "migrate_files",
    source: { kind: "local", path: "/srv" },
    destination: { prefix: unique() },
  }),
  "PATCH /api/jobs/:id": (of) => ({ name: "Renamed", bandwidthMbps: 5, agentId: of.agentId }),
  "POST /api/jobs/:id/pause": () => undefined,
  "POST /api/jobs/:id/resume": () => undefined,
  "POST /api/jobs/:id/cancel": () => undefined,
  "POST /api/jobs/:id/finish": () => undefined,
  "POST /api/jobs/:id/retry": () => ({ only: "failed" }),
  "POST /api/jobs/:id/duplicate": (of) => ({
    agentId: of.agentId,
    name: "Copy",
    destination: { prefix: unique() },
  }),
  "POST /api/projects/:id/cancel": () => undefined,
  "POST /api/projects/:id/reopen": () => undefined,
  "POST /api/agent/register": () => undefined,
  "POST /api/agent/grants": (of) => ({ jobId: of.jobId, epoch: 1 }),
  "POST /api/agent/sync": () => ({
    line: "0".repeat(32),
    frame: null,
    received: 0,
    waitSeconds: 0,
    close: null,
  }),
  "PUT /api/agent/jobs/:id/manifest": () => undefined,
  "POST /api/agent/jobs/:id/manifest": () => undefined,
  "POST /api/sessions/:id/revoke": () => undefined,
  "POST /api/sessions/revoke-others": () => undefined,
  "POST /sso": () => undefined,
  "POST /dev/hub": () => undefined,
  "POST /api/agent/jobs/:id/quarantine": () => ({
    epoch: 1,
    filesLeft: 0,
    filesPurged: 1,
    checkedAt: "2026-11-23T00:00:00Z",
  }),
};

/** The same organization with ids that nobody has. */
function missing(of: Organization): Organization {
  const none = (id: string) => `${id.slice(0, 4)}${"0".repeat(26)}`;
  return {
    ...of,
    clientId: none(of.clientId),
    connectionId: none(of.connectionId),
    projectId: none(of.projectId),
    openCodeId: none(of.openCodeId),
    apiKeyId: none(of.apiKeyId),
    agentId: none(of.agentId),
    jobId: none(of.jobId),
    sessionId: none(of.sessionId),
    consentId: none(of.consentId),
    webhookId: none(of.webhookId),
  };
}

function pathOf({ path, key }: Route, of: Organization): string {
  if (!path.includes(":")) return path;
  const parts = path.split("/");
  // Of an agent's routes it is what stands right before it.
  const id = IDS[parts[2] ?? ""] ?? IDS[parts[parts.indexOf(":id") - 1] ?? ""];
  if (id === undefined || !/^[^:]*:id[^:]*$/.test(path))
    throw new Error(`Tell this test what the id in "${key}" is`);
  return path.replace(":id", id(of));
}

function bodyOf({ method, key }: Route, of: Organization): unknown {
  if (method === "GET" || method === "DELETE") return undefined;
  const body = BODIES[key];
  if (body === undefined) throw new Error(`Tell this test what body "${key}" takes`);
  return body(of);
}

async function call(
  route: Route,
  browser: Browser,
  of: Organization,
  idsOf: Organization = of,
): Promise<Answer> {
  return await browser.json(route.method, pathOf(route, idsOf), bodyOf(route, of));
}

const TABLES = [
  "organizations",
  "users",
  "clients",
  "storage_connections",
  "projects",
  "agents",
  "registration_codes",
  "agent_keys",
  "jobs",
  "job_failures",
  "audit_log",
  "api_keys",
  "job_usage",
  "manifests",
  "oauth_states",
  "outbox",
  "webhooks",
];
/** Tables that not every organization of these tests has a row in. */
const SPARSE = ["agent_keys", "api_keys", "job_usage", "manifests", "oauth_states", "outbox", "webhooks"];
/** Without what reading writes: the chain of the audit log, that an export was taken, and when a key was used last. */
const WITHOUT_TRACES: Readonly<Record<string, string>> = {
  audit_log:
    "select id, at, actor_id, action, object_id, details from audit_log where action <> 'audit.exported' and org_id = ? order by id",
  api_keys:
    "select id, name, key_hash, role, expires_at, revoked_at from api_keys where org_id = ? order by id",
};

/** Everything the database holds of an organization. */
async function everythingOf(orgId: string): Promise<Record<string, unknown[]>> {
  const asked = TABLES.map((table) =>
    plane.database.prepare(WITHOUT_TRACES[table] ?? `select * from ${table} where org_id = ?`).bind(orgId),
  );
  const answers = await plane.database.batch(asked);
  return Object.fromEntries(TABLES.map((table, index) => [table, answers[index]?.results ?? []]));
}

describe("organizations", () => {
  test("[C1] the snapshot these tests compare holds every table that belongs to organizations", async () => {
    const { results } = await plane.database
      .prepare("select name from sqlite_master where type = 'table' and sql like ?")
      .bind("%`org_id`%")
      .all<{ name: string }>();
    // A session is touched by using it.
    expect(results.map(({ name }) => name).sort()).toEqual([...TABLES, "sessions"].sort());
    for (const [table, rows] of Object.entries(await everythingOf(theirs.orgId))) {
      if (!SPARSE.includes(table)) expect(rows.length, table).toBeGreaterThan(0);
    }
  });

  for (const route of USER_ROUTES.filter(({ path }) => path.includes(":id"))) {
    test(`[C1] ${route.key} answers another organization's id as a missing one, and changes nothing of it`, async () => {
      const before = await everythingOf(theirs.orgId);
      const foreign = await call(route, ours.people.owner, ours, theirs);
      const none = await call(route, ours.people.owner, ours, missing(ours));
      expect(foreign.status).toBe(404);
      expect(foreign).toEqual(none);
      expect(await everythingOf(theirs.orgId)).toEqual(before);
    });
  }

  for (const route of USER_ROUTES.filter(
    ({ method, path }) => method === "GET" && !path.includes(":id") && path !== "/api/live",
  )) {
    test(`[C1] ${route.key} shows our things and none of theirs`, async () => {
      const { text } = await call(route, ours.people.owner, ours);
      for (const id of [
        theirs.canary,
        theirs.orgId,
        theirs.clientId,
        theirs.projectId,
        theirs.agentId,
        theirs.jobId,
      ]) {
        expect(text).not.toContain(id);
      }
      // Counts, and the audit log, have no names; a release is the same one for everybody.
      const nameless = [
        "/api/overview",
        "/api/audit",
        "/api/audit/export",
        "/api/release",
        "/api/release/executable",
      ];
      if (!nameless.includes(route.path)) expect(text).toContain(ours.canary);
    });
  }

  test("[C1] the overview counts our things only", async () => {
    const fresh = await makeOrganization();
    expect(await fresh.people.viewer.get("/api/overview")).toMatchObject({
      agents: { total: 1, online: 0 },
      connections: 1,
      clients: 1,
      projects: 1,
      jobs: { active: 1, completed: 0, failed: 0, cancelled: 0 },
    });
  });

  test.each([
    ["projects by client", (of: Organization) => `/api/projects?clientId=${of.clientId}`],
    ["jobs by project", (of: Organization) => `/api/jobs?projectId=${of.projectId}`],
    ["jobs by agent", (of: Organization) => `/api/jobs?agentId=${of.agentId}`],
    ["jobs behind a cursor", (of: Organization) => `/api/jobs?cursor=${of.jobId}&projectId=${of.projectId}`],
  ])(
    "[C1] a list of %s is empty for another organization's id, as for a missing one",
    async (_what, path) => {
      const { owner } = ours.people;
      const [foreign, none] = [
        await owner.json("GET", path(theirs)),
        await owner.json("GET", path(missing(theirs))),
      ];
      expect(foreign.body).toEqual({ items: [], nextCursor: null });
      expect(foreign).toEqual(none);
    },
  );

  /** Routes whose body refers to other things; each reference is tried alone. */
  const REFERENCES = [
    ["POST /api/projects", "clientId"],
    ["POST /api/projects", "connectionId"],
    ["POST /api/azure/consents", "connectionId"],
    ["PATCH /api/projects/:id", "connectionId"],
    ["PATCH /api/agents/:id", "clientId"],
    ["POST /api/jobs", "projectId"],
    ["POST /api/jobs", "agentId"],
    ["PATCH /api/jobs/:id", "agentId"],
    ["POST /api/jobs/:id/duplicate", "agentId"],
  ] as const;

  test.each(REFERENCES)(
    "[C1] %s with another organization's %s is refused as with a missing one",
    async (key, field) => {
      const route = ROUTES.find((candidate) => candidate.key === key) as Route;
      const before = [await everythingOf(ours.orgId), await everythingOf(theirs.orgId)];
      const foreign = await call(route, ours.people.owner, { ...ours, [field]: theirs[field] }, ours);
      const none = await call(route, ours.people.owner, { ...ours, [field]: missing(ours)[field] }, ours);
      expect(foreign.status).toBe(400);
      expect(foreign).toEqual(none);
      expect([await everythingOf(ours.orgId), await everythingOf(theirs.orgId)]).toEqual(before);
    },
  );

  test("[C1] every body that refers to something is among those tried", () => {
    const referring = Object.entries(BODIES)
      .filter(([key]) => POLICIES[key] !== "agent")
      .flatMap(([key, body]) => {
        const text = JSON.stringify(body(ours) ?? null);
        return (["clientId", "connectionId", "projectId", "agentId", "jobId"] as const)
          .filter((field) => text.includes(ours[field]))
          .map((field) => `${key} ${field}`);
      });
    expect(referring.sort()).toEqual(REFERENCES.map((pair) => pair.join(" ")).sort());
  });

  test("[C1] the live socket of another organization's job is answered as that of a missing one", async () => {
    const headers = { cookie: ours.people.owner.cookieHeader, origin: plane.origin };
    const foreign = await upgrade(`/api/live?job=${theirs.jobId}`, headers);
    expect(foreign.status).toBe(404);
    expect(foreign).toEqual(await upgrade(`/api/live?job=${missing(theirs).jobId}`, headers));
    expect((await upgrade(`/api/live?job=${ours.jobId}`, headers)).status).toBe(101);
  });

  test("[C1] an agent's key opens no job of another organization", async () => {
    const foreign = await asMachine(
      "POST",
      "/api/agent/grants",
      { jobId: theirs.jobId, epoch: 1 },
      ours.agentKey,
    );
    const none = await asMachine(
      "POST",
      "/api/agent/grants",
      { jobId: missing(theirs).jobId, epoch: 1 },
      ours.agentKey,
    );
    expect(foreign.status).toBe(404);
    expect(foreign).toEqual(none);
  });

  test("[C1] a row that points into another organization cannot be stored at all", async () => {
    const { database } = plane;
    const move = (table: string, column: string, value: string, id: string) =>
      database
        .prepare(`update ${table} set ${column} = ? where org_id = ? and id = ?`)
        .bind(value, ours.orgId, id)
        .run();
    await expect(move("projects", "client_id", theirs.clientId, ours.projectId)).rejects.toThrow(
      /FOREIGN KEY/,
    );
    await expect(move("projects", "connection_id", theirs.connectionId, ours.projectId)).rejects.toThrow(
      /FOREIGN KEY/,
    );
    await expect(move("jobs", "project_id", theirs.projectId, ours.jobId)).rejects.toThrow(/FOREIGN KEY/);
    await expect(move("jobs", "agent_id", theirs.agentId, ours.jobId)).rejects.toThrow(/FOREIGN KEY/);
    await expect(move("agents", "client_id", theirs.clientId, ours.agentId)).rejects.toThrow(/FOREIGN KEY/);
  });

  test("[C1] nothing an organization can say makes the API take it for another: query, body and headers", async () => {
    const { owner } = ours.people;
    const headers = {
      "x-migrate-org": theirs.orgId,
      "x-migrate-job": theirs.jobId,
      "x-org-id": theirs.orgId,
    };
    expect((await owner.json("GET", "/api/clients", undefined, headers)).text).not.toContain(theirs.canary);
    expect((await owner.json("GET", `/api/clients?orgId=${theirs.orgId}`)).status).toBe(400);
    expect((await owner.json("POST", "/api/clients", { name: "x", orgId: theirs.orgId })).status).toBe(400);
  });
});

describe("roles", () => {
  for (const route of USER_ROUTES) {
    test(`[C2] ${route.key} is for the role "${route.policy}" and above`, async () => {
      const before = await everythingOf(ours.orgId);
      const least = ROLES.findIndex((role) => role === route.policy);
      for (const [rank, role] of ROLES.entries()) {
        // What may be done is tried on nothing, so that it does nothing; signing out would end the test's own session.
        if (rank >= least && route.method === "DELETE") continue;
        const path = pathOf(route, rank < least ? ours : missing(ours));
        const body = rank < least ? bodyOf(route, ours) : undefined;
        const { status, body: answer } = await ours.people[role].json(route.method, path, body);
        if (rank < least) expect([role, status, answer]).toMatchObject([role, 403, { code: "FORBIDDEN" }]);
        else expect([role, [200, 400, 404].includes(status), status]).toEqual([role, true, status]);
      }
      expect(await everythingOf(ours.orgId)).toEqual(before);
    });

    test(`[C2] ${route.key} is refused without a session, and with an agent's key instead of one`, async () => {
      const path = pathOf(route, ours);
      const body = bodyOf(route, ours);
      const nobody = await new Browser(plane.origin).json(route.method, path, body);
      expect(nobody).toMatchObject({ status: 401, body: { code: "UNAUTHORIZED" } });
      const key = { authorization: `Bearer ${ours.agentKey}` };
      expect((await new Browser(plane.origin).json(route.method, path, body, key)).status).toBe(401);
    });
  }

  for (const route of ROUTES.filter(({ policy }) => policy === "agent")) {
    test(`[C2] ${route.key} is refused to people, to keys that are wrong, and to browsers with the right key`, async () => {
      const { key: method } = { key: route.method };
      const body = bodyOf(route, ours);
      expect((await ours.people.owner.json(method, route.path, body)).status).toBe(401);
      const wrong = ours.agentKey.replace(/_[0-9a-f]{8}$/, "_00000000");
      for (const key of [undefined, "", "x", wrong, ours.agentKey.slice(0, -1), `${ours.agentKey}0`]) {
        expect((await asMachine(method, route.path, body, key)).status).toBe(401);
      }
      // The key of one agent with the name of another has a checksum that fits, but a secret that does not.
      const headers = { authorization: `Bearer ${ours.agentKey}` };
      expect((await new Browser(plane.origin).json(method, route.path, body, headers)).status).toBe(401);
    });
  }

  test("[C2] asking with a key that somebody made up leaves no trace at the agent's object", async () => {
    const keyFor = (agentId: string) => {
      const text = `mig_agt1_${agentId}_${"A".repeat(43)}`;
      return `${text}_${crc32(text).toString(16).padStart(8, "0")}`;
    };
    const nobody = missing(ours).agentId.replace(/0$/, "7");
    const key = keyFor(nobody);
    expect((await asMachine("POST", "/api/agent/grants", { jobId: ours.jobId, epoch: 1 }, key)).status).toBe(
      401,
    );
    expect(await plane.objectRows(nobody, "select name from sqlite_master where name not glob '_*'")).toEqual(
      [],
    );
    const stolen = keyFor(ours.agentId);
    expect(
      (await asMachine("POST", "/api/agent/grants", { jobId: ours.jobId, epoch: 1 }, stolen)).status,
    ).toBe(401);
  });

  test("[C2] an address nobody serves is answered 404, whatever its method", async () => {
    for (const [method, path] of [
      ["GET", "/api/nothing"],
      ["POST", "/api/health"],
      ["PUT", "/api/clients"],
      ["DELETE", `/api/jobs/${ours.jobId}`],
      ["GET", "/api/clients/"],
      ["GET", "/api//clients"],
    ] as const) {
      const { status, body } = await ours.people.owner.json(method, path);
      expect([path, status, body]).toMatchObject([path, 404, { code: "NOT_FOUND" }]);
    }
  });
});

describe("the matrix", () => {
  const KEY_ROLES = ["viewer", "member", "admin"] as const;
  const PRINCIPALS = [
    ...ROLES.map((role) => `our ${role}` as const),
    "their owner",
    "our agent",
    "our other agent",
    "their agent",
    ...KEY_ROLES.map((role) => `our ${role}'s API key` as const),
    "their admin's API key",
    "nobody",
  ] as const;
  type Principal = (typeof PRINCIPALS)[number];
  type Outcome = "in" | "hidden" | "forbidden" | "unknown";
  const keys = new Map<Principal, string>();
  /** Whose organization it is; ours, but for keys: those of one organization may ask a hundred times a minute in all. */
  const homes = new Map<Principal, Organization>();
  const homeOf = (principal: Principal) => homes.get(principal) ?? ours;
  const cells = new Set<string>();

  beforeAll(async () => {
    const newKey = async (of: Organization, role: string) =>
      (await of.people.owner.post<{ key: string }>("/api/api-keys", { name: `Key ${of.canary}`, role })).key;
    for (const role of KEY_ROLES) {
      const home = await makeOrganization();
      homes.set(`our ${role}'s API key`, home);
      keys.set(`our ${role}'s API key`, await newKey(home, role));
    }
    keys.set("their admin's API key", await newKey(theirs, "admin"));
    keys.set("our agent", ours.agentKey);
    keys.set("our other agent", (await registerAgent(ours.people.owner, `other ${ours.canary}`)).key);
    keys.set("their agent", theirs.agentKey);
  });

  test("[I7] a key for each role that a key can have is among those who ask", async () => {
    const { owner } = ours.people;
    const accepted: string[] = [];
    for (const role of ROLES)
      if ((await owner.json("POST", "/api/api-keys", { name: "x", role })).status === 201)
        accepted.push(role);
    expect(accepted.toSorted()).toEqual(KEY_ROLES.toSorted());
  });

  /** What the policy table and the organization of whoever asks say, written down once more and without the Worker's code. */
  function expected({ key, path, policy }: Route, principal: Principal): Outcome {
    if (policy === "public") return "in";
    const forPeople = /^\w+ \/api\/(sessions?|api-keys|azure|webhooks)(\/|$)|^GET \/api\/live$/.test(key);
    const least = ROLES.findIndex((role) => role === policy);
    const foreign = path.includes(":id") ? "hidden" : "in";
    const role = ROLES.findIndex((one) => principal.startsWith(`our ${one}`));
    switch (principal) {
      case "our owner":
      case "our admin":
      case "our member":
      case "our viewer":
        if (policy === "agent") return "unknown";
        return role >= least ? "in" : "forbidden";
      case "their owner":
        return policy === "agent" ? "unknown" : foreign;
      case "our agent":
        return policy === "agent" ? "in" : "unknown";
      case "our other agent":
      case "their agent":
        if (policy !== "agent") return "unknown";
        // About a job, which is another agent's; all else is about the agent itself.
        return path.includes(":id") || key === "POST /api/agent/grants" ? "hidden" : "in";
      case "our viewer's API key":
      case "our member's API key":
      case "our admin's API key":
        if (policy === "agent") return "unknown";
        return forPeople || role < least ? "forbidden" : "in";
      case "their admin's API key":
        if (policy === "agent") return "unknown";
        return forPeople || ROLES.indexOf("admin") < least ? "forbidden" : foreign;
      case "nobody":
        return "unknown";
    }
  }

  /** What some routes have to be asked with before they look whose thing it is. */
  const DIGEST = "0".repeat(64);
  const QUERIES: Readonly<Record<string, string>> = {
    "GET /api/agent/jobs/:id/manifest": "?epoch=1",
    "PUT /api/agent/jobs/:id/manifest": `?epoch=1&part=${DIGEST}`,
    "GET /api/agent/jobs/:id/only": "?epoch=1",
    "GET /api/agent/release/executable": "?path=migrate-agent-0.0.0",
    "GET /api/release/executable": "?path=migrate-agent-0.0.0",
  };
  const MATRIX_BODIES: Readonly<Record<string, unknown>> = {
    "POST /api/agent/jobs/:id/manifest": { epoch: 1, sha256: DIGEST, rows: 0, parts: [DIGEST] },
  };

  /** Ours by right ask for what is not there, so that they change nothing; all others ask for what is ours. */
  async function asked(route: Route, principal: Principal): Promise<Answer> {
    const isIn = expected(route, principal) === "in";
    const home = homeOf(principal);
    const idsOf = isIn && principal.startsWith("our ") ? missing(home) : home;
    // A body is only sent where it is refused, or names nothing that is there.
    const isEmpty = isIn && route.policy !== "agent";
    const body = isEmpty ? undefined : (MATRIX_BODIES[route.key] ?? bodyOf(route, idsOf));
    const path = pathOf(route, idsOf) + (QUERIES[route.key] ?? "");
    const key = keys.get(principal);
    if (key !== undefined) return await asMachine(route.method, path, body, key);
    return await (await browserOf(route, principal)).json(route.method, path, body);
  }

  async function browserOf(route: Route, principal: Principal): Promise<Browser> {
    if (principal === "nobody") return new Browser(plane.origin);
    const [of, role] = principal === "their owner" ? [theirs, "owner" as const] : [ours, roleOf(principal)];
    if (!ENDS_SESSIONS.includes(route.key)) return of.people[role];
    // With a session of its own, because others would end with it.
    return await signIn({ tenantId: of.tenantId, tenantName: of.canary, orgRole: role });
  }
  const ENDS_SESSIONS = ["DELETE /api/session", "POST /api/sessions/revoke-others"];

  function roleOf(principal: Principal): (typeof ROLES)[number] {
    return ROLES.find((role) => principal === `our ${role}`) ?? "viewer";
  }

  function outcomeOf({ status }: Answer): Outcome {
    if (status === 401) return "unknown";
    if (status === 403) return "forbidden";
    return status === 404 ? "hidden" : "in";
  }

  for (const route of ROUTES) {
    test(`[C1, C2] ${route.key}: each of ${PRINCIPALS.length} principals gets what is theirs, and nothing of ours is changed or told`, async () => {
      const everybodys = async () =>
        await Promise.all([ours, ...homes.values()].map(({ orgId }) => everythingOf(orgId)));
      const before = await everybodys();
      const wrong: string[] = [];
      for (const principal of PRINCIPALS) {
        const answer = await asked(route, principal);
        const outcome = expected(route, principal);
        // What is let in asks for nothing that is there: whether it is found is not the question. A public route looks at
        // what was brought, not at who brings it.
        const isRight =
          outcome === "in"
            ? route.policy === "public" || ["in", "hidden"].includes(outcomeOf(answer))
            : outcomeOf(answer) === outcome;
        const isUnwell = answer.status >= 500 && answer.status !== 503;
        if (!isRight || isUnwell) wrong.push(`${principal}: ${answer.status}, not ${outcome}`);
        const isOther = principal.startsWith("their") || principal === "nobody" || route.policy === "public";
        if (isOther && [ours.canary, ours.orgId].some((text) => answer.text.includes(text)))
          wrong.push(`${principal} is told of ours`);
        cells.add(`${route.key}: ${principal}`);
      }
      expect(wrong).toEqual([]);
      if (!ENDS_SESSIONS.includes(route.key)) expect(await everybodys()).toEqual(before);
    });
  }

  test("[C2] the matrix has a cell for every route and every principal", () => {
    expect(cells.size).toBe(Object.keys(POLICIES).length * PRINCIPALS.length);
    console.log(`${cells.size} cells of the access matrix`);
  });
});

describe("requests", () => {
  const WITH_BODY = ROUTES.filter(
    ({ key }) => BODIES[key]?.(missingAtLoad) !== undefined || key === "POST /api/agent/register",
  );

  for (const route of WITH_BODY) {
    const asked = async (text: string, type = "application/json"): Promise<Answer> => {
      const headers = { "content-type": type };
      if (route.policy === "agent" || route.policy === "public") {
        const authorization = { authorization: `Bearer ${ours.agentKey}` };
        const response = await fetch(plane.origin + route.path, {
          method: route.method,
          headers: { ...headers, ...authorization },
          body: text,
        });
        return { status: response.status, text: "", body: await response.json() };
      }
      const response = await ours.people.owner.fetch(pathOf(route, ours), {
        method: route.method,
        headers,
        body: text,
      });
      return { status: response.status, text: "", body: await response.json() };
    };
    const refused = (fields: unknown) => ({
      status: 400,
      body: { error: expect.any(String), code: "VALIDATION_ERROR", details: { fields } },
    });
    const good = () => {
      if (route.key === "POST /api/agent/register")
        return { code: "x", host: "h", os: "linux", arch: "x64", version: "1" };
      return bodyOf(route, ours) as Record<string, unknown>;
    };

    test(`[C3] ${route.key} refuses what is not JSON, or does not say that it is`, async () => {
      for (const text of ["", "{", "undefined", '{"name":"x"', "\u0000"]) {
        expect(await asked(text)).toMatchObject(refused({ "": expect.any(String) }));
      }
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
        expect(await asked(JSON.stringify(good()), type)).toMatchObject(refused({ "": expect.any(String) }));
      }
    });

    test(`[C3] ${route.key} refuses a body that is no object`, async () => {
      for (const value of [null, 1, "x", true, [], [good()]]) {
        expect(await asked(JSON.stringify(value))).toMatchObject({
          status: 400,
          body: { code: "VALIDATION_ERROR" },
        });
      }
    });

    test(`[C3] ${route.key} refuses unknown keys and names each of them`, async () => {
      const text = JSON.stringify({ ...good(), surprise: 1, orgId: theirs.orgId }).replace(
        "{",
        '{"constructor":1,"toString":2,',
      );
      const unknown = {
        surprise: expect.any(String),
        orgId: expect.any(String),
        constructor: expect.any(String),
      };
      expect(await asked(text)).toMatchObject(refused(unknown));
    });

    test(`[C3] ${route.key} refuses a body of more than 512 KiB`, async () => {
      expect((await asked(JSON.stringify({ ...good(), name: "x".repeat(600_000) }))).status).toBe(400);
    });
  }

  test("[C3] each wrong field has a message of its own", async () => {
    const body = {
      projectId: "prj_1",
      agentId: 7,
      name: "   ",
      type: "migrate_mailbox",
      source: { kind: "local", path: "relative/path" },
      options: { concurrency: 33, chunkSizeMiB: 0.5, filters: { include: [""], sizeBytesMin: -1 } },
    };
    const { status, body: answer } = await ours.people.owner.json("POST", "/api/jobs", body);
    expect(status).toBe(400);
    const { fields } = (answer as { details: { fields: Record<string, string> } }).details;
    expect(Object.keys(fields).sort()).toEqual([
      "agentId",
      "name",
      "options.chunkSizeMiB",
      "options.concurrency",
      "options.filters.include.0",
      "options.filters.sizeBytesMin",
      "projectId",
      "source.path",
      "type",
    ]);
  });

  test("[C3] a change without a field is no change and no error", async () => {
    for (const path of [
      `/api/clients/${ours.clientId}`,
      `/api/projects/${ours.projectId}`,
      `/api/agents/${ours.agentId}`,
      `/api/jobs/${ours.jobId}`,
    ]) {
      expect((await ours.people.owner.json("PATCH", path, {})).status, path).toBe(200);
    }
  });

  test("[C3] filters too long for the agent to hear are refused before they are stored", async () => {
    const exclude = Array.from({ length: 1_000 }, () => "x".repeat(400));
    const body = { ...(BODIES["POST /api/jobs"]?.(ours) as object), options: { filters: { exclude } } };
    const { status, body: answer } = await ours.people.owner.json("POST", "/api/jobs", body);
    expect(status).toBe(400);
    expect(answer).toMatchObject({ details: { fields: { "options.filters": expect.any(String) } } });
  });

  test.each(["limit=0", "limit=201", "limit=x", "limit=1.5", "surprise=1", `cursor=${"x".repeat(65)}`])(
    "[C3] a list asked with %s is refused",
    async (query) => {
      expect((await ours.people.owner.json("GET", `/api/clients?${query}`)).status).toBe(400);
    },
  );
});

/** Only to see, before there are organizations, which routes take a body. */
const missingAtLoad = new Proxy({} as Organization, { get: () => "" });
