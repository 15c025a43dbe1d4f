/** The world as it is in the Worker: what deliveries are made with. */
import type { Env } from "../env.ts";
import type { OutboxWorld } from "./deliver.ts";
import { ANSWER_LIMIT_MS } from "./post.ts";
import { outboxSettings } from "./settings.ts";

/** `startMs` is what the clock says now; in a Worker it stands still between two calls to the outside. */
export function outboxWorld(env: Env, startMs: number): Omit<OutboxWorld, "database"> {
  const begunMs = Date.now();
  return {
    settings: outboxSettings(env),
    // A bare `fetch` handed on would be called with a wrong `this`.
    fetch: async (url, init) => await fetch(url, init),
    now: () => startMs + (Date.now() - begunMs),
    pause: async (ms) => await new Promise((resolve) => setTimeout(resolve, ms)),
    answerLimitMs: ANSWER_LIMIT_MS,
    random: Math.random,
    log: (event, fields) => console.log(JSON.stringify({ event, ...fields })),
  };
}
