/**
 * Time and chance of a simulation. Nothing in it takes real time; while it goes on, whatever asks the process for the time
 * or for random bytes gets the simulation's, so that one seed always makes one and the same story.
 */
import { setImmediate } from "node:timers";
import type { Clock, Random } from "../../agent/platform.ts";
import { seededRandom } from "../../agent/virtual.ts";

export const START_MS = Date.parse("2026-11-22T10:00:00.000Z");

interface Sleeper {
  readonly dueMs: number;
  readonly order: number;
  readonly wake: () => void;
}

export class SimulatedClock implements Clock {
  readonly #sleepers = new Set<Sleeper>();
  #nowMs = START_MS;
  #order = 0;
  /** Turns of the loop so far: how much work a story was. */
  turns = 0;

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs - START_MS;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const cancel = this.after(ms, () => {
        signal.removeEventListener("abort", stop);
        resolve();
      });
      const stop = () => {
        cancel();
        reject(signal.reason);
      };
      signal.addEventListener("abort", stop, { once: true });
    });
  }

  /** Calls back in a turn of its own. Returns what takes it back. */
  after(ms: number, act: () => void): () => void {
    const sleeper: Sleeper = {
      dueMs: this.#nowMs + Math.max(0, ms),
      order: this.#order++,
      wake: () => {
        this.#sleepers.delete(sleeper);
        act();
      },
    };
    this.#sleepers.add(sleeper);
    return () => void this.#sleepers.delete(sleeper);
  }

  async pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.after(ms, resolve));
  }

  /** Wakes one after the other, until the time or until `isOver`; each does all it can before the next one. */
  async advance(ms: number, isOver: () => boolean = () => false): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    while (!isOver()) {
      let next: Sleeper | null = null;
      for (const sleeper of this.#sleepers) if (next === null || isBefore(sleeper, next)) next = sleeper;
      if (next === null || next.dueMs > untilMs) {
        this.#nowMs = untilMs;
        return;
      }
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.wake();
      this.turns++;
      await settle();
    }
  }
}

function isBefore(a: Sleeper, b: Sleeper): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

/** Lets everything run that waits for no time. */
async function settle(): Promise<void> {
  await new Promise<void>((resolve) => void setImmediate(resolve));
}

/** Chance from a seed, with the draws a story needs. */
export class Chance implements Random {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  next(): number {
    return this.#random.next();
  }
  bytes(count: number): Uint8Array {
    return this.#random.bytes(count);
  }
  /** Whether something happens that happens so often. */
  of(share: number): boolean {
    return this.next() < share;
  }
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }
  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.between(0, items.length - 1)];
    if (item === undefined) throw new Error("Cannot pick: there is nothing");
    return item;
  }
  /** Another source, which does not depend on how often this one is asked from now on. */
  branch(): Chance {
    return new Chance(Math.floor(this.next() * 2 ** 32));
  }
}

/** Puts the simulation's time and chance in place of the process's. Returns what puts them back. */
export function takeOver(clock: Clock, random: Random): () => void {
  const { now } = Date;
  const { getRandomValues } = crypto;
  Date.now = () => clock.now();
  crypto.getRandomValues = <Bytes extends ArrayBufferView>(into: Bytes): Bytes => {
    const { buffer, byteOffset, byteLength } = into;
    new Uint8Array(buffer, byteOffset, byteLength).set(random.bytes(byteLength));
    return into;
  };
  return () => {
    Date.now = now;
    crypto.getRandomValues = getRandomValues;
  };
}
