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

/** A file of the source. `path` is relative to the source's root, with `/` between its segments. */
export interface Entry {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
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
   * Lists everything below the root, once each, in bounded memory, giving way to the event loop. The last page, and only
   * it, has no cursor. Throws a job-wide error when the root is unusable.
   */
  list(options: { cursor: string | null; signal: AbortSignal }): AsyncIterable<ListedPage>;
  /** Opens an entry for one read from front to end. Throws `source_vanished`, `source_denied`, `source_unreadable`. */
  open(entry: Entry, signal: AbortSignal): Promise<Reading>;
}

/** One pass over one entry. */
export interface Reading {
  /** The entry as it was when it was opened; it may have changed since it was listed. */
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /**
   * Fills `into` with the next bytes: all of it, unless the entry ends at `sizeBytes`; 0 there. Throws `source_changing`
   * when the entry ends before `sizeBytes`.
   */
  next(into: Uint8Array, signal: AbortSignal): Promise<number>;
  /** Asked after the last byte: true if what was read is the entry as it was when opened, no more and no less. */
  unchanged(signal: AbortSignal): Promise<boolean>;
  close(): void;
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
  readonly md5: Uint8Array | null;
  readonly modifiedMs: number;
  readonly tier: AccessTier;
  readonly contentType: string;
}

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

export interface Destination {
  readonly limits: Limits;
  /**
   * Gets what calls need beforehand, such as a credential. May wait long where a call may not: no limit runs, and nothing
   * is counted. Asked before each call.
   */
  ready(signal: AbortSignal): Promise<void>;
  /** Reason why this path cannot be stored, or null. */
  refusal(path: string): string | null;
  /** What the destination calls it: for the manifest. No two paths have one name. */
  name(path: string): string;
  /** What is there now, page by page, in ordinal order of the paths. A page may be empty and yet have a cursor. */
  page(cursor: string | null, signal: AbortSignal): Promise<HeldPage>;
  /** One path, or null. */
  find(path: string, signal: AbortSignal): Promise<Held | null>;
  /** Writes a whole entry in one request. `md5` is that of `bytes`, which the service checks. */
  writeWhole(
    path: string,
    bytes: Uint8Array,
    metadata: EntryMetadata & { md5: Uint8Array },
    condition: Condition,
    signal: AbortSignal,
  ): Promise<{ etag: string }>;
  /** Writes one block; twice is once. `md5` is that of `bytes`, which the service checks. */
  writeBlock(
    path: string,
    id: string,
    bytes: Uint8Array,
    md5: Uint8Array,
    signal: AbortSignal,
  ): Promise<void>;
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
}

/**
 * Where a connector gets its credential. Waits for as long as the control plane cannot be reached; throws a job-wide
 * {@link TransferError} when it refuses.
 */
export interface GrantProvider {
  /** A grant that is good for some minutes yet; renewed at half its life. */
  current(signal: AbortSignal): Promise<Grant>;
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
