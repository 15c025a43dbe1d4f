/**
 * The one search box over clients, projects, jobs and agents. It asks a moment after the last letter, all four at once, and
 * shows the answers together, so that nothing moves under the cursor; what was asked before is dropped.
 */
import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { Agent, Client, Job, Project } from "../../schema/api.ts";
import { sentenceOf } from "../api.ts";
import type { Clock } from "../clock.ts";
import type { HomeApi } from "../home-api.ts";
import type { Route } from "./router.ts";

export type SearchHit =
  | { readonly kind: "client"; readonly item: Client }
  | { readonly kind: "project"; readonly item: Project }
  | { readonly kind: "job"; readonly item: Job }
  | { readonly kind: "agent"; readonly item: Agent };

/** Of one kind; `more` = there are others by this name. */
export interface SearchGroup {
  readonly kind: SearchHit["kind"];
  readonly hits: readonly SearchHit[];
  readonly more: boolean;
}

export type SearchState =
  | { readonly state: "idle" }
  | { readonly state: "searching" }
  | { readonly state: "ready" }
  | { readonly state: "failed"; readonly problem: string };

export interface SearchModel {
  readonly text: ReadonlySignal<string>;
  readonly state: ReadonlySignal<SearchState>;
  readonly groups: ReadonlySignal<readonly SearchGroup[]>;
  /** What Enter opens; null while there is nothing. */
  readonly chosen: ReadonlySignal<SearchHit | null>;
  type(text: string): void;
  /** To the next hit or the one before, round and round. */
  move(by: 1 | -1): void;
  retry(): void;
  close(): void;
}

const PAUSE_MS = 200;
const HITS_MAX = 5;
const TEXT_LENGTH_MAX = 100;

export function createSearch(world: { home: HomeApi; clock: Clock }): SearchModel {
  const { find } = world.home;
  const text = signal("");
  const state = signal<SearchState>({ state: "idle" });
  const groups = signal<readonly SearchGroup[]>([]);
  const at = signal(0);
  const hits = computed(() => groups.value.flatMap((group) => group.hits));
  let running = new AbortController();
  let cancelPause: () => void = () => {};

  function begin(pauseMs: number): void {
    cancelPause();
    running.abort();
    running = new AbortController();
    const sought = text.peek().trim();
    if (sought === "") {
      batch(() => {
        groups.value = [];
        state.value = { state: "idle" };
      });
      return;
    }
    state.value = { state: "searching" };
    const { signal: abort } = running;
    cancelPause = world.clock.after(pauseMs, () => void look(sought, abort));
  }

  async function look(sought: string, abort: AbortSignal): Promise<void> {
    const query = { search: sought, limit: HITS_MAX };
    try {
      const found = await Promise.all([
        find.clients(query, abort).then((page) => groupOf("client", page)),
        find.projects(query, abort).then((page) => groupOf("project", page)),
        find.jobs(query, abort).then((page) => groupOf("job", page)),
        find.agents(query, abort).then((page) => groupOf("agent", page)),
      ]);
      if (abort.aborted) return;
      batch(() => {
        groups.value = found.filter((group) => group.hits.length > 0);
        at.value = 0;
        state.value = { state: "ready" };
      });
    } catch (error) {
      if (abort.aborted) return;
      batch(() => {
        groups.value = [];
        state.value = { state: "failed", problem: sentenceOf(error) };
      });
    }
  }

  return {
    text,
    state,
    groups,
    chosen: computed(() => hits.value[at.value] ?? null),
    type(next) {
      const cut = next.slice(0, TEXT_LENGTH_MAX);
      if (cut === text.peek()) return;
      text.value = cut;
      begin(PAUSE_MS);
    },
    move(by) {
      const count = hits.peek().length;
      if (count > 0) at.value = (at.peek() + by + count) % count;
    },
    retry: () => begin(0),
    close() {
      cancelPause();
      running.abort();
    },
  };
}

function groupOf<Kind extends SearchHit["kind"]>(
  kind: Kind,
  page: { items: Extract<SearchHit, { kind: Kind }>["item"][]; nextCursor: string | null },
): SearchGroup {
  return {
    kind,
    hits: page.items.map((item) => ({ kind, item }) as SearchHit),
    more: page.nextCursor !== null,
  };
}

export function routeOf({ kind, item }: SearchHit): Route {
  return { page: kind, id: item.id };
}
