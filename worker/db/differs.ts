/** Writes that leave alone what is already as it should be, so that a repeat changes nothing and nothing is told of it. */
import { getTableColumns, sql, type SQL } from "drizzle-orm";
import type { OrgTable } from "../../schema/scoped-db.ts";

/** Whether a row holds anything else than the given values; of no values, never. */
export function differs<Table extends OrgTable>(
  table: Table,
  values: { readonly [Name in keyof Table["$inferInsert"]]?: Table["$inferInsert"][Name] | undefined },
): SQL {
  const columns = getTableColumns(table);
  const each = Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      const column = columns[name];
      if (column === undefined) throw new Error(`Cannot compare "${name}": there is no such column`);
      // `is not` also tells null from something.
      return sql`${column} is not ${value === null ? null : sql.param(value, column)}`;
    });
  return each.length === 0 ? sql`false` : sql`(${sql.join(each, sql` or `)})`;
}
