/**
 * The whole product for one test file: storage emulator, control plane, an API client that is signed in, and agents as real
 * processes. Everything lives in one temporary folder and ends with {@link World.stop}.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BlobServiceClient, type ContainerClient } from "@azure/storage-blob";
import type {
  Agent,
  Client,
  Connection,
  ContainerList,
  Job,
  Project,
  RegistrationCodeMade,
} from "../../schema/api.ts";
import { isFinal } from "../../schema/job.ts";
import { makeRelease } from "../../tools/release-sign.ts";
import { startAgent, type AgentProcess } from "../../tools/stack/agent-process.ts";
import { ApiClient } from "../../tools/stack/api-client.ts";
import { startAzurite } from "../../tools/stack/azurite.ts";
import { waitFor } from "../../tools/stack/children.ts";
import { startControlPlane, type ControlPlane } from "../../tools/stack/control-plane.ts";
import { findPort } from "../../tools/stack/ports.ts";
import { sha256 } from "./source-tree.ts";

/** Root reads everything; an agent that must meet a file it cannot read goes without that right (util-linux). */
const WITHOUT_OVERRIDE = [
  "setpriv",
  "--bounding-set=-dac_override,-dac_read_search",
  "--inh-caps=-dac_override,-dac_read_search",
];
const FINAL_LIMIT_MS = 180_000;

export class World {
  readonly folder: string;
  readonly connectionString: string;
  readonly devSecret: string;
  readonly api: ApiClient;
  controlPlane: ControlPlane;
  /** Leaves everything on the disk, for somebody to look into. */
  keepFolder = false;
  readonly #startControlPlane: () => Promise<ControlPlane>;
  readonly #stops: (() => Promise<void>)[] = [];

  private constructor(
    folder: string,
    connectionString: string,
    devSecret: string,
    controlPlane: ControlPlane,
    restart: () => Promise<ControlPlane>,
  ) {
    this.folder = folder;
    this.connectionString = connectionString;
    this.devSecret = devSecret;
    this.controlPlane = controlPlane;
    this.#startControlPlane = restart;
    this.api = new ApiClient(controlPlane.url);
  }

  /**
   * `variablesOf`: more for the Worker, once it is known where the storage emulator is. `certificate`: of the emulator; who
   * gives one sees to it that it is trusted.
   */
  static async start(
    variablesOf: (blobEndpoint: string) => Promise<Readonly<Record<string, string>>> = async () => ({}),
    certificate?: { readonly certFile: string; readonly keyFile: string },
  ): Promise<World> {
    const folder = mkdtempSync(join(tmpdir(), "migrate-e2e-"));
    const azurite = await startAzurite({
      dataDir: join(folder, "azurite"),
      ...(certificate === undefined ? {} : { certificate }),
    });
    const secret = () => randomBytes(32).toString("hex");
    const devSecret = secret();
    const secrets = {
      PORTAL_SSO_SECRET: secret(),
      CODE_PEPPER: secret(),
      SECRETS_KEYS: `k1:${randomBytes(32).toString("base64")}`,
      DEV_HUB_SECRET: devSecret,
      ...(await variablesOf(azurite.blobEndpoint)),
    };
    const port = await findPort();
    const startPlane = () => startControlPlane({ dataDir: join(folder, "control-plane"), port, secrets });
    const world = new World(folder, azurite.connectionString, devSecret, await startPlane(), startPlane);
    world.#stops.push(() => azurite.stop());
    await world.api.signIn(devSecret);
    return world;
  }

  onStop(stop: () => Promise<void>): void {
    this.#stops.push(stop);
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.toReversed()) await stop();
    await this.controlPlane.stop();
    if (!this.keepFolder) rmSync(this.folder, { recursive: true, force: true });
  }

  /** Signs a release and publishes it, as an operator does. `executables`: a folder with `migrate-agent-<target>` in it. */
  async publishRelease(release: { executables: string; keys: string; version: string }): Promise<void> {
    const output = join(this.folder, `release-${release.version}`);
    const kind = { channel: "stable", rolloutPercent: 100, days: 30, nowMs: Date.now() };
    const { paths } = makeRelease({ ...release, ...kind, output });
    // What it names comes first.
    const files = [...paths.map((name) => [`executables/${name}`, name]), ["stable.json", "stable.json"]];
    for (const [key = "", name = ""] of files)
      await this.controlPlane.putObject("migrate-releases", key, join(output, name));
  }

  /** Kills workerd without warning and starts it again on the same state and port. */
  async restartControlPlane(): Promise<void> {
    await this.controlPlane.killHard();
    this.controlPlane = await this.#startControlPlane();
  }

  /** An agent process; `name` is its folder below the world's. */
  runAgent(name: string, words: readonly string[], executable: string | null = null): AgentProcess {
    const stateDir = join(this.folder, name);
    const logFile = join(this.folder, `${name}.log`);
    const wrapper = process.getuid?.() === 0 ? WITHOUT_OVERRIDE : [];
    const agent = startAgent({ arguments: words, stateDir, logFile, executable, wrapper });
    this.#stops.push(() => agent.stop());
    return agent;
  }

  async newCode(): Promise<string> {
    return (await this.api.post<RegistrationCodeMade>("/api/registration-codes", {})).code;
  }

  /** Registers an agent and waits until it is online. `url`: of somebody who stands before the control plane. */
  async registerAgent(
    name: string,
    executable: string | null = null,
    url = this.controlPlane.url,
  ): Promise<{ agent: AgentProcess; agentId: string }> {
    const words = ["--register", await this.newCode(), "--url", url, "--name", name];
    const agent = this.runAgent(name, words, executable);
    const online = await waitFor(
      `Agent ${name}`,
      async () =>
        (await this.api.list<Agent>("/api/agents")).find(
          (one) => one.name === name && one.status === "online",
        ),
      { limitMs: 60_000, child: agent, stepMs: 200 },
    );
    return { agent, agentId: online.id };
  }

  /** A client and a project that writes into a container of its own. */
  async makeProject(container: string, connectionString = this.connectionString): Promise<Project> {
    const { id: clientId } = await this.api.post<Client>("/api/clients", { name: `Client of ${container}` });
    const connection = { kind: "connection_string", name: container, connectionString };
    const { id: connectionId } = await this.api.post<Connection>("/api/storage-connections", connection);
    await this.api.post<ContainerList>(`/api/storage-connections/${connectionId}/containers`, {
      name: container,
    });
    const project = {
      clientId,
      type: "file_migration",
      name: container,
      storage: { connectionId, container },
    };
    return await this.api.post<Project>("/api/projects", project);
  }

  async makeJob(
    project: Project,
    agentId: string,
    path: string,
    more: Record<string, unknown> = {},
  ): Promise<Job> {
    const body = {
      projectId: project.id,
      agentId,
      name: "Job",
      type: "migrate_files",
      source: { kind: "local", path },
    };
    return await this.api.post<Job>("/api/jobs", { ...body, ...more });
  }

  job(id: string): Promise<Job> {
    return this.api.get<Job>(`/api/jobs/${id}`);
  }

  /** Waits for a state of a job, asking the public API. */
  async jobUntil(
    id: string,
    what: string,
    holds: (job: Job) => boolean,
    limitMs = FINAL_LIMIT_MS,
  ): Promise<Job> {
    return await waitFor(
      `Job ${id} ${what}`,
      async () => {
        // The control plane may be down on purpose.
        const job = await this.job(id).catch(() => undefined);
        return job !== undefined && holds(job) ? job : undefined;
      },
      { limitMs, stepMs: 200 },
    );
  }

  finalJob(id: string): Promise<Job> {
    return this.jobUntil(id, "final, with its report", (job) => isFinal(job.status) && job.report !== null);
  }

  /** What the storage really holds: name → SHA-256 of the downloaded bytes. By Azure's own library, not by our code. */
  async downloadAll(container: string, prefix = ""): Promise<Map<string, string>> {
    const client = this.container(container);
    const digests = new Map<string, string>();
    for await (const { name } of client.listBlobsFlat({ prefix })) {
      digests.set(name, sha256(await client.getBlobClient(name).downloadToBuffer()));
    }
    return digests;
  }

  container(name: string): ContainerClient {
    return BlobServiceClient.fromConnectionString(this.connectionString).getContainerClient(name);
  }
}
