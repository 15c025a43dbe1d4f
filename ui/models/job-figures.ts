/**
 * What is shown of a job: an answer of the API and the live state, joined.
 *
 * Both tell of the same job at different moments. The higher epoch wins. Within one epoch totals never fall, so the
 * larger of two totals is the later one; a final status is never left again; any other status is taken from whichever
 * was learned last.
 */
import type { Job } from "../../schema/api.ts";
import type { DesiredState, JobError, JobStatus, JobTotals } from "../../schema/job.ts";
import type { LiveJob } from "../../schema/live.ts";
import type { Waiting } from "../../schema/protocol.ts";
import { isFinal } from "../contract.ts";
import type { HeardJob } from "./live-jobs.ts";

/** A job as the API told it, and when it was asked. */
export interface ToldJob {
  readonly job: Job;
  readonly askedAtMs: number;
}

/** What a user wants and the agent has not confirmed. */
export type PendingWish = "start" | "pause" | "resume" | "cancel" | "finish";

export interface JobFigures {
  readonly epoch: number;
  readonly status: JobStatus;
  readonly desiredState: DesiredState;
  readonly totals: JobTotals;
  readonly bytesInFlight: number;
  /** Null while nothing is moved, or when nobody knows. */
  readonly bytesPerSecond: number | null;
  readonly secondsRemaining: number | null;
  readonly currentPath: string | null;
  /** What holds the job up, as a reachable agent tells it; null while nothing does. */
  readonly waiting: Waiting | null;
  readonly error: JobError | null;
  readonly agentOnline: boolean;
  readonly pendingWish: PendingWish | null;
  /** Done part of the whole, 0 to 1; null while the whole is not known. */
  readonly fraction: number | null;
}

export function figuresOf(told: ToldJob, heard: HeardJob | undefined): JobFigures {
  const { job } = told;
  // A live state of an earlier run says nothing of this one, except whether the agent is there.
  const live = heard !== undefined && heard.job.epoch >= job.epoch ? heard.job : null;
  const liveIsLater = heard !== undefined && heard.heardAtMs >= told.askedAtMs;
  const newRun = live !== null && live.epoch > job.epoch;
  const status =
    live === null ? job.status : newRun ? live.status : joinStatus(job.status, live.status, liveIsLater);
  const desiredState = live !== null && (newRun || liveIsLater) ? live.desiredState : job.desiredState;
  const totals = live === null ? job.totals : newRun ? live.totals : joinTotals(job.totals, live.totals);
  const moving = status === "running" && live !== null && live.status === "running";
  const goesOn = !isFinal(status) && status !== "paused";
  const waiting = goesOn && live?.agentOnline === true ? (live.waiting ?? null) : null;
  const pausesBetween = waiting?.reason === "next_pass";
  // Nobody can say how long it takes to move the rest while nothing is moved.
  const standsStill = pausesBetween || waiting?.reason === "unreachable" || waiting?.reason === "disk_full";
  // Also while paused: what the destination has accepted of a file in its middle is not lost by waiting.
  const bytesInFlight = live !== null && !isFinal(status) ? live.bytesInFlight : 0;
  return {
    epoch: live?.epoch ?? job.epoch,
    status,
    desiredState,
    totals,
    bytesInFlight,
    bytesPerSecond: moving && live.agentOnline && !pausesBetween ? live.bytesPerSecond : null,
    secondsRemaining: moving && live.agentOnline && !standsStill ? live.secondsRemaining : null,
    currentPath: goesOn ? (live?.currentPath ?? null) : null,
    waiting,
    error: newRun ? live.error : (job.error ?? live?.error ?? null),
    // After a move it was another agent that was heard of last.
    agentOnline: heard?.job.agentId === job.agentId ? heard.job.agentOnline : job.agentStatus === "online",
    pendingWish: pendingWish(job, { status, desiredState }),
    fraction: fractionOf(status, totals, bytesInFlight),
  };
}

/** Done bytes of all bytes; files where there are no bytes; 1 is kept for a job that is done. */
function fractionOf(status: JobStatus, totals: JobTotals, bytesInFlight: number): number | null {
  if (status === "completed") return 1;
  if (status === "created" || status === "scanning") return null;
  const done = totals.bytesCompleted + totals.bytesFailed + totals.bytesSkipped + bytesInFlight;
  const filesDone = totals.filesCompleted + totals.filesFailed + totals.filesSkipped;
  const fraction =
    totals.bytesTotal > 0
      ? done / totals.bytesTotal
      : totals.filesTotal > 0
        ? filesDone / totals.filesTotal
        : 0;
  return Math.min(fraction, isFinal(status) ? 1 : 0.999);
}

function joinStatus(told: JobStatus, live: JobStatus, liveIsLater: boolean): JobStatus {
  if (isFinal(told)) return told;
  if (isFinal(live)) return live;
  return liveIsLater ? live : told;
}

function joinTotals(told: JobTotals, live: JobTotals): JobTotals {
  return {
    filesTotal: Math.max(told.filesTotal, live.filesTotal),
    filesCompleted: Math.max(told.filesCompleted, live.filesCompleted),
    filesFailed: Math.max(told.filesFailed, live.filesFailed),
    filesSkipped: Math.max(told.filesSkipped, live.filesSkipped),
    filesVerified: Math.max(told.filesVerified, live.filesVerified),
    filesReadBack: Math.max(told.filesReadBack, live.filesReadBack),
    filesDeleted: Math.max(told.filesDeleted, live.filesDeleted),
    bytesTotal: Math.max(told.bytesTotal, live.bytesTotal),
    bytesCompleted: Math.max(told.bytesCompleted, live.bytesCompleted),
    bytesFailed: Math.max(told.bytesFailed, live.bytesFailed),
    bytesSkipped: Math.max(told.bytesSkipped, live.bytesSkipped),
    bytesSent: Math.max(told.bytesSent, live.bytesSent),
  };
}

function pendingWish(job: Job, now: { status: JobStatus; desiredState: DesiredState }): PendingWish | null {
  const unconfirmed = job.appliedRev < job.desiredRev;
  if (now.status === "cancelled") return unconfirmed ? "cancel" : null;
  if (isFinal(now.status)) return null;
  switch (now.desiredState) {
    case "cancel":
      return "cancel";
    case "pause":
      return now.status === "paused" ? null : "pause";
    case "run":
      if (now.status === "paused") return "resume";
      return now.status === "created" && unconfirmed ? "start" : null;
    case "finish":
      // Once the agent knows, its pass may take hours: there is nothing to ask after.
      return unconfirmed ? "finish" : null;
  }
}

/** Whether a live state tells something the API's answer does not hold yet, so that it is worth asking again. */
export function isNewsTo(job: Job, live: LiveJob): boolean {
  if (live.epoch !== job.epoch) return live.epoch > job.epoch;
  if (live.status !== job.status || live.desiredState !== job.desiredState) return true;
  // Since when an agent is away, the API alone knows.
  return live.agentId === job.agentId && live.agentOnline !== (job.agentStatus === "online");
}
