import { useState } from "preact/hooks";
import type { Webhook } from "../../schema/webhooks.ts";
import { Badge } from "../components/badge.tsx";
import { Button } from "../components/button.tsx";
import type { Column } from "../components/data-table.tsx";
import { ConfirmDialog, Dialog } from "../components/dialog.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { CheckField, TextField } from "../components/field.tsx";
import { FormFrame } from "../components/form-frame.tsx";
import { SecretCard } from "../components/secret-card.tsx";
import { formatDateTime, formatDuration } from "../format.ts";
import type { App } from "../models/app.ts";
import { type Form, faultAt } from "../models/form.ts";
import {
  createWebhooks,
  type WebhooksModel,
  type WebhookTest,
  type WebhookValues,
  withEvent,
} from "../models/webhooks.ts";
import { EVENT_TYPES } from "../settings-contract.ts";
import { keepFocus } from "./focus.ts";
import { ListCard } from "./list-card.tsx";
import { SettingsPart } from "./settings-part.tsx";
import { EVENT_WORDS, WEBHOOK_STATUS_WORDS } from "./settings-words.ts";
import { usePageModel } from "./use-page-model.ts";
import { webhooksPage as texts } from "../texts/settings.ts";

export function WebhooksPage({ app }: { app: App }) {
  return (
    <SettingsPart app={app} title={texts.webhooks} lead={texts.addressesYourOwnSystems} forAdmins>
      {() => <Webhooks app={app} />}
    </SettingsPart>
  );
}

function Webhooks({ app }: { app: App }) {
  const model = usePageModel(() => createWebhooks(app));
  const [removing, setRemoving] = useState<Webhook | null>(null);
  const form = model.form.value;
  const made = model.made.value;
  const create = (
    <Button look="primary" icon="plus" testId="new-webhook" onPress={model.begin}>
      {texts.newWebhook}
    </Button>
  );
  return (
    <>
      {made !== null && (
        <SecretCard
          title={texts.webhookMade(new URL(made.url).host)}
          label={texts.signingSecret}
          secret={made.secret}
          testId="webhook-secret"
          copy={app.copy}
          onKept={() => {
            model.keep();
            keepFocus();
          }}
        >
          {texts.yourSystemChecksDelivery}
        </SecretCard>
      )}
      <ListCard
        label={texts.webhooks}
        title={texts.addresses}
        testId="webhooks"
        list={model.list}
        columns={columnsFor(model, setRemoving)}
        actions={model.list.items.value.length > 0 && create}
        empty={
          <EmptyState icon="job" title={texts.noWebhooksYet} action={create}>
            {texts.giveAddressYourTicket}
          </EmptyState>
        }
      />
      {form !== null && (
        <Dialog title={texts.newWebhook} testId="webhook-dialog" onClose={model.cancel}>
          <WebhookForm form={form} onCancel={model.cancel} />
        </Dialog>
      )}
      {removing !== null && (
        <ConfirmDialog
          title={texts.deleteThisWebhook}
          confirmText={texts.deleteWebhook}
          cancelText={texts.keepIt}
          confirmTestId="confirm-delete-webhook"
          onConfirm={() => void model.remove(removing).then(keepFocus)}
          onClose={() => setRemoving(null)}
        >
          {new URL(removing.url).host}
          {texts.hearsNothingMoreWhat}
        </ConfirmDialog>
      )}
    </>
  );
}

function WebhookForm({ form, onCancel }: { form: Form<WebhookValues>; onCancel: () => void }) {
  const values = form.values.value;
  const eventsFault = faultAt(form.errors.value, "events");
  return (
    <FormFrame form={form} submitText={texts.makeWebhook} submitTestId="save-webhook" onCancel={onCancel}>
      <TextField
        name="url"
        label={texts.address}
        hint={texts.beginsHttpsCanReached}
        placeholder="https://hooks.example.com/migrate"
        mono
        testId="webhook-url"
        value={values.url}
        error={faultAt(form.errors.value, "url")}
        onInput={(value) => form.set("url", value)}
      />
      <fieldset class="events" aria-describedby={eventsFault === null ? undefined : "events-note"}>
        <legend>{texts.itIsCalledWhen}</legend>
        {EVENT_TYPES.map((event) => (
          <CheckField
            key={event}
            name={event}
            label={EVENT_WORDS[event]}
            testId={`event-${event}`}
            checked={values.events.includes(event)}
            onInput={(isOn) => form.set("events", withEvent(values.events, { event, isOn }))}
          />
        ))}
        {eventsFault !== null && (
          <p class="field-error" id="events-note" role="alert">
            {eventsFault}
          </p>
        )}
      </fieldset>
    </FormFrame>
  );
}

function columnsFor(model: WebhooksModel, remove: (webhook: Webhook) => void): readonly Column<Webhook>[] {
  return [
    {
      title: texts.address,
      cell: (webhook) => (
        <>
          <strong class="row-name">{webhook.url}</strong>
          <span class="under">{eventsText(webhook)}</span>
          <TestResult test={model.tests.value.get(webhook.id)} />
        </>
      ),
    },
    {
      title: texts.status,
      cell: (webhook) => (
        <span>
          <Badge words={WEBHOOK_STATUS_WORDS[webhook.status]} testId="webhook-status" />
          {webhook.status !== "active" && <span class="under">{troubleText(webhook)}</span>}
        </span>
      ),
    },
    {
      title: "",
      numeric: true,
      cell: (webhook) => (
        <span class="row-actions">
          {webhook.status === "disabled" && (
            <Button
              testId="enable-webhook"
              busy={model.actions.busy.value.has(webhook.id)}
              onPress={() => void model.enable(webhook).then(keepFocus)}
            >
              {texts.switchOn}
            </Button>
          )}
          <Button
            testId="test-webhook"
            busy={model.tests.value.get(webhook.id)?.state === "running"}
            onPress={() => void model.test(webhook).then(keepFocus)}
          >
            {texts.test}
          </Button>
          <Button
            testId="delete-webhook"
            busy={model.actions.busy.value.has(webhook.id)}
            onPress={() => remove(webhook)}
          >
            {texts.delete}
          </Button>
        </span>
      ),
    },
  ];
}

function TestResult({ test }: { test: WebhookTest | undefined }) {
  return (
    <span role="status" data-testid="webhook-test">
      {test !== undefined && (
        <span class="under">
          <span class={isBad(test) ? "danger-text" : ""}>{testText(test)}</span>
        </span>
      )}
    </span>
  );
}

function isBad(test: WebhookTest): boolean {
  return test.state === "refused" || (test.state === "done" && !test.result.delivered);
}

function testText(test: WebhookTest): string {
  switch (test.state) {
    case "running":
      return texts.testWay;
    case "refused":
      return test.problem;
    case "done":
      return test.result.delivered
        ? texts.testDeliveredIn(formatDuration(test.result.durationMs))
        : texts.testNotDelivered(test.result.reason ?? texts.noReasonKnown);
  }
}

function eventsText({ events }: Webhook): string {
  return events.length === EVENT_TYPES.length
    ? texts.allEvents
    : events.map((event) => EVENT_WORDS[event] ?? event).join(" · ");
}

function troubleText(webhook: Webhook): string {
  const since = webhook.disabledAt ?? webhook.failingSince;
  return [since === null ? null : texts.since(formatDateTime(since)), webhook.reason]
    .filter((part) => part !== null)
    .join(": ");
}
