import { Badge } from "../components/badge.tsx";
import { type Column, DataTable, type Sorting } from "../components/data-table.tsx";
import { FileName } from "../components/file-name.tsx";
import { formatAgo } from "../format.ts";
import type { JobRow } from "../models/jobs.ts";
import { pathOf } from "../models/router.ts";
import { JOB_STATUS_WORDS } from "../words.ts";
import { JobBar, paceText, progressText } from "./job-progress.tsx";
import { jobTable as texts } from "../texts/frame.ts";

/** Jobs as a list; `within` says what the page is about, which need not be repeated in every row. */
export function JobTable(props: {
  rows: readonly JobRow[];
  nowMs: number;
  within: "organization" | "project";
  testId?: string;
  sorting?: Sorting;
}) {
  const columns: Column<JobRow & { id: string }>[] = [
    {
      title: texts.job,
      sort: "name",
      cell: ({ job }) => (
        <>
          <a class="row-link" href={pathOf({ page: "job", id: job.id })}>
            <FileName name={job.name} />
          </a>
          {props.within === "organization" && (
            <span class="under">
              {job.clientName} · {job.projectName}
            </span>
          )}
        </>
      ),
    },
    { title: texts.agent, desk: true, cell: ({ job }) => <span class="muted clamped">{job.agentName}</span> },
    {
      title: texts.progress,
      cell: ({ job, figures }) => (
        <div class="row-progress">
          <div class="row-progress-line">
            <span class="numbers">{progressText(figures)}</span>
            <span class="muted numbers">{paceText(figures)}</span>
          </div>
          <JobBar figures={figures} name={job.name} slim />
        </div>
      ),
    },
    {
      title: texts.status,
      sort: "status",
      cell: ({ figures }) => <Badge words={JOB_STATUS_WORDS[figures.status]} />,
    },
    {
      title: texts.created,
      numeric: true,
      desk: true,
      sort: "created",
      cell: ({ job }) => <span class="muted">{formatAgo(job.createdAt, props.nowMs)}</span>,
    },
  ];
  return (
    <DataTable
      label={texts.jobs}
      columns={columns}
      items={props.rows.map((row) => ({ ...row, id: row.job.id }))}
      {...(props.testId === undefined ? {} : { testId: props.testId })}
      {...(props.sorting === undefined ? {} : { sorting: props.sorting })}
    />
  );
}
