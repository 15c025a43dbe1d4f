import { expect, test } from "vitest";
import { createTestApi, createTestClock, pageWith, settle } from "../test-world.ts";
import { createApiKeys } from "./api-keys.ts";
import { createToasts } from "./toasts.ts";

const KEY = {
  id: "apk_1",
  name: "Ticket sync",
  role: "viewer",
  status: "active",
  createdBy: "usr_1",
  createdAt: "2026-05-31T12:00:00Z",
  expiresAt: null,
  lastUsedAt: null,
} as const;

function setUp() {
  const { api, asked } = createTestApi(({ method, path }) => {
    if (method === "GET") return { body: pageWith([KEY]) };
    return path.endsWith("/revoke")
      ? { body: { ...KEY, status: "revoked" } }
      : { status: 201, body: { ...KEY, key: "mig_secret" } };
  });
  const toasts = createToasts(createTestClock());
  const model = createApiKeys({ api, toasts, uuid: () => "key-00000001" });
  model.begin();
  const form = model.form.value;
  if (form === null) throw new Error("There is no form");
  return { asked, model, form, toasts };
}

test("[U36] a key is asked for as it was chosen, shown, and forgotten when it was kept or the page closes", async () => {
  const { asked, model, form } = setUp();
  form.set("name", " Ticket sync ");
  form.set("role", "member");
  form.set("validDays", "30");
  await form.submit();
  expect(asked[0]).toMatchObject({
    method: "POST",
    path: "/api/api-keys",
    body: { name: "Ticket sync", role: "member", validDays: 30 },
    key: "key-00000001",
  });
  expect([model.form.value, model.made.value?.key]).toEqual([null, "mig_secret"]);
  model.keep();
  expect(model.made.value).toBeNull();
  await form.submit();
  model.close();
  expect(model.made.value).toBeNull();
});

test("[U36] a key without an end is asked for as such; days out of bounds are refused here", async () => {
  const { asked, form } = setUp();
  form.set("name", "Backup");
  for (const days of ["0", "3651", "1.5", "", "x"]) {
    form.set("validDays", days);
    await form.submit();
    expect(Object.keys(form.errors.value), days).toEqual(["validDays"]);
  }
  expect(asked).toEqual([]);
  form.set("expiry", "never");
  await form.submit();
  expect(asked[0]?.body).toMatchObject({ validDays: null });
});

test("[U36] a revoked key is fetched anew, and a second press while it is under way does nothing", async () => {
  const { asked, model, toasts } = setUp();
  const first = model.revoke(KEY);
  expect(await model.revoke(KEY)).toBe(false);
  expect(await first).toBe(true);
  await settle();
  expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "POST /api/api-keys/apk_1/revoke",
    "GET /api/api-keys",
  ]);
  expect(toasts.shown.value.map(({ text }) => text)).toEqual(['Key "Ticket sync" revoked']);
});
