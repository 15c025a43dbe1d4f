import { Hono } from "hono";
import { eq } from "drizzle-orm";
import type { Session } from "../../schema/api.ts";
import { sessions } from "../../schema/tables.ts";
import { dropSession } from "../auth/session-cookie.ts";
import { actorOf, type App } from "../context.ts";
import { endLiveSockets } from "../live-sockets.ts";
import { audit } from "../db/audit.ts";
import { iso } from "../db/paging.ts";

export const session = new Hono<App>()
  .get("/", (c) => {
    const user = c.get("user");
    const body: Session = {
      user: { id: user.userId, name: user.userName, email: user.email, role: user.role },
      organization: { id: user.orgId, name: user.orgName },
      hubUrl: c.env.HUB_URL,
      expiresAt: iso(user.expiresAtMs),
    };
    return c.json(body);
  })
  .delete("/", async (c) => {
    const { orgId, sessionId } = c.get("user");
    const db = c.get("db");
    await db.batch([
      db.update(sessions, { revokedAt: Date.now() }, eq(sessions.id, sessionId)),
      audit(db, actorOf(c), "session.ended", sessionId),
    ]);
    await endLiveSockets(c.env, orgId, [sessionId]);
    dropSession(c);
    return c.body(null, 204);
  });
