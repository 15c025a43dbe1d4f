import { SignJWT, UnsecuredJWT } from "jose";
import { describe, expect, test } from "vitest";
import { base64 } from "../secrets.ts";
import { REFUSAL_STATUS, TokenRefused, verifyHubToken, type Refusal } from "./hub-token.ts";
import { hubTrust, type HubTrust } from "./hub-trust.ts";

const SECRET = "a-secret-that-only-the-hub-and-we-know-0123456789";
const noKeySet = () => {
  throw new Error("There is no key set here");
};
const trustIn = (secret: string): HubTrust | null =>
  hubTrust({ ENVIRONMENT: "production", PORTAL_SSO_SECRET: secret }, noKeySet);
const NOW_MS = Date.parse("2026-11-22T10:00:00Z");
const NOW_S = NOW_MS / 1000;

const GOOD = {
  iss: "the-one-hub",
  iat: NOW_S,
  jti: "5f0c2b9e-7a1d-4c3f",
  platform: "migrate",
  hub_user_id: "hub-user-1",
  email: "olivia@example.com",
  name: "Olivia Owner",
  orgRole: "owner",
  tenantId: "tenant-1",
  tenantSlug: "demo",
  tenantName: "Demo MSP",
  entitlements: ["migrate", "crawl"],
};
type Claims = { [Claim in keyof typeof GOOD]?: unknown } & Record<string, unknown>;

async function sign(
  claims: Claims,
  options: { secret?: string; alg?: string; typ?: string } = {},
): Promise<string> {
  const { secret = SECRET, alg = "HS256", typ } = options;
  // Through JSON, so that a claim that is undefined is left out.
  return await new SignJWT(JSON.parse(JSON.stringify(claims)) as Record<string, unknown>)
    .setProtectedHeader({ alg, ...(typ === undefined ? {} : { typ }) })
    .sign(new TextEncoder().encode(secret));
}

const encode = (value: unknown) =>
  base64(new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

async function refusalOf(token: string, secret: string = SECRET): Promise<Refusal | null> {
  try {
    await verifyHubToken(token, trustIn(secret), NOW_MS);
    return null;
  } catch (error) {
    if (error instanceof TokenRefused) return error.reason;
    throw error;
  }
}

describe("good tokens", () => {
  test("[S1] a good token tells who signs in, and for which organization", async () => {
    expect(await verifyHubToken(await sign(GOOD), trustIn(SECRET), NOW_MS)).toEqual({
      issuer: "the-one-hub",
      jti: GOOD.jti,
      hubUserId: "hub-user-1",
      email: "olivia@example.com",
      name: "Olivia Owner",
      role: "owner",
      tenantId: "tenant-1",
      tenantSlug: "demo",
      tenantName: "Demo MSP",
    });
  });

  test.each([
    [
      "the other name of the tenant",
      { tenantId: undefined, tenant_id: "tenant-1" },
      { tenantId: "tenant-1" },
    ],
    ["both names of one tenant", { tenant_id: "tenant-1" }, { tenantId: "tenant-1" }],
    ["no name", { name: undefined }, { name: "olivia@example.com" }],
    ["an empty name", { name: "" }, { name: "olivia@example.com" }],
    ["no name of the tenant", { tenantName: undefined }, { tenantName: "demo" }],
    [
      "no name and no slug of the tenant",
      { tenantName: "", tenantSlug: undefined },
      { tenantName: "tenant-1", tenantSlug: null },
    ],
    ["no entitlements listed", { entitlements: undefined }, {}],
    ["an age of 70 seconds", { iat: NOW_S - 70 }, {}],
    ["an age within the leeway", { iat: NOW_S - 75 }, {}],
    ["a Hub whose clock is 5 seconds ahead", { iat: NOW_S + 5 }, {}],
    ["an end that is not reached", { exp: NOW_S + 70 }, {}],
    ["a claim nobody knows", { plan: "gold" }, {}],
  ])("[S1] a token with %s is accepted", async (_what, change: Claims, expected) => {
    expect(await verifyHubToken(await sign({ ...GOOD, ...change }), trustIn(SECRET), NOW_MS)).toMatchObject(
      expected,
    );
  });

  test("[S1] a header that says JWT, in any case, is accepted", async () => {
    for (const typ of ["JWT", "jwt"]) expect(await refusalOf(await sign(GOOD, { typ }))).toBeNull();
  });

  test.each([
    ["owner", "owner"],
    ["admin", "admin"],
    ["member", "member"],
    ["viewer", "viewer"],
    [undefined, "member"],
    ["superuser", "viewer"],
    ["Owner", "viewer"],
    ["__proto__", "viewer"],
    ["", "viewer"],
  ])("[S4] the Hub's role %s is our role %s", async (orgRole, role) => {
    expect(await verifyHubToken(await sign({ ...GOOD, orgRole }), trustIn(SECRET), NOW_MS)).toMatchObject({
      role,
    });
  });
});

describe("bad tokens", () => {
  const good = () => sign(GOOD);
  const withClaims = (change: Claims) => () => sign({ ...GOOD, ...change });
  const parts = async () => (await good()).split(".") as [string, string, string];
  const resigned = async (header: unknown, claims: unknown) => {
    const signed = await sign(GOOD);
    return `${encode(header)}.${encode(claims)}.${signed.split(".")[2]}`;
  };

  const BAD: readonly (readonly [what: string, refusal: Refusal, make: () => Promise<string> | string])[] = [
    ["nothing", "malformed", () => ""],
    ["a word", "malformed", () => "token"],
    ["two parts", "malformed", async () => (await parts()).slice(0, 2).join(".")],
    ["four parts", "malformed", async () => [...(await parts()), "x"].join(".")],
    ["an empty signature", "malformed", async () => `${(await parts()).slice(0, 2).join(".")}.`],
    ["a space before it", "malformed", async () => ` ${await good()}`],
    ["a line end behind it", "malformed", async () => `${await good()}\n`],
    ["characters that are not base64url", "malformed", async () => (await good()).replace(".", "+.")],
    ["more than 8,192 characters", "malformed", withClaims({ pad: "x".repeat(9_000) })],
    [
      "a header that is not JSON",
      "malformed",
      async () => `${encode("{")}.${(await parts()).slice(1).join(".")}`,
    ],
    [
      "a payload that is not JSON",
      "bad_token",
      async () => `${(await parts())[0]}.${encode("{")}.${(await parts())[2]}`,
    ],

    ["no algorithm (alg none)", "malformed", () => new UnsecuredJWT(GOOD).encode()],
    ["alg none with a signature", "bad_token", () => resigned({ alg: "none" }, GOOD)],
    ["alg NONE", "bad_token", () => resigned({ alg: "NONE" }, GOOD)],
    ["alg hs256 in small letters", "bad_token", () => resigned({ alg: "hs256" }, GOOD)],
    ["alg RS256 over our secret", "bad_token", () => resigned({ alg: "RS256" }, GOOD)],
    ["HS512 by the right secret", "bad_token", () => sign(GOOD, { alg: "HS512" })],
    ["HS384 by the right secret", "bad_token", () => sign(GOOD, { alg: "HS384" })],
    ["another typ", "bad_token", () => sign(GOOD, { typ: "at+jwt" })],
    [
      "a critical header we do not know",
      "bad_token",
      () => resigned({ alg: "HS256", crit: ["b64"], b64: false }, GOOD),
    ],

    [
      "another secret",
      "bad_token",
      () => sign(GOOD, { secret: "another-secret-of-the-same-length-0123456789abcde" }),
    ],
    ["the secret with a space behind it", "bad_token", () => sign(GOOD, { secret: `${SECRET} ` })],
    [
      "a changed signature",
      "bad_token",
      async () => (await good()).replace(/.(.)$/, (_all, last) => `A${String(last)}`).replace(/.{2}$/, "AA"),
    ],
    ["a changed payload", "bad_token", () => resigned({ alg: "HS256" }, { ...GOOD, orgRole: "admin" })],
    [
      "a changed header",
      "bad_token",
      async () => `${encode({ alg: "HS256", kid: "x" })}.${(await parts()).slice(1).join(".")}`,
    ],

    ["another issuer", "bad_token", withClaims({ iss: "the-other-hub" })],
    ["no issuer", "bad_token", withClaims({ iss: undefined })],
    ["a list of issuers", "bad_token", withClaims({ iss: ["the-one-hub"] })],
    ["an age of 76 seconds", "bad_token", withClaims({ iat: NOW_S - 76 })],
    ["an age of a day", "bad_token", withClaims({ iat: NOW_S - 86_400 })],
    ["a birth 6 seconds ahead", "bad_token", withClaims({ iat: NOW_S + 6 })],
    ["a birth in milliseconds", "bad_token", withClaims({ iat: NOW_MS })],
    ["no birth", "bad_token", withClaims({ iat: undefined })],
    ["a birth as text", "bad_token", withClaims({ iat: String(NOW_S) })],
    ["an end that is reached", "bad_token", withClaims({ exp: NOW_S - 6 })],
    ["a beginning that is not reached", "bad_token", withClaims({ nbf: NOW_S + 6 })],

    ["another platform", "other_platform", withClaims({ platform: "crawl" })],
    ["no platform", "other_platform", withClaims({ platform: undefined })],
    ["a list of platforms", "other_platform", withClaims({ platform: ["migrate"] })],
    ["the platform in capitals", "other_platform", withClaims({ platform: "MIGRATE" })],
    ["entitlements without ours", "no_entitlement", withClaims({ entitlements: ["crawl"] })],
    ["no entitlement at all", "no_entitlement", withClaims({ entitlements: [] })],
    ["entitlements as text", "no_entitlement", withClaims({ entitlements: "migrate" })],
    ["entitlements of null", "no_entitlement", withClaims({ entitlements: null })],

    ["no jti", "bad_token", withClaims({ jti: undefined })],
    ["a jti that is a number", "bad_token", withClaims({ jti: 12_345_678 })],
    ["an empty jti", "bad_token", withClaims({ jti: "" })],
    ["an endless jti", "bad_token", withClaims({ jti: "x".repeat(201) })],
    ["no user", "bad_token", withClaims({ hub_user_id: undefined })],
    ["an empty user", "bad_token", withClaims({ hub_user_id: "" })],
    ["a user that is a number", "bad_token", withClaims({ hub_user_id: 7 })],
    ["no e-mail", "bad_token", withClaims({ email: undefined })],
    ["an e-mail that is none", "bad_token", withClaims({ email: "olivia" })],
    ["no tenant", "bad_token", withClaims({ tenantId: undefined })],
    ["an empty tenant", "bad_token", withClaims({ tenantId: "" })],
    ["two tenants", "bad_token", withClaims({ tenant_id: "tenant-2" })],
    ["a tenant that is an object", "bad_token", withClaims({ tenantId: { $ne: null } })],
  ];

  test.each(BAD)("[S1] a token with %s is refused as %s", async (_what, refusal, make) => {
    expect(await refusalOf(await make())).toBe(refusal);
  });

  test("[S1] the corpus holds at least 40 bad tokens", () => {
    expect(BAD.length).toBeGreaterThanOrEqual(40);
  });

  test("[S2] without a secret, or with one that is too short, no token is accepted", async () => {
    for (const secret of ["", "x".repeat(31)]) {
      expect(await refusalOf(await sign(GOOD), secret)).toBe("not_configured");
    }
    await expect(verifyHubToken(await sign(GOOD), null, NOW_MS)).rejects.toMatchObject({
      reason: "not_configured",
    });
  });

  test("[S2] each refusal has the status that the documentation gives it", () => {
    expect(REFUSAL_STATUS).toEqual({
      malformed: 400,
      bad_token: 401,
      token_used: 401,
      other_platform: 403,
      no_entitlement: 403,
      not_configured: 503,
    });
  });
});
