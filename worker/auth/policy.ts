/**
 * Who may do what: the one table of all routes. A route that does not stand here is refused (and a test fails); a line
 * without a route fails the test too.
 */
import type { Role } from "../../schema/api.ts";

/** A role is the least one that may; `agent` = an agent with its key; `public` = anybody. */
export type Policy = Role | "agent" | "public";

export const POLICIES: Readonly<Record<string, Policy>> = {
  "GET /api/health": "public",
  "GET /api/openapi.json": "public",
  "GET /api/docs": "public",

  "GET /sso": "public",
  "POST /sso": "public",
  "GET /sso/start": "public",
  "GET /dev/hub": "public",
  "POST /dev/hub": "public",
  "GET /dev/hub/sign-in": "public",
  "GET /dev/outbox": "public",

  "GET /api/session": "viewer",
  "DELETE /api/session": "viewer",
  "GET /api/sessions": "viewer",
  "POST /api/sessions/revoke-others": "viewer",
  "POST /api/sessions/:id/revoke": "viewer",
  "GET /api/members": "viewer",
  "GET /api/audit": "admin",
  "GET /api/audit/export": "admin",
  "GET /api/overview": "viewer",
  "GET /api/notifications": "viewer",
  "GET /api/live": "viewer",

  "GET /api/clients": "viewer",
  "POST /api/clients": "member",
  "GET /api/clients/:id": "viewer",
  "PATCH /api/clients/:id": "member",
  "DELETE /api/clients/:id": "admin",

  "GET /api/storage-connections": "viewer",
  "POST /api/storage-connections": "admin",
  "GET /api/storage-connections/:id": "viewer",
  "DELETE /api/storage-connections/:id": "admin",
  "GET /api/storage-connections/:id/containers": "member",
  "POST /api/storage-connections/:id/containers": "admin",

  "POST /api/azure/consents": "admin",
  // A browser that comes from Microsoft; it looks at the session itself, and answers with a page.
  "GET /api/azure/callback": "public",
  "GET /api/azure/consents/:id": "admin",
  "GET /api/azure/consents/:id/subscriptions": "admin",
  "GET /api/azure/consents/:id/accounts": "admin",
  "GET /api/azure/consents/:id/containers": "admin",
  "POST /api/azure/consents/:id/connection": "admin",

  "GET /api/projects": "viewer",
  "POST /api/projects": "member",
  "GET /api/projects/:id": "viewer",
  "PATCH /api/projects/:id": "member",
  "POST /api/projects/:id/cancel": "member",
  "POST /api/projects/:id/reopen": "member",
  "DELETE /api/projects/:id": "admin",

  "GET /api/registration-codes": "admin",
  "POST /api/registration-codes": "admin",
  "GET /api/registration-codes/:id": "admin",
  "PATCH /api/registration-codes/:id": "admin",
  "POST /api/registration-codes/:id/revoke": "admin",

  "GET /api/api-keys": "admin",
  "POST /api/api-keys": "admin",
  "GET /api/api-keys/:id": "admin",
  "POST /api/api-keys/:id/revoke": "admin",

  "GET /api/webhooks": "admin",
  "POST /api/webhooks": "admin",
  "DELETE /api/webhooks/:id": "admin",
  "POST /api/webhooks/:id/enable": "admin",
  "POST /api/webhooks/:id/test": "admin",

  "GET /api/agents": "viewer",
  "GET /api/agents/:id": "viewer",
  "PATCH /api/agents/:id": "admin",
  "DELETE /api/agents/:id": "admin",
  "POST /api/agents/:id/revoke": "admin",
  "POST /api/agents/:id/unlock": "admin",
  "POST /api/agents/:id/approve": "admin",
  "POST /api/agents/:id/refuse": "admin",

  "GET /api/release": "viewer",
  "GET /api/release/executable": "viewer",

  "GET /api/jobs": "viewer",
  "POST /api/jobs": "member",
  "GET /api/jobs/:id": "viewer",
  "PATCH /api/jobs/:id": "member",
  "POST /api/jobs/:id/pause": "member",
  "POST /api/jobs/:id/resume": "member",
  "POST /api/jobs/:id/cancel": "member",
  "POST /api/jobs/:id/finish": "member",
  "POST /api/jobs/:id/retry": "member",
  "POST /api/jobs/:id/duplicate": "member",
  "GET /api/jobs/:id/failures": "viewer",
  "GET /api/jobs/:id/log": "viewer",

  "GET /api/jobs/:id/manifest": "viewer",
  "GET /api/jobs/:id/files.csv": "viewer",
  "GET /api/jobs/:id/report.csv": "viewer",
  "GET /api/jobs/:id/report.json": "viewer",
  "GET /api/projects/:id/report.csv": "viewer",
  "GET /api/projects/:id/report.json": "viewer",
  "GET /api/projects/:id/usage": "viewer",
  "GET /api/clients/:id/report.csv": "viewer",
  "GET /api/clients/:id/report.json": "viewer",
  "GET /api/clients/:id/usage": "viewer",

  "POST /api/agent/register": "public",
  "GET /api/agent/session": "agent",
  "POST /api/agent/sync": "agent",
  "POST /api/agent/grants": "agent",
  "GET /api/agent/jobs/:id/manifest": "agent",
  "PUT /api/agent/jobs/:id/manifest": "agent",
  "POST /api/agent/jobs/:id/manifest": "agent",
  "GET /api/agent/jobs/:id/only": "agent",
  "GET /api/agent/release": "agent",
  "GET /api/agent/release/executable": "agent",
  "POST /api/agent/jobs/:id/quarantine": "agent",
};

/**
 * Routes of users that no API key may use, whatever its role: what is a person's own (sessions, live pages, consents at
 * other services), and what would let a key outlive its own end.
 */
const PEOPLE_ONLY: readonly RegExp[] = [
  /^\w+ \/api\/sessions?(\/|$)/,
  /^\w+ \/api\/api-keys(\/|$)/,
  /^\w+ \/api\/azure\//,
  /^\w+ \/api\/webhooks(\/|$)/,
  /^GET \/api\/live$/,
];

export function isForPeopleOnly(route: string): boolean {
  return PEOPLE_ONLY.some((pattern) => pattern.test(route));
}

const RANK: Readonly<Record<Role, number>> = { viewer: 0, member: 1, admin: 2, owner: 3 };

export function mayAct(role: Role, least: Role): boolean {
  return RANK[role] >= RANK[least];
}
