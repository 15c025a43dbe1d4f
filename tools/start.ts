/**
 * `npm start -- [folder]`: the whole product on this machine, nothing mocked. Storage emulator, control plane, dashboard,
 * an agent; with a folder also one migration through the public API, live and with its report.
 *
 * Everything it keeps lies under one folder (`--data`), so a second start goes on where the first one stopped.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "vite";
import type {
  Agent,
  Client,
  Connection,
  ContainerList,
  Job,
  Project,
  RegistrationCodeMade,
} from "../schema/api.ts";
import { isFinal } from "../schema/job.ts";
import { startMicrosoft } from "./emulators/microsoft.ts";
import { startAgent, type AgentProcess } from "./stack/agent-process.ts";
import { ApiClient } from "./stack/api-client.ts";
import { startAzurite } from "./stack/azurite.ts";
import { waitFor } from "./stack/children.ts";
import { startControlPlane } from "./stack/control-plane.ts";
import { findPort, requirePort } from "./stack/ports.ts";
import { describeReport, ProgressLine } from "./stack/progress-line.ts";

const PORT_DEFAULT = 8787;
const AZURITE_PORT_DEFAULT = 10_000;
const CONTAINER = "migrated";
const CLIENT_NAME = "Demo client";
const AGENT_ONLINE_LIMIT_MS = 60_000;

const USAGE = `Usage: npm start -- [folder] [options]

  folder                 migrate this folder, show it live and print the report
  --once                 stop when the job is final; exit code 0 only if it completed with nothing failed
  --storage <string>     use this storage account (connection string) instead of the local emulator
  --port <number>        where the dashboard listens (default ${PORT_DEFAULT}, or a free one)
  --data <folder>        where everything is kept (default .data in the project)
  --agent <file>         use this compiled agent instead of running it from source`;

class UsageError extends Error {}

interface Options {
  readonly folder: string | null;
  readonly once: boolean;
  readonly storage: string | null;
  readonly port: number | null;
  readonly dataDir: string;
  readonly agent: string | null;
}

/** What is started last is stopped first. */
const running: { stop(): Promise<void> }[] = [];
let stopping: Promise<void> | undefined;

function stopAll(): Promise<void> {
  stopping ??= (async () => {
    for (const child of running.reverse()) await child.stop();
  })();
  return stopping;
}

async function main(): Promise<number> {
  const options = readOptions();
  const interrupted = new Promise<number>((end) => {
    // 128 + the signal's number, as shells have it.
    process.once("SIGINT", () => end(130));
    process.once("SIGTERM", () => end(143));
  });
  try {
    return await Promise.race([run(options, interrupted), interrupted]);
  } finally {
    await stopAll();
  }
}

async function run(options: Options, interrupted: Promise<number>): Promise<number> {
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const secrets = readSecrets(join(options.dataDir, "secrets.json"));
  say("Building the dashboard …");
  // Into a folder of its own: another control plane may serve `dist/ui`, and begins anew when that changes.
  const assetsDir = join(options.dataDir, "dashboard");
  await build({ logLevel: "error", build: { outDir: assetsDir, emptyOutDir: true } });

  const storage = options.storage ?? (await startStorage(options.dataDir));
  const microsoft = await startSignIn(options, storage);
  say("Starting the control plane …");
  if (options.port !== null) await requirePort(options.port, "the control plane");
  const port = options.port ?? (await findPort(PORT_DEFAULT));
  const controlPlane = await startControlPlane({
    dataDir: join(options.dataDir, "control-plane"),
    port,
    secrets: { ...secrets, ...microsoft, APP_URL: `http://127.0.0.1:${port}` },
    assetsDir,
  });
  running.push(controlPlane);
  const { url } = controlPlane;
  const api = new ApiClient(url);
  await api.signIn(secrets.DEV_HUB_SECRET);

  const { agent, agentId } = await startTheAgent(options, api);
  running.push(agent);
  const link = ApiClient.signInLink(url, secrets.DEV_HUB_SECRET);

  if (options.folder === null) {
    say(`\nEverything runs. Sign in with one click:\n  ${link}\n`);
    say(
      "To migrate a folder: npm start -- <folder>, or create a client, a project and a job in the dashboard.",
    );
    if (options.storage === null)
      say(
        `To connect the local storage emulator, sign in with Microsoft (an emulator of it, which forgets everybody at its end), or use this connection string:\n  ${storage}`,
      );
    say("Ctrl-C stops everything.");
    return await interrupted;
  }
  const job = await migrate(api, { folder: options.folder, storage, agentId });
  say(`\nDashboard, signed in with one click:\n  ${link}`);
  if (options.once) return job.status === "completed" && job.totals.filesFailed === 0 ? 0 : 1;
  say("Ctrl-C stops everything.");
  return await interrupted;
}

async function startStorage(dataDir: string): Promise<string> {
  say("Starting the storage emulator …");
  // The port is part of the connection that is stored, so it stays the same from start to start.
  const port = await keepPort(dataDir, "azurite-port", AZURITE_PORT_DEFAULT);
  const azurite = await startAzurite({ dataDir: join(dataDir, "azurite"), port });
  running.push(azurite);
  return azurite.connectionString;
}

/** Microsoft's sign-in in front of the local storage emulator. Somebody's own account needs somebody's own application. */
async function startSignIn(options: Options, storage: string): Promise<Readonly<Record<string, string>>> {
  if (options.storage !== null) return {};
  // Its addresses are part of connections too.
  const [directoryPort, blobPort] = [
    await keepPort(options.dataDir, "microsoft-directory-port", AZURITE_PORT_DEFAULT + 10),
    await keepPort(options.dataDir, "microsoft-blob-port", AZURITE_PORT_DEFAULT + 11),
  ];
  const endpoint = /BlobEndpoint=([^;]+)/.exec(storage)?.[1] ?? "";
  const emulator = await startMicrosoft({
    storage: async () => new URL(endpoint).origin,
    directoryPort,
    blobPort,
  });
  running.push(emulator);
  return emulator.variables;
}

async function keepPort(dataDir: string, name: string, first: number): Promise<number> {
  const file = join(dataDir, name);
  const port = await findPort(existsSync(file) ? Number(readFileSync(file, "utf8")) : first);
  writeFileSync(file, String(port));
  return port;
}

/** Registers the agent with a code at the first start; later it goes on with what it has. */
async function startTheAgent(
  options: Options,
  api: ApiClient,
): Promise<{ agent: AgentProcess; agentId: string }> {
  say("Starting an agent …");
  const stateDir = join(options.dataDir, "agent");
  const words = registeredId(stateDir) === null ? await registration(api) : ["start"];
  const agent = startAgent({
    arguments: words,
    stateDir,
    logFile: join(options.dataDir, "agent.log"),
    executable: options.agent,
    // The port may be another one than at the first start.
    environment: { MIGRATE_API_URL: api.url },
  });
  try {
    return { agent, agentId: await waitOnline(api, agent, stateDir) };
  } catch (error) {
    await agent.stop();
    throw error;
  }
}

/** Whom the agent's own configuration names, by its key; null before it is registered. */
function registeredId(stateDir: string): string | null {
  const file = join(stateDir, "config.toml");
  return existsSync(file) ? (/mig_agt1_(agt_\w{26})_/.exec(readFileSync(file, "utf8"))?.[1] ?? null) : null;
}

async function registration(api: ApiClient): Promise<string[]> {
  const { code } = await api.post<RegistrationCodeMade>("/api/registration-codes", {
    label: "npm start",
    validMinutes: 15,
  });
  return ["--register", code, "--url", api.url];
}

async function waitOnline(api: ApiClient, agent: AgentProcess, stateDir: string): Promise<string> {
  return await waitFor(
    "The agent",
    async () => {
      const id = registeredId(stateDir);
      if (id === null) return undefined;
      const { status } = await api.get<Agent>(`/api/agents/${id}`);
      return status === "online" ? id : undefined;
    },
    { limitMs: AGENT_ONLINE_LIMIT_MS, child: agent, stepMs: 200 },
  );
}

async function migrate(
  api: ApiClient,
  what: { folder: string; storage: string; agentId: string },
): Promise<Job> {
  const project = await ensureProject(api, await ensureConnection(api, what.storage));
  const name = basename(what.folder) || "root";
  const job = await api.post<Job>("/api/jobs", {
    projectId: project.id,
    agentId: what.agentId,
    name: `Migrate ${name}`,
    type: "migrate_files",
    source: { kind: "local", path: what.folder },
    destination: { prefix: prefixOf(name) },
  });
  say(`Migrating ${what.folder} to ${project.storage?.account}/${CONTAINER}/${prefixOf(name)}`);
  const line = new ProgressLine(process.stdout);
  const watching = api.watch(job.id, (message) => {
    if (message.type === "snapshot") for (const live of message.jobs) line.show(live);
    if (message.type === "job") line.show(message.job);
  });
  const final = await waitFinal(api, job.id);
  watching.close();
  line.end();
  say(describeReport(final));
  for (const failure of (
    await api.get<{ items: { path: string; message: string }[] }>(`/api/jobs/${job.id}/failures?limit=20`)
  ).items) {
    say(`  failed: ${JSON.stringify(failure.path)}: ${failure.message}`);
  }
  return final;
}

/** The live socket shows; whether the job is over is asked, so that a lost socket loses nothing. */
async function waitFinal(api: ApiClient, jobId: string): Promise<Job> {
  for (;;) {
    const job = await api.get<Job>(`/api/jobs/${jobId}`);
    if (isFinal(job.status) && (job.report !== null || job.status !== "completed")) return job;
    await pause(500);
  }
}

async function ensureConnection(api: ApiClient, connectionString: string): Promise<Connection> {
  // The same storage is the same connection from start to start; its name tells, for the string is never shown again.
  const name = `npm start ${createHash("sha256").update(connectionString).digest("hex").slice(0, 8)}`;
  const present = (await api.list<Connection>("/api/storage-connections")).find((one) => one.name === name);
  const made =
    present ??
    (await api.post<Connection>("/api/storage-connections", {
      kind: "connection_string",
      name,
      connectionString,
    }));
  await api.post<ContainerList>(`/api/storage-connections/${made.id}/containers`, { name: CONTAINER });
  return made;
}

async function ensureProject(api: ApiClient, connection: Connection): Promise<Project> {
  const clients = await api.list<Client>("/api/clients");
  const client =
    clients.find(({ name, status }) => name === CLIENT_NAME && status === "active") ??
    (await api.post<Client>("/api/clients", { name: CLIENT_NAME }));
  const name = `Files to ${connection.account}`;
  const storage = { connectionId: connection.id, container: CONTAINER };
  const present = (await api.list<Project>(`/api/projects?clientId=${client.id}`)).find(
    (project) => project.name === name,
  );
  if (present !== undefined) return await api.patch<Project>(`/api/projects/${present.id}`, { storage });
  return await api.post<Project>("/api/projects", {
    clientId: client.id,
    type: "file_migration",
    name,
    storage,
  });
}

function prefixOf(name: string): string {
  return name.replaceAll(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[.-]+|[.-]+$/g, "") || "folder";
}

function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      once: { type: "boolean", default: false },
      storage: { type: "string" },
      port: { type: "string" },
      data: { type: "string" },
      agent: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) throw new UsageError(USAGE);
  if (positionals.length > 1) throw new UsageError(`Give one folder, not ${positionals.length}\n\n${USAGE}`);
  const [folder] = positionals;
  // npm runs scripts in the project; what was typed is relative to where it was typed.
  const origin = process.env["INIT_CWD"] ?? process.cwd();
  const path = folder === undefined ? null : resolve(origin, folder);
  if (path !== null && !statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError(`There is no folder "${path}"`);
  }
  if (values.once && path === null) throw new UsageError(`--once needs a folder\n\n${USAGE}`);
  const port = values.port === undefined ? null : Number(values.port);
  if (port !== null && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
    throw new UsageError(`--port must be a number from 1 to 65535, not "${values.port}"`);
  }
  return {
    folder: path,
    once: values.once,
    storage: values.storage ?? null,
    port,
    dataDir:
      values.data === undefined ? resolve(import.meta.dirname, "../.data") : resolve(origin, values.data),
    agent: values.agent === undefined ? null : resolve(origin, values.agent),
  };
}

interface Secrets extends Record<string, string> {
  PORTAL_SSO_SECRET: string;
  SECRETS_KEYS: string;
  CODE_PEPPER: string;
  DEV_HUB_SECRET: string;
}

/** Secrets of this machine's own control plane, made once. */
function readSecrets(file: string): Secrets {
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Secrets;
  const secrets: Secrets = {
    PORTAL_SSO_SECRET: randomBytes(32).toString("hex"),
    SECRETS_KEYS: `k1:${randomBytes(32).toString("base64")}`,
    CODE_PEPPER: randomBytes(32).toString("hex"),
    DEV_HUB_SECRET: randomBytes(32).toString("hex"),
  };
  writeFileSync(file, JSON.stringify(secrets, null, 2), { mode: 0o600 });
  return secrets;
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Error)) throw error;
  const isUsage =
    error instanceof UsageError || ("code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"));
  process.stderr.write(`${isUsage ? error.message : `Cannot start: ${error.message}`}\n`);
  process.exitCode = isUsage ? 2 : 1;
}
