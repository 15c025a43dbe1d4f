/**
 * That an agent which only waits costs nothing: its object is not in memory, and twenty heartbeats neither bring it back nor
 * touch a row. Counted by a subclass of the object in the Worker of the contract tests (`statements.ts`), in real workerd.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { ZERO_TOTALS } from "../../schema/job.ts";
import { PROTOCOL_VERSION, readHubFrame, SUBPROTOCOL, type AgentMessage } from "../../schema/protocol.ts";
import { controlPlane, Line, makeOrganization, type Organization } from "./harness.ts";
import type { Wakes } from "./statements.ts";

const BEATS = 20;
/** The runtime takes an object whose sockets can wait out of memory when it has had nothing to do for ten seconds. */
const HIBERNATED_MS = 11_500;
const AT = "2026-11-23T10:00:00.000Z";
const PHASE = { kind: "phase", phase: "running", totals: ZERO_TOTALS } as const;

interface IdleAgent {
  readonly line: Line;
  readonly agentId: string;
  readonly job: { readonly jobId: string; readonly epoch: number };
  say(message: AgentMessage): void;
}

/** One that said everything it has to say. */
async function idleAgent({ agentId, agentKey, jobId }: Organization): Promise<IdleAgent> {
  const headers = { authorization: `Bearer ${agentKey}` };
  const line = await Line.open("/api/agent/session", { headers, protocols: [SUBPROTOCOL] });
  let [sent, session] = [0, 0];
  const say = (message: AgentMessage) =>
    line.send(JSON.stringify({ v: PROTOCOL_VERSION, s: session, n: ++sent, a: 0, m: [message] }));
  say({
    type: "hello",
    protocolMin: PROTOCOL_VERSION,
    protocolMax: PROTOCOL_VERSION,
    agentVersion: "0.1.0",
    host: "fs01",
    os: "linux",
    arch: "x86_64",
    instanceId: "one",
    freeDiskBytes: null,
    applied: {},
  });
  const welcome = await line.next((text) =>
    readHubFrame(text).messages.find((message) => message.type === "welcome"),
  );
  session = welcome.sessionEpoch;
  say({ type: "ready" });
  for (const { epoch, rev } of welcome.desired) say({ type: "applied", jobId, epoch, rev, result: "ok" });
  return { line, agentId, job: { jobId, epoch: 1 }, say };
}

async function wakesOf({ agentId }: IdleAgent): Promise<Wakes> {
  const wakes = await (await controlPlane()).wakes(agentId);
  if (wakes === null) throw new Error("Cannot count: the Worker was built beforehand");
  return wakes;
}

/** Until all that was said is taken, and the object has nothing left to do. */
async function settled(agent: IdleAgent): Promise<Wakes> {
  for (let before = await wakesOf(agent); ;) {
    await sleep(250);
    const now = await wakesOf(agent);
    if (now.events === before.events && now.d1Statements === before.d1Statements) return now;
    before = now;
  }
}

async function beat({ line }: IdleAgent): Promise<void> {
  for (let beats = 0; beats < BEATS; beats++) {
    line.send("p");
    expect(await line.next((text) => text)).toBe("q");
  }
}

/** The counter sees what wakes the object: without this, one that stands still would prove nothing. */
async function wakeUp(agent: IdleAgent, before: Wakes): Promise<void> {
  agent.say({ type: "event", eventSeq: 1, ...agent.job, at: AT, event: PHASE });
  await agent.line.next((text) => readHubFrame(text).messages.find(({ type }) => type === "ack"));
  const after = await wakesOf(agent);
  expect(after.constructed).toBe(before.constructed + 1);
  expect(after.events).toBe(before.events + 1);
  expect(after.ownStatements).toBeGreaterThan(before.ownStatements);
  expect(after.d1Statements).toBeGreaterThan(before.d1Statements);
  agent.line.close();
}

test.concurrent("[L9] twenty heartbeats bring no object back that the runtime took out of memory, and touch no row", async () => {
  const agent = await idleAgent(await makeOrganization());
  const before = await settled(agent);
  expect(before.constructed).toBe(1);
  await (await controlPlane()).hibernate(agent.agentId);
  await beat(agent);
  expect(await wakesOf(agent)).toEqual(before);
  await wakeUp(agent, before);
});

test.concurrent("[L9] an object whose agent only beats is taken out of memory by the runtime: nothing in it holds it there", async () => {
  const agent = await idleAgent(await makeOrganization());
  const before = await settled(agent);
  // Beats in between, as they come; only the passing of time does it.
  for (let part = 0; part < 4; part++) {
    await sleep(HIBERNATED_MS / 4);
    agent.line.send("p");
    expect(await agent.line.next((text) => text)).toBe("q");
  }
  expect(await wakesOf(agent)).toEqual(before);
  // It was made anew for what came then, so it was gone.
  await wakeUp(agent, before);
});
