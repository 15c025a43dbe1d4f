/**
 * The Durable Object that counts: uses within a window, and wrong guesses. One object per purpose (or a fixed number of
 * them, or one per organization), so that a flood of one thing stops no other. `docs/decisions/0008-limits.md`.
 */
import { DurableObject } from "cloudflare:workers";
import { LimitBook, type GuessLimits, type Limit, type Use } from "./limit-book.ts";

/** How a guess ended: looked at, with whether a human must approve what it makes, or not looked at at all. */
export type Guess =
  | { readonly kind: "open"; readonly id: number; readonly byHand: boolean }
  | { readonly kind: "blocked"; readonly untilMs: number };

/** A guess that waits for others of its address to be decided waits no longer than this. */
const WAIT_MS_MAX = 10_000;
const WAITING_MAX = 200;
const TIDY_MS = 60_000;

export class Limits extends DurableObject {
  readonly #book: LimitBook;
  #decided = Promise.withResolvers<void>();
  #waiting = 0;
  #isTidying: boolean | null = null;

  constructor(context: DurableObjectState, env: object) {
    super(context, env);
    this.#book = new LimitBook(context.storage.sql, () => Date.now());
  }

  async use(key: string, limit: Limit): Promise<Use> {
    const used = this.#book.use(key, limit);
    await this.#tidyLater();
    return used;
  }

  async look(key: string, limit: Limit): Promise<Use> {
    return this.#book.look(key, limit);
  }

  /** Lets a guess in; it must be followed by {@link endGuess}, or counts as wrong. */
  async beginGuess(key: string, limits: GuessLimits): Promise<Guess> {
    const untilMs = Date.now() + WAIT_MS_MAX;
    for (;;) {
      const begun = this.#book.begin(key, limits);
      if (begun.kind === "open") {
        const { id, byHand, isFirstByHand } = begun;
        // For whoever watches the logs: somebody guesses at large.
        if (isFirstByHand) console.error(JSON.stringify({ event: "guesses_capped", inAll: limits.inAll }));
        return { kind: "open", id, byHand };
      }
      if (begun.kind === "blocked") return begun;
      if (Date.now() >= untilMs || this.#waiting >= WAITING_MAX) return { kind: "blocked", untilMs };
      await this.#untilDecided(untilMs - Date.now());
    }
  }

  async endGuess(id: number, outcome: "right" | "wrong"): Promise<void> {
    if (outcome === "right") this.#book.right(id);
    else this.#book.wrong(id);
    this.#decided.resolve();
    this.#decided = Promise.withResolvers();
  }

  override async alarm(): Promise<void> {
    this.#isTidying = this.#book.tidy();
    if (this.#isTidying) await this.ctx.storage.setAlarm(Date.now() + TIDY_MS);
  }

  async #tidyLater(): Promise<void> {
    this.#isTidying ??= (await this.ctx.storage.getAlarm()) !== null;
    if (this.#isTidying) return;
    this.#isTidying = true;
    await this.ctx.storage.setAlarm(Date.now() + TIDY_MS);
  }

  async #untilDecided(limitMs: number): Promise<void> {
    this.#waiting++;
    let timer: ReturnType<typeof setTimeout> | null = null;
    try {
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, limitMs)));
      await Promise.race([this.#decided.promise, late]);
    } finally {
      if (timer !== null) clearTimeout(timer);
      this.#waiting--;
    }
  }
}
