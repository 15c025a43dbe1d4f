/** What each exported table holds, as lines of text; a piece at a time, whatever its length. */
import { MANIFEST_FIELDS } from "../../schema/manifest.ts";
import { JOB_STATUSES, type JobStatus } from "../../schema/job.ts";
import {
  successRateOf,
  usageOf,
  type JobReportDocument,
  type JobsReportDocument,
  type ReportedJob,
  type ReportSums,
} from "../../schema/reports.ts";
import { csvLine, type Cell } from "./csv.ts";

// --- every file of a run -----------------------------------------------------------------------------------------

const FILE_HEADINGS = csvLine([
  "Path",
  "Size in bytes",
  "Modified",
  "SHA-256",
  "Stored as",
  "ETag",
  "Outcome",
  "Reason",
  "Proof",
]);

/** `lines` are those of the manifest. */
export async function* filesTable(lines: AsyncIterable<readonly string[]>): AsyncGenerator<string, void> {
  yield FILE_HEADINGS;
  for await (const some of lines) {
    let text = "";
    for (const line of some) text += csvLine(cellsOf(JSON.parse(line)));
    yield text;
  }
}

/** A newer agent may say something in another form; it is shown as it came. */
function cellsOf(row: unknown): Cell[] {
  if (typeof row !== "object" || row === null) throw new Error("Cannot read a manifest: a line is no object");
  const fields = row as Readonly<Record<string, unknown>>;
  return MANIFEST_FIELDS.map((name) => {
    const value = fields[name];
    if (value === null || value === undefined) return null;
    return typeof value === "string" || typeof value === "number" ? value : JSON.stringify(value);
  });
}

// --- one job -----------------------------------------------------------------------------------------------------

export function* jobTable(report: JobReportDocument): Generator<string, void> {
  yield csvLine(["Section", "Name", "Value", "Details"]);
  for (const [name, value, details = null] of summaryOf(report)) {
    yield csvLine(["Summary", name, value, details]);
  }
  for (const { code, count, words } of report.notes) yield csvLine(["Note", code, count, words]);
  for (const [reason, count] of Object.entries(report.removal?.stays ?? {})) {
    yield csvLine(["Stays at the source", reason, count, null]);
  }
  for (const { code, words, files } of report.failures.groups) {
    for (const { path, message } of files) yield csvLine(["Failed file", path, code, message || words]);
  }
}

function summaryOf(report: JobReportDocument): (readonly [string, Cell, Cell?])[] {
  const { job, agent, times, totals, usage, failures, removal, manifest } = report;
  const { account, container, prefix, tier } = job.destination;
  return [
    ["Organization", report.organization.name, report.organization.id],
    ["Client", report.client.name, report.client.id],
    ["Project", report.project.name, report.project.id],
    ["Job", job.name, job.id],
    ["Type", job.type],
    ["Status", job.status],
    ["Run", job.epoch],
    ["Error", report.error?.code ?? null, report.error?.message ?? null],
    ["Agent", agent.name, `${agent.host}, ${agent.os}, version ${agent.version}`],
    ["Source", job.source],
    ["Destination", [account, container, ...(prefix === "" ? [] : [prefix])].join("/"), tier],
    ["Created", times.createdAt],
    ["Started", times.startedAt],
    ["Finished", times.finishedAt],
    ["Duration in seconds", secondsOf(times.activeMs), "Time spent working, without pauses"],
    ["Files found", totals.filesTotal],
    ["Files moved", totals.filesCompleted],
    ["Files failed", totals.filesFailed, `${failures.listed} listed below`],
    ["Files skipped", totals.filesSkipped],
    ["Files verified", totals.filesVerified],
    ["Files read back", totals.filesReadBack],
    ["Bytes found", totals.bytesTotal],
    ["Bytes moved", totals.bytesCompleted],
    ["Bytes failed", totals.bytesFailed],
    ["Bytes skipped", totals.bytesSkipped],
    ["Bytes sent", totals.bytesSent],
    ["Success rate in percent", percentOf(report.successRate)],
    ["GB transferred", usage.gigabytesTransferred, "In all runs of the job; 1 GB = 1,000,000,000 bytes"],
    ["Cost estimate in USD", usage.costEstimateUsd],
    ["Verification", report.verification?.level ?? null, report.verification?.words ?? null],
    ...(removal
      ? ([
          ["Removed from the source", removal.files, removal.dryRun ? "Dry run: nothing was removed" : null],
          ["Bytes removed from the source", removal.bytes],
          ["Gone for good", removal.filesPurged + (removal.quarantine?.filesPurged ?? 0)],
          ...(removal.quarantine
            ? ([
                ["Left in quarantine", removal.quarantine.filesLeft, `As of ${removal.quarantine.checkedAt}`],
              ] as const)
            : []),
        ] as const)
      : []),
    ["Manifest SHA-256", manifest?.sha256 ?? null],
    ["Manifest lines", manifest?.rows ?? null],
  ];
}

// --- all jobs of a project, or of a client -----------------------------------------------------------------------

/** Adds up what goes past. */
export class Sums {
  readonly #sums = {
    jobs: 0,
    filesTotal: 0,
    filesCompleted: 0,
    filesFailed: 0,
    filesSkipped: 0,
    filesVerified: 0,
    bytesCompleted: 0,
    activeMs: 0,
  };
  readonly #byStatus = Object.fromEntries(JOB_STATUSES.map((status) => [status, 0])) as Record<
    JobStatus,
    number
  >;
  #used = { bytes: 0, files: 0 };

  add(job: ReportedJob): void {
    const sums = this.#sums;
    sums.jobs++;
    this.#byStatus[job.status]++;
    sums.filesTotal += job.totals.filesTotal;
    sums.filesCompleted += job.totals.filesCompleted;
    sums.filesFailed += job.totals.filesFailed;
    sums.filesSkipped += job.totals.filesSkipped;
    sums.filesVerified += job.totals.filesVerified;
    sums.bytesCompleted += job.totals.bytesCompleted;
    sums.activeMs += job.activeMs ?? 0;
    this.#used = {
      bytes: this.#used.bytes + job.bytesTransferred,
      files: this.#used.files + job.filesTransferred,
    };
  }

  get(): ReportSums {
    return {
      ...this.#sums,
      jobsByStatus: this.#byStatus,
      successRate: successRateOf(this.#sums),
      ...usageOf(this.#used),
    };
  }
}

const JOB_HEADINGS = [
  "Client",
  "Project",
  "Project type",
  "Job",
  "Job id",
  "Type",
  "Agent",
  "Status",
  "Run",
  "Created",
  "Started",
  "Finished",
  "Duration in seconds",
  "Files found",
  "Files moved",
  "Files failed",
  "Files skipped",
  "Files verified",
  "Bytes moved",
  "Success rate in percent",
  "Verification",
  "Error",
  "Bytes transferred",
  "GB transferred",
  "Cost estimate in USD",
] as const;

/** A line for each job, and their sums in the last one. */
export async function* jobsTable(pages: AsyncIterable<readonly ReportedJob[]>): AsyncGenerator<string, void> {
  yield csvLine(JOB_HEADINGS);
  const sums = new Sums();
  for await (const jobs of pages) {
    for (const job of jobs) sums.add(job);
    yield jobs.map((job) => csvLine(cellsOfJob(job))).join("");
  }
  yield csvLine(cellsOfSums(sums.get()));
}

function cellsOfJob(job: ReportedJob): Cell[] {
  return [
    job.clientName,
    job.projectName,
    job.projectType,
    job.name,
    job.id,
    job.type,
    job.agentName,
    job.status,
    job.epoch,
    job.createdAt,
    job.startedAt,
    job.finishedAt,
    secondsOf(job.activeMs),
    ...countsOf({ ...job.totals, successRate: job.successRate }),
    job.verification?.level ?? null,
    job.error?.code ?? null,
    ...usedOf(job),
  ];
}

function cellsOfSums(sums: ReportSums): Cell[] {
  const empty = Array.from<null>({ length: 8 }).fill(null);
  return [
    "Total",
    null,
    null,
    `${sums.jobs} jobs`,
    ...empty,
    secondsOf(sums.activeMs),
    ...countsOf(sums),
    null,
    null,
    ...usedOf(sums),
  ];
}

type Counts = Pick<
  ReportSums,
  | "filesTotal"
  | "filesCompleted"
  | "filesFailed"
  | "filesSkipped"
  | "filesVerified"
  | "bytesCompleted"
  | "successRate"
>;

function countsOf(counts: Counts): Cell[] {
  return [
    counts.filesTotal,
    counts.filesCompleted,
    counts.filesFailed,
    counts.filesSkipped,
    counts.filesVerified,
    counts.bytesCompleted,
    percentOf(counts.successRate),
  ];
}

function usedOf(
  used: Pick<ReportSums, "bytesTransferred" | "gigabytesTransferred" | "costEstimateUsd">,
): Cell[] {
  return [used.bytesTransferred, used.gigabytesTransferred, used.costEstimateUsd];
}

/** The same as JSON; the sums stand behind the jobs, because they are of those. */
export async function* jobsJson(
  head: Omit<JobsReportDocument, "jobs" | "sums">,
  pages: AsyncIterable<readonly ReportedJob[]>,
): AsyncGenerator<string, void> {
  yield `${JSON.stringify(head).slice(0, -1)},"jobs":[`;
  const sums = new Sums();
  let separator = "";
  for await (const jobs of pages) {
    for (const job of jobs) {
      sums.add(job);
      yield separator + JSON.stringify(job);
      separator = ",";
    }
  }
  yield `],"sums":${JSON.stringify(sums.get())}}`;
}

function secondsOf(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms / 1_000);
}

/** To a hundredth, and downwards: with a failed file it is never 100. */
function percentOf(rate: number | null): number | null {
  return rate === null ? null : Math.floor(rate * 10_000) / 100;
}
