import { expect, test } from "vitest";
import type { RunnableJobType } from "../contract.ts";
import type { AccessTier } from "../../schema/job.ts";
import type { JobValues } from "../models/job-form.ts";
import { createJobForm } from "../models/job-form.ts";
import { agentWith, createTestApi, pageWith } from "../test-world.ts";
import { planOf } from "./job-plan.ts";

function valuesWith(change: Partial<JobValues>): JobValues {
  const { api } = createTestApi(() => ({ body: pageWith([]) }));
  const model = createJobForm({ api, uuid: () => "key-00000001" }, { projectId: null, saved: () => {} });
  return { ...model.form.values.value, path: "/srv/files", ...change };
}

function planWith(
  change: Partial<JobValues>,
  { type = "migrate_files", tier = "Hot" }: { type?: RunnableJobType; tier?: AccessTier } = {},
) {
  return planOf(valuesWith(change), {
    agent: agentWith(),
    project: null,
    destination: { account: "acme", container: "files", prefix: "", tier },
    type,
  });
}

const warnings = (lines: ReturnType<typeof planWith>) =>
  lines.filter((line) => line.tone === "warning").map((line) => line.text);
const textOf = (lines: ReturnType<typeof planWith>) => lines.map((line) => line.text).join(" ");

test("[U27] a job as it comes takes nothing away, and its plan warns of nothing", () => {
  const plan = planWith({});
  expect(warnings(plan)).toEqual([]);
  expect(textOf(plan)).toContain("The source is only read.");
});

test("[U27] whatever takes something away for good is marked in the plan", () => {
  const deletes = planWith({ deletes: true });
  expect(warnings(deletes)).toEqual([expect.stringContaining("after 7 days")]);
  expect(textOf(deletes)).not.toContain("The source is only read.");
  expect(warnings(planWith({ deletes: true, retentionDays: "0" }))).toEqual([
    expect.stringContaining("at the end of the job"),
  ]);
  expect(warnings(planWith({ vanished: "remove" }, { type: "sync" }))).toEqual([
    expect.stringContaining("removed at the destination"),
  ]);
  expect(warnings(planWith({ existing: "overwrite", archived: "replace" }))).toEqual([
    expect.stringContaining("overwritten"),
    expect.stringContaining("180 days"),
  ]);
  expect(warnings(planWith({ verify: false }))).toEqual([expect.stringContaining("not checked")]);
});

test("[U27] the plan tells what will be done, not what stands in fields that do not count", () => {
  const unverified = planWith({ verify: false, deletes: true, readbackPercent: "50" });
  expect(textOf(unverified)).toContain("The source is only read.");
  expect(textOf(unverified)).not.toContain("read back");
  expect(textOf(planWith({ vanished: "remove" }))).not.toContain("gone from the source");
  expect(warnings(planWith({ deletes: true, deletionDryRun: true }))).toEqual([]);
});

test("[U27] of a sync the rule for what is there already is told as one for what others put there", () => {
  const text = textOf(planWith({}, { type: "sync" }));
  expect(text).toContain("brings up to date");
  expect(text).toContain("Of what others put there");
});

test("[U27] reading back is told with its share, and before the move to the Archive tier", () => {
  expect(textOf(planWith({ readbackPercent: "10" }))).toContain("10% of the files");
  expect(textOf(planWith({ readbackPercent: "100" }))).toContain("Every file is read back whole");
  const archive = textOf(planWith({ readbackPercent: "10" }, { tier: "Archive" }));
  expect(archive).toContain("read back first and moved to the Archive tier afterwards");
});

test("[U27] until agent, destination and source are known there is no plan", () => {
  expect(planWith({ path: " " })).toEqual([]);
});
