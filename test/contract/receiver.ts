/** Somebody outside who is told of things, over real HTTP: notes what comes, and answers as a test wants it, also badly. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** How one request is answered. */
export type Behaviour = (response: ServerResponse) => void;

export const answers =
  (status: number, headers: Record<string, string> = {}): Behaviour =>
  (response) =>
    void response.writeHead(status, headers).end("a secret of the receiver's");
/** Took it, and nobody hears of it. */
export const losesAnswer: Behaviour = (response) => void response.socket?.destroy();
/** Says nothing for ever. */
export const hangs: Behaviour = () => undefined;
/** Begins to answer, and never comes to the end. */
export const drips: Behaviour = (response) => {
  response.writeHead(200, { "content-type": "text/plain" });
  response.write("and ");
};

export interface Receiver {
  readonly origin: string;
  /** What came, in its order; optionally of one path. */
  received(path?: string): Received[];
  /** How a path answers from now on; where nothing was said, with 204. */
  behave(path: string, behaviour: Behaviour): void;
  forget(): void;
  stop(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const all: Received[] = [];
  const behaviours = new Map<string, Behaviour>();
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => (body += chunk));
    request.on("end", () => {
      const { method = "", url: path = "", headers } = request;
      all.push({ method, path, headers, body });
      (behaviours.get(path) ?? answers(204))(response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: (path) => (path === undefined ? all : all.filter((one) => one.path === path)),
    behave: (path, behaviour) => void behaviours.set(path, behaviour),
    forget: () => {
      all.length = 0;
      behaviours.clear();
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
