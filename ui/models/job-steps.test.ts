import { expect, test } from "vitest";
import type { Job } from "../../schema/api.ts";
import type { LiveJob } from "../../schema/live.ts";
import { jobWith, liveJobWith, totalsWith } from "../test-world.ts";
import { figuresOf } from "./job-figures.ts";
import { stepsOf } from "./job-steps.ts";

function steps(job: Partial<Job>, live: Partial<LiveJob> | null = null): string {
  const told = jobWith(job);
  const heard = live === null ? undefined : { job: liveJobWith(live), heardAtMs: 2 };
  return stepsOf(told, figuresOf({ job: told, askedAtMs: 1 }, heard))
    .map(({ name, state }) =>
      state === "current"
        ? `[${name}]`
        : state === "stopped"
          ? `!${name}`
          : state === "done"
            ? `+${name}`
            : name,
    )
    .join(" ");
}
const { config } = jobWith();
const withOptions = (
  change: Partial<Job["config"]["options"]>,
  type: Job["config"]["type"] = "migrate_files",
) => ({
  config: { ...config, type, options: { ...config.options, ...change } },
});

test("[U66] a job goes through its steps in order, and exactly one is the current one", () => {
  expect(steps({ status: "created", totals: totalsWith({ filesTotal: 0, bytesTotal: 0 }) })).toBe(
    "scan upload verify done",
  );
  expect(steps({ status: "scanning" })).toBe("[scan] upload verify done");
  expect(steps({ status: "running" })).toBe("+scan [upload] verify done");
  const sent = { totals: totalsWith({ filesCompleted: 4, bytesCompleted: 400 }), bytesInFlight: 600 };
  expect(steps({ status: "running" }, sent)).toBe("+scan +upload [verify] done");
  const done = totalsWith({ filesCompleted: 10, bytesCompleted: 1_000 });
  expect(steps({ status: "completed", totals: done })).toBe("+scan +upload +verify +done");
});

test("[U66] verifying, removing and the next pass are steps only of jobs that do them", () => {
  const deletion = { retentionDays: 7, filesMax: null, dryRun: false };
  const done = totalsWith({ filesCompleted: 10, bytesCompleted: 1_000 });
  expect(steps({ status: "running", ...withOptions({ verify: false }) })).toBe("+scan [upload] done");
  expect(steps({ status: "running", totals: done, ...withOptions({ deletion }) })).toBe(
    "+scan +upload +verify [remove] done",
  );
  const waiting = { reason: "next_pass", untilMs: null, message: null } as const;
  expect(steps({ ...withOptions({}, "sync") }, { totals: done, waiting })).toBe(
    "+scan +upload +verify [next_pass] done",
  );
});

test("[U66] a job that failed or was cancelled shows at which step", () => {
  const none = totalsWith({ filesTotal: 0, bytesTotal: 0 });
  expect(steps({ status: "failed", totals: none })).toBe("!scan upload verify done");
  expect(steps({ status: "cancelled" })).toBe("+scan !upload verify done");
  expect(steps({ status: "paused" })).toBe("+scan [upload] verify done");
});
