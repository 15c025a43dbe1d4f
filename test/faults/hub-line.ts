/**
 * The line between agents and their hub, misbehaving. It knows bytes, not messages, so it treats requests, sockets and
 * long polls alike. Each connection draws its fault from the seed and its number; once calm, all of them are good.
 */
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { seededRandom } from "../../agent/virtual.ts";

type Way = "up" | "down";

export type LineFault =
  | { readonly kind: "none" }
  /** Each piece comes so much later. */
  | { readonly kind: "latency"; readonly delayMs: number }
  | { readonly kind: "sliced"; readonly sliceBytes: number }
  /** Both ends are reset when so many bytes have gone this way. */
  | { readonly kind: "reset"; readonly way: Way; readonly afterBytes: number }
  /** From that byte on nothing comes through, either way, and nobody is told. */
  | { readonly kind: "stall"; readonly way: Way; readonly afterBytes: number }
  /** What is asked arrives and is done, and its answer is lost. */
  | { readonly kind: "lost_answer" }
  /** 503 from somebody on the way, who asks nobody. */
  | { readonly kind: "refuse"; readonly retryAfterSeconds: number | null };

/** Faults of a connection's life, by how often they are drawn. */
function drawFault(random: () => number): LineFault {
  const way: Way = random() < 0.5 ? "up" : "down";
  // From the first byte to a socket that has talked for a while.
  const afterBytes = Math.floor(30_000 ** random());
  const kind = random();
  if (kind < 0.5) return { kind: "none" };
  if (kind < 0.64) return { kind: "latency", delayMs: Math.floor(random() * 300) };
  if (kind < 0.74) return { kind: "sliced", sliceBytes: 1 + Math.floor(random() * 200) };
  if (kind < 0.87) return { kind: "reset", way, afterBytes };
  if (kind < 0.9) return { kind: "stall", way, afterBytes };
  if (kind < 0.95) return { kind: "lost_answer" };
  return { kind: "refuse", retryAfterSeconds: random() < 0.5 ? 1 : null };
}

interface Ends {
  readonly near: Socket;
  readonly far: Socket;
  /** Stalled: nothing comes through any more. */
  silent: boolean;
}

export class HubLine {
  /** Pieces that went through, either way: how busy the line is. */
  pieces = 0;
  /** How many connections met each fault. */
  readonly met = new Map<LineFault["kind"], number>();
  readonly #upstream: URL;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  #pick: (number: number) => LineFault = () => ({ kind: "none" });
  #count = 0;

  private constructor(upstream: URL, server: Server) {
    this.#upstream = upstream;
    this.#server = server;
  }

  static async start(upstream: string): Promise<HubLine> {
    const server = createServer({ noDelay: true });
    const line = new HubLine(new URL(upstream), server);
    server.on("connection", (socket) => line.#serve(socket));
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    return line;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  storm(seed: number): void {
    this.#pick = (number) => drawFault(seededRandom(seed * 1_000_003 + number).next);
  }

  /** Every connection from now on meets this. */
  always(fault: LineFault): void {
    this.#pick = () => fault;
  }

  /** No more faults; those who suffer one are cut off, as nothing else would ever end a stall. */
  calm(): void {
    this.#pick = () => ({ kind: "none" });
    for (const socket of this.#connections) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    for (const socket of this.#connections) socket.destroy();
    await closed;
  }

  #serve(near: Socket): void {
    const fault = this.#pick(this.#count++);
    this.met.set(fault.kind, (this.met.get(fault.kind) ?? 0) + 1);
    this.#connections.add(near);
    near.on("close", () => this.#connections.delete(near));
    near.on("error", () => undefined);
    if (fault.kind === "refuse") return void near.once("data", () => refuse(near, fault.retryAfterSeconds));
    const far = connect({
      port: Number(this.#upstream.port),
      host: this.#upstream.hostname,
      noDelay: true,
    });
    // Its end comes to `near` behind its last bytes.
    far.on("error", () => undefined);
    near.on("close", () => far.destroy());
    const ends = { near, far, silent: false };
    void this.#carry("up", ends, fault);
    void this.#carry("down", ends, fault);
  }

  async #carry(way: Way, ends: Ends, fault: LineFault): Promise<void> {
    const [from, to] = way === "up" ? [ends.near, ends.far] : [ends.far, ends.near];
    let carriedBytes = 0;
    try {
      for await (const piece of from as AsyncIterable<Buffer>) {
        this.pieces++;
        // What is still sent is taken, and kept from the other end.
        if (ends.silent) continue;
        if (fault.kind === "latency") await wait(fault.delayMs);
        if (fault.kind === "lost_answer" && way === "down") return reset(ends);
        const limited = (fault.kind === "reset" || fault.kind === "stall") && fault.way === way;
        const room = limited ? Math.max(0, fault.afterBytes - carriedBytes) : Infinity;
        await write(to, piece.subarray(0, room), fault.kind === "sliced" ? fault.sliceBytes : piece.length);
        carriedBytes += piece.length;
        if (piece.length < room) continue;
        if (fault.kind === "reset") return reset(ends);
        ends.silent = true;
      }
      to.end();
    } catch {
      // One of the ends is gone, and with it the other.
      ends.near.destroy();
    }
  }
}

function reset({ near, far }: Ends): void {
  near.resetAndDestroy();
  far.destroy();
}

async function write(to: Socket, bytes: Buffer, sliceBytes: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += sliceBytes) {
    await new Promise<void>((written, failed) =>
      to.write(bytes.subarray(at, at + sliceBytes), (error) => (error ? failed(error) : written())),
    );
  }
}

function refuse(socket: Socket, retryAfterSeconds: number | null): void {
  const later = retryAfterSeconds === null ? "" : `Retry-After: ${retryAfterSeconds}\r\n`;
  socket.end(`HTTP/1.1 503 Service Unavailable\r\n${later}Content-Length: 0\r\nConnection: close\r\n\r\n`);
}
