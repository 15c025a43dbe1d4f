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
  });
});
