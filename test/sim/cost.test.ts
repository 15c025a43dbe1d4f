/** What the product costs at Cloudflare, from what the production code does in a simulated day (`day.ts`). */
import assert from "node:assert/strict";
import { AGENTS, type Day, liveOneDay } from "./day.ts";
import { billOf, sumOf } from "./meter.ts";

/** `docs/spec.md`, L7. */
const PROGRESS_SECONDS = 30;
const DOLLARS_BILLED_MAX = 0.006;
/** Without what the plan includes, as the ten-thousandth agent would cost. It is above the goal: `docs/performance.md`. */
const DOLLARS_LISTED_MAX = 0.035;

let lived: Promise<Day> | undefined;
const day = () => (lived ??= liveOneDay(1, 1));

Deno.test("[L7] a running job writes one row of progress into D1 in 30 seconds at most, also while somebody looks", async () => {
  const { busy, runningMs, jobsCompleted } = await day();
  assert.equal(jobsCompleted, 4);
  const rowsMax = runningMs / 1_000 / PROGRESS_SECONDS;
  assert.ok(busy.progressRows <= rowsMax, `${busy.progressRows} rows, ${rowsMax} at most`);
  // Half of them at least, or this would count something else.
  assert.ok(busy.progressRows > rowsMax / 2, `only ${busy.progressRows} rows`);
});

Deno.test("[L7] a thousand agents, a tenth of them at work, cost $0.006 each a month at most", async () => {
  const bill = billOf((await day()).all);
  const [billed, listed] = [sumOf(bill, "billed") / AGENTS, sumOf(bill, "listed") / AGENTS];
  assert.ok(billed <= DOLLARS_BILLED_MAX, `$${billed} billed: ${JSON.stringify(bill)}`);
  assert.ok(listed <= DOLLARS_LISTED_MAX, `$${listed} at list prices: ${JSON.stringify(bill)}`);
});

Deno.test("[L9] an agent that only waits sets no alarm, writes no row and wakes nothing but when it connects and when the sweep looks", async () => {
  const { idle } = await day();
  const connects = 1 + 1;
  const perDay = (count: number) => count / 4;
  assert.ok(perDay(idle.heartbeats) > 600, `${idle.heartbeats} heartbeats`);
  // `hello`, `ready`, and the close.
  assert.ok(perDay(idle.messages) <= connects * 3, `${idle.messages} messages`);
  // Waiting for `hello`, going offline, and the limits' own; each once in a connect.
  assert.ok(perDay(idle.alarmsSet) <= connects * 3, `${idle.alarmsSet} alarms`);
  assert.equal(idle.progressRows, 0);
  assert.ok(perDay(idle.rowsWritten) <= connects * 10, `${idle.rowsWritten} rows`);
});
