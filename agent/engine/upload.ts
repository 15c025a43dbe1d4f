/**
 * Moves one entry: one read from front to end, every byte hashed from the very buffer that is sent, and the buffer kept
 * until the destination accepted it.
 *
 * A file of one block goes in one request. A larger one is cut into blocks that are sent in parallel while the reader
 * goes on, and becomes visible by its commit, whole or not at all. After a crash the file is read from its front again,
 * for its SHA-256; blocks that wait at the destination under the id of what was just read are not sent again.
 */
import type { JobConfig } from "../../schema/job.ts";
import {
  type Body,
  type Condition,
  type Destination,
  type Entry,
  type EntryMetadata,
  type Held,
  type Reading,
  type Source,
  TransferError,
} from "../connectors/connector.ts";
import { type ChecksumKind, type Digests, HEADROOM_BYTES } from "../digests.ts";
import type { Platform } from "../platform.ts";
import { blockId } from "./block-id.ts";
import { type Buffer, type BufferPool, Slots } from "./buffers.ts";
import { contentTypeOf } from "./content-type.ts";
import type { Control } from "./control.ts";
import { type Decision, destinationExists, find, judgeHeld } from "./existing.ts";
import type { Journal } from "./journal.ts";
import type { Line } from "./line.ts";
import type { Outcome, Page, Sent } from "./page.ts";
import { blockCount, blockSize, type Plan } from "./plan.ts";
import type { ProofPlan } from "./proof-plan.ts";
import type { Ready } from "./read-ahead.ts";
import type { Retry } from "./retry.ts";

/** How often a file that changes under our hands is read again, and how long we wait before. */
export const READS_MAX = 3;
const CHANGED_DELAY_MS = 2_000;
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
  readonly digests: Digests;
  readonly buffers: BufferPool;
  readonly line: Line;
  readonly proofPlan: ProofPlan;
  /** How many bodies may be under way at once just now, whatever the streams are. */
  readonly bodiesMax: () => number;
}

/** One entry to be moved. */
export interface Work {
  readonly page: Page;
  readonly index: number;
  /** What was at the destination before the first upload of this epoch. */
  readonly before: Held | null;
  /** What is there now. */
  readonly now: Held | null;
  /** What is there is ours and damaged: it is replaced, whatever the job says of what it finds. */
  readonly isDamaged?: true;
}

/** What is to be stored: what was read, and where it goes. */
interface Placing {
  readonly work: Work;
  readonly sha256: string;
  /** Which version of the source file was read. */
  readonly version: string | null;
  /** The path under which it is stored; its own, unless something archived is in the way. */
  readonly path: string;
}

/** Where an entry ended, and the body bytes accepted for it that the journal does not count yet. */
export interface Moved {
  readonly outcome: Outcome;
  readonly sentBytes: number;
}

/** Blocks of one file that wait at the destination. */
interface Staged {
  readonly ids: ReadonlySet<string>;
  readonly kind: ChecksumKind;
}

export class Uploader {
  readonly #input: UploadInput;
  /** Requests with a body. */
  readonly #streams: Slots;
  readonly #largeFiles = new Slots(() => LARGE_FILES_MAX);
  /** Bytes of blocks that were accepted for files which have no outcome yet. */
  acceptedBytes = 0;

  constructor(input: UploadInput) {
    this.#input = input;
    this.#streams = new Slots(() => Math.min(input.plan.streams, input.bodiesMax()));
  }

  /** What is to be done about an entry, as far as that is known without looking at it. */
  decide(work: Work): Decision {
    return this.#judge(work.page.entry(work.index), work);
  }

  /** `ready` is what was read of it before its turn. Throws what is not this file's trouble alone. */
  async move(work: Work, ready: Ready | null): Promise<Moved> {
    for (let reads = 1; ; reads++) {
      try {
        return ready !== null && reads === 1
          ? await this.#moveReady(work, ready)
          : await this.#moveOnce(work, reads);
      } catch (error) {
        if (!(error instanceof TransferError) || error.problem.scope === "job") throw error;
        if (reads === READS_MAX || !isWorthAnotherRead(error))
          return { outcome: failureOf(error, work.page.path(work.index)), sentBytes: 0 };
        await this.#input.control.attempt(this.#input.control.stopped, (signal) =>
          this.#input.platform.clock.sleep(CHANGED_DELAY_MS * 4 ** (reads - 1), signal),
        );
      }
    }
  }

  /** Replaces what failed its proof with what the source holds. */
  sendAgain(work: Work): Promise<Moved> {
    return this.move({ ...work, isDamaged: true }, null);
  }

  async #moveOnce(work: Work, reads: number): Promise<Moved> {
    const entry = work.page.entry(work.index);
    const decision = this.#judge(entry, work);
    // These two need no look into the file.
    if (decision.kind === "refuse" || decision.kind === "skip" || decision.kind === "leave")
      return this.#endUnwritten(entry, decision, NOTHING_READ);
    if (entry.sizeBytes <= this.#input.plan.wholeBytesMax) {
      const moved = await this.#moveSmall(work, entry);
      if (moved !== null) return moved;
    }
    // What an earlier read or an earlier start has sent need not be sent again.
    const mayBeStaged = work.page.doubtful || reads > 1;
    return await this.#largeFiles.hold(() => this.#moveLarge(work, entry, mayBeStaged));
  }

  // --- one request -------------------------------------------------------------------------------------------------

  async #moveReady(work: Work, ready: Ready): Promise<Moved> {
    const { control } = this.#input;
    if (control.paused) await control.ready();
    const { sha256, version } = ready;
    const entry = work.page.entry(work.index);
    const decision = this.#judge(entry, work);
    if (decision.kind !== "write") return this.#endUnwritten(entry, decision, { sha256, version });
    return await this.#streams.hold(async () => {
      const path = await this.#makeWay(entry, decision, work);
      return await this.#sendWhole({ work, sha256, version, path }, ready, decision.condition);
    });
  }

  /** Null when it has grown too large for one request. */
  async #moveSmall(work: Work, entry: Entry): Promise<Moved | null> {
    const { buffers, digests, source, control, plan, destination } = this.#input;
    if (control.paused) await control.ready();
    const lent = buffers.acquire();
    const buffer = lent instanceof Promise ? await lent : lent;
    try {
      const reading = source.readWhole(entry, buffer.bytes, control.stopped);
      const read = reading instanceof Promise ? await reading : reading;
      if (read === null || read.sizeBytes > plan.wholeBytesMax) return null;
      this.#noteFacts(work, entry, read);
      const bytes = buffer.bytes.subarray(0, read.sizeBytes);
      const sha256 = digests.sha256(bytes);
      const { version } = read;
      const decision = this.#judge({ ...entry, ...read }, work);
      if (decision.kind !== "write") return this.#endUnwritten(entry, decision, { sha256, version });
      return await this.#streams.hold(async () => {
        const path = await this.#makeWay(entry, decision, work);
        const kind = destination.checksumKind;
        const checksum = { kind, value: digests.checksum(kind, bytes) };
        const body: Body = { bytes, headroomBytes: HEADROOM_BYTES, checksum };
        return await this.#sendWhole({ work, sha256, version, path }, body, decision.condition);
      });
    } finally {
      buffer.release();
    }
  }

  async #sendWhole(placing: Placing, body: Body, condition: Condition): Promise<Moved> {
    const { retry, control, destination, line } = this.#input;
    const { path } = placing;
    const { bytes } = body;
    const metadata = this.#metadata(placing);
    return await this.#place(placing, condition, async (placed) => {
      const passage = line.passage(bytes.length);
      try {
        const { etag } = await retry.call(
          (signal) => {
            passage.end();
            return destination.writeWhole(path, body, metadata, placed, { signal, pace: passage });
          },
          { action: "write_whole", passage, signal: control.stopped },
        );
        return { etag, sentBytes: bytes.length };
      } finally {
        passage.end();
      }
    });
  }

  // --- blocks ------------------------------------------------------------------------------------------------------

  async #moveLarge(work: Work, listed: Entry, mayBeStaged: boolean): Promise<Moved> {
    const { source, control, plan, destination } = this.#input;
    const reading = await control.attempt(control.stopped, (signal) => source.open(listed, signal));
    let acceptedBytes = 0;
    const accept = (bytes: number) => {
      acceptedBytes += bytes;
      this.acceptedBytes += bytes;
    };
    try {
      const { sizeBytes, modifiedMs } = reading;
      this.#noteFacts(work, listed, reading);
      const entry = { ...listed, sizeBytes, modifiedMs };
      const decision = this.#judge(entry, work);
      if (decision.kind !== "write") {
        const sha256 = decision.kind === "compare" ? await this.#digest(reading, entry) : "";
        return this.#endUnwritten(entry, decision, { sha256, version: reading.version });
      }
      if (blockCount(sizeBytes, plan.blockBytes) > destination.limits.blockCountMax)
        throw tooLarge(entry, plan);
      const path = await this.#makeWay(entry, decision, work);
      const staged = mayBeStaged ? await this.#stagedBlocks(path) : null;
      const { sha256, ids } = await this.#sendBlocks({ ...entry, path }, reading, staged, accept);
      if (!(await reading.unchanged(control.stopped))) throw sourceChanging(entry.path);
      const placing = { work, sha256, version: reading.version, path };
      return await this.#commit(placing, ids, decision.condition);
    } finally {
      this.acceptedBytes -= acceptedBytes;
      reading.close();
    }
  }

  /** After a crash: what is there under ids that only we could have given. */
  async #stagedBlocks(path: string): Promise<Staged | null> {
    const { destination, retry, control } = this.#input;
    const staged = await retry.call((signal) => destination.stagedBlocks(path, signal), {
      action: "staged_blocks",
      passage: null,
      signal: control.stopped,
    });
    return { ids: new Set(staged.map((block) => block.id)), kind: destination.checksumKind };
  }

  /** Reads and hashes block after block; each is sent when a stream is free. */
  async #sendBlocks(
    entry: Entry,
    reading: Reading,
    staged: Staged | null,
    accept: (bytes: number) => void,
  ): Promise<{ readonly sha256: string; readonly ids: readonly string[] }> {
    const { digests, buffers, control, plan, journal, destination } = this.#input;
    const kind = staged?.kind ?? destination.checksumKind;
    const whole = digests.openStream();
    const failing = new AbortController();
    const stopped = () => failing.abort(control.stopped.reason);
    control.stopped.addEventListener("abort", stopped);
    const sends = new Set<Promise<void>>();
    const ids: string[] = [];
    const send = async (index: number, buffer: Buffer, bytes: Uint8Array) => {
      try {
        const value = await whole.add(kind, bytes);
        const id = (ids[index] = blockId(journal.salt, index, value));
        if (staged?.ids.has(id) === true) return accept(bytes.length);
        const body: Body = { bytes, headroomBytes: HEADROOM_BYTES, checksum: { kind, value } };
        await this.#streams.hold(() => this.#sendBlock(entry.path, id, body, failing.signal));
        accept(bytes.length);
        journal.countSent(bytes.length);
      } catch (error) {
        failing.abort(error);
      } finally {
        buffer.release();
      }
    };
    try {
      const count = blockCount(entry.sizeBytes, plan.blockBytes);
      for (let index = 0; index < count; index++) {
        const lent = buffers.acquire();
        const buffer = lent instanceof Promise ? await lent : lent;
        const bytes = buffer.bytes.subarray(0, blockSize(index, entry.sizeBytes, plan.blockBytes));
        try {
          failing.signal.throwIfAborted();
          if (control.paused) await control.ready();
          const room = journal.room();
          if (room !== undefined) await room;
          await fill(reading, bytes, control.stopped);
        } catch (error) {
          buffer.release();
          throw error;
        }
        const sending: Promise<void> = send(index, buffer, bytes).finally(() => sends.delete(sending));
        sends.add(sending);
      }
      await Promise.all(sends);
      failing.signal.throwIfAborted();
      return { sha256: await whole.finish(), ids };
    } catch (error) {
      failing.abort(error);
      throw error;
    } finally {
      await Promise.all(sends);
      control.stopped.removeEventListener("abort", stopped);
      whole.abandon();
    }
  }

  async #sendBlock(path: string, id: string, body: Body, signal: AbortSignal): Promise<void> {
    const { destination, retry, line } = this.#input;
    const passage = line.passage(body.bytes.length);
    try {
      await retry.call(
        (attemptSignal) => {
          passage.end();
          return destination.writeBlock(path, id, body, { signal: attemptSignal, pace: passage });
        },
        { action: "write_block", passage, signal },
      );
    } finally {
      passage.end();
    }
  }

  async #commit(placing: Placing, ids: readonly string[], condition: Condition): Promise<Moved> {
    const { destination, retry, control } = this.#input;
    const { path } = placing;
    const metadata = this.#metadata(placing);
    return await this.#place(placing, condition, async (placed) => {
      const { etag } = await retry.call((signal) => destination.commit(path, ids, metadata, placed, signal), {
        action: "commit",
        passage: null,
        signal: control.stopped,
      });
      return { etag, sentBytes: 0 };
    });
  }

  // --- what both have in common ------------------------------------------------------------------------------------

  /** An entry that is not any more what was listed. */
  #noteFacts(
    work: Work,
    listed: Entry,
    now: { readonly sizeBytes: number; readonly modifiedMs: number },
  ): void {
    if (now.sizeBytes === listed.sizeBytes && now.modifiedMs === listed.modifiedMs) return;
    this.#input.journal.resize(work.page, work.index, now);
  }

  #judge(entry: Entry, work: Work): Decision {
    if (work.isDamaged === true) {
      const condition: Condition =
        work.now === null ? { kind: "absent" } : { kind: "matches", etag: work.now.etag };
      return { kind: "write", condition, past: null };
    }
    return judgeHeld(entry, work, this.#input.config.options);
  }

  /** `read` is what was read where the decision is to compare. */
  #endUnwritten(
    entry: Entry,
    decision: Exclude<Decision, { kind: "write" }>,
    { sha256, version }: Pick<Placing, "sha256" | "version">,
  ): Moved {
    switch (decision.kind) {
      case "refuse":
        throw destinationExists(entry.path);
      case "skip":
        return { outcome: skipped(decision.held.sha256, decision.held.etag), sentBytes: 0 };
      case "leave":
        return { outcome: { state: "skipped", code: "archived", sha256: null, etag: null }, sentBytes: 0 };
      case "compare": {
        if (sha256 !== decision.sha256) throw destinationExists(entry.path);
        const { etag } = decision.held;
        if (decision.whose === "theirs") return { outcome: skipped(sha256, etag), sentBytes: 0 };
        return { outcome: this.#done({ sha256, etag, as: null, version }), sentBytes: 0 };
      }
    }
  }

  /** Where an entry is stored that is to be written; what must be gone before is removed. */
  async #makeWay(entry: Entry, { past }: Extract<Decision, { kind: "write" }>, work: Work): Promise<string> {
    const { destination, retry, control, journal } = this.#input;
    if (past === null) return entry.path;
    switch (past.rule) {
      case "new_name":
        // The same after a restart, so that it is found there.
        return beside(entry.path, new Date(journal.startedAtMs));
      case "replace":
        try {
          await retry.call((signal) => destination.remove(entry.path, past.etag, signal), {
            action: "remove",
            passage: null,
            signal: control.stopped,
          });
          this.#countFee(work);
        } catch (error) {
          // Gone, or another by now: the condition of the write decides.
          if (!(error instanceof TransferError) || error.problem.scope !== "condition") throw error;
        }
        return entry.path;
    }
  }

  /**
   * Makes the entry visible. When the condition does not hold any more, the answer to an earlier try of ours may have
   * been lost: if what is there is what we have, it is done.
   */
  async #place(
    { work, sha256, version, path }: Placing,
    condition: Condition,
    put: (condition: Condition) => Promise<{ readonly etag: string; readonly sentBytes: number }>,
  ): Promise<Moved> {
    const { page, index } = work;
    const as = path === page.path(index) ? null : path;
    try {
      const { etag, sentBytes } = await put(condition);
      if (condition.kind === "matches") this.#countFee(work);
      return { outcome: this.#done({ sha256, etag, as, version }), sentBytes };
    } catch (error) {
      if (!(error instanceof TransferError)) throw error;
      if (error.problem.scope !== "condition" && error.problem.scope !== "blocks") throw error;
      const held = await find(this.#input, path);
      if (held !== null && held.sha256 === sha256 && held.sizeBytes === page.sizeBytes(index)) {
        if (condition.kind === "matches") this.#countFee(work);
        return { outcome: this.#done({ sha256, etag: held.etag, as, version }), sentBytes: 0 };
      }
      if (error.problem.scope === "blocks" || held !== null || condition.kind === "absent") throw error;
      // What was to be replaced is gone.
      const { etag, sentBytes } = await put({ kind: "absent" });
      return { outcome: this.#done({ sha256, etag, as, version }), sentBytes };
    }
  }

  /** What was at the entry's place is gone. */
  #countFee({ now }: Work): void {
    const { journal, platform } = this.#input;
    if ((now?.feeUntilMs ?? 0) > platform.clock.now()) journal.countEarlyDeletion();
  }

  #done(sent: Sent): Outcome {
    const { verify, deletion } = this.#input.config.options;
    if (!verify) return { ...sent, version: null, state: "completed", proof: "none" };
    // The version is long, and only the removal of the source asks for it.
    return { ...sent, version: deletion === null ? null : sent.version, state: "uploaded" };
  }

  async #digest(reading: Reading, entry: Entry): Promise<string> {
    const { buffers, digests, control, destination } = this.#input;
    const whole = digests.openStream();
    const lent = buffers.acquire();
    const buffer = lent instanceof Promise ? await lent : lent;
    try {
      for (let left = entry.sizeBytes; left > 0;) {
        const bytes = buffer.bytes.subarray(0, Math.min(left, buffer.bytes.length));
        if (control.paused) await control.ready();
        await fill(reading, bytes, control.stopped);
        await whole.add(destination.checksumKind, bytes);
        left -= bytes.length;
      }
      if (!(await reading.unchanged(control.stopped))) throw sourceChanging(entry.path);
      return await whole.finish();
    } finally {
      whole.abandon();
      buffer.release();
    }
  }

  #metadata({ work: { page, index }, sha256 }: Placing): EntryMetadata {
    return {
      sha256,
      modifiedMs: page.modifiedMs(index),
      tier: this.#input.proofPlan.landingTier(page, index),
      contentType: contentTypeOf(page.path(index)),
    };
  }
}

const NOTHING_READ = { sha256: "", version: null };

/** The path of a version beside one that cannot be replaced: `a/plan (2026-11-23 021500).pdf`. */
function beside(path: string, now: Date): string {
  const stamp = now.toISOString().slice(0, 19).replace("T", " ").replaceAll(":", "");
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  const end = dot <= 0 ? path.length : path.length - name.length + dot;
  return `${path.slice(0, end)} (${stamp})${path.slice(end)}`;
}

async function fill(reading: Reading, into: Uint8Array, signal: AbortSignal): Promise<void> {
  for (let filled = 0; filled < into.length;) filled += await reading.next(into.subarray(filled), signal);
}

function isWorthAnotherRead(error: TransferError): boolean {
  if (error.problem.scope === "blocks") return true;
  return error.problem.scope === "file" && error.problem.code === "source_changing";
}

function skipped(sha256: string | null, etag: string): Outcome {
  return { state: "skipped", code: "identical", sha256, etag };
}

function sourceChanging(path: string): TransferError {
  return new TransferError(
    { scope: "file", code: "source_changing" },
    `Cannot move "${path}": it changed while it was read`,
    { retry: { kind: "never" } },
  );
}

function tooLarge(entry: Entry, plan: Plan): TransferError {
  const message = `Cannot move "${entry.path}": ${entry.sizeBytes} bytes are too many blocks of ${plan.blockBytes}`;
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
