import { expect, test } from "vitest";
import * as schema from "../../schema/api.ts";
import { agentWith, createTestApi, pageWith, settle } from "../test-world.ts";
import { checkJob, createJobForm, jobOf, type JobValues, linesOf, sortForPicking } from "./job-form.ts";

const PROJECT_ID = `prj_${"0".repeat(26)}`;
const AGENT_ID = `agt_${"0".repeat(26)}`;

async function filledForm(change: Partial<JobValues> = {}): Promise<JobValues> {
  const { api } = createTestApi(() => ({ body: pageWith([]) }));
  const model = createJobForm(
    { api, uuid: () => "key-00000001" },
    { projectId: PROJECT_ID, saved: () => {} },
  );
  model.open();
  await settle();
  return { ...model.form.values.value, name: " Files ", agentId: AGENT_ID, path: " /srv/files ", ...change };
}

test("[U20] what the form sends is what the contract asks for, with its defaults", async () => {
  const values = await filledForm();
  expect(checkJob(values, "migrate_files")).toEqual({});
  const parsed = schema.jobCreate.parse(jobOf(values, "migrate_files"));
  expect(parsed).toEqual(
    schema.jobCreate.parse({
      projectId: PROJECT_ID,
      agentId: AGENT_ID,
      name: "Files",
      type: "migrate_files",
      source: { kind: "local", path: "/srv/files" },
    }),
  );
});

test("[U20] patterns are one per line, sizes are decimal MB, and dates begin at the reader's midnight", async () => {
  const values = await filledForm({
    include: "*.pdf\r\n\n  \nProjects/**",
    sizeMin: "1,5",
    sizeMax: "20",
    modifiedAfter: "2026-01-31",
  });
  const { filters } = schema.jobCreate.parse(jobOf(values, "archive")).options;
  expect(filters.include).toEqual(["*.pdf", "Projects/**"]);
  expect([filters.sizeBytesMin, filters.sizeBytesMax]).toEqual([1_500_000, 20_000_000]);
  expect(filters.modifiedAfter).toBe(new Date(2026, 0, 31).toISOString());
  expect(linesOf("name with space at end ")).toEqual(["name with space at end "]);
});

test("[U19] faults of a job are found at the fields the server would name", async () => {
  const values = await filledForm({
    name: " ",
    agentId: "",
    path: "files",
    concurrency: "33",
    chunkSizeMiB: "1.5",
    sizeMin: "9",
    sizeMax: "3",
    prefix: "a//b",
    exclude: "x".repeat(513),
    modifiedAfter: "2026-02-01",
    modifiedBefore: "2026-01-01",
  });
  expect(Object.keys(checkJob(values, "migrate_files")).sort()).toEqual([
    "agentId",
    "destination.prefix",
    "name",
    "options.chunkSizeMiB",
    "options.concurrency",
    "options.filters.exclude",
    "options.filters.modifiedBefore",
    "options.filters.sizeBytesMax",
    "source.path",
  ]);
});

test("[U20] the options of line, proof and deletion are sent as the contract asks for them", async () => {
  const values = await filledForm({
    bandwidthMbps: "2,5",
    readbackPercent: "10",
    existing: "overwrite",
    archived: "new_name",
    deletes: true,
    retentionDays: "14",
    deletionFilesMax: "100",
    deletionDryRun: true,
    confirmDeletionOf: "/srv/files ",
  });
  expect(checkJob(values, "archive")).toEqual({});
  const parsed = schema.jobCreate.parse(jobOf(values, "archive"));
  expect(parsed.confirmDeletionOf).toBe("/srv/files");
  expect(parsed.options).toMatchObject({
    bandwidthMbps: 2.5,
    readbackPercent: 10,
    existing: "overwrite",
    archived: "new_name",
    repetition: null,
    deletion: { retentionDays: 14, filesMax: 100, dryRun: true },
  });
});

test("[U20] a sync is sent with its passes", async () => {
  const values = await filledForm({ everyMinutes: "30", vanished: "remove" });
  expect(checkJob(values, "sync")).toEqual({});
  const parsed = schema.jobCreate.parse(jobOf(values, "sync"));
  expect(parsed.type).toBe("sync");
  expect(parsed.options.repetition).toEqual({ everyMinutes: 30, vanished: "remove" });
  // It replaces what it wrote itself, whatever the rule for what others wrote.
  const archived = await filledForm({ archived: "new_name" });
  expect(jobOf(archived, "sync").options?.archived).toBe("new_name");
  expect(jobOf(archived, "migrate_files").options?.archived).toBe("skip");
});

test("[U25] what is switched off is not sent, whatever stands in its fields", async () => {
  const values = await filledForm({
    verify: false,
    readbackPercent: "100",
    archived: "replace",
    everyMinutes: "x",
    vanished: "remove",
    deletes: true,
    retentionDays: "0",
    confirmDeletionOf: "/srv/files",
  });
  expect(checkJob(values, "migrate_files")).toEqual({});
  const body = jobOf(values, "migrate_files");
  expect("confirmDeletionOf" in body).toBe(false);
  expect(schema.jobCreate.parse(body).options).toMatchObject({
    readbackPercent: 0,
    archived: "skip",
    repetition: null,
    deletion: null,
  });
});

test("[U26] source files are removed only when their folder is written twice, letter for letter", async () => {
  for (const again of ["", "/srv/file", "/SRV/files", "/srv/files/"]) {
    const values = await filledForm({ deletes: true, confirmDeletionOf: again });
    expect(Object.keys(checkJob(values, "migrate_files")), again).toEqual(["confirmDeletionOf"]);
  }
  const nothing = await filledForm({ deletes: true, path: " ", confirmDeletionOf: "" });
  expect(Object.keys(checkJob(nothing, "migrate_files"))).toContain("confirmDeletionOf");
  const twice = await filledForm({ deletes: true, confirmDeletionOf: " /srv/files" });
  expect(checkJob(twice, "migrate_files")).toEqual({});
});

test("[U26] a sync, which needs its source as it is, removes nothing there", async () => {
  const values = await filledForm({ deletes: true, confirmDeletionOf: "/srv/files" });
  expect(checkJob(values, "sync")).toEqual({});
  const body = jobOf(values, "sync");
  expect("confirmDeletionOf" in body).toBe(false);
  expect(schema.jobCreate.parse(body).options.deletion).toBeNull();
  expect(schema.jobCreate.parse(jobOf(values, "archive")).options.deletion).not.toBeNull();
});

test("[U19] faults of the line, the proof, the passes and the deletion are found at their fields", async () => {
  const values = await filledForm({
    bandwidthMbps: "0",
    readbackPercent: "101",
    everyMinutes: "0",
    deletes: true,
    retentionDays: "366",
    deletionFilesMax: "0",
  });
  expect(Object.keys(checkJob(values, "migrate_files")).sort()).toEqual([
    "confirmDeletionOf",
    "options.bandwidthMbps",
    "options.deletion.filesMax",
    "options.deletion.retentionDays",
    "options.readbackPercent",
  ]);
  expect(Object.keys(checkJob(values, "sync")).sort()).toEqual([
    "options.bandwidthMbps",
    "options.readbackPercent",
    "options.repetition.everyMinutes",
  ]);
});

test("[U20] online agents are offered first, revoked ones not at all", () => {
  const agents = [
    agentWith({ id: "agt_1", name: "b", status: "offline" }),
    agentWith({ id: "agt_2", name: "z", status: "online" }),
    agentWith({ id: "agt_3", name: "a", status: "revoked" }),
    agentWith({ id: "agt_4", name: "c", status: "online" }),
  ];
  expect(sortForPicking(agents).map((agent) => agent.name)).toEqual(["c", "z", "b"]);
});
