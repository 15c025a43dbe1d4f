/** The line a person types on the machine where the agent is to run. */
export const SYSTEMS = ["windows", "macos", "linux"] as const;
export type System = (typeof SYSTEMS)[number];
export const SYSTEM_WORDS: Readonly<Record<System, string>> = {
  windows: "Windows",
  macos: "macOS",
  linux: "Linux",
};

export function registerCommand(system: System, { code, origin }: { code: string; origin: string }): string {
  const program = system === "windows" ? ".\\migrate-agent.exe" : "./migrate-agent";
  return `${program} --register ${code} --url ${origin}`;
}
