/**
 * The bodies of one run on their way out and in: how fast they move, how much is under way, when one moved last.
 *
 * Each call with a body has a {@link Passage}; the transport asks it before every piece. It passes the question on to the
 * bandwidth limit, which all jobs of the agent share, and counts what was let through.
 */
import type { Clock } from "../platform.ts";
import type { Pace } from "../transport.ts";

export const WINDOW_MS = 5_000;
const BUCKET_MS = 250;
const BUCKETS = WINDOW_MS / BUCKET_MS;

export class Line {
  readonly #clock: Clock;
  readonly #limit: Pace | null;
  /** Bytes that moved, by quarter seconds; the oldest is overwritten. */
  readonly #buckets = new Float64Array(BUCKETS);
  #bucket = 0;
  #sinceMs: number;
  /** Body bytes that left in calls that have not ended. */
  inFlightBytes = 0;

  constructor(clock: Clock, limit: Pace | null) {
    this.#clock = clock;
    this.#limit = limit;
    this.#sinceMs = clock.monotonic();
    this.#bucket = Math.floor(this.#sinceMs / BUCKET_MS);
  }

  passage(bodyBytes: number): Passage {
    return new Passage(this, bodyBytes);
  }

  reset(): void {
    this.#buckets.fill(0);
    this.#sinceMs = this.#clock.monotonic();
  }

  /** Over the last seconds; both directions. */
  bytesPerSecond(): number {
    const nowMs = this.#clock.monotonic();
    this.#turnTo(nowMs);
    let bytes = 0;
    for (const moved of this.#buckets) bytes += moved;
    const windowMs = Math.min(nowMs - this.#sinceMs, WINDOW_MS - BUCKET_MS + (nowMs % BUCKET_MS));
    return windowMs <= 0 ? 0 : (bytes * 1_000) / windowMs;
  }

  /** Lets the limit speak, then counts. */
  take(wantedBytes: number, signal: AbortSignal): number | Promise<number> {
    const granted = this.#limit === null ? wantedBytes : this.#limit.take(wantedBytes, signal);
    if (typeof granted === "number") return this.#count(granted);
    return granted.then((bytes) => this.#count(bytes));
  }

  /** When the last piece was let through. */
  movedMs = 0;

  #count(bytes: number): number {
    const nowMs = this.#clock.monotonic();
    this.movedMs = nowMs;
    this.#turnTo(nowMs);
    this.#buckets[this.#bucket % BUCKETS] = (this.#buckets[this.#bucket % BUCKETS] as number) + bytes;
    this.inFlightBytes += bytes;
    return bytes;
  }

  /** Empties the buckets of the time in which nothing moved. */
  #turnTo(nowMs: number): void {
    const bucket = Math.floor(nowMs / BUCKET_MS);
    if (bucket - this.#bucket >= BUCKETS) this.#buckets.fill(0);
    else while (this.#bucket < bucket) this.#buckets[++this.#bucket % BUCKETS] = 0;
    this.#bucket = bucket;
  }
}

/** One call's body. To be ended, however the call ends. */
export class Passage implements Pace {
  readonly #line: Line;
  readonly bodyBytes: number;
  /** When the last piece was let through, by the monotonic clock. */
  movedMs = 0;
  #takenBytes = 0;

  constructor(line: Line, bodyBytes: number) {
    this.#line = line;
    this.bodyBytes = bodyBytes;
  }

  take(wantedBytes: number, signal: AbortSignal): number | Promise<number> {
    const granted = this.#line.take(wantedBytes, signal);
    if (typeof granted === "number") return this.#note(granted);
    return granted.then((bytes) => this.#note(bytes));
  }

  lineBytesPerSecond(): number {
    return this.#line.bytesPerSecond();
  }

  /** The call ended, or begins anew: what moved in it is not under way any more. */
  end(): void {
    this.#line.inFlightBytes -= this.#takenBytes;
    this.#takenBytes = 0;
  }

  #note(bytes: number): number {
    this.#takenBytes += bytes;
    this.movedMs = this.#line.movedMs;
    return bytes;
  }
}
