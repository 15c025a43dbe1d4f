import { useState } from "preact/hooks";
import type { Connection, RegistrationCode } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { Button, LinkButton } from "../components/button.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { ConfirmDialog } from "../components/dialog.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatDate, formatDateTime, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { createConnectionList } from "../models/connections.ts";
import { createRegistrationCodes } from "../models/registration-codes.ts";
import { pathOf } from "../models/router.ts";
import { CODE_STATUS_WORDS, CONNECTION_KIND_WORDS } from "../words.ts";
import { usePageModel } from "./use-page-model.ts";

export function SettingsPage({ app }: { app: App }) {
  return (
    <Page title="Settings">
      <Connections app={app} />
      {app.session.rights.value.administer && <RegistrationCodes app={app} />}
    </Page>
  );
}

const CONNECTION_COLUMNS: readonly Column<Connection>[] = [
  { title: "Connection", cell: (connection) => <strong class="row-name">{connection.name}</strong> },
  { title: "Account", cell: (connection) => <span class="muted">{connection.account}</span> },
  { title: "Container", cell: (connection) => <span class="muted">{connection.container ?? "All"}</span> },
  {
    title: "Kind",
    desk: true,
    cell: (connection) => <span class="muted">{CONNECTION_KIND_WORDS[connection.kind]}</span>,
  },
  {
    title: "Expires",
    cell: (connection) => (
      <span class="muted">{connection.expiresAt === null ? "Never" : formatDate(connection.expiresAt)}</span>
    ),
  },
];

function Connections({ app }: { app: App }) {
  const { list } = usePageModel(() => createConnectionList(app.api));
  const add = app.session.rights.value.administer && (
    <LinkButton icon="plus" href={pathOf({ page: "connection-new" })} testId="connection-add">
      Add connection
    </LinkButton>
  );
  return (
    <Card title="Azure Storage connections" flush actions={add}>
      <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
        {(items) =>
          items.length === 0 ? (
            <EmptyState icon="cloud" title="No connection yet">
              A connection opens the storage account that files are moved to.
            </EmptyState>
          ) : (
            <DataTable
              label="Azure Storage connections"
              testId="connections"
              columns={CONNECTION_COLUMNS}
              items={items}
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

function RegistrationCodes({ app }: { app: App }) {
  const { list, revoke } = usePageModel(() => createRegistrationCodes(app.api, app.toasts));
  const [revoking, setRevoking] = useState<RegistrationCode | null>(null);
  const columns: readonly Column<RegistrationCode>[] = [
    { title: "Code", cell: (code) => <strong class="row-name">{code.label ?? "Without a label"}</strong> },
    { title: "Status", cell: (code) => <Badge words={CODE_STATUS_WORDS[code.status]} /> },
    {
      title: "Agent",
      cell: (code) =>
        code.agentId === null ? (
          <span class="muted">{NOTHING}</span>
        ) : (
          <a href={pathOf({ page: "agent", id: code.agentId })}>Open</a>
        ),
    },
    {
      title: "Made",
      desk: true,
      cell: (code) => <span class="muted">{formatDateTime(code.createdAt)}</span>,
    },
    { title: "Valid until", cell: (code) => <span class="muted">{formatDateTime(code.expiresAt)}</span> },
    {
      title: "",
      numeric: true,
      cell: (code) =>
        code.status === "open" && (
          <Button testId="revoke-code" onPress={() => setRevoking(code)}>
            Revoke
          </Button>
        ),
    },
  ];
  return (
    <Card
      title="Registration codes"
      flush
      actions={
        <LinkButton icon="plus" href={pathOf({ page: "agent-register" })} testId="register-agent">
          Register an agent
        </LinkButton>
      }
    >
      <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
        {(items) =>
          items.length === 0 ? (
            <EmptyState icon="agent" title="No codes yet">
              A code registers one agent, once.
            </EmptyState>
          ) : (
            <DataTable
              label="Registration codes"
              testId="registration-codes"
              columns={columns}
              items={items}
            />
          )
        }
      </Loaded>
      <MoreButton
        hasMore={list.hasMore.value}
        busy={list.loadingMore.value}
        onMore={() => void list.more()}
      />
      {revoking !== null && (
        <ConfirmDialog
          title="Revoke this code?"
          confirmText="Revoke code"
          cancelText="Keep it"
          confirmTestId="confirm-revoke-code"
          onConfirm={() => void revoke(revoking.id)}
          onClose={() => setRevoking(null)}
        >
          No agent can be registered with it any more.
        </ConfirmDialog>
      )}
    </Card>
  );
}
