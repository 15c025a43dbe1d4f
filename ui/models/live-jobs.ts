/**
 * The newest known state of every job that is watched.
 *
 * Of two states of one job the one with the higher epoch wins, then the later `updatedAt`, in whatever order they came.
 * What arrives is collected, newest per job, and shown at our own pace: hundreds of running jobs cost one redraw, not hundreds.
 */
import { batch, type ReadonlySignal, signal } from "@preact/signals";
import type { LiveJob, LiveMessage } from "../../schema/live.ts";
import { createLiveConnection, type LiveState, type LiveTopic, type LiveWorld } from "../live.ts";

const REDRAW_MS_MIN = 100;

const STILL = { bytesPerSecond: 0, secondsRemaining: null, currentPath: null, waiting: null } as const;

/** A live state and when this page heard it, to weigh it against an answer of the API. */
export interface HeardJob {
  readonly job: LiveJob;
  readonly heardAtMs: number;
}

export interface LiveJobs {
  readonly state: ReadonlySignal<LiveState>;
  readonly jobs: ReadonlySignal<ReadonlyMap<string, HeardJob>>;
  /** Which agents came or went since the page was opened. */
  readonly agents: ReadonlySignal<ReadonlyMap<string, boolean>>;
  /** Counts the gaps that are over: whoever shows fetched values fetches them again when it changes. */
  readonly gaps: ReadonlySignal<number>;
  watch(topic: LiveTopic | null): void;
  retryNow(): void;
}

export function createLiveJobs(world: LiveWorld, session: { lost(): void; load(): Promise<void> }): LiveJobs {
  const state = signal<LiveState>("off");
  const jobs = signal<ReadonlyMap<string, HeardJob>>(new Map());
  const agents = signal<ReadonlyMap<string, boolean>>(new Map());
  const gaps = signal(0);
  // Bounded by the jobs there are (at most LIVE_JOBS_MAX active ones): one entry each, the newest.
  const inbox = new Map<string, HeardJob>();
  let redrawIsDue = false;

  function receive(message: LiveMessage): void {
    switch (message.type) {
      case "snapshot":
        return showSnapshot(message.jobs);
      case "job":
        keepNewer(inbox, { job: message.job, heardAtMs: world.clock.now() });
        return redrawSoon();
      case "agent":
        agents.value = new Map(agents.value).set(message.agentId, message.online);
        return showPresence(message.agentId, message.online);
    }
  }

  /** A snapshot is all there is: jobs it does not hold ended while we were not listening. */
  function showSnapshot(snapshot: readonly LiveJob[]): void {
    const next = new Map<string, HeardJob>();
    for (const job of snapshot) {
      next.set(job.jobId, { job, heardAtMs: world.clock.now() });
      for (const held of [jobs.value.get(job.jobId), inbox.get(job.jobId)]) if (held) keepNewer(next, held);
    }
    inbox.clear();
    jobs.value = next;
  }

  /** Nobody says it job by job: without its agent nothing of a job moves. */
  function showPresence(agentId: string, online: boolean): void {
    for (const [id, held] of jobs.value) {
      const { job } = inbox.get(id) ?? held;
      if (job.agentId !== agentId || job.agentOnline === online) continue;
      const shown = online ? job : { ...job, ...STILL };
      inbox.set(id, { job: { ...shown, agentOnline: online }, heardAtMs: world.clock.now() });
    }
    if (inbox.size > 0) redrawSoon();
  }

  function redrawSoon(): void {
    if (redrawIsDue) return;
    redrawIsDue = true;
    world.clock.after(REDRAW_MS_MIN, () => {
      redrawIsDue = false;
      const next = new Map(jobs.value);
      for (const heard of inbox.values()) keepNewer(next, heard);
      inbox.clear();
      jobs.value = next;
    });
  }

  const connection = createLiveConnection(world, {
    onMessage: receive,
    onState: (next) => {
      state.value = next;
    },
    onReopened: () => {
      gaps.value++;
    },
    onDoubt: () => void session.load(),
    onSignedOut: () => session.lost(),
  });

  return {
    state,
    jobs,
    agents,
    gaps,
    watch(topic) {
      batch(() => connection.watch(topic));
    },
    retryNow: connection.retryNow,
  };
}

/** True if `next` tells of a later moment than `held`, or of the same one. */
export function isNewer(next: LiveJob, held: LiveJob): boolean {
  if (next.epoch !== held.epoch) return next.epoch > held.epoch;
  return Date.parse(next.updatedAt) >= Date.parse(held.updatedAt);
}

function keepNewer(into: Map<string, HeardJob>, next: HeardJob): void {
  const held = into.get(next.job.jobId);
  if (held === undefined || isNewer(next.job, held.job)) into.set(next.job.jobId, next);
}
