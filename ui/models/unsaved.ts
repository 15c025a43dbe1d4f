/**
 * What somebody has changed and not saved: whoever wants to leave a page is asked first. A form tells of itself here, because
 * neither the link that leads away nor the browser's "back" knows of it.
 */
import { computed, type ReadonlySignal, signal } from "@preact/signals";

export interface Unsaved {
  readonly any: ReadonlySignal<boolean>;
  /** What is to happen once the person gives up what they typed; null while nobody is asked. */
  readonly leaving: ReadonlySignal<(() => void) | null>;
  /** In this form something was changed. */
  note(form: object): void;
  /** It was saved, or is not on the screen any more. */
  forget(form: object): void;
  /** Goes at once where nothing would be lost, and asks where something would. */
  leave(go: () => void): void;
  stay(): void;
  discard(): void;
}

export function createUnsaved(): Unsaved {
  const forms = signal<ReadonlySet<object>>(new Set());
  const leaving = signal<(() => void) | null>(null);
  return {
    any: computed(() => forms.value.size > 0),
    leaving,
    note(form) {
      if (!forms.peek().has(form)) forms.value = new Set([...forms.peek(), form]);
    },
    forget(form) {
      if (forms.peek().has(form)) forms.value = new Set([...forms.peek()].filter((other) => other !== form));
    },
    leave(go) {
      if (forms.peek().size === 0) go();
      else leaving.value = go;
    },
    stay() {
      leaving.value = null;
    },
    discard() {
      const go = leaving.peek();
      leaving.value = null;
      forms.value = new Set();
      go?.();
    },
  };
}

/** That of this page: forms know nothing of what stands around them. */
export const unsaved = createUnsaved();
