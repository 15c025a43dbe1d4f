/**
 * `migrate-agent unregister`: takes the agent's key and memory off this machine. Hides what belongs to an agent; promises that
 * the key goes first, that only what an agent has written is removed, and that no file of a source is touched.
 */
import { CONFIG_FILE } from "../config.ts";
import { DiskError, type Disk, type Platform } from "../platform.ts";
import { POLICY_FILE } from "../policy.ts";
import { STATUS_FILE } from "../status-file.ts";
import { UPDATE_FILE } from "../update/memory.ts";
import { LOG_FOLDER } from "./logs.ts";

/** In this order: cut off in between, it is no registration any more, and can be done again. */
const OWN_FILES: readonly RegExp[] = [
  new RegExp(`^${CONFIG_FILE.replace(".", "\\.")}(\\.new)?$`),
  /^agent\.db(-wal|-shm|-journal)?$/,
  /^reserve\.bin$/,
  new RegExp(`^${STATUS_FILE.replace(".", "\\.")}(\\.new)?$`),
  new RegExp(`^${UPDATE_FILE.replace(".", "\\.")}(\\.new)?$`),
  /^doctor\.tmp$/,
];
/** Folders with nothing in them but files of the agent's jobs. */
const OWN_FOLDERS: readonly (readonly [name: string, files: RegExp])[] = [
  ["jobs", /^job_[0-9a-z]+\./],
  ["manifests", /^job_[0-9a-z]+\./],
  [LOG_FOLDER, /^agent(\.\d+)?\.log$/],
];

export interface Removed {
  readonly files: number;
  /** What is still in the folder; null when the folder is gone. */
  readonly left: readonly string[] | null;
}

/** Manifests that the control plane does not have yet. */
export function countWaiting(disk: Disk, folder: string): number {
  const names = namesIn(disk, `${folder}${disk.separator}manifests`);
  return names.filter((name) => name.endsWith(".upload")).length;
}

/** Throws {@link DiskError} where something cannot be removed. */
export function removeAgent({ disk, changes }: Platform, folder: string): Removed {
  let files = 0;
  const remove = (path: string) => {
    changes.removeFile(path);
    files++;
  };
  for (const pattern of OWN_FILES) {
    for (const name of namesIn(disk, folder))
      if (pattern.test(name)) remove(`${folder}${disk.separator}${name}`);
  }
  for (const [name, pattern] of OWN_FOLDERS) {
    const own = `${folder}${disk.separator}${name}`;
    for (const file of namesIn(disk, own)) if (pattern.test(file)) remove(`${own}${disk.separator}${file}`);
    removeIfEmpty(own);
  }
  const left = namesIn(disk, folder);
  if (left.length > 0) return { files, left };
  removeIfEmpty(folder);
  return { files, left: null };

  function removeIfEmpty(path: string): void {
    if (!isFolder(disk, path) || disk.readFolder(path).length > 0) return;
    changes.removeFolder(path);
  }
}

/** Of a folder that is one, and no link. */
function namesIn(disk: Disk, path: string): readonly string[] {
  return isFolder(disk, path) ? disk.readFolder(path).map(({ name }) => name) : [];
}

function isFolder(disk: Disk, path: string): boolean {
  try {
    return disk.stat(path).kind === "folder";
  } catch (error) {
    if (error instanceof DiskError && error.code === "not_found") return false;
    throw error;
  }
}

/** What a person is told of what was left. */
export function leftWords({ left }: Removed, folder: string): string {
  if (left === null) return `Nothing is left in "${folder}"`;
  const isPolicyAlone = left.length === 1 && left[0] === POLICY_FILE;
  return isPolicyAlone
    ? `${POLICY_FILE} is left in "${folder}": somebody at this machine wrote it`
    : `Left in "${folder}", because no agent wrote it: ${left
        .slice(0, 20)
        .map((name) => JSON.stringify(name))
        .join(", ")}`;
}
