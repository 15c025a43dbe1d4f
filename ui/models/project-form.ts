/**
 * The form that makes or changes a project, with its place in Azure Storage: a connection, a container from the account's
 * own list (or a new one, made when the project is saved), a tier and a folder.
 */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import type { Client, Connection, Project, ProjectCreate } from "../../schema/api.ts";
import type { AccessTier, ProjectType } from "../../schema/job.ts";
import { type Api, ApiError, type FieldErrors, sentenceOf } from "../api.ts";
import { CONTAINER_NAME, isBlobPrefix, isTimeZone } from "../contract.ts";
import { createForm, type Form, textOrNull } from "./form.ts";
import { createRemote, loadAll, type Remote } from "./remote.ts";
import { checkSchedule, newSchedule, scheduleOf, type ScheduleValues, scheduleValuesOf } from "./schedule.ts";
import { projectForm as texts } from "../texts/projects.ts";

export interface ProjectValues {
  readonly clientId: string;
  readonly type: ProjectType;
  readonly name: string;
  readonly description: string;
  readonly psaTicketId: string;
  readonly psaProjectId: string;
  readonly connectionId: string;
  readonly container: string;
  /** The container is typed in, not picked, and made with the project. */
  readonly containerIsNew: boolean;
  readonly tier: AccessTier;
  readonly prefix: string;
  /** Null = the line may always be used in full. */
  readonly schedule: ScheduleValues | null;
}

/** The containers of the chosen connection. */
export type Containers =
  | { readonly state: "none" }
  | { readonly state: "loading" }
  | { readonly state: "ready"; readonly names: readonly string[] }
  | { readonly state: "failed"; readonly problem: string };

export interface ProjectFormModel {
  readonly form: Form<ProjectValues>;
  readonly clients: ReadonlySignal<readonly Client[]>;
  readonly connections: ReadonlySignal<readonly Connection[]>;
  readonly choices: ReadonlySignal<Remote<unknown>>;
  readonly containers: ReadonlySignal<Containers>;
  readonly connection: ReadonlySignal<Connection | null>;
  chooseConnection(id: string): void;
  /** A connection that was just added is offered and chosen. */
  addConnection(connection: Connection): void;
  /** Begins one in the reader's time zone. */
  addSchedule(): void;
  setSchedule(change: Partial<ScheduleValues>): void;
  reloadContainers(): void;
  open(): void;
  close(): void;
}

interface Choices {
  readonly clients: readonly Client[];
  readonly connections: readonly Connection[];
}

export interface ProjectFormPlan {
  readonly project: Project | null;
  readonly clientId: string | null;
  saved(project: Project): void;
}

export function createProjectForm(
  world: { api: Api; timeZone: string; uuid(): string },
  plan: ProjectFormPlan,
): ProjectFormModel {
  const { api } = world;
  const containers = signal<Containers>({ state: "none" });
  let asking = new AbortController();
  const choices = createRemote<Choices>(async (abort) => {
    const [clients, connections] = await Promise.all([
      loadAll((query, inner) => api.clients.list(query, inner), abort),
      loadAll((query, inner) => api.connections.list(query, inner), abort),
    ]);
    return { clients: clients.filter((client) => client.status === "active"), connections };
  });
  const form = createForm<ProjectValues, Project>({
    initial: initialValues(plan),
    idempotencyKey: world.uuid(),
    check: (values) => checkProject(values),
    save: (values, key) => saveProject(api, { values, key, project: plan.project }),
    saved: plan.saved,
  });
  const connections = computed(() => choices.value.value?.connections ?? []);
  const connection = computed(
    () => connections.value.find((item) => item.id === form.values.value.connectionId) ?? null,
  );

  async function loadContainers(connectionId: string): Promise<void> {
    asking.abort();
    asking = new AbortController();
    const { signal: abort } = asking;
    containers.value = { state: "loading" };
    try {
      const names = (await api.connections.containers(connectionId, abort)).containers;
      if (abort.aborted) return;
      containers.value = { state: "ready", names };
      // An account without containers leaves only one thing to do.
      if (names.length === 0) form.fill("containerIsNew", true);
      else if (names.length === 1 && form.values.value.container === "")
        form.fill("container", names[0] ?? "");
    } catch (error) {
      if (!abort.aborted) containers.value = { state: "failed", problem: sentenceOf(error) };
    }
  }

  function chooseConnection(id: string): void {
    form.set("connectionId", id);
    fillConnection(id);
  }

  function fillConnection(id: string): void {
    form.fill("connectionId", id);
    form.fill("containerIsNew", false);
    const chosen = connections.value.find((item) => item.id === id) ?? null;
    // A container SAS opens one container and cannot list others.
    form.fill("container", chosen?.container ?? "");
    asking.abort();
    containers.value = { state: "none" };
    if (chosen !== null && chosen.container === null) void loadContainers(id);
  }

  return {
    form,
    clients: computed(() => choices.value.value?.clients ?? []),
    connections,
    choices: choices.remote,
    containers,
    connection,
    chooseConnection,
    addConnection(added) {
      choices.put({
        clients: choices.value.value?.clients ?? [],
        connections: [added, ...connections.value],
      });
      chooseConnection(added.id);
    },
    addSchedule() {
      form.set("schedule", newSchedule(isTimeZone(world.timeZone) ? world.timeZone : "UTC"));
    },
    setSchedule(change) {
      const held = form.values.value.schedule;
      if (held !== null) form.set("schedule", { ...held, ...change });
    },
    reloadContainers: () => void loadContainers(form.values.value.connectionId),
    open() {
      void choices.reload().then(() => {
        const values = form.values.value;
        if (values.connectionId !== "" && connection.value?.container === null)
          void loadContainers(values.connectionId);
        if (values.clientId === "" && choices.value.value?.clients.length === 1) {
          form.fill("clientId", choices.value.value.clients[0]?.id ?? "");
        }
        if (values.connectionId === "" && connections.value.length === 1)
          fillConnection(connections.value[0]?.id ?? "");
      });
    },
    close() {
      asking.abort();
      choices.close();
    },
  };
}

function initialValues({ project, clientId }: ProjectFormPlan): ProjectValues {
  return {
    clientId: project?.clientId ?? clientId ?? "",
    type: project?.type ?? "file_migration",
    name: project?.name ?? "",
    description: project?.description ?? "",
    psaTicketId: project?.psaTicketId ?? "",
    psaProjectId: project?.psaProjectId ?? "",
    connectionId: project?.storage?.connectionId ?? "",
    container: project?.storage?.container ?? "",
    containerIsNew: false,
    tier: project?.storage?.tier ?? "Hot",
    prefix: project?.storage?.prefix ?? "",
    schedule: project?.bandwidthSchedule ? scheduleValuesOf(project.bandwidthSchedule) : null,
  };
}

export function checkProject(values: ProjectValues): FieldErrors {
  const errors: Record<string, string> = {};
  if (values.name.trim() === "") errors["name"] = texts.giveAName;
  if (values.clientId === "") errors["clientId"] = texts.chooseAClient;
  if (values.connectionId === "") errors["storage.connectionId"] = texts.chooseAConnection;
  else if (values.container.trim() === "") errors["storage.container"] = texts.chooseAContainer;
  else if (values.containerIsNew && !CONTAINER_NAME.test(values.container.trim())) {
    errors["storage.container"] = texts.containerNameRule;
  }
  if (!isBlobPrefix(trimSlashes(values.prefix))) {
    errors["storage.prefix"] = texts.foldersSeparatedSingleSlashes;
  }
  return values.schedule === null ? errors : { ...errors, ...checkSchedule(values.schedule) };
}

async function saveProject(
  api: Api,
  { values, key, project }: { values: ProjectValues; key: string; project: Project | null },
): Promise<Project> {
  const container = values.container.trim();
  if (values.containerIsNew)
    await createContainer(api, { connectionId: values.connectionId, container, key });
  const body = {
    name: values.name.trim(),
    description: textOrNull(values.description),
    psaTicketId: textOrNull(values.psaTicketId),
    psaProjectId: textOrNull(values.psaProjectId),
    storage: {
      connectionId: values.connectionId,
      container,
      tier: values.tier,
      prefix: trimSlashes(values.prefix),
    },
    bandwidthSchedule: values.schedule === null ? null : scheduleOf(values.schedule),
  } satisfies Omit<ProjectCreate, "clientId" | "type">;
  return project === null
    ? api.projects.create({ ...body, clientId: values.clientId, type: values.type }, key)
    : api.projects.update(project.id, body);
}

async function createContainer(
  api: Api,
  { connectionId, container, key }: { connectionId: string; container: string; key: string },
): Promise<void> {
  try {
    // A key of its own for each name: the person may mend the name after a refusal.
    await api.connections.createContainer(connectionId, container, `${key}-${container}`);
  } catch (error) {
    // It is there already, perhaps from a try whose answer was lost: that is what was wanted.
    if (error instanceof ApiError && error.code === "CONFLICT") return;
    if (error instanceof ApiError && Object.keys(error.fields).length === 0) {
      const { code, status, message } = error;
      throw new ApiError(
        { code, status, message, fields: { "storage.container": message } },
        { cause: error },
      );
    }
    throw error;
  }
}

/** People write `/files/`; the folder meant is `files`. */
export function trimSlashes(prefix: string): string {
  return prefix.trim().replace(/^\/+|\/+$/g, "");
}
