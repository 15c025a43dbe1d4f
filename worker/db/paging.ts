/** Lists, newest first: an id is its own cursor, because ids sort by the time they were made. */
import { lt, type SQL } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { Page } from "../../schema/api.ts";

export interface PageQuery {
  readonly cursor?: string | undefined;
  readonly limit: number;
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
