/**
 * A manifest as somebody took it along: packed, or unpacked already. Hides how it is packed and that it may hold several
 * passes; promises that what it gives is one whole manifest, and stops with a {@link ManifestError} where it is not.
 *
 * It may come from anywhere, so each line is read strictly, and its path may lead nowhere but down.
 */
import {
  MANIFEST_FIELDS,
  MANIFEST_LINE_BYTES_MAX,
  manifestRow,
  type ManifestRow,
} from "../../schema/manifest.ts";
import { DiskError, type OpenFile, type Platform } from "../platform.ts";

const READ_BYTES = 256 * 1024;
const LF = 0x0a;
/** Of a job that repeats itself, where the last line of each path has to be remembered. */
const REPEATED_PATHS_MAX = 3_000_000;

/** The file cannot be used; the message says why, and what to do. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
}

export interface ManifestFacts {
  /** Of what is in it, as the job's report has it. */
  readonly sha256: string;
  readonly rows: number;
}

export class ManifestReader {
  readonly facts: ManifestFacts;
  readonly #platform: Platform;
  readonly #path: string;
  /** By path, the number of its last line; null where no path is there twice. */
  readonly #last: ReadonlyMap<string, number> | null;

  private constructor(
    platform: Platform,
    path: string,
    facts: ManifestFacts,
    last: ReadonlyMap<string, number> | null,
  ) {
    this.#platform = platform;
    this.#path = path;
    this.facts = facts;
    this.#last = last;
  }

  /** Reads it through once, so that nothing is said about any file before the whole manifest was found good. */
  static async open(platform: Platform, path: string, signal: AbortSignal): Promise<ManifestReader> {
    const real = onManifest(path, () => platform.disk.realPath(path));
    let before = "";
    let isAscending = true;
    const look = async (onRow: (row: ManifestRow, number: number) => void) => {
      const lines = new Lines(platform, real, signal);
      for await (const rows of lines.read()) for (const { row, number } of rows) onRow(row, number);
      return lines.facts();
    };
    const facts = await look(({ path: next }, number) => {
      isAscending &&= number === 1 || next > before;
      before = next;
    });
    if (isAscending) return new ManifestReader(platform, real, facts, null);
    const last = new Map<string, number>();
    await look(({ path: next }, number) => {
      last.set(next, number);
      if (last.size > REPEATED_PATHS_MAX)
        throw new ManifestError(
          `Cannot use the manifest: it is out of order and has more than ${REPEATED_PATHS_MAX.toLocaleString("en-US")} paths. Take the manifest of a single run`,
        );
    });
    return new ManifestReader(platform, real, facts, last);
  }

  /** What the manifest says of each path, once each. */
  async *rows(signal: AbortSignal): AsyncGenerator<ManifestRow, void> {
    const lines = new Lines(this.#platform, this.#path, signal);
    for await (const rows of lines.read()) {
      for (const { row, number } of rows)
        if (this.#last === null || this.#last.get(row.path) === number) yield row;
    }
    if (lines.facts().sha256 !== this.facts.sha256)
      throw new ManifestError("Cannot use the manifest: it was changed while it was read. Start again");
  }
}

/** One pass over the file. */
class Lines {
  readonly #platform: Platform;
  readonly #path: string;
  readonly #signal: AbortSignal;
  readonly #digest;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #rest: Uint8Array[] = [];
  #restBytes = 0;
  #count = 0;

  constructor(platform: Platform, path: string, signal: AbortSignal) {
    this.#platform = platform;
    this.#path = path;
    this.#signal = signal;
    this.#digest = platform.hash("sha256");
  }

  /** To be asked once, at the end. */
  facts(): ManifestFacts {
    return { sha256: this.#digest.digest().toHex(), rows: this.#count };
  }

  async *read(): AsyncGenerator<readonly { readonly row: ManifestRow; readonly number: number }[], void> {
    for await (const piece of this.#unpacked()) {
      this.#digest.update(piece);
      const rows: { row: ManifestRow; number: number }[] = [];
      let start = 0;
      for (let end = piece.indexOf(LF); end !== -1; end = piece.indexOf(LF, start)) {
        rows.push({ row: this.#row(piece.subarray(start, end)), number: this.#count });
        start = end + 1;
      }
      this.#keep(piece.subarray(start));
      yield rows;
    }
    if (this.#restBytes > 0) throw new ManifestError(CUT);
  }

  async *#unpacked(): AsyncGenerator<Uint8Array, void> {
    const file = await onManifestLater(this.#path, () => this.#platform.disk.open(this.#path));
    try {
      const head = new Uint8Array(2);
      const count = await onManifestLater(this.#path, () => file.read(head, 0));
      if (count === 2 && head[0] === 0x1f && head[1] === 0x8b) return yield* this.#gunzip(file);
      for await (const piece of bytesOf(file, this.#path, this.#signal)) yield piece;
    } finally {
      file.close();
    }
  }

  async *#gunzip(file: OpenFile): AsyncGenerator<Uint8Array, void> {
    const packed = ReadableStream.from(bytesOf(file, this.#path, this.#signal));
    try {
      for await (const piece of packed.pipeThrough(new DecompressionStream("gzip"))) yield piece;
    } catch (error) {
      this.#signal.throwIfAborted();
      // The stream's own words say nothing of use; its checks are the format's (RFC 1952, CRC32 and ISIZE).
      if (!(error instanceof TypeError)) throw error;
      throw new ManifestError(
        "Cannot unpack the manifest: it is cut off or damaged. Download it again, and compare its SHA-256",
      );
    }
  }

  #keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#restBytes += piece.length;
    if (this.#restBytes > MANIFEST_LINE_BYTES_MAX) throw foreign(this.#count + 1, "it is too long");
    this.#rest.push(piece.slice());
  }

  #row(end: Uint8Array): ManifestRow {
    this.#count++;
    if (this.#restBytes === 0) return this.#parse(end);
    this.#keep(end);
    const bytes = new Uint8Array(this.#restBytes);
    let at = 0;
    for (const piece of this.#rest) {
      bytes.set(piece, at);
      at += piece.length;
    }
    this.#rest = [];
    this.#restBytes = 0;
    return this.#parse(bytes);
  }

  #parse(bytes: Uint8Array): ManifestRow {
    let value: unknown;
    try {
      value = JSON.parse(this.#decoder.decode(bytes));
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
      throw foreign(this.#count, "it is no JSON");
    }
    const parsed = manifestRow.safeParse(value);
    if (!parsed.success) {
      const field = String(parsed.error.issues[0]?.path[0] ?? "");
      const isKnown = (MANIFEST_FIELDS as readonly string[]).includes(field);
      throw foreign(this.#count, isKnown ? `its "${field}" is not one` : "its fields are others");
    }
    const { path, blob } = parsed.data;
    if (!isBelow(path) || (blob !== null && !isBelow(blob)))
      throw foreign(this.#count, "its path leads out of the folder");
    return parsed.data;
  }
}

const CUT =
  "Cannot use the manifest: its last line is not whole, so it was cut off. Download it again, and compare its SHA-256";

async function* bytesOf(
  file: OpenFile,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  for (let position = 0; ;) {
    signal.throwIfAborted();
    const into = new Uint8Array(READ_BYTES);
    const count = await onManifestLater(path, () => file.read(into, position));
    if (count === 0) return;
    position += count;
    yield into.subarray(0, count);
  }
}

/** Only names, one below the other. */
function isBelow(path: string): boolean {
  return (
    !path.includes("\0") && path.split("/").every((name) => name !== "" && name !== "." && name !== "..")
  );
}

function foreign(line: number, why: string): ManifestError {
  return new ManifestError(
    `Cannot use the manifest, line ${line}: ${why}. Give the file that the job's page offers as its manifest (.jsonl.gz)`,
  );
}

function onManifest<Value>(path: string, work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    throw readError(path, error);
  }
}

async function onManifestLater<Value>(path: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw readError(path, error);
  }
}

function readError(path: string, error: unknown): unknown {
  if (!(error instanceof DiskError)) return error;
  if (error.code === "not_found") return new ManifestError(`Cannot read the manifest: there is no "${path}"`);
  return new ManifestError(`${error.message}. Check the path and the rights of this account`);
}
