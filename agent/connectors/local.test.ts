import assert from "node:assert/strict";
import { denoPlatform } from "../platform-deno.ts";
import { type Disk, DiskError, type Platform } from "../platform.ts";
import { type Listed, LISTED_PAGE_ITEMS_MAX, type ListedPage, TransferError } from "./connector.ts";
import { sourceContract } from "./contract.ts";
import { LocalSource } from "./local.ts";

const SIGNAL = new AbortController().signal;
const platform = denoPlatform(() => {});

class Folder {
  readonly root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "migrate-local-" }));

  path(path: string): string {
    return `${this.root}/${path}`;
  }
  put(path: string, bytes: Uint8Array = new Uint8Array(1)): void {
    Deno.mkdirSync(this.path(path).replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeFileSync(this.path(path), new Uint8Array(bytes));
  }
  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

sourceContract(
  (name, test) => Deno.test(name, test),
  "local",
  () => {
    const folder = new Folder();
    return Promise.resolve({
      source: new LocalSource(folder.root, platform),
      put: (path, bytes) => Promise.resolve(folder.put(path, bytes)),
      remove: (path) => Deno.remove(folder.path(path)),
      close: () => Promise.resolve(folder[Symbol.dispose]()),
    });
  },
);

async function list(root: string, on: Platform = platform): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const page of new LocalSource(root, on).list({ cursor: null, signal: SIGNAL })) {
    for (const item of page.items) found[pathOf(item)] = item.kind === "file" ? "file" : item.code;
  }
  return found;
}

function pathOf(item: Listed): string {
  return item.kind === "file" ? item.entry.path : item.path;
}

function withDisk(change: (disk: Disk) => Partial<Disk>): Platform {
  return { ...platform, disk: { ...platform.disk, ...change(platform.disk) } };
}

function failsJob(code: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof TransferError && error.problem.scope === "job" && error.problem.code === code;
}

Deno.test("[O1] links are listed as skipped and not followed, whether they lead out, in a circle, or nowhere", async () => {
  using folder = new Folder();
  folder.put("a/file");
  Deno.symlinkSync("/etc", folder.path("out"));
  Deno.symlinkSync("..", folder.path("a/up"));
  Deno.symlinkSync("nowhere", folder.path("dangling"));
  Deno.symlinkSync("a/file", folder.path("to-file"));
  assert.deepEqual(await list(folder.root), {
    "a/file": "file",
    "a/up": "link",
    dangling: "link",
    out: "link",
    "to-file": "link",
  });
});

Deno.test("[O1] what is neither file nor folder is listed as special", async () => {
  using folder = new Folder();
  folder.put("file");
  await new Deno.Command("mkfifo", { args: [folder.path("pipe")] }).output();
  assert.deepEqual(await list(folder.root), { file: "file", pipe: "special" });
});

Deno.test("[O1] a root that is a link, or ends in a slash, is the folder it leads to", async () => {
  using folder = new Folder();
  using links = new Folder();
  folder.put("file");
  Deno.symlinkSync(folder.root, links.path("root"));
  assert.deepEqual(await list(links.path("root")), { file: "file" });
  assert.deepEqual(await list(`${folder.root}/`), { file: "file" });
});

Deno.test("[O2] a folder that may not be read is one failure, and the rest goes on", async () => {
  using folder = new Folder();
  folder.put("a/1");
  folder.put("closed/2");
  folder.put("z/3");
  const denied = (path: string) => path === folder.path("closed");
  // Tests may run as root, whom no permission stops.
  const found = await list(
    folder.root,
    withDisk((disk) => ({
      readFolder: (path) => {
        if (denied(path)) throw new DiskError("denied", "no");
        return disk.readFolder(path);
      },
    })),
  );
  assert.deepEqual(found, { "a/1": "file", closed: "source_denied", "z/3": "file" });
});

Deno.test("[O2] a name that is not Unicode is a failure of that name", async () => {
  using folder = new Folder();
  folder.put("good");
  await new Deno.Command("sh", {
    args: ["-c", 'printf x > "$(printf "bad\\377name")"'],
    cwd: folder.root,
  }).output();
  assert.deepEqual(await list(folder.root), { good: "file", "bad\ufffdname": "name_refused" });
});

Deno.test("[O3] a root that is missing, a file, or unreadable fails the job, each with its code", async () => {
  using folder = new Folder();
  folder.put("file");
  await assert.rejects(list(folder.path("missing")), failsJob("SOURCE_NOT_FOUND"));
  await assert.rejects(list(folder.path("file")), failsJob("SOURCE_NOT_FOUND"));
  const closed = withDisk(() => ({
    readFolder: () => {
      throw new DiskError("denied", "no");
    },
  }));
  await assert.rejects(list(folder.root, closed), failsJob("SOURCE_UNREADABLE"));
});

Deno.test("[O3] a root that goes away during the scan fails the job, not each of its folders", async () => {
  using folder = new Folder();
  for (const name of ["a", "b", "c"]) folder.put(`${name}/file`);
  let gone = false;
  const whileThere = <Result>(work: () => Result): Result => {
    if (gone) throw new DiskError("not_found", "gone");
    return work();
  };
  const vanishing = withDisk((disk) => ({
    stat: (path) => whileThere(() => disk.stat(path)),
    readFolder: (path) => {
      if (path === folder.path("b")) gone = true;
      return whileThere(() => disk.readFolder(path));
    },
  }));
  await assert.rejects(list(folder.root, vanishing), failsJob("SOURCE_NOT_FOUND"));
});

Deno.test("[O4] a folder or a file that was swapped for a link since is not followed", async () => {
  using folder = new Folder();
  using secret = new Folder();
  secret.put("file", new Uint8Array(7));
  folder.put("inner/file", new Uint8Array(7));
  const source = new LocalSource(folder.root, platform);
  Deno.removeSync(folder.path("inner"), { recursive: true });
  Deno.symlinkSync(secret.root, folder.path("inner"));
  const entry = { path: "inner/file", sizeBytes: 7, modifiedMs: 0, identity: null };
  const readWhole = async (path: string) =>
    await source.readWhole({ ...entry, path }, new Uint8Array(20), SIGNAL);
  await assert.rejects(source.open(entry, SIGNAL), TransferError);
  await assert.rejects(readWhole(entry.path), TransferError);

  folder.put("file", new Uint8Array(7));
  Deno.removeSync(folder.path("file"));
  Deno.symlinkSync(secret.path("file"), folder.path("file"));
  await assert.rejects(source.open({ ...entry, path: "file" }, SIGNAL), TransferError);
  await assert.rejects(readWhole("file"), TransferError);
});

Deno.test("[O4] a folder that is swapped for a link while it is listed is not listed", async () => {
  using folder = new Folder();
  using secret = new Folder();
  secret.put("passwords");
  folder.put("inner/file");
  const swapping = withDisk((disk) => ({
    readFolder: (path) => {
      if (path === folder.path("inner")) {
        Deno.removeSync(path, { recursive: true });
        Deno.symlinkSync(secret.root, path);
      }
      return disk.readFolder(path);
    },
  }));
  assert.deepEqual(await list(folder.root, swapping), { inner: "source_vanished" });
});

Deno.test("[O5] on Windows paths are put together with backslashes, and told with slashes", async () => {
  const kinds: Record<string, "file" | "folder"> = {
    "C:\\": "folder",
    "C:\\a": "folder",
    "C:\\a\\b.txt": "file",
  };
  const disk: Partial<Disk> = {
    separator: "\\",
    lookAhead: () => null,
    realPath: (path) => path,
    stat: (path) => {
      const kind = kinds[path];
      if (kind === undefined) throw new DiskError("not_found", path);
      return { kind, sizeBytes: 3, modifiedMs: 5, device: 1, changedMs: null, inode: 2, links: 1 };
    },
    readFolder: (path) =>
      path === "C:\\"
        ? [{ name: "a", kind: "folder" }]
        : [
            { name: "b.txt", kind: "file" },
            { name: "half\ud800", kind: "file" },
          ],
  };
  assert.deepEqual(
    await list(
      "C:\\",
      withDisk(() => disk),
    ),
    { "a/b.txt": "file", "a/half\\ud800": "source_vanished" },
  );
});

Deno.test("[O6] a scan that was stopped in the middle of deep folders goes on behind its cursor", async () => {
  using folder = new Folder();
  const paths = ["a", "b/x/1", "b/x/2", "b/y", "b-", "b.txt", "c/d/e/f/g", "empty/z", "é/1", "é/2"];
  for (const path of paths) folder.put(path);
  Deno.mkdirSync(folder.path("nothing"));
  const source = new LocalSource(folder.root, platform);
  for (const path of [...paths, "nothing", "b/x", "b/x/1gone", "b/", "a\u0000"]) {
    const seen = new Set<string>();
    for await (const page of source.list({ cursor: path, signal: SIGNAL }))
      for (const item of page.items) seen.add(pathOf(item));
    const order = await orderOf(source);
    assert.deepEqual(
      [...seen],
      order.filter((other) => other > path),
      path,
    );
  }
});

async function orderOf(source: LocalSource): Promise<string[]> {
  const order: string[] = [];
  for await (const page of source.list({ cursor: null, signal: SIGNAL }))
    order.push(...page.items.map(pathOf));
  return order;
}

Deno.test("[O6] a folder that could not be read, and was the last to be told, is not told again", async () => {
  using folder = new Folder();
  for (let index = 0; index < LISTED_PAGE_ITEMS_MAX - 1; index++) folder.put(`a/${index}`);
  folder.put("closed/1");
  folder.put("z");
  const denying = withDisk((disk) => ({
    readFolder: (path) => {
      if (path === folder.path("closed")) throw new DiskError("denied", "no");
      return disk.readFolder(path);
    },
  }));
  const source = new LocalSource(folder.root, denying);
  const pages: ListedPage[] = [];
  for await (const page of source.list({ cursor: null, signal: SIGNAL })) pages.push(page);
  assert.equal(pathOf(pages[0]?.items.at(-1) as Listed), "closed");
  const rest: string[] = [];
  for await (const page of source.list({ cursor: pages[0]?.cursor ?? null, signal: SIGNAL }))
    rest.push(...page.items.map(pathOf));
  assert.deepEqual(rest, ["z"]);
  // Stopped inside of it, and unreadable since: that is news.
  const inside: string[] = [];
  for await (const page of source.list({ cursor: "closed/0", signal: SIGNAL }))
    inside.push(...page.items.map(pathOf));
  assert.deepEqual(inside, ["closed", "z"]);
});

Deno.test("[R6] files in the quarantine are not listed", async () => {
  using folder = new Folder();
  folder.put("a/file");
  folder.put("a/.migrate-quarantine/job/0");
  folder.put(".migrate-quarantine/job/0");
  folder.put(".migrate-quarantine-of-mine/file");
  assert.deepEqual(await list(folder.root), { ".migrate-quarantine-of-mine/file": "file", "a/file": "file" });
});
