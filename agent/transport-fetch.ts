/**
 * The transport over `fetch`, for where the raw one cannot go: behind a proxy, or with what only an HTTP client can do.
 *
 * Slower, and it copies each piece of a body; in return nothing of a body is sent from the caller's memory after the
 * answer. What differs from the raw one lies in `fetch`: framing is judged by its client (which lets some shapes pass that
 * the raw one refuses), and a connection that the server closed in the very moment it was taken again is `broken`.
 */
import { Collected } from "./transport-answer.ts";
import {
  ANSWER_HEAD_BYTES_MAX,
  broken,
  checkRequest,
  closed,
  type HttpAnswer,
  type HttpRequest,
  NO_BYTES,
  originOf,
  type Pace,
  STALL_MS,
  stalled,
  Ticker,
  tooLarge,
  type Transport,
  TransportError,
} from "./transport.ts";

const PIECE_BYTES = 256 * 1024;

export interface FetchTransportOptions {
  /** Bound to the client that knows proxy and certificates. Whoever made that client closes it. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** No byte in either direction for so long ends a request. */
  readonly stallMs?: number;
}

export class FetchTransport implements Transport {
  readonly #fetch: FetchTransportOptions["fetch"];
  readonly #ticker: Ticker;
  readonly #stallTicksMax: number;
  readonly #open = new Set<FetchExchange>();
  #isClosed = false;

  constructor({ fetch, stallMs = STALL_MS }: FetchTransportOptions) {
    this.#fetch = fetch;
    this.#ticker = new Ticker(stallMs);
    this.#stallTicksMax = this.#ticker.ticks(stallMs);
  }

  async send(
    request: HttpRequest,
    { signal, pace }: { readonly signal: AbortSignal; readonly pace: Pace | null },
  ): Promise<HttpAnswer> {
    signal.throwIfAborted();
    checkRequest(request);
    if (this.#isClosed) throw closed(originOf(request.url));
    const exchange = new FetchExchange(request, pace, this.#stallTicksMax);
    const onAbort = () => exchange.fail(signal.reason);
    signal.addEventListener("abort", onAbort);
    this.#open.add(exchange);
    this.#ticker.add(exchange);
    try {
      return await exchange.run(this.#fetch);
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#open.delete(exchange);
      this.#ticker.delete(exchange);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const exchange of this.#open) exchange.fail(closed(exchange.label));
    this.#ticker.close();
  }
}

class FetchExchange {
  readonly label: string;
  readonly #request: HttpRequest;
  readonly #pace: Pace | null;
  readonly #stallTicksMax: number;
  readonly #stop = new AbortController();
  #progress = 0;
  #progressSeen = 0;
  #quietTicks = 0;
  #pacing = 0;

  constructor(request: HttpRequest, pace: Pace | null, stallTicksMax: number) {
    this.label = originOf(request.url);
    this.#request = request;
    this.#pace = pace;
    this.#stallTicksMax = stallTicksMax;
  }

  async run(fetch: FetchTransportOptions["fetch"]): Promise<HttpAnswer> {
    const { method, url, headers, body } = this.#request;
    const init: RequestInit = {
      method,
      // Else the client would ask for compression, and decompress.
      headers: { "accept-encoding": "identity", ...headers },
      body: body === null || body.length === 0 ? null : new PacedBody(body, this),
      redirect: "manual",
      signal: this.#stop.signal,
    };
    try {
      const response = await fetch(url, init);
      this.#progress++;
      return await this.#receive(response);
    } catch (error) {
      // Lets go of whatever is still under way; the first reason stays.
      this.#stop.abort(error instanceof TransportError ? error : explain(error, this.label));
      throw this.#stop.signal.reason;
    }
  }

  fail(reason: unknown): void {
    this.#stop.abort(reason);
  }

  tick(): void {
    if (this.#progress !== this.#progressSeen || this.#pacing > 0) {
      this.#progressSeen = this.#progress;
      this.#quietTicks = 0;
    } else if (++this.#quietTicks > this.#stallTicksMax) {
      this.fail(stalled(this.label));
    }
  }

  /** How much may move now. */
  async grant(wantedBytes: number): Promise<number> {
    this.#progress++;
    if (this.#pace === null) return wantedBytes;
    this.#pacing++;
    try {
      const granted = await this.#pace.take(wantedBytes, this.#stop.signal);
      return Math.max(1, Math.min(wantedBytes, granted));
    } catch (error) {
      this.fail(error);
      throw error;
    } finally {
      this.#pacing--;
      this.#progress++;
    }
  }

  async #receive(response: Response): Promise<HttpAnswer> {
    let headBytes = 0;
    for (const [name, value] of response.headers) headBytes += name.length + value.length + 4;
    if (headBytes > ANSWER_HEAD_BYTES_MAX) throw tooLarge(this.label);
    const collected = new Collected(this.#request.into ?? NO_BYTES, () => tooLarge(this.label));
    for await (const piece of response.body ?? []) {
      collected.add(piece);
      for (let rest = piece.length; rest > 0;) rest -= await this.grant(rest);
    }
    const { status, headers } = response;
    return { status, body: collected.bytes, header: (name) => headers.get(name) };
  }
}

/**
 * A body that says its length and yet is asked for piece by piece.
 *
 * Deno (2.9.4) sends a `ReadableStream` chunked, whatever `content-length` says, and storage services refuse that; of a
 * `Blob` it sends `size` as the length and reads `stream()`. A body given as bytes would be copied whole, twice.
 */
class PacedBody extends Blob {
  readonly #bytes: Uint8Array;
  readonly #exchange: FetchExchange;

  constructor(bytes: Uint8Array, exchange: FetchExchange) {
    super();
    this.#bytes = bytes;
    this.#exchange = exchange;
  }

  override get size(): number {
    return this.#bytes.length;
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const [bytes, exchange] = [this.#bytes, this.#exchange];
    let at = 0;
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        async pull(controller) {
          const granted = await exchange.grant(Math.min(bytes.length - at, PIECE_BYTES));
          // `fetch` takes no shared memory.
          controller.enqueue(new Uint8Array(bytes.subarray(at, at + granted)));
          at += granted;
          if (at === bytes.length) controller.close();
        },
      },
      { highWaterMark: 0 },
    );
  }
}

/**
 * What hyper and rustls say about themselves tells causes apart. Nothing of the text is kept: it has the whole address, and
 * only what follows the address is looked at, or a file's name could pass for a cause.
 */
function explain(error: unknown, label: string): TransportError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text = String(cause);
  const client = text.slice(Math.max(0, text.lastIndexOf("client error (")));
  if (client.startsWith("client error (Connect)")) {
    return /certificate|tls|handshake|corrupt|invalid peer/i.test(client)
      ? new TransportError("tls", `Cannot reach ${label}: no agreement on TLS`)
      : new TransportError("unreachable", `Cannot reach ${label}: no connection`);
  }
  if (client.startsWith("client error (SendRequest)")) {
    if (client.includes("too large")) return tooLarge(label);
    if (/invalid|parse/.test(client)) {
      return new TransportError(
        "malformed",
        `Cannot read the answer of ${label}: it breaks the rules of HTTP`,
      );
    }
  }
  return broken(label, "the connection ended");
}
