/**
 * What needs a person now. Asked for once a minute while somebody can see it, and a moment after live news of agents and of
 * jobs that ended; never more often than every ten seconds, however much happens.
 */
import { computed, effect, type ReadonlySignal } from "@preact/signals";
import type { Notification, Notifications } from "../../schema/notifications.ts";
import type { Clock } from "../clock.ts";
import { isFinal } from "../contract.ts";
import type { HomeApi } from "../home-api.ts";
import type { LiveJobs } from "./live-jobs.ts";
import { createRemote, type Remote } from "./remote.ts";
import type { Route } from "./router.ts";

export interface NotificationsModel {
  readonly remote: ReadonlySignal<Remote<Notifications>>;
  /** What stands on the badge; empty for none. */
  readonly badge: ReadonlySignal<string>;
  reload(): Promise<void>;
  /** Somebody looks again, after a while perhaps. */
  wake(): void;
  open(): void;
  close(): void;
}

export interface NotificationsWorld {
  readonly home: HomeApi;
  readonly clock: Clock;
  readonly live: Pick<LiveJobs, "agents" | "jobs" | "gaps">;
  isVisible(): boolean;
}

const POLL_MS = 60_000;
const NEWS_MS_MIN = 10_000;
const BADGE_MAX = 99;

export function createNotifications({
  home,
  clock,
  live,
  isVisible,
}: NotificationsWorld): NotificationsModel {
  const told = createRemote((abort) => home.notifications(abort));
  let askedAtMs = -Infinity;
  let cancelPoll: () => void = () => {};
  let cancelSoon: (() => void) | null = null;
  let stop: () => void = () => {};

  function ask(): Promise<void> {
    cancelSoon?.();
    cancelSoon = null;
    askedAtMs = clock.now();
    return told.reload();
  }

  function askSoon(): void {
    cancelSoon ??= clock.after(Math.max(0, askedAtMs + NEWS_MS_MIN - clock.now()), () => void ask());
  }

  function poll(): void {
    cancelPoll = clock.after(POLL_MS, () => {
      if (isVisible() && clock.now() - askedAtMs >= POLL_MS) void ask();
      poll();
    });
  }

  /** Which agents are there and which jobs have ended, as one word to compare. */
  function news(): string {
    const agents = [...live.agents.value].map(([id, online]) => `${id} ${online}`);
    const ended = [...live.jobs.value.values()].filter(({ job }) => isFinal(job.status));
    return [live.gaps.value, ...agents, ...ended.map(({ job }) => `${job.jobId} ${job.status}`)].join();
  }

  return {
    remote: told.remote,
    badge: computed(() => badgeOf(told.value.value)),
    reload: ask,
    wake() {
      if (clock.now() - askedAtMs >= POLL_MS) void ask();
    },
    open() {
      void ask();
      poll();
      let seen = "";
      let isFirst = true;
      stop = effect(() => {
        const now = news();
        if (!isFirst && now !== seen) askSoon();
        isFirst = false;
        seen = now;
      });
    },
    close() {
      stop();
      cancelPoll();
      cancelSoon?.();
      cancelSoon = null;
      told.close();
    },
  };
}

function badgeOf(told: Notifications | null): string {
  const count = told?.items.length ?? 0;
  if (count === 0) return "";
  return count > BADGE_MAX || told?.more === true ? `${Math.min(count, BADGE_MAX)}+` : String(count);
}

/** Where the next step is taken. */
export function routeOf(item: Notification): Route {
  switch (item.kind) {
    case "connection_refused":
    case "connection_lapses":
      return { page: "settings-part", part: "storage" };
    case "agent":
      // Agents that wait are approved above the list of agents.
      return item.status === "pending" ? { page: "agents" } : { page: "agent", id: item.agentId };
    case "job_failed":
      return { page: "job", id: item.jobId };
  }
}
