/**
 * `migrate-agent`: reads the command line, puts the real world together, runs until it is told to stop.
 *
 * Permissions it needs, and no others; no program is started, nothing native is loaded:
 *   --allow-net --allow-read --allow-write
 *   --allow-env=MIGRATE_API_URL,MIGRATE_AGENT_KEY,MIGRATE_STATE_DIR,XDG_STATE_HOME,HOME,LOCALAPPDATA,ProgramData,
 *     HTTPS_PROXY,https_proxy,HTTP_PROXY,http_proxy,ALL_PROXY,all_proxy,DENO_CERT,DENO_TLS_CA_STORE
 *   --allow-sys=hostname,osRelease,uid
 * Reading is wide because the sources are chosen in the dashboard; writing because the state folder can be given.
 */
import { resolve } from "node:path";
import type { AgentRegistered } from "../schema/api.ts";
import type { JobConfig } from "../schema/job.ts";
import { VERSION } from "../schema/version.ts";
import { ApiRefusal, ApiUnreachable, register } from "./api.ts";
import { parseCommandLine, USAGE, UsageError, type Command } from "./command-line.ts";
import {
  agentOfKey,
  API_URL_DEFAULT,
  CONFIG_FILE,
  ConfigError,
  formatConfig,
  parseApiUrl,
  parseConfig,
  stateFolder,
  type AgentConfig,
} from "./config.ts";
import { purgeQuarantine } from "./connectors/local-quarantine.ts";
import { openDestination, openSource } from "./connectors/registry.ts";
import { AccountGates } from "./engine/gate.ts";
import { MemoryBudget } from "./engine/memory-budget.ts";
import { startRun } from "./engine/run.ts";
import { Throttle } from "./engine/throttle.ts";
import { askGrant, Grants } from "./grants.ts";
import { OnlyFailed, onlyListName, readOnlyList } from "./only-failed.ts";
import { ManifestUploads } from "./manifest-upload.ts";
import { denoPlatform, makeFolder, makeReserve, readTextFile, writeTextFile } from "./platform-deno.ts";
import { DiskError, type Platform } from "./platform.ts";
import { redact } from "./redact.ts";
import { hideFolders, judgeSource } from "./refusals.ts";
import { mayRemove, parsePolicy, POLICY_FILE, PolicyError } from "./policy.ts";
import { keepPurging } from "./purge.ts";
import { Runner, RUNS_MAX } from "./runner.ts";
import { holdSession } from "./session.ts";
import { AgentState } from "./state.ts";

/** What the program ends with; the usage explains them. */
const EXIT = { stopped: 0, unexpected: 1, refused: 2, unreachable: 3, occupied: 4, revoked: 5 } as const;
/** A service manager gives a program about this long; the journals are durable at any moment. */
const STOP_LIMIT_MS = 4_500;
const STOP_SIGNALS: readonly Deno.Signal[] =
  Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];
const SEPARATOR = Deno.build.os === "windows" ? "\\" : "/";

/** An end that was foreseen, with the sentence for the person in front of it. */
class Exit extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

if (import.meta.main) {
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    endUnexpectedly(event.reason);
  });
  Deno.exit(await main(Deno.args));
}

async function main(words: readonly string[]): Promise<number> {
  try {
    return await carryOut(parseCommandLine(words));
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\n\n${USAGE}`);
      return EXIT.refused;
    }
    if (error instanceof ConfigError) return complain(EXIT.refused, error.message);
    if (error instanceof Exit) return complain(error.code, error.message);
    return endUnexpectedly(error);
  }
}

function complain(code: number, sentence: string): number {
  console.error(redact(sentence));
  return code;
}

/** One line; what was under way is in the journals, and the next start goes on. */
function endUnexpectedly(error: unknown): never {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  console.error(redact(`The agent met an unexpected error and stops: ${what.replaceAll(/\s+/g, " ")}`));
  Deno.exit(EXIT.unexpected);
}

async function carryOut(command: Command): Promise<number> {
  switch (command.kind) {
    case "help":
      console.log(USAGE);
      return EXIT.stopped;
    case "version":
      console.log(
        `migrate-agent ${VERSION} (${Deno.build.os} ${Deno.build.arch}, Deno ${Deno.version.deno})`,
      );
      return EXIT.stopped;
    case "register":
      return await registerAndRun(command);
    case "start":
      return await start(command);
  }
}

async function registerAndRun(command: Extract<Command, { kind: "register" }>): Promise<number> {
  const folder = folderOf(command.state);
  const configPath = `${folder}${SEPARATOR}${CONFIG_FILE}`;
  if (Deno.env.get("MIGRATE_AGENT_KEY")) {
    throw new Exit(
      EXIT.refused,
      "MIGRATE_AGENT_KEY is set, so this agent has a key already. Unset it to register, or run: migrate-agent start",
    );
  }
  if (readFile(configPath) !== null) {
    throw new Exit(
      EXIT.refused,
      `This machine is registered already; the registration is in "${configPath}". Run: migrate-agent start. ` +
        "For another agent on this machine give --state <folder>",
    );
  }
  const url = parseApiUrl(command.url ?? Deno.env.get("MIGRATE_API_URL") ?? API_URL_DEFAULT);
  const platform = denoPlatform();
  // Before the code is used up: afterwards everything must be there to keep the key.
  const state = openState(platform, folder);
  const registered = await exchangeCode(platform, url, command);
  const config = { url, key: registered.key };
  writeTextFile(configPath, formatConfig(config));
  console.log(`Organization: ${registered.organizationName}`);
  console.log(`Agent: ${registered.agentName}`);
  if (registered.pending === true) {
    console.log(
      "This agent waits for approval: an admin approves it in the dashboard, under Agents. It keeps asking and starts by itself then",
    );
  }
  console.log(`Registered. State is kept in ${folder}. Start it again with: migrate-agent start`);
  return await run({ platform, state, folder, config });
}

async function exchangeCode(
  platform: Platform,
  url: string,
  { code, name }: { code: string; name: string | null },
): Promise<AgentRegistered> {
  const { agentVersion: version, ...machine } = describeMachine();
  const { host } = new URL(url);
  try {
    const request = { code, ...(name === null ? {} : { name }), ...machine, version };
    return await register(platform, url, request, AbortSignal.any([]));
  } catch (error) {
    if (error instanceof ApiUnreachable || (error instanceof ApiRefusal && error.status >= 500)) {
      throw new Exit(
        EXIT.unreachable,
        `${error.message}. Check the address, that this machine is online, and that its firewall or proxy lets ${host} through`,
      );
    }
    if (!(error instanceof ApiRefusal)) throw error;
    throw new Exit(
      EXIT.refused,
      error.code === "REGISTRATION_REFUSED" || error.code === "VALIDATION_ERROR"
        ? "The registration code was refused: it is unknown, used or expired. Make a new one in the dashboard, under Settings"
        : `The control plane refused the registration: ${error.message}`,
    );
  }
}

async function start({ state: given }: { state: string | null }): Promise<number> {
  const folder = folderOf(given);
  const config = readConfig(`${folder}${SEPARATOR}${CONFIG_FILE}`);
  const platform = denoPlatform();
  return await run({ platform, state: openState(platform, folder), folder, config });
}

/** The environment wins over the file. */
function readConfig(path: string): AgentConfig {
  const text = readFile(path);
  const url = Deno.env.get("MIGRATE_API_URL");
  const key = Deno.env.get("MIGRATE_AGENT_KEY");
  if (!key && text === null) {
    throw new Exit(
      EXIT.refused,
      `This agent is not registered: there is no "${path}". Register first: migrate-agent --register <CODE>`,
    );
  }
  const file = key ? null : parseConfig(text ?? "");
  return {
    url: url ? parseApiUrl(url) : (file?.url ?? (text === null ? API_URL_DEFAULT : parseConfig(text).url)),
    key: key ?? (file as AgentConfig).key,
  };
}

// --- running -----------------------------------------------------------------------------------------------------

interface World {
  readonly platform: Platform;
  readonly state: AgentState;
  readonly folder: string;
  readonly config: AgentConfig;
}

async function run({ platform, state, folder, config }: World): Promise<number> {
  const agentId = agentOfKey(config.key);
  state.claim(agentId);
  const gates = new AccountGates(platform.clock, platform.random);
  const allowsRemoval = ({ source }: JobConfig): boolean => {
    try {
      return mayRemove(
        parsePolicy(readFile(`${folder}${SEPARATOR}${POLICY_FILE}`)),
        source.path,
        platform.disk,
      );
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      platform.log("policy_refused", { message: error.message });
      return false;
    }
  };
  const manifests = new ManifestUploads({ platform, config, folder: `${folder}${SEPARATOR}manifests` });
  const runner = new Runner({
    platform,
    state,
    startRun,
    manifestWritten: (manifest) => manifests.add(manifest),
    shared: { throttle: new Throttle(platform.clock), gates, memory: new MemoryBudget(RUNS_MAX) },
    mayRemove: allowsRemoval,
    folders: { journals: `${folder}${SEPARATOR}jobs`, manifests: `${folder}${SEPARATOR}manifests` },
    refusal: ({ source }) => {
      const verdict = judgeSource(source.path, platform.disk, folder);
      return verdict.kind === "refused" ? { code: "SOURCE_REFUSED", message: verdict.message } : null;
    },
    connect: ({ jobId, epoch, config: job, signal, onStale }) => {
      const verdict = judgeSource(job.source.path, platform.disk, folder);
      const hidden = verdict.kind === "allowed" ? verdict.hidden : [];
      const grants = new Grants({
        platform,
        config,
        jobId,
        epoch,
        destination: job.destination,
        signal,
        onStale,
      });
      const source = openSource(job.source, { ...platform, disk: hideFolders(platform.disk, hidden) });
      const keptPath = `${folder}${SEPARATOR}jobs${SEPARATOR}${onlyListName({ jobId, epoch })}`;
      const only = { platform, config, jobId, epoch, keptPath, signal, onStale };
      return {
        source: job.only === "failed" ? new OnlyFailed(source, (stop) => readOnlyList(only, stop)) : source,
        destination: openDestination(job.destination, grants, platform),
        heldUp: () => grants.heldUp,
      };
    },
  });
  platform.log("agent_started", { agentId, version: VERSION, url: config.url, folder });
  const session = new AbortController();
  const life = new AbortController();
  const stopped = onStopSignal(platform, async () => {
    life.abort();
    try {
      await runner.suspend();
    } finally {
      // After the runs, so that what they told last still goes out, and `bye` is the last word.
      session.abort();
    }
  });
  runner.start();
  const uploading = manifests.run(life.signal);
  const purging = keepPurging(
    {
      platform,
      state,
      gates,
      mayRemove: allowsRemoval,
      askGrant: (job, signal) => askGrant({ ...job, platform, config }, signal),
      openDestination: (destination, grants) => openDestination(destination, grants, platform),
      purge: ({ jobId, source }, options) => purgeQuarantine(platform, { root: source.path, jobId }, options),
    },
    life.signal,
  );
  const end = await holdSession({
    platform,
    config,
    agentId,
    work: runner,
    machine: describeMachine(),
    signal: session.signal,
  });
  if (end.kind === "revoked") {
    life.abort();
    await runner.suspend();
    await Promise.all([purging, uploading]);
    state.close();
    return complain(
      EXIT.revoked,
      "This agent was revoked in the dashboard. It moves nothing any more; to use this machine again, remove " +
        `"${folder}${SEPARATOR}${CONFIG_FILE}" and register with a new code`,
    );
  }
  await stopped;
  await Promise.all([purging, uploading]);
  state.close();
  platform.log("agent_stopped", { agentId });
  return EXIT.stopped;
}

/** Resolves when the first signal has been heard and `stop` is through. A second signal ends the program at once. */
function onStopSignal(platform: Platform, stop: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let heard = false;
    const listener = () => {
      if (heard) Deno.exit(EXIT.stopped);
      heard = true;
      platform.log("agent_stopping", {});
      setTimeout(() => Deno.exit(EXIT.stopped), STOP_LIMIT_MS);
      stop().then(resolve, reject);
    };
    for (const signal of STOP_SIGNALS) Deno.addSignalListener(signal, listener);
  });
}

function folderOf(given: string | null): string {
  const os = Deno.build.os;
  const machine = {
    os: os === "linux" || os === "darwin" || os === "windows" ? os : "other",
    root: Deno.uid() === 0,
    environment: (name: string) => Deno.env.get(name),
  } as const;
  return resolve(given ?? stateFolder(machine));
}

function readFile(path: string): string | null {
  try {
    return readTextFile(path);
  } catch (error) {
    if (error instanceof DiskError)
      throw new Exit(EXIT.refused, `${error.message}. Check the rights of this account`);
    throw error;
  }
}

/** Opens `agent.db` for this process alone; held open, it keeps every other agent out of the folder. */
function openState(platform: Platform, folder: string): AgentState {
  try {
    for (const each of [folder, `${folder}${SEPARATOR}jobs`, `${folder}${SEPARATOR}manifests`])
      makeFolder(each);
    const database = platform.openDatabase(`${folder}${SEPARATOR}agent.db`, { exclusive: true });
    return new AgentState(database, makeReserve(`${folder}${SEPARATOR}reserve.bin`));
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    if (error.code === "busy") {
      throw new Exit(
        EXIT.occupied,
        `Another agent is running with the state folder "${folder}". Stop it, or give this one its own with --state <folder>`,
      );
    }
    throw new Exit(
      EXIT.refused,
      `Cannot use the state folder "${folder}": ${error.message}. Give another with --state <folder>`,
    );
  }
}

function describeMachine() {
  return {
    agentVersion: VERSION,
    host: Deno.hostname().slice(0, 255) || "unknown",
    os: `${Deno.build.os} ${Deno.osRelease()}`.slice(0, 64),
    arch: Deno.build.arch,
  };
}
