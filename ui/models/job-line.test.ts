import { expect, test } from "vitest";
import type { BandwidthSchedule } from "../../schema/job.ts";
import { jobWith } from "../test-world.ts";
import { limitOf } from "./job-line.ts";

const OFFICE: BandwidthSchedule = {
  timeZone: "Europe/Berlin",
  windows: [{ days: ["mon", "tue", "wed", "thu", "fri"], from: "18:00", to: "06:00" }],
  insideMbps: null,
  outsideMbps: 20,
};
const config = (schedule: BandwidthSchedule | null, bandwidthMbps: number | null = null) => {
  const { config: held } = jobWith();
  return { ...held, options: { ...held.options, bandwidthMbps }, schedule };
};

test("[U67] the limit that holds now, when it changes, and what holds then, by the site's own clock", () => {
  // A Monday at 14:00 in Berlin.
  expect(limitOf(config(OFFICE), Date.parse("2026-11-23T13:00:00Z"))).toEqual({
    megabitsPerSecond: 20,
    untilMs: Date.parse("2026-11-23T17:00:00Z"),
    thenMegabitsPerSecond: null,
    by: "schedule",
    isInside: false,
  });
  // The night from Friday to Saturday belongs to Friday's window; then it is limited until Monday evening.
  expect(limitOf(config(OFFICE), Date.parse("2026-11-28T03:00:00Z"))).toMatchObject({
    megabitsPerSecond: null,
    untilMs: Date.parse("2026-11-28T05:00:00Z"),
    thenMegabitsPerSecond: 20,
    isInside: true,
  });
  expect(limitOf(config(OFFICE), Date.parse("2026-11-28T06:00:00Z"))).toMatchObject({
    megabitsPerSecond: 20,
    untilMs: Date.parse("2026-11-30T17:00:00Z"),
  });
});

test("[U67] a job's own limit goes before the schedule, and without either there is none", () => {
  const nowMs = Date.parse("2026-11-23T13:00:00Z");
  expect(limitOf(config(OFFICE, 5), nowMs)).toMatchObject({ megabitsPerSecond: 5, untilMs: null, by: "job" });
  expect(limitOf(config(null), nowMs)).toMatchObject({ megabitsPerSecond: null, by: "nothing" });
});
