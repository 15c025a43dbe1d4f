/** The routes agents use: register with a code, open the session, ask for grants. */
import { Hono } from "hono";
import { KEY_HASH_HEADER } from "../../durable-objects/socket-headers.ts";
import {
  agentRegister,
  grantRequest,
  ONLY_PAGE_PATHS,
  onlyQuery,
  type AgentRegistered,
} from "../../schema/api.ts";
import { jobId } from "../../schema/ids.ts";
import { SUBPROTOCOL } from "../../schema/protocol.ts";
import { newAgentKey } from "../auth/agent-key.ts";
import { hashCode, normalizeCode } from "../auth/registration-code.ts";
import { makeGrant } from "../azure/grants.ts";
import { withStorage } from "../azure/open-storage.ts";
import { addressOf, readBody, readId, readQuery, type App } from "../context.ts";
import { audit } from "../db/audit.ts";
import { registerAgent } from "../db/identity.ts";
import { findGrantable, listOnlyPaths } from "../db/jobs.ts";
import { guessCode } from "../limits.ts";
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
    const made = await guessCode(c, async ({ byHand }) => {
      const status = byHand ? ("pending" as const) : ("offline" as const);
      const facts = { ...body, name: body.name ?? body.host, address: addressOf(c), status };
      const agent = await registerAgent(c.env.DB, codeHash, facts, Date.now());
      return agent === null ? null : { ...agent, name: facts.name, pending: byHand };
    });
    if (made === null) {
      throw new Problem(
        "REGISTRATION_REFUSED",
        "The registration code is not valid; generate a new one in the dashboard",
      );
    }
    const { orgId, orgName, agentId, pending } = made;
    const key = newAgentKey(agentId);
    const identity = { orgId, agentId, keyHash: await sha256Hex(key), pending };
    await c.env.AGENT.getByName(agentId).initialize(identity);
    const answer: AgentRegistered = {
      agentId,
      agentName: made.name,
      organizationId: orgId,
      organizationName: orgName,
      key,
      ...(pending ? { pending } : {}),
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
    const { connectionId, config, purpose } = await findGrantable(db, agentId, { jobId, epoch }, Date.now());
    const grant = await withStorage(
      c.env,
      db,
      connectionId,
      async (account) => await makeGrant(account, { ...config, purpose }, Date.now()),
    );
    const actor = { kind: "agent", id: agentId, address: addressOf(c) } as const;
    const permissions = new URLSearchParams(grant.sas).get("sp");
    const details = { epoch, expiresAt: grant.expiresAt, permissions };
    await db.batch([audit(db, actor, "grant.made", jobId, details)]);
    return c.json(grant);
  })
  .get("/jobs/:id/only", async (c) => {
    const { epoch, after } = readQuery(c, onlyQuery);
    const asked = { jobId: readId(c, jobId), epoch, after, limit: ONLY_PAGE_PATHS };
    return c.json(await listOnlyPaths(c.get("db"), c.get("agent").agentId, asked));
  });
