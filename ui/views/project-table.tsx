import type { Project } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { type Column, DataTable, type Sorting } from "../components/data-table.tsx";
import { formatCount, NOTHING } from "../format.ts";
import { pathOf } from "../models/router.ts";
import { PROJECT_STATUS_WORDS, PROJECT_TYPE_WORDS } from "../words.ts";
import { projectTable as texts } from "../texts/projects.ts";

export function ProjectTable(props: {
  projects: readonly Project[];
  within: "organization" | "client";
  sorting?: Sorting;
}) {
  const columns: readonly Column<Project>[] = [
    {
      title: texts.project,
      sort: "name",
      cell: (project) => (
        <>
          <a class="row-link" href={pathOf({ page: "project", id: project.id })}>
            {project.name}
          </a>
          {props.within === "organization" && <span class="under">{project.clientName}</span>}
        </>
      ),
    },
    {
      title: texts.type,
      desk: true,
      cell: (project) => <span class="muted">{PROJECT_TYPE_WORDS[project.type]}</span>,
    },
    {
      title: texts.storage,
      desk: true,
      cell: (project) => (
        <span class="muted">
          {project.storage === null ? NOTHING : `${project.storage.account} / ${project.storage.container}`}
        </span>
      ),
    },
    {
      title: texts.jobs,
      numeric: true,
      cell: (project) => (
        <>
          {formatCount(project.jobCount)}
          {project.failedJobCount > 0 && (
            <span class="danger-text"> {texts.failed(formatCount(project.failedJobCount))}</span>
          )}
        </>
      ),
    },
    {
      title: texts.status,
      sort: "status",
      cell: (project) => <Badge words={PROJECT_STATUS_WORDS[project.status]} />,
    },
  ];
  return (
    <DataTable
      label={texts.projects}
      testId="projects"
      columns={columns}
      items={props.projects}
      {...(props.sorting === undefined ? {} : { sorting: props.sorting })}
    />
  );
}
