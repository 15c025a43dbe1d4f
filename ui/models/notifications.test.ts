import { signal } from "@preact/signals";
import { expect, test } from "vitest";
import type { Notification } from "../../schema/notifications.ts";
import { createHomeApi } from "../home-api.ts";
import { createTestApi, createTestClock, liveJobWith } from "../test-world.ts";
import type { HeardJob } from "./live-jobs.ts";
import { createNotifications, routeOf } from "./notifications.ts";

const LAPSES: Notification = {
  kind: "connection_lapses",
  connectionId: "stc_1",
  name: "Storage",
  at: "2026-06-03T12:00:00.000Z",
};

function setUp(items: readonly Notification[] = [], more = false) {
  const clock = createTestClock();
  const { api, asked } = createTestApi(() => ({ body: { items, more } }));
  const live = {
    agents: signal<ReadonlyMap<string, boolean>>(new Map()),
    jobs: signal<ReadonlyMap<string, HeardJob>>(new Map()),
    gaps: signal(0),
  };
  const page = { isVisible: true };
  const model = createNotifications({
    home: createHomeApi(api),
    clock,
    live,
    isVisible: () => page.isVisible,
  });
  return { clock, asked, live, page, model };
}

test("[U74] without news it is asked for once a minute, and not while nobody can see it", async () => {
  const { clock, asked, page, model } = setUp();
  model.open();
  await clock.pass(59_999);
  expect(asked).toHaveLength(1);
  await clock.pass(1);
  expect(asked).toHaveLength(2);
  page.isVisible = false;
  await clock.pass(600_000);
  expect(asked).toHaveLength(2);
  model.wake();
  model.wake();
  expect(asked).toHaveLength(3);
  model.close();
  page.isVisible = true;
  await clock.pass(600_000);
  expect(asked).toHaveLength(3);
});

test("[U74] an agent that goes and a job that ends are news, asked about together; progress is none", async () => {
  const { clock, asked, live, model } = setUp();
  const heard = (change: object): HeardJob => ({ job: liveJobWith(change), heardAtMs: clock.now() });
  model.open();
  await clock.pass(20_000);
  live.jobs.value = new Map([["job_1", heard({ totals: { filesCompleted: 5 } })]]);
  await clock.pass(20_000);
  expect(asked).toHaveLength(1);
  live.agents.value = new Map([["agt_1", false]]);
  live.jobs.value = new Map([["job_1", heard({ status: "failed" })]]);
  await clock.pass(1);
  expect(asked).toHaveLength(2);
  for (let second = 0; second < 9; second++) {
    live.gaps.value++;
    await clock.pass(1_000);
  }
  expect(asked).toHaveLength(2);
  await clock.pass(1_000);
  expect(asked).toHaveLength(3);
  model.close();
});

test("[U74] the badge counts what there is, and says when there is more than is told", async () => {
  const badge = async (items: readonly Notification[], more = false) => {
    const { clock, model } = setUp(items, more);
    model.open();
    await clock.pass(1);
    model.close();
    return model.badge.value;
  };
  expect(await badge([])).toBe("");
  expect(await badge([LAPSES])).toBe("1");
  expect(await badge(Array<Notification>(20).fill(LAPSES), true)).toBe("20+");
});

test("[U74] each leads to where the next step is taken", () => {
  const agent = {
    kind: "agent",
    agentId: "agt_1",
    name: "fs01",
    lastSeenAt: null,
    activeJobCount: 0,
  } as const;
  expect(routeOf({ ...agent, status: "pending" })).toEqual({ page: "agents" });
  expect(routeOf({ ...agent, status: "locked" })).toEqual({ page: "agent", id: "agt_1" });
  expect(routeOf(LAPSES)).toEqual({ page: "settings-part", part: "storage" });
});
