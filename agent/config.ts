/**
 * Where the agent keeps what it must remember, and its configuration file there, `config.toml`:
 *
 *     [api]
 *     url = "https://api.theonemigrate.app"
 *     key = "mig_agt1_…"
 *
 * The reader knows exactly this much of TOML (comments, one table, double-quoted strings) and refuses everything else, so
 * that a mistyped file is an error with a line number and never half a configuration. Pure: `main.ts` touches the disk.
 */
import { agentId } from "../schema/ids.ts";

export const CONFIG_FILE = "config.toml";
export const API_URL_DEFAULT = "https://api.theonemigrate.app";

export interface AgentConfig {
  /** Origin of the control plane, without a slash at its end. */
  readonly url: string;
  readonly key: string;
}

/** A configuration nobody can work with; the message is for the person who wrote it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

export interface Machine {
  readonly os: "linux" | "darwin" | "windows" | "other";
  /** Whether the program runs as root; only looked at on Linux. */
  readonly root: boolean;
  readonly environment: (name: string) => string | undefined;
}

/** The folder the operating system expects a program's state in. `MIGRATE_STATE_DIR` wins. */
export function stateFolder({ os, root, environment }: Machine): string {
  const given = environment("MIGRATE_STATE_DIR");
  if (given) return given;
  if (os === "windows") {
    // Each account its own; a service hands in its folder with `--state`.
    const base = environment("LOCALAPPDATA") ?? environment("ProgramData");
    if (base) return `${base}\\migrate-agent`;
    throw new ConfigError(
      "Cannot find the state folder: neither LOCALAPPDATA nor ProgramData is set. Give --state <folder>",
    );
  }
  if (os === "linux" && root) return "/var/lib/migrate-agent";
  const xdg = os === "darwin" ? undefined : environment("XDG_STATE_HOME");
  // The XDG rules: a relative path is to be ignored.
  if (xdg?.startsWith("/")) return `${xdg}/migrate-agent`;
  const home = environment("HOME");
  if (!home) throw new ConfigError("Cannot find the state folder: HOME is not set. Give --state <folder>");
  return os === "darwin"
    ? `${home}/Library/Application Support/migrate-agent`
    : `${home}/.local/state/migrate-agent`;
}

/** Checks the control plane's address. Only https, but for a loopback host, where nobody can listen in between. */
export function parseApiUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    throw new ConfigError(`Cannot use the address "${text}": it is not a URL such as ${API_URL_DEFAULT}`);
  }
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname))) {
    throw new ConfigError(`Cannot use the address "${url.origin}": it must begin with https://`);
  }
  if (url.username || url.password || url.search || url.hash || url.pathname !== "/") {
    throw new ConfigError(`Cannot use the address: give only the host, such as ${url.protocol}//${url.host}`);
  }
  return url.origin;
}

/** True for the hosts that never leave the machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** The agent a key belongs to: keys are `mig_agt1_<agent id>_<secret>_<checksum>`. */
export function agentOfKey(key: string): string {
  const id = /^mig_agt1_(agt_[0-9a-z]+)_[A-Za-z0-9_-]+_[0-9a-f]+$/.exec(key)?.[1];
  const parsed = agentId.safeParse(id);
  if (!parsed.success) throw new ConfigError("Cannot use the agent key: it does not look like mig_agt1_…");
  return parsed.data;
}

export function formatConfig(config: AgentConfig): string {
  // Neither value can hold a quote, a backslash or a control character, so JSON's string is TOML's.
  return [
    "# Written by migrate-agent. Holds the agent's key: keep it to yourself.",
    "[api]",
    `url = ${JSON.stringify(config.url)}`,
    `key = ${JSON.stringify(config.key)}`,
    "",
  ].join("\n");
}

/** Reads a configuration file. A file without `url` means the default one. */
export function parseConfig(text: string): AgentConfig {
  const values: { url?: string; key?: string } = {};
  let table: string | null = null;
  // An editor on Windows may have put a byte order mark in front.
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    const refuse = (reason: string) =>
      new ConfigError(`Cannot read ${CONFIG_FILE}, line ${index + 1}: ${reason}`);
    const bare = line.trim();
    if (bare === "" || bare.startsWith("#")) continue;
    const header = /^\[\s*([A-Za-z0-9_-]+)\s*\](?:\s*#.*)?$/.exec(bare);
    if (header) {
      if (header[1] !== "api" || table !== null) throw refuse("only one table, [api], is known");
      table = "api";
      continue;
    }
    const pair = /^([A-Za-z0-9_-]+)\s*=\s*"([^"\\]*)"(?:\s*#.*)?$/.exec(bare);
    if (!pair) throw refuse('expected [api], url = "…" or key = "…"');
    const [, name, value = ""] = pair;
    if (table === null) throw refuse("[api] must come first");
    if (name !== "url" && name !== "key") throw refuse(`"${name}" is not known`);
    if (values[name] !== undefined) throw refuse(`"${name}" is there twice`);
    values[name] = value;
  }
  if (values.key === undefined) throw new ConfigError(`Cannot read ${CONFIG_FILE}: it has no key`);
  return { url: parseApiUrl(values.url ?? API_URL_DEFAULT), key: values.key };
}
