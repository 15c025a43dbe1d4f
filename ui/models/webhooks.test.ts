import { expect, test } from "vitest";
import type { Webhook } from "../../schema/webhooks.ts";
import { EVENT_TYPES } from "../settings-contract.ts";
import { createTestApi, createTestClock, pageWith } from "../test-world.ts";
import { createToasts } from "./toasts.ts";
import { createWebhooks, withEvent } from "./webhooks.ts";

const HOOK: Webhook = {
  id: "whk_1",
  url: "https://hooks.example.com/1",
  events: [...EVENT_TYPES],
  status: "active",
  failingSince: null,
  reason: null,
  createdBy: "usr_1",
  createdAt: "2026-05-31T12:00:00Z",
  disabledAt: null,
};

test("[U37] what became of a test stands at its webhook, also when it was refused", async () => {
  const answers = [
    { body: { delivered: false, reason: "It answered 500", durationMs: 12 } },
    { status: 429, body: { error: "Too many test deliveries", code: "RATE_LIMIT_EXCEEDED", details: null } },
  ];
  const { api } = createTestApi(() => answers.shift() ?? { body: pageWith([HOOK]) });
  const model = createWebhooks({ api, toasts: createToasts(createTestClock()), uuid: () => "key-00000001" });
  const testing = model.test(HOOK);
  expect(model.tests.value.get("whk_1")).toEqual({ state: "running" });
  await testing;
  expect(model.tests.value.get("whk_1")).toMatchObject({ state: "done", result: { delivered: false } });
  await model.test(HOOK);
  expect(model.tests.value.get("whk_1")).toEqual({ state: "refused", problem: "Too many test deliveries" });
});

test("[U37] a webhook without events or an address is not sent; events keep the contract's order", async () => {
  const { api, asked } = createTestApi(({ method }) =>
    method === "POST" ? { status: 201, body: { ...HOOK, secret: "whsec_1" } } : { body: pageWith([HOOK]) },
  );
  const model = createWebhooks({ api, toasts: createToasts(createTestClock()), uuid: () => "key-00000001" });
  model.begin();
  const form = model.form.value;
  form?.set("events", []);
  await form?.submit();
  expect(Object.keys(form?.errors.value ?? {}).sort()).toEqual(["events", "url"]);
  form?.set("url", " https://hooks.example.com/1 ");
  const events = withEvent(withEvent([], { event: "job.failed", isOn: true }), {
    event: "job.started",
    isOn: true,
  });
  form?.set("events", events);
  await form?.submit();
  expect(asked[0]?.body).toEqual({
    url: "https://hooks.example.com/1",
    events: ["job.started", "job.failed"],
  });
  expect(model.made.value?.secret).toBe("whsec_1");
  expect(withEvent(events, { event: "job.started", isOn: false })).toEqual(["job.failed"]);
});
