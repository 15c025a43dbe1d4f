import { useEffect } from "preact/hooks";
import { LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { ListTools, NothingFound } from "../components/list-tools.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import type { App } from "../models/app.ts";
import { createJobList, type JobListAsk } from "../models/jobs.ts";
import { askOf, type ListState, PLAIN_LIST } from "../models/list-state.ts";
import { pathOf, type Route } from "../models/router.ts";
import { JobTable } from "./job-table.tsx";
import { listOfRoute } from "./use-list.ts";
import { usePageModel } from "./use-page-model.ts";
import { jobsPage as texts } from "../texts/jobs.ts";

type JobsRoute = Extract<Route, { page: "jobs" }>;

const TABS: readonly {
  key: string;
  route: Omit<JobsRoute, "list">;
  status: string | null;
  text: string;
  empty: string;
}[] = [
  {
    key: "all",
    route: { page: "jobs", state: "all" },
    status: null,
    text: texts.all,
    empty: texts.noJobsYet,
  },
  {
    key: "active",
    route: { page: "jobs", state: "active" },
    status: null,
    text: texts.active,
    empty: texts.nothingIsRunning,
  },
  {
    key: "final",
    route: { page: "jobs", state: "final" },
    status: null,
    text: texts.finished,
    empty: texts.noJobHasFinished,
  },
  {
    key: "failed",
    route: { page: "jobs", state: "all" },
    status: "failed",
    text: texts.failed,
    empty: texts.noJobHasFailed,
  },
];

export function JobsPage({ app, route }: { app: App; route: JobsRoute }) {
  const { state, change } = listOfRoute(app, route);
  const asked = askOfRoute(route, state);
  const model = usePageModel(() => createJobList(app, asked));
  useEffect(() => model.show(asked), [model, JSON.stringify(asked)]);
  const { list, rows } = model;
  const here = TABS.find((tab) => tab.route.state === route.state && tab.status === state.status);
  const newJob = app.session.rights.value.write && (
    <LinkButton
      look="primary"
      icon="plus"
      href={pathOf({ page: "job-new", projectId: null })}
      testId="new-job"
    >
      {texts.newJob}
    </LinkButton>
  );
  return (
    <Page title={texts.jobs} lead={texts.oneFolderEachMoved} actions={newJob}>
      <nav class="tabs" aria-label={texts.whichJobs}>
        {TABS.map((tab) => (
          <a
            key={tab.key}
            href={pathOf({ ...tab.route, list: { ...state, status: tab.status } })}
            class={tab === here ? "tab tab-on" : "tab"}
            aria-current={tab === here ? "page" : undefined}
            data-testid={`jobs-${tab.key}`}
          >
            {tab.text}
          </a>
        ))}
      </nav>
      <Card flush>
        <ListTools what={texts.inSearch} state={state} onChange={change} />
        <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
          {() =>
            rows.value.length > 0 ? (
              <JobTable
                rows={rows.value}
                nowMs={app.nowMs.value}
                within="organization"
                testId="jobs"
                sorting={{ state, onSort: change }}
              />
            ) : state.search !== "" ? (
              <NothingFound
                what={texts.inSearch}
                state={state}
                onChange={() => app.router.replace({ page: "jobs", state: "all", list: PLAIN_LIST })}
              />
            ) : (
              <EmptyState icon="job" title={here?.empty ?? texts.noJobKind}>
                {texts.jobsCreatedWithinProject}
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

function askOfRoute({ state }: JobsRoute, list: ListState): JobListAsk {
  return { ...askOf(list), ...(state === "all" ? {} : { state }) };
}
