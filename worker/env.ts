/** What the deployment hands to the Worker: bindings, variables of `wrangler.toml`, and secrets. */
import type { AgentObject } from "../durable-objects/agent-object.ts";
import type { OrganizationFeed } from "../durable-objects/organization-feed.ts";
import { isKeyRing, KEY_RING_FORM } from "./secrets.ts";

export interface Env {
  readonly DB: D1Database;
  readonly AGENT: DurableObjectNamespace<AgentObject>;
  readonly FEED: DurableObjectNamespace<OrganizationFeed>;
  readonly ASSETS: Fetcher;

  /** `production` or `development`. */
  readonly ENVIRONMENT: string;
  /** Where people sign in and launch products. */
  readonly HUB_URL: string;

  /** Shared with the Hub, at least 32 characters. Unset: sign-in answers 503. */
  readonly PORTAL_SSO_SECRET?: string;
  /** Key ring `kid:base64` (32 bytes each), separated by commas; the first one seals, all open. */
  readonly SECRETS_KEYS?: string;
  /** Keys the hash of registration codes. */
  readonly CODE_PEPPER?: string;
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
  for (const name of ["PORTAL_SSO_SECRET", "CODE_PEPPER"] as const) {
    if ((env[name] ?? "").length < SECRET_LENGTH_MIN) {
      wrong.push(`${name} must be set to a secret of at least ${SECRET_LENGTH_MIN} characters`);
    }
  }
  if (!isKeyRing(env.SECRETS_KEYS)) wrong.push(`SECRETS_KEYS must be ${KEY_RING_FORM}`);
  if (env.ENVIRONMENT === "production" && env.DEV_HUB_SECRET !== undefined) {
    wrong.push("DEV_HUB_SECRET must not be set in production; it is ignored");
  }
  return wrong;
}

/** The development Hub's secret, or null where there must be none. */
export function developmentSecret(env: Env): string | null {
  if (env.ENVIRONMENT !== "development") return null;
  const secret = env.DEV_HUB_SECRET ?? "";
  return secret.length >= SECRET_LENGTH_MIN ? secret : null;
}
