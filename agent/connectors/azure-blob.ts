/**
 * A container of Azure Blob Storage, or an emulator of it, reached with a SAS.
 *
 * The SAS is the query of every address, so no address ever gets into a message, a log line or a `cause`. Facts and error
 * codes are those of
 * https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api.
 */
import type { Grant } from "../../schema/connector.ts";
import type { AccessTier, JobConfig } from "../../schema/job.ts";
import type { ChecksumKind } from "../digests.ts";
import type { Platform } from "../platform.ts";
import { type HttpAnswer, NO_BYTES, TransportError } from "../transport.ts";
import { type ListedBlob, readListing } from "./blob-listing.ts";
import { blobName, sourceTag } from "./blob-name.ts";
import { BlobError, errorOf, type Failure, notFromService, transportError } from "./azure-blob-errors.ts";
import {
  type Body,
  type CallOptions,
  type Checksum,
  type Condition,
  type Destination,
  type EntryMetadata,
  type GrantProvider,
  type Held,
  type HeldBlock,
  type HeldPage,
  type Limits,
  type Named,
  TransferError,
} from "./connector.ts";
import { encodeXml, parseXml, XmlError } from "./xml.ts";

const API_VERSION = "2023-11-03";
const MEBIBYTE = 1_048_576;
const LIMITS: Limits = {
  blockBytesMax: 4_000 * MEBIBYTE,
  blockCountMax: 50_000,
  // The service takes 5,000 MiB at once; a body that is lost near its end should not have been that long.
  wholeBytesMax: 64 * MEBIBYTE,
};
const LIST_COUNT_MAX = 2_000;
/** An error's body is a few hundred bytes; a proxy's may be a page, which nobody reads here. */
const ERROR_BYTES_MAX = 65_536;
const NO_PACE = null;
const decoder = new TextDecoder();

type AzureBlobConfig = Extract<JobConfig["destination"], { kind: "azure_blob" }>;
type Query = Readonly<Record<string, string>>;
type Headers = Readonly<Record<string, string>>;

interface Request {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE";
  /** Null for the container itself. */
  readonly path: string | null;
  readonly query: Query;
  readonly headers: Headers;
  readonly body: Pick<Body, "bytes" | "headroomBytes"> | null;
  /** Where the answer's body is put, if it fits. */
  readonly into?: Uint8Array;
  /** The only status that means that it was done. */
  readonly expected: number;
}

export class AzureBlobDestination implements Destination {
  readonly limits = LIMITS;
  readonly #platform: Platform;
  readonly #grants: GrantProvider;
  /** Empty, or ending in a slash. */
  readonly #prefix: string;
  readonly #naming: (path: string) => Named;
  /** The grant that the service refused last. */
  #refused: Grant | null = null;
  /**
   * The service computes CRC64 in hardware and MD5 at a cost that we share; the emulator needs three times as long for
   * CRC64, because it does that in JavaScript. Which of them answers, it says itself.
   */
  checksumKind: ChecksumKind = "crc64";

  /** `naming`: for who asks by the names of blobs instead of by paths. */
  constructor(
    config: AzureBlobConfig | Pick<AzureBlobConfig, "prefix">,
    grants: GrantProvider,
    platform: Platform,
    naming?: (path: string) => Named,
  ) {
    this.#platform = platform;
    this.#grants = grants;
    this.#prefix = config.prefix === "" ? "" : `${config.prefix}/`;
    this.#naming = naming ?? ((path) => blobName(this.#prefix, path));
  }

  ready(signal: AbortSignal): undefined | Promise<void> {
    const grant = this.#grant(signal);
    return grant instanceof Promise ? grant.then(() => {}) : undefined;
  }

  name(path: string): Named {
    return this.#naming(path);
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
    const answer = await this.#send(
      { method: "GET", path: null, query, headers: {}, body: null, expected: 200 },
      { signal, pace: NO_PACE },
    );
    const { blobs, nextMarker } = readAs(answer, readListing);
    return { items: blobs.map((blob) => this.#heldOf(blob)), cursor: nextMarker === "" ? null : nextMarker };
  }

  async find(path: string, signal: AbortSignal): Promise<Held | null> {
    const request: Request = { method: "HEAD", path, query: {}, headers: {}, body: null, expected: 200 };
    const answer = await orNull(this.#send(request, { signal, pace: NO_PACE }), ["BlobNotFound"]);
    if (answer === null) return null;
    const tier = answer.header("x-ms-access-tier");
    const since = answer.header("x-ms-access-tier-change-time") ?? answer.header("last-modified");
    return {
      path,
      sizeBytes: Number(answer.header("content-length")),
      etag: plainTag(answer.header("etag")),
      sha256: answer.header("x-ms-meta-sha256"),
      modifiedMs: readTime(answer.header("x-ms-meta-mtime")),
      archived: tier === "Archive",
      ...feeOf(tier, since),
    };
  }

  async writeWhole(
    path: string,
    body: Body,
    metadata: EntryMetadata,
    condition: Condition,
    options: CallOptions,
  ): Promise<{ etag: string }> {
    const headers: Record<string, string> = { "x-ms-blob-type": "BlockBlob" };
    this.#describe(headers, path, metadata);
    require(headers, condition);
    check(headers, body.checksum);
    return await this.#put({ path, query: {}, headers, body }, options);
  }

  async writeBlock(path: string, id: string, body: Body, options: CallOptions): Promise<void> {
    const headers: Record<string, string> = {};
    check(headers, body.checksum);
    await this.#put({ path, query: { comp: "block", blockid: id }, headers, body }, options);
  }

  async stagedBlocks(path: string, signal: AbortSignal): Promise<readonly HeldBlock[]> {
    const answer = await orNull(this.#blockList(path, "uncommitted", signal), ["BlobNotFound"]);
    return answer === null ? [] : readBlocks(answer, "UncommittedBlocks");
  }

  async committedBlocks(
    path: string,
    signal: AbortSignal,
  ): Promise<{ etag: string; blocks: readonly HeldBlock[] } | null> {
    const answer = await orNull(this.#blockList(path, "committed", signal), ["BlobArchived"]);
    if (answer === null) return null;
    const etag = plainTag(answer.header("etag"));
    return { etag, blocks: readBlocks(answer, "CommittedBlocks") };
  }

  async commit(
    path: string,
    blockIds: readonly string[],
    metadata: EntryMetadata,
    condition: Condition,
    signal: AbortSignal,
  ): Promise<{ etag: string }> {
    const list = blockIds.map((id) => `<Latest>${encodeXml(id)}</Latest>`).join("");
    const bytes = new TextEncoder().encode(
      `<?xml version="1.0" encoding="utf-8"?><BlockList>${list}</BlockList>`,
    );
    const md5 = this.#platform.hash("md5");
    md5.update(bytes);
    const headers: Record<string, string> = {};
    this.#describe(headers, path, metadata);
    require(headers, condition);
    // That of the list, which the service checks.
    check(headers, { kind: "md5", value: md5.digest() });
    const body = { bytes, headroomBytes: 0 };
    return await this.#put({ path, query: { comp: "blocklist" }, headers, body }, { signal, pace: NO_PACE });
  }

  async read(
    path: string,
    {
      etag,
      fromBytes,
      into,
    }: { readonly etag: string; readonly fromBytes: number; readonly into: Uint8Array },
    options: CallOptions,
  ): Promise<void> {
    const headers = {
      "if-match": `"${etag}"`,
      "x-ms-range": `bytes=${fromBytes}-${fromBytes + into.length - 1}`,
    };
    const answer = await this.#send(
      { method: "GET", path, query: {}, headers, body: null, into, expected: 206 },
      options,
    );
    if (answer.body.length !== into.length) throw notFromService(206);
    if (answer.body.buffer !== into.buffer || answer.body.byteOffset !== into.byteOffset)
      into.set(answer.body);
  }

  async setTier(path: string, tier: AccessTier, etag: string, signal: AbortSignal): Promise<void> {
    // The service takes no If-Match here (learn.microsoft.com, "Set Blob Tier"), so the version is asked for first.
    const held = await this.find(path, signal);
    if (held === null || held.etag !== etag) throw replaced(path);
    const headers = { "x-ms-access-tier": tier };
    const request: Request = {
      method: "PUT",
      path,
      query: { comp: "tier" },
      headers,
      body: null,
      expected: 200,
    };
    await this.#send(request, { signal, pace: NO_PACE });
  }

  async remove(path: string, etag: string, signal: AbortSignal): Promise<void> {
    const headers = { "if-match": `"${etag}"` };
    const request: Request = { method: "DELETE", path, query: {}, headers, body: null, expected: 202 };
    await this.#send(request, { signal, pace: NO_PACE });
  }

  #describe(headers: Record<string, string>, path: string, metadata: EntryMetadata): void {
    headers["x-ms-blob-content-type"] = metadata.contentType;
    headers["x-ms-access-tier"] = metadata.tier;
    headers["x-ms-meta-sha256"] = metadata.sha256;
    const modified = new Date(metadata.modifiedMs);
    if (!Number.isNaN(modified.getTime())) headers["x-ms-meta-mtime"] = modified.toISOString();
    const named = this.name(path);
    if (named.kind === "named" && named.mapped) headers["x-ms-meta-src"] = sourceTag(path);
  }

  // --- requests ----------------------------------------------------------------------------------------------------

  async #put(
    request: Pick<Request, "path" | "query" | "headers" | "body">,
    options: CallOptions,
  ): Promise<{ etag: string }> {
    const answer = await this.#send({ method: "PUT", expected: 201, ...request }, options);
    return { etag: plainTag(answer.header("etag")) };
  }

  #blockList(path: string, kind: "committed" | "uncommitted", signal: AbortSignal): Promise<HttpAnswer> {
    const query = { comp: "blocklist", blocklisttype: kind };
    return this.#send(
      { method: "GET", path, query, headers: {}, body: null, expected: 200 },
      { signal, pace: NO_PACE },
    );
  }

  /** One request. An answer other than the expected becomes a {@link TransferError}. */
  async #send(request: Request, options: CallOptions): Promise<HttpAnswer> {
    const granted = this.#grant(options.signal);
    const grant = granted instanceof Promise ? await granted : granted;
    const answer = await this.#exchange(grant, request, options);
    if (answer.header("server")?.startsWith("Azurite") === true) this.checksumKind = "md5";
    if (answer.status === request.expected && answer.header("x-ms-version") !== null) return answer;
    if (answer.status === request.expected) throw notFromService();
    const error = errorOf(readFailure(answer), request.path, this.#platform.clock.now());
    if (error.retry.kind === "new_grant") this.#refused = grant;
    throw error;
  }

  async #exchange(grant: Grant, request: Request, { signal, pace }: CallOptions): Promise<HttpAnswer> {
    const { method, path, body, into = null } = request;
    const name = path === null ? "" : `/${encodePath(this.#blobName(path))}`;
    let query = "";
    for (const key in request.query) query += `${key}=${encodeURIComponent(request.query[key] as string)}&`;
    try {
      return await this.#platform.transport.send(
        {
          method,
          url: `${grant.containerUrl}${name}?${query}${grant.sas}`,
          headers: { ...request.headers, "x-ms-version": API_VERSION },
          body: body?.bytes ?? (method === "PUT" ? NO_BYTES : null),
          headroomBytes: body?.headroomBytes ?? 0,
          into,
        },
        { signal, pace },
      );
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof TransportError) throw transportError(error);
      throw error;
    }
  }

  #blobName(path: string): string {
    const named = this.name(path);
    if (named.kind === "named") return named.name;
    throw new TransferError({ scope: "file", code: "name_refused" }, named.reason, {
      retry: { kind: "never" },
    });
  }

  #grant(signal: AbortSignal): Grant | Promise<Grant> {
    const current = this.#grants.current(signal);
    if (current instanceof Promise) return current.then((grant) => this.#unlessRefused(grant, signal));
    return this.#unlessRefused(current, signal);
  }

  #unlessRefused(grant: Grant, signal: AbortSignal): Grant | Promise<Grant> {
    if (this.#refused === null || grant.sas !== this.#refused.sas) return grant;
    return this.#grants.replace(grant, signal);
  }

  #heldOf(blob: ListedBlob): Held {
    return {
      path: blob.name.slice(this.#prefix.length),
      sizeBytes: blob.sizeBytes,
      etag: plainTag(blob.etag),
      sha256: blob.sha256,
      modifiedMs: readTime(blob.modified),
      archived: blob.tier === "Archive",
      ...feeOf(blob.tier, blob.tierSince),
    };
  }
}

/**
 * Blobs that leave their tier earlier, by being deleted, written over or moved, are charged for the rest of the time; it
 * runs from the change of tier, or from the last change where there was none
 * (learn.microsoft.com/azure/storage/blobs/access-tiers-overview and archive-blob).
 */
const TIER_DAYS: Readonly<Record<string, number>> = { Cool: 30, Cold: 90, Archive: 180 };
const DAY_MS = 86_400_000;

function feeOf(tier: string | null, since: string | null): Pick<Held, "feeUntilMs"> {
  const days = TIER_DAYS[tier ?? ""];
  const sinceMs = days === undefined ? null : readTime(since);
  return days === undefined || sinceMs === null ? {} : { feeUntilMs: sinceMs + days * DAY_MS };
}

function encodePath(name: string): string {
  return /^[\w./~-]*$/.test(name) ? name : name.split("/").map(encodeURIComponent).join("/");
}

function require(headers: Record<string, string>, condition: Condition): void {
  switch (condition.kind) {
    case "absent":
      headers["if-none-match"] = "*";
      return;
    case "matches":
      headers["if-match"] = `"${condition.etag}"`;
      return;
  }
}

/** The service refuses both at once. */
function check(headers: Record<string, string>, { kind, value }: Checksum): void {
  switch (kind) {
    case "crc64":
      headers["x-ms-content-crc64"] = value.toBase64();
      return;
    case "md5":
      headers["content-md5"] = value.toBase64();
      return;
  }
}

function replaced(path: string): TransferError {
  return new TransferError({ scope: "condition" }, `Cannot store "${path}": another version is there`, {
    retry: { kind: "never" },
  });
}

/** Headers have it in quotes, listings without. */
function plainTag(etag: string | null): string {
  return (etag ?? "").replace(/^W\//, "").replaceAll('"', "");
}

function readTime(text: string | null): number | null {
  const ms = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

function readBlocks(answer: HttpAnswer, kind: "CommittedBlocks" | "UncommittedBlocks"): readonly HeldBlock[] {
  const list = readAs(answer, parseXml);
  if (list.name !== "BlockList") throw notFromService();
  return (list.child(kind)?.children ?? []).map((block) => ({
    id: block.textOf("Name"),
    sizeBytes: Number(block.textOf("Size")),
  }));
}

/** What is no whole XML was not written by the service. */
function readAs<Result>(answer: HttpAnswer, read: (text: string) => Result): Result {
  try {
    return read(decoder.decode(answer.body));
  } catch (error) {
    if (error instanceof XmlError) throw notFromService();
    throw error;
  }
}

function readFailure(answer: HttpAnswer): Failure {
  const { status } = answer;
  const header = (name: string) => answer.header(name);
  // Over HEAD the code is in the header only.
  const code = header("x-ms-error-code");
  if (code !== null || answer.body.length > ERROR_BYTES_MAX) return { status, code: code ?? "", header };
  try {
    return { status, code: parseXml(decoder.decode(answer.body)).textOf("Code"), header };
  } catch {
    // A proxy's page, or nothing at all: the status has to tell.
    return { status, code: "", header };
  }
}

/** Null when the service answers with one of these codes. */
async function orNull(answer: Promise<HttpAnswer>, codes: readonly string[]): Promise<HttpAnswer | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof BlobError && codes.includes(error.serviceCode)) return null;
    throw error;
  }
}
