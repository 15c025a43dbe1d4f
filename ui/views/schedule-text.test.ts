import { expect, test } from "vitest";
import { daysText, scheduleText } from "./schedule-text.ts";

test("[U28] a schedule reads as one line: when, how much, and how much at all other times", () => {
  const schedule = {
    timeZone: "America/New_York",
    windows: [
      { days: ["mon", "tue", "wed", "thu", "fri"] as const, from: "18:00", to: "06:00" },
      { days: ["sat", "sun"] as const, from: "00:00", to: "23:59" },
    ].map((window) => ({ ...window, days: [...window.days] })),
    insideMbps: null,
    outsideMbps: 2.5,
  };
  expect(scheduleText(schedule, { locale: "en-GB" })).toBe(
    "Mon–Fri 18:00–06:00, Sat, Sun 00:00–23:59: no limit; otherwise 2.5\u00a0Mbps (America/New York)",
  );
  expect(scheduleText({ ...schedule, windows: [] }, { locale: "en-GB" })).toBe("Always 2.5\u00a0Mbps");
});

test("[U28] days in a row become a span from three on", () => {
  expect(daysText(["mon", "tue", "thu", "fri", "sat", "sun"])).toBe("Mon, Tue, Thu–Sun");
  expect(daysText(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])).toBe("Every day");
  expect(daysText(["sun"])).toBe("Sun");
});
