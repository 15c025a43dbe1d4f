/** Half of the stories of a test run; the other half is told beside it. */
import { tellMany } from "./stories.ts";

Deno.test("[Q30] whatever fails, nothing unsafe is ever seen, and then every job comes to its end (stories 1001 to 2000)", async () => {
  await tellMany(1001, 1_000);
});
