/**
 * The customer's machine: a disk that survives, and on it the production agent: session, runner, engine, journal and state.
 * It may be killed in any moment: nothing of it is heard any more, what it had not committed is gone, and a request that had
 * left may still arrive.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Call, Hook, MemoryDestination, MemorySource } from "../../agent/connectors/memory.ts";
import { AccountGates } from "../../agent/engine/gate.ts";
import { MemoryBudget } from "../../agent/engine/memory-budget.ts";
import { startRun } from "../../agent/engine/run.ts";
import { Throttle } from "../../agent/engine/throttle.ts";
import { memoryDigests } from "../../agent/engine/world.ts";
import type { Clock, Platform } from "../../agent/platform.ts";
import { Lease } from "../../agent/lease.ts";
import { Runner, RUNS_MAX } from "../../agent/runner.ts";
import { holdSession } from "../../agent/session.ts";
import { AgentState } from "../../agent/state.ts";
import { virtualPlatform } from "../../agent/virtual.ts";
import type { JobConfig } from "../../schema/job.ts";
import type { Chance, SimulatedClock } from "./clock.ts";
import { SimulatedDisk } from "./disk.ts";
import type { Network } from "./network.ts";

/** A request that had left when the program was killed arrives all the same, so often. */
const ARRIVES_ANYWAY = 0.5;

export interface MachineWorld {
  readonly clock: SimulatedClock;
  readonly chance: Chance;
  readonly network: Network;
  readonly agentId: string;
  readonly keyHash: string;
  /** `allow` comes before each request to the destination: a credential may be missing, or refused. */
  readonly ends: (run: RunOfJob) => {
    source: MemorySource;
    destination: MemoryDestination;
    allow?: (signal: AbortSignal) => Promise<void>;
  };
  /** What befalls a request to the storage: waits, or throws. */
  readonly befall: (call: Call, signal: AbortSignal) => Promise<void>;
  /** What no part of the product may ever do. */
  readonly onDefect: (what: string) => void;
}

/** What a run is opened for; `onStale` puts it down. */
export interface RunOfJob {
  readonly jobId: string;
  readonly epoch: number;
  readonly config: JobConfig;
  readonly onStale: () => void;
}

interface Life {
  isOver: boolean;
  readonly stop: AbortController;
}

export class Machine {
  readonly #world: MachineWorld;
  readonly #disk = new SimulatedDisk();
  #life: Life | null = null;
  #lease: Lease | null = null;
  #aheadMs = 0;
  starts = 0;

  constructor(world: MachineWorld) {
    this.#world = world;
  }

  /** By their paths. */
  get manifests(): ReadonlyMap<string, Uint8Array> {
    return this.#disk.files;
  }

  get isRunning(): boolean {
    return this.#life !== null;
  }

  get hasLease(): boolean {
    return this.isRunning && this.#lease?.isLive === true;
  }

  /** Its wall clock alone is set forward or back. */
  jumpClock(ms: number): void {
    this.#aheadMs += ms;
  }

  start(): void {
    if (this.#life !== null) return;
    const life: Life = { isOver: false, stop: new AbortController() };
    this.#life = life;
    this.starts++;
    const { clock, agentId, network, keyHash, ends } = this.#world;
    const platform = this.#platform(life);
    const state = new AgentState(platform.openDatabase("agent.db", { exclusive: true }));
    state.claim(agentId);
    const lease = new Lease(platform.clock);
    this.#lease = lease;
    const runner = new Runner({
      platform,
      lease,
      state,
      startRun,
      refusal: () => null,
      mayRemove: () => false,
      connect: (run) => {
        const { source, destination, allow } = ends(run);
        source.hook = this.#hookOf(life);
        destination.hook = this.#hookOf(life, allow);
        return { source, destination };
      },
      shared: {
        throttle: new Throttle(platform.clock),
        gates: new AccountGates(platform.clock, platform.random),
        memory: new MemoryBudget(RUNS_MAX),
      },
      folders: { journals: "jobs", manifests: "manifests" },
    });
    runner.start();
    const session = holdSession({
      platform: {
        ...platform,
        connect: (_, { signal }) => network.connect(keyHash, () => !life.isOver, signal),
      },
      config: { url: "https://sim.example", key: "key" },
      identity: {
        get generation() {
          return state.generation;
        },
        storeGeneration: (generation) => state.storeGeneration(generation),
        storeKey: () => false,
      },
      agentId,
      work: runner,
      lease,
      machine: { agentVersion: "0.1.0", host: "fs01", os: "linux", arch: "x86_64" },
      signal: life.stop.signal,
    });
    session.then(
      (end) => !life.isOver && this.#world.onDefect(`the session ended: ${end.kind}`),
      (error: unknown) =>
        !life.isOver && this.#world.onDefect(`the session broke at ${clock.now()}: ${String(error)}`),
    );
  }

  kill(): void {
    if (this.#life === null) return;
    this.#life.isOver = true;
    this.#life = null;
    this.#world.network.reset();
  }

  #hookOf(life: Life, allow: (signal: AbortSignal) => Promise<void> = async () => {}): Hook {
    return async (call, signal) => {
      if (life.isOver) await never();
      if (call.when === "before") {
        await allow(signal);
        if (life.isOver) await never();
        await this.#world.befall(call, signal);
        if (life.isOver && !this.#world.chance.of(ARRIVES_ANYWAY)) await never();
      } else {
        if (life.isOver) await never();
        await this.#world.befall(call, signal);
        if (life.isOver) await never();
      }
    };
  }

  #platform(life: Life): Platform {
    const { clock, chance } = this.#world;
    const isOver = () => life.isOver;
    const lifeClock: Clock = {
      now: () => clock.now() + this.#aheadMs,
      monotonic: () => clock.monotonic(),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal);
        if (life.isOver) await never();
      },
    };
    const platform = virtualPlatform({
      clock: lifeClock,
      random: chance,
      hash: (algorithm) => {
        const hash = createHash(algorithm);
        return { update: (bytes) => void hash.update(bytes), digest: () => new Uint8Array(hash.digest()) };
      },
      checksum: (text) => crc32(text),
      prepareDigests: () => {},
      digests: memoryDigests,
      openDatabase: (path) => this.#disk.openDatabase(path, isOver),
      removeDatabase: (path) => {
        if (!life.isOver) this.#disk.removeDatabase(path);
      },
    });
    return {
      ...platform,
      disk: {
        ...platform.disk,
        readFolder: (folder) => this.#disk.readFolder(folder),
        create: (path) => this.#disk.create(path, isOver),
      },
    };
  }
}

async function never(): Promise<never> {
  return await new Promise<never>(() => {});
}
