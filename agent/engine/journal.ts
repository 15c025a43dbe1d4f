/**
 * What happened in one epoch, durable: the only truth about a run.
 *
 * The engine works on {@link Page}s in memory; the journal writes behind, one transaction for all that came in meanwhile,
 * so that thousands of small files do not wait for a disk flush each. Who must not go on before something is durable
 * (a page before its first request) waits for {@link Journal.flush}. {@link Journal.totals} shows only what is durable:
 * whoever is told a number will never be told a smaller one after a crash.
 *
 *     pending ──▶ uploaded ──▶ completed      (`uploaded`: accepted, but not proved yet)
 *        └───────────┴───────▶ failed, skipped
 *
 * A page is claimed, durably, before the first request for one of its entries goes out. So after a crash only entries of
 * claimed pages, a few thousand at most, may be at the destination without our knowing.
 *
 * When the disk is full nothing is lost and nothing fails: the journal says so ({@link Journal.waiting}), tries again, and
 * lets nobody begin anything new meanwhile ({@link Journal.room}).
 */
import {
  FAILURES_KEPT_MAX,
  type FileFailure,
  type JobPreview,
  jobReport,
  type JobReport,
  type JobTotals,
  ZERO_TOTALS,
} from "../../schema/job.ts";
import type { AgentPhase } from "../../schema/protocol.ts";
import { type Entry, type Held, type Listed, LISTED_PAGE_ITEMS_MAX } from "../connectors/connector.ts";
import type { Clock, Platform } from "../platform.ts";
import { JournalError, JournalFile, JournalFull, SCHEMA_VERSION } from "./journal-file.ts";
import { SALT_BYTES } from "./block-id.ts";
import { isFinal, type Listing, type Outcome, Page, readOutcome, writeOutcome } from "./page.ts";

/** As the schema of a failure has it. */
const MESSAGE_LENGTH_MAX = 500;
/** Between two commits lies many times what the last one cost, so that a slow disk takes little of the time, not all. */
const GAP_PER_COST = 24;
export const GAP_MS_MIN = 20;
export const GAP_MS_MAX = 250;
/** More than this in memory only, and nothing new is begun. */
export const CHANGES_WAITING_MAX = 20_000;
export const PAGES_WAITING_MAX = 64;
/** A log longer than this is folded into the pages. */
export const LOG_CHARACTERS_MAX = 1_048_576;
const FULL_RETRY_MS = 5_000;

/** What a scan found, after the filters. */
export type Scanned =
  | Exclude<Listed, { kind: "file" }>
  | {
      readonly kind: "file";
      readonly entry: Entry;
      /** It is stored under another name than its own. */
      readonly isMapped?: boolean;
    }
  | {
      readonly kind: "filtered";
      readonly path: string;
      readonly sizeBytes: number;
      readonly modifiedMs: number;
    };

/** What the pages add up to, kept beside them. */
interface Summary {
  readonly totals: { -readonly [Key in keyof JobTotals]: JobTotals[Key] };
  awaitingFiles: number;
  awaitingBytes: number;
  largestBytes: number;
  failures: number;
  activeMs: number;
  /** The scan of this pass is over. */
  isScanned: boolean;
  /** Null in a journal begun by an agent that did not count it: half a count would be a wrong one. */
  preview: { -readonly [Key in keyof JobPreview]: JobPreview[Key] } | null;
  readonly noted: { -readonly [Key in keyof Noted]: Noted[Key] };
}

/** What is counted for the notes of the report alone. */
export interface Noted {
  /** Of this pass: each pass meets again what is left. */
  readonly archivedLeft: number;
  readonly archivedReplaced: number;
  readonly earlyDeletions: number;
  /** Blobs that were removed because the source has them no more. */
  readonly vanishedRemoved: number;
}

/** A group of blobs that a pass removes because their source is gone. */
export interface VanishedGroup {
  readonly number: number;
  /** It came about behind the pages before this one. */
  readonly page: number;
  /** Before: those that are asked to go. After: those that are gone. */
  readonly blobs: readonly Held[];
  readonly settled: boolean;
}

/** One line of the log: an outcome, or what an entry turned out to be. */
type Change =
  | readonly [page: number, index: number, outcome: ReturnType<typeof writeOutcome>]
  | readonly [page: number, index: number, "facts", sizeBytes: number, modifiedMs: number];

export class Journal {
  readonly #file: JournalFile;
  readonly #clock: Clock;
  readonly #pages = new Map<number, { readonly page: Page; users: number; isDirty: boolean }>();
  /** As it is on the disk. */
  #durable: Readonly<Summary>;
  /** As it is in memory. */
  #summary: Summary;
  #pageCount: number;
  #vanishedCount: number;
  #lastPath: string | null = null;
  #nextPassAtMs: number | null;

  // What the next commit writes.
  #changes: Change[] = [];
  #newPages: Page[] = [];
  #claimed: Page[] = [];
  readonly #facts = new Map<string, string>();
  readonly #removals = new Map<number, string>();
  readonly #vanished = new Map<number, string>();
  #failures: string[] = [];
  #logCharacters = 0;

  #committing = false;
  #flushing: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  #broken: { readonly error: unknown } | null = null;
  #waiting: string | null = null;
  readonly #closing = new AbortController();

  /** Asked at each commit. */
  activeMs: () => number = () => this.#summary.activeMs;
  /** Called after each commit. */
  onCommit: () => void = () => {};
  /** Called when nothing can be written any more. */
  onBroken: (error: unknown) => void = () => {};
  readonly startedAtMs: number;
  /** Random bytes of this epoch, in the name of each block it sends. */
  readonly salt: Uint8Array;

  private constructor(platform: Platform, file: JournalFile) {
    this.#file = file;
    this.#clock = platform.clock;
    const version = file.fact("version");
    if (version === null) {
      file.transaction(() => {
        file.writeFact("version", String(SCHEMA_VERSION));
        file.writeFact("started_at", String(platform.clock.now()));
        file.writeFact("salt", platform.random.bytes(SALT_BYTES).toBase64());
      });
    } else if (version !== String(SCHEMA_VERSION)) {
      throw new JournalError(`Cannot read journal: it is of version ${version}`);
    }
    this.startedAtMs = Number(file.fact("started_at"));
    this.salt = Uint8Array.fromBase64(file.fact("salt") ?? "");
    const summary = file.fact("summary");
    this.#summary = summary === null ? copyOf(NOTHING_YET) : readSummary(summary);
    this.#durable = copyOf(this.#summary);
    this.#pageCount = file.pageCount();
    this.#vanishedCount = file.vanishedCount();
    const nextPassAt = file.fact("next_pass_at");
    this.#nextPassAtMs = nextPassAt === null ? null : Number(nextPassAt);
    this.#foldLog();
  }

  /** Opens what is there, or begins. Throws {@link JournalError} or {@link JournalFull}. */
  static open(platform: Platform, path: string): Journal {
    const file = JournalFile.open(platform, path);
    try {
      return new Journal(platform, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  // --- what is durable ---------------------------------------------------------------------------------------------

  get totals(): JobTotals {
    return this.#durable.totals;
  }
  /** Uploaded, but not proved yet. */
  get awaiting(): { readonly files: number; readonly bytes: number } {
    return { files: this.#durable.awaitingFiles, bytes: this.#durable.awaitingBytes };
  }
  /** Bytes of entries that ended or were sent, but are not in {@link Journal.totals} as such. */
  get aheadBytes(): number {
    const now = this.#summary;
    const shown = this.#durable.totals;
    const ended = ({ bytesCompleted, bytesFailed, bytesSkipped }: JobTotals) =>
      bytesCompleted + bytesFailed + bytesSkipped;
    return ended(now.totals) + now.awaitingBytes - ended(shown);
  }
  get failureCount(): number {
    return this.#durable.failures;
  }
  get workedMs(): number {
    return this.#durable.activeMs;
  }
  /** The size of the largest entry that was listed as to be moved. */
  get largestBytes(): number {
    return this.#durable.largestBytes;
  }
  get scan(): { readonly cursor: string | null; readonly done: boolean } {
    const cursor = this.#file.fact("scan_cursor");
    return {
      cursor: cursor === null ? null : (JSON.parse(cursor) as string),
      done: this.#file.fact("scan_done") !== null,
    };
  }
  /** What the scan of this pass found; null until it is over. */
  get preview(): JobPreview | null {
    return this.#durable.isScanned ? this.#durable.preview : null;
  }
  get noted(): Noted {
    return this.#durable.noted;
  }
  /** The size of the blocks of this pass; null until it was chosen. */
  get blockBytes(): number | null {
    const bytes = this.#file.fact("block_bytes");
    return bytes === null ? null : Number(bytes);
  }
  get phaseTold(): AgentPhase | null {
    return this.#file.fact("phase_told") as AgentPhase | null;
  }
  get failuresTold(): number {
    return Number(this.#file.fact("failures_told") ?? 0);
  }
  /** The report, once there is one. */
  get report(): JobReport | null {
    const text = this.#file.fact("report");
    return text === null ? null : jobReport.parse(JSON.parse(text));
  }
  failures(from: number, countMax: number): readonly FileFailure[] {
    return this.#file.failures(from, countMax).map((text) => JSON.parse(text) as FileFailure);
  }

  // --- pages -------------------------------------------------------------------------------------------------------

  /** Of all passes. */
  get pageCount(): number {
    return this.#pageCount;
  }
  /** The first page of this pass. */
  get firstPage(): number {
    return Number(this.#file.fact("first_page") ?? 0);
  }
  /** Entries without an outcome, as of now. */
  get pendingFiles(): number {
    const { totals, awaitingFiles } = this.#summary;
    return (
      totals.filesTotal - totals.filesCompleted - totals.filesFailed - totals.filesSkipped - awaitingFiles
    );
  }
  /** Entries that wait for their proof, as of now. */
  get awaitingFiles(): number {
    return this.#summary.awaitingFiles;
  }

  /** The first page from `from` on with such entries; null when there is none. */
  nextPage(from: number, what: "pending" | "awaiting"): number | null {
    // What the disk does not know yet is in memory.
    let next = this.#file.nextPage(from, what);
    while (next !== null && this.#pages.get(next)?.page.count()[what] === 0)
      next = this.#file.nextPage(next + 1, what);
    for (const [number, { page }] of this.#pages) {
      if (number >= from && (next === null || number < next) && page.count()[what] > 0) next = number;
    }
    return next;
  }

  /** The page of this number, shared with whoever else has it open. To be given back with {@link Journal.release}. */
  open(number: number): Page {
    const open = this.#pages.get(number);
    if (open !== undefined) {
      open.users++;
      return open.page;
    }
    const page = this.read(number);
    this.#pages.set(number, { page, users: 1, isDirty: false });
    return page;
  }

  /** When the last one gives it back, the page is written and forgotten. */
  release(page: Page): void {
    const open = this.#pages.get(page.number);
    if (open === undefined) return;
    open.users--;
    if (open.users > 0) return;
    if (open.isDirty) this.#schedule();
    else this.#pages.delete(page.number);
  }

  /** A page to look at, as it is now. */
  read(number: number): Page {
    const page = this.#pages.get(number)?.page ?? this.#file.page(number);
    if (page === null) throw new JournalError(`Cannot read journal: page ${number} is not there`);
    return page;
  }

  // --- changes: at once in memory, soon on the disk ----------------------------------------------------------------

  /** Returns a promise when too much waits for the disk; nothing new is to be begun before it resolves. */
  room(): undefined | Promise<void> {
    const isFull = this.#changes.length > CHANGES_WAITING_MAX || this.#newPages.length > PAGES_WAITING_MAX;
    return isFull || this.#broken !== null || this.#waiting !== null ? this.flush() : undefined;
  }

  /** Why nothing can be written just now, or null. */
  get waiting(): string | null {
    return this.#waiting;
  }

  /** A page of the source's listing. */
  addPage(items: readonly Scanned[], cursor: string | null): void {
    const listed = items
      .filter((item) => {
        if (item.kind !== "file") return true;
        // A file that is listed twice is one entry. What is not told by its path may be two of one name.
        const isNew = item.entry.path !== this.#lastPath;
        this.#lastPath = item.entry.path;
        if (isNew && item.isMapped === true && this.#summary.preview !== null) this.#summary.preview.mapped++;
        return isNew;
      })
      .map(listingOf);
    for (let from = 0; from < listed.length; from += LISTED_PAGE_ITEMS_MAX) {
      const listings = listed.slice(from, from + LISTED_PAGE_ITEMS_MAX);
      const page = Page.of(this.#pageCount++, listings);
      for (const listing of listings) this.#countListed(listing);
      this.#newPages.push(page);
    }
    if (cursor === null) {
      this.#facts.set("scan_done", "1");
      this.#summary.isScanned = true;
    } else this.#facts.set("scan_cursor", JSON.stringify(cursor));
    this.#schedule();
  }

  /** Notes what the destination held, and returns once that is durable: from then on requests may go out. */
  claim(page: Page, held: readonly (Held | null)[]): Promise<void> {
    page.held = held;
    this.#claimed.push(page);
    return this.flush();
  }

  /** Ends an entry, or brings it to `uploaded`. `sentBytes` is the body that was accepted for it just now. */
  settle(page: Page, index: number, outcome: Outcome, sentBytes = 0): void {
    const before = page.outcome(index);
    this.#summary.totals.bytesSent += sentBytes;
    if (!isFinal(before)) {
      const sizeBytes = page.sizeBytes(index);
      if (before !== null) this.#await(-1, -sizeBytes);
      else if (replacesArchived(page.held?.[index] ?? null, outcome)) this.#summary.noted.archivedReplaced++;
      page.setOutcome(index, outcome);
      this.#countOutcome(page.path(index), sizeBytes, outcome);
      this.#log(page, [page.number, index, writeOutcome(outcome)]);
    }
    this.#schedule();
  }

  /** A block that was accepted. */
  countSent(bytes: number): void {
    this.#summary.totals.bytesSent += bytes;
    this.#schedule();
  }

  /** A blob was replaced or removed before the least age that its tier charges for. */
  countEarlyDeletion(): void {
    this.#summary.noted.earlyDeletions++;
    this.#schedule();
  }

  /** An entry that changed since it was listed. */
  resize(page: Page, index: number, now: { readonly sizeBytes: number; readonly modifiedMs: number }): void {
    const moreBytes = now.sizeBytes - page.sizeBytes(index);
    page.setFacts(index, now);
    // Totals never fall: what a shrunken file has lost stays in the total, with the skipped bytes.
    if (moreBytes >= 0) this.#summary.totals.bytesTotal += moreBytes;
    else this.#summary.totals.bytesSkipped -= moreBytes;
    if (page.outcome(index)?.state === "uploaded") this.#await(0, moreBytes);
    this.#log(page, [page.number, index, "facts", now.sizeBytes, now.modifiedMs]);
    this.#schedule();
  }

  /** What became of the sources of a page's entries, as it was written last; null while nobody has begun to remove them. */
  removals(page: number): string | null {
    return this.#removals.get(page) ?? this.#file.removals(page);
  }

  /** Replaces what is known of a page's sources, and returns once that is durable. `removed`: files that left since. */
  noteRemovals(page: number, value: string, removed: number): Promise<void> {
    this.#removals.set(page, value);
    this.#summary.totals.filesDeleted += removed;
    return this.flush();
  }

  /** What vanished, group after group, of all passes; those of a pass that was cut off are not settled. */
  *vanishedGroups(): Generator<VanishedGroup, void> {
    for (let number = 0; number < this.#vanishedCount; number++) {
      const text = this.#vanished.get(number) ?? this.#file.vanished(number);
      if (text === null) throw new JournalError(`Cannot read journal: group ${number} is not there`);
      yield { number, ...(JSON.parse(text) as Omit<VanishedGroup, "number">) };
    }
  }

  /** Returns the group once it is durable: from then on these blobs may be gone. */
  async beginVanished(blobs: readonly Held[]): Promise<VanishedGroup> {
    const group = { page: this.#pageCount, blobs, settled: false };
    const number = this.#vanishedCount++;
    this.#vanished.set(number, JSON.stringify(group));
    await this.flush();
    return { number, ...group };
  }

  /** These are gone, and the others are not; `early`: how many of them before the least age that is charged for. */
  settleVanished({ number, page }: VanishedGroup, gone: readonly Held[], early: number): Promise<void> {
    this.#vanished.set(number, JSON.stringify({ page, blobs: gone, settled: true }));
    this.#summary.noted.vanishedRemoved += gone.length;
    this.#summary.noted.earlyDeletions += early;
    return this.flush();
  }

  noteBlockBytes(bytes: number): Promise<void> {
    this.#note("block_bytes", String(bytes));
    return this.flush();
  }
  notePhaseTold(phase: AgentPhase): void {
    this.#note("phase_told", phase);
  }
  noteFailuresTold(count: number): void {
    this.#note("failures_told", String(count));
  }
  /** The number of the pass it is in, from 1. */
  get pass(): number {
    return Number(this.#file.fact("pass") ?? 1);
  }
  /** When the next pass is due, by the wall clock; null while one is going on. */
  get nextPassAtMs(): number | null {
    return this.#nextPassAtMs;
  }
  notePassEnded(nextPassAtMs: number): Promise<void> {
    this.#nextPassAtMs = nextPassAtMs;
    this.#note("next_pass_at", String(nextPassAtMs));
    return this.flush();
  }
  /**
   * A pass begins, with pages of its own; those of the earlier ones stay for the manifest. All of them were given back and so
   * are written: the log says nothing more.
   */
  async beginPass(): Promise<void> {
    await this.flush();
    const pass = this.pass + 1;
    const summary = summaryOfNextPass(this.#summary);
    try {
      this.#file.transaction(() => {
        this.#file.endPass();
        this.#file.writeFact("pass", String(pass));
        this.#file.writeFact("first_page", String(this.#pageCount));
        this.#file.writeFact("summary", JSON.stringify(summary));
      });
    } catch (error) {
      if (!(error instanceof JournalFull)) throw error;
      // There was room a moment ago; the pass begins when there is again.
      await this.#clock.sleep(FULL_RETRY_MS, this.#closing.signal);
      return await this.beginPass();
    }
    this.#nextPassAtMs = null;
    this.#lastPath = null;
    this.#logCharacters = 0;
    this.#summary = summary;
    this.#durable = copyOf(summary);
  }

  /** The run stops without an end; the time it worked is kept. */
  noteStopped(): Promise<void> {
    this.#note("stopped_at", String(this.#clock.now()));
    return this.flush();
  }
  finish(report: JobReport): Promise<void> {
    this.#note("report", JSON.stringify(report));
    return this.flush();
  }

  /** Resolves once all that was said so far is durable. */
  async flush(): Promise<void> {
    if (this.#waiting === null) this.#commit();
    if (this.#broken !== null) throw this.#broken.error;
    if (this.#isClean()) return;
    await new Promise<void>((resolve, reject) => {
      this.#flushing.push({ resolve, reject });
      this.#schedule();
    });
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#break(new JournalError("Cannot write journal: it is closed"));
    this.#file.close();
  }

  // --- commits -----------------------------------------------------------------------------------------------------

  #schedule(): void {
    if (this.#committing || this.#broken !== null) return;
    this.#committing = true;
    void this.#commitLater();
  }

  async #commitLater(): Promise<void> {
    let gapMs = GAP_MS_MIN;
    while (this.#broken === null && !this.#isClean()) {
      try {
        await this.#clock.sleep(this.#waiting === null ? gapMs : FULL_RETRY_MS, this.#closing.signal);
      } catch {
        break;
      }
      const begunMs = this.#clock.monotonic();
      this.#commit();
      const costMs = this.#clock.monotonic() - begunMs;
      gapMs = Math.min(GAP_MS_MAX, Math.max(GAP_MS_MIN, costMs * GAP_PER_COST));
    }
    this.#committing = false;
  }

  /** One transaction for all that waits. */
  #commit(): void {
    if (this.#broken !== null || this.#isClean()) return;
    this.#summary.activeMs = Math.max(this.#summary.activeMs, this.activeMs());
    const log = this.#changes.length === 0 ? null : JSON.stringify(this.#changes);
    const folds = this.#logCharacters + (log?.length ?? 0) > LOG_CHARACTERS_MAX;
    try {
      this.#file.transaction(() => this.#write(log, folds));
    } catch (error) {
      if (error instanceof JournalFull) this.#waiting = error.message;
      else this.#break(error);
      return;
    }
    this.#forgetWritten(log, folds);
    this.onCommit();
    const flushed = this.#flushing;
    this.#flushing = [];
    for (const { resolve } of flushed) resolve();
  }

  #write(log: string | null, folds: boolean): void {
    for (const page of this.#newPages) {
      this.#file.writeListed(page);
      this.#file.writeOutcomes(page);
    }
    for (const page of this.#claimed) this.#file.writeHeld(page);
    for (const { page, users, isDirty } of this.#pages.values()) {
      if (isDirty && (folds || users === 0)) this.#file.writeOutcomes(page);
    }
    if (folds) this.#file.clearLog();
    else if (log !== null) this.#file.appendLog(log);
    for (const [page, value] of this.#removals) this.#file.writeRemovals(page, value);
    for (const [number, value] of this.#vanished) this.#file.writeVanished(number, value);
    const firstFailure = Math.min(this.#summary.failures, FAILURES_KEPT_MAX) - this.#failures.length;
    for (const [index, failure] of this.#failures.entries())
      this.#file.writeFailure(firstFailure + index, failure);
    for (const [key, value] of this.#facts) this.#file.writeFact(key, value);
    this.#file.writeFact("summary", JSON.stringify(this.#summary));
  }

  #forgetWritten(log: string | null, folds: boolean): void {
    this.#logCharacters = folds ? 0 : this.#logCharacters + (log?.length ?? 0);
    this.#changes = [];
    this.#newPages = [];
    this.#claimed = [];
    this.#failures = [];
    this.#removals.clear();
    this.#vanished.clear();
    this.#facts.clear();
    this.#waiting = null;
    this.#durable = copyOf(this.#summary);
    for (const [number, open] of this.#pages) {
      if (folds) open.isDirty = false;
      if (open.users === 0) this.#pages.delete(number);
    }
  }

  #isClean(): boolean {
    if (this.#changes.length > 0 || this.#newPages.length > 0 || this.#claimed.length > 0) return false;
    if (this.#removals.size > 0 || this.#vanished.size > 0) return false;
    const [now, written] = [this.#summary, this.#durable];
    if (this.#facts.size > 0 || now.totals.bytesSent !== written.totals.bytesSent) return false;
    if (now.noted.earlyDeletions !== written.noted.earlyDeletions) return false;
    for (const { users } of this.#pages.values()) if (users === 0) return false;
    return true;
  }

  #break(error: unknown): void {
    if (this.#broken !== null) return;
    this.#broken = { error };
    const flushing = this.#flushing;
    this.#flushing = [];
    for (const { reject } of flushing) reject(error);
    if (!this.#closing.signal.aborted) this.onBroken(error);
  }

  /** What an earlier start wrote to the log goes into the pages it speaks of. */
  #foldLog(): void {
    const rows = this.#file.log();
    if (rows.length === 0) return;
    const pages = new Map<number, Page>();
    for (const row of rows) {
      for (const change of JSON.parse(row) as Change[]) {
        const page = pages.get(change[0]) ?? this.read(change[0]);
        pages.set(page.number, page);
        if (change[2] === "facts") page.setFacts(change[1], { sizeBytes: change[3], modifiedMs: change[4] });
        else page.setOutcome(change[1], readOutcome(change[2]) as Outcome);
      }
    }
    this.#file.transaction(() => {
      for (const page of pages.values()) this.#file.writeOutcomes(page);
      this.#file.clearLog();
    });
  }

  // --- counting ----------------------------------------------------------------------------------------------------

  #log(page: Page, change: Change): void {
    this.#changes.push(change);
    const open = this.#pages.get(page.number);
    if (open !== undefined) open.isDirty = true;
  }

  #note(key: string, value: string): void {
    this.#facts.set(key, value);
    this.#schedule();
  }

  #countListed({ path, sizeBytes, outcome }: Listing): void {
    const { totals } = this.#summary;
    totals.filesTotal++;
    totals.bytesTotal += sizeBytes;
    if (this.#summary.preview !== null) this.#countPreview(this.#summary.preview, outcome, sizeBytes);
    if (outcome !== null) this.#countOutcome(path, sizeBytes, outcome);
    else this.#summary.largestBytes = Math.max(this.#summary.largestBytes, sizeBytes);
  }

  #countPreview(preview: NonNullable<Summary["preview"]>, outcome: Outcome | null, sizeBytes: number): void {
    if (outcome === null) {
      preview.files++;
      preview.bytes += sizeBytes;
    } else if (outcome.state === "skipped") {
      if (outcome.code === "filtered") preview.filtered++;
      else preview[outcome.code === "link" ? "links" : "special"]++;
    } else if (outcome.state === "failed") {
      if (outcome.code === "name_refused") preview.refused++;
      else preview[outcome.code === "too_large" ? "tooLarge" : "unreadable"]++;
    }
  }

  #countOutcome(path: string, sizeBytes: number, outcome: Outcome): void {
    const { totals } = this.#summary;
    switch (outcome.state) {
      case "uploaded":
        return this.#await(1, sizeBytes);
      case "completed":
        totals.filesCompleted++;
        totals.bytesCompleted += sizeBytes;
        if (outcome.proof !== "none") totals.filesVerified++;
        if (outcome.proof === "readback") totals.filesReadBack++;
        return;
      case "skipped":
        totals.filesSkipped++;
        totals.bytesSkipped += sizeBytes;
        if (outcome.code === "archived") this.#summary.noted.archivedLeft++;
        return;
      case "failed":
        totals.filesFailed++;
        totals.bytesFailed += sizeBytes;
        if (this.#summary.failures++ < FAILURES_KEPT_MAX) this.#failures.push(failureText(path, outcome));
        return;
    }
  }

  #await(files: number, bytes: number): void {
    this.#summary.awaitingFiles += files;
    this.#summary.awaitingBytes += bytes;
  }
}

const NOTHING_YET: Readonly<Summary> = {
  totals: ZERO_TOTALS,
  awaitingFiles: 0,
  awaitingBytes: 0,
  largestBytes: 0,
  failures: 0,
  activeMs: 0,
  isScanned: false,
  preview: {
    files: 0,
    bytes: 0,
    mapped: 0,
    filtered: 0,
    links: 0,
    special: 0,
    refused: 0,
    tooLarge: 0,
    unreadable: 0,
  },
  noted: { archivedLeft: 0, archivedReplaced: 0, earlyDeletions: 0, vanishedRemoved: 0 },
};

function copyOf(summary: Readonly<Summary>): Summary {
  const { totals, preview, noted } = summary;
  return {
    ...summary,
    totals: { ...totals },
    preview: preview === null ? null : { ...preview },
    noted: { ...noted },
  };
}

/** It may have been written by an older agent. */
function readSummary(text: string): Summary {
  const read = JSON.parse(text) as Omit<Summary, "isScanned" | "preview" | "noted"> & Partial<Summary>;
  const noted = { ...NOTHING_YET.noted, ...read.noted };
  return { isScanned: false, preview: null, ...read, noted };
}

/**
 * What is left out of every pass is listed as news in the first one only, so its counts stay; what is to be moved, and what
 * cannot be, each pass finds anew.
 */
function summaryOfNextPass(summary: Readonly<Summary>): Summary {
  const next = copyOf(summary);
  const { preview, noted } = next;
  const found = { files: 0, bytes: 0, mapped: 0 };
  return {
    ...next,
    largestBytes: 0,
    isScanned: false,
    preview: preview === null ? null : { ...preview, ...found },
    noted: { ...noted, archivedLeft: 0 },
  };
}

/** Such a blob cannot be written over: when its place holds something new, it was removed for that. */
function replacesArchived(before: Held | null, outcome: Outcome): boolean {
  if (before?.archived !== true) return false;
  const isSent = outcome.state === "uploaded" || outcome.state === "completed";
  return isSent && outcome.as === null;
}

function failureText(path: string, { code, message }: Extract<Outcome, { state: "failed" }>): string {
  const failure: FileFailure = { path, code, message: message.slice(0, MESSAGE_LENGTH_MAX) };
  return JSON.stringify(failure);
}

function listingOf(item: Scanned): Listing {
  switch (item.kind) {
    case "file":
      return { ...item.entry, outcome: null };
    case "filtered":
      return {
        path: item.path,
        sizeBytes: item.sizeBytes,
        modifiedMs: item.modifiedMs,
        identity: null,
        outcome: { state: "skipped", code: "filtered", sha256: null, etag: null },
      };
    case "skipped":
      return {
        path: item.path,
        sizeBytes: 0,
        modifiedMs: 0,
        identity: null,
        outcome: { state: "skipped", code: item.code, sha256: null, etag: null },
      };
    case "failed":
      return {
        path: item.path,
        sizeBytes: item.sizeBytes,
        modifiedMs: 0,
        identity: null,
        outcome: { state: "failed", code: item.code, message: item.message },
      };
  }
}
