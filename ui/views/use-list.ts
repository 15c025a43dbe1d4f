import { useEffect } from "preact/hooks";
import type { App } from "../models/app.ts";
import { type ListState, listText, PLAIN_LIST } from "../models/list-state.ts";
import type { Route } from "../models/router.ts";

type ListRoute = Extract<Route, { readonly list?: ListState }>;

/** What the address says of a list, and how it is changed: in its place, so that "back" leaves the list. */
export function listOfRoute(app: App, route: ListRoute) {
  const state = route.list ?? PLAIN_LIST;
  return { state, change: (list: ListState) => app.router.replace({ ...route, list }) };
}

/** Shows what the address says now. */
export function useListState(model: { show(state: ListState): void }, state: ListState): void {
  useEffect(() => model.show(state), [model, listText(state)]);
}
