/** Real servers of the sites that there are: a firewall, a proxy, a portal, a filter; one of them at a time. */
import assert from "node:assert/strict";
import { AGENT_PERMISSIONS } from "../../tools/agent-permissions.ts";
import type { Health } from "../../schema/health.ts";
import { HEARTBEAT, HEARTBEAT_ANSWER, SUBPROTOCOL } from "../../schema/protocol.ts";
import { denoProbe } from "../network-probe-deno.ts";
import { denoPlatform } from "../platform-deno.ts";
import type { Platform } from "../platform.ts";
import type { StatusFile } from "../status-file.ts";
import { runDoctor } from "./doctor-command.ts";
import { type Check, type Diagnosis, type DoctorInput } from "./doctor.ts";
import { INSPECTED, INSPECTING_AUTHORITY } from "./fakes/certificates.ts";

/** Of a check that waits in vain; a busy machine does the others within it. */
const LIMIT_MS = 2_000;
const KEY = "mig_agt1_key-of-a-test";
const LOCAL = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
const HEALTH: Health = {
  status: "ok",
  product: "The One Migrate",
  version: "0.1.0",
  checks: {
    database: { state: "ok", migration: null },
    durableObjects: { state: "ok" },
    objectStorage: { state: "ok" },
    keyRing: { state: "ok" },
    cron: { state: "ok", lastRunAt: null },
  },
};

type Answer = (request: Request) => Response | null;

/** The control plane, as far as the doctor asks it; `instead` stands in front of it. */
class Hub implements AsyncDisposable {
  readonly asked: string[] = [];
  readonly sockets: WebSocket[] = [];
  readonly #server: Deno.HttpServer;
  readonly url: string;

  constructor(instead: Answer = () => null, tls: { cert: string; key: string } | null = null) {
    const answer = (request: Request) => instead(request) ?? this.#answer(request);
    this.#server = tls === null ? Deno.serve(LOCAL, answer) : Deno.serve({ ...LOCAL, ...tls }, answer);
    const { port } = this.#server.addr as Deno.NetAddr;
    this.url = `${tls === null ? "http" : "https"}://127.0.0.1:${port}`;
  }

  #answer(request: Request): Response {
    const { pathname } = new URL(request.url);
    const isKnown = request.headers.get("Authorization") === `Bearer ${KEY}`;
    this.asked.push(`${request.method} ${pathname} ${isKnown ? "known" : "unknown"}`);
    if (pathname === "/api/health")
      return Response.json(HEALTH, { headers: { Date: new Date().toUTCString() } });
    if (!isKnown) return refusal(401, "UNAUTHORIZED");
    if (pathname === "/api/agent/sync")
      return Response.json({ frames: [], closed: { code: 1011, reason: "unknown line" } });
    if (request.headers.get("Upgrade") !== "websocket")
      return refusal(400, "VALIDATION_ERROR", { fields: { "": "no" } });
    if (request.headers.get("Sec-WebSocket-Protocol") !== SUBPROTOCOL)
      return refusal(400, "VALIDATION_ERROR", { fields: { "Sec-WebSocket-Protocol": "no" } });
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL });
    this.sockets.push(socket);
    socket.onmessage = ({ data }) => data === HEARTBEAT && socket.send(HEARTBEAT_ANSWER);
    return response;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.close();
    await this.#server.shutdown();
  }
}

function refusal(status: number, code: string, details: object | null = null): Response {
  return Response.json({ error: "No", code, details }, { status });
}

async function examine(
  given: Partial<DoctorInput> & { url: string },
): Promise<Diagnosis & { code: number; text: string }> {
  const folder = Deno.makeTempDirSync();
  const platform = denoPlatform(() => {});
  const input: DoctorInput = {
    platform,
    probe: denoProbe,
    environment: () => undefined,
    version: "migrate-agent 0.1.0",
    folder,
    registration: { kind: "registered", key: KEY },
    isRunning: false,
    roots: [],
    storage: [],
    limitMs: 5_000,
    signal: new AbortController().signal,
    ...given,
  };
  try {
    const said: string[] = [];
    const command = { kind: "doctor", url: null, state: null, storage: null, json: true } as const;
    const code = await runDoctor(command, input, (text) => said.push(text));
    const [text = ""] = said;
    return { ...(JSON.parse(text) as Diagnosis), code, text };
  } finally {
    platform.transport.close();
    Deno.removeSync(folder, { recursive: true });
  }
}

function checkOf({ checks }: Diagnosis, id: string): Check {
  const found = checks.find((check) => check.id === id);
  assert.ok(found !== undefined, id);
  return found;
}

function assertFinds(found: Diagnosis, id: string, state: Check["state"], what: RegExp, todo?: RegExp): void {
  const check = checkOf(found, id);
  assert.equal(check.state, state, JSON.stringify(found.checks, null, 1));
  assert.match(check.what, what);
  if (todo !== undefined) assert.match(check.todo ?? "", todo);
}

/** A port that nothing listens on. */
function closedPort(): number {
  const listener = Deno.listen(LOCAL);
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}

Deno.test("[A90] where nothing is in the way every check is ok, and what is left out says why", async () => {
  await using hub = new Hub();
  const found = await examine({ url: hub.url });
  assert.equal(found.result, "ok", found.text);
  assert.equal(found.code, 0);
  assert.match(found.needs[0] ?? "", /^127\.0\.0\.1, TCP port \d+: HTTPS and WebSocket/);
  assertFinds(found, "webSocket", "ok", /what is said is answered/);
  assertFinds(found, "longPoll", "ok", /knows this agent/);
  assertFinds(found, "storage", "skipped", /--storage/);
});

Deno.test("[A90] an agent that runs keeps its connection: only an upgrade that opens nothing is tried", async () => {
  await using hub = new Hub();
  const found = await examine({ url: hub.url, isRunning: true });
  assertFinds(found, "webSocket", "ok", /agent that is running was left alone/);
  assert.equal(hub.sockets.length, 0);
});

Deno.test("[A90] the key goes to nobody but the control plane it is for", async () => {
  await using hub = new Hub();
  const found = await examine({ url: hub.url, registration: { kind: "registered", key: null } });
  assert.equal(found.code, 0);
  assert.ok(hub.asked.length > 0 && hub.asked.every((one) => one.endsWith(" unknown")));
  await using portal = new Hub((request) => {
    assert.equal(request.headers.get("Authorization"), null);
    return new Response("<html>", { headers: { "content-type": "text/html" } });
  });
  assert.equal((await examine({ url: portal.url })).code, 1);
});

Deno.test("[A91] a name that does not resolve and a port that is closed are told apart", async () => {
  const unknown = await examine({ url: "https://hub.invalid" });
  assert.equal(unknown.code, 1);
  assertFinds(unknown, "dns", "failed", /hub\.invalid is not known here/, /DNS server.*HTTPS_PROXY/);
  assertFinds(unknown, "tcp", "skipped", /./);
  const port = closedPort();
  const closed = await examine({ url: `https://127.0.0.1:${port}` });
  assertFinds(closed, "dns", "ok", /./);
  assertFinds(
    closed,
    "tcp",
    "failed",
    new RegExp(`No connection to 127\\.0\\.0\\.1, port ${port}: .*refused`),
    /outbound TCP/,
  );
});

Deno.test("[A91] a proxy that asks for credentials says which, and one that refuses says so", async () => {
  const proxy = async (
    answer: string,
    url: (port: number) => string,
    test: (found: Diagnosis, heard: string) => void,
  ) => {
    const listener = Deno.listen(LOCAL);
    let heard = "";
    const serving = (async () => {
      for await (const connection of listener) {
        const bytes = new Uint8Array(4_096);
        const count = await connection.read(bytes);
        heard += new TextDecoder().decode(bytes.subarray(0, count ?? 0));
        // Who only tries the connection says nothing.
        if (count !== null) await connection.write(new TextEncoder().encode(answer));
        connection.close();
      }
    })();
    const { port } = listener.addr as Deno.NetAddr;
    const environment = (name: string) => (name === "HTTPS_PROXY" ? url(port) : undefined);
    const found = await examine({ url: "https://hub.invalid", environment });
    listener.close();
    await serving;
    test(found, heard);
  };
  const asks = (schemes: string) =>
    `HTTP/1.1 407 Proxy Authentication Required\r\n${schemes}Content-Length: 0\r\n\r\n`;
  await proxy(
    asks('Proxy-Authenticate: Basic realm="site"\r\n'),
    (port) => `http://127.0.0.1:${port}`,
    (found, heard) => {
      assertFinds(found, "dns", "ok", /the proxy/);
      assertFinds(
        found,
        "proxy",
        "failed",
        /asks for a name and password \(status 407; it takes Basic\)/,
        /HTTPS_PROXY=http:\/\/<name>:<password>@/,
      );
      assert.match(heard, /^CONNECT hub\.invalid:443 HTTP\/1\.1\r\nHost: hub\.invalid:443\r\n\r\n/);
    },
  );
  await proxy(
    asks("Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n"),
    (port) => `http://127.0.0.1:${port}`,
    (found) => {
      assertFinds(
        found,
        "proxy",
        "failed",
        /it takes Negotiate, NTLM/,
        /Basic only.*let this machine to hub\.invalid:443 without signing in/,
      );
    },
  );
  await proxy(
    asks("Proxy-Authenticate: Basic\r\n"),
    (port) => `http://me:wr%40ng@127.0.0.1:${port}`,
    (found, heard) => {
      assertFinds(found, "proxy", "failed", /does not accept the name and password/);
      assert.match(heard, new RegExp(`Proxy-Authorization: Basic ${btoa("me:wr@ng")}\r\n`));
      assert.ok(!JSON.stringify(found).includes("wr@ng") && !JSON.stringify(found).includes("wr%40ng"));
    },
  );
  await proxy(
    "HTTP/1.1 403 Forbidden\r\n\r\n",
    (port) => `127.0.0.1:${port}`,
    (found) => {
      assertFinds(
        found,
        "proxy",
        "failed",
        /refuses connections to hub\.invalid:443 \(status 403\)/,
        /allow CONNECT/,
      );
    },
  );
});

Deno.test("[A91] TLS that is inspected names the host and who issued the certificate", async () => {
  await using hub = new Hub(() => null, INSPECTED);
  const found = await examine({ url: hub.url });
  assertFinds(
    found,
    "tls",
    "failed",
    /^127\.0\.0\.1 shows a certificate that this machine does not trust: made out to "localhost", issued by "Contoso Inspection CA, Contoso Security"$/,
    /exempt 127\.0\.0\.1 from TLS inspection.*DENO_CERT/,
  );
  assert.deepEqual(hub.asked, []);
});

Deno.test("[A92] a WebSocket that is refused, or opens and passes nothing, is a warning while requests pass, else a failure", async () => {
  const isUpgrade = (request: Request) => request.headers.get("Upgrade") === "websocket";
  await using filter = new Hub((request) =>
    isUpgrade(request) ? new Response("Blocked", { status: 403 }) : null,
  );
  const refused = await examine({ url: filter.url });
  assertFinds(
    refused,
    "webSocket",
    "warning",
    /status 403.*by HTTPS requests instead/,
    /let WebSocket connections .* through/,
  );
  assert.equal(refused.code, 0);
  const running = await examine({ url: filter.url, isRunning: true });
  assertFinds(running, "webSocket", "warning", /status 403, by something on the way/);
  await using both = new Hub((request) =>
    isUpgrade(request) || request.url.endsWith("/sync") ? new Response("Blocked", { status: 403 }) : null,
  );
  const neither = await examine({ url: both.url });
  assertFinds(neither, "longPoll", "failed", /Something else answers in place of 127\.0\.0\.1: status 403/);
  assertFinds(neither, "webSocket", "failed", /status 403$/);
  assert.equal(neither.code, 1);
  await using silent = new Hub((request) =>
    isUpgrade(request) ? Deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL }).response : null,
  );
  const nothing = await examine({ url: silent.url, limitMs: LIMIT_MS });
  assertFinds(nothing, "webSocket", "warning", /nothing comes/);
});

Deno.test("[A93] a login page is never taken for the control plane, whatever its status", async () => {
  const page = '<!DOCTYPE html><html><head><title>Sign in\u001b[31m to "Guest"</title></head></html>';
  const pages: readonly (() => Response)[] = [
    () => new Response(page, { headers: { "content-type": "text/html" } }),
    () => new Response(page, { headers: { "content-type": "application/json" } }),
    () => new Response(null, { status: 302, headers: { Location: "http://portal.example/login?from=x" } }),
    () => new Response(page, { status: 511 }),
    () => Response.json({ status: "ok" }),
    () => new Response(new Uint8Array(3_000_000).fill(0x41)),
  ];
  for (const [index, answer] of pages.entries()) {
    await using portal = new Hub(() => answer());
    const found = await examine({ url: portal.url, storage: [portal.url] });
    assert.equal(found.code, 1, `page ${index}`);
    assertFinds(
      found,
      "hub",
      "failed",
      /Something else answers in place of 127\.0\.0\.1: status \d+/,
      /sign-in page/,
    );
    assertFinds(found, "storage", "failed", /Something else answers/);
    for (const id of ["longPoll", "webSocket", "clock"]) assertFinds(found, id, "skipped", /./);
    const told = found.checks.map(({ what }) => what).join("");
    assert.ok(!told.includes("\u001b"), "nothing of a foreign page acts on the terminal");
  }
  await using redirected = new Hub(pages[2]);
  assertFinds(await examine({ url: redirected.url }), "hub", "failed", /leads to "portal\.example"/);
});

Deno.test("[A94] a clock that is off is told by how much, and fails when nothing could work", async () => {
  const aheadBy = async (ms: number) => {
    await using hub = new Hub();
    const platform = denoPlatform(() => {});
    const later: Platform = { ...platform, clock: { ...platform.clock, now: () => Date.now() + ms } };
    try {
      return await examine({ url: hub.url, platform: later });
    } finally {
      platform.transport.close();
    }
  };
  assertFinds(await aheadBy(0), "clock", "ok", /right/);
  assertFinds(await aheadBy(61 * 60_000), "clock", "warning", /61 minutes ahead of/, /NTP/);
  assertFinds(await aheadBy(-3 * 86_400_000), "clock", "failed", /3 days behind/);
});

Deno.test("[A95] every check ends within its time, also where something takes connections and says nothing", async () => {
  const listener = Deno.listen(LOCAL);
  const held: Deno.Conn[] = [];
  const serving = (async () => {
    for await (const connection of listener) held.push(connection);
  })();
  const place = `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  const [plain, secured] = await Promise.all([
    examine({ url: `http://${place}`, limitMs: LIMIT_MS, storage: [`http://${place}`] }),
    examine({ url: `https://${place}`, limitMs: LIMIT_MS }),
  ]);
  assertFinds(plain, "hub", "failed", /No answer of 127\.0\.0\.1 within 2 seconds/, /dropped on their way/);
  assertFinds(plain, "storage", "failed", /No answer of 127\.0\.0\.1/);
  assertFinds(secured, "tls", "failed", /No answer of 127\.0\.0\.1/);
  listener.close();
  await serving;
  for (const connection of held) connection.close();
});

Deno.test("[A96] what the control plane refuses is told apart from what the way does", async () => {
  for (const [status, code, state, what] of [
    [401, "UNAUTHORIZED", "failed", /revoked or deleted/],
    [403, "AGENT_PENDING", "warning", /waits for approval/],
    [423, "AGENT_LOCKED", "failed", /locked/],
    [429, "RATE_LIMIT_EXCEEDED", "warning", /refusal: No/],
  ] as const) {
    await using hub = new Hub((request) =>
      request.url.includes("/api/agent/") ? refusal(status, code) : null,
    );
    assertFinds(await examine({ url: hub.url }), "longPoll", state, what);
  }
});

Deno.test("[A96] state folder, sources and registration are looked at as this account sees them", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.mkdirSync(`${folder}/source`);
    Deno.writeTextFileSync(`${folder}/source/a`, "a");
    Deno.writeTextFileSync(`${folder}/file`, "a");
    const url = `http://127.0.0.1:${closedPort()}`;
    const roots = [`${folder}/source`, `${folder}/gone`];
    const found = await examine({ url, folder: `${folder}/gone`, roots });
    const [good, gone] = found.checks.filter(({ id }) => id === "root");
    assert.equal(good?.state, "ok");
    assert.match(good?.what ?? "", /listed and read/);
    assert.equal(gone?.state, "failed");
    assertFinds(found, "state", "failed", /is not there/, /--state/);
    const unregistered = await examine({ url, folder: `${folder}/gone`, registration: { kind: "none" } });
    assertFinds(unregistered, "state", "skipped", /is made when/);
    assertFinds(unregistered, "registration", "warning", /not registered/, /--register <CODE>/);
    const message = "Cannot read config.toml, line 3: no";
    const broken = await examine({
      url,
      folder: `${folder}/file`,
      registration: { kind: "unreadable", message },
    });
    assertFinds(broken, "state", "failed", /is not a folder/);
    assertFinds(broken, "registration", "failed", /line 3/);
    const kept = await examine({ url, folder });
    assertFinds(kept, "state", "ok", /room for 34 MB and more/);
    const left = new Set(Array.from(Deno.readDirSync(folder), ({ name }) => name));
    assert.deepEqual(left, new Set(["file", "source"]));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

/** What an agent with one job has left. */
const STATUS: StatusFile = {
  version: "0.1.0",
  agentId: "agt_1",
  url: "https://hub.example",
  startedAt: "2026-11-23T10:00:00.000Z",
  at: "2026-11-23T10:00:00.000Z",
  connection: { state: "connected", way: "websocket", since: "2026-11-23T10:00:00.000Z", reason: null },
  jobs: [
    {
      jobId: "job_1",
      epoch: 1,
      name: "Plans",
      source: "/not/there",
      storage: "acme",
      wanted: "run",
      phase: null,
      totals: null,
      bytesPerSecond: null,
    },
  ],
  update: null,
};

// --- the program -------------------------------------------------------------------------------------------------

/** With the rights of the agent, and what is set for it. */
async function run(
  words: readonly string[],
  env: Record<string, string>,
  files: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${folder}/authority.pem`, INSPECTING_AUTHORITY);
    for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(`${folder}/${name}`, text);
    const main = new URL("../main.ts", import.meta.url).pathname;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-check",
        "--no-prompt",
        ...AGENT_PERMISSIONS,
        main,
        "doctor",
        ...words,
        "--state",
        folder,
      ],
      env: {
        NO_COLOR: "1",
        DENO_NO_UPDATE_CHECK: "1",
        MIGRATE_AGENT_KEY: KEY,
        ...env,
        ...(env["DENO_CERT"] === undefined ? {} : { DENO_CERT: `${folder}/authority.pem` }),
      },
      stdin: "null",
    }).output();
    return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A proxy as sites have them; whoever does not sign in is turned away. */
class Proxy implements Disposable {
  readonly #listener = Deno.listen(LOCAL);
  readonly address = `127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  tunnels = 0;

  constructor(name: string) {
    void this.#serve(`Proxy-Authorization: Basic ${btoa(name)}`);
  }

  async #serve(credentials: string): Promise<void> {
    for await (const connection of this.#listener) void this.#tunnel(connection, credentials).catch(() => {});
  }

  async #tunnel(client: Deno.TcpConn, credentials: string): Promise<void> {
    const bytes = new Uint8Array(4_096);
    const head = new TextDecoder().decode(bytes.subarray(0, (await client.read(bytes)) ?? 0));
    const say = async (text: string) => void (await client.write(new TextEncoder().encode(text)));
    const [, hostname = "", port = ""] = /^CONNECT ([^:]+):(\d+) /.exec(head) ?? [];
    if (!head.toLowerCase().includes(credentials.toLowerCase())) {
      await say('HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="site"\r\nContent-Length: 0\r\n\r\n');
      return client.close();
    }
    this.tunnels++;
    const server = await Deno.connect({ hostname, port: Number(port) });
    await say("HTTP/1.1 200 Connection established\r\n\r\n");
    await Promise.all([client.readable.pipeTo(server.writable), server.readable.pipeTo(client.writable)]);
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }
}

Deno.test("[A96] the program looks at the sources and storage accounts of the jobs there are, and at those of the policy", async () => {
  const files = {
    "status.json": JSON.stringify(STATUS),
    "policy.json": JSON.stringify({ deleteRoots: ["/not/there/either"] }),
  };
  const url = `http://127.0.0.1:${closedPort()}`;
  // No name resolves by a proxy that is not there, so nothing leaves this machine.
  const env = { MIGRATE_API_URL: url, HTTPS_PROXY: `http://127.0.0.1:${closedPort()}` };
  const { code, out } = await run(["--json"], env, files);
  assert.equal(code, 1);
  const { checks, needs } = JSON.parse(out) as Diagnosis;
  const titles = checks.filter(({ id }) => id === "root" || id === "storage").map(({ title }) => title);
  assert.deepEqual(titles, [
    'Source "/not/there/either"',
    'Source "/not/there"',
    "Storage acme.blob.core.windows.net",
  ]);
  assert.match(needs.join("\n"), /acme\.blob\.core\.windows\.net, TCP port 443, through the proxy/);
});

Deno.test("[A90] the program says the same with the agent's rights, also through a proxy and with an authority of its own", async () => {
  await using hub = new Hub(() => null, INSPECTED);
  const direct = await run(["--url", hub.url], { DENO_CERT: "1", MIGRATE_API_URL: hub.url });
  assert.equal(direct.code, 0, direct.out + direct.err);
  assert.match(
    direct.out,
    /TLS: 127\.0\.0\.1 is trusted; its certificate was issued by "Contoso Inspection CA/,
  );
  assert.match(direct.out, /WebSocket: a connection opens/);
  assert.match(direct.out, /Result: all is well\n$/);
  using proxy = new Proxy("me:secret");
  const env = { DENO_CERT: "1", MIGRATE_API_URL: hub.url };
  const through = await run([], { ...env, HTTPS_PROXY: `http://me:secret@${proxy.address}` });
  assert.equal(through.code, 0, through.out + through.err);
  assert.match(through.out, /Proxy: 127\.0\.0\.1:\d+ lets connections to 127\.0\.0\.1, port \d+ through/);
  assert.match(through.out, /WebSocket: a connection opens/);
  assert.ok(proxy.tunnels > 2);
  const unnamed = await run(["--json"], { ...env, HTTPS_PROXY: `http://${proxy.address}` });
  assert.equal(unnamed.code, 1, unnamed.err);
  assertFinds(JSON.parse(unnamed.out) as Diagnosis, "proxy", "failed", /407; it takes Basic/);
  const inspected = await run(["--json"], { MIGRATE_API_URL: hub.url });
  assert.equal(inspected.code, 1);
  assertFinds(JSON.parse(inspected.out) as Diagnosis, "tls", "failed", /issued by "Contoso Inspection CA/);
  await using other = new Hub(() => null, INSPECTED);
  const elsewhere = await run(["--url", other.url], env);
  assert.match(elsewhere.out, /registered at another address/);
  assert.ok(other.asked.length > 0 && other.asked.every((one) => one.endsWith(" unknown")));
  for (const { out, err } of [direct, through, unnamed, inspected, elsewhere])
    assert.ok(!(out + err).includes(KEY) && !(out + err).includes("secret"));
});

Deno.test("[X4] authorities of the machine's own store are trusted, and a machine without a store still trusts the others", async () => {
  await using hub = new Hub(() => null, INSPECTED);
  const store = Deno.makeTempFileSync({ suffix: ".pem" });
  Deno.writeTextFileSync(store, INSPECTING_AUTHORITY);
  try {
    const env = { MIGRATE_API_URL: hub.url };
    const system = await run(["--json"], { ...env, SSL_CERT_FILE: store });
    assertFinds(JSON.parse(system.out) as Diagnosis, "tls", "ok", /Contoso Inspection CA/);
    const none = { SSL_CERT_FILE: "/not/there", SSL_CERT_DIR: "/not/there" };
    const bare = await run(["--json"], { ...env, ...none, DENO_CERT: "1" });
    assertFinds(JSON.parse(bare.out) as Diagnosis, "tls", "ok", /Contoso Inspection CA/);
    const left = await run(["--json"], { ...env, SSL_CERT_FILE: store, DENO_TLS_CA_STORE: "mozilla" });
    assertFinds(JSON.parse(left.out) as Diagnosis, "tls", "failed", /does not trust/);
  } finally {
    Deno.removeSync(store);
  }
});

Deno.test("[X13] network.json holds for doctor, and what is wrong with it, or with its certificates, ends the program with 2", async () => {
  await using hub = new Hub(() => null, INSPECTED);
  using proxy = new Proxy("me:secret");
  const env = { MIGRATE_API_URL: hub.url };
  const files = (network: object) => ({ "network.json": JSON.stringify(network) });
  const address = `http://me:secret@${proxy.address}`;
  const dead = `http://127.0.0.1:${closedPort()}`;
  const through = await run(
    ["--json"],
    { ...env, DENO_CERT: "1" },
    files({ proxy: address, caFile: "/not/there" }),
  );
  assertFinds(JSON.parse(through.out) as Diagnosis, "proxy", "ok", /lets connections to .* through/);
  assert.ok(proxy.tunnels > 0 && !through.out.includes("secret"));
  const around = files({ proxy: dead, noProxy: ["127.0.0.0/8"] });
  const direct = await run(["--json"], { ...env, DENO_CERT: "1" }, around);
  assertFinds(JSON.parse(direct.out) as Diagnosis, "proxy", "ok", /connections go out directly/);
  assertFinds(JSON.parse(direct.out) as Diagnosis, "hub", "ok", /answers/);
  for (const [network, sentence] of [
    [
      { caFile: "/not/there" },
      /^Cannot trust the certificates of "\/not\/there" .*: there is no such file$/m,
    ],
    [{ proxy: "secret" }, /^Cannot read network\.json: /m],
  ] as const) {
    const { code, err } = await run([], env, files(network));
    assert.equal(code, 2);
    assert.match(err, sentence);
    assert.ok(!err.includes("secret"));
  }
});
