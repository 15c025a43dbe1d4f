/**
 * Where the files go: the null sink, which answers like the Blob service and throws bodies away so that the client is what is
 * measured, or Azurite. A target hides which; it says how clients reach it and, after a run, what really arrived.
 */
import { join } from "node:path";
import { BlobServiceClient, ContainerSASPermissions } from "@azure/storage-blob";
import { startAzurite } from "../tools/stack/azurite.ts";
import { startChild, waitFor } from "../tools/stack/children.ts";
import type { Certificate } from "./certificate.ts";
import type { NativeTools } from "./native-tools.ts";

const ACCOUNT = "benchmark";
/** Shape of a key, and no key: the sink checks no signature. */
const ACCOUNT_KEY = Buffer.alloc(64, 1).toString("base64");
const SAS = `sv=2022-11-02&sr=c&sp=rcwl&st=2020-01-01T00%3A00%3A00Z&se=2099-01-01T00%3A00%3A00Z&sig=${encodeURIComponent(ACCOUNT_KEY)}`;
const SAS_HOURS = 24;

export type TargetKind = "sink" | "sink-delayed" | "sink-tls" | "azurite";

export interface Stored {
  readonly files: number;
  readonly bytes: number;
}

export interface Target {
  readonly kind: TargetKind;
  /** For the product's storage connection. */
  readonly connectionString: string;
  /** `host:port`. */
  readonly address: string;
  /** The path of a container below {@link address}. */
  containerPath(container: string): string;
  /** With a SAS, for the peers. */
  containerUrl(container: string): Promise<string>;
  /** Makes the container new and empty; nothing of another round stays behind. */
  empty(container: string): Promise<void>;
  stored(container: string): Promise<Stored>;
  /** Body bytes that ever arrived, wherever; null where nobody counts them. */
  bytesReceived(): Promise<number | null>;
  /** Body bytes of each second since the first that came after {@link Target.forget}; empty where nobody counts them. */
  bytesPerSecond(): Promise<readonly number[]>;
  /** Forgets what arrived, and all containers. */
  forget(): Promise<void>;
  stop(): Promise<void>;
}

export async function startNullSink(options: {
  readonly tools: NativeTools;
  readonly folder: string;
  readonly kind: Exclude<TargetKind, "azurite">;
  readonly delayMs: number;
  readonly certificate: Certificate | null;
}): Promise<Target> {
  const { tools, folder, kind, delayMs, certificate } = options;
  const delay = delayMs > 0 ? ["--delay-ms", String(delayMs)] : [];
  const tls =
    certificate === null ? [] : ["--cert", certificate.certificateFile, "--key", certificate.keyFile];
  const child = startChild({
    command: tools.nullsink,
    arguments: ["--addr", "127.0.0.1:0", "--control", "127.0.0.1:0", ...delay, ...tls],
    logFile: join(folder, `${kind}.log`),
  });
  const [address, control] = await waitFor(
    "The null sink",
    async () => {
      const said = /listening on (\S+), control on (\S+)/.exec(child.output());
      return said === null ? undefined : ([said[1] ?? "", said[2] ?? ""] as const);
    },
    { limitMs: 10_000, child, stepMs: 20 },
  );
  const endpoint = `${certificate === null ? "http" : "https"}://${address}/${ACCOUNT}`;
  const ask = async (method: string, path: string) => {
    const response = await fetch(`http://${control}/_sink/${path}`, {
      method,
      signal: AbortSignal.timeout(30_000),
    });
    return await response.text();
  };
  return {
    kind,
    address,
    connectionString: `AccountName=${ACCOUNT};AccountKey=${ACCOUNT_KEY};BlobEndpoint=${endpoint};`,
    containerPath: (container) => `/${ACCOUNT}/${container}`,
    containerUrl: async (container) => `${endpoint}/${container}?${SAS}`,
    empty: async (container) => {
      await ask("POST", `empty?container=${container}`);
    },
    stored: async (container) => JSON.parse(await ask("GET", `stored?container=${container}`)) as Stored,
    bytesReceived: async () => (JSON.parse(await ask("GET", "stats")) as { bodyBytes: number }).bodyBytes,
    bytesPerSecond: async () => (await ask("GET", "rate?ms=1000")).trim().split("\n").map(Number),
    forget: async () => {
      await ask("POST", "reset");
    },
    stop: () => child.stop(),
  };
}

export async function startAzuriteTarget(folder: string): Promise<Target> {
  const azurite = await startAzurite({ dataDir: join(folder, "azurite") });
  const service = BlobServiceClient.fromConnectionString(azurite.connectionString);
  const url = new URL(azurite.blobEndpoint);
  return {
    kind: "azurite",
    address: url.host,
    connectionString: azurite.connectionString,
    containerPath: (container) => `${url.pathname}/${container}`,
    containerUrl: async (container) =>
      await service.getContainerClient(container).generateSasUrl({
        permissions: ContainerSASPermissions.parse("racwl"),
        startsOn: new Date(Date.now() - 3_600_000),
        expiresOn: new Date(Date.now() + SAS_HOURS * 3_600_000),
      }),
    empty: async (container) => {
      const client = service.getContainerClient(container);
      await client.deleteIfExists();
      await client.create();
    },
    stored: async (container) => {
      const stored = { files: 0, bytes: 0 };
      for await (const { properties } of service.getContainerClient(container).listBlobsFlat()) {
        stored.files++;
        stored.bytes += properties.contentLength ?? 0;
      }
      return stored;
    },
    bytesReceived: () => Promise.resolve(null),
    bytesPerSecond: () => Promise.resolve([]),
    forget: () => Promise.resolve(),
    stop: () => azurite.stop(),
  };
}
