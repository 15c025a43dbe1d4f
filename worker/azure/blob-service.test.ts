import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { BlobServiceError, createContainer, listContainers, sharedKey } from "./blob-service.ts";
import type { StorageAccount } from "./storage-account.ts";

const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

test("[C7] the Shared Key signature is that of the known vector", async () => {
  const authorization = await sharedKey({
    account: "devstoreaccount1",
    key: KEY,
    method: "GET",
    url: new URL("http://127.0.0.1:10000/devstoreaccount1/cont1?restype=container&comp=list"),
    headers: new Headers({
      "x-ms-version": "2023-11-03",
      "x-ms-date": "Thu, 01 Jan 2026 00:00:00 GMT",
      accept: "*/*",
    }),
  });
  expect(authorization).toBe("SharedKey devstoreaccount1:/aj8AakQqgzVRi8o5zIrCz2DXmN29Zj/NkPR1aQZtcQ=");
});

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/acct`;
}

function account(blobEndpoint: string, more: Partial<StorageAccount> = {}): StorageAccount {
  const secret = { kind: "connection_string", accountKey: KEY } as const;
  return { account: "acct", blobEndpoint, container: null, expiresAtMs: null, secret, ...more };
}

async function reasonOf(asked: Promise<unknown>): Promise<string> {
  const error = await asked.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BlobServiceError);
  return (error as BlobServiceError).reason;
}

test.each([
  [401, "NoAuthenticationInformation", "denied"],
  [403, "AuthenticationFailed", "denied"],
  [404, "ContainerNotFound", "missing"],
  [500, "InternalError", "other"],
  [502, "", "unreachable"],
  [302, "", "other"],
] as const)("[C7] an answer %i %s is understood as %s", async (status, code, reason) => {
  const endpoint = await serve((_request, response) => {
    // Whoever answers must not be able to send us somewhere else.
    response.writeHead(status, { "x-ms-error-code": code, location: "http://127.0.0.1:1/elsewhere" }).end();
  });
  expect(await reasonOf(listContainers(account(endpoint)))).toBe(reason);
});

test("[C7] a storage account that is not there, and one that breaks off, is unreachable", async () => {
  expect(await reasonOf(listContainers(account("http://127.0.0.1:1/acct")))).toBe("unreachable");
  const endpoint = await serve((_request, response) => {
    response.writeHead(200, { "content-length": "1000" });
    response.write("<Container>", () => response.destroy());
  });
  expect(await reasonOf(listContainers(account(endpoint)))).toBe("unreachable");
});

test("[C7] an answer without end is read only so far", async () => {
  const endpoint = await serve((_request, response) => {
    const chunk = `<Container><Name>files</Name>${" ".repeat(64 * 1024)}`;
    const more = () => {
      while (response.write(chunk));
    };
    response.on("drain", more);
    more();
  });
  expect(await listContainers(account(endpoint))).toContain("files");
});

test("[C7] a container that is there already counts as made", async () => {
  const endpoint = await serve((request, response) => {
    const code = request.method === "PUT" ? "ContainerAlreadyExists" : "Other";
    response.writeHead(409, { "x-ms-error-code": code }).end();
  });
  await createContainer(account(endpoint), "files");
  expect(await reasonOf(listContainers(account(endpoint)))).toBe("other");
});

test("[C7] a SAS is tried on its own container, with the SAS as query and without a key", async () => {
  const seen: { url: string | undefined; authorization: string | undefined }[] = [];
  const endpoint = await serve((request, response) => {
    seen.push({ url: request.url, authorization: request.headers.authorization });
    response.end("<EnumerationResults/>");
  });
  const secret = { kind: "container_sas", sas: "sv=1&sig=abc" } as const;
  expect(await listContainers(account(endpoint, { container: "files", secret }))).toEqual(["files"]);
  expect(seen).toEqual([
    { url: "/acct/files?restype=container&comp=list&maxresults=1&sv=1&sig=abc", authorization: undefined },
  ]);
});
