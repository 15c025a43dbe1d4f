/**
 * How fast a job was since its page was opened: a bounded past, each speed with its moment and the limit that held then. While
 * a job does not run there is a gap, not a line to zero.
 */
import { type ReadonlySignal, signal } from "@preact/signals";

export interface SpeedSample {
  readonly atMs: number;
  /** Null = from here on it did not run. */
  readonly bytesPerSecond: number | null;
  /** Null = none. */
  readonly limitMegabits: number | null;
}

/** A quarter of an hour at one a second: more than a chart of a card's width can show apart. */
export const SAMPLES_MAX = 900;

export interface SpeedRecord {
  readonly samples: ReadonlySignal<readonly SpeedSample[]>;
  add(sample: SpeedSample): void;
  clear(): void;
}

export function createSpeedRecord(): SpeedRecord {
  const samples = signal<readonly SpeedSample[]>([]);
  return {
    samples,
    add(sample) {
      const held = samples.peek();
      const last = held.at(-1);
      // Gaps are told once, and none stands at the beginning.
      if (sample.bytesPerSecond === null && (last === undefined || last.bytesPerSecond === null)) return;
      // The axis of time only goes forward, also where the clock was set back.
      if (last !== undefined && sample.atMs <= last.atMs) return;
      samples.value = [...held, sample].slice(-SAMPLES_MAX);
    },
    clear() {
      if (samples.peek().length > 0) samples.value = [];
    },
  };
}

export interface SpeedSummary {
  readonly spanMs: number;
  readonly lowest: number;
  readonly highest: number;
  readonly average: number;
  readonly latest: number;
}

/** Less is a point or a stroke, not a line. */
const SAMPLES_MIN = 5;
const SPAN_MS_MIN = 1_000;

/** The chart in numbers, in bytes per second; null until there is something to draw. */
export function summaryOf(samples: readonly SpeedSample[]): SpeedSummary | null {
  const speeds = samples.flatMap(({ bytesPerSecond }) => (bytesPerSecond === null ? [] : [bytesPerSecond]));
  const latest = speeds.at(-1);
  const [first, last] = [samples[0], samples.at(-1)];
  if (speeds.length < SAMPLES_MIN || latest === undefined || first === undefined || last === undefined)
    return null;
  const spanMs = last.atMs - first.atMs;
  if (spanMs < SPAN_MS_MIN) return null;
  return {
    spanMs,
    lowest: Math.min(...speeds),
    highest: Math.max(...speeds),
    average: speeds.reduce((sum, speed) => sum + speed, 0) / speeds.length,
    latest,
  };
}
