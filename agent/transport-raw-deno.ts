/**
 * HTTP/1.1 over Deno's sockets: the hot path of an upload. Hides connections, framing and the watch over stalls.
 *
 * Made for buffers that are used again and again: the head is written right in front of the body and leaves with it, a
 * body is never copied, and nothing is allocated per request that can be kept per connection. Measured on loopback, a
 * request with 4 KiB costs about a fifth of what it does over `node:http`.
 *
 * A connection has a read under way while a large body leaves and while it is idle. So an early answer is seen at
 * once, a connection that the server closes is gone from the pool before it is taken, and bytes nobody asked for
 * are never taken for the answer to the next request. A small body leaves in one write, and a connection that is taken again
 * at once is hardly idle: there the read begins after the write, because one that waits beside it costs 6 µs a request,
 * over TLS 14.
 *
 * `Deno.Conn.close` does not end a write that waits for the peer (2.9.4): such a write goes on to send from the caller's
 * buffer, which by then has other bytes in it. So that a server can never get a *whole* body of which a part is
 * not what was meant, the last bytes of a body that is written in several pieces leave from memory of the connection.
 */
import {
  Answer,
  type AnswerHead,
  Collected,
  FramingError,
  readChunkSize,
  readHead,
  readLine,
} from "./transport-answer.ts";
import {
  ANSWER_BODY_BYTES_MAX,
  ANSWER_HEAD_BYTES_MAX,
  broken,
  checkRequest,
  closed,
  type HttpAnswer,
  type HttpRequest,
  IDLE_MS,
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

/** More per write is no faster, and less holds back the answer to an abort. */
const PIECE_BYTES = 1024 * 1024;
/** TLS copies into its own buffers. */
const TLS_PIECE_BYTES = 256 * 1024;
const READ_BYTES = 16 * 1024;
/** A body without headroom up to this size is copied behind its head: cheaper than a second write. */
const JOINED_BYTES_MAX = 16 * 1024;
/** Up to this size the answer is read after the body has left, or from the next tick on. */
const READ_AFTER_BYTES_MAX = 64 * 1024;
/** A connection that is not taken again for so long is read from meanwhile. */
const LULL_MS = 5;
/** See above: what leaves last, and from memory of its own. */
const TAIL_BYTES = 4 * 1024;
/** Size line with extensions, or a line of a trailer. */
const CHUNK_LINE_BYTES_MAX = 4 * 1024;

/** 100 Continue and the like, before one answer. */
const INTERIMS_MAX = 16;
const LF = 0x0a;
/** Thrown and caught in here: no more bytes come from this connection. */
const ENDED = new Error("The connection has ended");

const encoder = new TextEncoder();

export interface RawTransportOptions {
  /** No byte in either direction for so long ends a request; the same for a connection to come about. */
  readonly stallMs?: number;
  readonly idleMs?: number;
  /** PEM, trusted in addition to the system's. */
  readonly caCerts?: readonly string[];
}

/** What is used of `Deno.Conn`. */
interface Socket {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
  ref(): void;
  unref(): void;
}

/** One server, as addresses name it, with its idle connections. */
interface Origin {
  /** Scheme, host and port. */
  readonly label: string;
  readonly isTls: boolean;
  readonly hostname: string;
  readonly port: number;
  /** What the header says. */
  readonly host: string;
  /** The one used last is taken first, so that those in excess get old and are closed. */
  readonly idle: Connection[];
}

interface Exchange {
  readonly request: HttpRequest;
  /** The request's head. */
  readonly head: string;
  readonly signal: AbortSignal;
  readonly pace: Pace | null;
}

/** What all connections of a transport share. */
interface Shared {
  readonly ticker: Ticker;
  readonly stallTicksMax: number;
  readonly idleTicksMax: number;
  readonly caCerts: readonly string[];
  readonly lull: Lull;
  /** Whatever has to end when the transport is closed. */
  readonly open: Set<{ fail(reason: unknown): void }>;
}

export class RawTransport implements Transport {
  readonly #origins = new Map<string, Origin>();
  readonly #shared: Shared;
  #isClosed = false;

  constructor(options: RawTransportOptions = {}) {
    const { stallMs = STALL_MS, idleMs = IDLE_MS, caCerts = [] } = options;
    const ticker = new Ticker(Math.min(stallMs, idleMs));
    this.#shared = {
      ticker,
      stallTicksMax: ticker.ticks(stallMs),
      idleTicksMax: ticker.ticks(idleMs),
      caCerts,
      lull: new Lull(),
      open: new Set(),
    };
  }

  async send(
    request: HttpRequest,
    { signal, pace }: { readonly signal: AbortSignal; readonly pace: Pace | null },
  ): Promise<HttpAnswer> {
    signal.throwIfAborted();
    checkRequest(request);
    const origin = this.#originOf(request.url);
    const exchange = { request, head: writeHead(request, origin), signal, pace };
    const used = origin.idle.pop();
    if (used !== undefined) {
      const answer = await used.exchange(exchange);
      // The server had closed it while we thought it idle: what was sent went nowhere (RFC 9110, 9.2.2; RFC 9112, 9.3.1).
      if (answer !== null) return answer;
      signal.throwIfAborted();
    }
    if (this.#isClosed) throw closed(origin.label);
    const connection = await new Connecting(origin, this.#shared).connect(signal);
    const answer = await connection.exchange(exchange);
    if (answer === null) throw broken(origin.label, "the connection ended before an answer came");
    return answer;
  }

  close(): void {
    this.#isClosed = true;
    for (const one of this.#shared.open) one.fail(closed("the server"));
    this.#shared.ticker.close();
    this.#shared.lull.close();
  }

  #originOf(url: string): Origin {
    const label = originOf(url);
    if (this.#isClosed) throw closed(label);
    const known = this.#origins.get(label);
    if (known !== undefined) return known;
    const parsed = URL.parse(label);
    if (parsed === null) throw new TransportError("malformed", "Cannot send the request: its host is none");
    const isTls = parsed.protocol === "https:";
    const origin: Origin = {
      label,
      isTls,
      hostname: parsed.hostname.replace(/^\[|\]$/g, ""),
      port: Number(parsed.port === "" ? (isTls ? 443 : 80) : parsed.port),
      host: parsed.host,
      idle: [],
    };
    this.#origins.set(label, origin);
    return origin;
  }
}

function writeHead({ method, url, headers, body }: HttpRequest, origin: Origin): string {
  let head = `${method} ${url.slice(origin.label.length)} HTTP/1.1\r\nhost: ${origin.host}\r\n`;
  for (const name of Object.keys(headers)) head += `${name}: ${headers[name]}\r\n`;
  if (method === "PUT" || body !== null) head += `content-length: ${body?.length ?? 0}\r\n`;
  return `${head}\r\n`;
}

/** Connections that came to rest: looked at together, so that those in use pay nothing for it. */
class Lull {
  readonly #resting = new Set<Connection>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  add(connection: Connection): void {
    this.#resting.add(connection);
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      for (const resting of this.#resting) resting.watch();
      this.#resting.clear();
    }, LULL_MS);
    this.#timer.unref();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

/** A connection that is not there yet. */
class Connecting {
  readonly #origin: Origin;
  readonly #shared: Shared;
  readonly #stop = new AbortController();
  #socket: Socket | null = null;
  #ticks = 0;

  constructor(origin: Origin, shared: Shared) {
    this.#origin = origin;
    this.#shared = shared;
  }

  async connect(signal: AbortSignal): Promise<Connection> {
    const { ticker, open } = this.#shared;
    const onAbort = () => this.fail(signal.reason);
    signal.addEventListener("abort", onAbort);
    ticker.add(this);
    open.add(this);
    try {
      const socket = await this.#open();
      this.#stop.signal.throwIfAborted();
      return new Connection(socket, this.#origin, this.#shared);
    } catch (error) {
      closeSocket(this.#socket);
      if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      ticker.delete(this);
      open.delete(this);
    }
  }

  fail(reason: unknown): void {
    this.#stop.abort(reason);
    closeSocket(this.#socket);
  }

  tick(): void {
    if (++this.#ticks <= this.#shared.stallTicksMax) return;
    this.fail(stalled(this.#origin.label));
  }

  async #open(): Promise<Socket> {
    const { hostname, port, isTls, label } = this.#origin;
    let socket: Deno.TcpConn;
    try {
      socket = await Deno.connect({ hostname, port, signal: this.#stop.signal });
      this.#socket = socket;
      socket.setNoDelay(true);
    } catch (cause) {
      throw new TransportError("unreachable", `Cannot reach ${label}: no connection`, { cause });
    }
    if (!isTls) return socket;
    this.#stop.signal.throwIfAborted();
    try {
      const caCerts = [...this.#shared.caCerts];
      const secured = await Deno.startTls(socket, { hostname, caCerts, alpnProtocols: ["http/1.1"] });
      this.#socket = secured;
      await secured.handshake();
      return secured;
    } catch (cause) {
      // What rustls refuses is invalid data; the rest is a connection that was lost.
      const kind = cause instanceof Deno.errors.InvalidData ? "tls" : "unreachable";
      throw new TransportError(kind, `Cannot reach ${label}: no agreement on TLS`, { cause });
    }
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #origin: Origin;
  readonly #shared: Shared;
  readonly #pieceBytes: number;
  /** Bytes that came and were not used yet are those from `start` to `end`. */
  #buffer = new Uint8Array(READ_BYTES);
  #start = 0;
  #end = 0;
  /** The read under way into the buffer. False: no more will come. */
  #reading: Promise<boolean> | null = null;
  #readError: unknown = null;
  /** Resolves when the answer to a small request is worth waiting for; null when reading is not put off. */
  #readable: PromiseWithResolvers<void> | null = null;
  /** Head with small body, or tail. */
  #scratch: Uint8Array = NO_BYTES;

  /** Null while idle. */
  #exchange: Exchange | null = null;
  #hasServed = false;
  /** A byte of an answer came in this exchange. */
  #isAnswering = false;
  /** The answer proper has begun, so no more of the body is sent. */
  #isAnswered = false;
  #isSent = false;
  #isLast = false;
  /** Set once: why the connection is closed. */
  #failure: { readonly reason: unknown } | null = null;

  /** Grows with whatever moves. */
  #progress = 0;
  #progressSeen = 0;
  #quietTicks = 0;
  #pacing = 0;
  #paceStop: AbortController | null = null;
  #isUnreferenced = false;

  constructor(socket: Socket, origin: Origin, shared: Shared) {
    this.#socket = socket;
    this.#origin = origin;
    this.#shared = shared;
    this.#pieceBytes = origin.isTls ? TLS_PIECE_BYTES : PIECE_BYTES;
    shared.ticker.add(this);
    shared.open.add(this);
  }

  /** Null when the connection, used before, ended before a byte of the answer came. */
  async exchange(exchange: Exchange): Promise<HttpAnswer | null> {
    this.#begin(exchange);
    exchange.signal.addEventListener("abort", this.#onAbort);
    try {
      // Never rejects, and may outlast the answer when that is an early one.
      void this.#send(exchange);
      await this.#readable?.promise;
      const answer = await this.#receive(exchange);
      if (!this.#isSent) await this.#endEarly(answer);
      if (this.#failure === null) this.#release();
      return answer;
    } catch (error) {
      const failure = this.#failure;
      this.fail(error);
      if (failure !== null) throw failure.reason;
      if (error === ENDED && !this.#isAnswering && this.#hasServed) return null;
      throw this.#explain(error);
    } finally {
      exchange.signal.removeEventListener("abort", this.#onAbort);
    }
  }

  /** Closes; an exchange under way rejects with the reason. */
  fail(reason: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = { reason };
    this.#shared.ticker.delete(this);
    this.#shared.open.delete(this);
    this.#paceStop?.abort(reason);
    closeSocket(this.#socket);
    this.#readable?.resolve();
    const { idle } = this.#origin;
    const place = idle.indexOf(this);
    if (place !== -1) idle.splice(place, 1);
  }

  /** Sees what comes, or that nothing will any more, also while nothing is asked. */
  watch(): void {
    if (this.#exchange === null && this.#failure === null) this.#reading ??= this.#read();
  }

  tick(): void {
    this.#readable?.resolve();
    if (this.#progress !== this.#progressSeen || this.#pacing > 0) {
      this.#progressSeen = this.#progress;
      this.#quietTicks = 0;
      return;
    }
    this.#quietTicks++;
    if (this.#exchange !== null) {
      if (this.#quietTicks > this.#shared.stallTicksMax) this.fail(stalled(this.#origin.label));
      return;
    }
    // Only now and not on release, so that a busy connection does not pay for it.
    if (!this.#isUnreferenced) this.#socket.unref();
    this.#isUnreferenced = true;
    if (this.#quietTicks > this.#shared.idleTicksMax) this.fail(ENDED);
  }

  #begin(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#isAnswering = false;
    this.#isAnswered = false;
    this.#isSent = false;
    this.#progress++;
    if (this.#isUnreferenced) this.#socket.ref();
    this.#isUnreferenced = false;
    this.#readable = null;
    if (this.#reading !== null) return;
    if ((exchange.request.body?.length ?? 0) > READ_AFTER_BYTES_MAX) this.#reading = this.#read();
    else this.#readable = Promise.withResolvers();
  }

  #release(): void {
    this.#exchange = null;
    if (this.#isLast) return this.fail(ENDED);
    this.#hasServed = true;
    this.#progress++;
    this.#origin.idle.push(this);
    this.#shared.lull.add(this);
  }

  /** The answer came before the body had left: nobody knows what the server makes of the rest. */
  async #endEarly(answer: HttpAnswer): Promise<void> {
    // The last write may be over and just not have been told.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (this.#isSent) return;
    if (answer.status < 300)
      throw new FramingError("it says that all is well before it had all of the request");
    this.fail(ENDED);
  }

  #explain(error: unknown): unknown {
    const { label } = this.#origin;
    if (error instanceof FramingError) {
      return new TransportError("malformed", `Cannot read the answer of ${label}: ${error.message}`);
    }
    if (error !== ENDED) return error;
    const place = this.#isAnswering ? "in the middle of the answer" : "before an answer came";
    return broken(label, `the connection ended ${place}`, this.#readError);
  }

  readonly #onAbort = () => this.fail(this.#exchange?.signal.reason);

  // --- sending -----------------------------------------------------------------------------------------------------

  /** Never rejects: that nothing can be written shows, and is told, at the reading end, where an answer may wait. */
  async #send({ request, head, pace }: Exchange): Promise<void> {
    try {
      const body = request.body ?? NO_BYTES;
      let granted = await this.#grant(pace, Math.min(body.length, this.#pieceBytes));
      let sent = await this.#writeFirst(head, request, granted);
      granted -= sent;
      while (sent < body.length) {
        if (this.#isAnswered) return;
        if (granted === 0) granted = await this.#grant(pace, Math.min(body.length - sent, this.#pieceBytes));
        const written = await this.#writePiece(body, sent, granted);
        sent += written;
        granted -= written;
      }
      this.#isSent = true;
    } catch {
      // See above.
    } finally {
      this.#readable?.resolve();
    }
  }

  /** The head with as much of the body as is granted; resolves with how much of the body has left. */
  async #writeFirst(head: string, request: HttpRequest, granted: number): Promise<number> {
    const body = request.body ?? NO_BYTES;
    let bytes: Uint8Array;
    if (head.length <= request.headroomBytes) {
      bytes = new Uint8Array(body.buffer, body.byteOffset - head.length, head.length + granted);
      encoder.encodeInto(head, bytes);
    } else {
      const joined = granted <= JOINED_BYTES_MAX ? granted : 0;
      bytes = this.#scratchOf(head.length + joined);
      encoder.encodeInto(head, bytes);
      bytes.set(body.subarray(0, joined), head.length);
    }
    let written = await this.#write(bytes);
    while (written < head.length) written += await this.#write(bytes.subarray(written, head.length));
    return written - head.length;
  }

  async #writePiece(body: Uint8Array, from: number, sizeBytes: number): Promise<number> {
    const restBytes = body.length - from;
    if (sizeBytes < restBytes) return await this.#write(body.subarray(from, from + sizeBytes));
    if (restBytes > TAIL_BYTES) return await this.#write(body.subarray(from, body.length - TAIL_BYTES));
    const tail = this.#scratchOf(restBytes);
    tail.set(body.subarray(from));
    return await this.#write(tail);
  }

  async #write(bytes: Uint8Array): Promise<number> {
    const written = await this.#socket.write(bytes);
    this.#progress++;
    return written;
  }

  #scratchOf(sizeBytes: number): Uint8Array {
    if (this.#scratch.length < sizeBytes) this.#scratch = new Uint8Array(Math.max(sizeBytes, TAIL_BYTES));
    return this.#scratch.subarray(0, sizeBytes);
  }

  async #grant(pace: Pace | null, wantedBytes: number): Promise<number> {
    if (pace === null || wantedBytes === 0) return wantedBytes;
    if (this.#failure !== null) throw ENDED;
    this.#paceStop ??= new AbortController();
    this.#pacing++;
    try {
      const granted = await pace.take(wantedBytes, this.#paceStop.signal);
      return Math.max(1, Math.min(wantedBytes, granted));
    } catch (error) {
      this.fail(error);
      throw error;
    } finally {
      this.#pacing--;
      this.#progress++;
    }
  }

  // --- receiving ---------------------------------------------------------------------------------------------------

  async #receive({ request, pace }: Exchange): Promise<HttpAnswer> {
    const head = await this.#receiveHead();
    this.#isAnswered = true;
    this.#isLast = head.isLast;
    const body = await this.#receiveBody(head, request, pace);
    if (this.#start !== this.#end) throw new FramingError("more comes than belongs to it");
    this.#start = 0;
    this.#end = 0;
    return new Answer(head, body);
  }

  async #receiveHead(): Promise<AnswerHead> {
    let interims = 0;
    let checked = this.#start;
    for (;;) {
      await this.#more();
      // Nothing new to find out without the end of a line, so that single bytes do not cost a reading each.
      if (this.#buffer.indexOf(LF, checked) === -1 && checked > this.#start) continue;
      for (;;) {
        const head = readHead(this.#buffer, this.#start, this.#end);
        if (head === null) break;
        this.#start = head.end;
        if (head.status >= 200) return head;
        // 101 would be another protocol, which we never ask for.
        if (head.status === 101 || ++interims > INTERIMS_MAX)
          throw new FramingError("it is no answer to the request");
        if (this.#start === this.#end) break;
      }
      checked = this.#end;
    }
  }

  async #receiveBody(head: AnswerHead, request: HttpRequest, pace: Pace | null): Promise<Uint8Array> {
    if (request.method === "HEAD" || head.status === 204 || head.status === 304) return NO_BYTES;
    if (head.contentLength === 0) return NO_BYTES;
    const into = request.into ?? NO_BYTES;
    if (head.contentLength !== null) return await this.#receiveLength(head.contentLength, into, pace);
    const body = new Collected(into, () => tooLarge(this.#origin.label));
    if (head.isChunked) await this.#receiveChunks(body, pace);
    else await this.#receiveToEnd(body, pace);
    return body.bytes;
  }

  /** Straight to where it belongs, but for what came with the head. */
  async #receiveLength(length: number, into: Uint8Array, pace: Pace | null): Promise<Uint8Array> {
    if (length > ANSWER_BODY_BYTES_MAX) throw tooLarge(this.#origin.label);
    const body = length <= into.length ? into.subarray(0, length) : new Uint8Array(length);
    let at = Math.min(length, this.#end - this.#start);
    body.set(this.#buffer.subarray(this.#start, this.#start + at));
    this.#start += at;
    await this.#pay(pace, at);
    while (at < length) {
      const count = await this.#receiveInto(body.subarray(at, at + PIECE_BYTES));
      at += count;
      await this.#pay(pace, count);
    }
    return body;
  }

  async #receiveInto(piece: Uint8Array): Promise<number> {
    let count: number | null = null;
    try {
      count = await this.#socket.read(piece);
    } catch (error) {
      this.#readError = error;
    }
    if (count === null) throw ENDED;
    this.#progress++;
    return count;
  }

  async #receiveChunks(body: Collected, pace: Pace | null): Promise<void> {
    for (;;) {
      const lineEnd = await this.#line();
      let rest = readChunkSize(this.#buffer, this.#start, lineEnd);
      this.#start = lineEnd + 2;
      if (rest === 0) break;
      while (rest > 0) {
        if (this.#start === this.#end) await this.#more();
        const count = Math.min(rest, this.#end - this.#start);
        body.add(this.#buffer.subarray(this.#start, this.#start + count));
        this.#start += count;
        rest -= count;
        await this.#pay(pace, count);
      }
      if ((await this.#line()) !== this.#start) throw new FramingError("a chunk is longer than it says");
      this.#start += 2;
    }
    await this.#skipTrailer();
  }

  async #skipTrailer(): Promise<void> {
    for (let trailerBytes = 0; ;) {
      const lineEnd = await this.#line();
      const lineBytes = lineEnd - this.#start;
      this.#start = lineEnd + 2;
      if (lineBytes === 0) return;
      trailerBytes += lineBytes + 2;
      if (trailerBytes > ANSWER_HEAD_BYTES_MAX) throw tooLarge(this.#origin.label);
    }
  }

  /** For servers of old, who end the answer by ending the connection. */
  async #receiveToEnd(body: Collected, pace: Pace | null): Promise<void> {
    this.#isLast = true;
    for (;;) {
      const count = this.#end - this.#start;
      body.add(this.#buffer.subarray(this.#start, this.#end));
      this.#start = this.#end;
      await this.#pay(pace, count);
      try {
        await this.#more();
      } catch (error) {
        if (this.#failure === null && error === ENDED && this.#readError === null) return;
        throw error;
      }
    }
  }

  /** Where the line that starts at `start` ends. */
  async #line(): Promise<number> {
    for (;;) {
      const lineEnd = readLine(this.#buffer, this.#start, this.#end);
      if (lineEnd !== -1) return lineEnd;
      if (this.#end - this.#start > CHUNK_LINE_BYTES_MAX) throw new FramingError("a line is too long");
      await this.#more();
    }
  }

  async #pay(pace: Pace | null, sizeBytes: number): Promise<void> {
    if (pace === null) return;
    for (let rest = sizeBytes; rest > 0;) rest -= await this.#grant(pace, rest);
  }

  /** Resolves when more bytes are in the buffer; throws {@link ENDED} when none will come. */
  async #more(): Promise<void> {
    if (!(await (this.#reading ??= this.#read()))) throw ENDED;
  }

  #read(): Promise<boolean> {
    this.#makeRoom();
    return this.#socket
      .read(this.#end === 0 ? this.#buffer : this.#buffer.subarray(this.#end))
      .then(this.#onRead, this.#onReadError);
  }

  #makeRoom(): void {
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    }
    if (this.#end < this.#buffer.length) return;
    const kept = this.#buffer.subarray(this.#start, this.#end);
    if (this.#start === 0) {
      if (this.#buffer.length >= ANSWER_HEAD_BYTES_MAX) throw tooLarge(this.#origin.label);
      this.#buffer = new Uint8Array(this.#buffer.length * 2);
    }
    this.#buffer.set(kept);
    this.#end = kept.length;
    this.#start = 0;
  }

  readonly #onRead = (count: number | null): boolean => {
    this.#reading = null;
    // Closed by the server while idle, or bytes that nobody asked for: either way it is of no more use.
    if (this.#exchange === null) this.fail(ENDED);
    if (count === null) return false;
    this.#end += count;
    this.#progress++;
    this.#isAnswering = true;
    return true;
  };

  readonly #onReadError = (error: unknown): boolean => {
    this.#readError = error;
    return this.#onRead(null);
  };
}

function closeSocket(socket: Socket | null): void {
  try {
    socket?.close();
  } catch {
    // It is closed, which is what was wanted.
  }
}
