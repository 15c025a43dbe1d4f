/** The session over scripted sockets and a clock moved by hand. */
import assert from "node:assert/strict";
import { transferOptions, ZERO_TOTALS, type JobConfig } from "../schema/job.ts";
import {
  EVENTS_UNACKED_MAX,
  FRAME_BYTES_MAX,
  HEARTBEAT,
  HEARTBEAT_ANSWER,
  readAgentFrame,
  type AgentMessage,
  type Applied,
  type HubMessage,
  type JobEvent,
  type Result,
  type VersionRange,
} from "../schema/protocol.ts";
import { Bell } from "./bell.ts";
import type { RunProgress } from "./engine/run.ts";
import { Lease } from "./lease.ts";
import { ConnectError, DiskError, type Platform } from "./platform.ts";
import {
  ACK_LIMIT_MS,
  BAD_KEY_WAIT_MS,
  BUFFERED_BYTES_MAX,
  holdSession,
  type SessionEnd,
  type StoredIdentity,
  type Work,
} from "./session.ts";
import type { Epoch, Wanted } from "./state.ts";
import {
  ScriptedSocket,
  seededRandom,
  settle,
  VirtualClock,
  virtualPlatform,
  type Logged,
} from "./virtual.ts";

const AGENT = "agt_01jd0000000000000000000000";
const OTHER_AGENT = "agt_01jd0000000000000000000009";
const JOB = "job_01jd0000000000000000000001";
const CONFIG: JobConfig = {
  type: "migrate_files",
  name: "Plans",
  source: { kind: "local", path: "/srv/plans" },
  destination: { kind: "azure_blob", account: "acme", container: "plans", prefix: "", tier: "Hot" },
  options: transferOptions.parse({}),
  schedule: null,
};
const PROGRESS: RunProgress = {
  phase: "running",
  totals: ZERO_TOTALS,
  bytesInFlight: 0,
  bytesPerSecond: 0,
  secondsRemaining: null,
  currentPath: null,
};

/** Jobs that are only remembered. */
class MemoryWork implements Work {
  readonly waiting: (JobEvent | Result)[] = [];
  readonly taken: Wanted[] = [];
  running: Epoch[] = [];
  heldAtWelcome: number | null = null;
  full = false;
  #bell = new Bell();
  #seq = 0;
  #progressSeq = 0;

  tell(count = 1, path = "a"): void {
    for (let index = 0; index < count; index++) {
      this.waiting.push({
        type: "event",
        eventSeq: ++this.#seq,
        jobId: JOB,
        epoch: 1,
        at: "2026-11-22T10:00:00.000Z",
        event: { kind: "files_failed", first: 0, failures: [{ path, code: "source_denied", message: "no" }] },
      });
    }
    this.#bell.ring();
  }
  applied(): Record<string, [number, number]> {
    return Object.fromEntries(this.taken.map(({ jobId, epoch, rev }) => [jobId, [epoch, rev]]));
  }
  apply(wanted: Wanted): Applied {
    if (this.full) throw new DiskError("no_space", "Cannot write the database: database or disk is full");
    this.taken.push(wanted);
    return { type: "applied", jobId: wanted.jobId, epoch: wanted.epoch, rev: wanted.rev, result: "ok" };
  }
  resume(eventSeqHeld: number): void {
    this.heldAtWelcome = eventSeqHeld;
    this.acknowledge(eventSeqHeld);
  }
  acknowledge(eventSeq: number): void {
    while (this.waiting[0] !== undefined && this.waiting[0].eventSeq <= eventSeq) this.waiting.shift();
  }
  events(above: number, limit: number): (JobEvent | Result)[] {
    return this.waiting.filter(({ eventSeq }) => eventSeq > above).slice(0, limit);
  }
  progress(): (Epoch & { progress: RunProgress })[] {
    return this.running.map((epoch) => ({ ...epoch, progress: PROGRESS }));
  }
  nextProgressSeq(): number {
    return ++this.#progressSeq;
  }
  async news(): Promise<void> {
    await this.#bell.heard();
  }
}

class MemoryIdentity implements StoredIdentity {
  generation = 4;
  readonly keys: string[] = [];
  fails: Error | null = null;
  storeGeneration(generation: number): void {
    if (this.fails !== null) throw this.fails;
    this.generation = generation;
  }
  storeKey(key: string): boolean {
    if (this.fails !== null) throw this.fails;
    this.keys.push(key);
    return true;
  }
}

/** The other side: it says only what a test tells it to, but answers heartbeats. */
class Line {
  readonly clock = new VirtualClock();
  readonly work = new MemoryWork();
  readonly sockets: ScriptedSocket[] = [];
  readonly stop = new AbortController();
  readonly identity = new MemoryIdentity();
  readonly lease = new Lease(this.clock);
  readonly platform: Platform & { logged: Logged[] };
  /** What the next tries to connect get: a status to be refused with, or null for no answer. */
  readonly refusals: (number | null)[] = [];
  answersHeartbeat = true;
  end: SessionEnd | null = null;
  broke: unknown = null;
  #n = 0;
  #s = 0;
  #v = 1;

  constructor(seed = 1, versions?: VersionRange) {
    this.platform = virtualPlatform({
      clock: this.clock,
      random: seededRandom(seed),
      connect: async (url, { headers }) => {
        const refusal = this.refusals.shift();
        if (refusal !== undefined) throw new ConnectError(refusal, "refused");
        const socket = new ScriptedSocket(url, headers);
        socket.onSent = (text) => {
          if (text === HEARTBEAT && this.answersHeartbeat) socket.deliver(HEARTBEAT_ANSWER);
        };
        this.sockets.push(socket);
        this.#n = 0;
        return socket;
      },
    });
    holdSession({
      platform: this.platform,
      config: { url: "https://api.example.com", key: "mig_agt1_key" },
      identity: this.identity,
      agentId: AGENT,
      work: this.work,
      lease: this.lease,
      machine: { agentVersion: "0.1.0", host: "host", os: "linux", arch: "x86_64" },
      ...(versions === undefined ? {} : { versions }),
      signal: this.stop.signal,
    }).then(
      (end) => (this.end = end),
      (error: unknown) => (this.broke = error),
    );
  }

  get socket(): ScriptedSocket {
    return this.sockets.at(-1) as ScriptedSocket;
  }

  /** Everything the agent said on the newest socket, heartbeats left out. */
  said(socket = this.socket): AgentMessage[] {
    return this.frames(socket).flatMap(({ messages }) => messages);
  }

  frames(socket = this.socket) {
    return socket.sent.filter((text) => text !== HEARTBEAT).map((text) => readAgentFrame(text));
  }

  beats(): number {
    return this.socket.sent.filter((text) => text === HEARTBEAT).length;
  }

  async say(...messages: (HubMessage | Record<string, unknown>)[]): Promise<void> {
    this.socket.deliver(JSON.stringify({ v: this.#v, s: this.#s, n: ++this.#n, a: 0, m: messages }));
    await settle();
  }

  async welcome(more: Partial<HubMessage & { type: "welcome" }> = {}): Promise<void> {
    await settle();
    this.#s = more.sessionEpoch ?? this.#s + 1;
    this.#v = more.protocol ?? 1;
    await this.say({
      type: "welcome",
      protocol: 1,
      agentId: AGENT,
      sessionEpoch: this.#s,
      serverTime: "2026-11-22T10:00:00.000Z",
      heartbeatSeconds: 30,
      reportSeconds: 15,
      eventSeqHeld: 0,
      desired: [],
      ...more,
    });
  }

  async close(): Promise<void> {
    this.stop.abort();
    await this.clock.advance(2_000);
    assert.equal(this.broke, null);
    assert.notEqual(this.end, null, "the session ended");
  }
}

function ofType<Type extends AgentMessage["type"]>(messages: AgentMessage[], type: Type) {
  return messages.filter((message) => message.type === type) as Extract<AgentMessage, { type: Type }>[];
}

function desired(rev = 1, epoch = 1) {
  return { type: "desired", jobId: JOB, epoch, rev, state: "run", config: CONFIG } as const;
}

Deno.test("[P1] the key goes in a header, hello is the first frame and has session 0", async () => {
  const line = new Line();
  await settle();
  assert.equal(line.socket.url, "wss://api.example.com/api/agent/session");
  assert.deepEqual(line.socket.headers, { Authorization: "Bearer mig_agt1_key" });
  const [{ envelope, messages }] = line.frames() as [ReturnType<Line["frames"]>[0]];
  assert.deepEqual([envelope.s, envelope.n, envelope.a], [0, 1, 0]);
  assert.equal(messages[0]?.type, "hello");
  await line.close();
});

Deno.test("[P1] after welcome the agent says ready and what it applied, with the session's number", async () => {
  const line = new Line();
  await line.welcome({ sessionEpoch: 7, desired: [desired()] });
  const last = line.frames().at(-1);
  assert.deepEqual([last?.envelope.s, last?.envelope.n, last?.envelope.a], [7, 2, 1]);
  assert.deepEqual(
    last?.messages.map(({ type }) => type),
    ["ready", "applied"],
  );
  await line.close();
});

for (const version of [3, 4, 5]) {
  Deno.test(`[P15] with a hub that chooses version ${version} of 3 to 5, it speaks that one`, async () => {
    const line = new Line(1, { min: 3, max: 5 });
    await settle();
    const [hello] = ofType(line.said(), "hello");
    assert.deepEqual([hello?.protocolMin, hello?.protocolMax], [3, 5]);
    await line.welcome({ protocol: version, desired: [desired()] });
    await line.say(desired(2));
    // The hello in the version that most hubs read.
    assert.deepEqual(
      line.frames().map(({ envelope }) => envelope.v),
      [3, version, version],
    );
    await line.close();
  });
}

for (const version of [2, 6]) {
  Deno.test(`[P15] a hub that chooses version ${version}, which it does not speak, is not talked to`, async () => {
    const line = new Line(1, { min: 3, max: 5 });
    await line.welcome({ protocol: version, desired: [desired()] });
    assert.equal(line.sockets[0]?.closed?.code, 4008);
    assert.deepEqual(line.work.taken, []);
    await line.close();
  });
}

Deno.test("[P15] a frame of another version than the welcome's ends the socket", async () => {
  const line = new Line(1, { min: 3, max: 5 });
  await line.welcome({ protocol: 4, sessionEpoch: 1 });
  line.socket.deliver(JSON.stringify({ v: 5, s: 1, n: 2, a: 0, m: [desired()] }));
  await settle();
  assert.equal(line.sockets[0]?.closed?.code, 4008);
  assert.deepEqual(line.work.taken, []);
  await line.close();
});

Deno.test("[P15] without a version in common it says so in words and tries every 15 minutes", async () => {
  const line = new Line();
  await settle();
  line.socket.drop(4426, "the control plane speaks versions 3 to 5 of the protocol, the agent version 1");
  await line.clock.advance(BAD_KEY_WAIT_MS * 0.8 - 1_000);
  assert.equal(line.sockets.length, 1);
  const lost = line.platform.logged.at(-1);
  assert.match(String(lost?.fields["reason"]), /versions 3 to 5/);
  assert.match(
    String(lost?.fields["advice"]),
    /no version of the protocol in common. Install the current agent/,
  );
  await line.clock.advance(BAD_KEY_WAIT_MS * 0.4 + 2_000);
  assert.ok(line.sockets.length > 1);
  await line.close();
});

Deno.test("[P16] the lease counts from before the socket was asked for, and is renewed by answered heartbeats alone", async () => {
  const line = new Line();
  await line.clock.advance(6_000);
  await line.welcome();
  assert.equal(line.lease.isLive, true);
  line.answersHeartbeat = false;
  // Whatever else the hub says, it says without having been asked.
  await line.clock.advance(20_000);
  await line.say({ type: "report_rate", seconds: 15 });
  await line.clock.advance(20_000);
  await line.say({ type: "report_rate", seconds: 15 });
  await line.clock.advance(20_000);
  await line.say({ type: "report_rate", seconds: 15 });
  await line.clock.advance(20_000);
  await line.say({ type: "report_rate", seconds: 15 });
  await line.clock.advance(33_900);
  assert.equal(line.lease.isLive, true);
  await line.clock.advance(200);
  assert.equal(line.lease.isLive, false);
  await line.close();
});

Deno.test("[P16] an idle agent keeps its lease with its heartbeats, and says nothing more for it", async () => {
  const line = new Line();
  await line.welcome();
  for (let minute = 0; minute < 60; minute++) {
    await line.clock.advance(60_000);
    assert.equal(line.lease.isLive, true);
  }
  assert.deepEqual(
    line.said().map(({ type }) => type),
    ["hello", "ready"],
  );
  await line.close();
});

Deno.test("[P16] an answer counts for the oldest heartbeat that has none", async () => {
  const line = new Line();
  await line.welcome();
  line.answersHeartbeat = false;
  const sentMs: number[] = [];
  const { onSent } = line.socket;
  line.socket.onSent = (text) => {
    if (text === HEARTBEAT) sentMs.push(line.clock.monotonic());
    onSent(text);
  };
  while (sentMs.length < 2) await line.clock.advance(100);
  line.socket.deliver(HEARTBEAT_ANSWER);
  line.socket.onSent = () => undefined;
  const [first = 0] = sentMs;
  // Others keep the socket from being given up.
  while (line.clock.monotonic() < first + 119_000) {
    await line.clock.advance(5_000);
    await line.say({ type: "report_rate", seconds: 15 });
  }
  await line.clock.advance(first + 119_999 - line.clock.monotonic());
  assert.equal(line.lease.isLive, true);
  await line.clock.advance(1);
  assert.equal(line.lease.isLive, false);
  await line.close();
});

Deno.test("[P16] a hub says how long the lease is; one that does not grants two minutes", async () => {
  for (const [leaseSeconds, lastsMs] of [
    [40, 40_000],
    [undefined, 120_000],
  ] as const) {
    const line = new Line();
    await line.welcome(leaseSeconds === undefined ? {} : { leaseSeconds });
    line.answersHeartbeat = false;
    line.socket.drop(1006);
    line.refusals.push(...Array.from({ length: 50 }, () => null));
    await line.clock.advance(lastsMs - 100);
    assert.equal(line.lease.isLive, true);
    await line.clock.advance(200);
    assert.equal(line.lease.isLive, false);
    // The line was lost, and nobody said that another works.
    assert.equal(line.lease.isFenced, false);
    await line.close();
  }
});

for (const [why, lose] of [
  ["superseded", (line: Line) => line.socket.drop(4001)],
  ["locked", (line: Line) => line.socket.drop(4423)],
  ["revoked", (line: Line) => line.socket.drop(4403)],
  [
    "locked at the door",
    (line: Line) => {
      line.refusals.push(423);
      line.socket.drop(1006);
    },
  ],
] as const) {
  Deno.test(`[P16] ${why}, the agent is fenced with that frame, and by nothing that was said before it`, async () => {
    const line = new Line();
    await line.welcome();
    await line.clock.advance(30_000);
    lose(line);
    // Where the door tells, it has to be knocked at.
    await line.clock.advance(why.endsWith("door") ? 2_000 : 0);
    assert.deepEqual([line.lease.isLive, line.lease.isFenced], [false, true]);
    if (why === "revoked") return;
    const before = line.sockets.length;
    while (line.sockets.length === before) await line.clock.advance(1_000);
    await line.welcome();
    assert.deepEqual([line.lease.isLive, line.lease.isFenced], [true, false]);
    await line.close();
  });
}

Deno.test("[P12] a generation is durable before ready says so", async () => {
  const line = new Line();
  await settle();
  assert.equal(ofType(line.said(), "hello")[0]?.generation, 4);
  await line.welcome({ generation: 5 });
  assert.equal(line.identity.generation, 5);
  assert.deepEqual(ofType(line.said(), "ready"), [{ type: "ready", generation: 5 }]);
  await line.close();
});

Deno.test("[P12] a generation that cannot be stored is not confirmed, and the next hello has the old one", async () => {
  const line = new Line();
  line.identity.fails = new DiskError("no_space", "full");
  await line.welcome({ generation: 5 });
  assert.deepEqual(ofType(line.said(), "ready"), []);
  assert.notEqual(line.socket.closed, null);
  line.identity.fails = null;
  await line.clock.advance(2_000);
  assert.equal(ofType(line.said(), "hello")[0]?.generation, 4);
  await line.close();
});

Deno.test("[P12] a hub that knows no generations gets none", async () => {
  const line = new Line();
  await line.welcome();
  assert.deepEqual(ofType(line.said(), "ready"), [{ type: "ready" }]);
  assert.equal(line.identity.generation, 4);
  await line.close();
});

Deno.test("[P12] a new key is stored, then confirmed; one that is not ours, or has no room, is neither", async () => {
  const line = new Line();
  await line.welcome({ generation: 5 });
  const key = `mig_agt1_${AGENT}_${"x".repeat(43)}_0123abcd`;
  line.identity.fails = new DiskError("no_space", "full");
  await line.say({ type: "rotate_key", key });
  line.identity.fails = null;
  await line.say({ type: "rotate_key", key: key.replace(AGENT, OTHER_AGENT) });
  await line.say({ type: "rotate_key", key: "no key" });
  assert.deepEqual(line.identity.keys, []);
  assert.deepEqual(ofType(line.said(), "key_stored"), []);
  assert.equal(line.socket.closed, null);
  await line.say({ type: "rotate_key", key });
  assert.deepEqual(line.identity.keys, [key]);
  assert.equal(ofType(line.said(), "key_stored").length, 1);
  assert.equal(
    line.platform.logged.some((entry) => JSON.stringify(entry).includes(key)),
    false,
  );
  await line.close();
});

for (const [how, lock] of [
  ["refused", (line: Line) => void line.refusals.push(423)],
  ["closed", (line: Line) => line.socket.drop(4423)],
] as const) {
  Deno.test(`[P13] locked (${how}), it says so in words and comes back within two minutes`, async () => {
    const line = new Line();
    await line.welcome();
    if (how === "refused") line.socket.drop(1006);
    lock(line);
    await line.clock.advance(3_000);
    const advice = line.platform.logged.map(({ fields }) => String(fields["advice"])).join("\n");
    assert.match(advice, /This agent is locked, because its registration was used from two places/);
    const before = line.sockets.length;
    await line.clock.advance(50_000);
    assert.equal(line.sockets.length, before);
    await line.clock.advance(75_000);
    assert.ok(line.sockets.length > before);
    await line.close();
  });
}

Deno.test("[P1] without a welcome within ten seconds the socket is given up and another one tried", async () => {
  const line = new Line();
  await line.clock.advance(9_900);
  assert.equal(line.socket.closed, null);
  await line.clock.advance(2_000);
  assert.equal(line.sockets[0]?.closed?.code, 4408);
  assert.equal(line.sockets.length, 2);
  await line.close();
});

Deno.test("[P1] the hub of another agent is refused", async () => {
  const line = new Line();
  await line.welcome({ agentId: OTHER_AGENT });
  assert.equal(line.sockets[0]?.closed?.code, 4008);
  assert.equal(line.work.heldAtWelcome, null);
  await line.close();
});

Deno.test("[P2] every desired state is written, then answered with its revision", async () => {
  const line = new Line();
  await line.welcome();
  await line.say(desired(3, 2));
  assert.equal(line.work.taken[0]?.rev, 3);
  assert.deepEqual(ofType(line.said(), "applied"), [
    { type: "applied", jobId: JOB, epoch: 2, rev: 3, result: "ok" },
  ]);
  await line.close();
});

Deno.test("[P2] a config this agent does not understand reaches the jobs and does not end the session", async () => {
  const line = new Line();
  await line.welcome();
  await line.say({ ...desired(), config: { ...CONFIG, source: { kind: "carrier_pigeon" } } });
  assert.equal(line.work.taken.length, 1);
  assert.equal(line.socket.closed, null);
  await line.close();
});

Deno.test("[P2] what cannot be stored is not confirmed; the socket is given up, the program is not", async () => {
  const line = new Line();
  await line.welcome();
  line.work.full = true;
  await line.say(desired());
  assert.deepEqual(ofType(line.said(), "applied"), []);
  assert.notEqual(line.socket.closed, null);
  line.work.full = false;
  await line.clock.advance(2_000);
  await line.welcome({ desired: [desired()] });
  assert.equal(ofType(line.said(), "applied").length, 1);
  await line.close();
});

Deno.test("[P3] messages of an unknown type are ignored, the others of the frame are taken", async () => {
  const line = new Line();
  await line.welcome();
  await line.say({ type: "sing", song: "x" }, desired());
  assert.equal(line.work.taken.length, 1);
  assert.equal(line.socket.closed, null);
  await line.close();
});

for (const [what, text] of [
  ["no JSON", "{"],
  ["no envelope", "[]"],
  ["a broken known message", JSON.stringify({ v: 1, s: 1, n: 2, a: 0, m: [{ type: "ack" }] })],
  ["too long a frame", `"${"x".repeat(FRAME_BYTES_MAX)}"`],
] as const) {
  Deno.test(`[P3] ${what} ends the socket with 4008`, async () => {
    const line = new Line();
    await line.welcome();
    line.socket.deliver(text);
    await settle();
    assert.equal(line.sockets[0]?.closed?.code, 4008);
    await line.close();
  });
}

Deno.test("[P3] a frame of another session is ignored", async () => {
  const line = new Line();
  await line.welcome({ sessionEpoch: 5 });
  line.socket.deliver(JSON.stringify({ v: 1, s: 4, n: 9, a: 0, m: [desired()] }));
  await settle();
  assert.deepEqual(line.work.taken, []);
  await line.close();
});

Deno.test("[P4] events go out in order, at most 64 unacked, and the next ones follow the ack", async () => {
  const line = new Line();
  line.work.tell(150);
  await line.welcome();
  const sequence = () => ofType(line.said(), "event").map(({ eventSeq }) => eventSeq);
  assert.deepEqual(sequence(), range(1, EVENTS_UNACKED_MAX));
  await line.say({ type: "ack", eventSeq: 10 });
  assert.deepEqual(sequence(), range(1, EVENTS_UNACKED_MAX + 10));
  await line.say({ type: "ack", eventSeq: 74 });
  await line.say({ type: "ack", eventSeq: 138 });
  assert.deepEqual(sequence(), range(1, 150));
  assert.equal(line.work.waiting.length, 12);
  await line.close();
});

Deno.test("[P4] an event is said as soon as there is one", async () => {
  const line = new Line();
  await line.welcome();
  line.work.tell();
  await settle();
  assert.equal(ofType(line.said(), "event").length, 1);
  await line.close();
});

Deno.test("[P4] after a reconnect exactly the events above what the hub holds are said again", async () => {
  const line = new Line();
  await line.welcome();
  line.work.tell(5);
  await settle();
  line.socket.drop(1006);
  await line.clock.advance(2_000);
  await line.welcome({ eventSeqHeld: 3 });
  assert.deepEqual(
    ofType(line.said(), "event").map(({ eventSeq }) => eventSeq),
    [4, 5],
  );
  assert.equal(line.work.heldAtWelcome, 3);
  await line.close();
});

Deno.test("[P4] events that are not acked in time are said again on the same socket", async () => {
  const line = new Line();
  await line.welcome();
  line.work.tell(2);
  await settle();
  await line.clock.advance(ACK_LIMIT_MS + 100);
  assert.deepEqual(
    ofType(line.said(), "event").map(({ eventSeq }) => eventSeq),
    [1, 2, 1, 2],
  );
  await line.say({ type: "ack", eventSeq: 2 });
  await line.clock.advance(2 * ACK_LIMIT_MS);
  assert.equal(ofType(line.said(), "event").length, 4);
  await line.close();
});

Deno.test("[P4] an ack of events that were never said drops nothing", async () => {
  const line = new Line();
  await line.welcome();
  line.work.tell(70);
  await settle();
  await line.say({ type: "ack", eventSeq: 70 });
  assert.deepEqual(
    line.work.waiting.map(({ eventSeq }) => eventSeq),
    range(65, 70),
  );
  await line.close();
});

Deno.test("[P5] progress comes every report interval, while something runs, one unacked at most", async () => {
  const line = new Line();
  await line.welcome({ reportSeconds: 15 });
  await line.clock.advance(60_000);
  assert.equal(ofType(line.said(), "progress").length, 0, "nothing runs");
  line.work.running = [{ jobId: JOB, epoch: 1 }];
  await line.clock.advance(15_000);
  assert.equal(ofType(line.said(), "progress").length, 1);
  await line.clock.advance(15_000);
  assert.equal(ofType(line.said(), "progress").length, 1, "not acked yet");
  await line.say({ type: "ack", eventSeq: 0, progress: { [JOB]: 1 } });
  await line.clock.advance(15_000);
  const sequence = ofType(line.said(), "progress").map(({ seq }) => seq);
  assert.deepEqual(sequence, [1, 2]);
  await line.close();
});

Deno.test("[P5] a lost ack of progress holds it up for half a minute, not for ever", async () => {
  const line = new Line();
  line.work.running = [{ jobId: JOB, epoch: 1 }];
  await line.welcome({ reportSeconds: 1 });
  await line.clock.advance(ACK_LIMIT_MS - 2_000);
  assert.equal(ofType(line.said(), "progress").length, 1);
  await line.clock.advance(4_000);
  assert.equal(ofType(line.said(), "progress").length, 2);
  await line.close();
});

Deno.test("[P5] a faster report rate counts within a second", async () => {
  const line = new Line();
  line.work.running = [{ jobId: JOB, epoch: 1 }];
  await line.welcome({ reportSeconds: 60 });
  await line.say({ type: "ack", eventSeq: 0, progress: { [JOB]: 1 } });
  await line.say({ type: "report_rate", seconds: 1 });
  await line.clock.advance(1_000);
  assert.equal(ofType(line.said(), "progress").length, 2);
  await line.close();
});

Deno.test("[P5] with more than 1 MiB waiting to leave no progress is added", async () => {
  const line = new Line();
  line.work.running = [{ jobId: JOB, epoch: 1 }];
  await settle();
  line.socket.bufferedBytes = BUFFERED_BYTES_MAX + 1;
  await line.welcome({ reportSeconds: 1 });
  await line.clock.advance(5_000);
  assert.equal(ofType(line.said(), "progress").length, 0);
  line.socket.bufferedBytes = 0;
  await line.clock.advance(1_000);
  assert.equal(ofType(line.said(), "progress").length, 1);
  await line.close();
});

Deno.test("[P6] an idle line carries one heartbeat per 24 to 36 seconds and nothing else", async () => {
  const line = new Line();
  await line.welcome();
  const frames = line.frames().length;
  await line.clock.advance(3_600_000);
  assert.ok(line.beats() >= 100 && line.beats() <= 150, `${line.beats()} beats in an hour`);
  assert.equal(line.frames().length, frames);
  assert.equal(line.sockets.length, 1);
  await line.close();
});

Deno.test("[P6] two heartbeats without an answer end the socket, within 40 to 80 seconds", async () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const line = new Line(seed);
    await line.welcome();
    line.answersHeartbeat = false;
    await line.clock.advance(40_000);
    assert.equal(line.socket.closed, null);
    await line.clock.advance(43_000);
    assert.notEqual(line.sockets[0]?.closed ?? null, null);
    assert.ok(line.sockets.length >= 2);
    await line.close();
  }
});

Deno.test("[P6] one missed answer is forgiven", async () => {
  const line = new Line();
  await line.welcome();
  line.answersHeartbeat = false;
  await line.clock.advance(47_000);
  assert.equal(line.socket.closed, null);
  line.answersHeartbeat = true;
  await line.clock.advance(600_000);
  assert.equal(line.sockets.length, 1);
  await line.close();
});

Deno.test("[P7] the first try after a lost connection comes within a second", async () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const line = new Line(seed);
    await line.welcome();
    await line.clock.advance(60_000);
    line.socket.drop(1006);
    await line.clock.advance(1_000);
    assert.equal(line.sockets.length, 2);
    await line.close();
  }
});

Deno.test("[P7] a connection that lasted wipes out the failures before it", async () => {
  const line = new Line();
  line.refusals.push(...Array.from({ length: 10 }, () => null));
  await line.clock.advance(10 * 60_000);
  // One that is open, whatever chance has made of the waits before it.
  while (line.socket.closed !== null) await line.clock.advance(1_000);
  await line.welcome();
  await line.clock.advance(60_000);
  const before = line.sockets.length;
  line.socket.drop(1006);
  await line.clock.advance(1_000);
  assert.equal(line.sockets.length, before + 1);
  await line.close();
});

Deno.test("[P7] tries that fail come at growing, jittered distances of a minute at most", async () => {
  const line = new Line();
  line.refusals.push(...Array.from({ length: 30 }, () => null));
  await line.clock.advance(30 * 60_000);
  const waits = waitsOf(line).slice(0, 30);
  waits.forEach((wait, tries) =>
    assert.ok(wait <= Math.min(60_000, 1_000 * 2 ** tries), `try ${tries} waits ${wait}`),
  );
  assert.ok(new Set(waits.slice(8)).size > 15, "no two wait alike");
  assert.ok(waits.slice(8).some((wait) => wait > 20_000));
  assert.ok(line.sockets.length > 0, "and then it connects");
  await line.close();
});

Deno.test("[P7] sockets that end as soon as they are welcomed do not make a storm", async () => {
  const line = new Line();
  for (let round = 0; round < 12; round++) {
    await line.welcome();
    line.socket.drop(1011);
    await line.clock.advance(61_000);
  }
  const waits = waitsOf(line);
  assert.ok(Math.max(...waits) > 10_000, `waits were ${waits.join(", ")}`);
  await line.close();
});

for (const [how, lose] of [
  ["close code 4401", (line: Line) => line.socket.drop(4401)],
  ["an upgrade answered with 401", null],
] as const) {
  Deno.test(`[P8] after ${how} the next try comes after about 15 minutes, and the log says so`, async () => {
    const line = new Line();
    if (lose === null) line.refusals.push(401);
    await line.clock.advance(1);
    lose?.(line);
    const before = line.sockets.length;
    await line.clock.advance(BAD_KEY_WAIT_MS * 0.8 - 1_000);
    assert.equal(line.sockets.length, before);
    assert.match(String(line.platform.logged.at(-1)?.fields["advice"]), /15 minutes/);
    await line.clock.advance(BAD_KEY_WAIT_MS * 0.4 + 2_000);
    assert.ok(line.sockets.length > before);
    await line.close();
  });
}

Deno.test("[P8] after close code 4403 the session ends for good", async () => {
  const line = new Line();
  await line.welcome();
  line.socket.drop(4403, "revoked");
  await line.clock.advance(3_600_000);
  assert.deepEqual(line.end, { kind: "revoked" });
  assert.equal(line.sockets.length, 1);
});

Deno.test("[P8] an upgrade answered with 403 is a proxy's doing and is tried again", async () => {
  const line = new Line();
  line.refusals.push(403);
  await line.clock.advance(2_000);
  assert.equal(line.sockets.length, 1);
  await line.close();
});

Deno.test("[P8] a superseded session waits at least a minute", async () => {
  const line = new Line();
  await line.welcome();
  line.socket.drop(4001);
  await line.clock.advance(59_000);
  assert.equal(line.sockets.length, 1);
  await line.clock.advance(62_000);
  assert.ok(line.sockets.length > 1);
  await line.close();
});

Deno.test("[P9] frames hold at most 256 KiB and 200 messages", async () => {
  const line = new Line();
  line.work.tell(60, "\u20ac".repeat(4_000));
  await line.welcome({ desired: Array.from({ length: 250 }, (_, index) => desired(index + 1)) });
  for (const text of line.socket.sent) assert.ok(new TextEncoder().encode(text).length <= FRAME_BYTES_MAX);
  for (const { messages } of line.frames()) assert.ok(messages.length <= 200);
  assert.deepEqual(
    line.frames().map(({ envelope }) => envelope.n),
    range(1, line.frames().length),
  );
  assert.equal(ofType(line.said(), "applied").length, 250);
  assert.equal(ofType(line.said(), "event").length, 60);
  await line.close();
});

Deno.test("[P10] told to stop, the agent says bye and closes with 1000", async () => {
  const line = new Line();
  await line.welcome();
  await line.close();
  assert.deepEqual(line.said().at(-1), { type: "bye", reason: "stopping" });
  assert.equal(line.socket.closed?.code, 1000);
  assert.deepEqual(line.end, { kind: "stopped" });
});

Deno.test("[P10] told to stop while it waits to connect again, the session ends at once", async () => {
  const line = new Line();
  line.refusals.push(401);
  await line.clock.advance(1_000);
  line.stop.abort();
  await settle();
  assert.deepEqual(line.end, { kind: "stopped" });
});

function waitsOf(line: Line): number[] {
  return line.platform.logged
    .filter(({ event }) => event === "session_lost")
    .map(({ fields }) => Number(fields["waitMs"]));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
