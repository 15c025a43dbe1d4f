/**
 * The little the control plane itself asks the Blob service: which containers are there, is this credential any good, make
 * a container. With the account's key by the Shared Key scheme, with a SAS by its query, with an access token as the bearer.
 * Bytes of files never pass here.
 */
import { base64, fromBase64, hmacSha256 } from "../secrets.ts";
import type { StorageAccount, StorageSecret } from "./storage-account.ts";

export const API_VERSION = "2023-11-03";
const LIMIT_MS = 10_000;
const ANSWER_BYTES_MAX = 1024 * 1024;

/** `reason` tells apart what a person can do about it; `token`: the access token is not taken, another one may be. */
export class BlobServiceError extends Error {
  override readonly name = "BlobServiceError";
  readonly reason: "unreachable" | "denied" | "token" | "missing" | "other";
  constructor(reason: BlobServiceError["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The account's containers (the first 5,000), or the one a SAS opens, after it has proved to be there. */
export async function listContainers(account: StorageAccount): Promise<string[]> {
  if (account.container !== null) {
    const query = { restype: "container", comp: "list", maxresults: "1" };
    await askBlobService(account, { method: "GET", path: `/${account.container}`, query });
    return [account.container];
  }
  const xml = await askBlobService(account, { method: "GET", path: "/", query: { comp: "list" } });
  return Array.from(xml.matchAll(/<Container><Name>([a-z0-9$-]+)<\/Name>/g), (match) => match[1] as string);
}

/** Makes a container; false where it is there already. */
export async function createContainer(account: StorageAccount, name: string): Promise<boolean> {
  const there = "ContainerAlreadyExists";
  const request = {
    method: "PUT",
    path: `/${name}`,
    query: { restype: "container" },
    fine: [there],
  } as const;
  return !(await askBlobService(account, request)).includes(there);
}

/** One request, and the text of its answer. `fine`: codes of refusals that are none. Throws {@link BlobServiceError}. */
export async function askBlobService(
  account: StorageAccount,
  request: {
    readonly method: "GET" | "PUT" | "POST";
    readonly path: string;
    readonly query: Record<string, string>;
    /** Not with an account key, whose signature is made for requests without one. */
    readonly body?: string;
    readonly fine?: readonly string[];
  },
): Promise<string> {
  const { method, path, query, fine = [] } = request;
  const url = new URL(
    account.blobEndpoint + (path === "/" && new URL(account.blobEndpoint).pathname !== "/" ? "" : path),
  );
  url.search = new URLSearchParams(query).toString();
  const headers = new Headers({ "x-ms-version": API_VERSION, "x-ms-date": new Date().toUTCString() });
  const { secret } = account;
  switch (secret.kind) {
    case "container_sas":
      url.search += `&${secret.sas}`;
      break;
    case "bearer":
      headers.set("authorization", `Bearer ${secret.accessToken}`);
      break;
    case "connection_string":
      headers.set(
        "authorization",
        await sharedKey({ account: account.account, key: secret.accountKey, method, url, headers }),
      );
      break;
  }
  const { status, code, text } = await send(url, { method, headers, body: request.body ?? null });
  // The service names its errors; a bare one comes from something on the way, such as a proxy that found nobody.
  if (status >= 500 && code === "") throw unreachable(url);
  if ((status >= 200 && status < 300) || fine.includes(code)) return text;
  throw refused(status, code, secret.kind);
}

async function send(
  url: URL,
  init: { method: string; headers: Headers; body: string | null },
): Promise<{ status: number; code: string; text: string }> {
  try {
    const response = await fetch(url, {
      ...init,
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

function refused(status: number, code: string, kind: StorageSecret["kind"]): BlobServiceError {
  const answer = code === "" ? `status ${status}` : code;
  if (kind === "bearer" && status === 401) {
    return new BlobServiceError("token", `The storage account does not take the sign-in (${answer})`);
  }
  if (kind === "bearer" && status === 403) {
    return new BlobServiceError(
      "denied",
      `The storage account denies access (${answer}); the account that signed in needs the role "Storage Blob Data Contributor" on the whole storage account, which may take ten minutes to hold, and the storage account's firewall must let it in`,
    );
  }
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
