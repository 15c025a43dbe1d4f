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
import type { Status } from "./commands/status.ts";
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
  /** Whoever registers waits for an admin, and is refused until this is false again. */
  asksForApproval = false;
  refusals = 0;
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
        ...(this.asksForApproval ? { pending: true } : {}),
      });
    }
    if (pathname !== "/api/agent/session") return new Response("no", { status: 404 });
    if (this.asksForApproval) {
      this.refusals++;
      return Response.json({ error: "Waits", code: "AGENT_PENDING", details: null }, { status: 403 });
    }
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
            generation: (message.generation ?? 0) + 1,
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

  constructor(words: readonly string[], env: Record<string, string> = {}, input: string | null = null) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--no-prompt", ...AGENT_PERMISSIONS, MAIN, ...words],
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", HOME: "/nonexistent", ...env },
      stdin: input === null ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    if (input !== null) void ReadableStream.from([new TextEncoder().encode(input)]).pipeTo(this.#child.stdin);
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

Deno.test("[A33] a word that is not understood is said on stderr, with where to look and exit code 2", async () => {
  await assertEnds(
    new Agent(["start", "--verbose"]),
    2,
    /Unknown option "--verbose"[^]*migrate-agent help\n$/,
  );
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

Deno.test("[A33] what was meant is said of a word with a slip, and help has each command in a line", async () => {
  await assertEnds(new Agent(["strat"]), 2, /^Unknown command "strat"; did you mean "start"\?\n/);
  await assertEnds(
    new Agent(["start", "--sate", "x"]),
    2,
    /^Unknown option "--sate"; did you mean "--state"\?\n/,
  );
  await assertEnds(new Agent(["register", "ABCD-EFGH"]), 2, /did you mean --register <CODE>\?/);
  await assertEnds(new Agent(["verify"]), 2, /verify needs a <manifest>/);
  await assertEnds(new Agent(["start", "--seed", "x"]), 2, /--seed does not go with start, only with verify/);
  await using agent = new Agent(["verify", "--help"]);
  assert.equal(await agent.ended(), 0);
  for (const command of ["start", "status", "logs", "doctor", "verify", "unregister", "version", "help"])
    assert.match(agent.out, new RegExp(`^  migrate-agent ${command}.*\n      [A-Z].*\\.$`, "m"));
});

Deno.test("[A80] the program compares with no more rights than the agent has, and gives each result its exit code", async () => {
  await withFolder(async (folder) => {
    const bytes = new TextEncoder().encode("what was moved");
    Deno.mkdirSync(`${folder}/source`);
    Deno.writeFileSync(`${folder}/source/a.txt`, bytes);
    const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    const row = {
      path: "a.txt",
      sizeBytes: bytes.length,
      modified: null,
      sha256,
      blob: "a.txt",
      etag: "0x1",
    };
    const manifest = `${folder}/manifest.jsonl`;
    Deno.writeTextFileSync(
      manifest,
      `${JSON.stringify({ ...row, outcome: "completed", reason: null, proof: "chain" })}\n`,
    );
    const words = ["verify", manifest, "--source", `${folder}/source`];
    await using good = new Agent(words);
    assert.equal(await good.ended(), 0, good.err);
    assert.match(good.out, /Result: every file is what the manifest says\n$/);
    Deno.writeFileSync(`${folder}/source/a.txt`, bytes.with(3, 0x20));
    await using changed = new Agent([...words, "--json"]);
    assert.equal(await changed.ended(), 6, changed.err);
    assert.equal((JSON.parse(changed.out) as { result: string }).result, "different");
    const stored = ["verify", manifest, "--destination", "http://127.0.0.1:1/account/plans"];
    await assertEnds(new Agent(stored), 2, /A SAS is needed on standard input/);
    await assertEnds(new Agent(stored, {}, "?sv=1&sp=rw&sig=hidden\n"), 2, /only reading is needed/);
  });
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
    await assertEnds(
      new Agent(words),
      3,
      /Cannot reach 127\.0\.0\.1:1: No connection to 127\.0\.0\.1, port 1: .*firewall team.*--url/,
    );
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
    assert.match(agent.out, /Organization: Acme MSP\nAgent: Site 7\nRegistered\. /);
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
    const log = Deno.readTextFileSync(`${state}/logs/agent.log`);
    assert.equal(log, agent.err, "what stderr has is kept on the disk");
    await using logs = new Agent(["logs", "--lines", "2", "--state", state]);
    assert.equal(await logs.ended(), 0);
    assert.match(logs.out, /^\S+ agent_stopping\n\S+ agent_stopped .*\n$/);
    await assertEnds(new Agent(["logs", "--state", `${folder}/other`]), 2, /There is no log in/);
  });
});

Deno.test("[A35] one that waits for approval says so to the person and in its log, keeps asking, and starts by itself", async () => {
  await using plane = new ControlPlane();
  plane.asksForApproval = true;
  await withFolder(async (folder) => {
    const state = ["--state", folder];
    await using agent = new Agent(["--register", "GOOD", "--url", plane.url, ...state]);
    await until(() => plane.refusals >= 2, "it to ask again");
    const told =
      /^Agent: host-1\nThis agent waits for approval: .*under Agents\. It keeps asking .*\nRegistered\. /m;
    assert.match(agent.out, told);
    assert.equal(agent.out.match(/approval/g)?.length, 1, "a person is told once");
    const lost =
      /session_lost .*status=403 .*If it waits for approval, an admin approves it in the dashboard/;
    await until(() => lost.test(agent.err), "the log to say what is waited for");
    agent.kill("SIGTERM");
    assert.equal(await agent.ended(), 0);
    // Whoever starts it next has not seen what the first one printed.
    await using again = new Agent(["start", ...state]);
    await until(() => lost.test(again.err), "the log to say it once more");
    plane.asksForApproval = false;
    await plane.heard("ready");
    again.kill("SIGTERM");
    assert.equal(await again.ended(), 0);
    assert.ok(
      !(agent.out + agent.err + again.out + again.err).includes("SECRET"),
      "the key is nowhere to be read",
    );
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

Deno.test("[A36] an installation registers and starts it in its own way", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (folder) => {
    const words = ["--register", "GOOD", "--url", plane.url, "--state", folder, "--exit"];
    await using registering = new Agent(words);
    assert.equal(await registering.ended(), 0);
    assert.match(registering.out, /Registered\./);
    assert.deepEqual(plane.authorizations, []);
    await using agent = new Agent(["start", "--state", folder]);
    await plane.heard("ready");
    agent.kill("SIGTERM");
    assert.equal(await agent.ended(), 0);
    assert.equal(plane.authorizations.length, 1);
  });
});

Deno.test("[A36] a service registers with the code of its environment at its first start, and only then", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (folder) => {
    const words = ["start", "--state", folder];
    await assertEnds(
      new Agent(words, { REGISTER_CODE: "BAD", MIGRATE_API_URL: plane.url }),
      2,
      /registration code was refused/,
    );
    const env = { REGISTER_CODE: "GOOD", MIGRATE_API_URL: plane.url };
    await using first = new Agent(words, env);
    await plane.heard("ready");
    first.kill("SIGTERM");
    assert.equal(await first.ended(), 0);
    // The code is used up, and nobody has taken it out of the environment.
    await using second = new Agent(words, { ...env, REGISTER_CODE: "BAD" });
    await plane.heard("ready", 2);
    second.kill("SIGTERM");
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

Deno.test("[P12] generation and key are remembered over kill -9, and the new key is used from then on", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (folder) => {
    const env = { MIGRATE_STATE_DIR: folder };
    await using first = new Agent(["--register", "GOOD", "--url", plane.url], env);
    await plane.heard("ready");
    const next = `mig_agt1_${AGENT}_${"N".repeat(43)}_0badcafe`;
    plane.say(1, { type: "rotate_key", key: next });
    await plane.heard("key_stored");
    first.kill("SIGKILL");
    await first.ended();
    assert.equal(modeOf(`${folder}/config.toml`), "600");
    await using second = new Agent(["start"], env);
    await plane.heard("ready", 2);
    assert.deepEqual(plane.authorizations, [`Bearer ${KEY}`, `Bearer ${next}`]);
    const generations = plane.said.flatMap((said) => (said.type === "hello" ? [said.generation] : []));
    assert.deepEqual(generations, [0, 1]);
    assert.equal((first.out + first.err + second.err).includes("N".repeat(43)), false);
    // The address is still that of the file.
    assert.match(Deno.readTextFileSync(`${folder}/config.toml`), new RegExp(plane.url));
  });
});

Deno.test("[P12] a key that came by the environment is not replaced: nobody could write it there", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (folder) => {
    await using agent = new Agent(["start", "--state", folder], {
      MIGRATE_API_URL: plane.url,
      MIGRATE_AGENT_KEY: KEY,
    });
    await plane.heard("ready");
    plane.say(1, { type: "rotate_key", key: `mig_agt1_${AGENT}_${"N".repeat(43)}_0badcafe` });
    plane.socket?.close();
    await plane.heard("ready", 2);
    assert.deepEqual(plane.authorizations, [`Bearer ${KEY}`, `Bearer ${KEY}`]);
    assert.equal(
      plane.said.some(({ type }) => type === "key_stored"),
      false,
    );
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

async function statusIn(folder: string): Promise<{ code: number; status: Status; words: string }> {
  await using words = new Agent(["status", "--state", folder]);
  await using json = new Agent(["status", "--json", "--state", folder]);
  const [code] = await Promise.all([json.ended(), words.ended()]);
  return { code, status: JSON.parse(json.out) as Status, words: words.out };
}

Deno.test("[A102] status says whether the agent runs, how it is connected and how far its jobs are, also after kill -9", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (root) => {
    const folder = `${root}/state`;
    const none = await statusIn(folder);
    assert.equal(none.code, 1);
    assert.match(none.words, /^Agent: not registered\. Run migrate-agent --register <CODE>/);
    await using agent = new Agent(["--register", "GOOD", "--url", plane.url, "--state", folder]);
    await plane.heard("ready");
    await until(() => agent.err.includes("session_opened"), "the agent to say that it is connected");
    const connected = await statusIn(folder);
    assert.equal(connected.code, 0, connected.words);
    assert.deepEqual(
      [connected.status.state, connected.status.agentId, connected.status.connection?.way],
      ["connected", AGENT, "websocket"],
    );
    assert.match(connected.words, /^Agent: running, and connected since /);
    assert.equal(modeOf(`${folder}/status.json`), "600");
    plane.asksForApproval = true;
    plane.socket?.close();
    await until(() => agent.err.includes("session_lost"), "the connection to be lost");
    const lost = await statusIn(folder);
    assert.deepEqual([lost.code, lost.status.state], [1, "lost"]);
    assert.match(lost.words, /without connection since .*Run migrate-agent doctor/);
    agent.kill("SIGKILL");
    await agent.ended();
    const stopped = await statusIn(folder);
    assert.deepEqual([stopped.code, stopped.status.state], [1, "stopped"]);
    assert.match(stopped.words, /^Agent: registered, but not running\. Run migrate-agent start/);
    for (const { words, status } of [none, connected, lost, stopped])
      assert.ok(!(words + JSON.stringify(status)).includes("SECRET"), "the key is nowhere to be read");
  });
});

Deno.test("[A103] unregister removes the key and what the agent wrote, and nothing else, after a question or --yes", async () => {
  await using plane = new ControlPlane();
  await withFolder(async (root) => {
    const folder = `${root}/state`;
    await using agent = new Agent(["--register", "GOOD", "--url", plane.url, "--state", folder]);
    await plane.heard("ready");
    const words = ["unregister", "--state", folder];
    await assertEnds(new Agent([...words, "--yes"]), 4, /The agent is running with the state folder/);
    agent.kill("SIGKILL");
    await agent.ended();
    await assertEnds(new Agent(words), 2, /Nobody is there to be asked.*--yes/);
    assert.match(Deno.readTextFileSync(`${folder}/config.toml`), /key = /);
    Deno.writeTextFileSync(`${folder}/policy.json`, "{}");
    Deno.writeTextFileSync(`${folder}/jobs/${JOB}.1.db`, "");
    Deno.writeTextFileSync(`${folder}/jobs/${JOB}.1.db-wal`, "");
    Deno.writeTextFileSync(`${folder}/manifests/${JOB}.1.jsonl`, "");
    Deno.writeTextFileSync(`${folder}/manifests/notes.txt`, "somebody's own");
    Deno.mkdirSync(`${root}/elsewhere`);
    Deno.writeTextFileSync(`${root}/elsewhere/agent.log`, "somebody's own");
    Deno.removeSync(`${folder}/logs`, { recursive: true });
    Deno.symlinkSync(`${root}/elsewhere`, `${folder}/logs`);
    await using removed = new Agent([...words, "--yes"]);
    assert.equal(await removed.ended(), 0, removed.err);
    assert.match(removed.out, /is not registered any more\. Left in .*"manifests"/);
    assert.match(
      removed.out,
      new RegExp(`The dashboard still knows ${AGENT}: an admin revokes and deletes it`),
    );
    const left = (path: string) => new Set(Array.from(Deno.readDirSync(path), ({ name }) => name));
    assert.deepEqual(left(folder), new Set(["policy.json", "manifests", "logs"]));
    assert.deepEqual(left(`${folder}/manifests`), new Set(["notes.txt"]));
    assert.deepEqual(left(`${root}/elsewhere`), new Set(["agent.log"]));
    await assertEnds(new Agent(["start", "--state", folder]), 2, /not registered/);
    // Nobody's but ours is left: the folder goes, too.
    Deno.removeSync(`${folder}/logs`);
    Deno.removeSync(`${folder}/manifests`, { recursive: true });
    Deno.removeSync(`${folder}/policy.json`);
    await using again = new Agent(["--register", "GOOD", "--url", plane.url, "--state", folder]);
    await plane.heard("ready", 2);
    again.kill("SIGTERM");
    await again.ended();
    await using gone = new Agent([...words, "--yes"]);
    assert.equal(await gone.ended(), 0, gone.err);
    assert.deepEqual(left(root), new Set(["elsewhere"]));
  });
});
