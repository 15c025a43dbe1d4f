/**
 * One agent's conversation with its hub, over as many sockets as it takes. `docs/spec.md`, section P.
 *
 * {@link holdSession} connects, talks until the socket ends, waits, and connects again; it ends only when told to stop or
 * when the agent was revoked. What is said is decided by {@link Conversation}, which lives as long as one socket. The
 * session knows nothing of how jobs run; it carries messages between the hub and {@link Work}. Everything that must not
 * be lost lies in `Work`, durable, so that any frame, socket or process may go at any time.
 */
import * as z from "zod";
import {
  CLOSE,
  EVENTS_UNACKED_MAX,
  FRAME_BYTES_MAX,
  HEARTBEAT,
  HEARTBEAT_ANSWER,
  HELLO_LIMIT_MS,
  LEASE_SECONDS,
  MESSAGES_PER_FRAME_MAX,
  PROTOCOL_VERSIONS,
  ProtocolError,
  SUBPROTOCOL,
  ack,
  desired,
  protocolError,
  readFrame,
  reportRate,
  rotateKey,
  welcome,
  type AgentConnection,
  type AgentMessage,
  type Applied,
  type Envelope,
  type Hello,
  type JobEvent,
  type Progress,
  type Result,
  type VersionRange,
} from "../schema/protocol.ts";
import { backoffMs } from "./backoff.ts";
import { agentOfKey, type AgentConfig, ConfigError } from "./config.ts";
import type { RunProgress } from "./engine/run.ts";
import type { Lease } from "./lease.ts";
import { openPolling } from "./polling.ts";
import { Road, SOCKET_RETRY_MS } from "./road.ts";
import { ConnectError, DiskError, type Platform, type Socket } from "./platform.ts";
import type { Epoch, Wanted } from "./state.ts";

export const CONNECT_LIMIT_MS = 30_000;
export const HEARTBEAT_ANSWER_MS = 10_000;
export const HEARTBEAT_MISSES_MAX = 2;
/** A socket that lasted this long was good, and the next try comes soon. */
export const GOOD_SOCKET_MS = 10_000;
/** A key that is refused may be put right by an administrator; asking often would not help. */
export const BAD_KEY_WAIT_MS = 15 * 60_000;
export const SUPERSEDED_WAIT_MS = 60_000;
/** The hub acks within a moment. What it has not acked after this was lost on the way, and is said again. */
export const ACK_LIMIT_MS = 30_000;
/** With more than this waiting to leave, progress would only be old when it arrives. */
export const BUFFERED_BYTES_MAX = 1024 * 1024;
/** With this code the agent gives up a socket for reasons of its own; the hub only sees that it was not a good-bye. */
const CLOSE_OWN = 4000;
/** Why, when it was this machine's disk. */
const NOT_STORED = "could not be stored";
/** How long a good-bye may take. */
const CLOSE_LIMIT_MS = 1_000;

/** What the session asks of the jobs. Every call is durable when it returns. */
export interface Work {
  /** For `hello`: the epoch and revision applied of each job. */
  applied(): Hello["applied"];
  apply(wanted: Wanted): Applied;
  /** Said in `welcome`: the hub holds the events up to here. */
  resume(eventSeqHeld: number): void;
  /** The hub acked the events up to here; they may go. */
  acknowledge(eventSeq: number): void;
  events(aboveEventSeq: number, limit: number): readonly (JobEvent | Result)[];
  /** Totals of each job that is being worked on. */
  progress(): readonly (Epoch & { readonly progress: RunProgress })[];
  nextProgressSeq(epoch: Epoch): number;
  /** Resolves when there are new events. */
  news(): Promise<void>;
}

/** What makes this agent the one that the hub knows. */
export interface StoredIdentity {
  /** That of the last `welcome`; 0 before the first. */
  readonly generation: number;
  /** Durable when it returns. */
  storeGeneration(generation: number): void;
  /** Durable when it returns, and used from then on; false where the key is not kept here. */
  storeKey(key: string): boolean;
}

export interface SessionInput {
  readonly platform: Platform;
  /** Looked at anew for each socket: the key may change. */
  readonly config: AgentConfig;
  readonly identity: StoredIdentity;
  readonly agentId: string;
  readonly work: Work;
  /** What the hub says of it goes in here. */
  readonly lease: Lease;
  readonly machine: Pick<Hello, "agentVersion" | "host" | "os" | "arch">;
  /** What it speaks; for tests, which ask what becomes of agents of other times. */
  readonly versions?: VersionRange;
  /** How often a WebSocket is tried while none passes. */
  readonly socketRetryMs?: number;
  /** Asks for the end: the session says `bye` and returns. */
  readonly signal: AbortSignal;
}

export type SessionEnd = { readonly kind: "stopped" } | { readonly kind: "revoked" };

/** How one socket ended. */
type Ending =
  | { readonly kind: "stopped" }
  /** It is time to try the other way. */
  | { readonly kind: "turn" }
  | {
      readonly kind: "closed";
      readonly code: number;
      readonly reason: string;
      readonly goodMs: number;
      /** The hub welcomed us, and what was sent then did not stay without any answer. */
      readonly wasGood: boolean;
    }
  | { readonly kind: "refused"; readonly status: number | null; readonly reason: string };

export async function holdSession(input: SessionInput): Promise<SessionEnd> {
  const { platform, signal } = input;
  const instanceId = hex(platform.random.bytes(16));
  const road = new Road(platform.clock, platform.random, input.socketRetryMs ?? SOCKET_RETRY_MS);
  for (let tries = 0; !signal.aborted;) {
    const way = road.now;
    const askedMs = platform.clock.monotonic();
    const ending =
      way === "websocket"
        ? await oneSocket(input, instanceId)
        : await talk(input, openPolling(platform, input.config), {
            instanceId,
            askedMs,
            way,
            goodForMs: road.goodForMs(),
          });
    if (ending.kind === "stopped") break;
    if (ending.kind === "turn") {
      road.turn();
      continue;
    }
    if (isFencing(ending)) input.lease.fence();
    if (ending.kind === "closed" && ending.code === CLOSE.revoked) {
      platform.log("session_revoked", { agentId: input.agentId });
      return { kind: "revoked" };
    }
    tries = ending.kind === "closed" && ending.goodMs >= GOOD_SOCKET_MS ? 0 : tries;
    const mayHurry = road.ended({
      wasGood: ending.kind === "closed" && ending.wasGood,
      isNoWays: kindOf(ending) !== "lost",
      wasRefused: ending.kind === "refused" && ending.status !== null && ending.status !== 429,
    });
    const why = ending.kind === "closed" ? { code: ending.code } : { status: ending.status };
    const advice = adviceOn(ending);
    if (mayHurry) {
      // What a person can do about it is said although the other way is tried at once: it may be no proxy's doing.
      if (advice !== null) platform.log("session_lost", { ...why, reason: ending.reason, advice, waitMs: 0 });
      platform.log("websocket_blocked", {
        reason: ending.reason,
        advice:
          "WebSockets do not seem to get through to the control plane. Trying long poll, and them again now and then",
      });
      continue;
    }
    const waitMs = waitAfter(ending, tries++, platform.random.next());
    platform.log("session_lost", { ...why, reason: ending.reason, advice, waitMs });
    try {
      await platform.clock.sleep(waitMs, signal);
    } catch {
      // Only the signal ends a sleep early, and the loop looks at it.
    }
  }
  return { kind: "stopped" };
}

type Lost = Exclude<Ending, { kind: "stopped" | "turn" }>;

/** The hub's word that this program is not the one that works. */
function isFencing(ending: Lost): boolean {
  const kind = kindOf(ending);
  const isRevoked = ending.kind === "closed" && ending.code === CLOSE.revoked;
  return isRevoked || kind === "superseded" || kind === "locked";
}

function waitAfter(ending: Lost, tries: number, chance: number): number {
  switch (kindOf(ending)) {
    case "bad_key":
    case "upgrade_needed":
      // Jittered as well: a fleet that was updated too late would come back in step.
      return Math.floor(BAD_KEY_WAIT_MS * (0.8 + 0.4 * chance));
    case "superseded":
    case "locked":
      return SUPERSEDED_WAIT_MS + Math.floor(chance * SUPERSEDED_WAIT_MS);
    case "not_stored":
    case "lost":
      return backoffMs(tries, chance);
  }
}

function adviceOn(ending: Lost): string | null {
  switch (kindOf(ending)) {
    case "bad_key":
      return "The control plane does not accept this agent's key. Trying again every 15 minutes; register anew if it was removed";
    case "upgrade_needed":
      return "This agent and the control plane have no version of the protocol in common. Install the current agent. Trying again every 15 minutes";
    case "superseded":
      return "Another agent connected with this agent's key. Each machine needs a registration of its own";
    case "locked":
      return "This agent is locked, because its registration was used from two places, as when a machine was copied or set back. An admin unlocks or revokes it in the dashboard, under Agents. Trying again";
    case "not_stored":
      return "This agent cannot write what it is told into its state folder. Make room on that disk, or give this account the right to write there. Trying again";
    case "lost":
      return ending.kind === "refused" && ending.status === 403
        ? "The control plane, or a proxy before it, refuses this agent for now. If it waits for approval, an admin approves it in the dashboard, under Agents. Trying again"
        : null;
  }
}

function kindOf(
  ending: Lost,
): "bad_key" | "upgrade_needed" | "superseded" | "locked" | "not_stored" | "lost" {
  if (ending.kind === "closed" && ending.code === CLOSE_OWN && ending.reason === NOT_STORED)
    return "not_stored";
  // A 403 is not taken for a refusal of ours: proxies answer so, too.
  const code =
    ending.kind === "refused" ? (ending.status === 401 ? CLOSE.badKey : ending.status) : ending.code;
  if (code === CLOSE.badKey) return "bad_key";
  if (code === CLOSE.upgradeNeeded || code === 426) return "upgrade_needed";
  if (code === CLOSE.locked || code === 423) return "locked";
  return code === CLOSE.superseded ? "superseded" : "lost";
}

async function oneSocket(input: SessionInput, instanceId: string): Promise<Ending> {
  const { platform, config, signal } = input;
  const askedMs = platform.clock.monotonic();
  const life = new AbortController();
  const stop = () => life.abort(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  const limit = new AbortController();
  platform.clock.sleep(CONNECT_LIMIT_MS, limit.signal).then(
    () => life.abort(new ConnectError(null, "no answer in time")),
    () => undefined,
  );
  let socket: Socket;
  try {
    signal.throwIfAborted();
    socket = await platform.connect(`${config.url.replace(/^http/, "ws")}/api/agent/session`, {
      protocol: SUBPROTOCOL,
      headers: { Authorization: `Bearer ${config.key}` },
      signal: life.signal,
    });
  } catch (error) {
    if (signal.aborted) return { kind: "stopped" };
    if (!(error instanceof ConnectError)) throw error;
    return { kind: "refused", status: error.status, reason: error.message };
  } finally {
    limit.abort();
    signal.removeEventListener("abort", stop);
  }
  return await talk(input, socket, {
    instanceId,
    askedMs,
    way: "websocket",
    goodForMs: Number.POSITIVE_INFINITY,
  });
}

/** Takes what comes, one thing at a time, until the socket ends. */
async function talk(
  input: SessionInput,
  socket: Socket,
  {
    instanceId,
    askedMs,
    way,
    goodForMs,
  }: { instanceId: string; askedMs: number; way: AgentConnection; goodForMs: number },
): Promise<Ending> {
  const { platform, work, signal } = input;
  const { clock } = platform;
  const startedMs = clock.monotonic();
  const life = new AbortController();
  const stopped = new Promise<{ kind: "stop" }>((resolve) => {
    signal.addEventListener("abort", () => resolve({ kind: "stop" }), { once: true, signal: life.signal });
  });
  const conversation = new Conversation(input, socket, askedMs);
  conversation.hello(instanceId, way);
  const listen = () => {
    const next = socket.receive(life.signal);
    // Nobody may be waiting for it any more when the socket is given up.
    next.catch(() => undefined);
    return next;
  };
  let incoming = listen();
  let news = work.news().then(() => ({ kind: "news" }) as const);
  try {
    for (;;) {
      if (signal.aborted) {
        conversation.bye("stopping");
        await untilClosed(platform, incoming);
        return { kind: "stopped" };
      }
      const leftMs = startedMs + goodForMs - clock.monotonic();
      if (leftMs <= 0) {
        socket.close(CLOSE_OWN, "trying a WebSocket");
        return { kind: "turn" };
      }
      const timer = new AbortController();
      const due = clock
        .sleep(Math.min(conversation.waitMs(), Math.ceil(leftMs)), timer.signal)
        .then(() => ({ kind: "due" }) as const);
      const next = await Promise.race([incoming, news, due, stopped]);
      timer.abort();
      switch (next.kind) {
        case "closed":
          return { ...next, ...conversation.worth(startedMs) };
        case "text":
          incoming = listen();
          conversation.take(next.text);
          break;
        case "news":
          news = work.news().then(() => ({ kind: "news" }) as const);
          break;
        case "due":
        case "stop":
          break;
      }
      conversation.advance();
      if (conversation.over !== null) {
        const { code, reason } = conversation.over;
        socket.close(code, reason);
        return { kind: "closed", code, reason, ...conversation.worth(startedMs) };
      }
    }
  } finally {
    life.abort();
  }
}

async function untilClosed(platform: Platform, incoming: ReturnType<Socket["receive"]>): Promise<void> {
  const limit = new AbortController();
  const late = platform.clock.sleep(CLOSE_LIMIT_MS, limit.signal);
  await Promise.race([incoming, late]);
  limit.abort();
}

/** What the hub may say. A config is only looked at by the runner, which refuses what it does not understand. */
const wanted = desired.extend({ config: z.unknown() });
const fromHub = z.discriminatedUnion("type", [
  welcome.extend({ desired: z.array(wanted) }),
  wanted,
  ack,
  reportRate,
  rotateKey,
  protocolError,
]);
type FromHub = z.infer<typeof fromHub>;
type Welcome = Extract<FromHub, { type: "welcome" }>;

/** One socket's worth of talk. `take` handles a text, `advance` does what is due; neither waits. */
class Conversation {
  readonly #input: SessionInput;
  readonly #socket: Socket;
  readonly #versions: VersionRange;
  #way: AgentConnection = "websocket";
  /** Said with each frame; before the welcome the one that most hubs read. */
  #version: number;
  #sessionEpoch = 0;
  #sent = 0;
  #received = 0;
  /** Set when this side gives the socket up. */
  over: { code: number; reason: string } | null = null;

  #helloDueMs: number;
  #heartbeatMs = 0;
  #beatDueMs = Number.POSITIVE_INFINITY;
  #answerDueMs = Number.POSITIVE_INFINITY;
  #misses = 0;
  /** When the heartbeats left that are not answered yet; answers come in their order. */
  readonly #beats: number[] = [];
  /** Before the hub was asked for this socket. */
  readonly #askedMs: number;
  #leaseMs = 0;
  /** Whether anything came behind the welcome. */
  #isAnswered = false;

  #reportMs = 0;
  #reportDueMs = Number.POSITIVE_INFINITY;
  /** Progress that is not acked yet, one per job. */
  readonly #reported = new Map<string, { seq: number; sentMs: number }>();

  /** The highest event said on this socket, those of them that are not acked, and when the oldest of these was said. */
  #toldSeq = 0;
  #unacked: number[] = [];
  #ackDueMs = Number.POSITIVE_INFINITY;

  /** Waits for the end of the turn, so that one turn makes few frames. */
  #outgoing: AgentMessage[] = [];

  constructor(input: SessionInput, socket: Socket, askedMs: number) {
    this.#askedMs = askedMs;
    this.#input = input;
    this.#socket = socket;
    this.#versions = input.versions ?? PROTOCOL_VERSIONS;
    this.#version = this.#versions.min;
    this.#helloDueMs = this.#now() + HELLO_LIMIT_MS;
  }

  get welcomed(): boolean {
    return this.#sessionEpoch > 0;
  }

  /** How good the socket was, for whoever decides what is tried next. */
  worth(startedMs: number): { goodMs: number; wasGood: boolean } {
    return {
      goodMs: this.welcomed ? this.#now() - startedMs : 0,
      wasGood: this.welcomed && (this.#isAnswered || this.#misses === 0),
    };
  }

  hello(instanceId: string, connection: AgentConnection): void {
    this.#outgoing.push({
      type: "hello",
      protocolMin: this.#versions.min,
      protocolMax: this.#versions.max,
      ...this.#input.machine,
      instanceId,
      applied: this.#input.work.applied(),
      freeDiskBytes: null,
      generation: this.#input.identity.generation,
      connection,
    });
    this.#way = connection;
    this.#flush();
  }

  bye(reason: string): void {
    if (this.welcomed) {
      this.#outgoing.push({ type: "bye", reason });
      this.#flush();
    }
    this.#socket.close(1000, reason);
  }

  take(text: string): void {
    if (this.over !== null) return;
    // Whatever comes proves that the other side is there.
    this.#misses = 0;
    this.#answerDueMs = Number.POSITIVE_INFINITY;
    if (this.welcomed) this.#isAnswered = true;
    try {
      if (text === HEARTBEAT_ANSWER) return this.#beatAnswered();
      const { envelope, messages } = readFrame<FromHub>(text, fromHub);
      // Of another session: nothing in it is meant for this one.
      if (this.welcomed && envelope.s !== this.#sessionEpoch) return;
      if (this.welcomed && envelope.v !== this.#version)
        throw new ProtocolError(`Version ${envelope.v} is not ${this.#version}`);
      this.#received = Math.max(this.#received, envelope.n);
      for (const message of messages) this.#takeMessage(message);
    } catch (error) {
      if (error instanceof DiskError) {
        // Not written, so not confirmed: the hub says it again on the next socket, when there may be room.
        this.#input.platform.log("frame_not_stored", { reason: error.message });
        return this.#end(CLOSE_OWN, NOT_STORED);
      }
      if (!(error instanceof ProtocolError)) throw error;
      this.#input.platform.log("frame_refused", { reason: error.message.slice(0, 500) });
      this.#end(CLOSE.protocol, "protocol error");
    }
  }

  /** Where requests take the place of heartbeats, the newest that was answered counts. */
  #beatAnswered(): void {
    const beatMs = this.#beats.shift();
    const { answeredMs = beatMs ?? null } = this.#socket;
    if (this.welcomed && answeredMs !== null) this.#input.lease.renew(answeredMs, this.#leaseMs);
  }

  #takeMessage(message: FromHub): void {
    if (message.type === "error") {
      this.#input.platform.log("hub_error", { code: message.code, message: message.message });
      return;
    }
    if (message.type === "welcome") return this.#welcome(message);
    if (!this.welcomed) return;
    switch (message.type) {
      case "desired":
        this.#outgoing.push(this.#input.work.apply(message));
        break;
      case "ack":
        this.#acked(message.eventSeq, message.progress ?? {});
        break;
      case "rotate_key":
        this.#rotateKey(message.key);
        break;
      case "report_rate":
        this.#reportMs = message.seconds * 1_000;
        // Somebody who opens the page sees the first figures at once.
        this.#reportDueMs = Math.min(this.#reportDueMs, this.#now() + Math.min(this.#reportMs, 1_000));
        break;
    }
  }

  /** One that cannot be stored is not used: the hub offers another some day. */
  #rotateKey(key: string): void {
    const { identity, agentId, platform } = this.#input;
    try {
      if (agentOfKey(key) !== agentId) throw new ConfigError("It is another agent's");
      if (identity.storeKey(key)) this.#outgoing.push({ type: "key_stored" });
    } catch (error) {
      if (!(error instanceof DiskError) && !(error instanceof ConfigError)) throw error;
      platform.log("key_not_stored", { reason: error.message });
    }
  }

  #welcome(message: Welcome): void {
    if (this.welcomed) return;
    const { work, agentId, platform, identity } = this.#input;
    const { generation } = message;
    if (message.agentId !== agentId)
      throw new ProtocolError(`The hub is that of ${message.agentId}, not of ${agentId}`);
    const { min, max } = this.#versions;
    if (message.protocol < min || message.protocol > max)
      throw new ProtocolError(`The hub chose version ${message.protocol}, which this agent does not speak`);
    // Before anything is said: whoever connects next must know it.
    if (generation !== undefined) identity.storeGeneration(generation);
    this.#version = message.protocol;
    this.#sessionEpoch = message.sessionEpoch;
    this.#heartbeatMs = message.heartbeatSeconds * 1_000;
    this.#reportMs = message.reportSeconds * 1_000;
    this.#helloDueMs = Number.POSITIVE_INFINITY;
    this.#reportDueMs = this.#now();
    this.#setBeat();
    work.resume(message.eventSeqHeld);
    this.#leaseMs = (message.leaseSeconds ?? LEASE_SECONDS) * 1_000;
    this.#input.lease.renew(this.#askedMs, this.#leaseMs);
    this.#toldSeq = message.eventSeqHeld;
    this.#outgoing.push({ type: "ready", ...(generation === undefined ? {} : { generation }) });
    for (const each of message.desired) this.#outgoing.push(work.apply(each));
    platform.log("session_opened", { agentId, sessionEpoch: message.sessionEpoch, connection: this.#way });
  }

  #acked(eventSeq: number, progress: Readonly<Record<string, number>>): void {
    const [oldest] = this.#unacked;
    if (oldest !== undefined && eventSeq >= oldest) {
      // Not above what was said here: the rest was never sent to anybody.
      this.#input.work.acknowledge(Math.min(eventSeq, this.#toldSeq));
      this.#unacked = this.#unacked.filter((seq) => seq > eventSeq);
      this.#ackDueMs = this.#unacked.length === 0 ? Number.POSITIVE_INFINITY : this.#now() + ACK_LIMIT_MS;
    }
    for (const [jobId, seq] of Object.entries(progress)) {
      const held = this.#reported.get(jobId);
      if (held !== undefined && seq >= held.seq) this.#reported.delete(jobId);
    }
  }

  /** How long nothing is due, if nothing comes. */
  waitMs(): number {
    const dueMs = Math.min(
      this.#helloDueMs,
      this.#beatDueMs,
      this.#answerDueMs,
      this.#reportDueMs,
      this.#ackDueMs,
    );
    // Timers count whole milliseconds; a shorter wait would wake before anything is due.
    return Math.max(0, Math.ceil(dueMs - this.#now()));
  }

  advance(): void {
    const now = this.#now();
    if (this.over !== null) return;
    if (now >= this.#helloDueMs) return this.#end(CLOSE.helloTimeout, "no welcome in time");
    if (!this.welcomed) return;
    if (now >= this.#answerDueMs) {
      this.#answerDueMs = Number.POSITIVE_INFINITY;
      if (++this.#misses >= HEARTBEAT_MISSES_MAX) return this.#end(CLOSE_OWN, "no heartbeat answer");
    }
    if (now >= this.#beatDueMs) {
      this.#beats.push(now);
      this.#socket.send(HEARTBEAT);
      this.#answerDueMs = now + HEARTBEAT_ANSWER_MS;
      this.#setBeat();
    }
    if (now >= this.#ackDueMs) {
      const [oldest] = this.#unacked;
      this.#toldSeq = oldest === undefined ? this.#toldSeq : oldest - 1;
      this.#unacked = [];
      this.#ackDueMs = Number.POSITIVE_INFINITY;
    }
    this.#tellEvents(now);
    this.#report(now);
    this.#flush();
  }

  #tellEvents(now: number): void {
    const room = EVENTS_UNACKED_MAX - this.#unacked.length;
    if (room <= 0) return;
    const events = this.#input.work.events(this.#toldSeq, room);
    for (const event of events) {
      this.#outgoing.push(event);
      this.#unacked.push(event.eventSeq);
      this.#toldSeq = event.eventSeq;
    }
    if (events.length > 0 || this.#unacked.length === 0) {
      this.#ackDueMs =
        this.#unacked.length === 0 ? Number.POSITIVE_INFINITY : Math.min(this.#ackDueMs, now + ACK_LIMIT_MS);
    }
  }

  #report(now: number): void {
    if (now < this.#reportDueMs) return;
    this.#reportDueMs = now + this.#reportMs;
    if (this.#socket.bufferedBytes > BUFFERED_BYTES_MAX) return;
    for (const { jobId, epoch, progress } of this.#input.work.progress()) {
      const held = this.#reported.get(jobId);
      if (held !== undefined && now < held.sentMs + ACK_LIMIT_MS) continue;
      const seq = this.#input.work.nextProgressSeq({ jobId, epoch });
      this.#reported.set(jobId, { seq, sentMs: now });
      const message: Progress = { type: "progress", jobId, epoch, seq, ...progress };
      this.#outgoing.push(message);
    }
  }

  /** Sends what has gathered, in as few frames as hold it. */
  #flush(): void {
    const messages = this.#outgoing.map((message) => JSON.stringify(message));
    this.#outgoing = [];
    let frame: string[] = [];
    let bytes = ENVELOPE_BYTES;
    for (const message of messages) {
      const more = byteLength(message) + 1;
      if (frame.length > 0 && (bytes + more > FRAME_BYTES_MAX || frame.length === MESSAGES_PER_FRAME_MAX)) {
        this.#sendFrame(frame);
        frame = [];
        bytes = ENVELOPE_BYTES;
      }
      frame.push(message);
      bytes += more;
    }
    if (frame.length > 0) this.#sendFrame(frame);
  }

  #sendFrame(messages: readonly string[]): void {
    const head: Omit<Envelope, "m"> = {
      v: this.#version,
      s: this.#sessionEpoch,
      n: ++this.#sent,
      a: this.#received,
    };
    this.#socket.send(`${JSON.stringify(head).slice(0, -1)},"m":[${messages.join(",")}]}`);
  }

  #setBeat(): void {
    // ± 20 %, so that a fleet does not beat in step.
    this.#beatDueMs =
      this.#now() + Math.floor(this.#heartbeatMs * (0.8 + 0.4 * this.#input.platform.random.next()));
  }

  #end(code: number, reason: string): void {
    this.over = { code, reason };
  }

  #now(): number {
    return this.#input.platform.clock.monotonic();
  }
}

/** Room for everything of a frame but its messages. */
const ENVELOPE_BYTES = 128;
const encoder = new TextEncoder();

function byteLength(text: string): number {
  return encoder.encode(text).length;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
