/**
 * Files that change while they are read: real files, the real source, the real engine, and a destination in memory whose
 * every blob is compared with all the states that the file was ever in.
 *
 * In half of the races a change falls at a place that a seed draws: between the look and the opening, between two reads,
 * before the last look. In the other half a worker changes whatever is being read, as fast as it can. `RACES` says how many
 * there have to be in all, `SEED` draws other ones.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import fs from "node:fs";
import { jobConfig } from "../../schema/job.ts";
import type { ManifestRow } from "../../schema/manifest.ts";
import { startRun } from "../engine/run.ts";
import { memoryDigests } from "../engine/world.ts";
import type { Digests } from "../digests.ts";
import { readFile } from "../file-reader-deno.ts";
import { denoPlatform } from "../platform-deno.ts";
import type { Disk, FileStat, OpenFile, Platform } from "../platform.ts";
import { seededRandom, virtualShared } from "../virtual.ts";
import type { Entry, Source } from "./connector.ts";
import {
  MUTATIONS,
  type Mutation,
  Mutator,
  type Order,
  type Plot,
  render,
  Scene,
  type State,
  type Told,
  sizeOf,
  wasWhileWriting,
  WORKER_NAME,
} from "./fakes/mutator.ts";
import { LocalSource } from "./local.ts";
import { MemoryDestination } from "./memory.ts";

const RACES = Number(Deno.env.get("RACES") ?? 2_000);
const SEED = Number(Deno.env.get("SEED") ?? 1);
const BLOCK_BYTES = 8_192;
/** What was written to since then is looked at closely. */
const FRESH_MS = 3_100;
/** Makes the waits for a file that changes short; limits are as long as ever. */
const SPEED = 1_000;
/** A file is read so often before it fails as changing. */
const READS_MAX = 3;
const SIGNAL = new AbortController().signal;

const real = denoPlatform(() => {});

// --- a run ---------------------------------------------------------------------------------------------------------

/** A folder with files that are going to change, and one for what nobody is to read. */
class Stage {
  readonly #folder: string;
  readonly plot: Plot;
  readonly scene: Scene;
  readonly indexes: ReadonlyMap<string, number>;
  #runs = 0;

  constructor(sizes: readonly number[], parent?: string) {
    const options = parent === undefined ? {} : { dir: parent };
    this.#folder = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "migrate-races-", ...options }));
    const files = sizes.map((sizeBytes, index) => ({ path: String(index).padStart(5, "0"), sizeBytes }));
    this.plot = { root: `${this.#folder}/source`, aside: `${this.#folder}/aside`, files };
    Deno.mkdirSync(this.plot.root);
    Deno.mkdirSync(this.plot.aside);
    this.scene = new Scene(sizes.length);
    this.indexes = new Map(files.map(({ path }, index) => [path, index]));
  }

  file(systemPath: string): number | null {
    return this.indexes.get(systemPath.slice(systemPath.lastIndexOf("/") + 1)) ?? null;
  }

  async run(source: Source, digests: Platform["digests"] = onThisThread): Promise<Ended> {
    const name = `${this.plot.aside}/run-${this.#runs++}`;
    const destination = new MemoryDestination({
      limits: { blockBytesMax: BLOCK_BYTES, blockCountMax: 50_000, wholeBytesMax: BLOCK_BYTES },
      checksum: (_, bytes) => new Uint8Array(createHash("md5").update(bytes).digest()),
    });
    destination.checksumKind = "md5";
    const doneTicks = new Map<string, number>();
    destination.hook = ({ operation, when, path }) => {
      if (when === "after" && (operation === "write_whole" || operation === "commit"))
        doneTicks.set(path, this.scene.now);
    };
    const { clock } = real;
    const platform: Platform = {
      ...real,
      digests,
      clock: {
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
        sleep: (ms, signal) => clock.sleep(ms / SPEED, signal),
      },
    };
    const begunTick = this.scene.now;
    const report = await startRun({
      jobId: "job",
      epoch: 1,
      config: jobConfig.parse({
        type: "migrate_files",
        name: "Races",
        source: { kind: "local", path: this.plot.root },
        destination: {
          kind: "azure_blob",
          account: "account",
          container: "container",
          prefix: "",
          tier: "Hot",
        },
        options: { concurrency: 3, chunkSizeMiB: 1 },
      }),
      source,
      destination,
      platform,
      shared: virtualShared(platform.clock),
      journalPath: `${name}.journal`,
      manifestPath: `${name}.manifest`,
      tell: () => {},
      mayRemove: () => false,
      hasLease: () => true,
    }).finished;
    assert.equal(report.outcome, "completed", JSON.stringify(report.error));
    const rows = Deno.readTextFileSync(`${name}.manifest`)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as ManifestRow);
    return { rows, destination, begunTick, doneTicks };
  }

  close(): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

interface Ended {
  readonly rows: readonly ManifestRow[];
  readonly destination: MemoryDestination;
  readonly begunTick: number;
  readonly doneTicks: ReadonlyMap<string, number>;
}

const onThisThread: Platform["digests"] = (size) => ({
  ...memoryDigests(size),
  checksum: (_, bytes) => new Uint8Array(createHash("md5").update(bytes).digest()),
});

// --- the oracle ----------------------------------------------------------------------------------------------------

type Fault = "mixed" | "not_then" | "other_time" | "digest" | "false_alarm";

interface Verdict {
  readonly faults: readonly { readonly fault: Fault; readonly text: string }[];
  readonly completed: number;
  readonly failed: number;
  /** States that lasted as long as one call of the writer. */
  readonly whileWriting: number;
}

interface Evidence {
  readonly ended: Ended;
  readonly stage: Stage;
  readonly states: readonly State[];
  /** Reads of a file, as far as it was changed during them. */
  readonly changedReads: (file: number) => number;
  readonly timeOf: (state: State) => number;
}

function judge(evidence: Evidence): Verdict {
  const { ended, stage, states } = evidence;
  const byFile = Map.groupBy(states, ({ file }) => file);
  const faults: { fault: Fault; text: string }[] = [];
  const counts = { completed: 0, failed: 0, whileWriting: 0 };
  for (const row of ended.rows) {
    const file = stage.indexes.get(row.path) as number;
    const own = byFile.get(file) as State[];
    const told = () => `${row.path}: ${JSON.stringify(row)} after ${JSON.stringify(own.slice(-12))}`;
    if (row.outcome === "completed") {
      counts.completed++;
      const found = findState(row, own, evidence);
      if (found === "while_writing") counts.whileWriting++;
      else if (found !== "good") faults.push({ fault: found, text: told() });
    } else if (row.outcome === "failed") {
      counts.failed++;
      if (!mayFail(row.reason, own, evidence)) faults.push({ fault: "false_alarm", text: told() });
    } else if (own.every(({ content }) => content !== null)) {
      faults.push({ fault: "false_alarm", text: told() });
    }
  }
  return { faults, ...counts };
}

/** Which state of the file has arrived. */
function findState(
  row: ManifestRow,
  own: readonly State[],
  { ended, timeOf }: Evidence,
): Fault | "good" | "while_writing" {
  const blob = ended.destination.blobs.get(row.path);
  if (blob === undefined) return "digest";
  const { bytes, metadata } = blob;
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== row.sha256 || sha256 !== metadata?.sha256 || bytes.length !== row.sizeBytes) return "digest";
  const doneTick = ended.doneTicks.get(row.path) ?? 0;
  let best: Fault | "good" | "while_writing" = "mixed";
  for (const [index, state] of own.entries()) {
    if (state.content === null) continue;
    const later = own[index + 1];
    const isThen = state.begunTick <= doneTick && (later?.endedTick ?? Infinity) >= ended.begunTick;
    // A system notes the time before it writes, and after it has cut off.
    const earlier = own[index - 1];
    const times = [state, later, earlier].map((one) => (one === undefined ? NaN : timeOf(one)));
    if (isSame(bytes, state)) {
      if (!isThen) best = best === "mixed" ? "not_then" : best;
      else if (times.includes(metadata.modifiedMs)) return "good";
      else best = "other_time";
    } else if (isThen && best === "mixed" && isBetween(bytes, state, later)) best = "while_writing";
  }
  return best;
}

function mayFail(reason: string | null, own: readonly State[], { changedReads }: Evidence): boolean {
  const file = own[0]?.file ?? 0;
  // By its name, something else was there.
  const kinds = own.filter(({ content }) => content === null);
  if (reason === "source_changing") return changedReads(file) >= READS_MAX;
  if (reason === "source_vanished") return kinds.length > 0;
  return (
    reason === "source_unreadable" &&
    kinds.some(({ by }) => by === "link" || by === "pipe" || by === "folder")
  );
}

function isSame(bytes: Uint8Array, { file, content }: State): boolean {
  if (content === null || bytes.length !== sizeOf(content)) return false;
  return Buffer.compare(bytes, render(file, content)) === 0;
}

function isBetween(bytes: Uint8Array, { file, content }: State, later: State | undefined): boolean {
  if (content === null || later === undefined || later.content === null) return false;
  if (bytes.length < sizeOf(content) || bytes.length > sizeOf(later.content)) return false;
  return wasWhileWriting(bytes, render(file, content), render(file, later.content));
}

function assertNoFaults(verdict: Verdict, what: string): void {
  const { faults } = verdict;
  const some = faults.slice(0, 5).map(({ fault, text }) => `${fault}: ${text}`);
  assert.equal(faults.length, 0, `${what}, SEED=${SEED}: ${faults.length} faults\n${some.join("\n")}`);
}

/** Counts kept by kind; how the test shows that it raced. */
class Tally {
  readonly counts = new Map<string, number>();
  add(...keys: readonly string[]): void {
    for (const key of keys) this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }
  get(key: string): number {
    return this.counts.get(key) ?? 0;
  }
}

/** For a run by hand. */
function show(counts: unknown): void {
  if (Deno.env.get("RACES") === undefined) return;
  Deno.stderr.writeSync(new TextEncoder().encode(`${JSON.stringify(counts)}\n`));
}

// --- changes at drawn places -----------------------------------------------------------------------------------------

type Point = "before_open" | "after_open" | "before_read" | "after_read" | "last_look";
const POINTS: readonly Point[] = ["before_open", "after_open", "before_read", "after_read", "last_look"];

interface Way {
  readonly name: string;
  readonly speed: "quick" | "slow";
  readonly isFresh: boolean;
  /** As FAT keeps times; or of a share whose clock is a minute behind ours. */
  readonly clock: "exact" | "coarse" | "behind";
}

const WAYS: readonly Way[] = [
  { name: "at once", speed: "quick", isFresh: false, clock: "exact" },
  { name: "giving way", speed: "slow", isFresh: false, clock: "exact" },
  { name: "written to moments ago", speed: "quick", isFresh: true, clock: "exact" },
  { name: "a clock of two seconds", speed: "slow", isFresh: false, clock: "coarse" },
  { name: "a clock of two seconds, moments ago", speed: "quick", isFresh: true, clock: "coarse" },
  { name: "a clock that is behind, moments ago", speed: "quick", isFresh: true, clock: "behind" },
];

/** What happens to one file: a change in each of its first reads. */
type Script = readonly { readonly at: Point; readonly nth: number; readonly by: Mutation }[];

const SIZES = [2_000, 3 * BLOCK_BYTES + 700, 0, 7_500, 2 * BLOCK_BYTES, 1];

class ScriptedStage extends Stage {
  readonly mutator: Mutator;
  readonly scripts: readonly Script[];
  readonly tally = new Tally();
  readonly #reads: { number: number; isOpen: boolean; fired: boolean; looks: number }[] = [];
  readonly #fired: number[] = [];
  readonly way: Way;

  constructor(way: Way, count: number, seed: number) {
    super(Array.from({ length: count }, (_, index) => SIZES[index % SIZES.length] ?? 0));
    this.way = way;
    const { next } = seededRandom(seed);
    this.mutator = new Mutator(this.plot, this.scene, next);
    let drawn = seed;
    this.scripts = this.plot.files.map((_, file) =>
      Array.from({ length: file % 9 === 8 ? 0 : ([1, 1, 2, 3, 6][Math.floor(next() * 5)] ?? 1) }, () => {
        const by = MUTATIONS[drawn++ % MUTATIONS.length] as Mutation;
        const nth = 1 + Math.floor(next() * 3);
        const at = POINTS[Math.floor(next() * POINTS.length)] as Point;
        return { at, nth, by: this.#possible(by) };
      }),
    );
  }

  /** Without a time of the last change nobody can see that the other time was set back. */
  #possible(by: Mutation): Mutation {
    return this.way.clock === "coarse" && by === "rewrite_restored" ? "rewrite" : by;
  }

  changedReads(file: number): number {
    return this.#fired[file] ?? 0;
  }

  source(): Source {
    const { clock } = real;
    let ms = 0;
    const monotonic = () => (this.way.speed === "quick" ? 0 : (ms += 5));
    const disk = seenBy(this.way.clock, real.disk);
    const reader = new LocalSource(this.plot.root, {
      ...real,
      disk: this.#acting(disk),
      clock: { ...clock, monotonic },
    });
    return joined(new LocalSource(this.plot.root, { ...real, disk }), reader);
  }

  #acting(disk: Disk): Disk {
    return {
      ...disk,
      stat: (path) => {
        const file = this.file(path);
        if (file !== null) this.#begin(file);
        return disk.stat(path);
      },
      open: async (path) => {
        const file = this.file(path) as number;
        this.#pass(file, "before_open");
        const opened = await disk.open(path);
        this.#pass(file, "after_open");
        return this.#actingFile(file, opened);
      },
      openNow: (path) => {
        const file = this.file(path) as number;
        this.#pass(file, "before_open");
        const opened = disk.openNow(path);
        this.#pass(file, "after_open");
        return this.#actingFile(file, opened);
      },
    };
  }

  #actingFile(file: number, opened: OpenFile): OpenFile {
    let reads = 0;
    return {
      stat: () => {
        if (reads > 0) this.#pass(file, "last_look");
        return opened.stat();
      },
      read: async (into, position) => {
        reads++;
        this.#pass(file, "before_read", reads);
        const count = await opened.read(into, position);
        this.#pass(file, "after_read", reads);
        return count;
      },
      readNow: (into, position) => {
        reads++;
        this.#pass(file, "before_read", reads);
        const count = opened.readNow(into, position);
        this.#pass(file, "after_read", reads);
        return count;
      },
      close: () => opened.close(),
    };
  }

  #begin(file: number): void {
    const number = (this.#reads[file]?.number ?? 0) + 1;
    this.#reads[file] = { number, isOpen: true, fired: false, looks: 0 };
  }

  #pass(file: number, point: Point, nth = 1): void {
    const read = this.#reads[file];
    const planned = this.scripts[file]?.[(read?.number ?? 0) - 1];
    if (read === undefined || planned === undefined || read.fired || planned.at !== point) return;
    // Where there are not so many reads, the last look is the last chance.
    if (point.endsWith("_read") && planned.nth > nth && nth < blocksOf(this.mutator.lastOf(file))) return;
    read.fired = true;
    this.#fired[file] = this.changedReads(file) + 1;
    this.tally.add(planned.by, planned.at);
    this.mutator.mutate(file, planned.by);
  }
}

function blocksOf({ content }: State): number {
  return Math.max(1, Math.ceil(sizeOf(content ?? []) / BLOCK_BYTES));
}

/** Files as they look by such a clock. */
function seenBy(clock: Way["clock"], disk: Disk): Disk {
  if (clock === "exact") return disk;
  const look = (stat: FileStat): FileStat => ({
    ...stat,
    modifiedMs: told(clock, stat.modifiedMs),
    changedMs: clock === "coarse" || stat.changedMs === null ? null : told(clock, stat.changedMs),
  });
  const lookInto = (file: OpenFile): OpenFile => ({ ...file, stat: () => look(file.stat()) });
  return {
    ...disk,
    stat: (path) => look(disk.stat(path)),
    open: async (path) => lookInto(await disk.open(path)),
    openNow: (path) => lookInto(disk.openNow(path)),
  };
}

function told(clock: Way["clock"], ms: number): number {
  switch (clock) {
    case "exact":
      return ms;
    case "coarse":
      return Math.floor(ms / 2_000) * 2_000;
    case "behind":
      return ms - 60_000;
  }
}

/** Lists by one, reads by the other. */
function joined(lister: Source, reader: Source): Source {
  return {
    list: (options) => lister.list(options),
    locate: (entry) => reader.locate(entry),
    readWhole: (entry, into, signal) => reader.readWhole(entry, into, signal),
    open: (entry, signal) => reader.open(entry, signal),
  };
}

async function runScripted(stage: ScriptedStage, source: Source): Promise<Verdict> {
  const ended = await stage.run(source);
  return judge({
    ended,
    stage,
    states: stage.mutator.states,
    changedReads: (file) => stage.changedReads(file),
    timeOf: ({ modifiedMs }) => told(stage.way.clock, modifiedMs),
  });
}

/** What is there when nobody changes anything any more, or did only moments ago, arrives as it is. */
async function assertSettles(stage: Stage, states: readonly State[]): Promise<void> {
  const { rows, destination } = await stage.run(new LocalSource(stage.plot.root, real));
  const last = new Map(states.map((state) => [stage.plot.files[state.file]?.path, state]));
  const outcomes = new Map(rows.map((row) => [row.path, row.outcome]));
  for (const [path, state] of last) {
    if (path === undefined || state.content === null) continue;
    assert.equal(outcomes.get(path), "completed", `${path} lies still, SEED=${SEED}`);
    const bytes = destination.blobs.get(path)?.bytes;
    assert.ok(bytes !== undefined && isSame(bytes, state), `${path} is there as it is, SEED=${SEED}`);
  }
  for (const path of destination.blobs.keys())
    assert.ok(last.get(path)?.content !== null, `${path} is no file, and was followed`);
}

Deno.test("[E8] a file that changes at any place of a read arrives in a state that it was in, and one that lies still arrives", async () => {
  // Some that are drawn never come to pass.
  const each = Math.ceil((RACES / 2 / WAYS.length) * 1.1);
  const stages = WAYS.map((way, index) => new ScriptedStage(way, each, SEED * 10 + index));
  try {
    await real.clock.sleep(FRESH_MS, SIGNAL);
    const all = new Tally();
    let races = 0;
    for (const stage of stages) {
      if (stage.way.isFresh) for (let file = 0; file < each; file++) stage.mutator.mutate(file, "rewrite");
      const verdict = await runScripted(stage, stage.source());
      assertNoFaults(verdict, stage.way.name);
      assert.equal(verdict.whileWriting, 0, "one thread does not look while it writes");
      for (const [key, count] of stage.tally.counts) {
        if (POINTS.includes(key as Point)) races += count;
        for (let one = 0; one < count; one++) all.add(key);
      }
      await assertSettles(stage, stage.mutator.states);
    }
    show({ races, kinds: Object.fromEntries(all.counts) });
    assert.ok(races >= RACES / 2, `${races} races of ${RACES / 2}`);
    for (const key of [...POINTS, ...MUTATIONS])
      assert.ok(all.get(key) >= races / 100, `${key}: ${all.get(key)} of ${races}`);
  } finally {
    for (const stage of stages) stage.close();
  }
});

// --- a writer that does not wait -------------------------------------------------------------------------------------

interface Window {
  readonly file: number;
  readonly from: number;
  to: number;
}

const STILL_EACH = 5;
const ROUND_FILES = 200;

/** One worker for all rounds, asked one thing at a time. */
class Writer {
  readonly #worker = new Worker(new URL("./fakes/mutator.ts", import.meta.url), {
    type: "module",
    name: WORKER_NAME,
  });

  ask(order: Order | number): Promise<Told> {
    const told = new Promise<Told>((resolve, reject) => {
      this.#worker.onmessage = ({ data }: MessageEvent<Told>) => resolve(data);
      this.#worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`The writer failed: ${event.message}`));
      };
    });
    this.#worker.postMessage(order);
    return told;
  }

  end(): void {
    this.#worker.terminate();
  }
}

class RacedStage extends Stage {
  /** What was read on this thread, and beside it: there a whole batch is under way at once. */
  readonly windows: Window[] = [];
  readonly besides: Window[] = [];
  readonly #open = new Map<number, Window>();
  readonly #writer: Writer;
  #number = 0;
  states: readonly State[] = [];

  private constructor(sizes: readonly number[], writer: Writer, parent: string | undefined) {
    super(sizes, parent);
    this.#writer = writer;
  }

  static async make(seed: number, writer: Writer, parent: string | undefined): Promise<RacedStage> {
    const sizes = Array.from({ length: ROUND_FILES }, (_, index) => SIZES[index % SIZES.length] ?? 0);
    const stage = new RacedStage(sizes, writer, parent);
    const { next } = seededRandom(seed);
    const deals = sizes.map((_, file) => {
      if (file % STILL_EACH === 0) return { by: [], timesMax: 0 };
      const one = MUTATIONS[(seed + file) % MUTATIONS.length] as Mutation;
      return {
        by: next() < 0.7 ? [one] : MUTATIONS,
        timesMax: [1, 2, 4, 1_000][Math.floor(next() * 4)] ?? 1,
      };
    });
    const told = await writer.ask({ plot: stage.plot, memory: stage.scene.memory, seed, deals });
    assert.equal(told.kind, "ready");
    if (told.kind === "ready") stage.#number = told.number;
    return stage;
  }

  async race(seed: number, digests: Platform["digests"]): Promise<Verdict> {
    const told = this.#writer.ask(this.#number);
    const { next } = seededRandom(seed);
    const reader = new LocalSource(this.plot.root, { ...real, disk: this.#watching(next) });
    const source = joined(new LocalSource(this.plot.root, real), reader);
    const ended = await this.run(source, (size) => this.#watched(digests(size))).finally(() =>
      this.scene.stop(),
    );
    for (const file of this.#open.keys()) this.#end(file);
    const last = await told;
    assert.equal(last.kind, "ended");
    if (last.kind === "ended") this.states = last.states;
    const changedReads = (file: number) =>
      this.windows.filter((one) => one.file === file && one.to > one.from).length;
    return judge({
      ended,
      stage: this,
      states: this.states,
      changedReads,
      timeOf: ({ modifiedMs }) => modifiedMs,
    });
  }

  /** Which changes fell between the first look and the closing. */
  count(tally: Tally): number {
    const changes = Map.groupBy(
      this.states.filter(({ by }) => by !== null),
      ({ file }) => file,
    );
    const raced = this.windows.filter(({ from, to }) => to > from);
    for (const { file, from, to } of raced)
      tally.add(
        ...new Set(
          changes
            .get(file)
            ?.slice(from, to)
            .map(({ by }) => by as string),
        ),
      );
    return raced.length;
  }

  #begin(file: number): void {
    this.#end(file);
    this.#open.set(file, { file, from: this.scene.endedOf(file), to: 0 });
    this.scene.point(file);
  }
  #end(file: number): void {
    const window = this.#open.get(file);
    if (window === undefined) return;
    this.#open.delete(file);
    window.to = this.scene.begunOf(file);
    this.windows.push(window);
  }

  /** Now and then it takes its time, so that the writer gets between. */
  #watching(next: () => number): Disk {
    const { disk } = real;
    const dawdle = () => {
      if (next() < 0.5) return;
      const untilMs = performance.now() + next() * 0.3;
      while (performance.now() < untilMs);
    };
    const watched = (file: number, opened: OpenFile): OpenFile => ({
      stat: () => (dawdle(), opened.stat()),
      read: async (into, position) => {
        dawdle();
        return await opened.read(into, position);
      },
      readNow: (into, position) => (dawdle(), opened.readNow(into, position)),
      close: () => {
        opened.close();
        this.#end(file);
      },
    });
    return {
      ...disk,
      stat: (path) => {
        const file = this.file(path);
        if (file !== null) this.#begin(file);
        return disk.stat(path);
      },
      open: async (path) => watched(this.file(path) as number, await disk.open(path)),
      openNow: (path) => (dawdle(), watched(this.file(path) as number, disk.openNow(path))),
    };
  }

  #watched(digests: Digests): Digests {
    return {
      ...digests,
      readFiles: async (kind, files) => {
        const windows = files.map(({ path }) => {
          const file = this.file(path) as number;
          return { file, from: this.scene.endedOf(file), to: 0 };
        });
        for (const { file } of windows) this.scene.point(file);
        const reads = await digests.readFiles(kind, files);
        for (const window of windows) {
          window.to = this.scene.begunOf(window.file);
          this.besides.push(window);
        }
        return reads;
      },
    };
  }
}

/** A disk with a fine clock besides the one for temporary files, where there is one. */
function otherDisk(): string | undefined {
  try {
    Deno.removeSync(Deno.makeTempDirSync({ dir: "/dev/shm" }));
    return "/dev/shm";
  } catch {
    return undefined;
  }
}

const ROUNDS_AT_ONCE = 6;

/** The thread beside takes longer to start than a round takes. */
class LastingDigests {
  #digests: Digests | null = null;
  readonly open: Platform["digests"] = (size) => {
    this.#digests ??= real.digests(size);
    assert.equal(this.#digests.buffers.length, size.count);
    return { ...this.#digests, close: () => {} };
  };
  close(): void {
    this.#digests?.close();
  }
}

Deno.test("[E8] files that somebody changes while they are read arrive in a state that they were in, and what lies still arrives", async () => {
  const tally = new Tally();
  let races = 0;
  let besides = 0;
  let whileWriting = 0;
  const writer = new Writer();
  const digests = new LastingDigests();
  for (let seed = SEED * 1_000; races < RACES / 2; seed += ROUNDS_AT_ONCE) {
    assert.ok(seed < SEED * 1_000 + 400 + RACES, `it does not race: ${races} of ${RACES / 2}`);
    const stages: RacedStage[] = [];
    for (let index = 0; index < ROUNDS_AT_ONCE; index++)
      stages.push(await RacedStage.make(seed + index, writer, index % 2 === 0 ? undefined : otherDisk()));
    try {
      await real.clock.sleep(FRESH_MS, SIGNAL);
      for (const [index, stage] of stages.entries()) {
        const verdict = await stage.race(seed + index, digests.open);
        assertNoFaults(verdict, `round ${seed + index}`);
        races += stage.count(tally);
        besides += stage.besides.filter(({ from, to }) => to > from).length;
        whileWriting += verdict.whileWriting;
        await assertSettles(stage, stage.states);
      }
    } finally {
      for (const stage of stages) stage.close();
    }
  }
  writer.end();
  digests.close();
  for (const by of MUTATIONS)
    assert.ok(tally.get(by) >= 1, `${by} never raced: ${JSON.stringify([...tally.counts])}`);
  assert.ok(besides > 0, "nothing raced with the thread beside");
  show({ races, besides, whileWriting, kinds: Object.fromEntries(tally.counts) });
});

// --- the oracle notices --------------------------------------------------------------------------------------------

/** Reads as the source does, and takes its own word for it that nothing has changed. */
function unchecked(source: Source): Source {
  const open = async (entry: Entry, signal: AbortSignal) => {
    const reading = await source.open(entry, signal);
    return {
      sizeBytes: reading.sizeBytes,
      modifiedMs: reading.modifiedMs,
      version: reading.version,
      next: (into: Uint8Array, readSignal: AbortSignal) => reading.next(into, readSignal),
      unchanged: () => Promise.resolve(true),
      close: () => reading.close(),
    };
  };
  return {
    list: (options) => source.list(options),
    locate: () => null,
    open,
    readWhole: async (entry, into, signal) => {
      const { sizeBytes, modifiedMs, version, next, close } = await open(entry, signal);
      try {
        if (sizeBytes > into.length) return null;
        const half = sizeBytes >> 1;
        if (half > 0) await next(into.subarray(0, half), signal);
        if (sizeBytes > half) await next(into.subarray(half, sizeBytes), signal);
        return { sizeBytes, modifiedMs, version };
      } finally {
        close();
      }
    },
  };
}

Deno.test("[E8] who does not look whether a file has changed is found out, small and large", async () => {
  const stage = new ScriptedStage(
    { name: "unchecked", speed: "slow", isFresh: false, clock: "exact" },
    300,
    SEED,
  );
  try {
    const { faults } = await runScripted(stage, unchecked(stage.source()));
    const mixed = faults.filter(({ fault }) => fault === "mixed").map(({ text }) => Number(text.slice(0, 5)));
    const sizes = new Set(mixed.map((file) => SIZES[file % SIZES.length]));
    for (const sizeBytes of [2_000, 7_500, 3 * BLOCK_BYTES + 700, 2 * BLOCK_BYTES])
      assert.ok(sizes.has(sizeBytes), `nothing mixed of ${sizeBytes} bytes`);
  } finally {
    stage.close();
  }
});

// --- between a look and what follows it --------------------------------------------------------------------------------

/** A folder with one file, and the entry as it is listed. */
async function listedFile(stage: Stage): Promise<Entry> {
  for await (const { items } of new LocalSource(stage.plot.root, real).list({ cursor: null, signal: SIGNAL }))
    for (const item of items) if (item.kind === "file") return item.entry;
  throw new Error("There is no file");
}

/** While `work` runs, the system's own calls are these. */
async function whileCalling<Result>(
  change: Partial<Pick<typeof fs, "open" | "readSync">>,
  work: () => Promise<Result>,
): Promise<Result> {
  const { open, readSync } = fs;
  Object.assign(fs, change);
  try {
    return await work();
  } finally {
    Object.assign(fs, { open, readSync });
  }
}

Deno.test("[E8] a file that is replaced in the moment between the look and the opening is read again, and does not fail", async () => {
  const stage = new ScriptedStage(
    { name: "opening", speed: "slow", isFresh: false, clock: "exact" },
    2,
    SEED,
  );
  try {
    const source = new LocalSource(stage.plot.root, real);
    const opening = fs.open;
    let left = 1;
    const open = ((path: string, ...rest: unknown[]) => {
      if (stage.file(path) === 1 && left-- > 0) stage.mutator.mutate(1, "replace");
      Reflect.apply(opening, fs, [path, ...rest]);
    }) as typeof fs.open;
    const { rows } = await whileCalling({ open }, () => stage.run(source));
    assert.deepEqual(
      rows.map(({ outcome, reason }) => [outcome, reason]),
      [
        ["completed", null],
        ["completed", null],
      ],
    );
  } finally {
    stage.close();
  }
});

Deno.test("[E8] a file that is replaced by a pipe in the moment between the look and the opening holds nobody up", async () => {
  const stage = new ScriptedStage({ name: "pipe", speed: "quick", isFresh: false, clock: "exact" }, 1, SEED);
  try {
    const entry = await listedFile(stage);
    await real.clock.sleep(FRESH_MS, SIGNAL);
    const released = `${stage.plot.aside}/released`;
    const script = `sleep 2; touch "${released}"; exec 3<>"${stage.plot.aside}/pipe"; sleep 0.2`;
    const freeing = new Deno.Command("sh", { args: ["-c", script] }).spawn();
    const disk: Disk = {
      ...real.disk,
      openNow: (path) => {
        stage.mutator.mutate(0, "pipe");
        return real.disk.openNow(path);
      },
    };
    // Nothing was written within the last minutes, so that it is read the quick way.
    const clock = { ...real.clock, now: () => real.clock.now() + 600_000 };
    const source = new LocalSource(stage.plot.root, { ...real, disk, clock });
    const into = new Uint8Array(BLOCK_BYTES);
    await assert.rejects(async () => await source.readWhole(entry, into, SIGNAL));
    const wasHeld = await Deno.lstat(released).then(
      () => true,
      () => false,
    );
    await freeing.status;
    assert.equal(wasHeld, false, "the thread stood still until somebody opened the other end");
  } finally {
    stage.close();
  }
});

Deno.test("[E8] a small file that is rewritten while the thread beside reads it is not taken, also where the clock of the share is behind", async () => {
  const stage = new ScriptedStage(
    { name: "beside", speed: "quick", isFresh: false, clock: "exact" },
    1,
    SEED,
  );
  const now = Date.now;
  try {
    const entry = await listedFile(stage);
    const { sizeBytes, modifiedMs, identity } = entry;
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const reading = fs.readSync;
    const readSync = ((descriptor: number, into: Uint8Array) => {
      const half = reading(descriptor, into, 0, sizeBytes / 2, null);
      stage.mutator.mutate(0, "rewrite_restored");
      return half + reading(descriptor, into, half, into.length - half, null);
    }) as typeof fs.readSync;
    const path = `${stage.plot.root}/${entry.path}`;
    const file = {
      path,
      identity: identity ?? "",
      sizeBytes,
      modifiedMs,
      offset: 0,
      length: sizeBytes + 1,
    };
    for (const aheadMs of [0, 60_000]) {
      await real.clock.sleep(FRESH_MS, SIGNAL);
      Date.now = () => now() + aheadMs;
      const freshSinceMs = Date.now() - FRESH_MS;
      const work = () =>
        Promise.resolve(readFile({ ...file, freshSinceMs }, memory, () => new Uint8Array(), "md5"));
      const read = await whileCalling({ readSync }, work);
      assert.equal(read, null, `mixed, with the clock of the share ${aheadMs} ms behind`);
    }
  } finally {
    Date.now = now;
    stage.close();
  }
});
