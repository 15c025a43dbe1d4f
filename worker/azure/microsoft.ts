/**
 * Where Microsoft's services are, who we are to them, and the one way to ask them: each try and the whole have a limit,
 * what was throttled or broke is tried again a few times, no redirect is followed, only so much of an answer is read.
 */
import type { Env } from "../env.ts";
import { Problem } from "../problems.ts";

export interface Microsoft {
  /** Microsoft Entra ID, without a slash at its end. */
  readonly authorityUrl: string;
  /** Azure Resource Manager, without a slash at its end. */
  readonly managementUrl: string;
  /** An account's Blob service, with `{account}` where its name stands; without a slash at its end. */
  readonly blobUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

const PRODUCTION = {
  authorityUrl: "https://login.microsoftonline.com",
  managementUrl: "https://management.azure.com",
  blobUrl: "https://{account}.blob.core.windows.net",
} as const;

/** Throws when the deployment has no application registered with Microsoft. Other hosts hold in development only. */
export function microsoftOf(env: Env): Microsoft {
  const { AZURE_CLIENT_ID: clientId, AZURE_CLIENT_SECRET: clientSecret } = env;
  if (clientId === undefined || clientSecret === undefined) {
    throw new Problem(
      "NOT_CONFIGURED",
      "Signing in with Microsoft is not set up on this server; connect with a connection string or a SAS",
    );
  }
  const identity = { clientId, clientSecret };
  if (env.ENVIRONMENT !== "development") return { ...PRODUCTION, ...identity };
  return {
    authorityUrl: env.AZURE_AUTHORITY_URL ?? PRODUCTION.authorityUrl,
    managementUrl: env.AZURE_MANAGEMENT_URL ?? PRODUCTION.managementUrl,
    blobUrl: env.AZURE_BLOB_URL ?? PRODUCTION.blobUrl,
    ...identity,
  };
}

export function blobEndpointOf({ blobUrl }: Microsoft, account: string): string {
  return blobUrl.replace("{account}", account);
}

/** Microsoft could not be reached, or was busy until our patience ended. */
export class MicrosoftUnreachable extends Error {
  override readonly name = "MicrosoftUnreachable";
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

const TRIES_MAX = 3;
const TRY_LIMIT_MS = 10_000;
const DELAY_MS_BASE = 250;
/** Somebody waits for the answer: a service that wants more quiet than this is as good as away. */
const DELAY_MS_MAX = 3_000;
const ANSWER_CHARACTERS_MAX = 1024 * 1024;

export async function askMicrosoft(url: string, init: RequestInit): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    const outcome = await tryOnce(url, init);
    if (outcome.kind === "answer") return outcome.answer;
    // Full jitter, so that requests that were throttled together do not come back together.
    const delayMs = outcome.afterMs ?? Math.random() * DELAY_MS_BASE * 2 ** tries;
    if (tries === TRIES_MAX || delayMs > DELAY_MS_MAX) {
      throw new MicrosoftUnreachable(
        `Cannot reach ${new URL(url).host}: ${outcome.reason}`,
        outcome.cause === undefined ? undefined : { cause: outcome.cause },
      );
    }
    await new Promise((done) => setTimeout(done, delayMs));
  }
}

type Outcome =
  | { readonly kind: "answer"; readonly answer: Answer }
  | {
      readonly kind: "again";
      readonly reason: string;
      readonly afterMs: number | null;
      readonly cause?: unknown;
    };

async function tryOnce(url: string, init: RequestInit): Promise<Outcome> {
  try {
    const response = await fetch(url, {
      ...init,
      // A redirect would carry secrets elsewhere.
      redirect: "manual",
      signal: AbortSignal.timeout(TRY_LIMIT_MS),
    });
    const text = await readText(response);
    const { status } = response;
    if (status !== 429 && status < 500) return { kind: "answer", answer: { status, text } };
    return { kind: "again", reason: `status ${status}`, afterMs: retryAfterMs(response.headers) };
  } catch (cause) {
    return { kind: "again", reason: "no answer", afterMs: null, cause };
  }
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMs(headers: Headers): number | null {
  const text = headers.get("retry-after");
  if (text === null) return null;
  if (/^\d+$/.test(text.trim())) return Number(text) * 1_000;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - Date.now());
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (text.length > ANSWER_CHARACTERS_MAX) throw new Error("The answer is too long");
  }
  return text;
}
