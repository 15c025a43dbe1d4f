import assert from "node:assert/strict";
import { KEPT } from "./stories.ts";
import { tell } from "./story.ts";

for (const [seed, found] of KEPT) {
  Deno.test(`[Q31] story ${seed}, which found that ${found}, ends well`, async () => {
    await tell(seed);
  });
}

Deno.test("[Q31] a seed tells the same story each time, to the last turn", async () => {
  for (const seed of [5, 25, 77]) {
    const [first, second] = [await tell(seed), await tell(seed)];
    assert.deepEqual(second, first);
  }
});
