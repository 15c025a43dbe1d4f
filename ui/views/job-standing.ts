/** How a job stands, in sentences: why it does not go on, and how fast its line may be. */
import type { Job } from "../../schema/api.ts";
import type { Waiting } from "../../schema/protocol.ts";
import { isFinal } from "../contract.ts";
import { formatDate, formatMegabits, formatMoment, type Reader } from "../format.ts";
import type { JobFigures } from "../models/job-figures.ts";
import type { LineLimit } from "../models/job-line.ts";
import type { Tone } from "../words.ts";
import { jobStanding as texts } from "../texts/job.ts";

export interface Standing {
  readonly key: string;
  readonly tone: Extract<Tone, "neutral" | "warning" | "danger">;
  readonly text: string;
  /** What the agent says of it itself. */
  readonly detail?: string;
}

/** A job in which nothing has moved for so long, without a reason, is said to stand still. */
export const STILL_MS = 60_000;

/**
 * Why a job does not go on just now, the strongest reason first; empty when it does. No text changes by time alone: what
 * changes is read out.
 */
export function standingsOf(
  job: Job,
  figures: JobFigures,
  { nowMs, stillSinceMs, reader = {} }: { nowMs: number; stillSinceMs: number | null; reader?: Reader },
): readonly Standing[] {
  if (isFinal(figures.status)) return [];
  const agent = agentStanding(job, figures, nowMs, reader);
  const start = startStanding(job, figures, nowMs, reader);
  const waiting = figures.waiting === null ? null : waitingStanding(figures.waiting, nowMs, reader);
  const all = [agent, start, waiting].filter((standing) => standing !== null);
  if (all.length > 0) return all;
  const paused = pausedStanding(figures);
  if (paused !== null) return [paused];
  return [stillStanding(figures, nowMs, stillSinceMs, reader)].filter((standing) => standing !== null);
}

const agentIs = (text: string, tone: Standing["tone"] = "warning"): Standing => ({
  key: "agent-offline",
  tone,
  text,
});

function agentStanding(job: Job, figures: JobFigures, nowMs: number, reader: Reader): Standing | null {
  const goesOn = figures.status === "created" ? "starts" : texts.goesOn;
  switch (job.agentStatus) {
    case "revoked":
      return agentIs(texts.agentRevokedSoJob, "danger");
    case "locked":
      return agentIs(texts.agentLockedBecauseIdentity, "danger");
    case "pending":
      return agentIs(texts.agentWaitsApprovalAdmin);
    case "updating":
    case "online":
    case "offline":
      break;
  }
  if (figures.agentOnline) return null;
  if (job.agentStatus === "updating") return agentIs(texts.agentBeingUpdatedJob(goesOn), "neutral");
  if (job.agentLastSeenAt === null)
    return agentIs(
      `Agent offline. The job ${goesOn} when it is back. Is its machine on, and the agent running?`,
    );
  const since = formatMoment(Date.parse(job.agentLastSeenAt), nowMs, reader);
  return agentIs(
    `Agent offline since ${since}. The job ${goesOn} when it is back. Is its machine on, and the agent running?`,
  );
}

function startStanding(job: Job, figures: JobFigures, nowMs: number, reader: Reader): Standing | null {
  if (figures.status !== "created") return null;
  if (figures.desiredState === "pause") return null;
  const startMs = typeof job.startAt === "string" ? Date.parse(job.startAt) : 0;
  if (startMs > nowMs) {
    const text = texts.starts(startText(startMs, nowMs, reader));
    return { key: "scheduled", tone: "neutral", text };
  }
  // That the wish is on its way is said in its own place.
  if (figures.pendingWish !== null || !figures.agentOnline) return null;
  return { key: "to-begin", tone: "neutral", text: texts.waitsAgentBegin };
}

/** `at 18:00` today, `on 24 Nov 2026, 18:00` on any other day. */
export function startText(startMs: number, nowMs: number, reader: Reader = {}): string {
  const dayOf = (ms: number) => formatDate(new Date(ms).toISOString(), reader);
  const moment = formatMoment(startMs, nowMs, reader);
  return dayOf(startMs) === dayOf(nowMs) ? texts.at(moment) : texts.on(moment);
}

function waitingStanding(
  { reason, untilMs, message }: Waiting,
  nowMs: number,
  reader: Reader,
): Standing | null {
  const at = untilMs === null || untilMs <= nowMs ? null : formatMoment(untilMs, nowMs, reader);
  const waits = (text: string, tone: Standing["tone"] = "warning"): Standing => ({
    key: `waiting-${reason}`,
    tone,
    text,
    ...(message === null ? {} : { detail: message }),
  });
  switch (reason) {
    case "unreachable":
      return waits(
        at === null ? texts.storageAccountCannotReached : texts.storageAccountCannotReachedFrom(at),
      );
    case "disk_full":
      return waits(texts.diskAgentsMachineFull);
    case "locked":
      return waits(at === null ? texts.onlyFilesLeftOther : texts.onlyFilesLeftOtherPrograms(at));
    case "authorization":
      return waits(texts.microsoftRefusesSignStorage);
    // It goes on, and how fast stands beside its state.
    case "throttled":
    case "bandwidth":
    case "next_pass":
      return message === null ? null : waits("", reason === "throttled" ? "warning" : "neutral");
  }
}

function pausedStanding({ status, pendingWish, desiredState }: JobFigures): Standing | null {
  if (pendingWish !== null) return null;
  if (status === "created" && desiredState === "pause")
    return {
      key: "paused",
      tone: "neutral",
      text: texts.pausedBeforeBeganStarts,
    };
  if (status !== "paused") return null;
  return {
    key: "paused",
    tone: "neutral",
    text: texts.pausedNothingSentUntil,
  };
}

function stillStanding(
  figures: JobFigures,
  nowMs: number,
  stillSinceMs: number | null,
  reader: Reader,
): Standing | null {
  const { status, agentOnline, waiting, pendingWish } = figures;
  const moves = status === "running" || status === "scanning";
  if (!moves || !agentOnline || waiting !== null || pendingWish !== null || stillSinceMs === null)
    return null;
  if (nowMs - stillSinceMs < STILL_MS) return null;
  const since = formatMoment(stillSinceMs, nowMs, reader);
  return {
    key: "still",
    tone: "warning",
    text: texts.nothingHasMovedSince(since),
  };
}

/** How fast the line may be just now, at the site's own time. */
export function lineText(
  limit: LineLimit,
  place: { nowMs: number; timeZone: string | null; reader?: Reader },
): string {
  const { nowMs, timeZone, reader = {} } = place;
  const { megabitsPerSecond, untilMs, thenMegabitsPerSecond } = limit;
  const atSite = timeZone === null ? reader : { ...reader, timeZone };
  const zone = timeZone === null || timeZone === reader.timeZone ? "" : ` (${timeZone.replaceAll("_", " ")})`;
  const until = untilMs === null ? null : `${formatMoment(untilMs, nowMs, atSite)}${zone}`;
  if (megabitsPerSecond === null) {
    if (until === null || thenMegabitsPerSecond === null) return texts.noLimit;
    return texts.noLimitUntilThen(until, formatMegabits(thenMegabitsPerSecond, reader));
  }
  const megabits = formatMegabits(megabitsPerSecond, reader);
  if (until === null) return texts.limitedTo(megabits);
  return thenMegabitsPerSecond === null
    ? texts.limitedToUntil(megabits, until)
    : texts.limitedToUntilThen(megabits, until, formatMegabits(thenMegabitsPerSecond, reader));
}

/** What a screen reader hears when a job's state changes; the same for as long as nothing worth a word does. */
export function announcementOf(
  { status, agentOnline, totals }: JobFigures,
  words: string,
  step: string,
): string {
  const failed = totals.filesFailed > 0 ? texts.someFilesNotMoved : "";
  if (isFinal(status)) return `${words}.${failed}`;
  if (!agentOnline) return texts.theAgentIsOffline(words);
  return step === "" ? `${words}.${failed}` : `${words}: ${step}.${failed}`;
}
