/** All that outlives a page: session, route, live connection, toasts, the ticking clock. Pages make their own models. */
import { computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import { type Api, createApi, type Fetch } from "../api.ts";
import type { Clock } from "../clock.ts";
import type { LiveTopic, OpenSocket } from "../live.ts";
import { createLiveJobs, type LiveJobs } from "./live-jobs.ts";
import { type Address, createRouter, type Route, type Router } from "./router.ts";
import { createSession, type SessionModel } from "./session.ts";
import { createToasts, type ToastsModel } from "./toasts.ts";

/** The browser, as far as the models need it. */
export interface World {
  readonly clock: Clock;
  readonly fetch: Fetch;
  readonly openSocket: OpenSocket;
  readonly address: Address;
  /** Where agents reach this deployment: `https://app.example.com`. */
  readonly origin: string;
  /** The reader's own, such as `Europe/Berlin`. */
  readonly timeZone: string;
  random(): number;
  uuid(): string;
  copy(text: string): Promise<void>;
}

export interface App {
  readonly api: Api;
  readonly clock: Clock;
  readonly origin: string;
  readonly timeZone: string;
  readonly router: Router;
  readonly session: SessionModel;
  readonly live: LiveJobs;
  readonly toasts: ToastsModel;
  /** The present, once a second: for countdowns and "3 min ago". */
  readonly nowMs: ReadonlySignal<number>;
  uuid(): string;
  copy(text: string): Promise<void>;
}

const TICK_MS = 1_000;

export function createApp(world: World): App {
  // The session needs the API, and the API tells the session when it is over.
  const api = createApi(world.fetch, () => session.lost());
  const session: SessionModel = createSession(api);
  const router = createRouter(world.address);
  const live = createLiveJobs(world, session);
  const nowMs = signal(world.clock.now());

  // One socket per page: it stays when the next page watches the same.
  const topic = computed(() =>
    session.current.value.state === "signed_in" ? topicOf(router.route.value) : null,
  );
  effect(() => {
    const next = topic.value;
    untracked(() => live.watch(next));
  });

  const tick = () => {
    nowMs.value = world.clock.now();
    world.clock.after(TICK_MS, tick);
  };
  world.clock.after(TICK_MS, tick);

  return {
    api,
    clock: world.clock,
    origin: world.origin,
    timeZone: world.timeZone,
    router,
    session,
    live,
    toasts: createToasts(world.clock),
    nowMs,
    uuid: world.uuid,
    copy: world.copy,
  };
}

/** What a page watches; pages without anything that moves keep no socket. */
export function topicOf(route: Route): LiveTopic | null {
  switch (route.page) {
    case "job":
      return { kind: "job", jobId: route.id };
    case "dashboard":
    case "jobs":
    case "project":
    case "agents":
    case "agent":
      return { kind: "organization" };
    case "clients":
    case "client":
    case "client-new":
    case "client-edit":
    case "projects":
    case "project-new":
    case "project-edit":
    case "job-new":
    case "agent-register":
    case "settings":
    case "connection-new":
    case "not-found":
      return null;
  }
}
