/**
 * Who takes part in a workload, and how: each candidate gets a container of its own, is run, and is believed only when the
 * target holds what it should.
 */
import { join } from "node:path";
import { measureCommand, type Measurement } from "./command.ts";
import type { NativeTools } from "./native-tools.ts";
import { findProgram } from "./native-tools.ts";
import type { JobOptions, Ours } from "./ours.ts";
import type { AzCopy, Rclone, Transfer } from "./peers.ts";
import type { Target } from "./sink.ts";
import { withCopy, type SourceFiles } from "./source-files.ts";
import type { Workload } from "./workloads.ts";

/** All that could be had for a workload; null is told once, when it is asked for. */
export interface Lab {
  readonly workload: Workload;
  readonly source: SourceFiles;
  readonly target: Target;
  readonly tools: NativeTools;
  readonly azCopy: AzCopy | null;
  readonly rclone: Rclone | null;
  readonly ours: Ours;
  readonly authorityFile: string | null;
}

export interface Candidate {
  readonly name: string;
  /** The candidate of ours it is to be compared with. */
  readonly against: string | null;
  /** Done once, before the first round and unmeasured. */
  prepare(signal: AbortSignal): Promise<void>;
  measure(signal: AbortSignal): Promise<Measurement>;
}

type Measure = (signal: AbortSignal) => Promise<Measurement>;

/** The name of ours in a table. */
const OURS = "ours";
const BY_TIME = "ours, size and time (verify off)";
const BY_HASH = "ours, hash (verify on)";
const SCAN_PHASE = "ours, phase scanning";
const SCAN_JOB = "ours, whole job that leaves all out";

export function listCandidates(lab: Lab): readonly Candidate[] {
  switch (lab.workload.act) {
    case "upload":
      return uploads(lab);
    case "again":
      return repeats(lab);
    case "scan":
      return scans(lab);
  }
}

/** Whom a workload does without, and why; the peers that could not be had have been told of already. */
export function listAbsent({ workload, target }: Lab): readonly string[] {
  const reasons: string[] = [];
  if (workload.act === "upload" && !isPlain(target))
    reasons.push("the native limit over TLS and to Azurite: it speaks plain HTTP and signs nothing");
  if (workload.act === "scan" && findProgram("find") === null)
    reasons.push('"find" in scan: it is not on the PATH (Debian: apt-get install findutils)');
  return reasons;
}

function isPlain({ kind }: Target): boolean {
  return kind === "sink" || kind === "sink-delayed";
}

function uploads(lab: Lab): readonly Candidate[] {
  const { azCopy, rclone, source } = lab;
  const candidates: Candidate[] = [];
  const add = (name: string, container: string, measure: Measure) => {
    const against = name === OURS ? null : OURS;
    const checked = async (signal: AbortSignal) => {
      await lab.target.empty(container);
      const measured = await measure(signal);
      await requireStored(lab, container, { files: source.files, bytes: source.bytes });
      // Or the sink would carry millions of names from round to round.
      await lab.target.empty(container);
      return measured;
    };
    candidates.push({ name, against, prepare: () => Promise.resolve(), measure: checked });
  };
  if (azCopy !== null) {
    add("AzCopy, MD5", "azcopy", async (signal) =>
      run(lab, azCopy.copy(await transferOf(lab, "azcopy")), signal),
    );
  }
  if (rclone !== null) {
    add("rclone, MD5", "rclone", async (signal) =>
      run(lab, rclone.copy(await transferOf(lab, "rclone")), signal),
    );
  }
  if (isPlain(lab.target))
    add("native limit (putblast, SHA-256)", "native", (signal) => run(lab, blast(lab, "native"), signal));
  const options = lab.workload.streams === null ? {} : { concurrency: lab.workload.streams };
  add(OURS, "ours", (signal) => lab.ours.measureJob(jobOf(lab, "ours", options), signal));
  return candidates;
}

function repeats(lab: Lab): readonly Candidate[] {
  const { azCopy, rclone, source } = lab;
  const candidates: Candidate[] = [];
  const add = (name: string, container: string, against: string | null, first: Measure, again: Measure) => {
    const filled = { files: source.files, bytes: source.bytes };
    const prepare = async (signal: AbortSignal) => {
      await lab.target.empty(container);
      await first(signal);
      await requireStored(lab, container, filled);
    };
    const measure = async (signal: AbortSignal) => {
      const before = await lab.target.bytesReceived();
      const measured = await again(signal);
      await requireStored(lab, container, filled);
      const more = Number(await lab.target.bytesReceived()) - Number(before);
      if (more > 0) throw new Error(`${more} bytes were sent again, although nothing had changed`);
      return measured;
    };
    candidates.push({ name, against, prepare, measure });
  };
  if (azCopy !== null) {
    const byTime = async (signal: AbortSignal) =>
      run(lab, azCopy.sync(await transferOf(lab, "azcopy-time"), "time"), signal);
    add("AzCopy sync", "azcopy-time", BY_TIME, byTime, byTime);
    // The sums it leaves in the files' attributes would spare it the reading from the second round on.
    const byHash = (signal: AbortSignal) =>
      withCopy(source, signal, async (folder) => {
        const transfer = { ...(await transferOf(lab, "azcopy-md5")), folder };
        return await run(lab, azCopy.sync(transfer, "md5"), signal);
      });
    add("AzCopy sync, MD5 compared", "azcopy-md5", BY_HASH, byHash, byHash);
  }
  if (rclone !== null) {
    const copy = async (signal: AbortSignal) =>
      run(lab, rclone.copy(await transferOf(lab, "rclone")), signal);
    add("rclone copy", "rclone", BY_TIME, copy, copy);
  }
  const job = (container: string, options: JobOptions) => (signal: AbortSignal) =>
    lab.ours.measureJob(jobOf(lab, container, options), signal);
  add(BY_HASH, "ours-hash", null, job("ours-hash", {}), job("ours-hash", {}));
  const byTime = { verify: false };
  add(BY_TIME, "ours-time", null, job("ours-time", byTime), job("ours-time", byTime));
  return candidates;
}

function scans(lab: Lab): readonly Candidate[] {
  const { azCopy, source } = lab;
  const candidates: Candidate[] = [];
  const add = (name: string, against: string | null, measure: Measure) =>
    candidates.push({ name, against, prepare: () => Promise.resolve(), measure });
  const find = findProgram("find");
  if (find !== null) {
    const words = [source.folder, "-type", "f", "-printf", "%s %T@ %P\\n"];
    add("find -printf", SCAN_JOB, (signal) =>
      run(lab, { command: find, arguments: words, output: "discard" }, signal),
    );
  }
  if (azCopy !== null) {
    add("AzCopy copy --dry-run", SCAN_JOB, async (signal) =>
      run(lab, azCopy.list(await transferOf(lab, "scan")), signal),
    );
  }
  const nothing = { filters: { include: ["*.not-there"] } };
  add(SCAN_JOB, null, async (signal) => {
    const measured = await lab.ours.measureJob(jobOf(lab, "scan-all", nothing), signal);
    await requireStored(lab, "scan-all", { files: 0, bytes: 0 });
    return measured;
  });
  add(SCAN_PHASE, null, async (signal) => {
    await lab.target.empty("scan-phase");
    return await lab.ours.measureScan(jobOf(lab, "scan-phase", {}), signal);
  });
  return candidates;
}

function run(
  lab: Lab,
  command: Parameters<typeof measureCommand>[2],
  signal: AbortSignal,
): Promise<Measurement> {
  return measureCommand("It", lab.tools, command, signal);
}

function blast(
  { tools, target, source, workload }: Lab,
  container: string,
): Parameters<typeof measureCommand>[2] {
  const what = source.files === 1 ? ["file", join(source.folder, "one.bin")] : ["tree", source.folder];
  const streams = ["--conns", String(workload.streams ?? 4)];
  const where = ["--addr", target.address, "--path", target.containerPath(container)];
  return { command: tools.putblast, arguments: [...what, "--sha", ...streams, ...where] };
}

async function transferOf(
  { source, target, authorityFile, workload }: Lab,
  container: string,
): Promise<Transfer> {
  const containerUrl = await target.containerUrl(container);
  return { folder: source.folder, container, containerUrl, authorityFile, streams: workload.streams };
}

function jobOf({ source, target }: Lab, container: string, options: JobOptions) {
  return { target, container, folder: source.folder, options };
}

async function requireStored(
  { target }: Lab,
  container: string,
  expected: { readonly files: number; readonly bytes: number },
): Promise<void> {
  const { files, bytes } = await target.stored(container);
  if (files === expected.files && bytes === expected.bytes) return;
  throw new Error(
    `${files} files of ${bytes} bytes arrived, where it should be ${expected.files} of ${expected.bytes}`,
  );
}
