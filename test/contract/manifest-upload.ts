/** What an agent does with its manifest, for tests of what becomes of it. */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { ZERO_TOTALS, type JobReport } from "../../schema/job.ts";
import { asMachine, controlPlane, type Answer, type ControlPlane, type Organization } from "./harness.ts";

export function sha256(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Lines as the agent writes them. */
export function manifestText(rows: number, pathOf = (index: number) => `folder/file-${index}`): string {
  return Array.from(
    { length: rows },
    (_, index) => `${JSON.stringify(manifestRow(pathOf(index), index))}\n`,
  ).join("");
}

export function manifestRow(path: string, index: number) {
  return {
    path,
    sizeBytes: index * 1_000,
    modified: "2026-11-22T10:00:00.000Z",
    sha256: sha256(String(index)),
    blob: `prefix/${path}`,
    etag: `"0x8DE${index.toString(16)}"`,
    outcome: "completed",
    reason: null,
    proof: "chain",
  };
}

/** The end of a run, as it arrives from the agent. */
export async function reported(
  plane: ControlPlane,
  jobId: string,
  manifest: { sha256: string; rows: number } | null,
  outcome: JobReport["outcome"] = "completed",
): Promise<void> {
  const report: JobReport = {
    outcome,
    error: null,
    totals: ZERO_TOTALS,
    startedAt: "2026-11-22T10:00:00.000Z",
    finishedAt: "2026-11-22T11:00:00.000Z",
    activeMs: 3_600_000,
    verification: "chain",
    manifest: manifest === null ? null : { sha256: manifest.sha256, rows: manifest.rows },
  };
  await plane.database
    .prepare("update jobs set report = ?, status = ?, finished_at = ? where id = ?")
    .bind(JSON.stringify(report), outcome, Date.parse(report.finishedAt), jobId)
    .run();
}

/** Reports a run of epoch 1 and stores its manifest. */
export async function storeManifest(
  of: Organization,
  jobId: string,
  text: string,
): Promise<{ sha256: string; answer: Answer }> {
  const plane = await controlPlane();
  const rows = text === "" ? 0 : text.split("\n").length - 1;
  const manifest = { epoch: 1, sha256: sha256(text), rows };
  await reported(plane, jobId, manifest);
  const packed = gzipSync(text, { level: 1 });
  const part = sha256(packed);
  const path = `/api/agent/jobs/${jobId}/manifest`;
  const sent = await fetch(`${plane.origin}${path}?epoch=1&part=${part}`, {
    method: "PUT",
    headers: { authorization: `Bearer ${of.agentKey}` },
    body: packed,
  });
  if (sent.status !== 204) throw new Error(`Cannot send a part: ${sent.status} ${await sent.text()}`);
  const answer = await asMachine("POST", path, { ...manifest, parts: [part] }, of.agentKey);
  return { sha256: manifest.sha256, answer };
}
