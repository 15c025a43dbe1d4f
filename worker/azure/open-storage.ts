/**
 * A storage connection ready for use, of whatever kind. Of one that works with a Microsoft sign-in the access token is
 * refreshed before it ends, and the connection is marked when Microsoft wants the person again.
 */
import type { ScopedDb } from "../../schema/scoped-db.ts";
import { openConnection, type OpenedConnection } from "../db/connections.ts";
import { keepRefreshed, refuseConnection } from "../db/oauth-connections.ts";
import type { Env } from "../env.ts";
import { Problem } from "../problems.ts";
import { sameSecret } from "../secrets.ts";
import { BlobServiceError } from "./blob-service.ts";
import { EntraRefusal, refreshTokens, type Tokens } from "./entra.ts";
import { microsoftOf, MicrosoftUnreachable } from "./microsoft.ts";
import type { StorageAccount } from "./storage-account.ts";

/** A token with less than this left is not used: what is done with it must end before it does. */
export const TOKEN_LEFT_MS_MIN = 5 * 60_000;
/** Others refresh the same token at the same time; whoever comes second finds theirs. */
const RACES_MAX = 3;

/**
 * Does something with a connection's account. An access token the Blob service does not take, though it is not old, is
 * replaced once. Of such connections every failure is a {@link Problem}; of others {@link BlobServiceError} goes through.
 */
export async function withStorage<Result>(
  env: Env,
  db: ScopedDb,
  connectionId: string,
  act: (account: StorageAccount) => Promise<Result>,
): Promise<Result> {
  const account = await openStorage(env, db, connectionId, null);
  try {
    return await act(account);
  } catch (error) {
    const { secret } = account;
    if (!(error instanceof BlobServiceError) || secret.kind !== "bearer") throw error;
    if (error.reason !== "token") throw problemOf(error);
    const anew = await openStorage(env, db, connectionId, secret.accessToken);
    return await act(anew).catch((again: unknown) => {
      throw again instanceof BlobServiceError ? problemOf(again) : again;
    });
  }
}

async function openStorage(
  env: Env,
  db: ScopedDb,
  connectionId: string,
  staleToken: string | null,
): Promise<StorageAccount> {
  for (let races = 0; ; races++) {
    const opened = await openConnection(db, env.SECRETS_KEYS, connectionId);
    const { account, blobEndpoint, container, expiresAtMs, secret } = opened;
    const plain = { account, blobEndpoint, container, expiresAtMs };
    if (secret.kind !== "oauth") return { ...plain, secret };
    if (opened.refusedAtMs !== null) throw authExpired();
    const bearer = (accessToken: string): StorageAccount => ({
      ...plain,
      secret: { kind: "bearer", accessToken, hierarchical: opened.hierarchical },
    });
    const { access } = secret;
    const isGood = access !== null && access.expiresAtMs - Date.now() > TOKEN_LEFT_MS_MIN;
    if (isGood && !(await sameSecret(access.token, staleToken ?? ""))) return bearer(access.token);
    const tokens = await refresh(env, db, { connectionId, opened, refreshToken: secret.refreshToken });
    if (tokens !== null) return bearer(tokens.accessToken);
    if (races === RACES_MAX)
      throw new Problem("STORAGE_UNREACHABLE", "The storage connection is busy; try again");
  }
}

/** New tokens, durable before they are used; null when the connection has another secret by now. */
async function refresh(
  env: Env,
  db: ScopedDb,
  {
    connectionId: id,
    opened,
    refreshToken,
  }: { connectionId: string; opened: OpenedConnection; refreshToken: string },
): Promise<Tokens | null> {
  const { sealed } = opened;
  const tenantId = opened.tenantId ?? "";
  try {
    const tokens = await refreshTokens(microsoftOf(env), { tenantId, refreshToken, resource: "storage" });
    return (await keepRefreshed(db, env.SECRETS_KEYS, { id, sealed, tokens })) ? tokens : null;
  } catch (error) {
    if (!(error instanceof EntraRefusal) || error.reason !== "consent") throw signInProblem(error);
    // An authority that lets a refresh token be used once refuses whoever came second, and nothing is wrong.
    if (!(await refuseConnection(db, { id, sealed, reason: error.message }))) return null;
    throw authExpired();
  }
}

export function authExpired(): Problem {
  return new Problem("AZURE_AUTH_EXPIRED", "Azure credentials expired — re-authenticate via dashboard");
}

/** What a failed question to Microsoft Entra ID means to whoever asked us; anything else is thrown on. */
export function signInProblem(error: unknown): unknown {
  if (error instanceof MicrosoftUnreachable) return new Problem("STORAGE_UNREACHABLE", error.message);
  if (!(error instanceof EntraRefusal)) return error;
  switch (error.reason) {
    case "consent":
      return authExpired();
    case "configuration":
      console.error(JSON.stringify({ event: "entra_refuses_application", reason: error.message }));
      return new Problem("NOT_CONFIGURED", error.message);
    case "other":
      return new Problem("STORAGE_UNREACHABLE", error.message);
  }
}

function problemOf(error: BlobServiceError): Problem {
  // What an agent takes for a final no must be one.
  const isPassing = error.reason === "unreachable" || error.reason === "other";
  return new Problem(isPassing ? "STORAGE_UNREACHABLE" : "STORAGE_DENIED", error.message);
}
