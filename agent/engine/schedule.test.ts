/** The bandwidth schedule, against a calendar that looks at the site's clock every minute of a year. */
import assert from "node:assert/strict";
import { seededRandom, settle, VirtualClock } from "../virtual.ts";
import { type BandwidthSchedule, capAt, type Day, followSchedule, type ScheduleWindow } from "./schedule.ts";
import { Throttle } from "./throttle.ts";

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1_440;
const DAYS: readonly Day[] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const EVERY_DAY = DAYS;
const INSIDE = 100;
const OUTSIDE = 5;

function schedule(timeZone: string, windows: readonly ScheduleWindow[]): BandwidthSchedule {
  return { timeZone, windows, insideMbps: INSIDE, outsideMbps: OUTSIDE };
}

function at(text: string): number {
  return Date.parse(text);
}

function capText({ megabitsPerSecond, untilMs }: ReturnType<typeof capAt>): [number | null, string | null] {
  return [megabitsPerSecond, untilMs === null ? null : new Date(untilMs).toISOString()];
}

Deno.test("[W10] a window over midnight is named by the day it begins", () => {
  const nights = schedule("Europe/Berlin", [
    { days: ["mon", "tue", "wed", "thu", "fri"], from: "18:00", to: "06:00" },
  ]);
  // 2026-06-01 is a Monday; Berlin is two hours ahead.
  for (const [now, megabits, until] of [
    ["2026-06-01T00:00:00Z", OUTSIDE, "2026-06-01T16:00:00.000Z"],
    ["2026-06-01T15:59:59.999Z", OUTSIDE, "2026-06-01T16:00:00.000Z"],
    ["2026-06-01T16:00:00Z", INSIDE, "2026-06-02T04:00:00.000Z"],
    ["2026-06-06T03:59:59.999Z", INSIDE, "2026-06-06T04:00:00.000Z"],
    ["2026-06-06T04:00:00Z", OUTSIDE, "2026-06-08T16:00:00.000Z"],
  ] as const) {
    assert.deepEqual(capText(capAt(nights, at(now))), [megabits, until], now);
  }
});

Deno.test("[W10] windows that overlap or touch are one, and a schedule without an edge holds for ever", () => {
  const overlapping = schedule("UTC", [
    { days: ["sat"], from: "12:00", to: "00:00" },
    { days: ["sat"], from: "20:00", to: "08:00" },
    { days: ["sun"], from: "08:00", to: "08:00" },
  ]);
  assert.deepEqual(capText(capAt(overlapping, at("2026-06-06T13:00:00Z"))), [
    INSIDE,
    "2026-06-08T08:00:00.000Z",
  ]);
  const always = schedule("Europe/Berlin", [{ days: EVERY_DAY, from: "07:00", to: "07:00" }]);
  const never = schedule("Europe/Berlin", []);
  const same = { ...overlapping, insideMbps: null, outsideMbps: null };
  for (const now of ["2026-03-29T00:59:00Z", "2026-06-06T05:00:00Z", "2026-10-25T00:30:00Z"]) {
    assert.deepEqual(capText(capAt(always, at(now))), [INSIDE, null]);
    assert.deepEqual(capText(capAt(never, at(now))), [OUTSIDE, null]);
    assert.deepEqual(capText(capAt(same, at(now))), [null, null]);
  }
});

Deno.test("[W11] days of 23 and 25 hours shorten and lengthen the window that the change lies in", () => {
  const nights = schedule("Europe/Berlin", [{ days: EVERY_DAY, from: "18:00", to: "06:00" }]);
  const hours = (now: string) => {
    const begin = capAt(nights, at(now)).untilMs ?? 0;
    return ((capAt(nights, begin).untilMs ?? 0) - begin) / 3_600_000;
  };
  assert.equal(hours("2026-03-27T12:00:00Z"), 12);
  assert.equal(hours("2026-03-28T12:00:00Z"), 11);
  assert.equal(hours("2026-10-24T12:00:00Z"), 13);
});

Deno.test("[W11] an edge that is skipped is the first instant after the gap, one that comes twice its first coming", () => {
  const early = schedule("Europe/Berlin", [{ days: EVERY_DAY, from: "02:30", to: "12:00" }]);
  assert.deepEqual(capText(capAt(early, at("2026-03-28T12:00:00Z"))), [OUTSIDE, "2026-03-29T01:00:00.000Z"]);
  assert.deepEqual(capText(capAt(early, at("2026-10-24T12:00:00Z"))), [OUTSIDE, "2026-10-25T00:30:00.000Z"]);
  const late = schedule("Europe/Berlin", [{ days: EVERY_DAY, from: "20:00", to: "02:30" }]);
  assert.deepEqual(capText(capAt(late, at("2026-03-28T20:00:00Z"))), [INSIDE, "2026-03-29T01:00:00.000Z"]);
  assert.deepEqual(capText(capAt(late, at("2026-10-24T20:00:00Z"))), [INSIDE, "2026-10-25T00:30:00.000Z"]);
  const within = schedule("Europe/Berlin", [{ days: ["sun"], from: "02:10", to: "02:50" }]);
  assert.deepEqual(capText(capAt(within, at("2026-03-28T20:00:00Z"))), [OUTSIDE, "2026-04-05T00:10:00.000Z"]);
});

/** Every minute of a stretch of time: what the site's clock shows then, as the minutes a clock in UTC would count. */
function shownMinutes(timeZone: string, fromMs: number, minutes: number): Float64Array {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" });
  const shownAt = (minute: number) =>
    Date.parse(`${format.format(fromMs + minute * MINUTE_MS).replace(" ", "T")}Z`) / MINUTE_MS;
  const shown = new Float64Array(minutes);
  // A look at the clock is slow: within a quarter of an hour only when the clock is changed in it.
  for (let minute = 0; minute < minutes; minute += 15) {
    const first = shownAt(minute);
    const isChanged = shownAt(minute + 15) !== first + 15;
    for (let further = 0; further < 15; further++) {
      shown[minute + further] = isChanged ? shownAt(minute + further) : first + further;
    }
  }
  return shown;
}

/** For every minute, whether it is inside a window, by looking for each edge minute by minute. */
function insideByMinute({ windows }: BandwidthSchedule, shown: Float64Array): Uint8Array {
  const first = shown[0] ?? 0;
  const span = (shown.at(-1) ?? 0) - first + DAY_MINUTES;
  /** The first minute at which the clock shows a minute or a later one. */
  const firstAt = new Float64Array(span).fill(Infinity);
  let latest = -1;
  for (const [minute, shownMinute] of shown.entries()) {
    while (latest < shownMinute - first) firstAt[++latest] = minute;
  }
  const inside = new Uint8Array(shown.length);
  const [firstDay, lastDay] = [Math.floor(first / DAY_MINUTES) - 1, Math.ceil((first + span) / DAY_MINUTES)];
  for (let day = firstDay; day <= lastDay; day++) {
    const name = DAYS[new Date(day * DAY_MINUTES * MINUTE_MS).getUTCDay()];
    for (const { days, from, to } of windows) {
      if (name === undefined || !days.includes(name)) continue;
      const [fromMinute, toMinute] = [minuteOf(from), minuteOf(to)];
      const lookUp = (shownMinute: number) =>
        shownMinute < first ? 0 : (firstAt[shownMinute - first] ?? Infinity);
      const begin = lookUp(day * DAY_MINUTES + fromMinute);
      const end = lookUp((toMinute > fromMinute ? day : day + 1) * DAY_MINUTES + toMinute);
      if (begin < shown.length) inside.fill(1, begin, Math.min(end, shown.length));
    }
  }
  return inside;
}

function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}

function randomWindows(seed: number): readonly ScheduleWindow[] {
  const random = seededRandom(seed);
  const two = (below: number) => String(Math.floor(random.next() * below)).padStart(2, "0");
  const time = () => `${two(24)}:${two(60)}`;
  return Array.from({ length: 1 + Math.floor(random.next() * 4) }, () => ({
    days: DAYS.filter(() => random.next() < 0.5),
    from: time(),
    to: time(),
  }));
}

const CHOSEN: readonly (readonly ScheduleWindow[])[] = [
  [{ days: ["mon", "tue", "wed", "thu", "fri"], from: "18:00", to: "06:00" }],
  [{ days: EVERY_DAY, from: "02:30", to: "02:45" }],
  [{ days: EVERY_DAY, from: "01:45", to: "02:15" }],
  [{ days: EVERY_DAY, from: "23:30", to: "00:30" }],
  [{ days: EVERY_DAY, from: "00:00", to: "00:00" }],
  [{ days: ["fri"], from: "12:00", to: "13:00" }],
  [
    { days: ["fri"], from: "20:00", to: "20:00" },
    { days: ["sat", "sun"], from: "00:00", to: "23:59" },
  ],
];

for (const [timeZone, year] of [
  ["Europe/Berlin", 2026],
  ["America/New_York", 2026],
  ["Australia/Lord_Howe", 2026],
  ["Asia/Kathmandu", 2026],
  // The last year with a summer time, begun at a midnight that was skipped.
  ["America/Sao_Paulo", 2018],
  ["UTC", 2026],
  // The year in which Samoa left out a Friday.
  ["Pacific/Apia", 2011],
  // Changed its clock a minute after midnight, in 2010.
  ["America/St_Johns", 2010],
] as const) {
  Deno.test(`[W10] [W11] every minute of a year in ${timeZone} has the limit and the edges that its clock shows`, () => {
    const marginMinutes = 20 * DAY_MINUTES;
    const fromMs = Date.UTC(year, 0, 1) - marginMinutes * MINUTE_MS;
    const minutes = 365 * DAY_MINUTES + 2 * marginMinutes;
    const shown = shownMinutes(timeZone, fromMs, minutes);
    const random = seededRandom(year);
    for (const windows of [...CHOSEN, ...Array.from({ length: 6 }, (_, seed) => randomWindows(seed))]) {
      const tried = schedule(timeZone, windows);
      const inside = insideByMinute(tried, shown);
      /** For every minute, the next one at which the limit is another. */
      const next = new Float64Array(minutes).fill(Infinity);
      const edges: number[] = [];
      for (let minute = minutes - 2; minute >= 0; minute--) {
        const isEdge = inside[minute] !== inside[minute + 1];
        next[minute] = isEdge ? minute + 1 : (next[minute + 1] ?? Infinity);
        if (isEdge) edges.push(minute + 1);
      }
      const asked = new Set<number>();
      for (let count = 0; count < 100; count++) {
        asked.add(marginMinutes + Math.floor(random.next() * 365 * DAY_MINUTES));
      }
      // Edges near a change of the clock are asked for all; of others, only some where there are many.
      for (const edge of edges) {
        if (edges.length < 200 || isNearChange(shown, edge) || random.next() < 0.05)
          for (const by of [-1, 0, 1]) asked.add(edge + by);
      }
      for (const minute of asked) {
        if (minute < marginMinutes || minute >= minutes - marginMinutes) continue;
        const nowMs = fromMs + minute * MINUTE_MS;
        const cap = capAt(tried, nowMs + Math.floor(random.next() * MINUTE_MS));
        const name = `${JSON.stringify(windows)} at ${new Date(nowMs).toISOString()}`;
        assert.equal(cap.megabitsPerSecond, inside[minute] === 1 ? INSIDE : OUTSIDE, name);
        const untilMinute = next[minute] ?? Infinity;
        const untilMs = untilMinute === Infinity ? null : fromMs + untilMinute * MINUTE_MS;
        assert.equal(cap.untilMs, untilMs, name);
      }
    }
  });
}

function isNearChange(shown: Float64Array, minute: number): boolean {
  const before = Math.max(0, minute - DAY_MINUTES);
  const after = Math.min(shown.length - 1, minute + DAY_MINUTES);
  return (shown[after] ?? 0) - (shown[before] ?? 0) !== after - before;
}

Deno.test("[W12] a zone or a time that is none is said so", async () => {
  const signal = new AbortController().signal;
  for (const [broken, message] of [
    [schedule("Europe/Atlantis", []), /"Europe\/Atlantis" is no time zone known here/],
    [schedule("UTC", [{ days: EVERY_DAY, from: "24:00", to: "06:00" }]), /"24:00" is not a time/],
  ] as const) {
    assert.throws(() => capAt(broken, 0), message);
    await assert.rejects(
      followSchedule(broken, () => assert.fail("called"), new VirtualClock(), signal),
      message,
    );
  }
});

/** A virtual clock whose wall time can be set. */
class SetClock extends VirtualClock {
  aheadMs = 0;
  override now(): number {
    return super.now() + this.aheadMs;
  }
}

Deno.test("[W12] the limit follows the schedule at its edges and when the wall clock is set, within two seconds", async () => {
  const clock = new SetClock();
  clock.aheadMs = at("2026-06-01T17:59:00Z") - clock.now();
  const nights = schedule("UTC", [{ days: EVERY_DAY, from: "18:00", to: "06:00" }]);
  const throttle = new Throttle(clock);
  const share = throttle.join(null);
  const stopping = new AbortController();
  let calls = 0;
  const following = followSchedule(
    { ...nights, insideMbps: null },
    (megabits) => {
      calls++;
      share.limit(megabits);
    },
    clock,
    stopping.signal,
  );
  assert.equal(throttle.megabitsPerSecond, OUTSIDE);
  await clock.advance(59_999);
  assert.equal(throttle.megabitsPerSecond, OUTSIDE);
  await clock.advance(1);
  assert.equal(throttle.megabitsPerSecond, null);
  // Set forward, back, forward by days: as after a sleep of the machine.
  for (const [aheadMs, megabits] of [
    [13 * 3_600_000, OUTSIDE],
    [-13 * 3_600_000, null],
    [3.5 * 86_400_000, OUTSIDE],
  ] as const) {
    clock.aheadMs += aheadMs;
    await clock.advance(1_000);
    assert.equal(throttle.megabitsPerSecond, megabits);
  }
  // To another day of the same kind: nothing changes.
  clock.aheadMs += 86_400_000;
  await clock.advance(1_000);
  assert.equal(calls, 5);
  stopping.abort();
  await following;
  clock.aheadMs += 43_200_000;
  await clock.advance(10_000);
  await settle();
  assert.equal(calls, 5);
});
