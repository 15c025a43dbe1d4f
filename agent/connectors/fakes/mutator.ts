/**
 * For tests: somebody who changes files while they are read, and remembers each state that each file was ever in.
 *
 * Contents tell where they come from: every sector names its file, the version it was written with and its place, and the
 * rest of it is chance drawn from these three. So bytes that come from anywhere else, or from two versions that were never
 * there together, cannot look like a state that was. Run as a worker it changes what is being read just now, for as long as
 * it is not told to stop.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { seededRandom } from "../../virtual.ts";

export const MUTATIONS = [
  "grow",
  "shrink",
  "empty_and_rewrite",
  "rewrite",
  /** With the time set back to what it was. */
  "rewrite_restored",
  /** By another file of the same size and time, with one rename. */
  "replace",
  "delete",
  "delete_and_create",
  "touch",
  "chmod",
  "future",
  /** With a time such as FAT keeps it. */
  "even_seconds",
  "link",
  "pipe",
  "folder",
  "hole",
  "empty",
] as const;
export type Mutation = (typeof MUTATIONS)[number];

/** Bytes up to `toBytes` that were written with this version; 0 = a hole. */
export interface Segment {
  readonly version: number;
  readonly toBytes: number;
}

/** One state of one file. It began between two ticks, and ended before the next one of this file had begun to be. */
export interface State {
  readonly file: number;
  /** Null of the first one. */
  readonly by: Mutation | null;
  readonly begunTick: number;
  readonly endedTick: number;
  /** Null where no regular file was. */
  readonly content: readonly Segment[] | null;
  readonly modifiedMs: number;
}

export interface Plot {
  readonly root: string;
  /** Where new files are made before they are moved in, and where links lead: on the same volume. */
  readonly aside: string;
  /** The path of each file, below the root, and how large it is at first. */
  readonly files: readonly { readonly path: string; readonly sizeBytes: number }[];
}

const SECTOR_WORDS = 128;

export function sizeOf(content: readonly Segment[]): number {
  return content.at(-1)?.toBytes ?? 0;
}

export function render(file: number, content: readonly Segment[]): Uint8Array {
  const whole = new Uint8Array(sizeOf(content));
  let from = 0;
  for (const { version, toBytes } of content) {
    if (version !== 0 && toBytes > from)
      whole.set(written(file, version, toBytes).subarray(from, toBytes), from);
    from = toBytes;
  }
  return whole;
}

function written(file: number, version: number, sizeBytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  let state = 1;
  for (let index = 0; index < words.length; index++) {
    const place = index % SECTOR_WORDS;
    const sector = (index - place) / SECTOR_WORDS;
    if (place === 0) state = (Math.imul(file + 1, 0x9e3779b1) ^ Math.imul(version, 0x85ebca6b) ^ sector) | 1;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = [file, version, sector][place] ?? state;
  }
  return new Uint8Array(words.buffer, 0, sizeBytes);
}

/** Ticks and counts that both threads see. */
export class Scene {
  readonly memory: SharedArrayBuffer;
  readonly #cells: Int32Array;
  /** What the reader has in hand; the writer looks here for its next victim. */
  static readonly #HOT = 8;
  static readonly #COUNTS = 4 + Scene.#HOT;

  constructor(of: number | SharedArrayBuffer) {
    this.memory = typeof of === "number" ? new SharedArrayBuffer(4 * (Scene.#COUNTS + 2 * of)) : of;
    this.#cells = new Int32Array(this.memory);
  }

  /** Before and after each call to the system. */
  tick(): number {
    return Atomics.add(this.#cells, 0, 1) + 1;
  }
  get now(): number {
    return Atomics.load(this.#cells, 0);
  }
  /** Calls to the system that change this file. */
  begunOf(file: number): number {
    return Atomics.load(this.#cells, Scene.#COUNTS + 2 * file);
  }
  endedOf(file: number): number {
    return Atomics.load(this.#cells, Scene.#COUNTS + 2 * file + 1);
  }
  begin(file: number): number {
    Atomics.add(this.#cells, Scene.#COUNTS + 2 * file, 1);
    return this.tick();
  }
  end(file: number): number {
    Atomics.add(this.#cells, Scene.#COUNTS + 2 * file + 1, 1);
    return this.tick();
  }
  point(file: number): void {
    Atomics.store(this.#cells, 4 + (Atomics.add(this.#cells, 1, 1) % Scene.#HOT), file + 1);
  }
  /** A file that was pointed at lately, the last one most often; null before the first. */
  pick(draw: number): number | null {
    const back = Math.floor(draw * draw * Scene.#HOT);
    const last = Atomics.load(this.#cells, 1) - 1 - back;
    const file = last < 0 ? 0 : Atomics.load(this.#cells, 4 + (last % Scene.#HOT));
    return file === 0 ? null : file - 1;
  }
  stop(): void {
    Atomics.store(this.#cells, 2, 1);
  }
  get stopped(): boolean {
    return Atomics.load(this.#cells, 2) === 1;
  }
}

export class Mutator {
  readonly states: State[] = [];
  readonly #plot: Plot;
  readonly #scene: Scene;
  readonly #draw: () => number;
  readonly #last: State[] = [];
  readonly #temporary: string;
  readonly #pipe: string;
  readonly #target: string;
  #version = 1;

  /** Makes the files. */
  constructor(plot: Plot, scene: Scene, draw: () => number) {
    this.#plot = plot;
    this.#scene = scene;
    this.#draw = draw;
    this.#temporary = `${plot.aside}/new`;
    this.#pipe = `${plot.aside}/pipe`;
    this.#target = `${plot.aside}/target`;
    writeFileSync(this.#target, "what nobody may read".repeat(500));
    execFileSync("mkfifo", [this.#pipe]);
    for (const [file, { path, sizeBytes }] of plot.files.entries()) {
      const content = [{ version: this.#version, toBytes: sizeBytes }];
      writeFileSync(`${plot.root}/${path}`, render(file, content));
      this.#note(file, null, { begunTick: scene.tick(), endedTick: scene.tick(), content });
    }
  }

  lastOf(file: number): State {
    return this.#last[file] as State;
  }

  mutate(file: number, by: Mutation): void {
    this.#version++;
    const size = Math.floor(this.#draw() * 3_000);
    const { content, modifiedMs } = this.lastOf(file);
    const path = this.#pathOf(file);
    if (content === null) return this.#bringBack(file, by, size + 1);
    const sizeBytes = sizeOf(content);
    const version = this.#version;
    const anew = [{ version, toBytes: sizeBytes }];
    switch (by) {
      case "grow":
        return this.#write(file, by, [...content, { version, toBytes: sizeBytes + size + 1 }], sizeBytes);
      case "shrink":
        return this.#truncate(file, by, Math.floor(sizeBytes * this.#draw()));
      case "empty_and_rewrite":
        this.#truncate(file, by, 0);
        return this.#write(file, by, anew);
      case "rewrite":
        return this.#write(file, by, anew);
      case "rewrite_restored":
        this.#write(file, by, anew);
        return this.#stamp(file, by, modifiedMs);
      case "replace":
        return this.#moveIn(file, by, { content: anew, modifiedMs });
      case "delete":
        return this.#step(file, by, null, () => unlinkSync(path));
      case "delete_and_create":
        this.#step(file, by, null, () => unlinkSync(path));
        this.#step(file, by, [], () => writeFileSync(path, ""));
        return this.#write(file, by, anew);
      case "touch":
        return this.#stamp(file, by, Date.now() - 1_000 * size);
      case "chmod":
        return this.#step(file, by, content, () => chmodSync(path, size % 2 === 0 ? 0o600 : 0o644));
      case "future":
        this.#write(file, by, anew);
        return this.#stamp(file, by, Date.now() + 86_400_000);
      case "even_seconds":
        this.#write(file, by, anew);
        return this.#stamp(file, by, Math.floor(Date.now() / 2_000) * 2_000);
      case "link":
        symlinkSync(this.#target, this.#temporary);
        return this.#step(file, by, null, () => renameSync(this.#temporary, path));
      case "pipe":
        linkSync(this.#pipe, this.#temporary);
        return this.#step(file, by, null, () => renameSync(this.#temporary, path));
      case "folder":
        this.#step(file, by, null, () => unlinkSync(path));
        return this.#step(file, by, null, () => mkdirSync(path));
      case "hole": {
        const holed = [...content, { version: 0, toBytes: sizeBytes + 4_096 + size }];
        return this.#step(file, by, holed, () => truncateSync(path, sizeBytes + 4_096 + size));
      }
      case "empty":
        return this.#truncate(file, by, 0);
    }
  }

  /** Lets go whoever waits for the other end of the pipe. */
  openPipe(): void {
    closeSync(openSync(this.#pipe, constants.O_RDWR | constants.O_NONBLOCK));
  }

  /** Where no file is, there is one again. */
  #bringBack(file: number, by: Mutation, sizeBytes: number): void {
    const path = this.#pathOf(file);
    const kind = lstatSync(path, { throwIfNoEntry: false });
    if (kind?.isDirectory() === true) this.#step(file, by, null, () => rmdirSync(path));
    const content = [{ version: this.#version, toBytes: sizeBytes }];
    this.#moveIn(file, by, { content, modifiedMs: Date.now() });
  }

  #moveIn(
    file: number,
    by: Mutation,
    { content, modifiedMs }: { readonly content: readonly Segment[]; readonly modifiedMs: number },
  ): void {
    writeFileSync(this.#temporary, render(file, content));
    utimesSync(this.#temporary, modifiedMs / 1_000, modifiedMs / 1_000);
    this.#step(file, by, content, () => renameSync(this.#temporary, this.#pathOf(file)));
  }

  /** One call, so that the states in between are few, and of the kind that {@link wasWhileWriting} knows. */
  #write(file: number, by: Mutation, content: readonly Segment[], from = 0): void {
    const bytes = render(file, content).subarray(from);
    const opened = openSync(this.#pathOf(file), constants.O_WRONLY);
    try {
      this.#step(file, by, content, () => {
        if (writeSync(opened, bytes, 0, bytes.length, from) !== bytes.length)
          throw new Error("A short write");
      });
    } finally {
      closeSync(opened);
    }
  }

  #truncate(file: number, by: Mutation, sizeBytes: number): void {
    const content: Segment[] = [];
    for (const segment of this.lastOf(file).content ?? []) {
      content.push({ ...segment, toBytes: Math.min(segment.toBytes, sizeBytes) });
      if (segment.toBytes >= sizeBytes) break;
    }
    this.#step(file, by, content, () => truncateSync(this.#pathOf(file), sizeBytes));
  }

  #stamp(file: number, by: Mutation, modifiedMs: number): void {
    const { content } = this.lastOf(file);
    this.#step(file, by, content, () =>
      utimesSync(this.#pathOf(file), modifiedMs / 1_000, modifiedMs / 1_000),
    );
  }

  #step(file: number, by: Mutation, content: readonly Segment[] | null, change: () => void): void {
    const begunTick = this.#scene.begin(file);
    change();
    this.#note(file, by, { begunTick, endedTick: this.#scene.end(file), content });
  }

  #note(file: number, by: Mutation | null, state: Omit<State, "file" | "by" | "modifiedMs">): void {
    const stat = lstatSync(this.#pathOf(file), { throwIfNoEntry: false });
    const noted = { file, by, ...state, modifiedMs: stat?.mtime.getTime() ?? 0 };
    this.#last[file] = noted;
    this.states.push(noted);
  }

  #pathOf(file: number): string {
    return `${this.#plot.root}/${this.#plot.files[file]?.path ?? ""}`;
  }
}

/**
 * Whether these bytes were in a file in the middle of one write, between two states that follow each other: a system writes
 * from front to end, so it is the front of the later and the rest of the earlier one. That is no mix of ours.
 */
export function wasWhileWriting(bytes: Uint8Array, earlier: Uint8Array, later: Uint8Array): boolean {
  let at = 0;
  while (at < bytes.length && bytes[at] === later[at]) at++;
  if (at === bytes.length) return bytes.length >= Math.min(earlier.length, later.length);
  if (bytes.length !== earlier.length) return false;
  return bytes.subarray(at).every((byte, index) => byte === earlier[at + index]);
}

// --- as a worker ---------------------------------------------------------------------------------------------------

export interface Order {
  readonly plot: Plot;
  readonly memory: SharedArrayBuffer;
  readonly seed: number;
  /** For each file: what may be done to it, and how often; nothing to one that lies still. */
  readonly deals: readonly { readonly by: readonly Mutation[]; readonly timesMax: number }[];
}

export type Told =
  | { readonly kind: "ready"; readonly number: number }
  | { readonly kind: "ended"; readonly states: readonly State[] };

/** What the worker has to be called. */
export const WORKER_NAME = "mutator";
const PIPE_TURNS = 20;

function changeUntilStopped(mutator: Mutator, scene: Scene, { deals, seed }: Order): void {
  const { next } = seededRandom(seed);
  const left = deals.map(({ timesMax }) => timesMax);
  const nap = new Int32Array(new SharedArrayBuffer(4));
  for (let turn = 0; !scene.stopped; turn++) {
    if (turn % PIPE_TURNS === 0) mutator.openPipe();
    const file = scene.pick(next());
    const deal = file === null ? undefined : deals[file];
    const by = deal?.by[Math.floor(next() * deal.by.length)];
    if (file === null || by === undefined || (left[file] ?? 0) <= 0) {
      Atomics.wait(nap, 0, 0, 0.05);
      continue;
    }
    left[file] = (left[file] ?? 0) - 1;
    mutator.mutate(file, by);
  }
}

/** Orders are prepared when they come, and carried out when their number is called. */
function serve(): void {
  const port = self as unknown as Worker;
  const prepared: { readonly order: Order; readonly scene: Scene; readonly mutator: Mutator }[] = [];
  const tell = (told: Told) => port.postMessage(told);
  port.onmessage = ({ data }: MessageEvent<Order | number>) => {
    if (typeof data !== "number") {
      const scene = new Scene(data.memory);
      const mutator = new Mutator(data.plot, scene, seededRandom(data.seed + 1).next);
      prepared.push({ order: data, scene, mutator });
      return tell({ kind: "ready", number: prepared.length - 1 });
    }
    const called = prepared[data];
    if (called === undefined) throw new Error(`There is no order ${data}`);
    changeUntilStopped(called.mutator, called.scene, called.order);
    tell({ kind: "ended", states: called.mutator.states });
  };
}

if ((globalThis as { readonly name?: string }).name === WORKER_NAME) serve();
