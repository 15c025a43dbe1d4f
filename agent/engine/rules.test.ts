/** What a run does when the world does not behave. */
import assert from "node:assert/strict";
import { NO_FILTERS } from "../../schema/job.ts";
import { type Source, TransferError } from "../connectors/connector.ts";
import type { Call } from "../connectors/memory.ts";
import { PAUSE_GRACE_MS } from "./control.ts";
import { JOB_CALL_MS_MAX, UNREACHED_MS_MAX } from "./retry.ts";
import { BLOCK_BYTES, digest, pattern, World } from "./world.ts";

const LARGE = pattern(9, 6 * BLOCK_BYTES + 5);

function metadataOf(bytes: Uint8Array) {
  return {
    sha256: digest("sha256", bytes).toHex(),
    md5: null,
    modifiedMs: 1,
    tier: "Hot" as const,
    contentType: "text/plain",
  };
}

function failureCodes(world: World): Record<string, string> {
  const codes: Record<string, string> = {};
  for (const event of world.told) {
    if (event.kind === "files_failed") for (const { path, code } of event.failures) codes[path] = code;
  }
  return codes;
}

function unreachable(kind: "backoff" | "throttled", afterMs: number | null = null): TransferError {
  return new TransferError({ scope: "file", code: "destination_unreachable" }, "Cannot reach it: a test", {
    retry: { kind, afterMs },
  });
}

/** Resolves once `holds`, while time passes. */
async function until(world: World, holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    assert.ok(turns < 20_000, "it never came");
    await world.clock.advance(1);
  }
}

// --- pause, resume, cancel ---------------------------------------------------------------------------------------

/** Blocks that never end by themselves, but obey their signal. */
function hangBlocks(world: World): { readonly begun: Call[] } {
  const begun: Call[] = [];
  world.destinationHook = async (call, signal) => {
    if (call.operation !== "write_block" || call.when !== "before") return;
    begun.push(call);
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  };
  return { begun };
}

function slowBlocks(world: World): void {
  world.destinationHook = async ({ operation, when }, signal) => {
    // Each takes another time, or they would come in threes.
    if (operation === "write_block" && when === "before")
      await world.clock.sleep(500 + world.random.next() * 400, signal);
  };
}

Deno.test("[E3] a pause takes hold within two seconds, though blocks hang, and no block is begun after it", async () => {
  const world = new World(1);
  world.source.put("large", LARGE);
  const { begun } = hangBlocks(world);
  const run = world.start();
  await until(world, () => begun.length === 3);
  run.pause();
  await world.clock.advance(PAUSE_GRACE_MS + 100);
  const told = world.told.at(-1);
  assert.ok(told?.kind === "phase" && told.phase === "paused");
  assert.deepEqual(told.totals, run.progress().totals);
  await world.clock.advance(600_000);
  assert.equal(begun.length, 3);
  assert.equal(run.progress().phase, "paused");
});

Deno.test("[E3] a resumed run goes on where it was and reads no block again", async () => {
  const world = new World(1);
  world.source.put("large", LARGE);
  let reads = 0;
  world.sourceHook = ({ operation }) => {
    if (operation === "read") reads++;
  };
  slowBlocks(world);
  const run = world.start();
  await until(world, () => world.destination.accepted.length === 2);
  run.pause();
  await world.clock.advance(3_600_000);
  const acceptedMeanwhile = world.destination.accepted.length;
  assert.ok(acceptedMeanwhile < 7);
  run.resume();
  const report = await world.end(run);
  assert.equal(report?.outcome, "completed");
  assert.equal(reads, 7);
  assert.equal(world.destination.accepted.length, 7);
  assert.deepEqual(world.destination.blobs.get("large")?.bytes, LARGE);
  assert.deepEqual(
    world.told.map((event) => (event.kind === "phase" ? event.phase : "")),
    ["scanning", "ready", "running", "paused", "running"],
  );
  assert.ok(report.activeMs < 60_000, "the pause is not work");
});

Deno.test("[E4] a cancelled run ends at once; what is uploaded stays, and nothing of a half file is seen", async () => {
  const world = new World(1);
  world.source.put("a", pattern(1, 5));
  world.source.put("large", LARGE);
  world.source.put("z", pattern(2, 5));
  hangBlocks(world);
  const run = world.start({ concurrency: 1 });
  await until(world, () => run.progress().currentPath === "large" && world.destination.blobs.has("a"));
  await world.clock.advance(10_000);
  run.cancel();
  await world.clock.advance(10);
  const report = await run.finished;
  assert.equal(report.outcome, "cancelled");
  assert.equal(report.error, null);
  assert.deepEqual([...world.destination.blobs.keys()], ["a"]);
  assert.equal(report.totals.filesTotal, 3);
  assert.equal(report.totals.filesCompleted, 1);
  assert.deepEqual(
    world.manifest().map((row) => row["outcome"]),
    ["completed", "not_reached", "not_reached"],
  );
});

Deno.test("[E4] a run is cancelled while it is paused, and while it scans", async () => {
  const paused = new World(1);
  paused.source.put("large", LARGE);
  const { begun } = hangBlocks(paused);
  const run = paused.start();
  await until(paused, () => begun.length > 0);
  run.pause();
  await paused.clock.advance(5_000);
  run.cancel();
  assert.equal((await paused.end(run))?.outcome, "cancelled");

  const scanning = new World(1);
  for (let index = 0; index < 1_000; index++) scanning.source.put(`${index}`, new Uint8Array(1));
  scanning.sourceHook = ({ operation }, signal) => {
    if (operation === "list") return scanning.clock.sleep(10, signal);
  };
  const scan = scanning.start();
  await scanning.clock.advance(50);
  assert.equal(scan.progress().phase, "scanning");
  scan.cancel();
  assert.equal((await scanning.end(scan))?.outcome, "cancelled");
});

Deno.test("[E5] a suspended run lets go of everything and is gone on with by the next", async () => {
  const world = new World(1);
  world.source.put("large", LARGE);
  slowBlocks(world);
  const first = world.start();
  await until(world, () => world.destination.accepted.length >= 3);
  await Promise.all([first.suspend(), world.clock.advance(100)]);
  const sentBefore = world.destination.accepted.length;
  assert.ok(sentBefore < 7);
  world.destinationHook = () => {};
  const report = await world.end(world.start());
  assert.equal(report?.outcome, "completed");
  assert.ok(world.destination.accepted.length <= 7 + 3);
  assert.deepEqual(world.destination.blobs.get("large")?.bytes, LARGE);
});

Deno.test("[E5] a run that ended says the same report again when it is started once more", async () => {
  const world = new World(1);
  world.source.put("a", pattern(1, 5));
  const report = await world.end(world.start());
  assert.deepEqual(await world.end(world.start()), report);
});

// --- what is there already ---------------------------------------------------------------------------------------

Deno.test("[E6] skip_identical skips what has the same size and SHA-256, and overwrites nothing else", async () => {
  const world = new World(1);
  world.source.put("same", pattern(1, 50));
  world.source.put("same-large", LARGE);
  world.source.put("other-size", pattern(2, 50));
  world.source.put("other-content", pattern(3, 50));
  world.source.put("foreign", pattern(4, 50));
  world.source.put("new", pattern(5, 50));
  world.destination.plant("same", pattern(1, 50), metadataOf(pattern(1, 50)));
  world.destination.plant("same-large", LARGE, metadataOf(LARGE));
  world.destination.plant("other-size", pattern(2, 51), metadataOf(pattern(2, 51)));
  world.destination.plant("other-content", pattern(7, 50), metadataOf(pattern(7, 50)));
  world.destination.plant("foreign", pattern(4, 50));
  const before = new Map(world.destination.blobs);
  const report = await world.end(world.start());
  assert.equal(report?.totals.filesSkipped, 2);
  assert.equal(report.totals.filesCompleted, 1);
  assert.deepEqual(failureCodes(world), {
    "other-size": "destination_exists",
    "other-content": "destination_exists",
    foreign: "destination_exists",
  });
  for (const [path, blob] of before) assert.equal(world.destination.blobs.get(path), blob, path);
  assert.deepEqual(world.destination.accepted, [{ path: "new", id: null }]);
});

Deno.test("[E6] without verification, size and time are enough, and nothing is read", async () => {
  const world = new World(1);
  world.source.put("same", pattern(1, 50), 5_000);
  world.destination.plant("same", pattern(2, 50), { ...metadataOf(pattern(2, 50)), modifiedMs: 5_000 });
  let reads = 0;
  world.sourceHook = ({ operation }) => {
    if (operation === "read") reads++;
  };
  const report = await world.end(world.start({ verify: false }));
  assert.equal(report?.totals.filesSkipped, 1);
  assert.equal(report.verification, "sent");
  assert.equal(reads, 0);
});

Deno.test("[E6] overwrite replaces exactly the version that was seen", async () => {
  const world = new World(1);
  world.source.put("small", pattern(1, 50));
  world.source.put("large", LARGE);
  world.source.put("raced", pattern(3, 50));
  for (const path of ["small", "large", "raced"]) world.destination.plant(path, pattern(8, 20));
  world.destinationHook = ({ operation, path, when }) => {
    if (operation === "write_whole" && path === "raced" && when === "before")
      world.destination.plant("raced", pattern(9, 21));
  };
  const report = await world.end(world.start({ existing: "overwrite" }));
  assert.equal(report?.totals.filesCompleted, 2);
  assert.deepEqual(world.destination.blobs.get("large")?.bytes, LARGE);
  assert.deepEqual(world.destination.blobs.get("raced")?.bytes, pattern(9, 21));
  assert.deepEqual(failureCodes(world), { raced: "destination_exists" });
});

Deno.test("[E6] fail refuses whatever is there, the same or not", async () => {
  const world = new World(1);
  world.source.put("same", pattern(1, 50));
  world.destination.plant("same", pattern(1, 50), metadataOf(pattern(1, 50)));
  await world.end(world.start({ existing: "fail" }));
  assert.deepEqual(failureCodes(world), { same: "destination_exists" });
});

Deno.test("[E6] many files are held against one listing, not asked for one by one", async () => {
  const world = new World(1);
  for (let index = 0; index < 150; index++) {
    world.source.put(`f${index}`, pattern(index, 20));
    world.destination.plant(`f${index}`, pattern(index, 20), metadataOf(pattern(index, 20)));
  }
  let finds = 0;
  world.destinationHook = ({ operation }) => {
    if (operation === "find") finds++;
  };
  const report = await world.end(world.start());
  assert.equal(report?.totals.filesSkipped, 150);
  assert.equal(finds, 0);
});

Deno.test("[E7] a write whose answer was lost is done, not a conflict", async () => {
  for (const existing of ["skip_identical", "overwrite"] as const) {
    const world = new World(1);
    world.source.put("small", pattern(1, 50));
    world.source.put("large", LARGE);
    if (existing === "overwrite")
      for (const path of ["small", "large"]) world.destination.plant(path, pattern(8, 20));
    const lost = new Set<string>();
    world.destinationHook = ({ operation, path, when }) => {
      if ((operation !== "write_whole" && operation !== "commit") || when !== "after" || lost.has(path))
        return;
      lost.add(path);
      throw unreachable("backoff");
    };
    const report = await world.end(world.start({ existing }));
    assert.equal(report?.totals.filesCompleted, 2, existing);
    assert.deepEqual(world.destination.blobs.get("large")?.bytes, LARGE);
  }
});

// --- a source that changes ---------------------------------------------------------------------------------------

Deno.test("[E8] a file that changes once while it is read is read again, and arrives as it is now", async () => {
  for (const size of [50, LARGE.length]) {
    const world = new World(1);
    world.source.put("file", pattern(1, size));
    let reads = 0;
    world.sourceHook = ({ operation }) => {
      if (operation === "read" && ++reads === Math.min(3, Math.ceil(size / BLOCK_BYTES)))
        world.source.put("file", pattern(2, size), 99);
    };
    const report = await world.end(world.start());
    assert.equal(report?.totals.filesCompleted, 1);
    assert.deepEqual(world.destination.blobs.get("file")?.bytes, pattern(2, size));
  }
});

Deno.test("[E8] a file that keeps changing fails after three reads and is never committed", async () => {
  const world = new World(1);
  let version = 0;
  world.source.put("small", pattern(1, 50));
  world.source.put("large", LARGE);
  world.sourceHook = ({ operation, path }) => {
    if (operation === "read")
      world.source.put(path, pattern(++version, path === "small" ? 50 : LARGE.length), version);
  };
  const report = await world.end(world.start());
  assert.deepEqual(failureCodes(world), { small: "source_changing", large: "source_changing" });
  assert.equal(world.destination.blobs.size, 0);
  assert.equal(report?.outcome, "completed");
});

Deno.test("[E8] a file that grew or shrank since the scan arrives, and the totals neither fall nor break", async () => {
  const world = new World(1);
  world.source.put("grew", pattern(1, 50));
  world.source.put("shrank", pattern(2, 5_000));
  world.source.put("vanished", pattern(3, 40));
  world.sourceHook = ({ operation, path }) => {
    if (operation !== "open") return;
    if (path === "grew") world.source.put(path, pattern(1, 4_000));
    if (path === "shrank") world.source.put(path, pattern(2, 10));
    if (path === "vanished") world.source.remove(path);
  };
  const run = world.start();
  const report = await world.end(run);
  assert.deepEqual(failureCodes(world), { vanished: "source_vanished" });
  assert.deepEqual(world.destination.blobs.get("grew")?.bytes, pattern(1, 4_000));
  assert.deepEqual(world.destination.blobs.get("shrank")?.bytes, pattern(2, 10));
  assert.equal(report?.totals.bytesCompleted, 4_010);
  assert.equal(report.totals.bytesTotal, 4_000 + 5_000 + 40);
  assert.equal(
    report.totals.bytesTotal,
    report.totals.bytesCompleted + report.totals.bytesFailed + report.totals.bytesSkipped,
  );
});

Deno.test("[E9] blocks of a file that changed between crash and restart are not used", async () => {
  const world = new World(1);
  world.source.put("large", LARGE);
  world.onPoint = ({ what, when }) => {
    if (what === "commit" && when === "before") world.kill();
  };
  assert.equal(await world.end(world.start()), null);
  const changed = LARGE.slice();
  changed[BLOCK_BYTES + 3] = (changed[BLOCK_BYTES + 3] ?? 0) ^ 1;
  world.source.put("large", changed, 1_700_000_000_000);
  world.onPoint = () => {};
  const report = await world.end(world.start());
  assert.equal(report?.totals.filesCompleted, 1);
  assert.deepEqual(world.destination.blobs.get("large")?.bytes, changed);
});

Deno.test("[E9] blocks that the destination has lost are sent again", async () => {
  const world = new World(1);
  world.source.put("large", LARGE);
  world.onPoint = ({ what, when }) => {
    if (what === "commit" && when === "before") world.kill();
  };
  await world.end(world.start());
  const staged = world.destination.staged.get("large");
  for (const id of [...(staged?.keys() ?? [])].slice(0, 4)) staged?.delete(id);
  world.onPoint = () => {};
  const report = await world.end(world.start());
  assert.equal(report?.totals.filesCompleted, 1);
  assert.equal(world.destination.accepted.length, 7 + 4);
});

Deno.test("[E9] blocks that vanish just before the commit are sent again, and only they", async () => {
  const world = new World(1);
  world.source.put("large", LARGE);
  let commits = 0;
  world.destinationHook = ({ operation, when }) => {
    if (operation !== "commit" || when !== "before" || ++commits > 1) return;
    const staged = world.destination.staged.get("large");
    for (const id of [...(staged?.keys() ?? [])].slice(0, 2)) staged?.delete(id);
  };
  const report = await world.end(world.start());
  assert.equal(report?.totals.filesCompleted, 1);
  assert.equal(world.destination.accepted.length, 7 + 2);
  assert.equal(report.totals.bytesSent, LARGE.length + 2 * BLOCK_BYTES);
});

// --- proof -------------------------------------------------------------------------------------------------------

/** What becomes of blobs at the destination behind our backs, by the name of the file. */
function harm(world: World, path: string): void {
  const { blobs } = world.destination;
  const blob = blobs.get(path);
  if (blob === undefined) return;
  switch (path) {
    case "lost":
      return void blobs.delete(path);
    case "replaced":
      return world.destination.plant(path, pattern(7, 60));
    case "rewritten":
      return world.destination.plant(path, blob.bytes, blob.metadata);
    case "lied about":
      return world.destination.plant(path, pattern(7, 60), blob.metadata);
    case "shortened":
      return void blobs.set(path, { ...blob, bytes: blob.bytes.subarray(1) });
    case "reordered":
      return void blobs.set(path, { ...blob, blocks: blob.blocks.toReversed() });
  }
}

const HARMED = ["lied about", "lost", "replaced", "rewritten", "shortened"];

/** A world in which each file is harmed so often, right after it was stored. */
function harmful(times: number): World {
  const world = new World(1);
  for (const path of [...HARMED, "good"]) world.source.put(path, pattern(path.length, 60));
  world.source.put("reordered", LARGE);
  const harmed = new Map<string, number>();
  world.destinationHook = ({ operation, when, path }) => {
    if ((operation !== "write_whole" && operation !== "commit") || when !== "after") return;
    const before = harmed.get(path) ?? 0;
    harmed.set(path, before + 1);
    if (before < times) harm(world, path);
  };
  return world;
}

Deno.test("[E10] what the destination lost, changed or mixed up fails the proof, and no count falls", async () => {
  const world = harmful(Infinity);
  const report = await world.end(world.start());
  assert.deepEqual(failureCodes(world), {
    "lied about": "verification_failed",
    lost: "verification_failed",
    replaced: "verification_failed",
    shortened: "verification_failed",
    reordered: "verification_failed",
  });
  assert.equal(report?.totals.filesTotal, 7);
  // The same content under the same name counts, whoever wrote it last: it was read.
  assert.equal(report.totals.filesCompleted, 2);
  assert.equal(report.totals.filesFailed, 5);
  assert.equal(report.totals.filesVerified, 2);
  assert.equal(report.totals.filesReadBack, 1);
});

Deno.test("[E30] (T25) what fails its proof is sent once more and proved again; what somebody else put there is left", async () => {
  const world = harmful(1);
  const report = await world.end(world.start());
  assert.deepEqual(failureCodes(world), {
    "lied about": "verification_failed",
    replaced: "verification_failed",
  });
  assert.equal(report?.totals.filesVerified, 5);
  assert.deepEqual(world.destination.blobs.get("replaced")?.bytes, pattern(7, 60));
  assert.deepEqual(world.destination.blobs.get("lied about")?.bytes, pattern(7, 60));
  for (const path of ["lost", "shortened", "rewritten"])
    assert.deepEqual(world.destination.blobs.get(path)?.bytes, pattern(path.length, 60), path);
  assert.deepEqual(world.destination.blobs.get("reordered")?.bytes, LARGE);
  const sent = (path: string) => world.destination.accepted.filter((body) => body.path === path).length;
  assert.deepEqual(
    [...HARMED, "good", "reordered"].map((path) => [path, sent(path)]),
    [
      ["lied about", 1],
      ["lost", 2],
      ["replaced", 1],
      ["rewritten", 1],
      ["shortened", 2],
      ["good", 1],
      ["reordered", 14],
    ],
  );
});

Deno.test("[E30] (T25) whatever the job says of what it finds, its own damaged file is replaced", async () => {
  for (const existing of ["skip_identical", "overwrite", "fail"] as const) {
    const world = harmful(1);
    await world.end(world.start({ existing }));
    assert.deepEqual(world.destination.blobs.get("shortened")?.bytes, pattern(9, 60), existing);
  }
});

Deno.test("[E30] (T25) killed at any point while it sends again, a run ends with all of it there", async () => {
  let points = Infinity;
  for (let at = 1; at <= points; at++) {
    const world = new World(1);
    world.source.put("lost", pattern(4, 60));
    world.source.put("reordered", LARGE);
    const harmed = new Set<string>();
    world.destinationHook = ({ operation, when, path }) => {
      if ((operation !== "write_whole" && operation !== "commit") || when !== "after") return;
      if (!harmed.has(path)) harm(world, path);
      harmed.add(path);
    };
    let passed = 0;
    world.onPoint = () => {
      if (++passed === at) world.kill();
    };
    const first = await world.end(world.start());
    if (first !== null) points = 0;
    const report = first ?? (await world.end(world.start()));
    assert.equal(report?.totals.filesVerified, 2, `killed at ${at}: ${JSON.stringify(failureCodes(world))}`);
    assert.deepEqual(world.destination.blobs.get("lost")?.bytes, pattern(4, 60), `killed at ${at}`);
    assert.deepEqual(world.destination.blobs.get("reordered")?.bytes, LARGE, `killed at ${at}`);
  }
});

Deno.test("[E30] (T25) a file that changed before it was sent again is counted as it is now", async () => {
  const world = new World(1);
  world.source.put("lost", pattern(4, 60));
  world.destinationHook = ({ operation, when, path }) => {
    if (operation !== "write_whole" || when !== "after" || world.destination.accepted.length > 1) return;
    harm(world, path);
    world.source.put(path, pattern(5, 80));
  };
  const run = world.start();
  const report = await world.end(run);
  assert.equal(run.progress().bytesInFlight, 0);
  assert.deepEqual(world.destination.blobs.get("lost")?.bytes, pattern(5, 80));
  assert.equal(report?.totals.filesVerified, 1);
  assert.equal(report.totals.bytesCompleted, 80);
  assert.equal(report.totals.bytesTotal, 80);
});

Deno.test("[E10] a listing that is older than the upload does not speak against it", async () => {
  const world = new World(1);
  for (let index = 0; index < 6; index++) {
    world.source.put(`f${index}`, pattern(index, 50));
    world.destination.plant(`f${index}`, pattern(99, 50));
  }
  world.destinationHook = async ({ operation, when }, signal) => {
    // The uploads end while the page is on its way.
    if (operation === "page" && when === "after") await world.clock.sleep(5_000, signal);
    if (operation === "write_whole" && when === "before") await world.clock.sleep(1_500, signal);
  };
  const report = await world.end(world.start({ existing: "overwrite", concurrency: 2 }));
  assert.deepEqual(failureCodes(world), {});
  assert.equal(report?.totals.filesVerified, 6);
});

// --- retries -----------------------------------------------------------------------------------------------------

Deno.test("[E11] a destination that was never reached fails the job after about two minutes", async () => {
  const world = new World(1);
  world.source.put("a", pattern(1, 50));
  world.destinationHook = () => {
    throw unreachable("backoff");
  };
  const begunMs = world.clock.monotonic();
  const report = await world.end(world.start());
  assert.equal(report?.outcome, "failed");
  assert.equal(report.error?.code, "DESTINATION_UNREACHABLE");
  const tookMs = world.clock.monotonic() - begunMs;
  assert.ok(tookMs >= UNREACHED_MS_MAX && tookMs <= UNREACHED_MS_MAX * 2, `${tookMs} ms`);
});

Deno.test("[E11] an outage shorter than that costs no file", async () => {
  const world = new World(3);
  for (let index = 0; index < 20; index++) world.source.put(`${index}`, pattern(index, 50));
  let from = Infinity;
  world.destinationHook = ({ operation }) => {
    if (operation === "write_whole" && from === Infinity) from = world.clock.monotonic();
    if (world.clock.monotonic() < from + 60_000 && from !== Infinity) throw unreachable("backoff");
  };
  const report = await world.end(world.start());
  assert.equal(report?.totals.filesCompleted, 20);
});

Deno.test("[E11] one file that never gets through fails alone while others succeed", async () => {
  const world = new World(1);
  for (let index = 0; index < 600; index++) world.source.put(`f${index}`, pattern(index, 50));
  let tries = 0;
  world.destinationHook = async ({ operation, path, when }, signal) => {
    if (operation !== "write_whole" || when !== "before") return;
    if (path !== "f1") return await world.clock.sleep(1_000, signal);
    tries++;
    throw unreachable("backoff");
  };
  const report = await world.end(world.start());
  assert.deepEqual(failureCodes(world), { f1: "destination_unreachable" });
  assert.equal(report?.outcome, "completed");
  assert.equal(tries, 8);
});

Deno.test("[E11] what the whole job needs is tried for half an hour while others succeed, and then the job says why", async () => {
  for (const fails of [12, Infinity]) {
    const world = new World(1);
    for (let index = 0; index < 300; index++) world.source.put(`f${index}`, pattern(index, 50));
    let tries = 0;
    world.destinationHook = async ({ operation, when }, signal) => {
      if (when !== "before") return;
      if (operation === "write_whole") return await world.clock.sleep(30_000, signal);
      // The listing that proves, in the middle of the uploads.
      if (operation !== "page" || world.destination.accepted.length < 10 || ++tries > fails) return;
      throw new TransferError({ scope: "job", code: "DESTINATION_UNREACHABLE" }, "Cannot list: a test", {
        retry: { kind: "backoff", afterMs: null },
      });
    };
    const begunMs = world.clock.monotonic();
    const report = await world.end(world.start());
    if (fails === Infinity) {
      assert.equal(report?.error?.code, "DESTINATION_UNREACHABLE");
      assert.ok(world.clock.monotonic() - begunMs >= JOB_CALL_MS_MAX);
    } else {
      assert.equal(report?.outcome, "completed");
      assert.equal(report.totals.filesVerified, 300);
    }
  }
});

Deno.test("[E12] throttling closes one gate for all streams for as long as the service asks, and costs no file", async () => {
  const world = new World(1);
  for (let index = 0; index < 30; index++) world.source.put(`f${index}`, pattern(index, 50));
  let shutUntilMs = -1;
  const early: number[] = [];
  world.destinationHook = ({ operation, when }) => {
    if (operation !== "write_whole" || when !== "before") return;
    if (shutUntilMs === -1) {
      shutUntilMs = world.clock.monotonic() + 30_000;
      throw unreachable("throttled", 30_000);
    }
    // Those that were under way already come through.
    if (world.clock.monotonic() < shutUntilMs && world.clock.monotonic() > shutUntilMs - 29_000)
      early.push(world.clock.monotonic());
  };
  const report = await world.end(world.start());
  assert.equal(report?.totals.filesCompleted, 30);
  assert.deepEqual(early, []);
  assert.ok(world.clock.monotonic() >= shutUntilMs);
});

Deno.test("[E13] a refused credential is replaced twice, then the job fails", async () => {
  const world = new World(1);
  world.source.put("a", pattern(1, 50));
  let tries = 0;
  world.destinationHook = ({ when }) => {
    if (when === "before") tries++;
    throw new TransferError({ scope: "job", code: "DESTINATION_DENIED" }, "Cannot write: denied", {
      retry: { kind: "new_grant" },
    });
  };
  const report = await world.end(world.start());
  assert.equal(report?.error?.code, "DESTINATION_DENIED");
  assert.equal(tries, 3);
});

Deno.test("[E14] a request without an answer is given up and made again", async () => {
  const world = new World(1);
  world.source.put("large", LARGE);
  let hung = 0;
  world.destinationHook = async ({ operation, when }, signal) => {
    if (operation !== "write_block" || when !== "before" || hung > 0) return;
    hung++;
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  };
  const report = await world.end(world.start());
  assert.equal(hung, 1);
  assert.equal(report?.totals.filesCompleted, 1);
});

Deno.test("[E14] a container that is not there fails the job at once, with its code", async () => {
  const world = new World(1);
  world.source.put("a", pattern(1, 50));
  world.destinationHook = () => {
    throw new TransferError(
      { scope: "job", code: "DESTINATION_MISSING" },
      "Cannot use the container: it is not there",
      { retry: { kind: "never" } },
    );
  };
  const report = await world.end(world.start());
  assert.deepEqual(report?.error, {
    code: "DESTINATION_MISSING",
    message: "Cannot use the container: it is not there",
  });
});

// --- journal, telling, memory ------------------------------------------------------------------------------------

Deno.test("[E15] a damaged journal fails the job with its code, and what was moved stays", async () => {
  const world = new World(1);
  for (let index = 0; index < 10; index++) world.source.put(`f${index}`, pattern(index, 50));
  world.onPoint = ({ what, when }) => {
    if (what === "page" && when === "after") world.kill();
  };
  await world.end(world.start());
  world.onPoint = () => {};
  world.damageJournal("UPDATE listed SET value = replace(value, 'f1', 'f2')");
  const report = await world.end(world.start());
  assert.equal(report?.error?.code, "JOURNAL_BROKEN");
  assert.equal(world.destination.blobs.size, 10);
});

Deno.test("[E16] failures are told in order, at most 50 together, the first 1,000 of them", async () => {
  const world = new World(1);
  for (let index = 0; index < 1_200; index++) {
    const path = `f${String(index).padStart(4, "0")}`;
    world.source.putOther({
      kind: "failed",
      path,
      code: "source_denied",
      message: "Cannot read",
      sizeBytes: 0,
    });
  }
  const report = await world.end(world.start());
  assert.equal(report?.totals.filesFailed, 1_200);
  let next = 0;
  for (const event of world.told) {
    if (event.kind !== "files_failed") continue;
    assert.equal(event.first, next);
    assert.ok(event.failures.length <= 50);
    next += event.failures.length;
  }
  assert.equal(next, 1_000);
  assert.equal(world.manifest().length, 1_200);
});

Deno.test("[E17] filtered files, refused names and unreadable folders are counted, each with its reason", async () => {
  const world = new World(1);
  world.source.put("keep.txt", pattern(1, 10));
  world.source.put("drop.tmp", pattern(2, 20));
  world.source.put("bad\u0001name", pattern(3, 30));
  world.source.putOther({
    kind: "failed",
    path: "closed",
    code: "source_denied",
    message: "Cannot read",
    sizeBytes: 0,
  });
  const report = await world.end(world.start({ filters: { ...NO_FILTERS, exclude: ["*.tmp"] } }));
  assert.equal(report?.totals.filesCompleted, 1);
  assert.equal(report.totals.filesSkipped, 1);
  assert.equal(report.totals.bytesSkipped, 20);
  assert.equal(report.totals.bytesFailed, 30);
  assert.deepEqual(failureCodes(world), { "bad\u0001name": "name_refused", closed: "source_denied" });
});

Deno.test("[E18] a source whose root is gone fails the job with its code", async () => {
  const world = new World(1);
  world.sourceHook = () => {
    throw new TransferError(
      { scope: "job", code: "SOURCE_NOT_FOUND" },
      'Cannot list "/source": it is not there',
      { retry: { kind: "never" } },
    );
  };
  const report = await world.end(world.start());
  assert.equal(report?.error?.code, "SOURCE_NOT_FOUND");
  assert.equal(report.manifest?.rows, 0);
});

Deno.test("[E17] a path that a listing names twice is one file", async () => {
  const world = new World(1);
  world.source.put("file", pattern(1, 10));
  const twice: Source = {
    open: (entry, signal) => world.source.open(entry, signal),
    readWhole: (entry, into, signal) => world.source.readWhole(entry, into, signal),
    locate: () => null,
    list: async function* (options) {
      for await (const page of world.source.list(options)) {
        yield { items: [...page.items, ...page.items], cursor: page.cursor };
      }
    },
  };
  const report = await world.end(world.start({}, twice));
  assert.equal(report?.totals.filesTotal, 1);
  assert.equal(report.totals.filesVerified, 1);
});
