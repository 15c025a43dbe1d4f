/** The log of one job: what it tells whoever may see the job, and what it keeps to itself. */
import { beforeAll, expect, test } from "vitest";
import type { JobLog, JobLogEntry } from "../../schema/job-log.ts";
import { ID_RANDOM_BYTES, newId } from "../../schema/ids.ts";
import { controlPlane, makeJob, makeOrganization, registerAgent, type Organization } from "./harness.ts";
import { Machine } from "./machine.ts";

let org: Organization;
beforeAll(async () => {
  org = await makeOrganization();
});

async function logOf(id: string, query = ""): Promise<JobLog> {
  return await org.people.viewer.get<JobLog>(`/api/jobs/${id}/log${query}`);
}
async function logUntil(
  id: string,
  holds: (items: readonly JobLogEntry[]) => boolean,
): Promise<JobLogEntry[]> {
  const untilMs = Date.now() + 10_000;
  for (;;) {
    const { items } = await logOf(id);
    if (holds(items) || Date.now() > untilMs) return items;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
const newJob = async () =>
  (await makeJob(org.people.member, { projectId: org.projectId, agentId: org.agentId })).id;

test("[U70] a viewer reads who made, paused, changed, moved, cancelled and retried a job, newest first", async () => {
  const { member, admin } = org.people;
  const other = await registerAgent(org.people.owner, "the other one");
  const id = await newJob();
  await member.post(`/api/jobs/${id}/pause`);
  await admin.post(`/api/jobs/${id}/resume`);
  await member.patch(`/api/jobs/${id}`, { bandwidthMbps: 12.5 });
  await member.patch(`/api/jobs/${id}`, { agentId: other.agentId });
  await member.post(`/api/jobs/${id}/cancel`);
  await admin.post(`/api/jobs/${id}/retry`);
  const { items, nextCursor } = await logOf(id);
  const who = { kind: "user", name: `member ${org.canary}` };
  const boss = { kind: "user", name: `admin ${org.canary}` };
  expect(items.map(({ at: _at, ...entry }) => entry)).toEqual([
    { event: "job.retry", actor: boss, epoch: 2, details: { moves: "everything" } },
    { event: "job.cancel", actor: who, epoch: 2, details: {} },
    {
      event: "job.moved",
      actor: who,
      epoch: null,
      details: { fields: ["agentId"], from: `agent ${org.canary}`, to: "the other one" },
    },
    {
      event: "job.changed",
      actor: who,
      epoch: null,
      details: { fields: ["bandwidthMbps"], bandwidthMbps: 12.5 },
    },
    { event: "job.resume", actor: boss, epoch: 1, details: {} },
    { event: "job.pause", actor: who, epoch: 1, details: {} },
    { event: "job.created", actor: who, epoch: null, details: {} },
  ]);
  expect(nextCursor).toBeNull();
});

test("[U70] the log keeps addresses, other people's doings and unnamed details to itself", async () => {
  const id = await newJob();
  const { database } = await controlPlane();
  const secret = {
    action: "job.changed",
    details: JSON.stringify({ fields: ["name"], address: "198.18.0.1", token: "canary-token" }),
  };
  for (const [action, details] of [
    [secret.action, secret.details],
    ["export.taken", JSON.stringify({ what: "report" })],
    ["grant.made", "{}"],
  ] as const) {
    const random = crypto.getRandomValues(new Uint8Array(ID_RANDOM_BYTES));
    const row = [org.orgId, newId("audit", Date.now(), random), Date.now(), action, id, details];
    await database
      .prepare(
        "insert into audit_log (org_id, id, at, actor_kind, actor_id, address, action, object_id, details) values (?, ?, ?, 'user', null, '198.18.0.2', ?, ?, ?)",
      )
      .bind(...row)
      .run();
  }
  const { text } = await org.people.viewer.json("GET", `/api/jobs/${id}/log`);
  expect(text).not.toMatch(/198\.18|canary-token/);
  expect((await logOf(id)).items.map(({ event }) => event)).toEqual(["job.changed", "job.created"]);
});

test("[U70] runs that began and ended stand in the log, also earlier ones, told once each", async () => {
  const { agentId, key } = await registerAgent(org.people.owner, "coming and going");
  const { id } = await makeJob(org.people.member, { projectId: org.projectId, agentId });
  const machine = new Machine(key);
  await machine.connect();
  const at = new Date().toISOString();
  const totals = Object.fromEntries(
    [
      "filesTotal",
      "filesCompleted",
      "filesFailed",
      "filesSkipped",
      "filesVerified",
      "filesReadBack",
      "filesDeleted",
      "bytesTotal",
      "bytesCompleted",
      "bytesFailed",
      "bytesSkipped",
      "bytesSent",
    ].map((name) => [name, 0]),
  );
  const of = { jobId: id, epoch: 1 };
  machine.say({ type: "event", eventSeq: 1, ...of, at, event: { kind: "phase", phase: "scanning", totals } });
  const error = { code: "SOURCE_NOT_FOUND", message: "It is not there" };
  const report = {
    outcome: "failed",
    error,
    totals,
    startedAt: at,
    finishedAt: at,
    activeMs: 1,
    verification: "chain",
    manifest: null,
  };
  machine.say({ type: "result", eventSeq: 2, ...of, report });
  const first = await logUntil(id, (items) => items.some(({ event }) => event === "job.failed"));
  const names = (items: readonly JobLogEntry[]) =>
    items.map(({ event, epoch }) => `${event} ${epoch ?? ""}`.trim());
  expect(names(first)).toEqual(["job.failed 1", "job.started 1", "job.created"]);
  await org.people.member.post(`/api/jobs/${id}/retry`);
  const second = await logUntil(id, (items) => items.some(({ event }) => event === "job.retry"));
  expect(names(second)).toEqual(expect.arrayContaining(["job.started 1", "job.failed 1", "job.retry 1"]));
  expect(second.filter(({ event }) => event === "job.failed")).toHaveLength(1);
}, 30_000);

test("[U70] page by page the log is the same, and nothing stands twice", async () => {
  const id = await newJob();
  for (let times = 0; times < 3; times++) {
    await org.people.member.post(`/api/jobs/${id}/pause`);
    await org.people.member.post(`/api/jobs/${id}/resume`);
  }
  const whole = (await logOf(id)).items;
  expect(whole).toHaveLength(7);
  const paged: JobLogEntry[] = [];
  let cursor: string | null = null;
  do {
    const page: JobLog = await logOf(id, `?limit=2${cursor === null ? "" : `&cursor=${cursor}`}`);
    paged.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  expect(paged).toEqual(whole);
});

test("[U70] a page looks through a bounded part of the organization's entries, and the pages behind it have the rest", async () => {
  const own = await makeOrganization();
  const { database } = await controlPlane();
  const nowMs = Date.now();
  const ids = Array.from({ length: 5_100 }, (_, index) =>
    newId("audit", nowMs + index, crypto.getRandomValues(new Uint8Array(ID_RANDOM_BYTES))),
  );
  await database
    .prepare(
      "insert into audit_log (org_id, id, at, actor_kind, action, object_id) select ?, value, ?, 'system', 'grant.made', ? from json_each(?)",
    )
    .bind(own.orgId, nowMs, own.jobId, JSON.stringify(ids))
    .run();
  const path = `/api/jobs/${own.jobId}/log`;
  const first = await own.people.viewer.get<JobLog>(path);
  expect(first.items).toEqual([]);
  expect(first.nextCursor).not.toBeNull();
  const second = await own.people.viewer.get<JobLog>(`${path}?cursor=${first.nextCursor}`);
  expect(second.items.map(({ event }) => event)).toEqual(["job.created"]);
  expect(second.nextCursor).toBeNull();
});

test("[U70] an agent that went and came back during the present run stands in its log, and what it did before does not", async () => {
  const id = await newJob();
  const { database } = await controlPlane();
  const startedMs = Date.now() + 10_000;
  const insert =
    "insert into outbox (org_id, id, kind, key, target, payload, created_at, attempts) values (?, ?, 'bus', ?, 'everybody', '{}', ?, 0)";
  for (const [what, atMs] of [
    ["offline", startedMs - 5_000],
    ["offline", startedMs + 1_000],
    ["online", startedMs + 2_000],
  ] as const) {
    const random = crypto.getRandomValues(new Uint8Array(ID_RANDOM_BYTES));
    const row = [org.orgId, newId("outbox", atMs, random), `agent.${what}/${org.agentId}/${atMs}`, atMs];
    await database
      .prepare(insert)
      .bind(...row)
      .run();
  }
  expect((await logOf(id)).items.map(({ event }) => event)).toEqual(["job.created"]);
  await database.prepare("update jobs set started_at = ? where id = ?").bind(startedMs, id).run();
  expect((await logOf(id)).items.map(({ event }) => event)).toEqual([
    "agent.online",
    "agent.offline",
    "job.started",
    "job.created",
  ]);
});
