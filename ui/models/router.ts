/** Which page is shown. Paths are parsed once here; everywhere else a page is a `Route`. */
import { type ReadonlySignal, signal } from "@preact/signals";

export type Route =
  | { readonly page: "dashboard" }
  | { readonly page: "clients" }
  | { readonly page: "client-new" }
  | { readonly page: "client"; readonly id: string }
  | { readonly page: "client-edit"; readonly id: string }
  | { readonly page: "projects" }
  | { readonly page: "project-new"; readonly clientId: string | null }
  | { readonly page: "project"; readonly id: string }
  | { readonly page: "project-edit"; readonly id: string }
  | { readonly page: "jobs"; readonly state: "all" | "active" | "final" }
  | { readonly page: "job-new"; readonly projectId: string | null }
  | { readonly page: "job"; readonly id: string }
  | { readonly page: "agents" }
  | { readonly page: "agent-register" }
  | { readonly page: "agent"; readonly id: string }
  | { readonly page: "settings" }
  | { readonly page: "connection-new" }
  | { readonly page: "not-found"; readonly path: string };

/** The part of the browser the router needs. */
export interface Address {
  /** Path and query of the page that is open. */
  read(): string;
  push(path: string): void;
  replace(path: string): void;
}

export interface Router {
  readonly route: ReadonlySignal<Route>;
  go(route: Route): void;
  /** Like `go`, but "back" does not return here: for pages that have done their work. */
  replace(route: Route): void;
  /** Opens a path if it is one of ours; false if the browser should follow it. */
  open(path: string): boolean;
  /** The person went back or forward. */
  moved(): void;
}

export function createRouter(address: Address): Router {
  const route = signal(parsePath(address.read()));
  return {
    route,
    go(next) {
      address.push(pathOf(next));
      route.value = next;
    },
    replace(next) {
      address.replace(pathOf(next));
      route.value = next;
    },
    open(path) {
      const next = parsePath(path);
      if (next.page === "not-found") return false;
      address.push(pathOf(next));
      route.value = next;
      return true;
    },
    moved() {
      route.value = parsePath(address.read());
    },
  };
}

export function parsePath(address: string): Route {
  const [path = "/", search = ""] = address.split("?", 2);
  const query = new URLSearchParams(search);
  const [place, id, verb, ...more] = path
    .split("/")
    .filter((segment) => segment !== "")
    .map(decodeSegment);
  const lost: Route = { page: "not-found", path };
  if (more.length > 0) return lost;
  switch (place) {
    case undefined:
      return { page: "dashboard" };
    case "clients":
      return (
        parseThing(id, verb, {
          list: { page: "clients" },
          new: { page: "client-new" },
          one: "client",
          edit: "client-edit",
        }) ?? lost
      );
    case "projects": {
      const made: Route = { page: "project-new", clientId: query.get("client") };
      return (
        parseThing(id, verb, {
          list: { page: "projects" },
          new: made,
          one: "project",
          edit: "project-edit",
        }) ?? lost
      );
    }
    case "jobs": {
      const state = query.get("state");
      const list: Route = { page: "jobs", state: state === "active" || state === "final" ? state : "all" };
      const made: Route = { page: "job-new", projectId: query.get("project") };
      return parseThing(id, verb, { list, new: made, one: "job", edit: null }) ?? lost;
    }
    case "agents":
      if (id === "register" && verb === undefined) return { page: "agent-register" };
      return parseThing(id, verb, { list: { page: "agents" }, new: null, one: "agent", edit: null }) ?? lost;
    case "settings":
      if (id === undefined) return { page: "settings" };
      return id === "storage" && verb === "new" ? { page: "connection-new" } : lost;
    default:
      return lost;
  }
}

export function pathOf(route: Route): string {
  switch (route.page) {
    case "dashboard":
      return "/";
    case "clients":
      return "/clients";
    case "client-new":
      return "/clients/new";
    case "client":
      return `/clients/${encodeURIComponent(route.id)}`;
    case "client-edit":
      return `/clients/${encodeURIComponent(route.id)}/edit`;
    case "projects":
      return "/projects";
    case "project-new":
      return route.clientId === null
        ? "/projects/new"
        : `/projects/new?client=${encodeURIComponent(route.clientId)}`;
    case "project":
      return `/projects/${encodeURIComponent(route.id)}`;
    case "project-edit":
      return `/projects/${encodeURIComponent(route.id)}/edit`;
    case "jobs":
      return route.state === "all" ? "/jobs" : `/jobs?state=${route.state}`;
    case "job-new":
      return route.projectId === null
        ? "/jobs/new"
        : `/jobs/new?project=${encodeURIComponent(route.projectId)}`;
    case "job":
      return `/jobs/${encodeURIComponent(route.id)}`;
    case "agents":
      return "/agents";
    case "agent-register":
      return "/agents/register";
    case "agent":
      return `/agents/${encodeURIComponent(route.id)}`;
    case "settings":
      return "/settings";
    case "connection-new":
      return "/settings/storage/new";
    case "not-found":
      return route.path;
  }
}

interface ThingPages {
  readonly list: Route;
  readonly new: Route | null;
  readonly one: "client" | "project" | "job" | "agent";
  readonly edit: "client-edit" | "project-edit" | null;
}

function parseThing(id: string | undefined, verb: string | undefined, pages: ThingPages): Route | null {
  if (id === undefined) return pages.list;
  if (verb === "edit") return pages.edit === null ? null : { page: pages.edit, id };
  if (verb !== undefined) return null;
  return id === "new" && pages.new !== null ? pages.new : { page: pages.one, id };
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
