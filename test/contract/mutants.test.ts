/**
 * Whether the tests of the organizations' separation would notice: a Worker is built from the sources, the organization is
 * taken out of its reads, and those very tests are run against it.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { childEnvironment, commandFile, NODE, ROOT } from "../../tools/environment.ts";

const LIMIT_MS = 90_000;
const folder = mkdtempSync(join(tmpdir(), "contract-mutants-"));
const built = join(folder, "built");

async function run(words: readonly string[], environment: Record<string, string> = {}) {
  const child = spawn(NODE, ["--no-warnings", ...words], { cwd: ROOT, env: childEnvironment(environment) });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  clearTimeout(timer);
  return { code, output };
}

beforeAll(async () => {
  const deploy = ["deploy", "--dry-run", "--outdir", built];
  const { code, output } = await run([commandFile("wrangler", "wrangler"), ...deploy]);
  if (code !== 0) throw new Error(`Cannot build the Worker:\n${output}`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/**
 * A few of the tests are enough: each route is tried by the same ones. Of a resource that is read without a join, because a
 * joined table carries the organization a second time, and hides what is missing at the first.
 */
async function runIsolation(bundle: string) {
  const names = "\\[C1\\] GET /api/clients(/:id answers| shows)";
  const words = ["run", "--project", "contract", "test/contract/isolation.test.ts", "-t", names];
  return await run([commandFile("vitest", "vitest"), ...words], { CONTRACT_BUNDLE: bundle });
}

function mutant(name: string, what: RegExp, instead: string): string {
  const bundle = join(folder, name);
  cpSync(built, bundle, { recursive: true });
  const file = join(bundle, "main.js");
  const text = readFileSync(file, "utf8");
  expect(text.match(new RegExp(what, "g"))?.length, `places of ${what.source}`).toBe(1);
  writeFileSync(file, text.replace(what, instead));
  return bundle;
}

test(
  "[C1] the Worker as it is passes the tests of separation",
  async () => {
    const { code, output } = await runIsolation(built);
    expect(output).toMatch(/2 passed/);
    expect(code).toBe(0);
  },
  LIMIT_MS,
);

test(
  "[C1] with the organization left out of its reads, they fail",
  async () => {
    const bundle = mutant("reads", /and\(eq\((from\d*)\.orgId, this\.orgId\), query\.where\)/, "query.where");
    const { code, output } = await runIsolation(bundle);
    expect(output).toMatch(/\d failed/);
    expect(output).toMatch(/expected 200 to be 404/);
    expect(code).toBe(1);
  },
  LIMIT_MS,
);
