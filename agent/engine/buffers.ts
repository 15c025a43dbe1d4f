/** A fixed number of equal buffers, used again and again: what a job may hold in memory. */

export interface Buffer {
  readonly bytes: Uint8Array;
  /** Twice is once. */
  release(): void;
}

export class BufferPool {
  readonly #free: Uint8Array[];
  readonly #waiting: ((bytes: Uint8Array) => void)[] = [];

  constructor(buffers: readonly Uint8Array[]) {
    // The first ones first: those that were never used take no memory.
    this.#free = buffers.toReversed();
  }

  /** Waits for a buffer, first come, first served. Hold one while you ask for another only if it will be sent meanwhile. */
  acquire(): Buffer | Promise<Buffer> {
    const bytes = this.#free.pop();
    if (bytes !== undefined) return this.#lend(bytes);
    return new Promise<Uint8Array>((resolve) => this.#waiting.push(resolve)).then((given) =>
      this.#lend(given),
    );
  }

  #lend(bytes: Uint8Array): Buffer {
    let held = true;
    return {
      bytes,
      release: () => {
        if (!held) return;
        held = false;
        const next = this.#waiting.shift();
        if (next === undefined) this.#free.push(bytes);
        else next(bytes);
      },
    };
  }
}

/** Lets a number of them pass at a time, first come, first served. */
export class Slots {
  readonly #countMax: () => number;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  /** `countMax` may change: who is inside stays, who waits is let in as places become free. */
  constructor(countMax: () => number) {
    this.#countMax = countMax;
  }

  async hold<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#taken < this.#countMax()) this.#taken++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      this.#taken--;
      while (this.#waiting.length > 0 && this.#taken < this.#countMax()) {
        this.#taken++;
        this.#waiting.shift()?.();
      }
    }
  }
}
