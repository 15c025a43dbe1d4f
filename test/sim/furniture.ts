/** What stands in D1 before anything happens: an organization with a person, a client, a storage, a project, and agents. */
import type { DatabaseSync } from "node:sqlite";

export interface Furniture {
  readonly orgId: string;
  readonly userId: string;
  readonly clientId: string;
  readonly connectionId: string;
  readonly projectId: string;
  readonly agentIds: readonly string[];
  readonly nowMs: number;
}

export function furnish(sqlite: DatabaseSync, furniture: Furniture): void {
  const { orgId, userId, clientId, connectionId, projectId, agentIds, nowMs } = furniture;
  const put = (table: string, row: Readonly<Record<string, string | number>>) => {
    const names = Object.keys(row);
    sqlite
      .prepare(`INSERT INTO ${table} (${names.join()}) VALUES (${names.map(() => "?").join()})`)
      .run(...Object.values(row));
  };
  put("organizations", {
    org_id: orgId,
    issuer: "hub",
    hub_tenant_id: "t",
    name: "Sim",
    created_at: nowMs,
  });
  put("users", {
    org_id: orgId,
    id: userId,
    issuer: "hub",
    hub_user_id: "u",
    name: "U",
    email: "u@example.com",
    role: "owner",
    created_at: nowMs,
    updated_at: nowMs,
  });
  put("clients", {
    org_id: orgId,
    id: clientId,
    name: "C",
    status: "active",
    created_by: userId,
    created_at: nowMs,
    updated_at: nowMs,
  });
  put("storage_connections", {
    org_id: orgId,
    id: connectionId,
    name: "S",
    kind: "connection_string",
    account: "acmefiles",
    blob_endpoint: "https://acmefiles.blob.core.windows.net",
    sealed_secret: "none",
    created_by: userId,
    created_at: nowMs,
  });
  put("projects", {
    org_id: orgId,
    id: projectId,
    client_id: clientId,
    type: "file_migration",
    name: "P",
    connection_id: connectionId,
    container: "files",
    tier: "Hot",
    prefix: "",
    created_by: userId,
    created_at: nowMs,
    updated_at: nowMs,
  });
  for (const id of agentIds) {
    put("agents", {
      org_id: orgId,
      id,
      name: "A",
      host: "fs01",
      os: "linux",
      arch: "x86_64",
      version: "0.1.0",
      status: "offline",
      created_at: nowMs,
    });
  }
}
