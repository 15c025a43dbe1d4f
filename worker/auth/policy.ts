/**
 * Who may do what: the one table of all routes. A route that does not stand here is refused (and a test fails); a line
 * without a route fails the test too.
 */
import type { Role } from "../../schema/api.ts";

/** A role is the least one that may; `agent` = an agent with its key; `public` = anybody. */
export type Policy = Role | "agent" | "public";

export const POLICIES: Readonly<Record<string, Policy>> = {
  "GET /api/health": "public",

  "GET /sso": "public",
  "POST /sso": "public",
  "GET /sso/start": "public",
  "GET /dev/hub": "public",
  "POST /dev/hub": "public",
  "GET /dev/hub/sign-in": "public",

  "GET /api/session": "viewer",
  "DELETE /api/session": "viewer",
  "GET /api/overview": "viewer",
  "GET /api/live": "viewer",

  "GET /api/clients": "viewer",
  "POST /api/clients": "member",
  "GET /api/clients/:id": "viewer",
  "PATCH /api/clients/:id": "member",

  "GET /api/storage-connections": "viewer",
  "POST /api/storage-connections": "admin",
  "GET /api/storage-connections/:id": "viewer",
  "GET /api/storage-connections/:id/containers": "member",
  "POST /api/storage-connections/:id/containers": "admin",

  "GET /api/projects": "viewer",
  "POST /api/projects": "member",
  "GET /api/projects/:id": "viewer",
  "PATCH /api/projects/:id": "member",

  "GET /api/registration-codes": "admin",
  "POST /api/registration-codes": "admin",
  "GET /api/registration-codes/:id": "admin",
  "PATCH /api/registration-codes/:id": "admin",
  "POST /api/registration-codes/:id/revoke": "admin",

  "GET /api/agents": "viewer",
  "GET /api/agents/:id": "viewer",
  "PATCH /api/agents/:id": "admin",
  "POST /api/agents/:id/revoke": "admin",

  "GET /api/jobs": "viewer",
  "POST /api/jobs": "member",
  "GET /api/jobs/:id": "viewer",
  "PATCH /api/jobs/:id": "member",
  "POST /api/jobs/:id/pause": "member",
  "POST /api/jobs/:id/resume": "member",
  "POST /api/jobs/:id/cancel": "member",
  "POST /api/jobs/:id/finish": "member",
  "POST /api/jobs/:id/retry": "member",
  "GET /api/jobs/:id/failures": "viewer",

  "POST /api/agent/register": "public",
  "GET /api/agent/session": "agent",
  "POST /api/agent/grants": "agent",
};

const RANK: Readonly<Record<Role, number>> = { viewer: 0, member: 1, admin: 2, owner: 3 };

export function mayAct(role: Role, least: Role): boolean {
  return RANK[role] >= RANK[least];
}
