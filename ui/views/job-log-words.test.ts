import { expect, test } from "vitest";
import { JOB_LOG_EVENTS, type JobLogEntry } from "../../schema/job-log.ts";
import { logActorText, logText } from "./job-log-words.ts";

const READER = { locale: "en-GB", timeZone: "Europe/Berlin" };
const entry = (
  event: string,
  details: JobLogEntry["details"] = {},
  epoch: number | null = null,
): JobLogEntry => ({
  at: "2026-05-31T12:00:00.000Z",
  event,
  actor: null,
  epoch,
  details,
});
const say = (...of: Parameters<typeof entry>) => logText(entry(...of), READER);

test("[U70] every event has words, and one that is not known yet stands for itself", () => {
  for (const event of JOB_LOG_EVENTS) expect(say(event), event).not.toContain("job.");
  expect(say("job.praised")).toBe("job.praised");
});

test("[U70] a change says what was changed, a move from where to where, a retry what it moves", () => {
  expect(say("job.changed", { fields: ["bandwidthMbps"], bandwidthMbps: 12.5 })).toBe(
    "Limit set to 12.5\u00a0Mbps",
  );
  expect(say("job.changed", { fields: ["bandwidthMbps"], bandwidthMbps: null })).toBe(
    "Limit of its own removed",
  );
  expect(say("job.changed", { startAt: "2026-06-01T04:00:00.000Z" })).toBe("Start set to 1 Jun 2026, 06:00");
  expect(say("job.changed", { fields: ["name"] })).toBe("Renamed");
  expect(say("job.moved", { from: "fs01", to: null })).toBe("Moved from fs01 to an agent that is gone");
  expect(say("job.retry", { moves: "failed" })).toBe("Failed files started again");
  expect(say("job.started", {}, 3)).toBe("Run 3 started");
});

test("[U70] who did it is named, and what nobody did has no name", () => {
  const by = (actor: JobLogEntry["actor"]) => logActorText({ ...entry("job.pause"), actor });
  expect(by({ kind: "user", name: "Tess" })).toBe("Tess");
  expect(by({ kind: "user", name: null })).toBe("A former member");
  expect(by({ kind: "api_key", name: null })).toBe("An API key");
  expect(by({ kind: "system", name: null })).toBe("");
  expect(by(null)).toBe("");
});
