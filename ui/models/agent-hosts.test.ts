import { expect, test } from "vitest";
import type { Connection } from "../../schema/api.ts";
import { hostsOf } from "./agent-hosts.ts";

const connection = (account: string, blobEndpoint: string): Connection => ({
  id: `stc_${account}`,
  name: account,
  kind: "connection_string",
  account,
  blobEndpoint,
  container: null,
  expiresAt: null,
  createdAt: "2026-05-31T12:00:00.000Z",
});

test("[U77] the control plane and each storage account are named once, with their ports", () => {
  const acme = connection("acme", "https://acme.blob.core.windows.net");
  const hosts = hostsOf("https://app.example", [acme, acme, connection("dev", "http://10.0.0.9:10000/dev")]);
  expect(hosts.map(({ host, port }) => `${host}:${port}`)).toEqual([
    "app.example:443",
    "acme.blob.core.windows.net:443",
    "10.0.0.9:10000",
  ]);
});

test("[U77] as long as no storage is connected, that of Azure stands for it", () => {
  expect(hostsOf("http://localhost:8787", [])).toEqual([
    { host: "localhost", port: "8787", of: { kind: "control_plane" } },
    { host: "*.blob.core.windows.net", port: "443", of: { kind: "storage", account: null } },
  ]);
});
