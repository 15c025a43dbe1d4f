/**
 * The audit log as it leaves the control plane: entries, how they are chained, and the file an export is.
 *
 * An entry's hash is SHA-256 over the hash before it and the entry written in one fixed way, so whoever holds a hash can
 * tell whether anything up to it was changed, left out, doubled or moved. An export is lines of JSON: a head that names
 * the newest number and hash, then every entry from 1. Each line has exactly one right form, so that a changed byte is
 * found even where it would mean the same.
 */
import * as z from "zod";
import { LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, pageOf } from "./api.ts";

export const ACTOR_KINDS = ["user", "agent", "api_key", "system"] as const;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

export const auditEntry = z.strictObject({
  /** Its place in the organization's chain, from 1. */
  number: z.int().min(1),
  id: z.string(),
  at: z.iso.datetime(),
  actorKind: z.enum(ACTOR_KINDS),
  actorId: z.string().nullable(),
  address: z.string().nullable(),
  action: z.string(),
  objectId: z.string().nullable(),
  details: z.record(z.string(), z.unknown()).nullable(),
  hash: sha256,
});
export type AuditEntry = z.infer<typeof auditEntry>;

/** The newest of the chain; number 0 and the first hash where there is no entry yet. */
export const auditHead = z.strictObject({ number: z.int().min(0), hash: sha256 });
export type AuditHead = z.infer<typeof auditHead>;

export const auditPage = pageOf(auditEntry).extend({ head: auditHead });
export type AuditPage = z.infer<typeof auditPage>;

/** `cursor` is a number of the chain; entries before it follow. */
export const auditQuery = z.strictObject({
  cursor: z.coerce.number().int().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(LIST_LIMIT_MAX).default(LIST_LIMIT_DEFAULT),
  action: z
    .string()
    .regex(/^[a-z_]{1,40}\.[a-z_]{1,40}$/, "An action reads as job.created")
    .optional(),
  actor: z
    .string()
    .regex(/^[a-z]{3}_[0-9a-z]{26}$/, "Not an id")
    .optional(),
  from: z.iso.datetime("Not a time").optional(),
  to: z.iso.datetime("Not a time").optional(),
});
export type AuditQuery = z.output<typeof auditQuery>;

export const EXPORT_VERSION = 1;
export const exportHead = z.strictObject({
  kind: z.literal("audit_export"),
  version: z.literal(EXPORT_VERSION),
  organizationId: z.string(),
  exportedAt: z.iso.datetime(),
  head: auditHead,
  /** SHA-256 over this line without it. */
  digest: sha256,
});
export type ExportHead = z.infer<typeof exportHead>;

/** Resolves with the SHA-256 of a text in UTF-8, as lower-case hexadecimal. */
export type Digest = (text: string) => Promise<string>;

/** What the first entry of an organization follows: no two organizations' chains can be exchanged for each other. */
export async function firstHash(organizationId: string, digest: Digest): Promise<string> {
  return await digest(`audit/${EXPORT_VERSION}/${organizationId}`);
}

export async function entryHash(
  previousHash: string,
  entry: Omit<AuditEntry, "hash">,
  digest: Digest,
): Promise<string> {
  const { number, id, at, actorKind, actorId, address, action, objectId, details } = entry;
  return await digest(
    canonicalJson([previousHash, number, id, at, actorKind, actorId, address, action, objectId, details]),
  );
}

export function entryLine(entry: AuditEntry): string {
  const { number, id, at, actorKind, actorId, address, action, objectId, details, hash } = entry;
  return canonicalJson({ number, id, at, actorKind, actorId, address, action, objectId, details, hash });
}

export async function headLine(head: Omit<ExportHead, "digest">, digest: Digest): Promise<string> {
  return canonicalJson({ ...head, digest: await digest(canonicalJson(head)) });
}

/**
 * JSON with sorted keys, without spaces, in ASCII: one text for one value. What a terminal or an editor would act on, line
 * ends of all kinds and changes of direction among it, stands escaped.
 */
export function canonicalJson(value: unknown): string {
  const sorted = JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(
          Object.entries(inner).sort(([left], [right]) => (left < right ? -1 : Number(left > right))),
        )
      : inner,
  );
  return sorted.replaceAll(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

export type ChainFault =
  | "not an export"
  | "unreadable"
  | "changed"
  | "missing"
  | "doubled"
  | "moved"
  | "not of this head";

export type ChainVerdict =
  | { readonly kind: "whole"; readonly organizationId: string; readonly head: AuditHead }
  | {
      readonly kind: "broken";
      readonly fault: ChainFault;
      /** The line of the file, from 1; null when something is missing at its end. */
      readonly line: number | null;
      /** The entry's number in the chain, as far as it can be told. */
      readonly number: number | null;
      readonly message: string;
    };

/**
 * Reads an export line by line and says whether it is whole, or where it first is not. `expectedHash` is a head that was
 * kept elsewhere: without it a file that was written anew from its first line to its last cannot be told from a true one.
 */
export async function verifyExport(
  lines: AsyncIterable<string> | Iterable<string>,
  digest: Digest,
  expectedHash: string | null = null,
): Promise<ChainVerdict> {
  let line = 0;
  let head: ExportHead | null = null;
  let previous: AuditHead = { number: 0, hash: "" };
  let isExpectedSeen = expectedHash === null;
  for await (const text of lines) {
    line++;
    if (head === null) {
      head = await readHead(text, digest);
      if (head === null)
        return broken("not an export", 1, null, "Line 1 is not the head of an audit export, or was changed");
      previous = { number: 0, hash: await firstHash(head.organizationId, digest) };
      continue;
    }
    const found = await judgeLine(text, previous, digest);
    if ("fault" in found) return broken(found.fault, line, found.number, `Line ${line}: ${found.message}`);
    previous = found;
    if (found.hash === expectedHash) isExpectedSeen = true;
  }
  if (head === null) return broken("not an export", null, null, "The file is empty");
  if (previous.number !== head.head.number) {
    const next = previous.number + 1;
    return broken("missing", null, next, `The file ends before entry ${next} of ${head.head.number}`);
  }
  if (previous.hash !== head.head.hash)
    return broken(
      "not of this head",
      1,
      previous.number,
      "The head names another hash than the last entry has",
    );
  if (!isExpectedSeen)
    return broken(
      "not of this head",
      null,
      null,
      "No entry has the hash that was kept: the chain was written anew",
    );
  return { kind: "whole", organizationId: head.organizationId, head: head.head };
}

function broken(
  fault: ChainFault,
  line: number | null,
  number: number | null,
  message: string,
): ChainVerdict {
  return { kind: "broken", fault, line, number, message };
}

async function readHead(text: string, digest: Digest): Promise<ExportHead | null> {
  const parsed = exportHead.safeParse(parseJson(text));
  if (!parsed.success) return null;
  const { digest: _digest, ...rest } = parsed.data;
  return (await headLine(rest, digest)) === text ? parsed.data : null;
}

type LineFault = { readonly fault: ChainFault; readonly number: number; readonly message: string };

async function judgeLine(text: string, previous: AuditHead, digest: Digest): Promise<AuditHead | LineFault> {
  const expected = previous.number + 1;
  const parsed = auditEntry.safeParse(parseJson(text));
  if (!parsed.success)
    return {
      fault: "unreadable",
      number: expected,
      message: `where entry ${expected} should be stands none`,
    };
  const entry = parsed.data;
  const { number } = entry;
  const isSelf = (await entryHash(previous.hash, entry, digest)) === entry.hash && entryLine(entry) === text;
  if (number === expected) {
    if (isSelf) return { number, hash: entry.hash };
    return {
      fault: "changed",
      number,
      message: `entry ${number} was changed, or the one before it exchanged`,
    };
  }
  if (number === previous.number)
    return { fault: "doubled", number, message: `entry ${number} stands twice` };
  if (number < expected)
    return { fault: "moved", number, message: `entry ${number} stands behind entry ${previous.number}` };
  return {
    fault: "missing",
    number: expected,
    message: `entry ${number} follows entry ${previous.number}; entry ${expected} is missing or stands elsewhere`,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
