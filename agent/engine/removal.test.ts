/** Whole runs that remove their source, on a real disk and against the emulator. */
import assert from "node:assert/strict";
import { deletion } from "../../schema/job.ts";
import { Azurite } from "../connectors/fakes/azurite.ts";
import { BLOCK_BYTES, type CaseWorld, inWorld, noise } from "./case-world.ts";

const LARGE = noise(1, 3 * BLOCK_BYTES + 5);
const SMALL = noise(2, 5_000);
/** Long enough ago that no clock is too coarse for it. */
const OLD = new Date("2026-01-02T03:04:05Z");

let azurite: Azurite | null = null;
Deno.test.beforeAll(async () => {
  azurite = await Azurite.start();
});
Deno.test.afterAll(async () => {
  await azurite?.stop();
});

function fill(world: CaseWorld): void {
  for (const [path, bytes] of Object.entries({ "a/small": SMALL, "a/b/large": LARGE, top: SMALL })) {
    world.put(path, bytes);
    Deno.utimeSync(world.path(path), OLD, OLD);
  }
}

function namesIn(folder: string): readonly string[] {
  return Array.from(Deno.readDirSync(folder), ({ name }) => name).sort((a, b) => (a < b ? -1 : 1));
}

Deno.test("[R10] (T45) what is proved leaves the source for the quarantine, and the report says so", async () => {
  await inWorld(azurite, {}, async (world) => {
    fill(world);
    const report = await world.end(world.start({ deletion: deletion.parse({}) }));
    assert.equal(report.totals.filesVerified, 3);
    assert.ok(report.totals.filesReadBack >= 1, "a sample is read back, unasked");
    assert.deepEqual(report.removal, {
      files: 3,
      bytes: 2 * SMALL.length + LARGE.length,
      dryRun: false,
      filesPurged: 0,
      stays: {},
    });
    assert.equal(report.totals.filesDeleted, 3);
    assert.deepEqual(namesIn(world.source), [".migrate-quarantine"]);
    const quarantine = `${world.source}/.migrate-quarantine/job`;
    const held = namesIn(quarantine).filter((name) => /^[0-9a-f]+-\d+-\d+$/.test(name));
    assert.equal(held.length, 3);
    const sizes = held.map((name) => Deno.statSync(`${quarantine}/${name}`).size).sort((a, b) => a - b);
    assert.deepEqual(sizes, [SMALL.length, SMALL.length, LARGE.length]);
  });
});

Deno.test("[R7] without a lease nothing leaves the source until there is one again, and all is moved and proved meanwhile", async () => {
  await inWorld(azurite, {}, async (world) => {
    fill(world);
    world.hasLease = false;
    const run = world.start({ deletion: deletion.parse({}) });
    while (run.progress().totals.filesVerified < 3) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(namesIn(world.source), ["a", "top"]);
    world.hasLease = true;
    assert.equal((await world.end(run)).removal?.files, 3);
    assert.deepEqual(namesIn(world.source), [".migrate-quarantine"]);
  });
});

Deno.test("[R10] (T45) without days to wait it is gone, and what is at the destination is whole", async () => {
  await inWorld(azurite, {}, async (world) => {
    fill(world);
    const report = await world.end(world.start({ deletion: deletion.parse({ retentionDays: 0 }) }));
    assert.equal(report.removal?.filesPurged, 3);
    const held = namesIn(`${world.source}/.migrate-quarantine/job`).filter((name) => /-\d+-\d+$/.test(name));
    assert.deepEqual(held, []);
  });
});

Deno.test("[R10] (T45) where this machine does not allow it, or only asks what would be, nothing leaves", async () => {
  for (const kind of ["forbidden", "dry run"] as const) {
    await inWorld(azurite, {}, async (world) => {
      fill(world);
      world.mayRemove = kind === "dry run";
      const report = await world.end(
        world.start({ deletion: deletion.parse({ dryRun: kind === "dry run" }) }),
      );
      assert.equal(report.outcome, "completed");
      assert.equal(report.totals.filesDeleted, 0);
      assert.deepEqual(namesIn(world.source), ["a", "top"]);
      if (kind === "dry run") assert.equal(report.removal?.files, 3);
      else
        assert.equal(
          Object.values(report.removal?.stays ?? {}).reduce((sum, count) => sum + count, 0),
          3,
        );
      await world.prove(report);
    });
  }
});
