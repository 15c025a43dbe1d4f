import type { ComponentChildren } from "preact";
import type { Remote } from "../models/remote.ts";
import { Button } from "./button.tsx";
import { EmptyState } from "./empty-state.tsx";
import { loaded as texts } from "../texts/frame.ts";

/** Shows what was fetched; while there is nothing yet, quiet bars; when it failed, why, and a way to try again. */
export function Loaded<Value>(props: {
  remote: Remote<Value>;
  onRetry: () => void;
  children: (value: Value) => ComponentChildren;
}) {
  const { remote } = props;
  if (remote.value !== null) {
    return (
      <>
        {remote.state === "failed" && (
          <Notice tone="warning">
            {texts.notUpToDate}
            {remote.problem}. <TryAgain onRetry={props.onRetry} />
          </Notice>
        )}
        {props.children(remote.value)}
      </>
    );
  }
  if (remote.state === "failed") {
    return remote.missing ? (
      <EmptyState icon="warning" title={texts.notFound}>
        {texts.doesNotExistNot}
      </EmptyState>
    ) : (
      <EmptyState
        icon="warning"
        title={texts.couldNotLoaded}
        action={<Button onPress={props.onRetry}>{texts.tryAgain}</Button>}
      >
        {remote.problem}.
      </EmptyState>
    );
  }
  return (
    <div class="skeleton" aria-busy="true" aria-label={texts.loading}>
      <span />
      <span />
      <span />
    </div>
  );
}

function TryAgain({ onRetry }: { onRetry: () => void }) {
  return (
    <button type="button" class="text-button" onClick={onRetry}>
      {texts.tryAgain}
    </button>
  );
}

/** A sentence that asks for attention, inside a page. */
export function Notice(props: {
  tone: "neutral" | "warning" | "danger" | "success";
  testId?: string;
  children: ComponentChildren;
}) {
  return (
    <div
      class={`notice notice-${props.tone}`}
      role={props.tone === "danger" ? "alert" : "status"}
      data-testid={props.testId}
    >
      <div>{props.children}</div>
    </div>
  );
}
