/** `migrate-agent doctor`: what {@link diagnose} found, for a person or for a program, and the exit code. */
import type { Command } from "../command-line.ts";
import { type Check, type CheckState, type Diagnosis, diagnose, type DoctorInput } from "./doctor.ts";
import { count } from "./plain-text.ts";

const EXIT = { well: 0, failed: 1 } as const;
const MARKS: Readonly<Record<CheckState, string>> = {
  ok: "ok",
  warning: "WARNING",
  failed: "FAILED",
  skipped: "-",
};

export async function runDoctor(
  { json }: Extract<Command, { kind: "doctor" }>,
  input: DoctorInput,
  out: (text: string) => void,
): Promise<number> {
  const found = await diagnose(input);
  out(json ? `${JSON.stringify(found)}\n` : wordsOf(found));
  return found.result === "failed" ? EXIT.failed : EXIT.well;
}

function wordsOf({ url, checks, needs }: Diagnosis): string {
  const failed = checks.filter(({ state }) => state === "failed").length;
  const warned = checks.filter(({ state }) => state === "warning").length;
  const result =
    failed > 0
      ? `Result: ${count(failed, "check")} failed, ${count(warned, "warning")}`
      : warned > 0
        ? `Result: nothing failed, ${count(warned, "warning")}`
        : "Result: all is well";
  return [
    `Can this machine work with ${url}?`,
    "",
    ...checks.flatMap(lineOf),
    "",
    "For the firewall team: outbound connections that this machine needs",
    ...needs.map((need) => `  ${need}`),
    "",
    result,
    "",
  ].join("\n");
}

function lineOf({ title, state, what, todo }: Check): string[] {
  const lines = [`  ${MARKS[state].padEnd(8)} ${title}: ${what}`];
  if (todo !== null) lines.push(`           What to do: ${todo}`);
  return lines;
}
