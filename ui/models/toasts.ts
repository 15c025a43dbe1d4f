/** Short messages that go away by themselves. */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { Clock } from "../clock.ts";

const SHOWN_MS = 6_000;
/** More than this cannot be read in time; the oldest makes room. */
const TOASTS_MAX = 3;

export interface Toast {
  readonly id: number;
  readonly tone: "success" | "danger";
  readonly text: string;
}
export interface ToastsModel {
  readonly shown: ReadonlySignal<readonly Toast[]>;
  show(tone: Toast["tone"], text: string): void;
  dismiss(id: number): void;
}

export function createToasts(clock: Clock): ToastsModel {
  const shown = signal<readonly Toast[]>([]);
  let lastId = 0;
  const dismiss = (id: number) => {
    shown.value = shown.value.filter((toast) => toast.id !== id);
  };
  return {
    shown,
    dismiss,
    show(tone, text) {
      const id = ++lastId;
      shown.value = [...shown.value, { id, tone, text }].slice(-TOASTS_MAX);
      clock.after(SHOWN_MS, () => dismiss(id));
    },
  };
}
