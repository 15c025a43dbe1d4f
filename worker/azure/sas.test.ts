import {
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  SASProtocol,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { expect, test } from "vitest";
import { base64 } from "../secrets.ts";
import {
  GRANT_PERMISSIONS,
  GRANT_PERMISSIONS_DELETE,
  SAS_BACKDATE_MS,
  SAS_VERSION,
  signContainerSas,
  type ContainerSas,
} from "./sas.ts";

/** The same values signed by Azure's own library. */
function oracle(sas: ContainerSas): Record<string, string> {
  const signed = generateBlobSASQueryParameters(
    {
      containerName: sas.container,
      permissions: ContainerSASPermissions.parse(sas.permissions),
      startsOn: new Date(sas.startsMs),
      expiresOn: new Date(sas.expiresMs),
      protocol: sas.protocol === "https" ? SASProtocol.Https : SASProtocol.HttpsAndHttp,
      version: SAS_VERSION,
    },
    new StorageSharedKeyCredential(sas.account, sas.accountKey),
  );
  return Object.fromEntries(new URLSearchParams(signed.toString()));
}

/** A row of numbers that is the same each time (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function anySas(seed: number): ContainerSas {
  const next = numbers(seed);
  const text = (length: number) =>
    Array.from({ length }, () => "abcdefghijklmnopqrstuvwxyz0123456789"[Math.floor(next() * 36)]).join("");
  const startsMs = Math.floor(next() * 4_000_000_000_000);
  return {
    account: text(3 + Math.floor(next() * 22)),
    accountKey: base64(Uint8Array.from({ length: 64 }, () => Math.floor(next() * 256))),
    container: `${text(2 + Math.floor(next() * 20))}-${text(1 + Math.floor(next() * 20))}`,
    permissions: [...GRANT_PERMISSIONS_DELETE].filter(() => next() < 0.7).join("") || "r",
    startsMs,
    expiresMs: startsMs + 1_000 + Math.floor(next() * 7_200_000),
    protocol: next() < 0.5 ? "https" : "https,http",
  };
}

test("[G3] for 300 sets of values the signature is the one Azure's own library makes", async () => {
  for (let seed = 1; seed <= 300; seed++) {
    const sas = anySas(seed);
    const ours = Object.fromEntries(new URLSearchParams(await signContainerSas(sas)));
    expect(ours, `seed ${seed}`).toEqual(oracle(sas));
  }
});

test("[G3] letters stand in the order of the service, in which Azure's own library puts them", () => {
  for (const permissions of [GRANT_PERMISSIONS, GRANT_PERMISSIONS_DELETE]) {
    expect(ContainerSASPermissions.parse(permissions).toString()).toBe(permissions);
  }
});

test("[G3] a signature with plus, slash and equals signs survives the query", async () => {
  const odd = Array.from({ length: 300 }, (_, seed) => anySas(seed + 1)).map(signContainerSas);
  const queries = await Promise.all(odd);
  const withPlus = queries.filter((query) => new URLSearchParams(query).get("sig")?.includes("+"));
  expect(withPlus.length).toBeGreaterThan(50);
  for (const query of withPlus) expect(query).toMatch(/sig=[\w%]+$/);
});

test("[G2] what a grant allows is read, create, write and list, and delete only where a job has to", () => {
  expect([...GRANT_PERMISSIONS].sort()).toEqual(["c", "l", "r", "w"]);
  expect([...GRANT_PERMISSIONS_DELETE].sort()).toEqual(["c", "d", "l", "r", "w"]);
  expect(SAS_BACKDATE_MS).toBe(15 * 60_000);
});
