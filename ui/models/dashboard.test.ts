import { expect, test } from "vitest";
import { createTestApi, createTestClock, createSockets, createLiveWorld, pageWith } from "../test-world.ts";
import { beginOfToday, createDashboard } from "./dashboard.ts";
import { createLiveJobs } from "./live-jobs.ts";

const MOVED = { bytes: 0, files: 0, jobsCompleted: 0, jobsFailed: 0 };
const OVERVIEW = {
  agents: { total: 1, online: 1 },
  connections: 1,
  clients: 1,
  projects: 1,
  jobs: { active: 0, completed: 0, failed: 0, cancelled: 0 },
  bytesCompleted: 0,
  filesCompleted: 0,
  today: MOVED,
  week: MOVED,
};

test.each([
  // In Europe the day of UTC begins an hour or two after the reader's, in America in the evening before.
  ["2026-11-23T12:00:00Z", "Europe/Berlin", "2026-11-23"],
  ["2026-11-23T23:30:00Z", "Europe/Berlin", "2026-11-24"],
  ["2026-11-23T12:00:00Z", "UTC", "2026-11-23"],
  ["2026-11-24T03:00:00Z", "America/Chicago", "2026-11-23"],
  ["2026-11-24T06:00:00Z", "America/Chicago", "2026-11-24"],
  ["2026-11-23T22:00:00Z", "Asia/Tokyo", "2026-11-24"],
  ["2026-11-23T12:00:00Z", "Pacific/Auckland", "2026-11-23"],
  ["2026-11-23T10:00:00Z", "Pacific/Auckland", "2026-11-22"],
])("[U75] at %s in %s, today is what began with %s in UTC", (now, timeZone, day) => {
  expect(new Date(beginOfToday(Date.parse(now), timeZone)).toISOString()).toBe(`${day}T00:00:00.000Z`);
});

test("[U75] the counts are asked for the reader's day, follow news at a distance, and go on without any", async () => {
  const clock = createTestClock();
  const sockets = createSockets();
  const { api, asked } = createTestApi(({ path }) => ({
    body: path.startsWith("/api/overview") ? OVERVIEW : pageWith([]),
  }));
  const live = createLiveJobs(createLiveWorld(clock, sockets), { lost: () => {}, load: async () => {} });
  live.watch({ kind: "organization" });
  const model = createDashboard({ api, clock, live, timeZone: "Europe/Berlin" });
  const counts = () => asked.filter(({ path }) => path.startsWith("/api/overview")).map(({ path }) => path);
  model.open();
  await clock.pass(1_000);
  expect(counts()).toEqual(["/api/overview?today=2026-05-31"]);
  sockets.last.events.opened();
  for (let second = 0; second < 20; second++) {
    sockets.last.say({ type: "agent", agentId: "agt_1", online: second % 2 === 0 });
    await clock.pass(1_000);
  }
  expect(counts().length).toBeLessThanOrEqual(3);
  const before = counts().length;
  await clock.pass(120_000);
  expect(counts().length - before).toBeGreaterThanOrEqual(2);
  expect(counts().length - before).toBeLessThanOrEqual(3);
  model.close();
  const atEnd = counts().length;
  await clock.pass(600_000);
  expect(counts()).toHaveLength(atEnd);
});
