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
  expect(checkJob(values)).toEqual({});
  const parsed = schema.jobCreate.parse(jobOf(values, ["migrate_files"]));
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
  const { filters } = schema.jobCreate.parse(jobOf(values, ["archive"])).options;
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
  expect(Object.keys(checkJob(values)).sort()).toEqual([
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

test("[U20] online agents are offered first, revoked ones not at all", () => {
  const agents = [
    agentWith({ id: "agt_1", name: "b", status: "offline" }),
    agentWith({ id: "agt_2", name: "z", status: "online" }),
    agentWith({ id: "agt_3", name: "a", status: "revoked" }),
    agentWith({ id: "agt_4", name: "c", status: "online" }),
  ];
  expect(sortForPicking(agents).map((agent) => agent.name)).toEqual(["c", "z", "b"]);
});
