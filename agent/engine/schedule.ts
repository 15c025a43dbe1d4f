/**
 * A project's bandwidth schedule: which limit holds at which time at the site, and when it changes next.
 *
 * A window begins and ends at times of the site's own clock; the day named is the day it begins, and a window whose end
 * is not after its beginning ends on the next day (equal times are a whole day). Windows may overlap: inside any of them
 * is inside.
 *
 * On the days when the clock is changed, an edge is *the first instant at which the clock shows its time or a later one*:
 * a time that is skipped is the first instant after the gap, a time that comes twice is its first coming. So a day of 23
 * or 25 hours shortens or lengthens the window by that hour, and windows that touch keep touching.
 */
import type { Clock } from "../platform.ts";

/** As weekdays are counted by `Date`. */
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
export type Day = (typeof DAYS)[number];

export interface ScheduleWindow {
  /** The days on which it begins. */
  readonly days: readonly Day[];
  /** `HH:MM`, from `00:00` to `23:59`. */
  readonly from: string;
  readonly to: string;
}

export interface BandwidthSchedule {
  /** The IANA name of the site's time zone. */
  readonly timeZone: string;
  readonly windows: readonly ScheduleWindow[];
  /** Null = full speed. */
  readonly insideMbps: number | null;
  readonly outsideMbps: number | null;
}

/** A limit, and until when it holds. */
export interface Cap {
  readonly megabitsPerSecond: number | null;
  /** Null when it never changes. */
  readonly untilMs: number | null;
}

/** A schedule that cannot be followed. */
export class ScheduleError extends Error {
  override readonly name = "ScheduleError";
}

/** Within the two seconds in which a change of the limit must be felt, also when the wall clock was set. */
export const LOOK_MS = 1_000;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** A week repeats, but a zone that moves over the date line leaves a day out: then its window is a week later. */
const SEARCH_DAYS = 15;

/** Throws {@link ScheduleError}. */
export function capAt(schedule: BandwidthSchedule, nowMs: number): Cap {
  const { insideMbps, outsideMbps } = schedule;
  const site = siteClock(schedule.timeZone);
  const endMs = insideUntil(schedule, site, nowMs);
  if (insideMbps === outsideMbps) return { megabitsPerSecond: insideMbps, untilMs: null };
  if (endMs === null)
    return { megabitsPerSecond: outsideMbps, untilMs: nextBeginning(schedule, site, nowMs) };
  return { megabitsPerSecond: insideMbps, untilMs: endMs === Infinity ? null : endMs };
}

/**
 * Calls `limit` with the limit of the moment, now and at every change, until the signal. Rejects with
 * {@link ScheduleError} before the first call when the schedule cannot be followed.
 */
export async function followSchedule(
  schedule: BandwidthSchedule,
  limit: (megabitsPerSecond: number | null) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let cap: Cap | null = null;
  let askedMs = 0;
  while (!signal.aborted) {
    const nowMs = clock.now();
    // A clock that was set back may be before the beginning of what holds, too.
    if (cap === null || nowMs < askedMs || nowMs >= (cap.untilMs ?? Infinity)) {
      const next = capAt(schedule, nowMs);
      if (next.megabitsPerSecond !== cap?.megabitsPerSecond) limit(next.megabitsPerSecond);
      cap = next;
      askedMs = nowMs;
    }
    const leftMs = (cap.untilMs ?? Infinity) - nowMs;
    await clock.sleep(Math.min(LOOK_MS, Math.max(1, leftMs)), signal).catch(() => {});
  }
}

/** When being inside ends: null when outside, `Infinity` when never. */
function insideUntil(schedule: BandwidthSchedule, site: SiteClock, nowMs: number): number | null {
  let untilMs = nowMs;
  for (;;) {
    const today = dayOf(site.localMs(untilMs));
    let furtherMs = untilMs;
    // A window is over by the end of the next day. Where the clock is set back over midnight, tomorrow's may have begun.
    for (let day = today - 1; day <= today + 1; day++) {
      for (const { beginMs, endMs } of openingsOn(schedule, site, day)) {
        if (beginMs <= untilMs && endMs > furtherMs) furtherMs = endMs;
      }
    }
    if (furtherMs === untilMs) return untilMs === nowMs ? null : untilMs;
    untilMs = furtherMs;
    if (untilMs - nowMs > SEARCH_DAYS * DAY_MS) return Infinity;
  }
}

/** Null when there is none. */
function nextBeginning(schedule: BandwidthSchedule, site: SiteClock, nowMs: number): number | null {
  const today = dayOf(site.localMs(nowMs));
  for (let day = today; day <= today + SEARCH_DAYS; day++) {
    let nextMs = Infinity;
    for (const { beginMs, endMs } of openingsOn(schedule, site, day)) {
      if (beginMs > nowMs && endMs > beginMs) nextMs = Math.min(nextMs, beginMs);
    }
    if (nextMs < Infinity) return nextMs;
  }
  return null;
}

/** What the windows of one day of the site are in real time. `day` counts days since 1970. */
function* openingsOn(
  schedule: BandwidthSchedule,
  site: SiteClock,
  day: number,
): Iterable<{ readonly beginMs: number; readonly endMs: number }> {
  const name = DAYS[new Date(day * DAY_MS).getUTCDay()];
  for (const window of schedule.windows) {
    if (!window.days.some((named) => named === name)) continue;
    const from = timeOfDayMs(window.from);
    const to = timeOfDayMs(window.to);
    yield {
      beginMs: site.firstAtMs(day * DAY_MS + from),
      endMs: site.firstAtMs((to > from ? day : day + 1) * DAY_MS + to),
    };
  }
}

function timeOfDayMs(time: string): number {
  const [, hours, minutes] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(time) ?? [];
  if (hours === undefined || minutes === undefined)
    throw new ScheduleError(`Cannot follow the bandwidth schedule: "${time}" is not a time such as 18:00`);
  return (Number(hours) * 60 + Number(minutes)) * MINUTE_MS;
}

function dayOf(localMs: number): number {
  return Math.floor(localMs / DAY_MS);
}

/** The site's clock. A local time is written as the milliseconds at which a clock in UTC shows the same. */
interface SiteClock {
  localMs(instantMs: number): number;
  /** The first instant at which the clock shows `localMs` or later. */
  firstAtMs(localMs: number): number;
}

function siteClock(timeZone: string): SiteClock {
  const format = formatOf(timeZone);
  const localMs = (instantMs: number) => {
    const shown: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
    for (const { type, value } of format.formatToParts(instantMs)) shown[type] = Number(value);
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = shown;
    // Shown are whole seconds, rounded down.
    return Date.UTC(year, month - 1, day, hour, minute, second) + (((instantMs % 1_000) + 1_000) % 1_000);
  };
  const aheadMs = (instantMs: number) => localMs(instantMs) - instantMs;
  const firstAtMs = (wantedMs: number) => {
    // Zones lie between 12 hours behind UTC and 14 ahead, so the instant lies between these two.
    let beforeMs = wantedMs - 15 * 60 * MINUTE_MS;
    let afterMs = wantedMs + 13 * 60 * MINUTE_MS;
    const [oldAheadMs, newAheadMs] = [aheadMs(beforeMs), aheadMs(afterMs)];
    if (oldAheadMs === newAheadMs) return wantedMs - oldAheadMs;
    // The clock is changed in between, on a whole second: find when.
    while (afterMs - beforeMs > 1_000) {
      const middleMs = beforeMs + Math.floor((afterMs - beforeMs) / 2_000) * 1_000;
      if (aheadMs(middleMs) === oldAheadMs) beforeMs = middleMs;
      else afterMs = middleMs;
    }
    const byOldMs = wantedMs - oldAheadMs;
    return byOldMs < afterMs ? byOldMs : Math.max(afterMs, wantedMs - newAheadMs);
  };
  return { localMs, firstAtMs };
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat("en-US-u-ca-gregory-nu-latn", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch (cause) {
    throw new ScheduleError(
      `Cannot follow the bandwidth schedule: "${timeZone}" is no time zone known here`,
      {
        cause,
      },
    );
  }
}
