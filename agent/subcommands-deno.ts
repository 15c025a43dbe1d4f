/** The commands besides running: each from what was typed to what is said and the exit code. */
import { resolve } from "node:path";
import { PROTOCOL_VERSION } from "../schema/protocol.ts";
import { VERSION } from "../schema/version.ts";
import type { Command } from "./command-line.ts";
import { CHECK_LIMIT_MS } from "./commands/doctor.ts";
import { runDoctor } from "./commands/doctor-command.ts";
import { followLogs, LOG_FOLDER, printLogs } from "./commands/logs.ts";
import { exitCodeOf, statusOf, statusWords } from "./commands/status.ts";
import { countWaiting, leftWords, removeAgent } from "./commands/unregister.ts";
import { runVerify } from "./commands/verify-command.ts";
import { agentOfKey, API_URL_DEFAULT, ConfigError, isLoopback, parseApiUrl } from "./config.ts";
import {
  EXIT,
  Exit,
  folderOf,
  isOccupied,
  joinNetwork,
  lastStatus,
  openPolicy,
  registrationIn,
  SEPARATOR,
  STOP_SIGNALS,
  usualFolder,
} from "./installation-deno.ts";
import { denoProbe } from "./network-probe-deno.ts";
import { denoPlatform } from "./platform-deno.ts";
import { DiskError } from "./platform.ts";
import { redact } from "./redact.ts";
import { isErrorTerminal, isPersonThere, print, readLine, say } from "./terminal-deno.ts";

export type Subcommand = Exclude<Command, { kind: "register" | "start" | "help" }>;

export async function runSubcommand(command: Subcommand): Promise<number> {
  switch (command.kind) {
    case "version":
      print(command.json ? JSON.stringify(versionFacts()) : versionWords());
      return EXIT.stopped;
    case "doctor":
      return await examine(command);
    case "status":
      return showStatus(command);
    case "unregister":
      return await unregister(command);
    case "logs":
      return await showLogs(command);
    case "verify":
      return await verifyManifest(command);
  }
}

function versionFacts() {
  const { os, arch } = Deno.build;
  return { version: VERSION, os, arch, deno: Deno.version.deno, protocol: PROTOCOL_VERSION };
}

function versionWords(): string {
  const { version, os, arch, deno } = versionFacts();
  return `migrate-agent ${version} (${os} ${arch}, Deno ${deno})`;
}

async function examine(command: Extract<Command, { kind: "doctor" }>): Promise<number> {
  const folder = folderOf(command.state);
  joinNetwork(folder);
  const platform = denoPlatform(() => undefined);
  const registered = registrationIn(folder);
  const last = lastStatus(folder);
  const given = command.url ?? (Deno.env.get("MIGRATE_API_URL") || null);
  const url = given === null ? (registered.url ?? API_URL_DEFAULT) : parseApiUrl(given);
  return await runDoctor(
    command,
    {
      platform,
      probe: denoProbe,
      environment: (name) => Deno.env.get(name),
      version: versionWords(),
      folder,
      url,
      registration:
        registered.kind !== "registered"
          ? registered
          : {
              kind: "registered",
              // It is told to nobody but whom it is for.
              key: registered.url === url ? registered.key : null,
            },
      isRunning: isOccupied(platform, folder),
      roots: [
        ...new Set([
          ...openPolicy(platform, folder).roots,
          ...(last?.jobs ?? []).map(({ source }) => source),
        ]),
      ],
      storage: command.storage === null ? storageOf(last) : [parseStorage(command.storage)],
      limitMs: CHECK_LIMIT_MS,
      signal: untilSignal(),
    },
    (text) => print(redact(text)),
  );
}

function showStatus({ state, json }: Extract<Command, { kind: "status" }>): number {
  const folder = folderOf(state);
  const registered = registrationIn(folder);
  if (registered.kind === "unreadable") throw new Exit(EXIT.refused, registered.message);
  const registration =
    registered.kind === "none" ? null : { url: registered.url, agentId: agentOfKey(registered.key) };
  const status = statusOf({
    folder,
    registration,
    isRunning: isOccupied(denoPlatform(), folder),
    version: VERSION,
    last: lastStatus(folder),
  });
  print(json ? JSON.stringify(status) : statusWords(status));
  return exitCodeOf(status);
}

async function unregister({ state, yes }: Extract<Command, { kind: "unregister" }>): Promise<number> {
  const folder = folderOf(state);
  const platform = denoPlatform();
  if (isOccupied(platform, folder)) {
    throw new Exit(
      EXIT.occupied,
      `The agent is running with the state folder "${folder}". Stop it first; its jobs keep what they have moved`,
    );
  }
  const registered = registrationIn(folder);
  const agent = agentIn(registered);
  const waiting = countWaiting(platform.disk, folder);
  if (!yes) {
    const lost =
      waiting === 0
        ? ""
        : ` ${waiting} lists of moved files were not brought to the dashboard yet, and would be lost.`;
    const question = `This removes the key and the memory of ${agent ?? "the agent"} from "${folder}". No moved file and no source is touched.${lost}\nType yes to go on: `;
    if (!isPersonThere())
      throw new Exit(
        EXIT.refused,
        "Nobody is there to be asked. To go on without a question: migrate-agent unregister --yes",
      );
    if ((await readLine(question, { isSecret: false })).trim().toLowerCase() !== "yes")
      throw new Exit(EXIT.refused, "Nothing was removed");
  }
  try {
    const removed = removeAgent(platform, folder);
    print(
      removed.files === 0
        ? `There was nothing of an agent in "${folder}"`
        : `This machine is not registered any more. ${leftWords(removed, folder)}`,
    );
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    throw new Exit(EXIT.refused, `${error.message}. Check the rights of this account, and run it once more`);
  }
  if (Deno.env.get("MIGRATE_AGENT_KEY")) print("MIGRATE_AGENT_KEY is still set: unset it, too");
  if (agent !== null)
    print(`The dashboard still knows ${agent}: an admin revokes and deletes it there, under Agents`);
  return EXIT.stopped;
}

async function showLogs({ state, lines, follow }: Extract<Command, { kind: "logs" }>): Promise<number> {
  const folder = `${folderOf(state)}${SEPARATOR}${LOG_FOLDER}`;
  const input = {
    platform: denoPlatform(),
    folder,
    linesMax: lines,
    out: print,
  };
  try {
    if (follow) await followLogs(input, untilSignal());
    else if (!printLogs(input))
      throw new Exit(EXIT.refused, `There is no log in "${folder}": no agent has run with this folder yet`);
    return EXIT.stopped;
  } catch (error) {
    // Whoever read it has gone.
    if (error instanceof Deno.errors.BrokenPipe) return EXIT.stopped;
    if (error instanceof DiskError) throw new Exit(EXIT.refused, error.message);
    throw error;
  }
}

/** Null also for a key that nobody can work with: what is left of it is to be removed all the same. */
function agentIn(registered: ReturnType<typeof registrationIn>): string | null {
  try {
    return registered.kind === "registered" ? agentOfKey(registered.key) : null;
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}

/** Of the jobs there are; in Azure's public cloud, because a job does not say in which its account is. */
function storageOf(last: ReturnType<typeof lastStatus>): readonly string[] {
  const accounts = (last?.jobs ?? []).flatMap(({ storage }) => storage ?? []);
  return [...new Set(accounts)].map((account) => `https://${account}.blob.core.windows.net`);
}

function parseStorage(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `https://${text}`);
  const isUsable =
    url !== null && (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname)));
  if (!isUsable)
    throw new Exit(
      EXIT.refused,
      "--storage needs an address such as https://name.blob.core.windows.net, without a SAS",
    );
  return url.origin;
}

async function verifyManifest(command: Extract<Command, { kind: "verify" }>): Promise<number> {
  const { manifest, against } = command;
  if (against.kind === "destination") joinNetwork(usualFolder());
  const place = against.kind === "source" ? resolve(against.place) : against.place;
  const rewritten = (text: string) => say(`\r\x1b[K${text}`);
  const isWatched = isErrorTerminal();
  return await runVerify(
    { ...command, manifest: resolve(manifest), against: { ...against, place } },
    {
      platform: denoPlatform(),
      readSecret: (prompt) => readLine(prompt, { isSecret: true }),
      out: (text) => {
        if (isWatched) rewritten("");
        print(text);
      },
      complain: (text) => say(`${redact(text)}\n`),
      progress: isWatched ? rewritten : null,
      signal: untilSignal(),
    },
  );
}

/** Aborted by the first signal to stop; a second one ends the program at once. */
function untilSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of STOP_SIGNALS) {
    Deno.addSignalListener(signal, () => {
      if (stop.signal.aborted) Deno.exit(EXIT.unexpected);
      stop.abort(new Error("stopped"));
    });
  }
  return stop.signal;
}
