/** Reports, lists of files and usage, compared row for row with what D1 and object storage hold. */
import { beforeAll, describe, expect, test } from "vitest";
import { ZERO_TOTALS, type JobReport, type JobTotals } from "../../schema/job.ts";
import { jobReportDocument, jobsReportDocument, usage, type Usage } from "../../schema/reports.ts";
import { textOfCell } from "../../worker/exports/csv.ts";
import { hostileCells, readCsv } from "./csv-reader.ts";
import {
  controlPlane,
  makeJob,
  makeOrganization,
  unique,
  type ControlPlane,
  type Organization,
} from "./harness.ts";
import { manifestRow, manifestText, reported, storeManifest } from "./manifest-upload.ts";

let plane: ControlPlane;
let org: Organization;
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
});

async function run(sql: string, ...values: unknown[]): Promise<void> {
  await plane.database
    .prepare(sql)
    .bind(...values)
    .run();
}

async function all<Row>(sql: string, ...values: unknown[]): Promise<Row[]> {
  return (
    await plane.database
      .prepare(sql)
      .bind(...values)
      .all<Row>()
  ).results;
}

async function newProject(clientId = org.clientId): Promise<string> {
  const { connectionId, container } = org;
  const body = {
    clientId,
    type: "file_migration",
    name: `project ${unique()}`,
    storage: { connectionId, container },
  };
  return (await org.people.owner.post<{ id: string }>("/api/projects", body)).id;
}

async function newJob(projectId = org.projectId, name = `job ${unique()}`): Promise<string> {
  return (await makeJob(org.people.owner, { projectId, agentId: org.agentId, name })).id;
}

/** A job at its end, with these totals. */
async function end(id: string, status: JobReport["outcome"], totals: Partial<JobTotals>): Promise<void> {
  await reported(plane, id, null, status);
  const columns = Object.entries({ ...ZERO_TOTALS, ...totals });
  const set = columns.map(
    ([name]) => `${name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)} = ?`,
  );
  await run(
    `update jobs set ${set.join(", ")}, started_at = 5 where id = ?`,
    ...columns.map(([, value]) => value),
    id,
  );
}

async function used(jobId: string, epoch: number, day: string, bytes: number, files: number): Promise<void> {
  await run(
    `insert into job_usage values (?, ?, ?, ?, ?, ?) on conflict do update set
       bytes_sent = max(bytes_sent, excluded.bytes_sent), files_completed = max(files_completed, excluded.files_completed)`,
    org.orgId,
    jobId,
    epoch,
    day,
    bytes,
    files,
  );
}

async function text(path: string): Promise<string> {
  const response = await org.people.viewer.fetch(path);
  expect([path, response.status]).toEqual([path, 200]);
  // `text()` would take the mark away.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(await response.arrayBuffer());
}

async function exportsOf(objectId: string): Promise<unknown[]> {
  const rows = await all<{ details: string }>(
    "select details from audit_log where org_id = ? and object_id = ? and action = 'export.taken' order by id",
    org.orgId,
    objectId,
  );
  return rows.map(({ details }) => JSON.parse(details));
}

describe("lists of files", () => {
  test("[H8] every hostile name comes out of storage as it went in, cell for cell", async () => {
    const names = hostileCells();
    const id = await newJob();
    await storeManifest(
      org,
      id,
      manifestText(names.length, (index) => names[index] ?? ""),
    );
    const [headings, ...lines] = readCsv(await text(`/api/jobs/${id}/files.csv`));
    expect(headings).toHaveLength(9);
    expect(lines.map((line) => line.map(textOfCell))).toEqual(
      names.map((name, index) => {
        const { path, sizeBytes, modified, sha256, blob, etag, outcome, proof } = manifestRow(name, index);
        return [path, String(sizeBytes), modified, sha256, blob, etag, outcome, "", proof];
      }),
    );
    for (const [path = ""] of lines) expect(path).not.toMatch(/^[=+\-@\t\r\n\0]/);
  });

  test("[H10] 50,000 files are in the table one by one, and in the manifest as they were sent", async () => {
    const id = await newJob();
    const { answer } = await storeManifest(org, id, manifestText(50_000));
    expect(answer.status).toBe(200);
    const lines = readCsv(await text(`/api/jobs/${id}/files.csv?bom=0`));
    expect(lines.length).toBe(50_001);
    const wrong = lines.slice(1).findIndex(([path, size], index) => {
      return path !== `folder/file-${index}` || size !== String(index * 1_000);
    });
    expect(wrong).toBe(-1);
    expect(await exportsOf(id)).toEqual([{ what: "files", format: "csv", epoch: 1 }]);
  });

  test("[H10] a reader that goes away in the middle leaves the next one a whole table", async () => {
    const id = await newJob();
    await storeManifest(org, id, manifestText(50_000));
    const given = new AbortController();
    const response = await org.people.viewer.fetch(`/api/jobs/${id}/files.csv`, { signal: given.signal });
    await response.body?.getReader().read();
    given.abort();
    expect(readCsv(await text(`/api/jobs/${id}/files.csv`)).length).toBe(50_001);
  });

  test("[H9] headers: a safe name, no guessing of types, and the mark only where it is asked for", async () => {
    const id = await newJob(org.projectId, '../"Söhne"; filename=evil.exe\r\n');
    await storeManifest(org, id, manifestText(1));
    for (const [name, type] of [
      ["report.csv", "text/csv; charset=utf-8; header=present"],
      ["files.csv", "text/csv; charset=utf-8; header=present"],
      ["report.json", "application/json; charset=utf-8"],
      ["manifest", "application/gzip"],
    ] as const) {
      const response = await org.people.viewer.fetch(`/api/jobs/${id}/${name}`);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe(type);
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("cache-control")).toBe("no-store");
      expect(response.headers.get("content-disposition")).toMatch(
        /^attachment; filename="[\w.-]+"; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]+$/,
      );
      await response.arrayBuffer();
      if (!name.endsWith(".csv")) continue;
      const plain = await text(`/api/jobs/${id}/${name}`);
      expect(plain.startsWith("\uFEFF")).toBe(false);
      expect(await text(`/api/jobs/${id}/${name}?bom=1`)).toBe(`\uFEFF${plain}`);
      expect((await org.people.viewer.fetch(`/api/jobs/${id}/${name}?bom=2`)).status).toBe(400);
    }
  });
});

describe("the report of a job", () => {
  test("[H11] what is printed says what D1 holds: who, what, when, totals, proof, notes, removal, failures by cause", async () => {
    const id = await newJob(org.projectId, "=Plans");
    const totals = {
      ...ZERO_TOTALS,
      filesTotal: 10,
      filesCompleted: 6,
      filesFailed: 3,
      filesSkipped: 1,
      filesVerified: 6,
      bytesTotal: 5_000,
      bytesCompleted: 3_000,
      bytesFailed: 1_500,
      bytesSkipped: 500,
      bytesSent: 3_500,
    };
    await end(id, "completed", totals);
    const report = {
      ...(await all<{ report: string }>("select report from jobs where id = ?", id)).map((row) =>
        JSON.parse(row.report),
      )[0],
      verification: "readback",
      notes: [{ code: "names_mapped", count: 2 }, { code: "of_tomorrow" }],
      removal: { files: 5, bytes: 2_500, dryRun: false, filesPurged: 1, stays: { limit_reached: 1 } },
      manifest: { sha256: "a".repeat(64), rows: 10 },
    };
    await run("update jobs set report = ? where id = ?", JSON.stringify(report), id);
    const failed = [
      ["+a.txt", "source_locked", "busy"],
      ["b.txt", "source_denied", "no"],
      ["c.txt", "source_locked", ""],
    ] as const;
    for (const [number, [path, code, message]] of failed.entries()) {
      await run(
        "insert into job_failures (org_id, job_id, epoch, number, path, code, message) values (?, ?, 1, ?, ?, ?, ?)",
        org.orgId,
        id,
        number,
        path,
        code,
        message,
      );
      await run(
        "insert into job_failures (org_id, job_id, epoch, number, path, code, message) values (?, ?, 9, ?, 'other run', ?, '')",
        org.orgId,
        id,
        number,
        code,
      );
    }
    const document = await org.people.viewer.get(`/api/jobs/${id}/report.json`);
    expect(jobReportDocument.strict().parse(document)).toMatchObject({
      organization: { id: org.orgId, name: org.canary },
      client: { id: org.clientId, name: `client ${org.canary}` },
      project: { id: org.projectId, name: `project ${org.canary}`, type: "file_migration" },
      job: { id, name: "=Plans", epoch: 1, status: "completed", source: "/srv/files" },
      agent: { id: org.agentId, host: "fs01" },
      times: { finishedAt: "2026-11-22T11:00:00.000Z", activeMs: 3_600_000 },
      totals,
      usage: { bytesTransferred: 3_500, filesTransferred: 6 },
      successRate: 6 / 9,
      verification: { level: "readback", words: expect.stringContaining("read back") },
      notes: [
        { code: "names_mapped", count: 2, words: expect.stringContaining(": 2") },
        { code: "of_tomorrow", count: null, words: "of_tomorrow" },
      ],
      removal: { files: 5, filesPurged: 1, stays: { limit_reached: 1 } },
      failures: {
        total: 3,
        listed: 3,
        groups: [
          {
            code: "source_locked",
            words: "Another program has locked it",
            listed: 2,
            files: [{ path: "+a.txt" }, { path: "c.txt" }],
          },
          { code: "source_denied", listed: 1, files: [{ path: "b.txt", message: "no" }] },
        ],
      },
      manifest: { rows: 10, stored: null },
    });

    const lines = readCsv(await text(`/api/jobs/${id}/report.csv`)).map((line) => line.map(textOfCell));
    expect(new Set(lines.map((line) => line.length))).toEqual(new Set([4]));
    const summary = Object.fromEntries(
      lines.filter(([section]) => section === "Summary").map(([, name = "", value]) => [name, value]),
    );
    expect(summary).toMatchObject({
      Job: "=Plans",
      "Files moved": "6",
      "Files failed": "3",
      "Bytes moved": "3000",
      "Success rate in percent": "66.66",
      "Duration in seconds": "3600",
      Verification: "readback",
      "Manifest lines": "10",
    });
    expect(lines.filter(([section]) => section === "Failed file").map((line) => line.slice(1))).toEqual([
      ["+a.txt", "source_locked", "busy"],
      ["c.txt", "source_locked", "Another program has locked it"],
      ["b.txt", "source_denied", "no"],
    ]);
    expect(await exportsOf(id)).toEqual([
      { what: "report", format: "json", epoch: 1 },
      { what: "report", format: "csv", epoch: 1 },
    ]);
  });

  test("[H11] a job that has not ended has a report too, without what only the end tells", async () => {
    const id = await newJob();
    const document = jobReportDocument.parse(await org.people.viewer.get(`/api/jobs/${id}/report.json`));
    expect(document).toMatchObject({
      verification: null,
      removal: null,
      manifest: null,
      successRate: null,
      notes: [],
    });
    expect(readCsv(await text(`/api/jobs/${id}/report.csv`)).length).toBeGreaterThan(20);
  });

  test("[H11] where the list is stored, the report says since when and how large", async () => {
    const id = await newJob();
    await storeManifest(org, id, manifestText(7));
    const document = jobReportDocument.parse(await org.people.viewer.get(`/api/jobs/${id}/report.json`));
    expect(document.manifest).toMatchObject({ rows: 7, stored: { sizeBytes: expect.any(Number) } });
  });
});

/** Small numbers that come again with the same seed. */
function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

describe("reports and usage of projects and clients", () => {
  test.each([1, 2, 3])(
    "[H12] reports, their sums and usage say what D1 holds, row for row, whatever was sent how often (seed %i)",
    async (seed) => {
      const next = seeded(seed);
      const { id: clientId } = await org.people.owner.post<{ id: string }>("/api/clients", {
        name: `=c ${unique()}`,
      });
      const projects = [await newProject(clientId), await newProject(clientId), await newProject(clientId)];
      const expected = new Map<string, { project: string; bytes: number; files: number; failed: number }>();
      for (const project of projects.slice(0, 2)) {
        for (let count = next(4) + 1; count > 0; count--) {
          const id = await newJob(project);
          const [files, failed, sent] = [next(1_000), next(3), next(5_000_000_000)];
          const status = (["completed", "failed", "cancelled"] as const)[next(3)] ?? "failed";
          await end(id, status, {
            filesTotal: files + failed,
            filesCompleted: files,
            filesFailed: failed,
            bytesSent: sent,
          });
          const epoch = next(3) + 1;
          await run("update jobs set epoch = ? where id = ?", epoch, id);
          let [bytes, moved] = [sent, files];
          for (let earlier = 1; earlier < epoch; earlier++) {
            const most = next(1_000_000_000);
            // By day, growing; and everything once more, as after a lost answer.
            for (const _again of [1, 2]) {
              await used(id, earlier, "2026-11-20", Math.floor(most / 2), 1);
              await used(id, earlier, "2026-11-21", most, 10);
            }
            bytes += most;
            moved += 10;
          }
          // Of the present run the job's row and the day's row tell the same, one of them later.
          await used(id, epoch, "2026-11-22", Math.max(0, sent - 5), files);
          expected.set(id, { project, bytes, files: moved, failed });
        }
      }
      const sum = (of: readonly { bytes: number; files: number }[]) => ({
        bytesTransferred: of.reduce((total, { bytes }) => total + bytes, 0),
        filesTransferred: of.reduce((total, { files }) => total + files, 0),
      });
      const scopes = [
        [`/api/clients/${clientId}`, [...expected.values()]],
        ...projects.map((id) => [
          `/api/projects/${id}`,
          [...expected.values()].filter((one) => one.project === id),
        ]),
      ] as [string, { bytes: number; files: number; failed: number }[]][];
      for (const [path, jobs] of scopes) {
        const used = usage.strict().parse(await org.people.viewer.get(`${path}/usage`));
        expect(used).toMatchObject(sum(jobs));
        expect(used.gigabytesTransferred).toBe(used.bytesTransferred / 1e9);
        expect(used.costEstimateUsd).toBeCloseTo((used.bytesTransferred / 1e9) * 0.4, 1);
        expect(Object.values(used.jobs).reduce((total, count) => total + count, 0)).toBe(jobs.length);

        const document = jobsReportDocument
          .strict()
          .parse(await org.people.viewer.get(`${path}/report.json`));
        expect(document.jobs.length).toBe(jobs.length);
        for (const job of document.jobs) {
          const { bytes, files, failed } = expected.get(job.id) ?? { bytes: -1, files: -1, failed: -1 };
          expect([job.bytesTransferred, job.filesTransferred, job.totals.filesFailed]).toEqual([
            bytes,
            files,
            failed,
          ]);
        }
        expect(document.sums).toMatchObject({ jobs: jobs.length, jobsByStatus: used.jobs, ...sum(jobs) });
        expect(document.sums.filesFailed).toBe(jobs.reduce((total, { failed }) => total + failed, 0));

        const [headings = [], ...lines] = readCsv(await text(`${path}/report.csv`));
        expect(lines.length).toBe(jobs.length + 1);
        expect(new Set(lines.map((line) => line.length))).toEqual(new Set([headings.length]));
        const cell = (line: string[], heading: string) => textOfCell(line[headings.indexOf(heading)] ?? "");
        for (const [index, job] of document.jobs.entries()) {
          const line = lines[index] ?? [];
          expect([cell(line, "Job id"), cell(line, "Client"), cell(line, "Bytes transferred")]).toEqual([
            job.id,
            job.clientName,
            String(job.bytesTransferred),
          ]);
        }
        const last = lines.at(-1) ?? [];
        expect([cell(last, "Client"), cell(last, "Bytes transferred"), cell(last, "Files failed")]).toEqual([
          "Total",
          String(document.sums.bytesTransferred),
          String(document.sums.filesFailed),
        ]);
        const jobCount = jobs.length;
        expect(await exportsOf(path.split("/")[3] ?? "")).toEqual([
          { what: "report", format: "json", jobs: jobCount },
          { what: "report", format: "csv", jobs: jobCount },
        ]);
      }
    },
  );

  test("[H12] a client without anything has used nothing", async () => {
    const { id } = await org.people.owner.post<{ id: string }>("/api/clients", { name: "Nobody" });
    const used = await org.people.viewer.get<Usage>(`/api/clients/${id}/usage`);
    expect(used).toMatchObject({
      bytesTransferred: 0,
      filesTransferred: 0,
      mailboxes: 0,
      costEstimateUsd: 0,
    });
    expect(used.lastActivityAt).not.toBeNull();
    expect(readCsv(await text(`/api/clients/${id}/report.csv`)).length).toBe(2);
  });

  test("[H12] more jobs than one question asks for are all in the report, in the order they were made", async () => {
    const project = await newProject();
    const first = await newJob(project);
    const columns = (await all<{ name: string }>("select name from pragma_table_info('jobs')")).map(
      ({ name }) => name,
    );
    const others = columns.filter((name) => name !== "id" && name !== "idempotency_key").join(", ");
    await run(
      `insert into jobs (id, ${others}) with recursive n(i) as (select 1 union all select i + 1 from n where i < 450)
       select substr(id, 1, 24) || printf('%06d', i), ${others} from n, jobs where id = ?`,
      first,
    );
    const document = jobsReportDocument.parse(
      await org.people.viewer.get(`/api/projects/${project}/report.json`),
    );
    const ids = document.jobs.map(({ id }) => id);
    expect([ids.length, new Set(ids).size]).toEqual([451, 451]);
    expect(ids).toEqual(ids.toSorted());
  });

  test("[H12] no question behind a report or usage goes through a whole table", async () => {
    const { jobsOfProject, jobsOfClient } = {
      jobsOfProject: "select id from jobs where org_id = ? and project_id = ?",
      jobsOfClient:
        "select j.id from projects p join jobs j on j.org_id = ? and j.project_id = p.id where p.org_id = ? and p.client_id = ?",
    };
    for (const sql of [jobsOfProject, jobsOfClient]) {
      const values =
        sql === jobsOfProject ? [org.orgId, org.projectId] : [org.orgId, org.orgId, org.clientId];
      const plan = await all<{ detail: string }>(`explain query plan ${sql}`, ...values);
      expect(plan.filter(({ detail }) => /\bSCAN\b/.test(detail))).toEqual([]);
    }
  });
});
