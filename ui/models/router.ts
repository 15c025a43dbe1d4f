/** Which page is shown. Paths are parsed once here; everywhere else a page is a `Route`. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { isPlain, type ListState, listText, parseList } from "./list-state.ts";

export type Route =
  | { readonly page: "dashboard" }
  | { readonly page: "clients"; readonly list?: ListState }
  | { readonly page: "client-new" }
  | { readonly page: "client"; readonly id: string }
  | { readonly page: "client-edit"; readonly id: string }
  | { readonly page: "projects"; readonly list?: ListState }
  | { readonly page: "project-new"; readonly clientId: string | null }
  | { readonly page: "project"; readonly id: string }
  | { readonly page: "project-edit"; readonly id: string }
  | { readonly page: "jobs"; readonly state: "all" | "active" | "final"; readonly list?: ListState }
  | { readonly page: "job-new"; readonly projectId: string | null }
  | { readonly page: "job"; readonly id: string }
  /** The job's report, made to be printed. */
  | { readonly page: "job-print"; readonly id: string }
  | { readonly page: "agents"; readonly list?: ListState }
  | { readonly page: "agent-register" }
  | { readonly page: "agent"; readonly id: string }
  | { readonly page: "reports"; readonly list?: ListState }
  | { readonly page: "downloads" }
  | { readonly page: "settings" }
  | { readonly page: "settings-part"; readonly part: SettingsPart }
  | { readonly page: "connection-new" }
  /** Back from signing in with Microsoft, with what became of it. */
  | { readonly page: "connection-return"; readonly outcome: SignInOutcome; readonly value: string }
  | { readonly page: "not-found"; readonly path: string };

/** `consent` = an account is to be chosen; `connected` = a connection works again; `azure` = a fault. */
const SIGN_IN_OUTCOMES = ["consent", "connected", "azure"] as const;
export type SignInOutcome = (typeof SIGN_IN_OUTCOMES)[number];
const SETTINGS_PARTS = ["storage", "members", "sessions", "codes", "api-keys", "webhooks", "audit"] as const;
export type SettingsPart = (typeof SETTINGS_PARTS)[number];

/** What a list may be narrowed to; the API knows the rest. */
export const CLIENT_FILTERS = ["active", "archived"] as const;
export const AGENT_FILTERS = ["online", "offline", "pending", "locked", "revoked"] as const;
export const JOB_FILTERS = ["failed", "paused"] as const;
export const REPORT_FILTERS = ["completed", "failed", "cancelled"] as const;

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
          list: { page: "clients", ...listOf(query, CLIENT_FILTERS) },
          new: { page: "client-new" },
          one: "client",
          edit: "client-edit",
        }) ?? lost
      );
    case "projects": {
      const made: Route = { page: "project-new", clientId: query.get("client") };
      return (
        parseThing(id, verb, {
          list: { page: "projects", ...listOf(query, []) },
          new: made,
          one: "project",
          edit: "project-edit",
        }) ?? lost
      );
    }
    case "jobs": {
      if (id !== undefined && id !== "new" && verb === "report") return { page: "job-print", id };
      const said = query.get("state");
      const state = said === "active" || said === "final" ? said : "all";
      const list: Route = { page: "jobs", state, ...listOf(query, JOB_FILTERS) };
      const made: Route = { page: "job-new", projectId: query.get("project") };
      return parseThing(id, verb, { list, new: made, one: "job", edit: null }) ?? lost;
    }
    case "agents":
      if (id === "register" && verb === undefined) return { page: "agent-register" };
      return (
        parseThing(id, verb, {
          list: { page: "agents", ...listOf(query, AGENT_FILTERS) },
          new: null,
          one: "agent",
          edit: null,
        }) ?? lost
      );
    case "reports":
      return id === undefined ? { page: "reports", ...listOf(query, REPORT_FILTERS) } : lost;
    case "downloads":
      return id === undefined ? { page: "downloads" } : lost;
    case "settings": {
      if (id === undefined) {
        const outcome = SIGN_IN_OUTCOMES.find((name) => query.has(name));
        return outcome === undefined
          ? { page: "settings" }
          : { page: "connection-return", outcome, value: query.get(outcome) ?? "" };
      }
      const part = SETTINGS_PARTS.find((name) => name === id);
      if (part !== undefined && verb === undefined) return { page: "settings-part", part };
      return id === "storage" && verb === "new" ? { page: "connection-new" } : lost;
    }
    default:
      return lost;
  }
}

export function pathOf(route: Route): string {
  switch (route.page) {
    case "dashboard":
      return "/";
    case "clients":
      return withList("/clients", route.list);
    case "client-new":
      return "/clients/new";
    case "client":
      return `/clients/${encodeURIComponent(route.id)}`;
    case "client-edit":
      return `/clients/${encodeURIComponent(route.id)}/edit`;
    case "projects":
      return withList("/projects", route.list);
    case "project-new":
      return route.clientId === null
        ? "/projects/new"
        : `/projects/new?client=${encodeURIComponent(route.clientId)}`;
    case "project":
      return `/projects/${encodeURIComponent(route.id)}`;
    case "project-edit":
      return `/projects/${encodeURIComponent(route.id)}/edit`;
    case "jobs":
      return withList(route.state === "all" ? "/jobs" : `/jobs?state=${route.state}`, route.list);
    case "job-new":
      return route.projectId === null
        ? "/jobs/new"
        : `/jobs/new?project=${encodeURIComponent(route.projectId)}`;
    case "job":
      return `/jobs/${encodeURIComponent(route.id)}`;
    case "job-print":
      return `/jobs/${encodeURIComponent(route.id)}/report`;
    case "reports":
      return withList("/reports", route.list);
    case "downloads":
      return "/downloads";
    case "agents":
      return withList("/agents", route.list);
    case "agent-register":
      return "/agents/register";
    case "agent":
      return `/agents/${encodeURIComponent(route.id)}`;
    case "settings":
      return "/settings";
    case "settings-part":
      return `/settings/${route.part}`;
    case "connection-return":
      return `/settings?${route.outcome}=${encodeURIComponent(route.value)}`;
    case "connection-new":
      return "/settings/storage/new";
    case "not-found":
      return route.path;
  }
}

/** Left out where the list is as it comes, so that a plain page has one route. */
function listOf(query: URLSearchParams, statuses: readonly string[]): { readonly list?: ListState } {
  const list = parseList(query, statuses);
  return isPlain(list) ? {} : { list };
}

function withList(path: string, list: ListState | undefined): string {
  const text = list === undefined ? "" : listText(list);
  return text === "" ? path : `${path}${path.includes("?") ? "&" : "?"}${text}`;
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
