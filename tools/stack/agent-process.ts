/** An agent as a real process: from source with exactly the executable's permissions, or the compiled executable. */
import { join } from "node:path";
import { AGENT_PERMISSIONS } from "../agent-permissions.ts";
import { QUIET_VARIABLES, ROOT } from "../environment.ts";
import { startChild, type Child, type ChildOptions } from "./children.ts";

/** The binary itself: the package's wrapper would not hand signals on. */
const DENO = join(ROOT, "node_modules/deno/deno");

export type AgentProcess = Child;

export function startAgent(options: {
  readonly arguments: readonly string[];
  readonly stateDir: string;
  readonly logFile: string;
  /** A compiled agent; null = from source. */
  readonly executable: string | null;
  readonly user?: ChildOptions["user"];
  readonly environment?: Readonly<Record<string, string>>;
}): AgentProcess {
  const words = [...options.arguments, "--state", options.stateDir];
  const fromSource = ["run", "--no-prompt", ...AGENT_PERMISSIONS, join(ROOT, "agent/main.ts"), ...words];
  return startChild({
    command: options.executable ?? DENO,
    arguments: options.executable === null ? fromSource : words,
    folder: ROOT,
    environment: { ...QUIET_VARIABLES, ...options.environment },
    logFile: options.logFile,
    ...(options.user === undefined ? {} : { user: options.user }),
  });
}
