/** An agent as a real process: from source with exactly the executable's permissions, or the compiled executable. */
import { join } from "node:path";
import { AGENT_PERMISSIONS, AGENT_V8_FLAGS } from "../agent-permissions.ts";
import { QUIET_VARIABLES, ROOT } from "../environment.ts";
import { startChild, type Child } from "./children.ts";

/** The binary itself: the package's wrapper would not hand signals on. */
const DENO = join(ROOT, "node_modules/deno/deno");

export type AgentProcess = Child;

export function startAgent(options: {
  readonly arguments: readonly string[];
  readonly stateDir: string;
  readonly logFile: string;
  /** A compiled agent; null = from source. */
  readonly executable: string | null;
  /** Another program of this repository in place of `agent/main.ts`; from source. */
  readonly entry?: string;
  /** A command that runs the agent, such as one that takes rights away from it. */
  readonly wrapper?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}): AgentProcess {
  const words = [...options.arguments, "--state", options.stateDir];
  const fromSource = [
    "run",
    "--no-prompt",
    AGENT_V8_FLAGS,
    ...AGENT_PERMISSIONS,
    join(ROOT, options.entry ?? "agent/main.ts"),
    ...words,
  ];
  const [command = DENO, ...rest] = [
    ...(options.wrapper ?? []),
    ...(options.executable === null ? [DENO, ...fromSource] : [options.executable, ...words]),
  ];
  return startChild({
    command,
    arguments: rest,
    folder: ROOT,
    environment: { ...QUIET_VARIABLES, ...options.environment },
    logFile: options.logFile,
  });
}
