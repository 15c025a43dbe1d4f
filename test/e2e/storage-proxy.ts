/**
 * A proxy in front of the storage emulator that sees what really goes over the wire: which block of which blob was
 * accepted how often. It can also slow every request down, and refuse all of them, as an account does whose access was
 * taken away.
 */
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface StorageProxy {
  /** The emulator's connection string, with this proxy as its endpoint. */
  readonly connectionString: string;
  /** Body bytes of accepted writes, repeats included. */
  readonly acceptedBytes: () => number;
  /** Requests that write, whether they were answered or not. */
  readonly begunWrites: () => number;
  /** How often each write was accepted, by blob and block (`""` for a whole blob; commits do not count). */
  readonly accepted: ReadonlyMap<string, number>;
  /** Added to each write before it is passed on. */
  delayMs: number;
  /** While set, everything is answered 403. */
  denied: boolean;
  stop(): Promise<void>;
}

export async function startStorageProxy(connectionString: string): Promise<StorageProxy> {
  const target = new URL(/BlobEndpoint=([^;]+)/.exec(connectionString)?.[1] ?? "");
  const accepted = new Map<string, number>();
  let acceptedBytes = 0;
  let begunWrites = 0;
  const proxy = {
    connectionString: "",
    acceptedBytes: () => acceptedBytes,
    begunWrites: () => begunWrites,
    accepted,
    delayMs: 0,
    denied: false,
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };

  const server = createServer((incoming, answer) => {
    if (incoming.method === "PUT") begunWrites += 1;
    if (proxy.denied) return deny(incoming, answer);
    // Read whole, as the emulator must have it before it can answer; the blocks of these tests are small.
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      setTimeout(
        () => forward(incoming, Buffer.concat(chunks), answer),
        incoming.method === "PUT" ? proxy.delayMs : 0,
      );
    });
  });

  function forward(incoming: IncomingMessage, body: Buffer, answer: ServerResponse): void {
    const outgoing = request(
      {
        host: target.hostname,
        port: target.port,
        method: incoming.method,
        path: incoming.url,
        headers: { ...incoming.headers, host: target.host },
      },
      (response) => {
        if (response.statusCode === 201) count(incoming, body.length);
        answer.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(answer);
      },
    );
    outgoing.on("error", () => answer.destroy());
    outgoing.end(body);
  }

  function count(incoming: IncomingMessage, bytes: number): void {
    const url = new URL(incoming.url ?? "", target);
    const kind = url.searchParams.get("comp");
    if (incoming.method !== "PUT" || url.searchParams.has("restype") || (kind !== null && kind !== "block"))
      return;
    const key = `${decodeURIComponent(url.pathname)}\n${url.searchParams.get("blockid") ?? ""}`;
    accepted.set(key, (accepted.get(key) ?? 0) + 1);
    acceptedBytes += bytes;
  }

  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", () => listening()));
  const { port } = server.address() as AddressInfo;
  proxy.connectionString = connectionString.replace(target.host, `127.0.0.1:${port}`);
  return proxy;
}

function deny(incoming: IncomingMessage, answer: ServerResponse): void {
  incoming.resume();
  incoming.on("end", () => {
    answer.writeHead(403, { "x-ms-error-code": "AuthorizationFailure", "content-type": "application/xml" });
    answer.end(
      '<?xml version="1.0"?><Error><Code>AuthorizationFailure</Code><Message>Denied</Message></Error>',
    );
  });
}
