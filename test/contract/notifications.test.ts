/** What needs a person now, and the totals of a day and a week. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Overview } from "../../schema/api.ts";
import { NOTIFICATIONS_MAX, type Notification, type Notifications } from "../../schema/notifications.ts";
import {
  controlPlane,
  makeConnection,
  makeJob,
  makeOrganization,
  registerAgent,
  unique,
  type ControlPlane,
  type Organization,
} from "./harness.ts";
import { stepsOf } from "./statements.ts";

const DAY_MS = 86_400_000;

let plane: ControlPlane;
let org: Organization;
beforeAll(async () => {
  plane = await controlPlane();
});

async function run(sql: string, ...values: unknown[]): Promise<void> {
  await plane.database
    .prepare(sql)
    .bind(...values)
    .run();
}

async function fresh(): Promise<Organization> {
  org = await makeOrganization();
  await run("update agents set status = 'online' where org_id = ?", org.orgId);
  return org;
}

const told = async () => (await org.people.viewer.get<Notifications>("/api/notifications")).items;
const kinds = (items: readonly Notification[]) => items.map(({ kind }) => kind);
const newJob = async (agentId = org.agentId) =>
  (await makeJob(org.people.owner, { projectId: org.projectId, agentId, name: `job ${unique()}` })).id;

describe("notifications", () => {
  test("[U74] where nothing needs anybody, nothing is told", async () => {
    await fresh();
    expect(await org.people.viewer.get("/api/notifications")).toEqual({ items: [], more: false });
  });

  test("[U74] agents are told of that wait for approval, are locked, or are missed by their jobs, and no others", async () => {
    await fresh();
    const set = async (status: string) => {
      const { agentId } = await registerAgent(org.people.owner, `${status} ${unique()}`);
      await run("update agents set status = ?, last_seen_at = 5 where id = ?", status, agentId);
      return agentId;
    };
    const pending = await set("pending");
    const locked = await set("locked");
    const missed = await set("offline");
    await set("offline");
    await set("revoked");
    await newJob(missed);
    const later = await set("offline");
    const planned = await newJob(later);
    await run("update jobs set start_at = ? where id = ?", Date.now() + DAY_MS, planned);
    const ended = await set("offline");
    await run("update jobs set status = 'completed' where id = ?", await newJob(ended));
    expect(
      (await told()).map((item) => item.kind === "agent" && [item.agentId, item.status, item.activeJobCount]),
    ).toEqual([
      [locked, "locked", 0],
      [missed, "offline", 1],
      [pending, "pending", 0],
    ]);
  });

  test("[U74] a refused connection is told of with the projects that wait for it, a lapsing one with when", async () => {
    await fresh();
    const { owner } = org.people;
    // It lapses as well, and is told of once.
    await run("update storage_connections set refused_at = 1000, expires_at = 5 where org_id = ?", org.orgId);
    const make = async (name: string) =>
      (
        await owner.post<{ id: string }>("/api/projects", {
          clientId: org.clientId,
          type: "file_migration",
          name,
          storage: { connectionId: org.connectionId, container: org.container },
        })
      ).id;
    const projectIds = [org.projectId];
    for (const name of ["second", "third", "fourth"]) projectIds.push(await make(name));
    await owner.post(`/api/projects/${await make("cancelled")}/cancel`);
    const done = await make("done");
    const job = await newJob();
    await run("update jobs set status = 'completed', project_id = ? where id = ?", done, job);

    const soon = await makeConnection(owner, "soon");
    const over = await makeConnection(owner, "over");
    const later = await makeConnection(owner, "later");
    const now = Date.now();
    for (const [{ id }, at] of [
      [soon, now + 6 * DAY_MS],
      [over, now - DAY_MS],
      [later, now + 9 * DAY_MS],
    ] as const)
      await run("update storage_connections set expires_at = ? where id = ?", at, id);
    const idle = await makeConnection(owner, "idle");
    await run(
      "update storage_connections set kind = 'oauth', refreshed_at = ? where id = ?",
      now - 85 * DAY_MS,
      idle.id,
    );

    const [refused, ...lapsing] = await told();
    expect(refused).toMatchObject({
      kind: "connection_refused",
      connectionId: org.connectionId,
      at: "1970-01-01T00:00:01.000Z",
      projectCount: 4,
    });
    expect(refused?.kind === "connection_refused" && refused.projects.map(({ id }) => id)).toEqual(
      projectIds.toReversed().slice(0, 3),
    );
    expect(
      lapsing.map((item) => item.kind === "connection_lapses" && [item.connectionId, Date.parse(item.at)]),
    ).toEqual([
      [over.id, now - DAY_MS],
      [idle.id, now + 5 * DAY_MS],
      [soon.id, now + 6 * DAY_MS],
    ]);
    const { status } = await owner.get<{ status: string }>(`/api/projects/${done}`);
    expect(status).toBe("completed");
  });

  test("[U74] jobs that failed within seven days are told of, the latest first, and so many at most", async () => {
    await fresh();
    const now = Date.now();
    const fail = async (agoMs: number) => {
      const id = await newJob();
      await run(
        "update jobs set status = 'failed', finished_at = ?, updated_at = ?, error = ? where id = ?",
        now - agoMs,
        now - agoMs,
        JSON.stringify({ code: "SOURCE_MISSING", message: "It is not there" }),
        id,
      );
      return id;
    };
    const earlier = await fail(6 * DAY_MS);
    const latest = await fail(1_000);
    await fail(8 * DAY_MS);
    // Renamed today, and over for long.
    const old = await fail(30 * DAY_MS);
    await run("update jobs set updated_at = ? where id = ?", now, old);
    const items = await told();
    expect(items.map((item) => item.kind === "job_failed" && item.jobId)).toEqual([latest, earlier]);
    expect(items[0]).toMatchObject({
      clientName: `client ${org.canary}`,
      error: { message: "It is not there" },
    });

    for (let count = 0; count < NOTIFICATIONS_MAX; count++) await fail(2_000 + count);
    const all = await org.people.viewer.get<Notifications>("/api/notifications");
    expect(all.items.length).toBe(NOTIFICATIONS_MAX);
    expect(all.more).toBe(true);
    expect(new Set(kinds(all.items))).toEqual(new Set(["job_failed"]));
  });

  test("[U74] each kind is found by its own index", async () => {
    await fresh();
    await told();
    const statements = (await plane.statements()).filter((text) =>
      /t\.finished_at >=|'lop'|projects_connection/.test(text),
    );
    const steps = statements.map((text) => stepsOf(text).join("; "));
    expect(steps.some((step) => step.includes("jobs_activity (org_id=? AND updated_at>?)"))).toBe(true);
    expect(steps.some((step) => step.includes("agents_status (org_id=? AND status=?)"))).toBe(true);
    expect(steps.some((step) => step.includes("projects_connection (org_id=? AND connection_id=?)"))).toBe(
      true,
    );
  });
});

describe("totals of a day and a week", () => {
  const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const overview = async (query = "") => await org.people.viewer.get<Overview>(`/api/overview${query}`);
  const used = async (jobId: string, epoch: number, day: string, bytes: number, files: number) =>
    await run("insert into job_usage values (?, ?, ?, ?, ?, ?)", org.orgId, jobId, epoch, day, bytes, files);

  test("[U75] a day has what was added in it, over all runs, and a week the seven days that end with it", async () => {
    await fresh();
    const now = Date.now();
    const [first, second] = [await newJob(), await newJob()];
    // Counted from the beginning of the run; before the week, too.
    await used(first, 1, dayOf(now - 9 * DAY_MS), 100, 1);
    await used(first, 1, dayOf(now - 6 * DAY_MS), 150, 3);
    await used(first, 1, dayOf(now), 350, 7);
    await used(first, 2, dayOf(now), 1_000, 10);
    await used(second, 1, dayOf(now - DAY_MS), 5_000, 50);
    const end = async (id: string, status: string, atMs: number) =>
      await run(
        "update jobs set status = ?, finished_at = ?, updated_at = ? where id = ?",
        status,
        atMs,
        now,
        id,
      );
    await end(first, "failed", now);
    await end(second, "completed", now - 2 * DAY_MS);
    await end(await newJob(), "completed", now - 20 * DAY_MS);

    const { today, week } = await overview();
    expect(today).toEqual({ bytes: 1_200, files: 14, jobsCompleted: 0, jobsFailed: 1 });
    expect(week).toEqual({ bytes: 6_250, files: 66, jobsCompleted: 1, jobsFailed: 1 });
    const yesterday = await overview(`?today=${dayOf(now - DAY_MS)}`);
    expect(yesterday.today).toEqual({ bytes: 6_200, files: 64, jobsCompleted: 0, jobsFailed: 1 });
  });

  test("[U75] a day that is today nowhere is refused, so that no question reads years", async () => {
    await fresh();
    for (const query of ["?today=2020-01-01", "?today=tomorrow", "?day=1"])
      expect((await org.people.viewer.json("GET", `/api/overview${query}`)).status).toBe(400);
  });
});
