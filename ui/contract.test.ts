import { expect, test } from "vitest";
import * as api from "../schema/api.ts";
import * as errors from "../schema/errors.ts";
import * as job from "../schema/job.ts";
import * as live from "../schema/live.ts";
import * as contract from "./contract.ts";

test("[U1] every value the dashboard copies from the contract equals its original", () => {
  expect(contract.FILE_FAILURES).toEqual(errors.FILE_FAILURES);
  expect(contract.JOB_ERRORS).toEqual(errors.JOB_ERRORS);
  expect(contract.LIVE_CLOSE).toEqual(live.LIVE_CLOSE);
  expect(contract.CODE_MINUTES).toEqual(api.CODE_MINUTES);
  expect(contract.IDEMPOTENCY_HEADER).toBe(api.IDEMPOTENCY_HEADER);
  expect(contract.LIST_LIMIT_MAX).toBe(api.LIST_LIMIT_MAX);
  expect(contract.SORTS).toEqual(api.SORTS);
  expect(contract.ACCESS_TIERS).toEqual(job.accessTier.options);
  expect(contract.EXISTING_RULES).toEqual(job.existingRule.options);
  expect(contract.ARCHIVED_RULES).toEqual(job.archivedRule.options);
  expect(contract.VANISHED_RULES).toEqual(job.repetition.shape.vanished.unwrap().options);
  expect(contract.PATTERNS_MAX).toBe(job.PATTERNS_MAX);
  expect(contract.PATTERN_LENGTH_MAX).toBe(job.PATTERN_LENGTH_MAX);
  const options = job.transferOptions.parse({});
  expect(contract.CONCURRENCY).toEqual({
    min: job.CONCURRENCY_MIN,
    max: job.CONCURRENCY_MAX,
    default: options.concurrency,
  });
  expect(contract.CHUNK_MIB).toEqual({
    min: job.CHUNK_MIB_MIN,
    max: job.CHUNK_MIB_MAX,
    default: options.chunkSizeMiB,
  });
});

test("[U1] the bounds of a job's numbers, and their defaults, are those of the contract", () => {
  const takes = (change: object) => job.transferOptions.safeParse(change).success;
  const deletes = (change: object) => takes({ deletion: change });
  const repeats = (change: object) => takes({ repetition: change });
  const bounds = [
    { ...contract.READBACK_PERCENT, accepts: (value: number) => takes({ readbackPercent: value }) },
    { ...contract.RETENTION_DAYS, accepts: (value: number) => deletes({ retentionDays: value }) },
    { ...contract.REPETITION_MINUTES, accepts: (value: number) => repeats({ everyMinutes: value }) },
    { ...contract.MEGABITS, accepts: (value: number) => takes({ bandwidthMbps: value }) },
  ];
  for (const { min, max, accepts } of bounds) {
    expect([min, max, min - 0.01, max + 0.01].map(accepts)).toEqual([true, true, false, false]);
  }
  expect(contract.READBACK_PERCENT.default).toBe(job.transferOptions.parse({}).readbackPercent);
  expect(contract.RETENTION_DAYS.default).toBe(job.deletion.parse({}).retentionDays);
  expect(contract.REPETITION_MINUTES.default).toBe(job.repetition.parse({}).everyMinutes);
});

test("[U1] the days, times and time zones of a schedule are those of the contract", () => {
  const takes = (change: object, window: object = {}, windows = 1) =>
    job.bandwidthSchedule.safeParse({
      timeZone: "Europe/Berlin",
      windows: Array.from({ length: windows }, () => ({
        days: ["mon"],
        from: "18:00",
        to: "06:00",
        ...window,
      })),
      outsideMbps: 10,
      ...change,
    }).success;
  expect(takes({}, { days: contract.WEEKDAYS })).toBe(true);
  expect(takes({}, { days: [...contract.WEEKDAYS, "mon"] })).toBe(false);
  for (const time of ["00:00", "23:59", "24:00", "7:00", "07:60", "0700", ""]) {
    expect(contract.TIME_OF_DAY.test(time), time).toBe(takes({}, { from: time }));
  }
  for (const zone of ["UTC", "Europe/Berlin", "America/New_York", "CET", "+02:00", "Mars/Olympus", "", "/"]) {
    expect(contract.isTimeZone(zone), zone).toBe(takes({ timeZone: zone }));
  }
  expect(takes({}, {}, contract.WINDOWS_MAX)).toBe(true);
  expect(takes({}, {}, contract.WINDOWS_MAX + 1)).toBe(false);
});

test("[U1] the offered project types are those that admit a job an agent can carry out", () => {
  for (const type of job.PROJECT_TYPES) {
    const runnable = job.RUNNABLE_JOB_TYPES.filter((name) => job.ADMITTED_JOB_TYPES[type].includes(name));
    expect(contract.RUNNABLE_JOB_TYPES_OF[type]).toEqual(runnable);
    expect((contract.OFFERED_PROJECT_TYPES as readonly string[]).includes(type)).toBe(runnable.length > 0);
  }
});

test("[U1] the dashboard's own checks of paths, folders and containers agree with the contract", () => {
  for (const path of ["/", "/srv/files", "C:\\x", "c:/x", "\\\\nas\\share", "files", "./x", "C:", ""]) {
    expect(contract.isFullPath(path), path).toBe(job.localPath.safeParse(path).success);
  }
  for (const prefix of [
    "",
    "a",
    "a/b",
    "/a",
    "a/",
    "a//b",
    "a/../b",
    ".",
    "a\\b",
    "a\u0007",
    "x".repeat(513),
  ]) {
    expect(contract.isBlobPrefix(prefix), prefix).toBe(job.blobPrefix.safeParse(prefix).success);
  }
  for (const name of ["abc", "a-b-c", "a--b", "-ab", "ab-", "Abc", "ab", "a".repeat(63), "a".repeat(64)]) {
    expect(contract.CONTAINER_NAME.test(name), name).toBe(job.containerName.safeParse(name).success);
  }
  for (const status of job.JOB_STATUSES) expect(contract.isFinal(status), status).toBe(job.isFinal(status));
});
