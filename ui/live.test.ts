import { expect, test } from "vitest";
import type { LiveMessage } from "../schema/live.ts";
import { createLiveConnection, type LiveState } from "./live.ts";
import { createLiveWorld, createSockets, createTestClock, liveJobWith } from "./test-world.ts";

function setUp(random = () => 0.5) {
  const clock = createTestClock();
  const sockets = createSockets();
  const heard: LiveMessage[] = [];
  const states: LiveState[] = [];
  const told: string[] = [];
  const connection = createLiveConnection(createLiveWorld(clock, sockets, random), {
    onMessage: (message) => heard.push(message),
    onState: (state) => states.push(state),
    onReopened: () => told.push("reopened"),
    onDoubt: () => told.push("doubt"),
    onSignedOut: () => told.push("signed out"),
  });
  return { clock, sockets, heard, states, told, connection };
}

test("[U4] a job's page watches that job, every other page the organization", () => {
  const { sockets, connection } = setUp();
  connection.watch({ kind: "organization" });
  expect(sockets.last.path).toBe("/api/live");
  connection.watch({ kind: "job", jobId: "job_1" });
  expect(sockets.last.path).toBe("/api/live?job=job_1");
  expect(sockets.sockets[0]?.closedByUs).toBe(true);
});

test("[U4] the next page that watches the same keeps the socket", () => {
  const { sockets, connection } = setUp();
  connection.watch({ kind: "organization" });
  connection.watch({ kind: "organization" });
  expect(sockets.sockets).toHaveLength(1);
});

test("[U4] late events of a socket that was left are not heard", () => {
  const { sockets, heard, states, connection } = setUp();
  connection.watch({ kind: "organization" });
  const old = sockets.last;
  connection.watch({ kind: "job", jobId: "job_1" });
  const before = [...states];
  old.events.opened();
  old.say({ type: "job", job: liveJobWith() });
  old.events.closed(1006);
  expect(heard).toEqual([]);
  expect(states).toEqual(before);
});

test("[U5] the heartbeat goes out every 30 seconds, and a socket that leaves it unanswered is given up", async () => {
  const { clock, sockets, states, connection } = setUp();
  connection.watch({ kind: "organization" });
  sockets.last.events.opened();
  await clock.pass(30_000);
  expect(sockets.last.sent).toEqual(["p"]);
  sockets.last.events.received("q");
  await clock.pass(30_000);
  expect(sockets.last.sent).toEqual(["p", "p"]);
  await clock.pass(10_000);
  expect(states.at(-1)).toBe("reconnecting");
  expect(sockets.sockets[0]?.closedByUs).toBe(true);
  await clock.pass(1_000);
  expect(sockets.sockets).toHaveLength(2);
});

test("[U5] the heartbeat also goes out while messages arrive", async () => {
  const { clock, sockets, states, connection } = setUp();
  connection.watch({ kind: "organization" });
  sockets.last.events.opened();
  for (let second = 0; second < 95; second++) {
    await clock.pass(1_000);
    sockets.last.say({ type: "agent", agentId: "agt_1", online: true });
  }
  expect(sockets.last.sent.filter((word) => word === "p")).toHaveLength(3);
  expect(states.at(-1)).toBe("live");
});

test("[L21] what was read is said after every eighth frame, and anew on each socket", async () => {
  const { clock, sockets, heard, connection } = setUp();
  connection.watch({ kind: "organization" });
  sockets.last.events.opened();
  const online = { type: "agent", agentId: "agt_1", online: true } as const;
  for (let frame = 0; frame < 20; frame++) sockets.last.say(online);
  sockets.last.events.received("q");
  expect(sockets.last.sent).toEqual(["r8", "r8"]);
  sockets.last.events.closed(1006);
  await clock.pass(2_000);
  sockets.last.events.opened();
  for (let frame = 0; frame < 7; frame++) sockets.last.say(online);
  expect(sockets.last.sent).toEqual([]);
  sockets.last.events.received(
    JSON.stringify([online, { type: "of tomorrow" }, { ...online, online: false }]),
  );
  expect(sockets.last.sent).toEqual(["r8"]);
  expect(heard.slice(-2)).toEqual([online, { ...online, online: false }]);
});

test("[U6] the wait for the next try grows, is jittered, and never exceeds 30 seconds", async () => {
  const { clock, sockets, connection } = setUp(() => 0.999);
  connection.watch({ kind: "organization" });
  const waits: number[] = [];
  for (let tries = 0; tries < 8; tries++) {
    const opened = sockets.sockets.length;
    const from = clock.now();
    sockets.last.events.closed(1006);
    while (sockets.sockets.length === opened) await clock.pass(100);
    waits.push(clock.now() - from);
  }
  expect(waits[0]).toBeLessThanOrEqual(2_000);
  expect(waits.at(-1)).toBeLessThanOrEqual(30_000);
  expect(waits.at(-1)).toBeGreaterThan(20_000);
});

test("[U6] a socket that does not open within 15 seconds is given up for another", async () => {
  const { clock, sockets, connection } = setUp();
  connection.watch({ kind: "organization" });
  await clock.pass(15_000);
  expect(sockets.sockets[0]?.closedByUs).toBe(true);
  await clock.pass(1_000);
  expect(sockets.sockets).toHaveLength(2);
});

test("[U6] without jitter all would come back at once, so the wait may be as short as nothing", async () => {
  const { clock, sockets, connection } = setUp(() => 0);
  connection.watch({ kind: "organization" });
  sockets.last.events.closed(1006);
  await clock.pass(0);
  expect(sockets.sockets).toHaveLength(2);
});

test("[U6] the listener is told of the gap once the socket is back, and not at the first opening", async () => {
  const { clock, sockets, states, told, connection } = setUp();
  connection.watch({ kind: "organization" });
  sockets.last.events.opened();
  expect(told).toEqual([]);
  sockets.last.events.closed(1006);
  await clock.pass(1_000);
  sockets.last.events.opened();
  expect(told).toEqual(["reopened"]);
  expect(states).toEqual(["connecting", "live", "reconnecting", "live"]);
});

test("[U6] after three tries in vain the session is asked about", async () => {
  const { clock, sockets, told, connection } = setUp();
  connection.watch({ kind: "organization" });
  for (let tries = 0; tries < 3; tries++) {
    sockets.last.events.closed(1006);
    if (tries < 2) await clock.pass(30_000);
  }
  expect(told).toEqual(["doubt"]);
});

test("[U6] when the network is back the next try is made at once", async () => {
  const { clock, sockets, connection } = setUp(() => 1);
  connection.watch({ kind: "organization" });
  for (let tries = 0; tries < 4; tries++) {
    sockets.last.events.closed(1006);
    await clock.pass(tries < 3 ? 60_000 : 0);
  }
  const before = sockets.sockets.length;
  connection.retryNow();
  expect(sockets.sockets).toHaveLength(before + 1);
  connection.retryNow();
  expect(sockets.sockets).toHaveLength(before + 1);
});

test("[U7] close code 4401 ends the watching and says so; 4402 only reconnects", async () => {
  const { clock, sockets, told, states, connection } = setUp();
  connection.watch({ kind: "organization" });
  sockets.last.events.opened();
  sockets.last.events.closed(4402);
  await clock.pass(1_000);
  expect(sockets.sockets).toHaveLength(2);
  sockets.last.events.opened();
  sockets.last.events.closed(4401);
  await clock.pass(120_000);
  expect(sockets.sockets).toHaveLength(2);
  expect(told).toEqual(["reopened", "signed out"]);
  expect(states.at(-1)).toBe("off");
});

test("[U8] a message type this page does not know is ignored, and so is what is no JSON", () => {
  const { sockets, heard, connection } = setUp();
  connection.watch({ kind: "organization" });
  sockets.last.events.opened();
  for (const text of ['{"type":"weather"}', "{broken", "q", "", "null", "[]"])
    sockets.last.events.received(text);
  sockets.last.say({ type: "agent", agentId: "agt_1", online: true });
  expect(heard).toEqual([{ type: "agent", agentId: "agt_1", online: true }]);
});
