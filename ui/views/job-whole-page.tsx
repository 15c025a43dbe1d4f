import type { Job } from "../../schema/api.ts";
import { Badge, StateDot } from "../components/badge.tsx";
import { type Figure, Figures } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { Loaded, Notice } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import { isFinal } from "../contract.ts";
import { formatCount, formatSpeed, formatTimeLeft, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { createJobPage, type JobPageModel, type JobPageWorld } from "../models/job.ts";
import type { JobFigures } from "../models/job-figures.ts";
import { type Step, stepsOf } from "../models/job-steps.ts";
import { pathOf } from "../models/router.ts";
import { JOB_STATUS_WORDS, jobErrorSentence, PENDING_WISH_WORDS } from "../words.ts";
import { JobControls } from "./job-controls.tsx";
import { JobDetails } from "./job-details.tsx";
import { JobFailures } from "./job-failures.tsx";
import { filesOf } from "./job-files.ts";
import { JobLimit } from "./job-limit.tsx";
import { JobLog } from "./job-log.tsx";
import { bytesText, JobBar, progressText } from "./job-progress.tsx";
import { JobReportCard } from "./job-report.tsx";
import { previewText, waitingWords } from "./job-sentences.ts";
import { JobSpeed } from "./job-speed.tsx";
import { announcementOf, standingsOf } from "./job-standing.ts";
import { StepBar, stepWords } from "./job-step-bar.tsx";
import "./job.css";
import { usePageModel } from "./use-page-model.ts";
import { jobWholePage as texts } from "../texts/job.ts";

export function JobPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(() => createJobPage(worldOf(app), id), id);
  const job = model.job.value;
  const figures = model.figures.value;
  const { write, administer } = app.session.rights.value;
  return (
    <Page
      title={job?.name ?? texts.job}
      crumb={
        job === null
          ? { text: texts.jobs, href: pathOf({ page: "jobs", state: "all" }) }
          : { text: job.projectName, href: pathOf({ page: "project", id: job.projectId }) }
      }
      badge={
        figures && (
          <>
            <Badge words={JOB_STATUS_WORDS[figures.status]} testId="job-status" />
            {figures.waiting !== null && (
              <StateDot words={waitingWords(figures.waiting, app.nowMs.value)} testId="job-waiting" />
            )}
          </>
        )
      }
      lead={job && `${job.clientName} · ${job.agentName}`}
      actions={
        job &&
        figures &&
        write && <JobControls model={model} job={job} figures={figures} mayAdminister={administer} />
      }
    >
      <Loaded remote={model.remote.value} onRetry={() => void model.reload()}>
        {(value) => figures && <Whole app={app} model={model} job={value} figures={figures} />}
      </Loaded>
    </Page>
  );
}

function worldOf(app: App): JobPageWorld {
  return {
    ...app,
    duplicated(job) {
      app.toasts.show("success", texts.made(job.name));
      app.router.go({ page: "job", id: job.id });
    },
  };
}

function Whole(props: { app: App; model: JobPageModel; job: Job; figures: JobFigures }) {
  const { app, model, job, figures } = props;
  const steps = stepsOf(job, figures);
  const hasReport = job.report !== null && job.epoch === figures.epoch && isFinal(figures.status);
  return (
    <>
      <Announcement figures={figures} step={stepWords(steps)} />
      <Situation app={app} model={model} job={job} figures={figures} />
      <ProgressCard app={app} model={model} figures={figures} job={job} steps={steps} />
      <JobFailures
        failures={model.failures.value}
        total={figures.totals.filesFailed}
        tablePath={hasReport ? failedTable(job, model.failures.value.length) : null}
      />
      {hasReport && job.report !== null && <JobReportCard report={job.report} job={job} />}
      <JobLog log={model.log} />
      <JobDetails job={job} />
    </>
  );
}

/** What a person has to know before the numbers: failure, why it stands still, a wish on its way. */
function Situation(props: { app: App; model: JobPageModel; job: Job; figures: JobFigures }) {
  const { app, job, figures } = props;
  const standings = standingsOf(job, figures, {
    nowMs: app.nowMs.value,
    stillSinceMs: props.model.stillSinceMs.value,
    reader: { timeZone: app.timeZone },
  });
  // Why it does not start yet has just been said.
  const startIsExplained = !figures.agentOnline || standings.some(({ key }) => key === "scheduled");
  return (
    <>
      {figures.status === "failed" && figures.error !== null && (
        <Notice tone="danger" testId="job-error">
          <strong>{jobErrorSentence(figures.error)}.</strong>{" "}
          {figures.error.message !== jobErrorSentence(figures.error) && (
            <FileName name={`${figures.error.message}.`} />
          )}{" "}
          <code class="error-code">{figures.error.code}</code>
        </Notice>
      )}
      {standings.map(({ key, tone, text, detail }) => (
        <Notice key={key} tone={tone} testId={key}>
          {text}
          {detail !== undefined && (
            <>
              {" "}
              <FileName name={detail} />
            </>
          )}
        </Notice>
      ))}
      {figures.pendingWish !== null && !(figures.pendingWish === "start" && startIsExplained) && (
        <Notice tone="neutral" testId="pending-wish">
          {PENDING_WISH_WORDS[figures.pendingWish]}
        </Notice>
      )}
      {!isFinal(figures.status) && figures.desiredState === "finish" && figures.pendingWish === null && (
        <Notice tone="neutral" testId="last-pass">
          {texts.lastPassJobCompleted}
        </Notice>
      )}
    </>
  );
}

/** The report lists the first failures; where there are more, only the list of all files has them. */
function failedTable({ id, totals, report }: Job, listed: number): string {
  const { reportCsv, filesCsv } = filesOf(id);
  return totals.filesFailed > listed && listed > 0 && report?.manifest ? filesCsv : reportCsv;
}

/** Heard, not seen: what changes the picture, once; percentages and bytes are not read out. */
function Announcement({ figures, step }: { figures: JobFigures; step: string }) {
  return (
    <p class="unseen" role="status" aria-live="polite" data-testid="job-announcement">
      {announcementOf(figures, JOB_STATUS_WORDS[figures.status].text, step)}
    </p>
  );
}

function ProgressCard(props: {
  app: App;
  model: JobPageModel;
  figures: JobFigures;
  job: Job;
  steps: readonly Step[];
}) {
  const { app, model, figures, job } = props;
  return (
    <Card testId="job-progress">
      <StepBar steps={props.steps} status={figures.status} />
      <div class="progress-head">
        <span class="percent numbers" data-testid="job-percent">
          {progressText(figures)}
        </span>
        {(figures.bytesPerSecond !== null || figures.secondsRemaining !== null) && (
          <dl class="pace numbers">
            <div>
              <dt>{texts.speed}</dt>
              <dd data-testid="job-speed">
                {figures.bytesPerSecond === null ? NOTHING : formatSpeed(figures.bytesPerSecond)}
              </dd>
            </div>
            <div>
              <dt>{texts.timeLeft}</dt>
              <dd data-testid="job-eta">
                {figures.secondsRemaining === null ? NOTHING : formatTimeLeft(figures.secondsRemaining)}
              </dd>
            </div>
          </dl>
        )}
      </div>
      <JobBar figures={figures} name={job.name} />
      <div class="progress-foot">
        <span class="numbers" data-testid="job-bytes">
          {bytesText(figures)}
        </span>
        {figures.currentPath !== null && (
          <span class="current-file muted" data-testid="job-current">
            <FileName name={figures.currentPath} />
          </span>
        )}
      </div>
      {job.preview !== null && isGoingToMove(figures, job) && (
        <p class="preview" data-testid="job-preview">
          {previewText(job.preview, job.config.options.existing)}.
        </p>
      )}
      {!isFinal(figures.status) && <JobSpeed samples={model.samples.value} />}
      <Figures figures={fileFigures(figures, job)} />
      {!isFinal(figures.status) && (
        <JobLimit
          model={model}
          job={job}
          nowMs={app.nowMs.value}
          timeZone={app.timeZone}
          mayChange={app.session.rights.value.write}
        />
      )}
    </Card>
  );
}

/** The scan is over, and the pass it was made for is not. */
function isGoingToMove({ status, epoch, waiting }: JobFigures, job: Job): boolean {
  const isUnderWay = status === "ready" || status === "running" || status === "paused";
  return isUnderWay && epoch === job.epoch && waiting?.reason !== "next_pass";
}

function fileFigures({ totals }: JobFigures, job: Job): readonly Figure[] {
  const { options } = job.config;
  const failed: Figure = {
    title: texts.failed,
    value: formatCount(totals.filesFailed),
    testId: "job-files-failed",
  };
  return [
    { title: texts.files, value: formatCount(totals.filesTotal), testId: "job-files" },
    { title: texts.completed, value: formatCount(totals.filesCompleted), testId: "job-files-completed" },
    { title: texts.skipped, value: formatCount(totals.filesSkipped), testId: "job-files-skipped" },
    totals.filesFailed > 0 ? { ...failed, tone: "danger" } : failed,
    {
      title: texts.verified,
      value: options.verify ? formatCount(totals.filesVerified) : texts.off,
      testId: "job-files-verified",
    },
    ...(options.readbackPercent > 0
      ? [{ title: texts.readBack, value: formatCount(totals.filesReadBack), testId: "job-files-read-back" }]
      : []),
    ...(options.deletion && !options.deletion.dryRun
      ? [{ title: texts.removed, value: formatCount(totals.filesDeleted), testId: "job-files-deleted" }]
      : []),
  ];
}
