/**
 * Lists, by cursor. A plain one goes newest first, and an id is its own cursor, because ids sort by the time they were
 * made. One that is searched and sorted ({@link chosen}) finds the ids of its page in one index that holds all that is
 * asked about, and only then reads the rows: so what it costs does not depend on how much a row holds.
 */
import { lt, sql, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { Page, Sort } from "../../schema/api.ts";
import type { OrgTable, ScopedDb } from "../../schema/scoped-db.ts";
import { invalid } from "../problems.ts";

export interface PageQuery {
  readonly cursor?: string | undefined;
  readonly limit: number;
}

export interface SortedQuery extends PageQuery {
  readonly search?: string | undefined;
  readonly sort?: Sort | undefined;
  readonly order?: "ascending" | "descending" | undefined;
}

/** A table as lists see it. */
export interface Listing {
  readonly table: OrgTable & { id: SQLiteColumn };
  readonly name: string;
  /** What is compared, where the table goes by the name that is given; null = the id alone. Never null in a row. */
  readonly keys: Readonly<Record<Sort, ((table: string) => string) | null>>;
  /**
   * Of a key that is computed from other tables, for each of its values from 0 on what holds of rows that have it. A page is
   * then looked for value by value, and what stands behind it is not computed.
   */
  readonly values?: { readonly sort: Sort; readonly conditions: readonly ((table: string) => string)[] };
}

export interface Chosen {
  readonly where: SQL;
  readonly orderBy: SQL[];
  /** To be read as `sortKey`, for the cursor. */
  readonly sortKey: SQL.Aliased<string | number | null>;
  readonly limit: number;
}

/**
 * The rows of a page. `index` begins with the organization and what `filters` compare, and holds the sort's key and the
 * name besides; `filters` are in terms of `t`.
 */
export function chosen(
  db: ScopedDb,
  { table, name, keys, values }: Listing,
  query: SortedQuery,
  { index, filters }: { index: string; filters: readonly SQL[] },
): Chosen {
  const sort = query.sort ?? "created";
  const order = query.order ?? (sort === "created" || sort === "activity" ? "descending" : "ascending");
  const direction = sql.raw(order === "ascending" ? "asc" : "desc");
  const keyOf = keys[sort];
  const key = keyOf === null ? null : sql.raw(keyOf("t"));
  const cursor = query.cursor === undefined ? null : partsOf(query.cursor);
  if (cursor !== null && (key === null) !== (cursor[1] === null))
    throw invalid({ cursor: "Not a cursor of this list in this order" });
  const than = sql.raw(order === "ascending" ? ">" : "<");
  const limit = limitOf(query);
  const conditions = [sql`t.org_id = ${db.orgId}`, ...filters, ...searched(query.search)];
  const sortKey = sql<string | number | null>`${sql.raw(keyOf === null ? "null" : keyOf(name))}`.as(
    "sort_key",
  );
  return {
    where: sql`${table.id} in (${values?.sort === sort ? byValues(values.conditions) : byKey()})`,
    orderBy:
      key === null
        ? [sql`${table.id} ${direction}`]
        : // With the sign no index is in this order: else SQLite would walk one a second time, to be spared sorting a page.
          [sql`+sort_key ${direction}`, sql`${table.id} ${direction}`],
    sortKey,
    limit,
  };

  function byKey(): SQL {
    const by = key === null ? sql`t.id ${direction}` : sql`${key} ${direction}, t.id ${direction}`;
    return idsOf(cursor === null ? [] : [behindCursor(cursor)], by);
  }

  function behindCursor([id, value]: Position): SQL {
    return key === null ? sql`t.id ${than} ${id}` : sql`(${key}, t.id) ${than} (${value}, ${id})`;
  }

  /** Those of one value after those of another; SQLite begins with the next only when the page is not full. */
  function byValues(all: readonly ((table: string) => string)[]): SQL {
    const isAscending = order === "ascending";
    const steps = all
      .map((condition, value) => ({ value, holds: sql.raw(condition("t")) }))
      .filter(
        ({ value }) =>
          cursor === null || (isAscending ? value >= Number(cursor[1]) : value <= Number(cursor[1])),
      )
      .map(({ value, holds }) =>
        cursor !== null && value === cursor[1] ? [holds, sql`t.id ${than} ${cursor[0]}`] : [holds],
      );
    const parts = (isAscending ? steps : steps.toReversed()).map(
      (more) => sql`select id from (${idsOf(more, sql`t.id ${direction}`)})`,
    );
    // A cursor may name a value there is not.
    return parts.length === 0 ? sql`null` : sql`${sql.join(parts, sql` union all `)} limit ${limit}`;
  }

  function idsOf(more: readonly SQL[], by: SQL): SQL {
    return sql`select t.id from ${sql.raw(name)} t indexed by ${sql.raw(index)} where ${sql.join([...conditions, ...more], sql` and `)} order by ${by} limit ${limit}`;
  }
}

/** SQLite lowers the letters of ASCII only; of all others, those that stand small and those that stand large are looked for. */
function searched(search: string | undefined): SQL[] {
  if (search === undefined || search === "") return [];
  const lowered = (text: string) => text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  const forms = [...new Set([search, search.toLowerCase(), search.toUpperCase()].map(lowered))];
  return [
    sql`(${sql.join(
      forms.map((form) => sql`instr(t.name_key, ${form}) > 0`),
      sql` or `,
    )})`,
  ];
}

type Position = readonly [id: string, value: string | number | null];

/** A cursor is an id; where something else sorts, with its value behind it. */
function partsOf(cursor: string): Position {
  const at = cursor.indexOf("~");
  if (at === -1) return [cursor, null];
  const text = cursor.slice(at + 2);
  return [cursor.slice(0, at), cursor[at + 1] === "n" ? Number(text) : text];
}

function cursorOf({ id, sortKey }: SortedRow): string {
  if (sortKey === null) return id;
  return `${id}~${typeof sortKey === "number" ? "n" : "t"}${sortKey}`;
}

interface SortedRow {
  readonly id: string;
  readonly sortKey: string | number | null;
}

/** As {@link pageOfRows}, of rows that were {@link chosen}. */
export function pageOfSorted<Row extends SortedRow, Item>(
  rows: readonly Row[],
  query: PageQuery,
  show: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, query.limit);
  const last = shown.at(-1);
  return {
    items: shown.map(show),
    nextCursor: rows.length > query.limit && last !== undefined ? cursorOf(last) : null,
  };
}

/** The condition for rows behind the cursor. Ask for {@link limitOf} rows, so that it is known whether more follow. */
export function behind(id: SQLiteColumn, query: PageQuery): SQL | undefined {
  return query.cursor === undefined ? undefined : lt(id, query.cursor);
}

export function limitOf(query: PageQuery): number {
  return query.limit + 1;
}

export function pageOfRows<Row extends { readonly id: string }, Item>(
  rows: readonly Row[],
  query: PageQuery,
  show: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, query.limit);
  return {
    items: shown.map(show),
    nextCursor: rows.length > query.limit ? (shown.at(-1)?.id ?? null) : null,
  };
}

export function isoOrNull(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString();
}

export function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
