import { useState } from "preact/hooks";
import type { ApiKey } from "../../schema/api-keys.ts";
import { Badge } from "../components/badge.tsx";
import { Button } from "../components/button.tsx";
import type { Column } from "../components/data-table.tsx";
import { ConfirmDialog, Dialog } from "../components/dialog.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { ChoiceField, TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { SecretCard } from "../components/secret-card.tsx";
import { formatAgo, formatDate } from "../format.ts";
import { type ApiKeysModel, type ApiKeyValues, createApiKeys } from "../models/api-keys.ts";
import type { App } from "../models/app.ts";
import { type Form, faultAt } from "../models/form.ts";
import { API_KEY_DAYS, API_KEY_ROLES } from "../settings-contract.ts";
import { ROLE_WORDS } from "../words.ts";
import { keepFocus } from "./focus.ts";
import { ListCard } from "./list-card.tsx";
import { SettingsPart } from "./settings-part.tsx";
import { API_KEY_ROLE_HINTS, API_KEY_STATUS_WORDS } from "./settings-words.ts";
import { usePageModel } from "./use-page-model.ts";
import { apiKeysPage as texts } from "../texts/settings.ts";

export function ApiKeysPage({ app }: { app: App }) {
  return (
    <SettingsPart
      app={app}
      title={texts.apiKeys}
      lead={
        <>
          {texts.yourOwnScriptsTools} <a href="/api/docs">{texts.descriptionOfTheApi}</a>.
        </>
      }
      forAdmins
    >
      {() => <ApiKeys app={app} />}
    </SettingsPart>
  );
}

function ApiKeys({ app }: { app: App }) {
  const model = usePageModel(() => createApiKeys(app));
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const form = model.form.value;
  const made = model.made.value;
  const create = (
    <Button look="primary" icon="plus" testId="new-api-key" onPress={model.begin}>
      {texts.newKey}
    </Button>
  );
  return (
    <>
      {made !== null && (
        <SecretCard
          title={texts.keyIsMade(made.name)}
          label={texts.apiKey}
          secret={made.key}
          testId="api-key"
          copy={app.copy}
          onKept={() => {
            model.keep();
            keepFocus();
          }}
        >
          {texts.programSendsEachRequest}
          <code>{texts.authorizationBearer}</code>
        </SecretCard>
      )}
      <ListCard
        label={texts.apiKeys}
        title={texts.keys}
        testId="api-keys"
        list={model.list}
        columns={columnsFor({ model, nowMs: app.nowMs.value, revoke: setRevoking })}
        actions={model.list.items.value.length > 0 && create}
        empty={
          <EmptyState icon="settings" title={texts.noKeysYet} action={create}>
            {texts.makeOneEachProgram}
          </EmptyState>
        }
      />
      {form !== null && (
        <Dialog title={texts.newApiKey} testId="api-key-dialog" onClose={model.cancel}>
          <ApiKeyForm form={form} onCancel={model.cancel} />
        </Dialog>
      )}
      {revoking !== null && (
        <ConfirmDialog
          title={`Revoke "${revoking.name}"?`}
          confirmText={texts.revokeKey}
          cancelText={texts.keepIt}
          confirmTestId="confirm-revoke-api-key"
          onConfirm={() => void model.revoke(revoking).then(keepFocus)}
          onClose={() => setRevoking(null)}
        >
          {texts.everyProgramUsesKey}
        </ConfirmDialog>
      )}
    </>
  );
}

function ApiKeyForm({ form, onCancel }: { form: Form<ApiKeyValues>; onCancel: () => void }) {
  const values = form.values.value;
  const errors = form.errors.value;
  return (
    <FormFrame form={form} submitText={texts.makeKey} submitTestId="save-api-key" onCancel={onCancel}>
      <TextField
        name="name"
        label={texts.name}
        hint={texts.programUsesSuchAs}
        testId="api-key-name"
        value={values.name}
        error={faultAt(errors, "name")}
        onInput={(value) => form.set("name", value)}
      />
      <ChoiceField
        name="role"
        label={texts.whatItMayDo}
        value={values.role}
        options={API_KEY_ROLES.map((role) => ({
          value: role,
          text: ROLE_WORDS[role],
          hint: API_KEY_ROLE_HINTS[role],
          testId: `api-key-role-${role}`,
        }))}
        onInput={(value) => form.set("role", value)}
      />
      <ChoiceField
        name="expiry"
        label={texts.howLongItWorks}
        value={values.expiry}
        options={[
          { value: "days", text: texts.forSomeDays, testId: "api-key-days" },
          { value: "never", text: texts.untilItIsRevoked, testId: "api-key-never" },
        ]}
        onInput={(value) => form.set("expiry", value)}
      />
      {values.expiry === "days" && (
        <TextField
          name="validDays"
          label={texts.days}
          type="number"
          inputMode="numeric"
          min={API_KEY_DAYS.min}
          max={API_KEY_DAYS.max}
          unit="days"
          testId="api-key-valid-days"
          value={values.validDays}
          error={faultAt(errors, "validDays")}
          onInput={(value) => form.set("validDays", value)}
        />
      )}
    </FormFrame>
  );
}

function columnsFor(told: {
  model: ApiKeysModel;
  nowMs: number;
  revoke: (key: ApiKey) => void;
}): readonly Column<ApiKey>[] {
  return [
    { title: texts.key, cell: (key) => <strong class="row-name">{key.name}</strong> },
    {
      title: texts.status,
      cell: (key) => <Badge words={API_KEY_STATUS_WORDS[key.status]} testId="api-key-status" />,
    },
    { title: texts.role, cell: (key) => ROLE_WORDS[key.role] },
    {
      title: texts.lastUsed,
      cell: (key) => (
        <span class="muted" data-testid="api-key-used">
          {key.lastUsedAt === null ? texts.never : formatAgo(key.lastUsedAt, told.nowMs)}
        </span>
      ),
    },
    {
      title: texts.expires,
      cell: (key) => (
        <span class="muted">{key.expiresAt === null ? texts.never : formatDate(key.expiresAt)}</span>
      ),
    },
    { title: texts.made, desk: true, cell: (key) => <span class="muted">{formatDate(key.createdAt)}</span> },
    {
      title: "",
      numeric: true,
      cell: (key) =>
        key.status === "active" && (
          <span class="row-actions">
            <Button
              testId="revoke-api-key"
              busy={told.model.actions.busy.value.has(key.id)}
              onPress={() => told.revoke(key)}
            >
              {texts.revoke}
            </Button>
          </span>
        ),
    },
  ];
}
