/**
 * Stories of jobs that are given to other agents: three machines, each with its own line and clock, some of them away for
 * longer than a lease lasts, and jobs that are moved, cancelled and begun anew meanwhile. No epoch may ever have two
 * agents, and no agent gets a job's credential while the one before may still be at work with a lease.
 *
 *     npm run sim:moves -- [--from 1] [--seeds 500]
 */
import { parseArgs } from "node:util";
import { MemoryDestination, MemorySource } from "../../agent/connectors/memory.ts";
import { BLOCK_BYTES, memoryDigests } from "../../agent/engine/world.ts";
import { type Job, jobCreate } from "../../schema/api.ts";
import { newId } from "../../schema/ids.ts";
import { isFinal, type JobReport, type JobStatus } from "../../schema/job.ts";
import { type ScopedDb, scopedDb } from "../../schema/scoped-db.ts";
import {
  createJob,
  desiredOf,
  findGrantable,
  heldUntilOf,
  letGo,
  readJob,
  type Released,
  retryJob,
  steerJob,
  updateJob,
} from "../../worker/db/jobs.ts";
import { findOnline, findUnconfirmed } from "../../worker/db/sweep.ts";
import { Problem } from "../../worker/problems.ts";
import { Chance, SimulatedClock, takeOver } from "./clock.ts";
import { SimulatedD1 } from "./database.ts";
import { furnish } from "./furniture.ts";
import { Machine, type RunOfJob } from "./machine.ts";
import { Network } from "./network.ts";
import { SimulatedObject } from "./object.ts";
import { Broken } from "./story.ts";

const AGENTS = 3;
const JOBS_MAX = 4;
const STORM_MS = [3 * 60_000, 15 * 60_000] as const;
/** Longer than a lease of two minutes, and the wait for one of a stranger. */
const AWAY_MS = [1_000, 400_000] as const;
/** After the last fault: I-31, and the wait for an agent that had the job before. */
const SETTLED_MS_MAX = 5 * 60_000 + 130_000;
const AFTERMATH_MS = 90_000;
const SWEEP_MS = 60_000;
const GRANT_MS = 30 * 60_000;
/** How far a wall clock is set: seconds, minutes, a day. */
const JUMPS_MS = [1_000, 4_000, 10 * 60_000, 24 * 3_600_000] as const;
const BYTES = new Chance(2).bytes(64 * BLOCK_BYTES);

const FAULTS = [
  "agent_killed",
  "agent_away",
  "object_hibernates",
  "object_aborted",
  "link_reset",
  "link_half_open",
  "line_cut",
  "clock_set",
  "database_fails",
  "words_lost",
  "words_late",
] as const;
type Fault = (typeof FAULTS)[number];

interface Site {
  readonly agentId: string;
  readonly object: SimulatedObject;
  readonly network: Network;
  readonly machine: Machine;
}

interface Row {
  readonly id: string;
  readonly agentId: string;
  readonly epoch: number;
  readonly status: JobStatus;
  readonly desiredState: string;
  readonly desiredRev: number;
  readonly appliedRev: number;
  readonly report: string | null;
  readonly config: string;
}

export interface ToldOfMoves {
  readonly simulatedMs: number;
  readonly jobs: number;
  readonly moves: number;
  readonly grants: number;
  readonly ends: readonly string[];
  readonly lines: readonly string[];
}

/** Throws {@link Broken} where something that must never be was seen. */
export async function tellOfMoves(seed: number): Promise<ToldOfMoves> {
  const clock = new SimulatedClock();
  const chance = new Chance(seed);
  const giveBack = takeOver(clock, chance.branch());
  try {
    return await new Story(seed, clock, chance).tell();
  } finally {
    giveBack();
  }
}

class Story {
  readonly #seed: number;
  readonly #clock: SimulatedClock;
  readonly #chance: Chance;
  readonly #faults: ReadonlySet<Fault>;
  readonly #database: SimulatedD1;
  readonly #db: ScopedDb;
  readonly #orgId: string;
  readonly #userId: string;
  readonly #projectId: string;
  readonly #sites: readonly Site[];
  readonly #places = new Map<string, MemoryDestination>();
  readonly #files = new Map<string, Map<string, Uint8Array>>();
  readonly #jobIds: string[] = [];
  /** By job and epoch, who was given a credential. */
  readonly #holders = new Map<string, Map<number, string>>();
  readonly #seen = new Map<string, Row>();
  readonly #lines: string[] = [];
  #storming = true;
  #databaseFailsUntilMs = 0;
  #moves = 0;
  #grants = 0;
  #defect: string | null = null;

  constructor(seed: number, clock: SimulatedClock, chance: Chance) {
    this.#seed = seed;
    this.#clock = clock;
    this.#chance = chance;
    const share = chance.next();
    this.#faults = new Set(FAULTS.filter(() => chance.of(share)));
    const random = chance.branch();
    const id = (kind: Parameters<typeof newId>[0]) => newId(kind, clock.now(), random.bytes(10));
    this.#orgId = id("organization");
    this.#userId = id("user");
    this.#projectId = id("project");
    const databaseChance = chance.branch();
    this.#database = new SimulatedD1(
      (act) => this.#callDatabase(act, databaseChance),
      () => databaseChance.next(),
    );
    this.#db = scopedDb(this.#database as unknown as D1Database, this.#orgId);
    this.#sites = Array.from({ length: AGENTS }, (_, index) =>
      this.#makeSite(id("agent"), `${index}a`.repeat(32), chance),
    );
    furnish(this.#database.sqlite, {
      orgId: this.#orgId,
      userId: this.#userId,
      projectId: this.#projectId,
      agentIds: this.#sites.map(({ agentId }) => agentId),
      clientId: id("client"),
      connectionId: id("connection"),
      nowMs: clock.now(),
    });
  }

  #makeSite(agentId: string, keyHash: string, chance: Chance): Site {
    const clock = this.#clock;
    const object = new SimulatedObject({
      clock,
      chance: chance.branch(),
      db: this.#db,
      isWatched: () => false,
      onPublished: () => {},
    });
    const network = new Network({ clock, chance: chance.branch(), object });
    const storage = chance.branch();
    // So slow that a job is still at work when a lease has ended, and may be another's.
    const slowMs = storage.pick([400, 3_000]);
    const machine: Machine = new Machine({
      clock,
      chance: chance.branch(),
      network,
      agentId,
      keyHash,
      ends: (run) => this.#endsOf(agentId, run),
      befall: async (_, signal) =>
        await clock.sleep(storage.between(1, this.#storming ? slowMs : 400), signal),
      onDefect: (what) => this.#fail(what),
    });
    void object.initialize({ orgId: this.#orgId, agentId, keyHash });
    return { agentId, object, network, machine };
  }

  async tell(): Promise<ToldOfMoves> {
    for (const { machine } of this.#sites) machine.start();
    this.#sweepSoon();
    const untilMs = this.#clock.now() + this.#chance.between(...STORM_MS);
    const [storm, user] = [this.#chance.branch(), this.#chance.branch()];
    this.#often(storm, [1_000, 40_000], untilMs, async () => {
      const fault = storm.pick(FAULTS);
      if (this.#faults.has(fault)) this.#strike(fault, storm.pick(this.#sites), storm);
    });
    this.#often(user, [300, 30_000], untilMs, () => this.#act(user));
    await this.#advance(untilMs - this.#clock.now());
    this.#heal();
    await this.#advance(SETTLED_MS_MAX, () => this.#unsettled() === "");
    // What is still on its way must not change any of it.
    await this.#advance(AFTERMATH_MS);
    if (this.#unsettled() !== "") throw this.#broken(`not settled: ${this.#unsettled()}`);
    this.#judge();
    return {
      simulatedMs: this.#clock.monotonic(),
      jobs: this.#jobIds.length,
      moves: this.#moves,
      grants: this.#grants,
      ends: this.#rows().map(({ status }) => status),
      lines: this.#lines,
    };
  }

  async #advance(ms: number, isOver: () => boolean = () => false): Promise<void> {
    await this.#clock.advance(ms, () => this.#defect !== null || isOver());
    if (this.#defect !== null) throw this.#broken(this.#defect);
  }

  #often(chance: Chance, every: readonly [number, number], untilMs: number, act: () => Promise<void>): void {
    const waitMs = chance.between(...every);
    if (this.#clock.now() + waitMs > untilMs) return;
    this.#clock.after(waitMs, () => void act().finally(() => this.#often(chance, every, untilMs, act)));
  }

  // --- what people do ------------------------------------------------------------------------------------------------

  async #act(chance: Chance): Promise<void> {
    const jobId = this.#jobIds.length === 0 ? null : chance.pick(this.#jobIds);
    const actor = { kind: "user", id: this.#userId, address: null } as const;
    const what =
      jobId === null || (this.#jobIds.length < JOBS_MAX && chance.of(0.2))
        ? "create"
        : chance.pick(["move", "move", "move", "cancel", "retry", "retry", "pause", "resume"] as const);
    try {
      if (what === "create" || jobId === null) return await this.#create(chance);
      if (what === "move") return await this.#move(jobId, chance);
      const job =
        what === "retry"
          ? await retryJob(this.#db, actor, jobId, undefined, async (claim) => claim)
          : await steerJob(this.#db, actor, jobId, what);
      this.#note(`${what} ${jobId}`);
      if (what === "retry") this.#moveSoon(jobId, chance);
      await this.#poke(job);
    } catch (error) {
      // Refused, or nobody knows: people look again and press another time.
      this.#note(`${what} ${jobId} failed: ${String(error)}`);
    }
  }

  async #create(chance: Chance): Promise<void> {
    const path = `/srv/${this.#jobIds.length}`;
    const { checksum } = memoryDigests({ count: 0, bytesEach: 0 });
    const limits = { blockBytesMax: BLOCK_BYTES, blockCountMax: 50_000, wholeBytesMax: BLOCK_BYTES };
    if (!this.#places.has(path)) {
      this.#places.set(path, new MemoryDestination({ limits, checksum }));
      const files = new Map<string, Uint8Array>();
      for (let index = chance.between(3, 25); index > 0; index--) {
        const sizeBytes = Math.floor(chance.next() ** 2 * 10 * BLOCK_BYTES);
        const from = chance.between(0, BYTES.length - sizeBytes);
        files.set(`${index % 3}/${index}`, BYTES.slice(from, from + sizeBytes));
      }
      this.#files.set(path, files);
    }
    const body = jobCreate.parse({
      projectId: this.#projectId,
      agentId: chance.pick(this.#sites).agentId,
      name: path,
      type: "migrate_files",
      source: { kind: "local", path },
      destination: { prefix: path.slice(1) },
      options: {
        concurrency: chance.between(1, 4),
        existing: chance.pick(["skip_identical", "overwrite"]),
        ...(chance.of(0.5) ? { bandwidthMbps: chance.pick([0.1, 0.5]) } : {}),
      },
    });
    const actor = { kind: "user", id: this.#userId, address: null } as const;
    const job = await createJob(this.#db, actor, undefined, body, `key-${path}`);
    this.#jobIds.push(job.id);
    this.#note(`created ${job.id} for ${job.agentId}`);
    this.#moveSoon(job.id, chance);
    await this.#poke(job);
  }

  /** While its agent is about to take it, which is when a move is a race. */
  #moveSoon(jobId: string, chance: Chance): void {
    if (chance.of(0.4)) return;
    this.#clock.after(chance.between(0, 400), () => {
      this.#move(jobId, chance).catch((error: unknown) =>
        this.#note(`move ${jobId} failed: ${String(error)}`),
      );
    });
  }

  /** What people do with a job of an agent they do not hear of any more, and which may be at work on it. */
  #takeAwaySoon(agentId: string, chance: Chance): void {
    const pauseMs = chance.between(100, 20_000);
    const row = this.#rows().find((one) => one.agentId === agentId && !isFinal(one.status));
    if (row === undefined) return;
    const actor = { kind: "user", id: this.#userId, address: null } as const;
    this.#clock.after(pauseMs, () => {
      const takeAway = async () => {
        await this.#poke(await steerJob(this.#db, actor, row.id, "cancel"));
        await this.#clock.pause(chance.between(10, 2_000));
        await this.#poke(await retryJob(this.#db, actor, row.id, undefined, async (claim) => claim));
        await this.#clock.pause(chance.between(10, 2_000));
        await this.#move(row.id, chance);
      };
      takeAway().catch((error: unknown) => this.#note(`take away ${row.id} failed: ${String(error)}`));
    });
  }

  async #move(jobId: string, chance: Chance): Promise<void> {
    const { agentId } = chance.pick(this.#sites);
    const actor = { kind: "user", id: this.#userId, address: null } as const;
    const { job, released } = await updateJob(this.#db, actor, jobId, { agentId });
    this.#note(`move ${jobId} to ${agentId}`);
    if (released !== null) await this.#release(job, released);
  }

  // As `worker/wishes.ts`, whose calls may get lost or be late here.

  async #release(job: Job, { agentId, desired, heldUntil, isMoved }: Released): Promise<void> {
    this.#moves++;
    if (!this.#strikes("words_lost", 0.4)) {
      const untilMs = await this.#siteOf(agentId).object.release(this.#orgId, desired);
      if (isMoved) await letGo(this.#db, job, untilMs, heldUntil);
    }
    await this.#poke(job);
  }

  async #poke(job: Job): Promise<void> {
    if (this.#strikes("words_lost", 0.4)) return;
    if (job.status === "created" && job.epoch > 1) {
      const heldUntil = (await heldUntilOf(this.#db, job.id)) ?? 0;
      if (heldUntil > this.#clock.now()) return;
    }
    const lateMs = this.#strikes("words_late", 0.5) ? this.#chance.between(100, 200_000) : 0;
    this.#clock.after(lateMs, () => {
      this.#siteOf(job.agentId)
        .object.setDesired(this.#orgId, desiredOf(job))
        .catch(() => {});
    });
  }

  #sweepSoon(): void {
    this.#clock.after(SWEEP_MS, () => {
      this.#sweep().catch(() => {});
      this.#sweepSoon();
    });
  }

  async #sweep(): Promise<void> {
    const database = this.#database as unknown as D1Database;
    const nowMs = this.#clock.now();
    const [unconfirmed, online] = await Promise.all([
      findUnconfirmed(database, nowMs),
      findOnline(database, nowMs),
    ]);
    await Promise.allSettled([
      ...unconfirmed.map(async ({ orgId, jobId }) => {
        const job = await readJob(this.#db, jobId);
        await this.#siteOf(job.agentId).object.setDesired(orgId, desiredOf(job));
      }),
      ...online.map(({ orgId, agentId }) => this.#siteOf(agentId).object.checkPresence(orgId)),
    ]);
  }

  // --- what goes wrong -------------------------------------------------------------------------------------------------

  #strikes(fault: Fault, share: number): boolean {
    return this.#storming && this.#faults.has(fault) && this.#chance.of(share);
  }

  #strike(fault: Fault, site: Site, chance: Chance): void {
    const { agentId, machine, network, object } = site;
    this.#note(`${fault} ${agentId}`);
    const awayMs = chance.between(...AWAY_MS);
    switch (fault) {
      case "agent_killed":
        machine.kill();
        this.#clock.after(chance.between(10, 20_000), () => machine.start());
        return;
      case "agent_away":
        machine.kill();
        this.#clock.after(awayMs, () => machine.start());
        return;
      case "object_hibernates":
        return object.hibernate();
      case "object_aborted":
        return object.abort();
      case "link_reset":
        return network.reset();
      case "link_half_open":
        return network.halfOpen();
      case "line_cut":
        network.isCut = true;
        if (chance.of(0.7)) this.#takeAwaySoon(agentId, chance);
        this.#clock.after(awayMs, () => (network.isCut = false));
        return;
      case "clock_set":
        return machine.jumpClock(chance.pick(JUMPS_MS) * (chance.of(0.5) ? 1 : -1));
      case "database_fails":
        this.#databaseFailsUntilMs = this.#clock.now() + chance.between(1_000, 25_000);
        return;
      case "words_late":
      case "words_lost":
        return;
    }
  }

  #heal(): void {
    this.#note("healed");
    this.#storming = false;
    this.#databaseFailsUntilMs = 0;
    for (const { machine, network } of this.#sites) {
      network.isCut = false;
      machine.start();
    }
  }

  async #callDatabase<Result>(act: () => Result, chance: Chance): Promise<Result> {
    await this.#clock.pause(chance.between(1, 8));
    const fails = this.#clock.now() < this.#databaseFailsUntilMs && chance.of(0.7);
    if (fails && chance.of(0.5)) throw new Error("D1_ERROR: simulated, nothing was done");
    const result = act();
    this.#watch();
    await this.#clock.pause(chance.between(1, 8));
    if (fails) throw new Error("D1_ERROR: simulated, the answer was lost");
    return result;
  }

  // --- storage and credentials -----------------------------------------------------------------------------------------

  #siteOf(agentId: string): Site {
    const site = this.#sites.find((one) => one.agentId === agentId);
    if (site === undefined) throw new Error(`There is no agent ${agentId}`);
    return site;
  }

  #endsOf(agentId: string, { jobId, epoch, config, onStale }: RunOfJob) {
    const [beside, files] = [this.#places.get(config.source.path), this.#files.get(config.source.path)];
    if (beside === undefined || files === undefined) throw new Error("There is no such place");
    const { checksum } = memoryDigests({ count: 0, bytesEach: 0 });
    const source = new MemorySource({ pageItems: 7 });
    for (const [path, bytes] of files) source.put(path, bytes);
    let endMs = Number.NEGATIVE_INFINITY;
    let asking: Promise<void> | null = null;
    const allow = async (signal: AbortSignal) => {
      while (this.#clock.monotonic() >= endMs) {
        asking ??= this.#askGrant(agentId, { jobId, epoch }, onStale)
          .then((isGiven) => void (endMs = isGiven ? this.#clock.monotonic() + GRANT_MS : endMs))
          .finally(() => (asking = null));
        await asking;
        if (this.#clock.monotonic() < endMs) break;
        await this.#clock.sleep(2_000, signal);
      }
      this.#onRequest(agentId, jobId, epoch);
    };
    return { source, destination: new MemoryDestination({ limits: beside.limits, checksum, beside }), allow };
  }

  /** As `POST /api/agent/grants`, over the agent's line. */
  async #askGrant(
    agentId: string,
    run: { readonly jobId: string; readonly epoch: number },
    onStale: () => void,
  ): Promise<boolean> {
    const { network, machine } = this.#siteOf(agentId);
    await this.#clock.pause(this.#chance.between(2, 80));
    if (network.isCut || !machine.isRunning) return false;
    try {
      await findGrantable(this.#db, agentId, run, this.#clock.now());
    } catch (error) {
      if (error instanceof Problem && !network.isCut) onStale();
      return false;
    }
    this.#onGranted(agentId, run.jobId, run.epoch);
    await this.#clock.pause(this.#chance.between(1, 40));
    return !network.isCut;
  }

  // --- what must hold --------------------------------------------------------------------------------------------------

  #onGranted(agentId: string, jobId: string, epoch: number): void {
    this.#grants++;
    const holders = this.#holders.get(jobId) ?? new Map<number, string>();
    this.#holders.set(jobId, holders);
    const before = holders.get(epoch);
    if (before !== undefined && before !== agentId)
      this.#fail(`epoch ${epoch} of ${jobId} has two agents, ${before} and ${agentId} (J20)`);
    holders.set(epoch, agentId);
    this.#note(`granted ${jobId}.${epoch} to ${agentId}`);
  }

  /** Before each request to the storage. */
  #onRequest(agentId: string, jobId: string, epoch: number): void {
    const holders = this.#holders.get(jobId) ?? new Map<number, string>();
    if (holders.get(epoch) !== agentId)
      this.#fail(`${agentId} has no credential for ${jobId}.${epoch} (J20)`);
    for (const [newer, holder] of holders) {
      if (newer > epoch && holder !== agentId && this.#siteOf(agentId).machine.hasLease)
        this.#fail(`${agentId} works with a lease on ${jobId}.${epoch}, and ${holder} has ${newer} (J26)`);
    }
  }

  #rows(): Row[] {
    return this.#database
      .statement(
        `SELECT id, agent_id AS agentId, epoch, status, desired_state AS desiredState, desired_rev AS desiredRev,
         applied_rev AS appliedRev, report, config FROM jobs ORDER BY id`,
      )
      .all() as unknown as Row[];
  }

  /** After each call to D1. */
  #watch(): void {
    for (const row of this.#rows()) {
      const before = this.#seen.get(row.id);
      this.#seen.set(row.id, row);
      if (before === undefined) continue;
      if (row.epoch < before.epoch) this.#fail(`epoch of ${row.id} fell (I-03)`);
      if (row.epoch !== before.epoch) continue;
      if (row.agentId !== before.agentId) this.#fail(`${row.id} was moved within its epoch (J20)`);
      if (isFinal(before.status) && row.status !== before.status)
        this.#fail(`${row.id} was ${before.status} and is ${row.status} in one epoch (I-06)`);
    }
    for (const { agentId, object } of this.#sites) {
      const live = object.sockets.filter(({ isOpen, state }) => isOpen && state.welcomed);
      if (live.length > 1) this.#fail(`${live.length} live sessions of ${agentId} (I-21)`);
    }
  }

  #unsettled(): string {
    return this.#rows()
      .filter(({ status, report, desiredState, appliedRev, desiredRev }) => {
        if (status === "completed" || status === "failed") return report === null;
        const isApplied = appliedRev === desiredRev;
        return !(isApplied && (status === "cancelled" || (status === "paused" && desiredState === "pause")));
      })
      .map(
        ({ id, agentId, status, desiredState, desiredRev, appliedRev, epoch }) =>
          `${id} at ${agentId} is ${status}, wanted ${desiredState} (${appliedRev} of ${desiredRev}), epoch ${epoch}`,
      )
      .join("; ");
  }

  #judge(): void {
    for (const { id, status, report, config, epoch, agentId } of this.#rows()) {
      if (status === "failed") this.#fail(`${id} failed: ${report ?? ""}`);
      if (status !== "completed" || report === null) continue;
      const { totals } = JSON.parse(report) as JobReport;
      const { path } = (JSON.parse(config) as { source: { path: string } }).source;
      const files = this.#files.get(path) ?? new Map<string, Uint8Array>();
      const blobs = this.#places.get(path)?.blobs;
      if (this.#holders.get(id)?.get(epoch) !== agentId)
        this.#fail(`${id} was completed by one who had no credential (J20)`);
      if (totals.filesTotal !== files.size)
        this.#fail(`${id} counts ${totals.filesTotal} of ${files.size} (I-02)`);
      if (totals.filesFailed > 0) this.#fail(`${totals.filesFailed} files of ${id} failed`);
      for (const [name, bytes] of files) {
        if (!isEqual(blobs?.get(name)?.bytes, bytes)) this.#fail(`${name} of ${id} is not there (I-01)`);
      }
    }
  }

  #fail(what: string): never {
    this.#defect ??= what;
    throw this.#broken(what);
  }

  #broken(what: string): Broken {
    const story = this.#lines.slice(-80).join("\n  ");
    return new Broken(`seed ${this.#seed}: ${what}\nfaults: ${[...this.#faults].join(", ")}\n  ${story}`);
  }

  #note(what: string): void {
    this.#lines.push(`${(this.#clock.monotonic() / 1_000).toFixed(2)} s  ${what}`);
  }
}

function isEqual(one: Uint8Array | undefined, other: Uint8Array): boolean {
  return one?.length === other.length && one.every((byte, index) => byte === other[index]);
}

/** Tells `count` of these stories, and what there was in them. */
export async function tellManyOfMoves(from: number, count: number): Promise<string> {
  const begunMs = performance.now();
  const ends: Record<string, number> = {};
  let [jobs, moves, grants, simulatedMs] = [0, 0, 0, 0];
  for (let seed = from; seed < from + count; seed++) {
    const told = await tellOfMoves(seed);
    jobs += told.jobs;
    moves += told.moves;
    grants += told.grants;
    simulatedMs += told.simulatedMs;
    for (const end of told.ends) ends[end] = (ends[end] ?? 0) + 1;
  }
  const seconds = ((performance.now() - begunMs) / 1_000).toFixed(0);
  const hours = (simulatedMs / 3_600_000).toFixed(1);
  return `${count} stories, ${hours} h simulated in ${seconds} s; ${jobs} jobs, ${moves} moves, ${grants} grants; ${JSON.stringify(ends)}`;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { from: { type: "string", default: "1" }, seeds: { type: "string", default: "500" } },
  });
  console.log(await tellManyOfMoves(Number(values.from), Number(values.seeds)));
}
