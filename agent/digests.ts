/**
 * What is computed over the bytes on their way: the SHA-256 of each whole file, and the checksum of each block that the
 * destination verifies on arrival. It hides where that happens, on this thread or beside it, and promises to copy nothing:
 * whoever reads fills one of `buffers`, whoever sends sends out of it.
 */

/** `crc64` is CRC-64/NVME, what Azure takes as `x-ms-content-crc64`; `md5` goes into `Content-MD5`. */
export type ChecksumKind = "crc64" | "md5";

export const CHECKSUM_BYTES: Readonly<Record<ChecksumKind, number>> = { crc64: 8, md5: 16 };

/** In front of each buffer, for the head of the request: block and head then go out in one write. */
export const HEADROOM_BYTES = 4096;

/** Block buffers that the sending thread and the hashing thread both see, and what is computed over them. One per job. */
export interface Digests {
  /** As many as were asked for; right in front of each lie {@link HEADROOM_BYTES} that belong to it. Reserved, not touched. */
  readonly buffers: readonly Uint8Array[];
  /** Of a view into one of the buffers, on this thread. In wire order: crc64 is 8 bytes little-endian, md5 is 16. */
  checksum(kind: ChecksumKind, bytes: Uint8Array): Uint8Array;
  /** SHA-256 on this thread, in hexadecimal: for files so small that handing them over would take longer. */
  sha256(bytes: Uint8Array): string;
  /** The SHA-256 of a file that comes in blocks, computed beside this thread. */
  openStream(): DigestStream;
  /**
   * Reads small files beside this thread, and computes what is needed of them. Null for each that is not, quite simply, what
   * was listed: such a one has to be looked at closely, by its source.
   */
  readFiles(kind: ChecksumKind, files: readonly FileToRead[]): Promise<readonly (FileRead | null)[]>;
  /** Ends the thread. What still waits rejects, and nothing may be asked any more. */
  close(): void;
}

/** A small file, as it was listed. */
export interface FileToRead {
  /** In the system's own form. */
  readonly path: string;
  /** As the local source tells files apart. */
  readonly identity: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** When it was written to after this, it is not the simple case. */
  readonly freshSinceMs: number;
  /** Inside of one of the buffers, and at least a byte longer than the file. */
  readonly into: Uint8Array;
}

/** A file that was read whole, and was the same before and after. */
export interface FileRead {
  /** In hexadecimal. */
  readonly sha256: string;
  readonly checksum: Uint8Array;
  readonly version: string;
}

/** One file. Streams that are open at the same time are served block by block, in the order of the calls. */
export interface DigestStream {
  /** The next block, a view into one of the buffers. Resolves with its checksum; until then its bytes must not change. */
  add(kind: ChecksumKind, bytes: Uint8Array): Promise<Uint8Array>;
  /** The SHA-256 of all that was added, in hexadecimal. */
  finish(): Promise<string>;
  /** Frees it without a result; what was added and not answered rejects. Of a stream that has ended it changes nothing. */
  abandon(): void;
}
