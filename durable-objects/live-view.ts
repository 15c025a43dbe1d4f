/**
 * What dashboards see of one agent: the newest state of its jobs, in memory only, handed to those who watch a job here and
 * to the organization's feed. Every message is whole, so one that is lost or late is made good by the next.
 */
import type { JobTotals } from "../schema/job.ts";
import { LIVE_CLOSE, type LiveFrame, type LiveJob, type LiveMessage } from "../schema/live.ts";
import { Newest } from "./viewer-window.ts";

/** A dashboard's socket at an agent's object. */
export interface ViewerSocket {
  readonly jobId: string;
  readonly untilMs: number;
  tell(frame: LiveFrame): void;
  close(code: number, reason: string): void;
}

export interface LiveViewWorld {
  viewers(): ViewerSocket[];
  /** Tells the organization's feed; resolves in bounded time with whether anybody watches it, and never rejects. */
  publish(orgId: string, frame: LiveFrame): Promise<boolean>;
  now(): number;
}

/** Only the newest jobs are kept in memory; an agent runs few at once. */
const LIVE_KEPT_MAX = 64;

export class LiveView {
  readonly #world: LiveViewWorld;
  readonly #jobs = new Map<string, LiveJob>();
  readonly #onWatched: () => void;
  #feedWatched = false;
  /** What the feed is told when it has taken what it was told before: a feed that is slow holds nobody up, and gets the newest. */
  readonly #untold = new Newest();
  #isTelling = false;

  /** `onWatched` is called when the feed has said whether anybody watches. */
  constructor(world: LiveViewWorld, onWatched: () => void) {
    this.#world = world;
    this.#onWatched = onWatched;
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
    viewer.tell([{ type: "snapshot", jobs: job === null ? [] : [job] }]);
  }

  show(orgId: string, state: LiveJob, agentOnline: boolean): void {
    const job = { ...state, updatedAt: this.#timestamp(), agentOnline };
    this.keep(job);
    const message: LiveMessage = { type: "job", job };
    for (const viewer of this.#world.viewers()) {
      if (viewer.jobId === job.jobId) viewer.tell([message]);
    }
    void this.#tellFeed(orgId, message);
  }

  showPresence({ orgId, agentId }: { orgId: string; agentId: string }, online: boolean): void {
    for (const [jobId, live] of this.#jobs) {
      const job = online ? live : quiet(live);
      this.#jobs.set(jobId, { ...job, agentOnline: online, updatedAt: this.#timestamp() });
    }
    const message: LiveMessage = { type: "agent", agentId, online };
    for (const viewer of this.#world.viewers()) viewer.tell([message]);
    void this.#tellFeed(orgId, message);
  }

  async #tellFeed(orgId: string, message: LiveMessage): Promise<void> {
    this.#untold.put(message);
    if (this.#isTelling) return;
    this.#isTelling = true;
    while (this.#untold.size > 0) {
      this.#feedWatched = await this.#world.publish(orgId, this.#untold.take());
      this.#onWatched();
    }
    this.#isTelling = false;
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
