/** The steps a job goes through, and where it is. What the agent does in one go is told apart by what is left to do. */
import type { Job } from "../../schema/api.ts";
import { isFinal } from "../contract.ts";
import type { JobFigures } from "./job-figures.ts";

export type StepName = "scan" | "upload" | "verify" | "remove" | "next_pass" | "done";

export interface Step {
  readonly name: StepName;
  /** `stopped`: here it ended without being done. */
  readonly state: "done" | "current" | "waiting" | "stopped";
}

/** Of a job that was not begun no step is the current one. */
export function stepsOf(job: Job, figures: JobFigures): readonly Step[] {
  const names = namesOf(job);
  const { status } = figures;
  const at = names.indexOf(stepAt(job, figures));
  return names.map((name, index) => {
    if (status === "created") return { name, state: "waiting" };
    if (status === "completed" || index < at) return { name, state: "done" };
    if (index > at) return { name, state: "waiting" };
    return { name, state: isFinal(status) ? "stopped" : "current" };
  });
}

function namesOf({ config: { options, type } }: Job): readonly StepName[] {
  return [
    "scan",
    "upload",
    ...(options.verify ? (["verify"] as const) : []),
    ...(options.deletion ? (["remove"] as const) : []),
    ...(type === "sync" ? (["next_pass"] as const) : []),
    "done",
  ];
}

function stepAt(job: Job, { status, totals, bytesInFlight, waiting, epoch }: JobFigures): StepName {
  const { options, type } = job.config;
  if (status === "scanning") return "scan";
  if (waiting?.reason === "next_pass") return "next_pass";
  const filesEnded = totals.filesCompleted + totals.filesFailed + totals.filesSkipped;
  const bytesGone = totals.bytesCompleted + totals.bytesFailed + totals.bytesSkipped + bytesInFlight;
  // A run that ended before its scan did has found nothing it could tell, or was still at it.
  const isScanned = totals.filesTotal > 0 || (job.preview !== null && job.epoch === epoch);
  if (!isScanned && status !== "ready" && status !== "running") return "scan";
  if (filesEnded < totals.filesTotal) {
    // What has been sent and not been asked about yet is still in flight.
    const isSent = totals.bytesTotal > 0 && bytesGone >= totals.bytesTotal;
    return options.verify && isSent ? "verify" : "upload";
  }
  if (totals.filesTotal === 0) return "upload";
  if (options.deletion) return "remove";
  return type === "sync" ? "next_pass" : options.verify ? "verify" : "upload";
}
