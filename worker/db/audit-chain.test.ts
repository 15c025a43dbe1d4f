import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { beforeEach, expect, test } from "vitest";
import { entryHash, firstHash } from "../../schema/audit.ts";
import { scopedDb, type ScopedDb } from "../../schema/scoped-db.ts";
import { sha256Hex } from "../secrets.ts";
import { readChain, readHead, sealAudit } from "./audit-chain.ts";

const FOLDER = join(import.meta.dirname, "../../schema/migrations");
const JOURNAL = JSON.parse(readFileSync(join(FOLDER, "meta/_journal.json"), "utf8")) as {
  entries: { tag: string }[];
};
const ORG = "org_ours";

let database: DatabaseSync;
let reader: ScopedDb;

/** D1 on real SQLite; `before` is run once, right before the first batch: what somebody else does in that moment. */
function door(before: () => Promise<void> = async () => undefined): ScopedDb {
  let isFirst = true;
  const prepare = (text: string, values: readonly SQLInputValue[] = []) => ({
    bind: (...bound: SQLInputValue[]) => prepare(text, bound),
    raw: async () => {
      const statement = database.prepare(text);
      statement.setReturnArrays(true);
      return statement.all(...values);
    },
    run: () => ({ results: [], meta: { changes: Number(database.prepare(text).run(...values).changes) } }),
  });
  const batch = async (statements: readonly { run(): unknown }[]) => {
    if (isFirst) {
      isFirst = false;
      await before();
    }
    database.exec("begin");
    try {
      const results = statements.map((statement) => statement.run());
      database.exec("commit");
      return results;
    } catch (error) {
      database.exec("rollback");
      throw error;
    }
  };
  const shim: unknown = { prepare, batch };
  return scopedDb(shim as Parameters<typeof scopedDb>[0], ORG);
}

beforeEach(() => {
  database = new DatabaseSync(":memory:");
  database.exec("pragma foreign_keys = off");
  for (const { tag } of JOURNAL.entries) database.exec(readFileSync(join(FOLDER, `${tag}.sql`), "utf8"));
  reader = door();
});

function write(id: string): void {
  database
    .prepare("insert into audit_log (org_id, id, at, actor_kind, action) values (?, ?, 1, 'system', ?)")
    .run(ORG, id, `entry.${id}`);
}

/** Takes entries away for as long as `act` lasts, as if they had not been written yet. */
async function without(ids: readonly string[], act: () => Promise<unknown>): Promise<void> {
  for (const id of ids) database.prepare("delete from audit_log where id = ? and number is null").run(id);
  await act();
}

async function assertWhole(ids: readonly string[]): Promise<void> {
  const entries = await readChain(reader, 0, 1_000);
  expect(entries.map(({ id }) => id)).toEqual(ids);
  let hash = await firstHash(ORG, sha256Hex);
  for (const [index, entry] of entries.entries()) {
    expect(entry.number).toBe(index + 1);
    expect(entry.hash, entry.id).toBe(await entryHash(hash, entry, sha256Hex));
    hash = entry.hash;
  }
  expect(await readHead(reader)).toEqual({ number: ids.length, hash });
}

test("[V2] a sealer that was overtaken by one who saw an older entry writes nothing of what it had prepared", async () => {
  for (const id of ["b", "c"]) write(id);
  const overtaken = door(async () => {
    write("a");
    await sealAudit(reader);
  });
  await sealAudit(overtaken);
  await assertWhole(["a", "b", "c"]);
});

test("[V2] a sealer that was overtaken by one who saw less numbers only what is left, behind what is there", async () => {
  for (const id of ["a", "b", "c"]) write(id);
  const overtaken = door(async () => {
    await without(["b", "c"], () => sealAudit(reader));
    for (const id of ["b", "c"]) write(id);
  });
  await sealAudit(overtaken);
  await assertWhole(["a", "b", "c"]);
});

test("[V2] the same entries in another order are not built upon: the hash before decides, not its number", async () => {
  for (const id of ["b", "c", "e"]) write(id);
  const overtaken = door(async () => {
    await without(["b", "e"], () => sealAudit(reader));
    write("b");
    await sealAudit(reader);
    write("e");
  });
  await sealAudit(overtaken);
  await assertWhole(["c", "b", "e"]);
});

test("[V2] two sealers who saw the same write the same chain once", async () => {
  for (let index = 0; index < 120; index++) write(String(index).padStart(3, "0"));
  await Promise.all([sealAudit(door()), sealAudit(door(async () => void (await sealAudit(door()))))]);
  await assertWhole(Array.from({ length: 120 }, (_none, index) => String(index).padStart(3, "0")));
});

test("[V2] what one call does is bounded; the next goes on", async () => {
  for (let index = 0; index < 1_100; index++) write(String(index).padStart(4, "0"));
  expect(await sealAudit(reader)).toBe(1_000);
  expect(await sealAudit(reader)).toBe(100);
  expect(await sealAudit(reader)).toBe(0);
  expect((await readHead(reader)).number).toBe(1_100);
});
