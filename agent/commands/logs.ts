/** `migrate-agent logs`: the newest lines of the log's files, and those that come. */
import { DiskError, type OpenFile, type Platform } from "../platform.ts";

export const LOG_FOLDER = "logs";
/** With the one that is written to. */
export const LOG_FILES_MAX = 5;
const LOOK_MS = 300;
const READ_BYTES = 256 * 1024;

/** 0 = the one that is written to; the higher, the older. */
export function logFileName(number: number): string {
  return number === 0 ? "agent.log" : `agent.${number}.log`;
}

export interface LogsInput {
  readonly platform: Platform;
  /** Where the files are. */
  readonly folder: string;
  readonly linesMax: number;
  readonly out: (bytes: Uint8Array) => void;
}

/** The newest lines, oldest of them first; `false` when there is no log. Of the newest file no more than `endBytes`. */
export function printLogs({ platform, folder, linesMax, out }: LogsInput, endBytes = Infinity): boolean {
  const kept: Uint8Array[] = [];
  let missing = linesMax;
  let isThere = false;
  for (let number = 0; number < LOG_FILES_MAX && missing > 0; number++) {
    const whole = readWhole(platform, pathOf(platform, folder, number));
    if (whole === null) continue;
    const bytes = number === 0 ? whole.subarray(0, endBytes) : whole;
    isThere = true;
    const start = startOfLast(bytes, missing);
    missing -= countLines(bytes.subarray(start));
    kept.unshift(bytes.subarray(start));
  }
  for (const bytes of kept) out(bytes);
  return isThere;
}

/** The newest lines and what is written from then on, until the signal; a file that is put aside is read to its end first. */
export async function followLogs(input: LogsInput, signal: AbortSignal): Promise<void> {
  const { platform, folder, out } = input;
  const path = pathOf(platform, folder, 0);
  const into = new Uint8Array(READ_BYTES);
  let file: OpenFile | null = openOrNull(platform, path);
  let position = file?.stat().sizeBytes ?? 0;
  try {
    printLogs(input, position);
    for (;;) {
      position += file === null ? 0 : pass(file, position, into, out);
      const next = openOrNull(platform, path);
      if (next !== null && (file === null || isOther(file, next, position))) {
        if (file !== null) pass(file, position, into, out);
        file?.close();
        [file, position] = [next, 0];
        continue;
      }
      next?.close();
      await platform.clock.sleep(LOOK_MS, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    file?.close();
  }
}

/** How many bytes came. */
function pass(file: OpenFile, from: number, into: Uint8Array, out: (bytes: Uint8Array) => void): number {
  let position = from;
  for (;;) {
    const count = file.readNow(into, position);
    if (count === 0) return position - from;
    out(into.subarray(0, count));
    position += count;
  }
}

function isOther(file: OpenFile, next: OpenFile, position: number): boolean {
  const [before, now] = [file.stat(), next.stat()];
  // Where the system tells no identity, a file that became shorter is another.
  return before.inode !== now.inode || now.sizeBytes < position;
}

function readWhole(platform: Platform, path: string): Uint8Array | null {
  const file = openOrNull(platform, path);
  if (file === null) return null;
  try {
    const bytes = new Uint8Array(file.stat().sizeBytes);
    let filled = 0;
    while (filled < bytes.length) {
      const count = file.readNow(bytes.subarray(filled), filled);
      if (count === 0) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  } finally {
    file.close();
  }
}

function openOrNull(platform: Platform, path: string): OpenFile | null {
  try {
    return platform.disk.openNow(path);
  } catch (error) {
    if (error instanceof DiskError && error.code === "not_found") return null;
    throw error;
  }
}

const LF = 0x0a;

function startOfLast(bytes: Uint8Array, lines: number): number {
  let at = bytes.length;
  for (let found = 0; found < lines && at > 0; found++) at = at < 2 ? 0 : bytes.lastIndexOf(LF, at - 2) + 1;
  return at;
}

function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) count++;
  return count;
}

function pathOf({ disk }: Platform, folder: string, number: number): string {
  return `${folder}${disk.separator}${logFileName(number)}`;
}
