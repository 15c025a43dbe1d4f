import { expect, test } from "vitest";
import { parseCommandLine } from "../../agent/command-line.ts";
import { registerCommands, SYSTEMS } from "./register-command.ts";

const GIVEN = { code: "ABCD-EFGH", origin: "https://app.example" };

test.each(SYSTEMS)("[U76] on %s every line that is shown is one that the agent understands", (system) => {
  for (const { text } of registerCommands(system, GIVEN)) {
    for (const line of text.split("\n")) {
      const [program = "", ...words] = line.split(" ");
      if (program === "chmod" || program === "sudo" || program === ".\\install.ps1") continue;
      expect(program).toMatch(system === "windows" ? /^\.\\migrate-agent\.exe$/ : /^\.\/migrate-agent$/);
      expect(() => parseCommandLine(words), line).not.toThrow();
    }
  }
});

test.each(SYSTEMS)("[U76] on %s the first line registers with this code at this address", (system) => {
  const [first] = registerCommands(system, GIVEN);
  const words = first?.text.split("\n").at(-1)?.split(" ").slice(1) ?? [];
  expect(parseCommandLine(words)).toEqual({
    kind: "register",
    code: "ABCD-EFGH",
    url: "https://app.example",
    name: null,
    state: null,
    exit: false,
  });
});

test.each([
  ["windows", ".\\install.ps1 -Code ABCD-EFGH -Url https://app.example"],
  ["macos", "sudo REGISTER_CODE=ABCD-EFGH MIGRATE_API_URL=https://app.example sh install.sh"],
  ["linux", "sudo REGISTER_CODE=ABCD-EFGH MIGRATE_API_URL=https://app.example dpkg -i migrate-agent_*.deb"],
] as const)("[U76] on %s it is installed for good by a line that asks nothing", (system, line) => {
  expect(registerCommands(system, GIVEN).find(({ way }) => way === "service")?.text).toBe(line);
});
