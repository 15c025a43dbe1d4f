/**
 * The storage emulator behind a network and a service that misbehave. What a blob, a block or a listing is, stays the
 * emulator's business: a request without a fault goes through as it came. Clients are spoken to over plain TCP, so that an
 * exchange can end at any byte.
 *
 * A fault is armed for the requests that match, or comes by itself in a storm, whose schedule is made of a seed and of what is
 * asked how often: not of the order in which requests happen to arrive. Whatever was asked is kept for assertions.
 *
 * Only `node:net` and `node:http`: it runs in the agent's tests on Deno and beside the real product on Node.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { Agent, type IncomingHttpHeaders, request, type RequestOptions } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

const OPERATIONS = {
  "PUT ": "put_blob",
  "PUT block": "put_block",
  "PUT blocklist": "put_block_list",
  "PUT tier": "set_tier",
  "GET blocklist": "get_block_list",
  "GET ": "get",
  "HEAD ": "head",
  "DELETE ": "delete",
} as const;
export type Operation = (typeof OPERATIONS)[keyof typeof OPERATIONS] | "list" | "other";

/** Where in an exchange: the emulator has been asked, and has acted, before `before_answer`. */
export type Point = "before_body" | "after_body" | "before_answer" | "in_answer";

export type Fault =
  /** The connection is reset. At `before_answer` it is the lost answer: done, and nobody knows. */
  | { readonly kind: "reset"; readonly at: Point }
  /** The connection is reset within the body (below a half) or within the answer, at that share of both. */
  | { readonly kind: "reset_within"; readonly share: number }
  /** From there on not a byte, until the client gives up. */
  | { readonly kind: "stall"; readonly at: Point }
  /** The service says no, without having done anything. */
  | {
      readonly kind: "refuse";
      readonly status: number;
      readonly code: string;
      readonly retryAfter?: { readonly seconds: number; readonly form: "seconds" | "date" };
    }
  /** 403 for the SAS that is seen first, until one comes with another. */
  | { readonly kind: "expired_sas" }
  /** Somebody between us and the service answers in its place. */
  | { readonly kind: "portal"; readonly form: "page" | "redirect" }
  /** The answer says how long it is, and the connection ends in the middle of it. */
  | { readonly kind: "truncate" }
  | { readonly kind: "slow"; readonly bytesPerSecond: number }
  /** The answer comes in pieces of so many bytes. */
  | { readonly kind: "sliced"; readonly sliceBytes: number }
  | { readonly kind: "latency"; readonly delayMs: number }
  /** One bit of the body changes on its way. With the checksums removed the emulator stores it so. */
  | { readonly kind: "corrupt_upload"; readonly checksums: "kept" | "removed" }
  | { readonly kind: "corrupt_download" }
  /** The answer's `Date` is off by so much. */
  | { readonly kind: "clock_skew"; readonly minutes: number }
  /** Pages of a listing are at most so long. */
  | { readonly kind: "page_limit"; readonly itemsMax: number }
  /** A page without items that says there is more; the next one brings what this one kept back. */
  | { readonly kind: "empty_page" }
  /** A page begins with the last item of the page before. */
  | { readonly kind: "repeated_item" }
  /** The blob's uncommitted blocks are gone, as after a week. Only those that came through here are known. */
  | { readonly kind: "blocks_lost" };

export interface Match {
  readonly method?: string;
  readonly operation?: Operation;
  /** Of the blob's decoded name within its container. */
  readonly path?: RegExp;
}

export interface Arming {
  readonly match?: Match;
  /** How often; once if not said. */
  readonly times?: number;
  /** So many that match go through first. */
  readonly after?: number;
  readonly fault: Fault;
}

export interface Storm {
  readonly seed: number;
  /** Of the requests, 0 to 1, that meet a fault. */
  readonly share: number;
  readonly match?: Match;
  readonly faults?: readonly Fault[];
}

/** The same request meets no more faults of a storm in a row than this, so that whoever tries again gets through. */
const STORM_STREAK_MAX = 2;
/** What every client has to live through without harm, and which ends by itself. */
export const STORM_FAULTS: readonly Fault[] = [
  { kind: "reset", at: "before_body" },
  { kind: "reset", at: "after_body" },
  { kind: "reset", at: "before_answer" },
  { kind: "reset", at: "in_answer" },
  { kind: "refuse", status: 503, code: "ServerBusy", retryAfter: { seconds: 1, form: "seconds" } },
  { kind: "refuse", status: 503, code: "ServerBusy" },
  { kind: "refuse", status: 500, code: "OperationTimedOut" },
  { kind: "refuse", status: 500, code: "InternalError" },
  { kind: "portal", form: "page" },
  { kind: "truncate" },
  { kind: "latency", delayMs: 200 },
  { kind: "corrupt_upload", checksums: "kept" },
  { kind: "empty_page" },
];

/** One request that came in. */
export interface Seen {
  readonly operation: Operation;
  readonly method: string;
  /** The blob's name; empty for the container. */
  readonly path: string;
  readonly blockId: string;
  readonly atMs: number;
  /** It came while the service had asked everybody to wait, this long after it had. Null if it came in time. */
  readonly earlyMs: number | null;
  fault: Fault["kind"] | null;
  bodyBytes: number;
  /** What the emulator answered; null if it was not asked. */
  emulatorStatus: number | null;
  /** What the client was answered; null if nothing, or not all of it. */
  status: number | null;
}

interface Head {
  readonly method: string;
  readonly target: string;
  readonly headers: ReadonlyMap<string, string>;
}

interface Answer {
  status: number;
  readonly headers: Map<string, string>;
  body: Buffer;
}

interface Exchange {
  readonly head: Head;
  readonly url: URL;
  readonly seen: Seen;
  readonly fault: Fault | null;
  readonly socket: Socket;
}

interface Armed extends Required<Omit<Arming, "fault">> {
  readonly fault: Fault;
  skipped: number;
  hits: number;
  /** The signature that is refused, of an expired SAS. */
  signature: string | null;
}

/** The exchange is over, because the client left or was cut off. */
class Cut extends Error {}

export class BlobServer {
  readonly seen: Seen[] = [];
  readonly #upstream: URL;
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #sockets = new Set<Socket>();
  readonly #stalling = new Set<Socket>();
  readonly #armed: Armed[] = [];
  #storm: Required<Storm> | null = null;
  /** How often a request was made, and with how many faults in a row by now. */
  readonly #tries = new Map<string, { count: number; streak: number }>();
  #busy = { fromMs: 0, untilMs: 0 };
  readonly #blocks = new BlockLoss();
  readonly #pages = new PageTricks();

  private constructor(upstream: URL, server: Server) {
    this.#upstream = upstream;
    this.#server = server;
  }

  /** In front of the emulator at this origin. */
  static async start(upstream: string): Promise<BlobServer> {
    const server = createServer();
    const blobServer = new BlobServer(new URL(upstream), server);
    server.on("connection", (socket) => void blobServer.#serve(socket));
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", () => listening()));
    return blobServer;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** An address or a connection string of the emulator, turned to this server. */
  inFrontOf(text: string): string {
    return text.replaceAll(this.#upstream.origin, this.origin);
  }

  /** The first one armed that matches is the one that strikes. `hits` counts how often it has. */
  arm({ match = {}, times = 1, after = 0, fault }: Arming): { readonly hits: number } {
    const armed: Armed = { match, times, after, fault, skipped: 0, hits: 0, signature: null };
    this.#armed.push(armed);
    return armed;
  }

  storm({ match = {}, faults = STORM_FAULTS, ...storm }: Storm): void {
    this.#storm = { match, faults, ...storm };
    this.#tries.clear();
  }

  /** No more faults; what stalls is cut off. */
  calm(): void {
    this.#armed.length = 0;
    this.#storm = null;
    for (const socket of this.#stalling) socket.resetAndDestroy();
  }

  /** How often the emulator accepted each write, by `name` of a whole blob or `name blockId`, repeats included. */
  accepted(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { operation, emulatorStatus, path, blockId } of this.seen) {
      if (emulatorStatus !== 201 || (operation !== "put_blob" && operation !== "put_block")) continue;
      const key = operation === "put_block" ? `${path} ${blockId}` : path;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
  }

  /** Requests that came although the service had asked to wait. `graceMs` forgives those that were on their way already. */
  earlyCalls(graceMs = 50): readonly Seen[] {
    return this.seen.filter(({ earlyMs }) => earlyMs !== null && earlyMs >= graceMs);
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    for (const socket of this.#sockets) socket.destroy();
    this.#agent.destroy();
    await closed;
  }

  // --- one connection ------------------------------------------------------------------------------------------------

  async #serve(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    // Read errors come out of the reader, and write errors do not matter: the client has left.
    socket.on("error", () => {});
    try {
      const reader = new Reader(socket);
      for (let head = await reader.head(); head !== null; head = await reader.head()) {
        await this.#exchange(head, reader, socket);
        if (head.headers.get("connection")?.toLowerCase() === "close") break;
      }
      socket.end();
    } catch (error) {
      socket.destroy();
      if (!(error instanceof Cut)) throw error;
    } finally {
      this.#sockets.delete(socket);
      this.#stalling.delete(socket);
    }
  }

  async #exchange(head: Head, reader: Reader, socket: Socket): Promise<void> {
    const url = new URL(head.target, this.#upstream);
    const seen = this.#record(head, url);
    const fault = this.#pick({ head, url, seen });
    const exchange: Exchange = { head, url, seen, fault, socket };
    seen.fault = fault?.kind ?? null;
    if (fault?.kind === "latency") await wait(fault.delayMs);
    if (fault?.kind === "stall") this.#stalling.add(socket);
    await cutAt("before_body", exchange);
    if (head.headers.get("expect") === "100-continue") socket.write("HTTP/1.1 100 Continue\r\n\r\n");
    const length = Number(head.headers.get("content-length") ?? 0);
    if (fault?.kind === "reset_within" && length > 0 && fault.share < 0.5) {
      await reader.body(Math.floor(length * 2 * fault.share), null);
      reset(exchange);
    }
    const body = await reader.body(length, fault?.kind === "slow" ? fault.bytesPerSecond : null);
    seen.bodyBytes = body.length;
    await cutAt("after_body", exchange);
    const answer = this.#answerInstead(exchange, body) ?? (await this.#forward(exchange, body));
    change(answer, fault);
    await cutAt("before_answer", exchange);
    if (answer.headers.has("retry-after") && fault?.kind === "refuse")
      this.#busy = { fromMs: Date.now(), untilMs: Date.now() + (fault.retryAfter?.seconds ?? 0) * 1_000 };
    await send(answer, exchange);
    seen.status = answer.status;
  }

  #record({ method }: Head, url: URL): Seen {
    const atMs = Date.now();
    const seen: Seen = {
      operation: operationOf(method, url),
      method,
      path: decodeURIComponent(url.pathname.split("/").slice(3).join("/")),
      blockId: url.searchParams.get("blockid") ?? "",
      atMs,
      earlyMs: atMs < this.#busy.untilMs ? atMs - this.#busy.fromMs : null,
      fault: null,
      bodyBytes: 0,
      emulatorStatus: null,
      status: null,
    };
    this.seen.push(seen);
    return seen;
  }

  // --- which fault ---------------------------------------------------------------------------------------------------

  #pick(asked: Pick<Exchange, "head" | "url" | "seen">): Fault | null {
    for (const armed of this.#armed) {
      if (armed.hits >= armed.times || !matches(armed.match, asked.seen)) continue;
      if (!this.#applies(armed.fault, asked)) continue;
      if (armed.fault.kind === "expired_sas") {
        const signature = asked.url.searchParams.get("sig");
        armed.signature ??= signature;
        if (signature !== armed.signature) continue;
      } else if (armed.skipped < armed.after) {
        armed.skipped++;
        continue;
      } else armed.hits++;
      return armed.fault;
    }
    return this.#pickOfStorm(asked);
  }

  #pickOfStorm(asked: Pick<Exchange, "head" | "url" | "seen">): Fault | null {
    if (this.#storm === null || !matches(this.#storm.match, asked.seen)) return null;
    const { seed, share, faults } = this.#storm;
    const marker = asked.url.searchParams.get("marker") ?? "";
    const key = [asked.seen.operation, asked.seen.path, asked.seen.blockId, marker].join("\n");
    const tries = this.#tries.get(key) ?? { count: 0, streak: 0 };
    this.#tries.set(key, tries);
    const digest = createHash("sha256")
      .update(`${seed}\n${tries.count++}\n${key}`)
      .digest();
    const fitting = faults.filter((fault) => this.#applies(fault, asked));
    const strikes = tries.streak < STORM_STREAK_MAX && digest.readUInt32BE(0) / 2 ** 32 < share;
    const fault = strikes ? (fitting[digest.readUInt32BE(4) % fitting.length] ?? null) : null;
    tries.streak = fault === null ? 0 : tries.streak + 1;
    return fault;
  }

  /** Whether it would show at all. */
  #applies(fault: Fault, { head, url, seen }: Pick<Exchange, "head" | "url" | "seen">): boolean {
    switch (fault.kind) {
      case "corrupt_upload":
        return Number(head.headers.get("content-length") ?? 0) > 0;
      case "corrupt_download":
        return seen.operation === "get";
      case "page_limit":
      case "empty_page":
        return seen.operation === "list";
      case "repeated_item":
        return seen.operation === "list" && this.#pages.knows(url);
      case "blocks_lost":
        return seen.path !== "";
      case "reset":
      case "stall":
      case "refuse":
      case "expired_sas":
      case "portal":
      case "reset_within":
      case "truncate":
      case "slow":
      case "sliced":
      case "latency":
      case "clock_skew":
        return true;
    }
  }

  // --- what is answered ------------------------------------------------------------------------------------------------

  /** What is answered without asking the emulator. */
  #answerInstead({ fault, url, seen }: Exchange, body: Buffer): Answer | null {
    if (fault?.kind === "blocks_lost") this.#blocks.lose(url.pathname);
    if (fault?.kind === "refuse") return refusal(fault.status, fault.code, fault.retryAfter);
    if (fault?.kind === "expired_sas") return refusal(403, "AuthenticationFailed");
    if (fault?.kind === "portal") return portal(fault.form);
    if (seen.operation === "put_block_list" && this.#blocks.namesLost(url.pathname, body))
      return refusal(400, "InvalidBlockList");
    return null;
  }

  async #forward({ head, url, seen, fault }: Exchange, body: Buffer): Promise<Answer> {
    const headers: Record<string, string> = Object.fromEntries(head.headers);
    headers["host"] = this.#upstream.host;
    for (const name of ["connection", "expect"]) delete headers[name];
    if (fault?.kind === "corrupt_upload") flipBit(body);
    if (fault?.kind === "corrupt_upload" && fault.checksums === "removed")
      for (const name of CHECKSUM_HEADERS) delete headers[name];
    const path = seen.operation === "list" ? this.#pages.target(head.target, url, fault) : head.target;
    const answer = await this.#ask({ method: head.method, path, headers }, body);
    seen.emulatorStatus = answer.status;
    if (answer.status === 201) this.#blocks.note(seen.operation, url.pathname, seen.blockId);
    if (answer.status === 200 && seen.operation === "list") this.#pages.change(answer, url, fault);
    if (seen.operation !== "get_block_list" || !this.#blocks.hide(url.pathname, answer)) return answer;
    // All are gone. Of a blob that was never committed nothing is left.
    const blob = new URL(url);
    for (const name of ["comp", "blocklisttype"]) blob.searchParams.delete(name);
    const options = { method: "HEAD", path: blob.pathname + blob.search, headers };
    const { status } = await this.#ask(options, Buffer.alloc(0));
    return status === 404 ? refusal(404, "BlobNotFound") : answer;
  }

  #ask(options: RequestOptions, body: Buffer): Promise<Answer> {
    const { hostname: host, port } = this.#upstream;
    return new Promise((answered, failed) => {
      const gone = (cause: Error) => failed(new Cut("Cannot ask the emulator: it is gone", { cause }));
      const outgoing = request({ agent: this.#agent, host, port, ...options }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", gone);
        response.on("end", () => {
          const headers = plainHeaders(response.headers);
          answered({ status: response.statusCode ?? 0, headers, body: Buffer.concat(chunks) });
        });
      });
      outgoing.on("error", gone);
      outgoing.end(body);
    });
  }
}

const CHECKSUM_HEADERS = ["content-md5", "x-ms-content-crc64", "x-ms-blob-content-md5"];
/** Those of one connection, not of the answer. */
const HOP_HEADERS = ["connection", "keep-alive", "transfer-encoding"];
const HEAD_BYTES_MAX = 65_536;
/** Of a slow answer. */
const SLICES_PER_SECOND = 10;

function operationOf(method: string, url: URL): Operation {
  const component = url.searchParams.get("comp");
  const hasBlob = url.pathname.split("/").length > 3;
  if (!hasBlob)
    return component === "list" && url.searchParams.get("restype") === "container" ? "list" : "other";
  return (OPERATIONS as Readonly<Record<string, Operation>>)[`${method} ${component ?? ""}`] ?? "other";
}

function matches({ method, operation, path }: Match, seen: Seen): boolean {
  if (method !== undefined && method !== seen.method) return false;
  if (operation !== undefined && operation !== seen.operation) return false;
  return path === undefined || path.test(seen.path);
}

/** Resets or stalls, if that is the fault and this the point. */
async function cutAt(
  point: Point,
  { fault, seen, socket }: Pick<Exchange, "fault" | "seen" | "socket">,
): Promise<void> {
  if ((fault?.kind !== "reset" && fault?.kind !== "stall") || fault.at !== point) return;
  if (fault.kind === "reset") reset({ seen, socket });
  await new Promise<void>((left) => (socket.destroyed ? left() : socket.once("close", () => left())));
  throw new Cut(`${seen.method} was cut: ${fault.kind} ${point}`);
}

function reset({ seen, socket }: Pick<Exchange, "seen" | "socket">): never {
  socket.resetAndDestroy();
  throw new Cut(`${seen.method} was reset`);
}

async function send(answer: Answer, exchange: Exchange): Promise<void> {
  const { head, fault, socket } = exchange;
  const body = head.method === "HEAD" ? Buffer.alloc(0) : answer.body;
  if (head.method !== "HEAD") answer.headers.set("content-length", String(body.length));
  let text = `HTTP/1.1 ${answer.status} Answered\r\n`;
  for (const [name, value] of answer.headers) text += `${name}: ${value}\r\n`;
  const start = Buffer.from(`${text}\r\n`, "latin1");
  const bytes = Buffer.concat([start, body]);
  // The middle of the body, or of what stands before it when there is none.
  const middle = body.length > 1 ? start.length + (body.length >> 1) : start.length >> 1;
  if (
    fault?.kind === "truncate" ||
    ((fault?.kind === "reset" || fault?.kind === "stall") && fault.at === "in_answer")
  ) {
    await write(socket, bytes.subarray(0, middle));
    await cutAt("in_answer", exchange);
    socket.end();
    throw new Cut("The answer was truncated");
  }
  if (fault?.kind === "reset_within") {
    const share = exchange.seen.bodyBytes > 0 ? 2 * fault.share - 1 : fault.share;
    await write(socket, bytes.subarray(0, Math.floor(bytes.length * share)));
    reset(exchange);
  }
  if (fault?.kind === "sliced") return await writeSliced(socket, bytes, fault.sliceBytes, 0);
  if (fault?.kind !== "slow") return await write(socket, bytes);
  const sliceBytes = Math.max(1, Math.floor(fault.bytesPerSecond / SLICES_PER_SECOND));
  await writeSliced(socket, bytes, sliceBytes, 1_000 / SLICES_PER_SECOND);
}

async function writeSliced(
  socket: Socket,
  bytes: Buffer,
  sliceBytes: number,
  pauseMs: number,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += sliceBytes) {
    await write(socket, bytes.subarray(at, at + sliceBytes));
    await wait(pauseMs);
  }
}

async function write(socket: Socket, bytes: Buffer): Promise<void> {
  await new Promise<void>((written, failed) =>
    socket.write(bytes, (error) =>
      error instanceof Error ? failed(new Cut("The client left", { cause: error })) : written(),
    ),
  );
}

function plainHeaders(headers: IncomingHttpHeaders): Map<string, string> {
  const plain = new Map(Object.entries(headers).map(([name, value]) => [name, String(value)] as const));
  for (const name of HOP_HEADERS) plain.delete(name);
  return plain;
}

function change(answer: Answer, fault: Fault | null): void {
  if (fault?.kind === "corrupt_download") flipBit(answer.body);
  if (fault?.kind === "clock_skew")
    answer.headers.set("date", new Date(Date.now() + fault.minutes * 60_000).toUTCString());
}

function flipBit(bytes: Buffer): void {
  const middle = bytes.length >> 1;
  if (bytes.length > 0) bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
}

type RetryAfter = Extract<Fault, { kind: "refuse" }>["retryAfter"];

function refusal(status: number, code: string, retryAfter?: RetryAfter): Answer {
  const headers = new Map([
    ["content-type", "application/xml"],
    ["x-ms-error-code", code],
    ["x-ms-version", "2023-11-03"],
    ["date", new Date().toUTCString()],
  ]);
  if (retryAfter?.form === "seconds") headers.set("retry-after", String(retryAfter.seconds));
  // A date has no fractions: rounded up, so that it never asks for less.
  else if (retryAfter !== undefined)
    headers.set(
      "retry-after",
      new Date(Math.ceil(Date.now() / 1_000 + retryAfter.seconds) * 1_000).toUTCString(),
    );
  const xml = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>Refused</Message></Error>`;
  return { status, headers, body: Buffer.from(xml) };
}

function portal(form: "page" | "redirect"): Answer {
  const headers = new Map([["content-type", "text/html"]]);
  if (form === "redirect") headers.set("location", "http://login.hotspot.invalid/");
  const html = "<!doctype html><html><title>Welcome</title><p>Accept our terms to go online.</p></html>";
  return { status: form === "page" ? 200 : 302, headers, body: Buffer.from(html) };
}

/** Takes from the socket only what is asked for, so that a body that nobody reads stays with the client. */
class Reader {
  readonly #socket: Socket;
  #held: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      socket.pause();
      this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
      this.#wake();
    });
    for (const event of ["end", "close", "error"]) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
    socket.pause();
  }

  /** Null when the client is done. */
  async head(): Promise<Head | null> {
    let end = this.#held.indexOf("\r\n\r\n");
    for (; end === -1; end = this.#held.indexOf("\r\n\r\n")) {
      if (this.#held.length > HEAD_BYTES_MAX) throw new Cut("The head of a request has no end");
      if (!(await this.#more())) return null;
    }
    const [first = "", ...lines] = this.#take(end + 4)
      .toString("latin1")
      .trimEnd()
      .split("\r\n");
    const [method = "", target = ""] = first.split(" ");
    const headers = lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    });
    if (headers.some(([name]) => name === "transfer-encoding"))
      throw new Cut("A request came in chunks, which no client of ours sends");
    return { method, target, headers: new Map(headers) };
  }

  async body(length: number, bytesPerSecond: number | null): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for (let missing = length; missing > 0;) {
      if (this.#held.length === 0 && !(await this.#more()))
        throw new Cut("The client left in the middle of a body");
      const chunk = this.#take(Math.min(missing, this.#held.length));
      chunks.push(chunk);
      missing -= chunk.length;
      if (bytesPerSecond !== null) await wait((chunk.length / bytesPerSecond) * 1_000);
    }
    return Buffer.concat(chunks);
  }

  #take(length: number): Buffer {
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  async #more(): Promise<boolean> {
    const before = this.#held.length;
    while (this.#held.length === before && !this.#ended) {
      const woken = new Promise<void>((wake) => (this.#wake = wake));
      this.#socket.resume();
      await woken;
    }
    return this.#held.length > before;
  }
}

/**
 * Uncommitted blocks that are no more. The emulator has no call that drops them and leaves the blob alone, so they are hidden
 * here: not listed, and a commit that names one is refused, until it is put again.
 */
class BlockLoss {
  readonly #staged = new Map<string, Set<string>>();
  readonly #lost = new Map<string, Set<string>>();

  note(operation: Operation, pathname: string, blockId: string): void {
    if (operation === "put_block") {
      this.#staged.set(pathname, (this.#staged.get(pathname) ?? new Set()).add(blockId));
      this.#lost.get(pathname)?.delete(blockId);
    } else if (operation === "put_blob" || operation === "put_block_list") {
      this.#staged.delete(pathname);
      this.#lost.delete(pathname);
    }
  }

  lose(pathname: string): void {
    const lost = this.#lost.get(pathname) ?? new Set();
    this.#lost.set(pathname, lost.union(this.#staged.get(pathname) ?? new Set()));
    this.#staged.delete(pathname);
  }

  namesLost(pathname: string, list: Buffer): boolean {
    const text = list.toString();
    return [...(this.#lost.get(pathname) ?? [])].some((id) => text.includes(`>${id}<`));
  }

  /** Takes the lost ones out of a list. True if none is left in it. */
  hide(pathname: string, answer: Answer): boolean {
    const lost = this.#lost.get(pathname);
    if (lost === undefined || lost.size === 0 || answer.status !== 200) return false;
    const [committed = "", uncommitted = ""] = answer.body.toString().split(/(?=<UncommittedBlocks)/);
    const left = uncommitted.replace(/<Block>\s*<Name>([^<]*)<\/Name>.*?<\/Block>/gs, (block, id: string) =>
      lost.has(id) ? "" : block,
    );
    answer.body = Buffer.from(committed + left);
    return !answer.body.includes("<Block>");
  }
}

/** What a listing's pages may do and still be right. */
class PageTricks {
  /** By the marker of the page behind it. */
  readonly #lastItems = new Map<string, string>();
  /** The markers of empty pages, and what stands for the page kept back. */
  readonly #keptBack = new Map<string, string>();

  knows(url: URL): boolean {
    return this.#lastItems.has(this.#marker(url));
  }

  target(verbatim: string, url: URL, fault: Fault | null): string {
    const isKeptBack = this.#keptBack.has(url.searchParams.get("marker") ?? "");
    if (!isKeptBack && fault?.kind !== "page_limit") return verbatim;
    const asked = new URL(url);
    if (this.#marker(url) === "") asked.searchParams.delete("marker");
    else asked.searchParams.set("marker", this.#marker(url));
    if (fault?.kind === "page_limit") asked.searchParams.set("maxresults", String(fault.itemsMax));
    return asked.pathname + asked.search;
  }

  change(answer: Answer, url: URL, fault: Fault | null): void {
    let text = answer.body.toString();
    const next = decodeXml(/<NextMarker>([^<]*)<\/NextMarker>/.exec(text)?.[1] ?? "");
    const last = /<Blob>(?:(?!<Blob>).)*<\/Blob>(?=\s*<\/Blobs>)/s.exec(text)?.[0];
    if (next !== "" && last !== undefined) this.#lastItems.set(next, last);
    if (fault?.kind === "repeated_item")
      text = text.replace("<Blobs>", () => `<Blobs>${this.#lastItems.get(this.#marker(url))}`);
    if (fault?.kind === "empty_page") {
      const marker = `kept-back-${this.#keptBack.size + 1}`;
      this.#keptBack.set(marker, this.#marker(url));
      text = text
        .replace(/<Blobs>.*<\/Blobs>/s, "<Blobs/>")
        .replace(/<NextMarker(\/>|>[^<]*<\/NextMarker>)/, `<NextMarker>${marker}</NextMarker>`);
    }
    answer.body = Buffer.from(text);
  }

  #marker(url: URL): string {
    const marker = url.searchParams.get("marker") ?? "";
    return this.#keptBack.get(marker) ?? marker;
  }
}

function decodeXml(text: string): string {
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}
