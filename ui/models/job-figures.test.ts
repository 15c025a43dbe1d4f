import { expect, test } from "vitest";
import type { Job } from "../../schema/api.ts";
import type { LiveJob } from "../../schema/live.ts";
import type { Waiting } from "../../schema/protocol.ts";
import { jobWith, liveJobWith, totalsWith } from "../test-world.ts";
import { figuresOf } from "./job-figures.ts";

const told = (change: Partial<Job> = {}, askedAtMs = 1_000) => ({ job: jobWith(change), askedAtMs });
const heard = (change: Partial<LiveJob> = {}, heardAtMs = 2_000) => ({ job: liveJobWith(change), heardAtMs });

test("[U14] the bar is done bytes and bytes in flight of all bytes", () => {
  const totals = totalsWith({ bytesCompleted: 400, bytesFailed: 50, bytesSkipped: 100 });
  expect(figuresOf(told(), heard({ totals, bytesInFlight: 150 })).fraction).toBe(0.7);
});

test("[U14] bytes in flight count while paused and no longer at the end", () => {
  const totals = totalsWith({ bytesCompleted: 400 });
  expect(figuresOf(told({ totals }), heard({ totals, status: "paused", bytesInFlight: 100 })).fraction).toBe(
    0.5,
  );
  expect(
    figuresOf(told({ totals, status: "cancelled" }), heard({ totals, bytesInFlight: 100 })).fraction,
  ).toBe(0.4);
});

test("[U14] the bar is full only when the job is completed, and unknown while the source is scanned", () => {
  const totals = totalsWith({ bytesCompleted: 1_000, filesCompleted: 10 });
  expect(figuresOf(told({ totals }), undefined).fraction).toBeLessThan(1);
  expect(figuresOf(told({ totals, status: "completed" }), undefined).fraction).toBe(1);
  expect(figuresOf(told({ status: "scanning" }), undefined).fraction).toBeNull();
  expect(
    figuresOf(told({ status: "completed", totals: totalsWith({ filesTotal: 0, bytesTotal: 0 }) }), undefined)
      .fraction,
  ).toBe(1);
});

test("[U14] a job of empty files is measured by files", () => {
  const totals = totalsWith({ bytesTotal: 0, filesTotal: 4, filesCompleted: 1 });
  expect(figuresOf(told({ totals }), undefined).fraction).toBe(0.25);
});

test("[U15] totals of one run never go back, whichever side is behind", () => {
  const ahead = totalsWith({ bytesCompleted: 500 });
  const behind = totalsWith({ bytesCompleted: 200 });
  expect(figuresOf(told({ totals: behind }, 3_000), heard({ totals: ahead })).totals.bytesCompleted).toBe(
    500,
  );
  expect(figuresOf(told({ totals: ahead }), heard({ totals: behind })).totals.bytesCompleted).toBe(500);
});

test("[U15] a new run starts anew, and a state of an earlier run is not shown", () => {
  const old = totalsWith({ bytesCompleted: 900 });
  const fresh = totalsWith({ bytesCompleted: 10 });
  const newer = figuresOf(
    told({ status: "failed", totals: old }),
    heard({ epoch: 2, status: "running", totals: fresh }),
  );
  expect([newer.epoch, newer.status, newer.totals.bytesCompleted]).toEqual([2, "running", 10]);
  const older = figuresOf(
    told({ epoch: 2, status: "created", totals: fresh }),
    heard({ epoch: 1, status: "failed", totals: old }),
  );
  expect([older.epoch, older.status, older.totals.bytesCompleted]).toEqual([2, "created", 10]);
});

test("[U15] a final status is never left within a run", () => {
  expect(figuresOf(told({ status: "cancelled" }), heard({ status: "running" })).status).toBe("cancelled");
  expect(figuresOf(told({ status: "running" }, 3_000), heard({ status: "completed" }, 2_000)).status).toBe(
    "completed",
  );
});

test("[U15] of two other statuses the one learned last is shown", () => {
  expect(figuresOf(told({ status: "running" }, 1_000), heard({ status: "paused" }, 2_000)).status).toBe(
    "paused",
  );
  expect(figuresOf(told({ status: "running" }, 3_000), heard({ status: "paused" }, 2_000)).status).toBe(
    "running",
  );
});

test("[U16] a wish the agent has not confirmed is shown as on its way", () => {
  const wish = (change: Partial<Job>) => figuresOf(told(change), undefined).pendingWish;
  expect(wish({ desiredState: "pause", desiredRev: 2 })).toBe("pause");
  expect(wish({ desiredState: "pause", desiredRev: 2, appliedRev: 2, status: "paused" })).toBeNull();
  expect(wish({ desiredState: "run", desiredRev: 3, appliedRev: 2, status: "paused" })).toBe("resume");
  expect(wish({ desiredRev: 1, appliedRev: 0, status: "created" })).toBe("start");
  expect(wish({ desiredState: "cancel", desiredRev: 2, appliedRev: 1, status: "cancelled" })).toBe("cancel");
  expect(wish({ desiredState: "cancel", desiredRev: 2, appliedRev: 2, status: "cancelled" })).toBeNull();
});

test("[U30] a wish to finish is on its way until the agent knows it, and then only the pass is waited for", () => {
  const wish = (change: Partial<Job>) => figuresOf(told(change), undefined).pendingWish;
  expect(wish({ desiredState: "finish", desiredRev: 2, appliedRev: 1 })).toBe("finish");
  expect(wish({ desiredState: "finish", desiredRev: 2, appliedRev: 2 })).toBeNull();
  expect(wish({ desiredState: "finish", desiredRev: 2, appliedRev: 1, status: "completed" })).toBeNull();
});

test("[U29] what holds a job up is told only of a job that should go on, by an agent that is there", () => {
  const waiting: Waiting = { reason: "disk_full", untilMs: null, message: null };
  expect(figuresOf(told(), heard({ waiting })).waiting).toEqual(waiting);
  expect(figuresOf(told({ status: "created" }), heard({ waiting, status: "created" })).waiting).toEqual(
    waiting,
  );
  expect(figuresOf(told(), heard({ waiting, agentOnline: false })).waiting).toBeNull();
  expect(figuresOf(told(), heard({ waiting, status: "paused" })).waiting).toBeNull();
  expect(figuresOf(told({ status: "completed" }), heard({ waiting })).waiting).toBeNull();
  expect(figuresOf(told({ epoch: 2 }), heard({ waiting })).waiting).toBeNull();
  expect(figuresOf(told(), heard()).waiting).toBeNull();
});

test("[U16] no time left is told while a job stands still, and no speed between two passes", () => {
  const pace = (reason: Waiting["reason"]) => {
    const shown = figuresOf(told(), heard({ waiting: { reason, untilMs: null, message: null } }));
    return [shown.bytesPerSecond, shown.secondsRemaining];
  };
  expect(pace("bandwidth")).toEqual([125_000, 8]);
  expect(pace("unreachable")).toEqual([125_000, null]);
  expect(pace("disk_full")).toEqual([125_000, null]);
  expect(pace("next_pass")).toEqual([null, null]);
});

test("[U16] speed and time left are shown only while a reachable agent is moving files", () => {
  expect(figuresOf(told(), heard()).bytesPerSecond).toBe(125_000);
  expect(figuresOf(told(), heard({ agentOnline: false })).bytesPerSecond).toBeNull();
  expect(figuresOf(told(), heard({ status: "paused" })).secondsRemaining).toBeNull();
  expect(figuresOf(told(), undefined).bytesPerSecond).toBeNull();
});

test("[U71] what was heard of the agent that had the job before says nothing of the one that has it now", () => {
  const job = jobWith({ agentId: "agt_2", agentStatus: "online", status: "created", epoch: 2 });
  const heard = {
    job: liveJobWith({ agentId: "agt_1", agentOnline: false, status: "created" }),
    heardAtMs: 2,
  };
  expect(figuresOf({ job, askedAtMs: 1 }, heard).agentOnline).toBe(true);
  const same = { job: { ...heard.job, agentId: "agt_2" }, heardAtMs: 2 };
  expect(figuresOf({ job, askedAtMs: 1 }, same).agentOnline).toBe(false);
});
