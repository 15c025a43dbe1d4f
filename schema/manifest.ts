/**
 * How an epoch's manifest gets from the agent into object storage, and what stands in it.
 *
 * The agent packs the file with gzip and cuts the result into parts. A part is known by its own SHA-256, so it may be sent
 * as often as one likes, in any order, before and after a crash of either side:
 *
 * 1. `GET  /api/agent/jobs/:id/manifest?epoch=3` says whether the manifest is stored, and which parts are there.
 * 2. `PUT  /api/agent/jobs/:id/manifest?epoch=3&part=<SHA-256>` stores one part, if that is its digest.
 * 3. `POST /api/agent/jobs/:id/manifest` with a {@link ManifestCompletion} names the parts in their order. They are joined,
 *    unpacked and hashed in one pass, and only if digest and lines are those of the run's report is there an object.
 *
 * A request body may have 100 MB on Cloudflare's common plans (developers.cloudflare.com/workers/platform/limits).
 */
import * as z from "zod";
import { jobId } from "./ids.ts";

/** What the agent cuts; a slow line gets through one within minutes. */
export const MANIFEST_PART_BYTES = 8 * 1024 * 1024;
/** What is taken. */
export const MANIFEST_PART_BYTES_MAX = 32 * 1024 * 1024;
/** So that the whole fits into one object (5 GiB); two million files are about 25 parts. */
export const MANIFEST_PARTS_MAX = 600;
/** A line has two paths in it, each letter of which may be written as six. */
export const MANIFEST_LINE_BYTES_MAX = 1024 * 1024;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "A SHA-256 in lower-case hexadecimal");
const epoch = z.coerce.number().int().min(1).max(1_000_000_000);

export const manifestQuery = z.strictObject({ epoch });
export const manifestPartQuery = z.strictObject({ epoch, part: sha256 });

export const manifestCompletion = z.strictObject({
  epoch: z.int().min(1).max(1_000_000_000),
  /** Of the manifest as it was before it was packed, as the report has it. */
  sha256,
  rows: z.int().min(0),
  parts: z.array(sha256).min(1).max(MANIFEST_PARTS_MAX),
});
export type ManifestCompletion = z.infer<typeof manifestCompletion>;

export const manifestState = z.object({
  jobId,
  epoch: z.int(),
  stored: z.boolean(),
  /** Parts that wait for the others; none any more when it is stored. */
  parts: z.array(sha256),
});
export type ManifestState = z.infer<typeof manifestState>;

/** The fields of a line, in the order of the table that is made of them. */
export const MANIFEST_FIELDS = [
  "path",
  "sizeBytes",
  "modified",
  "sha256",
  "blob",
  "etag",
  "outcome",
  "reason",
  "proof",
] as const;

/**
 * A line. `not_reached` is an entry that a cancelled or failed run left undone, `unproved` one it could not ask about.
 * `removed` is a blob that a sync has removed because the source had it no more, as it was: whatever an earlier line says of
 * the path, it is not there since. Its reason is `source_vanished`, or `removal_unconfirmed` where the run ended before
 * it could ask again.
 * Whoever reads one may have it from a stranger: nothing may be missing, and nothing may be there besides.
 */
export const manifestRow = z.strictObject({
  path: z.string().min(1),
  sizeBytes: z.int().min(0),
  modified: z.string().nullable(),
  sha256: sha256.nullable(),
  /** Null when the destination can hold it under no name. */
  blob: z.string().nullable(),
  etag: z.string().nullable(),
  outcome: z.enum(["completed", "failed", "skipped", "unproved", "not_reached", "removed"]),
  /** The code of a failure or of a skip. */
  reason: z.string().nullable(),
  /** How a completed entry was proved. */
  proof: z.string().nullable(),
});
export type ManifestRow = z.infer<typeof manifestRow>;
