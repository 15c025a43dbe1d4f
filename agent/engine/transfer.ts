/** Hands the journal's entries to the uploader, many at a time, in path order, and lets the verifier follow. */
import type { Control } from "./control.ts";
import type { Journal } from "./journal.ts";
import type { EntryRow } from "./journal-schema.ts";
import type { Plan } from "./plan.ts";
import type { Uploader } from "./upload.ts";
import type { UploadFrontier, Verifier } from "./verify.ts";

/** Entries marked as started at a time. After a crash that many and as many again, at most, are asked about one by one. */
export const CLAIM_COUNT = 256;

export interface TransferInput {
  readonly journal: Journal;
  readonly control: Control;
  readonly plan: Plan;
  readonly uploader: Uploader;
  /** Null when the job does not ask for proof. */
  readonly verifier: Verifier | null;
  /** Called with each entry that is begun. */
  readonly onBegin: (path: string) => void;
}

/** Returns when every entry has ended. Throws `Stopped`, with the error of a failed run as its cause. */
export async function transfer(input: TransferInput): Promise<void> {
  const uploads = new Uploads(input);
  const parts = [uploads.run()];
  if (input.verifier !== null) parts.push(input.verifier.follow(uploads));
  // Whoever fails stops the others, and nobody is left going on behind our back.
  await Promise.all(parts.map((part) => part.catch((error: unknown) => input.control.fail(error))));
  input.control.stopped.throwIfAborted();
}

class Uploads implements UploadFrontier {
  readonly #input: TransferInput;
  readonly #ended = new AbortController();
  readonly #claims: Claims;
  /** Small entries that were begun and have not ended. */
  readonly #open = new Set<string>();

  constructor(input: TransferInput) {
    this.#input = input;
    this.#claims = new Claims(input.journal);
  }

  get done(): boolean {
    return this.#ended.signal.aborted;
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  before(path: string): boolean {
    if (!this.#claims.exhausted && path >= this.#claims.handedOutTo) return false;
    for (const open of this.#open) if (open <= path) return false;
    return true;
  }

  async run(): Promise<void> {
    const { journal, control, plan } = this.#input;
    const worker = async () => {
      try {
        for (let claim = await this.#claims.next(); claim !== null; claim = await this.#claims.next())
          await this.#move(claim);
      } catch (error) {
        control.fail(error);
      }
    };
    await Promise.all(Array.from({ length: plan.streams }, worker));
    control.stopped.throwIfAborted();
    await journal.flush();
    this.#ended.abort();
  }

  async #move({ row, doubtful }: Claim): Promise<void> {
    const { journal, control, plan, uploader, verifier } = this.#input;
    await control.ready();
    const small = row.sizeBytes <= plan.wholeBytesMax;
    if (small) this.#open.add(row.path);
    try {
      this.#input.onBegin(row.path);
      const { outcome, sentBytes } = await uploader.move(row, { doubtful });
      const settled = journal.settle(row.path, outcome, sentBytes);
      if (small) {
        // The stream does not wait for the disk; that the row is durable matters to the totals only.
        settled.catch((error: unknown) => control.fail(error));
        return;
      }
      await settled;
      uploader.accepted.delete(row.path);
      if (outcome.state === "uploaded") await verifier?.prove(row.path);
    } finally {
      this.#open.delete(row.path);
    }
  }
}

interface Claim {
  readonly row: EntryRow;
  readonly doubtful: boolean;
}

/** The entries that are left, in path order; first those that a crash or a stop left in the middle. */
class Claims {
  readonly #journal: Journal;
  readonly #waiting: Claim[];
  #filling: Promise<void> | null = null;
  #claimedTo = "";
  #last = false;
  /** The path up to which small entries were begun. */
  handedOutTo = "";

  constructor(journal: Journal) {
    this.#journal = journal;
    this.#waiting = journal.started().map((row) => ({ row, doubtful: true }));
  }

  get exhausted(): boolean {
    return this.#last && this.#waiting.length === 0;
  }

  async next(): Promise<Claim | null> {
    while (this.#waiting.length === 0 && !this.#last) await this.#fill();
    const claim = this.#waiting.shift() ?? null;
    if (claim !== null && !claim.doubtful) this.handedOutTo = claim.row.path;
    // The next ones are claimed while these are moved, so that no stream waits for the disk.
    if (this.#waiting.length < CLAIM_COUNT / 2 && !this.#last) this.#fill().catch(() => {});
    return claim;
  }

  #fill(): Promise<void> {
    this.#filling ??= this.#claim().finally(() => (this.#filling = null));
    return this.#filling;
  }

  async #claim(): Promise<void> {
    const rows = await this.#journal.claim(this.#claimedTo, CLAIM_COUNT);
    this.#last = rows.length < CLAIM_COUNT;
    this.#claimedTo = rows.at(-1)?.path ?? this.#claimedTo;
    for (const row of rows) this.#waiting.push({ row, doubtful: false });
  }
}
