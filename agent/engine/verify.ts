/**
 * Asks the destination afresh what it holds, and only then calls an entry completed.
 *
 * Large files are asked about one by one, right after their commit, with the list of their blocks. Small ones would cost
 * a request each; for them a sweep follows the uploads through the destination's listing, 5,000 names a page. Uploads and
 * listing go in one order, so the sweep goes on whenever {@link SWEEP_FILES} more have been sent; while that takes long it
 * looks at what comes next early, now and then, so that `completed` moves while the job runs. What the sweep has
 * missed (an entry under another name, a service that orders names in another way) is asked about one by one at the end.
 *
 * What fails its proof is sent once more, as long as nobody else has written there, and proved again.
 *
 * Entries that are chosen for it are also read back and hashed; and what is to lie in a tier from which it could not be
 * read goes there last, after its proof.
 *
 * Because an entry is counted as completed only here, no count ever falls when a proof fails.
 */
import { type Destination, type Held, TransferError } from "../connectors/connector.ts";
import type { Digests } from "../digests.ts";
import type { Clock } from "../platform.ts";
import type { BufferPool } from "./buffers.ts";
import { type Control, forEachOf } from "./control.ts";
import { destinationExists, find, FINDS_AT_ONCE, isElsewhere, ListingWalk } from "./existing.ts";
import type { Journal } from "./journal.ts";
import type { Line } from "./line.ts";
import type { Outcome, Page } from "./page.ts";
import type { Plan } from "./plan.ts";
import { compareBlocks } from "./proof.ts";
import type { ProofPlan } from "./proof-plan.ts";
import type { Retry } from "./retry.ts";
import { failureOf, type Uploader } from "./upload.ts";

export const LOOK_MS = 2_000;
const LOOK_MS_MAX = 30_000;
/** Looking early must stay a small part of the work. */
const LOOK_COST_FACTOR = 10;
/** The page of the listing on which a sweep stops is asked for again by the next one, so they should not be too short. */
export const SWEEP_FILES = 20_000;
/** When so many had to be sent again, the trouble is not one file's. */
export const SENT_AGAIN_MAX = 10_000;

export interface VerifyInput {
  readonly destination: Destination;
  readonly journal: Journal;
  readonly control: Control;
  readonly retry: Retry;
  readonly clock: Clock;
  readonly plan: Plan;
  readonly digests: Digests;
  readonly buffers: BufferPool;
  readonly line: Line;
  readonly proofPlan: ProofPlan;
  readonly uploader: Pick<Uploader, "sendAgain">;
}

/** How far the uploads are. */
export interface UploadFrontier {
  /** All small entries of the pages before this one have been sent; infinite at the end. */
  readonly pagesBefore: number;
  /** Aborts when all uploads have ended, and that is durable. */
  readonly ended: AbortSignal;
}

type Uploaded = Extract<Outcome, { state: "uploaded" }>;

export class Verifier {
  readonly #input: VerifyInput;
  readonly #walk: ListingWalk;
  /** Entries of the pages before this one were sent when the walk's page of the listing was made. */
  #asOf = 0;
  /** Entries that were sent again since the program started, by page and index. */
  readonly #sentAgain = new Set<string>();

  constructor(input: VerifyInput) {
    this.#input = input;
    this.#walk = new ListingWalk(input);
  }

  /** Follows the uploads until all of them are proved. */
  async follow(frontier: UploadFrontier): Promise<void> {
    const { journal, clock } = this.#input;
    let from = 0;
    let missed = 0;
    let lookMs = LOOK_MS;
    while (!frontier.ended.aborted) {
      const isTime = journal.awaitingFiles - missed >= SWEEP_FILES || (await this.#wait(lookMs, frontier));
      if (!isTime || journal.awaitingFiles === missed) continue;
      const begunMs = clock.monotonic();
      const before = frontier.pagesBefore;
      await this.#sweep(from, before);
      from = before;
      await this.#lookEarly(from);
      missed = journal.awaitingFiles;
      lookMs = Math.min(LOOK_MS_MAX, Math.max(LOOK_MS, (clock.monotonic() - begunMs) * LOOK_COST_FACTOR));
    }
    await this.#sweep(from, Infinity);
    await this.#proveMissed();
  }

  /** Asks about one entry that was just uploaded. */
  async prove(page: Page, index: number): Promise<void> {
    const outcome = page.outcome(index);
    if (outcome?.state !== "uploaded") return;
    const held = await find(this.#input, outcome.as ?? page.path(index));
    // The sweep may have been quicker.
    if (page.outcome(index) !== outcome) return;
    await this.#settle(page, index, outcome, await this.#judge(page, index, outcome, held));
  }

  /** False when the uploads ended first. */
  async #wait(ms: number, frontier: UploadFrontier): Promise<boolean> {
    const { clock, control } = this.#input;
    const woken = new AbortController();
    const wake = () => woken.abort();
    frontier.ended.addEventListener("abort", wake);
    control.stopped.addEventListener("abort", wake);
    try {
      await clock.sleep(ms, woken.signal);
    } catch {
      // The uploads ended, or the run was stopped: both are looked at below.
    } finally {
      frontier.ended.removeEventListener("abort", wake);
      control.stopped.removeEventListener("abort", wake);
    }
    await control.ready();
    return !frontier.ended.aborted;
  }

  /** Walks through pages that are sent whole. */
  async #sweep(from: number, before: number): Promise<void> {
    const { journal, control } = this.#input;
    for (let number = journal.nextPage(from, "awaiting"); number !== null && number < before;) {
      await control.ready();
      const page = journal.open(number);
      try {
        await this.#sweepPage(page, before);
      } finally {
        journal.release(page);
      }
      number = journal.nextPage(number + 1, "awaiting");
    }
  }

  async #sweepPage(page: Page, before: number): Promise<void> {
    const { destination } = this.#input;
    const proofs: Promise<void>[] = [];
    if (this.#asOf <= page.number) await this.#refresh(before);
    for (let index = 0; index < page.length; index++) {
      const outcome = page.outcome(index);
      if (outcome?.state !== "uploaded") continue;
      const path = page.path(index);
      if (outcome.as !== null || isElsewhere(destination, path)) continue;
      let held = this.#walk.look(path);
      while (held === undefined) {
        await this.#walk.next();
        held = this.#walk.look(path);
      }
      // Whatever does not match is asked about by itself, at the end.
      if (held !== null && mismatchOf(page, index, outcome, held) === null)
        this.#settleMatch(page, index, outcome, held, proofs);
      if (proofs.length >= FINDS_AT_ONCE) await Promise.all(proofs.splice(0));
    }
    await Promise.all(proofs);
  }

  async #refresh(before: number): Promise<void> {
    await this.#walk.again();
    this.#asOf = before;
  }

  /** Proves what the page of the listing on which the sweep stopped shows of entries behind it. */
  async #lookEarly(from: number): Promise<void> {
    const { journal, destination } = this.#input;
    await this.#refresh(from);
    const items = new Map(this.#walk.inHand.map((held) => [held.path, held]));
    const last = this.#walk.inHand.at(-1)?.path ?? "";
    for (
      let number = journal.nextPage(from, "awaiting");
      number !== null && journal.read(number).path(0) <= last;
      number = journal.nextPage(number + 1, "awaiting")
    ) {
      const page = journal.open(number);
      try {
        const proofs: Promise<void>[] = [];
        for (let index = 0; index < page.length; index++) {
          const outcome = page.outcome(index);
          if (outcome?.state !== "uploaded") continue;
          if (outcome.as !== null || isElsewhere(destination, page.path(index))) continue;
          const held = items.get(page.path(index)) ?? null;
          if (held !== null && mismatchOf(page, index, outcome, held) === null)
            this.#settleMatch(page, index, outcome, held, proofs);
          if (proofs.length >= FINDS_AT_ONCE) await Promise.all(proofs.splice(0));
        }
        await Promise.all(proofs);
      } finally {
        journal.release(page);
      }
    }
  }

  /** An entry that the listing shows as it was sent. Most need nothing more, and no promise. */
  #settleMatch(page: Page, index: number, outcome: Uploaded, held: Held, proofs: Promise<void>[]): void {
    if (!this.#needsMore(page, index, held)) {
      this.#input.journal.settle(page, index, { ...outcome, state: "completed", proof: "chain" });
      return;
    }
    proofs.push(
      this.#proveFurther(page, index, outcome, "as_planned").then((proved) =>
        this.#settle(page, index, outcome, proved),
      ),
    );
  }

  async #proveMissed(): Promise<void> {
    const { journal } = this.#input;
    for (
      let number = journal.nextPage(0, "awaiting");
      number !== null;
      number = journal.nextPage(number + 1, "awaiting")
    ) {
      const page = journal.open(number);
      try {
        const missed = Array.from(page.paths, (_, index) => index).filter(
          (index) => page.outcome(index)?.state === "uploaded",
        );
        await forEachOf(missed, FINDS_AT_ONCE, (index) => this.prove(page, index));
      } finally {
        journal.release(page);
      }
    }
  }

  async #settle(page: Page, index: number, outcome: Uploaded, proved: Outcome): Promise<void> {
    if (page.outcome(index) !== outcome) return;
    if (proved.state === "failed" && proved.code === "verification_failed")
      return await this.#sendAgain(page, index, outcome, proved);
    this.#input.journal.settle(page, index, proved);
  }

  /** Once: what was damaged by chance arrives the second time, and what fails twice is told as failed. */
  async #sendAgain(page: Page, index: number, outcome: Uploaded, failed: Outcome): Promise<void> {
    const { journal, uploader } = this.#input;
    const key = `${page.number} ${index}`;
    // Sweep and upload may have asked about it at the same time: who came first goes on.
    if (this.#sentAgain.has(key)) return;
    const now = await find(this.#input, page.path(index));
    // What somebody else has put there is not ours to replace.
    const isOurs = outcome.as === null && (now === null || now.etag === outcome.etag);
    if (!isOurs || this.#sentAgain.size >= SENT_AGAIN_MAX) return journal.settle(page, index, failed);
    if (this.#sentAgain.has(key)) return;
    this.#sentAgain.add(key);
    const { outcome: again, sentBytes } = await uploader.sendAgain({ page, index, before: now, now });
    journal.settle(page, index, again, sentBytes);
    if (again.state !== "uploaded") return;
    const held = await find(this.#input, again.as ?? page.path(index));
    journal.settle(page, index, await this.#judge(page, index, again, held));
  }

  // --- the proof of one entry --------------------------------------------------------------------------------------

  async #judge(page: Page, index: number, outcome: Uploaded, held: Held | null): Promise<Outcome> {
    // Written again with what names the same content, by us before a crash, or by somebody else: only reading tells.
    if (held !== null && isWrittenAgain(page, index, outcome, held))
      return await this.#proveFurther(page, index, { ...outcome, etag: held.etag }, "by_reading");
    const mismatch = mismatchOf(page, index, outcome, held);
    if (held === null || mismatch !== null)
      return unconfirmed(page.path(index), mismatch ?? "the destination does not hold it");
    if (!this.#needsMore(page, index, held)) return { ...outcome, state: "completed", proof: "chain" };
    return await this.#proveFurther(page, index, outcome, "as_planned");
  }

  #needsMore(page: Page, index: number, held: Held): boolean {
    const { plan, proofPlan } = this.#input;
    // It neither tells its blocks nor can it be read. If we brought it there, it was proved, and a crash came in between.
    if (held.archived) return false;
    return (
      page.sizeBytes(index) > plan.wholeBytesMax ||
      proofPlan.isReadBack(page, index) ||
      proofPlan.tierAfterProof(page, index) !== null
    );
  }

  async #proveFurther(
    page: Page,
    index: number,
    outcome: Uploaded,
    how: "as_planned" | "by_reading",
  ): Promise<Outcome> {
    try {
      const blocks = page.sizeBytes(index) > this.#input.plan.wholeBytesMax;
      const found = blocks ? await this.#checkBlocks(page, index, outcome) : "ours";
      if (found !== "ours" && found !== "foreign") return unconfirmed(page.path(index), found.mismatch);
      // Blocks of somebody else's with the same result: only reading tells.
      const readBack =
        found === "foreign" || how === "by_reading" || this.#input.proofPlan.isReadBack(page, index);
      if (readBack) {
        const mismatch = await this.#readBack(page, index, outcome);
        if (mismatch !== null && found === "foreign")
          return failureOf(destinationExists(page.path(index)), page.path(index));
        if (mismatch !== null) return unconfirmed(page.path(index), mismatch);
      }
      await this.#moveToTier(page, index, outcome);
      return { ...outcome, state: "completed", proof: readBack ? "readback" : "chain" };
    } catch (error) {
      if (!(error instanceof TransferError)) throw error;
      if (error.problem.scope === "condition")
        return unconfirmed(page.path(index), "it was replaced since it was sent");
      return failureOf(error, page.path(index));
    }
  }

  async #checkBlocks(
    page: Page,
    index: number,
    outcome: Uploaded,
  ): Promise<"ours" | "foreign" | { readonly mismatch: string }> {
    const { destination, retry, control, journal, plan } = this.#input;
    const path = outcome.as ?? page.path(index);
    const committed = await retry.call((signal) => destination.committedBlocks(path, signal), {
      action: "committed_blocks",
      passage: null,
      signal: control.stopped,
    });
    // An archived entry does not tell its blocks; size, tag and metadata were right.
    if (committed === null) return "ours";
    if (committed.etag !== outcome.etag) return { mismatch: "it was replaced since it was sent" };
    const sent = { salt: journal.salt, sizeBytes: page.sizeBytes(index), blockBytes: plan.blockBytes };
    const found = compareBlocks(committed.blocks, sent);
    return found === "wrong" ? { mismatch: "it is not made of the blocks that were sent" } : found;
  }

  /** Reads all of it, in pieces of a block, and compares the SHA-256. Null when it is what was sent. */
  async #readBack(page: Page, index: number, { sha256, etag, as }: Uploaded): Promise<string | null> {
    const { destination, retry, control, buffers, digests, line } = this.#input;
    const path = as ?? page.path(index);
    const sizeBytes = page.sizeBytes(index);
    const whole = digests.openStream();
    const lent = buffers.acquire();
    const buffer = lent instanceof Promise ? await lent : lent;
    try {
      for (let fromBytes = 0; fromBytes < sizeBytes; fromBytes += buffer.bytes.length) {
        const into = buffer.bytes.subarray(0, Math.min(buffer.bytes.length, sizeBytes - fromBytes));
        const passage = line.passage(into.length);
        try {
          await retry.call(
            (signal) => destination.read(path, { etag, fromBytes, into }, { signal, pace: passage }),
            { action: "read", passage, signal: control.stopped },
          );
        } finally {
          passage.end();
        }
        await whole.add(destination.checksumKind, into);
      }
      const found = await whole.finish();
      return found === sha256 ? null : "what was read back has another SHA-256";
    } finally {
      whole.abandon();
      buffer.release();
    }
  }

  async #moveToTier(page: Page, index: number, { etag, as }: Uploaded): Promise<void> {
    const { destination, retry, control, proofPlan } = this.#input;
    const tier = proofPlan.tierAfterProof(page, index);
    if (tier === null) return;
    const path = as ?? page.path(index);
    await retry.call((signal) => destination.setTier(path, tier, etag, signal), {
      action: "set_tier",
      passage: null,
      signal: control.stopped,
    });
  }
}

function unconfirmed(path: string, mismatch: string): Outcome {
  return { state: "failed", code: "verification_failed", message: `Cannot confirm "${path}": ${mismatch}` };
}

function isWrittenAgain(page: Page, index: number, outcome: Uploaded, held: Held): boolean {
  if (held.etag === outcome.etag || held.archived) return false;
  return held.sha256 === outcome.sha256 && held.sizeBytes === page.sizeBytes(index);
}

function mismatchOf(page: Page, index: number, outcome: Uploaded, held: Held | null): string | null {
  if (held === null) return "the destination does not hold it";
  if (held.etag !== outcome.etag) return "it was replaced since it was sent";
  const sizeBytes = page.sizeBytes(index);
  if (held.sizeBytes !== sizeBytes) return `the destination holds ${held.sizeBytes} bytes, not ${sizeBytes}`;
  if (held.sha256 !== outcome.sha256) return "the destination names another SHA-256";
  return null;
}
