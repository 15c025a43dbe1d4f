/** The storage emulator as a child process: the Blob service only, on loopback. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { commandFile, NODE } from "../environment.ts";
import { startChild, waitFor } from "./children.ts";

/** The account and key every emulator has; published by Microsoft, no secret. */
export const EMULATOR_ACCOUNT = "devstoreaccount1";
export const EMULATOR_KEY =
  "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/** The one every emulator has, and the one with folders that `tools/emulators/microsoft.ts` shows; by the same key. */
const ACCOUNTS = [EMULATOR_ACCOUNT, "emulatedlake"].map((account) => `${account}:${EMULATOR_KEY}`).join(";");
const START_LIMIT_MS = 60_000;

export interface Azurite {
  readonly connectionString: string;
  readonly blobEndpoint: string;
  stop(): Promise<void>;
}

/** Keeps what it holds in `dataDir`. Port 0 = a free one. `certificate`: PEM files; with them it speaks https alone. */
export async function startAzurite(options: {
  dataDir: string;
  port?: number;
  certificate?: { readonly certFile: string; readonly keyFile: string };
}): Promise<Azurite> {
  const { certificate } = options;
  mkdirSync(options.dataDir, { recursive: true });
  const child = startChild({
    command: NODE,
    arguments: [
      commandFile("azurite", "azurite-blob"),
      "--silent",
      "--skipApiVersionCheck",
      "--disableTelemetry",
      "--blobHost",
      "127.0.0.1",
      "--blobPort",
      String(options.port ?? 0),
      "--location",
      options.dataDir,
      ...(certificate === undefined ? [] : ["--cert", certificate.certFile, "--key", certificate.keyFile]),
    ],
    environment: { AZURITE_ACCOUNTS: ACCOUNTS },
    logFile: join(options.dataDir, "azurite.log"),
  });
  const blobEndpoint = await waitFor(
    "The storage emulator",
    async () => {
      const address = /successfully listens on (https?:\/\/\S+)/.exec(child.output())?.[1];
      return address === undefined ? undefined : `${address}/${EMULATOR_ACCOUNT}`;
    },
    { limitMs: START_LIMIT_MS, child },
  );
  return {
    blobEndpoint,
    connectionString: `DefaultEndpointsProtocol=${new URL(blobEndpoint).protocol.slice(0, -1)};AccountName=${EMULATOR_ACCOUNT};AccountKey=${EMULATOR_KEY};BlobEndpoint=${blobEndpoint};`,
    stop: () => child.stop(),
  };
}
