/**
 * Shared access signatures for one container, signed with the account's key.
 * Fields and their order: "Create a service SAS", Azure Storage REST reference, version 2020-12-06 and later.
 */
import { base64, fromBase64, hmacSha256 } from "../secrets.ts";

export const SAS_VERSION = "2022-11-02";
/** Read (for verifying), create, write, list. In the order the service wants. */
export const GRANT_PERMISSIONS = "rcwl";
/** With delete, which has its place in the middle. */
export const GRANT_PERMISSIONS_DELETE = "rcwdl";
/** Only what it takes to ask whether something is still there. */
export const GRANT_PERMISSIONS_READ = "rl";
/** Clocks differ: a signature begins this long ago. */
export const SAS_BACKDATE_MS = 15 * 60_000;

export interface ContainerSas {
  readonly account: string;
  readonly accountKey: string;
  readonly container: string;
  readonly permissions: string;
  readonly startsMs: number;
  readonly expiresMs: number;
  /** `https`, or `https,http` for an emulator without TLS. */
  readonly protocol: string;
}

/** The SAS as a query string without `?`. */
export async function signContainerSas(sas: ContainerSas): Promise<string> {
  const starts = seconds(sas.startsMs);
  const expires = seconds(sas.expiresMs);
  const stringToSign = [
    sas.permissions,
    starts,
    expires,
    `/blob/${sas.account}/${sas.container}`,
    "", // stored access policy
    "", // address range
    sas.protocol,
    SAS_VERSION,
    "c",
    "", // snapshot
    "", // encryption scope
    "", // rscc, rscd, rsce, rscl, rsct: overridden answer headers
    "",
    "",
    "",
    "",
  ].join("\n");
  const signature = base64(await hmacSha256(fromBase64(sas.accountKey), stringToSign));
  return new URLSearchParams({
    sv: SAS_VERSION,
    sr: "c",
    st: starts,
    se: expires,
    sp: sas.permissions,
    spr: sas.protocol,
    sig: signature,
  }).toString();
}

function seconds(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, "Z");
}
