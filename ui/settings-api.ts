/** The routes of the settings, one function each, sent by `api.ts`. Apart from it because the first view needs none of them. */
import type { Agent, Page } from "../schema/api.ts";
import type { ApiKey, ApiKeyCreate, ApiKeyMade } from "../schema/api-keys.ts";
import type { AuditPage } from "../schema/audit.ts";
import type {
  AzureAccount,
  AzurePage,
  AzureSubscription,
  Consent,
  ConsentBegun,
  ConsentFinish,
} from "../schema/azure.ts";
import type { Connection } from "../schema/api.ts";
import type { Member, SessionEntry, SessionsRevoked } from "../schema/sessions.ts";
import type { Webhook, WebhookCreate, WebhookMade, WebhookTested } from "../schema/webhooks.ts";
import { type Api, type ListQuery, withQuery } from "./api.ts";

export interface SessionQuery extends ListQuery {
  readonly all?: "1";
}
/** What is left out filters nothing. */
export interface AuditFilter {
  readonly action?: string;
  readonly actor?: string;
  /** Times, as the API writes them. */
  readonly from?: string;
  readonly to?: string;
}
export interface AzureQuery {
  readonly cursor?: string;
}

/** A download of the whole log, which the browser itself fetches. */
export const AUDIT_EXPORT_PATH = "/api/audit/export";

export type SettingsApi = ReturnType<typeof createSettingsApi>;

export function createSettingsApi({ requests }: Api) {
  const { read, write, make } = requests;
  const consent = (id: string) => `/api/azure/consents/${encodeURIComponent(id)}`;
  return {
    members: (query: ListQuery, signal: AbortSignal) =>
      read<Page<Member>>(withQuery("/api/members", query), signal),
    sessions: {
      list: (query: SessionQuery, signal: AbortSignal) =>
        read<Page<SessionEntry>>(withQuery("/api/sessions", query), signal),
      revoke: (id: string) => write<void>("POST", `/api/sessions/${id}/revoke`),
      revokeOthers: () => write<SessionsRevoked>("POST", "/api/sessions/revoke-others"),
    },
    apiKeys: {
      list: (query: ListQuery, signal: AbortSignal) =>
        read<Page<ApiKey>>(withQuery("/api/api-keys", query), signal),
      create: (body: ApiKeyCreate, key: string) => make<ApiKeyMade>("/api/api-keys", body, key),
      revoke: (id: string) => write<ApiKey>("POST", `/api/api-keys/${id}/revoke`),
    },
    webhooks: {
      list: (query: ListQuery, signal: AbortSignal) =>
        read<Page<Webhook>>(withQuery("/api/webhooks", query), signal),
      create: (body: WebhookCreate, key: string) => make<WebhookMade>("/api/webhooks", body, key),
      enable: (id: string) => write<Webhook>("POST", `/api/webhooks/${id}/enable`),
      test: (id: string) => write<WebhookTested>("POST", `/api/webhooks/${id}/test`),
      remove: (id: string) => write<void>("DELETE", `/api/webhooks/${id}`),
    },
    audit: (query: AuditFilter & ListQuery, signal: AbortSignal) =>
      read<AuditPage>(withQuery("/api/audit", query), signal),
    consents: {
      begin: (connectionId: string | null) =>
        write<ConsentBegun>("POST", "/api/azure/consents", { connectionId }),
      get: (id: string, signal: AbortSignal) => read<Consent>(consent(id), signal),
      subscriptions: (id: string, query: AzureQuery, signal: AbortSignal) =>
        read<AzurePage<AzureSubscription>>(withQuery(`${consent(id)}/subscriptions`, query), signal),
      accounts: (id: string, query: AzureQuery & { readonly subscriptionId: string }, signal: AbortSignal) =>
        read<AzurePage<AzureAccount>>(withQuery(`${consent(id)}/accounts`, query), signal),
      containers: (
        id: string,
        query: AzureQuery & { readonly account: string; readonly resourceId?: string },
        signal: AbortSignal,
      ) => read<AzurePage<string>>(withQuery(`${consent(id)}/containers`, query), signal),
      finish: (id: string, body: ConsentFinish, key: string) =>
        make<Connection>(`${consent(id)}/connection`, body, key),
    },
    pendingAgents: {
      list: (query: ListQuery, signal: AbortSignal) =>
        read<Page<Agent>>(withQuery("/api/agents", { ...query, status: "pending" }), signal),
      approve: (id: string) => write<Agent>("POST", `/api/agents/${id}/approve`),
      refuse: (id: string) => write<Agent>("POST", `/api/agents/${id}/refuse`),
    },
  };
}
