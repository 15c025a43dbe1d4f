/**
 * Reads small files before their turn, many together, beside this thread.
 *
 * A small file costs as much to read and to hash as to send, and one thread cannot do both at once. So the next ones are read
 * by the thread beside while the ones before them are sent. Only what is simple is done that way; what is not, the uploader
 * reads itself.
 */
import type { Checksum, Destination, Located, Source } from "../connectors/connector.ts";
import type { ChecksumKind, Digests, FileRead, FileToRead } from "../digests.ts";
import type { Buffer, BufferPool } from "./buffers.ts";
import type { Decision } from "./existing.ts";
import type { Plan } from "./plan.ts";
import type { Work } from "./upload.ts";

/** Files read together: enough that handing them over costs little, few enough that the first is soon there. */
export const BATCH_FILES_MAX = 64;
/** Batches being read or waiting to be sent. */
const BATCHES_MAX = 2;
/** Room for the head of a request in front of each file. */
export const BATCH_HEADROOM_BYTES = 1_024;

/** The bytes of a small file, and what was computed over them. */
export interface Ready {
  readonly sha256: string;
  readonly version: string;
  readonly bytes: Uint8Array;
  readonly headroomBytes: number;
  readonly checksum: Checksum;
  /** They are sent, or not needed. */
  release(): void;
}

export interface ReadAheadInput {
  readonly source: Source;
  readonly destination: Destination;
  readonly digests: Digests;
  readonly buffers: BufferPool;
  readonly plan: Plan;
  /** What is to be done about an entry, as far as that is known. */
  readonly decide: (work: Work) => Decision;
  /** The next entry; null when there is none. */
  readonly take: () => Work | null | Promise<Work | null>;
}

/** An entry, with its bytes if it was read already. */
export interface Prepared {
  readonly work: Work;
  readonly ready: Ready | null;
}

interface Found {
  readonly work: Work;
  readonly located: Located;
}

export class ReadAhead {
  readonly #input: ReadAheadInput;
  readonly #batchesMax: number;
  #prepared: Prepared[] = [];
  #next = 0;
  /** Batches whose buffer is not free yet. */
  #batches = 0;
  #filling: Promise<void> | null = null;
  #ended = false;

  constructor(input: ReadAheadInput) {
    this.#input = input;
    // Whatever else needs a buffer must find one.
    this.#batchesMax = Math.min(BATCHES_MAX, input.plan.buffers - 1);
  }

  /** The next entry; null when there is none. */
  take(): Prepared | null | Promise<Prepared | null> {
    const prepared = this.#prepared[this.#next];
    if (prepared !== undefined) {
      this.#next++;
      if (this.#prepared.length - this.#next < BATCH_FILES_MAX) this.#fillAhead();
      return prepared;
    }
    // The last batch may still be on its way.
    return this.#ended && this.#filling === null ? null : this.#takeLater();
  }

  async #takeLater(): Promise<Prepared | null> {
    await this.#fill();
    return await this.take();
  }

  /** Not waited for; who needs it next hears of a failure. */
  #fillAhead(): void {
    if (this.#ended || this.#filling !== null || this.#batches >= this.#batchesMax) return;
    this.#fill().catch(() => {});
  }

  #fill(): Promise<void> {
    this.#filling ??= this.#prepareMore().finally(() => (this.#filling = null));
    return this.#filling;
  }

  async #prepareMore(): Promise<void> {
    const works: Work[] = [];
    const files: Found[] = [];
    // What does not fit any more is read by the uploader: then both threads have something to read.
    let roomBytes = this.#input.plan.blockBytes;
    while (works.length < BATCH_FILES_MAX && roomBytes > 0) {
      const taken = this.#input.take();
      // What is there already need not wait for what is not.
      const work = taken instanceof Promise ? await taken : taken;
      if (work === null) {
        this.#ended = true;
        break;
      }
      works.push(work);
      const located = this.#locate(work);
      if (located === null) continue;
      files.push({ work, located });
      roomBytes -= work.page.sizeBytes(work.index) + BATCH_HEADROOM_BYTES;
    }
    const ready = this.#batches < this.#batchesMax && files.length > 0 ? await this.#read(files) : null;
    this.#prepared = this.#prepared.slice(this.#next);
    this.#next = 0;
    for (const work of works) this.#prepared.push({ work, ready: ready?.get(work) ?? null });
  }

  /** Null when an entry need not be read, or not in this way. */
  #locate(work: Work): Located | null {
    const { plan, source, decide } = this.#input;
    const entry = work.page.entry(work.index);
    if (entry.sizeBytes > plan.wholeBytesMax) return null;
    const { kind } = decide(work);
    return kind === "write" || kind === "compare" ? source.locate(entry) : null;
  }

  async #read(files: readonly Found[]): Promise<ReadonlyMap<Work, Ready>> {
    const { buffers, digests, destination } = this.#input;
    const lent = buffers.acquire();
    const buffer = lent instanceof Promise ? await lent : lent;
    this.#batches++;
    const requests: FileToRead[] = [];
    const works: Work[] = [];
    let at = BATCH_HEADROOM_BYTES;
    for (const { work, located } of files) {
      const { sizeBytes, modifiedMs, identity } = work.page.entry(work.index);
      const end = at + sizeBytes + 1;
      if (identity === null || end > buffer.bytes.length) continue;
      requests.push({ ...located, identity, sizeBytes, modifiedMs, into: buffer.bytes.subarray(at, end) });
      works.push(work);
      // Each begins at a multiple of eight bytes, as checksums like it.
      at = (end + BATCH_HEADROOM_BYTES + 7) & ~7;
    }
    const held = new Batch(buffer, () => this.#batches--);
    const kind = destination.checksumKind;
    try {
      const reads = requests.length === 0 ? [] : await digests.readFiles(kind, requests);
      return held.share(works, requests, { kind, reads });
    } catch {
      // The thread beside is gone. The uploader reads them itself, and says what is wrong, if it is not only that.
      return new Map();
    } finally {
      held.close();
    }
  }
}

/** A buffer that several files lie in; free when the last of them is. */
class Batch {
  readonly #buffer: Buffer;
  readonly #onFree: () => void;
  /** One for itself, until it is closed. */
  #users = 1;

  constructor(buffer: Buffer, onFree: () => void) {
    this.#buffer = buffer;
    this.#onFree = onFree;
  }

  share(
    works: readonly Work[],
    requests: readonly FileToRead[],
    { kind, reads }: { readonly kind: ChecksumKind; readonly reads: readonly (FileRead | null)[] },
  ): ReadonlyMap<Work, Ready> {
    const ready = new Map<Work, Ready>();
    for (const [index, read] of reads.entries()) {
      const work = works[index];
      const request = requests[index];
      if (read === null || work === undefined || request === undefined) continue;
      this.#users++;
      let isHeld = true;
      ready.set(work, {
        sha256: read.sha256,
        version: read.version,
        checksum: { kind, value: read.checksum },
        bytes: request.into.subarray(0, request.sizeBytes),
        headroomBytes: BATCH_HEADROOM_BYTES,
        release: () => {
          if (!isHeld) return;
          isHeld = false;
          this.#leave();
        },
      });
    }
    return ready;
  }

  close(): void {
    this.#leave();
  }

  #leave(): void {
    this.#users--;
    if (this.#users > 0) return;
    this.#buffer.release();
    this.#onFree();
  }
}
