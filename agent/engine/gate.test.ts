/** The gate of a storage account that throttles. */
import assert from "node:assert/strict";
import type { Random } from "../platform.ts";
import { seededRandom, settle, VirtualClock } from "../virtual.ts";
import { AccountGate, AccountGates, DELAY_MS_MAX, RAISE_MS_MIN, SHUT_MS_MAX, type Stay } from "./gate.ts";

const NEVER = new AbortController().signal;
/** Chance that always draws nearly the most. */
const MOST: Random = { next: () => 0.999, bytes: (count) => new Uint8Array(count) };
const LEAST: Random = { next: () => 0, bytes: (count) => new Uint8Array(count) };

function makeGate(streams: number, random: Random = MOST) {
  const clock = new VirtualClock();
  const gate = new AccountGate(clock, random);
  gate.setCeiling(streams);
  return { clock, gate };
}

/** As many as come in at once. */
function fill(gate: AccountGate): Stay[] {
  const inside: Stay[] = [];
  for (;;) {
    const leaving = new AbortController();
    const stay = gate.enter(leaving.signal);
    if (stay instanceof Promise) {
      stay.catch(() => {});
      leaving.abort();
      return inside;
    }
    inside.push(stay);
  }
}

function enterNow(gate: AccountGate): Stay {
  const stay = gate.enter(NEVER);
  assert.ok(!(stay instanceof Promise), "the gate lets nobody in");
  return stay;
}

Deno.test("[W6] unthrottled, as many are inside as there are streams, and the next comes when one leaves", async () => {
  const { gate } = makeGate(4);
  const inside = fill(gate);
  assert.equal(inside.length, 4);
  let entered = 0;
  const waiting = [0, 1].map(async () => {
    const stay = await gate.enter(NEVER);
    entered++;
    return stay;
  });
  await settle();
  assert.equal(entered, 0);
  inside[0]?.leave("ok");
  inside[0]?.leave("ok");
  await settle();
  assert.equal(entered, 1);
  inside[1]?.leave("failed");
  await settle();
  assert.equal(entered, 2);
  await Promise.all(waiting);
});

Deno.test("[W7] nobody enters before the time the service asked for, and then no more than half", async () => {
  const { clock, gate } = makeGate(8);
  const inside = fill(gate);
  inside[0]?.leave("throttled", 30_000);
  for (const stay of inside) stay.leave("ok");
  let entered = 0;
  for (let stream = 0; stream < 8; stream++) void Promise.resolve(gate.enter(NEVER)).then(() => entered++);
  await clock.advance(29_999);
  assert.equal(entered, 0);
  await clock.advance(1);
  assert.equal(entered, 4);
});

Deno.test("[W7] the state tells the wall time until which the gate is shut, and how many it lets in", async () => {
  const { clock, gate } = makeGate(8);
  assert.deepEqual(gate.state, { throttledUntilMs: null, limit: 8 });
  const untilMs = clock.now() + 30_000;
  fill(gate)[0]?.leave("throttled", 30_000);
  assert.deepEqual(gate.state, { throttledUntilMs: untilMs, limit: 4 });
  await clock.advance(30_000);
  assert.deepEqual(gate.state, { throttledUntilMs: null, limit: 4 });
});

Deno.test("[W8] what was under way when the gate shut does not narrow it again, but may keep it shut for longer", async () => {
  const { clock, gate } = makeGate(32);
  const inside = fill(gate);
  inside[0]?.leave("throttled", 1_000);
  const untilMs = gate.state.throttledUntilMs;
  for (const stay of inside.slice(1, 31)) stay.leave("throttled", 500);
  assert.deepEqual(gate.state, { throttledUntilMs: untilMs, limit: 16 });
  inside[31]?.leave("throttled", 5_000);
  assert.deepEqual(gate.state, { throttledUntilMs: clock.now() + 5_000, limit: 16 });
  await clock.advance(5_000);
  const next = fill(gate);
  assert.equal(next.length, 16);
  for (const stay of next) stay.leave("throttled", 1_000);
  assert.equal(gate.state.limit, 8);
});

Deno.test("[W8] a success of a request that was under way before is no recovery", async () => {
  const { clock, gate } = makeGate(4);
  const inside = fill(gate);
  inside[0]?.leave("throttled", 1_000);
  await clock.advance(5_000);
  for (const stay of inside) stay.leave("ok");
  assert.equal(gate.state.limit, 2);
  enterNow(gate).leave("throttled");
  assert.equal(gate.state.throttledUntilMs, clock.now() + 1_998);
});

Deno.test("[W8] what is halved is what was under way, never below one", async () => {
  const { clock, gate } = makeGate(32);
  const two = [enterNow(gate), enterNow(gate)];
  two[0]?.leave("throttled");
  two[1]?.leave("ok");
  assert.equal(gate.state.limit, 1);
  await clock.advance(DELAY_MS_MAX);
  enterNow(gate).leave("throttled");
  assert.equal(gate.state.limit, 1);
});

Deno.test("[W8] each time all that may be inside succeeded, one more may, up to the streams of the jobs", async () => {
  const { clock, gate } = makeGate(8);
  const inside = fill(gate);
  for (const stay of inside) stay.leave("throttled", 1_000);
  await clock.advance(1_000);
  const limits: number[] = [];
  for (let success = 0; success < 40; success++) {
    await clock.advance(RAISE_MS_MIN);
    enterNow(gate).leave("ok");
    limits.push(gate.state.limit);
  }
  // 4 successes for the fifth, 5 for the sixth, 6, 7.
  assert.equal(limits.indexOf(5), 3);
  assert.equal(limits.indexOf(6), 8);
  assert.equal(limits.indexOf(7), 14);
  assert.equal(limits.indexOf(8), 21);
  assert.equal(limits.at(-1), 8);
});

Deno.test("[W8] quick successes raise the number once a second, no sooner", async () => {
  const { clock, gate } = makeGate(32, LEAST);
  for (const stay of fill(gate)) stay.leave("throttled", 5_000);
  await clock.advance(5_000);
  const limits: number[] = [];
  for (let second = 0; second < 4; second++) {
    for (let tenth = 0; tenth < 10; tenth++) {
      for (let success = 0; success < 100; success++) enterNow(gate).leave("ok");
      await clock.advance(100);
    }
    limits.push(gate.state.limit);
  }
  assert.deepEqual(limits, [16, 17, 18, 19]);
});

Deno.test("[W9] without a word of the service the delay doubles with each throttled round up to 64 s, and begins anew after a success", async () => {
  const { clock, gate } = makeGate(4);
  const delaysS: number[] = [];
  const throttled = async () => {
    const inside = fill(gate);
    for (const stay of inside) stay.leave("throttled");
    const delayMs = (gate.state.throttledUntilMs ?? 0) - clock.now();
    delaysS.push(Math.round(delayMs / 1_000));
    await clock.advance(delayMs);
  };
  for (let round = 0; round < 9; round++) await throttled();
  assert.deepEqual(delaysS, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
  enterNow(gate).leave("ok");
  await throttled();
  assert.equal(delaysS.at(-1), 1);
});

Deno.test("[W9] the delay is drawn from the whole range, and the service's word is its least", () => {
  for (const [random, afterMs, waitedMs] of [
    [LEAST, null, null],
    [LEAST, 700, 700],
    [MOST, 700, 999],
    [MOST, -5, 999],
    [MOST, 365 * 86_400_000, SHUT_MS_MAX],
  ] as const) {
    const { clock, gate } = makeGate(4, random);
    enterNow(gate).leave("throttled", afterMs);
    const { throttledUntilMs } = gate.state;
    assert.equal(throttledUntilMs === null ? null : throttledUntilMs - clock.now(), waitedMs);
  }
});

Deno.test("[W9] a failure that is no throttling changes nothing", () => {
  const { gate } = makeGate(4);
  for (const stay of fill(gate)) stay.leave("failed", 5_000);
  assert.deepEqual(gate.state, { throttledUntilMs: null, limit: 4 });
});

Deno.test("[W6] a signal ends a wait with its reason, shut or full, and the place goes to the next", async () => {
  const { clock, gate } = makeGate(1);
  const stay = enterNow(gate);
  const leaving = new AbortController();
  const left = assert.rejects(async () => await gate.enter(leaving.signal), /enough/);
  const next = gate.enter(NEVER);
  leaving.abort(new Error("enough"));
  await left;
  stay.leave("throttled", 1_000);
  await assert.rejects(async () => await gate.enter(leaving.signal), /enough/);
  await clock.advance(1_000);
  (await next).leave("ok");
  enterNow(gate).leave("ok");
});

Deno.test("[W6] places are given in the order of coming", async () => {
  const { clock, gate } = makeGate(2);
  const inside = fill(gate);
  const order: number[] = [];
  const all = Array.from({ length: 10 }, async (_, index) => {
    const stay = await gate.enter(NEVER);
    order.push(index);
    await clock.sleep(10, NEVER);
    stay.leave("ok");
  });
  for (const stay of inside) stay.leave("ok");
  await clock.advance(1_000);
  await Promise.all(all);
  assert.deepEqual(
    order,
    Array.from({ length: 10 }, (_, index) => index),
  );
});

Deno.test("[W7] jobs that use one account pass one gate, and its word outlives the job that heard it", async () => {
  const clock = new VirtualClock();
  const gates = new AccountGates(clock, MOST);
  const first = gates.join("contoso", 4);
  const second = gates.join("contoso", 8);
  const other = gates.join("fabrikam", 2);
  assert.equal(first.gate, second.gate);
  assert.equal(first.gate.state.limit, 12);
  const untilMs = clock.now() + 60_000;
  for (const stay of fill(first.gate)) stay.leave("throttled", 60_000);
  assert.deepEqual(second.gate.state, { throttledUntilMs: untilMs, limit: 6 });
  assert.deepEqual(other.gate.state, { throttledUntilMs: null, limit: 2 });

  second.leave();
  second.leave();
  assert.equal(first.gate.state.limit, 4);
  first.leave();
  const third = gates.join("contoso", 32);
  assert.equal(third.gate.state.throttledUntilMs, untilMs);
  assert.equal(third.gate.state.limit, 4);
  third.leave();
  await clock.advance(60_000);
  other.leave();
  assert.equal(gates.size, 0);
});

Deno.test("[W8] a service with room for a few is used well, by two jobs, and hardly annoyed", async () => {
  // Serves 10 at a time, each for 100 ms, and throttles what comes beyond, without saying for how long.
  const clock = new VirtualClock();
  const gates = new AccountGates(clock, seededRandom(4));
  let busy = 0;
  let served = 0;
  let refused = 0;
  const stopping = new AbortController();
  const request = async (gate: AccountGate) => {
    const stay = await gate.enter(stopping.signal);
    if (busy >= 10) {
      refused++;
      await clock.sleep(10, stopping.signal);
      return stay.leave("throttled");
    }
    busy++;
    await clock.sleep(100, stopping.signal);
    busy--;
    served++;
    stay.leave("ok");
  };
  const jobs = [16, 16].map((streams) => ({ streams, ...gates.join("contoso", streams) }));
  const streams = jobs.flatMap(({ gate, streams: count }) =>
    Array.from({ length: count }, async () => {
      while (!stopping.signal.aborted) await request(gate).catch(() => {});
    }),
  );
  await clock.advance(120_000);
  stopping.abort();
  await Promise.all(streams);
  assert.ok(served > 0.6 * 10 * 10 * 120, `${served} served`);
  assert.ok(refused < 0.01 * served, `${refused} refused`);
});
