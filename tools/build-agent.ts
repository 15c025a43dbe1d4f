/**
 * `npm run build:agent [-- --target <triple>]`: the agent as one executable, by `deno compile`. `--source` names another folder
 * with the source in it, `--output` the file to make.
 *
 * `--bundle --exclude node_modules` embeds what the agent imports and nothing else; without them all of node_modules goes in.
 * Deno downloads the base it builds upon, unless `DENORT_BIN` names one (it must be of the Deno version in `package.json`).
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { AGENT_PERMISSIONS, AGENT_V8_FLAGS } from "./agent-permissions.ts";
import { childEnvironment, ROOT } from "./environment.ts";

const BUILD_LIMIT_MS = 10 * 60_000;

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    output: { type: "string" },
    source: { type: "string", default: ROOT },
  },
});
const folder = join(ROOT, "dist/agent");
const output =
  values.output ??
  join(folder, values.target === undefined ? "migrate-agent" : `migrate-agent-${values.target}`);
mkdirSync(folder, { recursive: true });

const words = [
  "compile",
  "--bundle",
  "--exclude",
  "node_modules",
  "--no-prompt",
  AGENT_V8_FLAGS,
  ...AGENT_PERMISSIONS,
  ...(values.target === undefined ? [] : ["--target", values.target]),
  "--output",
  output,
  join(values.source, "agent/main.ts"),
];
const built = spawnSync(join(ROOT, "node_modules/deno/deno"), words, {
  cwd: values.source,
  env: childEnvironment(),
  stdio: "inherit",
  timeout: BUILD_LIMIT_MS,
});
if (built.status === 0) {
  console.log(`${output}: ${(statSync(output).size / 1e6).toFixed(0)} MB`);
} else {
  console.error(
    "Cannot build the agent. If the base of `deno compile` could not be downloaded, name a copy of it in DENORT_BIN.",
  );
  process.exitCode = 1;
}
