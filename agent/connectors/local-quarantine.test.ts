/** The quarantine on a real disk. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { denoPlatform } from "../platform-deno.ts";
import { type DiskChanges, DiskError, type Platform } from "../platform.ts";
import type { UndoNote } from "./connector.ts";
import { LocalSource } from "./local.ts";
import { versionOf } from "./local-file.ts";
import {
  type LocalPurgeOptions,
  purgeQuarantine,
  QUARANTINE_FOLDER,
  README_FILE,
  UNDO_FILE,
} from "./local-quarantine.ts";

const SIGNAL = new AbortController().signal;
const platform = denoPlatform(() => {});
const NAME = "ab12-0-0";
const DAY_MS = 86_400_000;
const isWindows = Deno.build.os === "windows";

class Folder {
  readonly root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "migrate-quarantine-" }));

  at(path: string): string {
    return `${this.root}/${path}`;
  }
  put(path: string, text: string): string {
    Deno.mkdirSync(this.at(path).replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(this.at(path), text);
    return versionOf(platform.disk.stat(this.at(path))) ?? "";
  }
  text(path: string): string | null {
    try {
      return Deno.readTextFileSync(this.at(path));
    } catch {
      return null;
    }
  }
  quarantined(name = NAME): string | null {
    return this.text(`${QUARANTINE_FOLDER}/job_1/${name}`);
  }
  quarantine(changes: Partial<DiskChanges> = {}) {
    return new LocalSource(this.root, withChanges(changes)).quarantine;
  }
  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

function withChanges(changes: Partial<DiskChanges>): Platform {
  return { ...platform, changes: { ...platform.changes, ...changes } };
}

function noteOf(path: string, text: string, version: string, purgeAfterMs: number): UndoNote {
  return {
    name: NAME,
    path,
    sizeBytes: text.length,
    modifiedMs: 0,
    sha256: createHash("sha256").update(text).digest("hex"),
    blob: path,
    storedAs: path,
    etag: "0x1",
    version,
    movedAt: new Date(0).toISOString(),
    purgeAfter: new Date(purgeAfterMs).toISOString(),
  };
}

function isDiskError(code: DiskError["code"]): (error: unknown) => boolean {
  return (error) => error instanceof DiskError && error.code === code;
}

Deno.test("[R6] a file is moved as it is, and known again although the rename set the time of its last change", async () => {
  using folder = new Folder();
  const version = folder.put("a/file", "content");
  // A change time has whole seconds.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const job = folder.quarantine().open("job_1");
  assert.equal(job.take("a/file", NAME), null);
  job.sync();
  assert.equal(job.settle("a/file", NAME, version), "removed");
  assert.equal(folder.text("a/file"), null);
  assert.equal(folder.quarantined(), "content");
});

Deno.test(
  "[R6] the quarantine is for this account alone, and says in plain words what it is",
  { ignore: isWindows },
  () => {
    using folder = new Folder();
    folder.quarantine().open("job_1");
    for (const path of [QUARANTINE_FOLDER, `${QUARANTINE_FOLDER}/job_1`])
      assert.equal((Deno.lstatSync(folder.at(path)).mode ?? 0) & 0o777, 0o700);
    assert.match(
      folder.text(`${QUARANTINE_FOLDER}/job_1/${README_FILE}`) ?? "",
      /How do I get a file back\?/,
    );
    Deno.chmodSync(folder.at(QUARANTINE_FOLDER), 0o777);
    folder.quarantine().open("job_1");
    assert.equal((Deno.lstatSync(folder.at(QUARANTINE_FOLDER)).mode ?? 0) & 0o777, 0o700);
  },
);

Deno.test("[R6] a quarantine that is a link, or somebody else's, is not used", { ignore: isWindows }, () => {
  using folder = new Folder();
  using other = new Folder();
  Deno.symlinkSync(other.root, folder.at(QUARANTINE_FOLDER));
  assert.throws(() => folder.quarantine().open("job_1"), isDiskError("not_a_folder"));
  Deno.removeSync(folder.at(QUARANTINE_FOLDER));
  if (Deno.uid() === 0) {
    Deno.mkdirSync(folder.at(QUARANTINE_FOLDER));
    Deno.chownSync(folder.at(QUARANTINE_FOLDER), 65_534, 65_534);
    assert.throws(() => folder.quarantine().open("job_1"), isDiskError("denied"));
  }
  assert.deepEqual([...Deno.readDirSync(other.root)], []);
});

Deno.test(
  "[R5] a link is told from a file, at the end of a path and on the way",
  { ignore: isWindows },
  () => {
    using folder = new Folder();
    using other = new Folder();
    other.put("file", "theirs");
    Deno.symlinkSync(other.at("file"), folder.at("to-file"));
    Deno.symlinkSync(other.root, folder.at("to-folder"));
    const toFile = folder.quarantine().look("to-file", "");
    assert.ok(toFile.kind === "something" && !toFile.isFile);
    const inFolder = folder.quarantine().look("to-folder/file", "");
    assert.ok(inFolder.kind === "something" && inFolder.isFile && !inFolder.isInside);
    folder.quarantine().removeEmptyFolder("to-folder");
    assert.ok(Deno.lstatSync(folder.at("to-folder")).isSymlink);
  },
);

Deno.test(
  "[R5] a folder swapped for a link in the moment of the rename: what was taken elsewhere goes back there",
  { ignore: isWindows },
  () => {
    using folder = new Folder();
    using other = new Folder();
    const version = folder.put("a/file", "ours");
    other.put("file", "theirs");
    const job = folder
      .quarantine({
        rename: (from, to) => {
          Deno.renameSync(folder.at("a"), folder.at("aside"));
          Deno.symlinkSync(other.root, folder.at("a"));
          platform.changes.rename(from, to);
        },
      })
      .open("job_1");
    assert.equal(job.take("a/file", NAME), null);
    assert.equal(job.settle("a/file", NAME, version), "back");
    assert.equal(other.text("file"), "theirs");
    assert.equal(folder.text("aside/file"), "ours");
    assert.equal(folder.quarantined(), null);
  },
);

Deno.test("[R5] two names for one file are seen, before the move and after it", () => {
  using folder = new Folder();
  const version = folder.put("a/file", "content");
  Deno.linkSync(folder.at("a/file"), folder.at("other"));
  const lying = folder.quarantine().look("a/file", version);
  assert.ok(lying.kind === "something" && lying.links === 2);
  const job = folder.quarantine().open("job_1");
  job.take("a/file", NAME);
  assert.equal(job.settle("a/file", NAME, version), "back");
  assert.equal(folder.text("a/file"), "content");
});

Deno.test("[R5] a file replaced by another of the same size and time is known to be another, and goes back", () => {
  using folder = new Folder();
  const version = folder.put("a/file", "before");
  const { mtime, atime } = Deno.lstatSync(folder.at("a/file"));
  Deno.renameSync(folder.at("a/file"), folder.at("aside"));
  folder.put("a/file", "behind");
  Deno.utimeSync(folder.at("a/file"), atime ?? 0, mtime ?? 0);
  const lying = folder.quarantine().look("a/file", version);
  assert.ok(lying.kind === "something" && lying.identity === "other");
  const job = folder.quarantine().open("job_1");
  job.take("a/file", NAME);
  assert.equal(job.settle("a/file", NAME, version), "back");
  assert.equal(folder.text("a/file"), "behind");
});

Deno.test("[R5] going back replaces nothing: who came meanwhile stays, and what was taken is kept", () => {
  using folder = new Folder();
  const version = folder.put("a/file", "before");
  const job = folder.quarantine().open("job_1");
  folder.put("a/file", "a longer one");
  job.take("a/file", NAME);
  folder.put("a/file", "newest");
  assert.equal(job.settle("a/file", NAME, version), "kept");
  assert.equal(folder.text("a/file"), "newest");
  assert.equal(folder.quarantined(), "a longer one");
});

Deno.test("[R5] somebody who comes in the very moment of going back is not replaced either", () => {
  using folder = new Folder();
  const version = folder.put("a/file", "before");
  const job = folder
    .quarantine({
      link: (from, to) => {
        folder.put("a/file", "newest");
        platform.changes.link(from, to);
      },
    })
    .open("job_1");
  folder.put("a/file", "a longer one");
  job.take("a/file", NAME);
  assert.equal(job.settle("a/file", NAME, version), "kept");
  assert.equal(folder.text("a/file"), "newest");
  assert.equal(folder.quarantined(), "a longer one");
});

Deno.test(
  "[R5] a folder, or a link, that was taken in a file's place is not lost",
  { ignore: isWindows },
  () => {
    using folder = new Folder();
    const version = folder.put("file", "before");
    const job = folder.quarantine().open("job_1");
    Deno.removeSync(folder.at("file"));
    folder.put("file/inside", "theirs");
    job.take("file", NAME);
    assert.equal(job.settle("file", NAME, version), "back");
    assert.equal(folder.text("file/inside"), "theirs");
    Deno.removeSync(folder.at("file"), { recursive: true });
    Deno.symlinkSync("nowhere", folder.at("file"));
    job.take("file", NAME);
    assert.equal(job.settle("file", NAME, version), "kept");
    assert.ok(Deno.lstatSync(folder.at(`${QUARANTINE_FOLDER}/job_1/${NAME}`)).isSymlink);
  },
);

Deno.test("[R9] a death between the two steps of going back is mended: one name is left, at the old place", () => {
  using folder = new Folder();
  const version = folder.put("a/file", "before");
  const job = folder.quarantine().open("job_1");
  folder.put("a/file", "a longer one");
  job.take("a/file", NAME);
  Deno.linkSync(folder.at(`${QUARANTINE_FOLDER}/job_1/${NAME}`), folder.at("a/file"));
  assert.equal(job.settle("a/file", NAME, version), "back");
  assert.equal(folder.text("a/file"), "a longer one");
  assert.equal(folder.quarantined(), null);
  assert.equal(job.settle("a/file", NAME, version), "back");
  Deno.removeSync(folder.at("a/file"));
  assert.equal(job.settle("a/file", NAME, version), "gone");
});

Deno.test(
  "[R3] a quarantine on another volume is seen by its rename, and the file stays",
  { ignore: isWindows },
  () => {
    using folder = new Folder();
    let elsewhere: string;
    try {
      elsewhere = Deno.makeTempDirSync({ dir: "/dev/shm" });
    } catch {
      return;
    }
    try {
      folder.put("file", "content");
      const isSame = Deno.statSync(elsewhere).dev === Deno.statSync(folder.root).dev;
      const job = folder
        .quarantine({ rename: (from) => platform.changes.rename(from, `${elsewhere}/moved`) })
        .open("job_1");
      if (!isSame) assert.equal(job.take("file", NAME), "other_volume");
      if (!isSame) assert.equal(folder.text("file"), "content");
    } finally {
      Deno.removeSync(elsewhere, { recursive: true });
    }
  },
);

Deno.test(
  "[R3] a file in a folder that may not be changed stays",
  { ignore: isWindows || Deno.uid() === 0 },
  () => {
    using folder = new Folder();
    folder.put("a/file", "content");
    const job = folder.quarantine().open("job_1");
    Deno.chmodSync(folder.at("a"), 0o500);
    try {
      assert.equal(job.take("a/file", NAME), "source_denied");
      assert.equal(folder.text("a/file"), "content");
    } finally {
      Deno.chmodSync(folder.at("a"), 0o700);
    }
  },
);

Deno.test("[R6] nothing in the quarantine is replaced, and no name leads out of it", () => {
  using folder = new Folder();
  folder.put("a", "1");
  folder.put("b", "2");
  const job = folder.quarantine().open("job_1");
  job.take("a", NAME);
  assert.throws(() => job.take("b", NAME), isDiskError("exists"));
  assert.throws(() => job.take("b", "../b"));
  assert.throws(() => folder.quarantine().open("../elsewhere"));
  assert.equal(folder.quarantined(), "1");
  assert.equal(folder.text("b"), "2");
});

Deno.test("[R6] only empty folders go, never the root, and a file in a folder's place stays", () => {
  using folder = new Folder();
  folder.put("full/file", "content");
  folder.put("file", "content");
  Deno.mkdirSync(folder.at("empty"));
  const quarantine = folder.quarantine();
  for (const path of ["full", "file", "empty", "missing", "", "full/..", ".."])
    quarantine.removeEmptyFolder(path);
  assert.deepEqual(
    new Set([...Deno.readDirSync(folder.root)].map(({ name }) => name)),
    new Set(["file", "full"]),
  );
});

// --- purge ---------------------------------------------------------------------------------------------------------

/** Moves one file as a job does. */
function moved(folder: Folder, text = "content"): UndoNote {
  const version = folder.put("a/file", text);
  const job = folder.quarantine().open("job_1");
  const note = noteOf("a/file", text, version, 7 * DAY_MS);
  job.note([note]);
  job.take("a/file", NAME);
  return note;
}

/** What became of each, and how it ended. */
async function purge(folder: Folder, nowMs: number, more: Partial<LocalPurgeOptions> = {}): Promise<string> {
  const settled: string[] = [];
  const end = await purgeQuarantine(
    platform,
    { root: folder.root, jobId: "job_1" },
    {
      nowMs,
      mayGoOn: () => true,
      confirm: () => Promise.resolve(true),
      onSettled: (_, purged) => void settled.push(purged),
      signal: SIGNAL,
      ...more,
    },
  );
  return [...settled, end].join(" ");
}

Deno.test("[R8] a file is purged when its days are over, and not before; the list stays as a record", async () => {
  using folder = new Folder();
  moved(folder);
  assert.equal(await purge(folder, 7 * DAY_MS - 1), "not_due left");
  assert.equal(folder.quarantined(), "content");
  assert.equal(await purge(folder, 7 * DAY_MS), "purged empty");
  assert.equal(folder.quarantined(), null);
  assert.match(folder.text(`${QUARANTINE_FOLDER}/job_1/purged-${7 * DAY_MS}.jsonl`) ?? "", /"a\/file"/);
  assert.equal(await purge(folder, 8 * DAY_MS), "closed");
});

Deno.test("[R8] what the destination does not hold any more is not purged", async () => {
  using folder = new Folder();
  moved(folder);
  const confirm = () => Promise.resolve(false);
  assert.equal(await purge(folder, 8 * DAY_MS, { confirm }), "unconfirmed left");
  assert.equal(folder.quarantined(), "content");
});

Deno.test("[R8] what was written to in the quarantine is not purged, though its size and time be the same", async () => {
  using folder = new Folder();
  const file = folder.at(`${QUARANTINE_FOLDER}/job_1/${NAME}`);
  moved(folder);
  const { atime, mtime } = Deno.lstatSync(file);
  Deno.writeTextFileSync(file, "CONTENT");
  Deno.utimeSync(file, atime ?? 0, mtime ?? 0);
  assert.equal(await purge(folder, 8 * DAY_MS), "changed left");
  assert.equal(folder.quarantined(), "CONTENT");
});

Deno.test("[R8] a file nobody noted, another job's, and what was put in a file's place are left alone", async () => {
  using folder = new Folder();
  moved(folder);
  folder.put(`${QUARANTINE_FOLDER}/job_1/ab12-0-1`, "not noted");
  folder.put(`${QUARANTINE_FOLDER}/job_2/${NAME}`, "another's");
  const options = { jobId: "job_2", root: folder.root };
  const asked = { mayGoOn: () => true, confirm: () => Promise.resolve(true), onSettled: () => {} };
  await purgeQuarantine(platform, options, { ...asked, signal: SIGNAL, nowMs: 8 * DAY_MS });
  assert.equal(folder.quarantined(), "content");
  Deno.removeSync(folder.at(`${QUARANTINE_FOLDER}/job_1/${NAME}`));
  folder.put(`${QUARANTINE_FOLDER}/job_1/${NAME}`, "content");
  await purge(folder, 8 * DAY_MS);
  assert.equal(folder.quarantined(), "content");
  assert.equal(folder.quarantined("ab12-0-1"), "not noted");
  assert.equal(folder.text(`${QUARANTINE_FOLDER}/job_2/${NAME}`), "another's");
});

Deno.test("[R9] a list that ends in half a line, after a death or on a full disk, is read and goes on", async () => {
  using folder = new Folder();
  const list = folder.at(`${QUARANTINE_FOLDER}/job_1/${UNDO_FILE}`);
  folder.quarantine().open("job_1");
  Deno.writeTextFileSync(list, '{"name":"half of a li');
  moved(folder);
  assert.equal(await purge(folder, 8 * DAY_MS), "purged empty");
});

Deno.test("[R8] a list whose names lead out of the quarantine removes nothing", async () => {
  using folder = new Folder();
  const note = moved(folder);
  folder.put("precious", "content");
  for (const name of ["../../precious", "/etc/passwd", "..", ""])
    Deno.writeTextFileSync(
      folder.at(`${QUARANTINE_FOLDER}/job_1/${UNDO_FILE}`),
      `${JSON.stringify({ ...note, name })}\n`,
      { append: true },
    );
  await purge(folder, 8 * DAY_MS);
  assert.equal(folder.text("precious"), "content");
});

Deno.test("[R8] a purge makes no folder, and goes through no link", { ignore: isWindows }, async () => {
  using folder = new Folder();
  using other = new Folder();
  assert.equal(await purge(folder, 8 * DAY_MS), "absent");
  assert.deepEqual([...Deno.readDirSync(folder.root)], []);
  moved(other);
  Deno.symlinkSync(other.at(QUARANTINE_FOLDER), folder.at(QUARANTINE_FOLDER));
  await assert.rejects(purge(folder, 8 * DAY_MS), isDiskError("not_a_folder"));
  assert.equal(other.quarantined(), "content");
});

Deno.test("[R8] a list to which somebody may be writing by now is not put aside", async () => {
  using folder = new Folder();
  moved(folder);
  let isBusy = false;
  const onSettled = () => void (isBusy = true);
  assert.equal(await purge(folder, 8 * DAY_MS, { onSettled, mayGoOn: () => !isBusy }), "interrupted");
  assert.ok(folder.text(`${QUARANTINE_FOLDER}/job_1/${UNDO_FILE}`) !== null);
});
