/** Above a list: what of it is shown, and in which order. */
import { useEffect, useRef, useState } from "preact/hooks";
import { SORTS } from "../contract.ts";
import type { Sort } from "../../schema/api.ts";
import { isNarrowed, type ListState, PLAIN_LIST, usualOrder } from "../models/list-state.ts";
import { Button } from "./button.tsx";
import { EmptyState } from "./empty-state.tsx";
import { Icon } from "./icon.tsx";
import "./list-tools.css";
import { listTools as texts } from "../texts/components.ts";

/** Who types is not asked after each letter. */
const TYPING_MS = 250;

const SORT_WORDS: Readonly<Record<Sort, string>> = {
  created: texts.newestFirst,
  name: texts.byName,
  activity: texts.lastActiveFirst,
  status: texts.byStatus,
};

export interface Filter {
  readonly label: string;
  readonly all: string;
  readonly options: readonly { readonly value: string; readonly text: string }[];
}

export function ListTools(props: {
  /** What is listed, as "clients". */
  what: string;
  state: ListState;
  onChange: (state: ListState) => void;
  filter?: Filter;
  /** How the list comes without being asked. */
  usual?: Sort;
}) {
  const { state, onChange, filter, usual = "created" } = props;
  return (
    <div class="list-tools" role="search">
      <SearchField what={props.what} state={state} onChange={onChange} />
      {filter !== undefined && (
        <span class="select list-select">
          <select
            class="input"
            aria-label={filter.label}
            data-testid="list-filter"
            value={state.status ?? ""}
            onChange={({ currentTarget: { value } }) =>
              onChange({ ...state, status: value === "" ? null : value })
            }
          >
            <option value="">{filter.all}</option>
            {filter.options.map(({ value, text }) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </span>
      )}
      <span class="select list-select">
        <select
          class="input"
          aria-label={texts.sort}
          data-testid="list-sort"
          value={state.sort ?? usual}
          onChange={({ currentTarget: { value } }) => {
            const sort = SORTS.find((name) => name === value) ?? usual;
            onChange({ ...state, sort: sort === usual ? null : sort, order: null });
          }}
        >
          {SORTS.map((sort) => (
            <option key={sort} value={sort}>
              {orderedOtherwise(state, sort) ? texts.turnedRound(SORT_WORDS[sort]) : SORT_WORDS[sort]}
            </option>
          ))}
        </select>
      </span>
    </div>
  );
}

function orderedOtherwise(state: ListState, sort: Sort): boolean {
  return state.sort === sort && state.order !== null && state.order !== usualOrder(sort);
}

function SearchField({
  what,
  state,
  onChange,
}: {
  what: string;
  state: ListState;
  onChange: (state: ListState) => void;
}) {
  const [text, setText] = useState(state.search);
  const shown = useRef(state.search);
  // The address changed by itself, as with "back".
  useEffect(() => {
    if (state.search !== shown.current) setText(state.search);
    shown.current = state.search;
  }, [state.search]);
  const search = (wanted: string) => {
    shown.current = wanted.trim();
    if (wanted.trim() !== state.search) onChange({ ...state, search: wanted.trim() });
  };
  useEffect(() => {
    if (text.trim() === state.search) return;
    const timer = setTimeout(() => search(text), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, state]);
  return (
    <label class="list-search">
      <Icon name="search" size={16} />
      <input
        class="input"
        type="search"
        aria-label={texts.search(what)}
        placeholder={texts.search(what)}
        autocomplete="off"
        spellcheck={false}
        maxLength={100}
        data-testid="list-search"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") search(text);
          if (event.key !== "Escape" || text === "") return;
          event.preventDefault();
          setText("");
          search("");
        }}
      />
    </label>
  );
}

/** What stands where a narrowed list has nothing: what to loosen. */
export function NothingFound(props: {
  what: string;
  state: ListState;
  onChange: (state: ListState) => void;
}) {
  const { state } = props;
  return (
    <EmptyState
      icon="search"
      title={state.search === "" ? texts.noOfThisKind(props.what) : texts.noMatch(props.what, state.search)}
      action={
        <Button
          testId="clear-list"
          onPress={() => props.onChange({ ...PLAIN_LIST, sort: state.sort, order: state.order })}
        >
          {texts.showAll}
        </Button>
      }
    >
      {isNarrowed(state) && state.status !== null ? texts.onlyPartThemShown : texts.partNameEnoughCapitals}
    </EmptyState>
  );
}
