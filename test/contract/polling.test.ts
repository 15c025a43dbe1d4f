/** The long poll at the real Worker, object and D1: what a socket would say, over requests. */
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { beforeAll, expect, test } from "vitest";
import {
  HEARTBEAT,
  HEARTBEAT_ANSWER,
  SUBPROTOCOL,
  type AgentMessage,
  type HubMessage,
  type SyncAnswer,
} from "../../schema/protocol.ts";
import {
  asMachine,
  controlPlane,
  Line,
  makeJob,
  makeOrganization,
  registerAgent,
  type Browser,
  type Organization,
} from "./harness.ts";
import { Machine } from "./machine.ts";

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
  connection: "long_poll",
  applied: {},
} as const;

let org: Organization;
let owner: Browser;
beforeAll(async () => {
  await controlPlane();
  org = await makeOrganization();
  ({ owner } = org.people);
});

/** An agent that polls, and says what a test wants. */
class PollingAgent {
  readonly key: string;
  readonly name = randomBytes(16).toString("hex");
  s = 0;
  n = 0;
  received = 0;

  constructor(key: string) {
    this.key = key;
  }

  async ask(more: Record<string, unknown> = {}): Promise<SyncAnswer> {
    const body = {
      line: this.name,
      frame: null,
      received: this.received,
      waitSeconds: 0,
      close: null,
      ...more,
    };
    const answer = await asMachine("POST", "/api/agent/sync", body, this.key);
    expect(answer.status).toBe(200);
    return answer.body as SyncAnswer;
  }

  frame(...m: readonly (AgentMessage | typeof HELLO)[]) {
    return { v: 1, s: this.s, n: ++this.n, a: this.received, m };
  }

  async welcomed(): Promise<Extract<HubMessage, { type: "welcome" }>> {
    const welcome = heard(await this.ask({ frame: this.frame(HELLO) }), "welcome");
    this.s = welcome.sessionEpoch;
    return welcome;
  }
}

/** A poll that is held by now, of which nothing is to be seen from outside. */
async function hold(agent: PollingAgent): Promise<{ readonly answer: Promise<SyncAnswer> }> {
  const answer = agent.ask({ waitSeconds: 25 });
  await new Promise((resolve) => setTimeout(resolve, 500));
  return { answer };
}

function heard<Type extends HubMessage["type"]>(
  answer: SyncAnswer,
  type: Type,
): Extract<HubMessage, { type: Type }> {
  const messages = answer.frames.flatMap(({ m }) => m as HubMessage[]);
  const found = messages.find(
    (message): message is Extract<HubMessage, { type: Type }> => message.type === type,
  );
  if (found === undefined) throw new Error(`No "${type}" in ${JSON.stringify(answer)}`);
  return found;
}

const statusOf = async (id: string) =>
  await owner.get<{ status: string; connection: string }>(`/api/agents/${id}`);

test("[L18] a frame said twice is taken once, and its answer comes again until it has arrived", async () => {
  const { agentId, key } = await registerAgent(owner, "polls");
  const { id: jobId } = await makeJob(owner, { projectId: org.projectId, agentId });
  const agent = new PollingAgent(key);
  const hello = agent.frame(HELLO);
  const first = heard(await agent.ask({ frame: hello }), "welcome");
  const again = await agent.ask({ frame: hello });
  expect(heard(again, "welcome")).toEqual(first);
  expect(again.closed).toBeNull();
  expect(first.desired).toMatchObject([{ jobId, rev: 1, state: "run" }]);
  expect(await statusOf(agentId)).toMatchObject({ status: "online", connection: "long_poll" });
  [agent.s, agent.received] = [first.sessionEpoch, 1];
  const at = new Date().toISOString();
  const failure = { path: "a", code: "source_denied", message: "no" } as const;
  const event = agent.frame({
    type: "event",
    eventSeq: 1,
    jobId,
    epoch: 1,
    at,
    event: { kind: "files_failed", first: 0, failures: [failure] },
  });
  expect(heard(await agent.ask({ frame: event }), "ack").eventSeq).toBe(1);
  expect(heard(await agent.ask({ frame: event }), "ack").eventSeq).toBe(1);
  expect((await owner.get<{ items: unknown[] }>(`/api/jobs/${jobId}/failures`)).items).toHaveLength(1);
  agent.received = 2;
  expect(await agent.ask()).toEqual({ frames: [], closed: null });
  await agent.ask({ close: 1000 });
  expect(await statusOf(agentId)).toMatchObject({ status: "offline" });
});

test("[L18] a poll that is held brings what is wanted meanwhile", async () => {
  const { agentId, key } = await registerAgent(owner, "waits");
  const agent = new PollingAgent(key);
  await agent.welcomed();
  agent.received = 1;
  const held = await hold(agent);
  const askedMs = Date.now();
  const { id: jobId } = await makeJob(owner, { projectId: org.projectId, agentId });
  expect(heard(await held.answer, "desired")).toMatchObject({ jobId, rev: 1 });
  // Not by the end of the wait.
  expect(Date.now() - askedMs).toBeLessThan(20_000);
}, 40_000);

test("[L18] a line and a socket supersede each other with 4001, and a closed line stays closed", async () => {
  const { agentId, key } = await registerAgent(owner, "both");
  const agent = new PollingAgent(key);
  await agent.welcomed();
  const headers = { authorization: `Bearer ${key}` };
  const socket = await Line.open("/api/agent/session", { headers, protocols: [SUBPROTOCOL] });
  socket.send(JSON.stringify({ v: 1, s: 0, n: 1, a: 0, m: [{ ...HELLO, connection: "websocket" }] }));
  await socket.next((text) => (text.includes('"welcome"') ? true : undefined));
  expect((await agent.ask()).closed?.code).toBe(4001);
  expect((await agent.ask({ frame: { v: 1, s: 0, n: 1, a: 0, m: [HELLO] } })).closed?.code).toBe(4001);
  expect(await statusOf(agentId)).toMatchObject({ status: "online", connection: "websocket" });

  const newer = new PollingAgent(key);
  await newer.welcomed();
  expect(await socket.closed).toBe(4001);
  expect(await statusOf(agentId)).toMatchObject({ status: "online", connection: "long_poll" });
});

test("[L18] a poll that is held hears of the revocation; another agent's line, and one nobody began, are closed", async () => {
  const { agentId, key } = await registerAgent(owner, "revoked");
  const agent = new PollingAgent(key);
  await agent.welcomed();
  agent.received = 1;
  const foreign = new PollingAgent(org.agentKey);
  Object.assign(foreign, { name: agent.name });
  expect(await foreign.ask()).toMatchObject({ frames: [], closed: { code: 1011 } });
  const held = await hold(agent);
  await owner.post(`/api/agents/${agentId}/revoke`);
  expect((await held.answer).closed?.code).toBe(4403);
}, 40_000);

test("[L18] what breaks the protocol closes the line with 4008; a browser and a cookie get nothing", async () => {
  const { key } = await registerAgent(owner, "breaks");
  const agent = new PollingAgent(key);
  await agent.welcomed();
  agent.s += 7;
  expect((await agent.ask({ frame: agent.frame({ type: "ready" }) })).closed?.code).toBe(4008);
  const body = { line: agent.name, frame: null, received: 0, waitSeconds: 0, close: null };
  expect((await asMachine("POST", "/api/agent/sync", body)).status).toBe(401);
  expect((await asMachine("POST", "/api/agent/sync", { ...body, waitSeconds: 26 }, key)).status).toBe(400);
  const sent = { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  expect((await owner.fetch("/api/agent/sync", { method: "POST", ...sent })).status).toBe(401);
});

/** An upgrade for a protocol that is not spoken here, as nothing but the doctor says it. */
async function askInVain(key: string): Promise<{ status: number; body: string }> {
  const { origin } = await controlPlane();
  return await new Promise((resolve, reject) => {
    const asked = request(`${origin}/api/agent/session`, {
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
        "Sec-WebSocket-Protocol": "only-looking",
        Authorization: `Bearer ${key}`,
      },
    });
    asked.on("error", reject);
    asked.on("upgrade", () => reject(new Error("It was upgraded")));
    asked.on("response", (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (piece: string) => (body += piece));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    asked.end();
  });
}

test("[A90] what an agent's doctor asks is answered as it expects, and an agent that runs keeps its connection", async () => {
  const { agentId, key } = await registerAgent(owner, "examined");
  // Before the agent is there: a connection that only looks.
  const looking = await Line.open("/api/agent/session", {
    headers: { authorization: `Bearer ${key}` },
    protocols: [SUBPROTOCOL],
  });
  looking.send(HEARTBEAT);
  expect(await looking.next((text) => text)).toBe(HEARTBEAT_ANSWER);
  looking.close(1000);
  await looking.closed;
  expect((await statusOf(agentId)).status).toBe("offline");
  const machine = new Machine(key);
  expect(await machine.connect()).toMatchObject({ type: "welcome", generation: 1 });
  const { status, body } = await askInVain(key);
  expect(status).toBe(400);
  expect(JSON.parse(body)).toMatchObject({
    code: "VALIDATION_ERROR",
    details: { fields: { "Sec-WebSocket-Protocol": expect.any(String) as string } },
  });
  expect(await new PollingAgent(key).ask()).toMatchObject({ frames: [], closed: { code: 1011 } });
  machine.line?.send(HEARTBEAT);
  expect(await machine.line?.next((text) => (text === HEARTBEAT_ANSWER ? text : undefined))).toBe(
    HEARTBEAT_ANSWER,
  );
  expect((await statusOf(agentId)).status).toBe("online");
  machine.line?.close(1000);
});
