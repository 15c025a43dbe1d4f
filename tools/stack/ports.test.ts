import { createServer, type AddressInfo, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { findPort } from "./ports.ts";

const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

async function listen(port: number): Promise<number> {
  const server = createServer();
  servers.push(server);
  await new Promise<void>((listening) => server.listen(port, "127.0.0.1", listening));
  return (server.address() as AddressInfo).port;
}

test("a port is the wanted one if that is free, else another free one", async () => {
  const free = await findPort();
  expect(await findPort(free)).toBe(free);
  await listen(free);
  const other = await findPort(free);
  expect(other).not.toBe(free);
  expect(await listen(other)).toBe(other);
});

test("a found port is none that the system gives to somebody's connection in the meantime", async () => {
  const found = await Promise.all(Array.from({ length: 20 }, () => findPort()));
  // Where Linux begins to give them away unless it was set otherwise (`ip_local_port_range`); other systems begin at 49,152.
  expect(Math.max(...found)).toBeLessThan(32_768);
});
