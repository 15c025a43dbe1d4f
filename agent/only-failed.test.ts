/** Runs that move only what failed before: a source in memory, a control plane in memory, a real disk for the list. */
import assert from "node:assert/strict";
import { sourceContract } from "./connectors/contract.ts";
import { MemorySource } from "./connectors/memory.ts";
import { OnlyFailed, onlyListName, readOnlyList, type OnlyListInput } from "./only-failed.ts";
import { denoPlatform } from "./platform-deno.ts";
import { VirtualClock, virtualPlatform } from "./virtual.ts";

sourceContract(
  (name, test) => Deno.test(name, test),
  "only what failed",
  () => {
    const inner = new MemorySource();
    const wanted = new Set<string>();
    return Promise.resolve({
      source: new OnlyFailed(inner, () => Promise.resolve(wanted)),
      put: (path, bytes) => {
        wanted.add(path);
        return Promise.resolve(inner.put(path, bytes));
      },
      remove: (path) => Promise.resolve(inner.remove(path)),
      close: () => Promise.resolve(),
    });
  },
);

async function listed(source: OnlyFailed): Promise<string[]> {
  const paths: string[] = [];
  for await (const page of source.list({ cursor: null, signal: new AbortController().signal })) {
    for (const item of page.items) paths.push(item.kind === "file" ? item.entry.path : item.path);
  }
  return paths;
}

Deno.test("[A70] only the files of the list are listed, in order, and all that lies in a folder of the list", async () => {
  const inner = new MemorySource();
  const bytes = new Uint8Array(3);
  for (const path of ["a.txt", "b/c/d.txt", "b/c/e/f.txt", "b/cc.txt", "b2.txt", "z.txt"])
    inner.put(path, bytes);
  const only = (...paths: string[]) => new OnlyFailed(inner, () => Promise.resolve(new Set(paths)));
  assert.deepEqual(await listed(only("z.txt", "a.txt")), ["a.txt", "z.txt"]);
  assert.deepEqual(await listed(only("b/c")), ["b/c/d.txt", "b/c/e/f.txt"]);
  assert.deepEqual(await listed(only("b")), ["b/c/d.txt", "b/c/e/f.txt", "b/cc.txt"]);
  assert.deepEqual(await listed(only("gone.txt", "a")), []);
});

/** Answers with two pages, after it refused or was away as often as it is told. */
function controlPlane(folder: string, answers: (() => Response)[] = []) {
  const { disk } = denoPlatform();
  const clock = new VirtualClock();
  const over = new AbortController();
  const asked: string[] = [];
  const platform = {
    ...virtualPlatform({
      clock,
      fetch: (url: string) => {
        asked.push(new URL(url).search);
        const after = Number(new URL(url).searchParams.get("after"));
        const page =
          after === -1 ? { paths: ["a.txt", "ü/b.txt"], next: 1 } : { paths: ["c.txt"], next: null };
        return Promise.resolve((answers.shift() ?? (() => Response.json(page)))());
      },
    }),
    disk,
  };
  const epoch = { jobId: "job_01jd0000000000000000000001", epoch: 3 };
  let stale = 0;
  const input: OnlyListInput = {
    platform,
    config: { url: "https://api.example.com", key: "mig_agt1_key" },
    ...epoch,
    keptPath: `${folder}/${onlyListName(epoch)}`,
    signal: over.signal,
    onStale: () => {
      stale++;
      over.abort(new Error("put down"));
    },
  };
  const read = async () => {
    const reading = readOnlyList(input, new AbortController().signal);
    reading.catch(() => undefined);
    for (let turn = 0; turn < 40; turn++) await clock.advance(60_000);
    return [...(await reading)];
  };
  return { input, asked, read, stale: () => stale };
}

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    await test(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("[A70] the list is asked for page by page, once, and a restart finds it beside the journal", () =>
  inFolder(async (folder) => {
    const first = controlPlane(folder);
    assert.deepEqual(await first.read(), ["a.txt", "ü/b.txt", "c.txt"]);
    assert.deepEqual(first.asked, ["?epoch=3&after=-1", "?epoch=3&after=1"]);
    const again = controlPlane(folder);
    assert.deepEqual(await again.read(), ["a.txt", "ü/b.txt", "c.txt"]);
    assert.deepEqual(again.asked, []);
  }));

Deno.test("[A70] a list that was cut off on the disk is asked for anew", () =>
  inFolder(async (folder) => {
    const world = controlPlane(folder);
    await Deno.writeTextFile(world.input.keptPath, '["a.txt","ü/b');
    assert.deepEqual(await world.read(), ["a.txt", "ü/b.txt", "c.txt"]);
  }));

Deno.test("[A70] while the control plane is away the list is waited for; an epoch it does not know is put down", () =>
  inFolder(async (folder) => {
    const away = () => new Response("<html>", { status: 502 });
    const late = controlPlane(folder, [away, away, away]);
    assert.deepEqual(await late.read(), ["a.txt", "ü/b.txt", "c.txt"]);
    await Deno.remove(late.input.keptPath);
    const over = () => Response.json({ error: "over", code: "CONFLICT", details: null }, { status: 409 });
    const stale = controlPlane(folder, [over]);
    await assert.rejects(stale.read(), /put down/);
    assert.equal(stale.stale(), 1);
    assert.equal(stale.asked.length, 1);
  }));
