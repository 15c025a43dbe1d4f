/** Lists of jobs, with the live state of each. */
import { computed, effect, type ReadonlySignal } from "@preact/signals";
import type { Job } from "../../schema/api.ts";
import type { Api, JobQuery } from "../api.ts";
import type { Clock } from "../clock.ts";
import { isFinal } from "../contract.ts";
import { figuresOf, type JobFigures } from "./job-figures.ts";
import type { LiveJobs } from "./live-jobs.ts";
import { createList, type ListModel } from "./remote.ts";

/** Live news of jobs this list does not hold, or that ended, make it ask again; never more often than this. */
const RELOAD_MS_MIN = 2_000;

export interface JobRow {
  readonly job: Job;
  readonly figures: JobFigures;
}

export interface JobListModel {
  readonly list: ListModel<Job>;
  readonly rows: ReadonlySignal<readonly JobRow[]>;
  /** Another part of the jobs, or in another order. */
  show(asked: JobListAsk): void;
  open(): void;
  close(): void;
}

export interface JobListWorld {
  readonly api: Api;
  readonly clock: Clock;
  readonly live: LiveJobs;
}

export type JobListAsk = Omit<JobQuery, "cursor" | "limit">;

export function createJobList(world: JobListWorld, begun: JobListAsk): JobListModel {
  const { api, clock, live } = world;
  let query = begun;
  let askedAtMs = 0;
  let stop: () => void = () => {};
  let cancelReload: (() => void) | null = null;
  const list = createList<Job>((page, abort) => {
    askedAtMs = clock.now();
    return api.jobs.list({ ...query, ...page }, abort);
  });
  const rows = computed(() =>
    list.items.value.map((job) => ({
      job,
      figures: figuresOf({ job, askedAtMs }, live.jobs.value.get(job.id)),
    })),
  );

  function reloadSoon(): void {
    cancelReload ??= clock.after(RELOAD_MS_MIN, () => {
      cancelReload = null;
      void list.reload();
    });
  }

  /** The live jobs that are missing here or have just ended, as one word to compare. */
  function findNews(): string {
    if (list.remote.value.state !== "ready") return "";
    const held = new Map(list.items.value.map((job) => [job.id, job]));
    const news: string[] = [];
    for (const { job } of live.jobs.value.values()) {
      const told = held.get(job.jobId);
      const ended = isFinal(job.status);
      if (told === undefined ? mayBelong(ended) : ended !== isFinal(told.status))
        news.push(`${job.jobId} ${ended}`);
    }
    return news.sort().join();
  }

  function mayBelong(ended: boolean): boolean {
    // Whether a job fits a search, only the server knows; it is asked when the person asks.
    if (query.search !== undefined || query.status !== undefined) return false;
    if (query.state !== undefined) return ended === (query.state === "final");
    return !ended;
  }

  return {
    list,
    rows,
    show(asked) {
      if (JSON.stringify(asked) === JSON.stringify(query)) return;
      query = asked;
      void list.restart();
    },
    open() {
      void list.reload();
      let gapsSeen = live.gaps.peek();
      // Once for each piece of news: a job may stay missing because it is on a later page, or of another project.
      let newsSeen = "";
      const stopNews = effect(() => {
        const news = findNews();
        if (news !== "" && news !== newsSeen) reloadSoon();
        newsSeen = news;
      });
      const stopGaps = effect(() => {
        if (live.gaps.value !== gapsSeen) void list.reload();
        gapsSeen = live.gaps.value;
      });
      stop = () => {
        stopNews();
        stopGaps();
      };
    },
    close() {
      stop();
      cancelReload?.();
      cancelReload = null;
      list.close();
    },
  };
}
