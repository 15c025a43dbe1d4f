/**
 * A storage account as somebody pasted it: a connection string with an account key, or the SAS URL of one container.
 * Parsing checks the host, because the Worker and the agents will talk to it.
 */
import { fromBase64 } from "../secrets.ts";
import { containerName } from "../../schema/job.ts";

/** What was pasted. */
export type PastedSecret =
  | { readonly kind: "connection_string"; readonly accountKey: string }
  | { readonly kind: "container_sas"; readonly sas: string };

/** What rests in a connection's row. `access` is the access token got last, for the Blob service. */
export type SealedSecret =
  | PastedSecret
  | {
      readonly kind: "oauth";
      readonly refreshToken: string;
      readonly access: { readonly token: string; readonly expiresAtMs: number } | null;
    };

/** What the Blob service takes. */
export type StorageSecret =
  | PastedSecret
  | {
      readonly kind: "bearer";
      readonly accessToken: string;
      /** Whether the account knows folders, so that a signature can be held to one. */
      readonly hierarchical: boolean;
    };

export interface StorageAccount<Secret = StorageSecret> {
  readonly account: string;
  /** `https://<account>.blob.core.windows.net`, or path-style at an emulator; without a slash at its end. */
  readonly blobEndpoint: string;
  /** The one container a container SAS opens. */
  readonly container: string | null;
  readonly expiresAtMs: number | null;
  readonly secret: Secret;
}

/** What was pasted cannot be used; the message says why, and never repeats it. */
export class StorageAccountError extends Error {
  override readonly name = "StorageAccountError";
}

/** Hosts of the Blob service in Azure's clouds. */
const BLOB_SUFFIXES = [
  ".blob.core.windows.net",
  ".blob.core.usgovcloudapi.net",
  ".blob.core.chinacloudapi.cn",
];

/** The account every emulator ships with; its key is published by Microsoft. */
const EMULATOR =
  "AccountName=devstoreaccount1;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1";

/** Reads a connection string. `anyHost` lets emulators in (development only). */
export function parseConnectionString(
  text: string,
  options: { anyHost: boolean },
): StorageAccount<PastedSecret> {
  const source = /^UseDevelopmentStorage=true;?$/i.test(text.trim()) ? EMULATOR : text;
  const parts = new Map<string, string>();
  for (const part of source.split(";")) {
    const equals = part.indexOf("=");
    if (equals > 0) parts.set(part.slice(0, equals).trim().toLowerCase(), part.slice(equals + 1).trim());
  }
  const account = parts.get("accountname");
  const accountKey = parts.get("accountkey");
  if (parts.has("sharedaccesssignature") && accountKey === undefined) {
    throw new StorageAccountError(
      "This connection string holds a SAS; paste one with AccountKey, or a container's SAS URL",
    );
  }
  if (account === undefined || !/^[a-z0-9]{3,24}$/.test(account)) {
    throw new StorageAccountError("AccountName is missing or not a storage account's name");
  }
  if (accountKey === undefined || !isKey(accountKey))
    throw new StorageAccountError("AccountKey is missing or damaged");
  const suffix = parts.get("endpointsuffix") ?? "core.windows.net";
  const protocol = parts.get("defaultendpointsprotocol") ?? "https";
  const blobEndpoint = endpoint(
    parts.get("blobendpoint") ?? `${protocol}://${account}.blob.${suffix}`,
    account,
    options,
  );
  return {
    account,
    blobEndpoint,
    container: null,
    expiresAtMs: null,
    secret: { kind: "connection_string", accountKey },
  };
}

const SAS_NEEDED = ["r", "c", "w", "l"] as const;
/** What a SAS is made of. Tools put more into the URLs they show, such as `restype` and `comp`, which would mislead requests. */
const SAS_FIELDS: ReadonlySet<string> = new Set(
  "sv sr st se sp sip spr si sig skoid sktid skt ske sks skv saoid suoid scid ses".split(" "),
);

/** Reads a container's SAS URL; it must allow read, create, write and list. */
export function parseContainerSas(
  text: string,
  options: { anyHost: boolean; nowMs: number },
): StorageAccount<PastedSecret> {
  const url = parseUrl(text);
  const segments = url.pathname.split("/").filter((segment) => segment !== "");
  const account = url.hostname.split(".")[0] ?? "";
  const pathStyle = !isBlobHost(url.hostname);
  const owner = pathStyle ? (segments.shift() ?? "") : account;
  const [container, ...rest] = segments;
  if (container === undefined || rest.length > 0 || !containerName.safeParse(container).success) {
    throw new StorageAccountError(
      "The URL must end in one container, such as https://acme.blob.core.windows.net/files?sv=…",
    );
  }
  const query = url.searchParams;
  if (!query.has("sig")) throw new StorageAccountError("The URL has no signature (sig)");
  if (query.get("sr") !== "c") throw new StorageAccountError("The SAS must be of a container (sr=c)");
  const missing = SAS_NEEDED.filter((letter) => !(query.get("sp") ?? "").includes(letter));
  if (missing.length > 0) {
    throw new StorageAccountError(
      `The SAS must allow read, create, write and list; it lacks "${missing.join("")}" in sp`,
    );
  }
  const expiresAtMs = Date.parse(query.get("se") ?? "");
  if (Number.isNaN(expiresAtMs)) throw new StorageAccountError("The SAS has no end (se)");
  if (expiresAtMs <= options.nowMs) throw new StorageAccountError("The SAS has lapsed; make a new one");
  const blobEndpoint = endpoint(pathStyle ? `${url.origin}/${owner}` : url.origin, owner, options);
  const sas = new URLSearchParams([...query].filter(([name]) => SAS_FIELDS.has(name))).toString();
  return { account: owner, blobEndpoint, container, expiresAtMs, secret: { kind: "container_sas", sas } };
}

function endpoint(text: string, account: string, options: { anyHost: boolean }): string {
  const url = parseUrl(text);
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new StorageAccountError("The Blob endpoint must be a plain address");
  }
  const plain = url.protocol === "https:" && url.port === "" && url.pathname === "/";
  const azure = plain && url.hostname === `${account}${suffixOf(url.hostname)}`;
  const allowed = isBlobHost(url.hostname) ? azure : options.anyHost;
  if (!allowed)
    throw new StorageAccountError(
      "The Blob endpoint must be https at Azure, such as https://acme.blob.core.windows.net",
    );
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : null;
  if (url === null || !["https:", "http:"].includes(url.protocol)) {
    throw new StorageAccountError("This is not a web address");
  }
  return url;
}

function isBlobHost(host: string): boolean {
  return suffixOf(host) !== "";
}

function suffixOf(host: string): string {
  return BLOB_SUFFIXES.find((suffix) => host.endsWith(suffix)) ?? "";
}

function isKey(text: string): boolean {
  try {
    return fromBase64(text).length >= 32;
  } catch {
    return false;
  }
}
