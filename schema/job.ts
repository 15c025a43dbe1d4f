/** A job: what it does, what is wanted of it, how far it is. The rules are in `docs/spec.md`, section J. */
import * as z from "zod";
import { fileFailureCode, jobErrorCode } from "./errors.ts";

export const PROJECT_TYPES = [
  "file_migration",
  "mailbox_migration",
  "archive",
  "full_migration",
  "rockrms_import",
] as const;
export const projectType = z.enum(PROJECT_TYPES);
export type ProjectType = z.infer<typeof projectType>;

export const JOB_TYPES = ["migrate_files", "archive", "sync", "migrate_mailbox", "rockrms_import"] as const;
export const jobType = z.enum(JOB_TYPES);
export type JobType = z.infer<typeof jobType>;

/** Which job types a project of each type admits. */
export const ADMITTED_JOB_TYPES: Readonly<Record<ProjectType, readonly JobType[]>> = {
  file_migration: ["migrate_files", "sync"],
  mailbox_migration: ["migrate_mailbox"],
  archive: ["archive", "sync"],
  full_migration: ["migrate_files", "archive", "sync", "migrate_mailbox"],
  rockrms_import: ["rockrms_import"],
};

/** The job types an agent can carry out today. */
export const RUNNABLE_JOB_TYPES = ["migrate_files", "archive", "sync"] as const;
export const runnableJobType = z.enum(RUNNABLE_JOB_TYPES);

/** What the agent last proved. */
export const JOB_STATUSES = [
  "created",
  "scanning",
  "ready",
  "running",
  "paused",
  "completed",
  "failed",
  "cancelled",
] as const;
export const jobStatus = z.enum(JOB_STATUSES);
export type JobStatus = z.infer<typeof jobStatus>;

export const FINAL_STATUSES = ["completed", "failed", "cancelled"] as const;
export type FinalStatus = (typeof FINAL_STATUSES)[number];
export function isFinal(status: JobStatus): status is FinalStatus {
  return (FINAL_STATUSES as readonly string[]).includes(status);
}

/**
 * What a user wants. `cancel` is absorbing within an epoch. `finish`: a job that repeats itself ends with the pass it is in,
 * as completed.
 */
export const desiredState = z.enum(["run", "pause", "cancel", "finish"]);
export type DesiredState = z.infer<typeof desiredState>;

export const CONCURRENCY_MIN = 1;
export const CONCURRENCY_MAX = 32;
export const CHUNK_MIB_MIN = 1;
export const CHUNK_MIB_MAX = 256;
export const PATTERNS_MAX = 1_000;
export const PATTERN_LENGTH_MAX = 512;
/** First failures kept by the control plane for each epoch; all of them are in the agent's manifest. */
export const FAILURES_KEPT_MAX = 1_000;

export const accessTier = z.enum(["Hot", "Cool", "Cold", "Archive"]);
export type AccessTier = z.infer<typeof accessTier>;

/** What becomes of a blob that is to be replaced, but lies in the Archive tier, where it cannot be. */
export const archivedRule = z.enum(["skip", "replace", "new_name"]);
export type ArchivedRule = z.infer<typeof archivedRule>;

const megabitsPerSecond = z.number().min(0.1).max(100_000);
const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, "Hours and minutes, such as 18:00");

/** IANA names only; systems also know offsets and abbreviations, which mean another time in another season. */
function isTimeZone(name: string): boolean {
  if (name !== "UTC" && !name.includes("/")) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** When a site's line may be used how much. A window that ends before it begins goes over midnight. */
export const bandwidthSchedule = z.strictObject({
  timeZone: z.string().max(64).refine(isTimeZone, "A time zone such as Europe/Berlin"),
  windows: z
    .array(
      z.strictObject({
        /** On which the window begins. */
        days: z
          .array(z.enum(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]))
          .min(1)
          .max(7),
        from: timeOfDay,
        to: timeOfDay,
      }),
    )
    .max(20),
  /** Null = as fast as it goes. */
  insideMbps: megabitsPerSecond.nullable().default(null),
  outsideMbps: megabitsPerSecond.nullable(),
});
export type BandwidthSchedule = z.infer<typeof bandwidthSchedule>;

/** How source files are removed once they are proved to have arrived. */
export const deletion = z.strictObject({
  /** Days in the quarantine before they are gone for good; 0 = at the end of the job. */
  retentionDays: z.int().min(0).max(365).default(7),
  /** No more than this many; null = all. */
  filesMax: z.int().min(1).nullable().default(null),
  /** Only says what would be removed. */
  dryRun: z.boolean().default(false),
});
export type Deletion = z.infer<typeof deletion>;

/**
 * For so long after removed files were due to be gone for good the agent tries, and the control plane gives it grants, to ask
 * the destination about them.
 */
export const PURGE_DAYS_MAX = 60;

/** How a job of type `sync` goes on after a pass. */
export const repetition = z.strictObject({
  /** Minutes between the end of a pass and the next one. */
  everyMinutes: z.int().min(1).max(10_080).default(60),
  /** What becomes of a blob whose source file is gone. */
  vanished: z.enum(["keep", "remove"]).default("keep"),
});
export type Repetition = z.infer<typeof repetition>;

export const existingRule = z.enum(["skip_identical", "overwrite", "fail"]);
export type ExistingRule = z.infer<typeof existingRule>;

/** A path on the agent's machine, absolute in POSIX or Windows form. */
export const localPath = z
  .string()
  .min(1)
  .max(4_096)
  .refine((path) => path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path) || path.startsWith("\\\\"), {
    message: "Give the full path, such as /srv/files or C:\\Shares\\Files",
  })
  .refine((path) => !path.includes("\0"), { message: "A path cannot hold a NUL character" });

export const containerName = z
  .string()
  .regex(/^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/, "3 to 63 lower-case letters, digits and single hyphens");

/** A folder inside the container, without slashes at its ends; empty = the container itself. */
export const blobPrefix = z
  .string()
  .max(512)
  .refine((prefix) => prefix === "" || prefix.split("/").every(isPlainSegment), {
    message: "Folders separated by single slashes, such as acme-corp/files, without . or ..",
  });

function isPlainSegment(segment: string): boolean {
  // Control characters are refused by the service in practice, and never wanted.
  return segment !== "" && segment !== "." && segment !== ".." && !/[\u0000-\u001f\u007f\\]/.test(segment);
}

const globPattern = z.string().min(1).max(PATTERN_LENGTH_MAX);

/** Which entries of the source are moved. All given conditions must hold. */
export const filters = z.strictObject({
  /** gitignore-style globs; when there are any, a file must match one. */
  include: z.array(globPattern).max(PATTERNS_MAX).default([]),
  /** gitignore-style globs; a file that matches is left out. */
  exclude: z.array(globPattern).max(PATTERNS_MAX).default([]),
  /** Only files last modified before this time. */
  modifiedBefore: z.iso.datetime().nullable().default(null),
  /** Only files last modified at or after this time. */
  modifiedAfter: z.iso.datetime().nullable().default(null),
  sizeBytesMin: z.int().min(0).nullable().default(null),
  sizeBytesMax: z.int().min(0).nullable().default(null),
});
export type Filters = z.infer<typeof filters>;
export const NO_FILTERS: Filters = filters.parse({});

export const jobSource = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("local"), path: localPath }),
]);

export const jobDestination = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("azure_blob"),
    account: z.string(),
    container: containerName,
    prefix: blobPrefix,
    tier: accessTier,
  }),
]);
export type JobDestination = z.infer<typeof jobDestination>;

/** How the files are moved; every field has its documented default. */
export const transferOptions = z.strictObject({
  filters: filters.prefault({}),
  /** Parallel upload streams. */
  concurrency: z.int().min(CONCURRENCY_MIN).max(CONCURRENCY_MAX).default(4),
  /** Size of a block, in MiB. */
  chunkSizeMiB: z.int().min(CHUNK_MIB_MIN).max(CHUNK_MIB_MAX).default(8),
  /** Ask the destination afterwards what it holds, and compare. */
  verify: z.boolean().default(true),
  /** Of the files, evenly: read back whole and hashed. Needs `verify`. */
  readbackPercent: z.int().min(0).max(100).default(0),
  existing: existingRule.default("skip_identical"),
  archived: archivedRule.default("skip"),
  /** Overrides the project's schedule; null = none of its own. */
  bandwidthMbps: megabitsPerSecond.nullable().default(null),
  /** Null = the source stays as it is. Needs `verify`. */
  deletion: deletion.nullable().default(null),
  /** Only of type `sync`, which has it always. */
  repetition: repetition.nullable().default(null),
});
export type TransferOptions = z.infer<typeof transferOptions>;

/**
 * All the agent needs to know of a job, but the grant. Within an epoch nothing of it changes but the limits of the line:
 * `options.bandwidthMbps` and `schedule`, with a new revision.
 */
export const jobConfig = z.object({
  type: runnableJobType,
  name: z.string(),
  source: jobSource,
  destination: jobDestination,
  options: transferOptions,
  /** The project's, as it was when this was sent; null = none. */
  schedule: bandwidthSchedule.nullable().default(null),
  /** Only the files that failed in an earlier epoch are moved; the agent asks for their list. Absent = everything. */
  only: z.literal("failed").optional(),
});
export type JobConfig = z.infer<typeof jobConfig>;
/** As JSON, so that a config always fits into a frame (`FRAME_BYTES_MAX`) whatever it is written in. */
export const CONFIG_CHARACTERS_MAX = 64 * 1024;

const count = z.int().min(0);

/**
 * Cumulative totals of one epoch. They never fall, and at the end
 * `total = completed + failed + skipped` holds for files and for bytes.
 */
export const jobTotals = z.object({
  filesTotal: count,
  filesCompleted: count,
  filesFailed: count,
  filesSkipped: count,
  /** Of the completed ones: those the destination was asked about afterwards, with the right answer. */
  filesVerified: count,
  bytesTotal: count,
  bytesCompleted: count,
  bytesFailed: count,
  bytesSkipped: count,
  /** Of the verified ones: those that were read back and hashed. */
  filesReadBack: count.default(0),
  /** Source files that were moved into the quarantine, or removed, after their proof. */
  filesDeleted: count.default(0),
  /** Body bytes the destination accepted, also those of files that failed later or were sent again. */
  bytesSent: count,
});
export type JobTotals = z.infer<typeof jobTotals>;
export const ZERO_TOTALS: JobTotals = {
  filesTotal: 0,
  filesCompleted: 0,
  filesFailed: 0,
  filesSkipped: 0,
  filesVerified: 0,
  filesReadBack: 0,
  filesDeleted: 0,
  bytesTotal: 0,
  bytesCompleted: 0,
  bytesFailed: 0,
  bytesSkipped: 0,
  bytesSent: 0,
};

export const jobError = z.object({ code: jobErrorCode, message: z.string().max(1_000) });
export type JobError = z.infer<typeof jobError>;

/** One file that was not moved. `path` is relative to the source, with `/`. */
export const fileFailure = z.object({
  path: z.string().max(4_096),
  code: fileFailureCode,
  message: z.string().max(500),
});
export type FileFailure = z.infer<typeof fileFailure>;

/**
 * How far a report's proof goes: `sent` = accepted by the service; `chain` = the service was asked afterwards; `readback` =
 * some or all files were read back and hashed as well.
 */
export const verificationLevel = z.enum(["sent", "chain", "readback"]);
export type VerificationLevel = z.infer<typeof verificationLevel>;

/**
 * What the scan of a pass found and what is going to be done about it, before the first byte moves. Counted once, and the
 * same from then on. Of what was left out or could not be had it counts entries, so a folder that cannot be read is one.
 */
export const jobPreview = z.object({
  /** To be moved; those that are at the destination already are among them. */
  files: count,
  bytes: count,
  /** Of these, stored under another name, because the destination forbids theirs. */
  mapped: count,
  filtered: count,
  links: count,
  special: count,
  /** The destination can hold them under no name. */
  refused: count,
  tooLarge: count,
  unreadable: count,
});
export type JobPreview = z.infer<typeof jobPreview>;

/**
 * What a report says besides its numbers.
 * - `source_empty`: the source has no entry that is not a folder. `filters_match_nothing`: it has files, and none is wanted.
 * - `names_mapped`: files of the last pass that are stored under another name.
 * - `archived_left`: files of the last pass that were left out because what is to be replaced lies in the Archive tier.
 * - `archived_replaced`: blobs of the Archive tier that were removed so that the new ones could be written.
 * - `early_deletion`: blobs that were replaced or removed before the least age that their tier charges for; after a crash
 *   those replaced may be a few short.
 * - `vanished_removed`: blobs that a sync removed because the source had them no more; the manifest names each.
 */
export const NOTE_CODES = [
  "source_empty",
  "filters_match_nothing",
  "names_mapped",
  "archived_left",
  "archived_replaced",
  "early_deletion",
  "vanished_removed",
] as const;
export type NoteCode = (typeof NOTE_CODES)[number];
/** The code is open: whoever reads it may be older than who wrote it. */
export const jobNote = z.object({ code: z.string().max(64), count: count.optional() });
export type JobNote = z.infer<typeof jobNote>;
export const NOTES_MAX = 32;

/**
 * Why a source file that was moved stays where it is, though the job removes them. Open where it is read, as above.
 * `unsettled`: the system would not say what became of it; asked again when the job is.
 */
export const STAY_CODES = [
  "not_asked",
  "limit_reached",
  "not_allowed",
  "not_wanted",
  "source_vanished",
  "source_unreadable",
  "not_a_file",
  "outside_root",
  "other_volume",
  "identity_unknown",
  "other_names",
  "not_read_whole",
  "not_hashed",
  "not_accepted",
  "changed_since_upload",
  "not_proved",
  "destination_unreadable",
  "destination_vanished",
  "destination_replaced",
  "destination_differs",
  "tier_before_proof",
  "content_differs",
  "not_recorded",
  "source_denied",
  "source_locked",
  "not_due",
  "destination_unconfirmed",
  "unsettled",
] as const;
export type StayCode = (typeof STAY_CODES)[number];

/** What the agent found when it last went through what a finished job had left in its quarantine. */
export const quarantineCheck = z.object({
  /** Files that lie there yet, for whatever reason. */
  filesLeft: count,
  /** Removed for good since the job's end, all rounds together. */
  filesPurged: count,
  checkedAt: z.iso.datetime(),
});
export type QuarantineCheck = z.infer<typeof quarantineCheck>;

/** The end of one epoch, as the agent tells it. */
export const jobReport = z.object({
  outcome: z.enum(["completed", "failed", "cancelled"]),
  error: jobError.nullable(),
  totals: jobTotals,
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  /** Time spent working, without pauses and without time the agent was down. */
  activeMs: count,
  verification: verificationLevel,
  /** What became of the source files of a job that removes them; absent or null for any other. */
  removal: z
    .object({
      /** Moved into the quarantine; of a dry run, those that would have been. */
      files: count,
      bytes: count,
      dryRun: z.boolean(),
      /** Of these, gone for good. */
      filesPurged: count,
      /** In the quarantine besides, because they changed while they were moved and their place is taken. */
      filesKept: count.optional(),
      /** Files that stay, by the reason. */
      stays: z.record(z.string().max(64), count),
      /** What became of them after the end; absent until the agent has told it. */
      quarantine: quarantineCheck.optional(),
    })
    .nullable()
    .optional(),
  /** What a person should know besides; absent from agents that do not say it yet. */
  notes: z.array(jobNote).max(NOTES_MAX).optional(),
  /** The manifest has a line per entry; its digest lets anybody check the copy they were given. */
  manifest: z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), rows: count }).nullable(),
});
export type JobReport = z.infer<typeof jobReport>;
