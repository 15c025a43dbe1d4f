/**
 * What is at the destination already, and what that means for an entry.
 *
 * Before the first upload the destination is listed once, into the journal: 5,000 names a request instead of one. A job
 * of a few files asks for each, so that ten files into a container of millions do not list the millions.
 */
import type { ExistingRule } from "../../schema/job.ts";
import {
  type Condition,
  type Destination,
  type Held,
  type HeldPage,
  TransferError,
} from "../connectors/connector.ts";
import { type Control, forEachOf } from "./control.ts";
import type { Journal } from "./journal.ts";
import type { EntryRow } from "./journal-schema.ts";
import type { Retry } from "./retry.ts";

/** Up to this many files, each is asked for. */
export const FIND_COUNT_MAX = 100;
const FINDS_AT_ONCE = 8;

export interface InventoryInput {
  readonly destination: Destination;
  readonly journal: Journal;
  readonly control: Control;
  readonly retry: Retry;
}

/** Notes in the journal what the destination holds under the pending entries. Begins anew when it was interrupted. */
export async function takeInventory(input: InventoryInput): Promise<void> {
  const { journal } = input;
  if (journal.inventoryDone) return;
  const count = journal.pendingCount(FIND_COUNT_MAX + 1);
  if (count > FIND_COUNT_MAX) await listAll(input);
  else if (count > 0) await findEach(input);
  await journal.noteInventoryDone();
}

async function listAll({ destination, journal, control, retry }: InventoryInput): Promise<void> {
  let cursor: string | null = null;
  do {
    const from: string | null = cursor;
    const page: HeldPage = await retry.call((signal) => destination.page(from, signal), {
      action: "list",
      bodyBytes: 0,
      signal: control.stopped,
    });
    await journal.noteHeld(page.items);
    cursor = page.cursor;
  } while (cursor !== null);
}

async function findEach({ destination, journal, control, retry }: InventoryInput): Promise<void> {
  await forEachOf(journal.pending(FIND_COUNT_MAX), FINDS_AT_ONCE, async ({ path }) => {
    const held = await retry.call((signal) => destination.find(path, signal), {
      action: "find",
      bodyBytes: 0,
      signal: control.stopped,
    });
    if (held !== null) await journal.noteHeld([held]);
  });
}

/** What is to be done about an entry, given what is at the destination. */
export type Decision =
  | { readonly kind: "write"; readonly condition: Condition }
  /** The same by size and time, and that is enough. */
  | { readonly kind: "skip"; readonly held: Held }
  /** It may be the same: read and compare. If it is, it was sent by us, or was there before. */
  | {
      readonly kind: "compare";
      readonly held: Held;
      readonly sha256: string;
      readonly whose: "theirs" | "ours";
    }
  | { readonly kind: "refuse" };

/**
 * `now` is what is there; `row.held` what was there before the first upload of this epoch. When the two differ, somebody
 * wrote in between: most likely we, just before a crash. Nothing that is there is replaced unless the job says so.
 */
export function judgeHeld(
  row: EntryRow,
  now: Held | null,
  options: { existing: ExistingRule; verify: boolean },
): Decision {
  if (now === null) return { kind: "write", condition: { kind: "absent" } };
  const comparable = now.sizeBytes === row.sizeBytes && now.sha256 !== null;
  if (now.etag !== row.held?.etag) {
    return comparable
      ? { kind: "compare", held: now, sha256: now.sha256, whose: "ours" }
      : { kind: "refuse" };
  }
  switch (options.existing) {
    case "fail":
      return { kind: "refuse" };
    case "overwrite":
      return { kind: "write", condition: { kind: "matches", etag: now.etag } };
    case "skip_identical":
      if (!options.verify && now.sizeBytes === row.sizeBytes && now.modifiedMs === row.modifiedMs)
        return { kind: "skip", held: now };
      return comparable
        ? { kind: "compare", held: now, sha256: now.sha256, whose: "theirs" }
        : { kind: "refuse" };
  }
}

export function destinationExists(path: string): TransferError {
  return new TransferError(
    { scope: "file", code: "destination_exists" },
    `Cannot write "${path}": something else of this name is at the destination`,
    {
      retry: { kind: "never" },
    },
  );
}
