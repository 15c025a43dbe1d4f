/** `migrate-agent status`: how the agent of this machine is, from what it wrote of itself and whether it runs. */
import type { StatusFile } from "../status-file.ts";
import { count, shown, size } from "./plain-text.ts";

const EXIT = { connected: 0, not: 1 } as const;

export interface StatusFacts {
  readonly folder: string;
  /** Null: not registered. */
  readonly registration: { readonly url: string; readonly agentId: string } | null;
  readonly isRunning: boolean;
  readonly version: string;
  /** What was written last, perhaps by an agent that is gone. */
  readonly last: StatusFile | null;
}

export interface Status {
  readonly state: "not_registered" | "stopped" | "connecting" | "connected" | "lost";
  readonly folder: string;
  readonly version: string;
  readonly agentId: string | null;
  readonly url: string | null;
  /** Null while it does not run. */
  readonly connection: StatusFile["connection"] | null;
  /** Of the agent that runs, or as the last one left them. */
  readonly jobs: StatusFile["jobs"];
  readonly startedAt: string | null;
  readonly at: string | null;
  /** A newer release that the agent knows of and has not put in place. */
  readonly update: StatusFile["update"];
}

export function statusOf({ folder, registration, isRunning, version, last }: StatusFacts): Status {
  // What another agent left here is not this one's.
  const own = last !== null && last.agentId === registration?.agentId ? last : null;
  const connection = isRunning ? (own?.connection ?? null) : null;
  return {
    state:
      registration === null ? "not_registered" : isRunning ? (connection?.state ?? "connecting") : "stopped",
    folder,
    version,
    agentId: registration?.agentId ?? null,
    url: registration?.url ?? null,
    connection,
    jobs: own?.jobs ?? [],
    startedAt: isRunning ? (own?.startedAt ?? null) : null,
    at: own?.at ?? null,
    // What a version before this one said of it may be this one.
    update: own?.version === version ? own.update : null,
  };
}

/** For scripts: 0 only while it runs and is connected. */
export function exitCodeOf({ state }: Status): number {
  return state === "connected" ? EXIT.connected : EXIT.not;
}

export function statusWords(status: Status): string {
  const { agentId, url, folder, version, jobs, at, update } = status;
  return [
    `Agent: ${stateWords(status)}`,
    ...(agentId === null ? [] : [`Registered as ${agentId} at ${url}`]),
    `Version: ${version}`,
    ...(update === null ? [] : [`Update available: ${shown(update.version)}; ${shown(update.reason)}`]),
    `State folder: ${shown(folder)}`,
    ...(jobs.length === 0 ? [] : [`${status.state === "stopped" ? `Jobs, as of ${at}` : "Jobs"}:`]),
    ...jobs.map((job) => `  ${jobWords(job)}`),
    "",
  ].join("\n");
}

function stateWords({ state, connection }: Status): string {
  const since = connection === null ? "" : ` since ${connection.since}`;
  const reason = connection?.reason ?? "";
  switch (state) {
    case "not_registered":
      return "not registered. Run migrate-agent --register <CODE> with a code from Settings in the dashboard";
    case "stopped":
      return "registered, but not running. Run migrate-agent start";
    case "connecting":
      return `running, and connecting${since}`;
    case "connected":
      return `running, and connected${since}${connection?.way === "long_poll" ? ", by HTTPS requests because no WebSocket passes" : ""}`;
    case "lost":
      return `running, but without connection${since}: ${shown(reason)}. Run migrate-agent doctor`;
  }
}

function jobWords({
  name,
  source,
  wanted,
  phase,
  totals,
  bytesPerSecond,
}: StatusFile["jobs"][number]): string {
  const far =
    totals === null
      ? ""
      : `, ${totals.filesCompleted.toLocaleString("en-US")} of ${count(totals.filesTotal, "file")} (${size(totals.bytesCompleted)}), ${totals.filesFailed.toLocaleString("en-US")} failed`;
  const speed = bytesPerSecond === null || bytesPerSecond === 0 ? "" : `, ${size(bytesPerSecond)} a second`;
  return `${shown(name)} from ${shown(source)}: ${phase ?? `waits (${wanted})`}${far}${speed}`;
}
