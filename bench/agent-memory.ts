/**
 * `npm run bench:memory`: the agent's peak resident memory while it moves one file of 2 GiB with 8 streams and blocks of
 * 8 MiB, through the whole product. Linux only: the peak is the kernel's own `VmHWM`.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { World } from "../test/e2e/world.ts";

const MIB = 1024 * 1024;
const FILE_BYTES = 2048 * MIB;
const CONCURRENCY = 8;
const CHUNK_MIB = 8;

const world = await World.start();
try {
  const source = join(world.folder, "source");
  mkdirSync(source);
  const file = openSync(join(source, "two-gib.bin"), "w");
  // A mark in each block, so that no two are alike; the rest reads as zeros.
  ftruncateSync(file, FILE_BYTES);
  for (let at = 0; at < FILE_BYTES; at += MIB) writeSync(file, `block at ${at}`, at);
  closeSync(file);

  const { agent, agentId } = await world.registerAgent("measured");
  const idleMib = peakMib(agent.pid);
  const options = { options: { concurrency: CONCURRENCY, chunkSizeMiB: CHUNK_MIB } };
  const job = await world.makeJob(await world.makeProject("memory"), agentId, source, options);
  const final = await world.finalJob(job.id);
  const seconds = (final.report?.activeMs ?? 0) / 1000;
  console.log(
    `job        ${final.status}, ${final.totals.filesVerified} of 1 file verified, ${seconds.toFixed(1)} s`,
  );
  console.log(
    `settings   ${CONCURRENCY} streams, blocks of ${CHUNK_MIB} MiB: ${CONCURRENCY * CHUNK_MIB} MiB of buffers at the most`,
  );
  console.log(`idle       ${idleMib} MiB resident at the most before the job`);
  console.log(`peak       ${peakMib(agent.pid)} MiB resident`);
} finally {
  await world.stop();
}

function peakMib(pid: number): number {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Math.round(Number(line?.[1]) / 1024);
}
