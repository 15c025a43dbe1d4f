/**
 * The network between one agent and its object: frames take their time and stay in order, a link may break so that both ends
 * hear of it, or die so that neither does, and for a while there may be no way through at all.
 */
import { ConnectError, type Socket } from "../../agent/platform.ts";
import type { Chance, SimulatedClock } from "./clock.ts";
import type { ServerSocket, SimulatedObject } from "./object.ts";

/** How long a frame, or a word about the end of a link, is on its way. */
const DELAY_MS = [1, 40] as const;

export class Network {
  readonly #clock: SimulatedClock;
  readonly #chance: Chance;
  readonly #object: SimulatedObject;
  readonly #links = new Set<Link>();
  /** Nothing comes through, and nobody is told. */
  isCut = false;

  constructor(world: {
    readonly clock: SimulatedClock;
    readonly chance: Chance;
    readonly object: SimulatedObject;
  }) {
    this.#clock = world.clock;
    this.#chance = world.chance;
    this.#object = world.object;
  }

  /** From an agent's process; `isAlive` says whether that is still there. */
  async connect(keyHash: string, isAlive: () => boolean, signal: AbortSignal): Promise<Socket> {
    await this.#clock.sleep(this.#chance.between(...DELAY_MS), signal);
    if (this.isCut) {
      // Nobody answers.
      await new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      });
    }
    const server = await this.#object.connect(keyHash);
    if (server === null) throw new ConnectError(401, "the key was refused");
    const link = new Link(this.#clock, this.#chance, {
      object: this.#object,
      server,
      isAlive,
      isCut: () => this.isCut,
    });
    this.#links.add(link);
    return link.agentEnd;
  }

  /** Breaks what is open; both ends are told. */
  reset(): void {
    for (const link of this.#links) link.reset();
    this.#links.clear();
  }

  /** What is open dies, and neither end is told. */
  halfOpen(): void {
    for (const link of this.#links) link.die();
    this.#links.clear();
  }
}

interface Ends {
  readonly object: SimulatedObject;
  readonly server: ServerSocket;
  readonly isAlive: () => boolean;
  readonly isCut: () => boolean;
}

type Received = Awaited<ReturnType<Socket["receive"]>>;

class Link {
  readonly #clock: SimulatedClock;
  readonly #chance: Chance;
  readonly #ends: Ends;
  readonly #inbox: Received[] = [];
  #wake: (() => void) | null = null;
  #toServerMs = 0;
  #toAgentMs = 0;
  #isDead = false;
  /** The agent's end was closed, by whichever side. */
  #isOver = false;

  constructor(clock: SimulatedClock, chance: Chance, ends: Ends) {
    this.#clock = clock;
    this.#chance = chance;
    this.#ends = ends;
    ends.server.onSent = (text) => this.#toAgent({ kind: "text", text });
    ends.server.onClosed = (code, reason) => {
      this.#toAgent({ kind: "closed", code, reason });
      // The object hears of the end of its own socket, too, as the runtime tells it.
      this.#clock.after(1, () => void this.#ends.object.lost(this.#ends.server, code));
    };
  }

  readonly agentEnd: Socket = {
    bufferedBytes: 0,
    send: (text) => this.#toServer(() => void this.#ends.object.receive(this.#ends.server, text)),
    receive: async (signal) => {
      for (;;) {
        signal.throwIfAborted();
        const next = this.#inbox.shift();
        if (next !== undefined) return next;
        await new Promise<void>((resolve, reject) => {
          this.#wake = resolve;
          signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
        });
      }
    },
    close: (code) => {
      if (this.#isOver) return;
      this.#isOver = true;
      this.#toServer(() => this.#endServer(code));
    },
  };

  reset(): void {
    this.die();
    this.#clock.after(this.#chance.between(...DELAY_MS), () =>
      this.#put({ kind: "closed", code: 1006, reason: "" }),
    );
    this.#clock.after(this.#chance.between(...DELAY_MS), () => this.#endServer(1006));
  }

  die(): void {
    this.#isDead = true;
  }

  #endServer(code: number): void {
    if (this.#ends.server.isOpen) void this.#ends.object.lost(this.#ends.server, code);
  }

  #toServer(arrive: () => void): void {
    if (this.#isDead || !this.#ends.isAlive()) return;
    this.#toServerMs = Math.max(this.#toServerMs, this.#clock.now() + this.#chance.between(...DELAY_MS));
    this.#clock.after(this.#toServerMs - this.#clock.now(), () => {
      if (!this.#isDead && !this.#ends.isCut()) arrive();
    });
  }

  #toAgent(received: Received): void {
    if (this.#isDead) return;
    this.#toAgentMs = Math.max(this.#toAgentMs, this.#clock.now() + this.#chance.between(...DELAY_MS));
    this.#clock.after(this.#toAgentMs - this.#clock.now(), () => {
      if (!this.#isDead && !this.#ends.isCut()) this.#put(received);
    });
  }

  #put(received: Received): void {
    if (received.kind === "closed") this.#isOver = true;
    this.#inbox.push(received);
    this.#wake?.();
  }
}
