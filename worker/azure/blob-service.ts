/**
 * The little the control plane itself asks the Blob service: which containers are there, is this credential any good, make
 * a container. With the account's key by the Shared Key scheme, with a SAS by its query. Bytes of files never pass here.
 */
import { base64, fromBase64, hmacSha256 } from "../secrets.ts";
import type { StorageAccount } from "./storage-account.ts";

export const API_VERSION = "2023-11-03";
const LIMIT_MS = 10_000;
const ANSWER_BYTES_MAX = 1024 * 1024;

/** `reason` tells apart what a person can do about it. */
export class BlobServiceError extends Error {
  override readonly name = "BlobServiceError";
  readonly reason: "unreachable" | "denied" | "missing" | "other";
  constructor(reason: BlobServiceError["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The account's containers (the first 5,000), or the one a SAS opens, after it has proved to be there. */
export async function listContainers(account: StorageAccount): Promise<string[]> {
  if (account.container !== null) {
    await ask(account, "GET", `/${account.container}`, {
      restype: "container",
      comp: "list",
      maxresults: "1",
    });
    return [account.container];
  }
  const xml = await ask(account, "GET", "/", { comp: "list" });
  return Array.from(xml.matchAll(/<Container><Name>([a-z0-9$-]+)<\/Name>/g), (match) => match[1] as string);
}

/** Makes a container; one that is there already is fine. */
export async function createContainer(account: StorageAccount, name: string): Promise<void> {
  await ask(account, "PUT", `/${name}`, { restype: "container" }, ["ContainerAlreadyExists"]);
}

async function ask(
  account: StorageAccount,
  method: "GET" | "PUT",
  path: string,
  query: Record<string, string>,
  fine: readonly string[] = [],
): Promise<string> {
  const url = new URL(
    account.blobEndpoint + (path === "/" && new URL(account.blobEndpoint).pathname !== "/" ? "" : path),
  );
  url.search = new URLSearchParams(query).toString();
  const headers = new Headers({ "x-ms-version": API_VERSION, "x-ms-date": new Date().toUTCString() });
  const { secret } = account;
  if (secret.kind === "container_sas") url.search += `&${secret.sas}`;
  else
    headers.set(
      "authorization",
      await sharedKey({ account: account.account, key: secret.accountKey, method, url, headers }),
    );
  const { status, code, text } = await send(url, method, headers);
  // The service names its errors; a bare one comes from something on the way, such as a proxy that found nobody.
  if (status >= 500 && code === "") throw unreachable(url);
  if ((status >= 200 && status < 300) || fine.includes(code)) return text;
  throw refused(status, code);
}

async function send(
  url: URL,
  method: string,
  headers: Headers,
): Promise<{ status: number; code: string; text: string }> {
  try {
    const response = await fetch(url, {
      method,
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    const code = response.headers.get("x-ms-error-code") ?? "";
    return { status: response.status, code, text: await readText(response) };
  } catch (cause) {
    throw unreachable(url, { cause });
  }
}

function unreachable(url: URL, options?: ErrorOptions): BlobServiceError {
  return new BlobServiceError("unreachable", `The storage account cannot be reached at ${url.host}`, options);
}

/** Only so much of an answer as we ever need: who answers may not be who we think. */
async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytesRead = 0;
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    bytesRead += bytes.length;
    if (bytesRead > ANSWER_BYTES_MAX) break;
  }
  return text;
}

function refused(status: number, code: string): BlobServiceError {
  const answer = code === "" ? `status ${status}` : code;
  if (status === 401 || status === 403) {
    return new BlobServiceError(
      "denied",
      `The storage account denies access (${answer}); check the key or SAS and the account's firewall`,
    );
  }
  if (status === 404) return new BlobServiceError("missing", `The container does not exist (${answer})`);
  return new BlobServiceError("other", `The storage account answered with ${answer}`);
}

/** The `Authorization` header of the Shared Key scheme; for requests without a body. */
export async function sharedKey(request: {
  account: string;
  key: string;
  method: string;
  url: URL;
  headers: Headers;
}): Promise<string> {
  const { account, url, headers } = request;
  const named = [...headers]
    .filter(([name]) => name.startsWith("x-ms-"))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const query = [...url.searchParams].sort(([a], [b]) => (a < b ? -1 : 1));
  const stringToSign =
    `${request.method}\n${"\n".repeat(11)}` +
    named.map(([name, value]) => `${name}:${value}\n`).join("") +
    `/${account}${url.pathname}` +
    query.map(([name, value]) => `\n${name}:${value}`).join("");
  return `SharedKey ${account}:${base64(await hmacSha256(fromBase64(request.key), stringToSign))}`;
}
