/**
 * A world to test runs in: memory at both ends, a journal in memory that survives, a clock that is moved by hand. A run
 * can be killed at any point where it touches the world: from there on it is never heard of again, and what it had not
 * made durable is gone.
 */
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { type JobConfig, type JobReport, jobConfig, type TransferOptions } from "../../schema/job.ts";
import type { ManifestRow } from "../../schema/manifest.ts";
import type { Source } from "../connectors/connector.ts";
import { type ChecksumKind, type Digests, HEADROOM_BYTES } from "../digests.ts";
import { type Hook, MemoryDestination, MemorySource } from "../connectors/memory.ts";
import {
  type Clock,
  type Database,
  DiskError,
  type Platform,
  type Random,
  type SqlRow,
} from "../platform.ts";
import { seededRandom, VirtualClock, virtualPlatform, virtualShared } from "../virtual.ts";
import { type Run, type RunEvent, startRun } from "./run.ts";

export const BLOCK_BYTES = 1_024;
/** Longer than any retry budget: a run that has not ended by then hangs. */
const HANGS_MS = 6 * 3_600_000;

export interface Point {
  /** What touched the world: an operation of a connector, or "journal". */
  readonly what: string;
  readonly when: "before" | "after";
}

/** One program run: after `kill` it gets no answer from anything. */
class Life {
  dead = false;
  readonly onPoint: (point: Point) => void;

  constructor(onPoint: (point: Point) => void) {
    this.onPoint = onPoint;
  }

  /** Never returns once dead. */
  async pass(point: Point): Promise<void> {
    if (!this.dead) this.onPoint(point);
    if (this.dead) await new Promise<never>(() => {});
  }
}

export class World {
  readonly clock = new VirtualClock();
  readonly random: Random;
  /** Pages so small that a scan has many. */
  readonly source = new MemorySource({ pageItems: 7 });
  readonly destination = new MemoryDestination({
    limits: { blockBytesMax: BLOCK_BYTES, blockCountMax: 50_000, wholeBytesMax: BLOCK_BYTES },
    checksum,
  });
  readonly told: RunEvent[] = [];
  readonly files = new Map<string, Uint8Array>();
  /** Whether this machine lets source files be removed. */
  mayRemove = true;
  hasLease = true;
  /** While set, nothing can be written. */
  diskIsFull = false;
  /** Called wherever a run touches the world; may call `kill`. */
  onPoint: (point: Point) => void = () => {};
  /** What a test does to the connectors. */
  sourceHook: Hook = () => {};
  destinationHook: Hook = () => {};
  readonly #databases = new Map<string, DatabaseSync>();
  #life: Life | null = null;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  start(
    options: Partial<TransferOptions> = {},
    source: Source = this.source,
    config: Partial<JobConfig> = {},
  ): Run {
    const life = new Life((point) => this.onPoint(point));
    this.#life = life;
    this.source.hook = this.#hook(life, (call, signal) => this.sourceHook(call, signal));
    this.destination.hook = this.#hook(life, (call, signal) => this.destinationHook(call, signal));
    const platform = this.#platform(life);
    const run = startRun({
      jobId: "job",
      epoch: 1,
      config: { ...configOf(options), ...config },
      source,
      destination: this.destination,
      platform,
      shared: virtualShared(platform.clock),
      mayRemove: () => this.mayRemove,
      hasLease: () => this.hasLease,
      journalPath: "journal",
      manifestPath: "manifest",
      tell: (event) => {
        if (!life.dead) this.told.push(event);
      },
    });
    // A killed run may end in whatever way; nobody listens.
    run.finished.catch(() => {});
    return run;
  }

  /** The run now under way is never heard of again. */
  kill(): void {
    if (this.#life !== null) this.#life.dead = true;
  }
  get killed(): boolean {
    return this.#life?.dead === true;
  }

  /** Lets time pass until the run has ended; null when it was killed on the way. */
  async end(run: Run): Promise<JobReport | null> {
    let report: JobReport | null = null;
    let failure: { error: unknown } | null = null;
    run.finished.then(
      (ended) => (report = ended),
      (error: unknown) => (failure = { error }),
    );
    for (let spentMs = 0; spentMs < HANGS_MS; spentMs += 100) {
      await this.clock.advance(100);
      if (this.killed) return null;
      if (failure !== null) throw (failure as { error: unknown }).error;
      if (report !== null) return report;
    }
    throw new Error("The run hangs");
  }

  /** Lets some time pass; the report if the run has ended by then. */
  async peek(run: Run, ms: number): Promise<JobReport | null> {
    let report: JobReport | null = null;
    run.finished.then(
      (ended) => (report = ended),
      () => {},
    );
    await this.clock.advance(ms);
    return this.killed ? null : report;
  }

  manifest(): ManifestRow[] {
    const text = new TextDecoder().decode(this.files.get("manifest"));
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as ManifestRow);
  }

  /** Damages the journal where it is. */
  damageJournal(sql: string): void {
    this.#databases.get("journal")?.exec(sql);
  }

  #hook(life: Life, hook: Hook): Hook {
    return async (call, signal) => {
      await life.pass({ what: call.operation, when: call.when });
      await hook(call, signal);
      await life.pass({ what: call.operation, when: call.when });
    };
  }

  #platform(life: Life): Platform {
    const { clock } = this;
    const lifeClock: Clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal);
        if (life.dead) await new Promise<never>(() => {});
      },
    };
    const platform = virtualPlatform({
      clock: lifeClock,
      random: this.random,
      hash: (algorithm) => {
        const hash = createHash(algorithm);
        return { update: (bytes) => void hash.update(bytes), digest: () => new Uint8Array(hash.digest()) };
      },
      checksum: (text) => crc32(text),
      prepareDigests: () => {},
      digests: memoryDigests,
      openDatabase: (path) => this.#open(path, life),
      removeDatabase: (path) => void this.#databases.delete(path),
    });
    return { ...platform, disk: { ...platform.disk, create: (path) => this.#create(path) } };
  }

  #create(path: string) {
    this.files.set(path, new Uint8Array());
    return {
      write: (bytes: Uint8Array) =>
        void this.files.set(path, Uint8Array.from([...(this.files.get(path) ?? []), ...bytes])),
      finish: () => {},
    };
  }

  #open(path: string, life: Life): Database {
    const database = this.#databases.get(path) ?? new DatabaseSync(":memory:");
    this.#databases.set(path, database);
    // What a crash left in the middle is gone.
    if (database.isTransaction) database.exec("ROLLBACK");
    const alive = () => {
      if (life.dead) throw new DiskError("other", "This life is over");
    };
    return {
      execute: (sql) => {
        alive();
        if (sql === "COMMIT") life.onPoint({ what: "journal", when: "before" });
        alive();
        if (sql === "COMMIT" && this.diskIsFull) throw new DiskError("no_space", "The disk is full");
        database.exec(sql);
        if (sql === "COMMIT") life.onPoint({ what: "journal", when: "after" });
      },
      prepare: (sql) => {
        const statement = database.prepare(sql);
        return {
          run: (...parameters) => {
            alive();
            statement.run(...parameters);
          },
          get: (...parameters) => statement.get(...parameters),
          iterate: (...parameters) => statement.iterate(...parameters) as Iterable<SqlRow>,
        };
      },
      close: () => {},
    };
  }
}

/** As the real ones, but on this thread. */
export function memoryDigests({ count, bytesEach }: { count: number; bytesEach: number }): Digests {
  const memory = new Uint8Array(count * (HEADROOM_BYTES + bytesEach));
  const from = (index: number) => index * (HEADROOM_BYTES + bytesEach) + HEADROOM_BYTES;
  return {
    buffers: Array.from({ length: count }, (_, index) =>
      memory.subarray(from(index), from(index) + bytesEach),
    ),
    checksum,
    sha256: (bytes) => digest("sha256", bytes).toHex(),
    openStream: () => {
      const whole = createHash("sha256");
      return {
        add: async (kind, bytes) => {
          whole.update(bytes);
          return await Promise.resolve(checksum(kind, bytes));
        },
        finish: () => Promise.resolve(whole.digest("hex")),
        abandon: () => {},
      };
    },
    readFiles: (_, files) => Promise.resolve(files.map(() => null)),
    close: () => {},
  };
}

function checksum(kind: ChecksumKind, bytes: Uint8Array): Uint8Array {
  // Eight bytes are what counts here, not whose.
  return kind === "md5" ? digest("md5", bytes) : digest("sha256", bytes).subarray(0, 8);
}

export function digest(algorithm: "sha256" | "md5", bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash(algorithm).update(bytes).digest());
}

/** Bytes that differ from seed to seed and from place to place. */
export function pattern(seed: number, sizeBytes: number): Uint8Array {
  return Uint8Array.from(
    { length: sizeBytes },
    (_, index) => (seed * 31 + index * 7 + (index >> 8) * 13) & 0xff,
  );
}

function configOf(options: Partial<TransferOptions>) {
  return jobConfig.parse({
    type: "migrate_files",
    name: "Test",
    source: { kind: "local", path: "/source" },
    destination: { kind: "azure_blob", account: "account", container: "container", prefix: "", tier: "Hot" },
    options: { concurrency: 3, chunkSizeMiB: 1, ...options },
  });
}
