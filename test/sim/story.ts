/**
 * One simulated story: a user, D1, an agent's object, a network, a customer's machine and a storage account, all of it with
 * the production code, under faults that a seed chooses. First the faults strike, and nothing unsafe may ever be seen; then
 * they stop, and every job has to come to its end, or to the pause that somebody wished.
 */
import { createHash } from "node:crypto";
import { type Call, MemoryDestination, MemorySource } from "../../agent/connectors/memory.ts";
import { TransferError } from "../../agent/connectors/connector.ts";
import { BLOCK_BYTES, memoryDigests } from "../../agent/engine/world.ts";
import { type Job, jobCreate } from "../../schema/api.ts";
import { newId } from "../../schema/ids.ts";
import { isFinal, type JobConfig, type JobReport, type JobTotals } from "../../schema/job.ts";
import { type ScopedDb, scopedDb } from "../../schema/scoped-db.ts";
import {
  createJob,
  desiredOf,
  type JobAction,
  readJob,
  retryJob,
  steerJob,
  updateJob,
} from "../../worker/db/jobs.ts";
import { findOnline, findUnconfirmed } from "../../worker/db/sweep.ts";
import { Problem } from "../../worker/problems.ts";
import { Chance, SimulatedClock, takeOver } from "./clock.ts";
import { SimulatedD1 } from "./database.ts";
import { furnish } from "./furniture.ts";
import { Machine } from "./machine.ts";
import { Network } from "./network.ts";
import { SimulatedObject } from "./object.ts";

/** As long as faults strike. */
const STORM_MS = [20_000, 150_000] as const;
/** I-31: after the last fault everything is settled within this. */
export const SETTLED_MS_MAX = 5 * 60_000;
const AFTERMATH_MS = 90_000;
const SWEEP_MS = 60_000;
const JOBS_MAX = 4;
const KEY_HASH = "ab".repeat(32);
/** Of which files are pieces. */
const BYTES = new Chance(1).bytes(64 * BLOCK_BYTES);

/** What may go wrong. Each story has some of them, because some hide others. */
const FAULTS = [
  "agent_killed",
  "object_hibernates",
  "object_aborted",
  "link_reset",
  "link_half_open",
  "network_cut",
  "database_fails",
  "answer_lost",
  "words_lost",
  "words_late",
  "storage_fails",
  "storage_throttles",
  "storage_slow",
] as const;
type Fault = (typeof FAULTS)[number];

/** Something that must never be was seen. */
export class Broken extends Error {
  override readonly name = "Broken";
}

export interface Told {
  readonly seed: number;
  readonly simulatedMs: number;
  readonly turns: number;
  readonly faults: readonly Fault[];
  readonly jobs: number;
  /** How each job ended. */
  readonly ends: readonly string[];
  readonly starts: number;
  readonly constructions: number;
  /** What happened when, for a story that is looked into. */
  readonly lines: readonly string[];
}

export async function tell(seed: number): Promise<Told> {
  const clock = new SimulatedClock();
  const chance = new Chance(seed);
  const giveBack = takeOver(clock, chance.branch());
  try {
    return await new Story(seed, clock, chance).tell();
  } finally {
    giveBack();
  }
}

interface Row extends JobTotals {
  readonly id: string;
  readonly epoch: number;
  readonly status: Job["status"];
  readonly desiredState: string;
  readonly desiredRev: number;
  readonly appliedRev: number;
  readonly report: string | null;
}

const TOTALS = [
  "files_total",
  "files_completed",
  "files_failed",
  "files_skipped",
  "files_verified",
  "bytes_total",
  "bytes_completed",
  "bytes_failed",
  "bytes_skipped",
  "bytes_sent",
] as const;

class Story {
  readonly #seed: number;
  readonly #clock: SimulatedClock;
  readonly #chance: Chance;
  readonly #faults: ReadonlySet<Fault>;
  readonly #database: SimulatedD1;
  readonly #db: ScopedDb;
  readonly #object: SimulatedObject;
  readonly #network: Network;
  readonly #machine: Machine;
  readonly #orgId: string;
  readonly #agentId: string;
  readonly #projectId: string;
  readonly #userId: string;
  /** By the path of a job's source, which is also its prefix. */
  readonly #places = new Map<string, { source: MemorySource; destination: MemoryDestination }>();
  readonly #seen = new Map<string, { epoch: number; status: string; totals: Record<string, number> }>();
  readonly #lines: string[] = [];
  readonly #jobIds: string[] = [];
  #storming = true;
  #databaseFailsUntilMs = 0;
  #storageFailsUntilMs = 0;
  #storageThrottlesUntilMs = 0;
  #storageSlowUntilMs = 0;
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
    this.#agentId = id("agent");
    this.#projectId = id("project");
    this.#userId = id("user");
    const databaseChance = chance.branch();
    this.#database = new SimulatedD1(
      (act) => this.#callDatabase(act, databaseChance),
      () => databaseChance.next(),
    );
    this.#db = scopedDb(this.#database as unknown as D1Database, this.#orgId);
    this.#object = new SimulatedObject({
      clock,
      chance: chance.branch(),
      db: this.#db,
      isWatched: () => this.#chance.of(0.5),
      onPublished: () => {},
    });
    this.#network = new Network({ clock, chance: chance.branch(), object: this.#object });
    const storageChance = chance.branch();
    this.#machine = new Machine({
      clock,
      chance: chance.branch(),
      network: this.#network,
      agentId: this.#agentId,
      keyHash: KEY_HASH,
      ends: ({ config }) => this.#placeOf(config.source.path),
      befall: (call, signal) => this.#befall(call, signal, storageChance),
      onDefect: (what) => this.#fail(what),
    });
  }

  async tell(): Promise<Told> {
    furnish(this.#database.sqlite, {
      orgId: this.#orgId,
      userId: this.#userId,
      projectId: this.#projectId,
      agentIds: [this.#agentId],
      clientId: newId("client", this.#clock.now(), this.#chance.bytes(10)),
      connectionId: newId("connection", this.#clock.now(), this.#chance.bytes(10)),
      nowMs: this.#clock.now(),
    });
    await this.#object.initialize({ orgId: this.#orgId, agentId: this.#agentId, keyHash: KEY_HASH });
    this.#machine.start();
    this.#repeat(SWEEP_MS, SWEEP_MS, () => this.#sweep());
    const stormMs = this.#chance.between(...STORM_MS);
    const storm = this.#chance.branch();
    this.#strikeSoon(storm, this.#clock.now() + stormMs);
    const user = this.#chance.branch();
    this.#actSoon(user, this.#clock.now() + stormMs);
    await this.#advance(stormMs);
    this.#heal();
    const healedMs = this.#clock.now();
    await this.#advance(SETTLED_MS_MAX, () => this.#isSettled());
    // Whatever is still on its way, a wake-up of the dead among it, must not change any of it.
    await this.#advance(AFTERMATH_MS);
    if (!this.#isSettled()) {
      throw this.#broken(
        `not settled ${(this.#clock.now() - healedMs) / 1_000} s after the last fault: ${this.#unsettled()}`,
      );
    }
    this.#judge();
    return {
      seed: this.#seed,
      simulatedMs: this.#clock.monotonic(),
      turns: this.#clock.turns,
      faults: [...this.#faults],
      jobs: this.#jobIds.length,
      ends: this.#rows().map(({ status }) => status),
      starts: this.#machine.starts,
      constructions: this.#object.constructions,
      lines: this.#lines,
    };
  }

  async #advance(ms: number, isOver: () => boolean = () => false): Promise<void> {
    await this.#clock.advance(ms, () => this.#defect !== null || isOver());
    if (this.#defect !== null) throw this.#broken(this.#defect);
  }

  #placeOf(path: string) {
    const known = this.#places.get(path);
    if (known !== undefined) return known;
    throw new Error(`There is no place ${path}`);
  }

  /** A folder with files, and where they go; something may be there already. */
  #makePlace(path: string, chance: Chance): void {
    const source = new MemorySource({ pageItems: 7 });
    const { checksum } = memoryDigests({ count: 0, bytesEach: 0 });
    const destination = new MemoryDestination({
      limits: { blockBytesMax: BLOCK_BYTES, blockCountMax: 50_000, wholeBytesMax: BLOCK_BYTES },
      checksum,
    });
    const count = chance.between(1, 25);
    for (let index = 0; index < count; index++) {
      const sizeBytes = Math.floor(chance.next() ** 3 * 10 * BLOCK_BYTES);
      const from = chance.between(0, BYTES.length - sizeBytes);
      source.put(`${index % 3}/${index}`, BYTES.slice(from, from + sizeBytes));
    }
    this.#places.set(path, { source, destination });
  }

  // --- what people do ------------------------------------------------------------------------------------------------

  #actSoon(chance: Chance, untilMs: number): void {
    const waitMs = this.#jobIds.length === 0 ? chance.between(0, 3_000) : chance.between(300, 10_000);
    if (this.#clock.now() + waitMs > untilMs) return;
    this.#clock.after(waitMs, () => {
      void this.#act(chance).finally(() => this.#actSoon(chance, untilMs));
    });
  }

  async #act(chance: Chance): Promise<void> {
    const jobId = this.#jobIds.length === 0 ? null : chance.pick(this.#jobIds);
    if (jobId === null || (this.#jobIds.length < JOBS_MAX && chance.of(0.3)))
      return await this.#create(chance);
    const what = chance.pick(["pause", "resume", "resume", "cancel", "retry", "limit"] as const);
    await this.#press(what, jobId, chance);
  }

  async #create(chance: Chance): Promise<void> {
    const path = `/srv/${this.#jobIds.length}`;
    this.#makePlace(path, chance);
    const body = jobCreate.parse({
      projectId: this.#projectId,
      agentId: this.#agentId,
      name: path,
      type: "migrate_files",
      source: { kind: "local", path },
      destination: { prefix: path.slice(1) },
      options: {
        concurrency: chance.between(1, 6),
        existing: chance.pick(["skip_identical", "overwrite"]),
        ...(chance.of(0.5) ? { bandwidthMbps: chance.pick([0.1, 0.5, 2]) } : {}),
      },
    });
    const key = `key-${path}`;
    // I-23: whoever hears nothing asks again, and gets the one job.
    for (let tries = 0; tries < 5; tries++) {
      try {
        const job = await createJob(this.#db, this.#actor(), undefined, body, key);
        if (!this.#jobIds.includes(job.id)) this.#jobIds.push(job.id);
        this.#note(`created ${job.id}`);
        return this.#poke(job);
      } catch (error) {
        if (error instanceof Problem) throw error;
        await this.#clock.pause(2_000);
      }
    }
    // It may be there all the same; then it is looked after like any other.
    const found = this.#database.sqlite.prepare("SELECT id FROM jobs WHERE idempotency_key = ?").get(key);
    if (found !== undefined) this.#jobIds.push(found["id"] as string);
  }

  async #press(what: JobAction | "retry" | "limit", jobId: string, chance: Chance): Promise<void> {
    try {
      const job = await this.#carryOut(what, jobId, chance);
      this.#note(`${what} ${jobId}`);
      this.#poke(job);
    } catch (error) {
      // Refused, or nobody knows: people look again and press another time.
      this.#note(`${what} ${jobId} failed: ${String(error)}`);
    }
  }

  async #carryOut(what: JobAction | "retry" | "limit", jobId: string, chance: Chance): Promise<Job> {
    switch (what) {
      case "retry":
        return await retryJob(this.#db, this.#actor(), jobId, undefined, async (claim) => claim);
      case "limit": {
        const bandwidthMbps = chance.pick([null, 0.2, 1, 8]);
        return (await updateJob(this.#db, this.#actor(), jobId, { bandwidthMbps })).job;
      }
      case "pause":
      case "resume":
      case "cancel":
      case "finish":
        return await steerJob(this.#db, this.#actor(), jobId, what);
    }
  }

  #actor() {
    return { kind: "user", id: this.#userId, address: null } as const;
  }

  /** I-24: the word may be lost on its way, and the sweep finds it; or late, so that a newer one overtakes it. */
  #poke(job: Job): void {
    if (this.#strikes("words_lost", 0.4)) return;
    const lateMs = this.#strikes("words_late", 0.5) ? this.#chance.between(100, 60_000) : 0;
    this.#clock.after(lateMs, () => {
      this.#object.setDesired(this.#orgId, desiredOf(job)).catch(() => {});
    });
  }

  /** As the Worker does it once a minute. */
  async #sweep(): Promise<void> {
    const database = this.#database as unknown as D1Database;
    const nowMs = this.#clock.now();
    const [unconfirmed, online] = await Promise.all([
      findUnconfirmed(database, nowMs),
      findOnline(database, nowMs),
    ]);
    await Promise.allSettled([
      ...unconfirmed.map(async ({ orgId, jobId }) => {
        await this.#object.setDesired(orgId, desiredOf(await readJob(this.#db, jobId)));
      }),
      ...online.map(({ orgId }) => this.#object.checkPresence(orgId)),
    ]);
  }

  #repeat(firstMs: number, everyMs: number, act: () => Promise<void>): void {
    this.#clock.after(firstMs, () => {
      act().catch(() => {});
      this.#repeat(everyMs, everyMs, act);
    });
  }

  // --- what goes wrong -------------------------------------------------------------------------------------------------

  #strikes(fault: Fault, share: number): boolean {
    return this.#storming && this.#faults.has(fault) && this.#chance.of(share);
  }

  #strikeSoon(chance: Chance, untilMs: number): void {
    const waitMs = chance.between(100, 7_000);
    if (this.#clock.now() + waitMs > untilMs) return;
    this.#clock.after(waitMs, () => {
      const fault = chance.pick(FAULTS);
      if (this.#faults.has(fault)) this.#strike(fault, chance);
      this.#strikeSoon(chance, untilMs);
    });
  }

  #strike(fault: Fault, chance: Chance): void {
    this.#note(fault);
    const untilMs = this.#clock.now() + chance.between(1_000, 25_000);
    switch (fault) {
      case "agent_killed":
        this.#machine.kill();
        this.#clock.after(chance.between(10, 20_000), () => this.#machine.start());
        return;
      case "object_hibernates":
        return this.#object.hibernate();
      case "object_aborted":
        return this.#object.abort();
      case "link_reset":
        return this.#network.reset();
      case "link_half_open":
        return this.#network.halfOpen();
      case "network_cut":
        this.#network.isCut = true;
        this.#clock.after(untilMs - this.#clock.now(), () => (this.#network.isCut = false));
        return;
      case "database_fails":
        this.#databaseFailsUntilMs = untilMs;
        return;
      case "storage_fails":
        this.#storageFailsUntilMs = untilMs;
        return;
      case "storage_throttles":
        this.#storageThrottlesUntilMs = untilMs;
        return;
      case "storage_slow":
        this.#storageSlowUntilMs = untilMs;
        return;
      case "answer_lost":
      case "words_late":
      case "words_lost":
        // At each call.
        return;
    }
  }

  #heal(): void {
    this.#note("healed");
    this.#storming = false;
    this.#network.isCut = false;
    this.#databaseFailsUntilMs = 0;
    this.#storageFailsUntilMs = 0;
    this.#storageThrottlesUntilMs = 0;
    this.#storageSlowUntilMs = 0;
    this.#machine.start();
  }

  async #callDatabase<Result>(act: () => Result, chance: Chance): Promise<Result> {
    await this.#clock.pause(chance.between(1, 8));
    const fails = this.#clock.now() < this.#databaseFailsUntilMs && chance.of(0.7);
    if (fails && chance.of(0.5)) throw new Error("D1_ERROR: simulated, nothing was done");
    const result = act();
    this.#watch();
    await this.#clock.pause(chance.between(1, 8));
    if (fails || this.#strikes("answer_lost", 0.05))
      throw new Error("D1_ERROR: simulated, the answer was lost");
    return result;
  }

  async #befall({ when, operation }: Call, signal: AbortSignal, chance: Chance): Promise<void> {
    const nowMs = this.#clock.now();
    const slow = nowMs < this.#storageSlowUntilMs ? 40 : 1;
    await this.#clock.sleep(chance.between(1, 25) * slow, signal);
    if (AT_SOURCE.has(operation)) return;
    if (nowMs < this.#storageThrottlesUntilMs && when === "before" && chance.of(0.5)) {
      throw trouble(operation, {
        kind: "throttled",
        afterMs: chance.of(0.5) ? chance.between(100, 5_000) : null,
      });
    }
    if (nowMs < this.#storageFailsUntilMs && chance.of(0.3))
      throw trouble(operation, { kind: "backoff", afterMs: null });
  }

  // --- what must hold --------------------------------------------------------------------------------------------------

  #rows(): Row[] {
    return this.#database
      .statement(
        `SELECT id, epoch, status, desired_state AS desiredState, desired_rev AS desiredRev, applied_rev AS appliedRev,
         report, ${TOTALS.join()} FROM jobs ORDER BY id`,
      )
      .all() as unknown as Row[];
  }

  /** After each call to D1. */
  #watch(): void {
    for (const row of this.#rows()) {
      const { id, epoch, status } = row;
      const totals = Object.fromEntries(
        TOTALS.map((name) => [name, (row as unknown as Record<string, number>)[name] ?? 0]),
      );
      const before = this.#seen.get(id);
      if (before !== undefined && epoch < before.epoch) this.#fail(`epoch of ${id} fell (I-03)`);
      if (before?.epoch === epoch) {
        for (const name of TOTALS) {
          if ((totals[name] ?? 0) < (before.totals[name] ?? 0)) this.#fail(`${name} of ${id} fell (I-03)`);
        }
        if (isFinal(before.status as Job["status"]) && status !== before.status) {
          this.#fail(`${id} was ${before.status} and is ${status} in one epoch (I-06)`);
        }
      }
      this.#seen.set(id, { epoch, status, totals });
    }
    const live = this.#object.sockets.filter(({ isOpen, state }) => isOpen && state.welcomed);
    if (live.length > 1) this.#fail(`${live.length} live sessions of one agent (I-21)`);
  }

  #isSettled(): boolean {
    return this.#unsettled() === "";
  }

  #unsettled(): string {
    return this.#rows()
      .filter((row) => !isSettled(row))
      .map(
        ({ id, status, desiredState, desiredRev, appliedRev, epoch }) =>
          `${id} is ${status}, wanted ${desiredState} (${appliedRev} of ${desiredRev}), epoch ${epoch}`,
      )
      .join("; ");
  }

  /** At the end: what the reports say is what there is, and the agent is known to be there. */
  #judge(): void {
    const agent = this.#database.sqlite.prepare("SELECT status FROM agents").get();
    if (agent?.["status"] !== "online")
      this.#fail(`the agent is there and counts as ${String(agent?.["status"])}`);
    for (const row of this.#rows()) {
      if (row.report === null) continue;
      const report = JSON.parse(row.report) as JobReport;
      const config = JSON.parse(
        this.#database.sqlite.prepare("SELECT config FROM jobs WHERE id = ?").get(row.id)?.[
          "config"
        ] as string,
      ) as JobConfig;
      this.#judgeReport(row, report, config.source.path);
    }
  }

  #judgeReport(row: Row, report: JobReport, path: string): void {
    const { source, destination } = this.#placeOf(path);
    const { totals } = report;
    if (row.status === "completed" && report.manifest === null) this.#fail(`${row.id} has no manifest`);
    if (row.status === "failed") this.#fail(`${row.id} failed: ${JSON.stringify(report.error)}`);
    if (row.status === "completed" && report.outcome !== "completed")
      this.#fail(`${row.id} tells of another end`);
    for (const [name, value] of Object.entries(totals)) {
      const column = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      const told = (row as unknown as Record<string, number>)[column];
      if (told !== undefined && told !== value && row.status === "completed")
        this.#fail(`${column} of ${row.id} is ${told} in D1 and ${value} in its report (I-32)`);
    }
    const manifest = this.#machine.manifests.get(`manifests/${row.id}.${row.epoch}.jsonl`);
    if (row.status !== "completed" || manifest === undefined) return;
    if (sha256(manifest) !== report.manifest?.sha256) this.#fail(`the manifest of ${row.id} is another one`);
    const lines = readManifest(manifest);
    const paths = lines.map(({ path }) => path).sort();
    if (paths.join("\n") !== [...source.files.keys()].sort().join("\n"))
      this.#fail(`the manifest of ${row.id} has other files than the source (I-02)`);
    const count = (outcome: string) => lines.filter((line) => line.outcome === outcome).length;
    const { filesCompleted, filesFailed, filesSkipped, filesTotal } = totals;
    if (
      filesTotal !== lines.length ||
      count("completed") !== filesCompleted ||
      count("failed") !== filesFailed ||
      count("skipped") !== filesSkipped ||
      filesCompleted + filesFailed + filesSkipped !== filesTotal
    )
      this.#fail(`the totals of ${row.id} are not those of its manifest: ${JSON.stringify(totals)} (I-02)`);
    // A service that only has too much to do makes no file fail.
    if (filesFailed > 0 && !this.#faults.has("storage_fails"))
      this.#fail(`${filesFailed} files of ${row.id} failed`);
    for (const { path: name, outcome } of lines) {
      if (outcome === "failed") continue;
      const [blob, file] = [destination.blobs.get(name), source.files.get(name)];
      if (blob === undefined || file === undefined || sha256(blob.bytes) !== sha256(file.bytes))
        this.#fail(`${name} of ${row.id} is ${outcome}, and not there (I-01)`);
    }
  }

  #fail(what: string): void {
    this.#defect ??= what;
    throw this.#broken(what);
  }

  #broken(what: string): Broken {
    const story = this.#lines.slice(-60).join("\n  ");
    return new Broken(`seed ${this.#seed}: ${what}\nfaults: ${[...this.#faults].join(", ")}\n  ${story}`);
  }

  #note(what: string): void {
    this.#lines.push(`${(this.#clock.monotonic() / 1_000).toFixed(2)} s  ${what}`);
  }
}

/** At its end, with its report; cancelled, and confirmed; or paused as it was wished. */
function isSettled({ status, desiredState, desiredRev, appliedRev, report }: Row): boolean {
  switch (status) {
    case "completed":
    case "failed":
      return report !== null;
    case "cancelled":
      return appliedRev === desiredRev;
    case "paused":
      return desiredState === "pause" && appliedRev === desiredRev;
    case "created":
    case "scanning":
    case "ready":
    case "running":
      return false;
  }
}

/** Operations that are not the storage account's. */
const AT_SOURCE: ReadonlySet<Call["operation"]> = new Set(["list", "open", "read"]);

/** As the connector tells it: of a listing it is the job's trouble, else the file's. */
function trouble(
  operation: Call["operation"],
  retry: { kind: "backoff" | "throttled"; afterMs: number | null },
): TransferError {
  const problem =
    operation === "page"
      ? ({ scope: "job", code: "DESTINATION_UNREACHABLE" } as const)
      : ({ scope: "file", code: "destination_unreachable" } as const);
  return new TransferError(problem, "Cannot reach it: simulated", { retry });
}

function readManifest(bytes: Uint8Array): { path: string; outcome: string }[] {
  const lines = new TextDecoder().decode(bytes).split("\n");
  return lines
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { path: string; outcome: string });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
