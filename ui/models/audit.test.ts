import { expect, test } from "vitest";
import type { AuditEntry } from "../../schema/audit.ts";
import { createTestApi, createTestClock } from "../test-world.ts";
import { createAudit, filterOf } from "./audit.ts";
import { createToasts } from "./toasts.ts";

const ENTRY: AuditEntry = {
  number: 2,
  id: "aud_2",
  at: "2026-05-31T12:00:00.000Z",
  actorKind: "user",
  actorId: "usr_1",
  address: null,
  action: "client.created",
  objectId: "cli_1",
  details: null,
  hash: "a".repeat(64),
};
const HEAD = { number: 2, hash: "a".repeat(64) };
const NOTHING = { action: "", actor: "", fromDay: "", toDay: "" };

test("[U38] what is chosen is asked for, and what is not filters nothing", () => {
  expect(filterOf(NOTHING)).toEqual({});
  expect(filterOf({ ...NOTHING, action: "client.created", actor: "usr_1" })).toEqual({
    action: "client.created",
    actor: "usr_1",
  });
});

test("[U38] a day is the reader's own, from its first moment to its last", () => {
  const { from = "", to = "" } = filterOf({ ...NOTHING, fromDay: "2026-05-31", toDay: "2026-05-31" });
  expect(new Date(from).getHours()).toBe(0);
  expect(Date.parse(to) - Date.parse(from)).toBe(86_400_000 - 1);
});

test("[U38] all that fits is collected page by page, also past a page that holds nothing", async () => {
  const pages = [
    { items: [ENTRY], nextCursor: "2", head: HEAD },
    { items: [], nextCursor: "1", head: HEAD },
    { items: [{ ...ENTRY, id: "aud_1", number: 1 }], nextCursor: null, head: HEAD },
  ];
  const { api, asked } = createTestApi(() => ({ body: pages.shift() }));
  const model = createAudit({ api, toasts: createToasts(createTestClock()) });
  const rows = await model.collect();
  expect(rows?.map(({ number }) => number)).toEqual([2, 1]);
  expect(asked.map(({ path }) => path)).toEqual([
    "/api/audit?limit=200",
    "/api/audit?limit=200&cursor=2",
    "/api/audit?limit=200&cursor=1",
  ]);
  expect(model.head.value).toEqual(HEAD);
});

test("[U38] a table that cannot be fetched is told of, and none is made", async () => {
  const { api } = createTestApi(() => "lost");
  const toasts = createToasts(createTestClock());
  const model = createAudit({ api, toasts });
  expect(await model.collect()).toBeNull();
  expect(toasts.shown.value).toHaveLength(1);
});
