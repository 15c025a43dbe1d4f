/** Keys of the public API. Only people manage them: a key that could make keys would outlive its own end. */
import { Hono } from "hono";
import { apiKeyCreate, type ApiKeyMade } from "../../schema/api-keys.ts";
import { listQuery } from "../../schema/api.ts";
import { apiKeyId } from "../../schema/ids.ts";
import { newApiKey } from "../auth/api-key.ts";
import { claimOnce } from "../claims.ts";
import { actorOf, readBody, readId, readQuery, type App } from "../context.ts";
import { createApiKey, listApiKeys, readApiKey, revokeApiKey } from "../db/api-keys.ts";
import { makeId } from "../db/ids.ts";

export const apiKeys = new Hono<App>()
  .get("/", async (c) => c.json(await listApiKeys(c.get("db"), readQuery(c, listQuery))))
  .post("/", async (c) => {
    const body = await readBody(c, apiKeyCreate);
    const id = makeId("apiKey");
    const made = await claimOnce(c, "api_keys", { id, secret: newApiKey(id) });
    const shown = await createApiKey(c.get("db"), actorOf(c), made, body);
    return c.json({ ...shown, key: made.secret } satisfies ApiKeyMade, 201);
  })
  .get("/:id", async (c) => c.json(await readApiKey(c.get("db"), readId(c, apiKeyId))))
  .post("/:id/revoke", async (c) => c.json(await revokeApiKey(c.get("db"), actorOf(c), readId(c, apiKeyId))));
