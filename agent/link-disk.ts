/** For tests: a disk of which only links are known. */
import { type Disk, DiskError } from "./platform.ts";

/** A disk of links only: everything else is its own real path. */
export function diskWith(separator: "/" | "\\", links: Readonly<Record<string, string>> = {}): Disk {
  const missing = () => {
    throw new DiskError("not_found", "not here");
  };
  return {
    separator,
    readFolder: missing,
    stat: missing,
    open: missing,
    openNow: missing,
    create: missing,
    lookAhead: () => null,
    realPath: (path) => links[path] ?? path,
  };
}
