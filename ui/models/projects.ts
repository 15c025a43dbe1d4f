/** Projects: the list, and one project with its jobs. */
import type { Project } from "../../schema/api.ts";
import type { Api } from "../api.ts";
import { createJobList, type JobListModel, type JobListWorld } from "./jobs.ts";
import { createList, createRemote, type ListModel, type RemoteModel } from "./remote.ts";

export interface ProjectListModel {
  readonly list: ListModel<Project>;
  open(): void;
  close(): void;
}

export function createProjectList(api: Api): ProjectListModel {
  const list = createList<Project>((query, abort) => api.projects.list(query, abort));
  return { list, open: () => void list.reload(), close: list.close };
}

export interface ProjectPageModel {
  readonly project: RemoteModel<Project>;
  readonly jobs: JobListModel;
  open(): void;
  close(): void;
}

export function createProjectPage(world: JobListWorld, projectId: string): ProjectPageModel {
  const project = createRemote((abort) => world.api.projects.get(projectId, abort));
  const jobs = createJobList(world, { projectId });
  return {
    project,
    jobs,
    open() {
      void project.reload();
      jobs.open();
    },
    close() {
      project.close();
      jobs.close();
    },
  };
}
