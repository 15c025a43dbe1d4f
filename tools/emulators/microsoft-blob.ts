/**
 * The Blob service's door: who comes with an access token or a user delegation SAS is let through as far as role and
 * signature go, and the request is signed for the storage emulator with its key. Anything else is refused, as it would be
 * at an account that allows no shared keys.
 * Source: "Create a user delegation SAS", "Get User Delegation Key", Azure Storage REST reference.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AccountFacts, Grantee, Person } from "./microsoft.ts";

/** The key every storage emulator has; published by Microsoft, no secret. */
const EMULATOR_KEY =
  "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const KEY_DAYS_MAX = 7;
const STORAGE_AUDIENCE = "https://storage.azure.com";
const BODY_BYTES_MAX = 4_096;

interface Issued {
  readonly person: Person;
  readonly account: string;
  readonly value: Buffer;
}

interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly account: string;
  readonly container: string;
  /** Decoded; "" for requests about the container itself. */
  readonly blob: string;
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

export class BlobDoor {
  readonly #storage: () => Promise<string>;
  readonly #accounts: readonly AccountFacts[];
  readonly #whoHas: (token: string) => Grantee | null;
  /** By the fields of a SAS that name its key. */
  readonly #keys = new Map<string, Issued>();

  constructor(input: {
    storage: () => Promise<string>;
    accounts: readonly AccountFacts[];
    whoHas: (token: string) => Grantee | null;
  }) {
    this.#storage = input.storage;
    this.#accounts = input.accounts;
    this.#whoHas = input.whoHas;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const asked = parse(request);
      const facts = this.#accounts.find(({ name }) => name === asked.account);
      if (facts === undefined) throw new Refusal(400, "InvalidUri");
      const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1];
      if (token === undefined) this.#checkSas(asked, request.headers, facts);
      else {
        const person = this.#bearer(token);
        if (asked.url.searchParams.get("comp") === "userdelegationkey")
          return await this.#giveKey(request, response, { person, account: asked.account });
      }
      await this.#forward(request, response, asked.url);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      request.resume();
      response.writeHead(error.status, { "content-type": "application/xml", "x-ms-error-code": error.code });
      response.end(
        request.method === "HEAD"
          ? undefined
          : `<?xml version="1.0" encoding="utf-8"?><Error><Code>${error.code}</Code><Message>${error.code}</Message></Error>`,
      );
    }
  }

  #bearer(token: string): Person {
    const grantee = this.#whoHas(token);
    if (grantee === null || grantee.expiresAtMs < Date.now() || grantee.audience !== STORAGE_AUDIENCE)
      throw new Refusal(401, "InvalidAuthenticationInfo");
    if (!grantee.person.roles.includes("contributor"))
      throw new Refusal(403, "AuthorizationPermissionMismatch");
    return grantee.person;
  }

  async #giveKey(
    request: IncomingMessage,
    response: ServerResponse,
    { person, account }: { person: Person; account: string },
  ): Promise<void> {
    let xml = "";
    for await (const chunk of request) {
      xml += String(chunk);
      if (xml.length > BODY_BYTES_MAX) throw new Refusal(413, "RequestBodyTooLarge");
    }
    const read = (element: string) => new RegExp(`<${element}>([^<]+)</${element}>`).exec(xml)?.[1] ?? "";
    const [start, expiry] = [read("Start"), read("Expiry")];
    const [startMs, expiryMs] = [Date.parse(start), Date.parse(expiry)];
    const isGood =
      expiryMs > Date.now() && expiryMs > startMs && expiryMs - Date.now() <= KEY_DAYS_MAX * 86_400_000;
    if (!isGood) throw new Refusal(400, "InvalidXmlNodeValue");
    const version = String(request.headers["x-ms-version"]);
    const name = keyName([person.objectId, person.tenantId, start, expiry, "b", version, account]);
    const value = createHmac("sha256", EMULATOR_KEY).update(name).digest();
    this.#keys.set(name, { person, account, value });
    response.writeHead(200, { "content-type": "application/xml" });
    response.end(
      `<?xml version="1.0" encoding="utf-8"?><UserDelegationKey><SignedOid>${person.objectId}</SignedOid><SignedTid>${person.tenantId}</SignedTid><SignedStart>${start}</SignedStart><SignedExpiry>${expiry}</SignedExpiry><SignedService>b</SignedService><SignedVersion>${version}</SignedVersion><Value>${value.toString("base64")}</Value></UserDelegationKey>`,
    );
  }

  // --- user delegation SAS ---

  #checkSas(asked: Asked, headers: IncomingHttpHeaders, facts: AccountFacts): void {
    const query = asked.url.searchParams;
    const field = (name: string) => query.get(name) ?? "";
    if (field("skoid") === "" || field("sig") === "") throw new Refusal(403, "AuthenticationFailed");
    const key = this.#keys.get(
      keyName([...["skoid", "sktid", "skt", "ske", "sks", "skv"].map(field), asked.account]),
    );
    const directory = directoryOf(asked, field("sr"), field("sdd"), facts);
    if (key === undefined || !isSigned(asked, directory, field, key.value))
      throw new Refusal(403, "AuthenticationFailed");
    const nowMs = Date.now();
    const isInTime =
      [field("st"), field("skt")].every((time) => Date.parse(time) <= nowMs) &&
      [field("se"), field("ske")].every((time) => Date.parse(time) > nowMs);
    if (!isInTime || Date.parse(field("se")) > Date.parse(field("ske")))
      throw new Refusal(403, "AuthenticationFailed");
    if (!field("spr").split(",").includes("http")) throw new Refusal(403, "AuthorizationProtocolMismatch");
    // The role is looked at with each request, so taking it away ends what was signed before.
    if (!key.person.roles.includes("contributor")) throw new Refusal(403, "AuthorizationPermissionMismatch");
    const needed = permissionsFor(asked, headers);
    if (needed === null || ![...needed].some((letter) => field("sp").includes(letter)))
      throw new Refusal(403, "AuthorizationPermissionMismatch");
  }

  // --- onwards ---

  async #forward(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const storage = new URL(await this.#storage());
    const target = new URL(url);
    target.host = storage.host;
    for (const name of SAS_FIELDS) target.searchParams.delete(name);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(request.headers)) {
      if (!HOP_HEADERS.has(name) && value !== undefined) headers[name] = String(value);
    }
    headers["x-ms-date"] = new Date().toUTCString();
    headers["authorization"] = sharedKey(request.method ?? "", target, headers);
    await new Promise<void>((resolve) => {
      const onwards = httpRequest(
        target.href,
        { method: request.method ?? "GET", headers: { ...headers, host: storage.host } },
        (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
          answer.on("close", resolve);
        },
      );
      onwards.on("error", () => {
        response.destroy();
        resolve();
      });
      request.on("close", () => {
        if (!request.complete) onwards.destroy();
      });
      request.pipe(onwards);
    });
  }
}

const SAS_FIELDS = "sv sr sdd st se sp spr sip sig skoid sktid skt ske sks skv saoid suoid scid ses".split(
  " ",
);
const HOP_HEADERS: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "authorization",
  "expect",
  "keep-alive",
]);

function parse(request: IncomingMessage): Asked {
  const url = new URL(request.url ?? "/", "http://127.0.0.1");
  const [account = "", container = "", ...rest] = url.pathname.slice(1).split("/");
  return {
    method: request.method ?? "",
    url,
    account,
    container,
    blob: decodeURIComponent(rest.join("/")),
  };
}

function keyName(fields: readonly string[]): string {
  return fields.join("\n");
}

/** The folder a SAS of this depth is for, if it is for this request at all; null = the whole container. */
function directoryOf(asked: Asked, resource: string, depth: string, facts: AccountFacts): string | null {
  if (resource === "c") return null;
  if (resource !== "d" || !facts.hierarchical || !/^[1-9]\d?$/.test(depth))
    throw new Refusal(403, "AuthenticationFailed");
  const query = asked.url.searchParams;
  const place = asked.blob === "" && query.get("comp") === "list" ? (query.get("prefix") ?? "") : asked.blob;
  const segments = place.split("/");
  // What is signed has this many folders; a name that is not below them cannot have been meant.
  if (segments.length <= Number(depth)) throw new Refusal(403, "AuthorizationPermissionMismatch");
  return segments.slice(0, Number(depth)).join("/");
}

/** Versions from 2020-12-06 up to, not including, 2025-07-05. */
function isSigned(
  asked: Asked,
  directory: string | null,
  field: (name: string) => string,
  key: Buffer,
): boolean {
  const folder = directory === null ? "" : `/${directory}`;
  const text = [
    field("sp"),
    field("st"),
    field("se"),
    `/blob/${asked.account}/${asked.container}${folder}`,
    ...["skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid", "sip", "spr", "sv", "sr"].map(
      field,
    ),
    "",
    field("ses"),
    ...["rscc", "rscd", "rsce", "rscl", "rsct"].map(field),
  ].join("\n");
  const made = createHmac("sha256", key).update(text).digest();
  const shown = Buffer.from(field("sig"), "base64");
  return shown.length === made.length && timingSafeEqual(shown, made);
}

/** Any of these letters is enough; null = no SAS of a container or folder may. */
function permissionsFor({ method, url, blob }: Asked, headers: IncomingHttpHeaders): string | null {
  const comp = url.searchParams.get("comp");
  if (blob === "") return method === "GET" && comp === "list" ? "l" : null;
  switch (method) {
    case "GET":
    case "HEAD":
      return "r";
    case "DELETE":
      return "d";
    case "PUT":
      if (comp === null || comp === "block" || comp === "blocklist")
        return headers["if-none-match"] === "*" ? "cw" : "w";
      return "w";
    default:
      return null;
  }
}

/** "Authorize with Shared Key", for the Blob service. */
function sharedKey(method: string, url: URL, headers: Record<string, string>): string {
  const [, account = ""] = url.pathname.split("/");
  const plain = (name: string) => headers[name] ?? "";
  const length = plain("content-length");
  const named = Object.keys(headers)
    .filter((name) => name.startsWith("x-ms-"))
    .sort()
    .map((name) => `${name}:${headers[name]}\n`);
  const query = [...url.searchParams].map(([name, value]) => [name.toLowerCase(), value] as const);
  query.sort(([a], [b]) => (a < b ? -1 : 1));
  const text = [
    method,
    plain("content-encoding"),
    plain("content-language"),
    length === "0" ? "" : length,
    plain("content-md5"),
    plain("content-type"),
    "",
    plain("if-modified-since"),
    plain("if-match"),
    plain("if-none-match"),
    plain("if-unmodified-since"),
    plain("range"),
    `${named.join("")}/${account}${url.pathname}${query.map(([name, value]) => `\n${name}:${value}`).join("")}`,
  ].join("\n");
  const signature = createHmac("sha256", Buffer.from(EMULATOR_KEY, "base64")).update(text).digest("base64");
  return `SharedKey ${account}:${signature}`;
}
