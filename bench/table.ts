/** From single runs to what is printed: medians, ratios by round, a table per workload. */
import type { Measurement } from "./command.ts";
import type { Workload } from "./workloads.ts";

/** One candidate's rounds; a round it could not end is null, so that rounds stay side by side. */
export interface Series {
  readonly candidate: string;
  readonly against: string | null;
  readonly rounds: readonly (Measurement | null)[];
}

export interface Summary {
  readonly candidate: string;
  readonly seconds: number;
  readonly secondsMin: number;
  readonly secondsMax: number;
  readonly activeSeconds: number | null;
  readonly cpuSeconds: number;
  readonly peakMib: number;
  readonly against: string | null;
  /** The median over the rounds of its time divided by ours in the same round; above 1, ours is faster. */
  readonly ratio: number | null;
}

export function summarize(series: readonly Series[]): readonly Summary[] {
  return series.flatMap(({ candidate, against, rounds }) => {
    const done = rounds.filter((round) => round !== null);
    if (done.length === 0) return [];
    const seconds = done.map((one) => one.seconds);
    const active = done.map((one) => one.activeSeconds).filter((one) => one !== null);
    const reference = series.find((one) => one.candidate === against)?.rounds ?? [];
    const ratios = rounds.flatMap((one, index) => {
      const ours = reference[index] ?? null;
      return one === null || ours === null ? [] : [one.seconds / ours.seconds];
    });
    return [
      {
        candidate,
        against,
        seconds: median(seconds),
        secondsMin: Math.min(...seconds),
        secondsMax: Math.max(...seconds),
        activeSeconds: active.length === 0 ? null : median(active),
        cpuSeconds: median(done.map((one) => one.cpuSeconds)),
        peakMib: median(done.map((one) => one.peakMib)),
        ratio: ratios.length === 0 ? null : median(ratios),
      },
    ];
  });
}

export function formatTable(workload: Workload, summaries: readonly Summary[]): string {
  const head = ["", "seconds", "min–max", "own account", "rate", "CPU", "peak", "÷ ours"];
  const rows = summaries.map((one) => [
    one.candidate,
    one.seconds.toFixed(2),
    `${one.secondsMin.toFixed(2)}–${one.secondsMax.toFixed(2)}`,
    one.activeSeconds === null ? "" : `${one.activeSeconds.toFixed(2)} s`,
    formatRate(workload, one.seconds),
    formatCpu(workload, one.cpuSeconds),
    `${one.peakMib.toFixed(0)} MiB`,
    one.ratio === null ? "" : `${one.ratio.toFixed(2)} ×`,
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)].join("\n");
}

function formatRate({ shape, rate }: Workload, seconds: number): string {
  switch (rate) {
    case "bytes":
      return `${((shape.files * shape.sizeBytes) / 1e6 / seconds).toFixed(0)} MB/s`;
    case "files":
      return `${Math.round(shape.files / seconds).toLocaleString("en")} files/s`;
    case "file cost":
      return `${((seconds * 1e6) / shape.files).toFixed(0)} µs/file`;
  }
}

/** Per GiB; where the files are too small for that to mean anything, per 10,000 files. */
function formatCpu({ shape, rate }: Workload, seconds: number): string {
  return rate === "bytes"
    ? `${((seconds * 2 ** 30) / (shape.files * shape.sizeBytes)).toFixed(2)} s/GiB`
    : `${((seconds * 10_000) / shape.files).toFixed(2)} s/10k files`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
