/**
 * The quarantine of a local source: `.migrate-quarantine/<job>/` in its root, for the agent's account alone.
 *
 * To remove a file is to rename it, because only a rename takes what is there in one moment: whatever replaced the file
 * since we looked is moved with its name, seen to be another, and brought back. Removing by name would lose it.
 * - In goes a file by `rename`, to a name that nobody else can take.
 * - Back goes a file by a second name and the loss of the first (`link`, `unlink`), because that never replaces anything:
 *   `rename` would. Where a volume has no second names (FAT), what was taken by mistake stays here, and is reported.
 *
 * A rename sets the time of a file's last change (ctime) on most systems, so what was moved is compared without it; before
 * its end a file is read once more, and only what has the proved SHA-256 is removed for good. So even who writes into a
 * file between our look and the rename and sets its time back loses nothing.
 *
 * What remains: a folder on the way that is swapped for a link in the very moment of a rename. What is then moved from
 * elsewhere is seen to be another file, and brought back by the same path.
 */
import * as z from "zod";
import { type Disk, DiskError, type DiskChanges, type FileStat, type Platform } from "../platform.ts";
import {
  type Lying,
  type PurgeEnd,
  type PurgeOptions,
  type Purged,
  type Quarantine,
  type QuarantineFolder,
  type Settled,
  type TakeFailure,
  TransferError,
  type UndoNote,
} from "./connector.ts";
import { isSameBut, isSameFile, isUntouched, systemPath, versionOf } from "./local-file.ts";

export const QUARANTINE_FOLDER = ".migrate-quarantine";
export const UNDO_FILE = "undo.jsonl";
export const README_FILE = "README.txt";
const PIECE_BYTES = 262_144;
/** Far longer than a line with the longest path. */
const LINE_CHARACTERS_MAX = 131_072;

/** Windows does not tell case apart. */
export function isQuarantineName(name: string, separator: Disk["separator"]): boolean {
  return (separator === "\\" ? name.toLowerCase() : name) === QUARANTINE_FOLDER;
}

export class LocalQuarantine implements Quarantine {
  readonly #platform: Platform;
  readonly #realRoot: () => string;

  /** `realRoot` is the root without links. */
  constructor(platform: Platform, realRoot: () => string) {
    this.#platform = platform;
    this.#realRoot = realRoot;
  }

  look(path: string, version: string): Lying {
    const { disk } = this.#platform;
    try {
      const stat = disk.stat(this.#systemPath(path));
      const found = versionOf(stat);
      return {
        kind: "something",
        isFile: stat.kind === "file",
        isInside: this.#isInside(path),
        isOnVolume: stat.device !== null && stat.device === disk.stat(this.#realRoot()).device,
        links: stat.links,
        sizeBytes: stat.sizeBytes,
        modifiedMs: stat.modifiedMs,
        identity: found === null ? "unknown" : found === version ? "same" : "other",
      };
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      return { kind: error.code === "not_found" || error.code === "not_a_folder" ? "nothing" : "unreadable" };
    }
  }

  async digest(path: string, signal: AbortSignal): Promise<string> {
    try {
      return await digestOf(this.#platform, this.#systemPath(path), signal);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      throw new TransferError(
        { scope: "file", code: error.code === "not_found" ? "source_vanished" : "source_unreadable" },
        `Cannot read "${path}": ${error.message}`,
        { retry: { kind: "never" }, cause: error },
      );
    }
  }

  open(jobId: string): LocalQuarantineFolder {
    const { disk, changes } = this.#platform;
    const root = this.#realRoot();
    let folder = root;
    for (const name of [QUARANTINE_FOLDER, assertName(jobId)]) {
      folder = systemPath(disk, folder, name);
      changes.makePrivateFolder(folder);
      if (disk.realPath(folder) !== folder)
        throw new DiskError("not_a_folder", `Cannot use "${folder}": a link leads to it`);
      if (disk.stat(folder).device !== disk.stat(root).device)
        throw new DiskError(
          "other_volume",
          `Cannot use "${folder}": it is on another volume than the source`,
        );
    }
    writeReadme(this.#platform, folder);
    return new LocalQuarantineFolder(this.#platform, root, folder);
  }

  removeEmptyFolder(path: string): void {
    try {
      if (path !== "" && this.#isInside(`${path}/`))
        this.#platform.changes.removeFolder(this.#systemPath(path));
    } catch (error) {
      // Not empty, in use, or not ours to remove: it stays.
      if (!(error instanceof DiskError)) throw error;
    }
  }

  /** Whether the folder that a path is in is where it says it is. */
  #isInside(path: string): boolean {
    if (!isPlain(path)) return false;
    const folder = this.#systemPath(path.slice(0, Math.max(0, path.lastIndexOf("/"))));
    return this.#platform.disk.realPath(folder) === folder;
  }

  #systemPath(path: string): string {
    return systemPath(this.#platform.disk, this.#realRoot(), path);
  }
}

export interface LocalPurgeOptions extends PurgeOptions {
  /** Asked before a file that may be removed is read for it. What it throws ends the purge. */
  readonly permit?: () => Promise<void>;
}

/**
 * - `absent`: the source has no quarantine at all; a volume that is not mounted looks the same.
 * - `closed`: nothing of this job is left there.
 * - `empty`: nothing is left there now, and the undo list is put aside.
 */
export type JobPurgeEnd = PurgeEnd | "absent" | "closed";

/** Removes for good what is due of one job, when its run is long over; makes no folder for it. */
export async function purgeQuarantine(
  platform: Platform,
  { root, jobId }: { readonly root: string; readonly jobId: string },
  options: LocalPurgeOptions,
): Promise<JobPurgeEnd> {
  const { disk } = platform;
  const real = disk.realPath(root);
  const quarantine = systemPath(disk, real, QUARANTINE_FOLDER);
  if (statOf(disk, quarantine) === null) return "absent";
  if (statOf(disk, systemPath(disk, quarantine, `${assertName(jobId)}/${UNDO_FILE}`)) === null)
    return "closed";
  const folder = new LocalQuarantine(platform, () => real).open(jobId);
  const end = await folder.purge(options);
  if (end !== "empty") return end;
  // Whoever puts files there by now writes into this list.
  if (!options.mayGoOn()) return "interrupted";
  folder.closeList(options.nowMs);
  return end;
}

class LocalQuarantineFolder implements QuarantineFolder {
  readonly #platform: Platform;
  readonly #disk: Disk;
  readonly #changes: DiskChanges;
  readonly #root: string;
  readonly #folder: string;
  /** The list may end in half a line, after a crash or on a full disk. */
  #mayBeTorn = true;

  constructor(platform: Platform, root: string, folder: string) {
    this.#platform = platform;
    this.#disk = platform.disk;
    this.#changes = platform.changes;
    this.#root = root;
    this.#folder = folder;
  }

  note(notes: readonly UndoNote[]): void {
    const lines = notes.map((note) => `${JSON.stringify(note)}\n`).join("");
    const text = this.#mayBeTorn ? `\n${lines}` : lines;
    this.#mayBeTorn = true;
    this.#changes.append(this.#at(UNDO_FILE), new TextEncoder().encode(text));
    this.#mayBeTorn = false;
  }

  take(path: string, name: string): TakeFailure | null {
    const to = this.#at(assertName(name));
    if (statOf(this.#disk, to) !== null)
      throw new DiskError("exists", `Cannot move "${path}": "${to}" is there already`);
    try {
      this.#changes.rename(systemPath(this.#disk, this.#root, path), to);
      return null;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      return takeFailure(error);
    }
  }

  sync(): void {
    this.#changes.syncFolder(this.#folder);
  }

  settle(path: string, name: string, version: string): Settled {
    const moved = statOf(this.#disk, this.#at(assertName(name)));
    return moved !== null && isVersion(moved, version) ? "removed" : this.putBack(path, name);
  }

  putBack(path: string, name: string): Exclude<Settled, "removed"> {
    const from = this.#at(assertName(name));
    const to = systemPath(this.#disk, this.#root, path);
    const moved = statOf(this.#disk, from);
    const there = statOf(this.#disk, to);
    if (moved === null) return there === null ? "gone" : "back";
    if (there !== null && !isSameFile(there, moved)) return "kept";
    try {
      if (moved.kind === "folder") this.#changes.rename(from, to);
      else this.#putFileBack({ moved, there, from, to });
      return "back";
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      // Somebody was quicker, its folder is gone, or the volume has no second names: it is safe here.
      return "kept";
    }
  }

  async digest(name: string, signal: AbortSignal): Promise<string> {
    return await digestOf(this.#platform, this.#at(assertName(name)), signal);
  }

  async purge(options: LocalPurgeOptions): Promise<PurgeEnd> {
    const list = this.#at(UNDO_FILE);
    if (statOf(this.#disk, list)?.kind !== "file") return "left";
    let left = 0;
    let isOn = true;
    const mayGoOn = () => (isOn &&= options.mayGoOn());
    for await (const note of this.#notes(list)) {
      options.signal.throwIfAborted();
      if (!mayGoOn()) return "interrupted";
      const purged = await this.#purgeOne(note, { ...options, mayGoOn });
      if (purged !== "purged" && purged !== "absent") left++;
      await options.onSettled(note, purged);
    }
    if (!isOn) return "interrupted";
    return left === 0 ? "empty" : "left";
  }

  closeList(nowMs: number): void {
    this.#changes.rename(this.#at(UNDO_FILE), this.#at(`purged-${nowMs}.jsonl`));
  }

  async #purgeOne(
    note: UndoNote,
    { nowMs, mayGoOn, permit, confirm, signal }: LocalPurgeOptions,
  ): Promise<Purged> {
    const file = this.#at(note.name);
    const before = statOf(this.#disk, file);
    if (before === null) return "absent";
    if (!(nowMs >= Date.parse(note.purgeAfter))) return "not_due";
    if (!isVersion(before, note.version)) return "changed";
    await permit?.();
    try {
      if ((await digestOf(this.#platform, file, signal)) !== note.sha256) return "changed";
      if (!(await confirm(note))) return "unconfirmed";
      const now = statOf(this.#disk, file);
      if (now === null || now.links !== 1 || !isUntouched(now, before)) return "changed";
      if (!mayGoOn()) return "not_due";
      this.#changes.removeFile(file);
      return "purged";
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      return "failed";
    }
  }

  /** A line at a time: a list may be longer than memory. Lines that a crash tore are left out. */
  async *#notes(list: string): AsyncGenerator<UndoNote> {
    const file = await this.#disk.open(list);
    try {
      const decoder = new TextDecoder();
      const piece = new Uint8Array(PIECE_BYTES);
      let text = "";
      for (let at = 0; ;) {
        const count = await file.read(piece, at);
        if (count === 0) break;
        at += count;
        text += decoder.decode(piece.subarray(0, count), { stream: true });
        const lines = text.split("\n");
        text = lines.pop() ?? "";
        if (text.length > LINE_CHARACTERS_MAX) text = "";
        for (const line of lines) {
          const note = readNote(line);
          if (note !== null) yield note;
        }
      }
    } finally {
      file.close();
    }
  }

  #putFileBack({
    moved,
    there,
    from,
    to,
  }: {
    readonly moved: FileStat;
    readonly there: FileStat | null;
    readonly from: string;
    readonly to: string;
  }): void {
    // A second name for a link is one for what it leads to, on some systems.
    if (moved.kind === "link") throw new DiskError("other", `Cannot put back "${to}": it is a link`);
    // Both names are there when the program died between the two.
    if (there === null) this.#changes.link(from, to);
    this.#changes.syncFolder(to.slice(0, to.lastIndexOf(this.#disk.separator)) || this.#disk.separator);
    this.#changes.removeFile(from);
  }

  #at(name: string): string {
    return systemPath(this.#disk, this.#folder, name);
  }
}

const undoNote: z.ZodType<UndoNote> = z.object({
  name: z.string().refine(isName),
  path: z.string(),
  sizeBytes: z.number(),
  modifiedMs: z.number(),
  sha256: z.string(),
  blob: z.string(),
  storedAs: z.string(),
  etag: z.string(),
  version: z.string(),
  movedAt: z.iso.datetime(),
  purgeAfter: z.iso.datetime(),
});

function readNote(line: string): UndoNote | null {
  try {
    return undoNote.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}

/** A file in the quarantine is what was read: the same one, untouched, with no other name. */
function isVersion(moved: FileStat, version: string): boolean {
  const found = versionOf(moved);
  return found !== null && moved.kind === "file" && moved.links === 1 && isSameBut(found, version);
}

function takeFailure(error: DiskError): TakeFailure {
  switch (error.code) {
    case "not_found":
    case "not_a_folder":
      return "source_vanished";
    case "denied":
      return "source_denied";
    case "busy":
    case "replaced":
      return "source_locked";
    case "other_volume":
      return "other_volume";
    case "no_space":
    case "exists":
    case "other":
      return "source_unreadable";
  }
}

async function digestOf({ disk, hash }: Platform, path: string, signal: AbortSignal): Promise<string> {
  const file = await disk.open(path);
  try {
    const whole = hash("sha256");
    const piece = new Uint8Array(PIECE_BYTES);
    for (let at = 0; ;) {
      signal.throwIfAborted();
      const count = await file.read(piece, at);
      if (count === 0) return whole.digest().toHex();
      whole.update(piece.subarray(0, count));
      at += count;
    }
  } finally {
    file.close();
  }
}

/** Null when nothing is there. */
function statOf(disk: Disk, path: string): FileStat | null {
  try {
    return disk.stat(path);
  } catch (error) {
    if (!(error instanceof DiskError) || (error.code !== "not_found" && error.code !== "not_a_folder"))
      throw error;
    return null;
  }
}

/** What may be a name in the quarantine: none leads out of it. */
function isName(name: string): boolean {
  return /^[A-Za-z0-9_-]{1,100}$/.test(name);
}

function assertName(name: string): string {
  if (!isName(name)) throw new Error(`Cannot use "${name}" in the quarantine: it is no plain name`);
  return name;
}

function isPlain(path: string): boolean {
  return path.split("/").every((segment) => segment !== "." && segment !== "..");
}

function writeReadme({ disk, changes }: Platform, folder: string): void {
  const file = systemPath(disk, folder, README_FILE);
  if (statOf(disk, file) === null) changes.append(file, new TextEncoder().encode(README));
}

const README = `What is this folder?

The One Migrate has copied files from the folder above to cloud storage, and its job was told to remove
them here afterwards. Each of them was checked in the cloud first, and then moved into this folder.
They stay here for some days, so that a mistake can be undone, and are then deleted.

The file "${UNDO_FILE}" has a line for each of them:

  name        its name in this folder
  path        where it was, starting at the folder that holds "${QUARANTINE_FOLDER}"
  purgeAfter  not deleted before this time

A file that is not listed, or that is not what was copied, is never deleted.

How do I get a file back?

Find its line in "${UNDO_FILE}", and move the file called "name" back to "path". Nothing else is needed.
To keep all of them, move this whole folder somewhere else.
`;
