/**
 * The programs we compare ourselves with: AzCopy and rclone, at their defaults with MD5 on. Installed on demand into the
 * cache, never a dependency of the project; neither needs root.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CACHE, NotAvailable, RUNS } from "./cache.ts";
import { runCommand, type Command } from "./command.ts";
import { findProgram } from "./native-tools.ts";

export const AZCOPY_VERSION = "10.32.2";
const AZCOPY_PACKAGE: Readonly<Partial<Record<NodeJS.Architecture, string>>> = {
  x64: "@azure-tools/azcopy-linux",
};
/** Its logs, plans and whatever it puts into a home folder. */
const AZCOPY_FOLDER = join(RUNS, "azcopy");
const PEERS = join(CACHE, "peers");
const DEBIAN = join(PEERS, "debian");

export interface Transfer {
  readonly folder: string;
  readonly container: string;
  /** With a SAS. */
  readonly containerUrl: string;
  readonly authorityFile: string | null;
  /** Parallel transfers where the workload sets them; null = the program's own choice. */
  readonly streams: number | null;
}

export interface AzCopy {
  readonly version: string;
  copy(transfer: Transfer): Command;
  /** Only lists what it would do. */
  list(transfer: Transfer): Command;
  /** `md5`: compares contents, not times. It keeps the sums it computed in attributes of the files themselves. */
  sync(transfer: Transfer, compare: "time" | "md5"): Command;
}

export interface Rclone {
  readonly version: string;
  copy(transfer: Transfer): Command;
}

export async function installAzCopy(signal: AbortSignal): Promise<AzCopy> {
  const name = AZCOPY_PACKAGE[process.arch];
  if (name === undefined)
    throw new NotAvailable(`AzCopy: the npm registry has none for this machine (${process.arch})`);
  const program = join(PEERS, "node_modules", name, "dist/bin/azcopy_linux_amd64");
  if (!existsSync(program)) {
    const words = [
      "install",
      "--prefix",
      PEERS,
      "--no-save",
      "--ignore-scripts",
      `${name}@${AZCOPY_VERSION}`,
    ];
    mkdirSync(PEERS, { recursive: true });
    await orNotAvailable("AzCopy", () =>
      runCommand("npm install", { command: "npm", arguments: words }, signal),
    );
  }
  // The package's file is not executable.
  chmodSync(program, 0o755);
  const environment = {
    HOME: AZCOPY_FOLDER,
    AZCOPY_LOG_LOCATION: AZCOPY_FOLDER,
    AZCOPY_JOB_PLAN_LOCATION: AZCOPY_FOLDER,
    AZCOPY_DISABLE_SYSLOG: "true",
    ...(await azCopyLibraries(program, signal)),
  };
  const shown = await orNotAvailable("AzCopy", () =>
    runCommand("azcopy", { command: program, arguments: ["--version"], environment }, signal),
  );
  return azCopy(program, shown.trim(), environment);
}

function azCopy(program: string, version: string, quiet: Readonly<Record<string, string>>): AzCopy {
  const silence = ["--log-level", "NONE", "--skip-version-check"];
  const command = (words: readonly string[], { authorityFile }: Transfer): Command => ({
    command: program,
    arguments: [...words, ...silence],
    environment: { ...quiet, ...(authorityFile === null ? {} : { SSL_CERT_FILE: authorityFile }) },
  });
  const ends = ({ folder, containerUrl }: Transfer) => [
    "--from-to",
    "LocalBlob",
    "--recursive",
    folder,
    containerUrl,
  ];
  return {
    version,
    copy: (transfer) =>
      command(["copy", "--put-md5", "--output-level", "essential", ...ends(transfer)], transfer),
    list: (transfer) => ({
      ...command(["copy", "--dry-run", ...ends(transfer)], transfer),
      output: "discard",
    }),
    sync: (transfer, compare) => {
      const words = compare === "md5" ? ["--compare-hash", "MD5"] : [];
      return command(["sync", "--put-md5", ...words, ...ends(transfer)], transfer);
    },
  };
}

/** It is linked against libsecret, which servers rarely have. */
async function azCopyLibraries(
  program: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const needed = await runCommand("ldd", { command: "ldd", arguments: [program] }, signal);
  if (!needed.includes("libsecret-1.so.0 => not found")) return {};
  const root = await orNotAvailable("AzCopy", () => unpackDebian("libsecret-1-0", signal));
  const folder = readdirSync(root, { recursive: true, withFileTypes: true }).find(
    ({ name }) => name === "libsecret-1.so.0",
  )?.parentPath;
  if (folder === undefined)
    throw new NotAvailable("AzCopy: libsecret is missing (Debian: apt-get install libsecret-1-0)");
  return { LD_LIBRARY_PATH: folder };
}

export async function installRclone(signal: AbortSignal): Promise<Rclone> {
  const program =
    findProgram("rclone") ??
    join(await orNotAvailable("rclone", () => unpackDebian("rclone", signal)), "usr/bin/rclone");
  const shown = await orNotAvailable("rclone", () =>
    runCommand(
      "rclone",
      { command: program, arguments: ["version"], environment: { RCLONE_CONFIG: "" } },
      signal,
    ),
  );
  return {
    version: shown.split("\n")[0]?.trim() ?? "rclone",
    copy: ({ folder, container, containerUrl, authorityFile, streams }) => ({
      command: program,
      arguments: [
        "copy",
        "--quiet",
        "--azureblob-sas-url",
        containerUrl,
        "--azureblob-chunk-size",
        "8M",
        "--transfers",
        String(streams ?? 4),
        folder,
        `:azureblob:${container}`,
      ],
      environment: {
        // In memory: it reads and writes no configuration of whoever runs this.
        RCLONE_CONFIG: "",
        ...(authorityFile === null ? {} : { SSL_CERT_FILE: authorityFile }),
      },
    }),
  };
}

/** Fetches a package with the machine's own sources and unpacks it beside the system, which needs no root. */
async function unpackDebian(name: string, signal: AbortSignal): Promise<string> {
  const root = join(DEBIAN, name);
  if (existsSync(root)) return root;
  if (findProgram("apt-get") === null || findProgram("dpkg") === null)
    throw new NotAvailable(`there is neither "${name}" nor apt-get to fetch it`);
  const fetched = `${root}.fetched`;
  rmSync(fetched, { recursive: true, force: true });
  mkdirSync(fetched, { recursive: true });
  await runCommand("apt-get", { command: "apt-get", arguments: ["download", name], folder: fetched }, signal);
  const file = readdirSync(fetched).find((one) => one.endsWith(".deb"));
  if (file === undefined) throw new NotAvailable(`apt-get brought no package "${name}"`);
  await runCommand("dpkg", { command: "dpkg", arguments: ["-x", join(fetched, file), root] }, signal);
  rmSync(fetched, { recursive: true, force: true });
  return root;
}

async function orNotAvailable<Value>(what: string, act: () => Promise<Value>): Promise<Value> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new NotAvailable(`${what}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
