/** The removal of sources in a world of memory: killed, paused and interfered with at every point where it touches the world. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { type Deletion, jobConfig } from "../../schema/job.ts";
import type { EntryMetadata } from "../connectors/connector.ts";
import { LocalSource } from "../connectors/local.ts";
import { versionOf } from "../connectors/local-file.ts";
import { UNDO_FILE } from "../connectors/local-quarantine.ts";
import { MemoryDestination } from "../connectors/memory.ts";
import { MemoryDisk } from "../connectors/memory-disk.ts";
import { type Database, DiskError, type SqlRow } from "../platform.ts";
import { seededRandom, VirtualClock, virtualPlatform } from "../virtual.ts";
import { blockId } from "./block-id.ts";
import { cleanUp, type CleanupResult, readCleanup } from "./cleanup.ts";
import { Control, Stopped } from "./control.ts";
import { AccountGates } from "./gate.ts";
import { Journal } from "./journal.ts";
import type { Outcome } from "./page.ts";
import { makePlan } from "./plan.ts";
import { ProofPlan } from "./proof-plan.ts";
import { Retry } from "./retry.ts";
import { BLOCK_BYTES, digest, pattern } from "./world.ts";

const ROOT = "/srv/source";
const QUARANTINE = `${ROOT}/.migrate-quarantine/job_1`;
const OLD_MS = 1_700_000_000_000;
const FILES: Readonly<Record<string, Uint8Array>> = {
  "a/1": pattern(1, 10),
  "a/b/2": pattern(2, 20),
  "a/b/3": pattern(3, 20),
  "c/large": pattern(4, 3 * BLOCK_BYTES + 5),
  d: pattern(5, 30),
};
const PATHS = Object.keys(FILES);
const TARGET = "a/b/2";
const MUTANT = pattern(77, 20);

/** What a killed program hears of everything. */
class Dead extends Error {}

interface Point {
  readonly what: string;
  readonly when: "before" | "after";
  readonly path: string;
}

class CleanupWorld {
  readonly clock = new VirtualClock();
  readonly memory = new MemoryDisk(this.clock);
  readonly destination = new MemoryDestination({
    limits: { blockBytesMax: BLOCK_BYTES, blockCountMax: 50_000, wholeBytesMax: BLOCK_BYTES },
    checksum: (_, bytes) => digest("sha256", bytes).subarray(0, 8),
  });
  readonly database = new DatabaseSync(":memory:");
  readonly deletion: Deletion;
  readonly config;
  onPoint: (point: Point) => void = () => {};
  mayGoOn = true;
  isAllowed = true;
  control = new Control(this.clock, 0);
  points = 0;
  #random = seededRandom(7);
  #life = { dead: false, die: () => {} };

  constructor(deletion: Partial<Deletion> = {}) {
    this.deletion = { retentionDays: 7, filesMax: null, dryRun: false, ...deletion };
    this.config = jobConfig.parse({
      type: "migrate_files",
      name: "Test",
      source: { kind: "local", path: ROOT },
      destination: {
        kind: "azure_blob",
        account: "account",
        container: "container",
        prefix: "",
        tier: "Hot",
      },
      options: { concurrency: 3, chunkSizeMiB: 1, deletion: this.deletion },
    });
    for (const [path, bytes] of Object.entries(FILES)) this.put(path, bytes);
  }

  put(path: string, bytes: Uint8Array, modifiedMs = OLD_MS): void {
    this.memory.put(`${ROOT}/${path}`, bytes, modifiedMs);
  }

  get plan() {
    return makePlan(this.config.options, this.destination.limits, {
      largestBytes: 4 * BLOCK_BYTES,
      memoryBytes: 2 ** 29,
      blockBytes: null,
    });
  }

  /** What the run has done by the time its files are removed. */
  async upload(
    change: (path: string, outcome: Extract<Outcome, { state: "completed" }>) => Outcome = (_, o) => o,
  ) {
    await this.clock.advance(10_000);
    const journal = this.openJournal();
    const entries = PATHS.map((path) => {
      const stat = this.memory.disk.stat(`${ROOT}/${path}`);
      return { path, sizeBytes: stat.sizeBytes, modifiedMs: stat.modifiedMs, identity: null };
    });
    // Two pages, so that one is decided while the other is not.
    journal.addPage(
      entries.slice(0, 3).map((entry) => ({ kind: "file", entry })),
      "a/b/3",
    );
    journal.addPage(
      entries.slice(3).map((entry) => ({ kind: "file", entry })),
      null,
    );
    await journal.flush();
    for (let number = 0; number < journal.pageCount; number++) {
      const page = journal.open(number);
      await journal.claim(
        page,
        page.paths.map(() => null),
      );
      for (const [index, path] of page.paths.entries()) {
        const bytes = FILES[path] as Uint8Array;
        const etag = await this.#store(journal, path, bytes);
        const sha256 = digest("sha256", bytes).toHex();
        const version = versionOf(this.memory.disk.stat(`${ROOT}/${path}`));
        const outcome = { state: "completed", sha256, etag, as: null, version, proof: "chain" } as const;
        journal.settle(page, index, change(path, outcome));
      }
      journal.release(page);
    }
    await journal.flush();
    journal.close();
    await this.clock.advance(10_000);
  }

  async #store(journal: Journal, path: string, bytes: Uint8Array): Promise<string> {
    const metadata = metadataOf(bytes);
    const options = { signal: new AbortController().signal, pace: null };
    const bodyOf = (piece: Uint8Array) => {
      const value = digest("sha256", piece).subarray(0, 8);
      return { bytes: piece, headroomBytes: 0, checksum: { kind: "crc64" as const, value } };
    };
    if (bytes.length <= BLOCK_BYTES) {
      return (await this.destination.writeWhole(path, bodyOf(bytes), metadata, { kind: "absent" }, options))
        .etag;
    }
    const ids: string[] = [];
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      const body = bodyOf(bytes.subarray(at, at + BLOCK_BYTES));
      const id = blockId(journal.salt, ids.length, body.checksum.value);
      ids.push(id);
      await this.destination.writeBlock(path, id, body, options);
    }
    return (await this.destination.commit(path, ids, metadata, { kind: "absent" }, options.signal)).etag;
  }

  /** Runs the removal to its end; null when it was killed. */
  async clean(): Promise<CleanupResult | null> {
    const life = { dead: false, die: () => {} };
    this.#life = life;
    const died = new Promise<null>((resolve) => (life.die = () => resolve(null)));
    const pass = (point: Point) => {
      if (!life.dead) {
        this.points++;
        this.onPoint(point);
      }
      if (life.dead) throw new Dead();
    };
    this.memory.hook = ({ what, when, path }) => pass({ what, when, path });
    this.destination.hook = async ({ operation, when, path }) => {
      try {
        pass({ what: operation, when, path });
      } catch (error) {
        if (!(error instanceof Dead)) throw error;
        await new Promise<never>(() => {});
      }
    };
    this.control = new Control(this.clock, 0);
    let journal: Journal | null = null;
    try {
      journal = this.openJournal(pass);
      const work = this.#start(journal);
      // A killed run may end in whatever way; nobody listens.
      work.catch(() => {});
      return await Promise.race([work, died]);
    } catch (error) {
      if (error instanceof Dead || life.dead) return null;
      throw error;
    } finally {
      this.memory.hook = () => {};
      this.destination.hook = () => {};
      if (!life.dead) journal?.close();
    }
  }

  #start(journal: Journal): Promise<CleanupResult> {
    const { control, destination, config, plan } = this;
    const platform = this.platform();
    const gate = new AccountGates(this.clock, this.#random).join("account", 12).gate;
    const retry = new Retry({ platform, control, gate, ready: () => undefined });
    return cleanUp({
      jobId: "job_1",
      options: config.options,
      quarantine: new LocalSource(ROOT, platform).quarantine,
      journal,
      platform,
      plan,
      proofPlan: new ProofPlan(config, plan, { checksum: crc32, firstPage: journal.firstPage }),
      destination,
      control,
      retry,
      mayGoOn: () => this.mayGoOn,
      isAllowed: () => this.isAllowed,
    });
  }

  kill(): void {
    this.#life.dead = true;
    this.#life.die();
  }

  platform(pass: (point: Point) => void = () => {}) {
    return virtualPlatform({
      clock: this.clock,
      random: this.#random,
      disk: this.memory.disk,
      changes: this.memory.changes,
      checksum: (text) => crc32(text),
      hash: (algorithm) => {
        const hash = createHash(algorithm);
        return { update: (bytes) => void hash.update(bytes), digest: () => new Uint8Array(hash.digest()) };
      },
      openDatabase: () => this.#wrap(pass),
    });
  }

  openJournal(pass?: (point: Point) => void): Journal {
    return Journal.open(this.platform(pass), "journal");
  }

  #wrap(pass: (point: Point) => void): Database {
    const { database } = this;
    if (database.isTransaction) database.exec("ROLLBACK");
    return {
      execute: (sql) => {
        if (sql === "COMMIT") pass({ what: "journal", when: "before", path: "" });
        database.exec(sql);
        if (sql === "COMMIT") pass({ what: "journal", when: "after", path: "" });
      },
      prepare: (sql) => {
        const statement = database.prepare(sql);
        return {
          run: (...parameters) => void statement.run(...parameters),
          get: (...parameters) => statement.get(...parameters),
          iterate: (...parameters) => statement.iterate(...parameters) as Iterable<SqlRow>,
        };
      },
      close: () => {},
    };
  }

  // --- oracle ------------------------------------------------------------------------------------------------------

  inSource(path: string): boolean {
    return same(this.memory.bytes(`${ROOT}/${path}`), FILES[path]);
  }
  inQuarantine(bytes: Uint8Array | undefined): boolean {
    return this.quarantined().some(([, other]) => same(other, bytes));
  }
  onDisk(bytes: Uint8Array | undefined): boolean {
    return this.memory.files().some(([, other]) => same(other, bytes));
  }
  atDestination(path: string): boolean {
    return same(this.destination.blobs.get(path)?.bytes ?? null, FILES[path]);
  }
  quarantined() {
    return this.memory
      .files()
      .filter(([path]) => path.startsWith(`${QUARANTINE}/`) && !/\.(txt|jsonl)$/.test(path));
  }
  undoLines(): { path: string; name: string }[] {
    const text = new TextDecoder().decode(this.memory.bytes(`${QUARANTINE}/${UNDO_FILE}`) ?? undefined);
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { path: string; name: string });
  }
  /** Every file is at exactly one place, or was purged after its proof. */
  assertNothingLost(about: string): void {
    for (const path of PATHS) {
      const places = Number(this.inSource(path)) + Number(this.inQuarantine(FILES[path]));
      const isSafe =
        places === 1 || (places === 0 && this.deletion.retentionDays === 0 && this.atDestination(path));
      assert.ok(isSafe, `${about}: "${path}" is at ${places} places`);
      if (this.inQuarantine(FILES[path]))
        assert.ok(
          this.undoLines().some((line) => line.path === path),
          about,
        );
    }
  }
}

function metadataOf(bytes: Uint8Array): EntryMetadata {
  return {
    sha256: digest("sha256", bytes).toHex(),
    modifiedMs: OLD_MS,
    tier: "Hot",
    contentType: "text/plain",
  };
}

function same(a: Uint8Array | null, b: Uint8Array | undefined): boolean {
  return a !== null && b !== undefined && Buffer.compare(a, b) === 0;
}

async function uploaded(deletion: Partial<Deletion> = {}): Promise<CleanupWorld> {
  const world = new CleanupWorld(deletion);
  await world.upload();
  return world;
}

Deno.test("[R1] what is proved is moved into the quarantine, with a line to undo it, and empty folders go", async () => {
  const world = await uploaded();
  world.memory.makeFolder(`${ROOT}/empty`);
  world.put("c/other", MUTANT);
  const result = await world.clean();
  assert.deepEqual(result?.removed, { files: 5, bytes: 80 + 3 * BLOCK_BYTES + 5 });
  assert.deepEqual(result.stays, {});
  assert.deepEqual(world.quarantined().length, 5);
  assert.deepEqual(
    world.undoLines().map(({ path }) => path),
    PATHS,
  );
  assert.ok(!world.memory.has(`${ROOT}/a`));
  assert.ok(world.memory.has(`${ROOT}/c/other`));
  assert.ok(world.memory.has(`${ROOT}/empty`), "nothing was moved out of it");
  assert.equal(world.openJournal().totals.filesDeleted, 5);
  world.assertNothingLost("at the end");
});

Deno.test("[R8] without days to wait, what was moved is read once more, asked for once more, and gone", async () => {
  const world = await uploaded({ retentionDays: 0 });
  const result = await world.clean();
  assert.equal(result?.purgedFiles, 5);
  assert.deepEqual(world.quarantined(), []);
  world.assertNothingLost("at the end");
});

Deno.test("[R2] a dry run says what would be removed, and touches nothing", async () => {
  const world = await uploaded({ dryRun: true });
  const before = world.memory.files();
  const result = await world.clean();
  assert.equal(result?.wouldRemove.files, 5);
  assert.equal(result.removed.files, 0);
  assert.deepEqual(world.memory.files(), before);
});

Deno.test("[R2] no more are removed than the job may, over restarts too", async () => {
  const world = await uploaded({ filesMax: 2 });
  const result = await world.clean();
  assert.equal(result?.removed.files, 2);
  assert.deepEqual(result.stays, { limit_reached: 3 });
  assert.deepEqual(await world.clean(), result);
});

// --- each condition, violated by what happens in the world ---------------------------------------------------------

interface Violation {
  readonly condition: number;
  readonly name: string;
  readonly code: string;
  readonly outcome?: (outcome: Extract<Outcome, { state: "completed" }>) => Outcome;
  readonly world?: (world: CleanupWorld) => void;
  readonly deletion?: Partial<Deletion>;
  readonly path?: string;
}

const at = `${ROOT}/${TARGET}`;
const onceBefore =
  (what: string, act: (world: CleanupWorld) => void, path = at) =>
  (world: CleanupWorld) => {
    let isDone = false;
    world.onPoint = (point) => {
      if (isDone || point.what !== what || point.when !== "before" || point.path !== path) return;
      isDone = true;
      act(world);
    };
  };

const VIOLATIONS: readonly Violation[] = [
  {
    condition: 1,
    name: "the job asks for no proofs",
    code: "not_asked",
    world: ({ config }) => Object.assign(config.options, { verify: false }),
  },
  {
    condition: 2,
    name: "this machine's policy",
    code: "not_allowed",
    world: (world) => (world.isAllowed = false),
  },
  { condition: 4, name: "gone", code: "source_vanished", world: ({ memory }) => memory.remove(at) },
  {
    condition: 4,
    name: "a link",
    code: "not_a_file",
    world: ({ memory }) => (memory.move(at, "/elsewhere"), memory.makeLink(at, "/elsewhere")),
  },
  {
    condition: 4,
    name: "behind a link",
    code: "outside_root",
    world: ({ memory }) => (memory.move(`${ROOT}/a/b`, "/b"), memory.makeLink(`${ROOT}/a/b`, "/b")),
  },
  {
    condition: 5,
    name: "no version",
    code: "identity_unknown",
    outcome: (outcome) => ({ ...outcome, version: null }),
  },
  {
    condition: 5,
    name: "a second name",
    code: "other_names",
    world: ({ memory }) => memory.addName(at, "/other"),
  },
  { condition: 6, name: "no digest", code: "not_hashed", outcome: (outcome) => ({ ...outcome, sha256: "" }) },
  { condition: 7, name: "no tag", code: "not_accepted", outcome: (outcome) => ({ ...outcome, etag: "" }) },
  {
    condition: 8,
    name: "written to, its time set back",
    code: "changed_since_upload",
    world: ({ memory }) => memory.write(at, MUTANT, OLD_MS),
  },
  {
    condition: 8,
    name: "replaced by one of the same size and time",
    code: "changed_since_upload",
    world: (world) => world.put(TARGET, MUTANT),
  },
  {
    condition: 9,
    name: "never proved",
    code: "not_proved",
    outcome: (outcome) => ({ ...outcome, proof: "none" }),
  },
  {
    condition: 9,
    name: "gone there",
    code: "destination_vanished",
    world: ({ destination }) => void destination.blobs.delete(TARGET),
  },
  {
    condition: 9,
    name: "replaced there by the same content",
    code: "destination_replaced",
    world: ({ destination }) =>
      destination.plant(TARGET, FILES[TARGET] as Uint8Array, metadataOf(FILES[TARGET] as Uint8Array)),
  },
  {
    condition: 9,
    name: "a journal that was edited to name what is there",
    code: "destination_differs",
    outcome: (outcome) => ({ ...outcome, sha256: "0".repeat(64) }),
  },
  {
    condition: 9,
    name: "other blocks",
    code: "destination_differs",
    path: "c/large",
    world: ({ destination }) => {
      const blob = destination.blobs.get("c/large");
      if (blob !== undefined) destination.blobs.set("c/large", { ...blob, blocks: blob.blocks.slice(1) });
    },
  },
  {
    condition: 12,
    name: "an undo list that cannot be written",
    code: "not_recorded",
    world: onceBefore(
      "append",
      () => {
        throw new DiskError("no_space", "The disk is full");
      },
      `${QUARANTINE}/${UNDO_FILE}`,
    ),
  },
  {
    condition: 12,
    name: "a folder that may not be changed",
    code: "source_denied",
    world: onceBefore("rename", () => {
      throw new DiskError("denied", "Read-only");
    }),
  },
  {
    condition: 4,
    name: "a quarantine on another volume",
    code: "other_volume",
    world: onceBefore("rename", () => {
      throw new DiskError("other_volume", "EXDEV");
    }),
  },
  {
    condition: 13,
    name: "replaced in the moment of the rename",
    code: "changed_since_upload",
    world: onceBefore("rename", (world) => world.put(TARGET, MUTANT)),
  },
];

for (const { condition, name, code, outcome, world: act, path = TARGET } of VIOLATIONS) {
  Deno.test(`[R3] condition ${condition} violated, and the file stays: ${name}`, async () => {
    const world = new CleanupWorld();
    await world.upload((other, proved) =>
      other === path && outcome !== undefined ? outcome(proved) : proved,
    );
    act?.(world);
    const before = world.memory.bytes(`${ROOT}/${path}`);
    const result = await world.clean();
    const stay = result?.listed.find((listed) => listed.path === path);
    assert.deepEqual(stay, { path, code, condition });
    const now = world.memory.bytes(`${ROOT}/${path}`);
    assert.ok(same(now, MUTANT) || same(now, before ?? undefined) || before === now, "it is where it was");
    if (before !== null)
      assert.ok(
        !world
          .undoLines()
          .some((line) => world.memory.has(`${QUARANTINE}/${line.name}`) && line.path === path),
      );
  });
}

Deno.test("[R3] condition 3 violated: while the lease is lost nothing is moved, and at last it stays", async () => {
  const world = await uploaded();
  world.mayGoOn = false;
  const ended = world.clean();
  await world.clock.advance(23 * 3_600_000);
  world.assertNothingLost("while it waits");
  assert.deepEqual(world.quarantined(), []);
  await world.clock.advance(2 * 3_600_000);
  assert.deepEqual((await ended)?.stays, { not_wanted: 5 });
});

Deno.test("[R3] condition 10 violated: an entry of blocks that was archived before its proof stays", async () => {
  const world = await uploaded();
  world.config.destination.tier = "Archive";
  Object.assign(world.config.options, { verify: true });
  // A plan of proofs that lets it land where it cannot be looked at.
  const original = ProofPlan.prototype.landingTier;
  ProofPlan.prototype.landingTier = () => "Archive";
  try {
    const result = await world.clean();
    assert.deepEqual(result?.listed, [{ path: "c/large", code: "tier_before_proof", condition: 10 }]);
  } finally {
    ProofPlan.prototype.landingTier = original;
  }
});

Deno.test("[R4] condition 11 violated: what was written to within the clock's tick is read again, and stays if it differs", async () => {
  for (const isChanged of [false, true]) {
    const world = new CleanupWorld();
    await world.clock.advance(9_000);
    world.put(TARGET, FILES[TARGET] as Uint8Array, world.clock.now() + 9_000);
    await world.upload();
    // The same tick, the same size, the same times: only the content tells.
    if (isChanged) (world.memory.bytes(at) as Uint8Array).set(MUTANT);
    const result = await world.clean();
    if (isChanged) {
      assert.deepEqual(result?.listed, [{ path: TARGET, code: "content_differs", condition: 11 }]);
    } else assert.equal(result?.removed.files, 5);
  }
});

Deno.test("[R8] condition 14 violated: what the destination lost, or what changed in the quarantine, is not purged", async () => {
  const world = await uploaded({ retentionDays: 0 });
  let moved = "";
  world.onPoint = ({ what, when, path }) => {
    if (what === "rename" && when === "after" && path === `${ROOT}/d`) world.destination.plant("d", MUTANT);
    if (what === "removeFolder" && when === "before" && moved === "") {
      moved = world.quarantined().find(([, bytes]) => same(bytes, FILES[TARGET]))?.[0] ?? "";
      world.memory.write(moved, MUTANT, OLD_MS);
    }
  };
  const result = await world.clean();
  assert.equal(result?.removed.files, 5);
  assert.equal(result.purgedFiles, 3);
  assert.ok(world.inQuarantine(FILES["d"]));
  assert.ok(world.inQuarantine(MUTANT), "its time was set back, but it is not what was sent");
});

Deno.test("[R5] what was taken by mistake goes back, but never over what is there by then", async () => {
  const world = await uploaded();
  const newer = pattern(88, 20);
  world.onPoint = ({ what, when, path }) => {
    if (what !== "rename" || path !== at) return;
    world.put(TARGET, when === "before" ? MUTANT : newer);
  };
  const result = await world.clean();
  assert.equal(result?.keptFiles, 1);
  assert.deepEqual(result.listed, [{ path: TARGET, code: "changed_since_upload", condition: 13 }]);
  assert.ok(same(world.memory.bytes(at), newer));
  assert.ok(world.inQuarantine(MUTANT));
});

// --- pause, stop, lease --------------------------------------------------------------------------------------------

for (const how of ["pause", "cancel", "suspend", "lease"] as const) {
  Deno.test(`[R7] ${how}: no further rename, whenever it comes; what is left can be done later`, async () => {
    for (let point = 1; ; point++) {
      const world = await uploaded();
      const about = `${how} at point ${point}`;
      let left = point;
      let renames = 0;
      world.onPoint = ({ what, when }) => {
        if (left <= 0 && what === "rename" && when === "before") renames++;
        if (--left !== 0) return;
        if (how === "pause") world.control.pause();
        else if (how === "lease") world.mayGoOn = false;
        else world.control.stop(how === "cancel" ? "cancelled" : "suspended");
      };
      const ended = world.clean().catch((error: unknown) => {
        assert.ok(error instanceof Stopped, String(error));
        return "stopped";
      });
      for (let turn = 0; turn < 4; turn++) await world.clock.advance(500);
      // The file whose look had begun is moved in the same breath; nothing could have come in between.
      assert.ok(renames <= 1, `${about}: ${renames} renames`);
      world.assertNothingLost(about);
      const isOver = left > 0;
      world.onPoint = () => {};
      world.mayGoOn = true;
      world.control.resume();
      for (let turn = 0; turn < 4; turn++) await world.clock.advance(500);
      if ((await ended) === "stopped") await world.clean();
      assert.equal(world.quarantined().length, 5, about);
      if (isOver) return;
    }
  });
}

// --- kills and interference ----------------------------------------------------------------------------------------

Deno.test("[R9] killed at any point, once or twice, no file is nowhere, and the next start ends it", async () => {
  let kills = 0;
  for (const retentionDays of [7, 0]) {
    for (const again of [0, 3, 17]) {
      for (let point = 1; ; point++) {
        const world = await uploaded({ retentionDays });
        const about = `${retentionDays} days, point ${point}, again ${again}`;
        let left = point;
        world.onPoint = () => {
          if (--left === 0) world.kill();
        };
        const first = await world.clean();
        world.assertNothingLost(about);
        if (first !== null) break;
        kills++;
        if (again > 0) {
          left = again;
          if ((await world.clean()) === null) kills++;
          world.assertNothingLost(about);
        }
        world.onPoint = () => {};
        const result = await world.clean();
        assert.equal(result?.removed.files, 5, about);
        assert.equal(result.purgedFiles, retentionDays === 0 ? 5 : 0, about);
        assert.equal(world.openJournal().totals.filesDeleted, 5, about);
        assert.ok(!world.memory.has(`${ROOT}/a`), about);
        world.assertNothingLost(about);
      }
    }
  }
  assert.ok(kills >= 500, `${kills} kills`);
});

type Mutation = (world: CleanupWorld) => void;
const MUTATIONS: Readonly<Record<string, Mutation>> = {
  "replaced by one of the same size and time": (world) => world.put(TARGET, MUTANT),
  "written to": ({ memory }) => (memory.has(at) ? memory.write(at, MUTANT) : memory.put(at, MUTANT, OLD_MS)),
  "written to, its time set back": ({ memory }) =>
    memory.has(at) ? memory.write(at, MUTANT, OLD_MS) : memory.put(at, MUTANT, OLD_MS),
  "swapped for a link": ({ memory }) => {
    memory.put("/elsewhere", MUTANT, OLD_MS);
    memory.remove(at);
    memory.makeLink(at, "/elsewhere");
  },
  "its folder swapped for a link": ({ memory }) => {
    memory.put("/b/2", MUTANT, OLD_MS);
    if (memory.has(`${ROOT}/a/b`)) memory.move(`${ROOT}/a/b`, "/aside");
    if (memory.has(`${ROOT}/a`)) memory.makeLink(`${ROOT}/a/b`, "/b");
  },
  "swapped for a folder": ({ memory }) => {
    memory.remove(at);
    memory.put(`${at}/inside`, MUTANT, OLD_MS);
  },
  "given a second name": ({ memory }) => {
    memory.put("/mutant", MUTANT, OLD_MS);
    if (memory.has(at)) memory.addName(at, "/other");
  },
};

Deno.test("[R9] whoever interferes with a file at any point, no bytes of theirs are lost, whether we die there or not", async () => {
  for (const [name, mutate] of Object.entries(MUTATIONS)) {
    for (const dies of [false, true]) {
      for (let point = 1; ; point += dies ? 3 : 1) {
        // With a purge at the end, which has all the steps of a removal without one.
        const world = await uploaded({ retentionDays: 0 });
        const about = `${name}, point ${point}, ${dies ? "killed" : "alive"}`;
        let left = point;
        world.onPoint = () => {
          if (--left !== 0) return;
          mutate(world);
          if (dies) world.kill();
        };
        const first = await world.clean();
        if (first !== null && left > 0) break;
        if (first === null) await world.clean();
        assert.ok(world.onDisk(MUTANT), about);
        for (const path of PATHS) assert.ok(world.atDestination(path), about);
      }
    }
  }
});

Deno.test("[R9] whatever becomes of the blob at any point before the last question, its file is still here", async () => {
  for (const retentionDays of [7, 0]) {
    for (let point = 1; ; point++) {
      const world = await uploaded({ retentionDays });
      let left = point;
      let isAskedSince = false;
      world.onPoint = ({ what, when, path }) => {
        if (left <= 0 && what === "find" && when === "before" && path === TARGET) isAskedSince = true;
        if (--left === 0) world.destination.plant(TARGET, MUTANT);
      };
      await world.clean();
      if (left > 0) break;
      const about = `${retentionDays} days, point ${point}`;
      const isHere = world.onDisk(FILES[TARGET]);
      assert.ok(isHere || (retentionDays === 0 && !isAskedSince), about);
    }
  }
});

Deno.test("[R7] cancelled in the middle of a batch, what was moved by then is counted", async () => {
  const world = new CleanupWorld();
  await world.clock.advance(9_000);
  // Racy, so that it is read once more behind its move.
  world.put("a/b/3", FILES["a/b/3"] as Uint8Array, world.clock.now() + 9_000);
  await world.upload();
  let isMoved = false;
  world.onPoint = ({ what, when, path }) => {
    if (what === "rename" && path.endsWith("/3")) isMoved = true;
    if (isMoved && what === "read" && when === "before") world.control.stop("cancelled");
  };
  await assert.rejects(world.clean(), Stopped);
  world.assertNothingLost("cancelled");
  const journal = world.openJournal();
  assert.equal(journal.totals.filesDeleted, 2);
  assert.equal(readCleanup(journal).removed.files, 2);
  assert.deepEqual(readCleanup(journal).stays, { unsettled: 1 });
});

Deno.test("[R9] a quarantine that cannot be written to at its end fails nothing", async () => {
  const world = await uploaded({ retentionDays: 0 });
  world.onPoint = ({ what, when, path }) => {
    const isClosing = what === "rename" && path.endsWith(UNDO_FILE);
    if (when === "before" && (isClosing || what === "syncFolder"))
      throw new DiskError("other", "It is broken");
  };
  assert.equal((await world.clean())?.purgedFiles, 5);
});
