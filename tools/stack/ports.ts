/** TCP ports of this machine's loopback address. */
import { randomInt } from "node:crypto";
import { createServer, type AddressInfo } from "node:net";

/** Below the ports that Linux, Windows and macOS give to outgoing connections, above those that programs listen on by default. */
const FIRST = 10_000;
const LAST = 32_000;
const TRIES = 100;

/**
 * A port to listen on: `wanted` if it is free, else any. Another process may take it before it is used, so who listens must
 * still be ready to fail. That is rare only because it is none that the system gives away by itself: those are taken by
 * any connection anybody makes, and it is seconds until a control plane listens.
 */
export async function findPort(wanted?: number): Promise<number> {
  if (wanted !== undefined && (await tryPort(wanted)) !== undefined) return wanted;
  for (let left = TRIES; left > 0; left -= 1) {
    const port = await tryPort(randomInt(FIRST, LAST));
    if (port !== undefined) return port;
  }
  throw new Error(`No free port was found on 127.0.0.1 from ${FIRST} to ${LAST}`);
}

/** Throws when somebody else listens there. */
export async function requirePort(port: number, name: string): Promise<void> {
  if ((await tryPort(port)) === undefined) {
    throw new Error(`Cannot start "${name}": port ${port} of 127.0.0.1 is taken by another program`);
  }
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const bound = (server.address() as AddressInfo).port;
      server.close(() => resolve(bound));
    });
  });
}
