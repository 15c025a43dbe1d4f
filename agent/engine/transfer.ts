/** Hands the journal's entries to the uploader, many at a time, in path order, and lets the verifier follow. */
import type { Held } from "../connectors/connector.ts";
import type { Control } from "./control.ts";
import type { Inventory } from "./existing.ts";
import type { Journal } from "./journal.ts";
import type { Page } from "./page.ts";
import type { Plan } from "./plan.ts";
import type { Uploader, Work } from "./upload.ts";
import type { UploadFrontier, Verifier } from "./verify.ts";

export interface TransferInput {
  readonly journal: Journal;
  readonly control: Control;
  readonly plan: Plan;
  readonly inventory: Inventory;
  readonly uploader: Uploader;
  /** Null when the job does not ask for proof. */
  readonly verifier: Verifier | null;
  /** Called with each entry that is begun. */
  readonly onBegin: (path: string) => void;
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
  readonly #feed: Feed;
  readonly #ended = new AbortController();

  constructor(input: TransferInput) {
    this.#input = input;
    this.#feed = new Feed(input);
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }
  get pagesBefore(): number {
    return this.#feed.pagesBefore;
  }

  async run(): Promise<void> {
    const { journal, control, plan } = this.#input;
    await Promise.all(Array.from({ length: plan.streams }, () => this.#lane()));
    control.stopped.throwIfAborted();
    await journal.flush();
    this.#ended.abort();
  }

  async #lane(): Promise<void> {
    const { journal, control } = this.#input;
    try {
      for (;;) {
        const taken = this.#feed.take();
        const work = taken instanceof Promise ? await taken : taken;
        if (work === null) return;
        const room = journal.room();
        if (room !== undefined) await room;
        control.stopped.throwIfAborted();
        await this.#move(work);
      }
    } catch (error) {
      control.fail(error);
    }
  }

  async #move(work: Work): Promise<void> {
    const { journal, plan, uploader, verifier } = this.#input;
    const { page, index } = work;
    const isSmall = page.sizeBytes(index) <= plan.wholeBytesMax;
    this.#input.onBegin(page.path(index));
    const { outcome, sentBytes } = await uploader.move(work);
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
    const { journal, inventory, plan } = this.#input;
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
    const now = await inventory.heldIn(page);
    if (page.held === null) await journal.claim(page, now);
    return { page, now };
  }
}
