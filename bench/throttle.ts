/**
 * `npm run bench:throttle`: does a bandwidth limit hold where it counts, on the line? A job with a limit runs through the whole
 * product, and what arrives at the null sink is counted second by second.
 *
 * The first seconds are left out: what the system's socket buffers took before the limit was felt is not ours to hold back.
 */
import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CACHE } from "./cache.ts";
import { buildNativeTools } from "./native-tools.ts";
import { startOurs, type Ours } from "./ours.ts";
import { startNullSink, type Target } from "./sink.ts";

const LIMITS_MBPS = [0.5, 5, 50, 500];
const CHUNKS_MIB = [1, 8, 256];
const SETTLING_SECONDS = 3;
const MEASURED_SECONDS = 20;
const GIB = 1024 ** 3;

interface Held {
  /** Of the limit: over all measured seconds, in the best and the worst ten, and in the best second. */
  readonly mean: number;
  readonly tenSeconds: readonly [least: number, most: number];
  readonly second: number;
}

const stopping = new AbortController();
process.once("SIGINT", () => stopping.abort(new Error("stopped")));
const folder = join(CACHE, "throttle");
rmSync(folder, { recursive: true, force: true });
const source = join(folder, "source");
mkdirSync(source, { recursive: true });
const file = join(source, "large.bin");
writeFileSync(file, "");
// It reads as zeros, and takes no room.
truncateSync(file, 16 * GIB);

const tools = await buildNativeTools(stopping.signal);
const sink = await startNullSink({ tools, folder, kind: "sink", delayMs: 0, certificate: null });
const ours = await startOurs({ folder, executable: null, authorityFile: null });
try {
  console.log("limit Mbps   chunk MiB      mean   any 10 s          most in a second");
  for (const limit of LIMITS_MBPS) {
    for (const chunk of CHUNKS_MIB) {
      const held = judge(await arrive(ours, sink, { limit, chunk }), limit);
      console.log(
        `${String(limit).padStart(10)}  ${String(chunk).padStart(10)}   ${percent(held.mean)}   ` +
          `${percent(held.tenSeconds[0])} to ${percent(held.tenSeconds[1])}   ${percent(held.second)}`,
      );
    }
  }
  console.log("\nchanged while the job runs (8 MiB), Mbps that arrived in each second:");
  console.log((await change(ours, sink)).map((mbps) => mbps.toFixed(1)).join("  "));
} finally {
  await ours.stop();
  await sink.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** Bytes of each measured second. */
async function arrive(
  product: Ours,
  target: Target,
  { limit, chunk }: { readonly limit: number; readonly chunk: number },
): Promise<readonly number[]> {
  await target.forget();
  const options = { bandwidthMbps: limit, chunkSizeMiB: chunk };
  const run = { target, container: "limited", folder: source, options };
  return await product.whileJob(
    run,
    async () => {
      await sleep((SETTLING_SECONDS + MEASURED_SECONDS + 2) * 1000, null, { signal: stopping.signal });
      return (await target.bytesPerSecond()).slice(SETTLING_SECONDS, SETTLING_SECONDS + MEASURED_SECONDS);
    },
    stopping.signal,
  );
}

/** Ten seconds each at 20, 100 and 5 Mbps; the Mbps of each second. */
async function change(product: Ours, target: Target): Promise<readonly number[]> {
  await target.forget();
  const options = { bandwidthMbps: 20, chunkSizeMiB: 8 };
  const run = { target, container: "limited", folder: source, options };
  return await product.whileJob(
    run,
    async (job) => {
      for (const limit of [100, 5, null]) {
        await sleep(10_000, null, { signal: stopping.signal });
        if (limit !== null) await job.limit(limit);
      }
      return (await target.bytesPerSecond()).map((bytes) => (bytes * 8) / 1e6);
    },
    stopping.signal,
  );
}

function judge(bytes: readonly number[], limit: number): Held {
  const allowed = (limit * 1e6) / 8;
  const sum = (part: readonly number[]) => part.reduce((total, one) => total + one, 0);
  const tens = bytes.slice(0, -9).map((_, from) => sum(bytes.slice(from, from + 10)) / (10 * allowed));
  return {
    mean: sum(bytes) / (bytes.length * allowed),
    tenSeconds: [Math.min(...tens), Math.max(...tens)],
    second: Math.max(...bytes) / allowed,
  };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`.padStart(8);
}
