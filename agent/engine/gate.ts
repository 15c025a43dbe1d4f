/**
 * How many requests a storage account gets at once, and none while it asks for quiet.
 *
 * A service throttles an account, not a job: so all jobs of the agent that use an account pass one gate. A throttled
 * answer shuts it for as long as the service asks, or for a full-jitter delay that doubles with each throttled round, if
 * that is longer; and it halves how many requests may be inside. Successes raise the number by one for each time all that
 * may be inside have succeeded, at most once a second, up to the streams of all the jobs: additive increase,
 * multiplicative decrease, as TCP finds its share of a line.
 *
 * One round trip counts once: requests that were under way when the gate shut did not know better. What they answer may
 * keep it shut for longer, but neither halves again nor doubles the delay, nor counts as recovery. As TCP does (RFC 5681,
 * section 3.1), what is halved is what was really under way: half of a number nobody had reached would change nothing.
 */
import type { Clock, Random } from "../platform.ts";

export const DELAY_MS_BASE = 1_000;
export const DELAY_MS_MAX = 64_000;
/** No word of a service shuts the gate for longer than one call may be throttled in all. */
export const SHUT_MS_MAX = 3_600_000;
/**
 * Apart at least, two raises: with small files the rounds are short, and the next throttling would come at once. (At a
 * service with room for 10 requests of 100 ms, 69 % of it are used instead of 47 %, with a third of the refusals.)
 */
export const RAISE_MS_MIN = 1_000;

export type StayResult = "ok" | "throttled" | "failed";

/** One request's stay inside. */
export interface Stay {
  /** Must be called once the request has ended, however it did; a second call does nothing. */
  leave(result: StayResult, retryAfterMs?: number | null): void;
}

export interface GateState {
  /** In wall time, for display; null when the gate is open. */
  readonly throttledUntilMs: number | null;
  /** How many requests may be inside at once. */
  readonly limit: number;
}

export class AccountGate {
  readonly #clock: Clock;
  readonly #random: Random;
  /** In the order in which they came. No more of them than the jobs have streams. */
  readonly #waiting = new Set<(stay: Stay) => void>();
  #ceiling = 0;
  #limit = 0;
  /** The service narrowed it, and it has not recovered up to the ceiling since. */
  #narrowed = false;
  #inside = 0;
  #succeeded = 0;
  #raisedMs = -Infinity;
  /** Begins anew each time the number was halved. */
  #round = 0;
  /** Rounds in a row that were throttled. */
  #throttledRounds = 0;
  #shutUntilMs = -Infinity;
  /** Ends the sleep for those who wait; null when nobody sleeps. */
  #sleep: AbortController | null = null;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  get state(): GateState {
    const leftMs = this.#leftMs();
    return {
      throttledUntilMs: leftMs === 0 ? null : Math.round(this.#clock.now() + leftMs),
      limit: this.#limit,
    };
  }

  get shut(): boolean {
    return this.#leftMs() > 0;
  }

  /** What all streams of all jobs could have inside. A gate that nothing has narrowed widens with it at once. */
  setCeiling(streams: number): void {
    this.#ceiling = Math.max(1, streams);
    this.#limit = this.#narrowed ? Math.min(this.#limit, this.#ceiling) : this.#ceiling;
    this.#admit();
  }

  /** Waits for a place inside; at once when there is one. Rejects with the signal's reason. */
  enter(signal: AbortSignal): Stay | Promise<Stay> {
    if (this.#waiting.size === 0 && this.#inside < this.#limit && !this.shut) return this.#pass();
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const admit = (stay: Stay) => {
        signal.removeEventListener("abort", stop);
        resolve(stay);
      };
      const stop = () => {
        this.#waiting.delete(admit);
        this.#admit();
        reject(signal.reason);
      };
      signal.addEventListener("abort", stop, { once: true });
      this.#waiting.add(admit);
      this.#admit();
    });
  }

  #pass(): Stay {
    this.#inside++;
    const round = this.#round;
    let left = false;
    return {
      leave: (result, retryAfterMs = null) => {
        if (left) return;
        left = true;
        this.#leave(result, retryAfterMs, round === this.#round);
        this.#inside--;
        this.#admit();
      },
    };
  }

  #leave(result: StayResult, retryAfterMs: number | null, thisRound: boolean): void {
    switch (result) {
      case "ok":
        if (thisRound) this.#recover();
        return;
      case "throttled":
        if (thisRound) this.#narrow();
        if (retryAfterMs !== null) this.#shutFor(retryAfterMs);
        return;
      case "failed":
        return;
    }
  }

  #recover(): void {
    this.#throttledRounds = 0;
    if (!this.#narrowed || ++this.#succeeded < this.#limit) return;
    const nowMs = this.#clock.monotonic();
    if (nowMs - Math.max(this.#raisedMs, this.#shutUntilMs) < RAISE_MS_MIN) return;
    this.#raisedMs = nowMs;
    this.#succeeded = 0;
    this.#limit = Math.min(this.#ceiling, this.#limit + 1);
    this.#narrowed = this.#limit < this.#ceiling;
  }

  #narrow(): void {
    this.#round++;
    this.#narrowed = true;
    this.#succeeded = 0;
    this.#limit = Math.max(1, Math.floor(Math.min(this.#limit, this.#inside) / 2));
    const delayMsMax = Math.min(DELAY_MS_MAX, DELAY_MS_BASE * 2 ** this.#throttledRounds++);
    this.#shutFor(this.#random.next() * delayMsMax);
  }

  #shutFor(ms: number): void {
    const untilMs = this.#clock.monotonic() + Math.min(ms, SHUT_MS_MAX);
    if (untilMs > this.#shutUntilMs) this.#shutUntilMs = untilMs;
  }

  #leftMs(): number {
    // Whole milliseconds: a rest too small to be slept would be asked for again and again.
    return Math.max(0, Math.ceil(this.#shutUntilMs - this.#clock.monotonic()));
  }

  /** Lets in who may come in, and sleeps for the others when only time lets them in. */
  #admit(): void {
    const leftMs = this.#leftMs();
    if (leftMs === 0) {
      for (const admit of this.#waiting) {
        if (this.#inside >= this.#limit) break;
        this.#waiting.delete(admit);
        admit(this.#pass());
      }
    }
    if (this.#waiting.size === 0 || leftMs === 0) {
      this.#sleep?.abort();
      this.#sleep = null;
      return;
    }
    if (this.#sleep !== null) return;
    const sleep = new AbortController();
    this.#sleep = sleep;
    this.#clock.sleep(leftMs, sleep.signal).then(
      () => {
        if (this.#sleep !== sleep) return;
        this.#sleep = null;
        this.#admit();
      },
      () => {},
    );
  }
}

/** A job's hold on a gate. */
export interface Membership {
  readonly gate: AccountGate;
  /** The job needs it no more. */
  leave(): void;
}

/** The gates of one agent, by account. */
export class AccountGates {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #gates = new Map<string, { readonly gate: AccountGate; readonly members: Map<object, number> }>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** How many accounts are remembered. */
  get size(): number {
    return this.#gates.size;
  }

  /** A job that will have as many `streams` inside begins to use the account. */
  join(account: string, streams: number): Membership {
    this.#forget();
    const entry = this.#gates.get(account) ?? {
      gate: new AccountGate(this.#clock, this.#random),
      members: new Map<object, number>(),
    };
    this.#gates.set(account, entry);
    const { gate, members } = entry;
    const settle = () => {
      if (members.size > 0)
        gate.setCeiling([...members.values()].reduce((sum, streamsOfOne) => sum + streamsOfOne, 0));
    };
    const membership: Membership = {
      gate,
      leave: () => {
        members.delete(membership);
        settle();
        this.#forget();
      },
    };
    members.set(membership, streams);
    settle();
    return membership;
  }

  /** Drops the gates nobody uses, but for those still shut: the next job must not come too early either. */
  #forget(): void {
    for (const [account, { gate, members }] of this.#gates) {
      if (members.size === 0 && !gate.shut) this.#gates.delete(account);
    }
  }
}
