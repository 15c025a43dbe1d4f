/**
 * What can be changed of a job besides its state: its start and its agent while it has not begun, and another job made like
 * it. One of them is open at a time, as a form.
 */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import type { Agent, Job, JobDuplicate } from "../../schema/api.ts";
import type { Api, FieldErrors } from "../api.ts";
import type { Clock } from "../clock.ts";
import { isBlobPrefix } from "../contract.ts";
import { createForm, type Form } from "./form.ts";
import { sortForPicking } from "./job-form.ts";
import { trimSlashes } from "./project-form.ts";
import { loadAll } from "./remote.ts";
import { jobChanges as texts } from "../texts/job.ts";

/** As date and time fields write them, in the reader's own time zone; both empty = at once. */
export interface StartValues {
  readonly date: string;
  readonly time: string;
}
export interface MoveValues {
  readonly agentId: string;
}
export interface DuplicateValues {
  readonly name: string;
  readonly agentId: string;
  readonly prefix: string;
  /** The source's path, written a second time, of a job that removes source files. */
  readonly confirmDeletionOf: string;
}

export type OpenChange =
  | { readonly kind: "start"; readonly form: Form<StartValues> }
  | { readonly kind: "move"; readonly form: Form<MoveValues> }
  | { readonly kind: "duplicate"; readonly form: Form<DuplicateValues> };

export interface JobChanges {
  readonly open: ReadonlySignal<OpenChange | null>;
  /** To choose from; empty until they are known. */
  readonly agents: ReadonlySignal<readonly Agent[]>;
  /** Why there are no agents to choose from; null while there are, or they are on their way. */
  readonly agentsFailed: ReadonlySignal<boolean>;
  begin(kind: OpenChange["kind"], job: Job): void;
  close(): void;
}

export interface JobChangesPlan {
  readonly api: Api;
  readonly clock: Clock;
  readonly closing: AbortSignal;
  uuid(): string;
  changed(job: Job, told: string): void;
  duplicated(job: Job): void;
}

export function createJobChanges(plan: JobChangesPlan): JobChanges {
  const { api, clock } = plan;
  const open = signal<OpenChange | null>(null);
  const agents = signal<readonly Agent[]>([]);
  const agentsFailed = signal(false);

  async function loadAgents(): Promise<void> {
    agentsFailed.value = false;
    try {
      agents.value = sortForPicking(
        await loadAll((query, abort) => api.agents.list(query, abort), plan.closing),
      );
    } catch {
      agentsFailed.value = true;
    }
  }

  function startForm(job: Job): Form<StartValues> {
    return createForm<StartValues, Job>({
      initial: valuesOf(job.startAt ?? null),
      idempotencyKey: plan.uuid(),
      check: (values) => checkStart(values, clock.now()),
      save: (values) => api.jobs.update(job.id, { startAt: startOf(values) }),
      saved(changed) {
        open.value = null;
        plan.changed(changed, changed.startAt ? texts.theStartWasChanged : texts.jobStartsOnce);
      },
    });
  }

  function moveForm(job: Job): Form<MoveValues> {
    return createForm<MoveValues, Job>({
      initial: { agentId: "" },
      idempotencyKey: plan.uuid(),
      check: ({ agentId }): FieldErrors => (agentId === "" ? { agentId: texts.chooseAnAgent } : {}),
      save: ({ agentId }) => api.jobs.update(job.id, { agentId }),
      saved(changed) {
        open.value = null;
        plan.changed(changed, texts.movedTo(changed.agentName));
      },
    });
  }

  function duplicateForm(job: Job): Form<DuplicateValues> {
    const { prefix } = job.config.destination;
    return createForm<DuplicateValues, Job>({
      initial: { name: copyName(job.name), agentId: job.agentId, prefix, confirmDeletionOf: "" },
      idempotencyKey: plan.uuid(),
      check: (values) => checkDuplicate(values, job),
      save: (values, key) => api.jobs.duplicate(job.id, duplicateOf(values, job), key),
      saved(made) {
        open.value = null;
        plan.duplicated(made);
      },
    });
  }

  return {
    open,
    agents: computed(() => agents.value),
    agentsFailed,
    begin(kind, job) {
      switch (kind) {
        case "start":
          open.value = { kind, form: startForm(job) };
          return;
        case "move":
          open.value = { kind, form: moveForm(job) };
          return void loadAgents();
        case "duplicate":
          open.value = { kind, form: duplicateForm(job) };
          return void loadAgents();
      }
    },
    close() {
      open.value = null;
    },
  };
}

function valuesOf(startAt: string | null): StartValues {
  if (startAt === null) return { date: "", time: "" };
  const at = new Date(startAt);
  const two = (value: number) => String(value).padStart(2, "0");
  return {
    date: `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
    time: `${two(at.getHours())}:${two(at.getMinutes())}`,
  };
}

function startOf({ date, time }: StartValues): string | null {
  return date === "" ? null : new Date(`${date}T${time}`).toISOString();
}

function checkStart({ date, time }: StartValues, nowMs: number): FieldErrors {
  if (date === "" && time === "") return {};
  if (date === "") return { date: texts.dayAsWellNeither };
  if (time === "") return { time: texts.timeAsWellNeither };
  const atMs = new Date(`${date}T${time}`).getTime();
  if (Number.isNaN(atMs)) return { date: texts.dayTime };
  return atMs > nowMs ? {} : { date: texts.overLeaveBothEmpty };
}

const NAME_LENGTH_MAX = 200;
const COPY = " (copy)";

function copyName(name: string): string {
  return `${name.slice(0, NAME_LENGTH_MAX - COPY.length)}${COPY}`;
}

function checkDuplicate(values: DuplicateValues, { config }: Job): FieldErrors {
  const errors: Record<string, string> = {};
  if (values.name.trim() === "") errors["name"] = texts.giveAName;
  if (values.agentId === "") errors["agentId"] = texts.chooseAnAgent;
  if (!isBlobPrefix(trimSlashes(values.prefix)))
    errors["destination.prefix"] = texts.foldersSeparatedSingleSlashes;
  if (config.options.deletion !== null && values.confirmDeletionOf !== config.source.path)
    errors["confirmDeletionOf"] = texts.writeSourcesPathExactly;
  return errors;
}

function duplicateOf(values: DuplicateValues, { config }: Job): JobDuplicate {
  const prefix = trimSlashes(values.prefix);
  return {
    name: values.name.trim(),
    agentId: values.agentId,
    ...(prefix === config.destination.prefix ? {} : { destination: { prefix } }),
    ...(config.options.deletion === null ? {} : { confirmDeletionOf: values.confirmDeletionOf }),
  };
}
