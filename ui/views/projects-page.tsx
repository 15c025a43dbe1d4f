import { LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { ListTools, NothingFound } from "../components/list-tools.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import type { App } from "../models/app.ts";
import { isNarrowed } from "../models/list-state.ts";
import { createProjectList } from "../models/projects.ts";
import { pathOf, type Route } from "../models/router.ts";
import { ProjectTable } from "./project-table.tsx";
import { listOfRoute, useListState } from "./use-list.ts";
import { usePageModel } from "./use-page-model.ts";
import { projectsPage as texts } from "../texts/projects.ts";

export function ProjectsPage({ app, route }: { app: App; route: Extract<Route, { page: "projects" }> }) {
  const { state, change } = listOfRoute(app, route);
  const model = usePageModel(() => createProjectList(app.api, state));
  useListState(model, state);
  const { list } = model;
  const newProject = app.session.rights.value.write && (
    <LinkButton
      look="primary"
      icon="plus"
      href={pathOf({ page: "project-new", clientId: null })}
      testId="new-project"
    >
      {texts.newProject}
    </LinkButton>
  );
  const isEmpty = list.remote.value.state === "ready" && list.items.value.length === 0 && !isNarrowed(state);
  return (
    <Page title={texts.projects} lead={texts.oneEngagementOneClient} actions={!isEmpty && newProject}>
      <Card flush>
        {!isEmpty && <ListTools what={texts.inSearch} state={state} onChange={change} />}
        <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
          {(items) =>
            items.length > 0 ? (
              <ProjectTable projects={items} within="organization" sorting={{ state, onSort: change }} />
            ) : isNarrowed(state) ? (
              <NothingFound what={texts.inSearch} state={state} onChange={change} />
            ) : (
              <EmptyState icon="project" title={texts.noProjectsYet} action={newProject}>
                {texts.projectSaysWhomFiles}
              </EmptyState>
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
