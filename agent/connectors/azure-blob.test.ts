import assert from "node:assert/strict";
import type { Grant } from "../../schema/connector.ts";
import { denoPlatform } from "../platform-deno.ts";
import type { Platform } from "../platform.ts";
import { type HttpAnswer, TransportError } from "../transport.ts";
import { AzureBlobDestination } from "./azure-blob.ts";
import { errorOf } from "./azure-blob-errors.ts";
import { type GrantProvider, TransferError } from "./connector.ts";
import { bodyOf, bytesOf, destinationContract } from "./contract.ts";
import { Azurite } from "./fakes/azurite.ts";

const SIGNAL = new AbortController().signal;
const OPTIONS = { signal: SIGNAL, pace: null };
const platform = denoPlatform(() => {});

function destinationOf(
  grants: GrantProvider,
  options: { prefix: string; account: string; container: string },
  on: Platform = platform,
) {
  return new AzureBlobDestination({ kind: "azure_blob", tier: "Hot", ...options }, grants, on);
}

// --- against the emulator ----------------------------------------------------------------------------------------

let azurite: Azurite | null = null;
let containers = 0;
Deno.test.beforeAll(async () => {
  azurite = await Azurite.start();
});
Deno.test.afterAll(async () => {
  await azurite?.stop();
});

async function newContainer(): Promise<{ emulator: Azurite; container: string }> {
  if (azurite === null) throw new Error("Azurite is not there");
  const container = `container-${++containers}`;
  await azurite.createContainer(container);
  return { emulator: azurite, container };
}

destinationContract(
  (name, test) => Deno.test(name, test),
  "azure_blob",
  async () => {
    const { emulator, container } = await newContainer();
    const prefix = containers % 2 === 0 ? "acme corp/f#iles" : "";
    return {
      destination: destinationOf(emulator.grants(container), {
        prefix,
        account: emulator.account,
        container,
      }),
      download: (name) =>
        emulator.download(
          container,
          name.startsWith(`${prefix}/`) || prefix === "" ? name : `${prefix}/${name}`,
        ),
      close: () => Promise.resolve(),
    };
  },
);

Deno.test("[Z1] a container that is not there, and a credential that lapsed, are the job's trouble", async () => {
  const { emulator, container } = await newContainer();
  const options = { prefix: "", account: emulator.account, container };
  const missing = destinationOf(emulator.grants("not-there"), options);
  const lapsed = emulator.grant(container, { minutes: -5 });
  const denied = destinationOf(
    { current: () => Promise.resolve(lapsed), replace: () => Promise.resolve(lapsed) },
    options,
  );
  await assert.rejects(missing.page(null, SIGNAL), fails("job", "DESTINATION_MISSING", "never"));
  await assert.rejects(missing.find("a", SIGNAL), fails("job", "DESTINATION_MISSING", "never"));
  await assert.rejects(
    missing.writeBlock("a", "AAAA", bodyOf(new Uint8Array(1)), OPTIONS),
    fails("job", "DESTINATION_MISSING", "never"),
  );
  await assert.rejects(denied.page(null, SIGNAL), fails("job", "DESTINATION_DENIED", "new_grant"));
  await assert.rejects(denied.find("a", SIGNAL), fails("job", "DESTINATION_DENIED", "new_grant"));
});

Deno.test("[Z1] a refused credential is not used again: the next call asks for another", async () => {
  const { emulator, container } = await newContainer();
  const lapsed = emulator.grant(container, { minutes: -5 });
  const replaced: Grant[] = [];
  const grants: GrantProvider = {
    current: () => Promise.resolve(lapsed),
    replace: (stale) => {
      replaced.push(stale);
      return Promise.resolve(emulator.grant(container));
    },
  };
  const destination = destinationOf(grants, { prefix: "", account: emulator.account, container });
  await assert.rejects(destination.page(null, SIGNAL), TransferError);
  assert.deepEqual((await destination.page(null, SIGNAL)).items, []);
  assert.deepEqual(replaced, [lapsed]);
});

Deno.test("[Z2] the listing comes in pages, and the prefix keeps the neighbours out", async () => {
  const { emulator, container } = await newContainer();
  const make = (prefix: string) =>
    destinationOf(emulator.grants(container), { prefix, account: emulator.account, container });
  const bytes = bytesOf(1, 3);
  for (const prefix of ["a", "ab", "a/b"]) {
    await make(prefix).writeBlock("pending", "AAAA", bodyOf(bytes), OPTIONS);
    const metadata = {
      sha256: "00",
      modifiedMs: Number.NaN,
      tier: "Hot" as const,
      contentType: "text/plain",
    };
    await make(prefix).writeWhole("file", bodyOf(bytes), metadata, { kind: "absent" }, OPTIONS);
  }
  assert.deepEqual(
    (await make("a").page(null, SIGNAL)).items.map((held) => held.path),
    ["b/file", "file"],
  );
  assert.equal((await make("a").page(null, SIGNAL)).items[0]?.modifiedMs, null);
});

// --- what the emulator does not do -------------------------------------------------------------------------------

/** A destination whose every request gets this answer. */
function answering(answer: () => HttpAnswer) {
  const on: Platform = {
    ...platform,
    transport: { send: () => Promise.try(answer), close: () => {} },
  };
  const grant: Grant = {
    kind: "azure_blob",
    containerUrl: "https://acct.blob.core.windows.net/cont",
    container: "cont",
    sas: "sv=2023-11-03&sig=SECRET",
    expiresAt: "2030-01-01T00:00:00Z",
    renewAt: "2030-01-01T00:00:00Z",
  };
  const grants = { current: () => grant, replace: () => Promise.resolve(grant) };
  return destinationOf(grants, { prefix: "p", account: "acct", container: "cont" }, on);
}

/** As from the service, unless `headers` say otherwise. */
function answer(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = { "x-ms-version": "2023-11-03", "x-ms-request-id": "r-1" },
): HttpAnswer {
  return { status, header: (name) => headers[name] ?? null, body: new TextEncoder().encode(body) };
}

Deno.test("[Z3] no message holds the address's query, whatever goes wrong", async () => {
  const failures = [
    () => {
      throw new TransportError("unreachable", "Cannot connect to acct.blob.core.windows.net: refused");
    },
    () => answer(403, "<Error><Code>AuthenticationFailed</Code><Message>sig=SECRET</Message></Error>"),
    () => answer(302, "", { location: "https://elsewhere/?sig=SECRET" }),
    () => answer(500, "sig=SECRET"),
    () => answer(200, "<html>sig=SECRET"),
  ];
  for (const failure of failures) {
    await assert.rejects(answering(failure).page(null, SIGNAL), (error) => {
      assert.ok(error instanceof TransferError);
      assert.doesNotMatch(JSON.stringify([error.message, String(error.cause), error.stack]), /SECRET/);
      return true;
    });
  }
});

Deno.test("[Z4] what another than the service answers is not taken for its word", async () => {
  const unreachable = fails("file", "destination_unreachable", "backoff");
  const portal = answering(() => answer(200, "<html>Sign in</html>", {}));
  await assert.rejects(portal.find("a", SIGNAL), unreachable);
  await assert.rejects(portal.page(null, SIGNAL), unreachable);
  const created = answering(() => answer(201, "", {}));
  await assert.rejects(created.writeBlock("a", "AAAA", bodyOf(new Uint8Array(1)), OPTIONS), unreachable);
  const cutOff = answering(() => answer(200, "<EnumerationResults><Blobs><Blob><Name>a</Name>"));
  await assert.rejects(cutOff.page(null, SIGNAL), unreachable);
  const short = answering(() => answer(206, "abc"));
  const range = { etag: "1", fromBytes: 0, into: new Uint8Array(4) };
  await assert.rejects(short.read("a", range, OPTIONS), unreachable);
  const portalRedirect = answering(() => answer(302, "", { location: "https://portal/" }));
  await assert.rejects(portalRedirect.find("a", SIGNAL), unreachable);
  const moved = answering(() =>
    answer(307, "", { location: "https://elsewhere/", "x-ms-request-id": "r-1" }),
  );
  await assert.rejects(moved.find("a", SIGNAL), fails("job", "DESTINATION_REFUSED", "never"));
});

Deno.test("[Z5] names that XML cannot hold are read as they were encoded", async () => {
  const listing = `<EnumerationResults><Blobs>
    <Blob><Name Encoded="true">p/a%EF%BF%BFb</Name><Properties><Etag>0x1</Etag><Content-Length>3</Content-Length></Properties></Blob>
    <Blob><Name>p/a%20&amp;b</Name><Properties><Etag>"0x2"</Etag><Content-Length>4</Content-Length></Properties>
      <Metadata><SHA256>ff</SHA256><mtime>2026-01-01T00:00:00.123456789Z</mtime></Metadata></Blob>
    </Blobs><NextMarker>more</NextMarker></EnumerationResults>`;
  const destination = answering(() => answer(200, listing));
  assert.deepEqual(await destination.page(null, SIGNAL), {
    items: [
      { path: "a\uffffb", sizeBytes: 3, etag: "0x1", sha256: null, modifiedMs: null, archived: false },
      {
        path: "a%20&b",
        sizeBytes: 4,
        etag: "0x2",
        sha256: "ff",
        modifiedMs: Date.parse("2026-01-01T00:00:00.123Z"),
        archived: false,
      },
    ],
    cursor: "more",
  });
});

Deno.test("[E29] until when it costs to replace a blob follows from its tier, and from when it came there", async () => {
  const DAY_MS = 86_400_000;
  const written = "Wed, 01 Jul 2026 10:00:00 GMT";
  const moved = "Wed, 08 Jul 2026 10:00:00 GMT";
  for (const [tier, changed, days] of [
    ["Hot", null, null],
    ["", null, null],
    ["P10", null, null],
    ["Cool", null, 30],
    ["Cold", moved, 90 + 7],
    ["Archive", moved, 180 + 7],
  ] as const) {
    const change = changed === null ? "" : `<AccessTierChangeTime>${changed}</AccessTierChangeTime>`;
    const blob = `<Blob><Name>p/a</Name><Properties><Last-Modified>${written}</Last-Modified><Etag>1</Etag>
      <Content-Length>3</Content-Length><AccessTier>${tier}</AccessTier>${change}</Properties></Blob>`;
    const text = `<EnumerationResults><Blobs>${blob}</Blobs><NextMarker/></EnumerationResults>`;
    const expected = days === null ? undefined : Date.parse(written) + days * DAY_MS;
    const page = await answering(() => answer(200, text)).page(null, SIGNAL);
    assert.equal(page.items[0]?.feeUntilMs, expected, `${tier} in the listing`);
    const headers = {
      etag: "1",
      "content-length": "3",
      "x-ms-version": "2023-11-03",
      "last-modified": written,
      ...(tier === "" ? {} : { "x-ms-access-tier": tier }),
      ...(changed === null ? {} : { "x-ms-access-tier-change-time": changed }),
    };
    const held = await answering(() => answer(200, "", headers)).find("a", SIGNAL);
    assert.equal(held?.feeUntilMs, expected, `${tier} by itself`);
  }
});

Deno.test("[Z7] each refusal of the service is somebody's trouble, with the right advice", () => {
  const cases: readonly (readonly [number, string, string, string | null, string])[] = [
    [404, "ContainerNotFound", "job", "DESTINATION_MISSING", "never"],
    [409, "ContainerBeingDeleted", "job", "DESTINATION_MISSING", "backoff"],
    [403, "AuthenticationFailed", "job", "DESTINATION_DENIED", "new_grant"],
    [403, "AuthorizationFailure", "job", "DESTINATION_DENIED", "new_grant"],
    [401, "", "job", "DESTINATION_DENIED", "new_grant"],
    [409, "BlobAlreadyExists", "condition", null, "never"],
    [412, "ConditionNotMet", "condition", null, "never"],
    [412, "", "condition", null, "never"],
    [400, "InvalidBlockList", "blocks", null, "never"],
    [400, "Md5Mismatch", "file", "destination_error", "backoff"],
    [400, "InvalidResourceName", "file", "name_refused", "never"],
    [409, "BlobArchived", "file", "destination_exists", "never"],
    [412, "LeaseIdMissing", "file", "destination_denied", "never"],
    [400, "InvalidHeaderValue", "file", "destination_error", "never"],
    [503, "ServerBusy", "file", "destination_unreachable", "throttled"],
    [429, "", "file", "destination_unreachable", "throttled"],
    [500, "OperationTimedOut", "file", "destination_unreachable", "throttled"],
    [500, "InternalError", "file", "destination_unreachable", "backoff"],
    [502, "", "file", "destination_unreachable", "backoff"],
    [408, "", "file", "destination_unreachable", "backoff"],
    [302, "", "job", "DESTINATION_REFUSED", "never"],
  ];
  for (const [status, code, scope, problem, advice] of cases) {
    const header = (name: string) => (name === "x-ms-request-id" ? "r" : null);
    assert.ok(fails(scope, problem, advice)(errorOf({ status, code, header }, "a", 0)), `${status} ${code}`);
  }
});

Deno.test("[Z7] the service's wish to wait is read in seconds and as a date", () => {
  const nowMs = Date.parse("2026-01-01T00:00:00Z");
  const waitOf = (text: string, date: string | null = null) => {
    const header = (name: string) => (name === "retry-after" ? text : name === "date" ? date : null);
    const { retry } = errorOf({ status: 503, code: "ServerBusy", header }, "a", nowMs);
    return retry.kind === "throttled" ? retry.afterMs : "wrong";
  };
  assert.equal(waitOf("7"), 7_000);
  assert.equal(waitOf("Thu, 01 Jan 2026 00:01:00 GMT"), 60_000);
  assert.equal(waitOf("Wed, 31 Dec 2025 00:01:00 GMT"), 0);
  assert.equal(waitOf("soon"), null);
  // A clock that is a day off changes nothing: theirs counts.
  assert.equal(waitOf("Fri, 02 Jan 2026 00:01:00 GMT", "Fri, 02 Jan 2026 00:00:30 GMT"), 30_000);
});

Deno.test("[Z8] an archived entry does not tell its blocks, and that is no error", async () => {
  const destination = answering(() => answer(409, "<Error><Code>BlobArchived</Code></Error>"));
  assert.equal(await destination.committedBlocks("a", SIGNAL), null);
});

function fails(scope: string, code: string | null, advice: string): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof TransferError)) return false;
    const found = "code" in error.problem ? error.problem.code : null;
    return error.problem.scope === scope && found === code && error.retry.kind === advice;
  };
}
