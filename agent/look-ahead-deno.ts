/**
 * The files of a folder, looked at from both ends: by this thread from the first one on, by the thread beside from the last one
 * back. Where they meet, both are done, however quick each of them is; so nobody ever waits for the other, and who scans stays
 * as simple as if it were alone. (What one look costs is the system's and Deno's, and cannot be made cheaper.)
 *
 * What the thread beside has seen lies in memory that both share. Only one piece of one folder is looked at at a time; whoever
 * asks about another takes its place. What went wrong there is not told: this thread looks itself, and hears it.
 */
import { statOf } from "./file-stat-deno.ts";
import type { EntryKind, FileStat, LookAhead } from "./platform.ts";

/** Less is over before the thread beside has read of it. */
const NAMES_MIN = 24;
/** Names that are handed over at once: enough to be worth it, and little memory. */
const NAMES_MAX = 512;
const FACTS = 7;
const KINDS: readonly EntryKind[] = ["file", "folder", "link", "special"];

/** In the first numbers of the memory: which piece is wanted, which one was begun, and how far this thread has come. */
const WANTED = 0;
const BEGUN = 1;
const POSITION = 2;
/** Behind them, for each name: the piece in which it was looked at. */
const DONE = 4;
const FACTS_OFFSET = 8 * Math.ceil(((DONE + NAMES_MAX) * 4) / 8);
const MEMORY_BYTES = FACTS_OFFSET + NAMES_MAX * FACTS * 8;

/** What the thread beside is told. Names of folders end in a slash, and are left out. */
export interface LookRequest {
  readonly kind: "look";
  readonly memory: SharedArrayBuffer;
  readonly piece: number;
  /** With a separator at its end. */
  readonly folder: string;
  readonly names: readonly string[];
}

interface Views {
  readonly numbers: Int32Array;
  readonly facts: Float64Array;
}

function viewsOf(memory: SharedArrayBuffer): Views {
  return {
    numbers: new Int32Array(memory, 0, DONE + NAMES_MAX),
    facts: new Float64Array(memory, FACTS_OFFSET),
  };
}

/** This thread's side. */
export class LooksBeside {
  readonly #post: (request: LookRequest) => void;
  readonly #memory = new SharedArrayBuffer(MEMORY_BYTES);
  readonly #views = viewsOf(this.#memory);
  #piece = 0;

  /** `post` hands a request to the thread beside. */
  constructor(post: (request: LookRequest) => void) {
    this.#post = post;
  }

  /** `folder` has a separator at its end. */
  begin(folder: string, names: readonly string[]): LookAhead {
    let from = 0;
    let piece = this.#ask(folder, names, from);
    return {
      stat: (index) => {
        if (index - from >= NAMES_MAX) {
          from = index;
          piece = this.#ask(folder, names, from);
        }
        return piece === this.#piece ? this.#seen(index - from) : null;
      },
    };
  }

  /** Which piece it is; one that is asked for nowhere, where it is not worth it. */
  #ask(folder: string, names: readonly string[], from: number): number {
    const { numbers } = this.#views;
    // A thread that is not there yet must not find a heap of old requests.
    const isBusy = Atomics.load(numbers, BEGUN) !== this.#piece;
    if (names.length - from < NAMES_MIN || isBusy) return -1;
    const piece = ++this.#piece;
    Atomics.store(numbers, POSITION, 0);
    Atomics.store(numbers, WANTED, piece);
    const some = names.slice(from, from + NAMES_MAX);
    this.#post({ kind: "look", memory: this.#memory, piece, folder, names: some });
    return piece;
  }

  #seen(index: number): FileStat | null {
    const { numbers, facts } = this.#views;
    if (Atomics.load(numbers, DONE + index) !== this.#piece) {
      Atomics.store(numbers, POSITION, index + 1);
      return null;
    }
    const at = index * FACTS;
    const fact = (place: number): number => facts[at + place] as number;
    const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
    return {
      kind: KINDS[fact(0)] as EntryKind,
      sizeBytes: fact(1),
      modifiedMs: fact(2),
      device: orNull(fact(3)),
      inode: orNull(fact(4)),
      changedMs: orNull(fact(5)),
      links: orNull(fact(6)),
    };
  }
}

/** The other thread's side. */
export function lookFromBack({ memory, piece, folder, names }: LookRequest): void {
  const { numbers, facts } = viewsOf(memory);
  Atomics.store(numbers, BEGUN, piece);
  for (let index = names.length - 1; index >= Atomics.load(numbers, POSITION); index--) {
    if (Atomics.load(numbers, WANTED) !== piece) return;
    const name = names[index] as string;
    if (name.endsWith("/")) continue;
    try {
      const stat = statOf(Deno.lstatSync(folder + name));
      const at = index * FACTS;
      facts[at] = KINDS.indexOf(stat.kind);
      facts[at + 1] = stat.sizeBytes;
      facts[at + 2] = stat.modifiedMs;
      facts[at + 3] = stat.device ?? Number.NaN;
      facts[at + 4] = stat.inode ?? Number.NaN;
      facts[at + 5] = stat.changedMs ?? Number.NaN;
      facts[at + 6] = stat.links ?? Number.NaN;
      Atomics.store(numbers, DONE + index, piece);
    } catch {
      // Whoever comes to it looks again, and hears why.
    }
  }
}
