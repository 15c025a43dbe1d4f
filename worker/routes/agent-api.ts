/** The routes agents use: register with a code, open the session, ask for grants. */
import { Hono } from "hono";
import type { SpareKey } from "../../durable-objects/hub.ts";
import {
  KEY_HASH_HEADER,
  SPARE_KEY_HASH_HEADER,
  SPARE_KEY_HEADER,
} from "../../durable-objects/socket-headers.ts";
import {
  agentRegister,
  grantRequest,
  ONLY_PAGE_PATHS,
  onlyQuery,
  quarantineReport,
  type AgentRegistered,
} from "../../schema/api.ts";
import { jobId } from "../../schema/ids.ts";
import { SUBPROTOCOL, syncRequest, type SyncAnswer } from "../../schema/protocol.ts";
import { syncAgent } from "../agent-line.ts";
import { newAgentKey } from "../auth/agent-key.ts";
import { hashCode, normalizeCode } from "../auth/registration-code.ts";
import { makeGrant } from "../azure/grants.ts";
import { withStorage } from "../azure/open-storage.ts";
import { addressOf, readBody, readId, readQuery, type App } from "../context.ts";
import { audit } from "../db/audit.ts";
import { registerAgent } from "../db/identity.ts";
import { findGrantable, listOnlyPaths } from "../db/jobs.ts";
import { recordQuarantine } from "../db/quarantines.ts";
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
    const spare = await newSpareKey(agentId);
    const headers = new Headers({
      upgrade: "websocket",
      [KEY_HASH_HEADER]: keyHash,
      [SPARE_KEY_HEADER]: spare.key,
      [SPARE_KEY_HASH_HEADER]: spare.keyHash,
    });
    return await c.env.AGENT.getByName(agentId).fetch(new Request(c.req.url, { headers }));
  })
  .post("/sync", async (c) => {
    const { waitSeconds, ...said } = await readBody(c, syncRequest);
    const { agentId, keyHash } = c.get("agent");
    const spareKey = said.frame?.s === 0 ? await newSpareKey(agentId) : null;
    const agent = { hub: c.env.AGENT.getByName(agentId), db: c.get("db"), agentId };
    const reply = await syncAgent(agent, { ...said, keyHash, spareKey }, waitSeconds);
    const frames = reply.frames.map((text) => JSON.parse(text) as SyncAnswer["frames"][number]);
    return c.json({ frames, closed: reply.closed } satisfies SyncAnswer);
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
  })
  .post("/jobs/:id/quarantine", async (c) => {
    const { epoch, ...told } = await readBody(c, quarantineReport);
    const id = readId(c, jobId);
    const actor = { kind: "agent", id: c.get("agent").agentId, address: addressOf(c) } as const;
    return c.json(await recordQuarantine(c.get("db"), actor, { jobId: id, epoch }, told));
  });

/** Made here, where keys are made; used only when a new one is due. */
async function newSpareKey(agentId: string): Promise<SpareKey> {
  const key = newAgentKey(agentId);
  return { key, keyHash: await sha256Hex(key) };
}
