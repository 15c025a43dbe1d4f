/**
 * By what a Hub token is believed: the secret shared with the Hub, or the Hub's key set. Which of the two, and with which
 * one algorithm, is the deployment's decision; a token has no say in it.
 */
import { createLocalJWKSet, type JWK, type JWTVerifyGetKey } from "jose";
import * as z from "zod";

export const HUB_TOKEN_ALGORITHMS = ["HS256", "ES256", "EdDSA", "RS256"] as const;
export type HubTokenAlgorithm = (typeof HUB_TOKEN_ALGORITHMS)[number];

export type HubTrust =
  | { readonly kind: "secret"; readonly algorithm: "HS256"; readonly secret: Uint8Array }
  | {
      readonly kind: "key_set";
      readonly algorithm: Exclude<HubTokenAlgorithm, "HS256">;
      readonly keys: HubKeySet;
    };

/** What the deployment says of it. */
export interface HubTrustSettings {
  readonly ENVIRONMENT: string;
  readonly HUB_TOKEN_ALGORITHM?: string;
  readonly HUB_JWKS_URL?: string;
  readonly PORTAL_SSO_SECRET?: string;
}

const SECRET_LENGTH_MIN = 32;

/** Null where the settings are not enough to believe any token. */
export function hubTrust(settings: HubTrustSettings, keySetAt: (url: string) => HubKeySet): HubTrust | null {
  const algorithm = HUB_TOKEN_ALGORITHMS.find((one) => one === (settings.HUB_TOKEN_ALGORITHM ?? "HS256"));
  if (algorithm === undefined) return null;
  if (algorithm === "HS256") {
    const secret = settings.PORTAL_SSO_SECRET ?? "";
    if (secret.length < SECRET_LENGTH_MIN) return null;
    return { kind: "secret", algorithm, secret: new TextEncoder().encode(secret) };
  }
  const url = settings.HUB_JWKS_URL;
  if (!isKeySetAddress(url, settings.ENVIRONMENT)) return null;
  return { kind: "key_set", algorithm, keys: keySetAt(url) };
}

/** What is missing or wrong in the settings, as sentences for the operator. */
export function hubTrustFaults(settings: HubTrustSettings): string[] {
  const algorithm = settings.HUB_TOKEN_ALGORITHM ?? "HS256";
  if (!HUB_TOKEN_ALGORITHMS.some((one) => one === algorithm))
    return [`HUB_TOKEN_ALGORITHM must be one of ${HUB_TOKEN_ALGORITHMS.join(", ")}`];
  if (algorithm === "HS256") {
    if ((settings.PORTAL_SSO_SECRET ?? "").length >= SECRET_LENGTH_MIN) return [];
    return [`PORTAL_SSO_SECRET must be set to a secret of at least ${SECRET_LENGTH_MIN} characters`];
  }
  if (isKeySetAddress(settings.HUB_JWKS_URL, settings.ENVIRONMENT)) return [];
  return [
    `HUB_JWKS_URL must be the https address of the Hub's key set, because HUB_TOKEN_ALGORITHM is ${algorithm}`,
  ];
}

/** https, without a name and password; on a developer's machine also http to that machine. */
function isKeySetAddress(text: string | undefined, environment: string): text is string {
  const url = URL.parse(text ?? "");
  if (url === null || url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return (
    environment === "development" &&
    url.protocol === "http:" &&
    ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname)
  );
}

const FRESH_MS = 10 * 60_000;
/** While the Hub is away, its keys are believed this long. */
const STALE_MS_MAX = 3_600_000;
const REFETCH_MS_MIN = 60_000;
const FETCH_LIMIT_MS = 5_000;
const KEY_SET_BYTES_MAX = 64 * 1_024;
const KEYS_MAX = 20;
/** Key sets kept at once; a deployment has one. */
const KEY_SETS_MAX = 4;

/** A public key, and nothing that could be taken for a secret or a private one. */
const publicKey = z
  .looseObject({ kty: z.enum(["EC", "OKP", "RSA"]), kid: z.string().min(1).max(200).optional() })
  .refine((key) => ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].every((part) => !(part in key)));
const keySetBody = z.object({ keys: z.array(z.unknown()).max(KEYS_MAX) });

export class KeySetAway extends Error {
  override readonly name = "KeySetAway";
}

export interface HubKeySetWorld {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly now: () => number;
}

interface KeptKeys {
  readonly resolve: JWTVerifyGetKey;
  readonly kids: ReadonlySet<string>;
  readonly fetchedAtMs: number;
}

/** The Hub's keys, kept in memory: fetched when they are ten minutes old or a token names another, at most once a minute. */
export class HubKeySet {
  readonly #url: string;
  readonly #world: HubKeySetWorld;
  #kept: KeptKeys | null = null;
  #triedAtMs = -Infinity;
  #fetching: Promise<void> | null = null;

  constructor(url: string, world: HubKeySetWorld) {
    this.#url = url;
    this.#world = world;
  }

  /** For jose: the key a token's header names. Throws {@link KeySetAway} when no keys can be had. */
  readonly keyFor: JWTVerifyGetKey = async (header, token) => {
    const { kid } = header;
    const isKnown = kid === undefined || this.#kept?.kids.has(kid) === true;
    if (!isKnown || this.#ageMs() >= FRESH_MS) await this.#refetch();
    if (this.#kept === null || this.#ageMs() >= STALE_MS_MAX)
      throw new KeySetAway("Cannot check the token: the Hub's key set cannot be had");
    return await this.#kept.resolve(header, token);
  };

  #ageMs(): number {
    return this.#kept === null ? Infinity : this.#world.now() - this.#kept.fetchedAtMs;
  }

  /** Whoever comes while it is under way waits for the same answer. A failure leaves what is kept as it is. */
  async #refetch(): Promise<void> {
    const now = this.#world.now();
    if (this.#fetching === null && now - this.#triedAtMs < REFETCH_MS_MIN) return;
    if (this.#fetching === null) {
      this.#triedAtMs = now;
      this.#fetching = this.#fetchOnce(now).finally(() => (this.#fetching = null));
    }
    await this.#fetching;
  }

  async #fetchOnce(now: number): Promise<void> {
    try {
      const keys = await this.#fetchKeys();
      const kids = new Set(keys.flatMap((key) => (key.kid === undefined ? [] : [key.kid])));
      this.#kept = { resolve: createLocalJWKSet({ keys }), kids, fetchedAtMs: now };
    } catch (error) {
      console.error(JSON.stringify({ event: "key_set_failed", reason: String(error) }));
    }
  }

  async #fetchKeys(): Promise<JWK[]> {
    const response = await this.#world.fetch(this.#url, {
      headers: { accept: "application/json" },
      // An answer that leads elsewhere is not the Hub's word.
      redirect: "manual",
      signal: AbortSignal.timeout(FETCH_LIMIT_MS),
    });
    if (response.status !== 200) throw new Error(`Cannot fetch the key set: answered ${response.status}`);
    const { keys } = keySetBody.parse(JSON.parse(await readLimited(response)));
    return keys.filter((key): key is JWK => publicKey.safeParse(key).success);
  }
}

async function readLimited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.length;
    if (sizeBytes > KEY_SET_BYTES_MAX) throw new Error("Cannot read the key set: it is too large");
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return new TextDecoder().decode(bytes);
}

const keySets = new Map<string, HubKeySet>();

/** The key set of an address, one for all requests of this isolate. */
export function sharedKeySet(url: string): HubKeySet {
  const known = keySets.get(url);
  if (known !== undefined) return known;
  const oldest = keySets.keys().next().value;
  if (keySets.size >= KEY_SETS_MAX && oldest !== undefined) keySets.delete(oldest);
  const made = new HubKeySet(url, { fetch: (address, init) => fetch(address, init), now: () => Date.now() });
  keySets.set(url, made);
  return made;
}
