/** The files that are moved: made once from a seed, kept in the cache, and read once before a workload so that they lie in the page cache. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { CACHE, RUNS } from "./cache.ts";
import { runCommand } from "./command.ts";
import type { NativeTools } from "./native-tools.ts";

const READ_BYTES = 4 * 1024 * 1024;
const FILES_AT_ONCE = 1_000;

export interface SourceShape {
  readonly files: number;
  readonly folders: number;
  readonly sizeBytes: number;
}

export interface SourceFiles extends SourceShape {
  readonly folder: string;
  readonly bytes: number;
}

export async function makeSourceFiles(
  shape: SourceShape,
  tools: NativeTools,
  signal: AbortSignal,
): Promise<SourceFiles> {
  const { files, folders, sizeBytes } = shape;
  const name = `${files}-files-of-${sizeBytes}-in-${folders}`;
  const folder = join(CACHE, "sources", name);
  if (!existsSync(folder)) {
    // Renamed when it is whole: what an interrupted run leaves is never taken for good.
    const partial = `${folder}.partial`;
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    const size = ["--size", `${sizeBytes}B`];
    const words =
      files === 1
        ? ["file", join(partial, "one.bin"), ...size]
        : ["tree", partial, "--files", String(files), "--dirs", String(folders), ...size, "--no-digest"];
    await runCommand(`Making ${name}`, { command: tools.genload, arguments: words }, signal);
    renameSync(partial, folder);
  }
  return { ...shape, folder, bytes: files * sizeBytes };
}

/** Reads all of it, so that no candidate pays for the disk. */
export async function warm({ folder }: SourceFiles, signal: AbortSignal): Promise<void> {
  const buffer = new Uint8Array(READ_BYTES);
  let count = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = openSync(join(entry.parentPath, entry.name), "r");
    while (readSync(file, buffer) > 0);
    closeSync(file);
    // So that an interrupt is heard.
    if (++count % FILES_AT_ONCE === 0) await new Promise(setImmediate);
    signal.throwIfAborted();
  }
}

/** Lends out a copy with the same times and without what a program left in the files' attributes; it is in memory and on disk. */
export async function withCopy<Value>(
  { folder }: SourceFiles,
  signal: AbortSignal,
  use: (folder: string) => Promise<Value>,
): Promise<Value> {
  const copy = join(RUNS, "copy");
  const words = ["--recursive", "--preserve=timestamps", folder, copy];
  try {
    await runCommand("cp", { command: "cp", arguments: words }, signal);
    await runCommand("sync", { command: "sync", arguments: ["--file-system", copy] }, signal);
    return await use(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
