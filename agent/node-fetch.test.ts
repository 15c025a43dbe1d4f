import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { nodeFetch } from "./node-fetch.ts";

type Handler = (incoming: IncomingMessage, body: Uint8Array, answer: ServerResponse) => void;

async function withServer(handler: Handler, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer((incoming, answer) => {
    const parts: Uint8Array[] = [];
    incoming.on("data", (part: Uint8Array) => parts.push(part));
    incoming.on("end", () => handler(incoming, new Uint8Array(parts.flatMap((part) => [...part])), answer));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", () => listening()));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/c/name%20%23?a=1&sig=x%3D`);
  } finally {
    server.closeAllConnections();
    await new Promise<void>((closed) => server.close(() => closed()));
  }
}

const signal = () => AbortSignal.timeout(10_000);

Deno.test("[A50] a body arrives byte for byte with its length, and the answer comes back with status and headers", async () => {
  const body = Uint8Array.from({ length: 2_500_000 }, (_, index) => index % 251);
  await withServer(
    (incoming, received, answer) => {
      assert.equal(incoming.headers["content-length"], String(body.length));
      assert.equal(incoming.headers["transfer-encoding"], undefined);
      assert.equal(incoming.url, "/c/name%20%23?a=1&sig=x%3D");
      assert.equal(incoming.headers["x-ms-meta-a"], "b");
      assert.deepEqual(received, body);
      answer.writeHead(201, { etag: '"0x1"' }).end("made");
    },
    async (url) => {
      const response = await nodeFetch(url, {
        method: "PUT",
        headers: { "x-ms-meta-a": "b" },
        body,
        signal: signal(),
      });
      assert.equal(response.status, 201);
      assert.equal(response.headers.get("etag"), '"0x1"');
      assert.equal(await response.text(), "made");
    },
  );
});

Deno.test("[A50] an empty body says so, a redirect is not followed, an answer without content is one", async () => {
  await withServer(
    (incoming, _received, answer) => {
      if (incoming.method === "PUT") assert.equal(incoming.headers["content-length"], "0");
      answer.writeHead(incoming.method === "PUT" ? 204 : 302, { location: "http://127.0.0.1:1/" }).end();
    },
    async (url) => {
      assert.equal(
        (await nodeFetch(url, { method: "PUT", body: new Uint8Array(), signal: signal() })).status,
        204,
      );
      assert.equal((await nodeFetch(url, { signal: signal() })).status, 302);
    },
  );
});

Deno.test("[A51] a signal ends a request at once with its reason", async () => {
  await withServer(
    () => undefined,
    async (url) => {
      const stop = new AbortController();
      const asked = nodeFetch(url, { method: "PUT", body: new Uint8Array(10), signal: stop.signal });
      setTimeout(() => stop.abort(new Error("enough")), 20);
      await assert.rejects(asked, /enough/);
      await assert.rejects(nodeFetch(url, { signal: stop.signal }), /enough/);
    },
  );
});

Deno.test("[A51] a connection that ends before or within the answer is an error, never a short answer", async () => {
  for (const cut of ["before", "within"] as const) {
    await withServer(
      (incoming, _received, answer) => {
        if (cut === "before") return void incoming.socket.destroy();
        answer.writeHead(200, { "content-length": "100" });
        answer.write("half", () => incoming.socket.destroy());
      },
      async (url) => {
        await assert.rejects(nodeFetch(url, { signal: signal() }));
      },
    );
  }
});

Deno.test("[A51] nobody listening is an error", async () => {
  await assert.rejects(nodeFetch("http://127.0.0.1:9/", { signal: signal() }));
});
