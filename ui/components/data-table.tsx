import type { ComponentChildren } from "preact";
import type { Sort } from "../../schema/api.ts";
import { type ListState, sortedBy, usualOrder } from "../models/list-state.ts";
import { Icon } from "./icon.tsx";
import "./list-tools.css";

export interface Column<Item> {
  readonly title: string;
  readonly cell: (item: Item) => ComponentChildren;
  readonly numeric?: boolean;
  /** Left out where there is little room. */
  readonly desk?: boolean;
  /** What the list can be sorted by at its head. */
  readonly sort?: Sort;
}

/** How the list is sorted, and what is done when somebody wants it otherwise. */
export interface Sorting {
  readonly state: ListState;
  readonly onSort: (state: ListState) => void;
}

/** A table at a desk; on a phone each row becomes a small card, its cells under their titles. The first column names the row. */
export function DataTable<Item extends { readonly id: string }>(props: {
  label: string;
  columns: readonly Column<Item>[];
  items: readonly Item[];
  testId?: string;
  sorting?: Sorting;
}) {
  const looks = (column: Column<Item>) =>
    [column.numeric === true ? "numeric" : "", column.desk === true ? "desk-only" : ""].join(" ").trim();
  // The roles are said aloud because the phone's layout takes them from the elements.
  return (
    <table class="table" role="table" aria-label={props.label} data-testid={props.testId}>
      <thead role="rowgroup">
        <tr role="row">
          {props.columns.map((column) => (
            <th
              key={column.title}
              role="columnheader"
              scope="col"
              class={looks(column)}
              aria-sort={orderAt(column, props.sorting)}
            >
              {column.sort === undefined || props.sorting === undefined ? (
                column.title
              ) : (
                <>
                  <SortButton title={column.title} sort={column.sort} sorting={props.sorting} />
                  {/* A phone shows no heads, and nothing to press in them; its lists are sorted above. */}
                  <span class="sort-name">{column.title}</span>
                </>
              )}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {props.items.map((item) => (
          <tr key={item.id} role="row" data-id={item.id}>
            {props.columns.map((column) => (
              <td key={column.title} role="cell" class={looks(column)} data-title={column.title}>
                {column.cell(item)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function SortButton({ title, sort, sorting }: { title: string; sort: Sort; sorting: Sorting }) {
  const { state, onSort } = sorting;
  const isOn = state.sort === sort;
  const isRising = (state.order ?? usualOrder(sort)) === "ascending";
  return (
    <button
      type="button"
      class={isOn ? "sort sort-on" : "sort"}
      data-testid={`sort-${sort}`}
      onClick={() => onSort(sortedBy(state, sort))}
    >
      {title}
      <Icon name={isOn && isRising ? "up" : "down"} size={12} />
    </button>
  );
}

function orderAt<Item>({ sort }: Column<Item>, sorting: Sorting | undefined) {
  if (sort === undefined || sorting?.state.sort !== sort) return undefined;
  return sorting.state.order ?? usualOrder(sort);
}
