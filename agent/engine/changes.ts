/**
 * What a further pass of a job that repeats itself finds changed.
 *
 * Source and destination are walked through side by side, and what is the same on both is not even noted: a pass that finds
 * nothing changed costs the two listings and no more. Sameness is size and time, as the metadata we wrote has them.
 *
 * What the destination holds of ours and the source has no more is *vanished*. It is told apart from what only could not be
 * listed: whatever lies below a folder that was not read, or that is a link now, counts as there.
 */
import type { Destination, Held, Listed } from "../connectors/connector.ts";
import { type Asking, isElsewhere, isUnchanged, ListingWalk } from "./existing.ts";

/** More are left for the next pass. */
export const VANISHED_MAX = 10_000;

export class Changes {
  readonly #destination: Destination;
  readonly #walk: ListingWalk;
  /** Below it nothing counts as vanished. */
  #unread: string | null = null;
  #files = 0;
  #from: string | null;
  readonly vanished: Held[] = [];

  /** `from` is the cursor of a listing that goes on: nothing before it was seen. */
  constructor(asking: Asking, from: string | null) {
    this.#destination = asking.destination;
    this.#walk = new ListingWalk(asking);
    this.#from = from;
  }

  /** What of a page is news. */
  async newsIn(items: readonly Listed[]): Promise<Listed[]> {
    const news: Listed[] = [];
    for (const item of items) {
      if (item.kind === "file" ? await this.#isChanged(item) : await this.#isFailed(item)) news.push(item);
    }
    return news;
  }

  /** After the last page: what is left of the destination's listing has no source either. */
  async end(): Promise<void> {
    await this.#seek(LAST);
    // An empty source is rather a share that is not there than one that was emptied.
    if (this.#files === 0) this.vanished.length = 0;
  }

  async #isChanged({ entry }: Extract<Listed, { kind: "file" }>): Promise<boolean> {
    this.#files++;
    if (isElsewhere(this.#destination, entry.path)) return true;
    const held = await this.#seek(entry.path);
    return held === null || !isUnchanged(entry, held);
  }

  async #isFailed(item: Exclude<Listed, { kind: "file" }>): Promise<boolean> {
    await this.#seek(item.path);
    this.#unread = `${item.path}/`;
    return item.kind === "failed";
  }

  /** What is held under a path; what lies before it has no source. */
  async #seek(path: string): Promise<Held | null> {
    let held = this.#walk.look(path, (passed) => this.#pass(passed));
    while (held === undefined) {
      await this.#walk.next();
      held = this.#walk.look(path, (passed) => this.#pass(passed));
    }
    return held;
  }

  #pass(held: Held): void {
    const { path } = held;
    if (this.#from !== null && path <= this.#from) return;
    if (this.#unread !== null && (path.startsWith(this.#unread) || `${path}/` === this.#unread)) return;
    // Of another hand, or under a name that another path may have.
    const named = this.#destination.name(path);
    if (held.sha256 === null || named.kind !== "named" || named.mapped) return;
    if (this.vanished.length < VANISHED_MAX) this.vanished.push(held);
  }
}

/** Behind every path. */
const LAST = "\uffff\uffff";
