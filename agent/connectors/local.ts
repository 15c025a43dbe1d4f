/**
 * A folder on this machine, or on a share it sees.
 *
 * Listing is depth first, one folder at a time, in the order of the paths, so that the path of the last item is all a
 * cursor needs: to go on, each folder on the way to it is listed again and read from behind that name.
 *
 * No link is followed below the root, neither in a listing nor when a file is opened: whoever may write into the source
 * must not make us send what only we may read. A folder that was swapped for a link shows in its real path, a file in
 * the identity of what was opened.
 */
import type { FileFailureCode } from "../../schema/errors.ts";
import {
  type Disk,
  DiskError,
  type FileStat,
  type Hash,
  type LookAhead,
  type OpenFile,
  type Platform,
} from "../platform.ts";
import {
  type Entry,
  type Listed,
  LISTED_PAGE_ITEMS_MAX,
  type ListedPage,
  type Located,
  type Reading,
  type Source,
  TransferError,
  type WholeRead,
} from "./connector.ts";
import {
  freshSinceMs,
  identityOf,
  isSameFile,
  isUntouched,
  systemFolder,
  systemPath,
  touchedMs,
  versionOf,
} from "./local-file.ts";
import { isQuarantineName, LocalQuarantine } from "./local-quarantine.ts";

/** Listing is synchronous; after this long the rest of the program gets its turn. */
const TURN_MS = 8;
const FRESH_PIECE_BYTES = 65_536;
/** A disk that needs longer for a small file is asked without standing still for it. */
const QUICK_MS = 2;
/** So often it is tried whether a slow disk has become quick. */
const SLOW_FILES = 200;

export class LocalSource implements Source {
  readonly quarantine: LocalQuarantine;
  readonly #platform: Platform;
  readonly #disk: Disk;
  readonly #root: string;
  /** The root without links, once it was looked up. */
  #real: string | null = null;
  /** The newest time that a file was seen to have. */
  #newestMs = -Infinity;
  /** Files to be read without standing still, before the quick way is tried again. */
  #slowFiles = 0;

  /** `root` is the path as it stands in the job. */
  constructor(root: string, platform: Platform) {
    this.#platform = platform;
    this.#disk = platform.disk;
    this.#root = root;
    this.quarantine = new LocalQuarantine(platform, () => (this.#real ??= this.#realRoot()));
  }

  async *list(options: { cursor: string | null; signal: AbortSignal }): AsyncIterable<ListedPage> {
    const { clock } = this.#platform;
    const walk = new Walk(this.#disk, this.#realRoot(), options.cursor, (stat) => this.#note(stat));
    let items: Listed[] = [];
    let turnMs = clock.monotonic();
    for (;;) {
      const more = walk.step(items, LISTED_PAGE_ITEMS_MAX);
      if (!more) break;
      if (items.length === LISTED_PAGE_ITEMS_MAX) {
        yield { items, cursor: walk.cursor };
        items = [];
      }
      if (clock.monotonic() - turnMs >= TURN_MS) {
        await clock.sleep(0, options.signal);
        turnMs = clock.monotonic();
      }
      options.signal.throwIfAborted();
    }
    yield { items, cursor: null };
  }

  readWhole(
    entry: Entry,
    into: Uint8Array,
    signal: AbortSignal,
  ): WholeRead | null | Promise<WholeRead | null> {
    if (this.#slowFiles > 0) {
      this.#slowFiles--;
      return this.#readWholeLater(entry, into, signal);
    }
    const begunMs = this.#platform.clock.monotonic();
    const read = this.#readWholeNow(entry, into);
    if (this.#platform.clock.monotonic() - begunMs > QUICK_MS) this.#slowFiles = SLOW_FILES;
    return read ?? this.#readWholeLater(entry, into, signal);
  }

  locate(entry: Entry): Located | null {
    if (entry.identity === null) return null;
    return { path: this.#systemPath(entry.path), freshSinceMs: this.#freshSinceMs() };
  }

  async open(entry: Entry, signal: AbortSignal): Promise<Reading> {
    const { path } = entry;
    const file = this.#systemPath(path);
    let opened: OpenFile | null = null;
    try {
      const listed = this.#statFile(file, entry);
      opened = await this.#disk.open(file);
      const stat = opened.stat();
      if (!isSameFile(stat, listed))
        throw fileError("source_changing", path, "it was replaced while it was opened");
      signal.throwIfAborted();
      this.#note(stat);
      return new LocalReading(this.#platform, path, opened, stat, this.#freshSinceMs());
    } catch (error) {
      opened?.close();
      throw this.#fileError(error, path);
    }
  }

  /**
   * The common case at the least cost: a file that is what was listed, lies still, and fits. Undefined when it is none, and
   * has to be looked at closely; null when it does not fit.
   *
   * Read one byte further than the file is long, so that the same call finds its end.
   */
  #readWholeNow(entry: Entry, into: Uint8Array): WholeRead | null | undefined {
    const { path } = entry;
    const file = this.#systemPath(path);
    let opened: OpenFile | null = null;
    try {
      const before = this.#statFile(file, entry);
      const { sizeBytes, modifiedMs } = before;
      this.#note(before);
      if (touchedMs(before) > this.#freshSinceMs() || sizeBytes >= into.length) return undefined;
      opened = this.#disk.openNow(file);
      const count = opened.readNow(into.subarray(0, sizeBytes + 1), 0);
      if (count !== sizeBytes || !isUntouched(opened.stat(), before)) return undefined;
      return { sizeBytes, modifiedMs, version: versionOf(before) };
    } catch (error) {
      throw this.#fileError(error, path);
    } finally {
      opened?.close();
    }
  }

  async #readWholeLater(entry: Entry, into: Uint8Array, signal: AbortSignal): Promise<WholeRead | null> {
    const reading = await this.open(entry, signal);
    try {
      const { sizeBytes, modifiedMs, version } = reading;
      if (sizeBytes > into.length) return null;
      for (let at = 0; at < sizeBytes;) at += await reading.next(into.subarray(at, sizeBytes), signal);
      if (!(await reading.unchanged(signal)))
        throw fileError("source_changing", entry.path, "it changed while it was read");
      return { sizeBytes, modifiedMs, version };
    } finally {
      reading.close();
    }
  }

  /** What lies at an entry's path, if that is a file and no link leads to it. */
  #statFile(file: string, entry: Entry): FileStat {
    const stat = this.#disk.stat(file);
    if (stat.kind !== "file") throw fileError("source_vanished", entry.path, "it is not a file any more");
    // The very file that was listed, and no link was on the way then. Any other may have come by one.
    if (
      entry.identity !== null &&
      identityOf(stat) === entry.identity &&
      stat.modifiedMs === entry.modifiedMs
    )
      return stat;
    const folder = this.#systemPath(entry.path.slice(0, Math.max(0, entry.path.lastIndexOf("/"))));
    if (this.#disk.realPath(folder) !== folder)
      throw fileError("source_vanished", entry.path, "it is not a file any more");
    return stat;
  }

  #note(stat: FileStat): void {
    // The time of the last change is the system's own; the other one can be set to any.
    const setMs = stat.changedMs ?? stat.modifiedMs;
    if (setMs > this.#newestMs && setMs <= this.#platform.clock.now()) this.#newestMs = setMs;
  }

  #freshSinceMs(): number {
    return freshSinceMs(this.#platform.clock.now(), this.#newestMs);
  }

  #systemPath(path: string): string {
    this.#real ??= this.#realRoot();
    return systemPath(this.#disk, this.#real, path);
  }

  /** A share that went away would otherwise look like thousands of files that vanished. */
  #fileError(error: unknown, path: string): unknown {
    if (error instanceof DiskError) assertRoot(this.#disk, this.#root);
    return asFileError(error, path);
  }

  /** Links on the way to the root are the administrator's, and followed. */
  #realRoot(): string {
    try {
      const real = this.#disk.realPath(this.#root);
      if (this.#disk.stat(real).kind !== "folder")
        throw unusable("SOURCE_NOT_FOUND", `Cannot list "${this.#root}": it is not a folder`);
      return real;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      const code =
        error.code === "not_found" || error.code === "not_a_folder"
          ? "SOURCE_NOT_FOUND"
          : "SOURCE_UNREADABLE";
      throw unusable(code, `Cannot list "${this.#root}": ${WORDS[error.code]}`, error);
    }
  }
}

/** One folder being walked through. Folders have a slash behind their name, so that sorting names sorts paths. */
interface Level {
  /** With a slash at its end, unless it is the root. */
  readonly path: string;
  readonly names: readonly string[];
  /** What is known of its files already. */
  readonly ahead: LookAhead | null;
  next: number;
}

/**
 * Depth first, each folder's names in ordinal order with the folders' as they stand in paths, so that the paths come in
 * ordinal order too: "a b" before "a/c", because a space is before a slash.
 */
class Walk {
  readonly #disk: Disk;
  readonly #root: string;
  readonly #onFile: (stat: FileStat) => void;
  readonly #levels: Level[] = [];
  /** Only what comes behind it is listed. */
  readonly #behind: string;
  #begun = false;
  /** Where the last item stood: its path, or, for a folder that could not be read, that with a slash. */
  cursor: string;

  constructor(disk: Disk, root: string, cursor: string | null, onFile: (stat: FileStat) => void) {
    this.#disk = disk;
    this.#onFile = onFile;
    this.#root = root;
    this.#behind = cursor ?? "";
    this.cursor = this.#behind;
  }

  /** Puts some more items into `items`, up to `countMax` in all; false when there are none left. */
  step(items: Listed[], countMax: number): boolean {
    if (!this.#begun) {
      this.#begun = true;
      this.#enter("", items);
      return true;
    }
    const level = this.#levels.at(-1);
    if (level === undefined) return false;
    // A folder at a time at the most, so that the caller may breathe between two.
    while (items.length < countMax) {
      const name = level.names[level.next++];
      if (name === undefined) {
        this.#levels.pop();
        return true;
      }
      // Names that are no Unicode come with U+FFFD in their place, so that several may be one, or that of a real file.
      if (name === level.names[level.next - 2]) {
        const path = level.path + name.replace(/\/$/, "");
        items.push(failedItem(path, "name_refused", "its name is not valid Unicode", 0));
        continue;
      }
      if (name.endsWith("/")) {
        this.#enter(level.path + name, items);
        return true;
      }
      this.#visit(level.path + name, level.ahead?.stat(level.next - 1) ?? null, items);
    }
    return true;
  }

  #visit(path: string, seen: FileStat | null, items: Listed[]): void {
    this.cursor = path;
    let stat: FileStat;
    try {
      stat = seen ?? this.#disk.stat(systemPath(this.#disk, this.#root, path));
    } catch (error) {
      items.push(this.#failed(path, error));
      return;
    }
    switch (stat.kind) {
      case "file":
        this.#onFile(stat);
        items.push(fileItem(path, stat));
        return;
      case "folder":
        // Became one since its folder was read.
        this.#enter(`${path}/`, items);
        return;
      case "link":
      case "special":
        items.push({ kind: "skipped", path: wellFormed(path), code: stat.kind });
        return;
    }
  }

  #enter(path: string, items: Listed[]): void {
    let names: string[];
    try {
      names = this.#namesIn(path);
    } catch (error) {
      if (path === "") throw rootError(this.#root, error);
      // The very one where the earlier listing stopped has been told.
      if (path === this.#behind) return;
      this.cursor = path;
      items.push(this.#failed(path.slice(0, -1), error));
      return;
    }
    names.sort(ascending);
    const behind = this.#behind;
    const next = behind === "" ? 0 : names.findIndex((name) => isBehind(path + name, behind));
    const ahead = this.#disk.lookAhead(systemFolder(this.#disk, this.#root, path), names);
    this.#levels.push({ path, names, ahead, next: next === -1 ? names.length : next });
  }

  #namesIn(path: string): string[] {
    const folder = systemPath(this.#disk, this.#root, path.slice(0, -1));
    const names: string[] = [];
    for (const { name, kind } of this.#disk.readFolder(folder)) {
      if (!isQuarantineName(name, this.#disk.separator)) names.push(kind === "folder" ? `${name}/` : name);
    }
    // Asked after reading: a folder that was swapped for a link in between leads elsewhere.
    if (this.#disk.realPath(folder) !== folder)
      throw new DiskError("not_a_folder", "it was replaced by a link");
    return names;
  }

  #failed(name: string, error: unknown): Listed {
    if (!(error instanceof DiskError)) throw error;
    // A share that went away would otherwise look like thousands of unreadable folders.
    assertRoot(this.#disk, this.#root);
    // Systems hide what is no Unicode behind U+FFFD, and then do not know the name they gave us.
    if (error.code === "not_found" && name.includes("\ufffd"))
      return failedItem(name, "name_refused", "its name is not valid Unicode", 0);
    return failedItem(name, failureCode(error), WORDS[error.code], 0);
  }
}

function assertRoot(disk: Disk, root: string): void {
  try {
    disk.stat(root);
  } catch (error) {
    throw rootError(root, error);
  }
}

function fileItem(path: string, stat: FileStat): Listed {
  const { sizeBytes, modifiedMs } = stat;
  // A name that is no Unicode cannot be told apart from another such; the system gives it to us in part.
  if (!path.isWellFormed())
    return failedItem(path, "name_refused", "its name is not valid Unicode", sizeBytes);
  return { kind: "file", entry: { path, sizeBytes, modifiedMs, identity: identityOf(stat) } };
}

/** Whether a name (of a folder with its slash) leads to something behind an item that was listed. */
function isBehind(path: string, behind: string): boolean {
  return path > behind || (path.endsWith("/") && behind.startsWith(path));
}

/**
 * That size and time are still the same proves nothing for a file that was written to moments before it was opened: it
 * may be written to again within the same tick of the file system's clock (2 s on FAT, some ms elsewhere). Such a file is
 * hashed while it is read, read once more at the end, and must give the same.
 */
class LocalReading implements Reading {
  readonly #path: string;
  readonly #file: OpenFile;
  readonly #begun: FileStat;
  /** What was read, if the file was written to moments ago. */
  readonly #fresh: { readonly read: Hash; readonly again: Hash } | null;
  #position = 0;

  constructor(platform: Platform, path: string, file: OpenFile, begun: FileStat, freshSince: number) {
    this.#path = path;
    this.#file = file;
    this.#begun = begun;
    this.#fresh =
      touchedMs(begun) > freshSince
        ? { read: platform.hash("sha256"), again: platform.hash("sha256") }
        : null;
  }

  get sizeBytes(): number {
    return this.#begun.sizeBytes;
  }
  get modifiedMs(): number {
    return this.#begun.modifiedMs;
  }
  get version(): string | null {
    return versionOf(this.#begun);
  }

  async next(into: Uint8Array, signal: AbortSignal): Promise<number> {
    const wanted = into.subarray(0, this.sizeBytes - this.#position);
    await this.#fill(wanted, this.#position, signal);
    this.#position += wanted.length;
    this.#fresh?.read.update(wanted);
    return wanted.length;
  }

  async unchanged(signal: AbortSignal): Promise<boolean> {
    if (!isUntouched(this.#file.stat(), this.#begun)) return false;
    // The size a system tells may lag behind; a byte behind the end does not lie.
    if ((await this.#read(new Uint8Array(1), this.sizeBytes)) !== 0) return false;
    if (this.#fresh === null) return true;
    // Written to once more while it was read again: nobody knows what of it was sent.
    return (await this.#readsTheSame(this.#fresh, signal)) && isUntouched(this.#file.stat(), this.#begun);
  }

  async #readsTheSame(
    fresh: { readonly read: Hash; readonly again: Hash },
    signal: AbortSignal,
  ): Promise<boolean> {
    const piece = new Uint8Array(Math.min(FRESH_PIECE_BYTES, this.sizeBytes));
    for (let at = 0; at < this.sizeBytes; at += piece.length) {
      const part = piece.subarray(0, this.sizeBytes - at);
      await this.#fill(part, at, signal);
      fresh.again.update(part);
    }
    return fresh.read.digest().toHex() === fresh.again.digest().toHex();
  }

  close(): void {
    this.#file.close();
  }

  async #fill(into: Uint8Array, position: number, signal: AbortSignal): Promise<void> {
    for (let filled = 0; filled < into.length;) {
      signal.throwIfAborted();
      const count = await this.#read(into.subarray(filled), position + filled);
      if (count === 0) throw fileError("source_changing", this.#path, "it became shorter while it was read");
      filled += count;
    }
  }

  async #read(into: Uint8Array, position: number): Promise<number> {
    try {
      return await this.#file.read(into, position);
    } catch (error) {
      throw asFileError(error, this.#path);
    }
  }
}

const WORDS: Readonly<Record<DiskError["code"], string>> = {
  not_found: "it is not there",
  denied: "access is denied",
  not_a_folder: "it is not a folder",
  no_space: "the disk is full",
  busy: "another program has locked it",
  replaced: "it was replaced while it was opened",
  exists: "something is there",
  other_volume: "it is on another volume",
  other: "the system reports an error",
};

function failureCode(error: DiskError): FileFailureCode {
  switch (error.code) {
    case "not_found":
    case "not_a_folder":
      return "source_vanished";
    case "denied":
      return "source_denied";
    case "busy":
      return "source_locked";
    case "replaced":
      return "source_changing";
    case "no_space":
    case "exists":
    case "other_volume":
    case "other":
      return "source_unreadable";
  }
}

function failedItem(path: string, code: FileFailureCode, why: string, sizeBytes: number): Listed {
  return {
    kind: "failed",
    path: wellFormed(path),
    code,
    message: `Cannot read "${wellFormed(path)}": ${why}`,
    sizeBytes,
  };
}

function fileError(code: FileFailureCode, path: string, why: string, cause?: unknown): TransferError {
  return new TransferError({ scope: "file", code }, `Cannot read "${path}": ${why}`, {
    retry: { kind: "never" },
    cause,
  });
}

function rootError(root: string, error: unknown): unknown {
  if (!(error instanceof DiskError)) return error;
  const code = error.code === "not_found" ? "SOURCE_NOT_FOUND" : "SOURCE_UNREADABLE";
  return unusable(code, `Cannot list "${root}": ${WORDS[error.code]}`, error);
}

function unusable(
  code: "SOURCE_NOT_FOUND" | "SOURCE_UNREADABLE",
  message: string,
  cause?: unknown,
): TransferError {
  return new TransferError({ scope: "job", code }, message, { retry: { kind: "never" }, cause });
}

function asFileError(error: unknown, path: string): unknown {
  return error instanceof DiskError ? fileError(failureCode(error), path, WORDS[error.code], error) : error;
}

/** Half a character of UTF-16, as NTFS allows it, is written out, so that two such names stay two. */
function wellFormed(path: string): string {
  if (path.isWellFormed()) return path;
  return path.replace(/[\ud800-\udfff]/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
}

function ascending(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
