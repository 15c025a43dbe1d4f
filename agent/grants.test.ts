/** Grants against a control plane in memory, with the clock moved by hand. */
import assert from "node:assert/strict";
import type { JobDestination } from "../schema/job.ts";
import { TransferError } from "./connectors/connector.ts";
import type { Grant } from "../schema/connector.ts";
import { Grants, REPLACE_MS_MIN } from "./grants.ts";
import { settle, VirtualClock, virtualPlatform } from "./virtual.ts";

/** Whether it is there at once or comes later is another test's question. */
function ask(grants: Grants, signal: AbortSignal): Promise<Grant> {
  return Promise.try(() => grants.current(signal));
}

const MINUTE = 60_000;
const SERVER_AHEAD_MS = 26 * 60 * MINUTE;
const DESTINATION: JobDestination = {
  kind: "azure_blob",
  account: "acme",
  container: "plans",
  prefix: "",
  tier: "Hot",
};

/** Answers with grants of an hour, numbered, unless told otherwise. */
class ControlPlane {
  readonly clock = new VirtualClock();
  readonly over = new AbortController();
  readonly requests: { url: string; headers: Headers; body: unknown }[] = [];
  readonly answers: (() => Response | Promise<Response>)[] = [];
  stale = 0;
  readonly platform = virtualPlatform({
    clock: this.clock,
    fetch: async (url, init) => {
      init.signal.throwIfAborted();
      this.requests.push({ url, headers: new Headers(init.headers), body: JSON.parse(init.body as string) });
      const givenUp = new Promise<never>((_, reject) => {
        init.signal.addEventListener("abort", () => reject(init.signal.reason), { once: true });
      });
      return await Promise.race([(this.answers.shift() ?? (() => this.grant()))(), givenUp]);
    },
  });
  /** What this machine's policy says. */
  policy: string | null = null;
  readonly grants = new Grants({
    policyRefusal: () => this.policy,
    platform: this.platform,
    config: { url: "https://api.example.com", key: "mig_agt1_key" },
    jobId: "job_01jd0000000000000000000001",
    epoch: 2,
    destination: DESTINATION,
    signal: this.over.signal,
    onStale: () => this.stale++,
  });

  /** The server's clock is a day ahead: its times only mean something next to its own. */
  grant(containerUrl = "https://acme.blob.core.windows.net/plans"): Response {
    const now = this.clock.now() + SERVER_AHEAD_MS;
    const body = {
      kind: "azure_blob",
      containerUrl,
      container: "plans",
      sas: `sig=SECRET${this.requests.length}`,
      expiresAt: new Date(now + 60 * MINUTE).toISOString(),
      renewAt: new Date(now + 30 * MINUTE).toISOString(),
    };
    return Response.json(body, { headers: { Date: new Date(now).toUTCString() } });
  }

  refuse(status: number, code: string, sentence = "no"): () => Response {
    return () => Response.json({ error: sentence, code, details: null }, { status });
  }

  heldUp() {
    return this.grants.heldUp;
  }

  async current(): Promise<string> {
    const granted = ask(this.grants, new AbortController().signal);
    // Looked at below; until then a rejection is nobody's oversight.
    granted.catch(() => undefined);
    await this.clock.advance(0);
    return (await granted).sas;
  }
}

Deno.test("[A23] a grant is asked for with the agent's key, and shared by all who ask at once", async () => {
  const plane = new ControlPlane();
  const all = await Promise.all([plane.current(), plane.current(), plane.current()]);
  assert.deepEqual(all, ["sig=SECRET1", "sig=SECRET1", "sig=SECRET1"]);
  assert.equal(plane.requests.length, 1);
  assert.equal(plane.requests[0]?.url, "https://api.example.com/api/agent/grants");
  assert.equal(plane.requests[0]?.headers.get("Authorization"), "Bearer mig_agt1_key");
  assert.deepEqual(plane.requests[0]?.body, { jobId: "job_01jd0000000000000000000001", epoch: 2 });
});

Deno.test("[A23] it is renewed at half its life, behind the back of those who work with the old one", async () => {
  const plane = new ControlPlane();
  await plane.current();
  await plane.clock.advance(29 * MINUTE);
  assert.equal(await plane.current(), "sig=SECRET1");
  assert.equal(plane.requests.length, 1);
  await plane.clock.advance(2 * MINUTE);
  assert.equal(await plane.current(), "sig=SECRET1");
  await settle();
  assert.equal(await plane.current(), "sig=SECRET2");
  assert.equal(plane.requests.length, 2);
});

Deno.test("[A23] while the control plane is away the old grant serves to its end, and beyond it everybody waits", async () => {
  const plane = new ControlPlane();
  await plane.current();
  for (let count = 0; count < 1_000; count++)
    plane.answers.push(() => Promise.reject(new TypeError("network")));
  await plane.clock.advance(50 * MINUTE);
  assert.equal(await plane.current(), "sig=SECRET1");
  await plane.clock.advance(9 * MINUTE);
  let late: string | null = null;
  ask(plane.grants, new AbortController().signal).then(
    ({ sas }) => (late = sas),
    () => undefined,
  );
  await plane.clock.advance(30 * MINUTE);
  assert.equal(late, null);
  plane.answers.length = 0;
  await plane.clock.advance(2 * MINUTE);
  assert.match(late ?? "", /^sig=SECRET/);
});

Deno.test("[A23] who gives up waiting is let go at once", async () => {
  const plane = new ControlPlane();
  plane.answers.push(() => new Promise<Response>(() => undefined));
  const stop = new AbortController();
  const waiting = ask(plane.grants, stop.signal);
  await settle();
  stop.abort(new Error("paused"));
  await assert.rejects(waiting, /paused/);
});

for (const [what, answer] of [
  ["a server error", (plane: ControlPlane) => plane.refuse(503, "INTERNAL_ERROR")],
  ["a proxy's page", () => () => new Response("<html>", { status: 502 })],
  ["an answer that is no grant", () => () => Response.json({ sas: "sig=SECRET" })],
  ["no answer in time", () => () => new Promise<Response>(() => undefined)],
] as const) {
  Deno.test(`[A24] after ${what} it is asked again, with back-off`, async () => {
    const plane = new ControlPlane();
    plane.answers.push(answer(plane));
    const granted = ask(plane.grants, new AbortController().signal);
    await plane.clock.advance(2 * MINUTE);
    assert.equal((await granted).sas, "sig=SECRET2");
  });
}

Deno.test("[A24] a project without a storage connection fails the job, and is not asked again", async () => {
  const plane = new ControlPlane();
  plane.answers.push(plane.refuse(409, "NO_AZURE_CONNECTION"));
  const isNoConnection = (error: unknown) =>
    error instanceof TransferError &&
    error.problem.scope === "job" &&
    error.problem.code === "NO_AZURE_CONNECTION";
  await assert.rejects(plane.current(), isNoConnection);
  await assert.rejects(plane.current(), isNoConnection);
  assert.equal(plane.requests.length, 1);
});

Deno.test("[A24] storage that is refused for good fails the job with the control plane's sentence", async () => {
  const plane = new ControlPlane();
  plane.answers.push(plane.refuse(409, "STORAGE_DENIED", "The SAS has lapsed"));
  await assert.rejects(
    plane.current(),
    (error) =>
      error instanceof TransferError &&
      error.problem.scope === "job" &&
      error.problem.code === "DESTINATION_DENIED" &&
      error.message === "The SAS has lapsed",
  );
});

Deno.test("[A24] a grant for somewhere else fails the job with DESTINATION_REFUSED", async () => {
  const plane = new ControlPlane();
  plane.answers.push(() => plane.grant("https://evil.example/plans"));
  await assert.rejects(
    plane.current(),
    (error) =>
      error instanceof TransferError &&
      error.problem.scope === "job" &&
      error.problem.code === "DESTINATION_REFUSED",
  );
});

for (const [status, code] of [
  [404, "NOT_FOUND"],
  [409, "CONFLICT"],
] as const) {
  Deno.test(`[A19] an epoch that is not known any more (${status}) puts the run down, without an error`, async () => {
    const plane = new ControlPlane();
    plane.answers.push(plane.refuse(status, code));
    const stop = new AbortController();
    const waiting = ask(plane.grants, stop.signal);
    await plane.clock.advance(MINUTE);
    assert.equal(plane.stale, 1);
    assert.equal(plane.requests.length, 1);
    stop.abort(new Error("suspended"));
    plane.over.abort();
    await assert.rejects(waiting, /suspended/);
  });
}

const SIGN_IN = "Azure credentials expired — re-authenticate via dashboard";

Deno.test("[M13] while somebody has to sign in again the run waits, says so, asks each minute, and goes on", async () => {
  const plane = new ControlPlane();
  plane.answers.push(...Array.from({ length: 30 }, () => plane.refuse(403, "AZURE_AUTH_EXPIRED", SIGN_IN)));
  const granted = ask(plane.grants, new AbortController().signal);
  await plane.clock.advance(0);
  assert.deepEqual(plane.heldUp(), { reason: "authorization", untilMs: null, message: SIGN_IN });
  await plane.clock.advance(10 * MINUTE);
  const asked = plane.requests.length;
  assert.ok(asked >= 8 && asked <= 14, `asked ${asked} times in ten minutes`);
  assert.notEqual(plane.heldUp(), null);
  plane.answers.length = 0;
  await plane.clock.advance(2 * MINUTE);
  assert.match((await granted).sas, /^sig=SECRET/);
  assert.equal(plane.heldUp(), null);
  assert.equal(plane.stale, 0);
});

Deno.test("[M13] nobody is held up while the old grant serves", async () => {
  const plane = new ControlPlane();
  await plane.current();
  plane.answers.push(...Array.from({ length: 90 }, () => plane.refuse(403, "AZURE_AUTH_EXPIRED", SIGN_IN)));
  await plane.clock.advance(31 * MINUTE);
  assert.equal(await plane.current(), "sig=SECRET1");
  await plane.clock.advance(MINUTE);
  assert.equal(plane.heldUp(), null);
  await plane.clock.advance(28 * MINUTE);
  assert.equal(plane.heldUp()?.reason, "authorization");
});

Deno.test("[M13] who waits for a sign-in is let go at once when the job is paused or the run is over", async () => {
  const plane = new ControlPlane();
  plane.answers.push(plane.refuse(403, "AZURE_AUTH_EXPIRED", SIGN_IN));
  const stop = new AbortController();
  const waiting = ask(plane.grants, stop.signal);
  await plane.clock.advance(0);
  stop.abort(new Error("paused"));
  await assert.rejects(waiting, /paused/);
  const other = ask(plane.grants, new AbortController().signal);
  other.catch(() => undefined);
  plane.over.abort(new Error("over"));
  await assert.rejects(other, /over/);
});

Deno.test("[A25] a refused grant is replaced once, however many streams met the refusal", async () => {
  const plane = new ControlPlane();
  const { signal } = new AbortController();
  const stale = await ask(plane.grants, signal);
  await plane.clock.advance(MINUTE);
  const both = await Promise.all([plane.grants.replace(stale, signal), plane.grants.replace(stale, signal)]);
  assert.deepEqual(
    both.map(({ sas }) => sas),
    ["sig=SECRET2", "sig=SECRET2"],
  );
  assert.equal((await plane.grants.replace(stale, signal)).sas, "sig=SECRET2");
  assert.equal(plane.requests.length, 2);
});

Deno.test("[A25] grants that are refused as soon as they are made are not asked for without a pause", async () => {
  const plane = new ControlPlane();
  const { signal } = new AbortController();
  const stale = await ask(plane.grants, signal);
  const next = plane.grants.replace(stale, signal);
  await plane.clock.advance(REPLACE_MS_MIN - 100);
  assert.equal(plane.requests.length, 1);
  await plane.clock.advance(200);
  assert.equal((await next).sas, "sig=SECRET2");
});

Deno.test("[A26] no grant is ever in the log", async () => {
  const plane = new ControlPlane();
  await plane.current();
  plane.answers.push(() => Response.json({ sas: "sig=SECRET" }), plane.refuse(503, "INTERNAL_ERROR"));
  await plane.clock.advance(31 * MINUTE);
  await plane.current();
  await plane.clock.advance(10 * MINUTE);
  assert.ok(plane.platform.logged.length > 0);
  assert.ok(!JSON.stringify(plane.platform.logged).includes("SECRET"));
});

Deno.test("[A23] a grant that is good is there at once, without a promise", async () => {
  const plane = new ControlPlane();
  await plane.current();
  assert.ok(!(plane.grants.current(new AbortController().signal) instanceof Promise));
});

Deno.test("[A63] a destination that this machine's policy does not allow gets no further grant, whatever the control plane grants", async () => {
  const plane = new ControlPlane();
  assert.equal(await plane.current(), "sig=SECRET1");
  plane.policy = "Cannot write to it: policy.json does not allow it";
  await plane.clock.advance(61 * MINUTE);
  await assert.rejects(plane.current(), (error: unknown) => {
    assert.ok(error instanceof TransferError);
    assert.deepEqual(error.problem, { scope: "job", code: "DESTINATION_REFUSED" });
    return error.message === plane.policy;
  });
});

for (const jumpMs of [24 * 60 * MINUTE, -60 * MINUTE]) {
  Deno.test(`[X21] a clock that jumps by ${jumpMs / MINUTE} minutes neither ends a grant nor keeps one, also while the next is fetched`, async () => {
    const plane = new ControlPlane();
    const never = new AbortController().signal;
    const first = (await ask(plane.grants, never)).sas;
    plane.clock.jump(jumpMs);
    await plane.clock.advance(29 * MINUTE);
    assert.equal((await ask(plane.grants, never)).sas, first);
    assert.equal(plane.requests.length, 1);
    const { promise, resolve } = Promise.withResolvers<Response>();
    plane.answers.push(() => promise);
    await plane.clock.advance(2 * MINUTE);
    assert.equal((await ask(plane.grants, never)).sas, first);
    plane.clock.jump(jumpMs);
    resolve(plane.grant());
    await settle();
    const second = (await ask(plane.grants, never)).sas;
    assert.notEqual(second, first);
    await plane.clock.advance(28 * MINUTE);
    assert.equal((await ask(plane.grants, never)).sas, second);
    assert.equal(plane.requests.length, 2);
  });
}
