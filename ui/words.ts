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
import { words as texts } from "./texts/frame.ts";

export type Tone = "neutral" | "accent" | "success" | "warning" | "danger";
export interface Worded {
  readonly text: string;
  readonly tone: Tone;
}

export const JOB_STATUS_WORDS: Readonly<Record<JobStatus, Worded>> = {
  created: { text: texts.created, tone: "neutral" },
  scanning: { text: texts.scanning, tone: "accent" },
  ready: { text: texts.ready, tone: "accent" },
  running: { text: texts.running, tone: "accent" },
  paused: { text: texts.paused, tone: "warning" },
  completed: { text: texts.completed, tone: "success" },
  failed: { text: texts.failed, tone: "danger" },
  cancelled: { text: texts.cancelled, tone: "neutral" },
};

export const PROJECT_STATUS_WORDS: Readonly<Record<Project["status"], Worded>> = {
  planning: { text: texts.planning, tone: "neutral" },
  in_progress: { text: texts.inProgress, tone: "accent" },
  completed: { text: texts.completed, tone: "success" },
  cancelled: { text: texts.cancelled, tone: "neutral" },
  auth_required: { text: texts.reconnectAzure, tone: "danger" },
};

export const AGENT_STATUS_WORDS: Readonly<Record<Agent["status"], Worded>> = {
  online: { text: texts.online, tone: "success" },
  offline: { text: texts.offline, tone: "neutral" },
  revoked: { text: texts.revoked, tone: "danger" },
  updating: { text: texts.updating, tone: "accent" },
  pending: { text: texts.waitsForApproval, tone: "warning" },
  locked: { text: texts.locked, tone: "danger" },
};

export const CLIENT_STATUS_WORDS: Readonly<Record<Client["status"], Worded>> = {
  active: { text: texts.active, tone: "success" },
  archived: { text: texts.archived, tone: "neutral" },
};

export const CODE_STATUS_WORDS: Readonly<Record<RegistrationCode["status"], Worded>> = {
  open: { text: texts.open, tone: "accent" },
  used: { text: texts.used, tone: "success" },
  expired: { text: texts.expired, tone: "neutral" },
  revoked: { text: texts.revoked, tone: "danger" },
};

export const LIVE_STATE_WORDS: Readonly<Record<LiveState, Worded>> = {
  off: { text: texts.notLive, tone: "neutral" },
  connecting: { text: texts.connecting, tone: "neutral" },
  live: { text: texts.live, tone: "success" },
  reconnecting: { text: texts.reconnecting, tone: "warning" },
};

export const PENDING_WISH_WORDS: Readonly<Record<PendingWish, string>> = {
  start: texts.startOnItsWay,
  pause: texts.pauseOnItsWay,
  resume: texts.resumeOnItsWay,
  cancel: texts.agentHasNotYet,
  finish: texts.finishOnItsWay,
};

export const PROJECT_TYPE_WORDS: Readonly<Record<ProjectType, string>> = {
  file_migration: texts.fileMigration,
  mailbox_migration: texts.mailboxMigration,
  archive: texts.archive,
  full_migration: texts.fullMigration,
  rockrms_import: texts.rockrmsImport,
};

export const JOB_TYPE_WORDS: Readonly<Record<RunnableJobType, string>> = {
  migrate_files: texts.migrateFiles,
  archive: texts.archive,
  sync: texts.syncPassAfterPass,
};

export const TIER_WORDS: Readonly<Record<AccessTier, string>> = {
  Hot: texts.hotReadOften,
  Cool: texts.coolReadNowThen,
  Cold: texts.coldReadRarely,
  Archive: texts.archiveKeptHoursRead,
};

export const EXISTING_WORDS: Readonly<Record<ExistingRule, string>> = {
  skip_identical: texts.skipWhatIsIdentical,
  overwrite: texts.overwrite,
  fail: texts.countItAsFailed,
};

export const ARCHIVED_WORDS: Readonly<Record<ArchivedRule, string>> = {
  skip: texts.skipTheFile,
  replace: texts.deleteWriteNewOne,
  new_name: texts.keepWriteNewOne,
};

export const VANISHED_WORDS: Readonly<Record<VanishedRule, string>> = {
  keep: texts.stayAtTheDestination,
  remove: texts.areRemovedAsWell,
};

export const WEEKDAY_WORDS: Readonly<Record<Weekday, string>> = {
  mon: texts.mon,
  tue: texts.tue,
  wed: texts.wed,
  thu: texts.thu,
  fri: texts.fri,
  sat: texts.sat,
  sun: texts.sun,
};

export const VERIFICATION_WORDS: Readonly<Record<VerificationLevel, string>> = {
  sent: texts.acceptedStorageServiceBlock,
  chain: texts.sha256EveryFile,
  readback: texts.sha256EveryFileTaken,
};

export const CONNECTION_KIND_WORDS = {
  connection_string: texts.connectionString,
  container_sas: texts.containerSas,
  oauth: texts.signedInWithMicrosoft,
} as const;

export const CODE_MINUTES_WORDS = { 15: "15 minutes", 60: "1 hour", 1440: "24 hours" } as const;

export const ROLE_WORDS: Readonly<Record<Role, string>> = {
  owner: texts.owner,
  admin: texts.admin,
  member: texts.member,
  viewer: texts.viewer,
};

const SYSTEM_NAMES: Readonly<Record<string, string>> = {
  windows: texts.windows,
  darwin: "macOS",
  macos: "macOS",
  linux: texts.linux,
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
