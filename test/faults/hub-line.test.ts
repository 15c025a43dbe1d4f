/** Each fault of the line, in front of a server that counts what reached it. */
import { once } from "node:events";
import { createServer, get, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { HubLine } from "./hub-line.ts";

let server: Server;
let line: HubLine;
const asked: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    request.resume().on("end", () => {
      asked.push(String(request.url));
      response.end("x".repeat(10_000));
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  line = await HubLine.start(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
beforeEach(() => {
  line.calm();
  asked.length = 0;
});
afterAll(async () => {
  await line.stop();
  server.closeAllConnections();
  server.close();
});

/** On a connection of its own. */
async function ask(path: string, timeoutMs = 5_000): Promise<{ status: number; length: number }> {
  const asking = get(line.url + path, { agent: false, signal: AbortSignal.timeout(timeoutMs) });
  const [response] = (await once(asking, "response")) as [IncomingMessage];
  let length = 0;
  for await (const piece of response) length += (piece as Buffer).length;
  return { status: response.statusCode ?? 0, length };
}

const WHOLE = { status: 200, length: 10_000 };

test("[Q26] a good, a late and a sliced connection carry everything", async () => {
  expect(await ask("/good")).toEqual(WHOLE);
  line.always({ kind: "latency", delayMs: 20 });
  expect(await ask("/late")).toEqual(WHOLE);
  line.always({ kind: "sliced", sliceBytes: 90 });
  expect(await ask("/sliced")).toEqual(WHOLE);
});

test("[Q26] a connection is reset at a byte of either way; a lost answer is one to what was done", async () => {
  line.always({ kind: "reset", way: "up", afterBytes: 10 });
  await expect(ask("/up")).rejects.toThrow();
  expect(asked).toEqual([]);
  line.always({ kind: "reset", way: "down", afterBytes: 500 });
  await expect(ask("/down")).rejects.toThrow();
  line.always({ kind: "lost_answer" });
  await expect(ask("/lost")).rejects.toThrow();
  expect(asked).toEqual(["/down", "/lost"]);
});

test("[Q26] a stalled connection is silent until the client gives up, or the line is calm", async () => {
  line.always({ kind: "stall", way: "up", afterBytes: 3 });
  await expect(ask("/stalled", 300)).rejects.toThrow(/aborted|timeout/);
  expect(asked).toEqual([]);
  line.always({ kind: "stall", way: "down", afterBytes: 100 });
  const waiting = expect(ask("/waits")).rejects.toThrow(/ECONNRESET|aborted/);
  await expect.poll(() => asked).toEqual(["/waits"]);
  line.calm();
  await waiting;
  expect(await ask("/calm")).toEqual(WHOLE);
});

test("[Q26] somebody on the way refuses, and asks nobody", async () => {
  line.always({ kind: "refuse", retryAfterSeconds: 1 });
  expect(await ask("/refused")).toEqual({ status: 503, length: 0 });
  expect(asked).toEqual([]);
});

test("[Q26] the faults of the connections follow from the seed", async () => {
  const meet = async () => {
    const seeded = await HubLine.start("http://127.0.0.1:9");
    seeded.storm(4);
    for (let number = 0; number < 40; number++)
      await fetch(seeded.url, { signal: AbortSignal.timeout(300) }).catch(() => undefined);
    await seeded.stop();
    return [...seeded.met];
  };
  const met = await meet();
  expect(met.length).toBeGreaterThan(4);
  expect(await meet()).toEqual(met);
});
