/** A job's progress as it is shown in lists and on its page: one way to say it. */
import type { Waiting } from "../../schema/protocol.ts";
import { ProgressBar, type ProgressPart } from "../components/progress-bar.tsx";
import { formatBytes, formatCountOf, formatPercent, formatSpeed, formatTimeLeft } from "../format.ts";
import type { JobFigures } from "../models/job-figures.ts";
import { jobProgress as texts } from "../texts/frame.ts";

export function JobBar({
  figures,
  name,
  slim = false,
}: {
  figures: JobFigures;
  name: string;
  slim?: boolean;
}) {
  return (
    <ProgressBar
      label={texts.progressOf(name)}
      fraction={figures.fraction}
      parts={partsOf(figures)}
      tone={toneOf(figures)}
      slim={slim}
    />
  );
}

/** Percent, or how much has been found while the whole is not known. */
export function progressText(figures: JobFigures): string {
  // Between two passes everything found so far is done, but the job is not: neither 100 nor 99.9 would be true.
  if (figures.waiting?.reason === "next_pass") return texts.passDone;
  if (figures.fraction !== null) return formatPercent(figures.fraction);
  return figures.status === "scanning" ? formatCountOf(figures.totals.filesTotal, "file") : texts.waiting;
}

/** In a list a job that stands still says why; one that is only slower shows its speed. */
const STANDSTILL_WORDS: Readonly<Record<Waiting["reason"], string | null>> = {
  bandwidth: null,
  throttled: null,
  unreachable: texts.storageUnreachable,
  disk_full: texts.agentsDiskFull,
  locked: texts.lockedFiles,
  next_pass: texts.waitsNextPass,
  authorization: texts.reconnectAzureStorage,
};

/** Speed and time left in one line, for lists. */
export function paceText(figures: JobFigures): string {
  if (!figures.agentOnline && figures.status !== "completed") return texts.agentOffline;
  if (figures.waiting !== null) {
    const held = STANDSTILL_WORDS[figures.waiting.reason];
    if (held !== null) return held;
  }
  if (figures.bytesPerSecond === null) return "";
  const left = figures.secondsRemaining === null ? "" : texts.left(formatTimeLeft(figures.secondsRemaining));
  return formatSpeed(figures.bytesPerSecond) + left;
}

export function bytesText({ totals, bytesInFlight, status }: JobFigures): string {
  const done = Math.min(
    totals.bytesTotal,
    totals.bytesCompleted + totals.bytesFailed + totals.bytesSkipped + bytesInFlight,
  );
  if (status === "created") return texts.notStarted;
  if (status === "scanning") return texts.found(formatBytes(totals.bytesTotal));
  return texts.of(formatBytes(done), formatBytes(totals.bytesTotal));
}

function partsOf({ totals, bytesInFlight, status }: JobFigures): readonly ProgressPart[] {
  // A job of empty files only has no bytes to measure by.
  const whole = totals.bytesTotal > 0 ? totals.bytesTotal : totals.filesTotal;
  if (whole === 0) return [{ kind: "completed", fraction: status === "completed" ? 1 : 0 }];
  const byBytes = totals.bytesTotal > 0;
  const part = (kind: ProgressPart["kind"], amount: number): ProgressPart => ({
    kind,
    fraction: amount / whole,
  });
  return [
    part("completed", byBytes ? totals.bytesCompleted : totals.filesCompleted),
    part("skipped", byBytes ? totals.bytesSkipped : totals.filesSkipped),
    part("failed", byBytes ? totals.bytesFailed : totals.filesFailed),
    part("flight", byBytes ? bytesInFlight : 0),
  ];
}

function toneOf({ status, agentOnline }: JobFigures): "active" | "still" | "failed" | "done" {
  switch (status) {
    case "completed":
      return "done";
    case "failed":
      return "failed";
    case "scanning":
    case "ready":
    case "running":
      return agentOnline ? "active" : "still";
    case "created":
    case "paused":
    case "cancelled":
      return "still";
  }
}
