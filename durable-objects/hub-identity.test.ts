/** Which agent it is: generations that find a copy, and keys that are replaced underneath. */
import { describe, expect, test } from "vitest";
import { CLOSE, type HubMessage } from "../schema/protocol.ts";
import { KEY_MS_MAX } from "./hub.ts";
import {
  KEY_HASH,
  MemoryWorld,
  ORG,
  SPARE_KEY,
  SPARE_KEY_HASH,
  type MemoryAgentSocket,
} from "./memory-world.ts";

const JOB = "job_01kaqt5n8v3m9w2x7c4d6e8f0g";

function ofType<Type extends HubMessage["type"]>(socket: MemoryAgentSocket, type: Type) {
  return socket.received.filter((message) => message.type === type) as Extract<HubMessage, { type: Type }>[];
}

/** An agent's disk: what it has stored. */
class Disk {
  generation = 0;

  /** Connects; cut off after the given step. */
  async connect(
    world: MemoryWorld,
    until: "connected" | "hello" | "stored" | "ready" = "ready",
    keyHash = KEY_HASH,
  ): Promise<MemoryAgentSocket> {
    const socket = world.connect(keyHash);
    if (until === "connected") return socket;
    await socket.hello({}, { generation: this.generation });
    const [welcome] = ofType(socket, "welcome");
    if (until === "hello" || welcome === undefined) return socket;
    if (welcome.generation === undefined) throw new Error("A welcome without a generation");
    this.generation = welcome.generation;
    if (until === "stored") return socket;
    await socket.say({ type: "ready", generation: this.generation });
    return socket;
  }

  copy(): Disk {
    return Object.assign(new Disk(), { generation: this.generation });
  }
}

describe("generations", () => {
  test("[L15] each connection has the next one", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    for (let generation = 1; generation <= 5; generation++) {
      await disk.connect(world);
      expect(disk.generation).toBe(generation);
    }
    expect(world.identityRow).toMatchObject({ generation: 5, offered: null, locked: false });
  });

  test("[L15] cut off after any step, evicted or not, the agent connects again", async () => {
    const steps = ["connected", "hello", "stored", "ready"] as const;
    for (let seed = 0; seed < 4 ** 5; seed++) {
      const world = new MemoryWorld();
      const disk = new Disk();
      const way = Array.from({ length: 5 }, (_, at) => steps[Math.floor(seed / 4 ** at) % 4]);
      for (const step of way) {
        const socket = await disk.connect(world, step);
        expect(socket.closed, way.join()).toBeNull();
        world.evict();
      }
      expect((await disk.connect(world)).closed, way.join()).toBeNull();
      expect(world.identityRow?.locked).toBe(false);
    }
  });

  test("[L15] a copy that comes after the agent has gone on locks both", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    await disk.connect(world);
    const copy = disk.copy();
    const live = await disk.connect(world);
    const copied = await copy.connect(world);
    expect(live.closed).toBe(CLOSE.superseded);
    expect(copied.closed).toBe(CLOSE.locked);
    expect(ofType(copied, "welcome")).toEqual([]);
    expect(world.agentStatus).toBe("locked");
    expect(world.hub.authorize(KEY_HASH)).toMatchObject({ locked: true });
    expect(world.logged).toContain("agent_locked");
  });

  test("[L15] a copy that comes first is found when the agent comes back", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    await disk.connect(world);
    const copied = await disk.copy().connect(world);
    expect(copied.closed).toBeNull();
    const back = await disk.connect(world);
    expect(back.closed).toBe(CLOSE.locked);
    // The other one is gone as well.
    expect(copied.closed).not.toBeNull();
  });

  test("[L15] whoever leaves the generation out after it was told once is no newer agent", async () => {
    const world = new MemoryWorld();
    await new Disk().connect(world);
    const socket = world.connect();
    await socket.hello();
    expect(socket.closed).toBe(CLOSE.locked);
  });

  test("[L15] one of the future is none either", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    await disk.connect(world);
    disk.generation += 2;
    expect((await disk.connect(world)).closed).toBe(CLOSE.locked);
  });

  test("[L16] an agent that knows nothing of it goes on as before, and is offered no key", async () => {
    const world = new MemoryWorld();
    world.nowMs += KEY_MS_MAX;
    for (let index = 0; index < 3; index++) {
      const socket = world.connect();
      await socket.hello();
      await socket.say({ type: "ready" });
      expect(socket.closed).toBeNull();
      expect(ofType(socket, "welcome")[0]?.generation).toBeUndefined();
      expect(ofType(socket, "rotate_key")).toEqual([]);
    }
  });

  test("[L15] while D1 is away nobody is locked, and nobody gets in; then it is made good", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    await disk.connect(world);
    const copy = disk.copy();
    await disk.connect(world);
    world.databaseFails = "before";
    expect((await copy.connect(world)).closed).toBe(1011);
    expect(world.identityRow?.locked).toBe(false);
    world.databaseFails = "never";
    expect((await copy.connect(world)).closed).toBe(CLOSE.locked);
  });

  test("[L17] frames of a socket that was locked meanwhile change nothing", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    const socket = await disk.connect(world);
    world.addJob(JOB);
    if (world.identityRow === null) throw new Error("There is no identity");
    world.identityRow = { ...world.identityRow, locked: true };
    await socket.say({ type: "applied", jobId: JOB, epoch: 1, rev: 1, result: "ok" });
    expect(socket.closed).toBe(CLOSE.locked);
    expect(world.row(JOB).appliedRev).toBe(0);
  });

  test("[L17] after the unlocking the one that connects next is the agent, and the other one is the copy", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    await disk.connect(world);
    const restored = disk.copy();
    await disk.connect(world);
    await restored.connect(world);
    world.hub.unlock(ORG);
    expect(world.hub.authorize(KEY_HASH)).toEqual(expect.not.objectContaining({ locked: true }));
    expect((await restored.connect(world)).closed).toBeNull();
    expect((await restored.connect(world)).closed).toBeNull();
    expect((await disk.connect(world)).closed).toBe(CLOSE.locked);
  });
});

describe("keys", () => {
  const oldKeyIsGood = (world: MemoryWorld) => world.hub.authorize(KEY_HASH) !== null;
  const newKeyIsGood = (world: MemoryWorld) => world.hub.authorize(SPARE_KEY_HASH) !== null;

  test("[L16] a young key stays", async () => {
    const world = new MemoryWorld();
    world.nowMs += KEY_MS_MAX - 1;
    const socket = await new Disk().connect(world);
    expect(ofType(socket, "rotate_key")).toEqual([]);
    expect(newKeyIsGood(world)).toBe(false);
    expect(socket.state.spareKey).toBeNull();
  });

  test("[L16] an old one is replaced: offered, stored, promoted; then the old one is worth nothing", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    world.nowMs += KEY_MS_MAX;
    const socket = await disk.connect(world);
    expect(ofType(socket, "rotate_key")).toEqual([{ type: "rotate_key", key: SPARE_KEY }]);
    // It is not kept beside the socket any longer than until it was said.
    expect(JSON.stringify(socket.state)).not.toContain(SPARE_KEY);
    expect([oldKeyIsGood(world), newKeyIsGood(world)]).toEqual([true, true]);
    world.evict();
    await socket.say({ type: "key_stored" });
    expect([oldKeyIsGood(world), newKeyIsGood(world)]).toEqual([false, true]);
    expect(world.writes.filter(({ kind }) => kind === "keyRotated").length).toBe(1);
    expect(socket.closed).toBeNull();
    const next = await disk.connect(world, "ready", SPARE_KEY_HASH);
    expect(ofType(next, "rotate_key")).toEqual([]);
  });

  test("[L16] the word that it was stored may be lost: using it says the same", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    world.nowMs += KEY_MS_MAX;
    await disk.connect(world);
    const next = await disk.connect(world, "ready", SPARE_KEY_HASH);
    expect(next.closed).toBeNull();
    expect([oldKeyIsGood(world), newKeyIsGood(world)]).toEqual([false, true]);
  });

  test("[L16] an offer that was lost is made again, and until then the old key is good", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    world.nowMs += KEY_MS_MAX;
    for (let index = 0; index < 3; index++) {
      const socket = await disk.connect(world);
      expect(ofType(socket, "rotate_key").length).toBe(1);
      expect(oldKeyIsGood(world)).toBe(true);
    }
  });

  test("[L16] a key nobody was offered cannot be promoted, and a copy is offered none", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    const socket = await disk.connect(world);
    await socket.say({ type: "key_stored" });
    expect(oldKeyIsGood(world)).toBe(true);
    const copy = disk.copy();
    await disk.connect(world);
    world.nowMs += KEY_MS_MAX;
    const copied = await copy.connect(world);
    expect(copied.received).toEqual([]);
    expect(newKeyIsGood(world)).toBe(false);
  });

  test("[L16] while D1 is away the old key stays", async () => {
    const world = new MemoryWorld();
    const disk = new Disk();
    world.nowMs += KEY_MS_MAX;
    const socket = await disk.connect(world);
    world.databaseFails = "before";
    await socket.say({ type: "key_stored" });
    expect(oldKeyIsGood(world)).toBe(true);
    world.databaseFails = "never";
    await disk.connect(world, "ready", SPARE_KEY_HASH);
    expect([oldKeyIsGood(world), newKeyIsGood(world)]).toEqual([false, true]);
  });

  test("[L16] a revoked agent's keys are all worth nothing", async () => {
    const world = new MemoryWorld();
    world.nowMs += KEY_MS_MAX;
    await new Disk().connect(world);
    world.hub.revoke(ORG);
    expect([oldKeyIsGood(world), newKeyIsGood(world)]).toEqual([false, false]);
  });
});
