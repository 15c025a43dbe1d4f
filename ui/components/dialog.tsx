import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "./button.tsx";
import { TextField } from "./field.tsx";
import { Icon } from "./icon.tsx";
import { dialog as texts } from "../texts/components.ts";

/** A modal dialog: the browser's own, so that focus, Escape and screen readers work as they should. */
export function Dialog(props: {
  title: string;
  onClose: () => void;
  testId?: string;
  children: ComponentChildren;
}) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const opener = document.activeElement;
    element.current?.showModal();
    // The browser gives the focus back when a dialog is closed, not when it is taken out of the page. A turn later, because
    // until it is out everything else is inert; what took the focus by then keeps it.
    return () => {
      setTimeout(() => {
        if (document.activeElement === document.body && opener instanceof HTMLElement)
          opener.focus({ preventScroll: true });
      }, 0);
    };
  }, []);
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
        <button type="button" class="icon-button" aria-label={texts.close} onClick={props.onClose}>
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
  /** The name that has to be typed first, of what can never be had again. */
  typedName?: string;
  onConfirm: () => void;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const [typed, setTyped] = useState("");
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      <p class="dialog-text">{props.children}</p>
      {props.typedName !== undefined && (
        <TextField
          name="typedName"
          label={texts.nameSure}
          hint={texts.type(props.typedName)}
          testId="typed-name"
          value={typed}
          onInput={setTyped}
        />
      )}
      <div class="form-actions">
        <Button
          look={props.look ?? "danger"}
          testId={props.confirmTestId}
          disabled={props.typedName !== undefined && typed.trim() !== props.typedName.trim()}
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
