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
  expect(contract.ACCESS_TIERS).toEqual(job.accessTier.options);
  expect(contract.EXISTING_RULES).toEqual(job.existingRule.options);
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
