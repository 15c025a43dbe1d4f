import {
  BlobSASPermissions,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  SASProtocol,
} from "@azure/storage-blob";
import { expect, test } from "vitest";
import { base64 } from "../secrets.ts";
import { DELEGATION_VERSION, signDelegationSas, type DelegationSas } from "./user-delegation.ts";

const SAS: DelegationSas = {
  account: "acct1",
  container: "cont1",
  directory: null,
  permissions: "racw",
  startsMs: Date.parse("2026-01-01T00:00:00Z"),
  expiresMs: Date.parse("2026-01-01T08:00:00Z"),
  protocol: "https",
  key: {
    objectId: "11111111-1111-1111-1111-111111111111",
    tenantId: "22222222-2222-2222-2222-222222222222",
    startsAt: "2026-01-01T00:00:00Z",
    expiresAt: "2026-01-02T00:00:00Z",
    service: "b",
    version: "2023-11-03",
    value: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
  },
};

/** The same values signed by Azure's own library. */
function oracle(sas: DelegationSas): Record<string, string> {
  const { key, directory } = sas;
  const signed = generateBlobSASQueryParameters(
    {
      containerName: sas.container,
      ...(directory === null
        ? { permissions: ContainerSASPermissions.parse(sas.permissions) }
        : {
            blobName: directory,
            isDirectory: true,
            permissions: BlobSASPermissions.parse(sas.permissions),
          }),
      startsOn: new Date(sas.startsMs),
      expiresOn: new Date(sas.expiresMs),
      protocol: sas.protocol === "https" ? SASProtocol.Https : SASProtocol.HttpsAndHttp,
      version: DELEGATION_VERSION,
    },
    {
      signedObjectId: key.objectId,
      signedTenantId: key.tenantId,
      signedStartsOn: new Date(key.startsAt),
      signedExpiresOn: new Date(key.expiresAt),
      signedService: key.service,
      signedVersion: key.version,
      value: key.value,
    },
    sas.account,
  );
  return Object.fromEntries(new URLSearchParams(signed.toString()));
}

const fields = async (sas: DelegationSas) =>
  Object.fromEntries(new URLSearchParams(await signDelegationSas(sas)));

test("[M7] the signature of the known vector", async () => {
  expect((await fields(SAS))["sig"]).toBe("uNIlu8vnXtis5UCNU20IxFJu+IH/VZF0WYZUvsDYTkM=");
});

const time = (minutes: number) => Date.parse("2026-03-01T00:00:00Z") + minutes * 60_000;
const iso = (timeMs: number) => new Date(timeMs).toISOString().replace(".000Z", "Z");

test.each(Array.from({ length: 40 }, (_, index) => index))(
  "[M7] a user delegation SAS is the one Azure's own library makes (%i)",
  async (index) => {
    const permissions = ["rcwl", "rcwdl", "racwdl", "rl"][index % 4] ?? "";
    const folders = [null, "acme", "acme/files", "a b/ü+&%/c=d", "acme/files/2026/03/01"] as const;
    const directory = folders[index % folders.length] ?? null;
    const sas: DelegationSas = {
      ...SAS,
      account: `acct${index}`,
      container: `container-${index}`,
      directory,
      // Of a folder the library knows no order with list in it that differs from ours.
      permissions: directory === null ? permissions : permissions.replace("l", ""),
      startsMs: time(index),
      expiresMs: time(index + 60),
      protocol: index % 2 === 0 ? "https" : "https,http",
      key: {
        ...SAS.key,
        objectId: crypto.randomUUID(),
        startsAt: iso(time(index)),
        expiresAt: iso(time(index + 60)),
        value: base64(crypto.getRandomValues(new Uint8Array(32))),
      },
    };
    expect(await fields(sas)).toEqual(oracle(sas));
  },
);

test("[M8] a folder's depth is said, and its list is signed with the rest", async () => {
  const sas = await fields({ ...SAS, directory: "acme/files", permissions: "rcwl" });
  expect(sas).toMatchObject({ sr: "d", sdd: "2", sp: "rcwl" });
});
