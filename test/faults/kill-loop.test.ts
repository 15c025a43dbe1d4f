/** A small kill loop; `npm run faults` is the long one. And that what it counts can be wrong. */
import { expect, test } from "vitest";
import type { Seen } from "./blob-server.ts";
import { countSent } from "./judge.ts";
import { runKillLoop } from "./kill-loop.ts";

test("[K14] over kills of agent and workerd, on lines that break, no file is lost, changed or counted twice, and nothing that was acknowledged is sent again", async () => {
  const verdict = await runKillLoop({
    seed: 13,
    kills: 3,
    minutes: null,
    momentMsMax: 1_500,
    smallFiles: 20,
    largeFiles: 3,
    faultShare: 0.12,
    executable: null,
    say: () => undefined,
  });
  expect(verdict.findings, `kept in ${verdict.folder}`).toEqual([]);
  expect(verdict.kills.agent + verdict.kills.controlPlane).toBe(3);
  expect(verdict.sent.accepted).toBeGreaterThanOrEqual(verdict.bytes);
}, 240_000);

test("[K14] a body is sent again for nothing only if its storage had said that it had it", () => {
  const put = (path: string, emulatorStatus: number | null, status: number | null): Seen => ({
    operation: "put_blob",
    method: "PUT",
    path,
    blockId: "",
    atMs: 0,
    earlyMs: null,
    fault: null,
    bodyBytes: 10,
    emulatorStatus,
    status,
  });
  const sent = countSent([
    put("refused", null, 503),
    put("refused", 201, 201),
    put("unanswered", 201, null),
    put("unanswered", 409, 409),
    put("for nothing", 201, 201),
    put("for nothing", 409, 409),
  ]);
  expect(sent).toEqual({ accepted: 30, againAcknowledged: 10, againUnanswered: 10 });
});
