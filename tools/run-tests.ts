/**
 * `npm test`: everything there is to check, step by step, and at the end one line, `N passed, M failed`.
 *
 * A step that fails does not stop the others. Two that wait more than they compute run beside each other, and the output of
 * the second comes when both are over. A check counts as one; each test counts as one; a runner that crashes, or that
 * ran no test at all, counts as a failure. `--only check,unit` runs some of the steps.
 */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { AGENT_PERMISSIONS } from "./agent-permissions.ts";
import { childEnvironment, commandFile, NODE, ROOT } from "./environment.ts";

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

interface Step {
  readonly group: "check" | "unit" | "contract" | "agent" | "sim" | "e2e";
  readonly name: string;
  readonly limitMs: number;
  /** Where what it says goes. */
  readonly run: (output: Output) => Promise<Count>;
}

/** The terminal, or a file that is shown later. */
type Output = "inherit" | number;

const RESULTS = join(ROOT, "test-results");
const MINUTE_MS = 60_000;
const DENO = join(ROOT, "node_modules/deno/deno");

const STEPS: readonly (Step | readonly [Step, Step])[] = [
  check("format", NODE, [commandFile("oxfmt", "oxfmt"), "--check"]),
  check("types: schema", NODE, tsc("schema")),
  check("types: worker", NODE, tsc("worker")),
  check("types: durable-objects", NODE, tsc("durable-objects")),
  check("types: tests of the Worker", NODE, tsc("worker/tsconfig.tests.json")),
  check("types: ui", NODE, tsc("ui")),
  check("types: tools, test, bench", NODE, tsc("tools")),
  check("types: agent", DENO, ["check", "agent"]),
  check("types: simulator", NODE, tsc("test/sim")),
  check("lint", NODE, [commandFile("oxlint", "oxlint"), "--type-aware", "--deny-warnings"]),
  check("build: dashboard", NODE, [commandFile("vite", "vite"), "build", "--logLevel", "warn"]),
  check("bundle", NODE, ["tools/check-bundle.ts"]),
  // As it would be deployed, with everything but the upload; asks nothing of the outside.
  check("build: Worker", NODE, [
    commandFile("wrangler", "wrangler"),
    "deploy",
    "--dry-run",
    "--env",
    "production",
    "--outdir",
    join(RESULTS, "worker"),
  ]),
  vitest("unit", 3 * MINUTE_MS),
  [vitest("contract", 12 * MINUTE_MS), denoTest("agent", "agent", 12 * MINUTE_MS)],
  // Two files beside each other, half of the stories each.
  denoTest("sim", "test/sim", 6 * MINUTE_MS, "--parallel"),
  vitest("e2e", 12 * MINUTE_MS),
];

function check(name: string, command: string, words: readonly string[]): Step {
  const limitMs = 3 * MINUTE_MS;
  const run = async (output: Output) => {
    const isGood = (await execute(command, words, limitMs, output)) === 0;
    return { passed: isGood ? 1 : 0, failed: isGood ? 0 : 1, skipped: 0 };
  };
  return { group: "check", name, limitMs, run };
}

function tsc(folder: string): string[] {
  return [commandFile("typescript", "tsc"), "--project", folder];
}

function vitest(project: "unit" | "contract" | "e2e", limitMs: number): Step {
  const report = join(RESULTS, `${project}.json`);
  const words = [
    commandFile("vitest", "vitest"),
    "run",
    "--project",
    project,
    "--reporter",
    project === "unit" ? "dot" : "verbose",
    "--reporter",
    "json",
    `--outputFile.json=${report}`,
  ];
  const run = async (output: Output) => {
    rmSync(report, { force: true });
    const code = await execute(NODE, words, limitMs, output);
    return settle(code, existsSync(report) ? countVitest(readFileSync(report, "utf8")) : null);
  };
  return { group: project, name: project, limitMs, run };
}

function denoTest(group: "agent" | "sim", folder: string, limitMs: number, ...more: string[]): Step {
  const report = join(RESULTS, `${group}.xml`);
  // What the agent may, and what its tests do besides: start processes, listen, and read the tools' environment.
  const permissions = [
    ...AGENT_PERMISSIONS.filter((one) => !/^--(allow-env|deny-net)/.test(one)),
    "--allow-env",
    "--allow-run",
  ];
  const words = [
    "test",
    "--no-prompt",
    "--no-check",
    "--reporter=dot",
    `--junit-path=${report}`,
    ...permissions,
    ...more,
    folder,
  ];
  const run = async (output: Output) => {
    rmSync(report, { force: true });
    const code = await execute(DENO, words, limitMs, output);
    return settle(code, existsSync(report) ? countJunit(readFileSync(report, "utf8")) : null);
  };
  return { group, name: group, limitMs, run };
}

/** A runner's own word (its exit code) and its report must agree; where they do not, that is a failure too. */
export function settle(exitCode: number, count: Count | null): Count {
  if (count === null) return { passed: 0, failed: 1, skipped: 0 };
  const isSilent = count.passed + count.failed === 0;
  const isCrash = exitCode !== 0 && count.failed === 0;
  return isSilent || isCrash ? { ...count, failed: count.failed + 1 } : count;
}

export function countVitest(json: string): Count {
  const report = JSON.parse(json) as {
    numPassedTests: number;
    numFailedTests: number;
    numPendingTests: number;
    numTodoTests: number;
    testResults: { status: string; assertionResults: unknown[] }[];
  };
  // A file that failed before its first test has no failed test to show for it.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

export function countJunit(xml: string): Count {
  const cases = xml.match(/<testcase\b[^>]*?(\/>|>[\s\S]*?<\/testcase>)/g) ?? [];
  const failed = cases.filter((one) => /<(failure|error)\b/.test(one)).length;
  const skipped = cases.filter((one) => /<skipped\b/.test(one)).length;
  return { passed: cases.length - failed - skipped, failed, skipped };
}

async function execute(
  command: string,
  words: readonly string[],
  limitMs: number,
  output: Output,
): Promise<number> {
  const child = spawn(command, words, {
    cwd: ROOT,
    env: childEnvironment(),
    stdio: ["ignore", output, output],
  });
  const timer = setTimeout(() => {
    console.log(`stopped after ${limitMs / MINUTE_MS} minutes`);
    child.kill("SIGKILL");
  }, limitMs);
  const code = await new Promise<number>((resolve) => {
    child.once("error", () => resolve(127));
    child.once("exit", (exit) => resolve(exit ?? 1));
  });
  clearTimeout(timer);
  return code;
}

async function timed(step: Step, output: Output): Promise<{ count: Count; seconds: string }> {
  const start = performance.now();
  const count = await step.run(output);
  return { count, seconds: ((performance.now() - start) / 1000).toFixed(1) };
}

async function runBeside(step: Step): Promise<{ count: Count; seconds: string; text: string }> {
  const file = join(RESULTS, `${step.group}.log`);
  const output = openSync(file, "w");
  try {
    return { ...(await timed(step, output)), text: readFileSync(file, "utf8") };
  } finally {
    closeSync(output);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: "string" } } });
  const groups = values.only?.split(",");
  mkdirSync(RESULTS, { recursive: true });
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  const failures: string[] = [];
  const take = (step: Step, count: Count, seconds: string) => {
    console.log(
      `${count.failed === 0 ? "ok" : "FAILED"}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped, ${seconds} s`,
    );
    if (count.failed > 0) failures.push(step.name);
    total.passed += count.passed;
    total.failed += count.failed;
    total.skipped += count.skipped;
  };
  for (const entry of STEPS) {
    const [first, second] = [entry].flat().filter(({ group }) => groups?.includes(group) ?? true);
    if (first === undefined) continue;
    const beside = second === undefined ? null : runBeside(second);
    console.log(`\n── ${first.name}`);
    const { count, seconds } = await timed(first, "inherit");
    take(first, count, seconds);
    if (second === undefined || beside === null) continue;
    const told = await beside;
    console.log(`\n── ${second.name}\n${told.text}`);
    take(second, told.count, told.seconds);
  }
  if (failures.length > 0) console.log(`\nFailed: ${failures.join(", ")}`);
  if (total.skipped > 0) console.log(`\n${total.skipped} skipped; each says why in its name`);
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  if (total.failed > 0 || total.passed === 0) process.exitCode = 1;
}

if (import.meta.main) await main();
