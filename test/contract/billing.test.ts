/** Hub Billing: what is counted, which days are told, and that none is lost or told twice. D1 and HTTP are real. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { jobRecord } from "../../durable-objects/job-record.ts";
import { ZERO_TOTALS } from "../../schema/job.ts";
import { scopedDb } from "../../schema/scoped-db.ts";
import { writeUsage } from "../../worker/outbox/billing.ts";
import { deliverDue, type OutboxWorld } from "../../worker/outbox/deliver.ts";
import {
  controlPlane,
  makeJob,
  makeOrganization,
  SECRETS_KEYS,
  type ControlPlane,
  type Organization,
} from "./harness.ts";
import { answers, losesAnswer, startReceiver, type Receiver } from "./receiver.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const KEY = "billing-key-0123456789";

let plane: ControlPlane;
let database: D1Database;
let receiver: Receiver;
let org: Organization;
/** Midnight in UTC, of a day long after all that other tests have made. */
let day0Ms: number;
let clockMs: number;

beforeAll(async () => {
  plane = await controlPlane();
  // The linter does not know the types of the Worker here.
  // oxlint-disable-next-line typescript/no-unnecessary-type-assertion
  database = plane.database as unknown as D1Database;
  receiver = await startReceiver();
});
afterAll(async () => await receiver.stop());
beforeEach(async () => {
  receiver.forget();
  org = await makeOrganization();
  day0Ms = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  clockMs = Date.now();
});

function world(): OutboxWorld {
  return {
    database,
    settings: {
      appUrl: "https://app.example.com",
      bus: null,
      billing: { url: `${receiver.origin}/billing`, key: KEY },
      mail: { kind: "off" },
      isDevelopment: true,
      secretsKeys: SECRETS_KEYS,
    },
    fetch: async (url, init) => await fetch(url, init),
    now: () => clockMs,
    pause: async () => undefined,
    answerLimitMs: 300,
    random: () => 1,
    log: () => undefined,
  };
}

/** What the sweep of that minute does. Other tests' organizations stand in the same database. */
async function sweep(atMs: number): Promise<void> {
  clockMs = atMs;
  while ((await writeUsage(database, atMs)) > 0);
  await deliverDue(world(), org.orgId);
}

interface Usage {
  readonly day: string;
  readonly organization_id: string;
  readonly tenant_id: string;
  readonly bytes_transferred: number;
  readonly gb_transferred: number;
  readonly mailbox_count: number;
}
function usages(): Usage[] {
  return receiver.received("/billing/usage").map(({ body }) => JSON.parse(body) as Usage);
}
function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

async function reports(jobId: string, bytesSent: number, atMs: number, seq: number): Promise<void> {
  const totals = { ...ZERO_TOTALS, bytesSent, filesCompleted: 1 };
  const at = new Date(atMs).toISOString();
  const event = { kind: "phase" as const, phase: "running" as const, totals };
  const record = jobRecord(scopedDb(database, org.orgId), org.agentId);
  await record.phase({ type: "event", eventSeq: seq, jobId, epoch: 1, at, event }, atMs);
}

test("[O11] the day before is told from 01:15 UTC on, once, with what was really uploaded on that day", async () => {
  const second = await makeJob(org.people.owner, { projectId: org.projectId, agentId: org.agentId });
  await reports(org.jobId, 1_000_000_000, day0Ms + DAY_MS + 1, 1);
  // The same again, and an older one that was kept back: neither counts.
  await reports(org.jobId, 1_000_000_000, day0Ms + DAY_MS + 2, 1);
  await reports(org.jobId, 400, day0Ms + DAY_MS + 3, 2);
  await reports(second.id, 500_000_000, day0Ms + DAY_MS + 4, 1);
  await reports(org.jobId, 3_000_000_000, day0Ms + 2 * DAY_MS + 5, 3);
  await sweep(day0Ms + 2 * DAY_MS + 74 * MINUTE_MS);
  // Today has no bytes, and is told all the same: nothing and nothing heard are two things.
  expect(usages().map(({ day, bytes_transferred }) => [day, bytes_transferred])).toEqual([
    [dayOf(day0Ms), 0],
  ]);
  receiver.forget();
  await sweep(day0Ms + 2 * DAY_MS + 75 * MINUTE_MS);
  expect(usages()).toEqual([
    {
      source: "migrate",
      organization_id: org.orgId,
      tenant_id: org.tenantId,
      day: dayOf(day0Ms + DAY_MS),
      bytes_transferred: 1_500_000_000,
      gb_transferred: 1.5,
      mailbox_count: 0,
    },
  ]);
  expect(receiver.received()[0]?.headers).toMatchObject({
    "idempotency-key": `${org.orgId}/${dayOf(day0Ms + DAY_MS)}`,
    authorization: `Bearer ${KEY}`,
  });
  receiver.forget();
  await sweep(day0Ms + 2 * DAY_MS + 76 * MINUTE_MS);
  expect(usages()).toEqual([]);
  await sweep(day0Ms + 3 * DAY_MS + 75 * MINUTE_MS);
  // What this day has added, and not what the run has sent in all.
  expect(usages().map(({ day, bytes_transferred }) => [day, bytes_transferred])).toEqual([
    [dayOf(day0Ms + 2 * DAY_MS), 2_000_000_000],
  ]);
});

test("[O11] days that were missed are caught up, each with its own bytes", async () => {
  await reports(org.jobId, 100, day0Ms + 1 * DAY_MS, 1);
  await reports(org.jobId, 350, day0Ms + 3 * DAY_MS, 2);
  await sweep(day0Ms + 5 * DAY_MS + 76 * MINUTE_MS);
  const told = usages().toSorted((a, b) => (a.day < b.day ? -1 : 1));
  expect(told.map(({ day, bytes_transferred }) => [day, bytes_transferred])).toEqual([
    [dayOf(day0Ms), 0],
    [dayOf(day0Ms + DAY_MS), 100],
    [dayOf(day0Ms + 2 * DAY_MS), 0],
    [dayOf(day0Ms + 3 * DAY_MS), 250],
    [dayOf(day0Ms + 4 * DAY_MS), 0],
  ]);
});

test("[O11] usage is owed: whatever is answered, it is sent again under its key until it is taken", async () => {
  receiver.behave("/billing/usage", answers(400));
  await sweep(day0Ms + DAY_MS + 75 * MINUTE_MS);
  receiver.behave("/billing/usage", losesAnswer);
  for (let hours = 1; hours < 60; hours++) await sweep(day0Ms + DAY_MS + (75 + 61 * hours) * MINUTE_MS);
  const keys = receiver.received().map(({ headers }) => headers["idempotency-key"]);
  expect(keys.length).toBeGreaterThan(50);
  receiver.forget();
  await sweep(day0Ms + 40 * DAY_MS);
  expect(usages().map(({ day }) => day)).toContain(dayOf(day0Ms));
});
