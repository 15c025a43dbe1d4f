/**
 * A container of Azure Blob Storage, or an emulator of it, reached with a SAS.
 *
 * The SAS is the query of every address, so no address ever gets into a message, a log line or a `cause`. Bodies of
 * answers are always read or cancelled, or the connection would be lost to later requests. Facts and error codes are those of
 * https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api.
 */
import type { Grant } from "../../schema/connector.ts";
import type { JobConfig } from "../../schema/job.ts";
import type { Platform } from "../platform.ts";
import { BlobError, errorOf, type Failure, notFromService, transportError } from "./azure-blob-errors.ts";
import {
  type Condition,
  type Destination,
  type EntryMetadata,
  type GrantProvider,
  type Held,
  type HeldBlock,
  type HeldPage,
  type Limits,
  TransferError,
} from "./connector.ts";
import { encodeXml, parseXml, type XmlElement, XmlError } from "./xml.ts";

const API_VERSION = "2023-11-03";
const MEBIBYTE = 1_048_576;
const LIMITS: Limits = {
  blockBytesMax: 4_000 * MEBIBYTE,
  blockCountMax: 50_000,
  // The service takes 5,000 MiB at once; a body that is lost near its end should not have been that long.
  wholeBytesMax: 64 * MEBIBYTE,
};
const NAME_LENGTH_MAX = 1_024;
const NAME_SEGMENTS_MAX = 254;
const LIST_COUNT_MAX = 5_000;
/** An error's body is a few hundred bytes; a proxy's may be a page. */
const ERROR_BYTES_MAX = 65_536;

type AzureBlobConfig = Extract<JobConfig["destination"], { kind: "azure_blob" }>;
type Query = Readonly<Record<string, string>>;
type Headers = Readonly<Record<string, string>>;

interface Request {
  readonly method: "GET" | "HEAD" | "PUT";
  /** Null for the container itself. */
  readonly path: string | null;
  readonly query: Query;
  readonly headers: Headers;
  readonly body: Uint8Array | null;
  /** The only status that means that it was done. */
  readonly expected: number;
}

export class AzureBlobDestination implements Destination {
  readonly limits = LIMITS;
  readonly #platform: Platform;
  readonly #grants: GrantProvider;
  /** Empty, or ending in a slash. */
  readonly #prefix: string;
  /** The grant that the service refused last. */
  #refused: Grant | null = null;

  constructor(config: AzureBlobConfig, grants: GrantProvider, platform: Platform) {
    this.#platform = platform;
    this.#grants = grants;
    this.#prefix = config.prefix === "" ? "" : `${config.prefix}/`;
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.#grant(signal);
  }

  refusal(path: string): string | null {
    const name = this.name(path);
    if (!name.isWellFormed()) return `Cannot store "${path.toWellFormed()}": its name is not valid Unicode`;
    if (name.length > NAME_LENGTH_MAX)
      return `Cannot store "${path}": with its folders it is longer than ${NAME_LENGTH_MAX} characters`;
    const segments = name.split("/");
    if (segments.length > NAME_SEGMENTS_MAX)
      return `Cannot store "${path}": it is in more than ${NAME_SEGMENTS_MAX} folders`;
    // Addresses are cleaned of these segments on their way, so that another name would be written.
    if (segments.some((segment) => segment === "" || segment === "." || segment === ".."))
      return `Cannot store "${path}": it is no plain path`;
    // The service takes it for a slash, so that two files would become one blob.
    if (name.includes("\\"))
      return `Cannot store "${path}": its name has a backslash, which the service takes for a folder`;
    // Refused in practice: https://github.com/Azure/azure-storage-azcopy/issues/2421
    if (/[\u0000-\u001f\u007f\u0081\u008d\u008f\u0090\u009d\ue000\ufffe\uffff]/.test(name)) {
      return `Cannot store "${path}": its name has characters that the service refuses`;
    }
    return null;
  }

  name(path: string): string {
    return this.#prefix + path;
  }

  async page(cursor: string | null, signal: AbortSignal): Promise<HeldPage> {
    const query: Record<string, string> = {
      restype: "container",
      comp: "list",
      include: "metadata",
      maxresults: String(LIST_COUNT_MAX),
    };
    if (this.#prefix !== "") query["prefix"] = this.#prefix;
    if (cursor !== null) query["marker"] = cursor;
    const response = await this.#send(
      { method: "GET", path: null, query, headers: {}, body: null, expected: 200 },
      signal,
    );
    const root = await readXml(response, "EnumerationResults");
    const blobs = root.child("Blobs")?.children.filter((child) => child.name === "Blob") ?? [];
    const next = root.textOf("NextMarker");
    return { items: blobs.map((blob) => this.#readListed(blob)), cursor: next === "" ? null : next };
  }

  async find(path: string, signal: AbortSignal): Promise<Held | null> {
    const request: Request = { method: "HEAD", path, query: {}, headers: {}, body: null, expected: 200 };
    const response = await orNull(this.#send(request, signal), ["BlobNotFound"]);
    if (response === null) return null;
    await response.body?.cancel();
    const { headers } = response;
    return {
      path,
      sizeBytes: Number(headers.get("content-length")),
      etag: plainTag(headers.get("etag")),
      sha256: headers.get("x-ms-meta-sha256"),
      modifiedMs: readTime(headers.get("x-ms-meta-mtime")),
    };
  }

  async writeWhole(
    path: string,
    bytes: Uint8Array,
    metadata: EntryMetadata & { md5: Uint8Array },
    condition: Condition,
    signal: AbortSignal,
  ): Promise<{ etag: string }> {
    const headers = {
      ...metadataHeaders(metadata),
      ...conditionHeaders(condition),
      "x-ms-blob-type": "BlockBlob",
      "content-md5": metadata.md5.toBase64(),
    };
    return await this.#put({ path, query: {}, headers, body: bytes }, signal);
  }

  async writeBlock(
    path: string,
    id: string,
    bytes: Uint8Array,
    md5: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#put(
      {
        path,
        query: { comp: "block", blockid: id },
        headers: { "content-md5": md5.toBase64() },
        body: bytes,
      },
      signal,
    );
  }

  async stagedBlocks(path: string, signal: AbortSignal): Promise<readonly HeldBlock[]> {
    const response = await orNull(this.#blockList(path, "uncommitted", signal), ["BlobNotFound"]);
    return response === null ? [] : readBlocks(await readXml(response, "BlockList"), "UncommittedBlocks");
  }

  async committedBlocks(
    path: string,
    signal: AbortSignal,
  ): Promise<{ etag: string; blocks: readonly HeldBlock[] } | null> {
    const response = await orNull(this.#blockList(path, "committed", signal), ["BlobArchived"]);
    if (response === null) return null;
    const etag = plainTag(response.headers.get("etag"));
    return { etag, blocks: readBlocks(await readXml(response, "BlockList"), "CommittedBlocks") };
  }

  async commit(
    path: string,
    blockIds: readonly string[],
    metadata: EntryMetadata,
    condition: Condition,
    signal: AbortSignal,
  ): Promise<{ etag: string }> {
    const list = blockIds.map((id) => `<Latest>${encodeXml(id)}</Latest>`).join("");
    const body = new TextEncoder().encode(
      `<?xml version="1.0" encoding="utf-8"?><BlockList>${list}</BlockList>`,
    );
    const md5 = this.#platform.hash("md5");
    md5.update(body);
    const headers = {
      ...metadataHeaders(metadata),
      ...conditionHeaders(condition),
      ...(metadata.md5 === null ? {} : { "x-ms-blob-content-md5": metadata.md5.toBase64() }),
      // That of the list, which the service checks.
      "content-md5": md5.digest().toBase64(),
    };
    return await this.#put({ path, query: { comp: "blocklist" }, headers, body }, signal);
  }

  // --- requests ----------------------------------------------------------------------------------------------------

  async #put(
    request: Pick<Request, "path" | "query" | "headers" | "body">,
    signal: AbortSignal,
  ): Promise<{ etag: string }> {
    const response = await this.#send({ method: "PUT", expected: 201, ...request }, signal);
    await response.body?.cancel();
    return { etag: plainTag(response.headers.get("etag")) };
  }

  #blockList(path: string, kind: "committed" | "uncommitted", signal: AbortSignal): Promise<Response> {
    const query = { comp: "blocklist", blocklisttype: kind };
    return this.#send({ method: "GET", path, query, headers: {}, body: null, expected: 200 }, signal);
  }

  /** One request. An answer other than the expected becomes a {@link TransferError}. */
  async #send(request: Request, signal: AbortSignal): Promise<Response> {
    const grant = await this.#grant(signal);
    const response = await this.#fetch(grant, request, signal);
    if (response.status === request.expected && response.headers.has("x-ms-version")) return response;
    if (response.status === request.expected) {
      await response.body?.cancel();
      throw notFromService();
    }
    const error = errorOf(await readFailure(response), request.path, this.#platform.clock.now());
    if (error.retry.kind === "new_grant") this.#refused = grant;
    throw error;
  }

  async #fetch(grant: Grant, request: Request, signal: AbortSignal): Promise<Response> {
    const platform = this.#platform;
    const name = request.path === null ? "" : `/${encodePath(this.name(request.path))}`;
    const query = Object.entries(request.query)
      .map(([key, value]) => `${key}=${encodeURIComponent(value)}&`)
      .join("");
    try {
      return await platform.fetch(`${grant.containerUrl}${name}?${query}${grant.sas}`, {
        method: request.method,
        headers: {
          ...request.headers,
          "x-ms-version": API_VERSION,
          "x-ms-date": new Date(platform.clock.now()).toUTCString(),
          "x-ms-client-request-id": platform.random.bytes(16).toHex(),
        },
        ...(request.body === null ? {} : { body: request.body as Uint8Array<ArrayBuffer> }),
        // A storage service never sends us elsewhere; whoever does is not one.
        redirect: "manual",
        signal,
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw transportError(error);
    }
  }

  async #grant(signal: AbortSignal): Promise<Grant> {
    const grant = await this.#grants.current(signal);
    if (this.#refused === null || grant.sas !== this.#refused.sas) return grant;
    return await this.#grants.replace(grant, signal);
  }

  #readListed(blob: XmlElement): Held {
    const properties = blob.child("Properties");
    const metadata = new Map(
      blob.child("Metadata")?.children.map((child) => [child.name.toLowerCase(), child.text]),
    );
    const name = blob.child("Name");
    const text = name?.text ?? "";
    return {
      path: (name?.attributes.get("Encoded") === "true" ? decodeURIComponent(text) : text).slice(
        this.#prefix.length,
      ),
      sizeBytes: Number(properties?.textOf("Content-Length")),
      etag: plainTag(properties?.textOf("Etag") ?? null),
      sha256: metadata.get("sha256") ?? null,
      modifiedMs: readTime(metadata.get("mtime") ?? null),
    };
  }
}

function encodePath(name: string): string {
  return name.split("/").map(encodeURIComponent).join("/");
}

function metadataHeaders(metadata: EntryMetadata): Headers {
  const modified = new Date(metadata.modifiedMs);
  return {
    "x-ms-blob-content-type": metadata.contentType,
    "x-ms-access-tier": metadata.tier,
    "x-ms-meta-sha256": metadata.sha256,
    ...(Number.isNaN(modified.getTime()) ? {} : { "x-ms-meta-mtime": modified.toISOString() }),
  };
}

function conditionHeaders(condition: Condition): Headers {
  switch (condition.kind) {
    case "absent":
      return { "if-none-match": "*" };
    case "matches":
      return { "if-match": `"${condition.etag}"` };
  }
}

/** Headers have it in quotes, listings without. */
function plainTag(etag: string | null): string {
  return (etag ?? "").replace(/^W\//, "").replaceAll('"', "");
}

function readTime(text: string | null): number | null {
  const ms = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

function readBlocks(list: XmlElement, kind: "CommittedBlocks" | "UncommittedBlocks"): readonly HeldBlock[] {
  return (list.child(kind)?.children ?? []).map((block) => ({
    id: block.textOf("Name"),
    sizeBytes: Number(block.textOf("Size")),
  }));
}

async function readXml(response: Response, rootName: string): Promise<XmlElement> {
  try {
    const root = parseXml(await response.text());
    if (root.name !== rootName) throw notFromService();
    return root;
  } catch (error) {
    if (error instanceof XmlError) throw notFromService();
    throw error instanceof TransferError || isAbort(error) ? error : transportError(error);
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

async function readFailure(response: Response): Promise<Failure> {
  const { status, headers } = response;
  const code = headers.get("x-ms-error-code");
  // Over HEAD the code is in the header only.
  if (code !== null || Number(headers.get("content-length")) > ERROR_BYTES_MAX) {
    await response.body?.cancel();
    return { status, code: code ?? "", headers };
  }
  try {
    return { status, code: parseXml(await response.text()).textOf("Code"), headers };
  } catch {
    // A proxy's page, or nothing at all: the status has to tell.
    return { status, code: "", headers };
  }
}

/** Null when the service answers with one of these codes. */
async function orNull(response: Promise<Response>, codes: readonly string[]): Promise<Response | null> {
  try {
    return await response;
  } catch (error) {
    if (error instanceof BlobError && codes.includes(error.serviceCode)) return null;
    throw error;
  }
}
