/** The first page: how far the set-up is, what is running, what was moved, what has ended. */
import { computed, effect, type ReadonlySignal } from "@preact/signals";
import type { Overview } from "../../schema/api.ts";
import { createJobList, type JobListModel, type JobListWorld } from "./jobs.ts";
import { createRemote, type RemoteModel } from "./remote.ts";

/** The counts cost more to ask for than a list, so they follow the news at a distance. */
const COUNTS_MS_MIN = 10_000;
/** What was moved today goes up while nothing else is new. */
const COUNTS_MS_MAX = 60_000;
const DAY_MS = 86_400_000;

export type SetupStep = "organization" | "agent" | "storage" | "client" | "project";
export interface SetupState {
  readonly step: SetupStep;
  readonly done: boolean;
}

export interface DashboardModel {
  readonly overview: RemoteModel<Overview>;
  readonly setup: ReadonlySignal<readonly SetupState[]>;
  readonly active: JobListModel;
  readonly ended: JobListModel;
  open(): void;
  close(): void;
}

export interface DashboardWorld extends JobListWorld {
  /** The reader's own. */
  readonly timeZone: string;
}

export function createDashboard(world: DashboardWorld): DashboardModel {
  const { api, clock, live } = world;
  const overview = createRemote((abort) =>
    api.overview({ today: dayOf(beginOfToday(clock.now(), world.timeZone)) }, abort),
  );
  const active = createJobList(world, { state: "active" });
  const ended = createJobList(world, { state: "final" });
  let askedAtMs = -Infinity;
  let cancelSoon: (() => void) | null = null;
  let cancelLater: () => void = () => {};
  let stop: () => void = () => {};

  function askSoon(): void {
    cancelSoon ??= clock.after(Math.max(0, askedAtMs + COUNTS_MS_MIN - clock.now()), () => {
      cancelSoon = null;
      cancelLater();
      askedAtMs = clock.now();
      void overview.reload();
      cancelLater = clock.after(COUNTS_MS_MAX, askSoon);
    });
  }

  return {
    overview,
    setup: computed(() => (overview.value.value === null ? [] : setupOf(overview.value.value))),
    active,
    ended,
    open() {
      active.open();
      ended.open();
      // Totals move when a job joins or leaves the lists, and when an agent comes or goes.
      stop = effect(() => {
        void active.list.items.value;
        void ended.list.items.value;
        void live.agents.value;
        askSoon();
      });
    },
    close() {
      stop();
      cancelSoon?.();
      cancelSoon = null;
      cancelLater();
      overview.close();
      active.close();
      ended.close();
    },
  };
}

/** In the order in which they are done. Whoever sees this has an organization that may use Migrate. */
export function setupOf(overview: Overview): readonly SetupState[] {
  return [
    { step: "organization", done: true },
    { step: "agent", done: overview.agents.total > 0 },
    { step: "storage", done: overview.connections > 0 },
    { step: "client", done: overview.clients > 0 },
    { step: "project", done: overview.projects > 0 },
  ];
}

/**
 * When what counts as today began. Usage is kept by days of UTC, as it is billed, so it is the midnight there that is
 * nearest to the reader's own.
 */
export function beginOfToday(nowMs: number, timeZone: string): number {
  const parts = new Intl.DateTimeFormat("en", {
    timeZone,
    hour: "numeric",
    minute: "numeric",
    hourCycle: "h23",
  }).formatToParts(nowMs);
  const read = (type: "hour" | "minute") => Number(parts.find((part) => part.type === type)?.value ?? 0);
  const midnightMs = nowMs - (read("hour") * 60 + read("minute")) * 60_000;
  return Math.round(midnightMs / DAY_MS) * DAY_MS;
}

function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}
