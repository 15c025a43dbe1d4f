/** The program as a process: command line, exit codes, files, signals; against a control plane of a few lines. */
import assert from "node:assert/strict";
import { NO_FILTERS } from "../schema/job.ts";
import {
  HEARTBEAT,
  HEARTBEAT_ANSWER,
  readAgentFrame,
  SUBPROTOCOL,
  type AgentMessage,
} from "../schema/protocol.ts";
import { AGENT_PERMISSIONS } from "../tools/agent-permissions.ts";

const MAIN = new URL("main.ts", import.meta.url).pathname;
const AGENT = `agt_${"0".repeat(26)}`;
const KEY = `mig_agt1_${AGENT}_SECRETsecretSECRET_0badcafe`;
const JOB = `job_${"0".repeat(26)}`;
const WAIT_MS = 20_000;

/** Registers whoever says GOOD, takes one agent's session and remembers what was said. */
class ControlPlane implements AsyncDisposable {
  readonly #server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => undefined }, (request) =>
    this.#answer(request),
  );
  readonly url = `http://127.0.0.1:${(this.#server.addr as Deno.NetAddr).port}`;
  readonly said: AgentMessage[] = [];
  readonly authorizations: (string | null)[] = [];
  socket: WebSocket | null = null;
  #sessions = 0;
  #sent = 0;

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/agent/register") {
      const { code, name } = (await request.json()) as { code: string; name?: string };
      if (code !== "GOOD") {
        return Response.json(
          { error: "Refused", code: "REGISTRATION_REFUSED", details: null },
          { status: 403 },
        );
      }
      return Response.json({
        agentId: AGENT,
        agentName: name ?? "host-1",
        organizationId: `org_${"0".repeat(26)}`,
        organizationName: "Acme MSP",
        key: KEY,
      });
    }
    if (pathname !== "/api/agent/session") return new Response("no", { status: 404 });
    this.authorizations.push(request.headers.get("Authorization"));
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL });
    this.socket = socket;
    this.#sent = 0;
    const session = ++this.#sessions;
    socket.onmessage = ({ data }) => {
      if (data === HEARTBEAT) return socket.send(HEARTBEAT_ANSWER);
      const { messages } = readAgentFrame(String(data));
      this.said.push(...messages);
      for (const message of messages) {
        if (message.type === "hello") {
          this.say(session, {
            type: "welcome",
            protocol: 1,
            agentId: AGENT,
            sessionEpoch: session,
            serverTime: new Date().toISOString(),
            heartbeatSeconds: 30,
            reportSeconds: 15,
            eventSeqHeld: 0,
            desired: [],
          });
        }
        if (message.type === "event" || message.type === "result") {
          this.say(session, { type: "ack", eventSeq: message.eventSeq });
        }
      }
    };
    return response;
  }

  say(session: number, message: unknown): void {
    this.socket?.send(JSON.stringify({ v: 1, s: session, n: ++this.#sent, a: 0, m: [message] }));
  }

  async heard(type: AgentMessage["type"], count = 1): Promise<void> {
    await until(
      () => this.said.filter((message) => message.type === type).length >= count,
      `"${type}" to be said`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket?.close();
    await this.#server.shutdown();
  }
}

class Agent implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  readonly status: Promise<Deno.CommandStatus>;
  out = "";
  err = "";

  constructor(words: readonly string[], env: Record<string, string> = {}) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--no-prompt", ...AGENT_PERMISSIONS, MAIN, ...words],
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", HOME: "/nonexistent", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.status = this.#child.status;
    this.#reading = Promise.all([
      read(this.#child.stdout, (text) => (this.out += text)),
      read(this.#child.stderr, (text) => (this.err += text)),
    ]);
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async ended(): Promise<number> {
    const { code } = await this.status;
    await this.#reading;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.ended();
  }
}

async function read(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const endMs = Date.now() + WAIT_MS; !holds();) {
    if (Date.now() > endMs) throw new Error(`Waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Ends with this code, and says this on stderr. */
async function assertEnds(agent: Agent, code: number, sentence: RegExp): Promise<void> {
  await using running = agent;
  assert.equal(await running.ended(), code, running.err);
  assert.match(running.err, sentence);
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    await test(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function modeOf(path: string): string {
  return ((Deno.statSync(path).mode ?? 0) & 0o777).toString(8);
}

Deno.test("[A33] a word that is not understood gets the usage on stderr and exit code 2", async () => {
  await assertEnds(new Agent(["start", "--verbose"]), 2, /Unknown flag "--verbose"[^]*Usage:/);
});

Deno.test("[A33] version and help are printed", async () => {
  for (const [word, expected] of [
    ["version", /^migrate-agent \d+\.\d+\.\d+ /],
    ["help", /--register <CODE>/],
  ] as const) {
    await using agent = new Agent([word]);
    assert.equal(await agent.ended(), 0);
    assert.match(agent.out, expected);
  }
});

Deno.test("[A34] a refused code ends with exit code 2 and a sentence, and leaves no registration", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (folder) => {
    const words = ["--register", "BAD", "--url", plane.url, "--state", `${folder}/s`];
    await assertEnds(
      new Agent(words),
      2,
      /^The registration code was refused: it is unknown, used or expired\..*\n$/,
    );
    await assertEnds(new Agent(["start", "--state", `${folder}/s`]), 2, /not registered.*--register <CODE>/);
  });
});

Deno.test("[A34] a control plane that does not answer ends with exit code 3, its host and what to check", async () => {
  await withFolder(async (folder) => {
    const words = ["--register", "GOOD", "--url", "http://127.0.0.1:1", "--state", folder];
    await assertEnds(new Agent(words), 3, /Cannot reach 127\.0\.0\.1:1: .*firewall or proxy/);
  });
});

Deno.test("[A34] an address that is not https is refused before anything is sent", async () => {
  await withFolder(async (folder) => {
    const words = ["--register", "GOOD", "--url", "http://api.example.com", "--state", folder];
    await assertEnds(new Agent(words), 2, /must begin with https/);
  });
});

Deno.test("[A35] registered, the agent prints organization and name, connects, and keeps running until SIGTERM", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (folder) => {
    const state = `${folder}/deep/state`;
    await using agent = new Agent([
      "--register",
      "GOOD",
      "--url",
      plane.url,
      "--name",
      "Site 7",
      "--state",
      state,
    ]);
    await plane.heard("ready");
    assert.match(agent.out, /Organization: Acme MSP\nAgent: Site 7\n/);
    assert.deepEqual(plane.authorizations, [`Bearer ${KEY}`]);
    assert.deepEqual(
      ["", "/config.toml", "/agent.db", "/jobs", "/manifests"].map((path) => modeOf(state + path)),
      ["700", "600", "600", "700", "700"],
    );
    const startedMs = Date.now();
    agent.kill("SIGTERM");
    assert.equal(await agent.ended(), 0);
    assert.ok(Date.now() - startedMs < 5_000);
    assert.equal(plane.said.at(-1)?.type, "bye");
    assert.ok(!(agent.out + agent.err).includes("SECRET"), "the key is nowhere to be read");
  });
});

Deno.test("[A36] registered once, it starts by itself and is not registered again", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (folder) => {
    const register = ["--register", "GOOD", "--url", plane.url];
    const env = { MIGRATE_STATE_DIR: folder };
    await using first = new Agent(register, env);
    await plane.heard("ready");
    first.kill("SIGKILL");
    await first.ended();
    await assertEnds(new Agent(register, env), 2, /registered already.*config\.toml.*migrate-agent start/);
    await using second = new Agent(["start"], env);
    await plane.heard("ready", 2);
    second.kill("SIGINT");
    assert.equal(await second.ended(), 0);
  });
});

Deno.test("[A36] address and key may come from the environment", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (folder) => {
    await using agent = new Agent(["start", "--state", folder], {
      MIGRATE_API_URL: plane.url,
      MIGRATE_AGENT_KEY: KEY,
    });
    await plane.heard("ready");
    assert.deepEqual(plane.authorizations, [`Bearer ${KEY}`]);
    assert.equal(agent.err.includes("unexpected"), false);
  });
});

Deno.test("[A37] a second agent on the same state folder ends with exit code 4, until the first is gone, even by kill -9", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (folder) => {
    await using first = new Agent(["--register", "GOOD", "--url", plane.url, "--state", folder]);
    await plane.heard("ready");
    await assertEnds(
      new Agent(["start", "--state", folder]),
      4,
      /Another agent is running with the state folder/,
    );
    first.kill("SIGKILL");
    await first.ended();
    await using third = new Agent(["start", "--state", folder]);
    await plane.heard("ready", 2);
    third.kill("SIGTERM");
    assert.equal(await third.ended(), 0);
  });
});

Deno.test("[A38] a revoked agent ends with exit code 5 and says so", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (folder) => {
    await using agent = new Agent(["--register", "GOOD", "--url", plane.url, "--state", folder]);
    await plane.heard("ready");
    plane.socket?.close(4403, "revoked");
    assert.equal(await agent.ended(), 5);
    assert.match(agent.err, /was revoked/);
  });
});

Deno.test("[A39] a job whose folder is not there is reported as failed, and the agent stays up", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (folder) => {
    await using agent = new Agent(["--register", "GOOD", "--url", plane.url, "--state", `${folder}/s`]);
    await plane.heard("ready");
    plane.say(1, {
      type: "desired",
      jobId: JOB,
      epoch: 1,
      rev: 1,
      state: "run",
      config: {
        type: "migrate_files",
        name: "Plans",
        source: { kind: "local", path: `${folder}/missing` },
        destination: { kind: "azure_blob", account: "acme", container: "plans", prefix: "", tier: "Hot" },
        options: {
          filters: NO_FILTERS,
          concurrency: 4,
          chunkSizeMiB: 8,
          verify: true,
          existing: "skip_identical",
        },
      },
    });
    await plane.heard("result");
    const result = plane.said.find((message) => message.type === "result");
    assert.equal(result?.report.error?.code, "SOURCE_NOT_FOUND");
    assert.ok(
      plane.said.findIndex(({ type }) => type === "applied") <
        plane.said.findIndex(({ type }) => type === "result"),
    );
    await until(() => [...Deno.readDirSync(`${folder}/s/jobs`)].length === 0, "the journal to be dropped");
    agent.kill("SIGTERM");
    assert.equal(await agent.ended(), 0);
  });
});
