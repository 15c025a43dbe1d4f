/**
 * The only place that opens a WebSocket: one per page, to `/api/live`.
 *
 * It hides connecting, the heartbeat, reconnecting and old sockets' late events. It promises that the listener hears the
 * messages of the topic that is watched now and of no other, and is told `reopened` after each gap, so that it fetches anew
 * what it may have missed. Messages are whole states; nothing is sent by us but the heartbeat and how much was read.
 */
import type { LiveMessage } from "../schema/live.ts";
import { ReadCounter } from "../schema/live-window.ts";
import type { Clock } from "./clock.ts";
import { LIVE_CLOSE } from "./contract.ts";

export type LiveTopic = { readonly kind: "organization" } | { readonly kind: "job"; readonly jobId: string };
export type LiveState = "off" | "connecting" | "live" | "reconnecting";

const HEARTBEAT_MS = 30_000;
/** A socket on which nothing, not even `q`, comes for so long after a `p` is dead. */
const ANSWER_MS_MAX = 10_000;
/** A proxy may take a connection and never answer; the browser alone would wait for minutes. */
const OPEN_MS_MAX = 15_000;
const DELAY_MS_MIN = 1_000;
const DELAY_MS_MAX = 30_000;
/** The browser's own word for "the other side vanished"; we use it for a heartbeat that stayed unanswered. */
const CLOSE_ABNORMAL = 1006;

export interface LiveSocket {
  send(text: string): void;
  close(): void;
}
export interface SocketEvents {
  opened(): void;
  received(text: string): void;
  closed(code: number): void;
}
export type OpenSocket = (path: string, events: SocketEvents) => LiveSocket;

export interface LiveWorld {
  readonly clock: Clock;
  readonly openSocket: OpenSocket;
  /** Between 0 and 1. */
  random(): number;
}
export interface LiveListener {
  onMessage(message: LiveMessage): void;
  onState(state: LiveState): void;
  /** The socket is back after a gap. */
  onReopened(): void;
  /** No socket after some tries in a row: perhaps the session is over, which a refused upgrade cannot tell. */
  onDoubt(): void;
  onSignedOut(): void;
}
export interface LiveConnection {
  /** Watches this topic and nothing else; null closes. */
  watch(topic: LiveTopic | null): void;
  /** The network or the page is back: try at once instead of waiting. */
  retryNow(): void;
}

export function createLiveConnection(world: LiveWorld, listener: LiveListener): LiveConnection {
  let topic: LiveTopic | null = null;
  let socket: LiveSocket | null = null;
  let tries = 0;
  let wasOpen = false;
  /** The next try, or the next heartbeat. */
  let cancelNext: () => void = () => {};
  let cancelGiveUp: () => void = () => {};
  /** Counts sockets, so that events of an old one are told from those of the present one. */
  let generation = 0;

  function connect(): void {
    if (topic === null) return;
    const mine = ++generation;
    const present = () => mine === generation;
    const read = new ReadCounter();
    cancelNext();
    socket = world.openSocket(livePath(topic), {
      opened() {
        if (!present()) return;
        listener.onState("live");
        if (wasOpen) listener.onReopened();
        wasOpen = true;
        cancelGiveUp();
        beatLater(mine);
      },
      received(text) {
        if (!present()) return;
        tries = 0;
        cancelGiveUp();
        if (!text.startsWith("[")) return;
        const word = read.count(text);
        if (word !== null) socket?.send(word);
        for (const message of readFrame(text)) listener.onMessage(message);
      },
      closed(code) {
        if (present()) drop(code);
      },
    });
    giveUpAfter(OPEN_MS_MAX, mine);
  }

  function beatLater(mine: number): void {
    cancelNext = world.clock.after(HEARTBEAT_MS, () => {
      socket?.send("p");
      giveUpAfter(ANSWER_MS_MAX, mine);
      beatLater(mine);
    });
  }

  function giveUpAfter(delayMs: number, mine: number): void {
    cancelGiveUp = world.clock.after(delayMs, () => {
      if (mine !== generation) return;
      const silent = socket;
      drop(CLOSE_ABNORMAL);
      silent?.close();
    });
  }

  function drop(code: number): void {
    generation++;
    socket = null;
    stopTimers();
    if (code === LIVE_CLOSE.signedOut) {
      topic = null;
      listener.onState("off");
      listener.onSignedOut();
      return;
    }
    listener.onState(wasOpen ? "reconnecting" : "connecting");
    tries++;
    if (tries % 3 === 0) listener.onDoubt();
    // Full jitter: pages that were cut off together must not come back together.
    const delayMsMax =
      code === LIVE_CLOSE.checkSession ? DELAY_MS_MIN : Math.min(DELAY_MS_MAX, DELAY_MS_MIN * 2 ** tries);
    cancelNext = world.clock.after(world.random() * delayMsMax, connect);
  }

  function stopTimers(): void {
    cancelNext();
    cancelGiveUp();
  }

  function shut(): void {
    generation++;
    stopTimers();
    socket?.close();
    socket = null;
  }

  return {
    watch(next) {
      if (livePath(next) === livePath(topic)) return;
      shut();
      topic = next;
      tries = 0;
      wasOpen = false;
      listener.onState(next === null ? "off" : "connecting");
      connect();
    },
    retryNow() {
      if (topic === null || socket !== null) return;
      tries = 0;
      connect();
    },
  };
}

/** Opens a real socket; the browser takes the page's origin and cookie. */
export function openBrowserSocket(path: string, events: SocketEvents): LiveSocket {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url);
  socket.onopen = () => events.opened();
  socket.onmessage = (event: MessageEvent<unknown>) =>
    events.received(typeof event.data === "string" ? event.data : "");
  socket.onclose = (event) => events.closed(event.code);
  return socket;
}

function livePath(topic: LiveTopic | null): string {
  if (topic === null) return "";
  return topic.kind === "organization" ? "/api/live" : `/api/live?job=${encodeURIComponent(topic.jobId)}`;
}

/** Without the messages of a type we do not know: a newer server may say more than this page understands. */
function readFrame(text: string): LiveMessage[] {
  let messages: unknown;
  try {
    messages = JSON.parse(text);
  } catch {
    return [];
  }
  return Array.isArray(messages) ? messages.filter(isLiveMessage) : [];
}

function isLiveMessage(message: unknown): message is LiveMessage {
  const type = typeof message === "object" && message !== null && "type" in message ? message.type : null;
  return type === "snapshot" || type === "job" || type === "agent";
}
