/**
 * What was fetched, and how the fetching stands. While something is fetched again the old value stays on the screen, so
 * that a page that refreshes does not blink. The newest request wins; an older one that is still under way is aborted.
 */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import type { Page } from "../../schema/api.ts";
import { ApiError, type ListQuery, sentenceOf } from "../api.ts";
import { LIST_LIMIT_MAX } from "../contract.ts";

export type Remote<Value> =
  | { readonly state: "loading"; readonly value: Value | null }
  | { readonly state: "ready"; readonly value: Value }
  | {
      readonly state: "failed";
      readonly value: Value | null;
      readonly problem: string;
      readonly missing: boolean;
    };

export interface RemoteModel<Value> {
  readonly remote: ReadonlySignal<Remote<Value>>;
  /** The value, old or new; null until there is one. */
  readonly value: ReadonlySignal<Value | null>;
  reload(): Promise<void>;
  /** Puts in a value that came by another way, such as the answer of a write. */
  put(value: Value): void;
  close(): void;
}

export function createRemote<Value>(load: (signal: AbortSignal) => Promise<Value>): RemoteModel<Value> {
  const remote = signal<Remote<Value>>({ state: "loading", value: null });
  let running: AbortController | null = null;
  return {
    remote,
    value: computed(() => remote.value.value),
    async reload() {
      running?.abort();
      const mine = new AbortController();
      running = mine;
      // `peek`: an effect that asks for a reload must not come to depend on its outcome.
      const held = remote.peek();
      if (held.state === "failed") remote.value = { state: "loading", value: held.value };
      try {
        const value = await load(mine.signal);
        if (!mine.signal.aborted) remote.value = { state: "ready", value };
      } catch (error) {
        if (mine.signal.aborted) return;
        const missing = error instanceof ApiError && (error.status === 404 || error.status === 400);
        remote.value = { state: "failed", value: remote.peek().value, problem: sentenceOf(error), missing };
      }
    },
    put(value) {
      // What is under way was asked before this value was known, and would set it back.
      running?.abort();
      remote.value = { state: "ready", value };
    },
    close() {
      running?.abort();
    },
  };
}

export interface ListModel<Item> {
  readonly remote: ReadonlySignal<Remote<readonly Item[]>>;
  readonly items: ReadonlySignal<readonly Item[]>;
  readonly hasMore: ReadonlySignal<boolean>;
  readonly loadingMore: ReadonlySignal<boolean>;
  reload(): Promise<void>;
  /** Asks for another list from its beginning; what is shown stays until that is here. */
  restart(): Promise<void>;
  more(): Promise<void>;
  close(): void;
}

/** A list that is paged by cursor. */
export function createList<Item extends { readonly id: string }>(
  load: (query: ListQuery, signal: AbortSignal) => Promise<Page<Item>>,
): ListModel<Item> {
  const cursor = signal<string | null>(null);
  const loadingMore = signal(false);
  let isFresh = false;
  const first = createRemote<readonly Item[]>(async (abort) => {
    // A refresh asks for as much as is on the screen, up to what one request may hold.
    const shown = isFresh ? 0 : (first.value.peek()?.length ?? 0);
    isFresh = false;
    const page = await load(shown > 50 ? { limit: Math.min(shown, LIST_LIMIT_MAX) } : {}, abort);
    cursor.value = page.nextCursor;
    return page.items;
  });
  return {
    remote: first.remote,
    items: computed(() => first.value.value ?? []),
    hasMore: computed(() => cursor.value !== null),
    loadingMore,
    reload: first.reload,
    async restart() {
      isFresh = true;
      // No more of the list that was.
      cursor.value = null;
      await first.reload();
    },
    async more() {
      const from = cursor.value;
      if (from === null || loadingMore.value) return;
      loadingMore.value = true;
      try {
        const page = await load({ cursor: from }, new AbortController().signal);
        // A refresh in between has moved the end of the list: what we hold no longer fits behind it.
        if (cursor.value !== from) return;
        cursor.value = page.nextCursor;
        first.put(appendNew(first.value.value ?? [], page.items));
      } catch {
        // The button stays where it is, so that the person can press it again.
      } finally {
        loadingMore.value = false;
      }
    },
    close: first.close,
  };
}

/** What a picker offers at most; beyond it a person would search, not scroll. */
const PICKER_PAGES_MAX = 5;

/** All items of a list, for a picker. */
export async function loadAll<Item>(
  load: (query: ListQuery, signal: AbortSignal) => Promise<Page<Item>>,
  signal: AbortSignal,
): Promise<readonly Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  for (let pages = 0; pages < PICKER_PAGES_MAX; pages++) {
    const page: Page<Item> = await load(
      { limit: LIST_LIMIT_MAX, ...(cursor === null ? {} : { cursor }) },
      signal,
    );
    items.push(...page.items);
    cursor = page.nextCursor;
    if (cursor === null) break;
  }
  return items;
}

function appendNew<Item extends { readonly id: string }>(
  held: readonly Item[],
  next: readonly Item[],
): readonly Item[] {
  const ids = new Set(held.map((item) => item.id));
  return [...held, ...next.filter((item) => !ids.has(item.id))];
}
