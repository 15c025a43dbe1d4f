/**
 * What the engine asks of a source and of a destination. The obligations are in prose here, and as tests in
 * `contract.ts`, which every connector passes.
 *
 * A connector does one thing once and classifies what went wrong as a {@link TransferError}; only the engine's retry loop
 * tries again, and only the engine paces. Differences between services are data ({@link Limits}).
 */
import type { Grant } from "../../schema/connector.ts";
import type { FileFailureCode, JobErrorCode } from "../../schema/errors.ts";
import type { AccessTier } from "../../schema/job.ts";
import type { ChecksumKind } from "../digests.ts";
import type { Pace } from "../transport.ts";

/** A file of the source. `path` is relative to the source's root, with `/` between its segments. */
export interface Entry {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Which file it was when it was listed, in whatever words the source knows it by; null where it has none. */
  readonly identity: string | null;
}

/** What a source's listing holds besides files to move. */
export type Listed =
  | { readonly kind: "file"; readonly entry: Entry }
  | { readonly kind: "skipped"; readonly path: string; readonly code: "link" | "special" }
  | {
      readonly kind: "failed";
      readonly path: string;
      readonly code: FileFailureCode;
      readonly message: string;
      /** 0 where nobody could find out. */
      readonly sizeBytes: number;
    };

export interface ListedPage {
  readonly items: readonly Listed[];
  /** Hand it back to go on behind this page. Null after the last one. */
  readonly cursor: string | null;
}

export interface Source {
  /**
   * Lists everything below the root, once each, in ordinal order of the paths (as `<` compares strings), in bounded memory,
   * giving way to the event loop. A page holds at most {@link LISTED_PAGE_ITEMS_MAX} items. The last page, and only it, has
   * no cursor. Throws a job-wide error when the root is unusable.
   */
  list(options: { cursor: string | null; signal: AbortSignal }): AsyncIterable<ListedPage>;
  /**
   * Reads a small entry in one go into `into`, and makes sure that it was the same before and after. Null when it is larger
   * than `into` by now. Throws `source_vanished`, `source_denied`, `source_unreadable`, `source_locked`, `source_changing`.
   * Answers without a promise where the source is quick enough to be asked that way.
   */
  readWhole(
    entry: Entry,
    into: Uint8Array,
    signal: AbortSignal,
  ): WholeRead | null | Promise<WholeRead | null>;
  /**
   * Where an entry lies for a system call, so that it can be read beside this thread as long as it is, by its identity, what
   * was listed. Null where only the source itself can read it.
   */
  locate(entry: Entry): Located | null;
  /** Opens an entry for one read from front to end. Throws what `readWhole` throws. */
  open(entry: Entry, signal: AbortSignal): Promise<Reading>;
  /** Where its files wait before they are removed for good; null where none can be removed. */
  readonly quarantine?: Quarantine | null;
}

export const LISTED_PAGE_ITEMS_MAX = 1_000;

/** A small file that may be read by its path. */
export interface Located {
  /** In the system's own form. */
  readonly path: string;
  /** What was written to after this, by the clock of its file system, has to be looked at closely. */
  readonly freshSinceMs: number;
}

/** An entry that was read whole: as it was before, while and after. */
export interface WholeRead {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Which version of which file was read, in the source's words; null where it cannot tell one from another. */
  readonly version: string | null;
}

/** One pass over one entry. */
export interface Reading {
  /** The entry as it was when it was opened; it may have changed since it was listed. */
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** As of {@link WholeRead}. */
  readonly version: string | null;
  /**
   * Fills `into` with the next bytes: all of it, unless the entry ends at `sizeBytes`; 0 there. Throws `source_changing`
   * when the entry ends before `sizeBytes`.
   */
  next(into: Uint8Array, signal: AbortSignal): Promise<number>;
  /** Asked after the last byte: true if what was read is the entry as it was when opened, no more and no less. */
  unchanged(signal: AbortSignal): Promise<boolean>;
  close(): void;
}

/**
 * Where files of the source are moved to, by one rename, before they are gone for good. Calls without a promise are quick,
 * so that nothing of ours comes between a look and a move. What goes wrong with the folder itself is a `DiskError`.
 */
export interface Quarantine {
  /** What lies at an entry's place, compared with the version that was read. Changes nothing. */
  look(path: string, version: string): Lying;
  /** The SHA-256 of what lies there now. Throws what `open` of a source throws. */
  digest(path: string, signal: AbortSignal): Promise<string>;
  /** The folder of one job, made if it is not there. */
  open(jobId: string): QuarantineFolder;
  /** Removes a folder of the source if it is empty, and no link leads to it. Never the root. */
  removeEmptyFolder(path: string): void;
}

export type Lying =
  | { readonly kind: "nothing" }
  | { readonly kind: "unreadable" }
  | {
      readonly kind: "something";
      /** A regular file, and no link. */
      readonly isFile: boolean;
      /** No link leads to it, from the root on. */
      readonly isInside: boolean;
      /** On the volume of the quarantine. */
      readonly isOnVolume: boolean;
      /** How many names it has; null where the system does not tell. */
      readonly links: number | null;
      readonly sizeBytes: number;
      readonly modifiedMs: number;
      /** `same`: the version that was read, and nobody has touched it since. */
      readonly identity: "same" | "other" | "unknown";
    };

/** A line of the undo list: all that is needed to bring one file back by hand. */
export interface UndoNote {
  /** In the folder of the quarantine. */
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly sha256: string;
  /** What the destination calls it. */
  readonly blob: string;
  /** The path under which it was stored. */
  readonly storedAs: string;
  readonly etag: string;
  readonly version: string;
  readonly movedAt: string;
  readonly purgeAfter: string;
}

/** Why a file did not get into the quarantine. */
export type TakeFailure =
  | "source_vanished"
  | "source_denied"
  | "source_locked"
  | "source_unreadable"
  | "other_volume";

/**
 * What became of a move.
 * - `removed`: the version that was read lies in the quarantine.
 * - `back`: nothing lies in the quarantine; at the old place is what was there.
 * - `kept`: something else than that version lies in the quarantine, and cannot go back without replacing what is there.
 * - `gone`: at neither place.
 */
export type Settled = "removed" | "back" | "kept" | "gone";

export interface QuarantineFolder {
  /** Adds to the undo list; durable when it returns. */
  note(notes: readonly UndoNote[]): void;
  /** Moves what lies at an entry's place. Null when that was done. */
  take(path: string, name: string): TakeFailure | null;
  /** Makes the moves so far durable. */
  sync(): void;
  /** Looks at both places, and brings back what is not the version that was read. Also after a crash. */
  settle(path: string, name: string, version: string): Settled;
  /** Brings it back whatever it is. */
  putBack(path: string, name: string): Exclude<Settled, "removed">;
  digest(name: string, signal: AbortSignal): Promise<string>;
  /** Removes for good what is due, and says how far it came. */
  purge(options: PurgeOptions): Promise<PurgeEnd>;
  /** Puts the undo list aside, as a record: nothing that it names is here any more. */
  closeList(nowMs: number): void;
}

export interface PurgeOptions {
  readonly nowMs: number;
  /** Asked before each file: false, and no more are removed. */
  readonly mayGoOn: () => boolean;
  /** Whether the destination still holds what was proved. */
  readonly confirm: (note: UndoNote) => Promise<boolean>;
  /** Told of each note in the list, in its order. */
  readonly onSettled: (note: UndoNote, purged: Purged) => void | Promise<void>;
  readonly signal: AbortSignal;
}

/** `interrupted` by `mayGoOn`; else whether anything is left. */
export type PurgeEnd = "interrupted" | "left" | "empty";

/**
 * `purged`: gone for good. `absent`: it was not there. `not_due`: later. `unconfirmed`: the destination does not hold it any
 * more. `changed`: it is not what was moved. `failed`: the system refused.
 */
export type Purged = "purged" | "absent" | "not_due" | "unconfirmed" | "changed" | "failed";

/** A body in memory. */
export interface Body {
  readonly bytes: Uint8Array;
  /** Bytes right in front of `bytes`, in its own buffer, that may be overwritten on the way out. */
  readonly headroomBytes: number;
  /** Of `bytes`; the service checks it on arrival. */
  readonly checksum: Checksum;
}

export interface Checksum {
  readonly kind: ChecksumKind;
  readonly value: Uint8Array;
}

/** What a destination can hold. */
export interface Limits {
  readonly blockBytesMax: number;
  readonly blockCountMax: number;
  /** An entry up to this size may go in one request. */
  readonly wholeBytesMax: number;
}

/** How a committed entry is described at the destination. */
export interface EntryMetadata {
  readonly sha256: string;
  readonly modifiedMs: number;
  readonly tier: AccessTier;
  readonly contentType: string;
}

/** What a destination calls an entry. `mapped`: not by its path as it is, because the destination cannot hold that. */
export type Named =
  | { readonly kind: "named"; readonly name: string; readonly mapped: boolean }
  | { readonly kind: "refused"; readonly reason: string };

/** What may be there already: nothing, or exactly the version with this tag. */
export type Condition = { readonly kind: "absent" } | { readonly kind: "matches"; readonly etag: string };

/** What the destination says it holds under a path. */
export interface Held {
  readonly path: string;
  readonly sizeBytes: number;
  readonly etag: string;
  /** Null when it was not written by us. */
  readonly sha256: string | null;
  readonly modifiedMs: number | null;
  /** It is in a tier from which it can neither be read nor replaced. */
  readonly archived: boolean;
  /** Who replaces or removes it before this time may be charged for that; absent where nobody is, or nobody knows. */
  readonly feeUntilMs?: number;
}

export interface HeldPage {
  readonly items: readonly Held[];
  /** For the page behind this one. Null after the last one. */
  readonly cursor: string | null;
}

export interface HeldBlock {
  readonly id: string;
  readonly sizeBytes: number;
}

/** What a call is given besides its arguments. */
export interface CallOptions {
  readonly signal: AbortSignal;
  /** Lets bodies through; null = as fast as it goes. */
  readonly pace: Pace | null;
}

export interface Destination {
  readonly limits: Limits;
  /** Which checksum its service checks at the least cost. May change until the first answer came. */
  readonly checksumKind: ChecksumKind;
  /**
   * Gets what calls need beforehand, such as a credential. May wait long where a call may not: no limit runs, and nothing
   * is counted. Asked before each call; answers without a promise when all is there.
   */
  ready(signal: AbortSignal): void | Promise<void>;
  /** What the destination calls a path, for good; or why it cannot hold it. No two paths have one name. */
  name(path: string): Named;
  /**
   * What is there now, page by page, in ordinal order of the paths. A page may be empty and yet have a cursor. What is
   * named otherwise than its path stands under its name's place in the order.
   */
  page(cursor: string | null, signal: AbortSignal): Promise<HeldPage>;
  /** One path, or null. */
  find(path: string, signal: AbortSignal): Promise<Held | null>;
  /** Writes a whole entry in one request. */
  writeWhole(
    path: string,
    body: Body,
    metadata: EntryMetadata,
    condition: Condition,
    options: CallOptions,
  ): Promise<{ etag: string }>;
  /** Writes one block; twice is once. */
  writeBlock(path: string, id: string, body: Body, options: CallOptions): Promise<void>;
  /** The blocks that wait for a commit, those of other attempts too. */
  stagedBlocks(path: string, signal: AbortSignal): Promise<readonly HeldBlock[]>;
  /** The blocks the committed entry is made of, in order, with its tag. Null when the service does not tell (archived). */
  committedBlocks(
    path: string,
    signal: AbortSignal,
  ): Promise<{ readonly etag: string; readonly blocks: readonly HeldBlock[] } | null>;
  /** Makes the blocks visible as one entry, whole or not at all. */
  commit(
    path: string,
    blockIds: readonly string[],
    metadata: EntryMetadata,
    condition: Condition,
    signal: AbortSignal,
  ): Promise<{ etag: string }>;
  /** Reads back a run of an entry's bytes, of the version with this tag and no other, into `into`. */
  read(
    path: string,
    range: { readonly etag: string; readonly fromBytes: number; readonly into: Uint8Array },
    options: CallOptions,
  ): Promise<void>;
  /** Moves the version with this tag to a tier. Its tag stays. */
  setTier(path: string, tier: AccessTier, etag: string, signal: AbortSignal): Promise<void>;
  /** Removes the version with this tag, so that what cannot be replaced can be written anew. */
  remove(path: string, etag: string, signal: AbortSignal): Promise<void>;
}

/**
 * Where a connector gets its credential. Waits for as long as the control plane cannot be reached; throws a job-wide
 * {@link TransferError} when it refuses.
 */
export interface GrantProvider {
  /** A grant that is good for some minutes yet; renewed at half its life. Without a promise when there is one. */
  current(signal: AbortSignal): Grant | Promise<Grant>;
  /** The service refused `stale`: get another. When that happened already, the one that is current. */
  replace(stale: Grant, signal: AbortSignal): Promise<Grant>;
}

/**
 * What to do about a failed call.
 * - `never`: it will not get better.
 * - `backoff`: try again after a while; `afterMs` is what the service asked for.
 * - `throttled`: the same, and every stream of this service waits.
 * - `new_grant`: with another credential, at once.
 */
export type RetryAdvice =
  | { readonly kind: "never" }
  | { readonly kind: "backoff"; readonly afterMs: number | null }
  | { readonly kind: "throttled"; readonly afterMs: number | null }
  | { readonly kind: "new_grant" };

/** Whose trouble a failure is. */
export type TransferProblem =
  | { readonly scope: "file"; readonly code: FileFailureCode }
  | { readonly scope: "job"; readonly code: JobErrorCode }
  /** The condition of a write did not hold: somebody else's version is there. */
  | { readonly scope: "condition" }
  /** Blocks named in a commit are not there any more. */
  | { readonly scope: "blocks" };

/** An expected failure, classified where it was seen. */
export class TransferError extends Error {
  override readonly name = "TransferError";
  readonly problem: TransferProblem;
  readonly retry: RetryAdvice;
  constructor(problem: TransferProblem, message: string, options: { retry: RetryAdvice; cause?: unknown }) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.problem = problem;
    this.retry = options.retry;
  }
}
