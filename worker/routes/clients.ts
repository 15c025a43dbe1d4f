import { Hono } from "hono";
import { clientCreate, clientListQuery, clientUpdate } from "../../schema/api.ts";
import { clientId } from "../../schema/ids.ts";
import { actorOf, readBody, readId, readIdempotencyKey, readQuery, type App } from "../context.ts";
import { createClient, deleteClient, listClients, readClient, updateClient } from "../db/clients.ts";

export const clients = new Hono<App>()
  .get("/", async (c) => c.json(await listClients(c.get("db"), readQuery(c, clientListQuery))))
  .post("/", async (c) => {
    const body = await readBody(c, clientCreate);
    return c.json(await createClient(c.get("db"), actorOf(c), body, readIdempotencyKey(c)), 201);
  })
  .get("/:id", async (c) => c.json(await readClient(c.get("db"), readId(c, clientId))))
  .patch("/:id", async (c) => {
    const body = await readBody(c, clientUpdate);
    return c.json(await updateClient(c.get("db"), actorOf(c), readId(c, clientId), body));
  })
  .delete("/:id", async (c) => {
    await deleteClient(c.get("db"), actorOf(c), readId(c, clientId));
    return c.body(null, 204);
  });
