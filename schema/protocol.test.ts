import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { desiredState, NOTE_CODES, transferOptions, type TransferOptions } from "./job.ts";
import {
  agentMessage,
  envelope,
  FRAME_BYTES_MAX,
  hubMessage,
  MESSAGES_PER_FRAME_MAX,
  PROTOCOL_VERSION,
  ProtocolError,
  readAgentFrame,
  readHubFrame,
  waiting,
} from "./protocol.ts";

const EXAMPLES = join(import.meta.dirname, "examples");

interface Example {
  readonly name: string;
  readonly text: string;
  readonly messages: readonly { readonly type: string; readonly event?: { readonly kind: string } }[];
}

function examplesOf(version: number, side: "agent" | "hub"): Example[] {
  const folder = join(EXAMPLES, `v${version}`);
  return readdirSync(folder)
    .filter((name) => name.startsWith(`${side}-`))
    .map((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      return { name, text, messages: (JSON.parse(text) as { m: Example["messages"] }).m };
    });
}

describe("examples", () => {
  const versions = readdirSync(EXAMPLES).map((folder) => Number(folder.slice(1)));

  test("[L10] there is a folder of examples for each version up to the present one", () => {
    expect(versions).toContain(PROTOCOL_VERSION);
  });

  for (const version of versions) {
    for (const { name, text, messages } of examplesOf(version, "agent")) {
      test(`[L10] the hub still reads v${version}/${name}, and loses nothing of it`, () => {
        expect(readAgentFrame(text).messages).toMatchObject(messages);
      });
    }
    for (const { name, text, messages } of examplesOf(version, "hub")) {
      test(`[L10] an agent still reads v${version}/${name}, and loses nothing of it`, () => {
        expect(readHubFrame(text).messages).toMatchObject(messages);
      });
    }
  }

  const textOf = (name: string) => readFileSync(join(EXAMPLES, name), "utf8");

  test("[L10] what an agent does not say yet counts as nothing done and nothing waited for", () => {
    for (const name of ["v1/agent-progress.json", "v1/agent-event-phase.json", "v1/agent-result.json"]) {
      expect(textOf(name)).not.toContain("filesReadBack");
      const [message] = readAgentFrame(textOf(name)).messages;
      const totals = { filesReadBack: 0, filesDeleted: 0 };
      expect(message).toMatchObject(
        { progress: { totals }, event: { event: { totals } }, result: { report: { totals } } }[
          message?.type as "progress" | "event" | "result"
        ],
      );
      expect(message).not.toHaveProperty("waiting");
      expect(message).not.toHaveProperty("event.preview");
      expect(message).not.toHaveProperty("report.notes");
    }
  });

  test("[L10] what a hub does not say yet leaves source and destination as they are, and the line free", () => {
    expect(textOf("v1/hub-desired.json")).not.toContain("deletion");
    expect(readHubFrame(textOf("v1/hub-desired.json")).messages).toMatchObject([
      {
        config: {
          options: {
            readbackPercent: 0,
            archived: "skip",
            bandwidthMbps: null,
            deletion: null,
            repetition: null,
          },
          schedule: null,
        },
      },
    ]);
  });

  test("[L10] every wish, every reason to wait and every option has an example", () => {
    const heard = examplesOf(PROTOCOL_VERSION, "agent").flatMap(({ text }) => readAgentFrame(text).messages);
    const reasons = heard.flatMap((message) =>
      message.type === "progress" && message.waiting ? [message.waiting.reason] : [],
    );
    expect(reasons.sort()).toEqual([...waiting.shape.reason.options].sort());
    const all = examplesOf(PROTOCOL_VERSION, "hub").flatMap(({ text }) => readHubFrame(text).messages);
    const wishes = all.flatMap((message) =>
      message.type === "desired" ? [message] : message.type === "welcome" ? message.desired : [],
    );
    const said = (read: (wish: (typeof wishes)[number]) => unknown) =>
      new Set(wishes.map((wish) => JSON.stringify(read(wish))));
    expect([...said(({ state }) => state)].sort()).toEqual(
      desiredState.options.map((state) => JSON.stringify(state)).sort(),
    );
    for (const option of Object.keys(transferOptions.shape) as (keyof TransferOptions)[]) {
      const usual = JSON.stringify(transferOptions.parse({})[option]);
      const values = said(({ config }) => config.options[option]);
      expect([option, [...values].some((value) => value !== usual)]).toEqual([option, true]);
    }
    expect([...said(({ config }) => config.schedule)].some((schedule) => schedule !== "null")).toBe(true);
  });

  test("[L10] every note a report can hold has an example, and one that nobody knows yet is kept as it is", () => {
    const text = textOf("v1/agent-result-notes.json");
    const said = (of: string) =>
      readAgentFrame(of).messages.flatMap((message) =>
        message.type === "result" ? (message.report.notes ?? []).map(({ code }) => code) : [],
      );
    expect(said(text).sort()).toEqual([...NOTE_CODES].sort());
    expect(said(text.replace("source_empty", "of_next_year"))).toContain("of_next_year");
  });

  test("[L10] every kind of message an agent can say has an example", () => {
    const messages = examplesOf(PROTOCOL_VERSION, "agent").flatMap((example) => example.messages);
    const said = new Set(
      messages.map(({ type, event }) => (event === undefined ? type : `${type}/${event.kind}`)),
    );
    const known = agentMessage.options.flatMap((option): string[] => {
      const type = option.shape.type.value;
      if (!("event" in option.shape)) return [type];
      return option.shape.event.options.map((event) => `${type}/${event.shape.kind.value}`);
    });
    expect([...said].sort()).toEqual(known.sort());
  });

  test("[L10] every kind of message a hub can say has an example", () => {
    const said = new Set(
      examplesOf(PROTOCOL_VERSION, "hub").flatMap(({ messages }) => messages.map(({ type }) => type)),
    );
    expect([...said].sort()).toEqual(hubMessage.options.map((option) => option.shape.type.value).sort());
  });
});

function frame(messages: unknown, more: Record<string, unknown> = {}): string {
  return JSON.stringify({ v: 1, s: 1, n: 1, a: 0, m: messages, ...more });
}

describe("reading", () => {
  test("[L10] a message type nobody knows yet is left out, and the rest of the frame is read", () => {
    const read = readAgentFrame(
      frame([
        { type: "lease", jobId: 7 },
        { type: "bye", reason: "stopping" },
      ]),
    );
    expect(read.messages).toEqual([{ type: "bye", reason: "stopping" }]);
  });

  test("[L10] a field nobody knows yet does no harm, in the envelope and in a message", () => {
    const read = readHubFrame(frame([{ type: "report_rate", seconds: 5, jitter: 2 }], { z: "new" }));
    expect(read.messages).toEqual([{ type: "report_rate", seconds: 5 }]);
  });

  test.each([
    ["nothing", ""],
    ["text that is not JSON", "hello"],
    ["a heartbeat", "p"],
    ["null", "null"],
    ["a list", "[]"],
    ["a number", "1"],
    ["no version", JSON.stringify({ s: 1, n: 1, a: 0, m: [] })],
    ["a version of zero", frame([], { v: 0 })],
    ["a version in quotes", frame([], { v: "1" })],
    ["a negative session", frame([], { s: -1 })],
    ["a fraction as session", frame([], { s: 1.5 })],
    ["a frame number of zero", frame([], { n: 0 })],
    ["a frame number beyond what can be counted", frame([], { n: 2 ** 53 })],
    ["no messages", frame(undefined)],
    ["messages that are not a list", frame({ type: "ready" })],
    ["a message that is a text", frame(["ready"])],
    ["a message that is null", frame([null])],
    ["a message without a type", frame([{ jobId: "job_1" }])],
    ["a message whose type is a number", frame([{ type: 1 }])],
    ["a known message without its fields", frame([{ type: "progress" }])],
    ["a good message before a bad one", frame([{ type: "ready" }, { type: "bye", reason: 1 }])],
    [
      "a job id of another kind",
      frame([{ type: "applied", jobId: "agt_01kaqt4h2r5t8y1p3s6v9b2n4m", epoch: 1, rev: 1, result: "ok" }]),
    ],
    [
      "an epoch of zero",
      frame([{ type: "applied", jobId: "job_01kaqt5n8v3m9w2x7c4d6e8f0g", epoch: 0, rev: 1, result: "ok" }]),
    ],
    ["prototype keys", '{"__proto__":{"v":1,"s":1,"n":1,"a":0,"m":[]}}'],
    ["very deep nesting", `${"[".repeat(50_000)}${"]".repeat(50_000)}`],
  ])("[L5] %s is refused as a breach of the protocol", (_what, text) => {
    expect(() => readAgentFrame(text)).toThrow(ProtocolError);
  });

  test("[L5] negative, fractional and lacking totals are refused", () => {
    const [example] = examplesOf(1, "agent").filter(({ name }) => name === "agent-progress.json");
    const progress = example?.messages[0] as { type: string; totals?: Record<string, number> };
    for (const bad of [-1, 0.5, 2 ** 53, "1", null, undefined]) {
      const totals = { ...progress.totals, bytesSent: bad };
      expect(() => readAgentFrame(frame([{ ...progress, totals }]))).toThrow(ProtocolError);
    }
  });

  test("[L5] a frame of the longest size is read, one byte more is refused", () => {
    const empty = frame([{ type: "bye", reason: "x" }], { pad: "" });
    const longest = frame([{ type: "bye", reason: "x" }], {
      pad: "a".repeat(FRAME_BYTES_MAX - empty.length),
    });
    expect(readAgentFrame(longest).messages).toHaveLength(1);
    expect(() => readAgentFrame(longest.replace('"pad":"', '"pad":"a'))).toThrow(ProtocolError);
  });

  test.each([
    ["ü", 2],
    ["€", 3],
    ["😀", 4],
  ])("[L5] the limit counts bytes, so %s counts as %i", (character, bytes) => {
    const empty = frame([], { pad: "" });
    const fitting = Math.floor((FRAME_BYTES_MAX - empty.length) / bytes);
    expect(readAgentFrame(frame([], { pad: character.repeat(fitting) })).messages).toEqual([]);
    expect(() => readAgentFrame(frame([], { pad: character.repeat(fitting + 1) }))).toThrow(ProtocolError);
  });

  test("[L5] more messages than a frame may hold are refused", () => {
    const messages = Array.from({ length: MESSAGES_PER_FRAME_MAX }, () => ({ type: "ready" }));
    expect(readAgentFrame(frame(messages)).messages).toHaveLength(MESSAGES_PER_FRAME_MAX);
    expect(() => readAgentFrame(frame([...messages, { type: "ready" }]))).toThrow(ProtocolError);
  });

  test("[L5] what a hub says is no message of an agent, and is left out", () => {
    for (const { text } of examplesOf(1, "hub")) {
      expect(envelope.safeParse(JSON.parse(text)).success).toBe(true);
      expect(readAgentFrame(text).messages).toEqual([]);
    }
  });
});
