/**
 * How numbers, sizes, speeds and times are written, in this one place, so that a figure reads the same on every page.
 *
 * Sizes are decimal (1 GB = 10⁹ bytes), as billing counts them; only the chunk size is in MiB, because that is what is sent.
 * Numbers and dates follow the reader's locale; `locale` and `timeZone` are handed in by tests.
 */
import { type Noun, nouns, type Plural } from "./texts/nouns.ts";
import { format as texts } from "./texts/frame.ts";

export interface Reader {
  readonly locale?: string;
  readonly timeZone?: string;
}

/** What stands where there is nothing to say yet. */
export const NOTHING = "–";

const SIZE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** Three significant digits are enough to follow a transfer and do not make the layout jump. */
export function formatBytes(bytes: number, reader: Reader = {}): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  // 999.5 and above would be written "1,000" of the smaller unit.
  while (value >= 999.5 && unit < SIZE_UNITS.length - 1) {
    value /= 1_000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${fixed(value, digits, reader)} ${SIZE_UNITS[unit] ?? "B"}`;
}

export function formatCount(count: number, reader: Reader = {}): string {
  return fixed(count, 0, reader);
}

/** A count with its noun: `1 file`, `2,345 files`. */
export function formatCountOf(count: number, noun: Noun, reader: Reader = {}): string {
  return `${formatCount(count, reader)} ${nouns[noun][pluralOf(count)]}`;
}

export function pluralOf(count: number): Plural {
  return count === 1 ? "one" : "other";
}

export function formatSpeed(bytesPerSecond: number, reader: Reader = {}): string {
  const megabits = Math.max(0, bytesPerSecond * 8) / 1e6;
  return `${fixed(megabits, megabits >= 99.95 ? 0 : 1, reader)} Mbps`;
}

/** A limit of the line, as it was set: `20 Mbps`, `2.5 Mbps`; in a sentence the two stay together. */
export function formatMegabits(megabitsPerSecond: number, reader: Reader = {}): string {
  return `${numberFormat(reader, { minimumFractionDigits: 0, maximumFractionDigits: 2 }).format(megabitsPerSecond)}\u00a0Mbps`;
}

/** Rounded down: a job is never shown as 100% before it is done. */
export function formatPercent(fraction: number, reader: Reader = {}): string {
  const tenths = Math.floor(Math.min(1, Math.max(0, fraction)) * 1_000 + 1e-9) / 10;
  return `${fixed(tenths, tenths === 100 || tenths === 0 ? 0 : 1, reader)}%`;
}

/** The two largest units: `2 d 4 h`, `3 h 20 min`, `5 min 12 s`, `8 s`. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1_000));
  if (durationMs > 0 && seconds === 0) return "under 1 s";
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([amount], index) => index === 0 || amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(" ");
}

/** An estimate is written no finer than it is good: the last minute in seconds, then minutes, then hours. */
export function formatTimeLeft(seconds: number): string {
  if (seconds < 1) return texts.aMoment;
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3_600) return texts.min(Math.round(seconds / 60));
  return formatDuration(Math.round(seconds / 60) * 60_000);
}

/** Minutes and seconds of a countdown: `14:59`, with hours where there are any. */
export function formatCountdown(remainingMs: number): string {
  const seconds = Math.max(0, Math.ceil(remainingMs / 1_000));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3_600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

export function formatDateTime(iso: string, reader: Reader = {}): string {
  return dateFormat(reader, { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}

export function formatDate(iso: string, reader: Reader = {}): string {
  return dateFormat(reader, { dateStyle: "medium" }).format(new Date(iso));
}

/** A moment soon to come or just gone: the time alone today, with the date on any other day. */
export function formatMoment(atMs: number, nowMs: number, reader: Reader = {}): string {
  const day = dateFormat(reader, { dateStyle: "medium" });
  const isToday = day.format(atMs) === day.format(nowMs);
  const style: Intl.DateTimeFormatOptions = isToday
    ? { timeStyle: "short" }
    : { dateStyle: "medium", timeStyle: "short" };
  return dateFormat(reader, style).format(atMs);
}

/** How long ago: `just now`, `4 min ago`, `3 h ago`, then the date. */
export function formatAgo(iso: string, nowMs: number, reader: Reader = {}): string {
  const seconds = (nowMs - Date.parse(iso)) / 1_000;
  if (seconds < 45) return texts.justNow;
  if (seconds < 3_600) return texts.minAgo(Math.max(1, Math.round(seconds / 60)));
  if (seconds < 86_400) return texts.hAgo(Math.round(seconds / 3_600));
  return formatDate(iso, reader);
}

// Building an Intl object costs far more than using it, and a live page formats hundreds of figures a second.
const numberFormats = new Map<string, Intl.NumberFormat>();
const dateFormats = new Map<string, Intl.DateTimeFormat>();

function fixed(value: number, digits: number, reader: Reader): string {
  return numberFormat(reader, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

function numberFormat(reader: Reader, style: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${reader.locale ?? ""}/${style.minimumFractionDigits}/${style.maximumFractionDigits}`;
  let format = numberFormats.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat(reader.locale, style);
    numberFormats.set(key, format);
  }
  return format;
}

function dateFormat(reader: Reader, style: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${reader.locale ?? ""}/${reader.timeZone ?? ""}/${JSON.stringify(style)}`;
  let format = dateFormats.get(key);
  if (format === undefined) {
    const zone = reader.timeZone === undefined ? {} : { timeZone: reader.timeZone };
    format = new Intl.DateTimeFormat(reader.locale, { ...style, ...zone });
    dateFormats.set(key, format);
  }
  return format;
}
