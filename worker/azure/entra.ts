/**
 * Microsoft Entra ID as a confidential client of it: authorization code with PKCE, refresh, and what its refusals mean.
 * Source: "Microsoft identity platform and OAuth 2.0 authorization code flow" and RFC 6749, 7636, 9207; OpenID Connect Core.
 * Decisions are made by `error`, never by the description, which Microsoft changes at will; no text of its is handed on.
 */
import * as z from "zod";
import { base64, fromBase64, randomToken, sameSecret } from "../secrets.ts";
import { askMicrosoft, MicrosoftUnreachable, type Microsoft } from "./microsoft.ts";

/** Acting as the person who consented, at the two services we need; neither reads mail, files or the directory. */
export const SCOPES = {
  management: "https://management.azure.com/user_impersonation",
  storage: "https://storage.azure.com/user_impersonation",
} as const;
export type Resource = keyof typeof SCOPES;
const SIGN_IN_SCOPES = "openid profile offline_access";
/** Work and school accounts of any organization; personal accounts have no storage of this kind. */
const ANY_TENANT = "organizations";
const CLOCK_SKEW_MS = 5 * 60_000;

export interface Tokens {
  readonly accessToken: string;
  readonly expiresAtMs: number;
  readonly refreshToken: string;
}

/** Who consented. */
export interface Principal {
  readonly tenantId: string;
  readonly name: string;
}

/**
 * - `consent`: only a person can mend it, by signing in again.
 * - `configuration`: our own application is refused; the operator has to act.
 * - `other`: a request it does not take, or an answer that is none.
 */
export class EntraRefusal extends Error {
  override readonly name = "EntraRefusal";
  readonly reason: "consent" | "configuration" | "other";
  constructor(reason: EntraRefusal["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What only this attempt knows; the challenge is what Microsoft is shown of the verifier (RFC 7636, S256). */
export async function newPkce(): Promise<{ verifier: string; challenge: string }> {
  const verifier = randomToken();
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const challenge = base64(new Uint8Array(digest))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
  return { verifier, challenge };
}

/** Where the browser is sent. `tenantId` holds it to one tenant, as connecting anew does. */
export function authorizeUrl(
  { authorityUrl, clientId }: Microsoft,
  request: {
    readonly tenantId: string | null;
    readonly redirectUri: string;
    readonly state: string;
    readonly nonce: string;
    readonly challenge: string;
  },
): string {
  const query = new URLSearchParams({
    client_id: clientId,
    response_type: "code",
    response_mode: "query",
    redirect_uri: request.redirectUri,
    // Consent may cover several services; a token is always of one.
    scope: `${SIGN_IN_SCOPES} ${SCOPES.management} ${SCOPES.storage}`,
    state: request.state,
    nonce: request.nonce,
    code_challenge: request.challenge,
    code_challenge_method: "S256",
    // Who is signed in by chance must not be connected without a look.
    prompt: "select_account",
  });
  return `${authorityUrl}/${request.tenantId ?? ANY_TENANT}/oauth2/v2.0/authorize?${query.toString()}`;
}

/** Exchanges a code for tokens of the management service, and tells who consented. */
export async function exchangeCode(
  microsoft: Microsoft,
  request: {
    readonly tenantId: string | null;
    readonly code: string;
    readonly verifier: string;
    readonly nonce: string;
    readonly redirectUri: string;
  },
): Promise<{ tokens: Tokens; principal: Principal }> {
  const answer = await askForTokens(microsoft, request.tenantId ?? ANY_TENANT, {
    grant_type: "authorization_code",
    code: request.code,
    code_verifier: request.verifier,
    redirect_uri: request.redirectUri,
    scope: `${SIGN_IN_SCOPES} ${SCOPES.management}`,
  });
  if (answer.id_token === undefined || answer.refresh_token === undefined) throw notUnderstood();
  const principal = await readIdToken(microsoft, answer.id_token, request.nonce);
  return { tokens: tokensOf(answer, answer.refresh_token), principal };
}

/** A new access token for one service. The answer may hold a new refresh token, which then replaces the old one. */
export async function refreshTokens(
  microsoft: Microsoft,
  request: { readonly tenantId: string; readonly refreshToken: string; readonly resource: Resource },
): Promise<Tokens> {
  const answer = await askForTokens(microsoft, request.tenantId, {
    grant_type: "refresh_token",
    refresh_token: request.refreshToken,
    scope: `${SIGN_IN_SCOPES} ${SCOPES[request.resource]}`,
  });
  return tokensOf(answer, answer.refresh_token ?? request.refreshToken);
}

export function issuerOf({ authorityUrl }: Microsoft, tenantId: string): string {
  return `${authorityUrl}/${tenantId}/v2.0`;
}

/** Form of a tenant's id; it becomes part of addresses. */
export const tenantGuid = z.guid();

const tokenAnswer = z.object({
  token_type: z.string().regex(/^bearer$/i),
  access_token: z.string().min(1).max(16_384),
  expires_in: z.number().int().min(1),
  refresh_token: z.string().min(1).max(16_384).optional(),
  id_token: z.string().min(1).max(16_384).optional(),
});
const errorAnswer = z.object({
  error: z.string().max(100),
  error_codes: z.array(z.int()).optional(),
});

const CONSENT_ERRORS = ["invalid_grant", "interaction_required", "consent_required", "login_required"];
const CONFIGURATION_ERRORS = ["invalid_client", "unauthorized_client"];

async function askForTokens(
  microsoft: Microsoft,
  tenant: string,
  form: Record<string, string>,
): Promise<z.infer<typeof tokenAnswer>> {
  const url = `${microsoft.authorityUrl}/${tenant}/oauth2/v2.0/token`;
  const { clientId: client_id, clientSecret: client_secret } = microsoft;
  const { status, text } = await askMicrosoft(url, {
    method: "POST",
    headers: { accept: "application/json" },
    body: new URLSearchParams({ ...form, client_id, client_secret }),
  });
  const body = parseJson(text);
  if (status === 200) {
    const answer = tokenAnswer.safeParse(body);
    if (!answer.success) throw notUnderstood();
    return answer.data;
  }
  const refusal = errorAnswer.safeParse(body);
  if (!refusal.success) throw notUnderstood();
  throw refusalOf(refusal.data);
}

function refusalOf({ error, error_codes: codes }: z.infer<typeof errorAnswer>): Error {
  const word = /^[a-z_]+$/.test(error) ? error : "an error";
  const named = codes?.[0] === undefined ? word : `${word}, AADSTS${codes[0]}`;
  if (error === "temporarily_unavailable") {
    return new MicrosoftUnreachable(`Cannot sign in with Microsoft: it is busy (${named})`);
  }
  if (CONSENT_ERRORS.includes(error)) {
    return new EntraRefusal("consent", `Microsoft asks for a new sign-in (${named})`);
  }
  if (CONFIGURATION_ERRORS.includes(error)) {
    return new EntraRefusal("configuration", `Microsoft refuses this server's application (${named})`);
  }
  return new EntraRefusal("other", `Microsoft does not take the request (${named})`);
}

function notUnderstood(): EntraRefusal {
  return new EntraRefusal("other", "Microsoft's answer is not what was expected");
}

function tokensOf(answer: z.infer<typeof tokenAnswer>, refreshToken: string): Tokens {
  return {
    accessToken: answer.access_token,
    expiresAtMs: Date.now() + answer.expires_in * 1_000,
    refreshToken,
  };
}

const idClaims = z.object({
  iss: z.string(),
  aud: z.string(),
  exp: z.number(),
  nonce: z.string(),
  tid: tenantGuid,
  oid: z.string().min(1).max(100),
  preferred_username: z.string().max(320).optional(),
});

/**
 * It came from Microsoft over a connection of our own, so its signature needs no look (OpenID Connect Core, 3.1.3.7, 6);
 * that it is of this application, this attempt and the tenant it names, does.
 */
async function readIdToken(microsoft: Microsoft, token: string, nonce: string): Promise<Principal> {
  const parsed = idClaims.safeParse(claimsOf(token));
  if (!parsed.success) throw notUnderstood();
  const { iss, aud, exp, tid, oid, preferred_username: name, ...rest } = parsed.data;
  const isSameAttempt = await sameSecret(rest.nonce, nonce);
  const fits =
    iss === issuerOf(microsoft, tid) &&
    aud === microsoft.clientId &&
    isSameAttempt &&
    exp * 1_000 > Date.now() - CLOCK_SKEW_MS;
  if (!fits) throw new EntraRefusal("other", "Microsoft's answer is for somebody else");
  return { tenantId: tid.toLowerCase(), name: name ?? oid };
}

function claimsOf(token: string): unknown {
  const [, payload = ""] = token.split(".");
  try {
    const bytes = fromBase64(payload.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
