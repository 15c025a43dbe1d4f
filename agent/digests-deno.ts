/**
 * The digests of a real agent: one more thread, and one shared memory that both see.
 *
 * Why it is so: SHA-256 of a file has to go through its blocks one after another and is the slowest of all that is done, so
 * it has the second thread for itself; reading, sending and the CRC64 fit beside it on the first. A checksum goes to the
 * second thread only while that has nothing else to do, which balances both whatever is slow: the disk, TLS or MD5.
 * The buffers lie in a `WebAssembly.Memory` because there the CRC64 works on them in place. Of all that is reserved only
 * what was written to is resident.
 */
import { createHash } from "node:crypto";
import { CRC64_WORKSPACE_BYTES, crc64Over } from "./crc64.ts";
import type { DigestAnswer, DigestRequest, FilesRead } from "./digest-worker.ts";
import {
  HEADROOM_BYTES,
  type ChecksumKind,
  type Digests,
  type DigestStream,
  type FileRead,
  type FileToRead,
} from "./digests.ts";
import { LooksBeside } from "./look-ahead-deno.ts";
import type { LookAhead } from "./platform.ts";

const PAGE_BYTES = 4096;
const WASM_PAGE_BYTES = 65_536;
const WORKSPACE_BYTES = roundUp(CRC64_WORKSPACE_BYTES, PAGE_BYTES);
/** A thread costs some megabytes; an agent at rest has none. */
const IDLE_MS = 5_000;

/** Time for the job to let go of its buffers. Without `--expose-gc` they stay until garbage is collected anyway. */
const GARBAGE_MS = 1_000;

/** What a test replaces. */
export interface DigestWorld {
  readonly startWorker: () => Worker;
  readonly idleMs: number;
}

export function denoDigests(
  { count, bytesEach }: { count: number; bytesEach: number },
  world: DigestWorld = { startWorker, idleMs: IDLE_MS },
): Digests {
  const slotBytes = roundUp(HEADROOM_BYTES + bytesEach, PAGE_BYTES);
  const first = 2 * WORKSPACE_BYTES;
  const pages = Math.ceil((first + count * slotBytes) / WASM_PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const crc64 = crc64Over(memory, 0);
  const thread = new HashThread(memory, world);
  const checksum = (kind: ChecksumKind, bytes: Uint8Array) => {
    switch (kind) {
      case "crc64":
        return crc64(bytes);
      case "md5":
        return new Uint8Array(createHash("md5").update(bytes).digest());
    }
  };
  return {
    buffers: Array.from(
      { length: count },
      (_, index) => new Uint8Array(memory.buffer, first + index * slotBytes + HEADROOM_BYTES, bytesEach),
    ),
    checksum,
    sha256: (bytes) => createHash("sha256").update(bytes).digest("hex"),
    openStream: () => thread.open(checksum),
    readFiles: (kind, files) => thread.read(kind, files),
    close: () => {
      thread.close();
      Deno.unrefTimer(setTimeout(collectGarbage, GARBAGE_MS));
    },
  };
}

/** The engine does not see half a gigabyte behind a few small objects, and may keep it for hours; so it is told. */
function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** A thread that has no digests to compute yet. */
let spare: Spare | null = null;

/** The next digests find their thread running. If there are none for a while, it ends. */
export function startSpareThread(): void {
  spare ??= new Spare(newWorker());
}

/** The thread of the next digests looks at files until then; null when there is none. See {@link Disk.lookAhead}. */
export function lookBeside(folder: string, names: readonly string[]): LookAhead | null {
  return spare === null ? null : spare.look(folder, names);
}

function startWorker(): Worker {
  if (spare === null) return newWorker();
  const { worker } = spare;
  spare.leave();
  return worker;
}

class Spare {
  readonly worker: Worker;
  readonly #looks: LooksBeside;
  #isUsed = false;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(worker: Worker) {
    this.worker = worker;
    this.#looks = new LooksBeside((request) => worker.postMessage(request));
    this.#timer = setInterval(() => this.#endUnused(), IDLE_MS);
    Deno.unrefTimer(this.#timer);
  }

  look(folder: string, names: readonly string[]): LookAhead {
    this.#isUsed = true;
    return this.#looks.begin(folder, names);
  }

  leave(): void {
    clearInterval(this.#timer);
    if (spare === this) spare = null;
  }

  #endUnused(): void {
    if (!this.#isUsed) {
      this.leave();
      this.worker.terminate();
    }
    this.#isUsed = false;
  }
}

function newWorker(): Worker {
  return new Worker(new URL("./digest-worker.ts", import.meta.url), { type: "module", name: "digests" });
}

interface Waiting {
  /** Null of files that are read. */
  readonly stream: Stream | null;
  readonly resolve: (answer: DigestAnswer) => void;
  readonly reject: (error: Error) => void;
}

class HashThread {
  readonly #memory: WebAssembly.Memory;
  readonly #world: DigestWorld;
  readonly #streams = new Set<Stream>();
  /** In the order in which the thread answers. */
  readonly #waiting: Waiting[] = [];
  #worker: Worker | null = null;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;
  #streamNumber = 0;
  #isClosed = false;

  constructor(memory: WebAssembly.Memory, world: DigestWorld) {
    this.#memory = memory;
    this.#world = world;
  }

  get isIdle(): boolean {
    return this.#waiting.length === 0;
  }

  sees(bytes: Uint8Array): boolean {
    return bytes.buffer === this.#memory.buffer;
  }

  open(checksum: Digests["checksum"]): DigestStream {
    if (this.#isClosed) throw new Error("Cannot open a stream of digests: they are closed");
    clearTimeout(this.#idleTimer);
    this.#worker ??= this.#start();
    const stream = new Stream(this, this.#streamNumber++, checksum);
    this.#streams.add(stream);
    return stream;
  }

  post(request: DigestRequest): void {
    this.#worker?.postMessage(request);
  }

  async read(kind: ChecksumKind, files: readonly FileToRead[]): Promise<readonly (FileRead | null)[]> {
    if (this.#isClosed) throw new Error("Cannot read files: the digests are closed");
    clearTimeout(this.#idleTimer);
    this.#worker ??= this.#start();
    const inMemory = files.map(({ into, ...file }) => {
      if (!this.sees(into)) throw new TypeError("Cannot read: the place does not lie in one of the buffers");
      return { ...file, offset: into.byteOffset, length: into.length };
    });
    try {
      const answer = await this.ask(null, { kind: "read", checksum: kind, files: inMemory });
      if (answer instanceof Uint8Array || answer === null) throw new Error("Cannot read: no files came back");
      return unpack(answer);
    } finally {
      this.#rest();
    }
  }

  ask(stream: Stream | null, request: DigestRequest): Promise<DigestAnswer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ stream, resolve, reject });
      this.post(request);
    });
  }

  /** What the stream still waits for is answered, but to nobody. */
  leave(stream: Stream, error: Error): void {
    if (!this.#streams.delete(stream)) return;
    for (const one of this.#waiting) if (one.stream === stream) one.reject(error);
    this.#rest();
  }

  /** A thread that nobody needs ends after a while. */
  #rest(): void {
    const isReading = this.#waiting.some(({ stream }) => stream === null);
    if (this.#streams.size > 0 || isReading || this.#worker === null) return;
    clearTimeout(this.#idleTimer);
    const timer = setTimeout(() => this.#end(new Error("Cannot hash: nothing was open")), this.#world.idleMs);
    Deno.unrefTimer(timer);
    this.#idleTimer = timer;
  }

  close(): void {
    this.#isClosed = true;
    this.#end(new Error("Cannot hash: the digests were closed"));
  }

  #start(): Worker {
    const worker = this.#world.startWorker();
    worker.onmessage = ({ data }: MessageEvent<DigestAnswer>) => this.#waiting.shift()?.resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#end(new Error(`Cannot hash: the hashing thread ended: ${event.message}`));
    };
    worker.postMessage({
      kind: "start",
      memory: this.#memory,
      workspace: WORKSPACE_BYTES,
    } satisfies DigestRequest);
    return worker;
  }

  #end(error: Error): void {
    clearTimeout(this.#idleTimer);
    this.#worker?.terminate();
    this.#worker = null;
    for (const stream of this.#streams) stream.fail(error);
    this.#streams.clear();
    // All of them, also of streams that were abandoned: the next thread answers none of these.
    for (const one of this.#waiting.splice(0)) one.reject(error);
  }
}

class Stream implements DigestStream {
  readonly #thread: HashThread;
  readonly #number: number;
  readonly #checksum: Digests["checksum"];
  #ended: Error | null = null;

  constructor(thread: HashThread, number: number, checksum: Digests["checksum"]) {
    this.#thread = thread;
    this.#number = number;
    this.#checksum = checksum;
  }

  async add(kind: ChecksumKind, bytes: Uint8Array): Promise<Uint8Array> {
    this.#mustBeOpen();
    if (!this.#thread.sees(bytes))
      throw new TypeError("Cannot hash: the bytes do not lie in one of the buffers");
    const isThereTime = this.#thread.isIdle;
    const asked = this.#thread.ask(this, {
      kind: "add",
      stream: this.#number,
      checksum: isThereTime ? kind : null,
      offset: bytes.byteOffset,
      length: bytes.length,
    });
    const own = isThereTime ? null : this.#checksum(kind, bytes);
    return required(await asked, own);
  }

  async finish(): Promise<string> {
    this.#mustBeOpen();
    this.fail(new Error("Cannot hash: the stream is finished"));
    const sha256 = await this.#thread.ask(this, { kind: "finish", stream: this.#number });
    this.#thread.leave(this, new Error("Cannot hash: the stream is finished"));
    return required(sha256, null).toHex();
  }

  abandon(): void {
    const error = new Error("Cannot hash: the stream was abandoned");
    this.fail(error);
    this.#thread.post({ kind: "abandon", stream: this.#number });
    this.#thread.leave(this, error);
  }

  fail(error: Error): void {
    this.#ended ??= error;
  }

  #mustBeOpen(): void {
    if (this.#ended !== null) throw this.#ended;
  }
}

/** The checksums come in one piece: an array of its own for each costs more than the checksum. */
function unpack({ reads, checksums }: FilesRead): readonly (FileRead | null)[] {
  const eachBytes = checksums.length / reads.length;
  return reads.map((read, index) =>
    read === null
      ? null
      : { ...read, checksum: checksums.subarray(index * eachBytes, (index + 1) * eachBytes) },
  );
}

function required(answer: DigestAnswer, own: Uint8Array | null): Uint8Array {
  const bytes = answer ?? own;
  if (!(bytes instanceof Uint8Array)) throw new Error("Cannot hash: the hashing thread gave no answer");
  return bytes;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
