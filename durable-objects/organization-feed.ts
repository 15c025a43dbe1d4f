/**
 * The feed of one organization: the newest state of its active jobs, from all its agents' objects to all its dashboards.
 * What it does not remember of them after a sleep it reads from D1 for the next viewer. Durable is only which session
 * watches at which agent's object, so that signing out closes those sockets too.
 */
import { DurableObject } from "cloudflare:workers";
import { isFinal } from "../schema/job.ts";
import {
  LIVE_CLOSE,
  LIVE_JOBS_MAX,
  LIVE_SOCKET_MS_MAX,
  type LiveFrame,
  type LiveJob,
} from "../schema/live.ts";
import { HEARTBEAT, HEARTBEAT_ANSWER } from "../schema/protocol.ts";
import { scopedDb } from "../schema/scoped-db.ts";
import type { AgentObject } from "./agent-object.ts";
import { activeJobs } from "./job-record.ts";
import { ORG_HEADER } from "./socket-headers.ts";
import {
  checkSockets,
  closeSocketsOf,
  nextCheckMs,
  viewerSessionOf,
  type ViewerSessionEnv,
} from "./viewer-sessions.ts";
import { Newest, ViewerWindows } from "./viewer-window.ts";

export interface OrganizationFeedEnv extends ViewerSessionEnv {
  readonly AGENT: DurableObjectNamespace<AgentObject>;
}

const VIEWERS_MAX = 1_000;
/** What arrives in so short a time goes to the viewers together; the first of it at once. */
const GATHER_MS = 50;
/** Sockets at agents' objects that are remembered, over all sessions; the oldest are forgotten, and noticed within a minute. */
const WATCHES_MAX = 5_000;
/** Calls at once when sessions end. */
const AGENTS_TOLD_MAX = 100;

export class OrganizationFeed extends DurableObject<OrganizationFeedEnv> {
  readonly #jobs = new Map<string, LiveJob>();
  readonly #windows = new ViewerWindows();
  readonly #gathered = new Newest();
  #isGathering = false;

  constructor(context: DurableObjectState, env: OrganizationFeedEnv) {
    super(context, env);
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair(HEARTBEAT, HEARTBEAT_ANSWER));
    context.storage.sql.exec(`
      CREATE TABLE IF NOT EXISTS watches (
        number INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, agent_id TEXT NOT NULL, until_ms INTEGER NOT NULL,
        UNIQUE (session_id, agent_id)
      );
      CREATE INDEX IF NOT EXISTS watches_until ON watches (until_ms);
    `);
  }

  /** A session is about to watch a job, at its agent's object. */
  async noteWatch(orgId: string, sessionId: string, agentId: string): Promise<void> {
    this.#assertOwn(orgId);
    const { sql } = this.ctx.storage;
    sql.exec("DELETE FROM watches WHERE until_ms <= ?", Date.now());
    const { number } = sql
      .exec<{ number: number }>(
        `INSERT INTO watches (session_id, agent_id, until_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT (session_id, agent_id) DO UPDATE SET until_ms = ?3 RETURNING number`,
        sessionId,
        agentId,
        Date.now() + LIVE_SOCKET_MS_MAX,
      )
      .one();
    sql.exec("DELETE FROM watches WHERE number <= ?", number - WATCHES_MAX);
  }

  /** Sessions that ended this moment: their sockets are closed, here and at the agents' objects. */
  async endSessions(orgId: string, sessionIds: readonly string[]): Promise<void> {
    this.#assertOwn(orgId);
    closeSocketsOf(this.#openSockets(), sessionIds);
    const agentIds = new Set<string>();
    for (const sessionId of sessionIds) {
      const held = this.ctx.storage.sql.exec<{ agent_id: string }>(
        "DELETE FROM watches WHERE session_id = ? RETURNING agent_id",
        sessionId,
      );
      for (const { agent_id } of held.toArray()) agentIds.add(agent_id);
    }
    const told = [...agentIds].slice(0, AGENTS_TOLD_MAX);
    // Those that cannot be told look at their viewers' sessions by themselves within a minute.
    await Promise.allSettled(
      told.map((agentId) => this.env.AGENT.getByName(agentId).endSessions(orgId, sessionIds)),
    );
  }

  override async alarm(): Promise<void> {
    await checkSockets(this.#openSockets(), this.env, Date.now());
    const dueMs = nextCheckMs(this.#openSockets());
    if (dueMs !== null) await this.ctx.storage.setAlarm(dueMs);
  }

  /** Hands states on to who watches; resolves with whether anybody does. */
  async publish(orgId: string, frame: LiveFrame): Promise<boolean> {
    this.#assertOwn(orgId);
    for (const message of frame) {
      if (message.type === "job") this.#keep(message.job);
      if (message.type === "agent") this.#setOnline(message.agentId, message.online);
    }
    const isWatched = this.#openSockets().length > 0;
    if (!isWatched) return false;
    for (const message of frame) this.#gathered.put(message);
    if (!this.#isGathering) this.#tellViewers();
    return true;
  }

  #tellViewers(): void {
    this.#isGathering = this.#gathered.size > 0;
    if (!this.#isGathering) return;
    const frame = this.#gathered.take();
    const text = JSON.stringify(frame);
    for (const socket of this.#viewers()) this.#windows.of(socket).tell(frame, text);
    setTimeout(() => this.#tellViewers(), GATHER_MS);
  }

  override async fetch(request: Request): Promise<Response> {
    const orgId = request.headers.get(ORG_HEADER) ?? "";
    this.#assertOwn(orgId);
    await this.#refresh(orgId);
    if (this.#viewers().length >= VIEWERS_MAX) return new Response("Too many viewers", { status: 503 });
    // From here on nothing waits, so that nothing can be published to this viewer before its snapshot.
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    const session = viewerSessionOf(request.headers, this.env, Date.now());
    server.serializeAttachment({ ...session, untilMs: Date.now() + LIVE_SOCKET_MS_MAX });
    const jobs = [...this.#jobs.values()];
    this.#windows.of(server).tell([{ type: "snapshot", jobs }]);
    void this.#checkLater(session.checkMs);
    const agentIds = new Set(jobs.map((job) => job.agentId));
    this.ctx.waitUntil(
      Promise.allSettled([...agentIds].map((id) => this.env.AGENT.getByName(id).watch(orgId))),
    );
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    if (typeof message === "string") this.#windows.of(socket).hear(message);
  }

  override webSocketError(socket: WebSocket): void {
    this.#windows.forget(socket);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    this.#windows.forget(socket);
    socket.close(code === 1005 || code === 1006 ? 1000 : code, "");
  }

  /** What D1 knows better: jobs of agents that have not reported, and jobs whose end was never published. */
  async #refresh(orgId: string): Promise<void> {
    const before = [...this.#jobs.keys()];
    const active = await activeJobs(scopedDb(this.env.DB, orgId));
    const activeIds = new Set(active.map((job) => job.jobId));
    for (const jobId of before) if (!activeIds.has(jobId)) this.#jobs.delete(jobId);
    for (const job of active) this.#keep(job);
  }

  #keep(job: LiveJob): void {
    const kept = this.#jobs.get(job.jobId);
    if (kept !== undefined && isNewer(kept, job)) return;
    this.#jobs.delete(job.jobId);
    if (isFinal(job.status)) return;
    this.#jobs.set(job.jobId, job);
    const oldest = this.#jobs.keys().next().value;
    if (this.#jobs.size > LIVE_JOBS_MAX && oldest !== undefined) this.#jobs.delete(oldest);
  }

  #setOnline(agentId: string, online: boolean): void {
    for (const [jobId, job] of this.#jobs) {
      if (job.agentId === agentId) this.#jobs.set(jobId, { ...job, agentOnline: online });
    }
  }

  #viewers(): WebSocket[] {
    const viewers: WebSocket[] = [];
    for (const socket of this.#openSockets()) {
      const { untilMs } = socket.deserializeAttachment() as { untilMs: number };
      if (untilMs < Date.now()) socket.close(LIVE_CLOSE.checkSession, "session check");
      else viewers.push(socket);
    }
    return viewers;
  }

  #openSockets(): WebSocket[] {
    return this.ctx.getWebSockets().filter((socket) => socket.readyState === WebSocket.OPEN);
  }

  async #checkLater(dueMs: number): Promise<void> {
    const armedMs = await this.ctx.storage.getAlarm();
    if (armedMs === null || armedMs > dueMs) await this.ctx.storage.setAlarm(dueMs);
  }

  /** The object's name is the organization's id. */
  #assertOwn(orgId: string): void {
    if (this.ctx.id.name !== orgId) throw new Error("The feed belongs to another organization");
  }
}

function isNewer(left: LiveJob, than: LiveJob): boolean {
  if (left.epoch !== than.epoch) return left.epoch > than.epoch;
  return left.updatedAt > than.updatedAt;
}
