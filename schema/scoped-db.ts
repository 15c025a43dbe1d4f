/**
 * The only door to D1. A {@link ScopedDb} belongs to one organization and puts `org_id = ?` into every read and write, on
 * the table asked for and on each one joined to it, so that no query can leave it out.
 *
 * {@link systemDb} is the door for the few questions that come before there is an organization: who does this session,
 * this code, this sign-in token belong to. `worker/db/identity.ts` and `worker/db/sweep.ts` alone may use it.
 */
import { and, Column, eq, getTableColumns, is, SQL, sql } from "drizzle-orm";
import { drizzle, type DrizzleD1Database } from "drizzle-orm/d1";
import type { BatchItem, BatchResponse } from "drizzle-orm/batch";
import type { SelectResultFields } from "drizzle-orm/query-builders/select.types";
import type { SQLiteColumn, SQLiteTable, SQLiteUpdateSetSource } from "drizzle-orm/sqlite-core";

/** A table whose rows belong to an organization. */
export type OrgTable = SQLiteTable & { orgId: SQLiteColumn };
type Fields = Record<string, SQLiteColumn | SQL | SQL.Aliased>;
type NewRow<Table extends OrgTable> = Omit<Table["$inferInsert"], "orgId">;

interface Query {
  /** Tables joined by `on`; that both rows are of this organization is added. */
  readonly join?: readonly { readonly table: OrgTable; readonly on: SQL; readonly kind?: "inner" | "left" }[];
  readonly where?: SQL | undefined;
  readonly orderBy?: SQL | readonly SQL[];
  readonly limit?: number;
}

export type Write = BatchItem<"sqlite">;

export class ScopedDb {
  readonly orgId: string;
  readonly #db: DrizzleD1Database;

  constructor(db: DrizzleD1Database, orgId: string) {
    this.#db = db;
    this.orgId = orgId;
  }

  /** Rows of chosen fields. */
  async select<F extends Fields>(
    fields: F,
    from: OrgTable,
    query: Query = {},
  ): Promise<SelectResultFields<F>[]> {
    return (await this.#reading(fields, from, query)) as SelectResultFields<F>[];
  }

  #reading<F extends Fields>(fields: F, from: OrgTable, query: Query) {
    const select = this.#db.select(fields).from(from).$dynamic();
    for (const { table, on, kind } of query.join ?? []) {
      const condition = and(eq(table.orgId, this.orgId), on);
      if (kind === "left") select.leftJoin(table, condition);
      else select.innerJoin(table, condition);
    }
    select.where(and(eq(from.orgId, this.orgId), query.where));
    if (query.orderBy !== undefined) select.orderBy(...[query.orderBy].flat());
    if (query.limit !== undefined) select.limit(query.limit);
    return select;
  }

  /** The first row of chosen fields, or null. */
  async first<F extends Fields>(
    fields: F,
    from: OrgTable,
    query: Query = {},
  ): Promise<SelectResultFields<F> | null> {
    return (await this.select(fields, from, { ...query, limit: 1 }))[0] ?? null;
  }

  /** Makes a row; run it with {@link ScopedDb.batch}. With `ignoreConflict` a row that is there already stays. */
  insert<Table extends OrgTable>(
    table: Table,
    row: NewRow<Table>,
    options?: { ignoreConflict: true },
  ): Write {
    const insert = this.#db.insert(table).values({ ...row, orgId: this.orgId } as Table["$inferInsert"]);
    return options === undefined ? insert : insert.onConflictDoNothing();
  }

  /** Makes a row only if the write right before it in the same batch changed something. */
  insertIfChanged<Table extends OrgTable>(table: Table, row: Required<NewRow<Table>>): Write {
    // `changes()` is of the statement that was carried out last, and those of a batch are carried out one by one.
    return this.insertIf(table, row, sql`changes() > 0`);
  }

  /** Makes a row only if a condition holds in that moment; the condition names the organization itself. */
  insertIf<Table extends OrgTable>(table: Table, row: NewRow<Table>, condition: SQL): Write {
    const values: Record<string, unknown> = { ...row, orgId: this.orgId };
    // In the order in which drizzle names the columns, which leaves out computed ones.
    const columns = Object.entries(getTableColumns(table)).filter(([, column]) => !column.generated);
    const params = columns.map(([name, column]) => sql.param(values[name] ?? null, column));
    return this.#db.insert(table).select(sql`select ${sql.join(params, sql`, `)} where ${condition}`);
  }

  /** Removes the rows for which `where` holds. */
  delete(table: OrgTable, where: SQL): Write {
    return this.#db.delete(table).where(and(eq(table.orgId, this.orgId), where));
  }

  /** Changes the rows for which `where` holds; the batch's result tells how many. */
  update<Table extends OrgTable>(
    table: Table,
    set: SQLiteUpdateSetSource<Table>,
    where: SQL | undefined,
  ): Write {
    return this.#db
      .update(table)
      .set(set)
      .where(and(eq(table.orgId, this.orgId), where));
  }

  /** Writes together or not at all; resolves with the number of rows each one changed. */
  async batch(writes: readonly [Write, ...Write[]]): Promise<number[]> {
    const results: BatchResponse<[Write, ...Write[]]> = await this.#db.batch(writes as [Write, ...Write[]]);
    return (results as unknown as D1Result[]).map((result) => result.meta.changes);
  }

  /** Writes together or not at all, and reads the first row of chosen fields as it is then, in one call. */
  async batchThenFirst<F extends Fields>(
    writes: readonly [Write, ...Write[]],
    fields: F,
    from: OrgTable,
    query: Query,
  ): Promise<{ changes: number[]; row: SelectResultFields<F> | null }> {
    const read = this.#reading(apart(fields), from, { ...query, limit: 1 });
    const results = (await this.#db.batch([...writes, read] as [Write, ...Write[]])) as unknown[];
    const rows = results.pop() as SelectResultFields<F>[];
    return { changes: (results as D1Result[]).map(({ meta }) => meta.changes), row: rows[0] ?? null };
  }
}

/** The rows of a batch come with a value for each name, so columns of two tables that have one name need names of their own. */
function apart(fields: Fields): Fields {
  const named = Object.entries(fields).map(([name, field]): [string, SQL.Aliased] => {
    if (is(field, Column)) return [name, sql`${field}`.mapWith(field).as(name)];
    return [name, is(field, SQL.Aliased) ? field : field.as(name)];
  });
  return Object.fromEntries(named);
}

export function scopedDb(database: D1Database, orgId: string): ScopedDb {
  return new ScopedDb(drizzle(database), orgId);
}

export function systemDb(database: D1Database): DrizzleD1Database {
  return drizzle(database);
}
