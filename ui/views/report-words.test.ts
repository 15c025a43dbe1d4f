import { expect, test } from "vitest";
import { NOTE_CODES, STAY_CODES, type Deletion, type JobReport } from "../../schema/job.ts";
import { noteWords, quarantineFolder, removalText, skippedText, stayTexts } from "./report-words.ts";

const READER = { locale: "en-GB", timeZone: "Europe/Berlin" };
const DELETION: Deletion = { retentionDays: 7, filesMax: null, dryRun: false };
const REMOVAL: NonNullable<JobReport["removal"]> = {
  files: 1_200,
  bytes: 3e9,
  dryRun: false,
  filesPurged: 0,
  stays: {},
};

test("[U32] every note of the contract has its sentence, with its count, and one nobody knows yet has none", () => {
  for (const code of NOTE_CODES) {
    for (const count of [1, 1_234]) {
      const [words, ...more] = noteWords([{ code, count }], READER);
      expect(more).toEqual([]);
      expect(words?.text, code).toMatch(/^.{20,200}\.$/);
      if (code !== "source_empty") expect(words?.text, code).toContain(count === 1 ? "1 " : "1,234 ");
      expect(words?.text, code).not.toMatch(/\b1 (files|blobs|are|were)\b/);
    }
  }
  expect(noteWords([{ code: "of_next_year", count: 3 }, { code: "toString" }], READER)).toEqual([]);
  expect(noteWords([{ code: "filters_match_nothing", count: 3 }], READER)).toEqual([
    {
      text: "The source holds files, but the filters leave none of them (3 left out), so nothing was moved.",
      tone: "warning",
    },
  ]);
});

test("[U32] what was skipped is told apart where that is known", () => {
  const preview = {
    files: 1,
    bytes: 1,
    mapped: 4,
    filtered: 120,
    links: 3,
    special: 1,
    refused: 5,
    tooLarge: 6,
    unreadable: 7,
  };
  expect(skippedText(130, preview, READER)).toBe(
    "130 files: 120 left out by filters, 3 links skipped, 1 special file skipped",
  );
  expect(skippedText(130, null, READER)).toBe("130 files");
  expect(skippedText(130, { ...preview, filtered: 0, links: 0, special: 0 }, READER)).toBe("130 files");
});

test("[U27] a report says of a dry run that nothing was removed, and of others where the files are", () => {
  const dryRun = { ...REMOVAL, dryRun: true };
  expect(removalText(dryRun, { ...DELETION, dryRun: true }, READER)).toBe(
    "Nothing, it was a dry run: 1,200 files (3.00 GB) would have been moved into quarantine",
  );
  expect(removalText(REMOVAL, DELETION, READER)).toBe(
    "1,200 files (3.00 GB) moved into quarantine for 7 days",
  );
  expect(removalText({ ...REMOVAL, filesPurged: 1_200 }, { ...DELETION, retentionDays: 0 }, READER)).toBe(
    "1,200 files (3.00 GB) moved into quarantine, 1,200 of them gone for good",
  );
  expect(removalText({ ...REMOVAL, filesPurged: 200, filesKept: 1 }, DELETION, READER)).toBe(
    "1,200 files (3.00 GB) moved into quarantine for 7 days, 200 of them gone for good. 1 file besides changed on the way there; look at it in the quarantine",
  );
  expect(removalText({ ...REMOVAL, files: 0, bytes: 0 }, DELETION, READER)).toBe("None");
  const quarantine = { filesLeft: 3, filesPurged: 1_100, checkedAt: "2026-11-23T10:00:00.000Z" };
  expect(removalText({ ...REMOVAL, filesPurged: 97, filesKept: 1, quarantine }, DELETION, READER)).toBe(
    "1,200 files (3.00 GB) moved into quarantine, 1,197 gone for good; 3 files left there on 23 Nov 2026, 11:00",
  );
  expect(
    removalText(
      { ...REMOVAL, quarantine: { ...quarantine, filesLeft: 0, filesPurged: 1_200 } },
      DELETION,
      READER,
    ),
  ).toBe("1,200 files (3.00 GB) moved into quarantine, 1,200 gone for good");
});

test("[U27] the quarantine is named as the agent's machine writes it, while something lies in it", () => {
  const folderOf = (change: Partial<typeof REMOVAL>, sourcePath: string) =>
    quarantineFolder({ ...REMOVAL, ...change }, { id: "job_1", sourcePath });
  expect(folderOf({}, "/srv/files")).toBe("/srv/files/.migrate-quarantine/job_1");
  expect(folderOf({}, "/srv/files/")).toBe("/srv/files/.migrate-quarantine/job_1");
  expect(folderOf({}, "/")).toBe("/.migrate-quarantine/job_1");
  expect(folderOf({}, "D:\\")).toBe("D:\\.migrate-quarantine\\job_1");
  expect(folderOf({}, "\\\\nas\\files")).toBe("\\\\nas\\files\\.migrate-quarantine\\job_1");
  expect(folderOf({ dryRun: true }, "/srv")).toBeNull();
  expect(folderOf({ filesPurged: 1_200 }, "/srv")).toBeNull();
  const quarantine = { filesLeft: 0, filesPurged: 1_200, checkedAt: "2026-11-23T10:00:00.000Z" };
  expect(folderOf({ quarantine }, "/srv")).toBeNull();
  expect(folderOf({ quarantine: { ...quarantine, filesLeft: 1 } }, "/srv")).not.toBeNull();
  expect(folderOf({ filesPurged: 1_200, filesKept: 1 }, "/srv")).not.toBeNull();
});

test("[U27] every reason to stay has its words, most files first, and one nobody knows yet is shown as it is", () => {
  const stays = Object.fromEntries(STAY_CODES.map((code, index) => [code, index + 1]));
  const texts = stayTexts(stays, READER);
  expect(texts).toHaveLength(STAY_CODES.length);
  expect(new Set(texts.map((text) => text.replace(/^.*?: /, "")))).toHaveProperty("size", STAY_CODES.length);
  for (const text of texts) expect(text).not.toMatch(/_|undefined/);
  expect(
    stayTexts({ changed_since_upload: 1, other_names: 20, source_locked: 0, tomorrow: 2 }, READER),
  ).toEqual([
    "20 files: have further names (hard links)",
    "2 files: tomorrow",
    "1 file: changed since they were sent",
  ]);
});
