/**
 * Signing in with Microsoft to connect Azure Storage: leaving for Microsoft's page, and, back from it, the choice of a storage
 * account. What the person may not list can be typed, and the server's own words say why.
 */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { Connection } from "../../schema/api.ts";
import type { AzureAccount, AzurePage, AzureSubscription, Consent } from "../../schema/azure.ts";
import { type Api, type FieldErrors, sentenceOf } from "../api.ts";
import { createSettingsApi } from "../settings-api.ts";
import { ACCOUNT_NAME } from "../settings-contract.ts";
import { createForm, type Form } from "./form.ts";
import { createRemote, type RemoteModel } from "./remote.ts";
import { consent as texts } from "../texts/settings.ts";

export interface SignInModel {
  readonly leaving: ReadonlySignal<boolean>;
  readonly problem: ReadonlySignal<string | null>;
  /** Goes to Microsoft's page; with a connection to connect it anew. */
  begin(connectionId: string | null): Promise<void>;
}

/** `leave` makes the browser go to another site. */
export function createSignIn(api: Api, leave: (url: string) => void): SignInModel {
  const { consents } = createSettingsApi(api);
  const leaving = signal(false);
  const problem = signal<string | null>(null);
  return {
    leaving,
    problem,
    async begin(connectionId) {
      if (leaving.value) return;
      leaving.value = true;
      problem.value = null;
      try {
        leave((await consents.begin(connectionId)).url);
      } catch (error) {
        leaving.value = false;
        problem.value = sentenceOf(error);
      }
    },
  };
}

export interface AccountValues {
  readonly how: "list" | "typed";
  readonly subscriptionId: string;
  readonly resourceId: string;
  readonly account: string;
  readonly name: string;
}

/** A list of Azure's, with what the server says when it shows nothing. */
export interface AzureList<Item> {
  readonly items: readonly Item[];
  readonly note: string | null;
}

export interface ConsentModel {
  readonly consent: RemoteModel<Consent>;
  readonly subscriptions: RemoteModel<AzureList<AzureSubscription>>;
  /** Of the chosen subscription; null before one is chosen. */
  readonly accounts: ReadonlySignal<RemoteModel<AzureList<AzureAccount>> | null>;
  /** What the sign-in sees in the chosen or typed account; null before. */
  readonly containers: ReadonlySignal<RemoteModel<AzureList<string>> | null>;
  readonly form: Form<AccountValues>;
  chooseHow(how: AccountValues["how"]): void;
  chooseSubscription(id: string): void;
  chooseAccount(resourceId: string): void;
  /** Asks what is in the account whose name was typed. */
  lookInside(): void;
  open(): void;
  close(): void;
}

/** Subscriptions and accounts come a few at a time; beyond this a person types the name. */
const PAGES_MAX = 20;

export function createConsent(
  world: { api: Api; uuid(): string },
  { id, saved }: { readonly id: string; saved(connection: Connection): void },
): ConsentModel {
  const { consents } = createSettingsApi(world.api);
  const consent = createRemote((abort) => consents.get(id, abort));
  const subscriptions = createRemote((abort) =>
    loadPages((query, inner) => consents.subscriptions(id, query, inner), abort),
  );
  const accounts = signal<RemoteModel<AzureList<AzureAccount>> | null>(null);
  const containers = signal<RemoteModel<AzureList<string>> | null>(null);
  const form = createForm<AccountValues, Connection>({
    initial: { how: "list", subscriptionId: "", resourceId: "", account: "", name: "" },
    idempotencyKey: world.uuid(),
    check: checkAccount,
    save: (values, key) =>
      consents.finish(
        id,
        {
          name: values.name.trim(),
          account: values.account.trim(),
          resourceId: values.how === "list" ? values.resourceId : null,
        },
        key,
      ),
    saved,
  });

  function showContainers(account: string, resourceId: string | null): void {
    containers.value?.close();
    const asked = { account, ...(resourceId === null ? {} : { resourceId }) };
    const next = createRemote((abort) =>
      loadPages((query, inner) => consents.containers(id, { ...asked, ...query }, inner), abort),
    );
    containers.value = next;
    void next.reload();
  }

  function forgetAccount(): void {
    containers.value?.close();
    containers.value = null;
    const { name, account } = form.values.value;
    if (name === account) form.set("name", "");
    form.set("resourceId", "");
    form.set("account", "");
  }

  /** A name that was not written by hand follows the account. */
  function nameAfter(account: string): void {
    const { name, account: before } = form.values.value;
    if (name === "" || name === before) form.set("name", account);
  }

  return {
    consent,
    subscriptions,
    accounts,
    containers,
    form,
    chooseHow(how) {
      forgetAccount();
      form.set("how", how);
    },
    chooseSubscription(subscriptionId) {
      forgetAccount();
      form.set("subscriptionId", subscriptionId);
      accounts.value?.close();
      const next = createRemote((abort) =>
        loadPages((query, inner) => consents.accounts(id, { subscriptionId, ...query }, inner), abort),
      );
      accounts.value = next;
      void next.reload();
    },
    chooseAccount(resourceId) {
      const account = accounts.value?.value.value?.items.find((one) => one.resourceId === resourceId);
      if (account === undefined) return;
      nameAfter(account.name);
      form.set("resourceId", resourceId);
      form.set("account", account.name);
      showContainers(account.name, resourceId);
    },
    lookInside() {
      const account = form.values.value.account.trim();
      if (!ACCOUNT_NAME.test(account)) return;
      nameAfter(account);
      showContainers(account, null);
    },
    open() {
      void consent.reload();
      // Whoever sees no subscription has nothing to choose from.
      void subscriptions.reload().then(() => {
        if (subscriptions.value.value?.items.length === 0) form.fill("how", "typed");
      });
    },
    close() {
      consent.close();
      subscriptions.close();
      accounts.value?.close();
      containers.value?.close();
    },
  };
}

async function loadPages<Item>(
  load: (query: { readonly cursor?: string }, signal: AbortSignal) => Promise<AzurePage<Item>>,
  signal: AbortSignal,
): Promise<AzureList<Item>> {
  const items: Item[] = [];
  let note: string | null = null;
  let cursor: string | null = null;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const page: AzurePage<Item> = await load(cursor === null ? {} : { cursor }, signal);
    items.push(...page.items);
    note ??= page.note;
    cursor = page.nextCursor;
    if (cursor === null) break;
  }
  return { items, note };
}

function checkAccount(values: AccountValues): FieldErrors {
  const errors: Record<string, string> = {};
  if (values.how === "list") {
    if (values.subscriptionId === "") errors["subscriptionId"] = texts.chooseASubscription;
    else if (values.resourceId === "") errors["resourceId"] = texts.chooseAStorageAccount;
  } else if (!ACCOUNT_NAME.test(values.account.trim())) {
    errors["account"] = texts.storageAccountsNameHas;
  }
  if (values.name.trim() === "") errors["name"] = texts.giveAName;
  return errors;
}
