/**
 * `npm run bench:lists`: how long do lists, searches and the first page take in an organization with a thousand clients, ten
 * thousand projects, a hundred thousand jobs and five thousand agents? The real Worker in workerd over a local D1, asked
 * one request after the other; what is measured is the whole request, sign-in and all. Ends with 1 when the slowest
 * twentieth of any question takes longer than {@link LIMIT_MS}. With a word behind it, only the questions that hold it.
 */
import { controlPlane, makeOrganization, type Browser } from "../test/contract/harness.ts";

const LIMIT_MS = 50;
const ROUNDS = 40;
const SIZES = { clients: 1_000, projects: 10_000, agents: 5_000, jobs: 100_000 } as const;

/** Ids that sort by their number, as real ones do by their time. */
const id = (prefix: string, number: string) => `'${prefix}_' || printf('%026d', ${number})`;
const rows = (count: number) =>
  `with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})`;
const WORDS =
  "case i % 7 when 0 then 'Acme' when 1 then 'Northwind' when 2 then 'Contoso' when 3 then 'Fabrikam' when 4 then 'Tailspin' when 5 then 'Litware' else 'Wingtip' end";
const STATUS =
  "case when i % 500 = 0 then 'running' when i % 50 = 0 then 'failed' when i % 70 = 0 then 'cancelled' else 'completed' end";

const plane = await controlPlane();
const org = await makeOrganization();
const { owner } = org.people;
const run = (text: string) => plane.database.prepare(text).bind().run();
const one = await plane.database
  .prepare("select created_by as person from jobs where org_id = ?")
  .bind(org.orgId)
  .first<{ person: string }>();
const org_ = `'${org.orgId}'`;
const person = `'${one?.person ?? ""}'`;
const beganMs = Date.now();
await run(
  `insert into clients (org_id, id, name, status, created_by, created_at, updated_at) ${rows(SIZES.clients)} select ${org_}, ${id("cli", "i")}, ${WORDS} || ' client ' || i, case when i % 20 = 0 then 'archived' else 'active' end, ${person}, i, i * 7919 % 100000 from n`,
);
await run(
  `insert into projects (org_id, id, client_id, type, name, connection_id, container, tier, prefix, created_by, created_at, updated_at) ${rows(SIZES.projects)} select ${org_}, ${id("prj", "i")}, ${id("cli", `1 + i % ${SIZES.clients}`)}, 'file_migration', ${WORDS} || ' project ' || i, '${org.connectionId}', '${org.container}', 'Hot', 'p' || i, ${person}, i, i * 7919 % 100000 from n`,
);
await run(
  `insert into agents (org_id, id, name, host, os, arch, version, status, last_seen_at, created_at) ${rows(SIZES.agents)} select ${org_}, ${id("agt", "i")}, ${WORDS} || ' agent ' || i, 'fs' || i, 'windows', 'x86_64', '0.1.0', case when i % 3 = 0 then 'online' else 'offline' end, i * 7919 % 100000, i from n`,
);
const STEP = 10_000;
for (let from = 0; from < SIZES.jobs; from += STEP) {
  await run(
    `insert into jobs (org_id, id, project_id, agent_id, name, config, status, desired_state, desired_rev, applied_rev, epoch, progress_seq, files_total, files_completed, files_failed, files_skipped, files_verified, bytes_total, bytes_completed, bytes_failed, bytes_skipped, bytes_sent, created_by, created_at, updated_at) ${rows(
      STEP,
    )
      .replace("select 1 union", `select ${from + 1} union`)
      .replace(
        `i < ${STEP}`,
        `i < ${from + STEP}`,
      )} select ${org_}, ${id("job", "i")}, ${id("prj", `1 + i % ${SIZES.projects}`)}, ${id("agt", `1 + i % ${SIZES.agents}`)}, ${WORDS} || ' job ' || i, json_object('type', 'migrate_files', 'name', 'job ' || i, 'source', json_object('kind', 'local', 'path', '/srv/' || i), 'destination', json_object('kind', 'azure_blob', 'account', 'acme', 'container', 'files', 'prefix', 'p' || i, 'tier', 'Hot'), 'options', json_object('concurrency', 4)), ${STATUS}, 'run', 1, 1, 1, 0, 9, 9, 0, 0, 9, 900, 900, 0, 0, 900, ${person}, i, i * 7919 % 1000003 from n`,
  );
}
console.log(`filled in ${((Date.now() - beganMs) / 1000).toFixed(0)} s`);

const QUESTIONS: Readonly<Record<string, () => Promise<string>>> = {
  "the first page's counts": async () => "/api/overview",
  "active jobs": async () => "/api/jobs?state=active",
  "finished jobs": async () => "/api/jobs?state=final",
  "failed jobs by name": async () => "/api/jobs?status=failed&sort=name",
  "completed jobs by name": async () => "/api/jobs?status=completed&sort=name",
  "completed jobs searched, none found": async () => "/api/jobs?status=completed&search=nowhere",
  "finished jobs searched, none found": async () => "/api/jobs?state=final&search=nowhere",
  "jobs of a project": async () => `/api/jobs?projectId=prj_${"42".padStart(26, "0")}`,
  "jobs of an agent": async () => `/api/jobs?agentId=agt_${"42".padStart(26, "0")}&state=active`,
  "projects of a client": async () => `/api/projects?clientId=cli_${"42".padStart(26, "0")}`,
  "a second page of jobs by name": async () =>
    `/api/jobs?sort=name&cursor=${encodeURIComponent((await page(owner, "/api/jobs?sort=name")).nextCursor ?? "")}`,
  ...Object.fromEntries(
    ["clients", "projects", "jobs", "agents"].flatMap((what) => [
      ...["created", "name", "activity", "status"].map((sort) => [
        `${what} by ${sort}`,
        async () => `/api/${what}?sort=${sort}`,
      ]),
      [`${what} searched, many found`, async () => `/api/${what}?search=contoso`],
      [`${what} searched, few found`, async () => `/api/${what}?search=99&sort=name`],
      [`${what} searched, none found`, async () => `/api/${what}?search=nowhere&sort=activity`],
    ]),
  ),
};

async function page(browser: Browser, path: string): Promise<{ nextCursor: string | null }> {
  return await browser.get(path);
}

let slow = 0;
const [, , word = ""] = process.argv;
for (const [what, pathOf] of Object.entries(QUESTIONS)) {
  if (!what.includes(word)) continue;
  const path = await pathOf();
  const times: number[] = [];
  for (let round = -3; round < ROUNDS; round++) {
    const startMs = performance.now();
    await owner.get(path);
    if (round >= 0) times.push(performance.now() - startMs);
  }
  times.sort((left, right) => left - right);
  const at = (share: number) => times[Math.floor(share * (times.length - 1))] ?? Infinity;
  if (at(0.95) > LIMIT_MS) slow++;
  const verdict = at(0.95) > LIMIT_MS ? "  TOO SLOW" : "";
  console.log(
    `${what.padEnd(36)} median ${at(0.5).toFixed(1).padStart(6)} ms   p95 ${at(0.95).toFixed(1).padStart(6)} ms${verdict}`,
  );
}
process.exit(slow > 0 ? 1 : 0);
