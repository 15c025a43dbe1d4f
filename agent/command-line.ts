/** What the words behind `migrate-agent` mean. Pure. */

export const USAGE = `Usage:
  migrate-agent --register <CODE> [--url <address>] [--name <agent name>] [--state <folder>]
      Register this machine with a code from Settings, then connect and keep running.
  migrate-agent start [--state <folder>]
      Connect and run the jobs of this agent.
  migrate-agent version
  migrate-agent help

Environment:
  MIGRATE_API_URL     address of the control plane, instead of --url or the configuration
  MIGRATE_AGENT_KEY   the agent's key, instead of the configuration
  MIGRATE_STATE_DIR   folder for state, instead of the system's usual one

Exit codes: 0 stopped as asked, 1 unexpected error, 2 used wrongly or refused, 3 control plane not reachable,
4 another agent runs in the same state folder, 5 this agent was revoked.
`;

export type Command =
  | {
      readonly kind: "register";
      readonly code: string;
      readonly url: string | null;
      readonly name: string | null;
      readonly state: string | null;
    }
  | { readonly kind: "start"; readonly state: string | null }
  | { readonly kind: "version" }
  | { readonly kind: "help" };

/** Words that make no command; the usage is shown with the message. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const FLAGS = ["--register", "--url", "--name", "--state"] as const;
type Flag = (typeof FLAGS)[number];
const ALIASES: Readonly<Record<string, string>> = { "--help": "help", "-h": "help", "--version": "version" };

export function parseCommandLine(words: readonly string[]): Command {
  const flags = new Map<Flag, string>();
  const commands: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string;
    const alias = ALIASES[word];
    if (alias !== undefined || !word.startsWith("-")) {
      commands.push(alias ?? word);
      continue;
    }
    const [name, joined] = splitFlag(word);
    if (flags.has(name)) throw new UsageError(`${name} is there twice`);
    const value = joined ?? words[++index];
    if (value === undefined || value === "" || (joined === null && value.startsWith("--"))) {
      throw new UsageError(`${name} needs a value`);
    }
    flags.set(name, value);
  }
  return commandOf(commands, flags);
}

function splitFlag(word: string): [Flag, string | null] {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word : word.slice(0, equals);
  const flag = FLAGS.find((known) => known === name);
  if (flag === undefined) throw new UsageError(`Unknown flag "${name}"`);
  return [flag, equals < 0 ? null : word.slice(equals + 1)];
}

function commandOf(commands: readonly string[], flags: ReadonlyMap<Flag, string>): Command {
  const [command, surplus] = commands;
  if (surplus !== undefined) throw new UsageError(`Unexpected "${surplus}"`);
  const state = flags.get("--state") ?? null;
  const code = flags.get("--register");
  if (code !== undefined) {
    if (command !== undefined) throw new UsageError(`--register stands alone, without "${command}"`);
    return {
      kind: "register",
      code,
      url: flags.get("--url") ?? null,
      name: flags.get("--name") ?? null,
      state,
    };
  }
  for (const flag of ["--url", "--name"] as const) {
    if (flags.has(flag)) throw new UsageError(`${flag} only goes with --register`);
  }
  switch (command) {
    case "start":
      return { kind: "start", state };
    case "version":
    case "help":
      return { kind: command };
    case undefined:
      throw new UsageError("Nothing to do");
    default:
      throw new UsageError(`Unknown command "${command}"`);
  }
}
