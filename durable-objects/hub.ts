/**
 * The hub: everything an agent's object decides, without knowing that it lives in a Durable Object.
 *
 * It holds what is wanted of the agent's jobs and says it again until the agent has confirmed that revision; it takes the
 * agent's events in order, makes them durable and only then acks them; it keeps the newest progress in memory for the
 * dashboards that watch. `agent-object.ts` hands in storage, D1, sockets, alarm and clock, and calls one method at a
 * time. Rules: `docs/spec.md`, section L.
 */
import { isFinal, type JobStatus } from "../schema/job.ts";
import type { LiveJob } from "../schema/live.ts";
import {
  CLOSE,
  FRAME_BYTES_MAX,
  HEARTBEAT_SECONDS,
  HELLO_LIMIT_MS,
  LEASE_SECONDS,
  PROTOCOL_VERSIONS,
  ProtocolError,
  commonVersion,
  readAgentFrame,
  REPORT_SECONDS_UNWATCHED,
  REPORT_SECONDS_WATCHED,
  versionsInHello,
  type AgentMessage,
  type Applied,
  type Desired,
  type Hello,
  type HubMessage,
  type JobEvent,
  type Progress,
  type Result,
  type VersionRange,
} from "../schema/protocol.ts";
import { PROGRESS_ROW_MS, type JobRecord } from "./job-record.ts";
import { LiveView, quiet, risen, type LiveViewWorld, type ViewerSocket } from "./live-view.ts";

/** A socket that is gone this long makes the agent offline. */
export const OFFLINE_AFTER_MS = 90_000;
/** No agent has a lease any more that was granted so long ago, however its clock runs. */
export const LEASE_SURELY_OVER_MS = LEASE_SECONDS * 1_000 + 10_000;
/** D1 is told again after so long, in case it was set back. */
const TOLD_MS_MAX = 86_400_000;
/** After so long a key is replaced, when the agent connects next. */
export const KEY_MS_MAX = 30 * 86_400_000;
/** To a peer that is probably gone; if it is not, it connects again. */
const CLOSE_DEAD = 1011;
/** RFC 6455, section 5.5: a control frame holds 125 bytes, two of them the code. */
const CLOSE_REASON_BYTES_MAX = 123;

export interface Identity {
  readonly orgId: string;
  readonly agentId: string;
  /** SHA-256 of the agent's key, in hex. */
  readonly keyHash: string;
  /** When that was made; null = before anybody noted it. */
  readonly keyMadeMs: number | null;
  /** Of the key that was offered in its place and is not known to be stored yet. */
  readonly nextKeyHash: string | null;
  readonly revoked: boolean;
  /** Registered, but an admin has to approve it before its key is good for anything. */
  readonly pending: boolean;
  /** The highest generation that the agent has shown to be durable; null = whatever it says next is believed. */
  readonly generation: number | null;
  /** One above all before it, which was offered, and may be durable there or not; null = none is. */
  readonly offered: number | null;
  /** Somebody came with a generation of the past: there are two of it. */
  readonly locked: boolean;
}

/** Whose key it is; one of a `pending` or `locked` agent is the right one, and good for nothing. */
export interface Authority {
  readonly orgId: string;
  readonly agentId: string;
  readonly pending?: true;
  readonly locked?: true;
}

/** A key that an agent may be given, and its hash. */
export interface SpareKey {
  readonly key: string;
  readonly keyHash: string;
}

export interface SessionState {
  readonly epoch: number;
  /** Highest event that is durable. */
  readonly eventSeq: number;
  /** When the agent counts as offline unless it is back. */
  readonly offlineDueMs: number | null;
  /** The facts of the hello with which D1 was told last that the agent is online, and when; null = D1 is to be told again. */
  readonly told: { readonly facts: string; readonly atMs: number } | null;
}

export interface DesiredRecord {
  readonly desired: Desired;
  readonly applied: boolean;
}

/** What survives the object; every call is durable before anything is sent after it. */
export interface HubStore {
  identity(): Identity | null;
  setIdentity(identity: Identity): void;
  session(): SessionState;
  setSession(session: SessionState): void;
  desired(): DesiredRecord[];
  setDesired(record: DesiredRecord): void;
  dropDesired(jobId: string): void;
}

/** What is remembered with an agent's socket, also while the object hibernates. */
export interface AgentSocketState {
  readonly kind: "agent";
  readonly sessionEpoch: number;
  /** The version spoken; null before `hello`, and where it was stored by a version that spoke the first only. */
  readonly protocol?: number | null;
  readonly sent: number;
  readonly received: number;
  readonly connectedMs: number;
  /** Which start of the program; null before `hello`. */
  readonly instanceId: string | null;
  /** That of the socket whose place it took, if that one was still open. */
  readonly supersedes: string | null;
  /** Of the key it came with. */
  readonly keyHash: string;
  /** Between connecting and `hello`, where a new key is due. */
  readonly spareKey: SpareKey | null;
  readonly welcomed: boolean;
  readonly reportSeconds: number;
  /** When desired states that are not confirmed yet were sent first. */
  readonly unconfirmedSinceMs: number | null;
  /** When each running job's totals went to D1 last. */
  readonly flushedMs: Readonly<Record<string, number>>;
}

/** How long a peer may take, over one way or the other. */
export interface SocketLimits {
  /** A desired state that is not confirmed in this time means that the socket is dead. */
  readonly confirmMs: number;
  /** One not heard for so long is gone; null = the platform tells, or the sweep does. */
  readonly silenceMs: number | null;
}
export const SOCKET_LIMITS: SocketLimits = { confirmMs: 15_000, silenceMs: null };
/** What is said waits for the next poll there, which may be held for 25 seconds. */
export const POLL_LIMITS: SocketLimits = { confirmMs: 60_000, silenceMs: OFFLINE_AFTER_MS };

export interface AgentSocket {
  readonly limits: SocketLimits;
  readonly state: AgentSocketState;
  /** When the platform answered this socket's heartbeat last, or the line was polled; null before the first. */
  readonly heartbeatMs: number | null;
  setState(state: AgentSocketState): void;
  send(text: string): void;
  close(code: number, reason: string): void;
}

export interface HubWorld extends LiveViewWorld {
  readonly store: HubStore;
  record(identity: Pick<Identity, "orgId" | "agentId">): JobRecord;
  /** The live agent socket, if there is one; an older one that is being closed does not count. */
  agentSocket(): AgentSocket | null;
  /** Replaces the one alarm there is; null = none. */
  setAlarm(atMs: number | null): void;
  log(event: string, fields: Record<string, string | number | boolean | null>): void;
}

export class Hub {
  readonly #world: HubWorld;
  readonly #view: LiveView;
  readonly #versions: VersionRange;

  /** `versions`: for tests, which ask what becomes of agents of other times. */
  constructor(world: HubWorld, versions: VersionRange = PROTOCOL_VERSIONS) {
    this.#world = world;
    this.#versions = versions;
    this.#view = new LiveView(world, () => this.#setReportRate());
  }

  // --- registration and authority ---

  initialize(
    identity: Pick<Identity, "orgId" | "agentId" | "keyHash"> & { readonly pending?: boolean },
  ): void {
    const present = this.#world.store.identity();
    if (present !== null && present.orgId !== identity.orgId)
      throw new Error("The object belongs to another organization");
    const { pending = false } = identity;
    this.#world.store.setIdentity({
      ...identity,
      keyMadeMs: this.#world.now(),
      nextKeyHash: null,
      pending,
      // Revoked is for ever: another registration makes another agent.
      revoked: present?.revoked ?? false,
      generation: null,
      offered: null,
      locked: false,
    });
  }

  /** Who holds this key; null for a wrong key, a revoked agent, and an object that was never registered. */
  authorize(keyHash: string): Authority | null {
    const identity = this.#world.store.identity();
    if (identity === null || identity.revoked) return null;
    const { orgId, agentId, nextKeyHash } = identity;
    const isOwn = equalHashes(identity.keyHash, keyHash);
    const isNext = nextKeyHash !== null && equalHashes(nextKeyHash, keyHash);
    if (!isOwn && !isNext) return null;
    if (identity.locked) return { orgId, agentId, locked: true };
    return identity.pending ? { orgId, agentId, pending: true } : { orgId, agentId };
  }

  approve(orgId: string): void {
    this.#world.store.setIdentity({ ...this.#own(orgId), pending: false });
  }

  /** The one that connects next is the agent, whatever it has stored. */
  unlock(orgId: string): void {
    const identity = this.#own(orgId);
    // Above what either of the two may have stored, so that the other one stays a copy.
    const offered = (identity.offered ?? identity.generation ?? 0) + 1;
    this.#world.store.setIdentity({ ...identity, locked: false, generation: null, offered });
  }

  revoke(orgId: string): void {
    // A registration that was cut short left no key that could be worth anything.
    if (this.#world.store.identity() === null) return;
    const identity = this.#own(orgId);
    this.#world.store.setIdentity({ ...identity, revoked: true });
    this.#world.agentSocket()?.close(CLOSE.revoked, "revoked");
  }

  online(): boolean {
    return this.#world.agentSocket()?.state.welcomed === true;
  }

  // --- what is wanted ---

  /** Takes what is wanted of a job, and says it at once if the agent is there. Older revisions change nothing. */
  async setDesired(orgId: string, desired: Desired): Promise<void> {
    const identity = this.#own(orgId);
    const held = this.#held(desired.jobId);
    if (held === undefined && !(await this.#isWanted(identity, desired))) return;
    if (held === undefined || isNewer(desired, held.desired)) {
      this.#world.store.setDesired({ desired, applied: false });
    }
    const socket = this.#world.agentSocket();
    if (socket?.state.welcomed === true) this.#sendUnconfirmed(socket);
    const newest = this.#held(desired.jobId)?.desired ?? desired;
    const live = await this.#liveJob(identity, desired.jobId);
    if (live !== null) this.#show(orgId, { ...live, ...wanted(newest, live) });
  }

  /**
   * An epoch of a job is not this agent's any more: it is to stop it, without anybody being shown that the job has ended.
   * One that was never told of it needs no word. Answers until when it may still be at work on it; null = it is not.
   */
  release(orgId: string, desired: Desired): number | null {
    this.#own(orgId);
    const held = this.#held(desired.jobId);
    this.#view.release(desired.jobId);
    // Never wanted of it here, or confirmed to have stopped.
    if (held === undefined) return null;
    if (isNewer(desired, held.desired)) {
      this.#world.store.setDesired({ desired, applied: false });
      const socket = this.#world.agentSocket();
      if (socket?.state.welcomed === true) this.#sendUnconfirmed(socket);
    }
    return this.#leaseEndMs();
  }

  /**
   * When a lease that did not hear of what was stored just now is over at the latest. One granted later is granted behind
   * that: a socket keeps its order, and a welcome has it in it.
   */
  #leaseEndMs(): number | null {
    // Nobody has ever had one. That an agent seems to be away proves nothing: another program may have had its place.
    if (this.#world.store.session().epoch === 0) return null;
    return this.#world.now() + LEASE_SURELY_OVER_MS;
  }

  /**
   * Whether a wish for a job that is not held is of today. One that was overtaken on its way by the job's end, or by a
   * cancel that is confirmed already, would make the agent begin again.
   */
  async #isWanted(identity: Identity, desired: Desired): Promise<boolean> {
    const stored = await this.#record(identity).live(desired.jobId);
    if (stored === null || stored.epoch !== desired.epoch) return false;
    return isFinal(stored.status) ? desired.state === "cancel" && stored.status === "cancelled" : true;
  }

  // --- the agent's socket ---

  /** A socket that was authorized. The one before it is superseded. `spareKey` is forgotten where no new key is due. */
  connected(
    socket: AgentSocket,
    older: readonly AgentSocket[],
    { keyHash, spareKey }: { readonly keyHash: string; readonly spareKey: SpareKey | null },
  ): void {
    for (const other of older) other.close(CLOSE.superseded, "superseded by a newer session");
    const now = this.#world.now();
    const isDue = now - (this.#world.store.identity()?.keyMadeMs ?? 0) >= KEY_MS_MAX;
    socket.setState({
      kind: "agent",
      sessionEpoch: 0,
      protocol: null,
      sent: 0,
      received: 0,
      connectedMs: now,
      instanceId: null,
      supersedes: older.map(({ state }) => state.instanceId).find((id) => id !== null) ?? null,
      keyHash,
      spareKey: isDue ? spareKey : null,
      welcomed: false,
      reportSeconds: REPORT_SECONDS_UNWATCHED,
      unconfirmedSinceMs: null,
      flushedMs: {},
    });
    this.#arm();
  }

  /** One frame, whole. Resolves when everything in it is durable and acked. */
  async frame(socket: AgentSocket, text: string): Promise<void> {
    const identity = this.#world.store.identity();
    if (identity === null || identity.revoked) return socket.close(CLOSE.revoked, "revoked");
    if (identity.locked) return socket.close(CLOSE.locked, "locked");
    // Before it is read as a frame of ours: a stranger's may be anything but that.
    const theirs = socket.state.welcomed ? null : versionsInHello(text);
    if (theirs !== null && commonVersion(this.#versions, theirs) === null)
      return this.#refuseVersions(identity, socket, theirs);
    try {
      const { envelope, messages } = readAgentFrame(text);
      const { state } = socket;
      if (state.welcomed && envelope.v !== versionOf(state))
        throw new ProtocolError(`Version ${envelope.v} is not ${versionOf(state)}`);
      if (envelope.s !== state.sessionEpoch)
        throw new ProtocolError(`Session ${envelope.s} is not ${state.sessionEpoch}`);
      if (envelope.n <= state.received) return;
      socket.setState({ ...state, received: envelope.n });
      await this.#take(identity, socket, messages);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#world.log("frame_refused", { agentId: identity.agentId, reason: error.message.slice(0, 500) });
      socket.close(CLOSE.protocol, "protocol error");
    }
  }

  /** The agent's socket closed; `clean` when the agent said good-bye. */
  async disconnected(clean: boolean): Promise<void> {
    const identity = this.#world.store.identity();
    if (identity === null || this.#world.agentSocket() !== null) return;
    if (clean || identity.revoked) {
      await this.#offline(identity, this.#world.now());
    } else {
      // A socket that is given up and then breaks as well ends once.
      const session = this.#world.store.session();
      const offlineDueMs = session.offlineDueMs ?? this.#world.now() + OFFLINE_AFTER_MS;
      this.#world.store.setSession({ ...session, offlineDueMs });
    }
    this.#arm();
  }

  /**
   * Called about presence by the sweep: a process that died with its sockets never heard them close, a peer that lost its
   * network never closes them, and an alarm that failed too often is not tried again.
   */
  async checkPresence(orgId: string): Promise<void> {
    this.#own(orgId);
    const socket = this.#world.agentSocket();
    if (socket !== null) {
      if (this.#world.now() - heardAt(socket) < OFFLINE_AFTER_MS) return;
      socket.close(CLOSE_DEAD, "no heartbeat");
    }
    if (this.#world.store.session().offlineDueMs === null) await this.disconnected(false);
    else await this.alarm();
  }

  /** Does what is due. Idempotent: an alarm may come twice. */
  async alarm(): Promise<void> {
    const now = this.#world.now();
    const socket = this.#world.agentSocket();
    if (socket !== null) {
      if (!socket.state.welcomed && now >= socket.state.connectedMs + HELLO_LIMIT_MS) {
        socket.close(CLOSE.helloTimeout, "no hello in time");
      } else if (
        socket.state.unconfirmedSinceMs !== null &&
        now >= socket.state.unconfirmedSinceMs + socket.limits.confirmMs
      ) {
        // The agent connects again and gets everything in `welcome`.
        socket.close(CLOSE_DEAD, "no confirmation in time");
      } else if (socket.limits.silenceMs !== null && now >= heardAt(socket) + socket.limits.silenceMs) {
        socket.close(CLOSE_DEAD, "no poll in time");
        const offlineDueMs = heardAt(socket) + OFFLINE_AFTER_MS;
        this.#world.store.setSession({ ...this.#world.store.session(), offlineDueMs });
      }
      // A peer that is gone does not answer the close either, so its event may never come.
      if (this.#world.agentSocket() === null) await this.disconnected(false);
    }
    const identity = this.#world.store.identity();
    const { offlineDueMs } = this.#world.store.session();
    if (
      identity !== null &&
      offlineDueMs !== null &&
      now >= offlineDueMs &&
      this.#world.agentSocket() === null
    ) {
      await this.#offline(identity, offlineDueMs - OFFLINE_AFTER_MS);
    }
    this.#arm();
  }

  // --- dashboards ---

  /** What a new viewer of a job sees first. */
  async viewerJoined(orgId: string, viewer: ViewerSocket): Promise<void> {
    const live = await this.#liveJob(this.#own(orgId), viewer.jobId);
    this.#view.greet(viewer, live);
    this.#setReportRate();
  }

  viewersChanged(): void {
    this.#setReportRate();
  }

  /** Somebody opened the organization's feed. */
  watch(orgId: string): void {
    this.#own(orgId);
    this.#view.watchFeed();
    this.#setReportRate();
  }

  // --- messages, one by one ---

  async #take(identity: Identity, socket: AgentSocket, messages: readonly AgentMessage[]): Promise<void> {
    const acked: Record<string, number> = {};
    let eventTaken = false;
    for (const message of messages) {
      if (message.type === "hello") {
        await this.#hello(identity, socket, message);
        continue;
      }
      if (!socket.state.welcomed) throw new ProtocolError(`"${message.type}" before "hello"`);
      switch (message.type) {
        case "ready":
          this.#confirmGeneration(message.generation);
          break;
        case "key_stored":
          await this.#promoteKey();
          break;
        case "bye":
          break;
        case "applied":
          await this.#applied(identity, socket, message);
          break;
        case "progress":
          await this.#progress(identity, socket, message);
          acked[message.jobId] = message.seq;
          break;
        case "event":
        case "result":
          await this.#event(identity, message);
          this.#settle(socket);
          eventTaken = true;
          break;
      }
    }
    if (eventTaken || Object.keys(acked).length > 0) {
      this.#send(socket, { type: "ack", eventSeq: this.#world.store.session().eventSeq, progress: acked });
    }
  }

  async #hello(identity: Identity, socket: AgentSocket, hello: Hello): Promise<void> {
    if (socket.state.welcomed) throw new ProtocolError('"hello" twice');
    const protocol = commonVersion(this.#versions, { min: hello.protocolMin, max: hello.protocolMax });
    if (protocol === null) throw new ProtocolError('"hello" is not the first message of its frame');
    const recognized = recognize(identity, hello.generation);
    if (recognized === null) return await this.#lock(identity, socket, hello);
    this.#world.store.setIdentity(recognized);
    // Whoever uses the new key has it.
    const { nextKeyHash } = recognized;
    if (nextKeyHash !== null && equalHashes(nextKeyHash, socket.state.keyHash)) await this.#promoteKey();
    const session = this.#world.store.session();
    const epoch = session.epoch + 1;
    this.#world.store.setSession({ ...session, epoch, offlineDueMs: null });
    const { supersedes } = socket.state;
    // A socket of our own that we did not see end is no news.
    const isOther = supersedes !== null && supersedes !== hello.instanceId;
    if (isOther) await this.#record(identity).superseded(hello, this.#world.now());
    await this.#tellOnline(identity, hello, isOther);

    for (const { desired, applied } of this.#world.store.desired()) {
      const [appliedEpoch, appliedRev] = hello.applied[desired.jobId] ?? [0, 0];
      const known = appliedEpoch === desired.epoch && appliedRev >= desired.rev;
      if (known && !applied) await this.#confirmed(identity, { desired, applied });
      // The agent lost its state, or never wrote it: say it again.
      if (!known && applied) this.#world.store.setDesired({ desired, applied: false });
    }
    const unconfirmed = this.#unconfirmed();
    const reportSeconds = this.#view.watched ? REPORT_SECONDS_WATCHED : REPORT_SECONDS_UNWATCHED;
    socket.setState({
      ...socket.state,
      sessionEpoch: epoch,
      protocol,
      instanceId: hello.instanceId,
      supersedes: null,
      welcomed: true,
      reportSeconds,
      unconfirmedSinceMs: unconfirmed.length > 0 ? this.#world.now() : null,
    });
    // First what is to stop: with the welcome the agent has its lease again.
    const isEnd = ({ state }: Desired) => state === "cancel";
    const [welcomed, after] = split([
      ...unconfirmed.filter(isEnd),
      ...unconfirmed.filter((desired) => !isEnd(desired)),
    ]);
    const generation = hello.generation === undefined ? null : recognized.offered;
    this.#send(socket, {
      type: "welcome",
      protocol,
      agentId: identity.agentId,
      sessionEpoch: epoch,
      serverTime: new Date(this.#world.now()).toISOString(),
      heartbeatSeconds: HEARTBEAT_SECONDS,
      reportSeconds,
      leaseSeconds: LEASE_SECONDS,
      eventSeqHeld: session.eventSeq,
      ...(generation === null ? {} : { generation }),
      desired: welcomed,
    });
    for (const desired of after) this.#send(socket, desired);
    if (generation !== null) this.#offerKey(socket);
    this.#arm();
    this.#presence(identity, true);
  }

  /** In their words as far as we know them: the envelope is the same for all. */
  #refuseVersions(identity: Identity, socket: AgentSocket, theirs: VersionRange): void {
    const reason = `the control plane speaks ${inWords(this.#versions)} of the protocol, the agent ${inWords(theirs)}`;
    socket.setState({ ...socket.state, protocol: Math.max(1, theirs.max) });
    this.#send(socket, {
      type: "error",
      code: "UPGRADE_NEEDED",
      message: `Cannot talk: ${reason}. Install the current agent`,
    });
    this.#world.log("versions_refused", {
      agentId: identity.agentId,
      protocolMin: theirs.min,
      protocolMax: theirs.max,
    });
    socket.close(CLOSE.upgradeNeeded, reason.slice(0, CLOSE_REASON_BYTES_MAX));
  }

  // --- is it the one we know ---

  /**
   * Two of one agent, each with its own past: a disk that was copied, a machine that was set back. Nobody can tell here which
   * of them is the right one, so neither goes on until a person has looked.
   */
  async #lock(identity: Identity, socket: AgentSocket, hello: Hello): Promise<void> {
    this.#forgetTold();
    // First where people see it. What is cut in between is locked by the next that comes.
    await this.#record(identity).locked(hello, this.#world.now());
    this.#world.store.setIdentity({ ...identity, locked: true });
    this.#world.log("agent_locked", {
      agentId: identity.agentId,
      host: hello.host,
      known: identity.generation,
      said: hello.generation ?? null,
    });
    socket.close(CLOSE.locked, "locked");
    this.#presence(identity, false);
  }

  #confirmGeneration(generation: number | undefined): void {
    const identity = this.#world.store.identity();
    if (identity === null || generation === undefined || generation !== identity.offered) return;
    this.#world.store.setIdentity({ ...identity, generation, offered: null });
  }

  /** The old key stays good until the new one is known to be stored. */
  #offerKey(socket: AgentSocket): void {
    const identity = this.#world.store.identity();
    const { spareKey } = socket.state;
    if (identity === null || spareKey === null) return;
    socket.setState({ ...socket.state, spareKey: null });
    this.#world.store.setIdentity({ ...identity, nextKeyHash: spareKey.keyHash });
    this.#send(socket, { type: "rotate_key", key: spareKey.key });
  }

  async #promoteKey(): Promise<void> {
    const identity = this.#world.store.identity();
    if (identity === null || identity.nextKeyHash === null) return;
    // First where it is told; a repeat tells it twice, and never not at all.
    await this.#record(identity).keyRotated(this.#world.now());
    const keyMadeMs = this.#world.now();
    this.#world.store.setIdentity({
      ...identity,
      keyHash: identity.nextKeyHash,
      nextKeyHash: null,
      keyMadeMs,
    });
  }

  async #applied(identity: Identity, socket: AgentSocket, message: Applied): Promise<void> {
    const held = this.#held(message.jobId);
    if (
      held !== undefined &&
      held.desired.epoch === message.epoch &&
      message.rev >= held.desired.rev &&
      !held.applied
    ) {
      if (message.result === "refused") await this.#record(identity).refused(message, this.#world.now());
      await this.#confirmed(identity, held);
    }
    this.#settle(socket);
  }

  /** Nothing is left to be confirmed: nothing is waited for. */
  #settle(socket: AgentSocket): void {
    if (socket.state.unconfirmedSinceMs === null || this.#unconfirmed().length > 0) return;
    socket.setState({ ...socket.state, unconfirmedSinceMs: null });
    this.#arm();
  }

  async #confirmed(identity: Identity, { desired }: DesiredRecord): Promise<void> {
    await this.#record(identity).applied(desired, this.#world.now());
    if (desired.state === "cancel") await this.#record(identity).stopped(desired);
    if (desired.state === "cancel") this.#world.store.dropDesired(desired.jobId);
    else this.#world.store.setDesired({ desired, applied: true });
  }

  async #progress(identity: Identity, socket: AgentSocket, message: Progress): Promise<void> {
    const live = await this.#liveJob(identity, message.jobId);
    if (live === null || live.epoch !== message.epoch || isFinal(live.status)) return;
    const now = this.#world.now();
    // What is forgotten here may be flushed again anyway, so an attachment never holds more than runs at once.
    const recent = Object.entries(socket.state.flushedMs).filter(([, atMs]) => now - atMs < PROGRESS_ROW_MS);
    if (!recent.some(([jobId]) => jobId === message.jobId)) {
      await this.#record(identity).progress(message, now);
      socket.setState({ ...socket.state, flushedMs: Object.fromEntries([...recent, [message.jobId, now]]) });
    }
    this.#show(identity.orgId, {
      ...live,
      totals: risen(live.totals, message.totals),
      bytesInFlight: message.bytesInFlight,
      bytesPerSecond: message.bytesPerSecond,
      secondsRemaining: message.secondsRemaining,
      currentPath: message.currentPath,
      waiting: message.waiting ?? null,
    });
  }

  /** Durable first, then counted as held, then acked. A repeated or overtaken event changes nothing. */
  async #event(identity: Identity, message: JobEvent | Result): Promise<void> {
    const session = this.#world.store.session();
    if (message.eventSeq <= session.eventSeq) return;
    if (message.eventSeq !== session.eventSeq + 1) {
      throw new ProtocolError(`Event ${message.eventSeq} came, ${session.eventSeq + 1} is next`);
    }
    const record = this.#record(identity);
    if (message.type === "result") await record.result(message, this.#world.now());
    else if (message.event.kind === "phase") await record.phase(message, this.#world.now());
    else await record.failures(message);
    // Together, with no wait in between: the event does not come again to make good what was left undone.
    this.#world.store.setSession({ ...this.#world.store.session(), eventSeq: message.eventSeq });
    if (message.type === "result") {
      this.#dropFinished(message);
      // D1 knows the end: somebody may have cancelled the job, and that word may have been lost on its way here.
      this.#view.forget(message.jobId);
    }
    const live = await this.#liveJob(identity, message.jobId);
    if (live === null || live.epoch !== message.epoch) return;
    if (message.type === "result") {
      this.#show(identity.orgId, live);
    } else if (message.event.kind === "phase" && !isFinal(live.status)) {
      const totals = risen(live.totals, message.event.totals);
      this.#show(identity.orgId, { ...quiet(live), status: message.event.phase, totals });
    }
  }

  /** A finished job is wanted no more; a retry brings it back under a new epoch. */
  #dropFinished(message: Result): void {
    if (this.#held(message.jobId)?.desired.epoch === message.epoch)
      this.#world.store.dropDesired(message.jobId);
  }

  /** An agent that is back before it counted as offline is no news: thousands may be back at once. */
  async #tellOnline(identity: Identity, hello: Hello, isOther: boolean): Promise<void> {
    const now = this.#world.now();
    const { host, os, arch, agentVersion, connection } = hello;
    const facts = JSON.stringify([host, os, arch, agentVersion, connection ?? null]);
    const { told } = this.#world.store.session();
    if (!isOther && told?.facts === facts && now - told.atMs < TOLD_MS_MAX) return;
    await this.#record(identity).online(hello, now);
    this.#world.store.setSession({ ...this.#world.store.session(), told: { facts, atMs: now } });
  }

  /** Before D1 is told that the agent is not online, so that it is told again whatever becomes of that. */
  #forgetTold(): void {
    this.#world.store.setSession({ ...this.#world.store.session(), told: null });
  }

  async #offline(identity: Identity, lastSeenMs: number): Promise<void> {
    this.#forgetTold();
    await this.#record(identity).offline(lastSeenMs);
    this.#world.store.setSession({ ...this.#world.store.session(), offlineDueMs: null });
    this.#presence(identity, false);
  }

  // --- showing ---

  #presence(identity: Identity, online: boolean): void {
    this.#view.showPresence(identity, online);
  }

  #show(orgId: string, state: LiveJob): void {
    this.#view.show(orgId, state, this.online());
  }

  async #liveJob(identity: Identity, jobId: string): Promise<LiveJob | null> {
    const wantedEpoch = this.#held(jobId)?.desired.epoch;
    const kept = this.#view.find(jobId);
    if (kept !== undefined && (wantedEpoch === undefined || kept.epoch === wantedEpoch)) return kept;
    // Not in memory after a sleep, or a new epoch: D1 knows.
    const stored = await this.#record(identity).live(jobId);
    if (stored !== null) this.#view.keep(stored);
    return stored;
  }

  #setReportRate(): void {
    const socket = this.#world.agentSocket();
    const seconds = this.#view.watched ? REPORT_SECONDS_WATCHED : REPORT_SECONDS_UNWATCHED;
    if (socket === null || !socket.state.welcomed || socket.state.reportSeconds === seconds) return;
    socket.setState({ ...socket.state, reportSeconds: seconds });
    this.#send(socket, { type: "report_rate", seconds });
  }

  // --- sending ---

  #unconfirmed(): Desired[] {
    return this.#world.store
      .desired()
      .filter((record) => !record.applied)
      .map((record) => record.desired);
  }

  #held(jobId: string): DesiredRecord | undefined {
    return this.#world.store.desired().find((record) => record.desired.jobId === jobId);
  }

  #sendUnconfirmed(socket: AgentSocket): void {
    const unconfirmed = this.#unconfirmed();
    if (unconfirmed.length === 0) return;
    for (const desired of unconfirmed) this.#send(socket, desired);
    const { unconfirmedSinceMs } = socket.state;
    socket.setState({ ...socket.state, unconfirmedSinceMs: unconfirmedSinceMs ?? this.#world.now() });
    this.#arm();
  }

  #send(socket: AgentSocket, message: HubMessage): void {
    const { state } = socket;
    const frame = {
      v: versionOf(state),
      s: state.sessionEpoch,
      n: state.sent + 1,
      a: state.received,
      m: [message],
    };
    socket.setState({ ...state, sent: frame.n });
    socket.send(JSON.stringify(frame));
  }

  /** One alarm, at the first thing that is due; none when nothing is, so that an idle agent costs nothing. */
  #arm(): void {
    const due: number[] = [];
    const socket = this.#world.agentSocket();
    if (socket !== null) {
      if (!socket.state.welcomed) due.push(socket.state.connectedMs + HELLO_LIMIT_MS);
      if (socket.state.unconfirmedSinceMs !== null)
        due.push(socket.state.unconfirmedSinceMs + socket.limits.confirmMs);
      if (socket.limits.silenceMs !== null) due.push(heardAt(socket) + socket.limits.silenceMs);
    }
    const { offlineDueMs } = this.#world.store.session();
    // With a socket that has not said hello yet, its time-out comes first and decides.
    if (offlineDueMs !== null && socket === null) due.push(offlineDueMs);
    this.#world.setAlarm(due.length > 0 ? Math.min(...due) : null);
  }

  #own(orgId: string): Identity {
    const identity = this.#world.store.identity();
    if (identity === null || identity.orgId !== orgId)
      throw new Error("The object belongs to another organization");
    return identity;
  }

  #record(identity: Identity): JobRecord {
    return this.#world.record(identity);
  }
}

/**
 * The agent as it is known from now on; null when it is a copy: it has stored an older generation than the one that is known to
 * be durable. The last one that was offered may have been stored without our hearing of it.
 */
function recognize(identity: Identity, generation: number | undefined): Identity | null {
  const { generation: known, offered } = identity;
  // An agent that has told one once never forgets to.
  if (generation === undefined) return known === null ? identity : null;
  if (known !== null && generation !== known && generation !== offered) return null;
  const isHigher = offered !== null && offered > generation;
  return { ...identity, generation, offered: isHigher ? offered : generation + 1 };
}

function versionOf({ protocol }: AgentSocketState): number {
  return protocol ?? 1;
}

function inWords({ min, max }: VersionRange): string {
  return min === max ? `version ${min}` : `versions ${min} to ${max}`;
}

function heardAt(socket: AgentSocket): number {
  return Math.max(socket.heartbeatMs ?? 0, socket.state.connectedMs);
}

function isNewer(desired: Desired, than: Desired): boolean {
  return desired.epoch > than.epoch || (desired.epoch === than.epoch && desired.rev > than.rev);
}

/** Those that fit into one frame with `welcome`, and the rest, which follow one by one. */
function split(all: readonly Desired[]): [welcomed: Desired[], after: Desired[]] {
  let characters = 0;
  // A character is at most three bytes; a quarter leaves room for the rest of the frame.
  const fits = all.findIndex(
    (desired) => (characters += JSON.stringify(desired).length) > FRAME_BYTES_MAX / 4,
  );
  const count = fits === -1 ? all.length : fits;
  return [all.slice(0, count), all.slice(count)];
}

/** What a new wish changes at once for those who look: a cancel is immediate, everything else waits for the agent. */
function wanted(desired: Desired, live: LiveJob): Pick<LiveJob, "desiredState" | "status"> {
  const status: JobStatus = desired.state === "cancel" && !isFinal(live.status) ? "cancelled" : live.status;
  return { desiredState: desired.state, status };
}

/** Compares in a time that does not depend on where two hashes differ. */
function equalHashes(left: string, right: string): boolean {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let index = 0; index < left.length; index++)
    difference |= left.charCodeAt(index) ^ right.charCodeAt(index);
  return difference === 0;
}
