/**
 * Small files read at once, for the thread beside.
 *
 * Only the simple case: a file that is, by identity, size and time, the one that was listed, lies still, and fits. What was
 * listed was reached without a link, so whatever has its identity now is what may be read, by whichever way it is reached.
 */
import { createHash } from "node:crypto";
import { identityOf, isFresh, isUntouched, versionOf } from "./connectors/local-file.ts";
import type { ChecksumKind, FileRead } from "./digests.ts";
import { statOf } from "./file-stat-deno.ts";
import type { FileStat } from "./platform.ts";

export interface FileInMemory {
  readonly path: string;
  readonly identity: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly offset: number;
  readonly length: number;
}

/** Null where it is not the simple case. */
export function readFile(
  file: FileInMemory,
  memory: WebAssembly.Memory,
  checksum: (kind: ChecksumKind, bytes: Uint8Array) => Uint8Array,
  kind: ChecksumKind,
): FileRead | null {
  // A byte more than it is long, so that the same call finds its end.
  if (file.length <= file.sizeBytes) return null;
  try {
    // Before opening, because opening a pipe waits for its other end.
    const before = statOf(Deno.lstatSync(file.path));
    if (before.kind !== "file") return null;
    const opened = Deno.openSync(file.path, { read: true });
    try {
      return readOpened(file, { opened, before }, memory, (bytes) => checksum(kind, bytes));
    } finally {
      opened.close();
    }
  } catch (error) {
    // Its source says why, in its words.
    if (error instanceof Error) return null;
    throw error;
  }
}

function readOpened(
  file: FileInMemory,
  { opened, before }: { opened: Pick<Deno.FsFile, "readSync" | "statSync">; before: FileStat },
  memory: WebAssembly.Memory,
  checksum: (bytes: Uint8Array) => Uint8Array,
): FileRead | null {
  const nowMs = Date.now();
  const into = new Uint8Array(memory.buffer, file.offset, file.length).subarray(0, file.sizeBytes + 1);
  const count = opened.readSync(into) ?? 0;
  const stat = statOf(opened.statSync());
  const isListed =
    isUntouched(stat, before) &&
    identityOf(stat) === file.identity &&
    stat.sizeBytes === file.sizeBytes &&
    stat.modifiedMs === file.modifiedMs;
  const version = versionOf(stat);
  if (count !== file.sizeBytes || !isListed || version === null || isFresh(stat, nowMs)) return null;
  const bytes = into.subarray(0, count);
  return { sha256: createHash("sha256").update(bytes).digest("hex"), checksum: checksum(bytes), version };
}
