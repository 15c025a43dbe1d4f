import assert from "node:assert/strict";
import { AHEAD_MS_MAX, Lease } from "./lease.ts";
import { VirtualClock } from "./virtual.ts";

function watched() {
  const clock = new VirtualClock();
  const lease = new Lease(clock);
  const told: string[] = [];
  lease.watch({ granted: () => told.push("granted"), fenced: () => told.push("fenced") });
  return { clock, lease, told };
}

Deno.test("[P16] there is none before it is granted, and it ends by the monotonic clock", async () => {
  const { clock, lease, told } = watched();
  assert.equal(lease.isLive, false);
  await clock.advance(5_000);
  // Asked three seconds ago.
  lease.renew(clock.monotonic() - 3_000, 10_000);
  await clock.advance(6_999);
  assert.equal(lease.isLive, true);
  await clock.advance(1);
  assert.equal(lease.isLive, false);
  assert.deepEqual(told, ["granted"]);
});

Deno.test("[P16] a late answer to an early question does not shorten it, and one that is too late grants nothing", async () => {
  const { clock, lease, told } = watched();
  lease.renew(0, 10_000);
  await clock.advance(9_000);
  lease.renew(8_000, 10_000);
  lease.renew(1_000, 10_000);
  await clock.advance(8_999);
  assert.equal(lease.isLive, true);
  await clock.advance(20_000);
  lease.renew(9_000, 10_000);
  assert.deepEqual([lease.isLive, told], [false, ["granted"]]);
});

Deno.test("[P16] fenced it is over at once, told once, until it is granted anew", async () => {
  const { clock, lease, told } = watched();
  lease.renew(0, 10_000);
  lease.fence();
  lease.fence();
  assert.deepEqual([lease.isLive, lease.isFenced], [false, true]);
  await clock.advance(1_000);
  lease.renew(1_000, 10_000);
  assert.deepEqual([lease.isLive, lease.isFenced], [true, false]);
  assert.deepEqual(told, ["granted", "fenced", "granted"]);
});

const HOUR_MS = 3_600_000;

Deno.test("[X20] a machine that slept has no lease, nor by an answer to what it asked before, until it is granted anew", async () => {
  for (const sleptMs of [AHEAD_MS_MAX + 1, HOUR_MS, 24 * HOUR_MS]) {
    const { clock, lease, told } = watched();
    lease.renew(0, 120_000);
    await clock.advance(30_000);
    const askedMs = clock.monotonic();
    clock.jump(sleptMs);
    assert.equal(lease.isLive, false);
    lease.renew(askedMs - 1, 120_000);
    assert.equal(lease.isLive, false);
    await clock.advance(10);
    lease.renew(clock.monotonic(), 120_000);
    assert.equal(lease.isLive, true);
    assert.deepEqual(told, ["granted", "granted"]);
  }
});

Deno.test("[X20] an answer that is the first thing after a sleep grants nothing", async () => {
  const { clock, lease } = watched();
  lease.renew(0, 120_000);
  await clock.advance(30_000);
  const askedMs = clock.monotonic();
  await clock.advance(10);
  clock.jump(HOUR_MS);
  lease.renew(askedMs, 120_000);
  assert.equal(lease.isLive, false);
});

Deno.test("[X20] a clock that is set back, or corrected by little, changes nothing, and hides no later sleep", async () => {
  const { clock, lease } = watched();
  lease.renew(0, 120_000);
  clock.jump(-HOUR_MS);
  assert.equal(lease.isLive, true);
  clock.jump(AHEAD_MS_MAX);
  assert.equal(lease.isLive, true);
  clock.jump(HOUR_MS / 2);
  assert.equal(lease.isLive, false);
  lease.renew(clock.monotonic(), 120_000);
  clock.jump(-24 * HOUR_MS);
  await clock.advance(119_999);
  assert.equal(lease.isLive, true);
  await clock.advance(1);
  assert.equal(lease.isLive, false);
});
