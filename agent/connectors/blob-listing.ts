/**
 * Reads a page of List Blobs (https://learn.microsoft.com/rest/api/storageservices/list-blobs).
 *
 * A page holds 5,000 blobs in some megabytes of XML, and a job reads two of them for every 5,000 files, so what is known of
 * its shape is used: elements are looked for, not parsed. Text cannot hold a `<`, so nothing that is found can be inside of a
 * name. Whatever does not have that shape goes through the parser.
 */
import { decodeEntities, parseXml, XmlError, type XmlElement } from "./xml.ts";

export interface ListedBlob {
  readonly name: string;
  readonly sizeBytes: number;
  /** With or without quotes, as the service gives it. */
  readonly etag: string;
  readonly tier: string;
  /** When it came into its tier; empty where that is Hot, and nobody asks. */
  readonly tierSince: string;
  /** Null where the blob has no such metadata. */
  readonly sha256: string | null;
  readonly modified: string | null;
}

export interface BlobListing {
  readonly blobs: readonly ListedBlob[];
  /** Empty after the last page. */
  readonly nextMarker: string;
}

const END = "</EnumerationResults>";

/** Throws {@link XmlError} when it is no listing, or not whole. */
export function readListing(text: string): BlobListing {
  const begin = text.indexOf("<EnumerationResults");
  const isPlain = begin !== -1 && text.trimEnd().endsWith(END) && !text.includes("<!");
  return isPlain ? readPlain(text) : readParsed(parseXml(text));
}

function readPlain(text: string): BlobListing {
  const blobs: ListedBlob[] = [];
  let at = text.indexOf("<Blob>");
  while (at !== -1) {
    const end = text.indexOf("</Blob>", at);
    const next = text.indexOf("<Blob>", at + 1);
    if (end === -1 || (next !== -1 && next < end)) throw new XmlError("a blob is not closed");
    blobs.push(readBlob(text.slice(at, end)));
    at = next;
  }
  // After the blobs; a name that reads like this would have its `<` escaped.
  const tail = text.slice(text.lastIndexOf("</Blob>") + 1);
  return { blobs, nextMarker: textOf(tail, "NextMarker") };
}

function readBlob(text: string): ListedBlob {
  const nameAt = text.indexOf("<Name");
  const nameFrom = text.indexOf(">", nameAt) + 1;
  const nameTo = text.indexOf("</Name>", nameFrom);
  if (nameAt === -1 || nameTo === -1) throw new XmlError("a blob has no name");
  const name = unescape(text.slice(nameFrom, nameTo));
  const isEncoded = text.slice(nameAt, nameFrom).includes('Encoded="true"');
  const metadataAt = text.indexOf("<Metadata>");
  const metadata = metadataAt === -1 ? "" : text.slice(metadataAt);
  const tier = textOf(text, "AccessTier");
  return {
    name: isEncoded ? decodeURIComponent(name) : name,
    sizeBytes: Number(textOf(text, "Content-Length")),
    etag: textOf(text, "Etag"),
    tier,
    tierSince: isCharged(tier) ? textOf(text, "AccessTierChangeTime") || textOf(text, "Last-Modified") : "",
    sha256: metadataOf(metadata, "sha256"),
    modified: metadataOf(metadata, "mtime"),
  };
}

/** Most blobs are Hot, and are not looked through for times. */
function isCharged(tier: string): boolean {
  return tier !== "" && tier !== "Hot";
}

/** Empty when it is not there. */
function textOf(text: string, element: string): string {
  const from = text.indexOf(`<${element}>`);
  if (from === -1) return "";
  const to = text.indexOf("</", from);
  return unescape(text.slice(from + element.length + 2, to));
}

/** Names of metadata come in whatever case somebody on the way gave them. */
function metadataOf(metadata: string, name: string): string | null {
  if (metadata === "") return null;
  const from = metadata.indexOf(`<${name}>`);
  if (from === -1) {
    const found = new RegExp(`<${name}>([^<]*)<`, "i").exec(metadata)?.[1];
    return found === undefined ? null : unescape(found);
  }
  return unescape(metadata.slice(from + name.length + 2, metadata.indexOf("<", from + 1)));
}

function unescape(text: string): string {
  return text.includes("&") ? decodeEntities(text) : text;
}

function readParsed(root: XmlElement): BlobListing {
  if (root.name !== "EnumerationResults") throw new XmlError("it is no listing");
  const blobs = root.child("Blobs")?.children.filter((child) => child.name === "Blob") ?? [];
  return { blobs: blobs.map(readParsedBlob), nextMarker: root.textOf("NextMarker") };
}

function readParsedBlob(blob: XmlElement): ListedBlob {
  const properties = blob.child("Properties");
  const metadata = new Map(
    blob.child("Metadata")?.children.map((child) => [child.name.toLowerCase(), child.text]),
  );
  const name = blob.child("Name");
  const text = name?.text ?? "";
  const tier = properties?.textOf("AccessTier") ?? "";
  const since = properties?.textOf("AccessTierChangeTime") || properties?.textOf("Last-Modified");
  return {
    name: name?.attributes.get("Encoded") === "true" ? decodeURIComponent(text) : text,
    sizeBytes: Number(properties?.textOf("Content-Length")),
    etag: properties?.textOf("Etag") ?? "",
    tier,
    tierSince: isCharged(tier) ? (since ?? "") : "",
    sha256: metadata.get("sha256") ?? null,
    modified: metadata.get("mtime") ?? null,
  };
}
