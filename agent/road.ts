/**
 * Which way to the hub is tried next: a WebSocket, and the long poll where none passes. A proxy may refuse the upgrade, or let
 * it pass and nothing after it; it may also be changed some day, so the WebSocket is tried again now and then.
 */
import type { AgentConnection } from "../schema/protocol.ts";
import type { Clock, Random } from "./platform.ts";

/** How often a WebSocket is tried while the long poll is in use, give or take a fifth. */
export const SOCKET_RETRY_MS = 30 * 60_000;
/** Sockets on which nothing came, one after the other, before the long poll is tried. */
export const SILENT_SOCKETS_MAX = 2;

/** How a try ended, as far as the way matters. */
export interface TryEnd {
  /** The hub welcomed us, and what we sent it was answered. */
  readonly wasGood: boolean;
  /** What the hub itself has said, or this machine's disk is to blame for: another way would end the same. */
  readonly isNoWays: boolean;
  /** Somebody answered the upgrade with something else. */
  readonly wasRefused: boolean;
}

export class Road {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #retryMs: number;
  #silent = 0;
  #retryDueMs = Number.POSITIVE_INFINITY;
  /** A WebSocket that is tried although the long poll serves. */
  #isTrial = false;
  now: AgentConnection = "websocket";

  constructor(clock: Clock, random: Random, retryMs: number) {
    this.#clock = clock;
    this.#random = random;
    this.#retryMs = retryMs;
  }

  /** For how long this way is good; then {@link Road.turn}. */
  goodForMs(): number {
    if (this.now === "websocket") return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#retryDueMs - this.#clock.monotonic());
  }

  /** Time to look whether a WebSocket passes by now. */
  turn(): void {
    this.now = "websocket";
    this.#isTrial = true;
  }

  /** Chooses the next way; `true` = it may be tried at once. */
  ended(end: TryEnd): boolean {
    if (end.isNoWays) return false;
    if (this.now === "long_poll") {
      if (!end.wasGood) this.now = "websocket";
      return false;
    }
    const wasTrial = this.#isTrial;
    this.#isTrial = false;
    this.#silent = end.wasGood ? 0 : this.#silent + 1;
    if (end.wasGood) return false;
    if (!end.wasRefused && !wasTrial && this.#silent < SILENT_SOCKETS_MAX) return false;
    this.now = "long_poll";
    // ± 20 %, so that a site's agents do not try in step.
    this.#retryDueMs = this.#clock.monotonic() + this.#retryMs * (0.8 + 0.4 * this.#random.next());
    return true;
  }
}
