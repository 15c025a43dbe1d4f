import { expect, test } from "vitest";
import type { Connection } from "../../schema/api.ts";
import { connectionState } from "./connections.ts";

const DAY_MS = 86_400_000;
const NOW_MS = Date.parse("2026-05-31T12:00:00Z");
const at = (days: number) => new Date(NOW_MS + days * DAY_MS).toISOString();

const SAS: Connection = {
  id: "con_1",
  name: "Acme",
  kind: "container_sas",
  account: "acme",
  blobEndpoint: "https://acme.blob.core.windows.net",
  container: "files",
  expiresAt: null,
  createdAt: at(-100),
};
const consent = { tenantId: "t", principal: "olivia@contoso.example", hierarchical: false };

test("[U34] a connection says when it lapses, that it has, and that Microsoft refuses it", () => {
  const stateOf = (change: Partial<Connection>) => connectionState({ ...SAS, ...change }, NOW_MS);
  expect(stateOf({})).toEqual({ kind: "active" });
  expect(stateOf({ expiresAt: at(15.5) })).toEqual({ kind: "active" });
  expect(stateOf({ expiresAt: at(14.5) })).toEqual({ kind: "lapses", days: 14 });
  expect(stateOf({ expiresAt: at(0.5) })).toEqual({ kind: "lapses", days: 0 });
  expect(stateOf({ expiresAt: at(-0.1) })).toEqual({ kind: "lapsed" });
  const oauth = (refreshedAt: string | null, refusedAt: string | null = null) =>
    stateOf({ kind: "oauth", consent: { ...consent, refreshedAt, refusedAt } });
  expect(oauth(at(-1))).toEqual({ kind: "active" });
  expect(oauth(at(-83.5))).toEqual({ kind: "lapses", days: 6 });
  expect(oauth(at(-91))).toEqual({ kind: "lapsed" });
  expect(oauth(at(-1), at(-0.5))).toEqual({ kind: "refused" });
});
