/**
 * `npm run bench:exports`: a manifest of two million files on its way through the real Worker, into R2 and out again as a
 * table, with what workerd needs of memory meanwhile. Wrong in one byte, it ends with an error. `-- --rows 50000` for fewer.
 *
 * Everything is in one process here: the Worker, the emulation of R2 and D1. So the figure is an upper bound for the Worker.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { parseArgs } from "node:util";
import { createGzip } from "node:zlib";
import { MANIFEST_PART_BYTES } from "../schema/manifest.ts";
import { asMachine, controlPlane, makeJob, makeOrganization } from "../test/contract/harness.ts";
import { reported, sha256 } from "../test/contract/manifest-upload.ts";

const { values } = parseArgs({ options: { rows: { type: "string", default: "2000000" } } });
const ROWS = Number(values.rows);
const ROWS_AT_ONCE = 5_000;
/** A pipe into `DecompressionStream` needed 1,092 MiB; the emulation alone begins with 144. */
const PEAK_MIB_MAX = 600;

const plane = await controlPlane();
const org = await makeOrganization();
const { id: jobId } = await makeJob(org.people.owner, { projectId: org.projectId, agentId: org.agentId });
const path = `/api/agent/jobs/${jobId}/manifest`;

const list = createHash("sha256");
const table = createHash("sha256").update(
  "Path,Size in bytes,Modified,SHA-256,Stored as,ETag,Outcome,Reason,Proof\r\n",
);
let listBytes = 0;

function* lines(): Generator<Buffer> {
  for (let from = 0; from < ROWS; from += ROWS_AT_ONCE) {
    let text = "";
    let cells = "";
    for (let row = from; row < Math.min(ROWS, from + ROWS_AT_ONCE); row++) {
      const name = `Clients/Acme GmbH/Projects/2026/Drawings/Level ${row % 97}/plan-${row}.pdf`;
      const digest = sha256(String(row));
      const tag = `0x8DE${row.toString(16).padStart(12, "0").toUpperCase()}`;
      const at = "2026-11-22T10:00:00.000Z";
      text += `{"path":"${name}","sizeBytes":${row},"modified":"${at}","sha256":"${digest}","blob":"acme/${name}","etag":"\\"${tag}\\"","outcome":"completed","reason":null,"proof":"chain"}\n`;
      cells += `${name},${row},${at},${digest},acme/${name},"""${tag}""",completed,,chain\r\n`;
    }
    list.update(text);
    table.update(cells);
    listBytes += text.length;
    yield Buffer.from(text);
  }
}

/** The highest memory of workerd so far, in MiB; null where the system does not tell. */
function workerdMiB(): number | null {
  try {
    const peaks = readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && isOurs(name))
      .map(
        (name) =>
          Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${name}/status`, "utf8"))?.[1] ?? 0) / 1_024,
      );
    return Math.round(Math.max(...peaks));
  } catch {
    return null;
  }
}

function isOurs(pid: string): boolean {
  for (let at = pid, isWorkerd = false; at !== "0";) {
    const stat = statusOf(at);
    if (stat === null) return false;
    isWorkerd ||= stat.name.startsWith("workerd");
    if (stat.parent === String(process.pid)) return isWorkerd;
    at = stat.parent;
  }
  return false;
}

function statusOf(pid: string): { name: string; parent: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/status`, "utf8");
    return {
      name: /^Name:\s+(.*)$/m.exec(text)?.[1] ?? "",
      parent: /^PPid:\s+(\d+)$/m.exec(text)?.[1] ?? "0",
    };
  } catch {
    return null;
  }
}

const started = { memory: workerdMiB(), at: performance.now() };
const parts: string[] = [];
let waiting: Buffer[] = [];
let waitingBytes = 0;
for await (const packed of Readable.from(lines()).pipe(createGzip())) {
  waiting.push(packed as Buffer);
  waitingBytes += (packed as Buffer).length;
  if (waitingBytes >= MANIFEST_PART_BYTES) await send();
}
if (waitingBytes > 0) await send();

async function send(): Promise<void> {
  const bytes = Buffer.concat(waiting);
  [waiting, waitingBytes] = [[], 0];
  parts.push(sha256(bytes));
  const response = await fetch(`${plane.origin}${path}?epoch=1&part=${parts.at(-1)}`, {
    method: "PUT",
    headers: { authorization: `Bearer ${org.agentKey}` },
    body: bytes,
  });
  if (response.status !== 204)
    throw new Error(`Cannot send a part: ${response.status} ${await response.text()}`);
}
const sent = { memory: workerdMiB(), at: performance.now() };

const manifest = { epoch: 1, sha256: list.digest("hex"), rows: ROWS };
await reported(plane, jobId, manifest);
const answer = await asMachine("POST", path, { ...manifest, parts }, org.agentKey);
if (answer.status !== 200) throw new Error(`Cannot complete the manifest: ${answer.status} ${answer.text}`);
const stored = { memory: workerdMiB(), at: performance.now() };

const response = await org.people.viewer.fetch(`/api/jobs/${jobId}/files.csv`);
if (response.body === null) throw new Error(`Cannot read the table: ${response.status}`);
const found = createHash("sha256");
let tableBytes = 0;
for await (const bytes of response.body) {
  found.update(bytes);
  tableBytes += bytes.length;
}
const read = { memory: workerdMiB(), at: performance.now() };
if (found.digest("hex") !== table.digest("hex")) throw new Error("The table is not what was sent");

const size = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
const step = (before: { at: number }, { at, memory }: { at: number; memory: number | null }) =>
  `${((at - before.at) / 1_000).toFixed(1)} s, workerd's peak so far ${memory ?? "?"} MiB`;
console.log(
  `${ROWS} rows, ${size(listBytes)} of lines in ${parts.length} parts, ${size(tableBytes)} as a table`,
);
console.log(`at the start: workerd's peak so far ${started.memory ?? "?"} MiB`);
console.log(`made, packed and sent: ${step(started, sent)}`);
console.log(`joined, unpacked and checked: ${step(sent, stored)}`);
console.log(`read as a table: ${step(stored, read)}`);
if ((read.memory ?? 0) > PEAK_MIB_MAX) throw new Error(`workerd needed more than ${PEAK_MIB_MAX} MiB`);
process.exit(0);
