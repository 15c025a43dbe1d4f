/** Clients, projects, storage, codes, agents and jobs, as people and machines use them. */
import { ContainerClient } from "@azure/storage-blob";
import { beforeAll, describe, expect, test } from "vitest";
import { POLICIES } from "../../worker/auth/policy.ts";
import {
  asMachine,
  azurite,
  Browser,
  controlPlane,
  hubToken,
  MACHINE,
  makeConnection,
  makeJob,
  makeOrganization,
  registerAgent,
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

const run = (sql: string, ...values: unknown[]) =>
  plane.database
    .prepare(sql)
    .bind(...values)
    .run();

async function count(sql: string, ...values: unknown[]): Promise<number> {
  const row = await plane.database
    .prepare(`select count(*) as count from ${sql}`)
    .bind(...values)
    .first<{ count: number }>();
  return row?.count ?? 0;
}

async function newProject(): Promise<{ id: string }> {
  const { clientId, connectionId, container } = org;
  return await owner.post("/api/projects", {
    clientId,
    type: "file_migration",
    name: `project ${unique()}`,
    storage: { connectionId, container },
  });
}

async function newJob(): Promise<string> {
  return (await makeJob(owner, { projectId: org.projectId, agentId: org.agentId })).id;
}

async function containerSas(container: string, permissions: string): Promise<string> {
  const { BlobServiceClient, ContainerSASPermissions } = await import("@azure/storage-blob");
  const client = BlobServiceClient.fromConnectionString(
    (await azurite()).connectionString,
  ).getContainerClient(container);
  const url = await client.generateSasUrl({
    permissions: ContainerSASPermissions.parse(permissions),
    expiresOn: new Date(Date.now() + 3_600_000),
    version: "2022-11-02",
  });
  return url;
}

describe("projects", () => {
  async function statusWith(...statuses: string[]): Promise<unknown> {
    const { id } = await newProject();
    for (const status of statuses) {
      const job = await makeJob(owner, { projectId: id, agentId: org.agentId });
      await run("update jobs set status = ? where id = ?", status, job.id);
    }
    const { status, jobCount, failedJobCount } = await owner.get<Record<string, unknown>>(
      `/api/projects/${id}`,
    );
    return { status, jobCount, failedJobCount };
  }

  test.each<[string, string[], string, number]>([
    ["no job", [], "planning", 0],
    ["jobs that were not begun", ["created", "created"], "planning", 0],
    ["a job that is scanning", ["created", "scanning"], "in_progress", 0],
    ["a job that is paused", ["paused"], "in_progress", 0],
    ["a completed job and one that was not begun", ["completed", "created"], "in_progress", 0],
    ["completed jobs only", ["completed", "completed"], "completed", 0],
    ["all jobs final but some failed", ["completed", "failed", "failed"], "in_progress", 2],
    ["a job that was cancelled", ["completed", "cancelled"], "in_progress", 0],
  ])("[C4] a project with %s (%j) is %s, with %i failed", async (_what, statuses, status, failedJobCount) => {
    expect(await statusWith(...statuses)).toEqual({ status, jobCount: statuses.length, failedJobCount });
  });

  test("[C4] a cancelled project stays so, whatever its jobs are, and takes no job more", async () => {
    const { id } = await newProject();
    await run("update projects set cancelled_at = ? where id = ?", Date.now(), id);
    expect(await owner.get(`/api/projects/${id}`)).toMatchObject({ status: "cancelled" });
    const body = {
      projectId: id,
      agentId: org.agentId,
      name: "x",
      type: "migrate_files",
      source: { kind: "local", path: "/x" },
    };
    expect((await owner.json("POST", "/api/jobs", body)).status).toBe(409);
  });

  test("[C3] a job whose type does not fit its project is refused at its type", async () => {
    const { projectId, agentId } = org;
    const body = { projectId, agentId, name: "x", type: "archive", source: { kind: "local", path: "/x" } };
    expect(await owner.json("POST", "/api/jobs", body)).toMatchObject({
      status: 400,
      body: { details: { fields: { type: expect.any(String) } } },
    });
  });
});

describe("options of a job", () => {
  const body = (change: object = {}) => ({
    projectId: org.projectId,
    agentId: org.agentId,
    name: "With options",
    type: "migrate_files",
    source: { kind: "local", path: "/srv/files" },
    destination: { prefix: unique() },
    ...change,
  });
  const create = (change: object, browser = owner) => browser.json("POST", "/api/jobs", body(change));
  const deleting = {
    options: { deletion: { retentionDays: 3, filesMax: 10 } },
    confirmDeletionOf: "/srv/files",
  };

  test("[C13] a sync has its repetition, given or not, and no other job has one", async () => {
    const repetitionOf = (answer: Answer) =>
      (answer.body as { config: { options: { repetition: unknown } } }).config.options.repetition;
    expect(repetitionOf(await create({ type: "sync" }))).toEqual({ everyMinutes: 60, vanished: "keep" });
    const given = { everyMinutes: 5, vanished: "keep" };
    expect(repetitionOf(await create({ type: "sync", options: { repetition: given } }))).toEqual(given);
    expect(repetitionOf(await create({}))).toBeNull();
    expect(await create({ options: { repetition: given } })).toMatchObject({
      status: 400,
      body: { details: { fields: { "options.repetition": expect.any(String) } } },
    });
  });

  test("[C13] what does not go together is refused at each field, and nothing is made", async () => {
    const before = await count("jobs where org_id = ?", org.orgId);
    const options = { verify: false, readbackPercent: 10, deletion: {} };
    const answer = await create({ options, confirmDeletionOf: "/srv" });
    expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR" } });
    const { fields } = (answer.body as { details: { fields: object } }).details;
    expect(Object.keys(fields).sort()).toEqual([
      "confirmDeletionOf",
      "options.deletion",
      "options.readbackPercent",
    ]);
    expect((await create({ ...deleting, type: "sync" })).status).toBe(400);
    expect(await count("jobs where org_id = ?", org.orgId)).toBe(before);
  });

  test.each([
    ["viewer", 403],
    ["member", 403],
    ["admin", 201],
    ["owner", 201],
  ] as const)(
    "[C13] asked by a %s, a job that removes source files is answered %i",
    async (role, expected) => {
      const before = await count("jobs where org_id = ?", org.orgId);
      const answer = await create(deleting, org.people[role]);
      expect(answer.status).toBe(expected);
      if (expected === 403) {
        expect(await count("jobs where org_id = ?", org.orgId)).toBe(before);
        if (role === "member") {
          expect(answer.body).toMatchObject({
            code: "FORBIDDEN",
            details: { fields: { "options.deletion": expect.any(String) } },
          });
        }
      }
    },
  );

  test("[C13] that source files may be removed stands in the audit log, with the path and by whom", async () => {
    const { id } = (await create(deleting, org.people.admin)).body as { id: string };
    const { user } = await org.people.admin.get<{ user: { id: string } }>("/api/session");
    const row = await plane.database
      .prepare("select * from audit_log where object_id = ? and action = 'job.created'")
      .bind(id)
      .first<{ actor_id: string; details: string }>();
    expect(row?.actor_id).toBe(user.id);
    expect(JSON.parse(row?.details ?? "")).toEqual({
      deletion: { path: "/srv/files", retentionDays: 3, filesMax: 10, dryRun: false },
    });
  });

  test("[C16] a job of which less is stored than is known today is shown whole, and its grant made", async () => {
    const id = await newJob();
    const { config, totals } = await owner.get<{
      config: { options: Record<string, unknown> };
      totals: object;
    }>(`/api/jobs/${id}`);
    const { filters, concurrency, chunkSizeMiB, verify, existing } = config.options;
    const older = { ...config, options: { filters, concurrency, chunkSizeMiB, verify, existing } };
    const report = { outcome: "completed", totals: { filesTotal: 3 } };
    const set = "update jobs set config = ?, report = ? where id = ?";
    await run(set, JSON.stringify({ ...older, schedule: undefined }), JSON.stringify(report), id);
    expect(await owner.get(`/api/jobs/${id}`)).toMatchObject({
      config,
      report: { totals: { ...totals, filesTotal: 3 } },
    });
    const { status } = await asMachine("POST", "/api/agent/grants", { jobId: id, epoch: 1 }, org.agentKey);
    expect(status).toBe(200);
    await owner.patch(`/api/jobs/${id}`, { bandwidthMbps: 3 });
    expect(await owner.get(`/api/jobs/${id}`)).toMatchObject({
      config: { options: { bandwidthMbps: 3, archived: "skip" } },
    });
  });
});

describe("limits of the line", () => {
  const SCHEDULE = {
    timeZone: "Europe/Berlin",
    windows: [{ days: ["mon", "fri"], from: "18:00", to: "06:00" }],
    insideMbps: null,
    outsideMbps: 12.5,
  };
  interface Limited {
    readonly desiredRev: number;
    readonly epoch: number;
    readonly config: { readonly schedule: unknown; readonly options: { readonly bandwidthMbps: unknown } };
  }
  const read = (id: string) => owner.get<Limited>(`/api/jobs/${id}`);
  const schedule = (projectId: string, bandwidthSchedule: object | null) =>
    owner.patch(`/api/projects/${projectId}`, { bandwidthSchedule });

  test("[C14] a project's schedule is stored, answered, changed and taken away", async () => {
    const { clientId, connectionId, container } = org;
    const storage = { connectionId, container };
    const fields = { clientId, type: "file_migration", name: "Scheduled", storage };
    const made = await owner.post<{ id: string }>("/api/projects", {
      ...fields,
      bandwidthSchedule: { ...SCHEDULE, insideMbps: undefined },
    });
    expect(made).toMatchObject({ bandwidthSchedule: SCHEDULE });
    const { items } = await owner.get<{ items: { id: string }[] }>("/api/projects?limit=1");
    expect(items).toMatchObject([{ id: made.id, bandwidthSchedule: SCHEDULE }]);
    const other = { ...SCHEDULE, windows: [], outsideMbps: null };
    expect(await schedule(made.id, other)).toMatchObject({ bandwidthSchedule: other });
    expect(await owner.patch(`/api/projects/${made.id}`, { name: "x" })).toMatchObject({
      bandwidthSchedule: other,
    });
    expect(await schedule(made.id, null)).toMatchObject({ bandwidthSchedule: null });
    expect(await newProject()).toMatchObject({ bandwidthSchedule: null });
  });

  test("[C3] a schedule that cannot be one is refused at its fields", async () => {
    const bandwidthSchedule = {
      timeZone: "CEST",
      windows: [{ days: [], from: "24:00", to: "06:00" }],
      outsideMbps: 0,
    };
    const answer = await owner.json("PATCH", `/api/projects/${org.projectId}`, { bandwidthSchedule });
    const { fields } = (answer.body as { details: { fields: object } }).details;
    expect(Object.keys(fields).sort()).toEqual([
      "bandwidthSchedule.outsideMbps",
      "bandwidthSchedule.timeZone",
      "bandwidthSchedule.windows.0.days",
      "bandwidthSchedule.windows.0.from",
    ]);
  });

  test("[C14] a changed schedule is a new revision of all jobs of the project that are not final, and of no other", async () => {
    const [one, two] = [await newProject(), await newProject()];
    const job = (projectId: string) =>
      makeJob(owner, { projectId, agentId: org.agentId }).then(({ id }) => id);
    const [first, second, over, elsewhere] = [
      await job(one.id),
      await job(one.id),
      await job(one.id),
      await job(two.id),
    ];
    await run("update jobs set status = 'completed' where id = ?", over);
    await schedule(one.id, SCHEDULE);
    for (const id of [first, second]) {
      expect(await read(id)).toMatchObject({ desiredRev: 2, epoch: 1, config: { schedule: SCHEDULE } });
    }
    expect((await read(over)).desiredRev).toBe(1);
    expect(await read(elsewhere)).toMatchObject({ desiredRev: 1, config: { schedule: null } });
    // Said again it changes nothing; what else is changed of a project is none of the agents' business.
    await schedule(one.id, SCHEDULE);
    await owner.patch(`/api/projects/${one.id}`, { name: "Renamed" });
    expect((await read(first)).desiredRev).toBe(2);
    await schedule(one.id, null);
    expect(await read(first)).toMatchObject({ desiredRev: 3, config: { schedule: null } });
    await schedule(one.id, null);
    expect((await read(first)).desiredRev).toBe(3);
    expect(await read(await job(one.id))).toMatchObject({ desiredRev: 1 });
  });

  test("[C14] of people who change a schedule at the same moment, each change is a revision of its own", async () => {
    const { id: projectId } = await newProject();
    const { id } = await makeJob(owner, { projectId, agentId: org.agentId });
    const limits = [1, 2, 3, 4, 5, 6];
    await Promise.all(limits.map((outsideMbps) => schedule(projectId, { ...SCHEDULE, outsideMbps })));
    expect((await read(id)).desiredRev).toBe(1 + limits.length);
  });

  test("[C14] a member changes a job's own limit, with a new revision of the same epoch; the rest of the config stays", async () => {
    const id = await newJob();
    const before = await read(id);
    const limited = (await org.people.member.patch(`/api/jobs/${id}`, { bandwidthMbps: 20 })) as Limited;
    expect(limited).toMatchObject({ desiredRev: 2, epoch: 1 });
    const options = { ...before.config.options, bandwidthMbps: 20 };
    expect(limited.config).toEqual({ ...before.config, options });
    expect(await owner.patch(`/api/jobs/${id}`, { bandwidthMbps: 20 })).toMatchObject({ desiredRev: 2 });
    expect(await owner.patch(`/api/jobs/${id}`, { name: "Renamed" })).toMatchObject({
      name: "Renamed",
      desiredRev: 2,
      config: { options: { bandwidthMbps: 20 } },
    });
    expect(await owner.patch(`/api/jobs/${id}`, { name: "x", bandwidthMbps: 0.1 })).toMatchObject({
      name: "x",
      desiredRev: 3,
      config: { options: { bandwidthMbps: 0.1 } },
    });
    const free = (await owner.patch(`/api/jobs/${id}`, { bandwidthMbps: null })) as Limited;
    expect(free).toMatchObject({ desiredRev: 4, config: before.config });
    const audited = await plane.database
      .prepare("select details from audit_log where object_id = ? and action = 'job.changed' order by id")
      .bind(id)
      .all<{ details: string }>();
    expect(audited.results.map(({ details }) => JSON.parse(details) as unknown)).toEqual([
      { fields: ["bandwidthMbps"], bandwidthMbps: 20 },
      { fields: ["name"] },
      { fields: ["name", "bandwidthMbps"], bandwidthMbps: 0.1 },
      { fields: ["bandwidthMbps"], bandwidthMbps: null },
    ]);
  });

  test.each(["completed", "failed", "cancelled"])(
    "[C14] a job that is %s keeps its limit, and may still be renamed",
    async (status) => {
      const id = await newJob();
      await run("update jobs set status = ? where id = ?", status, id);
      const audited = await count("audit_log where org_id = ?", org.orgId);
      // Also the limit it has: whoever asks is to know that nothing is limited any more.
      for (const bandwidthMbps of [20, null]) {
        const change = { name: "Renamed", bandwidthMbps };
        expect(await owner.json("PATCH", `/api/jobs/${id}`, change)).toMatchObject({
          status: 409,
          body: { code: "CONFLICT" },
        });
      }
      expect(await count("audit_log where org_id = ?", org.orgId)).toBe(audited);
      expect(await owner.get(`/api/jobs/${id}`)).toMatchObject({ name: "First pass", desiredRev: 1 });
      expect(await owner.patch(`/api/jobs/${id}`, { name: "Renamed" })).toMatchObject({ name: "Renamed" });
    },
  );
});

describe("once", () => {
  const CASES: Readonly<Record<string, () => unknown>> = {
    "/api/clients": () => ({ name: `client ${unique()}` }),
    "/api/projects": () => ({
      clientId: org.clientId,
      type: "file_migration",
      name: `project ${unique()}`,
      storage: { connectionId: org.connectionId, container: org.container },
    }),
    "/api/jobs": () => ({
      projectId: org.projectId,
      agentId: org.agentId,
      name: `job ${unique()}`,
      type: "migrate_files",
      source: { kind: "local", path: "/srv" },
      destination: { prefix: unique() },
    }),
    "/api/storage-connections": () => ({
      kind: "connection_string",
      name: `storage ${unique()}`,
      connectionString: storage,
    }),
  };
  let storage = "";
  beforeAll(async () => {
    storage = (await azurite()).connectionString;
  });

  const ids = (answers: Answer[]) => new Set(answers.map(({ body }) => (body as { id: string }).id));

  for (const [path, body] of Object.entries(CASES)) {
    test(`[C5] POST ${path} with one key, 40 times at once and again later, makes one`, async () => {
      const key = { "idempotency-key": `key-${unique()}` };
      const sent = body();
      const audited = () => count("audit_log where org_id = ?", org.orgId);
      const before = await audited();
      const answers = await Promise.all(
        Array.from({ length: 40 }, () => owner.json("POST", path, sent, key)),
      );
      answers.push(await owner.json("POST", path, sent, key));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
      expect(ids(answers).size).toBe(1);
      expect(await audited()).toBe(before + 1);
    });
  }

  test("[C5] the same key in another organization makes another thing", async () => {
    const other = await makeOrganization();
    const key = { "idempotency-key": `key-${unique()}` };
    const made = [owner, other.people.owner].map((browser) =>
      browser.json("POST", "/api/clients", { name: "Acme" }, key),
    );
    expect(ids(await Promise.all(made)).size).toBe(2);
  });

  test("[C5] without a key, and with two keys, two are made; a key that is none is refused", async () => {
    const post = (key?: string) =>
      owner.json(
        "POST",
        "/api/clients",
        { name: "Acme" },
        key === undefined ? {} : { "idempotency-key": key },
      );
    expect(
      ids([await post(), await post(), await post(`a-${unique()}`), await post(`b-${unique()}`)]).size,
    ).toBe(4);
    for (const key of ["short", "x".repeat(129)]) expect((await post(key)).status).toBe(400);
  });
});

describe("registration codes", () => {
  const register = (code: string, name = "fs01") =>
    asMachine("POST", "/api/agent/register", { code, ...MACHINE, name });
  const newCode = () => owner.post<{ id: string; code: string }>("/api/registration-codes", { label: null });

  test("[C6] 100 uses of one code at the same moment make one agent", async () => {
    const { id, code } = await newCode();
    const name = `machine ${unique()}`;
    const answers = await Promise.all(Array.from({ length: 100 }, () => register(code, name)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(99);
    expect(await count("agents where org_id = ? and name = ?", org.orgId, name)).toBe(1);
    expect(await owner.get(`/api/registration-codes/${id}`)).toMatchObject({ status: "used" });
  });

  test("[C6] a used, a lapsed, a revoked, an unknown and an impossible code get one same answer", async () => {
    const [used, lapsed, revoked] = [await newCode(), await newCode(), await newCode()];
    expect((await register(used.code)).status).toBe(201);
    await run("update registration_codes set expires_at = ? where id = ?", Date.now(), lapsed.id);
    await owner.post(`/api/registration-codes/${revoked.id}/revoke`);
    const answers = await Promise.all(
      [used.code, lapsed.code, revoked.code, "0000-0000", "no code", "x".repeat(64)].map((code) =>
        register(code),
      ),
    );
    expect(answers[0]).toMatchObject({ status: 403, body: { code: "REGISTRATION_REFUSED" } });
    for (const answer of answers) expect(answer).toEqual(answers[0]);
  });

  test("[C6] a code is told once, kept only as a hash, and understood as people type it", async () => {
    const { id, code } = await newCode();
    expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
    const row = await plane.database
      .prepare("select * from registration_codes where id = ?")
      .bind(id)
      .first();
    for (const text of [JSON.stringify(row), (await owner.json("GET", "/api/registration-codes")).text]) {
      expect(text).not.toContain(code);
      expect(text).not.toContain(code.replace("-", ""));
    }
    expect((await register(` ${code.toLowerCase().replace("-", " ")} `)).status).toBe(201);
  });

  test("[C6] a code lapses when it was said to", async () => {
    for (const validMinutes of [15, 60, 1_440]) {
      const made = await owner.post<{ createdAt: string; expiresAt: string }>("/api/registration-codes", {
        validMinutes,
      });
      expect(Date.parse(made.expiresAt) - Date.parse(made.createdAt)).toBe(validMinutes * 60_000);
    }
    expect((await owner.json("POST", "/api/registration-codes", { validMinutes: 100_000 })).status).toBe(400);
  });

  test("[C6] a used code cannot be revoked in the place of its agent", async () => {
    const { id, code } = await newCode();
    await register(code);
    expect((await owner.json("POST", `/api/registration-codes/${id}/revoke`)).status).toBe(409);
  });
});

describe("storage connections", () => {
  const connect = (body: unknown) => owner.json("POST", "/api/storage-connections", body);

  test("[C7] a secret is in no answer and not to be read in the database", async () => {
    const { connectionString } = await azurite();
    const key = /AccountKey=([^;]+)/.exec(connectionString)?.[1] ?? "";
    const { id } = await makeConnection(owner, "sealed");
    const row = await plane.database
      .prepare("select * from storage_connections where id = ?")
      .bind(id)
      .first();
    const shown = await Promise.all(
      [
        `/api/storage-connections/${id}`,
        "/api/storage-connections",
        `/api/storage-connections/${id}/containers`,
        "/api/projects",
      ].map(async (path) => (await owner.json("GET", path)).text),
    );
    const { results } = await plane.database
      .prepare("select * from audit_log where org_id = ?")
      .bind(org.orgId)
      .all();
    for (const text of [JSON.stringify(row), JSON.stringify(results), ...shown]) {
      expect(text).not.toContain(key);
      expect(text).not.toContain(key.slice(0, 20));
    }
    for (const text of shown) expect(text).not.toMatch(/sealed_?secret/i);
  });

  test("[C7] a sealed secret that was moved into another row opens nothing", async () => {
    const [one, two] = [await makeConnection(owner, "one"), await makeConnection(owner, "two")];
    await run(
      "update storage_connections set sealed_secret = (select sealed_secret from storage_connections where id = ?) where id = ?",
      one.id,
      two.id,
    );
    expect((await owner.json("GET", `/api/storage-connections/${one.id}/containers`)).status).toBe(200);
    expect((await owner.json("GET", `/api/storage-connections/${two.id}/containers`)).status).toBe(500);
  });

  test.each<[string, (text: string) => string, RegExp]>([
    [
      "a wrong key",
      (text) => text.replace(/AccountKey=.{20}/, `AccountKey=${"A".repeat(20)}`),
      /denies access/,
    ],
    [
      "an account that is not there",
      (text) => text.replace(/BlobEndpoint=http:\/\/[^/]+/, "BlobEndpoint=http://127.0.0.1:1"),
      /cannot be reached/,
    ],
    ["garbage", () => "garbage", /AccountName/],
  ])("[C7] %s is refused at its field before anything is stored", async (_what, change, message) => {
    const before = await count("storage_connections where org_id = ?", org.orgId);
    const { connectionString } = await azurite();
    const answer = await connect({
      kind: "connection_string",
      name: "x",
      connectionString: change(connectionString),
    });
    expect(answer).toMatchObject({
      status: 400,
      body: { details: { fields: { connectionString: expect.stringMatching(message) } } },
    });
    expect(await count("storage_connections where org_id = ?", org.orgId)).toBe(before);
  });

  test("[C7] a container's SAS is tried, and opens its own container only", async () => {
    const good = await connect({
      kind: "container_sas",
      name: "SAS",
      containerSasUrl: await containerSas(org.container, "rcwl"),
    });
    expect(good).toMatchObject({
      status: 201,
      body: { container: org.container, account: "devstoreaccount1" },
    });
    const { id } = good.body as { id: string };
    expect(await owner.get(`/api/storage-connections/${id}/containers`)).toEqual({
      containers: [org.container],
    });
    expect(
      (await owner.json("POST", `/api/storage-connections/${id}/containers`, { name: "another" })).status,
    ).toBe(400);
    const project = {
      clientId: org.clientId,
      type: "file_migration",
      name: "x",
      storage: { connectionId: id, container: "another" },
    };
    expect((await owner.json("POST", "/api/projects", project)).status).toBe(400);
  });

  test("[C7] a SAS with another signature, without the rights, or for a container that is not there is refused", async () => {
    const good = await containerSas(org.container, "rcwl");
    const bad = [
      good.replace(/sig=.{6}/, "sig=AAAAAA"),
      await containerSas(org.container, "rl"),
      await containerSas(`none-${unique()}`, "rcwl"),
    ];
    for (const containerSasUrl of bad) {
      const answer = await connect({ kind: "container_sas", name: "SAS", containerSasUrl });
      expect(answer).toMatchObject({
        status: 400,
        body: { details: { fields: { containerSasUrl: expect.any(String) } } },
      });
      expect(answer.text).not.toContain("sig=");
    }
  });
});

describe("origins", () => {
  const foreign = [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "none" },
    { "sec-fetch-site": "cross-site", origin: "https://evil.example" },
  ];

  test("[C8] every route that changes something refuses requests from elsewhere", async () => {
    const changing = Object.entries(POLICIES).filter(
      ([key, policy]) => !key.startsWith("GET ") && policy !== "public" && policy !== "agent",
    );
    expect(changing.length).toBeGreaterThan(15);
    for (const [key] of changing) {
      const [method = "", path = ""] = key.split(" ");
      for (const headers of foreign) {
        const answer = await owner.json(method, path.replace(":id", "x"), {}, headers);
        expect([key, answer.status, answer.body]).toMatchObject([key, 403, { code: "FORBIDDEN" }]);
      }
    }
    expect((await owner.json("GET", "/api/session")).status).toBe(200);
  });

  test("[C8] where the browser does not say the site, the origin decides", async () => {
    const post = async (headers: Record<string, string>) => {
      const response = await fetch(`${plane.origin}/api/clients`, {
        method: "POST",
        headers: { "content-type": "application/json", cookie: owner.cookieHeader, ...headers },
        body: JSON.stringify({ name: "Acme" }),
      });
      return response.status;
    };
    expect(await post({ origin: plane.origin })).toBe(201);
    for (const origin of [
      "null",
      "https://evil.example",
      `${plane.origin}.evil.example`,
      `${plane.origin}0`,
    ]) {
      expect(await post({ origin }), origin).toBe(403);
    }
    expect(await post({})).toBe(403);
  });

  test("[C8] reading is not hindered by where a link stands", async () => {
    expect(
      (await owner.json("GET", "/api/clients", undefined, { "sec-fetch-site": "cross-site" })).status,
    ).toBe(200);
  });

  test("[C8] a live socket opens for the dashboard's own origin only", async () => {
    const cookie = owner.cookieHeader;
    expect((await upgrade("/api/live", { cookie, origin: plane.origin })).status).toBe(101);
    for (const origin of [
      "https://evil.example",
      "null",
      `${plane.origin}.evil.example`,
      `${plane.origin}0`,
    ]) {
      expect((await upgrade("/api/live", { cookie, origin })).status, origin).toBe(403);
    }
    expect((await upgrade("/api/live", { cookie })).status).toBe(403);
    expect((await upgrade("/api/live", { cookie, "sec-fetch-site": "same-origin" })).status).toBe(403);
    expect((await upgrade("/api/live", { origin: plane.origin })).status).toBe(401);
  });

  test("[C8] an agent's socket opens for no browser, and speaks our protocol only", async () => {
    const authorization = `Bearer ${org.agentKey}`;
    const protocol = "migrate.agent.v1";
    const ask = async (headers: Record<string, string>) =>
      (await upgrade("/api/agent/session", headers)).status;
    expect(await ask({ authorization, "sec-websocket-protocol": protocol })).toBe(101);
    expect(await ask({ authorization, "sec-websocket-protocol": `migrate.agent.v9, ${protocol}` })).toBe(101);
    expect(await ask({ authorization, "sec-websocket-protocol": protocol, origin: plane.origin })).toBe(401);
    expect(await ask({ cookie: owner.cookieHeader, "sec-websocket-protocol": protocol })).toBe(401);
    expect(await ask({ authorization })).toBe(400);
    expect(await ask({ authorization, "sec-websocket-protocol": "migrate.agent.v9" })).toBe(400);
    expect((await asMachine("GET", "/api/agent/session", undefined, org.agentKey)).status).toBe(400);
  });
});

describe("steering", () => {
  const act = (id: string, action: string, browser = owner) =>
    browser.json("POST", `/api/jobs/${id}/${action}`);
  const setStatus = (id: string, status: string) =>
    run("update jobs set status = ? where id = ?", status, id);

  test("[C9] pause and resume change what is wanted, with a new revision each time", async () => {
    const id = await newJob();
    expect((await act(id, "pause")).body).toMatchObject({
      status: "created",
      desiredState: "pause",
      desiredRev: 2,
      epoch: 1,
    });
    expect((await act(id, "resume")).body).toMatchObject({ desiredState: "run", desiredRev: 3, epoch: 1 });
  });

  test("[C9] asking for what is wanted already is fine and changes nothing", async () => {
    const id = await newJob();
    expect((await act(id, "resume")).body).toMatchObject({ desiredState: "run", desiredRev: 1 });
    await act(id, "pause");
    expect(await act(id, "pause")).toMatchObject({ status: 200, body: { desiredRev: 2 } });
    await act(id, "cancel");
    expect(await act(id, "cancel")).toMatchObject({
      status: 200,
      body: { desiredRev: 3, status: "cancelled" },
    });
  });

  test("[C9] a cancel is final at once, in every state before the end", async () => {
    for (const status of ["created", "scanning", "ready", "running", "paused"]) {
      const id = await newJob();
      await setStatus(id, status);
      const answer = await act(id, "cancel");
      expect(answer.body).toMatchObject({
        status: "cancelled",
        desiredState: "cancel",
        finishedAt: expect.any(String),
      });
    }
  });

  test.each([
    ["completed", ["pause", "resume", "cancel", "retry"]],
    ["failed", ["pause", "resume", "cancel"]],
    ["cancelled", ["pause", "resume"]],
    ["running", ["retry"]],
    ["created", ["retry"]],
    ["paused", ["retry"]],
  ])("[C9] a job that is %s refuses to %j", async (status, actions) => {
    const id = await newJob();
    if (status === "cancelled") await act(id, "cancel");
    else await setStatus(id, status);
    const before = await owner.get(`/api/jobs/${id}`);
    for (const action of actions)
      expect(await act(id, action)).toMatchObject({ status: 409, body: { code: "CONFLICT" } });
    expect(await owner.get(`/api/jobs/${id}`)).toEqual(before);
  });

  test.each(["failed", "cancelled"])(
    "[C9] a job that %s begins again as a new epoch, with nothing of the old one",
    async (status) => {
      const id = await newJob();
      await run(
        "update jobs set status = ?, files_total = 5, files_completed = 3, bytes_sent = 9, progress_seq = 7, started_at = 1, finished_at = 2, error = ?, report = ? where id = ?",
        status,
        '{"code":"AGENT_ERROR","message":"x"}',
        "{}",
        id,
      );
      const { body } = await act(id, "retry");
      expect(body).toMatchObject({
        epoch: 2,
        status: "created",
        desiredState: "run",
        error: null,
        report: null,
        startedAt: null,
        finishedAt: null,
      });
      expect(Object.values((body as { totals: object }).totals)).toEqual(Array.from({ length: 12 }, () => 0));
      expect((await act(id, "retry")).status).toBe(409);
    },
  );

  async function newSync(options: object = {}): Promise<string> {
    const job = { projectId: org.projectId, agentId: org.agentId, type: "sync", options };
    return (await makeJob(owner, job)).id;
  }

  test("[C15] finish lets a job that repeats itself end with its pass, in every state before the end", async () => {
    for (const status of ["created", "scanning", "ready", "running", "paused"]) {
      const id = await newSync();
      await setStatus(id, status);
      const finishing = { status, desiredState: "finish", desiredRev: 2, epoch: 1 };
      expect(await act(id, "finish")).toMatchObject({ status: 200, body: finishing });
      expect(await act(id, "finish")).toMatchObject({ status: 200, body: finishing });
    }
  });

  test("[C15] finish wins over run and pause, and cancel wins over finish", async () => {
    const id = await newSync();
    await act(id, "pause");
    expect((await act(id, "finish")).body).toMatchObject({ desiredState: "finish", desiredRev: 3 });
    expect(await act(id, "resume")).toMatchObject({
      status: 200,
      body: { desiredState: "finish", desiredRev: 3 },
    });
    expect(await act(id, "pause")).toMatchObject({
      status: 409,
      body: { error: expect.stringContaining("last pass") },
    });
    expect((await act(id, "cancel")).body).toMatchObject({
      status: "cancelled",
      desiredState: "cancel",
      desiredRev: 4,
    });
    expect((await act(id, "finish")).status).toBe(409);
    expect((await act(id, "retry")).body).toMatchObject({ desiredState: "run", epoch: 2 });
  });

  test.each(["completed", "failed", "cancelled"])(
    "[C15] a sync that is %s refuses to finish",
    async (status) => {
      const id = await newSync();
      await setStatus(id, status);
      expect(await act(id, "finish")).toMatchObject({ status: 409, body: { code: "CONFLICT" } });
      expect(await owner.get(`/api/jobs/${id}`)).toMatchObject({
        status,
        desiredState: "run",
        desiredRev: 1,
      });
    },
  );

  test("[C15] a job that does not repeat itself refuses to finish, and is left as it is", async () => {
    const id = await newJob();
    expect(await act(id, "finish")).toMatchObject({ status: 409, body: { code: "CONFLICT" } });
    expect(await owner.get(`/api/jobs/${id}`)).toMatchObject({ desiredState: "run", desiredRev: 1 });
  });

  test("[C15] of finish, pause and resume at the same moment finish stays, and of all of them cancel", async () => {
    const id = await newSync();
    const press = (actions: string[]) => Promise.all(actions.map((action) => act(id, action)));
    for (const { status } of await press(["pause", "finish", "resume", "pause", "finish", "resume"])) {
      expect([200, 409]).toContain(status);
    }
    expect(await owner.get(`/api/jobs/${id}`)).toMatchObject({ desiredState: "finish" });
    await press(["finish", "cancel", "resume", "finish"]);
    expect(await owner.get(`/api/jobs/${id}`)).toMatchObject({ status: "cancelled", desiredState: "cancel" });
  });

  test("[C9] a completed job with failed files can be tried again", async () => {
    const id = await newJob();
    await run("update jobs set status = 'completed', files_failed = 1 where id = ?", id);
    expect((await act(id, "retry")).body).toMatchObject({ epoch: 2, status: "created" });
  });

  test("[C9] of people who press different buttons at the same moment each gets a true answer, and cancel wins", async () => {
    const id = await newJob();
    const answers = await Promise.all(
      ["pause", "cancel", "resume", "pause", "resume", "cancel", "pause"].map((action) => act(id, action)),
    );
    for (const { status } of answers) expect([200, 409]).toContain(status);
    expect(await owner.get(`/api/jobs/${id}`)).toMatchObject({ status: "cancelled", desiredState: "cancel" });
  });

  test("[C9] two who retry at the same moment begin one epoch", async () => {
    const id = await newJob();
    await setStatus(id, "failed");
    const answers = await Promise.all(Array.from({ length: 6 }, () => act(id, "retry")));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await owner.get(`/api/jobs/${id}`)).toMatchObject({ epoch: 2 });
  });

  test("[C9] failed files of an epoch before are not shown as those of the present one", async () => {
    const failures = () => owner.get<{ items: unknown[] }>(`/api/jobs/${id}/failures`);
    const id = await newJob();
    await run(
      "insert into job_failures (org_id, job_id, epoch, number, path, code, message) values (?, ?, 1, 0, 'a.txt', 'source_denied', 'denied')",
      org.orgId,
      id,
    );
    expect((await failures()).items).toHaveLength(1);
    await setStatus(id, "failed");
    await act(id, "retry");
    expect((await failures()).items).toEqual([]);
  });
});

describe("grants", () => {
  interface Grant {
    readonly containerUrl: string;
    readonly sas: string;
    readonly expiresAt: string;
    readonly renewAt: string;
  }
  const ask = (jobId: string, key = org.agentKey, epoch = 1) =>
    asMachine("POST", "/api/agent/grants", { jobId, epoch }, key);

  test("[G1] a grant is made for the agent the job is assigned to, and for no other of the same organization", async () => {
    const id = await newJob();
    expect((await ask(id)).status).toBe(200);
    const other = await registerAgent(owner, "other");
    expect((await ask(id, other.key)).status).toBe(404);
  });

  test("[G1] no grant is made for an epoch that is over or not begun", async () => {
    const id = await newJob();
    expect((await ask(id, org.agentKey, 2)).status).toBe(409);
    await run("update jobs set status = 'failed' where id = ?", id);
    await owner.post(`/api/jobs/${id}/retry`);
    expect((await ask(id, org.agentKey, 1)).status).toBe(409);
    expect((await ask(id, org.agentKey, 2)).status).toBe(200);
  });

  test.each([
    ["scanning", 200],
    ["running", 200],
    ["paused", 200],
    ["completed", 409],
    ["failed", 409],
    ["cancelled", 409],
  ])("[G1] for a job that is %s the answer is %i", async (status, expected) => {
    const id = await newJob();
    await run("update jobs set status = ? where id = ?", status, id);
    expect((await ask(id)).status).toBe(expected);
  });

  test("[G1] no grant is made when the project was pointed at another account or has none", async () => {
    const { id: projectId } = await newProject();
    const { id } = await makeJob(owner, { projectId, agentId: org.agentId });
    await run(
      "update storage_connections set account = 'elsewhere' where id = ?",
      (await rebound(projectId)).connectionId,
    );
    // Not as "this run is over", which the agent takes for a quiet end: the job has to fail and say why.
    expect(await ask(id)).toMatchObject({
      status: 409,
      body: { code: "STORAGE_DENIED", error: expect.stringContaining("storage has changed") },
    });
    await run("update projects set connection_id = null where id = ?", projectId);
    expect((await ask(id)).body).toMatchObject({ code: "NO_AZURE_CONNECTION" });
  });

  async function rebound(projectId: string): Promise<{ connectionId: string }> {
    const { id: connectionId } = await makeConnection(owner, "for one project");
    await run("update projects set connection_id = ? where id = ?", connectionId, projectId);
    return { connectionId };
  }

  test("[G2] a grant ends in 60 minutes, is renewed half-way, and is begun 15 minutes back", async () => {
    const beforeMs = Date.now();
    const grant = (await ask(await newJob())).body as Grant;
    const afterMs = Date.now();
    const sas = new URLSearchParams(grant.sas);
    const within = (text: string | null, minutes: number) => {
      // The signature counts in whole seconds.
      const atMs = Date.parse(text ?? "") - minutes * 60_000;
      expect(atMs).toBeGreaterThan(beforeMs - 1_000);
      expect(atMs).toBeLessThanOrEqual(afterMs);
    };
    within(grant.expiresAt, 60);
    within(sas.get("se"), 60);
    within(grant.renewAt, 30);
    within(sas.get("st"), -15);
    expect([...(sas.get("sp") ?? "")].sort().join("")).toBe("clrw");
    expect(sas.get("sr")).toBe("c");
  });

  test("[G2] at the storage account a grant reads, creates, writes and lists in its container, and deletes nothing", async () => {
    const { containerUrl, sas } = (await ask(await newJob())).body as Grant;
    const container = new ContainerClient(`${containerUrl}?${sas}`);
    const blob = container.getBlockBlobClient("folder/ä #1.txt");
    await blob.upload("hello", 5);
    await blob.stageBlock("AAAA", "block", 5);
    await blob.commitBlockList(["AAAA"]);
    expect((await blob.downloadToBuffer()).toString()).toBe("block");
    const names: string[] = [];
    for await (const { name } of container.listBlobsFlat()) names.push(name);
    expect(names).toEqual(["folder/ä #1.txt"]);
    await expect(blob.delete()).rejects.toMatchObject({ statusCode: 403 });
    await expect(container.delete()).rejects.toMatchObject({ statusCode: 403 });
    const elsewhere = new ContainerClient(`${containerUrl.replace(/[^/]+$/, `c-${unique()}`)}?${sas}`);
    await expect(elsewhere.getBlockBlobClient("x").upload("x", 1)).rejects.toMatchObject({ statusCode: 403 });
  });

  const jobWith = async (type: string, options: object, projectId = org.projectId): Promise<string> =>
    (await makeJob(owner, { projectId, agentId: org.agentId, type, options })).id;
  const permissionsOf = async (jobId: string) => {
    const { sas } = (await ask(jobId)).body as Grant;
    const { results } = await plane.database
      .prepare("select details from audit_log where object_id = ? and action = 'grant.made'")
      .bind(jobId)
      .all<{ details: string }>();
    const sp = new URLSearchParams(sas).get("sp");
    expect(results.map(({ details }) => JSON.parse(details) as unknown)).toMatchObject([{ permissions: sp }]);
    return sp;
  };

  test.each<[string, string, object]>([
    ["rcwl", "migrate_files", {}],
    ["rcwl", "migrate_files", { existing: "overwrite", archived: "skip" }],
    ["rcwl", "migrate_files", { existing: "overwrite", archived: "new_name", readbackPercent: 100 }],
    ["rcwdl", "migrate_files", { existing: "overwrite", archived: "replace" }],
    ["rcwl", "sync", {}],
    ["rcwl", "sync", { repetition: { vanished: "keep" } }],
    ["rcwdl", "sync", { repetition: { vanished: "remove" } }],
  ])(
    "[G2] a grant allows %s for a job of type %s with %j, and the audit log says so",
    async (sp, type, options) => {
      expect(await permissionsOf(await jobWith(type, options))).toBe(sp);
    },
  );

  test("[G2] what is removed at the source needs no right to delete at the destination", async () => {
    const job = { projectId: org.projectId, agentId: org.agentId, options: { deletion: {} } };
    const { id } = await makeJob(owner, { ...job, confirmDeletionOf: "/srv/files" });
    expect(await permissionsOf(id)).toBe("rcwl");
  });

  test("[G2] where the job has to, the grant deletes blobs, and never the container", async () => {
    const id = await jobWith("sync", { repetition: { vanished: "remove" } });
    const { containerUrl, sas } = (await ask(id)).body as Grant;
    const container = new ContainerClient(`${containerUrl}?${sas}`);
    const blob = container.getBlockBlobClient(`gone-${unique()}.txt`);
    await blob.upload("hello", 5);
    await blob.delete();
    expect(await blob.exists()).toBe(false);
    await expect(container.delete()).rejects.toMatchObject({ statusCode: 403 });
  });

  describe("from a container's SAS, which is handed on as it is", () => {
    async function projectBySas(permissions: string): Promise<{ id: string; connectionId: string }> {
      const containerSasUrl = await containerSas(org.container, permissions);
      const made = { kind: "container_sas", name: permissions, containerSasUrl };
      const { id: connectionId } = await owner.post<{ id: string }>("/api/storage-connections", made);
      const storage = { connectionId, container: org.container };
      const fields = { clientId: org.clientId, type: "file_migration", name: permissions, storage };
      return { ...(await owner.post<{ id: string }>("/api/projects", fields)), connectionId };
    }

    test.each([
      ["options.archived", "migrate_files", { existing: "overwrite", archived: "replace" }],
      ["options.repetition.vanished", "sync", { repetition: { vanished: "remove" } }],
    ])("[G4] one that may not delete is told of at %s when the job is made", async (field, type, options) => {
      const { id: projectId } = await projectBySas("rcwl");
      const source = { kind: "local", path: "/srv/files" };
      const body = { projectId, agentId: org.agentId, name: "x", type, source, options };
      expect(await owner.json("POST", "/api/jobs", body)).toMatchObject({
        status: 400,
        body: { details: { fields: { [field]: expect.stringContaining('"d" in sp') } } },
      });
      expect((await ask(await jobWith("sync", {}, projectId))).status).toBe(200);
    });

    test("[G4] one that may delete is taken, and what it allows stands in the audit log", async () => {
      const { id: projectId } = await projectBySas("rcwdl");
      const id = await jobWith("sync", { repetition: { vanished: "remove" } }, projectId);
      expect(await permissionsOf(id)).toBe("rcwdl");
    });

    test("[G4] a job whose project got one that may not delete is told so when it asks for a grant", async () => {
      const { id: projectId } = await projectBySas("rcwdl");
      const id = await jobWith("sync", { repetition: { vanished: "remove" } }, projectId);
      const { connectionId } = await projectBySas("rcwl");
      const storage = { connectionId, container: org.container };
      await owner.patch(`/api/projects/${projectId}`, { storage });
      expect(await ask(id)).toMatchObject({
        status: 409,
        body: { code: "STORAGE_DENIED", error: expect.stringContaining('"d" in sp') },
      });
    });
  });

  test("[G2] what was granted is recorded, without the grant itself", async () => {
    const id = await newJob();
    const { sas } = (await ask(id)).body as Grant;
    const { results } = await plane.database
      .prepare("select * from audit_log where object_id = ? and action = 'grant.made'")
      .bind(id)
      .all();
    expect(results).toHaveLength(1);
    expect(JSON.stringify(results)).not.toContain(new URLSearchParams(sas).get("sig")?.slice(0, 10));
  });
});

describe("revoking", () => {
  test("[C10] a revoked agent's key is worth nothing from that moment, and revoking again is fine", async () => {
    const { agentId, key } = await registerAgent(owner, "to be revoked");
    const { id } = await makeJob(owner, { projectId: org.projectId, agentId });
    const ask = () => asMachine("POST", "/api/agent/grants", { jobId: id, epoch: 1 }, key);
    const open = () =>
      upgrade("/api/agent/session", {
        authorization: `Bearer ${key}`,
        "sec-websocket-protocol": "migrate.agent.v1",
      });
    expect([(await ask()).status, (await open()).status]).toEqual([200, 101]);
    for (let times = 0; times < 2; times++) {
      expect(await owner.post(`/api/agents/${agentId}/revoke`)).toMatchObject({
        id: agentId,
        status: "revoked",
      });
      expect([(await ask()).status, (await open()).status]).toEqual([401, 401]);
    }
    const job = {
      projectId: org.projectId,
      agentId,
      name: "x",
      type: "migrate_files",
      source: { kind: "local", path: "/x" },
    };
    expect((await owner.json("POST", "/api/jobs", job)).body).toMatchObject({
      details: { fields: { agentId: expect.any(String) } },
    });
    await owner.post(`/api/jobs/${id}/cancel`);
    const retried = await owner.json("POST", `/api/jobs/${id}/retry`, {});
    expect(retried).toMatchObject({ status: 409, body: { error: expect.stringContaining("revoked") } });
  });

  test("[L12] a job whose config would not fit into a frame is refused when it is made", async () => {
    const { agentId } = await registerAgent(owner, "of large filters");
    const exclude = Array.from({ length: 200 }, (_, index) => `${index}`.padEnd(400, "x"));
    const job = {
      projectId: org.projectId,
      agentId,
      name: "x",
      type: "migrate_files",
      source: { kind: "local", path: "/x" },
      destination: { prefix: unique() },
      options: { filters: { exclude } },
    };
    expect(await owner.json("POST", "/api/jobs", job)).toMatchObject({ status: 400 });
    job.options.filters.exclude = exclude.slice(0, 100);
    expect(await owner.json("POST", "/api/jobs", job)).toMatchObject({ status: 201 });
  });

  test("[C10] an agent whose registration was cut short can be revoked as well", async () => {
    const { agentId } = await registerAgent(owner, "cut short");
    const half = agentId.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    await run(
      "insert into agents (org_id, id, name, host, os, arch, version, status, created_at) select org_id, ?, name, host, os, arch, version, status, created_at from agents where id = ?",
      half,
      agentId,
    );
    expect(await owner.post(`/api/agents/${half}/revoke`)).toMatchObject({ status: "revoked" });
  });
});

describe("answers", () => {
  const HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
  };

  test.each<[string, (browser: Browser) => Promise<Response>]>([
    ["a good answer", (browser) => browser.fetch("/api/clients")],
    ["health", (browser) => browser.fetch("/api/health")],
    ["a refusal for want of a session", (browser) => new Browser(browser.origin).fetch("/api/clients")],
    ["a refusal for want of a right", () => org.people.viewer.fetch("/api/registration-codes")],
    ["an address nobody serves", (browser) => browser.fetch("/api/nothing")],
    ["a bad body", (browser) => browser.fetch("/api/clients", { method: "POST", body: "x" })],
    ["an error of ours", (browser) => browser.fetch(`/api/storage-connections/${broken}/containers`)],
    ["an upgrade that is none", (browser) => browser.fetch("/api/live")],
    ["a refused sign-in", (browser) => browser.fetch("/sso?token=x")],
    [
      "the question before a sign-in",
      async (browser) => new Browser(browser.origin).fetch(`/sso?token=${await hubToken()}`),
    ],
    ["a redirect", (browser) => browser.fetch("/sso/start")],
    ["the development Hub", (browser) => browser.fetch("/dev/hub")],
  ])("[C11] %s is never cached and carries the security headers", async (_what, ask) => {
    const response = await ask(owner);
    expect(Object.fromEntries(response.headers)).toMatchObject(HEADERS);
    expect(response.headers.get("content-security-policy")).toMatch(
      /default-src 'none'.*frame-ancestors 'none'/,
    );
    expect(await response.text()).not.toMatch(/\bat .*\.ts:|SQLITE|D1_ERROR/);
  });

  let broken = "";
  beforeAll(async () => {
    ({ id: broken } = await makeConnection(owner, "broken"));
    await run("update storage_connections set sealed_secret = 'k9.AAAA.AAAA' where id = ?", broken);
  });

  test("[C3] an error of ours has the one body too, and tells nothing of its cause", async () => {
    const answer = await owner.json("GET", `/api/storage-connections/${broken}/containers`);
    expect(answer).toMatchObject({
      status: 500,
      body: { error: expect.any(String), code: "INTERNAL_ERROR", details: { requestId: expect.any(String) } },
    });
    expect(answer.text).not.toMatch(/sealed|ring|key/i);
  });
});

describe("deleting a storage connection", () => {
  test("[C20] one that a project uses stays, and the project is named", async () => {
    const answer = await owner.json("DELETE", `/api/storage-connections/${org.connectionId}`);
    expect(answer).toMatchObject({
      status: 409,
      body: { error: expect.stringContaining(`the project "project ${org.canary}"`), code: "CONFLICT" },
    });
    await owner.get(`/api/storage-connections/${org.connectionId}`);
  });

  test("[C20] one that none uses goes, with its secret and what was begun with it", async () => {
    const { id } = await makeConnection(owner, "unused");
    const consent = await owner.post<{ id: string }>("/api/azure/consents", {});
    await run("update oauth_states set connection_id = ? where id = ?", id, consent.id);
    expect((await owner.json("DELETE", `/api/storage-connections/${id}`)).status).toBe(204);
    expect((await owner.json("GET", `/api/storage-connections/${id}`)).status).toBe(404);
    const left = await plane.database
      .prepare(
        "select (select count(*) from storage_connections where id = ?1) + (select count(*) from oauth_states where connection_id = ?1) as rows",
      )
      .bind(id)
      .first<{ rows: number }>();
    expect(left?.rows).toBe(0);
    const { items } = await owner.get<{ items: { action: string; targetId: string }[] }>(
      "/api/audit?limit=3",
    );
    expect(items.map(({ action }) => action)).toContain("storage.deleted");
  });

  test("[C20] deleting it and making a project with it at the same moment leaves no project without", async () => {
    for (let round = 0; round < 10; round++) {
      const { id } = await makeConnection(owner, "raced");
      const [made, deleted] = await Promise.all([
        owner.json("POST", "/api/projects", {
          clientId: org.clientId,
          type: "file_migration",
          name: "raced",
          storage: { connectionId: id, container: org.container },
        }),
        owner.json("DELETE", `/api/storage-connections/${id}`),
      ]);
      expect(
        [made.status === 201, deleted.status === 204].filter(Boolean).length,
        `${made.status} ${deleted.status}`,
      ).toBe(1);
      expect(made.status).toBeLessThan(500);
    }
  });
});

describe("lists", () => {
  const LISTS: Readonly<Record<string, () => Promise<{ id: string }>>> = {
    "/api/clients": () => owner.post("/api/clients", { name: "Acme" }),
    "/api/projects": newProject,
    "/api/jobs": () => makeJob(owner, { projectId: org.projectId, agentId: org.agentId }),
    "/api/registration-codes": () => owner.post("/api/registration-codes", {}),
    "/api/api-keys": () => owner.post("/api/api-keys", { name: "listed", role: "viewer" }),
    "/api/storage-connections": () => makeConnection(owner, "listed"),
    "/api/webhooks": () => owner.post("/api/webhooks", { url: `http://127.0.0.1:9/${unique()}` }),
    "/api/agents": async () => ({ id: (await registerAgent(owner, "listed")).agentId }),
  };

  test("[C12] every list there is has its test here", () => {
    const lists = Object.keys(POLICIES).filter(
      (key) => /^GET \/api\/[a-z-]+$/.test(key) && key.slice(4) in LISTS === false,
    );
    expect(lists.sort()).toEqual([
      // Numbered, and walked in its own test.
      "GET /api/audit",
      "GET /api/docs",
      "GET /api/health",
      "GET /api/live",
      // Their rows come from signing in, and are walked in their own tests.
      "GET /api/members",
      // Bounded, and without pages.
      "GET /api/notifications",
      "GET /api/overview",
      // One, and the same for everybody.
      "GET /api/release",
      "GET /api/session",
      "GET /api/sessions",
    ]);
  });

  for (const [path, make] of Object.entries(LISTS)) {
    test(`[C12] GET ${path} goes through all pages newest first, each item once, also while items are added`, async () => {
      const made: string[] = [];
      for (let index = 0; index < 5; index++) made.push((await make()).id);
      const seen: string[] = [];
      let cursor: string | null = "";
      for (let pages = 0; cursor !== null; pages++) {
        expect(pages).toBeLessThan(100);
        const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
        const page = await owner.get<{ items: { id: string }[]; nextCursor: string | null }>(
          `${path}?limit=2${query}`,
        );
        expect(page.items.length).toBeLessThanOrEqual(2);
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor;
        if (pages === 1) await make();
      }
      expect(seen).toEqual([...seen].sort().reverse());
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.slice(0, 5)).toEqual(made.reverse());
    });
  }

  test("[C12] failed files come in the order the agent numbered them, each once", async () => {
    const id = await newJob();
    for (let number = 0; number < 7; number++) {
      await run(
        "insert into job_failures (org_id, job_id, epoch, number, path, code, message) values (?, ?, 1, ?, ?, 'source_denied', 'denied')",
        org.orgId,
        id,
        number,
        `${number}.txt`,
      );
    }
    const seen: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
      const page = await owner.get<{ items: { path: string }[]; nextCursor: string | null }>(
        `/api/jobs/${id}/failures?limit=3${query}`,
      );
      seen.push(...page.items.map((item) => item.path));
      cursor = page.nextCursor;
    }
    expect(seen).toEqual(["0.txt", "1.txt", "2.txt", "3.txt", "4.txt", "5.txt", "6.txt"]);
    expect((await owner.json("GET", `/api/jobs/${id}/failures?cursor=x1`)).status).toBe(400);
  });

  test("[C12] jobs are told apart by whether they are over", async () => {
    const { id: projectId } = await newProject();
    const [one, two] = [
      await makeJob(owner, { projectId, agentId: org.agentId }),
      await makeJob(owner, { projectId, agentId: org.agentId }),
    ];
    await owner.post(`/api/jobs/${one.id}/cancel`);
    const ids = async (state: string) =>
      (
        await owner.get<{ items: { id: string }[] }>(`/api/jobs?projectId=${projectId}&state=${state}`)
      ).items.map(({ id }) => id);
    expect(await ids("active")).toEqual([two.id]);
    expect(await ids("final")).toEqual([one.id]);
  });
});
