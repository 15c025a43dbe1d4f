import type { Toast } from "../models/toasts.ts";
import { Icon } from "./icon.tsx";
import { toastList as texts } from "../texts/frame.ts";

export function ToastList({
  toasts,
  onDismiss,
}: {
  toasts: readonly Toast[];
  onDismiss: (id: number) => void;
}) {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.map((toast) => (
        <div key={toast.id} class={`toast toast-${toast.tone}`} data-testid="toast">
          <Icon name={toast.tone === "success" ? "check" : "warning"} size={16} />
          <span>{toast.text}</span>
          <button
            type="button"
            class="icon-button"
            aria-label={texts.dismiss}
            onClick={() => onDismiss(toast.id)}
          >
            <Icon name="close" size={14} />
          </button>
        </div>
      ))}
    </div>
  );
}
