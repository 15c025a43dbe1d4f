/**
 * The runtime of a Durable Object, with the production hub in it: SQLite that survives, one alarm, sockets whose attachments
 * survive hibernation, one call after the other. It may be put to sleep between two calls, and cut off in the middle of
 * one: then nobody hears of that call any more, the sockets break, and what was stored is there.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { type AgentSocket, type AgentSocketState, Hub, SOCKET_LIMITS } from "../../durable-objects/hub.ts";
import { type JobRecord, jobRecord } from "../../durable-objects/job-record.ts";
import { hubStore } from "../../durable-objects/storage.ts";
import type { LiveFrame } from "../../schema/live.ts";
import { HEARTBEAT, HEARTBEAT_ANSWER } from "../../schema/protocol.ts";
import type { ScopedDb } from "../../schema/scoped-db.ts";
import type { Chance, SimulatedClock } from "./clock.ts";
import type { Meter } from "./meter.ts";

/** As the runtime does it: an alarm that threw comes again, so often. */
const ALARM_TRIES_MAX = 6;
const ALARM_RETRY_MS = 2_000;

export interface ObjectWorld {
  readonly clock: SimulatedClock;
  readonly chance: Chance;
  /** The organization's D1, as calls from within an object reach it. */
  readonly db: ScopedDb;
  /** Whether somebody looks at the organization's feed just now. */
  readonly isWatched: () => boolean;
  readonly onPublished: (frame: LiveFrame) => void | Promise<void>;
  /** Counts what the platform would charge for. */
  readonly meter?: Meter;
}

/** What a call takes besides its waits. */
const CALL_MS = 5;

/** The server's end of a socket; the network calls `receive` and `lost`, and hands on what `onSent` and `onClosed` say. */
export class ServerSocket implements AgentSocket {
  readonly limits = SOCKET_LIMITS;
  state!: AgentSocketState;
  heartbeatMs: number | null = null;
  isOpen = true;
  onSent: (text: string) => void = () => {};
  onClosed: (code: number, reason: string) => void = () => {};

  setState(state: AgentSocketState): void {
    // What an attachment keeps is a copy.
    this.state = structuredClone(state);
  }
  send(text: string): void {
    if (this.isOpen) this.onSent(text);
  }
  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.onClosed(code, reason);
  }
}

export class SimulatedObject {
  readonly #world: ObjectWorld;
  readonly #meter: Meter | undefined;
  readonly #sqlite = new DatabaseSync(":memory:");
  readonly #sockets: ServerSocket[] = [];
  #hub!: Hub;
  #turn: Promise<unknown> = Promise.resolve();
  #busy = 0;
  #busySinceMs = 0;
  /** Of which life the calls under way are; those of an earlier one never come back. */
  #life = 0;
  #cancelAlarm: (() => void) | null = null;
  #alarmMs: number | null = null;
  /** How often the object was made anew, and how often an alarm rang. */
  constructions = 0;
  alarms = 0;

  constructor(world: ObjectWorld) {
    this.#world = world;
    this.#meter = world.meter;
    this.#construct();
  }

  get sockets(): readonly ServerSocket[] {
    return this.#sockets;
  }

  async initialize(identity: Parameters<Hub["initialize"]>[0]): Promise<void> {
    this.#meter?.add("objectRequests");
    await this.#inTurn(async () => this.#hub.initialize(identity));
  }

  async setDesired(...parameters: Parameters<Hub["setDesired"]>): Promise<void> {
    this.#meter?.add("objectRequests");
    await this.#inTurn(() => this.#hub.setDesired(...parameters));
  }

  async release(...parameters: Parameters<Hub["release"]>): Promise<number | null> {
    this.#meter?.add("objectRequests");
    return await this.#inTurn(async () => this.#hub.release(...parameters));
  }

  async checkPresence(orgId: string): Promise<void> {
    this.#meter?.add("objectRequests");
    await this.#inTurn(() => this.#hub.checkPresence(orgId));
  }

  /** Null when the key is refused. */
  async connect(keyHash: string): Promise<ServerSocket | null> {
    this.#meter?.add("objectRequests");
    return await this.#inTurn(async () => {
      const authority = this.#hub.authorize(keyHash);
      if (authority === null || authority.pending === true || authority.locked === true) return null;
      const older = this.#open();
      const socket = new ServerSocket();
      this.#sockets.push(socket);
      this.#hub.connected(socket, older, { keyHash, spareKey: null });
      return socket;
    });
  }

  /** The platform answers a heartbeat by itself; all else wakes the object. */
  async receive(socket: ServerSocket, text: string): Promise<void> {
    if (text === HEARTBEAT) {
      if (!socket.isOpen) return;
      this.#meter?.add("heartbeats");
      socket.heartbeatMs = this.#world.clock.now();
      socket.onSent(HEARTBEAT_ANSWER);
      return;
    }
    this.#meter?.add("messages");
    await this.#inTurn(async () => {
      if (!socket.isOpen) return;
      try {
        await this.#hub.frame(socket, text);
      } catch {
        socket.close(1011, "could not be stored");
      }
    });
  }

  async lost(socket: ServerSocket, code: number): Promise<void> {
    socket.isOpen = false;
    this.#forget(socket);
    this.#meter?.add("messages");
    await this.#inTurn(() => this.#hub.disconnected(code === 1000));
  }

  /** Memory is gone; sockets stay. Only when nothing is under way. */
  hibernate(): void {
    if (this.#busy === 0) this.#construct();
  }

  /** Cut off wherever it is, as when its machine goes. */
  abort(): void {
    this.#life++;
    this.#turn = Promise.resolve();
    this.#busy = 0;
    if (this.#sqlite.isTransaction) this.#sqlite.exec("ROLLBACK");
    for (const socket of this.#sockets.splice(0)) {
      if (!socket.isOpen) continue;
      socket.isOpen = false;
      socket.onClosed(1006, "");
    }
    this.#construct();
    // An alarm that was set stays set.
    if (this.#alarmMs !== null) this.#arm(this.#alarmMs);
  }

  #construct(): void {
    this.constructions++;
    const { clock, db } = this.#world;
    this.#hub = new Hub({
      store: hubStore(sqlStorage(this.#sqlite, this.#meter)),
      record: ({ agentId }) => this.#ofThisLife(jobRecord(db, agentId)),
      agentSocket: () => this.#open()[0] ?? null,
      viewers: () => [],
      publish: async (_, frame) => {
        // A call of the feed's object.
        this.#meter?.add("objectRequests");
        this.#meter?.add("objectMs", CALL_MS);
        await this.#world.onPublished(frame);
        return this.#world.isWatched();
      },
      setAlarm: (atMs) => this.#arm(atMs),
      now: () => clock.now(),
      log: () => {},
    });
  }

  /** Calls of a life that is over are never answered. */
  #ofThisLife(record: JobRecord): JobRecord {
    const life = this.#life;
    return new Proxy(record, {
      get: (target, name: keyof JobRecord) => {
        const call = target[name] as (...parameters: unknown[]) => Promise<unknown>;
        return async (...parameters: unknown[]) => {
          try {
            return await call(...parameters);
          } finally {
            if (life !== this.#life) await new Promise<never>(() => {});
          }
        };
      },
    });
  }

  #open(): ServerSocket[] {
    return this.#sockets.filter(({ isOpen }) => isOpen);
  }

  #forget(socket: ServerSocket): void {
    const place = this.#sockets.indexOf(socket);
    if (place !== -1) this.#sockets.splice(place, 1);
  }

  #arm(atMs: number | null, tries = 0): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = null;
    this.#alarmMs = atMs;
    if (atMs === null) return;
    this.#meter?.add("alarmsSet");
    const { clock } = this.#world;
    this.#cancelAlarm = clock.after(atMs - clock.now(), () => {
      this.#cancelAlarm = null;
      this.#alarmMs = null;
      this.alarms++;
      this.#meter?.add("objectRequests");
      this.#inTurn(() => this.#hub.alarm()).catch(() => {
        if (this.#alarmMs === null && tries < ALARM_TRIES_MAX) {
          this.#arm(clock.now() + ALARM_RETRY_MS * 2 ** tries, tries + 1);
        }
      });
    });
  }

  async #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const life = this.#life;
    if (this.#busy++ === 0) this.#busySinceMs = this.#world.clock.now();
    const result = this.#turn.then(act);
    this.#turn = result.then(
      () => undefined,
      () => undefined,
    );
    try {
      return await result;
    } finally {
      if (life !== this.#life) await new Promise<never>(() => {});
      if (--this.#busy === 0)
        this.#meter?.add("objectMs", CALL_MS + this.#world.clock.now() - this.#busySinceMs);
    }
  }
}

/** What the production storage uses of an object's SQLite. */
export function sqlStorage(sqlite: DatabaseSync, meter?: Meter): SqlStorage {
  const prepared = new Map<string, StatementSync>();
  const total = sqlite.prepare("SELECT total_changes() AS n");
  const changed = () => total.get()?.["n"] as number;
  const exec = (sql: string, ...parameters: readonly SQLInputValue[]) => {
    if (parameters.length === 0 && !sql.trimStart().startsWith("SELECT")) {
      // Perhaps several statements; they make the tables.
      sqlite.exec(sql);
      return cursor([]);
    }
    const statement = prepared.get(sql) ?? sqlite.prepare(sql);
    prepared.set(sql, statement);
    if (meter === undefined) return cursor(statement.all(...parameters));
    const before = changed();
    const rows = statement.all(...parameters);
    meter.ownStatement({ sqlite, sql, rows: rows.length, changes: changed() - before });
    return cursor(rows);
  };
  return { exec } as unknown as SqlStorage;
}

function cursor(rows: readonly unknown[]) {
  return {
    toArray: () => rows,
    one: () => {
      if (rows.length !== 1) throw new Error(`Expected one row, got ${rows.length}`);
      return rows[0];
    },
  };
}
