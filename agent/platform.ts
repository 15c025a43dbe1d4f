/**
 * The world as the agent's cores see it: time, chance, disk, digests, network, databases.
 *
 * Engine, session and runner get a {@link Platform} handed in and know nothing else of the machine, so that a simulator
 * can run the very same code. `platform-deno.ts` is the real one; only it and `main.ts` may name `Deno`.
 */

import type { Digests } from "./digests.ts";
import type { Transport } from "./transport.ts";

export interface Clock {
  /** Wall time, milliseconds since 1970. For display and schedules; it may jump. */
  now(): number;
  /** Milliseconds that only ever grow. For durations, leases and limits. */
  monotonic(): number;
  /** Resolves after `ms`, or rejects with the signal's reason. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface Random {
  /** Cryptographic bytes. */
  bytes(count: number): Uint8Array;
  /** At least 0, below 1. */
  next(): number;
}

export type EntryKind = "file" | "folder" | "link" | "special";

export interface FolderItem {
  readonly name: string;
  readonly kind: EntryKind;
}

export interface FileStat {
  readonly kind: EntryKind;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Null where the system has none. */
  readonly device: number | null;
  readonly inode: number | null;
  /** When anything about the file was changed last, its times too; null where the system does not tell. */
  readonly changedMs: number | null;
  /** How many names the file has; null where the system does not tell. */
  readonly links: number | null;
}

export interface OpenFile {
  stat(): FileStat;
  /** Fills `into` from `position` as far as the file reaches; resolves with the number of bytes read, 0 at its end. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** The same, at once: several times faster where the disk is quick, and a standstill for everybody where it is not. */
  readNow(into: Uint8Array, position: number): number;
  close(): void;
}

/** Why a call to the disk failed, as far as anybody needs to tell causes apart. */
export type DiskErrorCode =
  | "not_found"
  | "denied"
  | "not_a_folder"
  | "no_space"
  | "busy"
  /** Another file is at the path than a moment ago. */
  | "replaced"
  /** Something is where something new was to be. */
  | "exists"
  /** A file cannot go from one volume to another by its name alone. */
  | "other_volume"
  | "other";

export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: DiskErrorCode;
  constructor(code: DiskErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A file that is written from front to end. Synchronous; give way to the loop between pieces. */
export interface NewFile {
  write(bytes: Uint8Array): void;
  /** Makes what was written durable, and closes. */
  finish(): void;
}

/** What somebody else has looked at meanwhile. */
export interface LookAhead {
  /** Null where nobody has. To be asked in ascending order, and not for what is a folder. */
  stat(index: number): FileStat | null;
}

/** All calls throw {@link DiskError}. Paths are in the system's own form. */
export interface Disk {
  /** The path separator of the system's paths. */
  readonly separator: "/" | "\\";
  /** Lists one folder. Synchronous, because that is several times faster; call it between turns of the loop. */
  readFolder(path: string): readonly FolderItem[];
  /** Does not follow a link. */
  stat(path: string): FileStat;
  /**
   * Begins to look at what is in a folder, beside this thread; null where there is nobody to do it. `folder` ends in a
   * separator, and so, with a slash, does the name of whatever is a folder: that is left out.
   */
  lookAhead(folder: string, names: readonly string[]): LookAhead | null;
  /** Opens a regular file for reading, following no link in the last segment. */
  open(path: string): Promise<OpenFile>;
  /** The same, at once, of what was just seen to be a file; the caller looks whether it still is what was opened. */
  openNow(path: string): OpenFile;
  /** The path without any link in it. Follows links, also in the last segment. */
  realPath(path: string): string;
  /** Makes an empty file, or empties the one that is there; only this account may read it. */
  create(path: string): NewFile;
}

/**
 * What changes files that are not the agent's own: for the removal of sources, and apart from {@link Disk}, so that who
 * only reads has no means to change anything. All calls are synchronous and throw {@link DiskError}.
 */
export interface DiskChanges {
  /** A folder that only this account may enter. One that is there is closed to others; one of somebody else's is "denied". */
  makePrivateFolder(path: string): void;
  /**
   * Moves whatever is at `from` as it is in that moment, at once or not at all, within one volume. It replaces a file at
   * `to`, because systems do: only into a private folder, where nobody else puts one, and after a look.
   */
  rename(from: string, to: string): void;
  /** Gives a file one more name; "exists" when something has it. Where the volume knows no such names, "other". */
  link(from: string, to: string): void;
  /** Removes one name, never a folder, and of a link the link. */
  removeFile(path: string): void;
  /** Removes a folder that is empty, and nothing that is none. */
  removeFolder(path: string): void;
  /** Writes behind what is there; makes the file, for this account alone. Durable when it returns. */
  append(path: string, bytes: Uint8Array): void;
  /** Makes the names in a folder durable. */
  syncFolder(path: string): void;
}

/** An incremental digest; `digest` may be called once. */
export interface Hash {
  update(bytes: Uint8Array): void;
  digest(): Uint8Array;
}

/** One prepared statement of {@link Database}. Parameters are bound by place. */
export interface Statement {
  run(...parameters: readonly SqlValue[]): void;
  get(...parameters: readonly SqlValue[]): SqlRow | undefined;
  iterate(...parameters: readonly SqlValue[]): Iterable<SqlRow>;
}
export type SqlValue = string | number | bigint | null | Uint8Array;
export type SqlRow = Readonly<Record<string, SqlValue>>;

/** A SQLite file, opened so that what a commit acknowledged survives a crash. */
export interface Database {
  execute(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

/** A WebSocket as the session uses it: what comes in waits in a bounded inbox. */
export interface Socket {
  send(text: string): void;
  /**
   * Of a way on which heartbeats do not reach the hub: when the last request that it answered was made, by the monotonic
   * clock; null before the first.
   */
  readonly answeredMs?: number | null;
  /** Bytes that were sent but have not left yet. */
  readonly bufferedBytes: number;
  /** The next text, or how the socket ended. */
  receive(
    signal: AbortSignal,
  ): Promise<{ kind: "text"; text: string } | { kind: "closed"; code: number; reason: string }>;
  close(code: number, reason: string): void;
}

/** A connection that did not come about. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";
  /** The HTTP status of a refused upgrade; null when there was no answer. */
  readonly status: number | null;
  constructor(status: number | null, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Platform {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly changes: DiskChanges;
  hash(algorithm: "sha256" | "md5"): Hash;
  /** A cheap check of a text, to find flipped bits: CRC-32 of its UTF-8. */
  checksum(text: string): number;
  /** Says that digests will soon be asked for, so that what takes its time to start does so meanwhile. */
  prepareDigests(): void;
  /** Block buffers and what is computed over them. To be closed. */
  digests(size: { readonly count: number; readonly bytesEach: number }): Digests;
  /** For the bytes of files; the same connections serve all jobs. */
  readonly transport: Transport;
  fetch(url: string, init: RequestInit & { signal: AbortSignal }): Promise<Response>;
  /** Resolves once open; throws {@link ConnectError}, or the signal's reason. */
  connect(
    url: string,
    options: { protocol: string; headers: Readonly<Record<string, string>>; signal: AbortSignal },
  ): Promise<Socket>;
  /** `exclusive` keeps every other process out for as long as it is open; throws `DiskError` "busy" when one is in. */
  openDatabase(path: string, options: { exclusive: boolean }): Database;
  removeDatabase(path: string): void;
  /** One line, one event, named fields. Never a secret. */
  log(event: string, fields: LogFields): void;
}
