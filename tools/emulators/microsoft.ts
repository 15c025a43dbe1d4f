/**
 * Microsoft as far as the product talks to it: sign-in page and tokens of Entra ID, lists of Azure Resource Manager, and in
 * front of the storage emulator a Blob service that knows people: bearer tokens, roles, user delegation keys, and the
 * signatures made with them. What those allow is checked here; then the request is signed anew with the account's key.
 *
 * It keeps what matters to a client: PKCE, single-use codes, refresh tokens that are replaced, tokens of one service each,
 * paging with `nextLink`, and faults that can be armed ({@link MicrosoftEmulator.fault}, or POST `/__fault`).
 */
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { BlobDoor } from "./microsoft-blob.ts";

export const TENANT = "22222222-2222-4222-8222-222222222222";
export const OTHER_TENANT = "33333333-3333-4333-8333-333333333333";
export const CLIENT_ID = "44444444-4444-4444-8444-444444444444";
export const CLIENT_SECRET = "emulator-client-secret";
export const SUBSCRIPTION = "55555555-5555-4555-8555-555555555555";
const SECOND_SUBSCRIPTION = "66666666-6666-4666-8666-666666666666";
const CODE_MS = 10 * 60_000;
const BODY_BYTES_MAX = 64 * 1024;

/** `contributor`: may use blobs; `reader`: sees accounts in the lists. */
export interface Person {
  readonly objectId: string;
  readonly name: string;
  readonly tenantId: string;
  readonly roles: readonly ("contributor" | "reader")[];
}

/** Whoever may sign in, by the id their button sends. */
export const PEOPLE: Readonly<Record<string, Person>> = {
  olivia: person(1, "olivia@contoso.example", ["contributor", "reader"]),
  bob: person(2, "bob@contoso.example", ["contributor"]),
  rita: person(3, "rita@contoso.example", ["reader"]),
  nick: person(4, "nick@contoso.example", []),
  zoe: { ...person(5, "zoe@fabrikam.example", ["contributor", "reader"]), tenantId: OTHER_TENANT },
};

function person(number: number, name: string, roles: Person["roles"]): Person {
  return { objectId: `11111111-1111-4111-8111-11111111111${number}`, name, tenantId: TENANT, roles };
}

export interface AccountFacts {
  readonly name: string;
  readonly sku: string;
  readonly hierarchical: boolean;
  readonly firewalled: boolean;
}

export const ACCOUNTS: readonly AccountFacts[] = [
  { name: "devstoreaccount1", sku: "Standard_LRS", hierarchical: false, firewalled: false },
  { name: "emulatedlake", sku: "Standard_ZRS", hierarchical: true, firewalled: false },
  { name: "emulatedwall", sku: "Premium_LRS", hierarchical: false, firewalled: true },
];

/** What the next requests that fit are answered with instead, or after `delayMs`. */
export interface Fault {
  /** Looked for in `METHOD /path?query`. */
  readonly route: string;
  /** Of the requests that fit, the first one it is for, from 1. */
  readonly nth?: number;
  readonly times?: number;
  readonly delayMs?: number;
  /** Absent: the request is carried out after the delay. `reset`: the connection breaks off. */
  readonly answer?: "reset" | { status: number; headers?: Record<string, string>; body?: unknown };
}

export interface MicrosoftEmulator {
  /** For the Worker: where everything is, and who we are. */
  readonly variables: Readonly<Record<string, string>>;
  readonly directoryUrl: string;
  readonly blobUrl: string;
  fault(fault: Fault): void;
  clearFaults(): void;
  /** All refresh tokens of this person end, as when their sessions are revoked. */
  revoke(person: string): void;
  /** How long access tokens given from now on live. */
  tokenSeconds: number;
  /** Whether a refresh token is worth nothing once it was used; Microsoft's are. */
  strictRotation: boolean;
  /** `METHOD /path` of everything asked, without queries. */
  readonly asked: string[];
  stop(): Promise<void>;
}

interface Code {
  readonly person: Person;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly nonce: string;
  readonly clientId: string;
  readonly expiresAtMs: number;
}

export interface Grantee {
  readonly person: Person;
  readonly audience: string;
  readonly expiresAtMs: number;
}

class Emulator implements MicrosoftEmulator {
  tokenSeconds = 3_600;
  strictRotation = false;
  readonly asked: string[] = [];
  directoryUrl = "";
  blobUrl = "";
  readonly #codes = new Map<string, Code>();
  readonly #refreshTokens = new Map<string, Person>();
  readonly #accessTokens = new Map<string, Grantee>();
  #faults: { fault: Fault; seen: number; done: number }[] = [];
  readonly #servers: Server[] = [];
  readonly #blobs: BlobDoor;

  constructor(storage: () => Promise<string>) {
    this.#blobs = new BlobDoor({
      storage,
      accounts: ACCOUNTS,
      whoHas: (token) => this.#accessTokens.get(token) ?? null,
    });
  }

  async start(ports: { directory: number; blob: number }): Promise<void> {
    this.directoryUrl = await this.#listen(ports.directory, (request, response) =>
      this.#directory(request, response),
    );
    this.blobUrl = await this.#listen(ports.blob, (request, response) =>
      this.#blobs.answer(request, response),
    );
  }

  get variables(): Record<string, string> {
    return {
      AZURE_CLIENT_ID: CLIENT_ID,
      AZURE_CLIENT_SECRET: CLIENT_SECRET,
      AZURE_AUTHORITY_URL: this.directoryUrl,
      AZURE_MANAGEMENT_URL: this.directoryUrl,
      AZURE_BLOB_URL: `${this.blobUrl}/{account}`,
    };
  }

  fault(fault: Fault): void {
    this.#faults.push({ fault, seen: 0, done: 0 });
  }

  clearFaults(): void {
    this.#faults = [];
  }

  revoke(name: string): void {
    const person = PEOPLE[name];
    for (const [token, owner] of this.#refreshTokens) if (owner === person) this.#refreshTokens.delete(token);
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    }
  }

  async #listen(
    port: number,
    answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  ): Promise<string> {
    const server = createServer((request, response) => {
      this.#withFaults(request, response, answer).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(String(error));
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port, host: "127.0.0.1" }, resolve);
    });
    this.#servers.push(server);
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async #withFaults(
    request: IncomingMessage,
    response: ServerResponse,
    answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  ): Promise<void> {
    const { method = "", url = "/" } = request;
    this.asked.push(`${method} ${url.split("?")[0]}`);
    if (this.asked.length > 10_000) this.asked.shift();
    const fault = this.#nextFault(`${method} ${url}`);
    if (fault?.delayMs !== undefined) await new Promise((done) => setTimeout(done, fault.delayMs));
    if (fault?.answer === undefined) return await answer(request, response);
    if (fault.answer === "reset") return void request.socket.destroy();
    const { status, headers, body = {} } = fault.answer;
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  }

  #nextFault(line: string): Fault | null {
    for (const armed of this.#faults) {
      const { route, nth = 1, times = 1 } = armed.fault;
      if (!line.includes(route)) continue;
      if (++armed.seen < nth || armed.done >= times) continue;
      armed.done++;
      return armed.fault;
    }
    return null;
  }

  // --- Entra ID and Resource Manager ---

  async #directory(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.directoryUrl);
    const route = `${request.method} ${url.pathname}`;
    const oauth = /^(GET|POST) \/([^/]+)\/oauth2\/v2\.0\/(authorize|token)$/.exec(route);
    if (oauth !== null && oauth[3] === "token")
      return await this.#token(request, response, oauth[2] as string);
    if (oauth !== null) return await this.#authorize(request, response, url);
    if (route === "POST /__fault") {
      this.fault(JSON.parse(await readBody(request)) as Fault);
      return void response.writeHead(204).end();
    }
    if (route === "DELETE /__fault") {
      this.clearFaults();
      return void response.writeHead(204).end();
    }
    if (request.method === "GET" && url.pathname.startsWith("/subscriptions")) {
      return this.#resourceManager(request, response, url);
    }
    // A browser asks for it by itself.
    if (route === "GET /favicon.ico") return void response.writeHead(204).end();
    response.writeHead(404).end();
  }

  /** GET shows who may sign in; POST with `person` is the click, `decline` the other button. */
  async #authorize(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const query = url.searchParams;
    const redirectUri = query.get("redirect_uri") ?? "";
    const wrong = this.#wrongAuthorize(query);
    if (wrong !== null) return void response.writeHead(400, { "content-type": "text/plain" }).end(wrong);
    if (request.method === "GET") {
      const page = signInPage(url, url.pathname.split("/")[1] as string);
      return void response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
    }
    const form = new URLSearchParams(await readBody(request));
    const back = new URL(redirectUri);
    back.searchParams.set("state", query.get("state") ?? "");
    const person = PEOPLE[form.get("person") ?? ""];
    if (person === undefined) {
      back.searchParams.set("error", "access_denied");
      back.searchParams.set("error_description", "AADSTS65004: declined");
    } else {
      const code = `0.${randomBytes(24).toString("base64url")}`;
      this.#codes.set(code, {
        person,
        redirectUri,
        challenge: query.get("code_challenge") ?? "",
        nonce: query.get("nonce") ?? "",
        clientId: query.get("client_id") ?? "",
        expiresAtMs: Date.now() + CODE_MS,
      });
      back.searchParams.set("code", code);
      back.searchParams.set("session_state", randomUUID());
    }
    response.writeHead(302, { location: back.href }).end();
  }

  #wrongAuthorize(query: URLSearchParams): string | null {
    if (query.get("client_id") !== CLIENT_ID) return "AADSTS700016: no such application";
    if (query.get("response_type") !== "code") return "AADSTS900144: response_type";
    if (!/^http:\/\/127\.0\.0\.1:\d+\/api\/azure\/callback$/.test(query.get("redirect_uri") ?? ""))
      return "AADSTS50011: the redirect URI does not match";
    if (query.get("code_challenge_method") !== "S256" || (query.get("code_challenge") ?? "").length !== 43)
      return "AADSTS501491: invalid code challenge";
    if (query.get("prompt") !== "select_account") return "the account picker must be forced";
    return null;
  }

  async #token(request: IncomingMessage, response: ServerResponse, tenant: string): Promise<void> {
    const form = new URLSearchParams(await readBody(request));
    const refuse = (error: string, code: number, status = 400) =>
      json(response, status, {
        error,
        error_description: `AADSTS${code}: no. Trace ID: ${randomUUID()}`,
        error_codes: [code],
        correlation_id: randomUUID(),
      });
    if (form.get("client_id") !== CLIENT_ID || form.get("client_secret") !== CLIENT_SECRET)
      return refuse("invalid_client", 7000215, 401);
    const scopes = (form.get("scope") ?? "").split(" ");
    const services = scopes.filter((scope) => scope.startsWith("https://"));
    const [service] = services;
    if (services.length !== 1 || service === undefined) return refuse("invalid_scope", 28000);
    const audience = new URL(service).origin;
    let person: Person;
    let nonce: string | null = null;
    if (form.get("grant_type") === "authorization_code") {
      const code = this.#codes.get(form.get("code") ?? "");
      this.#codes.delete(form.get("code") ?? "");
      if (code === undefined || code.expiresAtMs < Date.now()) return refuse("invalid_grant", 70008);
      if (code.redirectUri !== form.get("redirect_uri")) return refuse("invalid_grant", 50011);
      const verifier = form.get("code_verifier") ?? "";
      const challenge = createHash("sha256").update(verifier).digest("base64url");
      if (challenge !== code.challenge) return refuse("invalid_grant", 501481);
      ({ person, nonce } = code);
    } else {
      const token = form.get("refresh_token") ?? "";
      const owner = this.#refreshTokens.get(token);
      if (form.get("grant_type") !== "refresh_token" || owner === undefined)
        return refuse("invalid_grant", 700082);
      if (this.strictRotation) this.#refreshTokens.delete(token);
      person = owner;
    }
    if (tenant !== "organizations" && tenant !== person.tenantId) return refuse("invalid_grant", 50020);
    json(response, 200, this.#give(person, audience, nonce));
  }

  #give(person: Person, audience: string, nonce: string | null): Record<string, unknown> {
    const [accessToken, refreshToken] = [randomBytes(32), randomBytes(32)].map((bytes) =>
      bytes.toString("base64url"),
    ) as [string, string];
    const nowMs = Date.now();
    const expiresAtMs = nowMs + this.tokenSeconds * 1_000;
    this.#accessTokens.set(accessToken, { person, audience, expiresAtMs });
    this.#refreshTokens.set(refreshToken, person);
    const claims = {
      iss: `${this.directoryUrl}/${person.tenantId}/v2.0`,
      aud: CLIENT_ID,
      exp: Math.floor(expiresAtMs / 1_000),
      iat: Math.floor(nowMs / 1_000),
      tid: person.tenantId,
      oid: person.objectId,
      preferred_username: person.name,
      nonce,
    };
    const idToken = [{ alg: "RS256", typ: "JWT" }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return {
      token_type: "Bearer",
      expires_in: this.tokenSeconds,
      access_token: accessToken,
      refresh_token: refreshToken,
      ...(nonce === null ? {} : { id_token: `${idToken}.c2lnbmF0dXJl` }),
    };
  }

  #resourceManager(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
    const grantee = this.#accessTokens.get(token);
    if (
      grantee === undefined ||
      grantee.expiresAtMs < Date.now() ||
      grantee.audience !== "https://management.azure.com"
    )
      return json(response, 401, { error: { code: "InvalidAuthenticationToken", message: "no" } });
    if (url.searchParams.get("api-version") === null)
      return json(response, 400, { error: { code: "MissingApiVersionParameter", message: "no" } });
    const sees = grantee.person.roles.includes("reader");
    if (url.pathname === "/subscriptions") {
      const all = [SUBSCRIPTION, SECOND_SUBSCRIPTION].map((id, index) => ({
        id: `/subscriptions/${id}`,
        subscriptionId: id,
        displayName: `Subscription ${index + 1}`,
        state: "Enabled",
        tenantId: TENANT,
      }));
      return this.#page(response, url, sees ? all : []);
    }
    const accounts = /^\/subscriptions\/([^/]+)\/providers\/Microsoft\.Storage\/storageAccounts$/.exec(
      url.pathname,
    );
    if (accounts !== null) {
      if (!sees) return this.#page(response, url, []);
      return this.#page(response, url, accounts[1] === SUBSCRIPTION ? ACCOUNTS.map(showAccount) : []);
    }
    const one =
      /\/providers\/Microsoft\.Storage\/storageAccounts\/([a-z0-9]+)(\/blobServices\/default\/containers)?$/i.exec(
        url.pathname,
      );
    const facts = ACCOUNTS.find(({ name }) => name === one?.[1]);
    if (!sees) return json(response, 403, { error: { code: "AuthorizationFailed", message: "no" } });
    if (facts === undefined)
      return json(response, 404, { error: { code: "ResourceNotFound", message: "no" } });
    if (one?.[2] === undefined) return json(response, 200, showAccount(facts));
    this.#page(
      response,
      url,
      ["archive", "files", "plans"].map((name) => ({ name, properties: {} })),
    );
  }

  /** One item each, so that every list has more than one page. */
  #page(response: ServerResponse, url: URL, all: readonly unknown[]): void {
    const at = Number(url.searchParams.get("$skiptoken") ?? "0");
    const next = new URL(url);
    next.searchParams.set("$skiptoken", String(at + 1));
    json(response, 200, {
      value: all.slice(at, at + 1),
      ...(at + 1 < all.length ? { nextLink: next.href } : {}),
    });
  }
}

/** `storage`: where the storage emulator listens, such as `http://127.0.0.1:10000`; asked for when it is needed. */
export async function startMicrosoft(options: {
  readonly storage: () => Promise<string>;
  readonly directoryPort?: number;
  readonly blobPort?: number;
}): Promise<MicrosoftEmulator> {
  const emulator = new Emulator(options.storage);
  await emulator.start({ directory: options.directoryPort ?? 0, blob: options.blobPort ?? 0 });
  return emulator;
}

export function resourceIdOf(name: string): string {
  return `/subscriptions/${SUBSCRIPTION}/resourceGroups/storage-rg/providers/Microsoft.Storage/storageAccounts/${name}`;
}

function showAccount({ name, sku, hierarchical, firewalled }: AccountFacts) {
  return {
    id: resourceIdOf(name),
    name,
    location: "westeurope",
    kind: "StorageV2",
    sku: { name: sku, tier: sku.split("_")[0] },
    properties: {
      isHnsEnabled: hierarchical,
      networkAcls: { defaultAction: firewalled ? "Deny" : "Allow" },
      provisioningState: "Succeeded",
    },
  };
}

function signInPage(url: URL, tenant: string): string {
  const action = escapeHtml(url.pathname + url.search);
  const buttons = Object.entries(PEOPLE).map(
    ([id, { name, roles, tenantId }]) =>
      `<p><button name="person" value="${id}">${name}</button> ${roles.join(", ") || "no role"}${tenantId === TENANT ? "" : ", another tenant"}</p>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Pick an account</title>
<h1>Pick an account</h1><p>This is an emulator of Microsoft's sign-in page (${escapeHtml(tenant)}).</p>
<form method="post" action="${action}">${buttons.join("")}<p><button name="decline" value="1">Cancel</button></p></form></html>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
  response.end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = "";
  request.setEncoding("utf8");
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > BODY_BYTES_MAX) throw new Error("The body is too long");
  }
  return text;
}
