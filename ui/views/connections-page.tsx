import type { Connection } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { Button, LinkButton } from "../components/button.tsx";
import type { Column } from "../components/data-table.tsx";
import { ConfirmDialog } from "../components/dialog.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Notice } from "../components/loaded.tsx";
import { formatDate } from "../format.ts";
import type { App } from "../models/app.ts";
import { connectionState, createConnectionList } from "../models/connections.ts";
import { createSignIn, type SignInModel } from "../models/consent.ts";
import { pathOf } from "../models/router.ts";
import { CONSENT_FAULTS } from "../settings-contract.ts";
import { CONNECTION_KIND_WORDS } from "../words.ts";
import { useMemo, useState } from "preact/hooks";
import { keepFocus } from "./focus.ts";
import { ListCard } from "./list-card.tsx";
import { SettingsPart } from "./settings-part.tsx";
import { connectionStateWords } from "./settings-words.ts";
import { usePageModel } from "./use-page-model.ts";
import { connectionsPage as texts } from "../texts/settings.ts";

/** What a sign-in with Microsoft brought back. */
export interface Returned {
  readonly outcome: "connected" | "azure";
  readonly value: string;
}

export function ConnectionsPage({ app, returned }: { app: App; returned: Returned | null }) {
  const model = usePageModel(() => createConnectionList(app));
  const { list } = model;
  const [removing, setRemoving] = useState<Connection | null>(null);
  const signIn = useMemo(() => createSignIn(app.api, (url) => location.assign(url)), []);
  const { administer } = app.session.rights.value;
  const add = administer && (
    <LinkButton look="primary" icon="plus" href={pathOf({ page: "connection-new" })} testId="connection-add">
      {texts.addConnection}
    </LinkButton>
  );
  const connections = list.items.value;
  return (
    <SettingsPart
      app={app}
      title={texts.storageConnections}
      lead={texts.azureStorageAccountsFiles}
      actions={connections.length > 0 && add}
    >
      {() => (
        <>
          {returned !== null && <ReturnNotice returned={returned} connections={connections} />}
          {signIn.problem.value !== null && <Notice tone="danger">{signIn.problem.value}</Notice>}
          <Lapsed connections={connections} nowMs={app.nowMs.value} />
          <ListCard
            label={texts.azureStorageConnections}
            testId="connections"
            list={list}
            columns={columnsFor({
              signIn: administer ? signIn : null,
              busy: model.actions.busy.value,
              remove: setRemoving,
              nowMs: app.nowMs.value,
            })}
            empty={
              <EmptyState icon="cloud" title={texts.noConnectionYet} action={add}>
                {administer ? texts.connectionOpensStorageAccount : texts.connectionOpensStorageAccountFiles}
              </EmptyState>
            }
          />
          {removing !== null && (
            <ConfirmDialog
              title={texts.deleteThisConnection}
              confirmText={texts.deleteConnection}
              cancelText={texts.keepIt}
              confirmTestId="confirm-delete-connection"
              typedName={removing.name}
              onConfirm={() => void model.remove(removing).then(keepFocus)}
              onClose={() => setRemoving(null)}
            >
              {texts.theStoredCredentialsOf}
              {removing.name}
              {texts.forTheAccount}
              {removing.account}
              {texts.destroyedWhatLiesAccount}
            </ConfirmDialog>
          )}
        </>
      )}
    </SettingsPart>
  );
}

function ReturnNotice({ returned, connections }: { returned: Returned; connections: readonly Connection[] }) {
  if (returned.outcome === "connected") {
    const name = connections.find((connection) => connection.id === returned.value)?.name;
    return (
      <Notice tone="success" testId="connected">
        {name === undefined ? texts.theConnection : `"${name}"`}
        {texts.worksAgainProjectsGo}
      </Notice>
    );
  }
  const fault = Object.hasOwn(CONSENT_FAULTS, returned.value)
    ? CONSENT_FAULTS[returned.value as keyof typeof CONSENT_FAULTS]
    : CONSENT_FAULTS.refused;
  return (
    <Notice tone="danger" testId="consent-fault">
      {texts.nothingWasConnected}
      {fault}.
    </Notice>
  );
}

/** A lapsed signature cannot be mended here, so the way round it is said. */
function Lapsed({ connections, nowMs }: { connections: readonly Connection[]; nowMs: number }) {
  const hasLapsed = connections.some(
    (connection) => connection.kind !== "oauth" && connectionState(connection, nowMs).kind !== "active",
  );
  if (!hasLapsed) return null;
  return <Notice tone="warning">{texts.sasExpiresCannotProlonged}</Notice>;
}

function columnsFor(told: {
  /** Null for who may change nothing. */
  signIn: SignInModel | null;
  /** Those at which something is under way. */
  busy: ReadonlySet<string>;
  remove: (connection: Connection) => void;
  nowMs: number;
}): readonly Column<Connection>[] {
  const { signIn, busy, remove, nowMs } = told;
  return [
    {
      title: texts.connection,
      cell: (connection) => (
        <>
          <strong class="row-name">{connection.name}</strong>
          <span class="under">{howText(connection)}</span>
        </>
      ),
    },
    { title: texts.account, cell: (connection) => <span class="muted">{connection.account}</span> },
    {
      title: texts.containers,
      cell: (connection) => <span class="muted">{connection.container ?? texts.all}</span>,
    },
    {
      title: texts.state,
      cell: (connection) => (
        <Badge words={connectionStateWords(connectionState(connection, nowMs))} testId="connection-state" />
      ),
    },
    {
      title: texts.added,
      desk: true,
      cell: (connection) => <span class="muted">{formatDate(connection.createdAt)}</span>,
    },
    {
      title: "",
      numeric: true,
      cell: (connection) =>
        signIn !== null && (
          <span class="row-actions">
            {connection.kind === "oauth" && (
              <Button
                look={connectionState(connection, nowMs).kind === "active" ? "plain" : "primary"}
                testId="reconnect"
                busy={signIn.leaving.value}
                onPress={() => void signIn.begin(connection.id)}
              >
                {texts.reconnect}
              </Button>
            )}
            <Button
              look="plain"
              testId="delete-connection"
              busy={busy.has(connection.id)}
              onPress={() => remove(connection)}
            >
              {texts.delete}
            </Button>
          </span>
        ),
    },
  ];
}

function howText({ kind, consent }: Connection): string {
  return consent === undefined
    ? CONNECTION_KIND_WORDS[kind]
    : texts.as(CONNECTION_KIND_WORDS[kind], consent.principal);
}
