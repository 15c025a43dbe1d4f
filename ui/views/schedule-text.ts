/** A project's bandwidth schedule in one line. */
import type { BandwidthSchedule } from "../../schema/job.ts";
import { type Weekday, WEEKDAYS } from "../contract.ts";
import { formatMegabits, type Reader } from "../format.ts";
import { WEEKDAY_WORDS } from "../words.ts";
import { scheduleText as texts } from "../texts/job-form.ts";

export function scheduleText(schedule: BandwidthSchedule, reader: Reader = {}): string {
  const { windows, timeZone } = schedule;
  const limit = (megabits: number | null) =>
    megabits === null ? texts.noLimit : formatMegabits(megabits, reader);
  const outside = limit(schedule.outsideMbps);
  if (windows.length === 0) return texts.always(outside);
  const when = windows.map(({ days, from, to }) => `${daysText(days)} ${from}–${to}`).join(", ");
  return texts.otherwise(when, limit(schedule.insideMbps), outside, timeZone.replaceAll("_", " "));
}

/** Three days in a row and more become a span. */
export function daysText(days: readonly Weekday[]): string {
  const chosen = WEEKDAYS.map((day) => days.includes(day));
  if (chosen.every(Boolean)) return texts.everyDay;
  const parts: string[] = [];
  for (let first = 0; first < WEEKDAYS.length; first++) {
    if (chosen[first] !== true) continue;
    let last = first;
    while (chosen[last + 1] === true) last++;
    const words = WEEKDAYS.slice(first, last + 1).map((day) => WEEKDAY_WORDS[day]);
    parts.push(...(words.length > 2 ? [`${words[0]}–${words.at(-1)}`] : words));
    first = last;
  }
  return parts.join(", ");
}
