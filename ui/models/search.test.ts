import { expect, test } from "vitest";
import { createApi } from "../api.ts";
import { createHomeApi } from "../home-api.ts";
import {
  agentWith,
  createTestApi,
  createTestClock,
  jobWith,
  pageWith,
  type Answerer,
} from "../test-world.ts";
import { createSearch, routeOf } from "./search.ts";

function setUp(answer: Answerer) {
  const clock = createTestClock();
  const { api, asked } = createTestApi(answer);
  const search = createSearch({ home: createHomeApi(api), clock });
  const typed = async (text: string) => {
    search.type(text);
    await clock.pass(300);
  };
  return { clock, asked, search, typed };
}

const answering: Answerer = ({ path }) => {
  if (path.startsWith("/api/agents")) return { body: pageWith([agentWith()], "more") };
  if (path.startsWith("/api/jobs"))
    return { body: pageWith([jobWith({ id: "job_1" }), jobWith({ id: "job_2" })]) };
  return { body: pageWith([]) };
};

test("[U73] what is found by a name stands in its group, and groups without any are left out", async () => {
  const { search, asked, typed } = setUp(answering);
  await typed(" fi ");
  expect(asked.map(({ path }) => path)).toEqual(
    ["clients", "projects", "jobs", "agents"].map((of) => `/api/${of}?search=fi&limit=5&sort=activity`),
  );
  expect(search.groups.value.map(({ kind, hits, more }) => [kind, hits.length, more])).toEqual([
    ["job", 2, false],
    ["agent", 1, true],
  ]);
});

test("[U73] the arrows go through all groups, round and round, and Enter has a page to open", async () => {
  const { search, typed } = setUp(answering);
  expect(search.chosen.value).toBeNull();
  search.move(1);
  await typed("fi");
  const pages: unknown[] = [];
  for (let step = 0; step < 4; step++) {
    const { chosen } = search;
    pages.push(chosen.value === null ? null : routeOf(chosen.value));
    search.move(1);
  }
  expect(pages).toEqual([
    { page: "job", id: "job_1" },
    { page: "job", id: "job_2" },
    { page: "agent", id: "agt_1" },
    { page: "job", id: "job_1" },
  ]);
  search.move(-1);
  search.move(-1);
  expect(search.chosen.value?.kind).toBe("agent");
});

test("[U73] nothing is asked while somebody types", async () => {
  const { search, asked, typed, clock } = setUp(answering);
  search.type("f");
  await clock.pass(100);
  search.type("fi");
  await clock.pass(199);
  expect(asked).toEqual([]);
  await clock.pass(1);
  expect(asked).toHaveLength(4);
  await typed("");
  expect(asked).toHaveLength(4);
  expect(search.state.value.state).toBe("idle");
  expect(search.groups.value).toEqual([]);
});

test("[U73] an answer to older letters that comes late is dropped", async () => {
  const clock = createTestClock();
  const late: (() => void)[] = [];
  const api = createApi(
    (path) =>
      new Promise((resolve) => {
        const answer = () =>
          resolve(Response.json(pageWith(path.includes("jobs") ? [jobWith({ name: path })] : [])));
        if (path.includes("search=old&")) late.push(answer);
        else answer();
      }),
    () => {},
  );
  const search = createSearch({ home: createHomeApi(api), clock });
  for (const text of ["old", "new"]) {
    search.type(text);
    await clock.pass(300);
  }
  for (const answer of late) answer();
  await clock.pass(1);
  expect(late).toHaveLength(4);
  expect(search.groups.value.map(({ hits }) => hits.map(({ item }) => item.name))).toEqual([
    ["/api/jobs?search=new&limit=5&sort=activity"],
  ]);
});

test("[U73] a search that fails says why, and can be tried again", async () => {
  let isDown = true;
  const { search, typed, clock } = setUp((request) => (isDown ? "lost" : answering(request)));
  await typed("fi");
  expect(search.state.value).toMatchObject({ state: "failed" });
  isDown = false;
  search.retry();
  await clock.pass(10);
  expect(search.groups.value).toHaveLength(2);
});
