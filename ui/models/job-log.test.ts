import { expect, test } from "vitest";
import type { JobLogEntry } from "../../schema/job-log.ts";
import { createTestApi, pageWith } from "../test-world.ts";
import { createJobLog } from "./job-log.ts";

const entryOf = (second: number): JobLogEntry => ({
  at: new Date(Date.parse("2026-05-31T12:00:00Z") + second * 1_000).toISOString(),
  event: "job.pause",
  actor: null,
  epoch: 1,
  details: {},
});

/** A log of as many seconds as it is told, newest first, thirty a page; every second page holds nothing. */
function setUp() {
  const server = { newest: 60 };
  const { api, asked } = createTestApi(({ path }) => {
    const cursor = new URL(path, "http://x").searchParams.get("cursor");
    const [from = server.newest, isEmpty = false] =
      cursor === null ? [] : [Number(cursor.slice(1)), cursor.startsWith("e")];
    if (isEmpty) return { body: pageWith([], `f${from}`) };
    const items = Array.from({ length: Math.min(30, from) }, (_, index) => entryOf(from - index));
    return { body: pageWith(items, from > 30 ? `e${from - 30}` : null) };
  });
  return { server, asked, log: createJobLog(api, "job_1", new AbortController().signal) };
}
const seconds = (entries: readonly JobLogEntry[]) =>
  entries.map(({ at }) => (Date.parse(at) - Date.parse("2026-05-31T12:00:00Z")) / 1_000);

test("[U70] a page of the log that holds nothing is passed over, and what follows it is shown", async () => {
  const { log, asked } = setUp();
  await log.reload();
  expect(seconds(log.entries.value)).toEqual(Array.from({ length: 30 }, (_, index) => 60 - index));
  expect(log.hasMore.value).toBe(true);
  await log.more();
  expect(seconds(log.entries.value)).toEqual(Array.from({ length: 60 }, (_, index) => 60 - index));
  expect(log.hasMore.value).toBe(false);
  expect(asked).toHaveLength(3);
});

test("[U70] something new comes before what was asked for already, which stays", async () => {
  const { server, log } = setUp();
  await log.reload();
  await log.more();
  server.newest = 62;
  await log.reload();
  expect(seconds(log.entries.value)).toEqual(Array.from({ length: 62 }, (_, index) => 62 - index));
  expect(log.hasMore.value).toBe(false);
});

test("[U70] a log that cannot be had is said to be so only while there is none", async () => {
  const { api } = createTestApi(() => "lost");
  const log = createJobLog(api, "job_1", new AbortController().signal);
  await log.reload();
  expect(log.failed.value).toBe(true);
  const other = setUp();
  await other.log.reload();
  expect(other.log.failed.value).toBe(false);
});
