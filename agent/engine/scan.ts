/**
 * Brings the source's listing into the journal, page by page, with the cursor that goes on behind each page.
 *
 * Everything the source has gets a line, also what is left out, so that the totals name every file once.
 */
import type { JobConfig } from "../../schema/job.ts";
import type { Destination, Listed, Source } from "../connectors/connector.ts";
import type { Changes } from "./changes.ts";
import type { Control } from "./control.ts";
import { compileFilter, type Filter } from "./filter.ts";
import type { Journal, Scanned } from "./journal.ts";

export interface ScanInput {
  readonly config: JobConfig;
  readonly source: Source;
  readonly destination: Destination;
  readonly journal: Journal;
  readonly control: Control;
  /** Of a further pass: only what is news is noted. Null = everything is. */
  readonly changes: Changes | null;
  /** Paths of failures that an earlier pass has counted. */
  readonly known: ReadonlySet<string>;
}

/** Returns when the source is listed whole, durably. Throws a job-wide `TransferError` when its root is unusable. */
export async function scan(input: ScanInput): Promise<void> {
  const { journal, control, source, changes, known } = input;
  const { cursor, done } = journal.scan;
  if (done) return;
  const filter = compileFilter(input.config.options.filters);
  for await (const page of source.list({ cursor, signal: control.stopped })) {
    const listed = changes === null ? page.items : await changes.newsIn(page.items);
    const judged = listed.map((item) => judge(item, filter, input.destination));
    // A further pass has counted before what it leaves out, and what can never be moved.
    const isCounted = (item: Scanned) =>
      item.kind === "filtered" || (item.kind === "failed" && known.has(item.path));
    const items = changes === null ? judged : judged.filter((item) => !isCounted(item));
    if (page.cursor === null) await changes?.end();
    journal.addPage(items, page.cursor);
    const room = journal.room();
    if (room !== undefined) await room;
    if (control.paused) await control.ready();
  }
  await journal.flush();
}

function judge(item: Listed, filter: Filter, destination: Destination): Scanned {
  if (item.kind !== "file") return item;
  const { entry } = item;
  if (!filter(entry)) return { kind: "filtered", ...entry };
  const named = destination.name(entry.path);
  const { blockBytesMax, blockCountMax } = destination.limits;
  if (named.kind === "named" && entry.sizeBytes <= blockBytesMax * blockCountMax)
    return named.mapped ? { ...item, isMapped: true } : item;
  const { path, sizeBytes } = entry;
  if (named.kind === "refused")
    return { kind: "failed", path, code: "name_refused", message: named.reason, sizeBytes };
  const message = `Cannot store ${sizeBytes} bytes: the destination holds at most ${blockBytesMax * blockCountMax}`;
  return { kind: "failed", path, code: "too_large", message, sizeBytes };
}
