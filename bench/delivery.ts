/**
 * `npm run bench:delivery`: how long from the dashboard's call to pause or resume a job until its agent has the command?
 * From before the request is sent to the moment the agent's socket hands the frame over; all on loopback, one command at a
 * time. Then the same over the long poll, where the Worker looks every five seconds. `--commands 500`, `--polled 20`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Project } from "../schema/api.ts";
import { World } from "../test/e2e/world.ts";
import { figures } from "./figures.ts";
import { SpokenAgent } from "./spoken-agent.ts";

const WARM_UP = 20;
const ARRIVE_LIMIT_MS = 60_000;

const { values: options } = parseArgs({
  options: { commands: { type: "string", default: "500" }, polled: { type: "string", default: "20" } },
});

const world = await World.start(async () => ({ SESSION_REQUESTS_PER_MINUTE: "100000" }));
try {
  const project = await world.makeProject("delivery");
  await measure(project, "websocket", Number(options.commands), WARM_UP);
  await measure(project, "long_poll", Number(options.polled), 0);
} finally {
  await world.stop();
}

async function measure(
  project: Project,
  way: "websocket" | "long_poll",
  commands: number,
  warmUp: number,
): Promise<void> {
  const { url } = world.controlPlane;
  const identity = await SpokenAgent.register(url, await world.newCode(), way);
  const agent = await SpokenAgent.connect(url, identity, way, way);
  let arrived = Promise.withResolvers<number>();
  agent.onWish = () => arrived.resolve(performance.now());
  const destination = { prefix: way };
  const job = await world.makeJob(project, identity.agentId, "/srv/share", { destination });
  await inTime(arrived.promise);
  const arrivedMs: number[] = [];
  const answeredMs: number[] = [];
  for (let number = 0; number < warmUp + commands; number++) {
    // So that the long poll is met at any moment of its pause.
    await sleep(way === "long_poll" ? Math.random() * 5_000 : 20);
    arrived = Promise.withResolvers();
    const beganMs = performance.now();
    const answer = world.api.post(`/api/jobs/${job.id}/${number % 2 === 0 ? "pause" : "resume"}`);
    answer.catch(() => undefined);
    const tookMs = (await inTime(arrived.promise)) - beganMs;
    await answer;
    if (number < warmUp) continue;
    arrivedMs.push(tookMs);
    answeredMs.push(performance.now() - beganMs);
  }
  agent.stop();
  console.log(`${way}: the agent has the command: ${figures(arrivedMs, "ms")}`);
  console.log(`${way}: the dashboard has its answer: ${figures(answeredMs, "ms")}`);
}

async function inTime(arrival: Promise<number>): Promise<number> {
  const limit = new AbortController();
  const late = sleep(ARRIVE_LIMIT_MS, undefined, { signal: limit.signal }).then(() => {
    throw new Error("A command did not arrive");
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([arrival, late]);
  } finally {
    limit.abort();
  }
}
