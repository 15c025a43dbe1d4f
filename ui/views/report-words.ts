/** What a report says besides its numbers, in words: what was left out, what a person should note, what became of the source. */
import type { Deletion, JobNote, JobPreview, JobReport, NoteCode, StayCode } from "../../schema/job.ts";
import { formatBytes, formatCount, formatCountOf, type Reader } from "../format.ts";
import type { Tone } from "../words.ts";

export interface NoteWords {
  readonly text: string;
  readonly tone: Extract<Tone, "neutral" | "warning">;
}

/** Notes that this page knows; a newer agent may know more. */
export function noteWords(notes: readonly JobNote[], reader: Reader = {}): readonly NoteWords[] {
  return notes.flatMap(({ code, count = 0 }) => (isKnownNote(code) ? [NOTES[code](count, reader)] : []));
}

const NOTES: Readonly<Record<NoteCode, (count: number, reader: Reader) => NoteWords>> = {
  source_empty: () => ({ text: "The source holds no files, so there was nothing to move.", tone: "warning" }),
  filters_match_nothing: (count, reader) => ({
    text: `The source holds files, but the filters leave none of them (${formatCount(count, reader)} left out), so nothing was moved.`,
    tone: "warning",
  }),
  names_mapped: (count, reader) => ({
    text: `${formatCountOf(count, "file", reader)} ${isOrAre(count)} stored under another name, because the storage service forbids the original one. The manifest has both.`,
    tone: "neutral",
  }),
  archived_left: (count, reader) => ({
    text: `${formatCountOf(count, "file", reader)} ${wasOrWere(count)} left out: what is at the destination lies in the Archive tier, where it cannot be replaced.`,
    tone: "warning",
  }),
  archived_replaced: (count, reader) => ({
    text: `${formatCountOf(count, "blob", reader)} of the Archive tier ${wasOrWere(count)} deleted and written anew, which may cost fees.`,
    tone: "warning",
  }),
  early_deletion: (count, reader) => ({
    text: `${formatCountOf(count, "blob", reader)} ${wasOrWere(count)} replaced or removed before the least age of the tier (Cool 30 days, Cold 90, Archive 180). Azure may charge an early-deletion fee.`,
    tone: "warning",
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
    ...(filtered === 0 ? [] : [`${formatCount(filtered, reader)} left out by filters`]),
    ...(links === 0 ? [] : [`${formatCountOf(links, "link", reader)} skipped`]),
    ...(special === 0 ? [] : [`${formatCountOf(special, "special file", reader)} skipped`]),
  ];
}

type Removal = NonNullable<JobReport["removal"]>;

/** What became of the source files, as the report tells it. */
export function removalText(removal: Removal, { retentionDays }: Deletion, reader: Reader = {}): string {
  const { files, bytes, dryRun, filesPurged, filesKept = 0 } = removal;
  const what = `${formatCountOf(files, "file", reader)} (${formatBytes(bytes, reader)})`;
  if (dryRun) return `Nothing, it was a dry run: ${what} would have been moved into quarantine`;
  const left = files - filesPurged;
  const days = retentionDays === 0 || left === 0 ? "" : ` for ${formatCountOf(retentionDays, "day", reader)}`;
  const purged = filesPurged === 0 ? "" : `, ${formatCount(filesPurged, reader)} of them gone for good`;
  const kept =
    filesKept === 0
      ? ""
      : `. ${formatCountOf(filesKept, "file", reader)} besides changed on the way there; look at ${filesKept === 1 ? "it" : "them"} in the quarantine`;
  return files === 0 && filesKept === 0 ? "None" : `${what} moved into quarantine${days}${purged}${kept}`;
}

/** The folder of a job's quarantine, while something lies in it; else null. */
export function quarantineFolder(removal: Removal, job: { id: string; sourcePath: string }): string | null {
  const { files, dryRun, filesPurged, filesKept = 0 } = removal;
  if (dryRun || files - filesPurged + filesKept === 0) return null;
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
  not_asked: "the job does not ask for their removal",
  limit_reached: "the job's limit was reached",
  not_allowed: "the agent's machine does not allow removal here",
  not_wanted: "the job was not wanted any more, or the control plane stayed away too long",
  source_vanished: "gone from the source by other hands",
  source_unreadable: "could not be looked at again",
  not_a_file: "not a regular file any more",
  outside_root: "behind a link by now",
  other_volume: "on another volume than the quarantine",
  identity_unknown: "the file system does not tell one version from another",
  other_names: "have further names (hard links)",
  not_read_whole: "were not read whole",
  not_hashed: "no SHA-256 of what was sent",
  not_accepted: "no confirmation by the storage service",
  changed_since_upload: "changed since they were sent",
  not_proved: "not proved at the destination",
  destination_unreadable: "the storage service did not say what it holds",
  destination_vanished: "not at the destination any more",
  destination_replaced: "replaced at the destination since",
  destination_differs: "the destination holds something else",
  tier_before_proof: "in the Archive tier before they could be proved",
  content_differs: "read once more, and the content was another",
  not_recorded: "the list for bringing them back could not be written",
  source_denied: "the agent's account may not move them",
  source_locked: "locked by another program",
  not_due: "not due yet",
  destination_unconfirmed: "not confirmed by the destination when their time came",
  unsettled: "unclear whether they were moved; looked at again when the job goes on",
};

function isKnownStay(code: string): code is StayCode {
  return Object.hasOwn(STAYS, code);
}

function isOrAre(count: number): string {
  return count === 1 ? "is" : "are";
}
function wasOrWere(count: number): string {
  return count === 1 ? "was" : "were";
}
