/** Where a job goes, when it starts, what it moves anew, and who else may write there; and how clients and projects end. */
import { beforeAll, describe, expect, test } from "vitest";
import {
  asMachine,
  controlPlane,
  Line,
  makeJob,
  makeOrganization,
  registerAgent,
  unique,
  type Browser,
  type ControlPlane,
  type Organization,
} from "./harness.ts";
import { Machine } from "./machine.ts";

interface Shown {
  readonly id: string;
  readonly epoch: number;
  readonly desiredRev: number;
  readonly status: string;
  readonly agentId: string;
  readonly startAt: string | null;
  readonly config: { readonly only?: string; readonly destination: { readonly prefix: string } };
}

let plane: ControlPlane;
let org: Organization;
let owner: Browser;
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
  ({ owner } = org.people);
});

const later = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
const read = (id: string) => owner.get<Shown>(`/api/jobs/${id}`);
const newJob = (more: object = {}) =>
  makeJob(owner, { projectId: org.projectId, agentId: org.agentId, ...more });
const grant = (key: string, jobId: string, epoch: number) =>
  asMachine("POST", "/api/agent/grants", { jobId, epoch }, key);
const wanted = (agentId: string) => plane.objectRows(agentId, "select message from desired order by job_id");
const heldOf = async (agentId: string, jobId: string) =>
  (await wanted(agentId))
    .map(
      (row) =>
        JSON.parse((row as { message: string }).message) as { jobId: string; epoch: number; state: string },
    )
    .find((held) => held.jobId === jobId);

async function rowOf(id: string): Promise<{ held_until: number | null }> {
  const row = await plane.database
    .prepare("select held_until from jobs where id = ?")
    .bind(id)
    .first<{ held_until: number | null }>();
  if (row === null) throw new Error("There is no such job");
  return row;
}

async function run(sql: string, ...values: unknown[]): Promise<void> {
  await plane.database
    .prepare(sql)
    .bind(...values)
    .run();
}

async function makeProject(): Promise<string> {
  const { clientId, connectionId, container } = org;
  const storage = { connectionId, container, prefix: unique() };
  const body = { clientId, type: "file_migration", name: "Project", storage };
  return (await owner.post<{ id: string }>("/api/projects", body)).id;
}

describe("another agent", () => {
  test("[J20] a job that has not begun goes to another agent in a new epoch, and the old one is to stop", async () => {
    const [one, two] = [await registerAgent(owner, "one"), await registerAgent(owner, "two")];
    const { id } = await newJob({ agentId: one.agentId });
    expect(await heldOf(one.agentId, id)).toMatchObject({ epoch: 1, state: "run" });
    const moved = await owner.patch<Shown>(`/api/jobs/${id}`, { agentId: two.agentId });
    expect(moved).toMatchObject({ agentId: two.agentId, epoch: 2, desiredRev: 2, status: "created" });
    expect(await heldOf(one.agentId, id)).toMatchObject({ epoch: 1, state: "cancel" });
    expect(await heldOf(two.agentId, id)).toMatchObject({ epoch: 2, state: "run" });
    expect((await grant(one.key, id, 1)).status).toBe(404);
    expect((await grant(one.key, id, 2)).status).toBe(404);
    expect((await grant(two.key, id, 1)).status).toBe(409);
    expect((await grant(two.key, id, 2)).status).toBe(200);
  });

  test("[J20] a job moved to and fro goes on where it was first, in an epoch of its own", async () => {
    const [one, two] = [await registerAgent(owner, "one"), await registerAgent(owner, "two")];
    const { id } = await newJob({ agentId: one.agentId });
    await owner.patch(`/api/jobs/${id}`, { agentId: two.agentId });
    await owner.patch(`/api/jobs/${id}`, { agentId: one.agentId });
    expect(await heldOf(one.agentId, id)).toMatchObject({ epoch: 3, state: "run" });
    expect(await heldOf(two.agentId, id)).toMatchObject({ epoch: 2, state: "cancel" });
  });

  test("[J20] once its agent was given a credential, or when it is not created any more, a job stays where it is", async () => {
    const two = await registerAgent(owner, "two");
    const { id } = await newJob();
    expect((await grant(org.agentKey, id, 1)).status).toBe(200);
    expect(await owner.json("PATCH", `/api/jobs/${id}`, { agentId: two.agentId })).toMatchObject({
      status: 409,
      body: { error: expect.stringContaining("has begun") },
    });
    for (const status of ["scanning", "running", "paused", "completed", "cancelled"]) {
      const other = await newJob();
      await run("update jobs set status = ? where id = ?", status, other.id);
      expect((await owner.json("PATCH", `/api/jobs/${other.id}`, { agentId: two.agentId })).status).toBe(409);
      expect(await read(other.id)).toMatchObject({ agentId: org.agentId, epoch: 1 });
    }
  });

  test("[J20] of a move and a grant at the same moment one wins, and never both for one epoch", async () => {
    const two = await registerAgent(owner, "two");
    for (let round = 0; round < 10; round++) {
      const { id } = await newJob();
      const [moved, given] = await Promise.all([
        owner.json("PATCH", `/api/jobs/${id}`, { agentId: two.agentId }),
        grant(org.agentKey, id, 1),
      ]);
      expect([moved.status === 200, given.status === 200].filter(Boolean)).toHaveLength(1);
    }
  });

  test("[J26] the new agent hears of a moved job when the old one has confirmed to have stopped, and gets no grant before", async () => {
    const [one, two] = [new Machine(""), await registerAgent(owner, "two")];
    const old = await registerAgent(owner, "one");
    one.key = old.key;
    await one.connect();
    const { id } = await newJob({ agentId: old.agentId });
    await one.hear("desired");
    await owner.patch(`/api/jobs/${id}`, { agentId: two.agentId });
    await one.hear("desired");
    expect(await heldOf(two.agentId, id)).toBeUndefined();
    expect((await grant(two.key, id, 2)).status).toBe(409);
    const { held_until: untilMs } = await rowOf(id);
    expect(untilMs).toBeGreaterThan(Date.now() + 100_000);
    expect(untilMs).toBeLessThan(Date.now() + 140_000);
    one.say({ type: "applied", jobId: id, epoch: 1, rev: 2, result: "ok" });
    await expect
      .poll(() => heldOf(two.agentId, id), { timeout: 10_000 })
      .toMatchObject({ epoch: 2, state: "run" });
    expect((await grant(two.key, id, 2)).status).toBe(200);
    one.line?.close(1000);
  });

  test("[J26] of an old agent that never answers the lease runs out, and the sweep tells the new one", async () => {
    const [one, two] = [new Machine(""), await registerAgent(owner, "two")];
    const old = await registerAgent(owner, "one");
    one.key = old.key;
    await one.connect();
    const { id } = await newJob({ agentId: old.agentId });
    await one.hear("desired");
    await owner.patch(`/api/jobs/${id}`, { agentId: two.agentId });
    // What a person wants of it meanwhile waits as well.
    await owner.post(`/api/jobs/${id}/pause`);
    await owner.post(`/api/jobs/${id}/resume`);
    await plane.sweep(Date.now() + 30_000);
    expect(await heldOf(two.agentId, id)).toBeUndefined();
    // A sweep takes a hundred jobs at random, and at this hour those of all other tests are due as well.
    await expect
      .poll(async () => {
        await plane.sweep(Date.now() + 150_000);
        return await heldOf(two.agentId, id);
      })
      .toMatchObject({ epoch: 2, state: "run" });
    // By the clock of this test it is not over.
    expect((await grant(two.key, id, 2)).status).toBe(409);
    await run("update jobs set held_until = ? where id = ?", Date.now() - 1, id);
    expect((await grant(two.key, id, 2)).status).toBe(200);
    one.line?.close(1000);
  });

  test("[J26] moved on before that, a job waits for the first agent all the same", async () => {
    const [one, two] = [new Machine(""), await registerAgent(owner, "two")];
    const [old, three] = [await registerAgent(owner, "one"), await registerAgent(owner, "three")];
    one.key = old.key;
    await one.connect();
    const { id } = await newJob({ agentId: old.agentId });
    await one.hear("desired");
    await owner.patch(`/api/jobs/${id}`, { agentId: two.agentId });
    const { held_until: firstMs } = await rowOf(id);
    await owner.patch(`/api/jobs/${id}`, { agentId: three.agentId });
    expect((await rowOf(id)).held_until).toBe(firstMs);
    expect(await heldOf(three.agentId, id)).toBeUndefined();
    expect((await grant(three.key, id, 3)).status).toBe(409);
    one.line?.close(1000);
  });

  test("[J20] what the old agent still says of the job is not heard", async () => {
    const [one, two] = [await registerAgent(owner, "one"), await registerAgent(owner, "two")];
    const { id } = await newJob({ agentId: one.agentId });
    const line = await Line.open("/api/agent/session", {
      headers: { authorization: `Bearer ${one.key}` },
      protocols: ["migrate.agent.v1"],
    });
    const hello = {
      type: "hello",
      protocolMin: 1,
      protocolMax: 1,
      agentVersion: "0.1.0",
      host: "fs01",
      os: "linux",
      arch: "x86_64",
      instanceId: "one",
      freeDiskBytes: 1,
      applied: {},
    };
    line.send(JSON.stringify({ v: 1, s: 0, n: 1, a: 0, m: [hello] }));
    const welcome = await line.next((text) => {
      const frame = JSON.parse(text) as { s: number; m: { type: string; sessionEpoch?: number }[] };
      return frame.m.find(({ type }) => type === "welcome");
    });
    await owner.patch(`/api/jobs/${id}`, { agentId: two.agentId });
    const told = await line.next((text) => {
      const frame = JSON.parse(text) as {
        m: { type: string; jobId?: string; state?: string; epoch?: number }[];
      };
      return frame.m.find(
        ({ type, jobId, state }) => type === "desired" && jobId === id && state === "cancel",
      );
    });
    expect(told.epoch).toBe(1);
    const event = {
      type: "event",
      jobId: id,
      epoch: 1,
      eventSeq: 1,
      at: new Date().toISOString(),
      event: { kind: "phase", phase: "scanning", totals: TOTALS },
    };
    line.send(JSON.stringify({ v: 1, s: welcome.sessionEpoch, n: 2, a: 0, m: [event] }));
    await line.next((text) => (text.includes('"ack"') ? true : undefined));
    expect(await read(id)).toMatchObject({ status: "created", epoch: 2, agentId: two.agentId });
    line.close(1000);
  });

  test("[C2] only an agent of the organization that is not revoked takes a job over", async () => {
    const two = await registerAgent(owner, "two");
    await owner.post(`/api/agents/${two.agentId}/revoke`);
    const { id } = await newJob();
    expect(await owner.json("PATCH", `/api/jobs/${id}`, { agentId: two.agentId })).toMatchObject({
      status: 400,
      body: { details: { fields: { agentId: expect.any(String) } } },
    });
  });
});

const TOTALS = Object.fromEntries(
  [
    "filesTotal filesCompleted filesFailed filesSkipped filesVerified filesReadBack filesDeleted",
    "bytesTotal bytesCompleted bytesFailed bytesSkipped bytesSent",
  ]
    .join(" ")
    .split(" ")
    .map((name) => [name, 0]),
);

describe("a start in time", () => {
  test("[J21] a job that is to start later is created, and its agent hears of it only then", async () => {
    const agent = await registerAgent(owner, "patient");
    const startAt = later(60);
    const { id } = await newJob({ agentId: agent.agentId, startAt });
    expect(await read(id)).toMatchObject({ status: "created", startAt });
    await run("update jobs set updated_at = 1 where id = ?", id);
    await run(
      "update agents set status = 'online', last_seen_at = ? where id = ?",
      Date.now(),
      agent.agentId,
    );
    await owner.post(`/api/jobs/${id}/pause`);
    await owner.post(`/api/jobs/${id}/resume`);
    await run("update jobs set updated_at = 1 where id = ?", id);
    await plane.sweep();
    expect(await wanted(agent.agentId)).toEqual([]);
    await run("update jobs set start_at = ?, updated_at = 1 where id = ?", Date.now() - 1, id);
    await plane.sweep();
    expect(await heldOf(agent.agentId, id)).toMatchObject({ state: "run", epoch: 1 });
  });

  test("[J21] a start can be put off and brought forward until the job has begun", async () => {
    const agent = await registerAgent(owner, "patient");
    const { id } = await newJob({ agentId: agent.agentId });
    await owner.patch(`/api/jobs/${id}`, { startAt: later(60) });
    expect(await heldOf(agent.agentId, id)).toMatchObject({ state: "cancel", epoch: 1 });
    await owner.patch(`/api/jobs/${id}`, { startAt: null });
    expect(await heldOf(agent.agentId, id)).toMatchObject({ state: "run", epoch: 3 });
    expect((await grant(agent.key, id, 3)).status).toBe(200);
    expect((await owner.json("PATCH", `/api/jobs/${id}`, { startAt: later(5) })).status).toBe(409);
  });

  test("[J21] before its time an agent that guesses gets no credential", async () => {
    const { id } = await newJob({ startAt: later(60) });
    expect((await grant(org.agentKey, id, 1)).status).toBe(409);
  });
});

describe("a copy", () => {
  test("[J22] a copy is a new job with the same options; where it would write to the same place it needs another", async () => {
    const { id } = await newJob({ options: { concurrency: 7 } });
    expect((await owner.json("POST", `/api/jobs/${id}/duplicate`)).status).toBe(409);
    const key = { "Idempotency-Key": unique() };
    const body = { destination: { prefix: unique() } };
    const copy = await owner.post<Shown>(`/api/jobs/${id}/duplicate`, body, key);
    expect(copy).toMatchObject({
      name: "First pass (copy)",
      epoch: 1,
      config: { options: { concurrency: 7 }, destination: body.destination },
    });
    expect((await owner.post<Shown>(`/api/jobs/${id}/duplicate`, body, key)).id).toBe(copy.id);
    await owner.post(`/api/jobs/${id}/cancel`);
    expect((await owner.json("POST", `/api/jobs/${id}/duplicate`)).status).toBe(201);
  });

  test("[J22] a copy of a job that removes source files is asked the same as the first: an admin, and the path once more", async () => {
    const { id } = await newJob({ options: { deletion: {} }, confirmDeletionOf: "/srv/files" });
    const body = () => ({ destination: { prefix: unique() } });
    const confirmed = () => ({ ...body(), confirmDeletionOf: "/srv/files" });
    const ask = async (browser: Browser, asked: object) =>
      (await browser.json("POST", `/api/jobs/${id}/duplicate`, asked)).status;
    expect(await ask(owner, body())).toBe(400);
    expect(await ask(org.people.member, confirmed())).toBe(403);
    expect(await ask(org.people.admin, confirmed())).toBe(201);
  });
});

describe("only what failed", () => {
  async function withFailures(kept: number, counted = kept, status = "completed"): Promise<string> {
    const { id } = await newJob();
    const [now] = [Date.now()];
    await run(
      "update jobs set status = ?, files_failed = ?, finished_at = ? where id = ?",
      status,
      counted,
      now,
      id,
    );
    await run(
      "insert into job_failures (org_id, job_id, epoch, number, path, code, message) with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ?) select ?, ?, 1, i, 'folder/' || i, 'source_denied', 'denied' from n",
      kept,
      org.orgId,
      id,
    );
    return id;
  }
  const retry = (id: string) =>
    owner
      .json("POST", `/api/jobs/${id}/retry`, { only: "failed" })
      .then(
        (answer) =>
          answer as { status: number; body: Shown & { retry: { moves: string; reason: string | null } } },
      );
  const only = (key: string, id: string, epoch: number, after = -1) =>
    asMachine("GET", `/api/agent/jobs/${id}/only?epoch=${epoch}&after=${after}`, undefined, key);

  test("[J23] the new epoch moves only the files that failed, which its agent reads page by page", async () => {
    const id = await withFailures(95);
    const { body } = await retry(id);
    expect(body).toMatchObject({
      epoch: 2,
      status: "created",
      config: { only: "failed" },
      retry: { moves: "failed" },
    });
    expect(await heldOf(org.agentId, id)).toMatchObject({ epoch: 2, config: { only: "failed" } });
    const paths: string[] = [];
    for (let after: number | null = -1; after !== null;) {
      const page = (await only(org.agentKey, id, 2, after)).body as { paths: string[]; next: number | null };
      paths.push(...page.paths);
      after = page.next;
    }
    expect(paths).toEqual(Array.from({ length: 95 }, (_, index) => `folder/${index}`));
  });

  test("[J23] the list is for the job's agent and its live epoch only", async () => {
    const id = await withFailures(3);
    expect((await only(org.agentKey, id, 1)).status).toBe(409);
    await retry(id);
    const other = await registerAgent(owner, "other");
    expect((await only(other.key, id, 2)).status).toBe(404);
    expect((await only(org.agentKey, id, 1)).status).toBe(409);
    expect((await only(org.agentKey, id, 2)).status).toBe(200);
    await owner.post(`/api/jobs/${id}/cancel`);
    expect((await only(org.agentKey, id, 2)).status).toBe(409);
  });

  test.each([
    ["more files failed than are known here", () => withFailures(1_000, 1_001), /only the first 1000/],
    ["the job never came to its end", () => withFailures(3, 3, "failed"), /did not get to its end/],
    ["the job was cancelled", () => withFailures(3, 3, "cancelled"), /did not get to its end/],
  ])("[J23] where %s everything is moved, and the answer says why", async (_what, make, reason) => {
    const { status, body } = await retry(await make());
    expect(status).toBe(200);
    expect(body.config.only).toBeUndefined();
    expect(body.retry).toEqual({ moves: "everything", reason: expect.stringMatching(reason) });
  });

  test("[J23] a retry of everything after one of the failed files moves everything again", async () => {
    const id = await withFailures(3);
    await retry(id);
    await owner.post(`/api/jobs/${id}/cancel`);
    expect((await owner.post<Shown>(`/api/jobs/${id}/retry`)).config.only).toBeUndefined();
  });
});

describe("one place, one job", () => {
  const place = unique();
  const make = (prefix: string) =>
    owner.json("POST", "/api/jobs", {
      projectId: org.projectId,
      agentId: org.agentId,
      name: `at ${prefix}`,
      type: "migrate_files",
      source: { kind: "local", path: "/srv" },
      destination: { prefix },
    });

  test.each([
    ["the same place", "a/b", "a/b", 409],
    ["a folder in it", "a/b", "a/b/c/d", 409],
    ["a folder around it", "a/b", "a", 409],
    ["a place beside it", "a/b", "a/c", 201],
    ["a place whose name begins alike", "a/b", "a/bc", 201],
    ["a place whose name begins alike, the other way", "a/bc", "a/b", 201],
    ["a place with other letters", "a/b", "a/B", 201],
  ])("[J24] a job at %s: %s, then %s", async (_what, first, second, status) => {
    const root = `${place}/${unique()}`;
    const { body } = await make(`${root}/${first}`);
    const answer = await make(`${root}/${second}`);
    expect(answer.status).toBe(status);
    if (status !== 409) return;
    expect(answer.body).toMatchObject({
      code: "CONFLICT",
      error: expect.stringContaining(`at ${root}/${first}`),
      details: { jobId: (body as Shown).id },
    });
    await owner.post(`/api/jobs/${(body as Shown).id}/cancel`);
    expect((await make(`${root}/${second}`)).status).toBe(201);
    // What is final may not come back while the other one is at work.
    expect(await owner.json("POST", `/api/jobs/${(body as Shown).id}/retry`)).toMatchObject({ status: 409 });
  });

  test("[J24] of twenty jobs for one place at the same moment one is made", async () => {
    const prefix = `${place}/${unique()}`;
    const answers = await Promise.all(Array.from({ length: 20 }, () => make(prefix)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
  });
});

describe("the end of projects, clients and agents", () => {
  test("[C17] a cancelled project cancels its jobs at once, takes none, and begins none again until it is reopened", async () => {
    const projectId = await makeProject();
    const { id } = await newJob({ projectId });
    const { id: over } = await newJob({ projectId });
    await run("update jobs set status = 'completed' where id = ?", over);
    expect(await owner.post(`/api/projects/${projectId}/cancel`)).toMatchObject({ status: "cancelled" });
    expect(await read(id)).toMatchObject({ status: "cancelled", desiredState: "cancel", desiredRev: 2 });
    expect(await heldOf(org.agentId, id)).toMatchObject({ state: "cancel" });
    expect(await read(over)).toMatchObject({ status: "completed", desiredRev: 1 });
    expect(await owner.json("POST", `/api/jobs/${id}/retry`)).toMatchObject({
      status: 409,
      body: { error: expect.stringContaining("reopen") },
    });
    await owner.post(`/api/projects/${projectId}/reopen`);
    expect((await owner.json("POST", `/api/jobs/${id}/retry`)).status).toBe(200);
  });

  test("[C17] a project without jobs can be deleted, one with jobs cannot", async () => {
    const [empty, used] = [await makeProject(), await makeProject()];
    await newJob({ projectId: used });
    expect((await owner.json("DELETE", `/api/projects/${empty}`)).status).toBe(204);
    expect((await owner.json("GET", `/api/projects/${empty}`)).status).toBe(404);
    expect((await owner.json("DELETE", `/api/projects/${used}`)).status).toBe(409);
  });

  test("[C17] a client with projects is archived and restored, never deleted; one without may be", async () => {
    const { id } = await owner.post<{ id: string }>("/api/clients", { name: "Acme" });
    const agent = await registerAgent(owner, "of Acme");
    await owner.patch(`/api/agents/${agent.agentId}`, { clientId: id });
    expect((await owner.json("DELETE", `/api/clients/${id}`)).status).toBe(204);
    expect(await owner.get(`/api/agents/${agent.agentId}`)).toMatchObject({ clientId: null });
    const fresh = await makeOrganization();
    const { owner: other } = fresh.people;
    expect(await other.json("DELETE", `/api/clients/${fresh.clientId}`)).toMatchObject({ status: 409 });
    const archive = () => other.json("PATCH", `/api/clients/${fresh.clientId}`, { status: "archived" });
    expect((await archive()).status).toBe(409);
    await other.post(`/api/jobs/${fresh.jobId}/cancel`);
    expect((await archive()).status).toBe(200);
    expect((await other.json("POST", `/api/jobs/${fresh.jobId}/retry`)).status).toBe(409);
    await other.patch(`/api/clients/${fresh.clientId}`, { status: "active" });
    expect((await other.json("POST", `/api/jobs/${fresh.jobId}/retry`)).status).toBe(200);
  });

  test("[C17] an agent can be deleted once it is revoked, if it never had a job", async () => {
    const [idle, busy] = [await registerAgent(owner, "idle"), await registerAgent(owner, "busy")];
    await newJob({ agentId: busy.agentId });
    expect((await owner.json("DELETE", `/api/agents/${idle.agentId}`)).status).toBe(409);
    for (const { agentId } of [idle, busy]) await owner.post(`/api/agents/${agentId}/revoke`);
    expect((await owner.json("DELETE", `/api/agents/${idle.agentId}`)).status).toBe(204);
    expect((await owner.json("DELETE", `/api/agents/${busy.agentId}`)).status).toBe(409);
  });

  test("[C4] a project whose storage refuses is auth_required until it is connected again, unless it is over", async () => {
    const fresh = await makeOrganization();
    const status = async () =>
      (await fresh.people.viewer.get<{ status: string }>(`/api/projects/${fresh.projectId}`)).status;
    await run("update storage_connections set refused_at = 1 where id = ?", fresh.connectionId);
    expect(await status()).toBe("auth_required");
    await run("update jobs set status = 'completed' where id = ?", fresh.jobId);
    expect(await status()).toBe("completed");
    await run("update jobs set status = 'running' where id = ?", fresh.jobId);
    await run("update storage_connections set refused_at = null where id = ?", fresh.connectionId);
    expect(await status()).toBe("in_progress");
  });
});
