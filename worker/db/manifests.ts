/** Which runs have their manifest in object storage, and which may still bring it. */
import { and, desc, eq } from "drizzle-orm";
import type { ManifestCompletion } from "../../schema/manifest.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { jobs, manifests } from "../../schema/tables.ts";
import { invalid, notFound, Problem } from "../problems.ts";
import { auditIfChanged, type Actor } from "./audit.ts";

export interface StoredManifest {
  readonly epoch: number;
  readonly objectKey: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly rows: number;
  readonly storedAt: number;
}

const FIELDS = {
  epoch: manifests.epoch,
  objectKey: manifests.objectKey,
  sha256: manifests.sha256,
  sizeBytes: manifests.sizeBytes,
  rows: manifests.rows,
  storedAt: manifests.storedAt,
};

/** The manifest of a run; of the newest that has one where no run is named. */
export async function findManifest(
  db: ScopedDb,
  jobId: string,
  epoch: number | undefined,
): Promise<StoredManifest | null> {
  const where = and(eq(manifests.jobId, jobId), epoch === undefined ? undefined : eq(manifests.epoch, epoch));
  return await db.first(FIELDS, manifests, { where, orderBy: desc(manifests.epoch) });
}

/** Only the agent the job is assigned to brings manifests of it, of the present run or an earlier one. */
export async function assertUploadable(
  db: ScopedDb,
  agentId: string,
  { jobId, epoch }: { jobId: string; epoch: number },
): Promise<void> {
  const where = and(eq(jobs.id, jobId), eq(jobs.agentId, agentId));
  const job = await db.first({ epoch: jobs.epoch }, jobs, { where });
  if (job === null || epoch > job.epoch) throw notFound();
}

/** Of an earlier run the report is gone, and what the agent says of its own list stands. */
export async function assertReported(
  db: ScopedDb,
  jobId: string,
  { epoch, sha256, rows }: ManifestCompletion,
): Promise<void> {
  const job = await db.first({ epoch: jobs.epoch, report: jobs.report }, jobs, { where: eq(jobs.id, jobId) });
  if (job === null || epoch > job.epoch) throw notFound();
  if (epoch < job.epoch) return;
  if (job.report === null) {
    throw new Problem("CONFLICT", "The report of this run is not here yet; bring it first");
  }
  const { manifest } = job.report;
  if (manifest?.sha256 !== sha256 || manifest.rows !== rows) {
    throw invalid({ sha256: "The report of this run tells of another manifest, or of none" });
  }
}

export async function recordManifest(
  db: ScopedDb,
  actor: Actor,
  jobId: string,
  stored: Omit<StoredManifest, "storedAt">,
): Promise<void> {
  const { epoch, sha256, rows, sizeBytes } = stored;
  await db.batch([
    db.insert(manifests, { jobId, ...stored, storedAt: Date.now() }, { ignoreConflict: true }),
    auditIfChanged(db, actor, "manifest.stored", jobId, { epoch, sha256, rows, sizeBytes }),
  ]);
}
