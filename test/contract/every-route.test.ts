/**
 * Every route that changes something, asked twice as after a lost answer; and every statement that the Worker sends to D1
 * meanwhile, looked at for whether it stays within one organization. Both are walked from the policy table: a route that is
 * added without telling here how it is called makes these tests fail.
 */
import { gzipSync } from "node:zlib";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../../tools/environment.ts";
import { POLICIES } from "../../worker/auth/policy.ts";
import {
  asMachine,
  azurite,
  controlPlane,
  makeConnection,
  makeJob,
  makeOrganization,
  registerAgent,
  signIn,
  unique,
  type Answer,
  type Browser,
  type ControlPlane,
  type Organization,
} from "./harness.ts";
import { manifestText, reported, sha256 } from "./manifest-upload.ts";
import { beyondOrganization, predicatesOf, withoutPredicate } from "./statements.ts";

let plane: ControlPlane;
let org: Organization;
let owner: Browser;
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
  ({ owner } = org.people);
});

/** How a request is answered that comes a second time, with the same `Idempotency-Key`. */
type Repeat =
  /** As the first one. */
  | { readonly kind: "alike"; readonly writes?: readonly string[] }
  /** What it removed is not there any more, which is what was asked for. */
  | { readonly kind: "gone" }
  /** It says something else, and here is why that is right. Where it writes, it writes into these tables only. */
  | {
      readonly kind: "otherwise";
      readonly status: number;
      readonly why: string;
      readonly writes?: readonly string[];
    }
  /** Another test does it, which needs more than one request. */
  | { readonly kind: "proved"; readonly file: string; readonly test: string };

interface Write {
  readonly repeat: Repeat;
  /** Makes what the request is about, and gives back what sends it. */
  readonly begin?: () => Promise<(headers: Record<string, string>) => Promise<Answer>>;
}

const ALIKE: Repeat = { kind: "alike" };
const GONE: Repeat = { kind: "gone" };

const asOwner =
  (method: string, path: string, body?: unknown) =>
  (headers: Record<string, string>): Promise<Answer> =>
    owner.json(method, path, body, headers);
const asAgent = (method: string, path: string, body?: unknown) => (): Promise<Answer> =>
  asMachine(method, path, body, org.agentKey);

const newClient = async () => (await owner.post<{ id: string }>("/api/clients", { name: unique() })).id;
const projectBody = () => ({
  clientId: org.clientId,
  type: "file_migration",
  name: unique(),
  storage: { connectionId: org.connectionId, container: org.container },
});
const newProject = async () => (await owner.post<{ id: string }>("/api/projects", projectBody())).id;
const jobBody = () => ({
  projectId: org.projectId,
  agentId: org.agentId,
  name: unique(),
  type: "migrate_files",
  source: { kind: "local", path: "/srv" },
  destination: { prefix: unique() },
});
const newJob = async (type = "migrate_files") =>
  (await makeJob(owner, { projectId: org.projectId, agentId: org.agentId, type })).id;
const newAgent = async () => (await registerAgent(owner, unique())).agentId;
const newWebhook = async () => {
  const body = { url: `http://127.0.0.1:9/${unique()}`, events: ["project.auth_required"] };
  return (await owner.post<{ id: string }>("/api/webhooks", body)).id;
};
async function lockedAgent(): Promise<string> {
  const id = await newAgent();
  await plane.database.prepare("update agents set status = 'locked' where id = ?").bind(id).run();
  return id;
}
async function pendingAgent(): Promise<string> {
  const id = await newAgent();
  await plane.database.prepare("update agents set status = 'pending' where id = ?").bind(id).run();
  return id;
}

/** A run that has ended, and the manifest its agent has of it. */
async function endedRun() {
  const id = await newJob();
  const text = manifestText(3);
  const manifest = { epoch: 1, sha256: sha256(text), rows: 3 };
  await reported(plane, id, manifest);
  const packed = gzipSync(text);
  const part = sha256(packed);
  const path = `/api/agent/jobs/${id}/manifest`;
  const send = async (): Promise<Answer> => {
    const response = await fetch(`${plane.origin}${path}?epoch=1&part=${part}`, {
      method: "PUT",
      headers: { authorization: `Bearer ${org.agentKey}` },
      body: packed,
    });
    return { status: response.status, text: await response.text(), body: null };
  };
  return { path, send, completion: { ...manifest, parts: [part] } };
}

const WRITES: Readonly<Record<string, Write>> = {
  "POST /sso": {
    repeat: {
      kind: "proved",
      file: "sign-in.test.ts",
      test: "[S3] a token that was used signs in nowhere a second time",
    },
  },
  "POST /dev/hub": {
    repeat: {
      kind: "proved",
      file: "sign-in.test.ts",
      test: "[S7] in development, with its secret, it signs in as whom one likes",
    },
  },

  "DELETE /api/session": {
    repeat: { kind: "otherwise", status: 401, why: "nobody is signed in any more" },
    begin: async () => {
      const browser = await signIn({ tenantId: org.tenantId, hub_user_id: unique() });
      const cookie = browser.cookieHeader;
      return (headers) => browser.json("DELETE", "/api/session", undefined, { ...headers, cookie });
    },
  },
  "POST /api/sessions/revoke-others": {
    repeat: { kind: "otherwise", status: 200, why: "it says how many it ended" },
    begin: async () => {
      const hub_user_id = unique();
      await signIn({ tenantId: org.tenantId, hub_user_id });
      const browser = await signIn({ tenantId: org.tenantId, hub_user_id });
      return (headers) => browser.json("POST", "/api/sessions/revoke-others", undefined, headers);
    },
  },
  "POST /api/sessions/:id/revoke": {
    repeat: ALIKE,
    begin: async () => {
      await signIn({ tenantId: org.tenantId, hub_user_id: unique() });
      const { items } = await owner.get<{ items: { id: string; current: boolean }[] }>("/api/sessions?all=1");
      return asOwner("POST", `/api/sessions/${items.find(({ current }) => !current)?.id}/revoke`);
    },
  },

  "POST /api/clients": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", "/api/clients", { name: unique() }),
  },
  "PATCH /api/clients/:id": {
    repeat: ALIKE,
    begin: async () =>
      asOwner("PATCH", `/api/clients/${await newClient()}`, {
        name: unique(),
        contactName: "x",
        status: "archived",
      }),
  },
  "DELETE /api/clients/:id": {
    repeat: GONE,
    begin: async () => asOwner("DELETE", `/api/clients/${await newClient()}`),
  },

  "POST /api/storage-connections": {
    repeat: ALIKE,
    begin: async () => {
      const { connectionString } = await azurite();
      return asOwner("POST", "/api/storage-connections", {
        kind: "connection_string",
        name: unique(),
        connectionString,
      });
    },
  },
  "DELETE /api/storage-connections/:id": {
    repeat: GONE,
    begin: async () => {
      const { id } = await makeConnection(owner, unique());
      return asOwner("DELETE", `/api/storage-connections/${id}`);
    },
  },
  "POST /api/storage-connections/:id/containers": {
    repeat: ALIKE,
    begin: async () => {
      const { id } = await makeConnection(owner, unique());
      return asOwner("POST", `/api/storage-connections/${id}/containers`, { name: `c-${unique()}` });
    },
  },
  "POST /api/azure/consents": {
    repeat: {
      kind: "otherwise",
      status: 201,
      why: "it begins another attempt to sign in, which is worth nothing by itself and gone in an hour",
      writes: ["oauth_states", "audit_log"],
    },
    begin: async () => asOwner("POST", "/api/azure/consents", {}),
  },
  "POST /api/azure/consents/:id/connection": {
    repeat: {
      kind: "proved",
      file: "azure-oauth.test.ts",
      test: "[M1] the same request twice makes one connection",
    },
  },

  "POST /api/projects": { repeat: ALIKE, begin: async () => asOwner("POST", "/api/projects", projectBody()) },
  "PATCH /api/projects/:id": {
    repeat: ALIKE,
    begin: async () =>
      asOwner("PATCH", `/api/projects/${await newProject()}`, {
        name: unique(),
        bandwidthSchedule: { timeZone: "UTC", windows: [], outsideMbps: 5 },
        storage: { connectionId: org.connectionId, container: org.container, tier: "Cool", prefix: "x" },
      }),
  },
  "POST /api/projects/:id/cancel": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", `/api/projects/${await newProject()}/cancel`),
  },
  "POST /api/projects/:id/reopen": {
    repeat: ALIKE,
    begin: async () => {
      const id = await newProject();
      await owner.post(`/api/projects/${id}/cancel`);
      return asOwner("POST", `/api/projects/${id}/reopen`);
    },
  },
  "DELETE /api/projects/:id": {
    repeat: GONE,
    begin: async () => asOwner("DELETE", `/api/projects/${await newProject()}`),
  },

  "POST /api/registration-codes": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", "/api/registration-codes", { label: unique() }),
  },
  "PATCH /api/registration-codes/:id": {
    repeat: ALIKE,
    begin: async () => asOwner("PATCH", `/api/registration-codes/${org.openCodeId}`, { label: unique() }),
  },
  "POST /api/registration-codes/:id/revoke": {
    repeat: ALIKE,
    begin: async () => {
      const { id } = await owner.post<{ id: string }>("/api/registration-codes", { label: null });
      return asOwner("POST", `/api/registration-codes/${id}/revoke`);
    },
  },

  "POST /api/api-keys": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", "/api/api-keys", { name: unique(), role: "member" }),
  },
  "POST /api/api-keys/:id/revoke": {
    repeat: ALIKE,
    begin: async () => {
      const { id } = await owner.post<{ id: string }>("/api/api-keys", { name: unique(), role: "viewer" });
      return asOwner("POST", `/api/api-keys/${id}/revoke`);
    },
  },

  "POST /api/webhooks": {
    repeat: ALIKE,
    begin: async () =>
      asOwner("POST", "/api/webhooks", {
        url: `http://127.0.0.1:9/${unique()}`,
        events: ["project.auth_required"],
      }),
  },
  "DELETE /api/webhooks/:id": {
    repeat: GONE,
    begin: async () => asOwner("DELETE", `/api/webhooks/${await newWebhook()}`),
  },
  "POST /api/webhooks/:id/enable": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", `/api/webhooks/${await newWebhook()}/enable`),
  },
  "POST /api/webhooks/:id/test": {
    repeat: { kind: "otherwise", status: 200, why: "it sends another test, and says how long that took" },
    begin: async () => asOwner("POST", `/api/webhooks/${await newWebhook()}/test`),
  },

  "PATCH /api/agents/:id": {
    repeat: ALIKE,
    begin: async () =>
      asOwner("PATCH", `/api/agents/${await newAgent()}`, { name: unique(), clientId: org.clientId }),
  },
  "DELETE /api/agents/:id": {
    repeat: GONE,
    begin: async () => {
      const id = await newAgent();
      await owner.post(`/api/agents/${id}/revoke`);
      return asOwner("DELETE", `/api/agents/${id}`);
    },
  },
  "POST /api/agents/:id/revoke": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", `/api/agents/${await newAgent()}/revoke`),
  },
  "POST /api/agents/:id/unlock": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", `/api/agents/${await lockedAgent()}/unlock`),
  },
  "POST /api/agents/:id/approve": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", `/api/agents/${await pendingAgent()}/approve`),
  },
  "POST /api/agents/:id/refuse": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", `/api/agents/${await pendingAgent()}/refuse`),
  },

  "POST /api/jobs": { repeat: ALIKE, begin: async () => asOwner("POST", "/api/jobs", jobBody()) },
  "PATCH /api/jobs/:id": {
    repeat: ALIKE,
    begin: async () => {
      const id = await newJob();
      const [agentId, startAt] = [await newAgent(), new Date(Date.now() + 86_400_000).toISOString()];
      return asOwner("PATCH", `/api/jobs/${id}`, { name: unique(), bandwidthMbps: 7, agentId, startAt });
    },
  },
  "POST /api/jobs/:id/pause": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", `/api/jobs/${await newJob()}/pause`),
  },
  "POST /api/jobs/:id/resume": {
    repeat: ALIKE,
    begin: async () => {
      const id = await newJob();
      await owner.post(`/api/jobs/${id}/pause`);
      return asOwner("POST", `/api/jobs/${id}/resume`);
    },
  },
  "POST /api/jobs/:id/cancel": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", `/api/jobs/${await newJob()}/cancel`),
  },
  "POST /api/jobs/:id/finish": {
    repeat: ALIKE,
    begin: async () => asOwner("POST", `/api/jobs/${await newJob("sync")}/finish`),
  },
  "POST /api/jobs/:id/retry": {
    repeat: ALIKE,
    begin: async () => {
      const id = await newJob();
      await owner.post(`/api/jobs/${id}/cancel`);
      return asOwner("POST", `/api/jobs/${id}/retry`, { only: "failed" });
    },
  },
  "POST /api/jobs/:id/duplicate": {
    repeat: ALIKE,
    begin: async () =>
      asOwner("POST", `/api/jobs/${await newJob()}/duplicate`, { destination: { prefix: unique() } }),
  },

  "POST /api/agent/register": {
    repeat: {
      kind: "proved",
      file: "work.test.ts",
      test: "[C6] 100 uses of one code at the same moment make one agent",
    },
  },
  "POST /api/agent/grants": {
    repeat: {
      kind: "otherwise",
      status: 200,
      why: "it gives another grant of the same, and the log tells each",
      writes: ["audit_log"],
    },
    begin: async () => asAgent("POST", "/api/agent/grants", { jobId: await newJob(), epoch: 1 }),
  },
  "POST /api/agent/sync": {
    repeat: {
      kind: "proved",
      file: "polling.test.ts",
      test: "[L18] a frame said twice is taken once, and its answer comes again until it has arrived",
    },
  },
  "PUT /api/agent/jobs/:id/manifest": { repeat: ALIKE, begin: async () => (await endedRun()).send },
  "POST /api/agent/jobs/:id/manifest": {
    repeat: ALIKE,
    begin: async () => {
      const { path, send, completion } = await endedRun();
      await send();
      return asAgent("POST", path, completion);
    },
  },
  "POST /api/agent/jobs/:id/quarantine": {
    repeat: ALIKE,
    begin: async () => {
      const id = await newJob();
      await reported(plane, id, null);
      const removal = { files: 2, bytes: 9, dryRun: false, filesPurged: 0, stays: {} };
      await plane.database
        .prepare("update jobs set report = json_set(report, '$.removal', json(?)) where id = ?")
        .bind(JSON.stringify(removal), id)
        .run();
      const checkedAt = "2026-11-23T00:00:00.000Z";
      const told = { epoch: 1, filesLeft: 0, filesPurged: 2, checkedAt };
      return asAgent("POST", `/api/agent/jobs/${id}/quarantine`, told);
    },
  },
};

/** What a request leaves in these tables of its own accord, without having changed anything. */
const COLUMNS: Readonly<Record<string, string>> = {
  // The chain is built behind everybody's back.
  audit_log: "id, at, actor_id, action, object_id, details",
  // So is what waits there sent.
  outbox: "id, kind, key",
};

async function everything(): Promise<Map<string, unknown[]>> {
  const { results } = await plane.database
    .prepare("select name from sqlite_master where type = 'table' and sql like ?")
    .bind("%`org_id`%")
    .all<{ name: string }>();
  const asked = results.map(({ name }) =>
    plane.database
      .prepare(`select ${COLUMNS[name] ?? "*"} from ${name} where org_id = ? order by 1, 2`)
      .bind(org.orgId),
  );
  const answers = await plane.database.batch(asked);
  return new Map(results.map(({ name }, index) => [name, answers[index]?.results ?? []]));
}

function changedTables(before: Map<string, unknown[]>, after: Map<string, unknown[]>): string[] {
  return [...after]
    .filter(([name, rows]) => JSON.stringify(rows) !== JSON.stringify(before.get(name)))
    .map(([name]) => name);
}

const CHANGING = Object.keys(POLICIES).filter((key) => !key.startsWith("GET "));

describe("a write whose answer was lost", () => {
  test("[C19] every route that changes something is asked twice here, and no other stands here", () => {
    expect(Object.keys(WRITES).sort()).toEqual(CHANGING.toSorted());
  });

  for (const [route, { repeat, begin }] of Object.entries(WRITES)) {
    if (repeat.kind === "proved") {
      test(`[C19] ${route} is repeated in a test of its own`, () => {
        expect(readFileSync(join(ROOT, "test/contract", repeat.file), "utf8")).toContain(repeat.test);
      });
      continue;
    }
    const how =
      repeat.kind === "otherwise"
        ? `answers ${repeat.status}, because ${repeat.why}`
        : `is answered ${repeat.kind}`;
    test(`[C19] ${route} repeated with its key changes nothing more, and ${how}`, async () => {
      if (begin === undefined) throw new Error("Tell this test how the route is called");
      const send = await begin();
      const headers = { "idempotency-key": `key-${unique()}` };
      const first = await send(headers);
      expect([first.status, first.text]).toEqual([
        expect.toSatisfy((status: number) => status < 300),
        expect.anything(),
      ]);
      const between = await everything();
      const second = await send(headers);
      const writes = repeat.kind === "gone" ? [] : (repeat.writes ?? []);
      expect(changedTables(between, await everything())).toEqual(writes.toSorted());
      switch (repeat.kind) {
        case "alike":
          expect(second).toEqual(first);
          break;
        case "gone":
          expect([first.status, second.status]).toEqual([204, 404]);
          break;
        case "otherwise":
          expect(second.status).toBe(repeat.status);
          break;
      }
    });
  }
});

describe("statements", () => {
  let statements: string[];
  beforeAll(async () => {
    const ids: Readonly<Record<string, string>> = {
      clients: org.clientId,
      "storage-connections": org.connectionId,
      projects: org.projectId,
      "registration-codes": org.openCodeId,
      "api-keys": org.apiKeyId,
      agents: org.agentId,
      jobs: org.jobId,
      azure: org.consentId,
      agent: org.jobId,
    };
    for (const key of Object.keys(POLICIES).filter((route) => route.startsWith("GET /api/"))) {
      const path = key.slice("GET ".length);
      const [, , resource = ""] = path.split("/");
      const send = resource === "agent" ? asAgent : asOwner;
      const queries =
        resource === "agent"
          ? ["?epoch=1"]
          : ["", "?limit=1&search=x&sort=status", "?sort=name&order=descending"];
      for (const query of queries) await send("GET", path.replace(":id", ids[resource] ?? "") + query)({});
    }
    await plane.sweep();
    statements = await plane.statements();
  });

  test("[C1] every step of every statement that the Worker sends stays within one organization", () => {
    expect(statements.length).toBeGreaterThan(100);
    expect(beyondOrganization(statements)).toEqual([]);
  });

  test("[C1] whichever comparison of organizations is left out of any of them, that is found", () => {
    const survived: string[] = [];
    let mutants = 0;
    for (const text of statements) {
      if (beyondOrganization([text], { strict: true }).length > 0) continue;
      for (const predicate of predicatesOf(text)) {
        mutants++;
        if (beyondOrganization([withoutPredicate(text, predicate)], { strict: true }).length === 0)
          survived.push(`${predicate.text}: ${text}`);
      }
    }
    console.log(`${mutants} comparisons left out one by one, of ${statements.length} statements`);
    expect(mutants).toBeGreaterThan(200);
    expect(survived).toEqual([]);
  });
});
