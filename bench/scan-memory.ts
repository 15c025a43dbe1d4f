/**
 * `npm run bench:scan-memory -- [files] [executable]`: the agent's peak resident memory and time for a source of ten million
 * entries, through the whole product: the scan alone, and a whole job that a filter leaves nothing to send of, with its
 * manifest. Linux.
 */
import { join } from "node:path";
import { mkdirSync, rmSync } from "node:fs";
import { CACHE } from "./cache.ts";
import { buildNativeTools } from "./native-tools.ts";
import { startOurs } from "./ours.ts";
import { startNullSink } from "./sink.ts";
import { makeSourceFiles } from "./source-files.ts";

const FILES_PER_FOLDER = 100;

const [, , filesText = "10000000", executable = null] = process.argv;
const files = Number(filesText);
const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort(new Error("stopped")));
const { signal } = stopping;

const tools = await buildNativeTools(signal);
const shape = { files, folders: Math.ceil(files / FILES_PER_FOLDER), sizeBytes: 0 };
const source = await makeSourceFiles(shape, tools, signal);
const folder = join(CACHE, "scan-memory");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const sink = await startNullSink({ tools, folder, kind: "sink", delayMs: 0, certificate: null });
const ours = await startOurs({ folder, executable, authorityFile: null });
try {
  const run = { target: sink, container: "scanned", folder: source.folder };
  const show = (what: string, { seconds, peakMib }: { seconds: number; peakMib: number }) =>
    console.log(
      `${what.padEnd(34)} ${seconds.toFixed(1).padStart(8)} s  ${peakMib.toFixed(0).padStart(5)} MiB at the peak`,
    );
  show(
    `scan of ${files.toLocaleString("en")} files`,
    await ours.measureScan({ ...run, options: {} }, signal),
  );
  const nothing = { filters: { include: ["*.not-there"] } };
  show("whole job that leaves all out", await ours.measureJob({ ...run, options: nothing }, signal));
} finally {
  await ours.stop();
  await sink.stop();
  rmSync(folder, { recursive: true, force: true });
}
