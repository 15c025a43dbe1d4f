/**
 * Reports as they are taken along or printed, and what a client or a project has used. GB are 10⁹ bytes, and transferred is
 * what the destination accepted in all runs of a job; all else is of its present run.
 */
import * as z from "zod";
import { agentId, clientId, jobId, organizationId, projectId } from "./ids.ts";
import {
  FINAL_STATUSES,
  fileFailure,
  jobError,
  jobReport,
  jobStatus,
  jobTotals,
  projectType,
  runnableJobType,
  verificationLevel,
  type JobTotals,
  type NoteCode,
  type VerificationLevel,
} from "./job.ts";

export const USD_PER_GIGABYTE = 0.4;
export const USD_PER_MAILBOX = 12;
const BYTES_PER_GIGABYTE = 1_000_000_000;

/** How a table is wanted: `bom=1` puts the mark in front by which Excel knows UTF-8. */
export const tableQuery = z.strictObject({ bom: z.enum(["0", "1"]).default("0") });
const ofEpoch = { epoch: z.coerce.number().int().min(1).optional() };
/** Lists of files are kept for each run; the newest one that is stored unless said. */
export const filesQuery = tableQuery.extend(ofEpoch);
export const manifestDownloadQuery = z.strictObject(ofEpoch);
export const noQuery = z.strictObject({});

const time = z.iso.datetime();
const count = z.int().min(0);
/** Of the files that were tried; null when there were none. */
const successRate = z.number().min(0).max(1).nullable();

const usageFields = {
  bytesTransferred: count,
  gigabytesTransferred: z.number(),
  /** Files that were moved, in all runs. */
  filesTransferred: count,
  mailboxes: count,
  costEstimateUsd: z.number(),
};

export const usage = z.object({
  ...usageFields,
  jobs: z.record(jobStatus, count),
  lastActivityAt: time.nullable(),
});
export type Usage = z.infer<typeof usage>;

export const verificationWords = z.object({ level: verificationLevel, words: z.string() });

/** Everything a printed page of one job shows. */
export const jobReportDocument = z.object({
  kind: z.literal("job_report"),
  madeAt: time,
  organization: z.object({ id: organizationId, name: z.string() }),
  client: z.object({ id: clientId, name: z.string(), contactName: z.string().nullable() }),
  project: z.object({ id: projectId, name: z.string(), type: projectType }),
  job: z.object({
    id: jobId,
    name: z.string(),
    type: runnableJobType,
    status: jobStatus,
    epoch: z.int(),
    source: z.string(),
    destination: z.object({
      account: z.string(),
      container: z.string(),
      prefix: z.string(),
      tier: z.string(),
    }),
  }),
  agent: z.object({ id: agentId, name: z.string(), host: z.string(), os: z.string(), version: z.string() }),
  times: z.object({
    createdAt: time,
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
    /** Time spent working; null before the end. */
    activeMs: count.nullable(),
  }),
  totals: jobTotals,
  usage: z.object(usageFields),
  successRate,
  error: jobError.nullable(),
  /** Null before the end. */
  verification: verificationWords.nullable(),
  notes: z.array(z.object({ code: z.string(), count: count.nullable(), words: z.string() })),
  removal: jobReport.shape.removal.unwrap(),
  failures: z.object({
    total: count,
    /** The first ones are listed; the list of files has all. */
    listed: count,
    groups: z.array(
      z.object({
        code: fileFailure.shape.code,
        words: z.string(),
        listed: count,
        files: z.array(fileFailure.pick({ path: true, message: true })),
      }),
    ),
  }),
  /** What the agent counted and hashed; `stored` once the list itself can be had here. */
  manifest: z
    .object({
      sha256: z.string(),
      rows: count,
      stored: z.object({ sizeBytes: count, storedAt: time }).nullable(),
    })
    .nullable(),
});
export type JobReportDocument = z.infer<typeof jobReportDocument>;

export const reportedJob = z.object({
  id: jobId,
  name: z.string(),
  clientName: z.string(),
  projectId,
  projectName: z.string(),
  projectType,
  agentName: z.string(),
  type: runnableJobType,
  status: jobStatus,
  epoch: z.int(),
  createdAt: time,
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
  activeMs: count.nullable(),
  totals: jobTotals,
  successRate,
  verification: verificationWords.nullable(),
  error: jobError.nullable(),
  ...usageFields,
});
export type ReportedJob = z.infer<typeof reportedJob>;

/** The sums of exactly the jobs listed before them. */
export const reportSums = z.object({
  jobs: count,
  jobsByStatus: z.record(jobStatus, count),
  filesTotal: count,
  filesCompleted: count,
  filesFailed: count,
  filesSkipped: count,
  filesVerified: count,
  bytesCompleted: count,
  activeMs: count,
  successRate,
  ...usageFields,
});
export type ReportSums = z.infer<typeof reportSums>;

export const jobsReportDocument = z.object({
  kind: z.enum(["project_report", "client_report"]),
  madeAt: time,
  organization: z.object({ id: organizationId, name: z.string() }),
  client: z.object({ id: clientId, name: z.string() }),
  /** Of a project's report. */
  project: z.object({ id: projectId, name: z.string(), type: projectType }).nullable(),
  jobs: z.array(reportedJob),
  sums: reportSums,
});
export type JobsReportDocument = z.infer<typeof jobsReportDocument>;

export function isEnded(status: string): boolean {
  return (FINAL_STATUSES as readonly string[]).includes(status);
}

export function successRateOf({
  filesCompleted,
  filesFailed,
}: Pick<JobTotals, "filesCompleted" | "filesFailed">) {
  const tried = filesCompleted + filesFailed;
  return tried === 0 ? null : filesCompleted / tried;
}

export function usageOf(used: { readonly bytes: number; readonly files: number }) {
  const gigabytes = used.bytes / BYTES_PER_GIGABYTE;
  const mailboxes = 0;
  const cents = Math.round((gigabytes * USD_PER_GIGABYTE + mailboxes * USD_PER_MAILBOX) * 100);
  return {
    bytesTransferred: used.bytes,
    gigabytesTransferred: gigabytes,
    filesTransferred: used.files,
    mailboxes,
    costEstimateUsd: cents / 100,
  };
}

export const VERIFICATION_WORDS: Readonly<Record<VerificationLevel, string>> = {
  sent: "Not verified: the storage service accepted every file, and was not asked again",
  chain:
    "Verified: every block was checked on arrival, and the storage service was asked afterwards what it holds",
  readback: "Verified, and files were read back from the storage service and hashed again",
};

/** Notes in words; a code that a newer agent says stands for itself. */
export function wordsOfNote(code: string, times: number | undefined): string {
  const words = Object.hasOwn(NOTE_WORDS, code) ? NOTE_WORDS[code as NoteCode] : code;
  return times === undefined ? words : `${words}: ${times}`;
}

const NOTE_WORDS: Readonly<Record<NoteCode, string>> = {
  source_empty: "The source holds no files, so there was nothing to move",
  filters_match_nothing: "The source holds files, but the filters leave none of them",
  names_mapped: "Files stored under another name, because the storage service forbids the original one",
  archived_left: "Files left out, because what is at the destination lies in the Archive tier",
  archived_replaced: "Blobs of the Archive tier that were deleted and written anew",
  early_deletion:
    "Blobs replaced or removed before the least age of their tier, for which Azure may charge a fee",
  vanished_removed: "Blobs removed because the source has their files no more, as the job says",
};
