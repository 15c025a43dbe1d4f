/**
 * Child processes that surely end: each in its own process group, stopped by SIGTERM and after a limit by SIGKILL, and
 * killed with the parent however the parent ends. What they print goes to a file; its last lines explain an early death.
 *
 * Being in groups of their own, they hear nothing of a Ctrl-C or a closed terminal, and a parent killed with SIGKILL cannot
 * tell them. So one small shell, the guard, outlives us: it holds the read end of a pipe, is told each group that lives,
 * and when the pipe breaks, for whatever reason, kills those that are left.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { dirname } from "node:path";

const STOP_LIMIT_MS = 8_000;
const LAST_LINES = 15;

export interface Child {
  readonly pid: number;
  /** Null while it runs; 128 + signal when a signal ended it. */
  readonly exitCode: number | null;
  readonly exited: Promise<number>;
  /** Sends a signal to it and all it started. */
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL after a limit; resolves when it is gone. */
  stop(): Promise<void>;
  output(): string;
  lastLines(): string;
}

export interface ChildOptions {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly logFile: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly folder?: string;
  readonly stopLimitMs?: number;
}

const living = new Set<ChildProcess>();

/** Reads `add <group>` and `remove <group>` until the pipe breaks. Each group stands between spaces of its own. */
const GUARD_SCRIPT = `
groups=" "
while read -r verb group; do
  case "$verb" in
    add) groups="$groups $group " ;;
    remove) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
`;
let guard: Socket | undefined;

process.on("exit", () => {
  for (const child of living) killGroup(child, "SIGKILL");
});

export function startChild(options: ChildOptions): Child {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, "a");
  const start = readFileSync(options.logFile).length;
  // Before the child: who kills us while we start the guard must not leave a child nobody knows of.
  const told = startGuard();
  const child = spawn(options.command, options.arguments, {
    detached: true,
    stdio: ["ignore", log, log],
    env: { ...process.env, ...options.environment },
    ...(options.folder === undefined ? {} : { cwd: options.folder }),
  });
  closeSync(log);
  living.add(child);
  tell(told, "add", child);
  let exitCode: number | null = null;
  const exited = new Promise<number>((resolve) => {
    const end = (code: number) => {
      // First what it started, then the word to the guard: a group that is empty may get its number used again.
      killGroup(child, "SIGKILL");
      living.delete(child);
      tell(told, "remove", child);
      exitCode = code;
      resolve(code);
    };
    child.once("error", () => end(127));
    child.once("exit", (code, signal) => end(code ?? 128 + (SIGNALS[signal ?? "SIGKILL"] ?? 9)));
  });
  const output = () => readFileSync(options.logFile).subarray(start).toString();
  return {
    pid: child.pid ?? 0,
    get exitCode() {
      return exitCode;
    },
    exited,
    kill: (signal) => killGroup(child, signal),
    async stop() {
      if (exitCode !== null) return;
      killGroup(child, "SIGTERM");
      const timer = setTimeout(() => killGroup(child, "SIGKILL"), options.stopLimitMs ?? STOP_LIMIT_MS);
      await exited;
      clearTimeout(timer);
    },
    output,
    lastLines: () => output().trimEnd().split("\n").slice(-LAST_LINES).join("\n"),
  };
}

/** Asks again and again until there is an answer; a child that ends first, or the limit, is an error that says why. */
export async function waitFor<Answer>(
  what: string,
  ask: () => Promise<Answer | undefined>,
  options: { limitMs: number; child?: Child; stepMs?: number },
): Promise<Answer> {
  const end = performance.now() + options.limitMs;
  while (performance.now() < end) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    const code = options.child?.exitCode ?? null;
    if (code !== null)
      throw new Error(`${what} stopped with exit code ${code}:\n${options.child?.lastLines()}`);
    await new Promise((done) => setTimeout(done, options.stepMs ?? 100));
  }
  // Nobody else holds it, so nobody else would stop it.
  options.child?.kill("SIGKILL");
  throw new Error(
    `${what} was not there after ${options.limitMs / 1000} s:\n${options.child?.lastLines() ?? ""}`,
  );
}

const SIGNALS: Partial<Record<NodeJS.Signals, number>> & { SIGKILL: number } = {
  SIGINT: 2,
  SIGKILL: 9,
  SIGTERM: 15,
};

function startGuard(): Socket {
  if (guard !== undefined) return guard;
  const shell = spawn("/bin/sh", ["-c", GUARD_SCRIPT], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  // Without a guard all else still holds.
  shell.on("error", () => undefined);
  // A pipe to a child is a socket; neither it nor the shell may keep us alive.
  guard = shell.stdin as Socket;
  guard.on("error", () => undefined);
  guard.unref();
  shell.unref();
  return guard;
}

function tell(told: Socket, verb: "add" | "remove", child: ChildProcess): void {
  if (child.pid !== undefined) told.write(`${verb} ${child.pid}\n`);
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Nobody of the group is left.
  }
}
