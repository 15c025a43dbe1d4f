/** TCP ports of this machine's loopback address. */
import { createServer, type AddressInfo } from "node:net";

/**
 * A port to listen on: `wanted` if it is free, else any. Another process may take it before it is used; who listens must
 * still be ready to fail.
 */
export async function findPort(wanted: number): Promise<number> {
  return (await tryPort(wanted)) ?? (await tryPort(0)) ?? wanted;
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
