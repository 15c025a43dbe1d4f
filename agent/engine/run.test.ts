import assert from "node:assert/strict";
import type { JobReport } from "../../schema/job.ts";
import { TransferError } from "../connectors/connector.ts";
import { BLOCK_BYTES, digest, pattern, World } from "./world.ts";

function fill(world: World): void {
  world.source.put("a/empty", new Uint8Array());
  world.source.put("a/one", pattern(1, 10));
  world.source.put("a/two", pattern(2, BLOCK_BYTES));
  world.source.put("b/large", pattern(3, 5 * BLOCK_BYTES + 17));
  world.source.put("b/larger", pattern(4, 9 * BLOCK_BYTES));
  for (let index = 0; index < 20; index++) world.source.put(`c/${index}`, pattern(index, 100 + index));
  world.source.putOther({ kind: "skipped", path: "d/link", code: "link" });
}

function assertMoved(world: World): void {
  assert.deepEqual([...world.destination.blobs.keys()].sort(), [...world.source.files.keys()].sort());
  for (const [path, file] of world.source.files) {
    assert.deepEqual(world.destination.blobs.get(path)?.bytes, file.bytes, path);
    assert.equal(world.destination.blobs.get(path)?.metadata?.sha256, digest("sha256", file.bytes).toHex());
  }
}

function assertAddsUp({ totals }: JobReport): void {
  assert.equal(totals.filesTotal, totals.filesCompleted + totals.filesFailed + totals.filesSkipped);
  assert.equal(totals.bytesTotal, totals.bytesCompleted + totals.bytesFailed + totals.bytesSkipped);
}

Deno.test("[E1] a run brings every file to the destination, whole, and proves it", async () => {
  const world = new World(1);
  fill(world);
  const report = await world.end(world.start());
  assert.equal(report?.outcome, "completed");
  assertMoved(world);
  assertAddsUp(report);
  assert.equal(report.totals.filesCompleted, world.source.files.size);
  assert.equal(report.totals.filesVerified, report.totals.filesCompleted);
  assert.equal(report.totals.filesSkipped, 1);
  assert.equal(report.manifest?.rows, report.totals.filesTotal);
  assert.equal(world.manifest().length, report.totals.filesTotal);
  assert.deepEqual(
    world.told.map((event) => (event.kind === "phase" ? event.phase : "")),
    ["scanning", "ready", "running"],
  );
});

// --- crashes -----------------------------------------------------------------------------------------------------

Deno.test("[E2] killed at any point it goes on, loses nothing, and counts nothing twice", async () => {
  const clean = new World(1);
  fill(clean);
  let points = 0;
  clean.onPoint = () => points++;
  await clean.end(clean.start());
  assert.ok(points > 200, `only ${points} points`);
  for (let at = 1; at <= points; at++) await killedAt(at);
});

/** Kills at the given point, starts again, and holds the outcome against the source. */
async function killedAt(at: number): Promise<void> {
  const world = new World(1);
  fill(world);
  const streams = 3;
  let passed = 0;
  world.onPoint = () => {
    if (++passed === at) world.kill();
  };
  let shown = 0;
  let run = world.start();
  let report = await world.end(run);
  if (report === null) {
    shown = run.progress().totals.bytesSent;
    run = world.start();
    assert.ok(run.progress().totals.bytesSent >= shown, "the totals fell");
    report = await world.end(run);
  }
  assert.equal(report?.outcome, "completed", `killed at ${at}`);
  assertMoved(world);
  assertAddsUp(report);
  assert.equal(report.totals.filesTotal, world.source.files.size + 1);
  assert.equal(report.totals.filesCompleted, world.source.files.size, `killed at ${at}`);
  assert.equal(report.totals.filesVerified, report.totals.filesCompleted);
  assert.ok(
    countRepeated(world) <= streams,
    `killed at ${at}: ${countRepeated(world)} bodies were sent again`,
  );
  assert.equal(countRepeated(world, "whole"), 0, `killed at ${at}: a finished file was sent again`);
}

/** Bodies that were accepted more than once. Blocks of two attempts on one file have different ids, so the index counts. */
function countRepeated(world: World, kind: "all" | "whole" = "all"): number {
  const seen = new Set<string>();
  let repeated = 0;
  for (const { path, id } of world.destination.accepted) {
    if (kind === "whole" && id !== null) continue;
    const index = id === null ? "whole" : Uint8Array.fromBase64(id).slice(16, 20).toHex();
    if (seen.has(`${path} ${index}`)) repeated++;
    seen.add(`${path} ${index}`);
  }
  return repeated;
}

Deno.test("[E2] killed again and again at random it still ends, with the same totals", async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const world = new World(seed);
    fill(world);
    let report: JobReport | null = null;
    let lastTotals: Record<string, number> = {};
    for (let lives = 0; report === null; lives++) {
      const lifetime = lives < 12 ? 5 + Math.floor(world.random.next() * 60) : Infinity;
      let passed = 0;
      world.onPoint = () => {
        if (++passed > lifetime) world.kill();
      };
      const run = world.start();
      const totals: Record<string, number> = run.progress().totals;
      for (const [name, count] of Object.entries(lastTotals))
        assert.ok((totals[name] ?? 0) >= count, `seed ${seed}: ${name} fell`);
      report = await world.end(run);
      lastTotals = run.progress().totals;
    }
    assert.equal(report.outcome, "completed", `seed ${seed}`);
    assertMoved(world);
    assertAddsUp(report);
    assert.equal(report.totals.filesCompleted, world.source.files.size, `seed ${seed}`);
    assert.equal(countRepeated(world, "whole"), 0, `seed ${seed}`);
  }
});

Deno.test("[E19] whatever fails on the way and however often it is killed, totals add up and never fall", async () => {
  for (let seed = 1; seed <= 80; seed++) {
    const world = new World(seed);
    const chance = (of: number) => world.random.next() < of;
    const count = 5 + Math.floor(world.random.next() * 40);
    for (let index = 0; index < count; index++) {
      const sizeBytes = Math.floor(world.random.next() ** 3 * 12 * BLOCK_BYTES);
      world.source.put(`${index % 4}/${index}`, pattern(seed + index, sizeBytes));
    }
    for (const path of world.source.files.keys())
      if (chance(0.1)) world.destination.plant(path, pattern(1, 33));
    world.destinationHook = async ({ when }, signal) => {
      if (chance(0.2)) await world.clock.sleep(world.random.next() * 3_000, signal);
      // Before: it was not done. After: it was done, and the answer was lost.
      if (chance(when === "before" ? 0.05 : 0.03)) throw trouble(chance(0.5) ? "backoff" : "throttled");
    };
    let report: JobReport | null = null;
    let last: Record<string, number> = {};
    for (let lives = 0; report === null; lives++) {
      world.onPoint = () => {
        if (lives < 6 && chance(0.01)) world.kill();
      };
      const run = world.start({
        concurrency: 1 + (seed % 5),
        existing: seed % 2 === 0 ? "overwrite" : "skip_identical",
      });
      do {
        if (world.killed) break;
        const totals: Record<string, number> = run.progress().totals;
        for (const [name, value] of Object.entries(last))
          assert.ok((totals[name] ?? 0) >= value, `seed ${seed}: ${name} fell`);
        last = totals;
        report = await world.peek(run, 700);
      } while (report === null && !world.killed);
    }
    assert.equal(report.outcome, "completed", `seed ${seed}: ${JSON.stringify(report.error)}`);
    assertAddsUp(report);
    assert.equal(report.totals.filesTotal, count);
    assert.equal(report.totals.filesVerified, report.totals.filesCompleted);
    let completed = 0;
    for (const row of world.manifest()) {
      if (row["outcome"] !== "completed") continue;
      completed++;
      const path = String(row["path"]);
      assert.deepEqual(
        world.destination.blobs.get(path)?.bytes,
        world.source.files.get(path)?.bytes,
        `seed ${seed}: ${path}`,
      );
    }
    assert.equal(completed, report.totals.filesCompleted, `seed ${seed}`);
    if (seed % 2 === 0)
      assert.equal(
        report.totals.filesCompleted,
        count,
        `seed ${seed}: ${JSON.stringify(world.told.slice(-3))}`,
      );
  }
});

function trouble(kind: "backoff" | "throttled"): TransferError {
  return new TransferError({ scope: "file", code: "destination_unreachable" }, "Cannot reach it: a test", {
    retry: { kind, afterMs: null },
  });
}

Deno.test("[E20] completed moves while the job runs, in listing pages and not by a request for each small file", async () => {
  const world = new World(1);
  for (let index = 0; index < 400; index++)
    world.source.put(`f${String(index).padStart(3, "0")}`, pattern(index, 10));
  let finds = 0;
  world.destinationHook = async ({ operation, when, path }, signal) => {
    if (operation === "find") finds++;
    // The sweep must not leave a page on which some still are under way.
    if (operation === "write_whole" && when === "before") {
      await world.clock.sleep(path.endsWith("7") ? 9_000 : 300, signal);
    }
  };
  const run = world.start();
  const seen = new Set<number>();
  let report: JobReport | null = null;
  while (report === null) {
    report = await world.peek(run, 1_000);
    seen.add(run.progress().totals.filesCompleted);
  }
  assert.equal(report.totals.filesVerified, 400);
  assert.ok(seen.size > 8, `only ${seen.size} steps`);
  assert.equal(finds, 0);
});

Deno.test("[E21] a run holds no more blocks in memory than its streams and two", async () => {
  const world = new World(1);
  for (let index = 0; index < 6; index++) world.source.put(`f${index}`, pattern(index, 40 * BLOCK_BYTES));
  const buffers = new Set<number>();
  let sending = 0;
  let sendingMax = 0;
  const { writeBlock } = world.destination;
  world.destination.writeBlock = async (...parameters) => {
    buffers.add(parameters[2].bytes.byteOffset);
    sendingMax = Math.max(sendingMax, ++sending);
    try {
      return await writeBlock.apply(world.destination, parameters);
    } finally {
      sending--;
    }
  };
  world.destinationHook = async ({ operation, when }, signal) => {
    if (operation === "write_block" && when === "before")
      await world.clock.sleep(10 + world.random.next() * 100, signal);
  };
  const report = await world.end(world.start({ concurrency: 4 }));
  assert.equal(report?.totals.filesCompleted, 6);
  assert.equal(sendingMax, 4);
  assert.ok(buffers.size <= 6);
});

Deno.test("[E20] a job of a single small file is proved as well", async () => {
  const world = new World(1);
  world.source.put("file", pattern(1, 10));
  const report = await world.end(world.start());
  assert.equal(report?.totals.filesVerified, 1);
  assertAddsUp(report);
});
