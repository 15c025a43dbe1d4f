/**
 * The few values of `schema/` that the dashboard needs at run time.
 *
 * They are written again here because every file of `schema/` builds zod shapes as it loads, and zod alone would take the
 * whole budget of the first view. Types come from `schema/` by `import type`; `contract.test.ts` holds each value to its original.
 */
import type { Sort } from "../schema/api.ts";
import type { FileFailureCode, JobErrorCode } from "../schema/errors.ts";
import type {
  AccessTier,
  ArchivedRule,
  BandwidthSchedule,
  ExistingRule,
  FinalStatus,
  JobStatus,
  ProjectType,
  Repetition,
} from "../schema/job.ts";
import { contract as texts } from "./texts/frame.ts";

/** The job types an agent can carry out, of which a project type admits some. */
export type RunnableJobType = "migrate_files" | "archive" | "sync";
export const RUNNABLE_JOB_TYPES_OF: Readonly<Record<ProjectType, readonly RunnableJobType[]>> = {
  file_migration: ["migrate_files", "sync"],
  mailbox_migration: [],
  archive: ["archive", "sync"],
  full_migration: ["migrate_files", "archive", "sync"],
  rockrms_import: [],
};
/** The project types in which a job can be made. */
export const OFFERED_PROJECT_TYPES = ["file_migration", "archive", "full_migration"] as const;
export type OfferedProjectType = (typeof OFFERED_PROJECT_TYPES)[number];

export const ACCESS_TIERS = ["Hot", "Cool", "Cold", "Archive"] as const satisfies readonly AccessTier[];
export const EXISTING_RULES = [
  "skip_identical",
  "overwrite",
  "fail",
] as const satisfies readonly ExistingRule[];
export const ARCHIVED_RULES = ["skip", "replace", "new_name"] as const satisfies readonly ArchivedRule[];
export type VanishedRule = Repetition["vanished"];
export const VANISHED_RULES = ["keep", "remove"] as const satisfies readonly VanishedRule[];
export type Weekday = BandwidthSchedule["windows"][number]["days"][number];
export const WEEKDAYS = [
  "mon",
  "tue",
  "wed",
  "thu",
  "fri",
  "sat",
  "sun",
] as const satisfies readonly Weekday[];
export const CODE_MINUTES = [15, 60, 1_440] as const;

export const CONCURRENCY = { min: 1, max: 32, default: 4 } as const;
export const CHUNK_MIB = { min: 1, max: 256, default: 8 } as const;
/** Of the line, in Mbps. */
export const MEGABITS = { min: 0.1, max: 100_000 } as const;
export const READBACK_PERCENT = { min: 0, max: 100, default: 0 } as const;
export const RETENTION_DAYS = { min: 0, max: 365, default: 7 } as const;
export const REPETITION_MINUTES = { min: 1, max: 10_080, default: 60 } as const;
export const WINDOWS_MAX = 20;
export const TIME_OF_DAY = /^([01]\d|2[0-3]):[0-5]\d$/;
export const PATTERNS_MAX = 1_000;
export const PATTERN_LENGTH_MAX = 512;
export const CONTAINER_NAME = /^(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*$/;

export const IDEMPOTENCY_HEADER = "Idempotency-Key";
export const LIST_LIMIT_MAX = 200;
export const SORTS = ["created", "name", "activity", "status"] as const satisfies readonly Sort[];
export const LIVE_CLOSE = { signedOut: 4401, checkSession: 4402 } as const;

export function isFinal(status: JobStatus): status is FinalStatus {
  return status === "completed" || status === "failed" || status === "cancelled";
}

export function isFullPath(path: string): boolean {
  return path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path) || path.startsWith("\\\\");
}

/** Only names of places: an offset or an abbreviation would mean another time in another season. */
export function isTimeZone(name: string): boolean {
  if (name.length > 64 || (name !== "UTC" && !name.includes("/"))) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

export function isBlobPrefix(prefix: string): boolean {
  return prefix === "" || (prefix.length <= 512 && prefix.split("/").every(isPlainSegment));
}

function isPlainSegment(segment: string): boolean {
  return segment !== "" && segment !== "." && segment !== ".." && !/[\u0000-\u001f\u007f\\]/.test(segment);
}

/** Why one file was not moved. */
export const FILE_FAILURES = {
  source_denied: texts.agentsAccountMayNot,
  source_unreadable: texts.itCannotBeRead,
  source_vanished: texts.goneWhenTurnCame,
  source_changing: texts.keptChangingWhileRead,
  source_locked: texts.anotherProgramHasLocked,
  name_refused: texts.destinationCannotHoldName,
  too_large: texts.largerThanDestinationCan,
  destination_exists: texts.somethingElseNameDestination,
  destination_denied: texts.theDestinationDeniesAccess,
  destination_unreachable: texts.destinationCouldNotReached,
  destination_error: texts.theDestinationRefusedIt,
  verification_failed: texts.whatDestinationHoldsNot,
} as const satisfies Readonly<Record<FileFailureCode, string>>;

/** Why a whole job failed. */
export const JOB_ERRORS = {
  NO_AZURE_CONNECTION: texts.projectHasNoAzure,
  SOURCE_NOT_FOUND: texts.sourceFolderDoesNot,
  SOURCE_UNREADABLE: texts.agentsAccountCannotRead,
  SOURCE_REFUSED: texts.agentRefusesSourcePath,
  DESTINATION_REFUSED: texts.agentRefusesDestination,
  DESTINATION_UNREACHABLE: texts.storageAccountCannotReached,
  DESTINATION_DENIED: texts.storageAccountDeniesAccess,
  DESTINATION_MISSING: texts.containerDoesNotExist,
  CONFIG_REFUSED: texts.agentDoesNotUnderstand,
  JOURNAL_BROKEN: texts.agentsJournalJobDamaged,
  AGENT_ERROR: texts.agentMetUnexpectedError,
} as const satisfies Readonly<Record<JobErrorCode, string>>;
