/** Lists that are searched and sorted, and what the database does for them. */
import { beforeAll, describe, expect, test } from "vitest";
import { controlPlane, makeJob, makeOrganization, registerAgent, type Organization } from "./harness.ts";
import { stepsOf, withoutIndex } from "./statements.ts";

interface Item {
  readonly id: string;
  readonly name: string;
  readonly status: string;
}
interface Page {
  readonly items: Item[];
  readonly nextCursor: string | null;
}

const NAMES = ["Émile", "acme north", "ACME South", "Beta", "alpha", "Österreich", "zeta", "acme north"];
let org: Organization;
beforeAll(async () => {
  org = await makeOrganization();
  const { owner } = org.people;
  const storage = { connectionId: org.connectionId, container: org.container };
  for (const name of NAMES) {
    await owner.post("/api/clients", { name });
    const project = { clientId: org.clientId, type: "file_migration", name, storage };
    await owner.post("/api/projects", { ...project });
    const { agentId } = await registerAgent(owner, name);
    await makeJob(owner, { projectId: org.projectId, agentId, name });
  }
  const { database } = await controlPlane();
  for (const table of ["clients", "projects", "agents", "jobs"]) {
    const seen = table === "agents" ? "last_seen_at" : "updated_at";
    const { results } = await database
      .prepare(`select id from ${table} where org_id = ?`)
      .bind(org.orgId)
      .all<{ id: string }>();
    for (const [index, { id }] of results.entries()) {
      const at = 1_000 + ((index * 7) % 5);
      await database.prepare(`update ${table} set ${seen} = ? where id = ?`).bind(at, id).run();
    }
  }
  await database
    .prepare("update jobs set status = 'failed' where org_id = ? and name_key like 'acme%'")
    .bind(org.orgId)
    .run();
});

const RESOURCES = ["clients", "projects", "agents", "jobs"] as const;
const list = (path: string) => org.people.viewer.get<Page>(path);
const namesOf = ({ items }: Page) => items.map(({ name }) => name);

async function all(path: string, query: Record<string, string>, limit: number): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const more: Record<string, string> = cursor === null ? {} : { cursor };
    const page = await list(`${path}?${new URLSearchParams({ ...query, ...more, limit: String(limit) })}`);
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return items;
}

describe.each(RESOURCES)("%s", (resource) => {
  const path = `/api/${resource}`;

  test.each([
    ["acme", ["acme north", "ACME South", "acme north"]],
    ["ACME n", ["acme north", "acme north"]],
    ["PHA", ["alpha"]],
    ["österr", ["Österreich"]],
    ["ÉMILE", ["Émile"]],
    ["%", []],
    ["a_me", []],
  ])(
    `[C18] a search for "%s" finds what has it in its name, wherever, and nothing else`,
    async (search, found) => {
      const page = await list(`${path}?${new URLSearchParams({ search })}`);
      expect(namesOf(page)).toEqual(found.toReversed());
    },
  );

  test("[C18] each order goes through all pages, each item once, there and back", async () => {
    const made = await all(path, {}, 200);
    for (const sort of ["created", "name", "activity", "status"]) {
      const orders: Item[][] = [];
      for (const order of ["ascending", "descending"]) {
        const whole = await all(path, { sort, order }, 200);
        expect(whole.map(({ id }) => id).sort()).toEqual(made.map(({ id }) => id).sort());
        expect(await all(path, { sort, order }, 2)).toEqual(whole);
        orders.push(whole);
      }
      expect(orders[0]).toEqual(orders[1]?.toReversed());
    }
    const keys = (await all(path, { sort: "name" }, 200)).map(({ name }) =>
      name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()),
    );
    expect(keys).toEqual(keys.toSorted());
  });

  test("[C18] a search and an order go together", async () => {
    const found = await all(path, { search: "acme", sort: "name" }, 1);
    expect(found.map(({ name }) => name)).toEqual(["acme north", "acme north", "ACME South"]);
  });

  test("[C18] a cursor of another order, or of none, is refused at its field", async () => {
    const { nextCursor } = await list(`${path}?sort=name&limit=1`);
    for (const query of [
      `cursor=${encodeURIComponent(nextCursor ?? "")}`,
      `sort=name&cursor=${org.jobId}`,
      "sort=size",
    ]) {
      expect((await org.people.viewer.json("GET", `${path}?${query}`)).status).toBe(400);
    }
  });
});

test("[C18] projects sorted by status stand as their status is shown", async () => {
  const statuses = (await all("/api/projects", { sort: "status" }, 3)).map(({ status }) => status);
  const ranks = statuses.map((status) =>
    ["auth_required", "in_progress", "planning", "completed", "cancelled"].indexOf(status),
  );
  expect(ranks).toEqual(ranks.toSorted((left, right) => left - right));
  expect(new Set(statuses).size).toBeGreaterThan(1);
});

test("[C18] jobs are listed by status and state, agents by status", async () => {
  expect(namesOf(await list("/api/jobs?status=failed&sort=name"))).toEqual([
    "acme north",
    "acme north",
    "ACME South",
  ]);
  expect(namesOf(await list("/api/jobs?state=final&search=south"))).toEqual(["ACME South"]);
  expect(namesOf(await list("/api/agents?status=online"))).toEqual([]);
});

test("[J25] a statement that reads a table without an index is found out", () => {
  expect(withoutIndex(["select * from jobs where name = ?"])).toHaveLength(1);
  expect(withoutIndex(["select count(*) from jobs"])).toHaveLength(1);
  expect(withoutIndex(["select * from jobs where org_id = ? and id = ?"])).toEqual([]);
});

test("[J25] a list's index is walked once, and the rows of its page are looked up by their ids", async () => {
  const { viewer } = org.people;
  for (const resource of RESOURCES) {
    for (const sort of ["created", "name", "activity", "status"])
      await viewer.get(`/api/${resource}?sort=${sort}&search=nowhere`);
  }
  const statements = await (await controlPlane()).statements();
  const searches = statements.filter(
    (text) => text.includes("sort_key") && text.includes("instr(t.name_key"),
  );
  expect(searches.length).toBeGreaterThanOrEqual(16);
  for (const text of searches) {
    const [table = ""] = /(?<= from ")\w+/.exec(text) ?? [];
    const outer = stepsOf(text).filter((step) => step.startsWith(`SEARCH ${table} `));
    expect([text, outer]).toEqual([text, [expect.stringContaining("(org_id=? AND id=?)")]]);
  }
});

test("[J25] every list, in every order, and the first page's counts are answered by an index", async () => {
  const { viewer } = org.people;
  for (const resource of RESOURCES) {
    for (const sort of ["created", "name", "activity", "status"]) {
      for (const more of ["", "&search=acme", "&limit=1"])
        await viewer.get(`/api/${resource}?sort=${sort}${more}`);
    }
  }
  await viewer.get("/api/overview");
  await (await controlPlane()).sweep();
  const statements = await (await controlPlane()).statements();
  expect(statements.length).toBeGreaterThan(30);
  expect(withoutIndex(statements)).toEqual([]);
});
