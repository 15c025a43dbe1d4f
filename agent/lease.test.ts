import assert from "node:assert/strict";
import { Lease } from "./lease.ts";
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
