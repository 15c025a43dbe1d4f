/**
 * The thread beside: SHA-256 of files that come in blocks, and the blocks' checksums when it has time; and small files, read
 * and digested. It answers every `add`, `finish` and `read` in their order; what it looks at lies in shared memory. It imports as little as it can, because all of it
 * is a second time in memory.
 */
import { createHash, type Hash } from "node:crypto";
import { crc64Over } from "./crc64.ts";
import { CHECKSUM_BYTES, type ChecksumKind, type FileRead } from "./digests.ts";
import { type FileInMemory, readFile } from "./file-reader-deno.ts";
import { lookFromBack, type LookRequest } from "./look-ahead-deno.ts";

export type DigestRequest =
  | LookRequest
  | { readonly kind: "start"; readonly memory: WebAssembly.Memory; readonly workspace: number }
  /** `checksum` is null when the other side computes it. */
  | {
      readonly kind: "add";
      readonly stream: number;
      readonly checksum: ChecksumKind | null;
      readonly offset: number;
      readonly length: number;
    }
  | { readonly kind: "finish"; readonly stream: number }
  | { readonly kind: "abandon"; readonly stream: number }
  | { readonly kind: "read"; readonly checksum: ChecksumKind; readonly files: readonly FileInMemory[] };

/** The checksum if one was asked for, or the SHA-256; or the files that were read. */
export type DigestAnswer = Uint8Array | null | FilesRead;

export interface FilesRead {
  readonly reads: readonly (Omit<FileRead, "checksum"> | null)[];
  /** One behind the other; all are of the same length. */
  readonly checksums: Uint8Array;
}

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<DigestRequest>) => void;
  postMessage: (answer: DigestAnswer) => void;
};

const hashes = new Map<number, Hash>();
let memory: WebAssembly.Memory | null = null;
let crc64: ((bytes: Uint8Array) => Uint8Array) | null = null;

scope.onmessage = ({ data: request }) => {
  switch (request.kind) {
    case "look":
      return lookFromBack(request);
    case "start":
      memory = request.memory;
      crc64 = crc64Over(request.memory, request.workspace);
      return;
    case "add":
      return scope.postMessage(add(request));
    case "finish":
      return scope.postMessage(finish(request.stream));
    case "abandon":
      hashes.delete(request.stream);
      return;
    case "read":
      return scope.postMessage(read(request));
  }
};

function read({ checksum, files }: Extract<DigestRequest, { kind: "read" }>): DigestAnswer {
  const held = memory;
  if (held === null) throw new Error("Cannot read: there is no memory yet");
  const checksums = new Uint8Array(files.length * CHECKSUM_BYTES[checksum]);
  const reads = files.map((file, index) => {
    const read = readFile(file, held, checksumOf, checksum);
    if (read === null) return null;
    checksums.set(read.checksum, index * CHECKSUM_BYTES[checksum]);
    return { sha256: read.sha256, version: read.version };
  });
  return { reads, checksums };
}

function checksumOf(kind: ChecksumKind, bytes: Uint8Array): Uint8Array {
  switch (kind) {
    case "crc64":
      if (crc64 === null) throw new Error("Cannot hash: there is no memory yet");
      return crc64(bytes);
    case "md5":
      return plain(createHash("md5").update(bytes));
  }
}

function add({ stream, checksum, offset, length }: Extract<DigestRequest, { kind: "add" }>): DigestAnswer {
  if (memory === null) throw new Error("Cannot hash: there is no memory yet");
  const bytes = new Uint8Array(memory.buffer, offset, length);
  let hash = hashes.get(stream);
  if (hash === undefined) hashes.set(stream, (hash = createHash("sha256")));
  hash.update(bytes);
  return checksum === null ? null : checksumOf(checksum, bytes);
}

function finish(stream: number): DigestAnswer {
  const hash = hashes.get(stream) ?? createHash("sha256");
  hashes.delete(stream);
  return plain(hash);
}

function plain(hash: Hash): Uint8Array {
  return new Uint8Array(hash.digest());
}
