/** A whole migration where a proxy lets no WebSocket pass, and the way back when it does. */
import { mkdirSync } from "node:fs";
import { createServer, request } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Agent } from "../../schema/api.ts";
import { startAgent } from "../../tools/stack/agent-process.ts";
import { waitFor } from "../../tools/stack/children.ts";
import { makePlainTree } from "./source-tree.ts";
import { startStorageProxy, type StorageProxy } from "./storage-proxy.ts";
import { World } from "./world.ts";

const MIB = 1024 * 1024;

/** Before the control plane; upgrades are answered 403 until `passes`. */
async function startRefusingProxy(targetUrl: string) {
  const target = new URL(targetUrl);
  const proxy = { url: "", passes: false, refused: 0, stop: async () => {} };
  const server = createServer((incoming, answer) => {
    const { method, url, headers } = incoming;
    const to = { host: target.hostname, port: target.port, method, path: url, headers };
    const outgoing = request(to, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    outgoing.on("error", () => answer.destroy());
    answer.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  server.on("upgrade", (incoming, socket, head) => {
    socket.on("error", () => undefined);
    if (!proxy.passes) {
      proxy.refused++;
      return socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    const onward = connect(Number(target.port), target.hostname);
    onward.on("error", () => socket.destroy());
    const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
    for (let index = 0; index < incoming.rawHeaders.length; index += 2)
      lines.push(`${incoming.rawHeaders[index]}: ${incoming.rawHeaders[index + 1]}`);
    onward.write(`${lines.join("\r\n")}\r\n\r\n`);
    onward.write(head);
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  proxy.stop = async () => {
    server.closeAllConnections();
    await new Promise<void>((closed) => server.close(() => closed()));
  };
  return proxy;
}

let world: World;
let storage: StorageProxy;
let proxy: Awaited<ReturnType<typeof startRefusingProxy>>;
beforeAll(async () => {
  world = await World.start();
  storage = await startStorageProxy(world.connectionString);
  world.onStop(() => storage.stop());
  proxy = await startRefusingProxy(world.controlPlane.url);
  world.onStop(() => proxy.stop());
});
afterAll(async () => await world?.stop());

test("[K13] by long poll alone a job runs, pauses, resumes and completes; then the agent goes back to a WebSocket", async () => {
  const agent = startAgent({
    arguments: ["--register", await world.newCode(), "--url", proxy.url, "--name", "behind"],
    stateDir: join(world.folder, "behind"),
    logFile: join(world.folder, "behind.log"),
    executable: null,
    entry: "agent/impatient-deno.ts",
  });
  world.onStop(() => agent.stop());
  const agentWith = async (connection: string) =>
    await waitFor(
      `Agent by ${connection}`,
      async () =>
        (await world.api.list<Agent>("/api/agents")).find(
          (one) => one.name === "behind" && one.status === "online" && one.connection === connection,
        ),
      { limitMs: 60_000, child: agent, stepMs: 200 },
    );
  const { id: agentId } = await agentWith("long_poll");

  const folder = join(world.folder, "source");
  mkdirSync(folder);
  const tree = makePlainTree(folder, [30 * MIB, 100, 200]);
  storage.delayMs = 300;
  const options = { concurrency: 2, chunkSizeMiB: 1 };
  const project = await world.makeProject("polled", storage.connectionString);
  const job = await world.makeJob(project, agentId, tree.root, { options });
  await world.jobUntil(job.id, "running", ({ status }) => status === "running");
  await world.api.post(`/api/jobs/${job.id}/pause`);
  await world.jobUntil(job.id, "paused", ({ status }) => status === "paused", 30_000);
  expect(storage.acceptedBytes()).toBeLessThan(30 * MIB);
  await world.api.post(`/api/jobs/${job.id}/resume`);
  storage.delayMs = 0;
  expect((await world.finalJob(job.id)).status).toBe("completed");
  expect(await world.downloadAll("polled")).toEqual(tree.expected);
  expect(proxy.refused).toBeGreaterThan(0);

  proxy.passes = true;
  expect((await agentWith("websocket")).id).toBe(agentId);
}, 120_000);
