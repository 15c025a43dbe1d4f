/** Who is signed in, and putting an end to it; the members of the organization. */
import { Hono, type Context } from "hono";
import { listQuery } from "../../schema/api.ts";
import { sessionId } from "../../schema/ids.ts";
import { sessionQuery, type SessionsRevoked } from "../../schema/sessions.ts";
import { mayAct } from "../auth/policy.ts";
import { actorOf, readId, readQuery, type App } from "../context.ts";
import { listMembers, listSessions, revokeOthers, revokeSession } from "../db/sessions.ts";
import { endLiveSockets } from "../live-sockets.ts";
import { Problem } from "../problems.ts";

export const sessionRoutes = new Hono<App>()
  .get("/", async (c) => {
    const { all, ...page } = readQuery(c, sessionQuery);
    if (all !== undefined && !isAdmin(c))
      throw new Problem("FORBIDDEN", 'Everybody\'s sessions are for the role "admin"; leave out "all"');
    const { userId, sessionId: currentId } = c.get("user");
    const of = { userId: all === undefined ? userId : null, currentId };
    return c.json(await listSessions(c.get("db"), of, page));
  })
  .post("/revoke-others", async (c) => {
    const { orgId, sessionId: currentId } = c.get("user");
    const { revoked, ids } = await revokeOthers(c.get("db"), actorOf(c), currentId);
    await endLiveSockets(c.env, orgId, ids);
    return c.json({ revoked } satisfies SessionsRevoked);
  })
  .post("/:id/revoke", async (c) => {
    const { orgId, userId } = c.get("user");
    const id = readId(c, sessionId);
    await revokeSession(c.get("db"), actorOf(c), id, isAdmin(c) ? null : userId);
    await endLiveSockets(c.env, orgId, [id]);
    return c.body(null, 204);
  });

export const members = new Hono<App>().get("/", async (c) =>
  c.json(await listMembers(c.get("db"), readQuery(c, listQuery))),
);

function isAdmin(c: Context<App>): boolean {
  return mayAct(c.get("user").role, "admin");
}
