/**
 * What a person types on the machine where the agent is to run. Each line here is one that the agent understands; a test
 * gives all of them to its own reader of command lines.
 */
import { registerCommand as texts } from "../texts/agents.ts";

export const SYSTEMS = ["windows", "macos", "linux"] as const;
export type System = (typeof SYSTEMS)[number];
export const SYSTEM_WORDS: Readonly<Record<System, string>> = {
  windows: texts.windows,
  macos: "macOS",
  linux: texts.linux,
};
/** Where the lines are typed. */
export const SHELL_WORDS: Readonly<Record<System, string>> = {
  windows: texts.powershellFolderHoldsMigrate,
  macos: texts.terminalFolderHoldsMigrate,
  linux: texts.shellFolderHoldsMigrate,
};

/** `service`: installed without a question, and started with the machine. */
export type Way = "try" | "again" | "service";
export interface AgentCommand {
  readonly way: Way;
  readonly title: string;
  readonly text: string;
  readonly note: string;
}

export function registerCommands(
  system: System,
  { code, origin }: { code: string; origin: string },
): readonly AgentCommand[] {
  const program = programOf(system);
  const run = `${program} --register ${code} --url ${origin}`;
  return [
    {
      way: "try",
      title: texts.registerRunNow,
      // A file that was downloaded is not yet a program there.
      text: system === "windows" ? run : `chmod +x ${program}\n${run}`,
      note: texts.movesFilesAsLong,
    },
    {
      way: "again",
      title: texts.startItAgainLater,
      text: `${program} start`,
      note: texts.withoutCodeRemembersWho,
    },
    serviceOf(system, code, origin),
  ];
}

/** What is installed asks nothing: what it needs comes with the line (`packaging/`). */
function serviceOf(system: System, code: string, origin: string): AgentCommand {
  const given = `REGISTER_CODE=${code} MIGRATE_API_URL=${origin}`;
  const lines: Readonly<Record<System, string>> = {
    windows: `.\\install.ps1 -Code ${code} -Url ${origin}`,
    macos: `sudo ${given} sh install.sh`,
    linux: `sudo ${given} dpkg -i migrate-agent_*.deb`,
  };
  return { way: "service", title: texts.installForGood, text: lines[system], note: SERVICE_NOTES[system] };
}

const SERVICE_NOTES: Readonly<Record<System, string>> = {
  windows: texts.taskOfTheScheduler,
  macos: texts.startedByLaunchd,
  linux: texts.startsWithTheMachine,
};

function programOf(system: System): string {
  return system === "windows" ? ".\\migrate-agent.exe" : "./migrate-agent";
}
