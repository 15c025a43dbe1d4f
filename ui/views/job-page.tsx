import { useState } from "preact/hooks";
import type { Job } from "../../schema/api.ts";
import { Badge, StateDot } from "../components/badge.tsx";
import { Button } from "../components/button.tsx";
import { ConfirmDialog } from "../components/dialog.tsx";
import { type Figure, Figures } from "../components/figures.tsx";
import { FileName } from "../components/file-name.tsx";
import { Loaded, Notice } from "../components/loaded.tsx";
import { Card, Page } from "../components/page.tsx";
import { SpeedCurve } from "../components/speed-curve.tsx";
import { isFinal } from "../contract.ts";
import { formatAgo, formatCount, formatDateTime, formatSpeed, formatTimeLeft, NOTHING } from "../format.ts";
import type { App } from "../models/app.ts";
import { createJobPage, type JobPageModel } from "../models/job.ts";
import type { JobFigures } from "../models/job-figures.ts";
import { pathOf } from "../models/router.ts";
import { JOB_STATUS_WORDS, jobErrorSentence, PENDING_WISH_WORDS } from "../words.ts";
import { JobDetails } from "./job-details.tsx";
import { JobFailures } from "./job-failures.tsx";
import { JobLimit } from "./job-limit.tsx";
import { bytesText, JobBar, progressText } from "./job-progress.tsx";
import { JobReportCard } from "./job-report.tsx";
import { previewText, waitingWords } from "./job-sentences.ts";
import { usePageModel } from "./use-page-model.ts";

export function JobPage({ app, id }: { app: App; id: string }) {
  const model = usePageModel(() => createJobPage(app, id), id);
  const job = model.job.value;
  const figures = model.figures.value;
  return (
    <Page
      title={job?.name ?? "Job"}
      crumb={
        job === null
          ? { text: "Jobs", href: pathOf({ page: "jobs", state: "all" }) }
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
      actions={figures && app.session.rights.value.write && <Controls model={model} figures={figures} />}
    >
      <Loaded remote={model.remote.value} onRetry={() => void model.reload()}>
        {(value) =>
          figures && (
            <>
              <Situation job={value} figures={figures} nowMs={app.nowMs.value} />
              <ProgressCard
                model={model}
                figures={figures}
                job={value}
                mayWrite={app.session.rights.value.write}
              />
              {value.report !== null && value.epoch === figures.epoch && isFinal(figures.status) && (
                <JobReportCard report={value.report} job={value} />
              )}
              <JobFailures
                failures={model.failures.value}
                total={figures.totals.filesFailed}
                hasMore={model.hasMoreFailures.value}
                onMore={() => void model.moreFailures()}
              />
              <JobDetails job={value} />
            </>
          )
        }
      </Loaded>
    </Page>
  );
}

function Controls({ model, figures }: { model: JobPageModel; figures: JobFigures }) {
  const [asks, setAsks] = useState<"cancel" | "finish" | null>(null);
  const { status, desiredState } = figures;
  const asking = model.asking.value;
  if (isFinal(status)) {
    return status === "completed" && figures.totals.filesFailed === 0 ? null : (
      <Button
        look="primary"
        icon="retry"
        testId="retry-job"
        busy={asking === "retry"}
        onPress={() => void model.act("retry")}
      >
        Retry
      </Button>
    );
  }
  return (
    <>
      {model.job.value?.config.type === "sync" && (desiredState === "run" || desiredState === "pause") && (
        <Button
          look={desiredState === "run" ? "primary" : "plain"}
          icon="check"
          testId="finish-job"
          busy={asking === "finish"}
          onPress={() => setAsks("finish")}
        >
          Finish
        </Button>
      )}
      {desiredState === "pause" && (
        <Button
          look="primary"
          icon="play"
          testId="resume-job"
          busy={asking === "resume"}
          onPress={() => void model.act("resume")}
        >
          Resume
        </Button>
      )}
      {/* A last pass cannot be paused: it is left to its end, or cancelled. */}
      {desiredState === "run" && (
        <Button
          icon="pause"
          testId="pause-job"
          busy={asking === "pause"}
          onPress={() => void model.act("pause")}
        >
          Pause
        </Button>
      )}
      <Button icon="stop" testId="cancel-job" busy={asking === "cancel"} onPress={() => setAsks("cancel")}>
        Cancel job
      </Button>
      {asks === "finish" && (
        <ConfirmDialog
          title="Finish this job?"
          look="primary"
          confirmText="Finish job"
          cancelText="Keep it repeating"
          confirmTestId="confirm-finish"
          onConfirm={() => void model.act("finish")}
          onClose={() => setAsks(null)}
        >
          It carries the pass it is in to its end, makes no other, and is then completed with its report. For
          a last pass over everything, finish it after the source is no longer worked on.
        </ConfirmDialog>
      )}
      {asks === "cancel" && (
        <ConfirmDialog
          title="Cancel this job?"
          confirmText="Cancel job"
          cancelText="Keep it running"
          confirmTestId="confirm-cancel"
          onConfirm={() => void model.act("cancel")}
          onClose={() => setAsks(null)}
        >
          It stops at once. What is already at the destination stays there. A cancelled job can be retried;
          what is there and identical is then skipped.
        </ConfirmDialog>
      )}
    </>
  );
}

/** What a person has to know before the numbers: failure, absent agent, a wish on its way. */
function Situation({ job, figures, nowMs }: { job: Job; figures: JobFigures; nowMs: number }) {
  const goesOn = !isFinal(figures.status);
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
      {goesOn && !figures.agentOnline && (
        <Notice tone="warning" testId="agent-offline">
          {offlineText(job, nowMs)} The job {figures.status === "created" ? "starts" : "goes on"} when it is
          back.
        </Notice>
      )}
      {/* Why a start waits for an absent agent has just been said. */}
      {figures.pendingWish !== null && (figures.agentOnline || figures.pendingWish !== "start") && (
        <Notice tone="neutral" testId="pending-wish">
          {PENDING_WISH_WORDS[figures.pendingWish]}
        </Notice>
      )}
      {goesOn && figures.desiredState === "finish" && figures.pendingWish === null && (
        <Notice tone="neutral" testId="last-pass">
          This is the last pass. The job is completed when it is done.
        </Notice>
      )}
      {figures.waiting?.message && (
        <Notice
          tone={waitingWords(figures.waiting, nowMs).tone === "warning" ? "warning" : "neutral"}
          testId="waiting-message"
        >
          <FileName name={figures.waiting.message} />
        </Notice>
      )}
    </>
  );
}

function offlineText(job: Job, nowMs: number): string {
  if (job.agentLastSeenAt === null) return "Agent offline.";
  return `Agent offline since ${formatDateTime(job.agentLastSeenAt)} (${formatAgo(job.agentLastSeenAt, nowMs)}).`;
}

function ProgressCard(props: { model: JobPageModel; figures: JobFigures; job: Job; mayWrite: boolean }) {
  const { model, figures, job } = props;
  return (
    <Card testId="job-progress">
      <div class="progress-head">
        <span class="percent numbers" data-testid="job-percent">
          {progressText(figures)}
        </span>
        {!isFinal(figures.status) && (
          <dl class="pace numbers">
            <div>
              <dt>Speed</dt>
              <dd data-testid="job-speed">
                {figures.bytesPerSecond === null ? NOTHING : formatSpeed(figures.bytesPerSecond)}
              </dd>
            </div>
            <div>
              <dt>Time left</dt>
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
      {!isFinal(figures.status) && <SpeedCurve speeds={model.speeds.value} />}
      <Figures figures={fileFigures(figures, job)} />
      {!isFinal(figures.status) && <JobLimit model={model} job={job} mayChange={props.mayWrite} />}
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
    title: "Failed",
    value: formatCount(totals.filesFailed),
    testId: "job-files-failed",
  };
  return [
    { title: "Files", value: formatCount(totals.filesTotal), testId: "job-files" },
    { title: "Completed", value: formatCount(totals.filesCompleted), testId: "job-files-completed" },
    { title: "Skipped", value: formatCount(totals.filesSkipped), testId: "job-files-skipped" },
    totals.filesFailed > 0 ? { ...failed, tone: "danger" } : failed,
    {
      title: "Verified",
      value: options.verify ? formatCount(totals.filesVerified) : "Off",
      testId: "job-files-verified",
    },
    ...(options.readbackPercent > 0
      ? [{ title: "Read back", value: formatCount(totals.filesReadBack), testId: "job-files-read-back" }]
      : []),
    ...(options.deletion && !options.deletion.dryRun
      ? [{ title: "Removed", value: formatCount(totals.filesDeleted), testId: "job-files-deleted" }]
      : []),
  ];
}
