/**
 * Brings the manifests of finished runs into the control plane's object storage; `schema/manifest.ts` tells the whole way.
 *
 * What is still to be brought is noted in a file beside each manifest, before the run's result is written down: a program
 * killed in between ends the run once more, and notes it once more. A note goes when the control plane says that the
 * manifest is stored, or that it will never take it. The manifest itself stays where it is: nothing here removes it.
 *
 * One manifest at a time, a part of it in memory, and none of this is in the way of a job.
 */
import * as z from "zod";
import { errorBody } from "../schema/errors.ts";
import { jobConfig } from "../schema/job.ts";
import { MANIFEST_PART_BYTES, manifestState, type ManifestState } from "../schema/manifest.ts";
import { ApiUnreachable } from "./api.ts";
import type { AgentConfig } from "./config.ts";
import { LineLimit, type LineSettings, NO_LINE_SETTINGS } from "./engine/line-limit.ts";
import type { Throttle } from "./engine/throttle.ts";
import { DiskError, type NewFile, type OpenFile, type Platform } from "./platform.ts";
import type { Epoch } from "./state.ts";
import type { Pace } from "./transport.ts";

/** Of a request without a part; one with a part may take as long as bytes move. */
const REQUEST_LIMIT_MS = 60_000;
const DELAY_MS_MIN = 1_000;
export const DELAY_MS_MAX = 30 * 60_000;
/** A control plane that is older than this agent, or was put back from a backup, does not know what is asked for. */
export const UNKNOWN_KEPT_MS = 7 * 86_400_000;
/** Between two turns of the loop, so that packing a large manifest stops nobody. */
const READ_BYTES = 256 * 1024;
const NOTE_BYTES_MAX = 4 * 1024;

export interface WrittenManifest extends Epoch {
  readonly sha256: string;
  readonly rows: number;
  /** The job's limit of the line, which holds for its list as well. */
  readonly line: LineSettings;
}

export interface ManifestUploadsInput {
  readonly platform: Platform;
  readonly config: AgentConfig;
  readonly throttle: Throttle;
  /** Where the manifests lie, without a separator at the end. */
  readonly folder: string;
}

const note = z.object({
  jobId: z.string().regex(/^job_[0-9a-z]+$/),
  epoch: z.int(),
  sha256: z.string(),
  rows: z.int(),
  notedMs: z.number(),
  /** Absent from notes of an earlier version. */
  line: z
    .object({ bandwidthMbps: z.number().positive().nullable(), schedule: jobConfig.shape.schedule })
    .default(NO_LINE_SETTINGS),
});
type Note = z.infer<typeof note>;

/** What became of one try; `given_up` = no later one would end better. */
type Outcome = "stored" | "given_up" | "later";

export class ManifestUploads {
  readonly #input: ManifestUploadsInput;
  /** Resolved when there is more to do than the round knows that is under way. */
  #news = Promise.withResolvers<void>();
  /** Notes that the disk had no room for. */
  readonly #unwritten = new Map<string, Note>();

  constructor(input: ManifestUploadsInput) {
    this.#input = input;
  }

  /** Durable when it returns, unless the disk is full: then it is tried again for as long as the program runs. */
  add({ jobId, epoch, sha256, rows, line }: WrittenManifest): void {
    const added: Note = { jobId, epoch, sha256, rows, line, notedMs: this.#input.platform.clock.now() };
    this.#unwritten.set(nameOf(added), added);
    this.#writeNotes();
    this.#news.resolve();
  }

  /** Goes on until the signal says so; then what is under way is begun anew at the next start. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#input.platform;
    for (let tries = 0; !signal.aborted;) {
      this.#news = Promise.withResolvers();
      const { stored, open } = await this.#round(signal);
      tries = stored > 0 ? 0 : tries + 1;
      const delayMs = random.next() * Math.min(DELAY_MS_MAX, DELAY_MS_MIN * 2 ** Math.min(tries, 20));
      const rest = new AbortController();
      const ends = [this.#news.promise, untilAborted(signal, rest.signal)];
      if (open > 0) ends.push(clock.sleep(delayMs, rest.signal));
      await Promise.race(ends).catch(() => undefined);
      rest.abort();
    }
  }

  /** Each that is noted, once. */
  async #round(signal: AbortSignal): Promise<{ stored: number; open: number }> {
    let stored = 0;
    let open = 0;
    try {
      this.#writeNotes();
      for (const one of this.#notes()) {
        if (signal.aborted) break;
        const outcome = await this.#try(one, signal);
        if (outcome === "later") open++;
        else this.#forget(one);
        if (outcome === "stored") stored++;
      }
    } catch (error) {
      // Nothing of this may stop the jobs.
      this.#input.platform.log("manifest_round_broke", { reason: String(error) });
      open++;
    }
    return { stored, open };
  }

  async #try(one: Note, signal: AbortSignal): Promise<Outcome> {
    const { platform } = this.#input;
    const fields = { jobId: one.jobId, epoch: one.epoch };
    try {
      const outcome = await this.#bring(one, signal);
      if (outcome === "stored") platform.log("manifest_stored", { ...fields, rows: one.rows });
      return outcome;
    } catch (error) {
      if (signal.aborted) return "later";
      const reason = error instanceof Error ? error.message : String(error);
      const outcome = this.#outcomeOf(one, error);
      platform.log(outcome === "later" ? "manifest_waits" : "manifest_given_up", { ...fields, reason });
      return outcome;
    }
  }

  #outcomeOf(one: Note, error: unknown): Outcome {
    if (error instanceof DiskError) return error.code === "not_found" ? "given_up" : "later";
    if (error instanceof ManifestChanged) return "given_up";
    if (!(error instanceof Refused)) return "later";
    // What the control plane took apart is packed anew.
    if (error.discarded) this.#remove(this.#packedPath(one));
    if (error.status === 400) return "given_up";
    const ageMs = this.#input.platform.clock.now() - one.notedMs;
    return error.status === 404 && ageMs > UNKNOWN_KEPT_MS ? "given_up" : "later";
  }

  async #bring(one: Note, signal: AbortSignal): Promise<Outcome> {
    const { jobId, epoch, sha256, rows, line } = one;
    const { platform, throttle } = this.#input;
    const before = await this.#ask("GET", one, { query: `?epoch=${epoch}` }, signal);
    if (stateIn(before).stored) return "stored";
    const path = await this.#pack(one, signal);
    const parts: string[] = [];
    const file = await platform.disk.open(path);
    const limit = new LineLimit(throttle, platform.clock, line);
    try {
      for await (const bytes of partsOf(file)) {
        const part = this.#digest(bytes);
        parts.push(part);
        if (stateIn(before).parts.includes(part)) continue;
        await this.#sendPart(one, { part, bytes, pace: limit }, signal);
      }
    } finally {
      limit.leave();
      file.close();
    }
    const completion = { epoch, sha256, rows, parts };
    const after = await this.#ask("POST", { jobId, epoch }, { query: "", json: completion }, signal);
    return stateIn(after).stored ? "stored" : "later";
  }

  /** The manifest packed, as it was told of in the report; made once, and in its place only when it is whole. */
  async #pack(one: Note, signal: AbortSignal): Promise<string> {
    const { disk, changes, hash: newHash } = this.#input.platform;
    const packed = this.#packedPath(one);
    if (this.#isThere(packed)) return packed;
    const source = await disk.open(this.#path(one, ".jsonl"));
    try {
      const hash = newHash("sha256");
      const unfinished = `${packed}.new`;
      const target = disk.create(unfinished);
      await this.#packInto(target, source, (bytes) => hash.update(bytes), signal);
      if (hash.digest().toHex() !== one.sha256) {
        this.#remove(unfinished);
        throw new ManifestChanged("The manifest on the disk is not the one of the report any more");
      }
      changes.rename(unfinished, packed);
      changes.syncFolder(this.#input.folder);
    } finally {
      source.close();
    }
    return packed;
  }

  async #packInto(
    target: NewFile,
    source: OpenFile,
    look: (bytes: Uint8Array) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#input.platform;
    let position = 0;
    const bytes = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        async pull(controller) {
          const into = new Uint8Array(READ_BYTES);
          const count = await source.read(into, position);
          if (count === 0) return controller.close();
          position += count;
          const piece = into.subarray(0, count);
          look(piece);
          controller.enqueue(piece);
          await clock.sleep(0, signal);
        },
      },
      { highWaterMark: 0 },
    );
    try {
      for await (const piece of bytes.pipeThrough(new CompressionStream("gzip"))) target.write(piece);
    } finally {
      target.finish();
    }
  }

  // --- requests ---

  /** Over the way that files take, because only there is a limit of the line kept. */
  async #sendPart(
    { jobId, epoch }: Epoch,
    { part, bytes, pace }: { part: string; bytes: Uint8Array; pace: Pace },
    signal: AbortSignal,
  ): Promise<void> {
    const { platform, config } = this.#input;
    const { status, body } = await platform.transport.send(
      {
        method: "PUT",
        url: `${config.url}/api/agent/jobs/${jobId}/manifest?epoch=${epoch}&part=${part}`,
        headers: { authorization: `Bearer ${config.key}`, "content-type": "application/octet-stream" },
        body: bytes,
        headroomBytes: 0,
      },
      { signal, pace },
    );
    if (status < 200 || status > 299) throw refusalOf(status, parseJson(new TextDecoder().decode(body)));
  }

  async #ask(
    method: "GET" | "POST",
    { jobId }: Epoch,
    { query, json }: { query: string; json?: unknown },
    signal: AbortSignal,
  ): Promise<unknown> {
    const { platform, config } = this.#input;
    const limit = new AbortController();
    // Rejects when the answer was quicker, which is the usual case.
    platform.clock.sleep(REQUEST_LIMIT_MS, limit.signal).then(
      () => limit.abort(new Error("no answer in time")),
      () => undefined,
    );
    try {
      const response = await platform.fetch(`${config.url}/api/agent/jobs/${jobId}/manifest${query}`, {
        method,
        headers: {
          Authorization: `Bearer ${config.key}`,
          ...(json === undefined ? {} : { "Content-Type": "application/json" }),
        },
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        // A redirect would carry the key elsewhere.
        redirect: "manual",
        signal: AbortSignal.any([signal, limit.signal]),
      });
      const body = parseJson(await response.text());
      if (response.ok) return body;
      throw refusalOf(response.status, body);
    } finally {
      limit.abort();
    }
  }

  // --- files ---

  #notes(): Note[] {
    const { disk } = this.#input.platform;
    const found = disk
      .readFolder(this.#input.folder)
      .filter(({ name, kind }) => kind === "file" && /^job_[0-9a-z]+\.\d+\.upload$/.test(name))
      .flatMap(({ name }) => this.#readNote(`${this.#input.folder}${disk.separator}${name}`));
    const unwritten = [...this.#unwritten.values()];
    return [...found.filter((one) => !this.#unwritten.has(nameOf(one))), ...unwritten];
  }

  /** One that was cut off while it was written belongs to a run whose end will be told once more. */
  #readNote(path: string): Note[] {
    const { platform } = this.#input;
    try {
      const file = platform.disk.openNow(path);
      try {
        const into = new Uint8Array(NOTE_BYTES_MAX);
        const text = new TextDecoder().decode(into.subarray(0, file.readNow(into, 0)));
        const parsed = note.safeParse(parseJson(text));
        return parsed.success ? [parsed.data] : [];
      } finally {
        file.close();
      }
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      platform.log("manifest_note_unreadable", { reason: error.message });
      return [];
    }
  }

  #writeNotes(): void {
    const { platform } = this.#input;
    for (const [name, one] of this.#unwritten) {
      try {
        const file = platform.disk.create(this.#path(one, ".upload"));
        try {
          file.write(new TextEncoder().encode(JSON.stringify(one)));
        } finally {
          file.finish();
        }
        this.#unwritten.delete(name);
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        platform.log("manifest_not_noted", { jobId: one.jobId, epoch: one.epoch, reason: error.message });
      }
    }
  }

  #forget(one: Note): void {
    // The note last: without it nobody would come back for the rest.
    this.#remove(`${this.#packedPath(one)}.new`);
    this.#remove(this.#packedPath(one));
    this.#unwritten.delete(nameOf(one));
    this.#remove(this.#path(one, ".upload"));
  }

  #remove(path: string): void {
    try {
      this.#input.platform.changes.removeFile(path);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (error.code !== "not_found")
        this.#input.platform.log("manifest_not_tidied", { reason: error.message });
    }
  }

  #isThere(path: string): boolean {
    try {
      return this.#input.platform.disk.stat(path).kind === "file";
    } catch (error) {
      if (error instanceof DiskError && error.code === "not_found") return false;
      throw error;
    }
  }

  #packedPath(one: Epoch): string {
    return this.#path(one, ".jsonl.gz");
  }

  #path(one: Epoch, ending: string): string {
    return `${this.#input.folder}${this.#input.platform.disk.separator}${nameOf(one)}${ending}`;
  }

  #digest(bytes: Uint8Array): string {
    const hash = this.#input.platform.hash("sha256");
    hash.update(bytes);
    return hash.digest().toHex();
  }
}

/** The control plane answered, with a no. */
class Refused extends Error {
  override readonly name = "Refused";
  readonly status: number;
  /** What was sent was looked at, and thrown away. */
  readonly discarded: boolean;
  constructor(status: number, message: string, discarded: boolean) {
    super(message);
    this.status = status;
    this.discarded = discarded;
  }
}

class ManifestChanged extends Error {
  override readonly name = "ManifestChanged";
}

function refusalOf(status: number, body: unknown): Error {
  const refused = errorBody.safeParse(body);
  if (!refused.success)
    return new ApiUnreachable(`The answer with status ${status} is not from the control plane`);
  const { error, details } = refused.data;
  return new Refused(status, error, details?.["discarded"] === true);
}

function stateIn(body: unknown): ManifestState {
  const parsed = manifestState.safeParse(body);
  if (!parsed.success)
    throw new ApiUnreachable("The control plane's answer is not what this agent understands");
  return parsed.data;
}

/** A new array each: the one before may still be on its way. */
async function* partsOf(file: OpenFile): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  for (let position = 0; ;) {
    const into = new Uint8Array(MANIFEST_PART_BYTES);
    const count = await file.read(into, position);
    if (count === 0) return;
    position += count;
    yield into.subarray(0, count);
  }
}

function nameOf({ jobId, epoch }: Epoch): string {
  return `${jobId}.${epoch}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Resolves when `signal` is aborted; listens no longer than until `end` is. */
function untilAborted(signal: AbortSignal, end: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true, signal: end }),
  );
}
