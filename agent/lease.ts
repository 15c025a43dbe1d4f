/**
 * Whether this agent may do what nobody could take back, should its place have been given to another meanwhile: remove source
 * files, and begin an epoch. `docs/spec.md`, P16.
 *
 * The hub grants it with the welcome, and again with each heartbeat it answers, so an idle agent says nothing more for it. It is
 * counted by the monotonic clock, and from before the hub was asked: the hub, which counts from when it was asked, never
 * thinks it over while it is live here. Before the first welcome there is none; after a restart neither.
 */
import type { Clock } from "./platform.ts";

export interface LeaseWatcher {
  /** It is live, and was not. */
  granted(): void;
  /** Another has this agent's place: everything stops, until it is granted again. */
  fenced(): void;
}

export class Lease {
  readonly #clock: Clock;
  #endMs = Number.NEGATIVE_INFINITY;
  #isFenced = false;
  #watcher: LeaseWatcher | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isLive(): boolean {
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
}
