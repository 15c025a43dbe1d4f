import { expect, test } from "vitest";
import type { Waiting } from "../../schema/protocol.ts";
import { removedText, waitingWords } from "./job-sentences.ts";

const NOW_MS = Date.parse("2026-05-31T12:00:00Z");
const READER = { locale: "en-GB", timeZone: "Europe/Berlin" };
const words = (change: Partial<Waiting> & Pick<Waiting, "reason">) =>
  waitingWords({ untilMs: null, message: null, ...change }, NOW_MS, READER);

test("[U29] what holds a job up is said with the time it is over, where that is known", () => {
  const untilMs = Date.parse("2026-05-31T16:00:00Z");
  expect(words({ reason: "bandwidth", megabitsPerSecond: 20, untilMs }).text).toBe(
    "Limited to 20 Mbps until 18:00",
  );
  expect(words({ reason: "bandwidth" }).text).toBe("Limited");
  expect(words({ reason: "throttled", untilMs }).text).toBe("Throttled by the storage account until 18:00");
  expect(words({ reason: "unreachable", untilMs }).text).toBe(
    "Storage account unreachable, still trying, next try at 18:00",
  );
  expect(words({ reason: "next_pass", untilMs }).text).toBe("Next pass at 18:00");
});

test("[U29] a time on another day comes with its date, and one that is over is not told", () => {
  const tomorrowMs = Date.parse("2026-06-01T04:00:00Z");
  expect(words({ reason: "next_pass", untilMs: tomorrowMs }).text).toBe("Next pass at 1 Jun 2026, 06:00");
  expect(words({ reason: "next_pass", untilMs: NOW_MS - 1 }).text).toBe("Next pass soon");
  expect(words({ reason: "throttled", untilMs: NOW_MS }).text).toBe("Throttled by the storage account");
});

test("[U29] what is as it was asked for is calm, what is not is a warning", () => {
  const tones = (["bandwidth", "next_pass", "throttled", "unreachable", "disk_full", "locked"] as const).map(
    (reason) => words({ reason }).tone,
  );
  expect(tones).toEqual(["neutral", "neutral", "warning", "warning", "warning", "warning"]);
});

test("[U27] a report says of a dry run that nothing was removed, and of others where the files are", () => {
  expect(removedText(3, { retentionDays: 7, filesMax: null, dryRun: true })).toBe(
    "Nothing: it was a dry run",
  );
  expect(removedText(3, { retentionDays: 7, filesMax: null, dryRun: false })).toBe(
    "3 files, moved into quarantine for 7 days",
  );
  expect(removedText(1, { retentionDays: 0, filesMax: null, dryRun: false })).toBe("1 file");
});
