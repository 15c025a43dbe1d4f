/**
 * Many stories, one after the other.
 *
 *     npm run sim -- [--from 1] [--seeds 50000]     as many as one likes
 *     npm run sim -- --seed 4711                    one, with what happened in it
 *
 * A story that breaks something prints its seed; that one is put into `KEPT` under a name, and told at each test from then on.
 */
import { parseArgs } from "node:util";
import { tell, type Told } from "./story.ts";

/** Seeds that found a defect, by what they found. All of them end well now. */
export const KEPT: readonly (readonly [seed: number, found: string])[] = [
  [30, "a cancelled job whose agent had ended it before it heard of that waited for a word that never came"],
];

export interface Summary {
  readonly stories: number;
  readonly simulatedMs: number;
  readonly realMs: number;
  readonly starts: number;
  readonly constructions: number;
  readonly ends: Readonly<Record<string, number>>;
}

/** Tells `count` stories. Throws {@link Broken} at the first that breaks something. */
export async function tellMany(from: number, count: number): Promise<Summary> {
  const begunMs = performance.now();
  const ends: Record<string, number> = {};
  let [simulatedMs, starts, constructions] = [0, 0, 0];
  for (let seed = from; seed < from + count; seed++) {
    const told = await tell(seed);
    simulatedMs += told.simulatedMs;
    starts += told.starts;
    constructions += told.constructions;
    for (const end of told.ends) ends[end] = (ends[end] ?? 0) + 1;
  }
  return { stories: count, simulatedMs, realMs: performance.now() - begunMs, starts, constructions, ends };
}

function describe({ stories, simulatedMs, realMs, starts, constructions, ends }: Summary): string {
  const jobs = Object.entries(ends).map(([end, count]) => `${count} ${end}`);
  return (
    `${stories} stories, ${(simulatedMs / 3_600_000).toFixed(1)} h simulated in ${(realMs / 1_000).toFixed(0)} s ` +
    `(${Math.round(simulatedMs / realMs)} : 1); the agent started ${starts} times, its object ${constructions} times; jobs: ${jobs.join(", ")}`
  );
}

function describeOne({ lines, ...told }: Told): string {
  return `${lines.join("\n")}\n${JSON.stringify(told, null, 1)}`;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      from: { type: "string", default: "1" },
      seeds: { type: "string", default: "2000" },
      seed: { type: "string" },
    },
  });
  if (values.seed !== undefined) console.log(describeOne(await tell(Number(values.seed))));
  else {
    const STEP = 500;
    const [first, count] = [Number(values.from), Number(values.seeds)];
    for (let from = first; from < first + count; from += STEP)
      console.log(`from ${from}: ${describe(await tellMany(from, Math.min(STEP, first + count - from)))}`);
    console.log(`0 broken in ${count} stories`);
  }
}
