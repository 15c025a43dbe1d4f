import { LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import type { App } from "../models/app.ts";
import { createProjectList } from "../models/projects.ts";
import { pathOf } from "../models/router.ts";
import { ProjectTable } from "./project-table.tsx";
import { usePageModel } from "./use-page-model.ts";

export function ProjectsPage({ app }: { app: App }) {
  const { list } = usePageModel(() => createProjectList(app.api));
  const newProject = app.session.rights.value.write && (
    <LinkButton
      look="primary"
      icon="plus"
      href={pathOf({ page: "project-new", clientId: null })}
      testId="new-project"
    >
      New project
    </LinkButton>
  );
  const isEmpty = list.remote.value.state === "ready" && list.items.value.length === 0;
  return (
    <Page
      title="Projects"
      lead="One engagement for one client, with its jobs."
      actions={!isEmpty && newProject}
    >
      <Card flush>
        <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
          {(items) =>
            items.length === 0 ? (
              <EmptyState icon="project" title="No projects yet" action={newProject}>
                A project says for whom files are moved, and to which place in a storage account.
              </EmptyState>
            ) : (
              <ProjectTable projects={items} within="organization" />
            )
          }
        </Loaded>
        <MoreButton
          hasMore={list.hasMore.value}
          busy={list.loadingMore.value}
          onMore={() => void list.more()}
        />
      </Card>
    </Page>
  );
}
