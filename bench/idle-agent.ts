/**
 * `npm run bench:idle [-- --executable <file> --minutes 5 --starts 5]`: the compiled agent with nothing to do, at a real control
 * plane. From its start to its session; then resident memory and processor time. Linux only: the figures are the kernel's.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ROOT } from "../tools/environment.ts";
import { type Child, waitFor } from "../tools/stack/children.ts";
import { World } from "../test/e2e/world.ts";

/** Linux counts processor time in hundredths of a second, on every architecture (`man 5 proc`, `sysconf(_SC_CLK_TCK)`). */
const TICKS_PER_SECOND = 100;
const SAMPLE_MS = 10_000;

const { values } = parseArgs({
  options: {
    executable: { type: "string", default: join(ROOT, "dist/agent/migrate-agent") },
    minutes: { type: "string", default: "5" },
    starts: { type: "string", default: "5" },
  },
});

const name = "idle";
const world = await World.start();
try {
  const { agent: registered } = await world.registerAgent(name, values.executable);
  await registered.stop();

  const startsMs: number[] = [];
  let agent: Child = registered;
  for (let round = 0; round < Number(values.starts); round++) {
    await agent.stop();
    const sessions = sessionsOf(agent);
    const begun = performance.now();
    agent = world.runAgent(name, ["start"], values.executable);
    const started = agent;
    const opened = async () => (sessionsOf(started) > sessions ? true : undefined);
    await waitFor("The agent", opened, { limitMs: 30_000, child: started, stepMs: 5 });
    startsMs.push(performance.now() - begun);
  }
  const sorted = startsMs.toSorted((a, b) => a - b).map((ms) => (ms / 1000).toFixed(2));
  console.log(`connected  after ${sorted.join(", ")} s`);

  const minutes = Number(values.minutes);
  const begun = performance.now();
  const cpuBefore = cpuSeconds(agent.pid);
  const peakBefore = memoryMb(agent.pid, "VmHWM");
  const resident: number[] = [];
  while (performance.now() - begun < minutes * 60_000) {
    await sleep(SAMPLE_MS);
    if (agent.exitCode !== null) throw new Error(`The agent ended:\n${agent.lastLines()}`);
    resident.push(memoryMb(agent.pid, "VmRSS"));
  }
  const seconds = (performance.now() - begun) / 1000;
  const cpu = cpuSeconds(agent.pid) - cpuBefore;
  const split = (["RssAnon", "RssFile"] as const).map((kind) => `${kind} ${memoryMb(agent.pid, kind)}`);
  console.log(
    `resident   ${Math.min(...resident)} to ${Math.max(...resident)} MB over ${minutes} minutes, at the end ${resident.at(-1)} MB (${split.join(", ")})`,
  );
  console.log(
    `peak       ${peakBefore} MB when it had connected, ${memoryMb(agent.pid, "VmHWM")} MB at the end`,
  );
  console.log(
    `processor  ${cpu.toFixed(2)} s in ${seconds.toFixed(0)} s: ${((100 * cpu) / seconds).toFixed(2)} %`,
  );
} finally {
  await world.stop();
}

/** All agents of one name write into one log. */
function sessionsOf(agent: Child): number {
  return agent.output().split("session_opened").length - 1;
}

function memoryMb(pid: number, kind: "VmRSS" | "VmHWM" | "RssAnon" | "RssFile"): number {
  const line = new RegExp(`^${kind}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Math.round((Number(line?.[1]) * 1024) / 1e6);
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold spaces; utime and stime are the 14th and 15th fields.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
