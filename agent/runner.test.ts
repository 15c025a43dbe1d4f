/** The runner over real SQLite and runs whose ends the test holds. */
import assert from "node:assert/strict";
import {
  transferOptions,
  ZERO_TOTALS,
  type JobConfig,
  type JobError,
  type JobReport,
} from "../schema/job.ts";
import type { AgentPhase } from "../schema/protocol.ts";
import { TransferError, type Destination, type Source } from "./connectors/connector.ts";
import type { LineSettings } from "./engine/line-limit.ts";
import type { Run, RunInput, RunProgress } from "./engine/run.ts";
import { Lease } from "./lease.ts";
import { denoPlatform } from "./platform-deno.ts";
import { Runner, RUNS_MAX } from "./runner.ts";
import { AgentState, type Wanted } from "./state.ts";
import { settle, VirtualClock, virtualShared } from "./virtual.ts";

const CONFIG: JobConfig = {
  type: "migrate_files",
  name: "Plans",
  source: { kind: "local", path: "/srv/plans" },
  destination: { kind: "azure_blob", account: "acme", container: "plans", prefix: "", tier: "Hot" },
  options: transferOptions.parse({}),
  schedule: null,
};
const TOTALS = { ...ZERO_TOTALS, filesTotal: 3, filesCompleted: 1 };

/** A run that keeps the engine's promises and does nothing: it is paused at once, and cancelled at once. */
class FakeRun implements Run {
  readonly input: RunInput;
  readonly #done = Promise.withResolvers<JobReport>();
  readonly finished = this.#done.promise;
  suspended = false;
  /** What it was told besides to pause, to go on and to end. */
  readonly calls: string[] = [];
  /** Set when the program it belongs to was killed: what a dead program was about to do never comes. */
  killed = false;

  /** `silent`: its journal says that "running" was told. */
  constructor(input: RunInput, silent: boolean) {
    this.input = input;
    Deno.writeTextFileSync(input.journalPath, "journal");
    if (!silent) this.tell("running");
  }
  tell(phase: AgentPhase): void {
    this.input.tell({ kind: "phase", phase, totals: TOTALS });
  }
  pause(): void {
    this.tell("paused");
  }
  resume(): void {
    this.tell("running");
  }
  finish(): void {
    this.calls.push("finish");
  }
  limitLine({ bandwidthMbps }: LineSettings): void {
    this.calls.push(`limit ${bandwidthMbps}`);
  }
  cancel(): void {
    this.end("cancelled");
  }
  async suspend(): Promise<void> {
    this.suspended = true;
    if (this.killed) await new Promise(() => undefined);
  }
  progress(): RunProgress {
    return {
      phase: "running",
      totals: TOTALS,
      bytesInFlight: 0,
      bytesPerSecond: 0,
      secondsRemaining: null,
      currentPath: null,
    };
  }
  end(outcome: JobReport["outcome"], more: Partial<JobReport> = {}): void {
    const at = "2026-11-22T10:00:00.000Z";
    this.#done.resolve({
      outcome,
      error: null,
      totals: TOTALS,
      startedAt: at,
      finishedAt: at,
      activeMs: 0,
      verification: "chain",
      manifest: null,
      ...more,
    });
  }
  break(error: Error): void {
    this.#done.reject(error);
  }
}

/** An agent that can be killed and started again on the same folder. */
class Agent implements Disposable {
  readonly folder = Deno.makeTempDirSync();
  runs: FakeRun[] = [];
  refusal: JobError | null = null;
  connectError: Error | null = null;
  stale: (() => void)[] = [];
  silent = false;
  readonly clock = new VirtualClock();
  /** Whether the hub has welcomed the program when it starts. */
  isConnected = true;
  lease = new Lease(this.clock);
  state = this.#open();
  runner = this.#runner();

  constructor() {
    Deno.mkdirSync(`${this.folder}/jobs`);
  }

  #open(): AgentState {
    return new AgentState(
      denoPlatform(() => undefined).openDatabase(`${this.folder}/agent.db`, { exclusive: true }),
    );
  }

  #runner(): Runner {
    this.lease = new Lease(this.clock);
    if (this.isConnected) this.lease.renew(this.clock.monotonic(), 120_000);
    return new Runner({
      platform: { ...denoPlatform(() => undefined), clock: this.clock },
      lease: this.lease,
      state: this.state,
      startRun: (input) => {
        const run = new FakeRun(input, this.silent);
        this.runs.push(run);
        return run;
      },
      refusal: () => this.refusal,
      connect: ({ onStale }) => {
        if (this.connectError !== null) throw this.connectError;
        this.stale.push(onStale);
        return { source: {} as Source, destination: {} as Destination };
      },
      shared: virtualShared(),
      mayRemove: () => false,
      folders: { journals: `${this.folder}/jobs`, manifests: `${this.folder}/manifests` },
    });
  }

  /** As kill -9 does: nothing is told to anybody. */
  restart(): void {
    this.#kill();
    this.runs = [];
    this.state = this.#open();
    this.runner = this.#runner();
    this.runner.start();
  }

  get run(): FakeRun {
    return this.runs.at(-1) as FakeRun;
  }

  /** What waits in the outbox, in short. */
  told(): string[] {
    return this.runner.events(0, 1_000).map((message) => {
      const who = `${message.jobId.at(-1)}/${message.epoch}`;
      if (message.type === "result")
        return `${who} ${message.report.outcome} ${message.report.error?.code ?? ""}`.trim();
      return `${who} ${message.event.kind === "phase" ? message.event.phase : message.event.kind}`;
    });
  }

  journals(): string[] {
    const names = [...Deno.readDirSync(`${this.folder}/jobs`)].map(({ name }) => name.slice(-6));
    return names.toSorted((one, other) => (one < other ? -1 : 1));
  }

  #kill(): void {
    for (const run of this.runs) run.killed = true;
    this.state.close();
  }

  [Symbol.dispose](): void {
    this.#kill();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

function job(number: number): string {
  return `job_01jd000000000000000000000${number}`;
}

function wanted(more: Partial<Wanted> & { number?: number } = {}): Wanted {
  const { number = 1, ...rest } = more;
  return { type: "desired", jobId: job(number), epoch: 1, rev: 1, state: "run", config: CONFIG, ...rest };
}

Deno.test("[A10] a job is begun when it is wanted, and its report waits in the outbox", async () => {
  using agent = new Agent();
  assert.equal(agent.runner.apply(wanted()).result, "ok");
  assert.equal(agent.run.input.jobId, job(1));
  agent.run.end("completed");
  await settle();
  assert.deepEqual(agent.told(), ["1/1 running", "1/1 completed"]);
});

Deno.test("[A10] after a restart an unfinished job goes on without a connection, a finished one does not", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.runner.apply(wanted({ number: 2 }));
  agent.runs[1]?.end("completed");
  await settle();
  agent.restart();
  assert.deepEqual(
    agent.runs.map(({ input }) => input.jobId),
    [job(1)],
  );
});

Deno.test("[A11] a repeated or overtaken revision changes nothing, and is answered", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted({ epoch: 2, rev: 5 }));
  for (const [epoch, rev] of [
    [2, 5],
    [2, 4],
    [1, 9],
  ] as const) {
    const answer = agent.runner.apply(wanted({ epoch, rev, state: "cancel" }));
    assert.deepEqual(answer, { type: "applied", jobId: job(1), epoch, rev, result: "ok" });
  }
  await settle();
  assert.equal(agent.runs.length, 1);
  assert.deepEqual(agent.told(), ["1/2 running"]);
});

Deno.test("[A11] a finished job is not begun again by a late repeat, or by a late revision", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.run.end("completed");
  await settle();
  agent.runner.acknowledge(2);
  agent.runner.apply(wanted());
  agent.runner.apply(wanted({ rev: 2, state: "cancel" }));
  await settle();
  assert.equal(agent.runs.length, 1);
  assert.deepEqual(agent.told(), []);
});

Deno.test("[A12] four jobs run at once, the others follow in the order in which they came", async () => {
  using agent = new Agent();
  for (const number of [1, 2, 3, 4, 5, 6]) agent.runner.apply(wanted({ number }));
  assert.equal(agent.runs.length, RUNS_MAX);
  agent.runs[2]?.end("completed");
  await settle();
  assert.equal(agent.run.input.jobId, job(5));
  agent.restart();
  assert.deepEqual(
    agent.runs.map(({ input }) => input.jobId),
    [1, 2, 4, 5].map(job),
  );
});

Deno.test("[A13] a job that is paused before it began is told paused and not begun, until it is wanted", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted({ state: "pause" }));
  agent.restart();
  assert.deepEqual([agent.runs.length, agent.told()], [0, ["1/1 paused"]]);
  agent.runner.apply(wanted({ rev: 2 }));
  await settle();
  assert.equal(agent.runs.length, 1);
});

Deno.test("[A13] a waiting job that is paused leaves the queue", async () => {
  using agent = new Agent();
  for (const number of [1, 2, 3, 4, 5]) agent.runner.apply(wanted({ number }));
  agent.runner.apply(wanted({ number: 5, rev: 2, state: "pause" }));
  agent.runs[0]?.end("completed");
  await settle();
  assert.equal(agent.runs.length, 4);
});

Deno.test("[A13] a paused run lets go of everything and gives its place to the next; resumed, it goes on from the journal", async () => {
  using agent = new Agent();
  for (const number of [1, 2, 3, 4, 5]) agent.runner.apply(wanted({ number }));
  agent.runner.apply(wanted({ rev: 2, state: "pause" }));
  await settle();
  assert.equal(agent.runs[0]?.suspended, true);
  assert.equal(agent.run.input.jobId, job(5));
  agent.runs[1]?.end("completed");
  await settle();
  agent.runner.apply(wanted({ rev: 3 }));
  assert.equal(agent.run.input.jobId, job(1));
  assert.equal(agent.run.input.journalPath, agent.runs[0]?.input.journalPath);
});

Deno.test("[A13] a pause that the program did not live to tell is told after the restart", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  // As if it died between writing what is wanted and doing it.
  agent.state.accept(wanted({ rev: 2, state: "pause" }), null);
  agent.restart();
  await settle();
  assert.deepEqual(agent.told(), ["1/1 running", "1/1 paused"]);
  assert.equal(agent.run.suspended, true);
  agent.restart();
  assert.equal(agent.runs.length, 0);
});

Deno.test("[A13] a pause is told to be over even if the journal never knew of it", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.runner.apply(wanted({ rev: 2, state: "pause" }));
  await settle();
  agent.silent = true;
  agent.runner.apply(wanted({ rev: 3 }));
  assert.deepEqual(agent.told(), ["1/1 running", "1/1 paused"]);
  agent.runner.progress();
  assert.deepEqual(agent.told(), ["1/1 running", "1/1 paused", "1/1 running"]);
});

Deno.test("[A14] a job that is cancelled before it began is reported with zero totals", () => {
  using agent = new Agent();
  agent.runner.apply(wanted({ state: "cancel" }));
  assert.equal(agent.runs.length, 0);
  const [message] = agent.runner.events(0, 1);
  assert.deepEqual(message?.type === "result" && [message.report.outcome, message.report.totals], [
    "cancelled",
    ZERO_TOTALS,
  ]);
});

Deno.test("[A14] a cancelled run reports what it did; cancelled while the agent was down, too", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.runner.apply(wanted({ number: 2 }));
  agent.runner.apply(wanted({ rev: 2, state: "cancel" }));
  agent.state.accept(wanted({ number: 2, rev: 2, state: "cancel" }), null);
  await settle();
  agent.restart();
  await settle();
  assert.deepEqual(agent.told(), ["1/1 running", "2/1 running", "1/1 cancelled", "2/1 cancelled"]);
  const results = agent.runner.events(0, 10).filter((message) => message.type === "result");
  assert.deepEqual(
    results.map(({ report }) => report.totals),
    [TOTALS, TOTALS],
  );
});

Deno.test("[A14] after cancel nothing else is wanted within the epoch", async () => {
  using agent = new Agent();
  for (const number of [1, 2, 3, 4, 5]) agent.runner.apply(wanted({ number }));
  agent.state.accept(wanted({ number: 5, rev: 2, state: "cancel" }), null);
  agent.runner.apply(wanted({ number: 5, rev: 3, state: "run" }));
  await settle();
  assert.equal(agent.runs.length, 4);
  assert.equal(agent.told().at(-1), "5/1 cancelled");
});

Deno.test("[A15] a new epoch replaces the run of the older one, which tells nothing more", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  const older = agent.run;
  agent.runner.apply(wanted({ epoch: 2, rev: 2 }));
  await settle();
  assert.equal(older.suspended, true);
  older.tell("paused");
  older.end("completed");
  await settle();
  assert.deepEqual(agent.told(), ["1/1 running", "1/2 running"]);
  assert.deepEqual(agent.journals(), ["1.2.db"]);
});

Deno.test("[A15] a run that has let go does not take its job out of the queue (seed 169)", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.runner.apply(wanted({ rev: 2, state: "pause" }));
  await settle();
  for (const number of [2, 3, 4, 5]) agent.runner.apply(wanted({ number }));
  agent.runner.apply(wanted({ rev: 3 }));
  agent.runs[0]?.end("completed");
  await settle();
  agent.runs[1]?.end("completed");
  await settle();
  assert.deepEqual([agent.runs.length, agent.run.input.jobId], [6, job(1)]);
});

Deno.test("[A15] the journal of a paused epoch goes when a new epoch replaces it", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.runner.apply(wanted({ rev: 2, state: "pause" }));
  await settle();
  agent.runner.apply(wanted({ epoch: 2, rev: 3, state: "pause" }));
  assert.deepEqual(agent.journals(), []);
});

Deno.test("[A16] the journal is dropped when the result is acked, not before", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.run.end("completed");
  await settle();
  agent.runner.acknowledge(1);
  agent.restart();
  assert.deepEqual(agent.journals(), ["1.1.db"]);
  agent.runner.resume(2);
  assert.deepEqual(agent.journals(), []);
});

Deno.test("[A16] journals that nobody needs any more go at the next start", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  Deno.writeTextFileSync(`${agent.folder}/jobs/${job(9)}.3.db`, "left over");
  Deno.writeTextFileSync(`${agent.folder}/jobs/${job(9)}.4.db-wal`, "left over");
  Deno.writeTextFileSync(`${agent.folder}/jobs/notes.txt`, "somebody's");
  agent.restart();
  assert.deepEqual(agent.journals(), ["1.1.db", "es.txt"]);
});

Deno.test("[A17] a config that is not understood is refused and reported as failed", () => {
  using agent = new Agent();
  const odd = wanted({ config: { ...CONFIG, source: { kind: "carrier_pigeon" } } });
  const answer = agent.runner.apply(odd);
  assert.deepEqual([answer.result, answer.code], ["refused", "CONFIG_REFUSED"]);
  assert.deepEqual(agent.told(), ["1/1 failed CONFIG_REFUSED"]);
  agent.restart();
  assert.equal(agent.runner.apply(odd).result, "refused", "also when it is said again");
  assert.deepEqual(agent.told(), ["1/1 failed CONFIG_REFUSED"]);
});

Deno.test("[A17] a refused path fails the job with the refusal's code, also when it is refused only later", () => {
  using agent = new Agent();
  agent.refusal = { code: "SOURCE_REFUSED", message: "Cannot use the source" };
  assert.equal(agent.runner.apply(wanted()).code, "SOURCE_REFUSED");
  agent.refusal = null;
  agent.runner.apply(wanted({ number: 2 }));
  agent.refusal = { code: "SOURCE_REFUSED", message: "Cannot use the source" };
  agent.restart();
  assert.deepEqual(agent.told(), ["1/1 failed SOURCE_REFUSED", "2/1 running", "2/1 failed SOURCE_REFUSED"]);
});

Deno.test("[A17] a config does not change within an epoch", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  const other = { ...CONFIG, source: { kind: "local", path: "/etc" } };
  assert.equal(agent.runner.apply(wanted({ rev: 2, config: other })).result, "refused");
  assert.deepEqual(agent.state.find(job(1))?.config, CONFIG);
  await settle();
  assert.equal(agent.runs.length, 1);
});

Deno.test("[A17] within an epoch the limits of the line change, reach the run, and are there after a restart", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  const limited = { ...CONFIG, options: { ...CONFIG.options, bandwidthMbps: 20 } };
  assert.equal(agent.runner.apply(wanted({ rev: 2, config: limited })).result, "ok");
  await settle();
  assert.deepEqual(agent.runs[0]?.calls, ["limit 20"]);
  agent.restart();
  assert.equal(agent.runs[0]?.input.config.options.bandwidthMbps, 20);
  const other = { ...limited, source: { kind: "local", path: "/etc" } };
  assert.equal(agent.runner.apply(wanted({ rev: 3, config: other })).result, "refused");
});

Deno.test("[A60] a job that is to finish is told so, also when it begins anew, and is not held up by that", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.runner.apply(wanted({ rev: 2, state: "finish" }));
  await settle();
  assert.deepEqual(
    agent.runs[0]?.calls.filter((call) => call === "finish"),
    ["finish"],
  );
  assert.equal(agent.runner.progress().length, 1);
  agent.restart();
  await settle();
  assert.deepEqual(agent.runs[0]?.calls, ["finish"]);
});

Deno.test("[A18] an unexpected error in one run fails that job and leaves the others alone", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.runner.apply(wanted({ number: 2 }));
  agent.runs[0]?.break(new Error("it broke at https://x.example/?sig=SECRET"));
  await settle();
  assert.deepEqual(agent.told().at(-1), "1/1 failed AGENT_ERROR");
  assert.ok(!JSON.stringify(agent.runner.events(0, 10)).includes("SECRET"));
  assert.equal(agent.runs[1]?.suspended, false);
});

Deno.test("[A18] an end that cannot be opened fails the job with its code", () => {
  using agent = new Agent();
  agent.connectError = new TransferError({ scope: "job", code: "SOURCE_NOT_FOUND" }, "gone", {
    retry: { kind: "never" },
  });
  agent.runner.apply(wanted());
  agent.connectError = new Error("odd");
  agent.runner.apply(wanted({ number: 2 }));
  assert.deepEqual(agent.told(), ["1/1 failed SOURCE_NOT_FOUND", "2/1 failed AGENT_ERROR"]);
});

Deno.test("[A19] a run whose epoch the control plane does not know is put down quietly, until it is wanted again", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.stale[0]?.();
  await settle();
  assert.equal(agent.run.suspended, true);
  assert.deepEqual(agent.told(), ["1/1 running"]);
  assert.equal(agent.runs.length, 1);
  agent.runner.apply(wanted());
  assert.equal(agent.runs.length, 2);
});

Deno.test("[A73] without a lease no epoch is begun; those that were begun go on", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  await agent.clock.advance(120_000);
  assert.equal(agent.run.suspended, false);
  agent.runner.apply(wanted({ number: 2 }));
  agent.runner.apply(wanted({ number: 3 }));
  agent.isConnected = false;
  agent.restart();
  assert.deepEqual(
    agent.runs.map(({ input }) => input.jobId),
    [job(1)],
  );
  agent.run.end("completed");
  await settle();
  assert.equal(agent.runs.length, 1);
  agent.lease.renew(agent.clock.monotonic(), 120_000);
  assert.deepEqual(
    agent.runs.map(({ input }) => input.jobId),
    [1, 2, 3].map(job),
  );
});

Deno.test("[A74] fenced, every run lets go at once and nothing is begun; with the next lease all goes on", async () => {
  using agent = new Agent();
  for (const number of [1, 2, 3, 4, 5]) agent.runner.apply(wanted({ number }));
  agent.lease.fence();
  assert.deepEqual(
    agent.runs.map(({ suspended }) => suspended),
    [true, true, true, true],
  );
  assert.deepEqual(agent.runner.progress(), []);
  await settle();
  agent.runs[0]?.end("completed");
  await settle();
  assert.equal(agent.runs.length, 4);
  assert.equal(
    agent.told().some((told) => told.includes("completed")),
    false,
  );
  await agent.clock.advance(60_000);
  agent.lease.renew(agent.clock.monotonic(), 120_000);
  assert.deepEqual(
    agent.runs.slice(4).map(({ input }) => input.jobId),
    [1, 2, 3, 4].map(job),
  );
});

Deno.test("[A74] fenced and granted again before a run has let go, it is begun once, after that", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.lease.fence();
  agent.lease.renew(agent.clock.monotonic(), 120_000);
  assert.equal(agent.runs.length, 1);
  await settle();
  assert.equal(agent.runs.length, 2);
});

Deno.test("[A20] told to stop, every run is suspended and none is begun", async () => {
  using agent = new Agent();
  for (const number of [1, 2, 3, 4, 5]) agent.runner.apply(wanted({ number }));
  await agent.runner.suspend();
  assert.ok(agent.runs.every(({ suspended }) => suspended));
  assert.equal(agent.runs.length, 4);
  assert.deepEqual(agent.runner.progress(), []);
});

Deno.test("[A20] progress is that of the jobs being worked on", async () => {
  using agent = new Agent();
  agent.runner.apply(wanted());
  agent.runner.apply(wanted({ number: 2 }));
  agent.runner.apply(wanted({ rev: 2, state: "pause" }));
  assert.deepEqual(
    agent.runner.progress().map(({ jobId, progress }) => [jobId, progress.totals]),
    [[job(2), TOTALS]],
  );
  await settle();
});

Deno.test("[R11] a run that has moved files into the quarantine is remembered with its result, and longer than it", async () => {
  using agent = new Agent();
  const deletion = { retentionDays: 7, filesMax: null, dryRun: false };
  const config = { ...CONFIG, options: { ...CONFIG.options, deletion } };
  const removal = { files: 1, bytes: 5, dryRun: false, filesPurged: 0, stays: {} };
  const totals = { ...TOTALS, filesDeleted: 1 };
  agent.runner.apply(wanted({ config }));
  agent.run.end("completed", { totals, removal });
  agent.runner.apply(wanted({ number: 2, config }));
  agent.run.end("completed", { removal: { ...removal, files: 0 } });
  agent.runner.apply(wanted({ number: 3 }));
  agent.run.end("cancelled");
  agent.runner.apply(wanted({ number: 4, config }));
  agent.run.end("cancelled", { totals });
  agent.runner.apply(wanted({ number: 5, config, state: "pause" }));
  agent.runner.apply(wanted({ number: 5, config, rev: 2, state: "cancel" }));
  await settle();
  agent.runner.acknowledge(1_000);
  agent.restart();
  const endedMs = Date.parse("2026-11-22T10:00:00.000Z");
  const dayMs = 86_400_000;
  const due = agent.state.dueQuarantines(endedMs + 7 * dayMs, 10);
  assert.deepEqual(
    due.map(({ jobId }) => jobId),
    [job(1), job(4)],
  );
  assert.deepEqual(agent.state.findQuarantine(job(1)), {
    jobId: job(1),
    epoch: 1,
    config,
    filesPurged: 0,
    dueMs: endedMs + 7 * dayMs,
    untilMs: endedMs + 67 * dayMs,
  });
});

Deno.test("[R11] a later epoch that was cancelled before it began answers for what an earlier one has left", async () => {
  using agent = new Agent();
  const deletion = { retentionDays: 7, filesMax: null, dryRun: false };
  const config = { ...CONFIG, options: { ...CONFIG.options, deletion } };
  agent.runner.apply(wanted({ config }));
  agent.run.end("failed", { totals: { ...TOTALS, filesDeleted: 1 } });
  await settle();
  agent.runner.apply(wanted({ config, epoch: 2, rev: 2, state: "cancel" }));
  assert.equal(agent.state.findQuarantine(job(1))?.epoch, 2);
});
