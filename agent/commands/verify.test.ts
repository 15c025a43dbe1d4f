/** Real files, an emulator's container, and the manifest that a real run has written of them. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { jobConfig } from "../../schema/job.ts";
import type { ManifestRow } from "../../schema/manifest.ts";
import { parseCommandLine } from "../command-line.ts";
import { Azurite } from "../connectors/fakes/azurite.ts";
import { openDestination, openSource } from "../connectors/registry.ts";
import { startRun } from "../engine/run.ts";
import { denoPlatform } from "../platform-deno.ts";
import { seededRandom, virtualShared } from "../virtual.ts";
import { type VerifyWorld, runVerify } from "./verify-command.ts";
import type { Finding, Verification } from "./verify.ts";

const SEED = Number(Deno.env.get("SEED") ?? 1);
const PLANTS = 60;
const PREFIX = "customers/acme";
/** Longer than any wait between two tries. */
const LIMITS_MS = 100_000;
/** Long ago, so that the files lie still. */
const WRITTEN = new Date("2024-03-01T10:00:00.000Z");
const NAMES = ["empty", "a\\b", "ends in a dot.", "ä ö ü/日本.txt", "~u005C", "large.bin", "a b", "a/b/c"];

interface Place {
  readonly root: string;
  readonly manifest: string;
  readonly rows: readonly ManifestRow[];
  readonly azurite: Azurite;
  readonly container: string;
  readonly sha256: string;
}

let azurite: Azurite;
let places = 0;
Deno.test.beforeAll(async () => {
  azurite = await Azurite.start();
});
Deno.test.afterAll(async () => await azurite.stop());

const random = seededRandom(SEED);
const below = (limit: number) => Math.floor(random.next() * limit);

/** A folder that was moved by the engine, with all that it says. */
async function withPlace(test: (place: Place) => Promise<void>): Promise<void> {
  const folder = Deno.realPathSync(Deno.makeTempDirSync());
  const container = `plans-${++places}`;
  try {
    const root = `${folder}/source`;
    makeFiles(root);
    await azurite.createContainer(container);
    const platform = denoPlatform(() => {});
    const config = jobConfig.parse({
      type: "migrate_files",
      name: "Plans",
      source: { kind: "local", path: root },
      destination: {
        kind: "azure_blob",
        account: azurite.account,
        container,
        prefix: PREFIX,
        tier: "Hot",
      },
      options: { concurrency: 4, chunkSizeMiB: 1, filters: { exclude: ["left out/**"] } },
    });
    const report = await startRun({
      jobId: "job",
      epoch: 1,
      config,
      source: openSource(config.source, platform),
      destination: openDestination(config.destination, azurite.grants(container), platform),
      platform,
      shared: virtualShared(platform.clock),
      journalPath: `${folder}/journal`,
      manifestPath: `${folder}/manifest.jsonl`,
      tell: () => {},
      mayRemove: () => false,
      hasLease: () => true,
    }).finished;
    assert.equal(report.outcome, "completed", JSON.stringify(report));
    const bytes = Deno.readFileSync(`${folder}/manifest.jsonl`);
    const manifest = `${folder}/manifest-Plans run 1.jsonl.gz`;
    Deno.writeFileSync(manifest, gzipSync(bytes));
    platform.transport.close();
    await test({
      root,
      manifest,
      rows: rowsOf(bytes),
      azurite,
      container,
      sha256: report.manifest?.sha256 ?? "",
    });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function makeFiles(root: string): void {
  const names = [...NAMES, ...Array.from({ length: PLANTS }, (_, index) => `many/${index}.bin`)];
  for (const name of [...names, "left out/x"]) {
    const path = `${root}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    const size = name === "empty" ? 0 : name === "large.bin" ? 5 * 1024 * 1024 + 17 : 1 + below(30_000);
    Deno.writeFileSync(path, random.bytes(size));
    Deno.utimeSync(path, WRITTEN, WRITTEN);
  }
}

function rowsOf(bytes: Uint8Array): ManifestRow[] {
  const lines = new TextDecoder().decode(bytes).split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as ManifestRow);
}

interface Said {
  readonly code: number;
  readonly out: string;
  readonly complaint: string;
}

/** As if typed, with `sas` on standard input. */
async function type(
  words: readonly string[],
  { sas = "", signal = new AbortController().signal } = {},
): Promise<Said> {
  const command = parseCommandLine(["verify", ...words]);
  assert.equal(command.kind, "verify");
  const platform = denoPlatform(() => {});
  let [out, complaint] = ["", ""];
  const world: VerifyWorld = {
    // Waits between tries are not what is looked at here; limits stay what they are.
    platform: {
      ...platform,
      clock: {
        ...platform.clock,
        sleep: (ms, stop) => platform.clock.sleep(ms > LIMITS_MS ? ms : ms / 500, stop),
      },
    },
    readSecret: () => Promise.resolve(sas),
    out: (text) => (out += text),
    complain: (text) => (complaint += text),
    progress: null,
    signal,
  };
  try {
    return { code: await runVerify(command, world), out, complaint };
  } finally {
    platform.transport.close();
  }
}

async function json(
  words: readonly string[],
  options: { sas?: string } = {},
): Promise<Verification & { code: number }> {
  const { code, out, complaint } = await type([...words, "--json"], options);
  assert.equal(complaint, "");
  return { ...(JSON.parse(out) as Verification), code };
}

function pathsOf(findings: readonly Finding[], kind: Finding["kind"]): string[] {
  return findings.filter((one) => one.kind === kind).map(({ path }) => path);
}

/** Turns one bit over, and leaves no other trace that a program could set back. */
function flip(path: string, bit: number): void {
  const bytes = Deno.readFileSync(path);
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  Deno.writeFileSync(path, bytes);
  Deno.utimeSync(path, WRITTEN, WRITTEN);
}

Deno.test("[A80] every single bit that is turned over in the source is found, and nothing else is", async () => {
  await withPlace(async ({ root, manifest, rows, sha256 }) => {
    const words = [manifest, "--source", root, "--sha256", sha256];
    const good = await json(words);
    assert.equal(good.code, 0);
    assert.equal(good.result, "same");
    assert.equal(good.manifest.sha256, sha256);
    const moved = rows.filter((row) => row.outcome === "completed");
    assert.equal(good.counts.same, moved.length);
    assert.equal(
      good.counts.sameBytes,
      moved.reduce((sum, row) => sum + row.sizeBytes, 0),
    );
    const inWords = await type(words);
    assert.match(inWords.out, /It is the expected one[^]*Result: every file is what the manifest says\n$/);
    const large = moved.filter(({ sizeBytes }) => sizeBytes > 0);
    for (let plant = 0; plant < PLANTS; plant++) {
      const row = plant === 0 ? moved.find(({ path }) => path === "large.bin") : large[below(large.length)];
      assert.ok(row !== undefined);
      const bit = plant === 0 ? row.sizeBytes * 8 - 1 : below(row.sizeBytes * 8);
      flip(`${root}/${row.path}`, bit);
      const found = await json(words);
      assert.equal(found.code, 6, `seed ${SEED}: bit ${bit} of ${row.path}`);
      assert.deepEqual(pathsOf(found.findings, "different"), [row.path]);
      assert.equal(found.counts.same, moved.length - 1);
      const [finding] = found.findings;
      assert.ok(finding?.kind === "different" && finding.isWrittenSince === false);
      flip(`${root}/${row.path}`, bit);
    }
    assert.equal((await json(words)).code, 0);
  });
});

Deno.test("[A80] every single bit that is turned over in the container is found, and nothing else is", async () => {
  await withPlace(async ({ manifest, rows, azurite, container }) => {
    const words = [manifest, "--destination", azurite.containerUrl(container)];
    const sas = azurite.sas(container, "r");
    const good = await json(words, { sas });
    assert.equal(good.code, 0, JSON.stringify(good));
    const moved = rows.filter((row) => row.outcome === "completed");
    assert.equal(good.counts.same, moved.length);
    const planted = moved.filter(({ sizeBytes }) => sizeBytes > 0).slice(0, PLANTS);
    assert.equal(planted.length, PLANTS);
    for (const { blob, sizeBytes } of planted) {
      const bytes = await azurite.download(container, blob ?? "");
      const bit = below(sizeBytes * 8);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await azurite.upload(container, blob ?? "", bytes);
    }
    const found = await json(words, { sas });
    assert.equal(found.code, 6);
    assert.deepEqual(
      pathsOf(found.findings, "different"),
      planted.map(({ path }) => path).sort((a, b) => (a < b ? -1 : 1)),
    );
    assert.equal(found.counts.same, moved.length - PLANTS);
  });
});

Deno.test("[A80] what is missing, longer, shorter, a link or closed is told apart, each with its path", async () => {
  await withPlace(async ({ root, manifest, rows, azurite, container }) => {
    const moved = rows.filter((row) => row.outcome === "completed").length;
    Deno.removeSync(`${root}/many/0.bin`);
    Deno.truncateSync(`${root}/many/1.bin`, 0);
    Deno.writeFileSync(`${root}/many/2.bin`, new Uint8Array(1), { append: true });
    Deno.renameSync(`${root}/many/3.bin`, `${root}/elsewhere`);
    Deno.symlinkSync(`${root}/elsewhere`, `${root}/many/3.bin`);
    Deno.renameSync(`${root}/a`, `${root}/not listed`);
    Deno.symlinkSync(`${root}/not listed`, `${root}/a`);
    const found = await json([manifest, "--source", root]);
    assert.equal(found.code, 6);
    assert.deepEqual(pathsOf(found.findings, "missing"), ["a/b/c", "many/0.bin", "many/3.bin"]);
    assert.deepEqual(pathsOf(found.findings, "different"), ["many/1.bin", "many/2.bin"]);
    assert.equal(found.counts.same, moved - 5);
    const { out } = await type([manifest, "--source", root]);
    assert.match(
      out,
      /"many\/1\.bin": it has 0 bytes instead of [\d,]+; it was written to since it was moved/,
    );
    assert.match(out, /Result: 5 files are not what the manifest says\n$/);
    await azurite.upload(container, `${PREFIX}/many/4.bin`, new Uint8Array(7));
    await azurite.remove(container, `${PREFIX}/many/5.bin`);
    const sas = azurite.sas(container, "r");
    const stored = await json([manifest, "--destination", azurite.containerUrl(container)], { sas });
    assert.deepEqual(
      stored.findings.map(({ kind, path }) => `${kind} ${path}`),
      ["different many/4.bin", "missing many/5.bin"],
    );
  });
});

Deno.test("[A81] a sample is drawn by its seed, which is said, and drawn again by it", async () => {
  await withPlace(async ({ root, manifest }) => {
    const words = [manifest, "--source", root, "--sample", "20"];
    const first = await json(words);
    assert.equal(first.code, 0);
    const seed = first.sample?.seed ?? "";
    assert.ok(first.counts.drawn > 0 && first.counts.drawn < first.counts.comparable / 2);
    const inWords = await type([...words, "--seed", seed]);
    assert.match(inWords.out, new RegExp(`--sample 20 --seed "${seed}"`));
    assert.match(inWords.out, /every file of the sample/);
    // Which files they were is seen where all of them are gone.
    const drawnBy = async (lot: string, percent: string) => {
      const nothing = Deno.makeTempDirSync();
      try {
        const all = await json([manifest, "--source", nothing, "--sample", percent, "--seed", lot]);
        assert.equal(all.code, 6);
        return pathsOf(all.findings, "missing");
      } finally {
        Deno.removeSync(nothing);
      }
    };
    const drawn = await drawnBy(seed, "20");
    assert.equal(drawn.length, first.counts.drawn);
    assert.deepEqual(await drawnBy(seed, "20%"), drawn);
    assert.notDeepEqual(await drawnBy("another", "20"), drawn);
    const more = new Set(await drawnBy(seed, "60"));
    assert.ok(
      drawn.every((path) => more.has(path)),
      "a larger sample has the smaller one in it",
    );
  });
});

Deno.test("[A82] a manifest that was cut off, changed or is none is refused before anything is compared", async () => {
  await withPlace(async ({ root, manifest, sha256 }) => {
    const packed = Deno.readFileSync(manifest);
    const lines = new Uint8Array(gunzipSync(packed));
    const other = `${root}/../other`;
    const refused = async (bytes: Uint8Array, expected: RegExp, ...more: string[]) => {
      Deno.writeFileSync(other, bytes);
      const { code, out, complaint } = await type([other, "--source", root, ...more]);
      assert.equal(code, 2, out + complaint);
      assert.match(complaint, expected);
      assert.equal(out, "");
    };
    for (let cut = 0; cut < 25; cut++) {
      await refused(packed.slice(0, 2 + below(packed.length - 2)), /cut off or damaged/);
      const length = 1 + below(lines.length - 1);
      if (lines[length - 1] !== 0x0a) await refused(lines.slice(0, length), /last line is not whole/);
      // Cut between two lines it still reads well; the report's digest knows better.
      await refused(
        lines.slice(0, lines.lastIndexOf(0x0a, lines.length - 2) + 1),
        /not the .* given/,
        "--sha256",
        sha256,
      );
    }
    for (let plant = 0; plant < PLANTS; plant++) {
      const bytes = lines.slice();
      const bit = below(bytes.length * 8);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await refused(bytes, /^Cannot use the manifest/, "--sha256", sha256);
      const damaged = packed.slice();
      // Behind the header, whose flags and time are no content.
      const at = 80 + below(damaged.length * 8 - 80);
      damaged[at >> 3] = (damaged[at >> 3] ?? 0) ^ (1 << (at & 7));
      await refused(damaged, /cut off or damaged|Cannot use the manifest/, "--sha256", sha256);
    }
    const row = JSON.parse(new TextDecoder().decode(lines).split("\n")[0] ?? "") as ManifestRow;
    const text = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value)}\n`);
    for (const path of ["../x", "/etc/passwd", "a/../../x", "a//b", ".", "a\0b"])
      await refused(text({ ...row, path }), /line 1: its path leads out of the folder/);
    await refused(text({ ...row, sha256: "no digest" }), /line 1: its "sha256" is not one/);
    await refused(text({ ...row, more: 1 }), /line 1: its fields are others/);
    await refused(
      new TextEncoder().encode("<!DOCTYPE html><title>Sign in</title>\n"),
      /line 1: it is no JSON.*\.jsonl\.gz/,
    );
    await refused(new Uint8Array(2_000_000).fill(0x61), /line 1: it is too long/);
    const gone = await type([`${root}/nowhere`, "--source", root]);
    assert.equal(gone.code, 2);
    assert.match(gone.complaint, /there is no ".*nowhere"/);
  });
});

Deno.test("[A82] of a manifest with several passes the last line of a path counts", async () => {
  await withPlace(async ({ root, manifest, rows }) => {
    const [row] = rows.filter(({ path }) => path === "many/7.bin");
    assert.ok(row !== undefined);
    const now = new TextEncoder().encode("what the second pass has moved");
    const sha256 = createHash("sha256").update(now).digest("hex");
    Deno.writeFileSync(`${root}/many/7.bin`, now);
    const second = { ...row, sizeBytes: now.length, sha256 };
    const both = [...rows, second].map((each) => `${JSON.stringify(each)}\n`).join("");
    Deno.writeFileSync(manifest, gzipSync(both));
    const found = await json([manifest, "--source", root]);
    assert.equal(found.code, 0, JSON.stringify(found.findings));
    assert.equal(found.manifest.rows, rows.length + 1);
    assert.equal(found.counts.same, rows.filter(({ outcome }) => outcome === "completed").length);
  });
});

Deno.test("[A83] whoever compared nothing, or not all, does not say that all is well", async () => {
  await withPlace(async ({ root, manifest, rows }) => {
    const empty = `${root}/../empty`;
    Deno.writeFileSync(empty, gzipSync(""));
    const nothing = await type([empty, "--source", root]);
    assert.equal(nothing.code, 7);
    assert.match(nothing.out, /nothing was compared, so nothing is known/);
    const unmoved = rows.map((row) => `${JSON.stringify({ ...row, sha256: null, outcome: "failed" })}\n`);
    Deno.writeTextFileSync(empty, unmoved.join(""));
    const failed = await type([empty, "--source", root]);
    assert.equal(failed.code, 7);
    assert.match(failed.out, new RegExp(`Not in the comparison.*: ${rows.length} failed`));
    const stop = new AbortController();
    stop.abort(new Error("stopped"));
    const stopped = await type([manifest, "--source", root], { signal: stop.signal });
    assert.equal(stopped.code, 7);
    const missing = await type([manifest, "--source", `${root}/nowhere`]);
    assert.equal(missing.code, 2);
    assert.match(missing.complaint, /nowhere": it is not there/);
  });
});

Deno.test("[A84] a container is read with a SAS that may do nothing else, and that no argument holds", async () => {
  await withPlace(async ({ manifest, azurite, container }) => {
    const url = azurite.containerUrl(container);
    const refused = async (place: string, sas: string, expected: RegExp, expectedCode = 2) => {
      const { code, out, complaint } = await type([manifest, "--destination", place], { sas });
      assert.equal(code, expectedCode, complaint);
      assert.match(complaint, expected);
      assert.doesNotMatch(out + complaint, /sig=\w/);
    };
    await refused(`${url}?${azurite.sas(container, "r")}`, "", /give it without a SAS/);
    for (const more of ["rw", "rcwl", "rd", "racwdl"])
      await refused(url, azurite.sas(container, more), /only reading is needed/);
    await refused(url, "", /A SAS is needed on standard input/);
    await refused(url, "https://account.blob.core.windows.net/plans?sig=abc", /what stands behind the "\?"/);
    await refused("http://storage.example/plans", azurite.sas(container, "r"), /must begin with https/);
    await refused(url, azurite.sas(container, "r", -10), /refuses the SAS: it has expired/);
    await refused(url, azurite.sas(container, "r").replace(/sig=.../, "sig=AAA"), /refuses the SAS/);
    await refused(
      "http://127.0.0.1:1/devstoreaccount1/plans",
      azurite.sas(container, "r"),
      /Cannot reach/,
      3,
    );
    // A portal on the way answers everything with its page.
    await using portal = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      () =>
        new Response("<html>Sign in</html>", {
          headers: { "content-type": "text/html", "content-length": "20" },
        }),
    );
    const there = `http://127.0.0.1:${(portal.addr as Deno.NetAddr).port}/devstoreaccount1/plans`;
    await refused(there, azurite.sas(container, "r"), /something else answers in its place/, 3);
    const good = await json([manifest, "--destination", `${url}/`], {
      sas: `?${azurite.sas(container, "rl")}\n`,
    });
    assert.equal(good.code, 0);
  });
});
