/** The contract of {@link Transport}, over both of them, against servers that keep HTTP and such that do not. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { FetchTransport } from "./transport-fetch.ts";
import { RawTransport } from "./transport-raw-deno.ts";
import { type HttpRequest, type Pace, type Transport, TransportError } from "./transport.ts";
import { seededRandom } from "./virtual.ts";

const SECRET = "sig=verySecret%2Fvalue";
const MEBIBYTE = 1_048_576;
const LISTEN = { hostname: "127.0.0.1", port: 0 };
/** Self-signed for localhost and 127.0.0.1, for a hundred years, and of use to nobody else. */
const CERT = pem(
  "CERTIFICATE",
  "MIIBjTCCATSgAwIBAgIUHqwtWQ7/MuAm5cOJ++bTabYAeGswCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjMwMjQ1MDhaGA8yMTI2MTAzMDAyNDUwOFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLEa4NCLwsE4j62Q/ufQu8z48204qwm9K2d2B2WwwVocbcXwr6W/8QTc78GS4PHjIZeFTqeMPy2SB8trb+GQrKqjbDBqMB0GA1UdDgQWBBTyu6gJDok+qb+Xu1A7kZeuI/vIIzAfBgNVHSMEGDAWgBTyu6gJDok+qb+Xu1A7kZeuI/vIIzAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNHADBEAiBT6rSeVPBar2xt+D/tIJOrIBwEtJ5e+PkHWXuto8MnFwIgDxisb84r+WP98dOC38SODlXmap9NHHXTwfENqVm5bO0=",
);
const KEY = pem(
  "PRIVATE KEY",
  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZ29tM//t9SmSDXdobSnlfgqlDz2y6nhxdYSMM+kaB2ShRANCAASxGuDQi8LBOI+tkP7n0LvM+PNtOKsJvStndgdlsMFaHG3F8K+lv/EE3O/BkuDx4yGXhU6njD8tkgfLa2/hkKyq",
);

interface Made {
  readonly transport: Transport;
  close(): void;
}
interface MakeOptions {
  readonly stallMs?: number;
  readonly idleMs?: number;
  readonly caCerts?: string[];
}
const KINDS = ["raw", "fetch"] as const;
type Kind = (typeof KINDS)[number];

function make(kind: Kind, { caCerts = [], ...options }: MakeOptions = {}): Made {
  if (kind === "raw") {
    const transport = new RawTransport({ caCerts, ...options });
    return { transport, close: () => transport.close() };
  }
  const client = Deno.createHttpClient({ caCerts });
  const transport = new FetchTransport({ fetch: (url, init) => fetch(url, { ...init, client }), ...options });
  return {
    transport,
    close: () => {
      transport.close();
      client.close();
    },
  };
}

/** One behaviour of both, or of those named; whoever is left out is so for the reason given. */
function contract(
  name: string,
  options: MakeOptions & { readonly only?: Kind; readonly because?: string },
  run: (transport: Transport, kind: Kind) => Promise<void>,
): void {
  for (const kind of KINDS) {
    if (options.only !== undefined && options.only !== kind) continue;
    Deno.test(`${name} (${kind})`, async () => {
      const { only: _only, because: _because, ...rest } = options;
      const { transport, close } = make(kind, rest);
      try {
        await run(transport, kind);
      } finally {
        close();
      }
    });
  }
}

// --- a server that does as it is told -----------------------------------------------------------------------------

interface Received {
  readonly head: string;
  readonly body: Uint8Array;
}

/** The server's end of a connection. */
class Peer {
  readonly #connection: Deno.Conn;
  #rest: Uint8Array = new Uint8Array();

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
    // Else small writes wait for the client's delayed acknowledgements.
    if ("setNoDelay" in connection) (connection as Deno.TcpConn).setNoDelay(true);
  }

  /** Null when the client closes instead. */
  async request(): Promise<Received | null> {
    const head = await this.head();
    if (head === null) return null;
    const body = await this.bytes(Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0));
    return body === null ? null : { head, body };
  }

  async bytes(length: number): Promise<Uint8Array | null> {
    const body = new Uint8Array(length);
    let at = 0;
    while (at < body.length) {
      if (this.#rest.length === 0 && !(await this.#more())) return null;
      const piece = this.#rest.subarray(0, body.length - at);
      body.set(piece, at);
      at += piece.length;
      this.#rest = this.#rest.subarray(piece.length);
    }
    return body;
  }

  async head(): Promise<string | null> {
    for (;;) {
      const text = Array.from(this.#rest.subarray(0, 8_192), (code) => String.fromCharCode(code)).join("");
      const end = text.indexOf("\r\n\r\n");
      if (end !== -1) {
        this.#rest = this.#rest.slice(end + 4);
        return text.slice(0, end);
      }
      if (!(await this.#more())) return null;
    }
  }

  /** How many bytes of a body come within a time. */
  async countFor(ms: number): Promise<number> {
    const more = (async () => {
      while (await this.#more());
    })();
    await Promise.race([more, pause(ms)]);
    return this.#rest.length;
  }

  async write(text: string | Uint8Array): Promise<void> {
    let bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    while (bytes.length > 0) bytes = bytes.subarray(await this.#connection.write(bytes));
  }

  async writeSlowly(text: string): Promise<void> {
    for (const byte of new TextEncoder().encode(text)) {
      await this.write(Uint8Array.of(byte));
      await pause(0);
    }
  }

  close(): void {
    try {
      this.#connection.close();
    } catch {
      // Closed already.
    }
  }

  async #more(): Promise<boolean> {
    const buffer = new Uint8Array(65_536);
    const count = await this.#connection.read(buffer).catch(() => null);
    if (count === null) return false;
    const joined = new Uint8Array(this.#rest.length + count);
    joined.set(this.#rest);
    joined.set(buffer.subarray(0, count), this.#rest.length);
    this.#rest = joined;
    return true;
  }
}

/** Serves each connection with `serve`, which gets its number; ends with everything closed. */
async function withPeer(
  serve: (peer: Peer, index: number) => Promise<void>,
  use: (url: string) => Promise<void>,
  scheme: "http" | "https" = "http",
): Promise<void> {
  const listener =
    scheme === "http" ? Deno.listen(LISTEN) : Deno.listenTls({ ...LISTEN, cert: CERT, key: KEY });
  const peers: Peer[] = [];
  const served: Promise<void>[] = [];
  const accepting = (async () => {
    for (;;) {
      let connection: Deno.Conn;
      try {
        connection = await listener.accept();
      } catch (error) {
        // Of a client that trusted us not, the handshake fails here.
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        continue;
      }
      const peer = new Peer(connection);
      peers.push(peer);
      const serving = serve(peer, peers.length - 1).catch(() => undefined);
      served.push(serving.finally(() => peer.close()));
    }
  })();
  const { port } = listener.addr as Deno.NetAddr;
  try {
    await use(`${scheme}://127.0.0.1:${port}/c/name%20x?${SECRET}`);
  } finally {
    listener.close();
    await accepting;
    for (const peer of peers) peer.close();
    await Promise.all(served);
  }
}

const answering =
  (answer: string) =>
  async (peer: Peer): Promise<void> => {
    while ((await peer.request()) !== null) await peer.write(answer);
  };
const CREATED = 'HTTP/1.1 201 Created\r\nETag: "0x1"\r\nContent-Length: 0\r\n\r\n';
const FOREVER = new Promise<void>(() => undefined);

// --- requests ------------------------------------------------------------------------------------------------------

function put(url: string, body: Uint8Array | null = null, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: "PUT", url, headers: {}, body, headroomBytes: 0, ...more };
}

function get(url: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: "GET", url, headers: {}, body: null, headroomBytes: 0, ...more };
}

function soon(pace: Pace | null = null): { signal: AbortSignal; pace: Pace | null } {
  return { signal: new AbortController().signal, pace };
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

function filled(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) bytes[index] = (index * 7 + (index >> 10)) % 251;
  return bytes;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Bytes compared without the differ, which takes minutes for millions. */
function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(actual.length, expected.length);
  assert.ok(
    actual.every((byte, index) => byte === expected[index]),
    "the bytes differ",
  );
}

async function failure(work: Promise<unknown>): Promise<TransportError> {
  const error = await work.then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof TransportError, `${String(error)} is no TransportError`);
  assertNoSecret(error);
  return error;
}

function assertNoSecret(error: unknown): void {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    assert.doesNotMatch(`${cause.message} ${cause.stack} ${JSON.stringify(cause)}`, /verySecret|\/c\/name/);
  }
}

function pem(kind: string, base64: string): string {
  return `-----BEGIN ${kind}-----\n${base64.replace(/.{64}/g, "$&\n")}\n-----END ${kind}-----\n`;
}

// --- the contract ---------------------------------------------------------------------------------------------------

for (const scheme of ["http", "https"] as const) {
  contract(
    `[A50] bodies arrive byte for byte, with and without headroom, which changes no byte of them: ${scheme}`,
    { caCerts: [CERT] },
    async (transport) => {
      const received: Received[] = [];
      await withPeer(
        async (peer) => {
          for (;;) {
            const request = await peer.request();
            if (request === null) return;
            received.push(request);
            await peer.write(CREATED);
          }
        },
        async (url) => {
          const headers = { "x-ms-meta-a": "b", "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==" };
          for (const size of [0, 1, 4_096, MEBIBYTE + 1, 20 * MEBIBYTE]) {
            const bytes = filled(size);
            for (const headroomBytes of [0, 50, 4_096]) {
              for (const Memory of [ArrayBuffer, SharedArrayBuffer]) {
                if (size > MEBIBYTE && headroomBytes === 50) continue;
                const body = new Uint8Array(new Memory(headroomBytes + size)).subarray(headroomBytes);
                body.set(bytes);
                const answer = await transport.send(put(url, body, { headers, headroomBytes }), soon());
                assert.equal(answer.status, 201);
                assert.equal(answer.header("etag"), '"0x1"');
                assert.equal(answer.header("none"), null);
                assert.equal(answer.body.length, 0);
                const last = received.pop();
                assertSame(last?.body ?? new Uint8Array(), bytes);
                assertSame(body, bytes);
                assert.match(last?.head ?? "", /^PUT \/c\/name%20x\?sig=verySecret%2Fvalue HTTP\/1\.1\r\n/);
                assert.match(last?.head ?? "", new RegExp(`\\r\\ncontent-length: ${size}(\\r|$)`, "i"));
                assert.match(last?.head ?? "", /\r\nx-ms-meta-a: b(\r|$)/);
                assert.match(last?.head ?? "", /\r\nhost: 127\.0\.0\.1:\d+(\r|$)/);
                assert.doesNotMatch(last?.head ?? "", /transfer-encoding/i);
              }
            }
          }
        },
        scheme,
      );
    },
  );
}

contract(
  "[A50] an ordinary server's answers come whole, into the place given when they fit",
  {},
  async (transport) => {
    const large = filled(3 * MEBIBYTE + 5);
    const server = createServer((incoming, answer) => {
      incoming.resume();
      incoming.on("end", () => {
        if (incoming.method === "DELETE") return answer.writeHead(202, { "x-a": ["1", "2"] }).end();
        if (incoming.url?.includes("chunked")) answer.write(large.subarray(0, 100_000));
        else answer.setHeader("content-length", large.length);
        answer.end(incoming.url?.includes("chunked") ? large.subarray(100_000) : large);
      });
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/c/name?${SECRET}`;
    try {
      for (const address of [url, `${url}&chunked`]) {
        for (const into of [null, new Uint8Array(10), new Uint8Array(new SharedArrayBuffer(4 * MEBIBYTE))]) {
          const { status, body } = await transport.send(get(address, { into }), soon());
          assert.equal(status, 200);
          assertSame(body, large);
          if (into !== null && into.length > large.length) assert.equal(body.buffer, into.buffer);
        }
      }
      const head = await transport.send(get(url, { method: "HEAD" }), soon());
      assert.deepEqual([head.status, head.body.length], [200, 0]);
      assert.equal(head.header("content-length"), String(large.length));
      const removed = await transport.send(get(url, { method: "DELETE" }), soon());
      assert.deepEqual([removed.status, removed.header("x-a")], [202, "1, 2"]);
    } finally {
      server.closeAllConnections();
      await new Promise<void>((closed) => server.close(() => closed()));
    }
  },
);

contract(
  "[A50] redirects, answers without content, of an old server and after 100 Continue are what they are",
  {},
  async (transport) => {
    const shapes: readonly [answer: string, status: number, body: string][] = [
      ["HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302, ""],
      ["HTTP/1.1 204 No Content\r\n\r\n", 204, ""],
      ["HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, ""],
      [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 201 \r\nContent-Length: 2\r\n\r\nok",
        201,
        "ok",
      ],
      ["HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nContent-Length: 2\r\n\r\nok", 200, "ok"],
    ];
    for (const [answer, status, body] of shapes) {
      await withPeer(answering(answer), async (url) => {
        for (let round = 0; round < 2; round++) {
          const got = await transport.send(put(url, filled(10)), soon());
          assert.deepEqual([got.status, text(got.body)], [status, body]);
        }
      });
    }
    for (const head of ["HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"]) {
      await withPeer(
        async (peer) => {
          await peer.request();
          await peer.write(`${head}till the end`);
        },
        async (url) => {
          for (let round = 0; round < 2; round++) {
            assert.equal(text((await transport.send(get(url), soon())).body), "till the end");
          }
        },
      );
    }
  },
);

const VALID: readonly [answer: string, status: number, body: string][] = [
  [CREATED, 201, ""],
  ["HTTP/1.1 200\r\nContent-Length: 5\r\nX: \t a b \t\r\n\r\nhello", 200, "hello"],
  [
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nretry-after: 1\r\nCONTENT-LENGTH: 4\r\n\r\nbusy",
    503,
    "busy",
  ],
  [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n00A;x="y"\r\nbcdefghijk\r\n0\r\nT: u\r\n\r\n',
    200,
    "abcdefghijk",
  ],
];

contract("[A50] an answer cut at any place is the same answer", {}, async (transport) => {
  for (const [answer, status, body] of VALID) {
    const cuts = Array.from({ length: answer.length - 1 }, (_, index) => index + 1);
    await withPeer(
      async (peer) => {
        for (const cut of cuts) {
          if ((await peer.request()) === null) return;
          await peer.write(answer.slice(0, cut));
          await pause(0);
          await peer.write(answer.slice(cut));
        }
      },
      async (url) => {
        for (const cut of cuts) {
          const got = await transport.send(put(url, filled(3)), soon());
          assert.deepEqual([got.status, text(got.body)], [status, body], `cut at ${cut}`);
        }
      },
    );
  }
});

contract("[A50] chunks with odd borders, byte by byte, are put together", {}, async (transport) => {
  const random = seededRandom(7);
  const body = text(filled(400).map((byte) => 65 + (byte % 26)));
  let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
  for (let at = 0; at < body.length;) {
    const size = 1 + Math.floor(random.next() * 30);
    const piece = body.slice(at, at + size);
    answer += `${piece.length.toString(16)}\r\n${piece}\r\n`;
    at += size;
  }
  await withPeer(
    async (peer) => {
      while ((await peer.request()) !== null) await peer.writeSlowly(`${answer}0\r\n\r\n`);
    },
    async (url) => {
      for (let round = 0; round < 2; round++) {
        assert.equal(text((await transport.send(get(url), soon())).body), body);
      }
    },
  );
});

contract(
  "[A52] a connection serves one request after the other, and each stream has its own",
  {},
  async (transport) => {
    let connections = 0;
    let requests = 0;
    await withPeer(
      async (peer) => {
        connections++;
        while ((await peer.request()) !== null) {
          requests++;
          await pause(1);
          await peer.write(CREATED);
        }
      },
      async (url) => {
        const stream = async () => {
          for (let round = 0; round < 10; round++) await transport.send(put(url, filled(100)), soon());
        };
        await Promise.all([stream(), stream(), stream()]);
        assert.equal(requests, 30);
        assert.ok(connections <= 3, `${connections} connections`);
      },
    );
  },
);

contract(
  "[A52] a connection that the server closed while idle is replaced without a word",
  {},
  async (transport) => {
    let connections = 0;
    await withPeer(
      async (peer) => {
        connections++;
        await peer.request();
        await peer.write(CREATED);
      },
      async (url) => {
        for (const waitMs of [0, 20, 20]) {
          await pause(waitMs === 0 ? 0 : waitMs);
          assert.equal((await transport.send(get(url, { method: "DELETE" }), soon())).status, 201);
        }
        assert.equal(connections, 3);
      },
    );
  },
);

contract(
  "[A53] an answer that comes while the body leaves is the answer, also when a reset follows",
  {},
  async (transport) => {
    const early = "HTTP/1.1 503 Server Busy\r\nRetry-After: 3\r\nContent-Length: 4\r\n";
    for (const answer of [`${early}\r\nbusy`, `${early}Connection: close\r\n\r\nbusy`]) {
      let connections = 0;
      await withPeer(
        async (peer, index) => {
          connections++;
          if (index > 0) return answering(CREATED)(peer);
          await peer.head();
          await peer.write(answer);
          // Closing with the body unread makes the system send a reset.
          await pause(100);
        },
        async (url) => {
          const got = await transport.send(put(url, filled(20 * MEBIBYTE)), soon());
          assert.deepEqual([got.status, text(got.body), got.header("retry-after")], [503, "busy", "3"]);
          assert.equal((await transport.send(put(url, filled(10)), soon())).status, 201);
          assert.equal(connections, 2);
        },
      );
    }
  },
);

contract("[A51] a connection that ends too soon is broken, never a short answer", {}, async (transport) => {
  const shapes: Record<string, (peer: Peer) => Promise<void>> = {
    "before the body": async (peer) => void (await peer.head()),
    "after the body": async (peer) => void (await peer.request()),
    "in the head": async (peer) => {
      await peer.request();
      await peer.write("HTTP/1.1 201 Crea");
    },
    "in the body": async (peer) => {
      await peer.request();
      await peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    },
    "in a chunk": async (peer) => {
      await peer.request();
      await peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf");
    },
    "before the last chunk": async (peer) => {
      await peer.request();
      await peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    },
  };
  for (const [name, serve] of Object.entries(shapes)) {
    await withPeer(serve, async (url) => {
      const error = await failure(transport.send(put(url, filled(9 * MEBIBYTE)), soon()));
      assert.equal(error.kind, "broken", name);
    });
  }
});

contract("[A51] nobody there is unreachable", {}, async (transport) => {
  const listener = Deno.listen(LISTEN);
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const error = await failure(transport.send(get(`http://127.0.0.1:${port}/c/name?${SECRET}`), soon()));
  assert.equal(error.kind, "unreachable");
});

contract(
  "[A58] a server without our trust, or without TLS, is refused",
  { caCerts: [] },
  async (transport) => {
    await withPeer(
      answering(CREATED),
      async (url) => assert.equal((await failure(transport.send(get(url), soon()))).kind, "tls"),
      "https",
    );
    await withPeer(
      async (peer) => {
        await peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
        await pause(50);
      },
      async (url) => {
        const error = await failure(transport.send(get(url.replace("http:", "https:")), soon()));
        assert.equal(error.kind, "tls");
      },
    );
  },
);

const STALLS: Record<string, (peer: Peer) => Promise<void>> = {
  "before the body": async (peer) => {
    await peer.head();
    await FOREVER;
  },
  "before the answer": async (peer) => {
    await peer.request();
    await FOREVER;
  },
  "in the head": async (peer) => {
    await peer.request();
    await peer.write("HTTP/1.1 200 OK\r\nContent-");
    await FOREVER;
  },
  "in the answer": async (peer) => {
    await peer.request();
    await peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    await FOREVER;
  },
};

/** As `withPeer`, for servers that never end by themselves. */
async function withSilentPeer(
  serve: (peer: Peer) => Promise<void>,
  use: (url: string) => Promise<void>,
): Promise<void> {
  const done = Promise.withResolvers<void>();
  await withPeer(
    (peer) => Promise.race([serve(peer), done.promise]),
    async (url) => {
      try {
        await use(url);
      } finally {
        done.resolve();
      }
    },
  );
}

contract(
  "[A54] a request of which nothing moves is ended, wherever it stands",
  { stallMs: 60 },
  async (transport) => {
    for (const [name, serve] of Object.entries(STALLS)) {
      await withSilentPeer(serve, async (url) => {
        const error = await failure(transport.send(put(url, filled(20 * MEBIBYTE)), soon()));
        assert.equal(error.kind, "stalled", name);
      });
    }
  },
);

contract(
  "[A54] what moves slowly, or waits for its pace, is not stalled",
  { stallMs: 80 },
  async (transport) => {
    await withPeer(
      async (peer) => {
        await peer.request();
        await peer.write("HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n");
        for (const byte of "x".repeat(50)) {
          await peer.write(byte);
          await pause(4);
        }
      },
      async (url) => assert.equal((await transport.send(put(url, filled(10)), soon())).status, 201),
    );
    const pace: Pace = {
      take: async (wanted) => {
        await pause(250);
        return wanted;
      },
    };
    await withPeer(answering(CREATED), async (url) => {
      assert.equal((await transport.send(put(url, filled(10)), soon(pace))).status, 201);
    });
  },
);

contract(
  "[A51] a signal ends a request at once with its reason, wherever it stands",
  {},
  async (transport) => {
    for (const [name, serve] of Object.entries(STALLS)) {
      await withSilentPeer(serve, async (url) => {
        const stop = new AbortController();
        const reason = new Error(`enough ${name}`);
        const sent = transport.send(put(url, filled(20 * MEBIBYTE)), { signal: stop.signal, pace: null });
        setTimeout(() => stop.abort(reason), 30);
        await assert.rejects(sent, reason);
        await assert.rejects(transport.send(get(url), { signal: stop.signal, pace: null }), reason);
      });
    }
  },
);

contract(
  "[A51] a signal ends the wait for the pace and for a connection",
  { caCerts: [CERT] },
  async (transport) => {
    const reason = new Error("enough");
    let paceSignal: AbortSignal | null = null as AbortSignal | null;
    const pace: Pace = {
      take: (_wanted, signal) => {
        paceSignal = signal;
        return new Promise((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason)),
        );
      },
    };
    await withPeer(answering(CREATED), async (url) => {
      const stop = new AbortController();
      const sent = transport.send(put(url, filled(10)), { signal: stop.signal, pace });
      setTimeout(() => stop.abort(reason), 20);
      await assert.rejects(sent, reason);
      assert.equal(paceSignal?.aborted, true);
    });
    // A server that never says a word of TLS.
    await withSilentPeer(
      () => FOREVER,
      async (url) => {
        const stop = new AbortController();
        const sent = transport.send(get(url.replace("http:", "https:")), { signal: stop.signal, pace: null });
        setTimeout(() => stop.abort(reason), 20);
        await assert.rejects(sent, reason);
      },
    );
  },
);

contract("[A51] closing ends what is under way", {}, async (transport) => {
  await withSilentPeer(STALLS["before the answer"] ?? (() => FOREVER), async (url) => {
    const sent = failure(transport.send(put(url, filled(10)), soon()));
    await pause(20);
    transport.close();
    assert.equal((await sent).kind, "broken");
    assert.equal((await failure(transport.send(get(url), soon()))).kind, "broken");
  });
});

contract(
  "[A56] every byte of a body is asked for, in both directions, and no more go than may",
  {},
  async (transport) => {
    const body = filled(300_000);
    const answer = filled(200_000);
    let taken = 0;
    const random = seededRandom(3);
    const pace: Pace = {
      take: (wanted) => {
        const granted = Math.min(wanted, 1 + Math.floor(random.next() * 20_000));
        taken += granted;
        return random.next() < 0.5 ? granted : Promise.resolve(granted);
      },
    };
    await withPeer(
      async (peer) => {
        while ((await peer.request()) !== null) {
          await peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${answer.length}\r\n\r\n`);
          await peer.write(answer);
        }
      },
      async (url) => {
        const got = await transport.send(put(url, body), soon(pace));
        assertSame(got.body, answer);
        assert.equal(taken, body.length + answer.length);
      },
    );
    // The second piece is never granted, so the server must not have it.
    let arrived = 0;
    const first: Pace = {
      take: (_wanted, signal) =>
        arrived++ === 0
          ? 1_000
          : new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    };
    const seen = Promise.withResolvers<number>();
    await withPeer(
      async (peer) => {
        await peer.head();
        seen.resolve(await peer.countFor(100));
      },
      async (url) => {
        const stop = new AbortController();
        const sent = transport.send(put(url, body), { signal: stop.signal, pace: first });
        assert.equal(await seen.promise, 1_000);
        stop.abort(new Error("enough"));
        await assert.rejects(sent, /enough/);
      },
    );
  },
);

contract("[A56] a pace that fails ends the request with its failure", {}, async (transport) => {
  const pace: Pace = { take: () => Promise.reject(new Error("no pace")) };
  await withPeer(answering(CREATED), async (url) => {
    await assert.rejects(transport.send(put(url, filled(10)), soon(pace)), /no pace/);
  });
});

contract("[A55] a request that could be taken for two is not sent", {}, async (transport) => {
  let connections = 0;
  await withPeer(
    async () => void connections++,
    async (url) => {
      const bad: readonly HttpRequest[] = [
        ...["a\r\nx: y", "a\rb", "a\nb", "a\0b", "ä", "\u{10ffff}"].map((value) =>
          put(url, null, { headers: { "x-a": value } }),
        ),
        ...["x a", "x:", "", "x\r\ny", "ä"].map((name) => put(url, null, { headers: { [name]: "a" } })),
        ...["Host", "content-length", "Transfer-Encoding", "connection", "expect"].map((name) =>
          put(url, null, { headers: { [name]: "1" } }),
        ),
        ...[" HTTP/1.1\r\nx: y", "\n", "#x", "ä", "\t"].map((end) => put(url + end)),
        ...["/../x", "/./x", "/%2e%2E/x", "/a/.."].map((path) => put(new URL(url).origin + path)),
        put("ftp://127.0.0.1/"),
        put("http://user:word@127.0.0.1/"),
        put("http://127.0.0.1"),
        get(url, { body: filled(1) }),
        put(url, filled(1), { headroomBytes: 1 }),
      ];
      for (const request of bad) {
        const error = await failure(transport.send(request, soon()));
        assert.equal(error.kind, "malformed", JSON.stringify(request));
      }
      assert.equal(connections, 0);
    },
  );
});

contract("[A55] an answer that breaks the rules is malformed", {}, async (transport) => {
  for (const answer of [
    "SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabcd",
    "HTTP/1.1 200 OK\r\nContent Length: 1\r\n\r\na",
  ]) {
    await withPeer(answering(answer), async (url) => {
      assert.equal((await failure(transport.send(put(url, filled(3)), soon()))).kind, "malformed", answer);
    });
  }
});

contract(
  "[A55] an answer whose end is open to opinion is malformed",
  { only: "raw", because: "the client under fetch is more lenient, or calls it broken" },
  async (transport) => {
    const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
    for (const answer of [
      `${CREATED}x`,
      `${CREATED}${CREATED}`,
      "HTTP/1.1 204 No Content\r\n\r\nx",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
      "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc",
      "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
      "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
      "HTTP/1.1 200 OK\r\n Content-Length: 3\r\n\r\nabc",
      "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 3\r\n\r\nabc",
      "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
      "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
      "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\n".repeat(20),
      `${chunked}Content-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
      `${chunked}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      `${chunked}\r\nx\r\n`,
      `${chunked}\r\n-1\r\n`,
      `${chunked}\r\n0x3\r\nabc\r\n0\r\n\r\n`,
      `${chunked}\r\n3\r\nabcd\r\n0\r\n\r\n`,
      `${chunked}\r\n3\nabc\r\n0\r\n\r\n`,
      `${chunked}\r\n100000000\r\n`,
      `${chunked}\r\n3;${"x".repeat(5_000)}`,
      `${chunked}\r\n0\r\n\r\nx`,
    ]) {
      await withPeer(answering(answer), async (url) => {
        const error = await failure(transport.send(put(url, filled(3)), soon()));
        assert.equal(error.kind, "malformed", JSON.stringify(answer));
      });
    }
  },
);

contract("[A55] an answer without end is too large", {}, async (transport) => {
  const bomb = "a".repeat(1_000);
  await withPeer(
    async (peer) => {
      await peer.request();
      await peer.write("HTTP/1.1 200 OK\r\n");
      for (let count = 0; count < 2_000; count++) await peer.write(`x-${count}: ${bomb}\r\n`);
    },
    async (url) => assert.equal((await failure(transport.send(get(url), soon()))).kind, "too_large"),
  );
  await withPeer(
    async (peer) => {
      await peer.request();
      await peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
      const chunk = `100000\r\n${"a".repeat(MEBIBYTE)}\r\n`;
      for (;;) await peer.write(chunk);
    },
    async (url) => assert.equal((await failure(transport.send(get(url), soon()))).kind, "too_large"),
  );
});

contract(
  "[A54] a head that comes slowly is not stalled",
  { stallMs: 80, only: "raw", because: "fetch does not show that a part of the head came" },
  async (transport) => {
    await withPeer(
      async (peer) => {
        await peer.request();
        for (const byte of CREATED) {
          await peer.write(byte);
          await pause(4);
        }
      },
      async (url) => assert.equal((await transport.send(put(url, filled(10)), soon())).status, 201),
    );
  },
);

contract(
  "[A52] what was sent on a used connection that ends without an answer is sent once more, on a new one never",
  { only: "raw", because: "the client under fetch decides for itself what it sends again" },
  async (transport) => {
    const received: number[] = [];
    await withPeer(
      async (peer, index) => {
        for (let count = 0; ; count++) {
          const request = await peer.request();
          if (request === null) return;
          received.push(index);
          if (count === 1 || index === 2) return;
          await peer.write(CREATED);
        }
      },
      async (url) => {
        const send = () => transport.send(put(url, filled(100)), soon());
        for (let round = 0; round < 2; round++) assert.equal((await send()).status, 201);
        assert.deepEqual(received, [0, 0, 1]);
        assert.equal((await failure(send())).kind, "broken");
        assert.deepEqual(received, [0, 0, 1, 1, 2]);
      },
    );
  },
);

contract(
  "[A52] an idle connection is closed after its time",
  { only: "raw", because: "the client under fetch looks after its own connections", idleMs: 60 },
  async (transport) => {
    const ended = Promise.withResolvers<Received | null>();
    await withPeer(
      async (peer) => {
        await peer.request();
        await peer.write(CREATED);
        ended.resolve(await peer.request());
      },
      async (url) => {
        assert.equal((await transport.send(put(url, filled(10)), soon())).status, 201);
        assert.equal(await ended.promise, null);
      },
    );
  },
);

contract(
  "[A55] what comes over an idle connection ends it and is nobody's answer",
  { only: "raw", because: "the client under fetch looks after its own connections" },
  async (transport) => {
    const ended = Promise.withResolvers<void>();
    await withPeer(
      async (peer, index) => {
        await peer.request();
        await peer.write(CREATED);
        if (index > 0) return;
        await pause(10);
        await peer.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        await pause(10);
        ended.resolve();
        if ((await peer.request()) !== null) await peer.write(CREATED);
      },
      async (url) => {
        assert.equal((await transport.send(put(url, filled(10)), soon())).status, 201);
        await ended.promise;
        assert.equal((await transport.send(put(url, filled(10)), soon())).status, 201);
      },
    );
  },
);

contract(
  "[A53] success before the whole body has left is no success",
  { only: "raw", because: "the client under fetch does not tell how much has left" },
  async (transport) => {
    await withPeer(
      async (peer) => {
        await peer.head();
        await peer.write(CREATED);
        await pause(50);
      },
      async (url) => {
        const error = await failure(transport.send(put(url, filled(20 * MEBIBYTE)), soon()));
        assert.equal(error.kind, "malformed");
      },
    );
  },
);

contract(
  "[A51] a buffer used again after an abort never gives the server a whole body with foreign bytes",
  {},
  async (transport) => {
    let whole = 0;
    // Small steps, so that for some the last write is the one that has to wait.
    for (let size = 2 * MEBIBYTE; size <= 6 * MEBIBYTE; size += MEBIBYTE / 16) {
      const original = filled(size);
      const overwritten = Promise.withResolvers<void>();
      let body: Uint8Array | null = null;
      const drained = Promise.withResolvers<void>();
      await withPeer(
        async (peer) => {
          await peer.head();
          await overwritten.promise;
          body = await peer.bytes(size);
          drained.resolve();
        },
        async (url) => {
          const stop = new AbortController();
          const bytes = filled(size);
          const sent = transport.send(put(url, bytes), { signal: stop.signal, pace: null });
          await pause(15);
          stop.abort(new Error("enough"));
          await assert.rejects(sent, /enough/);
          bytes.fill(255);
          overwritten.resolve();
          await drained.promise;
          if (body === null) return;
          whole++;
          assertSame(body, original);
        },
      );
    }
    assert.ok(whole > 0, "no body was whole, so nothing was proved");
  },
);

// --- which of the two ----------------------------------------------------------------------------------------------

/** What a platform of its own process sends a body with, and what becomes of it. */
const SEND_ONCE = `
import { denoPlatform } from "./agent/platform-deno.ts";
const { transport } = denoPlatform(() => undefined);
const request = { method: "PUT", url: Deno.args[0], headers: {}, body: new Uint8Array(9), headroomBytes: 0, into: null };
const told = { transport: transport.constructor.name };
try {
  const { status } = await transport.send(request, { signal: new AbortController().signal, pace: null });
  console.log(JSON.stringify({ ...told, status }));
} catch (error) {
  console.log(JSON.stringify({ ...told, failure: error.kind }));
}
transport.close();
`;

Deno.test("[A72] further authorities are trusted by sockets of our own; only a proxy sends bodies over fetch", async () => {
  const authority = Deno.makeTempFileSync({ suffix: ".pem" });
  Deno.writeTextFileSync(authority, CERT);
  const root = new URL("..", import.meta.url).pathname;
  const sendOnce = async (url: string, env: Readonly<Record<string, string>>) => {
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", "--ext=ts", SEND_ONCE, url],
      cwd: root,
      env: { ...env, NO_PROXY: "127.0.0.1" },
    }).output();
    const decoder = new TextDecoder();
    assert.notEqual(stdout.length, 0, decoder.decode(stderr));
    return JSON.parse(decoder.decode(stdout)) as unknown;
  };
  try {
    await withPeer(
      answering(CREATED),
      async (url) => {
        assert.deepEqual(await sendOnce(url, {}), { transport: "RawTransport", failure: "tls" });
        const trusting = { DENO_CERT: authority };
        assert.deepEqual(await sendOnce(url, trusting), { transport: "RawTransport", status: 201 });
        const proxied = await sendOnce(url, { ...trusting, HTTPS_PROXY: "http://127.0.0.1:9" });
        assert.deepEqual(proxied, { transport: "FetchTransport", status: 201 });
      },
      "https",
    );
  } finally {
    Deno.removeSync(authority);
  }
});
