/** What is done to one row of a list: once at a time per row, told in a toast, and the list is fetched anew afterwards. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { sentenceOf } from "../api.ts";
import type { ToastsModel } from "./toasts.ts";

export interface RowActions {
  /** The rows at which something is under way. */
  readonly busy: ReadonlySignal<ReadonlySet<string>>;
  /** False if it was refused; why is told. */
  run(id: string, act: () => Promise<unknown>, told: string): Promise<boolean>;
}

export function createRowActions(list: { reload(): Promise<void> }, toasts: ToastsModel): RowActions {
  const busy = signal<ReadonlySet<string>>(new Set());
  return {
    busy,
    async run(id, act, told) {
      if (busy.value.has(id)) return false;
      busy.value = new Set([...busy.value, id]);
      let isDone = true;
      try {
        await act();
        toasts.show("success", told);
      } catch (error) {
        isDone = false;
        toasts.show("danger", sentenceOf(error));
      }
      // Refused or not: what was refused is often so because the row is no longer what is shown.
      await list.reload();
      busy.value = new Set([...busy.value].filter((other) => other !== id));
      return isDone;
    },
  };
}
