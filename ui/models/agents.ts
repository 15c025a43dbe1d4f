/** The organization's agents, one agent, and registering a new one. */
import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import type { Agent, Client, RegistrationCodeMade } from "../../schema/api.ts";
import { type Api, sentenceOf } from "../api.ts";
import type { Clock } from "../clock.ts";
import { createForm, type Form, textOrNull } from "./form.ts";
import { askOf, type ListState, listText, PLAIN_LIST } from "./list-state.ts";
import type { LiveJobs } from "./live-jobs.ts";
import { createList, createRemote, type ListModel, loadAll, type RemoteModel } from "./remote.ts";
import type { ToastsModel } from "./toasts.ts";
import { agents as texts } from "../texts/agents.ts";

const POLL_MS = 2_000;

export interface AgentListModel {
  readonly list: ListModel<Agent>;
  readonly items: ReadonlySignal<readonly Agent[]>;
  show(state: ListState): void;
  open(): void;
  close(): void;
}

export function createAgentList(api: Api, live: LiveJobs, begun: ListState = PLAIN_LIST): AgentListModel {
  let state = begun;
  const list = createList<Agent>((query, abort) => api.agents.list({ ...askOf(state), ...query }, abort));
  let stop: () => void = () => {};
  return {
    list,
    items: list.items,
    show(wanted) {
      if (listText(wanted) === listText(state)) return;
      state = wanted;
      void list.restart();
    },
    open() {
      // Whenever an agent comes or goes, and when the page opens.
      stop = effect(() => {
        void live.agents.value;
        void live.gaps.value;
        void list.reload();
      });
    },
    close() {
      stop();
      list.close();
    },
  };
}

export interface AgentPageModel {
  readonly agent: RemoteModel<Agent>;
  readonly form: ReadonlySignal<Form<AgentFormValues> | null>;
  readonly clients: ReadonlySignal<readonly Client[]>;
  /** A word to the agent is on its way. */
  readonly acting: ReadonlySignal<boolean>;
  edit(): void;
  cancelEdit(): void;
  revoke(): Promise<void>;
  unlock(): Promise<void>;
  open(): void;
  close(): void;
}
export interface AgentFormValues {
  readonly name: string;
  readonly label: string;
  readonly clientId: string;
}

export function createAgentPage(
  world: { api: Api; live: LiveJobs; toasts: ToastsModel; uuid(): string },
  agentId: string,
): AgentPageModel {
  const { api, live, toasts } = world;
  const agent = createRemote((abort) => api.agents.get(agentId, abort));
  const form = signal<Form<AgentFormValues> | null>(null);
  const clients = createRemote((abort) => loadAll((query, inner) => api.clients.list(query, inner), abort));
  const acting = signal(false);
  const act = async (send: () => Promise<Agent>, told: string) => {
    acting.value = true;
    try {
      agent.put(await send());
      toasts.show("success", told);
    } catch (error) {
      toasts.show("danger", sentenceOf(error));
    } finally {
      acting.value = false;
    }
  };
  let stop: () => void = () => {};
  return {
    agent,
    form,
    clients: computed(() => clients.value.value ?? []),
    acting,
    edit() {
      const held = agent.value.value;
      if (held === null) return;
      form.value = createForm({
        initial: { name: held.name, label: held.label ?? "", clientId: held.clientId ?? "" },
        idempotencyKey: world.uuid(),
        check: (values) => (values.name.trim() === "" ? { name: texts.giveAName } : {}),
        save: (values) =>
          api.agents.update(agentId, {
            name: values.name.trim(),
            label: textOrNull(values.label),
            clientId: values.clientId === "" ? null : values.clientId,
          }),
        saved(saved) {
          agent.put(saved);
          form.value = null;
        },
      });
    },
    cancelEdit() {
      form.value = null;
    },
    revoke: () => act(() => api.agents.revoke(agentId), texts.agentRevokedKeyNo),
    unlock: () => act(() => api.agents.unlock(agentId), texts.agentUnlockedMachineConnects),
    open() {
      void clients.reload();
      stop = effect(() => {
        void live.agents.value.get(agentId);
        void live.gaps.value;
        void agent.reload();
      });
    },
    close() {
      stop();
      agent.close();
      clients.close();
    },
  };
}

export interface RegisterValues {
  readonly label: string;
  readonly validMinutes: 15 | 60 | 1_440;
}
export interface RegisterAgentModel {
  readonly form: ReadonlySignal<Form<RegisterValues>>;
  readonly made: ReadonlySignal<RegistrationCodeMade | null>;
  /** The agent that used the code. */
  readonly agent: ReadonlySignal<Agent | null>;
  /** Another code, after one ran out. */
  again(): void;
  open(): void;
  close(): void;
}

/**
 * After a code is made the agents are asked for every two seconds, until one is there that was not before. Somebody else
 * may register an agent at the same moment, so the code itself is then asked who used it.
 */
export function createRegisterAgent(world: { api: Api; clock: Clock; uuid(): string }): RegisterAgentModel {
  const { api, clock } = world;
  const made = signal<RegistrationCodeMade | null>(null);
  const agent = signal<Agent | null>(null);
  let known: ReadonlySet<string> = new Set();
  let cancelPoll: () => void = () => {};
  let closing = new AbortController();

  function createCodeForm(): Form<RegisterValues> {
    return createForm<RegisterValues, RegistrationCodeMade>({
      initial: { label: "", validMinutes: 1_440 },
      idempotencyKey: world.uuid(),
      check: () => ({}),
      async save(values, key) {
        known = new Set((await listAgents()).map((item) => item.id));
        return api.registrationCodes.create(
          { label: textOrNull(values.label), validMinutes: values.validMinutes },
          key,
        );
      },
      saved(code) {
        made.value = code;
        cancelPoll = clock.after(POLL_MS, poll);
      },
    });
  }
  const form = signal(createCodeForm());

  async function listAgents(): Promise<readonly Agent[]> {
    return (await api.agents.list({}, closing.signal)).items;
  }

  function poll(): void {
    void findAgent().then((found) => {
      if (closing.signal.aborted) return;
      if (found !== null) agent.value = found;
      else cancelPoll = clock.after(POLL_MS, poll);
    });
  }

  async function findAgent(): Promise<Agent | null> {
    const code = made.value;
    if (code === null) return null;
    try {
      const news = (await listAgents()).filter((item) => !known.has(item.id));
      if (news.length === 0) return null;
      const codes = await api.registrationCodes.list({}, closing.signal);
      const usedBy = codes.items.find((item) => item.id === code.id)?.agentId ?? null;
      return news.find((item) => item.id === usedBy) ?? null;
    } catch {
      // The next question comes in two seconds anyway.
      return null;
    }
  }

  return {
    form,
    made,
    agent,
    again() {
      cancelPoll();
      made.value = null;
      agent.value = null;
      form.value = createCodeForm();
    },
    open() {
      closing = new AbortController();
    },
    close() {
      closing.abort();
      cancelPoll();
    },
  };
}
