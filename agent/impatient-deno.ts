/** For tests: the agent as it is, but for the half hour between two tries of a WebSocket. */
import { main } from "./main.ts";

Deno.exit(await main(Deno.args, 8_000));
