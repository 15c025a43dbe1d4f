/**
 * `npm test`: everything there is to check, step by step, and at the end one line, `N passed, M failed`.
 *
 * A step that fails does not stop the others. A check counts as one; each test counts as one; a runner that crashes, or that
 * ran no test at all, counts as a failure. `--only check,unit` runs some of the steps.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
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
  readonly group: "check" | "unit" | "contract" | "agent" | "e2e";
  readonly name: string;
  readonly limitMs: number;
  readonly run: () => Promise<Count>;
}

const RESULTS = join(ROOT, "test-results");
const MINUTE_MS = 60_000;
const DENO = join(ROOT, "node_modules/deno/deno");

const STEPS: readonly Step[] = [
  check("format", NODE, [commandFile("oxfmt", "oxfmt"), "--check"]),
  check("types: schema", NODE, tsc("schema")),
  check("types: worker", NODE, tsc("worker")),
  check("types: durable-objects", NODE, tsc("durable-objects")),
  check("types: tests of the Worker", NODE, tsc("worker/tsconfig.tests.json")),
  check("types: ui", NODE, tsc("ui")),
  check("types: tools, test, bench", NODE, tsc("tools")),
  check("types: agent", DENO, ["check", "agent"]),
  check("lint", NODE, [commandFile("oxlint", "oxlint"), "--type-aware", "--deny-warnings"]),
  check("build: dashboard", NODE, [commandFile("vite", "vite"), "build", "--logLevel", "warn"]),
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
  denoTest(),
  vitest("contract", 10 * MINUTE_MS),
  vitest("e2e", 12 * MINUTE_MS),
];

function check(name: string, command: string, words: readonly string[]): Step {
  const limitMs = 3 * MINUTE_MS;
  const run = async () => {
    const isGood = (await execute(command, words, limitMs)) === 0;
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
  const run = async () => {
    rmSync(report, { force: true });
    const code = await execute(NODE, words, limitMs);
    return settle(code, existsSync(report) ? countVitest(readFileSync(report, "utf8")) : null);
  };
  return { group: project, name: project, limitMs, run };
}

function denoTest(): Step {
  const report = join(RESULTS, "agent.xml");
  const limitMs = 8 * MINUTE_MS;
  // What the agent may, and what its tests do besides: start processes, and read the tools' environment.
  const permissions = [
    ...AGENT_PERMISSIONS.filter((one) => !one.startsWith("--allow-env")),
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
    "agent",
  ];
  const run = async () => {
    rmSync(report, { force: true });
    const code = await execute(DENO, words, limitMs);
    return settle(code, existsSync(report) ? countJunit(readFileSync(report, "utf8")) : null);
  };
  return { group: "agent", name: "agent", limitMs, run };
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

async function execute(command: string, words: readonly string[], limitMs: number): Promise<number> {
  const child = spawn(command, words, {
    cwd: ROOT,
    env: childEnvironment(),
    stdio: ["ignore", "inherit", "inherit"],
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

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: "string" } } });
  const groups = values.only?.split(",");
  mkdirSync(RESULTS, { recursive: true });
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  const failures: string[] = [];
  for (const step of STEPS) {
    if (groups !== undefined && !groups.includes(step.group)) continue;
    console.log(`\n── ${step.name}`);
    const start = performance.now();
    const count = await step.run();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(
      `${count.failed === 0 ? "ok" : "FAILED"}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped, ${seconds} s`,
    );
    if (count.failed > 0) failures.push(step.name);
    total.passed += count.passed;
    total.failed += count.failed;
    total.skipped += count.skipped;
  }
  if (failures.length > 0) console.log(`\nFailed: ${failures.join(", ")}`);
  if (total.skipped > 0) console.log(`\n${total.skipped} skipped; each says why in its name`);
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  if (total.failed > 0 || total.passed === 0) process.exitCode = 1;
}

if (import.meta.main) await main();
