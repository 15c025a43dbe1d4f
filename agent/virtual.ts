/**
 * A world for tests: a clock that is moved by hand, chance from a seed, sockets whose other end the test holds. The
 * simulator runs the session with it; nothing here is part of the program.
 */
import { AccountGates } from "./engine/gate.ts";
import { MemoryBudget } from "./engine/memory-budget.ts";
import type { SharedLimits } from "./engine/run.ts";
import { Throttle } from "./engine/throttle.ts";
import type { Clock, LogFields, Platform, Random, Socket } from "./platform.ts";

/** Time stands still but for `advance`. */
export class VirtualClock implements Clock {
  #now = Date.parse("2026-11-22T10:00:00.000Z");
  readonly #startMs = this.#now;
  #aheadMs = 0;
  readonly #sleepers = new Set<{ dueMs: number; wake: () => void }>();

  now(): number {
    return this.#now + this.#aheadMs;
  }

  /** The wall clock alone is set forward or back, or has gone on while the machine slept. */
  jump(ms: number): void {
    this.#aheadMs += ms;
  }

  monotonic(): number {
    return this.#now - this.#startMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const sleeper = {
        dueMs: this.#now + ms,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal.removeEventListener("abort", stop);
          resolve();
        },
      };
      const stop = () => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason);
      };
      signal.addEventListener("abort", stop, { once: true });
      this.#sleepers.add(sleeper);
    });
  }

  /** Lets time pass; whoever wakes does all it can before the next one does. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#now + ms;
    await settle();
    for (;;) {
      let next: { dueMs: number; wake: () => void } | null = null;
      for (const sleeper of this.#sleepers) {
        if (sleeper.dueMs <= untilMs && (next === null || sleeper.dueMs < next.dueMs)) next = sleeper;
      }
      if (next === null) break;
      this.#now = Math.max(this.#now, next.dueMs);
      next.wake();
      await settle();
    }
    this.#now = untilMs;
  }
}

/** Lets everything run that waits for no time and no outside event. */
export async function settle(): Promise<void> {
  await new Promise<void>((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });
}

/** The same seed draws the same numbers (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)) };
}

/** The agent's end of a socket; the other end is `sent`, `deliver` and `drop`. */
export class ScriptedSocket implements Socket {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly sent: string[] = [];
  bufferedBytes = 0;
  /** How the agent closed it, if it did. */
  closed: { code: number; reason: string } | null = null;
  /** Called with whatever the agent sends. */
  onSent: (text: string) => void = () => undefined;
  readonly #inbox: Awaited<ReturnType<Socket["receive"]>>[] = [];
  #wake: (() => void) | null = null;

  constructor(url: string, headers: Readonly<Record<string, string>>) {
    this.url = url;
    this.headers = headers;
  }

  send(text: string): void {
    if (this.closed !== null) return;
    this.sent.push(text);
    this.onSent(text);
  }

  close(code: number, reason: string): void {
    this.closed ??= { code, reason };
    this.#put({ kind: "closed", code, reason });
  }

  deliver(text: string): void {
    this.#put({ kind: "text", text });
  }

  drop(code: number, reason = ""): void {
    this.#put({ kind: "closed", code, reason });
  }

  async receive(signal: AbortSignal): ReturnType<Socket["receive"]> {
    for (;;) {
      signal.throwIfAborted();
      const next = this.#inbox.shift();
      if (next !== undefined) return next;
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve;
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    }
  }

  #put(received: Awaited<ReturnType<Socket["receive"]>>): void {
    this.#inbox.push(received);
    this.#wake?.();
  }
}

export interface Logged {
  readonly event: string;
  readonly fields: LogFields;
}

/** The limits of an agent that has none. */
export function virtualShared(clock: Clock = new VirtualClock()): SharedLimits {
  return {
    throttle: new Throttle(clock),
    gates: new AccountGates(clock, seededRandom(1)),
    memory: new MemoryBudget(4),
  };
}

/** A platform with nothing but what is handed in; a call of the rest is a mistake of the test. */
export function virtualPlatform(
  given: Partial<Platform> & { clock: Clock },
): Platform & { readonly logged: Logged[] } {
  const logged: Logged[] = [];
  const missing = (what: string) => () => {
    throw new Error(`This test has no ${what}`);
  };
  return {
    random: seededRandom(1),
    disk: {
      separator: "/",
      readFolder: missing("disk"),
      stat: missing("disk"),
      open: missing("disk"),
      openNow: missing("disk"),
      lookAhead: () => null,
      realPath: missing("disk"),
      create: missing("disk"),
    },
    changes: {
      makePrivateFolder: missing("disk to change"),
      rename: missing("disk to change"),
      link: missing("disk to change"),
      removeFile: missing("disk to change"),
      removeFolder: missing("disk to change"),
      append: missing("disk to change"),
      syncFolder: missing("disk to change"),
    },
    hash: missing("hash"),
    checksum: missing("checksum"),
    prepareDigests: () => {},
    digests: missing("digests"),
    transport: { send: missing("network"), close: () => undefined },
    fetch: missing("network"),
    connect: missing("network"),
    openDatabase: missing("database"),
    removeDatabase: missing("database"),
    log: (event, fields) => logged.push({ event, fields }),
    ...given,
    logged,
  };
}
