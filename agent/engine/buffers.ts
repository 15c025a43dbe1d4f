/** A fixed number of equal buffers, made when first needed and used again and again. */
import type { Plan } from "./plan.ts";

export interface Buffer {
  readonly bytes: Uint8Array;
  release(): void;
}

export class BufferPool {
  readonly #bytesEach: number;
  readonly #countMax: number;
  readonly #free: Uint8Array[] = [];
  readonly #waiting: ((bytes: Uint8Array) => void)[] = [];
  /** How many were ever made: what the job's memory is. */
  made = 0;

  constructor(plan: Plan) {
    this.#bytesEach = plan.blockBytes;
    this.#countMax = plan.buffers;
  }

  /** Waits for a buffer, first come, first served. Hold one while you ask for another only if it will be sent meanwhile. */
  async acquire(): Promise<Buffer> {
    const bytes =
      this.#free.pop() ??
      this.#make() ??
      (await new Promise<Uint8Array>((resolve) => this.#waiting.push(resolve)));
    let held = true;
    return {
      bytes,
      release: () => {
        if (!held) return;
        held = false;
        this.#giveBack(bytes);
      },
    };
  }

  #make(): Uint8Array | null {
    if (this.made === this.#countMax) return null;
    this.made++;
    return new Uint8Array(this.#bytesEach);
  }

  #giveBack(bytes: Uint8Array): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(bytes);
    else next(bytes);
  }
}

/** Lets a number of them pass at a time, first come, first served. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async hold<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
