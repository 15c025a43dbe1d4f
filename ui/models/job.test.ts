import { expect, test } from "vitest";
import type { Job } from "../../schema/api.ts";
import {
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
import { createLiveJobs } from "./live-jobs.ts";
import { createToasts } from "./toasts.ts";

/** A page on a server that holds one job; the test changes the job and plays the socket. */
async function setUp(first: Partial<Job> = {}) {
  const clock = createTestClock();
  const sockets = createSockets();
  const server = { job: jobWith(first), failures: [{ path: "a.txt", code: "source_denied", message: "No" }] };
  const { api, asked } = createTestApi(({ method, path, body }) => {
    if (path.includes("/failures")) return { body: pageWith(server.failures) };
    const action = method === "POST" ? path.split("/").at(-1) : null;
    if (method === "PATCH") {
      const config = { ...server.job.config, options: { ...server.job.config.options, ...(body as object) } };
      server.job = { ...server.job, config, desiredRev: server.job.desiredRev + 1 };
    }
    if (action === "pause")
      server.job = { ...server.job, desiredState: "pause", desiredRev: server.job.desiredRev + 1 };
    return { body: server.job };
  });
  const live = createLiveJobs(createLiveWorld(clock, sockets), {
    lost: () => {},
    load: () => Promise.resolve(),
  });
  live.watch({ kind: "job", jobId: "job_1" });
  const page = createJobPage(
    { api, clock, live, toasts: createToasts(clock), uuid: () => "key-00000001" },
    "job_1",
  );
  page.open();
  await settle();
  sockets.last.events.opened();
  const reads = () =>
    asked.filter((request) => request.method === "GET" && request.path === "/api/jobs/job_1").length;
  return { clock, sockets, server, page, reads, asked };
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

test("[U18] the speed curve keeps a bounded past", async () => {
  const { clock, sockets, page } = await setUp();
  for (let second = 0; second < 200; second++) {
    const updatedAt = new Date(Date.parse("2026-05-31T12:00:00Z") + second * 1_000).toISOString();
    sockets.last.say({ type: "job", job: liveJobWith({ updatedAt, bytesPerSecond: second }) });
    await clock.pass(1_000);
  }
  expect(page.speeds.value).toHaveLength(120);
  expect(page.speeds.value.at(-1)).toBe(199);
  page.close();
});
