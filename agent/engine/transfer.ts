/** Hands the journal's entries to the uploader, many at a time, in path order, and lets the verifier follow. */
import type { Destination, Held, Source } from "../connectors/connector.ts";
import type { Digests } from "../digests.ts";
import type { Clock } from "../platform.ts";
import type { BufferPool } from "./buffers.ts";
import type { Control } from "./control.ts";
import type { Inventory } from "./existing.ts";
import type { Journal } from "./journal.ts";
import type { Page } from "./page.ts";
import type { Plan } from "./plan.ts";
import { type Prepared, ReadAhead } from "./read-ahead.ts";
import type { Uploader, Work } from "./upload.ts";
import type { UploadFrontier, Verifier } from "./verify.ts";

/** Files that another program has locked are tried again at the end, so often and after so long. */
export const LOCKED_ROUNDS = 2;
export const LOCKED_DELAY_MS = 30_000;

export interface TransferInput {
  readonly journal: Journal;
  readonly control: Control;
  readonly clock: Clock;
  readonly plan: Plan;
  readonly source: Source;
  readonly destination: Destination;
  readonly digests: Digests;
  readonly buffers: BufferPool;
  /** What the destination holds, from its beginning. */
  readonly takeInventory: () => Inventory;
  readonly uploader: Uploader;
  /** Null when the job does not ask for proof. */
  readonly verifier: Verifier | null;
  /** Called with each entry that is begun. */
  readonly onBegin: (path: string) => void;
  /** Called when files that are locked are all that is left, with the time of the next try; with null at that time. */
  readonly onLocked: (untilMs: number | null) => void;
}

/** Returns when every entry has ended. Throws `Stopped`, with the error of a failed run as its cause. */
export async function transfer(input: TransferInput): Promise<void> {
  const uploads = new Uploads(input);
  const parts = [uploads.run()];
  if (input.verifier !== null) parts.push(input.verifier.follow(uploads));
  // Whoever fails stops the others, and nobody is left going on behind our back.
  await Promise.all(parts.map((part) => part.catch((error: unknown) => input.control.fail(error))));
  input.control.stopped.throwIfAborted();
}

class Uploads implements UploadFrontier {
  readonly #input: TransferInput;
  readonly #ended = new AbortController();
  #feed: Feed;
  #ahead: ReadAhead;
  #round = 0;
  /** Entries of this round that were locked. */
  #locked = 0;

  constructor(input: TransferInput) {
    this.#input = input;
    this.#feed = new Feed(input);
    this.#ahead = this.#readAhead();
  }

  #readAhead(): ReadAhead {
    const { uploader } = this.#input;
    return new ReadAhead({
      ...this.#input,
      decide: (work) => uploader.decide(work),
      take: () => this.#feed.take(),
    });
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }
  get pagesBefore(): number {
    // What was locked in the first round is asked about by itself.
    return this.#round === 0 ? this.#feed.pagesBefore : Infinity;
  }

  async run(): Promise<void> {
    const { journal, control, plan } = this.#input;
    for (;;) {
      await Promise.all(Array.from({ length: plan.streams }, () => this.#lane()));
      control.stopped.throwIfAborted();
      if (this.#locked === 0) break;
      await this.#waitForLocked();
      this.#round++;
      this.#locked = 0;
      this.#feed = new Feed(this.#input);
      this.#ahead = this.#readAhead();
    }
    await journal.flush();
    this.#ended.abort();
  }

  async #waitForLocked(): Promise<void> {
    const { control, clock, onLocked } = this.#input;
    onLocked(clock.now() + LOCKED_DELAY_MS);
    await control.attempt(control.stopped, (signal) => clock.sleep(LOCKED_DELAY_MS, signal));
    onLocked(null);
  }

  async #lane(): Promise<void> {
    const { journal, control } = this.#input;
    try {
      for (;;) {
        const taken = this.#ahead.take();
        const prepared = taken instanceof Promise ? await taken : taken;
        if (prepared === null) return;
        const room = journal.room();
        if (room !== undefined) await room;
        control.stopped.throwIfAborted();
        await this.#move(prepared);
      }
    } catch (error) {
      control.fail(error);
    }
  }

  async #move({ work, ready }: Prepared): Promise<void> {
    const { journal, plan, uploader, verifier } = this.#input;
    const { page, index } = work;
    const isSmall = page.sizeBytes(index) <= plan.wholeBytesMax;
    this.#input.onBegin(page.path(index));
    const { outcome, sentBytes } = await uploader.move(work, ready);
    ready?.release();
    if (outcome.state === "failed" && outcome.code === "source_locked" && this.#round < LOCKED_ROUNDS) {
      this.#locked++;
      return this.#feed.leave(page, isSmall ? "small" : "large");
    }
    // The stream does not wait for the disk; that it is durable matters to the totals only.
    journal.settle(page, index, outcome, sentBytes);
    if (isSmall) return this.#feed.leave(page, "small");
    if (outcome.state === "uploaded") await verifier?.prove(page, index);
    this.#feed.leave(page, "large");
  }
}

interface Fed {
  readonly page: Page;
  readonly now: readonly (Held | null)[];
}

/** The entries that are left, in path order. */
class Feed {
  readonly #input: TransferInput;
  readonly #inventory: Inventory;
  #current: (Fed & { next: number }) | null = null;
  /** The page behind the current one: made ready while that is moved, so that no stream waits for the disk. */
  #ahead: Promise<Fed | null>;
  #isTurning: Promise<void> | null = null;
  #ended = false;
  #pagesFrom = 0;
  /** Entries that were handed out, or wait for it, by page. */
  readonly #left = new Map<number, { small: number; large: number }>();

  constructor(input: TransferInput) {
    this.#input = input;
    this.#inventory = input.takeInventory();
    this.#ahead = this.#load();
    this.#ahead.catch(() => {});
  }

  /** The next one; null when there is none. */
  take(): Work | null | Promise<Work | null> {
    const current = this.#current;
    if (current !== null) {
      const { page, now } = current;
      while (current.next < page.length) {
        const index = current.next++;
        if (page.outcome(index) !== null) continue;
        return { page, index, before: page.held?.[index] ?? null, now: now[index] ?? null };
      }
    }
    return this.#ended ? null : this.#turn();
  }

  /** An entry has ended. The last one of a page lets the page go. */
  leave(page: Page, kind: "small" | "large"): void {
    const left = this.#left.get(page.number);
    if (left === undefined) return;
    left[kind]--;
    if (left.small + left.large > 0) return;
    this.#left.delete(page.number);
    this.#input.journal.release(page);
  }

  /** All small entries of the pages before this one have ended. */
  get pagesBefore(): number {
    if (this.#ended && this.#left.size === 0) return Infinity;
    let before = this.#pagesFrom;
    for (const [number, { small }] of this.#left) if (small > 0) before = Math.min(before, number);
    return before;
  }

  async #turn(): Promise<Work | null> {
    this.#isTurning ??= this.#turnPage().finally(() => (this.#isTurning = null));
    await this.#isTurning;
    return await this.take();
  }

  async #turnPage(): Promise<void> {
    const fed = await this.#ahead;
    if (fed === null) {
      this.#ended = true;
      return;
    }
    this.#current = { ...fed, next: 0 };
    this.#ahead = this.#load();
    this.#ahead.catch(() => {});
  }

  /** Durably claimed before it is handed out. */
  async #load(): Promise<Fed | null> {
    const { journal, plan } = this.#input;
    const number = journal.nextPage(this.#pagesFrom, "pending");
    if (number === null) return null;
    const page = journal.open(number);
    const left = { small: 0, large: 0 };
    for (let index = 0; index < page.length; index++) {
      if (page.outcome(index) === null)
        left[page.sizeBytes(index) <= plan.wholeBytesMax ? "small" : "large"]++;
    }
    this.#left.set(number, left);
    this.#pagesFrom = number + 1;
    const now = await this.#inventory.heldIn(page);
    if (page.held === null) await journal.claim(page, now);
    return { page, now };
  }
}
