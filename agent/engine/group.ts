/**
 * Group commit: changes that come in while the disk is busy, or shortly after, share one transaction.
 *
 * The gap between two commits follows what a commit costs here, so that a slow disk (or a virus scanner) takes about a
 * tenth of the time and not all of it. A change that finds nothing going on is written at once.
 */
import type { Clock } from "../platform.ts";

export const GAP_MS_MIN = 4;
export const GAP_MS_MAX = 50;
const GAP_PER_COST = 9;

interface Waiting {
  readonly change: () => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Group {
  readonly #clock: Clock;
  readonly #commit: (changes: readonly (() => void)[]) => void;
  readonly #closing = new AbortController();
  #waiting: Waiting[] = [];
  #running = false;
  #broken: { readonly error: unknown } | null = null;

  /** `commit` makes all changes durable, or none, and throws. */
  constructor(clock: Clock, commit: (changes: readonly (() => void)[]) => void) {
    this.#clock = clock;
    this.#commit = commit;
  }

  /** Resolves once `change` is durable. After a failed commit everything is refused: nobody knows what the disk holds. */
  add(change: () => void): Promise<void> {
    if (this.#broken !== null) return Promise.reject(this.#broken.error);
    return new Promise<void>((resolve, reject) => {
      this.#waiting.push({ change, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  /** For a change that is a whole group by itself: it is written at once, with all that waits. */
  addMany(change: () => void): Promise<void> {
    const added = this.add(change);
    this.#writeWaiting();
    return added;
  }

  close(): void {
    this.#broken ??= { error: new Error("Cannot write journal: it is closed") };
    this.#closing.abort();
    this.#refuse(this.#waiting);
  }

  async #run(): Promise<void> {
    this.#running = true;
    // What the same turn of the loop has to say comes along.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const begunMs = this.#clock.monotonic();
      this.#writeWaiting();
      const costMs = this.#clock.monotonic() - begunMs;
      try {
        await this.#clock.sleep(
          Math.min(GAP_MS_MAX, Math.max(GAP_MS_MIN, costMs * GAP_PER_COST)),
          this.#closing.signal,
        );
      } catch {
        break;
      }
    }
    this.#running = false;
  }

  #writeWaiting(): void {
    const group = this.#waiting;
    this.#waiting = [];
    if (group.length === 0) return;
    try {
      this.#commit(group.map((waiting) => waiting.change));
      for (const waiting of group) waiting.resolve();
    } catch (error) {
      this.#broken = { error };
      this.#refuse([...group, ...this.#waiting]);
    }
  }

  #refuse(refused: readonly Waiting[]): void {
    this.#waiting = [];
    for (const waiting of refused) waiting.reject(this.#broken?.error);
  }
}
