import assert from "node:assert/strict";
import { isOccupied, openPatiently } from "./installation-deno.ts";
import { denoPlatform } from "./platform-deno.ts";
import { DiskError } from "./platform.ts";

Deno.test("[A102] who holds an agent's memory for a moment is no agent that runs; who keeps it is", async () => {
  const platform = denoPlatform(() => undefined);
  const folder = Deno.makeTempDirSync();
  const open = () => platform.openDatabase(`${folder}/agent.db`, { exclusive: true });
  try {
    const holdForAMoment = () => {
      const held = open();
      setTimeout(() => held.close(), 100);
    };
    holdForAMoment();
    assert.equal(await isOccupied(platform, folder), false);
    holdForAMoment();
    const started = await openPatiently(open);
    assert.equal(await isOccupied(platform, folder), true);
    await assert.rejects(openPatiently(open), (error) => error instanceof DiskError && error.code === "busy");
    started.close();
    assert.equal(await isOccupied(platform, folder), false);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
