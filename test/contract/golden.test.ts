/**
 * The agent's part of every golden transcript, said to today's Worker, object and D1: whatever an agent of that version said
 * is taken, and answered with what it was answered then. `npm run golden` records instead, from the agent's production
 * session, those transcripts of the present version that are not there yet.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { ZERO_TOTALS, type JobReport, type JobTotals } from "../../schema/job.ts";
import {
  PROTOCOL_VERSION,
  PROTOCOL_VERSIONS,
  readHubFrame,
  SUBPROTOCOL,
  type HubMessage,
} from "../../schema/protocol.ts";
import {
  GOLDEN,
  goldenNames,
  presentHashes,
  readGolden,
  recordedHashes,
  type Deed,
  type Step,
} from "../golden/transcript.ts";
import { RecordedAgent } from "./golden-agent.ts";
import {
  asMachine,
  controlPlane,
  Line,
  makeJob,
  makeOrganization,
  registerAgent,
  upgrade,
  type ControlPlane,
  type Organization,
} from "./harness.ts";
import { Machine } from "./machine.ts";

let plane: ControlPlane;
let org: Organization;
beforeAll(async () => {
  plane = await controlPlane();
  org = await makeOrganization();
});

/** What people and other machines do to an agent and its two jobs. */
class Scene {
  readonly agentId: string;
  /** The hub may give another. */
  key: string;
  readonly jobIds: string[] = [];
  viewer: Line | null = null;
  second: Line | null = null;

  private constructor(agent: { agentId: string; key: string }) {
    [this.agentId, this.key] = [agent.agentId, agent.key];
  }

  static async begin(): Promise<Scene> {
    return new Scene(await registerAgent(org.people.owner, "golden"));
  }

  async does(what: Deed): Promise<void> {
    const { owner } = org.people;
    const [first = "", second = ""] = this.jobIds;
    switch (what) {
      case "create first":
      case "create second":
        this.jobIds.push((await makeJob(owner, { projectId: org.projectId, agentId: this.agentId })).id);
        return;
      case "pause first":
        return void (await owner.post(`/api/jobs/${first}/pause`));
      case "resume first":
        return void (await owner.post(`/api/jobs/${first}/resume`));
      case "cancel second":
        return void (await owner.post(`/api/jobs/${second}/cancel`));
      case "watch first": {
        const headers = { cookie: owner.cookieHeader, origin: plane.origin };
        this.viewer = await Line.open(`/api/live?job=${first}`, { headers });
        return;
      }
      case "age the key":
        await plane.objectRows(this.agentId, "update identity set key_made_ms = key_made_ms - 30 * 86400000");
        return await plane.hibernate(this.agentId);
      case "connect twice before": {
        const machine = new Machine(this.key, "another");
        for (let times = 0; times < 2; times++) {
          await machine.connect();
          const closed = machine.line?.closed;
          machine.line?.close(1000);
          await closed;
        }
        return;
      }
      case "connect a second session": {
        const headers = { authorization: `Bearer ${this.key}` };
        this.second = await Line.open("/api/agent/session", { headers, protocols: [SUBPROTOCOL] });
        return;
      }
      case "revoke":
        return void (await owner.post(`/api/agents/${this.agentId}/revoke`));
      case "lose the key":
        this.key = "mig_agt1_unknown";
        return;
      case "say no JSON":
        return;
    }
  }

  leave(): void {
    this.viewer?.close(1000);
    this.second?.close(1000);
  }
}

// --- saying it again ---

/** As much of a message as an agent relies on. */
function essence(message: HubMessage): object {
  switch (message.type) {
    case "welcome": {
      const { protocol, sessionEpoch, eventSeqHeld, generation, desired } = message;
      const wishes = desired.map(essence);
      return { type: "welcome", protocol, sessionEpoch, eventSeqHeld, generation, wishes };
    }
    case "desired": {
      const { jobId, epoch, rev, state } = message;
      return { type: "desired", jobId, epoch, rev, state };
    }
    case "ack":
      return { type: "ack", eventSeq: message.eventSeq };
    case "error":
      return { type: "error", code: message.code };
    case "report_rate":
      return message;
    case "rotate_key":
      return { type: message.type };
  }
}

class Replay {
  readonly #scene: Scene;
  #names: Extract<Step, { kind: "names" }> = { kind: "names", agentId: "", jobIds: [] };
  #line: Line | null = null;
  /** Of polled lines: the highest frame that has come. */
  #polled = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case "names":
        this.#names = step;
        return;
      case "does":
        return await this.#scene.does(step.what);
      case "open": {
        const headers = { authorization: `Bearer ${this.#scene.key}` };
        this.#line = await Line.open("/api/agent/session", { headers, protocols: [SUBPROTOCOL] });
        return;
      }
      case "refused": {
        const headers = {
          authorization: `Bearer ${this.#scene.key}`,
          "sec-websocket-protocol": SUBPROTOCOL,
        };
        expect((await upgrade("/api/agent/session", headers)).status).toBe(step.status);
        return;
      }
      case "agent":
        this.#line?.send(this.#renamed(step.text));
        return;
      case "hub":
        for (const message of messagesOf(this.#renamed(step.text))) await this.#hear(message);
        return;
      case "sync": {
        const request: unknown = JSON.parse(this.#renamed(JSON.stringify(step.request)));
        const answered = await asMachine("POST", "/api/agent/sync", request, this.#scene.key);
        expect(answered.status).toBe(200);
        const answer = answered.body as Extract<Step, { kind: "sync" }>["answer"];
        const fresh = (of: typeof answer) =>
          of.frames
            .filter(({ n }) => n > this.#polled)
            .flatMap((frame) => messagesOf(this.#renamed(JSON.stringify(frame))).map(essence));
        expect(fresh(answer)).toEqual(expect.arrayContaining(fresh(step.answer)));
        expect(answer.closed).toEqual(step.answer.closed);
        this.#polled = Math.max(this.#polled, ...step.answer.frames.map(({ n }) => n));
        return;
      }
      case "http": {
        const request: unknown = JSON.parse(this.#renamed(JSON.stringify(step.request)));
        const answered = await asMachine("POST", step.path, request, this.#scene.key);
        expect(answered.status).toBe(step.status);
        expect(Object.keys(answered.body as object)).toEqual(
          expect.arrayContaining(Object.keys(step.answer as object)),
        );
        return;
      }
      case "cut":
        this.#line?.close();
        return;
      case "closed":
        if (step.by === "agent") this.#line?.close(step.code);
        else expect(await this.#line?.closed).toBe(step.code);
        return;
    }
  }

  #renamed(text: string): string {
    const { agentId, jobIds } = this.#names;
    return jobIds.reduce(
      (renamed, jobId, index) => renamed.replaceAll(jobId, this.#scene.jobIds[index] ?? jobId),
      text.replaceAll(agentId, this.#scene.agentId),
    );
  }

  /** Others may come before it: a hub may say more than it did then, and must say what it said. */
  async #hear(expected: HubMessage): Promise<void> {
    const wanted = JSON.stringify(essence(expected));
    const heard = await this.#line?.next((text) =>
      messagesOf(text).find((message) => JSON.stringify(essence(message)) === wanted),
    );
    if (heard?.type === "rotate_key") this.#scene.key = heard.key;
  }
}

function messagesOf(text: string): HubMessage[] {
  return text.startsWith("{") ? readHubFrame(text).messages : [];
}

// --- recording ---

const totals: JobTotals = {
  ...ZERO_TOTALS,
  filesTotal: 3,
  bytesTotal: 300,
  filesCompleted: 2,
  filesFailed: 1,
  bytesCompleted: 200,
  bytesSent: 240,
};
const REPORT: JobReport = {
  outcome: "completed",
  error: null,
  totals,
  startedAt: "2026-11-23T21:00:00.000Z",
  finishedAt: "2026-11-23T21:05:00.000Z",
  activeMs: 300_000,
  verification: "chain",
  manifest: { sha256: "5a".repeat(32), rows: 3 },
};

async function until(holds: () => boolean): Promise<void> {
  const untilMs = Date.now() + 15_000;
  while (!holds() && Date.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 20));
  if (!holds()) throw new Error("What the recording waits for did not come");
}

interface Recording {
  readonly scene: Scene;
  readonly agent: RecordedAgent;
  does(what: Deed): Promise<void>;
  heard(type: string, count?: number): Promise<void>;
}

type Options = Omit<ConstructorParameters<typeof RecordedAgent>[1], "agentId" | "key"> & {
  readonly before?: readonly Deed[];
};

async function recording(options: Options, play: (of: Recording) => Promise<void>): Promise<Step[]> {
  const { before = [], ...rest } = options;
  const scene = await Scene.begin();
  for (const deed of before) await scene.does(deed);
  const agent = new RecordedAgent(plane.origin, { agentId: scene.agentId, key: scene.key, ...rest });
  const heardTypes = () =>
    agent.steps.flatMap((step) => {
      if (step.kind === "hub") return messagesOf(step.text).map(({ type }) => type as string);
      if (step.kind !== "sync") return [];
      return step.answer.frames.flatMap(({ m }) => (m as { type: string }[]).map(({ type }) => type));
    });
  await play({
    scene,
    agent,
    async does(what) {
      agent.note({ kind: "does", what });
      await scene.does(what);
    },
    heard: (type, count = 1) => until(() => heardTypes().filter((each) => each === type).length >= count),
  });
  agent.stop.abort();
  await agent.end;
  scene.leave();
  const deeds = before.map((what) => ({ kind: "does", what }) as const);
  return [{ kind: "names", agentId: scene.agentId, jobIds: scene.jobIds }, ...deeds, ...agent.steps];
}

async function playWholeJob({ scene, agent, does, heard }: Recording): Promise<void> {
  const { work } = agent;
  const jobId = scene.jobIds[0] ?? "";
  const job = { jobId, epoch: 1 };
  const phase = (name: "scanning" | "ready" | "running" | "paused") =>
    ({ type: "event", ...job, event: { kind: "phase", phase: name, totals } }) as const;
  await heard("welcome");
  await until(() => work.taken.length === 1);
  work.tell(phase("scanning"));
  await until(() => work.isAllAcked);
  const asked = { jobId, epoch: 1 };
  const { status, body } = await asMachine("POST", "/api/agent/grants", asked, agent.key);
  const { sas, ...grant } = body as { sas: string };
  const unsigned = { ...grant, sas: sas.replace(/sig=[^&]*/, "sig=x") };
  agent.note({ kind: "http", path: "/api/agent/grants", request: asked, status, answer: unsigned });
  work.tell(phase("ready"), phase("running"));
  work.running = [job];
  await until(() => work.isAllAcked);
  const failures = [
    { path: "Pläne/gesperrt.dwg", code: "source_denied", message: "permission denied" } as const,
  ];
  work.tell({ type: "event", ...job, event: { kind: "files_failed", first: 0, failures } });
  await until(() => work.isAllAcked);
  await does("pause first");
  await until(() => work.taken.at(-1)?.state === "pause");
  work.running = [];
  work.tell(phase("paused"));
  await until(() => work.isAllAcked);
  await does("resume first");
  await until(() => work.taken.at(-1)?.rev === 3);
  work.tell(phase("running"));
  await until(() => work.isAllAcked);
}

async function playEnd({ scene, agent, does }: Recording): Promise<void> {
  const { work } = agent;
  work.tell({ type: "result", jobId: scene.jobIds[0] ?? "", epoch: 1, report: REPORT });
  await until(() => work.isAllAcked);
  await does("create second");
  await until(() => work.taken.at(-1)?.jobId === scene.jobIds[1]);
  await does("cancel second");
  await until(() => work.taken.at(-1)?.state === "cancel");
  const report: JobReport = {
    ...REPORT,
    outcome: "cancelled",
    totals: ZERO_TOTALS,
    verification: "sent",
    manifest: null,
  };
  work.tell({ type: "result", jobId: scene.jobIds[1] ?? "", epoch: 1, report });
  await until(() => work.isAllAcked);
}

const RECORDINGS: Readonly<Record<string, () => Promise<Step[]>>> = {
  "session.jsonl": () =>
    recording({ before: ["create first", "age the key"] }, async (of) => {
      await of.heard("rotate_key");
      await playWholeJob(of);
      of.agent.work.running = [{ jobId: of.scene.jobIds[0] ?? "", epoch: 1 }];
      await of.does("watch first");
      await of.heard("report_rate");
      const acks = of.agent.steps.length;
      await until(() => of.agent.steps.slice(acks).filter(({ kind }) => kind === "hub").length >= 2);
      of.agent.work.running = [];
      of.agent.cut();
      of.agent.work.tell({
        type: "event",
        jobId: of.scene.jobIds[0] ?? "",
        epoch: 1,
        event: { kind: "phase", phase: "running", totals },
      });
      await of.heard("welcome", 2);
      await until(() => of.agent.work.isAllAcked);
      await playEnd(of);
    }),
  "poll.jsonl": () =>
    recording({ before: ["create first"], way: "long_poll" }, async (of) => {
      await playWholeJob(of);
      await playEnd(of);
    }),
  "close-4001.jsonl": () =>
    recording({}, async ({ agent, does, heard }) => {
      await heard("welcome");
      await does("connect a second session");
      await until(() => agent.steps.at(-1)?.kind === "closed");
    }),
  "close-4008.jsonl": () =>
    recording({}, async ({ agent, does, heard }) => {
      await heard("welcome");
      await does("say no JSON");
      agent.garble("{");
      await until(() => agent.steps.at(-1)?.kind === "closed");
      agent.stop.abort();
    }),
  "close-4401.jsonl": () =>
    recording({ before: ["lose the key"] }, async ({ agent }) => {
      await until(() => agent.steps.at(-1)?.kind === "refused");
    }),
  "close-4403.jsonl": () =>
    recording({}, async ({ agent, does, heard }) => {
      await heard("welcome");
      await does("revoke");
      await until(() => agent.steps.at(-1)?.kind === "closed");
    }),
  "close-4423.jsonl": () =>
    recording({ before: ["connect twice before"] }, async ({ agent }) => {
      await until(() => agent.steps.at(-1)?.kind === "closed");
    }),
  "close-4426.jsonl": () =>
    recording({ versions: { min: 901, max: 902 } }, async ({ agent }) => {
      await until(() => agent.steps.at(-1)?.kind === "closed");
    }),
};

if (process.env["GOLDEN_RECORD"] === "1") {
  for (const [file, record] of Object.entries(RECORDINGS)) {
    const name = `${PROTOCOL_VERSION}/${file}`;
    if (name in recordedHashes()) continue;
    test(`[L20] record ${name}`, async () => {
      const steps = await record();
      mkdirSync(join(GOLDEN, String(PROTOCOL_VERSION)), { recursive: true });
      writeFileSync(join(GOLDEN, name), `${steps.map((step) => JSON.stringify(step)).join("\n")}\n`);
      const { [name]: hash = "" } = presentHashes();
      writeFileSync(
        join(GOLDEN, "hashes.json"),
        `${JSON.stringify({ ...recordedHashes(), [name]: hash }, null, 2)}\n`,
      );
    });
  }
} else {
  const served = goldenNames().filter((name) => Number.parseInt(name, 10) >= PROTOCOL_VERSIONS.min);
  for (const { name, steps } of served.map(readGolden)) {
    test(`[L20] today's control plane takes what the agent said in ${name}, and answers it`, async () => {
      const scene = await Scene.begin();
      const replay = new Replay(scene);
      for (const step of steps) await replay.take(step);
      scene.leave();
    });
  }
}
