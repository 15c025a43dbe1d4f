import type { ComponentChildren } from "preact";

export interface Column<Item> {
  readonly title: string;
  readonly cell: (item: Item) => ComponentChildren;
  readonly numeric?: boolean;
  /** Left out where there is little room. */
  readonly desk?: boolean;
}

/** A table at a desk; on a phone each row becomes a small card, its cells under their titles. The first column names the row. */
export function DataTable<Item extends { readonly id: string }>(props: {
  label: string;
  columns: readonly Column<Item>[];
  items: readonly Item[];
  testId?: string;
}) {
  const looks = (column: Column<Item>) =>
    [column.numeric === true ? "numeric" : "", column.desk === true ? "desk-only" : ""].join(" ").trim();
  // The roles are said aloud because the phone's layout takes them from the elements.
  return (
    <table class="table" role="table" aria-label={props.label} data-testid={props.testId}>
      <thead role="rowgroup">
        <tr role="row">
          {props.columns.map((column) => (
            <th key={column.title} role="columnheader" scope="col" class={looks(column)}>
              {column.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {props.items.map((item) => (
          <tr key={item.id} role="row" data-id={item.id}>
            {props.columns.map((column) => (
              <td key={column.title} role="cell" class={looks(column)} data-title={column.title}>
                {column.cell(item)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
