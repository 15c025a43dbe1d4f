/**
 * A world for tests in which nothing is a fake: a folder, its connector, the transport, a journal on the disk, and the real
 * emulator behind a server that makes faults. What a test wants to go wrong it does at the platform's edge, or arms at that
 * server; what became of it is asked of the emulator directly.
 *
 * The engine's clock may run faster than the world's, so that waits of a minute are tested in a second. Started as a program,
 * this file is one run that ends itself without a farewell at the point it is told.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Grant } from "../../schema/connector.ts";
import {
  type JobConfig,
  type JobReport,
  jobConfig,
  type JobTotals,
  type TransferOptions,
} from "../../schema/job.ts";
import { BlobServer } from "../../test/faults/blob-server.ts";
import { AzureBlobDestination } from "../connectors/azure-blob.ts";
import type { GrantProvider } from "../connectors/connector.ts";
import type { Azurite } from "../connectors/fakes/azurite.ts";
import { LocalSource } from "../connectors/local.ts";
import type { Digests } from "../digests.ts";
import { denoPlatform } from "../platform-deno.ts";
import type { Database, Disk, OpenFile, Platform } from "../platform.ts";
import { RawTransport } from "../transport-raw-deno.ts";
import type { HttpAnswer, HttpRequest } from "../transport.ts";
import { virtualShared } from "../virtual.ts";
import type { ManifestRow } from "../../schema/manifest.ts";
import { type Run, type RunEvent, startRun } from "./run.ts";

export const MEBIBYTE = 1_048_576;
/** The smallest that a job may ask for. */
export const BLOCK_BYTES = MEBIBYTE;
/** Of real time; every case ends long before. */
const HANGS_MS = 60_000;
const DOWNLOADS_AT_ONCE = 8;
const API_VERSION = { "x-ms-version": "2023-11-03" };

export interface Setting {
  /** So many times faster than the world's does the engine's clock run. Its wall clock is the world's. */
  readonly speed?: number;
  /** How far the wall clock of the agent is off. */
  readonly skewMs?: number;
  /** Of the transport. */
  readonly stallMs?: number;
  readonly disk?: (disk: Disk) => Partial<Disk>;
  readonly openDatabase?: (open: Platform["openDatabase"]) => Platform["openDatabase"];
  /** Before files are read ahead, by the thread beside. */
  readonly onReadAhead?: () => Promise<void>;
  /** Before each request leaves. */
  readonly onSend?: (request: Asked) => void | Promise<void>;
  readonly onAnswer?: (request: Asked, answer: HttpAnswer) => void | Promise<void>;
}

/** A request as a test sees it. */
export interface Asked {
  readonly method: string;
  /** `comp` of the query: block, blocklist, list, tier; else empty. */
  readonly what: string;
  /** The blob's name; empty for the container. */
  readonly blob: string;
}

/** What the emulator holds. */
export interface Blob {
  readonly sizeBytes: number;
  readonly sha256: string | null;
  readonly tier: string;
  /** Null where it cannot be read. */
  readonly bytes: Uint8Array | null;
}

export class CaseWorld {
  readonly folder: string;
  readonly source: string;
  readonly server: BlobServer;
  readonly platform: Platform;
  readonly told: RunEvent[] = [];
  readonly logged: string[] = [];
  readonly #azurite: Azurite;
  readonly #container: string;
  readonly #transport: RawTransport;
  /** Where journal and manifest are; a test may put them elsewhere. */
  stateFolder: string;
  /** Which journal is used; another one is another epoch of the job. */
  epoch = 1;
  grants: GrantProvider;
  /** Address of the faults' server, or of what stands before it. */
  origin: string;

  /** Whether this machine lets source files be removed. */
  mayRemove = true;
  hasLease = true;

  private constructor(input: { azurite: Azurite; container: string; server: BlobServer; setting: Setting }) {
    this.folder = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "migrate-case-" }));
    this.source = `${this.folder}/source`;
    this.stateFolder = this.folder;
    Deno.mkdirSync(this.source);
    this.server = input.server;
    this.#azurite = input.azurite;
    this.#container = input.container;
    this.#transport = new RawTransport({ stallMs: input.setting.stallMs ?? 60_000 });
    this.platform = platformOf(input.setting, this.#transport, (line) => this.logged.push(line));
    this.origin = this.server.origin;
    this.grants = { current: () => this.grant(60), replace: () => Promise.resolve(this.grant(61)) };
  }

  static async open(azurite: Azurite, setting: Setting = {}): Promise<CaseWorld> {
    const container = `case-${crypto.randomUUID()}`;
    await azurite.createContainer(container);
    const server = await BlobServer.start(new URL(azurite.containerUrl(container)).origin);
    return new CaseWorld({ azurite, container, server, setting });
  }

  async close(): Promise<void> {
    this.#transport.close();
    await this.server.stop();
    Deno.removeSync(this.folder, { recursive: true });
  }

  // --- the source ----------------------------------------------------------------------------------------------------

  path(path: string): string {
    return `${this.source}/${path}`;
  }

  put(path: string, bytes: Uint8Array): void {
    Deno.mkdirSync(this.path(path).replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeFileSync(this.path(path), new Uint8Array(bytes));
  }

  // --- the run -------------------------------------------------------------------------------------------------------

  /** A grant over the faults' server; another lifetime has another signature. */
  grant(minutes: number): Grant {
    const grant = this.#azurite.grant(this.#container, { minutes });
    const { pathname } = new URL(grant.containerUrl);
    return { ...grant, containerUrl: this.origin + pathname };
  }

  start(options: Partial<TransferOptions> = {}, config: Partial<JobConfig> = {}): Run {
    const whole = { ...configOf(this.source, options), ...config };
    return startRun({
      jobId: "job",
      epoch: this.epoch,
      config: whole,
      source: new LocalSource(whole.source.path, this.platform),
      destination: new AzureBlobDestination(whole.destination, this.grants, this.platform),
      platform: this.platform,
      shared: virtualShared(this.platform.clock),
      mayRemove: () => this.mayRemove,
      hasLease: () => this.hasLease,
      journalPath: this.journalPath,
      manifestPath: `${this.folder}/manifest-${this.epoch}`,
      tell: (event) => void this.told.push(event),
    });
  }

  get journalPath(): string {
    return `${this.stateFolder}/journal-${this.epoch}`;
  }

  /** Runs the job to its end, and proves what has to be true of every end. */
  async run(
    options: Partial<TransferOptions> = {},
    { config = {}, ...proof }: { config?: Partial<JobConfig> } & ProofOptions = {},
  ): Promise<JobReport> {
    const report = await this.end(this.start(options, config));
    await this.prove(report, proof);
    return report;
  }

  async end(run: Run, hangsMs = HANGS_MS): Promise<JobReport> {
    return await within(run.finished, hangsMs, () => `The run hangs: ${JSON.stringify(run.progress())}`);
  }

  failures(): Record<string, string> {
    const codes: Record<string, string> = {};
    for (const event of this.told)
      if (event.kind === "files_failed") for (const { path, code } of event.failures) codes[path] = code;
    return codes;
  }

  manifest(): readonly ManifestRow[] {
    const text = Deno.readTextFileSync(`${this.folder}/manifest-${this.epoch}`);
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as ManifestRow);
  }

  /** By path: completed, or why not. */
  outcomes(): Record<string, string> {
    return Object.fromEntries(this.manifest().map((row) => [row.path, row.reason ?? row.outcome]));
  }

  // --- the truth -----------------------------------------------------------------------------------------------------

  /**
   * What is true of every run that ended: its numbers add up, a second start says the same, the manifest is the one that the
   * report names, and the emulator holds exactly what it lists, byte for byte as in the source.
   */
  async prove(report: JobReport, options: ProofOptions = {}): Promise<void> {
    const { planted = [], changed = [], listingOnly = false, outcome: end = "completed" } = options;
    const { totals } = report;
    assert.equal(report.outcome, end, JSON.stringify(report.error));
    assert.deepEqual(await this.end(this.start()), report, "a second start says the same");
    const rows = this.manifest();
    const text = Deno.readFileSync(`${this.folder}/manifest-${this.epoch}`);
    assert.deepEqual(report.manifest, { sha256: sha256(text), rows: rows.length });
    assert.equal(rows.length, totals.filesTotal);
    const left = rows.filter(({ outcome }) => outcome === "not_reached" || outcome === "unproved");
    if (end === "completed") assert.deepEqual(left, []);
    assertAddsUp(totals, left);
    for (const [outcome, count] of [
      ["completed", totals.filesCompleted],
      ["failed", totals.filesFailed],
      ["skipped", totals.filesSkipped],
    ] as const)
      assert.equal(rows.filter((row) => row.outcome === outcome).length, count, outcome);
    const blobs = await this.blobs(listingOnly ? "listing" : "bytes");
    const named = new Set<string>(planted);
    for (const row of rows) {
      if (row.outcome !== "completed" && row.reason !== "identical") continue;
      const name = row.blob ?? "";
      assert.ok(!named.has(name) || planted.includes(name), `two files in one blob: ${name}`);
      named.add(name);
      this.#proveBlob(row, blobs.get(name), { compare: !listingOnly && !changed.includes(row.path) });
    }
    assert.deepEqual(
      [...blobs.keys()].filter((name) => !named.has(name)),
      [],
      "nothing else is there",
    );
  }

  #proveBlob(row: ManifestRow, blob: Blob | undefined, { compare }: { readonly compare: boolean }): void {
    assert.ok(blob !== undefined, `it is not there: ${row.path}`);
    assert.equal(blob.sizeBytes, row.sizeBytes, `size of ${row.path}`);
    assert.equal(blob.sha256, row.sha256, `metadata of ${row.path}`);
    if (blob.bytes !== null) assert.equal(sha256(blob.bytes), row.sha256, `bytes of ${row.path}`);
    if (!compare) return;
    const bytes = Deno.readFileSync(this.path(row.path));
    assert.equal(sha256(bytes), row.sha256, `source of ${row.path}`);
    if (blob.bytes !== null) assert.ok(Buffer.from(bytes).equals(blob.bytes), `bytes of ${row.path}`);
  }

  /** What the emulator holds, asked without the server of faults. */
  async blobs(what: "listing" | "bytes" = "bytes"): Promise<Map<string, Blob>> {
    const blobs = new Map<string, Blob>();
    for (let marker: string | null = ""; marker !== null;) {
      const query = `restype=container&comp=list&include=metadata&marker=${encodeURIComponent(marker)}`;
      const xml = await (await this.#ask("GET", null, query)).text();
      for (const [, item = ""] of xml.matchAll(/<Blob>(.*?)<\/Blob>/gs)) {
        blobs.set(tagOf(item, "Name") ?? "", {
          sizeBytes: Number(tagOf(item, "Content-Length")),
          sha256: tagOf(item, "sha256"),
          tier: tagOf(item, "AccessTier") ?? "",
          bytes: null,
        });
      }
      marker = tagOf(xml, "NextMarker");
    }
    if (what === "listing") return blobs;
    const readable = [...blobs].filter(([, { tier }]) => tier !== "Archive");
    const download = async () => {
      for (let next = readable.pop(); next !== undefined; next = readable.pop()) {
        const bytes = await (await this.#ask("GET", next[0], "")).bytes();
        blobs.set(next[0], { ...next[1], bytes });
      }
    };
    await Promise.all(Array.from({ length: DOWNLOADS_AT_ONCE }, download));
    return blobs;
  }

  /** Somebody else writes a blob. */
  async plant(
    name: string,
    bytes: Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const described = { "x-ms-blob-type": "BlockBlob", ...headers };
    await (await this.#ask("PUT", name, "", { headers: described, body: new Uint8Array(bytes) })).text();
  }

  async setTier(name: string, tier: string): Promise<void> {
    await (await this.#ask("PUT", name, "comp=tier", { headers: { "x-ms-access-tier": tier } })).text();
  }

  async #ask(
    method: string,
    name: string | null,
    query: string,
    init: { headers?: Readonly<Record<string, string>>; body?: Uint8Array<ArrayBuffer> } = {},
  ): Promise<Response> {
    const { containerUrl, sas } = this.#azurite.grant(this.#container);
    const path = name === null ? "" : `/${name.split("/").map(encodeURIComponent).join("/")}`;
    const url = `${containerUrl}${path}?${query === "" ? "" : `${query}&`}${sas}`;
    const headers = { ...API_VERSION, ...init.headers };
    const response = await fetch(url, { method, headers, body: init.body ?? null });
    if (!response.ok) throw new Error(`${method} of "${name}": ${response.status} ${await response.text()}`);
    return response;
  }
}

export interface ProofOptions {
  /** Blobs that others wrote. */
  readonly planted?: readonly string[];
  /** Files that are not any more what was moved. */
  readonly changed?: readonly string[];
  readonly outcome?: JobReport["outcome"];
  /** Nothing is downloaded. */
  readonly listingOnly?: boolean;
}

/** Opens a world, and closes it whatever happens. */
export async function inWorld(
  azurite: Azurite | null,
  setting: Setting,
  test: (world: CaseWorld) => Promise<void>,
): Promise<void> {
  assert.ok(azurite !== null, "Azurite is not there");
  const world = await CaseWorld.open(azurite, setting);
  try {
    await test(world);
  } finally {
    await world.close();
  }
}

/** Looks until `holds`. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + HANGS_MS;
  while (!holds()) {
    assert.ok(performance.now() < endMs, `it never came: ${what}`);
    await pause(5);
  }
}

/** Puts an empty file system of its own, as vast as memory may be claimed, or so small, on a folder; null without the right to. */
export async function mountMemory(folder: string, size: string): Promise<(() => Promise<void>) | null> {
  const args = ["-t", "tmpfs", "-o", `size=${size},mode=700`, "tmpfs", folder];
  const command = new Deno.Command("mount", { args, stdout: "null", stderr: "null" });
  const mounted = await command.output().catch(() => null);
  if (mounted?.success !== true) return null;
  return async () => void (await new Deno.Command("umount", { args: ["-l", folder] }).output());
}

/** Whether these tests may mount. */
export async function mayMount(): Promise<boolean> {
  const folder = Deno.makeTempDirSync({ prefix: "migrate-mount-" });
  const unmount = await mountMemory(folder, "1m");
  await unmount?.();
  Deno.removeSync(folder);
  return unmount !== null;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** `left` is what a run that failed has not come to. */
function assertAddsUp(totals: JobTotals, left: readonly ManifestRow[]): void {
  const rest = { files: left.length, bytes: left.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
  for (const unit of ["files", "bytes"] as const) {
    const parts =
      totals[`${unit}Completed`] + totals[`${unit}Failed`] + totals[`${unit}Skipped`] + rest[unit];
    assert.equal(parts, totals[`${unit}Total`], `${unit} add up: ${JSON.stringify(totals)}`);
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Bytes that look like chance, and are the same for one seed. */
export function noise(seed: number, sizeBytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  let state = (seed + 1) * 0x9e3779b9;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, sizeBytes);
}

/** Does something after each read of a file that is opened by this path. */
export function afterRead(path: string, act: () => void): (disk: Disk) => Partial<Disk> {
  const wrap = (file: OpenFile): OpenFile => ({
    ...file,
    read: async (into, position) => {
      const count = await file.read(into, position);
      act();
      return count;
    },
    readNow: (into, position) => {
      const count = file.readNow(into, position);
      act();
      return count;
    },
  });
  return (disk) => ({
    open: async (opened) => {
      const file = await disk.open(opened);
      return opened.endsWith(path) ? wrap(file) : file;
    },
    openNow: (opened) => {
      const file = disk.openNow(opened);
      return opened.endsWith(path) ? wrap(file) : file;
    },
  });
}

/** Counts what arrives at a server, and when. */
export class Meter {
  /** Connections that were made. */
  connections = 0;
  readonly #server: Server;
  readonly #arrived: { readonly atMs: number; readonly bytes: number }[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async before(origin: string): Promise<Meter> {
    const { hostname, port } = new URL(origin);
    const server = createServer();
    const meter = new Meter(server);
    server.on("connection", (client) => {
      meter.connections++;
      const upstream = connect(Number(port), hostname);
      client.on("data", ({ length }) => meter.#arrived.push({ atMs: performance.now(), bytes: length }));
      client.pipe(upstream).pipe(client);
      for (const socket of [client, upstream]) {
        meter.#sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => {
          client.destroy();
          upstream.destroy();
          meter.#sockets.delete(socket);
        });
      }
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", () => listening()));
    return meter;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Bytes per second between two points of time. */
  rate(fromMs: number, toMs: number): number {
    const bytes = this.#arrived.reduce(
      (sum, piece) => (piece.atMs >= fromMs && piece.atMs < toMs ? sum + piece.bytes : sum),
      0,
    );
    return (bytes / (toMs - fromMs)) * 1_000;
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

// --- the platform --------------------------------------------------------------------------------------------------

function platformOf(setting: Setting, transport: RawTransport, writeLine: (line: string) => void): Platform {
  const { speed = 1 } = setting;
  const real = denoPlatform(writeLine);
  const { clock, disk } = real;
  return {
    ...real,
    clock: {
      now: () => clock.now() + (setting.skewMs ?? 0),
      monotonic: () => clock.monotonic() * speed,
      sleep: (ms, signal) => clock.sleep(ms / speed, signal),
    },
    disk: { ...disk, ...setting.disk?.(disk) },
    digests: (size) => digestsOf(setting, real.digests(size)),
    openDatabase: setting.openDatabase?.(real.openDatabase) ?? real.openDatabase,
    transport: {
      send: async (request, options) => {
        const asked = askedOf(request);
        await setting.onSend?.(asked);
        const answer = await transport.send(request, options);
        await setting.onAnswer?.(asked, answer);
        return answer;
      },
      close: () => transport.close(),
    },
  };
}

/** The thread that reads ahead has the system's disk and no other: a world whose disk is changed does without. */
function digestsOf(setting: Setting, digests: Digests): Digests {
  const readFiles: Digests["readFiles"] = async (kind, files) => {
    if (setting.disk !== undefined) return files.map(() => null);
    await setting.onReadAhead?.();
    return await digests.readFiles(kind, files);
  };
  return { ...digests, readFiles };
}

function askedOf({ method, url }: HttpRequest): Asked {
  const { pathname, searchParams } = new URL(url);
  return {
    method,
    what: searchParams.get("comp") ?? "",
    blob: decodeURIComponent(pathname.split("/").slice(3).join("/")),
  };
}

export function configOf(source: string, options: Partial<TransferOptions>): JobConfig {
  return jobConfig.parse({
    type: "migrate_files",
    name: "Case",
    source: { kind: "local", path: source },
    destination: { kind: "azure_blob", account: "account", container: "container", prefix: "", tier: "Hot" },
    options: { concurrency: 3, chunkSizeMiB: 1, ...options },
  });
}

function tagOf(xml: string, name: string): string | null {
  const text = new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(xml)?.[1] ?? "";
  if (text === "") return null;
  return text
    .replace(/&#x([0-9a-f]+);/gi, (_, digits: string) => String.fromCodePoint(Number.parseInt(digits, 16)))
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'")
    .replaceAll("&amp;", "&");
}

async function within<Value>(
  promise: Promise<Value>,
  limitMs: number,
  describe: () => string,
): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(describe())), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// --- a run that dies -----------------------------------------------------------------------------------------------

/** Where a run ends itself: at so many commits of the journal or requests, before or after one. */
export interface Death {
  readonly at: "commit" | "request";
  readonly number: number;
  readonly when: "before" | "after";
}

interface Life {
  readonly source: string;
  readonly journalPath: string;
  readonly manifestPath: string;
  readonly grant: Grant;
  readonly death: Death;
}

/** Runs the world's job in a process of its own. The points it passed when it got through; null when it died. */
export async function runUntilDeath(world: CaseWorld, death: Death): Promise<number | null> {
  const life: Life = {
    source: world.source,
    journalPath: world.journalPath,
    manifestPath: `${world.folder}/manifest-${world.epoch}`,
    grant: world.grant(60),
    death,
  };
  const { code, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", "-A", import.meta.url, JSON.stringify(life)],
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (signal === "SIGKILL") return null;
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return Number(new TextDecoder().decode(stdout));
}

async function live({ death, grant, ...life }: Life): Promise<number> {
  let passed = 0;
  const pass = (at: Death["at"], when: Death["when"]) => {
    if (at !== death.at || when !== death.when || ++passed !== death.number) return;
    Deno.kill(Deno.pid, "SIGKILL");
  };
  const transport = new RawTransport();
  const dying = (database: Database): Database => ({
    ...database,
    execute: (sql) => {
      if (sql === "COMMIT") pass("commit", "before");
      database.execute(sql);
      if (sql === "COMMIT") pass("commit", "after");
    },
  });
  const setting: Setting = {
    openDatabase: (open) => (path, options) => dying(open(path, options)),
    onSend: () => pass("request", "before"),
    onAnswer: () => pass("request", "after"),
  };
  const platform = platformOf(setting, transport, () => {});
  const config = configOf(life.source, {});
  const grants = { current: () => grant, replace: () => Promise.resolve(grant) };
  const run = startRun({
    jobId: "job",
    epoch: 1,
    config,
    source: new LocalSource(life.source, platform),
    destination: new AzureBlobDestination(config.destination, grants, platform),
    platform,
    shared: virtualShared(platform.clock),
    mayRemove: () => true,
    hasLease: () => true,
    journalPath: life.journalPath,
    manifestPath: life.manifestPath,
    tell: () => {},
  });
  await run.finished;
  transport.close();
  return passed;
}

if (import.meta.main) {
  const passed = await live(JSON.parse(Deno.args[0] ?? "{}") as Life);
  Deno.stdout.writeSync(new TextEncoder().encode(String(passed)));
  Deno.exit(0);
}
