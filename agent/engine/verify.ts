/**
 * Asks the destination afresh what it holds, and only then calls an entry completed.
 *
 * Large files are asked about one by one, right after their commit, with the list of their blocks. Small ones would cost
 * a request each; for them a sweep follows the uploads through the destination's listing, 5,000 names a page. Uploads
 * and listing both go in path order, so the sweep may leave a page for good once every upload on it has ended. It looks
 * at the page it stands on again every {@link SWEEP_MS}, so that `completed` moves while the job runs. What the sweep
 * has missed (an entry that took long, a service that orders names in another way) is asked about one by one at the end.
 *
 * Because an entry is counted as completed only here, no count ever falls when a proof fails.
 */
import type { Destination, Held } from "../connectors/connector.ts";
import type { Clock } from "../platform.ts";
import { blockId } from "./block-id.ts";
import { type Control, forEachOf } from "./control.ts";
import type { Journal, Outcome } from "./journal.ts";
import type { EntryRow } from "./journal-schema.ts";
import { blockCount, blockSize } from "./plan.ts";
import type { Retry } from "./retry.ts";

export const SWEEP_MS = 2_000;
const SWEEP_MS_MAX = 30_000;
/** More missed entries than this are worth another walk through the listing. */
const MISSED_COUNT_MAX = 1_000;
const FINDS_AT_ONCE = 8;

export interface VerifyInput {
  readonly destination: Destination;
  readonly journal: Journal;
  readonly control: Control;
  readonly retry: Retry;
  readonly clock: Clock;
}

/** How far the uploads are. */
export interface UploadFrontier {
  /** All uploads have ended, and that is durable. */
  readonly done: boolean;
  /** No small upload at or before this path will still end; null while nobody knows. */
  before(path: string): boolean;
  /** Resolves when `done` turns true. */
  readonly ended: AbortSignal;
}

export class Verifier {
  readonly #input: VerifyInput;

  constructor(input: VerifyInput) {
    this.#input = input;
  }

  /** Follows the uploads until all of them are proved. */
  async follow(frontier: UploadFrontier): Promise<void> {
    const { journal, clock } = this.#input;
    let cursor: string | null = null;
    for (;;) {
      const done = frontier.done;
      if (done && journal.awaiting.files === 0) return;
      let moved = false;
      const begunMs = clock.monotonic();
      if (journal.awaiting.files > 0) {
        const page = await this.#sweepPage(cursor);
        const last = page.items.at(-1)?.path ?? "";
        if (page.cursor === null && done) break;
        moved = page.cursor !== null && (done || page.items.length === 0 || frontier.before(last));
        if (moved) cursor = page.cursor;
      }
      if (!moved && !frontier.done) await this.#wait(clock.monotonic() - begunMs, frontier);
    }
    if (journal.awaiting.files > MISSED_COUNT_MAX) await this.#sweepAll();
    await this.#proveMissed();
  }

  /** Asks about one entry that was just uploaded. */
  async prove(path: string): Promise<void> {
    const row = this.#input.journal.entry(path);
    if (row?.state === "uploaded") await this.#findAndSettle(row);
  }

  /** A page of a large listing takes long; looking at it again must stay a small part of the work. */
  async #wait(sweptMs: number, frontier: UploadFrontier): Promise<void> {
    const { clock, control } = this.#input;
    const ended = new AbortController();
    const end = () => ended.abort();
    frontier.ended.addEventListener("abort", end);
    control.stopped.addEventListener("abort", end);
    try {
      await clock.sleep(Math.min(SWEEP_MS_MAX, Math.max(SWEEP_MS, sweptMs * 10)), ended.signal);
    } catch {
      // The uploads ended, or the run was stopped: both are looked at below.
    } finally {
      frontier.ended.removeEventListener("abort", end);
      control.stopped.removeEventListener("abort", end);
    }
    await control.ready();
  }

  async #sweepAll(): Promise<void> {
    let cursor: string | null = null;
    do cursor = (await this.#sweepPage(cursor)).cursor;
    while (cursor !== null);
  }

  async #sweepPage(cursor: string | null) {
    const { destination, journal, retry, control } = this.#input;
    const page = await retry.call((signal) => destination.page(cursor, signal), {
      action: "list",
      bodyBytes: 0,
      signal: control.stopped,
    });
    const outcomes = new Map<string, Outcome>();
    for (const held of page.items) {
      const row = journal.entry(held.path);
      if (row?.state !== "uploaded") continue;
      // A page may be older than an upload that ended while it was on its way, and show what that replaced.
      if (mismatchOf(row, held) === null) outcomes.set(row.path, await this.#judge(row, held));
      else await this.#findAndSettle(row);
    }
    await journal.settleAll(outcomes);
    return page;
  }

  async #proveMissed(): Promise<void> {
    const { journal } = this.#input;
    let after = "";
    for (;;) {
      const rows = journal.uploaded(after, MISSED_COUNT_MAX);
      if (rows.length === 0) return;
      await forEachOf(rows, FINDS_AT_ONCE, (row) => this.#findAndSettle(row));
      after = rows.at(-1)?.path ?? after;
    }
  }

  async #findAndSettle(row: EntryRow): Promise<void> {
    const { destination, journal, retry, control } = this.#input;
    const held = await retry.call((signal) => destination.find(row.path, signal), {
      action: "find",
      bodyBytes: 0,
      signal: control.stopped,
    });
    await journal.settle(row.path, await this.#judge(row, held));
  }

  async #judge(row: EntryRow, held: Held | null): Promise<Outcome> {
    const mismatch =
      mismatchOf(row, held) ?? (row.attempt === null ? null : await this.#blockMismatch(row, row.attempt));
    return mismatch === null
      ? { state: "completed", sha256: row.sha256 ?? "", etag: row.etag ?? "", verified: "yes" }
      : {
          state: "failed",
          code: "verification_failed",
          message: `Cannot confirm "${row.path}": ${mismatch}`,
        };
  }

  async #blockMismatch(row: EntryRow, attempt: Uint8Array): Promise<string | null> {
    const { destination, retry, control } = this.#input;
    const committed = await retry.call((signal) => destination.committedBlocks(row.path, signal), {
      action: "committed_blocks",
      bodyBytes: 0,
      signal: control.stopped,
    });
    // An archived entry does not tell its blocks; size, tag and metadata were right.
    if (committed === null) return null;
    if (committed.etag !== row.etag) return "it was replaced since it was sent";
    const count = blockCount(row.sizeBytes, row.blockBytes);
    if (committed.blocks.length !== count)
      return `it is made of ${committed.blocks.length} blocks, not of ${count}`;
    const wrong = committed.blocks.findIndex(
      (block, index) =>
        block.id !== blockId(attempt, index) ||
        block.sizeBytes !== blockSize(index, row.sizeBytes, row.blockBytes),
    );
    return wrong === -1 ? null : `block ${wrong} is not the one that was sent`;
  }
}

function mismatchOf(row: EntryRow, held: Held | null): string | null {
  if (held === null) return "the destination does not hold it";
  if (held.etag !== row.etag) return "it was replaced since it was sent";
  if (held.sizeBytes !== row.sizeBytes)
    return `the destination holds ${held.sizeBytes} bytes, not ${row.sizeBytes}`;
  if (held.sha256 !== row.sha256) return "the destination names another SHA-256";
  return null;
}
