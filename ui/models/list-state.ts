/**
 * What a list shows, as it stands in the page's address: so a reload, "back" and a link that was sent show the same. What
 * is not said is left out, and what nobody can mean is left out as well.
 */
import type { Sort } from "../../schema/api.ts";
import { SORTS } from "../contract.ts";

export type Order = "ascending" | "descending";

export interface ListState {
  /** A part of the name; empty = all. */
  readonly search: string;
  /** Null = newest first, as a list comes without being asked. */
  readonly sort: Sort | null;
  /** Null = the one that is usual for the sort. */
  readonly order: Order | null;
  /** One of the list's own; null = all. */
  readonly status: string | null;
}

export const PLAIN_LIST: ListState = { search: "", sort: null, order: null, status: null };

/** What the API is asked for. */
export interface ListAsk {
  readonly search?: string;
  readonly sort?: Sort;
  readonly order?: Order;
  readonly status?: string;
}

export function parseList(query: URLSearchParams, statuses: readonly string[]): ListState {
  const sort = SORTS.find((name) => name === query.get("sort")) ?? null;
  const order = query.get("order");
  const status = query.get("status");
  return {
    search: (query.get("q") ?? "").trim(),
    sort,
    order: sort !== null && (order === "ascending" || order === "descending") ? order : null,
    status: status !== null && statuses.includes(status) ? status : null,
  };
}

/** For an address; empty when there is nothing to say. */
export function listText({ search, sort, order, status }: ListState): string {
  const query = new URLSearchParams();
  if (search !== "") query.set("q", search);
  if (status !== null) query.set("status", status);
  if (sort !== null) query.set("sort", sort);
  if (order !== null) query.set("order", order);
  return query.toString();
}

export function askOf({ search, sort, order, status }: ListState): ListAsk {
  return {
    ...(search === "" ? {} : { search }),
    ...(sort === null ? {} : { sort }),
    ...(order === null ? {} : { order }),
    ...(status === null ? {} : { status }),
  };
}

export function isPlain(state: ListState): boolean {
  return listText(state) === "";
}

/** Only a part of what there is. */
export function isNarrowed({ search, status }: ListState): boolean {
  return search !== "" || status !== null;
}

/** The order a list has without being told one. */
export function usualOrder(sort: Sort): Order {
  return sort === "created" || sort === "activity" ? "descending" : "ascending";
}

/** What pressing a column's head makes of it: its usual order, then the other one, then as it was before. */
export function sortedBy(state: ListState, sort: Sort): ListState {
  if (state.sort !== sort) return { ...state, sort, order: null };
  const isUsual = (state.order ?? usualOrder(sort)) === usualOrder(sort);
  if (!isUsual) return { ...state, sort: null, order: null };
  return { ...state, order: usualOrder(sort) === "ascending" ? "descending" : "ascending" };
}
