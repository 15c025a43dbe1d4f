/** A job that repeats itself: what it moves, what it leaves alone, and what it costs when nothing changed. */
import assert from "node:assert/strict";
import type { Repetition } from "../../schema/job.ts";
import { TransferError } from "../connectors/connector.ts";
import type { Run } from "./run.ts";
import { BLOCK_BYTES, digest, pattern, World } from "./world.ts";

const MINUTE_MS = 60_000;
const REPETITION: Repetition = { everyMinutes: 60, vanished: "keep" };

function start(world: World, repetition: Partial<Repetition> = {}): Run {
  return world.start({ repetition: { ...REPETITION, ...repetition } });
}

/** Lets the pass that is going on come to its end. */
async function passEnds(world: World, run: Run): Promise<void> {
  for (let turns = 0; run.progress().waiting?.reason !== "next_pass"; turns++) {
    assert.ok(turns < 10_000, "the pass never ends");
    await world.clock.advance(100);
  }
}

/** Lets the next pass begin and end, which may take no time at all. */
async function nextPass(world: World, run: Run): Promise<void> {
  const dueMs = run.progress().waiting?.untilMs;
  for (let turns = 0; run.progress().waiting?.untilMs === dueMs; turns++) {
    assert.ok(turns < 200, "no pass begins");
    await world.clock.advance(MINUTE_MS);
  }
  await passEnds(world, run);
}

async function finish(world: World, run: Run) {
  run.finish();
  const report = await world.end(run);
  assert.ok(report !== null);
  return report;
}

Deno.test("[N1] a pass moves what is new or changed, and overwrites what an earlier pass wrote", async () => {
  const world = new World(1);
  world.source.put("same", pattern(1, 50), 1_000);
  world.source.put("changes", pattern(2, 50), 1_000);
  world.source.put("large", pattern(3, 5 * BLOCK_BYTES), 1_000);
  const run = start(world);
  await passEnds(world, run);
  assert.equal(run.progress().totals.filesVerified, 3);
  world.source.put("changes", pattern(4, 50), 2_000);
  world.source.put("large", pattern(5, 6 * BLOCK_BYTES), 2_000);
  world.source.put("new", pattern(6, 50), 2_000);
  await nextPass(world, run);
  const report = await finish(world, run);
  assert.equal(report.outcome, "completed");
  assert.equal(report.totals.filesCompleted, 6, "what did not change is counted once");
  assert.equal(report.totals.filesVerified, 6);
  assert.equal(report.totals.filesTotal, 6);
  for (const [path, { bytes }] of world.source.files)
    assert.deepEqual(world.destination.blobs.get(path)?.bytes, bytes, path);
});

Deno.test("[N2] a pass that finds nothing changed reads nothing, writes nothing, and asks for the listing once", async () => {
  const world = new World(1);
  for (let index = 0; index < 300; index++)
    world.source.put(`f${String(index).padStart(3, "0")}`, pattern(index, 20));
  const run = start(world);
  await passEnds(world, run);
  const calls = new Map<string, number>();
  const count = (operation: string) => calls.set(operation, (calls.get(operation) ?? 0) + 1);
  world.sourceHook = ({ operation, when }) => void (when === "before" && count(operation));
  world.destinationHook = ({ operation, when }) => void (when === "before" && count(operation));
  let commits = 0;
  world.onPoint = ({ what, when }) => void (what === "journal" && when === "before" && commits++);
  await nextPass(world, run);
  // 300 names in pages of 10, and pages of the source of 7.
  assert.deepEqual(Object.fromEntries(calls), { list: 43, page: 30 });
  assert.ok(commits < 20, `${commits} commits`);
  assert.equal((await finish(world, run)).totals.filesTotal, 300);
});

Deno.test("[N3] what the source has no more stays at the destination, unless the job says otherwise", async () => {
  for (const vanished of ["keep", "remove"] as const) {
    const world = new World(1);
    for (const path of ["a", "gone", "moved/from", "z"])
      world.source.put(path, pattern(path.length, 20), 1_000);
    const run = start(world, { vanished });
    await passEnds(world, run);
    world.destination.plant("foreign", pattern(9, 9));
    world.source.remove("gone");
    world.source.remove("moved/from");
    world.source.put("moved/to", pattern("moved/from".length, 20), 1_000);
    await nextPass(world, run);
    await finish(world, run);
    const kept = ["a", "foreign", "moved/to", "z"];
    const names = [...world.destination.blobs.keys()].sort();
    assert.deepEqual(names, vanished === "remove" ? kept : [...kept, "gone", "moved/from"].sort());
  }
});

/** What the manifest says last of each path. */
function lastWords(world: World): Record<string, string> {
  return Object.fromEntries(
    world
      .manifest()
      .map(({ path, outcome, reason }) => [
        path,
        [outcome, reason].filter((word) => word !== null).join(" "),
      ]),
  );
}

Deno.test("[N10] the manifest says what was removed at the destination, and what came back after that", async () => {
  const world = new World(1);
  const paths = ["a", "back", "gone", "kept", "z"];
  for (const path of paths) world.source.put(path, pattern(path.length, 20), 1_000);
  const run = start(world, { vanished: "remove" });
  await passEnds(world, run);
  for (const path of ["back", "gone", "kept"]) world.source.remove(path);
  let lost = false;
  world.destinationHook = ({ operation, path, when }) => {
    if (operation !== "remove") return;
    // One is replaced just before, and of another the answer is lost.
    if (path === "kept" && when === "before") world.destination.plant("kept", pattern(7, 7));
    if (path === "gone" && when === "after" && !lost) {
      lost = true;
      throw new TransferError({ scope: "job", code: "DESTINATION_UNREACHABLE" }, "Cannot remove: lost", {
        retry: { kind: "backoff", afterMs: null },
      });
    }
  };
  await nextPass(world, run);
  world.source.put("back", pattern(4, 20), 3_000);
  await nextPass(world, run);
  const report = await finish(world, run);
  assert.ok(lost);
  assert.deepEqual(lastWords(world), {
    a: "completed",
    back: "completed",
    gone: "removed source_vanished",
    kept: "completed",
    z: "completed",
  });
  assert.deepEqual(report.notes, [{ code: "vanished_removed", count: 2 }]);
  assert.equal(report.manifest?.rows, world.manifest().length);
  const [removed] = world.manifest().filter(({ path, outcome }) => path === "gone" && outcome === "removed");
  const [sent] = world.manifest().filter(({ path, outcome }) => path === "gone" && outcome === "completed");
  for (const field of ["sizeBytes", "sha256", "blob", "etag"] as const)
    assert.equal(removed?.[field], sent?.[field], field);
});

Deno.test("[N3] without a lease nothing is removed at the destination until there is one again", async () => {
  const world = new World(1);
  for (const path of ["a", "gone", "z"]) world.source.put(path, pattern(path.length, 20), 1_000);
  const run = start(world, { vanished: "remove" });
  await passEnds(world, run);
  world.source.remove("gone");
  world.hasLease = false;
  for (let minute = 0; minute < 120; minute++) await world.clock.advance(MINUTE_MS);
  assert.ok(world.destination.blobs.has("gone"));
  world.hasLease = true;
  await finish(world, run);
  assert.ok(!world.destination.blobs.has("gone"));
});

Deno.test("[N4] what could not be listed, lies behind a link now, or was written by others, has not vanished", async () => {
  const world = new World(1);
  for (const path of ["closed/1", "closed/2/3", "closed-not", "link/1", "z"])
    world.source.put(path, pattern(1, 20), 1_000);
  const run = start(world, { vanished: "remove" });
  await passEnds(world, run);
  world.destination.plant("y", pattern(1, 20));
  for (const path of ["closed/1", "closed/2/3", "closed-not", "link/1"]) world.source.remove(path);
  world.source.putOther({
    kind: "failed",
    path: "closed",
    code: "source_denied",
    message: "Cannot read",
    sizeBytes: 0,
  });
  world.source.putOther({ kind: "skipped", path: "link", code: "link" });
  await nextPass(world, run);
  await finish(world, run);
  assert.deepEqual([...world.destination.blobs.keys()].sort(), [
    "closed/1",
    "closed/2/3",
    "link/1",
    "y",
    "z",
  ]);
});

Deno.test("[N4] a source that is empty all of a sudden removes nothing", async () => {
  const world = new World(1);
  for (const path of ["a", "b"]) world.source.put(path, pattern(1, 20));
  const run = start(world, { vanished: "remove" });
  await passEnds(world, run);
  for (const path of ["a", "b"]) world.source.remove(path);
  await nextPass(world, run);
  await finish(world, run);
  assert.equal(world.destination.blobs.size, 2);
});

Deno.test("[N4] a blob that somebody replaced since it was listed is not removed", async () => {
  const world = new World(1);
  world.source.put("a", pattern(1, 20));
  world.source.put("gone", pattern(1, 20));
  const run = start(world, { vanished: "remove" });
  await passEnds(world, run);
  world.source.remove("gone");
  world.destinationHook = ({ operation, when }) => {
    if (operation === "remove" && when === "before") world.destination.plant("gone", pattern(7, 7));
  };
  await nextPass(world, run);
  await finish(world, run);
  assert.deepEqual(world.destination.blobs.get("gone")?.bytes, pattern(7, 7));
});

Deno.test("[N5] what others wrote at the destination is not overwritten unasked", async () => {
  const world = new World(1);
  world.source.put("file", pattern(1, 50));
  world.destination.plant("file", pattern(2, 20));
  const run = start(world);
  await passEnds(world, run);
  await nextPass(world, run);
  const report = await finish(world, run);
  assert.deepEqual(world.destination.blobs.get("file")?.bytes, pattern(2, 20));
  assert.ok(report.totals.filesFailed >= 1);
});

Deno.test("[N6] a failure of the listing counts once, however many passes meet it", async () => {
  const world = new World(1);
  world.source.put("a", pattern(1, 20));
  world.source.putOther({
    kind: "failed",
    path: "closed",
    code: "source_denied",
    message: "Cannot read",
    sizeBytes: 0,
  });
  const run = start(world);
  await passEnds(world, run);
  await nextPass(world, run);
  world.source.putOther({
    kind: "failed",
    path: "late",
    code: "source_denied",
    message: "Cannot read",
    sizeBytes: 0,
  });
  await nextPass(world, run);
  await nextPass(world, run);
  assert.equal((await finish(world, run)).totals.filesFailed, 2);
});

Deno.test("[N6] a file that the destination can never hold counts once, however many passes meet it", async () => {
  const world = new World(1);
  world.source.put("a", pattern(1, 20));
  world.source.put("b\u0001", pattern(2, 20));
  const run = start(world);
  await passEnds(world, run);
  assert.equal(run.progress().totals.filesFailed, 1);
  await nextPass(world, run);
  await nextPass(world, run);
  const { filesFailed, filesTotal } = (await finish(world, run)).totals;
  assert.deepEqual([filesFailed, filesTotal], [1, 2]);
});

Deno.test("[N9] the manifest names what every pass moved, in the order of the passes, also after a restart", async () => {
  const world = new World(1);
  for (let index = 0; index < 5; index++) world.source.put(`f${index}`, pattern(index, 20), 1_000);
  const again = () => world.start({ repetition: REPETITION, readbackPercent: 1 });
  let run = again();
  await passEnds(world, run);
  world.source.put("f2", pattern(9, 30), 2_000);
  world.source.put("new", pattern(8, 3 * BLOCK_BYTES), 2_000);
  await nextPass(world, run);
  await nextPass(world, run);
  world.kill();
  run = again();
  const report = await finish(world, run);
  const rows = world.manifest();
  assert.deepEqual(
    rows.map(({ path, sizeBytes, outcome }) => [path, sizeBytes, outcome]),
    [
      ...["f0", "f1", "f2", "f3", "f4"].map((path) => [path, 20, "completed"]),
      ["f2", 30, "completed"],
      ["new", 3 * BLOCK_BYTES, "completed"],
    ],
  );
  assert.equal(report.manifest?.rows, report.totals.filesTotal);
  // The first of each pass is read back, however few are asked for.
  assert.deepEqual([rows[0]?.["proof"], rows[5]?.["proof"]], ["readback", "readback"]);
  for (const [path, { bytes }] of world.source.files)
    assert.equal(rows.findLast((row) => row["path"] === path)?.["sha256"], digest("sha256", bytes).toHex());
});

Deno.test("[N7] passes come at jittered distances, and a finish ends the wait at once", async () => {
  const distances = new Set<number>();
  for (let seed = 1; seed <= 12; seed++) {
    const world = new World(seed);
    world.source.put("a", pattern(1, 20));
    const run = start(world);
    await passEnds(world, run);
    const untilMs = run.progress().waiting?.untilMs ?? 0;
    const distanceMs = untilMs - world.clock.now();
    assert.ok(distanceMs > 44 * MINUTE_MS && distanceMs <= 75 * MINUTE_MS, `${distanceMs}`);
    distances.add(Math.round(distanceMs / MINUTE_MS));
    const begunMs = world.clock.monotonic();
    assert.equal((await finish(world, run)).outcome, "completed");
    assert.ok(world.clock.monotonic() - begunMs < 5_000);
  }
  assert.ok(distances.size > 5);
});

Deno.test("[N7] a job told to finish in the middle of a pass ends with it; a cancelled one at once", async () => {
  const world = new World(1);
  for (let index = 0; index < 20; index++) world.source.put(`f${index}`, pattern(index, 20));
  const run = start(world);
  run.finish();
  const report = await world.end(run);
  assert.equal(report?.totals.filesVerified, 20);

  const cancelled = new World(1);
  cancelled.source.put("a", pattern(1, 20));
  const waiting = start(cancelled);
  await passEnds(cancelled, waiting);
  waiting.cancel();
  assert.equal((await cancelled.end(waiting))?.outcome, "cancelled");
});

Deno.test("[N8] [N10] killed at any point of the second pass, it goes on with it and loses nothing", async () => {
  for (let at = 1; ; at++) {
    const world = new World(1);
    world.source.put("changes", pattern(2, 50), 1_000);
    world.source.put("large", pattern(3, 3 * BLOCK_BYTES), 1_000);
    world.source.put("gone", pattern(1, 10), 1_000);
    let run = start(world, { vanished: "remove" });
    await passEnds(world, run);
    world.source.put("changes", pattern(4, 50), 2_000);
    world.source.put("large", pattern(5, 4 * BLOCK_BYTES), 2_000);
    world.source.remove("gone");
    let passed = 0;
    world.onPoint = () => {
      if (++passed === at) world.kill();
    };
    for (let turns = 0; turns < 1_000 && !world.killed && run.progress().totals.filesVerified < 5; turns++)
      await world.clock.advance(turns < 80 ? MINUTE_MS : 1_000);
    const isThrough = !world.killed;
    world.onPoint = () => {};
    if (!isThrough) {
      run = start(world, { vanished: "remove" });
      await passEnds(world, run);
    }
    // What a crash kept from being removed goes with the pass after it.
    await nextPass(world, run);
    const report = await finish(world, run);
    assert.equal(report.outcome, "completed", `killed at ${at}`);
    assert.deepEqual([...world.destination.blobs.keys()].sort(), ["changes", "large"], `killed at ${at}`);
    for (const [path, { bytes }] of world.source.files) {
      const blob = world.destination.blobs.get(path);
      assert.deepEqual(blob?.bytes, bytes, `killed at ${at}: ${path}`);
      assert.equal(blob?.metadata?.sha256, digest("sha256", bytes).toHex());
    }
    const { filesTotal, filesCompleted, filesFailed, filesSkipped } = report.totals;
    assert.equal(filesTotal, filesCompleted + filesFailed + filesSkipped, `killed at ${at}`);
    const { changes, gone, large, ...others } = lastWords(world);
    assert.deepEqual([gone, others], ["removed source_vanished", {}], `killed at ${at}`);
    for (const word of [changes, large])
      assert.ok(word === "completed" || word === "skipped identical", `killed at ${at}: ${word}`);
    if (isThrough) return;
  }
});
