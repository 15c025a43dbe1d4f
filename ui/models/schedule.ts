/** When a project's line may be used how much, as the form holds it. Faults stand at the paths the server would name. */
import type { BandwidthSchedule } from "../../schema/job.ts";
import type { FieldErrors } from "../api.ts";
import { isTimeZone, TIME_OF_DAY, type Weekday, WEEKDAYS, WINDOWS_MAX } from "../contract.ts";
import { checkMegabits, megabitsOf } from "./megabits.ts";
import { schedule as texts } from "../texts/job-form.ts";

export interface WindowValues {
  readonly days: readonly Weekday[];
  readonly from: string;
  readonly to: string;
}

export interface ScheduleValues {
  readonly timeZone: string;
  readonly windows: readonly WindowValues[];
  /** Mbps as typed; empty = as fast as it goes. */
  readonly insideMbps: string;
  readonly outsideMbps: string;
}

/** The usual wish: the nights of working days are free, by day the office works on the line. */
export function newSchedule(timeZone: string): ScheduleValues {
  return { timeZone, windows: [newWindow()], insideMbps: "", outsideMbps: "" };
}

export function newWindow(): WindowValues {
  return { days: ["mon", "tue", "wed", "thu", "fri"], from: "18:00", to: "06:00" };
}

export function scheduleValuesOf(schedule: BandwidthSchedule): ScheduleValues {
  const text = (megabits: number | null) => (megabits === null ? "" : String(megabits));
  return {
    timeZone: schedule.timeZone,
    windows: schedule.windows,
    insideMbps: text(schedule.insideMbps),
    outsideMbps: text(schedule.outsideMbps),
  };
}

export function scheduleOf(values: ScheduleValues): BandwidthSchedule {
  const limit = (text: string) => {
    const megabits = megabitsOf(text);
    return megabits === "wrong" ? null : megabits;
  };
  return {
    timeZone: values.timeZone.trim(),
    windows: values.windows.map(({ days, from, to }) => ({ days: inWeekOrder(days), from, to })),
    insideMbps: limit(values.insideMbps),
    outsideMbps: limit(values.outsideMbps),
  };
}

export function checkSchedule(values: ScheduleValues): FieldErrors {
  const errors: Record<string, string> = {};
  const fault = (path: string, message: string | null) => {
    if (message !== null) errors[`bandwidthSchedule.${path}`] = message;
  };
  fault("timeZone", isTimeZone(values.timeZone.trim()) ? null : texts.timeZoneSuchAs);
  values.windows.forEach((window, index) => {
    fault(`windows.${index}.days`, window.days.length === 0 ? texts.chooseLeastOneDay : null);
    fault(`windows.${index}.from`, TIME_OF_DAY.test(window.from) ? null : texts.aTime);
    fault(`windows.${index}.to`, checkEnd(window));
  });
  if (values.windows.length > WINDOWS_MAX) fault("windows", texts.atMostWindows(WINDOWS_MAX));
  fault("insideMbps", checkMegabits(values.insideMbps));
  fault("outsideMbps", checkMegabits(values.outsideMbps));
  if (values.insideMbps.trim() === "" && values.outsideMbps.trim() === "") {
    fault("outsideMbps", texts.giveLeastOneLimit);
  }
  return errors;
}

/** Whether a window of no length is a whole day or nothing is a question better not put. */
function checkEnd({ from, to }: WindowValues): string | null {
  if (!TIME_OF_DAY.test(to)) return texts.aTime;
  return from === to ? texts.timesAreEqual : null;
}

export function toggleDay(days: readonly Weekday[], day: Weekday): readonly Weekday[] {
  return days.includes(day) ? days.filter((other) => other !== day) : inWeekOrder([...days, day]);
}

function inWeekOrder(days: readonly Weekday[]): Weekday[] {
  return WEEKDAYS.filter((day) => days.includes(day));
}
