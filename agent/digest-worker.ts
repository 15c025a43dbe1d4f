/**
 * The thread beside: SHA-256 of files that come in blocks, and the blocks' checksums when it has time. It answers every
 * `add` and `finish` in their order. It imports as little as it can, because all of it is a second time in memory.
 */
import { createHash, type Hash } from "node:crypto";
import { crc64Over } from "./crc64.ts";
import type { ChecksumKind } from "./digests.ts";

export type DigestRequest =
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
  | { readonly kind: "abandon"; readonly stream: number };

/** The checksum if one was asked for, or the SHA-256. */
export type DigestAnswer = Uint8Array | null;

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<DigestRequest>) => void;
  postMessage: (answer: DigestAnswer) => void;
};

const hashes = new Map<number, Hash>();
let memory: WebAssembly.Memory | null = null;
let crc64: ((bytes: Uint8Array) => Uint8Array) | null = null;

scope.onmessage = ({ data: request }) => {
  switch (request.kind) {
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
  }
};

function add({ stream, checksum, offset, length }: Extract<DigestRequest, { kind: "add" }>): DigestAnswer {
  if (memory === null || crc64 === null) throw new Error("Cannot hash: there is no memory yet");
  const bytes = new Uint8Array(memory.buffer, offset, length);
  let hash = hashes.get(stream);
  if (hash === undefined) hashes.set(stream, (hash = createHash("sha256")));
  hash.update(bytes);
  switch (checksum) {
    case null:
      return null;
    case "crc64":
      return crc64(bytes);
    case "md5":
      return plain(createHash("md5").update(bytes));
  }
}

function finish(stream: number): DigestAnswer {
  const hash = hashes.get(stream) ?? createHash("sha256");
  hashes.delete(stream);
  return plain(hash);
}

function plain(hash: Hash): Uint8Array {
  return new Uint8Array(hash.digest());
}
