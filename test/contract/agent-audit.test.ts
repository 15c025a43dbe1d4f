/** What agents do, as the audit log tells it. */
import { beforeAll, expect, test } from "vitest";
import { ZERO_TOTALS } from "../../schema/job.ts";
import {
  asMachine,
  MACHINE,
  makeJob,
  makeOrganization,
  registerAgent,
  type Organization,
} from "./harness.ts";
import { Machine } from "./machine.ts";

let org: Organization;
beforeAll(async () => {
  org = await makeOrganization();
});

interface Entry {
  readonly action: string;
  readonly objectId: string;
  readonly actorKind: string;
  readonly details: Record<string, unknown> | null;
}
/** The entries of an action about a thing, once there are so many. */
async function entries(action: string, objectId: string, count: number): Promise<Entry[]> {
  const untilMs = Date.now() + 10_000;
  for (;;) {
    const { items } = await org.people.owner.get<{ items: Entry[] }>(`/api/audit?limit=100&action=${action}`);
    const found = items.filter((entry) => entry.objectId === objectId);
    if (found.length >= count || Date.now() > untilMs) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("[V15] a code that was revoked, used or has expired is told with its reason, one that never was is not", async () => {
  const { owner } = org.people;
  const use = async (code: string) =>
    (await asMachine("POST", "/api/agent/register", { code, ...MACHINE, name: "x" })).status;
  const revoked = await owner.post<{ id: string; code: string }>("/api/registration-codes", {});
  await owner.post(`/api/registration-codes/${revoked.id}/revoke`);
  const used = await owner.post<{ id: string; code: string }>("/api/registration-codes", {});
  expect(await use(used.code)).toBe(201);
  expect([await use(revoked.code), await use(used.code), await use("ABCD2345")]).toEqual([403, 403, 403]);
  for (const [code, reason] of [
    [revoked, "revoked"],
    [used, "used"],
  ] as const) {
    const [entry, ...more] = await entries("code.refused", code.id, 1);
    expect(entry).toMatchObject({ actorKind: "system", details: { reason } });
    expect(more).toEqual([]);
  }
});

test("[V15] a session that another program of the agent took over is told, one of the same program is not", async () => {
  const { agentId, key } = await registerAgent(org.people.owner, "superseded");
  const machine = new Machine(key);
  await machine.connect();
  await machine.connect();
  const other = Object.assign(new Machine(key, "two"), { generation: machine.generation });
  await other.connect();
  const told = await entries("agent.superseded", agentId, 1);
  expect(told.map(({ details }) => details)).toEqual([{ host: "fs01" }]);
});

test("[V15] what an agent refuses to do is told with its reason, once", async () => {
  const { agentId, key } = await registerAgent(org.people.owner, "refusing");
  const job = await makeJob(org.people.owner, { projectId: org.projectId, agentId });
  const machine = new Machine(key);
  await machine.connect();
  const refusal = { type: "applied", jobId: job.id, epoch: 1, rev: 1, result: "refused" };
  const reason = { code: "SOURCE_REFUSED", message: "It is the system's own folder" };
  machine.say({ ...refusal, ...reason });
  machine.say({ ...refusal, ...reason });
  // Of a job that is another agent's nothing is believed.
  machine.say({ ...refusal, jobId: org.jobId, ...reason });
  const told = await entries("job.refused_by_agent", job.id, 1);
  expect(told.map(({ details }) => details)).toEqual([{ agentId, ...reason }]);
  expect((await entries("job.refused_by_agent", org.jobId, 0)).length).toBe(0);
});

test("[V15] removed source files are told with counts and the list's digest, once", async () => {
  const { agentId, key } = await registerAgent(org.people.owner, "removing");
  const job = await makeJob(org.people.owner, { projectId: org.projectId, agentId });
  const machine = new Machine(key);
  await machine.connect();
  const at = new Date().toISOString();
  const sha256 = "ab".repeat(32);
  const result = {
    type: "result",
    eventSeq: 1,
    jobId: job.id,
    epoch: 1,
    report: {
      outcome: "completed",
      error: null,
      totals: ZERO_TOTALS,
      startedAt: at,
      finishedAt: at,
      activeMs: 1,
      verification: "chain",
      removal: { files: 7, bytes: 700, dryRun: false, filesPurged: 0, stays: {} },
      manifest: { sha256, rows: 7 },
    },
  };
  machine.say(result);
  machine.say(result);
  const told = await entries("job.sources_removed", job.id, 1);
  const details = { epoch: 1, files: 7, bytes: 700, dryRun: false, filesPurged: 0, manifestSha256: sha256 };
  expect(told.map((entry) => entry.details)).toEqual([details]);
});
