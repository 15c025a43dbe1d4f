/** All that outlives a page: session, route, live connection, toasts, the ticking clock. Pages make their own models. */
import { computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import { type Api, createApi, type Fetch } from "../api.ts";
import type { Clock } from "../clock.ts";
import type { LiveTopic, OpenSocket } from "../live.ts";
import { createLiveJobs, type LiveJobs } from "./live-jobs.ts";
import { type Address, createRouter, parsePath, pathOf, type Route, type Router } from "./router.ts";
import { createSession, type SessionModel } from "./session.ts";
import { createToasts, type ToastsModel } from "./toasts.ts";
import { type Unsaved, unsaved as unsavedOfPage } from "./unsaved.ts";

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
  /** As by the browser's own button. */
  goBack(): void;
  reload(): void;
  /** A text of this tab that outlives the page. */
  readonly note: { read(): string | null; write(text: string | null): void };
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
  readonly unsaved: Unsaved;
  /** The present, once a second: for countdowns and "3 min ago". */
  readonly nowMs: ReadonlySignal<number>;
  uuid(): string;
  copy(text: string): Promise<void>;
  /** The person leaves to sign in, and is to come back to the page that is open. */
  leaveToSignIn(): void;
}

const TICK_MS = 1_000;
/** Whoever takes longer to sign in has gone elsewhere meanwhile. */
const RETURN_MS_MAX = 30 * 60_000;

export function createApp(world: World, unsaved = unsavedOfPage): App {
  // The session needs the API, and the API tells the session when it is over.
  const api = createApi(world.fetch, () => session.lost());
  const session: SessionModel = createSession(api, {
    hasUnsaved: () => unsaved.any.peek(),
    startOver() {
      // Nothing to be asked about: what was typed belongs to somebody else.
      unsaved.discard();
      world.reload();
    },
  });
  const router = askFirst(createRouter(world.address), world, unsaved);
  const live = createLiveJobs(world, session);
  const nowMs = signal(world.clock.now());

  effect(() => {
    if (session.current.value.state === "signed_in") untracked(() => comeBack(world, router));
  });

  // One socket per page: it stays when the next page watches the same.
  const topic = computed(() =>
    session.current.value.state === "signed_in" && !session.waits.value ? topicOf(router.route.value) : null,
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
    unsaved,
    nowMs,
    uuid: world.uuid,
    copy: world.copy,
    leaveToSignIn() {
      world.note.write(`${world.clock.now()} ${world.address.read()}`);
    },
  };
}

/** Opens the page that was open when the person left to sign in, once and not long after. */
function comeBack({ note, clock }: World, router: Router): void {
  const text = note.read();
  if (text === null) return;
  note.write(null);
  const [atMs, ...path] = text.split(" ");
  const route = parsePath(path.join(" "));
  if (clock.now() - Number(atMs) <= RETURN_MS_MAX && route.page !== "not-found") router.replace(route);
}

/** A router whose links, and whose "back", ask first where something is not saved. What the pages do of themselves is not asked about. */
function askFirst(router: Router, world: World, unsaved: Unsaved): Router {
  return {
    ...router,
    open(path) {
      if (parsePath(path).page === "not-found") return false;
      unsaved.leave(() => router.open(path));
      return true;
    },
    moved() {
      if (!unsaved.any.peek()) return router.moved();
      // The browser has gone already. It is put back here, and goes again when it may.
      world.address.push(pathOf(router.route.peek()));
      unsaved.leave(() => world.goBack());
    },
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
    case "reports":
      return { kind: "organization" };
    case "clients":
    case "client":
    case "client-new":
    case "client-edit":
    case "projects":
    case "project-new":
    case "project-edit":
    case "job-new":
    case "job-print":
    case "agent-register":
    case "downloads":
    case "settings":
    case "settings-part":
    case "connection-new":
    case "connection-return":
    case "not-found":
      return null;
  }
}
