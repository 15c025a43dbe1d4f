/**
 * Which limit a job's line has at a moment, as its own settings say: its own limit, else what the schedule says at the site's
 * time. The agent follows the schedule to the second, and alone decides; this is for saying it and for drawing it.
 */
import type { BandwidthSchedule, JobConfig } from "../../schema/job.ts";
import { type Weekday, WEEKDAYS } from "../contract.ts";

export interface LineLimit {
  /** Null = as fast as it goes. */
  readonly megabitsPerSecond: number | null;
  /** When it changes; null = never, or nobody can say. */
  readonly untilMs: number | null;
  /** What holds afterwards. */
  readonly thenMegabitsPerSecond: number | null;
  readonly by: "job" | "schedule" | "nothing";
  /** Of a schedule: whether one of its windows is open. */
  readonly isInside: boolean;
}

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** A week repeats. */
const DAYS_AHEAD = 8;

export function limitOf({ options, schedule }: JobConfig, nowMs: number): LineLimit {
  const plain = { untilMs: null, thenMegabitsPerSecond: null, isInside: false };
  if (options.bandwidthMbps !== null)
    return { ...plain, megabitsPerSecond: options.bandwidthMbps, by: "job" };
  if (schedule === null) return { ...plain, megabitsPerSecond: null, by: "nothing" };
  const { insideMbps, outsideMbps } = schedule;
  const isInside = isOpen(schedule, nowMs);
  const untilMs = insideMbps === outsideMbps ? null : nextChange(schedule, nowMs, isInside);
  const [now, then] = isInside ? [insideMbps, outsideMbps] : [outsideMbps, insideMbps];
  return {
    megabitsPerSecond: now,
    untilMs,
    thenMegabitsPerSecond: untilMs === null ? null : then,
    by: "schedule",
    isInside,
  };
}

/** Windows may overlap: inside any of them is inside. One that does not end after its beginning ends on the next day. */
function isOpen(schedule: BandwidthSchedule, atMs: number): boolean {
  const { day, minute } = localTime(schedule.timeZone, atMs);
  const today = WEEKDAYS[day];
  const yesterday = WEEKDAYS[(day + 6) % 7];
  const named = (days: readonly Weekday[], one: Weekday | undefined) =>
    one !== undefined && days.includes(one);
  return schedule.windows.some(({ days, from, to }) => {
    const [begin, end] = [minutesOf(from), minutesOf(to)];
    if (begin < end) return named(days, today) && minute >= begin && minute < end;
    return (named(days, today) && minute >= begin) || (named(days, yesterday) && minute < end);
  });
}

/** The next beginning or end of a window after which it is otherwise. On a day of 23 or 25 hours it may be an hour off. */
function nextChange(schedule: BandwidthSchedule, nowMs: number, isInside: boolean): number | null {
  const { timeZone, windows } = schedule;
  const edges = [...new Set(windows.flatMap(({ from, to }) => [minutesOf(from), minutesOf(to)]))].toSorted(
    (one, other) => one - other,
  );
  const midnightMs = Math.floor((nowMs + aheadMs(timeZone, nowMs)) / DAY_MS) * DAY_MS;
  for (let day = 0; day <= DAYS_AHEAD; day++) {
    for (const edge of edges) {
      const atMs = instantOf(timeZone, midnightMs + day * DAY_MS + edge * MINUTE_MS);
      if (atMs > nowMs && isOpen(schedule, atMs) !== isInside) return atMs;
    }
  }
  return null;
}

function minutesOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  return hours * 60 + minutes;
}

function localTime(timeZone: string, atMs: number): { day: number; minute: number } {
  const localMs = atMs + aheadMs(timeZone, atMs);
  // The first of January 1970 was a Thursday; days count from Monday here.
  const day = (Math.floor(localMs / DAY_MS) + 3) % 7;
  return { day, minute: Math.floor((localMs % DAY_MS) / MINUTE_MS) };
}

/** The instant at which a clock at the site shows what one in UTC shows at `localMs`. */
function instantOf(timeZone: string, localMs: number): number {
  const guessMs = localMs - aheadMs(timeZone, localMs);
  return localMs - aheadMs(timeZone, guessMs);
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** How far a clock at the site is ahead of UTC. */
function aheadMs(timeZone: string, atMs: number): number {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US-u-ca-gregory-nu-latn", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(timeZone, format);
  }
  const shown: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
  for (const { type, value } of format.formatToParts(atMs)) shown[type] = Number(value);
  const { year = 0, month = 1, day = 0, hour = 0, minute = 0, second = 0 } = shown;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(atMs / 1_000) * 1_000;
}
