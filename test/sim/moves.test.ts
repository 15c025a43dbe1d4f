import { tellManyOfMoves } from "./moves.ts";

Deno.test("[Q33] however jobs are moved between agents that come and go, no epoch has two of them (stories 1 to 130)", async () => {
  await tellManyOfMoves(1, 130);
});
