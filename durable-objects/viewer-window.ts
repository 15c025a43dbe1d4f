/**
 * What one dashboard's socket is sent: no more than its viewer reads.
 *
 * A Worker cannot see how much waits for a socket, so the viewer says what it has read. While it has too much unread, only
 * the newest message of each job and agent is kept for it, and goes out as one frame when it has read on.
 */
import { LIVE_CLOSE, LIVE_JOBS_MAX, type LiveFrame, type LiveMessage } from "../schema/live.ts";
import { framesRead, LIVE_UNREAD_MAX } from "../schema/live-window.ts";

/** Jobs come and go while a viewer reads nothing; with more than these it begins anew, with a snapshot. */
const WAITING_MAX = 2 * LIVE_JOBS_MAX;

export interface WindowedSocket {
  send(text: string): void;
  close(code: number, reason: string): void;
}

export class ViewerWindow {
  readonly #socket: WindowedSocket;
  /** The characters of each frame that is unread, oldest first. */
  readonly #unread: number[] = [];
  #characters = 0;
  readonly #waiting = new Newest();

  constructor(socket: WindowedSocket) {
    this.#socket = socket;
  }

  /** `text` is the frame's, for a caller that tells many viewers the same. */
  tell(frame: LiveFrame, text: string = JSON.stringify(frame)): void {
    if (!this.#isFull()) return this.#send(text);
    for (const message of frame) this.#waiting.put(message);
    if (this.#waiting.size > WAITING_MAX) this.#socket.close(LIVE_CLOSE.checkSession, "too far behind");
  }

  /** A word of the viewer's; one that is none of ours means nothing. */
  hear(word: string): void {
    const read = this.#unread.splice(0, framesRead(word) ?? 0);
    for (const characters of read) this.#characters -= characters;
    if (this.#waiting.size > 0 && !this.#isFull()) this.#send(JSON.stringify(this.#waiting.take()));
  }

  #isFull(): boolean {
    return this.#unread.length >= LIVE_UNREAD_MAX.frames || this.#characters >= LIVE_UNREAD_MAX.characters;
  }

  #send(text: string): void {
    this.#unread.push(text.length);
    this.#characters += text.length;
    this.#socket.send(text);
  }
}

/** The newest message of each job and each agent, in the order in which they were put. */
export class Newest {
  readonly #messages = new Map<string, LiveMessage>();

  get size(): number {
    return this.#messages.size;
  }

  put(message: LiveMessage): void {
    const key = keyOf(message);
    this.#messages.delete(key);
    this.#messages.set(key, message);
  }

  /** All of them; none is left. */
  take(): LiveFrame {
    const frame = [...this.#messages.values()];
    this.#messages.clear();
    return frame;
  }
}

function keyOf(message: LiveMessage): string {
  if (message.type === "job") return message.job.jobId;
  return message.type === "agent" ? message.agentId : message.type;
}

/** The windows of an object's sockets, for as long as it is in memory: after a sleep each viewer has read all. */
export class ViewerWindows {
  // Held strongly: a socket's own object might be made anew at each event.
  readonly #windows = new Map<WebSocket, ViewerWindow>();

  of(socket: WebSocket): ViewerWindow {
    const known = this.#windows.get(socket);
    if (known !== undefined) return known;
    const window = new ViewerWindow({
      // A socket that closed a moment ago throws; its close event is on the way and does the rest.
      send: (text) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(text);
      },
      close: (code, reason) => socket.close(code, reason),
    });
    this.#windows.set(socket, window);
    return window;
  }

  forget(socket: WebSocket): void {
    this.#windows.delete(socket);
  }
}
