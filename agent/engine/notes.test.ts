/** What a person is told of a job besides its totals: the preview when the scan is over, and the notes of the report. */
import assert from "node:assert/strict";
import {
  type JobPreview,
  type JobReport,
  jobReport,
  NO_FILTERS,
  type TransferOptions,
} from "../../schema/job.ts";
import { jobEvent } from "../../schema/protocol.ts";
import type { RunEvent } from "./run.ts";
import { digest, pattern, World } from "./world.ts";

const NOTHING: JobPreview = {
  files: 0,
  bytes: 0,
  mapped: 0,
  filtered: 0,
  links: 0,
  special: 0,
  refused: 0,
  tooLarge: 0,
  unreadable: 0,
};
const DAY_MS = 86_400_000;

function previewsOf(
  told: readonly RunEvent[],
): (readonly [phase: string, preview: JobPreview | undefined])[] {
  return told.flatMap((event) => (event.kind === "phase" ? [[event.phase, event.preview] as const] : []));
}

function notesOf(report: JobReport | null): Record<string, number | undefined> {
  assert.ok(report !== null);
  // As the control plane reads it.
  const { notes } = jobReport.parse(JSON.parse(JSON.stringify(report)));
  return Object.fromEntries((notes ?? []).map(({ code, count }) => [code, count]));
}

function plant(world: World, path: string, facts: { tier: "Cool" | "Archive"; feeUntilMs: number }): void {
  const bytes = pattern(8, 20);
  const metadata = { sha256: digest("sha256", bytes).toHex(), modifiedMs: 1, contentType: "" };
  world.destination.plant(path, bytes, { ...metadata, tier: facts.tier }, { feeUntilMs: facts.feeUntilMs });
}

// --- preview -----------------------------------------------------------------------------------------------------

/** One of each thing that a scan meets, and more files than fit into a page. */
function fillWithAll(world: World): JobPreview {
  for (let index = 0; index < 20; index++) world.source.put(`f${index}`, pattern(index, 10));
  for (let index = 0; index < 5; index++) world.source.put(`left out/${index}`, pattern(index, 100));
  world.source.put("~mapped", pattern(1, 7));
  world.source.put("~left out", pattern(1, 7));
  world.source.put("refused\u0001", pattern(1, 3));
  world.source.putOther({ kind: "skipped", path: "link", code: "link" });
  world.source.putOther({ kind: "skipped", path: "pipe", code: "special" });
  world.source.putOther({ kind: "skipped", path: "socket", code: "special" });
  world.source.putOther({
    kind: "failed",
    path: "closed",
    code: "source_denied",
    message: "Cannot list it",
    sizeBytes: 0,
  });
  return {
    ...NOTHING,
    files: 21,
    bytes: 207,
    mapped: 1,
    filtered: 6,
    links: 1,
    special: 2,
    refused: 1,
    unreadable: 1,
  };
}

const LEAVES_OUT: Partial<TransferOptions> = {
  filters: { ...NO_FILTERS, exclude: ["left out/", "~left out"] },
};

Deno.test("[E28] when the scan is over, and before a byte moves, the run says what it is going to do", async () => {
  const world = new World(1);
  const expected = fillWithAll(world);
  let writes = 0;
  let writesBefore: number | null = null;
  world.destinationHook = ({ operation, when }) => {
    if (operation !== "write_whole" || when !== "before") return;
    writesBefore ??= world.told.filter(
      (event) => event.kind === "phase" && event.preview !== undefined,
    ).length;
    writes++;
  };
  const report = await world.end(world.start(LEAVES_OUT));
  assert.deepEqual(previewsOf(world.told), [
    ["scanning", undefined],
    ["ready", expected],
    ["running", expected],
  ]);
  assert.equal(writesBefore, 2);
  assert.equal(writes, expected.files);
  assert.equal(report?.totals.filesTotal, 32);
  assert.deepEqual(notesOf(report), { names_mapped: 1 });
  for (const event of world.told) {
    const at = new Date(world.clock.now()).toISOString();
    const message = {
      type: "event",
      eventSeq: 1,
      jobId: "job_01kaqt5n8v3m9w2x7c4d6e8f0g",
      epoch: 1,
      at,
      event,
    };
    assert.deepEqual(jobEvent.parse(message).event, event, "the protocol carries it whole");
  }
});

Deno.test("[E28] killed at any point, every preview that is told is the same, whatever became of the files", async () => {
  for (let at = 1; ; at++) {
    const world = new World(1);
    const expected = fillWithAll(world);
    let passed = 0;
    world.onPoint = () => {
      if (++passed === at) world.kill();
    };
    let report = await world.end(world.start(LEAVES_OUT));
    const isThrough = report !== null;
    if (report === null) {
      // What has grown since the scan does not change what the scan said.
      if (world.told.some((event) => event.kind === "phase" && event.phase === "ready"))
        world.source.put("f19", pattern(3, 900));
      report = await world.end(world.start(LEAVES_OUT));
    }
    assert.equal(report?.outcome, "completed", `killed at ${at}`);
    const told = previewsOf(world.told).flatMap(([, preview]) => (preview === undefined ? [] : [preview]));
    assert.ok(told.length >= 1, `killed at ${at}`);
    for (const preview of told) assert.deepEqual(preview, expected, `killed at ${at}`);
    assert.deepEqual(notesOf(report), { names_mapped: 1 }, `killed at ${at}`);
    if (isThrough) return;
  }
});

Deno.test("[E28] each pass of a sync has its own: what it moves, and what every pass leaves out", async () => {
  const world = new World(1);
  const first = fillWithAll(world);
  const options = { ...LEAVES_OUT, repetition: { everyMinutes: 60, vanished: "keep" as const } };
  const run = world.start(options);
  await waitForPass(world, () => run.progress().waiting?.reason === "next_pass");
  world.source.put("new", pattern(4, 40));
  const dueMs = run.progress().waiting?.untilMs;
  await waitForPass(
    world,
    () => run.progress().waiting?.reason === "next_pass" && run.progress().waiting?.untilMs !== dueMs,
  );
  run.finish();
  const report = await world.end(run);
  const ready = previewsOf(world.told).flatMap(([phase, preview]) => (phase === "ready" ? [preview] : []));
  // What has another name is looked at in every pass.
  assert.deepEqual(ready, [first, { ...first, files: 2, bytes: 47 }]);
  assert.deepEqual(notesOf(report), { names_mapped: 1 });
});

async function waitForPass(world: World, holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    assert.ok(turns < 1_000, "the pass never ends");
    await world.clock.advance(60_000);
  }
}

// --- notes -------------------------------------------------------------------------------------------------------

Deno.test("[E29] filters that leave nothing of a source with files complete the job, and the report says so", async () => {
  const nothingMatches = { filters: { ...NO_FILTERS, include: ["*.pdf"] } };
  const world = new World(1);
  for (const path of ["a", "b", "c"]) world.source.put(path, pattern(1, 10));
  world.source.putOther({ kind: "skipped", path: "link", code: "link" });
  const report = await world.end(world.start(nothingMatches));
  assert.equal(report?.outcome, "completed");
  assert.equal(report.error, null);
  assert.equal(report.totals.filesCompleted, 0);
  assert.deepEqual(notesOf(report), { filters_match_nothing: 3 });

  const matching = new World(1);
  for (const path of ["a", "b.pdf"]) matching.source.put(path, pattern(1, 10));
  assert.deepEqual(notesOf(await matching.end(matching.start(nothingMatches))), {});

  // One that was wanted, but cannot be stored, is not nothing.
  const refused = new World(1);
  for (const path of ["a", "\u0001.pdf"]) refused.source.put(path, pattern(1, 10));
  assert.deepEqual(notesOf(await refused.end(refused.start(nothingMatches))), {});
});

Deno.test("[E29] a source without files completes the job, and the report says so, also beside filters", async () => {
  for (const filters of [NO_FILTERS, { ...NO_FILTERS, include: ["*.pdf"] }]) {
    const world = new World(1);
    const report = await world.end(world.start({ filters }));
    assert.equal(report?.outcome, "completed");
    assert.deepEqual(report.notes, [{ code: "source_empty" }]);
  }
});

Deno.test("[E29] a run that ended before its scan did says nothing of what the source holds", async () => {
  const world = new World(1);
  world.source.put("a", pattern(1, 10));
  world.sourceHook = ({ operation }, signal) =>
    operation === "list" ? world.clock.sleep(3_600_000, signal) : undefined;
  const run = world.start();
  await world.clock.advance(1_000);
  run.cancel();
  const report = await world.end(run);
  assert.equal(report?.outcome, "cancelled");
  assert.deepEqual(report.notes, []);
});

Deno.test("[E29] what lies in the Archive tier is counted as left, or as replaced, as the job says", async () => {
  for (const [archived, expected] of [
    ["skip", { archived_left: 2 }],
    ["replace", { archived_replaced: 2, early_deletion: 1 }],
    ["new_name", {}],
  ] as const) {
    const world = new World(1);
    for (const path of ["a", "b", "c"]) world.source.put(path, pattern(1, 50), 5_000);
    plant(world, "a", { tier: "Archive", feeUntilMs: world.clock.now() + DAY_MS });
    plant(world, "b", { tier: "Archive", feeUntilMs: world.clock.now() - DAY_MS });
    const report = await world.end(world.start({ existing: "overwrite", archived }));
    assert.equal(report?.totals.filesFailed, 0);
    assert.deepEqual(notesOf(report), expected, archived);
  }
});

Deno.test("[E29] killed at any point, archived blobs that were replaced are counted once, and fees never twice", async () => {
  let feesMissed = 0;
  for (let at = 1; ; at++) {
    const world = new World(1);
    for (const path of ["a", "b"]) world.source.put(path, pattern(1, 50), 5_000);
    plant(world, "a", { tier: "Archive", feeUntilMs: world.clock.now() + DAY_MS });
    plant(world, "b", { tier: "Cool", feeUntilMs: world.clock.now() + DAY_MS });
    let passed = 0;
    world.onPoint = () => {
      if (++passed === at) world.kill();
    };
    const options = { existing: "overwrite", archived: "replace" } as const;
    let report = await world.end(world.start(options));
    const isThrough = report !== null;
    report ??= await world.end(world.start(options));
    assert.equal(report?.totals.filesCompleted, 2, `killed at ${at}`);
    const { archived_replaced: replaced, early_deletion: fees = 0 } = notesOf(report);
    assert.equal(replaced, 1, `killed at ${at}`);
    assert.ok(fees <= 2, `killed at ${at}: ${fees}`);
    feesMissed += 2 - fees;
    if (isThrough) {
      assert.equal(fees, 2);
      assert.ok(feesMissed > 0, "some were killed between the service's answer and the journal");
      return;
    }
  }
});

Deno.test("[E29] fees that were counted before a restart are in the report", async () => {
  const world = new World(1);
  for (let index = 0; index < 40; index++) {
    const path = `f${String(index).padStart(2, "0")}`;
    world.source.put(path, pattern(1, 50), 5_000);
    plant(world, path, {
      tier: "Cool",
      feeUntilMs: world.clock.now() + (index % 2 === 0 ? DAY_MS : -DAY_MS),
    });
  }
  world.destinationHook = async ({ operation, when }, signal) => {
    if (operation === "write_whole" && when === "before") await world.clock.sleep(500, signal);
  };
  const run = world.start({ existing: "overwrite" });
  await waitForSome(world, () => run.progress().totals.filesCompleted >= 10);
  await run.suspend();
  const report = await world.end(world.start({ existing: "overwrite" }));
  assert.equal(report?.totals.filesVerified, 40);
  assert.deepEqual(notesOf(report), { early_deletion: 20 });
});

async function waitForSome(world: World, holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    assert.ok(turns < 10_000, "it never came");
    await world.clock.advance(20);
  }
}

Deno.test("[E29] what a sync removes because its source is gone counts as well, and what it left is counted once", async () => {
  const world = new World(1);
  for (const path of ["stays", "archived"]) world.source.put(path, pattern(1, 50), 5_000);
  plant(world, "gone", { tier: "Cool", feeUntilMs: world.clock.now() + DAY_MS });
  plant(world, "long gone", { tier: "Cool", feeUntilMs: world.clock.now() });
  plant(world, "archived", { tier: "Archive", feeUntilMs: world.clock.now() + DAY_MS });
  const run = world.start({ repetition: { everyMinutes: 60, vanished: "remove" } });
  for (let pass = 0; pass < 3; pass++) {
    const dueMs = run.progress().waiting?.untilMs;
    await waitForPass(
      world,
      () => run.progress().waiting?.reason === "next_pass" && run.progress().waiting?.untilMs !== dueMs,
    );
  }
  run.finish();
  const report = await world.end(run);
  assert.deepEqual([...world.destination.blobs.keys()].sort(), ["archived", "stays"]);
  assert.deepEqual(notesOf(report), { archived_left: 1, early_deletion: 1, vanished_removed: 2 });
});
