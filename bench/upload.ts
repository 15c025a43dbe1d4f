/**
 * `npm run bench:upload`: our agent beside AzCopy and rclone, on the same files and the same target, round by round in
 * turns, so that whatever else the machine does meets all of them. `bench/README.md` says how to read it.
 */
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "vite";
import { ROOT } from "../tools/environment.ts";
import { claimCache, NotAvailable, RUNS } from "./cache.ts";
import { listAbsent, listCandidates, type Candidate, type Lab } from "./candidates.ts";
import { makeCertificate, type Certificate } from "./certificate.ts";
import type { Measurement } from "./command.ts";
import { buildNativeTools, type NativeTools } from "./native-tools.ts";
import { startOurs } from "./ours.ts";
import { installAzCopy, installRclone } from "./peers.ts";
import { startAzuriteTarget, startNullSink, type Target, type TargetKind } from "./sink.ts";
import { makeSourceFiles, warm } from "./source-files.ts";
import { formatTable, summarize, type Series, type Summary } from "./table.ts";
import { DELAY_MS, listWorkloads, type Workload } from "./workloads.ts";

const USAGE = `Usage: npm run bench:upload -- [options]

  --rounds <number>     rounds of each workload (default 5; with --quick 1)
  --only <names>        these workloads, or groups of them such as "tls" or "curve"; separated by commas
  --quick               few and small files: to see that everything runs
  --long                the curve up to a million files
  --executable <file>   measure this compiled agent instead of running it from source
  --json <file>         write all runs, medians and ratios into this file
  --list                print the workloads and end`;

const ROUNDS_DEFAULT = 5;

interface Options {
  readonly rounds: number;
  readonly workloads: readonly Workload[];
  readonly executable: string | null;
  readonly json: string | null;
}

interface Result {
  readonly workload: Workload;
  readonly series: readonly Series[];
  readonly summaries: readonly Summary[];
}

class UsageError extends Error {}

/** What could not be run, and why; each once. */
const notRun = new Set<string>();
/** What is started last is stopped first. */
const running: { stop(): Promise<void> }[] = [];

async function main(): Promise<number> {
  const options = readOptions();
  if (options === null) return 0;
  const interrupt = new AbortController();
  const stop = () => {
    // A second one does not wait.
    if (interrupt.signal.aborted) process.exit(130);
    interrupt.abort();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  let release = () => {};
  try {
    release = claimCache();
    // Nobody looks at the dashboard, but wrangler does not start without it.
    if (!existsSync(join(ROOT, "dist/ui/index.html"))) await build({ root: ROOT, logLevel: "error" });
    await measureAll(options, mkdtempSync(join(RUNS, "product-")), interrupt.signal);
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) return 130;
    if (!(error instanceof NotAvailable)) throw error;
    console.error(error.message);
    return 1;
  } finally {
    for (const one of running.toReversed()) await one.stop();
    release();
  }
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string" },
      only: { type: "string" },
      quick: { type: "boolean", default: false },
      long: { type: "boolean", default: false },
      executable: { type: "string" },
      json: { type: "string" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return null;
  }
  const all = listWorkloads({ size: values.quick ? "quick" : values.long ? "long" : "full" });
  if (values.list) {
    for (const { name, title } of all) console.log(`${name.padEnd(18)} ${title}`);
    return null;
  }
  const rounds = Number(values.rounds ?? (values.quick ? 1 : ROUNDS_DEFAULT));
  if (!Number.isInteger(rounds) || rounds < 1) throw new UsageError("--rounds takes a number from 1");
  const wanted = values.only?.split(",") ?? null;
  const isMeant = ({ name }: Workload, word: string) => name === word || name.startsWith(`${word}-`);
  for (const word of wanted ?? []) {
    if (!all.some((workload) => isMeant(workload, word)))
      throw new UsageError(`There is no workload "${word}"; --list shows them`);
  }
  return {
    rounds,
    workloads: all.filter((workload) => wanted?.some((word) => isMeant(workload, word)) ?? true),
    executable: values.executable ?? null,
    json: values.json ?? null,
  };
}

async function measureAll(options: Options, folder: string, signal: AbortSignal): Promise<void> {
  const tools = await buildNativeTools(signal);
  const azCopy = await orTold(() => installAzCopy(signal));
  const rclone = await orTold(() => installRclone(signal));
  const certificate = await certificateFor(options.workloads, tools, signal);
  const authorityFile = certificate?.authorityFile ?? null;
  const ours = await startOurs({ folder, executable: options.executable, authorityFile });
  running.push(ours);
  const targets = new Targets(tools, folder, certificate);
  const [cpu] = cpus();
  console.log(`${availableParallelism()} × ${cpu?.model.trim() ?? "CPU"}, rounds: ${options.rounds}`);
  console.log([azCopy?.version, rclone?.version].filter((one) => one !== undefined).join(", "));
  const results: Result[] = [];
  for (const workload of options.workloads) {
    if (workload.target === "sink-tls" && certificate === null) continue;
    const target = await targets.start(workload.target);
    const source = await makeSourceFiles(workload.shape, tools, signal);
    const trusted = workload.target === "sink-tls" ? authorityFile : null;
    const lab: Lab = { workload, source, target, tools, azCopy, rclone, ours, authorityFile: trusted };
    console.log(`\n${workload.name}: ${workload.title}`);
    for (const reason of listAbsent(lab)) notRun.add(reason);
    await warm(source, signal);
    const series = await measureRounds(lab, options.rounds, signal);
    const summaries = summarize(series);
    console.log(formatTable(workload, summaries));
    results.push({ workload, series, summaries });
    if (options.json !== null) writeResults(options.json, results);
  }
  for (const reason of notRun) console.log(`\nnot run: ${reason}`);
  if (options.json !== null) writeResults(options.json, results);
}

/** All candidates in each round; who begins changes from round to round. One that fails once is not asked again. */
async function measureRounds(lab: Lab, rounds: number, signal: AbortSignal): Promise<readonly Series[]> {
  const candidates = listCandidates(lab);
  const kept = new Map<Candidate, (Measurement | null)[]>();
  for (const candidate of candidates) kept.set(candidate, []);
  const failed = new Set<Candidate>();
  const attempt = async <Value>(candidate: Candidate, act: () => Promise<Value>): Promise<Value | null> => {
    if (failed.has(candidate)) return null;
    try {
      return await act();
    } catch (error) {
      signal.throwIfAborted();
      failed.add(candidate);
      const why = error instanceof Error ? error.message : String(error);
      notRun.add(`${candidate.name} in ${lab.workload.name}: ${why}`);
      console.log(`  ${candidate.name} failed: ${why}`);
      return null;
    }
  };
  for (const candidate of candidates) await attempt(candidate, () => candidate.prepare(signal));
  for (let round = 0; round < rounds; round++) {
    const first = round % candidates.length;
    for (const candidate of [...candidates.slice(first), ...candidates.slice(0, first)]) {
      const measured = await attempt(candidate, () => candidate.measure(signal));
      kept.get(candidate)?.push(measured);
      if (measured !== null && process.stderr.isTTY)
        process.stderr.write(`  round ${round + 1}: ${candidate.name} ${measured.seconds.toFixed(2)} s\n`);
    }
  }
  return candidates.map((one) => ({
    candidate: one.name,
    against: one.against,
    rounds: kept.get(one) ?? [],
  }));
}

/** Each kind of target is started when the first workload needs it, and idles from then on. */
class Targets {
  readonly #tools: NativeTools;
  readonly #folder: string;
  readonly #certificate: Certificate | null;
  readonly #started = new Map<TargetKind, Target>();

  constructor(tools: NativeTools, folder: string, certificate: Certificate | null) {
    this.#tools = tools;
    this.#folder = folder;
    this.#certificate = certificate;
  }

  async start(kind: TargetKind): Promise<Target> {
    const known = this.#started.get(kind);
    if (known !== undefined) return known;
    const target = await this.#start(kind);
    running.push(target);
    this.#started.set(kind, target);
    return target;
  }

  async #start(kind: TargetKind): Promise<Target> {
    const sink = { tools: this.#tools, folder: this.#folder, delayMs: 0, certificate: null };
    switch (kind) {
      case "sink":
        return await startNullSink({ ...sink, kind });
      case "sink-delayed":
        return await startNullSink({ ...sink, kind, delayMs: DELAY_MS });
      case "sink-tls":
        return await startNullSink({ ...sink, kind, certificate: this.#certificate });
      case "azurite":
        return await startAzuriteTarget(this.#folder);
    }
  }
}

async function certificateFor(
  workloads: readonly Workload[],
  tools: NativeTools,
  signal: AbortSignal,
): Promise<Certificate | null> {
  if (!workloads.some(({ target }) => target === "sink-tls")) return null;
  if (tools.noTls === null) return await orTold(() => makeCertificate(signal));
  notRun.add(`the workloads over TLS: ${tools.noTls}`);
  return null;
}

async function orTold<Value>(get: () => Promise<Value>): Promise<Value | null> {
  try {
    return await get();
  } catch (error) {
    if (!(error instanceof NotAvailable)) throw error;
    notRun.add(error.message);
    return null;
  }
}

function writeResults(file: string, results: readonly Result[]): void {
  const [cpu] = cpus();
  const machine = { cores: availableParallelism(), cpu: cpu?.model.trim() ?? null };
  const content = { at: new Date().toISOString(), machine, results, notRun: [...notRun] };
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\n\n${USAGE}` : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
