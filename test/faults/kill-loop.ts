/**
 * Jobs, one after the other, on the real processes, while the agent and workerd are killed (SIGKILL) at moments drawn from a
 * seed and everything between agent, storage and hub goes wrong; then calm, in which every job must end, and the judgement.
 * Only the storage emulator is spared: it loses what it has acknowledged when it is killed, which no real account does.
 *
 * The seed fixes files, faults and the plan of the kills. Processes are real, so a replay meets the same plan and not the
 * same microsecond.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { POLICY_FILE } from "../../agent/policy.ts";
import { seededRandom } from "../../agent/virtual.ts";
import type { Job, Project } from "../../schema/api.ts";
import { isFinal } from "../../schema/job.ts";
import type { AgentProcess } from "../../tools/stack/agent-process.ts";
import { ApiError } from "../../tools/stack/api-client.ts";
import { makeMixedTree } from "../e2e/source-tree.ts";
import { World } from "../e2e/world.ts";
import { BlobServer, STORM_FAULTS, type Fault } from "./blob-server.ts";
import { HubLine } from "./hub-line.ts";
import { countSent, judgeJob, judgeProject, type Finding, type MadeJob, type SentBytes } from "./judge.ts";

export interface KillOptions {
  readonly seed: number;
  readonly kills: number;
  /** No kill comes after so many minutes; null = however long it takes. */
  readonly minutes: number | null;
  /** A kill comes at a time below this, or when the line is in the middle of something, for which it waits half as long again. */
  readonly momentMsMax: number;
  readonly smallFiles: number;
  readonly largeFiles: number;
  /** Of the requests to the storage, 0 to 1, that meet a fault. */
  readonly faultShare: number;
  /** A compiled agent; null = from source. */
  readonly executable: string | null;
  readonly say: (line: string) => void;
}

export interface Verdict {
  readonly kills: Readonly<Record<Victim, number>>;
  /** By a person, each followed by its resumption. */
  readonly pauses: number;
  readonly jobs: number;
  readonly files: number;
  readonly bytes: number;
  readonly sent: SentBytes;
  /** How many requests to the storage, and connections to the hub, met each fault. */
  readonly faults: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
  readonly seconds: number;
  /** Kept when something was found. */
  readonly folder: string;
}

type Victim = "agent" | "controlPlane";

const CONTAINER = "kills";
const AGENT = "survivor";
/** How much of what was acknowledged may come again. */
export const SENT_AGAIN_SHARE_MAX = 0.03;
const PAUSE_EVERY_MS_MAX = 12_000;
const PAUSE_MS_MAX = 3_000;
const JOB_LIMIT_MS = 20 * 60_000;
/** For a job once nothing fails any more, and for a request over the restarts of the control plane. */
const CALM_LIMIT_MS = 5 * 60_000;

export async function runKillLoop(options: KillOptions): Promise<Verdict> {
  const begunMs = performance.now();
  const world = await World.start();
  const loop = new KillLoop(world, options);
  try {
    await loop.prepare();
    const findings = await loop.run();
    world.keepFolder = findings.length > 0;
    return { ...loop.figures(), findings, seconds: (performance.now() - begunMs) / 1_000 };
  } catch (error) {
    world.keepFolder = true;
    options.say(`Everything is kept in ${world.folder}`);
    throw error;
  } finally {
    await world.stop();
  }
}

class KillLoop {
  readonly #world: World;
  readonly #options: KillOptions;
  readonly #random: () => number;
  readonly #kills: Record<Victim, number> = { agent: 0, controlPlane: 0 };
  readonly #made: MadeJob[] = [];
  readonly #findings: Finding[] = [];
  #blobs!: BlobServer;
  #line!: HubLine;
  #project!: Project;
  #agent!: AgentProcess;
  #agentId = "";
  #isOver = false;
  /** Of what the fault server has seen: how many were looked at, and how many of these were writes. */
  #looked = 0;
  #written = 0;
  #pauses = 0;

  constructor(world: World, options: KillOptions) {
    this.#world = world;
    this.#options = options;
    this.#random = seededRandom(options.seed).next;
  }

  get #sources(): string {
    return join(this.#world.folder, "sources");
  }

  async prepare(): Promise<void> {
    const world = this.#world;
    this.#blobs = await BlobServer.start(new URL(world.container(CONTAINER).url).origin);
    world.onStop(() => this.#blobs.stop());
    this.#line = await HubLine.start(world.controlPlane.url);
    world.onStop(() => this.#line.stop());
    const storage = this.#blobs.inFrontOf(world.connectionString);
    this.#project = await world.makeProject(CONTAINER, storage);
    mkdirSync(join(world.folder, AGENT), { mode: 0o700 });
    writeFileSync(join(world.folder, AGENT, POLICY_FILE), JSON.stringify({ deleteRoots: [this.#sources] }));
    const { executable } = this.#options;
    const { agent, agentId } = await world.registerAgent(AGENT, executable, this.#line.url);
    this.#agent = agent;
    this.#agentId = agentId;
  }

  async run(): Promise<readonly Finding[]> {
    const { seed, faultShare, say } = this.#options;
    this.#blobs.storm({ seed, share: faultShare, faults: storageFaults(seed) });
    this.#line.storm(seed);
    const jobs = this.#runJobs();
    // Whoever fails first is heard below.
    jobs.catch(() => undefined);
    await Promise.race([this.#killAll(), jobs]);
    this.#isOver = true;
    this.#blobs.calm();
    this.#line.calm();
    say("Calm: what has begun must end");
    await jobs;
    return await this.#judge();
  }

  figures(): Omit<Verdict, "findings" | "seconds"> {
    const files = this.#made.reduce((sum, { tree }) => sum + tree.expected.size, 0);
    const bytes = this.#made.reduce((sum, { tree }) => sum + tree.bytes, 0);
    const faults = Object.fromEntries(
      [...this.#line.met].filter(([kind]) => kind !== "none").map(([kind, count]) => [`hub ${kind}`, count]),
    );
    for (const { fault } of this.#blobs.seen)
      if (fault !== null) faults[`storage ${fault}`] = (faults[`storage ${fault}`] ?? 0) + 1;
    return {
      kills: this.#kills,
      pauses: this.#pauses,
      jobs: this.#made.length,
      files,
      bytes,
      sent: countSent(this.#blobs.seen),
      faults,
      folder: this.#world.folder,
    };
  }

  // --- jobs ------------------------------------------------------------------------------------------------------------

  async #runJobs(): Promise<void> {
    while (!this.#isOver) {
      const made = await this.#makeJob();
      this.#made.push(made);
      const begunMs = performance.now();
      const pausing = new AbortController();
      await Promise.all([
        this.#waitForEnd(made).finally(() => pausing.abort()),
        this.#pauseNowAndThen(made, pausing.signal),
      ]);
      const seconds = ((performance.now() - begunMs) / 1_000).toFixed(1);
      const { agent, controlPlane } = this.#kills;
      this.#options.say(
        `${made.prefix} ended after ${seconds} s; so far the agent was killed ${agent} times, workerd ${controlPlane} times`,
      );
    }
  }

  async #makeJob(): Promise<MadeJob> {
    const { seed, largeFiles } = this.#options;
    const number = this.#made.length + 1;
    // Of many files the destination is asked in another way than of few.
    const smallFiles = this.#options.smallFiles * (number % 3 === 0 ? 4 : 1);
    const prefix = `job-${number}`;
    const removes = number % 2 === 1;
    const root = join(this.#sources, prefix);
    mkdirSync(root, { recursive: true });
    const tree = makeMixedTree(root, { seed: seed * 1_000 + number, smallFiles, largeFiles });
    const body = {
      projectId: this.#project.id,
      agentId: this.#agentId,
      name: prefix,
      type: "migrate_files",
      source: { kind: "local", path: root },
      destination: { prefix },
      options: {
        concurrency: 4,
        chunkSizeMiB: 1,
        readbackPercent: number % 4 === 0 ? 40 : 0,
        deletion: removes ? {} : null,
      },
      ...(removes ? { confirmDeletionOf: root } : {}),
    };
    const key = randomUUID();
    const job = await this.#insist(() => this.#world.api.post<Job>("/api/jobs", body, key));
    return { id: job.id, number, prefix, tree, removes };
  }

  /** As an impatient person does, to every second job; none is left paused. */
  async #pauseNowAndThen({ id, number }: MadeJob, signal: AbortSignal): Promise<void> {
    const { next } = seededRandom(this.#options.seed * 1_000 + number);
    const ask = async (what: "pause" | "resume") =>
      await this.#insist(() => this.#world.api.post<Job>(`/api/jobs/${id}/${what}`));
    while (number % 4 >= 2 && !this.#isOver) {
      await wait(next() * PAUSE_EVERY_MS_MAX, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await ask("pause");
        this.#pauses++;
        await wait(next() * PAUSE_MS_MAX);
        await ask("resume");
      } catch (error) {
        // It has ended meanwhile; nothing that ended is paused.
        if (!(error instanceof ApiError) || error.status !== 409) throw error;
        return;
      }
    }
  }

  /** The control plane may be down on purpose: asked again until it says something, whatever that is. */
  async #insist<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const endMs = performance.now() + CALM_LIMIT_MS;
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        const isSaid = error instanceof ApiError && error.status < 500;
        if (isSaid || performance.now() > endMs) throw error;
        await wait(200);
      }
    }
  }

  async #waitForEnd({ id, prefix }: MadeJob): Promise<void> {
    const endMs = performance.now() + JOB_LIMIT_MS;
    let calmEndMs = Infinity;
    for (;;) {
      const job = await this.#insist(() => this.#world.job(id));
      if (isFinal(job.status) && job.report !== null) return;
      if (this.#isOver) calmEndMs = Math.min(calmEndMs, performance.now() + CALM_LIMIT_MS);
      if (performance.now() > Math.min(endMs, calmEndMs))
        throw new Error(`${prefix} (${id}) does not end: ${job.status}, ${JSON.stringify(job.totals)}`);
      await wait(500);
    }
  }

  // --- kills -----------------------------------------------------------------------------------------------------------

  async #killAll(): Promise<void> {
    const { kills, minutes } = this.#options;
    const endMs = minutes === null ? Infinity : performance.now() + minutes * 60_000;
    while (this.#kills.agent + this.#kills.controlPlane < kills && performance.now() < endMs) {
      const choice = this.#random();
      // Twice the agent for each workerd; now and then both at once.
      const victims: Victim[] =
        choice < 0.62 ? ["agent"] : choice < 0.88 ? ["controlPlane"] : ["agent", "controlPlane"];
      const left = kills - this.#kills.agent - this.#kills.controlPlane;
      await this.#moment(victims[0] ?? "agent");
      await this.#kill(victims.slice(0, left));
    }
  }

  /** A time, or the middle of some exchange, whichever comes first. */
  async #moment(victim: Victim): Promise<void> {
    const { momentMsMax } = this.#options;
    const timeMs = 0.05 * momentMsMax + this.#random() * momentMsMax;
    const choice = this.#random();
    const pieces = () => this.#line.pieces;
    // What is lost between a write and the agent's record of it is what matters most; it is a small part of all requests.
    const [busy, countMax] =
      victim === "controlPlane" ? [pieces, 60] : choice < 0.5 ? [this.#writes, 60] : [this.#requests, 120];
    const until = choice < 0.75 ? busy() + 1 + this.#random() * countMax : Infinity;
    const endMs = performance.now() + (until < Infinity ? 1.5 * momentMsMax : timeMs);
    while (performance.now() < endMs && busy() < until) await wait(1);
    if (until < Infinity) await wait(this.#random() * 15);
  }

  readonly #requests = (): number => this.#blobs.seen.length;

  readonly #writes = (): number => {
    const { seen } = this.#blobs;
    for (; this.#looked < seen.length; this.#looked++)
      if (seen[this.#looked]?.operation.startsWith("put_") === true) this.#written++;
    return this.#written;
  };

  async #kill(victims: readonly Victim[]): Promise<void> {
    for (const victim of victims) this.#kills[victim]++;
    const isPlaneKilled = victims.includes("controlPlane");
    const plane = isPlaneKilled ? this.#world.restartControlPlane() : undefined;
    if (victims.includes("agent")) await this.#restartAgent();
    await plane;
  }

  async #restartAgent(): Promise<void> {
    if (this.#agent.exitCode !== null)
      throw new Error(
        `The agent ended by itself with exit code ${this.#agent.exitCode}:\n${this.#agent.lastLines()}`,
      );
    this.#agent.kill("SIGKILL");
    await this.#agent.exited;
    this.#agent = this.#world.runAgent(AGENT, ["start"], this.#options.executable);
  }

  // --- judgement -------------------------------------------------------------------------------------------------------

  async #judge(): Promise<readonly Finding[]> {
    const { sent, bytes } = this.figures();
    for (const made of this.#made) this.#findings.push(...(await judgeJob(this.#world, CONTAINER, made)));
    this.#findings.push(...(await judgeProject(this.#world, this.#project.id, this.#made)));
    if (sent.againAcknowledged > bytes * SENT_AGAIN_SHARE_MAX)
      this.#findings.push({
        kind: "sent_again",
        text: `${sent.againAcknowledged} of ${bytes} bytes were sent again although they had been acknowledged`,
      });
    return this.#findings;
  }
}

/** A patient client gets through all of these; a stall takes a minute, so there is one in fifty. */
function storageFaults(seed: number): readonly Fault[] {
  const random = seededRandom(seed).next;
  const resets: Fault[] = Array.from({ length: 16 }, () => ({ kind: "reset_within", share: random() }));
  const slices: Fault[] = Array.from({ length: 6 }, () => ({
    kind: "sliced",
    sliceBytes: 1 + Math.floor(random() * 200),
  }));
  const stalls: Fault[] = [{ kind: "stall", at: random() < 0.5 ? "after_body" : "before_answer" }];
  return [...STORM_FAULTS, ...STORM_FAULTS, ...resets, ...slices, ...stalls];
}
