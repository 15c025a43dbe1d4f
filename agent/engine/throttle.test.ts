/** The bandwidth limit, measured at a sink, with timers as late as real ones are. */
import assert from "node:assert/strict";
import type { Clock } from "../platform.ts";
import type { Pace } from "../transport.ts";
import { seededRandom, settle, VirtualClock } from "../virtual.ts";
import {
  BODY_BYTES_PER_SECOND_MIN,
  CREDIT_MS,
  PIECE_BYTES_MAX,
  PIECE_BYTES_MIN,
  Throttle,
} from "./throttle.ts";

const KIBIBYTE = 1_024;
const MEBIBYTE = 1_024 * KIBIBYTE;
const LATE_MS_MAX = 15;
const BIN_MS = 10;
const NEVER = new AbortController().signal;

function bytesPerMs(megabitsPerSecond: number): number {
  return megabitsPerSecond * 125;
}

/** Timers that come up to 15 ms late, each by another time, as those of Windows do. */
function lateClock(clock: VirtualClock, seed: number): Clock {
  const random = seededRandom(seed);
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => clock.sleep(ms + random.next() * LATE_MS_MAX, signal),
  };
}

/** What arrives, in bins of time. */
class Sink {
  readonly #clock: Clock;
  readonly #bins: number[] = [];
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  put(bytes: number): void {
    const bin = Math.floor(this.#clock.monotonic() / BIN_MS);
    this.#bins[bin] = (this.#bins[bin] ?? 0) + bytes;
  }

  between(fromMs: number, untilMs: number): number {
    let bytes = 0;
    for (let bin = fromMs / BIN_MS; bin < untilMs / BIN_MS; bin++) bytes += this.#bins[bin] ?? 0;
    return bytes;
  }

  /** The least and the most that arrived in any stretch of `lengthMs`. */
  extremes(fromMs: number, untilMs: number, lengthMs: number): { least: number; most: number } {
    let bytes = this.between(fromMs, fromMs + lengthMs);
    let [least, most] = [bytes, bytes];
    for (let bin = fromMs / BIN_MS; (bin + 1) * BIN_MS + lengthMs <= untilMs; bin++) {
      bytes += (this.#bins[bin + lengthMs / BIN_MS] ?? 0) - (this.#bins[bin] ?? 0);
      least = Math.min(least, bytes);
      most = Math.max(most, bytes);
    }
    return { least, most };
  }
}

/** Sends bodies of `bodyBytes` one after the other until the signal. */
async function stream(pace: Pace, bodyBytes: number, arrived: (bytes: number) => void, signal: AbortSignal) {
  while (!signal.aborted) {
    for (let leftBytes = bodyBytes; leftBytes > 0;) {
      const granted = pace.take(leftBytes, signal);
      const bytes = typeof granted === "number" ? granted : await granted;
      if (bytes < 1 || bytes > leftBytes) assert.fail(`${bytes} of ${leftBytes}`);
      arrived(bytes);
      leftBytes -= bytes;
    }
  }
}

/** Streams that run until `stop`, which waits for their end. */
function run(streams: readonly ((signal: AbortSignal) => Promise<void>)[]) {
  const stopping = new AbortController();
  const ended = Promise.allSettled(streams.map((one) => one(stopping.signal)));
  return {
    async stop() {
      stopping.abort();
      for (const result of await ended) {
        if (result.status === "rejected") assert.equal(result.reason, stopping.signal.reason);
      }
    },
  };
}

for (const megabits of [0.1, 0.5, 5, 50, 500, 2_000]) {
  Deno.test(`[W1] ${megabits} Mbps hold within 5 % over any 10 s and 1.25 times in any second, whatever is sent by how many`, async () => {
    for (const bodyBytes of [512, 4 * KIBIBYTE, MEBIBYTE, 8 * MEBIBYTE, 256 * MEBIBYTE]) {
      for (const streams of [1, 4, 32]) {
        const clock = new VirtualClock();
        const throttle = new Throttle(lateClock(clock, streams));
        const sink = new Sink(clock);
        const share = throttle.join(megabits);
        const running = run(
          Array.from(
            { length: streams },
            () => (signal: AbortSignal) => stream(share, bodyBytes, (bytes) => sink.put(bytes), signal),
          ),
        );
        await clock.advance(12_000);
        await running.stop();
        const name = `${megabits} Mbps, ${streams} × ${bodyBytes}`;
        const tenSeconds = sink.extremes(0, 12_000, 10_000);
        const share10 = bytesPerMs(megabits) * 10_000;
        assert.ok(tenSeconds.least >= 0.95 * share10, `${name}: ${tenSeconds.least / share10}`);
        assert.ok(tenSeconds.most <= 1.05 * share10, `${name}: ${tenSeconds.most / share10}`);
        const second = sink.extremes(0, 12_000, 1_000).most / (bytesPerMs(megabits) * 1_000);
        assert.ok(second <= 1.25, `${name}: ${second} in a second`);
      }
    }
  });
}

Deno.test("[W1] pieces are a hundredth of a second of the line, within bounds that keep them cheap and smooth", () => {
  for (const [megabits, pieceBytes] of [
    [0.1, PIECE_BYTES_MIN],
    [5, 6_250],
    [50, 62_500],
    [2_000, PIECE_BYTES_MAX],
  ] as const) {
    assert.equal(new Throttle(new VirtualClock()).join(megabits).take(256 * MEBIBYTE, NEVER), pieceBytes);
  }
});

Deno.test("[W1] idleness saves up no more than a tenth of a second of the line", async () => {
  for (const megabits of [0.1, 5, 500]) {
    const clock = new VirtualClock();
    const share = new Throttle(lateClock(clock, 7)).join(megabits);
    const sink = new Sink(clock);
    void share.take(MEBIBYTE, NEVER);
    await clock.advance(3_600_000);
    const fromMs = clock.monotonic();
    const running = run([(signal) => stream(share, MEBIBYTE, (bytes) => sink.put(bytes), signal)]);
    await clock.advance(BIN_MS);
    const piece = Math.max(PIECE_BYTES_MIN, Math.min(PIECE_BYTES_MAX, bytesPerMs(megabits) * 10));
    const burst = sink.between(fromMs, fromMs + BIN_MS);
    assert.ok(burst <= bytesPerMs(megabits) * (CREDIT_MS + BIN_MS) + piece, `${megabits}: ${burst}`);
    await clock.advance(2_000 - BIN_MS);
    await running.stop();
    const second = sink.extremes(fromMs, fromMs + 2_000, 1_000).most;
    assert.ok(second <= 1.25 * bytesPerMs(megabits) * 1_000, `${megabits}: ${second}`);
  }
});

Deno.test("[W1] a stall of the program is not made up for by a burst", async () => {
  const clock = new VirtualClock();
  let stalls = 0;
  const stalling: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => clock.sleep(++stalls === 50 ? ms + 5_000 : ms, signal),
  };
  const share = new Throttle(stalling).join(10);
  const sink = new Sink(clock);
  const running = run(
    Array.from(
      { length: 32 },
      () => (signal: AbortSignal) => stream(share, MEBIBYTE, (bytes) => sink.put(bytes), signal),
    ),
  );
  await clock.advance(8_000);
  await running.stop();
  assert.equal(sink.extremes(0, 8_000, 1_000).least, 0);
  assert.ok(sink.extremes(0, 8_000, 1_000).most <= 1.25 * bytesPerMs(10) * 1_000);
});

Deno.test("[W2] a changed limit holds within two seconds, up and down, and its removal lets everything go at once", async () => {
  const clock = new VirtualClock();
  const share = new Throttle(lateClock(clock, 3)).join(0.1);
  const sink = new Sink(clock);
  const stopping = new AbortController();
  const streams = Array.from({ length: 8 }, () =>
    stream(share, MEBIBYTE, (bytes) => sink.put(bytes), stopping.signal).catch(() => {}),
  );
  for (const megabits of [0.1, 2_000, 0.1, 500, 5, 0.5, 50]) {
    const fromMs = clock.monotonic();
    share.limit(megabits);
    await clock.advance(14_000);
    const wanted = bytesPerMs(megabits) * 10_000;
    const { least, most } = sink.extremes(fromMs + 2_000, fromMs + 14_000, 10_000);
    assert.ok(least >= 0.95 * wanted && most <= 1.05 * wanted, `${megabits}: ${least / wanted}`);
    const second = sink.extremes(fromMs, fromMs + 14_000, 1_000).most;
    assert.ok(second <= 1.25 * bytesPerMs(megabits) * 1_000, `${megabits}: ${second}`);
  }
  stopping.abort();
  await Promise.all(streams);

  share.limit(0.1);
  void share.take(MEBIBYTE, NEVER);
  const taken = [0, 1, 2, 3].map(async () => await share.take(MEBIBYTE, NEVER));
  share.limit(null);
  assert.deepEqual(
    await Promise.all(taken),
    [0, 1, 2, 3].map(() => MEBIBYTE),
  );
  assert.equal(share.take(256 * MEBIBYTE, NEVER), 256 * MEBIBYTE);
});

Deno.test("[W2] a raised limit wakes at once who waits at the old price, though it was a long wait", async () => {
  const clock = new VirtualClock();
  const share = new Throttle(clock).join(0.001);
  assert.equal(share.take(MEBIBYTE, NEVER), PIECE_BYTES_MIN);
  let granted = 0;
  const waiting = Promise.resolve(share.take(MEBIBYTE, NEVER)).then((bytes) => (granted = bytes));
  await clock.advance(1_000);
  assert.equal(granted, 0);
  share.limit(50);
  await clock.advance(2);
  assert.equal(granted, 62_500);
  await waiting;
});

Deno.test("[W2] a limit that is set anew to what it is changes nothing", async () => {
  const clock = new VirtualClock();
  const share = new Throttle(clock).join(5);
  const sink = new Sink(clock);
  const running = run([(signal) => stream(share, MEBIBYTE, (bytes) => sink.put(bytes), signal)]);
  for (let second = 0; second < 1_000; second++) {
    await clock.advance(10);
    share.limit(5);
  }
  await running.stop();
  const rate = sink.between(0, 10_000) / (bytesPerMs(5) * 10_000);
  assert.ok(rate > 0.95 && rate < 1.05, `${rate}`);
});

Deno.test("[W3] all jobs of the agent together stay within the smallest limit of those that run", async () => {
  const clock = new VirtualClock();
  const throttle = new Throttle(lateClock(clock, 5));
  const sink = new Sink(clock);
  const first = throttle.join(20);
  const second = throttle.join(20);
  const free = throttle.join(null);
  const running = run(
    [first, second, free].map(
      (share) => (signal: AbortSignal) => stream(share, MEBIBYTE, (bytes) => sink.put(bytes), signal),
    ),
  );
  const rateFrom = async () => {
    const fromMs = clock.monotonic();
    await clock.advance(10_000);
    return sink.between(fromMs, fromMs + 10_000) / 10_000 / 125;
  };
  const near = (rate: number, megabits: number) =>
    assert.ok(Math.abs(rate / megabits - 1) < 0.05, `${rate} for ${megabits}`);
  assert.equal(throttle.megabitsPerSecond, 20);
  near(await rateFrom(), 20);
  second.limit(5);
  near(await rateFrom(), 5);
  second.leave();
  near(await rateFrom(), 20);
  // What follows a schedule may speak once more after its job has gone.
  second.limit(1);
  assert.equal(throttle.megabitsPerSecond, 20);
  first.limit(40);
  near(await rateFrom(), 40);
  await running.stop();
  first.leave();
  assert.equal(throttle.megabitsPerSecond, null);
  assert.equal(free.take(256 * MEBIBYTE, NEVER), 256 * MEBIBYTE);
});

Deno.test("[W3] streams get equal shares of the line, and none starves beside many", async () => {
  const clock = new VirtualClock();
  const throttle = new Throttle(lateClock(clock, 11));
  const busy = throttle.join(10);
  const small = throttle.join(null);
  const bytesOf = Array.from({ length: 32 }, () => 0);
  const running = run(
    bytesOf.map(
      (_, index) => (signal: AbortSignal) =>
        stream(
          index === 31 ? small : busy,
          256 * MEBIBYTE,
          (bytes) => (bytesOf[index] = (bytesOf[index] ?? 0) + bytes),
          signal,
        ),
    ),
  );
  await clock.advance(30_000);
  await running.stop();
  const fair = (bytesPerMs(10) * 30_000) / 32;
  for (const bytes of bytesOf) assert.ok(Math.abs(bytes / fair - 1) < 0.05, `${bytes / fair}`);
});

Deno.test("[W3] who waits is served in the order of coming", async () => {
  const clock = new VirtualClock();
  const share = new Throttle(lateClock(clock, 2)).join(1);
  void share.take(MEBIBYTE, NEVER);
  const served: number[] = [];
  const all = Array.from({ length: 20 }, async (_, index) => {
    await share.take(1 + index * 100, NEVER);
    served.push(index);
  });
  await clock.advance(2_000);
  await Promise.all(all);
  assert.deepEqual(
    served,
    Array.from({ length: 20 }, (_, index) => index),
  );
});

Deno.test("[W3] who comes by while the timer is late goes behind those who waited for it", async () => {
  const clock = new VirtualClock();
  const late: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => clock.sleep(ms + LATE_MS_MAX, signal),
  };
  const share = new Throttle(late).join(5);
  void share.take(MEBIBYTE, NEVER);
  const served: string[] = [];
  const waited = Promise.resolve(share.take(MEBIBYTE, NEVER)).then(() => served.push("waited"));
  await clock.advance(12);
  const cameBy = Promise.resolve(share.take(MEBIBYTE, NEVER)).then(() => served.push("came by"));
  await clock.advance(100);
  await Promise.all([waited, cameBy]);
  assert.deepEqual(served, ["waited", "came by"]);
});

Deno.test("[W4] a signal ends a wait with its reason, and the next one waits no longer for those who left", async () => {
  const clock = new VirtualClock();
  const share = new Throttle(clock).join(0.1);
  void share.take(MEBIBYTE, NEVER);
  const stopping = new AbortController();
  const ended = Array.from({ length: 10 }, () =>
    assert.rejects(async () => await share.take(MEBIBYTE, stopping.signal), /enough/),
  );
  let grantedMs: number | null = null;
  const next = Promise.resolve(share.take(MEBIBYTE, NEVER)).then(() => (grantedMs = clock.monotonic()));
  stopping.abort(new Error("enough"));
  await Promise.all(ended);
  await assert.rejects(async () => await share.take(MEBIBYTE, stopping.signal), /enough/);
  await clock.advance(1_000);
  await next;
  assert.equal(grantedMs, Math.ceil(PIECE_BYTES_MIN / bytesPerMs(0.1)));
});

Deno.test("[W4] all who wait share one sleep, and nobody sleeps for a wait that was ended", async () => {
  const clock = new VirtualClock();
  let asleep = 0;
  const counting: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => {
      asleep++;
      return clock.sleep(ms, signal).finally(() => asleep--);
    },
  };
  const share = new Throttle(counting).join(0.1);
  void share.take(MEBIBYTE, NEVER);
  const stopping = new AbortController();
  const ended = [0, 1, 2].map(() =>
    assert.rejects(async () => await share.take(MEBIBYTE, stopping.signal), /enough/),
  );
  await settle();
  assert.equal(asleep, 1);
  stopping.abort(new Error("enough"));
  await Promise.all(ended);
  await settle();
  assert.equal(asleep, 0);
});

Deno.test("[W5] no more bodies are advised than get what the service demands of each", () => {
  const throttle = new Throttle(new VirtualClock());
  assert.equal(throttle.bodiesMax, Infinity);
  const share = throttle.join(0.1);
  for (const megabits of [0.1, 0.5, 5, 50]) {
    share.limit(megabits);
    const each = (bytesPerMs(megabits) * 1_000) / throttle.bodiesMax;
    assert.ok(throttle.bodiesMax === 1 || each >= BODY_BYTES_PER_SECOND_MIN);
    assert.ok(each < 2 * BODY_BYTES_PER_SECOND_MIN);
  }
});

Deno.test("[W2] a limit that is none is refused", () => {
  for (const megabits of [0, -1, Number.NaN]) {
    assert.throws(() => new Throttle(new VirtualClock()).join(megabits), /not above 0/);
  }
});

Deno.test("[X21] a clock that jumps in the middle leaves the limit as it is", async () => {
  const clock = new VirtualClock();
  const sink = new Sink(clock);
  const throttle = new Throttle(clock);
  const share = throttle.join(8);
  const running = run([(signal) => stream(share, 100_000, (bytes) => sink.put(bytes), signal)]);
  for (const jumpMs of [24 * 3_600_000, -3_600_000]) {
    const fromMs = clock.monotonic() + 1_000;
    await clock.advance(2_000);
    clock.jump(jumpMs);
    await clock.advance(9_000);
    const sent = sink.between(fromMs, fromMs + 10_000);
    assert.ok(
      Math.abs(sent - 10_000 * bytesPerMs(8)) < 0.05 * 10_000 * bytesPerMs(8),
      `${sent} after ${jumpMs}`,
    );
  }
  await running.stop();
});
