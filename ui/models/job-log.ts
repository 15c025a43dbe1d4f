/** What happened to a job, newest first, as far back as a person asks for. */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import type { JobLogEntry } from "../../schema/job-log.ts";
import type { Api } from "../api.ts";

/** A page may hold nothing and still be followed by others; so many are asked for at a time. */
const PAGES_AT_ONCE = 3;
const ENTRIES_WANTED = 20;

export interface JobLogModel {
  readonly entries: ReadonlySignal<readonly JobLogEntry[]>;
  readonly hasMore: ReadonlySignal<boolean>;
  readonly loading: ReadonlySignal<boolean>;
  /** True when the newest entries could not be had. */
  readonly failed: ReadonlySignal<boolean>;
  reload(): Promise<void>;
  more(): Promise<void>;
}

export function createJobLog(api: Api, jobId: string, closing: AbortSignal): JobLogModel {
  const entries = signal<readonly JobLogEntry[]>([]);
  const cursor = signal<string | null>(null);
  const loading = signal(false);
  const failed = signal(false);
  let asked = 0;

  /** Entries behind `from`, until there are some worth showing. */
  async function read(from: string | null): Promise<{ items: JobLogEntry[]; next: string | null }> {
    const items: JobLogEntry[] = [];
    let next = from;
    for (let pages = 0; pages < PAGES_AT_ONCE; pages++) {
      const page = await api.jobs.log(jobId, next === null ? {} : { cursor: next }, closing);
      items.push(...page.items);
      next = page.nextCursor;
      if (next === null || items.length >= ENTRIES_WANTED) break;
    }
    return { items, next };
  }

  async function show(from: string | null, held: readonly JobLogEntry[]): Promise<void> {
    const mine = ++asked;
    loading.value = true;
    try {
      const { items, next } = await read(from);
      if (mine !== asked) return;
      const older = from === null ? behind(items.at(-1), entries.peek()) : [];
      entries.value = [...held, ...items, ...older];
      // What was asked for before stays, and so does where it ended.
      if (older.length === 0) cursor.value = next;
      failed.value = false;
    } catch {
      if (mine === asked) failed.value = entries.peek().length === 0;
    } finally {
      if (mine === asked) loading.value = false;
    }
  }

  return {
    entries,
    hasMore: computed(() => cursor.value !== null),
    loading,
    failed,
    reload: () => show(null, []),
    more: () => (cursor.peek() === null ? Promise.resolve() : show(cursor.peek(), entries.peek())),
  };
}

/** What of `held` stands behind an entry; nothing where the entry is not among them. */
function behind(entry: JobLogEntry | undefined, held: readonly JobLogEntry[]): readonly JobLogEntry[] {
  const text = JSON.stringify(entry);
  const at = held.findLastIndex((one) => JSON.stringify(one) === text);
  return at === -1 ? [] : held.slice(at + 1);
}
