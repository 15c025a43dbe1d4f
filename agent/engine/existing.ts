/**
 * What is at the destination already, and what that means for an entry.
 *
 * Source and destination are listed in the same order, so the two are walked through side by side: 5,000 names a request
 * instead of one. A job of a few files asks for each, so that ten files into a container of millions do not list the millions.
 */
import type { ArchivedRule, TransferOptions } from "../../schema/job.ts";
import {
  type Condition,
  type Destination,
  type Entry,
  type Held,
  TransferError,
} from "../connectors/connector.ts";
import { type Control, forEachOf } from "./control.ts";
import type { Page } from "./page.ts";
import type { Retry } from "./retry.ts";

/** Up to this many files, each is asked for. */
export const FIND_COUNT_MAX = 100;
export const FINDS_AT_ONCE = 8;

export interface Asking {
  readonly destination: Destination;
  readonly control: Control;
  readonly retry: Retry;
}

export function find({ destination, control, retry }: Asking, path: string): Promise<Held | null> {
  return retry.call((signal) => destination.find(path, signal), {
    action: "find",
    passage: null,
    signal: control.stopped,
  });
}

/** The destination's listing, walked through beside paths that come in its order. */
export class ListingWalk {
  readonly #asking: Asking;
  #items: readonly Held[] = [];
  #at = 0;
  /** Of the page in hand, and of the next one. */
  #from: string | null = null;
  #cursor: string | null = null;
  #begun = false;

  constructor(asking: Asking) {
    this.#asking = asking;
  }

  /** What is held under a path that comes behind all asked for before; undefined when `next` has to be called first. */
  look(path: string, onPassed: (held: Held) => void = ignore): Held | null | undefined {
    for (; this.#at < this.#items.length; this.#at++) {
      const held = this.#items[this.#at] as Held;
      if (held.path > path) return null;
      if (held.path === path) {
        this.#at++;
        return held;
      }
      onPassed(held);
    }
    return this.ended ? null : undefined;
  }

  /** Nothing comes behind what is in hand. */
  get ended(): boolean {
    return this.#begun && this.#cursor === null;
  }

  /** Gets the next page. */
  next(): Promise<void> {
    return this.#take(this.#cursor);
  }

  /** Gets the page in hand once more, because it has become too old; the first one, if there is none. */
  again(): Promise<void> {
    return this.#take(this.#from);
  }

  /** What the page in hand holds. */
  get inHand(): readonly Held[] {
    return this.#items;
  }

  async #take(from: string | null): Promise<void> {
    const page = await this.#fetch(from);
    this.#items = page.items;
    this.#at = 0;
    this.#from = from;
    this.#cursor = page.cursor;
    this.#begun = true;
  }

  #fetch(from: string | null) {
    const { destination, control, retry } = this.#asking;
    return retry.call((signal) => destination.page(from, signal), {
      action: "list",
      passage: null,
      signal: control.stopped,
    });
  }
}

function ignore(): void {}

/** Answers for the source's pages, in their order, what is held under each entry that has no outcome yet. */
export class Inventory {
  readonly #asking: Asking;
  /** Null when each is asked for. */
  readonly #walk: ListingWalk | null;

  constructor(asking: Asking, pendingFiles: number) {
    this.#asking = asking;
    this.#walk = pendingFiles > FIND_COUNT_MAX ? new ListingWalk(asking) : null;
  }

  async heldIn(page: Page): Promise<(Held | null)[]> {
    const held: (Held | null)[] = Array.from(page.paths, () => null);
    const single: number[] = [];
    for (let index = 0; index < page.length; index++) {
      if (page.outcome(index) !== null) continue;
      if (this.#walk === null || isElsewhere(this.#asking.destination, page.path(index))) {
        single.push(index);
        continue;
      }
      let found = this.#walk.look(page.path(index));
      while (found === undefined) {
        await this.#walk.next();
        found = this.#walk.look(page.path(index));
      }
      held[index] = found;
    }
    await forEachOf(single, FINDS_AT_ONCE, async (index) => {
      held[index] = await find(this.#asking, page.path(index));
    });
    return held;
  }
}

/** Whether an entry stands elsewhere in the listing than its path says. */
export function isElsewhere(destination: Destination, path: string): boolean {
  const named = destination.name(path);
  return named.kind === "named" && named.mapped;
}

/** What is to be done about an entry, given what is at the destination. */
export type Decision =
  | {
      readonly kind: "write";
      readonly condition: Condition;
      /** What lies in the way and cannot be replaced, and how to get past it. */
      readonly past: { readonly rule: Exclude<ArchivedRule, "skip">; readonly etag: string } | null;
    }
  /** The same by size and time, and that is enough. */
  | { readonly kind: "skip"; readonly held: Held }
  /** It may be the same: read and compare. If it is, it was sent by us, or was there before. */
  | {
      readonly kind: "compare";
      readonly held: Held;
      readonly sha256: string;
      readonly whose: "theirs" | "ours";
    }
  /** What is there is archived, and the job leaves such alone. */
  | { readonly kind: "leave" }
  | { readonly kind: "refuse" };

/**
 * `now` is what is there; `before` what was there before the first upload of this epoch. When the two differ, somebody
 * wrote in between: most likely we, just before a crash. Nothing that is there is replaced unless the job says so.
 */
export function judgeHeld(
  entry: Entry,
  { before, now }: { before: Held | null; now: Held | null },
  options: Pick<TransferOptions, "existing" | "verify" | "archived" | "repetition">,
): Decision {
  if (now === null) return { kind: "write", condition: { kind: "absent" }, past: null };
  // What an earlier pass wrote is kept up to date.
  if (options.repetition !== null && now.sha256 !== null)
    return isUnchanged(entry, now) ? { kind: "skip", held: now } : overwrite(entry, now, options.archived);
  const comparable = now.sizeBytes === entry.sizeBytes && now.sha256 !== null;
  if (now.etag !== before?.etag) {
    return comparable
      ? { kind: "compare", held: now, sha256: now.sha256, whose: "ours" }
      : { kind: "refuse" };
  }
  switch (options.existing) {
    case "fail":
      return { kind: "refuse" };
    case "overwrite":
      return overwrite(entry, now, options.archived);
    case "skip_identical":
      if (!options.verify && now.sizeBytes === entry.sizeBytes && now.modifiedMs === entry.modifiedMs)
        return { kind: "skip", held: now };
      return comparable
        ? { kind: "compare", held: now, sha256: now.sha256, whose: "theirs" }
        : { kind: "refuse" };
  }
}

/** Of what we wrote, size and time tell whether it is still the same; nothing else has our metadata. */
export function isUnchanged(entry: Entry, held: Held): boolean {
  return held.sizeBytes === entry.sizeBytes && held.modifiedMs === entry.modifiedMs && held.sha256 !== null;
}

/** Archived blobs can be neither read nor replaced. */
function overwrite(entry: Entry, now: Held, rule: ArchivedRule): Decision {
  if (!now.archived) return { kind: "write", condition: { kind: "matches", etag: now.etag }, past: null };
  if (isUnchanged(entry, now)) return { kind: "skip", held: now };
  if (rule === "skip") return { kind: "leave" };
  return { kind: "write", condition: { kind: "absent" }, past: { rule, etag: now.etag } };
}

export function destinationExists(path: string): TransferError {
  return new TransferError(
    { scope: "file", code: "destination_exists" },
    `Cannot write "${path}": something else of this name is at the destination`,
    { retry: { kind: "never" } },
  );
}
