import { describe, expect, test } from "vitest";
import { parseConnectionString, parseContainerSas, StorageAccountError } from "./storage-account.ts";

const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const NOW_MS = Date.parse("2026-11-22T10:00:00Z");
const production = { anyHost: false };
const development = { anyHost: true };

describe("connection strings", () => {
  test("[C7] the connection string the portal shows is understood", () => {
    const text = `DefaultEndpointsProtocol=https;AccountName=acmefiles;AccountKey=${KEY};EndpointSuffix=core.windows.net`;
    expect(parseConnectionString(text, production)).toEqual({
      account: "acmefiles",
      blobEndpoint: "https://acmefiles.blob.core.windows.net",
      container: null,
      expiresAtMs: null,
      secret: { kind: "connection_string", accountKey: KEY },
    });
  });

  test.each([
    [
      "another order, spaces, a line end",
      ` AccountKey=${KEY} ; accountname=acmefiles;\n`,
      "https://acmefiles.blob.core.windows.net",
    ],
    [
      "Azure in China",
      `AccountName=acmefiles;AccountKey=${KEY};EndpointSuffix=core.chinacloudapi.cn`,
      "https://acmefiles.blob.core.chinacloudapi.cn",
    ],
    [
      "a Blob endpoint with a slash",
      `AccountName=acmefiles;AccountKey=${KEY};BlobEndpoint=https://acmefiles.blob.core.windows.net/`,
      "https://acmefiles.blob.core.windows.net",
    ],
  ])("[C7] %s is understood", (_what, text, blobEndpoint) => {
    expect(parseConnectionString(text, production).blobEndpoint).toBe(blobEndpoint);
  });

  test("[C7] the emulator is let in during development, by its short name as well", () => {
    const short = parseConnectionString("UseDevelopmentStorage=true", development);
    expect(short).toMatchObject({
      account: "devstoreaccount1",
      blobEndpoint: "http://127.0.0.1:10000/devstoreaccount1",
    });
    expect(() => parseConnectionString("UseDevelopmentStorage=true", production)).toThrow(
      StorageAccountError,
    );
  });

  const string = (more: string) => `AccountName=acmefiles;AccountKey=${KEY};${more}`;
  test.each([
    ["nothing", ""],
    ["garbage", "garbage"],
    ["no account", `AccountKey=${KEY}`],
    ["no key", "AccountName=acmefiles"],
    ["a key that is not base64", "AccountName=acmefiles;AccountKey=!!!!"],
    ["a short key", "AccountName=acmefiles;AccountKey=AAAA"],
    [
      "a SAS instead of a key",
      "BlobEndpoint=https://acmefiles.blob.core.windows.net;SharedAccessSignature=sv=2022-11-02&sig=x",
    ],
    ["an account with a dot", `AccountName=evil.com/;AccountKey=${KEY}`],
    ["an account with an at sign", `AccountName=a@evil;AccountKey=${KEY}`],
    ["an account in capitals", `AccountName=ACMEFILES;AccountKey=${KEY}`],
    ["another suffix", string("EndpointSuffix=evil.com")],
    ["a suffix that ends like Azure's", string("EndpointSuffix=evil.com/.blob.core.windows.net")],
    ["a suffix behind an at sign", string("EndpointSuffix=core.windows.net@evil.com")],
    ["a suffix with a path", string("EndpointSuffix=core.windows.net/elsewhere")],
    ["a suffix with a port", string("EndpointSuffix=core.windows.net:8443")],
    ["a suffix with a query", string("EndpointSuffix=core.windows.net?comp=list")],
    ["plain http to Azure", string("DefaultEndpointsProtocol=http")],
    ["another scheme", string("DefaultEndpointsProtocol=file")],
    ["an endpoint elsewhere", string("BlobEndpoint=https://evil.com")],
    [
      "an endpoint that only begins like Azure",
      string("BlobEndpoint=https://acmefiles.blob.core.windows.net.evil.com"),
    ],
    ["another account's endpoint", string("BlobEndpoint=https://other.blob.core.windows.net")],
    ["an endpoint below the account", string("BlobEndpoint=https://x.acmefiles.blob.core.windows.net")],
    ["an endpoint with a user", string("BlobEndpoint=https://acmefiles.blob.core.windows.net@evil.com")],
    ["an endpoint with a password", string("BlobEndpoint=https://u:p@acmefiles.blob.core.windows.net")],
    ["an endpoint with a path", string("BlobEndpoint=https://acmefiles.blob.core.windows.net/files")],
    ["an endpoint with a port", string("BlobEndpoint=https://acmefiles.blob.core.windows.net:444")],
    ["an endpoint with a query", string("BlobEndpoint=https://acmefiles.blob.core.windows.net/?sig=x")],
    ["an endpoint with a fragment", string("BlobEndpoint=https://acmefiles.blob.core.windows.net/#x")],
    ["the machine itself", string("BlobEndpoint=http://127.0.0.1:10000/acmefiles")],
    ["the cloud's metadata", string("BlobEndpoint=http://169.254.169.254/latest")],
    ["a number as address", string("BlobEndpoint=http://2130706433/")],
    ["an IPv6 address", string("BlobEndpoint=http://[::1]/acmefiles")],
    ["no address", string("BlobEndpoint=acmefiles")],
    ["a script", string("BlobEndpoint=javascript:alert(1)")],
    ["a host that ends in a dot", string("BlobEndpoint=https://acmefiles.blob.core.windows.net./")],
  ])("[C7] %s is refused in production, and the refusal does not repeat it", (_what, text) => {
    const refusal = refusalOf(() => parseConnectionString(text, production));
    expect(refusal).toBeInstanceOf(StorageAccountError);
    expect(String(refusal)).not.toContain(KEY);
    expect(String(refusal)).not.toContain("evil");
  });

  test("[C7] also in development, an address of Azure must be the account's own", () => {
    for (const more of [
      "BlobEndpoint=https://other.blob.core.windows.net",
      "DefaultEndpointsProtocol=http",
    ]) {
      expect(() => parseConnectionString(string(more), development)).toThrow(StorageAccountError);
    }
  });
});

describe("container SAS", () => {
  const SAS =
    "sv=2022-11-02&sr=c&st=2026-11-22T09:00:00Z&se=2026-12-22T10:00:00Z&sp=racwl&spr=https&sig=aB%2Bc%2Fd%3D";
  const options = { anyHost: false, nowMs: NOW_MS };

  test("[C7] a container's SAS URL is understood", () => {
    expect(parseContainerSas(`https://acmefiles.blob.core.windows.net/files?${SAS}`, options)).toEqual({
      account: "acmefiles",
      blobEndpoint: "https://acmefiles.blob.core.windows.net",
      container: "files",
      expiresAtMs: Date.parse("2026-12-22T10:00:00Z"),
      secret: { kind: "container_sas", sas: new URLSearchParams(SAS).toString() },
    });
  });

  test("[C7] what tools add to the URL beside the SAS is left out, so that it cannot mislead a request", () => {
    const url = `https://acmefiles.blob.core.windows.net/files?restype=container&comp=list&${SAS}&prefix=x`;
    const { secret } = parseContainerSas(url, options);
    expect(secret).toEqual({ kind: "container_sas", sas: new URLSearchParams(SAS).toString() });
  });

  test("[C7] at an emulator the account is the first part of the path", () => {
    const url = `http://127.0.0.1:10000/devstoreaccount1/files?${SAS}`;
    expect(parseContainerSas(url, { anyHost: true, nowMs: NOW_MS })).toMatchObject({
      account: "devstoreaccount1",
      blobEndpoint: "http://127.0.0.1:10000/devstoreaccount1",
      container: "files",
    });
    expect(() => parseContainerSas(url, options)).toThrow(StorageAccountError);
  });

  const url = (path: string, sas: string) => `https://acmefiles.blob.core.windows.net/${path}?${sas}`;
  test.each([
    ["nothing", ""],
    ["garbage", "garbage"],
    ["no container", url("", SAS)],
    ["a blob", url("files/a.bin", SAS)],
    ["a container that cannot be one", url("Fi_les", SAS)],
    ["the website", url("$web", SAS)],
    ["no signature", url("files", SAS.replace(/&sig=.*/, ""))],
    ["a SAS of a blob", url("files", SAS.replace("sr=c", "sr=b"))],
    ["a SAS of an account", url("files", SAS.replace("sr=c", "ss=b&srt=sco"))],
    ["one without list", url("files", SAS.replace("sp=racwl", "sp=racw"))],
    ["one that may only read", url("files", SAS.replace("sp=racwl", "sp=r"))],
    ["one without an end", url("files", SAS.replace(/&se=[^&]*/, ""))],
    ["one whose end is no time", url("files", SAS.replace(/se=[^&]*/, "se=tomorrow"))],
    ["one that lapsed this moment", url("files", SAS.replace(/se=[^&]*/, "se=2026-11-22T10:00:00Z"))],
    ["plain http", url("files", SAS).replace("https", "http")],
    ["another host", `https://evil.com/acmefiles/files?${SAS}`],
    ["a host that only begins like Azure", `https://acmefiles.blob.core.windows.net.evil.com/a/files?${SAS}`],
    ["a host below the account", `https://a.b.blob.core.windows.net/files?${SAS}`],
    ["a port", `https://acmefiles.blob.core.windows.net:444/files?${SAS}`],
    ["another scheme", `ftp://acmefiles.blob.core.windows.net/files?${SAS}`],
  ])("[C7] %s is refused in production", (_what, text) => {
    expect(() => parseContainerSas(text, options)).toThrow(StorageAccountError);
  });
});

function refusalOf(act: () => unknown): unknown {
  try {
    act();
    return null;
  } catch (error) {
    return error;
  }
}
