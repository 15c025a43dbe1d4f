/**
 * How requests of the data plane reach a server, and how that can fail.
 *
 * A {@link Transport} sends one request and brings its whole answer; it follows no redirect, keeps no cookie, decompresses
 * nothing and tries nothing again but what never got through. Two of them keep one contract: `transport-raw-deno.ts`,
 * which is the hot path, and `transport-fetch.ts` for where `fetch` is needed (a proxy). Nothing here, nor in any
 * error, repeats a path, a query or a header's value: they hold secrets.
 */
import { clearInterval, setInterval } from "node:timers";

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE";
  /** Absolute, with a path; path and query already encoded. */
  readonly url: string;
  /** Visible ASCII. What frames the request (host, lengths, connection) is set by the transport and may not be here. */
  readonly headers: Readonly<Record<string, string>>;
  /** Must stay unchanged until the answer is there. May lie in shared memory. Null for GET and HEAD. */
  readonly body: Uint8Array | null;
  /**
   * Bytes right in front of `body`, in its own buffer, that may be overwritten with the request's head, so that head and
   * body leave in one write. 0 = none.
   */
  readonly headroomBytes: number;
  /** Where the answer's body is put when it fits, so that nothing is allocated; null = fresh memory. Not within `body`. */
  readonly into?: Uint8Array | null;
}

export interface HttpAnswer {
  readonly status: number;
  /** Of repeated fields all values, with commas between; null when there is none. `name` in lower case. */
  header(name: string): string | null;
  readonly body: Uint8Array;
}

/**
 * Asked before each piece of a body leaves, and for each that came before the next is read. Resolves with how many bytes
 * may go now (1 to `wantedBytes`). Its waiting is not a stall.
 */
export interface Pace {
  take(wantedBytes: number, signal: AbortSignal): number | Promise<number>;
}

export interface Transport {
  /** Rejects with the signal's reason, or a {@link TransportError}; any status is an answer. */
  send(
    request: HttpRequest,
    options: { readonly signal: AbortSignal; readonly pace: Pace | null },
  ): Promise<HttpAnswer>;
  /** Ends what is under way (as `broken`) and closes all connections. Nothing can be sent after it. */
  close(): void;
}

/**
 * `unreachable`: no connection came about. `tls`: no trust, or no common language. `broken`: the connection ended too soon.
 * `stalled`: nothing moved for too long. `malformed`: the answer, or the request, breaks the rules of HTTP. `too_large`: the
 * answer is more than we ever ask for.
 */
export type TransportErrorKind = "unreachable" | "tls" | "broken" | "stalled" | "malformed" | "too_large";

export class TransportError extends Error {
  override readonly name = "TransportError";
  readonly kind: TransportErrorKind;
  constructor(kind: TransportErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Of one answer with all that came before it (100 Continue). */
export const ANSWER_HEAD_BYTES_MAX = 64 * 1_024;
/** A listing of 5,000 names with metadata has a few MiB; nothing we ask for is larger. */
export const ANSWER_BODY_BYTES_MAX = 64 * 1_024 * 1_024;
export const STALL_MS = 60_000;
/** Load balancers of storage services close after minutes; a connection we close first is never found dead. */
export const IDLE_MS = 30_000;
export const NO_BYTES: Uint8Array = new Uint8Array(0);

/** Names that passed. The program has a few dozen; the limit is for one that is fed with foreign ones. */
const goodNames = new Set<string>();
const GOOD_NAMES_MAX = 256;
/** These decide where a request ends and who gets it: two opinions on that are how requests are smuggled. */
const OWN_NAMES = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
  "expect",
]);

/** Throws what no transport sends; both throw the same. */
export function checkRequest({ method, url, headers, body, headroomBytes }: HttpRequest): void {
  if (!/^https?:\/\/[^\s/?#@\\]+\/[!"$-~]*$/.test(url)) throw unsendable("its address is not an encoded one");
  // `fetch` would take such segments out, and another thing would be written.
  if (url.includes("/.") || url.includes("/%2")) {
    if (/^[^?]*\/(?:\.|%2e){1,2}(?:[/?]|$)/i.test(url)) throw unsendable("its path has dot segments");
  }
  for (const name of Object.keys(headers)) {
    if (!goodNames.has(name)) checkName(name);
    if (/[^\t -~]/.test(headers[name] ?? "")) {
      throw unsendable(`the value of "${name}" has characters that no header may have`);
    }
  }
  if (body === null) return;
  if (method === "GET" || method === "HEAD") throw unsendable(`a ${method} has no body`);
  if (body.byteOffset < headroomBytes) throw unsendable("its body has no such headroom");
}

function checkName(name: string): void {
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)) throw unsendable("the name of a header is none");
  if (OWN_NAMES.has(name.toLowerCase())) throw unsendable(`"${name}" is for the transport to set`);
  if (goodNames.size < GOOD_NAMES_MAX) goodNames.add(name);
}

function unsendable(state: string): TransportError {
  return new TransportError("malformed", `Cannot send the request: ${state}`);
}

/** Scheme, host and port: all of an address that may be shown. Of a checked one. */
export function originOf(url: string): string {
  return url.slice(0, url.indexOf("/", 8));
}

// The messages are the same whoever sends.

export function broken(label: string, state: string, cause?: unknown): TransportError {
  return new TransportError("broken", `Cannot get an answer of ${label}: ${state}`, { cause });
}

export function stalled(label: string): TransportError {
  return new TransportError("stalled", `Cannot get an answer of ${label}: nothing moves`);
}

export function tooLarge(label: string): TransportError {
  return new TransportError(
    "too_large",
    `Cannot read the answer of ${label}: it is larger than any we ask for`,
  );
}

export function closed(label: string): TransportError {
  return new TransportError("broken", `Cannot send to ${label}: the transport is closed`);
}

/** What has to be looked at now and then: is it stalled, is it idle? */
export interface Ticked {
  tick(): void;
}

/**
 * One timer for all connections of a transport, which runs only while there are some and never keeps the process alive.
 * Ticks are counted instead of clocks compared, so that a machine that slept does not find everything stalled.
 */
export class Ticker {
  readonly tickMs: number;
  readonly #ticked = new Set<Ticked>();
  #timer: ReturnType<typeof setInterval> | null = null;

  constructor(shortestMs: number) {
    this.tickMs = Math.max(1, Math.min(1_000, shortestMs / 4));
  }

  /** How many ticks make `ms`. */
  ticks(ms: number): number {
    return Math.ceil(ms / this.tickMs);
  }

  add(ticked: Ticked): void {
    this.#ticked.add(ticked);
    this.#timer ??= setInterval(() => this.#tick(), this.tickMs).unref();
  }

  delete(ticked: Ticked): void {
    this.#ticked.delete(ticked);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#ticked.clear();
  }

  #tick(): void {
    if (this.#ticked.size === 0) return this.close();
    for (const ticked of this.#ticked) ticked.tick();
  }
}
