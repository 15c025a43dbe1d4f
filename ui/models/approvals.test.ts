import { signal } from "@preact/signals";
import { expect, test } from "vitest";
import { agentWith, createTestApi, createTestClock, pageWith, settle } from "../test-world.ts";
import { createApprovals } from "./approvals.ts";
import { createToasts } from "./toasts.ts";

test("[U39] only agents that wait are asked for, again whenever one comes, and not after the page is closed", async () => {
  const waiting = agentWith({ status: "pending" });
  const { api, asked } = createTestApi(({ method }) =>
    method === "POST" ? { body: agentWith() } : { body: pageWith([waiting]) },
  );
  const gaps = signal(0);
  const live = { agents: signal<ReadonlyMap<string, boolean>>(new Map()), gaps };
  const model = createApprovals({ api, live, toasts: createToasts(createTestClock()) });
  model.open();
  await settle();
  expect(model.list.items.value).toEqual([waiting]);
  gaps.value++;
  await settle();
  expect(await model.approve(waiting)).toBe(true);
  expect(await model.refuse(waiting)).toBe(true);
  model.close();
  gaps.value++;
  await settle();
  expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "GET /api/agents?status=pending",
    "GET /api/agents?status=pending",
    "POST /api/agents/agt_1/approve",
    "GET /api/agents?status=pending",
    "POST /api/agents/agt_1/refuse",
    "GET /api/agents?status=pending",
  ]);
});
