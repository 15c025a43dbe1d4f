/** `npm run cost`: what a thousand agents use in a day, all of it simulated, and what that costs in a month. */
import { AGENTS, liveOneDay } from "./day.ts";
import { billOf, sumOf } from "./meter.ts";

const began = performance.now();
const { idle, busy, sweep, all, runningMs } = await liveOneDay(1, 4);
const rows = Object.keys(all) as (keyof typeof all)[];
console.table(
  Object.fromEntries(
    rows.map((name) => [
      name,
      { "one that waits": idle[name], "one that works": busy[name], sweep: sweep[name], all: all[name] },
    ]),
  ),
);
const bill = billOf(all);
console.table(bill);
const each = (kind: "listed" | "billed") => (sumOf(bill, kind) / AGENTS).toFixed(4);
console.log(
  `In dollars a month for ${AGENTS} agents, at list prices, and beyond what the plan includes. Each agent: $${each("listed")} at list prices, ` +
    `$${each("billed")} billed. One row of progress in ${(runningMs / busy.progressRows / 1_000).toFixed(1)} s of a running job. ` +
    `Simulated in ${((performance.now() - began) / 1_000).toFixed(1)} s.`,
);
