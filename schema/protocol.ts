/**
 * The conversation between an agent and its hub.
 *
 * Every frame is one JSON text, an {@link Envelope} with several messages inside; the heartbeat `p`, answered `q`, is
 * outside of it. Two lanes run from agent to hub. The *state lane* (`progress`): the newest wins, at most one is unacked.
 * The *event lane* (`event`, `result`): numbered by `eventSeq`, kept by the agent until the hub's `ack`, taken in order.
 *
 * Within a version, fields are only ever added, and optional; a message type one does not know is ignored. What is more than
 * that makes a new version. Both sides speak a range of them, `hello` says which, and `welcome` chooses ({@link commonVersion}).
 * The envelope and the two fields of `hello` that say the range are the same in all of them, so that strangers can part in words.
 */
import * as z from "zod";
import { agentId, jobId } from "./ids.ts";
import { desiredState, fileFailure, jobConfig, jobPreview, jobReport, jobTotals } from "./job.ts";

export const PROTOCOL_VERSION = 1;
/** A range of versions, both ends included. */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}
/** The present version and the two before it. */
export const PROTOCOL_VERSIONS: VersionRange = {
  min: Math.max(1, PROTOCOL_VERSION - 2),
  max: PROTOCOL_VERSION,
};
export const SUBPROTOCOL = "migrate.agent.v1";
export const FRAME_BYTES_MAX = 256 * 1024;
export const MESSAGES_PER_FRAME_MAX = 200;
export const EVENTS_UNACKED_MAX = 64;
export const FAILURES_PER_EVENT_MAX = 50;
export const HEARTBEAT = "p";
export const HEARTBEAT_ANSWER = "q";
export const HEARTBEAT_SECONDS = 30;
/** How often an agent reports while nobody looks, and while somebody does. */
export const REPORT_SECONDS_UNWATCHED = 15;
export const REPORT_SECONDS_WATCHED = 1;
export const HELLO_LIMIT_MS = 10_000;
/** For how long an agent holds its place after the hub has answered it. */
export const LEASE_SECONDS = 120;

/** Why a hub closes an agent's socket. */
export const CLOSE = {
  superseded: 4001,
  protocol: 4008,
  badKey: 4401,
  revoked: 4403,
  locked: 4423,
  helloTimeout: 4408,
  upgradeNeeded: 4426,
} as const;

export const envelope = z.object({
  /** The version that `welcome` chose; in `hello` the oldest that the agent speaks. */
  v: z.int().min(1),
  /** Session epoch, given by `welcome` (which carries it already); 0 in `hello`. */
  s: z.int().min(0),
  /** Number of this frame on this socket and in this direction, from 1: `hello` and `welcome` are 1. */
  n: z.int().min(1),
  /** Highest frame number received from the other side. */
  a: z.int().min(0),
  m: z.array(z.unknown()).max(MESSAGES_PER_FRAME_MAX),
});
export type Envelope = z.infer<typeof envelope>;

const epoch = z.int().min(1);
const rev = z.int().min(1);
const seq = z.int().min(1);

/** What is wanted of one job. Sent again and again until `applied` names this revision. */
export const desired = z.object({
  type: z.literal("desired"),
  jobId,
  epoch,
  rev,
  state: desiredState,
  config: jobConfig,
});
export type Desired = z.infer<typeof desired>;

/** The phases an agent reports; the hub turns them into job statuses. */
export const agentPhase = z.enum(["scanning", "ready", "running", "paused"]);
export type AgentPhase = z.infer<typeof agentPhase>;

/** What holds a job up. `untilMs`: wall clock, milliseconds since 1970; null = nobody knows. */
export const waiting = z.object({
  reason: z.enum([
    "bandwidth",
    "throttled",
    "unreachable",
    "disk_full",
    "locked",
    "next_pass",
    "authorization",
  ]),
  /** Of `bandwidth`: the limit that holds, which may be another job's. */
  megabitsPerSecond: z.number().nullable().optional(),
  untilMs: z.int().nullable(),
  /** What a person may want to know besides; no secret. */
  message: z.string().max(300).nullable(),
});
export type Waiting = z.infer<typeof waiting>;

export const progress = z.object({
  type: z.literal("progress"),
  jobId,
  epoch,
  seq,
  phase: agentPhase,
  totals: jobTotals,
  /** Bytes of blocks accepted for files that are not finished yet; may fall. */
  bytesInFlight: z.int().min(0),
  /** On the wire, over the last seconds. */
  bytesPerSecond: z.number().min(0),
  secondsRemaining: z.number().min(0).nullable(),
  currentPath: z.string().max(200).nullable(),
  /** Why it is not as fast as it could be, or does not go on just now; null or absent = it goes on as it should. */
  waiting: waiting.nullable().optional(),
});
export type Progress = z.infer<typeof progress>;

/** The ways to the hub: a WebSocket, or the long poll where none passes. */
export const agentConnection = z.enum(["websocket", "long_poll"]);
export type AgentConnection = z.infer<typeof agentConnection>;

export const hello = z.object({
  type: z.literal("hello"),
  protocolMin: z.int(),
  protocolMax: z.int(),
  agentVersion: z.string().max(64),
  host: z.string().max(255),
  os: z.string().max(64),
  arch: z.string().max(64),
  /** New for each start of the program. */
  instanceId: z.string().max(64),
  /** For each job the agent knows: the epoch and revision it applied. */
  applied: z.record(jobId, z.tuple([epoch, rev])),
  freeDiskBytes: z.int().min(0).nullable(),
  /** The one of the last `welcome` that was stored, 0 before the first; absent from agents that know of none. */
  generation: z.int().min(0).optional(),
  /** How it is connected; absent from agents that know of one way only. */
  connection: agentConnection.optional(),
});
export type Hello = z.infer<typeof hello>;

export const ready = z.object({
  type: z.literal("ready"),
  /** That of the `welcome`, which is durable now. */
  generation: z.int().min(1).optional(),
});

/** The key of `rotate_key` is durable, and the only one this agent has. */
export const keyStored = z.object({ type: z.literal("key_stored") });

export const applied = z.object({
  type: z.literal("applied"),
  jobId,
  epoch,
  rev,
  result: z.enum(["ok", "refused"]),
  code: z.string().max(64).optional(),
  message: z.string().max(500).optional(),
});
export type Applied = z.infer<typeof applied>;

export const jobEvent = z.object({
  type: z.literal("event"),
  eventSeq: seq,
  jobId,
  epoch,
  at: z.iso.datetime(),
  event: z.discriminatedUnion("kind", [
    z.object({
      kind: z.literal("phase"),
      phase: agentPhase,
      totals: jobTotals,
      /** From `ready` on, what the scan of this pass found; absent from agents that do not say it yet. */
      preview: jobPreview.optional(),
    }),
    z.object({
      kind: z.literal("files_failed"),
      /** Number of the first of them within the epoch, from 0, so that a repeat is known as one. */
      first: z.int().min(0),
      failures: z.array(fileFailure).min(1).max(FAILURES_PER_EVENT_MAX),
    }),
  ]),
});
export type JobEvent = z.infer<typeof jobEvent>;

export const result = z.object({
  type: z.literal("result"),
  eventSeq: seq,
  jobId,
  epoch,
  report: jobReport,
});
export type Result = z.infer<typeof result>;

export const bye = z.object({ type: z.literal("bye"), reason: z.string().max(200) });

export const welcome = z.object({
  type: z.literal("welcome"),
  /** The newest that both sides speak. */
  protocol: z.int().min(1),
  agentId,
  sessionEpoch: z.int().min(1),
  serverTime: z.iso.datetime(),
  heartbeatSeconds: z.int().min(1),
  reportSeconds: z.int().min(1),
  /** Highest event the hub holds; the agent forgets up to it and sends again what is above. */
  eventSeqHeld: z.int().min(0),
  /** Granted now and with each heartbeat that is answered; absent from hubs that did not say it yet: {@link LEASE_SECONDS}. */
  leaseSeconds: z.int().min(1).max(3_600).optional(),
  /** To be stored before anything else is said; only to an agent that said one. */
  generation: z.int().min(1).optional(),
  desired: z.array(desired),
});
export type Welcome = z.infer<typeof welcome>;

export const ack = z.object({
  type: z.literal("ack"),
  /** All events up to this one are durable at the hub. */
  eventSeq: z.int().min(0),
  /** The progress taken last, per job. */
  progress: z.record(jobId, seq).optional(),
});

export const reportRate = z.object({ type: z.literal("report_rate"), seconds: z.int().min(1).max(3_600) });

/** A key in place of the agent's own, which stays good until the new one was stored. */
export const rotateKey = z.object({ type: z.literal("rotate_key"), key: z.string().min(1).max(200) });

export const protocolError = z.object({
  type: z.literal("error"),
  code: z.string().max(64),
  message: z.string().max(500),
});

export const agentMessage = z.discriminatedUnion("type", [
  hello,
  ready,
  keyStored,
  applied,
  progress,
  jobEvent,
  result,
  bye,
]);
export type AgentMessage = z.infer<typeof agentMessage>;

export const hubMessage = z.discriminatedUnion("type", [
  welcome,
  desired,
  ack,
  reportRate,
  rotateKey,
  protocolError,
]);
export type HubMessage = z.infer<typeof hubMessage>;

/** How long a request of the long poll is held at most. */
export const SYNC_WAIT_SECONDS_MAX = 25;

/**
 * One request of the long poll: the frames of a socket, over HTTP. The line it names stands for the socket. It may be
 * repeated: a frame is taken once, by its number, and what the hub said comes again until `received` covers it.
 */
export const syncRequest = z.strictObject({
  /** Made by the agent, new for each line. */
  line: z.string().regex(/^[0-9a-f]{32}$/),
  /** The first, with `hello` in it, opens the line; null = nothing to say. */
  frame: envelope.nullable(),
  /** The hub's frames up to this one have arrived. */
  received: z.int().min(0),
  waitSeconds: z.int().min(0).max(SYNC_WAIT_SECONDS_MAX),
  /** The agent closes the line, with the code it would close a socket with. */
  close: z.int().min(1_000).max(4_999).nullable(),
});
export type SyncRequest = z.infer<typeof syncRequest>;

export const syncAnswer = z.object({
  frames: z.array(envelope),
  /** The line is over; the codes are those of a socket. */
  closed: z.object({ code: z.int(), reason: z.string() }).nullable(),
});
export type SyncAnswer = z.infer<typeof syncAnswer>;

/** The newest version that both sides speak; null when there is none. */
export function commonVersion(ours: VersionRange, theirs: VersionRange): number | null {
  const newest = Math.min(ours.max, theirs.max);
  return newest >= Math.max(ours.min, theirs.min) ? newest : null;
}

const strangersFrame = z.object({
  m: z.tuple(
    [z.object({ type: z.literal("hello"), protocolMin: z.int(), protocolMax: z.int() })],
    z.unknown(),
  ),
});

/** The range in a frame that begins with `hello`, of whatever version; null for any other text. */
export function versionsInHello(text: string): VersionRange | null {
  if (text.length > FRAME_BYTES_MAX) return null;
  try {
    const frame = strangersFrame.safeParse(JSON.parse(text));
    if (!frame.success) return null;
    const [hello] = frame.data.m;
    return { min: hello.protocolMin, max: hello.protocolMax };
  } catch {
    return null;
  }
}

/** A frame that breaks the protocol; the socket is closed with {@link CLOSE.protocol}. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** Reads a frame from an agent. Throws {@link ProtocolError}. */
export function readAgentFrame(text: string): { envelope: Envelope; messages: AgentMessage[] } {
  return readFrame(text, agentMessage);
}

/** Reads a frame from a hub. Throws {@link ProtocolError}. */
export function readHubFrame(text: string): { envelope: Envelope; messages: HubMessage[] } {
  return readFrame(text, hubMessage);
}

type Union<Message> = z.ZodType<Message> & {
  readonly options: readonly { readonly shape: { type: z.ZodLiteral<string> } }[];
};

/** Reads a frame against any set of messages; a type that is not among them is left out. */
export function readFrame<Message>(
  text: string,
  union: Union<Message>,
): { envelope: Envelope; messages: Message[] } {
  if (isLongerThan(text, FRAME_BYTES_MAX))
    throw new ProtocolError(`Cannot read frame: it is longer than ${FRAME_BYTES_MAX} bytes`);
  const frame = envelope.safeParse(parseJson(text));
  if (!frame.success) throw new ProtocolError(`Cannot read frame: ${z.prettifyError(frame.error)}`);
  const known = new Set(union.options.map((option) => option.shape.type.value));
  const messages: Message[] = [];
  for (const candidate of frame.data.m) {
    const type = typeOf(candidate);
    if (type === undefined) throw new ProtocolError("Cannot read frame: a message has no type");
    if (!known.has(type)) continue;
    const message = union.safeParse(candidate);
    if (!message.success) throw new ProtocolError(`Cannot read "${type}": ${z.prettifyError(message.error)}`);
    messages.push(message.data);
  }
  return { envelope: frame.data, messages };
}

/** In bytes of UTF-8. A unit of a string is at most three bytes, and half of a pair two, so most texts need no count. */
function isLongerThan(text: string, bytesMax: number): boolean {
  if (text.length > bytesMax) return true;
  if (text.length * 3 <= bytesMax) return false;
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
  }
  return bytes > bytesMax;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError("Cannot read frame: it is not JSON", { cause });
  }
}

function typeOf(candidate: unknown): string | undefined {
  if (typeof candidate !== "object" || candidate === null || !("type" in candidate)) return undefined;
  return typeof candidate.type === "string" ? candidate.type : undefined;
}
