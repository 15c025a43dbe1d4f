/** What a job does, waits for, and did, as sentences. Those of the form that makes one are in `job-plan.ts`. */
import type { Deletion, ExistingRule, JobPreview, JobTotals, Repetition } from "../../schema/job.ts";
import type { Waiting } from "../../schema/protocol.ts";
import {
  formatBytes,
  formatCountOf,
  pluralOf,
  formatDuration,
  formatMegabits,
  formatMoment,
  formatPercent,
  type Reader,
} from "../format.ts";
import type { Destination } from "../models/job-form.ts";
import { visibleText } from "../plain-text.ts";
import type { Worded } from "../words.ts";
import { leftOutParts } from "./report-words.ts";
import { jobSentences as texts } from "../texts/job.ts";

export function destinationText({ account, container, prefix, tier }: Destination): string {
  const place =
    prefix === "" ? texts.container(container) : texts.folderOfContainer(visibleText(prefix), container);
  return texts.storageAccountTier(place, account, tier);
}

/** Why a job is not as fast as it could be, or does not go on. A time that is over says nothing any more and is left out. */
export function waitingWords(waiting: Waiting, nowMs: number, reader: Reader = {}): Worded {
  const { reason, untilMs, megabitsPerSecond } = waiting;
  const time = untilMs === null || untilMs <= nowMs ? null : formatMoment(untilMs, nowMs, reader);
  const until = time === null ? "" : texts.until(time);
  const nextTry = time === null ? "" : texts.nextTryAt(time);
  switch (reason) {
    case "bandwidth": {
      const limit =
        typeof megabitsPerSecond === "number" ? texts.to(formatMegabits(megabitsPerSecond, reader)) : "";
      return { text: `Limited${limit}${until}`, tone: "neutral" };
    }
    case "throttled":
      return { text: texts.throttledByAzure(until), tone: "warning" };
    case "unreachable":
      return { text: texts.storageAccountUnreachableStill(nextTry), tone: "warning" };
    case "disk_full":
      return {
        text: texts.diskAgentFullGoes,
        tone: "warning",
      };
    case "locked":
      return { text: texts.waitsFilesOtherPrograms(nextTry), tone: "warning" };
    case "authorization":
      return {
        text: texts.waitsSomebodyReconnectAzure,
        tone: "warning",
      };
    case "next_pass":
      return { text: time === null ? texts.nextPassSoon : texts.nextPassAt(time), tone: "neutral" };
  }
}

export function repetitionText({ everyMinutes, vanished }: Repetition): string {
  const gone = vanished === "keep" ? texts.staysAtTheDestination : texts.removedDestinationToo;
  return texts.betweenThemWhatGone(formatDuration(everyMinutes * 60_000), gone);
}

export function deletionText({ retentionDays, filesMax, dryRun }: Deletion): string {
  const most = filesMax === null ? texts.everyProvedFile : texts.atMost(formatCountOf(filesMax, "file"));
  if (dryRun) return texts.dryRunSaysWhat(most);
  return retentionDays === 0
    ? texts.goodEndJob(upperFirst(most))
    : texts.goodAfterQuarantine(upperFirst(most), formatCountOf(retentionDays, "day"));
}

/** What a job is going to do, when its scan is over. */
export function previewText(preview: JobPreview, existing: ExistingRule, reader: Reader = {}): string {
  const { files, bytes, mapped, refused, tooLarge, unreadable } = preview;
  const names = (count: number) => formatCountOf(count, "name", reader);
  const moved =
    files === 0
      ? texts.nothingWillBeMoved
      : texts.willBeMoved(formatCountOf(files, "file", reader), formatBytes(bytes, reader));
  const except = files > 0 && existing === "skip_identical" ? texts.exceptWhatThereAlready : "";
  const parts = [
    ...leftOutParts(preview, reader),
    ...(mapped === 0 ? [] : [texts.storedDifferently(names(mapped), pluralOf(mapped))]),
    ...(refused === 0 ? [] : [texts.refusedByTheDestination(names(refused), pluralOf(refused))]),
    ...(tooLarge === 0 ? [] : [texts.tooLarge(formatCountOf(tooLarge, "file", reader))]),
    ...(unreadable === 0 ? [] : [texts.unreadable(formatCountOf(unreadable, "entry", reader))]),
  ];
  return `${moved}${except}${parts.length === 0 ? "" : `; ${parts.join(", ")}`}`;
}

/** Of the files that were tried, how many arrived; skipped ones were not tried. */
/** Of a run that ended before its first file, or had none, there is no rate to tell. */
export function wasTried({ filesCompleted, filesFailed }: JobTotals): boolean {
  return filesCompleted + filesFailed > 0;
}

export function successText(totals: JobTotals): string {
  if (!wasTried(totals)) return texts.nothingToMove;
  return formatPercent(totals.filesCompleted / (totals.filesCompleted + totals.filesFailed));
}

export function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
