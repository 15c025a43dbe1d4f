import type { Project } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { formatCount, NOTHING } from "../format.ts";
import { pathOf } from "../models/router.ts";
import { PROJECT_STATUS_WORDS, PROJECT_TYPE_WORDS } from "../words.ts";

export function ProjectTable(props: { projects: readonly Project[]; within: "organization" | "client" }) {
  const columns: readonly Column<Project>[] = [
    {
      title: "Project",
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
      title: "Type",
      desk: true,
      cell: (project) => <span class="muted">{PROJECT_TYPE_WORDS[project.type]}</span>,
    },
    {
      title: "Storage",
      desk: true,
      cell: (project) => (
        <span class="muted">
          {project.storage === null ? NOTHING : `${project.storage.account} / ${project.storage.container}`}
        </span>
      ),
    },
    {
      title: "Jobs",
      numeric: true,
      cell: (project) => (
        <>
          {formatCount(project.jobCount)}
          {project.failedJobCount > 0 && (
            <span class="danger-text"> ({formatCount(project.failedJobCount)} failed)</span>
          )}
        </>
      ),
    },
    { title: "Status", cell: (project) => <Badge words={PROJECT_STATUS_WORDS[project.status]} /> },
  ];
  return <DataTable label="Projects" testId="projects" columns={columns} items={props.projects} />;
}
