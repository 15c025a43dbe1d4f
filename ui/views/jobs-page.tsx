import { LinkButton } from "../components/button.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import type { App } from "../models/app.ts";
import { createJobList } from "../models/jobs.ts";
import { pathOf } from "../models/router.ts";
import { JobTable } from "./job-table.tsx";
import { usePageModel } from "./use-page-model.ts";

type JobsState = "all" | "active" | "final";

const TABS: readonly { state: JobsState; text: string; empty: string }[] = [
  { state: "all", text: "All", empty: "No jobs yet" },
  { state: "active", text: "Active", empty: "Nothing is running" },
  { state: "final", text: "Finished", empty: "No job has finished yet" },
];

export function JobsPage({ app, state }: { app: App; state: JobsState }) {
  const { list, rows } = usePageModel(() => createJobList(app, state === "all" ? {} : { state }), state);
  const newJob = app.session.rights.value.write && (
    <LinkButton
      look="primary"
      icon="plus"
      href={pathOf({ page: "job-new", projectId: null })}
      testId="new-job"
    >
      New job
    </LinkButton>
  );
  return (
    <Page title="Jobs" lead="One folder each, moved by one agent." actions={newJob}>
      <nav class="tabs" aria-label="Which jobs">
        {TABS.map((tab) => (
          <a
            key={tab.state}
            href={pathOf({ page: "jobs", state: tab.state })}
            class={tab.state === state ? "tab tab-on" : "tab"}
            aria-current={tab.state === state ? "page" : undefined}
            data-testid={`jobs-${tab.state}`}
          >
            {tab.text}
          </a>
        ))}
      </nav>
      <Card flush>
        <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
          {() =>
            rows.value.length === 0 ? (
              <EmptyState icon="job" title={TABS.find((tab) => tab.state === state)?.empty ?? ""}>
                Jobs are created within a project.
              </EmptyState>
            ) : (
              <JobTable rows={rows.value} nowMs={app.nowMs.value} within="organization" testId="jobs" />
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
