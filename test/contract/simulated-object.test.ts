/**
 * One suite for the SQLite of the simulator's Durable Object (`test/sim/object.ts`) and for that of a real one, in what
 * `durable-objects/storage.ts` asks of it.
 */
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { sqlStorage } from "../sim/object.ts";
import { controlPlane, unique } from "./harness.ts";

type Execute = (sql: string, ...parameters: unknown[]) => Promise<unknown[]>;

const WORLDS: readonly (readonly [string, () => Promise<Execute>])[] = [
  [
    "a real object's SQLite",
    async () => {
      const plane = await controlPlane();
      const name = `simulated-${unique()}`;
      return async (sql, ...parameters) => await plane.objectRows(name, sql, ...parameters);
    },
  ],
  [
    "the simulator's object's SQLite",
    async () => {
      const { exec } = sqlStorage(new DatabaseSync(":memory:"));
      return async (sql, ...parameters) => exec(sql, ...parameters).toArray();
    },
  ],
];

describe.each(WORLDS)("[Q35] %s", (_, open) => {
  test("several statements at once are all carried out", async () => {
    const execute = await open();
    await execute(
      "CREATE TABLE one (n INTEGER NOT NULL); INSERT INTO one VALUES (3); ALTER TABLE one ADD COLUMN m TEXT;",
    );
    expect(await execute("SELECT * FROM one")).toEqual([{ n: 3, m: null }]);
    expect(await execute("SELECT name FROM sqlite_master WHERE name = 'one'")).toEqual([{ name: "one" }]);
    expect(await execute("SELECT name FROM sqlite_master WHERE name = 'other'")).toEqual([]);
  });

  test("values come back as they were put in, and a row is replaced by its key", async () => {
    const execute = await open();
    await execute("CREATE TABLE kept (id TEXT PRIMARY KEY, value)");
    const values = [null, 0, -1, 1.5, Date.now(), Number.MAX_SAFE_INTEGER, "", "Ünï\u{1F600}", '{"a":1}'];
    for (const value of values) {
      await execute("INSERT OR REPLACE INTO kept (id, value) VALUES (?, ?)", "a", value);
      expect(await execute("SELECT * FROM kept")).toEqual([{ id: "a", value }]);
    }
    await execute("UPDATE kept SET value = ?", 5);
    expect(await execute("SELECT value FROM kept WHERE id = ?", "a")).toEqual([{ value: 5 }]);
    await execute("DELETE FROM kept WHERE id = ?", "a");
    expect(await execute("SELECT * FROM kept")).toEqual([]);
  });

  test("what is refused says by which rule, and changes nothing", async () => {
    const execute = await open();
    await execute("CREATE TABLE ruled (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL)");
    await execute("INSERT INTO ruled VALUES (1, 'a')");
    await expect(execute("INSERT INTO ruled VALUES (?, ?)", 2, "b")).rejects.toThrow(
      "CHECK constraint failed",
    );
    await expect(execute("INSERT INTO ruled VALUES (?, ?)", 1, "b")).rejects.toThrow(
      "UNIQUE constraint failed",
    );
    await expect(execute("UPDATE ruled SET name = ?", null)).rejects.toThrow("NOT NULL constraint failed");
    expect(await execute("SELECT * FROM ruled")).toEqual([{ one: 1, name: "a" }]);
  });
});
