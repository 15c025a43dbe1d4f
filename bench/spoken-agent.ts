/**
 * An agent that is only its side of the conversation (`schema/protocol.ts`): registered with a code, connected over a real
 * socket or by long poll, and saying of its jobs whatever a benchmark wants shown. It moves no file.
 */
import type { AgentRegistered } from "../schema/api.ts";
import { ZERO_TOTALS, type JobTotals } from "../schema/job.ts";
import {
  HEARTBEAT,
  HEARTBEAT_SECONDS,
  PROTOCOL_VERSION,
  readHubFrame,
  SUBPROTOCOL,
  SYNC_WAIT_SECONDS_MAX,
  type AgentMessage,
  type Desired,
  type SyncAnswer,
  type SyncRequest,
} from "../schema/protocol.ts";

const VERSION = "0.1.0";
const FILES_TOTAL = 1_000_000;
const BYTES_TOTAL = 1_000_000_000_000;
const BYTES_PER_SECOND = 12_500_000;

interface SpokenJob {
  readonly jobId: string;
  readonly epoch: number;
  seq: number;
}

export interface SpokenIdentity {
  readonly agentId: string;
  readonly key: string;
}

/** What carries frames to the hub; what comes back is handed to {@link Hearing}. */
interface Way {
  send(text: string): void;
  close(): void;
}

interface Hearing {
  text(text: string): void;
  closed(code: number): void;
}

export class SpokenAgent {
  readonly agentId: string;
  /** Told of each wish, when it has arrived. */
  onWish: (desired: Desired) => void = () => {};
  /** Told when the line is over, for whatever reason. */
  onClosed: (code: number) => void = () => {};
  readonly #name: string;
  readonly #jobs = new Map<string, SpokenJob>();
  readonly #welcomed = Promise.withResolvers<void>();
  #way: Way | null = null;
  #session = 0;
  #sent = 0;
  #received = 0;
  #eventSeq = 0;
  #eventSeqHeld = 0;
  #heartbeat: ReturnType<typeof setInterval> | undefined;

  private constructor(agentId: string, name: string) {
    this.agentId = agentId;
    this.#name = name;
    // A line that ends before is told of by whoever opened it.
    this.#welcomed.promise.catch(() => undefined);
  }

  static async register(url: string, code: string, name: string): Promise<SpokenIdentity> {
    const response = await fetch(`${url}/api/agent/register`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ code, name, ...machineOf(name), version: VERSION }),
    });
    if (!response.ok) throw new Error(`Cannot register: ${response.status} ${await response.text()}`);
    const { agentId, key } = (await response.json()) as AgentRegistered;
    return { agentId, key };
  }

  /** Resolves when the hub has welcomed it; rejects when the line ends before. */
  static async connect(
    url: string,
    { agentId, key }: SpokenIdentity,
    name: string,
    way: "websocket" | "long_poll" = "websocket",
  ): Promise<SpokenAgent> {
    const agent = new SpokenAgent(agentId, name);
    const hearing: Hearing = {
      text: (text) => agent.#hear(text),
      closed: (code) => agent.#closed(code),
    };
    agent.#way =
      way === "websocket" ? await openSocket(url, key, hearing) : new PolledLine(url, key, hearing);
    agent.#greet(way);
    await agent.#welcomed.promise;
    return agent;
  }

  /** Registers and connects. */
  static async start(url: string, code: string, name: string): Promise<SpokenAgent> {
    return await SpokenAgent.connect(url, await SpokenAgent.register(url, code, name), name);
  }

  /** How many of its jobs the hub knows to be running. */
  get running(): number {
    return Math.min(this.#eventSeqHeld, this.#jobs.size);
  }

  /** Says once how far each of its jobs is; `bytesCompleted` of all of them. */
  report(bytesCompleted: number): void {
    const messages: AgentMessage[] = [...this.#jobs.values()].map((job) => ({
      type: "progress",
      jobId: job.jobId,
      epoch: job.epoch,
      seq: ++job.seq,
      phase: "running",
      totals: totalsAt(bytesCompleted),
      bytesInFlight: 0,
      bytesPerSecond: BYTES_PER_SECOND,
      secondsRemaining: Math.round((BYTES_TOTAL - bytesCompleted) / BYTES_PER_SECOND),
      currentPath: `folder/file-${job.seq}.bin`,
    }));
    if (messages.length > 0) this.#say(messages);
  }

  stop(): void {
    clearInterval(this.#heartbeat);
    this.#way?.close();
  }

  #greet(connection: "websocket" | "long_poll"): void {
    this.#say([
      {
        type: "hello",
        protocolMin: PROTOCOL_VERSION,
        protocolMax: PROTOCOL_VERSION,
        agentVersion: VERSION,
        ...machineOf(this.#name),
        instanceId: crypto.randomUUID(),
        applied: {},
        freeDiskBytes: null,
        connection,
      },
    ]);
    if (connection === "websocket")
      this.#heartbeat = setInterval(() => this.#way?.send(HEARTBEAT), HEARTBEAT_SECONDS * 1000);
  }

  #hear(text: string): void {
    if (!text.startsWith("{")) return;
    const { envelope, messages } = readHubFrame(text);
    this.#received = envelope.n;
    for (const message of messages) {
      if (message.type === "welcome") {
        this.#session = message.sessionEpoch;
        this.#eventSeq = this.#eventSeqHeld = message.eventSeqHeld;
        this.#say([{ type: "ready" }]);
        message.desired.forEach((desired) => this.#begin(desired));
        this.#welcomed.resolve();
      } else if (message.type === "desired") this.#begin(message);
      else if (message.type === "ack") this.#eventSeqHeld = message.eventSeq;
    }
  }

  #closed(code: number): void {
    clearInterval(this.#heartbeat);
    this.#welcomed.reject(new Error(`Cannot speak to the hub: closed with ${code}`));
    this.onClosed(code);
  }

  #begin(desired: Desired): void {
    const { jobId, epoch, rev } = desired;
    this.onWish(desired);
    if (this.#jobs.has(jobId)) return this.#say([{ type: "applied", jobId, epoch, rev, result: "ok" }]);
    this.#jobs.set(jobId, { jobId, epoch, seq: 0 });
    this.#say([
      { type: "applied", jobId, epoch, rev, result: "ok" },
      {
        type: "event",
        eventSeq: ++this.#eventSeq,
        jobId,
        epoch,
        at: new Date().toISOString(),
        event: { kind: "phase", phase: "running", totals: totalsAt(0) },
      },
    ]);
  }

  #say(messages: readonly AgentMessage[]): void {
    const frame = { v: PROTOCOL_VERSION, s: this.#session, n: ++this.#sent, a: this.#received, m: messages };
    this.#way?.send(JSON.stringify(frame));
  }
}

function machineOf(host: string) {
  return { host, os: "linux", arch: "x86_64" };
}

async function openSocket(url: string, key: string, hearing: Hearing): Promise<Way> {
  // Node's WebSocket takes headers as a third way to say its options (undici).
  const options = { protocols: [SUBPROTOCOL], headers: { authorization: `Bearer ${key}` } };
  const address = `${url.replace(/^http/, "ws")}/api/agent/session`;
  const socket = new WebSocket(address, options as unknown as string[]);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.addEventListener("open", () => resolve());
  socket.addEventListener("close", ({ code }) => {
    reject(new Error(`Cannot connect: closed with ${code}`));
    hearing.closed(code);
  });
  // The close comes behind it, and says all there is to say.
  socket.addEventListener("error", () => {});
  socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => hearing.text(String(data)));
  await promise;
  return {
    send: (text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: () => socket.close(),
  };
}

/** The long poll as the agent does it (`agent/polling.ts`), without its patience: what fails ends it. */
class PolledLine implements Way {
  readonly #url: string;
  readonly #key: string;
  readonly #hearing: Hearing;
  readonly #line = crypto.randomUUID().replaceAll("-", "");
  readonly #life = new AbortController();
  #saying: Promise<void> = Promise.resolve();
  #received = 0;
  #isPolling = false;

  constructor(url: string, key: string, hearing: Hearing) {
    this.#url = url;
    this.#key = key;
    this.#hearing = hearing;
  }

  send(text: string): void {
    const frame = JSON.parse(text) as SyncRequest["frame"];
    this.#saying = this.#saying.then(() => this.#ask(frame, 0)).catch((error: unknown) => this.#end(error));
    if (this.#isPolling) return;
    this.#isPolling = true;
    // Not before the first frame has opened the line.
    void this.#saying.then(() => this.#poll()).catch((error: unknown) => this.#end(error));
  }

  close(): void {
    this.#life.abort();
  }

  async #poll(): Promise<void> {
    while (!this.#life.signal.aborted) await this.#ask(null, SYNC_WAIT_SECONDS_MAX);
  }

  async #ask(frame: SyncRequest["frame"], waitSeconds: number): Promise<void> {
    const body = { line: this.#line, frame, received: this.#received, waitSeconds, close: null };
    const response = await fetch(`${this.#url}/api/agent/sync`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.#key}` },
      body: JSON.stringify(body satisfies SyncRequest),
      signal: this.#life.signal,
    });
    if (!response.ok) throw new Error(`Cannot poll: ${response.status}`);
    const { frames, closed } = (await response.json()) as SyncAnswer;
    for (const one of frames) {
      if (one.n <= this.#received) continue;
      this.#received = one.n;
      this.#hearing.text(JSON.stringify(one));
    }
    if (closed !== null) throw new Error(`The hub closed the line: ${closed.reason}`);
  }

  #end(error: unknown): void {
    if (this.#life.signal.aborted) return;
    this.#life.abort(error);
    this.#hearing.closed(1006);
  }
}

export function totalsAt(bytesCompleted: number): JobTotals {
  return {
    ...ZERO_TOTALS,
    filesTotal: FILES_TOTAL,
    filesCompleted: Math.floor((bytesCompleted / BYTES_TOTAL) * FILES_TOTAL),
    bytesTotal: BYTES_TOTAL,
    bytesCompleted,
    bytesSent: bytesCompleted,
  };
}
