import type { ComponentChildren } from "preact";
import type { AzureAccount } from "../../schema/azure.ts";
import { Button, LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { ChoiceField, SelectField, TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { Loaded, Notice } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import type { App } from "../models/app.ts";
import { type AzureList, type ConsentModel, createConsent } from "../models/consent.ts";
import { faultAt } from "../models/form.ts";
import type { RemoteModel } from "../models/remote.ts";
import { pathOf, type Route } from "../models/router.ts";
import { usePageModel } from "./use-page-model.ts";
import { consentPage as texts } from "../texts/settings.ts";

const LIST: Route = { page: "settings-part", part: "storage" };

/** Back from Microsoft: which storage account is meant. */
export function ConsentPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(
    () =>
      createConsent(app, {
        id,
        saved(connection) {
          app.toasts.show("success", texts.connectedTo(connection.account));
          app.router.replace(LIST);
        },
      }),
    id,
  );
  const remote = model.consent.remote.value;
  const isOver = remote.state === "failed" && remote.missing;
  return (
    <Page
      title={texts.chooseTheStorageAccount}
      crumb={{ text: texts.storageConnections, href: pathOf(LIST) }}
      lead={remote.value !== null && texts.youSignedMicrosoftAs(remote.value.principal)}
      narrow
    >
      <Card testId="consent">
        {isOver ? (
          <EmptyState
            icon="warning"
            title={texts.signOver}
            action={<LinkButton href={pathOf({ page: "connection-new" })}>{texts.signInAgain}</LinkButton>}
          >
            {texts.usedAlreadyTookLonger}
          </EmptyState>
        ) : (
          <Loaded remote={remote} onRetry={() => void model.consent.reload()}>
            {() => <AccountForm model={model} onCancel={() => app.router.go(LIST)} />}
          </Loaded>
        )}
      </Card>
    </Page>
  );
}

function AccountForm({ model, onCancel }: { model: ConsentModel; onCancel: () => void }) {
  const { form } = model;
  const values = form.values.value;
  return (
    <FormFrame form={form} submitText={texts.connect} submitTestId="save-consent" onCancel={onCancel}>
      <ChoiceField
        name="how"
        label={texts.storageAccount}
        value={values.how}
        options={[
          { value: "list", text: texts.chooseFromAList, testId: "account-from-list" },
          { value: "typed", text: texts.typeItsName, testId: "account-typed" },
        ]}
        onInput={model.chooseHow}
      />
      {values.how === "list" ? <FromList model={model} /> : <Typed model={model} />}
      <Containers containers={model.containers.value} />
      <TextField
        name="name"
        label={texts.nameOfTheConnection}
        hint={texts.howYouWillRecognise}
        testId="consent-name"
        value={values.name}
        error={faultAt(form.errors.value, "name")}
        onInput={(value) => form.set("name", value)}
      />
    </FormFrame>
  );
}

function FromList({ model }: { model: ConsentModel }) {
  const { form, subscriptions } = model;
  const values = form.values.value;
  const errors = form.errors.value;
  const accounts = model.accounts.value;
  return (
    <>
      <Listed remote={subscriptions}>
        {({ items }) => (
          <SelectField
            name="subscriptionId"
            label={texts.subscription}
            placeholder={texts.chooseASubscription}
            testId="consent-subscription"
            value={values.subscriptionId}
            options={items.map(({ id, name, isEnabled }) => ({
              value: id,
              text: isEnabled ? name : texts.switchedOff(name),
            }))}
            error={faultAt(errors, "subscriptionId")}
            onInput={model.chooseSubscription}
          />
        )}
      </Listed>
      {accounts !== null && (
        <Listed remote={accounts}>
          {({ items }) => (
            <SelectField
              name="resourceId"
              label={texts.account}
              placeholder={texts.chooseAStorageAccount}
              testId="consent-account"
              value={values.resourceId}
              options={items.map((account) => ({ value: account.resourceId, text: accountText(account) }))}
              hint={wordsOfAccount(items.find((account) => account.resourceId === values.resourceId))}
              error={faultAt(errors, "resourceId") ?? faultAt(errors, "account")}
              onInput={model.chooseAccount}
            />
          )}
        </Listed>
      )}
    </>
  );
}

function Typed({ model }: { model: ConsentModel }) {
  const { form, subscriptions, accounts } = model;
  const why = subscriptions.value.value?.note ?? accounts.value?.value.value?.note ?? null;
  return (
    <>
      {why !== null && (
        <Notice tone="neutral" testId="consent-note">
          {why}.
        </Notice>
      )}
      <div class="field-with-action">
        <TextField
          name="account"
          label={texts.account}
          hint={texts.asHttpsNameBlob}
          mono
          testId="consent-account-name"
          value={form.values.value.account}
          error={faultAt(form.errors.value, "account")}
          onInput={(value) => form.set("account", value)}
        />
        <Button testId="look-inside" onPress={model.lookInside}>
          {texts.showContainers}
        </Button>
      </div>
    </>
  );
}

/** A list of Azure's; where it shows nothing, what the server says to do. */
function Listed<Item>(props: {
  remote: RemoteModel<AzureList<Item>>;
  children: (list: AzureList<Item>) => ComponentChildren;
}) {
  const { remote } = props;
  return (
    <Loaded remote={remote.remote.value} onRetry={() => void remote.reload()}>
      {(list) =>
        list.items.length === 0 && list.note !== null ? (
          <Notice tone="warning" testId="consent-note">
            {list.note}.
          </Notice>
        ) : (
          props.children(list)
        )
      }
    </Loaded>
  );
}

const CONTAINERS_SHOWN_MAX = 12;

function Containers({ containers }: { containers: RemoteModel<AzureList<string>> | null }) {
  if (containers === null) return null;
  return (
    <Loaded remote={containers.remote.value} onRetry={() => void containers.reload()}>
      {({ items, note }) => (
        <Notice
          tone={items.length > 0 ? "success" : note === null ? "neutral" : "warning"}
          testId="consent-containers"
        >
          {items.length === 0
            ? `${note ?? texts.thereNoContainerYet}.`
            : texts.holdsEachProjectChooses(
                items.slice(0, CONTAINERS_SHOWN_MAX).join(", "),
                items.length > CONTAINERS_SHOWN_MAX ? texts.andMore : "",
              )}
        </Notice>
      )}
    </Loaded>
  );
}

function accountText({ name, location }: AzureAccount): string {
  return `${name} (${location})`;
}

function wordsOfAccount(account: AzureAccount | undefined): string {
  if (account === undefined) return texts.accountFilesWillMoved;
  const words = [account.sku.replaceAll("_", " ")];
  if (account.isHierarchical) words.push(texts.withFoldersDataLake);
  if (!account.hasArchive) words.push(texts.withoutTheArchiveTier);
  if (account.isFirewalled) words.push(texts.behindFirewallAgentsMust);
  return `${words.join(", ")}.`;
}
