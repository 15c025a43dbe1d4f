/**
 * `npm run faults`: what the product loses when its processes are killed and its lines break. Nothing, or exit code 1.
 *
 *     npm run faults -- --kills 200 [--seed 4711] [--minutes 30] [--executable dist/agent/migrate-agent]
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "vite";
import { ROOT } from "../../tools/environment.ts";
import { runKillLoop, type Verdict } from "./kill-loop.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string" },
    minutes: { type: "string" },
    executable: { type: "string" },
  },
});
const seed = readNumber("seed", values.seed) ?? 1 + Math.floor(Math.random() * 1_000_000);
const kills = readNumber("kills", values.kills) ?? 0;
const minutes = readNumber("minutes", values.minutes);
const compiled = values.executable === undefined ? "" : ` --executable ${values.executable}`;
const replay = `npm run faults -- --kills ${kills} --seed ${seed}${compiled}`;
console.log(`Seed ${seed}; again: ${replay}`);
// Nobody looks at the dashboard, but wrangler does not start without it.
if (!existsSync(join(ROOT, "dist/ui/index.html"))) await build({ root: ROOT, logLevel: "error" });

const startMs = performance.now();
const verdict = await runKillLoop({
  seed,
  kills,
  minutes,
  momentMsMax: 4_000,
  smallFiles: 60,
  largeFiles: 6,
  faultShare: 0.12,
  executable: values.executable ?? null,
  say: (line) => console.log(`${((performance.now() - startMs) / 1_000).toFixed(0).padStart(5)} s  ${line}`),
});
console.log(describe(verdict));
if (verdict.findings.length > 0) process.exitCode = 1;

function readNumber(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new Error(`Cannot start: --${name} is "${text}", not a whole number`);
  return Number(text);
}

function describe({ findings, ...figures }: Verdict): string {
  const { kills: killed, sent, bytes } = figures;
  const count = (kind: string) => findings.filter((one) => one.kind === kind).length;
  const ofBytes = (part: number) => `${part} bytes (${((part / bytes) * 100).toFixed(2)} %)`;
  const rows = [
    ["kills", `${killed.agent} of the agent, ${killed.controlPlane} of workerd; ${figures.pauses} pauses`],
    ["jobs", `${figures.jobs}, ${figures.files} files, ${bytes} bytes`],
    ["time", `${figures.seconds.toFixed(0)} s`],
    [
      "faults",
      Object.entries(figures.faults)
        .map((pair) => pair.join(" "))
        .join(", "),
    ],
    ["lost files", String(count("lost"))],
    ["wrong hashes", String(count("hash"))],
    ["wrong counts", String(count("count"))],
    ["jobs without their end", String(count("end"))],
    ["accepted by the storage", ofBytes(sent.accepted)],
    ["sent again, acknowledged before", ofBytes(sent.againAcknowledged)],
    ["sent again, no answer before", ofBytes(sent.againUnanswered)],
  ];
  const lines = rows.map(([name = "", value]) => `${name.padEnd(34)}${value}`);
  if (findings.length === 0) return lines.join("\n");
  const told = findings.slice(0, 50).map(({ kind, text }) => `BROKEN ${kind}: ${text}`);
  return [...lines, ...told, `${findings.length} findings; kept in ${figures.folder}; again: ${replay}`].join(
    "\n",
  );
}
