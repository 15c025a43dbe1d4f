/**
 * The long poll as a {@link Socket}, for where no WebSocket passes. `docs/spec.md`, section P.
 *
 * Two requests are under way at most: one that says the next frame and is answered at once, and one that waits for what the
 * hub says. Both name the line and what has arrived, so either may be repeated, and both bring whatever waits. A request
 * that fails is made again for as long as {@link PATIENCE_MS}; then the line has ended, as a socket does.
 */
import {
  CLOSE,
  FRAME_BYTES_MAX,
  HEARTBEAT,
  HEARTBEAT_ANSWER,
  SYNC_WAIT_SECONDS_MAX,
  syncAnswer,
  type SyncAnswer,
  type SyncRequest,
} from "../schema/protocol.ts";
import { errorBody } from "../schema/errors.ts";
import { backoffMs } from "./backoff.ts";
import type { AgentConfig } from "./config.ts";
import type { Platform, Socket } from "./platform.ts";

/** What is said is answered within this. */
export const SAY_LIMIT_MS = 20_000;
/** A poll is answered within this, however long it was held. */
export const POLL_LIMIT_MS = SYNC_WAIT_SECONDS_MAX * 1_000 + 15_000;
/** Requests that fail one after the other for so long end the line. */
export const PATIENCE_MS = 60_000;
/** Between two frames: so many requests are allowed, and what gathers meanwhile goes with the next. */
const SAY_EVERY_MS = 250;
/** Between two polls that brought nothing. */
const POLL_EVERY_MS = 1_000;
/** What waits to leave; whoever says more is cut off. */
const OUTGOING_CHARACTERS_MAX = 16 * 1024 * 1024;
const ANSWER_CHARACTERS_MAX = 64 * FRAME_BYTES_MAX;
const GOODBYE_LIMIT_MS = 5_000;

type Received = Awaited<ReturnType<Socket["receive"]>>;
type End = Extract<Received, { kind: "closed" }>;

/** How one request ended. */
type Outcome =
  | { readonly kind: "answer"; readonly answer: SyncAnswer }
  | { readonly kind: "refused"; readonly code: number; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string; readonly waitMs: number };

export function openPolling(platform: Platform, config: AgentConfig): Socket {
  return new PollingSocket(platform, config);
}

class PollingSocket implements Socket {
  readonly #platform: Platform;
  /** Looked at anew for each request: the key may change. */
  readonly #config: AgentConfig;
  readonly #line: string;
  readonly #outgoing: string[] = [];
  #outgoingCharacters = 0;
  readonly #inbox: Received[] = [];
  #wake: (() => void) | null = null;
  /** Ends every request and every wait. */
  readonly #life = new AbortController();
  #isSaying = false;
  #isPolling = false;
  /** The hub's frames up to this one have arrived. */
  #received = 0;
  #goodMs: number;
  answeredMs: number | null = null;
  #end: End | null = null;
  /** Closed from here; the hub is told behind what was said before. */
  #goodbye: { readonly code: number; readonly reason: string } | null = null;

  constructor(platform: Platform, config: AgentConfig) {
    this.#platform = platform;
    this.#config = config;
    this.#line = Array.from(platform.random.bytes(16), (byte) => byte.toString(16).padStart(2, "0")).join("");
    this.#goodMs = platform.clock.monotonic();
  }

  get bufferedBytes(): number {
    return this.#outgoingCharacters;
  }

  send(text: string): void {
    if (this.#end !== null || this.#goodbye !== null) return;
    // The polls tell the hub that we are here, and their failures tell us that it is not.
    if (text === HEARTBEAT) return this.#put({ kind: "text", text: HEARTBEAT_ANSWER });
    this.#outgoing.push(text);
    this.#outgoingCharacters += text.length;
    if (this.#outgoingCharacters > OUTGOING_CHARACTERS_MAX)
      return this.#finish(1006, "too much waits to leave");
    this.#saySoon();
  }

  close(code: number, reason: string): void {
    if (this.#end !== null || this.#goodbye !== null) return;
    this.#goodbye = { code, reason };
    this.#platform.clock.sleep(GOODBYE_LIMIT_MS, this.#life.signal).then(
      () => this.#finish(code, reason),
      () => undefined,
    );
    this.#saySoon();
  }

  async receive(signal: AbortSignal): Promise<Received> {
    for (;;) {
      signal.throwIfAborted();
      const next = this.#inbox.shift() ?? this.#end;
      if (next !== null) return next;
      await new Promise<void>((resolve, reject) => {
        const stop = () => reject(signal.reason);
        signal.addEventListener("abort", stop, { once: true });
        this.#wake = () => {
          this.#wake = null;
          signal.removeEventListener("abort", stop);
          resolve();
        };
      });
    }
  }

  // --- saying ---

  #saySoon(): void {
    if (this.#isSaying) return;
    this.#isSaying = true;
    void this.#say();
  }

  async #say(): Promise<void> {
    for (let failures = 0; this.#end === null;) {
      const text = this.#outgoing[0];
      const goodbye = this.#goodbye;
      if (text === undefined && goodbye === null) break;
      const outcome = await this.#request(
        { frame: text ?? null, waitSeconds: 0, close: text === undefined ? (goodbye?.code ?? null) : null },
        SAY_LIMIT_MS,
      );
      if (this.#end !== null) return;
      if (outcome.kind === "answer") {
        failures = 0;
        if (text === undefined) return this.#finish(goodbye?.code ?? 1000, goodbye?.reason ?? "");
        this.#outgoing.shift();
        this.#outgoingCharacters -= text.length;
        this.#take(outcome.answer);
        this.#pollSoon();
        await this.#pause(goodbye === null ? SAY_EVERY_MS : 0);
      } else if (outcome.kind === "refused") {
        // A poll that is under way may know better why; it knows soon.
        if (!this.#isPolling) return this.#finish(outcome.code, outcome.reason);
        await this.#pause(POLL_LIMIT_MS);
        return this.#finish(outcome.code, outcome.reason);
      } else {
        await this.#failed(outcome, failures++);
      }
    }
    this.#isSaying = false;
  }

  // --- polling ---

  /** From the first answer on: before it the hub does not know the line. */
  #pollSoon(): void {
    if (this.#isPolling) return;
    this.#isPolling = true;
    void this.#poll();
  }

  async #poll(): Promise<void> {
    for (let failures = 0; this.#end === null && this.#goodbye === null;) {
      const poll = { frame: null, waitSeconds: SYNC_WAIT_SECONDS_MAX, close: null };
      const askedMs = this.#now();
      const outcome = await this.#request(poll, POLL_LIMIT_MS);
      if (this.#end !== null) return;
      if (outcome.kind === "answer") {
        failures = 0;
        const isNews = this.#take(outcome.answer);
        if (!isNews && this.#now() - askedMs < POLL_EVERY_MS) await this.#pause(POLL_EVERY_MS);
      } else if (outcome.kind === "refused") {
        return this.#finish(outcome.code, outcome.reason);
      } else {
        await this.#failed(outcome, failures++);
      }
    }
  }

  /** Takes what is new of an answer; says whether anything was. */
  #take({ frames, closed }: SyncAnswer): boolean {
    const fresh = frames.filter(({ n }) => n > this.#received);
    for (const frame of fresh) {
      this.#received = frame.n;
      this.#put({ kind: "text", text: JSON.stringify(frame) });
    }
    if (closed !== null) this.#finish(closed.code, closed.reason);
    return fresh.length > 0;
  }

  // --- requests ---

  async #failed({ reason, waitMs }: Extract<Outcome, { kind: "failed" }>, failures: number): Promise<void> {
    // Whoever asks for a pause gets it, and is no longer waited for than that.
    const patientMs = this.#goodMs + PATIENCE_MS + waitMs;
    // A line that never was is not waited for: there are other ways to try.
    if (!this.#isPolling || this.#now() >= patientMs) return this.#finish(1006, reason);
    await this.#pause(Math.max(waitMs, backoffMs(failures, this.#platform.random.next())));
  }

  async #request(
    said: Pick<SyncRequest, "waitSeconds" | "close"> & { readonly frame: string | null },
    limitMs: number,
  ): Promise<Outcome> {
    const { frame, ...rest } = said;
    const head = JSON.stringify({ line: this.#line, received: this.#received, ...rest });
    const askedMs = this.#now();
    const limit = new AbortController();
    this.#platform.clock.sleep(limitMs, limit.signal).then(
      () => limit.abort(new Error("no answer in time")),
      () => undefined,
    );
    try {
      const response = await this.#platform.fetch(`${this.#config.url}/api/agent/sync`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${this.#config.key}` },
        body: `${head.slice(0, -1)},"frame":${frame}}`,
        // A redirect would carry the key elsewhere.
        redirect: "manual",
        signal: AbortSignal.any([this.#life.signal, limit.signal]),
      });
      const outcome = judge(response, parseJson(await response.text()));
      if (outcome.kind === "answer") {
        this.#goodMs = this.#now();
        if (outcome.answer.closed === null) this.answeredMs = Math.max(this.answeredMs ?? askedMs, askedMs);
      }
      return outcome;
    } catch (error) {
      const reason = limit.signal.aborted ? "no answer in time" : String(error);
      return { kind: "failed", reason: reason.slice(0, 300), waitMs: 0 };
    } finally {
      limit.abort();
    }
  }

  async #pause(ms: number): Promise<void> {
    try {
      await this.#platform.clock.sleep(ms, this.#life.signal);
    } catch {
      // The line has ended, and whoever waits looks.
    }
  }

  #finish(code: number, reason: string): void {
    if (this.#end !== null) return;
    this.#end = { kind: "closed", code, reason };
    this.#life.abort(new Error("the line has ended"));
    this.#wake?.();
  }

  #put(received: Received): void {
    this.#inbox.push(received);
    this.#wake?.();
  }

  #now(): number {
    return this.#platform.clock.monotonic();
  }
}

function judge(response: Response, body: unknown): Outcome {
  const answer = syncAnswer.safeParse(body);
  if (response.status === 200 && answer.success) return { kind: "answer", answer: answer.data };
  const said = errorBody.safeParse(body);
  const reason = `status ${response.status}${said.success ? `: ${said.data.error}` : ""}`.slice(0, 300);
  switch (response.status) {
    case 401:
      return { kind: "refused", code: CLOSE.badKey, reason };
    case 423:
      return { kind: "refused", code: CLOSE.locked, reason };
    case 426:
      return { kind: "refused", code: CLOSE.upgradeNeeded, reason };
    case 408:
    case 425:
    case 429:
      return { kind: "failed", reason, waitMs: retryAfterMs(response) };
  }
  // A proxy's page instead of an answer is no refusal of ours, and may be another one next time.
  if (response.status === 200 || response.status >= 500)
    return { kind: "failed", reason, waitMs: retryAfterMs(response) };
  return { kind: "refused", code: 1006, reason };
}

const RETRY_AFTER_MS_MAX = 5 * 60_000;

function retryAfterMs(response: Response): number {
  const seconds = Number(response.headers.get("Retry-After") ?? 0);
  return Number.isFinite(seconds) ? Math.min(Math.max(0, seconds * 1_000), RETRY_AFTER_MS_MAX) : 0;
}

function parseJson(text: string): unknown {
  if (text.length > ANSWER_CHARACTERS_MAX) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
