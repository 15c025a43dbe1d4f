/** A machine that an agent runs on: it connects over a real socket, and remembers what an agent stores. */
import { SUBPROTOCOL } from "../../schema/protocol.ts";
import { Line } from "./harness.ts";

const HELLO = {
  type: "hello",
  protocolMin: 1,
  protocolMax: 1,
  agentVersion: "0.1.0",
  host: "fs01",
  os: "linux",
  arch: "x86_64",
  freeDiskBytes: null,
  applied: {},
};

export interface Message {
  readonly type: string;
  readonly sessionEpoch: number;
  readonly generation?: number;
  readonly key?: string;
}
export const messagesOf = (text: string): Message[] =>
  text.startsWith("{") ? (JSON.parse(text) as { m: Message[] }).m : [];

/** An agent's machine: a key, and what it has stored. */
export class Machine {
  key: string;
  generation = 0;
  #n = 0;
  #s = 0;
  line: Line | null = null;
  readonly instanceId: string;

  constructor(key: string, instanceId = "one") {
    this.key = key;
    this.instanceId = instanceId;
  }

  copy(): Machine {
    return Object.assign(new Machine(this.key), { generation: this.generation });
  }

  /** Resolves with `welcome`, or with the code of the close. */
  async connect(): Promise<Message | number> {
    const headers = { authorization: `Bearer ${this.key}` };
    const line = await Line.open("/api/agent/session", { headers, protocols: [SUBPROTOCOL] });
    this.line = line;
    [this.#n, this.#s] = [0, 0];
    this.say({ ...HELLO, instanceId: this.instanceId, generation: this.generation });
    const answer = await Promise.race([
      line.next((text) => messagesOf(text).find(({ type }) => type === "welcome")),
      line.closed,
    ]);
    if (typeof answer === "number") return answer;
    this.#s = answer.sessionEpoch;
    this.generation = answer.generation ?? 0;
    this.say({ type: "ready", generation: this.generation });
    return answer;
  }

  /** Waits for the next message of a type. */
  async hear(type: string): Promise<Message> {
    if (this.line === null) throw new Error("It is not connected");
    return await this.line.next((text) => messagesOf(text).find((message) => message.type === type));
  }

  say(message: object): void {
    this.line?.send(JSON.stringify({ v: 1, s: this.#s, n: ++this.#n, a: 0, m: [message] }));
  }
}
