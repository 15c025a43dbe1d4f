import type { ComponentChildren } from "preact";
import { type Column, DataTable, type Sorting } from "../components/data-table.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card } from "../components/page.tsx";
import type { ListModel } from "../models/remote.ts";

/** A list that is paged by cursor, in a card: its rows, what stands there without any, and the way to more. */
export function ListCard<Item extends { readonly id: string }>(props: {
  label: string;
  testId: string;
  list: ListModel<Item>;
  columns: readonly Column<Item>[];
  empty: ComponentChildren;
  title?: string;
  actions?: ComponentChildren;
  sorting?: Sorting;
  /** Between the head and the rows. */
  children?: ComponentChildren;
}) {
  const { list } = props;
  return (
    <Card
      flush
      {...(props.title === undefined ? {} : { title: props.title })}
      {...(props.actions === undefined ? {} : { actions: props.actions })}
    >
      {props.children}
      <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
        {(items) =>
          items.length === 0 ? (
            props.empty
          ) : (
            <DataTable
              label={props.label}
              testId={props.testId}
              columns={props.columns}
              items={items}
              {...(props.sorting === undefined ? {} : { sorting: props.sorting })}
            />
          )
        }
      </Loaded>
      <MoreButton
        hasMore={list.hasMore.value}
        busy={list.loadingMore.value}
        onMore={() => void list.more()}
      />
    </Card>
  );
}
