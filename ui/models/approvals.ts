/** Agents that registered while too many codes were guessed, and wait until an admin has looked at them. */
import { effect } from "@preact/signals";
import type { Agent } from "../../schema/api.ts";
import type { Api } from "../api.ts";
import { createSettingsApi } from "../settings-api.ts";
import type { LiveJobs } from "./live-jobs.ts";
import { createList, type ListModel } from "./remote.ts";
import { createRowActions, type RowActions } from "./row-actions.ts";
import type { ToastsModel } from "./toasts.ts";
import { approvals as texts } from "../texts/pages.ts";

export interface ApprovalsModel {
  readonly list: ListModel<Agent>;
  readonly actions: RowActions;
  approve(agent: Agent): Promise<boolean>;
  refuse(agent: Agent): Promise<boolean>;
  open(): void;
  close(): void;
}

export function createApprovals(world: {
  api: Api;
  live: Pick<LiveJobs, "agents" | "gaps">;
  toasts: ToastsModel;
}): ApprovalsModel {
  const { pendingAgents } = createSettingsApi(world.api);
  const list = createList<Agent>((query, abort) => pendingAgents.list(query, abort));
  const actions = createRowActions(list, world.toasts);
  let stop: () => void = () => {};
  return {
    list,
    actions,
    approve: (agent) =>
      actions.run(agent.id, () => pendingAgents.approve(agent.id), texts.isApproved(agent.name)),
    refuse: (agent) =>
      actions.run(agent.id, () => pendingAgents.refuse(agent.id), texts.isRefused(agent.name)),
    open() {
      stop = effect(() => {
        void world.live.agents.value;
        void world.live.gaps.value;
        void list.reload();
      });
    },
    close() {
      stop();
      list.close();
    },
  };
}
