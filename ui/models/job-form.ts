/** The form that makes a job: what is moved, by which agent, where to, and how. */
import { computed, type ReadonlySignal } from "@preact/signals";
import type { Agent, Job, JobCreate, Project } from "../../schema/api.ts";
import type { AccessTier, ArchivedRule, Deletion, ExistingRule } from "../../schema/job.ts";
import type { Api, FieldErrors } from "../api.ts";
import {
  CHUNK_MIB,
  CONCURRENCY,
  isBlobPrefix,
  isFullPath,
  PATTERN_LENGTH_MAX,
  PATTERNS_MAX,
  READBACK_PERCENT,
  REPETITION_MINUTES,
  RETENTION_DAYS,
  RUNNABLE_JOB_TYPES_OF,
  type RunnableJobType,
  type VanishedRule,
} from "../contract.ts";
import { createForm, type Form } from "./form.ts";
import { checkMegabits, megabitsOf } from "./megabits.ts";
import { trimSlashes } from "./project-form.ts";
import { createRemote, loadAll, type Remote } from "./remote.ts";
import { jobForm as texts } from "../texts/job-form.ts";

export interface JobValues {
  readonly projectId: string;
  /** Null = the first type the project admits. */
  readonly type: RunnableJobType | null;
  readonly name: string;
  readonly agentId: string;
  readonly path: string;
  /** Null = as in the project. */
  readonly prefix: string | null;
  readonly tier: AccessTier | null;
  readonly concurrency: string;
  readonly chunkSizeMiB: string;
  /** Mbps; empty = none of its own. */
  readonly bandwidthMbps: string;
  readonly verify: boolean;
  readonly readbackPercent: string;
  readonly existing: ExistingRule;
  readonly archived: ArchivedRule;
  /** Of a job that repeats itself. */
  readonly everyMinutes: string;
  readonly vanished: VanishedRule;
  /** Source files are removed once they have arrived. */
  readonly deletes: boolean;
  readonly retentionDays: string;
  /** Empty = all. */
  readonly deletionFilesMax: string;
  readonly deletionDryRun: boolean;
  /** The source's path, written a second time. */
  readonly confirmDeletionOf: string;
  readonly include: string;
  readonly exclude: string;
  /** Days as the date field writes them, `2026-05-31`, in the reader's own time zone. */
  readonly modifiedAfter: string;
  readonly modifiedBefore: string;
  /** Sizes in decimal MB. */
  readonly sizeMin: string;
  readonly sizeMax: string;
}

export interface JobFormModel {
  readonly form: Form<JobValues>;
  readonly choices: ReadonlySignal<Remote<unknown>>;
  readonly projects: ReadonlySignal<readonly Project[]>;
  /** Online ones first; revoked ones are left out. */
  readonly agents: ReadonlySignal<readonly Agent[]>;
  readonly project: ReadonlySignal<Project | null>;
  readonly agent: ReadonlySignal<Agent | null>;
  readonly types: ReadonlySignal<readonly RunnableJobType[]>;
  readonly type: ReadonlySignal<RunnableJobType>;
  /** Switches that count only together with others. */
  readonly effective: ReadonlySignal<EffectiveSwitches>;
  readonly destination: ReadonlySignal<Destination | null>;
  open(): void;
  close(): void;
}

export interface Destination {
  readonly account: string;
  readonly container: string;
  readonly prefix: string;
  readonly tier: AccessTier;
}

export interface JobFormPlan {
  readonly projectId: string | null;
  saved(job: Job): void;
}

const NEW_JOB: JobValues = {
  projectId: "",
  type: null,
  name: "",
  agentId: "",
  path: "",
  prefix: null,
  tier: null,
  concurrency: String(CONCURRENCY.default),
  chunkSizeMiB: String(CHUNK_MIB.default),
  bandwidthMbps: "",
  verify: true,
  readbackPercent: String(READBACK_PERCENT.default),
  existing: "skip_identical",
  archived: "skip",
  everyMinutes: String(REPETITION_MINUTES.default),
  vanished: "keep",
  deletes: false,
  retentionDays: String(RETENTION_DAYS.default),
  deletionFilesMax: "",
  deletionDryRun: false,
  confirmDeletionOf: "",
  include: "",
  exclude: "",
  modifiedAfter: "",
  modifiedBefore: "",
  sizeMin: "",
  sizeMax: "",
};

export function createJobForm(world: { api: Api; uuid(): string }, plan: JobFormPlan): JobFormModel {
  const { api } = world;
  const choices = createRemote(async (abort) => {
    const [projects, agents] = await Promise.all([
      loadAll((query, inner) => api.projects.list(query, inner), abort),
      loadAll((query, inner) => api.agents.list(query, inner), abort),
    ]);
    return { projects: projects.filter(admitsJobs), agents: sortForPicking(agents) };
  });
  const form = createForm<JobValues, Job>({
    initial: { ...NEW_JOB, projectId: plan.projectId ?? "" },
    idempotencyKey: world.uuid(),
    check: (values): FieldErrors => checkJob(values, type.value),
    save: (values, key): Promise<Job> => api.jobs.create(jobOf(values, type.value), key),
    saved: plan.saved,
  });
  const projects = computed(() => choices.value.value?.projects ?? []);
  const agents = computed(() => choices.value.value?.agents ?? []);
  const project = computed<Project | null>(
    () => projects.value.find((item) => item.id === form.values.value.projectId) ?? null,
  );
  const types = computed<readonly RunnableJobType[]>(() =>
    project.value === null ? [] : RUNNABLE_JOB_TYPES_OF[project.value.type],
  );
  const type = computed<RunnableJobType>(() => form.values.value.type ?? types.value[0] ?? "migrate_files");

  return {
    form,
    choices: choices.remote,
    projects,
    agents,
    project,
    agent: computed(() => agents.value.find((item) => item.id === form.values.value.agentId) ?? null),
    types,
    type,
    effective: computed(() => effectiveSwitches(form.values.value, type.value)),
    destination: computed(() => destinationOf(project.value, form.values.value)),
    open() {
      void choices.reload().then(() => {
        const [onlyProject, ...moreProjects] = projects.value;
        if (form.values.value.projectId === "" && onlyProject && moreProjects.length === 0) {
          form.fill("projectId", onlyProject.id);
        }
        const [onlyAgent, ...moreAgents] = agents.value;
        if (form.values.value.agentId === "" && onlyAgent && moreAgents.length === 0)
          form.fill("agentId", onlyAgent.id);
      });
    },
    close: choices.close,
  };
}

function admitsJobs(project: Project): boolean {
  return RUNNABLE_JOB_TYPES_OF[project.type].length > 0;
}

export function sortForPicking(agents: readonly Agent[]): readonly Agent[] {
  const rank = (agent: Agent) => (agent.status === "online" ? 0 : 1);
  return agents
    .filter((agent) => agent.status !== "revoked")
    .sort((one, other) => rank(one) - rank(other) || one.name.localeCompare(other.name));
}

function destinationOf(project: Project | null, values: JobValues): Destination | null {
  const storage = project?.storage ?? null;
  if (storage === null) return null;
  const { account, container } = storage;
  const prefix = values.prefix === null ? storage.prefix : trimSlashes(values.prefix);
  return { account, container, prefix, tier: values.tier ?? storage.tier };
}

export interface EffectiveSwitches {
  readonly repeats: boolean;
  readonly removesVanished: boolean;
  /** Percent; 0 = none. Null = what is typed is no number. */
  readonly readbackPercent: number | null;
  readonly deletes: boolean;
  /** Something at the destination may be replaced: by the rule, or because a sync keeps up to date what it wrote. */
  readonly replaces: boolean;
  readonly archived: ArchivedRule;
}

/**
 * What others switch off does not count, whatever stands in its field: without verification nothing is read back and,
 * above all, no source file is removed; nor by a sync, which would take the removed for gone.
 */
export function effectiveSwitches(values: JobValues, type: RunnableJobType): EffectiveSwitches {
  const percentFault = checkWhole(values.readbackPercent, READBACK_PERCENT);
  const repeats = type === "sync";
  const replaces = repeats || values.existing === "overwrite";
  return {
    repeats,
    removesVanished: repeats && values.vanished === "remove",
    readbackPercent: !values.verify ? 0 : percentFault === null ? Number(values.readbackPercent) : null,
    deletes: values.verify && !repeats && values.deletes,
    replaces,
    archived: replaces ? values.archived : "skip",
  };
}

export function checkJob(values: JobValues, type: RunnableJobType): FieldErrors {
  const effective = effectiveSwitches(values, type);
  const errors: Record<string, string> = {};
  const fault = (path: string, message: string | null) => {
    if (message !== null) errors[path] = message;
  };
  fault("projectId", values.projectId === "" ? texts.chooseAProject : null);
  fault("name", values.name.trim() === "" ? texts.giveAName : null);
  fault("agentId", values.agentId === "" ? texts.chooseAnAgent : null);
  fault("source.path", isFullPath(values.path.trim()) ? null : texts.giveFullPathSuch);
  fault(
    "destination.prefix",
    isBlobPrefix(trimSlashes(values.prefix ?? "")) ? null : texts.foldersSeparatedSingleSlashes,
  );
  fault("options.concurrency", checkWhole(values.concurrency, CONCURRENCY));
  fault("options.chunkSizeMiB", checkWhole(values.chunkSizeMiB, CHUNK_MIB));
  fault("options.bandwidthMbps", checkMegabits(values.bandwidthMbps));
  if (effective.readbackPercent === null) {
    fault("options.readbackPercent", checkWhole(values.readbackPercent, READBACK_PERCENT));
  }
  if (effective.repeats) {
    fault("options.repetition.everyMinutes", checkWhole(values.everyMinutes, REPETITION_MINUTES));
  }
  if (effective.deletes) Object.assign(errors, checkDeletion(values));
  fault("options.filters.include", checkPatterns(values.include));
  fault("options.filters.exclude", checkPatterns(values.exclude));
  const [min, max] = [sizeOf(values.sizeMin), sizeOf(values.sizeMax)];
  fault("options.filters.sizeBytesMin", min === "wrong" ? texts.aNumberOfMb : null);
  fault("options.filters.sizeBytesMax", max === "wrong" ? texts.aNumberOfMb : null);
  if (typeof min === "number" && typeof max === "number" && min > max) {
    fault("options.filters.sizeBytesMax", texts.smallerThanSmallestSize);
  }
  const { modifiedAfter, modifiedBefore } = values;
  if (modifiedAfter !== "" && modifiedBefore !== "" && modifiedAfter >= modifiedBefore) {
    fault("options.filters.modifiedBefore", texts.notAfterOtherDate);
  }
  return errors;
}

function checkDeletion(values: JobValues): FieldErrors {
  const errors: Record<string, string> = {};
  const daysFault = checkWhole(values.retentionDays, RETENTION_DAYS);
  if (daysFault !== null) errors["options.deletion.retentionDays"] = daysFault;
  if (values.deletionFilesMax.trim() !== "") {
    const countFault = checkWhole(values.deletionFilesMax, { min: 1, max: Number.MAX_SAFE_INTEGER });
    if (countFault !== null) errors["options.deletion.filesMax"] = texts.wholeNumberNothingAll;
  }
  if (values.confirmDeletionOf.trim() !== values.path.trim() || values.path.trim() === "") {
    errors["confirmDeletionOf"] = texts.notSourceFolderAs;
  }
  return errors;
}

/** The request that says what the form says. */
export function jobOf(values: JobValues, type: RunnableJobType): JobCreate {
  const effective = effectiveSwitches(values, type);
  const bandwidthMbps = megabitsOf(values.bandwidthMbps);
  const sizeBytesMin = sizeOf(values.sizeMin);
  const sizeBytesMax = sizeOf(values.sizeMax);
  return {
    projectId: values.projectId,
    agentId: values.agentId,
    name: values.name.trim(),
    type,
    source: { kind: "local", path: values.path.trim() },
    destination: {
      ...(values.prefix === null ? {} : { prefix: trimSlashes(values.prefix) }),
      ...(values.tier === null ? {} : { tier: values.tier }),
    },
    options: {
      concurrency: Number(values.concurrency),
      chunkSizeMiB: Number(values.chunkSizeMiB),
      bandwidthMbps: bandwidthMbps === "wrong" ? null : bandwidthMbps,
      verify: values.verify,
      readbackPercent: effective.readbackPercent ?? 0,
      existing: values.existing,
      archived: effective.archived,
      repetition: effective.repeats
        ? { everyMinutes: Number(values.everyMinutes), vanished: values.vanished }
        : null,
      deletion: effective.deletes ? deletionOf(values) : null,
      filters: {
        include: linesOf(values.include),
        exclude: linesOf(values.exclude),
        modifiedAfter: dayStart(values.modifiedAfter),
        modifiedBefore: dayStart(values.modifiedBefore),
        sizeBytesMin: sizeBytesMin === "wrong" ? null : sizeBytesMin,
        sizeBytesMax: sizeBytesMax === "wrong" ? null : sizeBytesMax,
      },
    },
    ...(effective.deletes ? { confirmDeletionOf: values.confirmDeletionOf.trim() } : {}),
  };
}

function deletionOf(values: JobValues): Deletion {
  const most = values.deletionFilesMax.trim();
  return {
    retentionDays: Number(values.retentionDays),
    filesMax: most === "" ? null : Number(most),
    dryRun: values.deletionDryRun,
  };
}

/** One pattern per line. Spaces at the end may belong to a name, so only empty lines are left out. */
export function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.replace(/\r$/, ""))
    .filter((line) => line.trim() !== "");
}

function checkPatterns(text: string): string | null {
  const lines = linesOf(text);
  if (lines.length > PATTERNS_MAX) return texts.atMostPatterns(PATTERNS_MAX);
  const long = lines.findIndex((line) => line.length > PATTERN_LENGTH_MAX);
  return long === -1 ? null : texts.patternLongerThanCharacters(long + 1, PATTERN_LENGTH_MAX);
}

function checkWhole(text: string, { min, max }: { min: number; max: number }): string | null {
  const value = Number(text);
  return text.trim() !== "" && Number.isInteger(value) && value >= min && value <= max
    ? null
    : texts.wholeNumberFrom(min, max);
}

function sizeOf(text: string): number | "wrong" | null {
  if (text.trim() === "") return null;
  const megabytes = Number(text.replace(",", "."));
  return Number.isFinite(megabytes) && megabytes >= 0 ? Math.round(megabytes * 1e6) : "wrong";
}

/** Midnight of that day where the person is. */
function dayStart(day: string): string | null {
  if (day === "") return null;
  const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(year, month - 1, date).toISOString();
}
