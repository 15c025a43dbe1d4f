/** How a file is opened for reading, and what Deno says of it, as the platform has it. */
import fs from "node:fs";
import type { EntryKind, FileStat } from "./platform.ts";

/**
 * A link is not followed, and the other end of a pipe is not waited for, whatever was put there since the look (open(2)).
 * Windows knows neither; there the identity of what was opened has to tell. `Deno.open` takes no such flags.
 */
export const READ_FLAGS =
  fs.constants.O_RDONLY | (fs.constants.O_NOFOLLOW ?? 0) | (fs.constants.O_NONBLOCK ?? 0);

export function statOf(stat: Deno.FileInfo): FileStat {
  return {
    kind: kindOf(stat),
    sizeBytes: stat.size,
    modifiedMs: stat.mtime?.getTime() ?? 0,
    device: stat.dev,
    inode: stat.ino,
    changedMs: stat.ctime?.getTime() ?? null,
    links: stat.nlink,
  };
}

/** Of what `node:fs` opened. The same numbers as {@link statOf}, in whole milliseconds. */
export function statOpened(descriptor: number): FileStat {
  const stat = fs.fstatSync(descriptor);
  return {
    kind: stat.isFile() ? "file" : stat.isDirectory() ? "folder" : "special",
    sizeBytes: stat.size,
    modifiedMs: Math.trunc(stat.mtimeMs),
    device: stat.dev,
    inode: stat.ino,
    changedMs: Number.isFinite(stat.ctimeMs) ? Math.trunc(stat.ctimeMs) : null,
    links: stat.nlink,
  };
}

export function kindOf(entry: { isFile: boolean; isDirectory: boolean; isSymlink: boolean }): EntryKind {
  // A link first: on Windows a junction is a link and a folder.
  if (entry.isSymlink) return "link";
  if (entry.isDirectory) return "folder";
  return entry.isFile ? "file" : "special";
}
