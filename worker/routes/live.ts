/** The dashboard's own routes: its first page's counts, what needs a person now, and the live socket. */
import { Hono } from "hono";
import { JOB_HEADER, ORG_HEADER, ROLE_HEADER, SESSION_HEADER } from "../../durable-objects/socket-headers.ts";
import { overviewQuery } from "../../schema/api.ts";
import { jobId } from "../../schema/ids.ts";
import { readQuery, type App } from "../context.ts";
import { readJob } from "../db/jobs.ts";
import { readNotifications } from "../db/notifications.ts";
import { readOverview } from "../db/overview.ts";
import { iso } from "../db/paging.ts";
import { invalid, parse } from "../problems.ts";

export const live = new Hono<App>()
  .get("/overview", async (c) => {
    const nowMs = Date.now();
    const { today } = readQuery(c, overviewQuery);
    return c.json(await readOverview(c.get("db"), today ?? iso(nowMs).slice(0, 10), nowMs));
  })
  .get("/notifications", async (c) => c.json(await readNotifications(c.get("db"), Date.now())))
  .get("/live", async (c) => {
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket")
      throw invalid({ "": "This address is for WebSockets" });
    const { orgId, sessionId, role } = c.get("user");
    const job = c.req.query("job");
    // A fresh request: nothing the browser sent but the upgrade itself reaches the object.
    const headers = new Headers({
      upgrade: "websocket",
      [ORG_HEADER]: orgId,
      [SESSION_HEADER]: sessionId,
      [ROLE_HEADER]: role,
    });
    if (job === undefined)
      return await c.env.FEED.getByName(orgId).fetch(new Request(c.req.url, { headers }));
    const { id, agentId } = await readJob(c.get("db"), parse(jobId, job));
    headers.set(JOB_HEADER, id);
    // Before the socket is there, so that no sign-out falls in between unheard.
    await c.env.FEED.getByName(orgId).noteWatch(orgId, sessionId, agentId);
    return await c.env.AGENT.getByName(agentId).fetch(new Request(c.req.url, { headers }));
  });
