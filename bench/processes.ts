/** Memory and CPU of the processes of a group that go by a name, from Linux's `/proc`. */
import { readdirSync, readFileSync } from "node:fs";

/** Linux counts in hundredths of a second, and in pages of 4 KiB. */
const TICK_MS = 10;
const PAGE_BYTES = 4_096;

export interface Processes {
  residentBytes(): number;
  cpuMs(): number;
}

export function processesOf(group: number, name: string): Processes {
  const sum = (of: (fields: readonly string[]) => number) =>
    statsOf(group, name).reduce((total, fields) => total + of(fields), 0);
  return {
    residentBytes: () => sum((fields) => Number(fields[21]) * PAGE_BYTES),
    cpuMs: () => sum((fields) => (Number(fields[11]) + Number(fields[12])) * TICK_MS),
  };
}

/** The fields of `/proc/<pid>/stat` from the state on (proc_pid_stat(5)). */
function statsOf(group: number, name: string): string[][] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        const isOurs = Number(fields[2]) === group && stat.includes(`(${name})`);
        return isOurs ? [fields] : [];
      } catch {
        // It ended meanwhile.
        return [];
      }
    });
}
