/**
 * Manifests in object storage. `staged/…` holds parts that wait for the others, each by its own SHA-256; `manifests/…` holds
 * what was found to be the manifest of a report, and nothing else: an object there appears only when its last byte is
 * written, and that is kept back until digest and lines are known to be right.
 *
 * Parts of an upload that was never finished are left to a lifecycle rule of the bucket (`docs/decisions/0012-manifests.md`).
 */
import {
  MANIFEST_LINE_BYTES_MAX,
  MANIFEST_PARTS_MAX,
  type ManifestCompletion,
} from "../../schema/manifest.ts";
import { invalid, Problem } from "../problems.ts";
import { unpack } from "./stream.ts";

/** A run of a job. */
export interface ManifestOf {
  readonly orgId: string;
  readonly jobId: string;
  readonly epoch: number;
}

const LINE_END = 10;

/** The parts there are, with their sizes in bytes. */
export async function stagedParts(bucket: R2Bucket, of: ManifestOf): Promise<Map<string, number>> {
  const prefix = stagedPrefix(of);
  const sizes = new Map<string, number>();
  let cursor: string | undefined;
  do {
    const page: R2Objects = await bucket.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
    for (const { key, size } of page.objects) sizes.set(key.slice(prefix.length), size);
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return sizes;
}

/** Stores a part if its digest is the one it is sent under. `body` has a known length. */
export async function stagePart(
  bucket: R2Bucket,
  of: ManifestOf,
  { part, body }: { part: string; body: ReadableStream },
): Promise<void> {
  const staged = await stagedParts(bucket, of);
  if (staged.has(part)) return await body.cancel();
  if (staged.size >= MANIFEST_PARTS_MAX) {
    throw new Problem(
      "CONFLICT",
      "There are too many parts of this manifest; complete it with those there are",
    );
  }
  try {
    await bucket.put(stagedPrefix(of) + part, body, { sha256: part });
  } catch (error) {
    // The store compares the digest itself and says so in words (developers.cloudflare.com/r2, error 10037).
    if (/10037|checksum|sha-?256/i.test(String(error))) {
      throw invalid({ part: "Not the SHA-256 of what was sent" });
    }
    throw error;
  }
}

/** Joins the parts into the one object, or refuses. Done twice at the same time, the same object comes of it. */
export async function joinParts(
  bucket: R2Bucket,
  of: ManifestOf,
  completion: Pick<ManifestCompletion, "sha256" | "rows" | "parts">,
): Promise<{ objectKey: string; sizeBytes: number }> {
  const staged = await stagedParts(bucket, of);
  const sizes = completion.parts.map((part) => staged.get(part));
  if (sizes.includes(undefined)) {
    throw new Problem("CONFLICT", "Parts of the manifest are missing; send them again", {
      missing: completion.parts.filter((part) => !staged.has(part)),
    });
  }
  const sizeBytes = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  const objectKey = keyOf(of);
  const { readable, writable } = new FixedLengthStream(sizeBytes);
  const written = bucket.put(objectKey, readable, { httpMetadata: { contentType: "application/gzip" } });
  // Looked at below; a refusal comes first.
  written.catch(() => undefined);
  const output = writable.getWriter();
  try {
    const last = await copyAllButLast(bucket, of, completion, output);
    await output.write(last);
    await output.close();
  } catch (error) {
    await output.abort(error).catch(() => undefined);
    await written.catch(() => undefined);
    throw error;
  }
  await written;
  return { objectKey, sizeBytes };
}

/** Resolves with the last piece, once everything is known to be right. */
async function copyAllButLast(
  bucket: R2Bucket,
  of: ManifestOf,
  { parts, sha256, rows }: Pick<ManifestCompletion, "sha256" | "rows" | "parts">,
  output: WritableStreamDefaultWriter<Uint8Array>,
): Promise<Uint8Array> {
  let last = new Uint8Array(0);
  async function* pieces(): AsyncGenerator<Uint8Array, void> {
    for (const part of parts) {
      const object = await bucket.get(stagedPrefix(of) + part);
      if (object === null) throw new Problem("CONFLICT", "A part of the manifest vanished; send it again");
      for await (const piece of object.body as ReadableStream<Uint8Array<ArrayBuffer>>) {
        if (last.length > 0) await output.write(last);
        last = piece;
        yield piece;
      }
    }
  }
  try {
    const { digest, lines } = await digestOf(unpack(pieces()));
    if (digest === sha256 && lines === rows) return last;
  } catch (error) {
    if (!isUnpackingError(error)) throw error;
  }
  // Kept, they would be named again.
  await dropParts(bucket, of);
  throw new Problem(
    "CONFLICT",
    "What was sent is not the manifest of the report; pack it anew and send it again",
    {
      discarded: true,
    },
  );
}

/** `DecompressionStream` says that its input is no gzip, or not all of it, with a TypeError. */
function isUnpackingError(error: unknown): boolean {
  return error instanceof TypeError;
}

async function digestOf(bytes: AsyncIterable<Uint8Array>): Promise<{ digest: string; lines: number }> {
  const hash = new crypto.DigestStream("SHA-256");
  const writer = hash.getWriter();
  let lines = 0;
  let lineBytes = 0;
  for await (const piece of bytes) {
    for (let from = 0; from < piece.length;) {
      const end = piece.indexOf(LINE_END, from);
      lineBytes += (end === -1 ? piece.length : end) - from;
      if (lineBytes > MANIFEST_LINE_BYTES_MAX) throw new TypeError("A line is too long");
      if (end === -1) break;
      lines++;
      lineBytes = 0;
      from = end + 1;
    }
    await writer.write(piece);
  }
  await writer.close();
  const digest = [...new Uint8Array(await hash.digest)].map((byte) => byte.toString(16).padStart(2, "0"));
  return { digest: digest.join(""), lines: lineBytes === 0 ? lines : Number.NaN };
}

export async function dropParts(bucket: R2Bucket, of: ManifestOf): Promise<void> {
  const keys = [...(await stagedParts(bucket, of)).keys()].map((part) => stagedPrefix(of) + part);
  // A call takes a thousand keys.
  for (let from = 0; from < keys.length; from += 1_000) await bucket.delete(keys.slice(from, from + 1_000));
}

/** The object as it lies there, packed; null when it is gone. */
export async function openManifest(bucket: R2Bucket, objectKey: string): Promise<R2ObjectBody | null> {
  return await bucket.get(objectKey);
}

function keyOf({ orgId, jobId, epoch }: ManifestOf): string {
  return `manifests/${orgId}/${jobId}/${epoch}.jsonl.gz`;
}

function stagedPrefix({ orgId, jobId, epoch }: ManifestOf): string {
  return `staged/${orgId}/${jobId}/${epoch}/`;
}
