import { expect, test } from "vitest";
import { createLiveWorld, createSockets, createTestClock, liveJobWith, totalsWith } from "../test-world.ts";
import { createLiveJobs, isNewer } from "./live-jobs.ts";

const FIRST = "2026-05-31T12:00:00.000Z";
const SECOND = "2026-05-31T12:00:01.000Z";
const THIRD = "2026-05-31T12:00:02Z";

function setUp() {
  const clock = createTestClock();
  const sockets = createSockets();
  const session = { lost: () => told.push("lost"), load: () => Promise.resolve() };
  const told: string[] = [];
  const live = createLiveJobs(createLiveWorld(clock, sockets), session);
  live.watch({ kind: "organization" });
  sockets.last.events.opened();
  const held = (jobId = "job_1") => live.jobs.value.get(jobId)?.job;
  return { clock, sockets, live, held, told };
}

test("[U12] of two states the one with the higher epoch wins, then the later one, whatever their order", () => {
  const first = liveJobWith({ updatedAt: FIRST });
  const third = liveJobWith({ updatedAt: THIRD });
  expect(isNewer(third, first)).toBe(true);
  expect(isNewer(first, third)).toBe(false);
  expect(isNewer(liveJobWith({ epoch: 2, updatedAt: FIRST }), third)).toBe(true);
  expect(isNewer(third, liveJobWith({ epoch: 2, updatedAt: FIRST }))).toBe(false);
});

test("[U12] states that come late or twice change nothing", async () => {
  const { clock, sockets, held } = setUp();
  sockets.last.say({ type: "snapshot", jobs: [liveJobWith({ updatedAt: FIRST })] });
  sockets.last.say({
    type: "job",
    job: liveJobWith({ updatedAt: THIRD, totals: totalsWith({ bytesCompleted: 300 }) }),
  });
  sockets.last.say({
    type: "job",
    job: liveJobWith({ updatedAt: SECOND, totals: totalsWith({ bytesCompleted: 200 }) }),
  });
  await clock.pass(100);
  expect(held()?.totals.bytesCompleted).toBe(300);
  sockets.last.say({ type: "job", job: liveJobWith({ updatedAt: FIRST }) });
  await clock.pass(100);
  expect(held()?.totals.bytesCompleted).toBe(300);
});

test("[U12] many states within a moment are one change on the screen", async () => {
  const { clock, sockets, live } = setUp();
  sockets.last.say({ type: "snapshot", jobs: [] });
  let changes = -1;
  const stop = live.jobs.subscribe(() => changes++);
  for (let index = 0; index < 200; index++) {
    sockets.last.say({ type: "job", job: liveJobWith({ jobId: `job_${index % 20}`, updatedAt: SECOND }) });
  }
  await clock.pass(100);
  expect(live.jobs.value.size).toBe(20);
  expect(changes).toBe(1);
  stop();
});

test("[U13] a snapshot after a gap drops jobs that ended meanwhile, and does not set a newer state back", async () => {
  const { clock, sockets, live, held } = setUp();
  const gone = liveJobWith({ jobId: "job_2" });
  sockets.last.say({ type: "snapshot", jobs: [liveJobWith({ updatedAt: SECOND }), gone] });
  sockets.last.events.closed(1006);
  await clock.pass(30_000);
  sockets.last.events.opened();
  sockets.last.say({ type: "snapshot", jobs: [liveJobWith({ updatedAt: FIRST })] });
  expect(held("job_2")).toBeUndefined();
  expect(held()?.updatedAt).toBe(SECOND);
  expect(live.gaps.value).toBe(1);
});

test("[U13] agents that come and go are known at once", () => {
  const { sockets, live } = setUp();
  sockets.last.say({ type: "agent", agentId: "agt_1", online: false });
  expect(live.agents.value.get("agt_1")).toBe(false);
});

test("[U68] without its agent nothing of a job moves, and what it says when it is back counts again", async () => {
  const { clock, sockets, held } = setUp();
  const other = liveJobWith({ jobId: "job_2", agentId: "agt_2" });
  sockets.last.say({ type: "snapshot", jobs: [liveJobWith({ updatedAt: FIRST }), other] });
  sockets.last.say({ type: "agent", agentId: "agt_1", online: false });
  await clock.pass(200);
  expect(held()).toMatchObject({
    agentOnline: false,
    bytesPerSecond: 0,
    currentPath: null,
    status: "running",
  });
  expect(held("job_2")).toEqual(other);
  sockets.last.say({ type: "agent", agentId: "agt_1", online: true });
  sockets.last.say({ type: "job", job: liveJobWith({ updatedAt: SECOND, bytesPerSecond: 7 }) });
  await clock.pass(200);
  expect(held()).toMatchObject({ agentOnline: true, bytesPerSecond: 7 });
});

test("[U7] a live socket closed with 4401 signs the page out", () => {
  const { sockets, told } = setUp();
  sockets.last.events.closed(4401);
  expect(told).toEqual(["lost"]);
});
