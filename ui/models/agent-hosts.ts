/** What an agent may reach: whoever looks after a firewall opens these and no others. */
import { computed, type ReadonlySignal } from "@preact/signals";
import type { Connection } from "../../schema/api.ts";
import type { Api } from "../api.ts";
import { createRemote, loadAll, type RemoteModel } from "./remote.ts";

export interface AgentHost {
  readonly host: string;
  readonly port: string;
  /** Whose it is: the control plane, or a storage account by its name; null = any of Azure's, as long as none is connected. */
  readonly of:
    | { readonly kind: "control_plane" }
    | { readonly kind: "storage"; readonly account: string | null };
}

export interface AgentHostsModel {
  readonly connections: RemoteModel<readonly Connection[]>;
  readonly hosts: ReadonlySignal<readonly AgentHost[]>;
  open(): void;
  close(): void;
}

export function createAgentHosts({ api, origin }: { api: Api; origin: string }): AgentHostsModel {
  const connections = createRemote((abort) =>
    loadAll((query, signal) => api.connections.list(query, signal), abort),
  );
  return {
    connections,
    hosts: computed(() => hostsOf(origin, connections.value.value ?? [])),
    open: () => void connections.reload(),
    close: connections.close,
  };
}

export function hostsOf(origin: string, connections: readonly Connection[]): readonly AgentHost[] {
  const storage = new Map<string, AgentHost>();
  for (const { blobEndpoint, account } of connections) {
    const address = addressOf(blobEndpoint);
    storage.set(address.host + address.port, { ...address, of: { kind: "storage", account } });
  }
  if (storage.size === 0)
    storage.set("", {
      host: "*.blob.core.windows.net",
      port: "443",
      of: { kind: "storage", account: null },
    });
  return [{ ...addressOf(origin), of: { kind: "control_plane" } }, ...storage.values()];
}

function addressOf(url: string): { host: string; port: string } {
  const { hostname, port, protocol } = new URL(url);
  return { host: hostname, port: port === "" ? (protocol === "http:" ? "80" : "443") : port };
}
