/**
 * Lines of agents where no WebSocket passes: each stands for a socket, and is asked for what waits on it by requests. It hides
 * that nothing is open between two of them: its state, and the frames that have not arrived yet, lie in the object's SQLite.
 *
 * What is done with a line in one turn is written by {@link PolledLines.save}, at the turn's end and before its answer
 * leaves. A turn that is lost before is said again by the agent, and changes nothing twice.
 */
import type { SyncAnswer } from "../schema/protocol.ts";
import { POLL_LIMITS, type AgentSocket, type AgentSocketState } from "./hub.ts";

/** A peer that takes nothing of what is said to it is given up. */
export const FRAMES_WAITING_MAX = 256;
const CHARACTERS_WAITING_MAX = 8 * 1024 * 1024;
/** Of lines that are over, so that a request that comes late does not begin one anew. */
const LINES_KEPT = 8;
/** When it was heard is a row that is paid for; one of 90 seconds' silence is noticed after 65 at the earliest. */
const HEARD_ROW_MS = 30_000;

export type LineEnd = NonNullable<SyncAnswer["closed"]>;

interface WaitingFrame {
  readonly number: number;
  readonly text: string;
}

export class PolledLine implements AgentSocket {
  readonly limits = POLL_LIMITS;
  readonly name: string;
  heartbeatMs: number;
  closed: LineEnd | null = null;
  waiting: WaitingFrame[] = [];
  #state: AgentSocketState | null;
  /** Since when what is stored is not what is here; set by whatever has to be. */
  isChanged = false;
  storedHeardMs: number;

  constructor(name: string, heardMs: number, state: AgentSocketState | null = null) {
    this.name = name;
    this.heartbeatMs = heardMs;
    this.storedHeardMs = heardMs;
    this.#state = state;
  }

  get state(): AgentSocketState {
    if (this.#state === null) throw new Error("The line was not opened");
    return this.#state;
  }

  setState(state: AgentSocketState): void {
    this.#state = state;
    this.isChanged = true;
  }

  send(text: string): void {
    if (this.closed !== null) return;
    const characters = this.waiting.reduce((sum, frame) => sum + frame.text.length, text.length);
    if (this.waiting.length >= FRAMES_WAITING_MAX || characters > CHARACTERS_WAITING_MAX)
      return this.close(1011, "too much waits");
    this.waiting.push({ number: this.state.sent, text });
    this.isChanged = true;
  }

  close(code: number, reason: string): void {
    if (this.closed !== null) return;
    this.closed = { code, reason };
    this.isChanged = true;
  }

  /** The agent asked; what it has received waits no more. */
  heard(nowMs: number, received: number): void {
    this.heartbeatMs = nowMs;
    if (nowMs - this.storedHeardMs >= HEARD_ROW_MS) this.isChanged = true;
    if (!this.waiting.some(({ number }) => number <= received)) return;
    this.waiting = this.waiting.filter(({ number }) => number > received);
    this.isChanged = true;
  }
}

export class PolledLines {
  readonly #sql: SqlStorage;
  #isMade: boolean;
  /** Oldest first; at most one is open. */
  readonly #lines: PolledLine[];

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#isMade = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'polled_line'").toArray().length > 0;
    this.#lines = this.#isMade ? this.#load() : [];
  }

  /** The one that is open, if one is. */
  open(): PolledLine | null {
    return this.#lines.find(({ closed }) => closed === null) ?? null;
  }

  find(name: string): PolledLine | null {
    return this.#lines.find((line) => line.name === name) ?? null;
  }

  begin(name: string, nowMs: number): PolledLine {
    const line = new PolledLine(name, nowMs);
    this.#lines.push(line);
    return line;
  }

  /** Makes durable what has changed. */
  save(): void {
    for (const line of this.#lines.filter(({ isChanged }) => isChanged)) this.#store(line);
    while (this.#lines.length > LINES_KEPT) {
      const name = this.#lines.shift()?.name ?? "";
      this.#sql.exec("DELETE FROM polled_line WHERE name = ?", name);
      this.#sql.exec("DELETE FROM polled_frame WHERE line = ?", name);
    }
  }

  #store(line: PolledLine): void {
    this.#make();
    this.#sql.exec(
      `INSERT INTO polled_line (name, state, heard_ms, closed) VALUES (?, ?, ?, ?)
        ON CONFLICT (name) DO UPDATE SET state = excluded.state, heard_ms = excluded.heard_ms, closed = excluded.closed`,
      line.name,
      JSON.stringify(line.state),
      line.heartbeatMs,
      line.closed === null ? null : JSON.stringify(line.closed),
    );
    const [first] = line.waiting;
    this.#sql.exec(
      "DELETE FROM polled_frame WHERE line = ? AND number < ?",
      line.name,
      first?.number ?? Number.MAX_SAFE_INTEGER,
    );
    for (const { number, text } of line.waiting)
      this.#sql.exec(
        "INSERT OR IGNORE INTO polled_frame (line, number, text) VALUES (?, ?, ?)",
        line.name,
        number,
        text,
      );
    line.storedHeardMs = line.heartbeatMs;
    line.isChanged = false;
  }

  /** Only where somebody polls, so that every other object stays as it is. */
  #make(): void {
    if (this.#isMade) return;
    this.#sql.exec(`
      CREATE TABLE polled_line (
        begun INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, heard_ms INTEGER NOT NULL, closed TEXT
      );
      CREATE TABLE polled_frame (
        line TEXT NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (line, number)
      ) WITHOUT ROWID;
    `);
    this.#isMade = true;
  }

  #load(): PolledLine[] {
    return this.#sql
      .exec<LineRow>("SELECT * FROM polled_line ORDER BY begun")
      .toArray()
      .map((row) => {
        const line = new PolledLine(row.name, row.heard_ms, JSON.parse(row.state) as AgentSocketState);
        line.closed = row.closed === null ? null : (JSON.parse(row.closed) as LineEnd);
        line.waiting = this.#sql
          .exec<FrameRow>("SELECT number, text FROM polled_frame WHERE line = ? ORDER BY number", row.name)
          .toArray();
        return line;
      });
  }
}

type LineRow = { name: string; state: string; heard_ms: number; closed: string | null };
type FrameRow = { number: number; text: string };
