/** The journal folded into a file: one JSON line per entry, in path order, and the digest of the whole. */
import type { Destination } from "../connectors/connector.ts";
import type { Platform } from "../platform.ts";
import type { Journal } from "./journal.ts";
import type { EntryRow } from "./journal-schema.ts";

const ROWS_AT_ONCE = 500;

/** One line. `not_reached` is an entry that a cancelled or failed run left undone, `unproved` one it could not ask about. */
export interface ManifestRow {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modified: string | null;
  readonly sha256: string | null;
  readonly blob: string;
  readonly etag: string | null;
  readonly outcome: "completed" | "failed" | "skipped" | "unproved" | "not_reached";
  /** The code of a failure or of a skip. */
  readonly reason: string | null;
}

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
  try {
    let after: string | null = "";
    while (after !== null) {
      const page: readonly EntryRow[] = journal.page(after, ROWS_AT_ONCE);
      after = page.at(-1)?.path ?? null;
      const lines = page.map((row) => `${JSON.stringify(manifestRow(row, input.destination))}\n`).join("");
      const bytes = encoder.encode(lines);
      hash.update(bytes);
      file.write(bytes);
      rows += page.length;
      // A run that was cancelled writes it too.
      await platform.clock.sleep(0, new AbortController().signal);
    }
  } finally {
    file.finish();
  }
  return { sha256: hash.digest().toHex(), rows };
}

function manifestRow(row: EntryRow, destination: Destination): ManifestRow {
  return {
    path: row.path,
    sizeBytes: row.sizeBytes,
    modified: isoTime(row.modifiedMs),
    sha256: row.sha256,
    blob: destination.name(row.path),
    etag: row.etag,
    outcome: outcomeOf(row),
    reason: row.code,
  };
}

function outcomeOf(row: EntryRow): ManifestRow["outcome"] {
  switch (row.state) {
    case "pending":
    case "started":
      return "not_reached";
    case "uploaded":
      return "unproved";
    case "completed":
    case "failed":
    case "skipped":
      return row.state;
  }
}

function isoTime(ms: number): string | null {
  const date = new Date(ms);
  return ms === 0 || Number.isNaN(date.getTime()) ? null : date.toISOString();
}
