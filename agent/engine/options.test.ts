/** What the options of a job do to a run: proof, tiers, archived blobs, locked files, the line. */
import assert from "node:assert/strict";
import type { AccessTier, JobConfig } from "../../schema/job.ts";
import { TransferError } from "../connectors/connector.ts";
import type { Run } from "./run.ts";
import { LOCKED_DELAY_MS, LOCKED_ROUNDS } from "./transfer.ts";
import { BLOCK_BYTES, digest, pattern, World } from "./world.ts";

const LARGE = pattern(9, 6 * BLOCK_BYTES + 5);

function destination(tier: AccessTier): Partial<JobConfig> {
  return {
    destination: { kind: "azure_blob", account: "account", container: "container", prefix: "", tier },
  };
}

function failureCodes(world: World): Record<string, string> {
  const codes: Record<string, string> = {};
  for (const event of world.told)
    if (event.kind === "files_failed") for (const { path, code } of event.failures) codes[path] = code;
  return codes;
}

/** Lets time pass until `holds`. */
async function until(world: World, holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    assert.ok(turns < 20_000, "it never came");
    await world.clock.advance(10);
  }
}

// --- read back ---------------------------------------------------------------------------------------------------

function corrupt(world: World, path: string, at: number): void {
  const blob = world.destination.blobs.get(path);
  assert.ok(blob !== undefined);
  const bytes = blob.bytes.slice();
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  world.destination.blobs.set(path, { ...blob, bytes });
}

Deno.test("[E23] what is read back is hashed, and one flipped bit is found wherever it is", async () => {
  for (const [path, at] of [
    ["large", 0],
    ["large", 3 * BLOCK_BYTES],
    ["large", LARGE.length - 1],
    ["small", 7],
  ] as const) {
    const world = new World(1);
    world.source.put("large", LARGE);
    world.source.put("small", pattern(1, 50));
    world.source.put("empty", new Uint8Array());
    world.destinationHook = ({ operation, when, path: written }) => {
      if ((operation === "commit" || operation === "write_whole") && when === "after" && written === path)
        corrupt(world, path, at);
    };
    // Every time it is sent.
    const report = await world.end(world.start({ readbackPercent: 100 }));
    assert.deepEqual(failureCodes(world), { [path]: "verification_failed" });
    assert.equal(report?.totals.filesVerified, 2);
    assert.equal(report.totals.filesReadBack, 2);
    assert.equal(report.verification, "readback");
  }
});

Deno.test("[E23] the chain alone does not see such a bit, and does not say that it read anything", async () => {
  const world = new World(1);
  world.source.put("small", pattern(1, 50));
  world.destinationHook = ({ operation, when }) => {
    if (operation === "write_whole" && when === "after") corrupt(world, "small", 7);
  };
  const report = await world.end(world.start());
  assert.equal(report?.totals.filesVerified, 1);
  assert.equal(report.totals.filesReadBack, 0);
  assert.equal(report.verification, "chain");
  assert.deepEqual(
    world.manifest().map((row) => row["proof"]),
    ["chain"],
  );
});

Deno.test("[E23] a part is read back, the first file always, and the manifest names which", async () => {
  for (const percent of [1, 10, 33, 100]) {
    const world = new World(1);
    for (let index = 0; index < 200; index++)
      world.source.put(`f${String(index).padStart(3, "0")}`, pattern(index, 20));
    const report = await world.end(world.start({ readbackPercent: percent }));
    const rows = world.manifest().map((row) => row["proof"]);
    const readBack = rows.filter((proof) => proof === "readback").length;
    assert.equal(rows[0], "readback");
    assert.ok(Math.abs(readBack - 2 * percent) <= 3 * Math.sqrt(2 * percent), `${percent} %: ${readBack}`);
    assert.equal(report?.totals.filesReadBack, readBack);
    assert.equal(report.totals.filesVerified, 200);
  }
});

Deno.test("[E23] blocks of somebody else's with the same content are read back before they count", async () => {
  for (const isSame of [true, false]) {
    const world = new World(1);
    world.source.put("large", LARGE);
    world.destinationHook = ({ operation, when }) => {
      if (operation !== "commit" || when !== "before" || world.destination.blobs.has("large")) return;
      const bytes = LARGE.slice();
      if (!isSame) bytes[5_000] = (bytes[5_000] ?? 0) ^ 1;
      const metadata = {
        sha256: digest("sha256", LARGE).toHex(),
        modifiedMs: 1,
        tier: "Hot" as const,
        contentType: "",
      };
      world.destination.plant("large", bytes, metadata);
    };
    const report = await world.end(world.start());
    assert.equal(report?.totals.filesCompleted, isSame ? 1 : 0);
    assert.equal(report.totals.filesReadBack, isSame ? 1 : 0);
    assert.deepEqual(failureCodes(world), isSame ? {} : { large: "destination_exists" });
    assert.equal(world.destination.accepted.length, 7, "what is somebody else's was replaced");
  }
});

// --- tiers -------------------------------------------------------------------------------------------------------

Deno.test("[E24] what must be looked at closely is stored Hot and goes to its tier after its proof", async () => {
  const cases: readonly (readonly [AccessTier, number, AccessTier, AccessTier])[] = [
    ["Hot", 100, "Hot", "Hot"],
    ["Cool", 0, "Cool", "Cool"],
    ["Cool", 100, "Hot", "Hot"],
    ["Archive", 0, "Archive", "Hot"],
    ["Archive", 100, "Hot", "Hot"],
  ];
  for (const [tier, readbackPercent, smallFirst, largeFirst] of cases) {
    const world = new World(1);
    world.source.put("large", LARGE);
    world.source.put("small", pattern(1, 50));
    const first = new Map<string, string | undefined>();
    const order: string[] = [];
    world.destinationHook = ({ operation, when, path }) => {
      const written = world.destination.blobs.get(path)?.metadata?.tier;
      if ((operation === "commit" || operation === "write_whole") && when === "after")
        first.set(path, written);
      if (path === "large" && when === "before") order.push(operation);
    };
    const report = await world.end(world.start({ readbackPercent }, world.source, destination(tier)));
    const name = `${tier} ${readbackPercent}`;
    assert.equal(report?.totals.filesVerified, 2, name);
    assert.deepEqual([first.get("small"), first.get("large")], [smallFirst, largeFirst], name);
    for (const path of ["small", "large"])
      assert.equal(world.destination.blobs.get(path)?.metadata?.tier, tier, name);
    if (largeFirst !== tier) assert.equal(order.at(-1), "set_tier", name);
  }
});

Deno.test("[E24] without proof everything goes straight to its tier", async () => {
  const world = new World(1);
  world.source.put("large", LARGE);
  let moved = 0;
  world.destinationHook = ({ operation }) => {
    if (operation === "set_tier") moved++;
  };
  await world.end(world.start({ verify: false }, world.source, destination("Archive")));
  assert.equal(world.destination.blobs.get("large")?.metadata?.tier, "Archive");
  assert.equal(moved, 0);
});

Deno.test("[E24] killed at any point between proof and tier, everything ends in its tier", async () => {
  for (let at = 1; ; at++) {
    const world = new World(1);
    world.source.put("large", LARGE);
    world.source.put("small", pattern(1, 50));
    let passed = 0;
    world.onPoint = () => {
      if (++passed === at) world.kill();
    };
    const options = { readbackPercent: 100 };
    let report = await world.end(world.start(options, world.source, destination("Archive")));
    const isThrough = report !== null;
    report ??= await world.end(world.start(options, world.source, destination("Archive")));
    assert.equal(report?.totals.filesCompleted, 2, `killed at ${at}: ${JSON.stringify(failureCodes(world))}`);
    for (const path of ["small", "large"])
      assert.equal(world.destination.blobs.get(path)?.metadata?.tier, "Archive", `killed at ${at}: ${path}`);
    if (isThrough) return;
  }
});

// --- what is archived --------------------------------------------------------------------------------------------

function plantArchived(world: World, path: string, bytes: Uint8Array, modifiedMs: number): void {
  const sha256 = digest("sha256", bytes).toHex();
  world.destination.plant(path, bytes, { sha256, modifiedMs, tier: "Archive", contentType: "" });
}

Deno.test("[E25] an archived blob that is to be replaced is skipped, replaced, or left beside a new one", async () => {
  const stamp = "2026-11-22 100000";
  for (const archived of ["skip", "replace", "new_name"] as const) {
    const world = new World(1);
    world.source.put("a/plan.v2.pdf", pattern(1, 50), 5_000);
    world.source.put("large", LARGE, 5_000);
    world.source.put("same", pattern(3, 50), 5_000);
    for (const path of ["a/plan.v2.pdf", "large"]) plantArchived(world, path, pattern(8, 20), 1);
    plantArchived(world, "same", pattern(3, 50), 5_000);
    const before = new Map(world.destination.blobs);
    const report = await world.end(world.start({ existing: "overwrite", archived }));
    const bytesOf = (path: string) => world.destination.blobs.get(path)?.bytes;
    assert.equal(report?.totals.filesFailed, 0, archived);
    assert.equal(world.destination.blobs.get("same"), before.get("same"));
    const reasons = Object.fromEntries(world.manifest().map((row) => [row["path"], row["reason"]]));
    assert.equal(reasons["same"], "identical");
    switch (archived) {
      case "skip":
        assert.deepEqual([reasons["a/plan.v2.pdf"], reasons["large"]], ["archived", "archived"]);
        assert.deepEqual(bytesOf("large"), pattern(8, 20));
        break;
      case "replace":
        assert.deepEqual(bytesOf("a/plan.v2.pdf"), pattern(1, 50));
        assert.deepEqual(bytesOf("large"), LARGE);
        assert.equal(report.totals.filesVerified, 2);
        break;
      case "new_name":
        assert.deepEqual(bytesOf("large"), pattern(8, 20));
        assert.deepEqual(bytesOf(`large (${stamp})`), LARGE);
        assert.deepEqual(bytesOf(`a/plan.v2 (${stamp}).pdf`), pattern(1, 50));
        assert.equal(report.totals.filesVerified, 2);
        assert.equal(world.manifest().find((row) => row["path"] === "large")?.["blob"], `large (${stamp})`);
    }
  }
});

Deno.test("[E25] killed at any point, a new version beside an archived one is one and not two", async () => {
  for (let at = 1; ; at++) {
    const world = new World(1);
    world.source.put("file", pattern(1, 50));
    plantArchived(world, "file", pattern(8, 20), 1);
    let passed = 0;
    world.onPoint = () => {
      if (++passed === at) world.kill();
    };
    const options = { existing: "overwrite", archived: "new_name" } as const;
    let report = await world.end(world.start(options));
    const isThrough = report !== null;
    await world.clock.advance(5_000);
    report ??= await world.end(world.start(options));
    assert.equal(report?.totals.filesCompleted, 1, `killed at ${at}`);
    assert.equal(world.destination.blobs.size, 2, `killed at ${at}`);
    if (isThrough) return;
  }
});

Deno.test("[E25] without being asked, nothing archived is touched", async () => {
  const world = new World(1);
  world.source.put("file", pattern(1, 50));
  plantArchived(world, "file", pattern(8, 20), 1);
  await world.end(world.start({ archived: "replace" }));
  assert.deepEqual(failureCodes(world), { file: "destination_exists" });
});

// --- other names -------------------------------------------------------------------------------------------------

Deno.test("[E27] what the destination has another name for is moved, proved, skipped and told under that name", async () => {
  const world = new World(1);
  world.source.put("~small", pattern(1, 50));
  world.source.put("~large", LARGE);
  world.source.put("plain", pattern(2, 50));
  const first = await world.end(world.start());
  assert.equal(first?.totals.filesVerified, 3);
  assert.deepEqual([...world.destination.blobs.keys()].sort(), ["mapped/large", "mapped/small", "plain"]);
  assert.deepEqual(
    world.manifest().map((row) => [row["path"], row["blob"]]),
    [
      ["plain", "plain"],
      ["~large", "mapped/large"],
      ["~small", "mapped/small"],
    ],
  );
});

// --- locked files ------------------------------------------------------------------------------------------------

function lock(world: World, path: string, times: number): void {
  let left = times;
  world.sourceHook = ({ operation, path: opened }) => {
    if (operation !== "open" || opened !== path || left-- <= 0) return;
    throw new TransferError({ scope: "file", code: "source_locked" }, "Cannot read: locked", {
      retry: { kind: "never" },
    });
  };
}

Deno.test("[E26] (T7) a locked file is tried again at the end, and moved when it is free by then", async () => {
  for (const bytes of [pattern(1, 50), LARGE]) {
    const world = new World(1);
    world.source.put("a", pattern(2, 50));
    world.source.put("locked", bytes);
    world.source.put("z", pattern(3, 50));
    lock(world, "locked", LOCKED_ROUNDS);
    const run = world.start();
    await until(world, () => world.destination.blobs.has("z"));
    await world.clock.advance(1_000);
    assert.equal(run.progress().waiting?.reason, "locked");
    const report = await world.end(run);
    assert.equal(report?.totals.filesVerified, 3);
    assert.deepEqual(world.destination.blobs.get("locked")?.bytes, bytes);
  }
});

Deno.test("[E26] (T7) a file that stays locked fails as locked, and holds nothing else up", async () => {
  const world = new World(1);
  world.source.put("a", pattern(2, 50));
  world.source.put("locked", pattern(1, 50));
  lock(world, "locked", Infinity);
  const begunMs = world.clock.monotonic();
  const report = await world.end(world.start());
  assert.deepEqual(failureCodes(world), { locked: "source_locked" });
  assert.equal(report?.totals.filesCompleted, 1);
  assert.ok(world.clock.monotonic() - begunMs < (LOCKED_ROUNDS + 1) * LOCKED_DELAY_MS);
});

// --- the line ----------------------------------------------------------------------------------------------------

async function rateOf(world: World, run: Run, seconds: number): Promise<number> {
  const moved = () => run.progress().bytesInFlight;
  const before = moved();
  await world.clock.advance(seconds * 1_000);
  return ((moved() - before) * 8) / seconds / 1e6;
}

Deno.test("[W13] (T24) a job's own limit holds, overrides the schedule, and changes while it runs", async () => {
  const world = new World(1);
  world.source.put("large", new Uint8Array(2_000_000));
  const schedule: JobConfig["schedule"] = {
    timeZone: "UTC",
    windows: [],
    insideMbps: null,
    outsideMbps: 0.1,
  };
  const run = world.start({ bandwidthMbps: 0.4, verify: false }, world.source, { schedule });
  await world.clock.advance(1_000);
  const own = await rateOf(world, run, 4);
  assert.ok(Math.abs(own - 0.4) < 0.04, `${own} Mbps`);
  assert.deepEqual(run.progress().waiting, {
    reason: "bandwidth",
    megabitsPerSecond: 0.4,
    untilMs: null,
    message: null,
  });
  run.limitLine({ bandwidthMbps: 0.8, schedule });
  await world.clock.advance(1_000);
  const raised = await rateOf(world, run, 4);
  assert.ok(Math.abs(raised - 0.8) < 0.08, `${raised} Mbps`);
  run.limitLine({ bandwidthMbps: null, schedule: null });
  const report = await world.end(run);
  assert.equal(report?.totals.filesCompleted, 1);
  assert.equal(run.progress().waiting, null);
});

Deno.test("[W13] (T24) a schedule's edge takes effect, and the state says until when", async () => {
  const world = new World(1);
  world.source.put("large", new Uint8Array(2_000_000));
  // The world's clock begins on a Sunday at 10:00.
  const schedule: JobConfig["schedule"] = {
    timeZone: "UTC",
    windows: [{ days: ["sun"], from: "10:01", to: "12:00" }],
    insideMbps: 1,
    outsideMbps: 0.1,
  };
  const run = world.start({ verify: false }, world.source, { schedule });
  await world.clock.advance(50_000);
  const outside = await rateOf(world, run, 9);
  assert.ok(Math.abs(outside - 0.1) < 0.02, `${outside} Mbps`);
  assert.equal(run.progress().waiting?.untilMs, Date.parse("2026-11-22T10:01:00Z"));
  await world.clock.advance(3_000);
  const inside = await rateOf(world, run, 5);
  assert.ok(Math.abs(inside - 1) < 0.1, `${inside} Mbps`);
  run.cancel();
  await world.end(run);
});

Deno.test("[W13] a paused job binds nobody", async () => {
  const world = new World(1);
  world.source.put("large", new Uint8Array(100_000));
  const run = world.start({ bandwidthMbps: 0.1 });
  await world.clock.advance(1_000);
  run.pause();
  await world.clock.advance(5_000);
  assert.equal(run.progress().waiting, null);
  run.resume();
  await world.clock.advance(1_000);
  assert.equal(run.progress().waiting?.reason, "bandwidth");
  run.cancel();
  await world.end(run);
});

// --- what holds a run up -----------------------------------------------------------------------------------------

Deno.test("[E22] (T17) a full disk holds the run up, is said, costs no file, and is over when there is room", async () => {
  const world = new World(1);
  for (let index = 0; index < 60; index++) world.source.put(`f${index}`, pattern(index, 20));
  world.source.put("large", LARGE);
  world.destinationHook = async ({ operation, when }, signal) => {
    if (operation === "write_whole" && when === "before") await world.clock.sleep(300, signal);
  };
  const run = world.start();
  await until(world, () => world.destination.blobs.size > 5);
  world.diskIsFull = true;
  await world.clock.advance(600_000);
  const stuck = world.destination.blobs.size;
  assert.ok(stuck < 61, "nothing new is begun");
  assert.equal(run.progress().waiting?.reason, "disk_full");
  await world.clock.advance(3_600_000);
  assert.equal(world.destination.blobs.size, stuck);
  world.diskIsFull = false;
  const report = await world.end(run);
  assert.equal(report?.outcome, "completed");
  assert.equal(report.totals.filesVerified, 61);
  assert.equal(
    world.destination.accepted.filter(({ id }) => id === null).length,
    60,
    "nothing was sent twice",
  );
});

Deno.test("[E22] (T17) a disk that is full from the beginning holds the run up, too", async () => {
  const world = new World(1);
  world.source.put("file", pattern(1, 20));
  world.diskIsFull = true;
  const run = world.start();
  await world.clock.advance(60_000);
  assert.equal(run.progress().waiting?.reason, "disk_full");
  world.diskIsFull = false;
  assert.equal((await world.end(run))?.totals.filesVerified, 1);
});

Deno.test("[E12] (T14) a throttled run says until when, and one that gets nowhere says so", async () => {
  const world = new World(1);
  world.source.put("file", pattern(1, 20));
  let kind: "throttled" | "backoff" | null = "throttled";
  world.destinationHook = ({ operation }) => {
    if (operation !== "write_whole" || kind === null) return;
    throw new TransferError({ scope: "file", code: "destination_unreachable" }, "Cannot reach it: a test", {
      retry: { kind, afterMs: kind === "throttled" ? 90_000 : null },
    });
  };
  const run = world.start();
  await world.clock.advance(1_000);
  const { waiting } = run.progress();
  assert.equal(waiting?.reason, "throttled");
  assert.ok(Math.abs((waiting.untilMs ?? 0) - (world.clock.now() + 89_000)) < 1_500);
  kind = "backoff";
  await world.clock.advance(120_000);
  assert.equal(run.progress().waiting?.reason, "unreachable");
  kind = null;
  assert.equal((await world.end(run))?.totals.filesVerified, 1);
  assert.equal(run.progress().waiting, null);
});
