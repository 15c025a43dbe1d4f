import assert from "node:assert/strict";
import type { FaultWords } from "./commands/obstacle-words.ts";
import { StatusBoard } from "./status-file.ts";
import { VirtualClock, virtualPlatform } from "./virtual.ts";
import { LOOK_AFTER_MS, LOOK_EVERY_MS, WayWatch } from "./way-watch.ts";

const LOST = { code: undefined, status: null, reason: "no connection", advice: null, waitMs: 1 };

function watched() {
  const clock = new VirtualClock();
  const platform = virtualPlatform({ clock });
  const world = { found: null as FaultWords | null, looks: 0 };
  const watch = new WayWatch({
    platform,
    find: async () => {
      world.looks++;
      return world.found;
    },
  });
  const stop = new AbortController();
  const running = watch.run(stop.signal);
  const said = () =>
    platform.logged.filter(({ event }) => event === "way_blocked").map(({ fields }) => fields);
  const end = async () => {
    stop.abort();
    await running;
  };
  return { clock, watch, world, said, end };
}

Deno.test("[X5] what is in the way is said once, and again when it is another, or after a connection", async () => {
  const { clock, watch, world, said, end } = watched();
  const portal = { what: "A page answers", todo: "Sign in" };
  await clock.advance(10 * LOOK_EVERY_MS);
  assert.equal(world.looks, 0);
  world.found = portal;
  watch.heard("session_lost", LOST);
  await clock.advance(LOOK_AFTER_MS);
  assert.deepEqual(said(), [{ reason: "A page answers", advice: "Sign in" }]);
  for (let minute = 0; minute < 10; minute++) {
    watch.heard("session_lost", LOST);
    await clock.advance(60_000);
  }
  assert.equal(said().length, 1);
  assert.ok(world.looks > 5 && world.looks <= 11, `${world.looks} looks in ten minutes`);
  world.found = { what: "No name", todo: "DNS" };
  await clock.advance(2 * LOOK_EVERY_MS);
  assert.equal(said().length, 2);
  watch.heard("session_opened", {});
  await clock.advance(10 * LOOK_EVERY_MS);
  watch.heard("session_lost", LOST);
  await clock.advance(LOOK_AFTER_MS);
  assert.equal(said().length, 3);
  await end();
});

Deno.test("[X5] nothing is looked at for a connection that is soon back, nor for what the control plane itself said", async () => {
  const { clock, watch, world, end } = watched();
  watch.heard("session_lost", LOST);
  await clock.advance(LOOK_AFTER_MS - 1);
  watch.heard("session_opened", {});
  await clock.advance(LOOK_EVERY_MS);
  watch.heard("session_lost", { ...LOST, code: 4401, advice: "The key is not accepted" });
  await clock.advance(LOOK_EVERY_MS);
  assert.equal(world.looks, 0);
  await end();
});

Deno.test("[X5] told to stop it ends at once, whatever it waits for", async () => {
  for (const lost of [false, true]) {
    const { clock, watch, end } = watched();
    if (lost) watch.heard("session_lost", LOST);
    await clock.advance(lost ? LOOK_AFTER_MS + 1 : 0);
    await end();
  }
});

Deno.test("[X5] status shows what is in the way, whatever fails behind it, until the control plane is heard again", () => {
  const clock = new VirtualClock();
  let text = "";
  const board = new StatusBoard({
    platform: virtualPlatform({ clock }),
    facts: { version: "1.0.0", agentId: "agt_1", url: "https://hub.example" },
    unfinished: () => [],
    progress: () => [],
    write: (written) => (text = written),
  });
  const reason = () => (JSON.parse(text) as { connection: { reason: string | null } }).connection.reason;
  board.heard("session_lost", LOST);
  assert.equal(reason(), "no connection");
  board.heard("way_blocked", { reason: "A page answers", advice: "Sign in" });
  board.heard("session_lost", LOST);
  assert.equal(reason(), "A page answers. Sign in");
  board.heard("session_lost", { ...LOST, status: 401, reason: "refused", advice: "The key is not accepted" });
  assert.equal(reason(), "refused. The key is not accepted");
  board.heard("way_blocked", { reason: "A page answers", advice: "Sign in" });
  board.heard("session_opened", { connection: "websocket" });
  assert.equal(reason(), null);
  board.heard("session_lost", LOST);
  assert.equal(reason(), "no connection");
});
