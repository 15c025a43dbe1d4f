/** The small parts of the engine, each for itself. */
import assert from "node:assert/strict";
import { transferOptions } from "../../schema/job.ts";
import { VirtualClock } from "../virtual.ts";
import { blockId, blockIndex } from "./block-id.ts";
import { BufferPool, Slots } from "./buffers.ts";
import { contentTypeOf } from "./content-type.ts";
import { Group } from "./group.ts";
import { blockCount, makePlan, MEBIBYTE, MEMORY_BYTES_MAX } from "./plan.ts";
import { Speed } from "./speed.ts";

const AZURE = { blockBytesMax: 4_000 * MEBIBYTE, blockCountMax: 50_000, wholeBytesMax: 64 * MEBIBYTE };
const GIBIBYTE = 1_024 * MEBIBYTE;

function plan(options: { concurrency: number; chunkSizeMiB: number }, largestBytes: number) {
  return makePlan(transferOptions.parse(options), AZURE, largestBytes);
}

Deno.test("[B1] the buffers of a job never take more than the memory it may have", () => {
  for (const concurrency of [1, 4, 8, 32]) {
    for (const chunkSizeMiB of [1, 8, 64, 256]) {
      const { streams, buffers, blockBytes } = plan({ concurrency, chunkSizeMiB }, GIBIBYTE);
      assert.ok(buffers * blockBytes <= MEMORY_BYTES_MAX, `${concurrency} × ${chunkSizeMiB}`);
      assert.ok(streams >= 1 && streams <= concurrency);
    }
  }
});

Deno.test("[B1] what fits is taken as it was asked for; else the block is lowered, and streams only when it cannot be", () => {
  assert.deepEqual(plan({ concurrency: 8, chunkSizeMiB: 8 }, GIBIBYTE), {
    streams: 8,
    buffers: 9,
    blockBytes: 8 * MEBIBYTE,
    wholeBytesMax: 8 * MEBIBYTE,
  });
  const lowered = plan({ concurrency: 32, chunkSizeMiB: 256 }, GIBIBYTE);
  assert.equal(lowered.streams, 32);
  assert.equal(lowered.blockBytes, 15 * MEBIBYTE);
  const fewer = plan({ concurrency: 32, chunkSizeMiB: 8 }, 5_000 * GIBIBYTE);
  assert.ok(fewer.streams < 32);
  assert.ok(blockCount(5_000 * GIBIBYTE, fewer.blockBytes) <= 50_000);
});

Deno.test("[B2] the block grows so that the largest file stays within the service's number of blocks", () => {
  for (const gibibytes of [1, 389, 391, 500, 2_000, 13_000, 100_000]) {
    const { blockBytes } = plan({ concurrency: 4, chunkSizeMiB: 8 }, gibibytes * GIBIBYTE);
    assert.ok(blockCount(gibibytes * GIBIBYTE, blockBytes) <= 50_000, `${gibibytes} GiB`);
    assert.ok(gibibytes > 389 || blockBytes === 8 * MEBIBYTE);
  }
});

Deno.test("[B3] the pool makes no more buffers than planned, and uses them again", async () => {
  const pool = new BufferPool({ streams: 2, buffers: 3, blockBytes: 16, wholeBytesMax: 16 });
  let out = 0;
  let outMax = 0;
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      const buffer = await pool.acquire();
      outMax = Math.max(outMax, ++out);
      await Promise.resolve();
      out--;
      buffer.release();
      buffer.release();
    }),
  );
  assert.equal(pool.made, 3);
  assert.equal(outMax, 3);
});

Deno.test("[B3] slots let only so many in, and the next when one fails", async () => {
  const slots = new Slots(2);
  let inside = 0;
  const work = async (fails: boolean) => {
    assert.ok(++inside <= 2);
    await Promise.resolve();
    inside--;
    if (fails) throw new Error("no");
  };
  const results = await Promise.allSettled(
    Array.from({ length: 9 }, (_, index) => slots.hold(() => work(index % 2 === 0))),
  );
  assert.equal(results.filter((result) => result.status === "rejected").length, 5);
  assert.equal(inside, 0);
});

Deno.test("[B4] block ids have one length, name their index, and those of another attempt are not ours", () => {
  const ours = new Uint8Array(16).fill(7);
  const theirs = new Uint8Array(16).fill(8);
  const ids = [0, 1, 49_999].map((index) => blockId(ours, index));
  assert.deepEqual(new Set(ids.map((id) => id.length)), new Set([32]));
  assert.deepEqual(
    ids.map((id) => blockIndex(ours, id)),
    [0, 1, 49_999],
  );
  assert.deepEqual(
    ids.map((id) => blockIndex(theirs, id)),
    [null, null, null],
  );
  for (const id of ["", "AAAA", "not base64!", `${ids[0]}=`]) assert.equal(blockIndex(ours, id), null);
});

Deno.test("[B5] speed is that of the last seconds, falls to nothing, and holds on a line slower than the window", async () => {
  const clock = new VirtualClock();
  const speed = new Speed(clock);
  for (let second = 0; second < 20; second++) {
    const begunMs = clock.monotonic();
    await clock.advance(1_000);
    speed.record(1_000, begunMs);
  }
  assert.equal(Math.round(speed.bytesPerSecond()), 1_000);
  await clock.advance(60_000);
  assert.ok(speed.bytesPerSecond() < 50);

  const begunMs = clock.monotonic();
  await clock.advance(64_000);
  speed.record(64_000, begunMs);
  assert.equal(Math.round(speed.bytesPerSecond()), 1_000);
});

Deno.test("[B5] a storm of small files costs no more memory than its bound and tells the same speed", async () => {
  const clock = new VirtualClock();
  const speed = new Speed(clock);
  for (let ms = 0; ms < 5_000; ms++) {
    const begunMs = clock.monotonic();
    await clock.advance(1);
    for (let file = 0; file < 4; file++) speed.record(10, begunMs);
  }
  assert.ok(Math.abs(speed.bytesPerSecond() - 40_000) < 400, String(speed.bytesPerSecond()));
});

Deno.test("[B6] changes that come in together share a commit, and each is told only after it", async () => {
  const clock = new VirtualClock();
  const commits: number[] = [];
  const group = new Group(clock, (changes) => {
    for (const change of changes) change();
    commits.push(changes.length);
  });
  const told: number[] = [];
  const add = (number: number) => group.add(() => {}).then(() => told.push(number));
  const first = add(0);
  await first;
  assert.deepEqual(commits, [1]);
  const later = Promise.all([1, 2, 3].map(add));
  assert.deepEqual(told, [0]);
  await clock.advance(100);
  await later;
  assert.deepEqual(commits, [1, 3]);
  group.close();
});

Deno.test("[B6] after a commit that failed nothing more is taken", async () => {
  const clock = new VirtualClock();
  let fails = true;
  const group = new Group(clock, () => {
    if (fails) throw new Error("disk full");
  });
  await assert.rejects(
    group.add(() => {}),
    /disk full/,
  );
  fails = false;
  await assert.rejects(
    group.add(() => {}),
    /disk full/,
  );
});

Deno.test("[B7] the content type follows the ending, whatever its case", () => {
  assert.equal(contentTypeOf("a/b.PDF"), "application/pdf");
  assert.equal(contentTypeOf("archive.tar.gz"), "application/gzip");
  for (const path of ["a", ".pdf", "a.pdf/b", "x.unknown", "trailing."])
    assert.equal(contentTypeOf(path), "application/octet-stream");
});
