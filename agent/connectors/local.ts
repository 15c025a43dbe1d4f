/**
 * A folder on this machine, or on a share it sees.
 *
 * Listing is depth first, one folder at a time, the names of each in a fixed order, so that the path of the last item is
 * all a cursor needs: to go on, each folder on the way to it is listed again and read from behind that name.
 *
 * No link is followed below the root, neither in a listing nor when a file is opened: whoever may write into the source
 * must not make us send what only we may read. A folder that was swapped for a link shows in its real path, a file in
 * the identity of what was opened.
 */
import type { FileFailureCode } from "../../schema/errors.ts";
import { type Disk, DiskError, type FileStat, type Hash, type OpenFile, type Platform } from "../platform.ts";
import {
  type Entry,
  type Listed,
  type ListedPage,
  type Reading,
  type Source,
  TransferError,
} from "./connector.ts";

const PAGE_ITEMS_MAX = 1_000;
/** Listing is synchronous; after this long the rest of the program gets its turn. */
const TURN_MS = 8;
/** The coarsest clock of a file system in use. */
const FRESH_MS = 2_000;
const FRESH_PIECE_BYTES = 65_536;

export class LocalSource implements Source {
  readonly #platform: Platform;
  readonly #disk: Disk;
  readonly #root: string;

  /** `root` is the path as it stands in the job. */
  constructor(root: string, platform: Platform) {
    this.#platform = platform;
    this.#disk = platform.disk;
    this.#root = root;
  }

  async *list(options: { cursor: string | null; signal: AbortSignal }): AsyncIterable<ListedPage> {
    const { clock } = this.#platform;
    const walk = new Walk(this.#disk, this.#realRoot());
    let items: Listed[] = [];
    let turnMs = clock.monotonic();
    for (const item of walk.from(options.cursor)) {
      if (item !== null) items.push(item);
      if (items.length === PAGE_ITEMS_MAX) {
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

  open(entry: Entry, signal: AbortSignal): Promise<Reading> {
    return openFile(this.#platform, this.#realRoot(), entry.path, signal);
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

/** One folder being walked through: its names still to come, last one first. */
interface Level {
  readonly path: readonly string[];
  readonly names: string[];
}

class Walk {
  readonly #disk: Disk;
  readonly #root: string;
  readonly #levels: Level[] = [];
  /** Names the last item, so that `from` goes on behind it. */
  cursor = "[]";

  constructor(disk: Disk, root: string) {
    this.#disk = disk;
    this.#root = root;
  }

  /** Yields null where there is nothing to tell, so that the caller may breathe. */
  *from(cursor: string | null): Iterable<Listed | null> {
    const behind = cursor === null ? [] : (JSON.parse(cursor) as string[]);
    yield* this.#enter([], behind);
    while (this.#levels.length > 0) {
      const level = this.#levels.at(-1) as Level;
      const name = level.names.pop();
      if (name === undefined) this.#levels.pop();
      else yield* this.#visit([...level.path, name], []);
    }
  }

  *#visit(path: readonly string[], behind: readonly string[]): Iterable<Listed | null> {
    this.cursor = JSON.stringify(path);
    const name = pathOf(path);
    let stat: FileStat;
    try {
      stat = this.#disk.stat(systemPath(this.#disk, this.#root, path));
    } catch (error) {
      yield this.#failed(path, error);
      return;
    }
    switch (stat.kind) {
      case "file":
        // A name that is no Unicode cannot be told apart from another such; the system gives it to us in part.
        if (!name.isWellFormed())
          yield failedItem(name, "name_refused", "its name is not valid Unicode", stat.sizeBytes);
        else
          yield {
            kind: "file",
            entry: { path: name, sizeBytes: stat.sizeBytes, modifiedMs: stat.modifiedMs },
          };
        return;
      case "folder":
        yield null;
        yield* this.#enter(path, behind);
        return;
      case "link":
      case "special":
        yield { kind: "skipped", path: wellFormed(name), code: stat.kind };
        return;
    }
  }

  /** `behind` leads to the last item of an earlier listing: of this folder, only what comes behind it is listed. */
  *#enter(path: readonly string[], behind: readonly string[]): Iterable<Listed | null> {
    const [from, ...deeper] = behind;
    let names: string[];
    try {
      names = this.#namesIn(path);
    } catch (error) {
      if (path.length === 0) throw rootError(this.#root, error);
      yield this.#failed(path, error);
      return;
    }
    this.#levels.push({
      path,
      names: names.filter((name) => from === undefined || name > from).sort(descending),
    });
    if (from !== undefined && deeper.length > 0 && names.includes(from))
      yield* this.#visit([...path, from], deeper);
  }

  #namesIn(path: readonly string[]): string[] {
    const folder = systemPath(this.#disk, this.#root, path);
    const names = this.#disk.readFolder(folder).map((item) => item.name);
    // Asked after reading: a folder that was swapped for a link in between leads elsewhere.
    if (this.#disk.realPath(folder) !== folder)
      throw new DiskError("not_a_folder", "it was replaced by a link");
    return names;
  }

  #failed(path: readonly string[], error: unknown): Listed {
    if (!(error instanceof DiskError)) throw error;
    // A share that went away would otherwise look like thousands of unreadable folders.
    this.#assertRoot();
    const name = pathOf(path);
    // Systems hide what is no Unicode behind U+FFFD, and then do not know the name they gave us.
    if (error.code === "not_found" && name.includes("\ufffd"))
      return failedItem(name, "name_refused", "its name is not valid Unicode", 0);
    return failedItem(name, failureCode(error), WORDS[error.code], 0);
  }

  #assertRoot(): void {
    try {
      this.#disk.stat(this.#root);
    } catch (error) {
      throw rootError(this.#root, error);
    }
  }
}

async function openFile(
  platform: Platform,
  root: string,
  path: string,
  signal: AbortSignal,
): Promise<Reading> {
  const { disk } = platform;
  const names = path.split("/");
  const file = systemPath(disk, root, names);
  const folder = systemPath(disk, root, names.slice(0, -1));
  let opened: OpenFile | null = null;
  try {
    const listed = disk.stat(file);
    if (listed.kind !== "file" || disk.realPath(folder) !== folder)
      throw fileError("source_vanished", path, "it is not a file any more");
    opened = await disk.open(file);
    const stat = opened.stat();
    if (!isSameFile(stat, listed))
      throw fileError("source_changing", path, "it was replaced while it was opened");
    signal.throwIfAborted();
    return new LocalReading(platform, path, opened, stat);
  } catch (error) {
    opened?.close();
    throw error instanceof DiskError ? fileError(failureCode(error), path, WORDS[error.code], error) : error;
  }
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

  constructor(platform: Platform, path: string, file: OpenFile, begun: FileStat) {
    this.#path = path;
    this.#file = file;
    this.#begun = begun;
    const isFresh = begun.modifiedMs > platform.clock.now() - FRESH_MS;
    this.#fresh = isFresh ? { read: platform.hash("sha256"), again: platform.hash("sha256") } : null;
  }

  get sizeBytes(): number {
    return this.#begun.sizeBytes;
  }
  get modifiedMs(): number {
    return this.#begun.modifiedMs;
  }

  async next(into: Uint8Array, signal: AbortSignal): Promise<number> {
    const wanted = into.subarray(0, this.sizeBytes - this.#position);
    await this.#fill(wanted, this.#position, signal);
    this.#position += wanted.length;
    this.#fresh?.read.update(wanted);
    return wanted.length;
  }

  async unchanged(signal: AbortSignal): Promise<boolean> {
    const now = this.#file.stat();
    const same =
      isSameFile(now, this.#begun) && now.sizeBytes === this.sizeBytes && now.modifiedMs === this.modifiedMs;
    // The size a system tells may lag behind; a byte behind the end does not lie.
    if (!same || (await this.#read(new Uint8Array(1), this.sizeBytes)) !== 0) return false;
    return this.#fresh === null || (await this.#readsTheSame(this.#fresh, signal));
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
      throw error instanceof DiskError
        ? fileError(failureCode(error), this.#path, WORDS[error.code], error)
        : error;
    }
  }
}

const WORDS: Readonly<Record<DiskError["code"], string>> = {
  not_found: "it is not there",
  denied: "access is denied",
  not_a_folder: "it is not a folder",
  no_space: "the disk is full",
  busy: "another program has locked it",
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
    case "no_space":
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

/** Where the system tells no identity, size and time have to do. */
function isSameFile(a: FileStat, b: FileStat): boolean {
  return a.kind === b.kind && a.device === b.device && a.inode === b.inode;
}

function pathOf(path: readonly string[]): string {
  return path.join("/");
}

function systemPath(disk: Disk, root: string, path: readonly string[]): string {
  if (path.length === 0) return root;
  // "/" and "C:\" end in their separator already.
  return (root.endsWith(disk.separator) ? root : root + disk.separator) + path.join(disk.separator);
}

/** Half a character of UTF-16, as NTFS allows it, is written out, so that two such names stay two. */
function wellFormed(path: string): string {
  if (path.isWellFormed()) return path;
  return path.replace(/[\ud800-\udfff]/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
}

function descending(a: string, b: string): number {
  return a < b ? 1 : a > b ? -1 : 0;
}
