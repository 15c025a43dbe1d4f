/**
 * How a job's files are cut into blocks, and how much memory that takes.
 *
 * Made once, when the scan knows the largest file, so that one size of buffer serves the whole job: memory is
 * `streams + 2` buffers of a block, whatever the files are.
 */
import { CONCURRENCY_MIN, type TransferOptions } from "../../schema/job.ts";
import type { Limits } from "../connectors/connector.ts";

export const MEBIBYTE = 1_048_576;
/** What all buffers together may take. 32 streams of 256 MiB would be 8 GiB, more than the machines we run on have. */
export const MEMORY_BYTES_MAX = 512 * MEBIBYTE;
/** One block is read and one is hashed while all streams send. */
export const READ_AHEAD_BUFFERS = 2;
/** A few short of the service's count, so that a file may grow a little between scan and read. */
const BLOCK_COUNT_MARGIN = 100;

export interface Plan {
  /** Requests with a body at one time. */
  readonly streams: number;
  readonly buffers: number;
  readonly blockBytes: number;
  /** Files up to this size go in one request. */
  readonly wholeBytesMax: number;
}

/**
 * The block size asked for, raised where the largest file would need too many blocks, lowered where the memory does not
 * suffice; when it cannot be lowered, there are fewer streams.
 */
export function makePlan(options: TransferOptions, limits: Limits, largestBytes: number): Plan {
  const needed = roundUp(largestBytes / Math.max(1, limits.blockCountMax - BLOCK_COUNT_MARGIN), MEBIBYTE);
  const asked = Math.min(limits.blockBytesMax, Math.max(options.chunkSizeMiB * MEBIBYTE, needed));
  const share = MEMORY_BYTES_MAX / (options.concurrency + READ_AHEAD_BUFFERS);
  const affordable = share >= MEBIBYTE ? share - (share % MEBIBYTE) : share;
  const blockBytes = Math.max(
    1,
    Math.floor(Math.max(Math.min(asked, affordable), Math.min(needed, limits.blockBytesMax))),
  );
  const streams = Math.max(
    CONCURRENCY_MIN,
    Math.min(options.concurrency, Math.floor(MEMORY_BYTES_MAX / blockBytes) - READ_AHEAD_BUFFERS),
  );
  return {
    streams,
    buffers: streams + READ_AHEAD_BUFFERS,
    blockBytes,
    wholeBytesMax: Math.min(blockBytes, limits.wholeBytesMax),
  };
}

export function blockCount(sizeBytes: number, blockBytes: number): number {
  return Math.ceil(sizeBytes / blockBytes);
}

/** The size of one block: the last one holds what is left. */
export function blockSize(index: number, sizeBytes: number, blockBytes: number): number {
  return Math.min(blockBytes, sizeBytes - index * blockBytes);
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
