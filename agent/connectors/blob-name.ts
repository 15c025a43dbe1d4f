/**
 * What a blob is called whose path the service cannot hold. No two paths have one name, a path has the same name for good,
 * and the name, or at worst the blob's metadata, gives the path back. Nearly all names stay exactly as they are.
 *
 * What is changed, by
 * https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata:
 *
 * - A backslash: the service takes it for a slash (github.com/versity/versitygw/issues/845).
 * - A dot at the end of a segment, so also the segments `.` and `..`, which any layer may resolve. A space there stays: nothing
 *   forbids it, and rclone, which has tried the service for years, encodes the dot and not the space.
 * - What is not in `ucschar` of RFC 3987 §2.2, to which that page refers: controls, the private use areas (that page names
 *   U+E000; U+F003 was refused, github.com/Azure/azure-storage-node/issues/385; U+007F, U+0081 and their like,
 *   github.com/Azure/azure-storage-azcopy/issues/2421), U+FFF0–FFFF (U+FFFD, github.com/Azure/azure-cli/issues/24623),
 *   noncharacters, lone surrogates. The service is said to take some of these; an escape costs less than a refused file.
 *
 * Each UTF-16 unit of it becomes `~u` and four upper-case hexadecimal digits: `a\b` is `a~u005Cb`. All of that is unreserved
 * in addresses and plain in XML. `%5C` was dropped: tools between people and containers decode it once too often. A tilde that
 * would read as the beginning of an escape is escaped too, and no other.
 *
 * What is then too long, or too deep, is cut, and ends in `~h`, half of the SHA-256 of its path, and its ending. Its path is in
 * its metadata only. The page counts characters and does not say which; UTF-16 units are never fewer than the others.
 */
import { createHash } from "node:crypto";
import type { Named } from "./connector.ts";

export const NAME_LENGTH_MAX = 1_024;
export const SEGMENTS_MAX = 254;
/** Of 8 KiB for all metadata. Four thousand bytes of path fit: as many as Linux takes at once. */
export const SOURCE_TAG_LENGTH_MAX = 6_144;

const HASH_LENGTH = 32;
const ESCAPE = /~u([0-9A-F]{4})/g;
const SHORTENED = /~h[0-9A-F]{32}(?:\.[0-9A-Za-z]{1,16})?$/;
const ENDING = /\.[0-9A-Za-z]{1,16}$/;
/** A cut must leave neither half a character nor half an escape. */
const CUT_THROUGH = /(?:[\uD800-\uDBFF]|~(?:u[0-9A-F]{0,3})?)$/;

const PLAIN =
  "\\u{20}-\\u{5B}\\u{5D}-\\u{7E}\\u{A0}-\\u{D7FF}\\u{F900}-\\u{FDCF}\\u{FDF0}-\\u{FFEF}" +
  // The planes of ucschar. Each ends with two noncharacters; the fifteenth begins with tags.
  Array.from({ length: 13 }, (_, index) => (index + 1).toString(16))
    .map((plane) => `\\u{${plane}0000}-\\u{${plane}FFFD}`)
    .join("") +
  "\\u{E1000}-\\u{EFFFD}";
const ENDING_DOT = "\\.(?=/|$)";
const SEEMING_ESCAPE = `~(?=u[0-9A-F]{4}|${SHORTENED.source.slice(1)})`;
const UNHOLDABLE = new RegExp(`[^${PLAIN}]|${ENDING_DOT}`, "u");
const CHANGED = new RegExp(`${UNHOLDABLE.source}|${SEEMING_ESCAPE}`, "u");
const EACH_CHANGED = new RegExp(CHANGED.source, "gu");
const EACH_LONE_SURROGATE = /\p{Surrogate}|~(?=u[0-9A-F]{4})/gu;

/** `prefix` is empty or ends in a slash; `path` is segments joined by slashes. */
export function blobName(prefix: string, path: string): Named {
  const name = prefix + path;
  if (!isOutOfBounds(name) && !CHANGED.test(name) && !hasEmptySegment(path))
    return { kind: "named", name, mapped: false };
  const why = whyRefused(prefix, path);
  if (why !== null) return { kind: "refused", reason: `Cannot store "${path.toWellFormed()}": ${why}` };
  const escaped = path.replace(EACH_CHANGED, escape);
  const mapped = isOutOfBounds(prefix + escaped) ? shorten(prefix, path, escaped) : prefix + escaped;
  return { kind: "named", name: mapped, mapped: mapped !== name };
}

/**
 * The path whose blob is named so. Null when no path is: somebody else named this blob. `tag` is what its metadata says, see
 * {@link sourceTag}; only of a name that was cut it is needed.
 */
export function sourcePath(prefix: string, name: string, tag: string | null = null): string | null {
  if (!name.startsWith(prefix)) return null;
  const path = SHORTENED.test(name) ? readSourceTag(tag ?? "") : unescape(name.slice(prefix.length));
  if (path === null) return null;
  const named = blobName(prefix, path);
  return named.kind === "named" && named.name === name ? path : null;
}

/** The path for the metadata of a blob of another name: base64url of its UTF-8, lone surrogates escaped as in a name. */
export function sourceTag(path: string): string {
  const text = path.replace(EACH_LONE_SURROGATE, escape);
  return new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Null when it is not one. */
export function readSourceTag(tag: string): string | null {
  try {
    const path = unescape(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(fromBase64Url(tag)),
    );
    return sourceTag(path) === tag && path !== "" ? path : null;
  } catch (error) {
    // Metadata is anybody's to write.
    if (error instanceof TypeError || error instanceof SyntaxError) return null;
    throw error;
  }
}

function whyRefused(prefix: string, path: string): string | null {
  if (hasEmptySegment(path)) return "a folder or file in it has no name";
  if (UNHOLDABLE.test(prefix.slice(0, -1))) return "the service cannot hold the folder it would go into";
  const room = NAME_LENGTH_MAX - prefix.length - HASH_LENGTH - "~h".length;
  if (room < 0 || countSlashes(prefix) >= SEGMENTS_MAX)
    return "the folder it would go into leaves no room for a name";
  if (isOutOfBounds(prefix + path) && sourceTag(path).length > SOURCE_TAG_LENGTH_MAX)
    return "with its folders its name is too long even to be kept beside it";
  return null;
}

function shorten(prefix: string, path: string, escaped: string): string {
  const ending = ENDING.exec(path)?.[0] ?? "";
  // Of UTF-16, in which no two paths are the same: in UTF-8 all lone surrogates are.
  const hash = createHash("sha256").update(path, "utf16le").digest("hex").slice(0, HASH_LENGTH).toUpperCase();
  const room = NAME_LENGTH_MAX - prefix.length - "~h".length - HASH_LENGTH;
  const tail = `~h${hash}${ending.length <= room ? ending : ""}`;
  const segments = escaped.split("/", SEGMENTS_MAX - countSlashes(prefix)).join("/");
  const head = segments.slice(0, NAME_LENGTH_MAX - prefix.length - tail.length).replace(CUT_THROUGH, "");
  return prefix + head + tail;
}

function isOutOfBounds(name: string): boolean {
  // A name with too many segments is at least that long; most are shorter.
  return name.length >= SEGMENTS_MAX && (name.length > NAME_LENGTH_MAX || countSlashes(name) >= SEGMENTS_MAX);
}

function hasEmptySegment(path: string): boolean {
  return path === "" || path.startsWith("/") || path.endsWith("/") || path.includes("//");
}

function countSlashes(text: string): number {
  let count = 0;
  for (let at = text.indexOf("/"); at !== -1; at = text.indexOf("/", at + 1)) count++;
  return count;
}

function escape(text: string): string {
  let escaped = "";
  for (let at = 0; at < text.length; at++)
    escaped += `~u${text.charCodeAt(at).toString(16).toUpperCase().padStart(4, "0")}`;
  return escaped;
}

function unescape(text: string): string {
  return text.replace(ESCAPE, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(text, { alphabet: "base64url" });
}
