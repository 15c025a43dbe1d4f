/** What tests hand to the models instead of a browser: a clock moved by hand, sockets played by the test, and a small API that works. */
import type { Agent, Job, Page, Session } from "../schema/api.ts";
import type { JobTotals } from "../schema/job.ts";
import type { LiveJob, LiveMessage } from "../schema/live.ts";
import { type Api, createApi } from "./api.ts";
import type { Clock } from "./clock.ts";
import type { LiveSocket, LiveWorld, SocketEvents } from "./live.ts";

export interface TestClock extends Clock {
  /** Lets time pass, running what falls due in its order, and lets promises settle in between. */
  pass(ms: number): Promise<void>;
}

export function createTestClock(startMs = Date.parse("2026-05-31T12:00:00Z")): TestClock {
  let nowMs = startMs;
  let timers: { readonly dueMs: number; readonly run: () => void }[] = [];
  return {
    now: () => nowMs,
    after(delayMs, run) {
      const timer = { dueMs: nowMs + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    async pass(ms) {
      const endMs = nowMs + ms;
      await settle();
      for (;;) {
        const next = timers
          .filter((timer) => timer.dueMs <= endMs)
          .sort((one, other) => one.dueMs - other.dueMs)[0];
        if (next === undefined) break;
        timers = timers.filter((timer) => timer !== next);
        nowMs = Math.max(nowMs, next.dueMs);
        next.run();
        await settle();
      }
      nowMs = endMs;
    },
  };
}

/** Promises that are ready run; a chain of a few `then`s needs a few turns. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

export interface PlayedSocket {
  readonly path: string;
  readonly events: SocketEvents;
  readonly sent: string[];
  closedByUs: boolean;
  say(message: LiveMessage): void;
}

export function createSockets() {
  const sockets: PlayedSocket[] = [];
  return {
    sockets,
    /** The newest socket. */
    get last(): PlayedSocket {
      const socket = sockets.at(-1);
      if (socket === undefined) throw new Error("Cannot play the socket: none was opened");
      return socket;
    },
    open(path: string, events: SocketEvents): LiveSocket {
      const socket: PlayedSocket = {
        path,
        events,
        sent: [],
        closedByUs: false,
        say: (message) => events.received(JSON.stringify([message])),
      };
      sockets.push(socket);
      return {
        send: (text) => socket.sent.push(text),
        close: () => {
          socket.closedByUs = true;
        },
      };
    },
  };
}

export function createLiveWorld(
  clock: Clock,
  sockets: ReturnType<typeof createSockets>,
  random = () => 0.5,
): LiveWorld {
  return { clock, random, openSocket: (path, events) => sockets.open(path, events) };
}

export interface AskedRequest {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly key: string | null;
}
export type Answerer = (request: AskedRequest) => { status?: number; body?: unknown } | "lost";

/** An API over an answerer; `asked` holds what was asked, in order. */
export function createTestApi(
  answer: Answerer,
  onSignedOut: () => void = () => {},
): { api: Api; asked: AskedRequest[] } {
  const asked: AskedRequest[] = [];
  const api = createApi((path, init) => {
    const headers = new Headers(init.headers);
    const request: AskedRequest = {
      method: init.method ?? "GET",
      path,
      body: typeof init.body === "string" ? (JSON.parse(init.body) as unknown) : null,
      key: headers.get("Idempotency-Key"),
    };
    asked.push(request);
    const answered = answer(request);
    if (answered === "lost") return Promise.reject(new TypeError("Failed to fetch"));
    const { status = 200, body = null } = answered;
    return Promise.resolve(status === 204 ? new Response(null, { status }) : Response.json(body, { status }));
  }, onSignedOut);
  return { api, asked };
}

export function pageWith<Item>(items: Item[], nextCursor: string | null = null): Page<Item> {
  return { items, nextCursor };
}

const TOTALS: JobTotals = {
  filesTotal: 10,
  filesCompleted: 0,
  filesFailed: 0,
  filesSkipped: 0,
  filesVerified: 0,
  filesReadBack: 0,
  filesDeleted: 0,
  bytesTotal: 1_000,
  bytesCompleted: 0,
  bytesFailed: 0,
  bytesSkipped: 0,
  bytesSent: 0,
};

export function totalsWith(change: Partial<JobTotals> = {}): JobTotals {
  return { ...TOTALS, ...change };
}

export function liveJobWith(change: Partial<LiveJob> = {}): LiveJob {
  return {
    jobId: "job_1",
    agentId: "agt_1",
    epoch: 1,
    status: "running",
    desiredState: "run",
    totals: totalsWith(),
    bytesInFlight: 0,
    bytesPerSecond: 125_000,
    secondsRemaining: 8,
    currentPath: "a.bin",
    error: null,
    agentOnline: true,
    updatedAt: "2026-05-31T12:00:00.000Z",
    ...change,
  };
}

export function jobWith(change: Partial<Job> = {}): Job {
  return {
    id: "job_1",
    name: "Files",
    projectId: "prj_1",
    projectName: "Project",
    clientId: "cli_1",
    clientName: "Client",
    agentId: "agt_1",
    agentName: "fs01",
    agentStatus: "online",
    agentLastSeenAt: "2026-05-31T12:00:00.000Z",
    config: {
      type: "migrate_files",
      name: "Files",
      source: { kind: "local", path: "/srv/files" },
      destination: { kind: "azure_blob", account: "acme", container: "files", prefix: "", tier: "Hot" },
      options: {
        filters: {
          include: [],
          exclude: [],
          modifiedAfter: null,
          modifiedBefore: null,
          sizeBytesMin: null,
          sizeBytesMax: null,
        },
        concurrency: 4,
        chunkSizeMiB: 8,
        verify: true,
        readbackPercent: 0,
        existing: "skip_identical",
        archived: "skip",
        bandwidthMbps: null,
        deletion: null,
        repetition: null,
      },
      schedule: null,
    },
    status: "running",
    desiredState: "run",
    desiredRev: 1,
    appliedRev: 1,
    epoch: 1,
    totals: totalsWith(),
    preview: null,
    error: null,
    report: null,
    createdAt: "2026-05-31T11:00:00.000Z",
    startedAt: "2026-05-31T11:00:01.000Z",
    finishedAt: null,
    ...change,
  };
}

export function agentWith(change: Partial<Agent> = {}): Agent {
  return {
    id: "agt_1",
    name: "fs01",
    host: "FS01",
    os: "windows",
    arch: "x64",
    version: "0.1.0",
    label: null,
    clientId: null,
    status: "online",
    lastSeenAt: "2026-05-31T12:00:00.000Z",
    freeDiskBytes: null,
    connection: null,
    activeJobCount: 0,
    createdAt: "2026-05-01T12:00:00.000Z",
    ...change,
  };
}

export const SESSION: Session = {
  user: { id: "usr_1", name: "Tina Technician", email: "tina@msp.example", role: "admin" },
  organization: { id: "org_1", name: "Contoso" },
  hubUrl: "https://hub.example",
  expiresAt: "2026-05-31T20:00:00.000Z",
};
