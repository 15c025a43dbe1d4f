/**
 * Pages that are not in the first bundle: fetched when first opened, then kept.
 *
 * After a deployment the old page's files are gone, so a page that cannot be fetched offers to load everything anew.
 */
import type { ComponentType, VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Button } from "./button.tsx";
import { EmptyState } from "./empty-state.tsx";

/** The component that `load` brings, as a component that can be used at once. */
export function later<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
): (props: Props) => VNode {
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
    // The frame moves the focus to the new page's name, which was not there yet when the path changed.
    useEffect(() => {
      if (state === "ready") document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
    }, [state]);
    if (Held !== null) return <Held {...props} />;
    if (state !== "failed") return <div class="page page-narrow" aria-busy="true" aria-label="Loading" />;
    return (
      <EmptyState
        icon="warning"
        title="This page could not be loaded"
        action={<Button onPress={() => location.reload()}>Load it anew</Button>}
      >
        The connection is gone, or there is a new version.
      </EmptyState>
    );
  };
}
