/**
 * Whether the run may work: the one place that pause, cancel and suspend act through.
 *
 * Everything that talks to a source or a destination does it inside {@link Control.attempt}. A pause closes the door at
 * once, gives what is inside a moment to end, then interrupts it; the interrupted attempt waits at the door and is made
 * again after the resume. A stop interrupts everything, for good.
 */
import type { Clock } from "../platform.ts";

/** Within the two seconds that a pause may take; long enough for a block at common speeds to end by itself. */
export const PAUSE_GRACE_MS = 1_500;

/** Why the work ended before its end. */
export type Stop = "cancelled" | "suspended" | "failed";

/** Thrown out of whatever was being done when the run was stopped. */
export class Stopped extends Error {
  override readonly name = "Stopped";
  readonly stop: Stop;
  /** `cause` is the error that a failed run failed with. */
  constructor(stop: Stop, options?: ErrorOptions) {
    super(`Stopped: ${stop}`, options);
    this.stop = stop;
  }
}

/** Thrown out of an attempt that a pause interrupted. Never leaves this file. */
class Interrupted extends Error {
  override readonly name = "Interrupted";
}

export class Control {
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  readonly #inside = new Set<AbortController>();
  /** Controllers that were not aborted, to be used again: making one per request shows with small files. */
  readonly #unused: AbortController[] = [];
  #paused = false;
  /** Resolves at the next resume or stop. */
  #door: { readonly opened: Promise<void>; open(): void } | null = null;
  #settled: (() => void)[] = [];
  #grace: AbortController | null = null;
  #activeMs: number;
  /** When the time now running began to count; null while paused or stopped. */
  #activeSinceMs: number | null;

  /** `activeMs` is what earlier runs of this epoch have worked. */
  constructor(clock: Clock, activeMs: number) {
    this.#clock = clock;
    this.#activeMs = activeMs;
    this.#activeSinceMs = clock.monotonic();
  }

  /** Time spent working, without pauses. */
  get activeMs(): number {
    const running = this.#activeSinceMs === null ? 0 : this.#clock.monotonic() - this.#activeSinceMs;
    return Math.round(this.#activeMs + running);
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Aborts at a stop, not at a pause. Its reason is a {@link Stopped}. */
  get stopped(): AbortSignal {
    return this.#stopping.signal;
  }

  pause(): void {
    if (this.#paused || this.stopped.aborted) return;
    this.#paused = true;
    this.#activeMs = this.activeMs;
    this.#activeSinceMs = null;
    let open = () => {};
    const opened = new Promise<void>((resolve) => (open = resolve));
    this.#door = { opened, open };
    const grace = (this.#grace = new AbortController());
    this.#clock.sleep(PAUSE_GRACE_MS, grace.signal).then(
      () => this.#interrupt(new Interrupted()),
      () => {},
    );
    this.#tellSettled();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#activeSinceMs = this.#clock.monotonic();
    this.#grace?.abort();
    this.#door?.open();
    this.#door = null;
  }

  /** The first reason stays. */
  stop(stop: Exclude<Stop, "failed">): void {
    this.#stop(new Stopped(stop));
  }

  /** Ends the whole run because of `error`. */
  fail(error: unknown): void {
    this.#stop(error instanceof Stopped ? error : new Stopped("failed", { cause: error }));
  }

  #stop(reason: Stopped): void {
    if (this.stopped.aborted) return;
    this.#stopping.abort(reason);
    this.#interrupt(reason);
    this.resume();
    this.#tellSettled();
  }

  /** Returns at once, or when a pause is over. Throws {@link Stopped}. */
  async ready(): Promise<void> {
    while (this.#door !== null) await this.#door.opened;
    this.stopped.throwIfAborted();
  }

  /** Resolves once a pause has taken hold: nothing is inside any more. */
  async settled(): Promise<void> {
    while (this.#inside.size > 0 && !this.stopped.aborted) {
      await new Promise<void>((resolve) => this.#settled.push(resolve));
    }
  }

  /**
   * Does `work` when the run may work, as often as pauses interrupt it. `signal`, the caller's own, ends it too. The
   * signal that `work` gets ends it for whatever reason; `abort` lets it set a limit to itself.
   */
  async attempt<Result>(
    signal: AbortSignal,
    work: (signal: AbortSignal, abort: (reason: Error) => void) => Promise<Result>,
  ): Promise<Result> {
    for (;;) {
      if (this.#door !== null || this.stopped.aborted) await this.ready();
      signal.throwIfAborted();
      const controller = this.#unused.pop() ?? new AbortController();
      // A stop interrupts whatever is inside by itself.
      const passOn = signal === this.stopped ? null : () => controller.abort(signal.reason);
      if (passOn !== null) signal.addEventListener("abort", passOn);
      this.#inside.add(controller);
      try {
        return await work(controller.signal, (reason) => controller.abort(reason));
      } catch (error) {
        // What an interrupted call throws is its own affair; what counts is why it was interrupted.
        const reason: unknown = controller.signal.aborted ? controller.signal.reason : error;
        if (!(reason instanceof Interrupted)) throw reason;
      } finally {
        if (passOn !== null) signal.removeEventListener("abort", passOn);
        this.#inside.delete(controller);
        if (!controller.signal.aborted) this.#unused.push(controller);
        this.#tellSettled();
      }
    }
  }

  #interrupt(reason: Error): void {
    for (const controller of this.#inside) controller.abort(reason);
  }

  #tellSettled(): void {
    if (this.#settled.length === 0) return;
    if (this.#inside.size > 0 && !this.stopped.aborted) return;
    const waiting = this.#settled;
    this.#settled = [];
    for (const tell of waiting) tell();
  }
}

/** Does `work` for each item, some at a time. When one fails no more are begun, and the first failure is thrown. */
export async function forEachOf<Item>(
  items: Iterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failed = false;
  const worker = async () => {
    for (let next = iterator.next(); !next.done && !failed; next = iterator.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
