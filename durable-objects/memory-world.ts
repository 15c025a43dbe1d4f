/**
 * A world for the hub in memory: storage, D1 as far as an agent's object uses it, sockets, alarm and clock. It works like
 * the real one in what the hub relies on (what is stored stays, a closed socket is no live socket, a guard that does not
 * hold changes nothing), and can fail where the real one can. The guards themselves are SQL, proved in `test/contract/`.
 */
import {
  isFinal,
  transferOptions,
  ZERO_TOTALS,
  type FileFailure,
  type JobConfig,
  type JobReport,
} from "../schema/job.ts";
import type { LiveFrame, LiveJob, LiveMessage } from "../schema/live.ts";
import {
  readHubFrame,
  type AgentMessage,
  type Desired,
  type Hello,
  type HubMessage,
  type VersionRange,
} from "../schema/protocol.ts";
import {
  Hub,
  SOCKET_LIMITS,
  type AgentSocket,
  type AgentSocketState,
  type DesiredRecord,
  type HubStore,
  type HubWorld,
  type Identity,
  type SessionState,
  type SocketLimits,
} from "./hub.ts";
import type { ViewerSocket } from "./live-view.ts";
import type { JobRecord } from "./job-record.ts";

export const ORG = "org_01kaqt4h2r5t8y1p3s6v9b2n4m";
export const AGENT = "agt_01kaqt4h2r5t8y1p3s6v9b2n4m";
export const KEY_HASH = "ab".repeat(32);
/** What the Worker offers with each connection. */
export const SPARE_KEY = "mig_agt1_the-next";
export const SPARE_KEY_HASH = "cd".repeat(32);
export const START_MS = Date.parse("2026-11-22T09:00:00Z");

export const CONFIG: JobConfig = {
  type: "migrate_files",
  name: "First pass",
  source: { kind: "local", path: "/srv/files" },
  destination: { kind: "azure_blob", account: "acmefiles", container: "files", prefix: "", tier: "Hot" },
  options: transferOptions.parse({}),
  schedule: null,
};

/** A job's row, as D1 would hold it. */
export interface JobRow {
  live: LiveJob;
  desiredRev: number;
  appliedRev: number;
  report: JobReport | null;
  /** It waits until the agent that had the epoch before has stopped. */
  isHeld?: boolean;
  readonly failures: Map<number, FileFailure>;
}

export class MemoryWorld implements HubWorld {
  hub: Hub;
  nowMs = START_MS;
  alarmMs: number | null = null;
  /** How often an alarm was set or taken away; each is a row that is paid for. */
  alarmChanges = 0;

  // The object's storage.
  identityRow: Identity | null = null;
  sessionRow: SessionState = { epoch: 0, eventSeq: 0, offlineDueMs: null, told: null };
  readonly desiredRows = new Map<string, DesiredRecord>();
  /** Counts writes to it. */
  storeWrites = 0;

  // D1.
  agentStatus: "online" | "offline" | "locked" = "offline";
  lastSeenMs: number | null = null;
  readonly jobs = new Map<string, JobRow>();
  /** Every write to D1, in order, with its time. */
  readonly writes: { readonly kind: string; readonly jobId: string | null; readonly atMs: number }[] = [];
  /** Calls to D1 that fail from now on: before anything is written, or with the answer lost behind it. */
  databaseFails: "never" | "before" | "after" = "never";

  // Sockets.
  readonly sockets: MemoryAgentSocket[] = [];
  readonly viewerSockets: MemoryViewer[] = [];
  readonly published: LiveMessage[] = [];
  feedWatched = false;
  /** What the feed's next answers wait for. */
  feedAnswers: PromiseWithResolvers<void> | null = null;

  readonly logged: string[] = [];

  readonly #versions: VersionRange | undefined;

  constructor(versions?: VersionRange) {
    this.#versions = versions;
    this.hub = new Hub(this, versions);
    this.hub.initialize({ orgId: ORG, agentId: AGENT, keyHash: KEY_HASH });
  }

  readonly store: HubStore = {
    identity: () => this.identityRow,
    setIdentity: (identity) => this.#write(() => (this.identityRow = identity)),
    session: () => this.sessionRow,
    setSession: (session) => this.#write(() => (this.sessionRow = session)),
    desired: () => [...this.desiredRows.values()],
    // Through JSON, as SQLite would keep it.
    setDesired: (record) =>
      this.#write(() =>
        this.desiredRows.set(record.desired.jobId, JSON.parse(JSON.stringify(record)) as DesiredRecord),
      ),
    dropDesired: (jobId) => this.#write(() => this.desiredRows.delete(jobId)),
  };

  record(): JobRecord {
    return {
      online: (_hello: Hello, nowMs) =>
        this.#database("online", null, () => {
          this.agentStatus = "online";
          this.lastSeenMs = nowMs;
        }),
      offline: (lastSeenMs) =>
        this.#database("offline", null, () => {
          if (this.agentStatus !== "online") return;
          this.agentStatus = "offline";
          this.lastSeenMs = lastSeenMs;
        }),
      locked: () =>
        this.#database("locked", null, () => {
          this.agentStatus = "locked";
        }),
      superseded: () => this.#database("superseded", null, () => {}),
      refused: ({ jobId }) => this.#database("refused", jobId, () => {}),
      keyRotated: () => this.#database("keyRotated", null, () => {}),
      applied: (message) =>
        this.#database("applied", message.jobId, () => {
          const row = this.#ofEpoch(message);
          if (row !== undefined) row.appliedRev = Math.max(row.appliedRev, message.rev);
        }),
      stopped: ({ jobId, epoch }) =>
        this.#database("stopped", jobId, () => {
          const row = this.jobs.get(jobId);
          if (row?.live.epoch === epoch + 1) row.isHeld = false;
        }),
      phase: (message) =>
        this.#database("phase", message.jobId, () => {
          const row = this.#ofEpoch(message);
          if (row === undefined || isFinal(row.live.status) || message.event.kind !== "phase") return;
          row.live = { ...row.live, status: message.event.phase, totals: risen(row, message.event.totals) };
        }),
      failures: (message) =>
        this.#database("failures", message.jobId, () => {
          const row = this.#ofEpoch(message);
          if (row === undefined || message.event.kind !== "files_failed") return;
          const { first, failures } = message.event;
          for (const [index, failure] of failures.entries()) row.failures.set(first + index, failure);
        }),
      progress: (message) =>
        this.#database("progress", message.jobId, () => {
          const row = this.#ofEpoch(message);
          if (row === undefined || isFinal(row.live.status)) return;
          row.live = { ...row.live, totals: risen(row, message.totals) };
        }),
      result: (message) =>
        this.#database("result", message.jobId, () => {
          const row = this.#ofEpoch(message);
          if (row === undefined || row.report !== null) return;
          row.report = message.report;
          const status = row.live.status === "cancelled" ? row.live.status : message.report.outcome;
          row.live = {
            ...row.live,
            status,
            error: message.report.error,
            totals: risen(row, message.report.totals),
          };
        }),
      live: async (jobId) => {
        if (this.databaseFails !== "never") throw new Error("D1 is away");
        const row = this.jobs.get(jobId);
        return row === undefined ? null : { ...row.live, agentOnline: this.agentStatus === "online" };
      },
    };
  }

  agentSocket(): MemoryAgentSocket | null {
    return this.sockets.find((socket) => socket.closed === null && !socket.lost) ?? null;
  }

  viewers(): MemoryViewer[] {
    return this.viewerSockets.filter((viewer) => viewer.closed === null);
  }

  async publish(_orgId: string, frame: LiveFrame): Promise<boolean> {
    this.published.push(...frame);
    await this.feedAnswers?.promise;
    return this.feedWatched;
  }

  setAlarm(atMs: number | null): void {
    this.alarmMs = atMs;
    this.alarmChanges++;
  }

  now(): number {
    return this.nowMs;
  }

  log(event: string): void {
    this.logged.push(event);
  }

  // --- what a test does ---

  /** Moves the clock, and rings the alarm whenever it is due. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (let rings = 0; this.alarmMs !== null && this.alarmMs <= untilMs; rings++) {
      if (rings > 100) throw new Error("The alarm rings without end");
      this.nowMs = Math.max(this.nowMs, this.alarmMs);
      this.alarmMs = null;
      await this.hub.alarm();
    }
    this.nowMs = untilMs;
  }

  /** The object is evicted: memory is gone, storage and sockets stay. */
  evict(): void {
    this.hub = new Hub(this, this.#versions);
  }

  /** What was begun and not waited for. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }

  connect(keyHash: string = KEY_HASH): MemoryAgentSocket {
    const older = this.sockets.filter((socket) => socket.closed === null && !socket.lost);
    const socket = new MemoryAgentSocket(this);
    this.sockets.push(socket);
    this.hub.connected(socket, older, { keyHash, spareKey: { key: SPARE_KEY, keyHash: SPARE_KEY_HASH } });
    return socket;
  }

  async join(jobId: string): Promise<MemoryViewer> {
    const viewer = new MemoryViewer(jobId);
    this.viewerSockets.push(viewer);
    await this.hub.viewerJoined(ORG, viewer);
    return viewer;
  }

  leave(viewer: MemoryViewer): void {
    viewer.closed = 1001;
    this.hub.viewersChanged();
  }

  /** What the API does when a person makes a job: the row, and then the word to the object. */
  addJob(jobId: string, config: JobConfig = CONFIG): Desired {
    const live: LiveJob = {
      jobId,
      agentId: AGENT,
      epoch: 1,
      status: "created",
      desiredState: "run",
      totals: ZERO_TOTALS,
      bytesInFlight: 0,
      bytesPerSecond: 0,
      secondsRemaining: null,
      currentPath: null,
      waiting: null,
      error: null,
      agentOnline: false,
      updatedAt: new Date(this.nowMs).toISOString(),
    };
    this.jobs.set(jobId, { live, desiredRev: 1, appliedRev: 0, report: null, failures: new Map() });
    return { type: "desired", jobId, epoch: 1, rev: 1, state: "run", config };
  }

  /** The API's part of pause, resume, cancel, finish and retry; the word to the object is for the test to pass on. */
  steer(jobId: string, action: "pause" | "run" | "cancel" | "finish" | "retry"): Desired {
    const row = this.row(jobId);
    row.desiredRev++;
    const state = action === "retry" ? "run" : action;
    if (action === "retry") {
      row.report = null;
      row.live = {
        ...row.live,
        epoch: row.live.epoch + 1,
        status: "created",
        totals: ZERO_TOTALS,
        error: null,
      };
    }
    row.live = { ...row.live, desiredState: state, ...(action === "cancel" ? { status: "cancelled" } : {}) };
    return { type: "desired", jobId, epoch: row.live.epoch, rev: row.desiredRev, state, config: CONFIG };
  }

  row(jobId: string): JobRow {
    const row = this.jobs.get(jobId);
    if (row === undefined) throw new Error(`There is no job ${jobId}`);
    return row;
  }

  #write(act: () => unknown): void {
    act();
    this.storeWrites++;
  }

  async #database(kind: string, jobId: string | null, act: () => void): Promise<void> {
    if (this.databaseFails === "before") throw new Error("D1 is away");
    act();
    this.writes.push({ kind, jobId, atMs: this.nowMs });
    if (this.databaseFails === "after") throw new Error("D1's answer was lost");
  }

  #ofEpoch({ jobId, epoch }: { jobId: string; epoch: number }): JobRow | undefined {
    const row = this.jobs.get(jobId);
    return row?.live.epoch === epoch ? row : undefined;
  }
}

/** One agent's socket with the agent at its other end, which says what the test wants. */
export class MemoryAgentSocket implements AgentSocket {
  limits: SocketLimits = SOCKET_LIMITS;
  readonly #world: MemoryWorld;
  #state: AgentSocketState | null = null;
  heartbeatMs: number | null = null;
  /** The code it was closed with by the hub. */
  closed: number | null = null;
  closedReason = "";
  /** The peer is gone, and the object knows. */
  lost = false;
  readonly received: HubMessage[] = [];
  readonly frameNumbers: number[] = [];
  /** Of the frames that came, and of those it says. */
  readonly versions: number[] = [];
  version = 1;
  sessionEpoch = 0;
  sent = 0;

  constructor(world: MemoryWorld) {
    this.#world = world;
  }

  get state(): AgentSocketState {
    if (this.#state === null) throw new Error("The socket has no state");
    return this.#state;
  }

  setState(state: AgentSocketState): void {
    const text = JSON.stringify(state);
    if (text.length > 2_048)
      throw new Error("The attachment is too large to be sure that the platform keeps it");
    this.#state = JSON.parse(text) as AgentSocketState;
  }

  send(text: string): void {
    if (this.closed !== null || this.lost) return;
    const { envelope, messages } = readHubFrame(text);
    this.frameNumbers.push(envelope.n);
    this.versions.push(envelope.v);
    this.received.push(...messages);
    for (const message of messages) {
      if (message.type === "welcome")
        [this.sessionEpoch, this.version] = [message.sessionEpoch, message.protocol];
    }
  }

  close(code: number, reason = ""): void {
    if (this.closed !== null) return;
    [this.closed, this.closedReason] = [code, reason];
  }

  /** Says messages in one frame. A frame that cannot be stored closes the socket, as the object does it. */
  async say(...messages: AgentMessage[]): Promise<void> {
    await this.raw(
      JSON.stringify({ v: this.version, s: this.sessionEpoch, n: ++this.sent, a: 0, m: messages }),
    );
  }

  async raw(text: string): Promise<void> {
    if (this.closed !== null) return;
    try {
      await this.#world.hub.frame(this, text);
    } catch {
      this.close(1011);
    }
  }

  async hello(applied: Hello["applied"] = {}, more: Partial<Hello> = {}): Promise<void> {
    await this.say({
      type: "hello",
      protocolMin: 1,
      protocolMax: 1,
      agentVersion: "0.1.0",
      host: "fs01",
      os: "linux",
      arch: "x86_64",
      instanceId: "one",
      applied,
      freeDiskBytes: null,
      ...more,
    });
  }

  /** The agent goes: with a good-bye, or without. */
  async leave(how: "clean" | "broken"): Promise<void> {
    this.lost = true;
    await this.#world.hub.disconnected(how === "clean");
  }

  /** All messages of a type that came, oldest first. */
  heard<Type extends HubMessage["type"]>(type: Type): Extract<HubMessage, { type: Type }>[] {
    return this.received.filter(
      (message): message is Extract<HubMessage, { type: Type }> => message.type === type,
    );
  }
}

export class MemoryViewer implements ViewerSocket {
  readonly jobId: string;
  readonly untilMs = Number.POSITIVE_INFINITY;
  readonly received: LiveMessage[] = [];
  closed: number | null = null;

  constructor(jobId: string) {
    this.jobId = jobId;
  }

  tell(frame: LiveFrame): void {
    this.received.push(...frame);
  }

  close(code: number): void {
    this.closed = code;
  }

  /** The states it was shown, oldest first. */
  get shown(): LiveJob[] {
    return this.received.flatMap((message) => {
      if (message.type === "snapshot") return message.jobs;
      return message.type === "job" ? [message.job] : [];
    });
  }
}

function risen(row: JobRow, totals: LiveJob["totals"]): LiveJob["totals"] {
  const before = row.live.totals;
  return Object.fromEntries(
    Object.entries(totals).map(([name, value]) => [
      name,
      Math.max(value, before[name as keyof typeof before]),
    ]),
  ) as unknown as LiveJob["totals"];
}
