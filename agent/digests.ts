/**
 * What is computed over the bytes on their way: the SHA-256 of each whole file, and the checksum of each block that the
 * destination verifies on arrival. It hides where that happens, on this thread or beside it, and promises to copy nothing:
 * whoever reads fills one of `buffers`, whoever sends sends out of it.
 */

/** `crc64` is CRC-64/NVME, what Azure takes as `x-ms-content-crc64`; `md5` goes into `Content-MD5`. */
export type ChecksumKind = "crc64" | "md5";

/** In front of each buffer, for the head of the request: block and head then go out in one write. */
export const HEADROOM_BYTES = 4096;

/** Block buffers that the sending thread and the hashing thread both see, and what is computed over them. One per job. */
export interface Digests {
  /** As many as were asked for; right in front of each lie {@link HEADROOM_BYTES} that belong to it. Reserved, not touched. */
  readonly buffers: readonly Uint8Array[];
  /** Of a view into one of the buffers, on this thread. In wire order: crc64 is 8 bytes little-endian, md5 is 16. */
  checksum(kind: ChecksumKind, bytes: Uint8Array): Uint8Array;
  /** SHA-256 on this thread: for files so small that handing them over would take longer. */
  sha256(bytes: Uint8Array): Uint8Array;
  /** The SHA-256 of a file that comes in blocks, computed beside this thread. */
  openStream(): DigestStream;
  /** Ends the thread. What still waits rejects, and nothing may be asked any more. */
  close(): void;
}

/** One file. Streams that are open at the same time are served block by block, in the order of the calls. */
export interface DigestStream {
  /** The next block, a view into one of the buffers. Resolves with its checksum; until then its bytes must not change. */
  add(kind: ChecksumKind, bytes: Uint8Array): Promise<Uint8Array>;
  /** The SHA-256 of all that was added. */
  finish(): Promise<Uint8Array>;
  /** Frees it without a result; what was added and not answered rejects. Of a stream that has ended it changes nothing. */
  abandon(): void;
}
