/** What became of a job, held against what is known of its source: bytes at the destination and here, figures, lists. */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { QUARANTINE_FOLDER, README_FILE, UNDO_FILE } from "../../agent/connectors/local-quarantine.ts";
import type { Job } from "../../schema/api.ts";
import type { JobLogEntry } from "../../schema/job-log.ts";
import type { JobTotals } from "../../schema/job.ts";
import type { JobReportDocument, Usage } from "../../schema/reports.ts";
import { waitFor } from "../../tools/stack/children.ts";
import { digestFolder, type SourceTree } from "../e2e/source-tree.ts";
import type { World } from "../e2e/world.ts";
import type { Seen } from "./blob-server.ts";

/** `lost`: not at the destination. `hash`: other bytes there. `count`: told twice, not at all, or wrongly. */
export interface Finding {
  readonly kind: "lost" | "hash" | "count" | "sent_again" | "end";
  readonly text: string;
}

export interface MadeJob {
  readonly id: string;
  /** From 1. */
  readonly number: number;
  /** Where it writes, in its project's container. */
  readonly prefix: string;
  readonly tree: Pick<SourceTree, "root" | "expected" | "bytes">;
  /** Its source files go into the quarantine. */
  readonly removes: boolean;
}

/** Brought behind the job's end, by an agent that has met many refusals. */
const MANIFEST_LIMIT_MS = 180_000;

export async function judgeJob(world: World, container: string, made: MadeJob): Promise<Finding[]> {
  const job = await world.job(made.id);
  const findings = [
    ...judgeBytes(made, await world.downloadAll(container, `${made.prefix}/`)),
    ...judgeSource(made, job),
    ...judgeFigures(made, job),
    ...(await judgeManifest(world, made, job)),
    ...judgeLog(await world.api.list<JobLogEntry>(`/api/jobs/${made.id}/log`)),
  ];
  return findings.map(({ kind, text }) => ({ kind, text: `${made.prefix} (${made.id}): ${text}` }));
}

function judgeBytes({ prefix, tree }: MadeJob, arrived: ReadonlyMap<string, string>): Finding[] {
  const findings: Finding[] = [];
  for (const [path, sha256] of tree.expected) {
    const there = arrived.get(`${prefix}/${path}`);
    if (there === undefined) findings.push({ kind: "lost", text: `"${path}" is not at the destination` });
    else if (there !== sha256)
      findings.push({ kind: "hash", text: `"${path}" has other bytes at the destination` });
  }
  for (const name of arrived.keys())
    if (!tree.expected.has(name.slice(prefix.length + 1)))
      findings.push({ kind: "count", text: `"${name}" is at the destination and was never in the source` });
  return findings;
}

/**
 * Every content is at its place or in the quarantine, once; what was removed is what is reported. An agent's own files there
 * are no content.
 */
function judgeSource({ tree, removes }: MadeJob, job: Job): Finding[] {
  const findings: Finding[] = [];
  const left = new Map<string, number>();
  for (const sha256 of tree.expected.values()) left.set(sha256, (left.get(sha256) ?? 0) + 1);
  let quarantined = 0;
  for (const [path, sha256] of digestFolder(tree.root)) {
    const isAside = path.startsWith(`${QUARANTINE_FOLDER}/`);
    if (isAside && (path.endsWith(`/${UNDO_FILE}`) || path.endsWith(`/${README_FILE}`))) continue;
    if (isAside) quarantined++;
    else if (tree.expected.get(path) !== sha256)
      findings.push({ kind: "lost", text: `"${path}" of the source has other bytes than before` });
    const times = left.get(sha256) ?? 0;
    if (times === 0) findings.push({ kind: "count", text: `"${path}" is there once more than it was` });
    left.set(sha256, times - 1);
  }
  for (const [path, sha256] of tree.expected) {
    const times = left.get(sha256) ?? 0;
    if (times <= 0) continue;
    findings.push({ kind: "lost", text: `"${path}" is neither in the source nor in its quarantine` });
    left.set(sha256, times - 1);
  }
  const removal = job.report?.removal ?? null;
  const stays = Object.values(removal?.stays ?? {}).reduce((sum, count) => sum + count, 0);
  if (job.totals.filesDeleted !== quarantined || (removal?.files ?? 0) !== quarantined)
    findings.push({
      kind: "count",
      text: `${quarantined} files are in the quarantine; the job says ${job.totals.filesDeleted}, its report ${removal?.files}`,
    });
  if (removes && quarantined + stays !== tree.expected.size)
    findings.push({
      kind: "count",
      text: `of ${tree.expected.size} files ${quarantined} were removed and ${JSON.stringify(removal?.stays)} stay`,
    });
  return findings;
}

function judgeFigures({ tree }: MadeJob, job: Job): Finding[] {
  const findings: Finding[] = [];
  if (job.status !== "completed" || job.report?.outcome !== "completed" || job.epoch !== 1)
    findings.push({
      kind: "end",
      text: `${job.status} in epoch ${job.epoch}: ${JSON.stringify(job.error)}`,
    });
  const files = tree.expected.size;
  const wanted: Partial<JobTotals> = {
    filesTotal: files,
    filesCompleted: files,
    filesVerified: files,
    filesFailed: 0,
    filesSkipped: 0,
    bytesTotal: tree.bytes,
    bytesCompleted: tree.bytes,
    bytesFailed: 0,
    bytesSkipped: 0,
  };
  for (const [what, totals] of [
    ["the report", job.report?.totals],
    ["the job", job.totals],
  ] as const)
    for (const [field, value] of Object.entries(wanted)) {
      const told = totals?.[field as keyof JobTotals];
      if (told !== value)
        findings.push({ kind: "count", text: `${what} says ${field} = ${told}, and it is ${value}` });
    }
  return findings;
}

async function judgeManifest(world: World, { id, tree }: MadeJob, job: Job): Promise<Finding[]> {
  const sha256 = await waitFor(
    `The list of files of ${id}`,
    async () => {
      const document = await world.api.get<JobReportDocument>(`/api/jobs/${id}/report.json`);
      return document.manifest?.stored ? document.manifest.sha256 : undefined;
    },
    { limitMs: MANIFEST_LIMIT_MS, stepMs: 1_000 },
  ).catch((error: unknown) => String(error));
  if (sha256 !== job.report?.manifest?.sha256) return [{ kind: "end", text: sha256 }];
  const bytes = gunzipSync(await world.api.download(`/api/jobs/${id}/manifest`));
  const findings: Finding[] = [];
  if (createHash("sha256").update(bytes).digest("hex") !== sha256)
    findings.push({ kind: "count", text: "the stored list of files is not the one that was reported" });
  const left = new Map(tree.expected);
  for (const line of bytes.toString().trimEnd().split("\n")) {
    const row = JSON.parse(line) as { path: string; sha256: string; outcome: string };
    const wanted = left.get(row.path);
    if (!left.delete(row.path))
      findings.push({ kind: "count", text: `the list has "${row.path}" twice, or invented it` });
    else if (row.sha256 !== wanted)
      findings.push({ kind: "hash", text: `the list gives "${row.path}" other bytes` });
    else if (row.outcome !== "completed")
      findings.push({ kind: "count", text: `the list says "${row.path}" is ${row.outcome}` });
  }
  for (const path of left.keys()) findings.push({ kind: "count", text: `the list does not have "${path}"` });
  return findings;
}

/** People are told each of these once, whatever was said twice behind the scenes. */
function judgeLog(entries: readonly JobLogEntry[]): Finding[] {
  return ["job.created", "job.started", "job.completed", "manifest.stored"].flatMap((event) => {
    const times = entries.filter((entry) => entry.event === event).length;
    return times === 1 ? [] : [{ kind: "count" as const, text: `its log tells ${times} times of ${event}` }];
  });
}

/** That there are the jobs that were made and no others, and that the bill counts each once. */
export async function judgeProject(
  world: World,
  projectId: string,
  made: readonly MadeJob[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const listed = await world.api.list<Job>(`/api/jobs?projectId=${projectId}`);
  const ids = new Set(made.map(({ id }) => id));
  if (listed.length !== ids.size || listed.some(({ id }) => !ids.has(id)))
    findings.push({ kind: "count", text: `${ids.size} jobs were made, and ${listed.length} are listed` });
  const usage = await world.api.get<Usage>(`/api/projects/${projectId}/usage`);
  const files = made.reduce((sum, { tree }) => sum + tree.expected.size, 0);
  if (usage.filesTransferred !== files || usage.jobs.completed !== made.length)
    findings.push({
      kind: "count",
      text: `the usage has ${usage.filesTransferred} files of ${usage.jobs.completed} jobs, and it is ${files} of ${made.length}`,
    });
  return findings;
}

export interface SentBytes {
  /** Of bodies that the storage accepted. */
  readonly accepted: number;
  /** Of these, sent although an earlier acceptance had been answered, whole, on a connection that stood. */
  readonly againAcknowledged: number;
  /** Of these, sent again because no answer to the earlier ones had come. */
  readonly againUnanswered: number;
}

/** What went over the wire into files, by what the fault server saw. */
export function countSent(seen: readonly Seen[]): SentBytes {
  const earlier = new Map<string, { acknowledged: boolean }>();
  const sent = { accepted: 0, againAcknowledged: 0, againUnanswered: 0 };
  for (const one of seen) {
    const isBody = one.operation === "put_blob" || one.operation === "put_block";
    if (!isBody) continue;
    // A block's id is made of its place and its content.
    const key = `${one.path}\n${one.blockId}`;
    const before = earlier.get(key);
    if (before?.acknowledged) sent.againAcknowledged += one.bodyBytes;
    else if (before !== undefined) sent.againUnanswered += one.bodyBytes;
    if (one.emulatorStatus !== 201) continue;
    sent.accepted += one.bodyBytes;
    earlier.set(key, { acknowledged: (before?.acknowledged ?? false) || one.status === 201 });
  }
  return sent;
}
