/**
 * The Worker's HTTP application: security headers, who is calling, may they, and the routes of each resource.
 * Nothing is served whose policy is not in `auth/policy.ts`.
 */
import { Hono, type Context, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { except } from "hono/combine";
import { matchedRoutes } from "hono/route";
import { scopedDb } from "../schema/scoped-db.ts";
import { agentOfKey } from "./auth/agent-key.ts";
import { isApiKey } from "./auth/api-key.ts";
import { isForPeopleOnly, mayAct, POLICIES, type Policy } from "./auth/policy.ts";
import { readSession } from "./auth/session-cookie.ts";
import type { App } from "./context.ts";
import { findApiKey, type SignedIn } from "./db/identity.ts";
import { developmentSecret } from "./env.ts";
import { countBadKey, limitBadKeys, limitCaller, showLimit } from "./limits.ts";
import { requestLog } from "./log.ts";
import { notFound, Problem } from "./problems.ts";
import { agentApi } from "./routes/agent-api.ts";
import { agentManifests } from "./routes/agent-manifests.ts";
import { agentReleases, releases } from "./routes/releases.ts";
import { agents } from "./routes/agents.ts";
import { apiDocs } from "./routes/api-docs.ts";
import { apiKeys } from "./routes/api-keys.ts";
import { auditRoutes } from "./routes/audit.ts";
import { azureOauth } from "./routes/azure-oauth.ts";
import { clients } from "./routes/clients.ts";
import { developmentHub } from "./routes/development-hub.ts";
import { developmentOutbox } from "./routes/development-outbox.ts";
import { health } from "./routes/health.ts";
import { jobs } from "./routes/jobs.ts";
import { live } from "./routes/live.ts";
import { projects } from "./routes/projects.ts";
import { registrationCodes } from "./routes/registration-codes.ts";
import { clientReports, jobReports, projectReports } from "./routes/reports.ts";
import { session } from "./routes/session.ts";
import { members, sessionRoutes } from "./routes/sessions.ts";
import { sso } from "./routes/sso.ts";
import { storageConnections } from "./routes/storage-connections.ts";
import { webhookRoutes } from "./routes/webhooks.ts";
import { sha256Hex } from "./secrets.ts";
import { deliverBehind } from "./sweep.ts";

const BODY_BYTES_MAX = 512 * 1024;

export function createApp(): Hono<App> {
  const app = new Hono<App>();
  app.use(requestLog);
  app.use(securityHeaders);
  app.use(
    except(
      isManifestPart,
      bodyLimit({
        maxSize: BODY_BYTES_MAX,
        onError: () => {
          throw new Problem("VALIDATION_ERROR", "The body is too large", {
            fields: { "": "The body is too large" },
          });
        },
      }),
    ),
  );
  app.use(guard);
  app.use(deliverBehind);

  app.route("/api/health", health);
  app.route("/api/session", session);
  app.route("/api/sessions", sessionRoutes);
  app.route("/api/members", members);
  app.route("/api/audit", auditRoutes);
  app.route("/api", live);
  app.route("/api", apiDocs);
  app.route("/api/clients", clients);
  app.route("/api/storage-connections", storageConnections);
  app.route("/api/azure", azureOauth);
  app.route("/api/projects", projects);
  app.route("/api/registration-codes", registrationCodes);
  app.route("/api/api-keys", apiKeys);
  app.route("/api/webhooks", webhookRoutes);
  app.route("/api/agents", agents);
  app.route("/api/jobs", jobs);
  app.route("/api/agent", agentApi);
  app.route("/api/agent/jobs", agentManifests);
  app.route("/api/agent/release", agentReleases);
  app.route("/api/release", releases);
  app.route("/api/jobs", jobReports);
  app.route("/api/projects", projectReports);
  app.route("/api/clients", clientReports);
  app.route("/sso", sso);
  app.route("/dev/hub", developmentHub);
  app.route("/dev/outbox", developmentOutbox);

  app.notFound((c) => c.json(notFound().body, 404));
  app.onError((error, c) => {
    if (error instanceof Problem) return c.json(error.body, error.status);
    // The message may quote what was sent, so it stays in the log.
    console.error(
      JSON.stringify({
        event: "request_failed",
        requestId: c.get("requestId"),
        reason: String(error.stack ?? error),
      }),
    );
    const problem = new Problem("INTERNAL_ERROR", "Something went wrong on our side; try again", {
      requestId: c.get("requestId"),
    });
    return c.json(problem.body, 500);
  });
  return app;
}

/** Its route has a limit of its own, and reads nothing before it knows whose it is. */
function isManifestPart({ req }: Context): boolean {
  return req.method === "PUT" && /^\/api\/agent\/jobs\/[^/]+\/manifest$/.test(req.path);
}

const securityHeaders: MiddlewareHandler<App> = async (c, next) => {
  await next();
  // The answer to an upgrade is the runtime's and cannot be changed.
  if (c.res.status === 101) return;
  showLimit(c);
  c.header("Cache-Control", "no-store");
  c.header("X-Content-Type-Options", "nosniff");
  c.header("Referrer-Policy", "no-referrer");
  c.header("Cross-Origin-Opener-Policy", "same-origin");
  c.header("Strict-Transport-Security", "max-age=31536000; includeSubDomains");
  if (!c.res.headers.has("Content-Security-Policy")) {
    c.header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  }
};

/** Finds the policy of the route that will answer, and lets through only whom it admits. */
const guard: MiddlewareHandler<App> = async (c, next) => {
  const route = matchedRoutes(c).findLast(({ method }) => method !== "ALL");
  if (route === undefined) throw notFound();
  const key = `${route.method} ${route.path}`;
  const policy = POLICIES[key];
  if (policy === undefined) throw new Problem("FORBIDDEN", "This route has no policy");
  if (route.path.startsWith("/dev/") && developmentSecret(c.env) === null) throw notFound();
  await admit(c, policy, key);
  await next();
};

async function admit(c: Context<App>, policy: Policy, route: string): Promise<void> {
  switch (policy) {
    case "public":
      return;
    case "agent":
      return await admitAgent(c);
    case "viewer":
    case "member":
    case "admin":
    case "owner": {
      const user = bearerOf(c) === undefined ? await admitPerson(c) : await admitApiKey(c, route);
      if (!mayAct(user.role, policy)) throw new Problem("FORBIDDEN", `This needs the role "${policy}"`);
      c.set("user", user);
      c.set("db", scopedDb(c.env.DB, user.orgId));
    }
  }
}

async function admitPerson(c: Context<App>): Promise<SignedIn> {
  assertSameOrigin(c);
  const user = await readSession(c);
  if (user === null) throw new Problem("UNAUTHORIZED", "Sign in first");
  await limitCaller(c, { kind: "session", orgId: user.orgId, id: user.sessionId });
  return user;
}

/** A program with its organization's key. A cookie that comes along is not looked at, so there is nothing to forge. */
async function admitApiKey(c: Context<App>, route: string): Promise<SignedIn> {
  const key = bearerOf(c) ?? "";
  if (!isApiKey(key) || c.req.header("origin") !== undefined) {
    throw new Problem("UNAUTHORIZED", "The API key is malformed, or was sent by a browser");
  }
  const found = await findApiKey(c.env.DB, await sha256Hex(key), Date.now());
  if (found === null) throw new Problem("UNAUTHORIZED", "The API key is not valid");
  await limitCaller(c, { kind: "api-keys", orgId: found.user.orgId, id: "all" });
  if (isForPeopleOnly(route)) throw new Problem("FORBIDDEN", "This is for people who are signed in only");
  c.set("apiKeyId", found.apiKeyId);
  return found.user;
}

function bearerOf(c: Context<App>): string | undefined {
  const header = c.req.header("authorization") ?? "";
  // Whoever says it at all means a key, and never the cookie beside it.
  return /^bearer\b/i.test(header) ? header.slice("bearer".length).trim() : undefined;
}

async function admitAgent(c: Context<App>): Promise<void> {
  // A browser has no business here; refusing what only browsers send keeps its cookies out of it.
  const key = bearerOf(c);
  const agentId = key === undefined ? null : agentOfKey(key);
  if (key === undefined || agentId === null || c.req.header("origin") !== undefined) {
    throw new Problem("UNAUTHORIZED", "The agent's key is missing or malformed");
  }
  await limitBadKeys(c);
  const keyHash = await sha256Hex(key);
  const known = await c.env.AGENT.getByName(agentId).authorize(keyHash);
  if (known === null || known.agentId !== agentId) {
    await countBadKey(c);
    throw new Problem("UNAUTHORIZED", "The agent's key is not valid");
  }
  await limitCaller(c, { kind: "agent", orgId: known.orgId, id: agentId });
  if (known.pending === true) {
    throw new Problem("AGENT_PENDING", "This agent waits for an admin to approve it in the dashboard");
  }
  if (known.locked === true) {
    throw new Problem(
      "AGENT_LOCKED",
      "This agent is locked, because its identity was used from two places; an admin unlocks it in the dashboard",
    );
  }
  c.set("agent", { ...known, keyHash });
  c.set("db", scopedDb(c.env.DB, known.orgId));
}

/** Requests that change something, and sockets, must come from our own pages (T29, T30). */
function assertSameOrigin(c: Context<App>): void {
  const isSocket = c.req.header("upgrade") !== undefined;
  if (!isSocket && ["GET", "HEAD"].includes(c.req.method)) return;
  const site = c.req.header("sec-fetch-site");
  const origin = c.req.header("origin");
  const isOwn = origin === new URL(c.req.url).origin;
  const allowed = isSocket ? isOwn : site === "same-origin" || (site === undefined && isOwn);
  if (!allowed) throw new Problem("FORBIDDEN", "The request does not come from the dashboard");
}
