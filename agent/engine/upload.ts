/**
 * Moves one entry: one read from front to end, every byte hashed from the very buffer that is sent, and the buffer kept
 * until the destination accepted it.
 *
 * A file of one block goes in one request. A larger one is cut into blocks that are sent in parallel while the reader
 * goes on, and becomes visible by its commit, whole or not at all. After a crash the file is read from its front again,
 * for its SHA-256; blocks that the destination says it holds, that are of our attempt and whose MD5 is the one just
 * read, are not sent again.
 */
import type { JobConfig } from "../../schema/job.ts";
import {
  type Condition,
  type Destination,
  type Entry,
  type Held,
  type Reading,
  type Source,
  TransferError,
} from "../connectors/connector.ts";
import type { Hash, Platform } from "../platform.ts";
import { ATTEMPT_BYTES, blockId, blockIndex } from "./block-id.ts";
import { type BufferPool, Slots } from "./buffers.ts";
import { contentTypeOf } from "./content-type.ts";
import type { Control } from "./control.ts";
import { destinationExists, judgeHeld } from "./existing.ts";
import type { Journal, Outcome } from "./journal.ts";
import type { EntryRow } from "./journal-schema.ts";
import { blockCount, blockSize, type Plan } from "./plan.ts";
import type { Retry } from "./retry.ts";
import type { Speed } from "./speed.ts";

/** How often a file that changes under our hands is read again, and how long we wait before. */
export const READS_MAX = 3;
const CHANGED_DELAY_MS = 2_000;
/** Hashing a block at one go would keep the loop from everything else. */
const PIECE_BYTES = 1_048_576;
/** More open large files help nobody: each is read from its front again after a crash, and a disk reads one best. */
const LARGE_FILES_MAX = 4;

export interface UploadInput {
  readonly config: JobConfig;
  readonly source: Source;
  readonly destination: Destination;
  readonly platform: Platform;
  readonly journal: Journal;
  readonly control: Control;
  readonly retry: Retry;
  readonly plan: Plan;
  readonly buffers: BufferPool;
  readonly speed: Speed;
}

/** Where an entry ended, and the body bytes accepted for it that the journal does not count yet. */
export interface Moved {
  readonly outcome: Outcome;
  readonly sentBytes: number;
}

export class Uploader {
  readonly #input: UploadInput;
  /** Requests with a body. */
  readonly #streams: Slots;
  readonly #largeFiles = new Slots(LARGE_FILES_MAX);
  /** Accepted bytes of large files whose end is not in the journal yet; who puts it there removes them. */
  readonly accepted = new Map<string, number>();

  constructor(input: UploadInput) {
    this.#input = input;
    this.#streams = new Slots(input.plan.streams);
  }

  /**
   * `doubtful` says that an earlier run may have sent this entry without our knowing. Throws what is not this file's
   * trouble alone.
   */
  async move(row: EntryRow, options: { readonly doubtful: boolean }): Promise<Moved> {
    let current = row;
    for (let reads = 1; ; reads++) {
      try {
        return await this.#moveOnce(current, options.doubtful);
      } catch (error) {
        if (!(error instanceof TransferError) || error.problem.scope === "job") throw error;
        const changed = error.problem.scope === "file" && error.problem.code === "source_changing";
        const blocksLost = error.problem.scope === "blocks";
        if (reads === READS_MAX || (!changed && !blocksLost))
          return { outcome: failureOf(error, row.path), sentBytes: 0 };
        await this.#input.control.attempt(this.#input.control.stopped, (signal) =>
          this.#input.platform.clock.sleep(CHANGED_DELAY_MS * 4 ** (reads - 1), signal),
        );
        current = this.#input.journal.entry(row.path) ?? row;
        // What was read before the change must not be mixed with what is read after it.
        if (changed) current = { ...current, attempt: null };
        this.accepted.delete(row.path);
      }
    }
  }

  async #moveOnce(listed: EntryRow, doubtful: boolean): Promise<Moved> {
    const { source, journal, control, plan, config } = this.#input;
    const reading = await control.attempt(control.stopped, (signal) => source.open(listed, signal));
    try {
      const row = { ...listed, sizeBytes: reading.sizeBytes, modifiedMs: reading.modifiedMs };
      if (row.sizeBytes !== listed.sizeBytes || row.modifiedMs !== listed.modifiedMs) {
        await journal.resize(row.path, row.sizeBytes, row.modifiedMs);
      }
      const now = doubtful ? await this.#find(row.path) : row.held;
      const decision = judgeHeld(row, now, config.options);
      switch (decision.kind) {
        case "refuse":
          throw destinationExists(row.path);
        case "skip":
          return { outcome: skipped(decision.held.sha256, decision.held.etag), sentBytes: 0 };
        case "compare": {
          if ((await this.#digest(reading, row)) !== decision.sha256) throw destinationExists(row.path);
          if (decision.whose === "theirs")
            return { outcome: skipped(decision.sha256, decision.held.etag), sentBytes: 0 };
          return { outcome: this.#done(decision.sha256, decision.held.etag), sentBytes: 0 };
        }
        case "write":
          if (row.sizeBytes <= plan.wholeBytesMax)
            return await this.#moveWhole(row, reading, decision.condition);
          return await this.#largeFiles.hold(() => this.#moveBlocks(row, reading, decision.condition));
      }
    } finally {
      reading.close();
    }
  }

  // --- one request -------------------------------------------------------------------------------------------------

  async #moveWhole(row: EntryRow, reading: Reading, condition: Condition): Promise<Moved> {
    const { journal, buffers, platform, destination, retry, control, speed } = this.#input;
    if (row.attempt !== null) await journal.dropAttempt(row.path);
    const buffer = await buffers.acquire();
    try {
      const whole = platform.hash("sha256");
      const check = platform.hash("md5");
      const bytes = await this.#fill(reading, buffer.bytes.subarray(0, row.sizeBytes), [whole, check]);
      await this.#assertUnchanged(reading, row);
      const sha256 = whole.digest().toHex();
      const metadata = { ...this.#metadata(row, sha256), md5: check.digest() };
      return await this.#streams.hold(() =>
        this.#place(row, sha256, condition, async (placed) => {
          let begunMs = 0;
          const { etag } = await retry.call(
            (signal) => {
              begunMs = platform.clock.monotonic();
              return destination.writeWhole(row.path, bytes, metadata, placed, signal);
            },
            { action: "write_whole", bodyBytes: bytes.length, signal: control.stopped },
          );
          speed.record(bytes.length, begunMs);
          return { etag, sentBytes: bytes.length };
        }),
      );
    } finally {
      buffer.release();
    }
  }

  // --- blocks ------------------------------------------------------------------------------------------------------

  async #moveBlocks(listed: EntryRow, reading: Reading, condition: Condition): Promise<Moved> {
    const { plan, destination, retry, control } = this.#input;
    const row = await this.#withAttempt(listed);
    const count = blockCount(row.sizeBytes, row.blockBytes);
    if (count > destination.limits.blockCountMax) throw tooLarge(row, plan);
    const held = listed.attempt === row.attempt ? await this.#heldBlocks(row) : new Map<number, Uint8Array>();
    const sha256 = await this.#sendBlocks(row, reading, held);
    await this.#assertUnchanged(reading, row);
    const ids = Array.from({ length: count }, (_, index) => blockId(row.attempt, index));
    const metadata = { ...this.#metadata(row, sha256), md5: null };
    return await this.#place(row, sha256, condition, async (placed) => {
      const { etag } = await retry.call(
        (signal) => destination.commit(row.path, ids, metadata, placed, signal),
        {
          action: "commit",
          bodyBytes: 0,
          signal: control.stopped,
        },
      );
      return { etag, sentBytes: 0 };
    });
  }

  /** Goes on with the attempt in the journal, if its blocks still fit; else begins one, durably, before anything is sent. */
  async #withAttempt(row: EntryRow): Promise<EntryRow & { readonly attempt: Uint8Array }> {
    const { plan, platform, journal, destination } = this.#input;
    const fits =
      row.blockBytes <= plan.blockBytes &&
      blockCount(row.sizeBytes, row.blockBytes) <= destination.limits.blockCountMax;
    if (row.attempt !== null && fits) return { ...row, attempt: row.attempt };
    const attempt = platform.random.bytes(ATTEMPT_BYTES);
    await journal.beginAttempt(row.path, attempt, plan.blockBytes);
    return { ...row, attempt, blockBytes: plan.blockBytes };
  }

  /** The MD5 of each block that need not be sent: the destination says it has it, and we know what is in it. */
  async #heldBlocks(
    row: EntryRow & { readonly attempt: Uint8Array },
  ): Promise<ReadonlyMap<number, Uint8Array>> {
    const { journal, destination, retry, control } = this.#input;
    const journalled = journal.blocks(row.path);
    const held = new Map<number, Uint8Array>();
    if (journalled.size === 0) return held;
    const staged = await retry.call((signal) => destination.stagedBlocks(row.path, signal), {
      action: "staged_blocks",
      bodyBytes: 0,
      signal: control.stopped,
    });
    for (const block of staged) {
      const index = blockIndex(row.attempt, block.id);
      const md5 = index === null ? undefined : journalled.get(index);
      if (index === null || md5 === undefined) continue;
      if (block.sizeBytes === blockSize(index, row.sizeBytes, row.blockBytes)) held.set(index, md5);
    }
    return held;
  }

  /** Reads and hashes block after block; each is sent when a stream is free. Resolves with the SHA-256 of the whole. */
  async #sendBlocks(
    row: EntryRow & { readonly attempt: Uint8Array },
    reading: Reading,
    held: ReadonlyMap<number, Uint8Array>,
  ): Promise<string> {
    const { platform, buffers } = this.#input;
    const whole = platform.hash("sha256");
    const failing = new AbortController();
    const stopped = () => failing.abort(this.#input.control.stopped.reason);
    this.#input.control.stopped.addEventListener("abort", stopped);
    const sends = new Set<Promise<void>>();
    try {
      // What is held counts from the start, or a resumed job would seem to begin again.
      for (const index of held.keys()) {
        this.#accept(row.path, blockSize(index, row.sizeBytes, row.blockBytes));
      }
      const count = blockCount(row.sizeBytes, row.blockBytes);
      for (let index = 0; index < count; index++) {
        const buffer = await buffers.acquire();
        const block = { index, release: () => buffer.release() };
        try {
          failing.signal.throwIfAborted();
          const check = platform.hash("md5");
          const bytes = await this.#fill(
            reading,
            buffer.bytes.subarray(0, blockSize(index, row.sizeBytes, row.blockBytes)),
            [whole, check],
          );
          const md5 = check.digest();
          const known = held.get(index);
          if (known === undefined) {
            const send = this.#sendBlock(row, { ...block, bytes, md5 }, failing.signal)
              .catch((error: unknown) => failing.abort(error))
              .finally(() => sends.delete(send));
            sends.add(send);
            continue;
          }
          if (known.toHex() !== md5.toHex()) throw sourceChanging(row.path);
        } catch (error) {
          buffer.release();
          throw error;
        }
        buffer.release();
      }
      await Promise.all(sends);
      failing.signal.throwIfAborted();
      return whole.digest().toHex();
    } catch (error) {
      failing.abort(error);
      throw error;
    } finally {
      await Promise.all(sends);
      this.#input.control.stopped.removeEventListener("abort", stopped);
    }
  }

  async #sendBlock(
    row: EntryRow & { readonly attempt: Uint8Array },
    block: {
      readonly index: number;
      readonly bytes: Uint8Array;
      readonly md5: Uint8Array;
      readonly release: () => void;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const { destination, retry, journal, platform, speed } = this.#input;
    const { index, bytes, md5 } = block;
    const sizeBytes = bytes.length;
    try {
      await this.#streams.hold(async () => {
        let begunMs = 0;
        await retry.call(
          (attemptSignal) => {
            begunMs = platform.clock.monotonic();
            return destination.writeBlock(row.path, blockId(row.attempt, index), bytes, md5, attemptSignal);
          },
          { action: "write_block", bodyBytes: sizeBytes, signal },
        );
        block.release();
        speed.record(sizeBytes, begunMs);
        this.#accept(row.path, sizeBytes);
        // The stream stays taken until the block is durable in the journal, so that a crash costs a block per stream.
        await journal.acceptBlock(row.path, index, md5, sizeBytes);
      });
    } finally {
      block.release();
    }
  }

  #accept(path: string, bytes: number): void {
    this.accepted.set(path, (this.accepted.get(path) ?? 0) + bytes);
  }

  // --- what both have in common ------------------------------------------------------------------------------------

  /**
   * Makes the entry visible. When the condition does not hold any more, the answer to an earlier try of ours may have
   * been lost: if what is there is what we have, it is done.
   */
  async #place(
    row: EntryRow,
    sha256: string,
    condition: Condition,
    put: (condition: Condition) => Promise<{ readonly etag: string; readonly sentBytes: number }>,
  ): Promise<Moved> {
    try {
      const { etag, sentBytes } = await put(condition);
      return { outcome: this.#done(sha256, etag), sentBytes };
    } catch (error) {
      if (!(error instanceof TransferError)) throw error;
      if (error.problem.scope !== "condition" && error.problem.scope !== "blocks") throw error;
      const held = await this.#find(row.path);
      if (held !== null && held.sha256 === sha256 && held.sizeBytes === row.sizeBytes) {
        if (row.attempt !== null) await this.#input.journal.dropAttempt(row.path);
        return { outcome: this.#done(sha256, held.etag), sentBytes: 0 };
      }
      if (error.problem.scope === "blocks" || held !== null || condition.kind === "absent") throw error;
      // What was to be replaced is gone.
      const { etag, sentBytes } = await put({ kind: "absent" });
      return { outcome: this.#done(sha256, etag), sentBytes };
    }
  }

  #done(sha256: string, etag: string): Outcome {
    if (this.#input.config.options.verify) return { state: "uploaded", sha256, etag };
    return { state: "completed", sha256, etag, verified: "no" };
  }

  async #find(path: string): Promise<Held | null> {
    const { destination, retry, control } = this.#input;
    return await retry.call((signal) => destination.find(path, signal), {
      action: "find",
      bodyBytes: 0,
      signal: control.stopped,
    });
  }

  async #digest(reading: Reading, row: EntryRow): Promise<string> {
    const buffer = await this.#input.buffers.acquire();
    try {
      const hash = this.#input.platform.hash("sha256");
      for (let left = row.sizeBytes; left > 0;) {
        left -= (
          await this.#fill(reading, buffer.bytes.subarray(0, Math.min(left, buffer.bytes.length)), [hash])
        ).length;
      }
      await this.#assertUnchanged(reading, row);
      return hash.digest().toHex();
    } finally {
      buffer.release();
    }
  }

  /** Reads until `into` is full, and hashes what was read, piece by piece. */
  async #fill(reading: Reading, into: Uint8Array, hashes: readonly Hash[]): Promise<Uint8Array> {
    const { control } = this.#input;
    for (let at = 0; at < into.length; at += PIECE_BYTES) {
      const piece = into.subarray(at, at + PIECE_BYTES);
      await reading.next(piece, control.stopped);
      for (const hash of hashes) hash.update(piece);
      await control.ready();
    }
    return into;
  }

  async #assertUnchanged(reading: Reading, entry: Entry): Promise<void> {
    if (!(await reading.unchanged(this.#input.control.stopped))) throw sourceChanging(entry.path);
  }

  #metadata(row: EntryRow, sha256: string) {
    return {
      sha256,
      modifiedMs: row.modifiedMs,
      tier: this.#input.config.destination.tier,
      contentType: contentTypeOf(row.path),
    };
  }
}

function skipped(sha256: string | null, etag: string): Outcome {
  return { state: "skipped", code: "identical", sha256, etag };
}

function sourceChanging(path: string): TransferError {
  return new TransferError(
    { scope: "file", code: "source_changing" },
    `Cannot move "${path}": it changed while it was read`,
    {
      retry: { kind: "never" },
    },
  );
}

function tooLarge(row: EntryRow, plan: Plan): TransferError {
  const message = `Cannot move "${row.path}": ${row.sizeBytes} bytes are too many blocks of ${plan.blockBytes}`;
  return new TransferError({ scope: "file", code: "too_large" }, message, { retry: { kind: "never" } });
}

/** Throws the error again when it is the whole job's. */
export function failureOf(error: TransferError, path: string): Outcome {
  switch (error.problem.scope) {
    case "file":
      return { state: "failed", code: error.problem.code, message: error.message };
    case "condition":
      return { state: "failed", code: "destination_exists", message: destinationExists(path).message };
    case "blocks":
      return { state: "failed", code: "destination_error", message: error.message };
    case "job":
      throw error;
  }
}
