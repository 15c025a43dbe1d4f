/** What becomes of a run when its journal's disk is full, and when its process is killed at any step: on a real disk. */
import assert from "node:assert/strict";
import { Azurite } from "../connectors/fakes/azurite.ts";
import { type Database, DiskError } from "../platform.ts";
import {
  BLOCK_BYTES,
  type CaseWorld,
  type Death,
  inWorld,
  mayMount,
  mountMemory,
  noise,
  pause,
  runUntilDeath,
  type Setting,
  until,
} from "./case-world.ts";

const LARGE = noise(1, 3 * BLOCK_BYTES + 5);
const LARGE_BLOCKS = 4;
const STREAMS = 3;
/** A full disk is looked at again every five seconds of the engine's. */
const QUICK = 10;

let azurite: Azurite | null = null;
Deno.test.beforeAll(async () => {
  azurite = await Azurite.start();
});
Deno.test.afterAll(async () => {
  await azurite?.stop();
});

// --- T17: no room ------------------------------------------------------------------------------------------------------

/** A database that finds its disk full while `isFull` says so. */
function fillable(isFull: () => boolean): NonNullable<Setting["openDatabase"]> {
  return (open) => (path, options) => {
    if (isFull()) throw new DiskError("no_space", "Cannot open the database: the disk is full");
    const database = open(path, options);
    return {
      ...database,
      execute: (sql) => {
        if (sql === "COMMIT" && isFull())
          throw new DiskError("no_space", "Cannot write the database: the disk is full");
        database.execute(sql);
      },
    } satisfies Database;
  };
}

async function fillsUp(world: CaseWorld, disk: { fill: () => void; free: () => void }): Promise<void> {
  const files = 150;
  for (let index = 0; index < files; index++) world.put(`many/${index}`, noise(index, 20_000));
  world.put("large", LARGE);
  // Slow enough that there is a middle.
  world.server.arm({
    match: { operation: "put_blob" },
    times: Infinity,
    fault: { kind: "latency", delayMs: 20 },
  });
  const run = world.start();
  await until(() => world.server.accepted().size > 10, "it has begun");
  disk.fill();
  await until(() => run.progress().waiting?.reason === "disk_full", "it is said");
  await pause(300);
  const stuck = world.server.seen.length;
  await pause(1_000);
  assert.ok(world.server.seen.length <= stuck + STREAMS, "nothing new is begun");
  assert.equal(run.progress().phase, "running");
  disk.free();
  const report = await world.end(run);
  await world.prove(report);
  assert.equal(report.totals.filesVerified, files + 1);
  const repeated = [...world.server.accepted().values()].filter((count) => count > 1);
  assert.deepEqual(repeated, [], "nothing was sent twice");
}

Deno.test("[E22] (T17) a journal that finds no room stops what is new, says so, and goes on without loss when there is", async () => {
  let isFull = false;
  const setting = { speed: QUICK, openDatabase: fillable(() => isFull) };
  await inWorld(azurite, setting, (world) =>
    fillsUp(world, { fill: () => (isFull = true), free: () => (isFull = false) }),
  );
});

Deno.test("[E22] (T17) a run that finds no room for a journal at its start waits for it", async () => {
  let isFull = true;
  await inWorld(azurite, { speed: QUICK, openDatabase: fillable(() => isFull) }, async (world) => {
    world.put("large", LARGE);
    const run = world.start();
    await until(() => run.progress().waiting?.reason === "disk_full", "it is said");
    assert.deepEqual(world.server.seen, []);
    isFull = false;
    const report = await world.end(run);
    await world.prove(report);
    assert.equal(report.totals.filesVerified, 1);
  });
});

const MAY_MOUNT = await mayMount();

Deno.test({
  name: "[E22] (T17) the same on a disk that is really full (needs the right to mount)",
  ignore: !MAY_MOUNT,
  fn: () =>
    inWorld(azurite, { speed: QUICK }, async (world) => {
      world.stateFolder = `${world.folder}/state`;
      Deno.mkdirSync(world.stateFolder);
      const unmount = await mountMemory(world.stateFolder, "16m");
      const ballast = `${world.stateFolder}/ballast`;
      try {
        await fillsUp(world, { fill: () => fillDisk(ballast), free: () => Deno.removeSync(ballast) });
      } finally {
        await unmount?.();
      }
    }),
});

function fillDisk(path: string): void {
  const file = Deno.openSync(path, { write: true, create: true });
  const piece = new Uint8Array(4_096);
  try {
    for (;;) file.writeSync(piece);
  } catch {
    // It is full.
  } finally {
    file.close();
  }
}

// --- T18: killed ---------------------------------------------------------------------------------------------------------

/** How many processes die at a time. */
const AT_ONCE = 2;
/** Of each kind; a run with fewer points would prove little. */
const DEATHS_MIN = 6;

for (const at of ["commit", "request"] as const) {
  for (const when of ["before", "after"] as const) {
    Deno.test(`[E2] (T18) killed with -9 ${when} any ${at}, a run goes on: nothing lost, nothing counted twice, no finished file sent again`, async () => {
      let next = 1;
      let isThrough = false;
      let deaths = 0;
      const diesInTurn = async () => {
        while (!isThrough) {
          const death: Death = { at, when, number: next++ };
          if (await diesAndGoesOn(death)) isThrough = true;
          else deaths++;
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, diesInTurn));
      assert.ok(deaths >= DEATHS_MIN, `only ${deaths} deaths`);
    });
  }
}

/** True when the run got to its end before it came to its death. */
async function diesAndGoesOn(death: Death): Promise<boolean> {
  const name = `killed ${death.when} ${death.at} ${death.number}`;
  let passed: number | null = null;
  await inWorld(azurite, {}, async (world) => {
    for (const [index, path] of ["a", "b/c", "z"].entries()) world.put(path, noise(index, 3_000));
    world.put("empty", new Uint8Array());
    world.put("large", LARGE);
    passed = await runUntilDeath(world, death);
    const before = world.server.seen.length;
    // What was on its way when its sender died may still arrive.
    const report = await world.end(world.start());
    try {
      await world.prove(report);
      assert.equal(report.totals.filesVerified, 5);
      const accepted = world.server.accepted();
      const again = [...accepted].filter(([, count]) => count > 1).map(([key]) => key);
      assert.ok(
        again.every((key) => key.startsWith("large ")),
        again.join(),
      );
      assert.ok(again.length <= STREAMS, `${again.length} blocks were sent again`);
      assert.equal([...accepted.keys()].filter((key) => key.startsWith("large ")).length, LARGE_BLOCKS);
      if (passed !== null)
        assert.equal(world.server.seen.length, before, "a run that ended asks for nothing");
    } catch (error) {
      throw new Error(name, { cause: error });
    }
  });
  return passed !== null;
}
