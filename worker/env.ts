/** What the deployment hands to the Worker: bindings, variables of `wrangler.toml`, and secrets. */
import type { AgentObject } from "../durable-objects/agent-object.ts";
import type { Claims } from "../durable-objects/claims.ts";
import type { CronRecord } from "../durable-objects/cron-record.ts";
import type { Limits } from "../durable-objects/limits.ts";
import type { OrganizationFeed } from "../durable-objects/organization-feed.ts";
import { hubTrustFaults } from "./auth/hub-trust.ts";
import { outboxFaults, type OutboxVariables } from "./outbox/settings.ts";
import { isKeyRing, KEY_RING_FORM } from "./secrets.ts";

/** Who is told of what happens, and how: {@link OutboxVariables}. */
export interface Env extends OutboxVariables {
  readonly DB: D1Database;
  readonly AGENT: DurableObjectNamespace<AgentObject>;
  readonly FEED: DurableObjectNamespace<OrganizationFeed>;
  readonly CRON: DurableObjectNamespace<CronRecord>;
  readonly LIMITS: DurableObjectNamespace<Limits>;
  readonly CLAIMS: DurableObjectNamespace<Claims>;
  readonly ASSETS: Fetcher;
  /** Lists of every file of a run. */
  readonly MANIFESTS: R2Bucket;
  /** What agents are updated to. */
  readonly RELEASES: R2Bucket;

  /** `production` or `development`. */
  readonly ENVIRONMENT: string;
  /** Where people sign in and launch products. */
  readonly HUB_URL: string;

  /** Shared with the Hub, at least 32 characters. Unset: sign-in answers 503. */
  readonly PORTAL_SSO_SECRET?: string;
  /** The one algorithm Hub tokens are believed by: HS256 (with the secret) unless said; ES256, EdDSA, RS256 (with the key set). */
  readonly HUB_TOKEN_ALGORITHM?: string;
  /** The https address of the Hub's key set. */
  readonly HUB_JWKS_URL?: string;
  /** Key ring `kid:base64` (32 bytes each), separated by commas; the first one seals, all open. */
  readonly SECRETS_KEYS?: string;
  /** Keys the hash of registration codes. */
  readonly CODE_PEPPER?: string;
  /** The application registered with Microsoft Entra ID. Unset: connecting Azure by signing in answers 503. */
  readonly AZURE_CLIENT_ID?: string;
  readonly AZURE_CLIENT_SECRET?: string;
  /** Other hosts than Microsoft's, for emulators; ignored, and reported by `/api/health`, in production. */
  readonly AZURE_AUTHORITY_URL?: string;
  readonly AZURE_MANAGEMENT_URL?: string;
  /** With `{account}` where the storage account's name stands. */
  readonly AZURE_BLOB_URL?: string;
  /** Requests a session may make within a minute; 600 unless said. */
  readonly SESSION_REQUESTS_PER_MINUTE?: string;
  /** How often the session behind a live socket is looked at; 55 unless said. */
  readonly LIVE_CHECK_SECONDS?: string;
  /** Opens the development Hub; ignored, and reported by `/api/health`, in production. */
  readonly DEV_HUB_SECRET?: string;
}

const SECRET_LENGTH_MIN = 32;

/** What is missing or wrong in the deployment, as sentences for the operator. Never the values. */
export function misconfigurations(env: Env): string[] {
  const wrong: string[] = [];
  if (!["production", "development"].includes(env.ENVIRONMENT)) {
    wrong.push('ENVIRONMENT must be "production" or "development"');
  }
  wrong.push(...hubTrustFaults(env));
  if ((env.CODE_PEPPER ?? "").length < SECRET_LENGTH_MIN) {
    wrong.push(`CODE_PEPPER must be set to a secret of at least ${SECRET_LENGTH_MIN} characters`);
  }
  if (!isKeyRing(env.SECRETS_KEYS)) wrong.push(`SECRETS_KEYS must be ${KEY_RING_FORM}`);
  if (env.ENVIRONMENT === "production" && env.DEV_HUB_SECRET !== undefined) {
    wrong.push("DEV_HUB_SECRET must not be set in production; it is ignored");
  }
  wrong.push(...outboxFaults(env));
  if ((env.AZURE_CLIENT_ID === undefined) !== (env.AZURE_CLIENT_SECRET === undefined)) {
    wrong.push("AZURE_CLIENT_ID and AZURE_CLIENT_SECRET must be set together");
  }
  for (const name of ["AZURE_AUTHORITY_URL", "AZURE_MANAGEMENT_URL", "AZURE_BLOB_URL"] as const) {
    if (env.ENVIRONMENT === "production" && env[name] !== undefined) {
      wrong.push(`${name} must not be set in production; it is ignored`);
    }
  }
  return wrong;
}

/** The development Hub's secret, or null where there must be none. */
export function developmentSecret(env: Env): string | null {
  if (env.ENVIRONMENT !== "development") return null;
  const secret = env.DEV_HUB_SECRET ?? "";
  return secret.length >= SECRET_LENGTH_MIN ? secret : null;
}
