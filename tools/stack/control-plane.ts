/** The control plane in workerd, through `wrangler dev`: real D1, real Durable Objects, state that survives a restart. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandFile, NODE, QUIET_VARIABLES, ROOT } from "../environment.ts";
import { startChild, waitFor, type Child } from "./children.ts";

const START_LIMIT_MS = 90_000;
const CRON_MS = 60_000;

export interface ControlPlane {
  readonly url: string;
  /** Of the group of processes it is. */
  readonly pid: number;
  /** Fires the cron trigger, which nobody does locally by itself. */
  tick(): Promise<void>;
  /** Puts a file into one of its buckets, as an operator does. */
  putObject(bucket: string, key: string, file: string): Promise<void>;
  /** Ends it without any warning, as a power cut does. */
  killHard(): Promise<void>;
  stop(): Promise<void>;
}

export async function startControlPlane(options: {
  dataDir: string;
  port: number;
  secrets: Readonly<Record<string, string>>;
  /** Of the Worker; the product's own unless said. */
  configPath?: string;
  /** The built dashboard; `dist/ui` unless said. When it changes, all connections are cut. */
  assetsDir?: string;
}): Promise<ControlPlane> {
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const state = join(options.dataDir, "state");
  const secretsFile = join(options.dataDir, "secrets.env");
  const lines = Object.entries(options.secrets).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(secretsFile, lines.join(""), { mode: 0o600 });

  const config = options.configPath === undefined ? [] : ["--config", options.configPath];
  /** Something done to its state, and not by it. */
  const act = async (what: string, words: readonly string[]) => {
    const local = ["--local", "--persist-to", state];
    const action = wrangler([...config, ...words, ...local], options.dataDir);
    await waitFor(what, async () => action.exitCode ?? undefined, { limitMs: START_LIMIT_MS }).finally(() =>
      action.kill("SIGKILL"),
    );
    if (action.exitCode !== 0) throw new Error(`${what} failed:\n${action.lastLines()}`);
  };
  await act("The preparation of the database", ["d1", "migrations", "apply", "DB"]);
  const assets = options.assetsDir === undefined ? [] : ["--assets", options.assetsDir];
  const child = wrangler(
    [
      ...config,
      "dev",
      ...assets,
      "--persist-to",
      state,
      "--port",
      String(options.port),
      "--env-file",
      secretsFile,
      "--log-level",
      "warn",
    ],
    options.dataDir,
  );
  const url = `http://127.0.0.1:${options.port}`;
  await waitFor("The control plane", () => askHealth(url), { limitMs: START_LIMIT_MS, child });
  const tick = async () => {
    const answer = await fetch(`${url}/cdn-cgi/local/scheduled?cron=*+*+*+*+*`, {
      signal: AbortSignal.timeout(10_000),
    });
    await answer.arrayBuffer();
  };
  // A tick that fails is made good by the next one.
  const timer = setInterval(() => void tick().catch(() => undefined), CRON_MS);
  return {
    url,
    pid: child.pid,
    tick,
    putObject: (bucket, key, file) =>
      act(`Putting ${key}`, ["r2", "object", "put", `${bucket}/${key}`, "--file", file]),
    async killHard() {
      clearInterval(timer);
      child.kill("SIGKILL");
      await child.exited;
    },
    async stop() {
      clearInterval(timer);
      await child.stop();
    },
  };
}

function wrangler(words: readonly string[], dataDir: string): Child {
  return startChild({
    command: NODE,
    arguments: ["--no-warnings", commandFile("wrangler", "wrangler"), ...words],
    folder: ROOT,
    // Its list of running Workers goes with the rest, not into the home folder.
    environment: { ...QUIET_VARIABLES, WRANGLER_REGISTRY_PATH: join(dataDir, "registry") },
    logFile: join(dataDir, "control-plane.log"),
  });
}

async function askHealth(url: string): Promise<true | undefined> {
  try {
    const response = await fetch(`${url}/api/health`, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.ok ? true : undefined;
  } catch {
    return undefined;
  }
}
