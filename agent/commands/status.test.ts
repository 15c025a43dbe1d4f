/** What an agent writes of itself, and how a person reads it. */
import assert from "node:assert/strict";
import { jobConfig, ZERO_TOTALS } from "../../schema/job.ts";
import { DiskError } from "../platform.ts";
import type { JobState } from "../state.ts";
import { readStatus, type StatusFile, StatusBoard } from "../status-file.ts";
import { VirtualClock, virtualPlatform } from "../virtual.ts";
import { statusOf, statusWords } from "./status.ts";

const AGENT = "agt_1";
const REGISTRATION = { url: "https://hub.example", agentId: AGENT };
const config = jobConfig.parse({
  type: "migrate_files",
  name: "Plans \u202egpj",
  source: { kind: "local", path: "/srv/plans" },
  destination: { kind: "azure_blob", account: "acme", container: "plans", prefix: "", tier: "Hot" },
  options: {},
});
const JOB: JobState = {
  jobId: "job_1",
  epoch: 2,
  rev: 1,
  state: "run",
  config,
  started: true,
  finished: false,
  phase: "running",
  refusal: null,
};
const PROGRESS = {
  phase: "running",
  totals: { ...ZERO_TOTALS, filesTotal: 1_200, filesCompleted: 1_000, filesFailed: 3, bytesCompleted: 5e9 },
  bytesInFlight: 0,
  bytesPerSecond: 12e6,
  secondsRemaining: 5,
  currentPath: null,
  waiting: null,
} as const;

function makeBoard(write: (text: string) => void): StatusBoard {
  return new StatusBoard({
    platform: virtualPlatform({ clock: new VirtualClock() }),
    facts: { version: "0.1.0", ...REGISTRATION },
    unfinished: () => [JOB, { ...JOB, jobId: "job_2", config: { newer: true }, phase: null }],
    progress: () => [{ jobId: "job_1", epoch: 2, progress: PROGRESS }],
    write,
  });
}

Deno.test("[A102] jobs are told with their names and how far they are, those that are not understood by their ids", () => {
  let last: StatusFile | null = null;
  const board = makeBoard((text) => (last = readStatus(text)));
  board.heard("session_opened", { connection: "long_poll" });
  const facts = { folder: "/state", registration: REGISTRATION, version: "0.1.0", last };
  const status = statusOf({ ...facts, isRunning: true });
  assert.equal(status.state, "connected");
  const words = statusWords(status);
  assert.match(words, /by HTTPS requests because no WebSocket passes/);
  assert.match(
    words,
    /"Plans \\u\{202e\}gpj" from "\/srv\/plans": running, 1,000 of 1,200 files \(5\.0 GB\), 3 failed, 12 MB a second/,
  );
  assert.match(words, /"job_2" from "": waits \(run\)/);
  board.heard("session_lost", { reason: "status 403 by http://me:hidden@proxy", advice: "Ask an admin" });
  const lost = statusOf({ ...facts, last, isRunning: true });
  assert.deepEqual(
    [lost.state, lost.connection?.reason],
    ["lost", "status 403 by http://[redacted]@proxy. Ask an admin"],
  );
  // It is gone: what it wrote of its connection is not true any more, and of its jobs it is the last that is known.
  const stopped = statusOf({ ...facts, last, isRunning: false });
  assert.deepEqual([stopped.state, stopped.connection, stopped.jobs.length], ["stopped", null, 2]);
  const foreign = statusOf({
    ...facts,
    registration: { ...REGISTRATION, agentId: "agt_2" },
    isRunning: false,
  });
  assert.deepEqual(foreign.jobs, []);
});

Deno.test("[A102] a status that cannot be written or read stops nobody", () => {
  const board = makeBoard(() => {
    throw new DiskError("no_space", "full");
  });
  board.heard("session_opened", { connection: "websocket" });
  for (const text of [null, "", "{", "[]", '{"version":1}']) assert.equal(readStatus(text), null);
});

Deno.test("[A126] status shows a newer release and why it is not in place, until that version runs", () => {
  let last: StatusFile | null = null;
  const board = makeBoard((text) => (last = readStatus(text)));
  board.heard("update_available", {
    version: "0.2.0",
    reason: "its folder cannot be written by this account",
  });
  const facts = { folder: "/state", registration: REGISTRATION, last, isRunning: true };
  assert.match(
    statusWords(statusOf({ ...facts, version: "0.1.0" })),
    /^Update available: "?0\.2\.0"?; .*its folder cannot be written/m,
  );
  assert.equal(statusOf({ ...facts, version: "0.2.0" }).update, null);
});
