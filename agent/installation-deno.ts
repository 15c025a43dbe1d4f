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

/** An agent runs with this folder: nobody else can open its memory then. */
export function isOccupied(platform: Platform, folder: string): boolean {
  const path = `${folder}${SEPARATOR}agent.db`;
  try {
    platform.disk.stat(path);
    platform.openDatabase(path, { exclusive: true }).close();
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
