/** How a job looks in a terminal: one line that is written over, or plain lines where there is no terminal. */
import type { Job } from "../../schema/api.ts";
import type { LiveJob } from "../../schema/live.ts";

const PLAIN_STEP_MS = 2_000;

interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export class ProgressLine {
  readonly #output: Output;
  #lastText = "";
  #lastMs = 0;
  #lastStatus = "";

  constructor(output: Output) {
    this.#output = output;
  }

  show(job: LiveJob): void {
    const text = describeProgress(job);
    if (this.#output.isTTY === true) {
      // Some terminals say that they have no columns at all.
      const width = (this.#output.columns || 80) - 1;
      this.#output.write(`\r\u001b[2K${text.slice(0, width)}`);
      this.#lastText = text;
      return;
    }
    const now = performance.now();
    const isDue = job.status !== this.#lastStatus || now - this.#lastMs >= PLAIN_STEP_MS;
    if (!isDue || text === this.#lastText) return;
    this.#output.write(`${text}\n`);
    [this.#lastText, this.#lastMs, this.#lastStatus] = [text, now, job.status];
  }

  end(): void {
    if (this.#output.isTTY === true && this.#lastText !== "") this.#output.write("\n");
  }
}

function describeProgress(job: LiveJob): string {
  const { totals } = job;
  const doneBytes = totals.bytesCompleted + totals.bytesSkipped + totals.bytesFailed + job.bytesInFlight;
  const doneFiles = totals.filesCompleted + totals.filesSkipped + totals.filesFailed;
  const percent =
    totals.bytesTotal === 0 ? 0 : Math.min(100, Math.floor((100 * doneBytes) / totals.bytesTotal));
  const parts = [
    job.status.padEnd(9),
    job.status === "scanning" ? "" : `${percent} %`,
    `${doneFiles}/${totals.filesTotal} files`,
    `${bytes(doneBytes)} of ${bytes(totals.bytesTotal)}`,
    job.bytesPerSecond > 0 ? `${mbps(job.bytesPerSecond)} Mbps` : "",
    job.secondsRemaining === null ? "" : `${Math.ceil(job.secondsRemaining)} s left`,
    totals.filesFailed > 0 ? `${totals.filesFailed} failed` : "",
  ];
  return parts.filter((part) => part !== "").join("  ");
}

/** The report as text. */
export function describeReport(job: Job): string {
  const { totals, report, error } = job;
  const seconds = (report?.activeMs ?? 0) / 1000;
  const rate = seconds > 0 ? mbps(totals.bytesSent / seconds) : "–";
  const rows: [string, string][] = [
    ["status", error === null ? job.status : `${job.status} (${error.code}: ${error.message})`],
    ["files", `${totals.filesCompleted} moved, ${totals.filesSkipped} skipped, ${totals.filesTotal} found`],
    ["bytes", `${bytes(totals.bytesCompleted)} (${totals.bytesCompleted})`],
    ["duration", `${seconds.toFixed(1)} s`],
    ["speed", `${rate} Mbps`],
    ["failed", String(totals.filesFailed)],
    [
      "verified",
      `${totals.filesVerified} of ${totals.filesCompleted}${report?.verification === "chain" ? " (the storage was asked afterwards)" : ""}`,
    ],
  ];
  if (report?.manifest)
    rows.push(["manifest", `SHA-256 ${report.manifest.sha256}, ${report.manifest.rows} lines`]);
  const heading = `Report: ${job.name}`;
  return [
    "",
    heading,
    "─".repeat(heading.length),
    ...rows.map(([name, value]) => `  ${name.padEnd(10)}${value}`),
  ].join("\n");
}

/** Decimal units, as storage is sold and billed. */
function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

function mbps(bytesPerSecond: number): string {
  return ((bytesPerSecond * 8) / 1e6).toFixed(1);
}
