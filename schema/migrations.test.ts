import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";

const FOLDER = join(import.meta.dirname, "migrations");
const JOURNAL = JSON.parse(readFileSync(join(FOLDER, "meta/_journal.json"), "utf8")) as {
  entries: { tag: string }[];
};

test("[C16] a job that was stored by the first version is there after all migrations, with nothing counted that was not", () => {
  const database = new DatabaseSync(":memory:");
  // Its parents are not what is asked about.
  database.exec("pragma foreign_keys = off");
  const [first, ...later] = JOURNAL.entries.map(({ tag }) =>
    readFileSync(join(FOLDER, `${tag}.sql`), "utf8"),
  );
  database.exec(first ?? "");
  const columns = database.prepare("pragma table_info(jobs)").all() as { name: string; type: string }[];
  const values = columns.map(({ name, type }) => (type === "integer" ? 7 : `'${name}'`));
  database.exec(`insert into jobs values (${values.join(",")})`);
  const before = database.prepare("select * from jobs").get();
  for (const text of later) database.exec(text);
  expect(database.prepare("select * from jobs").get()).toEqual({
    ...before,
    files_read_back: 0,
    files_deleted: 0,
    preview: null,
    start_at: null,
    name_key: "name",
    destination: null,
    only_failed_of: null,
    held_until: null,
  });
});

const MIGRATIONS = JOURNAL.entries.map(({ tag }) => ({
  tag,
  sql: readFileSync(join(FOLDER, `${tag}.sql`), "utf8"),
}));

interface Column {
  readonly name: string;
  readonly type: string;
}

function tablesOf(database: DatabaseSync): { name: string; columns: Column[] }[] {
  const query =
    "select name from sqlite_master where type = 'table' and name not like 'sqlite%' order by name";
  return (database.prepare(query).all() as { name: string }[]).map(({ name }) => ({
    name,
    columns: database.prepare(`pragma table_info(\`${name}\`)`).all() as unknown as Column[],
  }));
}

function databaseOf(count: number): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  database.exec("pragma foreign_keys = off");
  for (const { sql } of MIGRATIONS.slice(0, count)) database.exec(sql);
  return database;
}

/** What a database is made of. */
function shapeOf(database: DatabaseSync): unknown {
  const query = "select type, name, tbl_name, sql from sqlite_master where sql is not null order by name";
  return database.prepare(query).all();
}

test.each(MIGRATIONS.map(({ tag }, index) => ({ tag, count: index + 1 })))(
  "[C16] a database as $tag left it, with a row in every table, becomes today's and loses nothing",
  ({ count }) => {
    const database = databaseOf(count);
    const before = tablesOf(database).map(({ name, columns }) => {
      const values = columns.map((column) => (column.type === "integer" ? 7 : `'${column.name}'`));
      const names = columns.map((column) => `\`${column.name}\``).join(",");
      database.exec(`insert into \`${name}\` (${names}) values (${values.join(",")})`);
      return { name, select: `select ${names} from \`${name}\``, rows: [] as unknown[] };
    });
    for (const table of before) table.rows = database.prepare(table.select).all();
    for (const { sql } of MIGRATIONS.slice(count)) database.exec(sql);
    for (const { name, select, rows } of before) {
      expect(rows.length, name).toBe(1);
      expect(database.prepare(select).all(), name).toEqual(rows);
    }
    expect(shapeOf(database)).toEqual(shapeOf(databaseOf(MIGRATIONS.length)));
  },
);

test("[C16] migrations take nothing away: an older version of the Worker runs on a newer database", () => {
  for (const { tag, sql } of MIGRATIONS) {
    expect(sql, tag).not.toMatch(/\bdrop\s+(table|column|view|trigger)\b|\brename\b|\bdelete\s+from\b/i);
  }
  // Rows as each version writes them, without the columns that came later, go into today's tables.
  for (let count = 1; count < MIGRATIONS.length; count++) {
    const today = databaseOf(MIGRATIONS.length);
    for (const { name, columns } of tablesOf(databaseOf(count))) {
      const values = columns.map((column) => (column.type === "integer" ? 7 : `'${column.name}'`));
      const names = columns.map((column) => `\`${column.name}\``).join(",");
      expect(
        () => today.exec(`insert into \`${name}\` (${names}) values (${values.join(",")})`),
        `${MIGRATIONS[count - 1]?.tag}: ${name}`,
      ).not.toThrow();
    }
  }
});

/** Of migrations that are released: one that was carried out somewhere must stay what it was. */
const RELEASED: Readonly<Record<string, string>> = {
  "0000_first": "e1f39e20bbdaf62a578a6d1b673b10f5e6a3c9368586ae1cac7df72e52bedfe3",
  "0001_read_back_and_deleted": "67f6ee1aea61a583fd8b7353edbb9d4764af057e1600dda3febf3d5fe7cdd718",
  "0002_job_preview": "ebfb44faeacd5972107bea1b07a8dfe65ea219a1638df41c132ec2e548938565",
  "0003_control_plane": "3a889fdc00ec4f30d5a93da937250a7e9c6792b9e460a0d0e8b5c60a78451ade",
  "0004_search": "7cc258d49adcf8699d0aedc4f319ec8d3ff7a5f13128970b6d6d2ccbc451de09",
};

test("[C16] a released migration is never edited, and each has its number", () => {
  for (const [tag, digest] of Object.entries(RELEASED)) {
    const found = MIGRATIONS.find((migration) => migration.tag === tag);
    expect(
      createHash("sha256")
        .update(found?.sql ?? "")
        .digest("hex"),
      tag,
    ).toBe(digest);
  }
  for (const [index, { tag }] of MIGRATIONS.entries())
    expect(tag).toMatch(new RegExp(`^${String(index).padStart(4, "0")}_[a-z0-9_]+$`));
});
