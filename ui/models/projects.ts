/** Projects: the list, and one project with its jobs. */
import type { Project } from "../../schema/api.ts";
import type { Usage } from "../../schema/reports.ts";
import { type Api, sentenceOf } from "../api.ts";
import { createJobList, type JobListModel, type JobListWorld } from "./jobs.ts";
import { askOf, type ListState, listText } from "./list-state.ts";
import { createList, createRemote, type ListModel, type RemoteModel } from "./remote.ts";
import type { ToastsModel } from "./toasts.ts";
import { projects as texts } from "../texts/projects.ts";

export interface ProjectListModel {
  readonly list: ListModel<Project>;
  show(state: ListState): void;
  open(): void;
  close(): void;
}

export function createProjectList(api: Api, begun: ListState): ProjectListModel {
  let state = begun;
  const list = createList<Project>((query, abort) => api.projects.list({ ...askOf(state), ...query }, abort));
  return {
    list,
    show(wanted) {
      if (listText(wanted) === listText(state)) return;
      state = wanted;
      void list.restart();
    },
    open: () => void list.reload(),
    close: list.close,
  };
}

export interface ProjectPageModel {
  readonly project: RemoteModel<Project>;
  readonly jobs: JobListModel;
  readonly usage: RemoteModel<Usage>;
  /** Cancels the project with all its jobs that go on, or opens it again. */
  setCancelled(cancelled: boolean): Promise<void>;
  /** Removes a project that never had a job; then calls `removed`. */
  remove(): Promise<void>;
  open(): void;
  close(): void;
}

export function createProjectPage(
  world: JobListWorld & { readonly toasts: ToastsModel },
  projectId: string,
  removed: () => void = () => {},
): ProjectPageModel {
  const { api, toasts } = world;
  const project = createRemote((abort) => world.api.projects.get(projectId, abort));
  const jobs = createJobList(world, { projectId });
  const usage = createRemote((abort) => api.projects.usage(projectId, abort));
  return {
    project,
    jobs,
    usage,
    async setCancelled(cancelled) {
      try {
        const { cancel, reopen } = api.projects;
        project.put(await (cancelled ? cancel(projectId) : reopen(projectId)));
        toasts.show("success", cancelled ? texts.projectCancelledJobs : texts.projectIsOpenAgain);
        await jobs.list.reload();
      } catch (error) {
        toasts.show("danger", sentenceOf(error));
      }
    },
    async remove() {
      try {
        await api.projects.remove(projectId);
        toasts.show("success", texts.projectDeleted);
        removed();
      } catch (error) {
        toasts.show("danger", sentenceOf(error));
      }
    },
    open() {
      void project.reload();
      void usage.reload();
      jobs.open();
    },
    close() {
      project.close();
      usage.close();
      jobs.close();
    },
  };
}
