/** The whole Worker tells others by itself: behind the answer to who caused it, and with the minute's sweep. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Browser,
  controlPlane,
  DEV_HUB_SECRET,
  hubToken,
  MACHINE,
  makeConnection,
  makeJob,
  makeOrganization,
  SECRETS_KEYS,
  signIn,
  SSO_SECRET,
  startControlPlane,
  unique,
} from "./harness.ts";
import { answers, startReceiver, type Receiver } from "./receiver.ts";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

let receiver: Receiver;
let plane: Awaited<ReturnType<typeof startControlPlane>>;

beforeAll(async () => {
  receiver = await startReceiver();
  plane = await startControlPlane({
    secrets: {
      PORTAL_SSO_SECRET: SSO_SECRET,
      SECRETS_KEYS,
      CODE_PEPPER: "contract-code-pepper-0123456789-0123456789",
      BUS_API_URL: receiver.origin,
      BUS_INTEGRATION_KEY: "bus-key-of-the-wired",
      HUB_BILLING_API_URL: `${receiver.origin}/billing`,
      MAIL_API_URL: `${receiver.origin}/emails`,
      MAIL_API_KEY: "mail-key-of-the-wired",
      MAIL_FROM: "noreply@example.com",
    },
  });
});
afterAll(async () => {
  await plane.close();
  await receiver.stop();
});

async function eventually(holds: () => boolean): Promise<void> {
  const untilMs = Date.now() + 10_000;
  while (!holds() && Date.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(holds()).toBe(true);
}

test("[O12] what a person does is told behind the answer, what was missed with the sweep, usage at its time", async () => {
  const owner = new Browser(plane.origin);
  await owner.fetch("/sso/start");
  await owner.fetch(`/sso?token=${await hubToken({ tenantId: `tenant-${unique()}` })}`);
  const client = await owner.post<{ id: string }>("/api/clients", { name: "Acme" });
  const connection = await makeConnection(owner, "storage");
  const container = `c-${unique()}`;
  await owner.post(`/api/storage-connections/${connection.id}/containers`, { name: container });
  const project = await owner.post<{ id: string }>("/api/projects", {
    clientId: client.id,
    type: "file_migration",
    name: "files",
    storage: { connectionId: connection.id, container },
  });
  const { code } = await owner.post<{ code: string }>("/api/registration-codes", {});
  const registered = await plane.fetch("/api/agent/register", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ code, ...MACHINE, name: "agent" }),
  });
  const { agentId } = (await registered.json()) as { agentId: string };
  const cancelOne = async () => {
    const job = await makeJob(owner, { projectId: project.id, agentId });
    await owner.post(`/api/jobs/${job.id}/cancel`);
    return job.id;
  };
  const told = () =>
    receiver.received("/api/events").map(({ body }) => (JSON.parse(body) as { entity_id: string }).entity_id);

  const first = await cancelOne();
  await eventually(() => told().includes(first));
  receiver.forget();
  receiver.behave("/api/events", answers(401));
  const second = await cancelOne();
  await eventually(() => told().includes(second));
  receiver.forget();
  await plane.sweep(Date.now() + 11 * MINUTE_MS);
  await eventually(() => told().includes(second));
  expect(told()).toEqual([second]);

  await plane.sweep(Math.floor(Date.now() / DAY_MS) * DAY_MS + DAY_MS + 75 * MINUTE_MS);
  await eventually(() => receiver.received("/billing/usage").length === 1);
  expect(JSON.parse(receiver.received("/billing/usage")[0]?.body ?? "{}")).toMatchObject({
    source: "migrate",
    bytes_transferred: 0,
  });
  expect(plane.logs().join("\n")).not.toMatch(/bus-key-of-the-wired|mail-key-of-the-wired/);
});

test("[O13] the development server keeps mails where whoever has its secret can read them, and nobody else", async () => {
  const { origin, database } = await controlPlane();
  const org = await makeOrganization();
  const name = `<img src=x onerror=alert(1)> ${unique()}`;
  await database
    .prepare(
      "insert into outbox (org_id, id, kind, key, target, payload, created_at, attempts, due_at) values (?, ?, 'mail', 'k', null, ?, ?, 0, ?)",
    )
    .bind(
      org.orgId,
      `out_${"z".repeat(26)}`,
      JSON.stringify({ to: "olivia@example.com", subject: name, text: `Hello ${name}`, html: "" }),
      Date.now(),
      Date.now(),
    )
    .run();
  const stranger = new Browser(origin);
  expect((await stranger.fetch("/dev/outbox")).status).toBe(403);
  const member = await signIn();
  expect((await member.fetch("/dev/outbox?secret=wrong")).status).toBe(403);
  const page = await stranger.fetch(`/dev/outbox?secret=${DEV_HUB_SECRET}`);
  expect(page.status).toBe(200);
  const text = await page.text();
  expect(text).toContain("&lt;img src=x onerror=alert(1)&gt;");
  expect(text).not.toContain("<img src=x");
  // A server that is none for development has no such page.
  expect((await plane.fetch("/dev/outbox")).status).toBe(404);
});
