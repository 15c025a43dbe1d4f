import { Hono } from "hono";
import { connectionCreate, containerCreate, listQuery, type ConnectionCreate } from "../../schema/api.ts";
import { connectionId } from "../../schema/ids.ts";
import { withStorage } from "../azure/open-storage.ts";
import { BlobServiceError, createContainer, listContainers } from "../azure/blob-service.ts";
import {
  parseConnectionString,
  parseContainerSas,
  StorageAccountError,
  type PastedSecret,
  type StorageAccount,
} from "../azure/storage-account.ts";
import { actorOf, readBody, readId, readIdempotencyKey, readQuery, type App } from "../context.ts";
import { audit } from "../db/audit.ts";
import { createConnection, deleteConnection, listConnections, readConnection } from "../db/connections.ts";
import type { Env } from "../env.ts";
import { invalid, Problem } from "../problems.ts";

export const storageConnections = new Hono<App>()
  .get("/", async (c) => c.json(await listConnections(c.get("db"), readQuery(c, listQuery))))
  .post("/", async (c) => {
    const body = await readBody(c, connectionCreate);
    const account = await tryAccount(c.env, body);
    const { SECRETS_KEYS } = c.env;
    const made = createConnection(
      c.get("db"),
      actorOf(c),
      SECRETS_KEYS,
      body.name,
      account,
      readIdempotencyKey(c),
    );
    return c.json(await made, 201);
  })
  .get("/:id", async (c) => c.json(await readConnection(c.get("db"), readId(c, connectionId))))
  .delete("/:id", async (c) => {
    await deleteConnection(c.get("db"), actorOf(c), readId(c, connectionId));
    return c.body(null, 204);
  })
  .get("/:id/containers", async (c) => {
    const asked = withStorage(c.env, c.get("db"), readId(c, connectionId), listContainers);
    return c.json({ containers: await orProblem(asked) });
  })
  .post("/:id/containers", async (c) => {
    const id = readId(c, connectionId);
    const { name } = await readBody(c, containerCreate);
    const db = c.get("db");
    const asked = withStorage(c.env, db, id, async (account) => {
      if (account.container !== null) {
        throw invalid({ name: `This connection opens the container "${account.container}" only` });
      }
      if (await createContainer(account, name))
        await db.batch([audit(db, actorOf(c), "storage.container_created", id, { container: name })]);
      return await listContainers(account);
    });
    return c.json({ containers: await orProblem(asked) }, 201);
  });

/** Reads what was pasted and asks the account whether it is any good; what is wrong stands at the field. */
async function tryAccount(env: Env, body: ConnectionCreate): Promise<StorageAccount<PastedSecret>> {
  const anyHost = env.ENVIRONMENT === "development";
  const field = body.kind === "connection_string" ? "connectionString" : "containerSasUrl";
  try {
    const account =
      body.kind === "connection_string"
        ? parseConnectionString(body.connectionString, { anyHost })
        : parseContainerSas(body.containerSasUrl, { anyHost, nowMs: Date.now() });
    await listContainers(account);
    return account;
  } catch (error) {
    if (error instanceof StorageAccountError || error instanceof BlobServiceError)
      throw invalid({ [field]: error.message });
    throw error;
  }
}

async function orProblem<Result>(asked: Promise<Result>): Promise<Result> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof BlobServiceError)) throw error;
    throw new Problem(
      error.reason === "unreachable" ? "STORAGE_UNREACHABLE" : "STORAGE_DENIED",
      error.message,
    );
  }
}
