/**
 * The journal folded into a file: one JSON line per entry, in path order, and the digest of the whole. Of a job that
 * repeats itself pass after pass, so that the last line of a path counts; behind each pass what it removed at the destination.
 */
import type { ManifestRow } from "../../schema/manifest.ts";
import type { Destination, Held } from "../connectors/connector.ts";
import type { Platform } from "../platform.ts";
import type { Journal } from "./journal.ts";
import type { Outcome, Page } from "./page.ts";

export interface ManifestInput {
  readonly journal: Journal;
  readonly destination: Destination;
  readonly platform: Platform;
  readonly path: string;
}

export async function writeManifest(input: ManifestInput): Promise<{ sha256: string; rows: number }> {
  const { journal, platform } = input;
  const encoder = new TextEncoder();
  const hash = platform.hash("sha256");
  const file = platform.disk.create(input.path);
  let rows = 0;
  const write = async (some: readonly ManifestRow[]) => {
    const bytes = encoder.encode(some.map((row) => `${JSON.stringify(row)}\n`).join(""));
    hash.update(bytes);
    file.write(bytes);
    rows += some.length;
    // A run that was cancelled writes it too.
    await platform.clock.sleep(0, new AbortController().signal);
  };
  try {
    let number = 0;
    const writePages = async (end: number) => {
      for (; number < end; number++) {
        const page = journal.read(number);
        await write(page.paths.map((_, index) => manifestRow(page, index, input)));
      }
    };
    for (const { page, blobs, settled } of journal.vanishedGroups()) {
      await writePages(page);
      await write(blobs.map((held) => removedRow(held, settled, input)));
    }
    await writePages(journal.pageCount);
  } finally {
    file.finish();
  }
  return { sha256: hash.digest().toHex(), rows };
}

function manifestRow(page: Page, index: number, { destination }: ManifestInput): ManifestRow {
  const path = page.path(index);
  const outcome = page.outcome(index);
  const stored = outcome?.state === "completed" || outcome?.state === "uploaded" ? outcome.as : null;
  const named = destination.name(stored ?? path);
  const sent = outcome === null || outcome.state === "failed" ? null : outcome;
  return {
    path,
    sizeBytes: page.sizeBytes(index),
    modified: isoTime(page.modifiedMs(index)),
    sha256: sent?.sha256 ?? null,
    blob: named.kind === "named" ? named.name : null,
    etag: sent?.etag ?? null,
    outcome: wordOf(outcome),
    reason: outcome?.state === "failed" || outcome?.state === "skipped" ? outcome.code : null,
    proof: outcome?.state === "completed" ? outcome.proof : null,
  };
}

/** `isSure`: the run has seen that it is gone. */
function removedRow(
  { path, sizeBytes, modifiedMs, sha256, etag }: Held,
  isSure: boolean,
  { destination }: ManifestInput,
): ManifestRow {
  const named = destination.name(path);
  return {
    path,
    sizeBytes,
    modified: isoTime(modifiedMs ?? 0),
    sha256,
    blob: named.kind === "named" ? named.name : null,
    etag,
    outcome: "removed",
    reason: isSure ? "source_vanished" : "removal_unconfirmed",
    proof: null,
  };
}

function wordOf(outcome: Outcome | null): ManifestRow["outcome"] {
  if (outcome === null) return "not_reached";
  return outcome.state === "uploaded" ? "unproved" : outcome.state;
}

function isoTime(ms: number): string | null {
  const date = new Date(ms);
  return ms === 0 || Number.isNaN(date.getTime()) ? null : date.toISOString();
}
