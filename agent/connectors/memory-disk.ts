/**
 * A disk that lives in memory and really works, for tests: files with identities and times, folders, links to folders,
 * several names for one file. Every call passes a hook before and after its effect, where a test may change things or throw.
 */
import {
  type Clock,
  type Disk,
  type DiskChanges,
  DiskError,
  type EntryKind,
  type FileStat,
  type OpenFile,
} from "../platform.ts";

export interface DiskCall {
  readonly what: keyof Disk | keyof DiskChanges | "read";
  readonly when: "before" | "after";
  readonly path: string;
}

interface Node {
  readonly kind: EntryKind;
  readonly inode: number;
  bytes: Uint8Array;
  modifiedMs: number;
  changedMs: number;
  /** Of a link. */
  readonly target: string;
}

const DEVICE = 7;
const ROOT = "/";

export class MemoryDisk {
  hook: (call: DiskCall) => void = () => {};
  readonly #clock: Pick<Clock, "now">;
  readonly #nodes = new Map<string, Node>();
  #inodes = 1;

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
    this.makeFolder(ROOT);
  }

  // --- what a test does, past the hook -------------------------------------------------------------------------------

  put(path: string, bytes: Uint8Array, modifiedMs: number): void {
    for (let at = path.indexOf("/", 1); at !== -1; at = path.indexOf("/", at + 1))
      if (!this.#nodes.has(path.slice(0, at))) this.makeFolder(path.slice(0, at));
    this.#nodes.set(path, { ...this.#node("file"), bytes: bytes.slice(), modifiedMs });
  }
  /** Into the file that is there; its time of modification is set back where one is given. */
  write(path: string, bytes: Uint8Array, modifiedMs = this.#clock.now()): void {
    Object.assign(this.#at(path), { bytes, modifiedMs, changedMs: this.#clock.now() });
  }
  makeFolder(path: string): void {
    this.#nodes.set(path, this.#node("folder"));
  }
  makeLink(path: string, target: string): void {
    this.#nodes.set(path, { ...this.#node("link"), target });
  }
  addName(path: string, other: string): void {
    this.#nodes.set(other, this.#at(path));
  }
  remove(path: string): void {
    this.#nodes.delete(path);
  }
  /** With all that is in it. */
  move(from: string, to: string): void {
    for (const path of Array.from(this.#nodes.keys())) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      this.#nodes.set(to + path.slice(from.length), this.#nodes.get(path) as Node);
      this.#nodes.delete(path);
    }
  }
  has(path: string): boolean {
    return this.#nodes.has(path);
  }
  bytes(path: string): Uint8Array | null {
    return this.#nodes.get(path)?.bytes ?? null;
  }
  files(): readonly (readonly [path: string, bytes: Uint8Array])[] {
    return [...this.#nodes]
      .filter(([, { kind }]) => kind === "file")
      .map(([path, { bytes }]) => [path, bytes]);
  }

  // --- what a program sees -----------------------------------------------------------------------------------------

  readonly disk: Disk = {
    separator: "/",
    readFolder: (path) =>
      this.#call("readFolder", path, (real) => {
        const stem = real === ROOT ? ROOT : `${real}/`;
        return [...this.#nodes]
          .filter(([other]) => other !== ROOT && other.startsWith(stem))
          .map(([other, { kind }]) => ({ name: other.slice(stem.length), kind }))
          .filter(({ name }) => !name.includes("/"));
      }),
    stat: (path) => this.#call("stat", path, (real) => this.#stat(this.#at(real))),
    open: (path) => Promise.resolve(this.#call("open", path, (real) => this.#open(real))),
    openNow: (path) => this.#call("openNow", path, (real) => this.#open(real)),
    lookAhead: () => null,
    realPath: (path) => this.#call("realPath", path, (real) => (this.#at(real), real)),
    create: () => {
      throw new Error("Nobody creates files here");
    },
  };

  readonly changes: DiskChanges = {
    makePrivateFolder: (path) =>
      this.#call("makePrivateFolder", path, (real) => {
        const there = this.#nodes.get(real);
        if (there === undefined) this.makeFolder(real);
        else if (there.kind !== "folder") throw new DiskError("not_a_folder", `Cannot make "${path}"`);
      }),
    rename: (from, to) =>
      this.#call("rename", from, (real) => {
        this.#at(real).changedMs = this.#clock.now();
        this.move(real, this.#resolve(to));
      }),
    link: (from, to) =>
      this.#call("link", from, (real) => {
        const target = this.#resolve(to);
        if (this.#nodes.has(target)) throw new DiskError("exists", `Cannot link "${to}"`);
        if (this.#nodes.get(folderOf(target))?.kind !== "folder")
          throw new DiskError("not_found", `Cannot link "${to}"`);
        this.#nodes.set(target, this.#at(real));
      }),
    removeFile: (path) =>
      this.#call("removeFile", path, (real) => {
        if (this.#at(real).kind === "folder") throw new DiskError("other", `Cannot remove "${path}"`);
        this.#nodes.delete(real);
      }),
    removeFolder: (path) =>
      this.#call("removeFolder", path, (real) => {
        const isEmpty = ![...this.#nodes.keys()].some((other) => other.startsWith(`${real}/`));
        if (this.#at(real).kind !== "folder" || !isEmpty)
          throw new DiskError("other", `Cannot remove "${path}"`);
        this.#nodes.delete(real);
      }),
    append: (path, bytes) =>
      this.#call("append", path, (real) => {
        if (!this.#nodes.has(real)) this.put(real, new Uint8Array(), this.#clock.now());
        this.write(real, Uint8Array.from([...this.#at(real).bytes, ...bytes]));
      }),
    syncFolder: (path) => this.#call("syncFolder", path, () => undefined),
  };

  #call<Result>(what: DiskCall["what"], path: string, work: (real: string) => Result): Result {
    this.hook({ what, when: "before", path });
    const result = work(what === "realPath" ? this.#resolveAll(path) : this.#resolve(path));
    this.hook({ what, when: "after", path });
    return result;
  }

  #open(path: string): OpenFile {
    const node = this.#at(path);
    if (node.kind !== "file") throw new DiskError("other", `Cannot open "${path}": it is not a regular file`);
    const read = (into: Uint8Array, position: number) => {
      const piece = node.bytes.subarray(position, position + into.length);
      into.set(piece);
      return piece.length;
    };
    return {
      stat: () => this.#stat(node),
      read: (into, position) => Promise.resolve(this.#call("read", path, () => read(into, position))),
      readNow: read,
      close: () => {},
    };
  }

  #stat(node: Node): FileStat {
    return {
      kind: node.kind,
      sizeBytes: node.bytes.length,
      modifiedMs: node.modifiedMs,
      device: DEVICE,
      inode: node.inode,
      changedMs: node.changedMs,
      links: [...this.#nodes.values()].filter((other) => other === node).length,
    };
  }

  #node(kind: EntryKind): Node {
    const nowMs = this.#clock.now();
    const inode = this.#inodes++;
    return { kind, inode, bytes: new Uint8Array(), modifiedMs: nowMs, changedMs: nowMs, target: "" };
  }

  #at(path: string): Node {
    const node = this.#nodes.get(path);
    if (node === undefined) throw new DiskError("not_found", `Cannot find "${path}"`);
    return node;
  }

  /** Without links on the way; the last segment as it is. */
  #resolve(path: string): string {
    if (path === ROOT) return path;
    const folder = this.#resolveAll(folderOf(path));
    return (folder === ROOT ? "" : folder) + path.slice(path.lastIndexOf("/"));
  }

  #resolveAll(path: string): string {
    const real = this.#resolve(path);
    const node = this.#nodes.get(real);
    return node?.kind === "link" ? this.#resolveAll(node.target) : real;
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || ROOT;
}
