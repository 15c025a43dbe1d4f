/**
 * A source of which only some files count: those that failed in an earlier epoch, and what lies in folders that could not
 * be read then. The control plane holds their list; it is asked for once, when the listing begins, and kept beside the
 * journal, so that a restart does not need it again. It hides that the source is listed whole: a failure is told by its
 * path, and whether that was a file, a folder or a name nobody can open, only the listing knows.
 */
import * as z from "zod";
import { ApiRefusal, ApiUnreachable, requestOnlyPaths } from "./api.ts";
import { backoffMs } from "./backoff.ts";
import type { AgentConfig } from "./config.ts";
import type {
  Entry,
  Listed,
  ListedPage,
  Located,
  Reading,
  Source,
  WholeRead,
} from "./connectors/connector.ts";
import { DiskError, type Platform } from "./platform.ts";

/** As many failures as the control plane keeps, and some more. */
const PATHS_MAX = 10_000;
const KEPT_BYTES_MAX = 64 * 1024 * 1024;
const keptPaths = z.array(z.string()).max(PATHS_MAX);

/** The name of the list that is kept for an epoch, in the folder of the journals. */
export function onlyListName({ jobId, epoch }: { jobId: string; epoch: number }): string {
  return `${jobId}.${epoch}.only.json`;
}

export class OnlyFailed implements Source {
  readonly #inner: Source;
  readonly #paths: (signal: AbortSignal) => Promise<ReadonlySet<string>>;

  constructor(inner: Source, paths: (signal: AbortSignal) => Promise<ReadonlySet<string>>) {
    this.#inner = inner;
    this.#paths = paths;
  }

  async *list(options: { cursor: string | null; signal: AbortSignal }): AsyncIterable<ListedPage> {
    const wanted = await this.#paths(options.signal);
    for await (const page of this.#inner.list(options)) {
      yield { ...page, items: page.items.filter((item) => isWithin(pathOf(item), wanted)) };
    }
  }

  get quarantine() {
    return this.#inner.quarantine ?? null;
  }

  readWhole(
    entry: Entry,
    into: Uint8Array,
    signal: AbortSignal,
  ): WholeRead | null | Promise<WholeRead | null> {
    return this.#inner.readWhole(entry, into, signal);
  }

  locate(entry: Entry): Located | null {
    return this.#inner.locate(entry);
  }

  async open(entry: Entry, signal: AbortSignal): Promise<Reading> {
    return await this.#inner.open(entry, signal);
  }
}

function pathOf(item: Listed): string {
  return item.kind === "file" ? item.entry.path : item.path;
}

/** The path itself, or a folder it lies in. */
function isWithin(path: string, wanted: ReadonlySet<string>): boolean {
  if (wanted.has(path)) return true;
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
    if (wanted.has(path.slice(0, end))) return true;
  }
  return false;
}

export interface OnlyListInput {
  readonly platform: Platform;
  readonly config: AgentConfig;
  readonly jobId: string;
  readonly epoch: number;
  /** Where the list is kept. */
  readonly keptPath: string;
  /** Aborted when the run is over. */
  readonly signal: AbortSignal;
  /** The control plane no longer knows this epoch; the run is to be put down without a word. */
  readonly onStale: () => void;
}

/** The list of an epoch: what is kept, else what the control plane answers, however long that takes. */
export async function readOnlyList(input: OnlyListInput, stop: AbortSignal): Promise<ReadonlySet<string>> {
  const signal = AbortSignal.any([stop, input.signal]);
  const kept = await readKept(input);
  if (kept !== null) return new Set(kept);
  const paths = await fetchAll(input, signal);
  keep(input, paths);
  return new Set(paths);
}

/** Null when there is none, or one that was cut off: the control plane's answer stays the same. */
async function readKept({ platform, keptPath }: OnlyListInput): Promise<string[] | null> {
  try {
    const file = await platform.disk.open(keptPath);
    try {
      const { sizeBytes } = file.stat();
      if (sizeBytes > KEPT_BYTES_MAX) return null;
      const bytes = new Uint8Array(sizeBytes);
      let filled = 0;
      while (filled < sizeBytes) {
        const count = await file.read(bytes.subarray(filled), filled);
        if (count === 0) return null;
        filled += count;
      }
      const parsed = keptPaths.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
      return parsed.success ? parsed.data : null;
    } finally {
      file.close();
    }
  } catch (error) {
    if (error instanceof DiskError || error instanceof SyntaxError) return null;
    throw error;
  }
}

function keep({ platform, keptPath }: OnlyListInput, paths: readonly string[]): void {
  try {
    const file = platform.disk.create(keptPath);
    file.write(new TextEncoder().encode(JSON.stringify(paths)));
    file.finish();
  } catch (error) {
    // It only spares the next start a question.
    if (!(error instanceof DiskError)) throw error;
    platform.log("only_list_not_kept", { reason: error.message });
  }
}

async function fetchAll(input: OnlyListInput, signal: AbortSignal): Promise<string[]> {
  const paths: string[] = [];
  let after: number | null = -1;
  while (after !== null && paths.length < PATHS_MAX) {
    const page = await fetchPage(input, after, signal);
    paths.push(...page.paths);
    after = page.next;
  }
  return paths;
}

/** Tries until there is an answer that counts, or the run is over. */
async function fetchPage(input: OnlyListInput, after: number, signal: AbortSignal) {
  const { platform, config, jobId, epoch } = input;
  for (let tries = 0; ; tries++) {
    try {
      return await requestOnlyPaths(platform, config, { jobId, epoch, after }, signal);
    } catch (error) {
      if (!(error instanceof ApiRefusal) && !(error instanceof ApiUnreachable)) throw error;
      const { status, code } = error instanceof ApiRefusal ? error : { status: null, code: "UNREACHABLE" };
      platform.log("only_list_not_given", { jobId, epoch, status, code, tries });
      if (status === 404 || status === 409) input.onStale();
    }
    // A run that is put down ends this wait.
    await platform.clock.sleep(Math.max(250, backoffMs(tries, platform.random.next())), signal);
  }
}
