/**
 * A form: its values, what is wrong with them, and saving them once.
 *
 * Faults are kept by the dotted path the server uses (`storage.container`), whether found here or there. The idempotency
 * key is made when the form opens and kept through retries, so that a save whose answer was lost makes nothing twice.
 */
import { batch, type ReadonlySignal, signal } from "@preact/signals";
import { ApiError, type FieldErrors, sentenceOf } from "../api.ts";

export interface Form<Values> {
  readonly values: ReadonlySignal<Values>;
  readonly errors: ReadonlySignal<FieldErrors>;
  /** A sentence about the whole form, when saving failed. */
  readonly problem: ReadonlySignal<string | null>;
  readonly saving: ReadonlySignal<boolean>;
  /** Counts refused saves, so that the page can go to the first fault after each. */
  readonly refusals: ReadonlySignal<number>;
  /** Something was set and is not saved, by typing or by a button alike. */
  readonly changed: ReadonlySignal<boolean>;
  set<Name extends keyof Values>(name: Name, value: Values[Name]): void;
  /** What the page chooses of itself, such as the only project there is: nobody would miss it, so it is no change. */
  fill<Name extends keyof Values>(name: Name, value: Values[Name]): void;
  submit(): Promise<void>;
}

export interface FormPlan<Values, Made> {
  readonly initial: Values;
  readonly idempotencyKey: string;
  /** Faults that can be seen without asking the server. */
  check(values: Values): FieldErrors;
  save(values: Values, idempotencyKey: string): Promise<Made>;
  saved(made: Made): void;
}

export function createForm<Values, Made>(plan: FormPlan<Values, Made>): Form<Values> {
  const values = signal(plan.initial);
  const errors = signal<FieldErrors>({});
  const problem = signal<string | null>(null);
  const saving = signal(false);
  const refusals = signal(0);
  const changed = signal(false);

  function refuse(faults: FieldErrors, sentence: string | null): void {
    batch(() => {
      errors.value = faults;
      problem.value = sentence;
      refusals.value++;
    });
  }

  function fill<Name extends keyof Values>(name: Name, value: Values[Name]): void {
    values.value = { ...values.value, [name]: value };
  }

  return {
    values,
    errors,
    problem,
    saving,
    refusals,
    changed,
    fill,
    set(name, value) {
      batch(() => {
        fill(name, value);
        changed.value = true;
      });
    },
    async submit() {
      if (saving.value) return;
      const faults = plan.check(values.value);
      if (Object.keys(faults).length > 0) return refuse(faults, null);
      batch(() => {
        errors.value = {};
        problem.value = null;
        saving.value = true;
      });
      let made: Made;
      try {
        made = await plan.save(values.value, plan.idempotencyKey);
      } catch (error) {
        const fields = error instanceof ApiError ? error.fields : {};
        return refuse(fields, sentenceOf(error));
      } finally {
        saving.value = false;
      }
      changed.value = false;
      plan.saved(made);
    },
  };
}

/** The fault at a path or anywhere below it (`filters.include.3` shows at `filters.include`). */
export function faultAt(errors: FieldErrors, path: string): string | null {
  const exact = errors[path];
  if (exact !== undefined) return exact;
  const below = Object.keys(errors).find((key) => key.startsWith(`${path}.`));
  return below === undefined ? null : (errors[below] ?? null);
}

/** Text that may be left out: null on the wire when it is empty. */
export function textOrNull(text: string): string | null {
  const trimmed = text.trim();
  return trimmed === "" ? null : trimmed;
}
