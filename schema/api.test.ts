import { describe, expect, test } from "vitest";
import { jobCreate, jobUpdate, projectCreate } from "./api.ts";

const JOB = {
  projectId: "prj_01kaqt5n8v3m9w2x7c4d6e8f0g",
  agentId: "agt_01kaqt4h2r5t8y1p3s6v9b2n4m",
  name: "First pass",
  type: "migrate_files",
  source: { kind: "local", path: "/srv/files" },
};

/** The fields at fault. */
function faultsOf(change: object): string[] {
  const parsed = jobCreate.safeParse({ ...JOB, ...change });
  return (parsed.error?.issues ?? []).map(({ path }) => path.join(".")).sort();
}

describe("options of a job that need each other", () => {
  const confirmDeletionOf = "/srv/files";

  test.each<[string, object, string[]]>([
    ["none", {}, []],
    ["reading back with verification", { options: { readbackPercent: 100 } }, []],
    [
      "reading back without verification",
      { options: { readbackPercent: 1, verify: false } },
      ["options.readbackPercent"],
    ],
    ["no reading back without verification", { options: { readbackPercent: 0, verify: false } }, []],
    ["repetition of a job that has none", { options: { repetition: {} } }, ["options.repetition"]],
    ["repetition of an archive", { type: "archive", options: { repetition: {} } }, ["options.repetition"]],
    ["repetition of a sync", { type: "sync", options: { repetition: { everyMinutes: 5 } } }, []],
    ["a sync without repetition, which has it anyway", { type: "sync" }, []],
    ["deletion that is confirmed", { options: { deletion: {} }, confirmDeletionOf }, []],
    [
      "deletion that only says what it would do, confirmed",
      { options: { deletion: { dryRun: true } }, confirmDeletionOf },
      [],
    ],
    ["deletion without a word", { options: { deletion: {} } }, ["confirmDeletionOf"]],
    [
      "deletion without verification",
      { options: { deletion: {}, verify: false }, confirmDeletionOf },
      ["options.deletion"],
    ],
    [
      "deletion in a sync",
      { type: "sync", options: { deletion: {} }, confirmDeletionOf },
      ["options.deletion"],
    ],
    [
      "all at once",
      { options: { deletion: {}, repetition: {}, readbackPercent: 5, verify: false } },
      ["confirmDeletionOf", "options.deletion", "options.readbackPercent", "options.repetition"],
    ],
    ["a rule for archived blobs that has nothing to rule", { options: { archived: "replace" } }, []],
    ["a path written twice for nothing", { confirmDeletionOf }, []],
  ])("[C13] %s", (_what, change, faults) => {
    expect(faultsOf(change)).toEqual(faults);
  });

  test.each(["", "/srv/file", "/srv/files/", "/SRV/files", " /srv/files", "/srv/files\n", "files", "yes"])(
    "[C13] the path is confirmed only letter by letter: %j is not it",
    (text) => {
      expect(faultsOf({ options: { deletion: {} }, confirmDeletionOf: text })).toEqual(["confirmDeletionOf"]);
    },
  );

  test("[C13] each message says what to do, and none repeats the path that is to be written", () => {
    const options = { deletion: {}, repetition: {}, readbackPercent: 5, verify: false };
    const parsed = jobCreate.safeParse({ ...JOB, options });
    const messages = parsed.error?.issues.map(({ message }) => message) ?? [];
    expect(messages).toHaveLength(4);
    for (const message of messages) {
      expect(message).toMatch(/leave this out|switch .*on|write its path/);
      expect(message).not.toContain(JOB.source.path);
    }
  });
});

test.each([
  [{ bandwidthMbps: 20.5 }, true],
  [{ bandwidthMbps: null }, true],
  [{ name: "x", bandwidthMbps: 1 }, true],
  [{}, true],
  [{ bandwidthMbps: 0 }, false],
  [{ bandwidthMbps: "20" }, false],
  [{ options: { verify: false } }, false],
  [{ confirmDeletionOf: "/srv" }, false],
])("[C14] of a job that is there, %j may be changed: %j", (body, expected) => {
  expect(jobUpdate.safeParse(body).success).toBe(expected);
});

test("[C14] a project has no schedule unless it is given one", () => {
  const project = { clientId: "cli_01kaqt4h2r5t8y1p3s6v9b2n4m", type: "archive", name: "Office" };
  expect(projectCreate.parse(project).bandwidthSchedule).toBeNull();
});
