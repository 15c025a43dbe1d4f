/** What a real folder does to a run: cases of sources that change, vanish, deny, or have names that cost others data. */
import assert from "node:assert/strict";
import { transferOptions } from "../../schema/job.ts";
import { AzureBlobDestination } from "../connectors/azure-blob.ts";
import { SOURCE_TAG_LENGTH_MAX, sourcePath } from "../connectors/blob-name.ts";
import { Azurite } from "../connectors/fakes/azurite.ts";
import { LocalSource } from "../connectors/local.ts";
import { denoPlatform } from "../platform-deno.ts";
import { type Disk, DiskError } from "../platform.ts";
import {
  afterRead,
  type Asked,
  BLOCK_BYTES,
  CaseWorld,
  configOf,
  inWorld,
  mayMount,
  MEBIBYTE,
  mountMemory,
  noise,
  pause,
  type Setting,
  sha256,
  until,
} from "./case-world.ts";
import { MEMORY_BYTES_MAX } from "./memory-budget.ts";
import { blockCount, makePlan } from "./plan.ts";
import type { RunEvent } from "./run.ts";

const LARGE = noise(1, 3 * BLOCK_BYTES + 5);
const SMALL = noise(2, 5_000);
const SIGNAL = new AbortController().signal;
/** Makes the waits for a file that changes, or that is locked, short. */
const QUICK = 20;
/** What was written to since then is looked at closely. */
const FRESH_MS = 3_100;

let azurite: Azurite | null = null;
Deno.test.beforeAll(async () => {
  azurite = await Azurite.start();
});
Deno.test.afterAll(async () => {
  await azurite?.stop();
});

/** Runs all at once, each in a world of its own. */
async function each<Variant>(
  variants: readonly Variant[],
  settingOf: (variant: Variant, world: () => CaseWorld) => Setting,
  test: (world: CaseWorld, variant: Variant) => Promise<void>,
): Promise<void> {
  await Promise.all(
    variants.map(async (variant) => {
      let opened: CaseWorld | null = null;
      const world = () => opened as CaseWorld;
      await inWorld(azurite, settingOf(variant, world), async (created) => {
        opened = created;
        await test(created, variant);
      });
    }),
  );
}

// --- T1, T2: what changes -------------------------------------------------------------------------------------------

const CHANGES = {
  grow: (bytes: Uint8Array) => joined(bytes, noise(7, 70_000)),
  shrink: (bytes: Uint8Array) => bytes.slice(0, bytes.length - 900),
  rewrite: (bytes: Uint8Array) => noise(8, bytes.length),
} as const;

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

Deno.test("[E8] (T1) a file that changes once while it is read arrives as it is afterwards, and never mixed", async () => {
  const variants = (["grow", "shrink", "rewrite"] as const).flatMap((change) =>
    (
      [
        ["large", LARGE],
        ["small", SMALL],
      ] as const
    ).map(([path, bytes]) => ({ change, path, bytes })),
  );
  await each(
    variants,
    ({ path, change, bytes }, world) => {
      let left = 1;
      const act = () => {
        if (left-- > 0) world().put(path, CHANGES[change](bytes));
      };
      return { speed: QUICK, disk: afterRead(path, act) };
    },
    async (world, { path, bytes, change }) => {
      world.put(path, bytes);
      world.put("other", SMALL);
      const report = await world.run();
      const name = `${path} ${change}`;
      assert.equal(report.totals.filesVerified, 2, name);
      assert.equal(sha256(Deno.readFileSync(world.path(path))), sha256(CHANGES[change](bytes)), name);
    },
  );
});

Deno.test("[E8] (T1) a file that never stops changing fails as changing, and nothing of it is at the destination", async () => {
  const variants = [
    ["large", LARGE],
    ["small", SMALL],
  ] as const;
  await each(
    variants,
    ([path, bytes], world) => {
      let times = 0;
      return { speed: QUICK, disk: afterRead(path, () => world().put(path, noise(times++, bytes.length))) };
    },
    async (world, [path, bytes]) => {
      world.put(path, bytes);
      world.put("other", SMALL);
      const report = await world.run();
      assert.deepEqual(world.failures(), { [path]: "source_changing" });
      assert.deepEqual([...(await world.blobs()).keys()], ["other"]);
      assert.equal(report.outcome, "completed");
    },
  );
});

Deno.test("[E8] (T1) a file that changed between scan and read arrives as it is now, small, large, or grown past one request", async () => {
  await inWorld(azurite, {}, async (world) => {
    const now = {
      grown: LARGE,
      shrunken: SMALL.slice(0, 10),
      large: noise(9, LARGE.length),
      gone: SMALL.slice(0, 0),
    };
    for (const path of ["grown", "shrunken", "gone"]) world.put(path, SMALL);
    world.put("large", LARGE);
    atScanEnd(world, () => {
      for (const [path, bytes] of Object.entries(now)) world.put(path, bytes);
    });
    const report = await world.run();
    assert.equal(report.totals.filesVerified, 4);
    for (const [path, bytes] of Object.entries(now))
      assert.equal((await world.blobs()).get(path)?.sha256, sha256(bytes), path);
  });
});

Deno.test("[E8] (T1) files that are written to all the while a job reads them arrive in one state or fail, and never mixed", async () => {
  const files = Array.from({ length: 60 }, (_, index) => `file ${index}`);
  const sizeBytes = 120_000;
  const large = 2 * BLOCK_BYTES;
  await inWorld(azurite, { speed: QUICK }, async (world) => {
    for (const path of files) world.put(path, new Uint8Array(sizeBytes));
    world.put("large", new Uint8Array(large));
    // Old enough to be read before their turn, by the thread beside this one.
    await pause(FRESH_MS);
    let fill = 0;
    const opened = [...files, "large"].map((path) => Deno.openSync(world.path(path), { write: true }));
    const write = () => {
      fill = (fill + 1) & 0xff;
      for (const [index, file] of opened.entries()) {
        if ((index + fill) % 3 !== 0) continue;
        file.seekSync(0, Deno.SeekMode.Start);
        file.writeSync(new Uint8Array(index < files.length ? sizeBytes : large).fill(fill));
      }
    };
    const writing = setInterval(write, 1);
    const run = world.start();
    await pause(1_000);
    clearInterval(writing);
    for (const file of opened) file.close();
    const report = await world.end(run);
    const failures = new Set(Object.values(world.failures()));
    assert.deepEqual(
      failures.size === 0 ? [] : [...failures],
      failures.size === 0 ? [] : ["source_changing"],
    );
    await world.prove(report, { changed: [...files, "large"] });
    for (const [name, { bytes }] of await world.blobs())
      assert.ok(bytes?.every((byte) => byte === bytes[0]) ?? false, `${name} is mixed`);
  });
});

function atScanEnd(world: CaseWorld, act: () => void): void {
  const push = world.told.push.bind(world.told);
  world.told.push = (...events: RunEvent[]) => {
    if (events.some((event) => event.kind === "phase" && event.phase === "ready")) act();
    return push(...events);
  };
}

Deno.test("[E17] (T2) files and folders that vanish between scan and read are counted as vanished, and nothing else is touched", async () => {
  await inWorld(azurite, {}, async (world) => {
    for (const path of ["a", "folder/b", "folder/c", "z"]) world.put(path, SMALL);
    for (const path of ["large", "large-stays"]) world.put(path, LARGE);
    atScanEnd(world, () => {
      for (const path of ["a", "folder", "large"]) Deno.removeSync(world.path(path), { recursive: true });
    });
    const report = await world.run();
    assert.deepEqual(world.failures(), {
      a: "source_vanished",
      "folder/b": "source_vanished",
      "folder/c": "source_vanished",
      large: "source_vanished",
    });
    assert.equal(report.outcome, "completed");
    assert.equal(report.totals.filesVerified, 2);
  });
});

Deno.test("[E18] (T2) a whole source that goes away, before the first file or in the middle, fails the job, and not each of its files", async () => {
  await each(
    ["first", "middle"] as const,
    (when, world) => {
      let puts = 0;
      const goAway = ({ method }: Asked) => {
        if (when === "middle" && method === "PUT" && ++puts === 20)
          Deno.renameSync(world().source, `${world().source}-away`);
      };
      return { onSend: goAway };
    },
    async (world, when) => {
      for (let index = 0; index < 400; index++) world.put(`f${index}`, SMALL);
      if (when === "first") atScanEnd(world, () => Deno.renameSync(world.source, `${world.source}-away`));
      const changed = Array.from({ length: 400 }, (_, index) => `f${index}`);
      const report = await world.run({}, { outcome: "failed", changed, planted: changed });
      assert.equal(report.error?.code, "SOURCE_NOT_FOUND");
      assert.equal(report.totals.filesFailed, 0);
    },
  );
});

// --- T3, T4, T9, T10: names -----------------------------------------------------------------------------------------

/** As long as the file system takes a name. */
const LONGEST = 255;

Deno.test("[E27] (T3) paths far beyond 260 characters, and names as long as the disk takes them, arrive", async () => {
  await inWorld(azurite, {}, async (world) => {
    const folder = `${"f".repeat(100)}/${"g".repeat(100)}`;
    world.put(`${folder}/${"n".repeat(LONGEST)}`, SMALL);
    world.put(`${folder}/${"n".repeat(LONGEST - 4)}.txt`, noise(3, 100));
    world.put(`${folder}/${"ü".repeat(127)}`, noise(4, 100));
    world.put(`large/${folder}`, LARGE);
    world.put("ends with dot.", noise(5, 10));
    world.put("ends with space ", noise(6, 10));
    world.put("folder./folder /file. ", noise(7, 10));
    // Deeper than a blob's name may be long, and nearly as deep as a path can be said at once.
    const deep = Array.from({ length: 14 }, (_, index) => String(index).repeat(250).slice(0, 250)).join("/");
    world.put(`${deep}/one.txt`, noise(8, 10));
    world.put(`${deep}/two.txt`, noise(9, 10));
    const report = await world.run();
    assert.equal(report.totals.filesVerified, 9);
    const long = world.manifest().filter((row) => row.path.startsWith(deep));
    for (const { blob } of long) assert.match(blob ?? "", /~h[0-9A-F]{32}\.txt$/);
    await againSkipsAll(world, 9);
  });
});

/** Another job over the same source and the same container finds everything there. */
async function againSkipsAll(world: CaseWorld, count: number): Promise<void> {
  const before = new Map(world.server.accepted());
  world.epoch = 2;
  const report = await world.run();
  const { filesSkipped, filesTotal, bytesSent } = report.totals;
  assert.deepEqual([filesSkipped, filesTotal, bytesSent], [count, count, 0]);
  assert.deepEqual(world.server.accepted(), before, "nothing was sent");
}

Deno.test("[O2] (T3) what lies deeper than the system can name is one failure, and its siblings go on", async () => {
  await inWorld(azurite, {}, async (world) => {
    world.put("a", SMALL);
    world.put("z", SMALL);
    // Made of two halves, because no path may be said that is so long.
    const half = Array.from({ length: 10 }, () => "d".repeat(250)).join("/");
    Deno.mkdirSync(world.path(half), { recursive: true });
    Deno.mkdirSync(`${world.folder}/${half}`, { recursive: true });
    Deno.writeFileSync(`${world.folder}/${half}/file`, new Uint8Array(1));
    Deno.renameSync(`${world.folder}/${half.slice(0, 250)}`, world.path(`${half}/deeper`));
    try {
      const report = await world.run();
      assert.equal(report.outcome, "completed");
      assert.deepEqual(Object.values(world.failures()), ["source_unreadable"]);
      assert.equal(report.totals.filesVerified, 2);
    } finally {
      await new Deno.Command("rm", { args: ["-rf", world.source] }).output();
      Deno.mkdirSync(world.source);
    }
  });
});

Deno.test("[E27] (T4) names that the service cannot hold are mapped, named in the manifest, told apart, and known again", async () => {
  await inWorld(azurite, {}, async (world) => {
    const mapped = [
      "back\\slash",
      "control\u0001\u001f\u007f\u0085",
      "dot.",
      "folder./file",
      "private\ue000\uf8ff",
      "specials\ufff9\ufffe",
      // What such a name would become is taken already.
      "back~u005Cslash",
      "..\\up",
    ];
    const plain = [
      "back/slash",
      "colon: star* ~$ CON aux.txt",
      "percent%5C",
      "quest?ion#hash&amp;<>\"'",
      "_vti_x",
      "new\u00a0space",
      "a~b",
    ];
    for (const [index, path] of [...mapped, ...plain].entries()) world.put(path, noise(index, 100 + index));
    world.put("large\\file.", LARGE);
    const count = mapped.length + plain.length + 1;
    const report = await world.run({ readbackPercent: 100 });
    assert.equal(report.totals.filesVerified, count);
    const blobs = await world.blobs();
    assert.equal(blobs.size, count, "no two in one blob");
    for (const { path, blob } of world.manifest()) {
      assert.equal(blob === path, plain.includes(path), path);
      assert.equal(sourcePath("", blob ?? ""), path);
    }
    await againSkipsAll(world, count);
  });
});

Deno.test("[E27] (T4) beyond 254 segments and 1,024 characters a name is cut, and two such names stay two", async () => {
  await inWorld(azurite, {}, async (world) => {
    const many = Array.from({ length: 300 }, () => "s").join("/");
    for (const end of ["/a.txt", "/b.txt"]) world.put(many + end, noise(end.charCodeAt(1), 50));
    const report = await world.run();
    assert.equal(report.totals.filesVerified, 2);
    const names = [...(await world.blobs()).keys()];
    assert.equal(new Set(names).size, 2);
    for (const name of names) assert.ok(name.length <= 1_024 && name.split("/").length <= 254);
    assert.ok(many.length < SOURCE_TAG_LENGTH_MAX);
    await againSkipsAll(world, 2);
  });
});

Deno.test("[E1] (T9) names that differ in case only arrive apart, files and folders, small and large", async () => {
  await inWorld(azurite, {}, async (world) => {
    const paths = [
      "A.txt",
      "a.txt",
      "a.TXT",
      "Folder/x",
      "folder/x",
      "FOLDER/X",
      "straße",
      "STRASSE",
      "İ",
      "i",
      "ı",
    ];
    for (const [index, path] of paths.entries()) world.put(path, noise(index, 200));
    for (const [index, path] of ["Large", "large"].entries())
      world.put(path, noise(20 + index, LARGE.length));
    const report = await world.run();
    assert.equal(report.totals.filesVerified, 13);
    assert.deepEqual(new Set((await world.blobs()).keys()), new Set([...paths, "Large", "large"]));
    await againSkipsAll(world, 13);
  });
});

Deno.test("[E1] (T10) composed and decomposed twins, emoji and other planes arrive apart and keep their bytes", async () => {
  await inWorld(azurite, {}, async (world) => {
    const paths = [
      "caf\u00e9",
      "cafe\u0301",
      "\u212b",
      "\u00c5",
      "A\u030a",
      "\u{1f600}.txt",
      "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}",
      "\u{20000}",
      "\uff21",
      "\ufb01",
      "fi",
    ];
    // More than are asked about one by one, so that the listings are walked side by side over them.
    for (let index = 0; index < 110; index++) paths.push(`\u{1f600}${index}`, `\uff21${index}`);
    for (const [index, path] of paths.entries()) world.put(path, noise(index, 100));
    const report = await world.run();
    assert.equal(report.totals.filesVerified, paths.length);
    assert.deepEqual(new Set((await world.blobs()).keys()), new Set(paths));
    await againSkipsAll(world, paths.length);
  });
});

Deno.test("[O2] (T10) a name that is no Unicode fails as such, and the good ones beside it arrive", async () => {
  await inWorld(azurite, {}, async (world) => {
    world.put("good", SMALL);
    const script =
      'printf 1 > "$(printf "bad\\377name")"; mkdir "$(printf "folder\\376")"; printf 2 > "$(printf "folder\\376")/in"';
    await new Deno.Command("sh", { args: ["-c", script], cwd: world.source }).output();
    const report = await world.run();
    assert.deepEqual(world.failures(), { "bad\ufffdname": "name_refused", "folder\ufffd": "name_refused" });
    assert.equal(report.totals.filesVerified, 1);
  });
});

Deno.test("[E17] (T10) two names that are no Unicode, and a good one that looks like them, are three entries", async () => {
  await inWorld(azurite, {}, async (world) => {
    world.put("bad\ufffd", SMALL);
    const script = 'printf 1 > "$(printf "bad\\377")"; printf 2 > "$(printf "bad\\376")"';
    await new Deno.Command("sh", { args: ["-c", script], cwd: world.source }).output();
    const report = await world.run();
    assert.deepEqual([report.totals.filesTotal, report.totals.filesFailed], [3, 2]);
  });
});

// --- T5, T6, T7: what is not to be read ------------------------------------------------------------------------------

Deno.test("[O1] (T5) links in a circle, to the outside, and to nowhere are listed as skipped and never followed", async () => {
  await inWorld(azurite, {}, async (world) => {
    Deno.mkdirSync(`${world.folder}/outside`);
    Deno.writeTextFileSync(`${world.folder}/outside/secret`, "secret");
    world.put("a/file", SMALL);
    world.put("large", LARGE);
    Deno.symlinkSync("..", world.path("a/up"));
    Deno.symlinkSync("self", world.path("self"));
    Deno.symlinkSync("nowhere", world.path("dangling"));
    Deno.symlinkSync(`${world.folder}/outside`, world.path("outside"));
    Deno.symlinkSync(`${world.folder}/outside/secret`, world.path("secret"));
    Deno.symlinkSync("a/file", world.path("inside"));
    const report = await world.run();
    const links = ["a/up", "dangling", "inside", "outside", "secret", "self"];
    const expected = Object.fromEntries(links.map((path) => [path, "link"]));
    assert.deepEqual(world.outcomes(), { ...expected, "a/file": "completed", large: "completed" });
    assert.equal(report.totals.filesSkipped, links.length);
    assert.deepEqual(new Set((await world.blobs()).keys()), new Set(["a/file", "large"]));
  });
});

Deno.test("[O1] (T5) what becomes a link to the outside after the scan is not followed either", async () => {
  await inWorld(azurite, {}, async (world) => {
    Deno.mkdirSync(`${world.folder}/outside`);
    for (const name of ["b", "large"])
      Deno.writeFileSync(`${world.folder}/outside/${name}`, noise(6, LARGE.length));
    world.put("a", SMALL);
    world.put("folder/b", SMALL);
    world.put("folder/large", LARGE);
    atScanEnd(world, () => {
      Deno.removeSync(world.path("a"));
      Deno.symlinkSync(`${world.folder}/outside/b`, world.path("a"));
      Deno.removeSync(world.path("folder"), { recursive: true });
      Deno.symlinkSync(`${world.folder}/outside`, world.path("folder"));
    });
    await world.run();
    assert.equal((await world.blobs()).size, 0);
    assert.deepEqual(new Set(Object.values(world.failures())), new Set(["source_vanished"]));
  });
});

Deno.test("[O1] (T5) a root that is a link is the folder it leads to", async () => {
  await inWorld(azurite, {}, async (world) => {
    world.put("a/file", SMALL);
    Deno.symlinkSync(world.source, `${world.folder}/link`);
    const { destination, options } = configOf(world.source, {});
    const source = { kind: "local", path: `${world.folder}/link` } as const;
    const report = await world.run({}, { config: { source, destination, options } });
    assert.equal(report.totals.filesVerified, 1);
  });
});

/** Refuses paths that end so. Tests may run as root, whom no right stops. */
function refusing(code: "denied" | "busy", judge: (path: string) => boolean): (disk: Disk) => Partial<Disk> {
  const check = (path: string) => {
    if (judge(path)) throw new DiskError(code, `Cannot read "${path}"`);
  };
  return (disk) => ({
    readFolder: (path) => (check(path), disk.readFolder(path)),
    open: async (path) => (check(path), await disk.open(path)),
    openNow: (path) => (check(path), disk.openNow(path)),
  });
}

Deno.test("[O2] (T6) an unreadable folder is one entry, an unreadable file is one, and their siblings go on", async () => {
  const disk = refusing("denied", (path) => /\/(closed|denied\w*)$/.test(path));
  await inWorld(azurite, { disk }, async (world) => {
    for (const path of ["a", "closed/1", "closed/2", "denied", "z/3"]) world.put(path, SMALL);
    world.put("denied-large", LARGE);
    world.put("deniedlarge", LARGE);
    const report = await world.run();
    assert.deepEqual(world.failures(), {
      closed: "source_denied",
      denied: "source_denied",
      deniedlarge: "source_denied",
    });
    assert.equal(report.totals.filesTotal, 6);
    assert.equal(report.totals.filesVerified, 3);
    assert.equal(report.outcome, "completed");
  });
});

Deno.test("[E18] (T6) a share that may not be read at all fails the job, and is never completed with nothing", async () => {
  const disk = refusing("denied", (path) => path.endsWith("/source"));
  await inWorld(azurite, { disk }, async (world) => {
    world.put("a", SMALL);
    const report = await world.run({}, { outcome: "failed" });
    assert.equal(report.error?.code, "SOURCE_UNREADABLE");
  });
});

Deno.test("[E26] (T7) a locked file is tried again at the end; one that stays locked fails as locked", async () => {
  const freed = { large: false, small: false };
  const disk = refusing("busy", (path) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return name === "stays" || (name in freed && !freed[name as keyof typeof freed]);
  });
  await inWorld(azurite, { disk, speed: 30 }, async (world) => {
    for (const path of ["a", "small", "stays", "z"]) world.put(path, SMALL);
    world.put("large", LARGE);
    const run = world.start();
    await until(() => run.progress().waiting?.reason === "locked", "it waits for what is locked");
    assert.equal(
      world.server.seen.filter(({ emulatorStatus }) => emulatorStatus === 201).length,
      2,
      "others went on",
    );
    freed.small = true;
    freed.large = true;
    const report = await world.end(run);
    await world.prove(report);
    assert.deepEqual(world.failures(), { stays: "source_locked" });
    assert.equal(report.totals.filesVerified, 4);
  });
});

// --- T8, T20, T22: sizes and numbers ----------------------------------------------------------------------------------

Deno.test("[E1] (T8) empty files, files with holes and files at the edges of a block arrive; empty folders have no blob", async () => {
  await inWorld(azurite, {}, async (world) => {
    const sizes = {
      empty: 0,
      one: 1,
      "block-1": BLOCK_BYTES - 1,
      block: BLOCK_BYTES,
      "block+1": BLOCK_BYTES + 1,
      two: 2 * BLOCK_BYTES,
    };
    for (const [path, sizeBytes] of Object.entries(sizes)) world.put(path, noise(sizeBytes, sizeBytes));
    Deno.mkdirSync(world.path("empty folder/in another"), { recursive: true });
    world.put("holes", new Uint8Array());
    const holes = Deno.openSync(world.path("holes"), { write: true });
    holes.truncateSync(3 * BLOCK_BYTES + 100);
    holes.seekSync(BLOCK_BYTES + 7, Deno.SeekMode.Start);
    holes.writeSync(Uint8Array.of(1, 2, 3));
    holes.close();
    world.put("hole", new Uint8Array());
    Deno.truncateSync(world.path("hole"), 50_000);
    const report = await world.run({ readbackPercent: 100 });
    assert.equal(report.totals.filesReadBack, 8);
    const blobs = await world.blobs();
    assert.equal(blobs.size, 8);
    assert.equal(
      blobs.get("hole")?.bytes?.every((byte) => byte === 0),
      true,
    );
    assert.equal(blobs.get("holes")?.sizeBytes, 3 * BLOCK_BYTES + 100);
  });
});

function makeHole(path: string, sizeBytes: number): void {
  Deno.writeFileSync(path, new Uint8Array());
  Deno.truncateSync(path, sizeBytes);
}

const MAY_MOUNT = await mayMount();

/** Memory takes holes of any size, where a disk does not. */
async function inVastFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "migrate-vast-" });
  const unmount = await mountMemory(folder, "16m");
  try {
    await test(folder);
  } finally {
    await unmount?.();
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test({
  name: "[B2] (T20) files of 500 GB, 2 TB, 13 TB and of all that a blob can hold stay within 50,000 blocks and the memory",
  ignore: !MAY_MOUNT,
  fn: () =>
    inVastFolder(async (folder) => {
      const platform = denoPlatform(() => {});
      const grants = {
        current: () => Promise.reject(new Error("none")),
        replace: () => Promise.reject(new Error("none")),
      };
      const config = configOf(folder, {});
      const { limits } = new AzureBlobDestination(config.destination, grants, platform);
      try {
        for (const sizeBytes of [500e9, 2e12, 13e12, 190.7 * 2 ** 40]) {
          makeHole(`${folder}/file`, sizeBytes);
          let largestBytes = 0;
          for await (const page of new LocalSource(folder, platform).list({ cursor: null, signal: SIGNAL }))
            for (const item of page.items)
              if (item.kind === "file") largestBytes = Math.max(largestBytes, item.entry.sizeBytes);
          assert.equal(largestBytes, Math.floor(sizeBytes));
          const plan = makePlan(transferOptions.parse({}), limits, {
            largestBytes,
            memoryBytes: MEMORY_BYTES_MAX,
            blockBytes: null,
          });
          assert.ok(blockCount(largestBytes, plan.blockBytes) <= 50_000, `${sizeBytes}`);
          assert.ok(plan.blockBytes <= 4_000 * MEBIBYTE);
          if (sizeBytes <= 2e12)
            assert.ok(plan.buffers * plan.blockBytes <= MEMORY_BYTES_MAX, `${sizeBytes}`);
        }
      } finally {
        platform.transport.close();
      }
    }),
});

Deno.test({
  name: "[B2] (T20) a file larger than a blob can be is refused at the scan, and does not make the blocks of others larger",
  ignore: !MAY_MOUNT,
  fn: () =>
    inVastFolder(async (folder) => {
      await inWorld(azurite, {}, async (world) => {
        Deno.removeSync(world.source);
        Deno.symlinkSync(folder, world.source);
        makeHole(`${folder}/vast`, 191 * 2 ** 40);
        world.put("large", LARGE);
        const report = await world.run();
        assert.deepEqual(world.failures(), { vast: "too_large" });
        assert.equal(report.totals.filesVerified, 1);
        assert.equal(world.server.seen.filter(({ operation }) => operation === "put_block").length, 4);
      });
    }),
});

Deno.test({
  name: "[B2] (T20) a file whose blocks are larger than the memory that can be had does not keep the others from arriving",
  ignore: !MAY_MOUNT,
  fn: () =>
    inVastFolder(async (folder) => {
      await inWorld(azurite, {}, async (world) => {
        Deno.removeSync(world.source);
        Deno.symlinkSync(folder, world.source);
        makeHole(`${folder}/vast`, 70 * 2 ** 40);
        world.put("a", SMALL);
        const run = world.start();
        let isOver = false;
        const ended = world.end(run).finally(() => (isOver = true));
        await until(() => isOver || world.server.accepted().has("a"), "the small one");
        // Nobody waits for seventy terabytes.
        run.cancel();
        const report = await ended;
        assert.equal(report.error, null);
        assert.ok(world.server.accepted().has("a"));
      });
    }),
});

Deno.test("[E17] (T22) files that are read ahead while all streams have run out of work are not forgotten", async () => {
  await inWorld(azurite, { onReadAhead: () => pause(200) }, async (world) => {
    const count = 150;
    for (let index = 0; index < count; index++) world.put(`${index}`, noise(index, 100));
    // Old enough to be read ahead.
    await pause(FRESH_MS);
    const report = await world.run();
    assert.equal(report.totals.filesVerified, count);
    await againSkipsAll(world, count);
  });
});

const MANY = 20_000;
const DEPTH = 200;
/** Node's share and the emulator's are not in it; those of a test, its runner and the compiled modules are. */
const RSS_BYTES_MAX = 600 * MEBIBYTE;

Deno.test("[E21] (T22) twenty thousand files of one folder and one at depth 200 arrive in bounded memory, told in bounded messages", async () => {
  await inWorld(azurite, {}, async (world) => {
    const text = new TextEncoder();
    Deno.mkdirSync(world.path("one"));
    for (let index = 0; index < MANY; index++)
      Deno.writeFileSync(world.path(`one/${index}`), text.encode(`${index}`));
    const deep = Array.from({ length: DEPTH }, (_, index) => `d${index}`).join("/");
    world.put(`${deep}/file`, SMALL);
    // The server of faults would remember each request.
    world.origin = new URL(azurite?.containerUrl("x") ?? "").origin;
    // Other tests of this process may have left some.
    const rssBytesBefore = Deno.memoryUsage().rss;
    let rssBytesMax = 0;
    const watch = setInterval(() => (rssBytesMax = Math.max(rssBytesMax, Deno.memoryUsage().rss)), 50);
    const run = world.start({ concurrency: 8 });
    let longest = 0;
    const watchSize = setInterval(
      () => (longest = Math.max(longest, JSON.stringify(run.progress()).length)),
      500,
    );
    const report = await world.end(run, 150_000).finally(() => clearInterval(watchSize));
    clearInterval(watch);
    await world.prove(report, { listingOnly: true });
    assert.equal(report.totals.filesVerified, MANY + 1);
    const grownBytes = rssBytesMax - rssBytesBefore;
    assert.ok(grownBytes < RSS_BYTES_MAX, `${Math.round(grownBytes / MEBIBYTE)} MiB more`);
    assert.ok(longest < 2_000, `${longest} characters of progress`);
  });
});
