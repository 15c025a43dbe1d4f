/** An agent's identity in the real Worker: a copy is locked, an admin unlocks, a key is replaced underneath. */
import { createHash } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { SUBPROTOCOL } from "../../schema/protocol.ts";
import {
  asMachine,
  controlPlane,
  makeJob,
  makeOrganization,
  registerAgent,
  unique,
  upgrade,
  type ControlPlane,
  type Organization,
} from "./harness.ts";
import { Machine, messagesOf } from "./machine.ts";

let plane: ControlPlane;
let org: Organization;
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
});

async function statusOf(agentId: string): Promise<string> {
  return (await org.people.owner.get<{ status: string }>(`/api/agents/${agentId}`)).status;
}
async function until(holds: () => Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + 10_000;
  while (!(await holds()) && Date.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await holds()).toBe(true);
}

describe("a copy", () => {
  test("[L15] of an agent locks it; everybody is told, and nobody gets in with its key", async () => {
    const { agentId, key } = await registerAgent(org.people.owner, "copied");
    const job = await makeJob(org.people.owner, { projectId: org.projectId, agentId });
    const machine = new Machine(key);
    await machine.connect();
    machine.line?.close(1000);
    const copy = machine.copy();
    await machine.connect();
    await until(async () => (await statusOf(agentId)) === "online");
    const live = machine.line?.closed;
    expect(await copy.connect()).toBe(4423);
    expect(await live).toBe(4001);
    expect(await statusOf(agentId)).toBe("locked");
    const { items } = await org.people.owner.get<{ items: { action: string; objectId: string }[] }>(
      "/api/audit?limit=20",
    );
    expect(items.filter(({ objectId }) => objectId === agentId).map(({ action }) => action)).toContain(
      "agent.locked",
    );

    const asked = await asMachine("POST", "/api/agent/grants", { jobId: job.id, epoch: 1 }, key);
    expect(asked).toMatchObject({
      status: 423,
      body: {
        code: "AGENT_LOCKED",
        error: expect.stringContaining("used from two places; an admin unlocks it"),
      },
    });
    const socket = await upgrade("/api/agent/session", {
      authorization: `Bearer ${key}`,
      "sec-websocket-protocol": SUBPROTOCOL,
    });
    expect(socket.status).toBe(423);
    const { status } = await org.people.owner.get<{ status: string }>(`/api/jobs/${job.id}`);
    expect(status).toBe("created");
    const another = await org.people.owner.json("POST", "/api/jobs", {
      projectId: org.projectId,
      agentId,
      name: "x",
      type: "migrate_files",
      source: { kind: "local", path: "/srv" },
      destination: { prefix: unique() },
    });
    expect(another).toMatchObject({
      status: 400,
      body: { details: { fields: { agentId: expect.stringContaining("locked") } } },
    });
  });

  test("[L17] an admin unlocks it; the one that connects next is the agent, also after the object slept", async () => {
    const { agentId, key } = await registerAgent(org.people.owner, "restored");
    const machine = new Machine(key);
    await machine.connect();
    machine.line?.close(1000);
    const restored = machine.copy();
    await machine.connect();
    expect(await restored.connect()).toBe(4423);
    expect((await org.people.member.json("POST", `/api/agents/${agentId}/unlock`)).status).toBe(403);
    expect(await org.people.admin.post(`/api/agents/${agentId}/unlock`)).toMatchObject({ status: "offline" });
    await plane.hibernate(agentId);
    expect(await restored.connect()).toMatchObject({ type: "welcome" });
    await until(async () => (await statusOf(agentId)) === "online");
    expect(await machine.connect()).toBe(4423);
  });

  test("[L17] what was revoked is not unlocked", async () => {
    const { agentId } = await registerAgent(org.people.owner, "revoked");
    await org.people.owner.post(`/api/agents/${agentId}/revoke`);
    expect((await org.people.owner.json("POST", `/api/agents/${agentId}/unlock`)).status).toBe(409);
  });
});

describe("a key", () => {
  test("[L16] of 30 days is replaced: the new one works at once, the old one until it was stored, and nothing of it rests", async () => {
    const { agentId, key } = await registerAgent(org.people.owner, "rotated");
    const machine = new Machine(key);
    await machine.connect();
    machine.line?.close(1000);
    await plane.objectRows(agentId, "update identity set key_made_ms = key_made_ms - 30 * 86400000");
    await machine.connect();
    const offer = await machine.line?.next((text) =>
      messagesOf(text).find(({ type }) => type === "rotate_key"),
    );
    const next = offer?.key ?? "";
    expect(next).toMatch(new RegExp(`^mig_agt1_${agentId}_`));
    const isGood = async (which: string) =>
      (await asMachine("GET", `/api/agent/jobs/${org.jobId}/only?epoch=1`, undefined, which)).status !== 401;
    expect([await isGood(key), await isGood(next)]).toEqual([true, true]);
    machine.say({ type: "key_stored" });
    await until(async () => !(await isGood(key)));
    expect(await isGood(next)).toBe(true);
    // The session went on all the while.
    expect(await statusOf(agentId)).toBe("online");
    machine.key = next;
    expect(await machine.connect()).toMatchObject({ type: "welcome" });
    const rows = JSON.stringify(await plane.objectRows(agentId, "select * from identity"));
    expect(rows).toContain(createHash("sha256").update(next).digest("hex"));
    expect(rows).not.toContain(next);
    expect(plane.logs().join("\n")).not.toContain(next.slice(-40, -10));
    const { items } = await org.people.owner.get<{ items: { action: string; objectId: string }[] }>(
      "/api/audit?limit=20",
    );
    expect(items.filter(({ objectId }) => objectId === agentId).map(({ action }) => action)).toContain(
      "agent.key_rotated",
    );
  });
});
