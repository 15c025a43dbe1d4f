/**
 * The real Worker in workerd with real D1 and Durable Objects, and Azurite, for all contract tests at once: started with
 * the first that asks, ended with the process. Tests share it, so each makes organizations of its own.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { SignJWT } from "jose";
import { createTestHarness } from "wrangler";
import type { Role } from "../../schema/api.ts";
import { startMicrosoft, type MicrosoftEmulator } from "../../tools/emulators/microsoft.ts";
import { QUIET_VARIABLES, ROOT } from "../../tools/environment.ts";
import { recordingConfig, STATEMENTS_PATH, WAKES_PATH, type Wakes } from "./statements.ts";
import { startAzurite, type Azurite } from "../../tools/stack/azurite.ts";

Object.assign(process.env, QUIET_VARIABLES);

export const SSO_SECRET = "contract-sso-secret-0123456789-0123456789";
export const DEV_HUB_SECRET = "contract-dev-hub-secret-0123456789-0123456789";
/** The newest, and the one before it. */
export const SECRETS_KEYS =
  "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,k0:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const SECRETS = {
  PORTAL_SSO_SECRET: SSO_SECRET,
  SECRETS_KEYS,
  CODE_PEPPER: "contract-code-pepper-0123456789-0123456789",
  DEV_HUB_SECRET,
  // Tests are faster than people.
  SESSION_REQUESTS_PER_MINUTE: "100000",
  LIVE_CHECK_SECONDS: "4",
};

/** As much of D1 as tests use to look behind the API. */
export interface Database {
  prepare(sql: string): { bind(...values: unknown[]): Statement };
  batch(statements: Statement[]): Promise<{ results: unknown[] }[]>;
}
/** As much of R2. */
export interface Bucket {
  list(options: { prefix: string }): Promise<{ objects: { key: string; size: number }[] }>;
  delete(key: string): Promise<void>;
  put(key: string, content: string | Uint8Array): Promise<unknown>;
}
interface Statement {
  first<Row>(): Promise<Row | null>;
  all<Row>(): Promise<{ results: Row[] }>;
  run(): Promise<unknown>;
}

export interface ControlPlane {
  /** `http://127.0.0.1:<port>`, without a slash. */
  readonly origin: string;
  readonly database: Database;
  readonly manifests: Bucket;
  readonly releases: Bucket;
  /** The cron that is run once a minute. */
  sweep(atMs?: number): Promise<void>;
  /** All that the Worker has sent to D1 so far; none of a Worker that was built beforehand. */
  statements(): Promise<string[]>;
  /** What an agent's object has done so far; null of a Worker that was built beforehand. */
  wakes(agentId: string): Promise<Wakes | null>;
  /** Takes an agent's object out of memory; its sockets stay. */
  hibernate(agentId: string): Promise<void>;
  /** Every line the Worker and its objects have logged. */
  logs(): string[];
  /** Rows of an agent's object's own SQLite. */
  objectRows(agentId: string, sql: string, ...parameters: unknown[]): Promise<unknown[]>;
}

const shared = globalThis as {
  contractControlPlane?: Promise<ControlPlane>;
  contractAzurite?: Promise<Azurite>;
  contractMicrosoft?: Promise<MicrosoftEmulator>;
};

export function controlPlane(): Promise<ControlPlane> {
  return (shared.contractControlPlane ??= microsoft().then(({ variables }) =>
    startControlPlane({ secrets: { ...SECRETS, ...variables } }),
  ));
}

/** Microsoft's sign-in, lists and Blob service, in front of {@link azurite}. */
export function microsoft(): Promise<MicrosoftEmulator> {
  return (shared.contractMicrosoft ??= startMicrosoft({
    storage: async () => new URL((await azurite()).blobEndpoint).origin,
  }));
}

export function azurite(): Promise<Azurite> {
  return (shared.contractAzurite ??= startStorage());
}

async function startStorage(): Promise<Azurite> {
  const dataDir = mkdtempSync(join(tmpdir(), "contract-azurite-"));
  process.on("exit", () => rmSync(dataDir, { recursive: true, force: true }));
  return await startAzurite({ dataDir });
}

/** Of the Worker as it is, or of one that notes its statements where nothing speaks against it. */
function configPath(env: string | undefined, bundle: string | undefined): string {
  return env === undefined && bundle === undefined ? recordingConfig() : join(ROOT, "wrangler.toml");
}

export async function startControlPlane(options: {
  secrets: Record<string, string>;
  env?: string;
}): Promise<
  ControlPlane & { fetch(path: string, init?: RequestInit): Promise<Response>; close(): Promise<void> }
> {
  // The Worker serves the dashboard's files, so there must be some; tests of the API do not care which.
  const index = join(ROOT, "dist/ui/index.html");
  if (!existsSync(index)) {
    mkdirSync(join(ROOT, "dist/ui"), { recursive: true });
    writeFileSync(index, "<!doctype html><title>The One Migrate</title>");
  }
  // A Worker built beforehand, for tests that ask what these tests say of one that was tampered with.
  const bundle = process.env["CONTRACT_BUNDLE"];
  const built = bundle === undefined || options.env !== undefined ? {} : { prebuiltWorkerDir: bundle };
  const server = createTestHarness({
    workers: [{ configPath: configPath(options.env, bundle), ...built, ...options }],
  });
  const { url } = await server.listen();
  const worker = server.getWorker();
  await worker.applyD1Migrations("DB");
  const database = (await worker.getEnv())["DB"] as Database;
  const manifests = (await worker.getEnv())["MANIFESTS"] as Bucket;
  const releases = (await worker.getEnv())["RELEASES"] as Bucket;
  return {
    origin: url.origin,
    database,
    manifests,
    releases,
    async sweep(atMs = Date.now()) {
      await worker.scheduled({ cron: "* * * * *", scheduledTime: new Date(atMs) });
    },
    logs: () => server.getLogs().map(({ message }) => message),
    hibernate: (name) => worker.evictDurableObject("AGENT", { name, webSockets: "hibernate" }),
    async objectRows(name, sql, ...parameters) {
      const storage = await worker.getDurableObjectStorage("AGENT", { name });
      return await storage.exec(sql, ...parameters);
    },
    async statements() {
      const answer = await worker.fetch(STATEMENTS_PATH);
      return answer.ok ? ((await answer.json()) as string[]) : [];
    },
    async wakes(agentId) {
      const answer = await worker.fetch(`${WAKES_PATH}?agent=${agentId}`);
      return answer.ok ? ((await answer.json()) as Wakes) : null;
    },
    fetch: async (path, init) => (await worker.fetch(path, init as never)) as unknown as Response,
    close: () => server.close(),
  };
}

// --- people ---

/** A browser: keeps cookies, and sends what browsers send from the dashboard's own pages. */
export class Browser {
  readonly origin: string;
  readonly cookies = new Map<string, string>();
  /** Its own, as everybody has one. */
  readonly address = randomAddress();

  constructor(origin: string) {
    this.origin = origin;
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers({
      origin: this.origin,
      "sec-fetch-site": "same-origin",
      "cf-connecting-ip": this.address,
    });
    if (this.cookies.size > 0) headers.set("cookie", this.cookieHeader);
    for (const [name, value] of new Headers(init.headers)) headers.set(name, value);
    const response = await fetch(this.origin + path, { ...init, headers, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) {
      const [pair = "", ...attributes] = line.split(";");
      const [name = "", value = ""] = pair.split("=");
      if (attributes.some((attribute) => attribute.trim().toLowerCase() === "max-age=0"))
        this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return response;
  }

  get cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  async json(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const sent =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
    const response = await this.fetch(path, { method, headers, ...sent });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
    return { status: response.status, text, body: isJson ? JSON.parse(text) : null };
  }

  async get<Body>(path: string): Promise<Body> {
    return expectOk(await this.json("GET", path)) as Body;
  }

  async post<Body>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Body> {
    return expectOk(await this.json("POST", path, body, headers)) as Body;
  }

  async patch<Body>(path: string, body: unknown): Promise<Body> {
    return expectOk(await this.json("PATCH", path, body)) as Body;
  }
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly body: unknown;
}

function expectOk(answer: Answer): unknown {
  if (answer.status < 200 || answer.status > 299)
    throw new Error(`Cannot go on: ${answer.status} ${answer.text}`);
  return answer.body;
}

export type Claims = Record<string, unknown>;

/** Of the range that is set aside for benchmarks (RFC 2544). */
export function randomAddress(): string {
  const [a = 0, b = 0, c = 0] = crypto.getRandomValues(new Uint8Array(3));
  return `198.${18 + (a % 2)}.${b}.${c}`;
}

export function unique(): string {
  return crypto.randomUUID().slice(0, 13);
}

export async function hubToken(claims: Claims = {}): Promise<string> {
  const all: Claims = {
    iss: "the-one-hub",
    iat: Math.floor(Date.now() / 1000),
    jti: crypto.randomUUID(),
    platform: "migrate",
    hub_user_id: `hub-${unique()}`,
    email: "olivia@example.com",
    name: "Olivia Owner",
    orgRole: "owner",
    tenantId: `tenant-${unique()}`,
    tenantName: "Demo MSP",
    ...claims,
  };
  return await new SignJWT(JSON.parse(JSON.stringify(all)) as Claims)
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(SSO_SECRET));
}

/** A browser in which somebody has signed in, as the Hub's token tells. */
export async function signIn(claims: Claims = {}): Promise<Browser> {
  const browser = new Browser((await controlPlane()).origin);
  await browser.fetch("/sso/start");
  const response = await browser.fetch(`/sso?token=${await hubToken(claims)}`);
  if (response.status !== 303) throw new Error(`Cannot sign in: ${response.status}`);
  return browser;
}

// --- an organization with one of everything ---

export interface Organization {
  readonly tenantId: string;
  /** Stands in everything that has a name, so that it is known wherever it should not be. */
  readonly canary: string;
  readonly orgId: string;
  readonly people: Readonly<Record<Role, Browser>>;
  readonly clientId: string;
  readonly connectionId: string;
  readonly container: string;
  readonly projectId: string;
  readonly openCodeId: string;
  readonly apiKeyId: string;
  readonly agentId: string;
  readonly agentKey: string;
  readonly jobId: string;
  /** The owner's. */
  readonly sessionId: string;
  /** To an address that answers nobody; a test that wants an answer makes its own. */
  readonly webhookId: string;
  /** A sign-in with Microsoft that the owner has begun. */
  readonly consentId: string;
}

export const ROLES = ["viewer", "member", "admin", "owner"] as const;

export async function makeOrganization(): Promise<Organization> {
  const { database } = await controlPlane();
  const tenantId = `tenant-${unique()}`;
  const canary = `canary-${unique()}`;
  const signed = await Promise.all(
    ROLES.map(async (role) => {
      const person = {
        hub_user_id: `${role}-${canary}`,
        email: `${role}@${canary}.example`,
        name: `${role} ${canary}`,
      };
      return [role, await signIn({ tenantId, tenantName: canary, orgRole: role, ...person })] as const;
    }),
  );
  const people = Object.fromEntries(signed) as Record<Role, Browser>;
  const { owner } = people;
  const { organization } = await owner.get<{ organization: { id: string } }>("/api/session");
  const client = await owner.post<{ id: string }>("/api/clients", { name: `client ${canary}` });
  const connection = await makeConnection(owner, `storage ${canary}`);
  const container = `c-${unique()}`;
  await owner.post(`/api/storage-connections/${connection.id}/containers`, { name: container });
  const project = await owner.post<{ id: string }>("/api/projects", {
    clientId: client.id,
    type: "file_migration",
    name: `project ${canary}`,
    storage: { connectionId: connection.id, container },
  });
  const open = await owner.post<{ id: string }>("/api/registration-codes", { label: `code ${canary}` });
  const apiKey = await owner.post<{ id: string }>("/api/api-keys", { name: `key ${canary}`, role: "viewer" });
  const agent = await registerAgent(owner, `agent ${canary}`);
  const job = await makeJob(owner, { projectId: project.id, agentId: agent.agentId, name: `job ${canary}` });
  const consent = await owner.post<{ id: string }>("/api/azure/consents", {});
  // Port 9, where nothing listens, on this machine: no test reaches the outside.
  const webhook = await owner.post<{ id: string }>("/api/webhooks", {
    url: `http://127.0.0.1:9/${canary}`,
    events: ["project.auth_required"],
  });
  const sessions = await owner.get<{ items: { id: string }[] }>("/api/sessions");
  await database
    .prepare(
      "insert into job_failures (org_id, job_id, epoch, number, path, code, message) values (?, ?, 1, 0, ?, 'source_denied', 'denied')",
    )
    .bind(organization.id, job.id, `failed ${canary}`)
    .run();
  return {
    tenantId,
    canary,
    orgId: organization.id,
    people,
    clientId: client.id,
    connectionId: connection.id,
    container,
    projectId: project.id,
    openCodeId: open.id,
    apiKeyId: apiKey.id,
    agentId: agent.agentId,
    agentKey: agent.key,
    jobId: job.id,
    sessionId: sessions.items[0]?.id ?? "",
    consentId: consent.id,
    webhookId: webhook.id,
  };
}

export async function makeConnection(browser: Browser, name: string): Promise<{ id: string }> {
  const { connectionString } = await azurite();
  return await browser.post("/api/storage-connections", {
    kind: "connection_string",
    name,
    connectionString,
  });
}

export async function makeJob(
  browser: Browser,
  job: {
    projectId: string;
    agentId: string;
    name?: string;
    type?: string;
    options?: object;
    confirmDeletionOf?: string;
  },
): Promise<{ id: string; epoch: number; desiredRev: number; status: string }> {
  return await browser.post("/api/jobs", {
    name: "First pass",
    type: "migrate_files",
    source: { kind: "local", path: "/srv/files" },
    // No two jobs that are not finished may write to one place.
    destination: { prefix: unique() },
    ...job,
  });
}

export async function registerAgent(owner: Browser, name: string): Promise<{ agentId: string; key: string }> {
  const { code } = await owner.post<{ code: string }>("/api/registration-codes", { label: name });
  const answer = await asMachine("POST", "/api/agent/register", { code, ...MACHINE, name });
  return expectOk(answer) as { agentId: string; key: string };
}

export const MACHINE = { host: "fs01", os: "linux", arch: "x86_64", version: "0.1.0" };

/** A call without cookies and without an origin, as agents make them. */
export async function asMachine(method: string, path: string, body?: unknown, key?: string): Promise<Answer> {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "cf-connecting-ip": randomAddress(),
  };
  if (key !== undefined) headers["authorization"] = `Bearer ${key}`;
  const { origin } = await controlPlane();
  const response = await fetch(origin + path, {
    method,
    headers,
    redirect: "manual",
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  return { status: response.status, text, body: isJson ? JSON.parse(text) : null };
}

// --- sockets ---

/** Asks for an upgrade by hand, and tells how it was answered. `socket` is handed on; without a taker it is dropped. */
export async function upgrade(
  path: string,
  headers: Record<string, string>,
  take: (socket: Duplex) => void = (socket) => void socket.destroy(),
): Promise<{ status: number; text: string }> {
  const { origin } = await controlPlane();
  return await new Promise((resolve, reject) => {
    const asked = request(origin + path, {
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        ...headers,
      },
    });
    asked.on("upgrade", (response, socket) => {
      take(socket);
      resolve({ status: response.statusCode ?? 0, text: "" });
    });
    asked.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** Node's own WebSocket takes headers, which the standard does not know. */
const HeadedWebSocket = WebSocket as unknown as new (
  url: string,
  options: { headers: Record<string, string>; protocols?: string[] },
) => WebSocket;

const SOCKET_LIMIT_MS = 10_000;

/** A socket whose messages are waited for one after the other. */
export class Line {
  readonly #socket: WebSocket;
  readonly texts: string[] = [];
  readonly closed: Promise<number>;
  #news = Promise.withResolvers<void>();
  #taken = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.addEventListener("close", ({ code }) => resolve(code)));
    socket.addEventListener("message", ({ data }) => {
      this.texts.push(String(data));
      this.#news.resolve();
      this.#news = Promise.withResolvers();
    });
  }

  static async open(
    path: string,
    options: { headers: Record<string, string>; protocols?: string[] },
  ): Promise<Line> {
    const { origin } = await controlPlane();
    const socket = new HeadedWebSocket(origin.replace("http", "ws") + path, options);
    const line = new Line(socket);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      socket.addEventListener("error", () => reject(new Error(`Cannot open a socket at ${path}`)));
    });
    return line;
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.#socket.send(data);
  }

  close(code?: number): void {
    this.#socket.close(code);
  }

  /** The next text for which `fits` holds, of those that were not taken yet; the ones before it are passed over. */
  async next<Found>(fits: (text: string) => Found | undefined): Promise<Found> {
    const late = setTimeout(
      () => this.#news.reject(new Error(`Nothing came; so far: ${this.texts.join("\n")}`)),
      SOCKET_LIMIT_MS,
    );
    try {
      for (;;) {
        while (this.#taken < this.texts.length) {
          const found = fits(this.texts[this.#taken++] ?? "");
          if (found !== undefined) return found;
        }
        await this.#news.promise;
      }
    } finally {
      clearTimeout(late);
    }
  }
}
