/**
 * The one place that decides to try again.
 *
 * A connector does a thing once and says what to do about a failure; this loop does it. Budgets are in time that was spent
 * trying and waiting (a laptop that slept through the night has not spent any):
 * - *Failures of the service or the line* are counted, per call: {@link ATTEMPTS_MAX}, with full jitter between them.
 *   While no call at all succeeds, the count does not matter: then it is not this file's trouble but the destination's. A
 *   destination that was never reached is given up after {@link UNREACHED_MS_MAX}, so that somebody who mistyped an address
 *   learns it; one that was reached before has {@link OUTAGE_MS_MAX} to come back, because lines fail at night and nobody
 *   is there to start the job again. What the whole job needs, such as a listing, has {@link JOB_CALL_MS_MAX} even while
 *   other calls succeed: to give up a file is cheap, to give up a job is not.
 * - *Throttling* is normal and not counted. All streams of one storage account wait at one gate, so that 32 of them do not
 *   each come back on their own.
 * - *A refused credential* is replaced {@link GRANTS_MAX} times, at once.
 *
 * A call that moves no byte for {@link STALL_MS}, and what a slow line needs to let go of what the system took from us, is
 * ended and made again. Each time that happens to a call its limit doubles, so that a line slower than assumed gets through.
 */
import type { JobErrorCode } from "../../schema/errors.ts";
import { TransferError } from "../connectors/connector.ts";
import type { Clock, Platform, Random } from "../platform.ts";
import type { Control } from "./control.ts";
import type { AccountGate, Stay } from "./gate.ts";
import type { Passage } from "./line.ts";

export const DELAY_MS_BASE = 1_000;
export const DELAY_MS_MAX = 64_000;
export const ATTEMPTS_MAX = 8;
export const UNREACHED_MS_MAX = 120_000;
export const OUTAGE_MS_MAX = 24 * 3_600_000;
export const JOB_CALL_MS_MAX = 30 * 60_000;
export const GRANTS_MAX = 2;
export const STALL_MS = 60_000;
const WATCH_MS = 5_000;
/** What a system takes from us before the first byte has left, at the most. */
const SYSTEM_BUFFER_BYTES = 4 * 1024 * 1024;
/** The slowest line we wait for at first: half a megabit per second. */
export const SLOW_BYTES_PER_SECOND = 64 * 1024;

export interface RetryOptions {
  /** For the log; no path, no secret. */
  readonly action: string;
  /** Bodies that move in this call; its last movement keeps the call alive. */
  readonly passage: Passage | null;
  readonly signal: AbortSignal;
}

/** What one call has used up. */
interface Spent {
  counted: number;
  stalls: number;
  grants: number;
  waitedMs: number;
  firstFailureMs: number | null;
}

/** A call that is under way. */
interface Watched {
  readonly passage: Passage | null;
  sinceMs: number;
  readonly limitMs: number;
  abort: (reason: Error) => void;
}

export class Retry {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Platform["log"];
  readonly #control: Control;
  readonly #gate: AccountGate;
  readonly #ready: (signal: AbortSignal) => void | Promise<void>;
  readonly #watched = new Set<Watched>();
  #watching = false;
  #lastSuccessMs = -Infinity;
  #failingSinceMs: number | null = null;

  /** `ready` is asked before each attempt, and may take its time. */
  constructor(input: {
    readonly platform: Platform;
    readonly control: Control;
    readonly gate: AccountGate;
    readonly ready: (signal: AbortSignal) => void | Promise<void>;
  }) {
    this.#ready = input.ready;
    this.#gate = input.gate;
    this.#clock = input.platform.clock;
    this.#random = input.platform.random;
    this.#log = input.platform.log;
    this.#control = input.control;
  }

  /** Since when nothing gets through, by the monotonic clock; null while something does. */
  get failingSinceMs(): number | null {
    return this.#failingSinceMs;
  }

  /** Does `call` until it succeeds or there is no sense in going on. Throws {@link TransferError} or `Stopped`. */
  async call<Result>(call: (signal: AbortSignal) => Promise<Result>, options: RetryOptions): Promise<Result> {
    let spent: Spent | null = null;
    for (;;) {
      const entered = this.#enter(options.signal);
      const stay = entered instanceof Promise ? await entered : entered;
      const begunMs = this.#clock.monotonic();
      try {
        const result = await this.#once(call, options, spent?.stalls ?? 0);
        // When it began will do, and with small files a look at the clock shows.
        this.#lastSuccessMs = begunMs;
        this.#failingSinceMs = null;
        stay.leave("ok");
        return result;
      } catch (error) {
        leaveFailed(stay, error);
        if (!(error instanceof TransferError)) throw error;
        spent ??= { counted: 0, stalls: 0, grants: 0, waitedMs: 0, firstFailureMs: null };
        if (error instanceof StallError) spent.stalls++;
        spent.waitedMs += Math.min(this.#clock.monotonic() - begunMs, 2 * STALL_MS);
        await this.#prepareNext(error, spent, options);
      }
    }
  }

  /** Nothing to wait for is the rule. */
  #enter(signal: AbortSignal): Stay | Promise<Stay> {
    const ready = this.#ready(signal);
    if (ready === undefined) return this.#gate.enter(signal);
    return ready.then(() => this.#gate.enter(signal));
  }

  /** Returns when it is time for another attempt; throws `error`, or what it means, when there is to be none. */
  async #prepareNext(error: TransferError, spent: Spent, options: RetryOptions): Promise<void> {
    if (error.retry.kind === "never") throw error;
    if (error.retry.kind === "new_grant" && ++spent.grants > GRANTS_MAX) throw error;
    if (error.retry.kind === "backoff") {
      spent.firstFailureMs ??= this.#clock.monotonic();
      this.#failingSinceMs ??= spent.firstFailureMs;
      spent.counted++;
      this.#giveUp(error, spent);
    }
    this.#log("retry", {
      action: options.action,
      advice: error.retry.kind,
      counted: spent.counted,
      message: error.message,
    });
    if (error.retry.kind !== "backoff") return;
    const delayMs = Math.max(this.#jitter(spent.counted), error.retry.afterMs ?? 0);
    spent.waitedMs += delayMs;
    await this.#control.attempt(options.signal, (attemptSignal) => this.#clock.sleep(delayMs, attemptSignal));
  }

  // --- one attempt -------------------------------------------------------------------------------------------------

  async #once<Result>(
    call: (signal: AbortSignal) => Promise<Result>,
    { passage, signal }: RetryOptions,
    stalls: number,
  ): Promise<Result> {
    const watched: Watched = {
      passage,
      // It cannot be aborted before it has begun.
      sinceMs: 0,
      limitMs: this.#limitMs(passage) * 2 ** stalls,
      abort: () => {},
    };
    this.#watched.add(watched);
    if (!this.#watching) void this.#watch();
    try {
      return await this.#control.attempt(signal, (attemptSignal, abort) => {
        watched.abort = abort;
        watched.sinceMs = this.#clock.monotonic();
        return call(attemptSignal);
      });
    } finally {
      this.#watched.delete(watched);
    }
  }

  /** When the last piece was handed over, part of the body may still wait in the system for a slow line. */
  #limitMs(passage: Passage | null): number {
    // A second more or less is not worth a look at the line for each small file.
    if (passage === null || passage.bodyBytes <= SLOW_BYTES_PER_SECOND) return STALL_MS;
    const perSecond = Math.max(SLOW_BYTES_PER_SECOND, passage.lineBytesPerSecond());
    return STALL_MS + (Math.min(passage.bodyBytes, SYSTEM_BUFFER_BYTES) / perSecond) * 1_000;
  }

  /** One timer for all calls. */
  async #watch(): Promise<void> {
    this.#watching = true;
    try {
      while (this.#watched.size > 0) {
        await this.#clock.sleep(WATCH_MS, this.#control.stopped);
        if (this.#control.paused) continue;
        const nowMs = this.#clock.monotonic();
        for (const { passage, sinceMs, limitMs, abort } of this.#watched) {
          const movedMs = Math.max(sinceMs, passage?.movedMs ?? 0);
          if (nowMs - movedMs >= limitMs) abort(new StallError(nowMs - movedMs));
        }
      }
    } catch {
      // The run was stopped, and everything under way with it.
    } finally {
      this.#watching = false;
    }
  }

  /** Throws when this failure was one too many. */
  #giveUp(error: TransferError, spent: Spent): void {
    const othersSucceed = spent.firstFailureMs !== null && this.#lastSuccessMs > spent.firstFailureMs;
    const isOfJob = error.problem.scope === "job";
    if (othersSucceed && (isOfJob ? spent.waitedMs >= JOB_CALL_MS_MAX : spent.counted >= ATTEMPTS_MAX))
      throw error;
    const limitMs = this.#lastSuccessMs === -Infinity ? UNREACHED_MS_MAX : OUTAGE_MS_MAX;
    if (!othersSucceed && spent.waitedMs >= limitMs) throw isOfJob ? error : outage(error);
  }

  /** Full jitter: streams that failed together must not come back together. */
  #jitter(count: number): number {
    return this.#random.next() * Math.min(DELAY_MS_MAX, DELAY_MS_BASE * 2 ** (count - 1));
  }
}

function leaveFailed(stay: Stay, error: unknown): void {
  const retry = error instanceof TransferError ? error.retry : null;
  if (retry?.kind === "throttled") stay.leave("throttled", retry.afterMs);
  else stay.leave("failed");
}

class StallError extends TransferError {
  constructor(silentMs: number) {
    super(
      { scope: "file", code: "destination_unreachable" },
      `Cannot go on: nothing moved for ${Math.round(silentMs / 1_000)} seconds`,
      { retry: { kind: "backoff", afterMs: null } },
    );
  }
}

function outage(cause: TransferError): TransferError {
  const code: JobErrorCode = "DESTINATION_UNREACHABLE";
  return new TransferError({ scope: "job", code }, cause.message, { retry: { kind: "never" }, cause });
}
