import { useEffect } from "preact/hooks";
import type { Job } from "../../schema/api.ts";
import { Badge } from "../components/badge.tsx";
import { type Column, DataTable } from "../components/data-table.tsx";
import { EmptyState } from "../components/empty-state.tsx";
import { FileName } from "../components/file-name.tsx";
import { type Filter, ListTools, NothingFound } from "../components/list-tools.tsx";
import { Loaded } from "../components/loaded.tsx";
import { MoreButton } from "../components/more-button.tsx";
import { Card, Page } from "../components/page.tsx";
import { formatBytes, formatCount, formatDate, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { createJobList, type JobListAsk } from "../models/jobs.ts";
import { askOf, isNarrowed, type ListState } from "../models/list-state.ts";
import { pathOf, REPORT_FILTERS, type Route } from "../models/router.ts";
import { JOB_STATUS_WORDS } from "../words.ts";
import { listOfRoute } from "./use-list.ts";
import { usePageModel } from "./use-page-model.ts";
import { reportsPage as texts } from "../texts/reports.ts";

const COLUMNS: readonly Column<Job>[] = [
  {
    title: texts.job,
    sort: "name",
    cell: (job) => (
      <>
        <a class="row-link" href={pathOf({ page: "job-print", id: job.id })}>
          <FileName name={job.name} />
        </a>
        <span class="under">
          {job.clientName} · {job.projectName}
        </span>
      </>
    ),
  },
  { title: texts.outcome, sort: "status", cell: ({ status }) => <Badge words={JOB_STATUS_WORDS[status]} /> },
  { title: texts.files, numeric: true, cell: ({ totals }) => formatCount(totals.filesCompleted) },
  { title: texts.size, numeric: true, cell: ({ totals }) => formatBytes(totals.bytesCompleted) },
  {
    title: texts.notMoved,
    numeric: true,
    cell: ({ totals: { filesFailed } }) =>
      filesFailed === 0 ? "0" : <span class="danger-text">{formatCount(filesFailed)}</span>,
  },
  {
    title: texts.verified,
    numeric: true,
    desk: true,
    cell: ({ config, totals }) => (config.options.verify ? formatCount(totals.filesVerified) : texts.off),
  },
  {
    title: texts.finished,
    numeric: true,
    sort: "activity",
    cell: ({ finishedAt }) => (
      <span class="muted">{finishedAt === null ? NOTHING : formatDate(finishedAt)}</span>
    ),
  },
  {
    title: texts.export,
    numeric: true,
    desk: true,
    cell: (job) => (
      <a href={`/api/jobs/${encodeURIComponent(job.id)}/report.csv`} download>
        {texts.csv}
      </a>
    ),
  },
];

const FILTER: Filter = {
  label: texts.whichOutcome,
  all: texts.anyOutcome,
  options: REPORT_FILTERS.map((value) => ({ value, text: JOB_STATUS_WORDS[value].text })),
};

export function ReportsPage({ app, route }: { app: App; route: Extract<Route, { page: "reports" }> }) {
  const { state, change } = listOfRoute(app, route);
  const asked = askOfRoute(state);
  const model = usePageModel(() => createJobList(app, asked));
  useEffect(() => model.show(asked), [model, JSON.stringify(asked)]);
  const { list } = model;
  return (
    <Page title={texts.reports} lead={texts.whatFinishedJobsHave}>
      <Card flush>
        <ListTools what={texts.reports2} state={state} onChange={change} filter={FILTER} usual="activity" />
        <Loaded remote={list.remote.value} onRetry={() => void list.reload()}>
          {(jobs) =>
            jobs.length > 0 ? (
              <DataTable
                label={texts.reports}
                testId="reports"
                columns={COLUMNS}
                items={jobs}
                sorting={{ state, onSort: change }}
              />
            ) : isNarrowed(state) ? (
              <NothingFound what={texts.reports2} state={state} onChange={change} />
            ) : (
              <EmptyState icon="report" title={texts.noReportYet}>
                {texts.everyJobHasOne}
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

/** What ended last stands first, unless somebody wants it otherwise. */
function askOfRoute(list: ListState): JobListAsk {
  return { sort: "activity", ...askOf(list), state: "final" };
}
