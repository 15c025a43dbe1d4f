/**
 * `npm run bench:fan-out`: one agent tells how far it is ten times a second, and a thousand dashboards watch the
 * organization's feed: how long from the agent's frame to each of them? And what becomes of one that does not read: how
 * old is what it gets when it reads on, and what has the control plane kept for it? `--viewers 1000`, `--seconds 30`.
 *
 * Agent, control plane and viewers share this machine; a run with fewer viewers tells how much of it is the viewers' own.
 */
import { request } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ReadCounter } from "../schema/live-window.ts";
import { World } from "../test/e2e/world.ts";
import { waitFor } from "../tools/stack/children.ts";
import { figures } from "./figures.ts";
import { processesOf } from "./processes.ts";
import { SpokenAgent } from "./spoken-agent.ts";

const UPDATES_PER_SECOND = 10;
const MIB = 1024 * 1024;
const AT_ONCE = 50;

const { values: options } = parseArgs({
  options: { viewers: { type: "string", default: "1000" }, seconds: { type: "string", default: "30" } },
});
const viewers = Number(options.viewers);

const world = await World.start(async () => ({ SESSION_REQUESTS_PER_MINUTE: "100000" }));
const sentMs: number[] = [];
const tookMs: number[] = [];
const sockets: Socket[] = [];
try {
  const project = await world.makeProject("fan-out");
  const agent = await SpokenAgent.start(world.controlPlane.url, await world.newCode(), "FS1");
  await world.makeJob(project, agent.agentId, "/srv/share");
  await waitFor("The job's start", async () => (agent.running === 1 ? true : undefined), { limitMs: 60_000 });
  // The last may be the thousandth: the feed lets no more in.
  const slow = await watch(null);
  for (let made = 1; made < viewers; made += AT_ONCE) {
    const count = Math.min(AT_ONCE, viewers - made);
    await Promise.all(Array.from({ length: count }, () => watch(note)));
  }
  const plane = processesOf(world.controlPlane.pid, "workerd");
  console.log(`${sockets.length} viewers, workerd ${(plane.residentBytes() / MIB).toFixed(0)} MiB`);
  await report(agent, 3);
  tookMs.length = 0;
  const before = { memory: plane.residentBytes(), cpuMs: plane.cpuMs() };
  const beganMs = performance.now();
  slow.pause();
  await report(agent, Number(options.seconds));
  await sleep(2_000);
  const seconds = (performance.now() - beganMs) / 1_000;
  const expected = (sockets.length - 1) * Number(options.seconds) * UPDATES_PER_SECOND;
  console.log(`from the agent's frame to a viewer: ${figures(tookMs, "ms")}, ${expected} expected`);
  console.log(
    `workerd: ${(plane.cpuMs() - before.cpuMs) / seconds / 10} % of a core, ` +
      `memory ${(before.memory / MIB).toFixed(0)} → ${(plane.residentBytes() / MIB).toFixed(0)} MiB`,
  );
  await readOn(slow);
  agent.stop();
} finally {
  for (const socket of sockets) socket.destroy();
  await world.stop();
}

async function report(agent: SpokenAgent, seconds: number): Promise<void> {
  const beganMs = performance.now();
  for (let number = 0; number < seconds * UPDATES_PER_SECOND; number++) {
    await sleep(Math.max(0, beganMs + (number * 1_000) / UPDATES_PER_SECOND - performance.now()));
    sentMs.push(performance.now());
    // The number of the update travels as the bytes that are done.
    agent.report(sentMs.length);
  }
}

function note(text: string): void {
  const nowMs = performance.now();
  for (const [, number] of text.matchAll(/"bytesCompleted":(\d+)/g)) {
    const sent = sentMs[Number(number) - 1];
    if (sent !== undefined) tookMs.push(nowMs - sent);
  }
}

/** What one that has not read for a while gets first, when it reads. */
async function readOn(slow: Socket): Promise<void> {
  let text = "";
  slow.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  slow.resume();
  await sleep(3_000);
  const numbers = Array.from(text.matchAll(/"bytesCompleted":(\d+)/g), ([, number]) => Number(number));
  const newest = sentMs.length;
  console.log(
    `a viewer that did not read: ${numbers.length} messages waited for it, ${(text.length / 1024).toFixed(0)} KiB, ` +
      `the first ${newest - (numbers[0] ?? newest)} updates old, the last ${newest - (numbers.at(-1) ?? 0)}`,
  );
}

/** A short text as a client sends it, masked with zeros (RFC 6455, 5.2). */
function textFrame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

/** By hand, because a thousand of Node's own WebSockets would be most of what is measured. Frames of the feed are short texts. */
async function watch(hear: ((text: string) => void) | null): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const asked = request(`${world.controlPlane.url}/api/live`, {
    headers: {
      ...world.api.headers(),
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    },
  });
  asked.on("error", reject);
  asked.on("response", ({ statusCode }) => reject(new Error(`Cannot watch: ${statusCode}`)));
  asked.on("upgrade", (_, socket: Socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    const read = new ReadCounter();
    socket.on("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      hear?.(text);
      // Each piece of the stream counts as a frame: they are short, and most come alone.
      const word = read.count(text);
      if (word !== null) socket.write(textFrame(word));
    });
    resolve(socket);
  });
  asked.end();
  return await promise;
}
