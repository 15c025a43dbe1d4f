/** What a report says besides its numbers, in words: what was left out, what a person should note, what became of the source. */
import type { Deletion, JobNote, JobPreview, JobReport, NoteCode, StayCode } from "../../schema/job.ts";
import { formatBytes, formatCount, formatCountOf, formatDateTime, pluralOf, type Reader } from "../format.ts";
import type { Tone } from "../words.ts";
import { reportWords as texts } from "../texts/job-report.ts";

export interface NoteWords {
  readonly text: string;
  readonly tone: Extract<Tone, "neutral" | "warning">;
}

/** Notes that this page knows; a newer agent may know more. */
export function noteWords(notes: readonly JobNote[], reader: Reader = {}): readonly NoteWords[] {
  return notes.flatMap(({ code, count = 0 }) => (isKnownNote(code) ? [NOTES[code](count, reader)] : []));
}

const NOTES: Readonly<Record<NoteCode, (count: number, reader: Reader) => NoteWords>> = {
  source_empty: () => ({ text: texts.sourceHoldsNoFiles, tone: "warning" }),
  filters_match_nothing: (count, reader) => ({
    text: texts.sourceHoldsFilesBut(formatCount(count, reader)),
    tone: "warning",
  }),
  names_mapped: (count, reader) => ({
    text: texts.storedUnderAnotherName(formatCountOf(count, "file", reader), pluralOf(count)),
    tone: "neutral",
  }),
  archived_left: (count, reader) => ({
    text: texts.leftOutWhatDestination(formatCountOf(count, "file", reader), pluralOf(count)),
    tone: "warning",
  }),
  archived_replaced: (count, reader) => ({
    text: texts.archiveTierDeletedWritten(formatCountOf(count, "blob", reader), pluralOf(count)),
    tone: "warning",
  }),
  early_deletion: (count, reader) => ({
    text: texts.replacedRemovedBeforeLeast(formatCountOf(count, "blob", reader), pluralOf(count)),
    tone: "warning",
  }),
  vanished_removed: (count, reader) => ({
    text: texts.removedBecauseSourceLost(formatCountOf(count, "blob", reader), pluralOf(count)),
    tone: "neutral",
  }),
};

function isKnownNote(code: string): code is NoteCode {
  return Object.hasOwn(NOTES, code);
}

/** What no pass has moved, and why, behind the count of all that was skipped. */
export function skippedText(filesSkipped: number, preview: JobPreview | null, reader: Reader = {}): string {
  const skipped = formatCountOf(filesSkipped, "file", reader);
  const parts = preview === null ? [] : leftOutParts(preview, reader);
  return parts.length === 0 ? skipped : `${skipped}: ${parts.join(", ")}`;
}

export function leftOutParts({ filtered, links, special }: JobPreview, reader: Reader = {}): string[] {
  return [
    ...(filtered === 0 ? [] : [texts.leftOutByFilters(formatCount(filtered, reader))]),
    ...(links === 0 ? [] : [texts.skipped(formatCountOf(links, "link", reader))]),
    ...(special === 0 ? [] : [texts.skipped2(formatCountOf(special, "specialFile", reader))]),
  ];
}

type Removal = NonNullable<JobReport["removal"]>;

/** What became of the source files, as the report tells it. */
export function removalText(removal: Removal, { retentionDays }: Deletion, reader: Reader = {}): string {
  const { files, bytes, dryRun, filesPurged, filesKept = 0, quarantine } = removal;
  const what = `${formatCountOf(files, "file", reader)} (${formatBytes(bytes, reader)})`;
  if (dryRun) return texts.nothingDryRunWould(what);
  if (quarantine !== undefined) {
    const { filesLeft, checkedAt } = quarantine;
    const gone = formatCount(filesPurged + quarantine.filesPurged, reader);
    const left =
      filesLeft === 0
        ? ""
        : texts.leftThereOn(formatCountOf(filesLeft, "file", reader), formatDateTime(checkedAt, reader));
    return texts.movedIntoQuarantineGone(what, gone, left);
  }
  const left = files - filesPurged;
  const days =
    retentionDays === 0 || left === 0 ? "" : texts.for(formatCountOf(retentionDays, "day", reader));
  const purged = filesPurged === 0 ? "" : texts.themGoneGood(formatCount(filesPurged, reader));
  const kept =
    filesKept === 0
      ? ""
      : texts.besidesChangedWayThere(formatCountOf(filesKept, "file", reader), pluralOf(filesKept));
  return files === 0 && filesKept === 0 ? texts.none : texts.movedIntoQuarantine(what, days, purged, kept);
}

/** The folder of a job's quarantine, while something lies in it; else null. */
export function quarantineFolder(removal: Removal, job: { id: string; sourcePath: string }): string | null {
  const { files, dryRun, filesPurged, filesKept = 0, quarantine } = removal;
  const left = quarantine?.filesLeft ?? files - filesPurged + filesKept;
  if (dryRun || left === 0) return null;
  const separator = job.sourcePath.includes("\\") ? "\\" : "/";
  const root = job.sourcePath.replace(/[\\/]+$/, "");
  return [root, ".migrate-quarantine", job.id].join(separator);
}

/** How many files stay at the source and why, most first. */
export function stayTexts(stays: Removal["stays"], reader: Reader = {}): readonly string[] {
  return Object.entries(stays)
    .filter(([, count]) => count > 0)
    .sort(([, one], [, other]) => other - one)
    .map(
      ([code, count]) => `${formatCountOf(count, "file", reader)}: ${isKnownStay(code) ? STAYS[code] : code}`,
    );
}

const STAYS: Readonly<Record<StayCode, string>> = {
  not_asked: texts.jobDoesNotAsk,
  limit_reached: texts.jobsLimitReached,
  not_allowed: texts.agentsMachineDoesNot,
  not_wanted: texts.jobNotWantedAny,
  source_vanished: texts.goneFromSourceOther,
  source_unreadable: texts.couldNotLookedAgain,
  not_a_file: texts.notRegularFileAny,
  outside_root: texts.behindLinkNow,
  other_volume: texts.anotherVolumeThanQuarantine,
  identity_unknown: texts.fileSystemDoesNot,
  other_names: texts.haveFurtherNamesHard,
  not_read_whole: texts.wereNotReadWhole,
  not_hashed: texts.noSha256What,
  not_accepted: texts.noConfirmationStorageService,
  changed_since_upload: texts.changedSinceTheySent,
  not_proved: texts.notProvedDestination,
  destination_unreadable: texts.storageServiceDidNot,
  destination_vanished: texts.notDestinationAnyMore,
  destination_replaced: texts.replacedDestinationSince,
  destination_differs: texts.destinationHoldsSomethingElse,
  tier_before_proof: texts.archiveTierBeforeThey,
  content_differs: texts.readOnceMoreContent,
  not_recorded: texts.listBringingThemBack,
  source_denied: texts.agentsAccountMayNot,
  source_locked: texts.lockedByAnotherProgram,
  not_due: texts.notDueYet,
  destination_unconfirmed: texts.notConfirmedDestinationWhen,
  unsettled: texts.unclearWhetherTheyMoved,
};

function isKnownStay(code: string): code is StayCode {
  return Object.hasOwn(STAYS, code);
}
