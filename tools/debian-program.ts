/**
 * A program of Debian, unpacked into the cache folder: beside the system, without root, by one command and once.
 *
 *     node tools/debian-program.ts tinyproxy-bin usr/bin/tinyproxy
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./environment.ts";

const CACHE = join(ROOT, ".cache/debian");
const LIMIT_MS = 60_000;
const run = promisify(execFile);

/** Where it is; throws an `Error` with a sentence where it cannot be had, such as without a network. */
export async function debianProgram(packageName: string, path: string): Promise<string> {
  const folder = join(CACHE, packageName);
  const program = join(folder, path);
  if (existsSync(program)) return program;
  const partial = `${folder}.${process.pid}`;
  try {
    mkdirSync(partial, { recursive: true });
    await run("apt-get", ["download", packageName], { cwd: partial, timeout: LIMIT_MS });
    const file = readdirSync(partial).find((name) => name.endsWith(".deb"));
    if (file === undefined) throw new Error("apt-get brought nothing");
    const root = join(partial, "root");
    await run("dpkg-deb", ["-x", join(partial, file), root], { timeout: LIMIT_MS });
    rmSync(folder, { recursive: true, force: true });
    renameSync(root, folder);
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : String(cause);
    throw new Error(`Cannot get "${packageName}" of Debian: ${reason}`, { cause });
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  if (!existsSync(program)) throw new Error(`Cannot get "${packageName}" of Debian: it has no "${path}"`);
  return program;
}

if (import.meta.main) {
  const [packageName, path] = process.argv.slice(2);
  if (packageName === undefined || path === undefined) {
    console.error("Usage: node tools/debian-program.ts <package> <path within it>");
    process.exitCode = 2;
  } else {
    console.log(await debianProgram(packageName, path));
  }
}
