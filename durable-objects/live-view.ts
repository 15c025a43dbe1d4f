/**
 * What dashboards see of one agent: the newest state of its jobs, in memory only, handed to those who watch a job here and
 * to the organization's feed. Every message is whole, so one that is lost or late is made good by the next.
 */
import type { JobTotals } from "../schema/job.ts";
import { LIVE_CLOSE, type LiveJob, type LiveMessage } from "../schema/live.ts";

/** A dashboard's socket at an agent's object. */
export interface ViewerSocket {
  readonly jobId: string;
  readonly untilMs: number;
  send(text: string): void;
  close(code: number, reason: string): void;
}

export interface LiveViewWorld {
  viewers(): ViewerSocket[];
  /** Tells the organization's feed; resolves with whether anybody watches it. */
  publish(orgId: string, message: LiveMessage): Promise<boolean>;
  now(): number;
}

/** Only the newest jobs are kept in memory; an agent runs few at once. */
const LIVE_KEPT_MAX = 64;

export class LiveView {
  readonly #world: LiveViewWorld;
  readonly #jobs = new Map<string, LiveJob>();
  #feedWatched = false;

  constructor(world: LiveViewWorld) {
    this.#world = world;
  }

  /** Whether anybody looks, here or at the feed. */
  get watched(): boolean {
    return this.#feedWatched || this.#world.viewers().length > 0;
  }

  /** Somebody opened the feed. */
  watchFeed(): void {
    this.#feedWatched = true;
  }

  find(jobId: string): LiveJob | undefined {
    return this.#jobs.get(jobId);
  }

  keep(job: LiveJob): void {
    this.#jobs.delete(job.jobId);
    this.#jobs.set(job.jobId, job);
    const oldest = this.#jobs.keys().next().value;
    if (this.#jobs.size > LIVE_KEPT_MAX && oldest !== undefined) this.#jobs.delete(oldest);
  }

  forget(jobId: string): void {
    this.#jobs.delete(jobId);
  }

  /** The job is at another agent now: whoever looks here connects again, and gets there. */
  release(jobId: string): void {
    this.forget(jobId);
    for (const viewer of this.#world.viewers()) {
      if (viewer.jobId === jobId) viewer.close(LIVE_CLOSE.checkSession, "the job is at another agent");
    }
  }

  /** A new viewer's first message. */
  greet(viewer: ViewerSocket, job: LiveJob | null): void {
    viewer.send(textOf({ type: "snapshot", jobs: job === null ? [] : [job] }));
  }

  async show(orgId: string, state: LiveJob, agentOnline: boolean): Promise<void> {
    const job = { ...state, updatedAt: this.#timestamp(), agentOnline };
    this.keep(job);
    const message: LiveMessage = { type: "job", job };
    for (const viewer of this.#world.viewers()) {
      if (viewer.jobId === job.jobId) viewer.send(textOf(message));
    }
    this.#feedWatched = await this.#world.publish(orgId, message);
  }

  async showPresence({ orgId, agentId }: { orgId: string; agentId: string }, online: boolean): Promise<void> {
    for (const [jobId, live] of this.#jobs) {
      const job = online ? live : quiet(live);
      this.#jobs.set(jobId, { ...job, agentOnline: online, updatedAt: this.#timestamp() });
    }
    const message: LiveMessage = { type: "agent", agentId, online };
    for (const viewer of this.#world.viewers()) viewer.send(textOf(message));
    this.#feedWatched = await this.#world.publish(orgId, message);
  }

  #timestamp(): string {
    return new Date(this.#world.now()).toISOString();
  }
}

/** A job in which nothing moves. */
export function quiet(live: LiveJob): LiveJob {
  return { ...live, bytesPerSecond: 0, secondsRemaining: null, currentPath: null, waiting: null };
}

/** Totals that do not fall, whichever of two reports is the later one. */
export function risen(before: JobTotals, after: JobTotals): JobTotals {
  const totals = { ...after };
  for (const key of Object.keys(totals) as (keyof JobTotals)[])
    totals[key] = Math.max(before[key], after[key]);
  return totals;
}

function textOf(message: LiveMessage): string {
  return JSON.stringify(message);
}
