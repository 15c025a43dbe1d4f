/**
 * The bandwidth limit: how many bytes may leave or arrive now.
 *
 * **What a limit means.** An agent sits on one site's line, so a limit is a promise about that line and not about a job:
 * *while jobs with a limit run, all jobs of the agent together stay within the smallest one.* Two jobs of 20 Mbps are 20
 * in all; a job without a limit beside them shares those 20, and gets the full line when the last limited job ends or is
 * paused. (The other reading, each job within its own limit and the rest unhindered, was dropped: the customer's line
 * would be full while the technician looks at a limit he has just set.)
 *
 * **How it is kept.** One clock says until when the line is paid for. A piece may leave once that is past, and moves it
 * on by the time the piece takes at the limit. A late timer finds the clock behind, and as many pieces go at once as make
 * up for it: the rate holds, however coarse the timers are. It is never taken for more than {@link CREDIT_MS} behind, so
 * neither idleness nor a stall saves up a burst. Any time of t milliseconds hence carries at most what the limit gives
 * for t + CREDIT_MS, and one piece more: at the lowest limit, 0.1 Mbps, 1.18 times its share within a second, at common
 * ones 1.11 times.
 *
 * Whoever waits is served first come, first served, a piece at a time; so streams get equal shares, and a job with more
 * streams more of the line. Bodies of both directions are paced. Heads, and what TLS and TCP add, are not counted.
 */
import type { Clock } from "../platform.ts";
import type { Pace } from "../transport.ts";

/** A piece is about this much of the line: long enough to cost nothing, short enough that a change is felt at once. */
export const PIECE_MS = 10;
/** Below it the heads of records and packets would be a tenth of what is sent. 82 ms of line at 0.1 Mbps. */
export const PIECE_BYTES_MIN = 1_024;
export const PIECE_BYTES_MAX = 256 * 1_024;
/** As much is made up for of what was not used. More than a timer or a collection of garbage is ever late. */
export const CREDIT_MS = 100;
/**
 * What a body must get at least, or the service gives up on it: Azure allows a read 2 minutes per megabyte, a write 10
 * ("Setting timeouts for Blob service operations", learn.microsoft.com). 8.7 kB/s, and some to spare.
 */
export const BODY_BYTES_PER_SECOND_MIN = 12_000;

const BYTES_PER_MS_OF_A_MEGABIT = 125;

/** One running job's place at the throttle. */
export interface Share extends Pace {
  /** Changes the job's limit, at once, also for what waits; null = none. */
  limit(megabitsPerSecond: number | null): void;
  /** The job ended or was paused: its limit binds nobody any more, and cannot be set again. */
  leave(): void;
}

export class Throttle {
  readonly #clock: Clock;
  /** The limit of each running job that has one. */
  readonly #limits = new Map<object, number>();
  /** In the order in which they came. No more of them than there are streams. */
  readonly #waiting = new Set<Waiting>();
  #bytesPerMs = Infinity;
  #pieceBytes = Infinity;
  #paidUpToMs = 0;
  /** Ends the sleep for those who wait; null when nobody sleeps. */
  #sleep: AbortController | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What holds for all jobs together; null = no limit. */
  get megabitsPerSecond(): number | null {
    return this.#limits.size === 0 ? null : Math.min(...this.#limits.values());
  }

  /** How many bodies may be under way at once without the service giving up on one for its slowness. */
  get bodiesMax(): number {
    return Math.max(1, Math.floor((this.#bytesPerMs * 1_000) / BODY_BYTES_PER_SECOND_MIN));
  }

  /** A job begins to run, or goes on, with its limit in megabits per second or null. */
  join(megabitsPerSecond: number | null): Share {
    let left = false;
    const share: Share = {
      take: (wantedBytes, signal) => this.#take(wantedBytes, signal),
      limit: (changed) => {
        if (!left) this.#limit(share, changed);
      },
      leave: () => {
        left = true;
        this.#limit(share, null);
      },
    };
    this.#limit(share, megabitsPerSecond);
    return share;
  }

  #take(wantedBytes: number, signal: AbortSignal): number | Promise<number> {
    if (this.#bytesPerMs === Infinity) return wantedBytes;
    const nowMs = this.#clock.monotonic();
    // Who comes by may find the timer late; those who waited go first.
    if (this.#waiting.size > 0) this.#serve(nowMs);
    if (this.#waiting.size === 0 && this.#paidUpToMs <= nowMs) return this.#pay(wantedBytes, nowMs);
    return this.#wait(wantedBytes, signal, nowMs);
  }

  #wait(wantedBytes: number, signal: AbortSignal, nowMs: number): Promise<number> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const stop = () => {
        this.#waiting.delete(waiting);
        this.#rest(this.#clock.monotonic());
        reject(signal.reason);
      };
      const waiting: Waiting = {
        wantedBytes,
        go: (bytes) => {
          signal.removeEventListener("abort", stop);
          resolve(bytes);
        },
      };
      signal.addEventListener("abort", stop, { once: true });
      this.#waiting.add(waiting);
      this.#rest(nowMs);
    });
  }

  #pay(wantedBytes: number, nowMs: number): number {
    const bytes = Math.min(wantedBytes, this.#pieceBytes);
    this.#paidUpToMs = Math.max(this.#paidUpToMs, nowMs - CREDIT_MS) + bytes / this.#bytesPerMs;
    return bytes;
  }

  #serve(nowMs: number): void {
    for (const waiting of this.#waiting) {
      if (this.#paidUpToMs > nowMs) break;
      this.#waiting.delete(waiting);
      waiting.go(this.#pay(waiting.wantedBytes, nowMs));
    }
    this.#rest(nowMs);
  }

  /** One sleep for all who wait, and none for nobody. */
  #rest(nowMs: number): void {
    if (this.#waiting.size === 0) return this.#wake();
    if (this.#sleep !== null) return;
    const sleep = new AbortController();
    this.#sleep = sleep;
    // Whole milliseconds: a rest too small to be slept would be asked for again and again. The clock makes up for it.
    this.#clock.sleep(Math.max(1, Math.ceil(this.#paidUpToMs - nowMs)), sleep.signal).then(
      () => {
        if (this.#sleep !== sleep) return;
        this.#sleep = null;
        this.#serve(this.#clock.monotonic());
      },
      () => {},
    );
  }

  #wake(): void {
    this.#sleep?.abort();
    this.#sleep = null;
  }

  #limit(share: Share, megabitsPerSecond: number | null): void {
    if (megabitsPerSecond === null) this.#limits.delete(share);
    else if (megabitsPerSecond > 0) this.#limits.set(share, megabitsPerSecond);
    else throw new RangeError(`Cannot limit the bandwidth: ${megabitsPerSecond} Mbps is not above 0`);
    const bytesPerMs = (this.megabitsPerSecond ?? Infinity) * BYTES_PER_MS_OF_A_MEGABIT;
    if (bytesPerMs === this.#bytesPerMs) return;
    const nowMs = this.#clock.monotonic();
    // What is owed is bytes, so a faster line pays them off sooner; but a slower one does not ask for what was paid when
    // it was faster. What was not used before is not spent at the new rate.
    const owedMs = Math.max(0, this.#paidUpToMs - nowMs);
    this.#paidUpToMs = nowMs + owedMs * Math.min(1, this.#bytesPerMs / bytesPerMs);
    this.#bytesPerMs = bytesPerMs;
    this.#pieceBytes =
      bytesPerMs === Infinity
        ? Infinity
        : Math.floor(Math.min(PIECE_BYTES_MAX, Math.max(PIECE_BYTES_MIN, bytesPerMs * PIECE_MS)));
    this.#wake();
    this.#serve(nowMs);
  }
}

interface Waiting {
  readonly wantedBytes: number;
  readonly go: (bytes: number) => void;
}
