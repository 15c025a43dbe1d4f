import { expect, test } from "vitest";
import type { AuditEntry } from "../../schema/audit.ts";
import { actionWords, actorWords, auditTable, detailWords } from "./audit-words.ts";

const ENTRY: AuditEntry = {
  number: 7,
  id: "aud_7",
  at: "2026-05-31T12:00:00.000Z",
  actorKind: "user",
  actorId: "usr_1",
  address: "192.0.2.1",
  action: "project.deleted",
  objectId: "prj_1",
  details: { name: '=1+1, "quoted"', tenantId: "t" },
  hash: "a".repeat(64),
};
const NAMES = new Map([["usr_1", "Olivia Owner"]]);

test("[U38] an entry says who, what, and what matters of the details; what is not known does no harm", () => {
  expect(actorWords(ENTRY, NAMES)).toBe("Olivia Owner");
  expect(actorWords({ ...ENTRY, actorId: "usr_2" }, NAMES)).toBe("A former member");
  expect(actorWords({ ...ENTRY, actorId: "usr_2" }, null)).toBe("A member");
  expect(actorWords({ ...ENTRY, actorKind: "system", actorId: null }, NAMES)).toBe("Migrate itself");
  expect(detailWords({ ...ENTRY, details: { from: "member", to: "admin", jtiHash: "x" } }, NAMES)).toBe(
    "from member, to admin",
  );
  expect(detailWords({ ...ENTRY, details: { userId: "usr_1" } }, NAMES)).toBe("of Olivia Owner");
  expect(actionWords("moon.landed")).toBe("moon.landed");
  // An object's own words must not be taken for an action's.
  expect(actionWords("toString")).toBe("toString");
});

test("[U38] in the table quotes are doubled and nothing is taken for a formula", () => {
  const entry: AuditEntry = { ...ENTRY, actorId: "usr_3" };
  const [head, row, ...rest] = auditTable([entry], new Map([["usr_3", "=HYPERLINK(1)"]])).split("\r\n");
  expect(head).toBe("\ufeffNumber,Time (UTC),Who,What,Details,Address,Action,Object,Hash");
  expect(row).toBe(
    `7,2026-05-31T12:00:00.000Z,'=HYPERLINK(1),Deleted a project,"name =1+1, ""quoted""",192.0.2.1,project.deleted,prj_1,${"a".repeat(64)}`,
  );
  expect(rest).toEqual([""]);
});
