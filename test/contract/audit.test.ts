import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { entryHash, entryLine, firstHash, type AuditEntry, type AuditPage } from "../../schema/audit.ts";
import { verifyFile } from "../../tools/audit-verify.ts";
import { NODE, ROOT } from "../../tools/environment.ts";
import {
  controlPlane,
  makeOrganization,
  signIn,
  unique,
  type Browser,
  type ControlPlane,
  type Organization,
} from "./harness.ts";

let plane: ControlPlane;
let org: Organization;
const folder = mkdtempSync(join(tmpdir(), "contract-audit-"));
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const digest = async (text: string) => createHash("sha256").update(text).digest("hex");

/** Walks all pages. */
async function entriesOf(browser: Browser, query = ""): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  let cursor = "";
  for (let pages = 0; pages < 100; pages++) {
    const page = await browser.get<AuditPage>(`/api/audit?limit=7${query}${cursor}`);
    entries.push(...page.items);
    if (page.nextCursor === null) return entries;
    cursor = `&cursor=${page.nextCursor}`;
  }
  throw new Error("The list does not end");
}

async function exportOf(browser: Browser): Promise<string> {
  const answer = await browser.json("GET", "/api/audit/export");
  expect(answer.status).toBe(200);
  return answer.text;
}

function fileOf(text: string | Uint8Array): string {
  const file = join(folder, `${unique()}.jsonl`);
  writeFileSync(file, text);
  return file;
}

/** The chain, checked with nothing but what the page shows. */
async function assertChain(orgId: string, newestFirst: readonly AuditEntry[]): Promise<void> {
  let hash = await firstHash(orgId, digest);
  for (const [index, entry] of [...newestFirst].reverse().entries()) {
    expect(entry.number).toBe(index + 1);
    expect(entry.hash).toBe(await entryHash(hash, entry, digest));
    hash = entry.hash;
  }
}

/** Writes that change something, made at once by several browsers. */
async function makeEntries(browser: Browser, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, () => browser.patch(`/api/clients/${org.clientId}`, { name: unique() })),
  );
}

describe("the chain", () => {
  test("[V1] every entry has a number and a hash over the one before, when a page is read", async () => {
    const entries = await entriesOf(org.people.owner);
    expect(entries.length).toBeGreaterThan(10);
    await assertChain(org.orgId, entries);
    const page = await org.people.admin.get<AuditPage>("/api/audit?limit=1");
    expect(page.head).toEqual({ number: entries[0]?.number, hash: entries[0]?.hash });
  });

  test("[V1] the sweep seals within its minute what nobody reads", async () => {
    await makeEntries(org.people.owner, 3);
    await plane.sweep();
    const left = await plane.database
      .prepare("select count(*) as count from audit_log where org_id = ? and number is null")
      .bind(org.orgId)
      .first<{ count: number }>();
    expect(left?.count).toBe(0);
  });

  test("[V2] sealed by many at once while entries come, the chain stays one", async () => {
    const fresh = await makeOrganization();
    const { owner, admin } = fresh.people;
    for (let round = 0; round < 4; round++) {
      await Promise.all([
        ...Array.from({ length: 12 }, () =>
          owner.patch(`/api/clients/${fresh.clientId}`, { name: `client ${unique()}` }),
        ),
        ...Array.from({ length: 6 }, () => admin.get("/api/audit?limit=1")),
        plane.sweep(),
        plane.sweep(),
      ]);
    }
    const entries = await entriesOf(owner);
    const { results } = await plane.database
      .prepare("select id from audit_log where org_id = ?")
      .bind(fresh.orgId)
      .all<{ id: string }>();
    expect(entries.map(({ id }) => id).sort()).toEqual(results.map(({ id }) => id).sort());
    expect(entries.length).toBeGreaterThan(48);
    await assertChain(fresh.orgId, entries);
  });

  test("[V2] an entry whose id is older than what is sealed already comes behind it, and changes nothing", async () => {
    const fresh = await makeOrganization();
    const before = await entriesOf(fresh.people.owner);
    await plane.database
      .prepare(
        "insert into audit_log (org_id, id, at, actor_kind, action) values (?, ?, 1, 'system', 'late.entry')",
      )
      .bind(fresh.orgId, `aud_${"0".repeat(25)}1`)
      .run();
    const after = await entriesOf(fresh.people.owner);
    expect(after.slice(1)).toEqual(before);
    expect(after[0]).toMatchObject({ action: "late.entry", number: before.length + 1 });
    await assertChain(fresh.orgId, after);
  });

  test("[V3] no route changes or deletes an entry", async () => {
    const [newest] = await entriesOf(org.people.owner);
    for (const path of ["/api/audit", `/api/audit/${newest?.id}`, `/api/audit/${newest?.number}`]) {
      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
        expect((await org.people.owner.json(method, path, {})).status, `${method} ${path}`).toBe(404);
      }
    }
    expect((await entriesOf(org.people.owner))[0]).toEqual(newest);
  });
});

describe("the page", () => {
  test("[V4] it filters by action, actor and time, and shows each entry once", async () => {
    const all = await entriesOf(org.people.owner);
    const { user } = await org.people.owner.get<{ user: { id: string } }>("/api/session");
    const middle = all.at(all.length / 2)!;
    const cases: [string, (entry: AuditEntry) => boolean][] = [
      ["&action=client.changed", (entry) => entry.action === "client.changed"],
      [`&actor=${user.id}`, (entry) => entry.actorId === user.id],
      [`&from=${middle.at}`, (entry) => entry.at >= middle.at],
      [`&to=${middle.at}`, (entry) => entry.at <= middle.at],
      [`&actor=${org.agentId}&action=agent.registered`, (entry) => entry.actorId === org.agentId],
      ["&action=nothing.such", () => false],
    ];
    for (const [query, fits] of cases) {
      expect(await entriesOf(org.people.owner, query), query).toEqual(all.filter(fits));
    }
    expect(all.filter(cases[0]?.[1] ?? (() => false)).length).toBeGreaterThan(0);
  });

  test.each([
    "action=DROP TABLE",
    "action=x",
    "actor=1",
    "from=yesterday",
    "to=1",
    "cursor=0",
    "cursor=x",
    "more=1",
  ])("[V4] asked with %s it is refused", async (query) => {
    expect((await org.people.owner.json("GET", `/api/audit?${query}`)).status).toBe(400);
  });

  test("[V4] a filter that fits nothing is walked through a bounded piece per page", async () => {
    const fresh = await makeOrganization();
    const first = (await entriesOf(fresh.people.owner)).length;
    const insert = plane.database
      .prepare(`insert into audit_log (org_id, id, at, actor_kind, action, number, hash)
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 5500)
        select ?, printf('aud_%026d', i), i, 'system', 'filler.entry', ? + i, printf('%064d', i) from n`)
      .bind(fresh.orgId, first);
    await insert.run();
    const page = await fresh.people.owner.get<AuditPage>("/api/audit?action=nothing.such");
    expect(page.items).toEqual([]);
    expect(Number(page.nextCursor)).toBe(first + 5_500 + 1 - 5_000);
    const rest = await fresh.people.owner.get<AuditPage>(
      `/api/audit?action=nothing.such&cursor=${page.nextCursor}`,
    );
    expect(rest).toMatchObject({ items: [], nextCursor: null });
  });
});

describe("the export", () => {
  test("[V5] it holds every entry and the head, tells of itself, and proves to be whole", async () => {
    const text = await exportOf(org.people.owner);
    const lines = text.trimEnd().split("\n");
    const head = JSON.parse(lines[0] ?? "") as { head: { number: number; hash: string } };
    expect(lines.length).toBe(head.head.number + 1);
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ action: "audit.exported", hash: head.head.hash });
    expect(await verifyFile(fileOf(text), null)).toEqual({
      kind: "whole",
      organizationId: org.orgId,
      head: head.head,
    });
    const response = await org.people.owner.fetch("/api/audit/export");
    expect(response.headers.get("content-disposition")).toMatch(
      /^attachment; filename="audit-org_\w+-[\d-]+\.jsonl"$/,
    );
    expect(response.headers.get("content-type")).toContain("ndjson");
    await response.text();
  });

  test("[V5] the command says whole, broken and unusable by exit code and sentence", async () => {
    const text = await exportOf(org.people.owner);
    const run = (...words: string[]) =>
      spawnSync(NODE, ["--no-warnings", join(ROOT, "tools/audit-verify.ts"), ...words], { encoding: "utf8" });
    const good = run(fileOf(text));
    expect([good.status, good.stdout]).toEqual([0, expect.stringMatching(/^Whole: \d+ entries of org_/)]);
    const bad = run(fileOf(text.replace('"number":3', '"number":4')));
    expect([bad.status, bad.stdout]).toEqual([1, expect.stringContaining("Line 4")]);
    expect(run().status).toBe(2);
    expect(run(join(folder, "not-there")).status).toBe(2);
  });

  test("[V5] a flipped bit in any byte of the file is found, at its line", async () => {
    const fresh = await makeOrganization();
    const bytes = new TextEncoder().encode(await exportOf(fresh.people.owner));
    let line = 1;
    // Each byte once, with a bit of its own; every eighth, so that all positions and bits come up without all pairs.
    for (let index = 0; index < bytes.length; index++) {
      const before = bytes.at(index)!;
      if (index % 8 === 0 || before === 10) {
        bytes[index] = before ^ (1 << (Math.floor(index / 8) % 8));
        const verdict = await verifyFile(fileOf(bytes), null);
        expect(verdict, `byte ${index} of line ${line}`).toMatchObject({ kind: "broken", line });
        bytes[index] = before;
      }
      if (before === 10) line++;
    }
    expect((await verifyFile(fileOf(bytes), null)).kind).toBe("whole");
  });

  test("[V5] an entry that is missing, doubled, moved or exchanged is named", async () => {
    const lines = (await exportOf(org.people.owner)).trimEnd().split("\n");
    const verdictOf = async (changed: readonly string[]) =>
      await verifyFile(fileOf(`${changed.join("\n")}\n`), null);
    const without = lines.filter((_line, index) => index !== 5);
    expect(await verdictOf(without)).toMatchObject({ fault: "missing", number: 5, line: 6 });
    expect(await verdictOf(lines.slice(0, -1))).toMatchObject({ fault: "missing", number: lines.length - 1 });
    expect(await verdictOf(lines.toSpliced(6, 0, lines[5] ?? ""))).toMatchObject({
      fault: "doubled",
      number: 5,
    });
    const moved = lines.toSpliced(8, 0, lines[3] ?? "").toSpliced(3, 1);
    expect(await verdictOf(moved)).toMatchObject({ fault: "missing", number: 3, line: 4 });
    expect(await verdictOf(lines.slice(1))).toMatchObject({ fault: "not an export" });
    expect(await verdictOf([])).toMatchObject({ kind: "broken" });
    const entry = { ...(JSON.parse(lines[5] ?? "") as AuditEntry), objectId: "cli_other" };
    expect(await verdictOf(lines.with(5, entryLine(entry)))).toMatchObject({ fault: "changed", number: 5 });
  });

  test("[V5] an entry written anew with a right hash of its own is found at the next, and a whole new chain by a hash noted before", async () => {
    const lines = (await exportOf(org.people.owner)).trimEnd().split("\n");
    const entries = lines.slice(1).map((line) => JSON.parse(line) as AuditEntry);
    const noted = entries[6]?.hash ?? "";
    const forged = { ...entries.at(4)!, actorId: null };
    forged.hash = await entryHash(entries[3]?.hash ?? "", forged, digest);
    const one = `${lines.with(5, entryLine(forged)).join("\n")}\n`;
    expect(await verifyFile(fileOf(one), null)).toMatchObject({ fault: "changed", number: 6 });

    let { hash } = forged;
    const all = [...entries.slice(0, 4), forged];
    for (const entry of entries.slice(5)) {
      hash = await entryHash(hash, entry, digest);
      all.push({ ...entry, hash });
    }
    const { digest: _digest, ...head } = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
    const { canonicalJson } = await import("../../schema/audit.ts");
    const newHead = { ...head, head: { number: all.length, hash } };
    const first = canonicalJson({ ...newHead, digest: await digest(canonicalJson(newHead)) });
    const file = fileOf(`${[first, ...all.map(entryLine)].join("\n")}\n`);
    expect((await verifyFile(file, null)).kind).toBe("whole");
    expect(await verifyFile(file, noted)).toMatchObject({ fault: "not of this head" });
    expect((await verifyFile(fileOf(`${lines.join("\n")}\n`), noted)).kind).toBe("whole");
  });

  test("[V5] more entries than one piece of the export come in order", async () => {
    const fresh = await makeOrganization();
    await plane.database
      .prepare(`insert into audit_log (org_id, id, at, actor_kind, action, details)
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 900)
        select ?, printf('aud_%026d', i), i, 'system', 'filler.entry', json_object('number', i) from n`)
      .bind(fresh.orgId)
      .run();
    const text = await exportOf(fresh.people.owner);
    expect(text.split("\n").length).toBeGreaterThan(900);
    expect((await verifyFile(fileOf(text), null)).kind).toBe("whole");
  });
});

describe("what is written", () => {
  const actionsOf = async (of: Organization) =>
    (await entriesOf(of.people.owner)).map(({ action, objectId }) => `${action} ${objectId}`);

  test("[V6] steering that is answered 409, or changes nothing, leaves no entry", async () => {
    const fresh = await makeOrganization();
    const { owner } = fresh.people;
    const steer = (action: string) => owner.json("POST", `/api/jobs/${fresh.jobId}/${action}`);
    expect((await steer("retry")).status).toBe(409);
    expect((await steer("resume")).status).toBe(200);
    expect((await steer("cancel")).status).toBe(200);
    expect((await steer("cancel")).status).toBe(200);
    expect((await steer("pause")).status).toBe(409);
    expect((await steer("resume")).status).toBe(409);
    const late = await owner.json("PATCH", `/api/jobs/${fresh.jobId}`, { bandwidthMbps: 7 });
    expect(late.status).toBe(409);
    const told = (await actionsOf(fresh)).filter((one) => one.startsWith("job."));
    expect(told).toEqual([`job.cancel ${fresh.jobId}`, `job.created ${fresh.jobId}`]);
  });

  test("[V6] what is done twice is told once: revoking an agent, a code, a session", async () => {
    const fresh = await makeOrganization();
    const { owner } = fresh.people;
    const other = await signIn({
      tenantId: fresh.tenantId,
      hub_user_id: `viewer-${fresh.canary}`,
      orgRole: "viewer",
    });
    const { items } = await other.get<{ items: { id: string; current: boolean }[] }>("/api/sessions");
    const session = items.find(({ current }) => current)?.id ?? "";
    for (let times = 0; times < 2; times++) {
      await owner.post(`/api/agents/${fresh.agentId}/revoke`);
      await owner.json("POST", `/api/registration-codes/${fresh.openCodeId}/revoke`);
      expect((await owner.json("POST", `/api/sessions/${session}/revoke`)).status).toBe(204);
    }
    const told = (await actionsOf(fresh)).filter((one) => one.includes("revoked"));
    expect(told.sort()).toEqual(
      [
        `agent.revoked ${fresh.agentId}`,
        `code.revoked ${fresh.openCodeId}`,
        `session.revoked ${session}`,
      ].sort(),
    );
  });

  test("[V6] a sign-in tells its session and the hash of its token, a change of role tells both roles", async () => {
    const claims = { tenantId: `tenant-${unique()}`, hub_user_id: `hub-${unique()}` };
    await signIn({ ...claims, orgRole: "member", jti: `jti-${unique()}` });
    const browser = await signIn({ ...claims, orgRole: "owner" });
    const entries = await entriesOf(browser);
    expect(entries.map(({ action }) => action).sort()).toEqual([
      "role.changed",
      "session.began",
      "session.began",
    ]);
    expect(entries.find(({ action }) => action === "role.changed")?.details).toEqual({
      from: "member",
      to: "owner",
    });
    const began = entries.find(({ action }) => action === "session.began");
    expect(began?.details).toMatchObject({ jtiHash: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  test("[V6] an agent's registration is told together with the use of its code", async () => {
    const entry = (await entriesOf(org.people.owner, "&action=agent.registered"))[0];
    expect(entry).toMatchObject({ actorKind: "agent", actorId: org.agentId, objectId: org.agentId });
    expect(entry?.details).toEqual({ codeId: expect.stringMatching(/^rgc_/) });
  });

  test("[V6] refused sign-ins stay outside of every organization", async () => {
    const before = await entriesOf(org.people.owner);
    await (await signIn()).fetch("/sso?token=x.y.z");
    expect(await entriesOf(org.people.owner)).toEqual(before);
  });

  test("[V7] what people type stands in an export as one line of ASCII, whatever it is", async () => {
    const fresh = await makeOrganization();
    const { owner } = fresh.people;
    const name = 'a\n{"number":1}\u2028\u202e\u001b[31m\u0000é"\\';
    const key = "x".repeat(86);
    const path = `/srv/\u202e${name.replaceAll("\u0000", "")}/AccountKey=${key}==`;
    await owner.json("PATCH", `/api/clients/${fresh.clientId}`, { name });
    await plane.database
      .prepare(
        "insert into audit_log (org_id, id, at, actor_kind, action, details) values (?, ?, 1, 'system', 'test.entry', ?)",
      )
      .bind(fresh.orgId, `aud_${"0".repeat(25)}2`, JSON.stringify({ path: name, deep: [{ b: 1, a: name }] }))
      .run();
    await owner.post("/api/jobs", {
      projectId: fresh.projectId,
      agentId: fresh.agentId,
      name: "Move",
      destination: { prefix: "moved" },
      type: "migrate_files",
      source: { kind: "local", path: path.replaceAll(/[\n\u001b\u2028\u202e]/g, "") },
      options: { deletion: {} },
      confirmDeletionOf: path.replaceAll(/[\n\u001b\u2028\u202e]/g, ""),
    });
    const text = await exportOf(owner);
    expect(text).toMatch(/^[\n\x20-\x7e]+$/);
    expect(text).not.toContain(key);
    expect((await verifyFile(fileOf(text), null)).kind).toBe("whole");
    const entry = text.split("\n").find((line) => line.includes("test.entry")) ?? "";
    expect((JSON.parse(entry) as AuditEntry).details).toEqual({ path: name, deep: [{ b: 1, a: name }] });
  });
});
