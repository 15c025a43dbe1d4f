/**
 * The one place that decides to try again.
 *
 * A connector does a thing once and says what to do about a failure; this loop does it. Three budgets, in time that was
 * spent trying and waiting (a laptop that slept through the night has not spent any):
 * - *Failures of the service or the line* are counted, per call: {@link ATTEMPTS_MAX}, with full jitter between them.
 *   While no call at all succeeds, the count does not matter: then it is not this file's trouble but the destination's,
 *   and after {@link OUTAGE_MS_MAX} the job fails. (A night-long outage fails the job, which can be run again and skips
 *   what is there; thousands of files failing one after the other cannot be told from real failures.)
 * - *Throttling* is normal and not counted, but for {@link THROTTLED_MS_MAX} per call. All streams wait at one gate, so
 *   that 32 of them do not each come back on their own.
 * - *A refused credential* is replaced {@link GRANTS_MAX} times, at once.
 *
 * An attempt that shows no end is given up after its stall limit: a minute and what a slow line needs for the body. Each
 * attempt that ran into the limit doubles it, so that a line slower than we assumed gets through in the end.
 */
import type { JobErrorCode } from "../../schema/errors.ts";
import { TransferError } from "../connectors/connector.ts";
import type { Clock, Platform, Random } from "../platform.ts";
import type { Control } from "./control.ts";

export const DELAY_MS_BASE = 1_000;
export const DELAY_MS_MAX = 64_000;
export const ATTEMPTS_MAX = 8;
/** Long enough for a router to start again, short enough that somebody who mistyped an address learns it. */
export const OUTAGE_MS_MAX = 120_000;
export const THROTTLED_MS_MAX = 3_600_000;
export const GRANTS_MAX = 2;
export const STALL_MS = 60_000;
/** The slowest line we wait for at first: half a megabit per second. */
export const SLOW_BYTES_PER_SECOND = 64 * 1024;

export interface RetryOptions {
  /** For the log; no path, no secret. */
  readonly action: string;
  /** Size of the body, for the stall limit. */
  readonly bodyBytes: number;
  readonly signal: AbortSignal;
}

/** What one call has used up. */
interface Spent {
  counted: number;
  stalls: number;
  grants: number;
  waitedMs: number;
  throttledMs: number;
  firstFailureMs: number | null;
}

export class Retry {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Platform["log"];
  readonly #control: Control;
  readonly #ready: (signal: AbortSignal) => Promise<void>;
  /** Nobody calls before this time: the gate of a throttled service. */
  #gateMs = 0;
  /** Throttled answers in a row. */
  #throttled = 0;
  #lastSuccessMs = -Infinity;

  /** `ready` is asked before each attempt, and may take its time. */
  constructor(platform: Platform, control: Control, ready: (signal: AbortSignal) => Promise<void>) {
    this.#ready = ready;
    this.#clock = platform.clock;
    this.#random = platform.random;
    this.#log = platform.log;
    this.#control = control;
  }

  /** Does `call` until it succeeds or there is no sense in going on. Throws {@link TransferError} or `Stopped`. */
  async call<Result>(call: (signal: AbortSignal) => Promise<Result>, options: RetryOptions): Promise<Result> {
    const spent: Spent = {
      counted: 0,
      stalls: 0,
      grants: 0,
      waitedMs: 0,
      throttledMs: 0,
      firstFailureMs: null,
    };
    for (;;) {
      spent.throttledMs += await this.#passGate(options.signal);
      const limitMs = (STALL_MS + (options.bodyBytes / SLOW_BYTES_PER_SECOND) * 1_000) * 2 ** spent.stalls;
      await this.#control.attempt(options.signal, this.#ready);
      const begunMs = this.#clock.monotonic();
      try {
        const result = await this.#once(call, limitMs, options.signal);
        this.#lastSuccessMs = this.#clock.monotonic();
        this.#throttled = 0;
        return result;
      } catch (error) {
        if (!(error instanceof TransferError)) throw error;
        if (error instanceof StallError) spent.stalls++;
        spent.waitedMs += Math.min(this.#clock.monotonic() - begunMs, limitMs);
        await this.#prepareNext(error, spent, options);
      }
    }
  }

  /** Returns when it is time for another attempt; throws `error`, or what it means, when there is to be none. */
  async #prepareNext(error: TransferError, spent: Spent, options: RetryOptions): Promise<void> {
    const logRetry = () =>
      this.#log("retry", {
        action: options.action,
        advice: error.retry.kind,
        counted: spent.counted,
        message: error.message,
      });
    switch (error.retry.kind) {
      case "never":
        throw error;
      case "new_grant":
        if (++spent.grants > GRANTS_MAX) throw error;
        logRetry();
        return;
      case "throttled":
        if (spent.throttledMs > THROTTLED_MS_MAX) throw error;
        this.#shutGate(error.retry.afterMs);
        logRetry();
        return;
      case "backoff": {
        spent.firstFailureMs ??= this.#clock.monotonic();
        spent.counted++;
        this.#giveUp(error, spent);
        logRetry();
        const delayMs = Math.max(this.#jitter(spent.counted), error.retry.afterMs ?? 0);
        spent.waitedMs += delayMs;
        await this.#sleep(delayMs, options.signal);
      }
    }
  }

  async #once<Result>(
    call: (signal: AbortSignal) => Promise<Result>,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<Result> {
    return await this.#control.attempt(signal, async (attemptSignal, abort) => {
      const ended = new AbortController();
      this.#clock.sleep(limitMs, ended.signal).then(
        () => abort(new StallError(limitMs)),
        () => {},
      );
      try {
        return await call(attemptSignal);
      } finally {
        ended.abort();
      }
    });
  }

  /** Throws when this failure was one too many. */
  #giveUp(error: TransferError, spent: Spent): void {
    const othersSucceed = spent.firstFailureMs !== null && this.#lastSuccessMs > spent.firstFailureMs;
    if (othersSucceed && spent.counted >= ATTEMPTS_MAX) throw error;
    if (!othersSucceed && spent.waitedMs >= OUTAGE_MS_MAX)
      throw error.problem.scope === "job" ? error : outage(error);
  }

  #shutGate(afterMs: number | null): void {
    this.#throttled++;
    const delayMs = Math.max(this.#jitter(this.#throttled), afterMs ?? 0);
    this.#gateMs = Math.max(this.#gateMs, this.#clock.monotonic() + delayMs);
  }

  /** Resolves with the time it was meant to wait. */
  async #passGate(signal: AbortSignal): Promise<number> {
    let waitedMs = 0;
    for (;;) {
      // Whole milliseconds: a rest too small to be slept would be asked for again and again.
      const leftMs = Math.ceil(this.#gateMs - this.#clock.monotonic());
      if (leftMs <= 0) return waitedMs;
      waitedMs += leftMs;
      await this.#sleep(leftMs, signal);
    }
  }

  /** Full jitter: streams that failed together must not come back together. */
  #jitter(count: number): number {
    return this.#random.next() * Math.min(DELAY_MS_MAX, DELAY_MS_BASE * 2 ** (count - 1));
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#control.attempt(signal, (attemptSignal) => this.#clock.sleep(ms, attemptSignal));
  }
}

class StallError extends TransferError {
  constructor(limitMs: number) {
    super(
      { scope: "file", code: "destination_unreachable" },
      `Cannot go on: no answer for ${Math.round(limitMs / 1_000)} seconds`,
      {
        retry: { kind: "backoff", afterMs: null },
      },
    );
  }
}

function outage(cause: TransferError): TransferError {
  const code: JobErrorCode = "DESTINATION_UNREACHABLE";
  return new TransferError({ scope: "job", code }, cause.message, { retry: { kind: "never" }, cause });
}
