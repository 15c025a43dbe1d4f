/** Making a row once, however often it is asked for: the idempotency key of the request is unique per organization. */
import { eq, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { OrgTable, ScopedDb, Write } from "../../schema/scoped-db.ts";

type Creatable = OrgTable & { id: SQLiteColumn; idempotencyKey: SQLiteColumn };

type NewRow<Table extends Creatable> = Omit<Table["$inferInsert"], "orgId"> & {
  id: string;
  idempotencyKey: string | null;
};

/**
 * Inserts a row and its audit entry; resolves with the id of the row there is now, which is an earlier one when the same
 * key made it before.
 */
export async function createOnce<Table extends Creatable>(
  db: ScopedDb,
  table: Table,
  row: NewRow<Table>,
  audit: Write,
): Promise<string> {
  return (await make(db, table, row, [db.insert(table, row), audit])) as string;
}

/** The same, only if a condition holds in that moment; null if it does not. `audit` is one that is left out with the row. */
export async function createOnceIf<Table extends Creatable>(
  db: ScopedDb,
  table: Table,
  row: NewRow<Table>,
  { audit, condition }: { audit: Write; condition: SQL },
): Promise<string | null> {
  return await make(db, table, row, [db.insertIf(table, row, condition), audit]);
}

async function make<Table extends Creatable>(
  db: ScopedDb,
  table: Table,
  row: NewRow<Table>,
  writes: readonly [Write, Write],
): Promise<string | null> {
  const earlier = await findByKey(db, table, row.idempotencyKey);
  if (earlier !== null) return earlier;
  try {
    const [made] = await db.batch(writes);
    // The other request with this key may be what the condition meets.
    return made === 0 ? await findByKey(db, table, row.idempotencyKey) : row.id;
  } catch (error) {
    // Two requests with one key at the same moment: the other one won.
    const winner = await findByKey(db, table, row.idempotencyKey);
    if (winner === null) throw error;
    return winner;
  }
}

async function findByKey(db: ScopedDb, table: Creatable, key: string | null): Promise<string | null> {
  if (key === null) return null;
  const found = await db.first({ id: table.id }, table, { where: eq(table.idempotencyKey, key) });
  return found === null ? null : String(found.id);
}
