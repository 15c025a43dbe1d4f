/** What codes of the contract are called on the screen. One place, so that a state reads the same everywhere. */
import type { Agent, Client, Project, RegistrationCode, Role } from "../schema/api.ts";
import type { FileFailureCode } from "../schema/errors.ts";
import type {
  AccessTier,
  ArchivedRule,
  ExistingRule,
  JobError,
  JobStatus,
  ProjectType,
  VerificationLevel,
} from "../schema/job.ts";
import {
  FILE_FAILURES,
  JOB_ERRORS,
  type RunnableJobType,
  type VanishedRule,
  type Weekday,
} from "./contract.ts";
import type { LiveState } from "./live.ts";
import type { PendingWish } from "./models/job-figures.ts";

export type Tone = "neutral" | "accent" | "success" | "warning" | "danger";
export interface Worded {
  readonly text: string;
  readonly tone: Tone;
}

export const JOB_STATUS_WORDS: Readonly<Record<JobStatus, Worded>> = {
  created: { text: "Created", tone: "neutral" },
  scanning: { text: "Scanning", tone: "accent" },
  ready: { text: "Ready", tone: "accent" },
  running: { text: "Running", tone: "accent" },
  paused: { text: "Paused", tone: "warning" },
  completed: { text: "Completed", tone: "success" },
  failed: { text: "Failed", tone: "danger" },
  cancelled: { text: "Cancelled", tone: "neutral" },
};

export const PROJECT_STATUS_WORDS: Readonly<Record<Project["status"], Worded>> = {
  planning: { text: "Planning", tone: "neutral" },
  in_progress: { text: "In progress", tone: "accent" },
  completed: { text: "Completed", tone: "success" },
  cancelled: { text: "Cancelled", tone: "neutral" },
  auth_required: { text: "Reconnect Azure", tone: "danger" },
};

export const AGENT_STATUS_WORDS: Readonly<Record<Agent["status"], Worded>> = {
  online: { text: "Online", tone: "success" },
  offline: { text: "Offline", tone: "neutral" },
  revoked: { text: "Revoked", tone: "danger" },
  updating: { text: "Updating", tone: "accent" },
  pending: { text: "Waits for approval", tone: "warning" },
};

export const CLIENT_STATUS_WORDS: Readonly<Record<Client["status"], Worded>> = {
  active: { text: "Active", tone: "success" },
  archived: { text: "Archived", tone: "neutral" },
};

export const CODE_STATUS_WORDS: Readonly<Record<RegistrationCode["status"], Worded>> = {
  open: { text: "Open", tone: "accent" },
  used: { text: "Used", tone: "success" },
  expired: { text: "Expired", tone: "neutral" },
  revoked: { text: "Revoked", tone: "danger" },
};

export const LIVE_STATE_WORDS: Readonly<Record<LiveState, Worded>> = {
  off: { text: "Not live", tone: "neutral" },
  connecting: { text: "Connecting…", tone: "neutral" },
  live: { text: "Live", tone: "success" },
  reconnecting: { text: "Reconnecting…", tone: "warning" },
};

export const PENDING_WISH_WORDS: Readonly<Record<PendingWish, string>> = {
  start: "Start on its way…",
  pause: "Pause on its way…",
  resume: "Resume on its way…",
  cancel: "The agent has not yet heard of the cancellation",
  finish: "Finish on its way…",
};

export const PROJECT_TYPE_WORDS: Readonly<Record<ProjectType, string>> = {
  file_migration: "File migration",
  mailbox_migration: "Mailbox migration",
  archive: "Archive",
  full_migration: "Full migration",
  rockrms_import: "RockRMS import",
};

export const JOB_TYPE_WORDS: Readonly<Record<RunnableJobType, string>> = {
  migrate_files: "Migrate files",
  archive: "Archive",
  sync: "Sync, pass after pass",
};

export const TIER_WORDS: Readonly<Record<AccessTier, string>> = {
  Hot: "Hot – read often",
  Cool: "Cool – read now and then",
  Cold: "Cold – read rarely",
  Archive: "Archive – kept, hours to read back",
};

export const EXISTING_WORDS: Readonly<Record<ExistingRule, string>> = {
  skip_identical: "Skip what is identical",
  overwrite: "Overwrite",
  fail: "Count it as failed",
};

export const ARCHIVED_WORDS: Readonly<Record<ArchivedRule, string>> = {
  skip: "Skip the file",
  replace: "Delete it and write the new one",
  new_name: "Keep it and write the new one under another name",
};

export const VANISHED_WORDS: Readonly<Record<VanishedRule, string>> = {
  keep: "Stay at the destination",
  remove: "Are removed as well",
};

export const WEEKDAY_WORDS: Readonly<Record<Weekday, string>> = {
  mon: "Mon",
  tue: "Tue",
  wed: "Wed",
  thu: "Thu",
  fri: "Fri",
  sat: "Sat",
  sun: "Sun",
};

export const VERIFICATION_WORDS: Readonly<Record<VerificationLevel, string>> = {
  sent: "Accepted by the storage service block by block; not asked afterwards",
  chain:
    "SHA-256 of every file taken while it was read; the storage service was asked afterwards what it holds",
  readback:
    "SHA-256 of every file taken while it was read; the storage service was asked afterwards what it holds, and files were read back whole and hashed again",
};

export const CONNECTION_KIND_WORDS = {
  connection_string: "Connection string",
  container_sas: "Container SAS",
  oauth: "Signed in with Microsoft",
} as const;

export const CODE_MINUTES_WORDS = { 15: "15 minutes", 60: "1 hour", 1440: "24 hours" } as const;

export const ROLE_WORDS: Readonly<Record<Role, string>> = {
  owner: "Owner",
  admin: "Admin",
  member: "Member",
  viewer: "Viewer",
};

const SYSTEM_NAMES: Readonly<Record<string, string>> = {
  windows: "Windows",
  darwin: "macOS",
  macos: "macOS",
  linux: "Linux",
};

/** What an agent calls its system (`windows 10.0.20348`), with the system's usual name. */
export function systemName(os: string): string {
  const [name = "", ...version] = os.split(" ");
  return [SYSTEM_NAMES[name.toLowerCase()] ?? name, ...version].join(" ");
}

/** Falls back to what the server said: it may know codes that this page does not. */
export function failureSentence(code: FileFailureCode, message: string): string {
  return FILE_FAILURES[code] ?? message;
}

export function jobErrorSentence(error: JobError): string {
  return JOB_ERRORS[error.code] ?? error.message;
}
