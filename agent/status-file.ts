/**
 * What an agent that runs tells of itself to whoever asks on its machine, in `status.json` in its state folder: its memory is closed to others
 * while it runs. Hides when that is written; promises that a file that cannot be written stops nobody.
 */
import * as z from "zod";
import { jobConfig, jobTotals } from "../schema/job.ts";
import { agentConnection } from "../schema/protocol.ts";
import { DiskError, type LogFields, type Platform } from "./platform.ts";
import { redact } from "./redact.ts";
import type { JobState } from "./state.ts";
import type { Work } from "./session.ts";

export const STATUS_FILE = "status.json";
const WRITE_EVERY_MS = 10_000;
const JOBS_MAX = 100;

const connection = z.object({
  state: z.enum(["connecting", "connected", "lost"]),
  /** The way that is used, or was tried last; null before the first. */
  way: agentConnection.nullable(),
  since: z.iso.datetime(),
  /** Why it was lost, and what a person can do about it. */
  reason: z.string().nullable(),
});

const job = z.object({
  jobId: z.string(),
  epoch: z.int(),
  name: z.string(),
  source: z.string(),
  /** Null where nothing says in which cloud the account is. */
  storage: z.string().nullable(),
  wanted: z.string(),
  phase: z.string().nullable(),
  totals: jobTotals.nullable(),
  bytesPerSecond: z.number().nullable(),
});

/** A newer release that this agent has not put in place, and why. */
const update = z.object({ version: z.string(), reason: z.string() });

export const statusFile = z.object({
  version: z.string(),
  agentId: z.string(),
  url: z.string(),
  startedAt: z.iso.datetime(),
  /** When it was written. */
  at: z.iso.datetime(),
  connection,
  /** Those that are not final. */
  jobs: z.array(job),
  update: update.nullable().default(null),
});
export type StatusFile = z.infer<typeof statusFile>;

export interface StatusInput {
  readonly platform: Platform;
  readonly facts: Pick<StatusFile, "version" | "agentId" | "url">;
  readonly unfinished: () => readonly JobState[];
  readonly progress: () => ReturnType<Work["progress"]>;
  /** Whole or not at all. */
  readonly write: (text: string) => void;
}

export class StatusBoard {
  readonly #input: StatusInput;
  readonly #startedAt: string;
  #connection: StatusFile["connection"];
  #update: StatusFile["update"] = null;
  /** What was found in the way, which says more than that a connection failed. */
  #obstacle: string | null = null;
  #written = "";

  constructor(input: StatusInput) {
    this.#input = input;
    this.#startedAt = this.#now();
    this.#connection = { state: "connecting", way: null, since: this.#startedAt, reason: null };
  }

  /** What is logged of the connection is what a person is told of it. */
  heard(event: string, fields: LogFields): void {
    const said = [fields["reason"], fields["advice"]].filter((part) => typeof part === "string");
    const reason = redact(said.join(". "));
    switch (event) {
      case "session_opened": {
        const way = agentConnection.safeParse(fields["connection"]).data ?? null;
        this.#obstacle = null;
        this.#connection = { state: "connected", way, since: this.#now(), reason: null };
        break;
      }
      case "session_lost":
      case "way_blocked":
      case "websocket_blocked": {
        if (event === "way_blocked") this.#obstacle = reason;
        // What the control plane itself has said came all the way.
        else if (event === "session_lost" && fields["advice"] !== null && fields["status"] !== 403)
          this.#obstacle = null;
        const isNew = this.#connection.state !== "lost";
        const since = isNew ? this.#now() : this.#connection.since;
        const told = this.#obstacle ?? reason;
        this.#connection = { state: "lost", way: this.#connection.way, since, reason: told };
        break;
      }
      case "update_available":
        this.#update = update.parse(fields);
        break;
      default:
        return;
    }
    this.#write();
  }

  /** Until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#write();
      await this.#input.platform.clock.sleep(WRITE_EVERY_MS, signal).catch(() => undefined);
    }
  }

  #write(): void {
    const { facts, write, platform } = this.#input;
    try {
      const status = {
        ...facts,
        startedAt: this.#startedAt,
        connection: this.#connection,
        jobs: this.#jobs(),
        update: this.#update,
      };
      const text = JSON.stringify(status);
      if (text === this.#written) return;
      write(`${JSON.stringify({ ...status, at: this.#now() })}\n`);
      this.#written = text;
    } catch (error) {
      if (!(error instanceof DiskError)) platform.log("status_not_written", { reason: String(error) });
    }
  }

  #jobs(): StatusFile["jobs"] {
    const running = new Map(this.#input.progress().map((one) => [one.jobId, one.progress]));
    return this.#input
      .unfinished()
      .slice(0, JOBS_MAX)
      .map(({ jobId, epoch, state, phase, config }) => {
        const parsed = jobConfig.safeParse(config).data;
        const progress = running.get(jobId);
        return {
          jobId,
          epoch,
          name: parsed?.name ?? jobId,
          source: parsed?.source.path ?? "",
          storage: parsed === undefined ? null : parsed.destination.account,
          wanted: state,
          phase: progress?.phase ?? phase,
          totals: progress?.totals ?? null,
          bytesPerSecond: progress?.bytesPerSecond ?? null,
        };
      });
  }

  #now(): string {
    return new Date(this.#input.platform.clock.now()).toISOString();
  }
}

/** Null where there is none, or none that is understood. */
export function readStatus(text: string | null): StatusFile | null {
  try {
    return statusFile.safeParse(JSON.parse(text ?? "")).data ?? null;
  } catch {
    return null;
  }
}
