import { expect, test } from "vitest";
import type { Waiting } from "../../schema/protocol.ts";
import { previewText, waitingWords } from "./job-sentences.ts";

const NOW_MS = Date.parse("2026-05-31T12:00:00Z");
const READER = { locale: "en-GB", timeZone: "Europe/Berlin" };
const words = (change: Partial<Waiting> & Pick<Waiting, "reason">) =>
  waitingWords({ untilMs: null, message: null, ...change }, NOW_MS, READER);

test("[U29] what holds a job up is said with the time it is over, where that is known", () => {
  const untilMs = Date.parse("2026-05-31T16:00:00Z");
  expect(words({ reason: "bandwidth", megabitsPerSecond: 20, untilMs }).text).toBe(
    "Limited to 20\u00a0Mbps until 18:00",
  );
  expect(words({ reason: "bandwidth" }).text).toBe("Limited");
  expect(words({ reason: "throttled", untilMs }).text).toBe("Throttled by Azure until 18:00");
  expect(words({ reason: "unreachable", untilMs }).text).toBe(
    "Storage account unreachable, still trying, next try at 18:00",
  );
  expect(words({ reason: "next_pass", untilMs }).text).toBe("Next pass at 18:00");
});

test("[U29] a time on another day comes with its date, and one that is over is not told", () => {
  const tomorrowMs = Date.parse("2026-06-01T04:00:00Z");
  expect(words({ reason: "next_pass", untilMs: tomorrowMs }).text).toBe("Next pass at 1 Jun 2026, 06:00");
  expect(words({ reason: "next_pass", untilMs: NOW_MS - 1 }).text).toBe("Next pass soon");
  expect(words({ reason: "throttled", untilMs: NOW_MS }).text).toBe("Throttled by Azure");
});

test("[U29] what is as it was asked for is calm, what is not is a warning", () => {
  const tones = (["bandwidth", "next_pass", "throttled", "unreachable", "disk_full", "locked"] as const).map(
    (reason) => words({ reason }).tone,
  );
  expect(tones).toEqual(["neutral", "neutral", "warning", "warning", "warning", "warning"]);
});

const NOTHING = {
  files: 0,
  bytes: 0,
  mapped: 0,
  filtered: 0,
  links: 0,
  special: 0,
  refused: 0,
  tooLarge: 0,
  unreadable: 0,
};

test("[U31] what a job is going to do is said in words, and what there is none of is not", () => {
  const many = { files: 12_034, bytes: 3.1e9, filtered: 120, links: 3, mapped: 2 };
  expect(previewText({ ...NOTHING, ...many }, "overwrite", READER)).toBe(
    "12,034 files (3.10 GB) will be moved; 120 left out by filters, 3 links skipped, 2 names are stored differently",
  );
  expect(previewText({ ...NOTHING, files: 1, bytes: 5 }, "skip_identical", READER)).toBe(
    "1 file (5 B) will be moved, except what is there already",
  );
  const one = { links: 1, special: 1, mapped: 1, refused: 1, tooLarge: 1, unreadable: 1 };
  expect(previewText({ ...NOTHING, ...one }, "fail", READER)).toBe(
    "Nothing will be moved; 1 link skipped, 1 special file skipped, 1 name is stored differently, 1 name is refused by the destination, 1 file too large, 1 entry unreadable",
  );
  expect(previewText({ ...NOTHING, refused: 2, unreadable: 2 }, "skip_identical", READER)).toBe(
    "Nothing will be moved; 2 names are refused by the destination, 2 entries unreadable",
  );
});
