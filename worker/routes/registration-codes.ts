import { Hono } from "hono";
import { listQuery, registrationCodeCreate, registrationCodeUpdate } from "../../schema/api.ts";
import { registrationCodeId } from "../../schema/ids.ts";
import { newCode } from "../auth/registration-code.ts";
import { claimOnce } from "../claims.ts";
import { actorOf, readBody, readId, readQuery, type App } from "../context.ts";
import { createCode, labelCode, listCodes, readCode, revokeCode } from "../db/registration-codes.ts";
import { makeId } from "../db/ids.ts";
import { Problem } from "../problems.ts";

export const registrationCodes = new Hono<App>()
  .get("/", async (c) => c.json(await listCodes(c.get("db"), readQuery(c, listQuery))))
  .post("/", async (c) => {
    const body = await readBody(c, registrationCodeCreate);
    const pepper = c.env.CODE_PEPPER;
    if (pepper === undefined) throw new Problem("NOT_CONFIGURED", "The server has no CODE_PEPPER");
    const made = await claimOnce(c, "registration_codes", {
      id: makeId("registrationCode"),
      secret: newCode(),
    });
    return c.json(await createCode(c.get("db"), actorOf(c), pepper, made, body), 201);
  })
  .get("/:id", async (c) => c.json(await readCode(c.get("db"), readId(c, registrationCodeId))))
  .patch("/:id", async (c) => {
    const { label } = await readBody(c, registrationCodeUpdate);
    return c.json(await labelCode(c.get("db"), actorOf(c), readId(c, registrationCodeId), label));
  })
  .post("/:id/revoke", async (c) =>
    c.json(await revokeCode(c.get("db"), actorOf(c), readId(c, registrationCodeId))),
  );
