/** Storage whose sign-in at Microsoft ends in the middle of a job: a real agent waits, says so, and goes on by itself. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Agent, Client, Connection, Project } from "../../schema/api.ts";
import type { ConsentBegun } from "../../schema/azure.ts";
import type { LiveJob } from "../../schema/live.ts";
import { resourceIdOf, startMicrosoft, type MicrosoftEmulator } from "../../tools/emulators/microsoft.ts";
import { makePlainTree } from "./source-tree.ts";
import { World } from "./world.ts";

const MIB = 1024 * 1024;
const ACCOUNT = "devstoreaccount1";
const CONTAINER = "refused";
/** With so little left a token is refreshed each time it is needed. */
const SHORT_SECONDS = 200;
const ALWAYS = 1_000_000;

let world: World;
let microsoft: MicrosoftEmulator;
let agentId: string;
beforeAll(async () => {
  world = await World.start(async (blobEndpoint) => {
    microsoft = await startMicrosoft({ storage: async () => new URL(blobEndpoint).origin });
    return microsoft.variables;
  });
  world.onStop(() => microsoft.stop());
  ({ agentId } = await world.registerAgent("waiting"));
});
afterAll(async () => await world?.stop());

/** Signs in at Microsoft and comes back; resolves with what the dashboard is told. */
async function signIn(connectionId: string | null): Promise<URLSearchParams> {
  const { url } = await world.api.post<ConsentBegun>("/api/azure/consents", { connectionId });
  const click = await fetch(url, {
    method: "POST",
    body: new URLSearchParams({ person: "olivia" }),
    redirect: "manual",
  });
  const { pathname, search } = new URL(click.headers.get("location") ?? "");
  return new URL((await world.api.comeBack(pathname + search)) ?? "", world.controlPlane.url).searchParams;
}

async function connect(): Promise<Connection> {
  const consent = (await signIn(null)).get("consent");
  const body = { name: "Microsoft", account: ACCOUNT, resourceId: resourceIdOf(ACCOUNT) };
  return await world.api.post<Connection>(`/api/azure/consents/${consent}/connection`, body);
}

async function makeProject({ id: connectionId }: Connection): Promise<Project> {
  const { id: clientId } = await world.api.post<Client>("/api/clients", { name: "Client" });
  await world.api.post(`/api/storage-connections/${connectionId}/containers`, { name: CONTAINER });
  const storage = { connectionId, container: CONTAINER };
  return await world.api.post("/api/projects", {
    clientId,
    type: "file_migration",
    name: "Project",
    storage,
  });
}

const sentBlocks = () =>
  microsoft.asked.filter((line) => line.startsWith(`PUT /${ACCOUNT}/${CONTAINER}/`)).length;

test("[M13] an agent whose storage is refused in the middle of a job waits for a sign-in, and goes on by itself after Reconnect", async () => {
  microsoft.tokenSeconds = SHORT_SECONDS;
  const connection = await connect();
  const project = await makeProject(connection);
  const folder = join(world.folder, "source");
  mkdirSync(folder);
  const tree = makePlainTree(folder, [30 * MIB, 100, 200]);
  microsoft.fault({ route: `PUT /${ACCOUNT}/${CONTAINER}/`, times: ALWAYS, delayMs: 100 });
  const job = await world.makeJob(project, agentId, tree.root, {
    options: { concurrency: 2, chunkSizeMiB: 1 },
  });
  const seen: LiveJob[] = [];
  const live = world.api.watch(job.id, (message) => {
    if (message.type === "job") seen.push(message.job);
  });
  await expect.poll(sentBlocks, { timeout: 60_000 }).toBeGreaterThan(6);

  // The consent is taken away, and the account takes no grant made of it any more.
  microsoft.revoke("olivia");
  microsoft.clearFaults();
  const refusal = { status: 403, headers: { "x-ms-error-code": "AuthenticationFailed" } };
  microsoft.fault({ route: ` /${ACCOUNT}/${CONTAINER}`, times: ALWAYS, answer: refusal });
  const waitsFor = () => seen.at(-1)?.waiting?.reason;
  await expect.poll(waitsFor, { timeout: 60_000 }).toBe("authorization");
  expect(seen.at(-1)?.waiting?.message).toMatch(/re-authenticate/);
  expect(await world.job(job.id)).toMatchObject({ status: "running", error: null });
  expect(await world.api.get<Project>(`/api/projects/${project.id}`)).toMatchObject({
    status: "auth_required",
  });
  expect((await world.api.get<Agent>(`/api/agents/${agentId}`)).status).toBe("online");
  const sent = sentBlocks();
  await new Promise((done) => setTimeout(done, 5_000));
  expect([sentBlocks(), waitsFor()]).toEqual([sent, "authorization"]);

  // Somebody presses Reconnect, and nobody touches the job or the agent.
  microsoft.clearFaults();
  microsoft.tokenSeconds = 3_600;
  expect((await signIn(connection.id)).get("connected")).toBe(connection.id);
  const final = await world.finalJob(job.id);
  // What is told live may come a moment after what is read.
  await expect.poll(() => seen.at(-1)?.status, { timeout: 10_000 }).toBe("completed");
  expect(seen.at(-1)?.waiting ?? null).toBeNull();
  live.close();
  expect(final).toMatchObject({
    status: "completed",
    epoch: 1,
    totals: { filesCompleted: 3, filesFailed: 0 },
  });
  expect(await world.downloadAll(CONTAINER)).toEqual(tree.expected);
}, 240_000);
