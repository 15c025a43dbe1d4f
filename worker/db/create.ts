/** Making a row once, however often it is asked for: the idempotency key of the request is unique per organization. */
import { eq } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { OrgTable, ScopedDb, Write } from "../../schema/scoped-db.ts";

type Creatable = OrgTable & { id: SQLiteColumn; idempotencyKey: SQLiteColumn };

/**
 * Inserts a row and its audit entry; resolves with the id of the row there is now, which is an earlier one when the same
 * key made it before.
 */
export async function createOnce<Table extends Creatable>(
  db: ScopedDb,
  table: Table,
  row: Omit<Table["$inferInsert"], "orgId"> & { id: string; idempotencyKey: string | null },
  audit: Write,
): Promise<string> {
  const earlier = await findByKey(db, table, row.idempotencyKey);
  if (earlier !== null) return earlier;
  try {
    await db.batch([db.insert(table, row), audit]);
    return row.id;
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
