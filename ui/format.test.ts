import { expect, test } from "vitest";
import {
  formatAgo,
  formatBytes,
  formatCountdown,
  formatCountOf,
  formatDateTime,
  formatDuration,
  formatPercent,
  formatSpeed,
  formatTimeLeft,
} from "./format.ts";

const reader = { locale: "en-US", timeZone: "UTC" };

test("[U2] sizes are decimal, with three significant digits", () => {
  const sizes = [0, 1, 999, 1_000, 1_234, 12_345, 999_499, 999_500, 5e9, 8.412e12, 1e15, 2e18];
  expect(sizes.map((size) => formatBytes(size, reader))).toEqual([
    "0 B",
    "1 B",
    "999 B",
    "1.00 kB",
    "1.23 kB",
    "12.3 kB",
    "999 kB",
    "1.00 MB",
    "5.00 GB",
    "8.41 TB",
    "1.00 PB",
    "2,000 PB",
  ]);
});

test("[U2] speeds are megabits per second, eight for each megabyte", () => {
  expect(formatSpeed(0, reader)).toBe("0.0 Mbps");
  expect(formatSpeed(1_562_500, reader)).toBe("12.5 Mbps");
  expect(formatSpeed(125_000_000, reader)).toBe("1,000 Mbps");
});

test("[U2] a percentage is rounded down, so that nothing is called done before it is", () => {
  expect([0, 0.0004, 0.4239, 0.9999, 1, 1.7].map((fraction) => formatPercent(fraction, reader))).toEqual([
    "0%",
    "0%",
    "42.3%",
    "99.9%",
    "100%",
    "100%",
  ]);
});

test("[U2] durations show their two largest units", () => {
  const second = 1_000;
  expect(
    [0, 400, 8 * second, 312 * second, 3_600 * second, 12_000 * second, 187_200 * second].map(formatDuration),
  ).toEqual(["0 s", "under 1 s", "8 s", "5 min 12 s", "1 h", "3 h 20 min", "2 d 4 h"]);
});

test("[U2] time left is no finer than an estimate can be", () => {
  expect([0.2, 41.3, 200, 3_600, 9_130].map(formatTimeLeft)).toEqual([
    "a moment",
    "42 s",
    "3 min",
    "1 h",
    "2 h 32 min",
  ]);
});

test("[U2] a countdown runs to zero and no further", () => {
  expect([899_000, 86_400_000, 500, 0, -5].map(formatCountdown)).toEqual([
    "14:59",
    "24:00:00",
    "0:01",
    "0:00",
    "0:00",
  ]);
});

test("[U2] counts agree with their noun, and dates follow the reader", () => {
  expect(formatCountOf(1, "file", reader)).toBe("1 file");
  expect(formatCountOf(2_345, "file", reader)).toBe("2,345 files");
  expect(formatDateTime("2026-05-31T12:05:00Z", reader)).toContain("May 31, 2026");
  const now = Date.parse("2026-05-31T12:00:00Z");
  expect(formatAgo("2026-05-31T11:59:50Z", now, reader)).toBe("just now");
  expect(formatAgo("2026-05-31T11:48:00Z", now, reader)).toBe("12 min ago");
  expect(formatAgo("2026-05-29T11:48:00Z", now, reader)).toBe("May 29, 2026");
});
