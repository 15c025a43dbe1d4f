/** Bad sign-in tokens of every kind we know, and good ones of each algorithm, against the check itself and the real Worker. */
import { createHmac, generateKeyPairSync, sign as signBytes, type KeyObject } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { REFUSAL_STATUS, TokenRefused, verifyHubToken, type Refusal } from "../../worker/auth/hub-token.ts";
import {
  HubKeySet,
  hubTrust,
  hubTrustFaults,
  type HubTokenAlgorithm,
  type HubTrust,
} from "../../worker/auth/hub-trust.ts";
import { HOSTILE_TARGETS } from "./hostile-targets.ts";
import { Browser, controlPlane, SSO_SECRET, startControlPlane, unique } from "./harness.ts";

type Json = Record<string, unknown>;
type Header = Json | string;

const KEYS = {
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: generateKeyPairSync("ed25519"),
  RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
} as const;
const STRANGER = {
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: generateKeyPairSync("ed25519"),
  RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
} as const;
const P384 = generateKeyPairSync("ec", { namedCurve: "P-384" });

type Asymmetric = keyof typeof KEYS;
const jwkOf = (alg: Asymmetric, kid: string) => ({
  ...KEYS[alg].publicKey.export({ format: "jwk" }),
  kid,
  alg,
  use: "sig",
});
const KEY_SET = {
  keys: [
    jwkOf("ES256", "es"),
    jwkOf("EdDSA", "ed"),
    jwkOf("RS256", "rs"),
    // What must never be taken for a public key.
    { kty: "oct", kid: "oct", k: Buffer.from(SSO_SECRET).toString("base64url"), alg: "HS256" },
    { ...STRANGER.ES256.privateKey.export({ format: "jwk" }), kid: "private", alg: "ES256" },
    { ...P384.publicKey.export({ format: "jwk" }), kid: "p384" },
    { kty: "EC", kid: "broken", crv: "P-256", x: "AA", y: "AA" },
    "no key at all",
  ],
};
const KID: Readonly<Record<Asymmetric, string>> = { ES256: "es", EdDSA: "ed", RS256: "rs" };

const nowS = () => Math.floor(Date.now() / 1_000);
const good = (): Json => ({
  iss: "the-one-hub",
  iat: nowS(),
  jti: crypto.randomUUID(),
  platform: "migrate",
  hub_user_id: `hub-${unique()}`,
  email: "olivia@example.com",
  name: "Olivia",
  orgRole: "owner",
  tenantId: `tenant-${unique()}`,
  entitlements: ["migrate"],
});

const encode = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** Signs whatever it is given, also what no library would. */
function sign(
  alg: string,
  header: Header,
  payload: Json | string | Buffer,
  key?: KeyObject | string,
): string {
  const body = Buffer.isBuffer(payload) ? payload.toString("base64url") : encode(payload);
  const input = `${encode(header)}.${body}`;
  return `${input}.${signatureOf(alg, input, key).toString("base64url")}`;
}

function signatureOf(alg: string, input: string, key?: KeyObject | string): Buffer {
  const bytes = Buffer.from(input);
  switch (alg) {
    case "HS256":
    case "HS384":
    case "HS512":
      return createHmac(alg.replace("HS", "sha"), (key as string | undefined) ?? SSO_SECRET)
        .update(bytes)
        .digest();
    case "ES256":
      return signBytes("sha256", bytes, {
        key: (key as KeyObject | undefined) ?? KEYS.ES256.privateKey,
        dsaEncoding: "ieee-p1363",
      });
    case "EdDSA":
      return signBytes(null, bytes, (key as KeyObject | undefined) ?? KEYS.EdDSA.privateKey);
    default:
      return signBytes("sha256", bytes, (key as KeyObject | undefined) ?? KEYS.RS256.privateKey);
  }
}

const headerOf = (alg: HubTokenAlgorithm): Json => (alg === "HS256" ? { alg } : { alg, kid: KID[alg] });
const tokenOf = (alg: HubTokenAlgorithm, claims: Json = good(), header: Header = headerOf(alg)) =>
  sign(alg, header, claims);

interface Bad {
  readonly what: string;
  readonly alg: HubTokenAlgorithm;
  readonly reason: Refusal;
  readonly make: () => string;
}
const BAD: Bad[] = [];
const bad = (alg: HubTokenAlgorithm, reason: Refusal, what: string, make: () => string) =>
  BAD.push({ what, alg, reason, make });

// --- claims: by both kinds of key in turn, so that neither way has a check the other lacks ---

const WRONG_TYPES: readonly (readonly [string, unknown])[] = [
  ["missing", undefined],
  ["null", null],
  ["a list", ["x-x-x-x-x-x"]],
  ["an object", { $ne: null }],
  ["true", true],
  ["an empty text", ""],
];
let turn = 0;
const nextAlg = (): HubTokenAlgorithm => (turn++ % 2 === 0 ? "HS256" : "ES256");
const badClaim = (claim: string, reason: Refusal, what: string, value: () => unknown) => {
  const alg = nextAlg();
  const make = () => tokenOf(alg, JSON.parse(JSON.stringify({ ...good(), [claim]: value() })) as Json);
  bad(alg, reason, `${claim} that is ${what}`, make);
};
for (const claim of ["iss", "iat", "jti", "hub_user_id", "email", "tenantId"]) {
  for (const [what, value] of WRONG_TYPES) badClaim(claim, "bad_token", what, () => value);
}
for (const [what, value] of WRONG_TYPES) badClaim("platform", "other_platform", what, () => value);
const MORE_CLAIMS: readonly (readonly [string, Refusal, string, () => unknown])[] = [
  ["iss", "bad_token", "another's", () => "the-other-hub"],
  ["iss", "bad_token", "in capitals", () => "The-One-Hub"],
  ["iss", "bad_token", "followed by a space", () => "the-one-hub "],
  ["iss", "bad_token", "an address of that name", () => "https://the-one-hub"],
  ["iat", "bad_token", "80 seconds ago", () => nowS() - 80],
  ["iat", "bad_token", "a year ago", () => nowS() - 31_536_000],
  ["iat", "bad_token", "20 seconds ahead", () => nowS() + 20],
  ["iat", "bad_token", "a year ahead", () => nowS() + 31_536_000],
  ["iat", "bad_token", "in milliseconds", () => Date.now()],
  ["iat", "bad_token", "negative", () => -1],
  ["iat", "bad_token", "zero", () => 0],
  ["iat", "bad_token", "a text of the right number", () => String(nowS())],
  ["iat", "bad_token", "beyond all numbers", () => 1e300],
  ["exp", "bad_token", "passed", () => nowS() - 20],
  ["exp", "bad_token", "a text", () => String(nowS() + 60)],
  ["exp", "bad_token", "null", () => null],
  ["exp", "bad_token", "zero", () => 0],
  ["nbf", "bad_token", "ahead", () => nowS() + 30],
  ["nbf", "bad_token", "a text", () => "0"],
  ["nbf", "bad_token", "null", () => null],
  ["jti", "bad_token", "a number", () => 12_345_678],
  ["jti", "bad_token", "seven characters", () => "1234567"],
  ["jti", "bad_token", "201 characters", () => "x".repeat(201)],
  ["platform", "other_platform", "another", () => "crawl"],
  ["platform", "other_platform", "in capitals", () => "MIGRATE"],
  ["platform", "other_platform", "followed by a space", () => "migrate "],
  ["platform", "other_platform", "with a NUL behind", () => "migrate\u0000"],
  ["platform", "other_platform", "a list with ours", () => ["migrate"]],
  ["entitlements", "no_entitlement", "without ours", () => ["crawl", "backup"]],
  ["entitlements", "no_entitlement", "empty", () => []],
  ["entitlements", "no_entitlement", "a text", () => "migrate"],
  ["entitlements", "no_entitlement", "null", () => null],
  ["entitlements", "no_entitlement", "an object", () => ({ migrate: true })],
  ["entitlements", "no_entitlement", "a list within a list", () => [["migrate"]]],
  ["entitlements", "no_entitlement", "ours in capitals", () => ["MIGRATE"]],
  ["entitlements", "no_entitlement", "false", () => false],
  ["aud", "bad_token", "another product's", () => "crawl"],
  ["aud", "bad_token", "a list without us", () => ["crawl", "backup"]],
  ["aud", "bad_token", "null", () => null],
  ["aud", "bad_token", "an object", () => ({ migrate: 1 })],
  ["hub_user_id", "bad_token", "a number", () => 7],
  ["hub_user_id", "bad_token", "501 characters", () => "x".repeat(501)],
  ["email", "bad_token", "without a host", () => "olivia"],
  ["email", "bad_token", "two addresses", () => "a@example.com,b@example.com"],
  ["email", "bad_token", "with a line end", () => "a@example.com\r\nBcc: b@example.com"],
  ["email", "bad_token", "with markup", () => "<script>@example.com"],
  ["email", "bad_token", "endless", () => `${"x".repeat(400)}@example.com`],
  ["name", "bad_token", "a number", () => 1],
  ["name", "bad_token", "201 characters", () => "x".repeat(201)],
  ["name", "bad_token", "an object", () => ({ toString: "x" })],
  ["orgRole", "bad_token", "a list", () => ["owner"]],
  ["orgRole", "bad_token", "null", () => null],
  ["orgRole", "bad_token", "an object", () => ({ role: "owner" })],
  ["tenantId", "bad_token", "a number", () => 1],
  ["tenantId", "bad_token", "501 characters", () => "x".repeat(501)],
  ["tenant_id", "bad_token", "another tenant than tenantId", () => "tenant-of-somebody-else"],
  ["tenant_id", "bad_token", "a list beside tenantId", () => ["x"]],
  ["tenantSlug", "bad_token", "a number", () => 3],
  ["tenantName", "bad_token", "an object", () => ({})],
  ["tenantName", "bad_token", "201 characters", () => "x".repeat(201)],
];
for (const [claim, reason, what, value] of MORE_CLAIMS) badClaim(claim, reason, what, value);

// --- payloads that are no set of claims, or say things twice ---

const payloadText = (change: (text: string) => string) => () => {
  const alg = "ES256";
  return sign(alg, headerOf(alg), change(JSON.stringify(good())));
};
for (const [what, text] of [
  ["a list", "[]"],
  ["a text", '"token"'],
  ["null", "null"],
  ["a number", "1"],
  ["an empty object", "{}"],
] as const) {
  bad(
    "ES256",
    what === "an empty object" ? "bad_token" : "malformed",
    `a payload of ${what}`,
    payloadText(() => text),
  );
}
bad(
  "ES256",
  "malformed",
  "a payload that is not JSON",
  payloadText((text) => text.slice(1)),
);
bad(
  "ES256",
  "malformed",
  "a payload with a comma behind the last claim",
  payloadText((text) => text.replace(/}$/, ",}")),
);
bad("HS256", "malformed", "a payload that is not UTF-8", () => {
  const bytes = Buffer.from(JSON.stringify(good()).replace("Olivia", "OliviX"));
  bytes[bytes.indexOf("X")] = 0xff;
  return sign(
    "HS256",
    { alg: "HS256" },
    Buffer.concat([bytes.subarray(0, 1), Buffer.from([0xff]), bytes.subarray(1)]),
  );
});
for (const [claim, value] of [
  ["iss", '"the-other-hub"'],
  ["platform", '"crawl"'],
  ["orgRole", '"viewer"'],
  ["tenantId", '"tenant-of-somebody-else"'],
  ["email", '"other@example.com"'],
  ["iat", "1"],
  ["jti", '"another-jti-here"'],
  ["entitlements", "[]"],
  ["org\\u0052ole", '"viewer"'],
] as const) {
  bad(
    "ES256",
    "bad_token",
    `${claim} stated twice`,
    payloadText((text) => text.replace("{", `{"${claim}":${value},`)),
  );
}
bad(
  "ES256",
  "bad_token",
  "a doubled key deep inside",
  payloadText((text) => text.replace("{", '{"more":[{"a":1,"a":2}],')),
);
bad("HS256", "malformed", "10,000 characters of filling", () =>
  tokenOf("HS256", { ...good(), pad: "x".repeat(10_000) }),
);
bad("HS256", "malformed", "a megabyte", () => tokenOf("HS256", { ...good(), pad: "x".repeat(200_000) }));

// --- headers ---

const STRANGER_JWK = STRANGER.ES256.publicKey.export({ format: "jwk" });
const EVIL = "https://evil.example/keys.json";
for (const [name, value] of [
  ["jwk", STRANGER_JWK],
  ["jku", EVIL],
  ["x5u", EVIL],
  ["x5c", ["MIIB"]],
  ["x5t", "AAAA"],
  ["x5t#S256", "AAAA"],
  ["crit", ["b64"]],
  ["crit", []],
  ["b64", false],
  ["zip", "DEF"],
  ["cty", "JWT"],
  ["enc", "A128GCM"],
  ["iss", "the-one-hub"],
] as const) {
  const extra = { ...headerOf("ES256"), [name]: value };
  // By the Hub's own key, so that nothing but the header is wrong.
  bad("ES256", "bad_token", `a header with ${name} ${JSON.stringify(value).slice(0, 20)}`, () =>
    tokenOf("ES256", good(), extra),
  );
}
bad("ES256", "bad_token", "the attacker's key in its header, signed by it", () =>
  sign("ES256", { alg: "ES256", jwk: STRANGER_JWK }, good(), STRANGER.ES256.privateKey),
);
bad("ES256", "bad_token", "an address of the attacker's keys, signed by them", () =>
  sign("ES256", { alg: "ES256", jku: EVIL, kid: "es" }, good(), STRANGER.ES256.privateKey),
);
for (const typ of ["at+jwt", "JOSE", "logout+jwt", "", "jwt "]) {
  bad("HS256", "bad_token", `typ "${typ}"`, () => tokenOf("HS256", good(), { alg: "HS256", typ }));
}
bad("HS256", "bad_token", "typ that is a list", () =>
  tokenOf("HS256", good(), { alg: "HS256", typ: ["JWT"] }),
);
bad("ES256", "bad_token", "a header that says alg twice", () =>
  tokenOf("ES256", good(), '{"alg":"none","kid":"es","alg":"ES256"}'),
);
bad("ES256", "bad_token", "a header that says kid twice", () =>
  tokenOf("ES256", good(), '{"alg":"ES256","kid":"other","kid":"es"}'),
);
for (const [what, header, reason] of [
  ["a header without alg", "{}", "bad_token"],
  ["a header that is a list", "[]", "bad_token"],
  ["a header of null", "null", "bad_token"],
  ["a header that is not JSON", "{", "malformed"],
  ["alg that is a number", '{"alg":256}', "bad_token"],
  ["alg that is a list", '{"alg":["HS256"]}', "bad_token"],
] as const) {
  bad("HS256", reason, what, () => tokenOf("HS256", good(), header));
}

// --- key ids ---

for (const kid of [
  "unknown",
  "ES",
  "es ",
  "rs",
  "ed",
  "oct",
  "private",
  "p384",
  "broken",
  "../../../../dev/null",
  "es' or '1'='1",
  "http://127.0.0.1/keys",
  "__proto__",
  "constructor",
  "0",
  "x".repeat(200),
]) {
  bad("ES256", "bad_token", `kid "${kid.slice(0, 30)}"`, () =>
    tokenOf("ES256", good(), { alg: "ES256", kid }),
  );
}
for (const kid of ["", "x".repeat(201), 1, null, ["es"], { kid: "es" }]) {
  bad("ES256", "bad_token", `kid ${JSON.stringify(kid).slice(0, 20)}`, () =>
    tokenOf("ES256", good(), { alg: "ES256", kid }),
  );
}
bad("ES256", "bad_token", "the kid of a private key that lies in the set, signed by it", () =>
  sign("ES256", { alg: "ES256", kid: "private" }, good(), STRANGER.ES256.privateKey),
);

// --- algorithms ---

for (const alg of ["none", "None", "NONE", "nOnE", "", "null"]) {
  bad(
    "HS256",
    "malformed",
    `alg "${alg}" without a signature`,
    () => `${encode({ alg })}.${encode(good())}.`,
  );
  // jose calls a header without an algorithm malformed.
  bad("ES256", alg === "" ? "malformed" : "bad_token", `alg "${alg}" with a signature`, () =>
    tokenOf("ES256", good(), { alg, kid: "es" }),
  );
}
for (const alg of ["HS384", "HS512"]) {
  bad("HS256", "bad_token", `${alg} by the right secret`, () => sign(alg, { alg }, good()));
}
for (const alg of ["hs256", "HS256 ", "RS256", "PS256", "ES256K", "ES384", "EdDSA", "dir", "A256KW"]) {
  bad("HS256", "bad_token", `alg "${alg}" over our secret`, () => tokenOf("HS256", good(), { alg }));
}
/** Everything an attacker might take the public key for, as the secret of an HMAC. */
const asSecrets = (key: KeyObject): [string, string][] => [
  ["in PEM (SPKI)", key.export({ format: "pem", type: "spki" }).toString()],
  ["in PEM without its line end", key.export({ format: "pem", type: "spki" }).toString().trimEnd()],
  ["in DER", key.export({ format: "der", type: "spki" }).toString("latin1")],
  ["as JWK", JSON.stringify(key.export({ format: "jwk" }))],
];
for (const alg of ["RS256", "ES256", "EdDSA"] as const) {
  for (const [form, secret] of asSecrets(KEYS[alg].publicKey)) {
    for (const kid of [undefined, KID[alg]]) {
      const header = kid === undefined ? { alg: "HS256" } : { alg: "HS256", kid };
      bad(alg, "bad_token", `HS256 by the ${alg} key ${form}${kid === undefined ? "" : ", naming it"}`, () =>
        sign("HS256", header, good(), secret),
      );
    }
  }
  bad(alg, "bad_token", "HS256 by the secret that is configured besides", () => tokenOf("HS256"));
  bad(alg, "bad_token", "HS256 by an empty secret", () =>
    sign("HS256", { alg: "HS256", kid: KID[alg] }, good(), ""),
  );
  for (const other of ["RS256", "ES256", "EdDSA"] as const) {
    if (other === alg) continue;
    bad(alg, "bad_token", `${other} by the Hub's own other key`, () => tokenOf(other));
    bad(alg, "bad_token", `${other}'s key under the name ${alg}`, () =>
      sign(other, { alg, kid: KID[other] }, good()),
    );
  }
  bad(alg, "bad_token", "a stranger's key", () => sign(alg, headerOf(alg), good(), STRANGER[alg].privateKey));
  bad(alg, "bad_token", "no kid among several keys, by a stranger's", () =>
    sign(alg, { alg }, good(), STRANGER[alg].privateKey),
  );
}
bad("HS256", "bad_token", "ES256 where a secret is configured", () => tokenOf("ES256"));
bad("HS256", "bad_token", "RS256 where a secret is configured", () => tokenOf("RS256"));
bad("HS256", "bad_token", "another secret", () => sign("HS256", { alg: "HS256" }, good(), `${SSO_SECRET}x`));
bad("HS256", "bad_token", "an empty secret", () => sign("HS256", { alg: "HS256" }, good(), ""));

// --- signatures and shapes ---

const parts = (token: string) => token.split(".") as [string, string, string];
const withSignature = (alg: HubTokenAlgorithm, change: (signature: Buffer) => Buffer) => () => {
  const [header, payload, signature] = parts(tokenOf(alg));
  return `${header}.${payload}.${change(Buffer.from(signature, "base64url")).toString("base64url")}`;
};
const flipped = (bytes: Buffer) => {
  bytes.writeUInt8(bytes.readUInt8(5) ^ 1, 5);
  return bytes;
};
for (const alg of ["HS256", "ES256", "EdDSA", "RS256"] as const) {
  bad(alg, "bad_token", "a flipped bit in its signature", withSignature(alg, flipped));
  bad(
    alg,
    "bad_token",
    "half its signature",
    withSignature(alg, (bytes) => bytes.subarray(0, bytes.length / 2)),
  );
  bad(
    alg,
    "bad_token",
    "a signature of zeros",
    withSignature(alg, (bytes) => Buffer.alloc(bytes.length)),
  );
  bad(
    alg,
    "bad_token",
    "its signature twice",
    withSignature(alg, (bytes) => Buffer.concat([bytes, bytes])),
  );
  bad(alg, "bad_token", "another token's signature", () => {
    const [header, payload] = parts(tokenOf(alg));
    return `${header}.${payload}.${parts(tokenOf(alg))[2]}`;
  });
}
bad("ES256", "bad_token", "a signature in DER", () => {
  const input = `${encode(headerOf("ES256"))}.${encode(good())}`;
  return `${input}.${signBytes("sha256", Buffer.from(input), KEYS.ES256.privateKey).toString("base64url")}`;
});
for (const [what, change] of [
  ["nothing", () => ""],
  ["a word", () => "token"],
  ["three dots", () => "..."],
  ["two parts", (token) => parts(token).slice(0, 2).join(".")],
  ["four parts", (token) => `${token}.x`],
  ["five parts, as encrypted ones have", (token) => `${token}.x.y`],
  ["no signature", (token) => `${parts(token).slice(0, 2).join(".")}.`],
  ["no header", (token) => `.${parts(token).slice(1).join(".")}`],
  ["a space in front", (token) => ` ${token}`],
  ["a line end behind", (token) => `${token}\n`],
  ["a NUL behind", (token) => `${token}\u0000`],
  ["base64 with padding", (token) => `${token}==`],
  ["base64 that is not url-safe", (token) => token.replace(".", "+.")],
  ["letters that only look like ours", (token) => token.replace("e", "е")],
  ["Bearer in front", (token) => `Bearer ${token}`],
  ["itself as JSON", (token) => JSON.stringify({ token })],
  ["itself within itself", (token) => `${encode({ alg: "HS256", cty: "JWT" })}.${encode(token)}.x.${token}`],
] as readonly (readonly [string, (token: string) => string])[]) {
  bad("HS256", "malformed", what, () => change(tokenOf("HS256")));
}

// --- the world: a Hub that hands out its keys ---

let hub: Server;
let keySetUrl: string;
let asked = 0;
let signsES256: Awaited<ReturnType<typeof startControlPlane>>;
let answer: { status: number; headers?: Record<string, string>; body: string };
const healthy = { status: 200, body: JSON.stringify(KEY_SET) };

beforeAll(async () => {
  answer = healthy;
  hub = createServer((_request, response) => {
    asked++;
    response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
    response.end(answer.body);
  });
  await new Promise<void>((done) => hub.listen(0, "127.0.0.1", done));
  keySetUrl = `http://127.0.0.1:${(hub.address() as AddressInfo).port}/keys`;
  signsES256 = await startControlPlane({
    secrets: {
      PORTAL_SSO_SECRET: SSO_SECRET,
      HUB_TOKEN_ALGORITHM: "ES256",
      HUB_JWKS_URL: keySetUrl,
      SECRETS_KEYS: "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
      CODE_PEPPER: "tokens-code-pepper-0123456789-0123456789",
    },
  });
});
afterAll(async () => {
  await signsES256.close();
  await new Promise((done) => hub.close(done));
});

const kept = new Map<string, HubKeySet>();
const keySetAt = (url: string) => {
  const known = kept.get(url) ?? new HubKeySet(url, { fetch, now: () => Date.now() });
  kept.set(url, known);
  return known;
};
const trustIn = (algorithm: HubTokenAlgorithm): HubTrust => {
  const settings = {
    ENVIRONMENT: "development",
    HUB_TOKEN_ALGORITHM: algorithm,
    HUB_JWKS_URL: keySetUrl,
    PORTAL_SSO_SECRET: SSO_SECRET,
  };
  return hubTrust(settings, keySetAt) as HubTrust;
};

async function reasonOf(token: string, trust: HubTrust | null): Promise<Refusal | null> {
  try {
    await verifyHubToken(token, trust, Date.now());
    return null;
  } catch (error) {
    if (error instanceof TokenRefused) return error.reason;
    throw error;
  }
}

const withoutNonce = (text: string) => text.replaceAll(/nonce="[^"]+"/g, "");

describe("bad tokens", () => {
  test("[S1] there are at least 150 of them, each another one", () => {
    expect(new Set(BAD.map(({ alg, what }) => `${alg} ${what}`)).size).toBe(BAD.length);
    expect(BAD.length).toBeGreaterThanOrEqual(150);
  });

  test.each(BAD)("[S1] $alg: $what is refused as $reason", async ({ alg, reason, make }) => {
    expect(await reasonOf(make(), trustIn(alg))).toBe(reason);
  });

  test("[S2] all of them get one and the same page, with the status of their reason, and no session", async () => {
    const secretPlane = await controlPlane();
    const pages = new Set<string>();
    const wrong: string[] = [];
    for (const { what, alg, reason, make } of BAD.filter(
      (one) => one.alg === "HS256" || one.alg === "ES256",
    )) {
      const origin = alg === "HS256" ? secretPlane.origin : signsES256.origin;
      const body = new URLSearchParams({ token: make() });
      const browser = new Browser(origin);
      const response = await browser.fetch("/sso", { method: "POST", body });
      const text = await response.text();
      // A body beyond the limit of all requests does not get as far as the page.
      if (response.headers.get("content-type")?.startsWith("application/json") === true) continue;
      pages.add(withoutNonce(text));
      if (response.status !== REFUSAL_STATUS[reason])
        wrong.push(`${alg} ${what}: ${response.status}, not for ${reason}`);
      if (browser.cookies.has("__Host-mig_s")) wrong.push(`${alg} ${what}: a session`);
    }
    expect(wrong).toEqual([]);
    expect(pages.size).toBe(1);
  });
});

describe("good tokens", () => {
  test.each(["HS256", "ES256", "EdDSA", "RS256"] as const)(
    "[S1] %s: one that is right is accepted",
    async (alg) => {
      expect(await reasonOf(tokenOf(alg), trustIn(alg))).toBeNull();
      const more = { ...good(), aud: "migrate", exp: nowS() + 60, nbf: nowS() };
      expect(await reasonOf(tokenOf(alg, more, { ...headerOf(alg), typ: "JWT" }), trustIn(alg))).toBeNull();
    },
  );

  test("[S1] the real Worker signs in by a key set, and by that algorithm alone", async () => {
    const attempt = async (token: string) => {
      const browser = new Browser(signsES256.origin);
      await browser.fetch("/sso/start");
      return (await browser.fetch(`/sso?token=${token}`)).status;
    };
    expect(await attempt(tokenOf("ES256"))).toBe(303);
    expect(await attempt(tokenOf("HS256"))).toBe(401);
    expect(await attempt(tokenOf("RS256"))).toBe(401);
    expect((await new Browser(signsES256.origin).fetch("/api/health")).status).toBe(200);
  });
});

describe("the key set", () => {
  let nowMs = 1_000_000_000_000;
  const fetched = (keys: unknown, status = 200, headers: Record<string, string> = {}) => {
    let count = 0;
    const set = new HubKeySet("https://hub.example/keys", {
      now: () => nowMs,
      fetch: async () => {
        count++;
        const body = typeof keys === "function" ? ((keys as () => unknown)() as object) : keys;
        return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
      },
    });
    return { set, trust: { kind: "key_set", algorithm: "ES256", keys: set } as HubTrust, count: () => count };
  };

  test("[S8] it is fetched once for many tokens, again after ten minutes, and for an unknown kid at most once a minute", async () => {
    const { trust, count } = fetched(KEY_SET);
    await Promise.all(Array.from({ length: 20 }, () => reasonOf(tokenOf("ES256"), trust)));
    expect(count()).toBe(1);
    const unknown = () => tokenOf("ES256", good(), { alg: "ES256", kid: `new-${unique()}` });
    for (let times = 0; times < 20; times++) expect(await reasonOf(unknown(), trust)).toBe("bad_token");
    expect(count()).toBe(1);
    nowMs += 60_001;
    for (let times = 0; times < 20; times++) await reasonOf(unknown(), trust);
    expect(count()).toBe(2);
    nowMs += 600_001;
    expect(await reasonOf(tokenOf("ES256"), trust)).toBeNull();
    expect(count()).toBe(3);
  });

  test("[S8] a key the Hub has begun to use is known within a minute, one it gave up within ten", async () => {
    let keys = { keys: [jwkOf("ES256", "old")] };
    const { trust } = fetched(() => keys);
    const by = (kid: string) => tokenOf("ES256", good(), { alg: "ES256", kid });
    expect(await reasonOf(by("old"), trust)).toBeNull();
    keys = { keys: [jwkOf("ES256", "new")] };
    nowMs += 60_001;
    expect(await reasonOf(by("new"), trust)).toBeNull();
    expect(await reasonOf(by("old"), trust)).toBe("bad_token");
  });

  test("[S8] while the Hub is away its keys serve on for an hour, then nobody is let in", async () => {
    let isAway = false;
    const { trust } = fetched(() => {
      if (isAway) throw new Error("away");
      return KEY_SET;
    });
    expect(await reasonOf(tokenOf("ES256"), trust)).toBeNull();
    isAway = true;
    nowMs += 59 * 60_000;
    expect(await reasonOf(tokenOf("ES256"), trust)).toBeNull();
    nowMs += 2 * 60_000;
    expect(await reasonOf(tokenOf("ES256"), trust)).toBe("not_configured");
  });

  test.each<[string, unknown, number?, Record<string, string>?]>([
    ["an error", { error: "x" }, 500],
    ["a redirect", "", 302, { location: "https://evil.example/keys" }],
    ["no JSON", "keys"],
    ["a list", []],
    ["no keys", {}],
    ["more than twenty keys", { keys: Array.from({ length: 21 }, () => jwkOf("ES256", "es")) }],
    ["more than 64 KiB", { keys: [jwkOf("ES256", "es")], pad: "x".repeat(70_000) }],
  ])("[S8] an answer that is %s is none", async (_what, body, status, headers) => {
    const { trust } = fetched(body, status ?? 200, headers);
    expect(await reasonOf(tokenOf("ES256"), trust)).toBe("not_configured");
  });

  test("[S8] it is fetched by https only; in development from this machine, too", () => {
    const settings = (HUB_JWKS_URL: string, ENVIRONMENT: string) => ({
      ENVIRONMENT,
      HUB_JWKS_URL,
      HUB_TOKEN_ALGORITHM: "ES256",
    });
    const cases: [string, string, boolean][] = [
      ["https://my.theonestack.com/.well-known/jwks.json", "production", true],
      ["http://my.theonestack.com/keys", "production", false],
      ["http://127.0.0.1:99/keys", "production", false],
      ["http://127.0.0.1:99/keys", "development", true],
      ["http://[::1]:99/keys", "development", true],
      ["http://127.0.0.1.evil.example/keys", "development", false],
      ["http://my.theonestack.com/keys", "development", false],
      ["https://user:password@hub.example/keys", "production", false],
      ["file:///keys.json", "development", false],
      ["data:application/json,{}", "development", false],
      ["", "production", false],
      ["keys", "production", false],
    ];
    for (const [url, environment, isFine] of cases) {
      expect([url, hubTrust(settings(url, environment), keySetAt) !== null]).toEqual([url, isFine]);
      expect(hubTrustFaults(settings(url, environment)).length).toBe(isFine ? 0 : 1);
    }
  });

  test("[S8] only the four algorithms can be configured, and each needs its own key", () => {
    for (const HUB_TOKEN_ALGORITHM of ["none", "HS512", "hs256", "", "PS256", "ES384"]) {
      const settings = { ENVIRONMENT: "production", HUB_TOKEN_ALGORITHM, PORTAL_SSO_SECRET: SSO_SECRET };
      expect(hubTrust(settings, keySetAt)).toBeNull();
      expect(hubTrustFaults(settings)).toHaveLength(1);
    }
    const key = { ENVIRONMENT: "production", HUB_TOKEN_ALGORITHM: "RS256", PORTAL_SSO_SECRET: SSO_SECRET };
    expect(hubTrust(key, keySetAt)).toBeNull();
    const secret = { ENVIRONMENT: "production", HUB_JWKS_URL: "https://hub.example/keys" };
    expect(hubTrust(secret, keySetAt)).toBeNull();
  });

  test("[S8] the real Worker asks the Hub once for all the bad tokens of this file", () => {
    // One set in the Worker, one here per isolate; kids nobody knows add one a minute.
    expect(asked).toBeLessThan(10);
  });
});

describe("where a sign-in leads", () => {
  test("[S9] nothing that is sent along decides where the browser goes", async () => {
    const { origin } = await controlPlane();
    const names = ["next", "redirect", "redirect_uri", "return", "returnTo", "url", "continue", "target"];
    expect(new Set(HOSTILE_TARGETS).size).toBeGreaterThanOrEqual(60);
    for (const target of HOSTILE_TARGETS) {
      const query = new URLSearchParams(names.map((one) => [one, target]));
      const browser = new Browser(origin);
      const begun = await browser.fetch(`/sso/start?${query}`, { headers: { referer: encodeURI(target) } });
      expect(begun.headers.get("location"), target).toBe("/dev/hub");
      query.set("token", tokenOf("HS256"));
      const signed = await browser.fetch(`/sso?${query}`);
      expect([signed.status, signed.headers.get("location")]).toEqual([303, "/"]);
      const asks = await new Browser(origin).fetch(`/sso?${query}`);
      expect(await asks.text()).not.toContain("evil.example");
    }
  });
});
