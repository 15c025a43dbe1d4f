/** Manifests on their way from the agent into object storage, and out of it again. */
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { gunzipSync, gzipSync } from "node:zlib";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MANIFEST_PART_BYTES_MAX, type ManifestState } from "../../schema/manifest.ts";
import {
  asMachine,
  controlPlane,
  makeJob,
  makeOrganization,
  registerAgent,
  type Answer,
  type ControlPlane,
  type Organization,
} from "./harness.ts";
import { manifestText, reported, sha256, storeManifest } from "./manifest-upload.ts";

let plane: ControlPlane;
let ours: Organization;
let theirs: Organization;
beforeAll(async () => {
  plane = await controlPlane();
  [ours, theirs] = await Promise.all([makeOrganization(), makeOrganization()]);
});

let jobId: string;
beforeEach(async () => {
  ({ id: jobId } = await makeJob(ours.people.owner, { projectId: ours.projectId, agentId: ours.agentId }));
});

const path = (query = "?epoch=1") => `/api/agent/jobs/${jobId}/manifest${query}`;
const ask = async () => (await asMachine("GET", path(), undefined, ours.agentKey)).body as ManifestState;
const complete = async (body: object, key = ours.agentKey) => await asMachine("POST", path(""), body, key);

async function send(bytes: Uint8Array, part = sha256(bytes), key = ours.agentKey): Promise<Answer> {
  const response = await fetch(plane.origin + path(`?epoch=1&part=${part}`), {
    method: "PUT",
    headers: { authorization: `Bearer ${key}` },
    body: bytes as Uint8Array<ArrayBuffer>,
  });
  const text = await response.text();
  return { status: response.status, text, body: text === "" ? null : JSON.parse(text) };
}

async function objects(): Promise<string[]> {
  const { objects: manifests } = await plane.manifests.list({ prefix: `manifests/${ours.orgId}/${jobId}/` });
  const { objects: staged } = await plane.manifests.list({ prefix: `staged/${ours.orgId}/${jobId}/` });
  return [...manifests, ...staged].map(({ key }) => key);
}

async function rows(): Promise<Record<string, unknown>[]> {
  const asked = plane.database.prepare("select * from manifests where org_id = ? and job_id = ?");
  return (await asked.bind(ours.orgId, jobId).all<Record<string, unknown>>()).results;
}

async function stored(): Promise<number> {
  const asked = plane.database.prepare(
    "select count(*) as count from audit_log where org_id = ? and object_id = ? and action = 'manifest.stored'",
  );
  return (await asked.bind(ours.orgId, jobId).first<{ count: number }>())?.count ?? 0;
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let from = 0; from < bytes.length; from += size) parts.push(bytes.subarray(from, from + size));
  return parts;
}

const TEXT = manifestText(2_000);
const MANIFEST = { epoch: 1, sha256: sha256(TEXT), rows: 2_000 };
const PACKED = gzipSync(TEXT);

describe("a manifest's way into storage", () => {
  test("[H1] parts in any order, twice and over a break become the one object, which is then had back byte for byte", async () => {
    await reported(plane, jobId, MANIFEST);
    const parts = cut(PACKED, 20_000);
    expect(parts.length).toBeGreaterThan(3);
    expect(await ask()).toEqual({ jobId, epoch: 1, stored: false, parts: [] });
    for (const part of [...parts.toReversed().slice(1), ...parts.slice(0, 2)]) {
      expect((await send(part)).status).toBe(204);
    }
    expect((await ask()).parts.toSorted()).toEqual(parts.slice(0, -1).map(sha256).toSorted());
    const all = { ...MANIFEST, parts: parts.map(sha256) };
    const early = await complete(all);
    expect(early).toMatchObject({
      status: 409,
      body: { details: { missing: [sha256(parts.at(-1) ?? PACKED)] } },
    });
    await send(parts.at(-1) ?? PACKED);
    expect(await complete(all)).toMatchObject({ status: 200, body: { stored: true, parts: [] } });

    const key = `manifests/${ours.orgId}/${jobId}/1.jsonl.gz`;
    expect(await objects()).toEqual([key]);
    expect(await rows()).toMatchObject([
      { epoch: 1, object_key: key, sha256: MANIFEST.sha256, rows: 2_000, size_bytes: PACKED.length },
    ]);
    const answer = await ours.people.viewer.fetch(`/api/jobs/${jobId}/manifest`);
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "content-type": "application/gzip",
      "content-length": String(PACKED.length),
      "x-content-type-options": "nosniff",
      "x-manifest-sha-256": MANIFEST.sha256,
      "x-manifest-rows": "2000",
    });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    expect(sha256(bytes)).toBe(sha256(PACKED));
    expect(sha256(gunzipSync(bytes))).toBe(MANIFEST.sha256);
  });

  test("[H2] completing twice, at once or after a lost answer, makes one row and one entry", async () => {
    await reported(plane, jobId, MANIFEST);
    await send(PACKED);
    const all = { ...MANIFEST, parts: [sha256(PACKED)] };
    const answers = await Promise.all([complete(all), complete(all), complete(all)]);
    // One may find that the other has cleared up already; it asks again and is told.
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
    expect(await complete(all)).toMatchObject({ status: 200, body: { stored: true } });
    expect(await ask()).toMatchObject({ stored: true, parts: [] });
    expect([(await rows()).length, await stored()]).toEqual([1, 1]);
    const answer = await ours.people.viewer.fetch(`/api/jobs/${jobId}/manifest`);
    expect(sha256(new Uint8Array(await answer.arrayBuffer()))).toBe(sha256(PACKED));
  });

  test("[H1] a part under another digest than its own is refused, and nothing is kept of it", async () => {
    expect(await send(PACKED, sha256("something else"))).toMatchObject({
      status: 400,
      body: { details: { fields: { part: expect.any(String) } } },
    });
    expect(await objects()).toEqual([]);
  });

  test.each<[string, number, (good: typeof MANIFEST) => object | null]>([
    ["without a report", 409, () => null],
    ["of a run whose report has no manifest", 400, () => ({ manifest: null })],
    [
      "with another digest than the report's",
      400,
      (good) => ({ manifest: { ...good, sha256: sha256("x") } }),
    ],
    ["with another count than the report's", 400, (good) => ({ manifest: { ...good, rows: 1_999 } })],
  ])("[H1] a manifest %s is refused (%i)", async (_what, status, report) => {
    const told = report(MANIFEST);
    if (told !== null) await reported(plane, jobId, (told as { manifest: typeof MANIFEST | null }).manifest);
    await send(PACKED);
    expect((await complete({ ...MANIFEST, parts: [sha256(PACKED)] })).status).toBe(status);
    expect([await rows(), await stored()]).toEqual([[], 0]);
    expect((await objects()).filter((key) => key.startsWith("manifests/"))).toEqual([]);
  });

  const OTHER = gzipSync(TEXT.replace("file-1999", "file-1998"));
  test.each<[string, Uint8Array[], number]>([
    ["of which one letter was changed", [OTHER], 2_000],
    ["that has another count of lines than the report says", [PACKED], 1_999],
    ["that is cut off", [PACKED.subarray(0, -9)], 2_000],
    ["that is no gzip", [Buffer.from(TEXT)], 2_000],
    ["with something behind its end", [PACKED, randomBytes(100)], 2_000],
    ["with its parts in the wrong order", cut(PACKED, 40_000).toReversed(), 2_000],
    ["with a flipped bit", [flipped(PACKED)], 2_000],
    ["whose last line has no end", [gzipSync(TEXT.slice(0, -1))], 2_000],
    ["of zeros, one line of two million letters", [gzipSync(Buffer.alloc(2_000_000, 48))], 1],
  ])("[H1] a manifest %s never becomes an object, and its parts go", async (_what, parts, count) => {
    const told = {
      epoch: 1,
      sha256: _what.includes("zeros") ? sha256("0".repeat(2_000_000)) : MANIFEST.sha256,
      rows: count,
    };
    await reported(plane, jobId, told);
    for (const part of parts) await send(part);
    expect(await complete({ ...told, parts: parts.map(sha256) })).toMatchObject({ status: 409 });
    expect([await objects(), await rows(), await stored()]).toEqual([[], [], 0]);
    // And the right one is taken afterwards.
    if (count !== 2_000) return;
    await send(PACKED);
    expect((await complete({ ...MANIFEST, parts: [sha256(PACKED)] })).status).toBe(200);
  });

  test("[H3] only the job's own agent brings its manifests, of runs there were", async () => {
    await reported(plane, jobId, MANIFEST);
    const neighbour = await registerAgent(ours.people.owner, "neighbour");
    for (const key of [neighbour.key, theirs.agentKey]) {
      expect((await send(PACKED, sha256(PACKED), key)).status).toBe(404);
      expect((await asMachine("GET", path(), undefined, key)).status).toBe(404);
      expect((await complete({ ...MANIFEST, parts: [sha256(PACKED)] }, key)).status).toBe(404);
    }
    expect((await asMachine("GET", path("?epoch=2"), undefined, ours.agentKey)).status).toBe(404);
    expect(await objects()).toEqual([]);
  });

  test("[H1] the manifest of an earlier run is taken, though the report went with the retry", async () => {
    await reported(plane, jobId, MANIFEST, "failed");
    await send(PACKED);
    await ours.people.owner.post(`/api/jobs/${jobId}/retry`);
    expect((await complete({ ...MANIFEST, parts: [sha256(PACKED)] })).status).toBe(200);
    const { viewer } = ours.people;
    // Nothing of the present run is there yet, so it is the newest one there is.
    expect((await viewer.fetch(`/api/jobs/${jobId}/files.csv`)).status).toBe(200);
    expect((await viewer.fetch(`/api/jobs/${jobId}/manifest?epoch=1`)).status).toBe(200);
    expect((await viewer.fetch(`/api/jobs/${jobId}/manifest?epoch=2`)).status).toBe(404);
    expect((await viewer.fetch(`/api/jobs/${jobId}/manifest?epoch=x`)).status).toBe(400);
  });

  test("[H4] a part that is too large, empty, or of unknown length is refused, and nothing is kept of it", async () => {
    const asked = async (bytes: Uint8Array, headers: Record<string, string> = {}) =>
      await new Promise<number>((resolve, reject) => {
        const sending = request(plane.origin + path(`?epoch=1&part=${sha256(bytes)}`), {
          method: "PUT",
          headers: { authorization: `Bearer ${ours.agentKey}`, ...headers },
        });
        sending.on("response", (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        sending.on("error", reject);
        sending.end(bytes);
      });
    expect(await asked(Buffer.alloc(0))).toBe(400);
    expect(await asked(PACKED, { "transfer-encoding": "chunked" })).toBe(400);
    expect(await asked(Buffer.alloc(MANIFEST_PART_BYTES_MAX + 1))).toBe(400);
    expect(await objects()).toEqual([]);
    expect(await asked(randomBytes(3 * 1024 * 1024))).toBe(204);
  });

  test("[H1] an empty manifest is one too", async () => {
    const { answer } = await storeManifest(ours, jobId, "");
    expect(answer.status).toBe(200);
    const list = await ours.people.viewer.fetch(`/api/jobs/${jobId}/files.csv`);
    expect((await list.text()).split("\r\n")).toHaveLength(2);
  });

  test("[H5] before the list is there, and after it was lost, both downloads say so and leave no entry", async () => {
    await storeManifest(ours, jobId, manifestText(3));
    await plane.manifests.delete(`manifests/${ours.orgId}/${jobId}/1.jsonl.gz`);
    for (const id of [jobId, ours.jobId]) {
      for (const name of ["manifest", "files.csv"]) {
        const answer = await ours.people.viewer.json("GET", `/api/jobs/${id}/${name}`);
        expect(answer).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
      }
    }
    const entries = plane.database
      .prepare(
        "select id from audit_log where org_id = ? and object_id in (?, ?) and action = 'export.taken'",
      )
      .bind(ours.orgId, jobId, ours.jobId);
    expect((await entries.all()).results).toEqual([]);
  });
});

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[copy.length >> 1] = (copy[copy.length >> 1] ?? 0) ^ 1;
  return copy;
}
