import { expect, test } from "vitest";
import { createSpeedRecord, summaryOf } from "./job-speed.ts";

test("[U65] no gap stands at the beginning, none twice, and time only goes forward", () => {
  const record = createSpeedRecord();
  const add = (atMs: number, bytesPerSecond: number | null) =>
    record.add({ atMs, bytesPerSecond, limitMegabits: null });
  add(1, null);
  add(2, 10);
  add(2, 11);
  add(1, 12);
  add(3, null);
  add(4, null);
  add(5, 30);
  expect(record.samples.value.map(({ atMs, bytesPerSecond }) => [atMs, bytesPerSecond])).toEqual([
    [2, 10],
    [3, null],
    [5, 30],
  ]);
  record.clear();
  expect(record.samples.value).toEqual([]);
});

test("[U65] the chart in numbers leaves gaps out, and there is none of a few speeds", () => {
  const samples = [10, null, 30, 20, 20, 20].map((bytesPerSecond, index) => ({
    atMs: index * 1_000,
    bytesPerSecond,
    limitMegabits: null,
  }));
  expect(summaryOf(samples)).toEqual({ spanMs: 5_000, lowest: 10, highest: 30, average: 20, latest: 20 });
  expect(summaryOf(samples.slice(0, 5))).toBeNull();
  expect(summaryOf([])).toBeNull();
});
