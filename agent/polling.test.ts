/** The session where no WebSocket passes: which way it takes, and what it says there. The clock is moved by hand. */
import assert from "node:assert/strict";
import { syncRequest, type Envelope, type SyncRequest } from "../schema/protocol.ts";
import { Lease } from "./lease.ts";
import { ConnectError, type Platform } from "./platform.ts";
import { SOCKET_RETRY_MS } from "./road.ts";
import { holdSession, type SessionEnd, type Work } from "./session.ts";
import { ScriptedSocket, settle, VirtualClock, virtualPlatform, type Logged } from "./virtual.ts";

const AGENT = "agt_01jd0000000000000000000000";
const IDLE: Work = {
  applied: () => ({}),
  apply: ({ jobId, epoch, rev }) => ({ type: "applied", jobId, epoch, rev, result: "ok" }),
  resume: () => undefined,
  acknowledge: () => undefined,
  events: () => [],
  progress: () => [],
  nextProgressSeq: () => 1,
  news: () => new Promise(() => undefined),
};

/** A hub behind a proxy: upgrades are refused or silent, requests are answered as the long poll has it. */
class Site {
  readonly clock = new VirtualClock();
  readonly lease = new Lease(this.clock);
  readonly stop = new AbortController();
  readonly sockets: ScriptedSocket[] = [];
  readonly asked: SyncRequest[] = [];
  readonly platform: Platform & { logged: Logged[] };
  upgrades: "refused" | "silent" | "pass";
  /** Statuses to answer with first. */
  readonly statuses: { status: number; headers?: Record<string, string> }[] = [];
  upgradeTimes: number[] = [];
  requestTimes: number[] = [];
  end: SessionEnd | null = null;
  #frames: Envelope[] = [];
  #epoch = 0;

  constructor(upgrades: Site["upgrades"] = "refused") {
    this.upgrades = upgrades;
    this.platform = virtualPlatform({
      clock: this.clock,
      connect: async (url, { headers }) => {
        this.upgradeTimes.push(this.clock.monotonic());
        if (this.upgrades === "refused") throw new ConnectError(407, "refused");
        const socket = new ScriptedSocket(url, headers);
        this.sockets.push(socket);
        if (this.upgrades === "pass") socket.deliver(JSON.stringify(this.#welcome()));
        return socket;
      },
      fetch: async (_url, { body, signal }) => await this.#answer(body as string, signal),
    });
    void holdSession({
      platform: this.platform,
      config: { url: "https://api.example.com", key: "mig_agt1_key" },
      identity: { generation: 0, storeGeneration: () => undefined, storeKey: () => false },
      agentId: AGENT,
      work: IDLE,
      lease: this.lease,
      machine: { agentVersion: "0.1.0", host: "host", os: "linux", arch: "x86_64" },
      signal: this.stop.signal,
    }).then((end) => (this.end = end));
  }

  lines(): string[] {
    return [...new Set(this.asked.map(({ line }) => line))];
  }

  said(): string[] {
    return this.asked.flatMap(({ frame }) => (frame?.m ?? []) as { type: string }[]).map(({ type }) => type);
  }

  opened(): unknown[] {
    const opened = this.platform.logged.filter(({ event }) => event === "session_opened");
    return opened.map(({ fields }) => fields["connection"]);
  }

  async close(): Promise<void> {
    this.stop.abort();
    await this.clock.advance(2_000);
    assert.deepEqual(this.end, { kind: "stopped" });
  }

  #welcome(): Envelope {
    const [sessionEpoch, serverTime] = [++this.#epoch, "2026-11-22T10:00:00.000Z"];
    const times = { heartbeatSeconds: 30, reportSeconds: 15, eventSeqHeld: 0 };
    const welcome = {
      type: "welcome",
      protocol: 1,
      agentId: AGENT,
      sessionEpoch,
      serverTime,
      ...times,
      desired: [],
    };
    return { v: 1, s: sessionEpoch, n: 1, a: 1, m: [welcome] };
  }

  async #answer(body: string, signal: AbortSignal): Promise<Response> {
    const asked = syncRequest.parse(JSON.parse(body));
    this.requestTimes.push(this.clock.monotonic());
    const refusal = this.statuses.shift();
    if (refusal !== undefined) return new Response("{}", refusal);
    this.asked.push(asked);
    if (asked.frame?.n === 1) this.#frames = [this.#welcome()];
    const frames = this.#frames.filter(({ n }) => n > asked.received);
    if (frames.length === 0 && asked.waitSeconds > 0)
      await this.clock.sleep(asked.waitSeconds * 1_000, signal);
    return Response.json({ frames, closed: null });
  }
}

Deno.test("[P14] a refused upgrade makes it poll at once, and the hello says so", async () => {
  const site = new Site();
  await site.clock.advance(2_000);
  assert.deepEqual(site.said().slice(0, 2), ["hello", "ready"]);
  const [hello] = (site.asked[0]?.frame?.m ?? []) as { connection: string }[];
  assert.equal(hello?.connection, "long_poll");
  assert.deepEqual(site.opened(), ["long_poll"]);
  await site.close();
  assert.equal(site.said().at(-1), "bye");
  assert.equal(site.asked.at(-1)?.close, 1000);
});

Deno.test("[P16] polling, the lease counts from the last request that was answered", async () => {
  const site = new Site();
  await site.clock.advance(10 * 60_000);
  assert.equal(site.lease.isLive, true);
  const answered = site.requestTimes.length;
  site.statuses.push(...Array.from({ length: 500 }, () => ({ status: 503 })));
  await site.clock.advance(30_000);
  // The one that was under way was answered; what came after it was not.
  const lastMs = site.requestTimes[answered - 1] ?? 0;
  await site.clock.advance(lastMs + 119_900 - site.clock.monotonic());
  assert.equal(site.lease.isLive, true);
  await site.clock.advance(200);
  assert.equal(site.lease.isLive, false);
  site.statuses.length = 0;
  await site.clock.advance(120_000);
  assert.equal(site.lease.isLive, true);
  await site.close();
});

Deno.test("[P14] two sockets on which nothing comes make it poll, one does not", async () => {
  const site = new Site("silent");
  await site.clock.advance(10_500);
  assert.equal(site.asked.length, 0);
  await site.clock.advance(13_000);
  assert.equal(site.sockets.length, 2);
  assert.deepEqual(site.opened(), ["long_poll"]);
  await site.close();
});

Deno.test("[P14] the WebSocket is tried again after 24 to 36 minutes, and used when it passes", async () => {
  const site = new Site();
  await site.clock.advance(0.79 * SOCKET_RETRY_MS);
  assert.equal(site.upgradeTimes.length, 1);
  await site.clock.advance(0.42 * SOCKET_RETRY_MS);
  assert.equal(site.upgradeTimes.length, 2);
  assert.deepEqual(site.opened(), ["long_poll", "long_poll"]);
  site.upgrades = "pass";
  await site.clock.advance(1.21 * SOCKET_RETRY_MS);
  assert.equal(site.opened().includes("websocket"), true);
  await site.close();
});

Deno.test("[P14] an idle line is one held request after another", async () => {
  const site = new Site();
  await site.clock.advance(5_000);
  const before = site.requestTimes.length;
  await site.clock.advance(600_000);
  assert.ok(site.requestTimes.length - before <= 25);
  assert.equal(site.lines().length, 1);
  await site.close();
});

Deno.test("[P14] a request that fails is said again on the same line, not before the pause that was asked for", async () => {
  const site = new Site();
  await site.clock.advance(5_000);
  site.statuses.push({ status: 429, headers: { "Retry-After": "20" } });
  const before = site.requestTimes.length;
  await site.clock.advance(60_000);
  const [refusedMs = 0, nextMs = 0] = site.requestTimes.slice(before);
  assert.ok(nextMs - refusedMs >= 20_000, `after ${nextMs - refusedMs} ms`);
  assert.equal(site.lines().length, 1);
  await site.close();
});

Deno.test("[P14] a refused key is tried again after about 15 minutes, as on a socket", async () => {
  const site = new Site();
  await site.clock.advance(5_000);
  site.statuses.push({ status: 401 });
  await site.clock.advance(30_000);
  const before = site.requestTimes.length;
  await site.clock.advance(11 * 60_000);
  assert.equal(site.requestTimes.length, before);
  await site.clock.advance(8 * 60_000);
  assert.ok(site.requestTimes.length > before);
  await settle();
  await site.close();
});
