import { useEffect, useState } from "preact/hooks";
import type { App } from "../models/app.ts";
import { Icon } from "./icon.tsx";
import { later } from "./later.tsx";
import { hubSearchButton as texts } from "../texts/frame.ts";

const HubSearch = later(async () => (await import("./hub-search.tsx")).HubSearch, "part of a page");

/** Opens the search, also by the keys; what is behind it is fetched only then. */
export function HubSearchButton({ app }: { app: App }) {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (!asksForSearch(event)) return;
      event.preventDefault();
      setOpen(true);
    };
    // On the window, so that a list with a search of its own hears "/" first.
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  return (
    <>
      <button
        type="button"
        class="hub-search"
        aria-label={texts.search}
        aria-keyshortcuts="Control+K"
        data-testid="search-open"
        onClick={() => setOpen(true)}
      >
        <Icon name="search" />
        <span>{texts.search}</span>
        <kbd aria-hidden="true" data-keys={texts.ctrlK} />
      </button>
      {isOpen && <HubSearch app={app} onClose={() => setOpen(false)} />}
    </>
  );
}

function asksForSearch(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]") !== null) return false;
  if (event.ctrlKey || event.metaKey) return event.key.toLowerCase() === "k";
  const isTyping =
    event.target instanceof Element && event.target.closest("input, textarea, select") !== null;
  return event.key === "/" && !isTyping;
}
