/**
 * The few values of `schema/` that the dashboard needs at run time.
 *
 * They are written again here because every file of `schema/` builds zod shapes as it loads, and zod alone would take the
 * whole budget of the first view. Types come from `schema/` by `import type`; `contract.test.ts` holds each value to its original.
 */
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
  source_denied: "The agent's account may not read it",
  source_unreadable: "It cannot be read",
  source_vanished: "It was gone when its turn came",
  source_changing: "It kept changing while it was read",
  source_locked: "Another program has locked it",
  name_refused: "The destination cannot hold this name",
  too_large: "It is larger than the destination can hold",
  destination_exists: "Something else of this name is at the destination",
  destination_denied: "The destination denies access",
  destination_unreachable: "The destination could not be reached",
  destination_error: "The destination refused it",
  verification_failed: "What the destination holds is not what was sent",
} as const satisfies Readonly<Record<FileFailureCode, string>>;

/** Why a whole job failed. */
export const JOB_ERRORS = {
  NO_AZURE_CONNECTION: "Project has no Azure connection",
  SOURCE_NOT_FOUND: "The source folder does not exist on the agent's machine",
  SOURCE_UNREADABLE: "The agent's account cannot read the source folder",
  SOURCE_REFUSED: "The agent refuses this source path",
  DESTINATION_REFUSED: "The agent refuses this destination",
  DESTINATION_UNREACHABLE: "The storage account cannot be reached from the agent's machine",
  DESTINATION_DENIED: "The storage account denies access",
  DESTINATION_MISSING: "The container does not exist",
  CONFIG_REFUSED: "The agent does not understand this job",
  JOURNAL_BROKEN: "The agent's journal of this job is damaged",
  AGENT_ERROR: "The agent met an unexpected error",
} as const satisfies Readonly<Record<JobErrorCode, string>>;
