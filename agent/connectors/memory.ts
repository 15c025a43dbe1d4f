/**
 * A source and a destination that live in memory and really work: for tests and for the simulator. Every call passes a
 * hook before and after its effect, where a test may throw, wait, look, or never return.
 */
import type { AccessTier } from "../../schema/job.ts";
import type { ChecksumKind } from "../digests.ts";
import {
  type Body,
  type CallOptions,
  type Condition,
  type Destination,
  type Entry,
  type EntryMetadata,
  type Held,
  type HeldBlock,
  type HeldPage,
  type Limits,
  type Listed,
  type ListedPage,
  type Named,
  type Reading,
  type Source,
  TransferError,
  type WholeRead,
} from "./connector.ts";

export type Operation =
  | "list"
  | "open"
  | "read"
  | "page"
  | "find"
  | "write_whole"
  | "write_block"
  | "staged_blocks"
  | "committed_blocks"
  | "commit"
  | "read_back"
  | "set_tier"
  | "remove";

export interface Call {
  readonly operation: Operation;
  readonly when: "before" | "after";
  /** Empty where the call concerns no single entry. */
  readonly path: string;
  /** Of a block. */
  readonly id: string | null;
}

export type Hook = (call: Call, signal: AbortSignal) => void | Promise<void>;

// --- source ------------------------------------------------------------------------------------------------------

interface MemoryFile {
  bytes: Uint8Array;
  modifiedMs: number;
}

export class MemorySource implements Source {
  readonly #files = new Map<string, MemoryFile>();
  readonly #others = new Map<string, Exclude<Listed, { kind: "file" }>>();
  readonly #pageItems: number;
  hook: Hook = () => {};

  constructor(options: { readonly pageItems: number } = { pageItems: 100 }) {
    this.#pageItems = options.pageItems;
  }

  /** Makes a file, or makes another of it. */
  put(path: string, bytes: Uint8Array, modifiedMs = 1_700_000_000_000): void {
    this.#files.set(path, { bytes, modifiedMs });
  }
  remove(path: string): void {
    this.#files.delete(path);
  }
  putOther(item: Exclude<Listed, { kind: "file" }>): void {
    this.#others.set(item.path, item);
  }
  get files(): ReadonlyMap<string, Readonly<MemoryFile>> {
    return this.#files;
  }

  async *list({ cursor, signal }: { cursor: string | null; signal: AbortSignal }): AsyncIterable<ListedPage> {
    for (let from = cursor; ;) {
      await this.hook({ operation: "list", when: "before", path: "", id: null }, signal);
      signal.throwIfAborted();
      const paths = [...this.#files.keys(), ...this.#others.keys()]
        .sort()
        .filter((path) => from === null || path > from);
      const items = paths.slice(0, this.#pageItems).map((path) => this.#listed(path));
      from = paths.length > this.#pageItems ? (paths[this.#pageItems - 1] ?? null) : null;
      yield { items, cursor: from };
      if (from === null) return;
    }
  }

  locate(): null {
    return null;
  }

  async readWhole(entry: Entry, into: Uint8Array, signal: AbortSignal): Promise<WholeRead | null> {
    const reading = await this.open(entry, signal);
    const { sizeBytes, modifiedMs } = reading;
    if (sizeBytes > into.length) return null;
    await reading.next(into.subarray(0, sizeBytes), signal);
    if (!(await reading.unchanged(signal)))
      throw sourceError("source_changing", entry.path, "it changed while it was read");
    return { sizeBytes, modifiedMs, version: null };
  }

  async open(entry: Entry, signal: AbortSignal): Promise<Reading> {
    await this.hook({ operation: "open", when: "before", path: entry.path, id: null }, signal);
    const opened = this.#files.get(entry.path);
    if (opened === undefined) throw sourceError("source_vanished", entry.path, "it is not there");
    let position = 0;
    return {
      sizeBytes: opened.bytes.length,
      modifiedMs: opened.modifiedMs,
      version: null,
      next: async (into, readSignal) => {
        await this.hook({ operation: "read", when: "before", path: entry.path, id: null }, readSignal);
        // As on a disk: who writes into the file writes into what is being read.
        const bytes = this.#files.get(entry.path)?.bytes ?? opened.bytes;
        const wanted = Math.min(into.length, opened.bytes.length - position);
        const piece = bytes.subarray(position, position + wanted);
        if (piece.length < wanted)
          throw sourceError("source_changing", entry.path, "it became shorter while it was read");
        into.set(piece);
        position += wanted;
        return wanted;
      },
      unchanged: () => Promise.resolve(this.#files.get(entry.path) === opened),
      close: () => {},
    };
  }

  #listed(path: string): Listed {
    const other = this.#others.get(path);
    if (other !== undefined) return other;
    const file = this.#files.get(path) as MemoryFile;
    const entry = { path, sizeBytes: file.bytes.length, modifiedMs: file.modifiedMs, identity: null };
    return { kind: "file", entry };
  }
}

function sourceError(code: "source_vanished" | "source_changing", path: string, why: string): TransferError {
  return new TransferError({ scope: "file", code }, `Cannot read "${path}": ${why}`, {
    retry: { kind: "never" },
  });
}

// --- destination -------------------------------------------------------------------------------------------------

export interface MemoryBlob {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly metadata: EntryMetadata | null;
  readonly blocks: readonly HeldBlock[];
  /** As of {@link Held}; what is written by a job has none. */
  readonly feeUntilMs?: number;
}

/** A body that was accepted. */
export interface Accepted {
  readonly path: string;
  /** Null for a whole entry. */
  readonly id: string | null;
}

const PAGE_ITEMS = 10;

export class MemoryDestination implements Destination {
  readonly limits: Limits;
  readonly blobs: Map<string, MemoryBlob>;
  readonly staged: Map<string, Map<string, Uint8Array>>;
  /** Every body that was accepted, in order. */
  readonly accepted: Accepted[];
  readonly #checksum: (kind: ChecksumKind, bytes: Uint8Array) => Uint8Array;
  readonly #tags: { count: number };
  hook: Hook = () => {};
  checksumKind: ChecksumKind = "crc64";

  constructor(options: {
    readonly limits: Limits;
    readonly checksum: (kind: ChecksumKind, bytes: Uint8Array) => Uint8Array;
    /** One that writes to the same place, for somebody else. */
    readonly beside?: MemoryDestination;
  }) {
    const { limits, checksum, beside } = options;
    this.limits = limits;
    this.#checksum = checksum;
    this.blobs = beside?.blobs ?? new Map();
    this.staged = beside?.staged ?? new Map();
    this.accepted = beside?.accepted ?? [];
    this.#tags = beside === undefined ? { count: 0 } : beside.#tags;
  }

  ready(): undefined {
    return undefined;
  }
  /** Refuses U+0001, and has another name for what begins with "~". */
  name(path: string): Named {
    if (path.includes("\u0001"))
      return { kind: "refused", reason: `Cannot store "${path}": its name holds a control character` };
    if (path.startsWith("~")) return { kind: "named", name: `mapped/${path.slice(1)}`, mapped: true };
    return { kind: "named", name: path, mapped: false };
  }

  page(cursor: string | null, signal: AbortSignal): Promise<HeldPage> {
    return this.#call({ operation: "page", path: "", id: null }, signal, () => {
      const paths = [...this.blobs.keys()].sort().filter((path) => cursor === null || path > cursor);
      const items = paths.slice(0, PAGE_ITEMS).map((path) => this.#held(path) as Held);
      return { items, cursor: paths.length > PAGE_ITEMS ? (paths[PAGE_ITEMS - 1] ?? null) : null };
    });
  }

  find(path: string, signal: AbortSignal): Promise<Held | null> {
    return this.#call({ operation: "find", path, id: null }, signal, () => {
      const held = this.#held(this.#key(path));
      return held === null ? null : { ...held, path };
    });
  }

  async writeWhole(
    path: string,
    body: Body,
    metadata: EntryMetadata,
    condition: Condition,
    options: CallOptions,
  ): Promise<{ etag: string }> {
    await pass(body.bytes.length, options);
    return await this.#call({ operation: "write_whole", path, id: null }, options.signal, () => {
      this.#check(body);
      this.#assertCondition(path, condition);
      this.accepted.push({ path, id: null });
      this.staged.delete(path);
      return this.#put(this.#key(path), { bytes: body.bytes.slice(), metadata, blocks: [] });
    });
  }

  async writeBlock(path: string, id: string, body: Body, options: CallOptions): Promise<void> {
    await pass(body.bytes.length, options);
    await this.#call({ operation: "write_block", path, id }, options.signal, () => {
      this.#check(body);
      this.#assertNotArchived(path);
      this.accepted.push({ path, id });
      const staged = this.staged.get(path) ?? new Map<string, Uint8Array>();
      this.staged.set(path, staged.set(id, body.bytes.slice()));
    });
  }

  stagedBlocks(path: string, signal: AbortSignal): Promise<readonly HeldBlock[]> {
    return this.#call({ operation: "staged_blocks", path, id: null }, signal, () =>
      Array.from(this.staged.get(path) ?? [], ([id, bytes]) => ({ id, sizeBytes: bytes.length })),
    );
  }

  committedBlocks(
    path: string,
    signal: AbortSignal,
  ): Promise<{ etag: string; blocks: readonly HeldBlock[] } | null> {
    return this.#call({ operation: "committed_blocks", path, id: null }, signal, () => {
      const blob = this.blobs.get(this.#key(path));
      return blob === undefined || isArchived(blob) ? null : { etag: blob.etag, blocks: blob.blocks };
    });
  }

  commit(
    path: string,
    blockIds: readonly string[],
    metadata: EntryMetadata,
    condition: Condition,
    signal: AbortSignal,
  ): Promise<{ etag: string }> {
    return this.#call({ operation: "commit", path, id: null }, signal, () => {
      this.#assertCondition(path, condition);
      const staged = this.staged.get(path);
      const parts = blockIds.map((id) => staged?.get(id));
      if (!parts.every((part) => part !== undefined)) {
        throw new TransferError({ scope: "blocks" }, `Cannot store "${path}": blocks are missing`, {
          retry: { kind: "never" },
        });
      }
      this.staged.delete(path);
      const blocks = blockIds.map((id, index) => ({ id, sizeBytes: (parts[index] as Uint8Array).length }));
      return this.#put(this.#key(path), { bytes: concat(parts), metadata, blocks });
    });
  }

  async read(
    path: string,
    range: { readonly etag: string; readonly fromBytes: number; readonly into: Uint8Array },
    options: CallOptions,
  ): Promise<void> {
    await pass(range.into.length, options);
    await this.#call({ operation: "read_back", path, id: null }, options.signal, () => {
      const blob = this.#version(path, range.etag);
      this.#assertNotArchived(path);
      range.into.set(blob.bytes.subarray(range.fromBytes, range.fromBytes + range.into.length));
    });
  }

  setTier(path: string, tier: AccessTier, etag: string, signal: AbortSignal): Promise<void> {
    return this.#call({ operation: "set_tier", path, id: null }, signal, () => {
      const blob = this.#version(path, etag);
      if (blob.metadata !== null)
        this.blobs.set(this.#key(path), { ...blob, metadata: { ...blob.metadata, tier } });
    });
  }

  remove(path: string, etag: string, signal: AbortSignal): Promise<void> {
    return this.#call({ operation: "remove", path, id: null }, signal, () => {
      this.#version(path, etag);
      this.blobs.delete(this.#key(path));
    });
  }

  /** Puts something there that is not ours. */
  plant(
    path: string,
    bytes: Uint8Array,
    metadata: EntryMetadata | null = null,
    fee: Pick<MemoryBlob, "feeUntilMs"> = {},
  ): void {
    this.#put(path, { bytes, metadata, blocks: [], ...fee });
  }

  async #call<Result>(call: Omit<Call, "when">, signal: AbortSignal, work: () => Result): Promise<Result> {
    await this.hook({ ...call, when: "before" }, signal);
    signal.throwIfAborted();
    const result = work();
    await this.hook({ ...call, when: "after" }, signal);
    return result;
  }

  #held(path: string): Held | null {
    const blob = this.blobs.get(path);
    if (blob === undefined) return null;
    const { metadata, etag, bytes, feeUntilMs } = blob;
    return {
      path,
      sizeBytes: bytes.length,
      etag,
      sha256: metadata?.sha256 ?? null,
      modifiedMs: metadata?.modifiedMs ?? null,
      archived: isArchived(blob),
      ...(feeUntilMs === undefined ? {} : { feeUntilMs }),
    };
  }

  #key(path: string): string {
    const named = this.name(path);
    return named.kind === "named" ? named.name : path;
  }

  #version(path: string, etag: string): MemoryBlob {
    const blob = this.blobs.get(this.#key(path));
    if (blob?.etag === etag) return blob;
    throw conditionFailed(path);
  }

  #assertNotArchived(path: string): void {
    const blob = this.blobs.get(this.#key(path));
    if (blob === undefined || !isArchived(blob)) return;
    throw new TransferError(
      { scope: "file", code: "destination_error" },
      `Cannot store "${path}": it is archived`,
      { retry: { kind: "never" } },
    );
  }

  #check({ bytes, checksum }: Body): void {
    if (this.#checksum(checksum.kind, bytes).toHex() === checksum.value.toHex()) return;
    throw new TransferError(
      { scope: "file", code: "destination_error" },
      "Cannot store: what arrived is not what was sent",
      {
        retry: { kind: "backoff", afterMs: null },
      },
    );
  }

  #assertCondition(path: string, condition: Condition): void {
    const etag = this.blobs.get(this.#key(path))?.etag;
    const holds = condition.kind === "absent" ? etag === undefined : etag === condition.etag;
    if (!holds) throw conditionFailed(path);
    this.#assertNotArchived(path);
  }

  #put(path: string, blob: Omit<MemoryBlob, "etag">): { etag: string } {
    const etag = `tag-${++this.#tags.count}`;
    this.blobs.set(path, { ...blob, etag });
    return { etag };
  }
}

function isArchived({ metadata }: MemoryBlob): boolean {
  return metadata?.tier === "Archive";
}

function conditionFailed(path: string): TransferError {
  return new TransferError({ scope: "condition" }, `Cannot store "${path}": another version is there`, {
    retry: { kind: "never" },
  });
}

/** A body on its way, in the pieces that the pace lets through. */
async function pass(bytes: number, { pace, signal }: CallOptions): Promise<void> {
  for (let left = bytes; left > 0 && pace !== null;) left -= await pace.take(left, signal);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
