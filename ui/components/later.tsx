/**
 * Pages that are not in the first bundle: fetched when first opened, then kept.
 *
 * After a deployment the old page's files are gone, so a page that cannot be fetched offers to load everything anew.
 */
import type { ComponentType, VNode } from "preact";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { Button } from "./button.tsx";
import { EmptyState } from "./empty-state.tsx";
import { later as texts } from "../texts/frame.ts";

/** The component that `load` brings, as a component that can be used at once. A part of a page that is missing is no loss to it. */
export function later<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
  what: "page" | "part of a page" = "page",
): (props: Props) => VNode | null {
  let Held: ComponentType<Props> | null = null;
  return function Later(props) {
    const [state, setState] = useState<"waiting" | "ready" | "failed">(Held === null ? "waiting" : "ready");
    useEffect(() => {
      if (Held !== null) return;
      let isOpen = true;
      const tell = (next: "ready" | "failed") => {
        if (isOpen) setState(next);
      };
      load().then(
        (loaded) => {
          Held = loaded;
          tell("ready");
        },
        () => tell("failed"),
      );
      return () => {
        isOpen = false;
      };
    }, []);
    // The frame moves the focus to the new page's name, which was not there yet when the path changed. Before the page is
    // painted: later it would be taken from who already types.
    useLayoutEffect(() => {
      if (state === "ready" && what === "page")
        document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
    }, [state]);
    if (Held !== null) return <Held {...props} />;
    if (what !== "page") return null;
    if (state !== "failed")
      return <div class="page page-narrow" aria-busy="true" aria-label={texts.loading} />;
    return (
      <EmptyState
        icon="warning"
        title={texts.pageCouldNotLoaded}
        action={<Button onPress={() => location.reload()}>{texts.loadItAnew}</Button>}
      >
        {texts.connectionGoneThereNew}
      </EmptyState>
    );
  };
}
