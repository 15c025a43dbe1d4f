/**
 * Connecting Azure Storage by signing in with Microsoft (`docs/spec.md`, section M): a consent is begun here, comes back
 * once to the same session, shows what it sees, and becomes a connection. Connecting anew ends when the browser is back.
 */
import { Hono, type Context } from "hono";
import { html } from "hono/html";
import {
  AZURE_CALLBACK_PATH,
  AZURE_RETURN_PATH,
  azureAccountQuery,
  azureContainerQuery,
  azurePageQuery,
  consentBegin,
  consentFinish,
  type AzurePage,
  type Consent,
  type ConsentBegun,
  type ConsentFault,
} from "../../schema/azure.ts";
import { oauthStateId } from "../../schema/ids.ts";
import { scopedDb, type ScopedDb } from "../../schema/scoped-db.ts";
import { mayAct } from "../auth/policy.ts";
import { readSession } from "../auth/session-cookie.ts";
import {
  ArmRefusal,
  listAccounts,
  listArmContainers,
  listSubscriptions,
  readAccount,
  type Arm,
} from "../azure/arm.ts";
import { BlobServiceError, listContainers } from "../azure/blob-service.ts";
import {
  authorizeUrl,
  EntraRefusal,
  exchangeCode,
  issuerOf,
  newPkce,
  refreshTokens,
  type Tokens,
} from "../azure/entra.ts";
import { blobEndpointOf, microsoftOf, MicrosoftUnreachable, type Microsoft } from "../azure/microsoft.ts";
import { signInProblem, TOKEN_LEFT_MS_MIN } from "../azure/open-storage.ts";
import type { StorageAccount } from "../azure/storage-account.ts";
import { getUserDelegationKey } from "../azure/user-delegation.ts";
import { actorOf, addressOf, readBody, readId, readIdempotencyKey, readQuery, type App } from "../context.ts";
import { openConnection } from "../db/connections.ts";
import type { SignedIn } from "../db/identity.ts";
import { createOauthConnection, reconnect } from "../db/oauth-connections.ts";
import {
  beginConsent,
  forgetLapsed,
  keepPending,
  openConsent,
  replacePending,
  takeState,
  type OpenedConsent,
  type Returned,
} from "../db/oauth-states.ts";
import { page } from "../pages.ts";
import { invalid, Problem } from "../problems.ts";
import { randomToken } from "../secrets.ts";

export const azureOauth = new Hono<App>()
  .post("/consents", async (c) => {
    const { connectionId } = await readBody(c, consentBegin);
    const db = c.get("db");
    const tenantId = connectionId === null ? null : await tenantOf(c, connectionId);
    const microsoft = microsoftOf(c.env);
    const { verifier, challenge } = await newPkce();
    const [state, nonce] = [randomToken(), randomToken()];
    const redirectUri = new URL(c.req.url).origin + AZURE_CALLBACK_PATH;
    const { sessionId } = c.get("user");
    await db.batch([forgetLapsed(db)]);
    const { id, expiresAtMs } = await beginConsent(db, actorOf(c), c.env.SECRETS_KEYS, {
      state,
      attempt: { verifier, nonce, redirectUri, tenantId },
      sessionId,
      connectionId,
    });
    const url = authorizeUrl(microsoft, { tenantId, redirectUri, state, nonce, challenge });
    const answer: ConsentBegun = { id, url, expiresAt: new Date(expiresAtMs).toISOString() };
    return c.json(answer, 201);
  })
  .get("/callback", async (c) => await comeBack(c))
  .get("/consents/:id", async (c) => {
    const { id, expiresAtMs, pending } = await consentOf(c);
    const { tenantId, principal } = pending;
    const answer: Consent = { id, tenantId, principal, expiresAt: new Date(expiresAtMs).toISOString() };
    return c.json(answer);
  })
  .get("/consents/:id/subscriptions", async (c) => {
    const consent = await consentOf(c);
    const { cursor } = readQuery(c, azurePageQuery);
    const arm = await armOf(c, consent);
    const list = await orProblem(listSubscriptions(arm, cursor ?? null));
    return c.json(noted(list, cursor, NO_SUBSCRIPTIONS));
  })
  .get("/consents/:id/accounts", async (c) => {
    const consent = await consentOf(c);
    const { cursor, subscriptionId } = readQuery(c, azureAccountQuery);
    const arm = await armOf(c, consent);
    const list = await orProblem(unlessDenied(listAccounts(arm, subscriptionId, cursor ?? null)));
    return c.json(noted(list, cursor, NO_ACCOUNTS));
  })
  .get("/consents/:id/containers", async (c) => {
    const consent = await consentOf(c);
    const { cursor, account, resourceId } = readQuery(c, azureContainerQuery);
    if (cursor === undefined) {
      const seen = await containersSeen(c, consent, account);
      if (seen !== null) return c.json({ items: seen, nextCursor: null, note: null });
    }
    if (resourceId === undefined) return c.json({ items: [], nextCursor: null, note: NO_CONTAINERS });
    // Asking the account may have brought another refresh token.
    const arm = await armOf(c, await consentOf(c));
    const list = await orProblem(unlessDenied(listArmContainers(arm, resourceId, cursor ?? null)));
    return c.json(noted(list, cursor, NO_CONTAINERS));
  })
  .post("/consents/:id/connection", async (c) => {
    const { name, account, resourceId } = await readBody(c, consentFinish);
    const consent = await consentOf(c);
    const hierarchical =
      resourceId === null ? null : await isHierarchical(c, consent, { account, resourceId });
    const tokens = await storageTokens(c, await consentOf(c));
    const trial = await tryAccount(microsoftOf(c.env), account, tokens);
    if (trial !== null) throw invalid({ account: trial.message });
    const { tenantId, principal } = consent.pending;
    const made = await createOauthConnection(c.get("db"), actorOf(c), c.env.SECRETS_KEYS, {
      consentId: consent.id,
      name,
      account,
      blobEndpoint: blobEndpointOf(microsoftOf(c.env), account),
      hierarchical,
      tenantId,
      principal,
      tokens,
      idempotencyKey: readIdempotencyKey(c),
    });
    return c.json(made, 201);
  });

const NO_SUBSCRIPTIONS =
  "No subscription is visible to this account; ask for the role Reader on the storage account, or type the account's name";
const NO_ACCOUNTS =
  "No storage account is visible to this account: Storage Blob Data Contributor alone does not show any; ask for the role Reader on it, or type its name";
const NO_CONTAINERS = "No container is visible to this account; type the container's name";

/** The tenant of a connection that is to be connected anew; the new sign-in must be of the same. */
async function tenantOf(c: Context<App>, connectionId: string): Promise<string> {
  const refused = (message: string) => invalid({ connectionId: message });
  const opened = await openConnection(c.get("db"), c.env.SECRETS_KEYS, connectionId).catch(
    (error: unknown) => {
      throw error instanceof Problem ? refused("There is no such storage connection") : error;
    },
  );
  if (opened.tenantId === null) throw refused("This connection does not work with a Microsoft sign-in");
  return opened.tenantId;
}

// --- coming back ---

async function comeBack(c: Context<App>): Promise<Response> {
  const user = await readSession(c);
  if (user === null || !mayAct(user.role, "admin")) return await refusePage(c, 401);
  const db = scopedDb(c.env.DB, user.orgId);
  const query = new URL(c.req.url).searchParams;
  const states = query.getAll("state");
  const [state = ""] = states;
  const returned =
    states.length === 1 && state.length <= 128
      ? await takeState(db, c.env.SECRETS_KEYS, { state, sessionId: user.sessionId })
      : null;
  if (returned === null) return await refusePage(c, 400);
  const outcome = await complete(c, { db, user, returned, query });
  return c.redirect(`${AZURE_RETURN_PATH}?${new URLSearchParams(outcome).toString()}`, 303);
}

type Outcome = { consent: string } | { connected: string } | { azure: ConsentFault };

/** From here on the state is used up, whatever comes. */
async function complete(
  c: Context<App>,
  { db, user, returned, query }: { db: ScopedDb; user: SignedIn; returned: Returned; query: URLSearchParams },
): Promise<Outcome> {
  const microsoft = microsoftOf(c.env);
  const fault = faultOf(microsoft, query, returned.attempt.tenantId);
  if (fault !== null) return { azure: fault };
  try {
    const code = query.get("code") as string;
    const { tokens, principal } = await exchangeCode(microsoft, { ...returned.attempt, code });
    const { tenantId, name } = principal;
    // Mix-up: the answer must be of the tenant it says it is, and of the one that was asked for.
    const iss = query.get("iss");
    if (iss !== null && iss !== issuerOf(microsoft, tenantId)) return { azure: "refused" };
    if (returned.attempt.tenantId !== null && returned.attempt.tenantId !== tenantId) {
      return { azure: "wrong_tenant" };
    }
    const actor = { kind: "user", id: user.userId, address: addressOf(c) } as const;
    const { id } = returned;
    if (returned.connectionId !== null) {
      const consented = { tenantId, principal: name, id: returned.connectionId, consentId: id };
      return await comeBackToConnection(c, { db, actor, consented, refreshToken: tokens.refreshToken });
    }
    const { accessToken: token, expiresAtMs, refreshToken } = tokens;
    const pending = { refreshToken, management: { token, expiresAtMs }, tenantId, principal: name };
    await keepPending(db, actor, c.env.SECRETS_KEYS, { id, pending });
    return { consent: id };
  } catch (error) {
    if (error instanceof MicrosoftUnreachable) return { azure: "unreachable" };
    if (!(error instanceof EntraRefusal)) throw error;
    console.error(JSON.stringify({ event: "consent_refused", reason: error.message }));
    return { azure: "refused" };
  }
}

/** What is wrong with what came back before anybody is asked; null = there is a code. */
function faultOf(microsoft: Microsoft, query: URLSearchParams, tenantId: string | null): ConsentFault | null {
  for (const name of ["code", "error", "iss"]) if (query.getAll(name).length > 1) return "refused";
  const iss = query.get("iss");
  const isOurs =
    iss === null ||
    (tenantId === null
      ? iss.startsWith(`${microsoft.authorityUrl}/`) && iss.endsWith("/v2.0")
      : iss === issuerOf(microsoft, tenantId));
  if (!isOurs) return "refused";
  switch (query.get("error")) {
    case null:
      break;
    case "access_denied":
      return "declined";
    case "consent_required":
    case "interaction_required":
      return "consent_required";
    case "temporarily_unavailable":
    case "server_error":
      return "unreachable";
    default:
      return "refused";
  }
  const code = query.get("code") ?? "";
  return code === "" || code.length > 8_192 ? "refused" : null;
}

async function comeBackToConnection(
  c: Context<App>,
  {
    db,
    actor,
    consented,
    refreshToken,
  }: {
    db: ScopedDb;
    actor: { kind: "user"; id: string; address: string | null };
    consented: { tenantId: string; principal: string; id: string; consentId: string };
    refreshToken: string;
  },
): Promise<Outcome> {
  const microsoft = microsoftOf(c.env);
  const { tenantId, id } = consented;
  const tokens = await refreshTokens(microsoft, { tenantId, refreshToken, resource: "storage" });
  const { account } = await openConnection(db, c.env.SECRETS_KEYS, id);
  const trial = await tryAccount(microsoft, account, tokens);
  if (trial !== null) return { azure: trial.reason === "unreachable" ? "unreachable" : "storage_denied" };
  await reconnect(db, actor, c.env.SECRETS_KEYS, { ...consented, tokens });
  return { connected: id };
}

/** One page for every state that is not this session's own open one; which it was, nobody is told. */
async function refusePage(c: Context<App>, status: 400 | 401): Promise<Response> {
  const why =
    status === 401
      ? "You are not signed in here any more, or may not connect storage."
      : "This sign-in was not begun here, was used already, or took longer than ten minutes.";
  return await page(
    c,
    status,
    "Azure was not connected",
    html`<h1>Azure Storage was not connected</h1>
      <p>${why} Nothing was changed. Begin again in the settings.</p>
      <a class="button" href="${AZURE_RETURN_PATH}">Go to the settings</a>`,
  );
}

// --- what a consent sees ---

async function consentOf(c: Context<App>): Promise<OpenedConsent> {
  const id = readId(c, oauthStateId);
  const { sessionId } = c.get("user");
  return await openConsent(c.get("db"), c.env.SECRETS_KEYS, { id, sessionId });
}

/** With a token of the management service that is good for some minutes yet. */
async function armOf(c: Context<App>, consent: OpenedConsent): Promise<Arm> {
  const microsoft = microsoftOf(c.env);
  const { management } = consent.pending;
  if (management !== null && management.expiresAtMs - Date.now() > TOKEN_LEFT_MS_MIN) {
    return { microsoft, accessToken: management.token };
  }
  const { accessToken: token, expiresAtMs, refreshToken } = await refreshed(c, consent, "management");
  const pending = { ...consent.pending, refreshToken, management: { token, expiresAtMs } };
  await replacePending(c.get("db"), c.env.SECRETS_KEYS, consent, pending);
  return { microsoft, accessToken: token };
}

/** Tokens of the Blob service. The refresh token that came with them takes the old one's place. */
async function storageTokens(c: Context<App>, consent: OpenedConsent): Promise<Tokens> {
  const tokens = await refreshed(c, consent, "storage");
  const pending = { ...consent.pending, refreshToken: tokens.refreshToken };
  await replacePending(c.get("db"), c.env.SECRETS_KEYS, consent, pending);
  return tokens;
}

async function refreshed(
  c: Context<App>,
  { pending }: OpenedConsent,
  resource: "management" | "storage",
): Promise<Tokens> {
  const { tenantId, refreshToken } = pending;
  return await refreshTokens(microsoftOf(c.env), { tenantId, refreshToken, resource }).catch(
    (error: unknown) => {
      throw signInProblem(error);
    },
  );
}

/** Containers by the data plane, which the role for blobs shows; null where it is refused. */
async function containersSeen(
  c: Context<App>,
  consent: OpenedConsent,
  account: string,
): Promise<string[] | null> {
  const tokens = await storageTokens(c, consent);
  try {
    return await listContainers(bearerAccount(microsoftOf(c.env), account, tokens));
  } catch (error) {
    if (!(error instanceof BlobServiceError)) throw error;
    if (error.reason === "unreachable") throw new Problem("STORAGE_UNREACHABLE", error.message);
    return null;
  }
}

async function isHierarchical(
  c: Context<App>,
  consent: OpenedConsent,
  { account, resourceId }: { account: string; resourceId: string },
): Promise<boolean> {
  const found = await orProblem(readAccount(await armOf(c, consent), resourceId));
  if (found.name !== account) throw invalid({ resourceId: "This is another storage account's resource id" });
  return found.isHierarchical;
}

/** Whether grants can be made for the account with these tokens; null = yes. */
async function tryAccount(
  microsoft: Microsoft,
  account: string,
  tokens: Tokens,
): Promise<BlobServiceError | null> {
  const nowMs = Date.now();
  try {
    const term = { startsMs: nowMs, expiresMs: nowMs + 60_000 };
    await getUserDelegationKey(bearerAccount(microsoft, account, tokens), term);
    return null;
  } catch (error) {
    if (error instanceof BlobServiceError) return error;
    throw error;
  }
}

function bearerAccount(microsoft: Microsoft, account: string, { accessToken }: Tokens): StorageAccount {
  return {
    account,
    blobEndpoint: blobEndpointOf(microsoft, account),
    container: null,
    expiresAtMs: null,
    secret: { kind: "bearer", accessToken, hierarchical: false },
  };
}

type List<Item> = Omit<AzurePage<Item>, "note">;

/** A list that is not for this person is one that shows nothing. */
async function unlessDenied<Item>(asked: Promise<List<Item>>): Promise<List<Item>> {
  return await asked.catch((error: unknown) => {
    if (!(error instanceof ArmRefusal) || error.reason === "other") throw error;
    return { items: [], nextCursor: null };
  });
}

function noted<Item>(list: List<Item>, cursor: string | undefined, note: string): AzurePage<Item> {
  const isEmpty = cursor === undefined && list.items.length === 0 && list.nextCursor === null;
  return { ...list, note: isEmpty ? note : null };
}

async function orProblem<Result>(asked: Promise<Result>): Promise<Result> {
  return await asked.catch((error: unknown) => {
    if (error instanceof MicrosoftUnreachable) throw new Problem("STORAGE_UNREACHABLE", error.message);
    if (error instanceof ArmRefusal) throw new Problem("STORAGE_DENIED", error.message);
    throw error;
  });
}
