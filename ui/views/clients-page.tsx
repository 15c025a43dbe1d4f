import type { Client } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { LinkButton } from "../components/button.tsx";
import type { Column } from "../components/data-table.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { type Filter, ListTools, NothingFound } from "../components/list-tools.tsx";
import { Page } from "../components/page.tsx";
import { formatCount, formatDate, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { createClientList } from "../models/clients.ts";
import { isNarrowed } from "../models/list-state.ts";
import { CLIENT_FILTERS, pathOf, type Route } from "../models/router.ts";
import { CLIENT_STATUS_WORDS } from "../words.ts";
import { ListCard } from "./list-card.tsx";
import { listOfRoute, useListState } from "./use-list.ts";
import { usePageModel } from "./use-page-model.ts";
import { clientsPage as texts } from "../texts/clients.ts";

const COLUMNS: readonly Column<Client>[] = [
  {
    title: texts.client,
    sort: "name",
    cell: (client) => (
      <a class="row-link" href={pathOf({ page: "client", id: client.id })}>
        {client.name}
      </a>
    ),
  },
  {
    title: texts.contact,
    cell: (client) => <span class="muted">{client.contactName ?? client.contactEmail ?? NOTHING}</span>,
  },
  { title: texts.projects, numeric: true, cell: (client) => formatCount(client.projectCount) },
  {
    title: texts.status,
    sort: "status",
    cell: (client) => <Badge words={CLIENT_STATUS_WORDS[client.status]} />,
  },
  {
    title: texts.since,
    numeric: true,
    desk: true,
    sort: "created",
    cell: (client) => <span class="muted">{formatDate(client.createdAt)}</span>,
  },
];

const FILTER: Filter = {
  label: texts.whichClients,
  all: texts.allClients,
  options: CLIENT_FILTERS.map((value) => ({ value, text: CLIENT_STATUS_WORDS[value].text })),
};

export function ClientsPage({ app, route }: { app: App; route: Extract<Route, { page: "clients" }> }) {
  const { state, change } = listOfRoute(app, route);
  const model = usePageModel(() => createClientList(app.api, state));
  useListState(model, state);
  const { list } = model;
  const newClient = app.session.rights.value.write && (
    <LinkButton look="primary" icon="plus" href={pathOf({ page: "client-new" })} testId="new-client">
      {texts.newClient}
    </LinkButton>
  );
  const isEmpty = list.remote.value.state === "ready" && list.items.value.length === 0 && !isNarrowed(state);
  return (
    <Page title={texts.clients} lead={texts.companiesYouMoveFiles} actions={!isEmpty && newClient}>
      <ListCard
        label={texts.clients}
        testId="clients"
        list={list}
        columns={COLUMNS}
        sorting={{ state, onSort: change }}
        empty={
          isNarrowed(state) ? (
            <NothingFound what={texts.inSearch} state={state} onChange={change} />
          ) : (
            <EmptyState icon="client" title={texts.noClientsYet} action={newClient}>
              {texts.clientCustomerCompanyProjects}
            </EmptyState>
          )
        }
      >
        {!isEmpty && <ListTools what={texts.inSearch} state={state} onChange={change} filter={FILTER} />}
      </ListCard>
    </Page>
  );
}
