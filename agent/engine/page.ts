/**
 * A page of the journal: up to a thousand entries of the source, in path order, and what became of each.
 *
 * Pages are what the journal keeps on the disk and what the engine holds in memory, a few at a time: a row per page costs
 * a tenth of a row per entry, in time and in space. On the disk a page is three texts: what was listed (never changes), what
 * the destination held before the first upload (written once), and the outcomes (written when the page is let go).
 */
import type { FileFailureCode, FileSkipCode } from "../../schema/errors.ts";
import type { Entry, Held } from "../connectors/connector.ts";

/** What became of one entry. `uploaded`: accepted, but not proved yet. */
export type Outcome =
  | ({ readonly state: "uploaded" } & Sent)
  | ({ readonly state: "completed"; readonly proof: Proof } & Sent)
  | {
      readonly state: "skipped";
      readonly code: FileSkipCode;
      readonly sha256: string | null;
      readonly etag: string | null;
    }
  | { readonly state: "failed"; readonly code: FileFailureCode; readonly message: string };

/** What is at the destination of an entry. */
export interface Sent {
  readonly sha256: string;
  readonly etag: string;
  /** The path under which it was stored, where that is not its own; else null. */
  readonly as: string | null;
  /** Which version of the source file was read; null where nobody will ask. */
  readonly version: string | null;
}

/** How an entry was proved: not at all, by asking for what is held, or by reading it back. */
export type Proof = "none" | "chain" | "readback";

export function isFinal(outcome: Outcome | null): boolean {
  return outcome !== null && outcome.state !== "uploaded";
}

/** One line of a listing: an entry, and what is known of it from the start. */
export interface Listing {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly identity: string | null;
  readonly outcome: Outcome | null;
}

/** An entry as it was listed, or as it was found since. */
interface Facts {
  sizeBytes: number;
  modifiedMs: number;
}

export class Page {
  readonly number: number;
  readonly paths: readonly string[];
  readonly #listed: PageText;
  /** Entries that changed since they were listed. */
  readonly #changed: Map<number, Facts>;
  readonly #outcomes: (Outcome | null)[];
  /** What the destination held before the first upload of this epoch; null until the page was claimed. */
  held: readonly (Held | null)[] | null = null;
  /** Claimed by an earlier start of the program: what has no outcome may have been sent all the same. */
  doubtful = false;

  private constructor(number: number, listed: PageText) {
    this.number = number;
    this.#listed = listed;
    this.paths = pathsOf(listed);
    this.#changed = new Map();
    this.#outcomes = Array.from(this.paths, () => null);
  }

  static of(number: number, listings: readonly Listing[]): Page {
    const page = new Page(number, listedText(listings));
    for (const [index, { outcome }] of listings.entries()) page.#outcomes[index] = outcome;
    return page;
  }

  /** Reads what {@link Page.listedText}, {@link Page.heldText} and {@link Page.outcomesText} wrote. */
  static read(number: number, texts: { listed: string; held: string | null; outcomes: string | null }): Page {
    const page = new Page(number, JSON.parse(texts.listed) as PageText);
    if (texts.outcomes !== null) page.#readOutcomes(JSON.parse(texts.outcomes) as OutcomesText);
    if (texts.held !== null) {
      const held = JSON.parse(texts.held) as HeldText;
      page.held = page.paths.map((path, index) => readHeld(path, held[index] ?? null));
      page.doubtful = true;
    }
    return page;
  }

  get length(): number {
    return this.paths.length;
  }

  path(index: number): string {
    return this.paths[index] as string;
  }
  sizeBytes(index: number): number {
    return this.#changed.get(index)?.sizeBytes ?? (this.#listed.sizes[index] as number);
  }
  modifiedMs(index: number): number {
    return this.#changed.get(index)?.modifiedMs ?? (this.#listed.modified[index] as number);
  }
  outcome(index: number): Outcome | null {
    return this.#outcomes[index] ?? null;
  }
  entry(index: number): Entry {
    return {
      path: this.path(index),
      sizeBytes: this.sizeBytes(index),
      modifiedMs: this.modifiedMs(index),
      identity: this.#listed.identities[index] ?? null,
    };
  }

  setOutcome(index: number, outcome: Outcome): void {
    this.#outcomes[index] = outcome;
  }
  setFacts(index: number, { sizeBytes, modifiedMs }: Facts): void {
    this.#changed.set(index, { sizeBytes, modifiedMs });
  }

  /** Entries without an outcome, and entries that wait for their proof. */
  count(): { readonly pending: number; readonly awaiting: number } {
    let pending = 0;
    let awaiting = 0;
    for (const outcome of this.#outcomes) {
      if (outcome === null) pending++;
      else if (outcome.state === "uploaded") awaiting++;
    }
    return { pending, awaiting };
  }

  listedText(): string {
    return JSON.stringify(this.#listed);
  }
  heldText(): string {
    return JSON.stringify((this.held ?? []).map(writeHeld));
  }
  outcomesText(): string {
    const text: OutcomesText = {
      outcomes: this.#outcomes.map(writeOutcome),
      changed: Array.from(this.#changed, ([index, { sizeBytes, modifiedMs }]) => [
        index,
        sizeBytes,
        modifiedMs,
      ]),
    };
    return JSON.stringify(text);
  }

  #readOutcomes(text: OutcomesText): void {
    for (const [index, written] of text.outcomes.entries()) this.#outcomes[index] = readOutcome(written);
    for (const [index, sizeBytes, modifiedMs] of text.changed)
      this.#changed.set(index, { sizeBytes, modifiedMs });
  }
}

// --- as text: short, because there is one for every thousand of ten million entries ------------------------------------

interface PageText {
  /** Each folder once, with how many entries follow in it. */
  readonly folders: readonly (readonly [folder: string, count: number])[];
  readonly names: readonly string[];
  readonly sizes: readonly number[];
  readonly modified: readonly number[];
  readonly identities: readonly (string | null)[];
}

type OutcomeText =
  | 0
  | readonly ["u", sha256: string, etag: string, as: string | null, version: string | null]
  | readonly ["c", sha256: string, etag: string, as: string | null, version: string | null, proof: Proof]
  | readonly ["s", code: FileSkipCode, sha256: string | null, etag: string | null]
  | readonly ["f", code: FileFailureCode, message: string];

interface OutcomesText {
  readonly outcomes: readonly OutcomeText[];
  readonly changed: readonly (readonly [index: number, sizeBytes: number, modifiedMs: number])[];
}

type HeldText = readonly (
  | 0
  | readonly [
      etag: string,
      sizeBytes: number,
      sha256: string | null,
      modifiedMs: number | null,
      archived: 0 | 1,
    ]
)[];

function listedText(listings: readonly Listing[]): PageText {
  const folders: [string, number][] = [];
  const names: string[] = [];
  let last: [string, number] | null = null;
  for (const { path } of listings) {
    const cut = path.lastIndexOf("/") + 1;
    if (last === null || last[0].length !== cut || !path.startsWith(last[0])) {
      last = [path.slice(0, cut), 0];
      folders.push(last);
    }
    last[1]++;
    names.push(path.slice(cut));
  }
  return {
    folders,
    names,
    sizes: listings.map((listing) => listing.sizeBytes),
    modified: listings.map((listing) => listing.modifiedMs),
    identities: listings.map((listing) => listing.identity),
  };
}

function pathsOf({ folders, names }: PageText): string[] {
  const paths: string[] = [];
  for (const [folder, count] of folders) {
    for (const end = paths.length + count; paths.length < end;) paths.push(folder + names[paths.length]);
  }
  return paths;
}

export function writeOutcome(outcome: Outcome | null): OutcomeText {
  if (outcome === null) return 0;
  switch (outcome.state) {
    case "uploaded":
      return ["u", outcome.sha256, outcome.etag, outcome.as, outcome.version];
    case "completed":
      return ["c", outcome.sha256, outcome.etag, outcome.as, outcome.version, outcome.proof];
    case "skipped":
      return ["s", outcome.code, outcome.sha256, outcome.etag];
    case "failed":
      return ["f", outcome.code, outcome.message];
  }
}

export function readOutcome(text: OutcomeText): Outcome | null {
  if (text === 0) return null;
  switch (text[0]) {
    case "u":
      return { state: "uploaded", sha256: text[1], etag: text[2], as: text[3], version: text[4] };
    case "c":
      return {
        state: "completed",
        sha256: text[1],
        etag: text[2],
        as: text[3],
        version: text[4],
        proof: text[5],
      };
    case "s":
      return { state: "skipped", code: text[1], sha256: text[2], etag: text[3] };
    case "f":
      return { state: "failed", code: text[1], message: text[2] };
  }
}

function writeHeld(held: Held | null): HeldText[number] {
  if (held === null) return 0;
  return [held.etag, held.sizeBytes, held.sha256, held.modifiedMs, held.archived ? 1 : 0];
}

function readHeld(path: string, text: HeldText[number] | null): Held | null {
  if (text === null || text === 0) return null;
  const [etag, sizeBytes, sha256, modifiedMs, archived] = text;
  return { path, etag, sizeBytes, sha256, modifiedMs, archived: archived === 1 };
}
