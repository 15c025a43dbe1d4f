/** The purge after the retention days: real files, the real quarantine, real SQLite; killed, refused and interfered with. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  deletion,
  type JobConfig,
  jobConfig,
  type JobReport,
  PURGE_DAYS_MAX,
  ZERO_TOTALS,
} from "../schema/job.ts";
import { reportQuarantine } from "./api.ts";
import { AzureBlobDestination } from "./connectors/azure-blob.ts";
import type { GrantProvider, Held, UndoNote } from "./connectors/connector.ts";
import { Azurite } from "./connectors/fakes/azurite.ts";
import { LocalSource } from "./connectors/local.ts";
import { versionOf } from "./connectors/local-file.ts";
import { purgeQuarantine, UNDO_FILE } from "./connectors/local-quarantine.ts";
import { MemoryDestination } from "./connectors/memory.ts";
import { inWorld, noise } from "./engine/case-world.ts";
import { AccountGates } from "./engine/gate.ts";
import { askGrant } from "./grants.ts";
import { denoPlatform } from "./platform-deno.ts";
import type { Clock, Database, LogFields, Platform } from "./platform.ts";
import {
  FIRST_ROUND_MS_MAX,
  keepPurging,
  PROOF_MS_MAX,
  purgeDue,
  type PurgerInput,
  retentionOf,
} from "./purge.ts";
import { AgentState } from "./state.ts";
import { seededRandom, VirtualClock } from "./virtual.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const DAYS = 7;
const CONFIG = { url: "https://api.example.com", key: "mig_agt1_key" };
const FILES: Readonly<Record<string, string>> = { "a/1": "one", "a/2": "two!", b: "three" };
const PATHS = Object.keys(FILES);

interface Told {
  readonly jobId: string;
  readonly epoch: number;
  readonly filesLeft: number;
  readonly filesPurged: number;
}

/** What a killed program hears of everything. */
class Dead extends Error {}

function job(number: number): string {
  return `job_01jd000000000000000000000${number}`;
}

function reportAt(nowMs: number, more: Partial<JobReport> = {}): JobReport {
  const at = new Date(nowMs).toISOString();
  return {
    outcome: "completed",
    error: null,
    totals: { ...ZERO_TOTALS, filesDeleted: PATHS.length },
    startedAt: at,
    finishedAt: at,
    activeMs: 0,
    verification: "chain",
    removal: { files: PATHS.length, bytes: 12, dryRun: false, filesPurged: 0, stays: {} },
    manifest: null,
    ...more,
  };
}

/** As a real one: no call without a grant. */
class GrantedDestination extends MemoryDestination {
  grants: GrantProvider | null = null;

  override async find(path: string, signal: AbortSignal): Promise<Held | null> {
    assert.equal((await this.grants?.current(signal))?.sas, "sig=SECRET");
    return await super.find(path, signal);
  }
}

/** An agent whose program may die at any moment, its control plane, and a destination in memory. */
class World implements Disposable {
  readonly clock = new VirtualClock();
  readonly folder = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "migrate-purge-" }));
  readonly root = `${this.folder}/source`;
  readonly destination = new GrantedDestination({
    limits: { blockBytesMax: 1_024, blockCountMax: 50_000, wholeBytesMax: 1_024 },
    checksum: (_, bytes) => sha256(bytes).subarray(0, 8),
  });
  readonly requests: { jobId: string; epoch: number }[] = [];
  /** Files of the quarantine that were opened to be read. */
  readonly read: string[] = [];
  readonly logged: { event: string; fields: LogFields }[] = [];
  /** What the control plane answers instead of a grant. */
  answer: (() => Response) | null = null;
  /** What the control plane has heard of quarantines, and what it answers instead. */
  readonly told: Told[] = [];
  reportAnswer: (() => Response) | null = null;
  serverAheadMs = 0;
  isAllowed = true;
  isFenced = false;
  /** Called wherever the program touches the world. */
  onPoint: () => void = () => {};
  isDead = false;
  readonly #platform = this.#makePlatform(this.clock);
  state = this.#open();

  constructor() {
    Deno.mkdirSync(this.root);
    this.destination.hook = () => this.#pass();
  }

  // --- what a run has left -------------------------------------------------------------------------------------------

  /** Files of a job are at the destination and in the quarantine, and its run has ended. */
  async moved(number = 1, { epoch = 1, files = FILES }: { epoch?: number; files?: typeof FILES } = {}) {
    const jobId = job(number);
    const folder = new LocalSource(this.root, this.#platform).quarantine.open(jobId);
    for (const [path, text] of Object.entries(files)) {
      const name = `${number}${epoch}-${PATHS.indexOf(path)}-0`;
      folder.note([await this.#store(`${jobId}/${path}`, path, text, name)]);
      assert.equal(folder.take(path, name), null);
    }
    const revision = {
      type: "desired",
      jobId,
      epoch,
      rev: epoch,
      state: "run",
      config: this.config,
    } as const;
    this.state.accept(revision, null);
    this.finish(number, epoch);
  }

  finish(number: number, epoch: number, more: Partial<JobReport> = {}): void {
    const report = reportAt(this.clock.now(), more);
    const retention = retentionOf(this.config, epoch, report);
    this.state.finish({ jobId: job(number), epoch, report, retention });
    this.state.acknowledge(1_000);
  }

  async #store(blob: string, path: string, text: string, name: string): Promise<UndoNote> {
    const file = `${this.root}/${path}`;
    Deno.mkdirSync(file.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(file, text);
    const bytes = new TextEncoder().encode(text);
    const digest = sha256(bytes).toHex();
    const metadata = { sha256: digest, modifiedMs: 0, tier: "Hot", contentType: "text/plain" } as const;
    this.destination.plant(blob, bytes, metadata);
    return {
      name,
      path,
      sizeBytes: bytes.length,
      modifiedMs: 0,
      sha256: digest,
      blob,
      storedAs: blob,
      etag: this.destination.blobs.get(blob)?.etag ?? "",
      version: versionOf(this.#platform.disk.stat(file)) ?? "",
      movedAt: new Date(this.clock.now()).toISOString(),
      purgeAfter: new Date(this.clock.now() + DAYS * DAY_MS).toISOString(),
    };
  }

  get config(): JobConfig {
    return jobConfig.parse({
      type: "migrate_files",
      name: "Test",
      source: { kind: "local", path: this.root },
      destination: { kind: "azure_blob", account: "acme", container: "plans", prefix: "", tier: "Hot" },
      options: { deletion: { retentionDays: DAYS } },
    });
  }

  // --- the program ---------------------------------------------------------------------------------------------------

  input(clock: Clock = this.clock): PurgerInput {
    const platform = this.#makePlatform(clock);
    return {
      platform,
      state: this.state,
      gates: new AccountGates(clock, platform.random),
      mayRemove: () => this.isAllowed,
      isFenced: () => this.isFenced,
      askGrant: (asked, signal) =>
        askGrant({ ...asked, platform, config: CONFIG, policyRefusal: () => null }, signal),
      report: (told, signal) => reportQuarantine(platform, CONFIG, told, signal),
      openDestination: (_, grants) => {
        this.destination.grants = grants;
        return this.destination;
      },
      purge: ({ jobId, source }, options) => purgeQuarantine(platform, { root: source.path, jobId }, options),
    };
  }

  async round(): Promise<void> {
    await purgeDue(this.input(), new AbortController().signal);
  }

  kill(): void {
    this.isDead = true;
  }

  restart(): void {
    this.isDead = false;
    this.state.close();
    this.state = this.#open();
  }

  #open(): AgentState {
    const state = new AgentState(
      this.#wrap(this.#platform.openDatabase(`${this.folder}/agent.db`, { exclusive: true })),
    );
    state.claim(`agt_${"0".repeat(26)}`);
    return state;
  }

  #makePlatform(clock: Clock): Platform {
    const real = denoPlatform(() => {});
    const passing =
      <Given extends readonly unknown[]>(change: (...given: Given) => void) =>
      (...given: Given): void => {
        this.#pass();
        change(...given);
        this.#pass();
      };
    return {
      ...real,
      clock,
      random: seededRandom(3),
      disk: {
        ...real.disk,
        open: async (path) => {
          if (!path.endsWith(UNDO_FILE)) this.read.push(path);
          return await real.disk.open(path);
        },
      },
      changes: {
        ...real.changes,
        removeFile: passing(real.changes.removeFile),
        rename: passing(real.changes.rename),
      },
      fetch: (url, init) => {
        this.#pass();
        const of = /^https:\/\/api\.example\.com\/api\/agent\/jobs\/(\w+)\/quarantine$/.exec(url)?.[1];
        if (of !== undefined) {
          const { checkedAt, ...told } = JSON.parse(init.body as string) as Omit<Told, "jobId"> & {
            checkedAt: string;
          };
          assert.equal(checkedAt, new Date(this.clock.now()).toISOString());
          const answer = this.reportAnswer?.() ?? Response.json({});
          if (answer.ok) this.told.push({ jobId: of, ...told });
          return Promise.resolve(answer);
        }
        assert.equal(url, "https://api.example.com/api/agent/grants");
        this.requests.push(JSON.parse(init.body as string));
        return Promise.resolve(this.answer?.() ?? this.grantNow());
      },
      log: (event, fields) => void this.logged.push({ event, fields }),
    };
  }

  grantNow(): Response {
    const nowMs = this.clock.now() + this.serverAheadMs;
    const body = {
      kind: "azure_blob",
      containerUrl: "https://acme.blob.core.windows.net/plans",
      container: "plans",
      sas: "sig=SECRET",
      expiresAt: new Date(nowMs + 60 * MINUTE_MS).toISOString(),
      renewAt: new Date(nowMs + 30 * MINUTE_MS).toISOString(),
    };
    return Response.json(body, { headers: { Date: new Date(nowMs).toUTCString() } });
  }

  #wrap(database: Database): Database {
    return {
      ...database,
      prepare: (sql) => database.prepare(sql),
      close: () => database.close(),
      execute: (sql) => {
        if (sql === "COMMIT") this.#pass();
        database.execute(sql);
        if (sql === "COMMIT") this.#pass();
      },
    };
  }

  #pass(): void {
    if (!this.isDead) this.onPoint();
    if (this.isDead) throw new Dead("killed");
  }

  // --- oracle --------------------------------------------------------------------------------------------------------

  /** Names in a job's folder that are neither lists nor words. */
  quarantined(number = 1): string[] {
    const folder = `${this.root}/.migrate-quarantine/${job(number)}`;
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
    return names.filter((name) => !/\.(txt|jsonl)$/.test(name)).sort((a, b) => (a < b ? -1 : 1));
  }
  hasList(number = 1): boolean {
    const folder = `${this.root}/.migrate-quarantine/${job(number)}`;
    return [...Deno.readDirSync(folder)].some(({ name }) => name === UNDO_FILE);
  }
  log(event: string): LogFields[] {
    return this.logged.filter((line) => line.event === event).map(({ fields }) => fields);
  }
  reasons(): unknown[] {
    return this.log("quarantine_kept").map(({ reason }) => reason);
  }

  [Symbol.dispose](): void {
    this.isDead = false;
    this.state.close();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

function refuse(status: number, code: string): () => Response {
  return () => Response.json({ error: "no", code, details: null }, { status });
}

async function due(): Promise<World> {
  const world = new World();
  await world.moved();
  await world.clock.advance(DAYS * DAY_MS);
  return world;
}

Deno.test("[R11] what a job has left is removed for good when its days are over, and then nobody looks again", async () => {
  using world = await due();
  assert.equal(world.quarantined().length, 3);
  await world.round();
  assert.deepEqual(world.quarantined(), []);
  assert.ok(!world.hasList(), "the list is put aside");
  assert.equal(world.state.findQuarantine(job(1)), null);
  assert.deepEqual(world.requests, [{ jobId: job(1), epoch: 1 }]);
  assert.deepEqual(world.log("quarantine_purged"), [
    { jobId: job(1), epoch: 1, purged: 3, unconfirmed: 0, changed: 0, failed: 0, waiting: 0 },
  ]);
  await world.clock.advance(DAY_MS);
  await world.round();
  assert.equal(world.requests.length, 1);
});

Deno.test("[R11] before its days are over nothing is read, asked or removed", async () => {
  using world = new World();
  await world.moved();
  await world.clock.advance(DAYS * DAY_MS - 1);
  let points = 0;
  world.onPoint = () => void points++;
  await world.round();
  assert.equal(world.quarantined().length, 3);
  assert.deepEqual([points, world.requests, world.logged], [0, [], []]);
});

Deno.test("[R11] what is due, but not what was moved, is no reason to ask for anything", async () => {
  using world = await due();
  for (const name of world.quarantined()) {
    const file = `${world.root}/.migrate-quarantine/${job(1)}/${name}`;
    Deno.removeSync(file);
    Deno.writeTextFileSync(file, "theirs");
  }
  await world.round();
  assert.equal(world.quarantined().length, 3);
  assert.deepEqual(world.requests, []);
  assert.equal(world.log("quarantine_purged")[0]?.["changed"], 3);
  assert.notEqual(world.state.findQuarantine(job(1)), null, "looked at again");
});

for (const [what, change] of [
  ["is gone", (world: World, path: string) => void world.destination.blobs.delete(path)],
  [
    "was written anew with the same content",
    (world: World, path: string) => {
      const blob = world.destination.blobs.get(path);
      world.destination.plant(path, blob?.bytes ?? new Uint8Array(), blob?.metadata ?? null);
    },
  ],
  [
    "has another digest",
    (world: World, path: string) => {
      const blob = world.destination.blobs.get(path);
      if (blob?.metadata === null || blob === undefined) throw new Error("It is not there");
      world.destination.blobs.set(path, { ...blob, metadata: { ...blob.metadata, sha256: "00" } });
    },
  ],
  [
    "has another size",
    (world: World, path: string) => {
      const blob = world.destination.blobs.get(path);
      if (blob === undefined) throw new Error("It is not there");
      world.destination.blobs.set(path, { ...blob, bytes: new Uint8Array(1) });
    },
  ],
] as const) {
  Deno.test(`[R11] where a blob ${what} its file stays, alone, with a reason, and is tried again`, async () => {
    using world = await due();
    const kept = structuredClone(world.destination.blobs.get(`${job(1)}/a/2`));
    change(world, `${job(1)}/a/2`);
    await world.round();
    assert.deepEqual(world.quarantined(), ["11-1-0"]);
    assert.deepEqual(world.log("quarantine_file_kept"), [
      { jobId: job(1), name: "11-1-0", reason: "unconfirmed" },
    ]);
    assert.ok(world.hasList());
    await world.clock.advance(DAY_MS);
    if (kept !== undefined) world.destination.blobs.set(`${job(1)}/a/2`, kept);
    await world.round();
    assert.deepEqual(world.quarantined(), []);
    assert.equal(world.state.findQuarantine(job(1)), null);
  });
}

Deno.test("[R12] where this machine does not allow it any more nothing is asked or removed, until it does", async () => {
  using world = await due();
  world.isAllowed = false;
  const readme = `${world.root}/.migrate-quarantine/${job(1)}/README.txt`;
  Deno.removeSync(readme);
  await world.round();
  assert.throws(() => Deno.statSync(readme), "nothing is touched at all");
  assert.equal(world.quarantined().length, 3);
  assert.deepEqual([world.requests, world.reasons()], [[], ["not_allowed"]]);
  world.isAllowed = true;
  await world.clock.advance(DAY_MS);
  await world.round();
  assert.deepEqual(world.quarantined(), []);
});

Deno.test("[R12] while another has this agent's place nothing is asked or removed", async () => {
  using world = await due();
  world.isFenced = true;
  await world.round();
  assert.deepEqual([world.quarantined().length, world.requests], [3, []]);
  world.isFenced = false;
  await world.clock.advance(DAY_MS);
  await world.round();
  assert.deepEqual(world.quarantined(), []);
});

Deno.test("[R12] fenced in the middle, no further file is removed", async () => {
  using world = await due();
  world.destination.hook = ({ when, path }) => {
    if (when === "after" && path.endsWith("a/2")) world.isFenced = true;
  };
  await world.round();
  assert.deepEqual(world.quarantined(), ["11-1-0", "11-2-0"]);
});

Deno.test("[R12] withdrawn in the middle, no further file is removed", async () => {
  using world = await due();
  world.destination.hook = ({ when, path }) => {
    if (when === "after" && path.endsWith("a/2")) world.isAllowed = false;
  };
  await world.round();
  assert.deepEqual(world.quarantined(), ["11-1-0", "11-2-0"]);
  assert.deepEqual(world.reasons(), ["not_allowed"]);
});

for (const [status, code, reason] of [
  [409, "CONFLICT", "grant_refused"],
  [404, "NOT_FOUND", "grant_refused"],
  [401, "UNAUTHORIZED", "grant_refused"],
  [409, "STORAGE_DENIED", "grant_refused"],
  [502, "", "control_plane_unreachable"],
] as const) {
  Deno.test(`[R12] without a grant (${status} ${code}) everything stays, and is tried again the next day`, async () => {
    using world = await due();
    world.answer = code === "" ? () => new Response("proxy", { status }) : refuse(status, code);
    await world.round();
    assert.equal(world.quarantined().length, 3);
    assert.deepEqual(world.reasons(), [reason]);
    assert.equal(world.requests.length, 1, "asked once");
    assert.deepEqual(world.read, [], "what may be terabytes is not read in vain");
    world.answer = null;
    await world.clock.advance(DAY_MS);
    await world.round();
    assert.deepEqual(world.quarantined(), []);
  });
}

Deno.test("[R12] a grant that leads elsewhere is none", async () => {
  using world = await due();
  world.answer = () =>
    Response.json({
      kind: "azure_blob",
      containerUrl: "https://evil.blob.core.windows.net/plans",
      container: "plans",
      sas: "sig=SECRET",
      expiresAt: new Date(world.clock.now() + 60 * MINUTE_MS).toISOString(),
      renewAt: new Date(world.clock.now() + 30 * MINUTE_MS).toISOString(),
    });
  await world.round();
  assert.equal(world.quarantined().length, 3);
  assert.deepEqual(world.reasons(), ["DESTINATION_REFUSED"]);
});

Deno.test("[R12] a long purge asks for its grant anew, and ends where the agent was revoked meanwhile", async () => {
  using world = await due();
  world.destination.hook = async ({ when }) => {
    if (when === "after") await world.clock.advance(PROOF_MS_MAX);
  };
  world.answer = () => {
    if (world.requests.length < 3) return world.grantNow();
    return refuse(401, "UNAUTHORIZED")();
  };
  await world.round();
  assert.equal(world.requests.length, 3);
  assert.deepEqual(world.quarantined(), ["11-2-0"]);
});

Deno.test("[R12] what is not due yet by the control plane's clock stays", async () => {
  using world = await due();
  world.serverAheadMs = -2 * DAY_MS;
  await world.round();
  assert.equal(world.quarantined().length, 3);
  await world.clock.advance(2 * DAY_MS);
  await world.round();
  assert.deepEqual(world.quarantined(), []);
});

Deno.test("[R13] two jobs on one root: each goes by its own days and its own grant", async () => {
  using world = new World();
  await world.moved(1);
  await world.clock.advance(3 * DAY_MS);
  await world.moved(2);
  await world.clock.advance(4 * DAY_MS);
  await world.round();
  assert.deepEqual([world.quarantined(1).length, world.quarantined(2).length], [0, 3]);
  await world.clock.advance(3 * DAY_MS);
  await world.round();
  assert.deepEqual(world.quarantined(2), []);
  assert.deepEqual(
    world.requests.map(({ jobId }) => jobId),
    [job(1), job(2)],
  );
});

Deno.test("[R13] a job that is refused does not keep another one", async () => {
  using world = new World();
  await world.moved(1);
  await world.moved(2);
  await world.clock.advance(DAYS * DAY_MS);
  world.answer = () => {
    if (world.requests.at(-1)?.jobId === job(2)) return world.grantNow();
    return refuse(409, "CONFLICT")();
  };
  await world.round();
  assert.deepEqual([world.quarantined(1).length, world.quarantined(2).length], [3, 0]);
});

Deno.test("[R13] where the control plane does not answer one job is not asked for after the other", async () => {
  using world = new World();
  await world.moved(1);
  await world.moved(2);
  await world.clock.advance(DAYS * DAY_MS);
  world.answer = () => new Response("proxy", { status: 502 });
  await world.round();
  assert.equal(world.requests.length, 1);
});

Deno.test("[R13] a job that is at work for months is not forgotten", async () => {
  using world = await due();
  const wanted = { type: "desired", jobId: job(1), rev: 2, state: "run", config: world.config } as const;
  world.state.accept({ ...wanted, epoch: 2 }, null);
  await world.clock.advance(PURGE_DAYS_MAX * DAY_MS);
  await world.round();
  assert.notEqual(world.state.findQuarantine(job(1)), null);
});

Deno.test("[R13] a job that is run again is left alone; its newest epoch then answers for what all have left", async () => {
  using world = new World();
  await world.moved(1, { files: { "a/1": "one" } });
  await world.clock.advance(3 * DAY_MS);
  const wanted = { type: "desired", jobId: job(1), rev: 2, state: "run", config: world.config } as const;
  world.state.accept({ ...wanted, epoch: 2 }, null);
  await world.clock.advance(4 * DAY_MS);
  await world.round();
  assert.deepEqual([world.quarantined().length, world.requests], [1, []], "it is at work");
  await world.moved(1, { epoch: 2, files: { "a/2": "two!" } });
  await world.round();
  assert.deepEqual(world.quarantined(), ["12-1-0"], "what is due went, the rest has its days yet");
  assert.equal(world.state.findQuarantine(job(1))?.dueMs, world.clock.now() + DAYS * DAY_MS);
  await world.clock.advance(DAYS * DAY_MS);
  await world.round();
  assert.deepEqual(world.quarantined(), []);
  assert.deepEqual(
    world.requests.map(({ epoch }) => epoch),
    [2, 2],
  );
});

Deno.test("[R13] who begins to move files there in the middle of a purge ends it, and keeps the list", async () => {
  using world = await due();
  const wanted = { type: "desired", jobId: job(1), rev: 2, state: "run", config: world.config } as const;
  world.destination.hook = ({ when, path }) => {
    if (when === "after" && path.endsWith("/b")) world.state.accept({ ...wanted, epoch: 2 }, null);
  };
  await world.round();
  assert.deepEqual(world.quarantined(), ["11-2-0"]);
  assert.ok(world.hasList());
  assert.notEqual(world.state.findQuarantine(job(1)), null);
});

Deno.test("[R13] a quarantine that somebody has taken away is forgotten; a volume that is not there is not", async () => {
  using world = new World();
  await world.moved(1);
  await world.moved(2);
  await world.clock.advance(DAYS * DAY_MS);
  Deno.removeSync(`${world.root}/.migrate-quarantine/${job(1)}`, { recursive: true });
  Deno.renameSync(world.root, `${world.root}-away`);
  await world.round();
  Deno.mkdirSync(world.root);
  await world.round();
  assert.notEqual(world.state.findQuarantine(job(1)), null);
  Deno.removeSync(world.root);
  Deno.renameSync(`${world.root}-away`, world.root);
  await world.round();
  assert.deepEqual(world.quarantined(2), []);
  assert.deepEqual([world.state.findQuarantine(job(1)), world.state.findQuarantine(job(2))], [null, null]);
  assert.deepEqual(
    world.requests.map(({ jobId }) => jobId),
    [job(2)],
  );
});

Deno.test("[R13] what could not be removed for two months is given up: it stays, and nobody is asked", async () => {
  using world = await due();
  world.answer = refuse(409, "CONFLICT");
  await world.clock.advance(PURGE_DAYS_MAX * DAY_MS - 1);
  await world.round();
  await world.clock.advance(1);
  await world.round();
  assert.deepEqual(world.reasons(), ["grant_refused", "given_up"]);
  assert.equal(world.requests.length, 1);
  assert.equal(world.quarantined().length, 3);
  assert.equal(world.state.findQuarantine(job(1)), null);
});

Deno.test("[R9] killed at any point of the purge, the next one ends it; what goes is at the destination", async () => {
  let points = Infinity;
  for (let point = 0; point < points; point++) {
    using world = await due();
    let passed = 0;
    world.onPoint = () => {
      if (passed++ === point) world.kill();
    };
    await world.round().catch((error: unknown) => assert.ok(error instanceof Dead));
    if (!world.isDead) points = passed;
    for (const path of PATHS) assert.ok(world.destination.blobs.has(`${job(1)}/${path}`));
    world.onPoint = () => {};
    world.restart();
    await world.round();
    assert.deepEqual(world.quarantined(), [], `killed at ${point}`);
    assert.ok(!world.hasList(), `killed at ${point}`);
    assert.equal(world.state.findQuarantine(job(1)), null, `killed at ${point}`);
  }
  assert.ok(points > 10, `only ${points} points`);
});

Deno.test("[R16] what a round found is told: what is left, and what all rounds together removed for good", async () => {
  using world = await due();
  const blob = `${job(1)}/a/2`;
  const kept = world.destination.blobs.get(blob);
  world.destination.blobs.delete(blob);
  await world.round();
  const at = { jobId: job(1), epoch: 1 };
  assert.deepEqual(world.told, [{ ...at, filesLeft: 1, filesPurged: 2 }]);
  world.restart();
  if (kept !== undefined) world.destination.blobs.set(blob, kept);
  await world.clock.advance(DAY_MS);
  await world.round();
  assert.deepEqual(world.told.slice(1), [{ ...at, filesLeft: 0, filesPurged: 3 }]);
  assert.equal(world.state.findQuarantine(job(1)), null);
});

for (const [what, answer] of [
  ["is not there", () => new Response("proxy", { status: 502 })],
  ["refuses to hear of it", refuse(409, "CONFLICT")],
] as const) {
  Deno.test(`[R16] while the control plane ${what} the job is not forgotten, and is told of the next day`, async () => {
    using world = await due();
    world.reportAnswer = answer;
    await world.round();
    assert.deepEqual(world.quarantined(), []);
    assert.equal(world.state.findQuarantine(job(1))?.filesPurged, 3);
    assert.deepEqual(world.told, []);
    world.reportAnswer = null;
    world.restart();
    await world.clock.advance(DAY_MS);
    await world.round();
    assert.deepEqual(world.told, [{ jobId: job(1), epoch: 1, filesLeft: 0, filesPurged: 3 }]);
    assert.equal(world.state.findQuarantine(job(1)), null);
    assert.equal(world.requests.length, 1, "an empty quarantine needs no grant");
  });
}

Deno.test("[R16] what cannot be told in two months is given up", async () => {
  using world = await due();
  world.reportAnswer = refuse(404, "NOT_FOUND");
  await world.round();
  await world.clock.advance(PURGE_DAYS_MAX * DAY_MS);
  await world.round();
  assert.equal(world.state.findQuarantine(job(1)), null);
  assert.deepEqual([world.told, world.reasons()], [[], ["report_refused", "given_up"]]);
});

Deno.test("[R16] what waits for its own day is put off only when the control plane has heard of it", async () => {
  using world = new World();
  await world.moved(1, { files: { "a/1": "one" } });
  await world.clock.advance(4 * DAY_MS);
  await world.moved(1, { epoch: 2, files: { "a/2": "two!" } });
  await world.clock.advance(3 * DAY_MS);
  const dueMs = world.clock.now();
  world.reportAnswer = refuse(503, "UNAVAILABLE");
  await world.round();
  assert.deepEqual(world.quarantined(), ["12-1-0"]);
  assert.equal(world.state.findQuarantine(job(1))?.dueMs, dueMs);
  world.reportAnswer = null;
  await world.round();
  assert.deepEqual(world.told, [{ jobId: job(1), epoch: 2, filesLeft: 1, filesPurged: 1 }]);
  assert.equal(world.state.findQuarantine(job(1))?.dueMs, dueMs + 4 * DAY_MS);
});

Deno.test("[R16] a round that saw a part or nothing tells nothing", async () => {
  using world = await due();
  Deno.renameSync(world.root, `${world.root}-away`);
  Deno.mkdirSync(world.root);
  await world.round();
  Deno.removeSync(world.root);
  Deno.renameSync(`${world.root}-away`, world.root);
  world.destination.hook = ({ when, path }) => {
    if (when === "after" && path.endsWith("a/2")) world.isAllowed = false;
  };
  await world.round();
  world.destination.hook = () => {};
  world.isAllowed = true;
  world.answer = refuse(409, "CONFLICT");
  await world.round();
  assert.deepEqual(world.told, []);
  world.answer = null;
  // A list that is no file is no proof that nothing lies there.
  const list = `${world.root}/.migrate-quarantine/${job(1)}/${UNDO_FILE}`;
  Deno.renameSync(list, `${list}-away`);
  Deno.mkdirSync(list);
  await world.round();
  assert.deepEqual(world.told, []);
  Deno.removeSync(list);
  Deno.renameSync(`${list}-away`, list);
  await world.round();
  assert.deepEqual(world.told, [{ jobId: job(1), epoch: 1, filesLeft: 0, filesPurged: 3 }]);
});

Deno.test("[R14] the first round comes shortly after the start, the others about a day apart; the end comes at once", async () => {
  using world = await due();
  const stop = new AbortController();
  const purging = keepPurging(world.input(), stop.signal);
  await world.clock.advance(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(world.quarantined().length, 3, "not in the way of the start");
  await until(world, () => world.quarantined().length === 0, FIRST_ROUND_MS_MAX);
  await world.moved(2);
  await world.clock.advance(DAYS * DAY_MS);
  await until(world, () => world.quarantined(2).length === 0, 1.1 * DAY_MS);
  assert.equal(world.requests.length, 2);
  stop.abort();
  await purging;
});

Deno.test("[R14] a round that meets something unforeseen ends, and the next one comes", async () => {
  using world = await due();
  const stop = new AbortController();
  const input = world.input();
  let broken = true;
  const purging = keepPurging(
    {
      ...input,
      get state() {
        if (broken) throw new Error("unforeseen");
        return input.state;
      },
    },
    stop.signal,
  );
  await until(world, () => world.log("purge_round_broke").length > 0, FIRST_ROUND_MS_MAX);
  broken = false;
  await until(world, () => world.quarantined().length === 0, 1.1 * DAY_MS);
  stop.abort();
  await purging;
});

Deno.test("[R14] told to stop in the middle of a question, it ends at once and removes nothing", async () => {
  using world = await due();
  const stop = new AbortController();
  world.destination.hook = async (_, signal) => {
    stop.abort();
    await new Promise((_resolve, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  };
  await assert.rejects(purgeDue(world.input(), stop.signal));
  assert.equal(world.quarantined().length, 3);
});

/** Lets virtual time pass in small steps, with time for what really happens on the disk between them. */
async function until(world: World, holds: () => boolean, limitMs: number): Promise<void> {
  for (let step = 0; step < 20; step++) {
    await world.clock.advance(limitMs / 20);
    // What reads from a disk has not ended when nobody waits for the clock.
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (holds()) return;
  }
  assert.fail("it did not come in time");
}

Deno.test("[R11] only who may have left something is remembered, until its last file is due", () => {
  using world = new World();
  const nowMs = world.clock.now();
  const retention = { dueMs: nowMs + DAYS * DAY_MS, untilMs: nowMs + (DAYS + PURGE_DAYS_MAX) * DAY_MS };
  const of = (report: Partial<JobReport>, epoch = 1, options: Partial<JobConfig["options"]> = {}) => {
    const config = { ...world.config, options: { ...world.config.options, ...options } };
    return retentionOf(config, epoch, reportAt(nowMs, report));
  };
  const removal = { files: 0, bytes: 0, dryRun: false, filesPurged: 0, stays: {} };
  assert.deepEqual(of({}), retention);
  assert.equal(of({ totals: ZERO_TOTALS, removal }), null, "nothing was moved");
  assert.deepEqual(
    of({ outcome: "cancelled", totals: ZERO_TOTALS, removal: null }),
    retention,
    "not counted",
  );
  assert.deepEqual(of({ totals: ZERO_TOTALS, removal }, 2), retention, "an earlier epoch may have");
  assert.equal(of({}, 1, { deletion: null }), null);
  assert.equal(of({}, 2, { deletion: deletion.parse({ dryRun: true }) }), null);
  const atOnce = { deletion: deletion.parse({ retentionDays: 0 }) };
  assert.equal(of({ removal: { ...removal, files: 3, filesPurged: 3 } }, 1, atOnce), null, "gone already");
  assert.equal(of({ removal: { ...removal, files: 3, filesPurged: 2 } }, 1, atOnce)?.dueMs, nowMs);
});

let azurite: Azurite | null = null;
Deno.test.beforeAll(async () => {
  azurite = await Azurite.start();
});
Deno.test.afterAll(async () => {
  await azurite?.stop();
});

Deno.test("[R11] what a whole run has moved is purged against the real service, and what was replaced there stays", async () => {
  await inWorld(azurite, {}, async (run) => {
    using world = new World();
    for (const path of ["a/small", "b/large", "c"]) {
      run.put(path, noise(path.length, 5_000));
      Deno.utimeSync(run.path(path), 1_700_000_000, 1_700_000_000);
    }
    const options = { deletion: deletion.parse({ retentionDays: 1 }) };
    const report = await run.end(run.start(options));
    assert.equal(report.removal?.files, 3);
    await run.plant("c", noise(9, 10));
    const config = { ...world.config, source: { kind: "local" as const, path: run.source } };
    config.options = { ...config.options, ...options };
    const destination = { ...config.destination, account: azurite?.account ?? "" };
    const desired = { type: "desired", jobId: "job", epoch: 1, rev: 1, state: "run", config } as const;
    world.state.accept(desired, null);
    world.state.finish({ jobId: "job", epoch: 1, report, retention: retentionOf(config, 1, report) });
    const real = denoPlatform(() => {});
    const clock = { ...real.clock, now: () => Date.now() + DAY_MS };
    const platform = { ...real, clock };
    const input: PurgerInput = {
      ...world.input(),
      platform,
      gates: new AccountGates(clock, real.random),
      askGrant: () =>
        Promise.resolve({ grant: run.grant(60), askedMs: clock.monotonic(), serverNowMs: clock.now() }),
      openDestination: (_, grants) => new AzureBlobDestination(destination, grants, run.platform),
      purge: ({ jobId, source }, rest) => purgeQuarantine(platform, { root: source.path, jobId }, rest),
    };
    await purgeDue(input, new AbortController().signal);
    const folder = `${run.source}/.migrate-quarantine/job`;
    const left = [...Deno.readDirSync(folder)].filter(({ name }) => !/\.(txt|jsonl)$/.test(name));
    assert.equal(left.length, 1);
    assert.equal(Deno.statSync(`${folder}/${left[0]?.name}`).size, 5_000);
  });
});
