import { describe, expect, test } from "vitest";
import { ZERO_TOTALS, type JobReport, type JobTotals } from "../schema/job.ts";
import {
  CLOSE,
  HELLO_LIMIT_MS,
  REPORT_SECONDS_UNWATCHED,
  REPORT_SECONDS_WATCHED,
  type AgentMessage,
  type AgentPhase,
  type Applied,
  type Desired,
  type JobEvent,
  type Progress,
  type Result,
} from "../schema/protocol.ts";
import { LEASE_SURELY_OVER_MS, OFFLINE_AFTER_MS, SOCKET_LIMITS } from "./hub.ts";
import { PROGRESS_ROW_MS } from "./job-record.ts";
import {
  AGENT,
  CONFIG,
  KEY_HASH,
  MemoryWorld,
  ORG,
  START_MS,
  type MemoryAgentSocket,
} from "./memory-world.ts";

const JOB = "job_01kaqt5n8v3m9w2x7c4d6e8f0g";
const OTHER_JOB = "job_01kaqt5n8v3m9w2x7c4d6e8f0h";
const OTHER_ORG = "org_01kaqt4h2r5t8y1p3s6v9b2n40";

// --- what an agent says ---

function totals(filesCompleted: number, bytesSent = filesCompleted * 100): JobTotals {
  return {
    ...ZERO_TOTALS,
    filesTotal: 100,
    filesCompleted,
    bytesTotal: 10_000,
    bytesCompleted: bytesSent,
    bytesSent,
  };
}

function applied({ jobId, epoch, rev }: Pick<Desired, "jobId" | "epoch" | "rev">): Applied {
  return { type: "applied", jobId, epoch, rev, result: "ok" };
}

function progress(seq: number, filesCompleted: number, more: Partial<Progress> = {}): Progress {
  return {
    type: "progress",
    jobId: JOB,
    epoch: 1,
    seq,
    phase: "running",
    totals: totals(filesCompleted),
    bytesInFlight: 50,
    bytesPerSecond: 1_000,
    secondsRemaining: 9,
    currentPath: "a.bin",
    ...more,
  };
}

function phase(eventSeq: number, name: AgentPhase, more: Partial<JobEvent> = {}): JobEvent {
  const event = { kind: "phase", phase: name, totals: totals(0) } as const;
  return { type: "event", eventSeq, jobId: JOB, epoch: 1, at: "2026-11-22T09:00:00Z", event, ...more };
}

function failed(eventSeq: number, first: number, path: string): JobEvent {
  const failures = [{ path, code: "source_denied", message: "permission denied" } as const];
  const event = { kind: "files_failed", first, failures } as const;
  return { type: "event", eventSeq, jobId: JOB, epoch: 1, at: "2026-11-22T09:00:00Z", event };
}

function result(
  eventSeq: number,
  outcome: JobReport["outcome"] = "completed",
  more: Partial<Result> = {},
): Result {
  const report: JobReport = {
    outcome,
    error:
      outcome === "failed"
        ? { code: "DESTINATION_DENIED", message: "The storage account denies access" }
        : null,
    totals: totals(100),
    startedAt: "2026-11-22T09:00:00Z",
    finishedAt: "2026-11-22T09:05:00Z",
    activeMs: 300_000,
    verification: "chain",
    manifest: null,
  };
  return { type: "result", eventSeq, jobId: JOB, epoch: 1, report, ...more };
}

async function welcomed(
  world: MemoryWorld,
  known: Parameters<MemoryAgentSocket["hello"]>[0] = {},
): Promise<MemoryAgentSocket> {
  const socket = world.connect();
  await socket.hello(known);
  expect(socket.heard("welcome")).toHaveLength(1);
  return socket;
}

/** An agent that is there and has begun the job. */
async function running(): Promise<{ world: MemoryWorld; socket: MemoryAgentSocket }> {
  const world = new MemoryWorld();
  const desired = world.addJob(JOB);
  const socket = await welcomed(world);
  await world.hub.setDesired(ORG, desired);
  await socket.say(applied(desired), phase(1, "running"));
  expect(socket.heard("ack").at(-1)?.eventSeq).toBe(1);
  return { world, socket };
}

const lastAck = (socket: MemoryAgentSocket) => socket.heard("ack").at(-1)?.eventSeq;

describe("desired states", () => {
  test("[L1] a wish is said at once to an agent that is there", async () => {
    const world = new MemoryWorld();
    const socket = await welcomed(world);
    const desired = world.addJob(JOB);
    await world.hub.setDesired(ORG, desired);
    expect(socket.heard("desired")).toEqual([desired]);
  });

  test("[L1] a wish for an agent that is away is said in the next welcome", async () => {
    const world = new MemoryWorld();
    const desired = world.addJob(JOB);
    await world.hub.setDesired(ORG, desired);
    const socket = await welcomed(world);
    expect(socket.heard("welcome")[0]?.desired).toEqual([desired]);
  });

  test("[L1] a wish is said in every welcome until the agent has confirmed that revision, and then no more", async () => {
    const world = new MemoryWorld();
    const desired = world.addJob(JOB);
    await world.hub.setDesired(ORG, desired);
    for (let tries = 0; tries < 3; tries++) {
      const socket = await welcomed(world);
      expect(socket.heard("welcome")[0]?.desired).toEqual([desired]);
      await socket.leave("broken");
      world.evict();
    }
    const confirming = await welcomed(world);
    await confirming.say(applied(desired));
    expect(world.row(JOB).appliedRev).toBe(1);
    await confirming.leave("broken");
    const socket = await welcomed(world, { [JOB]: [1, 1] });
    expect(socket.heard("welcome")[0]?.desired).toEqual([]);
  });

  test("[L1] what hello says was applied counts as confirmed, when the answer was lost", async () => {
    const world = new MemoryWorld();
    const desired = world.addJob(JOB);
    await world.hub.setDesired(ORG, desired);
    const socket = await welcomed(world, { [JOB]: [1, 1] });
    expect(socket.heard("welcome")[0]?.desired).toEqual([]);
    expect(world.row(JOB).appliedRev).toBe(1);
  });

  test("[L1] an agent that forgot what it had confirmed is told again", async () => {
    const { world, socket } = await running();
    await socket.leave("broken");
    const fresh = await welcomed(world, {});
    expect(fresh.heard("welcome")[0]?.desired).toMatchObject([{ jobId: JOB, rev: 1 }]);
  });

  test("[L1] a wish that is said again, or was overtaken by a newer one, changes nothing", async () => {
    const { world, socket } = await running();
    const pause = world.steer(JOB, "pause");
    await world.hub.setDesired(ORG, pause);
    await socket.say(applied(pause));
    const said = socket.heard("desired").length;
    await world.hub.setDesired(ORG, pause);
    await world.hub.setDesired(ORG, { ...pause, rev: 1, state: "run" });
    expect(socket.heard("desired")).toHaveLength(said);
    expect(world.desiredRows.get(JOB)).toEqual({ desired: pause, applied: true });
  });

  test("[L1] asking twice for what is confirmed already does not cost the agent its connection", async () => {
    const { world, socket } = await running();
    const pause = world.steer(JOB, "pause");
    await world.hub.setDesired(ORG, pause);
    await socket.say(applied(pause));
    await world.hub.setDesired(ORG, pause);
    expect(world.alarmMs).toBeNull();
    await world.pass(10 * SOCKET_LIMITS.confirmMs);
    expect(socket.closed).toBeNull();
  });

  test("[L1] only the newest revision confirms; an older one and one of another epoch do not", async () => {
    const { world, socket } = await running();
    const pause = world.steer(JOB, "pause");
    await world.hub.setDesired(ORG, pause);
    await socket.say(applied({ ...pause, rev: 1 }), applied({ ...pause, epoch: 2 }));
    expect(world.desiredRows.get(JOB)?.applied).toBe(false);
    await socket.say(applied(pause));
    expect(world.desiredRows.get(JOB)?.applied).toBe(true);
  });

  test("[L1] a confirmation of a revision nobody asked for does not hide the ones to come", async () => {
    const { world, socket } = await running();
    const pause = world.steer(JOB, "pause");
    await world.hub.setDesired(ORG, pause);
    await socket.say(applied({ ...pause, rev: 1_000_000 }));
    expect(world.row(JOB).appliedRev).toBe(pause.rev);
  });

  test("[L1] a wish that is not confirmed in 15 seconds ends the socket, and the next welcome says it", async () => {
    const world = new MemoryWorld();
    const desired = world.addJob(JOB);
    const socket = await welcomed(world);
    await world.hub.setDesired(ORG, desired);
    await world.pass(SOCKET_LIMITS.confirmMs - 1);
    expect(socket.closed).toBeNull();
    await world.pass(1);
    expect(socket.closed).toBe(1011);
    const next = await welcomed(world);
    expect(next.heard("welcome")[0]?.desired).toEqual([desired]);
  });

  test("[L1] a wish that cannot be noted at D1 as confirmed is not forgotten as one", async () => {
    const world = new MemoryWorld();
    const desired = world.addJob(JOB);
    const socket = await welcomed(world);
    await world.hub.setDesired(ORG, desired);
    world.databaseFails = "before";
    await socket.say(applied(desired));
    expect(socket.closed).toBe(1011);
    world.databaseFails = "never";
    await welcomed(world, { [JOB]: [1, 1] });
    expect(world.row(JOB).appliedRev).toBe(1);
  });

  test("[L1] many large wishes reach the agent, though they are more than one frame holds", async () => {
    const world = new MemoryWorld();
    const exclude = Array.from({ length: 120 }, (_, index) => `${index}`.padEnd(500, "ß"));
    const config = {
      ...CONFIG,
      options: { ...CONFIG.options, filters: { ...CONFIG.options.filters, exclude } },
    };
    const jobIds = Array.from(
      { length: 12 },
      (_, index) => JOB.slice(0, -2) + String(index).padStart(2, "0"),
    );
    for (const jobId of jobIds) await world.hub.setDesired(ORG, world.addJob(jobId, config));
    const socket = await welcomed(world);
    const told = [...(socket.heard("welcome")[0]?.desired ?? []), ...socket.heard("desired")];
    expect(told.map(({ jobId }) => jobId).sort()).toEqual(jobIds);
  });

  test("[C1] a call for another organization is refused and changes nothing", async () => {
    const world = new MemoryWorld();
    const desired = world.addJob(JOB);
    const { hub } = world;
    await expect(hub.setDesired(OTHER_ORG, desired)).rejects.toThrow("another organization");
    await expect(hub.checkPresence(OTHER_ORG)).rejects.toThrow("another organization");
    await expect(hub.viewerJoined(OTHER_ORG, await world.join(JOB))).rejects.toThrow("another organization");
    expect(() => hub.watch(OTHER_ORG)).toThrow("another organization");
    expect(() => hub.revoke(OTHER_ORG)).toThrow("another organization");
    expect(() => hub.initialize({ orgId: OTHER_ORG, agentId: AGENT, keyHash: KEY_HASH })).toThrow(
      "another organization",
    );
    expect(world.desiredRows.size).toBe(0);
    expect(hub.authorize(KEY_HASH)).toEqual({ orgId: ORG, agentId: AGENT });
  });
});

describe("cancel and retry", () => {
  test("[C9] a cancel is shown to everyone at once, though the agent has not heard of it", async () => {
    const { world } = await running();
    const viewer = await world.join(JOB);
    await world.hub.setDesired(ORG, world.steer(JOB, "cancel"));
    expect(viewer.shown.at(-1)).toMatchObject({ status: "cancelled", desiredState: "cancel" });
  });

  test("[C9] nothing an agent says after a cancel makes the job anything else", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    await world.hub.setDesired(ORG, world.steer(JOB, "cancel"));
    await socket.say(progress(1, 5), phase(2, "paused"), phase(3, "running"), result(4, "completed"));
    expect(lastAck(socket)).toBe(4);
    expect(world.row(JOB).live.status).toBe("cancelled");
    expect(new Set(viewer.shown.slice(1).map((live) => live.status))).toEqual(new Set(["cancelled"]));
  });

  test("[C9] a cancel whose word to the agent was lost wins over the agent's result, also on the screens", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    world.steer(JOB, "cancel");
    await socket.say(result(2, "completed"));
    expect(viewer.shown.at(-1)?.status).toBe("cancelled");
  });

  test("[C9] a confirmed cancel is wanted no more, and an older wish that comes late does not begin the job again", async () => {
    const { world, socket } = await running();
    const cancel = world.steer(JOB, "cancel");
    await world.hub.setDesired(ORG, cancel);
    await socket.say(applied(cancel));
    expect(world.desiredRows.size).toBe(0);
    const said = socket.heard("desired").length;
    await world.hub.setDesired(ORG, { ...cancel, rev: 1, state: "run" });
    expect(socket.heard("desired")).toHaveLength(said);
    expect(world.desiredRows.size).toBe(0);
  });

  test("[C9] a retry begins with totals of zero, and what is still said of the epoch before changes nothing", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    await socket.say(progress(1, 40));
    await socket.say(result(2, "failed"));
    const retry = world.steer(JOB, "retry");
    await world.hub.setDesired(ORG, retry);
    expect(socket.heard("desired").at(-1)).toEqual(retry);
    expect(viewer.shown.at(-1)).toMatchObject({ epoch: 2, status: "created", totals: ZERO_TOTALS });

    await socket.say(applied(retry));
    await socket.say(progress(9, 77), phase(3, "scanning"), failed(4, 0, "late.txt"), result(5, "completed"));
    expect(lastAck(socket)).toBe(5);
    expect(world.row(JOB)).toMatchObject({
      report: null,
      live: { epoch: 2, status: "created", totals: ZERO_TOTALS },
    });
    expect(world.row(JOB).failures.size).toBe(0);
    expect(viewer.shown.at(-1)).toMatchObject({ epoch: 2, status: "created", totals: ZERO_TOTALS });
    expect(world.desiredRows.get(JOB)?.desired.epoch).toBe(2);

    await socket.say(phase(6, "running", { epoch: 2 }), progress(1, 3, { epoch: 2 }));
    expect(viewer.shown.at(-1)).toMatchObject({ epoch: 2, status: "running", totals: totals(3) });
  });
});

describe("finish, and limits that change", () => {
  test("[C15] a wish to finish reaches the agent and the screens, and the job goes on until its result", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    const finish = world.steer(JOB, "finish");
    await world.hub.setDesired(ORG, finish);
    expect(socket.heard("desired").at(-1)).toEqual(finish);
    expect(viewer.shown.at(-1)).toMatchObject({ status: "running", desiredState: "finish" });
    await socket.say(applied(finish), progress(1, 5));
    expect(viewer.shown.at(-1)).toMatchObject({ status: "running", totals: totals(5) });
    // Unlike a cancel it is still wanted: an agent that forgot it would repeat the job without end.
    await socket.leave("broken");
    const again = await welcomed(world, {});
    expect(again.heard("welcome")[0]?.desired).toEqual([finish]);
    await again.say(result(2));
    expect(world.row(JOB).live.status).toBe("completed");
    expect(world.desiredRows.size).toBe(0);
  });

  test("[C15] a cancel wins over a wish to finish, whichever word comes last", async () => {
    const { world, socket } = await running();
    const finish = world.steer(JOB, "finish");
    const cancel = world.steer(JOB, "cancel");
    await world.hub.setDesired(ORG, cancel);
    await world.hub.setDesired(ORG, finish);
    expect(socket.heard("desired").map(({ state }) => state)).not.toContain("finish");
    expect(world.desiredRows.get(JOB)?.desired).toEqual(cancel);
  });

  test("[C14] the same wish with another limit is said as a new revision of the same epoch, until that is confirmed", async () => {
    const { world, socket } = await running();
    const options = { ...CONFIG.options, bandwidthMbps: 20 };
    const limited = { ...world.steer(JOB, "run"), config: { ...CONFIG, options } };
    await world.hub.setDesired(ORG, limited);
    expect(socket.heard("desired").at(-1)).toEqual(limited);
    expect(limited).toMatchObject({ epoch: 1, rev: 2, state: "run" });
    await socket.say(applied({ ...limited, rev: 1 }));
    expect(world.desiredRows.get(JOB)?.applied).toBe(false);
    await socket.say(applied(limited));
    expect(world.row(JOB)).toMatchObject({ appliedRev: 2, live: { epoch: 1, status: "running" } });
  });
});

describe("events", () => {
  test("[L2] an event is acked after it is in D1", async () => {
    const { world, socket } = await running();
    await socket.say(failed(2, 0, "a.txt"));
    expect(world.row(JOB).failures.get(0)?.path).toBe("a.txt");
    expect(lastAck(socket)).toBe(2);
  });

  test.each(["before", "after"] as const)(
    "[L2] when D1 fails %s writing, the event is not acked, and is taken when it is said again",
    async (when) => {
      const { world, socket } = await running();
      world.databaseFails = when;
      await socket.say(failed(2, 0, "a.txt"), failed(3, 1, "b.txt"));
      expect(socket.closed).toBe(1011);
      expect(lastAck(socket)).toBe(1);
      world.databaseFails = "never";

      const next = await welcomed(world, { [JOB]: [1, 1] });
      expect(next.heard("welcome")[0]?.eventSeqHeld).toBe(1);
      await next.say(failed(2, 0, "a.txt"), failed(3, 1, "b.txt"));
      expect(lastAck(next)).toBe(3);
      expect([...world.row(JOB).failures.values()].map(({ path }) => path)).toEqual(["a.txt", "b.txt"]);
    },
  );

  test("[L2] of a frame that breaks off in the middle, what is durable is held and the rest is said again", async () => {
    const { world, socket } = await running();
    await socket.say(failed(2, 0, "a.txt"));
    // The second read of D1 in this frame fails, behind the first event.
    const record = world.record.bind(world);
    let writes = 0;
    world.record = () => ({
      ...record(),
      failures: async (message) => {
        if (++writes === 2) throw new Error("D1 is away");
        await record().failures(message);
      },
    });
    await socket.say(failed(3, 1, "b.txt"), failed(4, 2, "c.txt"));
    expect(socket.closed).toBe(1011);
    world.record = record;
    const next = await welcomed(world, { [JOB]: [1, 1] });
    expect(next.heard("welcome")[0]?.eventSeqHeld).toBe(3);
  });

  test("[L2] a repeated event changes nothing and is acked again", async () => {
    const { world, socket } = await running();
    await socket.say(failed(2, 0, "a.txt"));
    const before = structuredClone(world.row(JOB));
    const writes = world.writes.length;
    await socket.say(failed(2, 0, "other.txt"), phase(1, "scanning"));
    expect(world.row(JOB)).toEqual(before);
    expect(world.writes).toHaveLength(writes);
    expect(socket.heard("ack").map(({ eventSeq }) => eventSeq)).toEqual([1, 2, 2]);
  });

  test.each([3, 4, 1_000])(
    "[L2] event %i, when 2 is next, closes the socket and changes nothing",
    async (eventSeq) => {
      const { world, socket } = await running();
      const before = structuredClone(world.row(JOB));
      await socket.say(failed(eventSeq, 0, "a.txt"));
      expect(socket.closed).toBe(CLOSE.protocol);
      expect(world.row(JOB)).toEqual(before);
      expect(world.sessionRow.eventSeq).toBe(1);
    },
  );

  test("[L2] what is held is remembered over an eviction", async () => {
    const { world, socket } = await running();
    await socket.say(failed(2, 0, "a.txt"));
    world.evict();
    await socket.say(failed(3, 1, "b.txt"));
    expect(lastAck(socket)).toBe(3);
  });

  test("[L2] an event of a job nobody knows is acked and changes nothing, so that it does not stop the others", async () => {
    const { world, socket } = await running();
    await socket.say({ ...failed(2, 0, "a.txt"), jobId: OTHER_JOB }, failed(3, 0, "b.txt"));
    expect(lastAck(socket)).toBe(3);
    expect(world.row(JOB).failures.get(0)?.path).toBe("b.txt");
  });

  test("[L11] a result ends the job, and is taken once", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    await socket.say(result(2, "failed"));
    expect(world.row(JOB)).toMatchObject({
      live: { status: "failed", totals: totals(100) },
      report: { outcome: "failed" },
    });
    expect(viewer.shown.at(-1)).toMatchObject({
      status: "failed",
      error: { code: "DESTINATION_DENIED" },
      bytesPerSecond: 0,
    });
    await socket.say(result(2, "completed"), result(3, "completed"));
    expect(lastAck(socket)).toBe(3);
    expect(world.row(JOB).report?.outcome).toBe("failed");
    expect(world.row(JOB).live.status).toBe("failed");
  });

  test("[L11] progress that comes after the result changes nothing", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    await socket.say(result(2));
    const shown = viewer.shown.length;
    await socket.say(progress(50, 1));
    expect(viewer.shown).toHaveLength(shown);
    expect(world.row(JOB).live.totals).toEqual(totals(100));
  });

  test("[L11] a finished job is wanted no more: an agent that forgot it is not told to run it again", async () => {
    const { world, socket } = await running();
    await socket.say(result(2));
    expect(world.desiredRows.size).toBe(0);
    await socket.leave("broken");
    const next = await welcomed(world, {});
    expect(next.heard("welcome")[0]?.desired).toEqual([]);
  });

  test("[L11] a finished job is wanted no more also when D1 failed right behind the result", async () => {
    const { world, socket } = await running();
    const record = world.record.bind(world);
    world.record = () => ({
      ...record(),
      live: async () => {
        throw new Error("D1 is away");
      },
    });
    world.evict();
    await socket.say(result(2));
    world.record = record;
    const next = await welcomed(world, {});
    expect(next.heard("welcome")[0]).toMatchObject({ eventSeqHeld: 2, desired: [] });
  });

  test.each(["pause", "run"] as const)(
    "[L11] a wish to %s that was overtaken by the job's end does not begin it again",
    async (state) => {
      const { world, socket } = await running();
      const late = { ...world.steer(JOB, state), state };
      await socket.say(result(2));
      await world.hub.setDesired(ORG, late);
      expect(socket.heard("desired").filter(({ rev }) => rev === late.rev)).toEqual([]);
      expect(world.desiredRows.size).toBe(0);
    },
  );

  test("[L11] a wish that is waiting when the job ends is not waited for", async () => {
    const { world, socket } = await running();
    await world.hub.setDesired(ORG, world.steer(JOB, "pause"));
    await socket.say(result(2));
    await world.pass(10 * SOCKET_LIMITS.confirmMs);
    expect(socket.closed).toBeNull();
    expect(world.alarmMs).toBeNull();
  });

  test("[L2] however acks, frames, sockets and D1 fail, each event is held once and in order", async () => {
    for (let seed = 1; seed <= 200; seed++) await survive(seed);
  });
});

/** An agent with 40 failures and a result to tell, in a world where everything goes wrong now and then. */
async function survive(seed: number): Promise<void> {
  let state = seed;
  const chance = (probability: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return state / 0x7fff_ffff < probability;
  };
  const world = new MemoryWorld();
  const desired = world.addJob(JOB);
  await world.hub.setDesired(ORG, desired);
  const outbox: (JobEvent | Result)[] = Array.from({ length: 40 }, (_, index) =>
    failed(index + 1, index, `${index}`),
  );
  outbox.push(result(41));
  let acked = 0;
  let known: Record<string, [number, number]> = {};
  for (let sockets = 0; acked < 41; sockets++) {
    expect(sockets, `seed ${seed} does not come to an end`).toBeLessThan(1_000);
    world.databaseFails = "never";
    if (chance(0.3)) world.evict();
    const socket = world.connect();
    if (chance(0.1)) world.databaseFails = "before";
    await socket.hello(known);
    world.databaseFails = "never";
    const [welcome] = socket.heard("welcome");
    if (welcome === undefined) continue;
    expect(welcome.eventSeqHeld, `seed ${seed}`).toBeGreaterThanOrEqual(acked);
    acked = welcome.eventSeqHeld;
    for (const wish of welcome.desired) {
      await socket.say(applied(wish));
      known = { [JOB]: [wish.epoch, wish.rev] };
    }
    let told = acked;
    while (socket.closed === null && told < 41 && !chance(0.15)) {
      const many = chance(0.5) ? 3 : 1;
      const from = chance(0.2) ? Math.max(0, told - 2) : told;
      if (chance(0.15)) world.databaseFails = chance(0.5) ? "before" : "after";
      await socket.say(...outbox.slice(from, from + many));
      world.databaseFails = "never";
      told = Math.max(told, from + many);
      if (!chance(0.3)) acked = Math.max(acked, lastAck(socket) ?? 0);
      if (chance(0.1)) world.evict();
    }
    if (socket.closed === null) await socket.leave(chance(0.5) ? "clean" : "broken");
  }
  const { failures, report, live } = world.row(JOB);
  expect(
    [...failures.entries()].map(([number, { path }]) => [number, path]),
    `seed ${seed}`,
  ).toEqual(Array.from({ length: 40 }, (_, index) => [index, `${index}`]));
  expect(report?.outcome).toBe("completed");
  expect(live.status).toBe("completed");
  expect(world.desiredRows.size).toBe(0);
}

describe("progress", () => {
  test("[L3] what was read back and removed is counted like everything else, and falls as little", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    await socket.say(progress(1, 9, { totals: { ...totals(9), filesReadBack: 4, filesDeleted: 3 } }));
    await socket.say(progress(2, 9, { totals: { ...totals(9), filesReadBack: 2, filesDeleted: 1 } }));
    const counted = { filesCompleted: 9, filesReadBack: 4, filesDeleted: 3 };
    expect(viewer.shown.at(-1)?.totals).toMatchObject(counted);
    await world.pass(PROGRESS_ROW_MS);
    await socket.say(progress(3, 9));
    expect(world.row(JOB).live.totals).toMatchObject(counted);
  });

  test("[L10] the totals of an agent that does not know all of them count, and make none of the others fall", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    await socket.say(progress(1, 5, { totals: { ...totals(5), filesReadBack: 2 } }));
    const { filesReadBack: _, filesDeleted: __, ...older } = totals(6);
    await socket.say(progress(2, 6, { totals: older as JobTotals }));
    expect(socket.closed).toBeNull();
    expect(viewer.shown.at(-1)?.totals).toEqual({ ...totals(6), filesReadBack: 2 });
  });

  test("[L3] a frame that is lost changes nothing in the end: the next one holds everything", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    await socket.say(progress(1, 1));
    await socket.say(progress(5, 50));
    expect(viewer.shown.at(-1)?.totals).toEqual(totals(50));
    expect(socket.heard("ack").at(-1)?.progress).toEqual({ [JOB]: 5 });
  });

  test("[L3] a progress that is doubled or late takes no total down", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    for (const [seq, files] of [
      [1, 10],
      [2, 20],
      [2, 20],
      [1, 10],
      [4, 40],
      [3, 30],
    ] as const) {
      await socket.say(progress(seq, files));
    }
    const files = viewer.shown.map((live) => live.totals.filesCompleted);
    expect(files).toEqual([0, 10, 20, 20, 20, 40, 40]);
  });

  test("[L3] an event that was kept back while progress overtook it takes no total down", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    await socket.say(progress(1, 30));
    await socket.say(phase(2, "paused"));
    expect(viewer.shown.at(-1)).toMatchObject({ status: "paused", totals: totals(30), bytesPerSecond: 0 });
    expect(world.row(JOB).live.totals).toEqual(totals(30));
  });

  test("[L3] a frame that comes twice is taken once", async () => {
    const { world, socket } = await running();
    const frame = JSON.stringify({ v: 1, s: socket.sessionEpoch, n: 50, a: 0, m: [failed(2, 0, "a.txt")] });
    await socket.raw(frame);
    const acks = socket.heard("ack").length;
    await socket.raw(frame);
    expect(socket.closed).toBeNull();
    expect(socket.heard("ack")).toHaveLength(acks);
    expect(world.row(JOB).failures.size).toBe(1);
  });

  test("[L7] an hour of reports every second makes a row in 30 seconds at most, for each job", async () => {
    const { world, socket } = await running();
    const other = world.addJob(OTHER_JOB);
    await world.hub.setDesired(ORG, other);
    await socket.say(applied(other), phase(2, "running", { jobId: OTHER_JOB }));
    for (let second = 1; second <= 3_600; second++) {
      await world.pass(1_000);
      await socket.say(progress(second, 1), progress(second, 1, { jobId: OTHER_JOB }));
    }
    for (const jobId of [JOB, OTHER_JOB]) {
      const rows = world.writes.filter((write) => write.kind === "progress" && write.jobId === jobId);
      expect(rows.length).toBeGreaterThan(100);
      expect(rows.length).toBeLessThanOrEqual(3_600_000 / PROGRESS_ROW_MS);
      for (const [index, row] of rows.entries()) {
        expect(row.atMs - (rows[index - 1]?.atMs ?? 0)).toBeGreaterThanOrEqual(PROGRESS_ROW_MS);
      }
    }
  });

  test("[L7] what is remembered with the socket does not grow with the number of jobs the agent ran", async () => {
    const { world, socket } = await running();
    let seq = 2;
    for (let index = 0; index < 200; index++) {
      const jobId = `job_01kaqt5n8v3m9w2x7c4d6e${String(index).padStart(4, "0")}`;
      const desired = world.addJob(jobId);
      await world.hub.setDesired(ORG, desired);
      await socket.say(applied(desired), progress(1, 1, { jobId }), result(seq++, "completed", { jobId }));
      await world.pass(PROGRESS_ROW_MS);
    }
    expect(socket.closed).toBeNull();
    expect(Object.keys(socket.state.flushedMs).length).toBeLessThanOrEqual(2);
  });

  test("[L7] progress writes nothing into the object's own storage", async () => {
    const { world, socket } = await running();
    const { storeWrites, alarmChanges } = world;
    for (let seq = 1; seq <= 100; seq++) await socket.say(progress(seq, seq));
    expect(world.storeWrites).toBe(storeWrites);
    expect(world.alarmChanges).toBe(alarmChanges);
  });
});

describe("sessions", () => {
  test("[L4] a newer socket supersedes the older one, which is closed with 4001", async () => {
    const { world, socket } = await running();
    const newer = world.connect();
    expect(socket.closed).toBe(4001);
    await newer.hello({ [JOB]: [1, 1] });
    expect(newer.sessionEpoch).toBe(socket.sessionEpoch + 1);
    await newer.say(failed(2, 0, "a.txt"));
    expect(lastAck(newer)).toBe(2);
  });

  test("[L4] the end of a superseded socket does not make the agent offline", async () => {
    const { world, socket } = await running();
    await welcomed(world, { [JOB]: [1, 1] });
    await socket.leave("broken");
    await world.pass(2 * OFFLINE_AFTER_MS);
    expect(world.agentStatus).toBe("online");
  });

  test("[L4] each session has a higher number than all before it, also after an eviction", async () => {
    const world = new MemoryWorld();
    const epochs: number[] = [];
    for (let tries = 0; tries < 5; tries++) {
      epochs.push((await welcomed(world)).sessionEpoch);
      world.evict();
    }
    expect(epochs).toEqual([1, 2, 3, 4, 5]);
  });

  const GOOD = progress(1, 5);
  test.each<[string, (socket: MemoryAgentSocket) => string]>([
    ["that is not JSON", () => "{"],
    ["that is empty", () => ""],
    [
      "of another version",
      (socket) => JSON.stringify({ v: 2, s: socket.sessionEpoch, n: 90, a: 0, m: [GOOD] }),
    ],
    [
      "of the session before",
      (socket) => JSON.stringify({ v: 1, s: socket.sessionEpoch - 1, n: 90, a: 0, m: [GOOD] }),
    ],
    [
      "of a session to come",
      (socket) => JSON.stringify({ v: 1, s: socket.sessionEpoch + 1, n: 90, a: 0, m: [GOOD] }),
    ],
    ["without a number", (socket) => JSON.stringify({ v: 1, s: socket.sessionEpoch, a: 0, m: [GOOD] })],
    [
      "with a second hello",
      (socket) => JSON.stringify({ v: 1, s: socket.sessionEpoch, n: 90, a: 0, m: [{ ...HELLO }] }),
    ],
    [
      "with a damaged message",
      (socket) =>
        JSON.stringify({ v: 1, s: socket.sessionEpoch, n: 90, a: 0, m: [GOOD, { ...GOOD, epoch: "1" }] }),
    ],
    [
      "with a fall below zero",
      (socket) =>
        JSON.stringify({
          v: 1,
          s: socket.sessionEpoch,
          n: 90,
          a: 0,
          m: [{ ...GOOD, totals: { ...GOOD.totals, bytesSent: -1 } }],
        }),
    ],
    [
      "that is too long",
      (socket) =>
        JSON.stringify({ v: 1, s: socket.sessionEpoch, n: 90, a: 0, m: [GOOD], pad: "x".repeat(300_000) }),
    ],
  ])("[L5] a frame %s closes the socket with 4008 and changes nothing", async (_what, make) => {
    const { world, socket } = await running();
    const before = structuredClone({
      jobs: world.jobs,
      desired: world.desiredRows,
      session: world.sessionRow,
    });
    const writes = world.writes.length;
    await socket.raw(make(socket));
    expect(socket.closed).toBe(CLOSE.protocol);
    expect({ jobs: world.jobs, desired: world.desiredRows, session: world.sessionRow }).toEqual(before);
    expect(world.writes).toHaveLength(writes);
    expect(world.logged).toContain("frame_refused");
  });

  test.each<[string, AgentMessage]>([
    ["ready", { type: "ready" }],
    ["bye", { type: "bye", reason: "x" }],
    ["applied", applied({ jobId: JOB, epoch: 1, rev: 1 })],
    ["progress", GOOD],
    ["an event", failed(1, 0, "a.txt")],
    ["a result", result(1)],
  ])("[L5] %s before hello closes the socket and changes nothing", async (_what, message) => {
    const world = new MemoryWorld();
    await world.hub.setDesired(ORG, world.addJob(JOB));
    const socket = world.connect();
    await socket.say(message);
    expect(socket.closed).toBe(CLOSE.protocol);
    expect(world.writes).toEqual([]);
    expect(world.sessionRow).toEqual({ epoch: 0, eventSeq: 0, offlineDueMs: null, told: null });
  });

  test.each([
    [2, 3],
    [0, 0],
  ])(
    "[L5] an agent that speaks versions %i to %i is told so and closed with 4426",
    async (protocolMin, protocolMax) => {
      const world = new MemoryWorld();
      const socket = world.connect();
      await socket.hello({}, { protocolMin, protocolMax });
      expect(socket.heard("error")[0]?.code).toBe("UPGRADE_NEEDED");
      expect(socket.closed).toBe(CLOSE.upgradeNeeded);
      expect(world.agentStatus).toBe("offline");
    },
  );

  test("[L19] an agent that also speaks newer versions is welcome in the newest of ours", async () => {
    const world = new MemoryWorld({ min: 3, max: 5 });
    const socket = world.connect();
    await socket.hello({}, { protocolMin: 4, protocolMax: 9 });
    expect(socket.heard("welcome")).toMatchObject([{ protocol: 5 }]);
  });

  describe("a hub of version N serves N, N-1 and N-2", () => {
    const N = 5;
    const OURS = { min: N - 2, max: N };

    test.each([
      ["N", N],
      ["N-1", N - 1],
      ["N-2", N - 2],
    ])("[L19] an agent of version %s works in its own version", async (_, version) => {
      const world = new MemoryWorld(OURS);
      const desired = world.addJob(JOB);
      const socket = world.connect();
      await socket.hello({}, { protocolMin: Math.max(1, version - 2), protocolMax: version });
      expect(socket.heard("welcome")).toMatchObject([{ protocol: version }]);
      await world.hub.setDesired(ORG, desired);
      await socket.say(applied(desired), phase(1, "running"));
      expect(lastAck(socket)).toBe(1);
      // Also when the object has slept in between.
      world.evict();
      await socket.say(phase(2, "paused"));
      expect(lastAck(socket)).toBe(2);
      expect(new Set(socket.versions)).toEqual(new Set([version]));
    });

    test.each([
      ["N-3", { min: 1, max: N - 3 }, "the agent versions 1 to 2"],
      ["N+1 alone", { min: N + 1, max: N + 1 }, "the agent version 6"],
    ])("[L19] an agent of version %s is told so and closed with 4426", async (_, theirs, words) => {
      const world = new MemoryWorld(OURS);
      const socket = world.connect();
      await socket.hello({}, { protocolMin: theirs.min, protocolMax: theirs.max });
      expect(socket.heard("error")[0]).toMatchObject({ code: "UPGRADE_NEEDED" });
      expect(socket.heard("error")[0]?.message).toContain(words);
      expect(socket.closed).toBe(CLOSE.upgradeNeeded);
      expect(socket.closedReason).toContain("the control plane speaks versions 3 to 5 of the protocol");
      expect(new TextEncoder().encode(socket.closedReason).length).toBeLessThanOrEqual(123);
      expect(world.writes).toEqual([]);
      expect(world.sessionRow.epoch).toBe(0);
    });

    test("[L19] an agent of version N+1 that still speaks N works in N", async () => {
      const world = new MemoryWorld(OURS);
      const socket = world.connect();
      await socket.hello({}, { protocolMin: N - 1, protocolMax: N + 1 });
      expect(socket.heard("welcome")).toMatchObject([{ protocol: N }]);
      expect(world.agentStatus).toBe("online");
    });

    test("[L19] a hello of another time is refused in words, whatever else is in it", async () => {
      const world = new MemoryWorld(OURS);
      const socket = world.connect();
      const hello = { type: "hello", protocolMin: 8, protocolMax: 9, agentVersion: { major: 2 } };
      await socket.raw(JSON.stringify({ v: 8, s: 0, n: 1, m: [hello], next: true }));
      expect(socket.closed).toBe(CLOSE.upgradeNeeded);
    });

    test("[L19] after the welcome, frames of any other version close the socket", async () => {
      const world = new MemoryWorld(OURS);
      const socket = world.connect();
      await socket.hello({}, { protocolMin: N - 1, protocolMax: N - 1 });
      socket.version = N;
      await socket.say({ type: "ready" });
      expect(socket.closed).toBe(CLOSE.protocol);
    });
  });

  test("[J26] what is released is surely stopped at once where it was never wanted or nobody ever connected", async () => {
    const world = new MemoryWorld();
    const desired = world.addJob(JOB);
    const cancel = { ...desired, rev: 2, state: "cancel" } as const;
    expect(world.hub.release(ORG, cancel)).toBeNull();
    await world.hub.setDesired(ORG, desired);
    expect(world.hub.release(ORG, cancel)).toBeNull();
  });

  test("[J26] an agent that is there may be at work as long as its lease, until it confirms", async () => {
    const { world, socket } = await running();
    const cancel = { ...world.steer(JOB, "cancel"), rev: 2 };
    const row = world.row(JOB);
    row.live = { ...row.live, epoch: 2 };
    row.isHeld = true;
    expect(world.hub.release(ORG, cancel)).toBe(world.nowMs + LEASE_SURELY_OVER_MS);
    expect(socket.heard("desired").at(-1)).toMatchObject({ epoch: 1, rev: 2, state: "cancel" });
    expect(row.isHeld).toBe(true);
    await socket.say(applied(cancel));
    expect(row.isHeld).toBe(false);
    expect(world.hub.release(ORG, cancel)).toBeNull();
  });

  test.each([
    ["just went away", "broken", 1_000],
    ["counts as offline", "broken", OFFLINE_AFTER_MS],
    ["said good-bye", "clean", 1_000],
  ] as const)("[J26] of an agent that %s the lease is waited for as well", async (_, how, awayMs) => {
    const { world, socket } = await running();
    const cancel = { ...world.steer(JOB, "cancel"), rev: 2 };
    await socket.leave(how);
    await world.pass(awayMs);
    expect(world.hub.release(ORG, cancel)).toBe(world.nowMs + LEASE_SURELY_OVER_MS);
    // Back before that, it hears of it with its welcome, in which it gets a lease again.
    const back = await welcomed(world, { [JOB]: [1, 1] });
    expect(back.heard("welcome")[0]?.desired).toMatchObject([{ jobId: JOB, rev: 2, state: "cancel" }]);
  });

  test("[J26] what is to stop stands first in a welcome that cannot hold everything", async () => {
    const world = new MemoryWorld();
    const wide = { ...CONFIG, name: "x".repeat(20_000) };
    const ids = Array.from(
      { length: 5 },
      (_, index) => `job_01kaqt5n8v3m9w2x7c4d6e8f${String(index).padStart(2, "0")}`,
    );
    for (const id of ids) await world.hub.setDesired(ORG, world.addJob(id, wide));
    const [, , , , last = ""] = ids;
    await world.hub.setDesired(ORG, { ...world.steer(last, "cancel"), config: wide });
    const socket = await welcomed(world);
    expect(socket.heard("welcome")[0]?.desired.length).toBeLessThan(5);
    expect(socket.heard("welcome")[0]?.desired[0]).toMatchObject({ jobId: last, state: "cancel" });
  });

  test("[L5] who does not say hello in time is closed with 4408, and the agent is offline", async () => {
    const world = new MemoryWorld();
    const socket = world.connect();
    await world.pass(HELLO_LIMIT_MS);
    expect(socket.closed).toBe(CLOSE.helloTimeout);
    await world.pass(2 * OFFLINE_AFTER_MS);
    expect(world.agentStatus).toBe("offline");
    expect(world.alarmMs).toBeNull();
  });

  test("[L5] the frames the hub sends are numbered without gaps", async () => {
    const { world, socket } = await running();
    await world.join(JOB);
    await socket.say(progress(1, 1));
    await world.hub.setDesired(ORG, world.steer(JOB, "pause"));
    expect(socket.frameNumbers).toEqual(socket.frameNumbers.map((_, index) => index + 1));
  });

  test("[C10] a revoked agent's key is worth nothing and its socket is closed with 4403, for ever", async () => {
    const { world, socket } = await running();
    world.hub.revoke(ORG);
    expect(world.hub.authorize(KEY_HASH)).toBeNull();
    expect(socket.closed).toBe(CLOSE.revoked);
    const before = structuredClone(world.row(JOB));
    await world.hub.frame(
      socket,
      JSON.stringify({ v: 1, s: socket.sessionEpoch, n: 90, a: 0, m: [result(2)] }),
    );
    expect(world.row(JOB)).toEqual(before);
    world.hub.initialize({ orgId: ORG, agentId: AGENT, keyHash: KEY_HASH });
    world.evict();
    expect(world.hub.authorize(KEY_HASH)).toBeNull();
  });

  test("[C10] a registration that was cut short can be revoked, and opens nothing", () => {
    const world = new MemoryWorld();
    world.identityRow = null;
    world.hub.revoke(ORG);
    expect(world.hub.authorize(KEY_HASH)).toBeNull();
  });

  test("[C10] only the very key opens", () => {
    const world = new MemoryWorld();
    for (const hash of [
      "",
      KEY_HASH.slice(1),
      `${KEY_HASH}0`,
      KEY_HASH.toUpperCase(),
      KEY_HASH.replace(/.$/, "0"),
    ]) {
      expect(world.hub.authorize(hash)).toBeNull();
    }
    expect(world.hub.authorize(KEY_HASH)).toEqual({ orgId: ORG, agentId: AGENT });
  });
});

const HELLO = {
  type: "hello",
  protocolMin: 1,
  protocolMax: 1,
  agentVersion: "0.1.0",
  host: "fs01",
  os: "linux",
  arch: "x86_64",
  instanceId: "one",
  applied: {},
  freeDiskBytes: null,
};

describe("presence", () => {
  test("[L6] an agent is online from welcome on, not from the socket on", async () => {
    const world = new MemoryWorld();
    const socket = world.connect();
    expect(world.agentStatus).toBe("offline");
    expect(world.hub.online()).toBe(false);
    await socket.hello();
    expect(world.agentStatus).toBe("online");
    expect(world.hub.online()).toBe(true);
    expect(world.published.at(-1)).toEqual({ type: "agent", agentId: AGENT, online: true });
  });

  test("[L6] after a good-bye an agent is offline at once", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    await socket.leave("clean");
    expect(world.agentStatus).toBe("offline");
    expect(viewer.received.at(-1)).toEqual({ type: "agent", agentId: AGENT, online: false });
    expect(world.alarmMs).toBeNull();
  });

  test("[L6] after any other end an agent is offline 90 seconds later, seen last when it went", async () => {
    const { world, socket } = await running();
    await world.pass(5_000);
    const wentMs = world.nowMs;
    await socket.leave("broken");
    await world.pass(OFFLINE_AFTER_MS - 1);
    expect(world.agentStatus).toBe("online");
    await world.pass(1);
    expect(world.agentStatus).toBe("offline");
    expect(world.lastSeenMs).toBe(wentMs);
    expect(world.alarmMs).toBeNull();
  });

  test("[L6] an agent that is back in time was never offline", async () => {
    const { world, socket } = await running();
    await socket.leave("broken");
    await world.pass(OFFLINE_AFTER_MS - 1);
    await welcomed(world, { [JOB]: [1, 1] });
    await world.pass(10 * OFFLINE_AFTER_MS);
    expect(world.agentStatus).toBe("online");
    expect(world.published).not.toContainEqual({ type: "agent", agentId: AGENT, online: false });
  });

  test("[L6] an agent that only opens sockets and never says hello is offline in the end, without the alarm ringing on", async () => {
    const { world, socket } = await running();
    await socket.leave("broken");
    for (let tries = 0; tries < 20; tries++) {
      world.connect();
      await world.pass(HELLO_LIMIT_MS + 1_000);
    }
    expect(world.agentStatus).toBe("offline");
  });

  test("[L6] a peer that was given up and never answers is offline after 90 seconds", async () => {
    const world = new MemoryWorld();
    const socket = await welcomed(world);
    await world.hub.setDesired(ORG, world.addJob(JOB));
    await world.pass(SOCKET_LIMITS.confirmMs);
    expect(socket.closed).toBe(1011);
    await world.pass(OFFLINE_AFTER_MS);
    expect(world.agentStatus).toBe("offline");
  });

  const tellings = (world: MemoryWorld) => world.writes.filter(({ kind }) => kind === "online").length;

  test("[L22] an agent that is back before it counted as offline costs D1 nothing, also where the object died", async () => {
    const { world, socket } = await running();
    const before = world.writes.length;
    await socket.leave("broken");
    await welcomed(world, { [JOB]: [1, 1] });
    // The process is gone: nobody heard the socket end.
    world.sockets.at(-1)!.lost = true;
    world.evict();
    await welcomed(world, { [JOB]: [1, 1] });
    expect(world.writes).toHaveLength(before);
    expect(world.agentStatus).toBe("online");
  });

  test("[L22] D1 is told again after it was told otherwise, when the facts are other ones, and once a day", async () => {
    const { world, socket } = await running();
    expect(tellings(world)).toBe(1);
    await socket.leave("clean");
    const again = await welcomed(world, { [JOB]: [1, 1] });
    expect([tellings(world), world.agentStatus]).toEqual([2, "online"]);
    await again.leave("broken");
    await world.pass(OFFLINE_AFTER_MS);
    await welcomed(world, { [JOB]: [1, 1] });
    expect([tellings(world), world.agentStatus]).toEqual([3, "online"]);
    for (const [more, expected] of [
      [{ host: "fs02" }, 4],
      [{ host: "fs02" }, 4],
      [{ host: "fs02", agentVersion: "0.2.0" }, 5],
      [{ host: "fs02", agentVersion: "0.2.0", connection: "long_poll" }, 6],
    ] as const) {
      await world.connect().hello({ [JOB]: [1, 1] }, more);
      expect(tellings(world)).toBe(expected);
    }
    world.nowMs += 86_400_000;
    await welcomed(world, { [JOB]: [1, 1] });
    expect(tellings(world)).toBe(7);
    world.nowMs += 86_400_000;
    await welcomed(world, { [JOB]: [1, 1] });
    expect(tellings(world)).toBe(8);
  });

  test("[L22] a telling that failed, of either kind, is made good by the next welcome", async () => {
    const { world, socket } = await running();
    world.databaseFails = "after";
    await socket.leave("clean").catch(() => {});
    expect(world.agentStatus).toBe("offline");
    world.databaseFails = "before";
    await world.connect().hello({ [JOB]: [1, 1] });
    world.databaseFails = "never";
    await welcomed(world, { [JOB]: [1, 1] });
    expect(world.agentStatus).toBe("online");
  });

  test("[L22] another program of the agent is told of, whatever its facts", async () => {
    const { world } = await running();
    await world.connect().hello({ [JOB]: [1, 1] }, { instanceId: "two" });
    expect(tellings(world)).toBe(2);
  });

  test("[L6] the sweep finds an object that died with its sockets", async () => {
    const { world, socket } = await running();
    // The process is gone: nobody heard the socket end.
    socket.lost = true;
    world.evict();
    await world.hub.checkPresence(ORG);
    expect(world.agentStatus).toBe("online");
    await world.pass(OFFLINE_AFTER_MS);
    expect(world.agentStatus).toBe("offline");
  });

  test("[L6] the sweep finds a socket whose peer has not been heard of for 90 seconds", async () => {
    const { world, socket } = await running();
    socket.heartbeatMs = world.nowMs + 60_000;
    await world.pass(60_000 + OFFLINE_AFTER_MS - 1);
    await world.hub.checkPresence(ORG);
    expect(socket.closed).toBeNull();
    await world.pass(1);
    await world.hub.checkPresence(ORG);
    expect(socket.closed).toBe(1011);
    await world.pass(OFFLINE_AFTER_MS);
    expect(world.agentStatus).toBe("offline");
  });

  test("[L6] the sweep makes good an alarm that failed and is not tried again", async () => {
    const { world, socket } = await running();
    await socket.leave("broken");
    world.databaseFails = "before";
    await expect(world.pass(OFFLINE_AFTER_MS)).rejects.toThrow("D1 is away");
    world.databaseFails = "never";
    world.nowMs += OFFLINE_AFTER_MS;
    expect(world.agentStatus).toBe("online");
    await world.hub.checkPresence(ORG);
    expect(world.agentStatus).toBe("offline");
  });

  test("[L6] an alarm that rings twice, or without reason, changes nothing", async () => {
    const { world, socket } = await running();
    for (let rings = 0; rings < 7; rings++) await world.hub.alarm();
    expect(socket.closed).toBeNull();
    expect(world.agentStatus).toBe("online");
    await socket.leave("broken");
    await world.pass(OFFLINE_AFTER_MS);
    for (let rings = 0; rings < 7; rings++) await world.hub.alarm();
    expect(world.agentStatus).toBe("offline");
  });

  test("[L9] with an idle agent no alarm is set, and a day of heartbeats writes nothing", async () => {
    const { world } = await running();
    const { storeWrites, alarmChanges } = world;
    const writes = world.writes.length;
    expect(world.alarmMs).toBeNull();
    await world.pass(86_400_000);
    expect(world.alarmMs).toBeNull();
    expect({ storeWrites: world.storeWrites, alarmChanges: world.alarmChanges }).toEqual({
      storeWrites,
      alarmChanges,
    });
    expect(world.writes).toHaveLength(writes);
  });
});

describe("dashboards", () => {
  test("[L8] a new viewer gets the newest state first, from memory when it is there", async () => {
    const { world, socket } = await running();
    await socket.say(progress(1, 7));
    const viewer = await world.join(JOB);
    expect(viewer.received).toHaveLength(1);
    expect(viewer.received[0]).toMatchObject({
      type: "snapshot",
      jobs: [{ jobId: JOB, status: "running", totals: totals(7), bytesPerSecond: 1_000, agentOnline: true }],
    });
  });

  test("[L8] after an eviction a new viewer gets what D1 holds", async () => {
    const { world, socket } = await running();
    await socket.say(progress(1, 7));
    world.evict();
    const viewer = await world.join(JOB);
    expect(viewer.received).toMatchObject([{ type: "snapshot", jobs: [{ jobId: JOB, totals: totals(7) }] }]);
  });

  test("[L8] a viewer of one job hears nothing of another", async () => {
    const { world, socket } = await running();
    await world.hub.setDesired(ORG, world.addJob(OTHER_JOB));
    const viewer = await world.join(OTHER_JOB);
    await socket.say(progress(1, 7));
    expect(viewer.shown.map(({ jobId }) => jobId)).toEqual([OTHER_JOB]);
  });

  test("[L8] the agent reports every second from the first viewer on, and every 15 after the last one went", async () => {
    const { world, socket } = await running();
    expect(socket.heard("welcome")[0]?.reportSeconds).toBe(REPORT_SECONDS_UNWATCHED);
    const [one, two] = [await world.join(JOB), await world.join(JOB)];
    expect(socket.heard("report_rate").map(({ seconds }) => seconds)).toEqual([REPORT_SECONDS_WATCHED]);
    world.leave(one);
    expect(socket.heard("report_rate")).toHaveLength(1);
    world.leave(two);
    expect(socket.heard("report_rate").at(-1)?.seconds).toBe(REPORT_SECONDS_UNWATCHED);
  });

  test("[L8] an agent that connects while somebody looks reports every second at once", async () => {
    const world = new MemoryWorld();
    await world.hub.setDesired(ORG, world.addJob(JOB));
    await world.join(JOB);
    const socket = await welcomed(world);
    expect(socket.heard("welcome")[0]?.reportSeconds).toBe(REPORT_SECONDS_WATCHED);
  });

  test("[L8] somebody who watches all jobs counts as well, until the feed says that nobody is left", async () => {
    const { world, socket } = await running();
    world.feedWatched = true;
    world.hub.watch(ORG);
    expect(socket.heard("report_rate").at(-1)?.seconds).toBe(REPORT_SECONDS_WATCHED);
    await socket.say(progress(1, 1));
    expect(socket.heard("report_rate")).toHaveLength(1);
    world.feedWatched = false;
    await socket.say(progress(2, 2));
    expect(socket.heard("report_rate").at(-1)?.seconds).toBe(REPORT_SECONDS_UNWATCHED);
  });

  test("[L8] every state is told to the organization's feed", async () => {
    const { world, socket } = await running();
    await socket.say(progress(1, 7));
    expect(world.published.at(-1)).toMatchObject({ type: "job", job: { jobId: JOB, totals: totals(7) } });
  });

  test("[L21] a feed that is slow holds up no frame, and is told the newest when it has answered", async () => {
    const { world, socket } = await running();
    world.feedAnswers = Promise.withResolvers();
    const before = world.published.length;
    for (let seq = 1; seq <= 5; seq++) await socket.say(progress(seq, seq));
    expect(socket.heard("ack").at(-1)?.progress).toEqual({ [JOB]: 5 });
    expect(world.published).toHaveLength(before + 1);
    world.feedAnswers.resolve();
    await world.settle();
    expect(world.published.slice(before)).toMatchObject([
      { job: { totals: totals(1) } },
      { job: { totals: totals(5) } },
    ]);
  });

  const WAITING = { reason: "throttled", untilMs: START_MS + 60_000, message: null } as const;

  test("[L13] what holds a job up is shown, here and at the feed, as long as the agent says it", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    await socket.say(progress(1, 1, { waiting: WAITING }));
    expect(viewer.shown.at(-1)?.waiting).toEqual(WAITING);
    expect(world.published.at(-1)).toMatchObject({ job: { waiting: WAITING } });
    expect((await world.join(JOB)).shown.at(-1)?.waiting).toEqual(WAITING);
    await socket.say(progress(2, 1, { waiting: null }));
    expect(viewer.shown.at(-1)?.waiting).toBeNull();
    await socket.say(progress(3, 1, { waiting: WAITING }), progress(4, 1));
    expect(viewer.shown.at(-1)?.waiting).toBeNull();
  });

  test.each<[string, (socket: MemoryAgentSocket) => Promise<void>]>([
    ["goes into another phase", (socket) => socket.say(phase(2, "paused"))],
    ["ends", (socket) => socket.say(result(2))],
    ["loses its agent", (socket) => socket.leave("clean")],
  ])("[L13] a job that %s waits for nothing any more", async (_what, act) => {
    const { world, socket } = await running();
    await socket.say(progress(1, 1, { waiting: WAITING }));
    await act(socket);
    expect((await world.join(JOB)).shown.at(-1)?.waiting).toBeNull();
  });

  test("[L13] a wish leaves shown what holds the job up", async () => {
    const { world, socket } = await running();
    const viewer = await world.join(JOB);
    await socket.say(progress(1, 1, { waiting: WAITING }));
    await world.hub.setDesired(ORG, world.steer(JOB, "finish"));
    expect(viewer.shown.at(-1)).toMatchObject({ desiredState: "finish", waiting: WAITING });
  });

  test("[L8] progress that nothing more follows is shown as standing still when the agent goes", async () => {
    const { world, socket } = await running();
    await socket.say(progress(1, 7));
    await socket.leave("clean");
    const viewer = await world.join(JOB);
    expect(viewer.shown[0]).toMatchObject({
      agentOnline: false,
      bytesPerSecond: 0,
      currentPath: null,
      totals: totals(7),
    });
  });
});
