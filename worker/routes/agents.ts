import { Hono } from "hono";
import { agentUpdate, listQuery } from "../../schema/api.ts";
import { agentId } from "../../schema/ids.ts";
import { actorOf, readBody, readId, readQuery, type App } from "../context.ts";
import { listAgents, readAgent, revokeAgent, updateAgent } from "../db/agents.ts";

export const agents = new Hono<App>()
  .get("/", async (c) => c.json(await listAgents(c.get("db"), readQuery(c, listQuery))))
  .get("/:id", async (c) => c.json(await readAgent(c.get("db"), readId(c, agentId))))
  .patch("/:id", async (c) => {
    const body = await readBody(c, agentUpdate);
    return c.json(await updateAgent(c.get("db"), actorOf(c), readId(c, agentId), body));
  })
  .post("/:id/revoke", async (c) => {
    const id = readId(c, agentId);
    await readAgent(c.get("db"), id);
    // The object first: there the key is looked at. Cut in between, the key is dead already and a repeat does the rest.
    await c.env.AGENT.getByName(id).revoke(c.get("user").orgId);
    return c.json(await revokeAgent(c.get("db"), actorOf(c), id));
  });
