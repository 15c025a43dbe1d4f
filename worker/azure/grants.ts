/** Grants for agents: a container SAS of at most an hour, without delete (`docs/spec.md`, section G). */
import { GRANT_MINUTES_MAX, type Grant } from "../../schema/connector.ts";
import type { JobDestination } from "../../schema/job.ts";
import { Problem } from "../problems.ts";
import { GRANT_PERMISSIONS, SAS_BACKDATE_MS, signContainerSas } from "./sas.ts";
import type { StorageAccount } from "./storage-account.ts";

/**
 * A grant for the container of a job. From an account key it is signed here; from a container SAS nothing narrower can be
 * made without the key, so that SAS itself is handed on, to its own end.
 */
export async function makeGrant(
  account: StorageAccount,
  destination: JobDestination,
  nowMs: number,
): Promise<Grant> {
  // The project may have been pointed elsewhere since; a running job never changes where it writes.
  if (
    account.account !== destination.account ||
    (account.container ?? destination.container) !== destination.container
  ) {
    throw new Problem(
      "STORAGE_DENIED",
      "The project's storage has changed since this job was made; make a new job",
    );
  }
  const { secret } = account;
  if (secret.kind === "container_sas") {
    const expiresMs = account.expiresAtMs ?? nowMs;
    if (expiresMs <= nowMs)
      throw new Problem("STORAGE_DENIED", "The container's SAS has lapsed; connect the storage again");
    return grantOf(account, destination, secret.sas, nowMs, expiresMs);
  }
  const expiresMs = nowMs + GRANT_MINUTES_MAX * 60_000;
  const sas = await signContainerSas({
    account: account.account,
    accountKey: secret.accountKey,
    container: destination.container,
    permissions: GRANT_PERMISSIONS,
    startsMs: nowMs - SAS_BACKDATE_MS,
    expiresMs,
    protocol: account.blobEndpoint.startsWith("https:") ? "https" : "https,http",
  });
  return grantOf(account, destination, sas, nowMs, expiresMs);
}

function grantOf(
  account: StorageAccount,
  destination: JobDestination,
  sas: string,
  nowMs: number,
  expiresMs: number,
): Grant {
  return {
    kind: "azure_blob",
    containerUrl: `${account.blobEndpoint}/${destination.container}`,
    container: destination.container,
    sas,
    expiresAt: new Date(expiresMs).toISOString(),
    renewAt: new Date(
      nowMs + Math.min((expiresMs - nowMs) / 2, (GRANT_MINUTES_MAX / 2) * 60_000),
    ).toISOString(),
  };
}
