/**
 * Grants for agents: a container SAS of at most an hour, which may delete only where the job has to (`docs/spec.md`,
 * section G).
 */
import { GRANT_MINUTES_MAX, type Grant } from "../../schema/connector.ts";
import type { JobConfig, JobDestination, TransferOptions } from "../../schema/job.ts";
import { Problem } from "../problems.ts";
import {
  GRANT_PERMISSIONS,
  GRANT_PERMISSIONS_DELETE,
  GRANT_PERMISSIONS_READ,
  SAS_BACKDATE_MS,
  signContainerSas,
} from "./sas.ts";
import type { SealedSecret, StorageAccount, StorageSecret } from "./storage-account.ts";
import { getUserDelegationKey, signDelegationSas } from "./user-delegation.ts";

/**
 * `transfer`: to carry out the job. `purge`: when it is over, to ask whether the destination still holds what is about to be
 * removed for good at the source.
 */
export type GrantPurpose = "transfer" | "purge";

/** The option for which a job has to delete blobs; null = it never does. Archived ones cannot be overwritten, only removed. */
export function deletingOption({
  archived,
  repetition,
}: TransferOptions): "archived" | "repetition.vanished" | null {
  if (archived === "replace") return "archived";
  return repetition?.vanished === "remove" ? "repetition.vanished" : null;
}

/** Whether grants can be made of it that delete. What is handed on as it is holds what it was made with. */
export function canDelete({ secret }: { readonly secret: StorageSecret | SealedSecret }): boolean {
  if (secret.kind !== "container_sas") return true;
  return (new URLSearchParams(secret.sas).get("sp") ?? "").includes("d");
}

/**
 * A grant for the container of a job. From an account key it is signed here, and from a person's sign-in with a key made
 * for it, where the account knows folders for the job's folder only; from a container SAS nothing narrower can be made
 * without the key, so that SAS itself is handed on, to its own end.
 */
export async function makeGrant(
  account: StorageAccount,
  {
    destination,
    options,
    purpose,
  }: Pick<JobConfig, "destination" | "options"> & { readonly purpose: GrantPurpose },
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
  const deletes = purpose === "transfer" && deletingOption(options) !== null;
  if (deletes && !canDelete(account)) {
    throw new Problem(
      "STORAGE_DENIED",
      'The container\'s SAS may not delete, which this job has to; connect one with "d" in sp',
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
  const terms = {
    account: account.account,
    container: destination.container,
    permissions:
      purpose === "purge" ? GRANT_PERMISSIONS_READ : deletes ? GRANT_PERMISSIONS_DELETE : GRANT_PERMISSIONS,
    startsMs: nowMs - SAS_BACKDATE_MS,
    expiresMs,
    protocol: account.blobEndpoint.startsWith("https:") ? "https" : "https,http",
  };
  const sas =
    secret.kind === "bearer"
      ? await signDelegationSas({
          ...terms,
          directory: secret.hierarchical && destination.prefix !== "" ? destination.prefix : null,
          key: await getUserDelegationKey(account, terms),
        })
      : await signContainerSas({ ...terms, accountKey: secret.accountKey });
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
