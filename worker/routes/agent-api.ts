/** The routes agents use: register with a code, open the session, ask for grants. */
import { Hono } from "hono";
import { KEY_HASH_HEADER } from "../../durable-objects/socket-headers.ts";
import { agentRegister, grantRequest, type AgentRegistered } from "../../schema/api.ts";
import { SUBPROTOCOL } from "../../schema/protocol.ts";
import { scopedDb } from "../../schema/scoped-db.ts";
import { newAgentKey } from "../auth/agent-key.ts";
import { hashCode, normalizeCode } from "../auth/registration-code.ts";
import { makeGrant } from "../azure/grants.ts";
import { addressOf, readBody, type App } from "../context.ts";
import { audit } from "../db/audit.ts";
import { openConnection } from "../db/connections.ts";
import { registerAgent } from "../db/identity.ts";
import { findGrantable } from "../db/jobs.ts";
import { invalid, Problem } from "../problems.ts";
import { sha256Hex } from "../secrets.ts";

export const agentApi = new Hono<App>()
  .post("/register", async (c) => {
    const body = await readBody(c, agentRegister);
    const pepper = c.env.CODE_PEPPER;
    if (pepper === undefined) throw new Problem("NOT_CONFIGURED", "The server has no CODE_PEPPER");
    const code = normalizeCode(body.code);
    // Hashed even when it cannot be a code, so that every refusal takes the same way.
    const codeHash = await hashCode(pepper, code ?? "");
    const facts = { ...body, name: body.name ?? body.host };
    const made = await registerAgent(c.env.DB, codeHash, facts, Date.now());
    if (made === null) {
      throw new Problem(
        "REGISTRATION_REFUSED",
        "The registration code is not valid; generate a new one in the dashboard",
      );
    }
    const { orgId, orgName, agentId } = made;
    const key = newAgentKey(agentId);
    await c.env.AGENT.getByName(agentId).initialize({ orgId, agentId, keyHash: await sha256Hex(key) });
    const db = scopedDb(c.env.DB, orgId);
    await db.batch([
      audit(db, { kind: "agent", id: agentId, address: addressOf(c) }, "agent.registered", agentId),
    ]);
    const answer: AgentRegistered = {
      agentId,
      agentName: facts.name,
      organizationId: orgId,
      organizationName: orgName,
      key,
    };
    return c.json(answer, 201);
  })
  .get("/session", async (c) => {
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket")
      throw invalid({ "": "This address is for WebSockets" });
    const offered = (c.req.header("sec-websocket-protocol") ?? "")
      .split(",")
      .map((protocol) => protocol.trim());
    if (!offered.includes(SUBPROTOCOL)) {
      throw invalid({ "Sec-WebSocket-Protocol": `Only "${SUBPROTOCOL}" is spoken here` });
    }
    const { agentId, keyHash } = c.get("agent");
    const headers = new Headers({ upgrade: "websocket", [KEY_HASH_HEADER]: keyHash });
    return await c.env.AGENT.getByName(agentId).fetch(new Request(c.req.url, { headers }));
  })
  .post("/grants", async (c) => {
    const { jobId, epoch } = await readBody(c, grantRequest);
    const { agentId } = c.get("agent");
    const db = c.get("db");
    const { connectionId, config } = await findGrantable(db, agentId, jobId, epoch);
    const account = await openConnection(db, c.env.SECRETS_KEYS, connectionId);
    const grant = await makeGrant(account, config, Date.now());
    const actor = { kind: "agent", id: agentId, address: addressOf(c) } as const;
    const permissions = new URLSearchParams(grant.sas).get("sp");
    const details = { epoch, expiresAt: grant.expiresAt, permissions };
    await db.batch([audit(db, actor, "grant.made", jobId, details)]);
    return c.json(grant);
  });
