/** Bytes per second on the wire, over the last seconds. */
import type { Clock } from "../platform.ts";

export const WINDOW_MS = 5_000;
const SAMPLES_MAX = 4_096;

interface Sample {
  readonly bytes: number;
  readonly fromMs: number;
  readonly toMs: number;
}

export class Speed {
  readonly #clock: Clock;
  #samples: Sample[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A body that was accepted just now; it is taken to have left evenly since `fromMs`. */
  record(bytes: number, fromMs: number): void {
    if (bytes === 0) return;
    const toMs = this.#clock.monotonic();
    this.#samples.push({ bytes, fromMs: Math.min(fromMs, toMs - 1), toMs });
    if (this.#samples.length > SAMPLES_MAX) this.#forget();
  }

  reset(): void {
    this.#samples = [];
  }

  bytesPerSecond(): number {
    const nowMs = this.#clock.monotonic();
    this.#forget();
    const latest = this.#samples.at(-1);
    if (latest === undefined) return 0;
    // On a slow line one block takes longer than the window; then we look back to where the last one began.
    const fromMs = Math.min(nowMs - WINDOW_MS, latest.fromMs);
    let bytes = 0;
    for (const sample of this.#samples) {
      const inside = sample.toMs - Math.max(sample.fromMs, fromMs);
      if (inside > 0) bytes += (sample.bytes * inside) / (sample.toMs - sample.fromMs);
    }
    return (bytes * 1_000) / (nowMs - fromMs);
  }

  /** Keeps what lies in the window, and the latest in any case. */
  #forget(): void {
    const oldestMs = this.#clock.monotonic() - WINDOW_MS;
    const kept = this.#samples.filter(
      (sample, index) => sample.toMs > oldestMs || index === this.#samples.length - 1,
    );
    // A storm of small files: two neighbours are told as one.
    this.#samples = kept.length <= SAMPLES_MAX / 2 ? kept : mergePairs(kept);
  }
}

function mergePairs(samples: readonly Sample[]): Sample[] {
  const merged: Sample[] = [];
  for (let index = 0; index < samples.length; index += 2) {
    const first = samples[index] as Sample;
    const second = samples[index + 1];
    if (second === undefined) merged.push(first);
    else {
      merged.push({
        bytes: first.bytes + second.bytes,
        fromMs: Math.min(first.fromMs, second.fromMs),
        toMs: Math.max(first.toMs, second.toMs),
      });
    }
  }
  return merged;
}
