import { expect, test } from "vitest";
import { CONFIG_FILE, type Machine, stateFolder } from "../../agent/config.ts";
import { AGENT_FACTS, AGENT_FILES } from "./agent-facts.ts";
import type { System } from "./register-command.ts";

const machine = (os: Machine["os"], environment: Record<string, string>, root = false): Machine => ({
  os,
  root,
  environment: (name) => environment[name],
});
const home = (system: System) => AGENT_FACTS[system].folders[0]?.path.replace("~", "/h");

test("[U77] where the agent is said to keep its files is where it keeps them", () => {
  expect(stateFolder(machine("windows", { LOCALAPPDATA: "%LOCALAPPDATA%" }))).toBe(home("windows"));
  expect(stateFolder(machine("darwin", { HOME: "/h" }))).toBe(home("macos"));
  expect(stateFolder(machine("linux", { HOME: "/h" }))).toBe(home("linux"));
  expect(stateFolder(machine("linux", { HOME: "/h" }, true))).toBe(AGENT_FACTS.linux.folders[1]?.path);
});

test("[U77] the configuration is named as it is called, and each target once", () => {
  expect(AGENT_FILES.map(({ name }) => name)).toContain(CONFIG_FILE);
  const targets = Object.values(AGENT_FACTS).flatMap((facts) => facts.builds.map(({ target }) => target));
  expect(new Set(targets).size).toBe(targets.length);
});
