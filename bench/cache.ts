/** Where everything lies that the benchmark installs, builds and makes: one folder that git ignores and anybody may remove. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../tools/environment.ts";

export const CACHE = join(ROOT, "bench/.cache");
/** What is left behind by a run: logs, plans, journals. Emptied before and after. */
export const RUNS = join(CACHE, "runs");

/** Something this machine lacks; the message says what, and what to do about it. The rest goes on without it. */
export class NotAvailable extends Error {
  override readonly name = "NotAvailable";
}

/**
 * Makes this process the only one that measures, and its folder for what a run leaves empty and new. Two at once would
 * measure each other. Gives back how to let go.
 */
export function claimCache(): () => void {
  const lock = join(CACHE, "running.pid");
  mkdirSync(CACHE, { recursive: true });
  const holder = existsSync(lock) ? readFileSync(lock, "utf8") : "";
  if (holder !== "" && isBenchmark(holder))
    throw new NotAvailable(`Cannot measure: another benchmark is running (process ${holder})`);
  rmSync(lock, { force: true });
  // Fails when somebody else was as quick.
  writeFileSync(lock, String(process.pid), { flag: "wx" });
  rmSync(RUNS, { recursive: true, force: true });
  mkdirSync(RUNS, { recursive: true });
  return () => {
    rmSync(RUNS, { recursive: true, force: true });
    rmSync(lock, { force: true });
  };
}

/** A number that is used again by another program does not count. */
function isBenchmark(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("upload.ts");
  } catch {
    return false;
  }
}
