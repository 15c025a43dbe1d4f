/** Addresses that are told of events: the list, making one, and trying one out. A secret is in one answer only. */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { EventType, Webhook, WebhookMade, WebhookTested } from "../../schema/webhooks.ts";
import { type Api, type FieldErrors, sentenceOf } from "../api.ts";
import { createSettingsApi } from "../settings-api.ts";
import { EVENT_TYPES } from "../settings-contract.ts";
import { createForm, type Form } from "./form.ts";
import { createList, type ListModel } from "./remote.ts";
import { createRowActions, type RowActions } from "./row-actions.ts";
import type { ToastsModel } from "./toasts.ts";
import { webhooks as texts } from "../texts/settings.ts";

export interface WebhookValues {
  readonly url: string;
  readonly events: readonly EventType[];
}

export type WebhookTest =
  | { readonly state: "running" }
  | { readonly state: "done"; readonly result: WebhookTested }
  | { readonly state: "refused"; readonly problem: string };

export interface WebhooksModel {
  readonly list: ListModel<Webhook>;
  readonly actions: RowActions;
  readonly form: ReadonlySignal<Form<WebhookValues> | null>;
  readonly made: ReadonlySignal<WebhookMade | null>;
  /** What became of the newest test of each, by id. */
  readonly tests: ReadonlySignal<ReadonlyMap<string, WebhookTest>>;
  begin(): void;
  cancel(): void;
  keep(): void;
  test(webhook: Webhook): Promise<void>;
  enable(webhook: Webhook): Promise<boolean>;
  remove(webhook: Webhook): Promise<boolean>;
  open(): void;
  close(): void;
}

export function createWebhooks(world: { api: Api; toasts: ToastsModel; uuid(): string }): WebhooksModel {
  const { webhooks } = createSettingsApi(world.api);
  const list = createList<Webhook>((query, abort) => webhooks.list(query, abort));
  const actions = createRowActions(list, world.toasts);
  const form = signal<Form<WebhookValues> | null>(null);
  const made = signal<WebhookMade | null>(null);
  const tests = signal<ReadonlyMap<string, WebhookTest>>(new Map());
  const put = (id: string, test: WebhookTest) => {
    tests.value = new Map([...tests.value, [id, test]]);
  };
  return {
    list,
    actions,
    form,
    made,
    tests,
    begin() {
      form.value = createForm<WebhookValues, WebhookMade>({
        initial: { url: "", events: EVENT_TYPES },
        idempotencyKey: world.uuid(),
        check: checkWebhook,
        save: (values, key) => webhooks.create({ url: values.url.trim(), events: [...values.events] }, key),
        saved(webhook) {
          form.value = null;
          made.value = webhook;
          void list.reload();
        },
      });
    },
    cancel() {
      form.value = null;
    },
    keep() {
      made.value = null;
    },
    async test({ id }) {
      if (tests.value.get(id)?.state === "running") return;
      put(id, { state: "running" });
      try {
        put(id, { state: "done", result: await webhooks.test(id) });
      } catch (error) {
        put(id, { state: "refused", problem: sentenceOf(error) });
      }
    },
    enable: (webhook) => actions.run(webhook.id, () => webhooks.enable(webhook.id), texts.webhookIsOnAgain),
    remove: (webhook) => actions.run(webhook.id, () => webhooks.remove(webhook.id), texts.webhookDeleted),
    open: () => void list.reload(),
    close() {
      list.close();
      made.value = null;
    },
  };
}

/** The events with this one added, or taken away; always in the order of the contract. */
export function withEvent(
  events: readonly EventType[],
  { event, isOn }: { readonly event: EventType; readonly isOn: boolean },
): readonly EventType[] {
  return EVENT_TYPES.filter((other) => (other === event ? isOn : events.includes(other)));
}

function checkWebhook(values: WebhookValues): FieldErrors {
  const errors: Record<string, string> = {};
  if (values.url.trim() === "") errors["url"] = texts.giveAnAddress;
  if (values.events.length === 0) errors["events"] = texts.chooseLeastOneEvent;
  return errors;
}
