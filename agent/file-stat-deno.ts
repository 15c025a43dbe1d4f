/** What Deno says of a file, as the platform has it. */
import type { EntryKind, FileStat } from "./platform.ts";

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

export function kindOf(entry: { isFile: boolean; isDirectory: boolean; isSymlink: boolean }): EntryKind {
  // A link first: on Windows a junction is a link and a folder.
  if (entry.isSymlink) return "link";
  if (entry.isDirectory) return "folder";
  return entry.isFile ? "file" : "special";
}
