/** What the local connector says of a file: where it lies, which one it is, and whether it is still the same. */
import type { Disk, FileStat } from "../platform.ts";

/** FAT keeps times in steps of two seconds, and Deno tells the time of the last change in whole ones. */
export const FRESH_MS = 3_000;

/** Where the system tells no identity, size and time have to do. */
export function isSameFile(a: FileStat, b: FileStat): boolean {
  return a.kind === b.kind && a.device === b.device && a.inode === b.inode;
}

/** The same file, and nobody has written to it, or set its times, since. */
export function isUntouched(now: FileStat, before: FileStat): boolean {
  return (
    isSameFile(now, before) &&
    now.sizeBytes === before.sizeBytes &&
    now.modifiedMs === before.modifiedMs &&
    now.changedMs === before.changedMs
  );
}

/** So far behind ours a share's clock may be: more, and Windows does not sign in to it (Kerberos, RFC 4120, 5 minutes). */
const SKEW_MS_MAX = 5 * 60_000;

/** When the file was written to, or had its times set, by the clock of its file system. */
export function touchedMs({ modifiedMs, changedMs }: FileStat): number {
  return Math.max(modifiedMs, changedMs ?? 0);
}

/**
 * What was written to after this was written to moments ago. `newestMs` is the newest time that was seen in the same
 * file system: where somebody is writing, its clock is no further behind than that.
 */
export function freshSinceMs(nowMs: number, newestMs: number): number {
  return Math.min(nowMs, Math.max(newestMs, nowMs - SKEW_MS_MAX)) - FRESH_MS;
}

export function identityOf({ device, inode }: FileStat): string | null {
  return device === null || inode === null || inode === 0
    ? null
    : `${device.toString(36)}.${inode.toString(36)}`;
}

/** Null where the system tells no identity: then nobody can say later whether it is the same. */
export function versionOf(stat: FileStat): string | null {
  const identity = identityOf(stat);
  return identity === null
    ? null
    : `${identity}.${stat.sizeBytes}.${stat.modifiedMs}.${stat.changedMs ?? ""}`;
}

/** `path` has slashes between its segments; empty = the root. */
export function systemPath(disk: Disk, root: string, path: string): string {
  if (path === "") return root;
  return systemFolder(disk, root, path);
}

/** The same of a folder's path, which ends in a slash or is empty: with a separator at its end. */
export function systemFolder(disk: Disk, root: string, path: string): string {
  const { separator } = disk;
  // "/" and "C:\\" end in their separator already.
  const folder = root.endsWith(separator) ? root : root + separator;
  return folder + (separator === "/" ? path : path.replaceAll("/", separator));
}

/** The same file with the same content, as far as a rename leaves that to be seen: it sets the time of the last change. */
export function isSameBut(version: string, other: string): boolean {
  const withoutChange = (text: string) => text.slice(0, text.lastIndexOf("."));
  return withoutChange(version) === withoutChange(other);
}
