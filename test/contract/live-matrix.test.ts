/**
 * Every live message, said or heard by everybody: walked from the protocol's own unions, so that a message that is added
 * without telling here what it looks like makes these tests fail.
 */
import { beforeAll, expect, test } from "vitest";
import { ZERO_TOTALS } from "../../schema/job.ts";
import { liveMessage } from "../../schema/live.ts";
import { agentMessage, CLOSE, PROTOCOL_VERSION, SUBPROTOCOL } from "../../schema/protocol.ts";
import { hostileFrame, WAYS } from "../hostile-frames.ts";
import {
  controlPlane,
  Line,
  makeJob,
  makeOrganization,
  registerAgent,
  ROLES,
  upgrade,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

let plane: ControlPlane;
let ours: Organization;
let theirs: Organization;
let otherKey: string;
beforeAll(async () => {
  plane = await controlPlane();
  [ours, theirs] = await Promise.all([makeOrganization(), makeOrganization()]);
  otherKey = (await registerAgent(ours.people.owner, "other")).key;
});

const AT = "2026-11-22T10:00:00.000Z";
const TOTALS = { ...ZERO_TOTALS, filesTotal: 9, filesCompleted: 9, bytesTotal: 900, bytesCompleted: 900 };
const REPORT = {
  outcome: "completed",
  error: null,
  totals: TOTALS,
  startedAt: AT,
  finishedAt: AT,
  activeMs: 1,
  verification: "chain",
  manifest: null,
};

/** Of each message an agent may say, one that fits, about a job. `eventSeq` is put in where there is one. */
const MESSAGES: Readonly<Record<string, (jobId: string) => readonly object[]>> = {
  hello: (jobId) => [
    {
      type: "hello",
      protocolMin: 1,
      protocolMax: 1,
      agentVersion: "0.9.9",
      host: "evil",
      os: "linux",
      arch: "aarch64",
      instanceId: "one",
      freeDiskBytes: 1,
      applied: { [jobId]: [1, 1] },
    },
  ],
  ready: () => [{ type: "ready" }, { type: "ready", generation: 2 }],
  key_stored: () => [{ type: "key_stored" }],
  applied: (jobId) => [
    { type: "applied", jobId, epoch: 1, rev: 1, result: "ok" },
    { type: "applied", jobId, epoch: 1, rev: 1, result: "refused", code: "x", message: "x" },
  ],
  progress: (jobId) => [
    {
      type: "progress",
      jobId,
      epoch: 1,
      seq: 99,
      phase: "running",
      totals: TOTALS,
      bytesInFlight: 0,
      bytesPerSecond: 1,
      secondsRemaining: 1,
      currentPath: "evil.txt",
    },
  ],
  event: (jobId) => [
    { type: "event", jobId, epoch: 1, at: AT, event: { kind: "phase", phase: "running", totals: TOTALS } },
    {
      type: "event",
      jobId,
      epoch: 1,
      at: AT,
      event: {
        kind: "files_failed",
        first: 5,
        failures: [{ path: "evil.txt", code: "source_denied", message: "x" }],
      },
    },
  ],
  result: (jobId) => [{ type: "result", jobId, epoch: 1, report: REPORT }],
  bye: () => [{ type: "bye", reason: "x" }],
};

/** What D1 and the object of our agent hold of our job. */
async function everythingOfJob(): Promise<unknown> {
  const ask = (table: string, column: string, id: string) =>
    plane.database.prepare(`select * from ${table} where org_id = ? and ${column} = ?`).bind(ours.orgId, id);
  const rows = await plane.database.batch([
    ask("jobs", "id", ours.jobId),
    ask("job_failures", "job_id", ours.jobId),
    ask("job_usage", "job_id", ours.jobId),
    ask("agents", "id", ours.agentId),
  ]);
  return rows.map(({ results }) => results);
}

function frame(session: number, number: number, message: object): string {
  return JSON.stringify({ v: PROTOCOL_VERSION, s: session, n: number, a: 0, m: [message] });
}

interface Spoken {
  readonly type: string;
  readonly sessionEpoch?: number;
  readonly eventSeq?: number;
}

async function hear(
  line: Line,
  type: string,
  fits: (message: Spoken) => boolean = () => true,
): Promise<Spoken> {
  return await line.next((text) =>
    (JSON.parse(text) as { m: Spoken[] }).m.find((message) => message.type === type && fits(message)),
  );
}

async function connected(key: string, jobId: string) {
  const line = await openLine(key);
  line.send(frame(0, 1, MESSAGES["hello"]?.(jobId)[0] ?? {}));
  const { sessionEpoch = 0 } = await hear(line, "welcome");
  return { line, sessionEpoch };
}

test("[L5] every message an agent may say stands here", () => {
  const types = agentMessage.options.map(({ shape }) => shape.type.value);
  expect(Object.keys(MESSAGES).sort()).toEqual(types.toSorted());
});

const STRANGERS = { "another agent of ours": () => otherKey, "an agent of theirs": () => theirs.agentKey };
for (const [who, keyOf] of Object.entries(STRANGERS)) {
  for (const type of Object.keys(MESSAGES)) {
    test(`[C1] "${type}" about our job, said by ${who}, changes nothing of it`, async () => {
      const before = await everythingOfJob();
      const { line, sessionEpoch } = await connected(keyOf(), ours.jobId);
      expect(line.texts.join()).not.toContain(ours.jobId);
      let [number, eventSeq] = [1, Date.now()];
      const say = (message: object) => {
        const numbered = ["event", "result"].includes((message as { type: string }).type);
        line.send(frame(sessionEpoch, ++number, numbered ? { ...message, eventSeq: ++eventSeq } : message));
      };
      // Numbers of events begin where the object says.
      eventSeq = heldBy(line);
      for (const message of MESSAGES[type]?.(ours.jobId) ?? []) if (type !== "hello") say(message);
      if (type !== "bye") {
        // What stands behind it is heard when it was taken.
        for (const message of MESSAGES["event"]?.(ours.jobId) ?? []) say(message);
        await hear(line, "ack", (ack) => ack.eventSeq === eventSeq);
      }
      line.close(1000);
      await line.closed;
      expect(await everythingOfJob()).toEqual(before);
    });
  }
}

function heldBy(line: Line): number {
  const [text = "{}"] = line.texts;
  const { m = [] } = JSON.parse(text) as { m?: { eventSeqHeld?: number }[] };
  return m[0]?.eventSeqHeld ?? 0;
}

test("[C1, C2] each socket opens for those it is for, and for nobody else", async () => {
  const keyOf = async (of: Organization, role: string) =>
    (await of.people.owner.post<{ key: string }>("/api/api-keys", { name: "x", role })).key;
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
  const cookie = (of: Organization, role: (typeof ROLES)[number]) => ({
    cookie: of.people[role].cookieHeader,
    origin: plane.origin,
  });
  const feed = "/api/live";
  const ofJob = `/api/live?job=${ours.jobId}`;
  const session = "/api/agent/session";
  const expected: [string, Record<string, string>, number, number, number][] = [
    ...ROLES.map((role): [string, Record<string, string>, number, number, number] => [
      `our ${role}`,
      cookie(ours, role),
      101,
      101,
      401,
    ]),
    ["their owner", cookie(theirs, "owner"), 101, 404, 401],
    ["our agent", bearer(ours.agentKey), 401, 401, 101],
    ["our other agent", bearer(otherKey), 401, 401, 101],
    ["their agent", bearer(theirs.agentKey), 401, 401, 101],
    ["our viewer's API key", bearer(await keyOf(ours, "viewer")), 403, 403, 401],
    ["our member's API key", bearer(await keyOf(ours, "member")), 403, 403, 401],
    ["our admin's API key", bearer(await keyOf(ours, "admin")), 403, 403, 401],
    ["their admin's API key", bearer(await keyOf(theirs, "admin")), 403, 403, 401],
    ["nobody", { origin: plane.origin }, 401, 401, 401],
  ];
  const wrong: string[] = [];
  for (const [who, headers, ...statuses] of expected) {
    for (const [index, path] of [feed, ofJob, session].entries()) {
      const protocol: Record<string, string> =
        path === session ? { "sec-websocket-protocol": SUBPROTOCOL } : {};
      const { status } = await upgrade(path, { ...headers, ...protocol });
      if (status !== statuses[index]) wrong.push(`${who}, ${path}: ${status}, not ${statuses[index]}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("[C1] whatever is told live is told to our own people only", async () => {
  const watch = async (of: Organization, role: (typeof ROLES)[number]) =>
    await Line.open("/api/live", { headers: { cookie: of.people[role].cookieHeader, origin: plane.origin } });
  const [own, foreign] = [await watch(ours, "viewer"), await watch(theirs, "owner")];
  const wanted = new Set(liveMessage.options.map(({ shape }) => shape.type.value));
  const { line, sessionEpoch } = await connected(ours.agentKey, ours.jobId);
  line.send(frame(sessionEpoch, 2, { type: "ready" }));
  line.send(frame(sessionEpoch, 3, { ...MESSAGES["applied"]?.(ours.jobId)[0] }));
  line.send(frame(sessionEpoch, 4, { ...MESSAGES["event"]?.(ours.jobId)[0], eventSeq: heldBy(line) + 1 }));
  line.send(frame(sessionEpoch, 5, { ...MESSAGES["progress"]?.(ours.jobId)[0] }));
  await own.next((text) => {
    for (const { type } of JSON.parse(text) as { type: "job" }[]) wanted.delete(type);
    return wanted.size === 0 ? true : undefined;
  });
  await foreign.next((text) => (text.includes('"snapshot"') ? true : undefined));
  for (const id of [ours.jobId, ours.agentId, ours.orgId]) expect(foreign.texts.join()).not.toContain(id);
  for (const one of [own, foreign, line]) one.close(1000);
});

/** `npm run frames` sends more. */
const FRAMES = Number(process.env["FRAMES"] ?? 152);
const AT_ONCE = 8;
/** Of each that speaks at once: an agent may connect so often in a minute and no oftener, so many frames need many. */
const AGENTS_EACH = Math.min(8, Math.ceil(FRAMES / 1_000));
/** A binary frame is closed with this (RFC 6455, 7.4.1). */
const UNSUPPORTED = 1003;
/** Number fields in which more than a whole number from 0 on may stand. */
const ANY_NUMBER = ["protocolMin", "protocolMax", "freeDiskBytes", "bytesPerSecond", "secondsRemaining"];

interface Hostile {
  readonly key: string;
  readonly jobId: string;
}

/** What D1 holds of an organization's jobs. */
async function jobsOf({ orgId }: Organization): Promise<unknown> {
  const ask = (table: string) =>
    plane.database.prepare(`select * from ${table} where org_id = ? order by rowid`).bind(orgId);
  const rows = await plane.database.batch(["jobs", "job_failures", "job_usage"].map(ask));
  return rows.map(({ results }) => results);
}

async function hostileAgents(of: Organization): Promise<Hostile[]> {
  const agents: Hostile[] = [];
  for (let number = 0; number < AT_ONCE * AGENTS_EACH; number++) {
    const { agentId, key } = await registerAgent(of.people.owner, `hostile ${number}`);
    const job = await makeJob(of.people.owner, { projectId: of.projectId, agentId });
    // Honest once, so that its job is confirmed, and nothing is left to be said that would change it.
    const { line } = await connected(key, job.id);
    line.close();
    await line.closed;
    agents.push({ key, jobId: job.id });
  }
  return agents;
}

/** Says one frame on a socket of its own, before or after the hub has welcomed it; resolves with how it was closed. */
async function sayHostile(
  { key, jobId }: Hostile,
  way: (typeof WAYS)[number],
  random: () => number,
): Promise<number> {
  const isWelcomed = random() < 0.5;
  const opened = isWelcomed ? await connected(key, jobId) : { line: await openLine(key), sessionEpoch: 0 };
  const { line, sessionEpoch } = opened;
  const about = (type: string) => ({ ...MESSAGES[type]?.(jobId)[0] });
  const numbered = (type: string) => ({ ...about(type), eventSeq: 1 });
  const messages = isWelcomed
    ? [...["applied", "progress", "bye"].map(about), ...["event", "result"].map(numbered)]
    : [about("hello")];
  const world = {
    random,
    session: sessionEpoch,
    number: isWelcomed ? 2 : 1,
    messages,
    anything: ANY_NUMBER,
  };
  line.send(hostileFrame(world, way));
  // What nobody knows is passed over in silence; this is not.
  line.send("{}");
  return await line.closed;
}

async function openLine(key: string): Promise<Line> {
  const headers = { authorization: `Bearer ${key}` };
  return await Line.open("/api/agent/session", { headers, protocols: [SUBPROTOCOL] });
}

test(
  `[L5] whatever an agent says that no agent says, the hub takes nothing of it, wakes nobody and stays whole (${FRAMES} frames)`,
  { timeout: 60_000 + FRAMES * 100 },
  async () => {
    const host = await makeOrganization();
    const agents = await hostileAgents(host);
    const before = {
      own: await jobsOf(host),
      foreign: await jobsOf(theirs),
      wakes: await plane.wakes(theirs.agentId),
    };
    const random = seeded(Number(process.env["SEED"] ?? 1));
    const wrong: string[] = [];
    let said = 0;
    const sayAll = async (own: readonly Hostile[]) => {
      while (said < FRAMES) {
        const way = WAYS[said % WAYS.length];
        const agent = own[said++ % own.length];
        if (agent === undefined || way === undefined) return;
        const code = await sayHostile(agent, way, random);
        if (code !== CLOSE.protocol && code !== UNSUPPORTED) wrong.push(`${way}: closed with ${code}`);
      }
    };
    const shares = Array.from({ length: AT_ONCE }, (_, one) =>
      agents.slice(one * AGENTS_EACH, (one + 1) * AGENTS_EACH),
    );
    await Promise.all(shares.map(sayAll));
    expect(wrong).toEqual([]);
    expect(await jobsOf(host)).toEqual(before.own);
    expect(await jobsOf(theirs)).toEqual(before.foreign);
    expect(await plane.wakes(theirs.agentId)).toEqual(before.wakes);
    expect(plane.logs().filter((line) => line.includes("frame_failed"))).toEqual([]);
    // Each is as good as before.
    for (const { key, jobId } of agents) {
      const { line, sessionEpoch } = await connected(key, jobId);
      line.send(frame(sessionEpoch, 2, { ...MESSAGES["event"]?.(jobId)[0], eventSeq: 1 }));
      await hear(line, "ack", ({ eventSeq }) => eventSeq === 1);
      line.close();
    }
  },
);

/** Mulberry32: the same seed draws the same numbers. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
