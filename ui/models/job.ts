/** The page of one job: followed live, controlled, and at its end reported. */
import { computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import type { Job, JobRetried } from "../../schema/api.ts";
import { type FieldErrors, type JobAction, sentenceOf } from "../api.ts";
import { isFinal } from "../contract.ts";
import { createForm, type Form } from "./form.ts";
import { createJobChanges, type JobChanges } from "./job-changes.ts";
import { createFailureList, type FailureList } from "./job-failures.ts";
import { figuresOf, isNewsTo, type JobFigures } from "./job-figures.ts";
import { limitOf } from "./job-line.ts";
import { createJobLog, type JobLogModel } from "./job-log.ts";
import { createSpeedRecord, type SpeedSample } from "./job-speed.ts";
import type { JobListWorld } from "./jobs.ts";
import { checkMegabits, megabitsOf } from "./megabits.ts";
import { createRemote, type Remote } from "./remote.ts";
import type { ToastsModel } from "./toasts.ts";
import { job as texts } from "../texts/job.ts";

/** How often the API is asked while a wish is on its way to the agent, or a report on its way to us. */
const TEND_MS = 2_000;
/** Failures are fetched anew no more often than this while a job runs. */
const FAILURES_MS_MIN = 5_000;
/** What just happened is in the log a moment later. */
const LOG_DELAY_MS = 1_000;

/** The one thing of a job that may change while it runs. */
export interface LimitValues {
  /** As typed; empty = none of its own. */
  readonly bandwidthMbps: string;
}

export interface JobPageModel {
  readonly remote: ReadonlySignal<Remote<Job>>;
  readonly job: ReadonlySignal<Job | null>;
  readonly figures: ReadonlySignal<JobFigures | null>;
  readonly failures: FailureList["items"];
  readonly samples: ReadonlySignal<readonly SpeedSample[]>;
  /** Since when none of the job's figures has moved, as far as this page knows. */
  readonly stillSinceMs: ReadonlySignal<number | null>;
  readonly log: Omit<JobLogModel, "reload">;
  readonly changes: JobChanges;
  /** The action that is being asked for. */
  readonly asking: ReadonlySignal<JobAction | "retry_failed" | null>;
  /** The limit of the line while it is being changed. */
  readonly limitForm: ReadonlySignal<Form<LimitValues> | null>;
  /** The agent has not yet confirmed the limit that was set here. */
  readonly limitIsPending: ReadonlySignal<boolean>;
  act(action: JobAction): Promise<void>;
  /** Begins anew with the files that failed, as far as they are known; else with everything, and tells so. */
  retryFailed(): Promise<void>;
  editLimit(): void;
  cancelEditLimit(): void;
  reload(): Promise<void>;
  open(): void;
  close(): void;
}

export interface JobPageWorld extends JobListWorld {
  readonly toasts: ToastsModel;
  uuid(): string;
  /** Called with a job that was made like this one. */
  duplicated(job: Job): void;
}

export function createJobPage(world: JobPageWorld, jobId: string): JobPageModel {
  const { api, clock, live, toasts } = world;
  const told = createRemote(async (abort) => {
    const askedAtMs = clock.now();
    return { job: await api.jobs.get(jobId, abort), askedAtMs };
  });
  const heard = computed(() => live.jobs.value.get(jobId));
  const figures = computed(() =>
    told.value.value === null ? null : figuresOf(told.value.value, heard.value),
  );
  const asking = signal<JobPageModel["asking"]["value"]>(null);
  const stillSinceMs = signal<number | null>(null);
  const limitForm = signal<Form<LimitValues> | null>(null);
  /** The revision of the wish that carries the limit set here; 0 = none was. */
  const limitRevision = signal(0);
  const limitIsPending = computed(() => {
    const job = told.value.value?.job;
    return job !== undefined && !isFinal(job.status) && job.appliedRev < limitRevision.value;
  });
  const closing = new AbortController();
  const failures = createFailureList(api, jobId, closing.signal);
  const record = createSpeedRecord();
  const log = createJobLog(api, jobId, closing.signal);
  const changes = createJobChanges({
    api,
    clock,
    closing: closing.signal,
    uuid: () => world.uuid(),
    duplicated: (job) => world.duplicated(job),
    changed(job, told) {
      put(job);
      toasts.show("success", told);
    },
  });
  let stops: (() => void)[] = [];
  let cancelTend: (() => void) | null = null;
  let cancelFailures: (() => void) | null = null;
  let cancelLog: (() => void) | null = null;
  let newsAsked = "";

  /** True while something is known to be missing: a confirmation, or the report. */
  function isWaiting(): boolean {
    const job = told.value.value?.job;
    const shown = figures.value;
    if (job === undefined || shown === null) return false;
    const reportIsDue = isFinal(shown.status) && job.report === null && shown.agentOnline;
    return shown.pendingWish !== null || limitIsPending.value || reportIsDue;
  }

  function tend(): void {
    if (!isWaiting()) return;
    cancelTend ??= clock.after(TEND_MS, () => {
      cancelTend = null;
      // What was waited for may have come by another way.
      if (untracked(isWaiting)) void told.reload().then(() => untracked(tend));
    });
  }

  /** A change of state is more than a live message holds (report, revisions): asks once for each. */
  function followNews(): void {
    const news = heard.value?.job;
    const job = told.value.value?.job;
    if (news === undefined || job === undefined || !isNewsTo(job, news)) return;
    const key = `${news.epoch} ${news.status} ${news.desiredState} ${news.agentOnline}`;
    if (key === newsAsked) return;
    newsAsked = key;
    void told.reload();
  }

  function keepSpeed(): void {
    const job = heard.value?.job;
    const config = untracked(() => toldJob()?.config);
    // Until the job itself is known, so is no limit.
    if (job === undefined || config === undefined) return;
    const shown = untracked(() => figures.value);
    const atMs = clock.now();
    if (job.status !== "running" || !job.agentOnline) {
      record.add({ atMs, bytesPerSecond: null, limitMegabits: null });
      return;
    }
    const own = limitOf(config, atMs).megabitsPerSecond;
    // What the agent says of another job's limit counts as well: it is one line.
    const said = shown?.waiting?.reason === "bandwidth" ? (shown.waiting.megabitsPerSecond ?? null) : null;
    record.add({ atMs, bytesPerSecond: job.bytesPerSecond, limitMegabits: said ?? own });
  }

  const movement = computed(() => {
    const shown = figures.value;
    if (shown === null) return null;
    const { epoch, status, totals, bytesInFlight, currentPath, waiting, agentOnline } = shown;
    return JSON.stringify([epoch, status, totals, bytesInFlight, currentPath, waiting?.reason, agentOnline]);
  });

  function failuresSoon(delayMs: number): void {
    cancelFailures ??= clock.after(delayMs, () => {
      cancelFailures = null;
      void failures.refresh();
    });
  }

  function logSoon(delayMs: number): void {
    cancelLog ??= clock.after(delayMs, () => {
      cancelLog = null;
      void log.reload();
    });
  }

  /** All that the log would tell of; its change is worth asking for the log anew. */
  const happenings = computed(() => {
    const [job, shown] = [toldJob(), figures.value];
    if (job === undefined || shown === null) return null;
    const { epoch, status, desiredState, agentOnline } = shown;
    return `${epoch} ${status} ${desiredState} ${agentOnline} ${job.desiredRev} ${job.name} ${job.agentId} ${job.startAt ?? ""}`;
  });

  function toldJob(): Job | undefined {
    return told.value.value?.job;
  }

  function put(job: Job): void {
    told.put({ job, askedAtMs: clock.now() });
  }

  /** One wish at a time; what was refused is told, and the job is looked at again. */
  async function ask<Answer extends Job>(
    what: NonNullable<JobPageModel["asking"]["value"]>,
    send: () => Promise<Answer>,
  ): Promise<Answer | null> {
    if (asking.value !== null) return null;
    asking.value = what;
    try {
      const job = await send();
      put(job);
      return job;
    } catch (error) {
      toasts.show("danger", sentenceOf(error));
      void told.reload();
      return null;
    } finally {
      asking.value = null;
    }
  }

  const failedCount = computed(() => figures.value?.totals.filesFailed ?? 0);
  const run = computed(() => figures.value?.epoch ?? 0);
  const ended = computed(() => figures.value !== null && isFinal(figures.value.status));

  return {
    remote: computed(() => withJob(told.remote.value)),
    job: computed(() => told.value.value?.job ?? null),
    figures,
    failures: failures.items,
    samples: record.samples,
    stillSinceMs,
    log,
    changes,
    asking,
    limitForm,
    limitIsPending,
    editLimit() {
      const held = told.value.value?.job.config.options.bandwidthMbps ?? null;
      limitForm.value = createForm<LimitValues, Job>({
        initial: { bandwidthMbps: held === null ? "" : String(held) },
        idempotencyKey: world.uuid(),
        check: (values): FieldErrors => {
          const wrong = checkMegabits(values.bandwidthMbps);
          return wrong === null ? {} : { bandwidthMbps: wrong };
        },
        save(values) {
          const bandwidthMbps = megabitsOf(values.bandwidthMbps);
          return api.jobs.update(jobId, { bandwidthMbps: bandwidthMbps === "wrong" ? null : bandwidthMbps });
        },
        saved(job) {
          put(job);
          limitRevision.value = job.desiredRev;
          limitForm.value = null;
        },
      });
    },
    cancelEditLimit() {
      limitForm.value = null;
    },
    async act(action) {
      await ask(action, () => api.jobs.act(jobId, action));
    },
    async retryFailed() {
      const retried = await ask<JobRetried>("retry_failed", () => api.jobs.retryFailed(jobId));
      if (retried?.retry.moves === "everything" && retried.retry.reason !== null)
        toasts.show("success", texts.startedAgainWithEverything(retried.retry.reason));
    },
    reload: told.reload,
    open() {
      void told.reload();
      let gapsSeen = live.gaps.peek();
      let runSeen = 0;
      stops = [
        effect(tend),
        effect(followNews),
        effect(keepSpeed),
        effect(() => {
          stillSinceMs.value = movement.value === null ? null : clock.now();
        }),
        effect(() => {
          if (happenings.value !== null) logSoon(log.entries.peek().length === 0 ? 0 : LOG_DELAY_MS);
        }),
        effect(() => {
          if (live.gaps.value !== gapsSeen) void told.reload();
          gapsSeen = live.gaps.value;
        }),
        effect(() => {
          if (run.value !== runSeen) {
            failures.clear();
            if (runSeen !== 0) record.clear();
          }
          runSeen = run.value;
          if (failedCount.value > 0)
            failuresSoon(ended.value || failures.items.peek().length === 0 ? 0 : FAILURES_MS_MIN);
        }),
      ];
    },
    close() {
      for (const stop of stops) stop();
      cancelTend?.();
      cancelFailures?.();
      cancelLog?.();
      cancelTend = cancelFailures = cancelLog = null;
      closing.abort();
      told.close();
    },
  };
}

function withJob(remote: Remote<{ job: Job }>): Remote<Job> {
  if (remote.state === "ready") return { state: "ready", value: remote.value.job };
  return { ...remote, value: remote.value?.job ?? null };
}
