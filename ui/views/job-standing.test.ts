import { expect, test } from "vitest";
import type { Job } from "../../schema/api.ts";
import type { LiveJob } from "../../schema/live.ts";
import type { Waiting } from "../../schema/protocol.ts";
import { figuresOf } from "../models/job-figures.ts";
import type { LineLimit } from "../models/job-line.ts";
import { jobWith, liveJobWith } from "../test-world.ts";
import { announcementOf, lineText, standingsOf } from "./job-standing.ts";

const NOW_MS = Date.parse("2026-05-31T12:00:00Z");
const READER = { locale: "en-GB", timeZone: "Europe/Berlin" };

function why(job: Partial<Job>, live: Partial<LiveJob> = {}, stillSinceMs: number | null = null): string[] {
  const told = jobWith(job);
  const figures = figuresOf(
    { job: told, askedAtMs: 1 },
    { job: liveJobWith({ status: told.status, desiredState: told.desiredState, ...live }), heardAtMs: 2 },
  );
  return standingsOf(told, figures, { nowMs: NOW_MS, stillSinceMs, reader: READER }).map(({ text }) => text);
}
const waits = (reason: Waiting["reason"], untilMs: number | null = null) => ({
  waiting: { reason, untilMs, message: null },
});

test("[U68] a job that goes on needs no reason, and one that is over neither", () => {
  expect(why({})).toEqual([]);
  expect(why({ status: "completed" }, { agentOnline: false })).toEqual([]);
  expect(why({}, waits("bandwidth", NOW_MS + 3_600_000))).toEqual([]);
});

test("[U68] a job that stands still says why, and what helps", () => {
  expect(why({ agentLastSeenAt: "2026-05-31T11:45:00.000Z" }, { agentOnline: false })).toEqual([
    "Agent offline since 13:45. The job goes on when it is back. Is its machine on, and the agent running?",
  ]);
  expect(why({}, waits("unreachable", NOW_MS + 60_000))[0]).toMatch(
    /^The storage account cannot be reached from the agent's machine; the next try is at 14:01\./,
  );
  expect(why({}, waits("disk_full"))[0]).toMatch(/^The disk of the agent's machine is full\. Make some room/);
  expect(why({}, waits("authorization"))[0]).toMatch(/reconnects it under Settings/);
  expect(why({}, waits("locked"))[0]).toMatch(/Close those programs/);
  expect(why({ status: "paused", desiredState: "pause" })[0]).toMatch(/^Paused\. Nothing is sent/);
  expect(why({ agentStatus: "locked" }, { agentOnline: false })[0]).toMatch(/^The agent is locked/);
  expect(why({ agentStatus: "revoked" }, { agentOnline: false })[0]).toMatch(/duplicate it to another agent/);
});

test("[U68] a job that is to start later says when, with the date on another day, and first that its agent is away", () => {
  const created = { status: "created", desiredRev: 1, appliedRev: 0 } as const;
  expect(why({ ...created, startAt: "2026-05-31T16:00:00.000Z" })).toEqual(["Starts at 18:00."]);
  expect(why({ ...created, startAt: "2026-06-01T04:00:00.000Z" })).toEqual(["Starts on 1 Jun 2026, 06:00."]);
  const both = why(
    { ...created, agentLastSeenAt: null, startAt: "2026-05-31T16:00:00.000Z" },
    { agentOnline: false },
  );
  expect(both).toHaveLength(2);
  expect(both[0]).toMatch(/^Agent offline\./);
  // Its time is over: what stands in the way is said elsewhere, or nothing does.
  expect(why({ ...created, startAt: "2026-05-31T11:00:00.000Z" })).toEqual([]);
  expect(why({ ...created, appliedRev: 1 })).toEqual(["Waits for its agent to begin."]);
});

test("[U68] nothing that moves for a minute without a reason is said as well", () => {
  expect(why({}, {}, NOW_MS - 59_000)).toEqual([]);
  expect(why({}, {}, NOW_MS - 200_000)[0]).toMatch(
    /^Nothing has moved since 13:56, and the agent does not say why/,
  );
  expect(why({}, waits("throttled"), NOW_MS - 200_000)).toEqual([]);
});

test("[U67] the limit of the line is said with the time it changes, at the site's own time", () => {
  const line = (change: Partial<LineLimit>, timeZone: string | null = "Europe/Berlin") =>
    lineText(
      {
        megabitsPerSecond: null,
        untilMs: null,
        thenMegabitsPerSecond: null,
        by: "schedule",
        isInside: false,
        ...change,
      },
      { nowMs: NOW_MS, timeZone, reader: READER },
    );
  const untilMs = Date.parse("2026-05-31T16:00:00Z");
  expect(line({ megabitsPerSecond: 20, untilMs })).toBe("Limited to 20\u00a0Mbps until 18:00");
  expect(line({ megabitsPerSecond: 20, untilMs }, "America/New_York")).toBe(
    "Limited to 20\u00a0Mbps until 12:00 (America/New York)",
  );
  expect(line({ untilMs, thenMegabitsPerSecond: 5 })).toBe("No limit until 18:00, then 5\u00a0Mbps");
  expect(line({ megabitsPerSecond: 50, untilMs, thenMegabitsPerSecond: 5 })).toBe(
    "Limited to 50\u00a0Mbps until 18:00, then 5\u00a0Mbps",
  );
  expect(line({ megabitsPerSecond: 2.5 }, null)).toBe("Limited to 2.5\u00a0Mbps");
  expect(line({}, null)).toBe("No limit");
});

test("[U66] a change of state is a new announcement, a percent more is not", () => {
  const say = (live: Partial<LiveJob>, job: Partial<Job> = {}) => {
    const told = jobWith(job);
    const figures = figuresOf({ job: told, askedAtMs: 1 }, { job: liveJobWith(live), heardAtMs: 2 });
    return announcementOf(figures, "Running", "uploading");
  };
  const at = (bytesCompleted: number) => ({ totals: { ...jobWith().totals, bytesCompleted } });
  expect(say(at(100))).toBe("Running: uploading.");
  expect(say({ ...at(900), bytesPerSecond: 7, currentPath: "b.bin" })).toBe(say(at(100)));
  expect(say({ agentOnline: false })).toBe("Running. The agent is offline.");
  expect(say({ totals: { ...jobWith().totals, filesFailed: 3 } })).toBe(
    "Running: uploading. Some files were not moved.",
  );
});
