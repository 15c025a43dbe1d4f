/**
 * Where the repository is, which Node runs its tools, and the variables under which those tools keep quiet.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dirname, "..");

/** With these, neither wrangler nor Deno asks anything of the outside: no telemetry, no update check, no placeholder fetch. */
export const QUIET_VARIABLES = {
  CI: "1",
  DENO_NO_UPDATE_CHECK: "1",
  NO_UPDATE_NOTIFIER: "1",
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  WRANGLER_WRITE_LOGS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  // The default records each request in SQLite, which doubles the time a request takes.
  X_LOCAL_OBSERVABILITY: "false",
  X_LOCAL_EXPLORER: "false",
} as const;

/** The Node that came with the dependencies: the machine's own may be too old for wrangler, Azurite and vitest. */
export const NODE = [join(ROOT, `node_modules/node-linux-${process.arch}/bin/node`), process.execPath].find(
  existsSync,
)!;

/** What a child process gets: ours, quiet, with our Node and our tools found first. */
export function childEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
  const path = `${join(ROOT, "node_modules/.bin")}:${process.env["PATH"] ?? "/usr/bin:/bin"}`;
  return { ...inherited, ...QUIET_VARIABLES, PATH: path, ...more };
}

/** The file behind a package's command, to be run by {@link NODE} without a shell or a wrapper in between. */
export function commandFile(packageName: string, command: string): string {
  const folder = join(ROOT, "node_modules", packageName);
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { bin?: unknown };
  const file =
    typeof manifest.bin === "string" ? manifest.bin : (manifest.bin as Record<string, string>)?.[command];
  if (file === undefined)
    throw new Error(`Cannot find the command "${command}": package "${packageName}" has none`);
  return join(folder, file);
}
