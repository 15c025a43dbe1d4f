/**
 * `migrate-agent`: reads the command line, puts the real world together, runs until it is told to stop.
 *
 * Permissions it needs, and no others; no program is started, nothing native is loaded (`self-test` shows it):
 *   --allow-net --deny-net=0.0.0.0,[::] --allow-read --allow-write --allow-import=none.invalid:443 (that is, from nowhere)
 *   --allow-env=REGISTER_CODE,MIGRATE_API_URL,MIGRATE_AGENT_KEY,MIGRATE_STATE_DIR,XDG_STATE_HOME,HOME,LOCALAPPDATA,ProgramData,
 *     HTTPS_PROXY,https_proxy,HTTP_PROXY,http_proxy,ALL_PROXY,all_proxy,NO_PROXY,no_proxy,DENO_CERT,DENO_TLS_CA_STORE,SSL_CERT_FILE,SSL_CERT_DIR
 *   --allow-sys=hostname,osRelease,uid
 * Reading is wide because the sources are chosen in the dashboard; writing because the state folder can be given.
 */
import type { AgentRegistered } from "../schema/api.ts";
import type { JobConfig, JobDestination } from "../schema/job.ts";
import { VERSION } from "../schema/version.ts";
import { ApiRefusal, ApiUnreachable, register, reportQuarantine } from "./api.ts";
import { parseCommandLine, USAGE, UsageError, type Command } from "./command-line.ts";
import { LOG_FOLDER } from "./commands/logs.ts";
import { findObstacle, type ObstacleInput } from "./commands/obstacle.ts";
import {
  agentOfKey,
  API_URL_DEFAULT,
  CONFIG_FILE,
  ConfigError,
  formatConfig,
  parseApiUrl,
  parseConfig,
  type AgentConfig,
} from "./config.ts";
import { purgeQuarantine } from "./connectors/local-quarantine.ts";
import { openDestination, openSource } from "./connectors/registry.ts";
import { AccountGates } from "./engine/gate.ts";
import { MemoryBudget } from "./engine/memory-budget.ts";
import { startRun } from "./engine/run.ts";
import { Throttle } from "./engine/throttle.ts";
import { askGrant, Grants } from "./grants.ts";
import { Lease } from "./lease.ts";
import { OnlyFailed, onlyListName, readOnlyList } from "./only-failed.ts";
import { denoProbe } from "./network-probe-deno.ts";
import { ManifestUploads } from "./manifest-upload.ts";
import {
  EXIT,
  Exit,
  folderOf,
  isOccupied,
  joinNetwork,
  openPolicy,
  ownExecutable,
  readConfig,
  readFile,
  SEPARATOR,
  STOP_SIGNALS,
  openPatiently,
  updateStore,
} from "./installation-deno.ts";
import { LOG_BYTES_MAX, LogFiles } from "./log-files-deno.ts";
import {
  denoPlatform,
  logLine,
  makeFolder,
  makeReserve,
  readTextFile,
  writeRefusal,
  writeTextFile,
  writeToStderr,
} from "./platform-deno.ts";
import { DiskError, type Platform } from "./platform.ts";
import { redact } from "./redact.ts";
import { hideFolders, judgeSource } from "./refusals.ts";
import { keepPurging } from "./purge.ts";
import { Runner, RUNS_MAX } from "./runner.ts";
import { SOCKET_RETRY_MS } from "./road.ts";
import { holdSession } from "./session.ts";
import { AgentState } from "./state.ts";
import { STATUS_FILE, StatusBoard } from "./status-file.ts";
import { runSubcommand } from "./subcommands-deno.ts";
import { UPDATE_ROOT_KEY } from "./update/root-key.ts";
import { beginTrial, keepUpdated, type VersionTrial } from "./update/updates.ts";
import { WayWatch } from "./way-watch.ts";

/** A service manager gives a program about this long; the journals are durable at any moment. */
const STOP_LIMIT_MS = 4_500;
/** Between two looks whether the disk has room for the agent's memory. */
const ROOM_RETRY_MS = 5_000;

/** Where a program that ends unexpectedly says so besides. */
let lastWords: (sentence: string) => void = () => undefined;

if (import.meta.main) {
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    endUnexpectedly(event.reason);
  });
  Deno.exit(await main(Deno.args));
}

/** `socketRetryMs`: for tests, which cannot wait half an hour. */
export async function main(
  words: readonly string[],
  socketRetryMs: number = SOCKET_RETRY_MS,
): Promise<number> {
  try {
    return await carryOut(parseCommandLine(words), socketRetryMs);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\nAll commands and options: migrate-agent help`);
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
  const sentence = redact(`The agent met an unexpected error and stops: ${what.replaceAll(/\s+/g, " ")}`);
  console.error(sentence);
  lastWords(sentence);
  Deno.exit(EXIT.unexpected);
}

async function carryOut(command: Command, socketRetryMs: number): Promise<number> {
  switch (command.kind) {
    case "help":
      console.log(USAGE);
      return EXIT.stopped;
    case "register":
      return await registerAndRun(command, { socketRetryMs, service: false });
    case "start":
      return await start(command, socketRetryMs);
    case "version":
    case "doctor":
    case "status":
    case "unregister":
    case "logs":
    case "verify":
    case "self-test":
      return await runSubcommand(command);
  }
}

/** `service`: as of `start`, which registers on its first run. */
async function registerAndRun(
  command: Extract<Command, { kind: "register" }>,
  { socketRetryMs, service }: { socketRetryMs: number; service: boolean },
): Promise<number> {
  const folder = folderOf(command.state);
  const configPath = `${folder}${SEPARATOR}${CONFIG_FILE}`;
  joinNetwork(folder);
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
  const platform = loggingPlatform(folder);
  // Before the code is used up: afterwards everything must be there to keep the key.
  const state = await openState(platform, folder);
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
  if (command.exit) {
    state.close();
    return EXIT.stopped;
  }
  return await run({ platform, state, folder, config, socketRetryMs, trial: null, isKeptRunning: service });
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
      const found = await findObstacle(lookAt(platform, url), AbortSignal.any([]));
      if (found !== null)
        throw new Exit(
          EXIT.unreachable,
          `Cannot reach ${host}: ${found.what}. ${found.todo}. If that is not the address, give the right one with --url`,
        );
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

function lookAt({ clock }: Platform, url: string): ObstacleInput {
  return { probe: denoProbe, clock, environment: (name) => Deno.env.get(name), url };
}

async function start(
  { state: given, service }: Extract<Command, { kind: "start" }>,
  socketRetryMs: number,
): Promise<number> {
  const folder = folderOf(given);
  const path = `${folder}${SEPARATOR}${CONFIG_FILE}`;
  const code = Deno.env.get("REGISTER_CODE");
  // A service is started in one way, the first time and ever after; its code has been used up then.
  if (code && !Deno.env.get("MIGRATE_AGENT_KEY") && readFile(path) === null)
    return await registerAndRun(
      { kind: "register", code, url: null, name: null, state: given, exit: false },
      { socketRetryMs, service },
    );
  joinNetwork(folder);
  const config = readConfig(path);
  const platform = loggingPlatform(folder);
  // Before anything that a new version may fail in; but a second agent, which ends in a moment, is no start of it.
  const trial = (await isOccupied(platform, folder))
    ? ({ kind: "none" } as const)
    : beginTrial({
        platform,
        store: updateStore(folder),
        version: VERSION,
        executable: ownExecutable(platform),
      });
  if (trial.kind === "taken_back")
    return complain(
      EXIT.replaced,
      `Version ${VERSION} did not work here; ${trial.version} is in its place again`,
    );
  const world = { platform, state: await openState(platform, folder), folder, config, socketRetryMs };
  return await run({
    ...world,
    trial: trial.kind === "on_trial" ? trial.trial : null,
    isKeptRunning: service,
  });
}

/** What it logs is kept in the state folder besides, and so is what ends it unexpectedly. */
function loggingPlatform(folder: string): Platform {
  const files = new LogFiles(`${folder}${SEPARATOR}${LOG_FOLDER}`, LOG_BYTES_MAX, (reason) => {
    const advice = "The agent goes on; this log is on stderr alone until the disk takes it again";
    writeToStderr(logLine(Date.now(), "log_not_written", { reason, advice }));
  });
  lastWords = (sentence) => files.write(`${new Date().toISOString()} ${sentence}`);
  return denoPlatform((line) => {
    writeToStderr(line);
    files.write(line);
  });
}

// --- running -----------------------------------------------------------------------------------------------------

interface World {
  readonly platform: Platform;
  readonly state: AgentState;
  readonly folder: string;
  readonly config: AgentConfig;
  readonly socketRetryMs: number;
  /** Of a version that was put in place and has to prove itself. */
  readonly trial: VersionTrial | null;
  readonly isKeptRunning: boolean;
}

async function run({
  platform: silent,
  state,
  folder,
  config: given,
  socketRetryMs,
  trial,
  isKeptRunning,
}: World): Promise<number> {
  // The key changes from time to time; whoever calls the control plane looks here.
  const config = { ...given };
  const agentId = agentOfKey(config.key);
  state.claim(agentId);
  let board: StatusBoard | null = null;
  const platform: Platform = {
    ...silent,
    log: (event, fields) => {
      silent.log(event, fields);
      board?.heard(event, fields);
      // The hub's welcome is what a new version has to come to.
      if (event === "session_opened") trial?.prove();
      way.heard(event, fields);
    },
  };
  const way = new WayWatch({
    platform,
    find: (signal) => findObstacle(lookAt(platform, config.url), signal),
  });
  const gates = new AccountGates(platform.clock, platform.random);
  const policy = openPolicy(platform, folder);
  const mayRemove = (job: JobConfig) => policy.mayRemove(job);
  const policyRefusal = (destination: JobDestination) => policy.destinationRefusal(destination);
  const throttle = new Throttle(platform.clock);
  const manifests = new ManifestUploads({
    platform,
    config,
    throttle,
    folder: `${folder}${SEPARATOR}manifests`,
  });
  const lease = new Lease(platform.clock);
  const runner = new Runner({
    platform,
    lease,
    state,
    startRun,
    manifestWritten: (manifest) => manifests.add(manifest),
    shared: { throttle, gates, memory: new MemoryBudget(RUNS_MAX) },
    mayRemove,
    folders: { journals: `${folder}${SEPARATOR}jobs`, manifests: `${folder}${SEPARATOR}manifests` },
    refusal: (job) => {
      const verdict = judgeSource(job.source.path, platform.disk, folder);
      if (verdict.kind === "refused") return { code: "SOURCE_REFUSED", message: verdict.message };
      return policy.refusal(job);
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
        policyRefusal,
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
  const replaced = new AbortController();
  const stopped = onStopSignal(platform, replaced.signal, async () => {
    if (!replaced.signal.aborted) trial?.withdraw();
    life.abort();
    try {
      await runner.suspend();
    } finally {
      // After the runs, so that what they told last still goes out, and `bye` is the last word.
      session.abort();
    }
  });
  runner.start();
  board = new StatusBoard({
    platform,
    facts: { version: VERSION, agentId, url: config.url },
    unfinished: () => state.unfinished(),
    progress: () => runner.progress(),
    write: (text) => writeTextFile(`${folder}${SEPARATOR}${STATUS_FILE}`, text),
  });
  const telling = board.run(life.signal);
  const watching = way.run(life.signal);
  const uploading = manifests.run(life.signal);
  const purging = keepPurging(
    {
      platform,
      state,
      gates,
      mayRemove,
      isFenced: () => lease.isFenced,
      askGrant: (job, signal) => askGrant({ ...job, platform, config, policyRefusal }, signal),
      report: (told, signal) => reportQuarantine(platform, config, told, signal),
      openDestination: (destination, grants) => openDestination(destination, grants, platform),
      purge: ({ jobId, source }, options) => purgeQuarantine(platform, { root: source.path, jobId }, options),
    },
    life.signal,
  );
  const updating = followReleases().then((end) => end === "replaced" && replaced.abort());
  const end = await holdSession({
    platform,
    config,
    identity: {
      get generation() {
        return state.generation;
      },
      storeGeneration: (generation) => state.storeGeneration(generation),
      storeKey: (key) => {
        const path = `${folder}${SEPARATOR}${CONFIG_FILE}`;
        const text = readTextFile(path);
        // One that was handed in by the environment is kept where we cannot write.
        if (text === null || parseConfig(text).key !== config.key) return false;
        writeTextFile(path, formatConfig({ ...parseConfig(text), key }));
        config.key = key;
        platform.log("key_stored", {});
        return true;
      },
    },
    agentId,
    work: runner,
    lease,
    machine: describeMachine(),
    socketRetryMs,
    signal: session.signal,
  });
  if (end.kind === "revoked") {
    life.abort();
    await runner.suspend();
    await Promise.all([purging, uploading, telling, updating, watching]);
    state.close();
    return complain(
      EXIT.revoked,
      "This agent was revoked in the dashboard. It moves nothing any more; to use this machine again, run " +
        "migrate-agent unregister, and register with a new code",
    );
  }
  await stopped;
  await Promise.all([purging, uploading, telling, updating, watching]);
  state.close();
  board = null;
  platform.log("agent_stopped", { agentId });
  return replaced.signal.aborted ? EXIT.replaced : EXIT.stopped;

  /** This version proves itself, and only then looks for the next one. */
  async function followReleases(): Promise<"replaced" | "stopped"> {
    const watched = (await trial?.watch(life.signal)) ?? "proved";
    if (watched === "taken_back") return "replaced";
    if (watched === "stopped") return "stopped";
    const executable = ownExecutable(platform);
    const store = updateStore(folder);
    const kept = await keepUpdated(
      {
        platform,
        store,
        version: VERSION,
        executable,
        config,
        agentId,
        rootKey: UPDATE_ROOT_KEY,
        channel: "stable",
        target: Deno.build.target,
        isKeptRunning,
        mayUpdate: () => policy.mayUpdate,
        isIdle: () => runner.isIdle,
      },
      life.signal,
    );
    return kept === "installed" ? "replaced" : "stopped";
  }
}

/**
 * Resolves when the first signal has been heard, or another version is in this one's place, and `stop` is through. A second
 * signal ends the program at once.
 */
function onStopSignal(platform: Platform, replaced: AbortSignal, stop: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let heard = false;
    const exit = () => Deno.exit(replaced.aborted ? EXIT.replaced : EXIT.stopped);
    const listener = () => {
      if (heard) exit();
      heard = true;
      platform.log("agent_stopping", {});
      setTimeout(exit, STOP_LIMIT_MS);
      stop().then(resolve, reject);
    };
    replaced.addEventListener("abort", listener, { once: true });
    for (const signal of STOP_SIGNALS) Deno.addSignalListener(signal, listener);
  });
}

/**
 * Opens `agent.db` for this process alone; held open, it keeps every other agent out of the folder. A disk without room for it is
 * waited for: a service that ended here would not be started again.
 */
async function openState(platform: Platform, folder: string): Promise<AgentState> {
  for (let isSaid = false; ; isSaid = true) {
    try {
      return await openPatiently(() => tryState(platform, folder));
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (error.code === "busy") {
        throw new Exit(
          EXIT.occupied,
          `Another agent is running with the state folder "${folder}". Stop it, or give this one its own with --state <folder>`,
        );
      }
      if (error.code !== "no_space") {
        // SQLite has one sentence for many causes, a read-only disk among them.
        const reason = writeRefusal(folder) ?? error.message;
        throw new Exit(
          EXIT.refused,
          `Cannot use the state folder "${folder}": ${reason}. Give another with --state <folder>`,
        );
      }
      if (!isSaid) {
        const advice = "Make room on that disk, or give another folder with --state <folder>. Waiting for it";
        platform.log("state_has_no_room", { reason: error.message, advice });
      }
      await platform.clock.sleep(ROOM_RETRY_MS, AbortSignal.any([]));
    }
  }
}

function tryState(platform: Platform, folder: string): AgentState {
  for (const each of [folder, `${folder}${SEPARATOR}jobs`, `${folder}${SEPARATOR}manifests`])
    makeFolder(each);
  const database = platform.openDatabase(`${folder}${SEPARATOR}agent.db`, { exclusive: true });
  try {
    return new AgentState(database, makeReserve(`${folder}${SEPARATOR}reserve.bin`));
  } catch (error) {
    database.close();
    throw error;
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
