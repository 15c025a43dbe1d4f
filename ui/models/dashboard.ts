/** The first page: how far the set-up is, what is running, what has ended. */
import { computed, effect, type ReadonlySignal } from "@preact/signals";
import type { Overview } from "../../schema/api.ts";
import { createJobList, type JobListModel, type JobListWorld } from "./jobs.ts";
import { createRemote, type RemoteModel } from "./remote.ts";

export type SetupStep = "agent" | "storage" | "client" | "project";
export interface SetupState {
  readonly step: SetupStep;
  readonly done: boolean;
}

export interface DashboardModel {
  readonly overview: RemoteModel<Overview>;
  readonly setup: ReadonlySignal<readonly SetupState[]>;
  readonly active: JobListModel;
  readonly ended: JobListModel;
  open(): void;
  close(): void;
}

export function createDashboard(world: JobListWorld): DashboardModel {
  const overview = createRemote((abort) => world.api.overview(abort));
  const active = createJobList(world, { state: "active" });
  const ended = createJobList(world, { state: "final" });
  let stop: () => void = () => {};
  return {
    overview,
    setup: computed(() => (overview.value.value === null ? [] : setupOf(overview.value.value))),
    active,
    ended,
    open() {
      active.open();
      ended.open();
      // Totals move when a job joins or leaves the lists, and when an agent comes or goes.
      stop = effect(() => {
        void active.list.items.value;
        void ended.list.items.value;
        void world.live.agents.value;
        void overview.reload();
      });
    },
    close() {
      stop();
      overview.close();
      active.close();
      ended.close();
    },
  };
}

/** In the order in which they are done (`product.md` §8). */
export function setupOf(overview: Overview): readonly SetupState[] {
  return [
    { step: "agent", done: overview.agents.total > 0 },
    { step: "storage", done: overview.connections > 0 },
    { step: "client", done: overview.clients > 0 },
    { step: "project", done: overview.projects > 0 },
  ];
}
