/**
 * One suite for the database of the simulator (`test/sim/database.ts`) and for the real D1, so that the one cannot drift
 * from the other in what the product asks of it.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { SimulatedD1 } from "../sim/database.ts";
import { controlPlane, unique } from "./harness.ts";

interface Outcome {
  readonly results: unknown[];
  readonly meta: { readonly changes: number };
}
interface Statement {
  bind(...values: unknown[]): Statement;
  all(): Promise<Outcome>;
  run(): Promise<Outcome>;
  first(): Promise<unknown>;
  raw(): Promise<unknown[]>;
}
interface D1 {
  prepare(sql: string): Statement;
  batch(statements: Statement[]): Promise<Outcome[]>;
}

const WORLDS: readonly (readonly [string, () => Promise<D1>])[] = [
  ["real D1", async () => (await controlPlane()).database as unknown as D1],
  ["the simulator's D1", async () => new SimulatedD1(async (act) => act(), Math.random) as unknown as D1],
];

describe.each(WORLDS)("[Q32] %s", (_, open) => {
  let d1: D1;
  let parents: string;
  let children: string;
  beforeAll(async () => {
    d1 = await open();
    const name = unique().replaceAll("-", "_");
    [parents, children] = [`parents_${name}`, `children_${name}`];
    await d1.batch([
      d1.prepare(
        `CREATE TABLE ${parents} (id TEXT PRIMARY KEY, value, n INTEGER NOT NULL DEFAULT 0 CHECK (n >= 0))`,
      ),
      d1.prepare(
        `CREATE TABLE ${children} (id TEXT PRIMARY KEY, parent TEXT NOT NULL REFERENCES ${parents}(id) ON DELETE CASCADE)`,
      ),
    ]);
  });
  const put = (id: string, value: unknown = null) =>
    d1.prepare(`INSERT INTO ${parents} (id, value) VALUES (?, ?)`).bind(id, value);
  const idsLike = async (pattern: string) =>
    (await d1.prepare(`SELECT id FROM ${parents} WHERE id LIKE ? ORDER BY id`).bind(pattern).raw()).flat();

  test("a batch is carried out whole or not at all", async () => {
    await put("batch-0").run();
    await expect(d1.batch([put("batch-1"), put("batch-0"), put("batch-2")])).rejects.toThrow(
      "UNIQUE constraint failed",
    );
    expect(await idsLike("batch-%")).toEqual(["batch-0"]);
    await d1.batch([put("batch-1"), put("batch-2")]);
    expect(await idsLike("batch-%")).toEqual(["batch-0", "batch-1", "batch-2"]);
  });

  test("statements of a batch see what those before them did", async () => {
    const [, read, copied] = await d1.batch([
      put("seen-1", 7),
      d1.prepare(`SELECT value FROM ${parents} WHERE id = 'seen-1'`),
      d1.prepare(
        `INSERT INTO ${parents} (id, value) SELECT 'seen-2', value FROM ${parents} WHERE id = 'seen-1'`,
      ),
    ]);
    expect(read?.results).toEqual([{ value: 7 }]);
    expect(copied?.meta.changes).toBe(1);
  });

  test("of each statement of a batch it is told how many rows it changed", async () => {
    const outcomes = await d1.batch([
      put("count-1"),
      put("count-2"),
      d1.prepare(`UPDATE ${parents} SET n = n WHERE id LIKE 'count-%'`),
      d1.prepare(`UPDATE ${parents} SET n = 1 WHERE id = 'count-3'`),
      d1.prepare(`SELECT id FROM ${parents} WHERE id LIKE 'count-%'`),
      d1.prepare(`INSERT INTO ${parents} (id) VALUES ('count-1') ON CONFLICT DO NOTHING`),
      d1.prepare(`INSERT INTO ${parents} (id) VALUES ('count-1') ON CONFLICT (id) DO UPDATE SET n = 5`),
      d1.prepare(`UPDATE ${parents} SET n = 6 WHERE id = 'count-1' RETURNING n`),
      d1.prepare(`DELETE FROM ${parents} WHERE id LIKE 'count-%'`),
    ]);
    expect(outcomes.map(({ meta }) => meta.changes)).toEqual([1, 1, 2, 0, 0, 0, 1, 1, 2]);
    expect(outcomes[4]?.results).toEqual([{ id: "count-1" }, { id: "count-2" }]);
    expect(outcomes[7]?.results).toEqual([{ n: 6 }]);
    expect((await d1.prepare(`DELETE FROM ${parents} WHERE id = 'count-1'`).run()).meta.changes).toBe(0);
  });

  test("rows that went with others, by a foreign key, count the same", async () => {
    const child = (id: string, parent: string) =>
      d1.prepare(`INSERT INTO ${children} VALUES (?, ?)`).bind(id, parent);
    await d1.batch([put("cascade"), child("c-1", "cascade"), child("c-2", "cascade")]);
    const { meta } = await d1.prepare(`DELETE FROM ${parents} WHERE id = 'cascade'`).run();
    expect((await d1.prepare(`SELECT id FROM ${children}`).all()).results).toEqual([]);
    expect(meta.changes).toBe(3);
    await expect(child("c-3", "nobody").run()).rejects.toThrow("FOREIGN KEY constraint failed");
  });

  test("what is refused says by which rule", async () => {
    await expect(d1.prepare(`INSERT INTO ${parents} (id, n) VALUES ('refused', -1)`).run()).rejects.toThrow(
      "CHECK constraint failed",
    );
    await expect(d1.prepare(`INSERT INTO ${parents} (id, n) VALUES ('refused', NULL)`).run()).rejects.toThrow(
      "NOT NULL constraint failed",
    );
    await expect((async () => await d1.prepare("SELECT id FROM nowhere").all())()).rejects.toThrow(
      "no such table",
    );
    expect(await idsLike("refused")).toEqual([]);
  });

  test("values come back as they were put in", async () => {
    const values = [
      null,
      0,
      -1,
      1.5,
      Number.MAX_SAFE_INTEGER,
      Date.now(),
      "",
      "Ünï\u{1F600}\0code",
      "12",
      '{"a":1}',
    ];
    for (const [index, value] of values.entries()) {
      await put(`value-${index}`, value).run();
      expect(
        await d1.prepare(`SELECT value FROM ${parents} WHERE id = ?`).bind(`value-${index}`).first(),
      ).toEqual({
        value,
      });
    }
    await d1.batch([put("value-true", true), put("value-false", false)]);
    expect(
      await d1.prepare(`SELECT value FROM ${parents} WHERE id LIKE 'value-_%e' ORDER BY id DESC`).raw(),
    ).toEqual([[1], [0]]);
    expect(await d1.prepare(`SELECT value FROM ${parents} WHERE id = 'value-none'`).first()).toBe(null);
  });

  test("columns of one name are told apart by place, and run together by name", async () => {
    const statement = d1.prepare("SELECT 1 AS a, 2 AS b, 3 AS a");
    expect(await statement.raw()).toEqual([[1, 2, 3]]);
    expect((await statement.all()).results).toEqual([{ a: 3, b: 2 }]);
  });

  test("numbered parameters may be used more than once", async () => {
    const statement = d1.prepare("SELECT ?2 AS second, ?1 AS first, ?2 AS again").bind("a", "b");
    expect((await statement.all()).results).toEqual([{ second: "b", first: "a", again: "b" }]);
  });
});
