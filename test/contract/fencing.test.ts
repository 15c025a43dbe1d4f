/** The agent's production session at the real object, when another program comes with its key. */
import { beforeAll, expect, test } from "vitest";
import { ZERO_TOTALS } from "../../schema/job.ts";
import { RecordedAgent } from "./golden-agent.ts";
import { controlPlane, makeJob, makeOrganization, registerAgent, type Organization } from "./harness.ts";
import { Machine } from "./machine.ts";

let origin: string;
let org: Organization;
beforeAll(async () => {
  ({ origin } = await controlPlane());
  org = await makeOrganization();
});

const holds = async (what: () => unknown) => await expect.poll(what, { timeout: 10_000 }).toBe(true);

test("[P16] superseded, a program loses its lease with that frame, and what it says behind it changes nothing", async () => {
  const { owner } = org.people;
  const { agentId, key } = await registerAgent(owner, "fenced");
  const { id: jobId } = await makeJob(owner, { projectId: org.projectId, agentId });
  const agent = new RecordedAgent(origin, { agentId, key });
  await holds(() => agent.work.taken.length === 1);
  expect(agent.lease.isLive).toBe(true);

  const other = new Machine(key, "another");
  other.generation = agent.generation;
  await other.connect();
  await holds(() => agent.lease.isFenced);
  expect(agent.lease.isLive).toBe(false);
  expect(agent.steps.at(-1)).toMatchObject({ kind: "closed", by: "hub", code: 4001 });
  const heard = agent.steps.filter(({ kind }) => kind === "hub").length;

  const failures = [{ path: "late", code: "source_denied", message: "no" }] as const;
  agent.work.tell({
    type: "event",
    jobId,
    epoch: 1,
    event: { kind: "files_failed", first: 0, failures: [...failures] },
  });
  other.say({
    type: "event",
    eventSeq: 1,
    jobId,
    epoch: 1,
    at: "2026-11-23T21:00:00.000Z",
    event: { kind: "phase", phase: "scanning", totals: ZERO_TOTALS },
  });
  await other.hear("ack");
  expect((await owner.get<{ items: unknown[] }>(`/api/jobs/${jobId}/failures`)).items).toEqual([]);
  expect(agent.steps.filter(({ kind }) => kind === "hub")).toHaveLength(heard);
  agent.stop.abort();
  await agent.end;
  other.line?.close(1000);
});
