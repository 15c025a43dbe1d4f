/** The page of one job: followed live, controlled, and at its end reported. */
import { computed, effect, type ReadonlySignal, signal, untracked } from "@preact/signals";
import type { Job } from "../../schema/api.ts";
import type { FileFailure } from "../../schema/job.ts";
import { type FieldErrors, type JobAction, sentenceOf } from "../api.ts";
import { isFinal } from "../contract.ts";
import { createForm, type Form } from "./form.ts";
import { figuresOf, isNewsTo, type JobFigures } from "./job-figures.ts";
import type { JobListWorld } from "./jobs.ts";
import { checkMegabits, megabitsOf } from "./megabits.ts";
import { createRemote, type Remote } from "./remote.ts";
import type { ToastsModel } from "./toasts.ts";

/** How often the API is asked while a wish is on its way to the agent, or a report on its way to us. */
const TEND_MS = 2_000;
/** Failures are fetched anew no more often than this while a job runs. */
const FAILURES_MS_MIN = 5_000;
/** Speeds kept for the curve: two minutes at one a second, about what its width can show. */
export const SPEEDS_MAX = 120;

/** The one thing of a job that may change while it runs. */
export interface LimitValues {
  /** As typed; empty = none of its own. */
  readonly bandwidthMbps: string;
}

export interface JobPageModel {
  readonly remote: ReadonlySignal<Remote<Job>>;
  readonly job: ReadonlySignal<Job | null>;
  readonly figures: ReadonlySignal<JobFigures | null>;
  readonly failures: ReadonlySignal<readonly FileFailure[]>;
  readonly hasMoreFailures: ReadonlySignal<boolean>;
  readonly speeds: ReadonlySignal<readonly number[]>;
  /** The action that is being asked for. */
  readonly asking: ReadonlySignal<JobAction | null>;
  /** The limit of the line while it is being changed. */
  readonly limitForm: ReadonlySignal<Form<LimitValues> | null>;
  /** The agent has not yet confirmed the limit that was set here. */
  readonly limitIsPending: ReadonlySignal<boolean>;
  act(action: JobAction): Promise<void>;
  editLimit(): void;
  cancelEditLimit(): void;
  moreFailures(): Promise<void>;
  reload(): Promise<void>;
  open(): void;
  close(): void;
}

export interface JobPageWorld extends JobListWorld {
  readonly toasts: ToastsModel;
  uuid(): string;
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
  const asking = signal<JobAction | null>(null);
  const failures = signal<readonly FileFailure[]>([]);
  const failuresCursor = signal<string | null>(null);
  const speeds = signal<readonly number[]>([]);
  const limitForm = signal<Form<LimitValues> | null>(null);
  /** The revision of the wish that carries the limit set here; 0 = none was. */
  const limitRevision = signal(0);
  const limitIsPending = computed(() => {
    const job = told.value.value?.job;
    return job !== undefined && !isFinal(job.status) && job.appliedRev < limitRevision.value;
  });
  const closing = new AbortController();
  let stops: (() => void)[] = [];
  let cancelTend: (() => void) | null = null;
  let cancelFailures: (() => void) | null = null;
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
    const key = `${news.epoch} ${news.status} ${news.desiredState}`;
    if (key === newsAsked) return;
    newsAsked = key;
    void told.reload();
  }

  function keepSpeeds(): void {
    const job = heard.value?.job;
    if (job === undefined || job.status !== "running") return;
    speeds.value = [...speeds.peek(), job.bytesPerSecond].slice(-SPEEDS_MAX);
  }

  async function loadFailures(): Promise<void> {
    try {
      const page = await api.jobs.failures(jobId, {}, closing.signal);
      failures.value = page.items;
      failuresCursor.value = page.nextCursor;
    } catch {
      // The count stands on the page all the same, and the next change asks again.
    }
  }

  function failuresSoon(delayMs: number): void {
    cancelFailures ??= clock.after(delayMs, () => {
      cancelFailures = null;
      void loadFailures();
    });
  }

  const failedCount = computed(() => figures.value?.totals.filesFailed ?? 0);
  const run = computed(() => figures.value?.epoch ?? 0);
  const ended = computed(() => figures.value !== null && isFinal(figures.value.status));

  return {
    remote: computed(() => withJob(told.remote.value)),
    job: computed(() => told.value.value?.job ?? null),
    figures,
    failures,
    hasMoreFailures: computed(() => failuresCursor.value !== null),
    speeds,
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
          told.put({ job, askedAtMs: clock.now() });
          limitRevision.value = job.desiredRev;
          limitForm.value = null;
        },
      });
    },
    cancelEditLimit() {
      limitForm.value = null;
    },
    async act(action) {
      if (asking.value !== null) return;
      asking.value = action;
      try {
        const job = await api.jobs.act(jobId, action);
        told.put({ job, askedAtMs: clock.now() });
      } catch (error) {
        toasts.show("danger", sentenceOf(error));
        void told.reload();
      } finally {
        asking.value = null;
      }
    },
    async moreFailures() {
      const cursor = failuresCursor.value;
      if (cursor === null) return;
      try {
        const page = await api.jobs.failures(jobId, { cursor }, closing.signal);
        if (failuresCursor.value !== cursor) return;
        failures.value = [...failures.value, ...page.items];
        failuresCursor.value = page.nextCursor;
      } catch {
        // The button stays, so that the person can press it again.
      }
    },
    reload: told.reload,
    open() {
      void told.reload();
      let gapsSeen = live.gaps.peek();
      let runSeen = 0;
      stops = [
        effect(tend),
        effect(followNews),
        effect(keepSpeeds),
        effect(() => {
          if (live.gaps.value !== gapsSeen) void told.reload();
          gapsSeen = live.gaps.value;
        }),
        effect(() => {
          if (run.value !== runSeen) {
            failures.value = [];
            failuresCursor.value = null;
          }
          runSeen = run.value;
          if (failedCount.value > 0)
            failuresSoon(ended.value || failures.peek().length === 0 ? 0 : FAILURES_MS_MIN);
        }),
      ];
    },
    close() {
      for (const stop of stops) stop();
      cancelTend?.();
      cancelFailures?.();
      cancelTend = cancelFailures = null;
      closing.abort();
      told.close();
    },
  };
}

function withJob(remote: Remote<{ job: Job }>): Remote<Job> {
  if (remote.state === "ready") return { state: "ready", value: remote.value.job };
  return { ...remote, value: remote.value?.job ?? null };
}
