/**
 * The product as a candidate: control plane, a job made through the public API, the agent as a real process with its journal.
 *
 * Each run has an agent of its own, started and registered before the clock runs: the peers start cold too, and the memory of
 * one run is not that of the run before.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type {
  Agent,
  Client,
  Connection,
  ContainerList,
  Job,
  Project,
  RegistrationCodeMade,
} from "../schema/api.ts";
import { isFinal, type JobStatus, type TransferOptions } from "../schema/job.ts";
import type { LiveMessage } from "../schema/live.ts";
import { startAgent, type AgentProcess } from "../tools/stack/agent-process.ts";
import { ApiClient } from "../tools/stack/api-client.ts";
import { waitFor } from "../tools/stack/children.ts";
import { startControlPlane } from "../tools/stack/control-plane.ts";
import { findPort } from "../tools/stack/ports.ts";
import { RUN_LIMIT_MS, type Measurement } from "./command.ts";
import type { Target } from "./sink.ts";

const ONLINE_LIMIT_MS = 60_000;
/** The live socket says it at once; this is for a socket that was lost. */
const ASK_STEP_MS = 1_000;
/** USER_HZ, in which Linux counts CPU time for programs; 100 on every architecture Node runs on. */
const TICKS_PER_SECOND = 100;

export type JobOptions = { readonly [Key in keyof TransferOptions]?: unknown };

export interface JobRun {
  readonly target: Target;
  readonly container: string;
  readonly folder: string;
  readonly options: JobOptions;
}

export interface Ours {
  /** From the call that makes the job to the moment it is final. */
  measureJob(run: JobRun, signal: AbortSignal): Promise<Measurement>;
  /** From the phase `scanning` to the next one, as the API shows them; the job is cancelled there. */
  measureScan(run: JobRun, signal: AbortSignal): Promise<Measurement>;
  /** Runs a job for as long as `during` takes, then cancels it. */
  whileJob<Result>(
    run: JobRun,
    during: (job: LimitedJob) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result>;
  stop(): Promise<void>;
}

/** A job that is running. */
export interface LimitedJob {
  /** Changes its limit of the line; null = none. */
  limit(bandwidthMbps: number | null): Promise<void>;
}

export async function startOurs(options: {
  /** For what it keeps; on a real disk, because the journal's durability is part of the time. */
  readonly folder: string;
  /** A compiled agent; null = from source. */
  readonly executable: string | null;
  /** Trusted by the control plane and the agent. */
  readonly authorityFile: string | null;
}): Promise<Ours> {
  // The control plane inherits our environment; its runtime takes authorities of one's own from this variable.
  if (options.authorityFile !== null) process.env["NODE_EXTRA_CA_CERTS"] = options.authorityFile;
  const secret = () => randomBytes(32).toString("hex");
  const devSecret = secret();
  const controlPlane = await startControlPlane({
    dataDir: join(options.folder, "control-plane"),
    port: await findPort(),
    secrets: {
      PORTAL_SSO_SECRET: secret(),
      CODE_PEPPER: secret(),
      SECRETS_KEYS: `k1:${randomBytes(32).toString("base64")}`,
      DEV_HUB_SECRET: devSecret,
    },
  });
  const product = new Product(options, controlPlane.url);
  await product.api.signIn(devSecret);
  return {
    measureJob: (run, signal) => product.withAgent((agent) => measureJob(product, agent, run, signal)),
    measureScan: (run, signal) => product.withAgent((agent) => measureScan(product, agent, run, signal)),
    whileJob: (run, during, signal) =>
      product.withAgent((agent) => whileJob(product, agent, run, { during, signal })),
    stop: () => controlPlane.stop(),
  };
}

interface RunningAgent {
  readonly process: AgentProcess;
  readonly agentId: string;
}

class Product {
  readonly api: ApiClient;
  readonly #options: Parameters<typeof startOurs>[0];
  readonly #connections = new Map<string, string>();
  #clientId: string | null = null;
  #count = 0;

  constructor(options: Parameters<typeof startOurs>[0], url: string) {
    this.#options = options;
    this.api = new ApiClient(url);
  }

  async withAgent<Result>(measure: (agent: RunningAgent) => Promise<Result>): Promise<Result> {
    const name = `agent-${++this.#count}`;
    const stateDir = join(this.#options.folder, name);
    const { code } = await this.api.post<RegistrationCodeMade>("/api/registration-codes", {});
    const process = startAgent({
      arguments: ["--register", code, "--url", this.api.url, "--name", name],
      stateDir,
      logFile: join(this.#options.folder, `${name}.log`),
      executable: this.#options.executable,
      environment: this.#options.authorityFile === null ? {} : { DENO_CERT: this.#options.authorityFile },
    });
    try {
      const isOnline = (agent: Agent) => agent.name === name && agent.status === "online";
      const agent = await waitFor(
        "The agent",
        async () => (await this.api.list<Agent>("/api/agents")).find(isOnline),
        { limitMs: ONLINE_LIMIT_MS, child: process, stepMs: 200 },
      );
      return await measure({ process, agentId: agent.id });
    } finally {
      await process.stop();
      rmSync(stateDir, { recursive: true, force: true });
    }
  }

  /** Everything a job needs before it: connection, container, project. */
  async makeProject({ target, container }: JobRun): Promise<string> {
    this.#clientId ??= (await this.api.post<Client>("/api/clients", { name: "Benchmark" })).id;
    const connectionId = await this.#connect(target);
    await this.api.post<ContainerList>(`/api/storage-connections/${connectionId}/containers`, {
      name: container,
    });
    const project = {
      clientId: this.#clientId,
      type: "file_migration",
      name: `${target.kind} ${++this.#count}`,
      storage: { connectionId, container },
    };
    return (await this.api.post<Project>("/api/projects", project)).id;
  }

  async #connect({ kind, address, connectionString }: Target): Promise<string> {
    const known = this.#connections.get(address);
    if (known !== undefined) return known;
    const connection = { kind: "connection_string", name: `${kind} at ${address}`, connectionString };
    const { id } = await this.api.post<Connection>("/api/storage-connections", connection);
    this.#connections.set(address, id);
    return id;
  }

  async makeJob(projectId: string, agentId: string, run: JobRun): Promise<Job> {
    const source = { kind: "local", path: run.folder };
    const body = {
      projectId,
      agentId,
      name: "Benchmark",
      type: "migrate_files",
      source,
      options: run.options,
    };
    return await this.api.post<Job>("/api/jobs", body);
  }
}

async function measureJob(
  product: Product,
  agent: RunningAgent,
  run: JobRun,
  signal: AbortSignal,
): Promise<Measurement> {
  const projectId = await product.makeProject(run);
  const meter = new Meter(agent.process.pid);
  const begin = performance.now();
  const { id } = await product.makeJob(projectId, agent.agentId, run);
  const endMs = await statusReached(product, agent, id, isFinal, signal);
  const measured = { seconds: (endMs - begin) / 1000, ...meter.read() };
  const job = await waitFor(
    "The report",
    async () => {
      const answer = await product.api.get<Job>(`/api/jobs/${id}`);
      return answer.report === null ? undefined : answer;
    },
    { limitMs: 30_000 },
  );
  const { filesFailed } = job.totals;
  if (job.status !== "completed" || filesFailed > 0)
    throw new Error(
      `The job ended as "${job.status}" with ${filesFailed} failed: ${job.error?.message ?? ""}`,
    );
  return { ...measured, activeSeconds: (job.report?.activeMs ?? 0) / 1000 };
}

async function measureScan(
  product: Product,
  agent: RunningAgent,
  run: JobRun,
  signal: AbortSignal,
): Promise<Measurement> {
  const projectId = await product.makeProject(run);
  const meter = new Meter(agent.process.pid);
  const { id } = await product.makeJob(projectId, agent.agentId, run);
  const begin = await statusReached(product, agent, id, (status) => status !== "created", signal);
  const isScanned = (status: JobStatus) => status !== "created" && status !== "scanning";
  const end = await statusReached(product, agent, id, isScanned, signal);
  const measured = { seconds: (end - begin) / 1000, activeSeconds: null, ...meter.read() };
  await product.api.post(`/api/jobs/${id}/cancel`);
  await statusReached(product, agent, id, isFinal, signal);
  return measured;
}

async function whileJob<Result>(
  product: Product,
  agent: RunningAgent,
  run: JobRun,
  { during, signal }: { during: (job: LimitedJob) => Promise<Result>; signal: AbortSignal },
): Promise<Result> {
  const projectId = await product.makeProject(run);
  const { id } = await product.makeJob(projectId, agent.agentId, run);
  await statusReached(product, agent, id, (status) => status === "running", signal);
  try {
    return await during({
      limit: async (bandwidthMbps) => void (await product.api.patch(`/api/jobs/${id}`, { bandwidthMbps })),
    });
  } finally {
    await product.api.post(`/api/jobs/${id}/cancel`);
    await statusReached(product, agent, id, isFinal, signal);
  }
}

/** The moment (of `performance.now`) when the API said so. */
async function statusReached(
  product: Product,
  { process }: RunningAgent,
  id: string,
  holds: (status: JobStatus) => boolean,
  signal: AbortSignal,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const look = (status: JobStatus | undefined) => {
    if (status !== undefined && holds(status)) resolve(performance.now());
  };
  const hear = (message: LiveMessage) => {
    if (message.type === "snapshot") look(message.jobs.find((job) => job.jobId === id)?.status);
    if (message.type === "job") look(message.job.status);
  };
  const live = product.api.watch(id, hear);
  const ask = setInterval(() => {
    void product.api.get<Job>(`/api/jobs/${id}`).then(({ status }) => look(status), reject);
  }, ASK_STEP_MS);
  const limit = setTimeout(() => reject(new Error("The job was not there after its limit")), RUN_LIMIT_MS);
  const stop = () => reject(signal.reason as Error);
  signal.addEventListener("abort", stop, { once: true });
  const died = (code: number) =>
    reject(new Error(`The agent ended with code ${code}:\n${process.lastLines()}`));
  void process.exited.then(died);
  try {
    signal.throwIfAborted();
    return await promise;
  } finally {
    signal.removeEventListener("abort", stop);
    clearTimeout(limit);
    clearInterval(ask);
    live.close();
  }
}

/** What a running process cost since this was made, of all its threads. Linux. */
class Meter {
  readonly #pid: number;
  readonly #cpuBefore: number;

  constructor(pid: number) {
    this.#pid = pid;
    // Sets the peak back to what is resident now: proc(5), clear_refs.
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
    this.#cpuBefore = this.#cpuSeconds();
  }

  read(): { cpuSeconds: number; peakMib: number } {
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.#pid}/status`, "utf8"));
    return { cpuSeconds: this.#cpuSeconds() - this.#cpuBefore, peakMib: Number(peak?.[1]) / 1024 };
  }

  #cpuSeconds(): number {
    // The name in parentheses may hold anything; utime and stime are the 12th and 13th field after it.
    const text = readFileSync(`/proc/${this.#pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }
}
