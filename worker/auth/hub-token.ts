/**
 * The Hub's sign-in token: a JWT by the one algorithm the deployment believes (`hub-trust.ts`), at most 70 seconds old, for
 * this product, used once. `docs/spec.md`, section S. The signature is checked by jose.
 */
import { base64url, errors, jwtVerify, type JWTVerifyOptions, type JWTVerifyResult } from "jose";
import * as z from "zod";
import type { Role } from "../../schema/api.ts";
import { KeySetAway, type HubTrust } from "./hub-trust.ts";
import { hasDoubledKey } from "./strict-json.ts";

export const HUB_ISSUER = "the-one-hub";
export const PLATFORM = "migrate";
export const TOKEN_AGE_SECONDS_MAX = 70;
export const TOKEN_LEEWAY_SECONDS = 5;
/** Used tokens are remembered this long, well beyond the life of any. */
export const USED_TOKEN_MS = 10 * 60_000;
const TOKEN_LENGTH_MAX = 8_192;

export interface HubIdentity {
  readonly issuer: string;
  readonly jti: string;
  readonly hubUserId: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly tenantId: string;
  readonly tenantSlug: string | null;
  readonly tenantName: string;
}

export type Refusal =
  | "malformed"
  | "bad_token"
  | "token_used"
  | "other_platform"
  | "no_entitlement"
  | "not_configured";

/** The status each refusal is answered with; the reason itself is only logged. */
export const REFUSAL_STATUS = {
  malformed: 400,
  bad_token: 401,
  token_used: 401,
  other_platform: 403,
  no_entitlement: 403,
  not_configured: 503,
} as const satisfies Record<Refusal, number>;

export class TokenRefused extends Error {
  override readonly name = "TokenRefused";
  readonly reason: Refusal;
  readonly jti: string | null;
  constructor(reason: Refusal, jti: string | null, options?: ErrorOptions) {
    super(`Cannot accept sign-in token: ${reason}`, options);
    this.reason = reason;
    this.jti = jti;
  }
}

const text = z.string().min(1).max(500);
const claims = z.object({
  iss: z.literal(HUB_ISSUER),
  iat: z.number(),
  jti: z.string().min(8).max(200),
  hub_user_id: text,
  email: z.email().max(320),
  name: z.string().max(200).optional(),
  orgRole: z.string().max(50).optional(),
  tenantId: text.optional(),
  tenant_id: text.optional(),
  tenantSlug: z.string().max(200).optional(),
  tenantName: z.string().max(200).optional(),
  /** Not the Hub's way to say whom a token is for; one that says so all the same must mean us. */
  aud: z
    .union([z.literal(PLATFORM), z.array(z.string()).refine((list) => list.includes(PLATFORM))])
    .optional(),
});

/** Checks everything but whether the token was used before. Throws {@link TokenRefused}. */
export async function verifyHubToken(
  token: string,
  trust: HubTrust | null,
  nowMs: number,
): Promise<HubIdentity> {
  if (trust === null) throw new TokenRefused("not_configured", null);
  if (token.length > TOKEN_LENGTH_MAX || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token))
    throw new TokenRefused("malformed", null);
  assertPlainHeader(token);
  const payload = await verifySignature(token, trust, nowMs);
  const jti = typeof payload["jti"] === "string" ? payload["jti"] : null;
  if (payload["platform"] !== PLATFORM) throw new TokenRefused("other_platform", jti);
  const { entitlements } = payload;
  if (entitlements !== undefined && !(Array.isArray(entitlements) && entitlements.includes(PLATFORM))) {
    throw new TokenRefused("no_entitlement", jti);
  }
  const parsed = claims.safeParse(payload);
  if (!parsed.success) throw new TokenRefused("bad_token", jti, { cause: parsed.error });
  const { data } = parsed;
  const tenantId = data.tenantId ?? data.tenant_id;
  // Two names for one thing must not name two things.
  if (
    tenantId === undefined ||
    (data.tenantId !== undefined && data.tenant_id !== undefined && data.tenantId !== data.tenant_id)
  ) {
    throw new TokenRefused("bad_token", jti);
  }
  return {
    issuer: data.iss,
    jti: data.jti,
    hubUserId: data.hub_user_id,
    email: data.email,
    name: data.name || data.email,
    role: roleOf(data.orgRole),
    tenantId,
    tenantSlug: data.tenantSlug ?? null,
    tenantName: data.tenantName || data.tenantSlug || tenantId,
  };
}

/**
 * A header says which algorithm and which key, and no more. What else there is in the standards (a key within the header,
 * addresses to fetch one from, extensions) only ever helped attackers; jose ignores it, and we do not even look.
 */
const plainHeader = z.strictObject({
  alg: z.string(),
  typ: z.string().optional(),
  kid: z.string().min(1).max(200).optional(),
});

function assertPlainHeader(token: string): void {
  const text = decodePart(token, 0);
  let header: unknown;
  try {
    header = JSON.parse(text ?? "");
  } catch (cause) {
    throw new TokenRefused("malformed", null, { cause });
  }
  const parsed = plainHeader.safeParse(header);
  if (!parsed.success || hasDoubledKey(text ?? "")) throw new TokenRefused("bad_token", null);
}

/** The text of a part; null when it is none. */
function decodePart(token: string, index: 0 | 1): string | null {
  try {
    const part = token.split(".")[index] ?? "";
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(base64url.decode(part));
  } catch {
    return null;
  }
}

async function verifySignature(
  token: string,
  trust: HubTrust,
  nowMs: number,
): Promise<Record<string, unknown>> {
  try {
    const { payload, protectedHeader } = await verifyWith(token, trust, {
      algorithms: [trust.algorithm],
      issuer: HUB_ISSUER,
      maxTokenAge: TOKEN_AGE_SECONDS_MAX,
      clockTolerance: TOKEN_LEEWAY_SECONDS,
      requiredClaims: ["iat", "jti"],
      currentDate: new Date(nowMs),
    });
    const isJwt = protectedHeader.typ === undefined || protectedHeader.typ.toUpperCase() === "JWT";
    if (!isJwt || hasDoubledKey(decodePart(token, 1) ?? "")) throw new TokenRefused("bad_token", null);
    return payload;
  } catch (cause) {
    if (cause instanceof TokenRefused) throw cause;
    if (cause instanceof KeySetAway) throw new TokenRefused("not_configured", null, { cause });
    const malformed = cause instanceof errors.JWTInvalid || cause instanceof errors.JWSInvalid;
    throw new TokenRefused(malformed ? "malformed" : "bad_token", null, { cause });
  }
}

async function verifyWith(
  token: string,
  trust: HubTrust,
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  switch (trust.kind) {
    case "secret":
      return await jwtVerify(token, trust.secret, options);
    case "key_set":
      return await jwtVerify(token, trust.keys.keyFor, options);
  }
}

/** The documented default is member; a role we do not know gets the least. */
function roleOf(orgRole: string | undefined): Role {
  switch (orgRole) {
    case "owner":
    case "admin":
    case "member":
    case "viewer":
      return orgRole;
    case undefined:
      return "member";
    default:
      return "viewer";
  }
}
