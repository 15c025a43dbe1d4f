import { useState } from "preact/hooks";
import { Badge } from "../components/badge.tsx";
import { Button, LinkButton } from "../components/button.tsx";
import { ConfirmDialog } from "../components/dialog.tsx";
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
import { UsageCard } from "./usage-card.tsx";
import { usePageModel } from "./use-page-model.ts";
import { projectPage as texts } from "../texts/projects.ts";

export function ProjectPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(
    () => createProjectPage(app, id, () => app.router.replace({ page: "projects" })),
    id,
  );
  const [asks, setAsks] = useState<"cancel" | "delete" | null>(null);
  const project = model.project.value.value;
  const mayWrite = app.session.rights.value.write;
  const { list, rows } = model.jobs;
  const isCancelled = project?.status === "cancelled";
  const newJob = mayWrite && project?.storage && !isCancelled && (
    <LinkButton look="primary" icon="plus" href={pathOf({ page: "job-new", projectId: id })} testId="new-job">
      {texts.newJob}
    </LinkButton>
  );
  return (
    <Page
      title={project?.name ?? texts.project}
      crumb={{ text: texts.projects, href: pathOf({ page: "projects" }) }}
      badge={project && <Badge words={PROJECT_STATUS_WORDS[project.status]} />}
      lead={project?.description ?? undefined}
      actions={
        project &&
        mayWrite && (
          <>
            {isCancelled ? (
              <Button testId="reopen-project" onPress={() => void model.setCancelled(false)}>
                {texts.reopen}
              </Button>
            ) : (
              <Button testId="cancel-project" onPress={() => setAsks("cancel")}>
                {texts.cancelProject}
              </Button>
            )}
            {/* What was moved stays told, so only one without jobs can go. */}
            {app.session.rights.value.administer && project.jobCount === 0 && (
              <Button testId="delete-project" onPress={() => setAsks("delete")}>
                {texts.delete}
              </Button>
            )}
            <LinkButton href={pathOf({ page: "project-edit", id })} testId="edit-project">
              {texts.edit}
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
              <Notice tone="danger">{texts.storageAccountNoLonger}</Notice>
            )}
            {value.failedJobCount > 0 && (
              <Notice tone="warning">{texts.jobsFailed(formatCountOf(value.failedJobCount, "job"))}</Notice>
            )}
            <Card>
              <Facts
                facts={[
                  {
                    title: texts.client,
                    value: <a href={pathOf({ page: "client", id: value.clientId })}>{value.clientName}</a>,
                  },
                  { title: texts.type, value: PROJECT_TYPE_WORDS[value.type] },
                  { title: texts.storageAccount, value: value.storage?.account ?? NOTHING },
                  { title: texts.container, value: value.storage?.container ?? NOTHING },
                  {
                    title: texts.folder,
                    value: value.storage?.prefix ? (
                      <FileName name={value.storage.prefix} />
                    ) : (
                      texts.theContainerItself
                    ),
                  },
                  { title: texts.tier, value: value.storage?.tier ?? NOTHING },
                  ...(value.bandwidthSchedule
                    ? [
                        {
                          title: texts.bandwidth,
                          value: scheduleText(value.bandwidthSchedule),
                          testId: "project-schedule",
                        },
                      ]
                    : []),
                  ...(value.psaTicketId === null
                    ? []
                    : [{ title: texts.psaTicket, value: value.psaTicketId }]),
                  ...(value.psaProjectId === null
                    ? []
                    : [{ title: texts.psaProject, value: value.psaProjectId }]),
                  { title: texts.created, value: formatDate(value.createdAt) },
                ]}
              />
            </Card>
            <UsageCard usage={model.usage.value.value} path={`/api/projects/${encodeURIComponent(id)}`} />
            <Card title={texts.jobs} flush>
              <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
                {() =>
                  rows.value.length === 0 ? (
                    <EmptyState icon="job" title={texts.noJobsYet} action={newJob}>
                      {texts.jobMovesOneFolder}
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
      {asks === "cancel" && (
        <ConfirmDialog
          title={texts.cancelThisProject}
          confirmText={texts.cancelProject}
          cancelText={texts.keepItGoing}
          confirmTestId="confirm-cancel-project"
          onConfirm={() => void model.setCancelled(true)}
          onClose={() => setAsks(null)}
        >
          {texts.allJobsNotFinished}
        </ConfirmDialog>
      )}
      {asks === "delete" && project !== null && (
        <ConfirmDialog
          title={texts.deleteThisProject}
          confirmText={texts.deleteProject}
          cancelText={texts.keepIt}
          confirmTestId="confirm-delete-project"
          typedName={project.name}
          onConfirm={() => void model.remove()}
          onClose={() => setAsks(null)}
        >
          {texts.descriptionPlaceStorageAccount}
        </ConfirmDialog>
      )}
    </Page>
  );
}
