/**
 * The real world, by Deno. Together with `main.ts` the only file that may name it.
 *
 * What it promises beyond the interface: files it makes are readable by their owner only; what the system reports in its
 * own words arrives as {@link DiskError} or {@link ConnectError}; log lines hold no secret even if one is handed in.
 */
import { createHash, randomBytes } from "node:crypto";
import fs, { rmdirSync, unlinkSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import { crc32 } from "node:zlib";
import {
  ConnectError,
  DiskError,
  type Clock,
  type Database,
  type Disk,
  type DiskChanges,
  type DiskErrorCode,
  type FolderItem,
  type LogFields,
  type NewFile,
  type OpenFile,
  type Platform,
  type Socket,
  type SqlRow,
  type SqlValue,
  type Statement,
} from "./platform.ts";
import { denoDigests, lookBeside, startSpareThread } from "./digests-deno.ts";
import { redact } from "./redact.ts";
import { kindOf, READ_FLAGS, statOf, statOpened } from "./file-stat-deno.ts";
import { FetchTransport } from "./transport-fetch.ts";
import { RawTransport } from "./transport-raw-deno.ts";

/** A hub that sends more than this before anybody looks is not one of ours. */
export const INBOX_TEXTS_MAX = 1_000;
export const INBOX_CHARACTERS_MAX = 16 * 1024 * 1024;
const TIMER_MS_MAX = 2 ** 31 - 1;
/**
 * Deno reads these itself, for `fetch` and WebSockets; a socket of our own knows no proxy. Further certificate authorities
 * (`DENO_CERT`, `DENO_TLS_CA_STORE`) it knows: `Deno.startTls` trusts what `fetch` does.
 */
const PROXY_VARIABLES = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/** The engine ends calls that stand still, and knows what a slow line needs; this is for what it overlooks. */
const BACKSTOP_MS = 10 * 60_000;

/** `writeLine` takes whole log lines. */
export function denoPlatform(writeLine: (line: string) => void = writeToStderr): Platform {
  return {
    clock,
    random: {
      bytes: (count) => new Uint8Array(randomBytes(count)),
      next: Math.random,
    },
    disk: denoDisk,
    changes: denoChanges,
    hash: (algorithm) => {
      const hash = createHash(algorithm);
      return {
        update: (bytes) => void hash.update(bytes),
        digest: () => new Uint8Array(hash.digest()),
      };
    },
    checksum: (text) => crc32(text),
    prepareDigests: startSpareThread,
    digests: (size) => denoDigests(size),
    transport: PROXY_VARIABLES.some(isSet)
      ? new FetchTransport({ fetch, stallMs: BACKSTOP_MS })
      : new RawTransport({ stallMs: BACKSTOP_MS }),
    fetch: (url, init) => fetch(url, init),
    connect,
    openDatabase,
    removeDatabase,
    log: (event, fields) => writeLine(logLine(clock.now(), event, fields)),
  };
}

function isSet(variable: string): boolean {
  return (Deno.env.get(variable) ?? "") !== "";
}

// --- time --------------------------------------------------------------------------------------------------------

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      // Who only gives way need not wait for the millisecond that the shortest timer takes.
      if (ms <= 0) return void setImmediate(resolve);
      const timer = setTimeout(
        () => {
          signal.removeEventListener("abort", stop);
          resolve();
        },
        Math.min(ms, TIMER_MS_MAX),
      );
      const stop = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      signal.addEventListener("abort", stop, { once: true });
    }),
};

// --- disk --------------------------------------------------------------------------------------------------------

const denoDisk: Disk = {
  separator: Deno.build.os === "windows" ? "\\" : "/",
  readFolder: (path) =>
    onDisk(`list "${path}"`, () => {
      const items: FolderItem[] = [];
      // A name that is not UTF-8 comes with U+FFFD in its place; such a path then cannot be opened.
      for (const entry of Deno.readDirSync(path)) items.push({ name: entry.name, kind: kindOf(entry) });
      return items;
    }),
  stat: (path) => onDisk(`look at "${path}"`, () => statOf(Deno.lstatSync(path))),
  lookAhead: lookBeside,
  open: openForReading,
  openNow: (path) =>
    openFile(
      path,
      onDisk(`open "${path}"`, () => fs.openSync(path, READ_FLAGS)),
    ),
  realPath: (path) => onDisk(`resolve "${path}"`, () => Deno.realPathSync(path)),
  create: createFile,
};

async function openForReading(path: string): Promise<OpenFile> {
  const before = denoDisk.stat(path);
  if (before.kind !== "file") throw new DiskError("other", `Cannot open "${path}": it is not a regular file`);
  const opening = new Promise<number>((resolve, reject) => {
    fs.open(path, READ_FLAGS, (error, descriptor) => (error === null ? resolve(descriptor) : reject(error)));
  });
  const opened = openFile(path, await onDiskAsync(`open "${path}"`, () => opening));
  try {
    const { kind, device, inode } = opened.stat();
    // Not every system can be told to follow no link: what was opened must be what was there.
    if (kind !== "file" || device !== before.device || inode !== before.inode)
      throw new DiskError("replaced", `Cannot open "${path}": it was replaced in the same moment`);
    return opened;
  } catch (error) {
    opened.close();
    throw error;
  }
}

function openFile(path: string, descriptor: number): OpenFile {
  const action = `read "${path}"`;
  const readOnce = (into: Uint8Array, position: number) =>
    new Promise<number>((resolve, reject) => {
      fs.read(descriptor, into, 0, into.length, position, (error, count) =>
        error === null ? resolve(count) : reject(error),
      );
    });
  return {
    stat: () => onDisk(`look at "${path}"`, () => statOpened(descriptor)),
    read: (into, position) =>
      onDiskAsync(action, async () => {
        let filled = 0;
        while (filled < into.length) {
          const rest = filled === 0 ? into : into.subarray(filled);
          const count = await readOnce(rest, position + filled);
          if (count === 0) break;
          filled += count;
        }
        return filled;
      }),
    readNow: (into, position) =>
      onDisk(action, () => fs.readSync(descriptor, into, 0, into.length, position)),
    close: () => fs.closeSync(descriptor),
  };
}

function createFile(path: string): NewFile {
  const action = `write "${path}"`;
  const file = onDisk(action, () => {
    // Made anew, because an older one could be a link, or open to others.
    removeFile(path);
    return Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
  });
  return {
    write: (bytes) =>
      onDisk(action, () => {
        for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
      }),
    finish: () =>
      onDisk(action, () => {
        try {
          file.syncSync();
        } finally {
          file.close();
        }
        syncFolderOf(path);
      }),
  };
}

const denoChanges: DiskChanges = {
  makePrivateFolder: (path) => onDisk(`make "${path}"`, () => makePrivateFolder(path)),
  rename: (from, to) => onDisk(`move "${from}"`, () => Deno.renameSync(from, to)),
  link: (from, to) => onDisk(`put back "${to}"`, () => Deno.linkSync(from, to)),
  // Deno's own call looks first what it is and takes folders too; these two are one call of the system, which refuses.
  removeFile: (path) => onDisk(`remove "${path}"`, () => unlinkSync(path)),
  removeFolder: (path) => onDisk(`remove "${path}"`, () => rmdirSync(path)),
  append: (path, bytes) => onDisk(`write "${path}"`, () => appendToFile(path, bytes)),
  syncFolder: (path) => onDisk(`write "${path}"`, () => syncFolder(path)),
};

function makePrivateFolder(path: string): void {
  try {
    return Deno.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const stat = Deno.lstatSync(path);
  if (stat.isSymlink || !stat.isDirectory)
    throw new DiskError("not_a_folder", `Cannot make "${path}": something else is there`);
  if (Deno.build.os === "windows") return;
  if (stat.uid !== Deno.uid())
    throw new DiskError("denied", `Cannot use "${path}": it belongs to another account`);
  if (((stat.mode ?? 0) & 0o077) !== 0) Deno.chmodSync(path, 0o700);
}

function appendToFile(path: string, bytes: Uint8Array): void {
  const file = Deno.openSync(path, { append: true, create: true, mode: 0o600 });
  try {
    const isNew = file.statSync().size === 0;
    for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
    file.syncSync();
    if (isNew) syncFolderOf(path);
  } finally {
    file.close();
  }
}

/** A new name is durable with its folder. Windows does that by itself, and opens no folder. */
function syncFolderOf(path: string): void {
  if (Deno.build.os !== "windows") syncFolder(path.slice(0, path.lastIndexOf("/")) || "/");
}

function syncFolder(path: string): void {
  if (Deno.build.os === "windows") return;
  const folder = Deno.openSync(path, { read: true });
  try {
    folder.syncSync();
  } finally {
    folder.close();
  }
}

function onDisk<Value>(action: string, work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    throw diskError(action, error);
  }
}

async function onDiskAsync<Value>(action: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw diskError(action, error);
  }
}

function diskError(action: string, error: unknown): DiskError {
  if (error instanceof DiskError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new DiskError(diskCode(error), `Cannot ${action}: ${reason}`, { cause: error });
}

function diskCode(error: unknown): DiskErrorCode {
  if (error instanceof Deno.errors.NotFound) return "not_found";
  // NotCapable is Deno's own refusal, of /proc for one.
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable)
    return "denied";
  if (error instanceof Deno.errors.NotADirectory) return "not_a_folder";
  if (error instanceof Deno.errors.Busy) return "busy";
  if (error instanceof Deno.errors.AlreadyExists) return "exists";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return "no_space";
    case "EBUSY":
    case "ETXTBSY":
      return "busy";
    case "EEXIST":
      return "exists";
    case "EXDEV":
      return "other_volume";
    // What `node:fs` reports has a code, and no class of Deno's.
    case "ENOENT":
      return "not_found";
    // What was no link when it was looked at.
    case "ELOOP":
      return "replaced";
    case "ENOTDIR":
      return "not_a_folder";
    case "EACCES":
    case "EPERM":
      return "denied";
    default:
      return "other";
  }
}

// --- the agent's own files ---------------------------------------------------------------------------------------

/** Makes a folder and those above it, for the owner alone. One that is there stays as it is. */
export function makeFolder(path: string): void {
  onDisk(`make "${path}"`, () => Deno.mkdirSync(path, { recursive: true, mode: 0o700 }));
}

/** The text of a file, or null if there is none. */
export function readTextFile(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw diskError(`read "${path}"`, error);
  }
}

/** After a crash the file holds the old text or the new one, whole. For the owner alone. */
export function writeTextFile(path: string, text: string): void {
  const draft = `${path}.new`;
  const file = createFile(draft);
  file.write(encoder.encode(text));
  file.finish();
  onDisk(`write "${path}"`, () => {
    Deno.renameSync(draft, path);
    syncFolderOf(path);
  });
}

/** Gives a file the rights of another, such as to be run. */
export function copyRights(from: string, to: string): void {
  if (Deno.build.os === "windows") return;
  onDisk(`make "${to}" as "${from}" is`, () =>
    Deno.chmodSync(to, (Deno.statSync(from).mode ?? 0o700) & 0o777),
  );
}

/** Why no file can be made in a folder, in the system's words; null when one can. */
export function writeRefusal(folder: string): string | null {
  const path = `${folder}${denoDisk.separator}write.tmp`;
  try {
    createFile(path).finish();
    onDisk(`remove "${path}"`, () => removeFile(path));
    return null;
  } catch (error) {
    if (error instanceof DiskError) return error.message;
    throw error;
  }
}

/** As much as some thousands of events take. */
const RESERVE_BYTES = 2 * 1024 * 1024;

/** Makes a file that only takes room, unless the disk is full already; to be removed when it is. */
export function makeReserve(path: string): { release(): boolean } {
  try {
    const file = createFile(path);
    // Written, because a file that was only made long takes no room.
    file.write(new Uint8Array(RESERVE_BYTES).fill(0x52));
    file.finish();
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
  }
  return {
    release: () => {
      try {
        Deno.removeSync(path);
        return true;
      } catch {
        return false;
      }
    },
  };
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

// --- databases ---------------------------------------------------------------------------------------------------

const BUSY_MS = 250;

function openDatabase(path: string, { exclusive }: { exclusive: boolean }): Database {
  const action = `open "${path}"`;
  try {
    // SQLite gives its helper files the rights of the first one. Opened and closed before SQLite locks anything: closing
    // any other handle of a locked file would drop the locks (POSIX), so nothing else here ever opens one.
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw diskError(action, error);
  }
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path);
    database.exec(`PRAGMA busy_timeout = ${exclusive ? 0 : BUSY_MS}`);
    // Before the first access, which is the next line and takes the lock; WAL then needs no memory shared with others.
    if (exclusive) database.exec("PRAGMA locking_mode = EXCLUSIVE");
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    return wrapDatabase(database);
  } catch (error) {
    database?.close();
    throw sqliteError(action, error);
  }
}

function wrapDatabase(database: DatabaseSync): Database {
  return {
    execute: (sql) => onSqlite("write the database", () => database.exec(sql)),
    prepare: (sql) => wrapStatement(database.prepare(sql)),
    close: () => database.close(),
  };
}

function wrapStatement(statement: StatementSync): Statement {
  return {
    run: (...parameters: readonly SqlValue[]) =>
      void onSqlite("write the database", () => statement.run(...parameters)),
    get: (...parameters: readonly SqlValue[]) =>
      onSqlite("read the database", () => statement.get(...parameters)),
    iterate: (...parameters: readonly SqlValue[]) => statement.iterate(...parameters) as Iterable<SqlRow>,
  };
}

function onSqlite<Value>(action: string, work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    throw sqliteError(action, error);
  }
}

/** What the disk is to blame for becomes a DiskError; a wrong statement stays a defect. */
function sqliteError(action: string, error: unknown): unknown {
  // Deno's node:sqlite gives no code of SQLite's own, only its sentence.
  const reason = error instanceof Error ? error.message : String(error);
  const code: DiskErrorCode | null = /database is locked|database table is locked/.test(reason)
    ? "busy"
    : /database or disk is full/.test(reason)
      ? "no_space"
      : /readonly|access permission/.test(reason)
        ? "denied"
        : /unable to open|disk I\/O error|not a database|malformed/.test(reason)
          ? "other"
          : null;
  return code === null ? error : new DiskError(code, `Cannot ${action}: ${reason}`, { cause: error });
}

function removeDatabase(path: string): void {
  // The database first: without its log, after a crash in between, it would be taken for whole.
  for (const suffix of ["", "-wal", "-shm"])
    onDisk(`remove "${path}${suffix}"`, () => removeFile(path + suffix));
}

// --- network -----------------------------------------------------------------------------------------------------

function connect(
  url: string,
  {
    protocol,
    headers,
    signal,
  }: { protocol: string; headers: Readonly<Record<string, string>>; signal: AbortSignal },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const socket = new WebSocket(url, { protocols: [protocol], headers: { ...headers } });
    let reason = "the connection was closed";
    const stop = () => {
      socket.close();
      reject(signal.reason);
    };
    signal.addEventListener("abort", stop, { once: true });
    const settled = () => signal.removeEventListener("abort", stop);
    socket.onopen = () => {
      settled();
      if (socket.protocol === protocol) return resolve(openSocket(socket));
      socket.close();
      reject(new ConnectError(null, `The server does not speak ${protocol}`));
    };
    socket.onerror = (event) => {
      reason = event instanceof ErrorEvent ? event.message : reason;
    };
    socket.onclose = () => {
      settled();
      // Deno says the status of a refused upgrade only in its sentence.
      const status = /Invalid status code: (\d{3})/.exec(reason)?.[1];
      const host = new URL(url).host;
      reject(
        new ConnectError(
          status === undefined ? null : Number(status),
          `Cannot connect to ${host}: ${reason}`,
        ),
      );
    };
  });
}

type Received = Awaited<ReturnType<Socket["receive"]>>;

/** From here on what comes waits in the inbox until it is asked for. */
function openSocket(socket: WebSocket): Socket {
  const inbox: Received[] = [];
  let characters = 0;
  let wake: (() => void) | null = null;
  let over = false;
  const put = (received: Received) => {
    if (over) return;
    over = received.kind === "closed";
    inbox.push(received);
    wake?.();
  };
  socket.onerror = null;
  socket.onclose = ({ code, reason }) => put({ kind: "closed", code, reason });
  socket.onmessage = ({ data }) => {
    const text = typeof data === "string" ? data : null;
    characters += text?.length ?? 0;
    if (text !== null && inbox.length < INBOX_TEXTS_MAX && characters <= INBOX_CHARACTERS_MAX) {
      return put({ kind: "text", text });
    }
    const reason = text === null ? "text only" : "too much at once";
    closeQuietly(socket, 4008, reason);
    put({ kind: "closed", code: 4008, reason });
  };
  return {
    send: (text) => {
      // One that closed a moment ago: its end waits in the inbox.
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
    receive: async (signal) => {
      for (;;) {
        signal.throwIfAborted();
        const next = inbox.shift();
        if (next !== undefined) {
          if (next.kind === "text") characters -= next.text.length;
          return next;
        }
        if (over) return { kind: "closed", code: 1006, reason: "the socket is closed" };
        await new Promise<void>((resolve, reject) => {
          const stop = () => reject(signal.reason);
          wake = () => {
            wake = null;
            signal.removeEventListener("abort", stop);
            resolve();
          };
          signal.addEventListener("abort", stop, { once: true });
        });
      }
    },
    close: (code, reason) => closeQuietly(socket, code, reason),
  };
}

function closeQuietly(socket: WebSocket, code: number, reason: string): void {
  if (socket.readyState === WebSocket.OPEN || socket.readyState === WebSocket.CONNECTING)
    socket.close(code, reason);
}

// --- log ---------------------------------------------------------------------------------------------------------

/** `2026-11-22T10:00:00.000Z block_sent jobId=job_… reason="two words"` */
export function logLine(nowMs: number, event: string, fields: LogFields): string {
  const words = Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}=${quoted(String(value))}`);
  return redact([new Date(nowMs).toISOString(), event, ...words].join(" "));
}

/** Whatever could be taken for the end of the value or of the line is quoted. */
function quoted(value: string): string {
  return /^[^\s"=\\\p{Cc}]+$/u.test(value) ? value : JSON.stringify(value);
}

const encoder = new TextEncoder();

export function writeToStderr(line: string): void {
  const bytes = encoder.encode(`${line}\n`);
  try {
    for (let written = 0; written < bytes.length;) written += Deno.stderr.writeSync(bytes.subarray(written));
  } catch {
    // Nobody reads it any more; that must not stop a migration.
  }
}
