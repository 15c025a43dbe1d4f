/**
 * Compares files with what a manifest says of them: size and SHA-256, of bytes that are read again for it. Hides where the
 * copy lies and which files a sample has; promises that a file is called the same only when every byte of it was read.
 */
import type { ManifestRow } from "../../schema/manifest.ts";
import { backoffMs } from "../backoff.ts";
import { type Destination, type Source, TransferError } from "../connectors/connector.ts";
import type { Platform } from "../platform.ts";
import { type ManifestFacts, ManifestReader } from "./manifest-reader.ts";

/** What is listed by name; all are counted. */
export const FINDINGS_MAX = 1_000;
const READ_BYTES = 4 * 1024 * 1024;
/** Files that are read beside each other: a container answers each after a while, a disk at once. */
const SOURCE_READERS = 2;
const CONTAINER_READERS = 8;
const ATTEMPTS_MAX = 6;
/** Of one request; a line of half a megabit gets a piece through. */
const REQUEST_LIMIT_MS = 150_000;

/** What lies where the manifest says that a file is. */
export type Seen =
  /** Not read further where the size tells already. */
  | {
      readonly kind: "read";
      readonly sizeBytes: number;
      readonly sha256: string | null;
      readonly modifiedMs: number | null;
    }
  | { readonly kind: "missing" }
  | { readonly kind: "unread"; readonly reason: string };

export interface Copy {
  readonly readers: number;
  /** Throws a job-wide {@link TransferError} when there is no sense in going on. */
  read(row: ManifestRow, into: Uint8Array, signal: AbortSignal): Promise<Seen>;
}

export type Finding =
  | {
      readonly kind: "different";
      readonly path: string;
      readonly expected: { readonly sizeBytes: number; readonly sha256: string };
      readonly found: { readonly sizeBytes: number; readonly sha256: string | null };
      /** Its time is another than when it was moved, so somebody wrote to it since; null where nobody knows. */
      readonly isWrittenSince: boolean | null;
    }
  | { readonly kind: "missing"; readonly path: string }
  | { readonly kind: "unread"; readonly path: string; readonly reason: string };

export interface Verification {
  /** `incomplete`: nothing differs, but not all was compared, or nothing was. */
  readonly result: "same" | "different" | "incomplete";
  readonly manifest: ManifestFacts;
  readonly sample: { readonly percent: number; readonly seed: string } | null;
  readonly counts: {
    /** Files that the manifest has a digest of, and what was drawn of them. */
    readonly comparable: number;
    readonly drawn: number;
    readonly same: number;
    readonly sameBytes: number;
    readonly different: number;
    readonly missing: number;
    readonly unread: number;
    /** Lines of files that were not moved, by outcome. */
    readonly notMoved: Readonly<Partial<Record<ManifestRow["outcome"], number>>>;
  };
  readonly isStopped: boolean;
  readonly findings: readonly Finding[];
}

export interface VerifyInput {
  readonly platform: Platform;
  readonly manifest: ManifestReader;
  readonly copy: Copy;
  readonly sample: { readonly percent: number; readonly seed: string } | null;
  /** Told of each file that was compared. */
  readonly onFile: (sizeBytes: number) => void;
  /** Ends it early, with what is known until then. */
  readonly signal: AbortSignal;
}

type Count = Exclude<keyof Verification["counts"], "notMoved">;
/** A line that can be compared. */
type Comparable = ManifestRow & { readonly sha256: string };

export async function verify(input: VerifyInput): Promise<Verification> {
  const { manifest, copy, sample, signal } = input;
  const counts: Record<Count, number> = {
    comparable: 0,
    drawn: 0,
    same: 0,
    sameBytes: 0,
    different: 0,
    missing: 0,
    unread: 0,
  };
  const notMoved: Partial<Record<ManifestRow["outcome"], number>> = {};
  const findings: Finding[] = [];
  const drawn = drawnRows();
  const giveUp = new AbortController();
  const stop = AbortSignal.any([signal, giveUp.signal]);
  const readers = Array.from({ length: copy.readers }, () => compareAll());
  const ended = await Promise.allSettled(readers.map((reader) => reader.catch(fail)));
  const failed = ended.find((one) => one.status === "rejected");
  if (failed !== undefined && !signal.aborted) throw giveUp.signal.reason;
  findings.sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    result: resultOf(counts, signal.aborted),
    manifest: manifest.facts,
    sample,
    counts: { ...counts, notMoved },
    isStopped: signal.aborted,
    findings,
  };

  async function* drawnRows(): AsyncGenerator<Comparable, void> {
    for await (const row of manifest.rows(stop)) {
      if (!isComparable(row)) {
        notMoved[row.outcome] = (notMoved[row.outcome] ?? 0) + 1;
        continue;
      }
      counts.comparable++;
      if (sample !== null && !isDrawn(input.platform, sample, row.path)) continue;
      counts.drawn++;
      yield row;
    }
  }

  async function compareAll(): Promise<void> {
    const into = new Uint8Array(READ_BYTES);
    // Each reader takes the next one; a generator gives them out one after the other.
    for (let next = await drawn.next(); next.done !== true; next = await drawn.next()) {
      stop.throwIfAborted();
      const row = next.value;
      const finding = findingOf(row, await copy.read(row, into, stop));
      input.onFile(row.sizeBytes);
      if (finding === null) {
        counts.same++;
        counts.sameBytes += row.sizeBytes;
        continue;
      }
      counts[finding.kind]++;
      if (findings.length < FINDINGS_MAX) findings.push(finding);
    }
  }

  function fail(error: unknown): never {
    giveUp.abort(error);
    throw error;
  }
}

function resultOf(counts: Readonly<Record<Count, number>>, isStopped: boolean): Verification["result"] {
  if (counts.different > 0 || counts.missing > 0) return "different";
  // Who read nothing has found nothing out.
  return isStopped || counts.unread > 0 || counts.same === 0 ? "incomplete" : "same";
}

function isComparable(row: ManifestRow): row is Comparable {
  return row.sha256 !== null && row.blob !== null && row.outcome !== "removed";
}

/** By lot of seed and path alone, so that a file is drawn again whatever else the manifest has. */
function isDrawn(
  platform: Platform,
  { percent, seed }: { readonly percent: number; readonly seed: string },
  path: string,
): boolean {
  const hash = platform.hash("sha256");
  hash.update(new TextEncoder().encode(`${seed}\0${path}`));
  const lot = Number.parseInt(hash.digest().toHex().slice(0, 12), 16) / 2 ** 48;
  return lot < percent / 100;
}

function findingOf(row: Comparable, seen: Seen): Finding | null {
  const { path, sizeBytes, sha256 } = row;
  switch (seen.kind) {
    case "missing":
      return { kind: "missing", path };
    case "unread":
      return { kind: "unread", path, reason: seen.reason };
    case "read":
      if (seen.sizeBytes === sizeBytes && seen.sha256 === sha256) return null;
      return {
        kind: "different",
        path,
        expected: { sizeBytes, sha256 },
        found: { sizeBytes: seen.sizeBytes, sha256: seen.sha256 },
        isWrittenSince:
          seen.modifiedMs === null || row.modified === null
            ? null
            : seen.modifiedMs !== Date.parse(row.modified),
      };
  }
}

// --- copies ------------------------------------------------------------------------------------------------------

/** The files from which the job read, or another folder of the same shape. */
export function sourceCopy(source: Pick<Source, "open">, platform: Platform): Copy {
  return { readers: SOURCE_READERS, read };

  async function read(row: ManifestRow, into: Uint8Array, signal: AbortSignal): Promise<Seen> {
    // Without an identity the source looks itself whether a link leads to it.
    const entry = { path: row.path, sizeBytes: row.sizeBytes, modifiedMs: Number.NaN, identity: null };
    try {
      const reading = await source.open(entry, signal);
      try {
        const { sizeBytes, modifiedMs } = reading;
        if (sizeBytes !== row.sizeBytes) return { kind: "read", sizeBytes, sha256: null, modifiedMs };
        const hash = platform.hash("sha256");
        for (let at = 0; at < sizeBytes;) {
          const count = await reading.next(into, signal);
          hash.update(into.subarray(0, count));
          at += count;
        }
        if (!(await reading.unchanged(signal)))
          return { kind: "unread", reason: "somebody wrote to it while it was read" };
        return { kind: "read", sizeBytes, sha256: hash.digest().toHex(), modifiedMs };
      } finally {
        reading.close();
      }
    } catch (error) {
      if (!(error instanceof TransferError) || error.problem.scope === "job") throw error;
      if (error.problem.scope === "file" && error.problem.code === "source_vanished")
        return { kind: "missing" };
      return { kind: "unread", reason: reasonIn(error) };
    }
  }
}

/** The blobs of a container, by the names that the manifest has. */
export function containerCopy(container: Pick<Destination, "find" | "read">, platform: Platform): Copy {
  return { readers: CONTAINER_READERS, read };

  async function read(row: ManifestRow, into: Uint8Array, signal: AbortSignal): Promise<Seen> {
    const name = row.blob ?? "";
    try {
      const held = await tryAgain((stop) => container.find(name, stop));
      if (held === null) return { kind: "missing" };
      const { sizeBytes, etag } = held;
      const modifiedMs = null;
      if (sizeBytes !== row.sizeBytes) return { kind: "read", sizeBytes, sha256: null, modifiedMs };
      if (held.archived) return { kind: "unread", reason: "it is in the Archive tier; rehydrate it first" };
      const hash = platform.hash("sha256");
      for (let fromBytes = 0; fromBytes < sizeBytes;) {
        const piece = into.subarray(0, Math.min(into.length, sizeBytes - fromBytes));
        const range = { etag, fromBytes, into: piece };
        await tryAgain((stop) => container.read(name, range, { signal: stop, pace: null }));
        hash.update(piece);
        fromBytes += piece.length;
      }
      return { kind: "read", sizeBytes, sha256: hash.digest().toHex(), modifiedMs };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TransferError) || isForAll(error)) throw error;
      if (error.problem.scope === "condition")
        return { kind: "unread", reason: "somebody replaced it while it was read" };
      return { kind: "unread", reason: reasonIn(error) };
    }

    async function tryAgain<Result>(work: (stop: AbortSignal) => Promise<Result>): Promise<Result> {
      for (let tries = 0; ; tries++) {
        const limit = new AbortController();
        platform.clock.sleep(REQUEST_LIMIT_MS, limit.signal).then(
          () => limit.abort(stalled()),
          () => undefined,
        );
        try {
          return await work(AbortSignal.any([signal, limit.signal]));
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof TransferError) || tries + 1 >= ATTEMPTS_MAX) throw error;
          if (error.retry.kind === "never") throw error;
          // Whoever gives out the credential says that there is no other.
          if (error.retry.kind === "new_grant") continue;
          const delayMs = Math.max(error.retry.afterMs ?? 0, backoffMs(tries, platform.random.next()));
          await platform.clock.sleep(delayMs, signal);
        } finally {
          limit.abort();
        }
      }
    }
  }
}

/** The next file would not fare better. */
function isForAll({ problem, retry }: TransferError): boolean {
  return problem.scope === "job" || retry.kind !== "never";
}

function stalled(): TransferError {
  return new TransferError(
    { scope: "job", code: "DESTINATION_UNREACHABLE" },
    "Cannot go on: the storage service does not answer in time",
    { retry: { kind: "backoff", afterMs: null } },
  );
}

/** Without its path, which stands in front of it already. */
function reasonIn({ message }: TransferError): string {
  return message.replace(/^Cannot [^"]*"[^]*": /, "");
}
