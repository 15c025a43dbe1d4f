import { effect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Form } from "../models/form.ts";
import { unsaved } from "../models/unsaved.ts";
import { Button } from "./button.tsx";
import { Notice } from "./loaded.tsx";
import { formFrame as texts } from "../texts/components.ts";

/**
 * Around the fields of a form: the problem of the whole, the buttons, and going to the first fault after a refused save.
 * Once something was typed or chosen, whoever wants to leave is asked, until it is saved; "Cancel" says by itself what is
 * meant. What a form fills in by itself asks nobody.
 */
export function FormFrame(props: {
  form: Pick<Form<unknown>, "values" | "changed" | "problem" | "refusals" | "saving" | "submit">;
  submitText: string;
  submitTestId: string;
  onCancel?: () => void;
  children: ComponentChildren;
}) {
  const frame = useRef<HTMLFormElement>(null);
  const { form } = props;
  const problem = form.problem.value;
  const refusals = form.refusals.value;
  const saving = form.saving.value;
  useUnsaved(form);
  useEffect(() => {
    if (refusals === 0) return;
    const wrong = frame.current?.querySelector<HTMLElement>("[aria-invalid=true]");
    // A fault inside folded options would not be seen.
    wrong?.closest("details")?.setAttribute("open", "");
    wrong?.focus();
  }, [refusals]);
  return (
    <form
      ref={frame}
      class="form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void form.submit();
      }}
    >
      {props.children}
      {problem !== null && <Notice tone="danger">{problem}</Notice>}
      <div class="form-actions">
        <Button type="submit" look="primary" busy={saving} testId={props.submitTestId}>
          {props.submitText}
        </Button>
        {props.onCancel && (
          <Button look="quiet" onPress={props.onCancel}>
            {texts.cancel}
          </Button>
        )}
      </div>
    </form>
  );
}

function useUnsaved(form: Pick<Form<unknown>, "values" | "changed">): void {
  useEffect(() => {
    // The browser has words of its own for a page that is closed, or left for another site.
    const ask = (event: BeforeUnloadEvent) => {
      if (unsaved.any.peek()) event.preventDefault();
    };
    addEventListener("beforeunload", ask);
    const stop = effect(() => {
      // Read with each change: what was given up may be changed again.
      void form.values.value;
      if (form.changed.value) unsaved.note(form);
      else unsaved.forget(form);
    });
    return () => {
      stop();
      unsaved.forget(form);
      removeEventListener("beforeunload", ask);
    };
  }, [form]);
}
