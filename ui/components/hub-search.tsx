/** The search itself: a box, and under it what is found, by kind. Arrow keys choose, Enter opens, Escape closes. */
import "./hub-search.css";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { createHomeApi } from "../home-api.ts";
import type { App } from "../models/app.ts";
import { pathOf } from "../models/router.ts";
import {
  createSearch,
  routeOf,
  type SearchGroup,
  type SearchHit,
  type SearchModel,
} from "../models/search.ts";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { FileName } from "./file-name.tsx";
import { hitDetails, SEARCH_GROUP_WORDS } from "./hub-words.ts";
import { Icon, type IconName } from "./icon.tsx";
import { hubSearch as texts } from "../texts/hub.ts";

const ICONS: Readonly<Record<SearchHit["kind"], IconName>> = {
  client: "client",
  project: "project",
  job: "job",
  agent: "agent",
};

export function HubSearch({ app, onClose }: { app: App; onClose: () => void }) {
  const model = useMemo(() => createSearch({ home: createHomeApi(app.api), clock: app.clock }), []);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    box.current?.focus();
    return model.close;
  }, []);
  const chosen = model.chosen.value;
  return (
    <Dialog title={texts.search} testId="search" onClose={onClose}>
      <div class="search">
        <input
          ref={box}
          class="input"
          type="text"
          role="combobox"
          aria-label={texts.nameClientProjectJob}
          aria-expanded={chosen !== null}
          aria-controls="search-hits"
          aria-autocomplete="list"
          aria-activedescendant={chosen === null ? undefined : optionId(chosen)}
          placeholder={texts.clientProjectJobAgent}
          autocomplete="off"
          spellcheck={false}
          enterkeyhint="go"
          maxLength={100}
          data-testid="search-text"
          value={model.text.value}
          onInput={(event) => model.type(event.currentTarget.value)}
          onKeyDown={(event) => pressKey(event, model)}
        />
        <SearchNote model={model} />
        <div
          id="search-hits"
          class="search-hits"
          role="listbox"
          aria-label={texts.found}
          aria-busy={model.state.value.state === "searching"}
          onClick={onClose}
        >
          {model.groups.value.map((group) => (
            <Group key={group.kind} group={group} chosen={chosen} />
          ))}
        </div>
      </div>
    </Dialog>
  );
}

function pressKey(event: KeyboardEvent, model: SearchModel): void {
  const chosen = model.chosen.value;
  switch (event.key) {
    case "ArrowDown":
    case "ArrowUp":
      model.move(event.key === "ArrowDown" ? 1 : -1);
      break;
    case "Enter":
      // As a press of the link, so that it opens as every link here does.
      if (chosen !== null) document.getElementById(optionId(chosen))?.click();
      break;
    default:
      return;
  }
  event.preventDefault();
}

/** One line for whatever is not a hit; it is also what a screen reader is told. */
function SearchNote({ model }: { model: SearchModel }) {
  const state = model.state.value;
  const count = model.groups.value.reduce((sum, { hits }) => sum + hits.length, 0);
  return (
    <p
      class={count > 0 ? "search-note search-note-unseen" : "search-note"}
      role="status"
      data-testid="search-note"
    >
      {state.state === "idle" && texts.typePartName}
      {state.state === "searching" && count === 0 && texts.searching}
      {state.state === "ready" && (count === 0 ? texts.nothingIsCalledThat : texts.found2(count))}
      {state.state === "failed" && (
        <>
          {state.problem}. <Button onPress={model.retry}>{texts.tryAgain}</Button>
        </>
      )}
    </p>
  );
}

function Group({ group, chosen }: { group: SearchGroup; chosen: SearchHit | null }) {
  const words = SEARCH_GROUP_WORDS[group.kind];
  const titleId = `search-${group.kind}`;
  return (
    <div role="group" aria-labelledby={titleId} data-testid={titleId}>
      <p class="search-group" id={titleId}>
        {words.title}
      </p>
      {group.hits.map((hit) => (
        <Hit key={hit.item.id} hit={hit} isChosen={hit === chosen} />
      ))}
      {group.more && <p class="search-more">{words.more}</p>}
    </div>
  );
}

function Hit({ hit, isChosen }: { hit: SearchHit; isChosen: boolean }) {
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    if (isChosen) link.current?.scrollIntoView({ block: "nearest" });
  }, [isChosen]);
  return (
    <a
      ref={link}
      id={optionId(hit)}
      class={isChosen ? "search-hit search-hit-chosen" : "search-hit"}
      role="option"
      aria-selected={isChosen}
      tabIndex={-1}
      href={pathOf(routeOf(hit))}
    >
      <Icon name={ICONS[hit.kind]} />
      <span class="search-words">
        <span class="search-name">
          <FileName name={hit.item.name} />
        </span>
        <span class="search-details">
          {hitDetails(hit).map((text) => (
            <FileName key={text} name={text} />
          ))}
        </span>
      </span>
    </a>
  );
}

function optionId({ item }: SearchHit): string {
  return `hit-${item.id}`;
}
