/** The small parts of the engine, each for itself. */
import assert from "node:assert/strict";
import { transferOptions } from "../../schema/job.ts";
import { VirtualClock } from "../virtual.ts";
import { blockId, isBlockAt } from "./block-id.ts";
import { BufferPool, Slots } from "./buffers.ts";
import { contentTypeOf } from "./content-type.ts";
import { Line } from "./line.ts";
import { MEMORY_BYTES_MAX, MemoryBudget, SHARE_BYTES_MIN } from "./memory-budget.ts";
import { blockCount, makePlan, MEBIBYTE } from "./plan.ts";

const AZURE = { blockBytesMax: 4_000 * MEBIBYTE, blockCountMax: 50_000, wholeBytesMax: 64 * MEBIBYTE };
const GIBIBYTE = 1_024 * MEBIBYTE;

function plan(options: { concurrency: number; chunkSizeMiB: number }, largestBytes: number) {
  const facts = { largestBytes, memoryBytes: MEMORY_BYTES_MAX, blockBytes: null };
  return makePlan(transferOptions.parse(options), AZURE, facts);
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

Deno.test("[B1] all jobs together stay within the memory, and whoever comes last finds a share", () => {
  const budget = new MemoryBudget(4);
  const giveBack: (() => void)[] = [];
  let taken = 0;
  for (let place = 0; place < 4; place++) {
    const memoryBytes = budget.availableBytes;
    assert.ok(memoryBytes >= SHARE_BYTES_MIN);
    const { buffers, blockBytes } = makePlan({ concurrency: 32, chunkSizeMiB: 256 }, AZURE, {
      largestBytes: GIBIBYTE,
      memoryBytes,
      blockBytes: null,
    });
    taken += buffers * blockBytes;
    giveBack.push(budget.take(buffers * blockBytes));
  }
  assert.ok(taken <= MEMORY_BYTES_MAX, `${taken}`);
  for (const give of giveBack) {
    give();
    give();
  }
  assert.equal(budget.availableBytes, MEMORY_BYTES_MAX - 3 * SHARE_BYTES_MIN);
});

Deno.test("[B1] a job that goes on keeps its block size, whatever memory there is now", () => {
  const facts = { largestBytes: GIBIBYTE, memoryBytes: SHARE_BYTES_MIN, blockBytes: 64 * MEBIBYTE };
  const { blockBytes, streams } = makePlan({ concurrency: 8, chunkSizeMiB: 64 }, AZURE, facts);
  assert.equal(blockBytes, 64 * MEBIBYTE);
  assert.equal(streams, 1);
});

Deno.test("[B3] the pool lends no more buffers than there are, each to one at a time, and again and again", async () => {
  const pool = new BufferPool([1, 2, 3].map((number) => new Uint8Array([number])));
  const out = new Set<Uint8Array>();
  let outMax = 0;
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      const buffer = await pool.acquire();
      assert.ok(!out.has(buffer.bytes));
      out.add(buffer.bytes);
      outMax = Math.max(outMax, out.size);
      await Promise.resolve();
      out.delete(buffer.bytes);
      buffer.release();
      buffer.release();
    }),
  );
  assert.equal(outMax, 3);
  const first = pool.acquire();
  assert.ok(!(first instanceof Promise), "a free buffer is there at once");
});

Deno.test("[B3] slots let only so many in, and the next when one fails", async () => {
  const slots = new Slots(() => 2);
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

Deno.test("[B4] block ids have one length, name place and content, and those of another epoch are not ours", () => {
  const ours = new Uint8Array(16).fill(7);
  const theirs = new Uint8Array(16).fill(8);
  const crc64 = new Uint8Array(8).fill(1);
  const md5 = new Uint8Array(16).fill(2);
  const ids = [0, 1, 49_999].flatMap((index) => [blockId(ours, index, crc64), blockId(ours, index, md5)]);
  assert.deepEqual(new Set(ids.map((id) => id.length)), new Set([48]));
  assert.equal(new Set(ids).size, 6);
  assert.equal(new Set([...ids, blockId(theirs, 1, md5)]).size, 7);
  assert.ok(isBlockAt(blockId(ours, 49_999, md5), ours, 49_999));
  assert.ok(!isBlockAt(blockId(ours, 1, md5), ours, 2));
  assert.ok(!isBlockAt(blockId(theirs, 1, md5), ours, 1));
  for (const id of ["", "AAAA", "not base64!", `${ids[0]}=`]) assert.ok(!isBlockAt(id, ours, 0));
});

Deno.test("[B5] speed is that of the last seconds, and falls to nothing", async () => {
  const clock = new VirtualClock();
  const line = new Line(clock, null);
  const passage = line.passage(1_000_000);
  for (let step = 0; step < 200; step++) {
    await clock.advance(100);
    assert.equal(passage.take(100, new AbortController().signal), 100);
  }
  assert.ok(Math.abs(line.bytesPerSecond() - 1_000) < 60, String(line.bytesPerSecond()));
  assert.equal(line.inFlightBytes, 20_000);
  passage.end();
  passage.end();
  assert.equal(line.inFlightBytes, 0);
  await clock.advance(4_900);
  assert.ok(line.bytesPerSecond() < 100);
  await clock.advance(60_000);
  assert.equal(line.bytesPerSecond(), 0);
});

Deno.test("[B5] a line that has just begun is not told as slow", async () => {
  const clock = new VirtualClock();
  const line = new Line(clock, null);
  await clock.advance(1_000);
  void line.passage(10).take(50_000, new AbortController().signal);
  assert.equal(Math.round(line.bytesPerSecond()), 50_000);
  line.reset();
  assert.equal(line.bytesPerSecond(), 0);
});

Deno.test("[B7] the content type follows the ending, whatever its case", () => {
  assert.equal(contentTypeOf("a/b.PDF"), "application/pdf");
  assert.equal(contentTypeOf("archive.tar.gz"), "application/gzip");
  for (const path of ["a", ".pdf", "a.pdf/b", "x.unknown", "trailing."])
    assert.equal(contentTypeOf(path), "application/octet-stream");
});
