/**
 * One agent's Durable Object: sockets, storage, alarm and calls, handed to the {@link Hub}, which decides.
 *
 * Calls and frames are taken one at a time (`#inTurn`), because the hub waits for D1 in between and the runtime would let
 * the next one in. Every method that is not private can be called through the binding, so each checks the organization.
 */
import { DurableObject } from "cloudflare:workers";
import {
  CLOSE,
  HEARTBEAT,
  HEARTBEAT_ANSWER,
  SUBPROTOCOL,
  type Desired,
  type SyncRequest,
} from "../schema/protocol.ts";
import { LIVE_CLOSE, LIVE_SOCKET_MS_MAX, type LiveFrame } from "../schema/live.ts";
import { scopedDb } from "../schema/scoped-db.ts";
import {
  Hub,
  SOCKET_LIMITS,
  type AgentSocket,
  type AgentSocketState,
  type Authority,
  type SpareKey,
} from "./hub.ts";
import { jobRecord } from "./job-record.ts";
import type { ViewerSocket } from "./live-view.ts";
import { PolledLine, PolledLines, type LineEnd } from "./polled-lines.ts";
import type { OrganizationFeed } from "./organization-feed.ts";
import {
  JOB_HEADER,
  KEY_HASH_HEADER,
  ORG_HEADER,
  SPARE_KEY_HASH_HEADER,
  SPARE_KEY_HEADER,
} from "./socket-headers.ts";
import { hubStore } from "./storage.ts";
import {
  checkSockets,
  closeSocketsOf,
  nextCheckMs,
  viewerSessionOf,
  type ViewerSession,
  type ViewerSessionEnv,
} from "./viewer-sessions.ts";
import { ViewerWindows } from "./viewer-window.ts";

export interface AgentObjectEnv extends ViewerSessionEnv {
  readonly FEED: DurableObjectNamespace<OrganizationFeed>;
}

interface ViewerState extends ViewerSession {
  readonly kind: "viewer";
  readonly jobId: string;
  readonly untilMs: number;
}

/** A request of the long poll from an agent whose key the Worker has checked. */
export interface SyncCall extends Pick<SyncRequest, "line" | "frame" | "received" | "close"> {
  readonly keyHash: string;
  /** With the frame that opens a line. */
  readonly spareKey: SpareKey | null;
}

export interface SyncReply {
  /** Frames as texts, in order. */
  readonly frames: readonly string[];
  readonly closed: LineEnd | null;
}

const VIEWERS_MAX = 1_000;
/** The feed only shows: it is not waited for longer. */
const FEED_LIMIT_MS = 10_000;

export class AgentObject extends DurableObject<AgentObjectEnv> {
  readonly #hub: Hub;
  readonly #lines: PolledLines;
  readonly #windows = new ViewerWindows();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(context: DurableObjectState, env: AgentObjectEnv) {
    super(context, env);
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair(HEARTBEAT, HEARTBEAT_ANSWER));
    this.#lines = new PolledLines(context.storage.sql);
    this.#hub = new Hub({
      store: hubStore(context.storage.sql),
      record: ({ orgId, agentId }) => jobRecord(scopedDb(env.DB, orgId), agentId),
      agentSocket: () => this.#agentSockets()[0] ?? null,
      viewers: () => this.#viewers(),
      publish: (orgId, frame) => this.#publish(orgId, frame),
      setAlarm: (atMs) => this.#arm(atMs),
      now: () => Date.now(),
      log: (event, fields) => console.log(JSON.stringify({ event, ...fields })),
    });
  }

  async initialize(identity: Parameters<Hub["initialize"]>[0]): Promise<void> {
    await this.#inTurn(async () => this.#hub.initialize(identity));
  }

  async authorize(keyHash: string): Promise<Authority | null> {
    return this.#hub.authorize(keyHash);
  }

  async approve(orgId: string): Promise<void> {
    await this.#inTurn(async () => this.#hub.approve(orgId));
  }

  async unlock(orgId: string): Promise<void> {
    await this.#inTurn(async () => this.#hub.unlock(orgId));
  }

  /** Closes the live sockets of sessions that ended. */
  async endSessions(orgId: string, sessionIds: readonly string[]): Promise<void> {
    const viewers = this.#viewerSockets();
    const own = viewers.filter((socket) => (socket.deserializeAttachment() as ViewerState).orgId === orgId);
    closeSocketsOf(own, sessionIds);
  }

  async setDesired(orgId: string, desired: Desired): Promise<void> {
    await this.#inTurn(() => this.#hub.setDesired(orgId, desired));
  }

  async release(orgId: string, desired: Desired): Promise<number | null> {
    return await this.#inTurn(async () => this.#hub.release(orgId, desired));
  }

  async revoke(orgId: string): Promise<void> {
    await this.#inTurn(async () => {
      const line = this.#lines.open();
      this.#hub.revoke(orgId);
      // A line has no event of its own when it is closed.
      if (line !== null && line.closed !== null) await this.#hub.disconnected(false);
    });
  }

  async checkPresence(orgId: string): Promise<void> {
    await this.#inTurn(() => this.#hub.checkPresence(orgId));
  }

  async watch(orgId: string): Promise<void> {
    this.#hub.watch(orgId);
  }

  /** What came over the long poll is taken, and what waits there is answered, at once: whoever waits does so elsewhere. */
  async sync(call: SyncCall): Promise<SyncReply> {
    return await this.#inTurn(async () => {
      const line = this.#lines.find(call.line) ?? this.#beginLine(call);
      if (!(line instanceof PolledLine)) return { frames: [], closed: line };
      const wasOpen = line.closed === null;
      line.heard(Date.now(), call.received);
      if (call.frame !== null) await this.#takeFrame(line, call.frame);
      if (call.close !== null) line.close(call.close, "closed by the agent");
      if (wasOpen && line.closed !== null) await this.#hub.disconnected(line.closed.code === 1000);
      return { frames: line.waiting.map(({ text }) => text), closed: line.closed };
    });
  }

  /** An upgrade, from an agent (with the hash of its key) or from a dashboard (with organization and job). */
  override async fetch(request: Request): Promise<Response> {
    const keyHash = request.headers.get(KEY_HASH_HEADER);
    return await this.#inTurn(async () =>
      keyHash === null
        ? await this.#connectViewer(request)
        : this.#connectAgent(keyHash, spareKeyOf(request)),
    );
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    if (isViewer(socket)) {
      if (typeof message === "string") this.#windows.of(socket).hear(message);
      return;
    }
    await this.#inTurn(async () => {
      // Frames of a socket that was given up may still be on their way: its session is over.
      if (!isOpen(socket)) return;
      if (typeof message !== "string") return socket.close(1003, "text only");
      try {
        await this.#hub.frame(this.#agentSocket(socket), message);
      } catch (error) {
        // Not acked, so the agent says it again on its next socket.
        console.error(JSON.stringify({ event: "frame_failed", reason: String(error) }));
        socket.close(1011, "could not be stored");
      }
    });
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    // 1005 and 1006 say how it ended and cannot be sent.
    socket.close(code === 1005 || code === 1006 ? 1000 : code, "");
    await this.#closed(socket, code === 1000);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#closed(socket, false);
  }

  override async alarm(): Promise<void> {
    await checkSockets(this.#viewerSockets(), this.env, Date.now());
    await this.#inTurn(() => this.#hub.alarm());
  }

  #beginLine({ line: name, frame, keyHash, spareKey }: SyncCall): PolledLine | LineEnd {
    // Not known any more, or never: the agent begins another one.
    if (frame === null || frame.n !== 1 || frame.s !== 0) return { code: 1011, reason: "unknown line" };
    const authority = this.#hub.authorize(keyHash);
    if (authority?.locked === true) return { code: CLOSE.locked, reason: "locked" };
    if (authority === null || authority.pending === true) return { code: CLOSE.badKey, reason: "bad key" };
    const older = this.#agentSockets();
    const line = this.#lines.begin(name, Date.now());
    this.#hub.connected(line, older, { keyHash, spareKey });
    return line;
  }

  async #takeFrame(line: PolledLine, frame: NonNullable<SyncCall["frame"]>): Promise<void> {
    // Taken before, and its answer was lost.
    if (line.closed !== null || frame.n <= line.state.received) return;
    try {
      await this.#hub.frame(line, JSON.stringify(frame));
    } catch (error) {
      console.error(JSON.stringify({ event: "frame_failed", reason: String(error) }));
      line.close(1011, "could not be stored");
    }
  }

  #connectAgent(keyHash: string, spareKey: SpareKey | null): Response {
    // Asked again in here, where nothing can have changed in between.
    const authority = this.#hub.authorize(keyHash);
    if (authority === null) return new Response("Unauthorized", { status: 401 });
    if (authority.pending === true) return new Response("Waits for approval", { status: 403 });
    if (authority.locked === true) return new Response("Locked", { status: 423 });
    const older = this.#agentSockets();
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, ["agent"]);
    this.#hub.connected(this.#agentSocket(server), older, { keyHash, spareKey });
    return new Response(null, {
      status: 101,
      webSocket: client,
      headers: { "Sec-WebSocket-Protocol": SUBPROTOCOL },
    });
  }

  async #connectViewer(request: Request): Promise<Response> {
    const orgId = request.headers.get(ORG_HEADER) ?? "";
    const jobId = request.headers.get(JOB_HEADER) ?? "";
    if (this.#viewers().length >= VIEWERS_MAX) return new Response("Too many viewers", { status: 503 });
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, ["viewer"]);
    const nowMs = Date.now();
    const session = viewerSessionOf(request.headers, this.env, nowMs);
    const state: ViewerState = { ...session, kind: "viewer", jobId, untilMs: nowMs + LIVE_SOCKET_MS_MAX };
    server.serializeAttachment(state);
    await this.#hub.viewerJoined(orgId, this.#viewerSocket(server));
    const armedMs = await this.ctx.storage.getAlarm();
    if (armedMs === null || armedMs > session.checkMs) await this.ctx.storage.setAlarm(session.checkMs);
    return new Response(null, { status: 101, webSocket: client });
  }

  /** There is one alarm, for what is due of the agent and for looking at the viewers' sessions; whichever is first. */
  #arm(atMs: number | null): void {
    const dueMs = [atMs, nextCheckMs(this.#viewerSockets())].filter((due) => due !== null);
    if (dueMs.length === 0) void this.ctx.storage.deleteAlarm();
    else void this.ctx.storage.setAlarm(Math.min(...dueMs));
  }

  #viewerSockets(): WebSocket[] {
    return this.ctx.getWebSockets("viewer").filter(isOpen);
  }

  async #closed(socket: WebSocket, clean: boolean): Promise<void> {
    await this.#inTurn(async () => {
      this.#windows.forget(socket);
      if (isViewer(socket)) this.#hub.viewersChanged();
      else await this.#hub.disconnected(clean);
    });
  }

  #agentSockets(): AgentSocket[] {
    const sockets = this.ctx
      .getWebSockets("agent")
      .filter(isOpen)
      .map((socket) => this.#agentSocket(socket));
    const line = this.#lines.open();
    return line === null ? sockets : [...sockets, line];
  }

  #agentSocket(socket: WebSocket): AgentSocket {
    const answeredAt = () => this.ctx.getWebSocketAutoResponseTimestamp(socket);
    return {
      limits: SOCKET_LIMITS,
      get state() {
        return socket.deserializeAttachment() as AgentSocketState;
      },
      get heartbeatMs() {
        return answeredAt()?.getTime() ?? null;
      },
      setState: (state) => socket.serializeAttachment(state),
      send: (text) => sendQuietly(socket, text),
      close: (code, reason) => socket.close(code, reason),
    };
  }

  #viewers(): ViewerSocket[] {
    const viewers: ViewerSocket[] = [];
    for (const socket of this.#viewerSockets()) {
      const viewer = this.#viewerSocket(socket);
      // The page connects again, and its session is looked at again.
      if (viewer.untilMs < Date.now()) viewer.close(LIVE_CLOSE.checkSession, "session check");
      else viewers.push(viewer);
    }
    return viewers;
  }

  #viewerSocket(socket: WebSocket): ViewerSocket {
    const { jobId, untilMs } = socket.deserializeAttachment() as ViewerState;
    return {
      jobId,
      untilMs,
      tell: (frame) => this.#windows.of(socket).tell(frame),
      close: (code, reason) => socket.close(code, reason),
    };
  }

  async #publish(orgId: string, frame: LiveFrame): Promise<boolean> {
    const { promise: limit, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("no answer in time")), FEED_LIMIT_MS);
    try {
      return await Promise.race([this.env.FEED.getByName(orgId).publish(orgId, frame), limit]);
    } catch (error) {
      // What is durable is durable already.
      console.error(JSON.stringify({ event: "feed_failed", reason: String(error) }));
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(act).finally(() => this.#lines.save());
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function spareKeyOf({ headers }: Request): SpareKey | null {
  const [key, keyHash] = [headers.get(SPARE_KEY_HEADER), headers.get(SPARE_KEY_HASH_HEADER)];
  return key === null || keyHash === null ? null : { key, keyHash };
}

/** A socket that closed a moment ago throws; its close event is on the way and does the rest. */
function sendQuietly(socket: WebSocket, text: string): void {
  if (isOpen(socket)) socket.send(text);
}

function isOpen(socket: WebSocket): boolean {
  return socket.readyState === WebSocket.OPEN;
}

function isViewer(socket: WebSocket): boolean {
  return (socket.deserializeAttachment() as { kind?: string } | null)?.kind === "viewer";
}
