/** What a job does, waits for, and did, as sentences. Those of the form that makes one are in `job-plan.ts`. */
import type { Deletion, ExistingRule, JobPreview, JobTotals, Repetition } from "../../schema/job.ts";
import type { Waiting } from "../../schema/protocol.ts";
import {
  formatBytes,
  formatCount,
  formatCountOf,
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

export function destinationText({ account, container, prefix, tier }: Destination): string {
  const place =
    prefix === "" ? `container ${container}` : `folder ${visibleText(prefix)} of container ${container}`;
  return `${place}, storage account ${account}, ${tier} tier`;
}

/** Why a job is not as fast as it could be, or does not go on. A time that is over says nothing any more and is left out. */
export function waitingWords(waiting: Waiting, nowMs: number, reader: Reader = {}): Worded {
  const { reason, untilMs, megabitsPerSecond } = waiting;
  const time = untilMs === null || untilMs <= nowMs ? null : formatMoment(untilMs, nowMs, reader);
  const until = time === null ? "" : ` until ${time}`;
  const nextTry = time === null ? "" : `, next try at ${time}`;
  switch (reason) {
    case "bandwidth": {
      const limit =
        typeof megabitsPerSecond === "number" ? ` to ${formatMegabits(megabitsPerSecond, reader)}` : "";
      return { text: `Limited${limit}${until}`, tone: "neutral" };
    }
    case "throttled":
      return { text: `Throttled by the storage account${until}`, tone: "warning" };
    case "unreachable":
      return { text: `Storage account unreachable, still trying${nextTry}`, tone: "warning" };
    case "disk_full":
      return {
        text: "The disk of the agent is full; it goes on by itself when there is room",
        tone: "warning",
      };
    case "locked":
      return { text: `Waits for files that other programs have locked${nextTry}`, tone: "warning" };
    case "authorization":
      return {
        text: "Waits for somebody to reconnect the Azure storage; it goes on by itself afterwards",
        tone: "warning",
      };
    case "next_pass":
      return { text: time === null ? "Next pass soon" : `Next pass at ${time}`, tone: "neutral" };
  }
}

export function repetitionText({ everyMinutes, vanished }: Repetition): string {
  const gone = vanished === "keep" ? "stays at the destination" : "is removed at the destination too";
  return `${formatDuration(everyMinutes * 60_000)} between them; what is gone from the source ${gone}`;
}

export function deletionText({ retentionDays, filesMax, dryRun }: Deletion): string {
  const most = filesMax === null ? "every proved file" : `at most ${formatCountOf(filesMax, "file")}`;
  if (dryRun) return `Dry run: says what would be removed (${most}), removes nothing`;
  return retentionDays === 0
    ? `${upperFirst(most)}, for good at the end of the job`
    : `${upperFirst(most)}, for good after ${formatCountOf(retentionDays, "day")} in quarantine`;
}

/** What a job is going to do, when its scan is over. */
export function previewText(preview: JobPreview, existing: ExistingRule, reader: Reader = {}): string {
  const { files, bytes, mapped, refused, tooLarge, unreadable } = preview;
  const are = (count: number) => `${formatCountOf(count, "name", reader)} ${count === 1 ? "is" : "are"}`;
  const moved =
    files === 0
      ? "Nothing will be moved"
      : `${formatCountOf(files, "file", reader)} (${formatBytes(bytes, reader)}) will be moved`;
  const except = files > 0 && existing === "skip_identical" ? ", except what is there already" : "";
  const parts = [
    ...leftOutParts(preview, reader),
    ...(mapped === 0 ? [] : [`${are(mapped)} stored differently`]),
    ...(refused === 0 ? [] : [`${are(refused)} refused by the destination`]),
    ...(tooLarge === 0 ? [] : [`${formatCountOf(tooLarge, "file", reader)} too large`]),
    ...(unreadable === 0
      ? []
      : [`${formatCount(unreadable, reader)} ${unreadable === 1 ? "entry" : "entries"} unreadable`]),
  ];
  return `${moved}${except}${parts.length === 0 ? "" : `; ${parts.join(", ")}`}`;
}

/** Of the files that were tried, how many arrived; skipped ones were not tried. */
export function successText(totals: JobTotals): string {
  const tried = totals.filesCompleted + totals.filesFailed;
  return tried === 0 ? "Nothing to move" : formatPercent(totals.filesCompleted / tried);
}

export function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
