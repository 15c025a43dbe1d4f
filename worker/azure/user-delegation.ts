/**
 * Shared access signatures in the name of the person who consented: signed with a user delegation key, which the Blob
 * service gives for their access token, so that no account key is needed and their role bounds what the signature may.
 * Source: "Get User Delegation Key" and "Create a user delegation SAS", Azure Storage REST reference; the order of fields
 * is that of versions 2020-12-06 up to, not including, 2025-07-05, which put in more.
 */
import { base64, fromBase64, hmacSha256 } from "../secrets.ts";
import { askBlobService, BlobServiceError } from "./blob-service.ts";
import type { StorageAccount } from "./storage-account.ts";

export const DELEGATION_VERSION = "2023-11-03";

/** Times as the service wrote them: they are part of what is signed. */
export interface UserDelegationKey {
  readonly objectId: string;
  readonly tenantId: string;
  readonly startsAt: string;
  readonly expiresAt: string;
  readonly service: string;
  readonly version: string;
  /** Base64. */
  readonly value: string;
}

export interface DelegationSas {
  readonly account: string;
  readonly container: string;
  /** Nothing outside of this folder; null = the whole container. Only accounts with a hierarchical namespace have folders. */
  readonly directory: string | null;
  readonly permissions: string;
  readonly startsMs: number;
  readonly expiresMs: number;
  readonly protocol: string;
  readonly key: UserDelegationKey;
}

/** Asks for a key good for this time, seven days at most. Throws {@link BlobServiceError}. */
export async function getUserDelegationKey(
  account: StorageAccount,
  { startsMs, expiresMs }: { startsMs: number; expiresMs: number },
): Promise<UserDelegationKey> {
  const xml = await askBlobService(account, {
    method: "POST",
    path: "/",
    query: { restype: "service", comp: "userdelegationkey" },
    body: `<?xml version="1.0" encoding="utf-8"?><KeyInfo><Start>${seconds(startsMs)}</Start><Expiry>${seconds(expiresMs)}</Expiry></KeyInfo>`,
  });
  const read = (element: string) => {
    const text = new RegExp(`<${element}>([A-Za-z0-9+/=:.-]+)</${element}>`).exec(xml)?.[1];
    if (text === undefined)
      throw new BlobServiceError("other", "The storage account's key is not what was expected");
    return text;
  };
  return {
    objectId: read("SignedOid"),
    tenantId: read("SignedTid"),
    startsAt: read("SignedStart"),
    expiresAt: read("SignedExpiry"),
    service: read("SignedService"),
    version: read("SignedVersion"),
    value: read("Value"),
  };
}

/** The SAS as a query string without `?`. */
export async function signDelegationSas(sas: DelegationSas): Promise<string> {
  const { key, directory } = sas;
  const starts = seconds(sas.startsMs);
  const expires = seconds(sas.expiresMs);
  const resource = directory === null ? "c" : "d";
  const stringToSign = [
    sas.permissions,
    starts,
    expires,
    `/blob/${sas.account}/${sas.container}${directory === null ? "" : `/${directory}`}`,
    key.objectId,
    key.tenantId,
    key.startsAt,
    key.expiresAt,
    key.service,
    key.version,
    "", // authorized object id
    "", // unauthorized object id
    "", // correlation id
    "", // address range
    sas.protocol,
    DELEGATION_VERSION,
    resource,
    "", // snapshot
    "", // encryption scope
    "", // rscc, rscd, rsce, rscl, rsct: overridden answer headers
    "",
    "",
    "",
    "",
  ].join("\n");
  return new URLSearchParams({
    sv: DELEGATION_VERSION,
    sr: resource,
    ...(directory === null ? {} : { sdd: String(directory.split("/").length) }),
    st: starts,
    se: expires,
    sp: sas.permissions,
    spr: sas.protocol,
    skoid: key.objectId,
    sktid: key.tenantId,
    skt: key.startsAt,
    ske: key.expiresAt,
    sks: key.service,
    skv: key.version,
    sig: base64(await hmacSha256(fromBase64(key.value), stringToSign)),
  }).toString();
}

function seconds(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z");
}
