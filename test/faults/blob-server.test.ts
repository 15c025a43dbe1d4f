/** Each fault, as a client without any cleverness meets it, in front of the real emulator. */
import { createHash, createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { request, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Azurite, EMULATOR_ACCOUNT, EMULATOR_KEY, startAzurite } from "../../tools/stack/azurite.ts";
import { BlobServer, type Fault, STORM_FAULTS } from "./blob-server.ts";

const BODY = Buffer.from("The quick brown fox jumps over the lazy dog. ".repeat(50));
const MD5 = md5(BODY);
const CONTAINER = "faults";

const folder = mkdtempSync(join(tmpdir(), "blob-faults-"));
let azurite: Azurite;
let server: BlobServer;
let base: string;

beforeAll(async () => {
  azurite = await startAzurite({ dataDir: folder });
  server = await BlobServer.start(new URL(azurite.blobEndpoint).origin);
  base = `${server.inFrontOf(azurite.blobEndpoint)}/${CONTAINER}`;
  expect((await ask("PUT", "?restype=container")).status).toBe(201);
});
beforeEach(() => {
  server.seen.length = 0;
});
afterEach(() => server.calm());
afterAll(async () => {
  await server?.stop();
  await azurite?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request on a connection of its own; fails when the answer does not come whole. */
function ask(
  method: string,
  address: string,
  { body = Buffer.alloc(0), headers = {}, timeoutMs = 10_000, sas = accountSas(60) }: Partial<Asked> = {},
): Promise<Got> {
  const url = new URL(`${base}${address}${address.includes("?") ? "&" : "?"}${sas}`);
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((answered, failed) => {
    const outgoing = request(
      url,
      {
        method,
        agent: false,
        signal,
        headers: { "x-ms-version": "2023-11-03", "content-length": body.length, ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", failed);
        response.on("end", () =>
          answered({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    outgoing.on("error", failed);
    outgoing.end(body);
  });
}

interface Asked {
  readonly body: Buffer;
  readonly headers: Record<string, string>;
  readonly timeoutMs: number;
  readonly sas: string;
}

function accountSas(minutes: number): string {
  const at = (fromNow: number) =>
    new Date(Date.now() + fromNow * 60_000).toISOString().replace(/\.\d+Z$/, "Z");
  const values = { sv: "2022-11-02", ss: "b", srt: "sco", st: at(-15), se: at(minutes), sp: "rwdlc" };
  const { sv, ss, srt, st, se, sp } = values;
  const text = [EMULATOR_ACCOUNT, sp, ss, srt, st, se, "", "", sv, "", ""].join("\n");
  const sig = createHmac("sha256", Buffer.from(EMULATOR_KEY, "base64")).update(text).digest("base64");
  return String(new URLSearchParams({ ...values, sig }));
}

function md5(bytes: Buffer): string {
  return createHash("md5").update(bytes).digest("base64");
}

function put(name: string, more: Partial<Asked> = {}): Promise<Got> {
  const headers = { "x-ms-blob-type": "BlockBlob", ...more.headers };
  return ask("PUT", `/${name}`, { body: BODY, ...more, headers });
}

function putBlock(name: string, id: string): Promise<Got> {
  return ask("PUT", `/${name}?comp=block&blockid=${encodeURIComponent(id)}`, { body: BODY });
}

function commit(name: string, ids: readonly string[]): Promise<Got> {
  const list = ids.map((id) => `<Latest>${id}</Latest>`).join("");
  return ask("PUT", `/${name}?comp=blocklist`, { body: Buffer.from(`<BlockList>${list}</BlockList>`) });
}

async function exists(name: string): Promise<boolean> {
  return (await ask("HEAD", `/${name}`)).status === 200;
}

function arm(fault: Fault, times = 1) {
  return server.arm({ match: { operation: "put_blob" }, fault, times });
}

/** What is listed on each page. */
async function listPages(prefix: string): Promise<string[][]> {
  const pages: string[][] = [];
  for (let marker = ""; ;) {
    const got = await ask(
      "GET",
      `?restype=container&comp=list&prefix=${prefix}&marker=${encodeURIComponent(marker)}`,
    );
    const text = String(got.body);
    pages.push([...text.matchAll(/<Name>([^<]*)<\/Name>/g)].map(([, name = ""]) => name));
    marker = /<NextMarker>([^<]+)</.exec(text)?.[1] ?? "";
    if (marker === "") return pages;
  }
}

// --- no fault --------------------------------------------------------------------------------------------------------

test("[Q20] without a fault everything goes through as it came, and is recorded", async () => {
  expect((await put("plain%20a/b.txt", { headers: { "content-md5": MD5 } })).status).toBe(201);
  const got = await ask("GET", "/plain%20a/b.txt");
  expect(got.body).toEqual(BODY);
  expect(got.headers["content-type"]).toBe("application/octet-stream");
  expect((await ask("HEAD", "/plain%20a/b.txt")).headers["content-length"]).toBe(String(BODY.length));
  expect((await putBlock("blocks", "QUFB")).status).toBe(201);
  expect((await commit("blocks", ["QUFB"])).status).toBe(201);
  expect(String((await ask("GET", "/blocks?comp=blocklist&blocklisttype=all")).body)).toContain("QUFB");
  expect((await ask("PUT", "/blocks?comp=tier", { headers: { "x-ms-access-tier": "Cool" } })).status).toBe(
    200,
  );
  expect((await ask("DELETE", "/blocks")).status).toBe(202);
  expect(await listPages("plain")).toEqual([["plain a/b.txt"]]);
  expect(server.seen.map(({ operation }) => operation)).toEqual([
    "put_blob",
    "get",
    "head",
    "put_block",
    "put_block_list",
    "get_block_list",
    "set_tier",
    "delete",
    "list",
  ]);
  const [first] = server.seen;
  expect(first).toMatchObject({
    path: "plain a/b.txt",
    bodyBytes: BODY.length,
    status: 201,
    emulatorStatus: 201,
  });
  expect([...server.accepted()]).toEqual([
    ["plain a/b.txt", 1],
    ["blocks QUFB", 1],
  ]);
});

test("[Q20] a fault strikes what matches, so often, and after so many", async () => {
  const fault: Fault = { kind: "refuse", status: 500, code: "InternalError" };
  const armed = server.arm({ match: { method: "PUT", path: /^match\// }, after: 1, times: 2, fault });
  const statuses: number[] = [];
  for (const name of ["match/1", "other", "match/2", "match/3", "match/4"])
    statuses.push((await put(name)).status);
  expect(statuses).toEqual([201, 201, 500, 500, 201]);
  expect(armed.hits).toBe(2);
});

// --- connections -------------------------------------------------------------------------------------------------------

test("[Q21] a connection is reset before the body, after it, before the answer, or in it; only the last two were done", async () => {
  for (const [at, isDone] of [
    ["before_body", false],
    ["after_body", false],
    ["before_answer", true],
    ["in_answer", true],
  ] as const) {
    arm({ kind: "reset", at });
    await expect(put(`reset/${at}`), at).rejects.toThrow(/ECONNRESET|hang up|aborted|Parse Error/);
    expect(await exists(`reset/${at}`), at).toBe(isDone);
    const seen = server.seen.find(({ path }) => path === `reset/${at}`);
    expect(seen).toMatchObject({ fault: "reset", status: null, emulatorStatus: isDone ? 201 : null });
    expect(seen?.bodyBytes).toBe(at === "before_body" ? 0 : BODY.length);
  }
});

test("[Q21] a connection is reset at any byte of the body, which stores nothing, or of the answer", async () => {
  for (const share of [0, 0.2, 0.49, 0.5, 0.75, 0.99]) {
    arm({ kind: "reset_within", share });
    await expect(put(`within/${share}`), String(share)).rejects.toThrow(/ECONNRESET|hang up|aborted|Parse/);
    expect(await exists(`within/${share}`), String(share)).toBe(share >= 0.5);
    const seen = server.seen.find(({ path }) => path === `within/${share}`);
    expect(seen).toMatchObject({ status: null, emulatorStatus: share < 0.5 ? null : 201 });
  }
});

test("[Q21] an answer in small slices is the same answer", async () => {
  await put("sliced");
  const armed = server.arm({ match: { operation: "get" }, fault: { kind: "sliced", sliceBytes: 40 } });
  expect((await ask("GET", "/sliced")).body).toEqual(BODY);
  expect(armed.hits).toBe(1);
});

test("[Q21] a body that nobody reads stays with the client", async () => {
  arm({ kind: "stall", at: "before_body" });
  const { hostname, port, pathname } = new URL(base);
  const socket = connect(Number(port), hostname);
  const length = 16 * 1_048_576;
  socket.write(`PUT ${pathname}/large HTTP/1.1\r\nhost: ${hostname}\r\ncontent-length: ${length}\r\n\r\n`);
  socket.write(Buffer.alloc(length));
  await new Promise((passed) => setTimeout(passed, 1_500));
  expect(socket.writableLength).toBeGreaterThan(0);
  expect(server.seen[0]).toMatchObject({ operation: "put_blob", path: "large", bodyBytes: 0 });
  socket.destroy();
});

test("[Q21] a stalled connection is silent until the client gives up", async () => {
  for (const at of ["before_body", "after_body", "before_answer", "in_answer"] as const) {
    arm({ kind: "stall", at });
    await expect(put(`stall/${at}`, { timeoutMs: 300 }), at).rejects.toThrow(/aborted|timeout/i);
    expect(server.seen[0]?.status ?? null).toBeNull();
  }
  expect(await exists("stall/after_body")).toBe(false);
  expect(await exists("stall/before_answer")).toBe(true);
});

test("[Q21] what stalls is cut off when there are to be no more faults", async () => {
  arm({ kind: "stall", at: "after_body" });
  const stalled = expect(put("stall/calmed")).rejects.toThrow(/ECONNRESET|hang up/);
  await expect.poll(() => server.seen[0]?.bodyBytes).toBe(BODY.length);
  server.calm();
  await stalled;
});

test("[Q21] a truncated answer announces more than comes", async () => {
  await put("truncated");
  server.arm({ match: { operation: "get" }, fault: { kind: "truncate" } });
  await expect(ask("GET", "/truncated")).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  expect((await ask("GET", "/truncated")).body).toEqual(BODY);
});

test("[Q21] a slow answer takes its time, and a late one comes whole", async () => {
  await put("slow");
  server.arm({ match: { operation: "get" }, fault: { kind: "slow", bytesPerSecond: 5_000 } });
  const started = performance.now();
  expect((await ask("GET", "/slow")).body).toEqual(BODY);
  expect(performance.now() - started).toBeGreaterThan(300);
  arm({ kind: "latency", delayMs: 300 });
  const again = performance.now();
  expect((await put("late")).status).toBe(201);
  expect(performance.now() - again).toBeGreaterThan(290);
});

// --- refusals ------------------------------------------------------------------------------------------------------------

test("[Q22] the service is busy with a time to wait in seconds, as a date, or without, and calls before it count as early", async () => {
  const busy = { kind: "refuse", status: 503, code: "ServerBusy" } as const;
  arm(busy);
  const without = await put("busy");
  expect(without).toMatchObject({ status: 503 });
  expect(without.headers["retry-after"]).toBeUndefined();
  expect(without.headers["x-ms-error-code"]).toBe("ServerBusy");
  expect(String(without.body)).toContain("<Code>ServerBusy</Code>");
  arm({ ...busy, retryAfter: { seconds: 30, form: "date" } });
  const waitMs = Date.parse(String((await put("busy")).headers["retry-after"])) - Date.now();
  expect(waitMs).toBeGreaterThan(28_000);
  expect(waitMs).toBeLessThan(32_000);
  arm({ ...busy, retryAfter: { seconds: 1, form: "seconds" } });
  expect((await put("busy")).headers["retry-after"]).toBe("1");
  await put("busy");
  expect(server.earlyCalls(0).length).toBe(2);
  await new Promise((passed) => setTimeout(passed, 1_050));
  expect((await put("busy")).status).toBe(201);
  expect(server.earlyCalls(0).length).toBe(2);
  expect(server.accepted().get("busy")).toBe(2);
});

test("[Q22] a refusal has the code it was given, and nothing is done", async () => {
  for (const [status, code] of [
    [500, "OperationTimedOut"],
    [409, "BlobArchived"],
    [403, "AuthenticationFailed"],
  ] as const) {
    arm({ kind: "refuse", status, code });
    const got = await put("refused");
    expect([got.status, got.headers["x-ms-error-code"]]).toEqual([status, code]);
    expect(await exists("refused")).toBe(false);
  }
  server.arm({ match: { operation: "head" }, fault: { kind: "refuse", status: 500, code: "InternalError" } });
  expect((await ask("HEAD", "/refused")).headers["x-ms-error-code"]).toBe("InternalError");
});

test("[Q22] a SAS that expired is refused until another comes", async () => {
  const [old, fresh] = [accountSas(60), accountSas(90)];
  server.arm({ fault: { kind: "expired_sas" } });
  for (let attempt = 0; attempt < 3; attempt++)
    expect((await put("expired", { sas: old })).headers["x-ms-error-code"]).toBe("AuthenticationFailed");
  expect((await put("expired", { sas: fresh })).status).toBe(201);
  expect((await put("expired", { sas: old })).status).toBe(403);
});

test("[Q22] a captive portal answers in the service's place", async () => {
  arm({ kind: "portal", form: "page" });
  const page = await put("portal");
  expect([page.status, page.headers["content-type"], page.headers["x-ms-version"]]).toEqual([
    200,
    "text/html",
    undefined,
  ]);
  arm({ kind: "portal", form: "redirect" });
  expect((await put("portal")).headers.location).toBe("http://login.hotspot.invalid/");
  expect(await exists("portal")).toBe(false);
});

test("[Q22] the clock of the service is off", async () => {
  arm({ kind: "clock_skew", minutes: -20 });
  const skewMs = Date.parse(String((await put("skew")).headers.date)) - Date.now();
  expect(Math.abs(skewMs + 20 * 60_000)).toBeLessThan(10_000);
});

// --- bytes ---------------------------------------------------------------------------------------------------------------

test("[Q23] a byte changed on the way is refused with its checksum, and stored without", async () => {
  const headers = { "content-md5": MD5 };
  arm({ kind: "corrupt_upload", checksums: "kept" });
  expect((await put("corrupt", { headers })).headers["x-ms-error-code"]).toBe("Md5Mismatch");
  expect(await exists("corrupt")).toBe(false);
  arm({ kind: "corrupt_upload", checksums: "removed" });
  expect((await put("corrupt", { headers })).status).toBe(201);
  expect(differences((await ask("GET", "/corrupt")).body)).toBe(1);
});

test("[Q23] a byte changes on the way back, once", async () => {
  await put("fine");
  server.arm({ match: { operation: "get" }, fault: { kind: "corrupt_download" } });
  expect(differences((await ask("GET", "/fine")).body)).toBe(1);
  expect(differences((await ask("GET", "/fine")).body)).toBe(0);
});

function differences(bytes: Buffer): number {
  expect(bytes.length).toBe(BODY.length);
  return bytes.filter((byte, index) => byte !== BODY[index]).length;
}

// --- listings and blocks ---------------------------------------------------------------------------------------------------

test("[Q24] pages are short, empty with more behind them, or repeat an item", async () => {
  const names = Array.from({ length: 7 }, (_, index) => `paged/${index}`);
  for (const name of names) await put(name);
  expect(await listPages("paged")).toEqual([names]);
  const limit: Fault = { kind: "page_limit", itemsMax: 3 };
  const match = { operation: "list" } as const;
  server.arm({ match, fault: limit, times: Infinity });
  expect(await listPages("paged")).toEqual([names.slice(0, 3), names.slice(3, 6), names.slice(6)]);
  server.calm();
  server.arm({ match, fault: { kind: "empty_page" }, times: 2 });
  server.arm({ match, fault: limit, times: 2 });
  server.arm({ match, fault: { kind: "repeated_item" } });
  const pages = await listPages("paged");
  expect(pages).toEqual([[], [], names.slice(0, 3), names.slice(3, 6), [names[5], names[6]]]);
  server.calm();
  server.arm({ match, fault: limit });
  server.arm({ match, fault: { kind: "empty_page" } });
  expect(await listPages("paged")).toEqual([names.slice(0, 3), [], names.slice(3)]);
});

test("[Q24] uncommitted blocks are lost, and what was committed stays", async () => {
  const blockList = async (kind: string) => {
    const got = await ask("GET", `/lost?comp=blocklist&blocklisttype=${kind}`);
    return [got.status, ...[...String(got.body).matchAll(/<Name>([^<]*)</g)].map(([, id]) => id)];
  };
  const lose = () => server.arm({ match: { path: /^lost$/ }, fault: { kind: "blocks_lost" } });
  await putBlock("lost", "QUFB");
  await putBlock("lost", "QUFC");
  expect(await blockList("uncommitted")).toEqual([200, "QUFB", "QUFC"]);
  lose();
  expect(await blockList("uncommitted")).toEqual([404]);
  await putBlock("lost", "QUFC");
  expect(await blockList("uncommitted")).toEqual([200, "QUFC"]);
  expect((await commit("lost", ["QUFB", "QUFC"])).headers["x-ms-error-code"]).toBe("InvalidBlockList");
  await putBlock("lost", "QUFB");
  expect((await commit("lost", ["QUFB", "QUFC"])).status).toBe(201);
  await putBlock("lost", "QUFD");
  lose();
  expect((await commit("lost", ["QUFB", "QUFD"])).status).toBe(400);
  expect(await blockList("all")).toEqual([200, "QUFB", "QUFC"]);
  expect((await ask("GET", "/lost")).body.length).toBe(2 * BODY.length);
});

// --- storms --------------------------------------------------------------------------------------------------------------

/** Until it is done; how often that took. */
async function insist(action: () => Promise<Got>, status: number): Promise<number> {
  for (let tries = 1; tries < 20; tries++) {
    const got = await action().catch(() => null);
    if (got?.status === status && got.headers["x-ms-version"] !== undefined) return tries;
  }
  throw new Error("It never worked");
}

test("[Q25] a storm of one seed is the same storm in any order of requests, and lets a patient client through", async () => {
  const names = Array.from({ length: 60 }, (_, index) => `storm/${index}`);
  const weather = async (seed: number, order: readonly string[]) => {
    server.seen.length = 0;
    server.storm({ seed, share: 0.4, faults: STORM_FAULTS.filter(({ kind }) => kind !== "latency") });
    for (let at = 0; at < order.length; at += 10)
      await Promise.all(
        order
          .slice(at, at + 10)
          .map((name) => insist(() => put(name, { headers: { "content-md5": MD5 } }), 201)),
      );
    server.calm();
    return names.map((name) => server.seen.filter(({ path }) => path === name).map(({ fault }) => fault));
  };
  const first = await weather(7, names);
  expect(await weather(7, names.toReversed())).toEqual(first);
  expect(await weather(8, names)).not.toEqual(first);
  const faults = first.flat();
  const struck = faults.filter((fault) => fault !== null);
  expect(struck.length / faults.length).toBeGreaterThan(0.2);
  expect(new Set(struck).size).toBeGreaterThan(4);
  expect(Math.max(...first.map((of) => of.length))).toBeGreaterThan(2);
  for (const name of names) expect((await ask("GET", `/${name}`)).body).toEqual(BODY);
});

test("[Q25] not even a storm that hits everything strikes one request more than twice in a row", async () => {
  server.storm({
    seed: 1,
    share: 1,
    match: { method: "PUT" },
    faults: [{ kind: "reset", at: "after_body" }],
  });
  for (const name of ["storm/a", "storm/b"]) expect(await insist(() => put(name), 201)).toBe(3);
});
