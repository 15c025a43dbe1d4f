import { eq, sql } from "drizzle-orm";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { beforeEach, expect, test } from "vitest";
import { scopedDb, type ScopedDb } from "../../schema/scoped-db.ts";
import { clients, projects } from "../../schema/tables.ts";

const FOLDER = join(import.meta.dirname, "../../schema/migrations");
const JOURNAL = JSON.parse(readFileSync(join(FOLDER, "meta/_journal.json"), "utf8")) as {
  entries: { tag: string }[];
};

/** As much of D1 as drizzle asks of it, on real SQLite. */
function d1On(database: DatabaseSync): Parameters<typeof scopedDb>[0] {
  const prepare = (text: string, values: readonly SQLInputValue[] = []) => ({
    bind: (...bound: SQLInputValue[]) => prepare(text, bound),
    raw: async () => {
      const statement = database.prepare(text);
      statement.setReturnArrays(true);
      return statement.all(...values);
    },
    run: async () => ({
      results: [],
      meta: { changes: Number(database.prepare(text).run(...values).changes) },
    }),
  });
  const batch = async (statements: { run(): Promise<unknown> }[]) => {
    const results = [];
    for (const statement of statements) results.push(await statement.run());
    return results;
  };
  const shim: unknown = { prepare, batch };
  return shim as Parameters<typeof scopedDb>[0];
}

let database: DatabaseSync;
let ours: ScopedDb;
let theirs: ScopedDb;

const client = (id: string, name: string) => ({
  id,
  name,
  contactName: null,
  contactEmail: null,
  psaCompanyId: null,
  status: "active" as const,
  createdBy: "usr",
  createdAt: 1,
  updatedAt: 1,
  idempotencyKey: null,
});
const project = (id: string, name: string, clientId: string) => ({
  id,
  clientId,
  type: "file_migration" as const,
  name,
  createdBy: "usr",
  createdAt: 1,
  updatedAt: 1,
});

/** The same ids in both organizations, as no two organizations have them: only the scope tells the rows apart. */
beforeEach(async () => {
  database = new DatabaseSync(":memory:");
  database.exec("pragma foreign_keys = off");
  for (const { tag } of JOURNAL.entries) database.exec(readFileSync(join(FOLDER, `${tag}.sql`), "utf8"));
  [ours, theirs] = [scopedDb(d1On(database), "org_ours"), scopedDb(d1On(database), "org_theirs")];
  for (const [db, whose] of [
    [ours, "ours"],
    [theirs, "theirs"],
  ] as const) {
    await db.batch([
      db.insert(clients, client("cli_1", `client of ${whose}`)),
      db.insert(projects, project("prj_1", `project of ${whose}`, "cli_1")),
    ]);
  }
});

const namesOf = (table: "clients" | "projects") =>
  (database.prepare(`select org_id, name from ${table} order by org_id`).all() as { name: string }[]).map(
    ({ name }) => name,
  );

test("[C1] a read sees the rows of its organization only, with a condition and without", async () => {
  expect(await ours.select({ name: clients.name }, clients)).toEqual([{ name: "client of ours" }]);
  const where = eq(clients.id, "cli_1");
  expect(await theirs.select({ name: clients.name }, clients, { where })).toEqual([
    { name: "client of theirs" },
  ]);
  expect(await ours.first({ name: clients.name }, clients, { where: sql`1 = 1 or 1 = 1` })).toEqual({
    name: "client of ours",
  });
});

test.each(["inner", "left"] as const)(
  "[C1] a joined table (%s) is of the same organization",
  async (kind) => {
    const fields = { project: projects.name, client: clients.name };
    const joined = [{ table: clients, on: eq(clients.id, projects.clientId), kind }];
    expect(await ours.select(fields, projects, { join: joined })).toEqual([
      { project: "project of ours", client: "client of ours" },
    ]);
  },
);

test("[C1] a change reaches the rows of its organization only", async () => {
  const [changed] = await ours.batch([ours.update(clients, { name: "changed" }, eq(clients.id, "cli_1"))]);
  expect(changed).toBe(1);
  expect(namesOf("clients")).toEqual(["changed", "client of theirs"]);
  expect(await ours.batch([ours.update(clients, { name: "all" }, undefined)])).toEqual([1]);
  expect(namesOf("clients")).toEqual(["all", "client of theirs"]);
});

test("[C1] a removal reaches the rows of its organization only", async () => {
  expect(await ours.batch([ours.delete(projects, eq(projects.id, "prj_1"))])).toEqual([1]);
  expect(namesOf("projects")).toEqual(["project of theirs"]);
});

test("[C1] a new row belongs to the organization, whatever is asked for", async () => {
  const row = { ...client("cli_2", "second"), orgId: "org_theirs" };
  await ours.batch([ours.insert(clients, row)]);
  await ours.batch([ours.insertIf(clients, { ...row, id: "cli_3" }, sql`1 = 1`)]);
  expect(await theirs.select({ id: clients.id }, clients)).toEqual([{ id: "cli_1" }]);
  expect((await ours.select({ id: clients.id }, clients)).length).toBe(3);
});

test("[V6] a row that hangs on a change is made with it, and left out without it", async () => {
  const change = (where: string, id: string) =>
    ours.batch([
      ours.update(clients, { name: "changed" }, eq(clients.id, where)),
      ours.insertIfChanged(clients, client(id, "made")),
    ]);
  expect(await change("cli_1", "cli_2")).toEqual([1, 1]);
  expect(await change("cli_none", "cli_3")).toEqual([0, 0]);
  expect((await ours.select({ id: clients.id }, clients)).map(({ id }) => id)).toEqual(["cli_1", "cli_2"]);
});
