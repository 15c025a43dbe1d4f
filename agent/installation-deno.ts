/**
 * What of an agent is on this machine: its folder, its registration, whether it runs, what it wrote of itself. Hides where
 * that lies. What cannot be gone on with is thrown as an {@link Exit}, for the person in front of the program.
 */
import { resolve } from "node:path";
import {
  API_URL_DEFAULT,
  CONFIG_FILE,
  ConfigError,
  parseApiUrl,
  parseConfig,
  stateFolder,
  type AgentConfig,
} from "./config.ts";
import { NETWORK_FILE, networkVariables, parseNetwork } from "./network-settings.ts";
import { copyRights, readTextFile, writeTextFile } from "./platform-deno.ts";
import { DiskError, type Platform } from "./platform.ts";
import { LocalPolicy, POLICY_FILE, PolicyError } from "./policy.ts";
import { readStatus, STATUS_FILE, type StatusFile } from "./status-file.ts";
import { Executable } from "./update/executable.ts";
import { UPDATE_FILE } from "./update/memory.ts";
import type { UpdateStore } from "./update/updates.ts";

/** What the program ends with; the usage explains them. */
export const EXIT = {
  stopped: 0,
  unexpected: 1,
  refused: 2,
  unreachable: 3,
  occupied: 4,
  revoked: 5,
  // 6 and 7 are what `verify` ends with.
  /** Another version is in this one's place; to be started again. */
  replaced: 8,
} as const;
export const SEPARATOR = Deno.build.os === "windows" ? "\\" : "/";
/** Where the distributions keep their authorities (Debian, Red Hat, SUSE, Alpine). */
const STORES_LINUX = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];
export const STOP_SIGNALS: readonly Deno.Signal[] =
  Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];

/** An end that was foreseen, with the sentence for the person in front of it. */
export class Exit extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export function folderOf(given: string | null): string {
  const os = Deno.build.os;
  const machine = {
    os: os === "linux" || os === "darwin" || os === "windows" ? os : "other",
    root: Deno.uid() === 0,
    environment: (name: string) => Deno.env.get(name),
  } as const;
  return resolve(given ?? stateFolder(machine));
}

/** The system's usual one; null where there is none, which is no trouble for who keeps no state. */
export function usualFolder(): string | null {
  try {
    return folderOf(null);
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}

export function readFile(path: string): string | null {
  try {
    return readTextFile(path);
  } catch (error) {
    if (error instanceof DiskError)
      throw new Exit(EXIT.refused, `${error.message}. Check the rights of this account`);
    throw error;
  }
}

/** The environment wins over the file. */
export function readConfig(path: string): AgentConfig {
  const text = readFile(path);
  const url = Deno.env.get("MIGRATE_API_URL");
  const key = Deno.env.get("MIGRATE_AGENT_KEY");
  if (!key && text === null) {
    throw new Exit(
      EXIT.refused,
      `This agent is not registered: there is no "${path}". Register first: migrate-agent --register <CODE>`,
    );
  }
  const file = key ? null : parseConfig(text ?? "");
  return {
    url: url ? parseApiUrl(url) : (file?.url ?? (text === null ? API_URL_DEFAULT : parseConfig(text).url)),
    key: key ?? (file as AgentConfig).key,
  };
}

/**
 * Makes what this machine's environment and its `network.json` say of proxy and certificates hold. Before the first
 * connection, and before a platform is made. Null: there is no state folder.
 */
export function joinNetwork(folder: string | null): void {
  const text = folder === null ? null : readFile(`${folder}${SEPARATOR}${NETWORK_FILE}`);
  const settings = parseNetwork(text);
  const variables = networkVariables(settings, (name) => Deno.env.get(name));
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  const authorities = Deno.env.get("DENO_CERT");
  if (authorities) checkAuthorities(authorities);
  // Deno trusts nothing at all when it is to read a store that is not there, and does not try again (2.9.4, compiled).
  if (variables["DENO_TLS_CA_STORE"] !== undefined && !hasStore())
    Deno.env.set("DENO_TLS_CA_STORE", "mozilla");
}

/** A bare container has none. Windows and macOS always do; elsewhere it is a file in one of the usual places. */
function hasStore(): boolean {
  if (Deno.build.os !== "linux") return true;
  const file = Deno.env.get("SSL_CERT_FILE");
  const folder = Deno.env.get("SSL_CERT_DIR");
  if (file) return exists(file);
  return folder ? exists(folder) : STORES_LINUX.some(exists);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Without this Deno says so at the first connection, and of a file without a certificate nothing at all. */
function checkAuthorities(path: string): void {
  const text = readFile(path);
  if (text?.includes("-----BEGIN CERTIFICATE-----")) return;
  const state = text === null ? "there is no such file" : "it holds no certificate in PEM form";
  throw new Exit(
    EXIT.refused,
    `Cannot trust the certificates of "${path}" (DENO_CERT, or caFile in ${NETWORK_FILE}): ${state}`,
  );
}

/** As far as there is one that can be read. */
export function registrationIn(
  folder: string,
):
  | { kind: "none"; url?: never }
  | { kind: "unreadable"; message: string; url?: never }
  | { kind: "registered"; key: string; url: string } {
  try {
    const path = `${folder}${SEPARATOR}${CONFIG_FILE}`;
    if (!Deno.env.get("MIGRATE_AGENT_KEY") && readFile(path) === null) return { kind: "none" };
    return { kind: "registered", ...readConfig(path) };
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof Exit)) throw error;
    return { kind: "unreadable", message: error.message };
  }
}

/** Longer than anybody needs who only looks, shorter than a person minds. */
const LOOK_MS = 500;
const LOOK_STEP_MS = 25;

/**
 * `open` opens an agent's memory alone. Who looks whether an agent runs holds that memory for a moment, so "busy" is believed
 * only when it lasts: neither two who look nor a service that starts meanwhile may take one of them for an agent.
 */
export async function openPatiently<Opened>(open: () => Opened): Promise<Opened> {
  const end = performance.now() + LOOK_MS;
  for (;;) {
    try {
      return open();
    } catch (error) {
      const isHeld = error instanceof DiskError && error.code === "busy";
      if (!isHeld || performance.now() >= end) throw error;
    }
    // By chance, so that two who look at the same time do not meet again and again.
    await new Promise((done) => setTimeout(done, LOOK_STEP_MS * (1 + Math.random())));
  }
}

/** An agent runs with this folder: nobody else can open its memory then. */
export async function isOccupied(platform: Platform, folder: string): Promise<boolean> {
  const path = `${folder}${SEPARATOR}agent.db`;
  try {
    platform.disk.stat(path);
    (await openPatiently(() => platform.openDatabase(path, { exclusive: true }))).close();
    return false;
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return error.code === "busy";
  }
}

/** What somebody at this machine allows. */
export function openPolicy(platform: Platform, folder: string): LocalPolicy {
  const path = `${folder}${SEPARATOR}${POLICY_FILE}`;
  return new LocalPolicy({
    read: () => {
      try {
        return readTextFile(path);
      } catch (error) {
        if (error instanceof DiskError) throw new PolicyError(`Cannot read ${POLICY_FILE}: ${error.message}`);
        throw error;
      }
    },
    disk: platform.disk,
    log: (event, fields) => platform.log(event, fields),
  });
}

/** The executable that this is; null where Deno runs the source. */
export function ownExecutable(platform: Platform): Executable | null {
  if (!Deno.build.standalone) return null;
  try {
    return new Executable({ platform, path: platform.disk.realPath(Deno.execPath()), copyRights });
  } catch (error) {
    // It was moved or removed since it was started.
    if (error instanceof DiskError) return null;
    throw error;
  }
}

/** What is remembered of updates. */
export function updateStore(folder: string): UpdateStore {
  const path = `${folder}${SEPARATOR}${UPDATE_FILE}`;
  return {
    read: () => readTextFile(path),
    write: (text) => writeTextFile(path, text),
  };
}

/** What an agent wrote of itself last, whether it runs or not. */
export function lastStatus(folder: string): StatusFile | null {
  return readStatus(readFile(`${folder}${SEPARATOR}${STATUS_FILE}`));
}
