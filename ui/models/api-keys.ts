/** Keys for programs: the list, and making one. The key itself is in one answer only, and held no longer than it is shown. */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { ApiKey, ApiKeyMade } from "../../schema/api-keys.ts";
import type { Api, FieldErrors } from "../api.ts";
import { createSettingsApi } from "../settings-api.ts";
import { API_KEY_DAYS, type ApiKeyRole } from "../settings-contract.ts";
import { createForm, type Form } from "./form.ts";
import { createList, type ListModel } from "./remote.ts";
import { createRowActions, type RowActions } from "./row-actions.ts";
import type { ToastsModel } from "./toasts.ts";
import { apiKeys as texts } from "../texts/settings.ts";

export interface ApiKeyValues {
  readonly name: string;
  readonly role: ApiKeyRole;
  readonly expiry: "days" | "never";
  readonly validDays: string;
}

export interface ApiKeysModel {
  readonly list: ListModel<ApiKey>;
  readonly actions: RowActions;
  /** Null while none is being made. */
  readonly form: ReadonlySignal<Form<ApiKeyValues> | null>;
  readonly made: ReadonlySignal<ApiKeyMade | null>;
  begin(): void;
  cancel(): void;
  /** The person has put the key where it belongs: it is forgotten here. */
  keep(): void;
  revoke(key: ApiKey): Promise<boolean>;
  open(): void;
  close(): void;
}

export function createApiKeys(world: { api: Api; toasts: ToastsModel; uuid(): string }): ApiKeysModel {
  const { apiKeys } = createSettingsApi(world.api);
  const list = createList<ApiKey>((query, abort) => apiKeys.list(query, abort));
  const actions = createRowActions(list, world.toasts);
  const form = signal<Form<ApiKeyValues> | null>(null);
  const made = signal<ApiKeyMade | null>(null);
  return {
    list,
    actions,
    form,
    made,
    begin() {
      form.value = createForm<ApiKeyValues, ApiKeyMade>({
        initial: { name: "", role: "viewer", expiry: "days", validDays: "90" },
        idempotencyKey: world.uuid(),
        check: checkApiKey,
        save: (values, key) =>
          apiKeys.create(
            {
              name: values.name.trim(),
              role: values.role,
              validDays: values.expiry === "never" ? null : Number(values.validDays),
            },
            key,
          ),
        saved(key) {
          form.value = null;
          made.value = key;
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
    revoke: (key) => actions.run(key.id, () => apiKeys.revoke(key.id), texts.keyRevoked(key.name)),
    open: () => void list.reload(),
    close() {
      list.close();
      made.value = null;
    },
  };
}

function checkApiKey(values: ApiKeyValues): FieldErrors {
  const errors: Record<string, string> = {};
  if (values.name.trim() === "") errors["name"] = texts.giveAName;
  const days = Number(values.validDays);
  if (
    values.expiry === "days" &&
    !(Number.isInteger(days) && days >= API_KEY_DAYS.min && days <= API_KEY_DAYS.max)
  ) {
    errors["validDays"] = texts.wholeNumberFrom(API_KEY_DAYS.min, API_KEY_DAYS.max);
  }
  return errors;
}
