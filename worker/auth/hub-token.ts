/**
 * The Hub's sign-in token: a JWT, HS256 with a shared secret, at most 70 seconds old, for this product, used once.
 * `docs/spec.md`, section S. The signature is checked by jose with exactly one algorithm allowed.
 */
import { errors, jwtVerify } from "jose";
import * as z from "zod";
import type { Role } from "../../schema/api.ts";

export const HUB_ISSUER = "the-one-hub";
export const PLATFORM = "migrate";
export const TOKEN_AGE_SECONDS_MAX = 70;
export const TOKEN_LEEWAY_SECONDS = 5;
/** Used tokens are remembered this long, well beyond the life of any. */
export const USED_TOKEN_MS = 10 * 60_000;

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
});

/** Checks everything but whether the token was used before. Throws {@link TokenRefused}. */
export async function verifyHubToken(
  token: string,
  secret: string | undefined,
  nowMs: number,
): Promise<HubIdentity> {
  if (secret === undefined || secret.length < 32) throw new TokenRefused("not_configured", null);
  if (token.length > 8_192 || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token))
    throw new TokenRefused("malformed", null);
  const payload = await verifySignature(token, secret, nowMs);
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

async function verifySignature(
  token: string,
  secret: string,
  nowMs: number,
): Promise<Record<string, unknown>> {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, new TextEncoder().encode(secret), {
      algorithms: ["HS256"],
      issuer: HUB_ISSUER,
      maxTokenAge: TOKEN_AGE_SECONDS_MAX,
      clockTolerance: TOKEN_LEEWAY_SECONDS,
      requiredClaims: ["iat", "jti"],
      currentDate: new Date(nowMs),
    });
    if (protectedHeader.typ !== undefined && protectedHeader.typ.toUpperCase() !== "JWT") {
      throw new TokenRefused("bad_token", null);
    }
    return payload;
  } catch (cause) {
    if (cause instanceof TokenRefused) throw cause;
    const malformed = cause instanceof errors.JWTInvalid || cause instanceof errors.JWSInvalid;
    throw new TokenRefused(malformed ? "malformed" : "bad_token", null, { cause });
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
