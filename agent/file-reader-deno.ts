/**
 * Small files read at once, for the thread beside.
 *
 * Only the simple case: a file that is, by identity, size and time, the one that was listed, lies still, and fits. What was
 * listed was reached without a link, so whatever has its identity now is what may be read, by whichever way it is reached.
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import { identityOf, isUntouched, touchedMs, versionOf } from "./connectors/local-file.ts";
import type { ChecksumKind, FileRead, FileToRead } from "./digests.ts";
import { READ_FLAGS, statOf, statOpened } from "./file-stat-deno.ts";

export interface FileInMemory extends Omit<FileToRead, "into"> {
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
    const descriptor = fs.openSync(file.path, READ_FLAGS);
    try {
      return readOpened(file, descriptor, memory, (bytes) => checksum(kind, bytes));
    } finally {
      fs.closeSync(descriptor);
    }
  } catch (error) {
    // Its source says why, in its words.
    if (error instanceof Error) return null;
    throw error;
  }
}

function readOpened(
  file: FileInMemory,
  descriptor: number,
  memory: WebAssembly.Memory,
  checksum: (bytes: Uint8Array) => Uint8Array,
): FileRead | null {
  const before = statOpened(descriptor);
  const isListed =
    before.kind === "file" &&
    identityOf(before) === file.identity &&
    before.sizeBytes === file.sizeBytes &&
    before.modifiedMs === file.modifiedMs;
  const version = versionOf(before);
  if (!isListed || version === null || touchedMs(before) > file.freshSinceMs) return null;
  const into = new Uint8Array(memory.buffer, file.offset, file.sizeBytes + 1);
  const count = fs.readSync(descriptor, into, 0, into.length, null);
  // Looked at by its name: the same file has the same times whichever way one looks, and this way takes a third of the time.
  if (count !== file.sizeBytes || !isUntouched(statOf(Deno.lstatSync(file.path)), before)) return null;
  const bytes = into.subarray(0, count);
  return { sha256: createHash("sha256").update(bytes).digest("hex"), checksum: checksum(bytes), version };
}
