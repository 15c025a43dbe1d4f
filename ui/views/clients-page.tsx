import type { Client } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { LinkButton } from "../components/button.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatCount, formatDate, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { createClientList } from "../models/clients.ts";
import { pathOf } from "../models/router.ts";
import { CLIENT_STATUS_WORDS } from "../words.ts";
import { usePageModel } from "./use-page-model.ts";

const COLUMNS: readonly Column<Client>[] = [
  {
    title: "Client",
    cell: (client) => (
      <a class="row-link" href={pathOf({ page: "client", id: client.id })}>
        {client.name}
      </a>
    ),
  },
  {
    title: "Contact",
    cell: (client) => <span class="muted">{client.contactName ?? client.contactEmail ?? NOTHING}</span>,
  },
  { title: "Projects", numeric: true, cell: (client) => formatCount(client.projectCount) },
  { title: "Status", cell: (client) => <Badge words={CLIENT_STATUS_WORDS[client.status]} /> },
  {
    title: "Since",
    numeric: true,
    desk: true,
    cell: (client) => <span class="muted">{formatDate(client.createdAt)}</span>,
  },
];

export function ClientsPage({ app }: { app: App }) {
  const { list } = usePageModel(() => createClientList(app.api));
  const mayWrite = app.session.rights.value.write;
  const newClient = mayWrite && (
    <LinkButton look="primary" icon="plus" href={pathOf({ page: "client-new" })} testId="new-client">
      New client
    </LinkButton>
  );
  const isEmpty = list.remote.value.state === "ready" && list.items.value.length === 0;
  return (
    <Page title="Clients" lead="The companies you move files for." actions={!isEmpty && newClient}>
      <Card flush>
        <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
          {(items) =>
            items.length === 0 ? (
              <EmptyState icon="client" title="No clients yet" action={newClient}>
                A client is a customer company. Its projects and jobs are kept together.
              </EmptyState>
            ) : (
              <DataTable label="Clients" testId="clients" columns={COLUMNS} items={items} />
            )
          }
        </Loaded>
        <MoreButton
          hasMore={list.hasMore.value}
          busy={list.loadingMore.value}
          onMore={() => void list.more()}
        />
      </Card>
    </Page>
  );
}
