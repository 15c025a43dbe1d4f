/**
 * An organization in which everything has happened once, made through the public API and by one real agent: jobs in every
 * state, files that failed, and names as people and disks have them: long, from right to left, with emoji, and with
 * characters that hide or reorder what is around them.
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type {
  AgentRegistered,
  Client,
  Connection,
  ContainerList,
  Job,
  Project,
  RegistrationCodeMade,
} from "../../schema/api.ts";
import { ApiClient } from "../../tools/stack/api-client.ts";
import type { World } from "./world.ts";

const MIB = 1024 * 1024;
/** So slow that the job is still at it when all pages have been looked at. */
const SLOW_MBPS = 0.5;

/** Looks like a PDF where U+202E is let act. */
export const REORDERED_NAME = "invoice\u202Efdp.exe";
export const LONG_NAME = `Quarterly figures of all branches ${"without_a_place_to_break_".repeat(6)}`.trim();
const ODD_NAMES = [
  REORDERED_NAME,
  "bell\u0007 and\ttab.txt",
  "two\nlines.txt",
  "zero\u200Bwidth.txt",
  "تقرير الميزانية ٢٠٢٦.xlsx",
  "חשבונית 2026.pdf",
  "🚚📦 moved 👩‍👩‍👧‍👦.txt",
  `${LONG_NAME}.docx`,
];
const CLIENT_NAMES = [
  "Acme Corp",
  "شركة الاتصالات المتقدمة",
  "🚀 Rocket & Söhne <b>GmbH</b>",
  LONG_NAME,
  `Contoso ${REORDERED_NAME}`,
];

export type SeededJob =
  | "completed"
  | "failures"
  | "failed"
  | "cancelled"
  | "paused"
  | "running"
  | "repeating"
  | "planned"
  | "created";
export interface Seeded {
  readonly clientIds: readonly string[];
  readonly projectId: string;
  readonly emptyProjectId: string;
  readonly agentId: string;
  readonly offlineAgentId: string;
  readonly jobIds: Readonly<Record<SeededJob, string>>;
}

/** Who works there; the world's own person is the owner. */
export const PEOPLE = [
  { name: "Ada Admin", email: "ada@example.com", role: "admin" },
  { name: "Mo Member", email: "mo@example.com", role: "member" },
  { name: "Victor Viewer", email: "victor@example.com", role: "viewer" },
  { name: "محمد عبد الرحمن", email: `${"long.address.".repeat(4)}x@example.com`, role: "viewer" },
] as const;

export async function seedOrganization(world: World): Promise<Seeded> {
  const { api } = world;
  const { agentId } = await world.registerAgent("FS01-BERLIN");
  const [clientIds, connectionId, offlineAgentId] = await Promise.all([
    makeClients(api),
    makeConnection(world),
    registerAbsentAgent(world),
    bringPeople(world),
    makeSettings(api),
  ]);
  const makeProject = async (index: number, name: string, more: object = {}) => {
    const storage = { connectionId, container: "seeded", prefix: `place-${index}` };
    const clientId = clientIds[index % clientIds.length];
    return await api.post<Project>("/api/projects", {
      clientId,
      type: "file_migration",
      name,
      storage,
      ...more,
    });
  };
  const schedule = {
    timeZone: "Europe/Berlin",
    windows: [{ days: ["mon", "tue", "wed", "thu", "fri"], from: "08:00", to: "18:00" }],
    insideMbps: 20,
    outsideMbps: null,
  };
  const project = await makeProject(0, "Files of the head office", {
    description: "All shares of FS01, without the archive of 2019.",
    psaTicketId: "T-20261123-0042",
    bandwidthSchedule: null,
  });
  const [odd, empty] = await Promise.all([
    makeProject(3, `${LONG_NAME} 🚚`),
    makeProject(1, "نقل الملفات", { bandwidthSchedule: schedule }),
  ]);
  const jobIds = await makeJobs(world, { project, odd, agentId, offlineAgentId });
  return { clientIds, projectId: project.id, emptyProjectId: empty.id, agentId, offlineAgentId, jobIds };
}

async function makeClients(api: ApiClient): Promise<string[]> {
  const ids: string[] = [];
  for (const [index, name] of CLIENT_NAMES.entries()) {
    const contact =
      index === 0 ? { contactName: "Carla Contact", contactEmail: "carla@acme.example" } : undefined;
    ids.push((await api.post<Client>("/api/clients", { name, ...contact })).id);
  }
  return ids;
}

async function makeConnection(world: World): Promise<string> {
  const connection = {
    kind: "connection_string",
    name: "Storage of the head office",
    connectionString: world.connectionString,
  };
  const { id } = await world.api.post<Connection>("/api/storage-connections", connection);
  await world.api.post<ContainerList>(`/api/storage-connections/${id}/containers`, { name: "seeded" });
  return id;
}

/** Registered, and never there. */
async function registerAbsentAgent(world: World): Promise<string> {
  const code = await world.newCode();
  const response = await fetch(`${world.controlPlane.url}/api/agent/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      code,
      name: `${LONG_NAME} ${REORDERED_NAME}`.slice(0, 200),
      host: "fs02.branch-office.internal.example",
      os: "windows 10.0.20348",
      arch: "x86_64",
      version: "0.1.0",
    }),
  });
  return ((await response.json()) as AgentRegistered).agentId;
}

async function bringPeople(world: World): Promise<void> {
  for (const person of PEOPLE) await new ApiClient(world.controlPlane.url).signIn(world.devSecret, person);
}

async function makeSettings(api: ApiClient): Promise<void> {
  await api.post("/api/api-keys", { name: `Ticket system ${REORDERED_NAME}`, role: "member", validDays: 90 });
  await api.post("/api/webhooks", {
    url: `https://hooks.msp-tools.com/${"a-long-path/".repeat(8)}?token=1`,
  });
  const { id } = await api.post<RegistrationCodeMade>("/api/registration-codes", { label: "Branch office" });
  await api.post(`/api/registration-codes/${id}/revoke`);
  await api.post("/api/registration-codes", { label: LONG_NAME });
}

interface JobPlaces {
  readonly project: Project;
  readonly odd: Project;
  readonly agentId: string;
  readonly offlineAgentId: string;
}

async function makeJobs(world: World, places: JobPlaces): Promise<Record<SeededJob, string>> {
  const { api } = world;
  const { project, odd, agentId, offlineAgentId } = places;
  const slow = { options: { bandwidthMbps: SLOW_MBPS, chunkSizeMiB: 1 } };
  let jobsMade = 0;
  const make = async (of: Project, path: string, more: Record<string, unknown>, byAgent = agentId) => {
    // Two jobs that are not finished may not write to one place.
    const destination = { prefix: `job-${++jobsMade}` };
    return (await world.makeJob(of, byAgent, path, { destination, ...more })).id;
  };
  const slowSource = writeFiles(world, "slow", [REORDERED_NAME], 60 * MIB);

  // The quick ones first: a slow one would hold up whoever shares its line.
  const quick = {
    completed: await make(project, writeFiles(world, "plain", plainNames(12), 20_000), {
      name: "Home folders",
    }),
    failures: await make(odd, writeFiles(world, "odd", ODD_NAMES, 1_000, "unreadable"), {
      name: `${LONG_NAME} ${REORDERED_NAME}`.slice(0, 200),
    }),
    failed: await make(project, join(world.folder, "nowhere"), { name: "مجلد غير موجود" }),
    repeating: await make(project, writeFiles(world, "again", plainNames(3), 500), {
      name: "Shared drive, kept in step",
      type: "sync",
    }),
  };
  await Promise.all(
    [quick.completed, quick.failures, quick.failed].map(async (id) => await world.finalJob(id)),
  );
  const waiting = {
    planned: await make(project, join(world.folder, "plain"), {
      name: "On Saturday night",
      startAt: new Date(Date.now() + 86_400_000).toISOString(),
    }),
    created: await make(project, "D:\\Shares\\Projects", { name: "🏗️ Waits for its agent" }, offlineAgentId),
  };
  const steered = {
    cancelled: await make(odd, slowSource, { ...slow, name: "Begun in the wrong folder" }),
    paused: await make(project, slowSource, { ...slow, name: "Scans, paused until tonight" }),
  };
  const moving = (job: Job) => job.status === "running";
  for (const id of Object.values(steered)) await world.jobUntil(id, "running", moving);
  await api.post(`/api/jobs/${steered.cancelled}/cancel`);
  await api.post(`/api/jobs/${steered.paused}/pause`);
  await Promise.all([
    world.finalJob(steered.cancelled),
    world.jobUntil(steered.paused, "paused", ({ status }) => status === "paused"),
  ]);
  const running = await make(project, slowSource, { ...slow, name: "Videos of the training 🎬" });
  await world.jobUntil(running, "running", moving);
  return { ...quick, ...waiting, ...steered, running };
}

function plainNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `folder ${index % 3}/Report ${index + 1}.docx`);
}

/** A folder below the world's with these files; resolves with its path. The agent may not read the unreadable ones. */
function writeFiles(
  world: World,
  folder: string,
  names: readonly string[],
  bytesEach: number,
  kind: "readable" | "unreadable" = "readable",
): string {
  const root = join(world.folder, folder);
  for (const name of names) {
    const file = join(root, kind === "unreadable" ? "private" : ".", name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, Buffer.alloc(bytesEach, name));
    if (kind === "unreadable") chmodSync(file, 0);
  }
  return root;
}
