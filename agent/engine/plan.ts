/**
 * How a job's files are cut into blocks, and how much memory that takes.
 *
 * Made once, when the scan knows the largest file, so that one size of buffer serves the whole job: memory is
 * `streams + 1` buffers of a block, whatever the files are.
 */
import { CONCURRENCY_MIN, type TransferOptions } from "../../schema/job.ts";
import type { Limits } from "../connectors/connector.ts";

export const MEBIBYTE = 1_048_576;
/** One block is read and hashed while all streams send. A second one was no quicker. */
export const READ_AHEAD_BUFFERS = 1;
/** What one memory can hold at all: four gigabytes, and a little of that is not for buffers. */
const ADDRESSABLE_BYTES = 4_032 * MEBIBYTE;
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

export interface PlanFacts {
  /** Of the entries to be moved. */
  readonly largestBytes: number;
  /** What all buffers together may take. */
  readonly memoryBytes: number;
  /** What an earlier start has chosen: what it sent was cut so. Null = nothing was sent yet. */
  readonly blockBytes: number | null;
}

/**
 * The block size asked for, raised where the largest file would need too many blocks, lowered where the memory does not
 * suffice; when it cannot be lowered, there are fewer streams.
 */
export function makePlan(
  options: Pick<TransferOptions, "concurrency" | "chunkSizeMiB">,
  limits: Limits,
  { largestBytes, memoryBytes, blockBytes: given }: PlanFacts,
): Plan {
  const needed = roundUp(largestBytes / Math.max(1, limits.blockCountMax - BLOCK_COUNT_MARGIN), MEBIBYTE);
  const asked = Math.min(limits.blockBytesMax, Math.max(options.chunkSizeMiB * MEBIBYTE, needed));
  const share = memoryBytes / (options.concurrency + READ_AHEAD_BUFFERS);
  const affordable = share >= MEBIBYTE ? share - (share % MEBIBYTE) : share;
  const chosen = Math.max(Math.min(asked, affordable), Math.min(needed, limits.blockBytesMax));
  const blockBytes = given ?? Math.max(1, Math.floor(chosen));
  const streams = Math.max(
    CONCURRENCY_MIN,
    Math.min(options.concurrency, Math.floor(memoryBytes / blockBytes) - READ_AHEAD_BUFFERS),
  );
  // A file beyond 25 TiB needs blocks so large that one is enough to hold, whatever was asked for.
  const buffersMax = Math.max(1, Math.floor(ADDRESSABLE_BYTES / blockBytes));
  return {
    streams,
    buffers: Math.min(streams + READ_AHEAD_BUFFERS, buffersMax),
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
