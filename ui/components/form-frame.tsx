import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "./button.tsx";
import { Notice } from "./loaded.tsx";

/** Around the fields of a form: the problem of the whole, the buttons, and going to the first fault after a refused save. */
export function FormFrame(props: {
  problem: string | null;
  refusals: number;
  saving: boolean;
  submitText: string;
  submitTestId: string;
  onSubmit: () => void;
  onCancel?: () => void;
  children: ComponentChildren;
}) {
  const frame = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (props.refusals === 0) return;
    const wrong = frame.current?.querySelector<HTMLElement>("[aria-invalid=true]");
    // A fault inside folded options would not be seen.
    wrong?.closest("details")?.setAttribute("open", "");
    wrong?.focus();
  }, [props.refusals]);
  return (
    <form
      ref={frame}
      class="form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        props.onSubmit();
      }}
    >
      {props.children}
      {props.problem !== null && <Notice tone="danger">{props.problem}</Notice>}
      <div class="form-actions">
        <Button type="submit" look="primary" busy={props.saving} testId={props.submitTestId}>
          {props.submitText}
        </Button>
        {props.onCancel && (
          <Button look="quiet" onPress={props.onCancel}>
            Cancel
          </Button>
        )}
      </div>
    </form>
  );
}
