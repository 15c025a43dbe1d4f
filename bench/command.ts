/**
 * Runs one program to its end: for the preparations ({@link runCommand}), and measured ({@link measureCommand}). Both have a
 * limit, and end with the benchmark however that ends.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startChild, type ChildOptions } from "../tools/stack/children.ts";
import { RUNS } from "./cache.ts";
import type { NativeTools } from "./native-tools.ts";

const PREPARE_LIMIT_MS = 15 * 60_000;
export const RUN_LIMIT_MS = 30 * 60_000;

export interface Measurement {
  /** From the start to the end, as whoever waits for it sees it. */
  readonly seconds: number;
  /** The agent's own account of its work; null for programs that give none. */
  readonly activeSeconds: number | null;
  readonly cpuSeconds: number;
  readonly peakMib: number;
}

export interface Command {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly folder?: string;
  /** What it prints is not wanted, and there is much of it. */
  readonly output?: "log" | "discard";
}

export async function runCommand(what: string, command: Command, signal: AbortSignal): Promise<string> {
  return await toItsEnd(what, command, PREPARE_LIMIT_MS, signal);
}

export async function measureCommand(
  what: string,
  tools: NativeTools,
  { command, arguments: words, output, ...rest }: Command,
  signal: AbortSignal,
): Promise<Measurement> {
  const report = join(RUNS, "measured.json");
  const discard = output === "discard" ? ["--discard-output"] : [];
  const measured = {
    command: tools.measure,
    arguments: ["--report", report, ...discard, "--", command, ...words],
    ...rest,
  };
  await toItsEnd(what, measured, RUN_LIMIT_MS, signal);
  const { seconds, cpuSeconds, peakKib } = JSON.parse(readFileSync(report, "utf8")) as {
    seconds: number;
    cpuSeconds: number;
    peakKib: number;
  };
  rmSync(report);
  return { seconds, activeSeconds: null, cpuSeconds, peakMib: peakKib / 1024 };
}

async function toItsEnd(
  what: string,
  { command, arguments: words, environment, folder }: Command,
  limitMs: number,
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted();
  const logFile = join(RUNS, "command.log");
  rmSync(logFile, { force: true });
  const options: ChildOptions = {
    command,
    arguments: words,
    logFile,
    ...(environment === undefined ? {} : { environment }),
    ...(folder === undefined ? {} : { folder }),
  };
  const child = startChild(options);
  const stop = () => child.kill("SIGKILL");
  const timer = setTimeout(stop, limitMs);
  signal.addEventListener("abort", stop, { once: true });
  const code = await child.exited;
  clearTimeout(timer);
  signal.removeEventListener("abort", stop);
  signal.throwIfAborted();
  if (code !== 0) throw new Error(`${what} ended with exit code ${code}:\n${child.lastLines()}`);
  return child.output();
}
