/** The hub's part of every golden transcript, said to today's session: it takes all of it, and ends nothing over it. */
import assert from "node:assert/strict";
import { grant } from "../schema/connector.ts";
import {
  CLOSE,
  HEARTBEAT,
  HEARTBEAT_ANSWER,
  PROTOCOL_VERSIONS,
  readAgentFrame,
  readHubFrame,
  type Applied,
  type Envelope,
  type HubMessage,
  type JobEvent,
  type Result,
} from "../schema/protocol.ts";
import { goldenNames, readGolden, type Step } from "../test/golden/transcript.ts";
import { Bell } from "./bell.ts";
import { Lease } from "./lease.ts";
import { ConnectError } from "./platform.ts";
import { holdSession, type SessionEnd, type Work } from "./session.ts";
import type { Wanted } from "./state.ts";
import { ScriptedSocket, settle, VirtualClock, virtualPlatform } from "./virtual.ts";

/** Jobs that have done what the agent of the transcript told. */
class RememberedWork implements Work {
  readonly taken: Wanted[] = [];
  waiting: (JobEvent | Result)[] = [];
  readonly #bell = new Bell();

  tell(events: readonly (JobEvent | Result)[]): void {
    const known = this.waiting.at(-1)?.eventSeq ?? 0;
    this.waiting.push(...events.filter(({ eventSeq }) => eventSeq > known));
    this.#bell.ring();
  }
  applied(): Record<string, [number, number]> {
    return Object.fromEntries(this.taken.map(({ jobId, epoch, rev }) => [jobId, [epoch, rev]]));
  }
  apply(wanted: Wanted): Applied {
    this.taken.push(wanted);
    return { type: "applied", jobId: wanted.jobId, epoch: wanted.epoch, rev: wanted.rev, result: "ok" };
  }
  resume(eventSeqHeld: number): void {
    this.acknowledge(eventSeqHeld);
  }
  acknowledge(eventSeq: number): void {
    this.waiting = this.waiting.filter((event) => event.eventSeq > eventSeq);
  }
  events(above: number, limit: number): (JobEvent | Result)[] {
    return this.waiting.filter(({ eventSeq }) => eventSeq > above).slice(0, limit);
  }
  progress(): [] {
    return [];
  }
  nextProgressSeq(): number {
    return 1;
  }
  async news(): Promise<void> {
    await this.#bell.heard();
  }
}

/** Today's agent, and a hub that says what the transcript's hub said. */
class Stage {
  readonly clock = new VirtualClock();
  readonly work = new RememberedWork();
  readonly sockets: ScriptedSocket[] = [];
  readonly keys: string[] = [];
  readonly lease = new Lease(this.clock);
  readonly stop = new AbortController();
  /** The status that upgrades are refused with; 0 = none. */
  refusal = 0;
  generation = 0;
  end: SessionEnd | null = null;
  broke: unknown = null;
  /** What waits for the next poll. */
  readonly polled: Envelope[] = [];
  #wake = Promise.withResolvers<void>();
  lineClosed: { code: number; reason: string } | null = null;

  constructor(agentId: string, isPolling: boolean) {
    this.refusal = isPolling ? 407 : 0;
    const stored = () => this.generation;
    const platform = virtualPlatform({
      clock: this.clock,
      connect: async (url, { headers }) => {
        if (this.refusal > 0) throw new ConnectError(this.refusal, "refused");
        const socket = new ScriptedSocket(url, headers);
        socket.onSent = (text) => {
          if (text === HEARTBEAT) socket.deliver(HEARTBEAT_ANSWER);
        };
        this.sockets.push(socket);
        return socket;
      },
      fetch: async (_url, { body }) => {
        const { frame, received, close } = JSON.parse(body as string) as Record<string, unknown>;
        const fresh = () => this.polled.filter(({ n }) => n > (received as number));
        if (close !== null) return Response.json({ frames: [], closed: { code: close, reason: "" } });
        while (frame === null && fresh().length === 0) await this.#wake.promise;
        return Response.json({ frames: fresh(), closed: null });
      },
    });
    holdSession({
      platform,
      config: { url: "https://api.example.com", key: "mig_agt1_key" },
      identity: {
        get generation() {
          return stored();
        },
        storeGeneration: (generation) => void (this.generation = generation),
        storeKey: (key) => this.keys.push(key) > 0,
      },
      agentId,
      work: this.work,
      lease: this.lease,
      machine: { agentVersion: "0.1.0", host: "host", os: "linux", arch: "x86_64" },
      signal: this.stop.signal,
    }).then(
      (end) => (this.end = end),
      (error: unknown) => (this.broke = error),
    );
  }

  get socket(): ScriptedSocket {
    const socket = this.sockets.at(-1);
    assert.ok(socket !== undefined, "the agent connected");
    return socket;
  }

  /** Says frames where the agent polls; it may take a moment until it asks. */
  async poll(frames: readonly Envelope[]): Promise<void> {
    this.polled.push(...frames);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
    await this.clock.advance(2_000);
  }
}

/** How long today's agent leaves a hub alone after it has heard this, at least and at most; null = for ever. */
const WAITS_MS: Readonly<Record<number, readonly [min: number, max: number] | null>> = {
  [CLOSE.superseded]: [60_000, 120_000],
  [CLOSE.locked]: [60_000, 120_000],
  [CLOSE.protocol]: [0, 2_000],
  [CLOSE.badKey]: [720_000, 1_080_000],
  [CLOSE.upgradeNeeded]: [720_000, 1_080_000],
  [CLOSE.revoked]: null,
};

async function heed(stage: Stage, code: number): Promise<void> {
  const waits = WAITS_MS[code];
  assert.notEqual(waits, undefined, `${code} is known`);
  const before = stage.sockets.length;
  if (waits === null) {
    await settle();
    assert.deepEqual(stage.end, { kind: "revoked" });
    return;
  }
  const [min = 0, max = 0] = waits ?? [];
  await stage.clock.advance(Math.max(0, min - 1_000));
  assert.equal(stage.sockets.length, before, `nothing is tried too early after ${code}`);
  await stage.clock.advance(max - Math.max(0, min - 1_000));
  assert.ok(stage.sockets.length > before, `it is tried again after ${code}`);
}

/** What hub and agent said, as it concerns the agent's jobs. */
class Expected {
  readonly wishes: unknown[] = [];
  readonly keys: string[] = [];
  generation = 0;

  hear(message: HubMessage): void {
    const wish = ({ jobId, epoch, rev, state }: Extract<HubMessage, { type: "desired" }>) =>
      this.wishes.push({ jobId, epoch, rev, state });
    if (message.type === "desired") wish(message);
    if (message.type === "rotate_key") this.keys.push(message.key);
    if (message.type !== "welcome") return;
    for (const each of message.desired) wish(each);
    this.generation = message.generation ?? this.generation;
  }
}

const eventsIn = (text: string) =>
  readAgentFrame(text).messages.filter(
    (message): message is JobEvent | Result => message.type === "event" || message.type === "result",
  );

async function replay(steps: readonly Step[]): Promise<void> {
  const [names] = steps;
  assert.ok(names?.kind === "names");
  const stage = new Stage(
    names.agentId,
    steps.some(({ kind }) => kind === "sync"),
  );
  const expected = new Expected();
  const seen = new Set<number>();
  await settle();
  for (const step of steps) {
    switch (step.kind) {
      case "names":
      case "does":
        break;
      case "open":
        await stage.clock.advance(2_000);
        assert.equal(stage.socket.closed, null);
        break;
      case "refused": {
        stage.refusal = step.status;
        stage.socket.drop(1006);
        await stage.clock.advance(2_000);
        stage.refusal = 0;
        await heed(stage, step.status === 401 ? CLOSE.badKey : step.status);
        break;
      }
      case "agent":
        if (step.text.startsWith('{"v"')) stage.work.tell(eventsIn(step.text));
        await settle();
        break;
      case "hub":
        for (const message of readHubFrame(step.text).messages) expected.hear(message);
        stage.socket.deliver(step.text);
        await settle();
        assert.equal(stage.socket.closed, null, `the agent takes ${step.text}`);
        break;
      case "sync": {
        if (step.request.frame !== null) stage.work.tell(eventsIn(JSON.stringify(step.request.frame)));
        const fresh = step.answer.frames.filter(({ n }) => !seen.has(n));
        for (const frame of fresh) {
          seen.add(frame.n);
          for (const message of readHubFrame(JSON.stringify(frame)).messages) expected.hear(message);
        }
        await stage.poll(fresh);
        break;
      }
      case "http":
        if (step.path === "/api/agent/grants") grant.parse(step.answer);
        break;
      case "cut":
        stage.socket.drop(1006);
        break;
      case "closed":
        if (step.by === "agent") break;
        stage.socket.drop(step.code, step.reason);
        await heed(stage, step.code);
        break;
    }
    assert.equal(stage.broke, null);
  }
  const taken = stage.work.taken.map(({ jobId, epoch, rev, state }) => ({ jobId, epoch, rev, state }));
  assert.deepEqual(taken, expected.wishes);
  assert.deepEqual(stage.work.waiting, [], "every event was acked");
  assert.deepEqual(stage.keys, expected.keys);
  assert.equal(stage.generation, expected.generation);
  stage.stop.abort();
  await stage.clock.advance(7_000);
  assert.notEqual(stage.end, null);
}

const served = goldenNames().filter((name) => Number.parseInt(name, 10) >= PROTOCOL_VERSIONS.min);
for (const { name, steps } of served.map(readGolden)) {
  Deno.test(`[L20] today's agent takes what the hub said in ${name}`, async () => await replay(steps));
}

Deno.test("[L20] every code the hub closes with for the agent to heed is known here", () => {
  const { helloTimeout: _, ...heeded } = CLOSE;
  assert.deepEqual(new Set(Object.values(heeded)), new Set(Object.keys(WAITS_MS).map(Number)));
});
