/** Real files in a folder of its own, and a control plane of a few lines; only the clock is the test's. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Release, RELEASE_FORMAT } from "../../schema/release.ts";
import { certify, newSigningKey, signRelease, signText } from "../../tools/release-signing.ts";
import { copyRights, denoPlatform, readTextFile, writeTextFile } from "../platform-deno.ts";
import type { LogFields, Platform } from "../platform.ts";
import { VirtualClock } from "../virtual.ts";
import { Executable } from "./executable.ts";
import { parseUpdateMemory, UPDATE_FILE, UpdateMemoryError } from "./memory.ts";
import {
  beginTrial,
  CHECK_EVERY_MS,
  DOWNLOAD_LIMIT_MS,
  keepUpdated,
  TRIAL_LIMIT_MS,
  TRIAL_STARTS_MAX,
  type TrialBegun,
  type UpdatesInput,
} from "./updates.ts";

const TARGET = "x86_64-unknown-linux-gnu";
const WAIT_MS = 20_000;
const OLD = "the old program";
const NEW = new TextEncoder().encode("the new program, with all it takes ".repeat(100));
const root = newSigningKey();
const key = newSigningKey();
const stranger = newSigningKey();

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const endMs = Date.now() + WAIT_MS; !holds();) {
    if (Date.now() > endMs) throw new Error(`Waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** One machine, with a folder for the program and one for state, and the control plane that serves it. */
class Machine implements AsyncDisposable {
  readonly #folder = Deno.makeTempDirSync();
  readonly clock = new VirtualClock();
  readonly #beganMs = this.clock.now();
  readonly executable = `${this.#folder}/migrate-agent`;
  readonly #state = `${this.#folder}/state`;
  readonly logged: { event: string; fields: LogFields }[] = [];
  readonly asked: { path: string; authorization: string | null }[] = [];
  manifest: () => Response = () => Response.json(this.release());
  serve: () => Response = () => new Response(NEW);
  readonly #server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => undefined }, (request) => {
    const { pathname, search } = new URL(request.url);
    this.asked.push({ path: pathname + search, authorization: request.headers.get("Authorization") });
    if (pathname === "/good") return new Response(NEW);
    return pathname === "/api/agent/release" ? this.manifest() : this.serve();
  });
  readonly #url = `http://127.0.0.1:${(this.#server.addr as Deno.NetAddr).port}`;

  constructor() {
    Deno.mkdirSync(this.#state);
    Deno.writeTextFileSync(this.executable, OLD);
    Deno.chmodSync(this.executable, 0o755);
  }

  release(change: Partial<Release> = {}, serial = 1) {
    const at = (days: number) => new Date(this.#beganMs + days * 86_400_000).toISOString();
    const dates = { notBefore: at(-10), expiresAt: at(60) };
    return signRelease(key, certify(root, { format: RELEASE_FORMAT, serial, key: key.public, ...dates }), {
      format: RELEASE_FORMAT,
      sequence: 1,
      channel: "stable",
      version: "0.2.0",
      releasedAt: at(-1),
      expiresAt: at(30),
      rolloutPercent: 100,
      targets: {
        [TARGET]: {
          path: "migrate-agent-0.2.0-linux",
          sizeBytes: NEW.length,
          sha256: createHash("sha256").update(NEW).digest("hex"),
        },
      },
      ...change,
    });
  }

  get platform(): Platform {
    return {
      ...denoPlatform(() => undefined),
      clock: this.clock,
      random: { bytes: (count) => new Uint8Array(count), next: () => 0 },
      log: (event, fields) => void this.logged.push({ event, fields }),
    };
  }

  input(change: Partial<UpdatesInput> = {}): UpdatesInput {
    const { platform } = this;
    const path = `${this.#state}/${UPDATE_FILE}`;
    return {
      platform,
      store: { read: () => readTextFile(path), write: (text) => writeTextFile(path, text) },
      version: "0.1.0",
      executable: new Executable({ platform, path: this.executable, copyRights }),
      config: { url: this.#url, key: "the-key" },
      agentId: `agt_${"0".repeat(26)}`,
      rootKey: root.public,
      channel: "stable",
      target: TARGET,
      isKeptRunning: true,
      mayUpdate: () => true,
      isIdle: () => true,
      ...change,
    };
  }

  /** Runs until a line of the log says how a round ended. */
  async round(change: Partial<UpdatesInput> = {}): Promise<string> {
    const life = new AbortController();
    const from = this.logged.length;
    const updating = keepUpdated(this.input(change), life.signal);
    await this.clock.advance(0);
    const last = () => this.logged.slice(from).find(({ event }) => event.startsWith("update"));
    await until(() => last() !== undefined, "the end of a round");
    life.abort();
    await updating;
    const { event = "", fields = {} } = last() ?? {};
    return `${event} ${fields["code"] ?? fields["reason"] ?? ""}`.trim();
  }

  begin(version: string): TrialBegun {
    return beginTrial(this.input({ version }));
  }

  get memory() {
    return parseUpdateMemory(readTextFile(`${this.#state}/${UPDATE_FILE}`));
  }

  write(memory: string): void {
    writeTextFile(`${this.#state}/${UPDATE_FILE}`, memory);
  }

  get program(): string {
    return Deno.readTextFileSync(this.executable);
  }

  get names(): string[] {
    const names = Array.from(Deno.readDirSync(this.#folder), ({ name }) => name);
    return names.toSorted((one, other) => (one < other ? -1 : 1));
  }

  close(): void {
    Deno.chmodSync(this.#folder, 0o500);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    Deno.chmodSync(this.#folder, 0o700);
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

const NEW_TEXT = new TextDecoder().decode(NEW);

Deno.test("[A123] a new release is put in the old one's place, which is kept beside, and is welcomed", async () => {
  await using machine = new Machine();
  assert.equal(await machine.round(), "update_installed");
  assert.equal(machine.program, NEW_TEXT);
  assert.equal((Deno.statSync(machine.executable).mode ?? 0) & 0o777, 0o755);
  assert.equal(Deno.readTextFileSync(`${machine.executable}.previous`), OLD);
  assert.deepEqual(machine.names, ["migrate-agent", "migrate-agent.previous", "state"]);
  assert.deepEqual(
    machine.asked.map(({ path, authorization }) => `${path} ${authorization}`),
    [
      "/api/agent/release?channel=stable Bearer the-key",
      "/api/agent/release/executable?path=migrate-agent-0.2.0-linux Bearer the-key",
    ],
  );
  const begun = machine.begin("0.2.0");
  assert.ok(begun.kind === "on_trial");
  const watching = begun.trial.watch(new AbortController().signal);
  begun.trial.prove();
  assert.equal(await watching, "proved");
  assert.equal(machine.memory.trial, null);
  assert.deepEqual(machine.begin("0.2.0"), { kind: "none" });
  assert.equal(machine.program, NEW_TEXT);
});

Deno.test("[A120] none of a hundred executables that are not the one of the release is ever put in place", async () => {
  await using machine = new Machine();
  const changed = (index: number) => NEW.map((byte, each) => (each === index ? byte ^ 1 : byte));
  const every = (count: number) =>
    Array.from({ length: count }, (_, each) => Math.floor((each * NEW.length) / count));
  const bad: readonly (readonly [string, () => Response, RegExp])[] = [
    ...every(60).map(
      (at) => [`turned at ${at}`, () => new Response(changed(at)), /wrong_executable/] as const,
    ),
    ...every(40).map(
      (at) => [`cut at ${at}`, () => new Response(NEW.slice(0, at)), /wrong_executable/] as const,
    ),
    ["a byte more", () => new Response(new Uint8Array([...NEW, 0])), /more than/],
    ["without end", () => new Response(endless()), /more than/],
    ["a proxy's page", () => new Response("<html>Sign in</html>"), /wrong_executable/],
    ["nothing there", () => new Response("no", { status: 404 }), /does not have/],
    ["an error", () => new Response(NEW, { status: 500 }), /status 500/],
    ["a part", () => new Response(NEW, { status: 206 }), /status 206/],
    [
      "somewhere else",
      () => new Response(null, { status: 302, headers: { Location: "/good" } }),
      /status 302/,
    ],
    ["broken off", () => new Response(brokenOff()), /Cannot download/],
  ];
  assert.ok(bad.length >= 100);
  for (const [what, serve, expected] of bad) {
    machine.serve = serve;
    assert.match(await machine.round(), expected, what);
    assert.equal(machine.program, OLD, what);
    assert.deepEqual(machine.names, ["migrate-agent", "state"], what);
  }
  machine.serve = () => new Response(NEW);
  assert.equal(await machine.round(), "update_installed");
});

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024)) });
}

function brokenOff(): ReadableStream<Uint8Array> {
  let pulls = 0;
  return new ReadableStream({
    pull: (controller) => {
      if (pulls++ === 0) controller.enqueue(NEW.slice(0, 100));
      else controller.error(new Error("the line broke"));
    },
  });
}

Deno.test("[A120] a release manifest that is too large, redirected or of no known signer brings nothing in, and nothing is asked for", async () => {
  await using machine = new Machine();
  const signed = machine.release();
  const bad: readonly (readonly [() => Response, RegExp])[] = [
    [() => new Response(endless()), /more than/],
    [() => new Response(null, { status: 307, headers: { Location: "/good" } }), /status 307/],
    [() => new Response("<html>Sign in</html>"), /not_json/],
    [() => new Response("no", { status: 503 }), /status 503/],
    [
      () => Response.json({ ...signed, release: signText(stranger, "release", signed.release.text) }),
      /release_signature/,
    ],
  ];
  for (const [manifest, expected] of bad) {
    machine.manifest = manifest;
    assert.match(await machine.round(), expected);
  }
  assert.ok(machine.asked.every(({ path }) => path === "/api/agent/release?channel=stable"));
  assert.equal(machine.memory.seen, null);
  assert.equal(machine.program, OLD);
});

Deno.test("[A120] a download that stands still is given up", async () => {
  await using machine = new Machine();
  const end = Promise.withResolvers<void>();
  machine.serve = () =>
    new Response(
      new ReadableStream({ start: (it) => it.enqueue(NEW.slice(0, 10)), pull: () => end.promise }),
    );
  const life = new AbortController();
  const updating = keepUpdated(machine.input(), life.signal);
  await machine.clock.advance(0);
  await until(() => machine.asked.length === 2, "the download");
  await machine.clock.advance(DOWNLOAD_LIMIT_MS);
  await until(
    () => machine.logged.some(({ event }) => event === "update_round_failed"),
    "the end of the download",
  );
  assert.match(String(machine.logged.at(-1)?.fields["reason"]), /not all of it came in time/);
  life.abort();
  assert.equal(await updating, "stopped");
  assert.deepEqual(machine.names, ["migrate-agent", "state"]);
  end.resolve();
});

Deno.test("[A121] what was seen is remembered across starts: an older release is not believed, nor another of its number", async () => {
  await using machine = new Machine();
  machine.manifest = () =>
    Response.json(machine.release({ sequence: 5, rolloutPercent: 0, version: "0.3.0" }));
  const life = new AbortController();
  const updating = keepUpdated(machine.input(), life.signal);
  await machine.clock.advance(0);
  await until(() => machine.memory.seen?.sequence === 5, "the release to be remembered");
  life.abort();
  assert.equal(await updating, "stopped");
  machine.manifest = () => Response.json(machine.release({ sequence: 4 }));
  assert.match(await machine.round(), /replayed/);
  machine.manifest = () => Response.json(machine.release({ sequence: 5 }));
  assert.match(await machine.round(), /sequence_reused/);
  machine.manifest = () => Response.json(machine.release({ sequence: 6 }));
  assert.equal(await machine.round(), "update_installed");
});

Deno.test("[A124] it is asked at the start and then every few hours; a new release waits until no job runs", async () => {
  await using machine = new Machine();
  machine.manifest = () => new Response("no", { status: 404 });
  let isIdle = false;
  const life = new AbortController();
  const updating = keepUpdated(machine.input({ isIdle: () => isIdle }), life.signal);
  await machine.clock.advance(0);
  await until(() => machine.asked.length === 1, "the first question");
  machine.manifest = () => Response.json(machine.release());
  // The answer has to come in before the next wait begins.
  for (let waitedMs = 0; machine.asked.length < 2; waitedMs += 60_000) {
    assert.ok(waitedMs < 2 * CHECK_EVERY_MS, "it does not ask again");
    await machine.clock.advance(60_000);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const announced = () => machine.logged.filter(({ event }) => event === "update_available");
  await until(() => announced().length === 1, "the wait for the job");
  await machine.clock.advance(10 * 60_000);
  assert.equal(machine.program, OLD);
  assert.equal(announced().length, 1);
  isIdle = true;
  await machine.clock.advance(60_000);
  assert.equal(await updating, "installed");
  assert.equal(machine.program, NEW_TEXT);
});

Deno.test("[A125] a version that is not welcomed in time takes itself back and is never tried again", async () => {
  await using machine = new Machine();
  await machine.round();
  const begun = machine.begin("0.2.0");
  assert.ok(begun.kind === "on_trial");
  const watching = begun.trial.watch(new AbortController().signal);
  await machine.clock.advance(TRIAL_LIMIT_MS - 1);
  assert.equal(machine.program, NEW_TEXT);
  await machine.clock.advance(1);
  assert.equal(await watching, "taken_back");
  assert.equal(machine.program, OLD);
  assert.deepEqual(machine.begin("0.1.0"), { kind: "none" });
  assert.deepEqual(machine.memory.failed, ["0.2.0"]);
  assert.equal(machine.memory.trial, null);
  assert.match(await machine.round(), /failed_before/);
  assert.equal(machine.program, OLD);
  machine.manifest = () => Response.json(machine.release({ sequence: 2, version: "0.2.1" }));
  assert.equal(await machine.round(), "update_installed");
});

Deno.test("[A125] a version that ends before it is welcomed is taken back by its fourth start; stops by somebody do not count", async () => {
  await using machine = new Machine();
  await machine.round();
  for (let stop = 0; stop < 5; stop++) {
    const begun = machine.begin("0.2.0");
    assert.ok(begun.kind === "on_trial");
    begun.trial.withdraw();
  }
  for (let start = 0; start < TRIAL_STARTS_MAX; start++)
    assert.equal(machine.begin("0.2.0").kind, "on_trial");
  assert.equal(machine.program, NEW_TEXT);
  assert.deepEqual(machine.begin("0.2.0"), { kind: "taken_back", version: "0.1.0" });
  assert.equal(machine.program, OLD);
  assert.deepEqual(machine.begin("0.1.0"), { kind: "none" });
  assert.deepEqual(machine.memory.failed, ["0.2.0"]);
});

Deno.test("[A125] whatever a crash left half done: the old version begins anew, a new one that failed goes, one put back by hand stays away", async () => {
  const trial = { version: "0.2.0", previous: "0.1.0", starts: 0 };
  const blank = { format: 1, seen: null, failed: [] };
  await using machine = new Machine();
  const { executable } = machine;
  // Written down, and not put in place.
  machine.write(JSON.stringify({ ...blank, trial: { ...trial, executable } }));
  assert.deepEqual(machine.begin("0.1.0"), { kind: "none" });
  assert.deepEqual(machine.memory, { ...blank, trial: null });
  // Put back, and not written down.
  machine.write(JSON.stringify({ ...blank, trial: { ...trial, executable, starts: 1 } }));
  assert.deepEqual(machine.begin("0.1.0"), { kind: "none" });
  assert.deepEqual(machine.memory, { ...blank, failed: ["0.2.0"], trial: null });
  // Written down as failed, and not put back.
  Deno.writeTextFileSync(executable, NEW_TEXT);
  Deno.writeTextFileSync(`${executable}.previous`, OLD);
  machine.write(JSON.stringify({ ...blank, failed: ["0.2.0"], trial: { ...trial, executable, starts: 1 } }));
  assert.deepEqual(machine.begin("0.2.0"), { kind: "taken_back", version: "0.1.0" });
  assert.equal(machine.program, OLD);
  // Nothing to put back: an agent that runs is better than none.
  Deno.writeTextFileSync(executable, NEW_TEXT);
  machine.write(JSON.stringify({ ...blank, trial: { ...trial, executable, starts: 3 } }));
  assert.deepEqual(machine.begin("0.2.0"), { kind: "none" });
  assert.equal(machine.program, NEW_TEXT);
});

Deno.test("[A126] where the program's folder cannot be written, nothing starts it again, or it is none of its own, it is told once and nothing is touched", async () => {
  await using machine = new Machine();
  const life = new AbortController();
  const input = machine.input({ isKeptRunning: false });
  const updating = keepUpdated(input, life.signal);
  for (let rounds = 1; rounds <= 3; rounds++) {
    for (let waited = 0; machine.asked.length < rounds; waited++) {
      assert.ok(waited < 5_000, "it does not ask again");
      await machine.clock.advance(60_000);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  life.abort();
  assert.equal(await updating, "stopped");
  assert.equal(machine.logged.filter(({ event }) => event === "update_available").length, 1);
  assert.match(
    await machine.round({ executable: null }),
    /update_available this agent does not run as an executable/,
  );
  const { platform } = machine;
  // Root may write anywhere, but not where there is no folder.
  const denied = new Executable({ platform, path: `${machine.executable}-moved/agent`, copyRights });
  assert.match(await machine.round({ executable: denied }), /update_available its folder cannot be written/);
  if (Deno.uid() !== 0) {
    machine.close();
    assert.match(await machine.round(), /update_available its folder cannot be written/);
  }
  assert.equal(machine.program, OLD);
  assert.ok(machine.asked.every(({ path }) => !path.includes("executable")));
});

Deno.test("[A127] a policy without updates, and a build without a root key, ask for nothing", async () => {
  await using machine = new Machine();
  const life = new AbortController();
  assert.equal(await keepUpdated(machine.input({ rootKey: null }), life.signal), "stopped");
  const updating = keepUpdated(machine.input({ mayUpdate: () => false }), life.signal);
  await machine.clock.advance(3 * CHECK_EVERY_MS);
  life.abort();
  assert.equal(await updating, "stopped");
  assert.deepEqual(machine.asked, []);
});

Deno.test("[A127] an update memory that cannot be understood turns updates off instead of forgetting what was seen", async () => {
  await using machine = new Machine();
  machine.write("{");
  assert.throws(() => machine.memory, UpdateMemoryError);
  assert.deepEqual(machine.begin("0.1.0"), { kind: "none" });
  assert.match(await machine.round(), /update_round_failed Cannot understand update.json/);
  assert.equal(machine.program, OLD);
});
