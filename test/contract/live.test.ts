/** The live path: a scripted agent and a viewer at real objects, and what of it is in D1. */
import type { Duplex } from "node:stream";
import { beforeAll, describe, expect, test } from "vitest";
import type { liveMessage } from "../../schema/live.ts";
import { LIVE_UNREAD_MAX } from "../../schema/live-window.ts";
import {
  PROTOCOL_VERSION,
  readHubFrame,
  SUBPROTOCOL,
  type AgentMessage,
  type Desired,
  type HubMessage,
} from "../../schema/protocol.ts";
import type * as z from "zod";
import {
  asMachine,
  controlPlane,
  Line,
  makeJob,
  makeOrganization,
  registerAgent,
  unique,
  upgrade,
  type Browser,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

type LiveMessage = z.infer<typeof liveMessage>;

let plane: ControlPlane;
let org: Organization;
let owner: Browser;
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
  ({ owner } = org.people);
});

const HELLO = {
  type: "hello",
  protocolMin: 1,
  protocolMax: 1,
  agentVersion: "0.9.9",
  host: "fs02",
  os: "linux",
  arch: "aarch64",
  instanceId: "one",
  freeDiskBytes: 1_000,
} as const;

/** An agent at the other end of a real socket, which says what the test wants. */
class ScriptedAgent {
  readonly line: Line;
  #session = 0;
  #sent = 0;
  #received = 0;

  constructor(line: Line) {
    this.line = line;
  }

  static async connect(key: string): Promise<ScriptedAgent> {
    const headers = { authorization: `Bearer ${key}` };
    return new ScriptedAgent(await Line.open("/api/agent/session", { headers, protocols: [SUBPROTOCOL] }));
  }

  /** Connects and says hello. */
  static async welcomed(key: string, applied: Record<string, [number, number]> = {}) {
    const agent = await ScriptedAgent.connect(key);
    return { agent, welcome: await agent.hello(applied) };
  }

  async hello(
    applied: Record<string, [number, number]> = {},
  ): Promise<Extract<HubMessage, { type: "welcome" }>> {
    this.say({ ...HELLO, applied });
    const welcome = await this.hear("welcome");
    this.#session = welcome.sessionEpoch;
    return welcome;
  }

  say(...messages: AgentMessage[]): void {
    const frame = { v: PROTOCOL_VERSION, s: this.#session, n: ++this.#sent, a: this.#received, m: messages };
    this.line.send(JSON.stringify(frame));
  }

  async hear<Type extends HubMessage["type"]>(
    type: Type,
    fits: (message: Extract<HubMessage, { type: Type }>) => boolean = () => true,
  ): Promise<Extract<HubMessage, { type: Type }>> {
    return await this.line.next((text) => {
      if (text === "q") return undefined;
      const { envelope, messages } = readHubFrame(text);
      this.#received = envelope.n;
      return messages.find(
        (message): message is Extract<HubMessage, { type: Type }> =>
          message.type === type && fits(message as Extract<HubMessage, { type: Type }>),
      );
    });
  }
}

/** A final text frame as a client sends it, masked with zeros; for texts of less than 64 KiB. */
function textFrame(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = Buffer.from([0x81, 0x80 | 126, 0, 0, 0, 0, 0, 0]);
  head.writeUInt16BE(bytes.length, 2);
  return Buffer.concat([head, bytes]);
}

async function watch(path: string, browser = owner): Promise<Line> {
  return await Line.open(path, { headers: { cookie: browser.cookieHeader, origin: plane.origin } });
}

async function see(line: Line, fits: (message: LiveMessage) => boolean): Promise<LiveMessage> {
  return await line.next((text) => {
    return (JSON.parse(text) as LiveMessage[]).find(fits);
  });
}

const isAt = (jobId: string, filesCompleted: number) => (message: LiveMessage) =>
  message.type === "job" &&
  message.job.jobId === jobId &&
  message.job.totals.filesCompleted === filesCompleted;

async function seeJob(line: Line, expected: object): Promise<void> {
  const message = await see(line, ({ type }) => type === "job");
  expect(message).toMatchObject({ job: expected });
}

const run = (sql: string, ...values: unknown[]) =>
  plane.database
    .prepare(sql)
    .bind(...values)
    .run();
const jobRow = (id: string) =>
  plane.database.prepare("select * from jobs where id = ?").bind(id).first<Record<string, unknown>>();
const agentRow = (id: string) =>
  plane.database.prepare("select * from agents where id = ?").bind(id).first<Record<string, unknown>>();

/** Asks until it is so: presence is written behind the answer. */
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`It never came to this: ${what}`);
}

const TOTALS = {
  filesTotal: 10,
  filesCompleted: 4,
  filesFailed: 1,
  filesSkipped: 1,
  filesVerified: 4,
  filesReadBack: 3,
  filesDeleted: 2,
  bytesTotal: 1_000,
  bytesCompleted: 400,
  bytesFailed: 100,
  bytesSkipped: 50,
  bytesSent: 450,
};
const AT = "2026-11-22T09:00:00.000Z";

const applied = ({ jobId, epoch, rev }: Pick<Desired, "jobId" | "epoch" | "rev">): AgentMessage => ({
  type: "applied",
  jobId,
  epoch,
  rev,
  result: "ok",
});
const phase = (
  jobId: string,
  eventSeq: number,
  name: "scanning" | "running" | "paused",
  more = {},
): AgentMessage => ({
  type: "event",
  eventSeq,
  jobId,
  epoch: 1,
  at: AT,
  event: { kind: "phase", phase: name, totals: { ...TOTALS, filesCompleted: 0 } },
  ...more,
});
const failed = (
  jobId: string,
  eventSeq: number,
  first: number,
  paths: string[],
  more = {},
): AgentMessage => ({
  type: "event",
  eventSeq,
  jobId,
  epoch: 1,
  at: AT,
  event: {
    kind: "files_failed",
    first,
    failures: paths.map((path) => ({ path, code: "source_denied", message: "denied" })),
  },
  ...more,
});
const progress = (jobId: string, seq: number, filesCompleted: number): AgentMessage => ({
  type: "progress",
  jobId,
  epoch: 1,
  seq,
  phase: "running",
  totals: { ...TOTALS, filesCompleted },
  bytesInFlight: 5,
  bytesPerSecond: 100,
  secondsRemaining: 6,
  currentPath: "a.bin",
});
const result = (
  jobId: string,
  eventSeq: number,
  outcome: "completed" | "failed",
  more = {},
): AgentMessage => ({
  type: "result",
  eventSeq,
  jobId,
  epoch: 1,
  report: {
    outcome,
    error:
      outcome === "failed"
        ? { code: "DESTINATION_DENIED", message: "The storage account denies access" }
        : null,
    totals: { ...TOTALS, filesCompleted: 8 },
    startedAt: AT,
    finishedAt: AT,
    activeMs: 5,
    verification: "chain",
    manifest: null,
  },
  ...more,
});

/** A fresh agent, connected, with one job that is running. */
async function running(): Promise<{ agent: ScriptedAgent; agentId: string; key: string; jobId: string }> {
  const { agentId, key } = await registerAgent(owner, `agent ${unique()}`);
  const { id: jobId } = await makeJob(owner, { projectId: org.projectId, agentId });
  const { agent, welcome } = await ScriptedAgent.welcomed(key);
  expect(welcome.desired).toMatchObject([{ jobId, epoch: 1, rev: 1, state: "run" }]);
  agent.say({ type: "ready" }, applied({ jobId, epoch: 1, rev: 1 }), phase(jobId, 1, "running"));
  await agent.hear("ack", ({ eventSeq }) => eventSeq === 1);
  return { agent, agentId, key, jobId };
}

describe("from the first word to the report", () => {
  test("[L1] [L2] [L8] [L11] a job goes its whole way: wish, confirmation, phases, progress seen, failures, result", async () => {
    const { agentId, key } = await registerAgent(owner, "whole way");
    const { agent, welcome } = await ScriptedAgent.welcomed(key);
    expect(welcome).toMatchObject({
      agentId,
      sessionEpoch: 1,
      eventSeqHeld: 0,
      desired: [],
      reportSeconds: 15,
    });
    expect(await agentRow(agentId)).toMatchObject({
      status: "online",
      host: "fs02",
      arch: "aarch64",
      version: "0.9.9",
      free_disk_bytes: 1_000,
    });

    const { id: jobId } = await makeJob(owner, { projectId: org.projectId, agentId, name: "Whole way" });
    const desired = await agent.hear("desired");
    expect(desired).toMatchObject({
      jobId,
      epoch: 1,
      rev: 1,
      state: "run",
      config: {
        name: "Whole way",
        source: { kind: "local", path: "/srv/files" },
        destination: { container: org.container },
      },
    });
    agent.say(applied(desired), phase(jobId, 1, "scanning"));
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 1);
    expect(await owner.get(`/api/jobs/${jobId}`)).toMatchObject({
      status: "scanning",
      appliedRev: 1,
      startedAt: AT,
      agentStatus: "online",
    });

    const viewer = await watch(`/api/live?job=${jobId}`);
    expect(JSON.parse(await viewer.next((text) => text))).toMatchObject([
      { type: "snapshot", jobs: [{ jobId, status: "scanning", agentOnline: true }] },
    ]);
    expect((await agent.hear("report_rate")).seconds).toBe(1);

    agent.say(phase(jobId, 2, "running"), progress(jobId, 1, 3));
    await seeJob(viewer, { status: "running" });
    await seeJob(viewer, {
      status: "running",
      totals: { filesCompleted: 3 },
      bytesInFlight: 5,
      bytesPerSecond: 100,
      currentPath: "a.bin",
    });
    expect((await agent.hear("ack")).progress).toEqual({ [jobId]: 1 });

    agent.say(failed(jobId, 3, 0, ["one.txt", "two.txt"]), result(jobId, 4, "completed"));
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 4);
    await seeJob(viewer, { status: "completed", totals: { filesCompleted: 8 }, bytesPerSecond: 0 });
    expect(await owner.get(`/api/jobs/${jobId}`)).toMatchObject({
      status: "completed",
      totals: { ...TOTALS, filesCompleted: 8 },
      report: { outcome: "completed", verification: "chain" },
      finishedAt: expect.any(String),
    });
    expect(await owner.get(`/api/jobs/${jobId}/failures`)).toMatchObject({
      items: [{ path: "one.txt" }, { path: "two.txt" }],
    });
    expect(await plane.objectRows(agentId, "select * from desired")).toEqual([]);
    viewer.close();
    agent.line.close(1000);
  });

  test("[C9] pause, resume and cancel reach the agent, and a viewer sees the cancel before the agent has confirmed it", async () => {
    const { agent, jobId } = await running();
    const viewer = await watch(`/api/live?job=${jobId}`);
    for (const [action, state, rev] of [
      ["pause", "pause", 2],
      ["resume", "run", 3],
      ["cancel", "cancel", 4],
    ] as const) {
      await owner.post(`/api/jobs/${jobId}/${action}`);
      expect(await agent.hear("desired", (desired) => desired.rev === rev)).toMatchObject({ jobId, state });
    }
    await see(viewer, (message) => message.type === "job" && message.job.status === "cancelled");
    expect(await jobRow(jobId)).toMatchObject({ status: "cancelled", applied_rev: 1 });
    agent.say(applied({ jobId, epoch: 1, rev: 4 }), result(jobId, 2, "completed"));
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 2);
    expect(await jobRow(jobId)).toMatchObject({
      status: "cancelled",
      applied_rev: 4,
      files_completed: 8,
      error: null,
    });
    const before = await jobRow(jobId);
    agent.say(result(jobId, 3, "failed"));
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 3);
    expect(await jobRow(jobId)).toEqual(before);
  });

  test("[C15] a wish to finish reaches the agent, and the job is completed by its result", async () => {
    const { agentId, key } = await registerAgent(owner, `agent ${unique()}`);
    const { id: jobId } = await makeJob(owner, { projectId: org.projectId, agentId, type: "sync" });
    const { agent } = await ScriptedAgent.welcomed(key);
    agent.say(applied({ jobId, epoch: 1, rev: 1 }), phase(jobId, 1, "running"));
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 1);
    const viewer = await watch(`/api/live?job=${jobId}`);
    await owner.post(`/api/jobs/${jobId}/finish`);
    expect(await agent.hear("desired")).toMatchObject({ jobId, epoch: 1, rev: 2, state: "finish" });
    await seeJob(viewer, { status: "running", desiredState: "finish" });
    agent.say(applied({ jobId, epoch: 1, rev: 2 }), result(jobId, 2, "completed"));
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 2);
    await seeJob(viewer, { status: "completed" });
    expect(await owner.get(`/api/jobs/${jobId}`)).toMatchObject({ status: "completed", appliedRev: 2 });
    viewer.close();
  });

  test("[C14] a changed limit and a changed schedule reach the agent, in the same epoch, also if the word was lost", async () => {
    const { clientId, connectionId, container } = org;
    const storage = { connectionId, container };
    const fields = { clientId, type: "file_migration", name: "Limited", storage };
    const { id: projectId } = await owner.post<{ id: string }>("/api/projects", fields);
    const { agentId, key } = await registerAgent(owner, `agent ${unique()}`);
    const { id: jobId } = await makeJob(owner, { projectId, agentId });
    const { agent, welcome } = await ScriptedAgent.welcomed(key);
    agent.say(applied({ jobId, epoch: 1, rev: 1 }));
    const first = welcome.desired[0]?.config;
    expect(first).toMatchObject({ options: { bandwidthMbps: null }, schedule: null });
    const heard = async (rev: number) => {
      const wish = await agent.hear("desired", (desired) => desired.rev === rev);
      agent.say(applied(wish));
      return wish;
    };

    await owner.patch(`/api/jobs/${jobId}`, { bandwidthMbps: 20 });
    const options = { ...first?.options, bandwidthMbps: 20 };
    expect(await heard(2)).toMatchObject({ epoch: 1, state: "run", config: { ...first, options } });

    const bandwidthSchedule = { timeZone: "UTC", windows: [], insideMbps: null, outsideMbps: 5 };
    await owner.patch(`/api/projects/${projectId}`, { bandwidthSchedule });
    const config = { ...first, options, schedule: bandwidthSchedule };
    expect(await heard(3)).toMatchObject({ epoch: 1, state: "run", config });

    await run("update jobs set desired_rev = 4, updated_at = updated_at - 60000 where id = ?", jobId);
    await run("update projects set bandwidth_schedule = null where id = ?", projectId);
    await plane.sweep();
    expect(await heard(4)).toMatchObject({ epoch: 1, config: { ...config, schedule: null } });
  });

  test("[L12] the largest config with the largest schedule fits into a frame", async () => {
    const { clientId, connectionId, container } = org;
    const window = { days: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from: "18:00", to: "06:00" };
    const { id: projectId } = await owner.post<{ id: string }>("/api/projects", {
      clientId,
      type: "file_migration",
      name: "Large",
      storage: { connectionId, container },
      bandwidthSchedule: {
        timeZone: "America/Argentina/ComodRivadavia",
        windows: Array.from({ length: 20 }, () => window),
        outsideMbps: 99_999.999,
      },
    });
    const { agentId, key } = await registerAgent(owner, `agent ${unique()}`);
    const exclude = Array.from({ length: 126 }, () => "€".repeat(512));
    const { id: jobId } = await makeJob(owner, { projectId, agentId, options: { filters: { exclude } } });
    const tooMany = { filters: { exclude: [...exclude, "€".repeat(512)] } };
    await expect(makeJob(owner, { projectId, agentId, options: tooMany })).rejects.toThrow(/too long/);
    const { agent } = await ScriptedAgent.welcomed(key);
    expect((await agent.hear("desired")).jobId).toBe(jobId);
  });

  test("[L8] the organization's feed shows all active jobs first, then each as it changes, and makes agents report", async () => {
    const other = await makeOrganization();
    const { agent, jobId } = await running();
    const [feed, foreign] = [await watch("/api/live"), await watch("/api/live", other.people.viewer)];
    const snapshot = await see(feed, ({ type }) => type === "snapshot");
    const jobIds = snapshot.type === "snapshot" ? snapshot.jobs.map((job) => job.jobId) : [];
    expect(jobIds).toContain(jobId);
    expect(jobIds).not.toContain(other.jobId);
    expect((await agent.hear("report_rate")).seconds).toBe(1);
    agent.say(progress(jobId, 1, 5));
    await see(feed, isAt(jobId, 5));
    expect(foreign.texts.join()).not.toContain(jobId);

    agent.say(result(jobId, 2, "completed"));
    await see(
      feed,
      (message) =>
        message.type === "job" && message.job.jobId === jobId && message.job.status === "completed",
    );
    const next = await watch("/api/live");
    expect(await next.next((text) => text)).not.toContain(jobId);
    feed.close();
    next.close();
    foreign.close();
  });

  test("[L21] a viewer that reads nothing is sent so much and no more, and the newest when it has read", async () => {
    const { agent, jobId } = await running();
    const [viewer, feed] = [await watch(`/api/live?job=${jobId}`), await watch("/api/live")];
    await Promise.all([viewer, feed].map((line) => see(line, ({ type }) => type === "snapshot")));
    const last = 3 * LIVE_UNREAD_MAX.frames;
    for (let seq = 1; seq <= last; seq++) {
      agent.say(progress(jobId, seq, seq));
      await agent.hear("ack", ({ progress: acked }) => acked?.[jobId] === seq);
    }
    expect(feed.texts.length).toBeLessThanOrEqual(LIVE_UNREAD_MAX.frames);
    feed.send(`r${LIVE_UNREAD_MAX.frames}`);
    await see(feed, isAt(jobId, last));
    expect(viewer.texts).toHaveLength(LIVE_UNREAD_MAX.frames);
    viewer.send("r8");
    await see(viewer, isAt(jobId, last));
    expect(viewer.texts).toHaveLength(LIVE_UNREAD_MAX.frames + 1);
    agent.say(progress(jobId, last + 1, last + 1));
    await see(viewer, isAt(jobId, last + 1));
    for (const line of [viewer, feed]) line.close();
  });

  test("[L8] a job whose end the feed never heard of is not shown to the next viewer as running", async () => {
    const { agent, jobId } = await running();
    agent.say(progress(jobId, 1, 5));
    await agent.hear("ack");
    await run("update jobs set status = 'completed' where id = ?", jobId);
    const feed = await watch("/api/live");
    expect(await feed.next((text) => text)).not.toContain(jobId);
    feed.close();
  });
});

describe("waking and sweeping", () => {
  test("[L9] the heartbeat is answered by the platform, also while the object is not in memory", async () => {
    const { agent, agentId, jobId } = await running();
    await plane.hibernate(agentId);
    for (let beats = 0; beats < 20; beats++) {
      agent.line.send("p");
      expect(await agent.line.next((text) => text)).toBe("q");
    }
    // Asleep or awake, the socket still is the agent's, and its numbers go on.
    agent.say(phase(jobId, 2, "paused"));
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 2);
    expect(await jobRow(jobId)).toMatchObject({ status: "paused" });
  });

  test("[L9] a viewer's heartbeat is answered as well", async () => {
    const viewer = await watch("/api/live");
    viewer.send("p");
    expect(await viewer.next((text) => (text === "q" ? text : undefined))).toBe("q");
    viewer.close();
  });

  test("[L2] between any two frames the object may be evicted, and nothing is lost or taken twice", async () => {
    const { agent, agentId, jobId } = await running();
    const viewer = await watch(`/api/live?job=${jobId}`);
    for (let number = 0; number < 6; number++) {
      await plane.hibernate(agentId);
      agent.say(failed(jobId, number + 2, number, [`${number}.txt`]), progress(jobId, number + 1, number));
      await agent.hear("ack", ({ eventSeq }) => eventSeq === number + 2);
      await seeJob(viewer, { totals: { filesCompleted: number } });
    }
    const { items } = await owner.get<{ items: { path: string }[] }>(`/api/jobs/${jobId}/failures`);
    expect(items.map(({ path }) => path)).toEqual(["0.txt", "1.txt", "2.txt", "3.txt", "4.txt", "5.txt"]);
    viewer.close();
  });

  test("[L1] a wish whose word to the object was lost is said by the sweep", async () => {
    const { agent, jobId } = await running();
    await run(
      "update jobs set desired_state = 'pause', desired_rev = 2, updated_at = updated_at - 60000 where id = ?",
      jobId,
    );
    await plane.sweep();
    expect(await agent.hear("desired")).toMatchObject({ jobId, rev: 2, state: "pause" });
  });

  test("[L1] the sweep leaves alone what is confirmed, and what was wished a moment ago", async () => {
    const { agent, jobId } = await running();
    await run(
      "update jobs set desired_state = 'pause', desired_rev = 2, updated_at = ? where id = ?",
      Date.now(),
      jobId,
    );
    await plane.sweep();
    agent.say(progress(jobId, 1, 1));
    await agent.hear("ack");
    expect(agent.line.texts.join()).not.toContain('"rev":2');
  });

  test("[L1] a wish for an agent that is away is in its next welcome", async () => {
    const { agent, key, jobId } = await running();
    agent.line.close(1000);
    await agent.line.closed;
    await owner.post(`/api/jobs/${jobId}/pause`);
    const { welcome } = await ScriptedAgent.welcomed(key, { [jobId]: [1, 1] });
    expect(welcome.desired).toMatchObject([{ jobId, rev: 2, state: "pause" }]);
  });
});

describe("sessions", () => {
  test("[L4] a second socket supersedes the first, which is closed with 4001", async () => {
    const { agent, agentId, key, jobId } = await running();
    const { agent: newer, welcome } = await ScriptedAgent.welcomed(key, { [jobId]: [1, 1] });
    expect(welcome).toMatchObject({ sessionEpoch: 2, eventSeqHeld: 1 });
    expect(await agent.line.closed).toBe(4001);
    newer.say(phase(jobId, 2, "paused"));
    await newer.hear("ack", ({ eventSeq }) => eventSeq === 2);
    expect(await jobRow(jobId)).toMatchObject({ status: "paused" });
    expect(await agentRow(agentId)).toMatchObject({ status: "online" });
  });

  test("[L4] what a superseded socket still says changes nothing", async () => {
    const { agentId, key } = await registerAgent(owner, "superseded");
    const { id: jobId } = await makeJob(owner, { projectId: org.projectId, agentId });
    // By hand, because a proper client says nothing more once it has read the close.
    const opened = Promise.withResolvers<Duplex>();
    const headers = { authorization: `Bearer ${key}`, "sec-websocket-protocol": SUBPROTOCOL };
    await upgrade("/api/agent/session", headers, opened.resolve);
    const older = await opened.promise;
    const say = (s: number, n: number, message: object) =>
      older.write(textFrame(JSON.stringify({ v: PROTOCOL_VERSION, s, n, a: 0, m: [message] })));
    say(0, 1, { ...HELLO, applied: {} });
    await until("the older one is welcome", async () => (await agentRow(agentId))?.["status"] === "online");
    say(1, 2, failed(jobId, 1, 0, ["in-time.txt"]));
    const failures = async () => (await owner.get<{ items: unknown[] }>(`/api/jobs/${jobId}/failures`)).items;
    await until("it is heard", async () => (await failures()).length === 1);

    const newer = await ScriptedAgent.connect(key);
    say(1, 3, failed(jobId, 2, 1, ["too-late.txt"]));
    for (let trips = 0; trips < 20; trips++) await plane.objectRows(agentId, "select * from session");
    expect((await newer.hello()).eventSeqHeld).toBe(1);
    expect(await failures()).toMatchObject([{ path: "in-time.txt" }]);
    older.destroy();
  });

  test.each([
    ["that is not JSON", "{"],
    ["of another version", '{"v":2,"s":1,"n":9,"a":0,"m":[]}'],
    ["of another session", '{"v":1,"s":7,"n":9,"a":0,"m":[]}'],
    ["that is too long", `{"v":1,"s":1,"n":9,"a":0,"m":[],"pad":"${"x".repeat(300_000)}"}`],
  ])("[L5] a frame %s closes the socket with 4008", async (_what, text) => {
    const { agent } = await running();
    agent.line.send(text);
    expect(await agent.line.closed).toBe(4008);
  });

  test("[L5] a message before hello closes the socket and changes nothing", async () => {
    const { key, agentId } = await registerAgent(owner, "hasty");
    const agent = await ScriptedAgent.connect(key);
    agent.say({ type: "ready" });
    expect(await agent.line.closed).toBe(4008);
    expect(await agentRow(agentId)).toMatchObject({ status: "offline" });
  });

  test("[L6] after a good-bye the agent is offline, and whoever watches sees it", async () => {
    const { agent, agentId, jobId } = await running();
    const viewer = await watch(`/api/live?job=${jobId}`);
    agent.say({ type: "bye", reason: "stopping" });
    agent.line.close(1000);
    expect(await see(viewer, ({ type }) => type === "agent")).toEqual({
      type: "agent",
      agentId,
      online: false,
    });
    expect(await agentRow(agentId)).toMatchObject({ status: "offline" });
    viewer.close();
  });

  test("[L6] after any other close the agent is still online, and an alarm waits 90 seconds", async () => {
    const { agent, agentId } = await running();
    agent.line.close(4000);
    await agent.line.closed;
    const due = async () =>
      (await plane.objectRows(agentId, "select offline_due_ms from session"))[0] as {
        offline_due_ms: number | null;
      };
    await until("the object noticed", async () => (await due()).offline_due_ms !== null);
    const leftMs = ((await due()).offline_due_ms ?? 0) - Date.now();
    expect(leftMs).toBeGreaterThan(80_000);
    expect(leftMs).toBeLessThanOrEqual(90_000);
    expect(await agentRow(agentId)).toMatchObject({ status: "online" });
  });

  test("[C10] revoking an agent closes its socket with 4403", async () => {
    const { agent, agentId, key } = await running();
    await owner.post(`/api/agents/${agentId}/revoke`);
    expect(await agent.line.closed).toBe(4403);
    expect((await asMachine("POST", "/api/agent/grants", { jobId: org.jobId, epoch: 1 }, key)).status).toBe(
      401,
    );
    await until(
      "the agent is revoked and stays so",
      async () => (await agentRow(agentId))?.["status"] === "revoked",
    );
  });

  test("[L8] a page that is closed as browsers close pages is watched no more", async () => {
    const { agent, jobId } = await running();
    const opened = Promise.withResolvers<Duplex>();
    await upgrade(
      `/api/live?job=${jobId}`,
      { cookie: owner.cookieHeader, origin: plane.origin },
      opened.resolve,
    );
    expect((await agent.hear("report_rate")).seconds).toBe(1);
    // "Going away", which no program can say through the standard interface: final frame, masked with zeros.
    (await opened.promise).write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]));
    expect((await agent.hear("report_rate")).seconds).toBe(15);
  });
});

describe("what is written", () => {
  test("[L7] reports make one row in 30 seconds, over reconnects too", async () => {
    const { agent, key, jobId } = await running();
    const completed = async () => (await jobRow(jobId))?.["files_completed"];
    // The phase wrote a row a moment ago.
    for (let seq = 1; seq <= 5; seq++) agent.say(progress(jobId, seq, seq));
    await agent.hear("ack", (ack) => ack.progress?.[jobId] === 5);
    expect(await completed()).toBe(0);

    await run("update jobs set updated_at = updated_at - 30000 where id = ?", jobId);
    const { agent: again } = await ScriptedAgent.welcomed(key, { [jobId]: [1, 1] });
    for (let seq = 6; seq <= 9; seq++) again.say(progress(jobId, seq, seq));
    await again.hear("ack", (ack) => ack.progress?.[jobId] === 9);
    expect(await completed()).toBe(6);

    const { agent: third } = await ScriptedAgent.welcomed(key, { [jobId]: [1, 1] });
    third.say(progress(jobId, 10, 9));
    await third.hear("ack");
    expect(await completed()).toBe(6);
  });

  test("[L3] no total in D1 falls, whatever is said and in which order", async () => {
    const { agent, key, jobId } = await running();
    agent.say(
      phase(jobId, 2, "paused", {
        event: { kind: "phase", phase: "paused", totals: { ...TOTALS, filesCompleted: 7 } },
      }),
    );
    agent.say(phase(jobId, 3, "running"));
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 3);
    expect(await jobRow(jobId)).toMatchObject({ files_completed: 7, status: "running" });
    await run("update jobs set updated_at = updated_at - 30000 where id = ?", jobId);
    const { agent: again } = await ScriptedAgent.welcomed(key, { [jobId]: [1, 1] });
    again.say(progress(jobId, 9, 2));
    await again.hear("ack");
    expect(await jobRow(jobId)).toMatchObject({ files_completed: 7, progress_seq: 9 });
  });

  test("[L11] [L2] a result that comes again, or a second one, changes nothing", async () => {
    const { agent, key, jobId } = await running();
    agent.say(result(jobId, 2, "failed"));
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 2);
    const before = await jobRow(jobId);
    expect(before).toMatchObject({ status: "failed" });
    const { agent: again } = await ScriptedAgent.welcomed(key, {});
    again.say(result(jobId, 2, "completed"), result(jobId, 3, "completed"), phase(jobId, 4, "running"));
    await again.hear("ack", ({ eventSeq }) => eventSeq === 4);
    expect(await jobRow(jobId)).toEqual(before);
  });

  test("[C9] an agent that had ended a job before it heard of its cancellation need not hear of it any more", async () => {
    const { agent, jobId } = await running();
    await owner.post(`/api/jobs/${jobId}/cancel`);
    expect(await jobRow(jobId)).toMatchObject({ status: "cancelled", applied_rev: 1, desired_rev: 2 });
    agent.say(result(jobId, 2, "completed"));
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 2);
    expect(await jobRow(jobId)).toMatchObject({ status: "cancelled", applied_rev: 2, desired_rev: 2 });
  });

  test("[C9] what is said of an epoch that is over changes nothing in the new one", async () => {
    const { agent, jobId } = await running();
    agent.say(result(jobId, 2, "failed"));
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 2);
    await owner.post(`/api/jobs/${jobId}/retry`);
    const desired = await agent.hear("desired", ({ epoch }) => epoch === 2);
    expect(desired).toMatchObject({ jobId, state: "run" });
    const before = await jobRow(jobId);
    agent.say(
      phase(jobId, 3, "scanning"),
      failed(jobId, 4, 1, ["old.txt"]),
      progress(jobId, 99, 9),
      result(jobId, 5, "completed"),
      applied({ jobId, epoch: 1, rev: 9 }),
    );
    await agent.hear("ack", ({ eventSeq }) => eventSeq === 5);
    expect(await jobRow(jobId)).toEqual(before);
    expect((await owner.get<{ items: unknown[] }>(`/api/jobs/${jobId}/failures`)).items).toEqual([]);
  });

  test("[C1] an agent can say nothing about a job of another agent, in its own organization or another", async () => {
    const other = await makeOrganization();
    const theirs = await running();
    const { agent, jobId } = await running();
    const before = [await jobRow(theirs.jobId), await jobRow(other.jobId)];
    let eventSeq = 2;
    for (const foreign of [theirs.jobId, other.jobId]) {
      agent.say(
        applied({ jobId: foreign, epoch: 1, rev: 1 }),
        progress(foreign, 1, 9),
        phase(foreign, eventSeq++, "paused"),
        failed(foreign, eventSeq++, 5, ["foreign.txt"]),
        result(foreign, eventSeq++, "completed"),
      );
    }
    agent.say(phase(jobId, eventSeq, "paused"));
    await agent.hear("ack", (ack) => ack.eventSeq === eventSeq);
    expect([await jobRow(theirs.jobId), await jobRow(other.jobId)]).toEqual(before);
    expect((await owner.get<{ items: unknown[] }>(`/api/jobs/${theirs.jobId}/failures`)).items).toEqual([]);
    expect(await jobRow(jobId)).toMatchObject({ status: "paused" });
  });

  test("[L14] what the scan found is there from its end on, and goes with the next scan and the next run", async () => {
    const { agent, jobId } = await running();
    const preview = {
      files: 12_034,
      bytes: 3_100_000_000,
      mapped: 2,
      filtered: 120,
      links: 3,
      special: 0,
      refused: 1,
      tooLarge: 0,
      unreadable: 1,
    };
    const shown = async () => (await owner.get<{ preview: unknown }>(`/api/jobs/${jobId}`)).preview;
    const say = async (eventSeq: number, name: "scanning" | "running" | "paused", more: object = {}) => {
      const event = { kind: "phase" as const, phase: name, totals: TOTALS, ...more };
      agent.say(phase(jobId, eventSeq, name, { event }));
      await agent.hear("ack", (ack) => ack.eventSeq === eventSeq);
    };
    expect(await shown(), "an agent that does not say it").toBeNull();
    await say(2, "running", { preview });
    expect(await shown()).toEqual(preview);
    const { items } = await owner.get<{ items: { id: string; preview: unknown }[] }>("/api/jobs");
    expect(items.find(({ id }) => id === jobId)?.preview).toEqual(preview);
    await say(3, "paused");
    expect(await shown()).toEqual(preview);
    await say(4, "scanning");
    expect(await shown()).toBeNull();
    await say(5, "running", { preview });
    agent.say(result(jobId, 6, "failed"));
    await agent.hear("ack", (ack) => ack.eventSeq === 6);
    expect(await shown(), "the report is read beside it").toEqual(preview);
    await owner.post(`/api/jobs/${jobId}/retry`);
    expect(await shown()).toBeNull();
  });

  test("[L14] notes and what became of the source are in the job's report, also those that are not known yet", async () => {
    const { agent, jobId } = await running();
    const report = {
      notes: [
        { code: "source_empty" },
        { code: "early_deletion", count: 4 },
        { code: "of_next_year", count: 1 },
      ],
      removal: {
        files: 3,
        bytes: 30,
        dryRun: false,
        filesPurged: 1,
        filesKept: 1,
        stays: { changed_since_upload: 2, of_next_year: 1 },
      },
    };
    const whole = result(jobId, 2, "completed");
    agent.say(whole.type === "result" ? { ...whole, report: { ...whole.report, ...report } } : whole);
    await agent.hear("ack", (ack) => ack.eventSeq === 2);
    expect(await owner.get(`/api/jobs/${jobId}`)).toMatchObject({ status: "completed", report });
  });

  test("[L14] a report of an agent that knows of no notes is stored and answered as it is", async () => {
    const { agent, jobId } = await running();
    agent.say(result(jobId, 2, "completed"));
    await agent.hear("ack", (ack) => ack.eventSeq === 2);
    const { report, preview } = await owner.get<{ report: object; preview: unknown }>(`/api/jobs/${jobId}`);
    expect(preview).toBeNull();
    expect(report).toMatchObject({ outcome: "completed" });
    expect(report).not.toHaveProperty("notes");
    expect(report).not.toHaveProperty("removal");
  });

  test("[L2] of all failures the first thousand are kept, each once", async () => {
    const { agent, jobId } = await running();
    let eventSeq = 2;
    for (let first = 0; first < 1_050; first += 50) {
      agent.say(
        failed(
          jobId,
          eventSeq++,
          first,
          Array.from({ length: 50 }, (_, index) => `${first + index}.txt`),
        ),
      );
    }
    await agent.hear("ack", (ack) => ack.eventSeq === eventSeq - 1);
    const row = await plane.database
      .prepare("select count(*) as count, max(number) as last from job_failures where job_id = ?")
      .bind(jobId)
      .first();
    expect(row).toEqual({ count: 1_000, last: 999 });
  });
});
