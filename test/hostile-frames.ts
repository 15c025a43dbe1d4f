/**
 * Frames that no honest peer sends, made out of good ones: every frame of here is malformed, meant for another session, or
 * holds only what nobody knows, so whoever acts on it has a defect. Repeatable by the seed. For both directions: the agent's session
 * (`agent/session-fuzz.test.ts`) and the real object (`test/contract/live-matrix.test.ts`).
 */
import { FRAME_BYTES_MAX, MESSAGES_PER_FRAME_MAX, PROTOCOL_VERSION } from "../schema/protocol.ts";

export interface HostileWorld {
  /** At least 0, below 1. */
  readonly random: () => number;
  /** The session of the peer that is spoken to; 0 before it has one. */
  readonly session: number;
  readonly number: number;
  /** Messages that would be taken. */
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  /** Fields in which more may stand than is worth telling apart here: nothing is made wrong there. */
  readonly anything: readonly string[];
}

export const WAYS = [
  "cut",
  "garbled",
  "oversized",
  "deep",
  "wrong type",
  "field missing",
  "wrong id",
  "wrong number",
  "binary",
  "wrong session",
  "wrong version",
  "wrong frame number",
  "too many messages",
  "not an envelope",
  "duplicated key",
  "lone surrogate",
  "prototype",
  "unknown message",
  "nearly a heartbeat",
] as const;

/** Of other types than what stands in any field that is looked at. */
const WRONG_VALUES = [{ a: 1 }, [[]], Number.MAX_VALUE, -1.5, "\u0000", true] as const;

export function hostileFrame(
  world: HostileWorld,
  way: (typeof WAYS)[number],
): string | Uint8Array<ArrayBuffer> {
  const message = structuredClone(pick(world, world.messages)) as Record<string, unknown>;
  const good = frameOf(world, [message]);
  switch (way) {
    case "cut":
      return good.slice(0, below(world, good.length - 1) + (world.random() < 0.1 ? 0 : 1));
    case "garbled": {
      // A byte that no JSON may hold where it stands: outside of strings anything, inside of them a line feed.
      const place = below(world, good.length);
      return `${good.slice(0, place)}\n\u0000${good.slice(place)}`;
    }
    case "oversized":
      return frameOf(world, [{ ...message, filling: "x".repeat(FRAME_BYTES_MAX) }]);
    case "deep":
      return deep(world, message);
    case "wrong type":
      return frameOf(world, [withField(world, message, (value) => pick(world, otherThan(value)))]);
    case "field missing":
      return frameOf(world, [withField(world, message, () => undefined)]);
    case "wrong id":
      return frameOf(world, [withId(world, message)]);
    case "wrong number":
      return frameOf(world, [withNumber(world, message)]);
    case "binary":
      return Uint8Array.from(new TextEncoder().encode(good));
    case "wrong session":
      return good.replace(
        /"s":\d+/,
        `"s":${pick(world, [world.session + 1, world.session + 1e6, -1, '"1"', null, 0.5])}`,
      );
    case "wrong version":
      return good.replace(`"v":${PROTOCOL_VERSION}`, `"v":${pick(world, [0, 2, -1, '"1"', null, "[]"])}`);
    case "wrong frame number":
      return good.replace(/"n":\d+/, `"n":${pick(world, [0, -1, 1.5, '"7"', null, "1e400"])}`);
    case "too many messages":
      return frameOf(
        world,
        Array.from({ length: MESSAGES_PER_FRAME_MAX + 1 }, () => message),
      );
    case "not an envelope":
      return pick(world, [
        "",
        "{}",
        "[]",
        "null",
        "0",
        '"p"',
        "true",
        `[${good}]`,
        `${good}${good}`,
        `{"m":${good}}`,
      ]);
    case "duplicated key":
      // The last one counts, whoever is asked.
      return `${good.slice(0, -1)},${pick(world, ['"m":[{"type":7}]', '"v":2', `"s":${world.session + 1}`, '"n":0', '"a":-1', '"m":{}'])}}`;
    case "lone surrogate":
      return frameOf(world, [withId(world, message, "\ud800")]);
    case "prototype":
      return good.replace('"type":', pick(world, ['"__proto__":', '"constructor":', '"hasOwnProperty":']));
    case "unknown message":
      return frameOf(world, [
        { ...message, type: pick(world, ["", "Desired", "constructor", "__proto__", "ack ", "toString"]) },
      ]);
    case "nearly a heartbeat":
      return pick(world, ["P", "p ", " p", "pp", "Q", "\u0000p", "p\n", "ping"]);
  }
}

function frameOf({ session, number }: HostileWorld, messages: readonly object[]): string {
  return JSON.stringify({ v: PROTOCOL_VERSION, s: session, n: number, a: 0, m: messages });
}

/** Deeper than anything that is said, in a place that is looked at. */
function deep(world: HostileWorld, message: Record<string, unknown>): string {
  const depth = pick(world, [100, 5_000, 40_000]);
  const [open, close] = pick(world, [
    ['{"a":', "}"],
    ["[", "]"],
  ] as const);
  const text = frameOf(world, [withField(world, message, () => "HERE")]);
  return text.replace('"HERE"', () => open.repeat(depth) + "1" + close.repeat(depth));
}

/** The message with one field that is looked at made otherwise; `change` may take it away. */
function withField(
  world: HostileWorld,
  message: Record<string, unknown>,
  change: (value: unknown) => unknown,
): object {
  const names = Object.keys(message).filter((name) => name !== "type" && !world.anything.includes(name));
  const name = pick(world, names);
  return { ...message, [name]: change(message[name]) };
}

function otherThan(value: unknown): readonly unknown[] {
  return WRONG_VALUES.filter(
    (wrong) => typeof wrong !== typeof value || Array.isArray(wrong) !== Array.isArray(value),
  );
}

const NO_IDS = [
  "",
  "job_",
  "../../etc/passwd",
  "__proto__",
  "job_0",
  "x".repeat(5_000),
  "job_01jd000000000000000000000I",
];

function withId(world: HostileWorld, message: Record<string, unknown>, id?: string): object {
  const names = Object.keys(message).filter((name) => name === "jobId" || name === "agentId");
  const name = names[0];
  if (name === undefined) return { ...message, type: id ?? 7 };
  return {
    ...message,
    [name]: id === undefined ? pick(world, NO_IDS) : `${String(message[name]).slice(0, -1)}${id}`,
  };
}

function withNumber(world: HostileWorld, message: Record<string, unknown>): object {
  const names = Object.keys(message).filter(
    (name) => typeof message[name] === "number" && !world.anything.includes(name),
  );
  const name = names.length === 0 ? "type" : pick(world, names);
  return { ...message, [name]: pick(world, [-1, 0.5, 2 ** 53 + 2, -(2 ** 60), "1", null]) };
}

function below({ random }: HostileWorld, limit: number): number {
  return Math.floor(random() * limit);
}

function pick<Item>(world: HostileWorld, items: readonly Item[]): Item {
  const item = items[below(world, items.length)];
  if (item === undefined) throw new Error("Cannot pick: there is nothing");
  return item;
}
