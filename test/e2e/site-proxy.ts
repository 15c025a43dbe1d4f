/**
 * A site's forward proxy, and the TLS in front of servers that have none: what stands between an agent and the world.
 * The proxy takes CONNECT only. One that inspects answers TLS itself, by its own authority, and reads what goes through.
 */
import { createServer, type IncomingMessage } from "node:http";
import { connect, type AddressInfo, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer, TLSSocket } from "node:tls";
import { GENUINE, INSPECTED } from "../../agent/commands/fakes/certificates.ts";

const HEAD_BYTES_MAX = 64 * 1024;

export interface Rules {
  /** `name:password` that it asks for; null = nobody signs in. */
  readonly credentials?: string | null;
  /** A connection on which nothing moves for so long is reset. */
  readonly idleMs?: number;
  /** Reads what goes through. */
  readonly inspects?: boolean;
  /** Only one that inspects can tell: upgrades are answered 403. */
  readonly refusesUpgrades?: boolean;
}

export class SiteProxy {
  /** By `host:port`: connections that were let through, and those it ended because nothing moved. */
  readonly tunnels = new Map<string, number>();
  readonly idled = new Map<string, number>();
  refusedUpgrades = 0;
  readonly #rules: Rules;
  readonly #server = createServer((_, answer) => answer.writeHead(400).end());
  readonly #sockets = new Set<Socket>();
  #portal: string | null = null;

  private constructor(rules: Rules) {
    this.#rules = rules;
    this.#server.on("connect", (request, socket) => this.#connect(request, socket as Socket));
  }

  static async start(rules: Rules): Promise<SiteProxy> {
    const proxy = new SiteProxy(rules);
    await listen(proxy.#server);
    return proxy;
  }

  /** With a name and password, or without. */
  address(credentials: string | null = null): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://${credentials === null ? "" : `${credentials}@`}127.0.0.1:${port}`;
  }

  /** From now on every request, whoever it is for, gets this answer, whole with its head; null = as before. */
  set portal(answer: string | null) {
    this.#portal = answer;
    this.cut();
  }

  /** Ends every connection there is. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    this.cut();
    this.#server.closeAllConnections();
    await closed;
  }

  #connect({ url = "", headers }: IncomingMessage, near: Socket): void {
    this.#keep(near);
    const { credentials = null, inspects = false } = this.#rules;
    const expected =
      credentials === null ? undefined : `Basic ${Buffer.from(credentials).toString("base64")}`;
    if (headers["proxy-authorization"] !== expected) {
      near.end(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="site"\r\nContent-Length: 0\r\n\r\n',
      );
      return;
    }
    add(this.tunnels, url);
    const target = new URL(`https://${url}`);
    const to = { host: target.hostname, port: Number(target.port) };
    if (!inspects) {
      const far = connect(to, () => {
        near.write("HTTP/1.1 200 Connection established\r\n\r\n");
        this.#carry(near, far, url);
      });
      this.#keep(far);
      far.on("error", () => near.destroy());
      return;
    }
    near.write("HTTP/1.1 200 Connection established\r\n\r\n");
    const opened = new TLSSocket(near, { isServer: true, ...INSPECTED, ALPNProtocols: ["http/1.1"] });
    opened.on("error", () => near.destroy());
    this.#inspect(opened, to, url);
  }

  #inspect(near: TLSSocket, to: { host: string; port: number }, place: string): void {
    let head = Buffer.alloc(0);
    const read = (piece: Buffer) => {
      head = Buffer.concat([head, piece]);
      if (head.indexOf("\r\n\r\n") === -1)
        return head.length > HEAD_BYTES_MAX ? void near.destroy() : undefined;
      near.off("data", read);
      near.pause();
      if (this.#portal !== null) return void near.end(this.#portal);
      if (this.#rules.refusesUpgrades === true && /^upgrade: websocket\r$/im.test(head.toString("latin1"))) {
        this.refusedUpgrades++;
        return void near.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      }
      const far = connectTls({ ...to, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] }, () => {
        far.write(head);
        this.#carry(near, far, place);
      });
      this.#keep(far);
      far.on("error", () => near.destroy());
    };
    near.on("data", read);
  }

  #carry(near: Socket, far: Socket, place: string): void {
    const { idleMs } = this.#rules;
    if (idleMs !== undefined) {
      let timer = setTimeout(() => undefined, 0);
      const moved = () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          add(this.idled, place);
          near.destroy();
          far.destroy();
        }, idleMs);
      };
      moved();
      near.on("data", moved);
      far.on("data", moved);
      near.on("close", () => clearTimeout(timer));
    }
    near.pipe(far).pipe(near);
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }
}

/** https before a server that has none. */
export async function startTlsFront(
  target: URL,
): Promise<{ readonly origin: string; stop(): Promise<void> }> {
  const open = new Set<Socket>();
  const server = createTlsServer({ ...GENUINE, ALPNProtocols: ["http/1.1"] }, (near) => {
    const far = connect(Number(target.port), target.hostname);
    for (const one of [near, far]) {
      open.add(one);
      one.on("close", () => open.delete(one));
    }
    near.on("error", () => far.destroy()).on("close", () => far.destroy());
    far.on("error", () => near.destroy()).on("close", () => near.destroy());
    near.pipe(far).pipe(near);
  });
  await listen(server);
  return {
    origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      for (const one of open) one.destroy();
      await closed;
    },
  };
}

function add(counts: Map<string, number>, place: string): void {
  counts.set(place, (counts.get(place) ?? 0) + 1);
}

async function listen(server: Server): Promise<void> {
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
}
