import { Badge } from "../components/badge.tsx";
import { LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Facts } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { Loaded, Notice } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatCountOf, formatDate, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { createProjectPage } from "../models/projects.ts";
import { pathOf } from "../models/router.ts";
import { PROJECT_STATUS_WORDS, PROJECT_TYPE_WORDS } from "../words.ts";
import { JobTable } from "./job-table.tsx";
import { scheduleText } from "./schedule-text.ts";
import { usePageModel } from "./use-page-model.ts";

export function ProjectPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(() => createProjectPage(app, id), id);
  const project = model.project.value.value;
  const mayWrite = app.session.rights.value.write;
  const { list, rows } = model.jobs;
  const newJob = mayWrite && project?.storage && (
    <LinkButton look="primary" icon="plus" href={pathOf({ page: "job-new", projectId: id })} testId="new-job">
      New job
    </LinkButton>
  );
  return (
    <Page
      title={project?.name ?? "Project"}
      crumb={{ text: "Projects", href: pathOf({ page: "projects" }) }}
      badge={project && <Badge words={PROJECT_STATUS_WORDS[project.status]} />}
      lead={project?.description ?? undefined}
      actions={
        project &&
        mayWrite && (
          <>
            <LinkButton href={pathOf({ page: "project-edit", id })} testId="edit-project">
              Edit
            </LinkButton>
            {newJob}
          </>
        )
      }
    >
      <Loaded remote={model.project.remote.value} onRetry={() => void model.project.reload()}>
        {(value) => (
          <>
            {value.status === "auth_required" && (
              <Notice tone="danger">
                The storage account no longer accepts this project's connection. Edit the project and choose
                another.
              </Notice>
            )}
            {value.failedJobCount > 0 && (
              <Notice tone="warning">
                {formatCountOf(value.failedJobCount, "job")} failed. A failed job can be retried: what is
                there and identical is skipped.
              </Notice>
            )}
            <Card>
              <Facts
                facts={[
                  {
                    title: "Client",
                    value: <a href={pathOf({ page: "client", id: value.clientId })}>{value.clientName}</a>,
                  },
                  { title: "Type", value: PROJECT_TYPE_WORDS[value.type] },
                  { title: "Storage account", value: value.storage?.account ?? NOTHING },
                  { title: "Container", value: value.storage?.container ?? NOTHING },
                  {
                    title: "Folder",
                    value: value.storage?.prefix ? (
                      <FileName name={value.storage.prefix} />
                    ) : (
                      "The container itself"
                    ),
                  },
                  { title: "Tier", value: value.storage?.tier ?? NOTHING },
                  ...(value.bandwidthSchedule
                    ? [
                        {
                          title: "Bandwidth",
                          value: scheduleText(value.bandwidthSchedule),
                          testId: "project-schedule",
                        },
                      ]
                    : []),
                  ...(value.psaTicketId === null ? [] : [{ title: "PSA ticket", value: value.psaTicketId }]),
                  ...(value.psaProjectId === null
                    ? []
                    : [{ title: "PSA project", value: value.psaProjectId }]),
                  { title: "Created", value: formatDate(value.createdAt) },
                ]}
              />
            </Card>
            <Card title="Jobs" flush>
              <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
                {() =>
                  rows.value.length === 0 ? (
                    <EmptyState icon="job" title="No jobs yet" action={newJob}>
                      A job moves one folder, by one agent.
                    </EmptyState>
                  ) : (
                    <JobTable rows={rows.value} nowMs={app.nowMs.value} within="project" testId="jobs" />
                  )
                }
              </Loaded>
              <MoreButton
                hasMore={list.hasMore.value}
                busy={list.loadingMore.value}
                onMore={() => void list.more()}
              />
            </Card>
          </>
        )}
      </Loaded>
    </Page>
  );
}
