/**
 * What others are told of: written with what it tells of, handed over to a real receiver that fails in every way there is. The
 * clock is the test's, so that three days are over at once; D1 and HTTP are real.
 */
import { createHmac } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { jobRecord } from "../../durable-objects/job-record.ts";
import { ZERO_TOTALS, type JobReport } from "../../schema/job.ts";
import { scopedDb } from "../../schema/scoped-db.ts";
import { refuseConnection } from "../../worker/db/oauth-connections.ts";
import { lease, LEASE_MS } from "../../worker/db/outbox.ts";
import { findDueEntries } from "../../worker/db/sweep.ts";
import { deliverDue, type OutboxWorld } from "../../worker/outbox/deliver.ts";
import { warnOfLapses } from "../../worker/outbox/lapses.ts";
import {
  controlPlane,
  makeJob,
  makeOrganization,
  SECRETS_KEYS,
  unique,
  type Browser,
  type ControlPlane,
  type Organization,
} from "./harness.ts";
import {
  answers,
  drips,
  hangs,
  losesAnswer,
  startReceiver,
  type Behaviour,
  type Receiver,
} from "./receiver.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const BUS_KEY = `bus-key-${unique()}`;
const MAIL_KEY = `mail-key-${unique()}`;
/** The Bus is asked four times at once. */
const BUS_TRIES = 4;

let plane: ControlPlane;
let database: D1Database;
let receiver: Receiver;
let org: Organization;
let owner: Browser;
let clockMs: number;
let logged: string[];

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
  logged = [];
  // Far from now, so that the Worker itself, which tells others behind its answers, finds nothing that is due.
  clockMs = Date.now() + 100 * DAY_MS;
  org = await makeOrganization();
  owner = org.people.owner;
});

function world(settings: Partial<OutboxWorld["settings"]> = {}): OutboxWorld {
  return {
    database,
    settings: {
      appUrl: "https://app.example.com",
      bus: { url: receiver.origin, key: BUS_KEY },
      billing: { url: `${receiver.origin}/billing`, key: null },
      mail: {
        kind: "api",
        remote: { url: `${receiver.origin}/emails`, key: MAIL_KEY },
        from: "The One Migrate <noreply@example.com>",
      },
      isDevelopment: true,
      secretsKeys: SECRETS_KEYS,
      ...settings,
    },
    fetch: async (url, init) => await fetch(url, init),
    now: () => clockMs,
    pause: async () => undefined,
    answerLimitMs: 300,
    random: () => 1,
    log: (event, fields) => logged.push(JSON.stringify({ event, ...fields })),
  };
}

/** Time goes by, and the sweep comes. */
async function deliver(afterMs = 0, settings: Partial<OutboxWorld["settings"]> = {}): Promise<void> {
  clockMs += afterMs;
  await deliverDue(world(settings), org.orgId);
}

const record = (agentId = org.agentId) => jobRecord(scopedDb(database, org.orgId), agentId);

function reportOf(outcome: JobReport["outcome"], changes: Partial<JobReport> = {}): JobReport {
  const at = new Date(clockMs).toISOString();
  return {
    outcome,
    error:
      outcome === "failed"
        ? { code: "SOURCE_NOT_FOUND", message: 'Cannot list "/srv/files": it is not there' }
        : null,
    totals: { ...ZERO_TOTALS, filesTotal: 9, filesCompleted: 8, filesFailed: 1, bytesSent: 12_345_678 },
    startedAt: at,
    finishedAt: at,
    activeMs: 61_000,
    verification: "chain",
    manifest: null,
    ...changes,
  };
}

let eventSeq = 1;
async function ends(jobId: string, report: JobReport, epoch = 1): Promise<void> {
  await record().result({ type: "result", eventSeq: eventSeq++, jobId, epoch, report }, clockMs);
}
async function starts(jobId: string, epoch = 1): Promise<void> {
  const event = { kind: "phase" as const, phase: "scanning" as const, totals: ZERO_TOTALS };
  const at = new Date(clockMs).toISOString();
  await record().phase({ type: "event", eventSeq: eventSeq++, jobId, epoch, at, event }, clockMs);
}

interface WebhookMade {
  readonly id: string;
  readonly secret: string;
  readonly status: string;
  readonly reason: string | null;
}
async function makeWebhook(path: string, events?: string[]): Promise<WebhookMade> {
  const url = receiver.origin + path;
  return await owner.post("/api/webhooks", { url, ...(events === undefined ? {} : { events }) });
}
async function readWebhook(id: string): Promise<WebhookMade> {
  const { items } = await owner.get<{ items: WebhookMade[] }>("/api/webhooks");
  const found = items.find((one) => one.id === id);
  if (found === undefined) throw new Error("There is no such webhook");
  return found;
}

interface Row {
  readonly kind: string;
  readonly key: string;
  readonly payload: string;
  readonly attempts: number;
  readonly due_at: number | null;
  readonly sent_at: number | null;
  readonly given_up_at: number | null;
  readonly last_error: string | null;
}
async function rows(kind: string, like = "%"): Promise<Row[]> {
  const { results } = await plane.database
    .prepare("select * from outbox where org_id = ? and kind = ? and key like ? order by id")
    .bind(org.orgId, kind, like)
    .all<Row>();
  return results;
}

interface Event {
  readonly type: string;
  readonly title: string;
  readonly entity_id: string;
  readonly actor_id: string | null;
  readonly tenant_id: string;
  readonly metadata: Record<string, unknown>;
}
function busEvents(): Event[] {
  return receiver.received("/api/events").map(({ body }) => JSON.parse(body) as Event);
}

describe("what happened", () => {
  test("[O1] is told once, however often it is reported, and only by who may", async () => {
    for (let repeats = 0; repeats < 3; repeats++) {
      await starts(org.jobId);
      await record("agt_0000000000000000000000000000").result(
        { type: "result", eventSeq: 1, jobId: org.jobId, epoch: 1, report: reportOf("failed") },
        clockMs,
      );
      await ends(org.jobId, reportOf("completed"));
      await ends(org.jobId, reportOf("failed"));
      await deliver(MINUTE_MS);
    }
    // The only job of its project.
    expect(busEvents().map(({ type }) => type)).toEqual([
      "job.started",
      "job.completed",
      "project.completed",
    ]);
    expect(receiver.received("/emails").length).toBe(1);
  });

  test("[O1] a job that runs again is told of again", async () => {
    await starts(org.jobId);
    await ends(org.jobId, reportOf("failed"));
    await owner.post(`/api/jobs/${org.jobId}/retry`);
    await starts(org.jobId, 2);
    await ends(org.jobId, reportOf("completed"), 2);
    await deliver();
    expect(busEvents().map(({ type, metadata }) => [type, metadata["run"]])).toEqual([
      ["job.started", 1],
      ["job.failed", 1],
      ["job.started", 2],
      ["job.completed", 2],
      ["project.completed", undefined],
    ]);
    expect(receiver.received("/emails").length).toBe(2);
  });

  test("[O1] a project is complete with the last of its jobs, and not before", async () => {
    const second = await makeJob(owner, { projectId: org.projectId, agentId: org.agentId });
    await ends(org.jobId, reportOf("completed"));
    await deliver();
    expect(busEvents().map(({ type }) => type)).toEqual(["job.completed"]);
    await ends(second.id, reportOf("completed"));
    await deliver();
    expect(busEvents().map(({ type }) => type)).toEqual([
      "job.completed",
      "job.completed",
      "project.completed",
    ]);
    expect(busEvents().at(-1)?.entity_id).toBe(org.projectId);
  });

  test("[O1] who cancelled a job is named, and what its agent says of it later is nothing new", async () => {
    await owner.post(`/api/jobs/${org.jobId}/cancel`);
    clockMs = Date.now();
    await ends(org.jobId, reportOf("cancelled"));
    await record().applied({ jobId: org.jobId, epoch: 1, rev: 99 }, clockMs);
    const { user } = await owner.get<{ user: { id: string } }>("/api/session");
    const told = await rows("bus", "job.cancelled/%");
    expect(told.map(({ payload }) => (JSON.parse(payload) as { actorId: string }).actorId)).toEqual([
      user.id,
    ]);
    // Whoever cancels knows it.
    await deliver(MINUTE_MS);
    expect(await rows("mail")).toEqual([]);
  });

  test("[O1] an agent is told of when it comes and when it goes, not each time it is heard of", async () => {
    const hello = {
      type: "hello" as const,
      protocolMin: 1,
      protocolMax: 1,
      agentVersion: "0.1.0",
      host: "fs01",
      os: "linux" as const,
      arch: "x86_64" as const,
      instanceId: "one",
      freeDiskBytes: null,
      applied: {},
    };
    await record().online(hello, clockMs);
    await record().online(hello, clockMs + 1);
    await record().offline(clockMs + 2);
    await record().offline(clockMs + 3);
    await deliver(10);
    expect(busEvents().map(({ type, entity_id }) => [type, entity_id])).toEqual([
      ["agent.online", org.agentId],
      ["agent.offline", org.agentId],
    ]);
  });

  test("[O1] a connection that Microsoft refuses is told of for each project that uses it, however many", async () => {
    for (let index = 0; index < 24; index++) {
      await owner.post("/api/projects", {
        clientId: org.clientId,
        type: "file_migration",
        name: `more ${index}`,
        storage: { connectionId: org.connectionId, container: org.container },
      });
    }
    const sealed = await plane.database
      .prepare("select sealed_secret from storage_connections where id = ?")
      .bind(org.connectionId)
      .first<{ sealed_secret: string }>();
    const refusal = { id: org.connectionId, sealed: sealed?.sealed_secret ?? "", reason: "invalid_grant" };
    await refuseConnection(scopedDb(database, org.orgId), refusal);
    await refuseConnection(scopedDb(database, org.orgId), refusal);
    clockMs = Date.now();
    await deliver();
    const told = busEvents();
    expect(new Set(told.map(({ type }) => type))).toEqual(new Set(["project.auth_required"]));
    expect(told.length).toBe(25);
    expect(new Set(told.map(({ entity_id }) => entity_id)).size).toBe(25);
  });
});

describe("who is told", () => {
  test("[O2] the Bus of everything, a webhook of what it asked for, the maker of a job by mail of its end", async () => {
    await makeWebhook("/all");
    await makeWebhook("/ends", ["job.completed", "job.failed"]);
    await starts(org.jobId);
    await ends(org.jobId, reportOf("failed"));
    await deliver();
    const typesOf = (path: string) =>
      receiver.received(path).map(({ body }) => (JSON.parse(body) as { type: string }).type);
    expect(typesOf("/api/events")).toEqual(["job.started", "job.failed"]);
    expect(typesOf("/all")).toEqual(["job.started", "job.failed"]);
    expect(typesOf("/ends")).toEqual(["job.failed"]);
    const [event] = busEvents();
    expect(event).toMatchObject({ tenant_id: org.tenantId, entity_id: org.jobId });
    expect(receiver.received("/api/events")[0]?.headers["x-integration-key"]).toBe(BUS_KEY);
    // Whose webhook it is, it knows itself.
    expect(receiver.received("/all")[0]?.body).not.toContain(org.tenantId);
    const [mail] = receiver.received("/emails");
    expect(mail?.headers.authorization).toBe(`Bearer ${MAIL_KEY}`);
    const said = JSON.parse(mail?.body ?? "{}") as { to: string[]; subject: string; text: string };
    expect(said.to).toEqual([`owner@${org.canary}.example`]);
    expect(said.subject).toMatch(/^Job failed: /);
    expect(said.text).toContain('Cannot list "/srv/files": it is not there');
    expect(said.text).toContain(`https://app.example.com/jobs/${org.jobId}`);
  });

  test("[O2] nobody is told of what another organization does", async () => {
    const other = await makeOrganization();
    await makeWebhook("/ours");
    await jobRecord(scopedDb(database, other.orgId), other.agentId).result(
      { type: "result", eventSeq: 1, jobId: other.jobId, epoch: 1, report: reportOf("completed") },
      clockMs,
    );
    await deliver();
    expect(receiver.received()).toEqual([]);
    await deliverDue(world(), other.orgId);
    expect(receiver.received("/ours")).toEqual([]);
    expect(busEvents().every(({ tenant_id }) => tenant_id === other.tenantId)).toBe(true);
  });

  test("[O2] what is not set up is told nobody, and waits for nobody", async () => {
    await ends(org.jobId, reportOf("completed"));
    await deliver(0, { bus: null, mail: { kind: "off" } });
    expect(receiver.received()).toEqual([]);
    expect((await rows("bus")).every(({ sent_at }) => sent_at !== null)).toBe(true);
    expect(await rows("mail")).toEqual([]);
  });

  test("[O3] a webhook's delivery is signed, so that anybody with the secret can check it", async () => {
    const { secret } = await makeWebhook("/signed");
    await ends(org.jobId, reportOf("completed"));
    await deliver();
    const [request] = receiver.received("/signed");
    const {
      "webhook-id": id,
      "webhook-timestamp": at,
      "webhook-signature": signature,
    } = request?.headers ?? {};
    const key = Buffer.from(secret.replace("whsec_", ""), "base64");
    const expected = createHmac("sha256", key)
      .update(`${String(id)}.${String(at)}.${request?.body}`)
      .digest("base64");
    expect(signature).toBe(`v1,${expected}`);
    expect(Number(at)).toBe(Math.floor(clockMs / 1_000));
  });
});

describe("a receiver that fails", () => {
  /** All of them say that nothing was taken, or nothing of it. */
  const AWAY: Readonly<Record<string, Behaviour>> = {
    "500": answers(500),
    "503 with Retry-After": answers(503, { "retry-after": "1" }),
    "429": answers(429),
    "401": answers(401),
    "404": answers(404),
    "a redirect": answers(302, { location: "/elsewhere" }),
    "a lost answer": losesAnswer,
    silence: hangs,
  };
  for (const [name, behaviour] of Object.entries(AWAY)) {
    test(`[O4] ${name}: it is told later, the same under the same key, and each receiver after its own time`, async () => {
      await makeWebhook("/hook");
      for (const path of ["/api/events", "/emails", "/hook"]) receiver.behave(path, behaviour);
      await ends(org.jobId, reportOf("completed"));
      await deliver();
      const first = {
        mail: receiver.received("/emails")[0],
        hook: receiver.received("/hook")[0],
        bus: receiver.received("/api/events")[0],
      };
      expect(receiver.received("/elsewhere")).toEqual([]);
      expect(receiver.received("/emails").length).toBe(1);
      // The second event for it was not even tried.
      expect(receiver.received("/hook").length).toBe(1);
      await deliver(20_000);
      expect(receiver.received("/emails").length + receiver.received("/hook").length).toBe(2);
      receiver.forget();
      await deliver(10 * MINUTE_MS);
      const [mail] = receiver.received("/emails");
      const hooks = receiver.received("/hook");
      expect([mail?.body, mail?.headers["idempotency-key"]]).toEqual([
        first.mail?.body,
        first.mail?.headers["idempotency-key"],
      ]);
      const again = hooks.find(({ headers }) => headers["webhook-id"] === first.hook?.headers["webhook-id"]);
      expect(again?.body).toBe(first.hook?.body);
      expect(again?.headers["webhook-signature"]).not.toBe(first.hook?.headers["webhook-signature"]);
      const bus = receiver.received("/api/events");
      expect(bus.map(({ headers }) => headers["idempotency-key"])).toContain(
        first.bus?.headers["idempotency-key"],
      );
      // Everything once.
      expect([bus.length, hooks.length, receiver.received("/emails").length]).toEqual([2, 2, 1]);
      await deliver(DAY_MS);
      expect(receiver.received().length).toBe(5);
    });
  }

  test("[O4] the Bus is asked four times at once where it or the line is at fault, and once where we are", async () => {
    for (const [behaviour, tries] of [
      [answers(502), BUS_TRIES],
      [losesAnswer, BUS_TRIES],
      [answers(401), 1],
    ] as const) {
      receiver.forget();
      receiver.behave("/api/events", behaviour);
      const job = await makeJob(owner, { projectId: org.projectId, agentId: org.agentId });
      await starts(job.id);
      await deliver(HOUR_MS);
      expect(receiver.received("/api/events").length).toBe(tries);
      // What waits is told before the next.
      receiver.forget();
      await deliver(HOUR_MS);
    }
  });

  test("[O4] what will never be taken is not sent again, and its reason is kept", async () => {
    receiver.behave("/emails", answers(422));
    receiver.behave("/api/events", answers(400));
    await ends(org.jobId, reportOf("failed"));
    await deliver();
    await deliver(DAY_MS);
    expect(receiver.received("/emails").length).toBe(1);
    expect(receiver.received("/api/events").length).toBe(1);
    const [mail] = await rows("mail");
    expect(mail).toMatchObject({ due_at: null, last_error: "It answered 422" });
    expect(mail?.given_up_at).not.toBeNull();
  });

  test("[O4] an answer without an end is an answer", async () => {
    receiver.behave("/emails", drips);
    await ends(org.jobId, reportOf("failed"));
    await deliver();
    await deliver(DAY_MS);
    expect(receiver.received("/emails").length).toBe(1);
  });

  test("[O5] one receiver that is away holds up no other, and takes none of its time again", async () => {
    await makeWebhook("/hangs");
    await makeWebhook("/works");
    receiver.behave("/hangs", hangs);
    receiver.behave("/api/events", hangs);
    for (let index = 0; index < 5; index++) {
      const job = await makeJob(owner, { projectId: org.projectId, agentId: org.agentId });
      await ends(job.id, reportOf("failed"));
    }
    await deliver();
    expect(receiver.received("/works").length).toBe(5);
    expect(receiver.received("/emails").length).toBe(5);
    expect(receiver.received("/hangs").length).toBe(1);
    expect(receiver.received("/api/events").length).toBe(BUS_TRIES);
  });

  test("[O6] a mail is given up before a provider forgets its key; usage never; the Bus after a week", async () => {
    receiver.behave("/emails", answers(500));
    receiver.behave("/api/events", answers(500));
    await ends(org.jobId, reportOf("failed"));
    const beganMs = clockMs;
    while (clockMs - beganMs < 8 * DAY_MS) await deliver(HOUR_MS + MINUTE_MS);
    const [mail] = await rows("mail");
    const [bus] = await rows("bus", "bus/%");
    const givenUpAfter = (row: Row | undefined) => ((row?.given_up_at ?? 0) - beganMs) / HOUR_MS;
    expect(givenUpAfter(mail)).toBeGreaterThanOrEqual(23);
    expect(givenUpAfter(mail)).toBeLessThan(25.1);
    expect(givenUpAfter(bus)).toBeGreaterThanOrEqual(7 * 24);
    expect(givenUpAfter(bus)).toBeLessThan(7 * 24 + 3);
    const before = receiver.received().length;
    receiver.behave("/emails", answers(200));
    await deliver(DAY_MS);
    expect(receiver.received().length).toBe(before);
  });
});

describe("a webhook", () => {
  test("[O7] that fails for three days is disabled, says since when and why, and gets what happens once it is enabled", async () => {
    const { id } = await makeWebhook("/hook");
    receiver.behave("/hook", answers(500));
    await ends(org.jobId, reportOf("failed"));
    await deliver();
    expect(await readWebhook(id)).toMatchObject({ status: "failing", reason: "It answered 500" });
    const beganMs = clockMs;
    while (clockMs - beganMs < 2.8 * DAY_MS) await deliver(3 * HOUR_MS + MINUTE_MS);
    expect((await readWebhook(id)).status).toBe("failing");
    while (clockMs - beganMs < 3.3 * DAY_MS) await deliver(3 * HOUR_MS + MINUTE_MS);
    expect(await readWebhook(id)).toMatchObject({ status: "disabled", reason: "It answered 500" });
    const tries = receiver.received("/hook").length;
    const second = await makeJob(owner, { projectId: org.projectId, agentId: org.agentId });
    await ends(second.id, reportOf("failed"));
    await deliver(DAY_MS);
    expect(receiver.received("/hook").length).toBe(tries);
    const { items } = await owner.get<{ items: { action: string }[] }>("/api/audit?limit=5");
    expect(items.map(({ action }) => action)).toContain("webhook.disabled");
    receiver.behave("/hook", answers(200));
    await owner.post(`/api/webhooks/${id}/enable`);
    const third = await makeJob(owner, { projectId: org.projectId, agentId: org.agentId });
    await ends(third.id, reportOf("failed"));
    await deliver(MINUTE_MS);
    expect(receiver.received("/hook").length).toBe(tries + 1);
    expect(await readWebhook(id)).toMatchObject({ status: "active", reason: null });
  });

  test("[O7] that says 410 is disabled at once", async () => {
    const { id } = await makeWebhook("/hook");
    receiver.behave("/hook", answers(410));
    await ends(org.jobId, reportOf("failed"));
    await deliver();
    expect((await readWebhook(id)).status).toBe("disabled");
  });

  test("[O7] one delivery that is taken ends the time of failing", async () => {
    const { id } = await makeWebhook("/hook");
    receiver.behave("/hook", answers(500));
    await ends(org.jobId, reportOf("failed"));
    await deliver();
    expect((await readWebhook(id)).status).toBe("failing");
    receiver.behave("/hook", answers(200));
    await deliver(2 * DAY_MS);
    expect((await readWebhook(id)).status).toBe("active");
    receiver.behave("/hook", answers(500));
    const second = await makeJob(owner, { projectId: org.projectId, agentId: org.agentId });
    await ends(second.id, reportOf("failed"));
    await deliver(MINUTE_MS);
    await deliver(2 * DAY_MS);
    expect((await readWebhook(id)).status).toBe("failing");
  });

  test("[O8] outside development is not called at an address of an inner network, whenever it was made", async () => {
    await makeWebhook("/hook");
    await ends(org.jobId, reportOf("failed"));
    await deliver(0, { isDevelopment: false });
    expect(receiver.received("/hook")).toEqual([]);
    const [row] = await rows("webhook", "%job.failed%");
    expect(row?.last_error).toBe("Only https addresses are called");
  });

  test("[O3] a lost answer to its making is made good by asking again: the same one, with the same secret", async () => {
    const body = { url: `${receiver.origin}/${unique()}` };
    const key = { "idempotency-key": crypto.randomUUID() };
    const first = await owner.post<WebhookMade>("/api/webhooks", body, key);
    const again = await owner.post<WebhookMade>("/api/webhooks", body, key);
    expect(again).toEqual(first);
    const another = await owner.json("POST", "/api/webhooks", body, {
      "idempotency-key": crypto.randomUUID(),
    });
    expect(another.status).toBe(400);
  });
});

describe("a connection that lapses", () => {
  /** Of the connections of this organization: when their time is over. */
  async function lapses(kind: "container_sas" | "oauth", afterDays: number): Promise<void> {
    const lapsesAt = clockMs + afterDays * DAY_MS;
    const [expiresAt, refreshedAt] = kind === "oauth" ? [null, lapsesAt - 90 * DAY_MS] : [lapsesAt, null];
    await plane.database
      .prepare("update storage_connections set kind = ?, expires_at = ?, refreshed_at = ? where org_id = ?")
      .bind(kind, expiresAt, refreshedAt, org.orgId)
      .run();
  }
  const warn = async () => await warnOfLapses(database, world().settings, clockMs);

  for (const kind of ["container_sas", "oauth"] as const) {
    test(`[O17] (${kind}) its maker is warned a week before, once`, async () => {
      await lapses(kind, 7.1);
      await warn();
      expect(await rows("mail")).toEqual([]);
      clockMs += 0.2 * DAY_MS;
      for (let hour = 0; hour < 3; hour++) {
        clockMs += HOUR_MS;
        await warn();
        await deliver();
      }
      const mails = receiver
        .received("/emails")
        .map(({ body }) => JSON.parse(body) as { to: string[]; subject: string });
      expect(mails.length).toBe(1);
      expect(mails[0]?.to).toEqual([`owner@${org.canary}.example`]);
      expect(mails[0]?.subject).toMatch(/^Azure connection lapses on \d{4}-\d\d-\d\d: /);
      // Made anew, or used, it lapses at another time, which is told again when that is near.
      await lapses(kind, 5);
      await warn();
      await deliver();
      expect(receiver.received("/emails").length).toBe(2);
    });
  }

  test("[O17] one that has lapsed, was refused, or lapses never is not warned of", async () => {
    await lapses("container_sas", -1);
    await warn();
    await lapses("oauth", 5);
    await plane.database
      .prepare("update storage_connections set refused_at = 1 where org_id = ?")
      .bind(org.orgId)
      .run();
    await warn();
    expect(await rows("mail")).toEqual([]);
  });
});

describe("deliverers", () => {
  test("[O9] many at once hand everything over once", async () => {
    await makeWebhook("/hook");
    for (let index = 0; index < 4; index++) {
      const job = await makeJob(owner, { projectId: org.projectId, agentId: org.agentId });
      await ends(job.id, reportOf("failed"));
    }
    await Promise.all(Array.from({ length: 6 }, async () => await deliver()));
    await deliver(DAY_MS);
    const keys = (path: string, header: string) =>
      receiver.received(path).map(({ headers }) => headers[header]);
    for (const [path, header] of [
      ["/hook", "webhook-id"],
      ["/emails", "idempotency-key"],
      ["/api/events", "idempotency-key"],
    ] as const) {
      expect(keys(path, header).length, path).toBe(4);
      expect(new Set(keys(path, header)).size, path).toBe(4);
    }
  });

  test("[O9] one that dies with an entry leaves it to the next, when its lease is over", async () => {
    await ends(org.jobId, reportOf("failed"));
    // Announced, but nothing delivered.
    receiver.behave("/emails", answers(500));
    await deliver();
    receiver.forget();
    clockMs += HOUR_MS;
    const due = await findDueEntries(database, { nowMs: clockMs, limit: 10, orgId: org.orgId });
    const mail = due.find(({ kind }) => kind === "mail");
    if (mail === undefined) throw new Error("No mail is due");
    expect(await lease(scopedDb(database, org.orgId), mail, clockMs)).not.toBeNull();
    // Whoever saw it before has lost it.
    expect(await lease(scopedDb(database, org.orgId), mail, clockMs)).toBeNull();
    await deliver(LEASE_MS - 1_000);
    expect(receiver.received("/emails")).toEqual([]);
    await deliver(2_000);
    expect(receiver.received("/emails").length).toBe(1);
  });

  test("[O10] nothing of what a receiver says, and no key, is in a row or a line of the log", async () => {
    const { secret } = await makeWebhook("/hook");
    receiver.behave("/hook", answers(500));
    receiver.behave("/emails", answers(422));
    receiver.behave("/api/events", answers(401));
    await ends(org.jobId, reportOf("failed"));
    await deliver();
    const { results } = await plane.database
      .prepare("select * from outbox where org_id = ?")
      .bind(org.orgId)
      .all<Record<string, unknown>>();
    const hooks = await plane.database
      .prepare("select * from webhooks where org_id = ?")
      .bind(org.orgId)
      .all<Record<string, unknown>>();
    const all = JSON.stringify([results, hooks.results, logged, plane.logs()]);
    expect(logged.length).toBeGreaterThan(2);
    for (const never of [secret, secret.slice(6), BUS_KEY, MAIL_KEY, "a secret of the receiver's"])
      expect(all).not.toContain(never);
  });
});
