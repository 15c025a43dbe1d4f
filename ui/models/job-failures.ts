/**
 * The failed files of a job's run, all that the control plane keeps, so that they can be told by cause. They are only ever
 * added to while the run lasts: to ask anew is to ask for the last page and what follows it.
 */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { FileFailure } from "../../schema/job.ts";
import type { Api } from "../api.ts";
import { LIST_LIMIT_MAX } from "../contract.ts";

/** More pages than the first thousand failures, which are kept, take. */
const PAGES_MAX = 10;

export interface FailureList {
  readonly items: ReadonlySignal<readonly FileFailure[]>;
  refresh(): Promise<void>;
  /** Of another run nothing that is held is true. */
  clear(): void;
}

export function createFailureList(api: Api, jobId: string, closing: AbortSignal): FailureList {
  const items = signal<readonly FileFailure[]>([]);
  let run = 0;
  /** Where the last page began, and what stands before it. */
  let tail: { readonly cursor: string | null; readonly before: readonly FileFailure[] };
  clear();

  function clear(): void {
    run++;
    tail = { cursor: null, before: [] };
    items.value = [];
  }

  return {
    items,
    clear,
    async refresh() {
      const mine = run;
      try {
        for (let pages = 0; pages < PAGES_MAX; pages++) {
          const { cursor, before } = tail;
          const query = { limit: LIST_LIMIT_MAX, ...(cursor === null ? {} : { cursor }) };
          const page = await api.jobs.failures(jobId, query, closing);
          if (mine !== run) return;
          items.value = [...before, ...page.items];
          if (page.nextCursor === null) return;
          tail = { cursor: page.nextCursor, before: items.value };
        }
      } catch {
        // The count stands on the page all the same, and the next change asks again.
      }
    },
  };
}
