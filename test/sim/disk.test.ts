/** One suite for the disk of a simulated machine and for the real one, in what the agent keeps its work by. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Database, NewFile, Platform } from "../../agent/platform.ts";
import { SimulatedDisk } from "./disk.ts";

/** Not by a name that is checked with this folder: its types are Deno's, which do not go together with the Worker's. */
const REAL: string = "../../agent/platform-deno.ts";
const { denoPlatform } = (await import(REAL)) as { denoPlatform: (write: () => void) => Platform };

interface World {
  readonly folder: string;
  open(path: string): Database;
  /** The program ends here: whatever it had open is left as it is. */
  crash(): void;
  remove(path: string): void;
  create(path: string): NewFile;
  names(): string[];
  read(path: string): Uint8Array;
  close(): void;
}

function simulated(): World {
  const disk = new SimulatedDisk();
  let life = { isOver: false };
  const lifeNow = () => {
    const mine = life;
    return () => mine.isOver;
  };
  return {
    folder: "jobs",
    open: (path) => disk.openDatabase(path, lifeNow()),
    crash: () => {
      life.isOver = true;
      life = { isOver: false };
    },
    remove: (path) => disk.removeDatabase(path),
    create: (path) => disk.create(path, lifeNow()),
    names: () => disk.readFolder("jobs").map(({ name }) => name),
    read: (path) => disk.files.get(path) ?? new Uint8Array(),
    close: () => {},
  };
}

function real(): World {
  const folder = mkdtempSync(join(tmpdir(), "disk-contract-"));
  const platform = denoPlatform(() => {});
  const open = new Set<Database>();
  return {
    folder,
    open: (path) => {
      const database = platform.openDatabase(path, { exclusive: false });
      open.add(database);
      return database;
    },
    // As the end of a process: SQLite finds an open transaction in its log, and forgets it.
    crash: () => {
      for (const database of open) database.close();
      open.clear();
    },
    remove: (path) => platform.removeDatabase(path),
    create: (path) => platform.disk.create(path),
    names: () =>
      platform.disk
        .readFolder(folder)
        .map(({ name }) => name)
        .filter((name) => !/-(wal|shm)$/.test(name)),
    read: (path) => readFileSync(path),
    close: () => {
      for (const database of open) database.close();
      rmSync(folder, { recursive: true });
    },
  };
}

const rowsOf = (database: Database) =>
  [...database.prepare("SELECT id, value FROM kept ORDER BY id").iterate()].map((row) => ({ ...row }));

const RULES: Readonly<Record<string, (world: World) => void>> = {
  "what was committed is there after a crash, and what was not is gone": (world) => {
    const path = `${world.folder}/a.db`;
    const first = world.open(path);
    first.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, value)");
    const put = first.prepare("INSERT INTO kept VALUES (?, ?)");
    first.execute("BEGIN");
    put.run(1, "committed");
    first.execute("COMMIT");
    put.run(2, "by itself");
    first.execute("BEGIN");
    put.run(3, "lost");
    first.execute("UPDATE kept SET value = 'lost' WHERE id = 1");
    world.crash();
    const second = world.open(path);
    assert.deepEqual(rowsOf(second), [
      { id: 1, value: "committed" },
      { id: 2, value: "by itself" },
    ]);
    // Nothing of the one before is in the way.
    second.execute("BEGIN");
    second.prepare("INSERT INTO kept VALUES (?, ?)").run(3, "anew");
    second.execute("COMMIT");
    assert.equal(rowsOf(second).length, 3);
  },
  "whoever has crashed writes nothing any more": (world) => {
    const path = `${world.folder}/a.db`;
    const first = world.open(path);
    first.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, value)");
    world.crash();
    const second = world.open(path);
    assert.throws(() => first.execute("INSERT INTO kept VALUES (1, 'late')"));
    assert.deepEqual(rowsOf(second), []);
  },
  "values come back as they were put in": (world) => {
    const database = world.open(`${world.folder}/a.db`);
    database.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, value)");
    const values = [null, 0, 1.5, Number.MAX_SAFE_INTEGER, "Ünï\u{1F600}", "", new Uint8Array([0, 255, 7])];
    const put = database.prepare("INSERT INTO kept VALUES (?, ?)");
    for (const [index, value] of values.entries()) put.run(index, value);
    assert.deepEqual(
      rowsOf(database).map(({ value }) => value),
      values,
    );
    assert.equal(database.prepare("SELECT id FROM kept WHERE id = 99").get(), undefined);
  },
  "a statement that is refused changes nothing, and leaves its transaction open": (world) => {
    const database = world.open(`${world.folder}/a.db`);
    database.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, value NOT NULL)");
    const put = database.prepare("INSERT INTO kept VALUES (?, ?)");
    database.execute("BEGIN");
    put.run(1, "a");
    assert.throws(() => put.run(1, "b"));
    assert.throws(() => put.run(2, null));
    database.execute("COMMIT");
    assert.deepEqual(rowsOf(database), [{ id: 1, value: "a" }]);
  },
  "a database that was removed is listed no more, and begins anew": (world) => {
    for (const name of ["a.db", "b.db"])
      world.open(`${world.folder}/${name}`).execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, value)");
    assert.deepEqual(world.names().sort(), ["a.db", "b.db"]);
    world.crash();
    world.remove(`${world.folder}/a.db`);
    assert.deepEqual(world.names(), ["b.db"]);
    assert.throws(() => rowsOf(world.open(`${world.folder}/a.db`)), /no such table/);
  },
  "a file that is made anew is empty, and holds what was written in order": (world) => {
    const path = `${world.folder}/manifest.jsonl`;
    for (const words of [
      ["long ", "one"],
      ["a", "b"],
    ]) {
      const file = world.create(path);
      for (const word of words) file.write(new TextEncoder().encode(word));
      file.finish();
    }
    assert.equal(new TextDecoder().decode(world.read(path)), "ab");
  },
};

for (const [kind, make] of [
  ["the simulator's disk", simulated],
  ["the real disk", real],
] as const) {
  for (const [name, rule] of Object.entries(RULES)) {
    Deno.test(`[Q34] ${kind}: ${name}`, async () => {
      const world = make();
      try {
        await Promise.resolve(rule(world));
      } finally {
        world.close();
      }
    });
  }
}
