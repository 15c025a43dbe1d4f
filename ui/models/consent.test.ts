import { expect, test } from "vitest";
import { createTestApi, settle } from "../test-world.ts";
import { createConsent, createSignIn } from "./consent.ts";

const ACCOUNT = {
  resourceId: "/subscriptions/s/one",
  name: "acmefiles",
  location: "westeurope",
  kind: "StorageV2",
  sku: "Standard_LRS",
  isHierarchical: false,
  hasArchive: true,
  isFirewalled: false,
};
const list = (items: unknown[], note: string | null = null, nextCursor: string | null = null) => ({
  body: { items, nextCursor, note },
});

function setUp(subscriptions: ReturnType<typeof list>) {
  const { api, asked } = createTestApi(({ method, path }) => {
    if (method === "POST") return { status: 201, body: { id: "con_1" } };
    if (path.includes("/subscriptions?cursor=")) return list([{ id: "s2", name: "Second", isEnabled: true }]);
    if (path.includes("/subscriptions")) return subscriptions;
    if (path.includes("/accounts")) return list([ACCOUNT]);
    if (path.includes("/containers")) return list(["files"]);
    return { body: { id: "oas_1", tenantId: "t", principal: "olivia@contoso.example", expiresAt: "" } };
  });
  const saved: string[] = [];
  const model = createConsent(
    { api, uuid: () => "key-00000001" },
    { id: "oas_1", saved: (connection) => saved.push(connection.id) },
  );
  model.open();
  return { asked, model, saved };
}

test("[U34] subscription, account and containers follow one another, and the name follows the account", async () => {
  const { asked, model, saved } = setUp(list([{ id: "s1", name: "First", isEnabled: true }], null, "2"));
  await settle();
  expect(model.subscriptions.value.value?.items.map(({ id }) => id)).toEqual(["s1", "s2"]);
  model.chooseSubscription("s1");
  await settle();
  model.chooseAccount(ACCOUNT.resourceId);
  await settle();
  expect(model.containers.value?.value.value?.items).toEqual(["files"]);
  await model.form.submit();
  expect(asked.at(-1)).toMatchObject({
    path: "/api/azure/consents/oas_1/connection",
    body: { name: "acmefiles", account: "acmefiles", resourceId: ACCOUNT.resourceId },
  });
  expect(saved).toEqual(["con_1"]);
});

test("[U34] another subscription takes the account back, so that no account of the old one is connected", async () => {
  const { asked, model } = setUp(list([{ id: "s1", name: "First", isEnabled: true }]));
  await settle();
  model.chooseSubscription("s1");
  await settle();
  model.chooseAccount(ACCOUNT.resourceId);
  model.chooseSubscription("s2");
  await settle();
  await model.form.submit();
  expect(model.form.errors.value).toMatchObject({ resourceId: "Choose a storage account" });
  expect(asked.filter(({ method }) => method === "POST")).toEqual([]);
});

test("[U34] whoever sees no subscription types the account's name, and is told why", async () => {
  const { asked, model } = setUp(list([], "No subscription is visible"));
  await settle();
  expect(model.form.values.value.how).toBe("typed");
  expect(model.subscriptions.value.value?.note).toBe("No subscription is visible");
  model.form.set("account", "Not A Name");
  model.lookInside();
  expect(model.containers.value).toBeNull();
  model.form.set("account", "acmefiles");
  model.lookInside();
  await settle();
  expect(asked.at(-1)?.path).toBe("/api/azure/consents/oas_1/containers?account=acmefiles");
  await model.form.submit();
  expect(asked.at(-1)?.body).toEqual({ name: "acmefiles", account: "acmefiles", resourceId: null });
});

test("[U34] the browser leaves for Microsoft's page once, or is told why not", async () => {
  const left: string[] = [];
  const answers = [
    {
      status: 503,
      body: { error: "Signing in with Microsoft is not set up", code: "NOT_CONFIGURED", details: null },
    },
    { status: 201, body: { id: "oas_1", url: "https://login.example/1", expiresAt: "" } },
  ];
  const { api, asked } = createTestApi(() => answers.shift() ?? "lost");
  const signIn = createSignIn(api, (url) => left.push(url));
  await signIn.begin("con_1");
  expect([signIn.problem.value, signIn.leaving.value, left]).toEqual([
    "Signing in with Microsoft is not set up",
    false,
    [],
  ]);
  await Promise.all([signIn.begin("con_1"), signIn.begin("con_1")]);
  expect(left).toEqual(["https://login.example/1"]);
  expect(asked.map(({ body }) => body)).toEqual([{ connectionId: "con_1" }, { connectionId: "con_1" }]);
});
