/**
 * The memory that block buffers of all jobs may take together, whatever their settings: 32 streams of 256 MiB would be 8 GiB,
 * more than the machines we run on have.
 *
 * The job that begins may take what is free, but for a small share of each place that is still empty, so that none of those
 * who come later finds nothing.
 */
import { MEBIBYTE } from "./plan.ts";

export const MEMORY_BYTES_MAX = 512 * MEBIBYTE;
/** Four streams with blocks of 5 MiB. */
export const SHARE_BYTES_MIN = 32 * MEBIBYTE;

export class MemoryBudget {
  readonly #places: number;
  readonly #taken = new Set<{ readonly bytes: number }>();

  /** `places`: jobs that run at once, at the most. */
  constructor(places: number) {
    this.#places = places;
  }

  /** What a job that begins now may take. */
  get availableBytes(): number {
    let taken = 0;
    for (const { bytes } of this.#taken) taken += bytes;
    const others = Math.max(0, this.#places - this.#taken.size - 1);
    return Math.max(SHARE_BYTES_MIN, MEMORY_BYTES_MAX - taken - others * SHARE_BYTES_MIN);
  }

  /** Returns how to give it back; twice is once. */
  take(bytes: number): () => void {
    const taken = { bytes };
    this.#taken.add(taken);
    return () => void this.#taken.delete(taken);
  }
}
