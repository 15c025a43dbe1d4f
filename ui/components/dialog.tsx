import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";

/** A modal dialog: the browser's own, so that focus, Escape and screen readers work as they should. */
export function Dialog(props: {
  title: string;
  onClose: () => void;
  testId?: string;
  children: ComponentChildren;
}) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => element.current?.showModal(), []);
  return (
    <dialog
      ref={element}
      class="dialog"
      aria-labelledby="dialog-title"
      data-testid={props.testId}
      onClose={props.onClose}
      onCancel={props.onClose}
    >
      <header class="dialog-head">
        <h2 id="dialog-title">{props.title}</h2>
        <button type="button" class="icon-button" aria-label="Close" onClick={props.onClose}>
          <Icon name="close" />
        </button>
      </header>
      {props.children}
    </dialog>
  );
}

/** Asks before something that cannot be undone, or has consequences that are not plain to see. */
export function ConfirmDialog(props: {
  title: string;
  look?: "danger" | "primary";
  confirmText: string;
  cancelText: string;
  confirmTestId: string;
  onConfirm: () => void;
  onClose: () => void;
  children: ComponentChildren;
}) {
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <p class="dialog-text">{props.children}</p>
      <div class="form-actions">
        <Button
          look={props.look ?? "danger"}
          testId={props.confirmTestId}
          onPress={() => {
            props.onConfirm();
            props.onClose();
          }}
        >
          {props.confirmText}
        </Button>
        <Button look="quiet" onPress={props.onClose}>
          {props.cancelText}
        </Button>
      </div>
    </Dialog>
  );
}
