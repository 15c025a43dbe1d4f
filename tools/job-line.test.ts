/** Here because it asks the agent's own code, which nothing of the dashboard may import. */
import { expect, test } from "vitest";
import { capAt } from "../agent/engine/schedule.ts";
import type { BandwidthSchedule } from "../schema/job.ts";
import { limitOf } from "../ui/models/job-line.ts";
import { jobWith } from "../ui/test-world.ts";

const OFFICE: BandwidthSchedule = {
  timeZone: "Europe/Berlin",
  windows: [{ days: ["mon", "tue", "wed", "thu", "fri"], from: "18:00", to: "06:00" }],
  insideMbps: null,
  outsideMbps: 20,
};

test("[U67] what the page says of a schedule is what the agent does, at any hour of a year in any zone", () => {
  const schedules: BandwidthSchedule[] = [
    OFFICE,
    { ...OFFICE, timeZone: "America/St_Johns", insideMbps: 3 },
    { ...OFFICE, timeZone: "Asia/Kolkata", windows: [] },
    {
      ...OFFICE,
      timeZone: "Pacific/Auckland",
      windows: [
        { days: ["sat", "sun"], from: "00:00", to: "23:59" },
        { days: ["sun"], from: "22:30", to: "02:15" },
        { days: ["wed"], from: "12:00", to: "12:00" },
      ],
    },
  ];
  let looked = 0;
  for (const schedule of schedules) {
    // Not in step with hours or days, so that all times of day come up.
    for (let atMs = Date.parse("2026-01-01T00:00:30Z"); atMs < Date.parse("2027-01-01"); atMs += 17_100_000) {
      const agent = capAt(schedule, atMs);
      const page = limitOf({ ...jobWith().config, schedule }, atMs);
      expect(page.megabitsPerSecond, `${schedule.timeZone} ${new Date(atMs).toISOString()}`).toBe(
        agent.megabitsPerSecond,
      );
      const isNear = Math.abs((page.untilMs ?? 0) - (agent.untilMs ?? 0)) <= 3_600_000;
      expect(isNear, `${schedule.timeZone} ${new Date(atMs).toISOString()}`).toBe(true);
      looked++;
    }
  }
  expect(looked).toBeGreaterThan(7_000);
});
