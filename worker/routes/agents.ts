import { Hono } from "hono";
import { agentListQuery, agentUpdate } from "../../schema/api.ts";
import { agentId } from "../../schema/ids.ts";
import { actorOf, readBody, readId, readQuery, type App } from "../context.ts";
import {
  approveAgent,
  deleteAgent,
  listAgents,
  readAgent,
  refuseAgent,
  revokeAgent,
  unlockAgent,
  updateAgent,
} from "../db/agents.ts";
import { Problem } from "../problems.ts";

export const agents = new Hono<App>()
  .get("/", async (c) => c.json(await listAgents(c.get("db"), readQuery(c, agentListQuery))))
  .get("/:id", async (c) => c.json(await readAgent(c.get("db"), readId(c, agentId))))
  .patch("/:id", async (c) => {
    const body = await readBody(c, agentUpdate);
    return c.json(await updateAgent(c.get("db"), actorOf(c), readId(c, agentId), body));
  })
  .delete("/:id", async (c) => {
    await deleteAgent(c.get("db"), actorOf(c), readId(c, agentId));
    return c.body(null, 204);
  })
  .post("/:id/revoke", async (c) => {
    const id = readId(c, agentId);
    await readAgent(c.get("db"), id);
    // The object first: there the key is looked at. Cut in between, the key is dead already and a repeat does the rest.
    await c.env.AGENT.getByName(id).revoke(c.get("user").orgId);
    return c.json(await revokeAgent(c.get("db"), actorOf(c), id));
  })
  .post("/:id/approve", async (c) => {
    const id = readId(c, agentId);
    const { status } = await readAgent(c.get("db"), id);
    if (status === "revoked")
      throw new Problem("CONFLICT", "The agent was refused or revoked; register it anew");
    // The object first, as with revoking: a repeat does the rest.
    if (status === "pending") await c.env.AGENT.getByName(id).approve(c.get("user").orgId);
    return c.json(await approveAgent(c.get("db"), actorOf(c), id));
  })
  .post("/:id/unlock", async (c) => {
    const id = readId(c, agentId);
    const { status } = await readAgent(c.get("db"), id);
    if (status === "revoked") throw new Problem("CONFLICT", "The agent was revoked; register it anew");
    // The object first, as with approving: a repeat does the rest.
    if (status === "locked") await c.env.AGENT.getByName(id).unlock(c.get("user").orgId);
    return c.json(await unlockAgent(c.get("db"), actorOf(c), id));
  })
  .post("/:id/refuse", async (c) => {
    const id = readId(c, agentId);
    const { status } = await readAgent(c.get("db"), id);
    if (status !== "pending" && status !== "revoked") {
      throw new Problem("CONFLICT", "The agent does not wait for approval; revoke it instead");
    }
    await c.env.AGENT.getByName(id).revoke(c.get("user").orgId);
    return c.json(await refuseAgent(c.get("db"), actorOf(c), id));
  });
