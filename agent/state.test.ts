/** What the agent remembers, over real SQLite files that are closed and opened again. */
import assert from "node:assert/strict";
import { FAILURES_KEPT_MAX, ZERO_TOTALS, type FileFailure, type JobReport } from "../schema/job.ts";
import { readAgentFrame } from "../schema/protocol.ts";
import type { RunEvent } from "./engine/run.ts";
import { type Database, DiskError } from "./platform.ts";
import { denoPlatform } from "./platform-deno.ts";
import { AgentState, EVENT_CHARACTERS_MAX, PROGRESS_SEQS_RESERVED, type Wanted } from "./state.ts";

const AGENT = "agt_01jd0000000000000000000000";
const JOB = "job_01jd0000000000000000000001";
const OTHER_JOB = "job_01jd0000000000000000000002";
const AT = "2026-11-22T10:00:00.000Z";
const REPORT: JobReport = {
  outcome: "completed",
  error: null,
  totals: ZERO_TOTALS,
  startedAt: AT,
  finishedAt: AT,
  activeMs: 0,
  verification: "chain",
  manifest: null,
};

/** A state whose process may die at any moment. */
class Disk implements Disposable {
  readonly folder = Deno.makeTempDirSync();
  state = this.#open();

  #open(): AgentState {
    const state = new AgentState(
      denoPlatform(() => undefined).openDatabase(`${this.folder}/agent.db`, { exclusive: true }),
    );
    state.claim(AGENT);
    return state;
  }

  reopen(): AgentState {
    this.state.close();
    return (this.state = this.#open());
  }

  [Symbol.dispose](): void {
    this.state.close();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function wanted(more: Partial<Wanted> = {}): Wanted {
  return { type: "desired", jobId: JOB, epoch: 1, rev: 1, state: "run", config: { any: "thing" }, ...more };
}

function phase(name: "scanning" | "running" | "paused"): RunEvent {
  return { kind: "phase", phase: name, totals: ZERO_TOTALS };
}

function failed(first: number, count: number, path = "p"): RunEvent {
  const failures = Array.from({ length: count }, (_, index): FileFailure => {
    return { path: `${path}${first + index}`, code: "source_denied", message: "no" };
  });
  return { kind: "files_failed", first, failures };
}

function tell(state: AgentState, event: RunEvent, epoch = 1): void {
  state.tell({ jobId: JOB, epoch, at: AT, event });
}

/** The failures in the outbox by their number, each once. */
function failuresTold(state: AgentState): Map<number, string> {
  const told = new Map<number, string>();
  for (const message of state.events(0, 1_000_000)) {
    if (message.type !== "event" || message.event.kind !== "files_failed") continue;
    for (const [index, { path }] of message.event.failures.entries()) {
      assert.ok(!told.has(message.event.first + index), "told once");
      told.set(message.event.first + index, path);
    }
  }
  return told;
}

Deno.test("[A1] what is wanted of a job, and that it was begun, is there after a restart", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  disk.state.accept(wanted({ rev: 2, state: "pause" }), null);
  disk.state.accept(wanted({ jobId: OTHER_JOB }), null);
  disk.state.markStarted({ jobId: JOB, epoch: 1 });
  const [job, other] = disk.reopen().unfinished();
  assert.deepEqual(job, {
    jobId: JOB,
    epoch: 1,
    rev: 2,
    state: "pause",
    config: { any: "thing" },
    started: true,
    finished: false,
    phase: null,
    refusal: null,
  });
  assert.equal(other?.jobId, OTHER_JOB);
  assert.deepEqual(disk.state.applied(), { [JOB]: [1, 2], [OTHER_JOB]: [1, 1] });
});

Deno.test("[A1] a new epoch begins anew, at the end of the queue", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  disk.state.accept(wanted({ jobId: OTHER_JOB }), null);
  disk.state.markStarted({ jobId: JOB, epoch: 1 });
  disk.state.finish({ jobId: JOB, epoch: 1, report: REPORT });
  disk.state.accept(wanted({ epoch: 2, rev: 3 }), null);
  const [first, second] = disk.reopen().unfinished();
  assert.equal(first?.jobId, OTHER_JOB);
  assert.deepEqual([second?.epoch, second?.started, second?.finished], [2, false, false]);
});

Deno.test("[A2] events are numbered without a gap, also after a restart and after they were acked", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  tell(disk.state, phase("scanning"));
  tell(disk.state, phase("running"));
  disk.reopen().acknowledge(2);
  assert.deepEqual(disk.state.events(0, 10), []);
  tell(disk.reopen(), failed(0, 1));
  disk.state.finish({ jobId: JOB, epoch: 1, report: REPORT });
  assert.deepEqual(
    disk
      .reopen()
      .events(0, 10)
      .map(({ eventSeq, type }) => [eventSeq, type]),
    [
      [3, "event"],
      [4, "result"],
    ],
  );
});

Deno.test("[A2] an ack drops what it names and nothing else", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  tell(disk.state, phase("scanning"));
  tell(disk.state, failed(0, 1));
  disk.state.finish({ jobId: JOB, epoch: 1, report: REPORT });
  disk.state.acknowledge(2);
  assert.deepEqual(disk.reopen().unackedResults(), [{ jobId: JOB, epoch: 1 }]);
  assert.deepEqual(disk.state.unackedResults(2), []);
  disk.state.acknowledge(3);
  assert.deepEqual(disk.state.unackedResults(), []);
  assert.deepEqual(disk.state.applied(), { [JOB]: [1, 1] }, "the job is still known");
});

Deno.test("[A3] a phase told again after a crash is told once", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  tell(disk.state, phase("scanning"));
  tell(disk.reopen(), phase("scanning"));
  tell(disk.state, phase("running"));
  tell(disk.state, phase("paused"));
  tell(disk.state, phase("running"));
  const told = disk.state
    .events(0, 10)
    .map((message) =>
      message.type === "event" && message.event.kind === "phase" ? message.event.phase : null,
    );
  assert.deepEqual(told, ["scanning", "running", "paused", "running"]);
});

Deno.test("[A3] failures told again after a crash, in other portions, are told once each", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  tell(disk.state, failed(0, 7));
  tell(disk.reopen(), failed(0, 7));
  tell(disk.state, failed(5, 10));
  tell(disk.state, failed(3, 2));
  tell(disk.state, failed(4, 6));
  assert.deepEqual(
    [...failuresTold(disk.state)],
    Array.from({ length: 15 }, (_, number) => [number, `p${number}`]),
  );
});

Deno.test("[A3] failures beyond what the control plane keeps stay in the manifest only", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  for (let first = 0; first < FAILURES_KEPT_MAX + 170; first += 30) tell(disk.state, failed(first, 30));
  assert.deepEqual(
    [...failuresTold(disk.state).keys()],
    Array.from({ length: FAILURES_KEPT_MAX }, (_, number) => number),
  );
});

Deno.test("[A3] long paths are spread over events that fit into a frame each", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  tell(disk.state, failed(0, 50, "\u20ac".repeat(5_000)));
  assert.equal(failuresTold(disk.state).size, 50);
  for (const message of disk.state.events(0, 100)) {
    const text = JSON.stringify({ v: 1, s: 1, n: 1, a: 0, m: [message] });
    assert.ok(text.length <= EVENT_CHARACTERS_MAX + 10_000);
    assert.equal(readAgentFrame(text).messages.length, 1);
  }
});

Deno.test("[A4] what a replaced epoch still tells is dropped", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  disk.state.accept(wanted({ epoch: 2, rev: 2 }), null);
  tell(disk.state, phase("scanning"), 1);
  disk.state.finish({ jobId: JOB, epoch: 1, report: REPORT });
  assert.deepEqual(disk.state.events(0, 10), []);
  assert.equal(disk.state.find(JOB)?.finished, false);
});

Deno.test("[A4] an epoch ends once, and tells nothing after its end", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  disk.state.finish({ jobId: JOB, epoch: 1, report: REPORT });
  disk.state.finish({ jobId: JOB, epoch: 1, report: { ...REPORT, outcome: "failed" } });
  tell(disk.state, phase("running"));
  const [message, none] = disk.reopen().events(0, 10);
  assert.equal(message?.type === "result" && message.report.outcome, "completed");
  assert.equal(none, undefined);
});

Deno.test("[A4] a refused job is finished in the step that accepts it", () => {
  using disk = new Disk();
  const refusal = { code: "SOURCE_REFUSED", message: "no" };
  disk.state.accept(wanted(), { refusal, report: { ...REPORT, outcome: "failed" } });
  assert.deepEqual(disk.reopen().find(JOB)?.refusal, refusal);
  assert.equal(disk.state.find(JOB)?.finished, true);
  assert.equal(disk.state.events(0, 10)[0]?.type, "result");
});

Deno.test("[A5] progress numbers rise within an epoch, over restarts too", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  let last = 0;
  for (let count = 0; count < 2 * PROGRESS_SEQS_RESERVED + 10; count++) {
    if (count % 700 === 699) disk.reopen();
    const next = disk.state.nextProgressSeq({ jobId: JOB, epoch: 1 });
    assert.ok(next > last);
    last = next;
  }
});

Deno.test("[A6] a hub that holds more than this agent remembers gets what waits with the next numbers", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  tell(disk.state, phase("scanning"));
  tell(disk.state, phase("running"));
  disk.state.alignEvents(500);
  disk.state.acknowledge(500);
  tell(disk.reopen(), phase("paused"));
  assert.deepEqual(
    disk.state.events(500, 10).map(({ eventSeq }) => eventSeq),
    [501, 502, 503],
  );
});

Deno.test("[A6] a hub that lost its memory gets what waits with the numbers it expects", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  for (const name of ["scanning", "running", "paused"] as const) tell(disk.state, phase(name));
  disk.state.acknowledge(2);
  disk.state.alignEvents(0);
  assert.deepEqual(
    disk
      .reopen()
      .events(0, 10)
      .map(({ eventSeq }) => eventSeq),
    [1],
  );
});

Deno.test("[A6] a hub in step changes no number", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  for (const name of ["scanning", "running", "paused"] as const) tell(disk.state, phase(name));
  for (const held of [0, 1, 3]) {
    disk.state.alignEvents(held);
    disk.state.acknowledge(held);
    assert.deepEqual(
      disk.state.events(0, 10).map(({ eventSeq }) => eventSeq),
      [1, 2, 3].filter((seq) => seq > held),
    );
  }
  tell(disk.state, phase("running"));
  assert.equal(disk.state.events(0, 10)[0]?.eventSeq, 4);
});

Deno.test("[A7] another agent's memory is not taken over", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  tell(disk.state, phase("scanning"));
  disk.state.claim("agt_01jd0000000000000000000009");
  assert.deepEqual([disk.state.unfinished(), disk.state.events(0, 10)], [[], []]);
});

Deno.test("[A61] what has happened is written down on a full disk, too, in the room that was kept for it", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const database = denoPlatform(() => undefined).openDatabase(`${folder}/agent.db`, { exclusive: true });
    let isFull = false;
    const full: Database = {
      ...database,
      execute: (sql) => {
        if (sql === "COMMIT" && isFull) {
          database.execute("ROLLBACK");
          throw new DiskError("no_space", "Cannot write the database: database or disk is full");
        }
        database.execute(sql);
      },
    };
    let reserves = 1;
    const state = new AgentState(full, {
      release: () => {
        if (reserves-- <= 0) return false;
        isFull = false;
        return true;
      },
    });
    state.claim("agt_1");
    isFull = true;
    state.accept({ type: "desired", jobId: JOB, epoch: 1, rev: 1, state: "run", config: {} }, null);
    assert.equal(state.find(JOB)?.rev, 1);
    isFull = true;
    const again = () =>
      state.accept({ type: "desired", jobId: JOB, epoch: 1, rev: 2, state: "pause", config: {} }, null);
    assert.throws(again, DiskError);
    assert.equal(state.find(JOB)?.rev, 1, "all or nothing");
    state.close();
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("[R11] what a job has left in a quarantine is remembered over restarts, until it is forgotten", () => {
  using disk = new Disk();
  const finish = (jobId: string, epoch: number, dueMs: number | null) => {
    disk.state.accept(wanted({ jobId, epoch, rev: epoch, config: { epoch } }), null);
    const retention = dueMs === null ? null : { dueMs, untilMs: dueMs + 100 };
    disk.state.finish({ jobId, epoch, report: REPORT, retention });
  };
  finish(JOB, 1, 10);
  finish(OTHER_JOB, 1, 5);
  finish(OTHER_JOB, 1, 1);
  finish(OTHER_JOB, 2, null);
  disk.state.acknowledge(1_000);
  const state = disk.reopen();
  const due = (nowMs: number, limit = 10) => state.dueQuarantines(nowMs, limit).map(({ jobId }) => jobId);
  assert.deepEqual([due(4), due(5), due(10), due(10, 1)], [[], [OTHER_JOB], [OTHER_JOB, JOB], [OTHER_JOB]]);
  assert.deepEqual(state.findQuarantine(JOB), {
    jobId: JOB,
    epoch: 1,
    config: { epoch: 1 },
    dueMs: 10,
    untilMs: 110,
    filesPurged: 0,
  });
  state.postponeQuarantine({ jobId: OTHER_JOB, epoch: 1 }, 20);
  assert.deepEqual(due(19), [JOB]);
  state.forgetQuarantine({ jobId: OTHER_JOB, epoch: 1 });
  assert.equal(state.findQuarantine(OTHER_JOB), null);
});

Deno.test("[R11] a later epoch answers for what an earlier one has left, which is due as it was", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  disk.state.finish({ jobId: JOB, epoch: 1, report: REPORT, retention: { dueMs: 10, untilMs: 110 } });
  disk.state.accept(wanted({ epoch: 2, rev: 2 }), null);
  disk.state.finish({ jobId: JOB, epoch: 2, report: REPORT, retention: { dueMs: 50, untilMs: 150 } });
  const { epoch, dueMs, untilMs } = disk.state.findQuarantine(JOB) ?? {};
  assert.deepEqual([epoch, dueMs, untilMs], [2, 10, 150]);
  // Who has looked at what the first one left cannot forget the second one's.
  disk.state.forgetQuarantine({ jobId: JOB, epoch: 1 });
  disk.state.postponeQuarantine({ jobId: JOB, epoch: 1 }, 99);
  assert.equal(disk.state.findQuarantine(JOB)?.dueMs, 10);
});

Deno.test("[A7] what another agent has left in a quarantine is nothing this one is given a grant for", () => {
  using disk = new Disk();
  disk.state.accept(wanted(), null);
  disk.state.finish({ jobId: JOB, epoch: 1, report: REPORT, retention: { dueMs: 10, untilMs: 110 } });
  disk.state.claim("agt_01jd0000000000000000000009");
  assert.equal(disk.state.findQuarantine(JOB), null);
});
