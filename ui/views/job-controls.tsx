/** What can be done with a job, by its state. Whoever may not write sees none of it. */
import { useState } from "preact/hooks";
import type { Job } from "../../schema/api.ts";
import { Button } from "../components/button.tsx";
import { ConfirmDialog } from "../components/dialog.tsx";
import { isFinal } from "../contract.ts";
import type { JobPageModel } from "../models/job.ts";
import type { JobFigures } from "../models/job-figures.ts";
import { JobChangeDialogs } from "./job-change-dialogs.tsx";
import { jobControls as texts } from "../texts/job.ts";

type Asks = "cancel" | "finish" | "retry";

export interface JobControlsProps {
  readonly model: JobPageModel;
  readonly job: Job;
  readonly figures: JobFigures;
  /** Whether source files may be let go, which a duplicate of a job that removes them does. */
  readonly mayAdminister: boolean;
}

export function JobControls(props: JobControlsProps) {
  const [asks, setAsks] = useState<Asks | null>(null);
  const { model, job, figures } = props;
  return (
    <>
      {isFinal(figures.status) ? (
        <RetryButtons {...props} onAsk={setAsks} />
      ) : (
        <SteeringButtons {...props} onAsk={setAsks} />
      )}
      {hasNotBegun(job, figures) && (
        <>
          <Button testId="change-start" onPress={() => model.changes.begin("start", job)}>
            {texts.changeStart}
          </Button>
          <Button testId="move-job" onPress={() => model.changes.begin("move", job)}>
            {texts.move}
          </Button>
        </>
      )}
      <Button icon="copy" testId="duplicate-job" onPress={() => model.changes.begin("duplicate", job)}>
        {texts.duplicate}
      </Button>
      <AskedDialog model={model} job={job} figures={figures} asks={asks} onClose={() => setAsks(null)} />
      <JobChangeDialogs model={model} job={job} mayAdminister={props.mayAdminister} />
    </>
  );
}

/** Until its agent was given anything its agent and its start may still be others. */
function hasNotBegun(job: Job, figures: JobFigures): boolean {
  return figures.status === "created" && job.status === "created" && job.startedAt === null;
}

type ButtonsProps = JobControlsProps & { readonly onAsk: (asks: Asks) => void };

function RetryButtons({ model, job, figures, onAsk }: ButtonsProps) {
  const asking = model.asking.value;
  const failed = figures.totals.filesFailed;
  if (figures.status === "completed" && failed === 0) return null;
  // Of a run that did not get to its end nobody knows which files it never came to.
  const knowsFailed = figures.status === "completed" && job.config.type !== "sync";
  return (
    <>
      {knowsFailed && (
        <Button
          look="primary"
          icon="retry"
          testId="retry-failed"
          busy={asking === "retry_failed"}
          onPress={() => void model.retryFailed()}
        >
          {texts.retryFailedFiles}
        </Button>
      )}
      <Button
        look={knowsFailed ? "plain" : "primary"}
        icon="retry"
        testId="retry-job"
        busy={asking === "retry"}
        onPress={() => onAsk("retry")}
      >
        {knowsFailed ? texts.retryEverything : texts.retry}
      </Button>
    </>
  );
}

function SteeringButtons({ model, job, figures: { desiredState }, onAsk }: ButtonsProps) {
  const asking = model.asking.value;
  return (
    <>
      {job.config.type === "sync" && (desiredState === "run" || desiredState === "pause") && (
        <Button
          look={desiredState === "run" ? "primary" : "plain"}
          icon="check"
          testId="finish-job"
          busy={asking === "finish"}
          onPress={() => onAsk("finish")}
        >
          {texts.finish}
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
          {texts.resume}
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
          {texts.pause}
        </Button>
      )}
      <Button icon="stop" testId="cancel-job" busy={asking === "cancel"} onPress={() => onAsk("cancel")}>
        {texts.cancelJob}
      </Button>
    </>
  );
}

function AskedDialog(props: {
  model: JobPageModel;
  job: Job;
  figures: JobFigures;
  asks: Asks | null;
  onClose: () => void;
}) {
  const { model, job, asks, onClose } = props;
  switch (asks) {
    case null:
      return null;
    case "finish":
      return (
        <ConfirmDialog
          title={texts.finishThisJob}
          look="primary"
          confirmText={texts.finishJob}
          cancelText={texts.keepItRepeating}
          confirmTestId="confirm-finish"
          onConfirm={() => void model.act("finish")}
          onClose={onClose}
        >
          {texts.carriesPassEndMakes}
        </ConfirmDialog>
      );
    case "cancel":
      return (
        <ConfirmDialog
          title={texts.cancelThisJob}
          confirmText={texts.cancelJob}
          cancelText={texts.keepItRunning}
          confirmTestId="confirm-cancel"
          onConfirm={() => void model.act("cancel")}
          onClose={onClose}
        >
          {texts.stopsOnceWhatAlready}
        </ConfirmDialog>
      );
    case "retry":
      return (
        <ConfirmDialog
          title={`Start run ${props.figures.epoch + 1} of this job?`}
          look="primary"
          confirmText={texts.startAgain}
          cancelText={texts.leaveAs}
          confirmTestId="confirm-retry"
          onConfirm={() => void model.act("retry")}
          onClose={onClose}
        >
          {retryText(job)}
        </ConfirmDialog>
      );
  }
}

function retryText({ config: { options } }: Job): string {
  const removes = options.deletion === null || options.deletion.dryRun ? "" : texts.sourceFilesProvedHave;
  switch (options.existing) {
    case "skip_identical":
      return texts.looksThroughWholeSource(removes);
    case "overwrite":
      return texts.looksThroughWholeSourceAgain(removes);
    case "fail":
      return texts.looksThroughWholeSourceAgainEvery(removes);
  }
}
