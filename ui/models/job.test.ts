import { expect, test } from "vitest";
import type { Job } from "../../schema/api.ts";
import type { LiveJob } from "../../schema/live.ts";
import {
  agentWith,
  createLiveWorld,
  createSockets,
  createTestApi,
  createTestClock,
  jobWith,
  liveJobWith,
  pageWith,
  settle,
  totalsWith,
} from "../test-world.ts";
import { createJobPage } from "./job.ts";
import { SAMPLES_MAX } from "./job-speed.ts";
import { createLiveJobs } from "./live-jobs.ts";
import { createToasts } from "./toasts.ts";

/** A page on a server that holds one job; the test changes the job and plays the socket. */
async function setUp(first: Partial<Job> = {}) {
  const clock = createTestClock();
  const sockets = createSockets();
  const server = {
    job: jobWith(first),
    failures: [{ path: "a.txt", code: "source_denied", message: "No" }],
    log: [{ at: "2026-05-31T11:00:00.000Z", event: "job.created", actor: null, epoch: null, details: {} }],
    retry: { moves: "failed", reason: null as string | null },
  };
  const { api, asked } = createTestApi(({ method, path, body }) => {
    if (path.includes("/failures")) return { body: pageWith(server.failures) };
    if (path.includes("/log")) return { body: pageWith(server.log) };
    if (path.includes("/agents"))
      return { body: pageWith([agentWith(), agentWith({ id: "agt_2", name: "fs02" })]) };
    const action = method === "POST" ? path.split("/").at(-1) : null;
    if (method === "PATCH") {
      const config = { ...server.job.config, options: { ...server.job.config.options, ...(body as object) } };
      server.job = { ...server.job, config, desiredRev: server.job.desiredRev + 1 };
    }
    if (action === "pause")
      server.job = { ...server.job, desiredState: "pause", desiredRev: server.job.desiredRev + 1 };
    if (action === "retry") return { body: { ...server.job, retry: server.retry } };
    if (action === "duplicate") return { body: { ...server.job, id: "job_2" } };
    return { body: server.job };
  });
  const live = createLiveJobs(createLiveWorld(clock, sockets), {
    lost: () => {},
    load: () => Promise.resolve(),
  });
  live.watch({ kind: "job", jobId: "job_1" });
  const toasts = createToasts(clock);
  const made: Job[] = [];
  const page = createJobPage(
    { api, clock, live, toasts, uuid: () => "key-00000001", duplicated: (job) => made.push(job) },
    "job_1",
  );
  page.open();
  await settle();
  sockets.last.events.opened();
  const reads = () =>
    asked.filter((request) => request.method === "GET" && request.path === "/api/jobs/job_1").length;
  return { clock, sockets, server, page, reads, asked, toasts, made };
}

test("[U16] a pause is on its way until the agent confirms it, and the page finds out by itself", async () => {
  const { clock, server, page } = await setUp();
  await page.act("pause");
  expect(page.figures.value?.pendingWish).toBe("pause");
  server.job = { ...server.job, status: "paused", appliedRev: server.job.desiredRev };
  await clock.pass(2_000);
  expect(page.figures.value?.pendingWish).toBeNull();
  expect(page.figures.value?.status).toBe("paused");
  page.close();
});

test("[U30] a new limit is sent as a number, and on its way until the agent confirms it", async () => {
  const { clock, server, page, reads, asked } = await setUp();
  page.editLimit();
  page.limitForm.value?.set("bandwidthMbps", "12,5");
  await page.limitForm.value?.submit();
  expect(asked.at(-1)).toMatchObject({ method: "PATCH", body: { bandwidthMbps: 12.5 } });
  expect(page.limitForm.value).toBeNull();
  expect(page.job.value?.config.options.bandwidthMbps).toBe(12.5);
  expect(page.limitIsPending.value).toBe(true);
  server.job = { ...server.job, appliedRev: server.job.desiredRev };
  await clock.pass(2_000);
  expect(page.limitIsPending.value).toBe(false);
  const after = reads();
  await clock.pass(60_000);
  expect(reads()).toBe(after);
  page.close();
});

test("[U30] an empty limit takes the job's own away, and one that is no number is not sent", async () => {
  const config = jobWith().config;
  const { page, asked } = await setUp({
    config: { ...config, options: { ...config.options, bandwidthMbps: 20 } },
  });
  page.editLimit();
  expect(page.limitForm.value?.values.value.bandwidthMbps).toBe("20");
  page.limitForm.value?.set("bandwidthMbps", "fast");
  await page.limitForm.value?.submit();
  expect(page.limitForm.value?.errors.value["bandwidthMbps"]).toBeDefined();
  expect(asked.some((request) => request.method === "PATCH")).toBe(false);
  page.limitForm.value?.set("bandwidthMbps", "");
  await page.limitForm.value?.submit();
  expect(asked.at(-1)?.body).toEqual({ bandwidthMbps: null });
  page.close();
});

test("[U17] a live change of state brings the report from the API, and a page with nothing to wait for asks no more", async () => {
  const { clock, sockets, server, page, reads } = await setUp();
  expect(reads()).toBe(1);
  const totals = totalsWith({ filesCompleted: 10, bytesCompleted: 1_000 });
  server.job = jobWith({
    status: "completed",
    totals,
    report: {
      outcome: "completed",
      error: null,
      totals,
      startedAt: "2026-05-31T11:00:00Z",
      finishedAt: "2026-05-31T12:00:00Z",
      activeMs: 3_600_000,
      verification: "chain",
      manifest: null,
    },
  });
  sockets.last.say({ type: "job", job: liveJobWith({ status: "completed", totals }) });
  await clock.pass(500);
  expect(page.job.value?.report?.outcome).toBe("completed");
  const after = reads();
  await clock.pass(60_000);
  expect(reads()).toBe(after);
  page.close();
});

test("[U17] the report of a job that ended is asked for until it is there", async () => {
  const { clock, page, reads } = await setUp({ status: "completed" });
  await clock.pass(6_000);
  expect(reads()).toBe(4);
  page.close();
  await clock.pass(20_000);
  expect(reads()).toBe(4);
});

test("[U68] an agent that goes away is asked after once, because only the API knows since when", async () => {
  const { clock, sockets, server, page, reads } = await setUp();
  sockets.last.say({ type: "job", job: liveJobWith() });
  await clock.pass(1_000);
  const before = reads();
  server.job = { ...server.job, agentStatus: "offline", agentLastSeenAt: "2026-05-31T12:00:01.000Z" };
  for (let second = 1; second <= 5; second++) {
    const updatedAt = new Date(clock.now()).toISOString();
    sockets.last.say({ type: "job", job: liveJobWith({ agentOnline: false, updatedAt }) });
    await clock.pass(1_000);
  }
  expect(reads()).toBe(before + 1);
  expect(page.job.value?.agentLastSeenAt).toBe("2026-05-31T12:00:01.000Z");
  page.close();
});

test("[U13] after a gap the page fetches the job anew", async () => {
  const { clock, sockets, page, reads } = await setUp();
  sockets.last.events.closed(1006);
  await clock.pass(30_000);
  sockets.last.events.opened();
  await settle();
  expect(reads()).toBe(2);
  page.close();
});

test("[U18] failed files are listed as soon as there are some", async () => {
  const { clock, sockets, page } = await setUp();
  expect(page.failures.value).toEqual([]);
  sockets.last.say({ type: "job", job: liveJobWith({ totals: totalsWith({ filesFailed: 1 }) }) });
  await clock.pass(200);
  expect(page.failures.value.map((failure) => failure.path)).toEqual(["a.txt"]);
  page.close();
});

test("[U65] the speeds keep a bounded past, each with its moment and the limit that held", async () => {
  const config = jobWith().config;
  const { clock, sockets, page } = await setUp({
    config: { ...config, options: { ...config.options, bandwidthMbps: 20 } },
  });
  for (let second = 0; second < SAMPLES_MAX + 100; second++) {
    const updatedAt = new Date(Date.parse("2026-05-31T12:00:00Z") + second * 1_000).toISOString();
    sockets.last.say({ type: "job", job: liveJobWith({ updatedAt, bytesPerSecond: second }) });
    await clock.pass(1_000);
  }
  const samples = page.samples.value;
  expect(samples).toHaveLength(SAMPLES_MAX);
  expect(samples.at(-1)).toMatchObject({ bytesPerSecond: SAMPLES_MAX + 99, limitMegabits: 20 });
  expect((samples.at(-1)?.atMs ?? 0) - (samples.at(-2)?.atMs ?? 0)).toBe(1_000);
  page.close();
});

test("[U65] while the job does not run there is one gap, and another run begins anew", async () => {
  const { clock, sockets, page } = await setUp();
  const say = async (change: Partial<LiveJob>) => {
    const updatedAt = new Date(clock.now()).toISOString();
    sockets.last.say({ type: "job", job: liveJobWith({ updatedAt, ...change }) });
    await clock.pass(1_000);
  };
  await say({ bytesPerSecond: 5 });
  await say({ status: "paused", bytesPerSecond: 0 });
  await say({ status: "paused", bytesPerSecond: 0 });
  await say({ bytesPerSecond: 7 });
  expect(page.samples.value.map(({ bytesPerSecond }) => bytesPerSecond)).toEqual([5, null, 7]);
  await say({ epoch: 2, bytesPerSecond: 9 });
  expect(page.samples.value.map(({ bytesPerSecond }) => bytesPerSecond).includes(5)).toBe(false);
  page.close();
});

test("[U68] what has not moved is known since when, and a byte more ends that", async () => {
  const { clock, sockets, page } = await setUp();
  sockets.last.say({ type: "job", job: liveJobWith() });
  await clock.pass(1_000);
  const since = page.stillSinceMs.value;
  await clock.pass(90_000);
  expect(page.stillSinceMs.value).toBe(since);
  const updatedAt = new Date(clock.now()).toISOString();
  sockets.last.say({ type: "job", job: liveJobWith({ updatedAt, bytesInFlight: 1 }) });
  await clock.pass(200);
  expect(page.stillSinceMs.value).toBeGreaterThan(since ?? Infinity);
  page.close();
});

test("[U69] retrying only what failed says so to the server, and says why when everything is moved", async () => {
  const totals = totalsWith({ filesFailed: 2 });
  const { page, asked, server, toasts } = await setUp({ status: "completed", totals });
  await page.retryFailed();
  expect(asked.find(({ path }) => path.endsWith("/retry"))?.body).toEqual({ only: "failed" });
  expect(toasts.shown.value).toEqual([]);
  server.retry = { moves: "everything", reason: "Only some are known" };
  await page.retryFailed();
  expect(toasts.shown.value.map(({ text }) => text)).toEqual([
    "Started again with everything. Only some are known",
  ]);
  page.close();
});

test("[U70] the log is asked for when the page opens and when something happened, not with every byte", async () => {
  const { clock, sockets, page, asked } = await setUp();
  const asks = () => asked.filter(({ path }) => path.includes("/log")).length;
  await clock.pass(2_000);
  expect(asks()).toBe(1);
  expect(page.log.entries.value.map(({ event }) => event)).toEqual(["job.created"]);
  const updatedAt = new Date(clock.now()).toISOString();
  sockets.last.say({ type: "job", job: liveJobWith({ updatedAt, bytesInFlight: 5 }) });
  await clock.pass(5_000);
  expect(asks()).toBe(1);
  await page.act("pause");
  await clock.pass(2_000);
  expect(asks()).toBe(2);
  page.close();
});

test("[U71] a start is sent as a moment, both fields empty as at once, and one that is over is not sent", async () => {
  const { page, asked } = await setUp({ status: "created", startAt: "2026-06-01T10:00:00.000Z" });
  page.changes.begin("start", page.job.value ?? jobWith());
  const change = page.changes.open.value;
  if (change?.kind !== "start") throw new Error("Cannot go on: the form is not open");
  expect(new Date(`${change.form.values.value.date}T${change.form.values.value.time}`).toISOString()).toBe(
    "2026-06-01T10:00:00.000Z",
  );
  change.form.set("date", "2026-05-01");
  await change.form.submit();
  expect(change.form.errors.value["date"]).toMatch(/over/);
  change.form.set("date", "2026-06-02");
  await change.form.submit();
  expect(asked.findLast(({ method }) => method === "PATCH")?.body).toEqual({
    startAt: new Date(`2026-06-02T${change.form.values.value.time}`).toISOString(),
  });
  expect(page.changes.open.value).toBeNull();
  page.changes.begin("start", page.job.value ?? jobWith());
  const again = page.changes.open.value;
  if (again?.kind !== "start") throw new Error("Cannot go on: the form is not open");
  again.form.set("date", "");
  again.form.set("time", "");
  await again.form.submit();
  expect(asked.findLast(({ method }) => method === "PATCH")?.body).toEqual({ startAt: null });
  page.close();
});

test("[U71] a duplicate is made once with what differs, and one that removes source files needs its path again", async () => {
  const { config } = jobWith();
  const deletion = { retentionDays: 7, filesMax: null, dryRun: false };
  const { page, asked, made } = await setUp({
    config: { ...config, options: { ...config.options, deletion } },
  });
  page.changes.begin("duplicate", page.job.value ?? jobWith());
  await settle();
  expect(page.changes.agents.value.map(({ name }) => name)).toEqual(["fs01", "fs02"]);
  const change = page.changes.open.value;
  if (change?.kind !== "duplicate") throw new Error("Cannot go on: the form is not open");
  change.form.set("agentId", "agt_2");
  change.form.set("prefix", "/second/");
  await change.form.submit();
  expect(Object.keys(change.form.errors.value)).toEqual(["confirmDeletionOf"]);
  change.form.set("confirmDeletionOf", "/srv/files");
  await change.form.submit();
  const request = asked.findLast(({ path }) => path.endsWith("/duplicate"));
  expect(request?.key).toBe("key-00000001");
  expect(request?.body).toEqual({
    name: "Files (copy)",
    agentId: "agt_2",
    destination: { prefix: "second" },
    confirmDeletionOf: "/srv/files",
  });
  expect(made.map(({ id }) => id)).toEqual(["job_2"]);
  page.close();
});
