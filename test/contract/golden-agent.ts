/** The production session of an agent at the real Worker, with every word noted, for recording golden transcripts. */
import { Bell } from "../../agent/bell.ts";
import type { RunProgress } from "../../agent/engine/run.ts";
import { Lease } from "../../agent/lease.ts";
import { ConnectError, type Platform, type Socket } from "../../agent/platform.ts";
import { holdSession, type SessionEnd, type Work } from "../../agent/session.ts";
import type { Epoch, Wanted } from "../../agent/state.ts";
import { ScriptedSocket, virtualPlatform } from "../../agent/virtual.ts";
import { ZERO_TOTALS } from "../../schema/job.ts";
import type {
  Applied,
  JobEvent,
  Result,
  SyncAnswer,
  SyncRequest,
  VersionRange,
} from "../../schema/protocol.ts";
import { HEARTBEAT, HEARTBEAT_ANSWER } from "../../schema/protocol.ts";
import type { Step } from "../golden/transcript.ts";
import { upgrade } from "./harness.ts";

/** Node's own WebSocket takes headers, which the standard does not know. */
const HeadedWebSocket = WebSocket as unknown as new (
  url: string,
  options: { headers: Record<string, string>; protocols?: string[] },
) => WebSocket;

const RUNNING: RunProgress = {
  phase: "running",
  totals: {
    ...ZERO_TOTALS,
    filesTotal: 3,
    bytesTotal: 300,
    filesCompleted: 1,
    bytesCompleted: 100,
    bytesSent: 140,
  },
  bytesInFlight: 40,
  bytesPerSecond: 100,
  secondsRemaining: 2,
  currentPath: "Pläne/Grundriß 2.dwg",
  waiting: null,
};

/** Jobs that do what the recording wants. */
export class PlayedWork implements Work {
  readonly taken: Wanted[] = [];
  running: Epoch[] = [];
  #waiting: (JobEvent | Result)[] = [];
  readonly #bell = new Bell();
  #seq = 0;
  #progressSeq = 0;

  get isAllAcked(): boolean {
    return this.#waiting.length === 0;
  }

  tell(...events: (Omit<JobEvent, "eventSeq" | "at"> | Omit<Result, "eventSeq">)[]): void {
    for (const event of events) {
      const eventSeq = ++this.#seq;
      const at = "2026-11-23T21:00:00.000Z";
      this.#waiting.push(event.type === "event" ? { ...event, eventSeq, at } : { ...event, eventSeq });
    }
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
    this.#waiting = this.#waiting.filter((event) => event.eventSeq > eventSeq);
  }
  events(above: number, limit: number): (JobEvent | Result)[] {
    return this.#waiting.filter(({ eventSeq }) => eventSeq > above).slice(0, limit);
  }
  progress(): (Epoch & { progress: RunProgress })[] {
    return this.running.map((epoch) => ({ ...epoch, progress: RUNNING }));
  }
  nextProgressSeq(): number {
    return ++this.#progressSeq;
  }
  async news(): Promise<void> {
    await this.#bell.heard();
  }
}

export class RecordedAgent {
  readonly steps: Step[] = [];
  readonly work = new PlayedWork();
  readonly lease: Lease;
  readonly stop = new AbortController();
  readonly end: Promise<SessionEnd>;
  generation = 0;
  #socket: { send(text: string): void; cut(): void } | null = null;
  readonly #config: { url: string; key: string };

  constructor(
    origin: string,
    agent: {
      agentId: string;
      key: string;
      way?: "long_poll";
      versions?: VersionRange;
      generation?: number;
    },
  ) {
    this.#config = { url: origin, key: agent.key };
    this.generation = agent.generation ?? 0;
    const stored = () => this.generation;
    const platform = this.#platform(agent.way === "long_poll");
    this.lease = new Lease(platform.clock);
    this.end = holdSession({
      platform,
      lease: this.lease,
      config: this.#config,
      agentId: agent.agentId,
      identity: {
        get generation() {
          return stored();
        },
        storeGeneration: (generation) => (this.generation = generation),
        storeKey: (key) => {
          this.#config.key = key;
          return true;
        },
      },
      work: this.work,
      machine: { agentVersion: "0.1.0", host: "fs01", os: "linux", arch: "x86_64" },
      ...(agent.versions === undefined ? {} : { versions: agent.versions }),
      signal: this.stop.signal,
    });
  }

  /** Its present one. */
  get key(): string {
    return this.#config.key;
  }

  note(step: Step): void {
    this.steps.push(step);
  }

  /** Says something on its socket that the session would not say. */
  garble(text: string): void {
    this.note({ kind: "agent", text });
    this.#socket?.send(text);
  }

  cut(): void {
    this.#socket?.cut();
  }

  #platform(isPolling: boolean): Platform {
    return virtualPlatform({
      clock: {
        now: () => Date.now(),
        monotonic: () => performance.now(),
        sleep: (ms, signal) =>
          new Promise((resolve, reject) => {
            if (signal.aborted) return reject(signal.reason as Error);
            const timer = setTimeout(resolve, ms);
            signal.addEventListener("abort", () => {
              clearTimeout(timer);
              reject(signal.reason as Error);
            });
          }),
      },
      random: {
        bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
        next: () => Math.random(),
      },
      connect: async (url, { protocol, headers }) => {
        if (isPolling) throw new ConnectError(407, "refused");
        return await this.#connect(new URL(url).pathname, headers, protocol);
      },
      fetch: async (url, init) => await this.#fetch(url, init),
    });
  }

  async #connect(path: string, headers: Readonly<Record<string, string>>, protocol: string): Promise<Socket> {
    const url = this.#config.url.replace("http", "ws") + path;
    const socket = new HeadedWebSocket(url, { headers: { ...headers }, protocols: [protocol] });
    const end = new ScriptedSocket(url, headers);
    const close = end.close.bind(end);
    let isOver = true;
    end.onSent = (text) => {
      if (text !== HEARTBEAT) this.note({ kind: "agent", text });
      socket.send(text);
    };
    end.close = (code, reason) => {
      if (!isOver) this.note({ kind: "closed", by: "agent", code, reason });
      isOver = true;
      // The hub's answer to it ends the socket here, too.
      socket.close(code, reason);
    };
    socket.addEventListener("message", ({ data }) => {
      const text = String(data);
      if (isOver) return;
      if (text !== HEARTBEAT_ANSWER) this.note({ kind: "hub", text });
      end.deliver(text);
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (!isOver) this.note({ kind: "closed", by: "hub", code, reason });
      isOver = true;
      close(code, reason);
    });
    this.#socket = {
      send: (text) => socket.send(text),
      cut: () => {
        isOver = true;
        this.note({ kind: "cut" });
        socket.close();
        close(1006, "");
      },
    };
    try {
      await new Promise<void>((resolve, reject) => {
        socket.addEventListener("open", () => resolve());
        socket.addEventListener("error", () => reject(new Error("refused")));
      });
    } catch {
      const { status } = await upgrade(path, { ...headers, "sec-websocket-protocol": protocol });
      this.note({ kind: "refused", status });
      throw new ConnectError(status, "refused");
    }
    isOver = false;
    this.note({ kind: "open" });
    return end;
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const response = await fetch(url, init);
    const body = await response.text();
    const path = new URL(url).pathname;
    if (path === "/api/agent/sync" && response.ok && typeof init.body === "string") {
      const request = JSON.parse(init.body) as SyncRequest;
      this.note({ kind: "sync", request, answer: JSON.parse(body) as SyncAnswer });
    }
    return new Response(body, { status: response.status, headers: response.headers });
  }
}
