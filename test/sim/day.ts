/**
 * An ordinary day of a thousand agents, for the bill. One agent that only waits and one that works all day are simulated,
 * with the production code on both sides of the wire and no report left out; the other 998 are rows in D1, so that the
 * minute's sweep has as much to read and to choose from as it would have. What the two used counts 900 and 100 times.
 *
 * A day is four quarters, each like the other: the one that works does a job of nearly six hours, both lose their link
 * once, and somebody looks at the live page for four minutes. One quarter may stand for the four. What is not simulated,
 * because it is the Worker's front and not its core, is counted where it is named below: what each request of an agent
 * or of a person costs before its own work begins.
 */
import { MemoryDestination, MemorySource } from "../../agent/connectors/memory.ts";
import { BLOCK_BYTES, memoryDigests } from "../../agent/engine/world.ts";
import { jobCreate } from "../../schema/api.ts";
import { GRANT_MINUTES_MAX } from "../../schema/connector.ts";
import { newId } from "../../schema/ids.ts";
import { type ScopedDb, scopedDb } from "../../schema/scoped-db.ts";
import { audit } from "../../worker/db/audit.ts";
import { sealAudit } from "../../worker/db/audit-chain.ts";
import { createJob, desiredOf } from "../../worker/db/jobs.ts";
import { findOnline, findUnconfirmed, findUnsealed } from "../../worker/db/sweep.ts";
import { Chance, SimulatedClock, takeOver } from "./clock.ts";
import { SimulatedD1 } from "./database.ts";
import { furnish } from "./furniture.ts";
import { Machine } from "./machine.ts";
import { Meter, together, type Use } from "./meter.ts";
import { Network } from "./network.ts";
import { SimulatedObject } from "./object.ts";

export const AGENTS = 1_000;
const BUSY = 100;
const HOUR_MS = 3_600_000;
const QUARTERS = 4;
const QUARTER_MS = 6 * HOUR_MS;
const MINUTE_MS = 60_000;
const FILES_PER_JOB = 690;
/** One file after the other, so that a job takes nearly six hours. */
const FILE_MS = 30_000;
const LINK_LOST_MS = 2 * HOUR_MS;
const WATCHED_FROM_MS = 3 * HOUR_MS;
const WATCHED_MS = 4 * MINUTE_MS;
/** Of the pages that people open because of one working agent. */
const PAGE_REQUESTS = 8;
const DATABASE_MS = 20;
const FEED_MS = 5;

export interface Day {
  readonly idle: Readonly<Use>;
  readonly busy: Readonly<Use>;
  readonly sweep: Readonly<Use>;
  /** Of the thousand. */
  readonly all: Readonly<Use>;
  /** How long a job ran, of the one that works. */
  readonly runningMs: number;
  readonly jobsCompleted: number;
}

/** A day of which so many quarters are simulated, and counted as four. */
export async function liveOneDay(seed: number, quarters: 1 | 4): Promise<Day> {
  const clock = new SimulatedClock();
  const chance = new Chance(seed);
  const giveBack = takeOver(clock, chance.branch());
  try {
    return await new DayOfAgents(clock, chance, quarters).live();
  } finally {
    giveBack();
  }
}

interface Simulated {
  readonly id: string;
  readonly meter: Meter;
  /** As this agent's own calls, and calls about it, reach D1. */
  readonly db: ScopedDb;
  readonly object: SimulatedObject;
  readonly network: Network;
  readonly machine: Machine;
}

class DayOfAgents {
  readonly #clock: SimulatedClock;
  readonly #chance: Chance;
  readonly #quarters: number;
  readonly #database: SimulatedD1;
  readonly #orgId: string;
  readonly #userId: string;
  readonly #projectId: string;
  readonly #sweepMeter = new Meter();
  readonly #idle: Simulated;
  readonly #busy: Simulated;
  #defect: string | null = null;

  constructor(clock: SimulatedClock, chance: Chance, quarters: number) {
    this.#clock = clock;
    this.#chance = chance;
    this.#quarters = quarters;
    this.#database = new SimulatedD1(
      async (act) => {
        await clock.pause(DATABASE_MS);
        return act();
      },
      () => chance.next(),
    );
    this.#orgId = this.#id("organization");
    this.#userId = this.#id("user");
    this.#projectId = this.#id("project");
    this.#idle = this.#makeAgent();
    this.#busy = this.#makeAgent();
  }

  async live(): Promise<Day> {
    const simulated = [this.#idle, this.#busy];
    const others = Array.from({ length: AGENTS - simulated.length }, () => this.#id("agent"));
    furnish(this.#database.sqlite, {
      orgId: this.#orgId,
      userId: this.#userId,
      clientId: this.#id("client"),
      connectionId: this.#id("connection"),
      projectId: this.#projectId,
      agentIds: [...simulated.map(({ id }) => id), ...others],
      nowMs: this.#clock.now(),
    });
    this.#database.sqlite.exec(`UPDATE agents SET status = 'online', last_seen_at = ${this.#clock.now()}`);
    for (const agent of simulated) {
      await this.#run(
        agent.object.initialize({ orgId: this.#orgId, agentId: agent.id, keyHash: keyHashOf(agent.id) }),
      );
      agent.machine.start();
    }
    for (let quarter = 0; quarter < this.#quarters; quarter++) {
      const beginsMs = quarter * QUARTER_MS;
      this.#clock.after(beginsMs + 1_000, () => void this.#begin(quarter));
      for (const { network } of simulated) this.#clock.after(beginsMs + LINK_LOST_MS, () => network.reset());
    }
    this.#everyMinute();
    await this.#clock.advance(this.#quarters * QUARTER_MS, () => this.#defect !== null);
    if (this.#defect !== null) throw new Error(this.#defect);
    return this.#sum();
  }

  #sum(): Day {
    const jobs = this.#database.sqlite
      .prepare(
        "SELECT count(*) AS n, sum(finished_at - created_at) AS ms FROM jobs WHERE status = 'completed'",
      )
      .get() as { n: number; ms: number };
    const times = QUARTERS / this.#quarters;
    const ofDay = (meter: Meter) => together([[meter.use, times]]);
    const [idle, busy, sweep] = [ofDay(this.#idle.meter), ofDay(this.#busy.meter), ofDay(this.#sweepMeter)];
    const all = together([
      [idle, AGENTS - BUSY],
      [busy, BUSY],
      [sweep, 1],
    ]);
    return { idle, busy, sweep, all, runningMs: jobs.ms * times, jobsCompleted: jobs.n * times };
  }

  /** Something that is awaited while time goes on. */
  async #run(work: Promise<unknown>): Promise<void> {
    let isOver = false;
    void work.finally(() => (isOver = true));
    await this.#clock.advance(MINUTE_MS, () => isOver);
    await work;
  }

  // --- agents ---

  #makeAgent(): Simulated {
    const [clock, chance] = [this.#clock, this.#chance];
    const id = this.#id("agent");
    const meter = new Meter();
    const db = this.#dbOf(meter);
    const object = new SimulatedObject({
      clock,
      chance: chance.branch(),
      db,
      meter,
      isWatched: () => this.#isWatched(),
      onPublished: () => clock.pause(FEED_MS),
    });
    const network = new Network({ clock, chance: chance.branch(), object });
    const machine = new Machine({
      clock,
      chance: chance.branch(),
      network: countedConnects(network, () => countRequest(meter)),
      agentId: id,
      keyHash: keyHashOf(id),
      ends: ({ config }) => placeOf(config.source.path),
      befall: async ({ when, operation }, signal) => {
        if (when === "before" && operation === "write_whole") await clock.sleep(FILE_MS, signal);
      },
      onDefect: (what) => (this.#defect ??= what),
    });
    return { id, meter, db, object, network, machine };
  }

  #isWatched(): boolean {
    const sinceMs = (this.#clock.monotonic() % QUARTER_MS) - WATCHED_FROM_MS;
    return sinceMs >= 0 && sinceMs < WATCHED_MS;
  }

  #dbOf(meter: Meter): ScopedDb {
    const noted = this.#database.noted((done) => meter.statement(done));
    return scopedDb(noted as unknown as D1Database, this.#orgId);
  }

  // --- jobs ---

  async #begin(number: number): Promise<void> {
    const { db, meter, object, id } = this.#busy;
    const path = `/srv/${number}`;
    const body = jobCreate.parse({
      projectId: this.#projectId,
      agentId: id,
      name: path,
      type: "migrate_files",
      source: { kind: "local", path },
      destination: { prefix: path.slice(1) },
      options: { concurrency: 1 },
    });
    for (let page = 0; page < PAGE_REQUESTS; page++) countRequest(meter);
    const actor = { kind: "user", id: this.#userId, address: null } as const;
    const job = await createJob(db, actor, undefined, body, `key-${path}`);
    await object.setDesired(this.#orgId, desiredOf(job));
    await this.#askGrants(job.id);
  }

  /** As the agent does it while its job runs (`agent/grants.ts`), and the Worker's route writes it down. */
  async #askGrants(jobId: string): Promise<void> {
    const { db, meter, id } = this.#busy;
    for (;;) {
      const { status } = this.#database.sqlite.prepare("SELECT status FROM jobs WHERE id = ?").get(jobId) as {
        status: string;
      };
      if (status === "completed") break;
      countRequest(meter);
      const details = { epoch: 1, expiresAt: "2026-11-23T10:00:00.000Z", permissions: "rcwl" };
      const actor = { kind: "agent", id, address: "192.0.2.1" } as const;
      await db.batch([audit(db, actor, "grant.made", jobId, details)]);
      await this.#clock.pause((GRANT_MINUTES_MAX / 2) * MINUTE_MS);
    }
    // The manifest, in one part: begun and ended.
    countRequest(meter);
    countRequest(meter);
    meter.add("bucketWrites", 2);
  }

  // --- the minute's sweep (`worker/sweep.ts`) ---

  #everyMinute(): void {
    this.#clock.after(MINUTE_MS, () => {
      this.#sweep().catch((error: unknown) => (this.#defect ??= String(error)));
      this.#everyMinute();
    });
  }

  async #sweep(): Promise<void> {
    const meter = this.#sweepMeter;
    const database = this.#database.noted((done) => meter.statement(done)) as unknown as D1Database;
    const nowMs = this.#clock.now();
    meter.add("workerRequests");
    // Its record of itself, and the questions about what is too old.
    meter.add("objectRequests");
    meter.add("objectRowsWritten");
    meter.add("rowsRead", 100);
    const [unconfirmed, online, unsealed] = await Promise.all([
      findUnconfirmed(database, nowMs),
      findOnline(database, nowMs),
      findUnsealed(database),
    ]);
    // To choose some at random it reads them all.
    meter.add("rowsRead", AGENTS);
    if (unconfirmed.length > 0) this.#defect ??= "A wish was not confirmed within a minute";
    const db = scopedDb(database, this.#orgId);
    await Promise.all([
      ...unsealed.map(() => sealAudit(db)),
      // Each of them costs its own object; of those that are only rows it is known from these two what.
      ...[this.#idle, this.#busy]
        .filter(({ id }) => online.some(({ agentId }) => agentId === id))
        .map(({ object }) => object.checkPresence(this.#orgId)),
      // What others are told of is handed out, and marked as done.
      database.prepare(`update "outbox" set "due_at" = null where "due_at" <= ?`).bind(nowMs).run(),
    ]);
  }

  #id(kind: Parameters<typeof newId>[0]): string {
    return newId(kind, this.#clock.now(), this.#chance.bytes(10));
  }
}

/** A request passes the limits of its address and of its caller, and an agent's its key (`worker/app.ts`). */
function countRequest(meter: Meter): void {
  meter.add("workerRequests");
  meter.add("objectRequests", 3);
  meter.add("objectMs", 3 * FEED_MS);
  meter.add("objectRowsWritten", 2);
  meter.add("rowsRead", 20);
  // The limits are tidied a minute later.
  meter.add("alarmsSet");
}

function countedConnects(network: Network, count: () => void): Network {
  const { connect } = network;
  network.connect = async (...words) => {
    count();
    return await connect.apply(network, words);
  };
  return network;
}

function keyHashOf(agentId: string): string {
  return Array.from(agentId, (letter) => letter.charCodeAt(0).toString(16).padStart(2, "0"))
    .join("")
    .padEnd(64, "0")
    .slice(0, 64);
}

const places = new Map<string, { source: MemorySource; destination: MemoryDestination }>();

function placeOf(path: string) {
  const known = places.get(path);
  if (known !== undefined) return known;
  const { checksum } = memoryDigests({ count: 0, bytesEach: 0 });
  const place = {
    source: new MemorySource({ pageItems: 100 }),
    destination: new MemoryDestination({
      limits: { blockBytesMax: BLOCK_BYTES, blockCountMax: 50_000, wholeBytesMax: BLOCK_BYTES },
      checksum,
    }),
  };
  for (let index = 0; index < FILES_PER_JOB; index++)
    place.source.put(`${index}`, new Uint8Array([index % 256]));
  places.set(path, place);
  return place;
}
