/** Manifests on a real disk, and a control plane in memory that keeps to the protocol. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import type { ManifestCompletion } from "../schema/manifest.ts";
import { NO_LINE_SETTINGS } from "./engine/line-limit.ts";
import { Throttle } from "./engine/throttle.ts";
import { DELAY_MS_MAX, ManifestUploads, UNKNOWN_KEPT_MS } from "./manifest-upload.ts";
import { denoPlatform } from "./platform-deno.ts";
import { DiskError, type Disk } from "./platform.ts";
import type { Transport } from "./transport.ts";
import { settle, VirtualClock, type Logged } from "./virtual.ts";

const JOB = "job_01jd0000000000000000000001";
const TEXT = `${JSON.stringify({ path: "a", outcome: "completed" })}\n`.repeat(100);

const sha256 = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Takes parts and joins them, unless told to answer otherwise. */
class ControlPlane {
  readonly parts = new Map<string, Uint8Array>();
  readonly stored = new Map<string, Uint8Array>();
  readonly requests: string[] = [];
  /** What is answered first, by its turn; undefined = as usual. */
  readonly answers: (((usual: () => Response) => Response | Promise<Response>) | undefined)[] = [];

  readonly fetch = async (url: string, init: RequestInit & { signal: AbortSignal }): Promise<Response> => {
    init.signal.throwIfAborted();
    const { pathname, searchParams } = new URL(url);
    const { method = "GET" } = init;
    assert.equal(new Headers(init.headers).get("authorization"), "Bearer mig_agt1_key");
    const part = searchParams.get("part");
    this.requests.push(part === null ? method : `${method} part`);
    const jobId = pathname.split("/")[4] ?? "";
    const answer = this.answers.shift();
    const usual = () => this.#answer(method, { jobId, epoch: searchParams.get("epoch"), part }, init.body);
    const givenUp = new Promise<never>((_, reject) => {
      init.signal.addEventListener("abort", () => reject(init.signal.reason), { once: true });
    });
    return await Promise.race([Promise.try(() => (answer === undefined ? usual() : answer(usual))), givenUp]);
  };

  /** The same over the transport, a piece at a time. */
  readonly send: Transport["send"] = async ({ method, url, headers, body }, { signal, pace }) => {
    for (let sent = 0; pace !== null && sent < (body?.length ?? 0);)
      sent += await pace.take((body?.length ?? 0) - sent, signal);
    const init = { method, headers, signal, ...(body === null ? {} : { body: Uint8Array.from(body) }) };
    const response = await this.fetch(url, init);
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { status: response.status, header: (name) => response.headers.get(name), body: bytes };
  };

  #answer(
    method: string,
    { jobId, epoch, part }: { jobId: string; epoch: string | null; part: string | null },
    body: unknown,
  ): Response {
    const state = (of: string) => {
      const isStored = this.stored.has(`${jobId}.${of}`);
      const answer = { jobId, epoch: Number(of), stored: isStored };
      return Response.json({ ...answer, parts: isStored ? [] : [...this.parts.keys()] });
    };
    if (method === "GET") return state(String(epoch));
    if (method === "PUT") {
      const bytes = Uint8Array.from(body as Uint8Array);
      if (sha256(bytes) !== part) return refusal(400, "VALIDATION_ERROR");
      this.parts.set(part, bytes);
      return new Response(null, { status: 204 });
    }
    const completion = JSON.parse(String(body)) as ManifestCompletion;
    const joined = Buffer.concat(completion.parts.map((name) => this.parts.get(name) ?? new Uint8Array()));
    const text = gunzipSync(joined);
    assert.deepEqual(
      [sha256(text), text.toString().split("\n").length - 1],
      [completion.sha256, completion.rows],
    );
    this.stored.set(`${jobId}.${completion.epoch}`, text);
    this.parts.clear();
    return state(String(completion.epoch));
  }
}

const byLetters = (one: string, other: string) => (one < other ? -1 : 1);

function refusal(status: number, code: string, details: Record<string, unknown> | null = null): Response {
  return Response.json({ error: "no", code, details }, { status });
}

/** An agent's folder; `restart` is what a killed program finds. */
class Agent implements Disposable {
  readonly folder = Deno.makeTempDirSync();
  readonly clock = new VirtualClock();
  readonly plane = new ControlPlane();
  readonly logged: Logged[] = [];
  disk: Partial<Disk> = {};
  #life = new AbortController();
  uploads = this.#start();

  #start(): ManifestUploads {
    const real = denoPlatform(() => undefined);
    const uploads = new ManifestUploads({
      platform: {
        ...real,
        disk: { ...real.disk, ...this.disk },
        clock: this.clock,
        fetch: this.plane.fetch,
        transport: { send: this.plane.send, close: () => undefined },
        log: (event, fields) => this.logged.push({ event, fields }),
      },
      config: { url: "https://api.example.com", key: "mig_agt1_key" },
      throttle: new Throttle(this.clock),
      folder: this.folder,
    });
    return uploads;
  }

  run(): void {
    const { signal } = this.#life;
    void this.uploads.run(signal);
  }

  restart(): void {
    this.#life.abort();
    this.#life = new AbortController();
    this.uploads = this.#start();
    this.run();
  }

  write(epoch: number, text = TEXT, line = NO_LINE_SETTINGS): void {
    Deno.writeTextFileSync(`${this.folder}/${JOB}.${epoch}.jsonl`, text);
    const rows = text.split("\n").length - 1;
    this.uploads.add({ jobId: JOB, epoch, sha256: sha256(text), rows, line });
  }

  /** Lets everything happen that is due, reading and packing too, which the real disk does in its own time. */
  async until(isSo: () => boolean, stepMs = 0): Promise<void> {
    for (let turn = 0; turn < 4_000; turn++) {
      if (isSo()) return;
      await this.clock.advance(stepMs);
      await settle();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    throw new Error(`It never came to it: ${this.plane.requests.join(" ")} ${JSON.stringify(this.logged)}`);
  }

  files(): string[] {
    return [...Deno.readDirSync(this.folder)]
      .map(({ name }) => name.replace(`${JOB}.`, ""))
      .toSorted(byLetters);
  }

  events(): string[] {
    return this.logged.map(({ event }) => event);
  }

  [Symbol.dispose](): void {
    this.#life.abort();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test("[H6] a manifest is brought, its note goes, and the file stays as it was", async () => {
  using agent = new Agent();
  agent.run();
  agent.write(1);
  await agent.until(() => !agent.files().includes("1.upload"));
  assert.equal(agent.plane.stored.get(`${JOB}.1`)?.toString(), TEXT);
  assert.deepEqual(agent.files(), ["1.jsonl"]);
  assert.equal(Deno.readTextFileSync(`${agent.folder}/${JOB}.1.jsonl`), TEXT);
  assert.deepEqual(agent.plane.requests, ["GET", "PUT part", "POST"]);
  assert.deepEqual(agent.events(), ["manifest_stored"]);
});

Deno.test("[H6] what was noted is brought after a restart, also when the program never got to it", async () => {
  using agent = new Agent();
  agent.write(1);
  agent.write(2, TEXT + TEXT);
  assert.deepEqual(agent.files(), ["1.jsonl", "1.upload", "2.jsonl", "2.upload"]);
  agent.restart();
  await agent.until(() => agent.plane.stored.size === 2 && agent.files().length === 2);
  assert.deepEqual(agent.files(), ["1.jsonl", "2.jsonl"]);
});

Deno.test("[H6] one that comes while another is on its way does not wait for its turn to be forgotten", async () => {
  using agent = new Agent();
  agent.run();
  agent.plane.answers.push((usual) => {
    agent.write(2);
    return usual();
  });
  agent.write(1);
  await agent.until(() => agent.plane.stored.size === 2);
});

Deno.test("[H6] cut off at each step in turn, the manifest arrives whole, and no part is sent twice", async () => {
  // Random letters, so that it packs into several parts.
  const rows = Array.from({ length: 300_000 }, (_, index) => `"${sha256(String(index))}"\n`);
  const text = rows.join("");
  for (const [cut, request] of ["GET", "PUT part", "PUT part", "POST"].entries()) {
    using agent = new Agent();
    agent.plane.answers.push(...Array.from<undefined>({ length: cut }), (usual) => {
      // Done there, and nobody here hears of it.
      usual();
      return new Promise<Response>(() => undefined);
    });
    agent.run();
    agent.write(1, text);
    await agent.until(() => agent.plane.requests.length === cut + 1);
    assert.equal(agent.plane.requests.at(-1), request);
    agent.restart();
    await agent.until(() => agent.files().length === 1);
    assert.equal(agent.plane.stored.get(`${JOB}.1`)?.toString(), text);
    assert.equal(agent.plane.requests.filter((one) => one === "PUT part").length, 2);
  }
});

Deno.test("[H6] packing that was cut off, by an error of the disk or the end of the program, begins anew", async () => {
  using agent = new Agent();
  const { open } = denoPlatform(() => undefined).disk;
  let isBroken = true;
  agent.disk = {
    open: async (path) => {
      const file = await open(path);
      const read = async (into: Uint8Array, position: number) => {
        if (isBroken && position > 0) throw new DiskError("other", "Cannot read: the disk does not answer");
        return await file.read(into, position);
      };
      return { ...file, read };
    },
  };
  agent.restart();
  agent.write(1, TEXT.repeat(200));
  await agent.until(() => agent.events().includes("manifest_waits"));
  assert.deepEqual(agent.files(), ["1.jsonl", "1.jsonl.gz.new", "1.upload"]);
  isBroken = false;
  agent.restart();
  await agent.until(() => agent.plane.stored.size === 1 && agent.files().length === 1);
});

Deno.test("[H7] while the control plane is away, slow, busy, without the report or without the route, it is tried again", async () => {
  using agent = new Agent();
  agent.plane.answers.push(
    () => Promise.reject(new TypeError("no network")),
    () => refusal(503, "INTERNAL_ERROR"),
    () => new Response("<html>a proxy</html>", { status: 502 }),
    () => refusal(429, "RATE_LIMIT_EXCEEDED"),
    () => refusal(401, "UNAUTHORIZED"),
    () => refusal(403, "AGENT_PENDING"),
    () => refusal(404, "NOT_FOUND"),
    () => new Promise<Response>(() => undefined),
    undefined,
    undefined,
    () => refusal(409, "CONFLICT"),
  );
  agent.run();
  agent.write(1);
  await agent.until(() => agent.plane.stored.size === 1, 60_000);
  assert.equal(agent.events().filter((event) => event === "manifest_waits").length, 9);
});

Deno.test("[H7] what was thrown away after a look is packed and sent anew", async () => {
  using agent = new Agent();
  agent.plane.answers.push(undefined, undefined, () => {
    Deno.writeTextFileSync(`${agent.folder}/${JOB}.1.jsonl.gz`, "the disk has lost it");
    agent.plane.parts.clear();
    return refusal(409, "CONFLICT", { discarded: true });
  });
  agent.run();
  agent.write(1);
  await agent.until(() => agent.plane.stored.size === 1, 10_000);
});

Deno.test("[H7] one that will never be taken is given up with a line in the log, and the others are brought", async () => {
  using agent = new Agent();
  agent.plane.answers.push(undefined, undefined, () => refusal(400, "VALIDATION_ERROR"));
  agent.write(1);
  agent.write(2);
  agent.write(3);
  Deno.removeSync(`${agent.folder}/${JOB}.2.jsonl`);
  Deno.writeTextFileSync(`${agent.folder}/${JOB}.3.jsonl`, "changed since");
  agent.write(4);
  Deno.writeTextFileSync(`${agent.folder}/${JOB}.5.upload`, "{");
  agent.restart();
  await agent.until(() => agent.plane.stored.size === 1 && !agent.files().includes("4.upload"));
  assert.deepEqual(agent.files(), ["1.jsonl", "3.jsonl", "4.jsonl", "5.upload"]);
  assert.deepEqual(agent.events().toSorted(byLetters), [
    "manifest_given_up",
    "manifest_given_up",
    "manifest_given_up",
    "manifest_stored",
  ]);
});

Deno.test("[H7] a job that the control plane does not know is asked about for a week, ever more rarely", async () => {
  using agent = new Agent();
  agent.plane.answers.push(...Array.from({ length: 5_000 }, () => () => refusal(404, "NOT_FOUND")));
  agent.run();
  agent.write(1);
  const startMs = agent.clock.now();
  await agent.until(() => !agent.files().includes("1.upload"), DELAY_MS_MAX);
  const lastedMs = agent.clock.now() - startMs;
  assert.ok(lastedMs > UNKNOWN_KEPT_MS && lastedMs < UNKNOWN_KEPT_MS + 4 * DELAY_MS_MAX, String(lastedMs));
  assert.ok(agent.plane.requests.length < 1_500, String(agent.plane.requests.length));
  assert.deepEqual(agent.files(), ["1.jsonl"]);
});

Deno.test("[H7] on a full disk the manifest is remembered, and brought when there is room", async () => {
  using agent = new Agent();
  let isFull = true;
  const { create } = denoPlatform(() => undefined).disk;
  agent.disk = {
    create: (path) => {
      if (isFull) throw new DiskError("no_space", "Cannot write: the disk is full");
      return create(path);
    },
  };
  agent.restart();
  agent.write(1);
  await agent.until(() => agent.events().includes("manifest_waits"));
  assert.deepEqual([agent.files(), agent.plane.stored.size], [["1.jsonl"], 0]);
  isFull = false;
  await agent.until(() => agent.plane.stored.size === 1 && agent.files().length === 1, 10_000);
});

Deno.test("[H13] the list of a job with a limit of the line stays within it, also when its note is found after a restart", async () => {
  using agent = new Agent();
  // Does not get smaller when it is packed.
  const noise = Array.from({ length: 6 }, () => crypto.getRandomValues(new Uint8Array(65_536)).toHex()).join(
    "\n",
  );
  agent.write(1, `${noise}\n`, { bandwidthMbps: 0.5, schedule: null });
  agent.restart();
  const begunMs = agent.clock.monotonic();
  await agent.until(() => agent.plane.stored.size === 1, 50);
  const seconds = (agent.clock.monotonic() - begunMs) / 1_000;
  // 393 kB, because hexadecimal digits are packed into half of them; 62.5 kB a second.
  assert.ok(seconds > 6, `${seconds} s`);
});

Deno.test("[H13] a note of an earlier version has no limit, and is brought as before", async () => {
  using agent = new Agent();
  Deno.writeTextFileSync(`${agent.folder}/${JOB}.1.jsonl`, TEXT);
  const note = { jobId: JOB, epoch: 1, sha256: sha256(TEXT), rows: 100, notedMs: 0 };
  Deno.writeTextFileSync(`${agent.folder}/${JOB}.1.upload`, JSON.stringify(note));
  agent.run();
  await agent.until(() => agent.plane.stored.size === 1);
});
