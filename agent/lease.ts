/**
 * Whether this agent may do what nobody could take back, should its place have been given to another meanwhile: remove source
 * files, and begin an epoch. `docs/spec.md`, P16.
 *
 * The hub grants it with the welcome, and again with each heartbeat it answers, so an idle agent says nothing more for it. It is
 * counted by the monotonic clock, and from before the hub was asked: the hub, which counts from when it was asked, never
 * thinks it over while it is live here. Before the first welcome there is none; after a restart neither.
 *
 * A machine that sleeps stops its monotonic clock (Linux, macOS), and the hub's goes on. So the lease is over as soon as the wall clock
 * has run ahead of the monotonic one, and what was asked before that grants nothing. A wall clock that was set forward looks the
 * same, and costs no more than the wait for the next heartbeat.
 */
import type { Clock } from "./platform.ts";

/** How far the wall clock may run ahead: a clock is corrected by little now and then. The hub waits ten seconds longer than we. */
export const AHEAD_MS_MAX = 5_000;

export interface LeaseWatcher {
  /** It is live, and was not. */
  granted(): void;
  /** Another has this agent's place: everything stops, until it is granted again. */
  fenced(): void;
}

export class Lease {
  readonly #clock: Clock;
  #endMs = Number.NEGATIVE_INFINITY;
  /** Wall clock less monotonic, the least since the last renewal; and when it was last found to have grown. */
  #offsetMs: number;
  #sleptMs = Number.NEGATIVE_INFINITY;
  #isFenced = false;
  #watcher: LeaseWatcher | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offsetMs = clock.now() - clock.monotonic();
  }

  get isLive(): boolean {
    this.#look();
    return this.#clock.monotonic() < this.#endMs;
  }

  /** The hub has said that this agent is not the one that works. */
  get isFenced(): boolean {
    return this.#isFenced;
  }

  watch(watcher: LeaseWatcher): void {
    this.#watcher = watcher;
  }

  /** The hub has answered what it was asked at `askedMs`, by the monotonic clock. Never makes it shorter. */
  renew(askedMs: number, forMs: number): void {
    const wasLive = this.isLive;
    if (askedMs < this.#sleptMs) return;
    this.#offsetMs = this.#clock.now() - this.#clock.monotonic();
    this.#endMs = Math.max(this.#endMs, askedMs + forMs);
    if (wasLive || !this.isLive) return;
    this.#isFenced = false;
    this.#watcher?.granted();
  }

  fence(): void {
    this.#endMs = Number.NEGATIVE_INFINITY;
    if (this.#isFenced) return;
    this.#isFenced = true;
    this.#watcher?.fenced();
  }

  #look(): void {
    const nowMs = this.#clock.monotonic();
    const offsetMs = this.#clock.now() - nowMs;
    if (offsetMs - this.#offsetMs > AHEAD_MS_MAX) {
      this.#endMs = Number.NEGATIVE_INFINITY;
      this.#sleptMs = nowMs;
      this.#offsetMs = offsetMs;
    }
    this.#offsetMs = Math.min(this.#offsetMs, offsetMs);
  }
}
